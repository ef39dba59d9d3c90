/* when.c - dates and times of iCalendar. The arithmetic of days is exact for all years. */
#include "when.h"

#define DAY_S ((int64_t)86400)

int64_t when_days(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t in_era = year - era * 400;
	int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

void when_civil(int64_t days, int64_t *year_r, int *month_r, int *day_r)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t in_era = days - era * 146097;
	int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
	int64_t shifted = (5 * in_year + 2) / 153;

	*day_r = (int)(in_year - (153 * shifted + 2) / 5 + 1);
	*month_r = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
	*year_r = year + era * 400 + (*month_r <= 2);
}

/* n digits at *at, a separator before them allowed. */
static bool digits(struct span s, size_t *at, size_t n, char sep, int *value_r)
{
	if (*at < s.n && s.p[*at] == sep && sep != '\0')
		++*at;
	*value_r = 0;
	for (size_t i = 0; i < n; i++, ++*at) {
		if (*at >= s.n || s.p[*at] < '0' || s.p[*at] > '9')
			return false;
		*value_r = *value_r * 10 + (s.p[*at] - '0');
	}
	return true;
}

static int month_days(int64_t year, int month)
{
	return (int)(when_days(month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, 1) -
		     when_days(year, month, 1));
}

bool when_parse(struct span v, struct span tzid, struct tz_set *zones, struct when *w)
{
	int year, month, day, hour, minute, second = 0;
	size_t at = 0;

	*w = (struct when){ .kind = WHEN_DATE };
	v = span_trim(v);
	if (!digits(v, &at, 4, '\0', &year) || !digits(v, &at, 2, '-', &month) || !digits(v, &at, 2, '-', &day) ||
	    year < 1 || month < 1 || month > 12 || day < 1 || day > month_days(year, month))
		return false;
	w->local_s = when_days(year, month, day) * DAY_S;
	if (at == v.n)
		return true;
	if (v.p[at++] != 'T' || !digits(v, &at, 2, '\0', &hour) || !digits(v, &at, 2, ':', &minute) ||
	    hour > 23 || minute > 59)
		return false;
	if (at < v.n && v.p[at] != 'Z' && (!digits(v, &at, 2, ':', &second) || second > 60))
		return false;
	w->local_s += hour * 3600 + minute * 60 + (second == 60 ? 59 : second);
	w->kind = WHEN_FLOATING;
	if (at + 1 == v.n && v.p[at] == 'Z')
		w->kind = WHEN_UTC;
	else if (at != v.n)
		return false;
	if (w->kind == WHEN_UTC || tzid.n == 0)
		return true;
	w->kind = WHEN_ZONE;
	w->tzid = tzid;
	w->tz = zones != NULL ? tz_resolve(zones, tzid) : NULL;
	if (w->tz != NULL)
		w->tzid = tz_name(w->tz);
	if (span_eq_str(w->tzid, "UTC"))
		w->kind = WHEN_UTC;
	return true;
}

struct span when_print(struct arena *arena, const struct when *w)
{
	int64_t days = w->local_s / DAY_S - (w->local_s % DAY_S < 0), year;
	int in_day = (int)(w->local_s - days * DAY_S), month, day;

	when_civil(days, &year, &month, &day);
	if (w->kind == WHEN_DATE)
		return span_of(arena_printf(arena, "%04d%02d%02d", (int)year, month, day));
	return span_of(arena_printf(arena, "%04d%02d%02dT%02d%02d%02d%s", (int)year, month, day, in_day / 3600,
				    in_day / 60 % 60, in_day % 60, w->kind == WHEN_UTC ? "Z" : ""));
}

int64_t when_utc(const struct when *w)
{
	return w->kind == WHEN_ZONE && w->tz != NULL ? tz_to_utc(w->tz, w->local_s) : w->local_s;
}

/* Is there an instant behind it? */
static bool is_instant(const struct when *w)
{
	return w->kind == WHEN_UTC || (w->kind == WHEN_ZONE && w->tz != NULL);
}

struct when when_as(const struct when *w, const struct when *like)
{
	struct when out = *like;

	if (!is_instant(w) || !is_instant(like))
		return *w;
	out.local_s = when_utc(w);
	if (like->kind == WHEN_ZONE)
		out.local_s = tz_to_local(like->tz, out.local_s);
	/* an hour that occurs twice: its second time cannot be told in the zone */
	return when_utc(&out) == when_utc(w) ? out : *w;
}

struct when when_plus(const struct when *w, const struct canon_duration *d)
{
	int64_t sign = d->negative ? -1 : 1;
	struct when out = *w;

	out.local_s += sign * d->days * DAY_S;
	if (d->seconds == 0)
		return out;
	if (w->kind != WHEN_ZONE || w->tz == NULL)
		out.local_s += sign * d->seconds;
	else
		out.local_s = tz_to_local(w->tz, when_utc(&out) + sign * d->seconds);
	return out;
}
