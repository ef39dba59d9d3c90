/* guard.c - holds back a batch of changes that looks like an accident. Pure.
 *
 * Deletions are counted per direction against the places before the pass: held if more than
 * max_deletions, or more than min_deletions and pairing_percent of the pairing, or more than
 * min_deletions and folder_percent of a folder of at least min_deletions (Trash and Junk apart), or
 * if a side shows nothing at all that did before. Creations are held only after the first complete
 * pass. Only the held batch waits; everything else goes on. What a person let go is not counted.
 */
#include "plan.h"

#include <stdio.h>

static bool counts(const struct plan *plan, const struct plan_op *op)
{
	enum ep_role role = plan->folders[op->folder].base->role;

	return !plan_op_released(op) && role != EP_ROLE_TRASH && role != EP_ROLE_JUNK;
}

static uint64_t count_ops(const struct plan *plan, enum plan_op_kind kind, enum side side)
{
	uint64_t n = 0;

	for (size_t i = 0; i < plan->n_ops; i++) {
		if (plan->ops[i].kind == kind && plan->ops[i].side == side && counts(plan, &plan->ops[i]))
			n++;
	}
	return n;
}

bool guard_needs_counts(const struct plan *plan, const struct conf_guard *limits)
{
	for (int s = 0; s < SIDES; s++) {
		if (count_ops(plan, PO_DELETE, (enum side)s) > limits->min_deletions ||
		    count_ops(plan, PO_CREATE, (enum side)s) > limits->max_creations)
			return true;
	}
	return false;
}

static bool over_percent(uint64_t part, uint64_t whole, uint32_t percent)
{
	return part * 100 > whole * percent;
}

static bool folder_over(const struct plan *plan, enum side side, const struct conf_guard *g, size_t *folder_r)
{
	for (size_t f = 0; f < plan->n_folders; f++) {
		uint64_t n = 0;

		for (size_t i = 0; i < plan->n_ops; i++) {
			const struct plan_op *op = &plan->ops[i];

			if (op->kind == PO_DELETE && op->side == side && op->folder == (int)f && counts(plan, op))
				n++;
		}
		*folder_r = f;
		if (n > g->min_deletions && plan->folders[f].places != UINT64_MAX &&
		    plan->folders[f].places >= g->min_deletions &&
		    over_percent(n, plan->folders[f].places, g->folder_percent))
			return true;
	}
	return false;
}

static uint64_t hold(struct plan *plan, enum plan_op_kind kind, enum side side, int folder_forced)
{
	uint64_t n = 0;

	for (size_t i = 0; i < plan->n_ops; i++) {
		struct plan_op *op = &plan->ops[i];

		if (op->kind != kind || op->side != side || plan_op_released(op))
			continue;
		if (folder_forced >= 0 && op->folder != folder_forced)
			continue;
		n += !op->held;
		op->held = true;
	}
	return n;
}

static void check_deletions(struct plan *plan, const struct guard_input *in, enum side side,
			    struct guard_result *r)
{
	const struct conf_guard *g = in->limits;
	uint64_t n = count_ops(plan, PO_DELETE, side);
	size_t folder = 0;
	const char *reason = NULL;

	if (n == 0)
		return;
	if (n > g->max_deletions)
		reason = "more than the limit";
	else if (n > g->min_deletions && over_percent(n, in->total_places, g->pairing_percent))
		reason = "too large a part of the pairing";
	else if (folder_over(plan, side, g, &folder))
		reason = "too large a part of one folder";
	else if (in->empty[side_other(side)] && in->total_places > 0)
		reason = "the other side shows nothing at all";
	if (reason == NULL)
		return;
	r->held_deletions[side] += hold(plan, PO_DELETE, side, -1);
	snprintf(r->why, sizeof(r->why), "%llu deletions on the %s side are held: %s",
		 (unsigned long long)r->held_deletions[side], side_name(side), reason);
}

static void check_lost(struct plan *plan, enum side side, struct guard_result *r)
{
	for (size_t f = 0; f < plan->n_folders; f++) {
		if (!plan->folders[f].force_hold[side_other(side)])
			continue;
		uint64_t n = hold(plan, PO_DELETE, side, (int)f);
		r->held_deletions[side] += n;
		if (n > 0)
			snprintf(r->why, sizeof(r->why), "%llu deletions on the %s side are held: the folder's ids "
				 "changed and too few items were found again", (unsigned long long)n, side_name(side));
	}
}

static void check_creations(struct plan *plan, const struct guard_input *in, enum side side,
			    struct guard_result *r)
{
	const struct conf_guard *g = in->limits;
	uint64_t n = count_ops(plan, PO_CREATE, side), again = 0;

	if (!in->first_done || n == 0)
		return;
	for (size_t i = 0; i < plan->n_ops; i++) {
		const struct plan_op *op = &plan->ops[i];

		if (op->kind == PO_CREATE && op->side == side && op->news[side_other(side)]->known_again)
			again++;
	}
	bool flood = n > g->max_creations && over_percent(n, in->total_places, g->creations_percent);
	if (!flood && again <= g->min_deletions)
		return;
	r->held_creations[side] += hold(plan, PO_CREATE, side, -1);
	snprintf(r->why, sizeof(r->why), "%llu creations on the %s side are held: %s",
		 (unsigned long long)r->held_creations[side], side_name(side),
		 flood ? "more than half of the pairing at once" : "known items came back under new ids");
}

void guard_apply(struct plan *plan, const struct guard_input *in, struct guard_result *r)
{
	*r = (struct guard_result){ 0 };
	for (int s = 0; s < SIDES; s++) {
		check_lost(plan, (enum side)s, r);
		check_deletions(plan, in, (enum side)s, r);
		check_creations(plan, in, (enum side)s, r);
	}
}
