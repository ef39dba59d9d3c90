/* records.h - events, contacts and tasks within a pass: what mail has no need of.
 *
 * They change in place, so there is a third step after creates and deletions: every place whose content
 * changed is read on both sides, merged by property, written where something is lacking, and read
 * back. What is read back becomes the base of that side (base_record).
 */
#ifndef MS_RECORDS_H
#define MS_RECORDS_H

#include "apply_private.h"

#include "../data/record.h"

#define RECORD_WINDOW 100    /* records that are read, merged and written together */

/* One record to be read from one side. */
struct rec_read {
	const struct ep_folder *folder;  /* in */
	struct span id;                  /* in */
	enum code code;                  /* out, with text; E_ITEM_BAD: it is there but cannot be understood */
	const char *text;
	struct span version;
	struct record *record;           /* in the arena of the call; NULL unless code is E_OK */
};

/* --- records_read.c --- */
/* Read some of each side (n 0: none); what concerns one item is in its code. */
enum code records_read(struct pass *p, struct arena *arena, struct rec_read *r[SIDES], const size_t n[SIDES],
		       struct err *err) MS_MUST_USE;
/* The record in a body that was fetched. */
enum code records_parse(struct arena *arena, struct body *body, struct record **record_r, struct err *err) MS_MUST_USE;
/* Give news of record folders their identity. */
enum code records_identify(struct pass *p, struct plan_new **news[SIDES], const size_t n[SIDES],
			   struct err *err) MS_MUST_USE;
/* Places that are gone on one side: whether what the other holds is an edit that keeps them alive. To be
 * stored anew is none, a change that was refused is one; a free/busy copy follows the full one. */
enum code records_settle(struct pass *p, struct err *err) MS_MUST_USE;

/* --- records_create.c --- */
/* A record on its way to the side that lacks it. */
struct rec_made {
	struct span uid, name;       /* name: for people */
	struct mailkey key;
	struct span from, from_version;  /* canonical, as the source has it */
	struct span sent;            /* canonical, as it is written */
	bool busy;                   /* written as a free/busy copy */
};
/* From the fetched body to the one that is written: f->body is replaced. E_HELD: outside the window
 * of dates, to be looked at again at *next_s_r. */
enum code records_make(struct apply *a, struct window *w, size_t i, struct rec_made **made_r, int64_t *next_s_r,
		       struct err *err) MS_MUST_USE;
/* Print into a body for one side. */
enum code records_print(struct pass *p, struct arena *arena, enum side side, const struct record *record,
			struct body **body_r, struct err *err) MS_MUST_USE;
/* Its place was recorded: the base, and a read-back to come. `done`: the write. */
enum code records_created(struct apply *a, const struct plan_op *op, const struct base_place *place,
			  const struct rec_made *made, const struct ep_op *done, struct err *err) MS_MUST_USE;

/* --- records.c --- */
/* Merge that place after all other writes; only_back >= 0: only read that side back, which got this version
 * (empty: not told). */
void records_later(struct apply *a, const struct plan_op *op, const struct base_place *place, int only_back,
		   struct span written);
/* All PO_MERGE ops and what records_later() collected. E_YIELDED at the end of the slice. */
enum code records_merge_all(struct apply *a, struct err *err) MS_MUST_USE;

#endif
