/* t_imap_parse.c - lines, tokens, answers, sets and dates. */
#include "../../worker/imap/imap_parse.h"

#include "../../common/clock.h"
#include "../../common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

/* Feed in pieces of `step` bytes; literals are kept, or skipped if `skip`. The line's bytes. */
static enum code scan(const char *text, size_t n, size_t step, bool skip, struct buf *out, struct err *err)
{
	struct imap_scan s;
	size_t at = 0;
	enum imap_scan_event event = IMAP_SCAN_MORE;
	enum code rc = E_OK;

	imap_scan_init(&s);
	while (rc == E_OK && at < n && event != IMAP_SCAN_LINE) {
		size_t used = 0, piece = n - at < step ? n - at : step;

		rc = imap_scan_feed(&s, span_bytes(text + at, piece), &used, &event, err);
		at += used;
		if (rc == E_OK && event == IMAP_SCAN_LITERAL && skip) {
			at += (size_t)s.literal;
			imap_scan_skip(&s);
		} else if (rc == E_OK && event == IMAP_SCAN_LITERAL) {
			rc = imap_scan_keep(&s, err);
		}
	}
	if (rc == E_OK && event != IMAP_SCAN_LINE)
		rc = E_INCOMPLETE;
	buf_add_span(out, buf_span(&s.line));
	imap_scan_free(&s);
	return rc;
}

static void expect_scan(const char *text, size_t n, bool skip, enum code want, const char *line, size_t line_n)
{
	for (size_t step = 1; step <= n; step++) {
		struct buf out;

		buf_init(&out, IMAP_LINE_MAX);
		assert_int_equal(scan(text, n, step, skip, &out, NULL), want);
		if (want == E_OK) {
			assert_int_equal(out.n, line_n);
			assert_memory_equal(out.p, line, line_n);
		}
		buf_free(&out);
	}
}
#define SCAN(text, skip, line) expect_scan(text, sizeof(text) - 1, skip, E_OK, line, sizeof(line) - 1)
#define SCAN_FAILS(text, code) expect_scan(text, sizeof(text) - 1, false, code, NULL, 0)

static void test_lines(void **state)
{
	(void)state;
	SCAN("A1 OK done\r\n", false, "A1 OK done");
	SCAN("A1 OK done\n", false, "A1 OK done");
	SCAN("* X a\rb\r\n", false, "* X a b");
	SCAN("* 1 FETCH (BODY[] {5}\r\na\r\nbc UID 7)\r\n", false, "* 1 FETCH (BODY[] {5}\na\r\nbc UID 7)");
	SCAN("* 1 FETCH (BODY[] {5}\r\na\r\nbc UID 7)\r\n", true, "* 1 FETCH (BODY[] {5}\r UID 7)");
	SCAN("* 1 FETCH (X {0}\r\n Y ~{2}\r\nab)\r\n", false, "* 1 FETCH (X {0}\n Y ~{2}\nab)");
	/* texts may end like a literal */
	SCAN("* OK see {5}\r\n", false, "* OK see {5}");
	SCAN("* BYE {5}\r\n", false, "* BYE {5}");
	SCAN("A7 NO {99999999999999999999}\r\n", false, "A7 NO {99999999999999999999}");
	SCAN("+ {3}\r\n", false, "+ {3}");
	SCAN("* LIST () NIL a{5}\r\n", false, "* LIST () NIL a{5}");
	SCAN_FAILS("* 1 FETCH (X {4294967296}\r\n", E_PROTOCOL);
	SCAN_FAILS("* 1 FETCH (X {99999999999999999999}\r\n", E_PROTOCOL);
	SCAN_FAILS("* 1 FETCH (X {999999999}\r\n", E_PROTOCOL);       /* fits a body, not a line */
	SCAN_FAILS("* 1 FETCH (X {5}\r\nab", E_INCOMPLETE);
}

static void test_long_line(void **state)
{
	(void)state;
	size_t n = IMAP_LINE_MAX + 10;
	char *p = mem_alloc(n);
	struct buf out;

	memset(p, 'a', n);
	buf_init(&out, 2 * IMAP_LINE_MAX);
	assert_int_equal(scan(p, n, 100000, false, &out, NULL), E_PROTOCOL);
	buf_free(&out);
	mem_free(p);
}

/* "kind:text kind:text ..." of a line. */
static const char *tokens(struct arena *arena, const char *line)
{
	struct imap_cur cur;
	struct imap_tok tok;
	char *out = arena_raw(arena, 4096);
	size_t n = 0;

	out[0] = '\0';
	imap_cur_init(&cur, span_of(line));
	for (;;) {
		enum imap_tok_kind kind = imap_next(&cur, &tok);
		struct span text = imap_tok_text(arena, &tok);

		if (kind == IMAP_T_END)
			return out;
		n += (size_t)snprintf(out + n, 4096 - n, "%s%c" SPAN_FMT, n > 0 ? "|" : "", "?asx()!"[kind], SPAN_ARG(text));
		if (kind == IMAP_T_BAD)
			return out;
	}
}

static void test_tokens(void **state)
{
	(void)state;
	struct arena *a = arena_new((size_t)16 << 20);

	assert_string_equal(tokens(a, "a (b \"c d\" \"\\\"e\\\\\") NIL"), "aa|(|ab|sc d|s\"e\\|)|aNIL");
	assert_string_equal(tokens(a, "BODY[HEADER.FIELDS (A \"B\")] {3}\na)b x"), "aBODY[HEADER.FIELDS (A \"B\")]|sa)b|ax");
	assert_string_equal(tokens(a, "BODY[]<0> ~{2}\n)( {7}\r"), "aBODY[]<0>|s)(|x");
	assert_string_equal(tokens(a, "(\\Seen \\* [Gmail]/x a[b"), "(|a\\Seen|a\\*|a[Gmail]/x|aa[b");
	assert_string_equal(tokens(a, "\"open"), "!");
	assert_string_equal(tokens(a, "{5}\nabc"), "!");
	assert_string_equal(tokens(a, "{5}abc"), "!");
	assert_string_equal(tokens(a, "{99999999999}\n"), "!");
	assert_string_equal(tokens(a, "x\"y"), "ax\"y");
	char deep[200];
	memset(deep, '(', 199);
	deep[199] = '\0';
	assert_non_null(strchr(tokens(a, deep), '!'));
	arena_free(&a);
}

static void test_skip_and_lists(void **state)
{
	(void)state;
	struct imap_cur cur;
	struct span inner;

	imap_cur_init(&cur, SPAN_LIT("((a (b)) {2}\n)) c) d"));
	assert_true(imap_skip(&cur));
	assert_true(cur.p[0] == ' ' && cur.p[1] == 'd');
	imap_cur_init(&cur, SPAN_LIT("(a (b) \"c)\") d"));
	assert_true(imap_next_list(&cur, &inner));
	assert_true(span_eq_str(inner, "a (b) \"c)\""));
	imap_cur_init(&cur, SPAN_LIT("(a (b)"));
	assert_false(imap_next_list(&cur, &inner));
	imap_cur_init(&cur, SPAN_LIT(") a"));
	assert_false(imap_skip(&cur));
}

static struct imap_resp resp(const char *line)
{
	struct imap_resp r;

	assert_int_equal(imap_resp_parse(span_of(line), &r, NULL), E_OK);
	return r;
}

static void test_responses(void **state)
{
	(void)state;
	struct imap_resp r = resp("A12 OK [APPENDUID 7 1:3] done");

	assert_true(r.kind == IMAP_R_TAGGED && r.status == IMAP_OK && span_eq_str(r.tag, "A12"));
	assert_true(span_eq_str(r.code, "APPENDUID") && span_eq_str(r.args, "7 1:3") && span_eq_str(r.text, "done"));
	r = resp("* OK [PERMANENTFLAGS (\\Seen a]b \\*)] x");
	assert_true(span_eq_str(r.args, "(\\Seen a]b \\*)"));
	r = resp("* OK [HIGHESTMODSEQ 5]");
	assert_true(span_eq_str(r.code, "HIGHESTMODSEQ") && span_eq_str(r.args, "5") && r.text.n == 0);
	r = resp("* NO [open");
	assert_true(r.status == IMAP_NO && r.code.n == 0 && span_eq_str(r.text, "[open"));
	r = resp("* 12 FETCH (UID 3)");
	assert_true(r.kind == IMAP_R_DATA && r.has_number && r.number == 12 && span_eq_str(r.name, "FETCH"));
	r = resp("* LIST () NIL x");
	assert_true(!r.has_number && span_eq_str(r.name, "LIST"));
	r = resp("+");
	assert_true(r.kind == IMAP_R_CONTINUE);
	r = resp("* BYE");
	assert_true(r.status == IMAP_BYE);
	static const char *const bad[] = { "", "A1", "A1 WHAT", "<html>", "*", "* ", "* 12", "HTTP/1.0 200 OK" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(imap_resp_parse(span_of(bad[i]), &r, NULL), E_PROTOCOL);
}

static void test_sets(void **state)
{
	(void)state;
	struct span s = SPAN_LIT("3,9:5,7:*");
	uint32_t lo, hi;

	assert_true(imap_set_next(&s, &lo, &hi) && lo == 3 && hi == 3);
	assert_true(imap_set_next(&s, &lo, &hi) && lo == 5 && hi == 9);
	assert_true(imap_set_next(&s, &lo, &hi) && lo == 7 && hi == UINT32_MAX);
	assert_false(imap_set_next(&s, &lo, &hi));
	static const char *const bad[] = { "x", "1:", ":1", "4294967296", "1;2", "-1" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		s = span_of(bad[i]);
		assert_false(imap_set_next(&s, &lo, &hi));
		assert_non_null(s.p);
	}
}

static void test_dates(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
	} good[] = {
		{ "17-Jul-1996 02:44:25 -0700", 837596665 }, { " 1-Jan-1970 00:00:00 +0000", 0 },
		{ "29-Feb-2024 23:59:59 +0530", 1709231399 }, { "31-dec-1969 23:00:00 -0100", 0 },
		{ "1-Mar-2000 00:00:00 +0000", 951868800 },
	};
	static const char *const bad[] = { "", "17-Jul-1996", "17-Foo-1996 02:44:25 -0700", "0-Jul-1996 02:44:25 -0700",
		"17-Jul-1996 02:61:25 -0700", "17-Jul-96 02:44:25 -0700", "17-Jul-1996 02:44:25 -07000" };
	char out[IMAP_DATE_MAX];
	int64_t t;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(imap_date_parse(span_of(good[i].text), &t));
		assert_true(t == good[i].seconds);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(imap_date_parse(span_of(bad[i]), &t));
	/* what is formatted reads back, over eight centuries */
	for (int64_t s = 0; s < INT64_C(253402300799); s += 9999991) {
		assert_true(imap_date_parse(span_of(imap_date_format(s, out)), &t));
		assert_true(t == s);
	}
	assert_string_equal(imap_date_format(-5, out), "01-Jan-1970 00:00:00 +0000");
	assert_string_equal(imap_date_format(INT64_MAX, out), "31-Dec-9999 23:59:59 +0000");
}

/* Cost of n bytes of something nasty: 4n may not cost more than a small multiple of 4 times n. */
static void nasty(struct buf *b, int kind, size_t n)
{
	static const char *const units[] = { "[", "(", "\"\\", "{1}\na ", "a[b ", ") ", "{" };

	buf_add_str(b, "* 1 FETCH (");
	for (size_t i = 0; i < n; i++)
		buf_add_str(b, units[kind]);
}

static int64_t cost(int kind, size_t n)
{
	struct buf b;
	struct imap_cur cur;
	struct imap_tok tok;

	buf_init(&b, (size_t)64 << 20);
	nasty(&b, kind, n);
	int64_t start = clock_mono_ms();
	imap_cur_init(&cur, buf_span(&b));
	for (;;) {
		enum imap_tok_kind k = imap_next(&cur, &tok);

		if (k == IMAP_T_END || k == IMAP_T_BAD)
			break;
	}
	int64_t ms = clock_mono_ms() - start;
	buf_free(&b);
	return ms;
}

static void test_linear(void **state)
{
	(void)state;
	for (int kind = 0; kind < 7; kind++)
		assert_true(cost(kind, 1000000) < 1000);     /* a quadratic one would take minutes */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines), cmocka_unit_test(test_long_line), cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_skip_and_lists), cmocka_unit_test(test_responses), cmocka_unit_test(test_sets),
		cmocka_unit_test(test_dates), cmocka_unit_test(test_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
