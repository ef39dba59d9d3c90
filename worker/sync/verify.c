/* verify.c - reads both sides completely, compares folder by folder, names every difference.
 *
 * Nothing is concluded from the state but which folders are paired and which items are excepted
 * (quarantined, parked). Items are matched as multisets: by the digest of all bytes where both sides
 * keep bytes, else by fingerprint; what is left is matched by fingerprint and told as a content
 * difference. Records are compared by what they say, and told by the names of the properties that differ.
 * A folder with differences is read once more before they are reported.
 */
#include "records.h"
#include "report.h"

#include "../../common/log.h"
#include "../data/busy.h"
#include "../data/recordkey.h"

#include <stdlib.h>

#define WINDOW 200

struct entry {
	struct span id;
	uint8_t digest[DIGEST_SIZE];
	struct mailkey key;
	uint32_t flags;
	const char *keywords;
	int64_t received;
	const char *uid;              /* of a record */
	uint64_t fallback;            /* of a contact: recordkey_fallback() */
	bool paired, excepted;
	const struct base_solo *solo;
};

struct reading {
	struct entry *e;
	size_t n;
	uint32_t can_flags;
	bool can_keywords, complete;
};

struct verifier {
	struct pass *p;
	struct arena *arena;          /* of the folder at hand */
	bool keeps_bytes, any_folder, differs, incomplete;
	uint64_t items, folders;
	json_t *differences, *excepted, *not_held;
};

static enum code list_side(struct verifier *v, const struct plan_folder *f, enum side s, struct reading *r,
			   struct err *err)
{
	struct ep_changes c = { .folder = f->ep[s] };
	enum code rc = ep_call(v->p->ep[s], EP_V_CHANGES, v->arena, &c, 1, err);

	*r = (struct reading){ 0 };
	if (rc != E_OK)
		return rc;
	r->complete = c.code == E_OK && c.complete && c.full;
	r->can_flags = c.flags_r != 0 ? c.flags_r : EP_FLAGS_ALL;
	r->can_keywords = c.keywords_r;
	r->e = arena_calloc(v->arena, c.n + 1, sizeof(*r->e));
	r->n = c.n;
	for (size_t i = 0; i < c.n; i++) {
		r->e[i].id = c.items[i].id;
		r->e[i].flags = c.items[i].flags;
		r->e[i].keywords = c.items[i].keywords;
		r->e[i].received = INT64_MIN;
	}
	return E_OK;
}

/* What cannot be read as a record is compared as bytes. */
static enum code take_record(struct verifier *v, struct arena *a, struct entry *e, struct body *body, struct err *err)
{
	struct err why = ERR_INIT;
	struct record *r;
	enum code rc = records_parse(a, body, &r, &why);

	if (rc != E_OK)
		return code_scope(rc) == SCOPE_ITEM ? body_digest(body, e->digest, NULL, err) :
		       err_set(err, rc, "%s", err_text(&why));
	struct span text = record_canonical(a, r);
	digest_of(text.p, text.n, e->digest);
	e->key = recordkey_of(a, r);
	e->fallback = recordkey_fallback(a, r);
	if (r->uid.n > 0)
		e->uid = arena_str(v->arena, r->uid);
	return E_OK;
}

static enum code take_bodies(struct verifier *v, struct arena *a, struct reading *r, size_t from, struct ep_fetch *f,
			     size_t n, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; i < n; i++) {
		struct entry *e = &r->e[from + i];

		if (rc == E_OK && f[i].code == E_OK && f[i].folder->kind != EP_MAIL) {
			rc = take_record(v, a, e, f[i].body, err);
		} else if (rc == E_OK && f[i].code == E_OK) {
			e->key = mailkey_of(body_header(f[i].body));
			e->received = f[i].received;
			rc = body_digest(f[i].body, e->digest, NULL, err);
		} else if (!e->excepted) {
			r->complete = false;   /* it vanished or could not be read: look again */
		}
		body_free(&f[i].body);
	}
	return rc;
}

/* Both sides at once, a window each. */
static enum code read_bodies(struct verifier *v, const struct plan_folder *pf, struct reading r[SIDES], struct err *err)
{
	struct arena *a = arena_new(PASS_ARENA);
	enum code rc = E_OK;

	for (size_t from = 0; rc == E_OK && (from < r[0].n || from < r[1].n); from += WINDOW) {
		struct ep_fetch *f[SIDES];
		void *items[SIDES];
		size_t n[SIDES];

		for (int s = 0; s < SIDES; s++) {
			n[s] = from >= r[s].n ? 0 : r[s].n - from > WINDOW ? WINDOW : r[s].n - from;
			items[s] = f[s] = arena_calloc(a, n[s] + 1, sizeof(*f[s]));
			for (size_t i = 0; i < n[s]; i++) {
				f[s][i].folder = pf->ep[s];
				f[s][i].id = r[s].e[from + i].id;
			}
		}
		rc = pass_both(v->p, EP_V_FETCH, a, items, n, err);
		for (int s = 0; s < SIDES; s++) {
			enum code one = take_bodies(v, a, &r[s], from, f[s], n[s], rc == E_OK ? err : NULL);

			rc = rc == E_OK ? one : rc;
		}
		arena_reset(a);
		if (v->p->env->progress != NULL)
			v->p->env->progress(v->p->env->ctx, v->items + from, 0);
	}
	arena_free(&a);
	return rc;
}

static void mark_excepted(struct verifier *v, const struct plan_folder *pf, struct reading *r, enum side s)
{
	for (size_t i = 0; i < v->p->n_solos; i++) {
		const struct base_solo *o = &v->p->solos[i];

		if (o->side != s || o->folder != pf->base->row || pf->base->row == 0 ||
		    (o->state != SOLO_QUARANTINED && o->state != SOLO_PARKED))
			continue;
		for (size_t j = 0; j < r->n; j++) {
			if (span_eq(r->e[j].id, o->id)) {
				r->e[j].excepted = true;
				r->e[j].solo = o;
			}
		}
	}
}

/* --- matching --- */

/* By what entries of both sides are one: the same bytes, the same identity, and contacts of which one side keeps no
 * UID by their name and address. */
enum pair_how { BY_BYTES, BY_KEY, BY_FALLBACK };
static enum pair_how sort_how;   /* qsort has no context */

static int cmp_how(const struct entry *a, const struct entry *b, enum pair_how how)
{
	if (how == BY_FALLBACK)
		return a->fallback != b->fallback ? (a->fallback < b->fallback ? -1 : 1) : 0;
	return how == BY_BYTES ? memcmp(a->digest, b->digest, DIGEST_SIZE) : memcmp(a->key.fp, b->key.fp, MAILKEY_SIZE);
}

static int cmp_entries(const void *va, const void *vb)
{
	const struct entry *a = *(struct entry *const *)va, *b = *(struct entry *const *)vb;
	int c = cmp_how(a, b, sort_how);

	if (c == 0)
		c = a->flags != b->flags ? (a->flags < b->flags ? -1 : 1) : 0;
	if (c == 0)
		c = strcmp(a->keywords != NULL ? a->keywords : "", b->keywords != NULL ? b->keywords : "");
	if (c == 0)
		c = a->received != b->received ? (a->received < b->received ? -1 : 1) : 0;
	return c != 0 ? c : span_cmp(a->id, b->id);
}

static struct entry **open_entries(struct verifier *v, struct reading *r, size_t *n_r)
{
	struct entry **list = arena_calloc(v->arena, r->n + 1, sizeof(*list));

	*n_r = 0;
	for (size_t i = 0; i < r->n; i++) {
		if (!r->e[i].paired && !r->e[i].excepted && (sort_how != BY_FALLBACK || r->e[i].fallback != 0))
			list[(*n_r)++] = &r->e[i];
	}
	qsort(list, *n_r, sizeof(*list), cmp_entries);
	return list;
}

static const char *name_of(struct verifier *v, const struct plan_folder *pf, enum side s, const struct entry *e)
{
	struct ep_meta m = { .folder = pf->ep[s], .id = e->id };
	struct err ignored = ERR_INIT;

	if (pf->base->kind != EP_MAIL)
		return e->uid != NULL ? e->uid : report_id(v->arena, e->id);
	if (ep_call(v->p->ep[s], EP_V_DESCRIBE, v->arena, &m, 1, &ignored) != E_OK)
		m.code = E_ITEM_GONE;
	return report_item(v->arena, e->id, &m, v->p->env->subjects);
}

static void tell(struct verifier *v, json_t *list, const char *item, const char *what, const char *left,
		 const char *right)
{
	(void)v;
	json_array_append_new(list, json_pack("{s:s, s:s, s:s?, s:s?}", "item", item, "what", what, "left", left,
					      "right", right));
}

static void compare_pair(struct verifier *v, const struct plan_folder *pf, const struct reading r[SIDES],
			 const struct entry *l, const struct entry *x)
{
	uint32_t both = r[SIDE_LEFT].can_flags & r[SIDE_RIGHT].can_flags;
	const char *kl = l->keywords != NULL ? l->keywords : "", *kr = x->keywords != NULL ? x->keywords : "";
	struct arena *a = v->arena;

	if ((l->flags & both) != (x->flags & both))
		tell(v, v->differences, name_of(v, pf, SIDE_LEFT, l), "flags", report_flags(a,
				l->flags), report_flags(a, x->flags));
	else if (l->flags != x->flags)
		tell(v, v->not_held, name_of(v, pf, SIDE_LEFT, l), "flags", report_flags(a, l->flags),
				report_flags(a, x->flags));
	if (!kw_eq(l->keywords, x->keywords)) {
		bool holdable = (r[SIDE_LEFT].can_keywords || kw_minus(a, x->keywords, l->keywords) == NULL) &&
				(r[SIDE_RIGHT].can_keywords || kw_minus(a, l->keywords, x->keywords) == NULL);

		tell(v, holdable ? v->differences : v->not_held, name_of(v, pf, SIDE_LEFT, l), "keywords", kl, kr);
	}
	if (l->received != x->received && l->received != INT64_MIN && x->received != INT64_MIN)
		tell(v, v->differences, name_of(v, pf, SIDE_LEFT, l), "received",
		     arena_printf(a, "%lld", (long long)l->received), arena_printf(a, "%lld", (long long)x->received));
}

/* Free/busy copies are equal to what such a copy of the other side would be. */
static bool busy_equal(struct verifier *v, const struct rec_read *l, const struct rec_read *r)
{
	const struct record *of[SIDES] = { l->record, r->record };

	for (int s = 0; s < SIDES; s++) {
		const struct record *copy = busy_copy(v->arena, of[side_other((enum side)s)]);

		if (v->p->env->pairing->busy_only[s] && copy != NULL && record_equal(v->arena, of[s], copy))
			return true;
	}
	return false;
}

/* Each side is just what was read back from it after the last write: what differs then is what one of
 * them cannot hold. */
static bool as_read_back(struct verifier *v, const struct plan_folder *pf, const struct rec_read r[SIDES])
{
	struct base_place *place = NULL;
	struct base_record base;
	struct err ignored = ERR_INIT;

	enum code rc = base_place_find(v->p->base, pf->base->row, SIDE_LEFT, r[SIDE_LEFT].id, v->arena, &place,
				       &ignored);
	if (rc != E_OK || place == NULL || !span_eq(place->id[SIDE_RIGHT], r[SIDE_RIGHT].id) ||
	    base_record_get(v->p->base, place->row, v->arena, &base, &ignored) != E_OK || base.next_s != 0)
		return false;
	for (int s = 0; s < SIDES; s++) {
		if (!span_eq(record_canonical(v->arena, r[s].record), base.base[s]) || base.version[s].n == 0)
			return false;
	}
	return true;
}

/* Both have this record, not alike to the byte: read it again and name the properties that differ. */
static void compare_records(struct verifier *v, const struct plan_folder *pf, const struct entry *l,
			    const struct entry *x)
{
	struct rec_read one[SIDES] = { { .folder = pf->ep[SIDE_LEFT], .id = l->id },
				       { .folder = pf->ep[SIDE_RIGHT], .id = x->id } };
	struct rec_read *r[SIDES] = { &one[SIDE_LEFT], &one[SIDE_RIGHT] };
	const size_t n[SIDES] = { 1, 1 };
	struct err why = ERR_INIT;
	const char *name = name_of(v, pf, SIDE_LEFT, l);
	struct span *names;

	if (records_read(v->p, v->arena, r, n, &why) != E_OK || one[0].code != E_OK || one[1].code != E_OK) {
		tell(v, v->differences, name, "content", one[0].text, one[1].text);
		return;
	}
	if (busy_equal(v, &one[SIDE_LEFT], &one[SIDE_RIGHT]))
		return;
	json_t *list = as_read_back(v, pf, one) ? v->not_held : v->differences;
	size_t count = record_differences(v->arena, one[SIDE_LEFT].record, one[SIDE_RIGHT].record, &names);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "item", name, "what", "property", "property",
						      report_string(names[i])));
}

/* Pair equal entries of both sorted lists; content: told as a difference of content. */
static void pair_up(struct verifier *v, const struct plan_folder *pf, struct reading r[SIDES], enum pair_how how,
		    bool content)
{
	size_t nl, nr, i = 0, j = 0;

	sort_how = how;
	struct entry **l = open_entries(v, &r[SIDE_LEFT], &nl);
	struct entry **x = open_entries(v, &r[SIDE_RIGHT], &nr);
	while (i < nl && j < nr) {
		int c = cmp_how(l[i], x[j], how);

		if (c != 0) {
			i += c < 0;
			j += c > 0;
			continue;
		}
		l[i]->paired = x[j]->paired = true;
		if (content && pf->base->kind != EP_MAIL)
			compare_records(v, pf, l[i], x[j]);
		else if (content)
			tell(v, v->differences, name_of(v, pf, SIDE_LEFT, l[i]), "content", NULL, NULL);
		compare_pair(v, pf, r, l[i++], x[j++]);
	}
}

static void tell_missing(struct verifier *v, const struct plan_folder *pf, struct reading r[SIDES])
{
	for (int s = 0; s < SIDES; s++) {
		for (size_t i = 0; i < r[s].n; i++) {
			const struct entry *e = &r[s].e[i];

			if (e->excepted)
				json_array_append_new(v->excepted, json_pack("{s:s, s:s, s:s, s:s?}", "item",
					name_of(v, pf, (enum side)s, e), "what", solo_state_name(e->solo->state),
					"side", side_name((enum side)s), "reason", e->solo->text));
			else if (!e->paired)
				tell(v, v->differences, name_of(v, pf, (enum side)s, e),
				     s == SIDE_LEFT ? "missing-right" : "missing-left", NULL, NULL);
		}
	}
}

static void compare(struct verifier *v, const struct plan_folder *pf, struct reading r[SIDES])
{
	bool bytes = v->keeps_bytes || pf->base->kind != EP_MAIL;

	pair_up(v, pf, r, bytes ? BY_BYTES : BY_KEY, false);
	if (bytes)
		pair_up(v, pf, r, BY_KEY, true);
	if (pf->base->kind == EP_CONTACTS)
		pair_up(v, pf, r, BY_FALLBACK, true);
	tell_missing(v, pf, r);
	if (pf->ep[SIDE_LEFT] == NULL || pf->ep[SIDE_RIGHT] == NULL)
		tell(v, v->differences, "(the folder)", pf->ep[SIDE_LEFT] == NULL ? "missing-left" : "missing-right",
		     NULL, NULL);
}

static enum code read_folder(struct verifier *v, const struct plan_folder *pf, struct reading r[SIDES], struct err *err)
{
	enum code rc = E_OK;

	arena_reset(v->arena);
	memset(r, 0, SIDES * sizeof(*r));
	for (int s = 0; s < SIDES; s++) {
		r[s].complete = true;
		if (rc == E_OK && pf->ep[s] != NULL)
			rc = list_side(v, pf, (enum side)s, &r[s], err);
		if (rc == E_OK)
			mark_excepted(v, pf, &r[s], (enum side)s);
	}
	return rc == E_OK ? read_bodies(v, pf, r, err) : rc;
}

static void new_lists(struct verifier *v)
{
	json_decref(v->differences);
	json_decref(v->excepted);
	json_decref(v->not_held);
	v->differences = json_array();
	v->excepted = json_array();
	v->not_held = json_array();
}

static enum code verify_folder(struct verifier *v, const struct plan_folder *pf, struct err *err)
{
	struct reading r[SIDES];
	enum code rc = E_OK;
	bool again = true;

	for (int attempt = 0; rc == E_OK && again && attempt < 2; attempt++) {
		new_lists(v);
		rc = read_folder(v, pf, r, err);
		if (rc == E_OK)
			compare(v, pf, r);
		again = json_array_size(v->differences) > 0 || !r[0].complete || !r[1].complete;
	}
	if (rc != E_OK)
		return rc;
	v->differs |= json_array_size(v->differences) > 0;
	v->incomplete |= !r[SIDE_LEFT].complete || !r[SIDE_RIGHT].complete;
	v->items += r[SIDE_LEFT].n > r[SIDE_RIGHT].n ? r[SIDE_LEFT].n : r[SIDE_RIGHT].n;
	v->folders++;
	json_t *j = json_pack("{s:o, s:o, s:s, s:I, s:O, s:O, s:O}",
			      "left", report_string(pf->ep[SIDE_LEFT] != NULL ? pf->ep[SIDE_LEFT]->path : SPAN_NONE),
			      "right", report_string(pf->ep[SIDE_RIGHT] != NULL ? pf->ep[SIDE_RIGHT]->path : SPAN_NONE),
			      "kind", ep_kind_name(pf->base->kind), "items",
			      (json_int_t)(r[SIDE_LEFT].n > r[SIDE_RIGHT].n ? r[SIDE_LEFT].n : r[SIDE_RIGHT].n),
			      "differences", v->differences, "excepted", v->excepted, "notHeld", v->not_held);
	report_send(v->p, j, v->any_folder ? "," : "", "");
	v->any_folder = true;
	return E_OK;
}

enum code pass_verify(struct pass *p, struct err *err)
{
	struct verifier v = { .p = p };
	enum code rc = pass_folders(p, err);

	if (rc == E_OK)
		rc = base_solos(p->base, p->arena, &p->solos, &p->n_solos, err);
	if (rc != E_OK)
		return rc;
	v.arena = arena_new(PASS_ARENA);
	v.keeps_bytes = p->ep[SIDE_LEFT]->caps.keeps_bytes && p->ep[SIDE_RIGHT]->caps.keeps_bytes;
	report_send(p, json_string(p->env->pairing->name), "{\"version\":1,\"pairing\":", ",\"folders\":[");
	for (size_t i = 0; rc == E_OK && i < p->plan.n_folders; i++)
		rc = verify_folder(&v, &p->plan.folders[i], err);
	v.incomplete |= pass_missing(p, NULL);
	p->result->verdict = rc != E_OK || v.incomplete ? 2 : v.differs ? 1 : 0;
	p->result->done = v.items;
	static const char *const verdicts[] = { "equal", "differs", "incomplete" };
	report_send(p, json_string(verdicts[p->result->verdict]), "],\"verdict\":", "}");
	json_decref(v.differences);
	json_decref(v.excepted);
	json_decref(v.not_held);
	arena_free(&v.arena);
	return rc;
}
