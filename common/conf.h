/* conf.h - the configuration as both programs see it: immutable once loaded.
 *
 * conf_load() reads the XML (no DTD, no network), checks every rule and either returns a
 * whole configuration or one error "FILE:LINE: what is wrong; what to do". All strings are
 * UTF-8, NUL-terminated and live as long as the struct conf. Times are milliseconds here; in the
 * file a bare number means minutes, a suffix (ms, s, m, h, d) says otherwise. Relative paths in the
 * file are relative to the file and absolute here.
 */
#ifndef MS_CONF_H
#define MS_CONF_H

#include "err.h"
#include "log.h"
#include "secret.h"

enum conf_tls { TLS_IMPLICIT, TLS_STARTTLS, TLS_NONE };
enum conf_conflict { CONFLICT_NEWEST, CONFLICT_LEFT, CONFLICT_RIGHT, CONFLICT_BOTH };
enum conf_deletions { DELETIONS_TRASH, DELETIONS_ARCHIVE, DELETIONS_EXPUNGE };

#define CONF_CA_MAX ((size_t)20 * 1024)   /* of one CAFile: both sides' fit into one task message */
#define CONF_NAME_MAX 64
/* Below RuntimeDirectory; conf_load() refuses a directory that makes one too long to bind. */
#define CONF_CONTROL_SOCKET "control/socket"
#define CONF_BUS_SOCKET "bus/socket"
#define CONF_SOCKET_PATH_MAX 107

/* Where a secret comes from; the secret itself is never in here. In a worker (after
 * conf_pairing_decode) `credential` is CONF_HELD: the supervisor has it. */
#define CONF_HELD "held-by-the-supervisor"
struct conf_secret {
	const char *file;             /* absolute path, or NULL */
	const char *credential;       /* systemd credential name, or NULL */
};

struct conf_endpoint {
	const char *name;
	const char *type;             /* "imap", "local", ... as in the registry of types */
	int line;
	const char *login;            /* LoginName; NULL where there is none */
	const char *smtp_address;     /* or NULL */
	struct conf_secret password, default_password;
	const char *server;           /* host; NULL where there is none: an imap endpoint without mail */
	uint16_t port;                /* 0 = the type's default */
	enum conf_tls tls;
	const char *auth;             /* "" = automatic; "plain", "login", "xoauth2" ...; exchange: "basic" ... */
	const char *ca_file;          /* or NULL: the system's store */
	const char *ca_pem;           /* its contents, read at load; at most CONF_CA_MAX bytes */
	const char *path;             /* local: base directory */
	const char *caldav, *carddav; /* imap: URLs, {mailbox} and {user} not expanded; or NULL */
	uint32_t max_connections;     /* 0 = the type's default */
	const char *access;           /* exchange: "impersonate" or "delegate" */
	const char *front_end;        /* exchange: the URL of its web service, or NULL */
	const char *principal_name;   /* exchange: the name the front end's certificate carries, or NULL */
	uint32_t max_request_mib;     /* exchange: MaxRequestMiB, 64 */
	int64_t commit_grace_ms;      /* exchange: CommitGrace, 1 min */
	const char *http_proxy;       /* http://host:port, or NULL */
	const char *token_url, *scope; /* exchange, auth oauth: where a token is from, and for what; or NULL */
	const char *directory;        /* exchange: ldaps://host:port or ldap://host:port (StartTLS), or NULL */
	const char *directory_base;   /* a DN, or NULL: found out */
	const char *directory_login;  /* NULL: login, with its password */
	struct conf_secret directory_password;
};

struct conf_mailbox {
	const struct conf_endpoint *endpoint;
	const char *smtp_name;        /* SMTPName */
	const char *login;            /* its own LoginName, or NULL */
	struct conf_secret password;  /* its own, or both NULL; never without a login */
	int line;
};

struct conf_folder_map {
	const char *left, *right;     /* canonical paths ("A/B") */
};

struct conf_guard {
	uint32_t max_deletions;       /* 500 */
	uint32_t min_deletions;       /* 20: below this percentages do not count */
	uint32_t pairing_percent;     /* 5 */
	uint32_t folder_percent;      /* 25 */
	uint32_t max_creations;       /* 1000, after the first pass, and more than ... */
	uint32_t creations_percent;   /* 50 */
};

struct conf_pairing {
	const char *name;
	int line;
	struct conf_mailbox mailbox[SIDES];
	enum conf_conflict conflict;
	enum conf_deletions deletions[SIDES];  /* what becomes of that side's copy */
	const char *const *excludes;  /* canonical paths, a trailing slash-star covers children */
	size_t n_excludes;
	const struct conf_folder_map *maps;
	size_t n_maps;
	uint32_t kinds;               /* bit set of 1 << enum ep_kind; default all */
	bool busy_only[SIDES];        /* that side is given free/busy copies of the other's events */
	int64_t window_past_s, window_future_s;   /* events and tasks outside are left alone; 0 = no limit */
	struct conf_guard guard;
};

struct conf {
	const char *file;             /* as given */
	uint64_t generation;          /* set by the supervisor */
	uint32_t workers;             /* 15 */
	int64_t interval_ms;          /* LastSyncTimeInterval, 5 min */
	int64_t retry_bump_ms;        /* ErrorRetryBump, 15 min; 0 allowed */
	uint32_t print_configuration;
	enum log_level log_level;
	const char *trace;            /* "" or a comma list of categories */
	const char *state_dir, *log_dir, *runtime_dir;
	int64_t time_slice_ms;        /* TimeSlice, 15 min */
	int64_t heartbeat_timeout_ms; /* HeartbeatTimeout, 30 s */
	int64_t progress_timeout_ms;  /* ProgressTimeout, 300 s */
	int64_t dispatch_hold_ms;     /* DispatchHold: first hold after restarts in a row, 5 s */
	int64_t dispatch_hold_max_ms; /* DispatchHoldMax, 300 s */
	int64_t crash_quarantine_ms;  /* CrashQuarantine, 1 h */
	int64_t credential_trial_ms;  /* CredentialTrial: between tries of a refused logon, 5 min */
	int64_t stop_timeout_ms;      /* StopTimeout: draining after SIGTERM, 60 s */
	int64_t item_retry_ms;        /* ItemRetry: first retry of a quarantined item, 1 h */
	struct conf_guard guard;      /* what pairings without a <guard> of their own have */
	const struct conf_endpoint *endpoints;
	size_t n_endpoints;
	const struct conf_pairing *pairings;
	size_t n_pairings;
};

/* Warnings (an old name, a setting without effect) go to `warn` (may be NULL) one by one. */
enum code conf_load(const char *file, void (*warn)(void *ctx, const char *text), void *ctx,
		    struct conf **conf_r, struct err *err) MS_MUST_USE;
void conf_free(struct conf **conf);
/* Only RuntimeDirectory, from a file that need not be valid otherwise: a client must find the
 * running service while somebody edits. Malloc'd (mem_free); NULL if the XML cannot be read. */
char *conf_peek_runtime_dir(const char *file);
/* Connections that the endpoint bears at a time: MaxConnections, else its type's; 0 = no limit known. */
uint32_t conf_max_connections(const struct conf_endpoint *endpoint);
/* What the pairing carries: its kinds, as far as both endpoints are configured for them. Bit set. */
uint32_t conf_pairing_kinds(const struct conf_pairing *pairing);
/* It is reached over a network, and not a directory of this machine. */
bool conf_is_remote(const struct conf_endpoint *endpoint);
/* Some of it is reached by TLS. */
bool conf_uses_tls(const struct conf_endpoint *endpoint);
/* One of its endpoints is asked by HTTP. */
bool conf_pairing_uses_http(const struct conf_pairing *pairing);
/* One of its endpoints has a Directory. */
bool conf_pairing_has_directory(const struct conf_pairing *pairing);
/* R19: no error of this type's own stops a pairing. */
bool conf_never_stops(const struct conf_endpoint *endpoint);
const struct conf_pairing *conf_find_pairing(const struct conf *conf, const char *name);
const struct conf_endpoint *conf_find_endpoint(const struct conf *conf, const char *name);

/* The configuration as the parser read it, one setting a line, secrets as ***; for print-config
 * and PrintConfiguration. Calls `line` once per line, without newline. */
void conf_print(const struct conf *conf, void (*line)(void *ctx, const char *text), void *ctx);

/* One pairing with its two endpoints and the settings that a worker obeys, without secrets, as the
 * bytes a worker gets (JSON), and back. The result of conf_pairing_decode is a struct conf with
 * exactly one pairing and two endpoints (left, right; one twice if both sides share it). */
struct buf;
void conf_pairing_encode(const struct conf *conf, const struct conf_pairing *pairing,
			 struct buf *out);
enum code conf_pairing_decode(const char *json, size_t n, struct conf **conf_r,
			      struct err *err) MS_MUST_USE;

/* The whole configuration, with where its secrets are, as JSON and back: it is read and checked by a
 * process of its own (mailshadowd --read-config). */
void conf_encode(const struct conf *conf, struct buf *out);
enum code conf_decode(const char *json, size_t n, struct conf **conf_r, struct err *err) MS_MUST_USE;

/* "15m", "30s", "200ms" ...: the shortest exact form of a duration, as conf_print shows it. */
#define CONF_TIME_TEXT 32
const char *conf_time_text(int64_t ms, char out[CONF_TIME_TEXT]);
/* [A-Za-z0-9_-][A-Za-z0-9._-]{0,63}: safe as a file name. */
bool conf_name_valid(const char *name);
/* The pairing or endpoint whose name is closest to a mistyped one, NULL if none is close. */
const char *conf_near_pairing(const struct conf *conf, const char *name);

/* The login a mailbox uses: its own, else the service account's (authzid = SMTPName), else SMTPName
 * with DefaultPassword. */
enum conf_logon { LOGON_NONE_NEEDED, LOGON_OWN, LOGON_SERVICE, LOGON_DEFAULT, LOGON_MISSING };
enum conf_logon conf_mailbox_logon(const struct conf_mailbox *mailbox);
/* The name that it logs on with, whatever the kind of logon. */
const char *conf_mailbox_user(const struct conf_mailbox *mailbox);

/* Read the secret that a mailbox logs on with (file or systemd credential). E_CREDENTIALS_MISSING
 * when none is configured; *secret_r stays NULL for LOGON_NONE_NEEDED. */
enum code conf_mailbox_secret(const struct conf_mailbox *mailbox, struct secret **secret_r,
			      struct err *err) MS_MUST_USE;

/* The secret for the endpoint's Directory. */
enum code conf_directory_secret(const struct conf_endpoint *endpoint, struct secret **secret_r,
				struct err *err) MS_MUST_USE;

/* A Directory taken apart: ldap:// is TLS from the beginning all the same, begun by StartTLS. */
struct conf_directory {
	const char *host;             /* in the arena; an address without brackets */
	uint16_t port;                /* 3269 or 3268, the global catalog's, where the URL has none */
	bool starttls;
};
struct arena;
void conf_directory_parts(const char *url, struct arena *arena, struct conf_directory *parts_r);

#endif
