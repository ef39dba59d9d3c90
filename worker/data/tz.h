/* tz.h - time zones between three worlds: IANA names, Windows names, private VTIMEZONEs.
 *
 * A TZID (RFC 5545 3.2.19) is resolved by name ("Europe/Berlin", "US/Eastern", "/vendor/Europe/Berlin",
 * "W. Europe Standard Time", "(UTC+01:00) Amsterdam, Berlin, ..."), then by the VTIMEZONE's
 * X-LIC-LOCATION, then by its offsets over the years in question. A known name wins over the rules
 * that came with it: servers send outdated and wrong ones. What resolves to nothing stays private: its name gets
 * a digest of its offsets, so that the same name with other rules is another zone.
 * Rules of IANA zones come from the machine's zoneinfo through libical, which reads a zone when it is
 * first needed; a VTIMEZONE is refused (the zone is then unknown) if it holds more than zones need.
 *
 * Instants are seconds since 1970 UTC; a local time is the same count for a clock that shows it.
 */
#ifndef MS_TZ_H
#define MS_TZ_H

#include "content.h"

struct tz;
struct tz_set;                          /* the zones that one text speaks of */

/* Lives in the arena, but libical's memory must be given back with tz_set_free(). */
struct tz_set *tz_set_new(struct arena *arena);
void tz_set_free(struct tz_set **set);
/* A VTIMEZONE of the text; it must outlive the set. */
void tz_set_add(struct tz_set *set, const struct content_comp *vtimezone);
/* The years that count, as local times; before the first tz_resolve(). */
void tz_set_range(struct tz_set *set, int64_t from_s, int64_t to_s);
/* The zone behind a TZID; NULL: unknown, such times are read as floating. Lives as long as the set. */
const struct tz *tz_resolve(struct tz_set *set, struct span tzid);

/* "UTC", an IANA name, or a private name ("Mine/0123abcd"). */
struct span tz_name(const struct tz *tz);
bool tz_is_private(const struct tz *tz);
/* The VTIMEZONE that a private zone came with, under its tz_name(). In the arena. */
struct content_comp *tz_private_rules(struct arena *arena, const struct tz *tz);

/* Seconds east of UTC at an instant. */
int32_t tz_offset(const struct tz *tz, int64_t utc_s);
/* A local time that occurs twice means the first; one that is skipped is read with the offset before
 * the gap (RFC 5545 3.3.5). */
int64_t tz_to_utc(const struct tz *tz, int64_t local_s);
int64_t tz_to_local(const struct tz *tz, int64_t utc_s);
/* Equal offsets from `from_s` to `to_s`, looked at once a day. */
bool tz_same(const struct tz *a, const struct tz *b, int64_t from_s, int64_t to_s);

/* Today's IANA name for any known name, SPAN_NONE if there is none. Constant, or in the arena. */
struct span tz_iana(struct arena *arena, struct span name);
/* The Windows name of an IANA zone, SPAN_NONE if there is none. Constant. */
struct span tz_windows(struct span iana);
/* A VTIMEZONE for an IANA name with what is needed from that instant on; NULL if there is no such
 * zone or it is UTC. In the arena. */
struct content_comp *tz_vtimezone(struct arena *arena, struct span iana, int64_t from_s);

#endif
