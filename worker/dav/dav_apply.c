/* dav_apply.c - creates, updates and removals; all of a batch are under way together.
 *
 * 1. Every write has a condition: a create only where nothing is (If-None-Match: *), an update or removal only
 *    of the version that the engine knows (If-Match). So a request that libcurl sends twice, because a kept
 *    connection died, does no harm: the second PUT meets a 412, the look finds the UID, and the next pass merges;
 *    the second DELETE or MOVE finds nothing. The PUT of a move by copy would go on to another name: it goes once.
 * 2. The name of a new item is made from its UID: what an interrupted create has left is found by it.
 * 3. Every write says that nobody is to be told: Schedule-Reply: F (sabre), Scheduling-Enabled: F (Cyrus), and
 *    SCHEDULE-AGENT=CLIENT in what is written (RECORD_SILENT), for the others. None of them is enough alone.
 * 4. What an element shows before its answer has come is what it is if none comes.
 */
#include "dav_apply.h"

#include "../../common/mem.h"
#include "../data/record.h"

#include <stdio.h>

#define ATTEMPTS 4
#define LOOK_MEMORY ((size_t)128 << 20)

/* --- shared with dav_move.c --- */

void dav_step_done(struct dav_step *s, enum code rc, const char *text)
{
	s->stage = DAV_DONE;
	s->op->code = rc;
	s->op->text = rc == E_OK ? NULL : text != NULL ? text : code_text(rc);
}

void dav_step_fail(struct dav_step *s, const char *what)
{
	struct err err = ERR_INIT;
	enum code rc = dav_item_failure(&s->call, what, &err);

	dav_step_done(s, rc, arena_str(s->arena, span_of(err_text(&err))));
}

bool dav_step_good(const struct dav_step *s)
{
	return s->call.code == E_OK && s->call.status >= 200 && s->call.status < 300;
}

bool dav_same_uid(struct dav_step *s, struct span there)
{
	struct arena *arena = arena_new(LOOK_MEMORY);
	struct record *mine = NULL, *other = NULL;
	bool same = record_parse(arena, there, &other, NULL) == E_OK;

	if (same && s->op->uid.n > 0)
		same = span_eq(other->uid, s->op->uid);
	else if (same)
		same = record_parse(arena, s->text, &mine, NULL) == E_OK && span_eq(mine->uid, other->uid);
	arena_free(&arena);
	return same;
}

static void prepare_call(struct dav_step *s, const char *method, const char *url)
{
	if (s->called)
		dav_call_free(&s->call);
	s->called = true;
	dav_call_init(&s->call, method, url);
}

void dav_write(struct dav_step *s, const char *method, const struct ep_folder *folder, struct span name,
	       struct span version)
{
	prepare_call(s, method, dav_url(s->d, s->arena, dav_side_of(folder->kind),
					dav_item_path(s->arena, folder->name, name)));
	if (folder->kind != EP_CONTACTS) {
		dav_call_header(&s->call, "Schedule-Reply: F");
		dav_call_header(&s->call, "Scheduling-Enabled: F");
	}
	if (version.n == 0 || version.n > sizeof(s->match) - 16)
		return;
	snprintf(s->match, sizeof(s->match), "If-Match: " SPAN_FMT, SPAN_ARG(version));
	dav_call_header(&s->call, s->match);
}

void dav_put(struct dav_step *s, const struct ep_folder *folder, struct span name, struct span text)
{
	dav_write(s, "PUT", folder, name, SPAN_NONE);
	s->call.http.type = folder->kind == EP_CONTACTS ? "text/vcard; charset=utf-8" : "text/calendar; charset=utf-8";
	s->call.http.body = text;
}

/* --- create, update, remove --- */

/* The whole body in one piece: the body's own memory where it is in memory. */
static enum code load(struct dav_step *s, struct err *err)
{
	struct span piece;
	enum code rc = body_read(s->op->body, 0, &piece, err);

	s->text = piece;
	if (rc != E_OK || piece.n == body_size(s->op->body))
		return rc;
	while (rc == E_OK && piece.n > 0) {
		buf_add_span(&s->own, piece);
		rc = s->own.overflow ? err_set(err, E_ITEM_TOO_BIG, "the item is larger than %zu bytes", DAV_ITEM_MAX)
				     : body_read(s->op->body, s->own.n, &piece, err);
	}
	s->text = buf_span(&s->own);
	return rc;
}

static struct span new_name(struct dav_step *s)
{
	const struct ep_op *op = s->op;
	const char *suffix = op->folder->kind == EP_CONTACTS ? ".vcf" : ".ics";

	/* an item without a UID is named by its content */
	return dav_new_name(s->arena, op->uid.n > 0 ? op->uid : s->text, s->attempt + (op->uid.n == 0), suffix);
}

static void ask_main(struct dav_step *s)
{
	const struct ep_op *op = s->op;

	switch (op->kind) {
	case EP_CREATE:
		s->name = new_name(s);
		dav_put(s, op->folder, s->name, s->text);
		dav_call_header(&s->call, "If-None-Match: *");
		break;
	case EP_UPDATE:
		dav_put(s, op->folder, op->id, s->text);
		snprintf(s->match, sizeof(s->match), "If-Match: " SPAN_FMT, SPAN_ARG(op->version.n > 0 ? op->version
											  : SPAN_LIT("*")));
		dav_call_header(&s->call, s->match);
		break;
	case EP_REMOVE:
		dav_write(s, "DELETE", op->folder, op->id, op->version);
		break;
	case EP_MOVE:
	case EP_COPY:
	case EP_FLAGS:
		break;
	}
}

/* After a 412: what is there under that name? A create reads it; others want to know whether it is. */
static void ask_look(struct dav_step *s)
{
	const struct ep_op *op = s->op;
	struct span name = op->kind == EP_CREATE ? s->name : op->id;

	prepare_call(s, "GET", dav_url(s->d, s->arena, dav_side_of(op->folder->kind),
				       dav_item_path(s->arena, op->folder->name, name)));
	s->call.http.max_bytes = DAV_ITEM_MAX;
}

static enum code on_home_response(void *ctx, const struct dav_response *r, struct err *err)
{
	struct dav_step *s = ctx;

	(void)err;
	s->homeless |= r->status == 404 || r->status == 410;     /* Xandikos: in a 207 */
	return E_OK;
}

static void ask_home(struct dav_step *s)
{
	const struct ep_folder *f = s->op->folder;

	dav_call_free(&s->call);
	dav_call_propfind(&s->call, dav_url(s->d, s->arena, dav_side_of(f->kind), f->name), 0, "<D:resourcetype/>",
			  on_home_response, s);
}

/* The server may have given it another name. */
static struct span final_name(struct dav_step *s)
{
	struct span path = SPAN_NONE, name = SPAN_NONE;

	if (s->call.http.location.n > 0)
		path = dav_path(s->arena, span_of(s->call.http.url), s->call.http.location, NULL);
	if (path.n > 0)
		name = dav_item_name(s->arena, s->op->folder->name, path);
	return name.n > 0 ? name : arena_span(s->arena, s->name);
}

/* What servers say to a new item in a collection that somebody has removed: 409 is RFC 4918's, 403 Cyrus'. */
static bool may_be_homeless(const struct dav_step *s)
{
	const struct dav_call *c = &s->call;

	return c->code == E_OK && (c->status == 409 || c->status == 404 || c->status == 410 || c->status == 403);
}

static void on_main(struct dav_step *s)
{
	struct ep_op *op = s->op;

	if (dav_step_good(s)) {
		if (op->kind == EP_CREATE)
			op->new_id = final_name(s);
		if (op->kind != EP_REMOVE)
			op->new_version = arena_span(s->arena, dav_etag(s->call.http.etag));
		dav_step_done(s, E_OK, NULL);
	} else if (s->call.code == E_OK && s->call.status == 412 && s->call.precondition.n == 0) {
		s->stage = DAV_LOOK;
		if (op->kind != EP_CREATE)
			op->code = E_ITEM_CHANGED;
	} else {
		dav_step_fail(s, op->kind == EP_CREATE ? "creating" : op->kind == EP_UPDATE ? "updating" : "removing");
		if (op->kind == EP_CREATE && op->code == E_ITEM_GONE)    /* iCloud's answer to what it does not like */
			op->code = E_ITEM_REFUSED;
		if (op->kind == EP_CREATE && may_be_homeless(s))
			s->stage = DAV_HOME;
	}
}

/* The refusal stands, unless there is nothing that the item could be in: then the next pass knows what to do. */
static void on_home(struct dav_step *s)
{
	s->homeless |= s->call.code == E_OK && (s->call.status == 404 || s->call.status == 410);
	s->stage = DAV_DONE;
	if (s->homeless) {
		s->op->code = E_FOLDER_GONE;
		s->op->text = "the collection is not there any more";
	}
}

static void on_look(struct dav_step *s)
{
	struct ep_op *op = s->op;

	if (op->kind != EP_CREATE) {
		bool gone = s->call.status == 404 || s->call.status == 410;

		dav_step_done(s, gone ? E_ITEM_GONE : E_ITEM_CHANGED, NULL);
		return;
	}
	if (dav_step_good(s) && dav_same_uid(s, s->call.http.answer)) {
		dav_step_done(s, E_ITEM_UNCERTAIN, "an item of that UID is there already");
		return;
	}
	if (++s->attempt >= ATTEMPTS) {
		dav_step_done(s, E_ITEM_REFUSED, "the server has other items under every name tried");
		return;
	}
	s->stage = DAV_MAIN;
}

static void ask(struct dav_step *s)
{
	if (s->op->kind == EP_MOVE)
		dav_move_ask(s);
	else if (s->stage == DAV_LOOK)
		ask_look(s);
	else if (s->stage == DAV_HOME)
		ask_home(s);
	else
		ask_main(s);
}

static void on_answer(struct dav_step *s)
{
	if (s->op->kind == EP_MOVE)
		dav_move_answer(s);
	else if (s->stage == DAV_LOOK)
		on_look(s);
	else if (s->stage == DAV_HOME)
		on_home(s);
	else
		on_main(s);
}

/* --- a batch --- */

static void begin(struct dav_step *s, struct dav *d, struct arena *arena, struct ep_op *op)
{
	struct err err = ERR_INIT;
	enum code rc = E_OK;

	*s = (struct dav_step){ .d = d, .arena = arena, .op = op, .stage = DAV_MAIN };
	buf_init(&s->own, DAV_ITEM_MAX);
	op->code = E_CANCELLED;
	op->text = NULL;
	op->new_id = op->new_version = SPAN_NONE;
	if (op->kind == EP_FLAGS || op->kind == EP_COPY)
		rc = err_set(&err, E_UNSUPPORTED, "records have no flags and are not copied");
	else if (op->kind == EP_MOVE && dav_side_of(op->folder->kind) != dav_side_of(op->to->kind))
		rc = err_set(&err, E_ITEM_REFUSED, "a contact cannot be moved into a calendar, nor back");
	else if (op->kind == EP_CREATE || op->kind == EP_UPDATE)
		rc = load(s, &err);
	if (rc == E_OK && op->version.n > sizeof(s->match) - 16)
		rc = err_set(&err, E_ITEM_REFUSED, "the item's ETag is too long");
	if (rc != E_OK)
		dav_step_done(s, rc, arena_str(arena, span_of(err_text(&err))));
}

/* The call ended early: what this one request's fate is. */
static void cut_short(struct dav_step *s)
{
	struct ep_op *op = s->op;

	if (s->call.code == E_OK)
		on_answer(s);
	if (s->stage == DAV_DONE || s->stage == DAV_HOME || op->code == E_ITEM_CHANGED)
		return;              /* what it is was known before */
	if (s->call.http.sent || s->stage != DAV_MAIN || s->attempt > 0) {
		op->code = E_ITEM_UNCERTAIN;
		op->text = s->call.text;
	}
}

enum code dav_apply_verb(struct endpoint *ep, struct arena *arena, struct ep_op *ops, size_t n, struct err *err)
{
	struct dav_step *steps = mem_calloc(n, sizeof(*steps));
	struct dav_call **calls = mem_calloc(n, sizeof(*calls));
	struct dav_step **asked = mem_calloc(n, sizeof(*asked));
	enum code rc = E_OK;
	size_t active;

	for (size_t i = 0; i < n; i++)
		begin(&steps[i], ep->impl, arena, &ops[i]);
	do {
		active = 0;
		for (size_t i = 0; i < n; i++) {
			if (steps[i].stage == DAV_DONE)
				continue;
			ask(&steps[i]);
			asked[active] = &steps[i];
			calls[active++] = &steps[i].call;
		}
		if (active > 0)
			rc = dav_run(ep->impl, arena, calls, active, err);
		for (size_t i = 0; i < active; i++) {
			if (rc == E_OK)
				on_answer(asked[i]);
			else
				cut_short(asked[i]);
		}
	} while (rc == E_OK && active > 0);
	for (size_t i = 0; i < n; i++) {
		if (steps[i].called)
			dav_call_free(&steps[i].call);
		buf_free(&steps[i].own);
	}
	mem_free(steps);
	mem_free(calls);
	mem_free(asked);
	return rc;
}
