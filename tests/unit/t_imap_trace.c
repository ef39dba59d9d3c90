/* t_imap_trace.c - what a protocol trace shows of a line: no content, no secret. */
#include "../../common/trace.h"
#include "../../worker/imap/imap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void shows(const char *line, size_t n, bool hide, const char *expected)
{
	struct buf out;

	buf_init(&out, 4096);
	imap_trace_text(&out, span_bytes(line, n), hide);
	assert_string_equal(buf_str(&out), expected);
	buf_free(&out);
}

#define SHOWS(line, hide, expected) shows("" line, sizeof(line) - 1, hide, expected)

static void test_lines(void **ctx)
{
	(void)ctx;
	SHOWS("A1 SELECT \"INBOX\"\r\n", false, "A1 SELECT \"INBOX\"");
	SHOWS("A2 APPEND x (\\Seen) {310+}\r\n", false, "A2 APPEND x (\\Seen) {310+}");
	/* kept literals lie in the line after '\n', streamed ones are "\r" */
	SHOWS("* 1 FETCH (BODY[HEADER] {9}\nSubject:x UID 7)", true, "* 1 FETCH (BODY[HEADER] {9} UID 7)");
	SHOWS("* 1 FETCH (BODY[] {900}\r UID 7)", true, "* 1 FETCH (BODY[] {900} UID 7)");
	SHOWS("* 1 FETCH (X \"se\\\"cret\" Y \"\")", true, "* 1 FETCH (X \"(8)\" Y \"(0)\")");
	/* lengths that lie, quotes without end */
	SHOWS("* 1 FETCH ({99999}\nabc", true, "* 1 FETCH ({99999}");
	SHOWS("* 1 FETCH ({18446744073709551615}\nabc", true, "* 1 FETCH ({18446744073709551615}");
	SHOWS("* 1 FETCH (\"abc", true, "* 1 FETCH (\"(3)\"");
	SHOWS("* 1 FETCH (\"", true, "* 1 FETCH (\"(0)\"");
	SHOWS("{", false, "{");
	SHOWS("{5", false, "{5");
	SHOWS("{}", false, "{}");
	SHOWS("{999999999999999999999}\nabc", false, "{999999999999999999999}abc");
}

/* Every line of every length ends, and nothing behind a literal's mark is shown. */
static void test_bounds(void **ctx)
{
	char line[2000];
	struct buf out;

	(void)ctx;
	memset(line, 'x', sizeof(line));
	buf_init(&out, 4096);
	imap_trace_text(&out, span_bytes(line, sizeof(line)), true);
	assert_true(out.n < 1000 && strcmp(buf_str(&out) + out.n - 3, "...") == 0);
	buf_free(&out);
}

static void test_wanted(void **ctx)
{
	(void)ctx;
	assert_false(trace_wanted("old", "imap"));
	trace_set("old,exchange");
	assert_true(trace_wanted("old", "imap"));
	assert_true(trace_wanted("x", "exchange"));
	assert_false(trace_wanted("ol", "imap"));
	trace_set("all");
	assert_true(trace_wanted("ol", "imap"));
	trace_set("");
	assert_false(trace_wanted("ol", "imap"));
	trace_set(NULL);
	assert_false(trace_wanted("", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines), cmocka_unit_test(test_bounds), cmocka_unit_test(test_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
