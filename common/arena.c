/* arena.c - blocks in a chain; big requests get a block of their own. */
#include "arena.h"

#include "mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define BLOCK ((size_t)64 * 1024)
#define ALIGN (sizeof(max_align_t))

struct block {
	struct block *next;
	size_t size;
	_Alignas(max_align_t) char data[];
};

struct arena {
	struct block *head;      /* the block that is filled */
	size_t at;               /* used bytes of head */
	size_t total, ceiling;
};

struct arena *arena_new(size_t ceiling)
{
	struct arena *a = mem_alloc(sizeof(*a));

	a->ceiling = ceiling;
	return a;
}

static void free_blocks(struct block *b)
{
	while (b != NULL) {
		struct block *next = b->next;

		mem_free(b);
		b = next;
	}
}

void arena_free(struct arena **arena)
{
	if (*arena == NULL)
		return;
	free_blocks((*arena)->head);
	mem_free(*arena);
	*arena = NULL;
}

void arena_reset(struct arena *a)
{
	struct block *keep = NULL;

	for (struct block *b = a->head; b != NULL;) {
		struct block *next = b->next;

		if (keep == NULL && b->size == BLOCK) {
			keep = b;
			keep->next = NULL;
		} else {
			mem_free(b);
		}
		b = next;
	}
	a->head = keep;
	a->at = 0;
	a->total = 0;
}

static void new_block(struct arena *a, size_t size)
{
	struct block *b = mem_realloc(NULL, 1, sizeof(*b) + size);

	b->size = size;
	b->next = a->head;
	a->head = b;
	a->at = 0;
}

static void *take(struct arena *a, size_t size, size_t align)
{
	size_t at = (a->at + align - 1) / align * align;

	if (size > a->ceiling - a->total) {
		(void)!write(STDERR_FILENO, "memory ceiling reached\n", 23);
		_exit(MEM_EXIT);
	}
	a->total += size;
	if (a->head != NULL && at <= a->head->size && size <= a->head->size - at) {
		a->at = at + size;
		return a->head->data + at;
	}
	if (size > BLOCK / 4 && a->head != NULL) {
		/* a block of its own, put behind the one that is being filled */
		struct block *b = mem_realloc(NULL, 1, sizeof(*b) + size);

		b->size = size;
		b->next = a->head->next;
		a->head->next = b;
		return b->data;
	}
	new_block(a, size > BLOCK ? size : BLOCK);
	a->at = size;
	return a->head->data;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *p = take(a, size, ALIGN);

	memset(p, 0, size);
	return p;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		bytes = SIZE_MAX;
	return arena_alloc(a, bytes);
}

void *arena_raw(struct arena *a, size_t size)
{
	return take(a, size, 1);
}

char *arena_str(struct arena *a, struct span s)
{
	char *p = arena_raw(a, s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct span arena_span(struct arena *a, struct span s)
{
	return (struct span){ arena_str(a, s), s.n };
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	char *p = arena_raw(a, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

/* An array that has a block of its own grows with it, and leaves nothing behind. */
static char *grow_block(struct arena *a, const void *old, size_t had, size_t wanted)
{
	struct block **at = &a->head;

	while (*at != NULL && (*at)->data != old)
		at = &(*at)->next;
	if (*at == NULL || *at == a->head || (*at)->size != had || wanted - had > a->ceiling - a->total)
		return NULL;
	struct block *b = mem_realloc(*at, 1, sizeof(*b) + wanted);

	memset(b->data + had, 0, wanted - had);
	b->size = wanted;
	*at = b;
	a->total += wanted - had;
	return b->data;
}

void *arena_grow(struct arena *a, void *old, size_t n, size_t size, size_t *cap)
{
	if (n < *cap)
		return old;
	size_t want = *cap < 16 ? 16 : *cap * 2, had = *cap * size, bytes;
	char *p = NULL;

	if (had > BLOCK / 4 && !__builtin_mul_overflow(want, size, &bytes))
		p = grow_block(a, old, had, bytes);
	if (p != NULL) {
		*cap = want;
		return p;
	}
	p = arena_calloc(a, want, size);

	if (n > 0)
		memcpy(p, old, n * size);
	*cap = want;
	return p;
}

size_t arena_left(const struct arena *a)
{
	return a->ceiling - a->total;
}
