/* ical_p.h - what the files of ical share. */
#ifndef MS_ICAL_P_H
#define MS_ICAL_P_H

#include "record_p.h"
#include "when.h"

struct ical_reader {
	struct record_build build;
	struct tz_set *zones;
	const struct tz *last_zone;     /* kept last: see ical_keep_zone() */
	struct span *paths;             /* hash set of the components' paths */
	size_t n_paths, cap_paths;
};

/* ical_time.c: the lines DTSTART, DTEND, DUE, DURATION, RRULE, EXRULE, RDATE, EXDATE of a component as
 * one entry, in the zone that DTSTART is in. */
bool ical_is_time(struct span name);
void ical_read_times(struct ical_reader *reader, const struct content_comp *comp, struct span path);
/* A single property with a time. */
struct content_line ical_time_line(struct ical_reader *reader, const struct content_line *line);
/* Remembers the rules of a private zone that is used. */
void ical_keep_zone(struct ical_reader *reader, const struct when *when);
/* RRULE in one spelling; `start` NULL: UNTIL stays as it is. */
struct span ical_rule(struct arena *arena, struct span rule, const struct when *start);

#endif
