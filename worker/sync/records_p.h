/* records_p.h - one window of records on its way: shared by records.c, records_merge.c, records_write.c. */
#ifndef MS_RECORDS_P_H
#define MS_RECORDS_P_H

#include "records.h"

/* One place on its way through a window. */
struct job {
	const struct plan_op *op;
	const struct base_place *place;
	int back;                    /* >= 0: that side was just written, only read it back */
	struct base_record base;
	struct rec_read now[SIDES];
	struct record *after[SIDES]; /* what is to be written; NULL: nothing */
	struct record_merge merge;
	struct span written[SIDES];  /* the version that our write made, where the server told */
	bool made[SIDES];            /* that side was written already, before an interruption */
	bool failed;
};

/* Writes to one side. */
struct writes {
	struct ep_op *ops;
	struct job **jobs;           /* of each op */
	size_t n;
	bool copies;                 /* they are conflict copies, not the items themselves */
};

/* --- records.c --- */
const struct ep_folder *job_folder(const struct apply *a, const struct job *job, int side);
/* Not now: the cursors stay, and the next pass comes back to it. */
void job_leave(struct apply *a, struct job *job);
/* A write or a content that cannot be carried: it is tried again later, the rest goes on. */
enum code job_refuse(struct apply *a, struct job *job, enum code code, const char *text, struct err *err) MS_MUST_USE;
void job_forget_sent(struct base_record *b);

/* --- records_merge.c: fills merge and after[], from now[] and the state. --- */
enum code job_plan(struct apply *a, struct job *job, struct err *err) MS_MUST_USE;

/* --- records_write.c --- */
/* Prints what is to be written, conflict copies first, and commits what is going to be sent. */
enum code writes_build(struct apply *a, struct job *jobs, size_t n, struct writes copies[SIDES],
		       struct writes w[SIDES], struct err *err) MS_MUST_USE;
/* Without those of jobs that have failed. */
enum code writes_make(struct apply *a, struct writes w[SIDES], struct err *err) MS_MUST_USE;
void writes_free(struct writes w[SIDES]);
enum code writes_journal_conflicts(struct apply *a, const struct job *job, struct err *err) MS_MUST_USE;

#endif
