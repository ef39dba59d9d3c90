/* conf_p.h - what the files of the configuration share: the table of settings, and the loader.
 *
 * A setting is one row of a table: XML, printing and the wire all go through that row, so a new
 * setting is one line here, one in the struct, and its documentation.
 */
#ifndef MS_CONF_P_H
#define MS_CONF_P_H

#include "arena.h"
#include "buf.h"
#include "conf.h"
#include "xml.h"

enum conf_value {
	V_COUNT,       /* uint32_t within [min, max] */
	V_PORT,        /* uint16_t within [min, max] */
	V_TIME,        /* int64_t ms within [min, max]; a bare number means minutes */
	V_TEXT,        /* const char * */
	V_WORD,        /* const char *, one of `words` ("auto" is kept as "") */
	V_TRACE,       /* const char *, comma list of lower-case words */
	V_HOST,        /* const char * */
	V_URL,         /* const char *, see conf_url.c */
	V_PROXY,       /* const char *, http://host:port */
	V_LDAP,        /* const char *, ldaps://host:port or ldap://host:port */
	V_DAYS,        /* int64_t seconds, whole days within [min, max] days; "90d"; 0 = unset */
	V_PATH,        /* const char *, made absolute */
	V_LEVEL,       /* enum log_level */
	V_TLS,         /* enum conf_tls */
	V_SECRET,      /* struct conf_secret, in the attributes file= or credential= */
	V_LATER,       /* known, accepted with a warning, without effect in this build */
};

/* Endpoint types as bits, for `types` of a setting. */
enum { T_IMAP = 1, T_LOCAL = 2, T_EXCHANGE = 4, T_GOOGLE = 8, T_EXCHANGE_ONLINE = 16 };
#define T_ALL 31u

struct conf_setting {
	const char *name;
	enum conf_value value;
	unsigned types;          /* of endpoints; unused for other tables */
	size_t offset;           /* in the struct that the table describes */
	int64_t min, max;
	const char *fallback;    /* text of the default; NULL = zero */
	const char *words;       /* V_WORD: "|plain|login|" */
};
struct conf_table {
	const struct conf_setting *rows;
	size_t n;
	const char *where;       /* "gateway", "guard": for messages */
};
extern const struct conf_table conf_gateway_table;   /* of struct conf */
extern const struct conf_table conf_endpoint_table;  /* of struct conf_endpoint */
extern const struct conf_table conf_guard_table;     /* of struct conf_guard */
extern const struct conf_table conf_mailbox_table;   /* of struct conf_mailbox */
extern const struct conf_table conf_window_table;    /* of struct conf_pairing: attributes of <window> */

/* Where texts come from: the arena they are copied to, and what relative paths are relative to. */
struct conf_source {
	struct arena *arena;
	const char *dir;         /* absolute */
};

/* Parse `text` into the row's member of `base`. The error's text is only "NAME: what is wrong";
 * not for V_SECRET and V_LATER. */
enum code conf_value_read(const struct conf_setting *s, const char *text,
			  const struct conf_source *src, void *base, struct err *err) MS_MUST_USE;
/* The member as text that conf_value_read takes again; NULL where it is unset. V_SECRET: "***". */
const char *conf_value_text(const struct conf_setting *s, const void *base, struct arena *arena);
void conf_defaults(const struct conf_table *t, const struct conf_source *src, void *base);
const struct conf_setting *conf_setting_find(const struct conf_table *t, const char *name);

#define CONF_KIND_LIST(X) \
	X(MAIL, "mail") X(EVENTS, "events") X(CONTACTS, "contacts") X(TASKS, "tasks")
#define CONF_KINDS 4
enum { CONF_KIND_MAIL = 1, CONF_KIND_EVENTS = 2, CONF_KIND_CONTACTS = 4, CONF_KIND_TASKS = 8 };
#define CONF_KINDS_ALL ((1u << CONF_KINDS) - 1)
extern const char *const conf_kind_names[CONF_KINDS];       /* index = enum ep_kind */
extern const char *const conf_conflict_names[4], *const conf_deletions_names[3];
extern const char *const conf_tls_names[3];
extern const char *const conf_busy_names[1 << SIDES];       /* index = bit set of 1 << enum side */
const char *conf_busy_word(const struct conf_pairing *pairing);
/* Index of `name` in names[n]; false if it is not there. */
bool conf_word(const char *const *names, size_t n, const char *name, unsigned *index_r);
unsigned conf_type_bit(const char *type);                   /* 0 = no such type */
#define CONF_TYPE_NAMES "imap, local, exchange, google or exchange-online"
bool conf_path_valid(const char *path);                     /* a canonical folder path */

/* A host of this machine itself: localhost, 127.0.0.0/8, ::1. */
bool conf_is_loopback(const char *server);
bool conf_host_valid(const char *text);
/* E_CONF "NAME: what is wrong". The arena is for scratch. */
enum code conf_url_check(const char *name, const char *text, struct arena *arena, struct err *err) MS_MUST_USE;
enum code conf_proxy_check(const char *name, const char *text, struct arena *arena, struct err *err) MS_MUST_USE;
enum code conf_ldap_check(const char *name, const char *text, struct arena *arena, struct err *err) MS_MUST_USE;

/* What conf_load and conf_pairing_decode hand out: the arena goes with the configuration. */
struct conf_box {
	struct conf conf;        /* first: a struct conf * is the box */
	struct arena *arena;
};
struct conf_box *conf_box_new(void);
#define CONF_FILE_MAX ((size_t)16 * 1024 * 1024)
#define CONF_ARENA_MAX ((size_t)256 * 1024 * 1024)

struct conf_loader {
	struct conf_source src;
	struct conf *conf;
	const char *file;
	const struct xml_node *root;
	const struct conf_endpoint **by_name;   /* the endpoints, sorted by name */
	void (*warn)(void *ctx, const char *text);
	void *warn_ctx;
	struct err *err;
};
/* The endpoint of that name in l->by_name, NULL if there is none. */
const struct conf_endpoint *conf_endpoint_named(const struct conf_loader *l, const char *name);
/* E_CONF "FILE:LINE: ..." in l->err; always returns E_CONF. */
enum code conf_fail(struct conf_loader *l, int line, const char *fmt, ...) MS_PRINTF(3, 4);
void conf_warn(struct conf_loader *l, int line, const char *fmt, ...) MS_PRINTF(3, 4);
/* The tree into l->conf: names, values, structure, each on its own. conf_parse.c does the whole
 * document with gateway and endpoints, conf_pairing.c the pairings. */
enum code conf_parse(struct conf_loader *l, const struct xml_node *root) MS_MUST_USE;
enum code conf_parse_pairing(struct conf_loader *l, const struct xml_node *node,
			     struct conf_pairing *pairing) MS_MUST_USE;

/* One element (conf_element.c). `names` is a blank-separated list of what is allowed. */
bool conf_in_list(const char *names, const char *name);
const char *conf_near_word(struct conf_loader *l, const char *word, const char *names);
enum code conf_only_attrs(struct conf_loader *l, const struct xml_node *node,
			  const char *names) MS_MUST_USE;
enum code conf_no_text(struct conf_loader *l, const struct xml_node *node) MS_MUST_USE;
enum code conf_no_children(struct conf_loader *l, const struct xml_node *node) MS_MUST_USE;
enum code conf_unknown(struct conf_loader *l, const struct xml_node *node,
		       const struct conf_table *t, const char *names) MS_MUST_USE;
enum code conf_once(struct conf_loader *l, const struct xml_node *node) MS_MUST_USE;
/* The element `node` into the row's member of `base`. */
enum code conf_read_setting(struct conf_loader *l, const struct conf_setting *s,
			    const struct xml_node *node, void *base) MS_MUST_USE;
enum code conf_read_guard(struct conf_loader *l, const struct xml_node *node,
			  struct conf_guard *guard) MS_MUST_USE;
enum code conf_read_name(struct conf_loader *l, const struct xml_node *node,
			 const char **name_r) MS_MUST_USE;

/* The rules that look at more than one value, and at the disk. The first two are called while the
 * element is at hand, because their errors name the line of one of its children. */
enum code conf_check_endpoint(struct conf_loader *l, const struct xml_node *node,
			      struct conf_endpoint *e) MS_MUST_USE;
enum code conf_check_mailbox(struct conf_loader *l, const struct xml_node *node,
			     struct conf_mailbox *m) MS_MUST_USE;
enum code conf_check(struct conf_loader *l) MS_MUST_USE;
/* Is the secret's file there, private and not a link? Its contents are not looked at here. */
enum code conf_check_secret(struct conf_loader *l, const struct xml_node *node,
			    const struct conf_secret *secret) MS_MUST_USE;

#endif
