/* endpoint.h - THE contract between the sync engine and a mail system.
 *
 * It is written for the author of the next protocol. One protocol = one folder with one `const
 * struct ep_ops`, and one row in endpoint.c. The rules:
 *
 * - Calls block (waiting only in fiber_wait() or net/), have deadlines of their own, and work on
 *   batches: arrays in, one outcome per element out. Pipeline or batch inside as you are able to.
 *   A call's return code tells of the whole call (connection lost, logon refused, cancelled): it
 *   is not E_OK only if no element after the failure was attempted. What happened to one element is
 *   in that element's `code`. Elements that were not attempted keep E_CANCELLED; a create whose
 *   answer was lost gets E_ITEM_UNCERTAIN.
 * - Nobody calls the table directly: the engine uses ep_*() below, which run the verb on the side's
 *   fiber, check, trace, count steps and inject faults. A verb that is asked for (ep_ask) runs
 *   while the caller does something else; ep_collect waits for it. Verbs of one side run in the
 *   order in which they were asked for.
 * - Memory: everything a verb returns lives in the `arena` of the request and is the caller's.
 *   What goes in must stay valid until the request is collected.
 * - Ids, marks and cursors are the server's own bytes, opaque to the engine, compared as bytes.
 * - An absence may be believed only from a listing that is `complete`: the protocol said that it
 *   was the end, and counts agree. In any doubt: not complete.
 * - Paths are canonical: UTF-8 components joined by '/', with '/' inside a component written %2F and
 *   '%' before "2F" or "25" written %25 (data/path.h). INBOX is "INBOX". A protocol translates to
 *   and from its own names reversibly.
 * - Writes never notify anybody. Deletion happens only where the engine says EP_REMOVE.
 * - Records (every kind but mail) change in place: ep_item.version tells which content is there. They
 *   have no flags, are never described, and travel as whole texts (iCalendar, vCard). What is written
 *   is read back by the engine, so a write need not tell what the server made of it.
 */
#ifndef MS_ENDPOINT_H
#define MS_ENDPOINT_H

#include "../common/arena.h"
#include "../common/conf.h"
#include "../common/err.h"
#include "../common/secret.h"
#include "../common/span.h"
#include "data/body.h"

enum ep_kind { EP_MAIL, EP_EVENTS, EP_CONTACTS, EP_TASKS, EP_KINDS };
const char *ep_kind_name(enum ep_kind kind);             /* "mail" ... */

#define EP_ROLE_LIST(X) \
	X(NONE, "") X(INBOX, "inbox") X(SENT, "sent") X(DRAFTS, "drafts") X(TRASH, "trash") \
	X(JUNK, "junk") X(ARCHIVE, "archive") X(ALL, "all") X(CALENDAR, "calendar") \
	X(CONTACTS, "contacts") X(TASKS, "tasks")
enum ep_role {
#define X(id, text) EP_ROLE_##id,
	EP_ROLE_LIST(X)
#undef X
	EP_ROLES
};
const char *ep_role_name(enum ep_role role);
/* "#RRGGBB" out of what a server or a file says ("#RRGGBBAA\n" ...); SPAN_NONE if it is no colour. */
struct span ep_color(struct span text);

/* System flags. \Recent does not exist here; everything else is a keyword. */
enum {
	EP_SEEN = 1, EP_ANSWERED = 2, EP_FLAGGED = 4, EP_DELETED = 8, EP_DRAFT = 16,
	EP_FLAGS_ALL = 31
};
/* Keywords of one item: sorted bytewise, joined by single spaces, no duplicates, NULL = none. On a
 * case-insensitive system (IMAP) compare with kw_*() of data/flags.h. */

/* What this mailbox can hold and tell; filled by open. */
struct ep_caps {
	uint32_t kinds;              /* bit set of 1 << enum ep_kind */
	uint64_t max_item_bytes;     /* 0 = no limit known */
	bool exact_size;             /* ep_meta.size is the exact CRLF size of what a fetch gives */
	bool keeps_bytes;            /* a fetch gives the bytes that were created */
	bool stable_key;             /* ep_meta.key survives moves */
	bool marks_flags;            /* an unchanged ep_folder.mark also proves unchanged flags */
	bool moves;                  /* EP_MOVE keeps the item (no copy + delete) */
	uint32_t window_items;       /* items per fetch/create batch that this side likes, 0 = 1000 */
	uint32_t late_s;             /* so long a create whose answer was lost may still be under way there */
	unsigned int record_print;   /* how records that are written here are printed (data/record.h) */
};

/* One folder of a listing. */
struct ep_folder {
	enum ep_kind kind;
	enum ep_role role;
	struct span path;            /* canonical */
	struct span name;            /* how the server calls it; the adapter finds the folder by it */
	struct span id;              /* survives a rename if id_stable; never empty */
	bool id_stable;              /* the server guarantees the id (MAILBOXID, identity file) */
	bool selectable;             /* false: exists only to hold children */
	struct span mark;            /* equal to an earlier one = no change since; empty = cannot tell */
	uint64_t count;              /* items; UINT64_MAX = not known */
	uint32_t flags;              /* system flags it can hold; 0 = not known yet (then all) */
	bool keywords;               /* new keywords can be stored; true until known otherwise */
	struct span color;           /* of a calendar or task list, "#RRGGBB"; empty = none */
};

/* Listing of all folders. complete == false: nothing may be concluded from an absence. */
struct ep_list {
	struct ep_folder *folders;
	size_t n;
	bool complete;
};

/* One item as a listing shows it. */
struct ep_item {
	struct span id;
	uint32_t flags;              /* enum above */
	const char *keywords;        /* see above; NULL = none */
	struct span version;         /* content version where items change in place, else empty */
};

/* What changed in one folder since `since` (a cursor of an earlier call, empty = everything). */
struct ep_changes {
	const struct ep_folder *folder;  /* in; flags/keywords may be read back from flags_r below */
	struct ep_folder_op *make;       /* in, or NULL: an EP_FOLDER_CREATE to do first; `folder` is its folder_r.
	                                  * If it comes to nothing, its code is this one's too */
	struct span since;               /* in */
	enum code code;                  /* out, with text in `text` */
	const char *text;
	bool full;                   /* items = everything that is there; else only new and changed */
	bool complete;               /* see the rules above; a delta is complete if it lacks nothing */
	bool reset;                  /* `since` does not fit this folder any more: all old ids are void */
	struct ep_item *items;       /* ascending by id where ids have an order */
	size_t n;
	struct span *gone;           /* delta only: ids that vanished; unknown ones are harmless */
	size_t n_gone;
	struct span cursor;          /* to be committed when all of the above is durable */
	uint32_t flags_r;            /* system flags that can be stored here permanently */
	bool keywords_r;             /* new keywords can be stored here */
};

/* Identity and attributes of one item, without its body. */
struct ep_meta {
	const struct ep_folder *folder;  /* in */
	struct span id;                  /* in */
	enum code code;                  /* out: E_OK, E_ITEM_GONE, E_ITEM_REFUSED ... */
	struct span header;          /* the identity header fields (mailkey.h), raw, any order */
	uint64_t size;
	int64_t received;            /* seconds; INT64_MIN = not kept here */
	struct span key;             /* server-wide stable key, empty = none */
};

/* One item with its body. */
struct ep_fetch {
	const struct ep_folder *folder;  /* in */
	struct span id;                  /* in */
	enum code code;                  /* out, with text */
	const char *text;
	struct body *body;           /* the caller's, body_free() */
	uint32_t flags;
	const char *keywords;
	int64_t received;
	struct span key;
	struct span version;             /* records: of exactly these bytes */
};

/* EP_UPDATE: the record's content becomes `body`. */
enum ep_op_kind { EP_CREATE, EP_FLAGS, EP_MOVE, EP_COPY, EP_REMOVE, EP_UPDATE };
const char *ep_op_name(enum ep_op_kind kind);

/* One change to make on one side. */
struct ep_op {
	enum ep_op_kind kind;
	const struct ep_folder *folder;  /* where the item is, or is created */
	const struct ep_folder *to;      /* EP_MOVE, EP_COPY: destination (EP_COPY = add_place) */
	struct span id;                  /* not for EP_CREATE */
	struct body *body;               /* EP_CREATE, EP_UPDATE: stays the caller's */
	struct span uid;                 /* EP_CREATE of a record: its UID, which new_id may be made from. If the
	                                  * folder has one of that UID: E_ITEM_UNCERTAIN, the next pass merges */
	struct span version;             /* EP_UPDATE, EP_REMOVE, EP_MOVE of a record: only if this is what is there
	                                  * (else E_ITEM_CHANGED); empty = whatever is there */
	uint32_t flags;                  /* EP_CREATE: all; EP_FLAGS: to add */
	uint32_t flags_remove;           /* EP_FLAGS */
	const char *keywords;            /* EP_CREATE: all; EP_FLAGS: to add */
	const char *keywords_remove;     /* EP_FLAGS */
	int64_t received;                /* EP_CREATE; INT64_MIN = not known */
	/* out */
	enum code code;
	const char *text;                /* why, for a person; NULL with E_OK */
	struct span new_id;              /* CREATE, MOVE, COPY; empty = server did not tell (next pass sees);
	                                  * for a record always known, or an edit made meanwhile may lose */
	struct span new_version;         /* CREATE, UPDATE of a record: the version that was written; empty = the server
	                                  * did not tell, and an edit made before it is read back passes for ours */
};

/* A folder that is going to be written to. */
struct ep_target {
	const struct ep_folder *folder;
	const char *keywords;            /* of items that will be created there, all together */
	bool removes;                    /* items will be removed from it */
};

enum ep_folder_op_kind { EP_FOLDER_CREATE, EP_FOLDER_RENAME, EP_FOLDER_REMOVE };

/* One change to the folder tree. Missing parents are made. REMOVE refuses (E_FOLDER_REFUSED) a
 * folder that still holds items or selectable children. */
struct ep_folder_op {
	enum ep_folder_op_kind kind;
	struct span path;                /* CREATE, RENAME: canonical path wanted */
	enum ep_role role;               /* CREATE: mark it so if the server is able to */
	enum ep_kind item_kind;          /* CREATE */
	struct span color;               /* CREATE: give it that colour if there is such a thing */
	const struct ep_folder *folder;  /* RENAME, REMOVE */
	enum code code;                  /* out; E_FOLDER_EXISTS on CREATE: folder_r is filled as well */
	const char *text;
	struct ep_folder folder_r;       /* CREATE, RENAME: the folder as a listing would show it */
};

/* One mailbox that the organisation's directory tells of. */
struct ep_address {
	struct span address;             /* the primary one */
	struct span name, login;         /* shown to people; to log on with; empty: not told */
	const char *type;                /* "user", "shared", "room" ...; "system" is no person's */
	bool hidden;                     /* from address lists */
	bool disabled;                   /* its account is */
	struct span *aliases;
	size_t n_aliases;
};

/* The directory, told one by one as it arrives; nothing of an address lives longer than the call. */
struct ep_directory {
	void *ctx;
	enum code (*one)(void *ctx, const struct ep_address *address, struct err *err);
	/* out */
	const char *source;              /* whom it was asked from */
	const char *lacking;             /* why it may not be all; NULL: it is */
};

/* An EP_FOLDER_CREATE that led to a folder that can be used. */
static inline bool ep_folder_made(const struct ep_folder_op *op)
{
	return (op->code == E_OK || op->code == E_FOLDER_EXISTS) && op->folder_r.id.n > 0 && op->folder_r.selectable;
}

/* What an endpoint gets from its surroundings; valid for its whole life. */
struct ep_env {
	const struct conf_endpoint *conf;
	const struct conf_mailbox *mailbox;
	const char *ca_pem;              /* contents of CAFile, or NULL = the system's store */
	uint32_t kinds;                  /* bit set of what the pairing carries at most; 0 = not told: all */
	bool looks_only;                 /* the pass writes nothing: nor does a read of it */
	int spool_dir;                   /* directory for O_TMPFILE spools */
	void *ctx;
	/* The secret for this mailbox; *secret_r is the caller's. purpose: "password", "token"; "directory": the
	 * endpoint's for its Directory. */
	enum code (*secret)(void *ctx, const char *purpose, struct secret **secret_r, struct err *err);
	/* The protocol's small key-value store in the pairing's state; values are bytes. */
	enum code (*kv_get)(void *ctx, const char *key, struct arena *arena, struct span *value_r, struct err *err);
	enum code (*kv_put)(void *ctx, const char *key, struct span value, struct err *err);
};

struct endpoint;

/* The table of one protocol. `ep->impl` is the protocol's own struct. */
struct ep_ops {
	const char *type;                /* "imap" */
	/* Make ep->impl; no I/O. */
	enum code (*make)(struct endpoint *ep, struct err *err);
	/* Connect, log on, learn the capabilities (ep->caps), set ep->identity where there is one.
	 * E_LOGON_FAILED only if the server refused the credentials. */
	enum code (*open)(struct endpoint *ep, struct err *err);
	/* Say good-bye if possible and release everything; also after a failed open. */
	void (*close)(struct endpoint *ep);
	enum code (*list)(struct endpoint *ep, struct arena *arena, struct ep_list *list_r, struct err *err);
	enum code (*changes)(struct endpoint *ep, struct arena *arena, struct ep_changes *c, size_t n, struct err *err);
	bool changes_make;               /* `changes` serves ep_changes.make itself, in less round trips; else `folders`
	                                  * is called before it, and it is not called for what could not be made */
	/* These folders are written to next: ask ahead for what has to be known then, and do not wait for the answers.
	 * Changes nothing. NULL: nothing has to be known. */
	enum code (*prepare)(struct endpoint *ep, struct arena *arena, struct ep_target *targets, size_t n,
			struct err *err);
	enum code (*describe)(struct endpoint *ep, struct arena *arena, struct ep_meta *m, size_t n, struct err *err);
	enum code (*fetch)(struct endpoint *ep, struct arena *arena, struct ep_fetch *f, size_t n, struct err *err);
	enum code (*apply)(struct endpoint *ep, struct arena *arena, struct ep_op *ops, size_t n, struct err *err);
	enum code (*folders)(struct endpoint *ep, struct arena *arena, struct ep_folder_op *ops,
			size_t n, struct err *err);
	/* What the organisation itself says of how to reach this mailbox, for a person; also after a failed open.
	 * NULL: there is no such service for this protocol. adviser: how that service is called. */
	const char *adviser;
	enum code (*advise)(struct endpoint *ep, struct arena *arena, const char **text_r, struct err *err);
	/* The addresses of the organisation's mailboxes; needs no open. NULL: this protocol has no directory. */
	enum code (*directory)(struct endpoint *ep, struct arena *arena, struct ep_directory *d, struct err *err);
};

struct fiber;
struct ep_req;

struct endpoint {
	const struct ep_ops *ops;
	struct ep_env env;
	struct ep_caps caps;
	struct span identity;            /* of the store; empty = the protocol has none. Owned by impl */
	enum side side;
	struct err missing;              /* set by an open that did well: some kinds could not be reached now, and
					  * why; they are not in caps.kinds. code E_OK: nothing is missing */
	void *impl;
	struct fiber *fiber;             /* below: the wrapper's own */
	struct ep_req *first, *last;
	bool opened;
	uint64_t calls;
	uint64_t written, written_bytes; /* items that were written, bytes of created bodies */
};

/* --- what the engine uses (endpoint.c, endpoint_wrap.c) --- */

/* The table for a type, NULL if there is none. Test builds also know "memory". */
const struct ep_ops *ep_find_type(const char *type);
/* The table for an endpoint as it is configured and as the pairing uses it (endpoint_join.h). */
const struct ep_ops *ep_choose(const struct ep_env *env);
enum code ep_new(const struct ep_env *env, enum side side, struct endpoint **ep_r, struct err *err) MS_MUST_USE;
/* Closes (waiting for what is under way) and frees. */
void ep_free(struct endpoint **ep);

enum ep_verb {
	EP_V_OPEN, EP_V_LIST, EP_V_CHANGES, EP_V_DESCRIBE, EP_V_FETCH, EP_V_PREPARE, EP_V_APPLY, EP_V_FOLDERS,
	EP_V_ADVISE, EP_V_DIRECTORY
};

/* A request: fill verb, arena and the array of that verb; keep it until collected. */
struct ep_req {
	enum ep_verb verb;
	struct arena *arena;
	void *items;                     /* struct ep_list *, ep_changes *, ep_meta *, ep_fetch *, ep_op *, ...;
					  * EP_V_ADVISE: const char **, EP_V_DIRECTORY: struct ep_directory * */
	size_t n;
	/* out */
	enum code code;
	struct err err;
	/* private */
	struct endpoint *ep;
	struct ep_req *next;
	bool asked, done;
};

/* Leave this side's endpoint alone until then (clock_mono_ms; 0 = it is free): a call waits if that
 * is soon, else it is E_THROTTLED with the time that is left. Holds for the whole process. */
void ep_pause(enum side side, int64_t until_ms);
/* Start a request (returns when it waits for the first time); ep_collect waits for its end and
 * returns its code (copied to err). */
void ep_ask(struct endpoint *ep, struct ep_req *req);
enum code ep_collect(struct ep_req *req, struct err *err) MS_MUST_USE;
/* Both in one. */
enum code ep_call(struct endpoint *ep, enum ep_verb verb, struct arena *arena, void *items, size_t n,
		  struct err *err) MS_MUST_USE;

#endif
