/* ews_print.h - pieces of requests: texts, ids, properties, base64. Pure. */
#ifndef MS_EWS_PRINT_H
#define MS_EWS_PRINT_H

#include "ews_parse.h"

/* Escaped for an element or an attribute; what XML 1.0 cannot hold becomes '?'. */
void ews_xml(struct buf *b, struct span text);
/* <t:Name>text</t:Name> */
void ews_el(struct buf *b, const char *name, struct span text);
void ews_el_bool(struct buf *b, const char *name, bool value);
/* <t:ItemId Id="..." ChangeKey="..."/>; change_key may be empty */
void ews_id(struct buf *b, const char *name, struct span id, struct span change_key);
/* <t:FieldURI FieldURI="item:Subject"/> */
void ews_field(struct buf *b, const char *uri);
/* <t:ExtendedFieldURI .../> */
void ews_prop_uri(struct buf *b, const struct ews_prop *p);
/* <t:ExtendedProperty>...</t:ExtendedProperty> with the value as it stands */
void ews_prop_value(struct buf *b, const struct ews_prop *p, struct span value);
void ews_prop_int(struct buf *b, const struct ews_prop *p, long value);
void ews_prop_time(struct buf *b, const struct ews_prop *p, int64_t seconds);
void ews_prop_binary(struct buf *b, const struct ews_prop *p, struct span bytes);

struct ews_encoder {
	unsigned char kept[3];
	size_t n;
};
/* Base64 of bytes that come in pieces. */
void ews_base64_add(struct ews_encoder *e, struct buf *b, struct span piece);
void ews_base64_end(struct ews_encoder *e, struct buf *b);
void ews_base64(struct buf *b, struct span bytes);

/* xs:dateTime, in UTC, and back ("2019-04-05T06:07:08Z", with an offset, or local: then *local_r). */
#define EWS_TIME_TEXT 32
const char *ews_time(int64_t seconds, char out[EWS_TIME_TEXT]);
bool ews_read_time(struct span text, int64_t *seconds_r, bool *local_r);

#endif
