/* secret.h - a string that nobody prints, that zeroes itself, and that stays out of core files.
 * Also random bytes, and the door to OpenSSL's digests (digest.c), because all three live with secrets.
 */
#ifndef MS_SECRET_H
#define MS_SECRET_H

#include "err.h"
#include "span.h"

struct secret;

struct secret *secret_new(const void *p, size_t n);        /* copies; the caller wipes its own copy */
void secret_free(struct secret **secret);                  /* zeroes; NULL inside is fine */
/* The bytes, valid until secret_free; NUL-terminated. Only for the encoder that sends them. */
const char *secret_reveal(const struct secret *secret);
size_t secret_len(const struct secret *secret);
void secret_wipe(void *p, size_t n);                       /* zero memory that held a secret */

/* Read a secret file: regular, not a link, owned by us or root, mode 0600 or stricter (0400), not
 * in a group- or world-writable directory; one trailing newline is dropped; at most 64 KiB.
 * Fails with E_CONF and a sentence that names the file and what to do. */
enum code secret_read_file(const char *path, struct secret **secret_r, struct err *err) MS_MUST_USE;

#define DIGEST_SIZE 32
struct digest;                                             /* a running SHA-256 */
struct digest *digest_new(void);
void digest_add(struct digest *d, const void *p, size_t n);
void digest_end(struct digest **d, uint8_t out[DIGEST_SIZE]);  /* also frees and nulls */
void digest_of(const void *p, size_t n, uint8_t out[DIGEST_SIZE]);
void random_bytes(void *p, size_t n);                      /* getrandom; cannot fail */
/* n bytes as 2n lower-case hex digits plus NUL. */
void hex_encode(const void *p, size_t n, char *out);
/* Base64 (RFC 4648 4), out must have room for (n + 2) / 3 * 4 + 1; returns its length. */
size_t base64_encode(const void *p, size_t n, char *out);

#endif
