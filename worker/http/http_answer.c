/* http_answer.c - what comes back: headers, the body with its cap, and what the outcome means. */
#include "http_p.h"

#include "../../common/clock.h"

#include <stdio.h>

#define HOPS_MAX 5
#define HEADER_MAX ((size_t)4096)
#define WAIT_DEFAULT_MS 60000U

static uint64_t bytes_total;

uint64_t http_bytes_total(void)
{
	return bytes_total;
}

/* --- headers --- */

/* "HTTP/1.1 207 Multi-Status", "HTTP/2 207" */
static void on_status(struct http_slot *s, struct span line)
{
	struct http_req *r = s->req;
	size_t blank = span_find(line, 0, ' ');
	uint64_t status = 0;

	if (blank != SIZE_MAX)
		(void)span_u64(span_cut(line, blank + 1, 3), 999, &status);
	r->status = (unsigned int)status;
	s->heard |= status >= 200;
	r->etag = r->location = r->content_type = r->dav = r->allow = SPAN_NONE;
	s->digest_offered = s->basic_offered = false;
}

static void join(struct http_slot *s, struct span *to, struct span value)
{
	if (to->n == 0)
		*to = arena_span(s->arena, value);
	else if (to->n + value.n < HEADER_MAX)
		*to = span_of(arena_printf(s->arena, SPAN_FMT ", " SPAN_FMT, SPAN_ARG(*to), SPAN_ARG(value)));
}

static void on_field(struct http_slot *s, struct span name, struct span value)
{
	struct http_req *r = s->req;

	if (value.n > HEADER_MAX || arena_left(s->arena) < 16 * HEADER_MAX)
		return;
	if (span_eq_nocase_str(name, "ETag"))
		r->etag = arena_span(s->arena, value);
	else if (span_eq_nocase_str(name, "Location"))
		r->location = arena_span(s->arena, value);
	else if (span_eq_nocase_str(name, "Content-Type"))
		r->content_type = arena_span(s->arena, value);
	else if (span_eq_nocase_str(name, "DAV"))
		join(s, &r->dav, value);
	else if (span_eq_nocase_str(name, "Allow"))
		join(s, &r->allow, value);
	else if (span_eq_nocase_str(name, "WWW-Authenticate")) {
		s->digest_offered |= span_find_nocase(value, "Digest ") != SIZE_MAX;
		s->basic_offered |= span_find_nocase(value, "Basic ") != SIZE_MAX;
	}
}

size_t http_on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct http_slot *s = ctx;
	struct span line = span_trim(span_bytes(p, size * n));
	size_t colon = span_find(line, 0, ':');

	http_trace_header(s, line);
	if (span_starts_nocase(line, "HTTP/"))
		on_status(s, line);
	else if (colon != SIZE_MAX)
		on_field(s, span_cut(line, 0, colon), span_trim(span_cut(line, colon + 1, line.n)));
	return size * n;
}

/* --- the body of a request that is to be sent once --- */

size_t http_on_send(char *to, size_t size, size_t n, void *ctx)
{
	struct http_slot *s = ctx;
	const struct http_req *r = s->req;
	struct span piece = span_cut(r->body, s->put, size * n);

	if (s->put == 0)
		s->heard = false;
	if (r->source != NULL) {
		size_t got = s->put < r->length ? r->source(r->source_ctx, s->put, to, size * n) : 0;

		if (got == 0 && s->put < r->length)
			return CURL_READFUNC_ABORT;
		s->put += got;
		return got;
	}
	if (piece.n > 0)
		memcpy(to, piece.p, piece.n);
	s->put += piece.n;
	return piece.n;
}

/* libcurl wants to begin anew: a logon that took more than one round is a reason, a connection that died is none. */
int http_on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct http_slot *s = ctx;

	if (offset != 0 || origin != SEEK_SET || (s->put > 0 && !s->heard))
		return CURL_SEEKFUNC_FAIL;
	s->put = 0;
	return CURL_SEEKFUNC_OK;
}

/* --- the body --- */

size_t http_on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct http_slot *s = ctx;
	struct http_req *r = s->req;
	bool good = r->status >= 200 && r->status < 300;
	size_t max = r->max_bytes > 0 ? r->max_bytes : HTTP_ANSWER_MAX;

	if (!good) {
		if (s->answer.n + n <= HTTP_FAILURE_MAX)
			buf_add(&s->answer, p, n);
		s->got += n;
		return s->got <= max ? size * n : 0;
	}
	if (n > max - s->got) {
		s->own = true;
		s->rc = err_set(&s->err, E_ITEM_TOO_BIG, "the answer is larger than %zu bytes", max);
		return 0;
	}
	s->got += n;
	if (r->sink == NULL)
		buf_add(&s->answer, p, n);
	else
		s->rc = r->sink(r->ctx, span_bytes(p, n), &s->err);
	s->own = s->rc != E_OK && s->rc != E_THROTTLED;
	return s->rc == E_OK ? size * n : 0;
}

/* --- the outcome --- */

static enum code failure(CURLcode result)
{
	switch ((int)result) {
	case CURLE_OPERATION_TIMEDOUT:
		return E_TIMEOUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_USE_SSL_FAILED:
		return E_TLS;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WRITE_ERROR:
		return E_PROTOCOL;
	case CURLE_OUT_OF_MEMORY:
	case CURLE_FAILED_INIT:
	case CURLE_BAD_FUNCTION_ARGUMENT:
		return E_INTERNAL;
	default:
		return E_NET;
	}
}

static void failed(struct http_slot *s, CURLcode result)
{
	const struct http_origin *o = http_origin_of(s->http, span_of(s->url));

	if (s->rc != E_OK)
		return;                      /* a callback said why */
	if (result == CURLE_SEND_FAIL_REWIND)
		snprintf(s->why, sizeof(s->why), "the connection broke before the answer came");
	s->rc = err_set(&s->err, failure(result), SPAN_FMT ": %s%s%s",
			SPAN_ARG(o != NULL ? o->url.host : SPAN_NONE),
			s->why[0] != '\0' ? s->why : http_curl.easy_strerror(result),
			s->http->proxy != NULL ? ", through the proxy " : "",
			s->http->proxy != NULL ? s->http->proxy : "");
}

/* True: the request goes on to slot->url. */
static bool redirected(struct http_slot *s)
{
	struct http_req *r = s->req;
	char *to = r->location.n > 0 ? http_url_resolve(s->arena, span_of(s->url), r->location) : NULL;
	const struct http_origin *from = http_origin_of(s->http, span_of(s->url));
	struct http_url u;

	assert(from != NULL);
	if (to == NULL || ++s->hops > HOPS_MAX) {
		s->rc = err_set(&s->err, E_PROTOCOL, "%.200s: the server redirects %s", s->url,
				to == NULL ? "to nowhere" : "in a circle");
		return false;
	}
	if (!http_url_split(span_of(to), &u) || !span_eq_nocase(u.host, from->url.host) ||
	    (from->url.tls && !u.tls)) {
		s->rc = err_set(&s->err, E_PROTOCOL,
				"%.150s redirects to %.200s; configure that address if it is right", s->url, to);
		return false;
	}
	s->rc = http_allow(s->http, span_of(to), &s->err);
	s->url = to;
	return s->rc == E_OK;
}

static void throttled(struct http_slot *s, curl_off_t seconds)
{
	uint32_t wait_ms = seconds <= 0 ? WAIT_DEFAULT_MS : seconds > 86400 ? 86400000U : (uint32_t)seconds * 1000U;

	s->rc = err_set(&s->err, E_THROTTLED, "endpoint %s asked to wait %u s (%u)", s->http->endpoint,
			(unsigned int)(wait_ms / 1000), s->req->status);
	s->err.wait_ms = wait_ms;
}

static bool other_logon(struct http_slot *s)
{
	struct http *h = s->http;

	if (h->secret == NULL || h->bearer || h->auth != HTTP_AUTH_OFFERED || !s->digest_offered ||
	    s->basic_offered || s->hops > 0)
		return false;
	h->digest = true;
	s->hops++;
	return true;
}

/* A token may end before its time: one more try with another one, which a request beside this one may have got. */
static bool other_token(struct http_slot *s)
{
	struct http *h = s->http;

	if (h->token == NULL || s->renewed)
		return false;
	s->renewed = true;
	if (s->token_n == h->token_n)
		s->rc = http_renew(h, &s->err);
	return s->rc == E_OK;
}

/* What there is to say of a 401. */
static const char *refusal(const struct http *h)
{
	if (h->secret == NULL)
		return ": it wants one, and none is configured";
	if (h->auth == HTTP_AUTH_NTLM)
		return " by NTLM; where the password is right, Extended Protection of the server may demand what this "
		       "libcurl cannot give: set it to Allow, or take Auth basic";
	return "";
}

static bool answered(struct http_slot *s)
{
	const unsigned int status = s->req->status;
	curl_off_t retry_after = 0;

	http_curl.easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &retry_after);
	if (status == 301 || status == 302 || status == 307 || status == 308)
		return redirected(s);
	if (status == 401 && (other_logon(s) || other_token(s)))
		return true;
	if (status == 401 && s->rc == E_OK)
		s->rc = err_set(&s->err, E_LOGON_FAILED, "endpoint %s refused the logon%s", s->http->endpoint,
				refusal(s->http));
	else if (status == 429 || (status == 503 && retry_after > 0))
		throttled(s, retry_after);
	else if (status == 502 || status == 503 || status == 504)
		s->rc = err_set(&s->err, E_SERVER, "endpoint %s is not available (%u)", s->http->endpoint, status);
	else if (status < 200)
		s->rc = err_set(&s->err, E_PROTOCOL, "endpoint %s answered with status %u", s->http->endpoint, status);
	return false;
}

static void count(struct http_slot *s)
{
	curl_off_t up = 0, down = 0;
	long request = 0, header = 0;

	http_curl.easy_getinfo(s->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	http_curl.easy_getinfo(s->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	http_curl.easy_getinfo(s->easy, CURLINFO_REQUEST_SIZE, &request);
	http_curl.easy_getinfo(s->easy, CURLINFO_HEADER_SIZE, &header);
	bytes_total += (uint64_t)up + (uint64_t)down + (uint64_t)request + (uint64_t)header;
	s->sent |= request > 0;
}

bool http_judge(struct http_slot *s, CURLcode result)
{
	struct http_req *r = s->req;
	bool again = false;

	count(s);
	if (result != CURLE_OK)
		failed(s, result);
	else
		again = answered(s);
	r->sent = s->sent;
	r->final_url = s->url;
	if (!again && s->answer.n > 0 && arena_left(s->arena) > s->answer.n + HEADER_MAX) {
		r->answer = arena_span(s->arena, buf_span(&s->answer));
	} else if (!again && s->answer.n > 0 && s->rc == E_OK) {
		s->own = true;
		s->rc = err_set(&s->err, E_ITEM_TOO_BIG, "there is no room for an answer of %zu bytes", s->answer.n);
	}
	return again;
}
