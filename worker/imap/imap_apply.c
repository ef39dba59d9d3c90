/* imap_apply.c - changes: flags, copies, moves and removals folder by folder, then the creates.
 *
 * 1. A command that changes a mailbox is sent only after the answer to its SELECT was seen and its
 *    UIDVALIDITY is the one that the engine knows. The SELECT of the next folder rides along.
 * 2. Nothing is expunged but what was asked for: UID EXPUNGE; without UIDPLUS a plain EXPUNGE only if
 *    a listing shows that no other message of the folder is marked \Deleted.
 * 3. Without MOVE the original is touched only after COPY was answered OK.
 * 4. What was sent and not answered is uncertain.
 * Removals come before creates: they make room. Its tests: tests/unit/t_imap_session.c,
 * tests/e2e/test_imap_*.py.
 */
#include "imap_apply.h"

#include "../../common/fail.h"
#include "../data/flags.h"

#include <stdlib.h>

#define SET_MAX ((size_t)6000)

/* --- one folder's commands --- */

static int str_cmp(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "");
}

/* Order of ops within a folder: by kind, then what is done alike together, then by UID. */
static int op_cmp(const struct ep_op *x, const struct ep_op *y)
{
	static const int rank[] = { [EP_FLAGS] = 0, [EP_COPY] = 1, [EP_MOVE] = 2, [EP_REMOVE] = 3, [EP_CREATE] = 4 };
	int d = rank[x->kind] - rank[y->kind];

	if (d == 0 && x->kind == EP_FLAGS) {
		if (x->flags != y->flags)
			return x->flags < y->flags ? -1 : 1;
		if (x->flags_remove != y->flags_remove)
			return x->flags_remove < y->flags_remove ? -1 : 1;
		d = str_cmp(x->keywords, y->keywords);
		if (d == 0)
			d = str_cmp(x->keywords_remove, y->keywords_remove);
	}
	if (d == 0 && (x->kind == EP_COPY || x->kind == EP_MOVE))
		d = span_cmp(x->to->name, y->to->name);
	return d;
}

struct item {
	struct ep_op *op;
	uint32_t uid;
};

static int item_cmp(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int d = op_cmp(x->op, y->op);

	return d != 0 ? d : x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* Cut the folder's ops into runs that one command each can do. */
static void make_batches(struct imap_applying *a, const struct imap_group *g)
{
	struct arena *arena = a->im->arena;
	struct item *items = arena_calloc(arena, g->n, sizeof(*items));

	for (size_t i = 0; i < g->n; i++)
		items[i] = (struct item){ &a->ops[g->wants[i].index], g->wants[i].uid };
	qsort(items, g->n, sizeof(*items), item_cmp);
	a->n = 0;
	for (size_t i = 0; i < g->n; i++) {
		struct imap_batch *b = a->n > 0 ? &a->batches[a->n - 1] : NULL;

		if (b == NULL || b->n == SET_MAX / 11 || op_cmp(items[i - 1].op, items[i].op) != 0) {
			a->batches = arena_grow(arena, a->batches, a->n, sizeof(*a->batches), &a->cap);
			b = &a->batches[a->n++];
			*b = (struct imap_batch){ .kind = items[i].op->kind };
			b->ops = arena_calloc(arena, SET_MAX / 11, sizeof(*b->ops));
			b->uids = arena_calloc(arena, SET_MAX / 11, sizeof(*b->uids));
		}
		b->ops[b->n] = items[i].op;
		b->uids[b->n++] = items[i].uid;
	}
}

static void add_set(struct imap *im, const struct imap_batch *b)
{
	imap_cmd_add(im, " ");
	(void)imap_uids_add(&im->cmd, b->uids, 0, b->n, SIZE_MAX);
}

enum code imap_send_store(struct imap *im, struct imap_call *call, const struct imap_batch *b, const char *how,
			    uint32_t flags, const char *keywords, struct err *err)
{
	imap_cmd_begin(im, call, "UID STORE");
	add_set(im, b);
	imap_cmd_add(im, how);
	imap_cmd_flags(im, flags, keywords);
	return imap_cmd_end(im, call, err);
}

/* Keywords that the mailbox knows already, or all if it takes new ones. */
static const char *storable(struct imap *im, const char *keywords)
{
	const struct imap_box *box = im->sel.box;

	if (keywords == NULL || box == NULL || !box->perm_known || box->star)
		return keywords;
	return kw_minus(im->arena, keywords, kw_minus(im->arena, keywords, box->keywords));
}

static enum code send_flags(struct imap *im, struct imap_batch *b, struct err *err)
{
	const struct ep_op *op = b->ops[0];
	const struct imap_box *box = im->sel.box;
	uint32_t able = box != NULL && box->perm_known ? box->flags : EP_FLAGS_ALL;
	uint32_t add = op->flags & able, remove = op->flags_remove & able;
	const char *kw_add = storable(im, op->keywords), *kw_remove = storable(im, op->keywords_remove);
	struct imap_call *first = &b->call;
	enum code rc = E_OK;

	b->call.status = IMAP_OK;            /* nothing that could be stored here */
	if (add != 0 || kw_add != NULL) {
		if (remove != 0 || kw_remove != NULL)
			first = arena_alloc(im->arena, sizeof(*first));
		rc = imap_send_store(im, first, b, " +FLAGS.SILENT", add, kw_add, err);
	}
	if (rc == E_OK && (remove != 0 || kw_remove != NULL))
		rc = imap_send_store(im, &b->call, b, " -FLAGS.SILENT", remove, kw_remove, err);
	return rc;
}

enum code imap_send_copy(struct imap *im, struct imap_batch *b, const char *verb, struct err *err)
{
	imap_cmd_begin(im, &b->call, verb);
	add_set(im, b);
	imap_cmd_name(im, b->ops[0]->to->name);
	b->call.ctx = b;
	return imap_cmd_end(im, &b->call, err);
}

/* Mark and expunge exactly these. */
enum code imap_send_remove(struct imap *im, struct imap_batch *b, struct err *err)
{
	struct imap_call *store = arena_alloc(im->arena, sizeof(*store));
	enum code rc = imap_send_store(im, store, b, " +FLAGS.SILENT", EP_DELETED, NULL, err);

	if (rc != E_OK)
		return rc;
	imap_cmd_begin(im, &b->call, "UID EXPUNGE");
	add_set(im, b);
	return imap_cmd_end(im, &b->call, err);
}

static bool needs_turn(const struct imap *im, const struct imap_batch *b)
{
	bool moves = b->kind == EP_MOVE && !imap_can(im, IMAP_CAP_MOVE);

	return moves || (b->kind == EP_REMOVE && !imap_can(im, IMAP_CAP_UIDPLUS));
}

static enum code send_batch(struct imap *im, struct imap_batch *b, struct err *err)
{
	b->sent = true;
	switch (b->kind) {
	case EP_FLAGS:
		return send_flags(im, b, err);
	case EP_COPY:
		return imap_send_copy(im, b, "UID COPY", err);
	case EP_MOVE:
		return imap_send_copy(im, b, "UID MOVE", err);
	case EP_REMOVE:
		return imap_send_remove(im, b, err);
	case EP_CREATE:
		break;
	}
	return err_set(err, E_INTERNAL, "a create among the changes");
}

/* --- COPYUID --- */

/* "uidvalidity from-set to-set", the sets in step. */
static void take_copyuid(struct imap *im, struct imap_batch *b, struct span args)
{
	const struct imap_box *to = imap_box(im, b->ops[0]->to->name);
	struct span part, from, dest;
	uint64_t uidvalidity;
	uint32_t flo = 1, fhi = 0, tlo = 1, thi = 0;

	if (!span_next(&args, ' ', &part) || !span_u64(part, UINT32_MAX, &uidvalidity) ||
	    !span_next(&args, ' ', &from) || !span_next(&args, ' ', &dest))
		return;
	b->copied = true;
	for (size_t i = 0; i < b->n;) {
		if (flo > fhi && !imap_set_next(&from, &flo, &fhi))
			return;
		if (tlo > thi && !imap_set_next(&dest, &tlo, &thi))
			return;
		while (i < b->n && b->uids[i] < flo)
			i++;
		if (i < b->n && b->uids[i] == flo) {
			if (to->uidvalidity == 0 || to->uidvalidity == uidvalidity)
				b->ops[i]->new_id = imap_uid_span(im->arena, tlo);
			b->ops[i]->code = E_OK;
		}
		if (flo == UINT32_MAX || tlo == UINT32_MAX)
			return;
		flo++;
		tlo++;
	}
}

/* The first UID of "uidvalidity from-set to-set". */
static bool first_source(struct span args, uint32_t *uid_r)
{
	struct span part;
	uint32_t hi;

	return span_next(&args, ' ', &part) && span_next(&args, ' ', &part) && imap_set_next(&part, uid_r, &hi);
}

static bool has_uid(const struct imap_batch *b, uint32_t uid)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->uids[i] == uid)
			return true;
	return false;
}

/* MOVE tells in an untagged answer, which may come before the tagged ones of commands in front of it
 * (Dovecot): its UIDs say whose it is. */
static enum code on_status(void *ctx, struct imap *im, struct imap_resp *r, struct err *err)
{
	struct imap_applying *a = ctx;
	uint32_t uid;

	(void)err;
	if (!span_eq_nocase_str(r->code, "COPYUID") || !first_source(r->args, &uid))
		return E_OK;
	for (size_t i = 0; i < a->n; i++) {
		struct imap_batch *b = &a->batches[i];

		if (b->kind != EP_MOVE || !b->sent || b->copied || !has_uid(b, uid))
			continue;
		take_copyuid(im, b, r->args);
		break;
	}
	return E_OK;
}

/* --- outcomes --- */

static enum code keep_side_err(struct imap_applying *a, const struct err *why)
{
	if (code_scope(why->code) != SCOPE_SIDE)
		return E_OK;
	if (a->side_err.code == E_OK)
		a->side_err = *why;
	return why->code;
}

void imap_batch_set(struct imap *im, struct imap_batch *b, enum code code, const struct err *why)
{
	const char *text = why != NULL ? arena_printf(im->arena, "%s", err_text(why)) : NULL;

	for (size_t i = 0; i < b->n; i++)
		imap_op_set(b->ops[i], code, text);
}

static void settle_copies(struct imap_applying *a, struct imap_batch *b)
{
	if (!b->copied && span_eq_nocase_str(b->call.code, "COPYUID"))
		take_copyuid(a->im, b, b->call.args);
	/* with UIDPLUS an item that is not in the answer was not there any more */
	for (size_t i = 0; i < b->n; i++)
		if (b->ops[i]->code != E_OK)
			imap_op_set(b->ops[i], b->copied ? E_ITEM_GONE : E_OK, NULL);
}

static void settle_batch(struct imap_applying *a, struct imap_batch *b)
{
	struct err why = ERR_INIT;

	if (!b->sent)
		return;
	if (b->call.status == IMAP_PENDING) {
		imap_batch_set(a->im, b, E_ITEM_UNCERTAIN, NULL);
	} else if (b->call.status != IMAP_OK) {
		enum code code = imap_refusal(IMAP_AT_ITEM, &b->call, &why);

		if (keep_side_err(a, &why) == E_OK)
			imap_batch_set(a->im, b, code, &why);
	} else if (b->kind == EP_MOVE || b->kind == EP_COPY) {
		settle_copies(a, b);
	} else {
		imap_batch_set(a->im, b, E_OK, NULL);
	}
}

/* --- folder after folder --- */

static enum code work_folder(struct imap_applying *a, struct imap_group *g, struct imap_group *next, struct err *err)
{
	struct imap *im = a->im;
	enum code rc = E_OK;

	make_batches(a, g);
	for (size_t i = 0; i < a->n && rc == E_OK; i++) {
		if (needs_turn(im, &a->batches[i]))
			continue;
		if (fail_step("imap change"))
			rc = err_set(err, E_CANCELLED, "stopped");
		else
			rc = send_batch(im, &a->batches[i], err);
	}
	bool alone = false;
	for (size_t i = 0; i < a->n; i++)
		alone |= needs_turn(im, &a->batches[i]);
	if (rc == E_OK && next != NULL && !alone)
		rc = imap_group_select(im, next, err);
	if (rc == E_OK)
		rc = imap_await_window(im, 0, err);
	for (size_t i = 0; i < a->n && rc == E_OK; i++) {
		struct imap_batch *b = &a->batches[i];

		if (needs_turn(im, b))
			rc = b->kind == EP_MOVE ? imap_move_by_copy(im, b, err) : imap_remove_alone(im, b, err);
	}
	for (size_t i = 0; i < a->n; i++)
		settle_batch(a, &a->batches[i]);
	return rc;
}

static void refuse_folder(struct imap_applying *a, struct imap_group *g)
{
	const char *text = arena_printf(a->im->arena, "%s", err_text(&g->err));

	if (keep_side_err(a, &g->err) != E_OK)
		return;
	for (size_t i = 0; i < g->n; i++)
		imap_op_set(&a->ops[g->wants[i].index], g->err.code, text);
}

static enum code work_all(struct imap_applying *a, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; i < a->groups.n && rc == E_OK; i++) {
		struct imap_group *g = &a->groups.g[i];
		struct imap_group *next = i + 1 < a->groups.n ? g + 1 : NULL;

		if (!g->selected)
			rc = imap_group_select(a->im, g, err);
		if (rc == E_OK)
			rc = imap_await_window(a->im, 0, err);
		if (rc != E_OK)
			break;
		if (g->refused)
			refuse_folder(a, g);
		else
			rc = work_folder(a, g, next, err);
	}
	return rc;
}

enum code imap_apply_verb(struct endpoint *ep, struct arena *arena, struct ep_op *ops, size_t n, struct err *err)
{
	struct imap *im = ep->impl;
	struct imap_applying a = { .im = im, .ops = ops, .side_err = ERR_INIT };
	struct ep_op **creates = arena_calloc(arena, n + 1, sizeof(*creates));
	size_t n_creates = 0;
	enum code rc = imap_enter(im, arena, err);

	for (size_t i = 0; i < n; i++) {
		imap_op_set(&ops[i], E_CANCELLED, NULL);
		ops[i].new_id = SPAN_NONE;
		if (ops[i].kind == EP_CREATE)
			creates[n_creates++] = &ops[i];
		else if (!imap_groups_add(arena, &a.groups, ops[i].folder, ops[i].id, i))
			ops[i].code = E_ITEM_GONE;
	}
	imap_groups_sort(&a.groups);
	im->sink = (struct imap_sink){ .status = on_status, .ctx = &a };
	if (rc == E_OK)
		rc = work_all(&a, err);
	im->sink = (struct imap_sink){ 0 };
	if (rc == E_OK && n_creates > 0)
		rc = imap_append_all(im, creates, n_creates, err);
	if (rc == E_OK && a.side_err.code != E_OK) {
		if (err != NULL)
			*err = a.side_err;
		rc = a.side_err.code;
	}
	return rc;
}
