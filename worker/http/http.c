/* http.c - the client: which origins it may ask, and batches of requests over a few transfers.
 *
 * 1. A request goes only to an origin that http_allow() resolved; libcurl never resolves a name (its resolver
 *    is a thread with a socket pair, which the jail refuses) and never follows a redirect by itself.
 * 2. Credentials are given to libcurl, which adds them; they are in no header of ours.
 * Its test: tests/unit/t_http.c.
 */
#include "http_p.h"

#include "http_kerberos.h"

#include "../../common/clock.h"
#include "../../common/mem.h"
#include "../../common/trace.h"

#include <stdio.h>
#include <unistd.h>

#define CONNECT_MS 30000L
#define IDLE_S 120L
#define WHOLE_MS (15 * 60 * 1000L)
#define CA_DIR "/etc/ssl/certs"

struct http_limits http_limits = { CONNECT_MS, IDLE_S, WHOLE_MS };

void http_set_deadlines(long connect_ms, long idle_s, long whole_ms)
{
	http_limits = (struct http_limits){ connect_ms > 0 ? connect_ms : CONNECT_MS, idle_s > 0 ? idle_s : IDLE_S,
					    whole_ms > 0 ? whole_ms : WHOLE_MS };
}

/* --- life --- */

static enum code resolve_proxy(struct http *h, struct err *err)
{
	struct http_url u;

	if (!http_url_split(span_of(h->proxy), &u))
		return err_set(err, E_CONF, "endpoint %s: \"%s\" is not the URL of a proxy", h->endpoint, h->proxy);
	return http_resolve(h, &u, u.host, err);
}

enum code http_new(const struct http_conf *conf, struct http **http_r, struct err *err)
{
	struct http_engine *engine;
	enum code rc = http_load(err);

	if (rc == E_OK)
		rc = http_engine_take(&engine, err);
	if (rc != E_OK)
		return rc;
	struct http *h = mem_alloc(sizeof(*h));
	h->endpoint = mem_strdup(conf->endpoint);
	h->type = mem_strdup(conf->type);
	h->ca_pem = conf->ca_pem;
	h->user = conf->user != NULL ? mem_strdup(conf->user) : NULL;
	h->secret = conf->secret;
	h->bearer = conf->bearer;
	h->auth = conf->auth;
	h->token = conf->token;
	h->token_ctx = conf->token_ctx;
	h->cookies = conf->cookies;
	h->proxy = conf->proxy != NULL ? mem_strdup(conf->proxy) : NULL;
	h->traced = trace_wanted(conf->endpoint, conf->type);
	h->in_flight = conf->in_flight == 0 ? 4 : conf->in_flight < HTTP_IN_FLIGHT_MAX ? conf->in_flight
										       : HTTP_IN_FLIGHT_MAX;
	h->engine = engine;
	for (size_t i = 0; i < ARRAY_LEN(h->slots); i++) {
		h->slots[i].http = h;
		buf_init(&h->slots[i].answer, HTTP_ANSWER_MAX);
	}
	rc = h->proxy != NULL ? resolve_proxy(h, err) : E_OK;
	if (rc == E_OK && h->auth == HTTP_AUTH_NEGOTIATE && h->secret != NULL) {
		rc = http_kerberos_take(h->user, h->secret, err);
		h->ticket = rc == E_OK;
	}
	if (rc != E_OK) {
		h->secret = NULL;            /* it stays the caller's */
		http_free(&h);
		return rc;
	}
	*http_r = h;
	return E_OK;
}

void http_free(struct http **http)
{
	struct http *h = *http;

	*http = NULL;
	if (h == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(h->slots); i++) {
		if (h->slots[i].easy != NULL)
			http_curl.easy_cleanup(h->slots[i].easy);
		buf_free(&h->slots[i].answer);
	}
	if (h->ticket)
		http_kerberos_give();
	for (size_t i = 0; i < h->n_origins; i++)
		mem_free(h->origins[i].origin);
	http_curl.slist_free_all(h->addresses);
	http_engine_give(&h->engine);
	secret_free(&h->secret);
	mem_free(h->endpoint);
	mem_free(h->type);
	mem_free(h->user);
	mem_free(h->proxy);
	mem_free(h);
}

const struct http_origin *http_origin_of(const struct http *h, struct span url)
{
	struct http_url u;

	if (!http_url_split(url, &u))
		return NULL;
	for (size_t i = 0; i < h->n_origins; i++)
		if (http_url_same_origin(&u, &h->origins[i].url))
			return &h->origins[i];
	return NULL;
}

/* --- one transfer --- */

/* `ok` stays false after the first option that was refused. */
#define SET(ok, easy, option, value) \
	((ok) = (ok) && http_curl.easy_setopt(easy, CURLOPT_##option, value) == CURLE_OK)

static bool set_trust(const struct http *h, CURL *easy)
{
	bool ok = true;

	SET(ok, easy, SSL_VERIFYPEER, 1L);
	SET(ok, easy, SSL_VERIFYHOST, 2L);
	SET(ok, easy, SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (h->ca_pem != NULL) {
		struct curl_blob blob = { (void *)(uintptr_t)h->ca_pem, strlen(h->ca_pem), CURL_BLOB_COPY };

		SET(ok, easy, CAINFO_BLOB, &blob);
		SET(ok, easy, CAPATH, (char *)NULL);
	} else if (access(CA_DIR, R_OK | X_OK) == 0) {
		/* read on demand; the bundle costs 10 ms to parse */
		SET(ok, easy, CAINFO, (char *)NULL);
		SET(ok, easy, CAPATH, CA_DIR);
	}
	return ok;
}

/* What all requests of a client have in common. */
static bool set_constant(struct http_slot *s, CURL *easy)
{
	bool ok = set_trust(s->http, easy);

	SET(ok, easy, NOSIGNAL, 1L);
	SET(ok, easy, PROXY, s->http->proxy != NULL ? s->http->proxy : "");
	if (s->http->proxy != NULL)
		SET(ok, easy, HTTPPROXYTUNNEL, 1L);
	if (s->http->cookies)
		SET(ok, easy, COOKIEFILE, "");
	SET(ok, easy, PROTOCOLS_STR, "http,https");
	SET(ok, easy, FOLLOWLOCATION, 0L);
	SET(ok, easy, NETRC, (long)CURL_NETRC_IGNORED);
	SET(ok, easy, PATH_AS_IS, 1L);
	SET(ok, easy, ACCEPT_ENCODING, "gzip");
	SET(ok, easy, TCP_KEEPALIVE, 1L);
	SET(ok, easy, USERAGENT, "MailShadow/" MS_VERSION);
	SET(ok, easy, ERRORBUFFER, s->why);
	SET(ok, easy, HEADERFUNCTION, http_on_header);
	SET(ok, easy, HEADERDATA, s);
	SET(ok, easy, WRITEFUNCTION, http_on_body);
	SET(ok, easy, WRITEDATA, s);
	SET(ok, easy, READFUNCTION, http_on_send);
	SET(ok, easy, READDATA, s);
	SET(ok, easy, SEEKFUNCTION, http_on_seek);
	SET(ok, easy, SEEKDATA, s);
	SET(ok, easy, PRIVATE, s);
	SET(ok, easy, CONNECTTIMEOUT_MS, http_limits.connect_ms);
	SET(ok, easy, LOW_SPEED_LIMIT, 1L);
	SET(ok, easy, LOW_SPEED_TIME, http_limits.idle_s);
	SET(ok, easy, TIMEOUT_MS, http_limits.whole_ms);
	return ok;
}

static bool set_logon(const struct http *h, CURL *easy)
{
	bool ok = true;

	if (h->secret == NULL || (h->user == NULL && h->auth != HTTP_AUTH_BEARER))
		return true;
	if (h->bearer || h->auth == HTTP_AUTH_BEARER) {
		SET(ok, easy, HTTPAUTH, (long)CURLAUTH_BEARER);
		SET(ok, easy, XOAUTH2_BEARER, secret_reveal(h->secret));
		return ok;
	}
	switch (h->auth) {
	case HTTP_AUTH_NTLM:
		SET(ok, easy, HTTPAUTH, (long)CURLAUTH_NTLM);
		SET(ok, easy, HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);   /* it logs on a connection */
		break;
	case HTTP_AUTH_NEGOTIATE:
		SET(ok, easy, HTTPAUTH, (long)CURLAUTH_NEGOTIATE);
		SET(ok, easy, HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
		/* whose ticket it is says who logs on; without a name libcurl does not begin */
		SET(ok, easy, USERNAME, "");
		SET(ok, easy, PASSWORD, "");
		return ok;
	case HTTP_AUTH_OFFERED:
	case HTTP_AUTH_BASIC:
	case HTTP_AUTH_BEARER:
		SET(ok, easy, HTTPAUTH, (long)(h->digest ? CURLAUTH_DIGEST : CURLAUTH_BASIC));
		break;
	}
	SET(ok, easy, USERNAME, h->user);
	SET(ok, easy, PASSWORD, secret_reveal(h->secret));
	return ok;
}

static bool add_header(struct http_slot *s, const char *line)
{
	struct curl_slist *list = http_curl.slist_append(s->headers, line);

	if (list != NULL)
		s->headers = list;
	return list != NULL;
}

static bool set_request(struct http_slot *s, CURL *easy)
{
	const struct http_req *r = s->req;
	char type[128];
	bool ok = add_header(s, "Expect:");

	for (size_t i = 0; r->headers != NULL && r->headers[i] != NULL; i++)
		ok = ok && add_header(s, r->headers[i]);
	SET(ok, easy, URL, s->url);
	SET(ok, easy, RESOLVE, s->http->addresses);
	if (r->type != NULL) {
		/* a body makes libcurl think of POST; the method's name is ours */
		snprintf(type, sizeof(type), "Content-Type: %s", r->type);
		ok = ok && add_header(s, type);
		SET(ok, easy, POSTFIELDSIZE_LARGE, (curl_off_t)(r->source != NULL ? r->length : r->body.n));
		/* without POSTFIELDS it asks http_on_send() for the body, and http_on_seek() whether it may again */
		SET(ok, easy, POSTFIELDS, r->once ? NULL : r->body.n > 0 ? r->body.p : "");
		if (r->once)
			SET(ok, easy, POST, 1L);
	} else {
		SET(ok, easy, HTTPGET, 1L);
	}
	SET(ok, easy, NOBODY, strcmp(r->method, "HEAD") == 0 ? 1L : 0L);
	SET(ok, easy, CUSTOMREQUEST, r->method);
	SET(ok, easy, HTTPHEADER, s->headers);
	return ok;
}

static void clear_slot(struct http_slot *s)
{
	http_curl.slist_free_all(s->headers);
	s->headers = NULL;
	buf_clear(&s->answer);
	s->got = s->put = 0;
	s->heard = false;
	s->rc = E_OK;
	s->own = false;
	s->digest_offered = s->basic_offered = false;
	s->why[0] = '\0';
	err_clear(&s->err);
}

static void release(struct http_slot *s)
{
	clear_slot(s);
	if (s->answer.cap > HTTP_FAILURE_MAX)
		buf_free(&s->answer);
	s->req = NULL;
}

enum code http_renew(struct http *h, struct err *err)
{
	struct secret *token = NULL;
	enum code rc = h->token(h->token_ctx, &token, &h->renew_ms, err);

	if (rc != E_OK)
		return rc;
	secret_free(&h->secret);
	h->secret = token;
	h->token_n++;
	return E_OK;
}

static enum code start(struct http_slot *s, struct err *err)
{
	struct http *h = s->http;
	bool renew = h->token != NULL && (h->secret == NULL || clock_mono_ms() >= h->renew_ms);

	clear_slot(s);
	if (http_origin_of(h, span_of(s->url)) == NULL)
		return err_set(err, E_PROTOCOL, "endpoint %s: %.200s is not on the server that is configured; "
			       "configure that address if it is right", h->endpoint, s->url);
	enum code rc = renew ? http_renew(h, err) : h->ticket ? http_kerberos_refresh(h->user, h->secret, err) : E_OK;
	if (rc != E_OK)
		return rc;
	s->token_n = h->token_n;
	if (s->easy == NULL) {
		s->easy = http_curl.easy_init();
		if (s->easy == NULL || !set_constant(s, s->easy))
			return err_set(err, E_INTERNAL, "libcurl refused a setting");
	}
	if (!set_logon(h, s->easy) || !set_request(s, s->easy))
		return err_set(err, E_INTERNAL, "libcurl refused a setting");
	http_trace_request(s);
	s->began_ms = clock_mono_ms();
	CURLMcode mc = http_curl.multi_add_handle(h->engine->multi, s->easy);
	return mc == CURLM_OK ? E_OK : err_set(err, E_INTERNAL, "libcurl: %s", http_curl.multi_strerror(mc));
}

/* --- a batch --- */

struct batch {
	struct http *http;
	struct arena *arena;
	struct http_req *req;
	size_t n, next, active;
	enum code rc;                    /* of the whole call; after it nothing is started */
	bool stop;                       /* nor after this: a request's `ends` wanted it */
	struct err err;
};

static void note(struct batch *b, const struct http_slot *s)
{
	struct http_req *r = s->req;

	r->code = s->rc;
	r->text = s->rc == E_OK ? NULL : arena_str(b->arena, span_of(err_text(&s->err)));
	r->wait_ms = s->rc == E_THROTTLED ? s->err.wait_ms : 0;
	if (s->rc != E_OK && !s->own && b->rc == E_OK) {
		b->rc = s->rc;
		b->err = s->err;
	}
}

static void begin(struct batch *b, struct http_slot *s)
{
	s->rc = start(s, &s->err);
	if (s->rc == E_OK) {
		b->active++;
		return;
	}
	note(b, s);
	release(s);
}

static void start_some(struct batch *b)
{
	for (size_t i = 0; i < b->http->in_flight && b->rc == E_OK && !b->stop && b->next < b->n; i++) {
		struct http_slot *s = &b->http->slots[i];

		if (s->req != NULL)
			continue;
		s->req = &b->req[b->next++];
		s->arena = b->arena;
		s->url = s->req->url;
		s->hops = 0;
		s->sent = s->renewed = false;
		begin(b, s);
	}
}

static void reap(struct batch *b)
{
	CURLMsg *m;
	int left;

	while ((m = http_curl.multi_info_read(b->http->engine->multi, &left)) != NULL) {
		struct http_slot *s = NULL;
		CURLcode result = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		http_curl.easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&s);
		http_curl.multi_remove_handle(b->http->engine->multi, s->easy);
		b->active--;
		bool again = http_judge(s, result);
		http_trace_end(s);
		if (again && b->rc == E_OK) {
			s->sent = false;
			begin(b, s);
			continue;
		}
		if (s->rc == E_OK && (s->req->status < 200 || s->req->status > 299) && s->req->ends != NULL)
			b->stop |= s->req->ends(s->req);
		note(b, s);
		release(s);
	}
}

/* What is under way is given up; the server may have seen it. */
static void give_up(struct batch *b, enum code rc, const struct err *err)
{
	b->rc = rc;
	b->err = *err;
	for (size_t i = 0; i < ARRAY_LEN(b->http->slots); i++) {
		struct http_slot *s = &b->http->slots[i];

		if (s->req == NULL)
			continue;
		http_curl.multi_remove_handle(b->http->engine->multi, s->easy);
		s->req->sent = true;
		s->rc = rc;
		s->err = *err;
		note(b, s);
		release(s);
	}
	b->active = 0;
}

enum code http_run(struct http *h, struct arena *arena, struct http_req *req, size_t n, struct err *err)
{
	struct batch b = { .http = h, .arena = arena, .req = req, .n = n, .err = ERR_INIT };
	struct err why = ERR_INIT;

	for (size_t i = 0; i < n; i++) {
		req[i].code = E_CANCELLED;
		req[i].text = NULL;
		req[i].wait_ms = 0;
		req[i].sent = false;
		req[i].status = 0;
		req[i].etag = req[i].location = req[i].content_type = req[i].dav = req[i].allow = SPAN_NONE;
		req[i].answer = SPAN_NONE;
		req[i].final_url = req[i].url;
	}
	for (;;) {
		start_some(&b);
		if (b.active == 0)
			break;
		enum code rc = http_engine_turn(h->engine, &why);

		if (rc != E_OK)
			give_up(&b, rc, &why);
		else
			reap(&b);
	}
	if (b.rc != E_OK && err != NULL)
		*err = b.err;
	return b.rc;
}
