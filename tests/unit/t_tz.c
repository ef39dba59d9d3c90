/* t_tz.c - zones by name, by alias, by Windows name and by their offsets; both edges of summer time in
 * both hemispheres; hostile VTIMEZONEs are not expanded. */
#include "../../worker/data/tz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena *arena;
static struct tz_set *set;

static int setup(void **state)
{
	(void)state;
	arena = arena_new((size_t)256 << 20);
	set = tz_set_new(arena);
	tz_set_range(set, 1704067200, 1704067200 + 86400 * 900);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tz_set_free(&set);
	arena_free(&arena);
	return 0;
}

static void t_names(void **state)
{
	static const char *const rows[][2] = {
		{ "Europe/Berlin", "Europe/Berlin" }, { "europe/berlin", "Europe/Berlin" },
		{ "/mozilla.org/20050126_1/Europe/Berlin", "Europe/Berlin" },
		{ "/freeassociation.sourceforge.net/America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires" },
		{ "W. Europe Standard Time", "Europe/Berlin" }, { "\"Eastern Standard Time\"", "America/New_York" },
		{ "(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Berlin" },
		{ "US/Eastern", "America/New_York" }, { "Asia/Calcutta", "Asia/Kolkata" },
		{ "India Standard Time", "Asia/Kolkata" }, { "Europe/Kiev", "Europe/Kyiv" },
		{ "UTC", "UTC" }, { "Etc/UTC", "UTC" }, { "GMT", "UTC" }, { "Z", "UTC" }, { "Etc/GMT-5", "Etc/GMT-5" },
		{ "Customized Time Zone", NULL }, { "Europe/Atlantis", NULL }, { "", NULL }, { "/", NULL }, { "../../etc/passwd", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span got = tz_iana(arena, span_of(rows[i][0]));

		if (rows[i][1] == NULL ? got.n != 0 : !span_eq_str(got, rows[i][1]))
			fail_msg("%s: " SPAN_FMT, rows[i][0], SPAN_ARG(got));
	}
	assert_true(span_eq_str(tz_windows(SPAN_LIT("Europe/Vienna")), "W. Europe Standard Time"));
	assert_true(span_eq_str(tz_windows(SPAN_LIT("Asia/Kolkata")), "India Standard Time"));
	assert_true(span_eq_str(tz_windows(SPAN_LIT("UTC")), "UTC"));
	assert_int_equal(tz_windows(SPAN_LIT("Nowhere/At_all")).n, 0);
}

/* Every Windows name finds a zone that exists here. */
static void t_table(void **state)
{
	static const char *const names[] = {
#define TZ_WINDOWS(name, display, zones) name,
#define TZ_LINK(old, now) old,
#include "../../worker/data/tz_table.def"
#undef TZ_WINDOWS
#undef TZ_LINK
	};

	(void)state;
	assert_true(ARRAY_LEN(names) > 250);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (tz_iana(arena, span_of(names[i])).n == 0)
			fail_msg("%s is no zone", names[i]);
	}
}

static void t_edges(void **state)
{
	const struct tz *berlin = tz_resolve(set, SPAN_LIT("Europe/Berlin"));
	const struct tz *sydney = tz_resolve(set, SPAN_LIT("AUS Eastern Standard Time"));

	(void)state;
	assert_true(span_eq_str(tz_name(sydney), "Australia/Sydney"));
	assert_int_equal(tz_offset(berlin, 1719792000), 7200);      /* 2024-07-01 */
	assert_int_equal(tz_offset(sydney, 1719792000), 36000);
	assert_int_equal(tz_offset(sydney, 1704067200), 39600);
	/* 2024-03-31 02:30 does not exist in Berlin: read with +01:00; 2024-10-27 02:30 is twice: the first */
	assert_int_equal(tz_to_utc(berlin, 1711852200), 1711852200 - 3600);
	assert_int_equal(tz_to_utc(berlin, 1729996200), 1729996200 - 7200);
	assert_int_equal(tz_to_utc(berlin, 1729996200 + 3600), 1729996200);
	/* Sydney: 2024-10-06 02:30 is skipped, 2024-04-07 02:30 is twice */
	assert_int_equal(tz_to_utc(sydney, 1728181800), 1728181800 - 36000);
	assert_int_equal(tz_to_utc(sydney, 1712457000), 1712457000 - 39600);
	assert_int_equal(tz_to_local(sydney, 1704067200), 1704067200 + 39600);
	for (int64_t s = -5000000000; s < 9000000000; s += 77777777)
		(void)tz_to_utc(berlin, s);
	assert_null(tz_resolve(set, SPAN_LIT("Nowhere")));
	assert_int_equal(tz_to_utc(tz_resolve(set, SPAN_LIT("Etc/UTC")), 5), 5);
}

static const struct tz *with_rules(const char *text)
{
	struct content_comp *root;

	assert_int_equal(content_parse(arena, span_of(text), &root, NULL), E_OK);
	tz_set_add(set, root->comps[0]);
	return tz_resolve(set, content_find(root->comps[0], "TZID")->value);
}

#define PART(kind, from, to, start, rule) "BEGIN:" kind "\nTZOFFSETFROM:" from "\nTZOFFSETTO:" to "\nDTSTART:" start "\n" rule "END:" kind "\n"

static void t_private(void **state)
{
	const struct tz *tz;

	(void)state;
	/* by X-LIC-LOCATION */
	tz = with_rules("BEGIN:VTIMEZONE\nTZID:Loc\nX-LIC-LOCATION:Europe/Paris\nEND:VTIMEZONE\n");
	assert_true(span_eq_str(tz_name(tz), "Europe/Paris"));
	/* by offsets: Central European, as Exchange writes it */
	tz = with_rules("BEGIN:VTIMEZONE\nTZID:Customized Time Zone\n"
		PART("STANDARD", "+0200", "+0100", "16010101T030000", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\n")
		PART("DAYLIGHT", "+0100", "+0200", "16010101T020000", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\n") "END:VTIMEZONE\n");
	assert_non_null(tz);
	assert_false(tz_is_private(tz));
	assert_int_equal(tz_offset(tz, 1719792000), 7200);
	/* like nothing on earth */
	tz = with_rules("BEGIN:VTIMEZONE\nTZID:Mine\n" PART("STANDARD", "+0017", "+0017", "19700101T000000", "") "END:VTIMEZONE\n");
	assert_non_null(tz);
	assert_true(tz_is_private(tz));
	assert_int_equal(tz_offset(tz, 1719792000), 17 * 60);
	struct content_comp *rules = tz_private_rules(arena, tz);
	tz_set_add(set, rules);
	const struct tz *again = tz_resolve(set, tz_name(tz));
	assert_true(span_starts_nocase(tz_name(tz), "Mine/"));
	assert_true(again != tz && span_eq(tz_name(again), tz_name(tz)));
}

static void t_hostile(void **state)
{
	static const char *const rules[] = {
		"RRULE:FREQ=SECONDLY\n", "RRULE:FREQ=YEARLY;BYSECOND=1\n", "RRULE:FREQ=YEARLY;BYYEARDAY=1\n",
		"RRULE:FREQ=YEARLY;FREQ=YEARLY\n", "RRULE:FREQ=YEARLY\nRRULE:FREQ=YEARLY\n", "RDATE:garbage\n", "RRULE:\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		assert_null(with_rules(arena_printf(arena, "BEGIN:VTIMEZONE\nTZID:bad%zu\nBEGIN:STANDARD\nTZOFFSETFROM:+0100\n"
			"TZOFFSETTO:+0100\nDTSTART:19700101T000000\n%sEND:STANDARD\nEND:VTIMEZONE\n", i, rules[i])));
	assert_null(with_rules("BEGIN:VTIMEZONE\nTZID:bad\nEND:VTIMEZONE\n"));
}

static void t_print(void **state)
{
	struct content_comp *comp = tz_vtimezone(arena, SPAN_LIT("Europe/Berlin"), 1704067200);

	(void)state;
	assert_non_null(comp);
	assert_true(span_eq_str(content_find(comp, "TZID")->value, "Europe/Berlin"));
	assert_true(comp->n_comps >= 2 && comp->n_comps < 8);
	assert_null(tz_vtimezone(arena, SPAN_LIT("UTC"), 0));
	assert_null(tz_vtimezone(arena, SPAN_LIT("Europe/Atlantis"), 0));
	/* what is printed shows the same offsets when it comes back under another name */
	for (size_t i = 0; i < comp->n_lines; i++) {
		if (!span_eq_str(comp->lines[i].name, "TZID"))
			comp->lines[i].name = SPAN_LIT("X-GONE");
	}
	comp->lines[0].name = SPAN_LIT("TZID");
	comp->lines[0].value = SPAN_LIT("Renamed");
	tz_set_add(set, comp);
	const struct tz *back = tz_resolve(set, SPAN_LIT("Renamed"));
	assert_true(tz_same(back, tz_resolve(set, SPAN_LIT("Europe/Berlin")), 1704067200, 1704067200 + 86400 * 800));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_names), cmocka_unit_test(t_table), cmocka_unit_test(t_edges), cmocka_unit_test(t_private),
		cmocka_unit_test(t_hostile), cmocka_unit_test(t_print),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
