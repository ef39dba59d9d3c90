/* records.c - places whose content changed: read both sides, merge by property, write, read back, record.
 *
 * Before a write, what is going to be written is committed (base_record.sent). Found again after an
 * interruption it tells our own write, as the server rewrote it, from a change that somebody made.
 */
#include "records.h"

#include "../../common/clock.h"
#include "../../common/log.h"
#include "../data/busy.h"

#define RETRY_MAX_S ((int64_t)24 * 3600)

/* One place on its way through a window. */
struct job {
	const struct plan_op *op;
	struct base_place place;
	int back;                    /* >= 0: that side was just written, only read it back */
	struct base_record base;
	struct rec_read now[SIDES];
	struct record *after[SIDES]; /* what is to be written; NULL: nothing */
	struct record_merge merge;
	bool made[SIDES];            /* that side was written already, before an interruption */
	bool failed;
};

struct job_list {
	struct job *jobs;
	size_t n, cap;
};

void records_later(struct apply *a, const struct plan_op *op, const struct base_place *place, int only_back)
{
	if (a->later == NULL)
		a->later = arena_alloc(a->p->arena, sizeof(*a->later));
	struct job_list *l = a->later;

	l->jobs = arena_grow(a->p->arena, l->jobs, l->n, sizeof(*l->jobs), &l->cap);
	struct job *job = &l->jobs[l->n++];

	*job = (struct job){ .op = op, .place = *place, .back = only_back };
	for (int s = 0; s < SIDES; s++)      /* the writes of a round die with it */
		job->place.id[s] = arena_span(a->p->arena, place->id[s]);
}

static int folder_of(const struct job *job)
{
	return job->op->kind == PO_MOVE ? job->op->to : job->op->folder;
}

static const struct ep_folder *ep_folder_of(const struct apply *a, const struct job *job, int side)
{
	return a->p->plan.folders[folder_of(job)].ep[side];
}

static void leave(struct apply *a, struct job *job)
{
	struct plan_folder *f = &a->p->plan.folders[folder_of(job)];

	f->dirty[SIDE_LEFT] = f->dirty[SIDE_RIGHT] = true;
	job->failed = true;
}

static void forget_sent(struct base_record *b)
{
	for (int s = 0; s < SIDES; s++)
		b->sent[s] = b->seen[s] = SPAN_NONE;
}

/* A write or a content that cannot be carried: it is tried again later, the rest goes on. */
static enum code refuse(struct apply *a, struct job *job, enum code code, const char *text, struct err *err)
{
	int64_t wait_s = a->p->env->conf->item_retry_ms / 1000;

	for (int64_t i = 0; i < job->base.attempts && wait_s < RETRY_MAX_S; i++)
		wait_s *= 2;
	job->failed = true;
	job->base.attempts++;
	job->base.next_s = clock_wall_s() + (wait_s < RETRY_MAX_S ? wait_s : RETRY_MAX_S);
	job->base.code = code;
	job->base.text = text != NULL ? text : code_text(code);
	forget_sent(&job->base);
	log_warning("one change is left out: %s", job->base.text);
	return base_record_put(a->p->base, job->place.row, &job->base, err);
}

/* --- reading --- */

static enum code read_jobs(struct apply *a, struct job *jobs, size_t n, struct err *err)
{
	struct rec_read *r[SIDES];
	size_t m[SIDES] = { 0, 0 };
	enum code rc = E_OK;

	for (int s = 0; s < SIDES; s++) {
		r[s] = arena_calloc(a->arena, n + 1, sizeof(*r[s]));
		for (size_t i = 0; i < n; i++) {
			if (jobs[i].failed || (jobs[i].back >= 0 && jobs[i].back != s))
				continue;
			r[s][m[s]].folder = ep_folder_of(a, &jobs[i], s);
			r[s][m[s]++].id = jobs[i].place.id[s];
		}
	}
	rc = records_read(a->p, a->arena, r, m, err);
	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		for (size_t i = 0, at = 0; i < n; i++) {
			if (!jobs[i].failed && (jobs[i].back < 0 || jobs[i].back == s))
				jobs[i].now[s] = r[s][at++];
		}
	}
	return rc;
}

/* Can it be worked on? What is gone or could not be read now is seen by the next pass. */
static enum code check_read(struct apply *a, struct job *job, struct err *err)
{
	for (int s = 0; s < SIDES && !job->failed; s++) {
		const struct rec_read *r = &job->now[s];

		if (job->back >= 0 && job->back != s)
			continue;
		if (r->code == E_ITEM_BAD || r->code == E_ITEM_TOO_BIG)
			return refuse(a, job, r->code, arena_printf(a->arena, "the %s side's cannot be read: %s",
								    side_name(s), r->text), err);
		if (r->code != E_OK)
			leave(a, job);
	}
	return E_OK;
}

/* --- merging --- */

static enum record_policy policy_of(const struct apply *a, const struct job *job)
{
	const struct plan_place *pp = job->op->kind == PO_MERGE ? job->op->place : NULL;

	/* our own copy as its server rewrote it is no second version */
	if (pp != NULL && pp->copied)
		return pp->from_right ? RECORD_RIGHT : RECORD_LEFT;
	switch (a->p->env->pairing->conflict) {
	case CONFLICT_LEFT:
		return RECORD_LEFT;
	case CONFLICT_RIGHT:
		return RECORD_RIGHT;
	case CONFLICT_BOTH:
		return RECORD_BOTH;
	case CONFLICT_NEWEST:
		break;
	}
	return RECORD_NEWEST;
}

/* A pass that was interrupted after all its writes of this place: what was sent is the ground there. If
 * some were not made, the old ground holds: what has arrived already is then no change any more. */
static void resume(struct job *job)
{
	struct base_record *b = &job->base;
	bool all = true;

	for (int s = 0; s < SIDES; s++) {
		job->made[s] = b->sent[s].n > 0 && !span_eq(job->now[s].version, b->seen[s]);
		all = all && (b->sent[s].n == 0 || job->made[s]);
	}
	for (int s = 0; s < SIDES && all; s++) {
		if (b->sent[s].n == 0)
			continue;
		b->base[s] = b->sent[s];
		b->version[s] = SPAN_NONE;
	}
}

/* The ground of each side; none at first contact. What was written and never read back: what the server
 * did not keep of it is no deletion. */
static enum code load_bases(struct apply *a, struct job *job, struct record *base[SIDES], struct err *err)
{
	enum code rc = E_OK;

	resume(job);
	if (job->base.base[SIDE_LEFT].n == 0 || job->base.base[SIDE_RIGHT].n == 0)
		return E_OK;
	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		rc = record_load(a->arena, job->base.base[s], &base[s], err);
		if (rc == E_OK && job->base.version[s].n == 0)
			base[s] = record_held(a->arena, base[s], job->now[s].record);
	}
	return rc;
}

/* At first contact after a loss of the state: is one side the free/busy copy of the other? */
static enum base_busy busy_again(struct apply *a, const struct job *job)
{
	for (int s = 0; s < SIDES; s++) {
		const struct record *mine = job->now[s].record, *theirs = job->now[side_other((enum side)s)].record;

		if (!a->p->env->pairing->busy_only[s] || mine->kind != RECORD_EVENT || theirs->kind != RECORD_EVENT)
			continue;
		if (record_equal(a->arena, mine, busy_copy(a->arena, mine)) &&
		    !record_equal(a->arena, theirs, busy_copy(a->arena, theirs)))
			return s == SIDE_LEFT ? BUSY_LEFT : BUSY_RIGHT;
	}
	return BUSY_NONE;
}

/* The copy follows the full one, never the other way round. */
static void follow(struct apply *a, struct job *job)
{
	enum side copy = job->base.busy == BUSY_LEFT ? SIDE_LEFT : SIDE_RIGHT;
	struct record *want = busy_copy(a->arena, job->now[side_other(copy)].record);

	if (want != NULL && !record_equal(a->arena, want, job->now[copy].record))
		job->after[copy] = want;
}

static void merge(struct apply *a, struct job *job, enum record_policy policy, const struct record *const base[SIDES])
{
	const struct record *now[SIDES] = { job->now[SIDE_LEFT].record, job->now[SIDE_RIGHT].record };

	record_merge(a->arena, base, now, policy, &job->merge);
	if (job->merge.copy && job->made[job->merge.loser])
		record_merge(a->arena, base, now, RECORD_NEWEST, &job->merge);   /* the copy was made before that */
	for (int s = 0; s < SIDES; s++) {
		if (job->merge.to[s].n == 0)
			continue;
		struct record *after = record_apply(a->arena, now[s], &job->merge.to[s]);

		if (!span_eq(record_canonical(a->arena, after), record_canonical(a->arena, now[s])))
			job->after[s] = after;
	}
}

static enum code plan_job(struct apply *a, struct job *job, struct err *err)
{
	struct record *base[SIDES] = { NULL, NULL };
	enum record_policy policy = policy_of(a, job);
	enum code rc = base_record_get(a->p->base, job->place.row, a->arena, &job->base, err);

	if (rc == E_OK)
		rc = check_read(a, job, err);
	if (rc != E_OK || job->failed || job->back >= 0)
		return rc;
	if (job->base.base[SIDE_LEFT].n == 0)
		job->base.busy = busy_again(a, job);
	if (job->base.busy != BUSY_NONE) {
		follow(a, job);
		return E_OK;
	}
	rc = load_bases(a, job, base, err);
	if (rc != E_OK)
		return rc;
	merge(a, job, policy, (const struct record *const *)base);
	return E_OK;
}

/* --- writing --- */

struct writes {
	struct ep_op *ops;
	struct job **jobs;           /* of each op */
	bool *copy;                  /* a conflict copy, not the item itself */
	size_t n;
};

static enum code add_write(struct apply *a, struct job *job, enum side s, const struct record *record, bool copy,
			   struct writes *w, struct err *err)
{
	struct ep_op *op = &w->ops[w->n];
	struct err why = ERR_INIT;

	*op = (struct ep_op){ .kind = copy ? EP_CREATE : EP_UPDATE, .folder = ep_folder_of(a, job, s),
			      .uid = record->uid, .received = INT64_MIN };
	if (!copy) {
		op->id = job->place.id[s];
		op->version = job->now[s].version;
	}
	enum code rc = records_print(a->p, a->arena, s, record, &op->body, &why);
	if (rc != E_OK && code_scope(rc) == SCOPE_ITEM)
		return refuse(a, job, rc, err_text(&why), err);
	if (rc != E_OK)
		return err_set(err, rc, "%s", err_text(&why));
	w->jobs[w->n] = job;
	w->copy[w->n++] = copy;
	return E_OK;
}

/* The loser of a conflict under `both` goes on as an item of its own. Its UID is made from its content,
 * so that doing it again makes no second one. */
static enum code add_copy(struct apply *a, struct job *job, struct writes *w, struct err *err)
{
	enum side s = job->merge.loser;
	struct record *r = job->now[s].record;
	struct span text = record_canonical(a->arena, r);
	struct span uid = span_of(arena_printf(a->arena, SPAN_FMT "-%016llx", SPAN_ARG(span_cut(r->uid, 0, 180)),
					       (unsigned long long)span_hash(text)));

	return add_write(a, job, s, record_with_uid(a->arena, r, uid), true, w, err);
}

static void wrote_soon(struct apply *a, struct job *job)
{
	for (int s = 0; s < SIDES; s++) {
		job->base.sent[s] = job->after[s] != NULL ? record_canonical(a->arena, job->after[s]) : SPAN_NONE;
		job->base.seen[s] = job->after[s] != NULL ? job->now[s].version : SPAN_NONE;
	}
}

static enum code build_writes(struct apply *a, struct job *jobs, size_t n, struct writes w[SIDES], struct err *err)
{
	enum code rc = E_OK;

	for (int s = 0; s < SIDES; s++) {
		w[s].ops = arena_calloc(a->arena, 2 * n + 1, sizeof(*w[s].ops));
		w[s].jobs = arena_calloc(a->arena, 2 * n + 1, sizeof(struct job *));
		w[s].copy = arena_calloc(a->arena, 2 * n + 1, sizeof(bool));
		w[s].n = 0;
	}
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct job *job = &jobs[i];

		if (job->failed || job->back >= 0)
			continue;
		if (job->merge.copy)
			rc = add_copy(a, job, &w[job->merge.loser], err);
		for (int s = 0; rc == E_OK && s < SIDES; s++) {
			if (job->after[s] != NULL && !job->failed)
				rc = add_write(a, job, (enum side)s, job->after[s], false, &w[s], err);
		}
		if (rc != E_OK || job->failed || (job->after[SIDE_LEFT] == NULL && job->after[SIDE_RIGHT] == NULL) ||
		    job->base.base[SIDE_LEFT].n == 0)
			continue;
		wrote_soon(a, job);
		rc = base_record_put(a->p->base, job->place.row, &job->base, err);
	}
	return rc == E_OK ? base_commit(a->p->base, err) : rc;
}

static enum code journal(struct apply *a, const struct job *job, enum side s, const char *op, const char *why,
			 struct span before, struct err *err)
{
	struct base_journal j = { .op = op, .why = why, .side = s, .item = job->place.item,
				  .old_folder = ep_folder_of(a, job, s)->path, .old_id = job->place.id[s],
				  .detail = job->now[s].record->uid, .before = before };

	return base_journal_add(a->p->base, &j, err);
}

static enum code journal_conflicts(struct apply *a, const struct job *job, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < job->merge.n_conflicts; i++) {
		const struct record_conflict *c = &job->merge.conflicts[i];
		enum side loser = side_other(c->winner);
		const char *why = arena_printf(a->arena, "both sides changed " SPAN_FMT "%s" SPAN_FMT "; %s won",
					       SPAN_ARG(c->comp), c->comp.n > 0 ? " " : "", SPAN_ARG(c->prop),
					       side_name(c->winner));

		rc = journal(a, job, loser, "conflict", why, c->value[loser], err);
	}
	return rc;
}

static enum code record_write(struct apply *a, struct job *job, enum side s, const struct ep_op *op, bool copy,
			      struct err *err)
{
	if (copy && op->code == E_ITEM_UNCERTAIN)
		return E_OK;             /* it is there already, from a pass that was interrupted */
	if (op->code == E_OK) {
		a->p->result->created += copy;
		a->p->result->changed += !copy;
		return journal(a, job, s, copy ? "create" : "update", copy ? "the version that lost a conflict" :
			       job->op->why, copy ? SPAN_NONE : record_canonical(a->arena, job->now[s].record), err);
	}
	if (op->code == E_ITEM_CHANGED || op->code == E_ITEM_GONE || op->code == E_ITEM_UNCERTAIN ||
	    op->code == E_CANCELLED || code_scope(op->code) == SCOPE_FOLDER) {
		leave(a, job);
		return E_OK;
	}
	if (code_scope(op->code) == SCOPE_ITEM)
		return job->failed ? E_OK : refuse(a, job, op->code, op->text, err);
	leave(a, job);
	apply_failed(a, op->code, op->text);
	return E_OK;
}

static enum code write_jobs(struct apply *a, struct writes w[SIDES], struct err *err)
{
	void *items[SIDES] = { w[SIDE_LEFT].ops, w[SIDE_RIGHT].ops };
	const size_t n[SIDES] = { w[SIDE_LEFT].n, w[SIDE_RIGHT].n };
	enum code rc = pass_both(a->p, EP_V_APPLY, a->arena, items, n, err);

	for (int s = 0; s < SIDES; s++) {
		for (size_t i = 0; i < w[s].n; i++) {
			enum code one = record_write(a, w[s].jobs[i], (enum side)s, &w[s].ops[i], w[s].copy[i],
						     rc == E_OK ? err : NULL);

			rc = rc == E_OK ? one : rc;
		}
	}
	return rc;
}

static void free_writes(struct writes w[SIDES])
{
	for (int s = 0; s < SIDES; s++) {
		for (size_t i = 0; i < w[s].n; i++)
			body_free(&w[s].ops[i].body);
	}
}

/* --- reading back, recording --- */

static enum code read_back(struct apply *a, struct job *jobs, size_t n, struct err *err)
{
	struct rec_read *r[SIDES];
	size_t m[SIDES] = { 0, 0 };

	for (int s = 0; s < SIDES; s++) {
		r[s] = arena_calloc(a->arena, n + 1, sizeof(*r[s]));
		for (size_t i = 0; i < n; i++) {
			if (jobs[i].failed || jobs[i].after[s] == NULL)
				continue;
			r[s][m[s]].folder = ep_folder_of(a, &jobs[i], s);
			r[s][m[s]++].id = jobs[i].place.id[s];
		}
	}
	enum code rc = records_read(a->p, a->arena, r, m, err);
	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		for (size_t i = 0, at = 0; i < n; i++) {
			if (jobs[i].failed || jobs[i].after[s] == NULL)
				continue;
			jobs[i].now[s] = r[s][at++];
			if (jobs[i].now[s].code != E_OK)
				leave(a, &jobs[i]);
		}
	}
	return rc;
}

static enum code record_job(struct apply *a, struct job *job, struct err *err)
{
	if (job->failed)
		return E_OK;
	for (int s = 0; s < SIDES; s++) {
		if (job->back >= 0 && job->back != s)
			continue;
		job->base.version[s] = job->now[s].version;
		job->base.base[s] = record_canonical(a->arena, job->now[s].record);
	}
	forget_sent(&job->base);
	job->base.attempts = job->base.next_s = 0;
	job->base.code = E_OK;
	job->base.text = NULL;
	enum code rc = base_record_put(a->p->base, job->place.row, &job->base, err);
	return rc == E_OK ? journal_conflicts(a, job, err) : rc;
}

/* --- windows --- */

static enum code one_window(struct apply *a, struct job *jobs, size_t n, struct err *err)
{
	struct writes w[SIDES] = { 0 };
	enum code rc;

	arena_reset(a->arena);
	rc = read_jobs(a, jobs, n, err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = plan_job(a, &jobs[i], err);
	if (rc == E_OK)
		rc = build_writes(a, jobs, n, w, err);
	if (rc == E_OK)
		rc = write_jobs(a, w, err);
	free_writes(w);
	if (rc == E_OK)
		rc = read_back(a, jobs, n, err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = record_job(a, &jobs[i], err);
	if (rc == E_OK)
		rc = base_commit(a->p->base, err);
	return rc;
}

enum code records_merge_all(struct apply *a, struct err *err)
{
	struct plan *plan = &a->p->plan;
	enum code rc = E_OK;

	for (size_t i = 0; i < plan->n_ops; i++) {
		if (plan->ops[i].kind == PO_MERGE && !plan->ops[i].held)
			records_later(a, &plan->ops[i], &plan->ops[i].place->base, -1);
	}
	size_t n = a->later != NULL ? a->later->n : 0;
	for (size_t at = 0; rc == E_OK && at < n; at += RECORD_WINDOW) {
		size_t some = n - at > RECORD_WINDOW ? RECORD_WINDOW : n - at;

		if (at > 0 && apply_slice_over(a)) {
			for (size_t i = at; i < n; i++)
				leave(a, &a->later->jobs[i]);
			return err_set(err, E_YIELDED, "the time slice is over");
		}
		rc = one_window(a, a->later->jobs + at, some, err);
		a->p->done += some;
		if (rc == E_OK)
			apply_progress(a, n - at - some);
	}
	return rc;
}
