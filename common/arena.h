/* arena.h - an alloc-only pool that is freed at once; what parsers, endpoints and plans return
 * lives in the arena that the caller passed in.
 */
#ifndef MS_ARENA_H
#define MS_ARENA_H

#include "span.h"

struct arena;

/* `ceiling` in bytes: allocating beyond it ends the process with MEM_EXIT (a net, not a plan:
 * callers that store what a remote sends check arena_left() first). */
struct arena *arena_new(size_t ceiling);
void arena_free(struct arena **arena);          /* frees everything, nulls the pointer */
void arena_reset(struct arena *arena);          /* forgets everything, keeps one block */
void *arena_alloc(struct arena *arena, size_t size);       /* zeroed, aligned for any type */
void *arena_calloc(struct arena *arena, size_t n, size_t size);
void *arena_raw(struct arena *arena, size_t size);         /* not zeroed, byte aligned */
struct span arena_span(struct arena *arena, struct span s); /* a copy, NUL added beyond its end */
char *arena_str(struct arena *arena, struct span s);       /* a copy as a C string */
char *arena_printf(struct arena *arena, const char *fmt, ...) MS_PRINTF(2, 3);
/* Grow an array that lives in the arena: room for at least n+1 elements of `size` bytes. Pass the
 * old array, its used length and a pointer to its capacity; returns the (maybe moved) array. */
void *arena_grow(struct arena *arena, void *old, size_t n, size_t size, size_t *cap);
size_t arena_left(const struct arena *arena);   /* bytes to the ceiling */

#endif
