/* busy.c - what of an event goes into a free/busy copy. */
#include "busy.h"

#include "record_p.h"

static bool is_kept(struct span prop)
{
	static const char *const names[] = {
		"BEGIN", "DTSTART", "STATUS", "TRANSP", "RECURRENCE-ID", "X-MICROSOFT-CDO-BUSYSTATUS", "RULES",
		"DTSTAMP", "CREATED", "LAST-MODIFIED", "SEQUENCE",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (span_eq_str(prop, names[i]))
			return true;
	}
	return false;
}

static void add_line(struct record_build *b, struct span comp, const char *prop, const char *line)
{
	record_add(b, (struct record_entry){ .comp = comp,
					     .prop = span_of(prop),
					     .inst = SPAN_LIT(""),
					     .value = span_of(line),
					     .counts = true });
}

struct record *busy_copy(struct arena *arena, const struct record *event)
{
	struct record_build b = { .arena = arena, .record = record_new(arena, event->kind) };

	if (event->kind != RECORD_EVENT)
		return NULL;
	b.record->uid = event->uid;
	for (size_t i = 0; i < event->n; i++) {
		const struct record_entry *e = &event->e[i];
		bool is_event = span_starts_nocase(e->comp, "VEVENT") && span_find(e->comp, 0, '/') == SIZE_MAX;

		if (!(is_event || span_starts_nocase(e->comp, "VTIMEZONE:")) || !is_kept(e->prop))
			continue;
		record_add(&b, *e);
		if (record_is_begin(e->prop)) {
			add_line(&b, e->comp, "SUMMARY", "SUMMARY:Busy");
			add_line(&b, e->comp, "CLASS", "CLASS:PRIVATE");
		}
	}
	record_seal(arena, b.record);
	return b.record;
}
