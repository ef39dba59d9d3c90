/* t_busy.c - free/busy copies tell when and nothing else; windows of dates see every occurrence, against
 * libical's own expansion, and hostile rules cost nothing. */
#include "record_case.h"

#include "../../worker/data/busy.h"
#include "../../worker/data/when.h"

#include <libical/ical.h>
#include <time.h>

static void t_copy(void **state)
{
	struct record *full = rc_parse(rc_file("tests/fixtures/ics/all_properties.ics")), *copy = busy_copy(rc_arena, full);
	struct span text = rc_print(copy, 0);
	static const char *const secrets[] = {
		"once", "semicolon", "Room", "37.386", "example.com", "WORK", "PROJECTOR", "comment", "Dolittle", "Doe", "html", "turquoise",
		"ATTACH", "chat", "IANA", "sibling", "CONFIDENTIAL",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
		assert_int_equal(span_find_nocase(text, secrets[i]), SIZE_MAX);
	assert_string_equal(rc_value(copy, "VEVENT", "SUMMARY", ""), "SUMMARY:Busy");
	assert_string_equal(rc_value(copy, "VEVENT", "CLASS", ""), "CLASS:PRIVATE");
	assert_string_equal(rc_value(copy, "VEVENT", "DTSTART", ""), rc_value(full, "VEVENT", "DTSTART", ""));
	assert_string_equal(rc_value(copy, "VEVENT", "TRANSP", ""), "TRANSP:TRANSPARENT");
	rc_same("a copy survives printing", rc_parse(text), copy);
	/* exceptions are kept, with nothing of theirs; alarms are not */
	copy = busy_copy(rc_arena, rc_parse(rc_file("tests/fixtures/ics/exceptions.ics")));
	assert_string_equal(rc_value(copy, "VEVENT@20240325T090000Z", "SUMMARY", ""), "SUMMARY:Busy");
	assert_string_equal(rc_value(copy, "VEVENT@20240401T080000Z", "STATUS", ""), "STATUS:CANCELLED");
	assert_int_equal(span_find_nocase(rc_print(copy, 0), "VALARM"), SIZE_MAX);
	assert_null(busy_copy(rc_arena, rc_card("3.0", "")));
	/* a private zone stays readable */
	copy = busy_copy(rc_arena, rc_parse(rc_file("tests/fixtures/ics/private_zone.ics")));
	assert_true(span_find_nocase(rc_print(copy, 0), "TZOFFSETTO:+0017") != SIZE_MAX);
}

static int64_t at(const char *text)
{
	struct when w;

	assert_true(when_parse(span_of(text), SPAN_NONE, NULL, &w));
	return w.local_s;
}

static enum busy_window inside(const char *lines, const char *from, const char *to)
{
	return busy_in_window(rc_arena, rc_event(lines), at(from), at(to), 0);
}

static void t_window(void **state)
{
	static const char weekly[] = "DTSTART;TZID=Europe/Berlin:20240101T100000\nDTEND;TZID=Europe/Berlin:20240101T110000\n"
		"RRULE:FREQ=WEEKLY\nEXDATE:20240708T080000Z\n";
	static const char single[] = "DTSTART:20240101T100000Z\nDTEND:20240101T110000Z\n";

	(void)state;
	assert_int_equal(inside(single, "20240101T105900Z", "20240102"), BUSY_INSIDE);
	assert_int_equal(inside(single, "20240101T110000Z", "20240102"), BUSY_OUTSIDE);
	assert_int_equal(inside(single, "20231201", "20240101T100000Z"), BUSY_OUTSIDE);
	assert_int_equal(inside(single, "20231201", "20240101T100001Z"), BUSY_INSIDE);
	assert_int_equal(inside("DTSTART:20240101T100000Z\n", "20240101T100000Z", "20240102"), BUSY_INSIDE);
	assert_int_equal(inside(weekly, "20240701T075959Z", "20240701T080001Z"), BUSY_INSIDE);
	assert_int_equal(inside(weekly, "20240701T090000Z", "20240708T090000Z"), BUSY_OUTSIDE);
	assert_int_equal(inside(weekly, "20240702", "20240716"), BUSY_INSIDE);
	assert_int_equal(inside(weekly, "20990105", "20990120"), BUSY_INSIDE);
	assert_int_equal(inside(weekly, "20231201", "20231231"), BUSY_OUTSIDE);
	assert_int_equal(inside("DTSTART:20240101T100000Z\nRRULE:FREQ=DAILY;COUNT=3\n", "20240104", "20250101"), BUSY_OUTSIDE);
	assert_int_equal(inside("DTSTART:20240101T100000Z\nRRULE:FREQ=DAILY;UNTIL=20240110T100000Z\n", "20240110", "20240111"), BUSY_INSIDE);
	assert_int_equal(inside("DTSTART:20240101T100000Z\nRRULE:FREQ=DAILY;UNTIL=20240110T100000Z\n", "20240111", "20260111"), BUSY_OUTSIDE);
	assert_int_equal(inside("DTSTART:20240101T100000Z\nRDATE:20250101T100000Z\n", "20241231", "20250102"), BUSY_INSIDE);
	assert_int_equal(inside("SUMMARY:no start\n", "20240101", "20240102"), BUSY_UNKNOWN);
	/* an occurrence that was moved away, and where it went */
	struct record *moved = rc_parse(SPAN_LIT("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:u\nDTSTART:20240101T100000Z\nRRULE:FREQ=YEARLY\nEND:VEVENT\n"
		"BEGIN:VEVENT\nUID:u\nRECURRENCE-ID:20250101T100000Z\nDTSTART:20250301T100000Z\nEND:VEVENT\nEND:VCALENDAR\n"));
	assert_int_equal(busy_in_window(rc_arena, moved, at("20241220"), at("20250110"), 0), BUSY_OUTSIDE);
	assert_int_equal(busy_in_window(rc_arena, moved, at("20250220"), at("20250310"), 0), BUSY_INSIDE);
	/* tasks */
	struct record *task = rc_parse(SPAN_LIT("BEGIN:VCALENDAR\nBEGIN:VTODO\nUID:u\nDUE:20240101T100000Z\nEND:VTODO\nEND:VCALENDAR\n"));
	assert_int_equal(busy_in_window(rc_arena, task, at("20250101"), at("20260101"), 0), BUSY_INSIDE);
	task = rc_parse(SPAN_LIT("BEGIN:VCALENDAR\nBEGIN:VTODO\nUID:u\nDUE:20240101T100000Z\nSTATUS:COMPLETED\nEND:VTODO\nEND:VCALENDAR\n"));
	assert_int_equal(busy_in_window(rc_arena, task, at("20250101"), at("20260101"), 0), BUSY_OUTSIDE);
	task = rc_parse(SPAN_LIT("BEGIN:VCALENDAR\nBEGIN:VTODO\nUID:u\nSUMMARY:some day\nEND:VTODO\nEND:VCALENDAR\n"));
	assert_int_equal(busy_in_window(rc_arena, task, at("20250101"), at("20260101"), 0), BUSY_UNKNOWN);
}

static void t_hostile(void **state)
{
	static const char *const rules[] = {
		"FREQ=SECONDLY", "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=MINUTELY;BYDAY=MO", "FREQ=DAILY;BYHOUR=1,2;BYSECOND=1",
		"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO;BYMONTH=6",
		"FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;INTERVAL=99999999", "FREQ=DAILY;COUNT=2000000000", "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=99",
		"FREQ=NEVER", "", ";;;", "FREQ=DAILY;FREQ=SECONDLY", "FREQ=YEARLY;RSCALE=CHINESE;SKIP=BACKWARD",
	};
	clock_t start = clock();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		inside(arena_printf(rc_arena, "DTSTART:20000101T100000Z\nRRULE:%s\n", rules[i]), "20240101T110000Z", "20240101T120000Z");
		inside(arena_printf(rc_arena, "DTSTART:00010101T100000Z\nRRULE:%s\n", rules[i]), "20240101T110000Z", "20240101T120000Z");
	}
	print_message("%ld ms for %zu hostile rules\n", (long)((clock() - start) * 1000 / CLOCKS_PER_SEC), ARRAY_LEN(rules));
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
}

/* Every fixture, month by month, against libical's own expansion of what we print. */
struct range { int64_t from, to; bool hit; };

static void on_occurrence(icalcomponent *comp, struct icaltime_span *span, void *data)
{
	struct range *r = data;
	time_t end = span->end;

	/* libical counts the day of an all-day event's exclusive end as taken */
	if (icalcomponent_get_dtstart(comp).is_date)
		end -= 86399;
	r->hit |= span->start < r->to && (end > r->from || (span->start == end && span->start >= r->from));
}

static size_t agreed;

static void months(const char *name, struct span text)
{
	struct record *record = rc_parse(text);

	/* a series with exceptions is more than libical's one component; its floating times are in its own zone */
	if (record->kind != RECORD_EVENT || strstr(name, "exception") != NULL || strcmp(name, "floating.ics") == 0)
		return;
	icalcomponent *top = icalparser_parse_string(rc_print(record, 0).p);
	icalcomponent *event = icalcomponent_get_first_component(top, ICAL_VEVENT_COMPONENT);
	for (int m = 0; m < 36; m++) {
		struct range r = { .from = when_days(2023 + m / 12, m % 12 + 1, 1) * 86400, .to = 0 };

		r.to = r.from + 28 * 86400;
		icalcomponent_foreach_recurrence(event, icaltime_from_timet_with_zone((time_t)r.from - 86400 * 40, 0, NULL),
						 icaltime_from_timet_with_zone((time_t)r.to + 86400, 0, NULL), on_occurrence, &r);
		enum busy_window w = busy_in_window(rc_arena, record, r.from, r.to, 0);
		/* a start that its own rule does not name is undefined (RFC 5545 3.8.5.3): here it counts */
		bool starts = r.from <= at("20240115") && at("20240115") < r.to;
		if (w != BUSY_UNKNOWN && (w == BUSY_INSIDE) != r.hit && !(starts && !r.hit) && span_find_nocase(text, "PERIOD") == SIZE_MAX)
			fail_msg("%s in month %d: %d", name, m, w);
		agreed += w != BUSY_UNKNOWN;
	}
	icalcomponent_free(top);
}

static void t_oracle(void **state)
{
	(void)state;
	icalerror_set_errors_are_fatal(false);
	rc_each_fixture("ics", months);
	assert_true(agreed > 1000);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rc_setup, rc_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { CASE(t_copy), CASE(t_window), CASE(t_hostile), CASE(t_oracle) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
