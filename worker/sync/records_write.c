/* records_write.c - what merged records lack is written to both sides at once, and told in the journal.
 *
 * Copies of what loses a conflict are made before it is overwritten; where one is refused, nothing is.
 */
#include "records_p.h"

static enum code add_write(struct apply *a, struct job *job, enum side s, const struct record *record,
			   struct writes *w, struct err *err)
{
	bool copy = w->copies;
	struct ep_op *op = &w->ops[w->n];
	struct err why = ERR_INIT;

	*op = (struct ep_op){ .kind = copy ? EP_CREATE : EP_UPDATE, .folder = job_folder(a, job, s),
			      .uid = record->uid, .received = INT64_MIN };
	if (!copy) {
		op->id = job->place->id[s];
		op->version = job->now[s].version;
	}
	enum code rc = records_print(a->p, a->arena, s, record, &op->body, &why);
	if (rc != E_OK && code_scope(rc) == SCOPE_ITEM)
		return job_refuse(a, job, rc, err_text(&why), err);
	if (rc != E_OK)
		return err_set(err, rc, "%s", err_text(&why));
	w->jobs[w->n++] = job;
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

	return add_write(a, job, s, record_with_uid(a->arena, r, uid), w, err);
}

static void wrote_soon(struct apply *a, struct job *job)
{
	for (int s = 0; s < SIDES; s++) {
		job->base.sent[s] = job->after[s] != NULL ? record_canonical(a->arena, job->after[s]) : SPAN_NONE;
		job->base.seen[s] = job->after[s] != NULL ? job->now[s].version : SPAN_NONE;
	}
}

static void writes_init(struct apply *a, struct writes w[SIDES], size_t n, bool copies)
{
	for (int s = 0; s < SIDES; s++)
		w[s] = (struct writes){ .ops = arena_calloc(a->arena, n + 1, sizeof(*w[s].ops)),
					.jobs = arena_calloc(a->arena, n + 1, sizeof(struct job *)), .copies = copies };
}

enum code writes_build(struct apply *a, struct job *jobs, size_t n, struct writes copies[SIDES],
		       struct writes w[SIDES], struct err *err)
{
	enum code rc = E_OK;

	writes_init(a, copies, n, true);
	writes_init(a, w, n, false);
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct job *job = &jobs[i];

		if (job->failed || job->back >= 0)
			continue;
		if (job->merge.copy)
			rc = add_copy(a, job, &copies[job->merge.loser], err);
		for (int s = 0; rc == E_OK && s < SIDES; s++) {
			if (job->after[s] != NULL && !job->failed)
				rc = add_write(a, job, (enum side)s, job->after[s], &w[s], err);
		}
		if (rc != E_OK || job->failed || (job->after[SIDE_LEFT] == NULL && job->after[SIDE_RIGHT] == NULL) ||
		    job->base.base[SIDE_LEFT].n == 0)
			continue;
		wrote_soon(a, job);
		rc = base_record_put(a->p->base, job->place->row, &job->base, err);
	}
	return rc == E_OK ? base_commit(a->p->base, err) : rc;
}

static enum code journal(struct apply *a, const struct job *job, enum side s, const char *op, const char *why,
			 struct span before, struct err *err)
{
	struct base_journal j = { .op = op, .why = why, .side = s, .item = job->place->item,
				  .old_folder = job_folder(a, job, s)->path, .old_id = job->place->id[s],
				  .detail = job->now[s].record->uid, .before = before };

	return base_journal_add(a->p->base, &j, err);
}

enum code writes_journal_conflicts(struct apply *a, const struct job *job, struct err *err)
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
		if (!copy)
			job->written[s] = op->new_version;
		return journal(a, job, s, copy ? "create" : "update", copy ? "the version that lost a conflict" :
			       job->op->why, copy ? SPAN_NONE : record_canonical(a->arena, job->now[s].record), err);
	}
	if (op->code == E_ITEM_CHANGED || op->code == E_ITEM_GONE || op->code == E_ITEM_UNCERTAIN ||
	    op->code == E_CANCELLED || code_scope(op->code) == SCOPE_FOLDER) {
		job_leave(a, job);
		return E_OK;
	}
	if (code_scope(op->code) == SCOPE_ITEM)
		return job->failed ? E_OK : job_refuse(a, job, op->code, op->text, err);
	job_leave(a, job);
	apply_failed(a, op->code, op->text);
	return E_OK;
}

/* Whose copy was not made: the rest of it waits too. */
static void drop_failed(struct writes *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->n; i++) {
		if (w->jobs[i]->failed) {
			body_free(&w->ops[i].body);
			continue;
		}
		w->ops[kept] = w->ops[i];
		w->jobs[kept++] = w->jobs[i];
	}
	w->n = kept;
}

enum code writes_make(struct apply *a, struct writes w[SIDES], struct err *err)
{
	drop_failed(&w[SIDE_LEFT]);
	drop_failed(&w[SIDE_RIGHT]);
	void *items[SIDES] = { w[SIDE_LEFT].ops, w[SIDE_RIGHT].ops };
	const size_t n[SIDES] = { w[SIDE_LEFT].n, w[SIDE_RIGHT].n };
	enum code rc = pass_both(a->p, EP_V_APPLY, a->arena, items, n, err);

	for (int s = 0; s < SIDES; s++) {
		for (size_t i = 0; i < w[s].n; i++) {
			enum code one = record_write(a, w[s].jobs[i], (enum side)s, &w[s].ops[i], w[s].copies,
						     rc == E_OK ? err : NULL);

			rc = rc == E_OK ? one : rc;
		}
	}
	return rc;
}

void writes_free(struct writes w[SIDES])
{
	for (int s = 0; s < SIDES; s++) {
		for (size_t i = 0; i < w[s].n; i++)
			body_free(&w[s].ops[i].body);
	}
}
