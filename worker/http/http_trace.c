/* http_trace.c - requests and answers for the trace: first lines, headers, sizes of bodies. What libcurl adds
 * by itself (Authorization) never comes here; what a server wants to be kept secret is masked by its name.
 */
#include "http_p.h"

#include "../../common/clock.h"
#include "../../common/trace.h"

#include <stdio.h>

#define SHOWN 800

static void line(const struct http_slot *s, char direction, const char *text)
{
	trace_line(s->http->endpoint, direction, span_of(text));
}

void http_trace_request(const struct http_slot *s)
{
	const struct http_req *r = s->req;
	char text[SHOWN];

	if (!s->http->traced)
		return;
	snprintf(text, sizeof(text), "%s %s (%zu bytes)", r->method, s->url, r->type != NULL ? r->body.n : 0);
	line(s, '>', text);
	for (size_t i = 0; r->headers != NULL && r->headers[i] != NULL; i++)
		line(s, '>', r->headers[i]);
}

static bool is_secret(struct span header)
{
	static const char *const names[] = { "Set-Cookie", "Cookie", "Authorization", "WWW-Authenticate",
					     "Authentication-Info", "Proxy-" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_starts_nocase(header, names[i]))
			return true;
	return false;
}

void http_trace_header(const struct http_slot *s, struct span header)
{
	char text[SHOWN];

	if (!s->http->traced || header.n == 0)
		return;
	if (is_secret(header)) {
		struct span name = span_cut(header, 0, span_find(header, 0, ':'));

		snprintf(text, sizeof(text), SPAN_FMT ": {secret}", SPAN_ARG(name));
	} else {
			snprintf(text, sizeof(text), SPAN_FMT, SPAN_ARG(header));
	}
	line(s, '<', text);
}

void http_trace_end(const struct http_slot *s)
{
	char text[SHOWN];

	if (!s->http->traced)
		return;
	const char *why = s->rc != E_OK ? code_name(s->rc) : "";

	snprintf(text, sizeof(text), "%u %s %s (%zu bytes, %lld ms) %s", s->req->status, s->req->method, s->url,
		 s->got, (long long)(clock_mono_ms() - s->began_ms), why);
	line(s, '<', text);
}
