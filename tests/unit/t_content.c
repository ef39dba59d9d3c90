/* t_content.c - content lines are read whatever way they are folded, and printed so that reading
 * them again gives the same tree; hostile ones are refused. */
#include "../../worker/data/content.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena *arena;
static struct err err;

static int setup(void **state)
{
	(void)state;
	arena = arena_new((size_t)256 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct content_comp *parse(struct span text)
{
	struct content_comp *root;

	err_clear(&err);
	if (content_parse(arena, text, &root, &err) != E_OK)
		fail_msg("%s", err_text(&err));
	return root;
}

static struct span printed(const struct content_comp *root)
{
	struct buf out;

	buf_init(&out, CONTENT_BYTES_MAX);
	content_print(&out, root);
	assert_false(out.overflow);
	struct span s = arena_span(arena, buf_span(&out));
	buf_free(&out);
	return s;
}

/* No line above 75 octets, no character cut, and the same tree when read again. */
static void check_round(const struct content_comp *root)
{
	struct span text = printed(root), rest = text, line;

	while (span_next(&rest, '\n', &line) && (line.n > 0 || rest.p != NULL)) {
		assert_true(line.n >= 1 && line.n <= 76 && line.p[line.n - 1] == '\r');
		if (span_is_utf8(text))
			assert_true(span_is_utf8(line));
	}
	assert_true(content_equal(root, parse(text)));
}

/* The first line of the only component. */
static struct content_line first(const char *line)
{
	struct content_comp *root = parse(span_of(arena_printf(arena, "BEGIN:X\r\n%s\r\nEND:X\r\n", line)));

	check_round(root);
	assert_int_equal(root->n_comps, 1);
	assert_true(root->comps[0]->n_lines > 0);
	return root->comps[0]->lines[0];
}

#define SAME(got, want) do { \
	struct span s_ = (got); \
	if (!span_eq_str(s_, want)) \
		fail_msg("\"" SPAN_FMT "\" instead of \"%s\"", SPAN_ARG(s_), want); \
} while (0)

static void t_parts(void **state)
{
	struct content_line l = first("item1.EMAIL;type=INTERNET,HOME;X-a=:a@b.c:d;e");

	(void)state;
	SAME(l.group, "item1");
	SAME(l.name, "EMAIL");
	assert_int_equal(l.n_params, 2);
	assert_int_equal(content_param(&l, "TYPE")->n, 2);
	SAME(content_param(&l, "TYPE")->values[1], "HOME");
	SAME(content_param_value(&l, "x-A"), "");
	SAME(l.value, "a@b.c:d;e");
	l = first("ATTENDEE;CN=\"Doe, John: x;y\";DIR=\"ldap://a:1/b\":mailto:a@b");
	SAME(content_param_value(&l, "CN"), "Doe, John: x;y");
	SAME(content_param_value(&l, "DIR"), "ldap://a:1/b");
	SAME(l.value, "mailto:a@b");
	l = first("A;B=\"x\"y,\"z\":v");
	SAME(content_param_value(&l, "B"), "xy");
	SAME(content_param(&l, "B")->values[1], "z");
	l = first("A;B=\"open:v");
	SAME(content_param_value(&l, "B"), "\"open");
	l = first("TEL;HOME;VOICE:1");
	assert_int_equal(l.params[1].n, 0);
	SAME(l.params[1].name, "VOICE");
	assert_null(content_param(&l, "WORK"));
	SAME(first("EMPTY:").value, "");
}

static void t_carets(void **state)
{
	struct content_line l = first("GEO;X-ADDRESS=\"a^nb^^c^'d^x^\":1;2");

	(void)state;
	SAME(content_param_value(&l, "X-ADDRESS"), "a\nb^c\"d^x^");
	assert_non_null(strstr(printed(parse(SPAN_LIT("BEGIN:A\nB;C=a^nb:x\nEND:A\n"))).p, "C=a^nb:x\r\n"));
}

static void t_folding(void **state)
{
	static const char *const rows[] = {
		"BEGIN:A\r\nSUMMARY:caf\xc3\xa9\r\nEND:A\r\n", "BEGIN:A\nSUMMARY:caf\xc3\xa9\nEND:A",
		"\xef\xbb\xbf" "BEGIN:A\nSUMMARY:caf\xc3\n \xa9\n\nEND:A\n",
		"BEGIN:A\r\nSUM\r\n\tMARY\r\n :caf\xc3\r\n \xa9\r\n \r\nEND\r\n :A\r\n",
		"  \n BEGIN:A\nSUMMARY:caf\xc3\xa9\nEND:a\n",
	};
	struct content_comp *want = parse(span_of(rows[0]));

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_true(content_equal(want, parse(span_of(rows[i]))));
	for (size_t n = 1; n < 400; n++) {
		char text[1300], *to = text;

		to += snprintf(text, sizeof(text), "BEGIN:A\nN:");
		for (size_t i = 0; i < n; i++)
			to = mempcpy(to, i % 3 == 0 ? "x" : i % 3 == 1 ? "\xe2\x82\xac" : "\xc3\xa9", i % 3 == 0 ? 1 : i % 3 == 1 ? 3 : 2);
		memcpy(to, "\nEND:A\n", 8);
		check_round(parse(span_of(text)));
	}
	first("N:\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"
	      "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"
	      "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80");
}

static void t_vcard21(void **state)
{
	struct content_line l = first("NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:Gr=FC=\n=DFe=0D=0Azwei=3B\\;=\nC:\\new");

	(void)state;
	SAME(l.value, "Gr\xc3\xbc\xc3\x9f" "e\\nzwei;\\;C:\\\\new");
	assert_int_equal(l.n_params, 0);
	l = first("N;QUOTED-PRINTABLE;HOME:a=3Db=\r\n c=\r\n\td=4");
	SAME(l.value, "a=b=c=d=4");
	assert_int_equal(l.n_params, 1);
	SAME(first("N;CHARSET=WINDOWS-1252:\x80 \x93").value, "\xe2\x82\xac \xe2\x80\x9c");
	SAME(first("N;CHARSET=ISO-8859-15:\xa4").value, "\xe2\x82\xac");
	SAME(first("N;CHARSET=x-unknown:\xe4").value, "\xc3\xa4");
	SAME(first("N;CHARSET=UTF-8:\xc3\xa4").value, "\xc3\xa4");
	/* no soft break without the encoding */
	assert_int_equal(parse(SPAN_LIT("BEGIN:A\nN:x=\nM;X=QUOTED-PRINTABLE:y=\nO:z\nEND:A\n"))->comps[0]->n_lines, 3);
}

static void t_tree(void **state)
{
	struct content_comp *root = parse(SPAN_LIT("BEGIN:VCALENDAR\nA:1\nBEGIN:VEVENT\nB:2\nBEGIN:VALARM\nEND:VALARM\n"
		"C:3\nEND:VEVENT\nD:4\nEND:VCALENDAR\nbegin:vcard\nend:VCARD\n"));

	(void)state;
	check_round(root);
	assert_int_equal(root->n_comps, 2);
	assert_int_equal(root->comps[0]->n_lines, 2);
	assert_int_equal(root->comps[0]->comps[0]->comps[0]->n_lines, 0);
	SAME(content_find(root->comps[0], "d")->value, "4");
	assert_null(content_find(root->comps[0], "b"));
	assert_int_equal(parse(SPAN_NONE)->n_comps, 0);
}

static void refuse(const char *text, enum code want)
{
	struct content_comp *root;

	err_clear(&err);
	if (content_parse(arena, span_of(text), &root, &err) != want)
		fail_msg("\"%.40s\": %s", text, err_text(&err));
}

static void t_refused(void **state)
{
	static const char *const rows[] = {
		"A:1\n", "BEGIN:A\n", "BEGIN:A\nEND:B\n", "END:A\n", "BEGIN:A\nno colon\nEND:A\n", "BEGIN:A\n:v\nEND:A\n",
		"BEGIN:A\nx.:v\nEND:A\n", "BEGIN:A\nB;C=d\nEND:A\n", "BEGIN:A\nB;C,D:e\nEND:A\n", "BEGIN:\nEND:\n", "garbage",
	};
	char *deep = arena_str(arena, SPAN_NONE);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refuse(rows[i], E_ITEM_BAD);
	for (size_t i = 0; i <= CONTENT_DEPTH_MAX; i++)
		deep = arena_printf(arena, "%sBEGIN:A\n", deep);
	refuse(deep, E_ITEM_TOO_BIG);
	char *many = arena_printf(arena, "BEGIN:A\nB");
	for (size_t i = 0; i <= CONTENT_PARAMS_MAX; i++)
		many = arena_printf(arena, "%s;C=d", many);
	refuse(arena_printf(arena, "%s:e\nEND:A\n", many), E_ITEM_TOO_BIG);

	/* a small arena says no instead of ending the process */
	struct arena *small = arena_new((size_t)8 << 20);
	struct buf big;
	struct content_comp *root;
	buf_init(&big, (size_t)8 << 20);
	buf_add_str(&big, "BEGIN:A\n");
	while (big.n < (size_t)1 << 20)
		buf_add_str(&big, "B:\n");
	assert_int_equal(content_parse(small, buf_span(&big), &root, &err), E_ITEM_TOO_BIG);
	buf_free(&big);
	arena_free(&small);
}

static void t_text(void **state)
{
	(void)state;
	SAME(text_unescape(arena, SPAN_LIT("a\\, b\\;c\\\\d\\ne\\Nf\\xg\\")), "a, b;c\\d\ne\nfxg\\");
	SAME(text_escape(arena, SPAN_LIT("a, b;c\\d\r\ne")), "a\\, b\\;c\\\\d\\ne");
	SAME(text_canonical(arena, SPAN_LIT("a,b\\N")), "a\\,b\\n");
	SAME(text_clean(arena, SPAN_LIT("a\x01\xe4\x7f\t")), "a\xc3\xa4\t");
	struct span rest = SPAN_LIT("a\\;b;;c\\"), part;
	size_t n = 0;
	while (text_next(&rest, ';', &part))
		n++;
	assert_int_equal(n, 3);
	assert_false(span_is_utf8(SPAN_LIT("\xed\xa0\x80")) || span_is_utf8(SPAN_LIT("\xc0\x80")) ||
		     span_is_utf8(SPAN_LIT("\xf4\x90\x80\x80")) || span_is_utf8(SPAN_LIT("\xc3")));
	assert_true(span_is_utf8(SPAN_LIT("\xf0\x9f\x98\x80\xed\x9f\xbf")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_parts), cmocka_unit_test(t_carets), cmocka_unit_test(t_folding),
		cmocka_unit_test(t_vcard21), cmocka_unit_test(t_tree), cmocka_unit_test(t_refused), cmocka_unit_test(t_text),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
