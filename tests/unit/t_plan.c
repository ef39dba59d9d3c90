/* t_plan.c - the planner by property test: a random base, both sides perturbed, planned, applied to
 * the model, planned again. Promises 1 to 4 of plan.h must hold, in both directions.
 * MS_CASES: how many (default 100,000); MS_SEED: one seed.
 */
#include "../../worker/sync/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FOLDERS 3
#define ITEMS_MAX 40

/* Identity is a small number: two items of one number are equal copies. */
struct m_item { int folder, identity; unsigned uid; uint32_t flags; bool there; };
struct m_side { struct m_item items[ITEMS_MAX]; size_t n; unsigned next_uid; };
struct m_place { int folder, identity; unsigned uid[SIDES]; uint32_t flags; bool there; };
struct world { struct m_side side[SIDES]; struct m_place places[ITEMS_MAX]; size_t n; };

static uint32_t state;
static uint32_t case_seed;

static unsigned rnd(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % n;
}

static struct m_item *put(struct m_side *s, int folder, int identity, uint32_t flags)
{
	if (s->n == ITEMS_MAX)
		fail_msg("seed %u: the model is full", case_seed);
	struct m_item *it = &s->items[s->n++];

	*it = (struct m_item){ folder, identity, s->next_uid++, flags, true };
	return it;
}

static void make_base(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->side[0].next_uid = 1;
	w->side[1].next_uid = 101;
	for (unsigned i = rnd(8); i > 0; i--) {
		struct m_place *p = &w->places[w->n++];

		*p = (struct m_place){ .folder = (int)rnd(FOLDERS), .identity = (int)rnd(12), .flags = rnd(8), .there = true };
		for (int s = 0; s < SIDES; s++)
			p->uid[s] = put(&w->side[s], p->folder, p->identity, p->flags)->uid;
	}
}

static void perturb(struct m_side *s)
{
	for (unsigned i = rnd(5); i > 0; i--) {
		struct m_item *it = s->n > 0 ? &s->items[rnd((unsigned)s->n)] : NULL;

		switch (rnd(5)) {
		case 0: case 1:
			put(s, (int)rnd(FOLDERS), (int)(rnd(2) ? rnd(12) : 12 + rnd(6)), rnd(8));
			break;
		case 2:
			if (it != NULL)
				it->flags = rnd(8);
			break;
		case 3:
			if (it != NULL)
				it->there = false;
			break;
		default:
			if (it != NULL && it->there) {
				it->there = false;
				put(s, (it->folder + 1) % FOLDERS, it->identity, it->flags);
			}
			break;
		}
	}
}

static struct m_item *by_uid(struct m_side *s, unsigned uid)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->items[i].there && s->items[i].uid == uid)
			return &s->items[i];
	}
	return NULL;
}

static struct span id_of(struct arena *a, unsigned uid)
{
	return span_of(arena_printf(a, "%06u", uid));
}

static unsigned uid_of(struct span id)
{
	uint64_t n = 0;

	assert_true(span_u64(id, 1000000, &n));
	return (unsigned)n;
}

static struct mailkey key_of(int identity)
{
	struct mailkey k = { .has_msgid = identity % 5 != 0 };

	k.fp[0] = (uint8_t)(identity + 1);
	return k;
}

static bool placed(const struct world *w, int side, unsigned uid)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->places[i].there && w->places[i].uid[side] == uid)
			return true;
	}
	return false;
}

/* Digests that are equal where that byte is. */
static const uint8_t *digest_like(uint8_t first)
{
	static uint8_t digests[256][DIGEST_SIZE];

	digests[first][0] = first;
	return digests[first];
}

/* What two complete listings against the base say. */
static void observe(struct world *w, struct plan *plan, struct base_folder rows[FOLDERS])
{
	static const struct ep_folder here;

	plan->folders = arena_calloc(plan->arena, FOLDERS, sizeof(*plan->folders));
	plan->n_folders = FOLDERS;
	plan->exact_size = plan->keeps_bytes = true;
	for (int f = 0; f < FOLDERS; f++)
		plan->folders[f] = (struct plan_folder){ .base = &rows[f], .ep = { &here, &here }, .places = UINT64_MAX,
							 .can_flags = { EP_FLAGS_ALL, EP_FLAGS_ALL },
							 .can_keywords = { true, true } };
	for (size_t i = 0; i < w->n; i++) {
		const struct m_place *p = &w->places[i];
		struct base_place b = { .row = (int64_t)i + 1, .key = key_of(p->identity), .size = 10,
					.flags = { p->flags, NULL } };

		if (!p->there)
			continue;
		for (int s = 0; s < SIDES; s++)
			b.id[s] = id_of(plan->arena, p->uid[s]);
		struct plan_place *pp = plan_add_place(plan, &b, p->folder);
		for (int s = 0; s < SIDES; s++) {
			struct m_item *it = by_uid(&w->side[s], p->uid[s]);

			pp->gone[s] = it == NULL;
			pp->seen[s] = it != NULL;
			if (it != NULL)
				pp->now[s].flags = it->flags;
		}
	}
	for (int s = 0; s < SIDES; s++) {
		for (size_t i = 0; i < w->side[s].n; i++) {
			const struct m_item *it = &w->side[s].items[i];

			if (!it->there || placed(w, s, it->uid))
				continue;
			struct plan_new *n = plan_add_new(plan, it->folder, (enum side)s, id_of(plan->arena, it->uid));
			n->now.flags = it->flags;
			plan_identify(plan, n, key_of(it->identity), 10, SPAN_NONE);
			n->digest = digest_like((uint8_t)(it->identity + 1));
		}
	}
}

static struct m_place *place_of(struct world *w, const struct plan_place *pp)
{
	/* an anchored place has another id by now */
	if (pp->base.row > 0)
		return &w->places[pp->base.row - 1];
	for (size_t i = 0; i < w->n; i++) {
		if (w->places[i].there && w->places[i].uid[0] == uid_of(pp->base.id[0]) &&
		    w->places[i].uid[1] == uid_of(pp->base.id[1]))
			return &w->places[i];
	}
	return NULL;
}

static struct m_place *new_place(struct world *w, int folder, int identity, unsigned l, unsigned r, uint32_t flags)
{
	if (w->n == ITEMS_MAX)
		fail_msg("seed %u: the base is full", case_seed);
	w->places[w->n] = (struct m_place){ folder, identity, { l, r }, flags, true };
	return &w->places[w->n++];
}

static void apply_one(struct world *w, const struct plan_op *op)
{
	enum side s = op->side, o = side_other(s);
	struct m_place *p = op->place != NULL && !op->place->adopted ? place_of(w, op->place) : NULL;

	switch (op->kind) {
	case PO_FORGET:
		p->there = false;
		break;
	case PO_ADOPT:
		new_place(w, op->folder, by_uid(&w->side[0], uid_of(op->news[0]->id))->identity, uid_of(op->news[0]->id),
			  uid_of(op->news[1]->id), op->place->base.flags.flags);
		break;
	case PO_SETTLE:
		place_of(w, op->place)->flags = op->write->after.flags;
		break;
	case PO_FLAGS: {
		unsigned uid = op->to >= 0 ? uid_of(op->news[s]->id) : uid_of(op->place->base.id[s]);
		struct m_item *it = by_uid(&w->side[s], uid);

		assert_non_null(it);
		it->flags = (it->flags | op->write->add) & ~op->write->remove;
		place_of(w, op->place)->flags = op->write->after.flags;
		break;
	}
	case PO_MOVE: {
		struct m_item *it = by_uid(&w->side[s], p->uid[s]);

		it->there = false;
		struct m_item *moved = put(&w->side[s], op->to, it->identity, it->flags);
		p->folder = op->to;
		p->uid[s] = moved->uid;
		p->uid[o] = uid_of(op->news[o]->id);
		break;
	}
	case PO_DELETE:
		/* promise 1 */
		assert_null(by_uid(&w->side[o], p->uid[o]));
		assert_int_equal(by_uid(&w->side[s], p->uid[s])->flags, p->flags);
		by_uid(&w->side[s], p->uid[s])->there = false;
		p->there = false;
		break;
	case PO_CREATE: {
		struct m_item *src = by_uid(&w->side[o], uid_of(op->news[o]->id));

		assert_non_null(src);
		if (p != NULL)
			p->there = false;
		struct m_item *made = put(&w->side[s], src->folder, src->identity, src->flags);
		if (s == SIDE_LEFT)
			new_place(w, src->folder, src->identity, made->uid, src->uid, src->flags);
		else
			new_place(w, src->folder, src->identity, src->uid, made->uid, src->flags);
		break;
	}
	case PO_ANCHOR:
		p->uid[s] = uid_of(op->news[s]->id);
		break;
	case PO_PARK:
	case PO_MERGE:
	case PO_KINDS:
		fail_msg("seed %u: an op that this model cannot cause", case_seed);
	}
}

/* The order of apply.c: decisions, then flags, moves and deletions, then creates. */
static void apply_plan(struct world *w, const struct plan *plan)
{
	static const enum plan_op_kind order[] = { PO_FORGET, PO_ANCHOR, PO_ADOPT, PO_SETTLE, PO_FLAGS, PO_MOVE, PO_DELETE, PO_CREATE };

	for (size_t k = 0; k < ARRAY_LEN(order); k++) {
		for (size_t i = 0; i < plan->n_ops; i++) {
			if (plan->ops[i].kind == order[k])
				apply_one(w, &plan->ops[i]);
		}
	}
}

static void count(const struct m_side *s, int n[FOLDERS][32][8])
{
	memset(n, 0, FOLDERS * sizeof(n[0]));
	for (size_t i = 0; i < s->n; i++) {
		if (s->items[i].there)
			n[s->items[i].folder][s->items[i].identity][s->items[i].flags]++;
	}
}

static void must_be_equal(const struct world *w)
{
	int l[FOLDERS][32][8], r[FOLDERS][32][8];

	count(&w->side[0], l);
	count(&w->side[1], r);
	if (memcmp(l, r, sizeof(l)) != 0)
		fail_msg("seed %u: the sides are not equal after one plan", case_seed);
}

static size_t copies(const struct m_side *s, int identity)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->items[i].there && s->items[i].identity == identity;
	return n;
}

/* The digests that matching asked for. */
static void digest(const struct world *w, struct plan *plan)
{
	for (size_t i = 0; i < plan->n_undecided; i++) {
		struct plan_new *n = plan->undecided[i];

		n->digest = digest_like(0);
		for (size_t k = 0; k < w->side[n->side].n; k++) {
			const struct m_item *it = &w->side[n->side].items[k];

			if (it->there && it->uid == uid_of(n->id))
				n->digest = digest_like((uint8_t)(it->identity + 1));
		}
	}
}

static void one_plan(struct world *w, struct arena *a, size_t kinds[PO_KINDS][SIDES])
{
	struct base_folder rows[FOLDERS] = { { .row = 1 }, { .row = 2 }, { .row = 3 } };
	struct plan plan = { .arena = a };

	observe(w, &plan, rows);
	plan_match(&plan);
	while (plan.n_undecided > 0) {
		digest(w, &plan);
		plan_match(&plan);
	}
	plan_items(&plan);
	memset(kinds, 0, PO_KINDS * sizeof(kinds[0]));
	for (size_t i = 0; i < plan.n_ops; i++)
		kinds[plan.ops[i].kind][plan.ops[i].side]++;
	/* promise 4 */
	for (size_t i = 0; i < plan.n_news; i++)
		assert_true(plan.news[i]->taken);
	apply_plan(w, &plan);
}

static void mirror(const struct world *w, struct world *m)
{
	*m = *w;
	m->side[0] = w->side[1];
	m->side[1] = w->side[0];
	for (size_t i = 0; i < m->n; i++) {
		m->places[i].uid[0] = w->places[i].uid[1];
		m->places[i].uid[1] = w->places[i].uid[0];
	}
}

/* What no user removed on any side survives on both. */
static void nothing_lost(const struct world *before, const struct world *after)
{
	for (int id = 0; id < 18; id++) {
		size_t removed = 0, most = 0;

		for (int s = 0; s < SIDES; s++) {
			size_t n = copies(&before->side[s], id);

			most = n > most ? n : most;
		}
		for (size_t i = 0; i < before->n; i++) {
			const struct m_place *p = &before->places[i];
			struct world *w = (struct world *)(uintptr_t)before;

			removed += p->identity == id && (by_uid(&w->side[0], p->uid[0]) == NULL ||
							 by_uid(&w->side[1], p->uid[1]) == NULL);
		}
		for (int s = 0; s < SIDES; s++) {
			if (copies(&after->side[s], id) + removed < most)
				fail_msg("seed %u: identity %d was lost on the %s side", case_seed, id, side_name((enum side)s));
		}
	}
}

static void one_case(struct arena *a)
{
	size_t kinds[PO_KINDS][SIDES], mirrored[PO_KINDS][SIDES], again[PO_KINDS][SIDES];
	struct world w, m, before;

	make_base(&w);
	perturb(&w.side[0]);
	perturb(&w.side[1]);
	before = w;
	mirror(&w, &m);
	one_plan(&w, a, kinds);
	must_be_equal(&w);
	nothing_lost(&before, &w);
	one_plan(&m, a, mirrored);
	must_be_equal(&m);
	for (int k = 0; k < PO_KINDS; k++) {
		/* promise 2; adoptions, forgotten and settled places have no side */
		bool sided = k != PO_ADOPT && k != PO_FORGET && k != PO_SETTLE;

		if (sided && (kinds[k][0] != mirrored[k][1] || kinds[k][1] != mirrored[k][0]))
			fail_msg("seed %u: the mirrored plan differs in %s", case_seed, plan_op_name((enum plan_op_kind)k));
	}
	one_plan(&w, a, again);
	for (int k = 0; k < PO_KINDS; k++) {
		if (again[k][0] + again[k][1] != 0)
			fail_msg("seed %u: a second plan wants to %s", case_seed, plan_op_name((enum plan_op_kind)k));
	}
}

static void t_random_trees(void **unused)
{
	const char *cases = getenv("MS_CASES"), *seed = getenv("MS_SEED");
	unsigned long n = cases != NULL ? strtoul(cases, NULL, 10) : 100000;
	struct arena *a = arena_new((size_t)64 * 1024 * 1024);

	(void)unused;
	for (unsigned long i = 0; i < n; i++) {
		case_seed = seed != NULL ? (uint32_t)strtoul(seed, NULL, 10) : (uint32_t)(i * 2654435761u + 1);
		state = case_seed;
		one_case(a);
		arena_reset(a);
	}
	arena_free(&a);
	print_message("%lu cases\n", n);
}

/* --- the guard's limits, at the boundary --- */

static struct guard_result guard_case(size_t deletions, size_t other, uint64_t total, uint64_t folder, bool empty)
{
	struct conf_guard limits = { 500, 20, 5, 25, 1000, 50 };
	struct arena *a = arena_new((size_t)16 * 1024 * 1024);
	struct base_folder rows[2] = { { .row = 1 }, { .row = 2 } };
	struct plan_folder folders[2] = { { .base = &rows[0], .places = folder }, { .base = &rows[1], .places = 1000000 } };
	struct plan plan = { .arena = a, .folders = folders, .n_folders = 2 };
	struct guard_input in = { .limits = &limits, .total_places = total, .first_done = true, .empty = { empty, false } };
	struct guard_result r;

	plan.ops = arena_calloc(a, deletions + other, sizeof(*plan.ops));
	plan.n_ops = deletions + other;
	for (size_t i = 0; i < plan.n_ops; i++)
		plan.ops[i] = (struct plan_op){ .kind = PO_DELETE, .side = SIDE_RIGHT, .folder = i < deletions ? 0 : 1 };
	guard_apply(&plan, &in, &r);
	arena_free(&a);
	return r;
}

static void t_guard_boundaries(void **unused)
{
	(void)unused;
	assert_int_equal(guard_case(20, 0, 100, 100, false).held_deletions[SIDE_RIGHT], 0);
	assert_int_equal(guard_case(21, 0, 100, 1000, false).held_deletions[SIDE_RIGHT], 21);   /* > 5 % */
	assert_int_equal(guard_case(25, 0, 500, 1000, false).held_deletions[SIDE_RIGHT], 0);    /* exactly 5 % */
	assert_int_equal(guard_case(26, 0, 500, 1000, false).held_deletions[SIDE_RIGHT], 26);
	assert_int_equal(guard_case(25, 0, 100000, 100, false).held_deletions[SIDE_RIGHT], 0);  /* exactly 25 % of a folder */
	assert_int_equal(guard_case(26, 0, 100000, 100, false).held_deletions[SIDE_RIGHT], 26);
	assert_int_equal(guard_case(250, 250, 1000000, 1000000, false).held_deletions[SIDE_RIGHT], 0);
	assert_int_equal(guard_case(250, 251, 1000000, 1000000, false).held_deletions[SIDE_RIGHT], 501);
	assert_int_equal(guard_case(3, 0, 3, 3, false).held_deletions[SIDE_RIGHT], 0);
	assert_int_equal(guard_case(3, 0, 3, 3, true).held_deletions[SIDE_RIGHT], 3);
	assert_int_equal(guard_case(0, 0, 3, 3, true).held_deletions[SIDE_RIGHT], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_random_trees), cmocka_unit_test(t_guard_boundaries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
