/* ews_folders.c - folders made, renamed, moved, removed.
 *
 * A folder is removed only if a look just before found nothing in it, and then for good: it is empty.
 */
#include "ews_tree.h"

#include "../data/path.h"

struct answer {
	struct ews_ask ask;          /* first; a folder made twice is refused, as if it were a stranger's */
	struct span id;
	uint64_t items, folders;
	bool counted;
};

static void take_folder(struct ews_ask *ask, const struct ews_object *o)
{
	struct answer *a = (struct answer *)ask;

	a->id = arena_span(ask->arena, ews_text(o, "FolderId@Id"));
	a->counted = span_u64(ews_text(o, "TotalCount"), UINT64_MAX, &a->items) &&
		     span_u64(ews_text(o, "ChildFolderCount"), UINT64_MAX, &a->folders);
}

/* Where to print the request. */
static struct buf *prepare(struct ews *e, struct arena *arena, struct answer *a, const char *what)
{
	*a = (struct answer){ .id = SPAN_NONE };
	ews_ask_begin(e, arena, &a->ask, what, take_folder);
	return &a->ask.call.body;
}

static enum code run(struct ews *e, struct answer *a, struct err *err)
{
	enum code rc = ews_ask_end(e, &a->ask, err);

	if (a->ask.code != rc || (rc != E_ITEM_REFUSED && rc != E_ITEM_GONE))
		return rc;
	err->code = E_FOLDER_REFUSED;
	return E_FOLDER_REFUSED;
}

static const struct ep_folder *find(const struct ep_list *list, enum ep_kind kind, struct span path)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->folders[i].kind == kind && path_eq(list->folders[i].path, path))
			return &list->folders[i];
	return NULL;
}

/* A folder of any kind: names are unique below a parent. */
static const struct ep_folder *find_any(const struct ep_list *list, struct span path)
{
	for (size_t i = 0; i < list->n; i++)
		if (path_eq(list->folders[i].path, path))
			return &list->folders[i];
	return NULL;
}

static void print_parent(struct ews *e, struct buf *b, const struct ep_folder *parent)
{
	if (parent != NULL)
		ews_folder_id(b, parent);
	else
		ews_place_id(e, b, EWS_ROOT);
}

static enum code make_one(struct ews *e, struct arena *arena, enum ep_kind kind, const struct ep_folder *parent,
			  struct span path, struct ep_folder *folder_r, struct err *err)
{
	static const char *const elements[EP_KINDS] = {
		[EP_MAIL] = "Folder", [EP_EVENTS] = "CalendarFolder", [EP_CONTACTS] = "ContactsFolder",
		[EP_TASKS] = "TasksFolder",
	};
	struct answer a;
	struct buf *b = prepare(e, arena, &a, "making a folder");

	buf_add_str(b, "<m:CreateFolder><m:ParentFolderId>");
	print_parent(e, b, parent);
	buf_printf(b, "</m:ParentFolderId><m:Folders><t:%s>", elements[kind]);
	if (kind == EP_MAIL)
		ews_el(b, "FolderClass", SPAN_LIT("IPF.Note"));
	ews_el(b, "DisplayName", path_decode_component(arena, path_last(path)));
	buf_printf(b, "</t:%s></m:Folders></m:CreateFolder>", elements[kind]);
	enum code rc = run(e, &a, err);
	if (rc == E_OK && a.id.n == 0)
		rc = err_set(err, E_PROTOCOL, "the server made a folder and told no id");
	if (rc != E_OK)
		return rc;
	*folder_r = (struct ep_folder){
		.kind = kind, .path = arena_span(arena, path), .name = a.id, .id = a.id, .id_stable = true,
		.selectable = true, .count = 0, .flags = kind == EP_MAIL ? EP_FLAGS_ALL : 0,
		.keywords = kind == EP_MAIL,
	};
	return E_OK;
}

/* The folder above the path; NULL in *parent_r: the root. What is missing is made. */
static enum code parent_of(struct ews *e, struct arena *arena, const struct ep_list *list, enum ep_kind kind,
			   struct span path, const struct ep_folder **parent_r, struct err *err)
{
	struct ep_folder *made;
	const struct ep_folder *above = NULL;
	struct span up = path_parent(path);

	*parent_r = NULL;
	if (up.n == 0)
		return E_OK;
	*parent_r = find(list, kind, up);
	if (*parent_r == NULL)
		*parent_r = find_any(list, up);
	if (*parent_r != NULL)
		return E_OK;
	enum code rc = parent_of(e, arena, list, kind, up, &above, err);
	if (rc != E_OK)
		return rc;
	made = arena_alloc(arena, sizeof(*made));
	*parent_r = made;
	return make_one(e, arena, kind, above, up, made, err);
}

static enum code create(struct ews *e, struct arena *arena, const struct ep_list *list, struct ep_folder_op *op,
			struct err *err)
{
	const struct ep_folder *there = find(list, op->item_kind, op->path), *parent;

	if (there != NULL) {
		op->folder_r = *there;
		return err_set(err, E_FOLDER_EXISTS, "a folder of that name is there already");
	}
	enum code rc = parent_of(e, arena, list, op->item_kind, op->path, &parent, err);
	if (rc == E_OK)
		rc = make_one(e, arena, op->item_kind, parent, op->path, &op->folder_r, err);
	if (rc != E_FOLDER_EXISTS)
		return rc;
	/* the name is a folder's of another kind, or of one that is left out */
	return err_set(err, E_FOLDER_NAME, "another kind of folder has that name");
}

static enum code rename_one(struct ews *e, struct arena *arena, const struct ep_list *list, struct ep_folder_op *op,
			    struct err *err)
{
	const struct ep_folder *f = op->folder, *there = find_any(list, op->path), *parent;
	struct span old = f->path, name = path_decode_component(arena, path_last(op->path));
	enum code rc = E_OK;
	struct answer a;
	struct buf *b;

	if (there != NULL && !span_eq(there->id, f->id))
		return err_set(err, E_FOLDER_EXISTS, "a folder of that name is there already");
	if (!span_eq(path_parent(old), path_parent(op->path))) {
		rc = parent_of(e, arena, list, f->kind, op->path, &parent, err);
		if (rc != E_OK)
			return rc;
		b = prepare(e, arena, &a, "moving a folder");
		buf_add_str(b, "<m:MoveFolder><m:ToFolderId>");
		print_parent(e, b, parent);
		buf_add_str(b, "</m:ToFolderId><m:FolderIds>");
		ews_folder_id(b, f);
		buf_add_str(b, "</m:FolderIds></m:MoveFolder>");
		rc = run(e, &a, err);
	}
	if (rc == E_OK && !span_eq(path_last(old), path_last(op->path))) {
		b = prepare(e, arena, &a, "renaming a folder");
		buf_add_str(b, "<m:UpdateFolder><m:FolderChanges><t:FolderChange>");
		ews_folder_id(b, f);
		buf_add_str(b, "<t:Updates><t:SetFolderField>");
		ews_field(b, "folder:DisplayName");
		buf_add_str(b, "<t:Folder>");
		ews_el(b, "DisplayName", name);
		buf_add_str(b, "</t:Folder></t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges>"
			    "</m:UpdateFolder>");
		rc = run(e, &a, err);
	}
	if (rc == E_OK) {
		op->folder_r = *f;
		op->folder_r.path = arena_span(arena, op->path);
		op->folder_r.mark = SPAN_NONE;
	}
	return rc;
}

static enum code remove_one(struct ews *e, struct arena *arena, struct ep_folder_op *op, struct err *err)
{
	struct answer a;
	struct buf *b;

	if (op->folder->role != EP_ROLE_NONE)
		return err_set(err, E_FOLDER_REFUSED, "Exchange keeps the folders that every mailbox has");
	b = prepare(e, arena, &a, "looking into a folder");
	buf_add_str(b, "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>");
	ews_field(b, "folder:TotalCount");
	ews_field(b, "folder:ChildFolderCount");
	buf_add_str(b, "</t:AdditionalProperties></m:FolderShape><m:FolderIds>");
	ews_folder_id(b, op->folder);
	buf_add_str(b, "</m:FolderIds></m:GetFolder>");
	enum code rc = run(e, &a, err);
	if (rc != E_OK)
		return rc;
	if (!a.counted || a.items > 0 || a.folders > 0)
		return err_set(err, E_FOLDER_REFUSED, "the folder still holds %llu items and %llu folders",
			       (unsigned long long)a.items, (unsigned long long)a.folders);
	b = prepare(e, arena, &a, "removing a folder");
	buf_add_str(b, "<m:DeleteFolder DeleteType=\"HardDelete\"><m:FolderIds>");
	ews_folder_id(b, op->folder);
	buf_add_str(b, "</m:FolderIds></m:DeleteFolder>");
	return run(e, &a, err);
}

enum code ews_folders_verb(struct endpoint *ep, struct arena *arena, struct ep_folder_op *ops, size_t n,
			   struct err *err)
{
	struct ews *e = ep->impl;
	struct ep_list list;
	enum code rc = n > 0 ? ews_list_verb(ep, arena, &list, err) : E_OK;

	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct err why = ERR_INIT;
		enum code own;

		if (ops[i].kind == EP_FOLDER_CREATE)
			own = create(e, arena, &list, &ops[i], &why);
		else
			own = ops[i].kind == EP_FOLDER_RENAME ? rename_one(e, arena, &list, &ops[i], &why)
							      : remove_one(e, arena, &ops[i], &why);
		rc = ews_element_end(arena, own, &why, &ops[i].code, &ops[i].text);
		if (rc != E_OK)
			*err = why;
		if (rc == E_OK && own == E_OK && i + 1 < n)
			rc = ews_list_verb(ep, arena, &list, err);
	}
	return rc;
}
