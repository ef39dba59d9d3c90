/* buf.c - growing buffer with a ceiling. */
#include "buf.h"

#include "mem.h"

#include <stdarg.h>
#include <stdio.h>

void buf_init(struct buf *b, size_t ceiling)
{
	*b = (struct buf){ .ceiling = ceiling };
}

void buf_free(struct buf *b)
{
	mem_free(b->p);
	buf_init(b, b->ceiling);
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->overflow = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

char *buf_room(struct buf *b, size_t n)
{
	if (n > b->ceiling - b->n) {
		b->overflow = true;
		return NULL;
	}
	if (b->n + n + 1 > b->cap) {
		size_t cap = b->cap < 64 ? 64 : b->cap * 2;

		if (cap < b->n + n + 1)
			cap = b->n + n + 1;
		b->p = mem_realloc(b->p, cap, 1);
		b->cap = cap;
	}
	return b->p + b->n;
}

void buf_grew(struct buf *b, size_t n)
{
	assert(b->n + n < b->cap);
	b->n += n;
	b->p[b->n] = '\0';
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	char *room = buf_room(b, n);

	if (room == NULL)
		return;
	if (n > 0)
		memcpy(room, p, n);
	buf_grew(b, n);
}

void buf_add_span(struct buf *b, struct span s)
{
	buf_add(b, s.p, s.n);
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_add_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	char *room = buf_room(b, (size_t)n);
	if (room != NULL) {
		vsnprintf(room, (size_t)n + 1, fmt, again);
		buf_grew(b, (size_t)n);
	}
	va_end(again);
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->n);
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
	b->p[b->n] = '\0';
}

struct span buf_span(const struct buf *b)
{
	return (struct span){ b->p, b->n };
}

const char *buf_str(struct buf *b)
{
	return b->p != NULL ? b->p : "";
}

enum code buf_check(const struct buf *b, enum code code, const char *what, struct err *err)
{
	if (!b->overflow)
		return E_OK;
	return err_set(err, code, "%s is larger than %zu bytes", what, b->ceiling);
}
