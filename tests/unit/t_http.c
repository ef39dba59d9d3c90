/* t_http.c - the HTTP client against a server that misbehaves: batches, redirects, logons, deadlines, caps,
 * certificates, and what a trace shows.
 */
#include "http_peer.h"

#include "../../common/buf.h"
#include "../../common/clock.h"
#include "../../common/log.h"
#include "../../common/trace.h"
#include "../../worker/fiber.h"
#include "../../worker/http/http.h"
#include "../../worker/sandbox.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PASSWORD "pa:ss w\xc3\xb6rd"
#define BASIC "YWxpY2U6cGE6c3Mgd8O2cmQ="

static struct http_peer peer;
static struct arena *arena;
static struct err err;

static struct http *client(const char *ca, const char *password)
{
	struct http_conf conf = { .endpoint = "here", .type = "dav", .ca_pem = ca, .user = "alice" };
	struct http *h = NULL;

	if (password != NULL)
		conf.secret = secret_new(password, strlen(password));
	assert_int_equal(http_new(&conf, &h, &err), E_OK);
	assert_int_equal(http_allow(h, span_of(peer.url), &err), E_OK);
	return h;
}

static struct http_req get(const char *path)
{
	return (struct http_req){ .method = "GET", .url = arena_printf(arena, "%s%s", peer.url, path) };
}

static struct http *start_as(enum http_peer_cert cert, http_peer_fn *fn)
{
	arena = arena_new((size_t)256 << 20);
	err = (struct err)ERR_INIT;
	http_peer_start(&peer, cert, fn);
	return client(cert == PEER_PLAIN ? NULL : http_peer_ca(), PASSWORD);
}

static struct http *start(http_peer_fn *fn)
{
	return start_as(PEER_PLAIN, fn);
}

static void stop(struct http *h)
{
	http_free(&h);
	http_peer_stop(&peer);
	arena_free(&arena);
	http_set_deadlines(0, 0, 0);
}

/* --- ordinary requests --- */

static bool echo(struct http_peer_conn *c, const struct http_peer_req *r)
{
	char body[4096];
	const char *auth = http_peer_header(r, "Authorization");
	int n = snprintf(body, sizeof(body), "%s %s|%s|", r->method, r->path, auth != NULL ? auth : "-");
	const char *type = http_peer_header(r, "Content-Type");

	n += snprintf(body + n, sizeof(body) - (size_t)n, "%s|", type != NULL ? type : "-");
	type = http_peer_header(r, "X-Own");
	n += snprintf(body + n, sizeof(body) - (size_t)n, "%s|%zu:%s", type != NULL ? type : "-", r->n, r->body);
	http_peer_answer(c, "207 Multi-Status", "ETag: \"e1\"\r\nDAV: 1, 2\r\nDAV: calendar-access\r\n"
			 "Set-Cookie: session=topsecret\r\nContent-Type: text/x\r\n", body, (size_t)n);
	return true;
}

static void test_plain(void **state)
{
	(void)state;
	struct http *h = start(echo);
	const char *headers[] = { "X-Own: 7", "Depth: 1", NULL };
	struct http_req r[3] = { get("/a?b=c"), get("/put"), get("/d/../e%2f") };

	setenv("http_proxy", "http://127.0.0.1:1", 1);       /* not for us */
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	r[1].method = "PUT";
	r[1].type = "text/calendar";
	r[1].headers = headers;
	r[1].body = SPAN_LIT("BEGIN");
	r[2].method = "PROPFIND";
	r[2].type = "application/xml";
	assert_int_equal(http_run(h, arena, r, 3, &err), E_OK);
	assert_true(span_eq_str(r[0].answer, "GET /a?b=c|Basic " BASIC "|-|-|0:"));
	assert_true(span_eq_str(r[1].answer, "PUT /put|Basic " BASIC "|text/calendar|7|5:BEGIN"));
	assert_true(span_eq_str(r[2].answer, "PROPFIND /d/../e%2f|Basic " BASIC "|application/xml|-|0:"));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(r[i].code, E_OK);
		assert_int_equal(r[i].status, 207);
		assert_true(r[i].sent);
		assert_true(span_eq_str(r[i].etag, "\"e1\""));
		assert_true(span_eq_str(r[i].dav, "1, 2, calendar-access"));
		assert_true(span_eq_str(r[i].content_type, "text/x"));
	}
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	assert_true(http_bytes_total() > 500);
	/* and elsewhere nothing is sent to */
	struct http_req other = { .method = "GET", .url = "http://127.0.0.1:9/x" };
	assert_int_equal(http_run(h, arena, &other, 1, &err), E_PROTOCOL);
	assert_false(other.sent);
	stop(h);
}

static bool slowly(struct http_peer_conn *c, const struct http_peer_req *r)
{
	usleep(20000);
	return echo(c, r);
}

static void test_batch(void **state)
{
	(void)state;
	struct http *h = start(slowly);
	struct http_req r[40];

	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		r[i] = get(arena_printf(arena, "/%zu", i));
	int64_t began = clock_mono_ms();
	assert_int_equal(http_run(h, arena, r, ARRAY_LEN(r), &err), E_OK);
	assert_true(clock_mono_ms() - began < 700);          /* 800 one after another */
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		assert_true(span_starts_nocase(r[i].answer, arena_printf(arena, "GET /%zu|", i)));
	assert_int_equal(peer.busiest, 4);
	assert_int_equal(peer.connections, 4);
	/* another client of this process goes on with these connections */
	http_free(&h);
	h = client(NULL, PASSWORD);
	assert_int_equal(http_run(h, arena, r, 4, &err), E_OK);
	assert_int_equal(peer.connections, 4);
	stop(h);
}

/* --- sinks and caps --- */

/* 400,000 zeros */
static const unsigned char bomb[] = {
	0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff, 0xed, 0xc1, 0x31, 0x01, 0x00, 0x00,
	0x00, 0xc2, 0xa0, 0xf5, 0x4f, 0x6d, 0x0a, 0x3f, 0xa0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe0, 0x6f, 0x71, 0x3d,
	0x59, 0x5e, 0x80, 0x1a, 0x06, 0x00
};

static bool large(struct http_peer_conn *c, const struct http_peer_req *r)
{
	char block[8192];

	if (strcmp(r->path, "/bomb") == 0) {
		assert_non_null(http_peer_header(r, "Accept-Encoding"));
		http_peer_answer(c, "200 OK", "Content-Encoding: gzip\r\n", bomb, sizeof(bomb));
		return true;
	}
	if (strcmp(r->path, "/endless") != 0)
		return echo(c, r);
	memset(block, 'x', sizeof(block));
	http_peer_send(c, "HTTP/1.1 200 OK\r\n\r\n", 19);
	for (int i = 0; i < 1000 && !peer.stop; i++)
		http_peer_send(c, block, sizeof(block));
	return false;
}

static enum code count(void *ctx, struct span piece, struct err *e)
{
	size_t *n = ctx;

	*n += piece.n;
	return *n > 300000 ? err_set(e, E_PROTOCOL, "enough") : E_OK;
}

static void test_caps(void **state)
{
	(void)state;
	struct http *h = start(large);
	struct http_req r[6] = { get("/1"), get("/endless"), get("/bomb"), get("/2"), get("/bomb"), get("/endless") };
	size_t n = 0, few = 0;

	r[1].max_bytes = r[2].max_bytes = 100000;
	r[4].sink = r[5].sink = count;
	r[4].ctx = &few;
	r[5].ctx = &n;
	few = 0;
	r[4].max_bytes = 250000;
	assert_int_equal(http_run(h, arena, r, 6, &err), E_OK);
	assert_int_equal(r[0].code, E_OK);
	assert_int_equal(r[1].code, E_ITEM_TOO_BIG);
	assert_int_equal(r[2].code, E_ITEM_TOO_BIG);
	assert_int_equal(r[3].code, E_OK);
	assert_int_equal(r[4].code, E_ITEM_TOO_BIG);
	assert_true(few <= 250000);
	assert_int_equal(r[5].code, E_PROTOCOL);
	assert_string_equal(r[5].text, "enough");
	r[4].max_bytes = 0;
	r[4].sink = NULL;
	assert_int_equal(http_run(h, arena, &r[4], 1, &err), E_OK);
	assert_int_equal(r[4].answer.n, 400000);
	stop(h);
}

/* --- redirects --- */

static bool elsewhere(struct http_peer_conn *c, const struct http_peer_req *r)
{
	char header[256];

	if (strcmp(r->path, "/near") == 0)
		snprintf(header, sizeof(header), "Location: far/../there\r\n");
	else if (strcmp(r->path, "/host") == 0)
		snprintf(header, sizeof(header), "Location: http://localhost:%u/x\r\n", peer.port);
	else if (strcmp(r->path, "/scheme") == 0)
		snprintf(header, sizeof(header), "Location: file:///etc/passwd\r\n");
	else if (strcmp(r->path, "/circle") == 0)
		snprintf(header, sizeof(header), "Location: /circle\r\n");
	else
		return echo(c, r);
	http_peer_answer(c, "302 Found", header, "moved", 5);
	return true;
}

static void test_redirects(void **state)
{
	(void)state;
	struct http *h = start(elsewhere);
	struct http_req r = get("/near");

	r.method = "PROPFIND";
	r.type = "application/xml";
	r.body = SPAN_LIT("<x/>");
	assert_int_equal(http_run(h, arena, &r, 1, &err), E_OK);
	assert_true(span_eq_str(r.answer, "PROPFIND /there|Basic " BASIC "|application/xml|-|4:<x/>"));
	assert_non_null(strstr(r.final_url, "/there"));
	static const char *const bad[] = { "/host", "/scheme", "/circle" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		r = get(bad[i]);
		assert_int_equal(http_run(h, arena, &r, 1, &err), E_PROTOCOL);
	}
	stop(h);

	h = start(elsewhere);
	h = (http_free(&h), client(NULL, NULL));
	r = get("/open");                                    /* without credentials */
	assert_int_equal(http_run(h, arena, &r, 1, &err), E_OK);
	assert_true(span_eq_str(r.answer, "GET /open|-|-|-|0:"));
	stop(h);
}

/* --- logons --- */

static bool guarded(struct http_peer_conn *c, const struct http_peer_req *r)
{
	const char *auth = http_peer_header(r, "Authorization");

	if (strcmp(r->path, "/never") == 0)
		http_peer_answer(c, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "no", 2);
	else if (auth == NULL || strncmp(auth, "Digest ", 7) != 0)
		http_peer_answer(c, "401 Unauthorized",
				 "WWW-Authenticate: Digest realm=\"x\", nonce=\"abc\", qop=\"auth\", algorithm=MD5\r\n", "no", 2);
	else
		return echo(c, r);
	return true;
}

static void test_logons(void **state)
{
	(void)state;
	struct http *h = start(guarded);
	struct http_req r[3] = { get("/never"), get("/b"), get("/c") };

	assert_int_equal(http_run(h, arena, r, 1, &err), E_LOGON_FAILED);
	assert_int_equal(r[0].code, E_LOGON_FAILED);
	assert_null(strstr(err_text(&err), PASSWORD));
	r[0] = get("/a");
	r[0].method = "PUT";
	r[0].type = "text/x";
	r[0].body = SPAN_LIT("body");
	assert_int_equal(http_run(h, arena, r, 3, &err), E_OK);
	assert_true(span_find_nocase(r[0].answer, "Digest username=\"alice\"") != SIZE_MAX);
	assert_true(span_find_nocase(r[0].answer, "|4:body") != SIZE_MAX);
	assert_true(span_find_nocase(r[2].answer, "response=\"") != SIZE_MAX);
	stop(h);
}

/* --- a kept connection that dies --- */

static _Atomic int arrived;                  /* requests with a whole body for /fickle */

/* Takes a request and hangs up, the first time; the connection has been of use before. */
static bool fickle(struct http_peer_conn *c, const struct http_peer_req *r)
{
	if (strcmp(r->path, "/fickle") == 0 && ++arrived == 1)
		return false;
	http_peer_answer(c, "200 OK", "", r->body, r->n);
	return true;
}

static struct http_req post(const char *path, struct span body, bool once)
{
	struct http_req r = get(path);

	r.method = "POST";
	r.type = "text/x";
	r.body = body;
	r.once = once;
	return r;
}

static struct span long_body(void)
{
	char *p = arena_raw(arena, 3 << 20);

	for (size_t i = 0; i < (size_t)3 << 20; i++)
		p[i] = (char)('a' + i % 23);
	return span_bytes(p, (size_t)3 << 20);
}

/* libcurl sends again what a kept connection did not answer, unless it is to be sent once. */
static void test_once(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		struct http *h = start_as(i < 4 ? PEER_PLAIN : PEER_GOOD, fickle);
		struct span body = i % 4 < 2 ? SPAN_LIT("body") : long_body();
		bool once = i % 2 == 1;
		struct http_req warm = post("/warm", body, once), r = post("/fickle", body, once);

		arrived = 0;
		assert_int_equal(http_run(h, arena, &warm, 1, &err), E_OK);
		assert_true(span_eq(warm.answer, body));
		assert_int_equal(http_run(h, arena, &r, 1, &err), once ? E_NET : E_OK);
		assert_int_equal(arrived, once ? 1 : 2);
		assert_true(r.sent);
		if (once)
			assert_non_null(strstr(err_text(&err), "the connection broke before the answer came"));
		/* the client is as good as before, for both kinds */
		r = post("/fickle", body, once);
		assert_int_equal(http_run(h, arena, &r, 1, &err), E_OK);
		assert_true(span_eq(r.answer, body));
		r = post("/warm", SPAN_LIT("x"), !once);
		assert_int_equal(http_run(h, arena, &r, 1, &err), E_OK);
		assert_true(span_eq_str(r.answer, "x"));
		stop(h);
	}
}

/* A logon or a redirect is no reason to give up: the server has said that it did nothing. */
static void test_once_and_asked_again(void **state)
{
	(void)state;
	struct http *h = start(guarded);
	struct http_req r[2] = { post("/a", SPAN_LIT("body"), true), post("/b", span_cut(long_body(), 0, 2000), true) };

	assert_int_equal(http_run(h, arena, r, 2, &err), E_OK);
	assert_true(span_find_nocase(r[0].answer, "Digest username=\"alice\"") != SIZE_MAX);
	assert_true(span_find_nocase(r[0].answer, "|4:body") != SIZE_MAX);
	assert_true(span_find_nocase(r[1].answer, "|2000:abcdefg") != SIZE_MAX);
	stop(h);
}

/* --- slowness --- */

static bool unwilling(struct http_peer_conn *c, const struct http_peer_req *r)
{
	const char *p = r->path;

	if (strcmp(p, "/429") == 0)
		http_peer_answer(c, "429 Too Many Requests", "Retry-After: 7\r\n", "", 0);
	else if (strcmp(p, "/429bare") == 0)
		http_peer_answer(c, "429 Too Many Requests", "", "", 0);
	else if (strcmp(p, "/503wait") == 0)
		http_peer_answer(c, "503 Service Unavailable", "Retry-After: 3\r\n", "", 0);
	else if (strcmp(p, "/503") == 0)
		http_peer_answer(c, "503 Service Unavailable", "", "", 0);
	else if (strcmp(p, "/507") == 0)
		http_peer_answer(c, "507 Insufficient Storage", "", "full", 4);
	else if (strcmp(p, "/cut") == 0)
		http_peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 43);
	else if (strcmp(p, "/silent") == 0)
		while (!peer.stop)
			usleep(10000);
	else if (strcmp(p, "/drip") == 0) {
		http_peer_send(c, "HTTP/1.1 200 OK\r\n\r\n", 19);
		for (int i = 0; i < 100 && !peer.stop; i++) {
			http_peer_send(c, "x", 1);
			usleep(100000);
		}
	}
	return false;
}

static enum code ask(struct http *h, const char *path, struct http_req *r)
{
	*r = get(path);
	err = (struct err)ERR_INIT;
	return http_run(h, arena, r, 1, &err);
}

static void test_throttled(void **state)
{
	(void)state;
	struct http *h = start(unwilling);
	struct http_req r, many[20];

	assert_int_equal(ask(h, "/429", &r), E_THROTTLED);
	assert_int_equal(err.wait_ms, 7000);
	assert_int_equal(ask(h, "/429bare", &r), E_THROTTLED);
	assert_int_equal(err.wait_ms, 60000);
	assert_int_equal(ask(h, "/503wait", &r), E_THROTTLED);
	assert_int_equal(err.wait_ms, 3000);
	assert_int_equal(ask(h, "/503", &r), E_SERVER);
	assert_int_equal(ask(h, "/507", &r), E_OK);
	assert_int_equal(r.status, 507);
	assert_true(span_eq_str(r.answer, "full"));
	r = get("/503wait");
	assert_int_equal(http_run(h, arena, &r, 1, &err), E_THROTTLED);
	assert_int_equal(r.wait_ms, 3000);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = get("/429");
	assert_int_equal(http_run(h, arena, many, ARRAY_LEN(many), &err), E_THROTTLED);
	assert_int_equal(many[0].code, E_THROTTLED);
	assert_int_equal(many[19].code, E_CANCELLED);
	assert_false(many[19].sent);
	stop(h);
}

static bool says_full(const struct http_req *r)
{
	return span_eq_str(r->answer, "full");
}

static enum code busy(void *ctx, struct span piece, struct err *e)
{
	(void)ctx;
	err_set(e, E_THROTTLED, SPAN_FMT, SPAN_ARG(piece));
	e->wait_ms = 7;
	return E_THROTTLED;
}

/* An answer that the client's owner understands ends the call as a refusal does: nothing more is started. */
static void test_ended_by_an_answer(void **state)
{
	(void)state;
	struct http *h = start(unwilling);
	struct http_req many[20];

	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		many[i] = get("/507");
		many[i].ends = says_full;
	}
	assert_int_equal(http_run(h, arena, many, ARRAY_LEN(many), &err), E_OK);
	assert_int_equal(many[0].code, E_OK);
	assert_int_equal(many[0].status, 507);
	assert_int_equal(many[19].code, E_CANCELLED);
	assert_false(many[19].sent);
	stop(h);
	h = start(echo);
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		many[i] = get("/");
		many[i].sink = busy;
	}
	assert_int_equal(http_run(h, arena, many, ARRAY_LEN(many), &err), E_THROTTLED);
	assert_int_equal(err.wait_ms, 7);
	assert_int_equal(many[0].wait_ms, 7);
	assert_false(many[19].sent);
	stop(h);
}

static void test_deadlines(void **state)
{
	(void)state;
	struct http *h = start(unwilling);
	struct http_req r;

	assert_int_equal(ask(h, "/cut", &r), E_NET);
	assert_true(r.sent);
	http_free(&h);
	http_set_deadlines(1000, 1, 60000);
	h = client(NULL, PASSWORD);
	int64_t began = clock_mono_ms();
	assert_int_equal(ask(h, "/silent", &r), E_TIMEOUT);
	assert_true(r.sent);
	assert_in_range(clock_mono_ms() - began, 800, 5000);
	http_free(&h);
	http_set_deadlines(1000, 60, 700);
	h = client(NULL, PASSWORD);
	assert_int_equal(ask(h, "/drip", &r), E_TIMEOUT);
	http_free(&h);
	struct http_peer gone;
	http_peer_start(&gone, PEER_PLAIN, echo);
	http_peer_stop(&gone);
	h = client(NULL, PASSWORD);
	assert_int_equal(http_allow(h, span_of(gone.url), &err), E_OK);
	r = (struct http_req){ .method = "GET", .url = gone.url };
	assert_int_equal(http_run(h, arena, &r, 1, &err), E_NET);
	assert_false(r.sent);
	stop(h);
}

static enum code cancel(void *ctx, struct err *e)
{
	(void)ctx;
	return err_set(e, E_CANCELLED, "stop");
}

static void test_cancel(void **state)
{
	(void)state;
	struct http *h = start(unwilling);
	struct http_req r[6];

	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		r[i] = get("/silent");
	fiber_set_hook(cancel, NULL);
	int64_t began = clock_mono_ms();
	assert_int_equal(http_run(h, arena, r, ARRAY_LEN(r), &err), E_CANCELLED);
	fiber_set_hook(NULL, NULL);
	assert_true(clock_mono_ms() - began < 2000);
	assert_true(r[0].sent);
	assert_false(r[5].sent);
	assert_int_equal(r[5].code, E_CANCELLED);
	stop(h);
}

/* --- TLS --- */

static void test_tls(void **state)
{
	static const struct {
		enum http_peer_cert cert;
		enum code want;
	} cases[] = { { PEER_GOOD, E_OK }, { PEER_EXPIRED, E_TLS }, { PEER_WRONG_NAME, E_TLS },
		      { PEER_SELF_SIGNED, E_TLS }, { PEER_STRANGER, E_TLS } };

	(void)state;
	arena = arena_new((size_t)64 << 20);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_req r;

		http_peer_start(&peer, cases[i].cert, echo);
		struct http *h = client(http_peer_ca(), PASSWORD);
		assert_int_equal(ask(h, "/x", &r), cases[i].want);
		assert_int_equal(r.sent, cases[i].want == E_OK);
		assert_int_equal(peer.requests, cases[i].want == E_OK);
		http_free(&h);
		h = client(NULL, PASSWORD);                  /* the system knows none of them */
		assert_int_equal(ask(h, "/x", &r), E_TLS);
		http_free(&h);
		http_peer_stop(&peer);
	}
	arena_free(&arena);
}

static void test_urls_refused(void **state)
{
	(void)state;
	struct http *h = start(echo);

	assert_int_equal(http_allow(h, SPAN_LIT("http://192.0.2.1/"), &err), E_CONF);
	assert_int_equal(http_allow(h, SPAN_LIT("ftp://127.0.0.1/"), &err), E_CONF);
	assert_int_equal(http_allow(h, SPAN_LIT("https://user:pw@127.0.0.1/"), &err), E_CONF);
	assert_int_equal(http_allow(h, SPAN_LIT("https://no-such-host.invalid/"), &err), E_NET);
	assert_int_equal(http_allow(h, SPAN_LIT("http://[::1]:8080/"), &err), E_OK);
	stop(h);
}

/* --- the jail --- */

/* Which step failed; 0: none. By name, so that the resolver is at work too. */
static int from_the_jail(const char *ca)
{
	struct http_conf conf = { .endpoint = "here", .type = "dav", .ca_pem = ca };
	struct sandbox_dirs none = { NULL, 0 };
	struct http *h = NULL;
	char url[64];
	struct http_req r = { .method = "GET", .url = url };

	if (http_load(&err) != E_OK)
		return 1;
	enum code rc = sandbox_landlock(&none, &err);
	if ((rc != E_OK && rc != E_UNSUPPORTED) || sandbox_seccomp(&err) != E_OK)
		return 2;
	snprintf(url, sizeof(url), "https://localhost:%u/x", peer.port);
	if (http_new(&conf, &h, &err) != E_OK || http_allow(h, span_of(url), &err) != E_OK)
		return 3;
	rc = http_run(h, arena, &r, 1, &err);
	if (ca == NULL)
		return rc == E_TLS && strstr(err_text(&err), "certificate") != NULL ? 0 : 4;
	return rc == E_OK && r.status == 207 ? 0 : 5;
}

static void test_jailed(void **state)
{
	(void)state;
	arena = arena_new((size_t)64 << 20);
	http_peer_start(&peer, PEER_GOOD, echo);
	for (int own = 0; own < 2; own++) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0) {
			int step = from_the_jail(own ? http_peer_ca() : NULL);

			if (step != 0)
				fprintf(stderr, "step %d: %s\n", step, err_text(&err));
			_exit(step);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	http_peer_stop(&peer);
	arena_free(&arena);
}

/* --- the trace --- */

static void test_trace(void **state)
{
	(void)state;
	FILE *f = tmpfile();
	char text[16384] = "";

	log_to_fd(fileno(f));
	trace_set("dav");
	struct http *h = start(echo);
	const char *headers[] = { "X-Own: 7", NULL };
	struct http_req r = get("/seen");
	r.headers = headers;
	assert_int_equal(http_run(h, arena, &r, 1, &err), E_OK);
	trace_set("");
	log_to_fd(STDERR_FILENO);
	rewind(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	assert_non_null(strstr(text, "GET http://127.0.0.1"));
	assert_non_null(strstr(text, "/seen"));
	assert_non_null(strstr(text, "X-Own: 7"));
	assert_non_null(strstr(text, "Set-Cookie: {secret}"));
	assert_null(strstr(text, "topsecret"));
	assert_null(strstr(text, BASIC));
	assert_null(strstr(text, "Authorization"));
	assert_null(strstr(text, PASSWORD));
	stop(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain), cmocka_unit_test(test_batch), cmocka_unit_test(test_caps),
		cmocka_unit_test(test_redirects), cmocka_unit_test(test_logons), cmocka_unit_test(test_once),
		cmocka_unit_test(test_once_and_asked_again), cmocka_unit_test(test_throttled),
		cmocka_unit_test(test_ended_by_an_answer), cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_cancel), cmocka_unit_test(test_tls),
		cmocka_unit_test(test_urls_refused), cmocka_unit_test(test_jailed), cmocka_unit_test(test_trace),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
