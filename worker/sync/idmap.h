/* idmap.h - hash map from (number, bytes) to a pointer; lives in an arena, never shrinks. */
#ifndef MS_IDMAP_H
#define MS_IDMAP_H

#include "../../common/arena.h"

struct idmap {
	struct arena *arena;
	struct idmap_slot *slots;
	size_t n, cap;               /* cap is a power of two */
};

void idmap_init(struct idmap *map, struct arena *arena, size_t expected);
/* The key's bytes are not copied: they must live as long as the map. Replaces an equal key. */
void idmap_put(struct idmap *map, uint64_t number, struct span bytes, void *value);
void *idmap_get(const struct idmap *map, uint64_t number, struct span bytes);   /* NULL: not there */

#endif
