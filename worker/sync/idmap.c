/* idmap.c - open addressing, linear probing. */
#include "idmap.h"

struct idmap_slot {
	uint64_t number;
	struct span bytes;
	void *value;                 /* NULL = free */
};

static size_t slot_of(const struct idmap *m, uint64_t number, struct span bytes)
{
	uint64_t h = (span_hash(bytes) ^ (number * 0x9e3779b97f4a7c15u)) * 0xff51afd7ed558ccdu;
	size_t i = (size_t)(h >> 17) & (m->cap - 1);

	while (m->slots[i].value != NULL &&
	       !(m->slots[i].number == number && span_eq(m->slots[i].bytes, bytes)))
		i = (i + 1) & (m->cap - 1);
	return i;
}

void idmap_init(struct idmap *m, struct arena *arena, size_t expected)
{
	*m = (struct idmap){ .arena = arena, .cap = 64 };
	while (m->cap < expected * 2)
		m->cap *= 2;
	m->slots = arena_calloc(arena, m->cap, sizeof(*m->slots));
}

static void grow(struct idmap *m)
{
	struct idmap old = *m;

	idmap_init(m, m->arena, m->cap);
	for (size_t i = 0; i < old.cap; i++) {
		if (old.slots[i].value != NULL)
			idmap_put(m, old.slots[i].number, old.slots[i].bytes, old.slots[i].value);
	}
}

void idmap_put(struct idmap *m, uint64_t number, struct span bytes, void *value)
{
	assert(value != NULL);
	if ((m->n + 1) * 10 > m->cap * 7)
		grow(m);
	size_t i = slot_of(m, number, bytes);
	if (m->slots[i].value == NULL)
		m->n++;
	m->slots[i].number = number;
	m->slots[i].bytes = bytes;
	m->slots[i].value = value;
}

void *idmap_get(const struct idmap *m, uint64_t number, struct span bytes)
{
	return m->cap == 0 ? NULL : m->slots[slot_of(m, number, bytes)].value;
}
