/* fuzz_imap_parse.c - a server's bytes through scanner, answers, tokens and FETCH. Fed in one piece and
 * in pieces they must give the same lines; no token may point outside of its line.
 */
#include "../../worker/imap/imap_fetch.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool cond)
{
	if (!cond)
		abort();
}

static void walk(struct arena *arena, struct span line)
{
	struct imap_resp r;
	struct imap_cur cur;
	struct imap_tok tok;
	struct imap_fetched f;
	struct span inner;

	imap_cur_init(&cur, line);
	while (imap_next(&cur, &tok) != IMAP_T_END && tok.kind != IMAP_T_BAD) {
		must(cur.p >= line.p && cur.p <= line.p + line.n);
		must(tok.text.p == NULL || (tok.text.p >= line.p && tok.text.p + tok.text.n <= line.p + line.n));
		must(imap_tok_text(arena, &tok).n <= tok.text.n);
	}
	imap_cur_init(&cur, line);
	(void)imap_skip(&cur);
	(void)imap_next_list(&cur, &inner);
	(void)imap_is_body_literal(line);
	if (imap_resp_parse(line, &r, NULL) != E_OK)
		return;
	uint32_t lo, hi, n = 0;
	for (struct span set = r.args; n < 1000 && imap_set_next(&set, &lo, &hi); n++)
		must(lo <= hi);
	if (r.kind == IMAP_R_DATA && imap_fetched_parse(arena, r.rest, &f, NULL) == E_OK && f.keywords != NULL)
		must(f.keywords[0] != '\0');
}

/* All lines into out, each with its length in front. */
static void lines(const uint8_t *data, size_t size, size_t step, struct arena *arena, struct buf *out)
{
	struct imap_scan s;
	bool failed = false;

	imap_scan_init(&s);
	for (size_t at = 0; at < size && !failed;) {
		enum imap_scan_event event;
		size_t used = 0, n = size - at < step ? size - at : step;

		failed = imap_scan_feed(&s, span_bytes(data + at, n), &used, &event, NULL) != E_OK;
		must(used <= n && (used > 0 || failed));
		at += used;
		if (failed)
			break;
		if (event == IMAP_SCAN_LITERAL && (s.literal & 1) && s.literal <= size - at) {
			at += (size_t)s.literal;
			imap_scan_skip(&s);
		} else if (event == IMAP_SCAN_LITERAL) {
			failed = imap_scan_keep(&s, NULL) != E_OK;
		} else if (event == IMAP_SCAN_LINE) {
			buf_printf(out, "%zu:", s.line.n);
			buf_add_span(out, buf_span(&s.line));
			if (arena != NULL)
				walk(arena, buf_span(&s.line));
			imap_scan_reset(&s);
		}
	}
	buf_printf(out, "%d", failed);
	imap_scan_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new((size_t)512 << 20);
	struct buf whole, pieces;

	buf_init(&whole, (size_t)64 << 20);
	buf_init(&pieces, (size_t)64 << 20);
	lines(data, size, SIZE_MAX, arena, &whole);
	lines(data, size, size > 0 ? 1 + data[0] % 7 : 1, NULL, &pieces);
	must(span_eq(buf_span(&whole), buf_span(&pieces)));
	buf_free(&whole);
	buf_free(&pieces);
	arena_free(&arena);
	return 0;
}
