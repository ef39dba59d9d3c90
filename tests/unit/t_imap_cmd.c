/* t_imap_cmd.c - the encoder: quoting, flags, UID sets; nothing from outside can end a line. */
#include "../../worker/imap/imap_cmd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct imap im;

static void expect(const char *text)
{
	assert_string_equal(buf_str(&im.cmd), text);
	buf_clear(&im.cmd);
}

static void test_names(void **state)
{
	(void)state;
	imap_cmd_name(&im, SPAN_LIT("a \"b\\c"));
	expect(" \"a \\\"b\\\\c\"");
	imap_cmd_name(&im, SPAN_LIT("\303\274"));
	expect(" \"\303\274\"");
	static const struct span bad[] = { SPAN_LIT("a\nb"), SPAN_LIT("a\rb"), SPAN_LIT("a\0b"), SPAN_LIT("x\r\nA9 DELETE y") };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		imap_cmd_name(&im, bad[i]);
		assert_true(im.cmd.overflow);        /* imap_cmd_end() refuses it */
		assert_null(memchr(im.cmd.p, '\n', im.cmd.n));
		buf_clear(&im.cmd);
	}
}

static void test_flags(void **state)
{
	(void)state;
	imap_cmd_flags(&im, EP_FLAGS_ALL, NULL);
	expect(" (\\Seen \\Answered \\Flagged \\Deleted \\Draft)");
	imap_cmd_flags(&im, 0x40 | EP_SEEN, "$Forwarded neu");
	expect(" (\\Seen $Forwarded neu)");
	imap_cmd_flags(&im, 0, "\\Recent a) \r\nX {5} ok %x \"q b*");
	expect(" (ok)");
}

static void test_login(void **state)
{
	(void)state;
	assert_true(imap_cmd_login_word(&im, "a\"b", 3));
	expect(" \"a\\\"b\"");
	assert_false(imap_cmd_login_word(&im, "a\303\274", 3));
	assert_false(imap_cmd_login_word(&im, "a\r\n", 3));
	expect("");
}

static void test_sets(void **state)
{
	(void)state;
	uint32_t uids[] = { 9, 1, 2, 3, 7, 3, 4294967295U, 8 };
	size_t n = imap_uids_sort(uids, ARRAY_LEN(uids)), at;
	uint32_t v;

	assert_int_equal(n, 7);
	at = imap_uids_add(&im.cmd, uids, 0, n, 1000);
	assert_int_equal(at, 7);
	expect("1:3,7:9,4294967295");
	at = imap_uids_add(&im.cmd, uids, 0, n, 3);
	assert_int_equal(at, 3);
	expect("1:3");
	struct arena *a = arena_new((size_t)1 << 20);
	assert_true(span_eq_str(imap_uid_span(a, 4294967295U), "4294967295") && span_eq_str(imap_uid_span(a, 0), "0"));
	arena_free(&a);
	assert_true(imap_uid(SPAN_LIT("7"), &v) && v == 7);
	assert_false(imap_uid(SPAN_LIT("0"), &v) || imap_uid(SPAN_LIT(""), &v) || imap_uid(SPAN_LIT("4294967296"), &v) || imap_uid(SPAN_LIT("1x"), &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_flags), cmocka_unit_test(test_login), cmocka_unit_test(test_sets),
	};

	buf_init(&im.cmd, 65536);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	buf_free(&im.cmd);
	return rc;
}
