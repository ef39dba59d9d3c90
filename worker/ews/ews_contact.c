/* ews_contact.c - contacts: tables of fields, entries and types.
 *
 * Three e-mail addresses without types, one telephone number per key, three addresses: what is beyond goes with the
 * rest. Birthdays are instants on the server, near the midnight of somewhere: the day is that of twelve hours later.
 */
#include "ews_map.h"

#include "../data/text.h"
#include "../data/when.h"

#include <stdio.h>

#define TYPES_MAX 8
#define NUMBERS_MAX 100
#define FIRST_YEAR "1601"             /* the server knows no day before */

static const struct ews_prop name_prefix = { .tag = 0x3A45, .type = "String" };
static const struct ews_prop personal_page = { .tag = 0x3A50, .type = "String" };

/* One field, one line. */
static const struct plain { const char *prop, *uri, *element; } plain[] = {
	{ "FN", "contacts:DisplayName", "DisplayName" }, { "TITLE", "contacts:JobTitle", "JobTitle" },
	{ "ROLE", "contacts:Profession", "Profession" }, { "X-SPOUSE", "contacts:SpouseName", "SpouseName" },
	{ "X-MANAGER", "contacts:Manager", "Manager" }, { "X-ASSISTANT", "contacts:AssistantName", "AssistantName" },
};

/* Types in the order of the alphabet, as they stand in a record. A number takes the first free row of just its types,
 * or else the first of which it has all types: HOME and MSG is a HOME number, and what fits nowhere is another one. */
static const struct phone { const char *key, *types; } phones[] = {
	{ "MobilePhone", "CELL" }, { "HomeFax", "FAX,HOME" }, { "BusinessFax", "FAX,WORK" }, { "OtherFax", "FAX" },
	{ "Pager", "PAGER" }, { "CarPhone", "CAR" }, { "Isdn", "ISDN" }, { "HomePhone", "HOME" },
	{ "HomePhone2", "HOME" }, { "BusinessPhone", "WORK" }, { "BusinessPhone2", "WORK" },
	{ "OtherTelephone", "" }, { "TtyTddPhone", "TEXTPHONE" }, { "PrimaryPhone", "X-PRIMARY" },
	{ "AssistantPhone", "X-ASSISTANT" }, { "Callback", "X-CALLBACK" }, { "CompanyMainPhone", "X-COMPANY" },
	{ "RadioPhone", "X-RADIO" }, { "Telex", "X-TELEX" },
};

static const struct { const char *key, *types; } places[] = {
	{ "Home", "HOME" }, { "Business", "WORK" }, { "Other", "" },
};

/* Parts of ADR that the server has: index in the value. */
static const struct { const char *part; size_t index; } parts[] = {
	{ "Street", 2 }, { "City", 3 }, { "State", 4 }, { "PostalCode", 5 }, { "CountryOrRegion", 6 },
};
#define ADR_FIELDS 7

static const struct { const char *prop, *uri, *element; } days[] = {
	{ "BDAY", "contacts:Birthday", "Birthday" },
	{ "ANNIVERSARY", "contacts:WeddingAnniversary", "WeddingAnniversary" },
};

/* --- from fields --- */

/* The entry of an indexed field; *from_r: its place, for what is in it. */
static struct span entry(const struct ews_object *o, const char *path, const char *key, size_t *from_r)
{
	const struct ews_entry *e;
	size_t at = 0;

	while ((e = ews_next(o, path, &at)) != NULL) {
		if (from_r != NULL)
			*from_r = at - 1;
		for (size_t i = at; i < o->n && ews_within(o, at - 1, i); i++) {
			struct span attr = span_cut(o->e[i].path, e->path.n, o->e[i].path.n);

			if (span_eq_str(attr, "@Key") && span_eq_str(o->e[i].text, key))
				return e->text;
		}
	}
	return SPAN_NONE;
}

static const char *type_param(const char *types, char out[64])
{
	snprintf(out, 64, types[0] != '\0' ? ";TYPE=%s" : "%s", types);
	return out;
}

static void name_text(struct arena *arena, const struct ews_object *o, struct buf *text)
{
	struct span n[] = { ews_text(o, "Surname"), ews_text(o, "GivenName"), ews_text(o, "MiddleName"),
			    ews_ext(o, &name_prefix), ews_text(o, "Generation") };
	struct span org[] = { ews_text(o, "CompanyName"), ews_text(o, "Department") };
	bool any = false;

	for (size_t i = 0; i < ARRAY_LEN(n); i++)
		any |= n[i].n > 0;
	if (any) {
		buf_add_str(text, "N:");
		for (size_t i = 0; i < ARRAY_LEN(n); i++) {
			buf_add_str(text, i > 0 ? ";" : "");
			buf_add_span(text, text_escape(arena, text_clean(arena, n[i])));
		}
		buf_add_str(text, "\r\n");
	}
	if (org[0].n == 0 && org[1].n == 0)
		return;
	buf_add_str(text, "ORG:");
	buf_add_span(text, text_escape(arena, text_clean(arena, org[0])));
	if (org[1].n > 0) {
		buf_add_char(text, ';');
		buf_add_span(text, text_escape(arena, text_clean(arena, org[1])));
	}
	buf_add_str(text, "\r\n");
}

static void entries_text(struct arena *arena, const struct ews_object *o, struct buf *text)
{
	char key[32], param[64];

	for (unsigned int i = 1; i <= 3; i++) {
		snprintf(key, sizeof(key), "EmailAddress%u", i);
		struct span email = entry(o, "EmailAddresses/Entry", key, NULL);
		if (span_find(email, 0, '@') != SIZE_MAX)
			ews_line(text, arena, "EMAIL", "", email);
		snprintf(key, sizeof(key), "ImAddress%u", i);
		struct span im = entry(o, "ImAddresses/Entry", key, NULL);
		if (im.n > 0)
			buf_printf(text, "IMPP:%s" SPAN_FMT "\r\n", span_find(im, 0, ':') != SIZE_MAX ? "" : "im:",
				   SPAN_ARG(text_uri(arena, text_clean(arena, im))));
	}
	for (size_t i = 0; i < ARRAY_LEN(phones); i++)
		ews_line(text, arena, "TEL", type_param(phones[i].types, param),
			 entry(o, "PhoneNumbers/Entry", phones[i].key, NULL));
}

static void places_text(struct arena *arena, const struct ews_object *o, struct buf *text)
{
	char param[64];

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct span field[ADR_FIELDS] = { { NULL, 0 } };
		size_t from = 0;
		bool any = false;

		if (entry(o, "PhysicalAddresses/Entry", places[i].key, &from).p == NULL)
			continue;
		for (size_t j = from + 1; j < o->n && ews_within(o, from, j); j++)
			for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
				struct span name = span_cut(o->e[j].path, o->e[from].path.n + 1, o->e[j].path.n);

				if (span_eq_str(name, parts[k].part))
					field[parts[k].index] = o->e[j].text;
			}
		for (size_t k = 0; k < ADR_FIELDS; k++)
			any |= field[k].n > 0;
		if (!any)
			continue;
		buf_printf(text, "ADR%s:", type_param(places[i].types, param));
		for (size_t k = 0; k < ADR_FIELDS; k++) {
			buf_add_str(text, k > 0 ? ";" : "");
			buf_add_span(text, text_escape(arena, text_clean_lines(arena, field[k])));
		}
		buf_add_str(text, "\r\n");
	}
}

struct span ews_full_name(const struct ews_object *o)
{
	static const char *const paths[] = { "DisplayName", "FileAs", "Subject", "CompanyName" };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (span_trim(ews_text(o, paths[i])).n > 0)
			return span_trim(ews_text(o, paths[i]));
	return SPAN_LIT("?");
}

static enum code contact_text(struct arena *arena, const struct ews_object *o, const struct ews_start *master,
			      struct ews_start *start_r, struct buf *text, struct err *err)
{
	struct span name = ews_full_name(o);
	int64_t when;
	char day[16];

	(void)master;
	(void)start_r;
	(void)err;
	ews_line(text, arena, "FN", "", name);
	for (size_t i = 1; i < ARRAY_LEN(plain); i++)
		ews_line(text, arena, plain[i].prop, "", ews_text(o, plain[i].element));
	name_text(arena, o, text);
	ews_line(text, arena, "NICKNAME", "", ews_text(o, "Nickname"));
	entries_text(arena, o, text);
	places_text(arena, o, text);
	if (ews_text(o, "BusinessHomePage").n > 0)
		buf_printf(text, "URL;TYPE=WORK:" SPAN_FMT "\r\n",
			   SPAN_ARG(text_uri(arena, text_clean(arena, ews_text(o, "BusinessHomePage")))));
	if (ews_ext(o, &personal_page).n > 0)
		buf_printf(text, "URL:" SPAN_FMT "\r\n",
			   SPAN_ARG(text_uri(arena, text_clean(arena, ews_ext(o, &personal_page)))));
	for (size_t i = 0; i < ARRAY_LEN(days); i++)
		if (ews_read_time(ews_text(o, days[i].element), &when, NULL))
			ews_line(text, arena, days[i].prop, "", span_of(ews_day(when + 43200, day)));
	ews_common_text(arena, o, "NOTE", text);
	return E_OK;
}

/* --- to fields --- */

/* The TYPE values as one text, in upper case: "FAX,WORK". */
static const char *types_of(struct arena *arena, const struct content_line *line)
{
	const struct content_param *p = content_param(line, "TYPE");
	struct buf b;

	buf_init(&b, 256);
	for (size_t i = 0; p != NULL && i < p->n && i < TYPES_MAX; i++) {
		buf_add_str(&b, i > 0 ? "," : "");
		buf_add_span(&b, text_upper(arena, p->values[i]));
	}
	const char *out = arena_str(arena, buf_span(&b));
	buf_free(&b);
	return out;
}

/* The fields of a structured value. */
static size_t split(struct arena *arena, struct span value, struct span *out, size_t max)
{
	struct span part;
	size_t n = 0;

	while (n < max && text_next(&value, ';', &part))
		out[n++] = text_unescape(arena, part);
	return n;
}

static void set_name(const struct record *r, struct ews_values *vs)
{
	static const char *const fields[][2] = {
		{ "contacts:Surname", "Surname" }, { "contacts:GivenName", "GivenName" },
		{ "contacts:MiddleName", "MiddleName" }, { NULL, NULL }, { "contacts:Generation", "Generation" },
	};
	struct content_line line;
	struct span f[5] = { { NULL, 0 } };

	if (ews_get_line(vs->arena, r, "VCARD", "N", &line)) {
		size_t n = split(vs->arena, line.value, f, ARRAY_LEN(f));

		for (size_t i = 0; i < n; i++) {
			if (fields[i][0] != NULL)
				ews_set(vs, fields[i][0], fields[i][1], f[i]);
			else
				ews_set_prop(vs, &name_prefix, f[i]);
		}
	}
	if (ews_get_line(vs->arena, r, "VCARD", "ORG", &line)) {
		size_t n = split(vs->arena, line.value, f, 2);

		ews_set(vs, "contacts:CompanyName", "CompanyName", n > 0 ? f[0] : SPAN_NONE);
		ews_set(vs, "contacts:Department", "Department", n > 1 ? f[1] : SPAN_NONE);
	}
}

static bool has_type(struct span types, struct span type)
{
	struct span one;

	while (span_next(&types, ',', &one))
		if (span_eq(one, type))
			return true;
	return false;
}

static bool has_types(const char *types, const char *wanted)
{
	struct span rest = span_of(wanted), one;

	while (wanted[0] != '\0' && span_next(&rest, ',', &one))
		if (!has_type(span_of(types), one))
			return false;
	return true;
}

/* Those whose order is the user's come first. */
static void set_entries(const struct record *r, struct ews_values *vs, const char *prop, const char *uri,
			const char *element, const char *prefix)
{
	struct content_line line;
	unsigned int n = 0;

	for (int preferred = 1; preferred >= 0; preferred--)
		for (size_t at = 0; n < 3 && ews_next_line(vs->arena, r, "VCARD", prop, &at, &line);)
			if ((content_param(&line, "PREF") != NULL) == (preferred == 1))
				ews_set_entry(vs, uri, element, arena_printf(vs->arena, "%s%u", prefix, ++n), NULL,
					      text_unescape(vs->arena, line.value));
}

/* The first free row for a number of these types; ARRAY_LEN(phones): none. */
static size_t phone_row(const bool *used, const char *types, bool exact)
{
	size_t i = 0;

	while (i < ARRAY_LEN(phones) && (used[i] || !(exact ? strcmp(types, phones[i].types) == 0
							    : has_types(types, phones[i].types))))
		i++;
	return i;
}

static void set_phones(const struct record *r, struct ews_values *vs)
{
	bool used[ARRAY_LEN(phones)] = { false }, done[NUMBERS_MAX] = { false };
	struct content_line line;

	for (int exact = 1; exact >= 0; exact--) {
		size_t at = 0;

		for (size_t n = 0; n < NUMBERS_MAX && ews_next_line(vs->arena, r, "VCARD", "TEL", &at, &line); n++) {
			size_t row = done[n] ? ARRAY_LEN(phones)
					     : phone_row(used, types_of(vs->arena, &line), exact == 1);

			if (row == ARRAY_LEN(phones))
				continue;
			used[row] = done[n] = true;
			ews_set_entry(vs, "contacts:PhoneNumber", "PhoneNumbers", phones[row].key, NULL,
				      text_unescape(vs->arena, line.value));
		}
	}
}

static void set_places(const struct record *r, struct ews_values *vs)
{
	bool used[ARRAY_LEN(places)] = { false };
	struct content_line line;
	size_t at = 0;

	while (ews_next_line(vs->arena, r, "VCARD", "ADR", &at, &line)) {
		const char *types = types_of(vs->arena, &line);
		struct span f[ADR_FIELDS] = { { NULL, 0 } };
		size_t i = 0;

		while (i < ARRAY_LEN(places) && (used[i] || !has_types(types, places[i].types)))
			i++;
		if (i == ARRAY_LEN(places))
			continue;
		used[i] = true;
		split(vs->arena, line.value, f, ADR_FIELDS);
		for (size_t k = 0; k < ARRAY_LEN(parts); k++)
			ews_set_entry(vs, arena_printf(vs->arena, "contacts:PhysicalAddress:%s", parts[k].part),
				      "PhysicalAddresses", places[i].key, parts[k].part, f[parts[k].index]);
	}
}

static void set_pages(const struct record *r, struct ews_values *vs)
{
	bool work = false, personal = false;
	struct content_line line;
	size_t at = 0;

	while (ews_next_line(vs->arena, r, "VCARD", "URL", &at, &line)) {
		bool is_work = strcmp(types_of(vs->arena, &line), "WORK") == 0;

		if (is_work && !work)
			ews_set(vs, "contacts:BusinessHomePage", "BusinessHomePage", line.value);
		else if (!is_work && !personal)
			ews_set_prop(vs, &personal_page, line.value);
		work |= is_work;
		personal |= !is_work;
	}
}

static enum code contact_values(const struct record *r, const char *comp, struct ews_values *vs, struct err *err)
{
	struct content_line line;
	struct span v;
	int64_t when;

	(void)err;
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		ews_set(vs, plain[i].uri, plain[i].element, record_text(vs->arena, r, comp, plain[i].prop));
	ews_set(vs, "contacts:FileAs", "FileAs", record_text(vs->arena, r, comp, "FN"));
	set_name(r, vs);
	if (ews_get_line(vs->arena, r, comp, "NICKNAME", &line))
		ews_set(vs, "contacts:Nickname", "Nickname", text_unescape(vs->arena, line.value));
	set_entries(r, vs, "EMAIL", "contacts:EmailAddress", "EmailAddresses", "EmailAddress");
	set_entries(r, vs, "IMPP", "contacts:ImAddress", "ImAddresses", "ImAddress");
	set_phones(r, vs);
	set_places(r, vs);
	set_pages(r, vs);
	for (size_t i = 0; i < ARRAY_LEN(days); i++) {
		v = record_text(vs->arena, r, comp, days[i].prop);
		if (v.n != 8 || span_cmp(v, SPAN_LIT(FIRST_YEAR)) < 0)
			continue;
		const char *day = arena_printf(vs->arena, "%.4s-%.2s-%.2sT11:59:00Z", v.p, v.p + 4, v.p + 6);
		if (ews_read_time(span_of(day), &when, NULL))
			ews_set(vs, days[i].uri, days[i].element, span_of(day));
	}
	ews_common_values(r, comp, "NOTE", vs);
	return E_OK;
}

static const struct ews_prop *const props[] = { &name_prefix, &personal_page, NULL };

const struct ews_mapper ews_contact_mapper = {
	.element = "Contact",
	.order = EWS_ITEM_ORDER
		"FileAs DisplayName GivenName MiddleName Nickname CompanyName EmailAddresses PhysicalAddresses "
		"PhoneNumbers AssistantName Birthday BusinessHomePage Department Generation ImAddresses JobTitle "
		"Manager Profession SpouseName Surname WeddingAnniversary",
	.fields = "item:Subject item:Sensitivity item:Body item:Categories item:LastModifiedTime "
		"item:Attachments contacts:FileAs contacts:DisplayName contacts:GivenName "
		"contacts:MiddleName contacts:Nickname contacts:CompanyName contacts:EmailAddresses "
		"contacts:PhysicalAddresses contacts:PhoneNumbers contacts:AssistantName contacts:Birthday "
		"contacts:BusinessHomePage contacts:Department contacts:Generation contacts:ImAddresses "
		"contacts:JobTitle contacts:Manager contacts:Profession contacts:SpouseName "
		"contacts:Surname contacts:WeddingAnniversary "
		"distributionlist:Members",           /* of a list that stands among them */
	.props = props,
	.to_text = contact_text,
	.to_values = contact_values,
};
