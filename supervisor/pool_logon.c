/* pool_logon.c - what the ends of tasks say about logons and servers: the count that restarts the
 * pool (R16, R17), trials of refused logons, pauses of endpoints that throttle. Pure.
 */
#include "pool_private.h"

static struct pool_logon *logon_of(const struct pool *pool, uint32_t pairing, unsigned side)
{
	uint32_t i = pool->pairings[pairing].logon[side];

	return i != POOL_NONE ? &pool->logons[i] : NULL;
}

/* --- trials: three refusals, then one try per trial_ms (accounts must not be locked out) --- */

static bool is_held(const struct pool_logon *l)
{
	return l != NULL && l->refusals >= POOL_REFUSALS;
}

int64_t pool_logon_at(const struct pool *pool, uint32_t pairing, int64_t now)
{
	int64_t at = 0;

	for (unsigned s = 0; pool->mode == POOL_SERVICE && s < SIDES; s++) {
		const struct pool_logon *l = logon_of(pool, pairing, s);

		if (is_held(l) && l->trial_by != pairing && l->trial_at > now && l->trial_at > at)
			at = l->trial_at;
	}
	return at;
}

static void use(struct pool *pool, uint32_t pairing, uint32_t by, int64_t now)
{
	for (unsigned s = 0; s < SIDES; s++) {
		struct pool_logon *l = logon_of(pool, pairing, s);

		if (!is_held(l))
			continue;
		l->trial_at = now + pool->rules.trial_ms;
		l->trial_by = by;
	}
}

void pool_logon_claim(struct pool *pool, uint32_t pairing, int64_t now)
{
	use(pool, pairing, pairing, now);
}

void pool_logon_use(struct pool *pool, uint32_t pairing, int64_t now)
{
	use(pool, pairing, POOL_NONE, now);
}

/* Those who wait for this logon look again. */
static void look_again(struct pool *pool, uint32_t logon, int64_t now)
{
	for (uint32_t i = 0; i < pool->n_pairings; i++) {
		const struct pool_pairing *p = &pool->pairings[i];

		if (p->where == POOL_IN_WAITING && (p->logon[SIDE_LEFT] == logon || p->logon[SIDE_RIGHT] == logon))
			pool_place(pool, i, now);
	}
}

/* It was not sent after all: somebody else may make the trial. */
void pool_logon_unclaim(struct pool *pool, uint32_t pairing, int64_t now)
{
	for (unsigned s = 0; s < SIDES; s++) {
		struct pool_logon *l = logon_of(pool, pairing, s);

		if (!is_held(l) || l->trial_by != pairing)
			continue;
		l->trial_by = POOL_NONE;
		l->trial_at = now;
		look_again(pool, pool->pairings[pairing].logon[s], now);
	}
}

void pool_logon_retry(struct pool *pool, uint32_t pairing, int64_t now)
{
	for (unsigned s = 0; s < SIDES; s++) {
		struct pool_logon *l = logon_of(pool, pairing, s);

		if (l == NULL || l->refusals < POOL_REFUSALS || l->trial_at <= now)
			continue;
		l->trial_at = now;
		look_again(pool, pool->pairings[pairing].logon[s], now);
	}
}

static void forgive(struct pool *pool, uint32_t logon, int64_t now)
{
	bool waited = pool->logons[logon].refusals >= POOL_REFUSALS;

	pool->logons[logon].refusals = 0;
	pool->logons[logon].trial_by = POOL_NONE;
	if (waited)
		look_again(pool, logon, now);
}

void pool_new_secret(struct pool *pool, uint64_t key)
{
	if (key != 0)
		forgive(pool, pool_find_logon(pool, key), pool->now);
}

/* --- what a task says --- */

void pool_note_logged_on(struct pool *pool, uint32_t pairing, unsigned sides, int64_t now)
{
	const struct pool_pairing *p = &pool->pairings[pairing];

	for (unsigned s = 0; s < SIDES; s++) {
		if (!(sides & 1u << s))
			continue;
		pool->endpoints[pool->lanes[p->lane].endpoint[s]].proven = true;
		if (p->logon[s] != POOL_NONE)
			forgive(pool, p->logon[s], now);
	}
}

static void note_refused(struct pool *pool, uint32_t pairing, unsigned sides, int64_t now)
{
	for (unsigned s = 0; s < SIDES; s++) {
		struct pool_logon *l = logon_of(pool, pairing, s);

		if (l == NULL || !(sides & 1u << s))
			continue;
		l->refusals++;
		if (l->refusals >= POOL_REFUSALS)
			l->trial_at = now + pool->rules.trial_ms;
	}
}

static void note_throttled(struct pool *pool, uint32_t pairing, const struct pool_event *ev, int64_t now)
{
	int64_t wait = ev->wait_ms, own = pool->rules.due.interval_ms + pool->rules.due.bump_ms;

	if (ev->rclass != RC_THROTTLED || ev->side >= SIDES)
		return;
	if (wait <= 0)
		wait = own < PAUSE_UNTOLD_MS ? own : PAUSE_UNTOLD_MS;
	wait = wait < PAUSE_MAX_MS ? wait : PAUSE_MAX_MS;
	struct pool_endpoint *e = &pool->endpoints[pool->lanes[pool->pairings[pairing].lane].endpoint[ev->side]];
	if (now + wait > e->pause_until)
		e->pause_until = now + wait;
}

void pool_note_servers(struct pool *pool, const struct pool_event *ev, int64_t now)
{
	pool_note_logged_on(pool, ev->pairing, ev->logged_on, now);
	note_refused(pool, ev->pairing, ev->refused, now);
	note_throttled(pool, ev->pairing, ev, now);
}

/* --- the count (R16, R17) --- */

static void restart(struct pool *pool, int64_t now)
{
	pool->phase = POOL_RESTARTING;
	pool->restarts++;
	pool->restarts_in_row++;
	pool_act(pool, POOL_DO_RESTART, POOL_NONE);
	for (uint32_t i = 0; i < pool->n_endpoints; i++)
		pool->endpoints[i].proven = false;
	for (uint32_t i = 0; i < pool->n_slots; i++)
		pool_shut(pool, i, POOL_WHY_RESTART, now);
}

void pool_count_logons(struct pool *pool, const struct pool_event *ev, int64_t now)
{
	if (ev->rclass == RC_LOGON_FAILED || ev->rclass == RC_STORE_FAILED) {
		pool->logon_count++;
		if (pool->phase == POOL_RUNNING && pool->logon_count >= pool_threshold(pool))
			restart(pool, now);
	} else if (ev->logged_on == (1u << SIDE_LEFT | 1u << SIDE_RIGHT)) {
		pool->logon_count = 0;
		pool->restarts_in_row = 0;
		pool->good_at = now;
	}
}
