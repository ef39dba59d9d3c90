/* tz_p.h - what the files of tz share; libical's types do not leave them. */
#ifndef MS_TZ_P_H
#define MS_TZ_P_H

#include "ical_door.h"
#include "tz.h"

icaltimezone *tz_builtin(struct span iana);             /* libical's own; NULL: no such zone */
/* The caller frees it with icaltimezone_free(zone, 1). NULL: malformed, or more than zones need. */
icaltimezone *tz_private_zone(const struct content_comp *vtimezone);
int32_t tz_zone_offset(icaltimezone *zone, int64_t utc_s);

#endif
