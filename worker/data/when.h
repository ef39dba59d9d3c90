/* when.h - dates and times of iCalendar: RFC 5545 3.3.4, 3.3.5 and the zones they are in.
 *
 * Floating times stay floating; a time in a zone that nobody knows keeps its TZID and counts as
 * floating where an instant is needed.
 */
#ifndef MS_WHEN_H
#define MS_WHEN_H

#include "canon.h"

enum when_kind { WHEN_DATE, WHEN_FLOATING, WHEN_UTC, WHEN_ZONE };

struct when {
	enum when_kind kind;
	int64_t local_s;                /* as its own clock shows it */
	const struct tz *tz;            /* WHEN_ZONE; NULL: unknown */
	struct span tzid;               /* WHEN_ZONE: tz_name(), or what the text says */
};

/* "20240131", "20240131T100000", "20240131T100000Z", also with hyphens and colons. False: none. */
bool when_parse(struct span value, struct span tzid, struct tz_set *zones, struct when *when_r);
struct span when_print(struct arena *arena, const struct when *when);   /* without TZID */
int64_t when_utc(const struct when *when);      /* floating times and dates as if UTC */
/* The same instant told as `like` tells its own. Dates, floating times and unknown zones do not change. */
struct when when_as(const struct when *when, const struct when *like);
/* Days first on the local clock, then seconds in true time: RFC 5545 3.8.2.5. */
struct when when_plus(const struct when *when, const struct canon_duration *d);

int64_t when_days(int64_t year, int month, int day);            /* since 1970-01-01 */
void when_civil(int64_t days, int64_t *year_r, int *month_r, int *day_r);

#endif
