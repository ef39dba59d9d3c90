/* ms.h - base types and attributes, included first by every header. */
#ifndef MS_H
#define MS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MS_VERSION "0.1.0"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MS_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MS_MUST_USE __attribute__((warn_unused_result))
#define MS_NORETURN __attribute__((noreturn))
#define MS_UNUSED __attribute__((unused))

/* A process that ends leaves its memory to the kernel, which is faster; sanitizers and unit tests want
 * to see it freed. */
#if defined(MS_NO_JAIL) || defined(MS_TESTING)
#define MS_FAST_END false
#else
#define MS_FAST_END true
#endif

/* The two sides of a pairing. */
enum side { SIDE_LEFT = 0, SIDE_RIGHT = 1 };
#define SIDES 2
static inline enum side side_other(enum side s)
{
	return s == SIDE_LEFT ? SIDE_RIGHT : SIDE_LEFT;
}
static inline const char *side_name(enum side s)
{
	return s == SIDE_LEFT ? "left" : "right";
}

#endif
