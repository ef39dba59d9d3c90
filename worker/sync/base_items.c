/* base_items.c - places (items that both sides hold) and solos (items on one side only). */
#include "base_private.h"

#include "../../common/clock.h"

const char *solo_state_name(enum solo_state state)
{
	static const char *const names[SOLO_STATES] = {
		[SOLO_INTENT] = "intent", [SOLO_QUARANTINED] = "quarantined", [SOLO_PARKED] = "parked",
		[SOLO_HELD_DELETE] = "held-deletion", [SOLO_HELD_CREATE] = "held-creation",
		[SOLO_LET_DELETE] = "released-deletion", [SOLO_LET_CREATE] = "released-creation",
	};

	assert((unsigned)state < SOLO_STATES);
	return names[state];
}

static void read_fp(struct stmt *s, int col, struct arena *a, uint8_t fp[MAILKEY_SIZE])
{
	struct span v = stmt_col_blob(s, col, a);

	memset(fp, 0, MAILKEY_SIZE);
	if (v.n == MAILKEY_SIZE)
		memcpy(fp, v.p, MAILKEY_SIZE);
}

/* The column says whether there is a Message-ID, and since the second version which: 1 = not known. */
static void read_msgid(struct stmt *s, int col, struct mailkey *key)
{
	key->msgid = stmt_col_int(s, col);
	key->has_msgid = key->msgid != 0;
}

static int64_t msgid_column(const struct mailkey *key)
{
	return !key->has_msgid ? 0 : key->msgid != 0 ? key->msgid : 1;
}

void base_read_place(struct stmt *s, struct arena *a, struct base_place *p)
{
	p->row = stmt_col_int(s, 0);
	p->item = stmt_col_int(s, 1);
	p->folder = stmt_col_int(s, 2);
	p->id[SIDE_LEFT] = stmt_col_blob(s, 3, a);
	p->id[SIDE_RIGHT] = stmt_col_blob(s, 4, a);
	p->flags.flags = (uint32_t)stmt_col_int(s, 5);
	p->flags.keywords = stmt_col_text(s, 6, a);
	read_fp(s, 7, a, p->key.fp);
	read_msgid(s, 8, &p->key);
	p->size = (uint64_t)stmt_col_int(s, 9);
	p->stable_key[SIDE_LEFT] = stmt_col_blob(s, 10, a);
	p->stable_key[SIDE_RIGHT] = stmt_col_blob(s, 11, a);
	p->version[SIDE_LEFT] = stmt_col_blob(s, 12, a);
	p->version[SIDE_RIGHT] = stmt_col_blob(s, 13, a);
}

enum code base_place_find(struct base *b, int64_t folder, enum side side, struct span id,
			  struct arena *arena, struct base_place **place_r, struct err *err)
{
	static const char *const sql[SIDES] = {
		"SELECT " PLACE_COLS PLACE_FROM " WHERE p.folder = ? AND p.left_id = ?",
		"SELECT " PLACE_COLS PLACE_FROM " WHERE p.folder = ? AND p.right_id = ?",
	};
	struct stmt *s = db_stmt(b->db, sql[side], err);
	bool row;

	*place_r = NULL;
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, folder);
	stmt_blob(s, 2, id);
	enum code rc = stmt_step(s, &row, err);
	if (rc == E_OK && row) {
		*place_r = arena_alloc(arena, sizeof(**place_r));
		base_read_place(s, arena, *place_r);
	}
	stmt_reset(s);
	return rc;
}

enum code base_read_places(struct stmt *s, struct arena *arena, struct base_place **places_r, size_t *n_r,
			   struct err *err)
{
	size_t cap = 0;
	bool row;
	enum code rc;

	while ((rc = stmt_step(s, &row, err)) == E_OK && row) {
		*places_r = arena_grow(arena, *places_r, *n_r, sizeof(**places_r), &cap);
		base_read_place(s, arena, &(*places_r)[(*n_r)++]);
	}
	return rc;
}

enum code base_places(struct base *b, int64_t folder, enum side side, struct arena *arena,
		      struct base_place **places_r, size_t *n_r, struct err *err)
{
	static const char *const sql[SIDES] = {
		"SELECT " PLACE_COLS PLACE_FROM
		" WHERE p.folder = ? ORDER BY p.left_id",
		"SELECT " PLACE_COLS PLACE_FROM
		" WHERE p.folder = ? ORDER BY p.right_id",
	};
	struct stmt *s = db_stmt(b->db, sql[side], err);

	*places_r = NULL;
	*n_r = 0;
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, folder);
	return base_read_places(s, arena, places_r, n_r, err);
}

static enum code insert_item(struct base *b, struct base_place *p, struct err *err)
{
	struct stmt *s = db_stmt(b->db, "INSERT INTO item (kind, fp, msgid, size, left_key, right_key)"
				 " VALUES (?,?,?,?,?,?)", err);

	if (s == NULL)
		return err->code;
	stmt_int(s, 1, p->kind);
	stmt_blob(s, 2, span_bytes(p->key.fp, MAILKEY_SIZE));
	stmt_int(s, 3, msgid_column(&p->key));
	stmt_int(s, 4, (int64_t)p->size);
	stmt_blob(s, 5, p->stable_key[SIDE_LEFT]);
	stmt_blob(s, 6, p->stable_key[SIDE_RIGHT]);
	enum code rc = stmt_run(s, err);
	if (rc == E_OK)
		p->item = db_last_id(b->db);
	return rc;
}

/* Columns left_made, right_made: the lease that put it there; negative: that learned its id there. 0: the stored
 * cursor of that side covers it. */
static int64_t made_column(const struct base *b, const struct base_place *p, enum side side)
{
	return p->made[side] ? (int64_t)b->generation : p->learned[side] ? -(int64_t)b->generation : 0;
}

enum code base_place_insert(struct base *b, struct base_place *p, struct err *err)
{
	enum code rc = base_write(b, err);

	assert(p->id[SIDE_LEFT].n > 0 && p->id[SIDE_RIGHT].n > 0);
	if (rc == E_OK)
		rc = insert_item(b, p, err);
	if (rc != E_OK)
		return rc;
	struct stmt *s = db_stmt(b->db, "INSERT INTO place (item, folder, left_id, right_id, flags, keywords,"
				 " left_made, right_made) VALUES (?,?,?,?,?,?,?,?)", err);
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, p->item);
	stmt_int(s, 2, p->folder);
	stmt_blob(s, 3, p->id[SIDE_LEFT]);
	stmt_blob(s, 4, p->id[SIDE_RIGHT]);
	stmt_int(s, 5, p->flags.flags);
	stmt_text(s, 6, p->flags.keywords);
	stmt_int(s, 7, made_column(b, p, SIDE_LEFT));
	stmt_int(s, 8, made_column(b, p, SIDE_RIGHT));
	rc = stmt_run(s, err);
	if (rc == E_OK)
		p->row = db_last_id(b->db);
	return rc;
}

enum code base_place_update(struct base *b, const struct base_place *p, struct err *err)
{
	enum code rc = base_write(b, err);

	if (rc != E_OK)
		return rc;
	struct stmt *s = db_stmt(b->db, "UPDATE place SET folder = ?, left_id = ?, right_id = ?, flags = ?,"
				 " keywords = ?, left_made = IFNULL(NULLIF(?, 0), left_made),"
				 " right_made = IFNULL(NULLIF(?, 0), right_made) WHERE id = ?", err);
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, p->folder);
	stmt_blob(s, 2, p->id[SIDE_LEFT]);
	stmt_blob(s, 3, p->id[SIDE_RIGHT]);
	stmt_int(s, 4, p->flags.flags);
	stmt_text(s, 5, p->flags.keywords);
	stmt_int(s, 6, made_column(b, p, SIDE_LEFT));
	stmt_int(s, 7, made_column(b, p, SIDE_RIGHT));
	stmt_int(s, 8, p->row);
	return stmt_run(s, err);
}

enum code base_made(struct base *b, int64_t folder, enum side side, struct arena *arena,
		    struct base_place **places_r, size_t *n_r, struct err *err)
{
	static const char *const sql[SIDES] = {
		"SELECT " PLACE_COLS PLACE_FROM " WHERE p.folder = ? AND p.left_made <> 0 AND ABS(p.left_made) < ?",
		"SELECT " PLACE_COLS PLACE_FROM " WHERE p.folder = ? AND p.right_made <> 0 AND ABS(p.right_made) < ?",
	};
	struct stmt *s = db_stmt(b->db, sql[side], err);

	*places_r = NULL;
	*n_r = 0;
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, folder);
	stmt_int(s, 2, (int64_t)b->generation);
	return base_read_places(s, arena, places_r, n_r, err);
}

enum code base_made_folders(struct base *b, enum side side, struct arena *arena, int64_t **folders_r, size_t *n_r,
			    struct err *err)
{
	static const char *const sql[SIDES] = {
		"SELECT DISTINCT folder FROM place WHERE left_made <> 0 AND ABS(left_made) < ?",
		"SELECT DISTINCT folder FROM place WHERE right_made <> 0 AND ABS(right_made) < ?",
	};
	struct stmt *s = db_stmt(b->db, sql[side], err);
	size_t cap = 0;
	bool row;
	enum code rc;

	*folders_r = NULL;
	*n_r = 0;
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, (int64_t)b->generation);
	while ((rc = stmt_step(s, &row, err)) == E_OK && row) {
		*folders_r = arena_grow(arena, *folders_r, *n_r, sizeof(**folders_r), &cap);
		(*folders_r)[(*n_r)++] = stmt_col_int(s, 0);
	}
	return rc;
}

enum code base_made_seen(struct base *b, int64_t folder, enum side side, struct err *err)
{
	static const char *const sql[SIDES] = {
		"UPDATE place SET left_made = 0 WHERE folder = ? AND left_made <> 0 AND left_made < ?",
		"UPDATE place SET right_made = 0 WHERE folder = ? AND right_made <> 0 AND right_made < ?",
	};
	enum code rc = base_write(b, err);

	if (rc != E_OK)
		return rc;
	struct stmt *s = db_stmt(b->db, sql[side], err);
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, folder);
	stmt_int(s, 2, (int64_t)b->generation);
	return stmt_run(s, err);
}

enum code base_place_delete(struct base *b, const struct base_place *p, struct err *err)
{
	static const char *const sql[] = {
		"DELETE FROM record WHERE place = ?",
		"DELETE FROM place WHERE id = ?",
		"DELETE FROM item WHERE id = ?",
	};
	const int64_t ids[] = { p->row, p->row, p->item };
	enum code rc = base_write(b, err);

	for (size_t i = 0; rc == E_OK && i < ARRAY_LEN(sql); i++) {
		struct stmt *s = db_stmt(b->db, sql[i], err);

		if (s == NULL)
			return err->code;
		stmt_int(s, 1, ids[i]);
		rc = stmt_run(s, err);
	}
	return rc;
}

static enum code count(struct stmt *s, int64_t folder, uint64_t *n_r, struct err *err)
{
	bool row;

	*n_r = 0;
	if (s == NULL)
		return err->code;
	if (folder != 0)
		stmt_int(s, 1, folder);
	enum code rc = stmt_step(s, &row, err);
	if (rc == E_OK && row)
		*n_r = (uint64_t)stmt_col_int(s, 0);
	stmt_reset(s);
	return rc;
}

enum code base_place_count(struct base *b, int64_t folder, uint64_t *n_r, struct err *err)
{
	return count(folder == 0 ? db_stmt(b->db, "SELECT COUNT(*) FROM place", err)
				 : db_stmt(b->db, "SELECT COUNT(*) FROM place WHERE folder = ?", err),
		     folder, n_r, err);
}

enum code base_solo_count(struct base *b, int64_t folder, uint64_t *n_r, struct err *err)
{
	return count(db_stmt(b->db, "SELECT COUNT(*) FROM solo WHERE folder = ?", err), folder, n_r, err);
}

enum code base_solos(struct base *b, struct arena *arena, struct base_solo **solos_r, size_t *n_r,
		     struct err *err)
{
	struct stmt *s = db_stmt(b->db, "SELECT id, side, folder, item_id, state, fp, msgid, size, flags,"
				 " keywords, attempts, next_s, code, text, since, name FROM solo ORDER BY id", err);
	size_t cap = 0;
	bool row;
	enum code rc;

	*solos_r = NULL;
	*n_r = 0;
	if (s == NULL)
		return err->code;
	while ((rc = stmt_step(s, &row, err)) == E_OK && row) {
		*solos_r = arena_grow(arena, *solos_r, *n_r, sizeof(**solos_r), &cap);
		struct base_solo *o = &(*solos_r)[(*n_r)++];

		o->row = stmt_col_int(s, 0);
		o->side = stmt_col_int(s, 1) == 0 ? SIDE_LEFT : SIDE_RIGHT;
		o->folder = stmt_col_int(s, 2);
		o->id = stmt_col_blob(s, 3, arena);
		o->state = (enum solo_state)stmt_col_int(s, 4);
		o->has_key = !stmt_col_null(s, 5);
		read_fp(s, 5, arena, o->key.fp);
		read_msgid(s, 6, &o->key);
		o->size = (uint64_t)stmt_col_int(s, 7);
		o->flags.flags = (uint32_t)stmt_col_int(s, 8);
		o->flags.keywords = stmt_col_text(s, 9, arena);
		o->attempts = stmt_col_int(s, 10);
		o->next_s = stmt_col_int(s, 11);
		if (!code_from_number((uint32_t)stmt_col_int(s, 12), &o->code))
			o->code = E_INTERNAL;
		o->text = stmt_col_text(s, 13, arena);
		o->since_s = stmt_col_int(s, 14);
		o->name = stmt_col_blob(s, 15, arena);
	}
	return rc;
}

enum code base_solo_save(struct base *b, struct base_solo *o, struct err *err)
{
	enum code rc = base_write(b, err);

	if (rc != E_OK)
		return rc;
	struct stmt *s = db_stmt(b->db, "INSERT INTO solo (id, side, folder, item_id, state, fp, msgid, size,"
		" flags, keywords, attempts, next_s, code, text, since, name)"
		" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
		" ON CONFLICT (id) DO UPDATE SET folder = excluded.folder, item_id = excluded.item_id,"
		" state = excluded.state, fp = excluded.fp, msgid = excluded.msgid, size = excluded.size,"
		" flags = excluded.flags, keywords = excluded.keywords, attempts = excluded.attempts,"
		" next_s = excluded.next_s, code = excluded.code, text = excluded.text, name = excluded.name", err);
	if (s == NULL)
		return err->code;
	if (o->row != 0)
		stmt_int(s, 1, o->row);
	stmt_int(s, 2, o->side);
	stmt_int(s, 3, o->folder);
	stmt_blob(s, 4, o->id);
	stmt_int(s, 5, o->state);
	stmt_blob(s, 6, o->has_key ? span_bytes(o->key.fp, MAILKEY_SIZE) : SPAN_NONE);
	stmt_int(s, 7, msgid_column(&o->key));
	stmt_int(s, 8, (int64_t)o->size);
	stmt_int(s, 9, o->flags.flags);
	stmt_text(s, 10, o->flags.keywords);
	stmt_int(s, 11, o->attempts);
	stmt_int(s, 12, o->next_s);
	stmt_int(s, 13, code_number(o->code));
	stmt_text(s, 14, o->text);
	stmt_int(s, 15, clock_wall_s());
	stmt_blob(s, 16, o->name);
	rc = stmt_run(s, err);
	if (rc == E_OK && o->row == 0)
		o->row = db_last_id(b->db);
	return rc;
}

enum code base_solo_delete(struct base *b, int64_t row, struct err *err)
{
	enum code rc = base_write(b, err);

	if (rc != E_OK)
		return rc;
	struct stmt *s = db_stmt(b->db, "DELETE FROM solo WHERE id = ?", err);
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, row);
	return stmt_run(s, err);
}

enum code base_solo_counts(struct base *b, uint64_t n_r[SOLO_STATES], struct err *err)
{
	struct stmt *s = db_stmt(b->db, "SELECT state, COUNT(*) FROM solo GROUP BY state", err);
	bool row;
	enum code rc;

	memset(n_r, 0, SOLO_STATES * sizeof(*n_r));
	if (s == NULL)
		return err->code;
	while ((rc = stmt_step(s, &row, err)) == E_OK && row) {
		int64_t state = stmt_col_int(s, 0);

		if (state >= 0 && state < SOLO_STATES)
			n_r[state] = (uint64_t)stmt_col_int(s, 1);
	}
	return rc;
}
