/* t_local_steps.c - a local mailbox is interrupted at every numbered step of a scenario that makes,
 * changes, moves, copies and removes: at every point each message is whole and there as often as it
 * should be, and going on from there ends where the uninterrupted run ends. Test builds only.
 */
#include "local_case.h"

#include "../../common/fail.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef MS_TESTING

static struct box b;

static const char *text_of(int n)
{
	return arena_printf(b.arena, "Message-ID: <%d@x>\n\nbody of %d\n", n, n);
}

/* How often message n lies in `dir`/cur or new, whole; *name_r is the last one's. */
static size_t count_in(const char *dir, int n, const char **name_r)
{
	static const char *const parts[] = { "cur", "new" };
	size_t found = 0;

	for (size_t i = 0; i < 2; i++) {
		DIR *d = opendir(box_path(&b, "%s/%s", dir, parts[i]));
		struct dirent *e;

		while (d != NULL && (e = readdir(d)) != NULL) {
			const char *file = arena_printf(b.arena, "%s/%s/%s", dir, parts[i], e->d_name);

			if (e->d_name[0] == '.' || strcmp(box_read(&b, file, NULL), text_of(n)) != 0)
				continue;
			*name_r = arena_str(b.arena, span_of(e->d_name));
			found++;
		}
		if (d != NULL)
			closedir(d);
	}
	return found;
}

/* All folders that are listed or still hidden. */
static size_t count(int n)
{
	static const char *const dirs[] = { ".", ".A", ".B", ".C.D" };
	size_t found = 0;
	const char *name;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		found += count_in(dirs[i], n, &name);
	return found;
}

static size_t files(const char *dir)
{
	return box_exists(&b, arena_printf(b.arena, "%s/cur", dir)) ?
	       box_count(&b, arena_printf(b.arena, "%s/cur", dir)) +
	       box_count(&b, arena_printf(b.arena, "%s/new", dir)) : 0;
}

static void fill(void)
{
	box_mkdir(&b, "");
	box_write(&b, "dovecot-keywords", "0 red\n", 1);
	for (int n = 1; n <= 4; n++)
		box_write(&b, arena_printf(b.arena, n == 3 ? "new/%d.x" : "cur/%d.x:2,a", n), text_of(n), n);
}

/* --- the scenario: does what is missing, so it is also the way on after an interruption --- */

static bool has(const char *path)
{
	return box_folder(&b, path) != NULL;
}

static bool tree(struct ep_folder_op op)
{
	enum code rc = ep_local.folders(&b.ep, b.arena, &op, 1, &b.err);

	assert_true(rc == E_OK || rc == E_CANCELLED);
	assert_true(rc == E_CANCELLED || op.code == E_OK);
	return rc == E_OK;
}

static bool make_folders(void)
{
	struct ep_folder_op a = { .kind = EP_FOLDER_CREATE, .path = SPAN_LIT("A"), .item_kind = EP_MAIL };
	struct ep_folder_op s = { .kind = EP_FOLDER_CREATE, .path = SPAN_LIT("B"), .item_kind = EP_MAIL,
				  .role = EP_ROLE_SENT };

	if (has("C/D"))
		return true;
	return (has("A") || tree(a)) && (has("B") || tree(s));
}

static bool change_items(void)
{
	struct ep_op ops[8] = { 0 };
	const struct ep_folder *inbox = box_folder(&b, "INBOX"), *a = box_folder(&b, "A");
	size_t n = 0;

	if (a == NULL)
		return true;
	for (int k = 10; k < 13; k++) {
		if (count(k) > 0)
			continue;
		struct ep_op op = { .kind = EP_CREATE, .folder = k == 12 ? a : inbox, .flags = EP_SEEN,
				    .keywords = "blue red", .received = k };
		op.body = box_body(text_of(k), strlen(text_of(k)));
		ops[n++] = op;
	}
	const char *name;
	ops[n++] = (struct ep_op){ .kind = EP_FLAGS, .folder = inbox, .id = SPAN_LIT("1.x"), .flags = EP_FLAGGED,
				   .keywords = "green", .keywords_remove = "red" };
	if (count_in(".", 2, &name) > 0)
		ops[n++] = (struct ep_op){ .kind = EP_MOVE, .folder = inbox, .to = a, .id = SPAN_LIT("2.x") };
	if (count(3) == 1)
		ops[n++] = (struct ep_op){ .kind = EP_COPY, .folder = inbox, .to = a, .id = SPAN_LIT("3.x") };
	if (count(4) > 0)
		ops[n++] = (struct ep_op){ .kind = EP_REMOVE, .folder = inbox, .id = SPAN_LIT("4.x") };
	enum code rc = ep_local.apply(&b.ep, b.arena, ops, n, &b.err);
	for (size_t i = 0; i < n; i++) {
		assert_true(ops[i].code == E_OK || (rc == E_CANCELLED && ops[i].code == E_CANCELLED));
		body_free(&ops[i].body);
	}
	return rc == E_OK;
}

static bool change_folders(void)
{
	if (has("A")) {
		struct ep_folder_op op = { .kind = EP_FOLDER_RENAME, .path = SPAN_LIT("C/D"),
					   .folder = box_folder(&b, "A") };
		if (!tree(op))
			return false;
	}
	if (has("B")) {
		struct ep_folder_op op = { .kind = EP_FOLDER_REMOVE, .folder = box_folder(&b, "B") };

		return tree(op);
	}
	return true;
}

static bool run(void)
{
	enum code rc = box_open(&b);

	assert_true(rc == E_OK || rc == E_CANCELLED);
	return rc == E_OK && make_folders() && change_items() && change_folders();
}

/* --- what must hold --- */

static void check_any_time(void)
{
	assert_int_equal(count(1), 1);
	assert_int_equal(count(2), 1);
	assert_in_range(count(3), 1, 2);
	assert_in_range(count(4), 0, 1);
	size_t all = count(1) + count(2) + count(3) + count(4);

	for (int n = 10; n < 13; n++) {
		assert_in_range(count(n), 0, 1);
		all += count(n);
	}
	/* nothing that is half a message */
	assert_int_equal(files(".") + files(".A") + files(".B") + files(".C.D"), all);
}

static void check_item(const char *path, int n, uint32_t flags, const char *keywords)
{
	const char *name = NULL;
	struct ep_changes c = box_changes(&b, path, SPAN_NONE);
	const char *dir = strcmp(path, "INBOX") == 0 ? "." : ".C.D";

	assert_int_equal(count_in(dir, n, &name), 1);
	const struct ep_item *item = box_item(&c, arena_str(b.arena, maildir_parse(span_of(name)).base));
	assert_non_null(item);
	assert_int_equal(item->flags, flags);
	if (keywords == NULL)
		assert_null(item->keywords);
	else
		assert_string_equal(item->keywords, keywords);
}

static void check_end(void)
{
	check_any_time();
	assert_int_equal(box_list(&b).n, 2);
	check_item("INBOX", 1, EP_FLAGGED, "green");
	check_item("C/D", 2, 0, "red");
	check_item("INBOX", 3, 0, NULL);
	check_item("C/D", 3, 0, NULL);
	check_item("INBOX", 10, EP_SEEN, "blue red");
	check_item("INBOX", 11, EP_SEEN, "blue red");
	check_item("C/D", 12, EP_SEEN, "blue red");
	assert_int_equal(files("."), 4);
	assert_int_equal(files(".C.D"), 3);
	DIR *d = opendir(box_path(&b, "%s", ""));
	struct dirent *e;
	while ((e = readdir(d)) != NULL)
		assert_true(strncmp(e->d_name, LOCAL_REMOVED, strlen(LOCAL_REMOVED)) != 0);
	closedir(d);
}

static bool one(long step)
{
	box_new(&b);
	char outer[128];

	snprintf(outer, sizeof(outer), "%s/%s", b.dir, b.mailbox.smtp_name);
	assert_int_equal(mkdir(outer, 0700), 0);
	fill();
	fail_stop_at(step);
	bool done = run();
	long steps = fail_count();
	box_close(&b);
	assert_int_equal(done, step == 0 || !fail_dead());
	fail_stop_at(0);
	check_any_time();
	assert_true(run());
	check_end();
	box_free(&b);
	return step == 0 ? steps > 20 : !done;
}

static void t_every_step(void **state)
{
	long step = 1;

	(void)state;
	assert_true(one(0));
	while (one(step))
		step++;
	printf("%ld steps\n", step - 1);
	assert_true(step > 20);
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
