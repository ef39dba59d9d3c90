/* pool_conf.c - what configuration and operators do to the pool, and what it can be asked. Pure. */
#include "pool_private.h"

#include "../common/mem.h"

void pool_init(struct pool *pool, enum pool_mode mode, const struct pool_rules *rules)
{
	memset(pool, 0, sizeof(*pool));
	pool->mode = mode;
	pool_set_rules(pool, rules);
	for (uint32_t i = 0; i < POOL_SLOTS_MAX; i++) {
		pool->slots[i].task = POOL_NONE;
		pool->slots[i].job = POOL_NONE;
		pool->slots[i].lane = POOL_NONE;
	}
	for (uint32_t i = 0; i < POOL_JOBS_MAX; i++)
		pool->jobs[i].slot = POOL_NONE;
	pool->first_free = POOL_NONE;
}

void pool_free(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->n_lanes; i++)
		mem_free(pool->lanes[i].ready.at);
	mem_free(pool->lanes);
	mem_free(pool->endpoints);
	mem_free(pool->logons);
	mem_free(pool->waiting.at);
	mem_free(pool->pairings);
	mem_free(pool->actions);
	memset(pool, 0, sizeof(*pool));
}

void pool_set_rules(struct pool *pool, const struct pool_rules *rules)
{
	pool->rules = *rules;
	if (pool->rules.workers < 1)
		pool->rules.workers = 1;
	if (pool->rules.workers > POOL_SLOTS_MAX)
		pool->rules.workers = POOL_SLOTS_MAX;
	if (pool->rules.workers > pool->n_slots)
		pool->n_slots = pool->rules.workers;
}

static uint32_t free_entry(struct pool *pool)
{
	uint32_t id = pool->first_free;

	if (id != POOL_NONE) {
		pool->first_free = pool->pairings[id].heap_at;
		return id;
	}
	if (pool->n_pairings == pool->cap_pairings) {
		pool->cap_pairings = pool->cap_pairings == 0 ? 64 : pool->cap_pairings * 2;
		pool->pairings = mem_realloc(pool->pairings, pool->cap_pairings, sizeof(*pool->pairings));
	}
	return pool->n_pairings++;
}

void pool_forget(struct pool *pool, uint32_t pairing)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	p->used = false;
	pool_place(pool, pairing, pool->now);
	p->heap_at = pool->first_free;
	pool->first_free = pairing;
}

static void tie_up(struct pool *pool, struct pool_pairing *p, const struct pool_tie *tie)
{
	p->lane = pool_find_lane(pool, tie);
	for (unsigned s = 0; s < SIDES; s++)
		p->logon[s] = pool_find_logon(pool, tie->logon[s]);
}

uint32_t pool_add(struct pool *pool, const struct pool_tie *tie, uint64_t generation, int64_t due)
{
	uint32_t id = free_entry(pool);

	pool->pairings[id] = (struct pool_pairing){
		.used = true, .generation = generation, .slot = POOL_NONE, .claimed = POOL_NONE,
		.place = { .due = due, .seq = ++pool->seq },
	};
	tie_up(pool, &pool->pairings[id], tie);
	pool_place(pool, id, pool->now);
	return id;
}

void pool_set_crashes(struct pool *pool, uint32_t pairing, const struct due_crashes *crashes,
		      int64_t quarantined_until)
{
	pool->pairings[pairing].crashes = *crashes;
	pool->pairings[pairing].quarantined_until = quarantined_until;
	pool_place(pool, pairing, pool->now);
}

/* What waits in a batch was described to that worker as it was: it must not be sent there. */
static void withdraw(struct pool *pool, uint32_t pairing, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	pool_unclaim_one(pool, pairing, now);
	if (p->slot != POOL_NONE)
		pool_shut(pool, p->slot, POOL_WHY_CHANGED, now);
}

/* A job that no worker has in hand is forgotten; a worker that was born for it finds nothing. */
static void drop_job(struct pool *pool, struct pool_job *job)
{
	if (job->slot != POOL_NONE)
		pool->slots[job->slot].job = POOL_NONE;
	job->slot = POOL_NONE;
	job->used = false;
}

void pool_remove(struct pool *pool, uint32_t pairing, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	for (uint32_t i = 0; i < POOL_JOBS_MAX; i++) {
		struct pool_job *j = &pool->jobs[i];
		bool in_hand = j->slot != POOL_NONE && pool->slots[j->slot].task != POOL_NONE;

		if (!j->used || j->pairing != pairing)
			continue;
		j->abandoned = true;
		pool_end_job(pool, i, POOL_BY_REMOVAL);
		if (!in_hand)
			drop_job(pool, j);
	}
	withdraw(pool, pairing, now);
	p->removed = true;
	if (p->slot == POOL_NONE)
		pool_forget(pool, pairing);
	else
		pool_place(pool, pairing, now);
}

void pool_changed(struct pool *pool, uint32_t pairing, const struct pool_tie *tie, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	withdraw(pool, pairing, now);
	p->removed = false;
	p->out &= (uint32_t)~(POOL_PENDING | POOL_STOP_ERROR);
	memset(&p->crashes, 0, sizeof(p->crashes));
	p->quarantined_until = 0;
	p->rerun = p->slot != POOL_NONE;
	p->place.due = now;
	p->place.seq = ++pool->seq;
	pool_unplace(pool, pairing);
	tie_up(pool, p, tie);
	pool_place(pool, pairing, now);
}

void pool_set_out(struct pool *pool, uint32_t pairing, uint32_t out, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	if (out != 0) {
		withdraw(pool, pairing, now);
	} else if (p->out != 0) {
		p->place.due = now;
		p->place.seq = ++pool->seq;
	}
	p->out = out;
	pool_place(pool, pairing, now);
}

void pool_unask(struct pool *pool, uint64_t id, int64_t now)
{
	for (uint32_t i = 0; i < POOL_JOBS_MAX; i++) {
		struct pool_job *j = &pool->jobs[i];

		if (!j->used || j->id != id)
			continue;
		j->abandoned = true;
		if (j->slot != POOL_NONE && pool->slots[j->slot].task != POOL_NONE)
			pool_shut(pool, j->slot, POOL_WHY_CHANGED, now);
		else
			drop_job(pool, j);
	}
}

/* --- questions --- */

bool pool_finished(const struct pool *pool)
{
	if (!pool_all_free(pool))
		return false;
	if (pool->phase == POOL_STOPPING)
		return true;
	if (pool->mode == POOL_SERVICE || pool->phase != POOL_RUNNING)
		return false;
	for (uint32_t i = 0; i < POOL_JOBS_MAX; i++) {
		if (pool->jobs[i].used)
			return false;
	}
	for (uint32_t i = 0; i < pool->n_lanes; i++) {
		if (pool->lanes[i].ready.n > 0)
			return false;
	}
	return pool->waiting.n == 0;
}

uint32_t pool_syncable(const struct pool *pool)
{
	return pool->n_syncable;
}

uint32_t pool_threshold(const struct pool *pool)
{
	uint32_t n = pool_syncable(pool);

	n = n < pool->rules.workers ? n : pool->rules.workers;
	return n < 1 ? 1 : n;
}

uint32_t pool_busy(const struct pool *pool)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool->n_slots; i++)
		n += pool->slots[i].state != SLOT_FREE;
	return n;
}

uint32_t pool_queue(const struct pool *pool, int64_t now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool->n_pairings; i++) {
		const struct pool_pairing *p = &pool->pairings[i];

		n += p->syncable && p->slot == POOL_NONE &&
		     (pool->mode == POOL_ONCE ? !p->once_done : pool->mode == POOL_SERVICE && p->place.due <= now);
	}
	return n;
}
