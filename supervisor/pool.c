/* pool.c - what an event does to the pool; see pool.h for the promises. Pure; test: t_pool.c. */
#include "pool_private.h"

#include "../common/mem.h"

struct pool_action *pool_act(struct pool *pool, enum pool_action_kind kind, uint32_t slot)
{
	if (pool->n_actions == pool->cap_actions) {
		pool->cap_actions = pool->cap_actions == 0 ? 64 : pool->cap_actions * 2;
		pool->actions = mem_realloc(pool->actions, pool->cap_actions, sizeof(*pool->actions));
	}
	struct pool_action *a = &pool->actions[pool->n_actions++];
	memset(a, 0, sizeof(*a));
	a->kind = kind;
	a->slot = slot;
	a->incarnation = slot < POOL_SLOTS_MAX ? pool->slots[slot].incarnation : 0;
	a->pairing = POOL_NONE;
	return a;
}

void pool_actions_done(struct pool *pool)
{
	pool->n_actions = 0;
}

void pool_move_slot(struct pool *pool, uint32_t slot, enum slot_event event, int64_t now)
{
	bool ok = slot_step(&pool->slots[slot].state, event);

	assert(ok);
	(void)ok;
	pool->slots[slot].since = now;
}

void pool_kill(struct pool *pool, uint32_t slot, int64_t now)
{
	if (pool->slots[slot].state == SLOT_FREE || pool->slots[slot].state == SLOT_KILLED)
		return;
	pool_move_slot(pool, slot, SLOT_EV_KILL, now);
	pool_act(pool, POOL_DO_KILL, slot);
}

void pool_shut(struct pool *pool, uint32_t slot, enum pool_why why, int64_t now)
{
	struct pool_slot *s = &pool->slots[slot];

	switch (s->state) {
	case SLOT_SPAWNING:
		s->why = why;
		pool_kill(pool, slot, now);
		break;
	case SLOT_IDLE:
		pool_unclaim(pool, slot, now);
		pool_move_slot(pool, slot, SLOT_EV_DRAIN, now);
		pool_act(pool, POOL_DO_DRAIN, slot);
		break;
	case SLOT_ASSIGNED:
	case SLOT_ACCEPTED:
	case SLOT_BUSY:
		s->why = why;
		pool_move_slot(pool, slot, SLOT_EV_CANCEL, now);
		pool_act(pool, POOL_DO_CANCEL, slot);
		break;
	case SLOT_CANCELLING:
		if (s->why == POOL_WHY_CHANGED || s->why == POOL_WHY_LONG)
			s->why = why;
		break;
	case SLOT_FREE:
	case SLOT_DRAINING:
	case SLOT_KILLED:
	case SLOT_STATES:
		break;
	}
}

/* --- the end of a task --- */

/* What came up while the pairing was in hand. */
static void after_lease(struct pool *pool, uint32_t pairing, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	if (p->rerun)
		p->place.due = now;
	p->rerun = false;
	if (p->removed)
		pool_forget(pool, pairing);
	else
		pool_place(pool, pairing, now);
}

void pool_end_pairing(struct pool *pool, uint32_t pairing, enum rclass rclass, enum pool_cause cause,
		      int64_t wait_ms, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	p->place.due = due_after(&pool->rules.due, rclass, now, wait_ms);
	p->place.seq = ++pool->seq;
	if (rclass == RC_STOPPED)
		p->out |= POOL_STOP_ERROR;
	if (rclass == RC_OK) {
		memset(&p->crashes, 0, sizeof(p->crashes));
		p->quarantined_until = 0;
	}
	if (rclass == RC_CRASHED && cause != POOL_BY_RESULT)
		p->quarantined_until = due_note_crash(&p->crashes, now, pool->rules.quarantine_ms);
	p->once_done = rclass != RC_YIELDED && rclass != RC_RETURNED;
	after_lease(pool, pairing, now);
}

/* A job ends without having run. */
void pool_end_job(struct pool *pool, uint32_t job, enum pool_cause cause)
{
	struct pool_job *j = &pool->jobs[job];
	struct pool_action *a = pool_act(pool, POOL_DO_ENDED, POOL_NONE);

	a->pairing = j->pairing;
	a->job_kind = j->kind;
	a->job_id = j->id;
	a->rclass = RC_FAILED;
	a->cause = cause;
}

/* A job that was only returned is queued again; any other end is its end. */
static void after_job(struct pool_job *job, enum rclass rclass)
{
	job->slot = POOL_NONE;
	if (rclass != RC_RETURNED || job->abandoned)
		job->used = false;
}

/* The task of `slot` is over. */
static void end_task(struct pool *pool, uint32_t slot, enum rclass rclass, enum pool_cause cause,
		     int64_t wait_ms, int64_t now)
{
	struct pool_slot *s = &pool->slots[slot];
	uint32_t pairing = s->task;
	struct pool_pairing *p = &pool->pairings[pairing];
	struct pool_action *a = pool_act(pool, POOL_DO_ENDED, slot);

	a->pairing = pairing;
	a->generation = p->generation;
	a->rclass = rclass;
	a->cause = cause;
	s->task = POOL_NONE;
	p->slot = POOL_NONE;
	if (s->job != POOL_NONE) {
		a->job_kind = pool->jobs[s->job].kind;
		a->job_id = pool->jobs[s->job].id;
		after_job(&pool->jobs[s->job], rclass);
		s->job = POOL_NONE;
		after_lease(pool, pairing, now);
		return;
	}
	pool_end_pairing(pool, pairing, rclass, cause, wait_ms, now);
	a->wait_ms = p->place.due == DUE_NEVER ? DUE_NEVER : p->place.due - now;
}

/* --- events --- */

static void on_result(struct pool *pool, const struct pool_event *ev, int64_t now)
{
	struct pool_slot *s = &pool->slots[ev->slot];
	enum rclass rclass = ev->rclass;
	enum pool_cause cause = POOL_BY_RESULT;

	if (s->task == POOL_NONE || s->task != ev->pairing ||
	    pool->pairings[s->task].generation != ev->generation || !slot_step(&s->state, SLOT_EV_RESULT)) {
		pool_act(pool, POOL_DO_STALE, ev->slot);
		return;
	}
	s->since = now;
	s->had_result = true;
	s->stillborn = 0;
	s->rss_kib = ev->rss_kib > s->rss_kib ? ev->rss_kib : s->rss_kib;
	if (s->lane != POOL_NONE && s->why != POOL_WHY_CHANGED)
		pool_note_servers(pool, ev, now);
	if (rclass == RC_RETURNED && s->why == POOL_WHY_LONG)
		rclass = RC_YIELDED;
	if (rclass == RC_YIELDED && s->why == POOL_WHY_WATCHDOG)
		rclass = RC_RETURNED;    /* that is how a sync obeys a CANCEL */
	if (rclass == RC_RETURNED && (s->why == POOL_WHY_WATCHDOG || s->why == POOL_WHY_NONE)) {
		rclass = RC_FAILED;      /* it stood still, or gave up unasked: not at once again */
		cause = POOL_BY_WATCHDOG;
	}
	s->why = POOL_WHY_NONE;
	end_task(pool, ev->slot, rclass, cause, ev->wait_ms, now);
	pool_count_logons(pool, ev, now);
}

static void note_stillborn(struct pool *pool, struct pool_slot *s, int64_t now)
{
	s->stillborn++;
	pool->stillborn++;
	if (pool->mode == POOL_SERVICE)
		s->not_before = now + due_spawn_delay_ms(s->stillborn);
}

/* It was asked to come back, and did not. */
static bool was_watched(const struct pool_slot *s)
{
	return s->why == POOL_WHY_WATCHDOG || s->why == POOL_WHY_LONG;
}

static enum rclass class_of_death(const struct pool_slot *s)
{
	if (s->why == POOL_WHY_RESTART || s->why == POOL_WHY_STOP || s->why == POOL_WHY_CHANGED)
		return RC_RETURNED;
	return s->begun || was_watched(s) ? RC_CRASHED : RC_RETURNED;
}

static void on_reaped(struct pool *pool, const struct pool_event *ev, int64_t now)
{
	struct pool_slot *s = &pool->slots[ev->slot];
	bool left_us = s->state == SLOT_DRAINING || s->why == POOL_WHY_RESTART ||
		       s->why == POOL_WHY_STOP || s->why == POOL_WHY_CHANGED;

	if (!left_us && !s->begun && !s->had_result)
		note_stillborn(pool, s, now);
	if (s->task != POOL_NONE)
		end_task(pool, ev->slot, class_of_death(s),
			 was_watched(s) ? POOL_BY_WATCHDOG : POOL_BY_DEATH, 0, now);
	pool_unclaim(pool, ev->slot, now);
	pool_leave_seats(pool, ev->slot);
	pool_move_slot(pool, ev->slot, SLOT_EV_REAPED, now);
	s->why = POOL_WHY_NONE;
	s->begun = false;
	pool_act(pool, POOL_DO_REAPED, ev->slot);
}

static void on_simple(struct pool *pool, const struct pool_event *ev, enum slot_event se, int64_t now)
{
	struct pool_slot *s = &pool->slots[ev->slot];
	bool task_ok = se == SLOT_EV_READY || (s->task != POOL_NONE &&
		       pool->pairings[s->task].generation == ev->generation);

	if (!task_ok || !slot_step(&s->state, se)) {
		pool_act(pool, POOL_DO_STALE, ev->slot);
		return;
	}
	if (s->state != SLOT_CANCELLING)
		s->since = now;
	s->heard = s->progressed = now;
	if (se == SLOT_EV_BEGUN) {
		s->begun = true;
		pool->stillborn = 0;
	}
}

static void on_heartbeat(struct pool *pool, const struct pool_event *ev, int64_t now)
{
	struct pool_slot *s = &pool->slots[ev->slot];

	if (s->task == POOL_NONE || pool->pairings[s->task].generation != ev->generation) {
		pool_act(pool, POOL_DO_STALE, ev->slot);
		return;
	}
	s->heard = now;
	s->rss_kib = ev->rss_kib;
	if (ev->progress != s->progress)
		s->progressed = now;
	s->progress = ev->progress;
}

static void on_logged_on(struct pool *pool, const struct pool_event *ev, int64_t now)
{
	const struct pool_slot *s = &pool->slots[ev->slot];

	if (s->task == POOL_NONE || pool->pairings[s->task].generation != ev->generation)
		pool_act(pool, POOL_DO_STALE, ev->slot);
	else
		pool_note_logged_on(pool, s->task, ev->logged_on, now);
}

/* The worker has not got its task, so it must go. If the database refused, all wait. */
static void on_grant_failed(struct pool *pool, const struct pool_event *ev, int64_t now)
{
	pool->slots[ev->slot].why = POOL_WHY_RESTART;
	pool->stillborn++;
	if (ev->unsaved)
		pool->hold_until = now + GRANT_HOLD_MS;
	pool_kill(pool, ev->slot, now);
}

static void on_stop(struct pool *pool, int64_t within_ms, int64_t now)
{
	if (pool->phase != POOL_STOPPING || now + within_ms < pool->stop_by)
		pool->stop_by = now + within_ms;
	pool->phase = POOL_STOPPING;
	for (uint32_t i = 0; i < pool->n_slots; i++)
		pool_shut(pool, i, POOL_WHY_STOP, now);
}

void pool_step(struct pool *pool, const struct pool_event *ev, int64_t now)
{
	bool addressed = ev->kind != POOL_TICK && ev->kind != POOL_STOP;

	pool_clock(pool, now);
	if (addressed && (ev->slot >= POOL_SLOTS_MAX || pool->slots[ev->slot].state == SLOT_FREE ||
			  pool->slots[ev->slot].incarnation != ev->incarnation)) {
		pool_act(pool, POOL_DO_STALE, ev->slot);
		return;
	}
	switch (ev->kind) {
	case POOL_TICK:
		pool_watch(pool, now);
		break;
	case POOL_READY:
		on_simple(pool, ev, SLOT_EV_READY, now);
		break;
	case POOL_ACCEPT:
		on_simple(pool, ev, SLOT_EV_ACCEPT, now);
		break;
	case POOL_BEGUN:
		on_simple(pool, ev, SLOT_EV_BEGUN, now);
		break;
	case POOL_HB:
		on_heartbeat(pool, ev, now);
		return;                  /* nothing to plan: it comes often */
	case POOL_LOGGED_ON:
		on_logged_on(pool, ev, now);
		break;
	case POOL_RESULT:
		on_result(pool, ev, now);
		break;
	case POOL_REAPED:
	case POOL_SPAWN_FAILED:
		on_reaped(pool, ev, now);
		break;
	case POOL_GRANT_FAILED:
		on_grant_failed(pool, ev, now);
		break;
	case POOL_STOP:
		on_stop(pool, ev->wait_ms, now);
		break;
	}
	pool_plan(pool, now);
}
