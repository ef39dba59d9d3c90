/* imap_apply.c - changes: flags, copies, moves and removals of all folders, then the creates.
 *
 * Three round trips, however many folders: (1) SELECT each that was not seen just now, to see that
 * its UIDVALIDITY is the one that the engine knows; (2) the changes, removals only as a mark;
 * (3) expunge what was marked. With one folder it stays selected, and (2) and (3) are one; so they are for a
 * folder that was looked at twice just now, by the reads of this pass and by what prepared this call.
 * 1. A command that changes a mailbox is sent only after a SELECT of it was answered with the known
 *    UIDVALIDITY; one that cannot be undone (an expunge) only after two, each sent after the answer to the one
 *    before it and the last answered less than two seconds ago, or after the one of the mark.
 * 2. Nothing is expunged but what was asked for: UID EXPUNGE; without UIDPLUS a plain EXPUNGE only if
 *    a listing shows that no other message of the folder is marked \Deleted.
 * 3. Without MOVE the original is touched only after COPY was answered OK.
 * 4. What was sent and not answered is uncertain; what was marked and not expunged is still there.
 * Removals come before creates: they make room. Its tests: tests/unit/t_imap_session.c,
 * tests/e2e/test_imap_*.py.
 */
#include "imap_apply.h"

#include "../../common/fail.h"
#include "../data/flags.h"

#include <stdlib.h>

#define SET_MAX ((size_t)6000)
#define WINDOW 100                 /* commands under way at the most */

/* --- one folder's commands --- */

static int str_cmp(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "");
}

/* Order of ops within a folder: by kind, then what is done alike together, then by UID. */
static int op_cmp(const struct ep_op *x, const struct ep_op *y)
{
	static const int rank[] = { [EP_FLAGS] = 0, [EP_COPY] = 1, [EP_MOVE] = 2, [EP_REMOVE] = 3, [EP_CREATE] = 4,
				    [EP_UPDATE] = 5 };
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
static void make_batches(struct imap_applying *a, struct imap_work *w)
{
	const struct imap_group *g = w->group;
	struct arena *arena = a->im->arena;
	struct item *items = arena_calloc(arena, g->n, sizeof(*items));
	size_t cap = 0;

	for (size_t i = 0; i < g->n; i++)
		items[i] = (struct item){ &a->ops[g->wants[i].index], g->wants[i].uid };
	qsort(items, g->n, sizeof(*items), item_cmp);
	for (size_t i = 0; i < g->n; i++) {
		struct imap_batch *b = w->n > 0 ? &w->batches[w->n - 1] : NULL;

		if (b == NULL || b->n == SET_MAX / 11 || op_cmp(items[i - 1].op, items[i].op) != 0) {
			w->batches = arena_grow(arena, w->batches, w->n, sizeof(*w->batches), &cap);
			b = &w->batches[w->n++];
			*b = (struct imap_batch){ .kind = items[i].op->kind, .select = &w->group->select };
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
	call->after = b->select;
	imap_cmd_begin(im, call, "UID STORE");
	add_set(im, b);
	imap_cmd_add(im, how);
	imap_cmd_flags(im, flags, keywords);
	return imap_cmd_end(im, call, err);
}

/* Keywords that the mailbox knows already, or all if it takes new ones. */
static const char *storable(struct imap *im, const struct imap_box *box, const char *keywords)
{
	if (keywords == NULL || !box->perm_known || box->star)
		return keywords;
	return kw_minus(im->arena, keywords, kw_minus(im->arena, keywords, box->keywords));
}

static enum code send_flags(struct imap *im, struct imap_batch *b, struct err *err)
{
	const struct ep_op *op = b->ops[0];
	const struct imap_box *box = imap_box(im, op->folder->name);
	uint32_t able = box->perm_known ? box->flags : EP_FLAGS_ALL;
	uint32_t add = op->flags & able, remove = op->flags_remove & able;
	const char *kw_add = storable(im, box, op->keywords), *kw_remove = storable(im, box, op->keywords_remove);
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
	b->call.after = b->select;
	return imap_cmd_end(im, &b->call, err);
}

static enum code send_mark(struct imap *im, struct imap_batch *b, struct err *err)
{
	return imap_send_store(im, &b->mark, b, " +FLAGS.SILENT", EP_DELETED, NULL, err);
}

static enum code send_expunge(struct imap *im, struct imap_batch *b, struct err *err)
{
	b->call.after = b->select;
	imap_cmd_begin(im, &b->call, "UID EXPUNGE");
	add_set(im, b);
	return imap_cmd_end(im, &b->call, err);
}

/* Mark and expunge exactly these. */
enum code imap_send_remove(struct imap *im, struct imap_batch *b, struct err *err)
{
	enum code rc = send_mark(im, b, err);

	return rc == E_OK ? send_expunge(im, b, err) : rc;
}

/* Looked at twice. */
static bool is_sure(const struct imap *im, const struct imap_box *box)
{
	return box->sure && imap_seen_lately(im, box);
}

static enum code send_batch(struct imap_applying *a, struct imap_batch *b, struct err *err)
{
	struct imap *im = a->im;

	if (fail_step("imap change"))
		return err_set(err, E_CANCELLED, "stopped");
	if (b->kind == EP_REMOVE && a->n > 1 && !is_sure(im, imap_box(im, b->ops[0]->folder->name)))
		return send_mark(im, b, err);
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
	case EP_UPDATE:
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

static struct imap_work *work_of(struct imap_applying *a, const struct imap_box *box)
{
	for (size_t i = 0; box != NULL && i < a->n; i++)
		if (span_eq(a->work[i].group->folder->name, box->name))
			return &a->work[i];
	return NULL;
}

/* MOVE tells in an untagged answer, which may come before the tagged ones of commands in front of it
 * (Dovecot): the mailbox that is selected and its UIDs say whose it is. */
static enum code on_status(void *ctx, struct imap *im, struct imap_resp *r, struct err *err)
{
	struct imap_applying *a = ctx;
	uint32_t uid;

	(void)err;
	if (!span_eq_nocase_str(r->code, "COPYUID") || !first_source(r->args, &uid))
		return E_OK;
	struct imap_work *w = work_of(a, im->sel.box);
	for (size_t i = 0; w != NULL && i < w->n; i++) {
		struct imap_batch *b = &w->batches[i];

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

static void refuse_folder(struct imap_applying *a, struct imap_group *g)
{
	const char *text = arena_printf(a->im->arena, "%s", err_text(&g->err));

	if (keep_side_err(a, &g->err) != E_OK)
		return;
	for (size_t i = 0; i < g->n; i++)
		imap_op_set(&a->ops[g->wants[i].index], g->err.code, text);
}

/* The call that tells how it went: a removal that could not even be marked ends there. */
static const struct imap_call *last_call(const struct imap_batch *b)
{
	bool unmarked = b->kind == EP_REMOVE && b->mark.status > IMAP_OK;

	return unmarked ? &b->mark : &b->call;
}

static void settle_batch(struct imap_applying *a, struct imap_batch *b)
{
	struct err why = ERR_INIT;
	const struct imap_call *call = last_call(b);

	if (!b->sent && call == &b->call)
		return;
	if (call->status == IMAP_PENDING) {
		imap_batch_set(a->im, b, E_ITEM_UNCERTAIN, NULL);
	} else if (call->status != IMAP_OK) {
		enum code code = imap_refusal(IMAP_AT_ITEM, call, &why);

		if (keep_side_err(a, &why) == E_OK)
			imap_batch_set(a->im, b, code, &why);
	} else if (b->kind == EP_MOVE || b->kind == EP_COPY) {
		settle_copies(a, b);
	} else {
		imap_batch_set(a->im, b, E_OK, NULL);
	}
}

/* --- all folders --- */

static enum code see_all(struct imap_applying *a, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; i < a->n && rc == E_OK; i++) {
		const struct imap_box *box = imap_box(a->im, a->work[i].group->folder->name);

		if (is_sure(a->im, box) || (a->n > 1 && imap_seen_lately(a->im, box)))
			continue;
		rc = imap_group_select(a->im, a->work[i].group, err);
		if (rc == E_OK)
			rc = imap_await_window(a->im, WINDOW, err);
	}
	return rc == E_OK ? imap_await_window(a->im, 0, err) : rc;
}

static enum code send_changes(struct imap_applying *a, struct imap_work *w, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; i < w->n && rc == E_OK; i++) {
		if (imap_needs_turn(a->im, &w->batches[i]))
			continue;
		rc = w->begun ? E_OK : imap_group_select(a->im, w->group, err);
		w->begun = true;
		if (rc == E_OK)
			rc = send_batch(a, &w->batches[i], err);
		if (rc == E_OK)
			rc = imap_await_window(a->im, WINDOW, err);
	}
	return rc;
}

/* Nothing is left to do or to hear but that it was done. */
static bool all_sent(const struct imap_applying *a)
{
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < a->work[i].n; k++) {
			const struct imap_batch *b = &a->work[i].batches[k];

			if (!b->sent || (b->kind != EP_FLAGS && b->kind != EP_REMOVE))
				return false;
		}
	return true;
}

/* From the last one backwards: it is the one that is selected. What comes next may go in the same flight. */
static enum code change_all(struct imap_applying *a, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = a->n; i-- > 0 && rc == E_OK;)
		if (!a->work[i].group->refused)
			rc = send_changes(a, &a->work[i], err);
	return rc == E_OK && !all_sent(a) ? imap_await_window(a->im, 0, err) : rc;
}

/* Its answers are not awaited here: what comes next may go in the same flight. */
static enum code expunge_all(struct imap_applying *a, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; i < a->n && rc == E_OK; i++) {
		struct imap_work *w = &a->work[i];

		for (size_t k = 0; k < w->n && rc == E_OK; k++) {
			struct imap_batch *b = &w->batches[k];

			if (b->mark.status != IMAP_OK || b->sent || w->group->refused)
				continue;
			if (fail_step("imap expunge"))
				return err_set(err, E_CANCELLED, "stopped");
			rc = imap_group_select(a->im, w->group, err);
			b->sent = rc == E_OK;
			if (rc == E_OK)
				rc = send_expunge(a->im, b, err);
			if (rc == E_OK)
				rc = imap_await_window(a->im, WINDOW, err);
		}
	}
	return rc;
}

static void settle_all(struct imap_applying *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct imap_work *w = &a->work[i];

		if (w->group->refused) {
			refuse_folder(a, w->group);
			continue;
		}
		for (size_t k = 0; k < w->n; k++)
			settle_batch(a, &w->batches[k]);
	}
}

static enum code work_all(struct imap_applying *a, struct err *err)
{
	enum code rc;

	a->n = a->groups.n;
	a->work = arena_calloc(a->im->arena, a->n + 1, sizeof(*a->work));
	for (size_t i = 0; i < a->n; i++) {
		a->work[i].group = &a->groups.g[i];
		make_batches(a, &a->work[i]);
	}
	rc = see_all(a, err);
	if (rc == E_OK)
		rc = change_all(a, err);
	if (rc == E_OK)
		rc = imap_change_slowly(a, err);
	return rc == E_OK ? expunge_all(a, err) : rc;
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
	if (rc == E_OK)
		rc = imap_await_window(im, 0, err);          /* what was asked ahead */
	im->sink = (struct imap_sink){ .status = on_status, .ctx = &a };
	if (rc == E_OK)
		rc = work_all(&a, err);
	im->sink = (struct imap_sink){ 0 };
	if (rc == E_OK && n_creates > 0)
		rc = imap_append_all(im, creates, n_creates, err);
	if (rc == E_OK)
		rc = imap_await_window(im, 0, err);
	settle_all(&a);
	if (rc == E_OK && a.side_err.code != E_OK) {
		if (err != NULL)
			*err = a.side_err;
		rc = a.side_err.code;
	}
	return rc;
}
