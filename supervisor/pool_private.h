/* pool_private.h - what the files of the core share: pool.c (events), pool_plan.c (who gets what),
 * pool_conf.c (configuration and questions).
 */
#ifndef MS_POOL_PRIVATE_H
#define MS_POOL_PRIVATE_H

#include "pool.h"

#define GRACE_CANCEL_MS 10000         /* from a CANCEL to SIGKILL, by the watchdog */
#define GRACE_RESTART_MS 60000        /* the same in a pool restart, or for a changed pairing */
#define GRACE_START_MS 10000          /* from spawn to READY, from TASK to ACCEPT, from DRAIN to death */
#define STEAL_AFTER_MS 250            /* a free slot takes over from one that is busy for so long */
#define STILLBORN_MAX 3               /* once and requests give up after so many in a row */
#define GRANT_HOLD_MS 5000            /* the scheduler's database refuses: look again after so long */

struct pool_action *pool_act(struct pool *pool, enum pool_action_kind kind, uint32_t slot);
/* Move the slot; an event without meaning there is our own mistake. */
void pool_move_slot(struct pool *pool, uint32_t slot, enum slot_event event, int64_t now);
/* Ask this slot's worker to be gone: kill, drain or cancel, whatever its state allows. */
void pool_shut(struct pool *pool, uint32_t slot, enum pool_why why, int64_t now);
void pool_kill(struct pool *pool, uint32_t slot, int64_t now);
/* The task of `slot` is over. */
void pool_end_task(struct pool *pool, uint32_t slot, enum rclass rclass, enum pool_cause cause,
		   int64_t wait_ms, int64_t now);
void pool_end_pairing(struct pool *pool, uint32_t pairing, enum rclass rclass, enum pool_cause cause,
		      int64_t wait_ms, int64_t now);
void pool_unclaim(struct pool *pool, uint32_t slot);
bool pool_runnable(const struct pool *pool, uint32_t pairing, int64_t now);
bool pool_all_free(const struct pool *pool);
/* Give every idle worker a task or its leave, every free slot a batch. */
void pool_plan(struct pool *pool, int64_t now);

#endif
