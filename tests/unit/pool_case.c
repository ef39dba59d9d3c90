/* pool_case.c - the world of pool_case.h. */
#include "pool_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct pool_rules base_rules = {
	.due = { INTERVAL, BUMP }, .heartbeat_ms = 30000, .progress_ms = 300000,
	.hold_first_ms = 5000, .hold_max_ms = 300000, .quarantine_ms = 3600000, .workers = 4,
};

/* The rules of due times once more, written from the guide. */
static int64_t expected_due(enum rclass c, int64_t now, int64_t wait)
{
	if (c == RC_OK || c == RC_HELD)
		return now + INTERVAL;
	if (c == RC_YIELDED || c == RC_RETURNED)
		return now;
	if (c == RC_THROTTLED && wait > INTERVAL + BUMP)
		return now + wait;
	return c == RC_STOPPED ? INT64_MAX : now + INTERVAL + BUMP;
}

static void on_grant(struct world *w, const struct pool_action *a)
{
	struct lease *l = &w->lease[a->pairing];

	assert_false(l->held);                                    /* promise 1 */
	assert_true(a->generation > w->generation[a->pairing]);
	assert_true(w->alive[a->slot] && w->ready[a->slot] && !w->drained[a->slot] && !w->killed[a->slot]);
	assert_int_equal(w->task[a->slot], POOL_NONE);            /* promise 3 */
	if (a->job_id == 0 && w->pool.mode == POOL_SERVICE)
		assert_true(w->earliest[a->pairing] <= w->now);
	assert_int_equal(w->pool.phase, POOL_RUNNING);            /* promise 4: none while it restarts */
	*l = (struct lease){ true, a->slot, w->pool.slots[a->slot].incarnation };
	w->generation[a->pairing] = a->generation;
	w->task[a->slot] = a->pairing;
	w->job_kind[a->slot] = a->job_kind;
	w->told[a->slot] = w->begun[a->slot] = w->cancelled[a->slot] = false;
	if (w->grants < 64)
		w->order[w->grants] = a->pairing;
	w->grants++;
}

static void on_spawn(struct world *w, const struct pool_action *a)
{
	assert_false(w->alive[a->slot]);                          /* a slot is free only after the reaping */
	assert_int_equal(w->task[a->slot], POOL_NONE);
	assert_true(w->pool.slots[a->slot].n_batch >= 1 && w->pool.slots[a->slot].n_batch <= POOL_BATCH_MAX);
	w->alive[a->slot] = true;
	w->ready[a->slot] = w->drained[a->slot] = w->killed[a->slot] = false;
}

void world_take(struct world *w)
{
	for (size_t i = 0; i < w->pool.n_actions; i++) {
		const struct pool_action *a = &w->pool.actions[i];

		switch (a->kind) {
		case POOL_DO_SPAWN:
			on_spawn(w, a);
			break;
		case POOL_DO_GRANT:
			on_grant(w, a);
			break;
		case POOL_DO_CANCEL:
			w->cancelled[a->slot] = true;
			break;
		case POOL_DO_DRAIN:
			assert_int_equal(w->task[a->slot], POOL_NONE);
			w->drained[a->slot] = true;
			break;
		case POOL_DO_KILL:
			w->killed[a->slot] = true;
			break;
		case POOL_DO_ENDED:
			w->ended++;
			break;
		case POOL_DO_RESTART:
			w->restarts++;
			break;
		case POOL_DO_STALE:
			break;
		}
	}
	pool_actions_done(&w->pool);
}

void world_step(struct world *w, struct pool_event ev)
{
	pool_step(&w->pool, &ev, w->now);
	world_take(w);
}

struct pool_event world_event(const struct world *w, enum pool_event_kind kind, uint32_t slot)
{
	struct pool_event ev = { .kind = kind, .slot = slot, .incarnation = w->pool.slots[slot].incarnation };

	if (w->task[slot] != POOL_NONE)
		ev.generation = w->generation[w->task[slot]];
	ev.pairing = w->task[slot];
	return ev;
}

void world_tick(struct world *w)
{
	world_step(w, (struct pool_event){ .kind = POOL_TICK });
}

void world_begin(struct world *w, enum pool_mode mode, uint32_t workers, uint32_t pairings, uint32_t pairs)
{
	struct pool_rules rules = base_rules;

	memset(w, 0, sizeof(*w));
	rules.workers = workers;
	w->now = 1000000;
	pool_init(&w->pool, mode, &rules);
	for (uint32_t i = 0; i < SLOTS; i++)
		w->task[i] = POOL_NONE;
	for (uint32_t i = 0; i < pairings; i++)
		assert_int_equal(pool_add(&w->pool, i % pairs, 0, w->now), i);
	world_tick(w);
}

void world_finish(struct world *w)
{
	pool_free(&w->pool);
}

static void release(struct world *w, uint32_t slot, enum rclass c, int64_t wait)
{
	uint32_t pairing = w->task[slot];

	if (w->job_kind[slot] == 0)
		w->earliest[pairing] = expected_due(c, w->now, wait);
	if (w->rerun[pairing])
		w->earliest[pairing] = w->now;
	w->rerun[pairing] = false;
	w->lease[pairing].held = false;
	w->task[slot] = POOL_NONE;
}

/* The worker says how its task ended. */
void world_result(struct world *w, uint32_t slot, enum rclass c, bool both, int64_t wait)
{
	struct pool_event ev = world_event(w, POOL_RESULT, slot);

	if (!w->told[slot])
		world_step(w, world_event(w, POOL_ACCEPT, slot));
	if (!w->begun[slot])
		world_step(w, world_event(w, POOL_BEGUN, slot));
	w->told[slot] = w->begun[slot] = true;
	ev.rclass = c;
	ev.both_logged_on = both;
	ev.wait_ms = wait;
	/* a return that nobody asked for, or that the watchdog asked for, counts as failed */
	enum pool_why why = w->pool.slots[slot].why;
	if (c == RC_RETURNED && (why == POOL_WHY_NONE || why == POOL_WHY_WATCHDOG))
		c = RC_FAILED;
	release(w, slot, c, wait);
	world_step(w, ev);
}

void world_die(struct world *w, uint32_t slot)
{
	struct pool_event ev = world_event(w, POOL_REAPED, slot);
	enum pool_why why = w->pool.slots[slot].why;

	if (w->task[slot] != POOL_NONE) {
		bool charged = why == POOL_WHY_WATCHDOG || (why == POOL_WHY_NONE && w->begun[slot]);

		release(w, slot, charged ? RC_CRASHED : RC_RETURNED, 0);
	}
	w->alive[slot] = w->ready[slot] = false;
	world_step(w, ev);
}

/* Let everything that needs no outcome happen: workers come up, drained and killed ones die. */
void world_settle(struct world *w)
{
	for (bool moved = true; moved;) {
		moved = false;
		for (uint32_t i = 0; i < SLOTS; i++) {
			if (!w->alive[i])
				continue;
			if (w->killed[i] || (w->drained[i] && w->task[i] == POOL_NONE)) {
				world_die(w, i);
				moved = true;
			} else if (!w->ready[i]) {
				w->ready[i] = true;
				world_step(w, world_event(w, POOL_READY, i));
				moved = true;
			} else if (w->cancelled[i] && w->task[i] != POOL_NONE) {
				world_result(w, i, RC_RETURNED, false, 0);
				moved = true;
			}
		}
	}
}

uint32_t world_task(struct world *w)
{
	for (int tries = 0; tries < 1000; tries++) {
		world_settle(w);
		for (uint32_t i = 0; i < SLOTS; i++) {
			if (w->task[i] != POOL_NONE)
				return i;
		}
		int64_t next = pool_next_ms(&w->pool, w->now);
		assert_true(next != DUE_NEVER);
		w->now = next > w->now ? next : w->now + 1;
		world_tick(w);
	}
	fail_msg("no task comes");
	return 0;
}
