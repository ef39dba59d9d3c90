/* pass.c - one pass, from open to record, in order. */
#include "pass_private.h"

#include "../../common/clock.h"
#include "../../common/log.h"
#include "../../common/mem.h"
#include "../data/path.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

enum code pass_both(struct pass *p, enum ep_verb verb, struct arena *arena, void *items[SIDES],
		    const size_t n[SIDES], struct err *err)
{
	struct ep_req req[SIDES] = { 0 };
	enum code rc = E_OK;

	for (int s = 0; s < SIDES; s++) {
		req[s] = (struct ep_req){ .verb = verb, .arena = arena, .items = items[s], .n = n[s] };
		if (n[s] > 0)
			ep_ask(p->ep[s], &req[s]);
	}
	for (int s = 0; s < SIDES; s++) {
		if (n[s] == 0)
			continue;
		enum code one = ep_collect(&req[s], rc == E_OK ? err : NULL);
		rc = rc == E_OK ? one : rc;
	}
	return rc;
}

/* --- callbacks of the endpoints --- */

struct side_ctx {
	struct pass *pass;
	enum side side;
};

static enum code give_secret(void *ctx, const char *purpose, struct secret **secret_r, struct err *err)
{
	struct side_ctx *c = ctx;
	const struct pass_env *env = c->pass->env;

	return env->secret(env->ctx, c->side, purpose, secret_r, err);
}

static const char *kv_key(enum side side, const char *key, struct arena *arena)
{
	return arena_printf(arena, "kv.%s.%s", side_name(side), key);
}

static enum code kv_get(void *ctx, const char *key, struct arena *arena, struct span *value_r, struct err *err)
{
	struct side_ctx *c = ctx;

	return base_meta_get(c->pass->base, kv_key(c->side, key, arena), arena, value_r, err);
}

static enum code kv_put(void *ctx, const char *key, struct span value, struct err *err)
{
	struct side_ctx *c = ctx;
	enum code rc = base_meta_put(c->pass->base, kv_key(c->side, key, c->pass->arena), value, err);

	return rc == E_OK ? base_commit(c->pass->base, err) : rc;
}

/* --- open --- */

static enum code make_endpoints(struct pass *p, struct side_ctx ctx[SIDES], struct err *err)
{
	enum code rc = E_OK;

	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		const struct conf_mailbox *m = &p->env->pairing->mailbox[s];
		struct ep_env env = { .conf = m->endpoint, .mailbox = m, .ca_pem = p->env->ca_pem[s],
				      .kinds = conf_pairing_kinds(p->env->pairing),
				      .looks_only = p->env->mode != PASS_SYNC, .spool_dir = p->spool_dir,
				      .ctx = &ctx[s], .secret = give_secret,
				      .kv_get = kv_get, .kv_put = kv_put };

		ctx[s] = (struct side_ctx){ p, (enum side)s };
		rc = ep_new(&env, (enum side)s, &p->ep[s], err);
		if (rc != E_OK)
			err->side = (int8_t)s;
	}
	return rc;
}

/* Both logons are under way before either is awaited. */
static enum code open_both(struct pass *p, struct err *err)
{
	struct ep_req req[SIDES];
	enum code rc = E_OK;

	for (int s = 0; s < SIDES; s++) {
		req[s] = (struct ep_req){ .verb = EP_V_OPEN, .arena = p->arena };
		ep_ask(p->ep[s], &req[s]);
	}
	for (int s = 0; s < SIDES; s++) {
		struct err one = ERR_INIT;
		enum code code = ep_collect(&req[s], &one);

		p->result->logged_on[s] = code == E_OK;
		p->result->logon_refused[s] = code == E_LOGON_FAILED;
		if (p->env->logon != NULL)
			p->env->logon(p->env->ctx, (enum side)s, code);
		if (code == E_OK)
			continue;
		err_prefix(&one, "%s", p->env->pairing->mailbox[s].endpoint->name);
		/* a refused logon outranks whatever the other side suffers from */
		if (rc == E_OK || (rc != E_LOGON_FAILED && code == E_LOGON_FAILED)) {
			*err = one;
			err->code = rc = code;
			err->side = (int8_t)s;
		}
	}
	return rc;
}

/* The store behind a mailbox must be the one that was synchronised. */
static enum code check_identity(struct pass *p, struct err *err)
{
	static const char *const keys[SIDES] = { "identity.left", "identity.right" };
	enum code rc = E_OK;

	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		struct span known, now = p->ep[s]->identity;

		rc = base_meta_get(p->base, keys[s], p->arena, &known, err);
		if (rc != E_OK || now.n == 0)
			continue;
		if (known.n > 0 && !span_eq(known, now))
			return err_set(err, E_STORE_CHANGED, "%s: the store behind %s is not the one that was "
				       "synchronised before", p->env->pairing->mailbox[s].endpoint->name,
				       p->env->pairing->mailbox[s].smtp_name);
		if (known.n == 0)
			rc = base_meta_put(p->base, keys[s], now, err);
	}
	return rc == E_OK ? base_commit(p->base, err) : rc;
}

/* --- the steps between reading and writing --- */

/* Gone on the side other than `s`, so `s` would drop it. */
static bool is_dropped(const struct plan_folder *f, int s)
{
	enum side o = side_other((enum side)s);

	return f->ep[s] != NULL && f->ep[o] == NULL && f->base->side[o].id.n > 0;
}

/* A folder cannot go while one below it stays: a new one, or one that comes back itself. */
static void want_parents(struct pass *p, bool *wanted)
{
	bool any = false;

	for (size_t i = 0; i < p->plan.n_folders; i++)
		any |= is_dropped(&p->plan.folders[i], SIDE_LEFT) || is_dropped(&p->plan.folders[i], SIDE_RIGHT);
	for (size_t i = 0; any && i < p->plan.n_folders; i++) {
		const struct plan_folder *child = &p->plan.folders[i];

		for (int s = 0; s < SIDES; s++) {
			if (child->ep[s] == NULL || child->blocked || (is_dropped(child, s) && !wanted[i]))
				continue;
			for (size_t k = 0; k < p->plan.n_folders; k++) {
				const struct plan_folder *f = &p->plan.folders[k];

				if (is_dropped(f, s) && f->base->kind == child->base->kind &&
				    path_is_below(child->ep[s]->path, f->ep[s]->path))
					wanted[k] = true;
			}
		}
	}
}

/* A folder that is gone on one side but has news, changes or a folder that stays on the other comes
 * back. */
static enum code revive_folders(struct pass *p, struct err *err)
{
	struct folder_step *steps = arena_calloc(p->arena, p->plan.n_folders + 1, sizeof(*steps));
	size_t n = 0;
	bool *wanted = arena_calloc(p->arena, p->plan.n_folders + 1, sizeof(*wanted));

	for (size_t i = 0; i < p->plan.n_news; i++) {
		const struct plan_new *x = p->plan.news[i];

		if (!x->passive && !x->skip && !x->taken && x->id.n > 0)
			wanted[x->folder] = true;
	}
	for (size_t i = 0; i < p->plan.n_places; i++) {
		const struct plan_place *pp = p->plan.places[i];

		for (int s = 0; s < SIDES; s++) {
			if (pp->gone[side_other((enum side)s)] && !pp->gone[s] && pp->seen[s] &&
			    (pp->edited[s] || !flagset_eq(pp->now[s], pp->base.flags)))
				wanted[pp->folder] = true;
		}
	}
	want_parents(p, wanted);
	for (size_t i = 0; i < p->plan.n_folders; i++) {
		struct plan_folder *f = &p->plan.folders[i];

		for (int s = 0; s < SIDES && wanted[i] && !f->blocked; s++) {
			if (f->ep[s] == NULL && f->base->side[s].id.n > 0)
				steps[n++] = (struct folder_step){ .kind = FOLDER_CREATE,
						.side = (enum side)s, .folder = (int)i,
								   .path = plan_revival_path(&p->plan, f,
											     (enum side)s),
								   .why = "removed there but changed here" };
		}
	}
	if (n == 0 || p->env->mode != PASS_SYNC)
		return E_OK;
	/* in one transaction with the intent: the new folder's ids must not be taken for the old ones */
	enum code rc = E_OK;
	for (size_t i = 0; rc == E_OK && i < p->plan.n_places; i++) {
		if (wanted[p->plan.places[i]->folder])
			rc = pass_displace(p, p->plan.places[i], err);
	}
	return rc == E_OK ? pass_create_folders(p, steps, n, err) : rc;
}

/* What cannot be worked on in this pass is left as it is. */
static void leave_blocked(struct pass *p)
{
	for (size_t i = 0; i < p->plan.n_folders; i++) {
		struct plan_folder *f = &p->plan.folders[i];

		for (int s = 0; s < SIDES; s++) {
			if (f->ep[s] == NULL && f->base->side[s].id.n == 0 && p->env->mode == PASS_SYNC)
				f->blocked = true;
		}
		if (f->blocked)
			f->dirty[SIDE_LEFT] = f->dirty[SIDE_RIGHT] = true;
	}
	for (size_t i = 0; i < p->plan.n_news; i++)
		p->plan.news[i]->skip |= p->plan.folders[p->plan.news[i]->folder].blocked;
	for (size_t i = 0; i < p->plan.n_places; i++)
		p->plan.places[i]->done |= p->plan.folders[p->plan.places[i]->folder].blocked;
}

static bool side_empty(const struct ep_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->folders[i].selectable && list->folders[i].count != 0)
			return false;
	}
	return true;
}

static enum code guard(struct pass *p, struct err *err)
{
	struct guard_input in = { .limits = &p->env->pairing->guard, .first_done = p->first_done,
				  .empty = { side_empty(&p->list[SIDE_LEFT]), side_empty(&p->list[SIDE_RIGHT]) } };
	struct guard_result r;
	enum code rc = E_OK;

	if (guard_needs_counts(&p->plan, in.limits) || in.empty[SIDE_LEFT] || in.empty[SIDE_RIGHT]) {
		rc = base_place_count(p->base, 0, &in.total_places, err);
		for (size_t i = 0; rc == E_OK && i < p->plan.n_folders; i++) {
			if (p->plan.folders[i].base->row != 0)
				rc = base_place_count(p->base, p->plan.folders[i].base->row,
						&p->plan.folders[i].places, err);
		}
	}
	if (rc != E_OK)
		return rc;
	guard_apply(&p->plan, &in, &r);
	if (r.why[0] != '\0')
		log_warning("%s", r.why);
	return E_OK;
}

static enum code read_and_plan(struct pass *p, struct err *err)
{
	enum code rc = pass_folders(p, err);

	if (rc == E_OK)
		rc = pass_changes(p, err);
	if (rc == E_OK)
		rc = revive_folders(p, err);
	if (rc != E_OK)
		return rc;
	leave_blocked(p);
	rc = pass_identify(p, err);
	if (rc != E_OK)
		return rc;
	plan_items(&p->plan);
	return guard(p, err);
}

static enum code count_solos(struct pass *p, struct err *err)
{
	uint64_t n[SOLO_STATES], refused;
	enum code rc = base_solo_counts(p->base, n, err);

	if (rc == E_OK)
		rc = base_records_refused_count(p->base, &refused, err);
	if (rc != E_OK)
		return rc;
	p->result->quarantined += n[SOLO_QUARANTINED] + refused;
	p->result->held = n[SOLO_HELD_DELETE] + n[SOLO_HELD_CREATE];
	return base_place_count(p->base, 0, &p->result->done, err);
}

bool pass_missing(const struct pass *p, struct err *err)
{
	for (int s = 0; s < SIDES; s++) {
		if (p->ep[s]->missing.code == E_OK)
			continue;
		if (err != NULL) {
			*err = p->ep[s]->missing;
			err->side = (int8_t)s;
			err_prefix(err, "%s", p->env->pairing->mailbox[s].endpoint->name);
		}
		return true;
	}
	return false;
}

static enum code sync_pass(struct pass *p, struct err *err)
{
	enum code rc = read_and_plan(p, err);

	if (rc == E_OK)
		rc = pass_apply(p, err);
	bool yielded = rc == E_YIELDED;
	if (rc == E_OK)
		rc = pass_remove_folders(p, err);
	if (rc == E_OK || yielded) {
		enum code stored = pass_commit_cursors(p, err);

		rc = stored != E_OK ? stored : rc;
	}
	if (rc == E_OK && !p->first_done && !pass_missing(p, NULL)) {
		rc = base_meta_put(p->base, "first_done", SPAN_LIT("1"), err);
		if (rc == E_OK)
			rc = base_commit(p->base, err);
		p->first_done = rc == E_OK;
	}
	if (rc != E_OK && rc != E_YIELDED)
		return rc;
	enum code counted = pass_refused_save(p, err);
	if (counted == E_OK)
		counted = count_solos(p, err);
	if (counted != E_OK)
		return counted;
	if (rc == E_OK && pass_missing(p, err))
		return err->code;
	if (rc == E_OK && p->result->held > 0)
		return err_set(err, E_HELD, "%llu changes are held back", (unsigned long long)p->result->held);
	return rc;
}

static enum code open_base(struct pass *p, struct err *err)
{
	char *pairing = mem_printf("%s %s\n%s %s", p->env->pairing->mailbox[SIDE_LEFT].endpoint->name,
				   p->env->pairing->mailbox[SIDE_LEFT].smtp_name,
				   p->env->pairing->mailbox[SIDE_RIGHT].endpoint->name,
				   p->env->pairing->mailbox[SIDE_RIGHT].smtp_name);
	enum code rc = base_open(p->env->state_dir, pairing, p->env->generation, &p->base, &p->rebuilt, err);

	mem_free(pairing);
	return rc;
}

/* What needs both sides. */
static enum code both_sides(struct pass *p, struct err *err)
{
	enum code rc = open_both(p, err);

	if (rc == E_OK)
		rc = check_identity(p, err);
	if (rc != E_OK)
		return rc;
	if (p->env->mode == PASS_VERIFY)
		return pass_verify(p, err);
	if (p->env->mode == PASS_SYNC)
		return sync_pass(p, err);
	rc = read_and_plan(p, err);
	return rc == E_OK ? pass_report_plan(p, err) : rc;
}

static enum code run(struct pass *p, struct err *err)
{
	struct side_ctx ctx[SIDES];
	struct span done;
	enum code rc;

	if (p->env->mode >= PASS_QUARANTINE) {
		rc = base_exists(p->env->state_dir) ? open_base(p, err) : E_OK;
		return rc == E_OK ? pass_ask(p, err) : rc;
	}
	rc = open_base(p, err);
	if (rc == E_OK && p->env->mode == PASS_SYNC)
		rc = base_journal_begin(p->base, err);
	if (rc == E_OK)
		rc = base_meta_get(p->base, "first_done", p->arena, &done, err);
	if (rc == E_OK) {
		p->first_done = done.n > 0;
		rc = make_endpoints(p, ctx, err);
	}
	if (rc == E_OK)
		rc = p->env->mode == PASS_TEST ? pass_try(p, err) :
		     p->env->mode == PASS_ADDRESSES ? pass_addresses(p, err) : both_sides(p, err);
	/* endpoints close while the base is still open: they may store small things */
	for (int s = 0; s < SIDES; s++) {
		if (p->ep[s] != NULL) {
			p->result->written[s] = p->ep[s]->written;
			p->result->written_bytes[s] = p->ep[s]->written_bytes;
		}
		ep_free(&p->ep[s]);
	}
	return rc;
}

void pass_run(const struct pass_env *env, struct pass_result *result)
{
	struct pass p = { .env = env, .result = result, .spool_dir = -1 };

	*result = (struct pass_result){ .err = ERR_INIT, .verdict = 2 };
	p.arena = arena_new(PASS_ARENA);
	p.plan.arena = p.arena;
	p.spool_dir = open(env->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p.spool_dir < 0)
		result->code = err_errno(&result->err, E_IO, "%s", env->state_dir);
	else
		result->code = run(&p, &result->err);
	result->first_done = p.first_done;
	if (result->code != E_OK && result->code != E_THROTTLED)
		result->err.wait_ms = 0;
	result->wait_ms = result->err.wait_ms;
	base_close(&p.base);
	json_decref(p.refused);
	if (p.spool_dir >= 0)
		close(p.spool_dir);
	arena_free(&p.arena);
}
