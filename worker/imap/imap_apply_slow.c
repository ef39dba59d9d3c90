/* imap_apply_slow.c - removing without UIDPLUS and moving without MOVE: what needs answers in between.
 *
 * 1. A plain EXPUNGE is sent only if a listing just showed that nothing else of the folder is marked
 *    \Deleted. Else the messages stay marked, and that is told.
 * 2. The original of a move is touched only after COPY was answered OK.
 * Its test: tests/unit/t_imap_session.c.
 */
#include "imap_apply.h"

bool imap_needs_turn(const struct imap *im, const struct imap_batch *b)
{
	bool moves = b->kind == EP_MOVE && !imap_can(im, IMAP_CAP_MOVE);

	return moves || (b->kind == EP_REMOVE && !imap_can(im, IMAP_CAP_UIDPLUS));
}

struct marked {
	uint32_t *uids;
	size_t n, cap;
};

static enum code on_marked(void *ctx, struct imap *im, struct imap_resp *r, struct err *err)
{
	struct marked *m = ctx;
	struct imap_fetched f;

	if (!r->has_number || !span_eq_nocase_str(r->name, "FETCH"))
		return E_OK;
	enum code rc = imap_fetched_parse(im->arena, r->rest, &f, err);
	if (rc == E_OK && f.uid != 0 && (f.flags & EP_DELETED)) {
		m->uids = arena_grow(im->arena, m->uids, m->n, sizeof(*m->uids), &m->cap);
		m->uids[m->n++] = f.uid;
	}
	return rc;
}

/* Is anything marked \Deleted that is not in the batch? */
static enum code others_marked(struct imap *im, const struct imap_batch *b, bool *others_r, struct err *err)
{
	struct imap_sink before = im->sink;
	struct imap_call call = { 0 };
	struct marked m = { 0 };

	im->sink = (struct imap_sink){ .data = on_marked, .ctx = &m };
	imap_cmd_begin(im, &call, "UID FETCH");
	imap_cmd_add(im, " 1:* (FLAGS)");
	enum code rc = imap_cmd_end(im, &call, err);
	if (rc == E_OK)
		rc = imap_await(im, &call, err);
	im->sink = before;
	*others_r = call.status != IMAP_OK;
	m.n = imap_uids_sort(m.uids, m.n);
	for (size_t i = 0, k = 0; i < m.n && !*others_r; i++) {
		while (k < b->n && b->uids[k] < m.uids[i])
			k++;
		*others_r = k == b->n || b->uids[k] != m.uids[i];
	}
	return rc;
}

/* Mark, then expunge if that takes nothing else with it. */
static enum code remove_alone(struct imap *im, struct imap_batch *b, struct err *err)
{
	struct imap_call store = { 0 };
	bool others = true;
	enum code rc = imap_send_store(im, &store, b, " +FLAGS.SILENT", EP_DELETED, NULL, err);

	b->sent = true;
	if (rc == E_OK)
		rc = imap_await(im, &store, err);
	if (rc == E_OK && store.status != IMAP_OK) {
		b->call = store;
		return E_OK;
	}
	if (rc == E_OK)
		rc = others_marked(im, b, &others, err);
	if (rc != E_OK)
		return rc;
	if (!others)
		return imap_cmd_run(im, &b->call, "EXPUNGE", err);
	b->sent = false;                     /* its outcome is told here */
	for (size_t i = 0; i < b->n; i++)
		imap_op_set(b->ops[i], E_ITEM_REFUSED, "marked as deleted; it cannot be expunged alone on a "
			 "server without UIDPLUS while other messages are marked as well");
	return E_OK;
}

static enum code mark_and_expunge(struct imap *im, struct imap_batch *b, struct err *err)
{
	struct imap_call call = { 0 };
	enum code rc = imap_send_store(im, &call, b, " +FLAGS.SILENT", EP_DELETED, NULL, err);

	if (rc == E_OK)
		rc = imap_await(im, &call, err);
	return rc == E_OK && call.status == IMAP_OK ? imap_cmd_run(im, &b->call, "EXPUNGE", err) : rc;
}

static enum code move_by_copy(struct imap *im, struct imap_batch *b, struct err *err)
{
	struct imap_batch rest = { .ops = b->ops, .uids = b->uids, .n = b->n, .kind = EP_REMOVE };
	bool others = false;
	enum code rc = E_OK;

	if (!imap_can(im, IMAP_CAP_UIDPLUS))
		rc = others_marked(im, b, &others, err);
	if (rc != E_OK)
		return rc;
	if (others) {
		for (size_t i = 0; i < b->n; i++)
			imap_op_set(b->ops[i], E_ITEM_REFUSED, "it cannot be moved on a server without MOVE and "
				 "UIDPLUS while other messages of its folder are marked as deleted");
		return E_OK;
	}
	b->sent = true;
	rc = imap_send_copy(im, b, "UID COPY", err);
	if (rc == E_OK)
		rc = imap_await(im, &b->call, err);
	if (rc != E_OK || b->call.status != IMAP_OK)
		return rc;
	rc = imap_can(im, IMAP_CAP_UIDPLUS) ? imap_send_remove(im, &rest, err) : mark_and_expunge(im, &rest, err);
	if (rc == E_OK)
		rc = imap_await_window(im, 0, err);
	if (rest.call.status != IMAP_OK) {
		/* the copy is there, and the original may be: the next pass looks */
		b->sent = false;
		imap_batch_set(im, b, E_ITEM_UNCERTAIN, NULL);
	}
	return rc;
}

enum code imap_change_slowly(struct imap_applying *a, struct err *err)
{
	struct imap *im = a->im;
	enum code rc = E_OK;

	for (size_t i = 0; i < a->n && rc == E_OK; i++) {
		struct imap_work *w = &a->work[i];

		for (size_t k = 0; k < w->n && rc == E_OK && !w->group->refused; k++) {
			struct imap_batch *b = &w->batches[k];

			if (!imap_needs_turn(im, b))
				continue;
			rc = imap_group_select(im, w->group, err);
			if (rc == E_OK)
				rc = imap_await_window(im, 0, err);
			if (rc == E_OK && !w->group->refused)
				rc = b->kind == EP_MOVE ? move_by_copy(im, b, err) : remove_alone(im, b, err);
		}
	}
	return rc;
}
