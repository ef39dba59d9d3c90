/* t_local_names.c - folder names on disk: known pairs, one-to-one for whatever comes, hostile ones. */
#include "../../worker/data/path.h"
#include "../../worker/local/names.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena *arena;
static struct err err;

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

static void t_table(void **state)
{
	static const struct { const char *path, *dir; } rows[] = {
		{ "INBOX", "." }, { "Sent", ".Sent" }, { "A/B", ".A.B" }, { "INBOX/x", ".INBOX.x" },
		{ "Entw\xc3\xbcrfe", ".Entw&APw-rfe" }, { "a&b", ".a&-b" }, { "&", ".&-" },
		{ "v1.2", ".v1%2E2" }, { "a%2Fb", ".a%2Fb" }, { "..", ".%2E%2E" }, { ".", ".%2E" },
		{ "100%", ".100%" }, { "50%2E", ".50%252E" }, { "%252F", ".%252F" }, { "%C3", ".%25C3" },
		{ "%2525", ".%2525" },
		{ "\xe6\x97\xa5\xe6\x9c\xac", ".&ZeVnLA-" }, { "\xf0\x9f\x93\xa7", ".&2D3c5w-" },
		{ "tab\there", ".tab&AAk-here" }, { "\x80", ".%80" }, { "a\xc3\xa9\xff.", ".a&AOk-%FF%2E" },
		{ "cur", ".cur" }, { " lead", ". lead" }, { "~", ".~" },
	};
	struct span got;
	bool exact;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(names_to_dir(arena, span_of(rows[i].path), &got, &err), E_OK);
		assert_string_equal(got.p, rows[i].dir);
		assert_true(names_from_dir(arena, span_of(rows[i].dir), &got, &exact));
		assert_true(exact);
		assert_true(span_eq_str(got, rows[i].path));
	}
}

static void t_inbox(void **state)
{
	struct span got;
	bool exact;

	(void)state;
	assert_int_equal(names_to_dir(arena, SPAN_LIT("iNbOx"), &got, &err), E_OK);
	assert_string_equal(got.p, ".");
	/* the root is the only INBOX */
	assert_true(names_from_dir(arena, SPAN_LIT(".Inbox"), &got, &exact));
	assert_false(exact);
}

static void t_refused(void **state)
{
	static char huge[65 * 1024];
	static const char *const bad[] = { "", "/", "a//b", "/a", "a/" };
	struct span got;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(names_to_dir(arena, span_of(bad[i]), &got, &err), E_FOLDER_NAME);
	memset(huge, 'x', sizeof(huge));
	assert_int_equal(names_to_dir(arena, span_bytes(huge, sizeof(huge)), &got, &err), E_FOLDER_NAME);
	assert_int_equal(names_to_dir(arena, span_bytes(huge, NAME_MAX), &got, &err), E_FOLDER_NAME);
	assert_int_equal(names_to_dir(arena, span_bytes(huge, NAME_MAX - 1), &got, &err), E_OK);
	/* the root itself, hidden directories and empty components are no folders */
	static const char *const no_dirs[] = { "", "..", ".A..B", ".A.", "A", "cur" };
	bool exact;
	for (size_t i = 0; i < ARRAY_LEN(no_dirs); i++)
		assert_false(names_from_dir(arena, span_of(no_dirs[i]), &got, &exact));
}

/* Names that we would never write stay distinguishable and are shown as UTF-8. */
static void t_foreign(void **state)
{
	static const struct { const char *dir, *path; } rows[] = {
		{ ".Caf\xc3\xa9", "Caf\xc3\xa9" }, { ".Caf\xe9", "Caf%E9" }, { ".a&AC4-b", "a&AC4-b" },
		{ ".x&", "x&" }, { ".x&!-", "x&!-" }, { ".&AAA", "&AAA" }, { ".&2D0-", "&2D0-" },
		{ ".&AOk-&AOk-", "&AOk-&AOk-" }, { ".%C3%A9", "%C3%A9" }, { ".&AOl-", "&AOl-" },
		{ ".%2Ea%c3", ".a%c3" },
	};
	struct span got;
	bool exact;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(names_from_dir(arena, span_of(rows[i].dir), &got, &exact));
		assert_true(span_eq_str(got, rows[i].path));
		assert_int_equal(exact, i == ARRAY_LEN(rows) - 1);
	}
}

static struct span random_text(char *text, size_t size)
{
	static const char *const bits[] = { ".", "/", "%", "2E", "2F", "25", "&", "-", "A", "\xc3\xa9", "\xc3",
					    "\xf0\x9f\x93\xa7", "\n", "\x7f", "F", "8", "\xed\xa0\x80", "AOk", "," };
	size_t n = 0, want = 1 + (size_t)random() % 12;

	for (size_t i = 0; i < want; i++) {
		const char *bit = bits[(size_t)random() % ARRAY_LEN(bits)];

		if (random() % 40 == 0)
			text[n++] = '\0';
		assert_true(n + strlen(bit) < size);
		memcpy(text + n, bit, strlen(bit));
		n += strlen(bit);
	}
	return span_bytes(text, n);
}

/* Property: every component, whatever its bytes, comes back; its name is one safe component; and a
 * name that decodes is the one that encoding gives. */
static void t_inverse(void **state)
{
	char text[128];
	struct span back;

	(void)state;
	srandom(5);
	for (int i = 0; i < 300000; i++) {
		struct span x = random_text(text, sizeof(text)), e = names_encode_part(arena, x);

		for (size_t k = 0; k < e.n; k++)
			assert_true(e.p[k] >= ' ' && e.p[k] <= '~' && e.p[k] != '/' && e.p[k] != '.');
		assert_true(names_decode_part(arena, e, &back));
		assert_true(span_eq(back, x));
		if (names_decode_part(arena, x, &back))
			assert_true(span_eq(names_encode_part(arena, back), x));
		arena_reset(arena);
	}
}

static void t_path_inverse(void **state)
{
	char text[128];
	struct span dir, back;
	bool exact;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct span path = SPAN_NONE;

		for (long k = random() % 3; k >= 0; k--)
			path = path_join(arena, path, path_encode_component(arena, random_text(text, sizeof(text))));
		if (names_to_dir(arena, path, &dir, &err) != E_OK)
			continue;
		assert_true(names_from_dir(arena, dir, &back, &exact));
		assert_true(exact && span_eq(back, path));
		arena_reset(arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_table),
		cmocka_unit_test(t_inbox),
		cmocka_unit_test(t_refused),
		cmocka_unit_test(t_foreign),
		cmocka_unit_test(t_inverse),
		cmocka_unit_test(t_path_inverse),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
