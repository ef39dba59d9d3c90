/* t_record.c - what is equal, what is different, and what a patch and a merge do, case by case. */
#include "record_case.h"

#include "../../worker/data/canon.h"

#define WHEN "DTSTART:20240101T100000Z\nDTEND:20240101T110000Z\n"

static void same_events(const char *a, const char *b)
{
	rc_same(b, rc_event(a), rc_event(b));
}

static void t_same(void **state)
{
	(void)state;
	same_events(WHEN "SUMMARY:a\nLOCATION:b\n", "LOCATION:b\nSUMMARY:a\n" WHEN);
	same_events(WHEN "CATEGORIES:a,b\n", WHEN "CATEGORIES:b\nCATEGORIES:a\n");
	same_events(WHEN, WHEN "TRANSP:OPAQUE\nCLASS:PUBLIC\nPRIORITY:0\nDTSTAMP:20240101T000000Z\nSEQUENCE:5\n"
		"LAST-MODIFIED:20240101T000000Z\nCREATED:20240101T000000Z\nX-WR-CALNAME:x\nX-RADICALE-NAME:x\nREQUEST-STATUS:2.0;x\n");
	same_events(WHEN "ATTENDEE;CN=A;PARTSTAT=accepted:MAILTO:a@b\n",
		    WHEN "attendee;partstat=ACCEPTED;role=REQ-PARTICIPANT;CN=\"A\";RSVP=false:mailto:a@b\n");
	same_events(WHEN "ATTENDEE:mailto:a@b\n", WHEN "ATTENDEE;PARTSTAT=NEEDS-ACTION;CUTYPE=INDIVIDUAL:mailto:a@b\n");
	same_events(WHEN "ATTENDEE:mailto:a@b\n", WHEN "ATTENDEE;SCHEDULE-AGENT=CLIENT;SCHEDULE-STATUS=\"1.1\";SCHEDULE-FORCE-SEND=REQUEST:mailto:a@b\n");
	same_events("DTSTART:20240101T100000Z\nDURATION:PT1H\n", WHEN);
	same_events("DTSTART:20240101T100000Z\nDURATION:PT60M\n", WHEN);
	same_events("DTSTART;VALUE=DATE:20240101\n", "DTSTART;VALUE=DATE:20240101\nDTEND;VALUE=DATE:20240102\n");
	same_events(WHEN "RRULE:FREQ=WEEKLY;BYDAY=FR,MO;INTERVAL=1;WKST=MO\n", WHEN "RRULE:freq=weekly;BYDAY=+MO,FR\n");
	same_events(WHEN "SUMMARY:a\\,b\\;c\n", WHEN "SUMMARY:a,b;c\n");
	same_events(WHEN "SUMMARY;X-VOBJ-ORIGINAL-TZID=x:a\n", WHEN "SUMMARY:a\n");
	same_events(WHEN "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT15M\nUID:1\nEND:VALARM\n",
		    WHEN "BEGIN:VALARM\nTRIGGER;VALUE=DURATION:-PT900S\nX-WR-ALARMUID:2\nACTION:display\nEND:VALARM\n");
	/* zones by whatever name */
	same_events("DTSTART;TZID=Europe/Berlin:20240601T100000\nDTEND;TZID=Europe/Berlin:20240601T110000\n",
		    "DTSTART;TZID=W. Europe Standard Time:20240601T100000\nDTEND;TZID=/x.org/1/Europe/Berlin:20240601T110000\n");
	same_events("DTSTART;TZID=Europe/Berlin:20240601T100000\nRRULE:FREQ=DAILY;UNTIL=20240610T080000Z\nEXDATE;TZID=Europe/Berlin:20240603T100000\n",
		    "DTSTART;TZID=Europe/Berlin:20240601T100000\nRRULE:FREQ=DAILY;UNTIL=20240610T100000\nEXDATE:20240603T080000Z\n");
}

static void differ_by(const char *a, const char *b, const char *want)
{
	struct span *names;
	size_t n = record_differences(rc_arena, rc_event(a), rc_event(b), &names);
	char *got = arena_str(rc_arena, SPAN_LIT(""));

	for (size_t i = 0; i < n; i++)
		got = arena_printf(rc_arena, "%s%s" SPAN_FMT, got, i > 0 ? "," : "", SPAN_ARG(names[i]));
	assert_string_equal(got, want);
}

static void t_differences(void **state)
{
	(void)state;
	differ_by(WHEN "SUMMARY:a\n", WHEN "SUMMARY:b\nLOCATION:c\n", "LOCATION,SUMMARY");
	differ_by(WHEN "CATEGORIES:a,b,c\n", WHEN "CATEGORIES:d\n", "CATEGORIES");
	differ_by(WHEN, WHEN "BEGIN:VALARM\nACTION:AUDIO\nTRIGGER:PT0S\nEND:VALARM\n",
		  "VEVENT/VALARM:PT0S;AUDIO ACTION,VEVENT/VALARM:PT0S;AUDIO,VEVENT/VALARM:PT0S;AUDIO TRIGGER");
	/* a single event in UTC, a series under another zone's name with the same clock */
	differ_by("DTSTART:20240601T080000Z\nDTEND:20240601T090000Z\n",
		  "DTSTART;TZID=Europe/Berlin:20240601T100000\nDTEND;TZID=Europe/Berlin:20240601T110000\n", "");
	differ_by("DTSTART;TZID=Europe/Berlin:20240601T100000\nRRULE:FREQ=DAILY\n",
		  "DTSTART;TZID=Europe/Vienna:20240601T100000\nRRULE:FREQ=DAILY\n", "");
	differ_by("DTSTART;TZID=Europe/Berlin:20240601T100000\nRRULE:FREQ=DAILY\n",
		  "DTSTART;TZID=Europe/London:20240601T090000\nRRULE:FREQ=DAILY\n", "DTSTART");
	differ_by("DTSTART:20240601T100000\n", "DTSTART:20240601T100000Z\n", "DTSTART");
	differ_by("DTSTART;TZID=Nowhere:20240601T100000\n", "DTSTART;TZID=Elsewhere:20240601T100000\n", "DTSTART");
}

static void t_keys(void **state)
{
	struct record *r = rc_parse(SPAN_LIT(
		"BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:u\nDTSTART;TZID=Europe/Berlin:20240325T100000\nRRULE:FREQ=WEEKLY\n"
		"ATTENDEE:mailto:A.B@C.example\nCOMMENT:x\\,y\nATTACH:http://a/b\nEND:VEVENT\n"
		"BEGIN:VEVENT\nUID:u\nRECURRENCE-ID;TZID=Europe/Berlin:20240401T100000\nDTSTART:20240401T120000Z\nSTATUS:CANCELLED\nEND:VEVENT\n"
		"BEGIN:VEVENT\nUID:u\nRECURRENCE-ID;VALUE=DATE:20240408\nDTSTART;VALUE=DATE:20240408\nEND:VEVENT\n"
		"BEGIN:VEVENT\nUID:u\nRECURRENCE-ID:20240415T100000\nDTSTART:20240415T100000\nEND:VEVENT\nEND:VCALENDAR\n"));

	(void)state;
	assert_string_equal(rc_value(r, "VEVENT@20240401T080000Z", "STATUS", ""), "STATUS:CANCELLED");
	assert_non_null(rc_value(r, "VEVENT@20240408", "BEGIN", ""));
	assert_non_null(rc_value(r, "VEVENT@20240415T100000", "BEGIN", ""));
	assert_string_equal(rc_value(r, "VEVENT", "ATTENDEE", "a.b@c.example"), "ATTENDEE:mailto:A.B@C.example");
	assert_string_equal(rc_value(r, "VEVENT", "COMMENT", "x\\,y"), "COMMENT:x\\,y");
	assert_true(span_eq_str(record_key(rc_arena, r), "u"));
	assert_int_equal(record_key_fallback(rc_arena, r).n, 0);
	r = rc_card("4.0", "EMAIL:Foo@Bar.example\n");
	assert_true(span_eq_str(record_key_fallback(rc_arena, r), "f\nfoo@bar.example"));
	r = rc_parse(SPAN_LIT("BEGIN:VCARD\nVERSION:4.0\nUID:urn:uuid:abc\nFN:x\nEND:VCARD\n"));
	assert_true(span_eq_str(record_key(rc_arena, r), "abc"));
}

static void t_refused(void **state)
{
	static const char *const rows[] = {
		"", "BEGIN:VCALENDAR\nEND:VCALENDAR\n", "BEGIN:X\nEND:X\n",
		"BEGIN:VCARD\nVERSION:3.0\nEND:VCARD\nBEGIN:VCARD\nEND:VCARD\n",
		"BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nEND:VEVENT\nBEGIN:VEVENT\nUID:b\nEND:VEVENT\nEND:VCALENDAR\n",
	};
	struct record *r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(record_parse(rc_arena, span_of(rows[i]), &r, NULL), E_ITEM_BAD);
	assert_int_equal(record_load(rc_arena, SPAN_LIT("record 1 0\n1:u\n3:abc"), &r, NULL), E_STATE);
	assert_int_equal(record_load(rc_arena, SPAN_LIT("record 2 0\n1:u"), &r, NULL), E_STATE);
	assert_int_equal(record_load(rc_arena, SPAN_LIT("record 1 0\n1:u\n0:1:b0:0:\n0:1:a0:0:"), &r, NULL), E_STATE);
	assert_int_equal(record_load(rc_arena, SPAN_LIT("record 1 0\n1:u\n0:1:a0:0:\n0:1:b0:0:"), &r, NULL), E_OK);
}

static void t_print(void **state)
{
	struct record *r = rc_event("DTSTART;TZID=W. Europe Standard Time:20240601T100000\nRRULE:FREQ=DAILY\nORGANIZER:mailto:o@x\n"
				    "ATTENDEE:mailto:a@x\nATTENDEE:mailto:b@x\nCATEGORIES:x,y\n");
	struct span text = rc_print(r, RECORD_SILENT);
	size_t n = 0;

	(void)state;
	for (size_t at = 0; (at = span_find_nocase(span_cut(text, at, text.n), "SCHEDULE-AGENT=CLIENT")) != SIZE_MAX;) {
		text = span_cut(text, at + 1, text.n);
		at = 0;
		n++;
	}
	assert_int_equal(n, 3);
	text = rc_print(r, 0);
	assert_int_equal(span_find_nocase(text, "SCHEDULE-AGENT"), SIZE_MAX);
	assert_true(span_find_nocase(text, "BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\n") != SIZE_MAX);
	assert_true(span_find_nocase(text, "CATEGORIES:x,y\r\n") != SIZE_MAX);
	assert_true(span_find_nocase(text, "DTSTAMP:") != SIZE_MAX && span_find_nocase(text, "DTEND;TZID=Europe/Berlin:") != SIZE_MAX);
}

/* --- contacts --- */

static void same_cards(const char *va, const char *a, const char *vb, const char *b)
{
	rc_same(b, rc_card(va, a), rc_card(vb, b));
}

static void t_cards(void **state)
{
	(void)state;
	same_cards("3.0", "TEL;TYPE=HOME,VOICE,pref:1\n", "4.0", "TEL;TYPE=home;PREF=1;VALUE=uri:tel:1\n");
	same_cards("2.1", "TEL;HOME;VOICE;PREF:1\n", "4.0", "TEL;TYPE=home;PREF=1:1\n");
	same_cards("3.0", "PHOTO;ENCODING=b;TYPE=JPEG:AAAA\n", "4.0", "PHOTO:data:image/jpeg;base64,AAAA\n");
	same_cards("2.1", "PHOTO;BASE64;JPEG:\n AA\n AA\n\n", "4.0", "PHOTO:data:image/jpeg\\;base64\\,AAAA\n");
	same_cards("3.0", "BDAY:1996-04-15\n", "4.0", "BDAY:19960415\n");
	same_cards("3.0", "BDAY;VALUE=date;X-APPLE-OMIT-YEAR=1604:1604-04-15\n", "4.0", "BDAY:--0415\n");
	same_cards("3.0", "GEO:1.5;2.5\n", "4.0", "GEO:geo:1.5,2.5\n");
	same_cards("3.0", "X-ADDRESSBOOKSERVER-KIND:group\nX-ADDRESSBOOKSERVER-MEMBER:urn:uuid:1\n", "4.0", "KIND:group\nMEMBER:urn:uuid:1\n");
	same_cards("3.0", "item1.TEL:1\nitem1.X-ABLabel:L\nitem2.TEL:2\nitem2.X-ABLabel:M\n",
		   "3.0", "a.TEL:2\nb.X-ABLABEL:L\na.X-ABLABEL:M\nb.TEL:1\n");
	same_cards("3.0", "item1.TEL:1\n", "3.0", "TEL:1\n");
	same_cards("3.0", "N:a;b;;;\nORG:x;\n", "4.0", "N:a;b\nORG:x\n");
	same_cards("2.1", "NOTE;ENCODING=QUOTED-PRINTABLE:a,=0D=0Ab\n", "4.0", "NOTE:a\\,\\nb\n");
	assert_int_equal(rc_card("4.0", "KIND:group\n")->kind, RECORD_GROUP);
	assert_string_equal(rc_value(rc_parse(SPAN_LIT("BEGIN:VCARD\nVERSION:3.0\nN:Do;Jo;;;\nEND:VCARD\n")), "VCARD", "FN", ""), "FN:Jo Do");
	assert_false(rc_is_same(rc_card("3.0", "TEL:1\n"), rc_card("3.0", "TEL;TYPE=HOME:1\n")));
	/* labels keep their own phone when printed */
	struct span text = rc_print(rc_card("3.0", "x.TEL:1\nx.X-ABLABEL:L\ny.TEL:2\ny.X-ABLABEL:M\n"), 0);
	assert_true(span_find_nocase(text, "item1.TEL:1\r\nitem1.X-ABLabel:L\r\n") != SIZE_MAX);
	assert_true(span_find_nocase(text, "item2.TEL:2\r\nitem2.X-ABLabel:M\r\n") != SIZE_MAX);
	text = rc_print(rc_card("4.0", "KIND:Group\n"), 0);
	assert_non_null(strstr(arena_str(rc_arena, text), "\r\nX-ADDRESSBOOKSERVER-KIND:group\r\n"));
}

/* --- patches --- */

static struct record *series(const char *master, const char *rest)
{
	return rc_parse(span_of(arena_printf(rc_arena, "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:u\n%sEND:VEVENT\n%sEND:VCALENDAR\n", master, rest)));
}

#define EXCEPTION(text) "BEGIN:VEVENT\nUID:u\nRECURRENCE-ID:20240108T100000Z\nDTSTART:20240108T120000Z\n" text "END:VEVENT\n"
#define WEEKLY "DTSTART:20240101T100000Z\nDTEND:20240101T110000Z\nRRULE:FREQ=WEEKLY\n"
#define ALARM(text) "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT5M\n" text "END:VALARM\n"

static struct record *patched(const struct record *base, const struct record *now, const struct record *target)
{
	struct record_patch p = record_diff(rc_arena, base, now);

	return record_apply(rc_arena, target, &p);
}

static void t_apply(void **state)
{
	struct record *r;

	(void)state;
	/* what the patch does not name stays, also what does not count */
	r = patched(rc_event(WHEN "SUMMARY:a\nCATEGORIES:x,y\n"), rc_event(WHEN "SUMMARY:b\nCATEGORIES:x\nSEQUENCE:4\n"),
		    rc_event(WHEN "SUMMARY:q\nLOCATION:l\nCATEGORIES:y,z\nSEQUENCE:2\nCREATED:20200101T000000Z\n"));
	rc_same("apply", r, rc_event(WHEN "SUMMARY:b\nLOCATION:l\nCATEGORIES:z\n"));
	assert_string_equal(rc_value(r, "VEVENT", "SEQUENCE", ""), "SEQUENCE:4");
	assert_string_equal(rc_value(r, "VEVENT", "CREATED", ""), "CREATED:20200101T000000Z");
	/* a stamp never goes back */
	r = patched(rc_event(WHEN), rc_event(WHEN "SUMMARY:b\nSEQUENCE:4\n"), rc_event(WHEN "SEQUENCE:10\n"));
	assert_string_equal(rc_value(r, "VEVENT", "SEQUENCE", ""), "SEQUENCE:10");
	/* a change in an alarm that the target could not hold brings the whole alarm, with its exception */
	r = patched(series(WEEKLY, EXCEPTION("SUMMARY:e\n" ALARM("DESCRIPTION:a\n"))),
		    series(WEEKLY, EXCEPTION("SUMMARY:e\n" ALARM("DESCRIPTION:b\n"))), series(WEEKLY "LOCATION:l\n", ""));
	rc_same("alarm", r, series(WEEKLY "LOCATION:l\n", EXCEPTION("SUMMARY:e\n" ALARM("DESCRIPTION:b\n"))));
	assert_true(span_find_nocase(rc_print(r, 0), "RECURRENCE-ID:20240108T100000Z") != SIZE_MAX);
	/* removing a component takes what only the target has in it along */
	r = patched(series(WEEKLY, EXCEPTION("")), series(WEEKLY, ""), series(WEEKLY, EXCEPTION("X-MINE:1\n" ALARM(""))));
	rc_same("removed", r, series(WEEKLY, ""));
	/* a private zone travels with the time that needs it */
	struct span ship = rc_file("tests/fixtures/ics/private_zone.ics");
	r = patched(NULL, rc_parse(ship), rc_event(WHEN "LOCATION:l\n"));
	assert_true(span_find_nocase(rc_print(r, 0), "TZOFFSETTO:+0017") != SIZE_MAX);
	rc_same("zone", r, rc_parse(rc_print(r, 0)));
}

/* --- merging --- */

static struct record_merge merged(const struct record *base, const struct record *l, const struct record *r,
				  enum record_policy policy, struct record *result_r[SIDES])
{
	const struct record *bases[SIDES] = { base, base }, *now[SIDES] = { l, r };
	struct record_merge m;

	record_merge(rc_arena, bases, now, policy, &m);
	for (int s = 0; s < SIDES; s++)
		result_r[s] = record_apply(rc_arena, now[s], &m.to[s]);
	return m;
}

static void t_merge(void **state)
{
	struct record *out[SIDES], *base = rc_event(WHEN "SUMMARY:a\nLOCATION:l\nATTENDEE;PARTSTAT=TENTATIVE:mailto:a@x\n");
	struct record_merge m;

	(void)state;
	/* different properties: both survive */
	m = merged(base, rc_event(WHEN "SUMMARY:b\nLOCATION:l\nATTENDEE;PARTSTAT=TENTATIVE:mailto:a@x\n"),
		   rc_event(WHEN "SUMMARY:a\nATTENDEE;PARTSTAT=ACCEPTED:mailto:a@x\nATTENDEE:mailto:b@x\n"), RECORD_LEFT, out);
	assert_int_equal(m.n_conflicts, 0);
	rc_same("both", out[0], rc_event(WHEN "SUMMARY:b\nATTENDEE;PARTSTAT=ACCEPTED:mailto:a@x\nATTENDEE:mailto:b@x\n"));
	rc_same("both sides", out[0], out[1]);
	/* the same property: the policy, and the loser is told */
	m = merged(base, rc_event(WHEN "SUMMARY:b\n"), rc_event(WHEN "SUMMARY:c\n"), RECORD_RIGHT, out);
	assert_int_equal(m.n_conflicts, 1);
	assert_int_equal(m.conflicts[0].winner, SIDE_RIGHT);
	assert_true(span_eq_str(m.conflicts[0].value[SIDE_LEFT], "SUMMARY:b"));
	rc_same("right wins", out[0], rc_event(WHEN "SUMMARY:c\n"));
	assert_false(m.copy);
	/* equal edits are no conflict */
	m = merged(base, rc_event(WHEN "SUMMARY:b\n"), rc_event(WHEN "SUMMARY:b\n"), RECORD_RIGHT, out);
	assert_true(m.n_conflicts == 0 && m.to[0].n == 0 && m.to[1].n == 0);
	/* times and recurrence are one */
	m = merged(rc_event(WEEKLY), rc_event("DTSTART:20240101T130000Z\nDTEND:20240101T140000Z\nRRULE:FREQ=WEEKLY\n"),
		   rc_event("DTSTART:20240101T100000Z\nDTEND:20240101T110000Z\nRRULE:FREQ=DAILY\n"), RECORD_LEFT, out);
	assert_int_equal(m.n_conflicts, 1);
	rc_same("one unit", out[1], rc_event("DTSTART:20240101T130000Z\nDTEND:20240101T140000Z\nRRULE:FREQ=WEEKLY\n"));
	/* first contact: the union */
	m = merged(NULL, rc_event(WHEN "SUMMARY:b\nCATEGORIES:x\n"), rc_event(WHEN "LOCATION:c\nCATEGORIES:y\n"), RECORD_LEFT, out);
	rc_same("first contact", out[0], rc_event(WHEN "SUMMARY:b\nLOCATION:c\nCATEGORIES:x,y\n"));
	rc_same("first contact", out[0], out[1]);
}

static enum side newest_of(const char *left, const char *right)
{
	struct record *out[SIDES];
	struct record_merge m = merged(rc_event(WHEN), rc_event(arena_printf(rc_arena, WHEN "SUMMARY:l\n%s", left)),
				       rc_event(arena_printf(rc_arena, WHEN "SUMMARY:r\n%s", right)), RECORD_NEWEST, out);

	rc_same("newest", out[0], out[1]);
	assert_int_equal(m.n_conflicts, 1);
	return m.conflicts[0].winner;
}

static void t_newest(void **state)
{
	struct record *out[SIDES];

	(void)state;
	assert_int_equal(newest_of("LAST-MODIFIED:20240101T000000Z\n", "LAST-MODIFIED:20240101T000200Z\n"), SIDE_RIGHT);
	assert_int_equal(newest_of("LAST-MODIFIED:20240101T000000Z\n", "LAST-MODIFIED:20240101T000159Z\n"), SIDE_LEFT);
	assert_int_equal(newest_of("LAST-MODIFIED:20240101T000200Z\n", "LAST-MODIFIED:20240101T000000Z\n"), SIDE_LEFT);
	assert_int_equal(newest_of("", "LAST-MODIFIED:20240101T000200Z\n"), SIDE_LEFT);
	assert_int_equal(newest_of("DTSTAMP:20240101T000000Z\n", "DTSTAMP:20250101T000000Z\n"), SIDE_LEFT);
	struct record_merge m = merged(rc_card("3.0", ""), rc_card("3.0", "NOTE:l\nREV:2024-01-01T00:00:00Z\n"),
				       rc_card("3.0", "NOTE:r\nREV:20240102T000000Z\n"), RECORD_BOTH, out);
	assert_true(m.copy && m.loser == SIDE_LEFT);
	assert_true(span_eq_str(record_with_uid(rc_arena, out[0], SPAN_LIT("v"))->uid, "v"));
	rc_same("both", out[0], rc_card("3.0", "NOTE:r\n"));
}

static void t_components(void **state)
{
	struct record *out[SIDES], *base = series(WEEKLY, EXCEPTION("SUMMARY:e\n"));
	struct record_merge m;

	(void)state;
	/* an edited exception survives its deletion */
	m = merged(base, series(WEEKLY, ""), series(WEEKLY, EXCEPTION("SUMMARY:f\n")), RECORD_LEFT, out);
	assert_int_equal(m.n_conflicts, 1);
	assert_int_equal(m.conflicts[0].winner, SIDE_RIGHT);
	rc_same("edit wins", out[0], series(WEEKLY, EXCEPTION("SUMMARY:f\n")));
	rc_same("edit wins", out[0], out[1]);
	/* but not when the whole series was moved away from it */
	m = merged(base, series("DTSTART:20240102T100000Z\nDTEND:20240102T110000Z\nRRULE:FREQ=WEEKLY\n", ""),
		   series(WEEKLY, EXCEPTION("SUMMARY:f\n")), RECORD_RIGHT, out);
	assert_int_equal(m.n_conflicts, 1);
	assert_true(span_eq_str(m.conflicts[0].value[SIDE_RIGHT], "SUMMARY:f"));
	rc_same("moved", out[1], series("DTSTART:20240102T100000Z\nDTEND:20240102T110000Z\nRRULE:FREQ=WEEKLY\n", ""));
	rc_same("moved", out[0], out[1]);
	/* untouched: the deletion goes through; an alarm added on the other side keeps it */
	m = merged(base, series(WEEKLY, ""), base, RECORD_LEFT, out);
	assert_int_equal(m.n_conflicts, 0);
	rc_same("deleted", out[1], series(WEEKLY, ""));
	m = merged(base, series(WEEKLY, ""), series(WEEKLY, EXCEPTION("SUMMARY:e\n" ALARM(""))), RECORD_LEFT, out);
	rc_same("kept", out[0], series(WEEKLY, EXCEPTION("SUMMARY:e\n" ALARM(""))));
	rc_same("kept", out[0], out[1]);
}

/* A -> B -> A where B drops what it does not know. */
static void t_lossy(void **state)
{
	struct record *a = rc_event(WEEKLY "SUMMARY:s\nX-SPECIAL:1\nCOLOR:red\n" ALARM("DESCRIPTION:d\n")), *b = rc_event(WEEKLY "SUMMARY:s\n");
	const struct record *base[SIDES] = { a, b }, *now[SIDES] = { a, b };
	struct record_merge m;

	(void)state;
	record_merge(rc_arena, base, now, RECORD_NEWEST, &m);
	assert_true(m.to[0].n == 0 && m.to[1].n == 0);
	now[1] = rc_event(WEEKLY "SUMMARY:t\n");
	record_merge(rc_arena, base, now, RECORD_NEWEST, &m);
	assert_int_equal(m.to[0].n, 1);
	rc_same("lossy", record_apply(rc_arena, a, &m.to[0]), rc_event(WEEKLY "SUMMARY:t\nX-SPECIAL:1\nCOLOR:red\n" ALARM("DESCRIPTION:d\n")));
}

static void t_durations(void **state)
{
	static const char *const rows[][2] = {
		{ "P1W", "P7D" }, { "PT90M", "PT1H30M" }, { "-PT0S", "PT0S" }, { "+P1DT2H", "P1DT2H" }, { "P0D", "PT0S" }, { "PT24H", "PT24H" },
		{ "P", NULL }, { "PT", NULL }, { "1D", NULL }, { "P1H", NULL }, { "PT1D", NULL }, { "", NULL }, { "P1", NULL }, { "PT1M2", NULL },
	};
	struct canon_duration d;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool ok = canon_duration_parse(span_of(rows[i][0]), &d);

		assert_int_equal(ok, rows[i][1] != NULL);
		if (ok)
			assert_true(span_eq_str(canon_duration_print(rc_arena, &d), rows[i][1]));
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rc_setup, rc_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(t_same), CASE(t_differences), CASE(t_keys), CASE(t_refused), CASE(t_print), CASE(t_cards), CASE(t_apply),
		CASE(t_merge), CASE(t_newest), CASE(t_components), CASE(t_lossy), CASE(t_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
