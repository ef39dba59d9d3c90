/* ews_pending.c - a series and its exceptions take several requests: what of it is to be made stands with it till then.
 *
 * The property is written with the series and taken away behind its last exception. Where it is found, a write was
 * interrupted, and days that are as the rule says are not days that somebody put back: they are made first. A day that
 * was changed or left out meanwhile stays as it is, and one that the rule has no more is nobody's.
 */
#include "ews_record.h"

#define PENDING_MAX ((size_t)256 << 10)

enum code ews_pending_text(struct arena *arena, const struct record *record, struct span *text_r, struct err *err)
{
	struct buf b;

	buf_init(&b, PENDING_MAX);
	enum code rc = record_print(arena, record, 0, &b, err);
	if (rc == E_OK && b.overflow)
		rc = err_set(err, E_ITEM_TOO_BIG, "a series with exceptions may have %zu KiB", PENDING_MAX >> 10);
	if (rc == E_OK)
		*text_r = arena_span(arena, buf_span(&b));
	buf_free(&b);
	return rc;
}

void ews_pending_set(struct buf *updates, struct span text)
{
	buf_add_str(updates, "<t:SetItemField>");
	ews_prop_uri(updates, &ews_pending);
	buf_add_str(updates, "<t:CalendarItem>");
	ews_prop_value(updates, &ews_pending, text);
	buf_add_str(updates, "</t:CalendarItem></t:SetItemField>");
}

/* --- done, or undone --- */

struct completing {
	struct ews_ask ask;          /* first */
	struct span key;
};

static void take_key(struct ews_ask *ask, const struct ews_object *o)
{
	((struct completing *)ask)->key = arena_span(ask->arena, ews_text(o, "ItemId@ChangeKey"));
}

enum code ews_pending_end(struct ews *e, struct arena *arena, struct span id, struct span *key_r, struct err *err)
{
	struct completing c = { .key = SPAN_NONE };
	struct buf *b = &c.ask.call.body;

	ews_ask_begin(e, arena, &c.ask, "completing a series", take_key);
	buf_add_str(b, "<m:UpdateItem MessageDisposition=\"SaveOnly\" ConflictResolution=\"AlwaysOverwrite\" "
		    "SendMeetingInvitationsOrCancellations=\"SendToNone\"><m:ItemChanges><t:ItemChange>");
	ews_id(b, "ItemId", id, SPAN_NONE);
	buf_add_str(b, "<t:Updates><t:DeleteItemField>");
	ews_prop_uri(b, &ews_pending);
	buf_add_str(b, "</t:DeleteItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>");
	enum code rc = ews_ask_end(e, &c.ask, err);
	if (key_r != NULL)
		*key_r = c.key;
	return rc;
}

enum code ews_pending_undo(struct ews *e, struct arena *arena, struct span id, struct err *err)
{
	struct ews_ask ask;
	struct buf *b = &ask.call.body;

	ews_ask_begin(e, arena, &ask, "removing what was half made", NULL);
	buf_add_str(b, "<m:DeleteItem DeleteType=\"SoftDelete\" SendMeetingCancellations=\"SendToNone\"><m:ItemIds>");
	ews_id(b, "ItemId", id, SPAN_NONE);
	buf_add_str(b, "</m:ItemIds></m:DeleteItem>");
	return ews_ask_end(e, &ask, err);
}

/* --- found again --- */

static enum code read_again(struct ews_rec *r, struct err *err)
{
	struct ews_rec again;

	ews_rec_init(&again, r->e, r->arena, r->kind, r->id);
	enum code rc = ews_recs_read(r->e, r->arena, &again, 1, err);
	ews_rec_free(r);
	*r = again;
	return rc;
}

enum code ews_pending_complete(struct ews_rec *r, struct err *err)
{
	struct record *wanted = NULL;
	struct ews_occur *list;
	struct err why = ERR_INIT;
	enum code rc = record_parse(r->arena, r->pending, &wanted, &why);

	if (rc == E_OK) {
		size_t n = ews_occurs_missing(r->e, r->arena, r->plain, wanted, &list);

		rc = ews_occurs_apply(r->e, r->arena, r->id, wanted, list, n, true, &why);
	}
	if (rc == E_OK)
		rc = ews_pending_end(r->e, r->arena, r->id, NULL, &why);
	if (rc == E_OK)
		return read_again(r, err);
	if (ews_error_is_side(rc)) {
		*err = why;
		return rc;
	}
	r->code = E_ITEM_BAD;
	r->text = arena_printf(r->arena, "an interrupted change of this series cannot be completed: %s",
			       err_text(&why));
	return E_OK;
}
