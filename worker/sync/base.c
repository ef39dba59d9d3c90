/* base.c - the pairing's database: opening, fencing, meta, folders and journal. All SQL of the sync
 * engine is in base*.c.
 */
#include "base_private.h"

#include "../../common/clock.h"
#include "../../common/log.h"
#include "../../common/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define APP_ID 0x4d535031   /* "MSP1" */
#define JOURNAL_DAYS 90
#define JOURNAL_BEFORE ((size_t)64 * 1024)
#define PRUNE_EVERY 1000     /* rows; with the first row of a pass as well */

static const char *const migrations[] = {
	"CREATE TABLE meta (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID;"
	"CREATE TABLE folder ("
	" id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, role INTEGER NOT NULL, paired_by INTEGER NOT NULL,"
	" left_path BLOB, left_name BLOB, left_id BLOB, left_stable INTEGER, left_mark BLOB, left_cursor BLOB,"
	" right_path BLOB, right_name BLOB, right_id BLOB, right_stable INTEGER, right_mark BLOB, right_cursor BLOB);"
	"CREATE TABLE item ("
	" id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, fp BLOB NOT NULL, msgid INTEGER NOT NULL,"
	" size INTEGER NOT NULL, left_key BLOB, right_key BLOB);"
	"CREATE TABLE place ("
	" id INTEGER PRIMARY KEY, item INTEGER NOT NULL, folder INTEGER NOT NULL,"
	" left_id BLOB NOT NULL, right_id BLOB NOT NULL, flags INTEGER NOT NULL, keywords TEXT);"
	"CREATE UNIQUE INDEX place_left ON place (folder, left_id);"
	"CREATE UNIQUE INDEX place_right ON place (folder, right_id);"
	"CREATE TABLE solo ("
	" id INTEGER PRIMARY KEY, side INTEGER NOT NULL, folder INTEGER NOT NULL, item_id BLOB,"
	" state INTEGER NOT NULL, fp BLOB, msgid INTEGER NOT NULL, size INTEGER NOT NULL,"
	" flags INTEGER NOT NULL, keywords TEXT, attempts INTEGER NOT NULL, next_s INTEGER NOT NULL,"
	" code INTEGER NOT NULL, text TEXT);"
	"CREATE UNIQUE INDEX solo_item ON solo (folder, side, item_id);"
	"CREATE TABLE journal ("
	" id INTEGER PRIMARY KEY, pass INTEGER NOT NULL, at INTEGER NOT NULL, side INTEGER NOT NULL,"
	" op TEXT NOT NULL, why TEXT, item INTEGER, old_folder BLOB, old_id BLOB, new_folder BLOB, new_id BLOB,"
	" detail BLOB, undone_by INTEGER);",
	"ALTER TABLE solo ADD COLUMN since INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE solo ADD COLUMN name BLOB;",
	"CREATE TABLE record ("
	" place INTEGER PRIMARY KEY, left_version BLOB, right_version BLOB, left_base BLOB, right_base BLOB,"
	" left_sent BLOB, right_sent BLOB, left_seen BLOB, right_seen BLOB, busy INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL, next_s INTEGER NOT NULL,"
	" code INTEGER NOT NULL, text TEXT);"
	"CREATE INDEX record_next ON record (next_s) WHERE next_s > 0;"
	"ALTER TABLE place ADD COLUMN left_made INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE place ADD COLUMN right_made INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX place_left_made ON place (folder) WHERE left_made > 0;"
	"CREATE INDEX place_right_made ON place (folder) WHERE right_made > 0;"
	"ALTER TABLE journal ADD COLUMN before BLOB;",
	"DROP INDEX place_left_made; DROP INDEX place_right_made;"
	"CREATE INDEX place_left_made ON place (folder) WHERE left_made <> 0;"
	"CREATE INDEX place_right_made ON place (folder) WHERE right_made <> 0;",
};

static enum code set_aside(const char *path, const char *why, struct err *err)
{
	static const char *const tails[] = { "", "-wal", "-open" };
	int64_t now = clock_wall_s();

	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		char *from = mem_printf("%s%s", path, tails[i]);
		char *to = mem_printf("%s.%s-%lld%s", path, why, (long long)now, tails[i]);
		struct stat st;
		bool there = stat(from, &st) == 0;
		bool bad = there && rename(from, to) != 0;

		mem_free(from);
		mem_free(to);
		if (bad)
			return err_errno(err, E_IO, "%s could not be set aside", path);
	}
	return E_OK;
}

static enum code open_checked(const char *path, struct db **db_r, struct err *err)
{
	enum code rc = db_open(path, APP_ID, migrations, ARRAY_LEN(migrations), db_r, err);

	if (rc == E_OK && db_was_left_open(*db_r))
		rc = db_check(*db_r, err);
	if (rc != E_OK)
		db_close(db_r);
	return rc;
}

/* Claims the file for this lease; a file already claimed by a later one is not ours. */
static enum code claim(struct base *b, struct err *err)
{
	struct arena *a = arena_new(4096);
	struct span v;
	uint64_t held = 0;
	char text[24];
	enum code rc = base_meta_get(b, "generation", a, &v, err);

	if (rc == E_OK && v.p != NULL && !span_u64(v, UINT64_MAX, &held))
		rc = err_set(err, E_STATE, "the state's generation is not a number");
	if (rc == E_OK && held > b->generation)
		rc = err_set(err, E_BUSY, "a later lease (%llu) owns this pairing's state",
			     (unsigned long long)held);
	if (rc == E_OK)
		rc = db_lazy(b->db, true, err);      /* no owner of before outlives the machine */
	if (rc == E_OK) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)b->generation);
		rc = base_meta_put(b, "generation", span_of(text), err);
	}
	if (rc == E_OK)
		rc = base_commit(b, err);
	if (rc == E_OK)
		rc = db_lazy(b->db, false, err);
	arena_free(&a);
	return rc;
}

static enum code same_pairing(struct base *b, const char *pairing, bool *same_r, struct err *err)
{
	struct arena *a = arena_new(64 * 1024);
	struct span v;
	enum code rc = base_meta_get(b, "pairing", a, &v, err);

	*same_r = rc == E_OK && (v.p == NULL || span_eq_str(v, pairing));
	if (rc == E_OK && v.p == NULL)
		rc = base_meta_put(b, "pairing", span_of(pairing), err);
	if (rc == E_OK && v.p == NULL)
		rc = base_commit(b, err);
	arena_free(&a);
	return rc;
}

static enum code open_file(const char *path, const char *pairing, struct base *b, bool *rebuilt_r,
			   struct err *err)
{
	bool same = true;
	enum code rc = open_checked(path, &b->db, err);

	*rebuilt_r = false;
	if (rc == E_STATE) {
		log_warning("state set aside and rebuilt from the mailboxes: %s", err_text(err));
		*rebuilt_r = true;
		rc = set_aside(path, "damaged", err);
		if (rc == E_OK)
			rc = open_checked(path, &b->db, err);
	}
	if (rc == E_OK)
		rc = same_pairing(b, pairing, &same, err);
	if (rc == E_OK && !same) {
		log_warning("the state belongs to other mailboxes of this name: set aside, starting afresh");
		*rebuilt_r = true;
		db_close(&b->db);
		rc = set_aside(path, "other", err);
		if (rc == E_OK)
			rc = open_checked(path, &b->db, err);
		if (rc == E_OK)
			rc = same_pairing(b, pairing, &same, err);
	}
	return rc;
}

enum code base_open(const char *state_dir, const char *pairing, uint64_t generation, struct base **base_r,
		    bool *rebuilt_r, struct err *err)
{
	struct base *b = mem_alloc(sizeof(*b));
	char *path = mem_printf("%s/state.db", state_dir);

	b->generation = generation;
	enum code rc = open_file(path, pairing, b, rebuilt_r, err);
	mem_free(path);
	if (rc == E_OK)
		rc = claim(b, err);
	if (rc != E_OK) {
		base_close(&b);
		return rc;
	}
	*base_r = b;
	return E_OK;
}

void base_close(struct base **bp)
{
	if (*bp == NULL)
		return;
	db_close(&(*bp)->db);
	mem_free(*bp);
	*bp = NULL;
}

enum code base_write(struct base *b, struct err *err)
{
	if (db_in_transaction(b->db))
		return E_OK;
	return db_begin(b->db, err);
}

enum code base_commit(struct base *b, struct err *err)
{
	if (!db_in_transaction(b->db))
		return E_OK;
	enum code rc = db_commit(b->db, err);
	if (rc != E_OK)
		db_rollback(b->db);
	return rc;
}

enum code base_meta_get(struct base *b, const char *key, struct arena *arena, struct span *value_r,
			struct err *err)
{
	struct stmt *s = db_stmt(b->db, "SELECT v FROM meta WHERE k = ?", err);
	bool row;

	*value_r = SPAN_NONE;
	if (s == NULL)
		return err->code;
	stmt_text(s, 1, key);
	enum code rc = stmt_step(s, &row, err);
	if (rc == E_OK && row)
		*value_r = stmt_col_blob(s, 0, arena);
	stmt_reset(s);
	return rc;
}

enum code base_meta_put(struct base *b, const char *key, struct span value, struct err *err)
{
	enum code rc = base_write(b, err);

	if (rc != E_OK)
		return rc;
	struct stmt *s = db_stmt(b->db, "INSERT INTO meta (k, v) VALUES (?, ?) "
				 "ON CONFLICT (k) DO UPDATE SET v = excluded.v", err);
	if (s == NULL)
		return err->code;
	stmt_text(s, 1, key);
	stmt_blob(s, 2, value);
	return stmt_run(s, err);
}

static void read_side(struct stmt *s, int col, struct arena *a, struct base_folder_side *side)
{
	side->path = stmt_col_blob(s, col, a);
	side->name = stmt_col_blob(s, col + 1, a);
	side->id = stmt_col_blob(s, col + 2, a);
	side->stable = stmt_col_int(s, col + 3) != 0;
	side->mark = stmt_col_blob(s, col + 4, a);
	side->cursor = stmt_col_blob(s, col + 5, a);
}

enum code base_folders(struct base *b, struct arena *arena, struct base_folder **folders_r, size_t *n_r,
		       struct err *err)
{
	struct stmt *s = db_stmt(b->db, "SELECT id, kind, role, paired_by, left_path, left_name, left_id,"
				 " left_stable, left_mark, left_cursor, right_path, right_name, right_id,"
				 " right_stable, right_mark, right_cursor FROM folder ORDER BY id", err);
	size_t cap = 0;
	bool row;
	enum code rc;

	*folders_r = NULL;
	*n_r = 0;
	if (s == NULL)
		return err->code;
	while ((rc = stmt_step(s, &row, err)) == E_OK && row) {
		*folders_r = arena_grow(arena, *folders_r, *n_r, sizeof(**folders_r), &cap);
		struct base_folder *f = &(*folders_r)[(*n_r)++];

		f->row = stmt_col_int(s, 0);
		f->kind = (enum ep_kind)stmt_col_int(s, 1);
		f->role = (enum ep_role)stmt_col_int(s, 2);
		f->by = (enum pair_by)stmt_col_int(s, 3);
		read_side(s, 4, arena, &f->side[SIDE_LEFT]);
		read_side(s, 10, arena, &f->side[SIDE_RIGHT]);
	}
	return rc;
}

static void bind_side(struct stmt *s, int at, const struct base_folder_side *side)
{
	stmt_blob(s, at, side->path);
	stmt_blob(s, at + 1, side->name);
	stmt_blob(s, at + 2, side->id);
	stmt_int(s, at + 3, side->stable);
	stmt_blob(s, at + 4, side->mark);
	stmt_blob(s, at + 5, side->cursor);
}

enum code base_folder_save(struct base *b, struct base_folder *f, struct err *err)
{
	enum code rc = base_write(b, err);

	if (rc != E_OK)
		return rc;
	struct stmt *s = db_stmt(b->db, "INSERT INTO folder (id, kind, role, paired_by, left_path, left_name,"
		" left_id, left_stable, left_mark, left_cursor, right_path, right_name, right_id, right_stable,"
		" right_mark, right_cursor) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET"
		" kind = excluded.kind, role = excluded.role, paired_by = excluded.paired_by,"
		" left_path = excluded.left_path, left_name = excluded.left_name, left_id = excluded.left_id,"
		" left_stable = excluded.left_stable, left_mark = excluded.left_mark,"
		" left_cursor = excluded.left_cursor, right_path = excluded.right_path,"
		" right_name = excluded.right_name, right_id = excluded.right_id,"
		" right_stable = excluded.right_stable, right_mark = excluded.right_mark,"
		" right_cursor = excluded.right_cursor", err);
	if (s == NULL)
		return err->code;
	if (f->row != 0)
		stmt_int(s, 1, f->row);
	stmt_int(s, 2, f->kind);
	stmt_int(s, 3, f->role);
	stmt_int(s, 4, f->by);
	bind_side(s, 5, &f->side[SIDE_LEFT]);
	bind_side(s, 11, &f->side[SIDE_RIGHT]);
	rc = stmt_run(s, err);
	if (rc == E_OK && f->row == 0)
		f->row = db_last_id(b->db);
	return rc;
}

enum code base_folder_delete(struct base *b, int64_t row, struct err *err)
{
	static const char *const sqls[] = {
		"DELETE FROM record WHERE place IN (SELECT id FROM place WHERE folder = ?)",
		"DELETE FROM item WHERE id IN (SELECT item FROM place WHERE folder = ?)",
		"DELETE FROM place WHERE folder = ?",
		"DELETE FROM solo WHERE folder = ?",
		"DELETE FROM folder WHERE id = ?",
	};
	enum code rc = base_write(b, err);

	for (size_t i = 0; rc == E_OK && i < ARRAY_LEN(sqls); i++) {
		struct stmt *s = db_stmt(b->db, sqls[i], err);

		if (s == NULL)
			return err->code;
		stmt_int(s, 1, row);
		rc = stmt_run(s, err);
	}
	return rc;
}

enum code base_journal_begin(struct base *b, struct err *err)
{
	struct stmt *s = db_stmt(b->db, "SELECT COALESCE(MAX(pass), 0) FROM journal WHERE id ="
				 " (SELECT MAX(id) FROM journal)", err);
	bool row;

	if (s == NULL)
		return err->code;
	enum code rc = stmt_step(s, &row, err);
	if (rc == E_OK && row)
		b->pass = stmt_col_int(s, 0) + 1;
	stmt_reset(s);
	return rc;
}

/* Ids rise, so the newest rows are the ones with the highest; old ones are few, looked at by id. */
static enum code prune(struct base *b, struct err *err)
{
	struct stmt *s = db_stmt(b->db, "DELETE FROM journal WHERE id <= (SELECT MAX(id) FROM journal) - ?"
				 " OR (id <= (SELECT MIN(id) FROM journal) + ? AND at < ?)", err);

	if (s == NULL)
		return err->code;
	stmt_int(s, 1, JOURNAL_ROWS);
	stmt_int(s, 2, JOURNAL_ROWS);
	stmt_int(s, 3, clock_wall_s() - JOURNAL_DAYS * (int64_t)86400);
	return stmt_run(s, err);
}

enum code base_journal_add(struct base *b, const struct base_journal *j, struct err *err)
{
	enum code rc = base_write(b, err);

	if (rc == E_OK && b->journaled++ % PRUNE_EVERY == 0)
		rc = prune(b, err);
	if (rc != E_OK)
		return rc;
	struct stmt *s = db_stmt(b->db, "INSERT INTO journal (pass, at, side, op, why, item, old_folder, old_id,"
				 " new_folder, new_id, detail, before)"
				 " VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", err);
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, b->pass);
	stmt_int(s, 2, clock_wall_s());
	stmt_int(s, 3, j->side);
	stmt_text(s, 4, j->op);
	stmt_text(s, 5, j->why);
	stmt_int(s, 6, j->item);
	stmt_blob(s, 7, j->old_folder);
	stmt_blob(s, 8, j->old_id);
	stmt_blob(s, 9, j->new_folder);
	stmt_blob(s, 10, j->new_id);
	stmt_blob(s, 11, j->detail);
	stmt_blob(s, 12, j->before.n <= JOURNAL_BEFORE ? j->before : SPAN_NONE);
	return stmt_run(s, err);
}
