/* ews_step.h - private to ews_record_apply.c, ews_said.c and ews_there.c: one change of a record under way. */
#ifndef MS_EWS_STEP_H
#define MS_EWS_STEP_H

#include "ews_record.h"

struct ews_step {
	struct ews *e;
	struct arena *arena;
	struct ep_op *op;
	struct record *wanted;
	struct span rest, pending, change_key;
	struct ews_occur *occurs;
	size_t n_occurs;
	bool rewrite, changed;
	struct buf updates;
	bool photo_new;                  /* its picture is to be made */
	struct span *photos;             /* and these are to be removed */
	size_t n_photos;
	struct ews_members members;      /* of a group: who is known */
	enum code part_code;             /* of what is written in requests of its own; E_OK */
	const char *part_text;
};

void ews_step_done(struct ews_step *s, enum code rc, const struct err *err);
/* The op's body as a record, and what of it is to be made; what of it has no field. */
enum code ews_step_parse(struct ews_step *s, struct err *err) MS_MUST_USE;
enum code ews_step_rest(struct ews_step *s, struct err *err) MS_MUST_USE;
/* Finds out where the members of groups are; then what of the groups has no field. */
enum code ews_groups_resolve(struct ews_step *steps, size_t n, struct err *err) MS_MUST_USE;
/* The members that the fields of a group name are those that it was made of. */
void ews_group_said(const struct ews_step *s, struct ews_rec *said);
/* Which pictures have to be made and removed. */
void ews_photo_compare(struct ews_step *s, const struct ews_rec *now);
/* Does it for all that are E_OK; what fails is in part_code. */
enum code ews_photos_write(struct ews *e, struct arena *arena, enum ep_op_kind kind, struct ews_step *steps, size_t n,
			   struct err *err) MS_MUST_USE;
/* Creates of a UID that the folder has already become E_ITEM_UNCERTAIN. */
enum code ews_steps_look_up(struct ews *e, struct arena *arena, struct ews_step *steps, size_t n,
			    struct err *err) MS_MUST_USE;

#endif
