/* pool_operator.c - what a person may do to one pairing: sync, stop, start, resume. Pure. */
#include "pool_private.h"

/* Due now, at the bottom of what is due; a lease in hand is followed by another run. */
static void due_now(struct pool *pool, uint32_t pairing, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	p->quarantined_until = 0;
	if (p->slot != POOL_NONE) {
		p->rerun = true;
		return;
	}
	if (p->place.due > now) {
		p->place.due = now;
		p->place.seq = ++pool->seq;
	}
	pool_logon_retry(pool, pairing, now);
	pool_place(pool, pairing, now);
}

bool pool_wake(struct pool *pool, uint32_t pairing, int64_t now)
{
	if (pool->pairings[pairing].out != 0)
		return false;
	due_now(pool, pairing, now);
	return true;
}

void pool_stop(struct pool *pool, uint32_t pairing, int64_t now)
{
	pool_set_out(pool, pairing, pool->pairings[pairing].out | POOL_STOPPED, now);
}

bool pool_start(struct pool *pool, uint32_t pairing, int64_t now)
{
	uint32_t out = pool->pairings[pairing].out;

	if (out & POOL_STOPPED)
		pool_set_out(pool, pairing, out & ~(uint32_t)POOL_STOPPED, now);
	return pool->pairings[pairing].out == 0;
}

bool pool_resume(struct pool *pool, uint32_t pairing, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	memset(&p->crashes, 0, sizeof(p->crashes));
	pool_set_out(pool, pairing, p->out & ~(uint32_t)POOL_STOP_ERROR, now);
	return pool_wake(pool, pairing, now);
}

static void ask_to_yield(struct pool *pool, uint32_t pairing)
{
	uint32_t slot = pool->pairings[pairing].slot;

	if (slot != POOL_NONE && pool->slots[slot].job == POOL_NONE)
		pool_act(pool, POOL_DO_YIELD, slot);
}

bool pool_ask(struct pool *pool, uint32_t pairing, uint32_t kind, uint64_t id)
{
	for (uint32_t i = 0; i < POOL_JOBS_MAX; i++) {
		if (pool->jobs[i].used)
			continue;
		pool->jobs[i] = (struct pool_job){ .used = true, .pairing = pairing, .kind = kind,
						    .id = id, .slot = POOL_NONE };
		ask_to_yield(pool, pairing);
		return true;
	}
	return false;
}
