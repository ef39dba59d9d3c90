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
	}
	for (uint32_t i = 0; i < POOL_JOBS_MAX; i++)
		pool->jobs[i].slot = POOL_NONE;
}

void pool_free(struct pool *pool)
{
	mem_free(pool->pairings);
	mem_free(pool->actions);
	mem_free(pool->order);
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
	for (uint32_t i = 0; i < pool->n_pairings; i++) {
		if (!pool->pairings[i].used)
			return i;
	}
	if (pool->n_pairings == pool->cap_pairings) {
		pool->cap_pairings = pool->cap_pairings == 0 ? 64 : pool->cap_pairings * 2;
		pool->pairings = mem_realloc(pool->pairings, pool->cap_pairings, sizeof(*pool->pairings));
		pool->order = mem_realloc(pool->order, pool->cap_pairings, sizeof(*pool->order));
	}
	return pool->n_pairings++;
}

uint32_t pool_add(struct pool *pool, uint32_t pair, uint64_t generation, int64_t due)
{
	uint32_t id = free_entry(pool);

	pool->pairings[id] = (struct pool_pairing){
		.used = true, .pair = pair, .generation = generation,
		.slot = POOL_NONE, .claimed = POOL_NONE,
		.place = { .due = due, .seq = ++pool->seq },
	};
	return id;
}

/* What waits in a batch was described to that worker as it was: it must not be sent there. */
static void withdraw(struct pool *pool, uint32_t pairing, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	p->claimed = POOL_NONE;
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
		struct pool_action *a = pool_act(pool, POOL_DO_ENDED, POOL_NONE);
		a->pairing = pairing;
		a->job_kind = j->kind;
		a->job_id = j->id;
		a->rclass = RC_FAILED;
		a->cause = POOL_BY_REMOVAL;
		if (!in_hand)
			drop_job(pool, j);
	}
	withdraw(pool, pairing, now);
	p->removed = true;
	if (p->slot == POOL_NONE)
		p->used = false;
}

void pool_changed(struct pool *pool, uint32_t pairing, uint32_t pair, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	withdraw(pool, pairing, now);
	p->pair = pair;
	p->out &= (uint32_t)~(POOL_PENDING | POOL_STOP_ERROR);
	memset(&p->crashes, 0, sizeof(p->crashes));
	p->quarantined_until = 0;
	p->rerun = p->slot != POOL_NONE;
	p->place.due = now;
	p->place.seq = ++pool->seq;
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
}

bool pool_wake(struct pool *pool, uint32_t pairing, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	if (p->out != 0)
		return false;
	if (p->slot != POOL_NONE) {
		p->rerun = true;
		return true;
	}
	p->quarantined_until = 0;
	if (p->place.due > now) {
		p->place.due = now;
		p->place.seq = ++pool->seq;
	}
	return true;
}

bool pool_ask(struct pool *pool, uint32_t pairing, uint32_t kind, uint64_t id)
{
	for (uint32_t i = 0; i < POOL_JOBS_MAX; i++) {
		if (pool->jobs[i].used)
			continue;
		pool->jobs[i] = (struct pool_job){ .used = true, .pairing = pairing, .kind = kind,
						    .id = id, .slot = POOL_NONE };
		return true;
	}
	return false;
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
	for (uint32_t i = 0; i < pool->n_pairings; i++) {
		if (pool_runnable(pool, i, 0))
			return false;
	}
	return true;
}

uint32_t pool_syncable(const struct pool *pool)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool->n_pairings; i++)
		n += pool->pairings[i].used && !pool->pairings[i].removed && pool->pairings[i].out == 0;
	return n;
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

	for (uint32_t i = 0; i < pool->n_pairings; i++)
		n += pool_runnable(pool, i, now);
	return n;
}
