/* span.h - a slice of bytes that somebody else owns: pointer and length, no terminator. */
#ifndef MS_SPAN_H
#define MS_SPAN_H

#include "ms.h"

struct span {
	const char *p;
	size_t n;
};
#define SPAN_NONE ((struct span){ NULL, 0 })
#define SPAN_LIT(s) ((struct span){ "" s, sizeof(s) - 1 })
#define SPAN_FMT "%.*s"
#define SPAN_ARG(s) (int)(s).n, (s).p != NULL ? (s).p : ""

struct span span_of(const char *s);                  /* of a C string; NULL gives SPAN_NONE */
struct span span_bytes(const void *p, size_t n);
bool span_eq(struct span a, struct span b);          /* as bytes */
bool span_eq_str(struct span a, const char *s);
bool span_eq_nocase(struct span a, struct span b);   /* ASCII case */
bool span_eq_nocase_str(struct span a, const char *s);
int span_cmp(struct span a, struct span b);          /* memcmp order, shorter first */
bool span_starts_nocase(struct span a, const char *prefix);
/* First position of c at or after `from`; SIZE_MAX when there is none. */
size_t span_find(struct span a, size_t from, char c);
/* First position of `needle`, ASCII case ignored; SIZE_MAX when there is none. */
size_t span_find_nocase(struct span a, const char *needle);
struct span span_cut(struct span a, size_t from, size_t n);  /* clamped to a */
struct span span_trim(struct span a);                /* blanks, tabs, CR, LF at both ends */
/* Take the part before the next `sep` off *rest; false when *rest is exhausted (p == NULL). */
bool span_next(struct span *rest, char sep, struct span *part_r);
/* Whole span as a decimal number within [0, max]; false otherwise. */
bool span_u64(struct span a, uint64_t max, uint64_t *value_r);
/* Length of the UTF-8 character that begins at `at`; 0 if there is none (an overlong form, a surrogate, a
 * cut one ...; RFC 3629). Its code point to *cp_r, which may be NULL. */
size_t span_utf8(struct span a, size_t at, uint32_t *cp_r);
bool span_is_utf8(struct span a);
/* Write a code point as UTF-8, one to four bytes; returns what is behind them. */
char *utf8_put(char *to, uint32_t cp);
/* 64-bit hash for tables in memory (FNV-1a, not for hostile keys in persistent form). */
uint64_t span_hash(struct span a);

#endif
