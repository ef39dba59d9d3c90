/* dav_fetch.c - items with their bodies: multiget in batches, several at a time; GET for what a multiget
 * does not give (servers leave items out, and one bad character makes a whole answer unreadable).
 */
#include "dav.h"

#include "../../common/mem.h"

#define BATCH 50

/* One request, for items of one folder. */
struct get {
	struct dav *d;
	struct arena *arena;
	const struct ep_folder *folder;
	struct span url;
	struct ep_fetch *f[BATCH];
	size_t n;
	struct dav_call call;
	struct err err;
};

static enum code fill(struct get *g, struct ep_fetch *f, const struct dav_response *r)
{
	const struct dav_props *p = &r->props;
	enum dav_text which = g->folder->kind == EP_CONTACTS ? DAV_TEXT_CARD : DAV_TEXT_EVENT;
	struct span text = p->text[which];
	struct err err = ERR_INIT;

	if (r->status == 404 || r->status == 410) {
		f->code = E_ITEM_GONE;
		return E_OK;
	}
	if (r->too_big) {
		f->code = E_ITEM_TOO_BIG;
		return E_OK;
	}
	if (!p->has[which] || span_trim(text).n == 0 || f->body != NULL)
		return E_OK;                 /* GET will tell */
	f->body = body_new(g->d->ep->env.spool_dir, text.n);
	f->code = body_add(f->body, text.p, text.n, &err);
	if (f->code == E_OK)
		f->code = body_end(f->body, &err);
	f->version = arena_span(g->arena, dav_etag(p->text[DAV_TEXT_ETAG]));
	if (f->code != E_OK)
		f->text = arena_str(g->arena, span_of(err_text(&err)));
	return E_OK;
}

static enum code on_response(void *ctx, const struct dav_response *r, struct err *err)
{
	struct get *g = ctx;

	(void)err;
	arena_reset(g->d->scratch);
	struct span path = dav_path(g->d->scratch, g->url, r->href, NULL);
	struct span name = dav_item_name(g->d->scratch, g->folder->name, path);

	for (size_t i = 0; name.n > 0 && i < g->n; i++)
		if (g->f[i]->code == E_CANCELLED && span_eq(g->f[i]->id, name))
			return fill(g, g->f[i], r);
	return E_OK;
}

static void make_multiget(struct get *g)
{
	bool cards = g->folder->kind == EP_CONTACTS;
	const char *name = cards ? "A:addressbook-multiget" : "C:calendar-multiget";
	struct buf *b = &g->call.body;

	dav_call_init(&g->call, "REPORT", g->url.p);
	dav_call_header(&g->call, "Depth: 1");
	buf_printf(b, DAV_XML "<%s" DAV_XMLNS "><D:prop><D:getetag/>%s</D:prop>", name,
		   cards ? "<A:address-data/>" : "<C:calendar-data/>");
	for (size_t i = 0; i < g->n; i++)
		buf_printf(b, "<D:href>" SPAN_FMT "</D:href>",
			   SPAN_ARG(dav_item_path(g->arena, g->folder->name, g->f[i]->id)));
	buf_printf(b, "</%s>", name);
	dav_call_expect(&g->call, on_response, g);
}

/* --- GET --- */

static enum code on_piece(void *ctx, struct span piece, struct err *err)
{
	struct get *g = ctx;

	return body_add(g->f[0]->body, piece.p, piece.n, err);
}

static void make_get(struct get *g)
{
	struct ep_fetch *f = g->f[0];

	dav_call_init(&g->call, "GET", dav_url(g->d, g->arena, dav_side_of(g->folder->kind),
					       dav_item_path(g->arena, g->folder->name, f->id)));
	f->body = body_new(g->d->ep->env.spool_dir, 0);
	g->call.http.sink = on_piece;
	g->call.http.ctx = g;
	g->call.http.max_bytes = DAV_ITEM_MAX;
}

static enum code judge_get(struct get *g, struct err *err)
{
	struct ep_fetch *f = g->f[0];
	const struct dav_call *c = &g->call;

	if (c->code != E_OK || c->status < 200 || c->status >= 300) {
		enum code rc = dav_item_failure(c, "reading an item", err);

		return rc == E_ITEM_CHANGED ? err_set(err, E_ITEM_REFUSED, "%s", err->text) : rc;
	}
	f->version = dav_etag(c->http.etag);
	return body_end(f->body, err);
}

/* --- batches --- */

struct gets {
	struct dav *d;
	struct arena *arena;
	struct get *g;
	size_t n, cap;
};

static struct get *new_get(struct gets *all, const struct ep_folder *folder)
{
	if (all->n == all->cap) {
		all->cap = all->cap == 0 ? 16 : all->cap * 2;
		all->g = mem_realloc(all->g, all->cap, sizeof(*all->g));
	}
	struct get *g = &all->g[all->n++];
	*g = (struct get){ .d = all->d, .arena = all->arena, .folder = folder, .err = ERR_INIT };
	g->url = span_of(dav_url(all->d, all->arena, dav_side_of(folder->kind), folder->name));
	return g;
}

static struct get *open_get(struct gets *all, const struct ep_folder *folder)
{
	for (size_t i = all->n; i > 0; i--)
		if (all->g[i - 1].folder == folder)
			return all->g[i - 1].n < BATCH ? &all->g[i - 1] : new_get(all, folder);
	return new_get(all, folder);
}

static enum code run_all(struct gets *all, void (*build)(struct get *g), struct err *err)
{
	struct dav_call **calls = mem_calloc(all->n, sizeof(*calls));

	for (size_t i = 0; i < all->n; i++) {
		build(&all->g[i]);
		calls[i] = &all->g[i].call;
	}
	enum code rc = dav_run(all->d, all->arena, calls, all->n, err);
	mem_free(calls);
	return rc;
}

static void end_all(struct gets *all)
{
	for (size_t i = 0; i < all->n; i++)
		dav_call_free(&all->g[i].call);
	mem_free(all->g);
	*all = (struct gets){ .d = all->d, .arena = all->arena };
}

static enum code by_multiget(struct gets *all, struct ep_fetch *f, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct get *g;

		if (all->d->service[dav_side_of(f[i].folder->kind)].no_multiget)
			continue;
		g = open_get(all, f[i].folder);
		g->f[g->n++] = &f[i];
	}
	enum code rc = run_all(all, make_multiget, err);
	for (size_t i = 0; i < all->n; i++) {
		struct get *g = &all->g[i];

		/* the method or the report is unknown: do not ask again in this session */
		if (g->call.code == E_OK && (g->call.status == 405 || g->call.status == 501))
			all->d->service[dav_side_of(g->folder->kind)].no_multiget = true;
	}
	end_all(all);
	return rc;
}

static void drop_body(struct ep_fetch *f)
{
	if (f->body != NULL)
		body_free(&f->body);
	f->body = NULL;
}

static enum code by_get(struct gets *all, struct ep_fetch *f, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct get *g;

		if (f[i].code != E_CANCELLED)
			continue;
		g = new_get(all, f[i].folder);
		g->f[g->n++] = &f[i];
	}
	enum code rc = run_all(all, make_get, err);
	for (size_t i = 0; i < all->n; i++) {
		struct get *g = &all->g[i];
		struct err why = ERR_INIT;
		enum code own = g->call.code == E_CANCELLED ? E_CANCELLED : judge_get(g, &why);

		if (own != E_CANCELLED && dav_element(all->arena, own, &why, &g->f[0]->code, &g->f[0]->text) != E_OK &&
		    rc == E_OK) {
			rc = own;
			*err = why;
		}
		if (g->f[0]->code != E_OK)
			drop_body(g->f[0]);
	}
	end_all(all);
	return rc;
}

enum code dav_fetch_verb(struct endpoint *ep, struct arena *arena, struct ep_fetch *f, size_t n, struct err *err)
{
	struct gets all = { .d = ep->impl, .arena = arena };

	for (size_t i = 0; i < n; i++) {
		f[i].code = E_CANCELLED;
		f[i].text = NULL;
		f[i].body = NULL;
		f[i].flags = 0;
		f[i].keywords = NULL;
		f[i].received = INT64_MIN;
		f[i].key = f[i].version = SPAN_NONE;
	}
	enum code rc = by_multiget(&all, f, n, err);
	if (rc == E_OK)
		rc = by_get(&all, f, n, err);
	for (size_t i = 0; i < n; i++)
		if (f[i].code != E_OK)
			drop_body(&f[i]);
	return rc;
}
