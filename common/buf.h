/* buf.h - a growing byte buffer that states its ceiling at birth.
 *
 * Appending beyond the ceiling sets `overflow` (sticky) and drops the bytes: a caller may append
 * many pieces and check once. data() is always NUL-terminated.
 */
#ifndef MS_BUF_H
#define MS_BUF_H

#include "err.h"
#include "span.h"

struct buf {
	char *p;
	size_t n, cap, ceiling;
	bool overflow;
};

void buf_init(struct buf *b, size_t ceiling);
void buf_free(struct buf *b);                      /* frees the bytes; the buf may be used again */
void buf_clear(struct buf *b);                     /* n = 0, overflow = false, memory kept */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_span(struct buf *b, struct span s);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) MS_PRINTF(2, 3);
char *buf_room(struct buf *b, size_t n);           /* space for n more bytes; NULL = over the ceiling */
void buf_grew(struct buf *b, size_t n);            /* n bytes of that room were filled */
void buf_consume(struct buf *b, size_t n);         /* drop n bytes at the front */
struct span buf_span(const struct buf *b);
const char *buf_str(struct buf *b);                /* NUL-terminated, never NULL */
/* E_OK, or `code` with "WHAT is larger than N bytes" when the ceiling was hit. */
enum code buf_check(const struct buf *b, enum code code, const char *what, struct err *err) MS_MUST_USE;

#endif
