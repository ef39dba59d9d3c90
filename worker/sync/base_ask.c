/* base_ask.c - the pairing's database as operators ask it: the journal, what is set aside or held
 * back and what a person decides of it, and items by their identity.
 */
#include "base_private.h"

#include "../../common/mem.h"

#include <unistd.h>

bool base_exists(const char *state_dir)
{
	char *path = mem_printf("%s/state.db", state_dir);
	bool there = access(path, F_OK) == 0;

	mem_free(path);
	return there;
}

static void read_journal(struct stmt *s, struct arena *a, struct base_journal *j)
{
	j->pass = stmt_col_int(s, 0);
	j->at_s = stmt_col_int(s, 1);
	j->side = stmt_col_int(s, 2) == 0 ? SIDE_LEFT : SIDE_RIGHT;
	j->op = stmt_col_text(s, 3, a);
	j->why = stmt_col_text(s, 4, a);
	j->item = stmt_col_int(s, 5);
	j->old_folder = stmt_col_blob(s, 6, a);
	j->old_id = stmt_col_blob(s, 7, a);
	j->new_folder = stmt_col_blob(s, 8, a);
	j->new_id = stmt_col_blob(s, 9, a);
	j->detail = stmt_col_blob(s, 10, a);
	j->before = stmt_col_blob(s, 11, a);
}

enum code base_journal_list(struct base *b, int64_t item, uint32_t limit, struct arena *arena,
			    struct base_journal **rows_r, size_t *n_r, struct err *err)
{
	struct stmt *s = db_stmt(b->db, "SELECT pass, at, side, op, why, item, old_folder, old_id, new_folder,"
				 " new_id, detail, before FROM journal"
				 " WHERE id > (SELECT COALESCE(MAX(id), 0) FROM journal) - ?"
				 " AND (? = 0 OR item = ?) ORDER BY id", err);
	size_t cap = 0;
	bool row;
	enum code rc;

	*rows_r = NULL;
	*n_r = 0;
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, limit > 0 ? (int64_t)limit : INT32_MAX);
	stmt_int(s, 2, item);
	stmt_int(s, 3, item);
	while ((rc = stmt_step(s, &row, err)) == E_OK && row) {
		*rows_r = arena_grow(arena, *rows_r, *n_r, sizeof(**rows_r), &cap);
		read_journal(s, arena, &(*rows_r)[(*n_r)++]);
	}
	return rc;
}

enum code base_solo_turn(struct base *b, enum solo_state from, enum solo_state to, const char *text,
			 uint64_t *n_r, struct err *err)
{
	enum code rc = base_write(b, err);

	*n_r = 0;
	if (rc != E_OK)
		return rc;
	struct stmt *s = db_stmt(b->db, "UPDATE solo SET state = ?, text = COALESCE(?, text), next_s = 0"
				 " WHERE state = ?", err);
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, to);
	stmt_text(s, 2, text);
	stmt_int(s, 3, from);
	rc = stmt_run(s, err);
	*n_r = rc == E_OK ? (uint64_t)db_changes(b->db) : 0;
	return rc;
}

enum code base_places_of(struct base *b, int64_t msgid, const struct mailkey *key, struct arena *arena,
			 struct base_place **places_r, size_t *n_r, struct err *err)
{
	struct stmt *s = msgid != 0 ?
		db_stmt(b->db, "SELECT " PLACE_COLS PLACE_FROM " WHERE i.msgid = ? ORDER BY p.id", err) :
		db_stmt(b->db, "SELECT " PLACE_COLS PLACE_FROM " WHERE i.fp = ? ORDER BY p.id", err);

	*places_r = NULL;
	*n_r = 0;
	if (s == NULL)
		return err->code;
	if (msgid != 0)
		stmt_int(s, 1, msgid);
	else
		stmt_blob(s, 1, span_bytes(key->fp, MAILKEY_SIZE));
	return base_read_places(s, arena, places_r, n_r, err);
}
