/* base_records.c - what each side held last of the places that change in place: the ground on which
 * changes are told from what a server merely cannot hold.
 */
#include "base_private.h"

#define RECORD_COLS \
	"left_version, right_version, left_base, right_base, left_sent, right_sent," \
	" left_seen, right_seen, busy, attempts, next_s, code, text"

enum code base_record_get(struct base *b, int64_t place, struct arena *a, struct base_record *r, struct err *err)
{
	struct stmt *s = db_stmt(b->db, "SELECT " RECORD_COLS " FROM record WHERE place = ?", err);
	bool row;

	*r = (struct base_record){ .code = E_OK };
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, place);
	enum code rc = stmt_step(s, &row, err);
	if (rc == E_OK && row) {
		for (int side = 0; side < SIDES; side++) {
			r->version[side] = stmt_col_blob(s, side, a);
			r->base[side] = stmt_col_blob(s, 2 + side, a);
			r->sent[side] = stmt_col_blob(s, 4 + side, a);
			r->seen[side] = stmt_col_blob(s, 6 + side, a);
		}
		r->busy = (enum base_busy)stmt_col_int(s, 8);
		r->attempts = stmt_col_int(s, 9);
		r->next_s = stmt_col_int(s, 10);
		if (!code_from_number((uint32_t)stmt_col_int(s, 11), &r->code))
			r->code = E_INTERNAL;
		r->text = stmt_col_text(s, 12, a);
	}
	stmt_reset(s);
	return rc;
}

enum code base_record_put(struct base *b, int64_t place, const struct base_record *r, struct err *err)
{
	enum code rc = base_write(b, err);

	if (rc != E_OK)
		return rc;
	struct stmt *s = db_stmt(b->db, "INSERT INTO record (place, " RECORD_COLS ")"
		" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (place) DO UPDATE SET"
		" left_version = excluded.left_version, right_version = excluded.right_version,"
		" left_base = excluded.left_base, right_base = excluded.right_base,"
		" left_sent = excluded.left_sent, right_sent = excluded.right_sent,"
		" left_seen = excluded.left_seen, right_seen = excluded.right_seen,"
		" busy = excluded.busy, attempts = excluded.attempts, next_s = excluded.next_s,"
		" code = excluded.code, text = excluded.text", err);
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, place);
	for (int side = 0; side < SIDES; side++) {
		stmt_blob(s, 2 + side, r->version[side]);
		stmt_blob(s, 4 + side, r->base[side]);
		stmt_blob(s, 6 + side, r->sent[side]);
		stmt_blob(s, 8 + side, r->seen[side]);
	}
	stmt_int(s, 10, r->busy);
	stmt_int(s, 11, r->attempts);
	stmt_int(s, 12, r->next_s);
	stmt_int(s, 13, code_number(r->code));
	stmt_text(s, 14, r->text);
	return stmt_run(s, err);
}

enum code base_records_refused(struct base *b, int64_t now_s, struct arena *a, struct base_place **places_r,
			       size_t *n_r, struct err *err)
{
	struct stmt *s = db_stmt(b->db, "SELECT " PLACE_COLS PLACE_FROM " WHERE r.next_s > 0 AND r.next_s <= ?"
				 " ORDER BY p.id", err);

	*places_r = NULL;
	*n_r = 0;
	if (s == NULL)
		return err->code;
	stmt_int(s, 1, now_s);
	return base_read_places(s, a, places_r, n_r, err);
}

enum code base_records_retry(struct base *b, uint64_t *n, struct err *err)
{
	enum code rc = base_write(b, err);

	if (rc != E_OK)
		return rc;
	struct stmt *s = db_stmt(b->db, "UPDATE record SET next_s = 1 WHERE next_s > 0", err);
	if (s == NULL)
		return err->code;
	rc = stmt_run(s, err);
	if (rc == E_OK)
		*n += (uint64_t)db_changes(b->db);
	return rc;
}

enum code base_records_refused_count(struct base *b, uint64_t *n_r, struct err *err)
{
	struct stmt *s = db_stmt(b->db, "SELECT COUNT(*) FROM record WHERE next_s > 0", err);
	bool row;

	*n_r = 0;
	if (s == NULL)
		return err->code;
	enum code rc = stmt_step(s, &row, err);
	if (rc == E_OK && row)
		*n_r = (uint64_t)stmt_col_int(s, 0);
	stmt_reset(s);
	return rc;
}
