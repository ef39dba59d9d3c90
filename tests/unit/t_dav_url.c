/* t_dav_url.c - URLs, hrefs, names of items and folders. */
#include "../../worker/dav/dav_url.h"
#include "../../worker/data/path.h"
#include "../../worker/http/http_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

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

static void test_split(void **state)
{
	static const char *const bad[] = { "", "http:", "http://", "ftp://h/", "https://u@h/", "https://u:p@h/", "https://h:0/",
		"https://h:65536/", "https://h:x/", "https://[::1/", "https://h /", "https://h\r\n/", "https://h/a b",
		"https://h/#f", "https://ex\xc3\xa4mple/", "https://h/\"", "//h/", "/a", "https://[::g]/", "https://?q" };
	static const char *const good[] = { "http://h", "HTTPS://H:1/a?b", "https://[::1]:443/", "https://a-b.c_d.e/%20" };
	struct http_url u, v;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (http_url_split(span_of(bad[i]), &u))
			fail_msg("%s is taken for a URL", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(http_url_split(span_of(good[i]), &u));
	assert_true(http_url_split(SPAN_LIT("HTTPS://Host.Example:8443/a/b?c"), &u));
	assert_true(u.tls && u.port == 8443 && span_eq_str(u.path, "/a/b?c") && span_eq_str(u.host, "Host.Example"));
	assert_true(span_eq_str(u.origin, "HTTPS://Host.Example:8443"));
	assert_true(http_url_split(SPAN_LIT("https://host.example:8443"), &v));
	assert_true(http_url_same_origin(&u, &v));
	assert_true(http_url_split(SPAN_LIT("https://host.example"), &v));
	assert_false(http_url_same_origin(&u, &v));
}

static void test_resolve(void **state)
{
	/* RFC 3986 5.4 */
	static const struct { const char *ref, *want; } cases[] = {
		{ "g", "http://a/b/c/g" }, { "./g", "http://a/b/c/g" }, { "g/", "http://a/b/c/g/" }, { "/g", "http://a/g" },
		{ "//g", "http://g/" }, { "?y", "http://a/b/c/d?y" }, { "g?y", "http://a/b/c/g?y" }, { "g#s", "http://a/b/c/g" },
		{ "", "http://a/b/c/d?q" }, { ".", "http://a/b/c/" }, { "./", "http://a/b/c/" }, { "..", "http://a/b/" },
		{ "../g", "http://a/b/g" }, { "../..", "http://a/" }, { "../../g", "http://a/g" }, { "../../../g", "http://a/g" },
		{ "/../g", "http://a/g" }, { "g.", "http://a/b/c/g." }, { "..g", "http://a/b/c/..g" },
		{ "./g/.", "http://a/b/c/g/" }, { "g/../h", "http://a/b/c/h" }, { "g?y/../x", "http://a/b/c/g?y/../x" },
		{ "https://h/x/../y", "https://h/y" }, { "file:///etc/passwd", NULL }, { "javascript:1", NULL },
		{ "http://u@h/", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = http_url_resolve(arena, SPAN_LIT("http://a/b/c/d?q"), span_of(cases[i].ref));

		if (cases[i].want == NULL)
			assert_null(got);
		else
			assert_string_equal(got, cases[i].want);
	}
}

static void test_paths(void **state)
{
	static const struct { const char *href, *want; } cases[] = {
		{ "/cal/a%40b/", "/cal/a@b/" }, { "http://other/x%2fy/Z%20z", "/x%2Fy/Z%20z" }, { "with blank", "/base/with%20blank" },
		{ "\xc3\xa4.ics", "/base/%C3%A4.ics" }, { "%e4", "/base/%E4" }, { "100%", "/base/100%25" },
		{ "/a/%2e%2e/b", NULL }, { "/a/%2E/b", NULL }, { "/a/../b?x=y", "/b" }, { "", "/base/me" }, { "/", "/" },
		{ "mailto:x", NULL }, { "/a/\x01", "/a/%01" }, { "%00", "/base/%00" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span got = dav_path(arena, SPAN_LIT("https://h/base/me"), span_of(cases[i].href), NULL);

		if (cases[i].want == NULL ? got.n != 0 : !span_eq_str(got, cases[i].want))
			fail_msg("%s gives \"" SPAN_FMT "\"", cases[i].href, SPAN_ARG(got));
	}
}

static void test_items(void **state)
{
	const struct span home = SPAN_LIT("/cal/work/");
	static const struct { const char *path, *name; } cases[] = {
		{ "/cal/work/a.ics", "a.ics" }, { "/cal/work/a%2Fb", "a/b" }, { "/cal/work/", NULL }, { "/cal/work/x/", NULL },
		{ "/cal/work/x/y", NULL }, { "/cal/worka", NULL }, { "/cal/wor", NULL }, { "/cal/work", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span name = dav_item_name(arena, home, span_of(cases[i].path));

		if (cases[i].name == NULL) {
			assert_int_equal(name.n, 0);
			continue;
		}
		assert_true(span_eq_str(name, cases[i].name));
		assert_true(span_eq_str(dav_item_path(arena, home, name), cases[i].path));
	}
	/* all bytes there and back */
	char all[255];
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)(i + 1);
	struct span path = dav_item_path(arena, home, span_bytes(all, sizeof(all)));
	assert_true(span_eq(dav_item_name(arena, home, path), span_bytes(all, sizeof(all))));
	assert_true(span_eq(dav_path(arena, SPAN_LIT("https://h/"), path, NULL), path));
	assert_true(span_eq_str(dav_last_segment(arena, SPAN_LIT("/a/b%20c/")), "b c"));
}

static void test_new_names(void **state)
{
	static const char *const odd[] = { "", ".", "..", ".hidden", "a/b", "a b", "\xc3\xa4", "~x", "a:b", "x%2e" };
	char long_uid[200];

	(void)state;
	assert_true(span_eq_str(dav_new_name(arena, SPAN_LIT("A-1_b.c@d"), 0, ".ics"), "A-1_b.c@d.ics"));
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct span name = dav_new_name(arena, span_of(odd[i]), 0, ".vcf");

		assert_int_equal(name.n, 32 + 4);
		for (size_t j = 0; j < i; j++)
			assert_false(span_eq(name, dav_new_name(arena, span_of(odd[j]), 0, ".vcf")));
	}
	memset(long_uid, 'a', sizeof(long_uid));
	assert_int_equal(dav_new_name(arena, span_bytes(long_uid, sizeof(long_uid)), 0, "").n, 32);
	struct span a = dav_new_name(arena, SPAN_LIT("u"), 0, ""), b = dav_new_name(arena, SPAN_LIT("u"), 1, "");
	struct span c = dav_new_name(arena, SPAN_LIT("u"), 2, "");
	assert_false(span_eq(a, b) || span_eq(b, c) || span_eq(a, c));
}

static void test_folders(void **state)
{
	static const struct { const char *display, *path; } cases[] = {
		{ "Work", "Work" }, { "A/B", "A/B" }, { "M\xc3\xbcller / Privat", "M\xc3\xbcller %2F Privat" }, { "/x/", "%2Fx%2F" },
		{ "a//b", "a%2F%2Fb" }, { "100%", "100%" }, { "a%2Fb", "a%2Fb" }, { "a%25b", "a%2525b" }, { "  x\n", "x" },
		{ "x\x01y\xff", "xy" }, { "", "" }, { "\t", "" }, { "a/b%2Fc", "a/b%2Fc" },
	};
	static const char *const paths[] = { "Work", "A/B", "A/B/C", "A%2FB", "A %2F B", "A/B%2FC", "100%", "x%252Fy" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span got = dav_folder_path(arena, span_of(cases[i].display));

		if (!span_eq_str(got, cases[i].path))
			fail_msg("\"%s\" gives \"" SPAN_FMT "\"", cases[i].display, SPAN_ARG(got));
	}
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct span name = dav_display_name(arena, span_of(paths[i]));

		if (name.n == 0 || !span_eq_str(dav_folder_path(arena, name), paths[i]))
			fail_msg("\"%s\" becomes \"" SPAN_FMT "\"", paths[i], SPAN_ARG(name));
	}
	assert_int_equal(dav_display_name(arena, SPAN_LIT("a /b")).n, 0);
}

static void test_expand(void **state)
{
	(void)state;
	assert_string_equal(dav_expand(arena, "https://h/{mailbox}/{USER}/{x}", "a b@c/d", "u\xc3\xa4"),
			    "https://h/a%20b@c%2Fd/u%C3%A4/{x}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split), cmocka_unit_test(test_resolve), cmocka_unit_test(test_paths),
		cmocka_unit_test(test_items), cmocka_unit_test(test_new_names), cmocka_unit_test(test_folders),
		cmocka_unit_test(test_expand),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
