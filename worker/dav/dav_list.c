/* dav_list.c - the collections of the homes as folders.
 *
 * Homes are flat. A collection with VEVENT is a calendar, also if it carries VTODO; one with VTODO alone is a
 * task list; other ones, inboxes, outboxes and subscriptions are left out. Display names need not be unique:
 * in the order of their paths the first keeps its name, further ones get the last segment of their path.
 */
#include "dav.h"

#include "../data/path.h"

#include <stdlib.h>

#define PROPS \
	"<D:resourcetype/><D:displayname/><I:calendar-color/><D:sync-token/><S:getctag/>" \
	"<C:supported-calendar-component-set/><C:schedule-default-calendar-URL/><C:max-resource-size/>" \
	"<A:max-resource-size/><A:supported-address-data/>"
#define ROOM ((size_t)64 << 10)
#define NAME_MAX_BYTES 1024

struct home {
	struct dav *d;
	struct dav_collections *all;
	enum dav_side side;
	struct span url, path;
	bool self;                       /* the home itself was in the answer */
	struct dav_call call;
};

static bool kind_of(enum dav_side side, const struct dav_props *p, enum ep_kind *kind_r)
{
	const uint32_t never = 1U << DAV_MARK_INBOX | 1U << DAV_MARK_OUTBOX | 1U << DAV_MARK_SUBSCRIBED |
			       1U << DAV_MARK_NOTIFY;

	if (p->marks & never)
		return false;
	if (side == DAV_CONTACTS) {
		*kind_r = EP_CONTACTS;
		return (p->marks & 1U << DAV_MARK_ADDRESSBOOK) != 0;
	}
	*kind_r = !p->has_comps || p->comps & DAV_VEVENT ? EP_EVENTS : EP_TASKS;
	return (p->marks & 1U << DAV_MARK_CALENDAR) && (*kind_r == EP_EVENTS || p->comps & DAV_VTODO);
}

static struct span mark_of(struct arena *arena, const struct dav_props *p)
{
	if (p->text[DAV_TEXT_TOKEN].n > 0)
		return span_of(arena_printf(arena, "T" SPAN_FMT, SPAN_ARG(p->text[DAV_TEXT_TOKEN])));
	if (p->text[DAV_TEXT_CTAG].n > 0)
		return span_of(arena_printf(arena, "C" SPAN_FMT, SPAN_ARG(p->text[DAV_TEXT_CTAG])));
	return SPAN_NONE;
}

static uint64_t max_of(const struct dav_props *p)
{
	uint64_t max = 0;

	if (!span_u64(p->text[DAV_TEXT_CAL_MAX], UINT64_MAX, &max))
		(void)span_u64(p->text[DAV_TEXT_CARD_MAX], UINT64_MAX, &max);
	return max;
}

static void note_service(struct dav_service *v, const struct dav_props *p)
{
	v->tasks_seen |= !p->has_comps || p->comps & DAV_VTODO;
	v->events_seen |= !p->has_comps || p->comps & DAV_VEVENT;
}

static enum code on_response(void *ctx, const struct dav_response *r, struct err *err)
{
	struct home *h = ctx;
	struct dav_collections *all = h->all;
	struct arena *arena = all->arena;
	const struct dav_props *p = &r->props;
	enum ep_kind kind;

	if (arena_left(arena) < ROOM + 2 * all->cap * sizeof(*all->c))
		return err_set(err, E_PROTOCOL, "the server lists too many collections");
	struct span path = dav_path(arena, h->url, r->href, NULL);
	bool self = path.n > 0 && span_eq(dav_as_collection(arena, path), h->path);
	if (r->status >= 300) {
		all->complete &= !self && (r->status == 403 || r->status == 404);
		return E_OK;
	}
	h->self |= self;
	if (p->n_href[DAV_HREF_DEFAULT] > 0)
		all->default_path = dav_path(arena, h->url, p->href[DAV_HREF_DEFAULT][0], NULL);
	if (!kind_of(h->side, p, &kind))
		return E_OK;
	if (path.n == 0 || path.n > NAME_MAX_BYTES) {
		all->complete = false;
		return E_OK;
	}
	note_service(&h->d->service[h->side], p);
	all->c = arena_grow(arena, all->c, all->n, sizeof(*all->c), &all->cap);
	all->c[all->n++] = (struct dav_collection){
		.kind = kind, .path = dav_as_collection(arena, path), .mark = mark_of(arena, p),
		.color = arena_span(arena, ep_color(p->text[DAV_TEXT_COLOR])),
		.display = arena_span(arena, p->text[DAV_TEXT_NAME]), .max_bytes = max_of(p), .cards = p->cards,
	};
	return E_OK;
}

static int by_path(const void *a, const void *b)
{
	const struct dav_collection *x = a, *y = b;

	return span_cmp(x->path, y->path);
}

/* Homes may overlap, and servers repeat themselves. */
static void sort_out(struct dav_collections *all)
{
	size_t n = 0;

	if (all->n > 1)
		qsort(all->c, all->n, sizeof(*all->c), by_path);
	for (size_t i = 0; i < all->n; i++) {
		if (n > 0 && span_eq(all->c[n - 1].path, all->c[i].path))
			continue;
		all->c[n] = all->c[i];
		all->c[n].is_default = all->default_path.n > 0 &&
			span_eq(dav_as_collection(all->arena, all->default_path), all->c[n].path);
		n++;
	}
	all->n = n;
}

static enum code judge_home(const struct home *h, struct err *err)
{
	const struct dav_call *c = &h->call;

	if (c->code != E_OK)
		return err_set(err, E_PROTOCOL, SPAN_FMT ": %s", SPAN_ARG(h->url), c->text);
	if (c->status == 404 || c->status == 410 || c->status == 403)
		return err_set(err, E_STORE_FAILED, SPAN_FMT ": the home cannot be listed (status %u)",
			       SPAN_ARG(h->url), c->status);
	if (c->status == 207 && c->multistatus && !h->self)
		return err_set(err, E_STORE_FAILED, SPAN_FMT ": the server does not show the home", SPAN_ARG(h->url));
	if (c->status != 207 || !c->multistatus)
		return err_set(err, E_SERVER, SPAN_FMT ": the home cannot be listed (status %u)", SPAN_ARG(h->url),
			       c->status);
	return E_OK;
}

enum code dav_collect(struct dav *d, struct arena *arena, struct dav_collections *all, struct err *err)
{
	struct home homes[DAV_SIDES * DAV_HREF_MAX];
	struct dav_call *calls[ARRAY_LEN(homes)];
	size_t n = 0;

	*all = (struct dav_collections){ .arena = arena, .complete = true };
	for (unsigned int side = 0; side < DAV_SIDES; side++) {
		const struct dav_service *v = &d->service[side];

		for (size_t i = 0; v->wanted && i < v->n_homes; i++) {
			const char *url = dav_url(d, arena, side, v->homes[i]);

			homes[n] = (struct home){ .d = d, .all = all, .side = side, .url = span_of(url),
						   .path = v->homes[i] };
			dav_call_propfind(&homes[n].call, url, v->single ? 0 : 1, PROPS, on_response, &homes[n]);
			calls[n] = &homes[n].call;
			n++;
		}
	}
	enum code rc = dav_run(d, arena, calls, n, err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = judge_home(&homes[i], err);
	for (size_t i = 0; i < n; i++)
		dav_call_free(&homes[i].call);
	if (rc == E_OK)
		sort_out(all);
	return rc;
}

/* --- as folders --- */

static bool taken(const struct ep_list *list, enum ep_kind kind, struct span path)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->folders[i].kind == kind && path_eq(list->folders[i].path, path))
			return true;
	return false;
}

static struct span unique_path(struct arena *arena, const struct ep_list *list, const struct dav_collection *c)
{
	struct span segment = dav_last_segment(arena, c->path);
	struct span path = dav_folder_path(arena, c->display.n > 0 ? c->display : segment);

	if (path.n == 0)
		path = dav_folder_path(arena, segment);
	if (path.n == 0)
		path = span_of(ep_kind_name(c->kind));
	struct span first = path;
	for (unsigned int i = 1; taken(list, c->kind, path); i++) {
		struct span more = path_encode_component(arena, segment);

		char *text = i == 1 ? arena_printf(arena, SPAN_FMT " (" SPAN_FMT ")", SPAN_ARG(first), SPAN_ARG(more))
				    : arena_printf(arena, SPAN_FMT " (" SPAN_FMT " %u)", SPAN_ARG(first),
						   SPAN_ARG(more), i);

		path = span_of(text);
	}
	return arena_span(arena, path);
}

void dav_make_list(struct arena *arena, const struct dav_collections *all, struct ep_list *list_r)
{
	*list_r = (struct ep_list){ .folders = arena_calloc(arena, all->n, sizeof(struct ep_folder)),
				    .complete = all->complete };
	for (size_t i = 0; i < all->n; i++) {
		const struct dav_collection *c = &all->c[i];
		struct span path = unique_path(arena, list_r, c), name = arena_span(arena, c->path);

		list_r->folders[list_r->n++] = (struct ep_folder){
			.kind = c->kind, .path = path, .name = name, .id = name, .id_stable = true, .selectable = true,
			.role = c->is_default && c->kind == EP_EVENTS ? EP_ROLE_CALENDAR : EP_ROLE_NONE,
			.mark = arena_span(arena, c->mark), .color = arena_span(arena, c->color), .count = UINT64_MAX,
		};
	}
}

enum code dav_list_verb(struct endpoint *ep, struct arena *arena, struct ep_list *list_r, struct err *err)
{
	struct dav *d = ep->impl;
	struct dav_collections all;
	enum code rc = E_OK;

	arena_reset(d->scratch);
	if (d->ahead.arena != NULL)
		all = d->ahead;
	else
		rc = dav_collect(d, d->scratch, &all, err);
	if (rc == E_OK)
		dav_make_list(arena, &all, list_r);
	arena_free(&d->ahead.arena);
	return rc;
}
