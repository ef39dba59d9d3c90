/* ews_rest.c - what of a record has no field on the server: a patch beside the fields.
 *
 * The text is "1" and netstrings: component, property, instance, a digest of the value that the fields say
 * (empty: they say nothing), the value wanted (empty: none). Changes of one property of one component hold together
 * or not at all: only if the fields still say what they said.
 */
#include "ews_map.h"

#include <inttypes.h>
#include <stdio.h>

#define REST_MAX ((size_t)256 << 10)
#define DIGEST_TEXT 17

static void put(struct buf *b, struct span s)
{
	buf_printf(b, "%zu:", s.n);
	buf_add_span(b, s);
}

static struct span digest(struct span value, char out[DIGEST_TEXT])
{
	if (value.p == NULL)
		return SPAN_NONE;
	snprintf(out, DIGEST_TEXT, "%016" PRIx64, span_hash(value));
	return span_of(out);
}

enum code ews_rest_make(struct arena *arena, const struct record *plain, const struct record *wanted,
			struct span *rest_r, struct err *err)
{
	struct record_patch p = record_diff(arena, plain, wanted);
	char text[DIGEST_TEXT];
	struct buf b;

	*rest_r = SPAN_NONE;
	if (p.n == 0)
		return E_OK;
	buf_init(&b, REST_MAX);
	buf_add_char(&b, '1');
	for (size_t i = 0; i < p.n; i++) {
		put(&b, p.changes[i].comp);
		put(&b, p.changes[i].prop);
		put(&b, p.changes[i].inst);
		put(&b, digest(p.changes[i].before, text));
		put(&b, p.changes[i].after);
	}
	enum code rc = b.overflow ? err_set(err, E_ITEM_TOO_BIG,
			"what Exchange has no field for takes more than %zu KiB",
					    REST_MAX >> 10) : E_OK;
	if (rc == E_OK)
		*rest_r = arena_span(arena, buf_span(&b));
	buf_free(&b);
	return rc;
}

static bool take(struct span *s, struct span *part_r)
{
	size_t colon = span_find(*s, 0, ':');
	uint64_t n;

	if (colon == SIZE_MAX || !span_u64(span_cut(*s, 0, colon), REST_MAX, &n) || n > s->n - colon - 1)
		return false;
	*part_r = span_cut(*s, colon + 1, (size_t)n);
	*s = span_cut(*s, colon + 1 + (size_t)n, s->n);
	return true;
}

struct rest_change {
	struct record_change c;
	struct span digest;
	bool holds;
};

static size_t parse(struct arena *arena, struct span rest, struct rest_change **list_r)
{
	struct rest_change *list = NULL;
	size_t n = 0, cap = 0;

	*list_r = NULL;
	if (rest.n == 0 || rest.p[0] != '1')
		return 0;
	rest = span_cut(rest, 1, rest.n);
	while (rest.n > 0) {
		struct rest_change c = { .holds = true };

		if (!take(&rest, &c.c.comp) || !take(&rest, &c.c.prop) || !take(&rest, &c.c.inst) ||
		    !take(&rest, &c.digest) || !take(&rest, &c.c.after))
			return 0;
		list = arena_grow(arena, list, n, sizeof(*list), &cap);
		list[n++] = c;
	}
	*list_r = list;
	return n;
}

static bool same_group(const struct rest_change *a, const struct rest_change *b)
{
	return span_eq(a->c.comp, b->c.comp) && span_eq(a->c.prop, b->c.prop);
}

/* The text went through a server: line ends may be others. */
static struct span mended(struct arena *arena, struct span rest)
{
	char *out = arena_raw(arena, rest.n + 1), *to = out;

	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i] != '\r')
			*to++ = rest.p[i];
	return span_bytes(out, (size_t)(to - out));
}

struct record *ews_rest_apply(struct arena *arena, struct record *plain, struct span text)
{
	struct span rest = arena_span(arena, mended(arena, text));
	struct rest_change *list;
	size_t n = parse(arena, rest, &list), kept = 0;
	struct record_change *changes = arena_calloc(arena, n, sizeof(*changes));
	char digest_text[DIGEST_TEXT];

	for (size_t i = 0; i < n; i++) {
		const struct record_entry *now = record_find(plain, list[i].c.comp, list[i].c.prop, list[i].c.inst);

		list[i].c.before = now != NULL ? now->value : SPAN_NONE;
		list[i].holds = span_eq(digest(list[i].c.before, digest_text), list[i].digest);
	}
	for (size_t i = 0; i < n; i++) {
		bool holds = true;

		for (size_t j = 0; j < n; j++)
			holds &= list[j].holds || !same_group(&list[i], &list[j]);
		if (!holds)
			continue;
		changes[kept] = list[i].c;
		if (changes[kept].after.n == 0)
			changes[kept].after = SPAN_NONE;
		kept++;
	}
	struct record_patch patch = { .changes = changes, .n = kept };
	return kept > 0 ? record_apply(arena, plain, &patch) : plain;
}
