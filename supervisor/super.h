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
	bool dirty;                   /* record must be written with the next commit */
	uint64_t live_done, live_todo;
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
	bool has_result;              /* of the task in hand; text in `result_text` */
	struct wire_RESULT result;
	char result_text[481];
	int exit_status;
};

/* Somebody waits for the end of a job. */
struct ask {
	uint64_t id;                  /* 0 = free */
	uint32_t client, pairing;
	enum wire_kind kind;
	bool subjects;
	struct buf parts;
};

struct super {
	const char *file;
	enum pool_mode mode;
	bool foreground;
	struct version *version;
	struct pool pool;
	struct unit *units;
	uint32_t n_units;
	struct worker workers[POOL_SLOTS_MAX];
	struct ask asks[POOL_JOBS_MAX];
	uint64_t last_ask;
	struct bus *bus;
	struct lease_db *leases;
	struct control *control;
	char program[PATH_MAX];       /* of the worker */
	int lock_fd, signal_fd, log_fd;
	int64_t started_ms;           /* wall clock */
	unsigned terms;               /* SIGTERM so far */
	uint64_t stale;
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

/* --- reload.c: configuration and the pool's pairings --- */
void version_ref(struct version *version);
void version_unref(struct version **version);
enum code reload_first(struct super *super, struct err *err) MS_MUST_USE;
/* A failed one changes nothing. */
enum code reload_again(struct super *super, struct err *err) MS_MUST_USE;
/* After the lock and scheduler.db: bring the pool in line with the configuration. */
enum code reload_fill(struct super *super, struct err *err) MS_MUST_USE;
const struct conf_pairing *unit_conf(const struct super *super, uint32_t unit);
uint32_t unit_find(const struct super *super, const char *name);         /* POOL_NONE */

/* --- birth.c, broker.c, needs.c --- */
enum code birth_spawn(struct super *super, uint32_t slot, struct err *err) MS_MUST_USE;
void birth_bury(struct super *super, uint32_t slot);                     /* after the reaping */
/* Everything that lies in the bus now. */
void broker_receive(struct super *super);
enum code broker_send(struct super *super, uint32_t slot, struct wire_msg *msg, struct err *err) MS_MUST_USE;
/* What came over the worker's socketpair, and what still has to go out. */
void needs_serve(struct super *super, uint32_t slot, short revents);
void needs_flush(struct super *super, uint32_t slot);

/* --- dispatch.c --- */
/* Let the core step, then carry out what it wants until it wants nothing. */
void dispatch_step(struct super *super, const struct pool_event *event);
void dispatch_flush(struct super *super);

/* --- request.c, status.c --- */
void request_line(void *ctx, uint32_t client, struct span line);
void request_gone(void *ctx, uint32_t client);
struct ask *request_ask(struct super *super, uint64_t id);
void request_ended(struct super *super, const struct pool_action *ended);
char *status_text(const struct super *super);                            /* the caller's, mem_free() */
const char *status_word(const struct super *super, uint32_t unit);       /* R25 */
const char *status_state(const struct super *super, uint32_t unit);      /* R26 */

#endif
