/* t_fixtures.c - every fixture: lines and records survive printing and reading, and libical sees in what
 * we print what it sees in the fixture: properties, instants of occurrences, alarms, attendees. */
#include "record_case.h"

#include <libical/ical.h>
#include <time.h>

/* --- round trips --- */

static struct content_comp *lines_of(struct span text)
{
	struct content_comp *root;
	struct err err = ERR_INIT;

	if (content_parse(rc_arena, text, &root, &err) != E_OK)
		fail_msg("%s", err_text(&err));
	return root;
}

static void lines_survive(const char *name, struct span text)
{
	struct content_comp *root = lines_of(text);
	struct buf out;

	buf_init(&out, CONTENT_BYTES_MAX);
	content_print(&out, root);
	if (!content_equal(root, lines_of(buf_span(&out))))
		fail_msg("%s: the lines change when printed", name);
	buf_free(&out);
}

static void record_survives(const char *name, const struct record *r, unsigned int flags)
{
	struct record *again = rc_parse(rc_print(r, flags)), *loaded;
	struct err err = ERR_INIT;

	rc_same(arena_printf(rc_arena, "%s printed with %u", name, flags), r, again);
	assert_int_equal(r->kind, again->kind);
	assert_true(span_eq(r->uid, again->uid));
	/* printing is stable too */
	assert_true(span_eq(rc_print(r, flags), rc_print(again, flags)));
	assert_int_equal(record_load(rc_arena, record_canonical(rc_arena, r), &loaded, &err), E_OK);
	rc_same(name, r, loaded);
}

static void calendar_survives(const char *name, struct span text)
{
	struct record *r = rc_parse(text);

	lines_survive(name, text);
	record_survives(name, r, 0);
	record_survives(name, r, RECORD_SILENT);
	assert_int_equal(span_find_nocase(rc_print(r, 0), "SCHEDULE-"), SIZE_MAX);
}

static void card_survives(const char *name, struct span text)
{
	struct record *r = rc_parse(text);

	lines_survive(name, text);
	record_survives(name, r, RECORD_VCARD_40);
	/* below 4.0 there is no preference but the first; nothing else is lost */
	struct record *r30 = rc_parse(rc_print(r, 0));
	struct span *names;
	size_t n = record_differences(rc_arena, r, r30, &names);
	for (size_t i = 0; i < n; i++) {
		if (strncmp(name, "all_40", 6) != 0 || !span_eq_str(names[i], "LANG"))
			fail_msg("%s: 3.0 changes " SPAN_FMT, name, SPAN_ARG(names[i]));
	}
	record_survives(name, r30, 0);
}

static void t_calendars(void **state)
{
	(void)state;
	rc_each_fixture("ics", calendar_survives);
}

static void t_cards(void **state)
{
	(void)state;
	rc_each_fixture("vcf", card_survives);
}

/* 2.1 cannot hold lists in fields and some parameters: what it did hold comes back unchanged. */
static void card_21(const char *name, struct span text)
{
	struct record *r = rc_parse(rc_print(rc_parse(text), RECORD_VCARD_21));

	(void)name;
	record_survives(name, r, RECORD_VCARD_21);
	assert_true(span_eq(record_text(rc_arena, r, "VCARD", "FN"), record_text(rc_arena, rc_parse(text), "VCARD", "FN")));
	struct span had = record_text(rc_arena, rc_parse(text), "VCARD", "NOTE"), has = record_text(rc_arena, r, "VCARD", "NOTE");
	if (!span_eq(had, has))
		fail_msg("%s: note\n" SPAN_FMT "\n" SPAN_FMT, name, SPAN_ARG(had), SPAN_ARG(has));
}

static void t_cards_21(void **state)
{
	(void)state;
	rc_each_fixture("vcf", card_21);
}

/* --- what libical sees --- */

static int text_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct seen {
	char *lines[4096];
	size_t n;
};

static void see(struct seen *s, const char *what, const char *value)
{
	assert_true(s->n < ARRAY_LEN(s->lines));
	s->lines[s->n++] = arena_printf(rc_arena, "%s=%s", what, value);
}

static void see_instant(struct seen *s, const char *what, icalproperty *p, struct icaltimetype t)
{
	icalparameter *tzid = icalproperty_get_first_parameter(p, ICAL_TZID_PARAMETER);
	icaltimezone *zone = NULL;

	if (icaltime_is_null_time(t))
		return;
	if (tzid != NULL && !icaltime_is_utc(t)) {
		icalcomponent *top = icalproperty_get_parent(p);

		while (icalcomponent_get_parent(top) != NULL)
			top = icalcomponent_get_parent(top);
		zone = icalcomponent_get_timezone(top, icalparameter_get_tzid(tzid));
		if (zone == NULL)
			zone = icaltimezone_get_builtin_timezone(icalparameter_get_tzid(tzid));
		if (zone == NULL)
			fail_msg("libical finds no zone %s", icalparameter_get_tzid(tzid));
		t = icaltime_set_timezone(&t, zone);
		t = icaltime_convert_to_zone(t, icaltimezone_get_utc_timezone());
	}
	see(s, what, icaltime_as_ical_string(t));
}

static void see_occurrence(icalcomponent *comp, struct icaltime_span *span, void *data)
{
	struct seen *s = data;

	(void)comp;
	if (s->n < 200)
		see(s, "occurrence", arena_printf(rc_arena, "%lld..%lld", (long long)span->start, (long long)span->end));
}

/* Values that must be seen alike; what has several spellings is decoded by libical. */
static void see_property(struct seen *s, icalproperty *p)
{
	switch (icalproperty_isa(p)) {
	case ICAL_SUMMARY_PROPERTY:
	case ICAL_DESCRIPTION_PROPERTY:
	case ICAL_LOCATION_PROPERTY:
	case ICAL_COMMENT_PROPERTY:
	case ICAL_CONTACT_PROPERTY:
	case ICAL_UID_PROPERTY:
	case ICAL_RELATEDTO_PROPERTY:
		see(s, icalproperty_get_property_name(p), icalvalue_get_text(icalproperty_get_value(p)));
		break;
	case ICAL_STATUS_PROPERTY:
	case ICAL_URL_PROPERTY:
	case ICAL_GEO_PROPERTY:
	case ICAL_PERCENTCOMPLETE_PROPERTY:
	case ICAL_ACTION_PROPERTY:
	case ICAL_REPEAT_PROPERTY:
		see(s, icalproperty_get_property_name(p), icalproperty_get_value_as_string(p));
		break;
	case ICAL_ATTENDEE_PROPERTY:
	case ICAL_ORGANIZER_PROPERTY:
		see(s, "person", arena_str(rc_arena, text_lower(rc_arena, span_of(icalproperty_get_value_as_string(p)))));
		break;
	case ICAL_DTSTART_PROPERTY:
	case ICAL_RECURRENCEID_PROPERTY:
		see_instant(s, icalproperty_get_property_name(p), p, icalvalue_get_datetime(icalproperty_get_value(p)));
		break;
	case ICAL_RRULE_PROPERTY:
		see(s, "freq", icalrecur_freq_to_string(icalproperty_get_rrule(p).freq));
		break;
	case ICAL_TRIGGER_PROPERTY: {
		struct icaltriggertype t = icalproperty_get_trigger(p);

		see(s, "trigger", icaltime_is_null_time(t.time) ? arena_printf(rc_arena, "%d", icaldurationtype_as_int(t.duration)) :
			icaltime_as_ical_string(t.time));
		break;
	}
	case ICAL_XLICERROR_PROPERTY:
		see(s, "unknown to libical", icalproperty_get_xlicerror(p));
		break;
	default:
		break;
	}
}

static void see_component(struct seen *s, icalcomponent *comp)
{
	bool is_event = icalcomponent_isa(comp) == ICAL_VEVENT_COMPONENT;

	if (icalcomponent_isa(comp) == ICAL_VTIMEZONE_COMPONENT)
		return;
	for (icalproperty *p = icalcomponent_get_first_property(comp, ICAL_ANY_PROPERTY); p != NULL;
	     p = icalcomponent_get_next_property(comp, ICAL_ANY_PROPERTY))
		see_property(s, p);
	/* of DUE or of DTSTART and DURATION */
	if (icalcomponent_isa(comp) == ICAL_VTODO_COMPONENT)
		see(s, "due", icaltime_as_ical_string(icalcomponent_get_due(comp)));
	if (is_event)
		icalcomponent_foreach_recurrence(comp, icaltime_from_string("20230101T000000Z"),
						 icaltime_from_string("20290101T000000Z"), see_occurrence, s);
	for (icalcomponent *c = icalcomponent_get_first_component(comp, ICAL_ANY_COMPONENT); c != NULL;
	     c = icalcomponent_get_next_component(comp, ICAL_ANY_COMPONENT))
		see_component(s, c);
}

static void look(struct seen *s, struct span text)
{
	char *copy = arena_str(rc_arena, span_starts_nocase(text, "\xef\xbb\xbf") ? span_cut(text, 3, text.n) : text);
	icalcomponent *comp = icalparser_parse_string(copy);

	assert_non_null(comp);
	see_component(s, comp);
	icalcomponent_free(comp);
	qsort(s->lines, s->n, sizeof(*s->lines), text_order);
}

static size_t occurrences;

static void libical_agrees(const char *name, struct span text)
{
	static struct seen a, b;

	/* these say nothing to libical before we repaired them: an old zone name without its rules */
	if (strcmp(name, "dst_none.ics") == 0)
		return;
	a.n = b.n = 0;
	look(&a, text);
	look(&b, rc_print(rc_parse(text), 0));
	for (size_t i = 0; i < a.n || i < b.n; i++) {
		const char *la = i < a.n ? a.lines[i] : "(nothing)", *lb = i < b.n ? b.lines[i] : "(nothing)";

		if (strcmp(la, lb) != 0)
			fail_msg("%s: libical saw %s, in what we print %s", name, la, lb);
		occurrences += strncmp(la, "occurrence", 10) == 0;
	}
}

static void t_oracle(void **state)
{
	(void)state;
	icalerror_set_errors_are_fatal(false);
	rc_each_fixture("ics", libical_agrees);
	assert_true(occurrences > 300);
	icalmemory_free_ring();
}

/* --- ten thousand attendees --- */

static struct span monster(size_t attendees)
{
	struct buf text;

	buf_init(&text, CONTENT_BYTES_MAX);
	buf_add_str(&text, "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:monster\r\nDTSTART:20240101T100000Z\r\nSUMMARY:All hands\r\n");
	for (size_t i = 0; i < attendees; i++)
		buf_printf(&text, "ATTENDEE;CN=\"Person %zu, of Department %zu\";ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=TRUE:\r\n"
			   " mailto:person.%zu@department-%zu.example.com\r\n", i, i % 37, i * 7919 % attendees, i % 37);
	buf_add_str(&text, "END:VEVENT\r\nEND:VCALENDAR\r\n");
	struct span s = arena_span(rc_arena, buf_span(&text));
	buf_free(&text);
	return s;
}

static int64_t work_ms(size_t attendees)
{
	struct span text = monster(attendees);
	clock_t start = clock();
	struct record *r = rc_parse(text), *other = rc_parse(rc_print(r, RECORD_SILENT));
	struct record_patch p = record_diff(rc_arena, r, other);

	assert_int_equal(p.n, 0);
	assert_true(r->n > attendees);
	assert_int_equal(record_apply(rc_arena, r, &p)->n, r->n);
	return (clock() - start) * 1000 / CLOCKS_PER_SEC;
}

static void t_monster(void **state)
{
	(void)state;
	int64_t small = work_ms(1000), large = work_ms(10000);

	print_message("read, print, read, diff and apply: 1,000 attendees %lld ms, 10,000 attendees %lld ms of CPU\n",
		      (long long)small, (long long)large);
	/* ten times as many may take ten times as long, not a hundred; a floor against a noisy clock */
	assert_true(large < 30 * (small > 20 ? small : 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(t_calendars, rc_setup, rc_teardown),
		cmocka_unit_test_setup_teardown(t_cards, rc_setup, rc_teardown),
		cmocka_unit_test_setup_teardown(t_cards_21, rc_setup, rc_teardown),
		cmocka_unit_test_setup_teardown(t_oracle, rc_setup, rc_teardown),
		cmocka_unit_test_setup_teardown(t_monster, rc_setup, rc_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
