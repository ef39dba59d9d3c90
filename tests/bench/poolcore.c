/* poolcore.c - what the core of the supervisor costs with 10,000 pairings: CPU time per event.
 *
 * Fifteen workers without delay of their own; nine of ten tasks go well, the others fail in every
 * way. A shell's turn is counted as the shell makes it: step and the question when to step again.
 * usage: poolcore [PAIRINGS [EVENTS]]
 */
#include "../../supervisor/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WORKERS 15
#define LANES 8

static struct pool pool;
static int64_t now = 1000000;
static unsigned long events;
static double spent, worst;
static uint64_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void step(struct pool_event ev)
{
	double from = cpu(), took;

	pool_step(&pool, &ev, now);
	pool_actions_done(&pool);
	(void)pool_next_ms(&pool, now);
	took = cpu() - from;
	spent += took;
	worst = took > worst ? took : worst;
	events++;
}

static struct pool_event event(enum pool_event_kind kind, uint32_t slot)
{
	struct pool_event ev = { .kind = kind, .slot = slot, .incarnation = pool.slots[slot].incarnation,
				 .pairing = pool.slots[slot].task, .side = SIDES };

	if (ev.pairing != POOL_NONE)
		ev.generation = pool.pairings[ev.pairing].generation;
	return ev;
}

static void result(uint32_t slot)
{
	static const enum rclass bad[] = { RC_FAILED, RC_LOGON_FAILED, RC_STORE_FAILED, RC_YIELDED, RC_THROTTLED };
	struct pool_event ev = event(POOL_RESULT, slot);

	ev.rclass = rnd(10) != 0 ? RC_OK : bad[rnd(5)];
	ev.logged_on = ev.rclass == RC_LOGON_FAILED ? 1 : 3;
	ev.refused = ev.rclass == RC_LOGON_FAILED ? 2 : 0;
	if (ev.rclass == RC_THROTTLED && rnd(20) == 0) {
		ev.side = SIDE_RIGHT;
		ev.wait_ms = 5000;
	}
	step(ev);
}

/* One thing that the worker of this slot does next. */
static void act(uint32_t slot)
{
	switch (pool.slots[slot].state) {
	case SLOT_SPAWNING:
		step(event(POOL_READY, slot));
		break;
	case SLOT_ASSIGNED:
		step(event(POOL_ACCEPT, slot));
		break;
	case SLOT_ACCEPTED:
		step(event(POOL_BEGUN, slot));
		break;
	case SLOT_BUSY:
		if (rnd(3) == 0)
			step(event(POOL_HB, slot));
		else
			result(slot);
		break;
	case SLOT_CANCELLING:
		result(slot);
		break;
	case SLOT_DRAINING:
	case SLOT_KILLED:
		step(event(POOL_REAPED, slot));
		break;
	case SLOT_FREE:
	case SLOT_IDLE:
	case SLOT_STATES:
		break;
	}
}

static void add(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct pool_tie tie = { .endpoint = { 10 + i % LANES, 100 + i % LANES },
					/* every second one has a login of its own */
					.logon = { 7 + i % LANES, i % 2 ? 1000 + i : 200 + i % LANES } };

		pool_add(&pool, &tie, 0, now + (int64_t)rnd(300000));
	}
}

int main(int argc, char **argv)
{
	const struct pool_rules rules = {
		.due = { 300000, 900000 }, .heartbeat_ms = 30000, .progress_ms = 300000,
		.hold_first_ms = 5000, .hold_max_ms = 300000, .quarantine_ms = 3600000,
		.trial_ms = 300000, .run_max_ms = 7200000, .workers = WORKERS,
	};
	uint32_t pairings = argc > 1 ? (uint32_t)atoi(argv[1]) : 10000;
	unsigned long wanted = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
	double from = cpu();

	pool_init(&pool, POOL_SERVICE, &rules);
	add(pairings);
	printf("{\"pairings\": %u, \"add_ms\": %.1f, ", pairings, (cpu() - from) * 1000);
	while (events < wanted) {
		now += 5;
		step((struct pool_event){ .kind = POOL_TICK });
		for (uint32_t i = 0; i < WORKERS; i++)
			act(i);
	}
	printf("\"events\": %lu, \"tasks\": %llu, \"mean_us\": %.3f, \"worst_us\": %.1f}\n", events,
	       (unsigned long long)pool.seq - pairings, spent / (double)events * 1e6, worst * 1e6);
	pool_free(&pool);
	return spent / (double)events < 0.0001 ? 0 : 1;
}
