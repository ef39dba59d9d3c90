/* fuzz_header.c - hostile message bytes: the fingerprint, the fields it is made of and the body's
 * line ends agree with each other however the bytes are cut.
 */
#include "../../worker/data/body.h"
#include "../../worker/data/flags.h"
#include "../../worker/data/mailkey.h"
#include "../../worker/data/path.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static struct body *made_body(struct span in, size_t step)
{
	struct body *b = body_new(-1, step);
	struct err err = ERR_INIT;

	for (size_t at = 0; at < in.n; at += step) {
		struct span part = span_cut(in, at, step);

		must(body_add(b, part.p, part.n, &err) == E_OK);
	}
	must(body_end(b, &err) == E_OK);
	return b;
}

static bool same_key(struct span a, struct span b)
{
	struct mailkey x = mailkey_of(a), y = mailkey_of(b);

	return memcmp(x.fp, y.fp, sizeof(x.fp)) == 0 && x.has_msgid == y.has_msgid;
}

static void try_body(struct span in)
{
	struct body *whole = made_body(in, in.n + 1), *cut = made_body(in, 1 + in.n % 7);
	uint8_t a[DIGEST_SIZE], b[DIGEST_SIZE];
	struct err err = ERR_INIT;

	must(body_size(whole) == body_size(cut));
	must(body_digest(whole, a, NULL, &err) == E_OK && body_digest(cut, b, NULL, &err) == E_OK);
	must(memcmp(a, b, sizeof(a)) == 0);
	must(span_eq(body_header(whole), body_header(cut)));
	must(same_key(in, body_header(whole)));
	body_free(&whole);
	body_free(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_bytes(data, n);
	struct arena *arena = arena_new((size_t)64 << 20);

	if (n > 100000)
		in.n = 100000;
	must(same_key(in, mailkey_fields(arena, in)));
	must(mailkey_of(in).has_msgid == (mailkey_msgid(in).n > 0));
	try_body(in);
	struct span component = path_encode_component(arena, in);
	must(span_eq(path_decode_component(arena, component), in));
	must(path_depth(component) <= 1);
	const char *set = kw_from(arena, in);
	must(kw_eq(set, kw_from(arena, span_of(set))) && kw_eq(set, kw_union(arena, set, set)));
	must(kw_minus(arena, set, set) == NULL);
	arena_free(&arena);
	return 0;
}
