/* tls.c - OpenSSL client sessions, always verified.
 *
 * 1. SSL_VERIFY_PEER and a non-empty expected name are set before the first byte is sent.
 * 2. A kept session is offered only to the same host under the same trust, once.
 * 3. No renegotiation, no compression, nothing below TLS 1.2; openssl.cnf is not read.
 * Its test: tests/unit/t_net.c.
 */
#include "tls.h"

#include "../../common/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#define TRUSTS 8
#define KEPT 16
#define GATHER (128 * 1024)
#define READ_AHEAD ((size_t)64 * 1024)

struct tls {
	SSL *ssl;
	char *host;
	struct trust *trust;
	bool failed;
};

/* One SSL_CTX for each set of trusted certificates. */
struct trust {
	char *pem;               /* NULL = the system's store */
	SSL_CTX *ctx;
};

/* The last session of a host. */
struct kept {
	char *host;
	const struct trust *trust;
	SSL_SESSION *session;
};

/* Lives as long as the process: that is what "reuse within the process" means. */
static struct {
	struct trust trust[TRUSTS];
	struct kept kept[KEPT];
	size_t n_trusts, n_kept, next_kept;
} cache;

static enum code set_openssl_err(struct err *err, const char *what)
{
	unsigned long e = ERR_peek_last_error();
	char text[160] = "unknown reason";

	if (e != 0)
		ERR_error_string_n(e, text, sizeof(text));
	ERR_clear_error();
	return err_set(err, E_TLS, "%s: %s", what, text);
}

/* --- trust --- */

static enum code add_pem(SSL_CTX *ctx, const char *pem, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509 *cert;
	size_t n = 0;

	assert(bio != NULL);
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		n += X509_STORE_add_cert(store, cert) == 1;
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error();           /* the loop ends with "no start line" */
	if (n == 0)
		return err_set(err, E_TLS, "the CA file holds no certificate in PEM form");
	/* a certificate that the administrator named is trusted as it is, CA or not */
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	return E_OK;
}

static enum code add_system(SSL_CTX *ctx, struct err *err)
{
	/* the hashed directory is read on demand; the bundle costs 10 ms to parse */
	const char *dir = X509_get_default_cert_dir();
	int ok = access(dir, R_OK | X_OK) == 0 ? SSL_CTX_load_verify_dir(ctx, dir)
					       : SSL_CTX_set_default_verify_file(ctx);

	if (ok != 1)
		return set_openssl_err(err, "the system's certificate store could not be loaded");
	return E_OK;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tls *tls = SSL_get_app_data(ssl);
	struct kept *k = NULL;

	for (size_t i = 0; i < cache.n_kept && k == NULL; i++)
		if (cache.kept[i].trust == tls->trust && strcmp(cache.kept[i].host, tls->host) == 0)
			k = &cache.kept[i];
	if (k == NULL && cache.n_kept < KEPT)
		k = &cache.kept[cache.n_kept++];
	if (k == NULL)
		k = &cache.kept[cache.next_kept++ % KEPT];
	SSL_SESSION_free(k->session);
	mem_free(k->host);
	*k = (struct kept){ mem_strdup(tls->host), tls->trust, session };
	return 1;                    /* the reference is ours now */
}

static enum code make_ctx(const char *pem, SSL_CTX **ctx_r, struct err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	enum code rc;

	if (ctx == NULL)
		return set_openssl_err(err, "TLS could not be set up");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, keep_session);
	rc = pem != NULL ? add_pem(ctx, pem, err) : add_system(ctx, err);
	if (rc != E_OK) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*ctx_r = ctx;
	return E_OK;
}

void tls_prepare(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	SSL_CTX_free(SSL_CTX_new(TLS_client_method()));   /* finds the algorithms; they stay found */
}

static bool same_pem(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static enum code find_trust(const char *pem, struct trust **trust_r, struct err *err)
{
	SSL_CTX *ctx = NULL;
	enum code rc;

	for (size_t i = 0; i < cache.n_trusts; i++)
		if (same_pem(cache.trust[i].pem, pem)) {
			*trust_r = &cache.trust[i];
			return E_OK;
		}
	if (cache.n_trusts == TRUSTS)
		return err_set(err, E_TLS, "more than %d different CA files in one worker", TRUSTS);
	tls_prepare();
	rc = make_ctx(pem, &ctx, err);
	if (rc != E_OK)
		return rc;
	*trust_r = &cache.trust[cache.n_trusts++];
	**trust_r = (struct trust){ pem != NULL ? mem_strdup(pem) : NULL, ctx };
	return E_OK;
}

/* --- one session --- */

static void offer_session(struct tls *tls)
{
	for (size_t i = 0; i < cache.n_kept; i++) {
		struct kept *k = &cache.kept[i];

		if (k->session == NULL || k->trust != tls->trust || strcmp(k->host, tls->host) != 0)
			continue;
		SSL_set_session(tls->ssl, k->session);
		SSL_SESSION_free(k->session);
		k->session = NULL;   /* TLS 1.3 tickets are for one use */
		return;
	}
}

static bool is_ip(const char *host)
{
	unsigned char addr[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, addr) == 1 || inet_pton(AF_INET6, host, addr) == 1;
}

static bool expect_host(SSL *ssl, const char *host)
{
	assert(host[0] != '\0');     /* an empty name would switch the check off */
	if (is_ip(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

enum code tls_new(int fd, const char *host, const char *ca_pem, struct tls **tls_r, struct err *err)
{
	struct trust *trust = NULL;
	enum code rc;

	if (host == NULL || host[0] == '\0')
		return err_set(err, E_TLS, "no server name to verify the certificate against");
	rc = find_trust(ca_pem, &trust, err);
	if (rc != E_OK)
		return rc;

	struct tls *tls = mem_alloc(sizeof(*tls));
	tls->trust = trust;
	tls->host = mem_strdup(host);
	tls->ssl = SSL_new(trust->ctx);
	if (tls->ssl == NULL || SSL_set_fd(tls->ssl, fd) != 1 || !expect_host(tls->ssl, host)) {
		tls->failed = true;
		tls_free(&tls);
		return set_openssl_err(err, "TLS could not be set up");
	}
	SSL_set_app_data(tls->ssl, tls);
	SSL_set_connect_state(tls->ssl);
	offer_session(tls);
	*tls_r = tls;
	return E_OK;
}

void tls_free(struct tls **tls)
{
	struct tls *t = *tls;

	if (t == NULL)
		return;
	if (t->ssl != NULL) {
		ERR_clear_error();
		if (!t->failed && SSL_is_init_finished(t->ssl))
			SSL_shutdown(t->ssl);
		SSL_free(t->ssl);
		ERR_clear_error();
	}
	mem_free(t->host);
	mem_free(t);
	*tls = NULL;
}

static const char *refusal(long result)
{
	switch (result) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "has expired";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "is not valid yet";
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return "is for another name";
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return "is self-signed and not trusted";
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return "is from an authority that is not trusted";
	default:
		return NULL;
	}
}

static enum code explain(struct tls *tls, struct err *err)
{
	long result = SSL_get_verify_result(tls->ssl);
	const char *why = refusal(result);
	unsigned long e = ERR_peek_last_error();

	if (why != NULL) {
		ERR_clear_error();
		return err_set(err, E_TLS, "the certificate of %s %s", tls->host, why);
	}
	if (result != X509_V_OK) {
		ERR_clear_error();
		return err_set(err, E_TLS, "the certificate of %s is refused: %s", tls->host,
			       X509_verify_cert_error_string(result));
	}
	if (e == 0)
		return err_errno(err, E_NET, "the connection to %s broke", tls->host);
	if (ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		ERR_clear_error();
		return err_set(err, E_NET, "%s cut the TLS connection", tls->host);
	}
	return set_openssl_err(err, "TLS failed");
}

static enum tls_io outcome(struct tls *tls, int ret, struct err *err)
{
	switch (SSL_get_error(tls->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return TLS_IO_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_IO_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_IO_CLOSED;
	default:
		explain(tls, err);
		tls->failed = true;
		return TLS_IO_FAILED;
	}
}

/* Records are 16 KiB; sent one by one each costs a system call here and a wake-up there. */
static void gather_records(SSL *ssl)
{
	BIO *buffer = BIO_new(BIO_f_buffer()), *socket = SSL_get_wbio(ssl);

	if (buffer == NULL || BIO_set_write_buffer_size(buffer, GATHER) != 1) {
		BIO_free(buffer);            /* it works without */
		return;
	}
	BIO_up_ref(socket);
	SSL_set0_wbio(ssl, BIO_push(buffer, socket));
}

enum tls_io tls_handshake(struct tls *tls, struct err *err)
{
	ERR_clear_error();
	errno = 0;
	int ret = SSL_do_handshake(tls->ssl);

	if (ret != 1) {
		enum tls_io io = outcome(tls, ret, err);

		if (io == TLS_IO_FAILED && err != NULL && err->code != E_TLS)
			err_set(err, E_TLS, "%s broke off the TLS handshake", tls->host);
		return io;
	}
	if (SSL_get_verify_result(tls->ssl) != X509_V_OK) {
		explain(tls, err);
		tls->failed = true;
		return TLS_IO_FAILED;
	}
	gather_records(tls->ssl);
	return TLS_IO_OK;
}

enum tls_io tls_read(struct tls *tls, void *p, size_t n, size_t *got_r, struct err *err)
{
	ERR_clear_error();
	errno = 0;
	int ret = SSL_read_ex(tls->ssl, p, n, got_r);

	return ret == 1 ? TLS_IO_OK : outcome(tls, ret, err);
}

enum tls_io tls_write(struct tls *tls, const void *p, size_t n, size_t *put_r, struct err *err)
{
	ERR_clear_error();
	errno = 0;
	int ret = SSL_write_ex(tls->ssl, p, n, put_r);

	return ret == 1 ? TLS_IO_OK : outcome(tls, ret, err);
}

enum tls_io tls_flush(struct tls *tls, struct err *err)
{
	BIO *out = SSL_get_wbio(tls->ssl);

	ERR_clear_error();
	errno = 0;
	if (BIO_flush(out) == 1)
		return TLS_IO_OK;
	if (BIO_should_retry(out))
		return TLS_IO_WANT_WRITE;
	explain(tls, err);
	tls->failed = true;
	return TLS_IO_FAILED;
}
