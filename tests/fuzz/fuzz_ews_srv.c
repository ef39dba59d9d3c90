/* fuzz_ews_srv.c - what a DNS server may answer: a name and a port, or nothing. */
#include "../../worker/ews/ews_srv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *arena = arena_new(1 << 20);
	const char *found = ews_srv_read(arena, span_bytes(data, n));

	for (const char *p = found; p != NULL && *p != '\0'; p++)
		assert(*p > ' ' && *p <= '~' && *p != '/' && *p != '@');
	arena_free(&arena);
	return 0;
}
