/* pool_time.c - patience with workers, when to look again, and clocks that jump. Pure. */
#include "pool_private.h"

#define DEGRADED_MS ((int64_t)600000)

/* When this slot's patience ends; DUE_NEVER if nobody waits for it. */
static int64_t patience(const struct pool *pool, const struct pool_slot *s)
{
	int64_t quiet, still, whole;

	switch (s->state) {
	case SLOT_SPAWNING:
	case SLOT_ASSIGNED:
	case SLOT_DRAINING:
		return s->since + GRACE_START_MS;
	case SLOT_ACCEPTED:
	case SLOT_BUSY:
		quiet = s->heard + pool->rules.heartbeat_ms;
		still = s->progressed + pool->rules.progress_ms;
		whole = pool->rules.run_max_ms > 0 && s->job == POOL_NONE ?
			s->task_since + pool->rules.run_max_ms : DUE_NEVER;
		quiet = quiet < still ? quiet : still;
		return quiet < whole ? quiet : whole;
	case SLOT_CANCELLING:
		if (pool->phase == POOL_STOPPING)
			return pool->stop_by;
		return s->since + (s->why == POOL_WHY_WATCHDOG ? GRACE_CANCEL_MS : GRACE_RESTART_MS);
	case SLOT_FREE:
	case SLOT_IDLE:
	case SLOT_KILLED:
	case SLOT_STATES:
		break;
	}
	return DUE_NEVER;
}

static bool is_dull(const struct pool *pool, const struct pool_slot *s, int64_t now)
{
	return now >= s->heard + pool->rules.heartbeat_ms || now >= s->progressed + pool->rules.progress_ms;
}

void pool_watch(struct pool *pool, int64_t now)
{
	for (uint32_t i = 0; i < pool->n_slots; i++) {
		struct pool_slot *s = &pool->slots[i];

		if (s->state == SLOT_FREE || now < patience(pool, s))
			continue;
		if (s->state == SLOT_ACCEPTED || s->state == SLOT_BUSY) {
			pool_shut(pool, i, is_dull(pool, s, now) ? POOL_WHY_WATCHDOG : POOL_WHY_LONG, now);
			continue;
		}
		if (s->why == POOL_WHY_NONE)
			s->why = POOL_WHY_WATCHDOG;
		pool_kill(pool, i, now);
	}
}

/* --- clocks --- */

static void shift_time(int64_t *at, int64_t delta)
{
	if (*at != 0 && *at != DUE_NEVER)
		*at += delta;
}

static void shift_slots(struct pool *pool, int64_t delta, bool all)
{
	for (uint32_t i = 0; i < pool->n_slots; i++) {
		struct pool_slot *s = &pool->slots[i];

		shift_time(&s->since, delta);
		shift_time(&s->task_since, delta);
		shift_time(&s->heard, delta);
		shift_time(&s->progressed, delta);
		if (all)
			shift_time(&s->not_before, delta);
	}
}

/* The clock went back, which CLOCK_BOOTTIME never does: keep every interval as it was. */
static void shift_all(struct pool *pool, int64_t delta)
{
	shift_slots(pool, delta, true);
	for (uint32_t i = 0; i < pool->n_pairings; i++) {
		struct pool_pairing *p = &pool->pairings[i];

		shift_time(&p->place.due, delta);
		shift_time(&p->quarantined_until, delta);
		for (unsigned c = 0; c < p->crashes.n; c++)
			shift_time(&p->crashes.at[c], delta);
	}
	for (uint32_t i = 0; i < pool->n_endpoints; i++)
		shift_time(&pool->endpoints[i].pause_until, delta);
	for (uint32_t i = 0; i < pool->n_logons; i++)
		shift_time(&pool->logons[i].trial_at, delta);
	for (uint32_t i = 0; i < pool->n_lanes; i++)
		pool_heap_shift(&pool->lanes[i].ready, delta);
	pool_heap_shift(&pool->waiting, delta);
	shift_time(&pool->hold_until, delta);
	shift_time(&pool->stop_by, delta);
	shift_time(&pool->good_at, delta);
}

void pool_clock(struct pool *pool, int64_t now)
{
	int64_t gap = now - pool->now;

	if (pool->now != 0 && gap < 0)
		shift_all(pool, gap);
	else if (pool->now != 0 && gap > POOL_STEP_MS)
		shift_slots(pool, gap - POOL_STEP_MS, false);   /* nobody listened meanwhile */
	if (pool->now == 0)
		pool->good_at = now;
	pool->now = now;
}

/* --- when to look again --- */

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When a lane with due pairings opens by time alone. */
static int64_t lanes_next(const struct pool *pool, int64_t now)
{
	int64_t next = DUE_NEVER;

	for (uint32_t i = 0; i < pool->n_lanes; i++) {
		if (pool->lanes[i].ready.n == 0 || !pool_lane_paused(pool, i, now))
			continue;
		int64_t left = pool->endpoints[pool->lanes[i].endpoint[SIDE_LEFT]].pause_until;
		int64_t right = pool->endpoints[pool->lanes[i].endpoint[SIDE_RIGHT]].pause_until;
		next = least(next, left > right ? left : right);
	}
	return next;
}

int64_t pool_next_ms(const struct pool *pool, int64_t now)
{
	int64_t next = pool->hold_until > now ? pool->hold_until : DUE_NEVER;
	bool room = false;

	for (uint32_t i = 0; i < pool->n_slots; i++) {
		const struct pool_slot *s = &pool->slots[i];
		int64_t at = patience(pool, s);

		if (s->state == SLOT_FREE && i < pool->rules.workers) {
			room = room || s->not_before <= now;
			at = s->not_before > now ? s->not_before : DUE_NEVER;
		} else if (slot_has_task(s->state) && s->n_batch > 1 && s->task_since + STEAL_AFTER_MS > now) {
			at = least(at, s->task_since + STEAL_AFTER_MS);
		}
		next = least(next, at);
	}
	if (pool->mode != POOL_SERVICE || pool->phase != POOL_RUNNING || !room || pool->hold_until > now)
		return next;
	if (pool->waiting.n > 0)
		next = least(next, pool->waiting.at[0].key);
	return least(next, lanes_next(pool, now));
}

int64_t pool_next_run(const struct pool *pool, uint32_t pairing, int64_t now)
{
	const struct pool_pairing *p = &pool->pairings[pairing];
	int64_t at = p->place.due, logon = pool_logon_at(pool, pairing, now);

	if (p->out != 0 || p->removed || at == DUE_NEVER)
		return DUE_NEVER;
	at = at > p->quarantined_until ? at : p->quarantined_until;
	at = at > logon ? at : logon;
	at = at > pool->hold_until ? at : pool->hold_until;
	for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
		int64_t pause = pool_pause_ms(pool, pairing, s, now);

		if (pause > 0 && now + pause > at)
			at = now + pause;
	}
	return at;
}

bool pool_degraded(const struct pool *pool, int64_t now)
{
	if (pool->mode != POOL_SERVICE || now - pool->good_at < DEGRADED_MS)
		return false;
	for (uint32_t i = 0; i < pool->rules.workers; i++) {
		if (pool->slots[i].not_before <= now)
			return false;
	}
	return true;
}
