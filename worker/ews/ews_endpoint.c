/* ews_endpoint.c - the table of the type "exchange": opening, capabilities, closing. */
#include "ews.h"

#include "../../common/conf.h"
#include "../../common/mem.h"
#include "../data/record.h"
#include "../endpoint_types.h"
#include "ews_token.h"

#define LIFE_MAX ((size_t)4 << 20)
#define SCRATCH_MAX ((size_t)16 << 20)
#define IN_FLIGHT 4U
#define WINDOW 400

static enum code make(struct endpoint *ep, struct err *err)
{
	const struct conf_endpoint *conf = ep->env.conf;

	if (conf->server == NULL && conf->front_end == NULL)
		return err_set(err, E_CONF, "endpoint %s has no Server and no FrontEnd", conf->name);
	struct ews *e = mem_alloc(sizeof(*e));

	e->ep = ep;
	e->life = arena_new(LIFE_MAX);
	ep->impl = e;
	return E_OK;
}

/* --- logging on --- */

static enum http_auth auth_of(const struct conf_endpoint *conf)
{
	const char *auth = conf->auth != NULL ? conf->auth : "";

	return strcmp(auth, "ntlm") == 0 ? HTTP_AUTH_NTLM : strcmp(auth, "negotiate") == 0 ? HTTP_AUTH_NEGOTIATE
	     : strcmp(auth, "oauth") == 0 ? HTTP_AUTH_BEARER : HTTP_AUTH_BASIC;
}

enum code ews_client(struct ews *e, struct http **http_r, struct err *err)
{
	struct endpoint *ep = e->ep;
	const struct conf_endpoint *conf = ep->env.conf;
	uint32_t most = conf_max_connections(conf);
	struct http_conf hc = {
		.endpoint = conf->name, .type = "exchange", .ca_pem = ep->env.ca_pem,
		.user = conf_mailbox_user(ep->env.mailbox),
		.auth = auth_of(conf), .cookies = true, .proxy = conf->http_proxy,
		.in_flight = most > 0 && most < IN_FLIGHT ? most : IN_FLIGHT,
	};
	enum code rc = E_OK;

	if (hc.auth == HTTP_AUTH_BEARER) {
		hc.token = ews_token_get;
		hc.token_ctx = e;
	} else {
		rc = ep->env.secret(ep->env.ctx, "password", &hc.secret, err);
	}
	if (rc != E_OK)
		return rc;
	e->in_flight = hc.in_flight;
	rc = http_new(&hc, http_r, err);
	if (rc != E_OK)
		secret_free(&hc.secret);
	return rc;
}

static struct span url_part(struct span url, size_t from, bool host_only)
{
	size_t end = from;

	while (end < url.n && url.p[end] != '/' && !(host_only && url.p[end] == ':'))
		end++;
	return span_cut(url, from, end - from);
}

/* The name in the certificate is not that in the URL: the URL gets that name, and the front end's addresses. A
 * wildcard covers the URL's own host, or stands for any name below it. */
static const char *url_as(struct ews *e, const char *front, const char *principal, struct span *real_r)
{
	struct span url = span_of(front), host = url_part(url, 8, true), after;
	const char *name = span_starts_nocase(span_of(principal), "msstd:") ? principal + 6 : principal;
	struct span domain = span_of(name[0] == '*' ? name + 1 : name);
	size_t dot = span_find(host, 0, '.');

	if (span_eq_nocase(host, domain) ||
	    (name[0] == '*' && dot != SIZE_MAX && span_eq_nocase(span_cut(host, dot, host.n), domain)))
		return front;
	*real_r = host;
	after = span_cut(url, 8 + host.n, url.n);
	return arena_printf(e->life, "https://%s" SPAN_FMT SPAN_FMT, name[0] == '*' ? "mailshadow" : "",
			    SPAN_ARG(domain), SPAN_ARG(after));
}

static enum code find_url(struct ews *e, struct err *err)
{
	const struct conf_endpoint *conf = e->ep->env.conf;
	struct span real = SPAN_NONE;

	if (conf->front_end == NULL) {
		bool tls = conf->tls != TLS_NONE, colon = strchr(conf->server, ':') != NULL;

		e->url = arena_printf(e->life, "%s://%s%s%s:%u/EWS/Exchange.asmx", tls ? "https" : "http",
				      colon ? "[" : "",
				      conf->server, colon ? "]" : "",
				      conf->port != 0 ? (unsigned int)conf->port : tls ? 443U : 80U);
	} else {
		e->url = conf->front_end;
		if (conf->principal_name != NULL)
			e->url = url_as(e, conf->front_end, conf->principal_name, &real);
	}
	return http_allow_at(e->http, span_of(e->url), real, err);
}

static void make_headers(struct ews *e)
{
	const struct conf_endpoint *conf = e->ep->env.conf;
	size_t n = 0;

	e->headers[n++] = arena_printf(e->life, "X-AnchorMailbox: %s", e->mailbox);
	e->headers[n++] = "return-client-request-id: true";
	if (conf->front_end != NULL && e->url != conf->front_end)
		e->headers[n++] = arena_printf(e->life, "Host: " SPAN_FMT,
					       SPAN_ARG(url_part(span_of(conf->front_end), 8, false)));
	e->headers[n] = NULL;
}

/* --- opening --- */

struct first {
	struct ews *e;
	enum code code;                  /* of the root */
	struct err err;
};

static enum code on_place(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct first *f = ctx;

	(void)err;
	if (message < EWS_PLACES)
		f->e->place[message] = arena_span(f->e->life, ews_text(o, "FolderId@Id"));
	return E_OK;
}

static enum code on_place_end(void *ctx, size_t message, const struct ews_object *m, struct err *err)
{
	struct first *f = ctx;
	struct err why = ERR_INIT;
	enum code rc = ews_outcome(m, "opening the mailbox", &why);

	if (message == EWS_ROOT) {
		f->code = rc == E_FOLDER_REFUSED || rc == E_FOLDER_GONE || rc == E_ITEM_REFUSED ? E_LOGON_FAILED : rc;
		f->err = why;
	} else if (ews_error_is_side(rc)) {
		*err = why;
		return rc;
	}
	return E_OK;
}

static enum code too_old(const struct ews *e, struct err *err)
{
	return err_set(err, E_UNSUPPORTED, "endpoint %s is an Exchange before 2010 SP1; 2010 SP1 or later is needed. "
		       "Its mail can be reached as type imap", e->ep->env.conf->name);
}

/* Which version the server speaks; 2010 SP1 is the oldest. */
static enum code choose_version(struct ews *e, const struct ews_parser *p, struct err *err)
{
	unsigned int major = ews_parser_major(p), minor = ews_parser_minor(p);

	if (major != 0 && (major < 14 || (major == 14 && minor < 1)))
		return too_old(e, err);
	if (major == 14 && e->version == 0)
		e->version = minor >= 2 ? 1 : 2;
	e->v2013 = e->version == 0;
	return E_OK;
}

static enum code first_call(struct ews *e, struct arena *arena, bool *again_r, struct err *err)
{
	static const struct ews_handler handler = { on_place, on_place_end, NULL };
	struct first f = { .e = e, .err = ERR_INIT };
	struct ews_call c;

	*again_r = false;
	ews_call_init(e, &c, &handler, &f);
	buf_add_str(&c.body, "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>"
			     "<m:FolderIds>");
	for (unsigned int i = 0; i < EWS_PLACES; i++)
		ews_place_id(e, &c.body, (enum ews_place)i);
	buf_add_str(&c.body, "</m:FolderIds></m:GetFolder>");
	enum code rc = ews_run_one(e, arena, &c, err);
	if (rc != E_OK && ews_error_version(c.fault) && e->version < 2) {
		e->version++;
		e->v2013 = false;
		*again_r = true;
	} else if (rc != E_OK && ews_error_version(c.fault)) {
		rc = too_old(e, err);
	} else if (rc == E_OK && f.code != E_OK) {
		*err = f.err;
		rc = err->code = f.code;
	}
	if (rc == E_OK)
		rc = choose_version(e, c.parser, err);
	ews_call_free(&c);
	return rc;
}

enum code ews_begin(struct ews *e, struct err *err)
{
	enum code rc = ews_client(e, &e->http, err);

	e->mailbox = e->ep->env.mailbox->smtp_name;
	if (rc == E_OK)
		rc = find_url(e, err);
	if (rc == E_OK)
		make_headers(e);
	return rc;
}

enum code ews_open(struct endpoint *ep, struct err *err)
{
	struct ews *e = ep->impl;
	bool service = conf_mailbox_logon(ep->env.mailbox) == LOGON_SERVICE, again;
	const char *access = ep->env.conf->access != NULL ? ep->env.conf->access : "";
	enum code rc;

	e->delegate = service && strcmp(access, "delegate") == 0;
	e->impersonate = service && !e->delegate;
	e->v2013 = true;
	e->item_max = (uint64_t)ep->env.conf->max_request_mib * 3 / 4 << 20;
	rc = ews_begin(e, err);
	if (rc != E_OK)
		return rc;
	struct arena *arena = arena_new(SCRATCH_MAX);
	do
		rc = first_call(e, arena, &again, err);
	while (again);
	arena_free(&arena);
	if (rc != E_OK)
		return rc;
	if (e->place[EWS_ROOT].n == 0)
		return err_set(err, E_PROTOCOL, "the server told no root folder");
	ep->identity = e->place[EWS_ROOT];
	ep->caps = (struct ep_caps){
		.kinds = 1U << EP_MAIL | 1U << EP_EVENTS | 1U << EP_CONTACTS | 1U << EP_TASKS,
		.max_item_bytes = e->item_max, .stable_key = true, .marks_flags = true, .moves = true,
		.window_items = WINDOW, .late_s = (uint32_t)((ep->env.conf->commit_grace_ms + 999) / 1000),
	};
	return E_OK;
}

static void close_verb(struct endpoint *ep)
{
	struct ews *e = ep->impl;

	if (e == NULL)
		return;
	http_free(&e->http);
	arena_free(&e->life);
	mem_free(e);
	ep->impl = NULL;
}

const struct ep_ops ep_ews = {
	.type = "exchange",
	.make = make,
	.open = ews_open,
	.close = close_verb,
	.adviser = "autodiscover",
	.advise = ews_advise_verb,
	.directory = ews_directory_verb,
	.list = ews_list_verb,
	.changes = ews_changes_verb,
	.describe = ews_describe_verb,
	.fetch = ews_fetch_verb,
	.apply = ews_apply_verb,
	.folders = ews_folders_verb,
};
