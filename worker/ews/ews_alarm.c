/* ews_alarm.c - the one reminder that an item has, and the alarms of a record.
 *
 * Of an event it is so many minutes before the start, of a task an instant. The first alarm that is shown or heard
 * and can be told so is that one; all others, and what is beyond the moment, go with the rest.
 */
#include "ews_map.h"

#include "../data/canon.h"
#include "../data/when.h"

#define ALARM "/VALARM:"
#define MINUTES_MAX 2629800              /* of the schema: five years */

struct span ews_alarm_parent(struct span comp)
{
	size_t at = 0, n = strlen(ALARM);

	while (at + n <= comp.n && memcmp(comp.p + at, ALARM, n) != 0)
		at++;
	return at + n > comp.n || span_find(comp, at + 1, '/') != SIZE_MAX ? SPAN_NONE : span_cut(comp, 0, at);
}

/* What a relative trigger counts from; false: that has no instant. */
static bool base_of(struct arena *arena, const struct record *r, const char *comp, const char *home, bool end,
		    int64_t *utc_r)
{
	struct tz_set *zones = tz_set_new(arena);
	struct content_line line;
	struct ews_start start;
	bool ok = ews_time_line(arena, r, comp, end ? "DUE" : "DTSTART", &line) &&
		  ews_read_start(zones, home, &line, &start);

	if (ok)
		*utc_r = ews_start_utc(&start);
	tz_set_free(&zones);
	return ok;
}

static bool task_instant(struct arena *arena, const struct record *r, const char *comp, const char *home,
			 const struct content_line *line, int64_t *utc_r)
{
	bool end = span_eq_nocase_str(content_param_value(line, "RELATED"), "END");
	struct canon_duration d;
	struct when w;
	int64_t base;

	if (when_parse(line->value, SPAN_NONE, NULL, &w)) {
		*utc_r = w.local_s;
		return w.kind == WHEN_UTC;
	}
	if (!canon_duration_parse(line->value, &d) || d.days > 36500 || d.seconds > 36500LL * 86400 ||
	    !base_of(arena, r, comp, home, end, &base))
		return false;
	*utc_r = base + (d.days * 86400 + d.seconds) * (d.negative ? -1 : 1);
	return true;
}

static bool event_minutes(const struct content_line *line, int64_t *minutes_r)
{
	struct canon_duration d;

	if (!canon_duration_parse(line->value, &d) || d.days > 36500 || d.seconds > 36500LL * 86400 ||
	    span_eq_nocase_str(content_param_value(line, "RELATED"), "END"))
		return false;
	int64_t s = d.days * 86400 + d.seconds;
	*minutes_r = s / 60;
	return (d.negative || s == 0) && s % 60 == 0 && *minutes_r <= MINUTES_MAX;
}

struct span ews_alarm_of(struct arena *arena, const struct record *r, const char *comp, const char *home,
			 int64_t *at_r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct record_entry *e = &r->e[i];
		struct content_line line;
		int64_t at = 0;

		if (!span_eq_str(e->prop, "TRIGGER") || !span_eq_str(ews_alarm_parent(e->comp), comp) ||
		    span_find_nocase(e->comp, ";EMAIL") != SIZE_MAX || !content_parse_line(arena, e->value, &line))
			continue;
		if (!(r->kind == RECORD_TASK ? task_instant(arena, r, comp, home, &line, &at)
					     : event_minutes(&line, &at)))
			continue;
		if (at_r != NULL)
			*at_r = at;
		return e->comp;
	}
	return SPAN_NONE;
}
