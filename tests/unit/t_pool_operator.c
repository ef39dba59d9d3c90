/* t_pool_operator.c - what a person may do to one pairing, event by event. */
#include "pool_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_stop_and_start(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 1, 1);
	world_settle(&w);
	assert_int_equal(w.task[0], 0);
	pool_stop(&w.pool, 0, w.now);
	world_take(&w);
	assert_true(w.cancelled[0]);
	assert_false(pool_wake(&w.pool, 0, w.now));
	world_settle(&w);
	assert_false(w.lease[0].held);
	assert_int_equal(pool_syncable(&w.pool), 0);
	w.now += 10 * (INTERVAL + BUMP);
	world_tick(&w);
	assert_int_equal(w.grants, 1);
	assert_true(pool_start(&w.pool, 0, w.now));
	world_tick(&w);
	world_task(&w);
	assert_int_equal(w.grants, 2);
	world_finish(&w);
}

/* Only a person lets a stop error go: neither time nor a restart of the pool does (R20). */
static void test_only_resume_ends_a_stop_error(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 2, 1);
	world_result(&w, world_task(&w), RC_STOPPED, true, 0);
	assert_int_equal(w.pool.pairings[0].out, POOL_STOP_ERROR);
	for (int i = 0; i < 3; i++) {
		uint32_t slot = world_task(&w);

		assert_int_equal(w.task[slot], 1);
		world_result(&w, slot, RC_STORE_FAILED, false, 0);
	}
	assert_int_equal(w.restarts, 3);                /* threshold 1: one is syncable */
	world_settle(&w);
	assert_int_equal(w.pool.pairings[0].out, POOL_STOP_ERROR);
	assert_false(pool_wake(&w.pool, 0, w.now));
	assert_false(pool_start(&w.pool, 0, w.now));    /* it is not Stopped: resume is the word */
	pool_stop(&w.pool, 0, w.now);
	assert_false(pool_resume(&w.pool, 0, w.now));   /* still Stopped by the operator */
	assert_true(pool_start(&w.pool, 0, w.now));
	w.earliest[0] = w.now;
	world_tick(&w);
	uint32_t slot = world_task(&w);
	assert_int_equal(w.task[slot], 0);
	world_finish(&w);
}

/* A job for a pairing in hand makes its sync yield, and comes before the rest of it. */
static void test_a_job_lets_the_sync_yield(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 1, 1);
	world_settle(&w);
	assert_int_equal(w.task[0], 0);
	assert_true(pool_ask(&w.pool, 0, 2, 99));
	world_take(&w);
	assert_true(w.yield[0]);
	world_result(&w, 0, RC_YIELDED, true, 0);
	world_settle(&w);
	assert_int_equal(w.job_kind[world_task(&w)], 2);
	world_result(&w, 0, RC_OK, true, 0);
	assert_int_equal(w.job_kind[world_task(&w)], 0);
	assert_false(w.yield[0]);
	world_finish(&w);
}

static void test_sync_and_resume_end_a_quarantine(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 1, 1);
	for (int i = 0; i < 3; i++) {
		uint32_t slot = world_task(&w);

		world_step(&w, world_event(&w, POOL_ACCEPT, slot));
		world_step(&w, world_event(&w, POOL_BEGUN, slot));
		w.told[slot] = w.begun[slot] = true;
		world_die(&w, slot);
	}
	assert_true(w.pool.pairings[0].quarantined_until > w.now + 3000000);
	assert_true(pool_resume(&w.pool, 0, w.now));
	assert_int_equal(w.pool.pairings[0].quarantined_until, 0);
	assert_int_equal(w.pool.pairings[0].crashes.n, 0);
	w.earliest[0] = w.now;
	world_tick(&w);
	assert_true(w.alive[0]);
	world_finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stop_and_start), cmocka_unit_test(test_only_resume_ends_a_stop_error),
		cmocka_unit_test(test_a_job_lets_the_sync_yield),
		cmocka_unit_test(test_sync_and_resume_end_a_quarantine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
