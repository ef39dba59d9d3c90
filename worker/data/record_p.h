/* record_p.h - what the files of record share: building one entry by entry, and comparing keys. */
#ifndef MS_RECORD_P_H
#define MS_RECORD_P_H

#include "canon.h"
#include "record.h"

enum record_weight { WEIGHT_KEPT, WEIGHT_COUNTS };

enum record_class {
	ONCE,                           /* all lines of the name are one value */
	SET,                            /* each value between commas is an instance */
	EACH,                           /* each line is an instance, by its value */
	ATTENDEES,                      /* by lower-case address */
	KEPT,                           /* printed again, but never a difference */
	LEFT_OUT,                       /* not kept: stands elsewhere in the record, or is one server's own */
};

/* What a property is; tables are sorted by name. */
struct record_prop {
	const char *name;
	enum record_class class;
	enum canon_type type;
	const char *otherwise;          /* the value that goes without saying */
};

/* --- record.c --- */
/* NULL: the table does not name it. */
const struct record_prop *record_prop_find(const struct record_prop *table, size_t n, struct span name);
struct record *record_new(struct arena *arena, enum record_kind kind);
struct record_build {
	struct arena *arena;
	struct record *record;
	size_t cap;
	bool full;                      /* no room: E_ITEM_TOO_BIG */
};
/* Entries with inst "" and the same key become one of several lines, others are numbered: see
 * record_seal(). Values and keys are not copied. */
void record_add(struct record_build *build, struct record_entry entry);
/* CATEGORIES:a,b as two instances. */
void record_add_set(struct record_build *build, struct span comp, const struct content_line *line);
/* Sorts, drops what is there twice, joins or numbers what has the same key. After this the record
 * keeps the order that record.h promises. */
void record_seal(struct arena *arena, struct record *record);
int record_key_cmp(const struct record_entry *a, const struct record_entry *b);
bool record_is_below(struct span comp, struct span ancestor);   /* strictly */
/* An instance out of a value: itself, or a digest where it is long. */
struct span record_instance(struct arena *arena, struct span value);
struct span record_line(struct arena *arena, const struct content_line *line);   /* one unfolded line */
/* Value after the ':' of an entry's first line. */
struct span record_value(struct arena *arena, const struct record_entry *entry);

size_t record_from(const struct record *record, struct span comp);      /* index of its first entry */

/* --- record_patch.c --- */
bool record_is_begin(struct span prop);
void record_change_add(struct arena *arena, struct record_patch *patch, size_t *cap, struct record_change change);
const struct record_change *record_change_find(const struct record_patch *patch, const struct record_entry *key);
size_t record_change_from(const struct record_patch *patch, struct span comp);  /* index of its first change */

/* --- ical.c, vcard.c and their printers --- */
void vcard_set_kind(struct record *record);     /* contact or group, by its KIND */
enum code ical_read(struct arena *arena, struct content_comp *calendar, struct record **record_r,
		    struct err *err);
struct content_comp *ical_write(struct arena *arena, const struct record *record, unsigned int flags);
enum code vcard_read(struct arena *arena, const struct content_comp *card, struct record **record_r, struct err *err);
struct content_comp *vcard_write(struct arena *arena, const struct record *record, unsigned int flags);
/* A value of "DTSTART" in a form in which equal meanings are equal bytes across zones. */
struct span ical_times_meaning(struct arena *arena, const struct record *record, struct span value);

#endif
