/* ews_discover.c - Autodiscover (MS-OXDSCLI, "POX"): which URL the organisation itself names for a mailbox.
 *
 * Only `mailshadow test` asks: the URL in use is always the configured one. Credentials go to two hosts at the
 * most, by verified TLS: the configured one, and autodiscover.<domain of the mailbox>, which by its name is the
 * organisation's. Where an answer leads elsewhere, that is told and not followed.
 */
#include "ews.h"

#include "../../common/xml_stream.h"

#define ANSWER_MAX ((size_t)256 << 10)
#define TEXT_MAX 2048
#define PATH "/autodiscover/autodiscover.xml"
#define REQUEST_SCHEMA "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
#define ANSWER_SCHEMA "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"

/* What an answer says. */
struct advice {
	struct arena *arena;
	struct buf text;             /* of the element that is open */
	struct span name, type;      /* of that element; of the Protocol that is open */
	struct span inside, outside; /* the EwsUrl of EXCH, and of EXPR or EXHTTP */
	struct span redirect, error;
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
	else if (span_eq_str(a->name, "Message"))
		keep(a, &a->error);
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

static enum code ask(struct ews *e, struct http *http, struct arena *arena, const char *url,
		     struct ews_discovered *found_r, struct err *err)
{
	struct buf body;
	struct http_req r = { .method = "POST", .url = url, .type = "text/xml; charset=utf-8",
			      .max_bytes = ANSWER_MAX };
	enum code rc = http_allow(http, span_of(url), err);

	if (rc != E_OK)
		return rc;
	buf_init(&body, 4096);
	buf_add_str(&body, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover xmlns=\"" REQUEST_SCHEMA
			   "\"><Request><EMailAddress>");
	ews_xml(&body, span_of(e->ep->env.mailbox->smtp_name));
	buf_add_str(&body, "</EMailAddress><AcceptableResponseSchema>" ANSWER_SCHEMA
			   "</AcceptableResponseSchema></Request></Autodiscover>");
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

	return arena_printf(arena, SPAN_FMT PATH, SPAN_ARG(span_cut(url, 0, 8 + (slash == SIZE_MAX ? rest.n : slash))));
}

enum code ews_advise_verb(struct endpoint *ep, struct arena *arena, const char **text_r, struct err *err)
{
	struct ews *e = ep->impl;
	const char *at = strrchr(ep->env.mailbox->smtp_name, '@');
	const char *urls[2] = { e->url != NULL ? own_url(e, arena) : NULL,
				at != NULL ? arena_printf(arena, "https://autodiscover.%s" PATH, at + 1) : NULL };
	struct http *http = NULL;
	enum code rc = ews_client(e, &http, err);

	if (rc != E_OK)
		return rc;
	rc = err_set(err, E_NOT_FOUND, "nobody offers Autodiscover for this mailbox");
	for (size_t i = 0; i < ARRAY_LEN(urls) && rc != E_OK; i++) {
		struct ews_discovered found = { .error = SPAN_NONE };
		struct err why = ERR_INIT;

		if (urls[i] == NULL)
			continue;
		enum code one = ask(e, http, arena, urls[i], &found, &why);
		if (one == E_OK && (found.inside.n > 0 || found.outside.n > 0 || found.redirect.n > 0)) {
			*text_r = told(e, arena, urls[i], &found);
			rc = E_OK;
		} else if (one == E_OK) {
			err_set(err, E_NOT_FOUND, "%s: " SPAN_FMT, urls[i],
				SPAN_ARG(found.error.n > 0 ? found.error : SPAN_LIT("it names no web service")));
		} else if (one == E_LOGON_FAILED) {
			*err = why;
			rc = one;
			break;               /* not twice with a password that is refused */
		}
	}
	http_free(&http);
	return rc;
}
