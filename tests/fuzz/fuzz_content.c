/* fuzz_content.c - hostile content lines: what is read survives printing, no printed line is too long,
 * no character is cut, and the text helpers agree with each other.
 */
#include "../../worker/data/content.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void try_text(struct arena *arena, struct span in)
{
	struct span text = text_unescape(arena, in), clean = text_clean(arena, in), rest = in, part;
	size_t n = 0;

	must(span_eq(text_unescape(arena, text_escape(arena, text_clean_lines(arena, text))), text_clean_lines(arena, text)));
	must(span_eq(text_canonical(arena, text_canonical(arena, clean)), text_canonical(arena, clean)));
	must(span_is_utf8(clean) && span_eq(text_clean(arena, clean), clean));
	while (text_next(&rest, ';', &part))
		n += part.n + 1;
	must(in.p == NULL || n == in.n + 1);
	for (struct span left = in; left.n > 0;) {
		size_t cut = text_cut(left, 10);

		must(cut > 0 && cut <= 10 && cut <= left.n);
		left = span_cut(left, cut, left.n);
	}
}

static void check_lines(struct span text)
{
	struct span rest = text, line;

	while (span_next(&rest, '\n', &line) && rest.p != NULL)
		must(line.n <= 76 && line.p[line.n - 1] == '\r');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_bytes(data, n < 100000 ? n : 100000);
	struct arena *arena = arena_new((size_t)64 << 20);
	struct content_comp *root, *again;
	struct content_line line;
	struct err err = ERR_INIT;
	struct buf out;

	buf_init(&out, (size_t)8 << 20);
	try_text(arena, in);
	(void)content_parse_line(arena, in, &line);
	if (content_parse(arena, in, &root, &err) == E_OK) {
		content_print(&out, root);
		must(!out.overflow && content_parse(arena, buf_span(&out), &again, &err) == E_OK);
		must(content_equal(root, again));
		check_lines(buf_span(&out));
	} else {
		must(err.text[0] != '\0');
	}
	buf_free(&out);
	arena_free(&arena);
	return 0;
}
