/* t_imap_names.c - paths to names and back, for every separator, prefix and level of escaping. */
#include "../../worker/imap/imap.h"

#include "../../worker/data/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static struct arena *arena;

static struct imap server(const char *prefix, char separator, bool utf8)
{
	return (struct imap){ .prefix = span_of(prefix), .separator = separator, .utf8 = utf8 };
}

static void expect_path(struct imap *im, const char *name, const char *path)
{
	struct span got;

	assert_true(imap_path_of(im, arena, span_of(name), im->separator, &got));
	if (!span_eq_str(got, path))
		fail_msg("%s gave " SPAN_FMT ", not %s", name, SPAN_ARG(got), path);
}

static void expect_name(struct imap *im, const char *path, unsigned level, const char *name)
{
	struct span got;

	assert_true(imap_name_of(im, arena, span_of(path), level, &got));
	if (!span_eq_str(got, name))
		fail_msg("%s gave " SPAN_FMT ", not %s", path, SPAN_ARG(got), name);
}

static void test_known(void **state)
{
	(void)state;
	struct imap slash = server("", '/', false), dot = server("INBOX.", '.', false), flat = server("", '\0', false);
	struct span out;

	expect_path(&slash, "inbox", "INBOX");
	expect_path(&slash, "Inbox/x", "INBOX/x");
	expect_path(&slash, "a.b/c", "a.b/c");
	expect_path(&dot, "INBOX.Sent.2024", "Sent/2024");
	expect_path(&dot, "INBOX", "INBOX");
	expect_path(&dot, "INBOX.a/b", "a%2Fb");
	expect_path(&slash, "Entw&APw-rfe/R&-D", "Entw\303\274rfe/R&D");
	expect_path(&slash, "a%2Fb", "a%252Fb");
	expect_path(&slash, "100%", "100%");
	expect_path(&slash, "bad&name", "bad&name");
	expect_path(&slash, "\303\274", "\303\274");
	expect_path(&slash, "\374", "?");
	expect_name(&slash, "a%252Fb", 0, "a%2Fb");
	expect_name(&slash, "a%2Fb/c.d", 0, "a&8C8-b/c.d");
	expect_name(&slash, "a%2Fb/c.d", 1, "a&8C8-b/c&8C4-d");
	expect_name(&slash, "~x", 1, "&8H4-x");
	expect_name(&dot, "a.b/c", 0, "INBOX.a&8C4-b.c");
	expect_name(&dot, "a%2Fb", 0, "INBOX.a/b");
	expect_name(&slash, "\357\200\256", 0, "&8IDwLg-");
	expect_path(&slash, "&8IDwLg-", "\357\200\256");
	expect_name(&dot, "INBOX", 0, "INBOX");
	assert_false(imap_name_of(&flat, arena, SPAN_LIT("a/b"), 0, &out));
	assert_false(imap_name_of(&slash, arena, SPAN_LIT("a//b"), 0, &out));
	assert_false(imap_name_of(&slash, arena, SPAN_LIT("a\377"), 0, &out));
	assert_false(imap_name_of(&slash, arena, SPAN_LIT("a/"), 0, &out));
	assert_false(imap_path_of(&slash, arena, SPAN_LIT("a//b"), '/', &out));
	assert_false(imap_path_of(&slash, arena, SPAN_LIT("/"), '/', &out));
	expect_path(&slash, "a/", "a");
	/* other people's folders are not ours */
	assert_false(imap_path_of(&dot, arena, SPAN_LIT("shared.x"), '.', &out));
	slash.foreign[0] = SPAN_LIT("Other Users/");
	slash.n_foreign = 1;
	assert_false(imap_path_of(&slash, arena, SPAN_LIT("Other Users/bob"), '/', &out));
}

static struct span random_component(char *p)
{
	static const char *const pieces[] = { "a", "B", "%", "2", "5", "F", "E", "/", ".", "\\", "*", "&", "-", " ", "%25", "%2E", "%2F",
		"\303\274", "\360\237\216\211", "\357\200\256", "\357\202\200", "\357\200\201", "\357\201\201", "\001", "\177", "~", "_", "^", "\"" };
	size_t n = 0;

	for (long k = 1 + random() % 8; k > 0; k--) {
		const char *s = pieces[(size_t)random() % ARRAY_LEN(pieces)];

		memcpy(p + n, s, strlen(s));
		n += strlen(s);
	}
	return span_bytes(p, n);
}

/* The name of a path is read back as that path, whatever stands in it. */
static void test_reversible(void **state)
{
	(void)state;
	static const char separators[] = "/.\\^|";
	char text[128];

	srandom(11);
	for (int i = 0; i < 60000; i++) {
		struct imap im = server(random() % 2 ? "INBOX" : "", separators[random() % 5], random() % 2);
		char prefix[] = { 'I', im.separator, '\0' };
		struct span path = SPAN_NONE, name, back;

		im.prefix = random() % 2 ? span_of(prefix) : SPAN_NONE;
		for (long k = 1 + random() % 3; k > 0; k--)
			path = path_join(arena, path, path_encode_component(arena, random_component(text)));
		for (unsigned level = 0; level < IMAP_LEVELS; level++) {
			assert_true(imap_name_of(&im, arena, path, level, &name));
			assert_true(imap_path_of(&im, arena, name, im.separator, &back));
			if (!span_eq(back, path))
				fail_msg("level %u separator %c: " SPAN_FMT " -> " SPAN_FMT " -> " SPAN_FMT, level, im.separator,
					 SPAN_ARG(path), SPAN_ARG(name), SPAN_ARG(back));
		}
		arena_reset(arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_known), cmocka_unit_test(test_reversible) };

	arena = arena_new((size_t)16 << 20);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return rc;
}
