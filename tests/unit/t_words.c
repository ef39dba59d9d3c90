/* t_words.c - encoded words of RFC 2047, those of its examples and those that mailers really send. */
#include "../../worker/data/words.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct { const char *text, *decoded; } rows[] = {
	{ "", "" },
	{ "plain text", "plain text" },
	/* RFC 2047, section 8 */
	{ "=?ISO-8859-1?Q?a?=", "a" },
	{ "=?ISO-8859-1?Q?a?= b", "a b" },
	{ "=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab" },
	{ "=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab" },
	{ "=?ISO-8859-1?Q?a?=\r\n     =?ISO-8859-1?Q?b?=", "ab" },
	{ "=?ISO-8859-1?Q?a_b?=", "a b" },
	{ "=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b" },
	{ "=?US-ASCII?Q?Keith_Moore?=", "Keith Moore" },
	{ "=?ISO-8859-1?Q?Andr=E9?= Pirard", "Andr\xc3\xa9 Pirard" },
	{ "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
	  "If you can read this you understand the example." },
	/* in lower case, with a language (RFC 2231) */
	{ "=?utf-8?q?gr=c3=bc=c3=9fe?=", "gr\xc3\xbc\xc3\x9f" "e" },
	{ "=?utf-8*de?Q?=C3=A4?=", "\xc3\xa4" },
	/* a character that is cut in two words */
	{ "=?UTF-8?Q?=E2=82?= =?utf-8?Q?=AC_5?=", "\xe2\x82\xac 5" },
	{ "=?UTF-8?B?4oI=?= =?UTF-8?B?rA==?=", "\xe2\x82\xac" },
	{ "=?windows-1252?Q?=80_5=96?=", "\xe2\x82\xac 5\xe2\x80\x93" },
	{ "=?koi8-r?B?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82" },
	{ "=?iso-8859-15?Q?=A4?=", "\xe2\x82\xac" },
	{ "Re: [x] =?UTF-8?Q?=C3=84?=: y", "Re: [x] \xc3\x84: y" },
	{ "folded\r\n\tline", "folded line" },
	/* blanks within Q, which is wrong and common */
	{ "=?UTF-8?Q?a b=C3=A4?=", "a b\xc3\xa4" },
	/* what is not known or malformed stays */
	{ "=?iso-2022-jp?B?GyRCJCIbKEI=?=", "=?iso-2022-jp?B?GyRCJCIbKEI=?=" },
	{ "=?UTF-8?X?abc?=", "=?UTF-8?X?abc?=" },
	{ "=?UTF-8?Q?abc", "=?UTF-8?Q?abc" },
	{ "=?UTF-8?Q?abc?", "=?UTF-8?Q?abc?" },
	{ "=??Q?abc?=", "=??Q?abc?=" },
	{ "=?", "=?" },
	{ "=?UTF-8?Q?" "?=", "" },
	{ "=?UTF-8?Q?=zz=4?=", "=zz=4" },
	{ "=?UTF-8?B?!!!?= x", " x" },
	{ "=?UTF-8?Q?=FF=C0=80?=", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "=?UTF-8?Q?=ED=A0=80?=", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
};

static void test_rows(void **ctx)
{
	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out;

		buf_init(&out, 4096);
		words_decode(span_of(rows[i].text), &out);
		assert_string_equal(buf_str(&out), rows[i].decoded);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
