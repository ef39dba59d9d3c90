/* folders.c - lists both trees, pairs them, and makes creations and renames happen.
 *
 * Every round lists again, so that what a server did by itself (children that follow a rename) is
 * seen instead of guessed. A folder's row is committed with the path that is wanted before it is
 * created: an interrupted creation is adopted by that path.
 */
#include "pass_private.h"

#include "../../common/log.h"
#include "../data/path.h"

#define ROUNDS_MAX 300

static bool has_inbox(const struct ep_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->folders[i].role == EP_ROLE_INBOX && list->folders[i].selectable)
			return true;
	}
	return false;
}

/* A mailbox without a folder: a new account on a server that has no mail, and begins with none. Where there was
 * one before, or an inbox has to be, something is wrong. */
static enum code check_empty(struct pass *p, enum side s, struct err *err)
{
	bool known = (p->ep[s]->caps.kinds & (1u << EP_MAIL)) != 0;
	struct base_folder *rows = NULL;
	size_t n = 0;
	enum code rc = base_folders(p->base, p->arena, &rows, &n, err);

	for (size_t i = 0; rc == E_OK && i < n; i++)
		known |= rows[i].side[s].id.n > 0;
	if (rc == E_OK && known)
		rc = err_set(err, E_NO_FOLDERS, "%s: the mailbox shows no folders at all",
			     p->env->pairing->mailbox[s].endpoint->name);
	return rc;
}

static enum code check_list(struct pass *p, enum side s, struct err *err)
{
	const struct ep_list *list = &p->list[s];
	const char *name = p->env->pairing->mailbox[s].endpoint->name;

	if (!list->complete)
		return err_set(err, E_INCOMPLETE, "%s: the list of folders is incomplete", name);
	if (list->n == 0)
		return check_empty(p, s, err);
	if ((p->ep[s]->caps.kinds & p->env->pairing->kinds & (1u << EP_MAIL)) != 0 && !has_inbox(list))
		return err_set(err, E_NO_FOLDERS, "%s: the mailbox shows no inbox", name);
	return E_OK;
}

static enum code list_both(struct pass *p, struct err *err)
{
	void *items[SIDES] = { &p->list[SIDE_LEFT], &p->list[SIDE_RIGHT] };
	const size_t n[SIDES] = { 1, 1 };

	memset(p->list, 0, sizeof(p->list));
	enum code rc = pass_both(p, EP_V_LIST, p->arena, items, n, err);
	for (int s = 0; rc == E_OK && s < SIDES; s++)
		rc = check_list(p, (enum side)s, err);
	return rc;
}

/* Another id under the same name is stored with the cursors, when the items were found again. */
static void fill_side(struct base_folder_side *b, const struct ep_folder *f)
{
	b->path = f->path;
	b->name = f->name;
	if (b->id.n > 0 && b->stable == f->id_stable && !span_eq(b->id, f->id))
		return;
	b->id = f->id;
	b->stable = f->id_stable;
}

/* Bring a pair's row up to what both listings say. */
static enum code save_row(struct pass *p, struct plan_folder *f, struct err *err)
{
	struct base_folder_side before[SIDES] = { f->base->side[SIDE_LEFT], f->base->side[SIDE_RIGHT] };
	bool changed = f->base->row == 0;

	for (int s = 0; s < SIDES; s++) {
		if (f->ep[s] == NULL)
			continue;
		fill_side(&f->base->side[s], f->ep[s]);
		changed |= !span_eq(before[s].path, f->base->side[s].path) ||
			   !span_eq(before[s].name, f->base->side[s].name) ||
			   !span_eq(before[s].id, f->base->side[s].id) || before[s].stable != f->base->side[s].stable;
	}
	return changed ? base_folder_save(p->base, f->base, err) : E_OK;
}

static enum code refused(struct pass *p, const struct ep_folder_op *op, struct span path, enum side side,
			 struct err *err)
{
	if (code_scope(op->code) != SCOPE_FOLDER && code_scope(op->code) != SCOPE_ITEM)
		return err_set(err, op->code, "%s", op->text != NULL ? op->text : code_text(op->code));
	pass_refused(p, side, path, op->code, op->text);
	return E_OK;
}

/* The colour of the side that has the folder already. */
static struct span color_of(const struct plan_folder *f)
{
	const struct ep_folder *there = f->ep[SIDE_LEFT] != NULL ? f->ep[SIDE_LEFT] : f->ep[SIDE_RIGHT];

	return there != NULL ? there->color : SPAN_NONE;
}

/* Commit the rows with the wanted paths: what is interrupted after this is adopted by path. */
static enum code intend(struct pass *p, const struct folder_step *steps, size_t n, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct plan_folder *f = &p->plan.folders[steps[i].folder];
		enum side side = steps[i].side, from = side_other(side);

		f->base->side[side] = (struct base_folder_side){ .path = steps[i].path };
		f->other_ids[side] = false;
		if (f->ep[from] != NULL)
			fill_side(&f->base->side[from], f->ep[from]);
		rc = base_folder_save(p->base, f->base, err);
	}
	return rc == E_OK ? base_commit(p->base, err) : rc;
}

static struct ep_folder_op create_op(struct pass *p, const struct folder_step *st)
{
	const struct base_folder *row = p->plan.folders[st->folder].base;

	return (struct ep_folder_op){ .kind = EP_FOLDER_CREATE, .path = st->path, .role = row->role,
				      .item_kind = row->kind, .color = color_of(&p->plan.folders[st->folder]) };
}

static enum code created(struct pass *p, const struct folder_step *st, const struct ep_folder_op *op,
			 struct err *err)
{
	struct plan_folder *f = &p->plan.folders[st->folder];
	struct base_journal j = { .op = "create-folder", .why = st->why, .side = st->side, .new_folder = st->path };

	if (op->code != E_OK && op->code != E_FOLDER_EXISTS)
		return refused(p, op, st->path, st->side, err);
	if (!ep_folder_made(op))
		return E_OK;       /* the next pass finds it by its path */
	struct ep_folder *made = arena_alloc(p->arena, sizeof(*made));
	*made = op->folder_r;
	f->ep[st->side] = made;
	p->result->folders_changed++;
	fill_side(&f->base->side[st->side], made);
	enum code rc = base_folder_save(p->base, f->base, err);
	return rc == E_OK ? base_journal_add(p->base, &j, err) : rc;
}

enum code pass_create_folders(struct pass *p, const struct folder_step *steps, size_t n, struct err *err)
{
	struct ep_folder_op *ops[SIDES];
	void *items[SIDES];
	size_t count[SIDES] = { 0, 0 }, at[SIDES] = { 0, 0 };
	enum code rc = intend(p, steps, n, err);

	for (int s = 0; s < SIDES; s++)
		items[s] = ops[s] = arena_calloc(p->arena, n, sizeof(*ops[s]));
	for (size_t i = 0; i < n; i++) {
		enum side s = steps[i].side;

		ops[s][count[s]++] = create_op(p, &steps[i]);
	}
	if (rc == E_OK)
		rc = pass_both(p, EP_V_FOLDERS, p->arena, items, count, err);
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		enum side s = steps[i].side;

		rc = created(p, &steps[i], &ops[s][at[s]++], err);
	}
	return rc;
}

/* The folders will be made when the trees are read. */
static enum code create_later(struct pass *p, const struct folder_step *steps, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct ep_folder_op *op = arena_alloc(p->arena, sizeof(*op));

		*op = create_op(p, &steps[i]);
		p->plan.folders[steps[i].folder].make[steps[i].side] = op;
	}
	return intend(p, steps, n, err);
}

enum code pass_created(struct pass *p, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < p->folders.n_steps; i++) {
		const struct folder_step *st = &p->folders.steps[i];
		const struct ep_folder_op *op = p->plan.folders[st->folder].make[st->side];

		if (op != NULL)
			rc = created(p, st, op, err);
	}
	return rc;
}

static enum code rename_folder(struct pass *p, const struct folder_step *st, struct err *err)
{
	struct plan_folder *f = &p->plan.folders[st->folder];
	struct ep_folder_op op = { .kind = EP_FOLDER_RENAME, .path = st->path, .folder = f->ep[st->side] };
	enum code rc = ep_call(p->ep[st->side], EP_V_FOLDERS, p->arena, &op, 1, err);

	if (rc != E_OK)
		return rc;
	if (op.code != E_OK) {
		rc = refused(p, &op, st->path, st->side, err);
		return rc != E_OK ? rc : save_row(p, f, err);   /* two names from now on */
	}
	p->result->folders_changed++;
	struct base_journal j = { .op = "rename-folder", .why = st->why, .side = st->side,
				  .old_folder = f->ep[st->side]->path, .new_folder = st->path };
	/* our own rename must not look like the user's in the next round */
	f->base->side[st->side].path = op.folder_r.path.n > 0 ? op.folder_r.path : st->path;
	rc = base_folder_save(p->base, f->base, err);
	return rc == E_OK ? base_journal_add(p->base, &j, err) : rc;
}

/* A round has renames or creations, never both; after renames everything is listed again. */
static enum code run_steps(struct pass *p, bool *again_r, struct err *err)
{
	enum code rc = E_OK;
	size_t n = p->folders.n_steps;

	*again_r = n > 0 && p->folders.steps[0].kind == FOLDER_RENAME;
	if (!*again_r)
		return n > 0 ? create_later(p, p->folders.steps, n, err) : E_OK;
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		if (p->folders.steps[i].kind == FOLDER_RENAME)
			rc = rename_folder(p, &p->folders.steps[i], err);
	}
	return rc;
}

static enum code plan_round(struct pass *p, struct err *err)
{
	struct folder_rules rules = {
		.pairing = p->env->pairing,
		.kinds = p->env->pairing->kinds & p->ep[SIDE_LEFT]->caps.kinds & p->ep[SIDE_RIGHT]->caps.kinds,
		.endpoint_name = { p->env->pairing->mailbox[SIDE_LEFT].endpoint->name,
				   p->env->pairing->mailbox[SIDE_RIGHT].endpoint->name },
	};
	struct base_folder *rows;
	size_t n;
	enum code rc = base_folders(p->base, p->arena, &rows, &n, err);

	if (rc != E_OK)
		return rc;
	plan_folders(&p->plan, &rules, rows, n, p->list, &p->folders);
	if (p->env->mode != PASS_SYNC)
		return E_OK;
	for (size_t i = 0; rc == E_OK && i < p->folders.n_forget; i++)
		rc = base_folder_delete(p->base, p->folders.forget[i], err);
	return rc;
}

/* Under `archive` the archive must be there (and paired) before anything is moved into it. */
static enum code ensure_archives(struct pass *p, bool *again_r, struct err *err)
{
	enum code rc = E_OK;

	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		const struct ep_folder *bin;

		if (p->env->pairing->deletions[s] != DELETIONS_ARCHIVE || p->folders.archive[s] != NULL)
			continue;
		rc = pass_bin(p, (enum side)s, &bin, err);
		*again_r = true;
	}
	return rc;
}

enum code pass_folders(struct pass *p, struct err *err)
{
	bool again = true, made = false;
	enum code rc = E_OK;

	for (int round = 0; rc == E_OK && again && round < ROUNDS_MAX; round++) {
		rc = list_both(p, err);
		if (rc == E_OK)
			rc = plan_round(p, err);
		if (rc != E_OK || p->env->mode != PASS_SYNC)
			return rc;
		if (!made)
			rc = ensure_archives(p, &made, err);
		if (rc == E_OK && made && round == 0)
			continue;
		if (rc == E_OK)
			rc = run_steps(p, &again, err);
		for (size_t i = 0; rc == E_OK && !again && i < p->plan.n_folders; i++)
			rc = save_row(p, &p->plan.folders[i], err);
		if (rc == E_OK)
			rc = base_commit(p->base, err);
	}
	return rc;
}

enum code pass_bin(struct pass *p, enum side side, const struct ep_folder **bin_r, struct err *err)
{
	bool archive = p->env->pairing->deletions[side] == DELETIONS_ARCHIVE;
	const struct ep_folder **known = archive ? &p->folders.archive[side] : &p->folders.trash[side];
	struct ep_folder_op op = { .kind = EP_FOLDER_CREATE, .path = archive ? SPAN_LIT("Archive") : SPAN_LIT("Trash"),
				   .role = archive ? EP_ROLE_ARCHIVE : EP_ROLE_TRASH, .item_kind = EP_MAIL };

	if (*known == NULL) {
		enum code rc = ep_call(p->ep[side], EP_V_FOLDERS, p->arena, &op, 1, err);

		if (rc != E_OK)
			return rc;
		if (op.code != E_OK && op.code != E_FOLDER_EXISTS)
			return err_set(err, op.code, "the folder for deleted items could not be made: %s",
				       op.text != NULL ? op.text : code_text(op.code));
		struct ep_folder *made = arena_alloc(p->arena, sizeof(*made));
		*made = op.folder_r;
		*known = made;
	}
	*bin_r = *known;
	return E_OK;
}

static enum code remove_one(struct pass *p, struct plan_folder *f, enum side side, struct err *err)
{
	struct ep_folder_op op = { .kind = EP_FOLDER_REMOVE, .folder = f->ep[side] };
	uint64_t left = 0, kept = 0;
	enum code rc = base_place_count(p->base, f->base->row, &left, err);

	if (rc == E_OK)
		rc = base_solo_count(p->base, f->base->row, &kept, err);
	if (rc != E_OK || left > 0 || kept > 0 || f->dirty[side])
		return rc;
	rc = ep_call(p->ep[side], EP_V_FOLDERS, p->arena, &op, 1, err);
	if (rc != E_OK)
		return rc;
	if (op.code != E_OK && op.code != E_FOLDER_GONE) {
		log_info("folder %.*s stays on the %s side: %s", (int)f->ep[side]->path.n, f->ep[side]->path.p,
			 side_name(side), op.text != NULL ? op.text : code_text(op.code));
		return E_OK;
	}
	p->result->folders_changed++;
	struct base_journal j = { .op = "remove-folder", .why = "removed on the other side", .side = side,
				  .old_folder = f->ep[side]->path };
	rc = base_journal_add(p->base, &j, err);
	if (rc == E_OK)
		rc = base_folder_delete(p->base, f->base->row, err);
	return rc == E_OK ? base_commit(p->base, err) : rc;
}

enum code pass_remove_folders(struct pass *p, struct err *err)
{
	enum code rc = E_OK;

	/* children before parents: the listing's paths, deepest first */
	for (size_t depth = 200; rc == E_OK && depth > 0; depth--) {
		for (size_t i = 0; rc == E_OK && i < p->plan.n_folders; i++) {
			struct plan_folder *f = &p->plan.folders[i];

			for (int s = 0; rc == E_OK && s < SIDES; s++) {
				enum side o = side_other((enum side)s);

				if (f->ep[s] != NULL && f->ep[o] == NULL && f->base->side[o].id.n > 0 &&
				    path_depth(f->ep[s]->path) == depth)
					rc = remove_one(p, f, (enum side)s, err);
			}
		}
	}
	return rc;
}
