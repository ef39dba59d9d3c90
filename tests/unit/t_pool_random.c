/* t_pool_random.c - the core of the supervisor under random events and faults: the promises hold at
 * every step, and afterwards every pairing runs again.
 */
#include "pool_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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

	world_result(w, slot, c, c != RC_LOGON_FAILED && rnd(2) == 0, rnd(3000000));
}

static void random_stale(struct world *w)
{
	struct pool_event ev = { .kind = (enum pool_event_kind)(POOL_READY + rnd(5)), .slot = rnd(SLOTS + 1),
				 .incarnation = rnd(40), .generation = rnd(50) + 1000000, .pairing = rnd(4),
				 .rclass = (enum rclass)rnd(RCLASS_COUNT) };

	if (ev.kind != POOL_READY)                     /* a READY with a right incarnation would be a birth */
		world_step(w, ev);
}

static void random_worker(struct world *w)
{
	uint32_t slot = rnd(SLOTS);

	if (!w->alive[slot])
		return;
	if (w->killed[slot] || rnd(12) == 0) {
		world_die(w, slot);
	} else if (!w->ready[slot]) {
		w->ready[slot] = true;
		world_step(w, world_event(w, POOL_READY, slot));
	} else if (w->task[slot] != POOL_NONE && rnd(3) == 0) {
		struct pool_event hb = world_event(w, POOL_HB, slot);

		hb.progress = rnd(5);
		if (w->told[slot])
			world_step(w, hb);
	} else if (w->task[slot] != POOL_NONE) {
		if (w->cancelled[slot])
			world_result(w, slot, RC_RETURNED, false, 0);
		else
			random_result(w, slot);
	} else if (w->drained[slot]) {
		world_die(w, slot);
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
	world_take(w);
	world_tick(w);
}

/* Whatever happened before: with healthy workers every syncable pairing runs again. */
static void everyone_runs(struct world *w, uint32_t pairings)
{
	bool ran[PAIRINGS] = { false };
	uint32_t left = 0;

	for (uint32_t i = 0; i < pairings; i++)
		left += w->pool.pairings[i].out == 0;
	for (int i = 0; left > 0 && i < 5000; i++) {
		uint32_t slot = world_task(w), pairing = w->task[slot];
		bool counts = w->job_kind[slot] == 0 && w->pool.pairings[pairing].out == 0;

		world_result(w, slot, RC_OK, true, 0);
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

		world_begin(&w, POOL_SERVICE, workers, pairings, 1 + rnd(3));
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
				world_tick(&w);
			}
		}
		everyone_runs(&w, pairings);
		world_finish(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
