/* fuzz_ews_discover.c - what Autodiscover may answer, POX or SOAP: no URL is longer than one may be. */
#include "../../worker/ews/ews.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *arena = arena_new((size_t)64 << 20);
	struct ews_discovered f;
	struct err err = ERR_INIT;

	(void)ews_discover_read(arena, span_bytes(data, n), &f, &err);
	assert(f.inside.n <= 2048 && f.outside.n <= 2048 && f.redirect.n <= 2048 && f.error.n <= 2048);
	arena_free(&arena);
	return 0;
}
