/* fuzz_record.c - two hostile items in one buffer, a NUL between them: records survive printing and
 * storing, patches do what they say, a merge leaves both sides equal and nothing to do.
 */
#include "../../worker/data/busy.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct arena *arena;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void must_be_same(const struct record *a, const struct record *b)
{
	struct span ca = record_canonical(arena, a), cb = record_canonical(arena, b);

	if (span_eq(ca, cb))
		return;
	fprintf(stderr, "--- one\n" SPAN_FMT "\n--- other\n" SPAN_FMT "\n", SPAN_ARG(ca), SPAN_ARG(cb));
	abort();
}

static struct record *read_one(struct span text)
{
	struct record *r = NULL;
	struct err err = ERR_INIT;

	if (record_parse(arena, text, &r, &err) != E_OK) {
		must(err.text[0] != '\0');
		return NULL;
	}
	return r;
}

static bool is_card(const struct record *r)
{
	return r->kind == RECORD_CONTACT || r->kind == RECORD_GROUP;
}

static void try_one(const struct record *r)
{
	static const unsigned int flags[] = { 0, RECORD_SILENT, RECORD_VCARD_40, RECORD_VCARD_21 };
	struct record *loaded;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		struct buf out;

		buf_init(&out, (size_t)16 << 20);
		must(record_print(arena, r, flags[i], &out, &err) == E_OK);
		struct record *again = read_one(buf_span(&out));
		if (again == NULL)
			fprintf(stderr, "printed with %u, cannot be read:\n" SPAN_FMT, flags[i], SPAN_ARG(buf_span(&out)));
		must(again != NULL);
		/* 2.1 and 3.0 cannot hold all of 4.0; calendars have one form, and 4.0 holds all contacts */
		if (!is_card(r) || flags[i] == RECORD_VCARD_40)
			must_be_same(r, again);
		buf_free(&out);
	}
	must(record_load(arena, record_canonical(arena, r), &loaded, &err) == E_OK);
	must_be_same(r, loaded);
	must(record_differences(arena, r, r, NULL) == 0);
	(void)busy_in_window(arena, r, 1704067200, 1706745600, 86400);
	struct record *busy = busy_copy(arena, r);
	if (busy != NULL)
		must(record_diff(arena, busy, busy).n == 0);
	(void)record_key(arena, r);
}

static void try_two(const struct record *a, const struct record *b)
{
	struct record_patch p = record_diff(arena, a, b);
	const struct record *base[SIDES] = { NULL, NULL }, *now[SIDES] = { a, b }, *done[SIDES];
	struct record_merge m;

	must_be_same(record_apply(arena, a, &p), b);
	record_merge(arena, base, now, RECORD_NEWEST, &m);
	for (int s = 0; s < SIDES; s++)
		done[s] = record_apply(arena, now[s], &m.to[s]);
	must_be_same(done[0], done[1]);
	record_merge(arena, base, done, RECORD_NEWEST, &m);
	must(m.to[0].n == 0 && m.to[1].n == 0 && m.n_conflicts == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_bytes(data, n < 40000 ? n : 40000);
	size_t cut = span_find(in, 0, '\0');
	struct record *a, *b, *loaded;

	arena = arena_new((size_t)256 << 20);
	(void)!record_load(arena, in, &loaded, NULL);
	a = read_one(span_cut(in, 0, cut));
	b = cut == SIZE_MAX ? NULL : read_one(span_cut(in, cut + 1, in.n));
	if (a != NULL)
		try_one(a);
	if (b != NULL)
		try_one(b);
	if (a != NULL && b != NULL && (a->kind == b->kind || (is_card(a) && is_card(b))))
		try_two(a, record_with_uid(arena, b, a->uid));
	arena_free(&arena);
	return 0;
}
