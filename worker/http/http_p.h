/* http_p.h - private to worker/http: libcurl's functions as loaded, the engine, the client. */
#ifndef MS_HTTP_P_H
#define MS_HTTP_P_H

#include "http.h"
#include "http_url.h"

#include "../../common/buf.h"

#include <curl/curl.h>

/* --- http_load.c --- */

#define HTTP_CURL_LIST(X) \
	X(global_init_mem) X(version_info) \
	X(easy_init) X(easy_cleanup) X(easy_setopt) X(easy_getinfo) X(easy_strerror) \
	X(multi_init) X(multi_cleanup) X(multi_setopt) X(multi_strerror) X(multi_add_handle) \
	X(multi_remove_handle) X(multi_socket_action) X(multi_info_read) X(slist_append) X(slist_free_all)
struct http_curl {
#define X(name) __typeof__(curl_##name) *name;
	HTTP_CURL_LIST(X)
#undef X
};
extern struct http_curl http_curl;

/* --- http_wait.c: a multi handle and the descriptor to wait on; idle ones are kept with their connections --- */

struct http_engine {
	CURLM *multi;
	int epfd;
	int64_t timer_ms;                /* clock_mono_ms(); INT64_MAX = none */
};

enum code http_engine_take(struct http_engine **engine_r, struct err *err) MS_MUST_USE;
void http_engine_give(struct http_engine **engine);
/* Wait for something to happen on any transfer, and let libcurl do it. */
enum code http_engine_turn(struct http_engine *engine, struct err *err) MS_MUST_USE;

/* --- the client --- */

struct http_origin {
	char *origin;                    /* "https://host:1234" */
	struct http_url url;             /* points into it */
};
#define HTTP_ORIGINS_MAX 8

/* One transfer's place: the handle is kept, with what Digest needs to remember. */
struct http_slot {
	struct http *http;
	CURL *easy;
	struct http_req *req;            /* NULL: free */
	struct arena *arena;
	struct curl_slist *headers;
	struct buf answer;
	const char *url;                 /* of the request under way */
	unsigned int hops;               /* redirects, and another way to log on */
	bool sent, digest_offered, basic_offered;
	unsigned int token_n;            /* which token it went with */
	bool renewed;                    /* it went a second time, with another token */
	enum code rc;                    /* what a callback ended the transfer with */
	bool own;                        /* it concerns this request alone */
	struct err err;
	size_t got;                      /* bytes of the body */
	size_t put;                      /* of a request's that is to be sent once */
	bool heard;                      /* since its first byte went, the server said something */
	int64_t began_ms;
	char why[CURL_ERROR_SIZE];
};

struct http {
	char *endpoint, *type;
	const char *ca_pem;
	char *user;
	struct secret *secret;
	bool bearer, digest, traced, cookies, ticket;
	enum http_auth auth;
	enum code (*token)(void *ctx, struct secret **token_r, int64_t *renew_ms_r, struct err *err);
	void *token_ctx;
	int64_t renew_ms;
	unsigned int token_n;            /* tokens so far */
	char *proxy;                     /* resolved by http_new() */
	uint32_t in_flight;
	struct http_engine *engine;
	struct http_origin origins[HTTP_ORIGINS_MAX];
	size_t n_origins;
	struct curl_slist *addresses;    /* "host:port:address,address" of every origin */
	struct http_slot slots[HTTP_IN_FLIGHT_MAX];
};

/* Another token in the place of the one there is. */
enum code http_renew(struct http *http, struct err *err) MS_MUST_USE;

extern struct http_limits {
	long connect_ms, idle_s, whole_ms;
} http_limits;

/* Put the addresses of host `real` behind host:port of `u`. */
enum code http_resolve(struct http *http, const struct http_url *u, struct span real, struct err *err) MS_MUST_USE;
/* NULL: this origin is not one of the allowed ones. */
const struct http_origin *http_origin_of(const struct http *http, struct span url);

/* --- http_answer.c --- */

/* libcurl's callbacks for headers and bodies; `slot` */
size_t http_on_header(char *p, size_t size, size_t n, void *slot);
size_t http_on_body(char *p, size_t size, size_t n, void *slot);
/* and for the body of a request that is to be sent once */
size_t http_on_send(char *to, size_t size, size_t n, void *slot);
int http_on_seek(void *slot, curl_off_t offset, int origin);
/* The transfer is over: fill the request. True: it has to be sent again (to slot->url, as http->digest says). */
bool http_judge(struct http_slot *slot, CURLcode result);

/* --- http_trace.c: method, URL, headers, sizes; never what libcurl adds (Authorization) or keeps --- */
void http_trace_request(const struct http_slot *slot);
void http_trace_header(const struct http_slot *slot, struct span line);
void http_trace_end(const struct http_slot *slot);

#endif
