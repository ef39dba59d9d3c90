/* dav_changes.c - what changed in collections: sync-collection (RFC 6578), else all ETags.
 *
 * All folders go on together, a request each per round:
 *   DELTA  sync-collection since a token; refused in any way: ALL
 *   ALL    sync-collection without a token; refused with a limit: once more without; else ETAGS
 *   ETAGS  PROPFIND depth 1; the cursor of that says only that there was one
 * A page that the server cut (507 for the collection) is followed by the next. What one page says of an item
 * is overruled by a later one. A listing is complete if its last page was, nothing in it was an error, and
 * the server gave what the next call needs.
 */
#include "dav.h"

#include "../../common/mem.h"

#include <stdlib.h>

#define PAGE_ITEMS 5000U
#define PAGES_MAX 100000
#define ROOM ((size_t)1 << 20)
#define NAME_BYTES_MAX 1024
#define ITEM_PROPS "<D:getetag/><D:resourcetype/>"

static unsigned int page_items = PAGE_ITEMS;

void dav_set_page(unsigned int items)
{
	page_items = items > 0 ? items : PAGE_ITEMS;
}

enum way { DELTA, ALL, ETAGS, DONE };

/* What an answer said of one item. */
struct word {
	struct span id, version;
	size_t at;                       /* order of saying */
	bool gone;
};

struct look {
	struct dav *d;
	struct arena *arena;
	struct ep_changes *c;
	enum way way;
	bool limit, cut, odd;            /* cut: this page goes on; odd: an item was an error */
	bool self, lost;                 /* the collection itself was in the answer; something was not there */
	size_t pages;
	struct span url, token;          /* token: of the next request */
	struct word *words;
	size_t n, cap, known;            /* known: words of pages that were read to their end */
	struct dav_call call;
};

/* --- answers --- */

static enum code say(struct look *k, struct span name, struct span version, bool gone, struct err *err)
{
	if (arena_left(k->arena) < ROOM + 3 * k->cap * sizeof(*k->words) + name.n + version.n)
		return err_set(err, E_INCOMPLETE, "the folder has more items than there is room for");
	k->words = arena_grow(k->arena, k->words, k->n, sizeof(*k->words), &k->cap);
	k->words[k->n] = (struct word){ arena_span(k->arena, name), arena_span(k->arena, version), k->n, gone };
	k->n++;
	return E_OK;
}

static enum code on_collection(struct look *k, const struct dav_response *r)
{
	if (r->status == 507)
		k->cut = true;
	else if (r->status >= 300)
		k->odd = true;
	k->self |= r->status < 300;
	k->lost |= r->status == 404 || r->status == 410;
	return E_OK;
}

static enum code on_response(void *ctx, const struct dav_response *r, struct err *err)
{
	struct look *k = ctx;
	struct span path;

	arena_reset(k->d->scratch);
	path = dav_path(k->d->scratch, k->url, r->href, NULL);
	if (path.n > 0 && span_eq(dav_as_collection(k->d->scratch, path), k->c->folder->name))
		return on_collection(k, r);
	struct span name = dav_item_name(k->d->scratch, k->c->folder->name, path);
	if (name.n == 0 || r->props.marks & 1U << DAV_MARK_COLLECTION) {
		k->lost |= r->status == 404 || r->status == 410;
		return E_OK;
	}
	if (name.n > NAME_BYTES_MAX) {
		k->odd = true;
		return E_OK;
	}
	if (r->status == 404 || r->status == 410)
		return say(k, name, SPAN_NONE, true, err);
	/* it is there, whatever else is wrong with it */
	k->odd |= r->status >= 300;
	return say(k, name, dav_etag(r->props.text[DAV_TEXT_ETAG]), false, err);
}

/* --- requests --- */

static void ask_sync(struct look *k)
{
	struct buf *b = &k->call.body;

	dav_call_init(&k->call, "REPORT", k->url.p);
	dav_call_header(&k->call, "Depth: 0");       /* RFC 6578 3.2: the scope is in sync-level */
	buf_add_str(b, DAV_XML "<D:sync-collection" DAV_XMLNS "><D:sync-token>");
	dav_xml_text(b, k->token);
	buf_add_str(b, "</D:sync-token><D:sync-level>1</D:sync-level>");
	if (k->limit)
		buf_printf(b, "<D:limit><D:nresults>%u</D:nresults></D:limit>", page_items);
	buf_add_str(b, "<D:prop>" ITEM_PROPS "</D:prop></D:sync-collection>");
	dav_call_expect(&k->call, on_response, k);
}

static void ask(struct look *k)
{
	k->cut = k->self = k->lost = false;
	if (k->way == ETAGS)
		dav_call_propfind(&k->call, k->url.p, 1, ITEM_PROPS, on_response, k);
	else
		ask_sync(k);
}

/* Begin from nothing in this way. */
static void restart(struct look *k, enum way way)
{
	k->way = way;
	k->n = k->known = k->pages = 0;
	k->odd = false;
	k->token = k->c->cursor = SPAN_NONE;
}

static void give_up(struct look *k, enum code rc, const char *text)
{
	k->way = DONE;
	k->c->code = rc;
	k->c->text = text;
	k->n = k->known;
}

/* --- what to make of it --- */

static int by_id(const void *a, const void *b)
{
	const struct word *x = a, *y = b;
	int order = span_cmp(x->id, y->id);

	return order != 0 ? order : x->at < y->at ? -1 : x->at > y->at;
}

static void finish(struct look *k, bool full)
{
	struct ep_changes *c = k->c;
	struct word *w = k->words;

	if (k->n > 1)
		qsort(w, k->n, sizeof(*w), by_id);
	c->items = arena_calloc(k->arena, k->n, sizeof(*c->items));
	c->gone = arena_calloc(k->arena, full ? 0 : k->n, sizeof(*c->gone));
	for (size_t i = 0; i < k->n; i++) {
		if (i + 1 < k->n && span_eq(w[i].id, w[i + 1].id))
			continue;            /* a later word overrules it */
		if (!w[i].gone)
			c->items[c->n++] = (struct ep_item){ .id = w[i].id, .version = w[i].version };
		else if (!full)
			c->gone[c->n_gone++] = w[i].id;
	}
	c->full = full;
	c->complete = !k->odd && !k->cut && c->cursor.n > 0;
	c->code = E_OK;
	k->way = DONE;
}

static bool refused(const struct look *k)
{
	return k->call.code != E_OK || k->call.status != 207 || !k->call.multistatus;
}

/* Another way, or the end. */
static void on_refusal(struct look *k)
{
	const struct dav_call *c = &k->call;

	if (c->code == E_OK && (c->status == 404 || c->status == 410)) {
		give_up(k, E_FOLDER_GONE, "the collection is not there any more");
		return;
	}
	switch (k->way) {
	case DELTA:
		restart(k, ALL);
		return;
	case ALL:
		if (!k->limit)
			restart(k, ETAGS);
		else
			restart(k, ALL);
		k->limit = false;
		return;
	case ETAGS:
	case DONE:
		break;
	}
	give_up(k, c->code == E_OK && c->status == 403 ? E_FOLDER_REFUSED : E_INCOMPLETE, dav_status_text(k->arena, c));
}

static void on_sync(struct look *k)
{
	bool full = k->way == ALL, stuck = k->cut && span_eq(k->call.token, k->token);

	if (k->call.token.n == 0 || stuck || k->pages++ > PAGES_MAX) {
		restart(k, ETAGS);
		return;
	}
	if (k->limit && !k->cut && k->n - k->known >= page_items) {
		/* a whole page that claims to be the last one: do not trust this server with limits */
		k->limit = false;
		restart(k, ALL);
		return;
	}
	k->known = k->n;
	k->token = k->call.token;
	k->c->cursor = span_of(arena_printf(k->arena, "T" SPAN_FMT, SPAN_ARG(k->token)));
	if (!k->cut)
		finish(k, full);
}

static void on_answer(struct look *k)
{
	if (refused(k)) {
		k->n = k->known;
		on_refusal(k);
	} else if (k->way == ETAGS && !k->self) {
		/* Xandikos: a 207 with a 404 in it. An answer without the collection says nothing about it */
		give_up(k, k->lost ? E_FOLDER_GONE : E_INCOMPLETE, "the server does not show the collection itself");
	} else if (k->way == ETAGS) {
		k->c->cursor = SPAN_LIT("C");
		finish(k, true);
	} else {
		on_sync(k);
	}
	dav_call_free(&k->call);
}

static void begin(struct look *k, struct dav *d, struct arena *arena, struct ep_changes *c)
{
	const struct ep_folder *f = c->folder;

	*k = (struct look){ .d = d, .arena = arena, .c = c, .limit = true };
	k->url = span_of(dav_url(d, arena, dav_side_of(f->kind), f->name));
	/* a server with CTags and without tokens knows no sync-collection */
	k->way = c->since.n > 1 && c->since.p[0] == 'T' ? DELTA : f->mark.n > 0 && f->mark.p[0] == 'C' ? ETAGS : ALL;
	if (k->way == DELTA)
		k->token = span_cut(c->since, 1, c->since.n);
	c->code = E_CANCELLED;
	c->text = NULL;
	c->full = c->complete = c->reset = c->keywords_r = false;
	c->items = NULL;
	c->gone = NULL;
	c->n = c->n_gone = 0;
	c->cursor = SPAN_NONE;
	c->flags_r = 0;
}

enum code dav_changes_verb(struct endpoint *ep, struct arena *arena, struct ep_changes *c, size_t n, struct err *err)
{
	struct dav *d = ep->impl;
	struct look *looks = mem_calloc(n, sizeof(*looks));
	struct dav_call **calls = mem_calloc(n, sizeof(*calls));
	struct look **asked = mem_calloc(n, sizeof(*asked));
	enum code rc = E_OK;
	size_t active;

	for (size_t i = 0; i < n; i++)
		begin(&looks[i], d, arena, &c[i]);
	do {
		active = 0;
		for (size_t i = 0; i < n; i++) {
			if (looks[i].way == DONE)
				continue;
			ask(&looks[i]);
			asked[active] = &looks[i];
			calls[active++] = &looks[i].call;
		}
		if (active > 0)
			rc = dav_run(d, arena, calls, active, err);
		for (size_t i = 0; i < active; i++) {
			if (rc == E_OK)
				on_answer(asked[i]);
			else
				dav_call_free(calls[i]);
		}
	} while (rc == E_OK && active > 0);
	mem_free(looks);
	mem_free(calls);
	mem_free(asked);
	return rc;
}
