/* pool.h - the core of the supervisor: state + event + now -> actions. No I/O, no clock, no log.
 *
 * The shell feeds events (what workers said, who died, what operators want, that time passed) and
 * then carries out the actions in their order. The promises of the core, which its tests check
 * against independent references:
 *  1. a pairing has at most one lease, and its generation rises with each;
 *  2. a lease ends by a matching RESULT or by the reaping of its slot, by nothing else;
 *  3. credit 1: a slot has at most one task;
 *  4. the logon count (R16): logon-failed or store-failed +1, both sides logged on 0, else as it
 *     was; at min(slots, syncable), never below 1, the pool restarts (R17): every worker is shut
 *     down, no task is granted until the last is reaped, the tasks in hand return uncounted;
 *  5. no pairing is ever dropped (R19): it waits, is leased, or a person must act;
 *  6. no storms: dispatch waits after restarts in a row, then tries one pairing per endpoint; a
 *     throttled endpoint is not asked before its time; an endpoint never has more workers than
 *     connections; what was refused three times is tried once per `trial_ms`, and the pairings
 *     that need it wait meanwhile, unrun and uncounted.
 * A batch is a list of pairings of one lane (pair of endpoints) for one worker's life; a pairing of
 * it that was not sent yet is only claimed, and may be taken over by a free slot.
 *
 * Costs: an event is O(log pairings + slots + lanes). Files: pool.c (events), pool_logon.c (logons,
 * throttling), pool_place.c (where a pairing waits), pool_heap.c, pool_lane.c (endpoints), pool_plan.c
 * (who gets what), pool_time.c (patience), pool_conf.c (configuration), pool_operator.c.
 */
#ifndef MS_POOL_H
#define MS_POOL_H

#include "due.h"
#include "slot.h"

#define POOL_BATCH_MAX 32
#define POOL_SLOTS_MAX 256
#define POOL_JOBS_MAX 64
#define POOL_NONE UINT32_MAX
#define POOL_REFUSALS 3               /* of one logon in a row: from then on trials only */
/* The shell steps the core at least this often; a longer gap means that the gateway slept or
 * starved, and then silence during the gap is nobody's fault. */
#define POOL_STEP_MS 20000

struct pool_rules {
	struct due_rules due;
	int64_t heartbeat_ms, progress_ms;    /* silence and standstill that are not tolerated */
	int64_t hold_first_ms, hold_max_ms;   /* of dispatch, after pool restarts in a row */
	int64_t quarantine_ms;                /* first quarantine after crashes */
	int64_t trial_ms;                     /* between trials of a refused logon */
	int64_t run_max_ms;                   /* a sync is called back after so long; 0 = never */
	uint64_t memory_kib;                  /* a worker that grew above is replaced; 0 = never */
	uint32_t offline_kinds;               /* bits 1 << kind: jobs that ask no server */
	uint32_t workers;                     /* slots, 1..POOL_SLOTS_MAX */
};

/* SERVICE: for ever. ONCE: each syncable pairing until its pass ends; due times, holds, pauses,
 * trials and quarantine ignored. REQUEST: jobs only. */
enum pool_mode { POOL_SERVICE, POOL_ONCE, POOL_REQUEST };
enum pool_phase { POOL_RUNNING, POOL_RESTARTING, POOL_STOPPING };

/* Why a pairing does not take part, if it does not: bits. */
enum {
	POOL_STOPPED = 1,             /* an operator stopped it */
	POOL_PENDING = 2,             /* credentials are missing */
	POOL_STOP_ERROR = 4,          /* one of the three errors that need a person (R20) */
};

/* What a pairing needs, as numbers that the shell makes of names: endpoints, and logons (an endpoint
 * and a login name); 0 = that side needs no logon. */
struct pool_tie {
	uint64_t endpoint[SIDES];
	uint64_t logon[SIDES];
};

struct pool_heap_entry {
	int64_t key;
	uint64_t seq;
	uint32_t id;
};
struct pool_heap {
	struct pool_heap_entry *at;
	uint32_t n, cap;
};

struct pool_endpoint {
	uint64_t key;
	uint32_t limit;               /* connections at a time; 0 = no limit */
	uint32_t seats;               /* held by workers now */
	int64_t pause_until;          /* it throttles: not asked before */
	bool proven;                  /* somebody logged on since the pool restarted */
};

struct pool_logon {
	uint64_t key;
	unsigned refusals;            /* in a row */
	int64_t trial_at;             /* when it may be used again, after POOL_REFUSALS */
	uint32_t trial_by;            /* the pairing that may use it before: its trial is on the way */
};

struct pool_lane {
	uint32_t endpoint[SIDES];
	struct pool_heap ready;       /* due pairings that wait for a slot */
};

enum pool_where { POOL_NOWHERE, POOL_IN_WAITING, POOL_IN_READY };

struct pool_pairing {
	bool used, removed;           /* removed: goes away when its lease ends */
	bool syncable;                /* as counted */
	bool once_done;
	bool rerun;                   /* due at once when the lease ends (changed, or asked for) */
	enum pool_where where;        /* which heap it is in, at heap_at */
	uint32_t heap_at;
	uint32_t lane;
	uint32_t logon[SIDES];        /* POOL_NONE: none needed */
	uint32_t out;                 /* bits above; 0 = syncable */
	struct due_place place;
	uint64_t generation;          /* of the last lease; never goes back */
	uint32_t slot;                /* that holds its lease, or POOL_NONE */
	uint32_t claimed;             /* slot whose batch it waits in, or POOL_NONE */
	int64_t quarantined_until;    /* 0 = no */
	struct due_crashes crashes;
};

enum pool_why {
	POOL_WHY_NONE, POOL_WHY_WATCHDOG, POOL_WHY_RESTART, POOL_WHY_STOP, POOL_WHY_CHANGED,
	POOL_WHY_LONG,                /* run_max_ms is over */
};

struct pool_slot {
	enum slot_state state;
	uint32_t incarnation;         /* rises with each spawn */
	uint32_t batch[POOL_BATCH_MAX];
	uint32_t n_batch;
	uint32_t lane;                /* whose endpoints' seats it holds, or POOL_NONE */
	uint32_t job;                 /* the batch is this job, or POOL_NONE */
	uint32_t task;                /* pairing in hand, or POOL_NONE */
	bool begun;
	bool had_result;              /* in this incarnation */
	enum pool_why why;            /* it was cancelled or killed */
	int64_t since;                /* of the state */
	int64_t task_since;           /* of the task in hand */
	int64_t heard, progressed;
	uint64_t progress, rss_kib;
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
	POOL_READY, POOL_ACCEPT, POOL_BEGUN, POOL_HB, POOL_LOGGED_ON, POOL_RESULT,
	POOL_REAPED,                  /* waitid() returned: the only proof of death */
	POOL_SPAWN_FAILED,
	POOL_GRANT_FAILED,            /* the task was not sent */
	POOL_STOP,                    /* be down within wait_ms */
};

struct pool_event {
	enum pool_event_kind kind;
	uint32_t slot, incarnation;
	uint64_t generation;
	uint32_t pairing;             /* RESULT */
	enum rclass rclass;           /* RESULT */
	uint8_t logged_on, refused;   /* RESULT: bits 1 << side; LOGGED_ON: logged_on alone */
	uint8_t side;                 /* RESULT, throttled: by which side; SIDES or more = not known */
	bool unsaved;                 /* GRANT_FAILED: because the lease could not be made durable */
	int64_t wait_ms;              /* RESULT: throttled; STOP */
	uint64_t progress, rss_kib;   /* HB; RESULT: the latter */
};

enum pool_action_kind {
	POOL_DO_SPAWN,                /* a worker for slot's batch */
	POOL_DO_GRANT,                /* commit the lease (pairing, generation), then send the task */
	POOL_DO_CANCEL, POOL_DO_DRAIN, POOL_DO_KILL,
	POOL_DO_YIELD,                /* somebody waits for this pairing: let the time slice end now */
	POOL_DO_ENDED,                /* record how the pairing's task ended */
	POOL_DO_RESTART,              /* say that the pool restarts (it has begun) */
	POOL_DO_HELD,                 /* say that the restart is over and how long dispatch is held */
	POOL_DO_REAPED,               /* say that the slot is free again */
	POOL_DO_STALE,                /* a message without meaning was dropped */
};

enum pool_cause { POOL_BY_RESULT, POOL_BY_DEATH, POOL_BY_WATCHDOG, POOL_BY_STILLBIRTH,
		  POOL_BY_REMOVAL, POOL_BY_REFUSALS };

struct pool_action {
	enum pool_action_kind kind;
	uint32_t slot, pairing;
	uint32_t incarnation;         /* of the slot's worker then: it may be another one by now */
	uint64_t generation;
	uint32_t job_kind;            /* GRANT, ENDED; 0 = the scheduled sync */
	uint64_t job_id;
	enum rclass rclass;           /* ENDED */
	enum pool_cause cause;        /* ENDED */
	int64_t wait_ms;              /* HELD; ENDED of a sync: until it is due, DUE_NEVER */
};

struct pool {
	struct pool_rules rules;
	enum pool_mode mode;
	enum pool_phase phase;
	int64_t now;                  /* of the last step */
	struct pool_pairing *pairings;
	uint32_t n_pairings, cap_pairings, first_free;
	struct pool_endpoint *endpoints;
	uint32_t n_endpoints;
	struct pool_logon *logons;
	uint32_t n_logons;
	struct pool_lane *lanes;
	uint32_t n_lanes;
	struct pool_heap waiting;     /* by time; the others are in their lane's heap or in a slot */
	uint32_t n_syncable;
	struct pool_slot slots[POOL_SLOTS_MAX];
	uint32_t n_slots;             /* that were ever in use; those above rules.workers run dry */
	struct pool_job jobs[POOL_JOBS_MAX];
	uint64_t seq;
	unsigned logon_count;         /* consecutive refusals */
	unsigned restarts, restarts_in_row;
	int64_t hold_until;           /* no dispatch until then */
	int64_t stop_by;
	int64_t good_at;              /* the last task in which both sides logged on; or the start */
	unsigned stillborn;           /* in a row, over all slots */
	struct pool_action *actions;
	size_t n_actions, cap_actions;
};

void pool_init(struct pool *pool, enum pool_mode mode, const struct pool_rules *rules);
void pool_free(struct pool *pool);

/* Configuration. They may emit actions (a changed pairing in hand is cancelled). */
uint32_t pool_add(struct pool *pool, const struct pool_tie *tie, uint64_t generation, int64_t due);
void pool_remove(struct pool *pool, uint32_t pairing, int64_t now);
void pool_changed(struct pool *pool, uint32_t pairing, const struct pool_tie *tie, int64_t now);
void pool_set_out(struct pool *pool, uint32_t pairing, uint32_t out, int64_t now);
void pool_set_rules(struct pool *pool, const struct pool_rules *rules);
void pool_set_limit(struct pool *pool, uint64_t endpoint, uint32_t connections);
/* What is known of crashes from before a restart of the service. */
void pool_set_crashes(struct pool *pool, uint32_t pairing, const struct due_crashes *crashes,
		      int64_t quarantined_until);
/* This logon has another secret now: what was refused before does not count. */
void pool_new_secret(struct pool *pool, uint64_t logon);

/* Operators (pool_operator.c). Each is one pure event and may emit actions.
 * sync: due now, whatever bump or quarantine it waits for, and a refused logon may be tried once;
 * false if a person must act first. */
bool pool_wake(struct pool *pool, uint32_t pairing, int64_t now);
/* stop: its task in hand, if any, is cancelled and returned. The shell makes it durable (record). */
void pool_stop(struct pool *pool, uint32_t pairing, int64_t now);
/* start: the opposite; false if it is out for another reason still. */
bool pool_start(struct pool *pool, uint32_t pairing, int64_t now);
/* resume: retry after a stop error (R20), forget crashes, due now; false if it is out for another
 * reason still (stopped, credentials missing). */
bool pool_resume(struct pool *pool, uint32_t pairing, int64_t now);
/* Queue a job; false if there are too many. A sync of that pairing in hand is asked to yield. */
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
/* When it runs at the earliest, all waits considered; DUE_NEVER if a person must act first. */
int64_t pool_next_run(const struct pool *pool, uint32_t pairing, int64_t now);
/* How long this side's endpoint must be left alone still; 0 = it is free. */
int64_t pool_pause_ms(const struct pool *pool, uint32_t pairing, enum side side, int64_t now);
/* Every slot waits after stillborn workers, and no task went well for ten minutes. */
bool pool_degraded(const struct pool *pool, int64_t now);

#endif
