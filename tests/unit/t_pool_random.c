/* t_pool_random.c - the core of the supervisor under random events and faults: the promises hold at
 * every step, and afterwards every pairing runs again.
 */
#include "pool_case.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LIVES 20000              /* MS_LIVES: another number; MS_SEED: the first one */
#define EVENTS 200

static unsigned long life;
static uint64_t seed;
static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static void random_result(struct world *w, uint32_t slot)
{
	static const enum rclass classes[] = { RC_OK, RC_OK, RC_OK, RC_LOGON_FAILED, RC_STORE_FAILED, RC_FAILED,
					       RC_THROTTLED, RC_YIELDED, RC_HELD, RC_RETURNED, RC_CRASHED,
					       RC_LOGON_FAILED, RC_STOPPED };
	struct said said = { .both = rnd(2) == 0, .side = (uint8_t)rnd(3), .wait = rnd(3000000),
			     .rss_kib = rnd(300000) };
	enum rclass c = classes[rnd(ARRAY_LEN(classes))];

	if (rnd(4) == 0)
		said.wait = 0;
	if (c == RC_LOGON_FAILED) {
		said.both = false;
		said.refused = (uint8_t)(1 + rnd(3));
		said.logged_on = (uint8_t)(rnd(4) & ~said.refused);
	}
	world_say(w, slot, c, said);
}

/* What a worker of before, or a confused one, says: one thing is wrong, and nothing may come of it. */
static void random_stale(struct world *w)
{
	uint32_t slot = rnd(SLOTS);
	struct pool_event ev = world_event(w, (enum pool_event_kind)(POOL_READY + rnd(6)), slot);
	uint32_t wrong = rnd(w->task[slot] != POOL_NONE && ev.kind != POOL_READY ? 4 : 2);

	ev.rclass = (enum rclass)rnd(RCLASS_COUNT);
	ev.logged_on = (uint8_t)rnd(4);
	ev.side = (uint8_t)rnd(3);
	if (wrong == 0)
		ev.incarnation += 1 + rnd(3);
	else if (wrong == 1)
		ev.slot = POOL_SLOTS_MAX + rnd(3);
	else if (wrong == 2)
		ev.generation -= 1 + rnd(2);
	else
		ev.generation++;
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
	struct ref_logon *l = &w->logons[w->logon_of[p]];

	switch (rnd(8)) {
	case 0:
		if (!pool_wake(&w->pool, p, w->now))
			break;
		w->earliest[p] = 0;
		w->rerun[p] = w->lease[p].held;
		if (!w->lease[p].held)
			l->trial_at = 0;         /* a person may try at once */
		break;
	case 1:
		world_retie(w, p, rnd(3), rnd(TIES));
		break;
	case 2:
		if (rnd(2))
			pool_stop(&w->pool, p, w->now);
		else
			pool_start(&w->pool, p, w->now);
		w->earliest[p] = 0;
		break;
	case 3:
		pool_ask(&w->pool, p, 1 + rnd(4), ++w->pool.seq);
		break;
	case 4:
		pool_unask(&w->pool, w->pool.seq, w->now);
		break;
	case 5:
		pool_resume(&w->pool, p, w->now);
		w->earliest[p] = 0;
		w->rerun[p] = w->lease[p].held && w->pool.pairings[p].out == 0;
		if (!w->lease[p].held)
			l->trial_at = 0;
		break;
	case 6:
		pool_set_limit(&w->pool, (rnd(2) ? 1000 : 2000) + (uint64_t)rnd(3), SLOTS + rnd(3));
		break;
	case 7:
		if (w->logon_of[p] != 0)
			pool_new_secret(&w->pool, w->logon_of[p]);
		l->refusals = 0;
		break;
	}
	world_take(w);
	world_tick(w);
}

static void random_clock(struct world *w)
{
	static const int64_t jumps[] = { 3600000, 86400000 };
	int64_t ms = jumps[rnd(2)];

	if (rnd(2)) {
		w->now += ms;
		world_tick(w);
	} else {
		world_jump_back(w, ms);
	}
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

static void one_life(struct world *w, unsigned long number)
{
	seed = number;
	uint32_t workers = 1 + rnd(SLOTS), pairings = 1 + rnd(PAIRINGS);
	uint32_t pairs = 1 + rnd(3), logons = 1 + rnd(TIES - 1);

	world_begin(w, POOL_SERVICE, workers, 0, 1);
	w->pool.rules.offline_kinds = 1u << 3 | 1u << 4;
	for (uint32_t i = 0; i < pairs; i++) {
		pool_set_limit(&w->pool, 1000 + i, rnd(5));
		pool_set_limit(&w->pool, 2000 + i, rnd(5));
	}
	for (uint32_t i = 0; i < pairings; i++)
		world_add(w, i % pairs, rnd(3) == 0 ? 0 : 1 + rnd(logons));
	world_tick(w);
	for (unsigned i = 0; i < EVENTS; i++) {
		uint32_t what = rnd(200);

		if (what < 140)
			random_worker(w);
		else if (what < 160)
			random_stale(w);
		else if (what < 170)
			random_operator(w, pairings);
		else if (what == 170)
			random_clock(w);
		else {
			w->now += rnd(what < 190 ? 60000 : 600);
			world_tick(w);
		}
	}
	everyone_runs(w, pairings);
	world_finish(w);
}

static unsigned long number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoul(text, NULL, 10) : otherwise;
}

/* A failure names its life: MS_SEED=that MS_LIVES=1 runs it alone. */
static void test_random_lives(void **ctx)
{
	static struct world w;
	unsigned long first = number("MS_SEED", 1), lives = number("MS_LIVES", LIVES);

	(void)ctx;
	printf("seeds %lu to %lu, %d events each\n", first, first + lives - 1, EVENTS);
	for (life = first; life < first + lives; life++)
		one_life(&w, life);
}

static void name_the_life(int sig)
{
	fprintf(stderr, "life MS_SEED=%lu failed\n", life);
	signal(sig, SIG_DFL);
	raise(sig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_lives),
	};

	signal(SIGABRT, name_the_life);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (failed != 0)
		fprintf(stderr, "life MS_SEED=%lu failed\n", life);
	return failed;
}
