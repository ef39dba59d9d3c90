/* plan_match.c - recognising items: re-anchored after void ids, back under a new id, moved, adopted, parked.
 *
 * Identity is the fingerprint (mailkey.h) with the exact size as tie-breaker; where that is not
 * enough (no Message-ID, several candidates) the digest of the body decides. Equal copies are paired
 * one to one in id order. Pure.
 */
#include "plan.h"

#include <stdlib.h>

struct plan_place *plan_add_place(struct plan *plan, const struct base_place *base, int folder)
{
	struct plan_place *p = arena_alloc(plan->arena, sizeof(*p));

	p->base = *base;
	p->folder = folder;
	p->now[SIDE_LEFT] = p->now[SIDE_RIGHT] = base->flags;
	plan->places = arena_grow(plan->arena, plan->places, plan->n_places, sizeof(*plan->places),
				  &plan->cap_places);
	plan->places[plan->n_places++] = p;
	return p;
}

struct plan_new *plan_add_new(struct plan *plan, int folder, enum side side, struct span id)
{
	struct plan_new *n = arena_alloc(plan->arena, sizeof(*n));

	n->folder = folder;
	n->side = side;
	n->id = id;
	plan->news = arena_grow(plan->arena, plan->news, plan->n_news, sizeof(*plan->news),
				&plan->cap_news);
	plan->news[plan->n_news++] = n;
	return n;
}

void plan_identify(struct plan *plan, struct plan_new *n, struct mailkey key, uint64_t size, struct span stable_key)
{
	if (n->identity == NULL)
		n->identity = arena_alloc(plan->arena, sizeof(*n->identity));
	*n->identity = (struct plan_identity){ .key = key, .size = size, .stable_key = stable_key };
}

static struct plan_op *add_op(struct plan *plan, enum plan_op_kind kind, enum side side, int folder)
{
	plan->ops = arena_grow(plan->arena, plan->ops, plan->n_ops, sizeof(*plan->ops), &plan->cap_ops);
	struct plan_op *op = &plan->ops[plan->n_ops++];

	*op = (struct plan_op){ .kind = kind, .side = side, .folder = folder, .to = -1 };
	return op;
}

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int cmp_fp(const struct plan_new *a, const struct plan_new *b)
{
	return memcmp(a->identity->key.fp, b->identity->key.fp, MAILKEY_SIZE);
}

/* News: by folder, fingerprint, side, size, id. */
static int cmp_news(const void *va, const void *vb)
{
	const struct plan_new *a = *(struct plan_new *const *)va, *b = *(struct plan_new *const *)vb;
	int c = a->folder != b->folder ? (a->folder < b->folder ? -1 : 1) : 0;

	if (c == 0)
		c = cmp_fp(a, b);
	if (c == 0)
		c = (int)a->side - (int)b->side;
	if (c == 0)
		c = cmp_u64(a->identity->size, b->identity->size);
	return c != 0 ? c : span_cmp(a->id, b->id);
}

static int cmp_news_by_key(const void *va, const void *vb)
{
	const struct plan_new *a = *(struct plan_new *const *)va, *b = *(struct plan_new *const *)vb;
	int c = (int)a->side - (int)b->side;

	if (c == 0)
		c = cmp_fp(a, b);
	return c != 0 ? c : cmp_news(va, vb);
}

static int cmp_place_news(const struct plan_place *p, const struct plan_new *n, bool size)
{
	int c = memcmp(p->base.key.fp, n->identity->key.fp, MAILKEY_SIZE);

	if (c == 0 && size)
		c = cmp_u64(p->base.size, n->identity->size);
	return c;
}

static enum side sort_side;     /* qsort has no context; pure code, one thread */

static int cmp_places(const void *va, const void *vb)
{
	const struct plan_place *a = *(struct plan_place *const *)va, *b = *(struct plan_place *const *)vb;
	int c = a->folder != b->folder ? (a->folder < b->folder ? -1 : 1) : 0;

	if (c == 0)
		c = memcmp(a->base.key.fp, b->base.key.fp, MAILKEY_SIZE);
	if (c == 0)
		c = cmp_u64(a->base.size, b->base.size);
	return c != 0 ? c : span_cmp(a->base.id[sort_side], b->base.id[sort_side]);
}

static int cmp_places_by_key(const void *va, const void *vb)
{
	const struct plan_place *a = *(struct plan_place *const *)va, *b = *(struct plan_place *const *)vb;
	int c = memcmp(a->base.key.fp, b->base.key.fp, MAILKEY_SIZE);

	return c != 0 ? c : cmp_places(va, vb);
}

/* The news that still may be matched, in a fresh array. */
static struct plan_new **open_news(struct plan *plan, int side, size_t *n_r)
{
	struct plan_new **list = NULL;
	size_t cap = 0;

	*n_r = 0;
	for (size_t i = 0; i < plan->n_news; i++) {
		struct plan_new *n = plan->news[i];

		if (n->taken || n->skip || n->identity == NULL || n->id.n == 0 || (side >= 0 && (int)n->side != side))
			continue;
		list = arena_grow(plan->arena, list, *n_r, sizeof(*list), &cap);
		list[(*n_r)++] = n;
	}
	return list;
}

static struct plan_place **places_where(struct plan *plan, enum side side, bool lost, size_t *n_r)
{
	struct plan_place **list = arena_calloc(plan->arena, plan->n_places + 1, sizeof(*list));

	*n_r = 0;
	for (size_t i = 0; i < plan->n_places; i++) {
		struct plan_place *p = plan->places[i];

		if (!p->done && p->solo == NULL && p->gone[side] && p->lost[side] == lost)
			list[(*n_r)++] = p;
	}
	return list;
}

/* --- ids that became void: find each place's item again in the same folder --- */

static void anchor(struct plan *plan, enum side side, struct plan_place *p, struct plan_new *n, const char *why)
{
	struct plan_op *op = add_op(plan, PO_ANCHOR, side, p->folder);

	op->place = p;
	op->news[side] = n;
	op->why = why;
	n->taken = true;
	p->gone[side] = p->lost[side] = false;
	p->seen[side] = true;
	p->now[side] = n->now;
	p->base.id[side] = n->id;
	p->now_version[side] = n->version;
	p->edited[side] = plan_records(plan, p->folder);
}

/* `lost` places of that side against its news, folder by folder: pairs of equal identity and size that
 * `accept` (NULL: all) takes. */
static void anchor_alike(struct plan *plan, enum side side, bool lost,
			 bool (*accept)(struct plan *plan, struct plan_place *p, struct plan_new *n, enum side side),
			 const char *why)
{
	size_t n_places, n_news, i = 0, j = 0;
	struct plan_place **places = places_where(plan, side, lost, &n_places);

	if (n_places == 0)
		return;
	struct plan_new **news = open_news(plan, (int)side, &n_news);
	sort_side = side;
	qsort(places, n_places, sizeof(*places), cmp_places);
	if (n_news > 1)
		qsort(news, n_news, sizeof(*news), cmp_news);
	while (i < n_places && j < n_news) {
		struct plan_place *p = places[i];
		struct plan_new *n = news[j];
		int c = p->folder != n->folder ? (p->folder < n->folder ? -1 : 1)
					       : cmp_place_news(p, n, plan->exact_size);

		if (c == 0 && (accept == NULL || accept(plan, p, n, side)))
			anchor(plan, side, p, n, why);
		i += c <= 0;
		j += c >= 0;
	}
}

/* Too few found again: what is still lost in that folder must not become deletions by itself. */
static void judge_anchors(struct plan *plan, enum side side)
{
	for (size_t f = 0; f < plan->n_folders; f++) {
		uint64_t lost = 0, kept = 0;

		for (size_t i = 0; i < plan->n_places; i++) {
			struct plan_place *p = plan->places[i];

			if (p->folder != (int)f)
				continue;
			if (p->gone[side] && p->lost[side])
				lost++;
			else if (!p->gone[side])
				kept++;
		}
		if (lost > 0 && kept * 100 < (kept + lost) * 80)
			plan->folders[f].force_hold[side] = true;
	}
}

static void want_digest(struct plan *plan, struct plan_new **group, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (group[i]->digest != NULL)
			continue;
		plan->undecided = arena_grow(plan->arena, plan->undecided, plan->n_undecided,
					     sizeof(*plan->undecided), &plan->cap_undecided);
		plan->undecided[plan->n_undecided++] = group[i];
	}
}

/* --- returns: gone and new in the same folder and side: a renamed file, a message put back. Taken for a
 * deletion and a new one, a change on the other side would keep both. Edited drafts: bytes decide. --- */

static bool may_return(const struct plan_place *p, const struct plan_new *n, enum side side)
{
	return !p->gone[side_other(side)] && n->solo == NULL && p->base.size == n->identity->size &&
	       p->base.key.has_msgid;
}

/* False also where a digest is wanted first. */
static bool same_bytes(struct plan *plan, struct plan_place *p, struct plan_new *n, enum side side)
{
	enum side keeper = side_other(side);

	if (p->copy == NULL) {
		p->copy = arena_alloc(plan->arena, sizeof(*p->copy));
		p->copy->folder = p->folder;
		p->copy->side = keeper;
		p->copy->id = p->base.id[keeper];
	}
	if (p->copy->skip || n->skip)
		return false;
	if (p->copy->digest != NULL && n->digest != NULL)
		return memcmp(p->copy->digest, n->digest, DIGEST_SIZE) == 0;
	struct plan_new *both[] = { p->copy, n };

	want_digest(plan, both, 2);
	return false;
}

static bool returns(struct plan *plan, struct plan_place *p, struct plan_new *n, enum side side)
{
	if (plan_records(plan, p->folder))
		return !p->gone[side_other(side)] && n->solo == NULL && p->base.key.has_msgid;
	if (!plan->exact_size || !plan->keeps_bytes)
		return false;
	return may_return(p, n, side) && same_bytes(plan, p, n, side);
}

/* --- moves: gone in one folder, new in another, on the same side --- */

static size_t run_of_places(struct plan_place **p, size_t i, size_t n)
{
	size_t j = i + 1;

	while (j < n && memcmp(p[j]->base.key.fp, p[i]->base.key.fp, MAILKEY_SIZE) == 0)
		j++;
	return j - i;
}

static size_t run_of_news(struct plan_new **p, size_t i, size_t n)
{
	size_t j = i + 1;

	while (j < n && p[j]->side == p[i]->side && cmp_fp(p[j], p[i]) == 0)
		j++;
	return j - i;
}

static bool is_move(const struct plan *plan, const struct plan_place *p, const struct plan_new *n, enum side side)
{
	if (p->gone[side_other(side)] || p->folder == n->folder || n->solo != NULL)
		return false;
	if (p->base.stable_key[side].n > 0 && n->identity->stable_key.n > 0)
		return span_eq(p->base.stable_key[side], n->identity->stable_key);
	return p->base.key.has_msgid && (!plan->exact_size || p->base.size == n->identity->size);
}

static void move_side(struct plan *plan, enum side side)
{
	size_t n_places, n_news, i = 0, j = 0;
	struct plan_place **places = places_where(plan, side, false, &n_places);

	if (n_places == 0)
		return;
	struct plan_new **news = open_news(plan, (int)side, &n_news);
	sort_side = side;
	qsort(places, n_places, sizeof(*places), cmp_places_by_key);
	if (n_news > 1)
		qsort(news, n_news, sizeof(*news), cmp_news_by_key);
	while (i < n_places && j < n_news) {
		int c = cmp_place_news(places[i], news[j], false);
		size_t np = run_of_places(places, i, n_places), nn = run_of_news(news, j, n_news);

		if (c == 0 && np == 1 && nn == 1 && is_move(plan, places[i], news[j], side)) {
			struct plan_op *op = add_op(plan, PO_MOVE, side_other(side), places[i]->folder);

			op->place = places[i];
			op->news[side] = news[j];
			op->to = news[j]->folder;
			op->why = "moved on the other side";
			news[j]->taken = true;
			places[i]->done = true;
			places[i]->seen[side] = true;
			places[i]->now[side] = news[j]->now;
			places[i]->now_version[side] = news[j]->version;
			places[i]->edited[side] = plan_records(plan, places[i]->folder);
		}
		if (c <= 0)
			i += np;
		if (c >= 0)
			j += nn;
	}
}

/* --- adoption: new on both sides of one folder pair --- */

/* The place of a record that moved on both sides alike (or by us, before an interruption): what was known
 * of it goes on. */
static void inherit(struct plan *plan, struct plan_place *p)
{
	for (size_t i = 0; i < plan->n_places; i++) {
		struct plan_place *old = plan->places[i];

		if (old->done || old->adopted || old->solo != NULL || !old->gone[SIDE_LEFT] || !old->gone[SIDE_RIGHT] ||
		    memcmp(old->base.key.fp, p->base.key.fp, MAILKEY_SIZE) != 0)
			continue;
		p->base.row = old->base.row;
		p->base.item = old->base.item;
		old->done = true;
		return;
	}
}

static void adopt(struct plan *plan, struct plan_new *l, struct plan_new *r)
{
	struct base_place base = { .id = { l->id, r->id }, .key = l->identity->key, .size = l->identity->size,
				   .stable_key = { l->identity->stable_key, r->identity->stable_key } };
	struct plan_op *op = add_op(plan, PO_ADOPT, SIDE_LEFT, l->folder);

	/* Agreed is only what both hold: what one side has more is then an addition, never a removal. */
	base.flags.flags = l->now.flags & r->now.flags;
	base.flags.keywords = kw_minus(plan->arena, l->now.keywords,
				       kw_minus(plan->arena, l->now.keywords, r->now.keywords));
	struct plan_place *p = plan_add_place(plan, &base, l->folder);
	p->adopted = true;
	p->seen[SIDE_LEFT] = p->seen[SIDE_RIGHT] = true;
	p->now[SIDE_LEFT] = l->now;
	p->now[SIDE_RIGHT] = r->now;
	p->now_version[SIDE_LEFT] = l->version;
	p->now_version[SIDE_RIGHT] = r->version;
	p->edited[SIDE_LEFT] = p->edited[SIDE_RIGHT] = plan_records(plan, l->folder);
	l->taken = r->taken = true;
	op = &plan->ops[plan->n_ops - 1];
	op->place = p;
	op->news[SIDE_LEFT] = l;
	op->news[SIDE_RIGHT] = r;
	p->from_right = r->solo != NULL && r->solo->state == SOLO_INTENT;
	p->copied = p->from_right || (l->solo != NULL && l->solo->state == SOLO_INTENT);
	if (plan_records(plan, l->folder))
		inherit(plan, p);
	op->why = "it is on both sides already";
}

static bool all_digested(struct plan_new **group, size_t n)
{
	size_t i = 0;

	while (i < n && group[i]->digest != NULL)
		i++;
	return i == n;
}

/* l[0..nl) and r[0..nr) have one folder and fingerprint. */
static void adopt_group(struct plan *plan, struct plan_new **l, size_t nl, struct plan_new **r, size_t nr)
{
	bool records = plan_records(plan, l[0]->folder);
	bool bytes = plan->keeps_bytes && !records;
	bool sizes = !plan->exact_size || l[0]->identity->size == r[0]->identity->size || records;

	if (nl == 1 && nr == 1 && l[0]->identity->key.has_msgid && sizes) {
		adopt(plan, l[0], r[0]);
		return;
	}
	if (bytes && !(all_digested(l, nl) && all_digested(r, nr))) {
		want_digest(plan, l, nl);
		want_digest(plan, r, nr);
		return;
	}
	for (size_t i = 0; i < nl; i++) {
		for (size_t j = 0; j < nr; j++) {
			if (r[j]->taken || (bytes && memcmp(l[i]->digest, r[j]->digest, DIGEST_SIZE) != 0))
				continue;
			adopt(plan, l[i], r[j]);
			break;
		}
	}
}

static void adopt_all(struct plan *plan)
{
	size_t n;
	struct plan_new **news = open_news(plan, -1, &n);

	if (n > 1)
		qsort(news, n, sizeof(*news), cmp_news);
	for (size_t i = 0; i < n;) {
		size_t left = 0, j = i;

		while (j < n && news[j]->folder == news[i]->folder &&
		       cmp_fp(news[j], news[i]) == 0) {
			if (news[j]->side == SIDE_LEFT)
				left++;
			j++;
		}
		if (left > 0 && j - i > left)
			adopt_group(plan, news + i, left, news + i + left, j - i - left);
		i = j;
	}
}

/* Contacts that no UID brings together: by name and address, where that names one on either side. */
static int cmp_fallback(const void *va, const void *vb)
{
	const struct plan_new *a = *(struct plan_new *const *)va, *b = *(struct plan_new *const *)vb;
	int c = a->folder != b->folder ? (a->folder < b->folder ? -1 : 1) : 0;

	if (c == 0)
		c = cmp_u64(a->identity->fallback, b->identity->fallback);
	return c != 0 ? c : (int)a->side - (int)b->side;
}

static void adopt_by_fallback(struct plan *plan)
{
	size_t n, kept = 0;
	struct plan_new **news = open_news(plan, -1, &n);

	for (size_t i = 0; i < n; i++) {
		if (news[i]->identity->fallback != 0)
			news[kept++] = news[i];
	}
	if (kept > 1)
		qsort(news, kept, sizeof(*news), cmp_fallback);
	for (size_t i = 0, j; i < kept; i = j) {
		j = i + 1;
		while (j < kept && news[j]->folder == news[i]->folder &&
		       news[j]->identity->fallback == news[i]->identity->fallback)
			j++;
		if (j - i == 2 && news[i]->side != news[i + 1]->side)
			adopt(plan, news[i], news[i + 1]);
	}
}

/* --- parked items whose id the server did not tell when they were parked --- */

static void park_all(struct plan *plan)
{
	for (size_t i = 0; i < plan->n_news; i++) {
		struct plan_new *parked = plan->news[i];

		if (parked->id.n > 0 || parked->taken || parked->solo == NULL || parked->identity == NULL)
			continue;
		for (size_t j = 0; j < plan->n_news; j++) {
			struct plan_new *n = plan->news[j];

			if (n->taken || n->skip || n->identity == NULL || n->solo != NULL || n->side != parked->side ||
			    n->folder != parked->folder || cmp_fp(n, parked) != 0)
				continue;
			struct plan_op *op = add_op(plan, PO_PARK, n->side, n->folder);
			op->news[n->side] = n;
			op->solo = parked->solo;
			op->why = "it was put there by policy";
			n->taken = parked->taken = true;
			break;
		}
	}
}

void plan_match(struct plan *plan)
{
	plan->n_undecided = 0;
	park_all(plan);
	for (int side = 0; side < SIDES; side++) {
		anchor_alike(plan, (enum side)side, true, NULL, "the server gave it a new id");
		judge_anchors(plan, (enum side)side);
	}
	/* the same move made on both sides is an adoption plus a forgotten place: adopt first */
	adopt_all(plan);
	if (plan->n_undecided == 0)
		adopt_by_fallback(plan);
	for (int side = 0; side < SIDES && plan->n_undecided == 0; side++)
		anchor_alike(plan, (enum side)side, false, returns, "it came back under a new id");
	if (plan->n_undecided > 0)
		return;
	for (int side = 0; side < SIDES; side++)
		move_side(plan, (enum side)side);
}
