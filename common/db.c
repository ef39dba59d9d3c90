/* db.c - SQLite behind a small door. */
#include "db.h"

#include "fail.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define STMT_MAX 96
#define WAL_KEPT (256 * 1024)     /* bytes of log that may wait for the next owner */

struct stmt {
	struct db *db;
	const char *sql;
	sqlite3_stmt *handle;
};

struct db {
	sqlite3 *handle;
	char *path;
	struct stmt stmts[STMT_MAX];
	size_t n_stmts;
	bool open_tx;
	bool left_open;
};

static enum code fail(struct db *db, const char *what, struct err *err)
{
	int primary = sqlite3_errcode(db->handle) & 0xff;
	enum code code = E_IO;

	if (primary == SQLITE_FULL)
		code = E_DISK;
	else if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED)
		code = E_BUSY;
	else if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_SCHEMA ||
		 primary == SQLITE_CONSTRAINT || primary == SQLITE_ERROR || primary == SQLITE_MISMATCH)
		code = E_STATE;
	return err_set(err, code, "%s: %s: %s", db->path, what, sqlite3_errmsg(db->handle));
}

enum code db_exec(struct db *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return fail(db, "statement", err);
	return E_OK;
}

static enum code one_number(struct db *db, const char *sql, int64_t *value_r, struct err *err)
{
	sqlite3_stmt *s = NULL;
	enum code rc = E_OK;

	*value_r = 0;
	if (sqlite3_prepare_v2(db->handle, sql, -1, &s, NULL) != SQLITE_OK)
		return fail(db, "open", err);
	int step = sqlite3_step(s);
	if (step == SQLITE_ROW)
		*value_r = sqlite3_column_int64(s, 0);
	else if (step != SQLITE_DONE)
		rc = fail(db, "open", err);
	sqlite3_finalize(s);
	return rc;
}

static enum code migrate(struct db *db, uint32_t app_id, const char *const *migrations, size_t n,
			 struct err *err)
{
	int64_t version, id;
	char pragma[80];
	enum code rc = one_number(db, "PRAGMA user_version", &version, err);

	if (rc == E_OK)
		rc = one_number(db, "PRAGMA application_id", &id, err);
	if (rc != E_OK)
		return rc;
	if ((version != 0 || id != 0) && (uint32_t)id != app_id)
		return err_set(err, E_STATE, "%s: this is not a file of the expected kind", db->path);
	if (version < 0 || (size_t)version > n)
		return err_set(err, E_STATE, "%s: written by a newer version (schema %lld, this program "
			       "knows %zu)", db->path, (long long)version, n);
	if ((size_t)version == n)
		return E_OK;
	rc = db_begin(db, err);
	for (size_t i = (size_t)version; rc == E_OK && i < n; i++)
		rc = db_exec(db, migrations[i], err);
	if (rc == E_OK) {
		snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%zu; PRAGMA application_id=%d", n,
			 (int)app_id);
		rc = db_exec(db, pragma, err);
	}
	if (rc == E_OK)
		rc = db_commit(db, err);
	if (rc != E_OK)
		db_rollback(db);
	return rc;
}

static enum code create_private(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(err, E_IO, "%s", path);
	close(fd);
	return E_OK;
}

static void discard(struct db **dbp)
{
	struct db *db = *dbp;

	for (size_t i = 0; i < db->n_stmts; i++)
		sqlite3_finalize(db->stmts[i].handle);
	sqlite3_close_v2(db->handle);
	mem_free(db->path);
	mem_free(db);
	*dbp = NULL;
}

/* "path-open" is there as long as somebody has it open. */
static void mark_open(struct db *db)
{
	char *mark = mem_printf("%s-open", db->path);
	int fd = open(mark, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	db->left_open = fd < 0 && errno == EEXIST;
	if (fd >= 0)
		close(fd);
	mem_free(mark);
}

static void mark_closed(const struct db *db)
{
	char *mark = mem_printf("%s-open", db->path);

	unlink(mark);
	mem_free(mark);
}

/* Usually nothing: working in a few pages costs two waits for the disk at every close. */
static void work_in_log(struct db *db)
{
	char *wal = mem_printf("%s-wal", db->path);
	struct stat st;

	if (stat(wal, &st) == 0 && st.st_size > WAL_KEPT)
		sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	mem_free(wal);
}

bool db_was_left_open(const struct db *db)
{
	return db->left_open;
}

enum code db_lazy(struct db *db, bool lazy, struct err *err)
{
	assert(!db->open_tx);
	return db_exec(db, lazy ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL", err);
}

static enum code configure(struct db *db, struct err *err)
{
	int keep = 1;

	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, 2000);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_file_control(db->handle, NULL, SQLITE_FCNTL_PERSIST_WAL, &keep);
	sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, 64 * 1024 * 1024);
	return db_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
		       "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;"
		       "PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-4096", err);
}

enum code db_open(const char *path, uint32_t app_id, const char *const *migrations, size_t n,
		  struct db **db_r, struct err *err)
{
	struct db *db;
	struct stat st;
	enum code rc = E_OK;

	/* made by us with mode 0600 only when new: opening and closing an existing one outside SQLite
	 * would drop its POSIX locks */
	if (stat(path, &st) != 0)
		rc = create_private(path, err);
	if (rc != E_OK)
		return rc;
	db = mem_alloc(sizeof(*db));
	db->path = mem_strdup(path);
	if (sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		rc = fail(db, "open", err);
	if (rc == E_OK)
		rc = configure(db, err);
	if (rc == E_OK)
		rc = migrate(db, app_id, migrations, n, err);
	if (rc != E_OK) {
		discard(&db);        /* what is left for the next owner to check stays marked */
		return rc;
	}
	mark_open(db);
	*db_r = db;
	return E_OK;
}

void db_close(struct db **dbp)
{
	struct db *db = *dbp;

	if (db == NULL)
		return;
	db_rollback(db);
	work_in_log(db);
	mark_closed(db);
	discard(dbp);
}

enum code db_check(struct db *db, struct err *err)
{
	sqlite3_stmt *s = NULL;
	enum code rc = E_OK;

	if (sqlite3_prepare_v2(db->handle, "PRAGMA quick_check(1)", -1, &s, NULL) != SQLITE_OK)
		return fail(db, "check", err);
	if (sqlite3_step(s) != SQLITE_ROW)
		rc = fail(db, "check", err);
	else if (strcmp((const char *)sqlite3_column_text(s, 0), "ok") != 0)
		rc = err_set(err, E_STATE, "%s is damaged: %s", db->path, sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	return rc;
}

enum code db_begin(struct db *db, struct err *err)
{
	assert(!db->open_tx);
	enum code rc = db_exec(db, "BEGIN IMMEDIATE", err);
	db->open_tx = rc == E_OK;
	return rc;
}

enum code db_commit(struct db *db, struct err *err)
{
	assert(db->open_tx);
	if (fail_step("commit"))
		return err_set(err, E_CANCELLED, "stopped before a commit");
	enum code rc = db_exec(db, "COMMIT", err);
	if (rc == E_OK)
		db->open_tx = false;
	if (rc == E_OK && fail_step("committed"))
		return err_set(err, E_CANCELLED, "stopped after a commit");
	return rc;
}

void db_rollback(struct db *db)
{
	if (!db->open_tx)
		return;
	for (size_t i = 0; i < db->n_stmts; i++)
		sqlite3_reset(db->stmts[i].handle);
	sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	db->open_tx = false;
}

bool db_in_transaction(const struct db *db)
{
	return db->open_tx;
}

struct stmt *db_stmt(struct db *db, const char *sql, struct err *err)
{
	struct stmt *s;

	for (size_t i = 0; i < db->n_stmts; i++) {
		s = &db->stmts[i];
		if (s->sql == sql) {
			sqlite3_reset(s->handle);
			sqlite3_clear_bindings(s->handle);
			return s;
		}
	}
	assert(db->n_stmts < STMT_MAX);
	s = &db->stmts[db->n_stmts];
	if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->handle, NULL) != SQLITE_OK) {
		(void)fail(db, sql, err);
		return NULL;
	}
	s->db = db;
	s->sql = sql;
	db->n_stmts++;
	return s;
}

void stmt_int(struct stmt *s, int index, int64_t value)
{
	sqlite3_bind_int64(s->handle, index, value);
}

void stmt_text(struct stmt *s, int index, const char *value)
{
	if (value == NULL)
		sqlite3_bind_null(s->handle, index);
	else
		sqlite3_bind_text(s->handle, index, value, -1, SQLITE_TRANSIENT);
}

void stmt_blob(struct stmt *s, int index, struct span value)
{
	if (value.p == NULL)
		sqlite3_bind_null(s->handle, index);
	else
		sqlite3_bind_blob64(s->handle, index, value.p, value.n, SQLITE_TRANSIENT);
}

enum code stmt_step(struct stmt *s, bool *row_r, struct err *err)
{
	int step = sqlite3_step(s->handle);

	*row_r = step == SQLITE_ROW;
	if (step == SQLITE_ROW)
		return E_OK;
	if (step == SQLITE_DONE) {
		sqlite3_reset(s->handle);
		return E_OK;
	}
	enum code rc = fail(s->db, s->sql, err);
	sqlite3_reset(s->handle);
	return rc;
}

enum code stmt_run(struct stmt *s, struct err *err)
{
	bool row;
	enum code rc = stmt_step(s, &row, err);

	if (row)
		sqlite3_reset(s->handle);
	return rc;
}

void stmt_reset(struct stmt *s)
{
	sqlite3_reset(s->handle);
}

int64_t stmt_col_int(struct stmt *s, int col)
{
	return sqlite3_column_int64(s->handle, col);
}

bool stmt_col_null(struct stmt *s, int col)
{
	return sqlite3_column_type(s->handle, col) == SQLITE_NULL;
}

struct span stmt_col_blob(struct stmt *s, int col, struct arena *arena)
{
	const void *p = sqlite3_column_blob(s->handle, col);
	int n = sqlite3_column_bytes(s->handle, col);

	if (p == NULL)
		return SPAN_NONE;
	return arena_span(arena, span_bytes(p, (size_t)n));
}

const char *stmt_col_text(struct stmt *s, int col, struct arena *arena)
{
	const char *p = (const char *)sqlite3_column_text(s->handle, col);

	return p == NULL ? NULL : arena_str(arena, span_of(p));
}

int64_t db_last_id(struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

int64_t db_changes(struct db *db)
{
	return sqlite3_changes64(db->handle);
}
