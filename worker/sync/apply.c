/* apply.c - makes the plan true: window by window, intent before write, record after it.
 *
 * One round = one window per direction. Order within a round: collect its bodies -> ask for the next
 * ones -> commit {records so far, intents of this round} -> collect the writes of the round before ->
 * ask for those of this round -> record those of the one before. So both sides always have something
 * to do: one reads ahead while the other writes, and what is next to be written is ready before it can be.
 * Flag changes, moves and deletions travel with the first windows, so that each side gets one batch;
 * a round with such changes begins when the one before it is recorded.
 * Everything that a crash can interrupt is found again: creates by their intents, the rest because
 * the cursors still point before it.
 */
#include "records.h"

#include "../../common/clock.h"
#include "../../common/mem.h"

#include <stdlib.h>

#define WINDOW_ITEMS 1000
#define WINDOW_BYTES ((uint64_t)6 * 1024 * 1024)    /* three windows of a direction are in memory at once */
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

	if (left == 0)
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

/* The folders that one side is to be written in. */
static struct ep_target *targets(struct apply *a, enum side dst, size_t *n_r)
{
	const struct stream *st = &a->stream[dst];
	struct pass *p = a->p;
	struct ep_target *t = arena_calloc(p->arena, p->plan.n_folders + 1, sizeof(*t));

	for (size_t i = 0; i < st->n_creates; i++) {
		const struct plan_op *op = st->creates[i];
		const char *words = op->news[side_other(dst)]->now.keywords;
		struct ep_target *of = &t[op->folder];

		of->folder = p->plan.folders[op->folder].ep[dst];
		if (words != NULL && kw_minus(p->arena, words, of->keywords) != NULL)
			of->keywords = kw_union(p->arena, of->keywords, words);
	}
	for (size_t i = 0; i < st->n_small; i++) {
		const struct plan_op *op = st->small[i];

		t[op->folder].folder = p->plan.folders[op->folder].ep[dst];
		t[op->folder].removes |= op->kind == PO_DELETE;
	}
	*n_r = 0;
	for (size_t i = 0; i < p->plan.n_folders; i++) {
		if (t[i].folder != NULL)
			t[(*n_r)++] = t[i];
	}
	return t;
}

/* Both sides ask ahead for what they have to know before they write; the answers come while they read. */
static enum code prepare_writes(struct apply *a, struct err *err)
{
	void *items[SIDES];
	size_t n[SIDES];

	for (int s = 0; s < SIDES; s++)
		items[s] = targets(a, (enum side)s, &n[s]);
	return pass_both(a->p, EP_V_PREPARE, a->p->arena, items, n, err);
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

static enum code collect_bodies(struct apply *a, enum side dst, struct err *err)
{
	struct stream *st = &a->stream[dst];

	if (st->next == NULL)
		return E_OK;
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

static bool small_left(const struct apply *a)
{
	return a->stream[SIDE_LEFT].small_at < a->stream[SIDE_LEFT].n_small ||
	       a->stream[SIDE_RIGHT].small_at < a->stream[SIDE_RIGHT].n_small;
}

/* The stream's window and the next of its other changes. */
static void build_batch(struct apply *a, enum side dst, struct side_writes *b)
{
	struct stream *st = &a->stream[dst];
	size_t small = st->n_small - st->small_at, creates = st->now != NULL ? st->now->n : 0;

	if (small > WINDOW_ITEMS)
		small = WINDOW_ITEMS;
	b->window = st->now;
	st->now = NULL;
	b->ops = arena_calloc(a->arena, small + creates + 1, sizeof(*b->ops));
	b->plan_ops = arena_calloc(a->arena, small + creates + 1, sizeof(struct plan_op *));
	b->index = arena_calloc(a->arena, small + creates + 1, sizeof(size_t));
	for (size_t i = 0; i < small; i++) {
		if (apply_small_op(a, st->small[st->small_at + i], &b->ops[b->n]))
			b->plan_ops[b->n++] = st->small[st->small_at + i];
	}
	st->small_at += small;
	for (size_t i = 0; i < creates; i++) {
		if (!apply_create_op(a, b->window, i, &b->ops[b->n]))
			continue;
		b->index[b->n] = i;
		b->plan_ops[b->n++] = b->window->ops[i];
	}
}

static enum code record_batch(struct apply *a, struct side_writes *b, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < b->n; i++) {
		if (b->plan_ops[i]->kind == PO_CREATE)
			rc = record_create(a, b->window, b->index[i], &b->ops[i], err);
		else
			rc = record_small(a, b->plan_ops[i], &b->ops[i], err);
	}
	b->n = 0;
	free_window(&b->window);
	return rc;
}

/* --- the writes of a round: asked for, collected, recorded --- */

static void ask_writes(struct apply *a, struct round *r)
{
	for (int s = 0; s < SIDES; s++) {
		struct side_writes *b = &r->batch[s];

		b->req = (struct ep_req){ .verb = EP_V_APPLY, .arena = r->arena, .items = b->ops, .n = b->n };
		b->asked = b->n > 0;
		if (b->asked)
			ep_ask(a->p->ep[s], &b->req);
	}
	r->written = true;
}

static enum code collect_writes(struct round *r, struct err *err)
{
	enum code rc = E_OK;

	for (int s = 0; s < SIDES; s++) {
		if (!r->batch[s].asked)
			continue;
		r->batch[s].asked = false;
		enum code one = ep_collect(&r->batch[s].req, rc == E_OK ? err : NULL);
		rc = rc == E_OK ? one : rc;
	}
	return rc;
}

/* What was done is recorded even if the call as a whole failed (rc). */
static enum code record_writes(struct apply *a, struct round *r, enum code rc, struct err *err)
{
	for (int s = 0; s < SIDES; s++) {
		struct side_writes *b = &r->batch[s];

		if (!r->written)
			b->n = 0;        /* its intents stay: the next pass looks */
		enum code one = record_batch(a, b, rc == E_OK ? err : NULL);
		rc = rc == E_OK ? one : rc;
	}
	r->written = false;
	if (rc == E_OK && a->failure != E_OK)
		rc = err_set(err, a->failure, "%s", a->failure_text);
	return rc;
}

static enum code finish_round(struct apply *a, struct round *r, struct err *err)
{
	return record_writes(a, r, collect_writes(r, err), err);
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

static enum code next_bodies(struct apply *a, struct err *err)
{
	enum code rc = E_OK;

	for (int s = 0; s < SIDES; s++) {
		enum code one = collect_bodies(a, (enum side)s, rc == E_OK ? err : NULL);
		rc = rc == E_OK ? one : rc;
	}
	for (int s = 0; rc == E_OK && s < SIDES && !apply_slice_over(a); s++)
		ask_bodies(a, (enum side)s);
	return rc;
}

/* Nothing of a round is written until its intents are committed. */
static enum code prepare_round(struct apply *a, struct round *r, struct err *err)
{
	enum code rc = E_OK;

	arena_reset(r->arena);
	a->arena = r->arena;
	r->small = small_left(a);
	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		if (a->stream[s].now != NULL)
			rc = record_intents(a, a->stream[s].now, err);
	}
	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		build_batch(a, (enum side)s, &r->batch[s]);
		rc = apply_park_intents(a, (enum side)s, &r->batch[s], err);
	}
	return rc == E_OK ? base_commit(a->p->base, err) : rc;
}

/* The slice ended, or a stop was asked for, while the round before was being written: this one is not begun. Its
 * intents stay, its creates count as not reached. */
static void leave_round(struct apply *a, struct round *r)
{
	for (int s = 0; s < SIDES; s++) {
		struct side_writes *b = &r->batch[s];

		for (size_t i = 0; i < b->n; i++)
			b->ops[i].code = E_CANCELLED;
		if (b->window != NULL)
			a->stream[s].at -= b->window->n;
	}
	r->written = true;               /* as one of which nothing was attempted */
}

static enum code one_round(struct apply *a, struct err *err)
{
	struct round *last = &a->round[a->rounds % 2], *now = &a->round[(a->rounds + 1) % 2];
	enum code rc = next_bodies(a, err), written;

	/* flags, moves and deletions go by what the round before has left */
	if (rc == E_OK && (last->small || small_left(a)))
		rc = finish_round(a, last, err);
	if (rc == E_OK)
		rc = prepare_round(a, now, err);
	written = collect_writes(last, rc == E_OK ? err : NULL);
	if (rc == E_OK && written == E_OK && a->rounds > 0 && apply_slice_over(a))
		leave_round(a, now);
	else if (rc == E_OK && written == E_OK)
		ask_writes(a, now);
	rc = record_writes(a, last, rc == E_OK ? written : rc, err);
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

/* Creates that were not reached, read ahead or not, keep their folder's cursor where it is. */
static bool mark_unreached(struct apply *a)
{
	bool any = false;

	for (int s = 0; s < SIDES; s++) {
		struct stream *st = &a->stream[s];
		size_t at = st->at - (st->next != NULL ? st->next->n : 0);

		for (size_t i = at; i < st->n_creates; i++) {
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
	enum code rc = prepare_writes(a, err);

	for (int s = 0; rc == E_OK && s < SIDES; s++)
		ask_bodies(a, (enum side)s);
	while (rc == E_OK && work_left(a) && (a->rounds == 0 || !apply_slice_over(a)))
		rc = one_round(a, err);
	enum code last = finish_round(a, &a->round[a->rounds % 2], rc == E_OK ? err : NULL);
	rc = rc == E_OK ? last : rc;
	apply_progress(a, 0);
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
	struct apply a = { .p = p };
	size_t creates[SIDES] = { 0, 0 }, small[SIDES] = { 0, 0 };

	for (size_t i = 0; i < ARRAY_LEN(a.round); i++)
		a.round[i].arena = arena_new(PASS_ARENA);
	a.arena = a.round[0].arena;
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
	for (size_t i = 0; i < ARRAY_LEN(a.round); i++) {
		for (int s = 0; s < SIDES; s++)
			free_window(&a.round[i].batch[s].window);
		arena_free(&a.round[i].arena);
	}
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
			if (f->read[s] && !f->dirty[s] && f->ep[s] != NULL)
				rc = base_made_seen(p->base, f->base->row, (enum side)s, err);
		}
	}
	return rc == E_OK ? base_commit(p->base, err) : rc;
}
