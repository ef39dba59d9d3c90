/* flags.h - keyword sets as sorted strings: union, difference, per-flag three-way merge.
 *
 * A set is its members sorted bytewise (case folded for ASCII when comparing), joined by single
 * spaces; NULL is the empty set. Results live in the arena.
 */
#ifndef MS_FLAGS_H
#define MS_FLAGS_H

#include "../../common/arena.h"

/* From words in any order, with duplicates, separated by blanks. */
const char *kw_from(struct arena *arena, struct span words);
bool kw_eq(const char *a, const char *b);
bool kw_has(const char *set, struct span word);
const char *kw_union(struct arena *arena, const char *a, const char *b);
const char *kw_minus(struct arena *arena, const char *a, const char *b);
/* May travel as a keyword: not starting with '\\', only atom characters, 1 to 100 bytes. */
bool kw_valid(struct span word);

/* Flags and keywords of one item, as one value. */
struct flagset {
	uint32_t flags;
	const char *keywords;
};
bool flagset_eq(struct flagset a, struct flagset b);
/* Per flag and keyword: what changed against base on one side holds on both. Flags that one side
 * cannot hold must not look like removed ones: the caller gives that side base's value for them. */
struct flagset flagset_merge(struct arena *arena, struct flagset base, struct flagset left, struct flagset right);

#endif
