/* vcard_p.h - what reading and printing contacts share.
 *
 * The form in a record is closest to vCard 4.0: PREF=1 for TYPE=pref, KIND and MEMBER, pictures and keys
 * as data: URIs, positions as geo: URIs, dates as 19850412 or --0412, phones as texts. Lines of one
 * group ("item1.TEL", "item1.X-ABLabel") are one value; the group's name there is VCARD_GROUP.
 */
#ifndef MS_VCARD_P_H
#define MS_VCARD_P_H

#include "record_p.h"
#include "when.h"

#define VCARD_GROUP "G"

/* vcard_value.c: values between the versions; all in the arena. */
/* vCard 2.1: bare words become TYPE, ENCODING or VALUE; commas and backslashes mean themselves. */
struct content_line vcard_from_21(struct arena *arena, const struct content_line *line);
/* PHOTO, LOGO, SOUND, KEY of any version as a URI. */
bool vcard_is_media(struct span name);
void vcard_read_media(struct arena *arena, struct content_line *line);
/* The data: URI as ENCODING=`encoding` with its TYPE; a plain URI with VALUE=uri. */
void vcard_write_media(struct arena *arena, struct content_line *line, const char *encoding);
bool vcard_is_date(struct span name);
void vcard_read_date(struct arena *arena, struct content_line *line);
void vcard_write_date_30(struct arena *arena, struct content_line *line);

#endif
