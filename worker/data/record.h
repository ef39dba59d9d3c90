/* record.h - an event, task or contact as a set of (component, property, instance) -> value.
 *
 * The form in which items are compared, and in which changes travel: as patches, not as copies. Values
 * are canonical content lines (see content.h), so that what servers rewrite (order, folding, case,
 * defaults, group names, VTIMEZONE texts, PRODID ...) is no difference. Everything is in the caller's
 * arena; there is no I/O, no clock and no log here.
 *
 * Components: "" the calendar itself, "VEVENT" the master, "VEVENT@20240101T090000Z" an exception by
 * its original start in UTC, "VEVENT/VALARM:-PT15M;DISPLAY" an alarm by trigger and action, "VCARD" a
 * contact. Instances: "" for a property that exists once, an attendee's lower-case address, the value
 * itself for sets (CATEGORIES, COMMENT ...), value and type for a contact's TEL, EMAIL, ADR ... Times
 * and recurrence of a component are one value under "DTSTART". Every component has a property "BEGIN".
 */
#ifndef MS_RECORD_H
#define MS_RECORD_H

#include "content.h"

enum record_kind {
	RECORD_EVENT, RECORD_TASK, RECORD_JOURNAL, RECORD_FREEBUSY, RECORD_CONTACT, RECORD_GROUP, RECORD_KINDS
};

struct record_entry {
	struct span comp, prop, inst;
	struct span value;              /* canonical lines, joined by "\n" */
	bool counts;                    /* false: kept for printing, no difference when it differs */
};

struct record {
	enum record_kind kind;
	struct span uid;                /* unescaped; empty: the item has none */
	struct record_entry *e;         /* sorted by comp (what is in it follows it), prop, inst; no two alike */
	size_t n;
};

/* One VCALENDAR (of one UID) or one VCARD of any version. E_ITEM_BAD: malformed, not exactly one item;
 * E_ITEM_TOO_BIG: limits, or no room in the arena. SCHEDULE-* parameters are gone after this. */
enum code record_parse(struct arena *arena, struct span text, struct record **record_r,
		       struct err *err) MS_MUST_USE;

enum record_print_flag {
	RECORD_VCARD_21 = 1,            /* default for contacts: 3.0 */
	RECORD_VCARD_40 = 2,
	RECORD_SILENT = 4,              /* SCHEDULE-AGENT=CLIENT on ORGANIZER and ATTENDEE: RFC 6638 7.1 */
};
/* As iCalendar or vCard, with the VTIMEZONEs it needs. E_ITEM_TOO_BIG: beyond the buffer's ceiling. */
enum code record_print(struct arena *arena, const struct record *record, unsigned int flags, struct buf *out,
		       struct err *err) MS_MUST_USE;

/* What decides between two items at first contact: equal keys = the same item. The UID; a contact
 * without a match by UID is looked for by its fallback: name and first address (or phone), lower-case;
 * SPAN_NONE if it has neither, and for what is no contact. */
struct span record_key(struct arena *arena, const struct record *record);
struct span record_key_fallback(struct arena *arena, const struct record *record);

/* Only what counts, in stable order: equal bytes = equal records. For the state's per-side bases. */
struct span record_canonical(struct arena *arena, const struct record *record);
/* Back from those bytes, for diff and merge (its `counts` are all true). E_STATE: damaged. */
enum code record_load(struct arena *arena, struct span canonical, struct record **record_r,
		      struct err *err) MS_MUST_USE;
/* The same to a person who reads both: also equal where only zone names differ, or a single event is
 * given in UTC on one side. */
bool record_equal(struct arena *arena, const struct record *a, const struct record *b);
/* Names of what differs in that sense ("SUMMARY", "VEVENT@20240101T090000Z LOCATION"), without values. */
size_t record_differences(struct arena *arena, const struct record *a, const struct record *b,
			  struct span **names_r);

struct record_change {
	struct span comp, prop, inst;
	struct span before, after;      /* SPAN_NONE: is not there */
};

struct record_patch {
	struct record_change *changes;  /* sorted as entries are; none = nothing changed */
	size_t n;
	const struct record *source;    /* where it came from: components that the target lacks are filled
					 * from there, and the time stamps */
};

/* The order of changes in a patch. */
int record_change_cmp(const struct record_change *a, const struct record_change *b);
/* What changed from base to now (base NULL: everything is new). Points into both. */
struct record_patch record_diff(struct arena *arena, const struct record *base, const struct record *now);
/* A new record: `now` with the patch in it; what the patch does not name stays. now NULL: a copy of
 * what the patch sets. */
struct record *record_apply(struct arena *arena, const struct record *now, const struct record_patch *patch);

enum record_policy { RECORD_NEWEST, RECORD_LEFT, RECORD_RIGHT, RECORD_BOTH };

struct record_conflict {
	struct span comp, prop, inst;
	struct span value[SIDES];       /* what each side wanted; SPAN_NONE: to remove it */
	enum side winner;
};

struct record_merge {
	struct record_patch to[SIDES];  /* what has to be written to each side; n = 0: nothing */
	struct record_conflict *conflicts;
	size_t n_conflicts;
	bool copy;                      /* RECORD_BOTH met a conflict: `loser`'s record goes on as another item */
	enum side loser;
};

/* Both sides against their own bases (NULL bases: first contact). Changes of different properties both
 * survive; of the same one the policy decides, and the losing value is in the conflicts. An edited
 * component (exception, alarm) survives its deletion on the other side, unless that side moved the
 * whole series. RECORD_NEWEST compares LAST-MODIFIED or REV; where one is missing, or they are less
 * than two minutes apart, left wins. RECORD_BOTH decides as newest does, all for one side. */
void record_merge(struct arena *arena, const struct record *const base[SIDES], const struct record *const now[SIDES],
		  enum record_policy policy, struct record_merge *merge_r);

/* Seconds since 1970 of LAST-MODIFIED or REV (of exceptions: the newest); 0 = not told. */
int64_t record_modified(const struct record *record);
/* The same record under another UID (conflict copies). Shares the entries. */
struct record *record_with_uid(struct arena *arena, const struct record *record, struct span uid);
/* The ground to tell changes against after a write of which nobody knows whether it was made: `base` was there,
 * `sent` was to replace it, `now` is there. Property by property: what we did not change, and what still is as it
 * was, keeps its base; else what was sent; without what now lacks. *some_r: something that was sent has arrived;
 * *all_r: nothing of it is as it was. */
struct record *record_ground(struct arena *arena, const struct record *base, const struct record *sent,
			     const struct record *now, bool *some_r, bool *all_r);
/* `sent` without what `now` lacks: what a server that was sent the one and gives the other can hold. */
struct record *record_held(struct arena *arena, const struct record *sent, const struct record *now);
/* The entry with that key; NULL if there is none. */
const struct record_entry *record_find(const struct record *record, struct span comp, struct span prop,
				       struct span inst);
/* The decoded text of a property that exists once ("SUMMARY" of "VEVENT"); empty if there is none. */
struct span record_text(struct arena *arena, const struct record *record, const char *comp, const char *prop);

#endif
