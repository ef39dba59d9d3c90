/* ews_list.c - all folders of the mailbox with their marks, in one request of up to 1,000 folders.
 *
 * A mark is when anything in the folder last changed, how many items were ever deleted from it, and its counts:
 * a new, changed or removed item changes one of them. The time is told in seconds: a folder that changed of late may
 * do so again without another mark, and has none yet. Nor has one of a server that does not tell the time.
 * SyncFolderHierarchy with its state would tell of names only, not of what is in a folder. Hidden folders, search
 * folders and the outbox (what is in it may be sent) are left out, and what is below them; so are folders of classes
 * that nobody syncs.
 */
#include "ews_tree.h"

#include "../../common/clock.h"
#include "../../common/mem.h"
#include "../data/path.h"

#include <stdlib.h>

#define QUIET_S 600              /* more than clocks may differ */
#define PAGE 1000
#define PAGES_MAX 100
#define DEPTH_MAX 100
#define ROOM ((size_t)1 << 20)

struct listing {
	struct ews *e;
	struct arena *arena;
	struct ews_node *nodes;
	size_t n, cap;
	struct err err;
	enum code code;
	bool last;
	uint64_t total;                  /* as the last page told it; UINT64_MAX: not */
};

static struct span take(struct listing *l, const struct ews_object *o, const char *path)
{
	return arena_span(l->arena, ews_text(o, path));
}

static struct span mark_of(struct listing *l, const struct ews_object *o)
{
	struct span when = ews_ext(o, &ews_commit_time);
	int64_t changed_s;

	if (!ews_read_time(when, &changed_s, NULL) || changed_s + QUIET_S > clock_wall_s())
		return SPAN_NONE;
	return span_of(arena_printf(l->arena, SPAN_FMT " " SPAN_FMT " " SPAN_FMT " " SPAN_FMT, SPAN_ARG(when),
				    SPAN_ARG(ews_ext(o, &ews_deleted_count)), SPAN_ARG(ews_text(o, "TotalCount")),
				    SPAN_ARG(ews_text(o, "UnreadCount"))));
}

static enum code on_folder(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct listing *l = ctx;
	struct ews_node n = { .count = UINT64_MAX };

	(void)message;
	if (arena_left(l->arena) < ROOM + 4 * l->cap * sizeof(n))
		return err_set(err, E_INCOMPLETE, "the mailbox has more folders than there is room for");
	n.id = take(l, o, "FolderId@Id");
	n.parent = take(l, o, "ParentFolderId@Id");
	n.name = take(l, o, "DisplayName");
	n.class = take(l, o, "FolderClass");
	n.search = span_eq_str(o->name, "SearchFolder");
	n.hidden = ews_true(ews_ext(o, &ews_hidden));
	if (!span_u64(ews_text(o, "TotalCount"), UINT64_MAX - 1, &n.count))
		n.count = UINT64_MAX;
	n.mark = mark_of(l, o);
	if (n.id.n == 0 || n.name.n == 0)
		return err_set(err, E_PROTOCOL, "the server listed a folder without an id or name");
	l->nodes = arena_grow(l->arena, l->nodes, l->n, sizeof(n), &l->cap);
	l->nodes[l->n++] = n;
	return E_OK;
}

static enum code on_end(void *ctx, size_t message, const struct ews_object *m, struct err *err)
{
	struct listing *l = ctx;

	(void)message;
	(void)err;
	l->code = ews_outcome(m, "listing the folders", &l->err);
	l->last = ews_true(ews_text(m, "RootFolder@IncludesLastItemInRange"));
	if (!span_u64(ews_text(m, "RootFolder@TotalItemsInView"), UINT64_MAX - 1, &l->total))
		l->total = UINT64_MAX;
	return E_OK;
}

static enum code one_page(struct listing *l, struct err *err)
{
	static const struct ews_handler handler = { on_folder, on_end, NULL };
	struct ews_call c;
	struct buf *b = &c.body;

	ews_call_init(l->e, &c, &handler, l);
	buf_add_str(b, "<m:FindFolder Traversal=\"Deep\"><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape>"
		    "<t:AdditionalProperties>");
	ews_field(b, "folder:DisplayName");
	ews_field(b, "folder:ParentFolderId");
	ews_field(b, "folder:FolderClass");
	ews_field(b, "folder:TotalCount");
	ews_field(b, "folder:UnreadCount");
	ews_prop_uri(b, &ews_hidden);
	ews_prop_uri(b, &ews_commit_time);
	ews_prop_uri(b, &ews_deleted_count);
	buf_printf(b, "</t:AdditionalProperties></m:FolderShape><m:IndexedPageFolderView MaxEntriesReturned=\"%d\" "
		   "Offset=\"%zu\" BasePoint=\"Beginning\"/><m:ParentFolderIds>", PAGE, l->n);
	ews_place_id(l->e, b, EWS_ROOT);
	buf_add_str(b, "</m:ParentFolderIds></m:FindFolder>");
	l->code = E_PROTOCOL;
	enum code rc = ews_run_one(l->e, l->arena, &c, err);
	ews_call_free(&c);
	if (rc == E_OK && l->code != E_OK) {
		rc = l->code;
		if (err != NULL)
			*err = l->err;
		if (rc == E_PROTOCOL)
			err_set(err, rc, "the server's list of folders has no answer in it");
	}
	return rc;
}

enum code ews_tree(struct ews *e, struct arena *arena, struct ews_node **nodes_r, size_t *n_r, bool *complete_r,
		   struct err *err)
{
	struct listing l = { .e = e, .arena = arena, .err = ERR_INIT };
	enum code rc = E_OK;

	for (unsigned int page = 0; rc == E_OK && !l.last && page < PAGES_MAX; page++) {
		size_t before = l.n;

		rc = one_page(&l, err);
		if (rc == E_OK && !l.last && l.n == before)
			break;
	}
	*nodes_r = l.nodes;
	*n_r = l.n;
	*complete_r = rc == E_OK && l.last && (l.total == UINT64_MAX || l.total == l.n);
	return rc;
}

/* --- what to make of it --- */

static int by_id(const void *a, const void *b)
{
	const struct ews_node *x = *(const struct ews_node *const *)a, *y = *(const struct ews_node *const *)b;

	return span_cmp(x->id, y->id);
}

static struct ews_node *find(struct ews_node **sorted, size_t n, struct span id)
{
	struct ews_node key = { .id = id }, *pkey = &key;
	struct ews_node **hit = n > 0 ? bsearch(&pkey, sorted, n, sizeof(struct ews_node *), by_id) : NULL;

	return hit != NULL ? *hit : NULL;
}

/* The role of a folder by its id. */
static enum ep_role role_of(const struct ews *e, struct span id)
{
	static const enum ep_role roles[] = {
#define X(id, text, role) role,
		EWS_PLACE_LIST(X)
#undef X
	};

	for (size_t i = 0; i < EWS_PLACES; i++)
		if (span_eq(e->place[i], id))
			return roles[i];
	return EP_ROLE_NONE;
}

bool ews_kind_of(struct span class, enum ep_kind *kind_r)
{
	static const struct { const char *class; enum ep_kind kind; bool below; } known[] = {
		{ "IPF.Note", EP_MAIL, true }, { "IPF.Appointment", EP_EVENTS, true },
		{ "IPF.Contact", EP_CONTACTS, false }, { "IPF.Task", EP_TASKS, false }, { "IPF.Imap", EP_MAIL, false },
	};

	*kind_r = EP_MAIL;
	if (class.n == 0 || span_eq_nocase_str(class, "IPF"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		size_t n = strlen(known[i].class);

		*kind_r = known[i].kind;
		if (span_eq_nocase_str(class, known[i].class) ||
		    (known[i].below && class.n > n && class.p[n] == '.' && span_starts_nocase(class, known[i].class)))
			return true;
	}
	return false;
}

struct maker {
	struct ews *e;
	struct arena *arena;
	struct ews_node **sorted;
	size_t n;
	bool broken;                     /* a parent is missing, or a circle */
};

/* Fill path and `seen` of the node and those above it. */
static void place(struct maker *k, struct ews_node *n, unsigned int depth)
{
	struct ews_node *up;
	bool top = span_eq(n->parent, k->e->place[EWS_ROOT]);

	if (n->placed)
		return;
	if (depth > DEPTH_MAX || n->id.n == 0) {
		k->broken = true;
		return;
	}
	up = top ? NULL : find(k->sorted, k->n, n->parent);
	if (!top && up == NULL) {
		k->broken = n->placed = n->left_out = true;
		return;
	}
	if (up != NULL)
		place(k, up, depth + 1);
	n->role = role_of(k->e, n->id);
	n->left_out = n->hidden || n->search || span_eq(n->id, k->e->place[EWS_OUTBOX]) || (up != NULL && up->left_out);
	if (top && n->role == EP_ROLE_INBOX)
		n->path = SPAN_LIT("INBOX");
	else
		n->path = path_join(k->arena, up != NULL ? up->path : SPAN_NONE,
				    path_encode_component(k->arena, n->name));
	n->placed = true;
}

static void add_folder(struct ep_list *list, const struct ews_node *n)
{
	enum ep_kind kind;
	struct ep_folder *f;

	if (n->left_out || !ews_kind_of(n->class, &kind))
		return;
	f = &list->folders[list->n++];
	*f = (struct ep_folder){
		.kind = kind, .role = n->role, .path = n->path, .name = n->id, .id = n->id, .id_stable = true,
		.selectable = true, .mark = n->mark, .count = n->count,
		.flags = kind == EP_MAIL ? EP_FLAGS_ALL : 0, .keywords = kind == EP_MAIL,
	};
}

enum code ews_list_verb(struct endpoint *ep, struct arena *arena, struct ep_list *list_r, struct err *err)
{
	struct ews *e = ep->impl;
	struct maker k = { .e = e, .arena = arena };
	struct ews_node *nodes;
	bool complete;

	*list_r = (struct ep_list){ 0 };
	enum code rc = ews_tree(e, arena, &nodes, &k.n, &complete, err);
	if (rc != E_OK)
		return rc;
	k.sorted = arena_calloc(arena, k.n, sizeof(struct ews_node *));
	for (size_t i = 0; i < k.n; i++)
		k.sorted[i] = &nodes[i];
	if (k.n > 0)
		qsort(k.sorted, k.n, sizeof(struct ews_node *), by_id);
	list_r->folders = arena_calloc(arena, k.n, sizeof(*list_r->folders));
	for (size_t i = 0; i < k.n; i++) {
		if (i > 0 && span_eq(k.sorted[i]->id, k.sorted[i - 1]->id)) {
			k.broken = true;     /* a page shifted under us */
			continue;
		}
		place(&k, k.sorted[i], 0);
		add_folder(list_r, k.sorted[i]);
	}
	list_r->complete = complete && !k.broken;
	return E_OK;
}
