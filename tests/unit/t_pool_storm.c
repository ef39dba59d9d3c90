/* t_pool_storm.c - no storms: refused logons, throttled endpoints, connection limits, trial dispatch,
 * workers that never live, grow or take too long, and a clock that jumps.
 */
#include "pool_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static uint32_t alive(const struct world *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SLOTS; i++)
		n += w->alive[i];
	return n;
}

static void refuse(struct world *w, uint32_t slot)
{
	world_say(w, slot, RC_LOGON_FAILED, (struct said){ .refused = 2, .logged_on = 1, .side = 1 });
}

static void begin_with_one_logon(struct world *w, uint32_t workers, uint32_t pairings)
{
	world_begin(w, POOL_SERVICE, workers, 0, 1);
	for (uint32_t i = 0; i < pairings; i++)
		world_add(w, 0, 1);
	world_tick(w);
}

/* Three refusals of one logon; ten pairings want it, and one goes per trial. */
static void test_a_refused_logon_is_tried_once_per_interval(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin_with_one_logon(&w, 1, 10);
	w.pool.rules.due.bump_ms = 0;
	for (int i = 0; i < 3; i++) {
		uint32_t slot = world_task(&w);

		world_say(&w, slot, RC_FAILED, (struct said){ .refused = 2, .side = 1 });
	}
	world_settle(&w);
	assert_int_equal(alive(&w), 0);
	assert_int_equal(w.grants, 3);
	assert_int_equal(pool_next_ms(&w.pool, w.now), w.now + TRIAL);
	assert_int_equal(pool_next_run(&w.pool, 7, w.now), w.now + TRIAL);
	for (unsigned i = 0; i < 5; i++) {
		int64_t before = w.now;
		uint32_t slot = world_task(&w);

		assert_true(w.now - before >= TRIAL - 1000);
		world_say(&w, slot, RC_FAILED, (struct said){ .refused = 2, .side = 1 });
		world_settle(&w);
		assert_int_equal(w.grants, 4 + i);
		assert_int_equal(alive(&w), 0);
	}
	assert_int_equal(w.pool.logon_count, 0);        /* those who wait are not counted */
	world_say(&w, world_task(&w), RC_OK, (struct said){ .both = true });
	world_settle(&w);
	assert_true(alive(&w) > 0);                     /* it is good: all go */
	world_finish(&w);
}

static void test_others_go_on_meanwhile(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin_with_one_logon(&w, 1, 4);
	world_add(&w, 0, 2);
	for (int i = 0; i < 3; i++)
		world_say(&w, world_task(&w), RC_FAILED, (struct said){ .refused = 2, .side = 1 });
	world_settle(&w);
	assert_int_equal(w.task[world_task(&w)], 4);
	world_finish(&w);
}

static void test_a_new_secret_and_a_person_end_the_wait(void **ctx)
{
	static struct world w;

	(void)ctx;
	for (int how = 0; how < 2; how++) {
		begin_with_one_logon(&w, 1, 10);
		for (int i = 0; i < 3; i++)
			world_say(&w, world_task(&w), RC_FAILED, (struct said){ .refused = 2, .side = 1 });
		world_settle(&w);
		assert_int_equal(alive(&w), 0);
		w.logons[1].trial_at = 0;
		if (how == 0) {
			pool_new_secret(&w.pool, 1);
			w.logons[1].refusals = 0;
		} else {
			assert_true(pool_wake(&w.pool, 9, w.now));
		}
		world_tick(&w);
		assert_int_equal(alive(&w), 1);
		refuse(&w, world_task(&w));
		world_settle(&w);
		/* a new secret has three tries of its own, a person one */
		assert_int_equal(alive(&w), how == 0 ? 1 : 0);
		world_finish(&w);
	}
}

/* Asking for a job would be another try: it is answered at once, unless it asks no server. */
static void test_a_job_does_not_try_a_refused_logon(void **ctx)
{
	static struct world w;

	(void)ctx;
	begin_with_one_logon(&w, 1, 10);
	w.pool.rules.offline_kinds = 1u << 3;
	for (int i = 0; i < 3; i++)
		world_say(&w, world_task(&w), RC_FAILED, (struct said){ .refused = 2, .side = 1 });
	world_settle(&w);
	unsigned ended = w.ended, grants = w.grants;
	assert_true(pool_ask(&w.pool, 5, 2, 77));
	world_tick(&w);
	assert_int_equal(w.ended, ended + 1);
	assert_int_equal(alive(&w), 0);
	assert_true(pool_ask(&w.pool, 5, 3, 78));
	world_tick(&w);
	world_settle(&w);
	assert_int_equal(w.grants, grants + 1);
	assert_int_equal(w.job_kind[0], 3);
	world_finish(&w);
}

static void test_a_throttled_endpoint_is_left_alone(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 6, 2);
	uint32_t first = world_task(&w), pair = w.pair_of[w.task[first]];
	world_say(&w, first, RC_THROTTLED, (struct said){ .both = true, .side = SIDE_RIGHT, .wait = 5000000 });
	for (unsigned i = 0; i < 3; i++) {              /* the other lane's three */
		uint32_t slot = world_task(&w);

		assert_true(w.pair_of[w.task[slot]] != pair);
		assert_true(w.now < START + 10000);
		world_result(&w, slot, RC_STOPPED, true, 0);
	}
	world_settle(&w);
	assert_int_equal(alive(&w), 0);
	assert_int_equal(w.pool.logon_count, 0);
	assert_int_equal(pool_pause_ms(&w.pool, 0, SIDE_RIGHT, w.now), 5000000 - (w.now - START));
	uint32_t slot = world_task(&w);
	assert_true(w.now >= START + 5000000);
	assert_int_equal(w.pair_of[w.task[slot]], pair);
	world_finish(&w);
}

static void test_a_pause_without_a_time_is_a_minute(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 2, 1);
	world_say(&w, world_task(&w), RC_THROTTLED, (struct said){ .both = true, .side = SIDE_LEFT });
	world_settle(&w);
	assert_int_equal(pool_next_ms(&w.pool, w.now), w.now + 60000);
	world_say(&w, world_task(&w), RC_THROTTLED, (struct said){ .both = true, .side = SIDES });
	assert_int_equal(pool_pause_ms(&w.pool, 0, SIDE_LEFT, w.now), 0);    /* nobody knows by whom */
	world_finish(&w);
}

static void test_connections_are_limited(void **ctx)
{
	static struct world w;
	struct pool_tie same = { .endpoint = { 7, 7 } };

	(void)ctx;
	world_begin(&w, POOL_SERVICE, SLOTS, 0, 1);
	pool_set_limit(&w.pool, 2000, 3);
	for (uint32_t i = 0; i < 20; i++)
		world_add(&w, 0, 0);
	world_tick(&w);
	assert_int_equal(alive(&w), 3);
	world_settle(&w);
	w.now += 1000;
	world_tick(&w);                                 /* nor by taking over */
	assert_int_equal(alive(&w), 3);
	world_add(&w, 1, 0);
	world_tick(&w);
	assert_int_equal(alive(&w), 4);
	world_finish(&w);

	world_begin(&w, POOL_SERVICE, SLOTS, 0, 1);     /* both sides on one endpoint that bears one */
	pool_set_limit(&w.pool, 7, 1);
	for (uint32_t i = 0; i < 3; i++)
		pool_add(&w.pool, &same, 0, w.now);
	world_tick(&w);
	assert_int_equal(alive(&w), 1);
	world_finish(&w);
}

/* After a restart of the pool nobody is known to be well: one pairing per endpoint goes first. */
static void test_trial_dispatch_after_a_restart(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 4, 40, 2);
	world_settle(&w);
	for (int i = 0; i < 4; i++)
		world_result(&w, world_task(&w), RC_LOGON_FAILED, false, 0);
	world_settle(&w);
	assert_int_equal(w.restarts, 1);
	assert_int_equal(w.held, 0);
	assert_int_equal(alive(&w), 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(w.pool.slots[i].n_batch, 1);
	struct pool_event ev = world_event(&w, POOL_LOGGED_ON, 0);
	ev.logged_on = 1;
	world_step(&w, ev);
	assert_int_equal(alive(&w), 2);
	ev.logged_on = 2;
	world_step(&w, ev);                             /* the first lane is well, before its task ends */
	assert_int_equal(alive(&w), 4);
	world_finish(&w);
}

static void test_no_trial_before_any_restart(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 4, 40, 1);
	assert_int_equal(alive(&w), 4);
	world_finish(&w);
}

static void test_stillborn_workers_are_spaced(void **ctx)
{
	static const int64_t waits[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 1, 1);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		assert_true(w.alive[0]);
		world_die(&w, 0);
		assert_int_equal(pool_next_ms(&w.pool, w.now) - w.now, waits[i]);
		world_pass(&w, waits[i] - 1);
		assert_false(w.alive[0]);
		w.now++;
		world_tick(&w);
	}
	assert_int_equal(w.pool.pairings[0].crashes.n, 0);
	world_die(&w, 0);
	assert_false(pool_degraded(&w.pool, w.now));
	for (int i = 0; i < 10; i++) {
		world_pass(&w, 60000);
		if (w.alive[0])
			world_die(&w, 0);
	}
	assert_true(pool_degraded(&w.pool, w.now));
	world_finish(&w);
}

static void test_a_grown_worker_is_replaced_between_tasks(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 3, 1);
	world_say(&w, world_task(&w), RC_OK, (struct said){ .both = true, .rss_kib = 262144 });
	assert_false(w.drained[0]);
	world_say(&w, world_task(&w), RC_OK, (struct said){ .both = true, .rss_kib = 262145 });
	assert_true(w.drained[0]);
	world_settle(&w);
	assert_int_equal(w.pool.slots[0].incarnation, 2);
	assert_int_equal(w.task[world_task(&w)], 2);
	world_finish(&w);
}

static void test_a_long_run_is_called_back_and_goes_on(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 2, 1);
	world_settle(&w);
	world_step(&w, world_event(&w, POOL_ACCEPT, 0));
	world_step(&w, world_event(&w, POOL_BEGUN, 0));
	w.told[0] = w.begun[0] = true;
	for (uint64_t i = 1; i <= 720; i++) {
		struct pool_event hb = world_event(&w, POOL_HB, 0);

		assert_false(w.cancelled[0]);
		hb.progress = i;
		w.now += 10000;
		world_step(&w, hb);
		world_tick(&w);
	}
	assert_true(w.cancelled[0]);
	world_result(&w, 0, RC_RETURNED, true, 0);
	assert_int_equal(w.pool.pairings[0].place.due, w.now);
	assert_int_equal(w.task[world_task(&w)], 1);     /* the others first */
	world_finish(&w);
}

/* The gateway slept for a day: nobody could have been heard, and nobody is killed for it. */
static void test_sleep_is_nobodys_silence(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 2, 1);
	world_settle(&w);
	world_step(&w, world_event(&w, POOL_ACCEPT, 0));
	w.told[0] = true;
	w.now += 86400000;
	world_tick(&w);
	assert_false(w.cancelled[0] || w.killed[0]);
	world_pass(&w, 31000);                           /* but then it is expected to speak */
	assert_true(w.cancelled[0]);
	world_finish(&w);
}

static void test_a_clock_that_goes_back_keeps_intervals(void **ctx)
{
	static struct world w;

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 1, 1);
	world_result(&w, world_task(&w), RC_FAILED, true, 0);
	world_settle(&w);
	assert_int_equal(pool_next_ms(&w.pool, w.now) - w.now, INTERVAL + BUMP);
	world_jump_back(&w, 3600000);
	assert_int_equal(pool_next_ms(&w.pool, w.now) - w.now, INTERVAL + BUMP);
	world_jump_back(&w, 86400000);
	assert_int_equal(pool_next_run(&w.pool, 0, w.now) - w.now, INTERVAL + BUMP);
	world_task(&w);
	world_finish(&w);
}

static void test_quarantine_of_before_goes_on(void **ctx)
{
	static struct world w;
	const struct due_crashes crashes = { .at = { START, START }, .n = 2, .level = 3 };

	(void)ctx;
	world_begin(&w, POOL_SERVICE, 1, 0, 1);
	uint32_t id = world_add(&w, 0, 0);
	pool_set_crashes(&w.pool, id, &crashes, w.now + 50000);
	world_tick(&w);
	assert_false(w.alive[0]);
	assert_int_equal(pool_next_ms(&w.pool, w.now), w.now + 50000);
	uint32_t slot = world_task(&w);
	world_step(&w, world_event(&w, POOL_ACCEPT, slot));
	world_step(&w, world_event(&w, POOL_BEGUN, slot));
	w.told[slot] = w.begun[slot] = true;
	world_die(&w, slot);
	assert_int_equal(w.pool.pairings[id].quarantined_until, w.now + 8 * 3600000);
	world_finish(&w);
}

/* A worker that is gone before its task reaches it costs nobody anything; a database that refuses
 * holds all. */
static void test_a_grant_that_fails(void **ctx)
{
	static struct world w;

	(void)ctx;
	for (int unsaved = 0; unsaved < 2; unsaved++) {
		world_begin(&w, POOL_SERVICE, 2, 1, 1);
		world_settle(&w);
		struct pool_event ev = world_event(&w, POOL_GRANT_FAILED, 0);
		ev.unsaved = unsaved == 1;
		world_step(&w, ev);
		assert_true(w.killed[0]);
		world_die(&w, 0);
		assert_int_equal(w.pool.pairings[0].crashes.n, 0);
		assert_int_equal(pool_queue(&w.pool, w.now), 1);
		assert_int_equal(alive(&w), unsaved ? 0 : 1);
		assert_int_equal(w.pool.hold_until > w.now, unsaved);
		world_finish(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_refused_logon_is_tried_once_per_interval),
		cmocka_unit_test(test_others_go_on_meanwhile),
		cmocka_unit_test(test_a_new_secret_and_a_person_end_the_wait),
		cmocka_unit_test(test_a_job_does_not_try_a_refused_logon),
		cmocka_unit_test(test_a_throttled_endpoint_is_left_alone),
		cmocka_unit_test(test_a_pause_without_a_time_is_a_minute),
		cmocka_unit_test(test_connections_are_limited),
		cmocka_unit_test(test_trial_dispatch_after_a_restart),
		cmocka_unit_test(test_no_trial_before_any_restart),
		cmocka_unit_test(test_stillborn_workers_are_spaced),
		cmocka_unit_test(test_a_grown_worker_is_replaced_between_tasks),
		cmocka_unit_test(test_a_long_run_is_called_back_and_goes_on),
		cmocka_unit_test(test_sleep_is_nobodys_silence),
		cmocka_unit_test(test_a_clock_that_goes_back_keeps_intervals),
		cmocka_unit_test(test_quarantine_of_before_goes_on), cmocka_unit_test(test_a_grant_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
