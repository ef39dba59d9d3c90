/* base_private.h - shared by base.c and base_items.c only. */
#ifndef MS_BASE_PRIVATE_H
#define MS_BASE_PRIVATE_H

#include "base.h"

#include "../../common/db.h"

struct base {
	struct db *db;
	uint64_t generation;
	int64_t pass;
	bool pruned;
};

/* Begin a transaction unless one is open. */
enum code base_write(struct base *base, struct err *err) MS_MUST_USE;

#endif
