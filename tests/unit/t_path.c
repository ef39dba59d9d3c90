/* t_path.c - canonical paths: the escape is reversible, the questions about paths are answered. */
#include "../../worker/data/path.h"

#include <setjmp.h>
#include <stdarg.h>
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

#define assert_span(got, want) do { \
	struct span got_ = (got); \
	assert_int_equal(got_.n, strlen(want)); \
	assert_memory_equal(got_.p, want, got_.n); \
} while (0)

static void t_component_table(void **state)
{
	static const struct { const char *plain, *encoded; } rows[] = {
		{ "Sent", "Sent" }, { "a/b", "a%2Fb" }, { "100%", "100%" }, { "%2F", "%252F" },
		{ "%25", "%2525" }, { "%2f", "%2f" }, { "%%2F", "%%252F" }, { "50%2", "50%2" },
		{ "%252F", "%25252F" }, { "", "" }, { "/", "%2F" }, { "..", ".." },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_span(path_encode_component(arena, span_of(rows[i].plain)), rows[i].encoded);
		assert_span(path_decode_component(arena, span_of(rows[i].encoded)), rows[i].plain);
	}
}

/* Property: decode(encode(x)) == x, and no '/' is left in it. */
static void t_component_inverse(void **state)
{
	static const char letters[] = "%%%/25Ff2A\0\xc3";

	(void)state;
	srandom(7);
	for (int round = 0; round < 20000; round++) {
		char text[24];
		size_t n = (size_t)random() % sizeof(text);

		for (size_t i = 0; i < n; i++)
			text[i] = letters[(size_t)random() % (sizeof(letters) - 1)];
		struct span x = span_bytes(text, n), e = path_encode_component(arena, x);

		assert_true(span_find(e, 0, '/') == SIZE_MAX);
		assert_true(span_eq(path_decode_component(arena, e), x));
		arena_reset(arena);
	}
}

static void t_parts(void **state)
{
	(void)state;
	assert_span(path_join(arena, SPAN_LIT("A/B"), SPAN_LIT("C")), "A/B/C");
	assert_span(path_join(arena, SPAN_NONE, SPAN_LIT("C")), "C");
	assert_span(path_parent(SPAN_LIT("A/B/C")), "A/B");
	assert_int_equal(path_parent(SPAN_LIT("A")).n, 0);
	assert_span(path_last(SPAN_LIT("A/B%2FC")), "B%2FC");
	assert_span(path_last(SPAN_LIT("A")), "A");
	assert_int_equal(path_depth(SPAN_NONE), 0);
	assert_int_equal(path_depth(SPAN_LIT("A")), 1);
	assert_int_equal(path_depth(SPAN_LIT("A/B/C")), 3);
	assert_true(path_is_below(SPAN_LIT("A/B"), SPAN_LIT("A")));
	assert_false(path_is_below(SPAN_LIT("A"), SPAN_LIT("A")));
	assert_false(path_is_below(SPAN_LIT("AB/C"), SPAN_LIT("A")));
	assert_false(path_is_below(SPAN_LIT("A"), SPAN_NONE));
}

static void t_eq(void **state)
{
	(void)state;
	assert_true(path_eq(SPAN_LIT("Inbox"), SPAN_LIT("INBOX")));
	assert_false(path_eq(SPAN_LIT("Inbox/a"), SPAN_LIT("INBOX/a")));
	assert_false(path_eq(SPAN_LIT("Sent"), SPAN_LIT("sent")));
	assert_true(path_eq(SPAN_LIT("Sent"), SPAN_LIT("Sent")));
}

static void t_matches(void **state)
{
	static const struct { const char *path, *pattern; bool want; } rows[] = {
		{ "Junk", "Junk", true }, { "JUNK", "Junk", true }, { "Junk/a", "Junk", false },
		{ "Junk/a", "Junk/*", true }, { "junk/a/b", "Junk/*", true }, { "Junk", "Junk/*", false },
		{ "Junky/a", "Junk/*", false }, { "a", "/*", false }, { "a", "*", false }, { "", "", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(path_matches(span_of(rows[i].path), span_of(rows[i].pattern)), rows[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_component_table),
		cmocka_unit_test(t_component_inverse),
		cmocka_unit_test(t_parts),
		cmocka_unit_test(t_eq),
		cmocka_unit_test(t_matches),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
