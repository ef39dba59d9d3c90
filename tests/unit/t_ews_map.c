/* t_ews_map.c - fields and records: rules, times, keywords, what has no field, and what an update changes. */
#include "../../worker/ews/ews_map.h"
#include "../../worker/ews/ews.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static int set_up(void **state)
{
	*state = arena_new((size_t)256 << 20);
	return 0;
}

static int tear_down(void **state)
{
	struct arena *a = *state;

	arena_free(&a);
	return 0;
}

/* --- rules --- */

#define BEGIN "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:t=\"t\"><s:Body><R>" \
	      "<ResponseMessages><M><Items><t:CalendarItem>"
#define END "</t:CalendarItem></Items></M></ResponseMessages></R></s:Body></s:Envelope>"

struct rule_read {
	const struct ews_start *start;
	struct buf rule;
	bool found;
};

static enum code on_rule(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct rule_read *r = ctx;

	(void)message;
	(void)err;
	r->found = ews_recur_rule(o, r->start, &r->rule);
	return E_OK;
}

/* The rule as a pattern, and back as a rule. NULL: refused. */
static const char *there_and_back(struct arena *arena, const char *rule, const struct ews_start *start)
{
	static const struct ews_handler handler = { on_rule, NULL, NULL };
	struct rule_read r = { .start = start };
	struct buf xml, whole;

	buf_init(&xml, 4096);
	buf_init(&whole, 16384);
	buf_init(&r.rule, 1024);
	if (ews_recur_xml(span_of(rule), start, &xml, NULL) == E_OK) {
		struct ews_parser *p = ews_parser_new(&handler, &r, 10000, 100000);

		buf_printf(&whole, BEGIN "<t:Recurrence>%s</t:Recurrence>" END, buf_str(&xml));
		assert_int_equal(ews_parser_feed(p, buf_span(&whole), NULL), E_OK);
		assert_int_equal(ews_parser_end(p, NULL), E_OK);
		ews_parser_free(&p);
	}
	const char *out = r.found ? arena_str(arena, buf_span(&r.rule)) : NULL;
	buf_free(&xml);
	buf_free(&whole);
	buf_free(&r.rule);
	return out;
}

#define MONDAY ((int64_t)1799053200)         /* 2027-01-04T09:00:00 */

static void rules(void **state)
{
	static const struct { const char *rule, *back; } rows[] = {
		{ "FREQ=DAILY", "FREQ=DAILY" }, { "FREQ=DAILY;INTERVAL=999", "FREQ=DAILY;INTERVAL=999" },
		{ "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR" },
		{ "FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO" }, { "FREQ=WEEKLY;BYDAY=MO,FR;COUNT=3", "FREQ=WEEKLY;BYDAY=MO,FR;COUNT=3" },
		{ "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU" },
		{ "FREQ=MONTHLY", "FREQ=MONTHLY;BYMONTHDAY=4" }, { "FREQ=MONTHLY;BYMONTHDAY=-1", NULL },
		{ "FREQ=MONTHLY;BYDAY=1MO", "FREQ=MONTHLY;BYDAY=1MO" }, { "FREQ=MONTHLY;BYDAY=-1FR", NULL },
		{ "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1", "FREQ=MONTHLY;BYDAY=1MO" },
		{ "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", NULL }, { "FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=1", NULL },
		{ "FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=4" },
		{ "FREQ=YEARLY;BYMONTH=1;BYDAY=1MO", "FREQ=YEARLY;BYMONTH=1;BYDAY=1MO" },
		{ "FREQ=YEARLY;INTERVAL=3", "FREQ=MONTHLY;INTERVAL=36;BYMONTHDAY=4" },
		{ "FREQ=DAILY;UNTIL=20270106T090000Z", "FREQ=DAILY;UNTIL=20270106T090000Z" },
		{ "FREQ=DAILY;UNTIL=20270106T085959Z", "FREQ=DAILY;UNTIL=20270105T090000Z" },
		{ "FREQ=HOURLY", NULL }, { "FREQ=WEEKLY;BYDAY=TU", NULL }, { "FREQ=MONTHLY;BYMONTHDAY=31", NULL },
		{ "FREQ=MONTHLY;BYMONTHDAY=4,5", NULL }, { "FREQ=MONTHLY;BYDAY=5MO", NULL }, { "FREQ=YEARLY;BYDAY=1MO", NULL },
		{ "FREQ=MONTHLY;BYDAY=1MO,3MO", NULL }, { "FREQ=YEARLY;BYYEARDAY=4", NULL }, { "FREQ=DAILY;BYHOUR=9", NULL },
		{ "FREQ=YEARLY;BYMONTH=1,2", NULL }, { "FREQ=WEEKLY;INTERVAL=100", NULL }, { "FREQ=DAILY;COUNT=1000", NULL },
		{ "FREQ=YEARLY;INTERVAL=9", NULL }, { "FREQ=DAILY;UNTIL=20260101T000000Z", NULL }, { "", NULL },
	};
	const struct ews_start start = { .local_s = MONDAY };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *back = there_and_back(*state, rows[i].rule, &start);

		if ((back == NULL) != (rows[i].back == NULL) || (back != NULL && strcmp(back, rows[i].back) != 0))
			fail_msg("%s: expected %s, got %s", rows[i].rule, rows[i].back != NULL ? rows[i].back : "a refusal",
				 back != NULL ? back : "a refusal");
	}
}

/* Days that not every month has: what a rule and the server make of them differs. A start that is no occurrence of
 * its rule is refused: the server would move it. */
static void end_of_month(void **state)
{
	static const struct { int64_t start; const char *rule, *back; } rows[] = {
		{ 1801386000, "FREQ=MONTHLY", NULL },                        /* the 31st of January */
		{ 1801386000, "FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=31" },
		{ 1835427600, "FREQ=YEARLY", NULL },                         /* the 29th of February */
		{ 1835427600, "FREQ=YEARLY;BYMONTHDAY=-1", NULL },           /* of every month */
		{ 1835427600, "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1" },
		{ 1801386000, "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=MONTHLY;BYMONTHDAY=-1" },
		{ 1801213200, "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MONTHLY;BYDAY=-1FR" },          /* Friday the 29th */
		{ 1801213200, "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
		  "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1" },
		{ 1798880400, "FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=1", "FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=1" },
		{ 1801299600, "FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1", "FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct ews_start start = { .local_s = rows[i].start };
		const char *back = there_and_back(*state, rows[i].rule, &start);

		if ((back == NULL) != (rows[i].back == NULL) || (back != NULL && strcmp(back, rows[i].back) != 0))
			fail_msg("%s: got %s", rows[i].rule, back != NULL ? back : "a refusal");
	}
}

/* --- times --- */

static void times(void **state)
{
	static const struct { const char *text; int64_t s; bool local; } rows[] = {
		{ "2019-04-05T06:07:08Z", 1554444428, false }, { "2019-04-05T08:07:08+02:00", 1554444428, false },
		{ "2019-04-05T06:07:08.123Z", 1554444428, false }, { "2019-04-05T06:07:08", 1554444428, true },
		{ "2019-04-05", 1554422400, true }, { "1815-12-10T11:59:00Z", -4861684860, false },
	};
	char text[EWS_TIME_TEXT];
	bool local;
	int64_t s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(ews_read_time(span_of(rows[i].text), &s, &local));
		assert_int_equal(s, rows[i].s);
		assert_int_equal(local, rows[i].local);
	}
	assert_string_equal(ews_time(-4861684860, text), "1815-12-10T11:59:00Z");
	assert_false(ews_read_time(SPAN_LIT("2019-13-01T00:00:00Z"), &s, NULL));
	assert_false(ews_read_time(SPAN_LIT("tomorrow"), &s, NULL));
	assert_false(ews_read_time(SPAN_NONE, &s, NULL));
}

/* --- keywords --- */

static void keywords(void **state)
{
	static const struct { const char *category, *keyword; } rows[] = {
		{ "Red Category", "Red_Category" }, { "A_B", "A=5FB" }, { "Büro", "B=C3=BCro" }, { "$x", "=24x" },
		{ "a=b", "a=b" }, { "a=20b", "a=20b" }, { "a=28b", "a=3D28b" }, { "(x)", "=28x=29" },
	};
	static const char *const words[] = { "my_tag", "Neu", "a=b", "=C3=BC", "x=y_z" };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span word = ews_keyword(*state, span_of(rows[i].category));

		assert_true(span_eq_str(word, rows[i].keyword));
		assert_true(span_eq_str(ews_category(*state, word), rows[i].category));
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_true(span_eq_str(ews_keyword(*state, ews_category(*state, span_of(words[i]))), words[i]));
}

/* --- what has no field --- */

static struct record *card(struct arena *arena, const char *lines)
{
	struct record *r = NULL;
	struct err err = ERR_INIT;
	const char *text = arena_printf(arena, "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u\r\nFN:Ada\r\n%sEND:VCARD\r\n", lines);

	if (record_parse(arena, span_of(text), &r, &err) != E_OK)
		fail_msg("%s", err_text(&err));
	return r;
}

static void rest(void **state)
{
	struct arena *a = *state;
	struct record *plain = card(a, "EMAIL:a@x.example\r\nTITLE:t\r\n");
	struct record *wanted = card(a, "EMAIL;TYPE=HOME:a@x.example\r\nEMAIL:4@x.example\r\nTITLE:t\r\nX-A:1\r\n");
	struct span text;

	assert_int_equal(ews_rest_make(a, plain, wanted, &text, NULL), E_OK);
	assert_true(text.n > 0);
	assert_true(record_equal(a, ews_rest_apply(a, plain, text), wanted));
	/* a server that changes line ends does no harm */
	assert_true(record_equal(a, ews_rest_apply(a, plain, span_of(arena_printf(a, SPAN_FMT, SPAN_ARG(text)))), wanted));
	/* an address was edited on the server: what was about it is void, the rest holds */
	struct record *edited = ews_rest_apply(a, card(a, "EMAIL:new@x.example\r\nTITLE:t\r\n"), text);
	assert_true(record_equal(a, edited, card(a, "EMAIL:new@x.example\r\nEMAIL:4@x.example\r\nTITLE:t\r\nX-A:1\r\n")));
	/* nothing beyond the fields: nothing is kept; what is damaged says nothing */
	assert_int_equal(ews_rest_make(a, plain, plain, &text, NULL), E_OK);
	assert_int_equal(text.n, 0);
	assert_true(record_equal(a, ews_rest_apply(a, plain, SPAN_LIT("19:abc")), plain));
	assert_true(record_equal(a, ews_rest_apply(a, plain, SPAN_LIT("2:whatever")), plain));
}

/* Not more time for more: thousands of people, or numbers, and most of them with something that has no field. */
static void rest_of_many(void **state)
{
	enum { MANY = 10000, SOME = 1500 };
	struct arena *a = *state;
	struct buf one, other;
	struct span text;
	clock_t before = clock();

	buf_init(&one, (size_t)4 << 20);
	buf_init(&other, (size_t)4 << 20);
	for (int i = 0; i < MANY; i++) {
		buf_printf(&one, "EMAIL:a%d@x.example\r\n", i);
		buf_printf(&other, "EMAIL;TYPE=HOME:b%d@x.example\r\n", i);
	}
	assert_int_equal(ews_rest_make(a, card(a, buf_str(&one)), card(a, buf_str(&other)), &text, NULL), E_ITEM_TOO_BIG);
	buf_clear(&one);
	buf_clear(&other);
	for (int i = 0; i < SOME; i++) {
		buf_printf(&one, "EMAIL:%d@x.example\r\n", i);
		buf_printf(&other, "EMAIL;TYPE=HOME:%d@x.example\r\n", i);
	}
	struct record *plain = card(a, buf_str(&one)), *wanted = card(a, buf_str(&other));
	assert_int_equal(ews_rest_make(a, plain, wanted, &text, NULL), E_OK);
	assert_true(record_equal(a, ews_rest_apply(a, plain, text), wanted));
	buf_free(&one);
	buf_free(&other);
	assert_true(clock() - before < 5 * CLOCKS_PER_SEC);
}

/* The same value goes before the same types, and these before any. */
static void rest_pairs(void **state)
{
	struct arena *a = *state;
	struct record *plain = card(a, "EMAIL;TYPE=WORK:a@x.example\r\nEMAIL:b@x.example\r\nEMAIL:c@x.example\r\n");
	struct record *wanted = card(a, "EMAIL;TYPE=HOME:b@x.example\r\nEMAIL;TYPE=WORK:d@x.example\r\n"
				     "EMAIL;TYPE=PREF,X:e@x.example\r\n");
	struct span text;

	assert_int_equal(ews_rest_make(a, plain, wanted, &text, NULL), E_OK);
	assert_true(record_equal(a, ews_rest_apply(a, plain, text), wanted));
	/* each edit on the server takes away just the one that stands for it */
	struct record *edited = ews_rest_apply(a, card(a, "EMAIL;TYPE=WORK:new@x.example\r\nEMAIL:b@x.example\r\n"
						       "EMAIL:c@x.example\r\n"), text);
	assert_true(record_equal(a, edited, card(a, "EMAIL;TYPE=WORK:new@x.example\r\nEMAIL;TYPE=HOME:b@x.example\r\n"
						 "EMAIL;TYPE=PREF,X:e@x.example\r\n")));
	edited = ews_rest_apply(a, card(a, "EMAIL;TYPE=WORK:a@x.example\r\nEMAIL:new@x.example\r\n"
					"EMAIL:c@x.example\r\n"), text);
	assert_true(record_equal(a, edited, card(a, "EMAIL;TYPE=WORK:d@x.example\r\nEMAIL:new@x.example\r\n"
						 "EMAIL;TYPE=PREF,X:e@x.example\r\n")));
}

/* --- values --- */

static const char *diff(struct arena *arena, const struct record *from, const struct record *to)
{
	struct ews_values a = { .arena = arena, .order = ews_contact_mapper.order }, b = a;
	struct buf out;

	buf_init(&out, 65536);
	assert_int_equal(ews_contact_mapper.to_values(from, "VCARD", &a, NULL), E_OK);
	assert_int_equal(ews_contact_mapper.to_values(to, "VCARD", &b, NULL), E_OK);
	bool any = ews_values_diff(&a, &b, "Contact", &out);
	assert_int_equal(any, out.n > 0);
	const char *text = arena_str(arena, buf_span(&out));
	buf_free(&out);
	return text;
}

static void updates(void **state)
{
	struct arena *a = *state;

	assert_string_equal(diff(a, card(a, "TITLE:x\r\n"), card(a, "TITLE:x\r\n")), "");
	assert_string_equal(diff(a, card(a, "TITLE:x\r\n"), card(a, "TITLE:<y>\r\n")),
			    "<t:SetItemField><t:FieldURI FieldURI=\"contacts:JobTitle\"/><t:Contact><t:JobTitle>&lt;y&gt;"
			    "</t:JobTitle></t:Contact></t:SetItemField>");
	assert_string_equal(diff(a, card(a, "TEL;TYPE=CELL:1\r\nTEL;TYPE=HOME:2\r\n"), card(a, "TEL;TYPE=CELL:1\r\n")),
			    "<t:DeleteItemField><t:IndexedFieldURI FieldURI=\"contacts:PhoneNumber\" "
			    "FieldIndex=\"HomePhone\"/></t:DeleteItemField>");
	assert_string_equal(diff(a, card(a, ""), card(a, "ADR;TYPE=HOME:;;S;;;;\r\n")),
			    "<t:SetItemField><t:IndexedFieldURI FieldURI=\"contacts:PhysicalAddress:Street\" "
			    "FieldIndex=\"Home\"/><t:Contact><t:PhysicalAddresses><t:Entry Key=\"Home\"><t:Street>S</t:Street>"
			    "</t:Entry></t:PhysicalAddresses></t:Contact></t:SetItemField>");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(rules), T(end_of_month), T(times), T(keywords), T(rest), T(rest_of_many),
		T(rest_pairs), T(updates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
