/* fuzz_ews_token.c - what a token endpoint may say: a token is one that fits into a header, or there is none. */
#include "../../worker/ews/ews_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct secret *token = NULL;
	struct err err = ERR_INIT;
	uint32_t seconds = 0;
	bool good = n > 0 && (data[0] & 1) != 0;
	enum code rc = ews_token_read(span_bytes(data + (n > 0), n - (n > 0)), good, &token, &seconds, &err);

	assert((rc == E_OK) == (token != NULL) && seconds > 0 && seconds <= 86400);
	if (token != NULL) {
		const char *p = secret_reveal(token);

		assert(good && secret_len(token) > 0);
		for (size_t i = 0; i < secret_len(token); i++)
			assert(p[i] > ' ' && p[i] <= '~');
	}
	secret_free(&token);
	return 0;
}
