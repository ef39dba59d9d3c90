/* batch.h - what the supervisor told this worker at birth: who it is, and its pairings. */
#ifndef MS_BATCH_H
#define MS_BATCH_H

#include "../common/arena.h"
#include "../common/err.h"
#include "../common/span.h"

#define BATCH_PAIRINGS_MAX 64

struct batch_pairing {
	const char *name;
	const char *state_dir;
	const char *conf;             /* for conf_pairing_decode() */
};

struct batch {
	struct arena *arena;
	const char *bus, *id;
	uint32_t slot, incarnation;
	struct batch_pairing pairings[BATCH_PAIRINGS_MAX];
	size_t n;
	const char *writable[BATCH_PAIRINGS_MAX * 3];  /* state directories and local mailboxes */
	size_t n_writable;
	bool records, http, directory;           /* libraries that some pairing needs: loaded before the jail closes */
};

/* A PIPE_LOG's payload: from now on that file, level and trace. */
void batch_take_log(struct span payload);
/* Read everything up to GO; waits for its beginning as long as the supervisor lives. Directories of
 * local mailboxes that no state knows yet are made, because nothing beside them can be made once the
 * worker is jailed. */
enum code batch_read(struct batch *batch, struct err *err) MS_MUST_USE;
const struct batch_pairing *batch_find(const struct batch *batch, struct span name);  /* NULL: none */

#endif
