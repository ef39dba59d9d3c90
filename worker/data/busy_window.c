/* busy_window.c - does an item fall into a window of dates? Rules are expanded by libical, within bounds:
 * it is only given rules of a day or longer steps, a fixed number of steps, and a start not before 1900.
 * Whatever cannot be told counts as inside, so that nothing vanishes by mistake.
 */
#include "busy.h"

#include "ical_door.h"
#include "record_p.h"
#include "when.h"

#include <stdlib.h>

#define STEPS_MAX 10000                 /* occurrences of a series that are looked at: 27 years of days */
#define YEAR_1900 ((int64_t)-2208988800)
#define DAY_S ((int64_t)86400)

struct window {
	struct arena *arena;
	struct tz_set *zones;
	int64_t from_s, to_s;
};

/* The times of one component, as record.h keeps them. */
struct span_of_time {
	struct when start;
	bool has_start, has_end;
	int64_t end_s, length_s;        /* of the first occurrence */
	struct span rule;
	size_t rules;
};

static bool overlaps(const struct window *w, int64_t start_s, int64_t length_s)
{
	return start_s < w->to_s && (start_s + length_s > w->from_s || (length_s == 0 && start_s >= w->from_s));
}

static bool take_time(struct window *w, struct span text, struct content_line *line, struct when *when)
{
	return content_parse_line(w->arena, text, line) &&
	       when_parse(line->value, content_param_value(line, "TZID"), w->zones, when);
}

static struct span_of_time read_times(struct window *w, const struct record_entry *e)
{
	struct span_of_time t = { .has_start = false };
	struct span rest = e->value, text;
	struct content_line line;
	struct when when;

	while (span_next(&rest, '\n', &text)) {
		bool ok = take_time(w, text, &line, &when);

		if (ok && span_eq_str(line.name, "DTSTART")) {
			t.start = when;
			t.has_start = true;
		} else if (ok && (span_eq_str(line.name, "DTEND") || span_eq_str(line.name, "DUE"))) {
			t.end_s = when_utc(&when);
			t.has_end = true;
		} else if (span_starts_nocase(text, "RRULE:")) {
			t.rule = line.value;
			t.rules++;
		}
	}
	if (t.has_start && t.has_end && t.end_s > when_utc(&t.start))
		t.length_s = t.end_s - when_utc(&t.start);
	return t;
}

/* Any RDATE in the window? Their periods may be longer than the event: a day's slack covers what matters. */
static bool has_date_inside(struct window *w, const struct record_entry *e, const struct span_of_time *t)
{
	struct span rest = e->value, text;

	while (span_next(&rest, '\n', &text)) {
		struct content_line line;
		struct when when;

		if (!span_starts_nocase(text, "RDATE") || !content_parse_line(w->arena, text, &line))
			continue;
		struct span date = span_cut(line.value, 0, span_find(line.value, 0, '/'));
		int64_t length = date.n < line.value.n ? t->length_s + DAY_S : t->length_s;

		if (when_parse(date, content_param_value(&line, "TZID"), w->zones, &when) &&
		    overlaps(w, when_utc(&when), length))
			return true;
	}
	return false;
}

/* EXDATEs are told as the start is (see ical_time.c), so their text can be compared. */
static bool is_excluded(struct window *w, const struct record_entry *e, const struct when *at)
{
	struct span rest = e->value, text, date = when_print(w->arena, at);

	while (span_next(&rest, '\n', &text)) {
		if (span_starts_nocase(text, "EXDATE") && text.n > date.n && text.p[text.n - date.n - 1] == ':' &&
		    span_eq(span_cut(text, text.n - date.n, date.n), date))
			return true;
	}
	return false;
}

/* Is there an exception for this occurrence? Then that one tells where it is now. */
static bool is_moved(struct window *w, const struct record *r, struct span comp, const struct when *at)
{
	struct when utc = { .kind = at->kind == WHEN_ZONE && at->tz != NULL ? WHEN_UTC : at->kind,
			    .local_s = when_utc(at) };
	struct span path = span_of(arena_printf(w->arena, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(comp),
						SPAN_ARG(when_print(w->arena, &utc))));

	return record_find(r, path, SPAN_LIT("BEGIN"), SPAN_LIT("")) != NULL;
}

/* Steps of a day or more, of one rule. */
static bool is_tame(const struct span_of_time *t)
{
	static const char *const steps[] = { "FREQ=DAILY", "FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=YEARLY" };
	static const char *const costly[] = { "BYHOUR", "BYMINUTE", "BYSECOND", "RSCALE" };
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		known |= span_starts_nocase(t->rule, steps[i]);
	for (size_t i = 0; i < ARRAY_LEN(costly); i++)
		known &= span_find_nocase(t->rule, costly[i]) == SIZE_MAX;
	return known && t->rules == 1 && t->rule.n < 400 && when_utc(&t->start) >= YEAR_1900;
}

static int64_t seconds_of(const struct icaltimetype *t)
{
	return when_days(t->year, t->month, t->day) * DAY_S + t->hour * 3600 + t->minute * 60 + t->second;
}

/* Does the rule end before the window begins? Saves walking it. */
static bool ends_before(const struct window *w, const struct icalrecurrencetype *rule, const struct span_of_time *t)
{
	return !ical()->icaltime_is_null_time(rule->until) &&
	       seconds_of(&rule->until) + DAY_S + t->length_s < w->from_s;
}

static bool is_set(const short *by)
{
	return by[0] != ICAL_RECURRENCE_ARRAY_MAX;
}

/* Some day of some month that the rule names exists? */
static bool day_exists(const struct icalrecurrencetype *rule)
{
	static const short longest[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (!is_set(rule->by_month) || !is_set(rule->by_month_day))
		return true;
	for (size_t m = 0; rule->by_month[m] != ICAL_RECURRENCE_ARRAY_MAX; m++) {
		for (size_t d = 0; rule->by_month_day[d] != ICAL_RECURRENCE_ARRAY_MAX; d++) {
			if (rule->by_month[m] >= 1 && rule->by_month[m] <= 12 &&
			    abs(rule->by_month_day[d]) <= longest[rule->by_month[m] - 1])
				return true;
		}
	}
	return false;
}

/* libical looks for the next occurrence of a rule that has none until the year 2582, which takes a
 * second: it only gets rules that are sure to have some. */
static bool is_fruitful(const struct icalrecurrencetype *rule)
{
	bool other = is_set(rule->by_month) || is_set(rule->by_month_day);

	if ((is_set(rule->by_week_no) || is_set(rule->by_year_day)) && (other || is_set(rule->by_set_pos)))
		return false;
	for (size_t i = 0; rule->by_set_pos[i] != ICAL_RECURRENCE_ARRAY_MAX; i++) {
		if (abs(rule->by_set_pos[i]) > 4 || rule->freq != ICAL_MONTHLY_RECURRENCE ||
		    is_set(rule->by_month_day) || !is_set(rule->by_day))
			return false;
	}
	return day_exists(rule);
}

/* Walking ends with the window, also where nothing is found. */
static void end_with_window(struct window *w, struct icalrecurrencetype *rule)
{
	struct when end = { .kind = WHEN_FLOATING, .local_s = w->to_s + 2 * DAY_S };

	if (rule->count != 0 || (!ical()->icaltime_is_null_time(rule->until) && seconds_of(&rule->until) < end.local_s))
		return;
	rule->until = ical()->icaltime_from_string(when_print(w->arena, &end).p);
}

static enum busy_window walk(struct window *w, const struct record *r, const struct record_entry *e,
			     const struct span_of_time *t, icalrecur_iterator *it)
{
	for (int step = 0; step < STEPS_MAX; step++) {
		struct icaltimetype next = ical()->icalrecur_iterator_next(it);
		struct when at = t->start;

		if (ical()->icaltime_is_null_time(next))
			return BUSY_OUTSIDE;
		at.local_s = seconds_of(&next);
		if (when_utc(&at) >= w->to_s)
			return BUSY_OUTSIDE;
		if (overlaps(w, when_utc(&at), t->length_s) && !is_excluded(w, e, &at) && !is_moved(w, r, e->comp, &at))
			return BUSY_INSIDE;
	}
	return BUSY_UNKNOWN;
}

/* UNTIL in UTC to the clock of the start. */
static void until_as_local(struct window *w, const struct span_of_time *t, struct icalrecurrencetype *rule)
{
	struct when until = { .kind = WHEN_FLOATING, .local_s = seconds_of(&rule->until) };

	if (t->start.kind == WHEN_ZONE && t->start.tz != NULL && ical()->icaltime_is_utc(rule->until)) {
		until.local_s = tz_to_local(t->start.tz, until.local_s);
		rule->until = ical()->icaltime_from_string(when_print(w->arena, &until).p);
	}
	rule->until.zone = NULL;
}

/* libical sees only local times: a zone would make each step costly, and they are told by ours. */
static enum busy_window expand(struct window *w, const struct record *r, const struct record_entry *e,
			       const struct span_of_time *t)
{
	struct icalrecurrencetype rule = ical()->icalrecurrencetype_from_string(arena_str(w->arena, t->rule));
	struct when local = { .kind = t->start.kind == WHEN_DATE ? WHEN_DATE : WHEN_FLOATING,
			      .local_s = t->start.local_s };
	struct icaltimetype start = ical()->icaltime_from_string(when_print(w->arena, &local).p);
	enum busy_window found = BUSY_UNKNOWN;

	if (rule.freq != ICAL_NO_RECURRENCE && !ical()->icaltime_is_null_time(rule.until))
		until_as_local(w, t, &rule);
	bool usable = rule.freq != ICAL_NO_RECURRENCE && is_fruitful(&rule);

	if (usable && ends_before(w, &rule, t))
		found = BUSY_OUTSIDE;
	end_with_window(w, &rule);
	icalrecur_iterator *it = usable && found == BUSY_UNKNOWN ? ical()->icalrecur_iterator_new(rule, start) : NULL;

	/* far before the window, and no COUNT that must be counted: start there */
	if (it != NULL && rule.count == 0 && t->start.local_s < w->from_s - 2 * DAY_S - t->length_s) {
		local.local_s = w->from_s - 2 * DAY_S - t->length_s;
		ical()->icalrecur_iterator_set_start(it, ical()->icaltime_from_string(when_print(w->arena, &local).p));
	}
	if (it != NULL)
		found = walk(w, r, e, t, it);
	if (it != NULL)
		ical()->icalrecur_iterator_free(it);
	free(rule.rscale);
	return found;
}

static bool is_done(const struct record *r, struct span comp)
{
	const struct record_entry *e = record_find(r, comp, SPAN_LIT("STATUS"), SPAN_LIT(""));

	return record_find(r, comp, SPAN_LIT("COMPLETED"), SPAN_LIT("")) != NULL ||
	       (e != NULL && (span_eq_str(e->value, "STATUS:COMPLETED") || span_eq_str(e->value, "STATUS:CANCELLED")));
}

static enum busy_window look_at(struct window *w, const struct record *r, const struct record_entry *e)
{
	struct span_of_time t = read_times(w, e);

	if (!t.has_start && !t.has_end)
		return BUSY_UNKNOWN;
	int64_t start_s = t.has_start ? when_utc(&t.start) : t.end_s;

	if (r->kind == RECORD_TASK && t.rules == 0 && t.has_end && t.end_s < w->from_s && !is_done(r, e->comp))
		return BUSY_INSIDE;
	if (overlaps(w, start_s, t.length_s) && !is_excluded(w, e, &t.start))
		return BUSY_INSIDE;
	if (has_date_inside(w, e, &t))
		return BUSY_INSIDE;
	if (t.rules == 0 || start_s >= w->to_s)
		return BUSY_OUTSIDE;
	return is_tame(&t) ? expand(w, r, e, &t) : BUSY_UNKNOWN;
}

enum busy_window busy_in_window(struct arena *arena, const struct record *r, int64_t from_s, int64_t to_s,
				int64_t slack_s)
{
	struct window w = {
		.arena = arena, .zones = tz_set_new(arena), .from_s = from_s - slack_s, .to_s = to_s + slack_s
	};
	enum busy_window found = BUSY_OUTSIDE;
	struct content_comp *root;
	bool any = false;

	for (size_t i = 0; i < r->n; i++) {
		if (span_starts_nocase(r->e[i].comp, "VTIMEZONE:") &&
		    content_parse(arena, r->e[i].value, &root, NULL) == E_OK && root->n_comps == 1)
			tz_set_add(w.zones, root->comps[0]);
	}
	for (size_t i = 0; i < r->n && found != BUSY_INSIDE; i++) {
		if (!span_eq_str(r->e[i].prop, "DTSTART") || span_find(r->e[i].comp, 0, '/') != SIZE_MAX)
			continue;
		enum busy_window one = look_at(&w, r, &r->e[i]);

		any = true;
		found = one == BUSY_OUTSIDE ? found : one;
	}
	tz_set_free(&w.zones);
	return any ? found : BUSY_UNKNOWN;
}
