/* ews_discover.c - Autodiscover ("POX", MS-OXDSCLI, and SOAP, MS-OXWSADISC): which URL the organisation itself names
 * for a mailbox.
 *
 * Only `mailshadow test` asks: the URL in use is always the configured one. Credentials go to two hosts at the
 * most, by verified TLS: the configured one, and autodiscover.<domain of the mailbox>, which by its name is the
 * organisation's. Where an answer, or the domain's SRV record, leads elsewhere, that is told and not followed: who
 * answers for a name in the DNS is not proven by anything.
 */
#include "ews.h"

#include "ews_srv.h"

#include "../../common/xml_stream.h"

#define ANSWER_MAX ((size_t)256 << 10)
#define TEXT_MAX 2048
#define SOAP_SCHEMA "http://schemas.microsoft.com/exchange/2010/Autodiscover"
#define REQUEST_SCHEMA "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
#define ANSWER_SCHEMA "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"

/* What an answer says. */
struct advice {
	struct arena *arena;
	struct buf text;             /* of the element that is open */
	struct span name, type;      /* of that element; of the Protocol that is open */
	struct span inside, outside; /* the EwsUrl of EXCH, and of EXPR or EXHTTP */
	struct span redirect, error;
	struct span setting;         /* SOAP: the name of the UserSetting that is open */
	bool failed;                 /* SOAP: the last ErrorCode was one */
};

static enum code on_open(void *ctx, struct span ns, struct span name, const struct xml_attr *attrs, size_t n,
			 struct err *err)
{
	struct advice *a = ctx;

	(void)ns;
	(void)attrs;
	(void)n;
	(void)err;
	a->name = arena_span(a->arena, name);
	if (span_eq_str(name, "Protocol"))
		a->type = SPAN_NONE;
	buf_clear(&a->text);
	return E_OK;
}

static enum code on_text(void *ctx, struct span piece, struct err *err)
{
	struct advice *a = ctx;

	(void)err;
	buf_add_span(&a->text, piece);
	return E_OK;
}

static void keep(struct advice *a, struct span *where)
{
	if (where->n == 0 && !a->text.overflow)
		*where = arena_span(a->arena, span_trim(buf_span(&a->text)));
}

/* A UserSetting is a Name and a Value; a failure an ErrorCode and then its ErrorMessage. */
static void read_soap(struct advice *a)
{
	struct span text = span_trim(buf_span(&a->text));

	if (span_eq_str(a->name, "Name"))
		a->setting = a->text.overflow ? SPAN_NONE : arena_span(a->arena, text);
	else if (span_eq_str(a->name, "Value") && span_eq_str(a->setting, "InternalEwsUrl"))
		keep(a, &a->inside);
	else if (span_eq_str(a->name, "Value") && span_eq_str(a->setting, "ExternalEwsUrl"))
		keep(a, &a->outside);
	else if (span_eq_str(a->name, "RedirectTarget"))
		keep(a, &a->redirect);
	else if (span_eq_str(a->name, "ErrorCode"))
		a->failed = !span_eq_str(text, "NoError");
}

static enum code on_close(void *ctx, struct err *err)
{
	struct advice *a = ctx;

	(void)err;
	if (span_eq_str(a->name, "Type"))
		keep(a, &a->type);
	else if (span_eq_str(a->name, "EwsUrl"))
		keep(a, span_eq_str(a->type, "EXCH") ? &a->inside : &a->outside);
	else if (span_eq_str(a->name, "RedirectAddr") || span_eq_str(a->name, "RedirectUrl"))
		keep(a, &a->redirect);
	else if (span_eq_str(a->name, "Message") || (a->failed && span_eq_str(a->name, "ErrorMessage")))
		keep(a, &a->error);
	else
		read_soap(a);
	a->name = SPAN_NONE;
	buf_clear(&a->text);
	return E_OK;
}

/* Empty spans where it says nothing. Pure; t_ews_discover.c feeds it. */
enum code ews_discover_read(struct arena *arena, struct span answer, struct ews_discovered *found_r, struct err *err)
{
	static const struct xml_stream_ops ops = { on_open, on_text, on_close };
	static const struct xml_limits limits = { E_PROTOCOL, ANSWER_MAX, TEXT_MAX, 32 };
	struct advice a = { .arena = arena };
	struct xml_stream *x = xml_stream_new(&ops, &a, &limits);

	buf_init(&a.text, TEXT_MAX);
	enum code rc = xml_stream_feed(x, answer, err);
	if (rc == E_OK)
		rc = xml_stream_end(x, err);
	xml_stream_free(&x);
	buf_free(&a.text);
	*found_r = (struct ews_discovered){ a.inside, a.outside, a.redirect, a.error };
	return rc;
}

/* --- asking --- */

static void print_pox(struct buf *b, const char *url, struct span address)
{
	(void)url;
	buf_add_str(b, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover xmlns=\"" REQUEST_SCHEMA
		    "\"><Request><EMailAddress>");
	ews_xml(b, address);
	buf_add_str(b, "</EMailAddress><AcceptableResponseSchema>" ANSWER_SCHEMA
		    "</AcceptableResponseSchema></Request></Autodiscover>");
}

static void print_soap(struct buf *b, const char *url, struct span address)
{
	buf_add_str(b, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<s:Envelope xmlns:a=\"" SOAP_SCHEMA "\" "
		    "xmlns:wsa=\"http://www.w3.org/2005/08/addressing\" "
		    "xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Header><a:RequestedServerVersion>"
		    "Exchange2010</a:RequestedServerVersion><wsa:Action>" SOAP_SCHEMA "/Autodiscover/GetUserSettings"
		    "</wsa:Action><wsa:To>");
	ews_xml(b, span_of(url));
	buf_add_str(b, "</wsa:To></s:Header><s:Body><a:GetUserSettingsRequestMessage><a:Request><a:Users><a:User>"
		    "<a:Mailbox>");
	ews_xml(b, address);
	buf_add_str(b, "</a:Mailbox></a:User></a:Users><a:RequestedSettings><a:Setting>InternalEwsUrl</a:Setting>"
		    "<a:Setting>ExternalEwsUrl</a:Setting></a:RequestedSettings></a:Request>"
		    "</a:GetUserSettingsRequestMessage></s:Body></s:Envelope>");
}

static const struct way {
	const char *path;
	void (*print)(struct buf *b, const char *url, struct span address);
} ways[] = {
	{ "/autodiscover/autodiscover.xml", print_pox }, { "/autodiscover/autodiscover.svc", print_soap },
};

static enum code ask(struct ews *e, struct http *http, struct arena *arena, const struct way *way, const char *url,
		     struct ews_discovered *found_r, struct err *err)
{
	struct buf body;
	struct http_req r = { .method = "POST", .url = url, .type = "text/xml; charset=utf-8",
			      .max_bytes = ANSWER_MAX };
	enum code rc = http_allow(http, span_of(url), err);

	if (rc != E_OK)
		return rc;
	buf_init(&body, 8192);
	way->print(&body, url, span_of(e->ep->env.mailbox->smtp_name));
	r.body = buf_span(&body);
	rc = http_run(http, arena, &r, 1, err);
	buf_free(&body);
	if (rc != E_OK)
		return rc;
	if (r.code != E_OK)
		return err_set(err, r.code, "%s: %s", url, r.text);
	if (r.status != 200)
		return err_set(err, E_NOT_FOUND, "%s answered %u", url, r.status);
	return ews_discover_read(arena, r.answer, found_r, err);
}

static const char *told(struct ews *e, struct arena *arena, const char *url, const struct ews_discovered *f)
{
	const char *text = arena_printf(arena, "%s:", url);
	bool known = span_eq_nocase_str(f->inside, e->url) || span_eq_nocase_str(f->outside, e->url);

	if (f->inside.n > 0)
		text = arena_printf(arena, "%s inside " SPAN_FMT, text, SPAN_ARG(f->inside));
	if (f->outside.n > 0)
		text = arena_printf(arena, "%s outside " SPAN_FMT, text, SPAN_ARG(f->outside));
	if (f->redirect.n > 0)
		text = arena_printf(arena, "%s leads to " SPAN_FMT, text, SPAN_ARG(f->redirect));
	return known || (f->inside.n == 0 && f->outside.n == 0) ? text :
	       arena_printf(arena, "%s; configured is %s", text, e->url);
}

static const char *own_url(const struct ews *e, struct arena *arena)
{
	struct span url = span_of(e->url), rest = span_cut(url, 8, url.n);
	size_t slash = span_find(rest, 0, '/');

	return arena_printf(arena, SPAN_FMT, SPAN_ARG(span_cut(url, 0, 8 + (slash == SIZE_MAX ? rest.n : slash))));
}

/* One host, in each way that it may offer; E_OK with a text. */
static enum code ask_host(struct ews *e, struct http *http, struct arena *arena, const char *host, const char **text_r,
			  struct err *err)
{
	enum code rc = E_NOT_FOUND;

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct ews_discovered found = { .error = SPAN_NONE };
		const char *url = arena_printf(arena, "%s%s", host, ways[i].path);

		err_clear(err);
		rc = ask(e, http, arena, &ways[i], url, &found, err);
		if (rc == E_OK && (found.inside.n > 0 || found.outside.n > 0 || found.redirect.n > 0)) {
			*text_r = told(e, arena, url, &found);
			return E_OK;
		}
		if (rc == E_OK)
			rc = err_set(err, E_NOT_FOUND, "%s: " SPAN_FMT, url,
				     SPAN_ARG(found.error.n > 0 ? found.error : SPAN_LIT("it names no web service")));
		if (rc != E_NOT_FOUND && rc != E_PROTOCOL)
			return rc;           /* not there, or it does not let us in: so it is by the other way */
	}
	return rc;
}

/* What the domain's SRV record names is added to what was found. */
static const char *with_srv(struct arena *arena, const char *domain, const char *asked, const char *text)
{
	const char *srv = ews_srv_find(arena, domain);

	if (srv == NULL || (asked != NULL && strstr(asked, srv) != NULL))
		return text;
	return arena_printf(arena, "%s%sthe domain's SRV record names %s, which was not asked: it is not configured",
			    text, text[0] != '\0' ? "; " : "", srv);
}

enum code ews_advise_verb(struct endpoint *ep, struct arena *arena, const char **text_r, struct err *err)
{
	struct ews *e = ep->impl;
	const char *at = strrchr(ep->env.mailbox->smtp_name, '@');
	const char *hosts[2] = { e->url != NULL ? own_url(e, arena) : NULL,
				 at != NULL ? arena_printf(arena, "https://autodiscover.%s", at + 1) : NULL };
	struct http *http = NULL;
	enum code rc = ews_client(e, &http, err);
	struct err why = ERR_INIT;

	if (rc != E_OK)
		return rc;
	rc = err_set(err, E_NOT_FOUND, "nobody offers Autodiscover for this mailbox");
	for (size_t i = 0; i < ARRAY_LEN(hosts) && rc != E_OK && rc != E_LOGON_FAILED; i++) {
		enum code one = hosts[i] != NULL ? ask_host(e, http, arena, hosts[i], text_r, &why) : E_NET;

		if (one == E_OK || one == E_NOT_FOUND || one == E_LOGON_FAILED)
			rc = one;            /* a password that is refused is not sent once more */
		if (one == E_NOT_FOUND || one == E_LOGON_FAILED)
			*err = why;
	}
	http_free(&http);
	if (at == NULL || rc == E_LOGON_FAILED)
		return rc;
	const char *text = with_srv(arena, at + 1, hosts[0], rc == E_OK ? *text_r :
				    arena_str(arena, span_of(err_text(err))));
	if (rc == E_OK)
		*text_r = text;
	else
		err_set(err, rc, "%s", text);
	return rc;
}
