/* span.c - comparing, searching and splitting byte slices. */
#include "span.h"

#include <strings.h>

struct span span_of(const char *s)
{
	return s == NULL ? SPAN_NONE : (struct span){ s, strlen(s) };
}

struct span span_bytes(const void *p, size_t n)
{
	return (struct span){ p, n };
}

bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_eq_str(struct span a, const char *s)
{
	return span_eq(a, span_of(s));
}

bool span_eq_nocase(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

bool span_eq_nocase_str(struct span a, const char *s)
{
	return span_eq_nocase(a, span_of(s));
}

int span_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n == 0 ? 0 : memcmp(a.p, b.p, n);

	if (c != 0)
		return c;
	return a.n < b.n ? -1 : a.n > b.n;
}

bool span_starts_nocase(struct span a, const char *prefix)
{
	size_t n = strlen(prefix);

	return a.n >= n && strncasecmp(a.p, prefix, n) == 0;
}

size_t span_find(struct span a, size_t from, char c)
{
	const char *hit = from < a.n ? memchr(a.p + from, c, a.n - from) : NULL;

	return hit == NULL ? SIZE_MAX : (size_t)(hit - a.p);
}

size_t span_find_nocase(struct span a, const char *needle)
{
	size_t n = strlen(needle);
	unsigned char first = (unsigned char)needle[0] | 0x20;      /* of a letter: its small form */

	if (n == 0)
		return 0;
	for (size_t i = 0; i + n <= a.n; i++) {
		if (((unsigned char)a.p[i] | 0x20) == first && strncasecmp(a.p + i, needle, n) == 0)
			return i;
	}
	return SIZE_MAX;
}

struct span span_cut(struct span a, size_t from, size_t n)
{
	if (from > a.n)
		from = a.n;
	if (n > a.n - from)
		n = a.n - from;
	return (struct span){ a.p + from, n };
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span a)
{
	while (a.n > 0 && blank(a.p[0])) {
		a.p++;
		a.n--;
	}
	while (a.n > 0 && blank(a.p[a.n - 1]))
		a.n--;
	return a;
}

bool span_next(struct span *rest, char sep, struct span *part_r)
{
	if (rest->p == NULL)
		return false;
	size_t at = span_find(*rest, 0, sep);
	if (at == SIZE_MAX) {
		*part_r = *rest;
		*rest = SPAN_NONE;
	} else {
		*part_r = span_cut(*rest, 0, at);
		*rest = span_cut(*rest, at + 1, SIZE_MAX);
	}
	return true;
}

bool span_u64(struct span a, uint64_t max, uint64_t *value_r)
{
	uint64_t value = 0;

	if (a.n == 0)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (a.p[i] < '0' || a.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(a.p[i] - '0'), &value))
			return false;
	}
	if (value > max)
		return false;
	*value_r = value;
	return true;
}

uint64_t span_hash(struct span a)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < a.n; i++)
		h = (h ^ (uint8_t)a.p[i]) * 0x100000001b3u;
	return h ^ (h >> 29);
}

size_t span_utf8(struct span a, size_t at, uint32_t *cp_r)
{
	const unsigned char *p = (const unsigned char *)a.p + at;
	size_t len;

	if (at >= a.n)
		return 0;
	len = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 :
	      p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
	if (len == 0 || len > a.n - at)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] >= 0x90))
		return 0;
	if (cp_r != NULL) {
		*cp_r = len == 1 ? p[0] : p[0] & (0x7fu >> len);
		for (size_t i = 1; i < len; i++)
			*cp_r = *cp_r << 6 | (p[i] & 0x3f);
	}
	return len;
}

bool span_is_utf8(struct span a)
{
	size_t n;

	for (size_t at = 0; at < a.n; at += n) {
		n = span_utf8(a, at, NULL);
		if (n == 0)
			return false;
	}
	return true;
}

char *utf8_put(char *to, uint32_t cp)
{
	if (cp < 0x80) {
		*to++ = (char)cp;
		return to;
	}
	unsigned tail = cp < 0x800 ? 1 : cp < 0x10000 ? 2 : 3;

	*to++ = (char)((0xff00u >> (tail + 1) & 0xff) | cp >> (6 * tail));
	while (tail-- > 0)
		*to++ = (char)(0x80 | (cp >> (6 * tail) & 0x3f));
	return to;
}
