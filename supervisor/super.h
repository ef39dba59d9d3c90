/* super.h - what the files of the supervisor's shell share. The core (pool.h) decides, these carry
 * out: dispatch.c (actions, leases), broker.c (messages), birth.c (what a new worker is told),
 * needs.c (secrets), request.c and status.c (operators), reload.c (configuration), main.c (the loop).
 * One process, one thread, one loop; nothing here waits but the loop.
 */
#ifndef MS_SUPER_H
#define MS_SUPER_H

#include "../common/bus.h"
#include "../common/conf.h"
#include "../common/secret.h"
#include "../common/wire.h"
#include "control.h"
#include "lease.h"
#include "pool.h"
#include "proc.h"
#include "reader.h"
#include "stats.h"

#include <limits.h>

/* A configuration and who still needs it: the running one, and each worker that was born under it. */
struct version {
	struct conf *conf;
	unsigned refs;
};

/* A pairing, as the shell knows it; index = its number in the pool. */
struct unit {
	bool used;
	struct record record;
	bool dirty;                   /* record is in super.dirty: it goes with the next commit */
	uint32_t conf_at;             /* where in the configuration it is */
	uint64_t live_done, live_todo;
	int64_t granted_ms;           /* monotonic; of the task in hand */
	bool wants_credentials;       /* State: Pending Credentials */
	bool stop_error;              /* one of the three errors, until a person acts */
	uint8_t secret_digest[SIDES][DIGEST_SIZE];  /* of the secrets that were last handed out */
	bool once_reported;
};

/* A worker process; index = its slot. */
struct worker {
	struct proc proc;
	struct buf id;                /* routing id */
	struct buf in, out;           /* of the socketpair; both may hold secrets: wiped */
	struct version *version;
	bool deaf;                    /* its end of the socketpair is closed */
	bool tell_log;                /* it has to be handed its log anew */
	bool has_result;              /* of the task in hand; text in `result_text` */
	struct wire_RESULT result;
	char result_text[481];
	int exit_status;
	uint64_t peak_kib;            /* memory of the last worker here that told it; 0 = none did */
};

/* Somebody waits for the end of a job. */
struct ask {
	uint64_t id;                  /* 0 = free */
	uint32_t client, pairing;
	enum wire_kind kind;
	bool subjects;
	uint8_t options;              /* bits of enum wire_option */
	uint32_t limit;
	char item[1025];
	struct buf parts;
	unsigned passes;              /* WIRE_SYNC: so many passes must end first */
};

/* A reload that is under way (reload_ask.c): who waits for its end, and who for the next one. */
struct reload {
	struct reader reader;
	uint32_t now[CONTROL_CLIENTS_MAX + 1], next[CONTROL_CLIENTS_MAX + 1];
	unsigned n_now, n_next;
};

struct super {
	const char *file;
	enum pool_mode mode;
	bool foreground;
	struct version *version;
	struct pool pool;
	struct unit *units;
	uint32_t n_units, cap_units;
	uint32_t *dirty;              /* units to be written */
	uint32_t n_dirty;
	uint32_t *names;              /* hash of the units' names: number + 1, 0 = free */
	uint32_t cap_names, n_names;
	uint8_t (*digests)[DIGEST_SIZE];   /* of the secret that each logon (pool.h) used last */
	uint32_t n_digests;
	struct worker workers[POOL_SLOTS_MAX];
	struct ask asks[POOL_JOBS_MAX];
	uint64_t last_ask;
	struct bus *bus;
	struct lease_db *leases;
	struct control *control;
	char program[PATH_MAX];       /* of the worker */
	struct reload reload;
	struct proc early;            /* a worker that was started before anybody needed it */
	int lock_fd, signal_fd, log_fd;
	int64_t started_ms;           /* wall clock */
	unsigned terms;               /* SIGTERM so far */
	uint64_t stale;
	struct stats stats;
	int64_t stale_said_ms;
	struct buf rx, rx_peer, tx;   /* scratch */
};

/* --- startup.c: the lock, directories, sockets, databases --- */
#define EXIT_TEMPORARY 75
/* The lock first: E_BUSY if another supervisor has it, nothing touched. */
enum code startup_lock(struct super *super, struct err *err) MS_MUST_USE;
enum code startup_open(struct super *super, struct err *err) MS_MUST_USE;
void startup_close(struct super *super);
const char *super_path(char *out, size_t size, const char *dir, const char *rest);

/* --- logs.c --- */
enum code logs_open(struct super *super, struct err *err) MS_MUST_USE;   /* supervisor.log; again on SIGUSR1 */
int logs_worker_fd(const struct super *super, uint32_t slot);            /* the caller closes it; -1 */
/* Hand it to the slot's worker, with LogLevel and Trace. */
enum code logs_hand(const struct super *super, uint32_t slot, int fd, struct err *err) MS_MUST_USE;
void logs_tell_workers(struct super *super);   /* their files opened anew, LogLevel and Trace as they are now */
void logs_tell(struct super *super, uint32_t slot);                      /* if it is to be told, now */

/* --- reload.c: configuration and the pool's pairings --- */
void version_ref(struct version *version);
void version_unref(struct version **version);
enum code reload_first(struct super *super, struct err *err) MS_MUST_USE;
/* A configuration that was read and checked takes the place of the running one, or (a failure)
 * nothing changes. It is the callee's in any case. */
struct reload_counts {
	unsigned added, removed, changed, same;
};
enum code reload_with(struct super *super, struct conf *conf, struct reload_counts *counts,
		      struct err *err) MS_MUST_USE;
void reload_failed(struct super *super, const struct err *err);          /* say and count it */
/* reload_ask.c: it is read by a process of its own, whose end the loop waits for at reload_fd(). */
void reload_ask(struct super *super, uint32_t client);
void reload_signal(struct super *super);                                 /* SIGHUP */
void reload_gone(struct super *super, uint32_t client);
int reload_fd(const struct super *super);                                /* -1 */
int64_t reload_deadline_ms(const struct super *super);
void reload_serve(struct super *super);
/* After the lock and scheduler.db: bring the pool in line with the configuration. */
enum code reload_fill(struct super *super, struct err *err) MS_MUST_USE;
/* --- units.c --- */
bool unit_live(const struct super *super, uint32_t unit);
void unit_name(struct super *super, uint32_t unit);                      /* now it can be found */
void units_tie(const struct conf_pairing *p, struct pool_tie *tie);
void units_limits(struct super *super);                                  /* of the endpoints */
const struct conf_pairing *unit_conf(const struct super *super, uint32_t unit);
const struct conf_pairing *unit_conf_in(const struct conf *conf, const struct unit *unit);
uint32_t unit_find(const struct super *super, const char *name);         /* POOL_NONE */
void units_free(struct super *super);

/* --- birth.c, broker.c, needs.c --- */
/* Start a worker's process before anybody needs it, unless one waits already: loading its libraries
 * takes as long as a pass that changes nothing. */
void birth_early(struct super *super);
enum code birth_spawn(struct super *super, uint32_t slot, struct err *err) MS_MUST_USE;
void birth_bury(struct super *super, uint32_t slot);                     /* after the reaping */
/* Everything that lies in the bus now. */
void broker_receive(struct super *super);
enum code broker_send(struct super *super, uint32_t slot, struct wire_msg *msg, struct err *err) MS_MUST_USE;
/* What came over the worker's socketpair, and what still has to go out. */
void needs_serve(struct super *super, uint32_t slot, short revents);
void needs_flush(struct super *super, uint32_t slot);
/* This logon uses that secret: if it is another one than before, its refusals are forgotten. */
void needs_note_secret(struct super *super, uint32_t unit, enum side side, const struct secret *secret);

/* --- dispatch.c --- */
/* Let the core step, then carry out what it wants until it wants nothing. */
void dispatch_step(struct super *super, const struct pool_event *event);
void dispatch_flush(struct super *super);
/* Its record has changed: it is written with the next commit. */
void unit_touch(struct super *super, uint32_t unit);
/* Write the records that are dirty; what is in them is durable when it returns E_OK. */
enum code dispatch_commit(struct super *super, struct err *err) MS_MUST_USE;

/* --- operate.c: what an operator does to a pairing; false: refused, `text` says why --- */
bool operate_sync(struct super *super, uint32_t unit, char *text, size_t size);
bool operate_stop(struct super *super, uint32_t unit, char *text, size_t size);
bool operate_start(struct super *super, uint32_t unit, char *text, size_t size);
bool operate_resume(struct super *super, uint32_t unit, char *text, size_t size);

/* --- request.c, status.c, figures.c --- */
void request_line(void *ctx, uint32_t client, struct span line);
void request_gone(void *ctx, uint32_t client);
struct ask *request_ask(struct super *super, uint64_t id);
void request_ended(struct super *super, const struct pool_action *ended);
void request_pass_ended(struct super *super, const struct pool_action *ended);
char *status_text(const struct super *super);                            /* the caller's, mem_free() */
char *figures_text(const struct super *super);                           /* the same */
const char *status_word(const struct super *super, uint32_t unit);       /* R25 */
const char *status_state(const struct super *super, uint32_t unit);      /* R26 */

#endif
