/* http.h - HTTP in batches for blocking-style code; the only door to libcurl.
 *
 * libcurl brings twenty other libraries, so the worker is not linked with it: http_load() loads it, where a
 * batch has an endpoint that needs it, before the jail closes. A client (struct http) belongs to one side
 * of one pairing; connections outlive it within the process.
 *
 * TLS is always verified (1.2 or later; the PEM certificates given, else the system's store). http:// is for
 * addresses of the loopback only. Requests go to the origins that http_allow() was told, so credentials do
 * not go elsewhere: a redirect to another host or from https to http is an error, others are followed. No
 * .netrc, and a proxy or cookies only where they are asked for. Deadlines: connecting 30 s, no byte in either
 * direction for 120 s, one request 15 min.
 */
#ifndef MS_HTTP_H
#define MS_HTTP_H

#include "../../common/arena.h"
#include "../../common/err.h"
#include "../../common/secret.h"

#define HTTP_IN_FLIGHT_MAX 16
#define HTTP_ANSWER_MAX ((size_t)64 << 20)     /* of an inflated body, where a request says nothing */
#define HTTP_FAILURE_MAX ((size_t)64 << 10)    /* as much is kept of the body of a failure */

/* Load libcurl; further calls do nothing. E_UNSUPPORTED: it is not installed, or older than 7.85. */
enum code http_load(struct err *err) MS_MUST_USE;

/* Given to libcurl alone: several at once fail on some servers. */
enum http_auth { HTTP_AUTH_OFFERED, HTTP_AUTH_BASIC, HTTP_AUTH_NTLM, HTTP_AUTH_NEGOTIATE, HTTP_AUTH_BEARER };

struct http;

struct http_conf {
	const char *endpoint, *type;     /* for the trace and for errors */
	const char *ca_pem;              /* NULL: the system's store. Stays the caller's, longer than the client */
	const char *user;                /* NULL: no credentials */
	struct secret *secret;           /* becomes the client's */
	bool bearer;                     /* the secret is a token, not a password */
	/* HTTP_AUTH_BEARER without a secret: gives the token, and from when (clock_mono_ms) on another one is wanted.
	 * Asked before a request that needs it, and once more where a token is refused (401). It may wait. */
	enum code (*token)(void *ctx, struct secret **token_r, int64_t *renew_ms_r, struct err *err);
	void *token_ctx;
	enum http_auth auth;             /* exactly this way to log on; HTTP_AUTH_OFFERED: Basic or Digest */
	bool cookies;                    /* keep the server's cookies as long as the client lives */
	const char *proxy;               /* "http://host:port": https goes through it by CONNECT; NULL: none */
	uint32_t in_flight;              /* requests at a time, and connections; 0 = 4 */
};

enum code http_new(const struct http_conf *conf, struct http **http_r, struct err *err) MS_MUST_USE;
void http_free(struct http **http);  /* closes nothing that somebody else can use; NULL inside is fine */

/* Requests may go to the origin of this URL from now on. Resolves its name. E_CONF: not http or https, or
 * http to what is not the loopback; E_NET: no such name. */
enum code http_allow(struct http *http, struct span url, struct err *err) MS_MUST_USE;

/* The same; but connections for that URL's host go to the addresses of the host `real`. The certificate must
 * carry the name in the URL. */
enum code http_allow_at(struct http *http, struct span url, struct span real, struct err *err) MS_MUST_USE;

struct http_req {
	const char *method, *url;
	const char *const *headers;      /* "Name: value", NULL at the end; or NULL. No credentials */
	const char *type;                /* Content-Type; NULL: no body */
	struct span body;                /* stays the caller's until http_run() returns */
	bool once;                       /* a body that does harm when it arrives twice: where a connection that was
	                                  * kept dies before an answer, libcurl sends on another one by itself; not
	                                  * this one, which is E_NET and `sent` then */
	/* Or a body of `length` bytes that is not in memory, with `once`: puts what comes at the offset, at most n
	 * bytes, into `to` and tells how much; 0: it cannot be read. Must not wait. */
	size_t (*source)(void *source_ctx, uint64_t offset, char *to, size_t n);
	void *source_ctx;
	uint64_t length;
	size_t max_bytes;                /* of the body of the answer; 0 = HTTP_ANSWER_MAX */
	/* Gets the body of a 2xx answer piece by piece, and must not wait; NULL: it is in `answer`. */
	enum code (*sink)(void *ctx, struct span piece, struct err *err);
	void *ctx;
	/* An answer that is not 2xx (it is in `answer`): does it concern the whole side? Then nothing more is
	 * started. NULL: no. */
	bool (*ends)(const struct http_req *r);
	/* out, in the arena of http_run() */
	enum code code;                  /* E_OK: there is an answer, with any status that is not one of those below */
	const char *text;
	uint32_t wait_ms;                /* E_THROTTLED: as in struct err */
	bool sent;                       /* the server may have seen it */
	unsigned int status;
	struct span etag, location, content_type, dav, allow;   /* headers; empty: not there */
	struct span answer;
	const char *final_url;           /* where redirects led */
};

/* All of them, several at a time, started in this order. What concerns the whole side ends the call with
 * its code, in the request as well; nothing more is started then, and what is under way is awaited unless
 * cancelled. Those are: no connection (E_NET, E_TLS, E_TIMEOUT), 401 (E_LOGON_FAILED), 429 or a 503 that says
 * for how long (E_THROTTLED with wait_ms), 502, 503 and 504 (E_SERVER), a broken answer (E_PROTOCOL), a cancel.
 * An answer that is too large (E_ITEM_TOO_BIG) or that the sink refused concerns its request alone, but for a
 * sink's E_THROTTLED.
 * Requests that were not started keep E_CANCELLED and `sent` false. */
enum code http_run(struct http *http, struct arena *arena, struct http_req *requests, size_t n,
		   struct err *err) MS_MUST_USE;

/* Bytes both ways of all requests of this process. */
uint64_t http_bytes_total(void);
/* Tests: other deadlines, 0 = the defaults. */
void http_set_deadlines(long connect_ms, long idle_s, long whole_ms);

#endif
