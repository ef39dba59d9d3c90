/* ews_apply.c - changes of mails: create, flags, move, copy, remove, each in batches.
 *
 * 1. A message is created whole in one call: content, "not a draft", received time, flags, and its identity
 *    fields as they are in the original, which Exchange does not keep.
 * 2. Flags are read before they are changed: categories are set all at once, and a ChangeKey is needed.
 * 3. Nothing is ever sent: SaveOnly, and no receipt when a message is marked as read or removed. A server before 2013
 *    cannot be told so: there the wish for a receipt is taken from the message first.
 * 4. What was sent and not answered is uncertain where it makes something new; no write goes out twice by itself.
 * 5. What is removed is in the mailbox's dumpster, as long as the server keeps it.
 */
#include "ews.h"
#include "ews_record.h"

#include "../../common/mem.h"
#include "../data/mailkey.h"

#define CREATE_BYTES ((size_t)4 << 20)
#define IDENTITY_MAX ((size_t)16 << 10)

struct change {
	struct ews *e;
	struct arena *arena;
	struct ep_op *op;
	struct ews_flags now;            /* EP_FLAGS: as they are */
	struct span change_key;
	bool read;
	bool tells;                      /* its sender would be told that it was removed unread */
};

static const char silent_receipts[] = " SuppressReadReceipts=\"true\"";

static const char *silent(const struct ews *e)
{
	return e->v2013 ? silent_receipts : "";
}

static enum code keep_new_id(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct change *c = el->what;

	(void)ctx;
	(void)err;
	c->op->new_id = arena_span(c->arena, ews_text(o, "ItemId@Id"));
	return E_OK;
}

static enum code one_id(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	(void)ctx;
	(void)err;
	ews_id(b, "ItemId", ((struct change *)el->what)->op->id, SPAN_NONE);
	return E_OK;
}

/* --- create --- */

static void begin_create(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	buf_add_str(b, "<m:CreateItem MessageDisposition=\"SaveOnly\"><m:SavedItemFolderId>");
	ews_folder_id(b, ((struct change *)first->what)->op->folder);
	buf_add_str(b, "</m:SavedItemFolderId><m:Items>");
}

static void end_create(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:Items></m:CreateItem>");
}

static enum code add_mime(struct buf *b, struct body *body, struct err *err)
{
	struct ews_encoder encoder = { .n = 0 };
	uint64_t at = 0;
	struct span piece;
	enum code rc;

	while ((rc = body_read(body, at, &piece, err)) == E_OK && piece.n > 0) {
		ews_base64_add(&encoder, b, piece);
		at += piece.n;
	}
	ews_base64_end(&encoder, b);
	return rc;
}

/* The value of a header field, folds included; SPAN_NONE: there is none. */
static struct span field_of(struct span header, const char *name)
{
	size_t at = 0, n = strlen(name);

	while (at < header.n) {
		size_t end = at;

		do {
			size_t lf = span_find(header, end, '\n');
			end = lf == SIZE_MAX ? header.n : lf + 1;
		} while (end < header.n && (header.p[end] == ' ' || header.p[end] == '\t'));
		struct span line = span_cut(header, at, end - at);
		if (line.n > n && line.p[n] == ':' && span_eq_nocase_str(span_cut(line, 0, n), name))
			return span_trim(span_cut(line, n + 1, line.n));
		at = end;
	}
	return SPAN_NONE;
}

/* A report is shown as one only by its class. */
static const char *class_of(struct span header)
{
	struct span type = field_of(header, "Content-Type");

	if (!span_starts_nocase(type, "multipart/report"))
		return NULL;
	if (span_find_nocase(type, "disposition-notification") != SIZE_MAX)
		return "REPORT.IPM.Note.IPNRN";
	return span_find_nocase(type, "delivery-status") != SIZE_MAX ? "REPORT.IPM.Note.NDR" : NULL;
}

static void add_props(struct change *c, struct buf *b, struct span header)
{
	const struct ep_op *op = c->op;
	struct span identity = mailkey_fields(c->arena, header);

	ews_prop_int(b, &ews_message_flags, (op->flags & EP_SEEN ? 1 : 0) | (op->flags & EP_DRAFT ? 8 : 0));
	if (op->received != INT64_MIN)
		ews_prop_time(b, &ews_delivery_time, op->received);
	if (op->flags & EP_SEEN && field_of(header, "Disposition-Notification-To").n > 0)
		ews_prop_value(b, &ews_receipt_wanted, SPAN_LIT("false"));
	if (identity.n > 0 && identity.n <= IDENTITY_MAX)
		ews_prop_binary(b, &ews_identity, identity);
	ews_print_flag_props(c->e, b, c->arena, op->flags, op->keywords);
}

static enum code one_create(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	struct change *c = el->what;
	struct span header = body_header(c->op->body);
	const char *class = class_of(header);

	(void)ctx;
	if (body_size(c->op->body) > c->e->item_max)
		return err_set(err, E_ITEM_TOO_BIG, "the message is larger than %llu bytes",
			       (unsigned long long)c->e->item_max);
	buf_add_str(b, "<t:Message><t:MimeContent>");
	if (el->bytes > CREATE_BYTES) {      /* alone in its request */
		el->stream = c->op->body;
		el->stream_at = b->n;
	}
	enum code rc = el->stream == NULL ? add_mime(b, c->op->body, err) : E_OK;
	buf_add_str(b, "</t:MimeContent>");
	if (class != NULL)
		ews_el(b, "ItemClass", span_of(class));
	ews_print_categories(b, c->arena, c->op->keywords);
	add_props(c, b, header);
	ews_print_flag_tail(c->e, b, c->op->flags);
	buf_add_str(b, "</t:Message>");
	return rc;
}

/* --- flags: read, then change what differs --- */

static void begin_look(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	buf_add_str(b, "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>");
	ews_flag_fields(((struct change *)first->what)->e, b);
	buf_add_str(b, "</t:AdditionalProperties></m:ItemShape><m:ItemIds>");
}

static void end_look(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemIds></m:GetItem>");
}

static enum code on_look(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct change *c = el->what;

	(void)ctx;
	(void)err;
	ews_read_flags(c->arena, o, &c->now);
	c->change_key = arena_span(c->arena, ews_text(o, "ItemId@ChangeKey"));
	c->read = true;
	return E_OK;
}

static void begin_update(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	buf_printf(b, "<m:UpdateItem MessageDisposition=\"SaveOnly\" ConflictResolution=\"AutoResolve\"%s>"
		   "<m:ItemChanges>", silent(((struct change *)first->what)->e));
}

static enum code one_update(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	struct change *c = el->what;

	(void)ctx;
	(void)err;
	buf_add_str(b, "<t:ItemChange>");
	ews_id(b, "ItemId", c->op->id, c->change_key);
	buf_add_str(b, "<t:Updates>");
	ews_print_flag_changes(c->e, b, c->arena, &c->now, c->op);
	buf_add_str(b, "</t:Updates></t:ItemChange>");
	return E_OK;
}

static void end_update(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemChanges></m:UpdateItem>");
}

/* --- move, copy, remove --- */

static void begin_move(void *ctx, struct buf *b, struct ews_el *first)
{
	const struct ep_op *op = ((struct change *)first->what)->op;

	(void)ctx;
	buf_printf(b, "<m:%s><m:ToFolderId>", op->kind == EP_MOVE ? "MoveItem" : "CopyItem");
	ews_folder_id(b, op->to);
	buf_add_str(b, "</m:ToFolderId><m:ItemIds>");
}

static void end_move(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	buf_printf(b, "</m:ItemIds><m:ReturnNewItemIds>true</m:ReturnNewItemIds></m:%s>",
		   ((struct change *)first->what)->op->kind == EP_MOVE ? "MoveItem" : "CopyItem");
}

static void begin_remove(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	buf_printf(b, "<m:DeleteItem DeleteType=\"SoftDelete\"%s><m:ItemIds>",
		   silent(((struct change *)first->what)->e));
}

static void end_remove(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemIds></m:DeleteItem>");
}

/* --- a batch of one kind --- */

static const struct ews_batch ways[] = {
	[EP_CREATE] = { .what = "creating a message", .writes = true, .items = 50, .bytes = CREATE_BYTES,
			.begin = begin_create, .one = one_create, .end = end_create, .object = keep_new_id },
	[EP_FLAGS] = { .what = "changing flags", .writes = true, .items = EWS_BATCH, .bytes = CREATE_BYTES,
		       .begin = begin_update, .one = one_update, .end = end_update },
	[EP_MOVE] = { .what = "moving a message", .writes = true, .items = EWS_BATCH, .bytes = SIZE_MAX,
		      .begin = begin_move, .one = one_id, .end = end_move, .object = keep_new_id },
	[EP_COPY] = { .what = "copying a message", .writes = true, .items = EWS_BATCH, .bytes = SIZE_MAX,
		      .begin = begin_move, .one = one_id, .end = end_move, .object = keep_new_id },
	[EP_REMOVE] = { .what = "removing a message", .writes = true, .items = EWS_BATCH, .bytes = SIZE_MAX,
			.begin = begin_remove, .one = one_id, .end = end_remove },
};
static const struct ews_batch look = { .what = "reading flags", .items = EWS_BATCH, .bytes = SIZE_MAX,
				       .begin = begin_look, .one = one_id, .end = end_look, .object = on_look };

static enum code run_way(struct ews *e, struct arena *arena, const struct ews_batch *way, struct ews_el *els, size_t n,
			 struct err *err)
{
	struct ews_batch b = *way;

	b.e = e;
	b.arena = arena;
	return ews_batch_run(&b, els, n, err);
}

static bool differs(struct change *c)
{
	struct buf b;

	buf_init(&b, EWS_REQUEST_MAX);
	bool any = ews_print_flag_changes(c->e, &b, c->arena, &c->now, c->op);
	buf_free(&b);
	return any;
}

static void again(struct ews_el *el)
{
	el->code = E_CANCELLED;
	el->sent = false;
	el->attempts = 0;
}

static enum code change_flags(struct ews *e, struct arena *arena, struct ews_el *els, size_t n, struct err *err)
{
	enum code rc = run_way(e, arena, &look, els, n, err);

	for (size_t i = 0; i < n; i++) {
		struct change *c = els[i].what;

		if (els[i].code != E_OK)
			continue;
		if (!c->read)
			els[i].code = E_ITEM_GONE;
		else if (differs(c))
			again(&els[i]);
	}
	return rc == E_OK ? run_way(e, arena, &ways[EP_FLAGS], els, n, err) : rc;
}

/* --- before 2013: no receipt of a removal --- */

static void begin_ask(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>");
	ews_field(b, "message:IsRead");
	ews_field(b, "message:IsReadReceiptRequested");
	buf_add_str(b, "</t:AdditionalProperties></m:ItemShape><m:ItemIds>");
}

static enum code on_asked(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct change *c = el->what;

	(void)ctx;
	(void)err;
	c->read = true;
	c->tells = ews_true(ews_text(o, "IsReadReceiptRequested")) && !ews_true(ews_text(o, "IsRead"));
	return E_OK;
}

static void begin_hush(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "<m:UpdateItem MessageDisposition=\"SaveOnly\" ConflictResolution=\"AlwaysOverwrite\">"
		    "<m:ItemChanges>");
}

static enum code one_hush(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	(void)ctx;
	(void)err;
	buf_add_str(b, "<t:ItemChange>");
	ews_id(b, "ItemId", ((struct change *)el->what)->op->id, SPAN_NONE);
	buf_add_str(b, "<t:Updates>");
	ews_print_no_receipt(b);
	buf_add_str(b, "</t:Updates></t:ItemChange>");
	return E_OK;
}

static enum code hush(struct ews *e, struct arena *arena, struct ews_el *els, size_t n, struct err *err)
{
	static const struct ews_batch asking = { .what = "looking at a message", .items = EWS_BATCH,
						 .bytes = SIZE_MAX, .begin = begin_ask, .one = one_id,
						 .end = end_look, .object = on_asked };
	static const struct ews_batch hushing = { .what = "changing a message", .writes = true, .items = EWS_BATCH,
						  .bytes = SIZE_MAX, .begin = begin_hush, .one = one_hush,
						  .end = end_update };
	enum code rc = run_way(e, arena, &asking, els, n, err);

	for (size_t i = 0; i < n; i++) {
		const struct change *c = els[i].what;

		if (els[i].code == E_OK && !c->read)
			els[i].code = E_ITEM_GONE;
		else if (els[i].code == E_OK && c->tells)
			again(&els[i]);
	}
	if (rc == E_OK)
		rc = run_way(e, arena, &hushing, els, n, err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		if (els[i].code == E_OK)
			again(&els[i]);
	return rc;
}

/* Folders are told apart by their ids. */
static size_t group_of(const struct ep_folder *folder)
{
	return (size_t)span_hash(folder->name);
}

static void settle(struct ews_el *el)
{
	struct ep_op *op = ((struct change *)el->what)->op;
	bool makes = op->kind == EP_CREATE || op->kind == EP_MOVE || op->kind == EP_COPY;

	op->code = el->code;
	op->text = el->text;
	if (op->code == E_CANCELLED && el->sent && makes)
		op->code = E_ITEM_UNCERTAIN;
	if (op->code == E_FOLDER_GONE && op->kind != EP_CREATE)
		op->code = E_ITEM_GONE;
}

static enum code run_kind(struct ews *e, struct arena *arena, enum ep_op_kind kind, struct ep_op **ops, size_t n,
			  struct err *err)
{
	struct change *c = mem_calloc(n, sizeof(*c));
	struct ews_el *els = mem_calloc(n, sizeof(*els));
	enum code rc;

	for (size_t i = 0; i < n; i++) {
		c[i] = (struct change){ .e = e, .arena = arena, .op = ops[i] };
		els[i] = (struct ews_el){ .what = &c[i], .code = E_CANCELLED };
		if (kind == EP_CREATE)
			els[i].bytes = (size_t)body_size(ops[i]->body) * 4 / 3;
		if (kind == EP_CREATE || kind == EP_MOVE || kind == EP_COPY)
			els[i].group = group_of(kind == EP_CREATE ? ops[i]->folder : ops[i]->to);
	}
	rc = kind == EP_REMOVE && !e->v2013 ? hush(e, arena, els, n, err) : E_OK;
	if (rc == E_OK && kind == EP_FLAGS)
		rc = change_flags(e, arena, els, n, err);
	else if (rc == E_OK)
		rc = run_way(e, arena, &ways[kind], els, n, err);
	for (size_t i = 0; i < n; i++)
		settle(&els[i]);
	mem_free(c);
	mem_free(els);
	return rc;
}

enum code ews_apply_verb(struct endpoint *ep, struct arena *arena, struct ep_op *ops, size_t n, struct err *err)
{
	static const enum ep_op_kind order[] = { EP_CREATE, EP_FLAGS, EP_COPY, EP_MOVE, EP_REMOVE };
	struct ep_op **some = mem_calloc(n, sizeof(*some));
	enum code rc = E_OK;
	size_t n_some = 0;

	for (size_t i = 0; i < n; i++) {
		ops[i].code = E_CANCELLED;
		ops[i].text = NULL;
		ops[i].new_id = ops[i].new_version = SPAN_NONE;
	}
	for (size_t k = 0; rc == E_OK && k < ARRAY_LEN(order); k++) {
		n_some = 0;
		for (size_t i = 0; i < n; i++)
			if (ops[i].kind == order[k] && ops[i].folder->kind == EP_MAIL)
				some[n_some++] = &ops[i];
		if (n_some > 0)
			rc = run_kind(ep->impl, arena, order[k], some, n_some, err);
	}
	n_some = 0;
	for (size_t i = 0; i < n; i++)
		if (ops[i].folder->kind != EP_MAIL)
			some[n_some++] = &ops[i];
	if (rc == E_OK && n_some > 0)
		rc = ews_records_apply(ep->impl, arena, some, n_some, err);
	mem_free(some);
	return rc;
}
