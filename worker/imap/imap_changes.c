/* imap_changes.c - what is new, changed and gone since a cursor.
 *
 * The ladder: QRESYNC (one SELECT tells everything), CONDSTORE (changes by CHANGEDSINCE, deletions
 * only if the counts say that there are any), nothing (list everything).
 *
 * 1. A deletion is told only from two signs that agree: for a delta, count of the cursor + new -
 *    vanished == EXISTS; for a full listing, messages listed by UID FETCH == EXISTS and nothing was
 *    expunged meanwhile. If they do not agree: list everything, twice at the most, then `complete` is
 *    false. SEARCH is never believed.
 * 2. The cursor holds the HIGHESTMODSEQ from before the listing: a change meanwhile is seen again.
 * 3. A HIGHESTMODSEQ that went down is a restored backup, a MODSEQ that does not arrive a server that
 *    does not mean it: both are listed completely.
 * SELECT and FETCH of many folders are sent without waiting (see imap_fetch.c), those of folders that are being
 * made right behind their CREATE.
 * Its tests: tests/unit/t_imap_session.c, tests/e2e/test_extensions.py.
 */
#include "imap_fetch.h"

#include <stdio.h>
#include <stdlib.h>

#define WINDOW 150
#define ROUNDS 3
#define GAPS_MAX 20000           /* more UIDs than this that came and went: list everything */
#define AHEAD_MAX 100            /* new messages of a folder that are described along with the changes */
#define PRESIZE ((size_t)200000)

struct cursor {
	uint32_t uidvalidity, uidnext, count;
	uint64_t modseq;                 /* 0 = cannot be used */
};

enum mode { MODE_QRESYNC, MODE_CHANGED, MODE_FULL };

/* One folder of the call. */
struct watch {
	struct imap *im;
	struct ep_changes *c;
	struct cursor since;
	bool has_since;
	enum mode mode;
	unsigned full_rounds;
	bool done;
	struct imap_call select, fetch, probe, ahead;
	struct imap_selected at_select, at_end;
	bool modseq_missing, modseq_seen;
	struct ep_item *items;
	uint32_t *uids;                  /* of items, same order */
	size_t n, cap, uids_cap;
	uint32_t *gone;
	size_t n_gone, gone_cap;
	bool too_many;                   /* VANISHED named more than anybody can have */
};

/* The call. */
struct watching {
	struct imap *im;
	struct watch *watches;
	size_t n;
	struct imap_making *makes;       /* of those with ep_changes.make */
	size_t n_makes;
};

/* --- cursors --- */

static bool cursor_read(struct span s, struct cursor *c)
{
	uint64_t v[4];
	struct span part;

	if (!span_next(&s, ' ', &part) || !span_eq_str(part, "i1"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		if (!span_next(&s, ' ', &part) || !span_u64(part, i < 3 ? UINT32_MAX : UINT64_MAX, &v[i]))
			return false;
	*c = (struct cursor){ (uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2], v[3] };
	return true;
}

static struct span cursor_write(struct arena *arena, const struct cursor *c)
{
	return span_of(arena_printf(arena, "i1 %u %u %u %llu", c->uidvalidity, c->uidnext, c->count,
				    (unsigned long long)c->modseq));
}

/* --- answers --- */

static void add_item(struct watch *w, const struct imap_fetched *f)
{
	struct arena *arena = w->im->arena;

	w->items = arena_grow(arena, w->items, w->n, sizeof(*w->items), &w->cap);
	w->uids = arena_grow(arena, w->uids, w->n, sizeof(*w->uids), &w->uids_cap);
	w->items[w->n] = (struct ep_item){ .flags = f->flags, .keywords = f->keywords };
	w->uids[w->n++] = f->uid;
}

static enum code take_fetch(struct watch *w, struct imap_resp *r, struct err *err)
{
	struct imap_fetched f;
	enum code rc = imap_fetched_parse(w->im->arena, r->rest, &f, err);

	if (rc != E_OK || f.uid == 0)
		return rc;
	if (f.header.p != NULL && f.has_size)
		imap_known_add(w->im, imap_box(w->im, w->c->folder->name), &f);
	w->modseq_seen |= f.has_modseq;
	if (!f.has_flags)
		return E_OK;
	w->modseq_missing |= !f.has_modseq;
	add_item(w, &f);
	return E_OK;
}

/* Only UIDs that the cursor knew of can have vanished since. */
static void take_vanished(struct watch *w, struct imap_cur cur)
{
	struct imap_tok tok;
	struct span inner;
	uint32_t lo, hi;

	if (w->mode != MODE_QRESYNC || !imap_next_list(&cur, &inner) || !span_eq_nocase_str(inner, "EARLIER"))
		return;
	if (imap_next(&cur, &tok) != IMAP_T_ATOM)
		return;
	while (imap_set_next(&tok.text, &lo, &hi)) {
		if (lo == 0 || lo >= w->since.uidnext)
			continue;
		if (hi >= w->since.uidnext)
			hi = w->since.uidnext - 1;
		if ((uint64_t)hi - lo + 1 + w->n_gone > w->since.count) {
			w->too_many = true;  /* more than there were: list instead */
			return;
		}
		for (uint64_t uid = lo; uid <= hi; uid++) {
			w->gone = arena_grow(w->im->arena, w->gone, w->n_gone, sizeof(*w->gone), &w->gone_cap);
			w->gone[w->n_gone++] = (uint32_t)uid;
		}
	}
}

static enum code on_data(void *ctx, struct imap *im, struct imap_resp *r, struct err *err)
{
	const struct imap_call *call = imap_call_now(im);
	struct watch *w = call != NULL ? call->ctx : NULL;

	(void)ctx;
	if (w == NULL)
		return E_OK;
	if (r->has_number && span_eq_nocase_str(r->name, "FETCH"))
		return take_fetch(w, r, err);
	if (!r->has_number && span_eq_nocase_str(r->name, "VANISHED"))
		take_vanished(w, r->rest);
	return E_OK;
}

static void on_select(void *ctx, struct imap_call *call)
{
	struct watch *w = ctx;
	size_t expected = w->im->sel.exists < PRESIZE ? w->im->sel.exists : PRESIZE;

	w->at_select = w->at_end = w->im->sel;
	if (call->status != IMAP_OK || w->mode != MODE_FULL || w->n > 0)
		return;
	w->items = arena_calloc(w->im->arena, expected + 1, sizeof(*w->items));
	w->uids = arena_calloc(w->im->arena, expected + 1, sizeof(*w->uids));
	w->cap = w->uids_cap = expected + 1;
}

static void on_fetched(void *ctx, struct imap_call *call)
{
	struct watch *w = ctx;

	(void)call;
	w->at_end = w->im->sel;
}

/* --- asking --- */

static void forget_answers(struct watch *w)
{
	w->n = w->n_gone = w->cap = w->uids_cap = w->gone_cap = 0;
	w->items = NULL;
	w->uids = w->gone = NULL;
	w->too_many = w->modseq_missing = w->modseq_seen = false;
	w->select = (struct imap_call){ .done = on_select, .ctx = w };
	w->fetch = (struct imap_call){ .after = &w->select, .done = on_fetched, .ctx = w };
	w->probe = (struct imap_call){ .after = &w->select, .ctx = w };
	w->ahead = (struct imap_call){ .after = &w->select, .ctx = w };
}

static enum code send_fetch(struct watch *w, struct err *err)
{
	struct imap *im = w->im;

	/* 1:* of an empty mailbox is an error to some; if it filled meanwhile, the counts tell */
	if (w->mode == MODE_FULL && w->c->folder->count == 0 && w->full_rounds == 1)
		return E_OK;
	imap_cmd_begin(im, &w->fetch, "UID FETCH");
	imap_cmd_add(im, " 1:* (FLAGS)");
	if (w->mode == MODE_CHANGED)
		imap_cmd_fmt(im, " (CHANGEDSINCE %llu)", (unsigned long long)w->since.modseq);
	enum code rc = imap_cmd_end(im, &w->fetch, err);
	if (rc != E_OK || w->mode != MODE_FULL || !imap_can(im, IMAP_CAP_CONDSTORE))
		return rc;
	/* does MODSEQ really arrive? */
	imap_cmd_begin(im, &w->probe, "UID FETCH");
	imap_cmd_add(im, " * (MODSEQ)");
	return imap_cmd_end(im, &w->probe, err);
}

/* A few new messages will be described next: ask now, in the same flight. */
static enum code send_ahead(struct watch *w, struct err *err)
{
	struct imap *im = w->im;
	struct imap_box *box = imap_box(im, w->c->folder->name);

	box->n_known = 0;
	if (box->uidvalidity != w->since.uidvalidity || box->listed_uidnext <= w->since.uidnext ||
	    box->listed_uidnext - w->since.uidnext > AHEAD_MAX)
		return E_OK;
	imap_cmd_begin(im, &w->ahead, "UID FETCH");
	imap_cmd_fmt(im, " %u:%u", w->since.uidnext, box->listed_uidnext - 1);
	imap_cmd_add(im, imap_meta_items(im));
	return imap_cmd_end(im, &w->ahead, err);
}

static enum code send_watch(struct watch *w, struct err *err)
{
	struct imap *im = w->im;
	char params[80] = "";

	forget_answers(w);
	w->full_rounds += w->mode == MODE_FULL;
	if (w->mode == MODE_QRESYNC)
		snprintf(params, sizeof(params), " (QRESYNC (%u %llu))", w->since.uidvalidity,
			 (unsigned long long)w->since.modseq);
	else if (imap_can(im, IMAP_CAP_CONDSTORE))
		snprintf(params, sizeof(params), " (CONDSTORE)");
	enum code rc = imap_send_select(im, &w->select, w->c->folder->name, params, err);
	if (rc == E_OK && w->mode != MODE_QRESYNC)
		rc = send_fetch(w, err);
	else if (rc == E_OK)
		rc = send_ahead(w, err);
	return rc == E_OK ? imap_await_window(im, WINDOW, err) : rc;
}

/* --- judging --- */

struct pair {
	uint32_t uid;
	uint32_t at;
};

static int pair_cmp(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Ascending, each UID once; of two answers about one message the later counts. */
static void sort_items(struct watch *w)
{
	bool ascending = true;
	size_t n = 0;

	for (size_t i = 1; i < w->n && ascending; i++)
		ascending = w->uids[i - 1] < w->uids[i];
	if (ascending)
		return;
	struct pair *order = arena_calloc(w->im->arena, w->n, sizeof(*order));
	struct ep_item *sorted = arena_calloc(w->im->arena, w->n, sizeof(*sorted));
	for (size_t i = 0; i < w->n; i++)
		order[i] = (struct pair){ w->uids[i], (uint32_t)i };
	qsort(order, w->n, sizeof(*order), pair_cmp);
	for (size_t i = 0; i < w->n; i++) {
		if (n > 0 && w->uids[n - 1] == order[i].uid)
			n--;
		sorted[n] = w->items[order[i].at];
		w->uids[n++] = order[i].uid;
	}
	w->items = sorted;
	w->n = n;
}

static size_t count_new(const struct watch *w)
{
	size_t n = 0;

	while (n < w->n && w->uids[w->n - 1 - n] >= w->since.uidnext)
		n++;
	return n;
}

/* Do the counts agree with what was told? */
static bool agrees(struct watch *w)
{
	uint64_t expected;

	if (w->mode == MODE_FULL)
		return w->at_end.expunges == 0 && w->n == w->at_end.exists;
	if (w->too_many || w->at_select.modseq < w->since.modseq || w->at_end.expunges > 0)
		return false;
	if (w->mode == MODE_CHANGED && w->modseq_missing)
		return false;
	if (w->at_select.uidnext < w->since.uidnext ||
	    w->at_select.uidnext - w->since.uidnext - count_new(w) > GAPS_MAX)
		return false;
	w->n_gone = imap_uids_sort(w->gone, w->n_gone);
	expected = (uint64_t)w->since.count + count_new(w);
	return expected >= w->n_gone && expected - w->n_gone == w->at_end.exists;
}

/* UIDs given out since the cursor and not there any more: whoever created them meanwhile (ourselves,
 * after the cursor was taken) learns that they are gone; to everybody else they are unknown ids. */
static void add_gaps(struct watch *w)
{
	size_t i = 0;

	for (uint32_t uid = w->since.uidnext; uid < w->at_select.uidnext; uid++) {
		while (i < w->n && w->uids[i] < uid)
			i++;
		if (i < w->n && w->uids[i] == uid)
			continue;
		w->gone = arena_grow(w->im->arena, w->gone, w->n_gone, sizeof(*w->gone), &w->gone_cap);
		w->gone[w->n_gone++] = uid;
	}
}

static void tell(struct watch *w, bool complete)
{
	struct arena *arena = w->im->arena;
	struct ep_changes *c = w->c;
	struct imap_box *box = imap_box(w->im, c->folder->name);
	struct cursor next = {
		.uidvalidity = w->at_select.uidvalidity, .uidnext = w->at_select.uidnext,
		.count = w->at_end.exists, .modseq = w->at_select.modseq,
	};

	if (complete && w->mode != MODE_FULL)
		add_gaps(w);
	for (size_t i = 0; i < w->n; i++)
		w->items[i].id = imap_uid_span(arena, w->uids[i]);
	c->items = w->items;
	c->n = w->n;
	c->gone = arena_calloc(arena, w->n_gone + 1, sizeof(*c->gone));
	for (size_t i = 0; i < w->n_gone; i++)
		c->gone[i] = imap_uid_span(arena, w->gone[i]);
	c->n_gone = w->n_gone;
	c->full = w->mode == MODE_FULL;
	c->complete = complete;
	c->code = E_OK;
	if (w->n > 0 && w->uids[w->n - 1] >= next.uidnext)
		next.uidnext = w->uids[w->n - 1] + 1;
	if (next.uidnext == 0)
		next.uidnext = 1;
	if (!imap_can(w->im, IMAP_CAP_CONDSTORE) || (w->mode == MODE_FULL && w->n > 0 && !w->modseq_seen))
		next.modseq = 0;
	c->cursor = complete ? cursor_write(arena, &next) : SPAN_NONE;
	c->flags_r = box->perm_known ? box->flags : EP_FLAGS_ALL;
	c->keywords_r = !box->perm_known || box->star;
	box->uidvalidity = w->at_select.uidvalidity;
}

static enum code give_up(struct watch *w, enum code code, struct err *why, struct err *err)
{
	if (code_scope(code) == SCOPE_SIDE) {
		if (err != NULL)
			*err = *why;
		return code;
	}
	w->c->code = code;
	w->c->text = arena_printf(w->im->arena, "%s", err_text(why));
	w->done = true;
	return E_OK;
}

/* After a round: told, refused, or to be asked again with a full listing. */
static enum code judge(struct watch *w, struct err *err)
{
	struct err why = ERR_INIT;
	bool fetched = w->fetch.tag != 0;

	if (w->select.status != IMAP_OK)
		return give_up(w, imap_refusal(IMAP_AT_FOLDER, &w->select, &why), &why, err);
	if (fetched && w->fetch.status != IMAP_OK && w->mode == MODE_FULL)
		return give_up(w, imap_refusal(IMAP_AT_FOLDER, &w->fetch, &why), &why, err);
	if (w->has_since && w->at_select.uidvalidity != w->since.uidvalidity) {
		imap_box(w->im, w->c->folder->name)->n_known = 0;
		w->c->reset = true;
		w->has_since = false;
		if (w->mode != MODE_FULL) {
			w->mode = MODE_FULL;
			return E_OK;
		}
	}
	sort_items(w);
	bool ok = agrees(w) && (!fetched || w->fetch.status == IMAP_OK);
	if (!ok && w->full_rounds < ROUNDS - 1) {
		w->mode = MODE_FULL;
		return E_OK;
	}
	tell(w, ok);
	w->done = true;
	return E_OK;
}

/* What could not be made is not there to be read. */
static void drop_unmade(struct watching *v)
{
	for (size_t i = 0; i < v->n; i++) {
		struct ep_changes *c = v->watches[i].c;

		if (c->make == NULL || ep_folder_made(c->make))
			continue;
		c->code = c->make->code;
		c->text = c->make->text;
		v->watches[i].done = true;
	}
}

static bool make_pending(const struct watch *w)
{
	return w->c->make != NULL && w->select.status != IMAP_OK;
}

/* The folders of the call are made in the flight of its first round. */
static enum code one_round(struct watching *v, bool first, bool *more_r, struct err *err)
{
	enum code rc = first ? imap_make_begin(v->im, v->makes, v->n_makes, err) : E_OK;

	*more_r = false;
	for (size_t i = 0; i < v->n && rc == E_OK; i++)
		if (!v->watches[i].done)
			rc = send_watch(&v->watches[i], err);
	if (rc == E_OK)
		rc = imap_await_window(v->im, 0, err);
	if (rc == E_OK && first) {
		rc = imap_make_end(v->im, v->makes, v->n_makes, err);
		drop_unmade(v);
	}
	for (size_t i = 0; i < v->n && rc == E_OK; i++) {
		struct watch *w = &v->watches[i];

		/* made at the second try, under another name perhaps */
		if (!w->done && !(first && make_pending(w)))
			rc = judge(w, err);
		*more_r |= !w->done;
	}
	return rc;
}

enum code imap_changes_verb(struct endpoint *ep, struct arena *arena, struct ep_changes *c, size_t n,
			    struct err *err)
{
	struct imap *im = ep->impl;
	struct watching v = { .im = im, .watches = arena_calloc(arena, n + 1, sizeof(*v.watches)), .n = n,
			      .makes = arena_calloc(arena, n + 1, sizeof(*v.makes)) };
	enum code rc = imap_enter(im, arena, err);
	bool more = n > 0;

	for (size_t i = 0; i < n; i++) {
		struct watch *w = &v.watches[i];

		if (c[i].make != NULL)
			v.makes[v.n_makes++].op = c[i].make;

		c[i].code = E_CANCELLED;
		w->im = im;
		w->c = &c[i];
		w->has_since = cursor_read(c[i].since, &w->since);
		w->mode = !w->has_since || w->since.modseq == 0 || !imap_can(im, IMAP_CAP_CONDSTORE) ? MODE_FULL
			: im->qresync ? MODE_QRESYNC : MODE_CHANGED;
	}
	im->sink = (struct imap_sink){ .data = on_data };
	for (bool first = true; rc == E_OK && more; first = false)
		rc = one_round(&v, first, &more, err);
	im->sink = (struct imap_sink){ 0 };
	return rc;
}
