/* dav.h - private to worker/dav: the session, its requests, one file per verb.
 *
 * Calendars, task lists and address books of one mailbox by CalDAV and CardDAV. A folder is a collection:
 * its name and id are the collection's path, in the form of dav_url.h, which no rename changes. An item is a
 * resource in it: its id is the last segment of its path, decoded; its version is its ETag.
 * A mark is 'T' and a sync-token, or 'C' and a CTag; a cursor 'T' and a sync-token, or 'C' alone.
 */
#ifndef MS_DAV_H
#define MS_DAV_H

#include "../../common/buf.h"
#include "../endpoint.h"
#include "../http/http.h"
#include "dav_parse.h"
#include "dav_url.h"

#define DAV_ITEM_MAX ((size_t)32 << 20)      /* of one item */
#define DAV_LISTING_MAX ((size_t)512 << 20)  /* of one answer that is read as it comes */
#define DAV_CALLS_HEADERS 10

enum dav_side { DAV_CALENDARS, DAV_CONTACTS, DAV_SIDES };

/* One of the two: what is configured, and where it was found. Everything lives in dav.life. */
struct dav_service {
	bool wanted;
	struct span url;                 /* as configured, expanded */
	struct span origin;              /* "https://host" */
	struct span homes[DAV_HREF_MAX]; /* canonical paths with '/' at the end */
	size_t n_homes;
	bool single;                     /* homes[0] is not a home but the only collection */
	bool tasks_seen, events_seen;
	bool no_multiget, no_move;       /* the server said so */
};

/* A collection of items as the server lists it. */
struct dav_collection {
	enum ep_kind kind;
	struct span path, display, mark, color;
	uint64_t max_bytes;              /* 0 = not told */
	uint32_t cards;                  /* DAV_VCARD_*; 0 = not told */
	bool is_default;
};

struct dav_collections {
	struct arena *arena;
	struct dav_collection *c;
	size_t n, cap;
	bool complete;
	struct span default_path;        /* schedule-default-calendar-URL */
};

struct dav {
	struct endpoint *ep;
	struct http *http;
	const char *user;                /* who logs on */
	struct arena *life, *scratch;    /* scratch: valid until the next response or call */
	struct dav_service service[DAV_SIDES];
	struct dav_collections ahead;    /* what open has listed already, until the first listing */
};

/* --- dav_req.c: requests --- */

/* One request; fill with dav_call_*(), run, look, dav_call_free(). */
struct dav_call {
	struct http_req http;            /* its out fields are the outcome */
	const char *headers[DAV_CALLS_HEADERS + 1];
	size_t n_headers;
	struct buf body;
	struct dav_parser *parser;       /* of the 207 that is expected; NULL: none */
	/* out: */
	enum code code;                  /* http.code, or E_PROTOCOL: the answer could not be read */
	const char *text;
	unsigned int status;             /* http.status; of a 207 without a parser: the one in it. 0: no answer */
	struct span precondition, token; /* in the arena of dav_run() */
	bool multistatus;                /* it was one, read to its end */
};

static inline enum dav_side dav_side_of(enum ep_kind kind)
{
	return kind == EP_CONTACTS ? DAV_CONTACTS : DAV_CALENDARS;
}
/* path: canonical. In the arena. */
const char *dav_url(struct dav *d, struct arena *arena, enum dav_side side, struct span path);
void dav_call_init(struct dav_call *c, const char *method, const char *url);
void dav_call_free(struct dav_call *c);
void dav_call_header(struct dav_call *c, const char *line);   /* stays the caller's */
/* A PROPFIND for these properties ("<D:getetag/>": DAV_XMLNS has the prefixes); fn gets its responses. */
void dav_call_propfind(struct dav_call *c, const char *url, unsigned int depth, const char *props, dav_response_fn *fn,
		       void *ctx);
/* A 207 with these responses is expected; the request's body is in c->body. */
void dav_call_expect(struct dav_call *c, dav_response_fn *fn, void *ctx);
void dav_xml_text(struct buf *b, struct span text);           /* escaped */
#define DAV_XMLNS \
	" xmlns:D=\"" DAV_D "\" xmlns:C=\"" DAV_CAL "\" xmlns:A=\"" DAV_CARD "\" xmlns:S=\"" DAV_CS "\"" \
	" xmlns:I=\"" DAV_APPLE "\""
#define DAV_XML "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
/* All of them, several at a time. The code is http_run()'s: of what ends the whole call. */
enum code dav_run(struct dav *d, struct arena *arena, struct dav_call **calls, size_t n, struct err *err) MS_MUST_USE;
enum code dav_run_one(struct dav *d, struct arena *arena, struct dav_call *c, struct err *err) MS_MUST_USE;
/* What a status of 300 or more means for an item that was to be written or read; `what`: "the new item". */
enum code dav_item_failure(const struct dav_call *c, const char *what, struct err *err);
/* "status 403 (no-uid-conflict)" */
const char *dav_status_text(struct arena *arena, const struct dav_call *c);
/* The ETag without "W/": conditions compare strongly. */
struct span dav_etag(struct span etag);
/* An element's failure: its code and text; other codes end the call and are returned. */
enum code dav_element(struct arena *arena, enum code rc, const struct err *err, enum code *code_r, const char **text_r);

/* --- dav_discover.c, dav_list.c --- */

enum code dav_discover(struct dav *d, enum dav_side side, struct err *err) MS_MUST_USE;
/* dav_remember.c: from and to the pairing's state. False: not known, or for another URL. */
bool dav_recall(struct dav *d, enum dav_side side);
enum code dav_remember(struct dav *d, enum dav_side side, struct err *err) MS_MUST_USE;
/* All collections of all homes. */
enum code dav_collect(struct dav *d, struct arena *arena, struct dav_collections *all, struct err *err) MS_MUST_USE;
/* As folders, with unique paths. In the arena. */
void dav_make_list(struct arena *arena, const struct dav_collections *all, struct ep_list *list_r);
enum code dav_list_verb(struct endpoint *ep, struct arena *arena, struct ep_list *list_r, struct err *err);

/* --- the other verbs --- */

enum code dav_changes_verb(struct endpoint *ep, struct arena *arena, struct ep_changes *c, size_t n, struct err *err);
enum code dav_fetch_verb(struct endpoint *ep, struct arena *arena, struct ep_fetch *f, size_t n, struct err *err);
enum code dav_apply_verb(struct endpoint *ep, struct arena *arena, struct ep_op *ops, size_t n, struct err *err);
enum code dav_folders_verb(struct endpoint *ep, struct arena *arena, struct ep_folder_op *ops, size_t n,
			   struct err *err);
/* Tests: how many items a page of changes may have; 0 = the default. */
void dav_set_page(unsigned int items);

#endif
