/* t_imap_utf7.c - mailbox names in modified UTF-7: known pairs, refusals, round trips. */
#include "../../worker/imap/imap_utf7.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static void test_pairs(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {
		{ "", "" }, { "INBOX", "INBOX" }, { "R&D", "R&-D" }, { "&&", "&-&-" },
		{ "Entw\303\274rfe", "Entw&APw-rfe" }, { "~peter/mail/\345\217\260\345\214\227/\346\227\245\346\234\254\350\252\236", "~peter/mail/&U,BTFw-/&ZeVnLIqe-" },
		{ "\360\237\216\211", "&2DzfiQ-" }, { "\303\226", "&ANY-" }, { "a\303\274&\303\266b", "a&APw-&-&APY-b" },
		{ "\357\277\277", "&,,8-" },
	};
	struct arena *a = arena_new((size_t)1 << 20);
	struct span out;

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		assert_true(imap_utf7_encode(a, span_of(pairs[i][0]), &out));
		assert_true(span_eq_str(out, pairs[i][1]));
		assert_true(imap_utf7_decode(a, span_of(pairs[i][1]), &out));
		assert_true(span_eq_str(out, pairs[i][0]));
	}
	arena_free(&a);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const bad7[] = { "&", "a&b", "&AAo-", "&AGE-", "&APw", "&APw-&APw-", "&2Dw-", "&34k-", "&APx-", "&AP-",
		"&A-", "\303\274", "&AP\303-", "a\tb", "&AH8-", "&APwA-", "&2DwA-" };
	static const char *const bad8[] = { "\200", "\303", "\300\200", "\355\240\200", "\364\220\200\200", "a\nb", "\x7f", "\377" };
	struct arena *a = arena_new((size_t)1 << 20);
	struct span out;

	for (size_t i = 0; i < ARRAY_LEN(bad7); i++)
		if (imap_utf7_decode(a, span_of(bad7[i]), &out))
			fail_msg("%s was accepted", bad7[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad8); i++)
		if (imap_utf7_encode(a, span_of(bad8[i]), &out))
			fail_msg("case %zu was accepted", i);
	arena_free(&a);
}

static size_t put(char *p, uint32_t cp)
{
	if (cp < 0x80)
		return p[0] = (char)cp, 1;
	if (cp < 0x800)
		return p[0] = (char)(0xc0 | cp >> 6), p[1] = (char)(0x80 | (cp & 63)), 2;
	if (cp < 0x10000)
		return p[0] = (char)(0xe0 | cp >> 12), p[1] = (char)(0x80 | (cp >> 6 & 63)), p[2] = (char)(0x80 | (cp & 63)), 3;
	return p[0] = (char)(0xf0 | cp >> 18), p[1] = (char)(0x80 | (cp >> 12 & 63)), p[2] = (char)(0x80 | (cp >> 6 & 63)),
	       p[3] = (char)(0x80 | (cp & 63)), 4;
}

static uint32_t any_char(void)
{
	static const uint32_t tops[] = { 0x7f, 0x7f, 0x800, 0xd800, 0x110000 };
	uint32_t cp;

	do {
		cp = (uint32_t)random() % tops[random() % 5];
	} while (cp < 0x20 || cp == 0x7f || (cp >= 0xd800 && cp < 0xe000));
	return random() % 8 == 0 ? '&' : cp;
}

static void test_round_trips(void **state)
{
	(void)state;
	struct arena *a = arena_new((size_t)16 << 20);
	char text[200];

	srandom(7);
	for (int i = 0; i < 50000; i++) {
		size_t n = 0;
		struct span seven, eight;

		for (long k = random() % 20; k > 0; k--)
			n += put(text + n, any_char());
		assert_true(imap_utf7_encode(a, span_bytes(text, n), &seven));
		for (size_t k = 0; k < seven.n; k++)
			assert_true(seven.p[k] >= 0x20 && seven.p[k] < 0x7f);
		assert_true(imap_utf7_decode(a, seven, &eight));
		assert_true(span_eq(eight, span_bytes(text, n)));
		arena_reset(a);
	}
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs), cmocka_unit_test(test_refused), cmocka_unit_test(test_round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
