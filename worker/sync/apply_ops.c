/* apply_ops.c - from the plan's ops to the endpoint's. */
#include "records.h"

void apply_dirty(struct apply *a, const struct plan_op *op)
{
	struct plan_folder *f = &a->p->plan.folders[op->folder];

	f->dirty[SIDE_LEFT] = f->dirty[SIDE_RIGHT] = true;
	if (op->to >= 0) {
		f = &a->p->plan.folders[op->to];
		f->dirty[SIDE_LEFT] = f->dirty[SIDE_RIGHT] = true;
	}
}

int apply_archive_folder(const struct apply *a, enum side side)
{
	for (size_t i = 0; i < a->p->plan.n_folders; i++) {
		const struct ep_folder *f = a->p->plan.folders[i].ep[side];

		if (f != NULL && f == a->p->folders.archive[side])
			return (int)i;
	}
	return -1;
}

static void flags_op(const struct apply *a, const struct plan_op *op, struct ep_op *out)
{
	int folder = op->to >= 0 ? op->to : op->folder;

	out->kind = EP_FLAGS;
	out->folder = a->p->plan.folders[folder].ep[op->side];
	out->id = op->to >= 0 ? op->news[op->side]->id : op->place->base.id[op->side];
	out->flags = op->write->add;
	out->flags_remove = op->write->remove;
	out->keywords = op->write->kw_add;
	out->keywords_remove = op->write->kw_remove;
}

/* The record that the plan was made for. */
static struct span version_of(const struct plan_op *op)
{
	struct span now = op->place->now_version[op->side];

	return now.n > 0 ? now : op->place->base.version[op->side];
}

/* By policy: into the bin, into the archive, or away. */
static bool delete_op(struct apply *a, struct plan_op *op, struct ep_op *out)
{
	enum conf_deletions policy = a->p->env->pairing->deletions[op->side];
	struct err err = ERR_INIT;
	const struct ep_folder *bin;

	out->folder = a->p->plan.folders[op->folder].ep[op->side];
	out->id = op->place->base.id[op->side];
	out->kind = EP_REMOVE;
	if (plan_records(&a->p->plan, op->folder)) {
		out->version = version_of(op);       /* there is no bin for records: the journal keeps them */
		return true;
	}
	if (policy == DELETIONS_EXPUNGE)
		return true;
	if (pass_bin(a->p, op->side, &bin, &err) != E_OK) {
		a->failure = err.code;
		memcpy(a->failure_text, err.text, sizeof(a->failure_text) - 1);
		return false;
	}
	out->kind = EP_MOVE;
	out->to = bin;
	return true;
}

bool apply_small_op(struct apply *a, struct plan_op *op, struct ep_op *out)
{
	*out = (struct ep_op){ .received = INT64_MIN };
	switch (op->kind) {
	case PO_FLAGS:
		flags_op(a, op, out);
		return true;
	case PO_MOVE:
		out->kind = EP_MOVE;
		out->folder = a->p->plan.folders[op->folder].ep[op->side];
		out->to = a->p->plan.folders[op->to].ep[op->side];
		out->id = op->place->base.id[op->side];
		if (plan_records(&a->p->plan, op->folder))
			out->version = version_of(op);
		return true;
	case PO_DELETE:
		if (delete_op(a, op, out))
			return true;
		apply_dirty(a, op);
		return false;
	case PO_FORGET:
	case PO_ANCHOR:
	case PO_ADOPT:
	case PO_SETTLE:
	case PO_CREATE:
	case PO_PARK:
	case PO_MERGE:
	case PO_KINDS:
		break;
	}
	return false;
}

bool apply_create_op(struct apply *a, struct window *w, size_t i, struct ep_op *out)
{
	const struct plan_op *op = w->ops[i];
	const struct ep_fetch *f = &w->fetch[i];

	if (w->solos[i] == NULL || w->solos[i]->state != SOLO_INTENT)
		return false;
	*out = (struct ep_op){ .kind = EP_CREATE, .folder = a->p->plan.folders[op->folder].ep[op->side],
			       .body = f->body, .flags = f->flags, .keywords = f->keywords,
			       .received = f->received };
	if (w->made[i] != NULL)
		out->uid = w->made[i]->uid;
	return true;
}

enum code apply_park_intents(struct apply *a, enum side side, const struct side_writes *b, struct err *err)
{
	int folder = apply_archive_folder(a, side);
	enum code rc = E_OK;

	if (a->p->env->pairing->deletions[side] != DELETIONS_ARCHIVE || folder < 0)
		return E_OK;
	for (size_t i = 0; rc == E_OK && i < b->n; i++) {
		struct plan_op *op = b->plan_ops[i];

		if (op->kind != PO_DELETE || plan_records(&a->p->plan, op->folder))
			continue;
		struct base_solo *o = arena_alloc(a->p->arena, sizeof(*o));
		*o = (struct base_solo){ .folder = a->p->plan.folders[folder].base->row, .side = side,
					 .state = SOLO_PARKED, .key = op->place->base.key, .has_key = true,
					 .size = op->place->base.size, .flags = op->place->base.flags,
					 .text = "archived because the other side deleted it" };
		op->solo = o;
		rc = base_solo_save(a->p->base, o, err);
	}
	return rc;
}
