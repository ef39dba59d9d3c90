/* ews_map.h - between the fields of an item and the lines of a record: one mapper per kind. Pure.
 *
 * to_text() gives what the fields say; to_values() gives the fields that say a record, as far as there are any.
 * What has no field is the difference between a record and the text of its own fields: it is kept with the item
 * as a patch (ews_rest.c), and each part of it holds only as long as nobody changed the field that it is about.
 */
#ifndef MS_EWS_MAP_H
#define MS_EWS_MAP_H

#include "../data/record.h"
#include "../data/tz.h"
#include "ews_values.h"

/* When something starts: recurrences and exceptions are told by it. */
struct ews_start {
	bool date;                       /* a day, without a time */
	int64_t local_s;                 /* as its own clock shows it */
	const struct tz *tz;             /* NULL: UTC; of a day: whose midnight it is on the server */
};
struct ews_mapper {
	const char *element;             /* "Contact" */
	const char *order;               /* the schema's sequence of what to_values() sets */
	const char *fields;              /* FieldURIs that to_text() reads, separated by blanks */
	const struct ews_prop *const *props;   /* and properties; NULL at the end */
	/* Unfolded lines of one component without BEGIN, END and UID. master: of an exception, its series' start;
	 * start_r (may be NULL): this one's. E_ITEM_REFUSED: it cannot be told without being wrong. */
	enum code (*to_text)(struct arena *arena, const struct ews_object *o, const struct ews_start *master,
			     struct ews_start *start_r, struct buf *text, struct err *err);
	/* E_ITEM_REFUSED: the server's fields cannot say it, and a part of it would be wrong. */
	enum code (*to_values)(const struct record *record, const char *comp, struct ews_values *vs, struct err *err);
};

extern const struct ews_mapper ews_contact_mapper, ews_group_mapper, ews_task_mapper, ews_event_mapper;
const struct ews_mapper *ews_mapper_of(int kind);       /* enum ep_kind */
/* Of this record, or of this element (NULL: no item of that kind). */
const struct ews_mapper *ews_mapper_for(int kind, const struct record *record);
const struct ews_mapper *ews_mapper_named(int kind, struct span element);

/* --- ews_item.c: lines, and what all kinds have in common --- */

/* NAME:text, escaped; nothing if the text is empty. params: ";TYPE=HOME" or "". */
void ews_line(struct buf *b, struct arena *arena, const char *name, const char *params, struct span text);
/* The first line of a component's property; false: there is none. Its value is raw. */
bool ews_get_line(struct arena *arena, const struct record *r, const char *comp, const char *prop,
		  struct content_line *line_r);
/* The lines of the component's properties of that name, one after the other; *at is 0 at first. */
bool ews_next_line(struct arena *arena, const struct record *r, const char *comp, const char *prop, size_t *at,
		   struct content_line *line_r);
/* A line with that name within one entry's value (a component's times are one). */
bool ews_time_line(struct arena *arena, const struct record *r, const char *comp, const char *name,
		   struct content_line *line_r);
struct span ews_record_text(struct arena *arena, const struct record *r, const char *comp, const char *prop);
/* SUMMARY, DESCRIPTION (contacts: NOTE), CATEGORIES, CLASS, PRIORITY. */
void ews_common_text(struct arena *arena, const struct ews_object *o, const char *note, struct buf *text);
void ews_common_values(const struct record *r, const char *comp, const char *note, struct ews_values *vs);
/* "20240131" of a day. */
const char *ews_day(int64_t seconds, char out[16]);

/* --- ews_recur.c --- */

/* An RRULE's value as what is in <t:Recurrence>. E_ITEM_REFUSED: the server has no such pattern. */
enum code ews_recur_xml(struct span rule, const struct ews_start *start, struct buf *xml, struct err *err) MS_MUST_USE;
/* The item's Recurrence as an RRULE's value; false: it has none that a rule can say. */
bool ews_recur_rule(const struct ews_object *o, const struct ews_start *start, struct buf *rule);
/* The value of a time property, with its TZID parameter; false: unknown zone. home: the name of the zone in which days
 * and floating times are; NULL: UTC. */
bool ews_read_start(struct tz_set *zones, const char *home, const struct content_line *line,
		    struct ews_start *start_r);
int64_t ews_start_utc(const struct ews_start *start);
/* NAME;TZID=...:20240131T100000, or as UTC, or a day. */
void ews_start_line(struct buf *b, const char *name, const struct ews_start *start);

/* --- ews_alarm.c --- */

/* What the component is an alarm of ("VEVENT" of "VEVENT/VALARM:-PT15M;DISPLAY"); SPAN_NONE: it is no alarm. */
struct span ews_alarm_parent(struct span comp);
/* The alarm of the component that the server's reminder stands for; SPAN_NONE: there is none. *at_r (may be NULL): of
 * an event the minutes before its start, of a task the instant; home: as in ews_read_start(). */
struct span ews_alarm_of(struct arena *arena, const struct record *r, const char *comp, const char *home,
			 int64_t *at_r);

/* --- ews_rest.c --- */

/* What `wanted` says beyond `plain`, as a text for the property; empty: nothing. E_ITEM_TOO_BIG: no room for it. */
enum code ews_rest_make(struct arena *arena, const struct record *plain, const struct record *wanted,
			struct span *rest_r, struct err *err) MS_MUST_USE;
/* `plain` with what of it still holds. */
struct record *ews_rest_apply(struct arena *arena, struct record *plain, struct span rest);

/* --- ews_contact.c --- */

/* What the item is called; "?": nothing. */
struct span ews_full_name(const struct ews_object *o);

/* --- ews_group.c: members of groups --- */

/* A UID without "urn:uuid:". */
struct span ews_member_bare(struct span uid);
/* Of "mailto:a@b.example"; SPAN_NONE: it is none. */
struct span ews_member_address(struct span uri);
/* The one with that UID, or NULL. */
const struct ews_member *ews_member_of(const struct ews_members *all, struct span uid);
void ews_member_add(struct arena *arena, struct ews_members *all, struct ews_member member);
void ews_members_add(struct arena *arena, struct ews_members *all, const struct ews_members *more);
/* Those that an object names, and as lines. E_ITEM_REFUSED: there is one that no line can name. */
void ews_group_note(struct arena *arena, const struct ews_object *o, struct ews_members *all);
enum code ews_group_lines(struct arena *arena, const struct ews_members *all, struct buf *text,
			  struct err *err) MS_MUST_USE;

#endif
