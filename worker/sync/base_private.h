/* base_private.h - shared by the base*.c files only. */
#ifndef MS_BASE_PRIVATE_H
#define MS_BASE_PRIVATE_H

#include "base.h"

#include "../../common/db.h"

struct base {
	struct db *db;
	uint64_t generation;
	int64_t pass;
	unsigned journaled;          /* rows added since the last pruning; 0 = not pruned yet */
};

/* base_items.c: the columns of a place joined with its item, and a row of them. */
#define PLACE_COLS \
	"p.id, p.item, p.folder, p.left_id, p.right_id, p.flags, p.keywords," \
	" i.fp, i.msgid, i.size, i.left_key, i.right_key, r.left_version, r.right_version"
#define PLACE_FROM \
	" FROM place p JOIN item i ON i.id = p.item LEFT JOIN record r ON r.place = p.id"
void base_read_place(struct stmt *s, struct arena *arena, struct base_place *place);
/* All rows of a bound statement, appended to an empty list. */
enum code base_read_places(struct stmt *s, struct arena *arena, struct base_place **places_r, size_t *n_r,
			   struct err *err) MS_MUST_USE;

/* Begin a transaction unless one is open. */
enum code base_write(struct base *base, struct err *err) MS_MUST_USE;

#endif
