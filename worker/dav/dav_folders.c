/* dav_folders.c - collections made, renamed, removed.
 *
 * A new collection gets a path made from its name; the folder's path is its display name. Renaming changes the
 * display name alone. A collection is removed only if a look just before found nothing in it.
 */
#include "dav.h"

#include "../data/path.h"

#define ATTEMPTS 4
#define SEGMENT_MAX 48

static const struct ep_folder *find(const struct ep_list *list, enum ep_kind kind, struct span path)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->folders[i].kind == kind && path_eq(list->folders[i].path, path))
			return &list->folders[i];
	return NULL;
}

static enum code failed(struct arena *arena, const struct dav_call *c, const char *what, struct err *err)
{
	enum code rc = c->code == E_OK && (c->status == 404 || c->status == 410) ? E_FOLDER_GONE
		     : c->code == E_OK && c->status == 507 ? E_QUOTA : E_FOLDER_REFUSED;

	return err_set(err, rc, "%s: %s", what, dav_status_text(arena, c));
}

static bool good(const struct dav_call *c)
{
	return c->code == E_OK && c->status >= 200 && c->status < 300;
}

/* --- create --- */

static struct span new_segment(struct arena *arena, struct span name, unsigned int attempt)
{
	char *out = arena_raw(arena, SEGMENT_MAX + 1), *to = out;

	for (size_t i = 0; i < name.n && to - out < SEGMENT_MAX; i++) {
		char c = name.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (letter || (c >= 'A' && c <= 'Z'))
			*to++ = letter ? c : (char)(c - 'A' + 'a');
		else if (to > out && to[-1] != '-')
			*to++ = '-';
	}
	while (to > out && to[-1] == '-')
		to--;
	*to = '\0';
	if (attempt == 0 && to - out >= 2)
		return span_of(out);
	struct span digest = dav_new_name(arena, name, 1, "");
	return attempt < 2 ? digest : span_of(arena_printf(arena, SPAN_FMT "-%u", SPAN_ARG(digest), attempt));
}

/* `comps`: of a calendar, as elements. extended: MKCOL of RFC 5689, else MKCALENDAR. */
static void make_request(struct dav_call *c, const char *url, const struct ep_folder_op *op, struct span name,
			 const char *comps, bool extended, bool colored)
{
	enum ep_kind kind = op->item_kind;
	struct buf *b = &c->body;

	dav_call_init(c, extended ? "MKCOL" : "MKCALENDAR", url);
	c->http.type = "application/xml; charset=utf-8";
	buf_printf(b, DAV_XML "<%s" DAV_XMLNS "><D:set><D:prop>", extended ? "D:mkcol" : "C:mkcalendar");
	if (extended)
		buf_printf(b, "<D:resourcetype><D:collection/><%s/></D:resourcetype>",
			   kind == EP_CONTACTS ? "A:addressbook" : "C:calendar");
	buf_add_str(b, "<D:displayname>");
	dav_xml_text(b, name);
	buf_add_str(b, "</D:displayname>");
	if (colored)
		buf_printf(b, "<I:calendar-color>" SPAN_FMT "</I:calendar-color>", SPAN_ARG(op->color));
	if (kind != EP_CONTACTS)
		buf_printf(b, "<C:supported-calendar-component-set>%s</C:supported-calendar-component-set>", comps);
	buf_printf(b, "</D:prop></D:set></%s>", extended ? "D:mkcol" : "C:mkcalendar");
}

#define VEVENT "<C:comp name=\"VEVENT\"/>"
#define VTODO "<C:comp name=\"VTODO\"/>"

/* One way after another until the server takes one. */
static const struct way {
	bool extended;
	const char *comps[EP_KINDS];
} ways[] = {
	{ false, { [EP_EVENTS] = VEVENT VTODO, [EP_TASKS] = VTODO } },
	{ false, { [EP_EVENTS] = VEVENT } },
	{ true, { [EP_EVENTS] = VEVENT VTODO, [EP_TASKS] = VTODO, [EP_CONTACTS] = "" } },
	{ true, { [EP_EVENTS] = VEVENT } },
};

static enum code create_at(struct dav *d, struct arena *arena, struct ep_folder_op *op, struct span place,
			   struct span name, bool *taken_r, struct err *err)
{
	enum code why = E_UNSUPPORTED;

	*taken_r = false;
	/* a second time without the colour, for a server that does not like it */
	for (size_t n = op->color.n > 0 ? 0 : ARRAY_LEN(ways); n < 2 * ARRAY_LEN(ways); n++) {
		size_t i = n % ARRAY_LEN(ways);
		struct dav_call c;

		if (ways[i].comps[op->item_kind] == NULL)
			continue;
		make_request(&c, dav_url(d, arena, dav_side_of(op->item_kind), place), op, name,
			     ways[i].comps[op->item_kind], ways[i].extended, n < ARRAY_LEN(ways));
		enum code rc = dav_run_one(d, arena, &c, err);
		bool made = rc == E_OK && good(&c);

		*taken_r = rc == E_OK && (span_eq_str(c.precondition, "resource-must-be-null") || c.status == 409 ||
					  (c.status == 405 && ways[i].extended));
		if (rc == E_OK && !made)
			why = failed(arena, &c, "making a folder", err);
		dav_call_free(&c);
		if (rc != E_OK || made || *taken_r)
			return rc != E_OK ? rc : made ? E_OK : why;
	}
	return why;
}

/* What was made is what a listing shows. Xandikos makes a calendar of a task list: that would be made again and
 * again, so what is not what was asked for goes, empty as it is. */
static enum code confirm(struct dav *d, struct arena *arena, struct ep_folder_op *op, struct span place,
			 struct err *err)
{
	struct ep_list list;
	struct dav_call c;
	enum code rc = dav_list_verb(d->ep, arena, &list, err);

	for (size_t i = 0; rc == E_OK && i < list.n; i++) {
		if (!span_eq(list.folders[i].id, place))
			continue;
		op->folder_r = list.folders[i];
		if (list.folders[i].kind == op->item_kind && path_eq(list.folders[i].path, op->path))
			return E_OK;
	}
	if (rc != E_OK)
		return rc;
	dav_call_init(&c, "DELETE", dav_url(d, arena, dav_side_of(op->item_kind), place));
	rc = dav_run_one(d, arena, &c, err);
	dav_call_free(&c);
	if (rc != E_OK)
		return rc;
	return err_set(err, E_FOLDER_REFUSED, "the server does not make folders for %s of that name",
		       ep_kind_name(op->item_kind));
}

static enum code create(struct dav *d, struct arena *arena, const struct ep_list *list, struct ep_folder_op *op,
			struct err *err)
{
	const struct dav_service *v = &d->service[dav_side_of(op->item_kind)];
	const struct ep_folder *there = find(list, op->item_kind, op->path);
	struct span name = dav_display_name(arena, op->path);
	enum code rc = E_OK;
	bool taken = true;

	if (there != NULL) {
		op->folder_r = *there;
		return err_set(err, E_FOLDER_EXISTS, "a folder of that name is there already");
	}
	if (op->item_kind == EP_MAIL || !v->wanted || v->single || v->n_homes == 0)
		return err_set(err, E_UNSUPPORTED, "this endpoint has no home in which to make a folder for %s",
			       ep_kind_name(op->item_kind));
	if (name.n == 0)
		return err_set(err, E_FOLDER_NAME, "the name cannot be a display name");
	for (unsigned int i = 0; taken && i < ATTEMPTS; i++) {
		struct span place = dav_item_path(arena, v->homes[0], new_segment(arena, name, i));

		place = dav_as_collection(arena, place);
		rc = create_at(d, arena, op, place, name, &taken, err);
		if (rc == E_OK)
			rc = confirm(d, arena, op, place, err);
	}
	return rc;
}

/* --- rename --- */

static enum code on_patched(void *ctx, const struct dav_response *r, struct err *err)
{
	unsigned int *status = ctx;

	(void)err;
	if (r->status >= 300 || r->prop_status >= 300)
		*status = r->status >= 300 ? r->status : r->prop_status;
	return E_OK;
}

static enum code rename_one(struct dav *d, struct arena *arena, const struct ep_list *list, struct ep_folder_op *op,
			    struct err *err)
{
	const struct ep_folder *f = op->folder, *there = find(list, f->kind, op->path);
	struct span name = dav_display_name(arena, op->path);
	unsigned int inner = 0;
	struct dav_call c;

	if (there != NULL && !span_eq(there->id, f->id))
		return err_set(err, E_FOLDER_EXISTS, "a folder of that name is there already");
	if (name.n == 0)
		return err_set(err, E_FOLDER_NAME, "the name cannot be a display name");
	dav_call_init(&c, "PROPPATCH", dav_url(d, arena, dav_side_of(f->kind), f->name));
	buf_add_str(&c.body, DAV_XML "<D:propertyupdate" DAV_XMLNS "><D:set><D:prop><D:displayname>");
	dav_xml_text(&c.body, name);
	buf_add_str(&c.body, "</D:displayname></D:prop></D:set></D:propertyupdate>");
	dav_call_expect(&c, on_patched, &inner);
	enum code rc = dav_run_one(d, arena, &c, err);
	if (rc == E_OK && inner >= 300)
		c.status = inner;
	if (rc == E_OK && !good(&c))
		rc = failed(arena, &c, "renaming a folder", err);
	dav_call_free(&c);
	if (rc == E_OK) {
		op->folder_r = *f;
		op->folder_r.path = arena_span(arena, op->path);
		op->folder_r.mark = SPAN_NONE;
	}
	return rc;
}

/* --- remove --- */

struct inside {
	struct dav *d;
	struct span url, self;
	size_t n;
	bool shown, lost;                /* the collection itself is there; something is not */
};

static enum code on_inside(void *ctx, const struct dav_response *r, struct err *err)
{
	struct inside *in = ctx;

	(void)err;
	arena_reset(in->d->scratch);
	struct span path = dav_path(in->d->scratch, in->url, r->href, NULL);
	bool self = path.n > 0 && span_eq(dav_as_collection(in->d->scratch, path), in->self);

	in->lost |= r->status == 404 || r->status == 410;
	in->shown |= self && r->status < 300;
	in->n += !self;
	return E_OK;
}

static enum code remove_one(struct dav *d, struct arena *arena, struct ep_folder_op *op, struct err *err)
{
	const struct ep_folder *f = op->folder;
	const char *url = dav_url(d, arena, dav_side_of(f->kind), f->name);
	struct inside in = { .d = d, .url = span_of(url), .self = f->name };
	struct dav_call c;

	dav_call_propfind(&c, url, 1, "<D:getetag/>", on_inside, &in);
	enum code rc = dav_run_one(d, arena, &c, err);
	if (rc == E_OK && (c.code != E_OK || c.status != 207 || !c.multistatus))
		rc = failed(arena, &c, "looking into a folder", err);
	dav_call_free(&c);
	if (rc == E_OK && !in.shown)
		rc = err_set(err, in.lost ? E_FOLDER_GONE : E_FOLDER_REFUSED, "the server does not show the folder");
	if (rc == E_OK && in.n > 0)
		rc = err_set(err, E_FOLDER_REFUSED, "the folder still holds %zu items", in.n);
	if (rc != E_OK)
		return rc;
	dav_call_init(&c, "DELETE", url);
	dav_call_header(&c, "Scheduling-Enabled: F");
	dav_call_header(&c, "Schedule-Reply: F");
	rc = dav_run_one(d, arena, &c, err);
	if (rc == E_OK && !good(&c))
		rc = failed(arena, &c, "removing a folder", err);
	dav_call_free(&c);
	return rc;
}

enum code dav_folders_verb(struct endpoint *ep, struct arena *arena, struct ep_folder_op *ops, size_t n,
			   struct err *err)
{
	struct dav *d = ep->impl;
	struct ep_list list;
	enum code rc = n > 0 ? dav_list_verb(ep, arena, &list, err) : E_OK;

	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct err why = ERR_INIT;
		enum code own;

		if (ops[i].kind == EP_FOLDER_CREATE)
			own = create(d, arena, &list, &ops[i], &why);
		else
			own = ops[i].kind == EP_FOLDER_RENAME ? rename_one(d, arena, &list, &ops[i], &why)
							      : remove_one(d, arena, &ops[i], &why);
		if (own == E_UNSUPPORTED)
			own = E_FOLDER_REFUSED;
		rc = dav_element(arena, own, &why, &ops[i].code, &ops[i].text);
		if (rc != E_OK)
			*err = why;
		if (rc == E_OK && own == E_OK && i + 1 < n)
			rc = dav_list_verb(ep, arena, &list, err);
	}
	return rc;
}
