/* pool_place.c - where a pairing waits: by time in `waiting`, for a slot in its lane's `ready`, in a
 * slot's batch (claimed), or nowhere (leased, or a person must act). Pure.
 */
#include "pool_private.h"

static struct pool_heap *heap_of(struct pool *pool, const struct pool_pairing *p)
{
	return p->where == POOL_IN_WAITING ? &pool->waiting : &pool->lanes[p->lane].ready;
}

static bool takes_part(const struct pool *pool, const struct pool_pairing *p)
{
	if (!p->used || p->removed || p->out != 0 || p->slot != POOL_NONE)
		return false;
	return pool->mode == POOL_SERVICE || (pool->mode == POOL_ONCE && !p->once_done);
}

/* When it may be taken by a slot, as far as its own times go. */
static int64_t wake_time(const struct pool *pool, uint32_t pairing, int64_t now)
{
	const struct pool_pairing *p = &pool->pairings[pairing];
	int64_t at = p->place.due > p->quarantined_until ? p->place.due : p->quarantined_until;
	int64_t logon = pool_logon_at(pool, pairing, now);

	if (pool->mode == POOL_ONCE)
		return now;
	return at > logon ? at : logon;
}

void pool_unplace(struct pool *pool, uint32_t pairing)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	if (p->where != POOL_NOWHERE)
		pool_heap_remove(pool, heap_of(pool, p), p->heap_at);
	p->where = POOL_NOWHERE;
}

void pool_place(struct pool *pool, uint32_t pairing, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];
	bool syncable = p->used && !p->removed && p->out == 0;

	pool->n_syncable += (uint32_t)syncable - (uint32_t)p->syncable;
	p->syncable = syncable;
	pool_unplace(pool, pairing);
	if (!takes_part(pool, p) || p->claimed != POOL_NONE)
		return;
	int64_t at = wake_time(pool, pairing, now);
	if (at > now) {
		p->where = POOL_IN_WAITING;
		pool_heap_put(pool, &pool->waiting, at, p->place.seq, pairing);
	} else {
		p->where = POOL_IN_READY;
		pool_heap_put(pool, &pool->lanes[p->lane].ready, p->place.due, p->place.seq, pairing);
	}
}

void pool_promote(struct pool *pool, int64_t now)
{
	while (pool->waiting.n > 0 && pool->waiting.at[0].key <= now)
		pool_place(pool, pool->waiting.at[0].id, now);
}

/* Could its task be sent now, by a worker that is there? */
bool pool_runnable(const struct pool *pool, uint32_t pairing, int64_t now)
{
	const struct pool_pairing *p = &pool->pairings[pairing];

	if (!takes_part(pool, p))
		return false;
	return wake_time(pool, pairing, now) <= now && !pool_lane_paused(pool, p->lane, now);
}

void pool_claim(struct pool *pool, uint32_t slot, uint32_t pairing, int64_t now)
{
	struct pool_slot *s = &pool->slots[slot];
	struct pool_pairing *p = &pool->pairings[pairing];

	if (p->claimed == POOL_NONE)
		pool_logon_claim(pool, pairing, now);
	s->batch[s->n_batch++] = pairing;
	p->claimed = slot;
	pool_place(pool, pairing, now);
}

void pool_unclaim_one(struct pool *pool, uint32_t pairing, int64_t now)
{
	struct pool_pairing *p = &pool->pairings[pairing];

	if (p->claimed == POOL_NONE)
		return;
	p->claimed = POOL_NONE;
	pool_logon_unclaim(pool, pairing, now);
	pool_place(pool, pairing, now);
}

void pool_unclaim(struct pool *pool, uint32_t slot, int64_t now)
{
	struct pool_slot *s = &pool->slots[slot];

	for (uint32_t i = 0; i < s->n_batch; i++) {
		if (pool->pairings[s->batch[i]].claimed == slot)
			pool_unclaim_one(pool, s->batch[i], now);
	}
	if (s->job != POOL_NONE && pool->jobs[s->job].slot == slot)
		pool->jobs[s->job].slot = POOL_NONE;
	s->job = POOL_NONE;
	s->n_batch = 0;
}
