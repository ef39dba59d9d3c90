/* ews_parse.h - answers of Exchange Web Services, read as they arrive. Pure.
 *
 * An answer holds one response message per element of the request, in its order; a message holds objects
 * (items, folders, changes, attachments). An object is told when it is complete, as a flat list: one entry
 * per element in document order, by its path below the object ("Flag/FlagStatus"), and one per attribute
 * ("ItemId@Id"). An element that has elements in it has an empty text. Nothing of it lives longer than the callback.
 */
#ifndef MS_EWS_PARSE_H
#define MS_EWS_PARSE_H

#include "../../common/arena.h"
#include "../../common/buf.h"
#include "../../common/err.h"

#define EWS_ENTRIES_MAX 200000          /* of one object */

struct ews_entry {
	struct span path, text;
};

struct ews_object {
	struct span name;                /* "Message", "CalendarFolder", "Delete" ... */
	struct span change;              /* "Create", "Update" of a synchronisation; else empty */
	const struct ews_entry *e;
	size_t n;
};

/* A property that has no element of its own: a tag, or a number or name in a set. */
struct ews_prop {
	unsigned int tag;                /* 0: not by tag */
	const char *set;                 /* "Common", "Appointment" ..., or a GUID */
	unsigned int id;                 /* in a set; 0: by name */
	const char *name;
	const char *type;                /* "Integer", "String", "Binary" ... */
};

/* The text of the first entry with that path; SPAN_NONE: there is none (empty is not NULL then). */
struct span ews_text(const struct ews_object *o, const char *path);
/* The entry with that path at or after *at, which is moved behind it; NULL: no more. */
const struct ews_entry *ews_next(const struct ews_object *o, const char *path, size_t *at);
/* The entry is in the element that begins at e[from] (whose path is `path`), or an attribute of it. */
bool ews_within(const struct ews_object *o, size_t from, size_t at);
/* The text of the first entry with that path below e[from]; SPAN_NONE: there is none. */
struct span ews_below(const struct ews_object *o, size_t from, const char *path);
/* The value of an extended property; SPAN_NONE: it is not set. */
struct span ews_ext(const struct ews_object *o, const struct ews_prop *p);
bool ews_true(struct span text);
/* Milliseconds of MessageXml's BackOffMilliseconds; 0: not told. */
uint32_t ews_back_off(const struct ews_object *message);

struct ews_handler {
	/* `message`: its number in the answer. Any of them may be NULL. */
	enum code (*object)(void *ctx, size_t message, const struct ews_object *o, struct err *err);
	/* At its end; the entries are those outside of objects: "@ResponseClass", "ResponseCode", "SyncState" ... */
	enum code (*message)(void *ctx, size_t message, const struct ews_object *m, struct err *err);
	/* The base64 text of a message's MimeContent in pieces; it is in no object then. */
	enum code (*mime)(void *ctx, size_t message, struct span piece, struct err *err);
};

struct ews_parser;

/* Fails with E_PROTOCOL, or as a callback does. */
struct ews_parser *ews_parser_new(const struct ews_handler *handler, void *ctx, size_t text_bytes, size_t total_bytes);
void ews_parser_free(struct ews_parser **parser);
/* Has the type of http_req.sink; ctx is the parser. */
enum code ews_parser_feed(void *parser, struct span piece, struct err *err) MS_MUST_USE;
enum code ews_parser_end(struct ews_parser *parser, struct err *err) MS_MUST_USE;
/* Valid until ews_parser_free(). The SOAP fault: "ResponseCode" (empty: there was no fault), its text and wait. */
struct span ews_parser_fault(const struct ews_parser *parser);
struct span ews_parser_fault_text(const struct ews_parser *parser);
uint32_t ews_parser_fault_wait(const struct ews_parser *parser);
/* ServerVersionInfo; 0: not told. */
unsigned int ews_parser_major(const struct ews_parser *parser);
unsigned int ews_parser_minor(const struct ews_parser *parser);

/* Base64 in pieces; blanks are skipped. *carry: 0 at first. False: it is not base64. */
struct ews_base64 {
	uint32_t bits;
	unsigned int n, pad;
};
bool ews_base64_decode(struct ews_base64 *state, struct span piece, struct buf *out);

#endif
