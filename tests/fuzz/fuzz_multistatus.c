/* fuzz_multistatus.c - hostile WebDAV answers: the same result however they are cut into pieces, and names from
 * hrefs that lead back to where they came from.
 */
#include "../../worker/dav/dav_parse.h"
#include "../../worker/dav/dav_url.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define BASE SPAN_LIT("https://h.example/home/work/")
#define HOME SPAN_LIT("/home/work/")

struct seen {
	struct arena *arena;
	uint64_t hash;
	size_t n;
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void try_href(struct arena *arena, struct span href)
{
	struct span path = dav_path(arena, BASE, href, NULL), name = dav_item_name(arena, HOME, path);

	must(path.n == 0 || path.p[0] == '/');
	if (path.n > 1 && path.p[1] != '/')          /* "//x" as a reference is a host */
		must(span_eq(dav_path(arena, BASE, path, NULL), path));
	if (name.n > 0) {
		must(span_eq(dav_item_path(arena, HOME, name), path));
		must(!span_eq_str(name, "..") && !span_eq_str(name, "."));
	}
}

static void try_name(struct arena *arena, struct span display)
{
	struct span path = dav_folder_path(arena, display), name;

	if (path.n == 0)
		return;
	name = dav_display_name(arena, path);
	/* what is long may be cut short on its way back; then it is not given back at all */
	must(name.n > 0 ? span_eq(dav_folder_path(arena, name), path) : path.n > 190);
}

static enum code on_response(void *ctx, const struct dav_response *r, struct err *err)
{
	struct seen *s = ctx;

	(void)err;
	s->n++;
	s->hash = s->hash * 31 + span_hash(r->href) + r->status + r->props.marks + r->too_big;
	for (size_t i = 0; i < DAV_TEXTS; i++)
		s->hash = s->hash * 31 + span_hash(r->props.text[i]);
	arena_reset(s->arena);
	try_href(s->arena, r->href);
	try_name(s->arena, r->props.text[DAV_TEXT_NAME]);
	return E_OK;
}

static enum code run(struct seen *s, struct span in, size_t step)
{
	struct dav_parser *p = dav_parser_new(on_response, s, 4096, 1 << 20);
	struct err err = ERR_INIT;
	enum code rc = E_OK;

	for (size_t at = 0; rc == E_OK && at < in.n; at += step)
		rc = dav_parser_feed(p, span_cut(in, at, step), &err);
	if (rc == E_OK)
		rc = dav_parser_end(p, &err);
	must(rc == E_OK || err.text[0] != '\0');
	dav_parser_free(&p);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_bytes(data, n < 100000 ? n : 100000);
	struct arena *arena = arena_new((size_t)64 << 20);
	struct seen whole = { .arena = arena }, cut = { .arena = arena };
	enum code rc = run(&whole, in, in.n + 1), rc_cut = run(&cut, in, 3);

	must((rc == E_OK) == (rc_cut == E_OK));
	if (rc == E_OK)
		must(whole.hash == cut.hash && whole.n == cut.n);
	arena_reset(arena);
	try_href(arena, in);
	try_name(arena, in);
	arena_free(&arena);
	return 0;
}
