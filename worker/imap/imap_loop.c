/* imap_loop.c - reads answers, keeps the session's own state, gives the rest to the verb's sink.
 *
 * 1. A tagged answer belongs to exactly one call that is under way; any other tag is an error.
 * 2. BAD and BYE end the connection before anything else is sent.
 * 3. A SELECT that becomes the oldest command clears `sel`; its OK sets sel.box, anything else leaves
 *    no mailbox selected (RFC 3501 6.3.1).
 * Its test: tests/unit/t_imap_session.c.
 */
#include "imap_cmd.h"

#include "../../common/clock.h"

#include <stdio.h>

/* A body's literal is read in pieces of this size at the least. */
#define PIECE ((size_t)64 * 1024)
#define SLOW_FIRST_MS 50
#define SLOW_MAX_MS 16000

struct imap_box *imap_box(struct imap *im, struct span name)
{
	struct imap_box **at = &im->boxes[span_hash(name) % IMAP_BUCKETS];

	while (*at != NULL && !span_eq((*at)->name, name))
		at = &(*at)->next;
	if (*at == NULL) {
		*at = arena_alloc(im->life, sizeof(**at));
		(*at)->name = arena_span(im->life, name);
	}
	return *at;
}

const struct imap_call *imap_call_now(const struct imap *im)
{
	const struct imap_call *call = im->calls;

	while (call != NULL && call->aside)
		call = call->next;
	return call;
}

/* --- the session's own state --- */

static void take_permanent_flags(struct imap *im, struct span args)
{
	struct imap_box *box = im->sel.box;

	if (im->calls != NULL && im->calls->select != NULL)
		box = im->calls->select;
	if (box == NULL || args.n < 2)
		return;
	box->flags = imap_flags_parse(im->life, span_cut(args, 1, args.n - 2), &box->keywords, &box->star);
	box->perm_known = true;
}

static void take_code(struct imap *im, const struct imap_resp *r)
{
	struct imap_cur cur;
	uint64_t v;

	if (r->code.n == 0)
		return;
	if (span_eq_nocase_str(r->code, "CAPABILITY")) {
		imap_cur_init(&cur, r->args);
		imap_take_caps(im, &cur);
	} else if (span_eq_nocase_str(r->code, "PERMANENTFLAGS")) {
		take_permanent_flags(im, r->args);
	} else if (span_eq_nocase_str(r->code, "UIDVALIDITY") && span_u64(r->args, UINT32_MAX, &v)) {
		im->sel.uidvalidity = (uint32_t)v;
	} else if (span_eq_nocase_str(r->code, "UIDNEXT") && span_u64(r->args, UINT32_MAX, &v)) {
		im->sel.uidnext = (uint32_t)v;
	} else if (span_eq_nocase_str(r->code, "HIGHESTMODSEQ") && span_u64(r->args, UINT64_MAX, &v)) {
		im->sel.modseq = v;
	} else if (span_eq_nocase_str(r->code, "NOMODSEQ")) {
		im->sel.modseq = 0;
	}
}

static void take_enabled(struct imap *im, struct imap_cur cur)
{
	struct imap_tok tok;

	while (imap_next(&cur, &tok) == IMAP_T_ATOM) {
		if (span_eq_nocase_str(tok.text, "QRESYNC"))
			im->qresync = true;
		else if (span_eq_nocase_str(tok.text, "UTF8=ACCEPT"))
			im->utf8 = true;
	}
}

/* "(EARLIER) set" is history; a bare set happens now. */
static void take_vanished(struct imap *im, struct imap_cur cur)
{
	struct imap_tok tok;
	uint32_t lo, hi;

	if (imap_next(&cur, &tok) != IMAP_T_ATOM)
		return;
	im->sel.expunges++;
	while (imap_set_next(&tok.text, &lo, &hi)) {
		uint64_t n = (uint64_t)hi - lo + 1;

		im->sel.exists -= n < im->sel.exists ? (uint32_t)n : im->sel.exists;
	}
}

static void take_data(struct imap *im, const struct imap_resp *r)
{
	struct imap_cur cur = r->rest;

	if (r->has_number && span_eq_nocase_str(r->name, "EXISTS")) {
		im->sel.exists = r->number;
	} else if (r->has_number && span_eq_nocase_str(r->name, "EXPUNGE")) {
		im->sel.exists -= im->sel.exists > 0;
		im->sel.expunges++;
	} else if (!r->has_number && span_eq_nocase_str(r->name, "VANISHED")) {
		take_vanished(im, cur);
	} else if (!r->has_number && span_eq_nocase_str(r->name, "CAPABILITY")) {
		imap_take_caps(im, &cur);
	} else if (!r->has_number && span_eq_nocase_str(r->name, "ENABLED")) {
		take_enabled(im, cur);
	}
}

/* --- dispatch --- */

static const struct imap_sink *sink_now(const struct imap *im)
{
	const struct imap_call *call = imap_call_now(im);

	return call != NULL && call->sink != NULL ? call->sink : &im->sink;
}

static enum code take_bye(struct imap *im, const struct imap_resp *r, struct err *err)
{
	uint32_t wait_ms;
	enum code code = imap_judge(IMAP_AT_FOLDER, r->code, r->text, &wait_ms);
	struct span text = span_cut(r->text, 0, 300);

	if (code_scope(code) != SCOPE_SIDE)
		code = im->logged_on && !im->settled ? E_STORE_FAILED : E_NET;
	imap_drop(im);
	err_set(err, code, "the server ended the session: " SPAN_FMT, SPAN_ARG(text));
	if (err != NULL)
		err->wait_ms = wait_ms;
	return code;
}

static enum code take_status(struct imap *im, struct imap_resp *r, struct err *err)
{
	if (r->status == IMAP_BYE)
		return take_bye(im, r, err);
	if (r->status == IMAP_PREAUTH || (r->status == IMAP_BAD && im->n_calls == 0)) {
		imap_drop(im);
		return err_set(err, E_PROTOCOL, r->status == IMAP_BAD
			       ? "the server sent BAD although nothing was asked"
			       : "the server says that it knows who we are (PREAUTH): refused");
	}
	take_code(im, r);
	const struct imap_sink *sink = sink_now(im);
	return sink->status != NULL ? sink->status(sink->ctx, im, r, err) : E_OK;
}

static struct imap_call *unlink_call(struct imap *im, struct span tag)
{
	uint64_t n;

	if (tag.n < 2 || tag.p[0] != 'A' || !span_u64(span_cut(tag, 1, tag.n), UINT32_MAX, &n))
		return NULL;
	for (struct imap_call **at = &im->calls; *at != NULL; at = &(*at)->next) {
		struct imap_call *call = *at;

		if (call->tag != (uint32_t)n)
			continue;
		*at = call->next;
		if (*at == NULL)
			im->last_call = at;
		im->n_calls--;
		return call;
	}
	return NULL;
}

static bool expected_bad(const struct imap_call *call)
{
	return call->bad_is_no || (call->after != NULL && call->after->status == IMAP_NO);
}

static void after_select(struct imap *im, const struct imap_call *call)
{
	if (call->select != NULL) {
		im->sel.box = call->status == IMAP_OK ? call->select : NULL;
		im->sel.read_only = span_eq_nocase_str(call->code, "READ-ONLY");
		if (call->status == IMAP_OK) {
			call->select->proven = true;
			call->select->sure = call->again && call->select->seen_uidvalidity == im->sel.uidvalidity;
			call->select->seen_uidvalidity = im->sel.uidvalidity;
			call->select->seen_ms = clock_mono_ms();
		}
	}
}

static void adapt_pace(struct imap *im, const struct imap_resp *r)
{
	if (imap_says_slower(r->code, r->text))
		im->slow_ms = im->slow_ms == 0 ? SLOW_FIRST_MS
			    : im->slow_ms < SLOW_MAX_MS ? im->slow_ms * 2 : SLOW_MAX_MS;
	else
		im->slow_ms = im->slow_ms * 3 / 4;
}

static enum code take_tagged(struct imap *im, struct imap_resp *r, struct err *err)
{
	bool oldest = im->calls != NULL && r->tag.n > 0;
	struct imap_call *first = im->calls, *call = unlink_call(im, r->tag);

	if (call == NULL) {
		imap_drop(im);
		return err_set(err, E_PROTOCOL, "the server answered a command that was never sent");
	}
	call->status = r->status;
	call->code = arena_span(im->arena, r->code);
	call->args = arena_span(im->arena, r->args);
	call->text = arena_span(im->arena, r->text);
	if (call->status == IMAP_BAD && !expected_bad(call)) {
		struct span text = span_cut(call->text, 0, 300);

		imap_drop(im);
		return err_set(err, E_PROTOCOL, "the server did not understand %s: " SPAN_FMT, call->what,
			       SPAN_ARG(text));
	}
	if (span_eq_nocase_str(r->code, "CAPABILITY"))
		take_code(im, r);
	adapt_pace(im, r);
	after_select(im, call);
	conn_begin(im->conn);
	if (call->done != NULL)
		call->done(call->ctx, call);
	if (oldest && first == call && im->calls != NULL && im->calls->select != NULL)
		im->sel = (struct imap_selected){ 0 };
	return E_OK;
}

static enum code take_untagged(struct imap *im, struct imap_resp *r, struct err *err)
{
	const struct imap_sink *sink = sink_now(im);

	take_data(im, r);
	return sink->data != NULL ? sink->data(sink->ctx, im, r, err) : E_OK;
}

static enum code dispatch(struct imap *im, struct err *err)
{
	struct imap_resp r;
	imap_trace(im, '<', buf_span(&im->scan.line));
	enum code rc = imap_resp_parse(buf_span(&im->scan.line), &r, err);

	if (rc != E_OK) {
		imap_drop(im);
		return rc;
	}
	switch (r.kind) {
	case IMAP_R_CONTINUE:
		im->go_ahead = true;
		im->challenge = arena_span(im->arena, r.text);
		return E_OK;
	case IMAP_R_TAGGED:
		return take_tagged(im, &r, err);
	case IMAP_R_STATUS:
		return take_status(im, &r, err);
	case IMAP_R_DATA:
		return take_untagged(im, &r, err);
	}
	return E_OK;
}

/* --- literals --- */

static enum code stream_literal(struct imap *im, struct body *body, struct err *err)
{
	uint64_t left = im->scan.literal;
	enum code rc = E_OK;

	while (left > 0 && rc == E_OK) {
		size_t want = left < PIECE ? (size_t)left : PIECE, room, got = 0;
		char *p;

		rc = body_room(body, want, &p, &room, err);
		if (rc == E_OK)
			rc = conn_read(im->conn, p, room < left ? room : (size_t)left, &got, err);
		if (rc == E_OK)
			rc = body_filled(body, got, err);
		left -= got;
	}
	imap_scan_skip(&im->scan);
	return rc;
}

static enum code take_literal(struct imap *im, struct err *err)
{
	const struct imap_sink *sink = sink_now(im);
	struct body *body = NULL;
	enum code rc = E_OK;

	if (sink->literal != NULL)
		rc = sink->literal(sink->ctx, im, buf_span(&im->scan.line), im->scan.literal, &body, err);
	if (rc == E_OK)
		rc = body != NULL ? stream_literal(im, body, err) : imap_scan_keep(&im->scan, err);
	return rc;
}

/* --- the loop --- */

/* The connection failed. What the server had said before it closed is the better reason. */
enum code imap_lost(struct imap *im, enum code rc, struct err *err)
{
	struct err said = ERR_INIT;

	if (rc == E_NET && im->conn != NULL && imap_poll(im, &said) != E_OK && said.code != E_OK) {
		rc = said.code;
		if (err != NULL)
			*err = said;
	}
	imap_drop(im);
	return rc;
}

/* Use what has arrived up to one whole answer. */
static enum code use_input(struct imap *im, bool *whole_r, struct err *err)
{
	enum imap_scan_event event = IMAP_SCAN_MORE;
	enum code rc = E_OK;

	*whole_r = false;
	for (struct span in; rc == E_OK && !*whole_r && (in = conn_input(im->conn)).n > 0;) {
		size_t used = 0;

		rc = imap_scan_feed(&im->scan, in, &used, &event, err);
		conn_consume(im->conn, used);
		if (rc == E_OK && event == IMAP_SCAN_LITERAL)
			rc = take_literal(im, err);
		*whole_r = rc == E_OK && event == IMAP_SCAN_LINE;
	}
	if (rc != E_OK)
		imap_drop(im);
	return rc;
}

static enum code finish_line(struct imap *im, struct err *err)
{
	enum code rc = dispatch(im, err);

	imap_scan_reset(&im->scan);
	if (rc != E_OK)
		imap_drop(im);
	return rc;
}

enum code imap_step(struct imap *im, struct err *err)
{
	bool whole = false;
	enum code rc = E_OK;

	if (im->conn == NULL)
		return err_set(err, E_NET, "the connection is gone");
	while (rc == E_OK) {
		rc = use_input(im, &whole, err);
		if (rc != E_OK || whole)
			break;
		rc = conn_fill(im->conn, err);
		if (rc != E_OK)
			rc = imap_lost(im, rc, err);
	}
	return rc == E_OK ? finish_line(im, err) : rc;
}

enum code imap_poll(struct imap *im, struct err *err)
{
	bool whole = true;
	enum code rc = E_OK;

	if (im->conn == NULL)
		return err_set(err, E_NET, "the connection is gone");
	if (conn_input(im->conn).n == 0)
		return E_OK;
	while (rc == E_OK && whole && im->conn != NULL) {
		rc = use_input(im, &whole, err);
		if (rc == E_OK && whole)
			rc = finish_line(im, err);
	}
	return rc;
}

enum code imap_await(struct imap *im, struct imap_call *call, struct err *err)
{
	enum code rc = E_OK;

	while (rc == E_OK && call->status == IMAP_PENDING)
		rc = imap_step(im, err);
	return rc;
}

enum code imap_await_window(struct imap *im, size_t n, struct err *err)
{
	enum code rc = E_OK;

	while (rc == E_OK && im->n_calls > n)
		rc = imap_step(im, err);
	return rc;
}

enum code imap_await_go(struct imap *im, struct imap_call *call, struct err *err)
{
	enum code rc = E_OK;

	while (rc == E_OK && !im->go_ahead && call->status == IMAP_PENDING)
		rc = imap_step(im, err);
	im->go_ahead = false;
	return rc;
}
