/* base_private.h - shared by base.c and base_items.c only. */
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
	" i.fp, i.msgid, i.size, i.left_key, i.right_key"
struct base_place;
void base_read_place(struct stmt *s, struct arena *arena, struct base_place *place);

/* Begin a transaction unless one is open. */
enum code base_write(struct base *base, struct err *err) MS_MUST_USE;

#endif
