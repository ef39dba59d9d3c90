/* canon.h - one spelling for equal content lines: parameters, values by their type, times, durations. */
#ifndef MS_CANON_H
#define MS_CANON_H

#include "content.h"
#include "tz.h"

/* How a property's value is brought into one spelling, and which VALUE= goes without saying. */
enum canon_type {
	CANON_RAW,                      /* only cleaned: URIs, and what is unknown */
	CANON_TEXT, CANON_LIST,         /* LIST: texts between commas */
	CANON_FIELDS,                   /* texts in lists in fields: "a,b;c;;", empty fields at the end cut off */
	CANON_URI, CANON_ADDRESS,       /* ADDRESS: "mailto:" in lower case */
	CANON_WORD,                     /* case does not matter: STATUS, CLASS */
	CANON_INTEGER, CANON_DURATION, CANON_TIME, CANON_PERIOD, CANON_RULE, CANON_BINARY,
};

/* Makes names usable in place: only letters, digits, '-' and '_' stay; lines and parameters without any, and
 * properties that would read as BEGIN or END, are dropped. */
void canon_names(struct arena *arena, struct content_comp *comp);
/* Parameters: names in upper case and sorted, words in upper case, defaults and noise left out. The
 * value: by its type (times only cleaned: see when.h). A new line in the arena. */
struct content_line canon_line(struct arena *arena, const struct content_line *line, enum canon_type type);
/* Is this property only what some server adds for itself? See the table for the reasons. */
bool canon_is_noise(struct span name);
/* ISO 8601 durations: false if it is none. Days and seconds apart: a day may have 23 hours. */
struct canon_duration { bool negative; int64_t days, seconds; };
bool canon_duration_parse(struct span value, struct canon_duration *d_r);
struct span canon_duration_print(struct arena *arena, const struct canon_duration *d);
/* The param without it; false if there was none. */
bool canon_drop_param(struct content_line *line, const char *name);
void canon_set_param(struct arena *arena, struct content_line *line, const char *name, struct span value);

#endif
