/* fuzz_mutf7.c - what the decoder accepts, the encoder writes back; what the encoder writes is ASCII
 * that the decoder reads back; and names survive the way to a path and back to a name.
 */
#include "../../worker/imap/imap.h"
#include "../../worker/imap/imap_utf7.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool cond)
{
	if (!cond)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new((size_t)64 << 20);
	struct span in = span_bytes(data, size), out, back;

	if (size > 4096)
		size = 4096;
	in.n = size;
	if (imap_utf7_decode(arena, in, &out)) {
		must(span_is_utf8(out));
		must(imap_utf7_encode(arena, out, &back) && span_eq(back, in));
	}
	if (imap_utf7_encode(arena, in, &out)) {
		must(span_is_utf8(in));
		for (size_t i = 0; i < out.n; i++)
			must(out.p[i] >= ' ' && out.p[i] <= '~');
		must(imap_utf7_decode(arena, out, &back) && span_eq(back, in));
	}
	/* a path that can be written at all is read back as it was, at every level of escaping */
	struct imap im = { .separator = size > 0 && in.p[0] & 1 ? '.' : '/', .utf8 = size > 0 && in.p[0] & 2 };
	if (imap_path_of(&im, arena, in, im.separator, &out))
		for (unsigned level = 0; level < IMAP_LEVELS; level++)
			if (imap_name_of(&im, arena, out, level, &back)) {
				struct span again;

				must(imap_path_of(&im, arena, back, im.separator, &again));
				must(span_eq(again, out));
			}
	arena_free(&arena);
	return 0;
}
