/* dav_move.c - moving an item between two collections: MOVE, else GET, PUT, DELETE.
 *
 * The name stays, unless something else has it there already. Nothing is lost by an interruption: the copy is
 * made before the original goes, and each request has its condition.
 */
#include "dav_apply.h"

#include <stdio.h>

#define ATTEMPTS 3

static const char *suffix(const struct ep_op *op)
{
	return op->folder->kind == EP_CONTACTS ? ".vcf" : ".ics";
}

static void find_name(struct dav_step *s)
{
	s->name = s->attempt == 0 ? s->op->id : dav_new_name(s->arena, s->op->id, s->attempt, suffix(s->op));
}

static void ask_move(struct dav_step *s)
{
	const struct ep_op *op = s->op;
	const char *to = dav_url(s->d, s->arena, dav_side_of(op->to->kind),
				 dav_item_path(s->arena, op->to->name, s->name));

	dav_write(s, "MOVE", op->folder, op->id, op->version);
	dav_call_header(&s->call, arena_printf(s->arena, "Destination: %s", to));
	dav_call_header(&s->call, "Overwrite: F");
}

void dav_move_ask(struct dav_step *s)
{
	const struct ep_op *op = s->op;

	find_name(s);
	if (s->stage == DAV_MAIN && s->d->service[dav_side_of(op->folder->kind)].no_move)
		s->stage = DAV_COPY_GET;
	switch (s->stage) {
	case DAV_MAIN:
		ask_move(s);
		break;
	case DAV_LOOK:
	case DAV_COPY_GET:
		dav_write(s, "GET", op->folder, op->id, SPAN_NONE);
		s->call.http.max_bytes = DAV_ITEM_MAX;
		break;
	case DAV_COPY_PUT:
		dav_put(s, op->to, s->name, s->text);
		dav_call_header(&s->call, "If-None-Match: *");
		s->call.http.once = true;    /* its own answer of 412 would lead to a second copy */
		break;
	case DAV_COPY_DELETE:
		dav_write(s, "DELETE", op->folder, op->id, s->etag);
		break;
	case DAV_HOME:
	case DAV_DONE:
		break;
	}
}

static void moved(struct dav_step *s)
{
	s->op->new_id = arena_span(s->arena, s->name);
	dav_step_done(s, E_OK, NULL);
}

/* Methods that are not there, and servers that move nothing between collections. */
static bool cannot_move(unsigned int status)
{
	return status == 405 || status == 501 || status == 502 || status == 403 || status == 400 || status == 500;
}

static void on_move(struct dav_step *s)
{
	const unsigned int status = s->call.status;

	if (dav_step_good(s)) {
		moved(s);
	} else if (s->call.code == E_OK && status == 412) {
		s->stage = DAV_LOOK;         /* the version, or the name there? */
	} else if (s->call.code == E_OK && cannot_move(status) && s->call.precondition.n == 0) {
		s->d->service[dav_side_of(s->op->folder->kind)].no_move |= status == 405 || status == 501;
		s->stage = DAV_COPY_GET;
	} else {
		dav_step_fail(s, "moving");
	}
}

/* The source as it is now. False: it is not what the engine knows. */
static bool take_source(struct dav_step *s)
{
	if (!dav_step_good(s)) {
		dav_step_fail(s, "moving");
		return false;
	}
	s->etag = dav_etag(s->call.http.etag);
	if (s->op->version.n > 0 && s->etag.n > 0 && !span_eq(s->etag, s->op->version)) {
		dav_step_done(s, E_ITEM_CHANGED, NULL);
		return false;
	}
	s->text = s->call.http.answer;
	return true;
}

static void other_name(struct dav_step *s, enum dav_stage again)
{
	s->stage = again;
	if (++s->attempt >= ATTEMPTS)
		dav_step_done(s, E_ITEM_REFUSED, "moving: the server has other items under every name tried");
}

static void on_put(struct dav_step *s)
{
	if (dav_step_good(s))
		s->stage = DAV_COPY_DELETE;
	else if (s->call.code == E_OK && s->call.status == 412)
		other_name(s, DAV_COPY_PUT);
	else
		dav_step_fail(s, "moving (as a copy)");
}

static void on_delete(struct dav_step *s)
{
	if (dav_step_good(s) || s->call.status == 404 || s->call.status == 410)
		moved(s);
	else                                 /* both are there; the next pass sees them */
		dav_step_fail(s, "moving (removing the original)");
}

void dav_move_answer(struct dav_step *s)
{
	switch (s->stage) {
	case DAV_MAIN:
		on_move(s);
		break;
	case DAV_LOOK:
		if (take_source(s))
			other_name(s, DAV_MAIN);
		break;
	case DAV_COPY_GET:
		if (take_source(s))
			s->stage = DAV_COPY_PUT;
		break;
	case DAV_COPY_PUT:
		on_put(s);
		break;
	case DAV_COPY_DELETE:
		on_delete(s);
		break;
	case DAV_HOME:
	case DAV_DONE:
		break;
	}
}
