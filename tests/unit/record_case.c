/* record_case.c - see record_case.h. */
#include "record_case.h"

#include <dirent.h>
#include <libgen.h>
#include <unistd.h>

struct arena *rc_arena;

int rc_setup(void **state)
{
	(void)state;
	rc_arena = arena_new((size_t)1 << 30);
	return 0;
}

int rc_teardown(void **state)
{
	(void)state;
	arena_free(&rc_arena);
	return 0;
}

struct record *rc_parse(struct span text)
{
	struct record *record;
	struct err err = ERR_INIT;

	if (record_parse(rc_arena, text, &record, &err) != E_OK)
		fail_msg("%s in\n" SPAN_FMT, err_text(&err), SPAN_ARG(text));
	return record;
}

const char *rc_event_text(const char *uid, int day, const char *lines)
{
	return arena_printf(rc_arena, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//User//EN\r\nBEGIN:VEVENT\r\nUID:%s\r\n"
			    "DTSTAMP:20260101T000000Z\r\nDTSTART:202606%02dT100000Z\r\nDTEND:202606%02dT110000Z\r\n%s"
			    "END:VEVENT\r\nEND:VCALENDAR\r\n", uid, day, day, lines);
}

const char *rc_card_text(const char *uid, const char *name, const char *lines)
{
	const char *id = uid[0] != '\0' ? arena_printf(rc_arena, "UID:%s\r\n", uid) : "";

	return arena_printf(rc_arena, "BEGIN:VCARD\r\nVERSION:3.0\r\n%sN:%s;;;;\r\nFN:%s\r\n%sEND:VCARD\r\n", id, name, name,
			    lines);
}

struct record *rc_event(const char *lines)
{
	return rc_parse(span_of(arena_printf(rc_arena, "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:u\n%sEND:VEVENT\nEND:VCALENDAR\n", lines)));
}

struct record *rc_card(const char *version, const char *lines)
{
	return rc_parse(span_of(arena_printf(rc_arena, "BEGIN:VCARD\nVERSION:%s\nUID:u\nFN:F\n%sEND:VCARD\n", version, lines)));
}

struct span rc_print(const struct record *record, unsigned int flags)
{
	struct buf out;
	struct err err = ERR_INIT;

	buf_init(&out, CONTENT_BYTES_MAX);
	if (record_print(rc_arena, record, flags, &out, &err) != E_OK)
		fail_msg("%s", err_text(&err));
	struct span s = arena_span(rc_arena, buf_span(&out));
	buf_free(&out);
	return s;
}

struct span rc_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	static char text[1 << 20];

	if (f == NULL)
		fail_msg("%s cannot be opened", path);
	size_t n = fread(text, 1, sizeof(text), f);
	fclose(f);
	return arena_span(rc_arena, span_bytes(text, n));
}

void rc_each_fixture(const char *kind, void (*call)(const char *name, struct span text))
{
	char here[] = __FILE__;
	char *folder = arena_printf(rc_arena, "%s/../fixtures/%s", dirname(here), kind);
	struct dirent **list;
	int n = scandir(folder, &list, NULL, alphasort), called = 0;

	if (n < 0)
		fail_msg("%s cannot be read; tests run from the top of the tree", folder);
	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.') {
			call(list[i]->d_name, rc_file(arena_printf(rc_arena, "%s/%s", folder, list[i]->d_name)));
			called++;
		}
		free(list[i]);
	}
	free(list);
	assert_true(called >= 10);
}

bool rc_is_same(const struct record *a, const struct record *b)
{
	return span_eq(record_canonical(rc_arena, a), record_canonical(rc_arena, b));
}

void rc_same(const char *what, const struct record *a, const struct record *b)
{
	if (rc_is_same(a, b))
		return;
	struct record_patch p = record_diff(rc_arena, a, b);
	for (size_t i = 0; i < p.n; i++) {
		const struct record_change *c = &p.changes[i];

		print_error(SPAN_FMT " " SPAN_FMT " " SPAN_FMT "\n  one:   " SPAN_FMT "\n  other: " SPAN_FMT "\n", SPAN_ARG(c->comp),
			    SPAN_ARG(c->prop), SPAN_ARG(c->inst), SPAN_ARG(c->before), SPAN_ARG(c->after));
	}
	fail_msg("%s: %zu differences", what, p.n);
}

const char *rc_value(const struct record *record, const char *comp, const char *prop, const char *inst)
{
	const struct record_entry *e = record_find(record, span_of(comp), span_of(prop), span_of(inst));

	return e == NULL ? NULL : arena_str(rc_arena, e->value);
}
