/* dav_req.c - building requests, running them, reading multistatus and error bodies. */
#include "dav.h"

#include "../../common/mem.h"

#define BODY_MAX ((size_t)4 << 20)

const char *dav_url(struct dav *d, struct arena *arena, enum dav_side side, struct span path)
{
	return arena_printf(arena, SPAN_FMT SPAN_FMT, SPAN_ARG(d->service[side].origin), SPAN_ARG(path));
}

void dav_xml_text(struct buf *b, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		switch (text.p[i]) {
		case '&': buf_add_str(b, "&amp;"); break;
		case '<': buf_add_str(b, "&lt;"); break;
		case '>': buf_add_str(b, "&gt;"); break;
		default: buf_add_char(b, text.p[i]); break;
		}
	}
}

void dav_call_init(struct dav_call *c, const char *method, const char *url)
{
	*c = (struct dav_call){ .http = { .method = method, .url = url }, .code = E_CANCELLED };
	buf_init(&c->body, BODY_MAX);
}

void dav_call_free(struct dav_call *c)
{
	buf_free(&c->body);
	dav_parser_free(&c->parser);
}

void dav_call_header(struct dav_call *c, const char *line)
{
	assert(c->n_headers < DAV_CALLS_HEADERS);
	c->headers[c->n_headers++] = line;
}

void dav_call_expect(struct dav_call *c, dav_response_fn *fn, void *ctx)
{
	c->parser = dav_parser_new(fn, ctx, DAV_ITEM_MAX, DAV_LISTING_MAX);
	c->http.sink = dav_parser_feed;
	c->http.ctx = c->parser;
	c->http.max_bytes = DAV_LISTING_MAX;
	c->http.type = "application/xml; charset=utf-8";
}

void dav_call_propfind(struct dav_call *c, const char *url, unsigned int depth, const char *props, dav_response_fn *fn,
		       void *ctx)
{
	dav_call_init(c, "PROPFIND", url);
	dav_call_header(c, depth == 0 ? "Depth: 0" : "Depth: 1");
	buf_printf(&c->body, DAV_XML "<D:propfind" DAV_XMLNS "><D:prop>%s</D:prop></D:propfind>", props);
	dav_call_expect(c, fn, ctx);
}

/* --- answers --- */

static enum code note_status(void *ctx, const struct dav_response *r, struct err *err)
{
	unsigned int *status = ctx, now = r->status != 0 ? r->status : r->prop_status;

	(void)err;
	if (now >= 300 && *status == 0)
		*status = now;
	return E_OK;
}

/* The body of a failure, or of a 207 that nobody expected (Xandikos answers so to PUT). */
static void read_small(struct arena *arena, struct dav_call *c)
{
	unsigned int inner = 0;
	struct dav_parser *p = dav_parser_new(note_status, &inner, HTTP_FAILURE_MAX, HTTP_FAILURE_MAX);
	enum code rc = dav_parser_feed(p, c->http.answer, NULL);

	if (rc == E_OK)
		rc = dav_parser_end(p, NULL);
	if (rc == E_OK && dav_parser_precondition(p).n > 0)
		c->precondition = arena_span(arena, dav_parser_precondition(p));
	if (c->http.status == 207 && inner != 0)
		c->status = inner;
	dav_parser_free(&p);
}

static void read_answer(struct arena *arena, struct dav_call *c)
{
	struct err err = ERR_INIT;
	bool good = c->http.status >= 200 && c->http.status < 300;

	c->code = c->http.code;
	c->text = c->http.text;
	c->status = c->http.status;
	if (c->code != E_OK)
		return;
	if (c->parser == NULL || !good) {
		if (c->http.answer.n > 0 && (c->http.status == 207 || !good))
			read_small(arena, c);
		return;
	}
	c->code = dav_parser_end(c->parser, &err);
	if (c->code != E_OK) {
		c->text = arena_str(arena, span_of(err_text(&err)));
		return;
	}
	c->multistatus = dav_parser_is_multistatus(c->parser);
	c->token = arena_span(arena, dav_parser_token(c->parser));
}

enum code dav_run(struct dav *d, struct arena *arena, struct dav_call **calls, size_t n, struct err *err)
{
	struct http_req *req = arena_calloc(arena, n, sizeof(*req));

	for (size_t i = 0; i < n; i++) {
		struct dav_call *c = calls[i];

		if (c->parser != NULL || c->body.n > 0)
			c->http.body = buf_span(&c->body);
		c->http.headers = c->headers;
		if (c->body.overflow)
			return err_set(err, E_INTERNAL, "a request of more than %zu bytes", BODY_MAX);
		req[i] = c->http;
	}
	enum code rc = http_run(d->http, arena, req, n, err);
	for (size_t i = 0; i < n; i++) {
		calls[i]->http = req[i];
		read_answer(arena, calls[i]);
	}
	return rc;
}

enum code dav_run_one(struct dav *d, struct arena *arena, struct dav_call *c, struct err *err)
{
	return dav_run(d, arena, &c, 1, err);
}

struct span dav_etag(struct span etag)
{
	return etag.n > 2 && etag.p[0] == 'W' && etag.p[1] == '/' ? span_cut(etag, 2, etag.n) : etag;
}

/* --- what a failure means --- */

const char *dav_status_text(struct arena *arena, const struct dav_call *c)
{
	if (c->code != E_OK)
		return c->text != NULL ? c->text : code_text(c->code);
	if (c->precondition.n == 0)
		return arena_printf(arena, "status %u", c->status);
	return arena_printf(arena, "status %u (" SPAN_FMT ")", c->status, SPAN_ARG(c->precondition));
}

static bool about(const struct dav_call *c, const char *precondition)
{
	return span_eq_str(c->precondition, precondition);
}

static enum code meaning(const struct dav_call *c)
{
	if (c->status == 507 || about(c, "quota-not-exceeded") || about(c, "sufficient-disk-space") ||
	    about(c, "insufficient-storage"))
		return E_QUOTA;
	if (c->status == 413 || about(c, "max-resource-size"))
		return E_ITEM_TOO_BIG;
	if (c->status == 404 || c->status == 410)
		return E_ITEM_GONE;
	if (c->status == 412 && c->precondition.n == 0)
		return E_ITEM_CHANGED;
	if (about(c, "need-privileges"))
		return E_FOLDER_REFUSED;
	return E_ITEM_REFUSED;
}

enum code dav_item_failure(const struct dav_call *c, const char *what, struct err *err)
{
	if (c->code != E_OK)
		return err_set(err, c->code, "%s: %s", what, c->text != NULL ? c->text : code_text(c->code));
	enum code rc = meaning(c);

	if (c->precondition.n > 0)
		return err_set(err, rc, "%s: the server answered %u, " SPAN_FMT, what, c->status,
			       SPAN_ARG(c->precondition));
	return err_set(err, rc, "%s: the server answered %u", what, c->status);
}

enum code dav_element(struct arena *arena, enum code rc, const struct err *err, enum code *code_r, const char **text_r)
{
	bool own = rc == E_OK || rc == E_QUOTA || code_scope(rc) == SCOPE_ITEM || code_scope(rc) == SCOPE_FOLDER;

	if (!own)
		return rc;
	*code_r = rc;
	*text_r = rc == E_OK ? NULL : arena_str(arena, span_of(err_text(err)));
	return E_OK;
}
