/* ews_changes.c - what changed in folders: SyncFolderItems, all folders together, a page each per round.
 *
 * A SyncState that the server does not know any more is not asked again: everything is listed, and the ids stay
 * what they were. A ReadFlagChange says one flag only: the item's others are read behind the last page. What one
 * page says of an item is overruled by a later one. A listing is complete if its last page said that it was.
 */
#include "ews.h"
#include "ews_map.h"

#include "../../common/mem.h"

#include <stdlib.h>

#define PAGE 512                         /* the most that is possible */
#define PAGES_MAX 200000
#define ROOM ((size_t)1 << 20)
#define CURSOR '1'

/* What an answer said of one item. */
struct word {
	struct span id, version;
	uint32_t flags;
	const char *keywords;
	size_t at;                       /* order of saying */
	bool gone, partial;              /* partial: its flags have to be read */
};

struct look {
	struct ews *e;
	struct arena *arena;
	struct ep_changes *c;
	bool all, last, done;            /* all: without a SyncState */
	size_t pages;
	struct span state;               /* of the next request */
	struct word *words;
	size_t n, cap, known;            /* known: words of pages that were read to their end */
	struct ews_call call;
	enum code code;                  /* of the response message */
	bool lost;                       /* it says that the SyncState is */
	struct err err;
};

/* --- answers --- */

static bool counts(const struct look *k, struct span element)
{
	return k->c->folder->kind == EP_MAIL ? ews_is_mail(element)
					     : ews_mapper_named((int)k->c->folder->kind, element) != NULL;
}

static enum code say(struct look *k, struct word w, struct err *err)
{
	if (w.id.n == 0)
		return err_set(err, E_PROTOCOL, "the server listed an item without an id");
	if (arena_left(k->arena) < ROOM + 3 * k->cap * sizeof(w) + w.id.n + w.version.n)
		return err_set(err, E_INCOMPLETE, "the folder has more items than there is room for");
	k->words = arena_grow(k->arena, k->words, k->n, sizeof(w), &k->cap);
	w.id = arena_span(k->arena, w.id);
	w.version = w.version.n > 0 ? arena_span(k->arena, w.version) : SPAN_NONE;
	w.at = k->n;
	k->words[k->n++] = w;
	return E_OK;
}

static enum code on_change(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct look *k = ctx;
	bool mail = k->c->folder->kind == EP_MAIL;
	struct word w = { .id = ews_text(o, "ItemId@Id") };
	struct ews_flags f;

	(void)message;
	if (span_eq_str(o->name, "Delete")) {
		w.gone = true;
		return say(k, w, err);
	}
	if (span_eq_str(o->name, "ReadFlagChange")) {
		w.partial = true;
		return mail ? say(k, w, err) : E_OK;
	}
	if (!counts(k, o->name))
		return E_OK;
	if (mail) {
		ews_read_flags(k->arena, o, &f);
		w.flags = f.flags;
		w.keywords = f.keywords;
	} else {
		w.version = ews_text(o, "ItemId@ChangeKey");
	}
	return say(k, w, err);
}

static enum code on_end(void *ctx, size_t message, const struct ews_object *m, struct err *err)
{
	struct look *k = ctx;
	struct span name = ews_text(m, "ResponseCode");

	(void)message;
	k->lost = span_eq_str(name, "ErrorInvalidSyncStateData");
	k->code = ews_outcome(m, "listing a folder", &k->err);
	if (ews_error_is_side(k->code)) {
		*err = k->err;
		return k->code;
	}
	k->last = ews_true(ews_text(m, "IncludesLastItemInRange"));
	k->state = arena_span(k->arena, span_trim(ews_text(m, "SyncState")));
	return E_OK;
}

/* --- requests --- */

static void ask(struct look *k)
{
	static const struct ews_handler handler = { on_change, on_end, NULL };
	struct buf *b = &k->call.body;

	ews_call_init(k->e, &k->call, &handler, k);
	buf_add_str(b, "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>");
	if (k->c->folder->kind == EP_MAIL) {
		buf_add_str(b, "<t:AdditionalProperties>");
		ews_flag_fields(k->e, b);
		buf_add_str(b, "</t:AdditionalProperties>");
	}
	buf_add_str(b, "</m:ItemShape><m:SyncFolderId>");
	ews_folder_id(b, k->c->folder);
	buf_add_str(b, "</m:SyncFolderId>");
	if (k->state.n > 0) {
		buf_add_str(b, "<m:SyncState>");
		ews_xml(b, k->state);
		buf_add_str(b, "</m:SyncState>");
	}
	buf_printf(b, "<m:MaxChangesReturned>%d</m:MaxChangesReturned><m:SyncScope>NormalItems</m:SyncScope>"
		   "</m:SyncFolderItems>", PAGE);
	k->code = E_PROTOCOL;
	err_set(&k->err, E_PROTOCOL, "the server gave no answer about the folder");
	k->lost = k->last = false;
}

static void restart(struct look *k)
{
	k->all = true;
	k->n = k->known = k->pages = 0;
	k->state = SPAN_NONE;
}

static void give_up(struct look *k, enum code rc, const char *text)
{
	k->done = true;
	k->c->code = rc;
	k->c->text = arena_str(k->arena, span_of(text));
	k->n = k->known;
}

static void on_answer(struct look *k)
{
	struct span before = k->state;

	if (k->call.code != E_OK) {
		give_up(k, code_scope(k->call.code) == SCOPE_FOLDER ? k->call.code : E_INCOMPLETE,
			err_text(&k->call.err));
	} else if (k->lost && !k->all) {
		restart(k);
	} else if (k->code != E_OK) {
		give_up(k, k->code == E_ITEM_GONE ? E_FOLDER_GONE : code_scope(k->code) == SCOPE_FOLDER ? k->code
			 : E_INCOMPLETE, err_text(&k->err));
	} else if (k->state.n == 0 || (!k->last && (++k->pages > PAGES_MAX ||
						    (k->n == k->known && span_eq(k->state, before))))) {
		give_up(k, E_INCOMPLETE, "the server's pages of the folder lead nowhere");
	} else {
		k->known = k->n;
		k->done = k->last;
		k->c->cursor = span_of(arena_printf(k->arena, "%c" SPAN_FMT, CURSOR, SPAN_ARG(k->state)));
	}
	ews_call_free(&k->call);
}

/* --- flags of items of which only a part was told --- */

static void begin_get(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)first;
	buf_add_str(b, "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>");
	ews_flag_fields(((struct look *)ctx)->e, b);
	buf_add_str(b, "</t:AdditionalProperties></m:ItemShape><m:ItemIds>");
}

static enum code one_get(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	(void)ctx;
	(void)err;
	ews_id(b, "ItemId", ((struct word *)el->what)->id, SPAN_NONE);
	return E_OK;
}

static void end_get(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemIds></m:GetItem>");
}

static enum code on_got(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct look *k = ctx;
	struct word *w = el->what;
	struct ews_flags f;

	(void)err;
	ews_read_flags(k->arena, o, &f);
	w->flags = f.flags;
	w->keywords = f.keywords;
	w->partial = false;
	return E_OK;
}

static enum code complete_words(struct look *k, struct word **partial, size_t n, struct err *err)
{
	struct ews_batch b = { .e = k->e, .arena = k->arena, .what = "reading flags", .items = EWS_BATCH,
			       .bytes = SIZE_MAX, .ctx = k, .begin = begin_get, .one = one_get, .end = end_get,
			       .object = on_got };
	struct ews_el *els = mem_calloc(n, sizeof(*els));

	for (size_t i = 0; i < n; i++)
		els[i] = (struct ews_el){ .what = partial[i], .code = E_CANCELLED };
	enum code rc = ews_batch_run(&b, els, n, err);
	for (size_t i = 0; i < n; i++)
		if (els[i].code == E_ITEM_GONE)
			partial[i]->gone = true;
	mem_free(els);
	return rc;
}

/* --- what to make of it --- */

static int by_id(const void *a, const void *b)
{
	const struct word *x = a, *y = b;
	int order = span_cmp(x->id, y->id);

	return order != 0 ? order : x->at < y->at ? -1 : x->at > y->at;
}

static void give(struct look *k)
{
	struct ep_changes *c = k->c;
	bool odd = false;

	c->items = arena_calloc(k->arena, k->n, sizeof(*c->items));
	c->gone = arena_calloc(k->arena, k->all ? 0 : k->n, sizeof(*c->gone));
	for (size_t i = 0; i < k->n; i++) {
		const struct word *w = &k->words[i];

		odd |= !w->gone && w->partial;
		if (!w->gone && !w->partial)
			c->items[c->n++] = (struct ep_item){ w->id, w->flags, w->keywords, w->version };
		else if (w->gone && !k->all)
			c->gone[c->n_gone++] = w->id;
	}
	c->full = k->all;
	c->complete = !odd;
	c->code = E_OK;
	c->flags_r = c->folder->kind == EP_MAIL ? EP_FLAGS_ALL : 0;
	c->keywords_r = c->folder->kind == EP_MAIL;
}

static enum code finish(struct look *k, struct err *err)
{
	struct word **partial = arena_calloc(k->arena, k->n, sizeof(struct word *)), *w = k->words;
	size_t n = 0, n_partial = 0;
	enum code rc = E_OK;

	if (k->n > 1)
		qsort(w, k->n, sizeof(*w), by_id);
	for (size_t i = 0; i < k->n; i++)
		if (i + 1 == k->n || !span_eq(w[i].id, w[i + 1].id))
			w[n++] = w[i];       /* the last word on it */
	k->n = n;
	for (size_t i = 0; i < n; i++)
		if (w[i].partial)
			partial[n_partial++] = &w[i];
	if (n_partial > 0)
		rc = complete_words(k, partial, n_partial, err);
	if (rc == E_OK)
		give(k);
	return rc;
}

static void begin(struct look *k, struct ews *e, struct arena *arena, struct ep_changes *c)
{
	*k = (struct look){ .e = e, .arena = arena, .c = c, .err = ERR_INIT };
	k->all = c->since.n < 2 || c->since.p[0] != CURSOR;
	if (!k->all)
		k->state = span_cut(c->since, 1, c->since.n);
	c->code = E_CANCELLED;
	c->text = NULL;
	c->full = c->complete = c->reset = c->keywords_r = false;
	c->items = NULL;
	c->gone = NULL;
	c->n = c->n_gone = 0;
	c->cursor = SPAN_NONE;
	c->flags_r = 0;
}

static enum code pages(struct look *looks, size_t n, struct ews *e, struct arena *arena, struct err *err)
{
	struct ews_call **calls = mem_calloc(n, sizeof(*calls));
	struct look **asked = mem_calloc(n, sizeof(*asked));
	enum code rc = E_OK;
	size_t active;

	do {
		active = 0;
		for (size_t i = 0; i < n; i++) {
			if (looks[i].done)
				continue;
			ask(&looks[i]);
			asked[active] = &looks[i];
			calls[active++] = &looks[i].call;
		}
		if (active > 0)
			rc = ews_run(e, arena, calls, active, err);
		for (size_t i = 0; i < active; i++) {
			if (rc == E_OK)
				on_answer(asked[i]);
			else
				ews_call_free(calls[i]);
		}
	} while (rc == E_OK && active > 0);
	mem_free(calls);
	mem_free(asked);
	return rc;
}

enum code ews_changes_verb(struct endpoint *ep, struct arena *arena, struct ep_changes *c, size_t n, struct err *err)
{
	struct ews *e = ep->impl;
	struct look *looks = mem_calloc(n, sizeof(*looks));

	for (size_t i = 0; i < n; i++)
		begin(&looks[i], e, arena, &c[i]);
	enum code rc = pages(looks, n, e, arena, err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		if (c[i].code == E_CANCELLED)
			rc = finish(&looks[i], err);
	mem_free(looks);
	return rc;
}
