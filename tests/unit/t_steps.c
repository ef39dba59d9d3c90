/* t_steps.c - every scenario, interrupted at every numbered step, resumed, must end as if nothing had
 * happened: equal sides, the uninterrupted result, no duplicate, and a quiet pass afterwards.
 *
 * A step is any effect: an endpoint's call, one write in a store, a commit. At step N everything
 * stops having effects; the state database loses what was not committed. MS_SCENARIO runs one.
 */
#include "pass_case.h"
#include "../../common/fail.h"
#include "../../common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct pass_case c;
static struct mem_store *S[SIDES];

static void add(int side, const char *path, const char *id)
{
	mem_add(S[side], path, pc_mail(id, "body"), 0, NULL, 1700000000);
}

static void some(int side, const char *path, const char *prefix, int n)
{
	for (int i = 0; i < n; i++) {
		char id[32];

		snprintf(id, sizeof(id), "%s%d", prefix, i);
		add(side, path, id);
	}
}

static struct mem_folder *at(int side, const char *path)
{
	return mem_folder_get(S[side], path);
}

/* base: before the first pass. edit: between the first pass and the one that is interrupted. */
struct scenario {
	const char *name;
	void (*base)(void);
	void (*edit)(void);
	enum conf_deletions deletions;
};

static void b_mail(void) { some(0, "INBOX", "m", 6); mem_folder_make(S[0], "A", EP_ROLE_NONE); some(0, "A", "a", 3); }
static void b_none(void) { }
static void b_both(void) { some(0, "INBOX", "m", 6); some(1, "INBOX", "m", 6); }
static void b_roles(void) { b_mail(); mem_folder_make(S[0], "Sent", EP_ROLE_SENT); mem_folder_make(S[1], "Gesendet", EP_ROLE_SENT); }
static void b_poor(void) { S[1]->tells_ids = false; S[1]->deltas = false; S[1]->stable_ids = false; b_mail(); }
static void b_poor_left(void) { S[0]->tells_ids = false; S[0]->stable_ids = false; b_mail(); }

static void e_none(void) { }
static void e_new_left(void) { some(0, "INBOX", "n", 4); }
static void e_new_right(void) { some(1, "A", "n", 4); }
static void e_new_both(void) { e_new_left(); e_new_right(); add(0, "INBOX", "same"); add(1, "INBOX", "same"); }
static void e_flags_left(void) { mem_set_flags(S[0], at(0, "INBOX"), 1, EP_SEEN, "blue"); mem_set_flags(S[0], at(0, "A"), 1, EP_FLAGGED, NULL); }
static void e_flags_right(void) { mem_set_flags(S[1], at(1, "INBOX"), 1, EP_ANSWERED, NULL); }
static void e_flags_both(void) { e_flags_left(); e_flags_right(); mem_set_flags(S[1], at(1, "INBOX"), 2, 0, "red"); }
static void e_delete_left(void) { mem_remove(S[0], at(0, "INBOX"), 2); mem_remove(S[0], at(0, "A"), 0); }
static void e_delete_right(void) { mem_remove(S[1], at(1, "INBOX"), 2); }
static void e_delete_both(void) { e_delete_left(); mem_remove(S[1], at(1, "INBOX"), 2); mem_remove(S[1], at(1, "INBOX"), 3); }
static void e_move_left(void) { mem_move(S[0], at(0, "INBOX"), 1, "A"); }
static void e_move_right(void) { mem_move(S[1], at(1, "A"), 1, "INBOX"); }
static void e_move_both(void) { mem_move(S[0], at(0, "INBOX"), 1, "A"); mem_move(S[1], at(1, "INBOX"), 1, "A"); }
static void e_move_flags(void) { mem_set_flags(S[1], at(1, "INBOX"), 1, EP_SEEN, NULL); e_move_left(); mem_set_flags(S[0], at(0, "A"), 3, EP_FLAGGED, NULL); }
static void e_change_beats(void) { mem_remove(S[0], at(0, "INBOX"), 0); mem_set_flags(S[1], at(1, "INBOX"), 0, EP_FLAGGED, NULL); }
static void e_change_beats_r(void) { mem_remove(S[1], at(1, "INBOX"), 0); mem_set_flags(S[0], at(0, "INBOX"), 0, EP_FLAGGED, NULL); }
static void e_folder_new(void) { mem_folder_make(S[0], "N", EP_ROLE_NONE); mem_folder_make(S[0], "N/M", EP_ROLE_NONE); some(0, "N/M", "x", 2); }
static void e_folder_new_r(void) { mem_folder_make(S[1], "N", EP_ROLE_NONE); some(1, "N", "x", 2); }
static void e_folder_rename(void) { mem_rename(S[0], "A", "Z"); add(0, "Z", "z"); }
static void e_folder_rename_r(void) { mem_rename(S[1], "A", "Z"); }
static void e_folder_drop(void) { mem_folder_drop(S[0], "A"); }
static void e_folder_drop_r(void) { mem_folder_drop(S[1], "A"); }
static void e_folder_drop_late(void) { mem_folder_drop(S[0], "A"); add(1, "A", "late"); }
static void e_folder_recreate(void) { mem_folder_drop(S[0], "A"); mem_folder_make(S[0], "A", EP_ROLE_NONE); some(0, "A", "a", 3); add(0, "A", "more"); }
static void e_swap(void)
{
	mem_folder_make(S[0], "B", EP_ROLE_NONE);
	add(0, "B", "b");
	pc_run(&c, PASS_SYNC);
	mem_rename(S[0], "A", "tmp");
	mem_rename(S[0], "B", "A");
	mem_rename(S[0], "tmp", "B");
}
static void e_validity(void) { mem_new_validity(S[1], "INBOX"); add(0, "INBOX", "n"); }
static void e_validity_left(void) { mem_new_validity(S[0], "INBOX"); mem_set_flags(S[1], at(1, "INBOX"), 1, EP_SEEN, NULL); }
static void e_poison(void) { S[1]->poison = "poison"; mem_add(S[0], "INBOX", pc_mail("p", "poison"), 0, NULL, 1); e_new_left(); }
static void e_big(void) { some(0, "INBOX", "w", 260); }
static void e_everything(void) { e_new_both(); e_flags_both(); e_move_right(); mem_remove(S[0], at(0, "INBOX"), 4); e_folder_new(); }
static void e_state_lost(void) { pc_forget_state(&c); }
static void e_state_lost_more(void) { e_new_both(); pc_forget_state(&c); }
static void e_collision(void) { mem_folder_make(S[0], "Gesendet", EP_ROLE_NONE); some(0, "Gesendet", "g", 2); }

static const struct scenario scenarios[] = {
	{ "first copy left", b_mail, NULL, DELETIONS_TRASH },
	{ "first copy adopts", b_both, NULL, DELETIONS_TRASH },
	{ "first copy, roles", b_roles, NULL, DELETIONS_TRASH },
	{ "first copy, poor right", b_poor, NULL, DELETIONS_TRASH },
	{ "first copy, poor left", b_poor_left, NULL, DELETIONS_TRASH },
	{ "first copy of nothing", b_none, NULL, DELETIONS_TRASH },
	{ "quiet", b_mail, e_none, DELETIONS_TRASH },
	{ "new left", b_mail, e_new_left, DELETIONS_TRASH },
	{ "new right", b_mail, e_new_right, DELETIONS_TRASH },
	{ "new both", b_mail, e_new_both, DELETIONS_TRASH },
	{ "new both, poor", b_poor, e_new_both, DELETIONS_TRASH },
	{ "flags left", b_mail, e_flags_left, DELETIONS_TRASH },
	{ "flags right", b_mail, e_flags_right, DELETIONS_TRASH },
	{ "flags both", b_mail, e_flags_both, DELETIONS_TRASH },
	{ "flags both, poor", b_poor, e_flags_both, DELETIONS_TRASH },
	{ "delete left", b_mail, e_delete_left, DELETIONS_TRASH },
	{ "delete right", b_mail, e_delete_right, DELETIONS_TRASH },
	{ "delete both", b_mail, e_delete_both, DELETIONS_TRASH },
	{ "delete both, poor", b_poor, e_delete_both, DELETIONS_TRASH },
	{ "delete, expunge", b_mail, e_delete_both, DELETIONS_EXPUNGE },
	{ "delete, archive", b_mail, e_delete_left, DELETIONS_ARCHIVE },
	{ "delete right, archive", b_mail, e_delete_right, DELETIONS_ARCHIVE },
	{ "move left", b_mail, e_move_left, DELETIONS_TRASH },
	{ "move right", b_mail, e_move_right, DELETIONS_TRASH },
	{ "move both alike", b_mail, e_move_both, DELETIONS_TRASH },
	{ "move left, poor", b_poor, e_move_left, DELETIONS_TRASH },
	{ "move right, poor left", b_poor_left, e_move_right, DELETIONS_TRASH },
	{ "move and flags", b_mail, e_move_flags, DELETIONS_TRASH },
	{ "change beats delete", b_mail, e_change_beats, DELETIONS_TRASH },
	{ "change beats delete, mirrored", b_mail, e_change_beats_r, DELETIONS_TRASH },
	{ "folder new", b_mail, e_folder_new, DELETIONS_TRASH },
	{ "folder new right", b_mail, e_folder_new_r, DELETIONS_TRASH },
	{ "folder new, poor", b_poor, e_folder_new, DELETIONS_TRASH },
	{ "folder renamed", b_mail, e_folder_rename, DELETIONS_TRASH },
	{ "folder renamed right", b_mail, e_folder_rename_r, DELETIONS_TRASH },
	{ "folder renamed, poor", b_poor, e_folder_rename_r, DELETIONS_TRASH },
	{ "folder dropped", b_mail, e_folder_drop, DELETIONS_TRASH },
	{ "folder dropped right", b_mail, e_folder_drop_r, DELETIONS_TRASH },
	{ "folder dropped, expunge", b_mail, e_folder_drop, DELETIONS_EXPUNGE },
	{ "folder dropped, late mail", b_mail, e_folder_drop_late, DELETIONS_TRASH },
	{ "folder recreated", b_mail, e_folder_recreate, DELETIONS_TRASH },
	{ "folders swapped", b_mail, e_swap, DELETIONS_TRASH },
	{ "folders swapped, poor", b_poor_left, e_swap, DELETIONS_TRASH },
	{ "new ids right", b_mail, e_validity, DELETIONS_TRASH },
	{ "new ids left", b_mail, e_validity_left, DELETIONS_TRASH },
	{ "poison", b_mail, e_poison, DELETIONS_TRASH },
	{ "two windows", b_mail, e_big, DELETIONS_TRASH },
	{ "everything", b_mail, e_everything, DELETIONS_TRASH },
	{ "everything, poor", b_poor, e_everything, DELETIONS_TRASH },
	{ "everything, expunge", b_mail, e_everything, DELETIONS_EXPUNGE },
	{ "state lost", b_mail, e_state_lost, DELETIONS_TRASH },
	{ "state lost, new mail", b_mail, e_state_lost_more, DELETIONS_TRASH },
	{ "name collision", b_roles, e_collision, DELETIONS_TRASH },
};

static void prepare(const struct scenario *s)
{
	fail_stop_at(0);
	pc_new(&c, "memory", "memory");
	c.pairing.guard = (struct conf_guard){ 100000, 100000, 100, 100, 100000, 100 };
	c.pairing.deletions[0] = c.pairing.deletions[1] = s->deletions;
	S[0] = c.store[0];
	S[1] = c.store[1];
	s->base();
	if (s->edit == NULL)
		return;
	for (int i = 0; i < 2; i++) {
		struct pass_result r = pc_run(&c, PASS_SYNC);

		if (r.code != E_OK)
			fail_msg("%s: base pass: %s", s->name, err_text(&r.err));
	}
	s->edit();
}

/* The stores as text: what an uninterrupted run must have come to. Order and ids do not matter. */
static int cmp_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *picture(void)
{
	char *lines[4000];
	size_t n = 0;
	struct buf b;

	for (int s = 0; s < SIDES; s++) {
		for (size_t i = 0; i < S[s]->n; i++) {
			const struct mem_folder *f = &S[s]->folders[i];

			lines[n++] = mem_printf("%d %s\n", s, f->path);
			for (size_t j = 0; j < f->n; j++)
				lines[n++] = mem_printf("%d %s %.30s %u %s\n", s, f->path, f->items[j].bytes,
							f->items[j].flags, f->items[j].keywords != NULL ? f->items[j].keywords : "");
		}
	}
	qsort(lines, n, sizeof(*lines), cmp_text);
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < n; i++) {
		buf_add_str(&b, lines[i]);
		mem_free(lines[i]);
	}
	char *text = mem_strdup(buf_str(&b));
	buf_free(&b);
	return text;
}

/* Finish: at most four passes until one writes nothing. */
static void finish(const struct scenario *s, long stop)
{
	fail_stop_at(0);
	for (int i = 0; i < 5; i++) {
		unsigned long writes = S[0]->writes + S[1]->writes;
		struct pass_result r = pc_run(&c, PASS_SYNC);

		if (r.code != E_OK)
			fail_msg("%s, stopped at %ld: %s", s->name, stop, err_text(&r.err));
		if (writes == S[0]->writes + S[1]->writes && i > 0)
			return;
	}
	fail_msg("%s, stopped at %ld: does not come to rest", s->name, stop);
}

static void run_scenario(const struct scenario *s, long *runs)
{
	char *want;

	prepare(s);
	finish(s, 0);
	want = picture();
	pc_free(&c);
	for (long stop = 1;; stop++) {
		prepare(s);
		fail_stop_at(stop);
		pc_run(&c, PASS_SYNC);
		bool reached = fail_dead();
		finish(s, stop);
		char *got = picture();
		if (strcmp(want, got) != 0)
			fail_msg("%s, stopped at %ld:\nwanted\n%s\ngot\n%s", s->name, stop, want, got);
		if (pc_run(&c, PASS_VERIFY).verdict != 0 && s->edit != e_poison)
			fail_msg("%s, stopped at %ld: %s", s->name, stop, buf_str(&c.parts));
		mem_free(got);
		pc_free(&c);
		if (!reached)
			break;
		(*runs)++;
	}
	mem_free(want);
}

static void t_every_step(void **state)
{
	const char *only = getenv("MS_SCENARIO");
	long runs = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
		if (only == NULL || strcmp(only, scenarios[i].name) == 0)
			run_scenario(&scenarios[i], &runs);
	}
	print_message("%zu scenarios, %ld interruptions\n", ARRAY_LEN(scenarios), runs);
	if (only == NULL)
		assert_true(runs >= 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(t_every_step) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
