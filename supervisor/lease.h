/* lease.h - scheduler.db: the durable row of each pairing, written by the supervisor alone.
 *
 * A lease is granted by committing its row (generation + 1, owner) and only then sending the task.
 * Rows carry node and expiry from day one, so that several gateways can share the table later.
 * Wall-clock times here, in milliseconds since 1970; 0 = never.
 */
#ifndef MS_LEASE_H
#define MS_LEASE_H

#include "../common/err.h"

struct lease_db;

/* What is known of a pairing, over restarts of the service. Strings are the record's own. */
struct record {
	char name[65];
	char mailboxes[33];           /* hash of the two mailboxes: another pairing may reuse the name */
	uint64_t generation;
	int32_t slot;                 /* that holds the lease, -1 = nobody */
	uint32_t incarnation;
	int64_t leased_ms;
	int64_t due_ms;
	bool stopped;                 /* by an operator */
	bool ran, first_done;
	enum rclass rclass;           /* of the last task that was not a mere yield or return */
	enum code code;
	char reason[481];
	int64_t started_ms, ended_ms; /* last task */
	int64_t updated_ms;           /* last full loop (R27) */
	int64_t success_ms;
	uint64_t done, todo, quarantined, held, failures;
	uint32_t crashes, crash_level;/* recent ones; how often they led to quarantine */
	int64_t quarantine_ms;        /* not run before; 0 = no quarantine */
};

/* db_check()s the file; a damaged one is E_STATE. */
enum code lease_open(const char *path, struct lease_db **db_r, struct err *err) MS_MUST_USE;
void lease_close(struct lease_db **db);
/* All rows; `each` may keep a copy. */
enum code lease_load(struct lease_db *db, void (*each)(void *ctx, const struct record *record), void *ctx,
		     struct err *err) MS_MUST_USE;
/* Several rows in one transaction: begin, put, commit. A failed commit has changed nothing. Rows are
 * never dropped: the generation of a pairing that comes back must go on rising. */
enum code lease_begin(struct lease_db *db, struct err *err) MS_MUST_USE;
enum code lease_put(struct lease_db *db, const struct record *record, struct err *err) MS_MUST_USE;
enum code lease_commit(struct lease_db *db, struct err *err) MS_MUST_USE;
void lease_rollback(struct lease_db *db);

#endif
