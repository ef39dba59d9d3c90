/* t_local_race.c - another program changes the mailbox while we read and write it: no listing that
 * calls itself complete lacks an item, no flag of either side is lost, nothing is removed twice.
 */
#include "local_case.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ITEMS 400

static struct box b;
static pid_t other;

/* --- the other program: plain calls, none of our code --- */

static void toggle(const char *dir, const char *name)
{
	char from[1500], to[1600], base[300];
	const char *info = strstr(name, ":2,");

	snprintf(base, sizeof(base), "%.*s", info != NULL ? (int)(info - name) : (int)strlen(name), name);
	snprintf(from, sizeof(from), "%s/%s", dir, name);
	/* S on and off, every other letter stays */
	const char *rest = info != NULL ? info + 3 : "";
	char letters[40] = "";
	size_t n = 0;
	bool seen = strchr(rest, 'S') != NULL;

	for (const char *p = rest; *p != '\0'; p++) {
		if (*p != 'S')
			letters[n++] = *p;
	}
	snprintf(to, sizeof(to), "%s/%s:2,%s%s", dir, base, letters, seen ? "" : "S");
	(void)rename(from, to);
}

static void flagger(void)
{
	char dir[1100];

	snprintf(dir, sizeof(dir), "%s", box_path(&b, "cur"));
	srandom(1);
	for (;;) {
		DIR *d = opendir(dir);
		struct dirent *e;

		while (d != NULL && (e = readdir(d)) != NULL) {
			if (e->d_name[0] != '.' && random() % 3 == 0)
				toggle(dir, e->d_name);
		}
		closedir(d);
		/* busy for a while, then quiet for a while */
		if (random() % 6 == 0)
			usleep((useconds_t)random() % 40000);
	}
}

static void start(void (*fn)(void))
{
	other = fork();
	assert_true(other >= 0);
	if (other == 0) {
		fn();
		_exit(0);
	}
}

static void stop(void)
{
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	other = 0;
}

static int setup(void **state)
{
	char name[64], text[64];

	(void)state;
	box_new(&b);
	assert_int_equal(box_open(&b), E_OK);
	for (int i = 0; i < ITEMS; i++) {
		snprintf(name, sizeof(name), "cur/%05d.x:2,", i);
		snprintf(text, sizeof(text), "Message-ID: <%d@x>\n\nbody\n", i);
		box_write(&b, name, text, 1000 + i);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (other > 0)
		stop();
	box_free(&b);
	return 0;
}

static struct span id_of(int i)
{
	return span_of(arena_printf(b.arena, "%05d.x", i));
}

static void t_listings(void **state)
{
	int n = 0, complete = 0, changed = 0;
	uint32_t before = 0;

	(void)state;
	start(flagger);
	for (; n < 3000 && changed < 12; n++) {
		struct ep_changes c = box_changes(&b, "INBOX", SPAN_NONE);

		usleep((useconds_t)random() % 4000);
		changed += c.n > 0 && c.items[0].flags != before;
		before = c.n > 0 ? c.items[0].flags : 0;

		assert_int_equal(c.code, E_OK);
		assert_true(c.n <= ITEMS);
		if (!c.complete)
			continue;
		complete++;
		assert_int_equal(c.n, ITEMS);
		for (int k = 0; k < ITEMS; k++)
			assert_true(span_eq(c.items[k].id, id_of(k)));
	}
	stop();
	printf("%d of %d listings complete, the first item changed %d times\n", complete, n, changed);
	assert_int_equal(changed, 12);
	struct ep_changes c = box_changes(&b, "INBOX", SPAN_NONE);
	assert_true(c.complete);
	assert_int_equal(c.n, ITEMS);
}

static void t_reads(void **state)
{
	const struct ep_folder *inbox = box_folder(&b, "INBOX");
	struct ep_meta *m = arena_calloc(b.arena, ITEMS, sizeof(*m));
	size_t good = 0;

	(void)state;
	start(flagger);
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < ITEMS; i++)
			m[i] = (struct ep_meta){ .folder = inbox, .id = id_of(i) };
		assert_int_equal(ep_local.describe(&b.ep, b.arena, m, ITEMS, &b.err), E_OK);
		for (int i = 0; i < ITEMS; i++) {
			/* never "gone": it is there all the time */
			assert_true(m[i].code == E_OK || m[i].code == E_ITEM_CHANGED);
			good += m[i].code == E_OK;
			if (m[i].code == E_OK)
				assert_int_equal(m[i].received, 1000 + i);
		}
	}
	stop();
	assert_true(good > (size_t)ITEMS * 3);
}

static void t_flags(void **state)
{
	const struct ep_folder *inbox = box_folder(&b, "INBOX");
	struct ep_op *ops = arena_calloc(b.arena, ITEMS, sizeof(*ops));
	size_t good = 0;

	(void)state;
	start(flagger);
	for (int i = 0; i < ITEMS; i++)
		ops[i] = (struct ep_op){ .kind = EP_FLAGS, .folder = inbox, .id = id_of(i), .flags = EP_ANSWERED };
	assert_int_equal(ep_local.apply(&b.ep, b.arena, ops, ITEMS, &b.err), E_OK);
	usleep(20000);
	stop();
	struct ep_changes c = box_changes(&b, "INBOX", SPAN_NONE);
	assert_true(c.complete);
	assert_int_equal(c.n, ITEMS);
	for (int i = 0; i < ITEMS; i++) {
		assert_true(ops[i].code == E_OK || ops[i].code == E_ITEM_CHANGED);
		good += ops[i].code == E_OK;
		assert_int_equal((c.items[i].flags & EP_ANSWERED) != 0, ops[i].code == E_OK);
	}
	assert_true(good > ITEMS * 9 / 10);
}

static void t_move_and_remove(void **state)
{
	const struct ep_folder *inbox, *a;
	struct ep_op *ops = arena_calloc(b.arena, ITEMS, sizeof(*ops));
	size_t moved = 0, removed = 0;

	(void)state;
	box_mkdir(&b, ".A");
	inbox = box_folder(&b, "INBOX");
	a = box_folder(&b, "A");
	start(flagger);
	for (int i = 0; i < ITEMS; i++)
		ops[i] = (struct ep_op){ .kind = i % 2 ? EP_MOVE : EP_REMOVE, .folder = inbox, .to = a, .id = id_of(i) };
	assert_int_equal(ep_local.apply(&b.ep, b.arena, ops, ITEMS, &b.err), E_OK);
	stop();
	for (int i = 0; i < ITEMS; i++) {
		assert_true(ops[i].code == E_OK || ops[i].code == E_ITEM_CHANGED);
		moved += ops[i].code == E_OK && i % 2 == 1;
		removed += ops[i].code == E_OK && i % 2 == 0;
	}
	assert_int_equal(box_count(&b, ".A/cur"), moved);
	assert_int_equal(box_count(&b, "cur"), ITEMS - moved - removed);
}

/* A delivery agent and a reader: files come in new/, are taken to cur/, and none is ever missed. */
static void deliverer(void)
{
	char from[1200], to[1200];

	for (int i = 0; i < 3000; i++) {
		snprintf(from, sizeof(from), "%s", box_path(&b, "tmp/d%05d", i));
		snprintf(to, sizeof(to), "%s", box_path(&b, "new/d%05d", i));
		FILE *f = fopen(from, "w");
		fputs("x\n", f);
		fclose(f);
		(void)rename(from, to);
		if (i >= 5) {
			snprintf(from, sizeof(from), "%s", box_path(&b, "new/d%05d", i - 5));
			snprintf(to, sizeof(to), "%s", box_path(&b, "cur/d%05d:2,S", i - 5));
			(void)rename(from, to);
		}
		usleep(200);
	}
}

static void t_deliveries(void **state)
{
	size_t last = 0;

	(void)state;
	start(deliverer);
	for (int i = 0; i < 60; i++) {
		struct ep_changes c = box_changes(&b, "INBOX", SPAN_NONE);

		/* deliveries only ever add */
		if (c.complete) {
			assert_true(c.n >= last);
			last = c.n;
		}
		usleep(5000);
	}
	waitpid(other, NULL, 0);
	other = 0;
	struct ep_changes c = box_changes(&b, "INBOX", SPAN_NONE);
	assert_true(c.complete);
	assert_int_equal(c.n, ITEMS + 3000);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(t_listings), T(t_reads), T(t_flags), T(t_move_and_remove), T(t_deliveries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
