/* fuzz_words.c - encoded words: bounded output, valid UTF-8 wherever the input was ASCII, and text without
 * encoded words stays as it is but for its folds.
 */
#include "../../worker/data/words.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool cond)
{
	if (!cond)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_bytes(data, size < 65536 ? size : 65536);
	struct buf out;
	bool ascii = true, word = false;

	for (size_t i = 0; i < in.n; i++) {
		ascii = ascii && (uint8_t)in.p[i] < 0x80;
		word = word || (in.p[i] == '=' && i + 1 < in.n && in.p[i + 1] == '?');
	}
	buf_init(&out, (size_t)1 << 20);
	words_decode(in, &out);
	must(!out.overflow && out.n <= 3 * in.n);
	for (size_t at = 0; ascii && at < out.n;) {
		size_t len = span_utf8(buf_span(&out), at, NULL);

		must(len > 0);
		at += len;
	}
	if (!word) {
		size_t at = 0;

		for (size_t i = 0; i < in.n; i++) {
			if (in.p[i] == '\r' || in.p[i] == '\n')
				continue;
			must(at < out.n && out.p[at] == (in.p[i] == '\t' ? ' ' : in.p[i]));
			at++;
		}
		must(at == out.n);
	}
	buf_free(&out);
	return 0;
}
