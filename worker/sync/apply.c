/* apply.c - makes the plan true: window by window, intent before write, record after it.
 *
 * One round = one window per direction. Its bodies were asked for while the round before was being
 * written. Order within a round: collect bodies -> commit {records of the last round, intents of
 * this one} -> ask for the writes of both sides -> ask for the next bodies -> collect the writes.
 * Flag changes, moves and deletions travel with the first windows, so that each side gets one batch.
 * Everything that a crash can interrupt is found again: creates by their intents, the rest because
 * the cursors still point before it.
 */
#include "records.h"

#include "../../common/clock.h"
#include "../../common/mem.h"

#include <stdlib.h>

#define WINDOW_ITEMS 1000
#define WINDOW_BYTES ((uint64_t)8 * 1024 * 1024)
#define FIRST_WINDOW 200

/* --- the order of creates: inbox first, then folder by folder, newest first --- */

static const struct plan *sort_plan;    /* qsort has no context */

static int folder_rank(int folder)
{
	return sort_plan->folders[folder].base->role == EP_ROLE_INBOX ? -1 : folder;
}

static int cmp_creates(const void *va, const void *vb)
{
	const struct plan_op *a = *(struct plan_op *const *)va, *b = *(struct plan_op *const *)vb;
	int fa = folder_rank(a->folder), fb = folder_rank(b->folder);

	if (fa != fb)
		return fa < fb ? -1 : 1;
	return a < b ? -1 : a > b;         /* as planned */
}

static void sort_ops(struct apply *a)
{
	struct plan *plan = &a->p->plan;

	for (size_t i = 0; i < plan->n_ops; i++) {
		struct plan_op *op = &plan->ops[i];
		struct stream *st = &a->stream[op->side];

		if (op->held)
			continue;
		if (op->kind == PO_CREATE)
			st->creates[st->n_creates++] = op;
		else if (op->kind == PO_FLAGS) {
			st->small[st->n_small++] = op;
			op->place->writes++;
		}
	}
	/* flags before moves and deletions: they go by the id that the item still has */
	for (size_t i = 0; i < plan->n_ops; i++) {
		struct plan_op *op = &plan->ops[i];

		if (!op->held && (op->kind == PO_MOVE || op->kind == PO_DELETE))
			a->stream[op->side].small[a->stream[op->side].n_small++] = op;
	}
	sort_plan = plan;
	for (int s = 0; s < SIDES; s++)
		qsort(a->stream[s].creates, a->stream[s].n_creates, sizeof(*a->stream[s].creates), cmp_creates);
}

/* --- windows --- */

static size_t window_size(const struct stream *st)
{
	uint64_t n;

	if (st->fetched_items == 0)
		return FIRST_WINDOW;
	n = WINDOW_BYTES * st->fetched_items / (st->fetched_bytes + 1);
	return n < 16 ? 16 : n > WINDOW_ITEMS ? WINDOW_ITEMS : (size_t)n;
}

bool apply_slice_over(const struct apply *a)
{
	return a->p->env->slice_end_ms != INT64_MAX && clock_mono_ms() >= a->p->env->slice_end_ms;
}

/* Ask the source for the bodies of the next window of that direction. Within a folder a window is
 * put in ascending order, as the target is to number it. */
static void ask_bodies(struct apply *a, enum side dst)
{
	struct stream *st = &a->stream[dst];
	size_t left = st->n_creates - st->at, n = window_size(st);

	if (left == 0 || (apply_slice_over(a) && a->rounds > 0))
		return;
	if (n > left)
		n = left;
	struct window *w = mem_alloc(sizeof(*w));
	w->arena = arena_new(PASS_ARENA);
	w->n = n;
	w->ops = arena_calloc(w->arena, n, sizeof(*w->ops));
	w->fetch = arena_calloc(w->arena, n, sizeof(*w->fetch));
	w->solos = arena_calloc(w->arena, n, sizeof(*w->solos));
	w->made = arena_calloc(w->arena, n, sizeof(struct rec_made *));
	memcpy(w->ops, st->creates + st->at, n * sizeof(*w->ops));
	st->at += n;
	for (size_t i = 0; i < n;) {       /* reverse each folder's run */
		size_t j = i;

		while (j < n && w->ops[j]->folder == w->ops[i]->folder)
			j++;
		for (size_t x = i, y = j - 1; x < y; x++, y--) {
			struct plan_op *swap = w->ops[x];

			w->ops[x] = w->ops[y];
			w->ops[y] = swap;
		}
		i = j;
	}
	for (size_t i = 0; i < n; i++) {
		const struct plan_new *x = w->ops[i]->news[side_other(dst)];

		w->fetch[i].folder = a->p->plan.folders[x->folder].ep[x->side];
		w->fetch[i].id = x->id;
		w->fetch[i].received = INT64_MIN;
	}
	w->req = (struct ep_req){ .verb = EP_V_FETCH, .arena = w->arena, .items = w->fetch, .n = n };
	st->next = w;
	ep_ask(a->p->ep[side_other(dst)], &w->req);
}

static void free_window(struct window **wp)
{
	struct window *w = *wp;

	if (w == NULL)
		return;
	for (size_t i = 0; i < w->n; i++)
		body_free(&w->fetch[i].body);
	arena_free(&w->arena);
	mem_free(w);
	*wp = NULL;
}

static void release_bodies(struct window *w)
{
	for (size_t i = 0; i < w->n; i++)
		body_free(&w->fetch[i].body);
}

static enum code collect_bodies(struct apply *a, enum side dst, struct err *err)
{
	struct stream *st = &a->stream[dst];

	if (st->next == NULL)
		return E_OK;
	free_window(&st->now);
	st->now = st->next;
	st->next = NULL;
	enum code rc = ep_collect(&st->now->req, err);
	for (size_t i = 0; i < st->now->n; i++) {
		if (st->now->fetch[i].code == E_OK) {
			st->fetched_items++;
			st->fetched_bytes += body_size(st->now->fetch[i].body);
		}
	}
	return rc;
}

/* --- one side's batch of writes --- */

static void build_batch(struct apply *a, enum side dst)
{
	struct stream *st = &a->stream[dst];
	size_t small = st->n_small - st->small_at, creates = st->now != NULL ? st->now->n : 0;

	if (small > WINDOW_ITEMS)
		small = WINDOW_ITEMS;
	st->ops = arena_calloc(a->arena, small + creates + 1, sizeof(*st->ops));
	st->plan_ops = arena_calloc(a->arena, small + creates + 1, sizeof(struct plan_op *));
	st->index = arena_calloc(a->arena, small + creates + 1, sizeof(size_t));
	st->n_ops = 0;
	for (size_t i = 0; i < small; i++) {
		if (apply_small_op(a, st->small[st->small_at + i], &st->ops[st->n_ops]))
			st->plan_ops[st->n_ops++] = st->small[st->small_at + i];
	}
	st->small_at += small;
	for (size_t i = 0; i < creates; i++) {
		if (!apply_create_op(a, st->now, i, &st->ops[st->n_ops]))
			continue;
		st->index[st->n_ops] = i;
		st->plan_ops[st->n_ops++] = st->now->ops[i];
	}
}

static enum code record_batch(struct apply *a, enum side dst, struct err *err)
{
	struct stream *st = &a->stream[dst];
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < st->n_ops; i++) {
		if (st->plan_ops[i]->kind == PO_CREATE)
			rc = record_create(a, st->now, st->index[i], &st->ops[i], err);
		else
			rc = record_small(a, st->plan_ops[i], &st->ops[i], err);
	}
	st->n_ops = 0;
	if (st->now != NULL)
		release_bodies(st->now);
	return rc;
}

static enum code write_both(struct apply *a, struct err *err)
{
	struct ep_req req[SIDES];
	enum code rc = E_OK;

	for (int s = 0; s < SIDES; s++) {
		struct stream *st = &a->stream[s];

		req[s] = (struct ep_req){ .verb = EP_V_APPLY, .arena = a->arena, .items = st->ops, .n = st->n_ops };
		if (st->n_ops > 0)
			ep_ask(a->p->ep[s], &req[s]);
	}
	for (int s = 0; s < SIDES; s++)
		ask_bodies(a, (enum side)s);
	for (int s = 0; s < SIDES; s++) {
		if (a->stream[s].n_ops == 0)
			continue;
		enum code one = ep_collect(&req[s], rc == E_OK ? err : NULL);
		rc = rc == E_OK ? one : rc;
	}
	return rc;
}

void apply_progress(struct apply *a, size_t later)
{
	uint64_t todo = later;

	for (int s = 0; s < SIDES; s++) {
		const struct stream *st = &a->stream[s];

		todo += st->n_creates - st->at + (st->next != NULL ? st->next->n : 0);
		todo += st->n_small - st->small_at;
	}
	a->p->result->todo = todo;
	if (a->p->env->progress != NULL)
		a->p->env->progress(a->p->env->ctx, a->p->done, todo);
}

static enum code one_round(struct apply *a, struct err *err)
{
	enum code rc = E_OK, recorded;

	for (int s = 0; s < SIDES; s++) {
		free_window(&a->stream[s].now);
		enum code one = collect_bodies(a, (enum side)s, rc == E_OK ? err : NULL);
		rc = rc == E_OK ? one : rc;
	}
	arena_reset(a->arena);
	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		if (a->stream[s].now != NULL)
			rc = record_intents(a, a->stream[s].now, err);
	}
	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		build_batch(a, (enum side)s);
		rc = apply_park_intents(a, (enum side)s, err);
	}
	if (rc == E_OK)
		rc = base_commit(a->p->base, err);
	if (rc != E_OK)
		return rc;
	rc = write_both(a, err);
	/* what was done is recorded even if the call as a whole failed */
	for (int s = 0; s < SIDES; s++) {
		recorded = record_batch(a, (enum side)s, rc == E_OK ? err : NULL);
		rc = rc == E_OK ? recorded : rc;
	}
	if (rc == E_OK && a->failure != E_OK)
		rc = err_set(err, a->failure, "%s", a->failure_text);
	apply_progress(a, 0);
	a->rounds++;
	return rc;
}

static bool work_left(const struct apply *a)
{
	for (int s = 0; s < SIDES; s++) {
		const struct stream *st = &a->stream[s];

		if (st->next != NULL || st->small_at < st->n_small)
			return true;
	}
	return false;
}

/* Creates that were not reached keep their folder's cursor where it is. */
static bool mark_unreached(struct apply *a)
{
	bool any = false;

	for (int s = 0; s < SIDES; s++) {
		struct stream *st = &a->stream[s];

		for (size_t i = st->at; i < st->n_creates; i++) {
			const struct plan_op *op = st->creates[i];

			a->p->plan.folders[op->folder].dirty[side_other((enum side)s)] = true;
			any = true;
		}
		for (size_t i = st->small_at; i < st->n_small; i++) {
			apply_dirty(a, st->small[i]);
			any = true;
		}
	}
	return any;
}

static enum code apply_rounds(struct apply *a, struct err *err)
{
	enum code rc = E_OK;

	for (int s = 0; s < SIDES; s++)
		ask_bodies(a, (enum side)s);
	while (rc == E_OK && work_left(a))
		rc = one_round(a, err);
	if (rc == E_OK)
		return base_commit(a->p->base, err);
	/* a broken call must not lose the records of what it did achieve */
	if (rc != E_CANCELLED || !fail_dead()) {
		struct err ignored = ERR_INIT;

		(void)!base_commit(a->p->base, &ignored);
	}
	return rc;
}

enum code pass_apply(struct pass *p, struct err *err)
{
	struct apply a = { .p = p, .arena = arena_new(PASS_ARENA) };

	size_t creates[SIDES] = { 0, 0 }, small[SIDES] = { 0, 0 };

	for (size_t i = 0; i < p->plan.n_ops; i++) {
		creates[p->plan.ops[i].side] += p->plan.ops[i].kind == PO_CREATE;
		small[p->plan.ops[i].side] += p->plan.ops[i].kind != PO_CREATE;
	}
	for (int s = 0; s < SIDES; s++) {
		a.stream[s].creates = arena_calloc(p->arena, creates[s] + 1, sizeof(struct plan_op *));
		a.stream[s].small = arena_calloc(p->arena, small[s] + 1, sizeof(struct plan_op *));
	}
	enum code rc = record_decisions(&a, err);
	sort_ops(&a);
	apply_progress(&a, 0);
	if (rc == E_OK)
		rc = apply_rounds(&a, err);
	if (rc == E_OK)
		rc = records_merge_all(&a, err);
	if (rc == E_OK && a.failure != E_OK)
		rc = err_set(err, a.failure, "%s", a.failure_text);
	bool left = mark_unreached(&a);
	for (int s = 0; s < SIDES; s++) {
		struct stream *st = &a.stream[s];

		if (st->next != NULL) {        /* asked for, but not needed any more */
			(void)!ep_collect(&st->next->req, NULL);
			free_window(&st->next);
		}
		free_window(&st->now);
	}
	arena_free(&a.arena);
	if (rc == E_OK && left)
		return err_set(err, E_YIELDED, "the time slice is over");
	return rc;
}

enum code pass_commit_cursors(struct pass *p, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < p->plan.n_folders; i++) {
		struct plan_folder *f = &p->plan.folders[i];
		bool changed = false;

		for (int s = 0; s < SIDES; s++) {
			if (!f->read[s] || f->dirty[s] || f->ep[s] == NULL)
				continue;
			changed |= !span_eq(f->base->side[s].mark, f->mark[s]) ||
				   !span_eq(f->base->side[s].cursor, f->cursor[s]) || f->other_ids[s];
			f->base->side[s].id = f->ep[s]->id;
			f->base->side[s].stable = f->ep[s]->id_stable;
			f->base->side[s].mark = f->mark[s];
			f->base->side[s].cursor = f->cursor[s];
		}
		if (changed && f->ep[SIDE_LEFT] != NULL && f->ep[SIDE_RIGHT] != NULL)
			rc = base_folder_save(p->base, f->base, err);
		for (int s = 0; rc == E_OK && s < SIDES; s++) {
			if (f->made[s] && f->read[s] && !f->dirty[s] && f->ep[s] != NULL)
				rc = base_made_seen(p->base, f->base->row, (enum side)s, err);
		}
	}
	return rc == E_OK ? base_commit(p->base, err) : rc;
}
