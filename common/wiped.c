/* wiped.c - malloc and its sisters for libraries that keep copies of secrets. */
#include "wiped.h"

#include "mem.h"
#include "secret.h"

#include <malloc.h>

void *wiped_take(size_t n)
{
	return mem_realloc(NULL, n, 1);
}

void *wiped_take_zeroed(size_t n, size_t size)
{
	return mem_calloc(n, size);
}

void wiped_give_back(void *p)
{
	if (p != NULL)
		secret_wipe(p, malloc_usable_size(p));
	mem_free(p);
}

void *wiped_resize(void *old, size_t n)
{
	size_t had = old != NULL ? malloc_usable_size(old) : 0;
	void *p = mem_realloc(NULL, n, 1);

	if (had > 0)
		memcpy(p, old, had < n ? had : n);
	wiped_give_back(old);
	return p;
}

char *wiped_copy(const char *s)
{
	return mem_strdup(s);
}
