/* tls.h - the only door to OpenSSL's TLS: a verified client session over a non-blocking socket.
 *
 * TLS 1.2 or later, always verified: the chain against the system's store or exactly the PEM
 * certificates given, and the name (or IP address) that was connected to. There is no switch that
 * turns this off. An end of data without close_notify is an error. Sessions are reused within the
 * process, for the same name and the same trust only.
 *
 * Nothing here waits: calls say what they want and conn.c waits. A partly sent tls_write must be
 * repeated with at least the same bytes.
 */
#ifndef MS_TLS_H
#define MS_TLS_H

#include "../../common/err.h"

struct tls;

enum tls_io {
	TLS_IO_OK,
	TLS_IO_WANT_READ,        /* call again when the socket is readable */
	TLS_IO_WANT_WRITE,       /* ... writable */
	TLS_IO_CLOSED,           /* the peer said close_notify */
	TLS_IO_FAILED            /* err is filled, the session is dead */
};

/* Let the library set itself up; the first tls_new() does it otherwise. */
void tls_prepare(void);
/* host: name or IP address, not empty: what the certificate must be for. ca_pem NULL = the system's
 * store. fd stays the caller's. */
enum code tls_new(int fd, const char *host, const char *ca_pem, struct tls **tls_r, struct err *err) MS_MUST_USE;
/* Says close_notify unless the session failed; does not wait for the peer's. */
void tls_free(struct tls **tls);
/* Until TLS_IO_OK nothing may be read or written. The error says why a certificate was refused. */
enum tls_io tls_handshake(struct tls *tls, struct err *err);
enum tls_io tls_read(struct tls *tls, void *p, size_t n, size_t *got_r, struct err *err);
enum tls_io tls_write(struct tls *tls, const void *p, size_t n, size_t *put_r, struct err *err);
/* What was written may wait for more until this returns TLS_IO_OK. */
enum tls_io tls_flush(struct tls *tls, struct err *err);

#endif
