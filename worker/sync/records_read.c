/* records_read.c - reads records from both sides at once, and what is to be known of them before the plan. */
#include "records.h"

#include "../data/recordkey.h"

#define DOUBT_TRIES 3

enum code records_parse(struct arena *arena, struct body *body, struct record **record_r, struct err *err)
{
	struct span text;
	enum code rc = body_text(body, arena, &text, err);

	return rc == E_OK ? record_parse(arena, text, record_r, err) : rc;
}

static enum code take_record(struct arena *a, struct rec_read *r, struct ep_fetch *f, struct err *err)
{
	struct err why = ERR_INIT;

	r->code = f->code;
	r->text = f->text;
	r->version = f->version;
	if (f->code == E_OK && f->body == NULL)
		r->code = E_ITEM_GONE;
	if (r->code == E_OK)
		r->code = records_parse(a, f->body, &r->record, &why);
	body_free(&f->body);
	if (r->code == E_OK || why.code == E_OK)
		return E_OK;
	if (code_scope(why.code) != SCOPE_ITEM)
		return err_set(err, why.code, "%s", err_text(&why));
	r->text = arena_str(a, span_of(err_text(&why)));
	r->record = NULL;
	return E_OK;
}

enum code records_read(struct pass *p, struct arena *a, struct rec_read *r[SIDES], const size_t n[SIDES],
		       struct err *err)
{
	struct ep_fetch *f[SIDES];
	void *items[SIDES];

	for (int s = 0; s < SIDES; s++) {
		items[s] = f[s] = arena_calloc(a, n[s] + 1, sizeof(*f[s]));
		for (size_t i = 0; i < n[s]; i++) {
			f[s][i].folder = r[s][i].folder;
			f[s][i].id = r[s][i].id;
		}
	}
	enum code rc = pass_both(p, EP_V_FETCH, a, items, n, err);
	for (int s = 0; s < SIDES; s++) {
		for (size_t i = 0; i < n[s]; i++) {
			enum code one = take_record(a, &r[s][i], &f[s][i], rc == E_OK ? err : NULL);

			rc = rc == E_OK ? one : rc;
		}
	}
	return rc;
}

/* --- identity --- */

/* It cannot be matched. If that may pass soon it is left alone; else its create tells why it is left out. For
 * some tries it may be any record that is missed on its side. */
static void take_unread(struct pass *p, struct plan_new *n, enum code code)
{
	n->unread = n->solo == NULL || n->solo->attempts <= DOUBT_TRIES;
	if (code_scope(code) == SCOPE_ITEM && code_retry(code) != RETRY_NOW)
		return;
	n->skip = true;
	p->plan.folders[n->folder].dirty[n->side] = true;
}

static void take_key(struct pass *p, struct arena *a, struct plan_new *n, const struct rec_read *r)
{
	if (r->code != E_OK) {
		take_unread(p, n, r->code);
		return;
	}
	plan_identify(&p->plan, n, recordkey_of(a, r->record), 0, SPAN_NONE);
	n->identity->fallback = recordkey_fallback(a, r->record);
	n->version = arena_span(p->arena, r->version);
}

enum code records_identify(struct pass *p, struct plan_new **news[SIDES], const size_t n[SIDES], struct err *err)
{
	struct arena *a = arena_new(PASS_ARENA);
	enum code rc = E_OK;

	for (size_t from = 0; rc == E_OK && (from < n[SIDE_LEFT] || from < n[SIDE_RIGHT]); from += RECORD_WINDOW) {
		struct rec_read *r[SIDES];
		size_t m[SIDES];

		for (int s = 0; s < SIDES; s++) {
			m[s] = from >= n[s] ? 0 : n[s] - from > RECORD_WINDOW ? RECORD_WINDOW : n[s] - from;
			r[s] = arena_calloc(a, m[s] + 1, sizeof(*r[s]));
			for (size_t i = 0; i < m[s]; i++) {
				r[s][i].folder = p->plan.folders[news[s][from + i]->folder].ep[s];
				r[s][i].id = news[s][from + i]->id;
			}
		}
		rc = records_read(p, a, r, m, err);
		for (int s = 0; rc == E_OK && s < SIDES; s++) {
			for (size_t i = 0; i < m[s]; i++)
				take_key(p, a, news[s][from + i], &r[s][i]);
		}
		arena_reset(a);
	}
	arena_free(&a);
	return rc;
}

/* --- gone there: does what is here keep it alive? --- */

/* Another version: was it edited, or only stored anew? */
static enum code settle_version(struct pass *p, struct arena *a, struct plan_place *pp, enum side s,
				const struct base_record *base, struct err *err)
{
	struct rec_read one = { .folder = p->plan.folders[pp->folder].ep[s], .id = pp->base.id[s] };
	struct rec_read *r[SIDES] = { &one, &one };
	const size_t n[SIDES] = { s == SIDE_LEFT, s == SIDE_RIGHT };
	enum code rc = records_read(p, a, r, n, err);

	if (rc != E_OK || one.code != E_OK)
		return rc;
	struct span now = record_canonical(a, one.record);
	/* as it was, or as we were about to write it */
	if (base->base[s].n > 0 && (span_eq(now, base->base[s]) || span_eq(now, base->sent[s]))) {
		pp->edited[s] = false;
		pp->now_version[s] = arena_span(p->arena, one.version);   /* the deletion is of this one */
	}
	return E_OK;
}

static enum code settle(struct pass *p, struct arena *a, struct plan_place *pp, enum side s, struct err *err)
{
	struct base_record base;
	enum code rc = base_record_get(p->base, pp->base.row, a, &base, err);

	if (rc != E_OK)
		return rc;
	if (base.busy != BUSY_NONE) {
		/* the free/busy copy is no source: its deletion is none, and no edit of it saves it */
		pp->edited[s] = base.busy != (s == SIDE_LEFT ? BUSY_LEFT : BUSY_RIGHT);
		return E_OK;
	}
	if (base.next_s != 0)
		pp->edited[s] = true;    /* a change of it was refused there, and is not forgotten */
	return pp->edited[s] ? settle_version(p, a, pp, s, &base, err) : E_OK;
}

enum code records_settle(struct pass *p, struct err *err)
{
	struct arena *a = arena_new(PASS_ARENA);
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < p->plan.n_places; i++) {
		struct plan_place *pp = p->plan.places[i];

		if (!plan_records(&p->plan, pp->folder) || pp->done || pp->base.row == 0)
			continue;
		for (int s = 0; rc == E_OK && s < SIDES; s++) {
			if (!pp->gone[s] && pp->gone[side_other((enum side)s)])
				rc = settle(p, a, pp, (enum side)s, err);
		}
		arena_reset(a);
	}
	arena_free(&a);
	return rc;
}
