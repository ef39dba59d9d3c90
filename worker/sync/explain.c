/* explain.c - one item as the state knows it: where it is, why it is not on the other side, and what
 * passes did with it. The item is named by Message-ID, FOLDER:UID (the folder of either side) or key:HEX.
 */
#include "ask.h"

#include "../../common/clock.h"
#include "../../common/secret.h"
#include "../data/path.h"

#include <ctype.h>

#define ITEM_JOURNAL 50

struct wanted {
	const struct base_folder *folder[SIDES];  /* FOLDER:UID: that folder is this side's FOLDER */
	struct span path;
	struct span ids[3];                       /* forms that the UID may have; unused ones are empty */
	int64_t msgid;
	bool by_key;
	struct mailkey key;
};

struct found {
	struct base_place **places;
	struct base_solo **solos;
	size_t n_places, n_solos, cap_places, cap_solos;
};

/* --- what was asked for --- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_key(struct span hex, struct mailkey *key)
{
	if (hex.n != 2 * (size_t)MAILKEY_SIZE)
		return false;
	for (size_t i = 0; i < MAILKEY_SIZE; i++) {
		int high = hex_digit(hex.p[2 * i]), low = hex_digit(hex.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key->fp[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* A number is the big-endian bytes of a server's number, as report_id() shows it. */
static void id_forms(struct arena *a, struct span text, struct wanted *w)
{
	uint64_t n;

	if (span_starts_nocase(text, "UID "))
		text = span_cut(text, 4, text.n - 4);
	w->ids[0] = text;
	if (!span_u64(text, UINT64_MAX, &n))
		return;
	uint8_t *bytes = arena_alloc(a, 8);
	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(n >> 8 * (7 - i));
	w->ids[1] = span_bytes(bytes, 8);
	if (n <= UINT32_MAX)
		w->ids[2] = span_bytes(bytes + 4, 4);
}

static size_t last_colon(struct span s)
{
	size_t at = SIZE_MAX;

	for (size_t i = 0; i < s.n; i++)
		at = s.p[i] == ':' ? i : at;
	return at;
}

static enum code parse(const struct ask *ask, const char *item, struct wanted *w, struct err *err)
{
	struct span s = span_of(item);
	size_t colon = last_colon(s);
	uint64_t n;

	if (span_starts_nocase(s, "key:") && parse_key(span_cut(s, 4, s.n), &w->key)) {
		w->by_key = true;
		return E_OK;
	}
	bool number = colon != SIZE_MAX && span_u64(span_cut(s, colon + 1, s.n), UINT64_MAX, &n);
	if (s.n > 0 && !number && (s.p[0] == '<' || span_find(s, 0, '@') != SIZE_MAX)) {
		w->msgid = mailkey_msgid_number(s);
		return E_OK;
	}
	if (colon == SIZE_MAX || colon == 0 || colon + 1 == s.n)
		return err_set(err, E_USAGE, "name the item by its Message-ID, as FOLDER:UID or as key:HEX");
	w->path = span_cut(s, 0, colon);
	id_forms(ask->p->arena, span_cut(s, colon + 1, s.n), w);
	for (size_t i = 0; i < ask->n_folders; i++) {
		for (int side = 0; side < SIDES; side++) {
			if (span_eq(ask->folders[i].side[side].path, w->path))
				w->folder[side] = &ask->folders[i];
		}
	}
	return E_OK;
}

/* --- what is known --- */

static void add_place(struct ask *ask, struct found *f, struct base_place *place)
{
	for (size_t i = 0; i < f->n_places; i++) {
		if (f->places[i]->row == place->row)
			return;
	}
	f->places = arena_grow(ask->p->arena, f->places, f->n_places, sizeof(*f->places), &f->cap_places);
	f->places[f->n_places++] = place;
}

static bool is_solo(const struct wanted *w, const struct base_solo *o)
{
	if (w->msgid != 0)
		return o->has_key && o->key.msgid == w->msgid;
	if (w->by_key)
		return o->has_key && memcmp(o->key.fp, w->key.fp, MAILKEY_SIZE) == 0;
	for (size_t i = 0; i < ARRAY_LEN(w->ids); i++) {
		if (w->folder[o->side] != NULL && w->folder[o->side]->row == o->folder && o->id.n > 0 &&
		    span_eq(o->id, w->ids[i]))
			return true;
	}
	return false;
}

static enum code by_id(struct ask *ask, const struct wanted *w, struct found *f, struct err *err)
{
	enum code rc = E_OK;

	for (int side = 0; side < SIDES; side++) {
		for (size_t i = 0; rc == E_OK && w->folder[side] != NULL && i < ARRAY_LEN(w->ids); i++) {
			struct base_place *place = NULL;

			if (w->ids[i].n > 0)
				rc = base_place_find(ask->p->base, w->folder[side]->row, (enum side)side, w->ids[i],
						     ask->p->arena, &place, err);
			if (rc == E_OK && place != NULL)
				add_place(ask, f, place);
		}
	}
	return rc;
}

static enum code find(struct ask *ask, const struct wanted *w, struct found *f, struct err *err)
{
	struct pass *p = ask->p;
	struct base_place *places;
	size_t n;
	enum code rc = base_solos(p->base, p->arena, &p->solos, &p->n_solos, err);

	for (size_t i = 0; rc == E_OK && i < p->n_solos; i++) {
		if (!is_solo(w, &p->solos[i]))
			continue;
		f->solos = arena_grow(p->arena, f->solos, f->n_solos, sizeof(*f->solos), &f->cap_solos);
		f->solos[f->n_solos++] = &p->solos[i];
	}
	if (rc != E_OK || (w->msgid == 0 && !w->by_key))
		return rc == E_OK ? by_id(ask, w, f, err) : rc;
	rc = base_places_of(p->base, w->msgid, &w->key, p->arena, &places, &n, err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		add_place(ask, f, &places[i]);
	return rc;
}

/* --- telling --- */

static const char *key_text(struct arena *a, const struct mailkey *key)
{
	char *hex = arena_alloc(a, 2 * MAILKEY_SIZE + 1);

	hex_encode(key->fp, MAILKEY_SIZE, hex);
	return arena_printf(a, "key:%s", hex);
}

static json_t *place_json(const struct ask *ask, const struct base_place *place)
{
	const struct base_folder *f = ask_folder(ask, place->folder);
	struct arena *a = ask->p->arena;
	json_t *j = json_pack("{s:s, s:s, s:I}", "state", "both-sides", "key", key_text(a, &place->key),
			      "size", (json_int_t)place->size);

	for (int s = 0; s < SIDES; s++)
		json_object_set_new(j, side_name((enum side)s), json_pack("{s:o, s:s}", "folder",
				    report_string(f != NULL ? f->side[s].path : SPAN_NONE),
				    "id", report_id(a, place->id[s])));
	json_object_set_new(j, "flags", json_string(report_flags(a, place->flags.flags)));
	json_object_set_new(j, "keywords", report_string(span_of(place->flags.keywords)));
	return j;
}

static const char *solo_sentence(struct arena *a, const struct base_solo *o)
{
	const char *here = side_name(o->side), *there = side_name(side_other(o->side));
	const char *text = o->text != NULL ? o->text : code_text(o->code);
	char when[CLOCK_TEXT_MAX] = "the next pass";

	if (o->next_s > clock_wall_s())
		clock_format_s(o->next_s, when);
	switch (o->state) {
	case SOLO_INTENT:
		return arena_printf(a, "it is on the %s side; its creation on the %s side was begun, and the next "
				    "pass looks whether it took place", here, there);
	case SOLO_QUARANTINED:
		return arena_printf(a, "it is on the %s side only: %s; tried again at %s, or with mailshadow "
				    "quarantine --retry", here, text, when);
	case SOLO_PARKED:
		return arena_printf(a, "it stays on the %s side only, by policy: %s", here, text);
	case SOLO_HELD_DELETE:
		return arena_printf(a, "it vanished on the %s side; its deletion on the %s side is held back: "
				    "mailshadow release", there, here);
	case SOLO_HELD_CREATE:
		return arena_printf(a, "it is on the %s side; its creation on the %s side is held back: "
				    "mailshadow release", here, there);
	case SOLO_LET_DELETE:
		return arena_printf(a, "it vanished on the %s side; the next pass deletes it on the %s side",
				    there, here);
	case SOLO_LET_CREATE:
		return arena_printf(a, "it is on the %s side; the next pass creates it on the %s side", here, there);
	case SOLO_STATES:
		break;
	}
	return "its state is not known";
}

static bool excluded(const struct conf_pairing *pairing, struct span path)
{
	for (size_t i = 0; i < pairing->n_excludes; i++) {
		if (path_matches(path, span_of(pairing->excludes[i])))
			return true;
	}
	return false;
}

static const char *conclusion(struct ask *ask, const struct wanted *w, const struct found *f)
{
	struct arena *a = ask->p->arena;

	if (f->n_solos > 0)
		return solo_sentence(a, f->solos[0]);
	if (f->n_places > 0)
		return f->n_places == 1 ? "it is on both sides" :
		       arena_printf(a, "it is on both sides, in %zu places", f->n_places);
	if (ask->p->base == NULL)
		return "no pass has run yet";
	if (w->path.n > 0 && excluded(ask->p->env->pairing, w->path))
		return "the folder is excluded by the configuration";
	if (w->path.n > 0 && w->folder[SIDE_LEFT] == NULL && w->folder[SIDE_RIGHT] == NULL)
		return "no folder of that path takes part: the path is wrong, the folder is new, or it is a Trash, "
		       "which each side keeps for itself";
	return "the state knows no such item: it came after the last pass, its folder takes no part, or no "
	       "side has it";
}

static enum code tell_journal(struct ask *ask, const struct found *f, struct err *err)
{
	struct base_journal *rows;
	size_t n;
	enum code rc = E_OK;

	ask->any = false;
	for (size_t i = 0; rc == E_OK && i < f->n_places; i++) {
		rc = base_journal_list(ask->p->base, f->places[i]->item, 0, ask->p->arena, &rows, &n, err);
		for (size_t j = rc == E_OK && n > ITEM_JOURNAL ? n - ITEM_JOURNAL : 0; rc == E_OK && j < n; j++)
			ask_send(ask, ask_journal(ask, &rows[j]));
	}
	return rc;
}

enum code ask_explain(struct ask *ask, struct err *err)
{
	struct pass *p = ask->p;
	struct wanted w = { .msgid = 0 };
	struct found f = { .places = NULL };
	json_t *name = report_string(span_of(p->env->item != NULL ? p->env->item : ""));
	enum code rc = parse(ask, p->env->item != NULL ? p->env->item : "", &w, err);

	if (rc == E_OK && p->base != NULL)
		rc = find(ask, &w, &f, err);
	if (rc != E_OK) {
		json_decref(name);
		return rc;
	}
	report_send(p, json_string(p->env->pairing->name), "{\"version\":1,\"pairing\":", ",\"item\":");
	report_send(p, name, "", ",\"matches\":[");
	for (size_t i = 0; i < f.n_places; i++)
		ask_send(ask, place_json(ask, f.places[i]));
	for (size_t i = 0; i < f.n_solos; i++)
		ask_send(ask, ask_solo(ask, f.solos[i]));
	p->env->part(p->env->ctx, SPAN_LIT("],\"journal\":["));
	rc = tell_journal(ask, &f, err);
	report_send(p, json_string(conclusion(ask, &w, &f)), "],\"conclusion\":", "}");
	p->result->verdict = f.n_places + f.n_solos > 0 ? 0 : 1;
	return rc;
}
