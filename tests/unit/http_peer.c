/* http_peer.c - see http_peer.h. */
#include "http_peer.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct http_peer_conn {
	struct http_peer *peer;
	int fd;
	SSL *ssl;
};

/* --- certificates --- */

static EVP_PKEY *ca_key;
static X509 *ca;
static char *ca_pem;

static void add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
}

/* issuer NULL: signed by itself. end_s: seconds from now. */
static X509 *make_cert(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, long end_s)
{
	static long serial = 1;
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), -86400 * 3);
	X509_gmtime_adj(X509_getm_notAfter(cert), end_s);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : subject);
	if (strcmp(name, "authority") == 0) {
		add_ext(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
		add_ext(cert, cert, NID_key_usage, "critical,keyCertSign");
	} else {
		add_ext(cert, issuer != NULL ? issuer : cert, NID_subject_alt_name,
			strcmp(name, "other") == 0 ? "DNS:other.example" : "IP:127.0.0.1,DNS:localhost");
	}
	assert_true(X509_sign(cert, issuer != NULL ? issuer_key : key, EVP_sha256()) > 0);
	return cert;
}

const char *http_peer_ca(void)
{
	BIO *bio;
	char *p;

	if (ca_pem != NULL)
		return ca_pem;
	ca_key = EVP_EC_gen("P-256");
	ca = make_cert("authority", ca_key, NULL, NULL, 86400);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, ca);
	long n = BIO_get_mem_data(bio, &p);
	ca_pem = strndup(p, (size_t)n);
	BIO_free(bio);
	return ca_pem;
}

static SSL_CTX *make_tls(enum http_peer_cert kind)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256"), *strange_key = EVP_EC_gen("P-256");
	X509 *strange = make_cert("authority", strange_key, NULL, NULL, 86400), *cert;

	(void)http_peer_ca();
	if (kind == PEER_SELF_SIGNED)
		cert = make_cert("server", key, NULL, NULL, 86400);
	else if (kind == PEER_STRANGER)
		cert = make_cert("server", key, strange, strange_key, 86400);
	else
		cert = make_cert(kind == PEER_WRONG_NAME ? "other" : "server", key, ca, ca_key,
				 kind == PEER_EXPIRED ? -3600 : 86400);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(cert);
	X509_free(strange);
	EVP_PKEY_free(key);
	EVP_PKEY_free(strange_key);
	return ctx;
}

/* --- the conversation --- */

static ssize_t receive(struct http_peer_conn *c, char *p, size_t n)
{
	if (c->ssl == NULL)
		return recv(c->fd, p, n, 0);
	return SSL_read(c->ssl, p, (int)n);
}

void http_peer_send(struct http_peer_conn *c, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t put = c->ssl != NULL ? SSL_write(c->ssl, at, (int)n) : send(c->fd, at, n, MSG_NOSIGNAL);

		if (put <= 0)
			return;
		at += put;
		n -= (size_t)put;
	}
}

void http_peer_answer(struct http_peer_conn *c, const char *status, const char *headers, const void *body, size_t n)
{
	char head[2048];
	int len = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, n, headers);

	http_peer_send(c, head, (size_t)len);
	http_peer_send(c, body, n);
}

const char *http_peer_header(const struct http_peer_req *r, const char *name)
{
	static _Thread_local char value[1024];
	struct span rest = span_of(r->head), line;

	while (span_next(&rest, '\n', &line)) {
		if (!span_starts_nocase(line, name) || line.n <= strlen(name) || line.p[strlen(name)] != ':')
			continue;
		snprintf(value, sizeof(value), SPAN_FMT, SPAN_ARG(span_trim(span_cut(line, strlen(name) + 1, line.n))));
		return value;
	}
	return NULL;
}

/* False: the client is gone. */
static bool read_request(struct http_peer_conn *c, struct http_peer_req *r)
{
	size_t n = 0, head;
	char *end = NULL;

	*r = (struct http_peer_req){ .n = 0 };
	while (end == NULL) {
		ssize_t got = n < sizeof(r->head) - 1 ? receive(c, r->head + n, sizeof(r->head) - 1 - n) : 0;

		if (got <= 0)
			return false;
		n += (size_t)got;
		r->head[n] = '\0';
		end = strstr(r->head, "\r\n\r\n");
	}
	head = (size_t)(end - r->head) + 4;
	const char *length = http_peer_header(r, "Content-Length");
	r->n = length != NULL ? strtoul(length, NULL, 10) : 0;
	r->body = calloc(1, r->n + 1);
	size_t have = n - head < r->n ? n - head : r->n;
	memcpy(r->body, r->head + head, have);
	r->head[head - 2] = '\0';
	for (ssize_t got; have < r->n; have += (size_t)got)
		if ((got = receive(c, r->body + have, r->n - have)) <= 0)
			return false;
	return sscanf(r->head, "%15s %255s", r->method, r->path) == 2;
}

static void *converse(void *arg)
{
	struct http_peer_conn *c = arg;
	struct http_peer *p = c->peer;
	struct http_peer_req r;
	bool more = true;

	if (p->tls != NULL) {
		c->ssl = SSL_new(p->tls);
		SSL_set_fd(c->ssl, c->fd);
		more = SSL_accept(c->ssl) == 1;
	}
	while (more && !p->stop && read_request(c, &r)) {
		int busy = ++p->busy;

		if (busy > p->busiest)
			p->busiest = busy;
		p->requests++;
		more = p->fn(c, &r);
		p->busy--;
		free(r.body);
		r.body = NULL;
	}
	if (c->ssl != NULL)
		SSL_free(c->ssl);
	shutdown(c->fd, SHUT_RDWR);          /* serve() has another descriptor of it */
	close(c->fd);
	free(c);
	return NULL;
}

static void *serve(void *arg)
{
	struct http_peer *p = arg;
	pthread_t threads[256];
	int fds[256], n = 0, fd;

	while (n < 256 && (fd = accept(p->listener, NULL, NULL)) >= 0) {
		struct http_peer_conn *c = calloc(1, sizeof(*c));

		*c = (struct http_peer_conn){ .peer = p, .fd = fd };
		fds[n] = dup(fd);
		p->connections++;
		pthread_create(&threads[n++], NULL, converse, c);
	}
	for (int i = 0; i < n; i++) {
		shutdown(fds[i], SHUT_RDWR);
		pthread_join(threads[i], NULL);
		close(fds[i]);
	}
	return NULL;
}

void http_peer_start(struct http_peer *p, enum http_peer_cert cert, http_peer_fn *fn)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	memset(p, 0, sizeof(*p));
	p->fn = fn;
	p->tls = cert != PEER_PLAIN ? make_tls(cert) : NULL;
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(p->listener, 64), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&a, &len), 0);
	p->port = ntohs(a.sin_port);
	snprintf(p->url, sizeof(p->url), "%s://127.0.0.1:%u", cert != PEER_PLAIN ? "https" : "http", p->port);
	assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

void http_peer_stop(struct http_peer *p)
{
	p->stop = true;
	shutdown(p->listener, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->listener);
	SSL_CTX_free(p->tls);
}
