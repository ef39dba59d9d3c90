/* record.c - what the base learns: decisions that need no write, intents, and the results of writes. */
#include "records.h"

#include "../../common/clock.h"
#include "../../common/log.h"

#define RETRY_MAX_S ((int64_t)24 * 3600)
#define NAME_BYTES 250       /* of a Message-ID, for people */

static struct span folder_path(const struct apply *a, int folder, enum side side)
{
	const struct ep_folder *f = folder >= 0 ? a->p->plan.folders[folder].ep[side] : NULL;

	return f != NULL ? f->path : SPAN_NONE;
}

static enum code journal_named(struct apply *a, const struct plan_op *op, const char *what, int64_t item,
			       struct span old_id, int to, struct span new_id, struct span name, struct err *err)
{
	struct base_journal j = { .op = what, .why = op->why, .side = op->side, .item = item,
				  .old_folder = folder_path(a, op->folder, op->side), .old_id = old_id,
				  .new_folder = folder_path(a, to, op->side), .new_id = new_id, .detail = name };

	return base_journal_add(a->p->base, &j, err);
}

static enum code journal(struct apply *a, const struct plan_op *op, const char *what, int64_t item,
			 struct span old_id, int to, struct span new_id, struct err *err)
{
	return journal_named(a, op, what, item, old_id, to, new_id, SPAN_NONE, err);
}

/* --- decisions --- */

static enum code drop_solo(struct apply *a, const struct plan_new *n, struct err *err)
{
	return n->solo != NULL && n->solo->row != 0 ? base_solo_delete(a->p->base, n->solo->row, err) : E_OK;
}

static enum code adopt(struct apply *a, struct plan_op *op, struct err *err)
{
	struct base_place *b = &op->place->base;
	enum code rc = drop_solo(a, op->news[SIDE_LEFT], err);

	if (rc == E_OK)
		rc = drop_solo(a, op->news[SIDE_RIGHT], err);
	b->folder = a->p->plan.folders[op->folder].base->row;
	b->kind = a->p->plan.folders[op->folder].base->kind;
	b->learned[SIDE_LEFT] = b->learned[SIDE_RIGHT] = true;
	if (rc == E_OK)
		rc = b->row != 0 ? base_place_update(a->p->base, b, err) : base_place_insert(a->p->base, b, err);
	a->p->result->adopted++;
	return rc;
}

static enum code settle(struct apply *a, struct plan_place *pp, struct flagset after, struct err *err)
{
	pp->base.flags = after;
	return base_place_update(a->p->base, &pp->base, err);
}

static enum code hold_delete(struct apply *a, struct plan_op *op, struct err *err)
{
	const struct base_place *b = &op->place->base;
	struct base_solo o = { .folder = b->folder, .side = op->side, .id = b->id[op->side],
			       .state = SOLO_HELD_DELETE, .key = b->key, .has_key = true, .size = b->size,
			       .flags = b->flags, .code = E_HELD, .text = op->why };
	enum code rc = base_place_delete(a->p->base, b, err);

	return rc == E_OK ? base_solo_save(a->p->base, &o, err) : rc;
}

/* Deleted inside the archive by the other side: under `archive` this side's copy stays where it is. */
static enum code stays_archived(struct apply *a, struct plan_op *op, struct err *err)
{
	const struct base_place *b = &op->place->base;
	struct base_solo o = { .folder = b->folder, .side = op->side, .id = b->id[op->side], .state = SOLO_PARKED,
			       .key = b->key, .has_key = true, .size = b->size, .flags = b->flags,
			       .text = "archived because the other side deleted it" };
	enum code rc = base_place_delete(a->p->base, b, err);

	if (op->place->solo != NULL)
		o.row = op->place->solo->row;
	op->held = true;         /* nothing to write */
	return rc == E_OK ? base_solo_save(a->p->base, &o, err) : rc;
}

static struct base_solo *solo_of(struct apply *a, const struct plan_new *n, struct arena *arena)
{
	struct base_solo *o = arena_alloc(arena, sizeof(*o));

	if (n->solo != NULL)
		*o = *n->solo;
	o->folder = a->p->plan.folders[n->folder].base->row;
	o->side = n->side;
	o->id = n->id;
	if (n->identity != NULL) {
		o->key = n->identity->key;
		o->has_key = true;
		o->size = n->identity->size;
	}
	o->flags = n->now;
	return o;
}

static enum code hold_create(struct apply *a, struct plan_op *op, struct err *err)
{
	struct base_solo *o = solo_of(a, op->news[side_other(op->side)], a->arena);

	o->state = SOLO_HELD_CREATE;
	o->code = E_HELD;
	o->text = op->why;
	return base_solo_save(a->p->base, o, err);
}

static enum code park(struct apply *a, struct plan_op *op, struct err *err)
{
	op->solo->id = op->news[op->side]->id;
	return base_solo_save(a->p->base, op->solo, err);
}

static enum code decide(struct apply *a, struct plan_op *op, struct err *err)
{
	switch (op->kind) {
	case PO_FORGET:
		return base_place_delete(a->p->base, &op->place->base, err);
	case PO_ANCHOR: {
		enum code rc = drop_solo(a, op->news[op->side], err);

		op->place->base.learned[op->side] = true;
		return rc == E_OK ? base_place_update(a->p->base, &op->place->base, err) : rc;
	}
	case PO_ADOPT:
		return adopt(a, op, err);
	case PO_SETTLE:
		return settle(a, op->place, op->write->after, err);
	case PO_PARK:
		return park(a, op, err);
	case PO_DELETE:
		if (op->held)
			return hold_delete(a, op, err);
		if (a->p->env->pairing->deletions[op->side] == DELETIONS_ARCHIVE &&
		    apply_archive_folder(a, op->side) == op->folder)
			return stays_archived(a, op, err);
		return E_OK;
	case PO_CREATE:
		return op->held ? hold_create(a, op, err) : E_OK;
	case PO_FLAGS:
	case PO_MOVE:
	case PO_MERGE:
	case PO_KINDS:
		break;
	}
	return E_OK;
}

enum code pass_displace(struct pass *p, struct plan_place *pp, struct err *err)
{
	struct base_place b = pp->base;
	bool any = false;

	for (int s = 0; s < SIDES; s++) {
		if (!pp->voided[s] || pp->adopted)
			continue;
		b.id[s] = span_of(arena_printf(p->arena, "void %lld", (long long)b.row));
		if (pp->gone[s])
			pp->base.id[s] = b.id[s];
		any = true;
	}
	return any ? base_place_update(p->base, &b, err) : E_OK;
}

enum code record_decisions(struct apply *a, struct err *err)
{
	struct plan *plan = &a->p->plan;
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < plan->n_places; i++)
		rc = pass_displace(a->p, plan->places[i], err);
	/* forgotten rows first: their ids may stand again in adopted or anchored ones */
	for (size_t i = 0; rc == E_OK && i < plan->n_ops; i++) {
		if (plan->ops[i].kind == PO_FORGET)
			rc = decide(a, &plan->ops[i], err);
	}
	for (size_t i = 0; rc == E_OK && i < plan->n_ops; i++) {
		if (plan->ops[i].kind != PO_FORGET)
			rc = decide(a, &plan->ops[i], err);
	}
	return rc;
}

/* --- creates --- */

int64_t apply_retry_at(const struct apply *a, int64_t attempts)
{
	int64_t wait_s = a->p->env->conf->item_retry_ms / 1000;

	for (int64_t i = 0; i < attempts && wait_s < RETRY_MAX_S; i++)
		wait_s *= 2;
	return clock_wall_s() + (wait_s < RETRY_MAX_S ? wait_s : RETRY_MAX_S);
}

static enum code quarantine(struct apply *a, struct base_solo *o, enum code code, const char *text, struct err *err)
{
	o->state = SOLO_QUARANTINED;
	o->next_s = apply_retry_at(a, o->attempts++);
	o->code = code;
	o->text = text != NULL ? text : code_text(code);
	log_warning("one item is left out on the %s side: %s", side_name(side_other(o->side)), o->text);
	return base_solo_save(a->p->base, o, err);
}

/* What is known before asking the target: empty and oversized items are not even tried. */
static enum code precheck(const struct apply *a, const struct plan_op *op, const struct ep_fetch *f,
			  const char **text_r)
{
	uint64_t max = a->p->ep[op->side]->caps.max_item_bytes;

	*text_r = NULL;
	if (body_size(f->body) == 0) {
		*text_r = "the message is empty";
		return E_ITEM_BAD;
	}
	if (max > 0 && body_size(f->body) > max) {
		*text_r = "the message is larger than the other side accepts";
		return E_ITEM_TOO_BIG;
	}
	return E_OK;
}

static enum code forget_revived(struct apply *a, const struct plan_op *op, struct err *err)
{
	return op->place != NULL ? base_place_delete(a->p->base, &op->place->base, err) : E_OK;
}

static enum code keep_intent(struct apply *a, struct base_solo *o, struct err *err)
{
	uint32_t late_s = a->p->ep[side_other(o->side)]->caps.late_s;

	o->state = SOLO_INTENT;
	o->code = E_OK;
	o->text = NULL;
	o->next_s = late_s > 0 ? clock_wall_s() + late_s : 0;
	return base_solo_save(a->p->base, o, err);
}

/* The identities that a folder's places have, loaded once a pass. */
static enum code known_load(struct apply *a, int64_t folder, struct err *err)
{
	struct base_place *places;
	size_t n;

	if (a->known_folders == NULL) {
		a->known_folders = arena_calloc(a->p->arena, a->p->plan.n_folders + 1, sizeof(int64_t));
		idmap_init(&a->known, a->p->arena, 1024);
	}
	for (size_t i = 0; i < a->n_known; i++) {
		if (a->known_folders[i] == folder)
			return E_OK;
	}
	enum code rc = base_places(a->p->base, folder, SIDE_LEFT, a->p->arena, &places, &n, err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		idmap_put(&a->known, (uint64_t)folder, span_bytes(places[i].key.fp, MAILKEY_SIZE), a);
	a->known_folders[a->n_known++] = folder;
	return rc;
}

/* A UID stands for one item of a folder; of several files with the same one only the first goes over. */
static enum code has_twin(struct apply *a, const struct window *w, size_t i, bool *twin_r, struct err *err)
{
	const struct rec_made *mine = w->made[i];
	int64_t folder = w->solos[i]->folder;
	struct span fp = span_bytes(mine->key.fp, MAILKEY_SIZE);
	enum code rc = known_load(a, folder, err);

	*twin_r = false;
	if (rc != E_OK || mine->uid.n == 0 || w->ops[i]->place != NULL)   /* its own place, which it revives */
		return rc;
	*twin_r = idmap_get(&a->known, (uint64_t)folder, fp) != NULL;
	if (!*twin_r)
		idmap_put(&a->known, (uint64_t)folder, arena_span(a->p->arena, fp), a);
	return E_OK;
}

static enum code record_intent(struct apply *a, struct window *w, size_t i, struct err *err)
{
	struct base_solo *o = w->solos[i];
	struct err why = ERR_INIT;
	enum code rc = records_make(a, w, i, &w->made[i], &o->next_s, &why);

	if (w->made[i]->key.has_msgid || rc == E_OK) {
		o->key = w->made[i]->key;
		o->has_key = true;
	}
	o->name = w->made[i]->name;
	if (rc == E_HELD) {
		o->state = SOLO_PARKED;
		o->code = E_OK;
		o->text = "it is outside the pairing's window of dates";
		return base_solo_save(a->p->base, o, err);
	}
	if (rc != E_OK && code_scope(rc) == SCOPE_ITEM)
		return quarantine(a, o, rc, arena_str(w->arena, span_of(err_text(&why))), err);
	if (rc != E_OK)
		return err_set(err, rc, "%s", err_text(&why));
	bool twin = false;
	rc = has_twin(a, w, i, &twin, err);
	if (rc == E_OK && twin)
		return quarantine(a, o, E_ITEM_REFUSED, "there is another item of the same UID in this folder", err);
	return rc == E_OK ? keep_intent(a, o, err) : rc;
}

static enum code intent(struct apply *a, struct window *w, size_t i, struct err *err)
{
	struct plan_op *op = w->ops[i];
	struct plan_new *n = op->news[side_other(op->side)];
	struct ep_fetch *f = &w->fetch[i];
	const char *text;

	if (f->code == E_ITEM_GONE || (f->code == E_OK && f->body == NULL)) {
		/* the next pass sees it gone, or hears nothing of it: some servers do not tell what came and went */
		a->p->plan.folders[op->folder].dirty[n->side] = true;
		return drop_solo(a, n, err);
	}
	if (f->code != E_OK && code_scope(f->code) != SCOPE_ITEM) {
		a->p->plan.folders[op->folder].dirty[n->side] = true;
		return E_OK;
	}
	struct base_solo *o = solo_of(a, n, w->arena);
	w->solos[i] = o;
	enum code rc = forget_revived(a, op, err);
	if (rc != E_OK)
		return rc;
	if (f->code != E_OK)
		return quarantine(a, o, f->code, f->text, err);
	if (plan_records(&a->p->plan, op->folder))
		return record_intent(a, w, i, err);
	o->key = mailkey_of(body_header(f->body));
	o->has_key = true;
	o->size = body_size(f->body);
	o->name = arena_span(w->arena, span_cut(mailkey_msgid(body_header(f->body)), 0, NAME_BYTES));
	o->flags = (struct flagset){ f->flags, f->keywords };
	enum code bad = precheck(a, op, f, &text);
	if (bad != E_OK)
		return quarantine(a, o, bad, text, err);
	return keep_intent(a, o, err);
}

enum code record_intents(struct apply *a, struct window *w, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < w->n; i++)
		rc = intent(a, w, i, err);
	return rc;
}

void apply_failed(struct apply *a, enum code code, const char *text)
{
	if (a->failure != E_OK || code == E_CANCELLED)
		return;
	a->failure = code;
	size_t n = text != NULL ? strlen(text) : 0;
	if (n >= sizeof(a->failure_text))
		n = sizeof(a->failure_text) - 1;
	if (n > 0)
		memcpy(a->failure_text, text, n);
	a->failure_text[n] = '\0';
}

enum code record_create(struct apply *a, struct window *w, size_t i, const struct ep_op *done, struct err *err)
{
	struct plan_op *op = w->ops[i];
	struct plan_new *n = op->news[side_other(op->side)];
	struct base_solo *o = w->solos[i];
	enum code rc;

	if (done->code == E_CANCELLED && o->next_s != 0) {
		o->next_s = 0;                     /* it never went out */
		return base_solo_save(a->p->base, o, err);
	}
	if (done->code == E_ITEM_UNCERTAIN || done->code == E_CANCELLED)
		return E_OK;                       /* the intent stays: the next pass looks */
	if (done->code != E_OK && code_scope(done->code) == SCOPE_ITEM)
		return quarantine(a, o, done->code, done->text, err);
	if (done->code != E_OK) {
		if (code_scope(done->code) == SCOPE_FOLDER)
			return E_OK;               /* the intent stays: the next pass knows the folder's fate */
		apply_failed(a, done->code, done->text);
		return E_OK;
	}
	a->p->result->created++;
	a->p->done++;
	if (done->new_id.n == 0)
		return E_OK;                       /* it is there, the next pass finds its id by identity */
	struct base_place b = { .kind = a->p->plan.folders[op->folder].base->kind, .folder = o->folder, .key = o->key,
				.size = o->size, .flags = o->flags };
	b.id[n->side] = n->id;
	b.id[op->side] = done->new_id;
	b.made[op->side] = b.learned[n->side] = true;
	b.stable_key[n->side] = w->fetch[i].key;
	rc = base_solo_delete(a->p->base, o->row, err);
	if (rc == E_OK)
		rc = base_place_insert(a->p->base, &b, err);
	if (rc == E_OK && w->made[i] != NULL)
		rc = records_created(a, op, &b, w->made[i], done, err);
	if (rc == E_OK)
		rc = journal_named(a, op, "create", b.item, SPAN_NONE, op->folder, done->new_id, o->name, err);
	return rc;
}

/* --- flags, moves, deletions --- */

static enum code record_flags(struct apply *a, struct plan_op *op, const struct ep_op *done, struct err *err)
{
	struct plan_place *pp = op->place;

	pp->writes--;
	if (done->code != E_OK) {
		pp->failed = true;
		apply_dirty(a, op);
		return E_OK;
	}
	a->p->result->changed++;
	if (pp->writes > 0 || pp->failed)
		return E_OK;
	enum code rc = settle(a, pp, op->write->after, err);
	return rc == E_OK ? journal(a, op, "flags", pp->base.item, pp->base.id[op->side], -1, SPAN_NONE, err) : rc;
}

/* The mover's new id is known; the other side's too if its server told it. */
static enum code record_move(struct apply *a, struct plan_op *op, const struct ep_op *done, struct err *err)
{
	struct plan_place *pp = op->place;
	enum side mover = side_other(op->side);
	struct plan_new *n = op->news[mover];
	struct span old = pp->base.id[op->side];

	if (done->code != E_OK) {
		apply_dirty(a, op);
		return E_OK;
	}
	a->p->result->moved++;
	if (done->new_id.n == 0) {
		struct base_solo *o = solo_of(a, n, a->arena);
		enum code rc = base_place_delete(a->p->base, &pp->base, err);

		o->state = SOLO_INTENT;
		return rc == E_OK ? base_solo_save(a->p->base, o, err) : rc;
	}
	pp->base.folder = a->p->plan.folders[op->to].base->row;
	pp->base.id[mover] = n->id;
	pp->base.id[op->side] = done->new_id;
	pp->base.made[op->side] = pp->base.learned[mover] = true;
	enum code rc = base_place_update(a->p->base, &pp->base, err);
	if (rc == E_OK && plan_records(&a->p->plan, op->to))
		/* it has a new version, and may have been edited as well */
		records_later(a, op, &pp->base, -1, SPAN_NONE);
	return rc == E_OK ? journal(a, op, "move", pp->base.item, old, op->to, done->new_id, err) : rc;
}

static enum code record_delete(struct apply *a, struct plan_op *op, const struct ep_op *done, struct err *err)
{
	struct base_place *b = &op->place->base;
	struct base_record record = { .code = E_OK };

	if (done->code != E_OK && done->code != E_ITEM_GONE) {
		apply_dirty(a, op);
		if (op->solo != NULL)
			return base_solo_delete(a->p->base, op->solo->row, err);
		return E_OK;
	}
	a->p->result->removed++;
	enum code rc = b->row != 0 && plan_records(&a->p->plan, op->folder) ?
		       base_record_get(a->p->base, b->row, a->arena, &record, err) : E_OK;
	if (rc != E_OK)
		return rc;
	rc = op->place->solo != NULL ? base_solo_delete(a->p->base, op->place->solo->row, err) :
		       base_place_delete(a->p->base, b, err);
	if (rc == E_OK && op->solo != NULL && done->new_id.n > 0) {
		op->solo->id = done->new_id;
		rc = base_solo_save(a->p->base, op->solo, err);
	}
	struct base_journal j = { .op = done->kind == EP_REMOVE ? "remove" : "trash", .why = op->why, .side = op->side,
				  .item = b->item, .old_folder = folder_path(a, op->folder, op->side),
				  .old_id = b->id[op->side], .new_id = done->new_id, .before = record.base[op->side],
				  .new_folder = done->to != NULL ? done->to->path : SPAN_NONE };
	return rc == E_OK ? base_journal_add(a->p->base, &j, err) : rc;
}

enum code record_small(struct apply *a, struct plan_op *op, const struct ep_op *done, struct err *err)
{
	if (done->code != E_OK && code_scope(done->code) != SCOPE_ITEM && code_scope(done->code) != SCOPE_FOLDER)
		apply_failed(a, done->code, done->text);
	if (op->kind == PO_FLAGS)
		return record_flags(a, op, done, err);
	if (op->kind == PO_MOVE)
		return record_move(a, op, done, err);
	return record_delete(a, op, done, err);
}
