/* dav_parse.h - multistatus (RFC 4918 13) and error bodies, read as they arrive. Pure.
 *
 * One callback per <response> and href. Of the properties only those in the list below are kept, and of these
 * only what a propstat with a 2xx status gave. Unknown elements are skipped with all that is in them.
 */
#ifndef MS_DAV_PARSE_H
#define MS_DAV_PARSE_H

#include "../../common/arena.h"
#include "../../common/err.h"

/* Texts of properties: X(ID, namespace, name). Sent as they are here in PROPFIND bodies. */
#define DAV_D "DAV:"
#define DAV_CAL "urn:ietf:params:xml:ns:caldav"
#define DAV_CARD "urn:ietf:params:xml:ns:carddav"
#define DAV_CS "http://calendarserver.org/ns/"
#define DAV_APPLE "http://apple.com/ns/ical/"
#define DAV_TEXT_LIST(X) \
	X(NAME, DAV_D, "displayname") X(ETAG, DAV_D, "getetag") X(TOKEN, DAV_D, "sync-token") \
	X(CTAG, DAV_CS, "getctag") X(EVENT, DAV_CAL, "calendar-data") X(CARD, DAV_CARD, "address-data") \
	X(COLOR, DAV_APPLE, "calendar-color") \
	X(CAL_MAX, DAV_CAL, "max-resource-size") X(CARD_MAX, DAV_CARD, "max-resource-size")
enum dav_text {
#define X(id, ns, name) DAV_TEXT_##id,
	DAV_TEXT_LIST(X)
#undef X
	DAV_TEXTS
};
/* Properties that hold hrefs. */
#define DAV_HREF_LIST(X) \
	X(PRINCIPAL, DAV_D, "current-user-principal") X(CAL_HOME, DAV_CAL, "calendar-home-set") \
	X(CARD_HOME, DAV_CARD, "addressbook-home-set") X(DEFAULT, DAV_CAL, "schedule-default-calendar-URL")
enum dav_href {
#define X(id, ns, name) DAV_HREF_##id,
	DAV_HREF_LIST(X)
#undef X
	DAV_HREFS
};
/* Properties that hold elements; each known element is a bit of `marks`. X(ID, property, ns, name) */
#define DAV_MARK_LIST(X) \
	X(COLLECTION, "resourcetype", DAV_D, "collection") X(CALENDAR, "resourcetype", DAV_CAL, "calendar") \
	X(ADDRESSBOOK, "resourcetype", DAV_CARD, "addressbook") X(PRINCIPAL, "resourcetype", DAV_D, "principal") \
	X(INBOX, "resourcetype", DAV_CAL, "schedule-inbox") X(OUTBOX, "resourcetype", DAV_CAL, "schedule-outbox") \
	X(SUBSCRIBED, "resourcetype", DAV_CS, "subscribed") X(NOTIFY, "resourcetype", DAV_CS, "notification") \
	X(SYNC, "report", DAV_D, "sync-collection") X(CAL_GET, "report", DAV_CAL, "calendar-multiget") \
	X(CARD_GET, "report", DAV_CARD, "addressbook-multiget")
enum dav_mark {
#define X(id, prop, ns, name) DAV_MARK_##id,
	DAV_MARK_LIST(X)
#undef X
	DAV_MARKS
};
enum { DAV_VEVENT = 1, DAV_VTODO = 2, DAV_OTHER_COMP = 4 };
enum { DAV_VCARD_3 = 1, DAV_VCARD_4 = 2 };
#define DAV_HREF_MAX 8                 /* of one property */

struct dav_props {
	bool has_types;                    /* resourcetype was there */
	bool has_comps, has_cards;         /* supported-calendar-component-set, supported-address-data were */
	uint32_t marks;                    /* 1 << enum dav_mark */
	uint32_t comps, cards;             /* bits above */
	bool has[DAV_TEXTS];
	struct span text[DAV_TEXTS];       /* blanks at both ends dropped, but of items */
	struct span href[DAV_HREFS][DAV_HREF_MAX];
	size_t n_href[DAV_HREFS];
};

/* Lives until the callback returns. */
struct dav_response {
	struct span href;                  /* as it stands there */
	unsigned int status;               /* of the whole response; 0: see the propstats */
	unsigned int prop_status;          /* the last status of a propstat that was not 2xx; 0: none */
	bool too_big;                      /* the item is larger than allowed and is not in props */
	struct span precondition;          /* name of the element in <error>, without namespace */
	struct dav_props props;
};

struct dav_parser;

typedef enum code dav_response_fn(void *ctx, const struct dav_response *r, struct err *err);

/* item_bytes: of one text. Fails with E_PROTOCOL, or as the callback does. */
struct dav_parser *dav_parser_new(dav_response_fn *fn, void *ctx, size_t item_bytes, size_t total_bytes);
void dav_parser_free(struct dav_parser **parser);
/* Has the type of http_req.sink; ctx is the parser. */
enum code dav_parser_feed(void *parser, struct span piece, struct err *err) MS_MUST_USE;
enum code dav_parser_end(struct dav_parser *parser, struct err *err) MS_MUST_USE;
/* The root was <multistatus>. */
bool dav_parser_is_multistatus(const struct dav_parser *parser);
/* Valid until dav_parser_free(): the multistatus' sync-token; the first element in <error>, as
 * the root or directly in it. Empty: there was none. */
struct span dav_parser_token(const struct dav_parser *parser);
struct span dav_parser_precondition(const struct dav_parser *parser);

#endif
