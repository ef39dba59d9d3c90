/* pool_plan.c - who gets what: tasks for idle workers, batches for free slots. Pure.
 *
 * The size of a batch follows the backlog: few due pairings are spread over all slots, many share
 * a fork. A free slot that finds nothing unclaimed takes half of what a busy worker has not begun.
 */
#include "pool_private.h"

bool pool_all_free(const struct pool *pool)
{
	for (uint32_t i = 0; i < pool->n_slots; i++) {
		if (pool->slots[i].state != SLOT_FREE)
			return false;
	}
	return true;
}

static bool is_offline(const struct pool *pool, uint32_t job)
{
	uint32_t kind = pool->jobs[job].kind;

	return kind < 32 && (pool->rules.offline_kinds >> kind & 1) != 0;
}

static uint32_t waiting_job(const struct pool *pool)
{
	for (uint32_t i = 0; i < POOL_JOBS_MAX; i++) {
		const struct pool_job *j = &pool->jobs[i];

		if (j->used && j->slot == POOL_NONE && pool->pairings[j->pairing].slot == POOL_NONE &&
		    (is_offline(pool, i) || pool_lane_has_room(pool, pool->pairings[j->pairing].lane)))
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
	if (s->lane != POOL_NONE)
		pool_logon_use(pool, pairing, now);
	pool_place(pool, pairing, now);
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

		bool refused = !is_offline(pool, s->job) && pool_logon_at(pool, job->pairing, now) > now;

		return job->used && !refused && pool->pairings[job->pairing].slot == POOL_NONE ? job->pairing :
		       POOL_NONE;
	}
	if (waiting_job(pool) != POOL_NONE && !has_free_slot(pool, now))
		return POOL_NONE;            /* somebody waits for an answer: make room */
	for (uint32_t i = 0; i < s->n_batch; i++) {
		if (pool->pairings[s->batch[i]].claimed == slot && pool_runnable(pool, s->batch[i], now))
			return s->batch[i];
	}
	return POOL_NONE;
}

/* A worker that grew too large is replaced between two tasks. */
static bool has_grown(const struct pool *pool, uint32_t slot)
{
	const struct pool_slot *s = &pool->slots[slot];

	return pool->rules.memory_kib > 0 && s->had_result && s->rss_kib > pool->rules.memory_kib;
}

static void feed(struct pool *pool, uint32_t slot, int64_t now)
{
	uint32_t pairing = POOL_NONE;

	if (pool->phase == POOL_RUNNING && slot < pool->rules.workers && !has_grown(pool, slot))
		pairing = next_of_batch(pool, slot, now);
	if (pairing == POOL_NONE)
		pool_shut(pool, slot, POOL_WHY_NONE, now);
	else
		grant(pool, slot, pairing, now);
}

/* --- free slots --- */

/* The lane whose first pairing is the top of the pool, among those that may have a worker more. */
static uint32_t best_lane(const struct pool *pool, int64_t now)
{
	uint32_t best = POOL_NONE;

	for (uint32_t i = 0; i < pool->n_lanes; i++) {
		const struct pool_heap *h = &pool->lanes[i].ready;

		if (h->n == 0 || !pool_lane_open(pool, i, now))
			continue;
		if (best == POOL_NONE || pool_heap_before(&h->at[0], &pool->lanes[best].ready.at[0]))
			best = i;
	}
	return best;
}

/* The backlog, shared by all slots. */
static uint32_t batch_size(const struct pool *pool, int64_t now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool->n_lanes; i++) {
		if (pool_lane_open(pool, i, now))
			n += pool_lane_on_trial(pool, i) ? pool->lanes[i].ready.n > 0 : pool->lanes[i].ready.n;
	}
	n = (n + pool->rules.workers - 1) / pool->rules.workers;
	return n > POOL_BATCH_MAX ? POOL_BATCH_MAX : n;
}

/* The top of the pool, and others of its lane. Those whose logon was refused too often go back to
 * wait for its next trial. */
static void take_batch(struct pool *pool, uint32_t slot, uint32_t lane, uint32_t size, int64_t now)
{
	struct pool_heap *ready = &pool->lanes[lane].ready;

	if (pool_lane_on_trial(pool, lane))
		size = 1;
	while (ready->n > 0 && pool->slots[slot].n_batch < size) {
		uint32_t pairing = ready->at[0].id;

		if (pool_logon_at(pool, pairing, now) > now)
			pool_place(pool, pairing, now);
		else
			pool_claim(pool, slot, pairing, now);
	}
	if (pool->slots[slot].n_batch > 0)
		pool_take_seats(pool, slot, lane);
}

static uint32_t unsent(const struct pool *pool, uint32_t slot)
{
	const struct pool_slot *s = &pool->slots[slot];
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_batch; i++)
		n += pool->pairings[s->batch[i]].claimed == slot;
	return n;
}

static uint32_t richest(const struct pool *pool, int64_t now, uint32_t *most_r)
{
	uint32_t victim = POOL_NONE;

	*most_r = 0;
	for (uint32_t i = 0; i < pool->n_slots; i++) {
		const struct pool_slot *s = &pool->slots[i];

		if (!slot_has_task(s->state) || now - s->task_since < STEAL_AFTER_MS || s->lane == POOL_NONE ||
		    !pool_lane_open(pool, s->lane, now))
			continue;
		uint32_t n = unsent(pool, i);
		if (n > *most_r) {
			*most_r = n;
			victim = i;
		}
	}
	return victim;
}

static void steal(struct pool *pool, uint32_t slot, int64_t now)
{
	uint32_t most, victim = richest(pool, now, &most);

	if (victim == POOL_NONE)
		return;
	const struct pool_slot *v = &pool->slots[victim];
	uint32_t want = pool_lane_on_trial(pool, v->lane) ? 1 : (most + 1) / 2;
	for (uint32_t i = v->n_batch; i-- > 0 && want > 0;) {
		uint32_t pairing = v->batch[i];

		if (pool->pairings[pairing].claimed != victim || !pool_runnable(pool, pairing, now))
			continue;
		pool_claim(pool, slot, pairing, now);
		want--;
	}
	if (pool->slots[slot].n_batch > 0)
		pool_take_seats(pool, slot, v->lane);
}

static void spawn(struct pool *pool, uint32_t slot, int64_t now)
{
	struct pool_slot *s = &pool->slots[slot];

	pool_move_slot(pool, slot, SLOT_EV_SPAWN, now);
	s->incarnation++;
	s->why = POOL_WHY_NONE;
	s->begun = s->had_result = false;
	s->task = POOL_NONE;
	s->rss_kib = 0;
	pool_act(pool, POOL_DO_SPAWN, slot);
}

/* No worker comes to life: whoever asked for one run gets an answer instead of a loop. */
static void give_up(struct pool *pool, int64_t now)
{
	for (uint32_t i = 0; i < POOL_JOBS_MAX; i++) {
		struct pool_job *j = &pool->jobs[i];

		if (!j->used || j->slot != POOL_NONE)
			continue;
		pool_end_job(pool, i, POOL_BY_STILLBIRTH);
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

/* A job of a logon that was refused too often is answered at once: asking would be another try. */
static bool take_job(struct pool *pool, uint32_t slot, uint32_t job, int64_t now)
{
	struct pool_job *j = &pool->jobs[job];
	struct pool_slot *s = &pool->slots[slot];
	uint32_t lane = pool->pairings[j->pairing].lane;

	if (!is_offline(pool, job) && pool_logon_at(pool, j->pairing, now) > now) {
		pool_end_job(pool, job, POOL_BY_REFUSALS);
		j->used = false;
		return false;
	}
	s->job = job;
	j->slot = slot;
	s->batch[s->n_batch++] = j->pairing;
	if (!is_offline(pool, job)) {
		pool_logon_claim(pool, j->pairing, now);
		pool_take_seats(pool, slot, lane);
	}
	return true;
}

/* Something to do for this slot; false: there is nothing. */
static bool find_work(struct pool *pool, uint32_t slot, uint32_t size, int64_t now)
{
	struct pool_slot *s = &pool->slots[slot];
	uint32_t job, lane;

	s->n_batch = 0;
	s->job = POOL_NONE;
	while ((job = waiting_job(pool)) != POOL_NONE) {
		if (take_job(pool, slot, job, now))
			return true;
	}
	while (s->n_batch == 0 && (lane = best_lane(pool, now)) != POOL_NONE)
		take_batch(pool, slot, lane, size, now);
	if (s->n_batch == 0)
		steal(pool, slot, now);
	return s->n_batch > 0;
}

static void fill(struct pool *pool, int64_t now)
{
	if (!has_free_slot(pool, now))
		return;
	if (pool->mode != POOL_SERVICE && pool->stillborn >= STILLBORN_MAX) {
		give_up(pool, now);
		return;
	}
	uint32_t size = batch_size(pool, now);
	for (uint32_t i = 0; i < pool->rules.workers; i++) {
		struct pool_slot *s = &pool->slots[i];

		if (s->state != SLOT_FREE || s->not_before > now)
			continue;
		if (!find_work(pool, i, size > 0 ? size : 1, now))
			break;
		spawn(pool, i, now);
	}
}

static void end_restart(struct pool *pool, int64_t now)
{
	int64_t hold = 0;

	pool->phase = POOL_RUNNING;
	pool->logon_count = 0;
	if (pool->mode == POOL_SERVICE)
		hold = due_hold_ms(pool->restarts_in_row, pool->rules.hold_first_ms, pool->rules.hold_max_ms);
	pool->hold_until = now + hold;
	pool_act(pool, POOL_DO_HELD, POOL_NONE)->wait_ms = hold;
}

void pool_plan(struct pool *pool, int64_t now)
{
	pool_promote(pool, now);
	if (pool->phase == POOL_RESTARTING && pool_all_free(pool))
		end_restart(pool, now);
	for (uint32_t i = 0; i < pool->n_slots; i++) {
		if (pool->slots[i].state == SLOT_IDLE)
			feed(pool, i, now);
	}
	if (pool->phase == POOL_RUNNING && now >= pool->hold_until)
		fill(pool, now);
}
