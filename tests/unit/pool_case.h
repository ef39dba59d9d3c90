/* pool_case.h - a tiny world around the core of the supervisor, for its tests.
 *
 * It plays the shell: it knows which workers live and which leases were granted only from the
 * actions, and checks the promises of pool.h at each of them.
 */
#ifndef MS_POOL_CASE_H
#define MS_POOL_CASE_H

#include "../../supervisor/pool.h"

#define INTERVAL 300000
#define BUMP 900000
#define TRIAL 300000
#define START INT64_C(100000000000)
#define SLOTS 8
#define PAIRINGS 40

struct lease {
	bool held;
	uint32_t slot, incarnation;
};

/* Our own idea of a logon that may have been refused, and of an endpoint that may throttle. */
#define TIES 8
struct ref_logon {
	unsigned refusals;
	int64_t trial_at;
};

struct world {
	struct pool pool;
	int64_t now;
	bool alive[SLOTS];              /* a process exists */
	bool ready[SLOTS], told[SLOTS], begun[SLOTS], cancelled[SLOTS], drained[SLOTS], killed[SLOTS];
	uint32_t task[SLOTS];
	uint32_t job_kind[SLOTS];
	bool yield[SLOTS];              /* it was asked to yield since its last grant */
	struct lease lease[PAIRINGS];
	uint64_t generation[PAIRINGS];
	bool rerun[PAIRINGS];           /* asked for while it was in hand */
	int64_t earliest[PAIRINGS];     /* when a scheduled run may come, by our own reading of the rules */
	uint32_t pair_of[PAIRINGS], logon_of[PAIRINGS];   /* logon: 0 = none, else 1..TIES-1 */
	struct ref_logon logons[TIES];
	int64_t paused[TIES][SIDES];    /* by pair and side */
	unsigned count;                 /* refusals in a row, by our own counting */
	unsigned grants, restarts, ended;
	int64_t held;                   /* the last hold of dispatch */
	uint32_t order[64];             /* pairings in the order of their grants */
};

/* A pool with so many workers and pairings, over so many pairs of endpoints; everything due. */
void world_begin(struct world *w, enum pool_mode mode, uint32_t workers, uint32_t pairings, uint32_t pairs);
/* A pair of endpoints; its right side logs on as `logon`, 0 = without. */
struct pool_tie world_tie(uint32_t pair, uint64_t logon);
/* Time passes, with a tick every ten seconds as the shell makes them. */
void world_pass(struct world *w, int64_t ms);
void world_finish(struct world *w);
uint32_t world_add(struct world *w, uint32_t pair, uint32_t logon);
/* This pairing is of that pair and logon from now on. */
void world_retie(struct world *w, uint32_t pairing, uint32_t pair, uint32_t logon);
/* Every promise of pool.h that can be seen from the state alone. Called after each step. */
void world_check(const struct world *w);
/* The clock jumps back; our own times with it. */
void world_jump_back(struct world *w, int64_t ms);
/* What a RESULT says besides its class. */
struct said {
	bool both;
	uint8_t logged_on, refused, side;
	int64_t wait;
	uint64_t rss_kib;
};
void world_say(struct world *w, uint32_t slot, enum rclass c, struct said said);
/* Let the core step and carry out what it wants; only the latter. */
void world_step(struct world *w, struct pool_event ev);
void world_take(struct world *w);
void world_tick(struct world *w);
/* An event as this slot's worker would cause it. */
struct pool_event world_event(const struct world *w, enum pool_event_kind kind, uint32_t slot);
/* The worker says how its task ended; the worker dies. */
void world_result(struct world *w, uint32_t slot, enum rclass c, bool both, int64_t wait);
void world_die(struct world *w, uint32_t slot);
/* Let everything that needs no outcome happen: workers come up, drained and killed ones die. */
void world_settle(struct world *w);
/* A slot with a task in hand, letting time pass until there is one. */
uint32_t world_task(struct world *w);

#endif
