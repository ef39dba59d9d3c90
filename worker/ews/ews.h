/* ews.h - private to worker/ews: the session, its requests, one file per verb.
 *
 * A mailbox by Exchange Web Services. A folder's name and id are its FolderId, which no rename changes; an
 * item's id is its ItemId, a record's version its ChangeKey. A cursor is '1' and the server's SyncState; a mark
 * is what the server says of the folder: its last change, its counts.
 * Every request is silent: SaveOnly, SendToNone, SuppressReadReceipts.
 */
#ifndef MS_EWS_H
#define MS_EWS_H

#include "../../common/buf.h"
#include "../endpoint.h"
#include "../http/http.h"
#include "ews_error.h"
#include "ews_print.h"

#define EWS_TEXT_MAX ((size_t)32 << 20)      /* of one text in an answer, but for MIME */
#define EWS_ANSWER_MAX ((size_t)2 << 30)     /* of one answer, which is read as it comes */
#define EWS_REQUEST_MAX ((size_t)67108864)   /* of what is in memory of one */
#define EWS_SMALL_BATCH 10                   /* elements of a request with contents */
#define EWS_BATCH 100                        /* and without */

/* Folders that every mailbox has. X(ID, distinguished id, role) */
#define EWS_PLACE_LIST(X) \
	X(ROOT, "msgfolderroot", EP_ROLE_NONE) X(INBOX, "inbox", EP_ROLE_INBOX) X(SENT, "sentitems", EP_ROLE_SENT) \
	X(DRAFTS, "drafts", EP_ROLE_DRAFTS) X(TRASH, "deleteditems", EP_ROLE_TRASH) \
	X(JUNK, "junkemail", EP_ROLE_JUNK) X(CALENDAR, "calendar", EP_ROLE_CALENDAR) \
	X(CONTACTS, "contacts", EP_ROLE_CONTACTS) X(TASKS, "tasks", EP_ROLE_TASKS) \
	X(OUTBOX, "outbox", EP_ROLE_NONE)
enum ews_place {
#define X(id, text, role) EWS_##id,
	EWS_PLACE_LIST(X)
#undef X
	EWS_PLACES
};

struct ews {
	struct endpoint *ep;
	struct http *http;
	struct arena *life;
	const char *url;
	const char *mailbox;             /* its address */
	bool impersonate, delegate;
	unsigned int version;            /* index of the RequestServerVersion in use */
	bool v2013;                      /* its Flag and SuppressReadReceipts are known there */
	bool proven;                     /* the credentials were good for a request */
	bool zone_asked;
	const char *zone;                /* the mailbox's, by its Windows name; NULL: UTC; see ews_zone.c */
	struct span place[EWS_PLACES];   /* FolderIds; empty: the mailbox has none */
	uint32_t in_flight;
	uint64_t item_max;               /* so that its base64 fits into a request that the server takes */
	const char *headers[6];
};

/* --- ews_endpoint.c --- */
/* A client with this mailbox's credentials; http_free(). */
enum code ews_client(struct ews *e, struct http **http_r, struct err *err) MS_MUST_USE;

/* e->http, e->url and what each request carries; nothing is asked yet. */
enum code ews_begin(struct ews *e, struct err *err) MS_MUST_USE;

/* --- ews_discover.c --- */
struct ews_discovered {
	struct span inside, outside;     /* URLs of the web service; SPAN_NONE: it names none */
	struct span redirect, error;     /* another place to ask; why it tells nothing */
};
/* An answer of Autodiscover (response schema 2006a). In the arena. E_PROTOCOL: no XML, or too large. */
enum code ews_discover_read(struct arena *arena, struct span answer, struct ews_discovered *found_r,
			    struct err *err) MS_MUST_USE;

/* --- ews_props.c: properties without an element of their own --- */

#define EWS_GUID "6b1e5a7c-41f0-4d43-9d2e-7a5f0c8b3e61"   /* our own set */
extern const struct ews_prop ews_message_flags, ews_delivery_time, ews_verb, ews_icon,
	ews_flag_status, ews_imap_deleted, ews_receipt_wanted, ews_search_key, ews_hidden,
	ews_commit_time, ews_deleted_count, ews_identity, ews_keywords, ews_uid, ews_rest, ews_pending;

/* --- ews_req.c: requests --- */

/* One request; ews_call_init(), print the operation into body, run, look, ews_call_free(). */
struct ews_call {
	struct http_req http;
	struct buf body;
	struct ews_parser *parser;
	struct body *stream;             /* its base64 goes in at stream_at, while it is sent; or NULL */
	size_t stream_at;
	/* out: */
	enum code code;                  /* E_OK: an answer was read to its end, and was no fault */
	struct err err;
	struct span fault;               /* its ResponseCode; in the arena */
};

/* The handler's callbacks get ctx; it may be NULL. zone: the Windows name for times without one, NULL: UTC. */
void ews_call_init(struct ews *e, struct ews_call *c, const struct ews_handler *handler, void *ctx);
void ews_call_free(struct ews_call *c);
/* All of them, several at a time. The code is of what ends the whole call. */
enum code ews_run(struct ews *e, struct arena *arena, struct ews_call **calls, size_t n, struct err *err) MS_MUST_USE;
enum code ews_run_one(struct ews *e, struct arena *arena, struct ews_call *c, struct err *err) MS_MUST_USE;
/* A response message's outcome; the error says the operation and the ResponseCode. */
enum code ews_outcome(const struct ews_object *message, const char *what, struct err *err);
/* <t:FolderId .../>, or the distinguished one (with the mailbox where access is delegated). */
void ews_folder_id(struct buf *b, const struct ep_folder *folder);
/* <t:DistinguishedFolderId Id="name"/> of this mailbox */
void ews_distinguished_id(struct ews *e, struct buf *b, const char *name);
void ews_place_id(struct ews *e, struct buf *b, enum ews_place place);

/* One write, or look, of which one message tells how it went: ews_ask_begin(), print the operation into call.body,
 * ews_ask_end(). It goes out once. */
struct ews_ask {
	struct ews_call call;
	struct arena *arena;
	const char *what;                /* "making a folder" */
	void (*object)(struct ews_ask *ask, const struct ews_object *o);   /* gets what is told; or NULL */
	enum code code;
	struct err err;
};
void ews_ask_begin(struct ews *e, struct arena *arena, struct ews_ask *ask, const char *what,
		   void (*object)(struct ews_ask *ask, const struct ews_object *o));
enum code ews_ask_end(struct ews *e, struct ews_ask *ask, struct err *err) MS_MUST_USE;

/* --- ews_zone.c --- */

/* Makes sure that `zone` was asked for. A mailbox that never had one is no failure. */
enum code ews_ask_zone(struct ews *e, struct arena *arena, struct err *err) MS_MUST_USE;

/* --- ews_batch.c: elements in batches --- */

struct ews_el {
	void *what;                      /* the caller's */
	size_t group;                    /* only elements of one group go into one request */
	struct body *stream;             /* set by one(): as in struct ews_call; it is alone then by its bytes */
	size_t stream_at;
	size_t bytes;                    /* about how much it adds to the request or the answer */
	/* out: */
	enum code code;                  /* E_CANCELLED: was not answered */
	const char *text;                /* why */
	bool sent;                       /* the server may have seen it */
	unsigned int attempts;
	bool alone;                      /* it goes in a request of its own */
	bool stopped;                    /* the last answer said that it was not tried */
};

struct ews_batch {
	struct ews *e;
	struct arena *arena;
	const char *what;                /* "creating an item": for errors */
	size_t items, bytes;             /* at most in one request */
	bool writes;                     /* nothing of it is sent again unless the server said that it did nothing */
	void *ctx;
	/* What stands before the first and behind the last of a group, and one of them. Only E_OK is sent. */
	void (*begin)(void *ctx, struct buf *b, struct ews_el *first);
	enum code (*one)(void *ctx, struct buf *b, struct ews_el *el, struct err *err);
	void (*end)(void *ctx, struct buf *b, struct ews_el *first);
	/* An object of its answer, or a piece of its MIME; NULL where none matters. */
	enum code (*object)(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err);
	enum code (*mime)(void *ctx, struct ews_el *el, struct span piece, struct err *err);
};
/* Each element that is E_CANCELLED goes out and gets its outcome; of a write that an answer says nothing of, that is
 * E_ITEM_UNCERTAIN. A failure of the whole side ends it. */
enum code ews_batch_run(struct ews_batch *b, struct ews_el *els, size_t n, struct err *err) MS_MUST_USE;

/* --- ews_mail.c: flags, keywords, categories --- */

struct ews_flags {
	uint32_t flags;
	const char *keywords;            /* as in ep_item */
	int verb;                        /* PidTagLastVerbExecuted; 0: none */
	struct span *categories;         /* as they are */
	size_t n_categories;
	const char *hidden;              /* keywords that are no categories, or NULL */
};
/* The FieldURIs that ews_read_flags() wants. */
void ews_flag_fields(const struct ews *e, struct buf *b);
void ews_read_flags(struct arena *arena, const struct ews_object *o, struct ews_flags *flags_r);
/* In a new Message: Categories, then (in their order) the extended ones, then Flag and IsRead. */
void ews_print_categories(struct buf *b, struct arena *arena, const char *keywords);
void ews_print_flag_props(const struct ews *e, struct buf *b, struct arena *arena, uint32_t flags,
			  const char *keywords);
void ews_print_flag_tail(const struct ews *e, struct buf *b, uint32_t flags);
/* The change of an UpdateItem that takes the wish for a receipt away. */
void ews_print_no_receipt(struct buf *b);
/* Changes of an UpdateItem; false: there is none. */
bool ews_print_flag_changes(const struct ews *e, struct buf *b, struct arena *arena, const struct ews_flags *now,
			    const struct ep_op *op);
/* A category as a keyword, and back: see ews_mail.c. */
struct span ews_keyword(struct arena *arena, struct span category);
struct span ews_category(struct arena *arena, struct span keyword);
/* Message, MeetingRequest ...: an item that travels as a mail. */
bool ews_is_mail(struct span element);
/* The element that items of a folder of this kind are. */
const char *ews_element(enum ep_kind kind);

/* --- the verbs --- */

enum code ews_open(struct endpoint *ep, struct err *err);
enum code ews_advise_verb(struct endpoint *ep, struct arena *arena, const char **text_r, struct err *err);
enum code ews_directory_verb(struct endpoint *ep, struct arena *arena, struct ep_directory *d, struct err *err);
enum code ews_list_verb(struct endpoint *ep, struct arena *arena, struct ep_list *list_r, struct err *err);
enum code ews_changes_verb(struct endpoint *ep, struct arena *arena, struct ep_changes *c, size_t n, struct err *err);
enum code ews_describe_verb(struct endpoint *ep, struct arena *arena, struct ep_meta *m, size_t n, struct err *err);
enum code ews_fetch_verb(struct endpoint *ep, struct arena *arena, struct ep_fetch *f, size_t n, struct err *err);
enum code ews_apply_verb(struct endpoint *ep, struct arena *arena, struct ep_op *ops, size_t n, struct err *err);
enum code ews_folders_verb(struct endpoint *ep, struct arena *arena, struct ep_folder_op *ops, size_t n,
			   struct err *err);
/* An element's failure: its code and text; other codes end the call and are returned. */
enum code ews_element_end(struct arena *arena, enum code rc, const struct err *err, enum code *code_r,
			  const char **text_r);

#endif
