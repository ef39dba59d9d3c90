/* ical_time.c - times and recurrence of a component as one value.
 *
 * DURATION becomes DTEND or DUE, a missing DTEND is written out (some servers refuse an event without
 * one), EXDATE and RDATE are told as DTSTART is, UNTIL in UTC where DTSTART has a zone (RFC 5545
 * 3.3.10), rule parts in one order without what goes without saying.
 */
#include "ical_p.h"

#include <stdlib.h>

#define DAY_S ((int64_t)86400)

static const char *const time_names[] = { "DTSTART", "DTEND", "DUE", "DURATION", "RRULE", "EXRULE", "RDATE", "EXDATE" };

bool ical_is_time(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(time_names); i++) {
		if (span_eq_nocase_str(name, time_names[i]))
			return true;
	}
	return false;
}

void ical_keep_zone(struct ical_reader *r, const struct when *w)
{
	struct arena *arena = r->build.arena;
	struct buf text;

	if (w->kind != WHEN_ZONE || w->tz == NULL || !tz_is_private(w->tz) || w->tz == r->last_zone)
		return;
	r->last_zone = w->tz;
	struct span comp = span_of(arena_printf(arena, "VTIMEZONE:" SPAN_FMT, SPAN_ARG(w->tzid)));
	for (size_t i = 0; i < r->build.record->n; i++) {
		if (span_eq(r->build.record->e[i].comp, comp))
			return;
	}
	buf_init(&text, CONTENT_BYTES_MAX);
	content_print(&text, tz_private_rules(arena, w->tz));
	record_add(&r->build, (struct record_entry){ .comp = comp, .prop = SPAN_LIT("RULES"), .inst = SPAN_LIT(""),
						     .value = arena_span(arena, buf_span(&text)) });
	buf_free(&text);
}

/* --- rules --- */

static int part_rank(struct span part)
{
	static const char *const order[] = { "FREQ=", "UNTIL=", "COUNT=", "INTERVAL=" };

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (span_starts_nocase(part, order[i]))
			return (int)i;
	}
	return (int)ARRAY_LEN(order);
}

static int part_order(const void *va, const void *vb)
{
	const struct span *a = va, *b = vb;
	int c = part_rank(*a) - part_rank(*b);

	return c != 0 ? c : span_cmp(*a, *b);
}

/* Numbers by size, weekdays in the week's order, "+1MO" as "1MO". */
static int value_rank(struct span v, long *number_r)
{
	static const char days[] = "MOTUWETHFRSASU";
	char text[16];
	char *end;

	if (v.n == 0 || v.n >= sizeof(text))
		return 99;
	memcpy(text, v.p, v.n);
	text[v.n] = '\0';
	*number_r = strtol(text, &end, 10);
	const char *day = strlen(end) == 2 ? strstr(days, end) : NULL;
	return day != NULL ? (int)(day - days) : 0;
}

static int value_order(const void *va, const void *vb)
{
	const struct span *a = va, *b = vb;
	long na = 0, nb = 0;
	int ra = value_rank(*a, &na), rb = value_rank(*b, &nb);

	if (na != nb)
		return na < nb ? -1 : 1;
	return ra != rb ? ra - rb : span_cmp(*a, *b);
}

/* The values behind the '=' of a BY part, sorted, without repetition. */
static struct span sort_values(struct arena *arena, struct span part)
{
	size_t eq = span_find(part, 0, '='), n = 0, cap = 0;
	struct span rest = span_cut(part, eq + 1, part.n), one, *values = NULL;
	char *out = arena_raw(arena, part.n + 1), *to = mempcpy(out, part.p, eq + 1);

	while (span_next(&rest, ',', &one)) {
		one = span_trim(one);
		if (one.n > 1 && one.p[0] == '+')
			one = span_cut(one, 1, one.n);
		values = arena_grow(arena, values, n, sizeof(one), &cap);
		values[n++] = one;
	}
	if (n > 1)
		qsort(values, n, sizeof(*values), value_order);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && span_eq(values[i], values[i - 1]))
			continue;
		if (i > 0)
			*to++ = ',';
		to = mempcpy(to, values[i].p, values[i].n);
	}
	return span_bytes(out, (size_t)(to - out));
}

static struct span until_in_utc(struct arena *arena, struct span part, const struct when *start)
{
	struct when until;

	if (start == NULL || !when_parse(span_cut(part, 6, part.n), SPAN_NONE, NULL, &until))
		return part;
	if (until.kind == WHEN_FLOATING && start->kind == WHEN_UTC)
		until.kind = WHEN_UTC;
	if (until.kind == WHEN_FLOATING && start->kind == WHEN_ZONE && start->tz != NULL)
		until = (struct when){ .kind = WHEN_UTC, .local_s = tz_to_utc(start->tz, until.local_s) };
	return span_of(arena_printf(arena, "UNTIL=" SPAN_FMT, SPAN_ARG(when_print(arena, &until))));
}

struct span ical_rule(struct arena *arena, struct span rule, const struct when *start)
{
	struct span rest = text_upper(arena, rule), part, *parts = NULL;
	size_t n = 0, cap = 0;
	char *out = arena_raw(arena, rule.n + 64), *to = out;

	while (span_next(&rest, ';', &part)) {
		part = span_trim(part);
		if (part.n == 0 || span_eq_str(part, "INTERVAL=1") || span_eq_str(part, "WKST=MO"))
			continue;
		if (span_starts_nocase(part, "UNTIL="))
			part = until_in_utc(arena, part, start);
		else if (span_starts_nocase(part, "BY") && span_find(part, 0, '=') != SIZE_MAX)
			part = sort_values(arena, part);
		parts = arena_grow(arena, parts, n, sizeof(part), &cap);
		parts[n++] = part;
	}
	if (n > 1)
		qsort(parts, n, sizeof(*parts), part_order);
	for (size_t i = 0, until = 0; i < n; i++) {
		if (part_rank(parts[i]) == 1 && until++ > 0)
			continue;               /* two UNTILs: the first; also keeps `out` large enough */
		if (to != out)
			*to++ = ';';
		to = mempcpy(to, parts[i].p, parts[i].n);
	}
	return span_bytes(out, (size_t)(to - out));
}

/* --- one time --- */

static struct content_line time_line(struct arena *arena, const struct content_line *from, const struct when *w)
{
	struct content_line out = *from;

	canon_drop_param(&out, "TZID");
	canon_drop_param(&out, "VALUE");
	if (w->kind == WHEN_ZONE)
		canon_set_param(arena, &out, "TZID", w->tzid);
	if (w->kind == WHEN_DATE)
		canon_set_param(arena, &out, "VALUE", SPAN_LIT("DATE"));
	out.value = when_print(arena, w);
	return out;
}

struct content_line ical_time_line(struct ical_reader *r, const struct content_line *line)
{
	struct content_line out = canon_line(r->build.arena, line, CANON_TIME);
	struct when w;

	if (!when_parse(out.value, content_param_value(&out, "TZID"), r->zones, &w))
		return out;
	ical_keep_zone(r, &w);
	return time_line(r->build.arena, &out, &w);
}

/* --- all of a component --- */

struct times {
	struct ical_reader *reader;
	struct span path;
	struct when start;
	bool has_start;
};

static void add(struct times *t, const struct content_line *line)
{
	record_add(&t->reader->build, (struct record_entry){
		.comp = t->path, .prop = SPAN_LIT("DTSTART"), .inst = SPAN_LIT(""),
		.value = record_line(t->reader->build.arena, line), .counts = true });
}

/* Lists of dates: a line each, told as the start is told. */
static void add_dates(struct times *t, const struct content_line *line)
{
	struct arena *arena = t->reader->build.arena;
	struct content_line out = canon_line(arena, line, CANON_TIME);
	struct span tzid = content_param_value(&out, "TZID"), rest = out.value, one;
	struct when w;

	while (span_next(&rest, ',', &one)) {
		size_t slash = span_find(one, 0, '/');
		struct content_line single = out;

		single.value = one = span_trim(one);
		if (when_parse(span_cut(one, 0, slash), tzid, t->reader->zones, &w)) {
			if (t->has_start)
				w = when_as(&w, &t->start);
			ical_keep_zone(t->reader, &w);
			single.params = NULL;
			single.n_params = 0;
			single = time_line(arena, &single, &w);
			if (slash != SIZE_MAX) {
				canon_set_param(arena, &single, "VALUE", SPAN_LIT("PERIOD"));
				single.value = span_of(arena_printf(arena, SPAN_FMT SPAN_FMT, SPAN_ARG(single.value),
								    SPAN_ARG(span_cut(one, slash, one.n))));
			}
		}
		if (one.n > 0)
			add(t, &single);
	}
}

static void add_rule(struct times *t, const struct content_line *line)
{
	struct content_line out = canon_line(t->reader->build.arena, line, CANON_RULE);

	out.value = ical_rule(t->reader->build.arena, out.value, t->has_start ? &t->start : NULL);
	add(t, &out);
}

/* DTEND or DUE out of DURATION, or DTEND out of nothing. */
static void add_end(struct times *t, const char *name, const struct content_line *duration)
{
	struct content_line out = { .name = span_of(name) };
	struct canon_duration d = { .days = t->start.kind == WHEN_DATE };

	if (duration != NULL) {
		out = canon_line(t->reader->build.arena, duration, CANON_DURATION);
		if (!t->has_start || !canon_duration_parse(out.value, &d)) {
			add(t, &out);
			return;
		}
		out = (struct content_line){ .name = span_of(name) };
	}
	struct when end = when_plus(&t->start, &d);
	out = time_line(t->reader->build.arena, &out, &end);
	add(t, &out);
}

void ical_read_times(struct ical_reader *r, const struct content_comp *comp, struct span path)
{
	const struct content_line *start = content_find(comp, "DTSTART"), *duration = NULL;
	struct times t = { .reader = r, .path = path };
	bool is_event = span_eq_nocase_str(comp->name, "VEVENT"), has_end = false;

	if (start != NULL) {
		struct content_line line = ical_time_line(r, start);

		t.has_start = when_parse(line.value, content_param_value(&line, "TZID"), r->zones, &t.start);
	}
	for (size_t i = 0; i < comp->n_lines; i++) {
		const struct content_line *line = &comp->lines[i];

		if (!ical_is_time(line->name))
			continue;
		if (span_eq_nocase_str(line->name, "DURATION")) {
			duration = line;
		} else if (span_eq_nocase_str(line->name, "RRULE") || span_eq_nocase_str(line->name, "EXRULE")) {
			add_rule(&t, line);
		} else if (span_eq_nocase_str(line->name, "RDATE") || span_eq_nocase_str(line->name, "EXDATE")) {
			add_dates(&t, line);
		} else {
			struct content_line out = ical_time_line(r, line);

			has_end |= !span_eq_nocase_str(line->name, "DTSTART");
			add(&t, &out);
		}
	}
	if (!has_end && (duration != NULL || (is_event && t.has_start)))
		add_end(&t, is_event || span_eq_nocase_str(comp->name, "VFREEBUSY") ? "DTEND" : "DUE", duration);
}
