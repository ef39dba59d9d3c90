/* t_pool.c - the core of the supervisor against an independent reference.
 *
 * A tiny world plays the shell: it knows which workers live and which leases were granted only from
 * the actions, and checks the promises of pool.h at each of them. Sequences of logons are compared
 * with a count of its own, exhaustively for small pools; then random events with random faults.
 */
#include "../../supervisor/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define INTERVAL 300000
#define BUMP 900000
#define SLOTS 8
#define PAIRINGS 40

struct lease {
	bool held;
	uint32_t slot, incarnation;
};

struct world {
	struct pool pool;
	int64_t now;
	bool alive[SLOTS];              /* a process exists */
	bool ready[SLOTS], told[SLOTS], begun[SLOTS], cancelled[SLOTS], drained[SLOTS], killed[SLOTS];
	uint32_t task[SLOTS];
	uint32_t job_kind[SLOTS];
	struct lease lease[PAIRINGS];
	uint64_t generation[PAIRINGS];
	bool rerun[PAIRINGS];           /* asked for while it was in hand */
	int64_t earliest[PAIRINGS];     /* when a scheduled run may come, by our own reading of the rules */
	unsigned grants, restarts, ended;
	uint32_t order[64];             /* pairings in the order of their grants */
};

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

static void take(struct world *w)
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

static void step(struct world *w, struct pool_event ev)
{
	pool_step(&w->pool, &ev, w->now);
	take(w);
}

static struct pool_event from_worker(const struct world *w, enum pool_event_kind kind, uint32_t slot)
{
	struct pool_event ev = { .kind = kind, .slot = slot, .incarnation = w->pool.slots[slot].incarnation };

	if (w->task[slot] != POOL_NONE)
		ev.generation = w->generation[w->task[slot]];
	ev.pairing = w->task[slot];
	return ev;
}

static void tick(struct world *w)
{
	step(w, (struct pool_event){ .kind = POOL_TICK });
}

static void begin(struct world *w, enum pool_mode mode, uint32_t workers, uint32_t pairings, uint32_t pairs)
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
	tick(w);
}

static void finish(struct world *w)
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
static void result(struct world *w, uint32_t slot, enum rclass c, bool both, int64_t wait)
{
	struct pool_event ev = from_worker(w, POOL_RESULT, slot);

	if (!w->told[slot])
		step(w, from_worker(w, POOL_ACCEPT, slot));
	if (!w->begun[slot])
		step(w, from_worker(w, POOL_BEGUN, slot));
	w->told[slot] = w->begun[slot] = true;
	ev.rclass = c;
	ev.both_logged_on = both;
	ev.wait_ms = wait;
	/* a return that nobody asked for, or that the watchdog asked for, counts as failed */
	enum pool_why why = w->pool.slots[slot].why;
	if (c == RC_RETURNED && (why == POOL_WHY_NONE || why == POOL_WHY_WATCHDOG))
		c = RC_FAILED;
	release(w, slot, c, wait);
	step(w, ev);
}

static void die(struct world *w, uint32_t slot)
{
	struct pool_event ev = from_worker(w, POOL_REAPED, slot);
	enum pool_why why = w->pool.slots[slot].why;

	if (w->task[slot] != POOL_NONE) {
		bool charged = why == POOL_WHY_WATCHDOG || (why == POOL_WHY_NONE && w->begun[slot]);

		release(w, slot, charged ? RC_CRASHED : RC_RETURNED, 0);
	}
	w->alive[slot] = w->ready[slot] = false;
	step(w, ev);
}

/* Let everything that needs no outcome happen: workers come up, drained and killed ones die. */
static void settle(struct world *w)
{
	for (bool moved = true; moved;) {
		moved = false;
		for (uint32_t i = 0; i < SLOTS; i++) {
			if (!w->alive[i])
				continue;
			if (w->killed[i] || (w->drained[i] && w->task[i] == POOL_NONE)) {
				die(w, i);
				moved = true;
			} else if (!w->ready[i]) {
				w->ready[i] = true;
				step(w, from_worker(w, POOL_READY, i));
				moved = true;
			} else if (w->cancelled[i] && w->task[i] != POOL_NONE) {
				result(w, i, RC_RETURNED, false, 0);
				moved = true;
			}
		}
	}
}

static uint32_t a_task(struct world *w)
{
	for (int tries = 0; tries < 1000; tries++) {
		settle(w);
		for (uint32_t i = 0; i < SLOTS; i++) {
			if (w->task[i] != POOL_NONE)
				return i;
		}
		int64_t next = pool_next_ms(&w->pool, w->now);
		assert_true(next != DUE_NEVER);
		w->now = next > w->now ? next : w->now + 1;
		tick(w);
	}
	fail_msg("no task comes");
	return 0;
}

/* --- the logon count, exhaustively --- */

enum { LOGON, STORE, GOOD, BAD, WAIT_, LETTERS };

static void one_sequence(uint32_t workers, uint32_t pairings, unsigned code, unsigned length)
{
	uint32_t threshold = workers < pairings ? workers : pairings;
	unsigned count = 0, restarts = 0;
	static struct world w;

	begin(&w, POOL_SERVICE, workers, pairings, 1);
	for (unsigned i = 0; i < length; i++, code /= LETTERS) {
		unsigned letter = code % LETTERS;
		uint32_t slot = a_task(&w);

		switch (letter) {
		case LOGON:
			result(&w, slot, RC_LOGON_FAILED, false, 0);
			count++;
			break;
		case STORE:
			result(&w, slot, RC_STORE_FAILED, true, 0);      /* bumps though both logged on */
			count++;
			break;
		case GOOD:
			result(&w, slot, RC_OK, true, 0);
			count = 0;
			break;
		case BAD:
			result(&w, slot, RC_FAILED, false, 0);
			break;
		case WAIT_:
			result(&w, slot, RC_THROTTLED, false, 60000);
			break;
		}
		if (count >= threshold) {
			count = 0;
			restarts++;
		}
		settle(&w);
		assert_int_equal(w.pool.logon_count, count);
		assert_int_equal(w.restarts, restarts);
	}
	finish(&w);
}

static void test_every_logon_sequence(void **ctx)
{
	(void)ctx;
	for (uint32_t workers = 1; workers <= 4; workers++) {
		for (uint32_t pairings = 1; pairings <= 4; pairings++) {
			unsigned length = 5, all = 1;

			for (unsigned i = 0; i < length; i++)
				all *= LETTERS;
			for (unsigned code = 0; code < all; code++)
				one_sequence(workers, pairings, code, length);
		}
	}
}

static void test_threshold_follows_syncable(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_SERVICE, 4, 6, 1);
	assert_int_equal(pool_threshold(&w.pool), 4);
	for (uint32_t i = 0; i < 4; i++)
		pool_set_out(&w.pool, i, i % 2 == 0 ? POOL_STOPPED : POOL_PENDING, w.now);
	take(&w);
	assert_int_equal(pool_threshold(&w.pool), 2);
	pool_set_out(&w.pool, 4, POOL_STOP_ERROR, w.now);
	pool_set_out(&w.pool, 5, POOL_STOPPED, w.now);
	take(&w);
	assert_int_equal(pool_threshold(&w.pool), 1);
	finish(&w);
}

/* In a restart the tasks in hand come back, uncounted, and nothing is granted before the last is dead. */
static void test_restart_waits_for_the_last(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_SERVICE, 2, 8, 1);
	settle(&w);
	assert_true(w.task[0] != POOL_NONE && w.task[1] != POOL_NONE);
	result(&w, 0, RC_LOGON_FAILED, false, 0);
	settle(&w);
	uint32_t other = w.task[1];
	unsigned grants = w.grants;
	result(&w, 0, RC_LOGON_FAILED, false, 0);
	assert_int_equal(w.restarts, 1);
	assert_true(w.cancelled[1]);
	die(&w, 0);
	assert_int_equal(w.pool.phase, POOL_RESTARTING);
	assert_int_equal(w.grants, grants);
	w.now += 61000;                       /* it does not listen */
	tick(&w);
	assert_true(w.killed[1]);
	die(&w, 1);
	assert_int_equal(w.pool.phase, POOL_RUNNING);
	assert_int_equal(w.pool.logon_count, 0);
	assert_int_equal(w.pool.pairings[other].crashes.n, 0);
	assert_true(w.pool.pairings[other].place.due <= w.now);
	finish(&w);
}

static void test_holds_after_restarts_in_a_row(void **ctx)
{
	static const int64_t holds[] = { 0, 5000, 10000, 20000, 40000, 80000, 160000, 300000, 300000 };
	static struct world w;

	(void)ctx;
	begin(&w, POOL_SERVICE, 1, 1, 1);
	for (size_t i = 0; i < ARRAY_LEN(holds); i++) {
		result(&w, a_task(&w), RC_LOGON_FAILED, false, 0);
		settle(&w);
		assert_int_equal(w.restarts, i + 1);
		assert_int_equal(w.pool.hold_until - w.now, holds[i]);
	}
	result(&w, a_task(&w), RC_FAILED, true, 0);   /* both logged on: the row is broken */
	result(&w, a_task(&w), RC_LOGON_FAILED, false, 0);
	settle(&w);
	assert_int_equal(w.pool.hold_until - w.now, 0);
	finish(&w);
}

/* --- order and batches --- */

static void test_batches_follow_the_backlog(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_SERVICE, 4, 3, 1);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(w.pool.slots[i].n_batch, 1);      /* few: spread */
	assert_false(w.alive[3]);
	finish(&w);
	begin(&w, POOL_SERVICE, 4, 40, 1);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(w.pool.slots[i].n_batch, 10);     /* many: share a fork */
	finish(&w);
	begin(&w, POOL_SERVICE, 1, 40, 1);
	assert_int_equal(w.pool.slots[0].n_batch, POOL_BATCH_MAX);
	finish(&w);
}

static void test_a_batch_has_one_pair_of_endpoints(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_SERVICE, 2, 12, 3);
	for (uint32_t s = 0; s < 2; s++) {
		for (uint32_t i = 1; i < w.pool.slots[s].n_batch; i++)
			assert_int_equal(w.pool.pairings[w.pool.slots[s].batch[i]].pair,
					 w.pool.pairings[w.pool.slots[s].batch[0]].pair);
	}
	finish(&w);
}

static void test_failed_goes_to_the_bottom(void **ctx)
{
	static const uint32_t expected[] = { 0, 1, 2, 3, 1, 0 };
	static struct world w;

	(void)ctx;
	begin(&w, POOL_SERVICE, 1, 4, 1);
	result(&w, a_task(&w), RC_FAILED, true, 0);    /* 0: due last */
	result(&w, a_task(&w), RC_YIELDED, true, 0);   /* 1: at once, but behind 2 and 3 */
	result(&w, a_task(&w), RC_STOPPED, true, 0);
	result(&w, a_task(&w), RC_STOPPED, true, 0);
	result(&w, a_task(&w), RC_STOPPED, true, 0);
	a_task(&w);
	assert_true(w.grants >= ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_int_equal(w.order[i], expected[i]);
	finish(&w);
}

static void test_a_free_slot_takes_over(void **ctx)
{
	static struct world w;
	bool second = false;

	(void)ctx;
	begin(&w, POOL_SERVICE, 2, 8, 1);
	settle(&w);
	while (w.task[1] != POOL_NONE) {               /* slot 2 is fast, slot 1 hangs on its first */
		result(&w, 1, RC_OK, true, 0);
		settle(&w);
	}
	assert_true(w.task[0] != POOL_NONE);
	w.now += 300;
	tick(&w);
	settle(&w);
	second = w.task[1] != POOL_NONE;
	assert_true(second);
	finish(&w);
}

/* --- deaths --- */

static void test_only_the_begun_is_charged(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_SERVICE, 1, 2, 1);
	settle(&w);
	step(&w, from_worker(&w, POOL_ACCEPT, 0));
	die(&w, 0);
	assert_int_equal(w.pool.pairings[0].crashes.n, 0);
	uint32_t slot = a_task(&w);
	uint32_t pairing = w.task[slot];
	step(&w, from_worker(&w, POOL_ACCEPT, slot));
	step(&w, from_worker(&w, POOL_BEGUN, slot));
	w.told[slot] = w.begun[slot] = true;
	die(&w, slot);
	assert_int_equal(w.pool.pairings[pairing].crashes.n, 1);
	assert_int_equal(w.pool.pairings[pairing].place.due, w.now + INTERVAL + BUMP);
	finish(&w);
}

static void test_silence_is_cancelled_then_killed(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_SERVICE, 1, 1, 1);
	settle(&w);
	step(&w, from_worker(&w, POOL_ACCEPT, 0));
	step(&w, from_worker(&w, POOL_BEGUN, 0));
	w.told[0] = w.begun[0] = true;
	for (int i = 0; i < 14; i++) {                 /* it beats, but stands still */
		struct pool_event hb = from_worker(&w, POOL_HB, 0);

		w.now += 20000;
		hb.progress = 7;
		step(&w, hb);
		tick(&w);
		assert_false(w.cancelled[0]);
	}
	w.now += 25000;
	step(&w, from_worker(&w, POOL_HB, 0));
	w.now += 31000;
	tick(&w);
	assert_true(w.cancelled[0] && !w.killed[0]);
	w.now += 10000;
	tick(&w);
	assert_true(w.killed[0]);
	assert_true(w.lease[0].held);                  /* until it is reaped */
	die(&w, 0);
	assert_int_equal(w.pool.pairings[0].crashes.n, 1);
	finish(&w);
}

static void test_stale_results_change_nothing(void **ctx)
{
	static struct world w;
	struct pool_event ev;

	(void)ctx;
	begin(&w, POOL_SERVICE, 2, 2, 1);
	settle(&w);
	for (int wrong = 0; wrong < 4; wrong++) {
		ev = from_worker(&w, POOL_RESULT, 0);
		ev.rclass = RC_LOGON_FAILED;
		ev.generation += wrong == 0;
		ev.incarnation += wrong == 1;
		ev.pairing = wrong == 2 ? w.task[1] : ev.pairing;
		ev.slot = wrong == 3 ? 1 : 0;
		step(&w, ev);
		assert_int_equal(w.pool.logon_count, 0);
		assert_int_equal(w.pool.slots[0].task, w.task[0]);
	}
	finish(&w);
}

/* --- once, requests --- */

static void test_once_runs_each_until_it_ends(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_ONCE, 2, 3, 1);
	pool_set_out(&w.pool, 2, POOL_PENDING, w.now);
	take(&w);
	result(&w, a_task(&w), RC_YIELDED, true, 0);
	result(&w, a_task(&w), RC_FAILED, true, 0);
	assert_false(pool_finished(&w.pool));
	result(&w, a_task(&w), RC_OK, true, 0);
	settle(&w);
	assert_true(pool_finished(&w.pool));
	assert_int_equal(w.grants, 3);
	finish(&w);
}

static void test_once_gives_up_on_stillbirths(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_ONCE, 1, 3, 1);
	for (int i = 0; i < 50 && !pool_finished(&w.pool); i++) {
		for (uint32_t s = 0; s < SLOTS; s++) {
			if (w.alive[s])
				die(&w, s);
		}
	}
	assert_true(pool_finished(&w.pool));
	assert_int_equal(w.ended, 3);
	finish(&w);
}

static void test_a_request_needs_nothing_due(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_REQUEST, 2, 3, 1);
	assert_true(pool_finished(&w.pool));
	assert_true(pool_ask(&w.pool, 1, 2, 99));
	assert_false(pool_finished(&w.pool));
	tick(&w);
	settle(&w);
	assert_int_equal(w.task[0], 1);
	result(&w, 0, RC_OK, true, 0);
	settle(&w);
	assert_true(pool_finished(&w.pool));
	finish(&w);
}

static void test_a_request_gets_a_busy_pool(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_SERVICE, 1, 20, 1);
	settle(&w);
	assert_true(pool_ask(&w.pool, 13, 2, 99));
	tick(&w);
	result(&w, 0, RC_OK, true, 0);                 /* the batch is not worked off first */
	settle(&w);
	assert_int_equal(w.task[0], 13);
	assert_int_equal(w.job_kind[0], 2);
	int64_t due = w.pool.pairings[13].place.due;
	result(&w, 0, RC_OK, true, 0);
	assert_int_equal(w.pool.pairings[13].place.due, due);
	finish(&w);
}

static void test_stop(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_SERVICE, 3, 9, 1);
	settle(&w);
	step(&w, (struct pool_event){ .kind = POOL_STOP, .wait_ms = 60000 });
	assert_false(pool_finished(&w.pool));
	assert_true(w.cancelled[0] && w.cancelled[1] && w.cancelled[2]);
	result(&w, 0, RC_RETURNED, false, 0);
	step(&w, (struct pool_event){ .kind = POOL_STOP, .wait_ms = 5000 });
	w.now += 5000;
	tick(&w);
	assert_true(w.killed[1] && w.killed[2]);
	die(&w, 0);
	die(&w, 1);
	assert_false(pool_finished(&w.pool));
	die(&w, 2);
	assert_true(pool_finished(&w.pool));
	finish(&w);
}

/* --- configuration changes --- */

static void test_a_changed_pairing_is_withdrawn(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_SERVICE, 1, 3, 1);
	settle(&w);
	assert_int_equal(w.task[0], 0);
	pool_changed(&w.pool, 0, 0, w.now);
	pool_changed(&w.pool, 1, 0, w.now);            /* waits in the batch as it was */
	take(&w);
	assert_true(w.cancelled[0]);
	uint32_t incarnation = w.pool.slots[0].incarnation;
	result(&w, 0, RC_RETURNED, false, 0);
	settle(&w);
	for (int i = 0; i < 3; i++) {
		uint32_t slot = a_task(&w);

		if (w.task[slot] == 1)
			assert_true(w.pool.slots[slot].incarnation > incarnation);
		result(&w, slot, RC_OK, true, 0);
	}
	finish(&w);
}

static void test_a_removed_pairing_goes_when_its_lease_ends(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin(&w, POOL_SERVICE, 1, 1, 1);
	settle(&w);
	pool_remove(&w.pool, 0, w.now);
	take(&w);
	assert_true(w.pool.pairings[0].used && w.cancelled[0]);
	result(&w, 0, RC_RETURNED, false, 0);
	assert_false(w.pool.pairings[0].used);
	finish(&w);
}

/* --- random lives --- */

static uint64_t seed;
static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static void random_result(struct world *w, uint32_t slot)
{
	static const enum rclass classes[] = { RC_OK, RC_OK, RC_OK, RC_LOGON_FAILED, RC_STORE_FAILED, RC_FAILED,
					       RC_THROTTLED, RC_YIELDED, RC_HELD, RC_RETURNED, RC_CRASHED };
	enum rclass c = classes[rnd(ARRAY_LEN(classes))];

	result(w, slot, c, c != RC_LOGON_FAILED && rnd(2) == 0, rnd(3000000));
}

static void random_stale(struct world *w)
{
	struct pool_event ev = { .kind = (enum pool_event_kind)(POOL_READY + rnd(5)), .slot = rnd(SLOTS + 1),
				 .incarnation = rnd(40), .generation = rnd(50) + 1000000, .pairing = rnd(4),
				 .rclass = (enum rclass)rnd(RCLASS_COUNT) };

	if (ev.kind != POOL_READY)                     /* a READY with a right incarnation would be a birth */
		step(w, ev);
}

static void random_worker(struct world *w)
{
	uint32_t slot = rnd(SLOTS);

	if (!w->alive[slot])
		return;
	if (w->killed[slot] || rnd(12) == 0) {
		die(w, slot);
	} else if (!w->ready[slot]) {
		w->ready[slot] = true;
		step(w, from_worker(w, POOL_READY, slot));
	} else if (w->task[slot] != POOL_NONE && rnd(3) == 0) {
		struct pool_event hb = from_worker(w, POOL_HB, slot);

		hb.progress = rnd(5);
		if (w->told[slot])
			step(w, hb);
	} else if (w->task[slot] != POOL_NONE) {
		if (w->cancelled[slot])
			result(w, slot, RC_RETURNED, false, 0);
		else
			random_result(w, slot);
	} else if (w->drained[slot]) {
		die(w, slot);
	}
}

static void random_operator(struct world *w, uint32_t pairings)
{
	uint32_t p = rnd(pairings);

	switch (rnd(5)) {
	case 0:
		if (pool_wake(&w->pool, p, w->now)) {
			w->earliest[p] = 0;
			w->rerun[p] = w->lease[p].held;
		}
		break;
	case 1:
		pool_changed(&w->pool, p, rnd(2), w->now);
		w->earliest[p] = 0;
		w->rerun[p] = w->lease[p].held;
		break;
	case 2:
		pool_set_out(&w->pool, p, rnd(2) ? POOL_STOPPED : 0, w->now);
		w->earliest[p] = 0;
		break;
	case 3:
		pool_ask(&w->pool, p, 1 + rnd(2), ++w->pool.seq);
		break;
	case 4:
		pool_unask(&w->pool, w->pool.seq, w->now);
		break;
	}
	take(w);
	tick(w);
}

/* Whatever happened before: with healthy workers every syncable pairing runs again. */
static void everyone_runs(struct world *w, uint32_t pairings)
{
	bool ran[PAIRINGS] = { false };
	uint32_t left = 0;

	for (uint32_t i = 0; i < pairings; i++)
		left += w->pool.pairings[i].out == 0;
	for (int i = 0; left > 0 && i < 5000; i++) {
		uint32_t slot = a_task(w), pairing = w->task[slot];
		bool counts = w->job_kind[slot] == 0 && w->pool.pairings[pairing].out == 0;

		result(w, slot, RC_OK, true, 0);
		if (counts && !ran[pairing]) {
			ran[pairing] = true;
			left--;
		}
	}
	assert_int_equal(left, 0);
}

static void test_random_lives(void **ctx)
{
	static struct world w;

	(void)ctx;
	for (unsigned life = 0; life < 3000; life++) {
		seed = life + 1;
		uint32_t workers = 1 + rnd(SLOTS), pairings = 1 + rnd(PAIRINGS);

		begin(&w, POOL_SERVICE, workers, pairings, 1 + rnd(3));
		for (unsigned i = 0; i < 200; i++) {
			uint32_t what = rnd(20);

			if (what < 14) {
				random_worker(&w);
			} else if (what < 16) {
				random_stale(&w);
			} else if (what == 16) {
				random_operator(&w, pairings);
			} else {
				w.now += rnd(60000);
				tick(&w);
			}
		}
		everyone_runs(&w, pairings);
		finish(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_logon_sequence), cmocka_unit_test(test_threshold_follows_syncable),
		cmocka_unit_test(test_restart_waits_for_the_last), cmocka_unit_test(test_holds_after_restarts_in_a_row),
		cmocka_unit_test(test_batches_follow_the_backlog),
		cmocka_unit_test(test_a_batch_has_one_pair_of_endpoints),
		cmocka_unit_test(test_failed_goes_to_the_bottom), cmocka_unit_test(test_a_free_slot_takes_over),
		cmocka_unit_test(test_only_the_begun_is_charged),
		cmocka_unit_test(test_silence_is_cancelled_then_killed),
		cmocka_unit_test(test_stale_results_change_nothing), cmocka_unit_test(test_once_runs_each_until_it_ends),
		cmocka_unit_test(test_once_gives_up_on_stillbirths), cmocka_unit_test(test_a_request_needs_nothing_due),
		cmocka_unit_test(test_a_request_gets_a_busy_pool), cmocka_unit_test(test_stop),
		cmocka_unit_test(test_a_changed_pairing_is_withdrawn),
		cmocka_unit_test(test_a_removed_pairing_goes_when_its_lease_ends),
		cmocka_unit_test(test_random_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
