/* ews_start.c - when something starts: a line of a record, an instant, a line again. */
#include "ews_map.h"

#include "../data/when.h"

static const struct tz *home_zone(struct tz_set *zones, const char *home)
{
	const struct tz *tz = home != NULL ? tz_resolve(zones, span_of(home)) : NULL;

	return tz != NULL && span_eq_str(tz_name(tz), "UTC") ? NULL : tz;
}

bool ews_read_start(struct tz_set *zones, const char *home, const struct content_line *line, struct ews_start *start_r)
{
	struct when w;

	*start_r = (struct ews_start){ false, 0, NULL };
	if (!when_parse(line->value, content_param_value(line, "TZID"), zones, &w))
		return false;
	start_r->date = w.kind == WHEN_DATE;
	start_r->local_s = w.local_s;
	if (w.kind == WHEN_ZONE) {
		start_r->tz = w.tz;
		return w.tz != NULL;
	}
	if (w.kind != WHEN_UTC)
		start_r->tz = home_zone(zones, home);
	return true;
}

int64_t ews_start_utc(const struct ews_start *start)
{
	return start->tz != NULL ? tz_to_utc(start->tz, start->local_s) : start->local_s;
}

void ews_start_line(struct buf *b, const char *name, const struct ews_start *start)
{
	bool utc = start->tz == NULL || span_eq_str(tz_name(start->tz), "UTC");
	int64_t clock = ((start->local_s % 86400) + 86400) % 86400;
	char day[16];

	ews_day(start->local_s, day);
	if (start->date)
		buf_printf(b, "%s;VALUE=DATE:%s\r\n", name, day);
	else if (utc)
		buf_printf(b, "%s:%sT%02d%02d%02dZ\r\n", name, day, (int)(clock / 3600), (int)(clock / 60 % 60),
			   (int)(clock % 60));
	else
		buf_printf(b, "%s;TZID=" SPAN_FMT ":%sT%02d%02d%02d\r\n", name, SPAN_ARG(tz_name(start->tz)), day,
			   (int)(clock / 3600), (int)(clock / 60 % 60), (int)(clock % 60));
}
