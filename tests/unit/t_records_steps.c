/* t_records_steps.c - edits of calendars and contacts, interrupted at every numbered step, resumed, must end
 * as if nothing had happened: the uninterrupted result, no duplicate, and a quiet pass afterwards.
 *
 * Between two stores in memory, of which one rewrites and drops what it is given, and between one and a
 * vdir on disk, which is edited and read with plain system calls.
 */
#include "pass_case.h"
#include "record_case.h"

#include "../../common/fail.h"
#include "../../common/mem.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef MS_TESTING

/* Somebody's client on one side. */
struct user {
	struct mem_store *mem;       /* NULL: a vdir */
	char root[160];
};

static struct pass_case c;
static struct user user[SIDES];

static const char *dir_of(const struct user *u, const char *path)
{
	return arena_printf(rc_arena, "%s/%s/%s", u->root, strcmp(path, "People") == 0 ? "Contacts" : "Calendars", path);
}

static void make(struct user *u, const char *path)
{
	bool people = strcmp(path, "People") == 0;

	if (u->mem != NULL) {
		mem_folder_make_kind(u->mem, path, people ? EP_CONTACTS : EP_EVENTS);
		return;
	}
	mkdir(u->root, 0700);
	mkdir(arena_printf(rc_arena, "%s/%s", u->root, people ? "Contacts" : "Calendars"), 0700);
	assert_int_equal(mkdir(dir_of(u, path), 0700), 0);
}

static const char *read_file(const char *path)
{
	struct span s = rc_file(path);

	return arena_str(rc_arena, s);
}

static bool holds(const char *text, const char *uid)
{
	return strstr(text, arena_printf(rc_arena, "\r\nUID:%s\r\n", uid)) != NULL;
}

/* Calls back for every item of a folder. */
static void each(const struct user *u, const char *path, void (*call)(void *ctx, const char *name, const char *text),
		 void *ctx)
{
	struct mem_folder *f = u->mem != NULL ? mem_folder_get(u->mem, path) : NULL;
	struct dirent *e;

	for (size_t i = 0; f != NULL && i < f->n; i++)
		call(ctx, arena_printf(rc_arena, "%zu", i), f->items[i].bytes);
	DIR *d = u->mem == NULL ? opendir(dir_of(u, path)) : NULL;
	while (d != NULL && (e = readdir(d)) != NULL) {
		const char *dot = strrchr(e->d_name, '.');

		if (e->d_name[0] != '.' && dot != NULL && (strcmp(dot, ".ics") == 0 || strcmp(dot, ".vcf") == 0))
			call(ctx, arena_str(rc_arena, span_of(e->d_name)),
			     read_file(arena_printf(rc_arena, "%s/%s", dir_of(u, path), e->d_name)));
	}
	if (d != NULL)
		closedir(d);
}

struct search {
	const char *uid, *name, *text;
	size_t n;
};

static void look(void *ctx, const char *name, const char *text)
{
	struct search *s = ctx;

	s->n++;
	if (s->uid == NULL || !holds(text, s->uid))
		return;
	s->name = name;
	s->text = text;
}

static struct search find(const struct user *u, const char *path, const char *uid)
{
	struct search s = { .uid = uid };

	each(u, path, look, &s);
	return s;
}

static void write_file(const struct user *u, const char *path, const char *name, const char *text)
{
	const char *tmp = arena_printf(rc_arena, "%s/.tmp", dir_of(u, path));
	FILE *f = fopen(tmp, "wb");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(tmp, arena_printf(rc_arena, "%s/%s", dir_of(u, path), name)), 0);
}

static void add(struct user *u, const char *path, const char *uid, const char *text)
{
	if (u->mem != NULL)
		mem_add(u->mem, path, text, 0, NULL, INT64_MIN);
	else
		write_file(u, path, arena_printf(rc_arena, "%s.%s", uid, strcmp(path, "People") == 0 ? "vcf" : "ics"), text);
}

static void edit(struct user *u, const char *path, const char *uid, const char *text)
{
	struct search s = find(u, path, uid);

	assert_non_null(s.name);
	if (u->mem != NULL)
		mem_edit(u->mem, mem_folder_get(u->mem, path), (size_t)atoi(s.name), text);
	else
		write_file(u, path, s.name, text);
}

static void drop(struct user *u, const char *path, const char *uid)
{
	struct search s = find(u, path, uid);

	assert_non_null(s.name);
	if (u->mem != NULL)
		mem_remove(u->mem, mem_folder_get(u->mem, path), (size_t)atoi(s.name));
	else
		assert_int_equal(unlink(arena_printf(rc_arena, "%s/%s", dir_of(u, path), s.name)), 0);
}

static void move(struct user *u, const char *path, const char *uid, const char *to)
{
	struct search s = find(u, path, uid);
	const char *text = arena_str(rc_arena, span_of(s.text));

	drop(u, path, uid);
	add(u, to, uid, text);
}

/* --- the story --- */

static void play(void)
{
	make(&user[0], "Home");
	for (int i = 0; i < 10; i++) {
		const char *uid = arena_printf(rc_arena, "u%d", i);

		add(&user[(i + 1) % 2], "Work", uid, rc_event_text(uid, 1 + i, "SUMMARY:x \r\nCATEGORIES:c\r\n"));
	}
	add(&user[0], "People", "p", rc_card_text("p", "Ann", "EMAIL:ann@x.example\r\n" ""));
}

static void play_edits(void)
{
	struct user *L = &user[0], *R = &user[1];

	edit(L, "Work", "u0", rc_event_text("u0", 1, "SUMMARY:left\r\nCATEGORIES:c\r\n"));
	edit(R, "Work", "u1", rc_event_text("u1", 2, "SUMMARY:right \r\n"));
	edit(L, "Work", "u2", rc_event_text("u2", 3, "SUMMARY:x\r\nLOCATION:l\r\nCATEGORIES:c\r\n"));
	edit(R, "Work", "u2", rc_event_text("u2", 3, "SUMMARY:x\r\nDESCRIPTION:r \r\n"));
	edit(L, "Work", "u3", rc_event_text("u3", 4, "SUMMARY:one\r\n"));
	edit(R, "Work", "u3", rc_event_text("u3", 4, "SUMMARY:two\r\n"));
	drop(L, "Work", "u4");
	drop(R, "Work", "u5");
	edit(L, "Work", "u5", rc_event_text("u5", 6, "SUMMARY:kept\r\n"));
	move(L, "Work", "u6", "Home");
	edit(L, "Home", "u6", rc_event_text("u6", 7, "SUMMARY:moved\r\n"));
	add(R, "Work", "u10", rc_event_text("u10", 11, "SUMMARY:late\r\n"));
	edit(R, "People", "p", rc_card_text("p", "Ann", "EMAIL:ann@x.example\r\n" "TEL:1\r\n"));
}

/* --- what came of it --- */

/* What counts of a record, without blanks at the end: an interrupted write may come back trimmed. */
static const char *gist(const char *text)
{
	const struct record *r = rc_parse(span_of(text));
	const char *out = arena_str(rc_arena, r->uid);

	for (size_t i = 0; i < r->n; i++) {
		if (r->e[i].counts)
			out = arena_printf(rc_arena, "%s|" SPAN_FMT, out, SPAN_ARG(span_trim(r->e[i].value)));
	}
	return out;
}

static const char *picture(const struct user *u)
{
	static const char *const folders[] = { "Work", "Home", "People" };
	const char *out = "";

	for (size_t f = 0; f < ARRAY_LEN(folders); f++) {
		for (int i = 0; i < 12; i++) {
			const char *uid = i == 11 ? "p" : arena_printf(rc_arena, "u%d", i);
			struct search s = find(u, folders[f], uid);

			if (s.text != NULL)
				out = arena_printf(rc_arena, "%s%s %s\n", out, folders[f], gist(s.text));
		}
		out = arena_printf(rc_arena, "%s%s has %zu\n", out, folders[f], find(u, folders[f], NULL).n);
	}
	return out;
}

static const char *first_difference(const char *want, const char *got)
{
	while (*want != '\0' && strcspn(want, "\n") == strcspn(got, "\n") && strncmp(want, got, strcspn(want, "\n")) == 0) {
		want += strcspn(want, "\n") + 1;
		got += strcspn(got, "\n") + 1;
	}
	return arena_printf(rc_arena, "wanted\n%.400s\ngot\n%.400s", want, got);
}

static void sync_ok(void)
{
	struct pass_result r = pc_run(&c, PASS_SYNC);

	if (r.code != E_OK)
		fail_msg("pass: %s: %s", code_name(r.code), err_text(&r.err));
}

static void begin(const char *right)
{
	arena_reset(rc_arena);
	fail_stop_at(0);
	pc_new(&c, "memory", right);
	c.pairing.guard = (struct conf_guard){ 100000, 100000, 100, 100, 100000, 100 };
	for (int s = 0; s < SIDES; s++) {
		user[s] = (struct user){ .mem = c.store[s] };
		snprintf(user[s].root, sizeof(user[s].root), "%s/%s", c.endpoint[s].path, c.pairing.mailbox[s].smtp_name);
		make(&user[s], "Work");
	}
	make(&user[0], "People");
	if (user[1].mem != NULL) {
		user[1].mem->rewrites = true;
		user[1].mem->drops = "CATEGORIES";
	}
}

/* False: the step is behind the end. Step 0: not interrupted; fills want[]. */
static bool stopped_at(long step, const char *right, enum conf_conflict policy, bool edits, char *want[SIDES])
{
	begin(right);
	c.pairing.conflict = policy;
	play();
	if (edits) {
		sync_ok();
		sync_ok();
		play_edits();
	}
	fail_stop_at(step);
	pc_run(&c, PASS_SYNC);
	bool reached = step > 0 && fail_dead();
	fail_stop_at(0);
	for (int i = 0; i < 3; i++)
		sync_ok();
	struct pass_result quiet = pc_run(&c, PASS_SYNC);
	if (quiet.code != E_OK || quiet.created + quiet.changed + quiet.moved + quiet.removed > 0)
		fail_msg("stopped at %ld: the fourth pass is not quiet", step);
	for (int s = 0; s < SIDES; s++) {
		const char *got = picture(&user[s]);

		if (step == 0)
			want[s] = mem_strdup(got);
		else if (strcmp(got, want[s]) != 0)
			fail_msg("memory-%s, stopped at %ld, policy %d, %s side: %s", right, step, (int)policy,
				 side_name((enum side)s), first_difference(want[s], got));
	}
	pc_free(&c);
	return reached;
}

static long every_step(const char *right, enum conf_conflict policy, bool edits)
{
	char *want[SIDES];
	long step = 1;

	stopped_at(0, right, policy, edits, want);
	while (stopped_at(step, right, policy, edits, want))
		step++;
	for (int s = 0; s < SIDES; s++)
		mem_free(want[s]);
	return step - 1;
}

static void t_every_step(void **state)
{
	static const enum conf_conflict policies[] = { CONFLICT_NEWEST, CONFLICT_RIGHT, CONFLICT_BOTH };
	long memory = 0, local = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		for (int edits = 0; edits < 2; edits++)
			memory += every_step("memory", policies[i], edits);
	}
	for (int edits = 0; edits < 2; edits++)
		local += every_step("local", CONFLICT_NEWEST, edits);
	print_message("%ld interruptions in memory, %ld with a vdir, every one resumed to the same end\n", memory, local);
	assert_true(memory > 300 && local > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(t_every_step, rc_setup, rc_teardown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	print_message("steps exist in test builds only\n");
	return 0;
}

#endif
