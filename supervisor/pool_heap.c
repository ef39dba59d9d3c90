/* pool_heap.c - binary heaps of pairings, smallest (key, seq) at the top. Pure. */
#include "pool_private.h"

#include "../common/mem.h"

bool pool_heap_before(const struct pool_heap_entry *a, const struct pool_heap_entry *b)
{
	return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static void set(struct pool *pool, struct pool_heap *heap, uint32_t at, struct pool_heap_entry entry)
{
	heap->at[at] = entry;
	pool->pairings[entry.id].heap_at = at;
}

static void up(struct pool *pool, struct pool_heap *heap, uint32_t at)
{
	struct pool_heap_entry entry = heap->at[at];

	for (; at > 0 && pool_heap_before(&entry, &heap->at[(at - 1) / 2]); at = (at - 1) / 2)
		set(pool, heap, at, heap->at[(at - 1) / 2]);
	set(pool, heap, at, entry);
}

static void down(struct pool *pool, struct pool_heap *heap, uint32_t at)
{
	struct pool_heap_entry entry = heap->at[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < heap->n && pool_heap_before(&heap->at[child + 1], &heap->at[child]))
			child++;
		if (child >= heap->n || !pool_heap_before(&heap->at[child], &entry))
			break;
		set(pool, heap, at, heap->at[child]);
		at = child;
	}
	set(pool, heap, at, entry);
}

void pool_heap_put(struct pool *pool, struct pool_heap *heap, int64_t key, uint64_t seq, uint32_t pairing)
{
	if (heap->n == heap->cap) {
		heap->cap = heap->cap == 0 ? 64 : heap->cap * 2;
		heap->at = mem_realloc(heap->at, heap->cap, sizeof(*heap->at));
	}
	heap->at[heap->n] = (struct pool_heap_entry){ key, seq, pairing };
	up(pool, heap, heap->n++);
}

void pool_heap_remove(struct pool *pool, struct pool_heap *heap, uint32_t at)
{
	assert(at < heap->n);
	if (at == --heap->n)
		return;
	set(pool, heap, at, heap->at[heap->n]);
	down(pool, heap, at);
	up(pool, heap, at);
}

void pool_heap_shift(struct pool_heap *heap, int64_t delta)
{
	for (uint32_t i = 0; i < heap->n; i++) {
		if (heap->at[i].key != DUE_NEVER)
			heap->at[i].key += delta;
	}
}
