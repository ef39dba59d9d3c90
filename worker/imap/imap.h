/* imap.h - private contract of this folder: one session with an IMAP server.
 *
 * A verb sends commands with imap_cmd.h and reads answers with the loop below. Any number of
 * commands may be under way; each has a struct imap_call of its caller's, which is filled when its
 * tagged answer arrives. Untagged data goes to the sink of the verb that is running; what every
 * session must know (selected mailbox, EXISTS, capabilities) is kept here whatever the verb.
 *
 * Rules:
 * - A BAD answer ends the connection at once and nothing more is sent: a server may otherwise take
 *   the rest of a literal for commands (imap_append.c).
 * - Only UID commands; never EXPUNGE or CLOSE.
 * - Mailbox names are always quoted.
 * - After a failure of the connection `conn` is NULL; the next verb logs on again.
 */
#ifndef MS_IMAP_H
#define MS_IMAP_H

#include "../endpoint.h"
#include "../net/conn.h"
#include "imap_parse.h"

/* Everything that we look for in a capability list. */
#define IMAP_CAP_LIST(X) \
	X(REV1, "IMAP4rev1") X(STARTTLS, "STARTTLS") X(LOGINDISABLED, "LOGINDISABLED") \
	X(SASL_IR, "SASL-IR") X(AUTH_PLAIN, "AUTH=PLAIN") X(AUTH_XOAUTH2, "AUTH=XOAUTH2") \
	X(AUTH_OAUTHBEARER, "AUTH=OAUTHBEARER") X(ENABLE, "ENABLE") X(CONDSTORE, "CONDSTORE") \
	X(QRESYNC, "QRESYNC") X(UTF8_ACCEPT, "UTF8=ACCEPT") X(UTF8_ONLY, "UTF8=ONLY") \
	X(NAMESPACE, "NAMESPACE") X(LIST_EXTENDED, "LIST-EXTENDED") X(LIST_STATUS, "LIST-STATUS") \
	X(SPECIAL_USE, "SPECIAL-USE") X(CREATE_SPECIAL_USE, "CREATE-SPECIAL-USE") \
	X(UIDPLUS, "UIDPLUS") X(MULTIAPPEND, "MULTIAPPEND") X(LITERAL_PLUS, "LITERAL+") \
	X(LITERAL_MINUS, "LITERAL-") X(MOVE, "MOVE") X(ESEARCH, "ESEARCH") X(UNSELECT, "UNSELECT") \
	X(OBJECTID, "OBJECTID") X(APPENDLIMIT, "APPENDLIMIT") X(GMAIL, "X-GM-EXT-1")
enum imap_cap {
#define X(id, text) IMAP_CAP_##id,
	IMAP_CAP_LIST(X)
#undef X
	IMAP_CAPS
};

/* The stable key of a message that the server knows, and how it is called. */
enum imap_key { IMAP_KEY_NONE, IMAP_KEY_GMAIL, IMAP_KEY_EMAILID, IMAP_KEY_GUID };

/* What describe would ask about one message, told already. Lives in `life`. */
struct imap_known {
	uint32_t uid;
	uint64_t size;
	int64_t received;
	struct span header, key;
};

/* What we know of one mailbox, as long as the endpoint lives. */
struct imap_box {
	struct imap_box *next;           /* in its hash chain */
	struct span name;                /* as the server calls it */
	uint32_t uidvalidity;            /* as the engine was told it last; 0 = not known */
	uint32_t seen_uidvalidity;       /* as its last SELECT on this connection told */
	int64_t seen_ms;                 /* when (clock_mono_ms) */
	bool sure;                       /* two SELECTs of different flights told the same, the last at seen_ms */
	bool proven;                     /* the name was accepted in a command of this connection */
	bool perm_known;                 /* the next three are from its PERMANENTFLAGS */
	bool star;                       /* new keywords can be stored */
	uint32_t flags;
	const char *keywords;            /* those it can store in any case */
	uint64_t append_limit;           /* its own, bytes (RFC 7889); 0 = none known */
	uint32_t listed_uidnext;         /* as the last listing told; 0 = it did not */
	struct imap_known *known;        /* new messages, ascending by UID, of `uidvalidity` */
	size_t n_known, known_cap;
};

/* The selected mailbox: what the server said since its SELECT began. */
struct imap_selected {
	struct imap_box *box;            /* NULL = none (or SELECT under way) */
	uint32_t uidvalidity, uidnext, exists;
	uint64_t modseq;                 /* HIGHESTMODSEQ; 0 = none */
	bool read_only;
	uint32_t expunges;               /* EXPUNGE and VANISHED (not EARLIER) seen */
};

/* One command under way. The caller's memory until `status` is set; zero it before use. */
struct imap_call {
	uint32_t tag;
	const char *what;                /* "UID FETCH", for messages */
	enum imap_status status;         /* IMAP_PENDING until the tagged answer arrived */
	struct span code, args, text;    /* of that answer; in the verb's arena */
	struct imap_box *select;         /* this is a SELECT of that mailbox */
	bool again;                      /* ... sent after the answer to another one of just now */
	bool bad_is_no;                  /* BAD is just a refusal: it has no literal that could be taken for commands */
	bool aside;                      /* no untagged answer is its own: what comes is of those behind it (Dovecot
	                                  * begins them before it has answered a STORE) */
	const struct imap_sink *sink;    /* while it is the oldest one under way; NULL: the verb's */
	/* It was sent behind this SELECT without waiting: if that was refused, BAD is expected. */
	const struct imap_call *after;
	void (*done)(void *ctx, struct imap_call *call);   /* at the answer; may be NULL */
	void *ctx;
	struct imap_call *next;
};

struct imap;

/* Who gets untagged answers. Any member may be NULL. */
struct imap_sink {
	enum code (*data)(void *ctx, struct imap *im, struct imap_resp *r, struct err *err);
	enum code (*status)(void *ctx, struct imap *im, struct imap_resp *r, struct err *err);
	/* A literal follows; `line` is what came before it. Fill *body_r to have it streamed there. */
	enum code (*literal)(void *ctx, struct imap *im, struct span line, uint64_t size,
			     struct body **body_r, struct err *err);
	void *ctx;
};

#define IMAP_BUCKETS 256
#define IMAP_FOREIGN 8

struct imap {
	struct endpoint *ep;
	struct conn *conn;
	struct imap_scan scan;
	uint64_t caps;                   /* 1 << enum imap_cap */
	bool caps_known, utf8, qresync;  /* utf8, qresync: ENABLED was seen */
	bool dovecot, exchange, cyrus;   /* by the greeting */
	bool no_guid;                    /* X-GUID was answered with BAD: not a Dovecot after all */
	bool logged_on, settled;         /* settled: open is over */
	bool apple;                      /* XAPPLE...: QRESYNC is announced and does not work */
	enum imap_key key;
	uint64_t append_limit;           /* APPENDLIMIT=n; 0 = none known */
	bool by_token;                   /* logged on with a token: the session ends with it */
	int64_t renew_ms;                /* log on anew after this time (clock_mono_ms); 0 = never */
	struct span prefix;              /* of the personal namespace */
	char separator;                  /* '\0' = flat */
	bool has_namespace;              /* prefix and separator are what NAMESPACE said */
	struct span foreign[IMAP_FOREIGN];   /* prefixes of other users' and shared namespaces */
	size_t n_foreign;
	struct arena *life;              /* boxes, prefix: as long as the endpoint */
	struct imap_box *boxes[IMAP_BUCKETS];
	struct imap_selected sel;
	struct imap_call *calls, **last_call;   /* under way, oldest first */
	size_t n_calls;
	uint32_t next_tag;
	bool go_ahead;                   /* "+" arrived and was not used yet */
	struct span challenge;           /* its text; in the verb's arena */
	uint32_t slow_ms;                /* the server said [THROTTLED]: pause before each command */
	struct buf cmd;                  /* the command that is being built */
	bool hidden;                     /* what goes over the wire is not traced: it has secrets in it */
	struct arena *arena;             /* of the verb that is running */
	struct imap_sink sink;
	const char *keywords_proven;     /* accepted in an APPEND or STORE on this connection */
	bool no_trial;                   /* the trial STORE was answered BAD once */
	bool append_proven;              /* an APPEND was accepted on this connection */
	struct arena *listed;            /* LIST answers that open got in advance, for the first list */
	struct imap_listing *ahead;
};

static inline bool imap_can(const struct imap *im, enum imap_cap cap)
{
	return im->caps >> cap & 1;
}

/* --- imap_trace.c --- */
void imap_trace(const struct imap *im, char direction, struct span line);
void imap_trace_logon(struct imap *im, bool begins);
/* The line as it may be shown, appended to out. */
void imap_trace_text(struct buf *out, struct span line, bool hide_quoted);

/* --- imap_conn.c: connecting and logging on --- */

/* Begin a verb: its arena, no sink; log on again if the connection is gone or must be renewed. */
enum code imap_enter(struct imap *im, struct arena *arena, struct err *err) MS_MUST_USE;
enum code imap_connect(struct imap *im, struct err *err) MS_MUST_USE;
/* Close at once and forget all that belongs to the connection. */
void imap_drop(struct imap *im);
void imap_take_caps(struct imap *im, struct imap_cur *words);
/* imap_auth.c: */
enum code imap_log_on(struct imap *im, struct err *err) MS_MUST_USE;

/* --- imap_loop.c: answers --- */

/* Read and dispatch one answer. */
enum code imap_step(struct imap *im, struct err *err) MS_MUST_USE;
/* Dispatch whatever is there without waiting. */
enum code imap_poll(struct imap *im, struct err *err) MS_MUST_USE;
/* The connection failed with `rc`: close it, prefer the reason that the server had sent. */
enum code imap_lost(struct imap *im, enum code rc, struct err *err);
/* Until the call is answered, whatever the answer is. */
enum code imap_await(struct imap *im, struct imap_call *call, struct err *err) MS_MUST_USE;
/* Until at most n commands are under way. */
enum code imap_await_window(struct imap *im, size_t n, struct err *err) MS_MUST_USE;
/* Until the server says "+" or answers the call. */
enum code imap_await_go(struct imap *im, struct imap_call *call, struct err *err) MS_MUST_USE;
/* The command that untagged answers are for: the oldest under way that has any. NULL: none. */
const struct imap_call *imap_call_now(const struct imap *im);
struct imap_box *imap_box(struct imap *im, struct span name);

/* --- imap_select.c --- */

/* Send a SELECT; `params` is "" or " (CONDSTORE)" and the like. */
enum code imap_send_select(struct imap *im, struct imap_call *call, struct span name,
			   const char *params, struct err *err) MS_MUST_USE;
/* Its SELECT of just now was that of the mailbox that the engine knows. */
bool imap_seen_lately(const struct imap *im, const struct imap_box *box);
/* Make it the selected mailbox, if it is not. *call_r tells the answer; E_OK whatever it is. */
enum code imap_select(struct imap *im, struct span name, struct imap_call *call_r, struct err *err) MS_MUST_USE;
/* E_FOLDER_GONE, E_STORE_FAILED ... for a refused SELECT, and E_FOLDER_GONE for one whose
 * UIDVALIDITY is not the listed one. */
enum code imap_select_verdict(struct imap *im, const struct imap_call *call, struct err *err);
/* Flags and keywords of "(\\Seen $Label1)" without parentheses. */
uint32_t imap_flags_parse(struct arena *arena, struct span inner, const char **keywords_r, bool *star_r);
extern const struct imap_flag { uint32_t flag; const char *name; } imap_flag_names[5];

/* --- imap_texts.c: what refusals mean --- */

enum imap_when { IMAP_AT_LOGON = 1, IMAP_AT_STORE = 2, IMAP_AT_FOLDER = 4, IMAP_AT_ITEM = 8 };
enum code imap_judge(enum imap_when when, struct span code, struct span text, uint32_t *wait_ms_r);
/* The same with the sentence "the server refused WHAT: TEXT". */
enum code imap_refusal(enum imap_when when, const struct imap_call *call, struct err *err);
/* The server said [THROTTLED] in an OK. */
bool imap_says_slower(struct span code, struct span text);

/* --- the verbs --- */

enum code imap_list_verb(struct endpoint *ep, struct arena *arena, struct ep_list *list_r, struct err *err);
/* Send what a listing needs, so that imap_list_verb finds it answered (used by open). */
enum code imap_list_ahead(struct imap *im, struct err *err) MS_MUST_USE;
void imap_list_forget(struct imap *im);
/* By attribute the first folder with a role keeps it; by name only top-level folders, and only for
 * roles that nobody has. */
void imap_settle_roles(struct ep_folder *folders, size_t n);
/* Ask for single folders by their names (n > 0); whoever has sent the rest of the flight calls the second
 * one: *folders[i] is filled where found[i]. */
enum code imap_list_names_begin(struct imap *im, const struct span *names, size_t n, struct err *err) MS_MUST_USE;
enum code imap_list_names_end(struct imap *im, struct arena *arena, const struct span *names, size_t n,
			      struct ep_folder **folders, bool *found, struct err *err) MS_MUST_USE;

/* imap_folders.c: one folder that is being made. */
struct imap_making {
	struct ep_folder_op *op;
	struct span name;                /* as it is tried now; of op->folder_r too */
	struct imap_call call;
	bool to_list;                    /* a CREATE was sent since it was listed last */
};
/* Send what makes these folders (`op` is set) and asks what has become of them. The second one waits for the answers,
 * tries again what was refused, and fills each op. */
enum code imap_make_begin(struct imap *im, struct imap_making *m, size_t n, struct err *err) MS_MUST_USE;
enum code imap_make_end(struct imap *im, struct imap_making *m, size_t n, struct err *err) MS_MUST_USE;
enum code imap_changes_verb(struct endpoint *ep, struct arena *arena, struct ep_changes *c, size_t n, struct err *err);
enum code imap_describe_verb(struct endpoint *ep, struct arena *arena, struct ep_meta *m, size_t n, struct err *err);
enum code imap_fetch_verb(struct endpoint *ep, struct arena *arena, struct ep_fetch *f, size_t n, struct err *err);
enum code imap_apply_verb(struct endpoint *ep, struct arena *arena, struct ep_op *ops, size_t n, struct err *err);
enum code imap_folders_verb(struct endpoint *ep, struct arena *arena, struct ep_folder_op *ops,
		size_t n, struct err *err);

/* imap_append.c: all EP_CREATE of an apply. */
enum code imap_append_all(struct imap *im, struct ep_op **ops, size_t n, struct err *err) MS_MUST_USE;
enum code imap_prepare_verb(struct endpoint *ep, struct arena *arena, struct ep_target *targets, size_t n,
			    struct err *err);
/* imap_prove.c: ask in one round trip what the APPENDs of `ops` would ask one by one. */
enum code imap_prove(struct imap *im, struct ep_op **ops, size_t n, struct err *err) MS_MUST_USE;
bool imap_keywords_proven(const struct imap *im, const struct imap_box *box, const char *keywords);

/* imap_find.c: fill new_id of those that are E_OK; their mailbox is selected. */
enum code imap_find_uids(struct imap *im, struct ep_op **ops, size_t n, uint32_t from, struct err *err) MS_MUST_USE;

/* --- imap_names.c: paths and names --- */

/* The canonical path of a server's name; false if it is no name of the personal namespace. */
bool imap_path_of(struct imap *im, struct arena *arena, struct span name, char separator, struct span *path_r);
/* And back, for folders that do not exist yet; false if it cannot be written. level: how much is
 * escaped, 0 to IMAP_LEVELS - 1; try the next if the server refuses a name. */
#define IMAP_LEVELS 3
bool imap_name_of(struct imap *im, struct arena *arena, struct span path, unsigned level, struct span *name_r);

/* --- imap_uids.c: UID sets --- */

bool imap_uid(struct span id, uint32_t *uid_r);
struct span imap_uid_span(struct arena *arena, uint32_t uid);
/* Sort and drop duplicates; returns the new length. */
size_t imap_uids_sort(uint32_t *uids, size_t n);
/* Append uids[from..] as a set to b until it has about `max` more bytes; returns the next index. */
size_t imap_uids_add(struct buf *b, const uint32_t *uids, size_t from, size_t n, size_t max);

#endif
