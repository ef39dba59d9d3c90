/* log.h - one record a line: time, level, context, msg="...", key=value.
 *
 * Leaves never log: they return struct err. Control characters and invalid UTF-8 are escaped at the
 * sink; no secret, no subject, no body at any level. At most 10 lines a second (errors excepted),
 * then one line that counts what was held back.
 */
#ifndef MS_LOG_H
#define MS_LOG_H

#include "ms.h"

enum log_level { LOG_L_ERROR, LOG_L_WARNING, LOG_L_INFO, LOG_L_DEBUG };

/* Write to this descriptor (default: standard error) from now on; the descriptor stays the caller's. */
void log_to_fd(int fd);
/* Write every record to this one as well (-1: no longer); the descriptor stays the caller's. */
void log_copy_to_fd(int fd);
void log_set_level(enum log_level level);
bool log_level_from_name(const char *name, enum log_level *level_r);
const char *log_level_name(enum log_level level);
void log_set_rate(unsigned lines_per_second);             /* 0 = unlimited; default 10 */
/* Constant fields in every record ("worker=3"), then the pushed ones ("pairing=alice"). */
void log_set_base(const char *key, const char *value);    /* NULL value removes the key */

void log_error(const char *fmt, ...) MS_PRINTF(1, 2);
void log_warning(const char *fmt, ...) MS_PRINTF(1, 2);
void log_info(const char *fmt, ...) MS_PRINTF(1, 2);
void log_debug(const char *fmt, ...) MS_PRINTF(1, 2);
/* A record of level=trace, whatever the level and the rate (trace.h). */
void log_trace(const char *fmt, ...) MS_PRINTF(1, 2);
/* Escape n bytes for a log line into out (NUL-terminated, truncated to size); returns out. */
const char *log_escape(const char *p, size_t n, char *out, size_t size);

#endif
