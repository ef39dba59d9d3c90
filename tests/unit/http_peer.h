/* http_peer.h - a small HTTP/1.1 server for tests: a thread per connection, plain or TLS, that does as told by a
 * function of the test. Certificates, good and bad, are made in the process.
 */
#ifndef HTTP_PEER_H
#define HTTP_PEER_H

#include "../../common/span.h"

#include <pthread.h>
#include <stdatomic.h>

struct http_peer_conn;

struct http_peer_req {
	char method[16], path[256];
	char head[8192];             /* all of it, with the request line */
	char *body;
	size_t n;
};

/* True: keep the connection. */
typedef bool http_peer_fn(struct http_peer_conn *c, const struct http_peer_req *r);

enum http_peer_cert { PEER_PLAIN, PEER_GOOD, PEER_EXPIRED, PEER_WRONG_NAME, PEER_SELF_SIGNED, PEER_STRANGER };

struct http_peer {
	pthread_t thread;
	int listener;
	unsigned int port;
	http_peer_fn *fn;
	void *tls;                   /* SSL_CTX */
	_Atomic int connections, requests, busy, busiest;
	_Atomic bool stop;
	char url[64];                /* "http://127.0.0.1:1234" */
};

void http_peer_start(struct http_peer *p, enum http_peer_cert cert, http_peer_fn *fn);
void http_peer_stop(struct http_peer *p);
/* PEM of the authority that signed the good certificates; of this process. */
const char *http_peer_ca(void);

void http_peer_send(struct http_peer_conn *c, const void *p, size_t n);
/* A whole answer. headers: lines that end with \r\n, or "". */
void http_peer_answer(struct http_peer_conn *c, const char *status, const char *headers, const void *body, size_t n);
/* Value of a header of the request, NULL if there is none (a static buffer per thread). */
const char *http_peer_header(const struct http_peer_req *r, const char *name);

#endif
