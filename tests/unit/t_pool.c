/* t_pool.c - the core of the supervisor: rules one by one, and the logon count against a count of
 * its own, for every sequence of outcomes in small pools. Random lives: t_pool_random.c.
 */
#include "pool_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- the logon count, exhaustively --- */

enum { LOGON, STORE, GOOD, BAD, WAIT_, LETTERS };

static void one_sequence(uint32_t workers, uint32_t pairings, unsigned code, unsigned length)
{
	uint32_t threshold = workers < pairings ? workers : pairings;
	unsigned count = 0, restarts = 0;
	static struct world w;

	world_begin(&w, POOL_SERVICE, workers, pairings, 1);
	for (unsigned i = 0; i < length; i++, code /= LETTERS) {
		unsigned letter = code % LETTERS;
		uint32_t slot = world_task(&w);

		switch (letter) {
		case LOGON:
			world_result(&w, slot, RC_LOGON_FAILED, false, 0);
			count++;
			break;
		case STORE:
			world_result(&w, slot, RC_STORE_FAILED, true, 0);      /* bumps though both logged on */
			count++;
			break;
		case GOOD:
			world_result(&w, slot, RC_OK, true, 0);
			count = 0;
			break;
		case BAD:
			world_result(&w, slot, RC_FAILED, false, 0);
			break;
		case WAIT_:
			world_result(&w, slot, RC_THROTTLED, false, 60000);
			break;
		}
		if (count >= threshold) {
			count = 0;
			restarts++;
		}
		world_settle(&w);
		assert_int_equal(w.pool.logon_count, count);
		assert_int_equal(w.restarts, restarts);
	}
	world_finish(&w);
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
	world_begin(&w, POOL_SERVICE, 4, 6, 1);
	assert_int_equal(pool_threshold(&w.pool), 4);
	for (uint32_t i = 0; i < 4; i++)
		pool_set_out(&w.pool, i, i % 2 == 0 ? POOL_STOPPED : POOL_PENDING, w.now);
	world_take(&w);
	assert_int_equal(pool_threshold(&w.pool), 2);
	pool_set_out(&w.pool, 4, POOL_STOP_ERROR, w.now);
	pool_set_out(&w.pool, 5, POOL_STOPPED, w.now);
	world_take(&w);
	assert_int_equal(pool_threshold(&w.pool), 1);
	world_finish(&w);
}

/* In a restart the tasks in hand come back, uncounted, and nothing is granted before the last is dead. */
static void test_restart_waits_for_the_last(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 2, 8, 1);
	world_settle(&w);
	assert_true(w.task[0] != POOL_NONE && w.task[1] != POOL_NONE);
	world_result(&w, 0, RC_LOGON_FAILED, false, 0);
	world_settle(&w);
	uint32_t other = w.task[1];
	unsigned grants = w.grants;
	world_result(&w, 0, RC_LOGON_FAILED, false, 0);
	assert_int_equal(w.restarts, 1);
	assert_true(w.cancelled[1]);
	world_die(&w, 0);
	assert_int_equal(w.pool.phase, POOL_RESTARTING);
	assert_int_equal(w.grants, grants);
	world_pass(&w, 61000);                /* it does not listen */
	assert_true(w.killed[1]);
	world_die(&w, 1);
	assert_int_equal(w.pool.phase, POOL_RUNNING);
	assert_int_equal(w.pool.logon_count, 0);
	assert_int_equal(w.pool.pairings[other].crashes.n, 0);
	assert_true(w.pool.pairings[other].place.due <= w.now);
	world_finish(&w);
}

static void test_holds_after_restarts_in_a_row(void **ctx)
{
	static const int64_t holds[] = { 0, 5000, 10000, 20000, 40000, 80000, 160000, 300000, 300000 };
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 1, 1);
	for (size_t i = 0; i < ARRAY_LEN(holds); i++) {
		world_result(&w, world_task(&w), RC_LOGON_FAILED, false, 0);
		world_settle(&w);
		assert_int_equal(w.restarts, i + 1);
		assert_int_equal(w.pool.hold_until - w.now, holds[i]);
		if (holds[i] == 0)
			continue;
		w.now += holds[i] - 1;
		assert_true(pool_wake(&w.pool, 0, w.now));     /* due, but held */
		w.earliest[0] = 0;
		world_tick(&w);
		assert_false(w.alive[0]);
		assert_int_equal(pool_next_ms(&w.pool, w.now), w.pool.hold_until);
	}
	world_result(&w, world_task(&w), RC_FAILED, true, 0);   /* both logged on: the row is broken */
	world_result(&w, world_task(&w), RC_LOGON_FAILED, false, 0);
	world_settle(&w);
	assert_int_equal(w.pool.hold_until - w.now, 0);
	world_finish(&w);
}

/* --- order and batches --- */

static void test_batches_follow_the_backlog(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 4, 3, 1);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(w.pool.slots[i].n_batch, 1);      /* few: spread */
	assert_false(w.alive[3]);
	world_finish(&w);
	world_begin(&w, POOL_SERVICE, 4, 40, 1);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(w.pool.slots[i].n_batch, 10);     /* many: share a fork */
	world_finish(&w);
	world_begin(&w, POOL_SERVICE, 1, 40, 1);
	assert_int_equal(w.pool.slots[0].n_batch, POOL_BATCH_MAX);
	world_finish(&w);
}

static void test_a_batch_has_one_pair_of_endpoints(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 2, 12, 3);
	for (uint32_t s = 0; s < 2; s++) {
		for (uint32_t i = 1; i < w.pool.slots[s].n_batch; i++)
			assert_int_equal(w.pool.pairings[w.pool.slots[s].batch[i]].lane,
					 w.pool.pairings[w.pool.slots[s].batch[0]].lane);
	}
	world_finish(&w);
}

static void test_failed_goes_to_the_bottom(void **ctx)
{
	static const uint32_t expected[] = { 0, 1, 2, 3, 1, 0 };
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 4, 1);
	world_result(&w, world_task(&w), RC_FAILED, true, 0);    /* 0: due last */
	world_result(&w, world_task(&w), RC_YIELDED, true, 0);   /* 1: at once, but behind 2 and 3 */
	world_result(&w, world_task(&w), RC_STOPPED, true, 0);
	world_result(&w, world_task(&w), RC_STOPPED, true, 0);
	world_result(&w, world_task(&w), RC_STOPPED, true, 0);
	world_task(&w);
	assert_true(w.grants >= ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_int_equal(w.order[i], expected[i]);
	world_finish(&w);
}

/* Of equally due ones, who was put there last comes last. */
static void test_yielded_waits_behind_the_others(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 40, 1);
	world_result(&w, world_task(&w), RC_YIELDED, true, 0);
	for (uint32_t i = 1; i < 40; i++) {
		assert_int_equal(w.task[world_task(&w)], i);
		world_result(&w, 0, RC_OK, true, 0);
	}
	assert_int_equal(w.task[world_task(&w)], 0);
	world_finish(&w);
}

static void test_a_free_slot_takes_over(void **ctx)
{
	static struct world w;
	bool second = false;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 2, 8, 1);
	world_settle(&w);
	while (w.task[1] != POOL_NONE) {               /* slot 2 is fast, slot 1 hangs on its first */
		world_result(&w, 1, RC_OK, true, 0);
		world_settle(&w);
	}
	assert_true(w.task[0] != POOL_NONE);
	w.now += 300;
	world_tick(&w);
	world_settle(&w);
	second = w.task[1] != POOL_NONE;
	assert_true(second);
	world_finish(&w);
}

/* --- deaths --- */

static void test_only_the_begun_is_charged(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 2, 1);
	world_settle(&w);
	world_step(&w, world_event(&w, POOL_ACCEPT, 0));
	world_die(&w, 0);
	assert_int_equal(w.pool.pairings[0].crashes.n, 0);
	uint32_t slot = world_task(&w);
	uint32_t pairing = w.task[slot];
	world_step(&w, world_event(&w, POOL_ACCEPT, slot));
	world_step(&w, world_event(&w, POOL_BEGUN, slot));
	w.told[slot] = w.begun[slot] = true;
	world_die(&w, slot);
	assert_int_equal(w.pool.pairings[pairing].crashes.n, 1);
	assert_int_equal(w.pool.pairings[pairing].place.due, w.now + INTERVAL + BUMP);
	world_finish(&w);
}

static void test_silence_is_cancelled_then_killed(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 1, 1);
	world_settle(&w);
	world_step(&w, world_event(&w, POOL_ACCEPT, 0));
	world_step(&w, world_event(&w, POOL_BEGUN, 0));
	w.told[0] = w.begun[0] = true;
	for (int i = 0; i < 14; i++) {                 /* it beats, but stands still */
		struct pool_event hb = world_event(&w, POOL_HB, 0);

		w.now += 20000;
		hb.progress = 7;
		world_step(&w, hb);
		world_tick(&w);
		assert_false(w.cancelled[0]);
	}
	w.now += 25000;
	world_step(&w, world_event(&w, POOL_HB, 0));
	world_pass(&w, 31000);
	assert_true(w.cancelled[0] && !w.killed[0]);
	world_pass(&w, 10000);
	assert_true(w.killed[0]);
	assert_true(w.lease[0].held);                  /* until it is reaped */
	world_die(&w, 0);
	assert_int_equal(w.pool.pairings[0].crashes.n, 1);
	world_finish(&w);
}

static void test_stale_results_change_nothing(void **ctx)
{
	static struct world w;
	struct pool_event ev;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 2, 2, 1);
	world_settle(&w);
	for (uint32_t i = 0; i < 2; i++) {
		world_step(&w, world_event(&w, POOL_ACCEPT, i));
		world_step(&w, world_event(&w, POOL_BEGUN, i));
	}
	for (int wrong = 0; wrong < 4; wrong++) {
		ev = world_event(&w, POOL_RESULT, 0);
		ev.rclass = RC_LOGON_FAILED;
		ev.generation += wrong == 0;
		ev.incarnation += wrong == 1;
		ev.pairing = wrong == 2 ? w.task[1] : ev.pairing;
		ev.slot = wrong == 3 ? 1 : 0;
		world_step(&w, ev);
		assert_int_equal(w.pool.logon_count, 0);
		assert_int_equal(w.pool.slots[0].task, w.task[0]);
	}
	world_finish(&w);
}

/* --- once, requests --- */

static void test_once_runs_each_until_it_ends(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_ONCE, 2, 3, 1);
	pool_set_out(&w.pool, 2, POOL_PENDING, w.now);
	world_take(&w);
	world_result(&w, world_task(&w), RC_YIELDED, true, 0);
	world_result(&w, world_task(&w), RC_FAILED, true, 0);
	assert_false(pool_finished(&w.pool));
	world_result(&w, world_task(&w), RC_OK, true, 0);
	world_settle(&w);
	assert_true(pool_finished(&w.pool));
	assert_int_equal(w.grants, 3);
	world_finish(&w);
}

static void test_once_gives_up_on_stillbirths(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_ONCE, 1, 3, 1);
	for (int i = 0; i < 50 && !pool_finished(&w.pool); i++) {
		for (uint32_t s = 0; s < SLOTS; s++) {
			if (w.alive[s])
				world_die(&w, s);
		}
	}
	assert_true(pool_finished(&w.pool));
	assert_int_equal(w.ended, 3);
	world_finish(&w);
}

static void test_a_request_needs_nothing_due(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_REQUEST, 2, 3, 1);
	assert_true(pool_finished(&w.pool));
	assert_true(pool_ask(&w.pool, 1, 2, 99));
	assert_false(pool_finished(&w.pool));
	world_tick(&w);
	world_settle(&w);
	assert_int_equal(w.task[0], 1);
	world_result(&w, 0, RC_OK, true, 0);
	world_settle(&w);
	assert_true(pool_finished(&w.pool));
	world_finish(&w);
}

static void test_a_request_gets_a_busy_pool(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 20, 1);
	world_settle(&w);
	assert_true(pool_ask(&w.pool, 13, 2, 99));
	world_tick(&w);
	world_result(&w, 0, RC_OK, true, 0);                 /* the batch is not worked off first */
	world_settle(&w);
	assert_int_equal(w.task[0], 13);
	assert_int_equal(w.job_kind[0], 2);
	int64_t due = w.pool.pairings[13].place.due;
	world_result(&w, 0, RC_OK, true, 0);
	assert_int_equal(w.pool.pairings[13].place.due, due);
	world_finish(&w);
}

static void test_stop(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 3, 9, 1);
	world_settle(&w);
	world_step(&w, (struct pool_event){ .kind = POOL_STOP, .wait_ms = 60000 });
	assert_false(pool_finished(&w.pool));
	assert_true(w.cancelled[0] && w.cancelled[1] && w.cancelled[2]);
	world_result(&w, 0, RC_RETURNED, false, 0);
	world_step(&w, (struct pool_event){ .kind = POOL_STOP, .wait_ms = 5000 });
	w.now += 5000;
	world_tick(&w);
	assert_true(w.killed[1] && w.killed[2]);
	world_die(&w, 0);
	world_die(&w, 1);
	assert_false(pool_finished(&w.pool));
	world_die(&w, 2);
	assert_true(pool_finished(&w.pool));
	world_finish(&w);
}

static void test_stop_kills_the_unborn(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 1, 1);
	assert_true(w.alive[0] && !w.ready[0]);
	world_step(&w, (struct pool_event){ .kind = POOL_STOP, .wait_ms = 60000 });
	assert_true(w.killed[0]);
	world_die(&w, 0);
	assert_true(pool_finished(&w.pool));
	world_finish(&w);
}

/* --- configuration changes --- */

static void test_a_changed_pairing_is_withdrawn(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 3, 1);
	world_settle(&w);
	assert_int_equal(w.task[0], 0);
	struct pool_tie tie = world_tie(0, 0);
	pool_changed(&w.pool, 0, &tie, w.now);
	pool_changed(&w.pool, 1, &tie, w.now);            /* waits in the batch as it was */
	world_take(&w);
	assert_true(w.cancelled[0]);
	uint32_t incarnation = w.pool.slots[0].incarnation;
	world_result(&w, 0, RC_RETURNED, false, 0);
	world_settle(&w);
	for (int i = 0; i < 3; i++) {
		uint32_t slot = world_task(&w);

		if (w.task[slot] == 1)
			assert_true(w.pool.slots[slot].incarnation > incarnation);
		world_result(&w, slot, RC_OK, true, 0);
	}
	world_finish(&w);
}

static void test_a_removed_pairing_goes_when_its_lease_ends(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 1, 1);
	world_settle(&w);
	pool_remove(&w.pool, 0, w.now);
	world_take(&w);
	assert_true(w.pool.pairings[0].used && w.cancelled[0]);
	world_result(&w, 0, RC_RETURNED, false, 0);
	assert_false(w.pool.pairings[0].used);
	world_finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_logon_sequence), cmocka_unit_test(test_threshold_follows_syncable),
		cmocka_unit_test(test_restart_waits_for_the_last), cmocka_unit_test(test_holds_after_restarts_in_a_row),
		cmocka_unit_test(test_batches_follow_the_backlog),
		cmocka_unit_test(test_a_batch_has_one_pair_of_endpoints),
		cmocka_unit_test(test_failed_goes_to_the_bottom), cmocka_unit_test(test_a_free_slot_takes_over),
		cmocka_unit_test(test_yielded_waits_behind_the_others), cmocka_unit_test(test_stop_kills_the_unborn),
		cmocka_unit_test(test_only_the_begun_is_charged),
		cmocka_unit_test(test_silence_is_cancelled_then_killed),
		cmocka_unit_test(test_stale_results_change_nothing), cmocka_unit_test(test_once_runs_each_until_it_ends),
		cmocka_unit_test(test_once_gives_up_on_stillbirths), cmocka_unit_test(test_a_request_needs_nothing_due),
		cmocka_unit_test(test_a_request_gets_a_busy_pool), cmocka_unit_test(test_stop),
		cmocka_unit_test(test_a_changed_pairing_is_withdrawn),
		cmocka_unit_test(test_a_removed_pairing_goes_when_its_lease_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
