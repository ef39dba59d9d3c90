/* ical_print.c - a record as iCalendar: its components again, the time zones they need, and what a
 * silent write takes.
 */
#include "ical_p.h"

#include <stdlib.h>

#define PROGRAM "-//MailShadow//MailShadow//EN"
#define OPEN_MAX (CONTENT_DEPTH_MAX + 2)
#define YEAR_S ((int64_t)366 * 86400)

struct writer {
	struct arena *arena;
	const struct record *record;
	unsigned int flags;
	struct content_comp *calendar;
	struct { struct span path; struct content_comp *comp; } open[OPEN_MAX];
	size_t depth;
	struct span *zones;             /* TZIDs that were printed */
	size_t n_zones, cap_zones;
	int64_t from_s;                 /* the first start */
};

static void use_zone(struct writer *w, struct span tzid)
{
	for (size_t i = 0; i < w->n_zones; i++) {
		if (span_eq(w->zones[i], tzid))
			return;
	}
	w->zones = arena_grow(w->arena, w->zones, w->n_zones, sizeof(tzid), &w->cap_zones);
	w->zones[w->n_zones++] = tzid;
}

static struct content_comp *open_comp(struct writer *w, const struct record_entry *begin)
{
	while (w->depth > 0 && !record_is_below(begin->comp, w->open[w->depth - 1].path))
		w->depth--;
	struct content_comp *parent = w->depth > 0 ? w->open[w->depth - 1].comp : w->calendar;
	struct content_comp *comp = content_comp_new(w->arena, record_value(w->arena, begin));

	if (w->depth == OPEN_MAX)
		return parent;
	content_add_comp(w->arena, parent, comp);
	w->open[w->depth].path = begin->comp;
	w->open[w->depth++].comp = comp;
	return comp;
}

/* Lists that belong on one line: many programs read the first one only. */
static bool joins(const struct content_comp *comp, const struct content_line *line)
{
	static const char *const names[] = { "CATEGORIES", "RESOURCES", "EXDATE", "RDATE", "FREEBUSY" };
	const struct content_line *last = comp->n_lines > 0 ? &comp->lines[comp->n_lines - 1] : NULL;

	if (last == NULL || !span_eq(last->name, line->name) || last->n_params != line->n_params)
		return false;
	for (size_t i = 0; i < line->n_params; i++) {
		const struct content_param *a = &last->params[i], *b = &line->params[i];

		if (!span_eq(a->name, b->name) || a->n != 1 || b->n != 1 || !span_eq(a->values[0], b->values[0]))
			return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (span_eq_str(line->name, names[i]))
			return true;
	}
	return false;
}

/* Ends a list that grew in a buffer. */
struct list {
	struct buf values;
	bool open;
};

static void end_list(struct writer *w, struct list *list, struct content_comp *comp)
{
	if (list->open)
		comp->lines[comp->n_lines - 1].value = arena_span(w->arena, buf_span(&list->values));
	list->open = false;
	buf_clear(&list->values);
}

static void write_line(struct writer *w, struct list *list, struct content_comp *comp, struct content_line *line)
{
	struct span tzid = content_param_value(line, "TZID");
	bool person = span_eq_str(line->name, "ATTENDEE") || span_eq_str(line->name, "ORGANIZER");
	struct when when;

	if (tzid.n > 0)
		use_zone(w, tzid);
	if (span_eq_str(line->name, "DTSTART") && when_parse(line->value, SPAN_NONE, NULL, &when) &&
	    when.local_s < w->from_s)
		w->from_s = when.local_s;
	if (person && (w->flags & RECORD_SILENT))
		canon_set_param(w->arena, line, "SCHEDULE-AGENT", SPAN_LIT("CLIENT"));
	if (!joins(comp, line)) {
		end_list(w, list, comp);
		content_add_line(w->arena, comp, *line);
		return;
	}
	if (!list->open)
		buf_add_span(&list->values, comp->lines[comp->n_lines - 1].value);
	list->open = true;
	buf_add_char(&list->values, ',');
	buf_add_span(&list->values, line->value);
}

static void write_entries(struct writer *w)
{
	struct content_comp *comp = w->calendar;
	struct list list = { .open = false };
	struct span path = SPAN_LIT("");

	buf_init(&list.values, CONTENT_BYTES_MAX);
	for (size_t i = 0; i < w->record->n; i++) {
		const struct record_entry *e = &w->record->e[i];
		struct span rest = e->value, text;
		struct content_line line;

		if (span_starts_nocase(e->comp, "VTIMEZONE:"))
			continue;
		if (i == 0 || !span_eq(e->comp, path)) {
			const struct record_entry *begin =
				record_find(w->record, e->comp, SPAN_LIT("BEGIN"), SPAN_LIT(""));

			end_list(w, &list, comp);
			path = e->comp;
			comp = begin != NULL ? open_comp(w, begin) : w->calendar;
		}
		if (span_eq_str(e->prop, "BEGIN"))
			continue;
		while (span_next(&rest, '\n', &text)) {
			if (content_parse_line(w->arena, text, &line))
				write_line(w, &list, comp, &line);
		}
	}
	end_list(w, &list, comp);
	buf_free(&list.values);
}

static void put(struct writer *w, struct content_comp *comp, const char *name, struct span value)
{
	content_add_line(w->arena, comp, (struct content_line){ .name = span_of(name), .value = value });
}

/* RFC 5545 3.6.1 wants UID and DTSTAMP; without a stamp of its own the item's last change is one. */
static void complete(struct writer *w)
{
	for (size_t i = 0; i < w->calendar->n_comps; i++) {
		struct content_comp *comp = w->calendar->comps[i];
		const struct content_line *changed = content_find(comp, "LAST-MODIFIED");

		if (w->record->uid.n > 0 && comp->name.n > 0 && content_find(comp, "UID") == NULL)
			put(w, comp, "UID", text_escape(w->arena, w->record->uid));
		if (changed == NULL)
			changed = content_find(comp, "CREATED");
		if (content_find(comp, "DTSTAMP") == NULL)
			put(w, comp, "DTSTAMP", changed != NULL ? changed->value : SPAN_LIT("19700101T000000Z"));
	}
}

static struct content_comp *zone_rules(struct writer *w, struct span tzid)
{
	struct span name = span_of(arena_printf(w->arena, "VTIMEZONE:" SPAN_FMT, SPAN_ARG(tzid)));
	const struct record_entry *e = record_find(w->record, name, SPAN_LIT("RULES"), SPAN_LIT(""));
	struct content_comp *root;

	if (e == NULL)
		return tz_vtimezone(w->arena, tzid, w->from_s - YEAR_S);
	return content_parse(w->arena, e->value, &root, NULL) == E_OK && root->n_comps == 1 ? root->comps[0] : NULL;
}


static void write_zones(struct writer *w)
{
	struct content_comp *all = content_comp_new(w->arena, SPAN_LIT("VCALENDAR"));

	all->lines = w->calendar->lines;
	all->n_lines = w->calendar->n_lines;
	for (size_t i = 0; i < w->n_zones; i++) {
		struct content_comp *rules = zone_rules(w, w->zones[i]);

		if (rules != NULL)
			content_add_comp(w->arena, all, rules);
	}
	for (size_t i = 0; i < w->calendar->n_comps; i++)
		content_add_comp(w->arena, all, w->calendar->comps[i]);
	w->calendar = all;
}

struct content_comp *ical_write(struct arena *arena, const struct record *record, unsigned int flags)
{
	struct writer w = { .arena = arena, .record = record, .flags = flags, .from_s = INT64_MAX };

	w.calendar = content_comp_new(arena, SPAN_LIT("VCALENDAR"));
	put(&w, w.calendar, "VERSION", SPAN_LIT("2.0"));
	put(&w, w.calendar, "PRODID", SPAN_LIT(PROGRAM));
	write_entries(&w);
	complete(&w);
	if (w.from_s == INT64_MAX)
		w.from_s = YEAR_S;
	write_zones(&w);
	return w.calendar;
}

/* --- what times mean --- */

/* A zone by what its clock shows in the two years after the start; of a single event by the instant. */
static struct span zone_meaning(struct arena *arena, const struct tz *tz, int64_t from_s)
{
	uint64_t hash = 14695981039346656037u;

	for (int day = 0; day < 740; day++)
		hash = (hash ^ (uint64_t)(uint32_t)tz_offset(tz, from_s + day * (int64_t)86400)) * 1099511628211u;
	return span_of(arena_printf(arena, "~%016llx", (unsigned long long)hash));
}

static void put_meaning(struct arena *arena, struct tz_set *zones, struct span text, bool recurs, int64_t from_s,
			struct buf *out)
{
	struct content_line line;
	struct when w;

	if (!content_parse_line(arena, text, &line) || content_param(&line, "TZID") == NULL ||
	    !when_parse(line.value, content_param_value(&line, "TZID"), zones, &w) || w.kind != WHEN_ZONE ||
	    w.tz == NULL) {
		buf_add_span(out, text);
		return;
	}
	buf_add_span(out, line.name);
	buf_add_char(out, ':');
	if (!recurs) {
		w = (struct when){ .kind = WHEN_UTC, .local_s = when_utc(&w) };
		buf_add_span(out, when_print(arena, &w));
		return;
	}
	buf_add_span(out, when_print(arena, &w));
	buf_add_span(out, zone_meaning(arena, w.tz, from_s));
}

struct span ical_times_meaning(struct arena *arena, const struct record *record, struct span value)
{
	struct tz_set *zones = tz_set_new(arena);
	struct span rest = value, text;
	struct content_comp *root;
	bool recurs = false;
	struct when start;
	int64_t from_s = 0;
	struct buf out;

	buf_init(&out, CONTENT_BYTES_MAX);
	for (size_t i = 0; i < record->n; i++) {
		if (span_starts_nocase(record->e[i].comp, "VTIMEZONE:") &&
		    content_parse(arena, record->e[i].value, &root, NULL) == E_OK && root->n_comps == 1)
			tz_set_add(zones, root->comps[0]);
	}
	while (span_next(&rest, '\n', &text)) {
		struct content_line line;

		recurs |= span_starts_nocase(text, "RRULE") || span_starts_nocase(text, "RDATE");
		if (span_starts_nocase(text, "DTSTART") && content_parse_line(arena, text, &line) &&
		    when_parse(line.value, SPAN_NONE, NULL, &start))
			from_s = start.local_s;
	}
	tz_set_range(zones, from_s, from_s + 2 * YEAR_S);
	for (rest = value; span_next(&rest, '\n', &text);) {
		put_meaning(arena, zones, text, recurs, from_s, &out);
		buf_add_char(&out, '\n');
	}
	tz_set_free(&zones);
	struct span s = arena_span(arena, buf_span(&out));
	buf_free(&out);
	return s;
}
