/* pool_plan.c - who gets what: tasks for idle workers, batches for free slots. Pure.
 *
 * The size of a batch follows the backlog: few due pairings are spread over all slots, many share
 * a fork. A free slot that finds nothing unclaimed takes half of what a busy worker has not begun.
 */
#include "pool_private.h"

#include <stdlib.h>

bool pool_runnable(const struct pool *pool, uint32_t pairing, int64_t now)
{
	const struct pool_pairing *p = &pool->pairings[pairing];

	if (!p->used || p->removed || p->out != 0 || p->slot != POOL_NONE)
		return false;
	if (pool->mode == POOL_ONCE)
		return !p->once_done;
	return pool->mode == POOL_SERVICE && p->place.due <= now && p->quarantined_until <= now;
}

bool pool_all_free(const struct pool *pool)
{
	for (uint32_t i = 0; i < pool->n_slots; i++) {
		if (pool->slots[i].state != SLOT_FREE)
			return false;
	}
	return true;
}

static uint32_t waiting_job(const struct pool *pool)
{
	for (uint32_t i = 0; i < POOL_JOBS_MAX; i++) {
		const struct pool_job *j = &pool->jobs[i];

		if (j->used && j->slot == POOL_NONE && pool->pairings[j->pairing].slot == POOL_NONE)
			return i;
	}
	return POOL_NONE;
}

static bool has_free_slot(const struct pool *pool, int64_t now)
{
	for (uint32_t i = 0; i < pool->rules.workers; i++) {
		if (pool->slots[i].state == SLOT_FREE && pool->slots[i].not_before <= now)
			return true;
	}
	return false;
}

/* --- idle workers --- */

static void grant(struct pool *pool, uint32_t slot, uint32_t pairing, int64_t now)
{
	struct pool_slot *s = &pool->slots[slot];
	struct pool_pairing *p = &pool->pairings[pairing];

	assert(p->slot == POOL_NONE && s->task == POOL_NONE);
	pool_move_slot(pool, slot, SLOT_EV_TASK, now);
	p->generation++;
	p->slot = slot;
	p->claimed = POOL_NONE;
	s->task = pairing;
	s->begun = false;
	s->why = POOL_WHY_NONE;
	s->heard = s->progressed = s->task_since = now;
	s->progress = 0;
	struct pool_action *a = pool_act(pool, POOL_DO_GRANT, slot);
	a->pairing = pairing;
	a->generation = p->generation;
	if (s->job != POOL_NONE) {
		a->job_kind = pool->jobs[s->job].kind;
		a->job_id = pool->jobs[s->job].id;
	}
}

/* The next pairing of its batch that this worker may have; POOL_NONE: it is done. */
static uint32_t next_of_batch(const struct pool *pool, uint32_t slot, int64_t now)
{
	const struct pool_slot *s = &pool->slots[slot];

	if (s->job != POOL_NONE) {
		const struct pool_job *job = &pool->jobs[s->job];

		return job->used && pool->pairings[job->pairing].slot == POOL_NONE ? job->pairing : POOL_NONE;
	}
	if (waiting_job(pool) != POOL_NONE && !has_free_slot(pool, now))
		return POOL_NONE;            /* somebody waits for an answer: make room */
	for (uint32_t i = 0; i < s->n_batch; i++) {
		if (pool->pairings[s->batch[i]].claimed == slot && pool_runnable(pool, s->batch[i], now))
			return s->batch[i];
	}
	return POOL_NONE;
}

static void feed(struct pool *pool, uint32_t slot, int64_t now)
{
	uint32_t pairing = POOL_NONE;

	if (pool->phase == POOL_RUNNING && slot < pool->rules.workers)
		pairing = next_of_batch(pool, slot, now);
	if (pairing == POOL_NONE)
		pool_shut(pool, slot, POOL_WHY_NONE, now);
	else
		grant(pool, slot, pairing, now);
}

/* --- free slots --- */

static int compare(const void *a, const void *b, void *pairings)
{
	const struct pool_pairing *p = pairings;

	return due_compare(&p[*(const uint32_t *)a].place, &p[*(const uint32_t *)b].place);
}

/* The runnable, unclaimed pairings in the order of the pool. */
static uint32_t collect(struct pool *pool, int64_t now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool->n_pairings; i++) {
		if (pool->pairings[i].claimed == POOL_NONE && pool_runnable(pool, i, now))
			pool->order[n++] = i;
	}
	if (n > 1)
		qsort_r(pool->order, n, sizeof(*pool->order), compare, pool->pairings);
	return n;
}

static void claim(struct pool *pool, uint32_t slot, uint32_t pairing)
{
	struct pool_slot *s = &pool->slots[slot];

	s->batch[s->n_batch++] = pairing;
	pool->pairings[pairing].claimed = slot;
}

/* The top of the pool, and others of the same pair of endpoints. */
static void take_batch(struct pool *pool, uint32_t slot, uint32_t n, uint32_t size)
{
	uint32_t pair = 0;

	for (uint32_t i = 0; i < n && pool->slots[slot].n_batch < size; i++) {
		struct pool_pairing *p = &pool->pairings[pool->order[i]];

		if (p->claimed != POOL_NONE || (pool->slots[slot].n_batch > 0 && p->pair != pair))
			continue;
		pair = p->pair;
		claim(pool, slot, pool->order[i]);
	}
}

static uint32_t unsent(const struct pool *pool, uint32_t slot)
{
	const struct pool_slot *s = &pool->slots[slot];
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_batch; i++)
		n += pool->pairings[s->batch[i]].claimed == slot;
	return n;
}

static void steal(struct pool *pool, uint32_t slot, int64_t now)
{
	uint32_t victim = POOL_NONE, most = 0;

	for (uint32_t i = 0; i < pool->n_slots; i++) {
		const struct pool_slot *s = &pool->slots[i];
		uint32_t n = slot_has_task(s->state) && now - s->task_since >= STEAL_AFTER_MS ?
			     unsent(pool, i) : 0;

		if (n > most) {
			most = n;
			victim = i;
		}
	}
	if (victim == POOL_NONE)
		return;
	const struct pool_slot *v = &pool->slots[victim];
	uint32_t want = (most + 1) / 2;
	for (uint32_t i = v->n_batch; i-- > 0 && want > 0;) {
		uint32_t pairing = v->batch[i];

		if (pool->pairings[pairing].claimed != victim || !pool_runnable(pool, pairing, now))
			continue;
		claim(pool, slot, pairing);
		want--;
	}
}

static void spawn(struct pool *pool, uint32_t slot, int64_t now)
{
	struct pool_slot *s = &pool->slots[slot];

	pool_move_slot(pool, slot, SLOT_EV_SPAWN, now);
	s->incarnation++;
	s->why = POOL_WHY_NONE;
	s->begun = s->had_result = false;
	s->task = POOL_NONE;
	pool_act(pool, POOL_DO_SPAWN, slot);
}

/* No worker comes to life: whoever asked for one run gets an answer instead of a loop. */
static void give_up(struct pool *pool, int64_t now)
{
	for (uint32_t i = 0; i < POOL_JOBS_MAX; i++) {
		struct pool_job *j = &pool->jobs[i];

		if (!j->used || j->slot != POOL_NONE)
			continue;
		struct pool_action *a = pool_act(pool, POOL_DO_ENDED, POOL_NONE);
		a->pairing = j->pairing;
		a->job_kind = j->kind;
		a->job_id = j->id;
		a->rclass = RC_FAILED;
		a->cause = POOL_BY_STILLBIRTH;
		j->used = false;
	}
	for (uint32_t i = 0; i < pool->n_pairings; i++) {
		if (!pool_runnable(pool, i, now) || pool->pairings[i].claimed != POOL_NONE)
			continue;
		struct pool_action *a = pool_act(pool, POOL_DO_ENDED, POOL_NONE);
		a->pairing = i;
		a->generation = pool->pairings[i].generation;
		a->rclass = RC_FAILED;
		a->cause = POOL_BY_STILLBIRTH;
		pool_end_pairing(pool, i, RC_FAILED, POOL_BY_STILLBIRTH, 0, now);
	}
}

static void fill(struct pool *pool, int64_t now)
{
	uint32_t n, size;

	if (!has_free_slot(pool, now))
		return;
	if (pool->mode != POOL_SERVICE && pool->stillborn >= STILLBORN_MAX) {
		give_up(pool, now);
		return;
	}
	n = collect(pool, now);
	size = (n + pool->rules.workers - 1) / pool->rules.workers;
	size = size > POOL_BATCH_MAX ? POOL_BATCH_MAX : size;
	for (uint32_t i = 0; i < pool->rules.workers; i++) {
		struct pool_slot *s = &pool->slots[i];

		if (s->state != SLOT_FREE || s->not_before > now)
			continue;
		s->n_batch = 0;
		s->job = waiting_job(pool);
		if (s->job != POOL_NONE) {
			pool->jobs[s->job].slot = i;
			s->batch[s->n_batch++] = pool->jobs[s->job].pairing;
		} else {
			take_batch(pool, i, n, size);
			if (s->n_batch == 0)
				steal(pool, i, now);
		}
		if (s->n_batch == 0)
			break;
		spawn(pool, i, now);
	}
}

void pool_plan(struct pool *pool, int64_t now)
{
	if (pool->phase == POOL_RESTARTING && pool_all_free(pool)) {
		pool->phase = POOL_RUNNING;
		pool->logon_count = 0;
		if (pool->mode == POOL_SERVICE)
			pool->hold_until = now + due_hold_ms(pool->restarts_in_row,
							     pool->rules.hold_first_ms, pool->rules.hold_max_ms);
	}
	for (uint32_t i = 0; i < pool->n_slots; i++) {
		if (pool->slots[i].state == SLOT_IDLE)
			feed(pool, i, now);
	}
	if (pool->phase == POOL_RUNNING && now >= pool->hold_until)
		fill(pool, now);
}
