/* pool.h - the core of the supervisor: state + event + now -> actions. No I/O, no clock, no log.
 *
 * The shell feeds events (what workers said, who died, what operators want, that time passed) and
 * then carries out the actions in their order. The promises of the core, which t_pool.c checks
 * against an independent reference:
 *  1. a pairing has at most one lease, and its generation rises with each;
 *  2. a lease ends by a matching RESULT or by the reaping of its slot, by nothing else;
 *  3. credit 1: a slot has at most one task;
 *  4. the logon count (R16): logon-failed or store-failed +1, both sides logged on 0, else as it
 *     was; at min(slots, syncable), never below 1, the pool restarts (R17): every worker is shut
 *     down, no task is granted until the last is reaped, the tasks in hand return uncounted;
 *  5. no pairing is ever dropped (R19): it waits, is leased, or a person must act.
 * A batch is a list of pairings of one pair of endpoints for one worker's life; a pairing of it
 * that was not sent yet is only claimed, and may be taken over by a free slot.
 */
#ifndef MS_POOL_H
#define MS_POOL_H

#include "due.h"
#include "slot.h"

#define POOL_BATCH_MAX 32
#define POOL_SLOTS_MAX 256
#define POOL_JOBS_MAX 64
#define POOL_NONE UINT32_MAX

struct pool_rules {
	struct due_rules due;
	int64_t heartbeat_ms, progress_ms;    /* silence and standstill that are not tolerated */
	int64_t hold_first_ms, hold_max_ms;   /* of dispatch, after pool restarts in a row */
	int64_t quarantine_ms;                /* first quarantine after crashes */
	uint32_t workers;                     /* slots, 1..POOL_SLOTS_MAX */
};

/* SERVICE: for ever. ONCE: each syncable pairing until its pass ends, due times, holds and
 * quarantine ignored. REQUEST: jobs only. */
enum pool_mode { POOL_SERVICE, POOL_ONCE, POOL_REQUEST };
enum pool_phase { POOL_RUNNING, POOL_RESTARTING, POOL_STOPPING };

/* Why a pairing does not take part, if it does not: bits. */
enum {
	POOL_STOPPED = 1,             /* an operator stopped it */
	POOL_PENDING = 2,             /* credentials are missing */
	POOL_STOP_ERROR = 4,          /* one of the three errors that need a person (R20) */
};

struct pool_pairing {
	bool used, removed;           /* removed: goes away when its lease ends */
	uint32_t pair;                /* equal numbers = same pair of endpoints */
	uint32_t out;                 /* bits above; 0 = syncable */
	struct due_place place;
	uint64_t generation;          /* of the last lease; never goes back */
	uint32_t slot;                /* that holds its lease, or POOL_NONE */
	uint32_t claimed;             /* slot whose batch it waits in, or POOL_NONE */
	int64_t quarantined_until;    /* 0 = no */
	struct due_crashes crashes;
	bool once_done;
	bool rerun;                   /* due at once when the lease ends (changed, or asked for) */
};

enum pool_why { POOL_WHY_NONE, POOL_WHY_WATCHDOG, POOL_WHY_RESTART, POOL_WHY_STOP, POOL_WHY_CHANGED };

struct pool_slot {
	enum slot_state state;
	uint32_t incarnation;         /* rises with each spawn */
	uint32_t batch[POOL_BATCH_MAX];
	uint32_t n_batch;
	uint32_t job;                 /* the batch is this job, or POOL_NONE */
	uint32_t task;                /* pairing in hand, or POOL_NONE */
	bool begun;
	bool had_result;              /* in this incarnation */
	enum pool_why why;            /* it was cancelled or killed */
	int64_t since;                /* of the state */
	int64_t task_since;           /* of the task in hand */
	int64_t heard, progressed;
	uint64_t progress;
	unsigned stillborn;           /* workers in a row that died before a result */
	int64_t not_before;           /* no spawn until then */
};

/* A task of another kind than the scheduled sync (plan, verify ...), asked for by somebody. */
struct pool_job {
	bool used;
	bool abandoned;               /* the asker is gone: it ends with its task */
	uint32_t pairing, kind;
	uint64_t id;                  /* the asker's */
	uint32_t slot;                /* that works on it, or POOL_NONE */
};

enum pool_event_kind {
	POOL_TICK,                    /* time passed */
	POOL_READY, POOL_ACCEPT, POOL_BEGUN, POOL_HB, POOL_RESULT,
	POOL_REAPED,                  /* waitid() returned: the only proof of death */
	POOL_SPAWN_FAILED,
	POOL_GRANT_FAILED,            /* the lease could not be committed or the task not sent */
	POOL_STOP,                    /* be down within wait_ms */
};

struct pool_event {
	enum pool_event_kind kind;
	uint32_t slot, incarnation;
	uint64_t generation;
	uint32_t pairing;             /* RESULT */
	enum rclass rclass;           /* RESULT */
	bool both_logged_on;          /* RESULT */
	int64_t wait_ms;              /* RESULT: throttled; STOP */
	uint64_t progress;            /* HB */
};

enum pool_action_kind {
	POOL_DO_SPAWN,                /* a worker for slot's batch */
	POOL_DO_GRANT,                /* commit the lease (pairing, generation), then send the task */
	POOL_DO_CANCEL, POOL_DO_DRAIN, POOL_DO_KILL,
	POOL_DO_ENDED,                /* record how the pairing's task ended */
	POOL_DO_RESTART,              /* say that the pool restarts (it has begun) */
	POOL_DO_STALE,                /* a message without meaning was dropped */
};

enum pool_cause { POOL_BY_RESULT, POOL_BY_DEATH, POOL_BY_WATCHDOG, POOL_BY_STILLBIRTH,
		  POOL_BY_REMOVAL };

struct pool_action {
	enum pool_action_kind kind;
	uint32_t slot, pairing;
	uint64_t generation;
	uint32_t job_kind;            /* GRANT, ENDED; 0 = the scheduled sync */
	uint64_t job_id;
	enum rclass rclass;           /* ENDED */
	enum pool_cause cause;        /* ENDED */
};

struct pool {
	struct pool_rules rules;
	enum pool_mode mode;
	enum pool_phase phase;
	struct pool_pairing *pairings;
	uint32_t n_pairings, cap_pairings;
	struct pool_slot slots[POOL_SLOTS_MAX];
	uint32_t n_slots;             /* that were ever in use; those above rules.workers run dry */
	struct pool_job jobs[POOL_JOBS_MAX];
	uint64_t seq;
	unsigned logon_count;         /* consecutive refusals */
	unsigned restarts, restarts_in_row;
	int64_t hold_until;           /* no dispatch until then */
	int64_t stop_by;
	unsigned stillborn;           /* in a row, over all slots */
	struct pool_action *actions;
	size_t n_actions, cap_actions;
	uint32_t *order;              /* scratch of the scheduler */
};

void pool_init(struct pool *pool, enum pool_mode mode, const struct pool_rules *rules);
void pool_free(struct pool *pool);

/* Configuration. They may emit actions (a changed pairing in hand is cancelled). */
uint32_t pool_add(struct pool *pool, uint32_t pair, uint64_t generation, int64_t due);
void pool_remove(struct pool *pool, uint32_t pairing, int64_t now);
void pool_changed(struct pool *pool, uint32_t pairing, uint32_t pair, int64_t now);
void pool_set_out(struct pool *pool, uint32_t pairing, uint32_t out, int64_t now);
void pool_set_rules(struct pool *pool, const struct pool_rules *rules);

/* Make it due now (`mailshadow sync`); false if a person must act first. */
bool pool_wake(struct pool *pool, uint32_t pairing, int64_t now);
/* Queue a job; false if there are too many. */
bool pool_ask(struct pool *pool, uint32_t pairing, uint32_t kind, uint64_t id);
/* Whoever asked is gone: forget the job, cancel it if it runs. */
void pool_unask(struct pool *pool, uint64_t id, int64_t now);

/* One step. Actions are appended to pool->actions; the shell carries them out and then calls
 * pool_actions_done(). */
void pool_step(struct pool *pool, const struct pool_event *event, int64_t now);
void pool_actions_done(struct pool *pool);

/* When the next POOL_TICK is needed at the latest; DUE_NEVER if none is. */
int64_t pool_next_ms(const struct pool *pool, int64_t now);
/* Nothing is left to do (never true for a running service). */
bool pool_finished(const struct pool *pool);
uint32_t pool_syncable(const struct pool *pool);
uint32_t pool_threshold(const struct pool *pool);
uint32_t pool_busy(const struct pool *pool);              /* slots with a worker */
uint32_t pool_queue(const struct pool *pool, int64_t now); /* due pairings without a lease */

#endif
