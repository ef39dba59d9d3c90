/* dispatch.c - carries out what the core decided.
 *
 * A flush takes all actions at hand, writes every record that they touch in one transaction, and
 * only when that is durable sends tasks (R2 of the supervision rules): so a result and the next
 * grant cost one commit together. What fails on the way goes back to the core as an event.
 */
#include "super.h"

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"

#include <stdio.h>

void dispatch_step(struct super *super, const struct pool_event *event)
{
	pool_step(&super->pool, event, clock_mono_ms());
}

/* --- records --- */

static void explain(struct super *super, const struct pool_action *a, enum code *code, char *text, size_t size)
{
	const struct worker *w = a->slot != POOL_NONE ? &super->workers[a->slot] : NULL;

	switch (a->cause) {
	case POOL_BY_RESULT:
		if (w == NULL || !w->has_result || !code_from_number(w->result.code, code))
			*code = E_INTERNAL;
		snprintf(text, size, "%s", w != NULL && w->result_text[0] != '\0' ? w->result_text :
			 code_text(*code));
		return;
	case POOL_BY_DEATH:
		*code = E_CRASHED;
		if (w != NULL && w->exit_status == MEM_EXIT)
			snprintf(text, size, "the worker ran out of memory; the pass goes on from its state");
		else
			snprintf(text, size, "the worker ended with status %d", w != NULL ? w->exit_status : -1);
		return;
	case POOL_BY_WATCHDOG:
		*code = a->rclass == RC_CRASHED ? E_CRASHED : E_TIMEOUT;
		snprintf(text, size, "the worker stood still and was %s",
			 a->rclass == RC_CRASHED ? "killed" : "asked to stop");
		return;
	case POOL_BY_STILLBIRTH:
		*code = E_INTERNAL;
		snprintf(text, size, "no worker came to life; look at the worker's log");
		return;
	case POOL_BY_REFUSALS:
		*code = E_LOGON_FAILED;
		snprintf(text, size, "the logon was refused %d times in a row and is left alone for now",
			 POOL_REFUSALS);
		return;
	case POOL_BY_REMOVAL:
		*code = E_NOT_FOUND;
		snprintf(text, size, "the pairing was removed from the configuration");
		return;
	}
}

static void note_counts(struct record *r, const struct worker *w)
{
	if (w == NULL || !w->has_result)
		return;
	r->done = w->result.done;
	r->todo = w->result.todo;
	r->quarantined = w->result.quarantined;
	r->held = w->result.held;
	r->first_done = r->first_done || w->result.first_done != 0;
}

static void note_end(struct super *super, const struct pool_action *a, struct unit *unit, int64_t wall)
{
	struct record *r = &unit->record;
	char text[sizeof(r->reason)] = "";
	enum code code = E_OK;

	explain(super, a, &code, text, sizeof(text));
	r->ran = true;
	r->ended_ms = wall;
	r->rclass = a->rclass;
	r->code = code;
	snprintf(r->reason, sizeof(r->reason), "%s", a->rclass == RC_OK ? "" : text);
	if (a->rclass == RC_OK || a->rclass == RC_HELD)
		r->updated_ms = wall;
	if (a->rclass == RC_OK) {
		r->success_ms = wall;
		r->failures = 0;
	} else if (due_is_failure(a->rclass)) {
		r->failures++;
		log_warning("pairing %s: %s: %s %s: %s", r->name, rclass_name(a->rclass), code_name(code),
			    code_remedy(code), text);
	}
	unit->stop_error = a->rclass == RC_STOPPED;
	unit->wants_credentials = code == E_INVALID_CREDENTIALS || code == E_CREDENTIALS_MISSING;
	if (code == E_CREDENTIALS_MISSING)
		pool_set_out(&super->pool, a->pairing, super->pool.pairings[a->pairing].out | POOL_PENDING,
			     clock_mono_ms());
}

/* Crashes and quarantine outlive a restart of the service: one pairing must not kill it for ever. */
static void note_crashes(struct super *super, uint32_t pairing, int64_t wall, int64_t now)
{
	const struct pool_pairing *p = &super->pool.pairings[pairing];
	struct record *r = &super->units[pairing].record;

	r->crashes = p->crashes.n;
	r->crash_level = p->crashes.level;
	r->quarantine_ms = p->quarantined_until > now ? wall + (p->quarantined_until - now) : 0;
}

/* These records and those of grants, births and deaths are enough to check the pool's rules on a real
 * run: tests/e2e/pooltrace.py does it. */
static void trace_ended(const struct super *super, const struct pool_action *a, const struct worker *w)
{
	unsigned logged_on = a->cause == POOL_BY_RESULT && w != NULL && w->has_result ? w->result.logged_on : 0;

	if (a->slot == POOL_NONE)
		return;
	log_debug("pool: ended slot=%u pairing=%s generation=%llu kind=%u class=%s cause=%d logged_on=%u due_ms=%lld",
		  a->slot, super->units[a->pairing].record.name, (unsigned long long)a->generation, a->job_kind,
		  rclass_name(a->rclass), (int)a->cause, logged_on,
		  a->wait_ms == DUE_NEVER ? -1LL : (long long)a->wait_ms);
}

static void on_ended(struct super *super, const struct pool_action *a)
{
	struct unit *unit = &super->units[a->pairing];
	struct record *r = &unit->record;
	const struct worker *w = a->slot != POOL_NONE ? &super->workers[a->slot] : NULL;
	int64_t wall = clock_wall_ms(), now = clock_mono_ms();
	int64_t due = super->pool.pairings[a->pairing].place.due;

	trace_ended(super, a, w);
	r->slot = -1;
	note_crashes(super, a->pairing, wall, now);
	unit_touch(super, a->pairing);
	unit->live_done = unit->live_todo = 0;
	if (a->job_id != 0)
		return;
	r->due_ms = due == DUE_NEVER ? wall : wall + (due - now);
	stats_ended(&super->stats, a->rclass, a->cause == POOL_BY_RESULT && w != NULL && w->has_result ?
		    &w->result : NULL, now - unit->granted_ms);
	if (a->cause == POOL_BY_RESULT && a->rclass != RC_RETURNED)
		note_counts(r, w);
	if (a->rclass != RC_RETURNED && a->rclass != RC_YIELDED)
		note_end(super, a, unit, wall);
}

static void on_grant(struct super *super, const struct pool_action *a)
{
	struct unit *unit = &super->units[a->pairing];
	struct record *r = &unit->record;

	r->generation = a->generation;
	r->slot = (int32_t)a->slot;
	r->incarnation = a->incarnation;
	r->leased_ms = clock_wall_ms();
	log_debug("pool: grant slot=%u incarnation=%u pairing=%s generation=%llu kind=%u", a->slot, r->incarnation,
		  r->name, (unsigned long long)a->generation, a->job_kind);
	unit->granted_ms = clock_mono_ms();
	if (a->job_id == 0) {
		r->started_ms = r->leased_ms;
		stats_observe(&super->stats.lateness,
			      unit->granted_ms - super->pool.pairings[a->pairing].place.due);
	}
	unit_touch(super, a->pairing);
}

void unit_touch(struct super *super, uint32_t unit)
{
	if (super->units[unit].dirty)
		return;
	super->units[unit].dirty = true;
	if ((super->n_dirty & (super->n_dirty - 1)) == 0)
		super->dirty = mem_realloc(super->dirty, super->n_dirty == 0 ? 1 : (size_t)super->n_dirty * 2,
					   sizeof(*super->dirty));
	super->dirty[super->n_dirty++] = unit;
}

enum code dispatch_commit(struct super *super, struct err *err)
{
	enum code rc = super->n_dirty > 0 ? lease_begin(super->leases, err) : E_OK;

	if (super->n_dirty == 0)
		return E_OK;
	for (uint32_t i = 0; rc == E_OK && i < super->n_dirty; i++)
		rc = lease_put(super->leases, &super->units[super->dirty[i]].record, err);
	if (rc == E_OK)
		rc = lease_commit(super->leases, err);
	if (rc != E_OK) {
		lease_rollback(super->leases);
		return rc;
	}
	for (uint32_t i = 0; i < super->n_dirty; i++)
		super->units[super->dirty[i]].dirty = false;
	super->n_dirty = 0;
	return E_OK;
}

/* --- carrying out --- */

static bool send_task(struct super *super, const struct pool_action *a)
{
	const struct conf_pairing *pairing = unit_conf(super, a->pairing);
	const struct ask *ask = a->job_id != 0 ? request_ask(super, a->job_id) : NULL;
	struct err err = ERR_INIT;
	struct wire_msg msg = { .type = WIRE_TASK, .generation = a->generation };

	super->workers[a->slot].has_result = false;
	super->workers[a->slot].result_text[0] = '\0';
	msg.u.TASK.pairing = span_of(super->units[a->pairing].record.name);
	msg.u.TASK.kind = (uint8_t)a->job_kind;
	msg.u.TASK.subjects = ask != NULL && ask->subjects;
	msg.u.TASK.options = ask != NULL ? ask->options : 0;
	msg.u.TASK.limit = ask != NULL ? ask->limit : 0;
	msg.u.TASK.item = ask != NULL ? span_of(ask->item) : SPAN_NONE;
	msg.u.TASK.slice_ms = super->version->conf->time_slice_ms;
	if (pairing != NULL) {
		msg.u.TASK.max_connections_left = pairing->mailbox[SIDE_LEFT].endpoint->max_connections;
		msg.u.TASK.max_connections_right = pairing->mailbox[SIDE_RIGHT].endpoint->max_connections;
	}
	msg.u.TASK.pause_left_ms = pool_pause_ms(&super->pool, a->pairing, SIDE_LEFT, clock_mono_ms());
	msg.u.TASK.pause_right_ms = pool_pause_ms(&super->pool, a->pairing, SIDE_RIGHT, clock_mono_ms());
	if (broker_send(super, a->slot, &msg, &err) == E_OK)
		return true;
	log_warning("worker %u: the task could not be sent: %s", a->slot + 1, err_text(&err));
	return false;
}

static void send_plain(struct super *super, uint32_t slot, enum wire_type type)
{
	struct err err = ERR_INIT;
	struct wire_msg msg = { .type = type };

	if (super->pool.slots[slot].task != POOL_NONE)
		msg.generation = super->pool.pairings[super->pool.slots[slot].task].generation;
	if (broker_send(super, slot, &msg, &err) != E_OK)
		log_debug("worker %u: %s: %s", slot + 1, wire_type_name(type), err_text(&err));
}

static bool do_spawn(struct super *super, uint32_t slot)
{
	struct err err = ERR_INIT;

	super->workers[slot].deaf = false;
	super->workers[slot].has_result = false;
	super->workers[slot].exit_status = 0;
	if (birth_spawn(super, slot, &err) == E_OK) {
		super->stats.workers_started++;
		log_debug("worker %u: pid %d, %u pairings", slot + 1, (int)super->workers[slot].proc.pid,
			  super->pool.slots[slot].n_batch);
		return true;
	}
	log_error("worker %u cannot be started: %s", slot + 1, err_text(&err));
	return false;
}

/* Others must not run into the same wall. */
static void tell_pause(struct super *super, const struct pool_action *a)
{
	const struct worker *w = a->slot != POOL_NONE ? &super->workers[a->slot] : NULL;
	const struct conf_pairing *pairing = unit_conf(super, a->pairing);
	struct err err = ERR_INIT;

	if (a->rclass != RC_THROTTLED || w == NULL || !w->has_result || w->result.side >= SIDES || pairing == NULL)
		return;
	for (uint32_t i = 0; i < POOL_SLOTS_MAX; i++) {
		struct wire_msg msg = { .type = WIRE_PAUSE };

		if (i == a->slot || !slot_has_task(super->pool.slots[i].state))
			continue;
		msg.u.PAUSE.endpoint = span_of(pairing->mailbox[w->result.side].endpoint->name);
		msg.u.PAUSE.pause_ms = pool_pause_ms(&super->pool, a->pairing, (enum side)w->result.side,
						     clock_mono_ms());
		if (broker_send(super, i, &msg, &err) != E_OK)
			log_debug("worker %u: PAUSE: %s", i + 1, err_text(&err));
	}
}

/* False: the core must be told that it did not work out. */
static bool carry_out(struct super *super, const struct pool_action *a, bool committed)
{
	switch (a->kind) {
	case POOL_DO_SPAWN:
		return do_spawn(super, a->slot);
	case POOL_DO_GRANT:
		return committed && send_task(super, a);
	case POOL_DO_CANCEL:
		send_plain(super, a->slot, WIRE_CANCEL);
		return true;
	case POOL_DO_DRAIN:
		send_plain(super, a->slot, WIRE_DRAIN);
		return true;
	case POOL_DO_YIELD:
		send_plain(super, a->slot, WIRE_YIELD);
		return true;
	case POOL_DO_KILL:
		log_warning("worker %u is killed", a->slot + 1);
		super->stats.workers_killed++;
		proc_kill(&super->workers[a->slot].proc);
		return true;
	case POOL_DO_ENDED:
		tell_pause(super, a);
		if (a->job_id != 0 && a->rclass != RC_RETURNED)
			request_ended(super, a);
		else if (a->job_id == 0 && a->rclass != RC_RETURNED && a->rclass != RC_YIELDED)
			request_pass_ended(super, a);
		return true;
	case POOL_DO_RESTART:
		log_warning("the pool restarts: %u tasks in a row could not log on or open the store",
			    super->pool.logon_count);
		return true;
	case POOL_DO_HELD:
		log_info("the pool is up again: restart %u, %u in a row without a good logon, dispatch held for %lld "
			 "ms", super->pool.restarts, super->pool.restarts_in_row, (long long)a->wait_ms);
		return true;
	case POOL_DO_REAPED:
		return true;
	case POOL_DO_STALE:
		super->stale++;
		return true;
	}
	return true;
}

static void take_back(struct super *super, const struct pool_action *a, bool committed)
{
	struct pool_event ev = { .slot = a->slot, .incarnation = a->incarnation };

	ev.kind = a->kind == POOL_DO_SPAWN ? POOL_SPAWN_FAILED : POOL_GRANT_FAILED;
	ev.unsaved = !committed;
	dispatch_step(super, &ev);
}

/* What is to be recorded of an action before anything is carried out, in the order of the decisions. */
static void note(struct super *super, const struct pool_action *a)
{
	if (a->kind == POOL_DO_ENDED)
		on_ended(super, a);
	else if (a->kind == POOL_DO_GRANT)
		on_grant(super, a);
	else if (a->kind == POOL_DO_SPAWN)
		log_debug("pool: spawn slot=%u incarnation=%u", a->slot, a->incarnation);
	else if (a->kind == POOL_DO_REAPED)
		log_debug("pool: reaped slot=%u incarnation=%u", a->slot, a->incarnation);
	else if (a->kind == POOL_DO_RESTART)
		log_debug("pool: restart threshold=%u", pool_threshold(&super->pool));
	else if (a->kind == POOL_DO_HELD)
		log_debug("pool: up held_ms=%lld", (long long)a->wait_ms);
}

static void flush_once(struct super *super)
{
	size_t n = super->pool.n_actions;
	struct pool_action *actions = mem_calloc(n, sizeof(*actions));
	struct err err = ERR_INIT;

	memcpy(actions, super->pool.actions, n * sizeof(*actions));
	pool_actions_done(&super->pool);
	for (size_t i = 0; i < n; i++)
		note(super, &actions[i]);
	bool committed = dispatch_commit(super, &err) == E_OK;
	if (!committed)
		log_error("scheduler.db: %s; no task is handed out until it works", err_text(&err));
	for (size_t i = 0; i < n; i++) {
		if (!carry_out(super, &actions[i], committed))
			take_back(super, &actions[i], committed);
	}
	mem_free(actions);
}

void dispatch_flush(struct super *super)
{
	struct err err = ERR_INIT;

	while (super->pool.n_actions > 0)
		flush_once(super);
	/* what could not be written before, or was touched without an action */
	if (super->n_dirty > 0 && dispatch_commit(super, &err) != E_OK)
		log_error("scheduler.db: %s", err_text(&err));
}
