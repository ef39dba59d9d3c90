/* record_io.c - records out of texts and into texts, and what a person would call a difference. */
#include "record_p.h"

#include <stdlib.h>

#define ROOM_FACTOR 12                  /* bytes of arena that reading one byte may take */

enum code record_parse(struct arena *arena, struct span text, struct record **record_r, struct err *err)
{
	struct content_comp *root;

	if (text.n > CONTENT_BYTES_MAX || arena_left(arena) / ROOM_FACTOR < text.n + ((size_t)1 << 18))
		return err_set(err, E_ITEM_TOO_BIG, "the item has %zu bytes", text.n);
	enum code code = content_parse(arena, text, &root, err);

	if (code != E_OK)
		return code;
	canon_names(arena, root);
	if (root->n_comps != 1)
		return err_set(err, E_ITEM_BAD,
			       root->n_comps == 0 ? "the item is empty" : "more than one object in one item");
	if (span_eq_nocase_str(root->comps[0]->name, "VCALENDAR"))
		return ical_read(arena, root->comps[0], record_r, err);
	if (span_eq_nocase_str(root->comps[0]->name, "VCARD"))
		return vcard_read(arena, root->comps[0], record_r, err);
	return err_set(err, E_ITEM_BAD, "neither a calendar object nor a contact");
}

static bool is_contact(const struct record *r)
{
	return r->kind == RECORD_CONTACT || r->kind == RECORD_GROUP;
}

enum code record_print(struct arena *arena, const struct record *r, unsigned int flags, struct buf *out,
		       struct err *err)
{
	content_print(out, is_contact(r) ? vcard_write(arena, r, flags) : ical_write(arena, r, flags));
	return buf_check(out, E_ITEM_TOO_BIG, "the item", err);
}

/* --- what differs --- */

/* A property's name as a person would say it: component first, unless it is the main one. */
static struct span name_of(struct arena *arena, const struct record_entry *e)
{
	bool main = span_find(e->comp, 0, '@') == SIZE_MAX && span_find(e->comp, 0, '/') == SIZE_MAX;

	if (main)
		return e->prop;
	if (span_eq_str(e->prop, "BEGIN"))
		return e->comp;
	return span_of(arena_printf(arena, SPAN_FMT " " SPAN_FMT, SPAN_ARG(e->comp), SPAN_ARG(e->prop)));
}

static bool same_meaning(struct arena *arena, const struct record *a, const struct record_entry *ea,
			 const struct record *b, const struct record_entry *eb)
{
	if (span_eq(ea->value, eb->value))
		return true;
	return span_eq_str(ea->prop, "DTSTART") &&
	       span_eq(ical_times_meaning(arena, a, ea->value), ical_times_meaning(arena, b, eb->value));
}

struct names {
	struct arena *arena;
	struct span *list;
	size_t n, cap;
};

static void add_name(struct names *names, const struct record_entry *e)
{
	struct span name = name_of(names->arena, e);

	if (names->n > 0 && span_eq(names->list[names->n - 1], name))
		return;
	names->list = arena_grow(names->arena, names->list, names->n, sizeof(name), &names->cap);
	names->list[names->n++] = name;
}

size_t record_differences(struct arena *arena, const struct record *a, const struct record *b, struct span **names_r)
{
	struct names names = { .arena = arena };
	size_t i = 0, k = 0;

	while (i < a->n || k < b->n) {
		int c = i == a->n ? 1 : k == b->n ? -1 : record_key_cmp(&a->e[i], &b->e[k]);
		const struct record_entry *ea = c <= 0 ? &a->e[i++] : NULL, *eb = c >= 0 ? &b->e[k++] : NULL;
		bool counts = (ea != NULL && ea->counts) || (eb != NULL && eb->counts);

		if (counts && (ea == NULL || eb == NULL || !same_meaning(arena, a, ea, b, eb)))
			add_name(&names, ea != NULL ? ea : eb);
	}
	if (names_r != NULL)
		*names_r = names.list;
	return names.n;
}

bool record_equal(struct arena *arena, const struct record *a, const struct record *b)
{
	return record_differences(arena, a, b, NULL) == 0;
}
