/* busy.h - free/busy copies of events, and whether an event falls into a window of dates. */
#ifndef MS_BUSY_H
#define MS_BUSY_H

#include "record.h"

/* What the others may see of an event: when, and whether that time is taken. Kept are times and
 * recurrence with their zones, exceptions, STATUS, TRANSP, X-MICROSOFT-CDO-BUSYSTATUS and time stamps; CLASS
 * becomes PRIVATE and SUMMARY "Busy". Gone are title, place, people, texts, attachments, alarms and all
 * else. A new record in the arena; NULL for what is no event. Compare and merge such copies with each
 * other only: the side that holds them is never a source for the full one. */
struct record *busy_copy(struct arena *arena, const struct record *event);

enum busy_window {
	BUSY_OUTSIDE, BUSY_INSIDE,
	BUSY_UNKNOWN,                   /* no start, or a rule too costly to expand: treat as inside */
};

/* Does any occurrence, exceptions included, overlap [from_s, to_s)? Seconds since 1970 UTC; floating times
 * and dates are read as UTC with `slack_s` allowed at both ends (a day covers every zone). Work is
 * bounded: a series is followed for some ten thousand occurrences at the most. Tasks: by start and
 * due; a task without both, and one that is not completed and due before the window, is inside. */
enum busy_window busy_in_window(struct arena *arena, const struct record *record, int64_t from_s, int64_t to_s,
				int64_t slack_s);

#endif
