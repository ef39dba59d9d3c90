/* ews_item.c - lines of records, and the fields that items of all kinds have. */
#include "ews_map.h"

#include "../endpoint.h"

#include "../data/text.h"
#include "../data/when.h"

#include <stdio.h>

const struct ews_mapper *ews_mapper_of(int kind)
{
	return kind == EP_CONTACTS ? &ews_contact_mapper : kind == EP_TASKS ? &ews_task_mapper : &ews_event_mapper;
}

const struct ews_mapper *ews_mapper_for(int kind, const struct record *record)
{
	return record->kind == RECORD_GROUP ? &ews_group_mapper : ews_mapper_of(kind);
}

const struct ews_mapper *ews_mapper_named(int kind, struct span element)
{
	const struct ews_mapper *map = ews_mapper_of(kind);

	if (kind == EP_CONTACTS && span_eq_str(element, ews_group_mapper.element))
		return &ews_group_mapper;
	return span_eq_str(element, map->element) ? map : NULL;
}

const char *ews_day(int64_t seconds, char out[16])
{
	int64_t days = seconds / 86400 - (seconds % 86400 < 0), year;
	int month, day;

	when_civil(days, &year, &month, &day);
	snprintf(out, 16, "%04d%02d%02d", (int)year, month, day);
	return out;
}

void ews_line(struct buf *b, struct arena *arena, const char *name, const char *params, struct span text)
{
	if (text.n == 0)
		return;
	buf_add_str(b, name);
	buf_add_str(b, params);
	buf_add_char(b, ':');
	buf_add_span(b, text_escape(arena, text_clean_lines(arena, text)));
	buf_add_str(b, "\r\n");
}

bool ews_next_line(struct arena *arena, const struct record *r, const char *comp, const char *prop, size_t *at,
		   struct content_line *line_r)
{
	while (*at < r->n) {
		const struct record_entry *e = &r->e[(*at)++];

		if (span_eq_str(e->comp, comp) && span_eq_str(e->prop, prop))
			return content_parse_line(arena, e->value, line_r);
	}
	return false;
}

bool ews_get_line(struct arena *arena, const struct record *r, const char *comp, const char *prop,
		  struct content_line *line_r)
{
	size_t at = 0;

	return ews_next_line(arena, r, comp, prop, &at, line_r);
}

bool ews_time_line(struct arena *arena, const struct record *r, const char *comp, const char *name,
		   struct content_line *line_r)
{
	const struct record_entry *e = record_find(r, span_of(comp), SPAN_LIT("DTSTART"), SPAN_LIT(""));
	struct span rest = e != NULL ? e->value : SPAN_NONE, line;

	while (span_next(&rest, '\n', &line))
		if (content_parse_line(arena, line, line_r) && span_eq_nocase_str(line_r->name, name))
			return true;
	return false;
}

struct span ews_record_text(struct arena *arena, const struct record *r, const char *comp, const char *prop)
{
	return record_text(arena, r, comp, prop);
}

/* --- common fields --- */

static const struct { const char *class, *sensitivity; } classes[] = {
	{ "PRIVATE", "Private" }, { "CONFIDENTIAL", "Confidential" }, { "PUBLIC", "Normal" },
};

/* Without the line ends that the server puts behind a text body. */
static struct span note_text(struct arena *arena, struct span text)
{
	char *out = arena_raw(arena, text.n + 1), *to = out;

	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != '\r')
			*to++ = text.p[i];
	while (to > out && to[-1] == '\n')
		to--;
	return span_bytes(out, (size_t)(to - out));
}

void ews_common_text(struct arena *arena, const struct ews_object *o, const char *note, struct buf *text)
{
	struct span sensitivity = ews_text(o, "Sensitivity"), importance = ews_text(o, "Importance");
	const struct ews_entry *e;
	size_t at = 0;

	if (strcmp(note, "NOTE") != 0)
		ews_line(text, arena, "SUMMARY", "", ews_text(o, "Subject"));
	ews_line(text, arena, note, "", note_text(arena, ews_text(o, "Body")));
	while ((e = ews_next(o, "Categories/String", &at)) != NULL)
		ews_line(text, arena, "CATEGORIES", "", e->text);
	for (size_t i = 0; i < ARRAY_LEN(classes) - 1; i++)
		if (span_eq_str(sensitivity, classes[i].sensitivity))
			ews_line(text, arena, "CLASS", "", span_of(classes[i].class));
	if (span_eq_str(sensitivity, "Personal"))
		ews_line(text, arena, "CLASS", "", SPAN_LIT("PRIVATE"));
	if (strcmp(note, "NOTE") != 0 && span_eq_str(importance, "High"))
		ews_line(text, arena, "PRIORITY", "", SPAN_LIT("1"));
	if (strcmp(note, "NOTE") != 0 && span_eq_str(importance, "Low"))
		ews_line(text, arena, "PRIORITY", "", SPAN_LIT("9"));
}

static void set_categories(const struct record *r, const char *comp, struct ews_values *vs)
{
	struct content_line line;
	struct buf b;
	size_t at = 0;

	buf_init(&b, (size_t)1 << 20);
	while (ews_next_line(vs->arena, r, comp, "CATEGORIES", &at, &line))
		ews_el(&b, "String", text_unescape(vs->arena, line.value));
	if (b.n > 0 && !b.overflow)
		ews_set_xml(vs, "item:Categories", "Categories", NULL, arena_span(vs->arena, buf_span(&b)));
	buf_free(&b);
}

/* RFC 5545 3.8.1.9: 1 to 4 are high, 6 to 9 low; 0 is none. */
static const char *importance_of(struct span priority)
{
	uint64_t n;

	return !span_u64(priority, 9, &n) || n == 0 || n == 5 ? "Normal" : n < 5 ? "High" : "Low";
}

void ews_common_values(const struct record *r, const char *comp, const char *note, struct ews_values *vs)
{
	struct arena *arena = vs->arena;
	struct span body = record_text(arena, r, comp, note), class = record_text(arena, r, comp, "CLASS");
	const char *sensitivity = class.n > 0 ? "Private" : "Normal";
	struct buf b;

	if (strcmp(note, "NOTE") != 0) {
		ews_set(vs, "item:Subject", "Subject", record_text(arena, r, comp, "SUMMARY"));
		ews_set(vs, "item:Importance", "Importance",
			span_of(importance_of(record_text(arena, r, comp, "PRIORITY"))));
	}
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (span_eq_nocase_str(class, classes[i].class))
			sensitivity = classes[i].sensitivity;
	ews_set(vs, "item:Sensitivity", "Sensitivity", span_of(sensitivity));
	set_categories(r, comp, vs);
	if (body.n == 0)
		return;
	buf_init(&b, body.n * 6 + 16);
	ews_xml(&b, body);
	ews_set_xml(vs, "item:Body", "Body", " BodyType=\"Text\"", arena_span(arena, buf_span(&b)));
	buf_free(&b);
}
