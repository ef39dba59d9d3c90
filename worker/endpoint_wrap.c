/* endpoint_wrap.c - the only caller of the protocol tables: runs each verb on the side's fiber,
 * checks the contract, counts steps and injects stops.
 */
#include "endpoint.h"

#include "../common/clock.h"
#include "../common/fail.h"
#include "../common/mem.h"
#include "fiber.h"

enum code ep_new(const struct ep_env *env, enum side side, struct endpoint **ep_r, struct err *err)
{
	const struct ep_ops *ops = ep_choose(env);

	if (ops == NULL)
		return err_set(err, E_UNSUPPORTED, "endpoint %s: this build has no type \"%s\"",
			       env->conf->name, env->conf->type);
	struct endpoint *ep = mem_alloc(sizeof(*ep));
	ep->ops = ops;
	ep->env = *env;
	ep->side = side;
	enum code rc = ops->make(ep, err);
	if (rc != E_OK) {
		mem_free(ep);
		return rc;
	}
	ep->fiber = fiber_new(side_name(side));
	*ep_r = ep;
	return E_OK;
}

static void close_verb(void *arg)
{
	struct endpoint *ep = arg;

	ep->ops->close(ep);
}

void ep_free(struct endpoint **epp)
{
	struct endpoint *ep = *epp;

	if (ep == NULL)
		return;
	fiber_join(ep->fiber);
	fiber_start(ep->fiber, close_verb, ep);
	fiber_join(ep->fiber);
	fiber_free(&ep->fiber);
	mem_free(ep);
	*epp = NULL;
}

/* Make the folders of ep_changes.make, then read what there is to read. */
static enum code make_and_read(struct endpoint *ep, struct ep_req *r)
{
	struct ep_changes *c = r->items, *read = arena_calloc(r->arena, r->n + 1, sizeof(*read));
	struct ep_folder_op *ops = arena_calloc(r->arena, r->n + 1, sizeof(*ops));
	size_t n_ops = 0, n = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (c[i].make != NULL)
			ops[n_ops++] = *c[i].make;
	}
	if (ep->ops->changes_make || n_ops == 0)
		return ep->ops->changes(ep, r->arena, c, r->n, &r->err);
	enum code rc = ep->ops->folders(ep, r->arena, ops, n_ops, &r->err);
	n_ops = 0;
	for (size_t i = 0; i < r->n; i++) {
		if (c[i].make != NULL) {
			*c[i].make = ops[n_ops++];
			c[i].code = c[i].make->code;
			c[i].text = c[i].make->text;
		}
		if (c[i].make == NULL || ep_folder_made(c[i].make)) {
			read[n] = c[i];
			read[n++].make = NULL;
		}
	}
	if (rc == E_OK)
		rc = ep->ops->changes(ep, r->arena, read, n, &r->err);
	n = 0;
	for (size_t i = 0; rc == E_OK && i < r->n; i++) {
		struct ep_folder_op *make = c[i].make;

		if (make != NULL && !ep_folder_made(make))
			continue;
		c[i] = read[n++];
		c[i].make = make;
	}
	return rc;
}

static enum code run_verb(struct endpoint *ep, struct ep_req *r)
{
	const struct ep_ops *ops = ep->ops;

	switch (r->verb) {
	case EP_V_OPEN:
		return ops->open(ep, &r->err);
	case EP_V_LIST:
		return ops->list(ep, r->arena, r->items, &r->err);
	case EP_V_CHANGES:
		return make_and_read(ep, r);
	case EP_V_DESCRIBE:
		return ops->describe(ep, r->arena, r->items, r->n, &r->err);
	case EP_V_FETCH:
		return ops->fetch(ep, r->arena, r->items, r->n, &r->err);
	case EP_V_PREPARE:
		return ops->prepare != NULL ? ops->prepare(ep, r->arena, r->items, r->n, &r->err) : E_OK;
	case EP_V_APPLY:
		return ops->apply(ep, r->arena, r->items, r->n, &r->err);
	case EP_V_FOLDERS:
		return ops->folders(ep, r->arena, r->items, r->n, &r->err);
	case EP_V_ADVISE:
		return ops->advise(ep, r->arena, r->items, &r->err);
	case EP_V_DIRECTORY:
		return ops->directory(ep, r->arena, r->items, &r->err);
	}
	return err_set(&r->err, E_INTERNAL, "no such verb");
}

/* A verb that was not run leaves every element "not attempted". */
static void mark_unattempted(struct ep_req *r)
{
	for (size_t i = 0; i < r->n; i++) {
		switch (r->verb) {
		case EP_V_CHANGES: ((struct ep_changes *)r->items)[i].code = E_CANCELLED; break;
		case EP_V_DESCRIBE: ((struct ep_meta *)r->items)[i].code = E_CANCELLED; break;
		case EP_V_FETCH: ((struct ep_fetch *)r->items)[i].code = E_CANCELLED; break;
		case EP_V_APPLY: ((struct ep_op *)r->items)[i].code = E_CANCELLED; break;
		case EP_V_FOLDERS: ((struct ep_folder_op *)r->items)[i].code = E_CANCELLED; break;
		case EP_V_OPEN:
		case EP_V_LIST:
		case EP_V_PREPARE:
		case EP_V_ADVISE:
		case EP_V_DIRECTORY: break;
		}
	}
}

/* For the figures: what the store took, whether or not the whole call went well. */
static void count_writes(struct endpoint *ep, const struct ep_req *r)
{
	const struct ep_op *ops = r->items;

	for (size_t i = 0; r->verb == EP_V_APPLY && i < r->n; i++) {
		if (ops[i].code != E_OK)
			continue;
		ep->written++;
		if (ops[i].kind == EP_CREATE && ops[i].body != NULL)
			ep->written_bytes += body_size(ops[i].body);
	}
}

/* --- endpoints that asked others to slow down --- */

#define WAIT_MAX_MS 20000        /* a longer pause is not sat out: the worker is of use elsewhere */
static int64_t paused_until[SIDES];

void ep_pause(enum side side, int64_t until_ms)
{
	paused_until[side] = until_ms;
}

static enum code sit_out(const struct endpoint *ep, struct err *err)
{
	int64_t left = paused_until[ep->side] - clock_mono_ms();

	if (paused_until[ep->side] == 0 || left <= 0)
		return E_OK;
	if (left > WAIT_MAX_MS) {
		err_set(err, E_THROTTLED, "endpoint %s is not to be asked for %lld s more", ep->env.conf->name,
			(long long)(left + 999) / 1000);
		err->wait_ms = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
		return E_THROTTLED;
	}
	enum code rc = fiber_wait(-1, 0, paused_until[ep->side], err);
	if (rc != E_TIMEOUT)
		return rc;
	err_clear(err);
	return E_OK;
}

static void run_one(struct endpoint *ep, struct ep_req *r)
{
	err_clear(&r->err);
	mark_unattempted(r);
	ep->calls++;
	assert(r->verb == EP_V_OPEN || r->verb == EP_V_ADVISE || r->verb == EP_V_DIRECTORY || ep->opened);
	if (fail_step("verb")) {
		r->code = err_set(&r->err, E_CANCELLED, "stopped before a call");
		return;
	}
	r->code = sit_out(ep, &r->err);
	if (r->code == E_OK)
		r->code = run_verb(ep, r);
	count_writes(ep, r);
	if (r->code != E_OK && r->err.code == E_OK)
		err_set(&r->err, r->code, "%s", code_text(r->code));
	if (r->code != E_OK) {
		r->err.code = r->code;
		r->err.side = (int8_t)ep->side;
	}
	if (r->verb == EP_V_OPEN)
		ep->opened = r->code == E_OK;
	if (fail_step("verb done"))
		r->code = err_set(&r->err, E_CANCELLED, "stopped after a call");
}

static void serve(void *arg)
{
	struct endpoint *ep = arg;

	while (ep->first != NULL) {
		struct ep_req *r = ep->first;

		run_one(ep, r);
		ep->first = r->next;
		if (ep->first == NULL)
			ep->last = NULL;
		r->done = true;
	}
}

void ep_ask(struct endpoint *ep, struct ep_req *r)
{
	assert(!r->asked);
	r->ep = ep;
	r->asked = true;
	r->done = false;
	r->next = NULL;
	if (ep->last != NULL)
		ep->last->next = r;
	else
		ep->first = r;
	ep->last = r;
	if (fiber_idle(ep->fiber))
		fiber_start(ep->fiber, serve, ep);
}

enum code ep_collect(struct ep_req *r, struct err *err)
{
	assert(r->asked);
	fiber_run_until(&r->done);
	r->asked = false;
	if (r->code != E_OK && err != NULL)
		*err = r->err;
	return r->code;
}

enum code ep_call(struct endpoint *ep, enum ep_verb verb, struct arena *arena, void *items, size_t n,
		  struct err *err)
{
	struct ep_req r = { .verb = verb, .arena = arena, .items = items, .n = n };

	ep_ask(ep, &r);
	return ep_collect(&r, err);
}
