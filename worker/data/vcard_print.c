/* vcard_print.c - a record as vCard 3.0 (the default: what all servers keep), 4.0 or 2.1. */
#include "vcard_p.h"

#include <stdio.h>

struct writer {
	struct arena *arena;
	unsigned int flags;
	struct content_comp *card;
	size_t groups;
};

/* Structured values in full: many readers want all fields. */
static struct span pad_fields(struct arena *arena, struct span value, size_t want)
{
	struct span rest = value, field;
	size_t n = 0;

	while (text_next(&rest, ';', &field))
		n++;
	if (n >= want)
		return value;
	char *out = arena_raw(arena, value.n + want), *to = out;
	if (value.n > 0)
		to = mempcpy(to, value.p, value.n);
	for (; n < want; n++)
		*to++ = ';';
	return span_bytes(out, (size_t)(to - out));
}

static void pref_as_type(struct arena *arena, struct content_line *line)
{
	const struct content_param *types = content_param(line, "TYPE");
	bool first = span_eq_str(content_param_value(line, "PREF"), "1");

	canon_drop_param(line, "PREF");
	if (!first)
		return;
	types = content_param(line, "TYPE");
	size_t n = types != NULL ? types->n : 0;
	struct span *values = arena_calloc(arena, n + 1, sizeof(*values));
	if (n > 0)
		memcpy(values, types->values, n * sizeof(*values));
	values[n] = SPAN_LIT("PREF");
	canon_set_param(arena, line, "TYPE", SPAN_NONE);
	for (size_t i = 0; i < line->n_params; i++) {
		if (span_eq_str(line->params[i].name, "TYPE")) {
			line->params[i].values = values;
			line->params[i].n = n + 1;
		}
	}
}

static void below_40(struct writer *w, struct content_line *line)
{
	bool geo = span_eq_str(line->name, "GEO") && span_starts_nocase(line->value, "geo:");
	size_t comma = geo ? span_find(line->value, 0, ',') : SIZE_MAX;

	pref_as_type(w->arena, line);
	if (span_eq_str(line->name, "KIND"))
		line->name = SPAN_LIT("X-ADDRESSBOOKSERVER-KIND");
	else if (span_eq_str(line->name, "MEMBER"))
		line->name = SPAN_LIT("X-ADDRESSBOOKSERVER-MEMBER");
	else if (vcard_is_date(line->name))
		vcard_write_date_30(w->arena, line);
	else if (vcard_is_media(line->name))
		vcard_write_media(w->arena, line, w->flags & RECORD_VCARD_21 ? "BASE64" : "b");
	else if (comma != SIZE_MAX && span_find(line->value, 0, ';') == SIZE_MAX)
		line->value = span_of(arena_printf(w->arena, SPAN_FMT ";" SPAN_FMT,
						   SPAN_ARG(span_cut(line->value, 4, comma - 4)),
						   SPAN_ARG(span_cut(line->value, comma + 1, line->value.n))));
}

/* --- 2.1 --- */

/* Commas and backslashes mean themselves; only ';' between fields is escaped. */
static struct span without_escapes(struct arena *arena, struct span v)
{
	char *out = arena_raw(arena, v.n + 1), *to = out;

	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i], next = i + 1 < v.n ? v.p[i + 1] : '\0';

		if (c == '\\' && (next == 'n' || next == 'N')) {
			c = '\n';
			i++;
		} else if (c == '\\' && next == ',') {
			continue;
		}
		*to++ = c;
		if (c == '\\' && next != '\0')
			*to++ = v.p[++i];
	}
	return span_bytes(out, (size_t)(to - out));
}

static struct span to_qp(struct arena *arena, struct span v)
{
	char *out = arena_raw(arena, v.n * 6 + 1), *to = out;

	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (c == '\n')
			to = mempcpy(to, "=0D=0A", 6);
		else if (c < ' ' || c > '~' || c == '=' || (c == ' ' && i > 0 && v.p[i - 1] == ' '))
			to += snprintf(to, 4, "=%02X", c);
		else
			*to++ = (char)c;
	}
	return span_bytes(out, (size_t)(to - out));
}

static bool is_word(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!((s.p[i] >= 'A' && s.p[i] <= 'Z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-'))
			return false;
	}
	return s.n > 0;
}

/* TYPE=HOME,FAX as the bare words that 2.1 has. */
static void bare_types(struct arena *arena, struct content_line *line)
{
	const struct content_param *types = content_param(line, "TYPE");
	size_t more = types != NULL ? types->n : 0, n = 0;
	struct content_param *params = arena_calloc(arena, line->n_params + more + 1, sizeof(*params));

	for (size_t i = 0; i < more; i++) {
		if (is_word(types->values[i]))
			params[n++].name = types->values[i];
		else
			params[n++] = (struct content_param){ .name = SPAN_LIT("TYPE"),
							      .values = &types->values[i],
							      .n = 1 };
	}
	for (size_t i = 0; i < line->n_params; i++) {
		if (&line->params[i] != types)
			params[n++] = line->params[i];
	}
	line->params = params;
	line->n_params = n;
}

static void as_21(struct writer *w, struct content_line *line)
{
	bool plain = true;

	bare_types(w->arena, line);

	if (vcard_is_media(line->name))
		return;
	struct span v = without_escapes(w->arena, line->value);
	for (size_t i = 0; i < v.n; i++)
		plain = plain && v.p[i] >= ' ' && v.p[i] <= '~';
	if (!plain) {
		canon_set_param(w->arena, line, "ENCODING", SPAN_LIT("QUOTED-PRINTABLE"));
		canon_set_param(w->arena, line, "CHARSET", SPAN_LIT("UTF-8"));
		v = to_qp(w->arena, v);
	}
	line->value = v;
}

/* --- all versions --- */

static void write_line(struct writer *w, struct content_line *line, struct span group)
{
	if (line->group.n > 0)
		line->group = group;
	if (span_eq_str(line->name, "N"))
		line->value = pad_fields(w->arena, line->value, 5);
	if (span_eq_str(line->name, "ADR"))
		line->value = pad_fields(w->arena, line->value, 7);
	if (span_eq_str(line->name, "KIND"))
		line->value = text_lower(w->arena, line->value);        /* some readers mind the case */
	if (span_eq_str(line->name, "X-ABLABEL"))
		line->name = SPAN_LIT("X-ABLabel");     /* Apple's reader minds the case */
	if (!(w->flags & RECORD_VCARD_40))
		below_40(w, line);
	if (w->flags & RECORD_VCARD_21)
		as_21(w, line);
	content_add_line(w->arena, w->card, *line);
}

/* Values of a set on one line, as all readers expect them; those with parameters alone. */
static size_t write_set(struct writer *w, const struct record *r, size_t from, struct span name)
{
	struct content_line line, all = { .name = name };
	struct buf values;
	size_t i = from;

	buf_init(&values, CONTENT_BYTES_MAX);
	for (; i < r->n && span_eq(r->e[i].prop, name) && span_eq_str(r->e[i].comp, "VCARD"); i++) {
		if (!content_parse_line(w->arena, r->e[i].value, &line) || line.n_params > 0 || line.group.n > 0 ||
		    span_find(r->e[i].value, 0, '\n') != SIZE_MAX)
			break;
		if (values.n > 0)
			buf_add_char(&values, ',');
		buf_add_span(&values, line.value);
	}
	all.value = arena_span(w->arena, buf_span(&values));
	buf_free(&values);
	if (i > from)
		write_line(w, &all, SPAN_NONE);
	return i - from;
}

static void write_entry(struct writer *w, const struct record_entry *e)
{
	struct span rest = e->value, text, group = SPAN_NONE;
	struct content_line line;

	while (span_next(&rest, '\n', &text)) {
		if (!content_parse_line(w->arena, text, &line))
			continue;
		if (line.group.n > 0 && group.n == 0)
			group = span_of(arena_printf(w->arena, "item%zu", ++w->groups));
		write_line(w, &line, group);
	}
}

static void put(struct writer *w, const char *name, struct span value)
{
	content_add_line(w->arena, w->card, (struct content_line){ .name = span_of(name), .value = value });
}

struct content_comp *vcard_write(struct arena *arena, const struct record *r, unsigned int flags)
{
	struct writer w = { .arena = arena, .flags = flags, .card = content_comp_new(arena, SPAN_LIT("VCARD")) };
	bool has_n = record_find(r, SPAN_LIT("VCARD"), SPAN_LIT("N"), SPAN_LIT("")) != NULL;

	put(&w, "VERSION",
	    flags & RECORD_VCARD_40   ? SPAN_LIT("4.0")
	    : flags & RECORD_VCARD_21 ? SPAN_LIT("2.1")
				      : SPAN_LIT("3.0"));
	if (r->uid.n > 0)
		put(&w, "UID", text_escape(arena, r->uid));
	if (!has_n && !(flags & RECORD_VCARD_40))
		put(&w, "N", SPAN_LIT(";;;;"));
	for (size_t i = 0; i < r->n;) {
		const struct record_entry *e = &r->e[i];
		bool set = span_eq_str(e->prop, "CATEGORIES") || span_eq_str(e->prop, "NICKNAME");
		size_t written = set ? write_set(&w, r, i, e->prop) : 0;

		if (written == 0 && !span_eq_str(e->prop, "BEGIN"))
			write_entry(&w, e);
		i += written > 0 ? written : 1;
	}
	return w.card;
}
