/* t_mailkey.c - the fingerprint does not see what servers change, and sees everything else. */
#include "../../common/clock.h"
#include "../../worker/data/mailkey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BASE "Message-ID: <1@a>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nFrom: A <a@a>\r\n" \
	"To: b@b, c@c\r\nSubject: hello world\r\n"

static bool same(const char *a, const char *b)
{
	struct mailkey x = mailkey_of(span_of(a)), y = mailkey_of(span_of(b));

	return memcmp(x.fp, y.fp, sizeof(x.fp)) == 0 && x.has_msgid == y.has_msgid;
}

static void t_same(void **state)
{
	static const char *const rows[] = {
		BASE "\r\nSubject: the body\r\n",
		BASE "Received: by x\r\n\tfor y\r\nCc: \r\n\r\n",
		"SUBJECT:hello\r\n\tworld\r\nTO: b@b,\r\n c@c\r\nfrom: A <a@a> \r\n"
		"date:  Mon, 1 Jan 2024 00:00:00 +0000\r\nMESSAGE-ID:\r\n <1@a>",
		"From someone Mon Jan 1\n Message-ID: <no@a>\nMessage-ID: <1@a>\n"
		"Date: Mon, 1 Jan 2024 00:00:00 +0000\nFrom : A <a@a>\nTo: b@b, c@c\nSubject: hello world\n\n",
		BASE "Subject: a second one does not count\r\n",
		"Cc:\r\nSubject:\r\n" BASE,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_true(same(BASE, rows[i]));
}

static void t_odd_bytes(void **state)
{
	(void)state;
	assert_true(same("Subject: caf\xc3\xa9 x\r\n", "Subject: caf? x\r\n"));
	assert_true(same("Subject: caf\xc3\xa9 x\r\n", "Subject: caf??x\r\n"));
	assert_true(same("Subject: a\x01\x02" "b\r\n", "Subject: a\x80" "b\r\n"));
	assert_false(same("Subject: caf\xc3\xa9 x\r\n", "Subject: cafe x\r\n"));
	assert_false(same("Subject: \xc3 a \xc3\r\n", "Subject: \xc3 a\r\n"));
}

static void t_different(void **state)
{
	static const char *const rows[] = {
		"", "\r\n" BASE, BASE "Cc: d@d\r\n",
		"Message-ID: <2@a>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nFrom: A <a@a>\r\n"
		"To: b@b, c@c\r\nSubject: hello world\r\n",
		"Message-ID: <1@a>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nFrom: A <a@a>\r\n"
		"To: b@b, c@c\r\nSubject: Hello world\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_false(same(BASE, rows[i]));
	assert_false(same("From: a\r\n", "To: a\r\n"));
	assert_false(same("From: ab\r\nTo: c\r\n", "From: a\r\nTo: bc\r\n"));
	assert_false(same("Message-ID: x\r\n", "Subject: x\r\n"));
}

static void t_msgid(void **state)
{
	struct span id = mailkey_msgid(SPAN_LIT("X: y\r\nMessage-Id:\r\n\t<a@b> \r\n\r\n"));

	(void)state;
	assert_int_equal(id.n, 5);
	assert_memory_equal(id.p, "<a@b>", 5);
	assert_int_equal(mailkey_msgid(SPAN_LIT("Message-ID: \r\nX-Message-ID: <a>\r\n")).n, 0);
	assert_int_equal(mailkey_msgid(SPAN_NONE).n, 0);
	assert_false(mailkey_of(SPAN_LIT("Subject: x\r\n")).has_msgid);
	assert_true(mailkey_of(SPAN_LIT("Message-ID: <a>\r\n")).has_msgid);
	/* the end of the header ends the search */
	assert_int_equal(mailkey_msgid(SPAN_LIT("A: b\n\nMessage-ID: <a>\n")).n, 0);
}

static void t_fields(void **state)
{
	struct arena *arena = arena_new(1 << 20);
	struct span all = SPAN_LIT("Received: x\r\n" BASE "Cc: z"), some = mailkey_fields(arena, all);
	struct mailkey a = mailkey_of(all), b = mailkey_of(some);

	(void)state;
	assert_memory_equal(a.fp, b.fp, sizeof(a.fp));
	assert_true(span_find_nocase(some, "received") == SIZE_MAX);
	assert_true(span_find_nocase(some, "Cc: z\r\n") != SIZE_MAX);
	arena_free(&arena);
}

static int64_t cost(size_t lines, const char *line)
{
	size_t n = strlen(line);
	char *text = malloc(lines * n);

	for (size_t i = 0; i < lines; i++)
		memcpy(text + i * n, line, n);
	int64_t from = clock_mono_ms();
	mailkey_of(span_bytes(text, lines * n));
	int64_t took = clock_mono_ms() - from;
	free(text);
	return took;
}

/* 30 MB of hostile header stay far below what anything quadratic would take. */
static void t_linear(void **state)
{
	(void)state;
	assert_in_range(cost(1000000, "Subject:\r\n"), 0, 3000);
	assert_in_range(cost(1000000, "S: aaaaaaaaaaaaaaaaaaaaaaaaa\r\n"), 0, 3000);
	assert_in_range(cost(10000000, " \r\n"), 0, 3000);
	assert_in_range(cost(10000000, "To "), 0, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_same),
		cmocka_unit_test(t_odd_bytes),
		cmocka_unit_test(t_different),
		cmocka_unit_test(t_msgid),
		cmocka_unit_test(t_fields),
		cmocka_unit_test(t_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
