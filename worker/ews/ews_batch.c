/* ews_batch.c - elements of requests in batches, several requests at a time.
 *
 * 1. The answer's messages stand in the order of the request's elements. An element that has none is asked again. Not
 *    so a write, which may have been made; and an answer to writes that has not as many messages as they are is about
 *    nobody knows which of them.
 * 2. After a hard failure the server gives up the rest of a batch (ErrorBatchProcessingStopped): that goes again,
 *    each alone. So do the elements of a request that failed as a whole without being about the side.
 * 3. An element is asked at most three times.
 */
#include "ews.h"

#include "../../common/mem.h"

#define ATTEMPTS 3

struct request {
	struct ews_batch *b;
	struct ews_el **els;
	size_t n, told;                  /* elements, and messages */
	struct ews_call call;
	enum code side;                  /* of a message that concerns all */
};

static enum code on_object(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct request *r = ctx;

	return message < r->n && r->b->object != NULL ? r->b->object(r->b->ctx, r->els[message], o, err) : E_OK;
}

static enum code on_mime(void *ctx, size_t message, struct span piece, struct err *err)
{
	struct request *r = ctx;

	return message < r->n ? r->b->mime(r->b->ctx, r->els[message], piece, err) : E_OK;
}

static enum code on_message(void *ctx, size_t message, const struct ews_object *m, struct err *err)
{
	struct request *r = ctx;
	struct err why = ERR_INIT;
	enum code rc;

	if (message >= r->n)
		return err_set(err, E_PROTOCOL, "the server answered more than it was asked");
	r->told++;
	if (ews_error_stopped(ews_text(m, "ResponseCode"))) {
		r->els[message]->alone = r->els[message]->stopped = true;
		return E_OK;
	}
	rc = ews_outcome(m, r->b->what, &why);
	if (ews_error_is_side(rc)) {
		*err = why;
		return rc;
	}
	struct ews_el *el = r->els[message];
	if (el->code == E_CANCELLED || rc != E_OK)
		return ews_element_end(r->b->arena, rc, &why, &el->code, &el->text);
	return E_OK;                         /* its object was not to our liking */
}

/* Take elements for one request; they are E_CANCELLED and not yet in one of this round. */
static void fill(struct request *r, struct ews_el **left, size_t *n_left)
{
	static const struct ews_handler plain = { on_object, on_message, NULL };
	static const struct ews_handler with_mime = { on_object, on_message, on_mime };
	struct ews_batch *b = r->b;
	size_t bytes = 0, kept = 0;

	ews_call_init(b->e, &r->call, b->mime != NULL ? &with_mime : &plain, r);
	r->call.http.once = b->writes;
	for (size_t i = 0; i < *n_left; i++) {
		struct ews_el *el = left[i];
		struct err why = ERR_INIT;
		bool fits = r->n == 0 || (el->group == r->els[0]->group && !el->alone && !r->els[0]->alone &&
					  r->n < b->items && bytes + el->bytes <= b->bytes);

		if (!fits) {
			left[kept++] = el;
			continue;
		}
		size_t mark = r->call.body.n;
		if (r->n == 0)
			b->begin(b->ctx, &r->call.body, el);
		enum code rc = b->one(b->ctx, &r->call.body, el, &why);
		if (rc == E_OK && r->call.body.overflow)
			rc = err_set(&why, E_ITEM_TOO_BIG, "the item is larger than a request may be");
		if (rc != E_OK) {
			r->call.body.n = mark;       /* nothing of it stays in the request */
			r->call.body.overflow = false;
			el->code = rc;
			el->text = arena_str(b->arena, span_of(err_text(&why)));
			continue;
		}
		r->call.stream = el->stream;
		r->call.stream_at = el->stream_at;
		bytes += el->bytes;
		el->attempts++;
		el->stopped = false;
		r->els[r->n++] = el;
	}
	*n_left = kept;
	if (r->n > 0)
		b->end(b->ctx, &r->call.body, r->els[0]);
}

/* It was carried out, as far as anybody knows. */
static bool was_heard(const struct ews_call *c)
{
	return c->http.status >= 200 && c->http.status < 300 && c->fault.n == 0;
}

/* What the request's fate means for the elements that have none of their own. */
static void settle(struct request *r)
{
	const struct ews_call *c = &r->call;
	bool astray = r->b->writes && c->code == E_OK && r->told != r->n;

	for (size_t i = 0; i < r->n; i++) {
		struct ews_el *el = r->els[i];

		el->sent |= c->http.sent;
		if (astray) {
			el->code = E_ITEM_UNCERTAIN;
			el->text = "the server's answer is not about all that it was asked to do";
			continue;
		}
		if (el->code != E_CANCELLED || c->code == E_CANCELLED || ews_error_is_side(c->code))
			continue;
		if (r->b->writes && was_heard(c) && !el->stopped) {
			el->code = E_ITEM_UNCERTAIN;
			el->text = "the server's answer says nothing about it";
		} else if (c->code != E_OK && r->n == 1) {
			el->code = c->code;
			el->text = arena_str(r->b->arena, span_of(err_text(&c->err)));
		} else if (el->attempts >= ATTEMPTS) {
			el->code = E_ITEM_REFUSED;
			el->text = "the server gives no answer about it";
		}
		el->alone |= c->code != E_OK;
	}
}

static enum code round_of(struct ews_batch *b, struct ews_el **left, size_t n_left, struct err *err)
{
	struct request *reqs = mem_calloc(b->e->in_flight, sizeof(*reqs));
	struct ews_call **calls = mem_calloc(b->e->in_flight, sizeof(*calls));
	enum code rc = E_OK;
	size_t n = 0;

	while (n < b->e->in_flight && n_left > 0) {
		struct request *r = &reqs[n];

		r->b = b;
		r->els = mem_calloc(b->items, sizeof(*r->els));
		fill(r, left, &n_left);
		calls[n++] = &r->call;
		if (r->n == 0) {
			ews_call_free(&r->call);
			mem_free(r->els);
			n--;
			*r = (struct request){ 0 };
		}
	}
	if (n > 0)
		rc = ews_run(b->e, b->arena, calls, n, err);
	for (size_t i = 0; i < n; i++) {
		settle(&reqs[i]);
		ews_call_free(&reqs[i].call);
		mem_free(reqs[i].els);
	}
	mem_free(reqs);
	mem_free(calls);
	return rc;
}

enum code ews_batch_run(struct ews_batch *b, struct ews_el *els, size_t n, struct err *err)
{
	struct ews_el **left = mem_calloc(n, sizeof(*left));
	enum code rc = E_OK;
	size_t n_left;

	do {
		n_left = 0;
		for (size_t i = 0; i < n; i++)
			if (els[i].code == E_CANCELLED)
				left[n_left++] = &els[i];
		if (n_left > 0)
			rc = round_of(b, left, n_left, err);
	} while (rc == E_OK && n_left > 0);
	mem_free(left);
	return rc;
}
