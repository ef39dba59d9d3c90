/* pass_private.h - the state of one pass, shared by the files that each do one step of it. */
#ifndef MS_PASS_PRIVATE_H
#define MS_PASS_PRIVATE_H

#include "pass.h"
#include "plan.h"

#define PASS_ARENA ((size_t)256 * 1024 * 1024)

struct pass {
	const struct pass_env *env;
	struct pass_result *result;
	struct base *base;
	bool rebuilt;                    /* the state was begun afresh because it was damaged */
	bool first_done;                 /* a complete pass is behind this pairing */
	struct endpoint *ep[SIDES];
	struct arena *arena;             /* lives as long as the pass */
	struct ep_list list[SIDES];
	struct folder_plan folders;
	struct plan plan;
	struct base_solo *solos;
	size_t n_solos;
	int spool_dir;
	struct json_t *refused;          /* folders that were left out (refused.c), or NULL */
	uint64_t done;                   /* items handled so far, for progress */
};

/* folders.c: list both sides, pair and rename until nothing is left to do; saves the rows. What is to be created is
 * decided (plan_folder.make), and made by pass_changes() in the flight of its reads; pass_created() takes that up. */
enum code pass_folders(struct pass *p, struct err *err) MS_MUST_USE;
enum code pass_created(struct pass *p, struct err *err) MS_MUST_USE;
/* Make the folders of FOLDER_CREATE steps, all in one call per side; their rows are committed first.
 * One that the server refuses is told in the log and counted as quarantined. */
enum code pass_create_folders(struct pass *p, const struct folder_step *steps, size_t n, struct err *err) MS_MUST_USE;
/* After the items: remove folders whose other side is gone, where they are empty now. */
enum code pass_remove_folders(struct pass *p, struct err *err) MS_MUST_USE;
/* The folder for deletions on a side (Trash or Archive), created if there is none. */
enum code pass_bin(struct pass *p, enum side side, const struct ep_folder **bin_r, struct err *err) MS_MUST_USE;

/* changes.c: what is new, changed and gone since the cursors -> plan.places, plan.news. */
enum code pass_changes(struct pass *p, struct err *err) MS_MUST_USE;
/* identify.c: describe news where their identity matters, digest where it is not enough, match. */
enum code pass_identify(struct pass *p, struct err *err) MS_MUST_USE;
/* apply.c: make plan.ops true, window by window; records; E_YIELDED at the end of the slice. */
enum code pass_apply(struct pass *p, struct err *err) MS_MUST_USE;
/* Store the cursors of all folders that are not dirty. */
enum code pass_commit_cursors(struct pass *p, struct err *err) MS_MUST_USE;
/* report.c: the plan as JSON through env->part. */
enum code pass_report_plan(struct pass *p, struct err *err) MS_MUST_USE;
/* verify.c: read both sides completely, compare, report through env->part. */
enum code pass_verify(struct pass *p, struct err *err) MS_MUST_USE;
/* trial.c: open, list and read each side, tell how it went through env->part. */
enum code pass_try(struct pass *p, struct err *err) MS_MUST_USE;
/* addresses.c: what the directory of one side's organisation tells, through env->part. */
enum code pass_addresses(struct pass *p, struct err *err) MS_MUST_USE;
/* refused.c: a folder that the server refuses is left out of this pass: said, counted, and kept for
 * operators by the second call, at the end. */
void pass_refused(struct pass *p, enum side side, struct span path, enum code code, const char *text);
enum code pass_refused_save(struct pass *p, struct err *err) MS_MUST_USE;

/* ask.c, explain.c: questions to the state, as JSON through env->part. p->base may be NULL: no pass
 * has made one yet. */
enum code pass_ask(struct pass *p, struct err *err) MS_MUST_USE;

/* Could some kinds of a side not be reached? err (or NULL): why. */
bool pass_missing(const struct pass *p, struct err *err);
/* Ask both sides with one array each (n == 0: not asked), collect both. The first failure wins. */
enum code pass_both(struct pass *p, enum ep_verb verb, struct arena *arena, void *items[SIDES],
		    const size_t n[SIDES], struct err *err) MS_MUST_USE;
/* Void ids may stand again for other items: take them out of the way before anything is recorded. */
enum code pass_displace(struct pass *p, struct plan_place *place, struct err *err) MS_MUST_USE;

#endif
