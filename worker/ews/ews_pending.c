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

/* --- one request about one item --- */

struct answer {
	struct arena *arena;
	const char *what;
	struct span key;
	enum code code;
	struct err err;
};

static enum code on_item(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct answer *a = ctx;

	(void)message;
	(void)err;
	a->key = arena_span(a->arena, ews_text(o, "ItemId@ChangeKey"));
	return E_OK;
}

static enum code on_end(void *ctx, size_t message, const struct ews_object *m, struct err *err)
{
	struct answer *a = ctx;

	(void)message;
	(void)err;
	a->code = ews_outcome(m, a->what, &a->err);
	return E_OK;
}

static const struct ews_handler handler = { on_item, on_end, NULL };

static void begin(struct ews *e, struct arena *arena, struct ews_call *c, struct answer *a, const char *what)
{
	*a = (struct answer){ .arena = arena, .what = what, .err = ERR_INIT };
	a->code = err_set(&a->err, E_PROTOCOL, "%s: the server gave no answer", what);
	ews_call_init(e, c, &handler, a);
	c->http.once = true;
}

static enum code run(struct ews *e, struct arena *arena, struct ews_call *c, struct answer *a, struct err *err)
{
	enum code rc = ews_run_one(e, arena, c, err);

	ews_call_free(c);
	if (rc != E_OK || a->code == E_OK)
		return rc;
	if (err != NULL)
		*err = a->err;
	return a->code;
}

enum code ews_pending_end(struct ews *e, struct arena *arena, struct span id, struct span *key_r, struct err *err)
{
	struct answer a;
	struct ews_call c;

	begin(e, arena, &c, &a, "completing a series");
	buf_add_str(&c.body, "<m:UpdateItem MessageDisposition=\"SaveOnly\" ConflictResolution=\"AlwaysOverwrite\" "
		    "SendMeetingInvitationsOrCancellations=\"SendToNone\"><m:ItemChanges><t:ItemChange>");
	ews_id(&c.body, "ItemId", id, SPAN_NONE);
	buf_add_str(&c.body, "<t:Updates><t:DeleteItemField>");
	ews_prop_uri(&c.body, &ews_pending);
	buf_add_str(&c.body, "</t:DeleteItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>");
	enum code rc = run(e, arena, &c, &a, err);
	if (key_r != NULL)
		*key_r = a.key;
	return rc;
}

enum code ews_pending_undo(struct ews *e, struct arena *arena, struct span id, struct err *err)
{
	struct answer a;
	struct ews_call c;

	begin(e, arena, &c, &a, "removing what was half made");
	buf_add_str(&c.body,
		    "<m:DeleteItem DeleteType=\"SoftDelete\" SendMeetingCancellations=\"SendToNone\"><m:ItemIds>");
	ews_id(&c.body, "ItemId", id, SPAN_NONE);
	buf_add_str(&c.body, "</m:ItemIds></m:DeleteItem>");
	return run(e, arena, &c, &a, err);
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
