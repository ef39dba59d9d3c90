/* plan_items.c - from matched places and news to ops: flags, deletions, revivals, creations. Pure. */
#include "plan.h"

const char *plan_op_name(enum plan_op_kind kind)
{
	static const char *const names[PO_KINDS] = {
		[PO_FORGET] = "forget", [PO_ANCHOR] = "anchor", [PO_ADOPT] = "adopt", [PO_SETTLE] = "settle",
		[PO_FLAGS] = "flags", [PO_MOVE] = "move", [PO_DELETE] = "delete", [PO_CREATE] = "create",
		[PO_PARK] = "park", [PO_MERGE] = "update",
	};

	assert((unsigned)kind < PO_KINDS);
	return names[kind];
}

bool plan_records(const struct plan *plan, int folder)
{
	return plan->folders[folder].base->kind != EP_MAIL;
}

bool plan_op_released(const struct plan_op *op)
{
	const struct plan_new *n = op->news[side_other(op->side)];

	if (op->place != NULL && op->place->solo != NULL)
		return true;
	return op->kind == PO_CREATE && n != NULL && n->solo != NULL && n->solo->state == SOLO_LET_CREATE;
}

static struct plan_op *add_op(struct plan *plan, enum plan_op_kind kind, enum side side, int folder,
			      const char *why)
{
	plan->ops = arena_grow(plan->arena, plan->ops, plan->n_ops, sizeof(*plan->ops), &plan->cap_ops);
	struct plan_op *op = &plan->ops[plan->n_ops++];

	*op = (struct plan_op){ .kind = kind, .side = side, .folder = folder, .to = -1, .why = why };
	return op;
}

/* What a side says about the flags, where what it cannot hold counts as unchanged. */
static struct flagset believed(struct plan *plan, const struct plan_place *p, enum side side)
{
	const struct plan_folder *f = &plan->folders[p->folder];
	struct flagset now = p->now[side], base = p->base.flags;

	if (!p->seen[side])
		return base;
	now.flags = (now.flags & f->can_flags[side]) | (base.flags & ~f->can_flags[side]);
	if (!f->can_keywords[side])
		now.keywords = kw_union(plan->arena, now.keywords, base.keywords);
	return now;
}

/* To mark an item as deleted is not a reason to keep it: it is how a delete begins on IMAP, a user's or
 * one of ours that was interrupted. */
static bool changed(struct plan *plan, const struct plan_place *p, enum side side)
{
	struct flagset now = believed(plan, p, side);

	if (p->edited[side])
		return true;
	if (now.flags & EP_DELETED)
		now.flags = (now.flags & ~(uint32_t)EP_DELETED) | (p->base.flags.flags & EP_DELETED);
	return !flagset_eq(now, p->base.flags);
}

static const struct plan_flags *flags_of(struct plan *plan, struct plan_flags flags)
{
	struct plan_flags *f = arena_alloc(plan->arena, sizeof(*f));

	*f = flags;
	return f;
}

/* Merge the flags of a place that both sides hold. */
static void merge_place(struct plan *plan, struct plan_place *p)
{
	struct flagset now[SIDES] = { believed(plan, p, SIDE_LEFT), believed(plan, p, SIDE_RIGHT) };
	struct flagset merged = flagset_merge(plan->arena, p->base.flags, now[SIDE_LEFT], now[SIDE_RIGHT]);
	bool writes = false;

	for (int s = 0; s < SIDES; s++) {
		const struct plan_folder *f = &plan->folders[p->folder];
		uint32_t add = merged.flags & ~now[s].flags & f->can_flags[s];
		uint32_t remove = now[s].flags & ~merged.flags & f->can_flags[s];
		const char *kw_add = f->can_keywords[s] ? kw_minus(plan->arena, merged.keywords,
				now[s].keywords) : NULL;
		const char *kw_remove = kw_minus(plan->arena, now[s].keywords, merged.keywords);

		if (add == 0 && remove == 0 && kw_add == NULL && kw_remove == NULL)
			continue;
		struct plan_op *op = add_op(plan, PO_FLAGS, (enum side)s, p->folder, "flags changed on the other side");
		op->place = p;
		op->write = flags_of(plan, (struct plan_flags){ add, remove, kw_add, kw_remove, merged });
		writes = true;
	}
	if (!writes && !flagset_eq(merged, p->base.flags)) {
		struct plan_op *op = add_op(plan, PO_SETTLE, SIDE_LEFT, p->folder, "both sides changed alike");

		op->place = p;
		op->write = flags_of(plan, (struct plan_flags){ .after = merged });
	}
}

/* Gone on `side`, still on the other. */
static void one_side_gone(struct plan *plan, struct plan_place *p, enum side side)
{
	enum side keeper = side_other(side);

	if (!changed(plan, p, keeper)) {
		struct plan_op *op = add_op(plan, PO_DELETE, keeper, p->folder,
					    p->solo != NULL ? "deleted on the other side; a person let it go" :
					    p->lost[side] ? "not found again on the other side after its ids changed"
							  : "deleted on the other side");
		op->place = p;
		return;
	}
	struct plan_new *n = plan_add_new(plan, p->folder, keeper, p->base.id[keeper]);
	n->now = p->now[keeper];
	plan_identify(plan, n, p->base.key, p->base.size, p->base.stable_key[keeper]);
	n->taken = true;
	n->solo = p->solo;
	struct plan_op *op = add_op(plan, PO_CREATE, side, p->folder,
			"deleted there but changed here: the change wins");
	op->place = p;
	op->news[keeper] = n;
}

/* Which side is written, and what, is known once both contents are read (records.c). */
static void merge_record(struct plan *plan, struct plan_place *p)
{
	enum side writes = p->edited[SIDE_LEFT] ? SIDE_RIGHT : SIDE_LEFT;
	const char *why = p->adopted ? "it is on both sides already" : p->edited[SIDE_LEFT] && p->edited[SIDE_RIGHT] ?
			  "changed on both sides" : "changed on the other side";

	if (p->edited[SIDE_LEFT] || p->edited[SIDE_RIGHT])
		add_op(plan, PO_MERGE, writes, p->folder, why)->place = p;
}

/* A record that could not be read now, a folder of that kind that could be read before and cannot now. */
static void find_doubts(struct plan *plan)
{
	for (size_t i = 0; i < plan->n_news; i++) {
		const struct plan_new *n = plan->news[i];

		if (n->unread && !n->taken)
			plan->doubtful[n->side][plan->folders[n->folder].base->kind] = true;
	}
	for (size_t i = 0; i < plan->n_folders; i++) {
		const struct plan_folder *f = &plan->folders[i];

		for (int s = 0; s < SIDES; s++)
			if (f->blocked && f->base->kind != EP_MAIL && f->base->side[s].cursor.n > 0)
				plan->doubtful[s][f->base->kind] = true;
	}
}

/* Is it gone on one side, but perhaps only moved out of sight? The next pass asks again. */
static bool doubtful(struct plan *plan, const struct plan_place *p)
{
	struct plan_folder *f = &plan->folders[p->folder];
	bool any = false;

	for (int s = 0; s < SIDES; s++) {
		if (!p->gone[s] || p->gone[side_other((enum side)s)] || !plan->doubtful[s][f->base->kind])
			continue;
		f->dirty[s] = any = true;
	}
	return any;
}

static void plan_place(struct plan *plan, struct plan_place *p)
{
	if (p->done)
		return;
	p->done = true;
	if (doubtful(plan, p))
		return;
	if (p->gone[SIDE_LEFT] && p->gone[SIDE_RIGHT]) {
		struct plan_op *op = add_op(plan, PO_FORGET, SIDE_LEFT, p->folder, "gone on both sides");

		op->place = p;
	} else if (p->gone[SIDE_LEFT]) {
		one_side_gone(plan, p, SIDE_LEFT);
	} else if (p->gone[SIDE_RIGHT]) {
		one_side_gone(plan, p, SIDE_RIGHT);
	} else if (plan_records(plan, p->folder)) {
		merge_record(plan, p);
	} else {
		merge_place(plan, p);
	}
}

/* Flags that changed together with a move are written before it, where the item still has its id. */
static void plan_moves(struct plan *plan)
{
	size_t n = plan->n_ops;

	for (size_t i = 0; i < n; i++) {
		struct plan_op move = plan->ops[i];
		size_t first = plan->n_ops;

		if (move.kind != PO_MOVE || plan_records(plan, move.folder))
			continue;
		merge_place(plan, move.place);
		for (size_t j = first; j < plan->n_ops; j++) {
			struct plan_op *flags = &plan->ops[j];

			if (flags->kind != PO_FLAGS || flags->side == move.side)
				continue;
			flags->to = move.to;   /* where the mover has it already */
			flags->news[flags->side] = move.news[flags->side];
		}
	}
}

static const char *why_created(const struct plan_new *n)
{
	if (n->solo != NULL && n->solo->state == SOLO_QUARANTINED)
		return "tried again";
	return n->solo != NULL && n->solo->state == SOLO_LET_CREATE ? "held back; a person decided" : "new";
}

static void plan_new_item(struct plan *plan, struct plan_new *n)
{
	if (n->taken || n->passive || n->skip || n->id.n == 0) {
		if (n->skip)
			plan->folders[n->folder].dirty[n->side] = true;
		return;
	}
	n->taken = true;
	struct plan_op *op = add_op(plan, PO_CREATE, side_other(n->side), n->folder, why_created(n));
	op->news[n->side] = n;
}

void plan_items(struct plan *plan)
{
	size_t n_news = plan->n_news;

	find_doubts(plan);
	plan_moves(plan);
	for (size_t i = 0; i < plan->n_places; i++)
		plan_place(plan, plan->places[i]);
	/* newest first: listings ascend */
	for (size_t i = n_news; i-- > 0;)
		plan_new_item(plan, plan->news[i]);
}
