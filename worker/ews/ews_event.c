/* ews_event.c - events by fields: times, zones, series, reminders, people.
 *
 * 1. Instants travel in UTC, and the Windows name of the zone beside them. A single event in a zone that Windows does
 *    not know is written in UTC; a series in one is refused. Days are those of the mailbox's own zone, and times of no
 *    zone are pinned to it: that they have none goes with the rest.
 * 2. The organiser is whom the calendar belongs to, and cannot be set. A meeting of somebody else is an event without
 *    people there; who they are goes with the rest, and nobody can be told anything by mistake.
 * 3. One reminder before the start; others go with the rest.
 */
#include "ews_map.h"

#include "../data/text.h"
#include "../data/when.h"

#include <stdio.h>

#define DAY 86400

static const struct { const char *name, *path; bool optional, resource; } people[] = {
	{ "RequiredAttendees", "RequiredAttendees/Attendee", false, false },
	{ "OptionalAttendees", "OptionalAttendees/Attendee", true, false },
	{ "Resources", "Resources/Attendee", false, true },
};
static const struct { const char *partstat, *response; } answers[] = {
	{ "ACCEPTED", "Accept" }, { "DECLINED", "Decline" }, { "TENTATIVE", "Tentative" },
};
static const struct { const char *status, *server; } busy[] = {
	{ "TENTATIVE", "Tentative" }, { "OOF", "OOF" }, { "WORKINGELSEWHERE", "WorkingElsewhere" },
};

/* --- from fields --- */

/* The zone of the item; NULL: UTC, or nobody knows it (then *known_r is false). */
static const struct tz *zone_of(struct tz_set *zones, const struct ews_object *o, bool *known_r)
{
	struct span id = ews_text(o, "StartTimeZone@Id");
	const struct tz *tz;

	if (id.n == 0)
		id = ews_text(o, "StartTimeZoneId");
	*known_r = true;
	if (id.n == 0)
		return NULL;
	tz = tz_resolve(zones, id);
	*known_r = tz != NULL;
	return tz != NULL && span_eq_str(tz_name(tz), "UTC") ? NULL : tz;
}

/* Midnight of a zone that may not be the one told. */
static int64_t nearest_day(int64_t local_s)
{
	int64_t s = local_s + DAY / 2;

	return (s / DAY - (s % DAY < 0)) * DAY;
}

static bool read_when(const struct ews_object *o, const char *element, const struct tz *tz, bool date,
		      struct ews_start *start_r)
{
	int64_t utc;

	if (!ews_read_time(ews_text(o, element), &utc, NULL))
		return false;
	*start_r = (struct ews_start){ date, tz != NULL ? tz_to_local(tz, utc) : utc, tz };
	if (date)
		start_r->local_s = nearest_day(start_r->local_s);
	return true;
}

static void dates_out(const struct ews_object *o, const struct ews_start *start, struct buf *text)
{
	const struct ews_entry *e;
	size_t at = 0;

	while ((e = ews_next(o, "DeletedOccurrences/DeletedOccurrence/Start", &at)) != NULL) {
		struct ews_start s = *start;
		int64_t utc;

		if (!ews_read_time(e->text, &utc, NULL))
			continue;
		s.local_s = s.tz != NULL ? tz_to_local(s.tz, utc) : utc;
		if (s.date)
			s.local_s = nearest_day(s.local_s);
		ews_start_line(text, "EXDATE", &s);
	}
}

static enum code times_text(struct arena *arena, const struct ews_object *o, const struct ews_start *master,
			    struct ews_start *start_r, struct buf *text, struct err *err)
{
	struct tz_set *zones = tz_set_new(arena);
	bool date = ews_true(ews_text(o, "IsAllDayEvent")), known;
	const struct tz *tz = zone_of(zones, o, &known);
	bool series = ews_text(o, "Recurrence").p != NULL;
	struct ews_start start, end, original;
	enum code rc = E_OK;
	struct buf rule;

	buf_init(&rule, 1024);
	if (!read_when(o, "Start", tz, date, &start) || !read_when(o, "End", tz, date, &end))
		rc = err_set(err, E_ITEM_REFUSED, "the event has no start or no end");
	else if (series && !known)
		rc = err_set(err, E_ITEM_REFUSED, "the series is in a time zone that is not known: " SPAN_FMT,
			     SPAN_ARG(span_cut(ews_text(o, "StartTimeZone@Id"), 0, 100)));
	else if (series && !ews_recur_rule(o, &start, &rule))
		rc = err_set(err, E_ITEM_REFUSED, "the series has a pattern that no rule says");
	if (rc == E_OK) {
		ews_start_line(text, "DTSTART", &start);
		if (!date || end.local_s > start.local_s)
			ews_start_line(text, "DTEND", &end);
		if (series)
			buf_printf(text, "RRULE:%s\r\n", buf_str(&rule));
		dates_out(o, &start, text);
		if (master != NULL && read_when(o, "OriginalStart", master->tz, master->date, &original))
			ews_start_line(text, "RECURRENCE-ID", &original);
		if (start_r != NULL)
			*start_r = start;
	}
	buf_free(&rule);
	tz_set_free(&zones);                 /* zones known by name stay as long as the arena */
	return rc;
}

/* RFC 6868: '^' in a value stands before what a value cannot hold. */
static void put_param(struct arena *arena, struct buf *text, const char *name, struct span value)
{
	value = text_clean(arena, value);
	if (value.n == 0)
		return;
	buf_printf(text, ";%s=\"", name);
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '^' || value.p[i] == '"')
			buf_add_str(text, value.p[i] == '^' ? "^^" : "^'");
		else
			buf_add_char(text, value.p[i]);
	}
	buf_add_char(text, '"');
}

static void person(struct arena *arena, const struct ews_object *o, size_t from, const char *name, const char *params,
		   struct buf *text)
{
	struct span mail = text_uri(arena, text_clean(arena, ews_below(o, from, "Mailbox/EmailAddress")));
	struct span cn = ews_below(o, from, "Mailbox/Name");

	if (span_find(mail, 0, '@') == SIZE_MAX)
		return;
	buf_add_str(text, name);
	if (!span_eq_nocase(cn, mail))
		put_param(arena, text, "CN", cn);
	buf_printf(text, "%s:mailto:" SPAN_FMT "\r\n", params, SPAN_ARG(mail));
}

static void people_text(struct arena *arena, const struct ews_object *o, struct buf *text)
{
	bool any = false;
	char params[96];

	for (size_t k = 0; k < ARRAY_LEN(people); k++) {
		size_t at = 0;

		while (ews_next(o, people[k].path, &at) != NULL) {
			struct span response = ews_below(o, at - 1, "ResponseType");
			const char *partstat = "";

			for (size_t i = 0; i < ARRAY_LEN(answers); i++)
				if (span_eq_str(response, answers[i].response))
					partstat = answers[i].partstat;
			snprintf(params, sizeof(params), "%s%s%s%s", people[k].optional ? ";ROLE=OPT-PARTICIPANT" : "",
				 people[k].resource ? ";CUTYPE=RESOURCE" : "",
						partstat[0] ? ";PARTSTAT=" : "", partstat);
			person(arena, o, at - 1, "ATTENDEE", params, text);
			any = true;
		}
	}
	size_t at = 0;
	if (any && ews_next(o, "Organizer", &at) != NULL)
		person(arena, o, at - 1, "ORGANIZER", "", text);
}

static enum code event_text(struct arena *arena, const struct ews_object *o, const struct ews_start *master,
			    struct ews_start *start_r, struct buf *text, struct err *err)
{
	struct span state = ews_text(o, "LegacyFreeBusyStatus"), minutes = ews_text(o, "ReminderMinutesBeforeStart");
	enum code rc = times_text(arena, o, master, start_r, text, err);
	uint64_t n;

	if (rc != E_OK)
		return rc;
	ews_common_text(arena, o, "DESCRIPTION", text);
	ews_line(text, arena, "LOCATION", "", ews_text(o, "Location"));
	if (span_eq_str(state, "Free"))
		ews_line(text, arena, "TRANSP", "", SPAN_LIT("TRANSPARENT"));
	for (size_t i = 0; i < ARRAY_LEN(busy); i++)
		if (span_eq_str(state, busy[i].server))
			ews_line(text, arena, "X-MICROSOFT-CDO-BUSYSTATUS", "", span_of(busy[i].status));
	if (ews_true(ews_text(o, "IsCancelled")))
		ews_line(text, arena, "STATUS", "", SPAN_LIT("CANCELLED"));
	people_text(arena, o, text);
	if (ews_true(ews_text(o, "ReminderIsSet")) && span_u64(minutes, 100000000, &n))
		buf_printf(text, "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:Reminder\r\nTRIGGER:-PT%uM\r\n"
			   "END:VALARM\r\n", (unsigned int)n);
	return E_OK;
}

/* --- to fields --- */

static enum code zone_value(struct ews_values *vs, const struct ews_start *start, bool series, const char **zone_r,
			    struct err *err)
{
	struct span windows = start->tz != NULL ? tz_windows(tz_name(start->tz)) : SPAN_NONE;

	*zone_r = "UTC";
	if (start->tz == NULL || span_eq_str(tz_name(start->tz), "UTC"))
		return E_OK;
	if (windows.n == 0 && series)
		return err_set(err, E_ITEM_REFUSED,
				"the series is in the time zone " SPAN_FMT ", which Exchange does not "
			       "know", SPAN_ARG(span_cut(tz_name(start->tz), 0, 80)));
	if (windows.n > 0)
		*zone_r = arena_str(vs->arena, windows);
	return E_OK;
}

static void set_zone(struct ews_values *vs, const char *zone)
{
	struct buf b;

	buf_init(&b, 512);
	buf_add_str(&b, " Id=\"");
	ews_xml(&b, span_of(zone));
	buf_add_char(&b, '"');
	const char *attrs = arena_str(vs->arena, buf_span(&b));
	buf_free(&b);
	ews_set_xml(vs, "calendar:StartTimeZone", "StartTimeZone", attrs, SPAN_LIT(""));
	ews_set_xml(vs, "calendar:EndTimeZone", "EndTimeZone", attrs, SPAN_LIT(""));
}

static void set_when(struct ews_values *vs, const char *uri, const char *element, int64_t utc)
{
	char text[EWS_TIME_TEXT];

	ews_set(vs, uri, element, span_of(ews_time(utc, text)));
}

static enum code times_values(const struct record *r, const char *comp, struct ews_values *vs, struct tz_set *zones,
			      struct err *err)
{
	struct content_line line, rule;
	struct ews_start start, end;
	const char *zone;
	bool series = ews_time_line(vs->arena, r, comp, "RRULE", &rule);
	struct buf xml;
	enum code rc;

	if (!ews_time_line(vs->arena, r, comp, "DTSTART", &line) || !ews_read_start(zones, vs->home, &line, &start))
		return err_set(err, E_ITEM_REFUSED, "Exchange has no events at a time of no known zone");
	if (ews_time_line(vs->arena, r, comp, "RDATE", &line) || ews_time_line(vs->arena, r, comp, "EXRULE", &line))
		return err_set(err, E_ITEM_REFUSED, "Exchange has no series with dates of their own (RDATE, EXRULE)");
	end = start;
	if (ews_time_line(vs->arena, r, comp, "DTEND", &line) && !ews_read_start(zones, vs->home, &line, &end))
		return err_set(err, E_ITEM_REFUSED, "Exchange has no events at a time of no known zone");
	rc = zone_value(vs, &start, series, &zone, err);
	if (rc != E_OK)
		return rc;
	if (start.date && (!end.date || end.local_s <= start.local_s)) {
		end = start;
		end.local_s += DAY;
	}
	if (ews_start_utc(&end) < ews_start_utc(&start))
		return err_set(err, E_ITEM_REFUSED, "the event ends before it begins");
	set_when(vs, "calendar:Start", "Start", ews_start_utc(&start));
	set_when(vs, "calendar:End", "End", ews_start_utc(&end));
	ews_set_bool(vs, "calendar:IsAllDayEvent", "IsAllDayEvent", start.date);
	set_zone(vs, zone);
	if (!series)
		return E_OK;
	buf_init(&xml, 4096);
	rc = ews_recur_xml(rule.value, &start, &xml, err);
	if (rc == E_OK)
		ews_set_xml(vs, "calendar:Recurrence", "Recurrence", NULL, arena_span(vs->arena, buf_span(&xml)));
	buf_free(&xml);
	return rc;
}

static struct span address_of(const struct content_line *line)
{
	struct span v = line->value;

	return span_starts_nocase(v, "mailto:") ? span_cut(v, 7, v.n) : SPAN_NONE;
}

static void print_person(struct buf *b, const struct content_line *line)
{
	struct span partstat = content_param_value(line, "PARTSTAT");

	buf_add_str(b, "<t:Attendee><t:Mailbox>");
	ews_el(b, "Name", content_param_value(line, "CN").n > 0 ? content_param_value(line, "CN") : address_of(line));
	ews_el(b, "EmailAddress", address_of(line));
	buf_add_str(b, "</t:Mailbox>");
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		if (span_eq_nocase_str(partstat, answers[i].partstat))
			ews_el(b, "ResponseType", span_of(answers[i].response));
	buf_add_str(b, "</t:Attendee>");
}

static size_t kind_of_person(const struct content_line *line)
{
	struct span type = content_param_value(line, "CUTYPE"), role = content_param_value(line, "ROLE");

	return span_eq_nocase_str(type, "RESOURCE") || span_eq_nocase_str(type, "ROOM") ? 2 :
	       span_eq_nocase_str(role, "OPT-PARTICIPANT") ? 1 : 0;
}

static void people_values(const struct record *r, const char *comp, struct ews_values *vs)
{
	static const char *const uris[] = { "calendar:RequiredAttendees", "calendar:OptionalAttendees",
					    "calendar:Resources" };
	struct content_line line;
	struct buf b[ARRAY_LEN(people)];
	size_t at = 0;

	if (!ews_get_line(vs->arena, r, comp, "ORGANIZER", &line) || vs->mailbox == NULL ||
	    !span_eq_nocase_str(address_of(&line), vs->mailbox))
		return;
	for (size_t k = 0; k < ARRAY_LEN(people); k++)
		buf_init(&b[k], (size_t)4 << 20);
	while (ews_next_line(vs->arena, r, comp, "ATTENDEE", &at, &line)) {
		struct span mail = address_of(&line);

		if (span_find(mail, 0, '@') != SIZE_MAX && !span_eq_nocase_str(mail, vs->mailbox))
			print_person(&b[kind_of_person(&line)], &line);
	}
	for (size_t k = 0; k < ARRAY_LEN(people); k++) {
		if (b[k].n > 0 && !b[k].overflow)
			ews_set_xml(vs, uris[k], people[k].name, NULL, arena_span(vs->arena, buf_span(&b[k])));
		buf_free(&b[k]);
	}
}

static const char *busy_of(struct arena *arena, const struct record *r, const char *comp)
{
	struct span state = record_text(arena, r, comp, "X-MICROSOFT-CDO-BUSYSTATUS");

	if (span_eq_nocase_str(record_text(arena, r, comp, "TRANSP"), "TRANSPARENT"))
		return "Free";
	for (size_t i = 0; i < ARRAY_LEN(busy); i++)
		if (span_eq_nocase_str(state, busy[i].status))
			return busy[i].server;
	return "Busy";
}

static enum code event_values(const struct record *r, const char *comp, struct ews_values *vs, struct err *err)
{
	struct tz_set *zones;
	int64_t minutes;
	bool reminder;
	enum code rc;

	if (r->kind != RECORD_EVENT)
		return err_set(err, E_ITEM_REFUSED, "Exchange's calendars hold events only");
	zones = tz_set_new(vs->arena);
	rc = times_values(r, comp, vs, zones, err);
	tz_set_free(&zones);
	if (rc != E_OK)
		return rc;
	reminder = ews_alarm_of(vs->arena, r, comp, vs->home, &minutes).n > 0;
	ews_common_values(r, comp, "DESCRIPTION", vs);
	ews_set_bool(vs, "item:ReminderIsSet", "ReminderIsSet", reminder);
	if (reminder)
		ews_set(vs, "item:ReminderMinutesBeforeStart", "ReminderMinutesBeforeStart",
			span_of(arena_printf(vs->arena, "%lld", (long long)minutes)));
	ews_set(vs, "calendar:LegacyFreeBusyStatus", "LegacyFreeBusyStatus", span_of(busy_of(vs->arena, r, comp)));
	ews_set(vs, "calendar:Location", "Location", record_text(vs->arena, r, comp, "LOCATION"));
	people_values(r, comp, vs);
	return E_OK;
}

static const struct ews_prop *const props[] = { NULL };

const struct ews_mapper ews_event_mapper = {
	.element = "CalendarItem",
	.order = EWS_ITEM_ORDER
		"UID Start End IsAllDayEvent LegacyFreeBusyStatus Location RequiredAttendees OptionalAttendees "
		"Resources Recurrence StartTimeZone EndTimeZone",
	.fields = "item:Subject item:Sensitivity item:Body item:Categories item:Importance item:ReminderIsSet "
		"item:ReminderMinutesBeforeStart item:LastModifiedTime calendar:UID calendar:Start calendar:End "
		"calendar:OriginalStart calendar:IsAllDayEvent calendar:LegacyFreeBusyStatus calendar:Location "
		"calendar:IsCancelled calendar:CalendarItemType calendar:Organizer calendar:RequiredAttendees "
		"calendar:OptionalAttendees calendar:Resources calendar:Recurrence calendar:ModifiedOccurrences "
		"calendar:DeletedOccurrences calendar:StartTimeZone",
	.props = props,
	.to_text = event_text,
	.to_values = event_values,
};
