/* digest.c - SHA-256 and base64 by OpenSSL; a file of its own, so that a program that needs neither does
 * not load the library.
 */
#include "secret.h"

#include "mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unistd.h>

struct digest {
	EVP_MD_CTX *ctx;
};

/* Only digests are wanted of it here: openssl.cnf is not read. */
static void start_library(void)
{
	static bool started;

	if (!started)
		OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	started = true;
}

struct digest *digest_new(void)
{
	struct digest *d = mem_alloc(sizeof(*d));

	start_library();
	d->ctx = EVP_MD_CTX_new();
	if (d->ctx == NULL || EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) != 1)
		_exit(MEM_EXIT);
	return d;
}

void digest_add(struct digest *d, const void *p, size_t n)
{
	if (n > 0 && EVP_DigestUpdate(d->ctx, p, n) != 1)
		_exit(MEM_EXIT);
}

void digest_end(struct digest **dp, uint8_t out[DIGEST_SIZE])
{
	struct digest *d = *dp;
	unsigned n = DIGEST_SIZE;

	if (EVP_DigestFinal_ex(d->ctx, out, &n) != 1)
		_exit(MEM_EXIT);
	EVP_MD_CTX_free(d->ctx);
	mem_free(d);
	*dp = NULL;
}

void digest_of(const void *p, size_t n, uint8_t out[DIGEST_SIZE])
{
	unsigned len = DIGEST_SIZE;

	start_library();
	if (EVP_Digest(p, n, out, &len, EVP_sha256(), NULL) != 1)
		_exit(MEM_EXIT);
}

size_t base64_encode(const void *p, size_t n, char *out)
{
	return (size_t)EVP_EncodeBlock((unsigned char *)out, p, (int)n);
}
