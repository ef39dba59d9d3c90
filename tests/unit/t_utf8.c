/* t_utf8.c - every code point there and back, and every sequence of two bytes that is none; what a log escapes. */
#include "../../common/log.h"
#include "../../common/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_every_code_point(void **state)
{
	(void)state;
	for (uint32_t cp = 0; cp < 0x120000; cp++) {
		char utf8[4];
		size_t n = (size_t)(utf8_put(utf8, cp) - utf8);
		bool is_one = cp < 0x110000 && (cp < 0xd800 || cp > 0xdfff);
		uint32_t got = 0;

		assert_int_equal(n, cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4);
		assert_int_equal(span_utf8(span_bytes(utf8, n), 0, &got), is_one ? n : 0);
		if (is_one)
			assert_int_equal(got, cp);
		assert_int_equal(span_is_utf8(span_bytes(utf8, n)), is_one);
		/* a cut one is none */
		assert_true(n == 1 || !span_is_utf8(span_bytes(utf8, n - 1)));
	}
}

static void test_two_bytes(void **state)
{
	(void)state;
	for (unsigned a = 0x80; a < 0x100; a++) {
		for (unsigned b = 0; b < 0x100; b++) {
			char s[2] = { (char)a, (char)b };
			bool is_one = a >= 0xc2 && a < 0xe0 && b >= 0x80 && b < 0xc0;

			assert_int_equal(span_utf8(span_bytes(s, 2), 0, NULL), is_one ? 2 : 0);
		}
	}
	assert_int_equal(span_utf8(SPAN_LIT("a"), 1, NULL), 0);
	assert_true(span_is_utf8(SPAN_NONE));
}

/* What a log shows as it is: text, but no control characters, of which C1 are two bytes. */
static void test_log_escape(void **state)
{
	static const char text[] = "\xc3\xbc \xc2\x85 \x1b \xed\xa0\x80 \"\xf0\x9f\x98\x80";
	char out[200];

	(void)state;
	assert_string_equal(log_escape(text, sizeof(text) - 1, out, sizeof(out)),
			    "\xc3\xbc \\xc2\\x85 \\x1b \\xed\\xa0\\x80 \\\"\xf0\x9f\x98\x80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_code_point), cmocka_unit_test(test_two_bytes),
		cmocka_unit_test(test_log_escape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
