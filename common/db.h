/* db.h - the door to SQLite: one connection per file, one owner per file, prepared statements.
 *
 * Files are opened in WAL mode with synchronous=FULL and locking_mode=EXCLUSIVE (no -shm file, and
 * a second opener is refused): SQLite as Debian 12 ships it has a corruption race when two
 * connections share a WAL file, so nobody ever does. A failure is E_STATE (damaged, other version),
 * E_DISK (full), E_BUSY (somebody else has it) or E_IO. SQL stays in the subset that SQLite and
 * PostgreSQL share; it lives in worker/sync/base*.c and supervisor/lease.c only.
 */
#ifndef MS_DB_H
#define MS_DB_H

#include "arena.h"
#include "err.h"

struct db;
struct stmt;

/* Open or create `path` (mode 0600). `migrations[i]` brings user_version i to i + 1; a file with a
 * higher version than n is refused with E_STATE. app_id marks the kind of file. */
enum code db_open(const char *path, uint32_t app_id, const char *const *migrations, size_t n,
		  struct db **db_r, struct err *err) MS_MUST_USE;
/* Rolls back what is open, finalizes every statement, closes. The log (path-wal) stays beside the file
 * and belongs to it; a large one is worked in first. */
void db_close(struct db **db);
/* The last owner did not close it: its process was killed, or the machine failed. */
bool db_was_left_open(const struct db *db);
/* While lazy, a commit survives the death of the process, but perhaps not of the machine; it saves a
 * wait for the disk. Outside a transaction only. */
enum code db_lazy(struct db *db, bool lazy, struct err *err) MS_MUST_USE;
/* Full structural check: E_STATE if the file is damaged. About 0.03 s per 100,000 rows. */
enum code db_check(struct db *db, struct err *err) MS_MUST_USE;
enum code db_exec(struct db *db, const char *sql, struct err *err) MS_MUST_USE;

enum code db_begin(struct db *db, struct err *err) MS_MUST_USE;
enum code db_commit(struct db *db, struct err *err) MS_MUST_USE;  /* durable when it returns E_OK */
void db_rollback(struct db *db);                                  /* harmless outside a transaction */
bool db_in_transaction(const struct db *db);

/* The statement for this SQL text: prepared once per connection (the pointer `sql` is the key: use
 * literals), reset and with all bindings cleared at each call. NULL + err on failure. */
struct stmt *db_stmt(struct db *db, const char *sql, struct err *err);
void stmt_int(struct stmt *s, int index, int64_t value);            /* index from 1 */
void stmt_text(struct stmt *s, int index, const char *value);       /* NULL binds NULL; copied */
void stmt_blob(struct stmt *s, int index, struct span value);       /* p == NULL binds NULL; copied */
/* Next row: *row_r true with a row, false at the end (the statement is then reset). */
enum code stmt_step(struct stmt *s, bool *row_r, struct err *err) MS_MUST_USE;
/* For statements without result rows. */
enum code stmt_run(struct stmt *s, struct err *err) MS_MUST_USE;
void stmt_reset(struct stmt *s);
int64_t stmt_col_int(struct stmt *s, int col);                      /* col from 0 */
bool stmt_col_null(struct stmt *s, int col);
/* Copies into the arena. Empty/NULL columns give SPAN_NONE / NULL. */
struct span stmt_col_blob(struct stmt *s, int col, struct arena *arena);
const char *stmt_col_text(struct stmt *s, int col, struct arena *arena);
int64_t db_last_id(struct db *db);
int64_t db_changes(struct db *db);              /* rows changed by the last stmt_run */

#endif
