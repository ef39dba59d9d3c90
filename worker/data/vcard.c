/* vcard.c - contacts and groups (vCard 2.1, RFC 2426, RFC 6350, RFC 6474, Apple's extensions) into a
 * record. What the table does not name is one value of its own, all lines of the name together.
 */
#include "vcard_p.h"

#include <stdlib.h>

static const struct record_prop props[] = {
	{ "ADR", EACH, CANON_FIELDS, NULL },
	{ "AGENT", ONCE, CANON_RAW, NULL },
	{ "ANNIVERSARY", ONCE, CANON_RAW, NULL },
	{ "BDAY", ONCE, CANON_RAW, NULL },
	{ "BIRTHPLACE", ONCE, CANON_RAW, NULL },
	{ "CALADRURI", EACH, CANON_URI, NULL },
	{ "CALURI", EACH, CANON_URI, NULL },
	{ "CATEGORIES", SET, CANON_TEXT, NULL },
	{ "CLASS", ONCE, CANON_WORD, "PUBLIC" },
	{ "CLIENTPIDMAP", KEPT, CANON_RAW, NULL },
	{ "DEATHDATE", ONCE, CANON_RAW, NULL },
	{ "DEATHPLACE", ONCE, CANON_RAW, NULL },
	{ "EMAIL", EACH, CANON_TEXT, NULL },
	{ "EXPERTISE", EACH, CANON_TEXT, NULL },
	{ "FBURL", EACH, CANON_URI, NULL },
	{ "FN", ONCE, CANON_TEXT, NULL },
	{ "GENDER", ONCE, CANON_FIELDS, NULL },
	{ "GEO", ONCE, CANON_RAW, NULL },
	{ "HOBBY", EACH, CANON_TEXT, NULL },
	{ "IMPP", EACH, CANON_URI, NULL },
	{ "INTEREST", EACH, CANON_TEXT, NULL },
	{ "KEY", EACH, CANON_RAW, NULL },
	{ "KIND", ONCE, CANON_WORD, "INDIVIDUAL" },
	{ "LABEL", EACH, CANON_TEXT, NULL },
	{ "LANG", EACH, CANON_RAW, NULL },
	{ "LOGO", ONCE, CANON_RAW, NULL },
	{ "MAILER", ONCE, CANON_TEXT, NULL },
	{ "MEMBER", EACH, CANON_URI, NULL },
	{ "N", ONCE, CANON_FIELDS, NULL },
	{ "NAME", ONCE, CANON_TEXT, NULL },
	{ "NICKNAME", SET, CANON_TEXT, NULL },
	{ "NOTE", ONCE, CANON_TEXT, NULL },
	{ "ORG", ONCE, CANON_FIELDS, NULL },
	{ "ORG-DIRECTORY", EACH, CANON_URI, NULL },
	{ "PHOTO", ONCE, CANON_RAW, NULL },
	{ "PROFILE", LEFT_OUT, CANON_RAW, NULL }, /* 3.0: always VCARD */
	{ "RELATED", EACH, CANON_RAW, NULL },
	{ "REV", KEPT, CANON_RAW, NULL },
	{ "ROLE", ONCE, CANON_TEXT, NULL },
	{ "SORT-STRING", ONCE, CANON_TEXT, NULL },
	{ "SOUND", ONCE, CANON_RAW, NULL },
	{ "SOURCE", EACH, CANON_URI, NULL },
	{ "TEL", EACH, CANON_TEXT, NULL },
	{ "TITLE", ONCE, CANON_TEXT, NULL },
	{ "TZ", ONCE, CANON_RAW, NULL },
	{ "UID", LEFT_OUT, CANON_TEXT, NULL },
	{ "URL", EACH, CANON_URI, NULL },
	{ "XML", EACH, CANON_RAW, NULL },
};

static const struct record_prop unknown = { "", ONCE, CANON_RAW, NULL };

struct reader {
	struct record_build build;
	bool is_21;
};

static const struct record_prop *find_prop(struct span name)
{
	const struct record_prop *prop = record_prop_find(props, ARRAY_LEN(props), name);

	return prop != NULL ? prop : &unknown;
}

/* --- one line --- */

/* Names that Apple uses below 4.0. */
static struct span name_of(struct arena *arena, struct span name)
{
	if (span_eq_nocase_str(name, "X-ADDRESSBOOKSERVER-KIND"))
		return SPAN_LIT("KIND");
	if (span_eq_nocase_str(name, "X-ADDRESSBOOKSERVER-MEMBER"))
		return SPAN_LIT("MEMBER");
	return text_upper(arena, name);
}

/* TYPE=pref becomes PREF=1; types that go without saying are left out. */
static void canon_types(struct arena *arena, struct content_line *line)
{
	bool pref = false;

	for (size_t i = 0; i < line->n_params; i++) {
		struct content_param *p = &line->params[i];
		size_t kept = 0;

		if (!span_eq_str(p->name, "TYPE"))
			continue;
		for (size_t k = 0; k < p->n; k++) {
			bool said = (span_eq_str(p->values[k], "INTERNET") && span_eq_str(line->name, "EMAIL")) ||
				    (span_eq_str(p->values[k], "VOICE") && span_eq_str(line->name, "TEL"));

			if (span_eq_str(p->values[k], "PREF"))
				pref = true;
			else if (!said)
				p->values[kept++] = p->values[k];
		}
		p->n = kept;
		if (kept == 0)
			canon_drop_param(line, "TYPE");
		break;
	}
	if (pref && content_param(line, "PREF") == NULL)
		canon_set_param(arena, line, "PREF", SPAN_LIT("1"));
}

static void canon_special(struct arena *arena, struct content_line *line)
{
	size_t semicolon = span_find(line->value, 0, ';');

	if (vcard_is_media(line->name)) {
		vcard_read_media(arena, line);
	} else if (vcard_is_date(line->name)) {
		vcard_read_date(arena, line);
	} else if (span_eq_str(line->name, "TEL") && span_starts_nocase(line->value, "tel:")) {
		line->value = text_escape(arena, text_unescape(arena, span_cut(line->value, 4, line->value.n)));
		canon_drop_param(line, "VALUE");
	} else if (span_eq_str(line->name, "GEO") && !span_starts_nocase(line->value, "geo:") &&
		   semicolon != SIZE_MAX) {
		line->value = span_of(arena_printf(
			arena, "geo:" SPAN_FMT "," SPAN_FMT, SPAN_ARG(span_cut(line->value, 0, semicolon)),
			SPAN_ARG(span_cut(line->value, semicolon + 1, line->value.n))));
	} else if (span_eq_str(line->name, "REV")) {
		struct when w;

		canon_drop_param(line, "VALUE");
		if (when_parse(line->value, SPAN_NONE, NULL, &w))
			line->value = when_print(arena, &w);
	}
}

static struct content_line canonical(struct reader *r, const struct content_line *line, const struct record_prop *prop)
{
	struct arena *arena = r->build.arena;
	struct content_line named = r->is_21 ? vcard_from_21(arena, line) : *line;

	named.name = name_of(arena, line->name);
	enum canon_type type = prop->class == SET ? CANON_LIST : prop->type;
	/* a bare URI in a text property of 4.0 has no escapes */
	bool uri_in_text = type == CANON_TEXT && span_eq_nocase_str(content_param_value(&named, "VALUE"), "URI");
	struct content_line out = canon_line(arena, &named, uri_in_text ? CANON_URI : type);

	if (uri_in_text)
		canon_set_param(arena, &out, "VALUE", SPAN_LIT("URI"));

	canon_types(arena, &out);
	canon_special(arena, &out);
	/* what went without saying is told by the type of the table, not by VALUE= */
	if (span_eq_str(content_param_value(&out, "VALUE"), "URI") && prop->type == CANON_URI)
		canon_drop_param(&out, "VALUE");
	return out;
}

/* What an EACH property is known by: value and types. */
static struct span instance_of(struct arena *arena, const struct content_line *line)
{
	const struct content_param *types = content_param(line, "TYPE");
	struct span value = span_eq_str(line->name, "EMAIL") ? text_lower(arena, line->value) : line->value;
	struct buf out;

	buf_init(&out, CONTENT_BYTES_MAX);
	buf_add_span(&out, value);
	for (size_t i = 0; types != NULL && i < types->n; i++) {
		buf_add_char(&out, '|');
		buf_add_span(&out, types->values[i]);
	}
	struct span s = record_instance(arena, arena_span(arena, buf_span(&out)));
	buf_free(&out);
	return s;
}

static void add(struct reader *r, const struct content_line *line, struct span inst, enum record_weight weight)
{
	record_add(&r->build, (struct record_entry){
		.comp = SPAN_LIT("VCARD"), .prop = line->name, .inst = inst.n > 0 ? inst : SPAN_LIT(""),
		.value = record_line(r->build.arena, line), .counts = weight == WEIGHT_COUNTS });
}

static bool is_left_out(const struct record_prop *prop, struct span name)
{
	return prop->class == LEFT_OUT || (prop == &unknown && canon_is_noise(name));
}

static void read_line(struct reader *r, const struct content_line *line)
{
	struct arena *arena = r->build.arena;
	const struct record_prop *prop = find_prop(name_of(arena, line->name));

	if (is_left_out(prop, line->name))
		return;
	struct content_line out = canonical(r, line, prop);

	if (out.value.n == 0 || (prop->otherwise != NULL && span_eq_str(out.value, prop->otherwise)))
		return;
	if (prop->class == SET)
		record_add_set(&r->build, SPAN_LIT("VCARD"), &out);
	else
		add(r, &out, prop->class == EACH ? instance_of(arena, &out) : SPAN_NONE,
		    prop->class == KEPT ? WEIGHT_KEPT : WEIGHT_COUNTS);
}

/* --- groups --- */

static bool is_extension(struct span name)
{
	return span_starts_nocase(name, "X-");
}

/* Names first, extensions last: the first line says what the group is about. */
static int group_order(const void *va, const void *vb)
{
	const struct content_line *a = va, *b = vb;
	int c = (int)is_extension(a->name) - (int)is_extension(b->name);

	if (c == 0)
		c = span_cmp(a->name, b->name);
	return c != 0 ? c : span_cmp(a->value, b->value);
}

static void add_group(struct reader *r, struct content_line *lines, size_t n)
{
	struct arena *arena = r->build.arena;
	struct buf text;

	qsort(lines, n, sizeof(*lines), group_order);
	buf_init(&text, CONTENT_BYTES_MAX);
	for (size_t i = 0; i < n; i++) {
		struct content_line line = lines[i];

		if (i > 0)
			buf_add_char(&text, '\n');
		line.group = SPAN_LIT(VCARD_GROUP);
		content_print_raw(&text, &line);
	}
	record_add(&r->build, (struct record_entry){
		.comp = SPAN_LIT("VCARD"), .prop = lines[0].name, .inst = instance_of(arena, &lines[0]),
		.value = arena_span(arena, buf_span(&text)), .counts = true });
	buf_free(&text);
}

struct grouped {
	struct span group;
	size_t index;                   /* of the line in the card */
};

static int grouped_order(const void *va, const void *vb)
{
	const struct grouped *a = va, *b = vb;
	int c = span_cmp(a->group, b->group);

	return c != 0 ? c : (a->index > b->index) - (a->index < b->index);
}

/* The lines g[0..n) of one group: those that count as one entry, a single one as if it had no group. */
static void read_group(struct reader *r, const struct content_comp *card, const struct grouped *g, size_t n)
{
	struct arena *arena = r->build.arena;
	struct content_line *lines = arena_calloc(arena, n, sizeof(*lines));
	size_t kept = 0, last = 0;

	for (size_t i = 0; i < n; i++) {
		const struct content_line *line = &card->lines[g[i].index];
		const struct record_prop *prop = find_prop(name_of(arena, line->name));

		if (is_left_out(prop, line->name))
			continue;
		lines[kept] = canonical(r, line, prop);
		if (lines[kept].value.n == 0)
			continue;
		kept++;
		last = i;
	}
	if (kept == 1)
		read_line(r, &card->lines[g[last].index]);
	else if (kept > 1)
		add_group(r, lines, kept);
}

static void read_lines(struct reader *r, const struct content_comp *card)
{
	struct arena *arena = r->build.arena;
	struct grouped *grouped = arena_calloc(arena, card->n_lines + 1, sizeof(*grouped));
	size_t n = 0;

	for (size_t i = 0; i < card->n_lines && !r->build.full; i++) {
		if (card->lines[i].group.n > 0)
			grouped[n++] = (struct grouped){ text_lower(arena, card->lines[i].group), i };
		else
			read_line(r, &card->lines[i]);
	}
	qsort(grouped, n, sizeof(*grouped), grouped_order);
	for (size_t i = 0, next; i < n; i = next) {
		for (next = i + 1; next < n && span_eq(grouped[i].group, grouped[next].group);)
			next++;
		read_group(r, card, &grouped[i], next - i);
	}
}

/* --- the whole --- */

static bool has_prop(const struct record *rec, const char *prop)
{
	for (size_t i = 0; i < rec->n; i++) {
		if (span_eq_str(rec->e[i].prop, prop))
			return true;
	}
	return false;
}

/* 3.0 and 4.0 want FN, and servers refuse a contact without: out of what there is. */
static void complete_name(struct reader *r, const struct content_comp *card)
{
	static const char *const sources[] = { "N", "ORG", "NICKNAME", "EMAIL", "TEL" };
	struct arena *arena = r->build.arena;
	struct content_line line = { .name = SPAN_LIT("FN") };

	if (has_prop(r->build.record, "FN"))
		return;
	for (size_t i = 0; i < ARRAY_LEN(sources) && line.value.n == 0; i++) {
		const struct content_line *from = content_find(card, sources[i]);
		struct span rest, field, given = SPAN_NONE, family = SPAN_NONE;

		if (from == NULL)
			continue;
		rest = canonical(r, from, find_prop(span_of(sources[i]))).value;
		if (i == 0 && text_next(&rest, ';', &family) && text_next(&rest, ';', &field))
			given = field;
		else if (i > 0)
			text_next(&rest, ';', &family);
		line.value = span_trim(
			span_of(arena_printf(arena, SPAN_FMT " " SPAN_FMT, SPAN_ARG(given), SPAN_ARG(family))));
	}
	line.value = text_canonical(arena, line.value);
	if (line.value.n > 0)
		add(r, &line, SPAN_NONE, WEIGHT_COUNTS);
}

void vcard_set_kind(struct record *rec)
{
	const struct record_entry *kind = record_find(rec, SPAN_LIT("VCARD"), SPAN_LIT("KIND"), SPAN_LIT(""));

	rec->kind = kind != NULL && span_eq_str(kind->value, "KIND:GROUP") ? RECORD_GROUP : RECORD_CONTACT;
}

enum code vcard_read(struct arena *arena, const struct content_comp *card, struct record **record_r, struct err *err)
{
	struct reader r = { .build = { .arena = arena, .record = record_new(arena, RECORD_CONTACT) } };
	const struct content_line *version = content_find(card, "VERSION"), *uid = content_find(card, "UID");
	struct record *rec = r.build.record;

	r.is_21 = version != NULL && span_eq_str(span_trim(version->value), "2.1");
	if (uid != NULL)
		rec->uid = text_unescape(arena, text_clean(arena, span_trim(uid->value)));
	record_add(&r.build, (struct record_entry){ .comp = SPAN_LIT("VCARD"),
						    .prop = SPAN_LIT("BEGIN"),
						    .inst = SPAN_LIT(""),
						    .value = SPAN_LIT("BEGIN:VCARD"),
						    .counts = true });
	read_lines(&r, card);
	complete_name(&r, card);
	if (r.build.full)
		return err_set(err, E_ITEM_TOO_BIG, "no room for a contact of %zu properties", rec->n);
	record_seal(arena, rec);
	vcard_set_kind(rec);
	*record_r = rec;
	return E_OK;
}
