/* imap_items.c - describe and fetch: ranges of items with one FETCH, bodies streamed into memory or
 * spool as they arrive.
 *
 * 1. Answers are matched by UID, never by order.
 * 2. An item that a FETCH answered with OK does not show is gone; after a NO each missing item is
 *    asked for alone, so that one bad message does not hide the others.
 * 3. A body that is absent, empty or Exchange's substitute for one is refused, never passed on.
 * Its tests: tests/unit/t_imap_session.c, tests/e2e/test_imap_*.py.
 */
#include "imap_fetch.h"

#include "../data/mailkey.h"

#define SET_MAX ((size_t)6000)     /* of a command line; 8 kB is what servers take */
#define WINDOW 40

/* The verb that is running: exactly one of the two arrays is set. */
struct reading {
	struct imap *im;
	struct ep_meta *meta;
	struct ep_fetch *fetch;
	const char *items;
	struct body *incoming;           /* of the FETCH line that is being read */
	struct imap_groups groups;
};

static void set_code(struct reading *rd, const struct imap_want *w, enum code code, const char *text)
{
	if (rd->meta != NULL) {
		rd->meta[w->index].code = code;
	} else {
		rd->fetch[w->index].code = code;
		rd->fetch[w->index].text = text;
	}
}

/* --- answers --- */

static enum code on_literal(void *ctx, struct imap *im, struct span line, uint64_t size,
			    struct body **body_r, struct err *err)
{
	struct reading *rd = ctx;

	if (rd->fetch == NULL || !imap_is_body_literal(line))
		return E_OK;
	if (rd->incoming != NULL)
		return err_set(err, E_PROTOCOL, "the server sent two bodies for one message");
	rd->incoming = body_new(im->ep->env.spool_dir, (size_t)size);
	*body_r = rd->incoming;
	return E_OK;
}

static void take_meta(struct reading *rd, struct imap_want *w, const struct imap_fetched *f)
{
	struct ep_meta *m = &rd->meta[w->index];

	if (f->header.p == NULL || !f->has_size)
		return;              /* an unsolicited answer about its flags */
	m->header = f->header;
	m->size = f->size;
	m->received = f->received;
	m->key = f->key;
	m->code = E_OK;
	w->seen = true;
}

static bool is_substitute(const struct body *body)
{
	struct span header = body_header(body);

	return span_find_nocase(header, "\nSubject: Retrieval using the IMAP4 protocol failed") != SIZE_MAX;
}

static enum code finish_body(struct reading *rd, const struct imap_fetched *f, struct body **body_r,
			     struct err *err)
{
	struct body *body = rd->incoming;
	enum code rc = E_OK;

	rd->incoming = NULL;
	if (body == NULL && f->has_text) {
		body = body_new(rd->im->ep->env.spool_dir, f->text.n);
		rc = body_add(body, f->text.p, f->text.n, err);
	}
	if (rc == E_OK && body != NULL)
		rc = body_end(body, err);
	if (rc != E_OK)
		body_free(&body);
	*body_r = body;
	return rc;
}

static enum code take_body(struct reading *rd, struct imap_want *w, const struct imap_fetched *f,
			   struct err *err)
{
	struct ep_fetch *e = &rd->fetch[w->index];
	struct body *body;
	enum code rc = finish_body(rd, f, &body, err);

	if (rc != E_OK || w->seen) {
		body_free(&body);
		return rc;
	}
	if (body == NULL && !f->has_flags)
		return E_OK;
	if (body == NULL && f->received == INT64_MIN)
		return E_OK;         /* an unsolicited answer about its flags */
	w->seen = true;
	if (body == NULL || body_size(body) == 0 || is_substitute(body)) {
		set_code(rd, w, E_ITEM_REFUSED, body == NULL || body_size(body) == 0
			 ? "the server delivered no body" : "Exchange cannot convert this message for IMAP");
		body_free(&body);
		return E_OK;
	}
	e->body = body;
	e->flags = f->flags;
	e->keywords = f->keywords;
	e->received = f->received;
	e->key = f->key;
	e->code = E_OK;
	return E_OK;
}

static enum code on_data(void *ctx, struct imap *im, struct imap_resp *r, struct err *err)
{
	struct reading *rd = ctx;
	struct imap_group *g = imap_group_now(im);
	struct imap_fetched f;
	enum code rc;

	if (!r->has_number || !span_eq_nocase_str(r->name, "FETCH"))
		return E_OK;
	rc = imap_fetched_parse(im->arena, r->rest, &f, err);
	struct imap_want *w = rc == E_OK && g != NULL && f.uid != 0 ? imap_group_find(g, f.uid) : NULL;
	if (w != NULL && !g->refused)
		rc = rd->meta != NULL ? (take_meta(rd, w, &f), E_OK) : take_body(rd, w, &f, err);
	body_free(&rd->incoming);
	return rc;
}

/* --- asking --- */

static void on_fetched(void *ctx, struct imap_call *call)
{
	struct imap_group *g = ctx;

	g->partial |= call->status != IMAP_OK;
}

/* One FETCH for the wants from *at on, as many as fit. */
static enum code send_fetch(struct reading *rd, struct imap_group *g, size_t *at, struct err *err)
{
	struct imap *im = rd->im;
	struct imap_call *call = arena_alloc(im->arena, sizeof(*call));
	uint32_t *uids = arena_calloc(im->arena, g->n - *at, sizeof(*uids));
	size_t n = 0;

	for (size_t i = *at; i < g->n; i++)
		uids[n++] = g->wants[i].uid;
	call->after = &g->select;
	call->done = on_fetched;
	call->ctx = g;
	imap_cmd_begin(im, call, "UID FETCH");
	imap_cmd_add(im, " ");
	*at += imap_uids_add(&im->cmd, uids, 0, n, SET_MAX);
	imap_cmd_add(im, rd->items);
	g->verb = im;
	enum code rc = imap_cmd_end(im, call, err);
	return rc == E_OK ? imap_await_window(im, WINDOW, err) : rc;
}

static enum code ask_all(struct reading *rd, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; i < rd->groups.n && rc == E_OK; i++) {
		struct imap_group *g = &rd->groups.g[i];

		rc = imap_group_select(rd->im, g, err);
		for (size_t at = 0; at < g->n && rc == E_OK && !g->refused;)
			rc = send_fetch(rd, g, &at, err);
	}
	return rc == E_OK ? imap_await_window(rd->im, 0, err) : rc;
}

/* What became of those that no answer showed? */
static enum code ask_alone(struct reading *rd, struct imap_group *g, struct imap_want *w, struct err *err)
{
	struct imap *im = rd->im;
	struct imap_call call = { .after = &g->select, .ctx = g };
	struct err why = ERR_INIT;
	enum code rc;

	imap_cmd_begin(im, &call, "UID FETCH");
	imap_cmd_fmt(im, " %u", w->uid);
	imap_cmd_add(im, rd->items);
	rc = imap_cmd_end(im, &call, err);
	if (rc == E_OK)
		rc = imap_await(im, &call, err);
	if (rc != E_OK || w->seen)
		return rc;
	if (call.status == IMAP_OK) {
		set_code(rd, w, E_ITEM_GONE, NULL);
		return E_OK;
	}
	rc = imap_refusal(IMAP_AT_ITEM, &call, &why);
	if (code_scope(rc) == SCOPE_SIDE) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	set_code(rd, w, rc, arena_printf(im->arena, "%s", err_text(&why)));
	return E_OK;
}

static enum code settle_group(struct reading *rd, struct imap_group *g, struct err *err)
{
	enum code rc = E_OK;
	const char *text = NULL;

	if (g->refused) {
		if (code_scope(g->err.code) == SCOPE_SIDE) {
			if (err != NULL)
				*err = g->err;
			return g->err.code;
		}
		text = arena_printf(rd->im->arena, "%s", err_text(&g->err));
	}
	for (size_t i = 0; i < g->n && rc == E_OK; i++) {
		struct imap_want *w = &g->wants[i];
		struct imap_call again;

		if (w->seen)
			continue;
		if (g->refused || !g->partial) {
			set_code(rd, w, g->refused ? g->err.code : E_ITEM_GONE, text);
			continue;
		}
		rc = imap_select(rd->im, g->folder->name, &again, err);
		if (rc == E_OK && again.status == IMAP_OK)
			rc = ask_alone(rd, g, w, err);
	}
	return rc;
}

static enum code read_all(struct reading *rd, struct err *err)
{
	enum code rc;

	rd->im->sink = (struct imap_sink){ .data = on_data, .literal = on_literal, .ctx = rd };
	imap_groups_sort(&rd->groups);
	rc = ask_all(rd, err);
	for (size_t i = 0; i < rd->groups.n && rc == E_OK; i++)
		rc = settle_group(rd, &rd->groups.g[i], err);
	rd->im->sink = (struct imap_sink){ 0 };
	body_free(&rd->incoming);
	return rc;
}

const char *imap_meta_items(struct imap *im)
{
	return arena_printf(im->arena, " (RFC822.SIZE INTERNALDATE%s BODY.PEEK[HEADER.FIELDS (" MAILKEY_FIELDS ")])",
			    imap_key_item(im));
}

enum code imap_describe_verb(struct endpoint *ep, struct arena *arena, struct ep_meta *m, size_t n,
			     struct err *err)
{
	struct imap *im = ep->impl;
	struct reading rd = { .im = im, .meta = m };
	enum code rc;

	for (size_t i = 0; i < n; i++) {
		m[i].code = E_CANCELLED;
		m[i].received = INT64_MIN;
		if (!imap_known_use(im, &m[i]) && !imap_groups_add(arena, &rd.groups, m[i].folder, m[i].id, i))
			m[i].code = E_ITEM_GONE;
	}
	rc = imap_enter(im, arena, err);
	rd.items = imap_meta_items(im);
	return rc == E_OK ? read_all(&rd, err) : rc;
}

enum code imap_fetch_verb(struct endpoint *ep, struct arena *arena, struct ep_fetch *f, size_t n,
			  struct err *err)
{
	struct imap *im = ep->impl;
	struct reading rd = { .im = im, .fetch = f };
	enum code rc;

	for (size_t i = 0; i < n; i++) {
		f[i].code = E_CANCELLED;
		f[i].text = NULL;
		f[i].body = NULL;
		f[i].received = INT64_MIN;
		if (!imap_groups_add(arena, &rd.groups, f[i].folder, f[i].id, i))
			f[i].code = E_ITEM_GONE;
	}
	rc = imap_enter(im, arena, err);
	rd.items = arena_printf(arena, " (FLAGS INTERNALDATE%s BODY.PEEK[])", imap_key_item(im));
	return rc == E_OK ? read_all(&rd, err) : rc;
}
