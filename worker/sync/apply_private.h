/* apply_private.h - shared by apply.c (rounds), apply_ops.c (building), record.c (recording) and records*.c
 * (what records need besides). */
#ifndef MS_APPLY_PRIVATE_H
#define MS_APPLY_PRIVATE_H

#include "pass_private.h"

#include "../../common/fail.h"
#include "idmap.h"

struct rec_made;
struct record_later;

/* Some creates of one direction, with their bodies. */
struct window {
	struct arena *arena;
	size_t n;
	struct plan_op **ops;
	struct ep_fetch *fetch;
	struct base_solo **solos;    /* the intent of each, NULL where none was made */
	struct rec_made **made;      /* records: what became of the body (records.h); NULL for mail */
	struct ep_req req;
};

/* What goes to one side. */
struct stream {
	struct plan_op **creates, **small;
	size_t n_creates, at, n_small, small_at;
	struct window *now, *next;   /* read; being read */
	uint64_t fetched_items, fetched_bytes;
};

/* What goes to one side in one round. */
struct side_writes {
	struct window *window;       /* its creates, NULL without any */
	struct ep_op *ops;
	struct plan_op **plan_ops;   /* the plan's op of each */
	size_t *index;               /* creates: position in the window */
	size_t n;
	struct ep_req req;
	bool asked;                  /* and not collected yet */
};

struct round {
	struct arena *arena;
	struct side_writes batch[SIDES];   /* by the side that is written */
	bool small;                  /* has flag changes, moves or deletions */
	bool written;                /* its writes were asked for */
};

struct apply {
	struct pass *p;
	struct arena *arena;         /* of the round that is being prepared, or recorded */
	struct stream stream[SIDES]; /* by the side that is written */
	struct round round[2];       /* that is written, that is prepared meanwhile */
	unsigned rounds;
	struct idmap known;          /* record.c: identities of the places of these folders */
	int64_t *known_folders;
	size_t n_known;
	struct record_later *later, **later_end;  /* records.c: to be merged or read back after the rounds */
	size_t n_later;
	enum code failure;           /* a refusal that concerns the whole side (quota ...) */
	char failure_text[256];
};

/* apply_ops.c: fill the endpoint's op; false: nothing to write (already decided or impossible). */
bool apply_small_op(struct apply *a, struct plan_op *op, struct ep_op *out);
bool apply_create_op(struct apply *a, struct window *w, size_t i, struct ep_op *out);
/* Archived copies are parked before they are moved, so that an interruption does not copy them back. */
enum code apply_park_intents(struct apply *a, enum side side, const struct side_writes *b, struct err *err) MS_MUST_USE;
bool apply_slice_over(const struct apply *a);
/* Tell how far it is; `later`: what is still to do beside what the streams hold. */
void apply_progress(struct apply *a, size_t later);
/* A refusal that concerns the whole side ends the pass after the records of this round. */
void apply_failed(struct apply *a, enum code code, const char *text);
/* The cursors that brought this op must not advance. */
void apply_dirty(struct apply *a, const struct plan_op *op);

/* record.c */
/* Everything that needs no write: adoptions, anchors, settled flags, held batches. Committed with the first intents,
 * before anything is written. */
enum code record_decisions(struct apply *a, struct err *err) MS_MUST_USE;
enum code record_intents(struct apply *a, struct window *w, struct err *err) MS_MUST_USE;
enum code record_create(struct apply *a, struct window *w, size_t i, const struct ep_op *done,
		struct err *err) MS_MUST_USE;
enum code record_small(struct apply *a, struct plan_op *op, const struct ep_op *done, struct err *err) MS_MUST_USE;
/* Wall time, seconds: when what was refused `attempts` times before is tried again. */
int64_t apply_retry_at(const struct apply *a, int64_t attempts);
/* The folder row that items archived on a side are in, 0 if it is not paired. */
int apply_archive_folder(const struct apply *a, enum side side);

#endif
