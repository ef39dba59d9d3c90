/* pool_lane.c - endpoints and pairs of them: connection limits, pauses, the trial after a restart.
 *
 * A worker holds a seat at each of its two endpoints from its spawn to its reaping: it may keep a
 * connection between two tasks. Pure.
 */
#include "pool_private.h"

#include "../common/mem.h"

/* Room for one more in an array of n that doubles at powers of two. */
static void *grow(void *array, uint32_t n, size_t size)
{
	bool full = (n & (n - 1)) == 0;

	return full ? mem_realloc(array, n == 0 ? 1 : (size_t)n * 2, size) : array;
}

static uint32_t find_endpoint(struct pool *pool, uint64_t key)
{
	for (uint32_t i = 0; i < pool->n_endpoints; i++) {
		if (pool->endpoints[i].key == key)
			return i;
	}
	pool->endpoints = grow(pool->endpoints, pool->n_endpoints, sizeof(*pool->endpoints));
	pool->endpoints[pool->n_endpoints] = (struct pool_endpoint){ .key = key };
	return pool->n_endpoints++;
}

uint32_t pool_find_lane(struct pool *pool, const struct pool_tie *tie)
{
	uint32_t left = find_endpoint(pool, tie->endpoint[SIDE_LEFT]);
	uint32_t right = find_endpoint(pool, tie->endpoint[SIDE_RIGHT]);

	for (uint32_t i = 0; i < pool->n_lanes; i++) {
		if (pool->lanes[i].endpoint[SIDE_LEFT] == left && pool->lanes[i].endpoint[SIDE_RIGHT] == right)
			return i;
	}
	pool->lanes = grow(pool->lanes, pool->n_lanes, sizeof(*pool->lanes));
	pool->lanes[pool->n_lanes] = (struct pool_lane){ .endpoint = { left, right } };
	return pool->n_lanes++;
}

uint32_t pool_find_logon(struct pool *pool, uint64_t key)
{
	if (key == 0)
		return POOL_NONE;
	for (uint32_t i = pool->n_logons; i-- > 0;) {    /* the newest first: pairings come in order */
		if (pool->logons[i].key == key)
			return i;
	}
	pool->logons = grow(pool->logons, pool->n_logons, sizeof(*pool->logons));
	pool->logons[pool->n_logons] = (struct pool_logon){ .key = key, .trial_by = POOL_NONE };
	return pool->n_logons++;
}

void pool_set_limit(struct pool *pool, uint64_t endpoint, uint32_t connections)
{
	uint32_t i = find_endpoint(pool, endpoint);      /* may move the table */

	pool->endpoints[i].limit = connections;
}

/* --- questions --- */

static const struct pool_endpoint *end(const struct pool *pool, uint32_t lane, unsigned side)
{
	return &pool->endpoints[pool->lanes[lane].endpoint[side]];
}

bool pool_lane_paused(const struct pool *pool, uint32_t lane, int64_t now)
{
	return pool->mode == POOL_SERVICE &&
	       (end(pool, lane, SIDE_LEFT)->pause_until > now || end(pool, lane, SIDE_RIGHT)->pause_until > now);
}

bool pool_lane_on_trial(const struct pool *pool, uint32_t lane)
{
	return pool->mode == POOL_SERVICE && pool->restarts_in_row > 0 &&
	       !(end(pool, lane, SIDE_LEFT)->proven && end(pool, lane, SIDE_RIGHT)->proven);
}

bool pool_lane_has_room(const struct pool *pool, uint32_t lane)
{
	bool same = end(pool, lane, SIDE_LEFT) == end(pool, lane, SIDE_RIGHT);

	for (unsigned s = 0; s < SIDES; s++) {
		const struct pool_endpoint *e = end(pool, lane, s);

		/* a lane that needs two of one is not locked out by a limit of one */
		if (e->limit != 0 && e->seats > 0 && e->seats + (same ? 2 : 1) > e->limit)
			return false;
	}
	return true;
}

bool pool_lane_open(const struct pool *pool, uint32_t lane, int64_t now)
{
	if (pool_lane_paused(pool, lane, now) || !pool_lane_has_room(pool, lane))
		return false;
	for (unsigned s = 0; pool_lane_on_trial(pool, lane) && s < SIDES; s++) {
		if (!end(pool, lane, s)->proven && end(pool, lane, s)->seats > 0)
			return false;
	}
	return true;
}

int64_t pool_pause_ms(const struct pool *pool, uint32_t pairing, enum side side, int64_t now)
{
	int64_t left = end(pool, pool->pairings[pairing].lane, side)->pause_until - now;

	return left > 0 ? left : 0;
}

/* --- seats --- */

void pool_take_seats(struct pool *pool, uint32_t slot, uint32_t lane)
{
	assert(pool->slots[slot].lane == POOL_NONE);
	pool->slots[slot].lane = lane;
	for (unsigned s = 0; s < SIDES; s++)
		pool->endpoints[pool->lanes[lane].endpoint[s]].seats++;
}

void pool_leave_seats(struct pool *pool, uint32_t slot)
{
	uint32_t lane = pool->slots[slot].lane;

	pool->slots[slot].lane = POOL_NONE;
	for (unsigned s = 0; lane != POOL_NONE && s < SIDES; s++)
		pool->endpoints[pool->lanes[lane].endpoint[s]].seats--;
}
