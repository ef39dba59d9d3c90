/* identify.c - asks for the identity of new items, but only where it matters: where the other side
 * has new items too, where items of this side vanished (moves), where ids became void, or where many
 * items come at once after the first pass.
 */
#include "pass_private.h"

#include "../data/body.h"
#include "idmap.h"
#include "records.h"

#define DESCRIBE_CHUNK 2000
#define DIGEST_CHUNK 64

struct need {
	size_t news[SIDES];          /* with an id, passive ones included */
	size_t fresh[SIDES];         /* of those: without a key yet */
	bool gone, lost[SIDES], parked[SIDES];
};

static struct need *survey(struct pass *p, bool gone_r[SIDES])
{
	struct plan *plan = &p->plan;
	struct need *need = arena_calloc(p->arena, plan->n_folders + 1, sizeof(*need));

	gone_r[SIDE_LEFT] = gone_r[SIDE_RIGHT] = false;
	for (size_t i = 0; i < plan->n_news; i++) {
		const struct plan_new *n = plan->news[i];

		if (n->id.n == 0)
			need[n->folder].parked[n->side] = true;
		else
			need[n->folder].news[n->side]++;
		need[n->folder].fresh[n->side] += n->identity == NULL;
	}
	for (size_t i = 0; i < plan->n_places; i++) {
		const struct plan_place *pp = plan->places[i];

		for (int s = 0; s < SIDES; s++) {
			if (pp->gone[s] && pp->lost[s])
				need[pp->folder].lost[s] = true;
			else if (pp->gone[s] && !pp->gone[side_other((enum side)s)])
				gone_r[s] = true;
		}
	}
	return need;
}

static bool wanted(const struct pass *p, const struct need *need, const bool gone[SIDES], const struct plan_new *n)
{
	const struct need *f = &need[n->folder];

	if (n->identity != NULL || n->skip || n->id.n == 0)
		return false;
	return f->news[side_other(n->side)] > 0 || gone[n->side] || f->lost[n->side] || f->parked[n->side] ||
	       p->env->mode == PASS_PLAN ||
	       (p->first_done && f->fresh[n->side] > p->env->pairing->guard.min_deletions);
}

static void take_meta(struct plan_new *n, const struct ep_meta *m, struct pass *p)
{
	if (m->code != E_OK) {
		n->skip = true;
		p->plan.folders[n->folder].dirty[n->side] = true;
		return;
	}
	plan_identify(&p->plan, n, mailkey_of(m->header), m->size, arena_span(p->arena, m->key));
}

struct batch {
	struct plan_new **news;
	size_t n, cap;
};

/* The headers of many messages are large: chunk by chunk, in an arena of their own. */
static enum code describe(struct pass *p, struct batch all[SIDES], struct err *err)
{
	struct arena *a = arena_new(PASS_ARENA);
	enum code rc = E_OK;

	for (size_t from = 0; rc == E_OK && (from < all[0].n || from < all[1].n); from += DESCRIBE_CHUNK) {
		struct ep_meta *m[SIDES];
		void *items[SIDES];
		size_t n[SIDES];

		for (int s = 0; s < SIDES; s++) {
			n[s] = from >= all[s].n ? 0 : all[s].n - from;
			n[s] = n[s] > DESCRIBE_CHUNK ? DESCRIBE_CHUNK : n[s];
			items[s] = m[s] = arena_calloc(a, n[s] + 1, sizeof(*m[s]));
			for (size_t i = 0; i < n[s]; i++) {
				const struct plan_new *x = all[s].news[from + i];

				m[s][i].folder = p->plan.folders[x->folder].ep[s];
				m[s][i].id = x->id;
			}
		}
		rc = pass_both(p, EP_V_DESCRIBE, a, items, n, err);
		for (int s = 0; rc == E_OK && s < SIDES; s++) {
			for (size_t i = 0; i < n[s]; i++)
				take_meta(all[s].news[from + i], &m[s][i], p);
		}
		arena_reset(a);
	}
	arena_free(&a);
	return rc;
}

static void take_digest(struct plan_new *n, struct ep_fetch *f, struct pass *p)
{
	uint8_t *digest = arena_raw(p->arena, DIGEST_SIZE);
	struct err ignored = ERR_INIT;

	if (f->code == E_OK && f->body != NULL && body_digest(f->body, NULL, digest, &ignored) == E_OK) {
		n->digest = digest;
	} else {
		n->skip = true;
		p->plan.folders[n->folder].dirty[n->side] = true;
	}
	body_free(&f->body);
}

static enum code digest(struct pass *p, struct batch all[SIDES], struct err *err)
{
	struct arena *a = arena_new(PASS_ARENA);
	enum code rc = E_OK;

	for (size_t from = 0; rc == E_OK && (from < all[0].n || from < all[1].n); from += DIGEST_CHUNK) {
		struct ep_fetch *f[SIDES];
		void *items[SIDES];
		size_t n[SIDES];

		for (int s = 0; s < SIDES; s++) {
			n[s] = from >= all[s].n ? 0 : all[s].n - from;
			n[s] = n[s] > DIGEST_CHUNK ? DIGEST_CHUNK : n[s];
			items[s] = f[s] = arena_calloc(a, n[s] + 1, sizeof(*f[s]));
			for (size_t i = 0; i < n[s]; i++) {
				const struct plan_new *x = all[s].news[from + i];

				f[s][i].folder = p->plan.folders[x->folder].ep[s];
				f[s][i].id = x->id;
			}
		}
		rc = pass_both(p, EP_V_FETCH, a, items, n, err);
		for (int s = 0; s < SIDES; s++) {
			for (size_t i = 0; i < n[s]; i++)
				take_digest(all[s].news[from + i], &f[s][i], p);
		}
		arena_reset(a);
	}
	arena_free(&a);
	return rc;
}

static enum code describe_wanted(struct pass *p, struct err *err)
{
	struct batch all[SIDES] = { { 0 } }, records[SIDES] = { { 0 } };
	bool gone[SIDES];
	const struct need *need = survey(p, gone);

	for (size_t i = 0; i < p->plan.n_news; i++) {
		struct plan_new *n = p->plan.news[i];
		struct batch *b = plan_records(&p->plan, n->folder) ? &records[n->side] : &all[n->side];

		if (!wanted(p, need, gone, n))
			continue;
		b->news = arena_grow(p->arena, b->news, b->n, sizeof(*b->news), &b->cap);
		b->news[b->n++] = n;
	}
	enum code rc = describe(p, all, err);
	if (rc != E_OK)
		return rc;
	struct plan_new **news[SIDES] = { records[SIDE_LEFT].news, records[SIDE_RIGHT].news };
	const size_t n[SIDES] = { records[SIDE_LEFT].n, records[SIDE_RIGHT].n };
	return records_identify(p, news, n, err);
}

static enum code digest_undecided(struct pass *p, struct err *err)
{
	struct batch all[SIDES] = { { 0 } };

	for (int s = 0; s < SIDES; s++)
		all[s].news = arena_calloc(p->arena, p->plan.n_undecided + 1, sizeof(*all[s].news));
	for (size_t i = 0; i < p->plan.n_undecided; i++) {
		struct plan_new *n = p->plan.undecided[i];

		all[n->side].news[all[n->side].n++] = n;
	}
	return digest(p, all, err);
}

/* For the guard against known items that come back under new ids: fingerprints of places that are
 * still there, in folders where many items are new. */
static enum code find_known(struct pass *p, struct err *err)
{
	enum code rc = E_OK;

	for (size_t f = 0; rc == E_OK && p->first_done && f < p->plan.n_folders; f++) {
		struct base_place *places;
		struct idmap map;
		size_t n, fresh = 0;

		for (size_t i = 0; i < p->plan.n_news; i++)
			fresh += p->plan.news[i]->folder == (int)f && !p->plan.news[i]->taken &&
					p->plan.news[i]->identity != NULL;
		if (fresh <= p->env->pairing->guard.min_deletions || p->plan.folders[f].base->row == 0)
			continue;
		rc = base_places(p->base, p->plan.folders[f].base->row, SIDE_LEFT, p->arena, &places, &n, err);
		idmap_init(&map, p->arena, n);
		for (size_t i = 0; rc == E_OK && i < n; i++)
			idmap_put(&map, places[i].size, span_bytes(places[i].key.fp, MAILKEY_SIZE), &places[i]);
		for (size_t i = 0; rc == E_OK && i < p->plan.n_news; i++) {
			struct plan_new *x = p->plan.news[i];

			if (x->folder != (int)f || x->taken || x->identity == NULL)
				continue;
			struct span fp = span_bytes(x->identity->key.fp, MAILKEY_SIZE);
			x->known_again = idmap_get(&map, x->identity->size, fp) != NULL;
		}
	}
	return rc;
}

enum code pass_identify(struct pass *p, struct err *err)
{
	struct plan *plan = &p->plan;
	enum code rc = describe_wanted(p, err);

	plan->exact_size = p->ep[SIDE_LEFT]->caps.exact_size && p->ep[SIDE_RIGHT]->caps.exact_size;
	plan->keeps_bytes = p->ep[SIDE_LEFT]->caps.keeps_bytes && p->ep[SIDE_RIGHT]->caps.keeps_bytes;
	if (rc != E_OK)
		return rc;
	plan_match(plan);
	while (plan->n_undecided > 0) {
		rc = digest_undecided(p, err);
		if (rc != E_OK)
			return rc;
		plan_match(plan);
	}
	rc = records_settle(p, err);
	return rc == E_OK ? find_known(p, err) : rc;
}
