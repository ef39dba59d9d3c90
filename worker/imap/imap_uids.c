/* imap_uids.c - UIDs as ids, and compressed ascending sets of them. */
#include "imap.h"

#include <stdio.h>
#include <stdlib.h>

bool imap_uid(struct span id, uint32_t *uid_r)
{
	uint64_t v;

	if (!span_u64(id, UINT32_MAX, &v) || v == 0)
		return false;
	*uid_r = (uint32_t)v;
	return true;
}

struct span imap_uid_span(struct arena *arena, uint32_t uid)
{
	char text[12];
	size_t at = sizeof(text);

	text[--at] = '\0';
	do {
		text[--at] = (char)('0' + uid % 10);
		uid /= 10;
	} while (uid > 0);
	return arena_span(arena, span_bytes(text + at, sizeof(text) - 1 - at));
}

static int uid_cmp(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

size_t imap_uids_sort(uint32_t *uids, size_t n)
{
	size_t out = 0;
	bool sorted = true;

	for (size_t i = 1; i < n && sorted; i++)
		sorted = uids[i - 1] <= uids[i];
	if (!sorted)
		qsort(uids, n, sizeof(*uids), uid_cmp);
	for (size_t i = 0; i < n; i++)
		if (out == 0 || uids[out - 1] != uids[i])
			uids[out++] = uids[i];
	return out;
}

size_t imap_uids_add(struct buf *b, const uint32_t *uids, size_t from, size_t n, size_t max)
{
	size_t start = b->n, i = from;

	while (i < n && b->n - start < max) {
		size_t last = i;

		while (last + 1 < n && uids[last + 1] == uids[last] + 1)
			last++;
		buf_printf(b, "%s%u", i == from ? "" : ",", uids[i]);
		if (last > i)
			buf_printf(b, ":%u", uids[last]);
		i = last + 1;
	}
	return i;
}
