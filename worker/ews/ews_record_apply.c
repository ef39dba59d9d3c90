/* ews_record_apply.c - changes of records: create, update, move, remove.
 *
 * 1. Silent: SaveOnly, SendToNone. 2. An update is the fields that differ, and only if the ChangeKey is still the one
 * that was read (NeverOverwrite). 3. An item of that UID that is there already is never overwritten by a create. 4. A
 * series with exceptions is marked until all of them are made (ews_pending.c); a new item of which the server
 * refuses a part (exceptions, a picture) goes again. 5. DeleteItem looks at no ChangeKey: what is there is compared
 * just before, a few at a time, and what is removed can be found in the mailbox's dumpster.
 */
#include "ews_step.h"

#include "../../common/mem.h"

#define REMOVED_AT_ONCE 20               /* looked at, then removed */

static const char *silent_create(enum ep_kind kind)
{
	return kind == EP_EVENTS ? " SendMeetingInvitations=\"SendToNone\"" : "";
}

/* --- create --- */

static void begin_create(void *ctx, struct buf *b, struct ews_el *first)
{
	const struct ep_op *op = ((struct ews_step *)first->what)->op;

	(void)ctx;
	buf_printf(b, "<m:CreateItem MessageDisposition=\"SaveOnly\"%s><m:SavedItemFolderId>",
		   silent_create(op->folder->kind));
	ews_folder_id(b, op->folder);
	buf_add_str(b, "</m:SavedItemFolderId><m:Items>");
}

static enum code one_create(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	struct ews_step *s = el->what;
	enum ep_kind kind = s->op->folder->kind;
	const struct ews_mapper *map = ews_mapper_for((int)kind, s->wanted);
	struct ews_values vs;
	enum code rc = ews_values_of(s->e, s->arena, kind, s->wanted, ews_comp_of(kind), &s->members, &vs, err);

	(void)ctx;
	if (rc != E_OK)
		return rc;
	ews_set_prop(&vs, &ews_uid, s->wanted->uid);
	ews_set_prop(&vs, &ews_rest, s->rest);
	if (s->n_occurs > 0)
		ews_set_prop(&vs, &ews_pending, s->pending);
	if (kind == EP_EVENTS)
		ews_set(&vs, "calendar:UID", "UID", s->wanted->uid);
	buf_printf(b, "<t:%s>", map->element);
	ews_values_print(&vs, b);
	buf_printf(b, "</t:%s>", map->element);
	return E_OK;
}

static void end_create(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:Items></m:CreateItem>");
}

static enum code keep_version(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct ews_step *s = el->what;

	(void)ctx;
	(void)err;
	s->op->new_version = arena_span(s->arena, ews_text(o, "ItemId@ChangeKey"));
	return E_OK;
}

static enum code keep_id(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct ews_step *s = el->what;

	s->op->new_id = arena_span(s->arena, ews_text(o, "ItemId@Id"));
	return keep_version(ctx, el, o, err);
}

/* --- what is there: versions, and the fields that differ --- */

static enum code compare(struct ews_step *s, const struct ews_rec *now, struct err *err)
{
	enum ep_kind kind = s->op->folder->kind;
	struct ews_values have, want;
	enum code rc;

	if (s->op->version.n > 0 && !span_eq(s->op->version, now->change_key))
		return err_set(err, E_ITEM_CHANGED, "the item changed meanwhile");
	s->change_key = now->change_key;
	if (s->op->kind != EP_UPDATE)
		return E_OK;
	if ((now->plain->kind == RECORD_GROUP) != (s->wanted->kind == RECORD_GROUP))
		return err_set(err, E_ITEM_REFUSED,
			       "in Exchange a contact cannot become a group, nor a group a contact");
	ews_members_add(s->arena, &s->members, &now->members);
	rc = ews_values_of(s->e, s->arena, kind, s->wanted, ews_comp_of(kind), &s->members, &want, err);
	/* fields that say what cannot be written were not made by us: all that is wanted is set */
	if (rc == E_OK &&
	    ews_values_of(s->e, s->arena, kind, now->plain, ews_comp_of(kind), &s->members, &have, NULL) != E_OK)
		have.n = 0;
	if (rc != E_OK)
		return rc;
	if (now->rest.n > 0)
		ews_set_prop(&have, &ews_rest, now->rest);
	ews_set_prop(&want, &ews_rest, s->rest);
	if (kind == EP_CONTACTS)
		ews_photo_compare(s, now);
	if (kind == EP_EVENTS)
		s->n_occurs = ews_occurs_diff(s->e, s->arena, now->plain, s->wanted, &s->occurs, &s->rewrite);
	s->changed = ews_values_diff(&have, &want, ews_mapper_for((int)kind, s->wanted)->element, &s->updates);
	bool times = span_find_nocase(buf_span(&s->updates), "\"calendar:Start\"") != SIZE_MAX ||
		     span_find_nocase(buf_span(&s->updates), "\"calendar:StartTimeZone\"") != SIZE_MAX;
	bool rule = span_find_nocase(buf_span(&s->updates), "\"calendar:Recurrence\"") != SIZE_MAX;
	if ((times || s->rewrite) && !rule)
		for (size_t i = 0; i < want.n; i++)
			if (strcmp(want.v[i].element, "Recurrence") == 0) {
				buf_add_str(&s->updates,
						"<t:SetItemField><t:FieldURI FieldURI=\"calendar:Recurrence\"/>"
					    "<t:CalendarItem><t:Recurrence>");
				buf_add_span(&s->updates, want.v[i].xml);
				buf_add_str(&s->updates, "</t:Recurrence></t:CalendarItem></t:SetItemField>");
				s->changed = rule = true;
			}
	if (rule)                            /* all exceptions go with it */
		s->n_occurs = ews_occurs_of(s->arena, s->wanted, s->e->zone, &s->occurs);
	if (s->n_occurs > 0) {
		ews_pending_set(&s->updates, s->pending);
		s->changed = true;
	}
	return E_OK;
}

static bool is_due(const struct ews_step *s, enum ep_op_kind kind)
{
	return s->op->kind == kind && s->op->code == E_CANCELLED;
}

static enum code look_at(struct ews *e, struct arena *arena, enum ep_op_kind kind, struct ews_step *steps, size_t n,
			 struct err *err)
{
	struct ews_rec *r = mem_calloc(n, sizeof(*r));

	for (size_t i = 0; i < n; i++) {
		ews_rec_init(&r[i], e, arena, steps[i].op->folder->kind, steps[i].op->id);
		r[i].no_photo = kind != EP_UPDATE;
		if (!is_due(&steps[i], kind))
			r[i].code = E_ITEM_GONE;
	}
	enum code rc = ews_recs_read(e, arena, r, n, err);
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct err why = ERR_INIT;
		struct ews_step *s = &steps[i];

		if (is_due(s, kind)) {
			bool unreadable = r[i].code == E_ITEM_REFUSED && s->op->kind != EP_UPDATE &&
					r[i].change_key.n > 0;
			enum code own = r[i].code == E_OK || unreadable ? compare(s, &r[i], &why)
				      : err_set(&why, r[i].code, "%s", r[i].text != NULL ? r[i].text
						: code_text(r[i].code));

			if (own != E_OK)
				ews_step_done(s, own, &why);
		}
		ews_rec_free(&r[i]);
	}
	mem_free(r);
	return rc;
}

static void begin_update(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	buf_printf(b, "<m:UpdateItem MessageDisposition=\"SaveOnly\" ConflictResolution=\"NeverOverwrite\"%s>"
		   "<m:ItemChanges>", ((struct ews_step *)first->what)->op->folder->kind == EP_EVENTS
		   ? " SendMeetingInvitationsOrCancellations=\"SendToNone\"" : "");
}

static enum code one_update(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	struct ews_step *s = el->what;

	(void)ctx;
	(void)err;
	buf_add_str(b, "<t:ItemChange>");
	ews_id(b, "ItemId", s->op->id, s->change_key);
	buf_add_str(b, "<t:Updates>");
	buf_add_span(b, buf_span(&s->updates));
	buf_add_str(b, "</t:Updates></t:ItemChange>");
	return E_OK;
}

static void end_update(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemChanges></m:UpdateItem>");
}

/* --- move, remove --- */

static void begin_move(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	buf_add_str(b, "<m:MoveItem><m:ToFolderId>");
	ews_folder_id(b, ((struct ews_step *)first->what)->op->to);
	buf_add_str(b, "</m:ToFolderId><m:ItemIds>");
}

static enum code one_id(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	struct ews_step *s = el->what;

	(void)ctx;
	(void)err;
	ews_id(b, "ItemId", s->op->id, s->change_key);
	return E_OK;
}

static void end_move(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemIds><m:ReturnNewItemIds>true</m:ReturnNewItemIds></m:MoveItem>");
}

static void begin_remove(void *ctx, struct buf *b, struct ews_el *first)
{
	enum ep_kind kind = ((struct ews_step *)first->what)->op->folder->kind;

	(void)ctx;
	buf_printf(b, "<m:DeleteItem DeleteType=\"SoftDelete\"%s><m:ItemIds>",
		   kind == EP_EVENTS ? " SendMeetingCancellations=\"SendToNone\"" :
		   kind == EP_TASKS ? " AffectedTaskOccurrences=\"AllOccurrences\"" : "");
}

static void end_remove(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemIds></m:DeleteItem>");
}

/* --- all of them --- */

static const struct ews_batch ways[] = {
	[EP_CREATE] = { .what = "creating an item", .writes = true, .begin = begin_create, .one = one_create,
			.end = end_create, .object = keep_id },
	[EP_UPDATE] = { .what = "changing an item", .writes = true, .begin = begin_update, .one = one_update,
			.end = end_update, .object = keep_version },
	[EP_MOVE] = { .what = "moving an item", .writes = true, .begin = begin_move, .one = one_id, .end = end_move,
		      .object = keep_id },
	[EP_REMOVE] = { .what = "removing an item", .writes = true, .begin = begin_remove, .one = one_id,
			.end = end_remove },
};

static size_t group_of(const struct ep_op *op)
{
	const struct ep_folder *f = op->kind == EP_MOVE ? op->to : op->folder;

	return (size_t)span_hash(f->name) + (size_t)op->folder->kind;
}

static void take_outcome(struct ews_step *s, const struct ews_el *el)
{
	struct ep_op *op = s->op;
	bool makes = op->kind == EP_CREATE || op->kind == EP_MOVE;

	op->code = el->code;
	op->text = el->text;
	if (op->code == E_CANCELLED && el->sent)
		op->code = makes || op->kind == EP_UPDATE ? E_ITEM_UNCERTAIN : E_CANCELLED;
}

static enum code run_way(struct ews *e, struct arena *arena, enum ep_op_kind kind, struct ews_step *steps, size_t n,
			 struct err *err)
{
	struct ews_batch b = ways[kind];
	struct ews_el *els = mem_calloc(n, sizeof(*els));
	size_t k = 0;

	b.e = e;
	b.arena = arena;
	b.items = 50;
	b.bytes = (size_t)4 << 20;
	for (size_t i = 0; i < n; i++) {
		struct ews_step *s = &steps[i];

		if (!is_due(s, kind))
			continue;
		if (kind == EP_UPDATE && !s->changed) {
			s->op->code = E_OK;
			s->op->new_version = s->change_key;
			continue;
		}
		els[k++] = (struct ews_el){ .what = s, .code = E_CANCELLED, .group = group_of(s->op),
					    .bytes = s->rest.n + s->pending.n + s->updates.n };
	}
	enum code rc = k > 0 ? ews_batch_run(&b, els, k, err) : E_OK;
	for (size_t i = 0; i < k; i++)
		take_outcome(els[i].what, &els[i]);
	mem_free(els);
	return rc;
}

/* What belongs to one that was created or changed and takes requests of its own: exceptions now, its picture before. */
static enum code make_parts(struct ews *e, struct arena *arena, struct ews_step *s, struct err *err)
{
	bool new = s->op->kind == EP_CREATE;
	struct span id = new ? s->op->new_id : s->op->id;
	enum code rc = s->part_code;

	if (rc != E_OK)
		err_set(err, rc, "%s", s->part_text);
	else
		rc = ews_occurs_apply(e, arena, id, s->wanted, s->occurs, s->n_occurs, false, err);
	if (rc == E_OK)
		rc = ews_pending_end(e, arena, id, &s->op->new_version, err);
	if (rc == E_OK || ews_error_is_side(rc) || !new || s->part_code == E_ITEM_UNCERTAIN)
		return rc;
	if (rc == E_ITEM_GONE)
		return err_set(err, E_ITEM_UNCERTAIN, "somebody removed the new item at once");
	struct err why = ERR_INIT;
	enum code undone = ews_pending_undo(e, arena, id, &why);

	if (undone == E_OK || undone == E_ITEM_GONE)
		return rc;
	*err = why;
	return ews_error_is_side(undone) ? undone : err_set(err, E_ITEM_UNCERTAIN, "%s", err_text(&why));
}

/* side: E_OK, or what ended the call: then they stay uncertain. */
static enum code run_parts(struct ews *e, struct arena *arena, enum ep_op_kind kind, struct ews_step *steps, size_t n,
			    enum code side, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct ews_step *s = &steps[i];
		struct err why = ERR_INIT;
		enum code rc;

		if (s->op->kind != kind || s->op->code != E_OK || (s->n_occurs == 0 && s->part_code == E_OK))
			continue;
		rc = side == E_OK ? make_parts(e, arena, s, &why)
				  : err_set(&why, side, "parts of it are not made yet");
		if (rc == E_OK)
			continue;
		if (side == E_OK && ews_error_is_side(rc)) {
			side = rc;
			*err = why;
		}
		ews_step_done(s, ews_error_is_side(rc) ? E_ITEM_UNCERTAIN : rc, &why);
		s->op->new_id = s->op->new_version = SPAN_NONE;
	}
	return side;
}

/* Those of a kind; what cannot be undone, a few at a time. */
static enum code run_kind(struct ews *e, struct arena *arena, enum ep_op_kind kind, struct ews_step *steps, size_t n,
			  struct err *err)
{
	size_t most = kind == EP_REMOVE ? REMOVED_AT_ONCE : n;
	enum code rc = E_OK;

	for (size_t from = 0, some; rc == E_OK && from < n; from += some) {
		size_t due = 0;

		for (some = 0; from + some < n && due < most; some++)
			due += is_due(&steps[from + some], kind);
		if (due == 0)
			continue;
		if (kind != EP_CREATE)
			rc = look_at(e, arena, kind, steps + from, some, err);
		if (rc == E_OK)
			rc = run_way(e, arena, kind, steps + from, some, err);
	}
	if (rc == E_OK && (kind == EP_CREATE || kind == EP_UPDATE))
		rc = ews_photos_write(e, arena, kind, steps, n, err);
	return kind == EP_CREATE || kind == EP_UPDATE ? run_parts(e, arena, kind, steps, n, rc, err) : rc;
}

static void begin(struct ews_step *s, struct ews *e, struct arena *arena, struct ep_op *op)
{
	struct err err = ERR_INIT;
	enum code rc = E_OK;

	*s = (struct ews_step){ .e = e, .arena = arena, .op = op };
	buf_init(&s->updates, EWS_REQUEST_MAX);
	if (op->kind == EP_FLAGS || op->kind == EP_COPY)
		rc = err_set(&err, E_ITEM_REFUSED, "records have no flags and are not copied");
	else if (op->kind == EP_MOVE && op->to->kind != op->folder->kind)
		rc = err_set(&err, E_ITEM_REFUSED, "an item cannot be moved into a folder of another kind");
	else if (op->kind == EP_CREATE || op->kind == EP_UPDATE)
		rc = ews_step_parse(s, &err);
	if (rc == E_OK && s->wanted != NULL && s->wanted->kind != RECORD_GROUP)
		rc = ews_step_rest(s, &err);
	if (rc != E_OK)
		ews_step_done(s, rc, &err);
}

/* Where something is to be written that says a time. */
static enum code ask_zone(struct ews *e, struct arena *arena, struct ep_op **ops, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (ops[i]->folder->kind != EP_CONTACTS && (ops[i]->kind == EP_CREATE || ops[i]->kind == EP_UPDATE))
			return ews_ask_zone(e, arena, err);
	return E_OK;
}

enum code ews_records_apply(struct ews *e, struct arena *arena, struct ep_op **ops, size_t n, struct err *err)
{
	static const enum ep_op_kind order[] = { EP_UPDATE, EP_MOVE, EP_REMOVE };
	struct ews_step *steps, one;
	size_t singles = 0, groups = 0;      /* from both ends: groups are made of what is made before */
	enum code rc = ask_zone(e, arena, ops, n, err);

	if (rc != E_OK)
		return rc;
	steps = mem_calloc(n, sizeof(*steps));
	for (size_t i = 0; i < n; i++) {
		begin(&one, e, arena, ops[i]);
		if (one.wanted != NULL && one.wanted->kind == RECORD_GROUP)
			steps[n - ++groups] = one;
		else
			steps[singles++] = one;
	}
	rc = ews_steps_look_up(e, arena, steps, n, err);
	if (rc == E_OK)
		rc = run_kind(e, arena, EP_CREATE, steps, singles, err);
	if (rc == E_OK)
		rc = ews_groups_resolve(steps + singles, groups, err);
	if (rc == E_OK)
		rc = run_kind(e, arena, EP_CREATE, steps + singles, groups, err);
	for (size_t i = 0; rc == E_OK && i < ARRAY_LEN(order); i++)
		rc = run_kind(e, arena, order[i], steps, n, err);
	for (size_t i = 0; i < n; i++)
		buf_free(&steps[i].updates);
	mem_free(steps);
	return rc;
}
