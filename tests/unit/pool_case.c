/* pool_case.c - the world of pool_case.h. */
#include "pool_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct pool_rules base_rules = {
	.due = { INTERVAL, BUMP }, .heartbeat_ms = 30000, .progress_ms = 300000,
	.hold_first_ms = 5000, .hold_max_ms = 300000, .quarantine_ms = 3600000, .trial_ms = TRIAL,
	.run_max_ms = 7200000, .memory_kib = 262144, .workers = 4,
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

static struct ref_logon *logon_of(struct world *w, uint32_t pairing)
{
	return w->logon_of[pairing] != 0 ? &w->logons[w->logon_of[pairing]] : NULL;
}

/* Promise 6, at the moment of a grant. */
static void no_storm(struct world *w, const struct pool_action *a)
{
	struct ref_logon *l = logon_of(w, a->pairing);

	if (w->pool.mode != POOL_SERVICE)
		return;
	if (a->job_id == 0) {
		assert_true(w->paused[w->pair_of[a->pairing]][SIDE_LEFT] <= w->now);
		assert_true(w->paused[w->pair_of[a->pairing]][SIDE_RIGHT] <= w->now);
	}
	if (l == NULL || l->refusals < POOL_REFUSALS || w->pool.slots[a->slot].lane == POOL_NONE)
		return;
	assert_true(w->now >= l->trial_at);
	l->trial_at = w->now + TRIAL;
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
	no_storm(w, a);
	assert_int_equal(w->pool.phase, POOL_RUNNING);            /* promise 4: none while it restarts */
	*l = (struct lease){ true, a->slot, w->pool.slots[a->slot].incarnation };
	w->generation[a->pairing] = a->generation;
	w->task[a->slot] = a->pairing;
	w->job_kind[a->slot] = a->job_kind;
	w->yield[a->slot] = false;
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
		case POOL_DO_YIELD:
			assert_true(w->task[a->slot] != POOL_NONE && w->job_kind[a->slot] == 0);
			w->yield[a->slot] = true;
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
		case POOL_DO_HELD:
			w->held = a->wait_ms;
			w->count = 0;
			break;
		case POOL_DO_REAPED:
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
	world_check(w);
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

uint32_t world_add(struct world *w, uint32_t pair, uint32_t logon)
{
	struct pool_tie tie = world_tie(pair, logon);
	uint32_t id = pool_add(&w->pool, &tie, 0, w->now);

	w->pair_of[id] = pair;
	w->logon_of[id] = logon;
	return id;
}

void world_begin(struct world *w, enum pool_mode mode, uint32_t workers, uint32_t pairings, uint32_t pairs)
{
	struct pool_rules rules = base_rules;

	memset(w, 0, sizeof(*w));
	rules.workers = workers;
	w->now = START;
	pool_init(&w->pool, mode, &rules);
	for (uint32_t i = 0; i < SLOTS; i++)
		w->task[i] = POOL_NONE;
	for (uint32_t i = 0; i < pairings; i++)
		assert_int_equal(world_add(w, i % pairs, 0), i);
	world_tick(w);
}

struct pool_tie world_tie(uint32_t pair, uint64_t logon)
{
	return (struct pool_tie){ .endpoint = { 1000 + pair, 2000 + pair }, .logon = { 0, logon } };
}

void world_retie(struct world *w, uint32_t pairing, uint32_t pair, uint32_t logon)
{
	struct pool_tie tie = world_tie(pair, logon);

	pool_changed(&w->pool, pairing, &tie, w->now);
	w->pair_of[pairing] = pair;
	w->logon_of[pairing] = logon;
	w->earliest[pairing] = 0;
	w->rerun[pairing] = w->lease[pairing].held;
	world_take(w);
}

void world_pass(struct world *w, int64_t ms)
{
	for (; ms > 0; ms -= POOL_STEP_MS / 2) {
		w->now += ms < POOL_STEP_MS / 2 ? ms : POOL_STEP_MS / 2;
		world_tick(w);
	}
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

static void note_said(struct world *w, uint32_t pairing, enum rclass c, const struct said *said)
{
	struct ref_logon *l = logon_of(w, pairing);
	int64_t wait = said->wait > 0 ? said->wait : 60000;

	if (l != NULL && (said->logged_on & 2))
		l->refusals = 0;
	if (l != NULL && (said->refused & 2) && ++l->refusals >= POOL_REFUSALS)
		l->trial_at = w->now + TRIAL;
	if (c == RC_THROTTLED && said->side < SIDES &&
	    w->now + wait > w->paused[w->pair_of[pairing]][said->side])
		w->paused[w->pair_of[pairing]][said->side] = w->now + wait;
}

void world_say(struct world *w, uint32_t slot, enum rclass c, struct said said)
{
	struct pool_event ev = world_event(w, POOL_RESULT, slot);
	enum pool_why why = w->pool.slots[slot].why;

	if (!w->told[slot])
		world_step(w, world_event(w, POOL_ACCEPT, slot));
	if (!w->begun[slot])
		world_step(w, world_event(w, POOL_BEGUN, slot));
	w->told[slot] = w->begun[slot] = true;
	ev.rclass = c;
	ev.logged_on = said.both ? 3 : said.logged_on;
	ev.refused = said.refused;
	ev.side = said.side;
	ev.wait_ms = said.wait;
	ev.rss_kib = said.rss_kib;
	said.logged_on = ev.logged_on;
	if (why != POOL_WHY_CHANGED && w->pool.slots[slot].lane != POOL_NONE)
		note_said(w, w->task[slot], c, &said);
	if (c == RC_LOGON_FAILED || c == RC_STORE_FAILED)
		w->count++;
	else if (ev.logged_on == 3)
		w->count = 0;
	if (c == RC_RETURNED && why == POOL_WHY_LONG)
		c = RC_YIELDED;
	/* a return that nobody asked for, or that the watchdog asked for, counts as failed */
	if ((c == RC_RETURNED && (why == POOL_WHY_NONE || why == POOL_WHY_WATCHDOG)) ||
	    (c == RC_YIELDED && why == POOL_WHY_WATCHDOG))
		c = RC_FAILED;
	release(w, slot, c, said.wait);
	world_step(w, ev);
}

void world_result(struct world *w, uint32_t slot, enum rclass c, bool both, int64_t wait)
{
	world_say(w, slot, c, (struct said){ .both = both, .side = SIDES, .wait = wait });
}

void world_die(struct world *w, uint32_t slot)
{
	struct pool_event ev = world_event(w, POOL_REAPED, slot);
	enum pool_why why = w->pool.slots[slot].why;

	if (w->task[slot] != POOL_NONE) {
		bool charged = why == POOL_WHY_WATCHDOG || why == POOL_WHY_LONG || (why == POOL_WHY_NONE && w->begun[slot]);

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

/* --- invariants --- */

static bool in_heap(const struct pool_heap *h, uint32_t id, uint32_t at)
{
	return at < h->n && h->at[at].id == id && (at == 0 || !(h->at[at].key < h->at[(at - 1) / 2].key));
}

/* Promise 5: where is it? Exactly one answer. */
static void one_place(const struct pool *pool, uint32_t i)
{
	const struct pool_pairing *p = &pool->pairings[i];
	bool waits = p->where == POOL_IN_WAITING, ready = p->where == POOL_IN_READY;
	bool claimed = p->claimed != POOL_NONE, leased = p->slot != POOL_NONE;
	bool out = p->out != 0 || p->removed || pool->mode == POOL_REQUEST ||
		   (pool->mode == POOL_ONCE && p->once_done);

	assert_int_equal(waits + ready + claimed + leased, !out || leased ? 1 : 0);
	if (waits)
		assert_true(in_heap(&pool->waiting, i, p->heap_at));
	if (ready)
		assert_true(in_heap(&pool->lanes[p->lane].ready, i, p->heap_at));
	if (claimed)
		assert_true(pool->slots[p->claimed].state != SLOT_FREE && pool->slots[p->claimed].lane != POOL_NONE);
	if (leased)
		assert_int_equal(pool->slots[p->slot].task, i);
}

static void check_seats(const struct pool *pool)
{
	for (uint32_t e = 0; e < pool->n_endpoints; e++) {
		const struct pool_endpoint *end = &pool->endpoints[e];
		uint32_t seats = 0, workers = 0;

		for (uint32_t s = 0; s < pool->n_slots; s++) {
			uint32_t lane = pool->slots[s].lane;

			if (lane == POOL_NONE)
				continue;
			assert_true(pool->slots[s].state != SLOT_FREE);
			seats += (pool->lanes[lane].endpoint[0] == e) + (pool->lanes[lane].endpoint[1] == e);
			workers += pool->lanes[lane].endpoint[0] == e || pool->lanes[lane].endpoint[1] == e;
		}
		assert_int_equal(seats, end->seats);
		assert_true(end->limit == 0 || seats <= end->limit || workers <= 1);
	}
}

void world_check(const struct world *w)
{
	const struct pool *pool = &w->pool;
	uint32_t syncable = 0, in_heaps = pool->waiting.n, listed = 0;

	for (uint32_t i = 0; i < pool->n_pairings; i++) {
		const struct pool_pairing *p = &pool->pairings[i];

		if (!p->used)
			continue;
		one_place(pool, i);
		syncable += p->out == 0 && !p->removed;
		listed += p->where != POOL_NOWHERE;
		assert_true(p->generation == w->generation[i]);
	}
	for (uint32_t i = 0; i < pool->n_lanes; i++)
		in_heaps += pool->lanes[i].ready.n;
	assert_int_equal(in_heaps, listed);
	assert_int_equal(syncable, pool_syncable(pool));
	for (uint32_t s = 0; s < pool->n_slots; s++) {
		assert_int_equal(pool->slots[s].task, w->task[s]);
		assert_true(pool->slots[s].task == POOL_NONE || pool->slots[s].state == SLOT_KILLED ||
			    slot_has_task(pool->slots[s].state));
	}
	check_seats(pool);
	if (pool->phase == POOL_RUNNING)
		assert_int_equal(pool->logon_count, w->count);
}

void world_jump_back(struct world *w, int64_t ms)
{
	w->now -= ms;
	for (uint32_t i = 0; i < PAIRINGS; i++) {
		if (w->earliest[i] != 0 && w->earliest[i] != INT64_MAX)
			w->earliest[i] -= ms;
	}
	for (uint32_t i = 0; i < TIES; i++) {
		w->logons[i].trial_at -= ms;
		w->paused[i][SIDE_LEFT] -= ms;
		w->paused[i][SIDE_RIGHT] -= ms;
	}
	world_tick(w);
}
