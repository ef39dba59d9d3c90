/* steps_case.c - see steps_case.h. Side 0 is the left one; its mail is called m0.. in INBOX, a0.. in A. */
#include "steps_case.h"

#include <stdio.h>

static void some(struct scene *s, int side, const char *path, const char *prefix, int n)
{
	for (int i = 0; i < n; i++) {
		char id[32];

		snprintf(id, sizeof(id), "%s%d", prefix, i);
		user_add(&s->user[side], path, id);
	}
}

static void add(struct scene *s, int side, const char *path, const char *id)
{
	user_add(&s->user[side], path, id);
}

static void make(struct scene *s, int side, const char *path)
{
	user_make(&s->user[side], path, EP_ROLE_NONE);
}

static void flags(struct scene *s, int side, const char *path, const char *id, uint32_t value, const char *keyword)
{
	user_flags(&s->user[side], path, id, value, keyword);
}

static void gone(struct scene *s, int side, const char *path, const char *id)
{
	user_remove(&s->user[side], path, id);
}

static void move(struct scene *s, int side, const char *path, const char *id, const char *to)
{
	user_move(&s->user[side], path, id, to);
}

/* A server without deltas, stable folder ids and new ids; a Maildir is what it is. */
static void poor(struct scene *s, int side)
{
	struct mem_store *m = s->user[side].mem;

	if (m == NULL)
		return;
	m->tells_ids = m->stable_ids = false;
	m->deltas = side == 0;
}

/* --- what was there --- */

static void b_none(struct scene *s)
{
	(void)s;
}

static void b_mail(struct scene *s)
{
	some(s, 0, "INBOX", "m", 6);
	make(s, 0, "A");
	some(s, 0, "A", "a", 3);
}

static void b_both(struct scene *s)
{
	some(s, 0, "INBOX", "m", 6);
	some(s, 1, "INBOX", "m", 6);
}

static void b_overlap(struct scene *s)
{
	b_mail(s);
	some(s, 1, "INBOX", "m", 3);
	some(s, 1, "INBOX", "r", 2);
	make(s, 1, "A");
	add(s, 1, "A", "a1");
	make(s, 1, "C");
	add(s, 1, "C", "c");
}

static void b_twins(struct scene *s)
{
	b_mail(s);
	some(s, 0, "INBOX", "m", 2);
	user_copy(&s->user[0], "INBOX", "m4", "A");
}

static void b_roles(struct scene *s)
{
	b_mail(s);
	user_make(&s->user[0], "Sent", EP_ROLE_SENT);
	user_make(&s->user[1], "Gesendet", EP_ROLE_SENT);
	add(s, 0, "Sent", "s");
}

static void b_deep(struct scene *s)
{
	b_mail(s);
	make(s, 0, "A/B");
	make(s, 0, "A/B/C");
	add(s, 0, "A/B", "b");
	add(s, 0, "A/B/C", "c");
}

static void b_poor(struct scene *s)
{
	poor(s, 1);
	b_mail(s);
}

static void b_poor_left(struct scene *s)
{
	poor(s, 0);
	b_mail(s);
}

/* --- what people did --- */

static void e_none(struct scene *s)
{
	(void)s;
}

static void e_new_left(struct scene *s)
{
	some(s, 0, "INBOX", "n", 4);
}

static void e_new_right(struct scene *s)
{
	some(s, 1, "A", "n", 4);
}

static void e_new_both(struct scene *s)
{
	e_new_left(s);
	some(s, 1, "A", "o", 4);
	add(s, 0, "INBOX", "same");
	add(s, 1, "INBOX", "same");
}

static void e_new_twins(struct scene *s)
{
	some(s, 0, "INBOX", "n", 2);
	some(s, 0, "INBOX", "n", 2);
	add(s, 1, "INBOX", "n0");
}

static void e_flags_left(struct scene *s)
{
	flags(s, 0, "INBOX", "m1", EP_SEEN, "blue");
	flags(s, 0, "A", "a1", EP_FLAGGED, NULL);
}

static void e_flags_right(struct scene *s)
{
	flags(s, 1, "INBOX", "m1", EP_ANSWERED, NULL);
}

static void e_flags_both(struct scene *s)
{
	e_flags_left(s);
	e_flags_right(s);
	flags(s, 1, "INBOX", "m2", 0, "red");
}

static void e_flags_off(struct scene *s)
{
	e_flags_both(s);
	pc_run(&s->c, PASS_SYNC);
	flags(s, 0, "INBOX", "m1", 0, NULL);
	flags(s, 1, "INBOX", "m2", EP_DRAFT, "green");
}

static void e_delete_left(struct scene *s)
{
	gone(s, 0, "INBOX", "m2");
	gone(s, 0, "A", "a0");
}

static void e_delete_right(struct scene *s)
{
	gone(s, 1, "INBOX", "m2");
}

static void e_delete_both(struct scene *s)
{
	e_delete_left(s);
	gone(s, 1, "INBOX", "m2");
	gone(s, 1, "INBOX", "m3");
}

static void e_replaced(struct scene *s)
{
	gone(s, 0, "INBOX", "m2");
	add(s, 0, "INBOX", "m2");
}

static void e_move_left(struct scene *s)
{
	move(s, 0, "INBOX", "m1", "A");
}

static void e_move_right(struct scene *s)
{
	move(s, 1, "A", "a1", "INBOX");
}

static void e_move_both(struct scene *s)
{
	move(s, 0, "INBOX", "m1", "A");
	move(s, 1, "INBOX", "m1", "A");
}

static void e_move_apart(struct scene *s)
{
	make(s, 0, "B");
	pc_run(&s->c, PASS_SYNC);
	move(s, 0, "INBOX", "m1", "A");
	move(s, 1, "INBOX", "m1", "B");
}

static void e_move_flags(struct scene *s)
{
	flags(s, 1, "INBOX", "m1", EP_SEEN, NULL);
	e_move_left(s);
	flags(s, 0, "A", "m1", EP_FLAGGED, NULL);
}

static void e_move_to_new(struct scene *s)
{
	make(s, 0, "N");
	move(s, 0, "INBOX", "m1", "N");
	move(s, 0, "A", "a1", "N");
}

static void e_copy(struct scene *s)
{
	user_copy(&s->user[0], "INBOX", "m1", "A");
	user_copy(&s->user[1], "A", "a1", "INBOX");
}

static void e_change_beats(struct scene *s)
{
	gone(s, 0, "INBOX", "m0");
	flags(s, 1, "INBOX", "m0", EP_FLAGGED, NULL);
}

static void e_change_beats_right(struct scene *s)
{
	gone(s, 1, "INBOX", "m0");
	flags(s, 0, "INBOX", "m0", EP_FLAGGED, NULL);
}

static void e_folder_new(struct scene *s)
{
	make(s, 0, "N");
	make(s, 0, "N/M");
	some(s, 0, "N/M", "x", 2);
}

static void e_folder_new_right(struct scene *s)
{
	make(s, 1, "N");
	some(s, 1, "N", "x", 2);
}

static void e_folder_new_both(struct scene *s)
{
	make(s, 0, "N");
	make(s, 1, "N");
	some(s, 0, "N", "x", 2);
	some(s, 1, "N", "y", 2);
}

static void e_folder_rename(struct scene *s)
{
	user_rename(&s->user[0], "A", "Z");
	add(s, 0, "Z", "z");
}

static void e_folder_rename_right(struct scene *s)
{
	user_rename(&s->user[1], "A", "Z");
}

static void e_folder_rename_both(struct scene *s)
{
	user_rename(&s->user[0], "A", "Y");
	user_rename(&s->user[1], "A", "Z");
}

static void e_folder_drop(struct scene *s)
{
	user_drop(&s->user[0], "A");
}

static void e_folder_drop_right(struct scene *s)
{
	user_drop(&s->user[1], "A");
}

static void e_folder_drop_late(struct scene *s)
{
	user_drop(&s->user[0], "A");
	add(s, 1, "A", "late");
}

static void e_folder_drop_new_child(struct scene *s)
{
	user_drop(&s->user[0], "A");
	make(s, 1, "A/N");
	add(s, 1, "A/N", "n");
}

static void e_old_name_reused(struct scene *s)
{
	user_rename(&s->user[0], "A", "Z");
	make(s, 0, "A");
	add(s, 0, "A", "n");
	user_drop(&s->user[1], "A");
}

static void e_old_name_reused_revived(struct scene *s)
{
	e_old_name_reused(s);
	flags(s, 0, "Z", "a1", EP_FLAGGED, NULL);
}

static void e_folder_drop_deep(struct scene *s)
{
	user_drop(&s->user[0], "A/B/C");
	user_drop(&s->user[0], "A/B");
}

static void e_folder_recreate(struct scene *s)
{
	user_drop(&s->user[0], "A");
	make(s, 0, "A");
	some(s, 0, "A", "a", 3);
	add(s, 0, "A", "more");
}

static void e_swap(struct scene *s)
{
	make(s, 0, "B");
	add(s, 0, "B", "b");
	pc_run(&s->c, PASS_SYNC);
	user_rename(&s->user[0], "A", "tmp");
	user_rename(&s->user[0], "B", "A");
	user_rename(&s->user[0], "tmp", "B");
}

static void e_new_ids(struct scene *s)
{
	user_renumber(&s->user[1], "INBOX");
	add(s, 0, "INBOX", "n");
}

static void e_new_ids_left(struct scene *s)
{
	user_renumber(&s->user[0], "INBOX");
	flags(s, 1, "INBOX", "m1", EP_SEEN, NULL);
}

static void e_poison(struct scene *s)
{
	if (s->user[1].mem != NULL)
		s->user[1].mem->poison = "poison";
	user_add_body(&s->user[0], "INBOX", "p", "poison");
	e_new_left(s);
}

static void e_big(struct scene *s)
{
	some(s, 0, "INBOX", "w", 260);
}

static void e_everything(struct scene *s)
{
	e_new_both(s);
	e_flags_both(s);
	e_move_right(s);
	gone(s, 0, "INBOX", "m4");
	e_folder_new(s);
}

static void e_state_lost(struct scene *s)
{
	pc_forget_state(&s->c);
}

static void e_state_lost_more(struct scene *s)
{
	e_new_both(s);
	pc_forget_state(&s->c);
}

static void e_collision(struct scene *s)
{
	make(s, 0, "Gesendet");
	some(s, 0, "Gesendet", "g", 2);
}

const struct scenario scenarios[] = {
	{ "first copy left", b_mail, NULL, DELETIONS_TRASH, 0 },
	{ "first copy adopts", b_both, NULL, DELETIONS_TRASH, 0 },
	{ "first copy adopts some", b_overlap, NULL, DELETIONS_TRASH, 0 },
	{ "first copy of twins", b_twins, NULL, DELETIONS_TRASH, 0 },
	{ "first copy, roles", b_roles, NULL, DELETIONS_TRASH, UNEVEN_SIDES },
	{ "first copy, poor right", b_poor, NULL, DELETIONS_TRASH, 0 },
	{ "first copy, poor left", b_poor_left, NULL, DELETIONS_TRASH, 0 },
	{ "first copy of nothing", b_none, NULL, DELETIONS_TRASH, 0 },
	{ "quiet", b_mail, e_none, DELETIONS_TRASH, 0 },
	{ "new left", b_mail, e_new_left, DELETIONS_TRASH, 0 },
	{ "new right", b_mail, e_new_right, DELETIONS_TRASH, 0 },
	{ "new both", b_mail, e_new_both, DELETIONS_TRASH, 0 },
	{ "new both, poor", b_poor, e_new_both, DELETIONS_TRASH, 0 },
	{ "new twins", b_mail, e_new_twins, DELETIONS_TRASH, 0 },
	{ "new twins, poor", b_poor, e_new_twins, DELETIONS_TRASH, 0 },
	{ "flags left", b_mail, e_flags_left, DELETIONS_TRASH, 0 },
	{ "flags right", b_mail, e_flags_right, DELETIONS_TRASH, 0 },
	{ "flags both", b_mail, e_flags_both, DELETIONS_TRASH, 0 },
	{ "flags both, poor", b_poor, e_flags_both, DELETIONS_TRASH, 0 },
	{ "flags off", b_mail, e_flags_off, DELETIONS_TRASH, 0 },
	{ "delete left", b_mail, e_delete_left, DELETIONS_TRASH, 0 },
	{ "delete right", b_mail, e_delete_right, DELETIONS_TRASH, 0 },
	{ "delete both", b_mail, e_delete_both, DELETIONS_TRASH, 0 },
	{ "delete both, poor", b_poor, e_delete_both, DELETIONS_TRASH, 0 },
	{ "delete, expunge", b_mail, e_delete_both, DELETIONS_EXPUNGE, 0 },
	{ "delete, archive", b_mail, e_delete_left, DELETIONS_ARCHIVE, UNEVEN_SIDES },
	{ "delete right, archive", b_mail, e_delete_right, DELETIONS_ARCHIVE, UNEVEN_SIDES },
	{ "deleted and back", b_mail, e_replaced, DELETIONS_TRASH, 0 },
	{ "deleted and back, poor", b_poor, e_replaced, DELETIONS_EXPUNGE, 0 },
	{ "move left", b_mail, e_move_left, DELETIONS_TRASH, 0 },
	{ "move right", b_mail, e_move_right, DELETIONS_TRASH, 0 },
	{ "move both alike", b_mail, e_move_both, DELETIONS_TRASH, 0 },
	{ "move both apart", b_mail, e_move_apart, DELETIONS_TRASH, 0 },
	{ "move left, poor", b_poor, e_move_left, DELETIONS_TRASH, 0 },
	{ "move right, poor left", b_poor_left, e_move_right, DELETIONS_TRASH, 0 },
	{ "move and flags", b_mail, e_move_flags, DELETIONS_TRASH, 0 },
	{ "move to new folder", b_mail, e_move_to_new, DELETIONS_TRASH, 0 },
	{ "copies", b_mail, e_copy, DELETIONS_TRASH, 0 },
	{ "change beats delete", b_mail, e_change_beats, DELETIONS_TRASH, 0 },
	{ "change beats delete, mirrored", b_mail, e_change_beats_right, DELETIONS_TRASH, 0 },
	{ "folder new", b_mail, e_folder_new, DELETIONS_TRASH, 0 },
	{ "folder new right", b_mail, e_folder_new_right, DELETIONS_TRASH, 0 },
	{ "folder new both", b_mail, e_folder_new_both, DELETIONS_TRASH, 0 },
	{ "folder new, poor", b_poor, e_folder_new, DELETIONS_TRASH, 0 },
	{ "folder renamed", b_mail, e_folder_rename, DELETIONS_TRASH, 0 },
	{ "folder renamed right", b_mail, e_folder_rename_right, DELETIONS_TRASH, 0 },
	{ "folder renamed both", b_mail, e_folder_rename_both, DELETIONS_TRASH, 0 },
	{ "folder renamed, poor", b_poor, e_folder_rename_right, DELETIONS_TRASH, 0 },
	{ "folder with children renamed", b_deep, e_folder_rename, DELETIONS_TRASH, 0 },
	{ "folder dropped", b_mail, e_folder_drop, DELETIONS_TRASH, 0 },
	{ "folder dropped right", b_mail, e_folder_drop_right, DELETIONS_TRASH, 0 },
	{ "folder dropped, expunge", b_mail, e_folder_drop, DELETIONS_EXPUNGE, 0 },
	{ "folder dropped, late mail", b_mail, e_folder_drop_late, DELETIONS_TRASH, 0 },
	{ "folder dropped, new child", b_mail, e_folder_drop_new_child, DELETIONS_TRASH, 0 },
	{ "renamed, name reused, dropped", b_mail, e_old_name_reused, DELETIONS_TRASH, 0 },
	{ "renamed, name reused, comes back", b_mail, e_old_name_reused_revived, DELETIONS_TRASH, 0 },
	{ "children dropped", b_deep, e_folder_drop_deep, DELETIONS_TRASH, 0 },
	{ "folder recreated", b_mail, e_folder_recreate, DELETIONS_TRASH, 0 },
	{ "folders swapped", b_mail, e_swap, DELETIONS_TRASH, 0 },
	{ "folders swapped, poor", b_poor_left, e_swap, DELETIONS_TRASH, 0 },
	{ "new ids right", b_mail, e_new_ids, DELETIONS_TRASH, 0 },
	{ "new ids left", b_mail, e_new_ids_left, DELETIONS_TRASH, 0 },
	{ "poison", b_mail, e_poison, DELETIONS_TRASH, UNEVEN_SIDES | UNEVEN_VERIFY },
	{ "two windows", b_mail, e_big, DELETIONS_TRASH, MANY_STEPS },
	{ "everything", b_mail, e_everything, DELETIONS_TRASH, 0 },
	{ "everything, poor", b_poor, e_everything, DELETIONS_TRASH, 0 },
	{ "everything, expunge", b_mail, e_everything, DELETIONS_EXPUNGE, 0 },
	{ "state lost", b_mail, e_state_lost, DELETIONS_TRASH, 0 },
	{ "state lost, new mail", b_mail, e_state_lost_more, DELETIONS_TRASH, 0 },
	{ "name collision", b_roles, e_collision, DELETIONS_TRASH, UNEVEN_SIDES },
};
const size_t n_scenarios = ARRAY_LEN(scenarios);
