/* pass.h - one pass over one pairing: read what changed on both sides, apply it, record it.
 *
 * pass_run() is what a task of kind sync, plan or verify comes to. It opens the pairing's state
 * (state.db in state_dir, one owner: the caller holds the lease), opens both endpoints, works, and
 * closes everything again.
 */
#ifndef MS_PASS_H
#define MS_PASS_H

#include "../../common/conf.h"
#include "../endpoint.h"

/* Those from PASS_QUARANTINE on are questions to the state alone: no side is asked, none logs on. */
enum pass_mode {
	PASS_SYNC, PASS_PLAN, PASS_VERIFY,
	PASS_TEST,         /* how far each side lets us in; `item`: only the endpoint of that name */
	PASS_ADDRESSES,    /* whom the organisation behind the endpoint named `item` has mailboxes for */
	PASS_QUARANTINE,   /* list what was left out; `act`: and try it again at the next pass */
	PASS_RELEASE,      /* let go what is held back; `act`: drop it instead */
	PASS_JOURNAL,      /* what passes did */
	PASS_EXPLAIN,      /* what is known of `item` */
};

struct pass_env {
	const struct conf *conf;             /* item_retry_ms, guard ... */
	const struct conf_pairing *pairing;
	const char *state_dir;               /* pairings/<name>, exists */
	const char *ca_pem[SIDES];           /* contents of each endpoint's CAFile, or NULL */
	enum pass_mode mode;
	uint64_t generation;                 /* of the lease: fences the state database */
	int64_t slice_end_ms;                /* clock_mono_ms; a sync yields after it. INT64_MAX = never */
	bool subjects;                       /* verify, plan: show subjects */
	bool act;                            /* see the modes above */
	uint32_t limit;                      /* journal: newest rows; 0 = all */
	const char *item;                    /* explain: a Message-ID, FOLDER:UID or key:HEX; test: see above */
	void *ctx;
	enum code (*secret)(void *ctx, enum side side, const char *purpose, struct secret **secret_r, struct err *err);
	/* A side logged on (E_OK) or was refused (E_LOGON_FAILED) or failed otherwise. */
	void (*logon)(void *ctx, enum side side, enum code code);
	/* Called after every batch; todo is an estimate. May be NULL. */
	void (*progress)(void *ctx, uint64_t done, uint64_t todo);
	/* all but sync: one piece of the JSON answer (a complete document in the end). */
	void (*part)(void *ctx, struct span json);
};

struct pass_result {
	enum code code;                      /* E_OK, E_HELD, E_YIELDED, or why it failed */
	struct err err;
	bool logged_on[SIDES];
	bool logon_refused[SIDES];
	uint32_t wait_ms;                    /* E_THROTTLED */
	uint64_t created, changed, moved, removed, adopted;   /* writes made, both sides together */
	uint64_t written[SIDES], written_bytes[SIDES];        /* by the side that was written to */
	uint64_t folders_changed;
	uint64_t done, todo;                 /* items that are equal now / still to do */
	uint64_t quarantined, held;          /* items that are left out / held back now */
	bool first_done;                     /* the first complete pass is behind this pairing */
	int verdict;                         /* verify: 0 equal, 1 differs, 2 incomplete; test: 0 good, 1 not */
};

void pass_run(const struct pass_env *env, struct pass_result *result);

#endif
