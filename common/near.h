/* near.h - "did you mean ...": the known name that is closest to a mistyped one. */
#ifndef MS_NEAR_H
#define MS_NEAR_H

#include "ms.h"

/* Edits (insert, delete, replace, swap of neighbours; ASCII case ignored) that turn a into b; gives
 * up and returns NEAR_FAR for names longer than 64 bytes. */
unsigned near_distance(const char *a, const char *b);
#define NEAR_FAR 1000u

/* Feed the known names one by one; `best` is the closest so far, NULL if none is close enough (at
 * most a third of its letters wrong). Start with { .word = what was typed }. */
struct near {
	const char *word;
	const char *best;
	unsigned distance;
};
void near_offer(struct near *near, const char *name);

#endif
