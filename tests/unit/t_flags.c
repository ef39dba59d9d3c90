/* t_flags.c - keyword sets against a naive model, and the per-flag three-way merge. */
#include "../../worker/data/flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	arena = arena_new((size_t)64 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static void t_from(void **state)
{
	(void)state;
	assert_null(kw_from(arena, SPAN_NONE));
	assert_null(kw_from(arena, SPAN_LIT("  \t")));
	assert_string_equal(kw_from(arena, SPAN_LIT(" b  a\tc a ")), "a b c");
	assert_string_equal(kw_from(arena, SPAN_LIT("Zed abc $F Abc")), "$F Abc Zed");
}

static void t_sets(void **state)
{
	(void)state;
	assert_true(kw_eq(NULL, NULL));
	assert_false(kw_eq(NULL, "a"));
	assert_true(kw_eq("A b", "a B"));
	assert_false(kw_eq("a b", "a c"));
	assert_true(kw_has("$Junk a", SPAN_LIT("$junk")));
	assert_false(kw_has("ab", SPAN_LIT("a")));
	assert_false(kw_has(NULL, SPAN_LIT("a")));
	assert_string_equal(kw_union(arena, "a c", "B d"), "a B c d");
	assert_string_equal(kw_union(arena, NULL, "x"), "x");
	assert_null(kw_union(arena, NULL, NULL));
	assert_string_equal(kw_minus(arena, "a b c", "B"), "a c");
	assert_null(kw_minus(arena, "a", "A"));
	assert_null(kw_minus(arena, NULL, "a"));
}

static void t_valid(void **state)
{
	char long_one[102];

	(void)state;
	memset(long_one, 'k', sizeof(long_one));
	assert_true(kw_valid(SPAN_LIT("$Forwarded")));
	assert_true(kw_valid(SPAN_LIT("a+b:c[1&~")));
	assert_true(kw_valid(span_bytes(long_one, 100)));
	assert_false(kw_valid(span_bytes(long_one, 101)));
	static const char *const bad[] = { "", "\\Seen", "a b", "a(b", "a)", "{1}", "a%", "a*", "a\"",
					   "a]", "a\\b", "a\n", "\x7f", "caf\xc3\xa9" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(kw_valid(span_of(bad[i])));
	assert_false(kw_valid(span_bytes("a\0b", 3)));
}

/* A set of the eight words as a bit mask. */
static const char *const words[8] = { "$Forwarded", "a", "AB", "abc", "b", "Label1", "label2", "z" };

static const char *of_mask(unsigned mask)
{
	char text[128] = "";
	size_t n = 0;

	for (unsigned i = 8; i-- > 0;) {
		if ((mask & 1u << i) != 0)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s ", words[i]);
	}
	return kw_from(arena, span_bytes(text, n));
}

static unsigned mask_of(const char *set)
{
	unsigned mask = 0;

	for (unsigned i = 0; i < 8; i++)
		mask |= kw_has(set, span_of(words[i])) ? 1u << i : 0;
	return mask;
}

/* Property: union, minus and merge are those of bit masks, and results are canonical. */
static void t_model(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			const char *x = of_mask(a), *y = of_mask(b), *u = kw_union(arena, x, y);

			assert_int_equal(mask_of(u), a | b);
			assert_true(kw_eq(u, of_mask(a | b)));
			assert_int_equal(mask_of(kw_minus(arena, x, y)), a & ~b);
			assert_int_equal(kw_eq(x, y), a == b);
			arena_reset(arena);
		}
	}
}

static void t_merge(void **state)
{
	(void)state;
	srandom(3);
	for (int i = 0; i < 20000; i++) {
		unsigned b = (unsigned)random() % 256, l = (unsigned)random() % 256, r = (unsigned)random() % 256;
		unsigned want = (r | (l & ~b)) & ~(b & ~l);
		struct flagset base = { b & 31, of_mask(b) }, left = { l & 31, of_mask(l) };
		struct flagset right = { r & 31, of_mask(r) };
		struct flagset got = flagset_merge(arena, base, left, right);

		assert_int_equal(got.flags, want & 31);
		assert_int_equal(mask_of(got.keywords), want);
		assert_true(flagset_eq(got, flagset_merge(arena, base, right, left)));
		assert_true(flagset_eq(flagset_merge(arena, base, left, base), left));
		arena_reset(arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_from),
		cmocka_unit_test(t_sets),
		cmocka_unit_test(t_valid),
		cmocka_unit_test(t_model),
		cmocka_unit_test(t_merge),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
