/* records.c - places whose content changed: read both sides, merge by property, write, read back, record.
 *
 * Before a write, what is going to be written is committed (base_record.sent). Found again after an
 * interruption it tells our own write, as the server rewrote it, from a change that somebody made.
 */
#include "records_p.h"

#include "../../common/log.h"

/* What waits for its window. */
struct record_later {
	struct record_later *next;
	const struct plan_op *op;
	const struct base_place *place;
	int back;
	struct span written;
};

static void add_later(struct apply *a, const struct plan_op *op, const struct base_place *place, int back,
		      struct span written)
{
	struct record_later *l = arena_alloc(a->p->arena, sizeof(*l));

	*l = (struct record_later){ .op = op, .place = place, .back = back,
				    .written = arena_span(a->p->arena, written) };
	*(a->later_end != NULL ? a->later_end : &a->later) = l;
	a->later_end = &l->next;
	a->n_later++;
}

void records_later(struct apply *a, const struct plan_op *op, const struct base_place *place, int only_back,
		   struct span written)
{
	struct base_place *copy = arena_alloc(a->p->arena, sizeof(*copy));

	*copy = (struct base_place){ .row = place->row, .item = place->item };
	for (int s = 0; s < SIDES; s++)      /* the writes of a round die with it */
		copy->id[s] = arena_span(a->p->arena, place->id[s]);
	add_later(a, op, copy, only_back, written);
}

static int folder_of(const struct job *job)
{
	return job->op->kind == PO_MOVE ? job->op->to : job->op->folder;
}

const struct ep_folder *job_folder(const struct apply *a, const struct job *job, int side)
{
	return a->p->plan.folders[folder_of(job)].ep[side];
}

void job_leave(struct apply *a, struct job *job)
{
	struct plan_folder *f = &a->p->plan.folders[folder_of(job)];

	f->dirty[SIDE_LEFT] = f->dirty[SIDE_RIGHT] = true;
	job->failed = true;
}

void job_forget_sent(struct base_record *b)
{
	for (int s = 0; s < SIDES; s++)
		b->sent[s] = b->seen[s] = SPAN_NONE;
}

/* A write or a content that cannot be carried: it is tried again later, the rest goes on. */
enum code job_refuse(struct apply *a, struct job *job, enum code code, const char *text, struct err *err)
{
	job->failed = true;
	job->base.next_s = apply_retry_at(a, job->base.attempts++);
	job->base.code = code;
	job->base.text = text != NULL ? text : code_text(code);
	job_forget_sent(&job->base);
	log_warning("one change is left out: %s", job->base.text);
	return base_record_put(a->p->base, job->place->row, &job->base, err);
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
			r[s][m[s]].folder = job_folder(a, &jobs[i], s);
			r[s][m[s]++].id = jobs[i].place->id[s];
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
			r[s][m[s]].folder = job_folder(a, &jobs[i], s);
			r[s][m[s]++].id = jobs[i].place->id[s];
		}
	}
	enum code rc = records_read(a->p, a->arena, r, m, err);
	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		for (size_t i = 0, at = 0; i < n; i++) {
			if (jobs[i].failed || jobs[i].after[s] == NULL)
				continue;
			jobs[i].now[s] = r[s][at++];
			if (jobs[i].now[s].code != E_OK)
				job_leave(a, &jobs[i]);
		}
	}
	return rc;
}

/* Somebody was faster than our reading back: what was sent is the ground still, and the next pass merges. */
static bool overtaken(const struct job *job)
{
	for (int s = 0; s < SIDES; s++) {
		if (job->written[s].n > 0 && !span_eq(job->written[s], job->now[s].version))
			return true;
	}
	return false;
}

static enum code record_job(struct apply *a, struct job *job, struct err *err)
{
	if (job->failed)
		return E_OK;
	if (overtaken(job)) {
		job_leave(a, job);
		return writes_journal_conflicts(a, job, err);
	}
	for (int s = 0; s < SIDES; s++) {
		if (job->back >= 0 && job->back != s)
			continue;
		job->base.version[s] = job->now[s].version;
		job->base.base[s] = record_canonical(a->arena, job->now[s].record);
	}
	job_forget_sent(&job->base);
	job->base.attempts = job->base.next_s = 0;
	job->base.code = E_OK;
	job->base.text = NULL;
	enum code rc = base_record_put(a->p->base, job->place->row, &job->base, err);
	return rc == E_OK ? writes_journal_conflicts(a, job, err) : rc;
}

/* --- windows --- */

/* The next jobs that wait, in the arena of the round. */
static struct job *next_jobs(struct apply *a, size_t *n_r)
{
	struct job *jobs = arena_calloc(a->arena, RECORD_WINDOW, sizeof(*jobs));

	for (*n_r = 0; a->later != NULL && *n_r < RECORD_WINDOW; a->later = a->later->next) {
		struct job *job = &jobs[(*n_r)++];

		*job = (struct job){ .op = a->later->op, .place = a->later->place, .back = a->later->back };
		if (job->back >= 0)
			job->written[job->back] = a->later->written;
		a->n_later--;
	}
	return jobs;
}

static void leave_rest(struct apply *a)
{
	for (; a->later != NULL; a->later = a->later->next) {
		struct job job = { .op = a->later->op };

		job_leave(a, &job);
	}
}

static enum code one_window(struct apply *a, struct err *err)
{
	struct writes copies[SIDES] = { 0 }, w[SIDES] = { 0 };
	size_t n;

	arena_reset(a->arena);
	struct job *jobs = next_jobs(a, &n);
	enum code rc = read_jobs(a, jobs, n, err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = job_plan(a, &jobs[i], err);
	if (rc == E_OK)
		rc = writes_build(a, jobs, n, copies, w, err);
	if (rc == E_OK)
		rc = writes_make(a, copies, err);
	if (rc == E_OK)
		rc = writes_make(a, w, err);
	writes_free(copies);
	writes_free(w);
	if (rc == E_OK)
		rc = read_back(a, jobs, n, err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = record_job(a, &jobs[i], err);
	if (rc == E_OK)
		rc = base_commit(a->p->base, err);
	a->p->done += n;
	return rc;
}

enum code records_merge_all(struct apply *a, struct err *err)
{
	struct plan *plan = &a->p->plan;
	enum code rc = E_OK;

	for (size_t i = 0; i < plan->n_ops; i++) {
		if (plan->ops[i].kind == PO_MERGE && !plan->ops[i].held)
			add_later(a, &plan->ops[i], &plan->ops[i].place->base, -1, SPAN_NONE);
	}
	for (bool first = true; rc == E_OK && a->later != NULL; first = false) {
		if (!first && apply_slice_over(a)) {
			leave_rest(a);
			return err_set(err, E_YIELDED, "the time slice is over");
		}
		rc = one_window(a, err);
		if (rc == E_OK)
			apply_progress(a, a->n_later);
	}
	return rc;
}
