/* clock.h - the only source of time. Test builds can put a fake clock in place. */
#ifndef MS_CLOCK_H
#define MS_CLOCK_H

#include "ms.h"

/* Milliseconds of CLOCK_BOOTTIME: for intervals and deadlines; never goes back, counts suspend. */
int64_t clock_mono_ms(void);
/* Seconds and milliseconds of the wall clock (Unix epoch): for what people read. */
int64_t clock_wall_s(void);
int64_t clock_wall_ms(void);
void clock_sleep_ms(int64_t ms);

#define CLOCK_TEXT_MAX 32
/* RFC 3339 UTC with milliseconds ("2026-11-23T20:38:01.123Z") or whole seconds; returns `out`. */
const char *clock_format_ms(int64_t wall_ms, char out[CLOCK_TEXT_MAX]);
const char *clock_format_s(int64_t wall_s, char out[CLOCK_TEXT_MAX]);

#endif
