/* imap_append.c - all creates of an apply: MULTIAPPEND where offered, else pipelined APPENDs.
 *
 * The literal trap: a server that refuses an APPEND with BAD may take the lines of a
 * non-synchronising literal for commands (Dovecot 2.3 does), so the text of a mail would be executed.
 * It is closed three ways:
 *   (a) only whitelisted flags, valid keywords, our own dates and quoted names are ever sent;
 *   (b) a literal is synchronising, so that the server judges the command before it gets the text,
 *       unless everything in front of it was accepted before on this connection: an APPEND as such,
 *       the mailbox's name (in a SELECT or APPEND), and each keyword (in an APPEND, in a STORE to a UID
 *       that no message has, or the server named it);
 *   (c) a BAD ends the connection at once; nothing more of the literal is sent.
 *
 * 1. MULTIAPPEND is atomic: on NO a batch is halved until the message that is refused is alone.
 * 2. A command that was sent completely and not answered leaves its items uncertain; one that was
 *    not sent completely cannot have been executed.
 * 3. Messages with NUL, without bytes, or over the limit are refused here and never sent.
 * Its tests: tests/unit/t_imap_session.c (the trap among them), tests/e2e/test_imap_*.py.
 */
#include "imap_cmd.h"

#include "../../common/fail.h"
#include "../data/flags.h"

#define BATCH_ITEMS 1000
#define BATCH_BYTES ((uint64_t)8 * 1024 * 1024)
#define MINUS_MAX 4096             /* LITERAL- */
#define WINDOW 16                  /* commands under way at the most */
#define WINDOW_BYTES ((uint64_t)16 * 1024 * 1024)   /* not answered while the next is being sent */
#define RECONNECTS 24
#define UNHEARD ((size_t)256 * 1024)    /* sent of a literal before we look whether it was refused */

struct batch {
	struct ep_op **ops;
	size_t n;
	uint64_t bytes;
	const struct ep_folder *folder;
	struct imap_box *box;
	struct imap_call call;
	bool whole, done;          /* whole: the last byte was handed over */
	bool over;                 /* answered in front of a "+": the stream is in step */
};

struct appending {
	struct imap *im;
	struct batch *batches;
	size_t n, cap;
	size_t before;             /* commands in front of ours that nobody has waited for yet */
	unsigned reconnects;
};

/* --- one message --- */

/* What this mailbox can hold of the keywords. */
static const char *storable(struct imap *im, const struct imap_box *box, const char *keywords)
{
	struct span rest = span_of(keywords), word;
	const char *out = NULL;

	if (!box->perm_known || box->star)
		return keywords;
	while (rest.n > 0 && span_next(&rest, ' ', &word))
		if (kw_has(box->keywords, word))
			out = kw_union(im->arena, out, arena_str(im->arena, word));
	return out;
}

static bool is_utf8_header(const struct imap *im, const struct body *body)
{
	struct span header = body_header(body);

	if (!im->utf8)
		return false;
	for (size_t i = 0; i < header.n; i++)
		if (header.p[i] & 0x80)
			return span_is_utf8(header);
	return false;
}

static bool may_rush(const struct imap *im, const struct batch *b, const char *keywords, uint64_t size)
{
	if (!imap_can(im, IMAP_CAP_LITERAL_PLUS) && !(imap_can(im, IMAP_CAP_LITERAL_MINUS) && size <= MINUS_MAX))
		return false;
	return im->append_proven && b->box->proven && imap_keywords_proven(im, b->box, keywords);
}

/* A server that reads as fast as we write never makes us wait, and so never makes us read. */
static enum code hear(struct imap *im, size_t sent, size_t *unheard, struct err *err)
{
	*unheard += sent;
	if (*unheard < UNHEARD)
		return E_OK;
	*unheard = 0;
	return conn_poll(im->conn, err);
}

static enum code put_body(struct imap *im, struct body *body, struct err *err)
{
	size_t unheard = 0;
	uint64_t at = 0, size = body_size(body);
	enum code rc = E_OK;

	while (rc == E_OK && at < size) {
		struct span piece;

		rc = body_read(body, at, &piece, err);
		if (rc == E_OK && piece.n == 0)
			rc = err_set(err, E_INTERNAL, "a message is shorter than announced");
		if (rc != E_OK) {
			imap_drop(im);       /* the literal cannot be finished */
			return rc;
		}
		piece = span_cut(piece, 0, UNHEARD);
		rc = conn_put(im->conn, piece.p, piece.n, err);
		if (rc == E_OK)
			rc = hear(im, piece.n, &unheard, err);
		if (rc != E_OK)
			return imap_lost(im, rc, err);
		at += piece.n;
		rc = imap_poll(im, err);     /* (c): has it been refused already? */
	}
	return rc;
}

/* Flags, date, literal. E_OK with an answered call if the server refused before the literal. */
static enum code put_message(struct imap *im, struct batch *b, struct ep_op *op, struct err *err)
{
	uint32_t flags = op->flags & (b->box->perm_known ? b->box->flags : EP_FLAGS_ALL);
	const char *keywords = storable(im, b->box, op->keywords);
	uint64_t size = body_size(op->body);
	bool rush = may_rush(im, b, keywords, size), utf8 = is_utf8_header(im, op->body);
	char date[IMAP_DATE_MAX];

	if (flags != 0 || keywords != NULL)
		imap_cmd_flags(im, flags, keywords);
	if (op->received != INT64_MIN)
		imap_cmd_fmt(im, " \"%s\"", imap_date_format(op->received, date));
	imap_cmd_add(im, utf8 ? " UTF8 (~" : " ");
	enum code rc = imap_cmd_literal(im, &b->call, size, rush, err);
	if (rc == E_OK && !rush) {
		rc = imap_await_go(im, &b->call, err);
		if (rc == E_OK && b->call.status == IMAP_PENDING) {
			/* everything in front of the "+" was understood */
			im->append_proven = b->box->proven = true;
			im->keywords_proven = kw_union(im->life, im->keywords_proven, keywords);
		}
		b->over = b->call.status != IMAP_PENDING;
	}
	if (rc == E_OK && b->call.status == IMAP_PENDING)
		rc = put_body(im, op->body, err);
	if (rc == E_OK && utf8 && !b->over)
		imap_cmd_add(im, ")");
	return rc;
}

/* --- one batch --- */

static enum code send_batch(struct imap *im, struct batch *b, struct err *err)
{
	enum code rc = E_OK;

	b->call = (struct imap_call){ 0 };
	b->whole = b->over = false;
	if (fail_step("imap append")) {
		imap_drop(im);
		return err_set(err, E_CANCELLED, "stopped");
	}
	imap_cmd_begin(im, &b->call, "APPEND");
	imap_cmd_name(im, b->folder->name);
	for (size_t i = 0; i < b->n && rc == E_OK && b->call.status == IMAP_PENDING; i++)
		rc = put_message(im, b, b->ops[i], err);
	if (rc == E_OK && b->call.status != IMAP_PENDING) {
		/* answered early: where nobody waited for it, the rest of a literal is on its way */
		if (!b->over)
			imap_drop(im);
		if (b->call.status == IMAP_OK)
			rc = err_set(err, E_PROTOCOL, "the server accepted a message that it had not got");
		return rc;
	}
	if (rc == E_OK)
		rc = imap_cmd_tail(im, err);
	b->whole = rc == E_OK;
	if (rc == E_OK && fail_step("imap appended")) {
		rc = conn_flush(im->conn, err);
		imap_drop(im);
		return err_set(err, E_CANCELLED, "stopped");
	}
	return rc;
}

/* "[APPENDUID uidvalidity set]": the UIDs in the order of the messages. */
static void take_appenduid(struct imap *im, struct batch *b)
{
	struct span rest = b->call.args, part;
	uint64_t uidvalidity, total = 0;
	uint32_t lo, hi;
	size_t at = 0;

	if (!span_eq_nocase_str(b->call.code, "APPENDUID") || !span_next(&rest, ' ', &part) ||
	    !span_u64(part, UINT32_MAX, &uidvalidity))
		return;
	if (b->box->uidvalidity != 0 && uidvalidity != b->box->uidvalidity)
		return;
	for (struct span set = rest; imap_set_next(&set, &lo, &hi);)
		total += (uint64_t)hi - lo + 1;
	if (total != b->n)
		return;
	while (imap_set_next(&rest, &lo, &hi))
		for (uint64_t uid = lo; uid <= hi; uid++)
			b->ops[at++]->new_id = imap_uid_span(im->arena, (uint32_t)uid);
}

static void set_codes(struct batch *b, enum code code, const char *text)
{
	for (size_t i = 0; i < b->n; i++) {
		b->ops[i]->code = code;
		b->ops[i]->text = text;
	}
	b->done = true;
}

static void accept_batch(struct imap *im, struct batch *b)
{
	set_codes(b, E_OK, NULL);
	take_appenduid(im, b);
}

static enum code do_alone(struct appending *a, struct batch *b, struct err *err);

/* Atomic refusal: nothing of it was stored. */
static enum code halve(struct appending *a, struct batch *b, struct err *err)
{
	size_t half = b->n / 2;
	struct batch first = { .ops = b->ops, .n = half, .folder = b->folder, .box = b->box };
	struct batch second = { .ops = b->ops + half, .n = b->n - half, .folder = b->folder, .box = b->box };
	enum code rc = do_alone(a, &first, err);

	if (rc == E_OK)
		rc = do_alone(a, &second, err);
	b->done = true;
	return rc;
}

/* Its answer is there. */
static enum code settle_batch(struct appending *a, struct batch *b, struct err *err)
{
	struct err why = ERR_INIT;
	enum code rc;

	if (b->call.status == IMAP_OK) {
		accept_batch(a->im, b);
		return E_OK;
	}
	rc = imap_refusal(IMAP_AT_ITEM, &b->call, &why);
	if (code_scope(rc) == SCOPE_SIDE) {
		b->done = true;              /* nothing stored, not to be tried now */
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (b->n > 1 && code_scope(rc) == SCOPE_ITEM)
		return halve(a, b, err);
	set_codes(b, rc, arena_printf(a->im->arena, "%s", err_text(&why)));
	return E_OK;
}

/* The connection ended with a batch answered BAD, or was left in the middle of a literal that was
 * refused: log on again and go on with what is left. */
static enum code recover(struct appending *a, struct batch *b, enum code rc, struct err *err)
{
	if (rc == E_OK && a->im->conn != NULL)
		return E_OK;
	if (rc != E_OK && (rc != E_PROTOCOL || b == NULL || b->call.status != IMAP_BAD))
		return rc;
	if (a->reconnects++ == RECONNECTS)
		return err_set(err, E_PROTOCOL, "the server answered BAD to too many messages");
	err_clear(err);
	return imap_connect(a->im, err);
}

/* One batch from beginning to end, nothing else under way. */
static enum code do_alone(struct appending *a, struct batch *b, struct err *err)
{
	enum code rc = send_batch(a->im, b, err);

	if (rc == E_OK)
		rc = imap_await(a->im, &b->call, err);
	if (b->call.status == IMAP_PENDING) {
		if (b->whole)
			set_codes(b, E_ITEM_UNCERTAIN, NULL);
		return rc;
	}
	rc = recover(a, b, rc, err);
	return rc == E_OK ? settle_batch(a, b, err) : rc;
}

/* --- all batches --- */

/* The connection is gone: what was accepted stays accepted, what was sent and not answered is open. */
static void mark_unanswered(struct appending *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct batch *b = &a->batches[i];

		if (b->done)
			continue;
		if (b->call.status == IMAP_OK)
			accept_batch(a->im, b);
		else if (b->whole && b->call.status == IMAP_PENDING)
			set_codes(b, E_ITEM_UNCERTAIN, NULL);
	}
}

/* Use all answers that are there; halving needs the connection for itself. */
static enum code settle_answered(struct appending *a, size_t upto, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; i < upto && rc == E_OK; i++) {
		struct batch *b = &a->batches[i];

		if (b->done || b->call.status == IMAP_PENDING)
			continue;
		if (b->call.status != IMAP_OK && a->im->conn != NULL)
			rc = imap_await_window(a->im, 0, err);
		if (rc == E_OK)
			rc = settle_batch(a, b, err);
	}
	return rc;
}

/* A BAD in the middle of a pipeline. Whoever was sent behind it is uncertain. */
static enum code after_failure(struct appending *a, size_t upto, enum code rc, struct err *err)
{
	struct batch *bad = NULL;

	for (size_t i = 0; i < upto; i++)
		if (a->batches[i].call.status == IMAP_BAD && !a->batches[i].done)
			bad = &a->batches[i];
	if (a->im->conn == NULL)
		mark_unanswered(a);
	return bad != NULL || rc == E_OK ? recover(a, bad, rc, err) : rc;
}

/* Wait until so little is unanswered that batch `at` may be sent. */
static enum code await_turn(struct appending *a, size_t at, struct err *err)
{
	enum code rc = imap_await_window(a->im, a->before + WINDOW, err);

	while (rc == E_OK && a->im->n_calls > 0) {
		uint64_t bytes = 0;

		for (size_t i = at > WINDOW ? at - WINDOW - 1 : 0; i < at; i++)
			if (a->batches[i].whole && a->batches[i].call.status == IMAP_PENDING)
				bytes += a->batches[i].bytes;
		if (bytes <= WINDOW_BYTES)
			break;
		rc = imap_await_window(a->im, a->im->n_calls - 1, err);
	}
	return rc;
}

static enum code send_all(struct appending *a, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; i < a->n && rc == E_OK; i++) {
		struct batch *b = &a->batches[i];

		do {
			rc = await_turn(a, i, err);
			if (rc == E_OK)
				rc = send_batch(a->im, b, err);
			if (rc != E_OK || a->im->conn == NULL)
				rc = after_failure(a, i + 1, rc, err);
			if (rc == E_OK)
				rc = settle_answered(a, i + 1, err);
			/* not begun: an earlier one failed while this one waited for its turn */
		} while (rc == E_OK && !b->done && !b->whole && b->call.status == IMAP_PENDING);
	}
	if (rc == E_OK)
		rc = imap_await_window(a->im, 0, err);
	if (rc != E_OK)
		rc = after_failure(a, a->n, rc, err);
	if (rc == E_OK)
		rc = settle_answered(a, a->n, err);
	if (rc != E_OK)
		mark_unanswered(a);
	return rc;
}

/* --- preparing --- */

/* The server's and the folder's own limit; 0 = none known. */
static uint64_t limit_of(struct imap *im, const struct ep_folder *folder)
{
	uint64_t all = im->ep->caps.max_item_bytes, own = imap_box(im, folder->name)->append_limit;

	return all == 0 || (own != 0 && own < all) ? own : all;
}

static bool fit(struct imap *im, struct ep_op *op)
{
	uint64_t size = body_size(op->body), limit = limit_of(im, op->folder);

	if (size == 0) {
		op->code = E_ITEM_BAD;
		op->text = "the message is empty";
	} else if (body_has_nul(op->body)) {
		op->code = E_ITEM_BAD;
		op->text = "the message contains NUL bytes, which IMAP cannot carry";
	} else if (limit != 0 && size > limit) {
		op->code = E_ITEM_TOO_BIG;
		op->text = arena_printf(im->arena, "the message has %llu bytes, the server takes %llu",
					(unsigned long long)size, (unsigned long long)limit);
	}
	return op->code == E_CANCELLED;
}

static void add_to_batch(struct appending *a, struct ep_op **at)
{
	struct imap *im = a->im;
	struct ep_op *op = *at;
	struct batch *b = a->n > 0 ? &a->batches[a->n - 1] : NULL;
	uint64_t size = body_size(op->body);
	bool more = b != NULL && imap_can(im, IMAP_CAP_MULTIAPPEND) && b->n < BATCH_ITEMS &&
		    b->bytes + size <= BATCH_BYTES && span_eq(b->folder->name, op->folder->name);

	if (!more) {
		a->batches = arena_grow(im->arena, a->batches, a->n, sizeof(*a->batches), &a->cap);
		b = &a->batches[a->n++];
		*b = (struct batch){ .ops = at, .folder = op->folder, .box = imap_box(im, op->folder->name) };
	}
	b->n++;
	b->bytes += size;
}

static enum code append_run(struct appending *a, struct ep_op **ops, size_t n, struct err *err)
{
	a->n = 0;
	for (size_t i = 0; i < n; i++)
		add_to_batch(a, &ops[i]);
	return send_all(a, err);
}

/* Without UIDPLUS: one folder, selected to find the UIDs afterwards. */
static enum code append_and_find(struct appending *a, struct ep_op **ops, size_t n, struct err *err)
{
	struct imap *im = a->im;
	struct imap_call call, noop;
	uint32_t from = 0;
	enum code rc = imap_select(im, ops[0]->folder->name, &call, err);

	if (rc == E_OK && call.status == IMAP_OK) {
		/* an old SELECT's UIDNEXT may be behind: whatever is found then is compared anyway */
		rc = imap_cmd_run(im, &noop, "NOOP", err);
		from = im->sel.uidnext;
	}
	if (rc == E_OK)
		rc = append_run(a, ops, n, err);
	return rc == E_OK ? imap_find_uids(im, ops, n, from, err) : rc;
}

enum code imap_append_all(struct imap *im, struct ep_op **ops, size_t n, struct err *err)
{
	struct appending a = { .im = im, .before = im->n_calls };
	struct ep_op **fits = arena_calloc(im->arena, n + 1, sizeof(*fits));
	size_t n_fits = 0;
	enum code rc = E_OK;

	for (size_t i = 0; i < n; i++)
		if (fit(im, ops[i]))
			fits[n_fits++] = ops[i];
	if (imap_can(im, IMAP_CAP_UIDPLUS)) {
		rc = imap_prove(im, fits, n_fits, err);
		return rc == E_OK ? append_run(&a, fits, n_fits, err) : rc;
	}
	for (size_t from = 0, to; from < n_fits && rc == E_OK; from = to) {
		for (to = from + 1; to < n_fits; to++)
			if (!span_eq(fits[to]->folder->name, fits[from]->folder->name))
				break;
		rc = append_and_find(&a, fits + from, to - from, err);
	}
	return rc;
}
