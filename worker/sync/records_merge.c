/* records_merge.c - what a place's two contents, and the grounds they changed from, come to. */
#include "records_p.h"

#include "../data/busy.h"

/* Can it be worked on? What is gone or could not be read now is seen by the next pass. */
static enum code check_read(struct apply *a, struct job *job, struct err *err)
{
	for (int s = 0; s < SIDES && !job->failed; s++) {
		const struct rec_read *r = &job->now[s];

		if (job->back >= 0 && job->back != s)
			continue;
		if (r->code == E_ITEM_BAD || r->code == E_ITEM_TOO_BIG)
			return job_refuse(a, job, r->code,
					  arena_printf(a->arena, "what the %s side has cannot be read: %s",
						       side_name(s), r->text), err);
		if (r->code != E_OK)
			job_leave(a, job);
	}
	return E_OK;
}

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

/* Writes of which nobody knows whether they were made. If all have arrived, what was sent is the ground, property
 * by property; if not, the old ground holds, and what has arrived already is then no change any more. */
static enum code resume(struct apply *a, struct job *job, struct record *base[SIDES], struct err *err)
{
	struct record *ground[SIDES] = { base[SIDE_LEFT], base[SIDE_RIGHT] }, *sent;
	bool all = true;

	for (int s = 0; s < SIDES; s++) {
		if (job->base.sent[s].n == 0)
			continue;
		enum code rc = record_load(a->arena, job->base.sent[s], &sent, err);
		if (rc != E_OK)
			return rc;
		bool written = !span_eq(job->now[s].version, job->base.seen[s]), some, whole;
		ground[s] = record_ground(a->arena, base[s], sent, job->now[s].record, &some, &whole);
		job->made[s] = written && some;
		all = all && written && whole;
	}
	for (int s = 0; s < SIDES && all; s++)
		base[s] = ground[s];
	return E_OK;
}

/* The ground of each side; none at first contact. What was written and never read back: what the server
 * did not keep of it is no deletion. */
static enum code load_bases(struct apply *a, struct job *job, struct record *base[SIDES], struct err *err)
{
	const struct base_record *b = &job->base;
	enum code rc = E_OK;

	if (b->base[SIDE_LEFT].n == 0 || b->base[SIDE_RIGHT].n == 0)
		return E_OK;
	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		rc = record_load(a->arena, b->base[s], &base[s], err);
		if (rc == E_OK && b->version[s].n == 0)
			base[s] = record_held(a->arena, base[s], job->now[s].record);
	}
	return rc == E_OK ? resume(a, job, base, err) : rc;
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

enum code job_plan(struct apply *a, struct job *job, struct err *err)
{
	struct record *base[SIDES] = { NULL, NULL };
	enum record_policy policy = policy_of(a, job);
	enum code rc = base_record_get(a->p->base, job->place->row, a->arena, &job->base, err);

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
