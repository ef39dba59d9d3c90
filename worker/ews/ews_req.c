/* ews_req.c - envelopes, running them, what a failure means.
 *
 * 1. A 401 is a refused logon only while the credentials are not proven: Exchange answers so under load, too.
 * 2. A fault is read from an answer of any status; throttling is told in three ways (503, a fault, a message).
 * 3. An answer that is no XML (a login page, IIS's own error page) is a failure of the server.
 */
#include "ews.h"

#include "../../common/fail.h"

#include <stdio.h>

#define BUSY_MS 60000U

static const char *const versions[] = { "Exchange2013_SP1", "Exchange2010_SP2", "Exchange2010_SP1" };

#define NAMESPACES \
	" xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"" \
	" xmlns:t=\"http://schemas.microsoft.com/exchange/services/2006/types\"" \
	" xmlns:m=\"http://schemas.microsoft.com/exchange/services/2006/messages\""

static const struct ews_handler nothing;

/* The body of what was no 2xx, for ews_parser_fault(); NULL: it is none of this service's. */
static struct ews_parser *parse_failure(const struct http_req *r)
{
	struct ews_parser *p = ews_parser_new(&nothing, NULL, HTTP_FAILURE_MAX, HTTP_FAILURE_MAX);
	enum code rc = ews_parser_feed(p, r->answer, NULL);

	if (rc == E_OK)
		rc = ews_parser_end(p, NULL);
	if (rc != E_OK || ews_parser_fault(p).n == 0)
		ews_parser_free(&p);
	return p;
}

static bool ends_all(const struct http_req *r)
{
	struct ews_parser *p = parse_failure(r);
	bool ends = p != NULL && ews_error_is_side(ews_error_code(ews_parser_fault(p)));

	ews_parser_free(&p);
	return ends;
}

void ews_call_init(struct ews *e, struct ews_call *c, const struct ews_handler *handler, void *ctx)
{
	struct buf *b = &c->body;

	*c = (struct ews_call){ .http = { .method = "POST", .url = e->url, .type = "text/xml; charset=utf-8" },
				.code = E_CANCELLED, .err = ERR_INIT };
	buf_init(b, EWS_REQUEST_MAX);
	c->parser = ews_parser_new(handler != NULL ? handler : &nothing, ctx, EWS_TEXT_MAX, EWS_ANSWER_MAX);
	c->http.sink = ews_parser_feed;
	c->http.ctx = c->parser;
	c->http.max_bytes = EWS_ANSWER_MAX;
	c->http.ends = ends_all;
	c->http.headers = e->headers;
	buf_printf(b, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<s:Envelope" NAMESPACES "><s:Header>"
		   "<t:RequestServerVersion Version=\"%s\"/>", versions[e->version]);
	if (e->impersonate) {
		buf_add_str(b, "<t:ExchangeImpersonation><t:ConnectingSID>");
		ews_el(b, "PrimarySmtpAddress", span_of(e->mailbox));
		buf_add_str(b, "</t:ConnectingSID></t:ExchangeImpersonation>");
	}
	buf_add_str(b, "<t:TimeZoneContext><t:TimeZoneDefinition Id=\"UTC\"/></t:TimeZoneContext></s:Header><s:Body>");
}

void ews_call_free(struct ews_call *c)
{
	buf_free(&c->body);
	ews_parser_free(&c->parser);
}

void ews_folder_id(struct buf *b, const struct ep_folder *folder)
{
	ews_id(b, "FolderId", folder->name, SPAN_NONE);
}

void ews_distinguished_id(struct ews *e, struct buf *b, const char *name)
{
	buf_printf(b, "<t:DistinguishedFolderId Id=\"%s\"", name);
	if (!e->delegate) {
		buf_add_str(b, "/>");
		return;
	}
	buf_add_str(b, "><t:Mailbox>");
	ews_el(b, "EmailAddress", span_of(e->mailbox));
	buf_add_str(b, "</t:Mailbox></t:DistinguishedFolderId>");
}

void ews_place_id(struct ews *e, struct buf *b, enum ews_place place)
{
	static const char *const names[] = {
#define X(id, text, role) text,
		EWS_PLACE_LIST(X)
#undef X
	};

	ews_distinguished_id(e, b, names[place]);
}

/* --- answers --- */

static enum code throttled(struct ews *e, uint32_t wait_ms, const char *how, struct err *err)
{
	if (wait_ms == 0)
		wait_ms = BUSY_MS;
	err_set(err, E_THROTTLED, "endpoint %s asked to wait %u s (%s)", e->ep->env.conf->name, (wait_ms + 999) / 1000,
		how);
	err->wait_ms = wait_ms;
	return E_THROTTLED;
}

static enum code fault_of(struct ews *e, struct arena *arena, struct ews_call *c, struct ews_parser *p)
{
	struct span name = ews_parser_fault(p);
	enum code rc = ews_error_code(name);
	const char *advice = ews_error_advice(name);
	char text[128];

	snprintf(text, sizeof(text), SPAN_FMT, SPAN_ARG(name));
	c->fault = arena_span(arena, name);
	if (rc == E_THROTTLED)
		return throttled(e, ews_parser_fault_wait(p), text, &c->err);
	if (rc == E_ITEM_REFUSED && e->proven)
		rc = E_SERVER;               /* of which item is not told */
	else if (rc == E_ITEM_REFUSED || rc == E_FOLDER_REFUSED)
		rc = E_LOGON_FAILED;
	return err_set(&c->err, rc, "endpoint %s refused a request: " SPAN_FMT " (%s)%s%s",
		       e->ep->env.conf->name, SPAN_ARG(ews_parser_fault_text(p)), text, advice != NULL ? "; " : "",
		       advice != NULL ? advice : "");
}

/* What was no 2xx is often a fault. */
static enum code read_failure(struct ews *e, struct arena *arena, struct ews_call *c)
{
	const unsigned int status = c->http.status;
	struct ews_parser *p = parse_failure(&c->http);

	if (p != NULL) {
		enum code rc = fault_of(e, arena, c, p);

		ews_parser_free(&p);
		return rc;
	}
	switch (status) {
	case 503:
		return throttled(e, 0, "status 503", &c->err);
	case 403:
		return err_set(&c->err, e->proven ? E_SERVER : E_LOGON_FAILED,
			       "endpoint %s: the account may not use the web service (403)", e->ep->env.conf->name);
	case 404:                            /* IIS: 404.13 */
		if (c->stream == NULL)
			break;
		return err_set(&c->err, E_ITEM_TOO_BIG, "the server takes no request of that size");
	case 413:
		return err_set(&c->err, E_ITEM_TOO_BIG, "the server takes no request of that size");
	default:
		break;
	}
	return err_set(&c->err, E_SERVER, "endpoint %s: %.200s answered with status %u and no SOAP fault",
		       e->ep->env.conf->name, e->url, status);
}

static bool is_xml(struct span content_type)
{
	return content_type.n == 0 || span_find_nocase(content_type, "xml") != SIZE_MAX;
}

static enum code read_answer(struct ews *e, struct arena *arena, struct ews_call *c)
{
	const struct http_req *r = &c->http;
	enum code rc;

	if (r->code == E_THROTTLED) {
		c->err.wait_ms = r->wait_ms;
		return err_set(&c->err, E_THROTTLED, "%s", r->text);
	}
	if (r->code == E_LOGON_FAILED && e->proven)
		return err_set(&c->err, E_SERVER,
			       "endpoint %s refuses a logon that it accepted before; it may be overloaded",
			       e->ep->env.conf->name);
	if (r->code != E_OK && !(r->code == E_SERVER && r->status == 503))
		return r->code == E_PROTOCOL && r->status == 200 && !is_xml(r->content_type)
			? err_set(&c->err, E_SERVER, "endpoint %s answered with a page instead of XML",
				  e->ep->env.conf->name)
			: err_set(&c->err, r->code, "%s", r->text != NULL ? r->text : code_text(r->code));
	if (r->status < 200 || r->status >= 300)
		return read_failure(e, arena, c);
	rc = ews_parser_end(c->parser, &c->err);
	if (rc != E_OK)
		return rc;
	if (ews_parser_fault(c->parser).n > 0)
		return fault_of(e, arena, c, c->parser);
	e->proven = true;
	return E_OK;
}

/* --- a body that is encoded while it is sent --- */

#define RAW 12288U                       /* of three: whole groups of four are given */

/* at: a multiple of four, as all that was given before. */
static size_t give_base64(struct ews_call *c, uint64_t at, char *to, size_t n)
{
	size_t most = n / 4 * 3 < RAW ? n / 4 * 3 : RAW;
	char raw[RAW];
	size_t have = 0;
	struct span piece = SPAN_LIT("x");
	struct buf out;

	while (have < most && piece.n > 0) {
		if (body_read(c->stream, at / 4 * 3 + have, &piece, NULL) != E_OK)
			return 0;
		piece = span_cut(piece, 0, most - have);
		memcpy(raw + have, piece.p, piece.n);
		have += piece.n;
	}
	buf_init(&out, 2 * RAW);
	ews_base64(&out, span_bytes(raw, have));
	size_t got = out.n;
	memcpy(to, buf_span(&out).p, got);
	buf_free(&out);
	return got;
}

static uint64_t stream_bytes(const struct ews_call *c)
{
	return (body_size(c->stream) + 2) / 3 * 4;
}

static size_t give(void *ctx, uint64_t offset, char *to, size_t n)
{
	struct ews_call *c = ctx;
	uint64_t in = stream_bytes(c), end = c->stream_at + in;
	struct span piece;

	if (offset >= c->stream_at && offset < end)
		return give_base64(c, offset - c->stream_at, to, n);
	piece = offset < end ? span_cut(buf_span(&c->body), (size_t)offset, c->stream_at - (size_t)offset)
			     : span_cut(buf_span(&c->body), (size_t)(offset - in), SIZE_MAX);
	piece = span_cut(piece, 0, n);
	memcpy(to, piece.p, piece.n);
	return piece.n;
}

enum code ews_run(struct ews *e, struct arena *arena, struct ews_call **calls, size_t n, struct err *err)
{
	struct http_req *req = arena_calloc(arena, n, sizeof(*req));
	enum code rc = E_OK;
	bool writes = false;

	for (size_t i = 0; i < n; i++) {
		buf_add_str(&calls[i]->body, "</s:Body></s:Envelope>");
		if (calls[i]->body.overflow)
			return err_set(err, E_INTERNAL, "a request of more than %zu bytes", EWS_REQUEST_MAX);
		calls[i]->http.body = buf_span(&calls[i]->body);
		if (calls[i]->stream != NULL) {
			calls[i]->http.source = give;
			calls[i]->http.source_ctx = calls[i];
			calls[i]->http.length = calls[i]->body.n + stream_bytes(calls[i]);
		}
		req[i] = calls[i]->http;
		writes |= req[i].once;
	}
	if (writes && fail_step("ews write"))
		return err_set(err, E_CANCELLED, "stopped before a request");
	enum code whole = http_run(e->http, arena, req, n, err);
	for (size_t i = 0; i < n; i++) {
		struct ews_call *c = calls[i];

		c->http = req[i];
		c->code = req[i].code == E_CANCELLED && !req[i].sent ? E_CANCELLED : read_answer(e, arena, c);
		if (c->code == E_CANCELLED || !ews_error_is_side(c->code) || rc != E_OK)
			continue;
		rc = c->code;
		if (err != NULL)
			*err = c->err;
	}
	if (writes && fail_step("ews written"))
		return err_set(err, E_CANCELLED, "stopped after a request");
	return rc != E_OK ? rc : whole;
}

enum code ews_run_one(struct ews *e, struct arena *arena, struct ews_call *c, struct err *err)
{
	enum code rc = ews_run(e, arena, &c, 1, err);

	if (rc == E_OK && c->code != E_OK) {
		rc = c->code;
		if (err != NULL)
			*err = c->err;
	}
	return rc;
}

enum code ews_outcome(const struct ews_object *m, const char *what, struct err *err)
{
	struct span name = ews_text(m, "ResponseCode");
	enum code rc = ews_error_code(name);

	if (!span_eq_str(ews_text(m, "@ResponseClass"), "Error"))
		return E_OK;                 /* a warning is one about something else */
	if (rc == E_OK)
		rc = E_ITEM_REFUSED;
	err_set(err, rc, "%s: " SPAN_FMT " (" SPAN_FMT ")", what,
		SPAN_ARG(span_cut(ews_text(m, "MessageText"), 0, 200)),
		SPAN_ARG(span_cut(name, 0, 100)));
	if (rc == E_THROTTLED && err != NULL)
		err->wait_ms = ews_back_off(m) > 0 ? ews_back_off(m) : BUSY_MS;
	return rc;
}

enum code ews_element_end(struct arena *arena, enum code rc, const struct err *err, enum code *code_r,
			  const char **text_r)
{
	if (ews_error_is_side(rc))
		return rc;
	*code_r = rc;
	*text_r = rc == E_OK ? NULL : arena_str(arena, span_of(err_text(err)));
	return E_OK;
}

/* --- one request about one thing --- */

static enum code on_ask_object(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct ews_ask *ask = ctx;

	(void)message;
	(void)err;
	if (ask->object != NULL)
		ask->object(ask, o);
	return E_OK;
}

static enum code on_ask_message(void *ctx, size_t message, const struct ews_object *m, struct err *err)
{
	struct ews_ask *ask = ctx;

	(void)message;
	(void)err;
	ask->code = ews_outcome(m, ask->what, &ask->err);
	return E_OK;
}

void ews_ask_begin(struct ews *e, struct arena *arena, struct ews_ask *ask, const char *what,
		   void (*object)(struct ews_ask *ask, const struct ews_object *o))
{
	static const struct ews_handler handler = { on_ask_object, on_ask_message, NULL };

	*ask = (struct ews_ask){ .arena = arena, .what = what, .object = object, .err = ERR_INIT };
	ask->code = err_set(&ask->err, E_PROTOCOL, "%s: the server gave no answer", what);
	ews_call_init(e, &ask->call, &handler, ask);
	ask->call.http.once = true;
}

enum code ews_ask_end(struct ews *e, struct ews_ask *ask, struct err *err)
{
	enum code rc = ews_run_one(e, ask->arena, &ask->call, err);

	ews_call_free(&ask->call);
	if (rc != E_OK || ask->code == E_OK)
		return rc;
	if (err != NULL)
		*err = ask->err;
	return ask->code;
}
