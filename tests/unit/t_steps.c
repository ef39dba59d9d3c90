/* t_steps.c - every scenario, interrupted at every numbered step, resumed, must end as if nothing had
 * happened: equal sides, the uninterrupted result, no duplicate, and a quiet pass afterwards.
 *
 * A step is any effect: an endpoint's call, one write in a store, a commit. At step N everything
 * stops having effects; the state database loses what was not committed. Each scenario of
 * steps_case.c is played between two stores in memory, and with a Maildir (in /dev/shm where there is
 * one) on either side. A pass over a Maildir waits for the file system's clock most of the time, so
 * the work is shared out to some processes, by scenario and every STRIDE-th step.
 *
 * MS_SCENARIO plays one scenario, MS_STEPS_JOBS=0 all in this process (for a debugger).
 */
#include "steps_case.h"
#include "../../common/fail.h"
#include "../../common/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef MS_TESTING

#define STRIDE 4
#define JOBS 16
#define LEAST 4000

static const char *const ends[][SIDES] = { { "memory", "memory" }, { "memory", "local" }, { "local", "memory" } };

/* What the processes share. */
static struct {
	atomic_size_t next;
	atomic_long runs[ARRAY_LEN(ends)];
} *common;

static struct scene scene;
static const struct scenario *now;
static size_t now_ends;
static long now_stop;

static MS_PRINTF(1, 2) void bad(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s, %s-%s, stopped at %ld: ", now->name, ends[now_ends][0], ends[now_ends][1], now_stop);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n(kept: %s)\n", scene.c.dir);
	_exit(1);
}

static void must_run(enum pass_mode mode)
{
	struct pass_result r = pc_run(&scene.c, mode);

	if (r.code != E_OK)
		bad("%s: %s", mode == PASS_SYNC ? "sync" : "verify", err_text(&r.err));
	if (mode == PASS_VERIFY && r.verdict != 0 && (now->what & UNEVEN_VERIFY) == 0)
		bad("%s", buf_str(&scene.c.parts));
}

static void prepare(void)
{
	fail_stop_at(0);
	pc_new(&scene.c, ends[now_ends][0], ends[now_ends][1]);
	scene.c.pairing.guard = (struct conf_guard){ 100000, 100000, 100, 100, 100000, 100 };
	scene.c.pairing.deletions[0] = scene.c.pairing.deletions[1] = now->deletions;
	for (int s = 0; s < SIDES; s++)
		scene.user[s] = user_of(&scene.c, (enum side)s);
	now->base(&scene);
	if (now->edit == NULL)
		return;
	must_run(PASS_SYNC);
	must_run(PASS_SYNC);
	now->edit(&scene);
}

/* Both sides as text; with ids it changes with every write. */
static char *picture(bool ids)
{
	char *a = user_picture(&scene.user[0], ids), *b = user_picture(&scene.user[1], ids);
	char *both = mem_printf("left:\n%sright:\n%s", a, b);

	mem_free(a);
	mem_free(b);
	return both;
}

/* At most five passes until one writes nothing. */
static void finish(void)
{
	bool quiet = false;
	char *before = picture(true);

	fail_stop_at(0);
	for (int i = 0; i < 5 && !quiet; i++) {
		must_run(PASS_SYNC);
		char *after = picture(true);

		quiet = i > 0 && strcmp(before, after) == 0;
		mem_free(before);
		before = after;
	}
	mem_free(before);
	if (!quiet)
		bad("does not come to rest");
}

/* The lines of a picture without the bin, which is each side's own. */
static char *without_bin(const char *text)
{
	struct buf b;

	buf_init(&b, (size_t)8 << 20);
	for (const char *line = text, *end; *line != '\0'; line = end) {
		end = strchr(line, '\n') + 1;
		if (strncmp(line, "Trash", 5) != 0)
			buf_add(&b, line, (size_t)(end - line));
	}
	char *out = mem_strdup(buf_str(&b));

	buf_free(&b);
	return out;
}

static void check_equal_sides(void)
{
	char *side[SIDES];

	for (int s = 0; s < SIDES; s++) {
		char *all = user_picture(&scene.user[s], false);

		side[s] = without_bin(all);
		mem_free(all);
	}
	if (strcmp(side[0], side[1]) != 0 && (now->what & UNEVEN_SIDES) == 0)
		bad("the sides differ:\n%s\n%s", side[0], side[1]);
	mem_free(side[0]);
	mem_free(side[1]);
}

/* What the uninterrupted run comes to. */
static char *uninterrupted(void)
{
	now_stop = 0;
	prepare();
	finish();
	check_equal_sides();
	must_run(PASS_VERIFY);
	char *want = picture(false);

	pc_free(&scene.c);
	return want;
}

/* False: that step is behind the end. */
static bool interrupted(const char *want)
{
	prepare();
	fail_stop_at(now_stop);
	pc_run(&scene.c, PASS_SYNC);
	bool reached = fail_dead();
	finish();
	char *got = picture(false);

	if (strcmp(want, got) != 0)
		bad("\nwanted\n%s\ngot\n%s", want, got);
	must_run(PASS_VERIFY);
	mem_free(got);
	pc_free(&scene.c);
	return reached;
}

static void run_part(size_t part)
{
	now_ends = part % ARRAY_LEN(ends);
	now = &scenarios[part / ARRAY_LEN(ends) / STRIDE];
	long first = (long)(part / ARRAY_LEN(ends) % STRIDE) + 1;
	const char *only = getenv("MS_SCENARIO");

	if (only != NULL && strcmp(only, now->name) != 0)
		return;
	char *want = uninterrupted();

	long step = now_ends > 0 && (now->what & MANY_STEPS) != 0 ? 8 * STRIDE : STRIDE;

	for (now_stop = first; interrupted(want); now_stop += step)
		atomic_fetch_add(&common->runs[now_ends], 1);
	mem_free(want);
}

static void run_parts(void)
{
	size_t part;

	while ((part = atomic_fetch_add(&common->next, 1)) < n_scenarios * ARRAY_LEN(ends) * STRIDE)
		run_part(part);
}

/* How many of the processes failed. */
static int run_jobs(int jobs)
{
	int failed = 0, status;

	for (int i = 0; i < jobs; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			run_parts();
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	return failed;
}

static void t_every_step(void **state)
{
	const char *jobs = getenv("MS_STEPS_JOBS");
	long all = 0;

	(void)state;
	common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(common != MAP_FAILED);
	fflush(NULL);
	if (jobs != NULL && atoi(jobs) == 0)
		run_parts();
	else
		assert_int_equal(run_jobs(jobs != NULL ? atoi(jobs) : JOBS), 0);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		long runs = atomic_load(&common->runs[i]);

		print_message("%s-%s: %ld interruptions\n", ends[i][0], ends[i][1], runs);
		all += runs;
	}
	print_message("%zu scenarios, %ld interruptions, every one resumed to the same end\n", n_scenarios, all);
	if (getenv("MS_SCENARIO") == NULL) {
		assert_true(n_scenarios >= 40);
		assert_true(all >= LEAST);
	}
	munmap(common, sizeof(*common));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(t_every_step) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	print_message("steps exist in test builds only\n");
	return 0;
}

#endif
