/* fuzz_ews_parse.c - a server's bytes through the states of an answer. Fed whole and in pieces they must give the same
 * objects; and what a calendar item, contact or task says must be a record, or be refused. The same bytes as an answer
 * of Autodiscover.
 */
#include "../../worker/ews/ews_record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool cond)
{
	if (!cond)
		abort();
}

struct seen {
	uint64_t hash;
	bool records;
	struct ews *e;
	struct arena *arena;
};

static void mix(struct seen *s, struct span text)
{
	s->hash = s->hash * 1099511628211ULL ^ span_hash(text);
}

static enum code on_object(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct seen *s = ctx;

	mix(s, o->name);
	for (size_t i = 0; i < o->n; i++) {
		mix(s, o->e[i].path);
		mix(s, o->e[i].text);
	}
	for (int kind = EP_EVENTS; s->records && kind <= EP_TASKS; kind++) {
		struct ews_rec r;
		struct ews_photo photo;

		ews_rec_init(&r, s->e, s->arena, (enum ep_kind)kind, SPAN_LIT("id"));
		if (ews_rec_add(&r, o, false, NULL) == E_OK && ews_rec_finish(&r, NULL) == E_OK) {
			must(ews_rest_apply(s->arena, r.plain, r.rest) != NULL);
			(void)ews_photo_of(s->arena, r.plain, &photo);
		}
		ews_rec_free(&r);
	}
	(void)message;
	(void)err;
	return E_OK;
}

static enum code on_message(void *ctx, size_t message, const struct ews_object *m, struct err *err)
{
	struct seen *s = ctx;

	(void)message;
	mix(s, ews_text(m, "ResponseCode"));
	(void)ews_outcome(m, "x", err);
	return E_OK;
}

static enum code run(struct seen *s, const uint8_t *data, size_t size, size_t step)
{
	static const struct ews_handler handler = { on_object, on_message, NULL };
	struct ews_parser *p = ews_parser_new(&handler, s, 1 << 16, 1 << 20);
	enum code rc = E_OK;

	for (size_t at = 0; rc == E_OK && at < size; at += step)
		rc = ews_parser_feed(p, span_bytes(data + at, size - at < step ? size - at : step), NULL);
	if (rc == E_OK)
		rc = ews_parser_end(p, NULL);
	must(rc == E_OK || rc == E_PROTOCOL);
	ews_parser_free(&p);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ews e = { .mailbox = "me@x.example" };
	struct arena *arena = arena_new((size_t)256 << 20);
	struct seen whole = { .records = true, .e = &e, .arena = arena }, pieces = { .e = &e, .arena = arena };

	if (size < 100000) {
		enum code a = run(&whole, data, size, size > 0 ? size : 1), b = run(&pieces, data, size, 3);

		must(a == b && (a != E_OK || whole.hash == pieces.hash));
		struct ews_discovered found;
		enum code c = ews_discover_read(arena, span_bytes(data, size), &found, NULL);

		must(c == E_OK || c == E_PROTOCOL);
	}
	arena_free(&arena);
	return 0;
}
