/* logons.c - every sequence of outcomes up to LENGTH through the core of the supervisor, as a tree.
 *
 * For each pool of 1..6 workers and 1..6 pairings it walks all strings over three outcomes (a failure
 * that counts, both logged on, neither) or four (of two failures that count) depth first, the node of each string once: the pool is copied before a
 * branch and put back after it. Each node writes three bytes: the logon count, the restarts so far, the
 * restarts in a row. logons.py makes the same bytes from the rules alone and compares.
 *
 * usage: logons LENGTH 3|4 OUTPUT
 */
#include "../../supervisor/pool.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST 6
#define ENDPOINTS 2
enum { GOOD, OTHER, LOGON, STORE, OUTCOMES };

static struct pool pool;
static int64_t now;
static FILE *out;
static int outcomes;

/* --- copies of a pool of up to MOST pairings: the struct, and what it points to --- */

struct copy {
	char head[offsetof(struct pool, slots)];
	struct pool_slot slots[MOST];
	char tail[sizeof(struct pool) - offsetof(struct pool, jobs)];
	struct pool_pairing pairings[MOST];
	struct pool_endpoint endpoints[ENDPOINTS];
	struct pool_heap_entry waiting[MOST], ready[MOST];
	struct pool_lane lane;
	int64_t now;
};

static void keep(struct copy *c)
{
	memcpy(c->head, &pool, sizeof(c->head));
	memcpy(c->slots, pool.slots, sizeof(c->slots));
	memcpy(c->tail, pool.jobs, sizeof(c->tail));
	memcpy(c->pairings, pool.pairings, sizeof(struct pool_pairing) * pool.n_pairings);
	memcpy(c->endpoints, pool.endpoints, sizeof(c->endpoints));
	memcpy(c->waiting, pool.waiting.at, sizeof(struct pool_heap_entry) * pool.waiting.n);
	c->lane = pool.lanes[0];
	memcpy(c->ready, c->lane.ready.at, sizeof(struct pool_heap_entry) * c->lane.ready.n);
	c->now = now;
}

static void put_back(const struct copy *c)
{
	struct pool_action *actions = pool.actions;
	struct pool_heap_entry *waiting = pool.waiting.at, *ready = pool.lanes[0].ready.at;
	size_t cap = pool.cap_actions;
	uint32_t cap_waiting = pool.waiting.cap, cap_ready = pool.lanes[0].ready.cap;

	memcpy(&pool, c->head, sizeof(c->head));
	memcpy(pool.slots, c->slots, sizeof(c->slots));
	memcpy(pool.jobs, c->tail, sizeof(c->tail));
	pool.actions = actions;
	pool.cap_actions = cap;
	pool.waiting.at = waiting;
	pool.waiting.cap = cap_waiting;
	memcpy(pool.pairings, c->pairings, sizeof(struct pool_pairing) * pool.n_pairings);
	memcpy(pool.endpoints, c->endpoints, sizeof(c->endpoints));
	memcpy(pool.waiting.at, c->waiting, sizeof(struct pool_heap_entry) * pool.waiting.n);
	pool.lanes[0] = c->lane;
	pool.lanes[0].ready.at = ready;
	pool.lanes[0].ready.cap = cap_ready;
	memcpy(ready, c->ready, sizeof(struct pool_heap_entry) * c->lane.ready.n);
	now = c->now;
}

/* --- the smallest shell --- */

static void step(struct pool_event ev)
{
	pool_step(&pool, &ev, now);
	pool_actions_done(&pool);
}

static struct pool_event event(enum pool_event_kind kind, uint32_t slot)
{
	struct pool_event ev = { .kind = kind, .slot = slot, .incarnation = pool.slots[slot].incarnation,
				 .pairing = pool.slots[slot].task, .side = SIDES };

	if (ev.pairing != POOL_NONE)
		ev.generation = pool.pairings[ev.pairing].generation;
	return ev;
}

/* Workers come up; those who are to go, go. */
static void settle(void)
{
	for (bool moved = true; moved;) {
		moved = false;
		for (uint32_t i = 0; i < pool.n_slots; i++) {
			struct pool_event ev;

			switch (pool.slots[i].state) {
			case SLOT_SPAWNING:
				step(event(POOL_READY, i));
				moved = true;
				break;
			case SLOT_CANCELLING:
				ev = event(POOL_RESULT, i);
				ev.rclass = RC_RETURNED;
				step(ev);
				moved = true;
				break;
			case SLOT_DRAINING:
			case SLOT_KILLED:
				step(event(POOL_REAPED, i));
				moved = true;
				break;
			case SLOT_FREE:
			case SLOT_IDLE:
			case SLOT_ASSIGNED:
			case SLOT_ACCEPTED:
			case SLOT_BUSY:
			case SLOT_STATES:
				break;
			}
		}
	}
}

/* A slot with a task; another one each time, where there are several. */
static uint32_t next_task(unsigned depth)
{
	for (int tries = 0; tries < 100; tries++) {
		for (uint32_t i = 0; i < pool.n_slots; i++) {
			uint32_t slot = (i + depth) % pool.n_slots;

			if (pool.slots[slot].state == SLOT_ASSIGNED)
				return slot;
		}
		int64_t next = pool_next_ms(&pool, now);
		if (next == DUE_NEVER)
			break;
		now = next > now ? next : now + 1;
		step((struct pool_event){ .kind = POOL_TICK });
		settle();
	}
	fprintf(stderr, "no task comes\n");
	exit(1);
}

static void finish(uint32_t slot, int outcome)
{
	static const enum rclass classes[OUTCOMES] = { RC_OK, RC_FAILED, RC_LOGON_FAILED, RC_STORE_FAILED };
	/* a store that is not opened bumps although both logged on */
	static const uint8_t logged_on[OUTCOMES] = { 3, 1, 1, 3 };
	struct pool_event ev;

	step(event(POOL_ACCEPT, slot));
	step(event(POOL_BEGUN, slot));
	ev = event(POOL_RESULT, slot);
	ev.rclass = classes[outcome];
	ev.logged_on = logged_on[outcome];
	step(ev);
	settle();
}

static void walk(unsigned depth, unsigned length)
{
	struct copy *before = malloc(sizeof(*before));

	putc((int)pool.logon_count, out);
	putc((int)pool.restarts, out);
	putc((int)pool.restarts_in_row, out);
	if (depth < length && before != NULL) {
		keep(before);
		for (int outcome = 0; outcome < outcomes; outcome++) {
			/* of three, the last is the one or the other by turns */
			bool other = outcomes == 3 && outcome == LOGON && depth % 2 != 0;

			finish(next_task(depth), other ? STORE : outcome);
			walk(depth + 1, length);
			put_back(before);
		}
	}
	free(before);
}

int main(int argc, char **argv)
{
	if (argc != 4 || (out = fopen(argv[3], "w")) == NULL) {
		fprintf(stderr, "usage: logons LENGTH 3|4 OUTPUT\n");
		return 2;
	}
	outcomes = atoi(argv[2]) == 3 ? 3 : OUTCOMES;
	for (uint32_t workers = 1; workers <= MOST; workers++) {
		for (uint32_t pairings = 1; pairings <= MOST; pairings++) {
			const struct pool_rules rules = {
				.due = { 300000, 900000 }, .heartbeat_ms = 30000, .progress_ms = 300000,
				.hold_first_ms = 5000, .hold_max_ms = 300000, .quarantine_ms = 3600000,
				.trial_ms = 300000, .workers = workers,
			};
			const struct pool_tie tie = { .endpoint = { 1, 2 } };

			now = 1000000;
			pool_init(&pool, POOL_SERVICE, &rules);
			for (uint32_t i = 0; i < pairings; i++)
				pool_add(&pool, &tie, 0, now);
			step((struct pool_event){ .kind = POOL_TICK });
			settle();
			walk(0, (unsigned)atoi(argv[1]));
			pool_free(&pool);
		}
	}
	return fclose(out) == 0 ? 0 : 1;
}
