/* pool_private.h - what the files of the core share; see the list in pool.h. */
#ifndef MS_POOL_PRIVATE_H
#define MS_POOL_PRIVATE_H

#include "pool.h"

#define GRACE_CANCEL_MS 10000         /* from a CANCEL to SIGKILL, by the watchdog */
#define GRACE_RESTART_MS 60000        /* the same in a pool restart, or for a changed pairing */
#define GRACE_START_MS 10000          /* from spawn to READY, from TASK to ACCEPT, from DRAIN to death */
#define STEAL_AFTER_MS 250            /* a free slot takes over from one that is busy for so long */
#define STILLBORN_MAX 3               /* once and requests give up after so many in a row */
#define GRANT_HOLD_MS 5000            /* the scheduler's database refuses: look again after so long */
#define PAUSE_UNTOLD_MS 60000         /* an endpoint that throttles without saying for how long */
#define PAUSE_MAX_MS ((int64_t)24 * 3600 * 1000)

/* --- pool.c --- */
struct pool_action *pool_act(struct pool *pool, enum pool_action_kind kind, uint32_t slot);
/* Move the slot; an event without meaning there is our own mistake. */
void pool_move_slot(struct pool *pool, uint32_t slot, enum slot_event event, int64_t now);
/* Ask this slot's worker to be gone: kill, drain or cancel, whatever its state allows. */
void pool_shut(struct pool *pool, uint32_t slot, enum pool_why why, int64_t now);
void pool_kill(struct pool *pool, uint32_t slot, int64_t now);
/* The pairing's scheduled task is over. */
void pool_end_pairing(struct pool *pool, uint32_t pairing, enum rclass rclass, enum pool_cause cause,
		      int64_t wait_ms, int64_t now);
/* A job ends without having run; it is still in its table. */
void pool_end_job(struct pool *pool, uint32_t job, enum pool_cause cause);

/* --- pool_conf.c: its entry may be used again --- */
void pool_forget(struct pool *pool, uint32_t pairing);

/* --- pool_heap.c: smallest (key, seq) first; each pairing knows its place (heap_at) --- */
bool pool_heap_before(const struct pool_heap_entry *a, const struct pool_heap_entry *b);
void pool_heap_put(struct pool *pool, struct pool_heap *heap, int64_t key, uint64_t seq, uint32_t pairing);
void pool_heap_remove(struct pool *pool, struct pool_heap *heap, uint32_t at);
void pool_heap_shift(struct pool_heap *heap, int64_t delta);

/* --- pool_place.c --- */
/* Put the pairing where it belongs now: a heap, or none. After every change of it. */
void pool_place(struct pool *pool, uint32_t pairing, int64_t now);
void pool_unplace(struct pool *pool, uint32_t pairing);   /* before its lane changes */
void pool_promote(struct pool *pool, int64_t now);        /* who became due */
bool pool_runnable(const struct pool *pool, uint32_t pairing, int64_t now);
void pool_claim(struct pool *pool, uint32_t slot, uint32_t pairing, int64_t now);
void pool_unclaim_one(struct pool *pool, uint32_t pairing, int64_t now);
void pool_unclaim(struct pool *pool, uint32_t slot, int64_t now);

/* --- pool_lane.c --- */
uint32_t pool_find_lane(struct pool *pool, const struct pool_tie *tie);
uint32_t pool_find_logon(struct pool *pool, uint64_t key);
/* May one more worker be started for it? */
bool pool_lane_open(const struct pool *pool, uint32_t lane, int64_t now);
/* May a worker that is there go on with it? */
bool pool_lane_paused(const struct pool *pool, uint32_t lane, int64_t now);
/* A lane of which nothing is known since the restart gets one pairing at first. */
bool pool_lane_on_trial(const struct pool *pool, uint32_t lane);
bool pool_lane_has_room(const struct pool *pool, uint32_t lane);
void pool_take_seats(struct pool *pool, uint32_t slot, uint32_t lane);
void pool_leave_seats(struct pool *pool, uint32_t slot);

/* --- pool_logon.c --- */
/* When the logons that this pairing needs may be used; 0 = now. */
int64_t pool_logon_at(const struct pool *pool, uint32_t pairing, int64_t now);
/* It is going to use them: if one was refused too often, this is its trial, unless a person asks for
 * another one before it is sent; it uses them now; it does not after all. */
void pool_logon_claim(struct pool *pool, uint32_t pairing, int64_t now);
void pool_logon_use(struct pool *pool, uint32_t pairing, int64_t now);
void pool_logon_unclaim(struct pool *pool, uint32_t pairing, int64_t now);
void pool_logon_retry(struct pool *pool, uint32_t pairing, int64_t now);
void pool_note_logged_on(struct pool *pool, uint32_t pairing, unsigned sides, int64_t now);
void pool_note_servers(struct pool *pool, const struct pool_event *ev, int64_t now);
void pool_count_logons(struct pool *pool, const struct pool_event *ev, int64_t now);

/* --- pool_time.c --- */
void pool_clock(struct pool *pool, int64_t now);          /* gaps and steps of the clock */
void pool_watch(struct pool *pool, int64_t now);

/* --- pool_plan.c --- */
bool pool_all_free(const struct pool *pool);
/* Give every idle worker a task or its leave, every free slot a batch. */
void pool_plan(struct pool *pool, int64_t now);

#endif
