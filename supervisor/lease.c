/* lease.c - all SQL of the scheduler. */
#include "lease.h"

#include "../common/arena.h"
#include "../common/db.h"
#include "../common/mem.h"

#include <stdio.h>
#include <unistd.h>

#define APP_ID 0x4d535348u      /* "MSSH" */

static const char *const migrations[] = {
	"CREATE TABLE pairing ("
	" name TEXT PRIMARY KEY, mailboxes TEXT NOT NULL,"
	" lease_gen BIGINT NOT NULL, node TEXT NOT NULL, slot INTEGER NOT NULL,"
	" incarnation BIGINT NOT NULL, leased_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL,"
	" due_ms BIGINT NOT NULL, stopped INTEGER NOT NULL,"
	" ran INTEGER NOT NULL, first_done INTEGER NOT NULL,"
	" class TEXT NOT NULL, code BIGINT NOT NULL, reason TEXT NOT NULL,"
	" started_ms BIGINT NOT NULL, ended_ms BIGINT NOT NULL,"
	" updated_ms BIGINT NOT NULL, success_ms BIGINT NOT NULL,"
	" done BIGINT NOT NULL, todo BIGINT NOT NULL, quarantined BIGINT NOT NULL,"
	" held BIGINT NOT NULL, failures BIGINT NOT NULL)",
	"ALTER TABLE pairing ADD COLUMN crashes BIGINT NOT NULL DEFAULT 0;"
	"ALTER TABLE pairing ADD COLUMN crash_level BIGINT NOT NULL DEFAULT 0;"
	"ALTER TABLE pairing ADD COLUMN quarantine_ms BIGINT NOT NULL DEFAULT 0",
};

static const char sql_all[] =
	"SELECT name, mailboxes, lease_gen, slot, incarnation, leased_ms, due_ms, stopped, ran,"
	" first_done, class, code, reason, started_ms, ended_ms, updated_ms, success_ms, done, todo,"
	" quarantined, held, failures, crashes, crash_level, quarantine_ms FROM pairing";

static const char sql_put[] =
	"INSERT INTO pairing (name, mailboxes, lease_gen, slot, incarnation, leased_ms, due_ms, stopped,"
	" ran, first_done, class, code, reason, started_ms, ended_ms, updated_ms, success_ms, done, todo,"
	" quarantined, held, failures, crashes, crash_level, quarantine_ms, node, expires_ms)"
	" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
	" ON CONFLICT (name) DO UPDATE SET mailboxes = excluded.mailboxes, lease_gen = excluded.lease_gen,"
	" slot = excluded.slot, incarnation = excluded.incarnation, leased_ms = excluded.leased_ms,"
	" due_ms = excluded.due_ms, stopped = excluded.stopped, ran = excluded.ran,"
	" first_done = excluded.first_done, class = excluded.class, code = excluded.code,"
	" reason = excluded.reason, started_ms = excluded.started_ms, ended_ms = excluded.ended_ms,"
	" updated_ms = excluded.updated_ms, success_ms = excluded.success_ms, done = excluded.done,"
	" todo = excluded.todo, quarantined = excluded.quarantined, held = excluded.held,"
	" failures = excluded.failures, crashes = excluded.crashes, crash_level = excluded.crash_level,"
	" quarantine_ms = excluded.quarantine_ms, node = excluded.node"
	" WHERE pairing.lease_gen <= excluded.lease_gen";

struct lease_db {
	struct db *db;
	char node[65];
};

enum code lease_open(const char *path, struct lease_db **db_r, struct err *err)
{
	struct lease_db *l = mem_alloc(sizeof(*l));
	enum code rc = db_open(path, APP_ID, migrations, ARRAY_LEN(migrations), &l->db, err);

	if (rc == E_OK)
		rc = db_check(l->db, err);
	if (gethostname(l->node, sizeof(l->node) - 1) != 0)
		l->node[0] = '\0';
	if (rc != E_OK)
		lease_close(&l);
	*db_r = l;
	return rc;
}

void lease_close(struct lease_db **db)
{
	if (*db == NULL)
		return;
	db_close(&(*db)->db);
	mem_free(*db);
	*db = NULL;
}

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from != NULL ? from : "");
}

static void fill(struct stmt *s, struct arena *arena, struct record *r)
{
	int col = 0;

	memset(r, 0, sizeof(*r));
	copy_text(r->name, sizeof(r->name), stmt_col_text(s, col++, arena));
	copy_text(r->mailboxes, sizeof(r->mailboxes), stmt_col_text(s, col++, arena));
	r->generation = (uint64_t)stmt_col_int(s, col++);
	r->slot = (int32_t)stmt_col_int(s, col++);
	r->incarnation = (uint32_t)stmt_col_int(s, col++);
	r->leased_ms = stmt_col_int(s, col++);
	r->due_ms = stmt_col_int(s, col++);
	r->stopped = stmt_col_int(s, col++) != 0;
	r->ran = stmt_col_int(s, col++) != 0;
	r->first_done = stmt_col_int(s, col++) != 0;
	const char *rclass = stmt_col_text(s, col++, arena);
	if (rclass == NULL || !rclass_from_name(rclass, &r->rclass))
		r->rclass = RC_FAILED;
	if (!code_from_number((uint32_t)stmt_col_int(s, col++), &r->code))
		r->code = E_INTERNAL;
	copy_text(r->reason, sizeof(r->reason), stmt_col_text(s, col++, arena));
	r->started_ms = stmt_col_int(s, col++);
	r->ended_ms = stmt_col_int(s, col++);
	r->updated_ms = stmt_col_int(s, col++);
	r->success_ms = stmt_col_int(s, col++);
	r->done = (uint64_t)stmt_col_int(s, col++);
	r->todo = (uint64_t)stmt_col_int(s, col++);
	r->quarantined = (uint64_t)stmt_col_int(s, col++);
	r->held = (uint64_t)stmt_col_int(s, col++);
	r->failures = (uint64_t)stmt_col_int(s, col++);
	r->crashes = (uint32_t)stmt_col_int(s, col++);
	r->crash_level = (uint32_t)stmt_col_int(s, col++);
	r->quarantine_ms = stmt_col_int(s, col++);
}

enum code lease_load(struct lease_db *l, void (*each)(void *ctx, const struct record *record), void *ctx,
		     struct err *err)
{
	struct stmt *s = db_stmt(l->db, sql_all, err);
	struct arena *arena;
	struct record record;
	bool row = false;
	enum code rc;

	if (s == NULL)
		return err->code;
	arena = arena_new((size_t)1 << 20);
	while ((rc = stmt_step(s, &row, err)) == E_OK && row) {
		fill(s, arena, &record);
		each(ctx, &record);
		arena_reset(arena);
	}
	stmt_reset(s);
	arena_free(&arena);
	return rc;
}

enum code lease_begin(struct lease_db *l, struct err *err)
{
	return db_begin(l->db, err);
}

enum code lease_put(struct lease_db *l, const struct record *r, struct err *err)
{
	struct stmt *s = db_stmt(l->db, sql_put, err);
	int i = 1;

	if (s == NULL)
		return err->code;
	stmt_text(s, i++, r->name);
	stmt_text(s, i++, r->mailboxes);
	stmt_int(s, i++, (int64_t)r->generation);
	stmt_int(s, i++, r->slot);
	stmt_int(s, i++, r->incarnation);
	stmt_int(s, i++, r->leased_ms);
	stmt_int(s, i++, r->due_ms);
	stmt_int(s, i++, r->stopped);
	stmt_int(s, i++, r->ran);
	stmt_int(s, i++, r->first_done);
	stmt_text(s, i++, rclass_name(r->rclass));
	stmt_int(s, i++, code_number(r->code));
	stmt_text(s, i++, r->reason);
	stmt_int(s, i++, r->started_ms);
	stmt_int(s, i++, r->ended_ms);
	stmt_int(s, i++, r->updated_ms);
	stmt_int(s, i++, r->success_ms);
	stmt_int(s, i++, (int64_t)r->done);
	stmt_int(s, i++, (int64_t)r->todo);
	stmt_int(s, i++, (int64_t)r->quarantined);
	stmt_int(s, i++, (int64_t)r->held);
	stmt_int(s, i++, (int64_t)r->failures);
	stmt_int(s, i++, r->crashes);
	stmt_int(s, i++, r->crash_level);
	stmt_int(s, i++, r->quarantine_ms);
	stmt_text(s, i++, l->node);
	enum code rc = stmt_run(s, err);
	if (rc == E_OK && db_changes(l->db) != 1)
		rc = err_set(err, E_STATE, "pairing %s: scheduler.db knows a later lease than we do", r->name);
	return rc;
}

enum code lease_commit(struct lease_db *l, struct err *err)
{
	return db_commit(l->db, err);
}

void lease_rollback(struct lease_db *l)
{
	db_rollback(l->db);
}
