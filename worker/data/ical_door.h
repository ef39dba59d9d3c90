/* ical_door.h - the only door to libical, which is loaded when records are to be read.
 *
 * It brings ICU, 30 MB of it, and a pass over mail alone needs none: the worker is not linked with it.
 * ical_load() is called before the jail closes, where a batch carries records; elsewhere (tests) the
 * first use loads it.
 */
#ifndef MS_ICAL_DOOR_H
#define MS_ICAL_DOOR_H

#include "../../common/err.h"

#include <libical/ical.h>

#define ICAL_LIST(X) \
	X(icalcomponent_as_ical_string_r) X(icalcomponent_free) X(icalcomponent_new_clone) \
	X(icalcomponent_new_from_string) X(icalmemory_free_buffer) \
	X(icalrecur_iterator_free) X(icalrecur_iterator_new) X(icalrecur_iterator_next) \
	X(icalrecur_iterator_set_start) X(icalrecurrencetype_from_string) \
	X(icaltime_from_string) X(icaltime_from_timet_with_zone) X(icaltime_is_null_time) X(icaltime_is_utc) \
	X(icaltime_null_time) \
	X(icaltimezone_free) X(icaltimezone_get_builtin_timezone) X(icaltimezone_get_component) \
	X(icaltimezone_get_utc_offset_of_utc_time) X(icaltimezone_get_utc_timezone) X(icaltimezone_new) \
	X(icaltimezone_set_component) X(icaltimezone_truncate_vtimezone)

struct ical_library {
#define X(name) __typeof__(name) *name;
	ICAL_LIST(X)
#undef X
};

/* Load it; further calls do nothing. E_UNSUPPORTED: it is not installed. */
enum code ical_load(struct err *err) MS_MUST_USE;
/* Its functions: ical()->icaltime_null_time(). Loads it where ical_load() was not called; if that is impossible
 * the process ends, because a record that is read without its zones is another record. */
const struct ical_library *ical(void);

#endif
