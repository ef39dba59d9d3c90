/* t_local_vdir_steps.c - work on collections is interrupted at every numbered step, and the disk fails at every
 * single call: at any time each item is whole and there once, and going on from there ends where the
 * undisturbed run ends. Test builds only.
 *
 * write(), fsync(), fchmod() and renameat2() are our own here: the N-th call on something in the mailbox fails.
 */
#include "local_case.h"

#include "../../common/fail.h"
#include "../../worker/local/vdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef MS_TESTING

static struct box b;

/* --- the faults --- */

enum call { NO_CALL, CALL_WRITE, CALL_FSYNC, CALL_RENAME, CALL_CHMOD };

static struct {
	enum call call;
	long at, seen;
	int error;
} fault;

static bool fails(enum call call, int fd)
{
	char link[40], path[512];

	if (fault.call != call)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	if (strstr(path, "/Calendars") == NULL || ++fault.seen != fault.at)
		return false;
	errno = fault.error;
	return true;
}

ssize_t write(int fd, const void *p, size_t n)
{
	return fails(CALL_WRITE, fd) ? -1 : syscall(SYS_write, fd, p, n);
}

int fsync(int fd)
{
	return fails(CALL_FSYNC, fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fchmod(int fd, mode_t mode)
{
	return fails(CALL_CHMOD, fd) ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	return fails(CALL_RENAME, to_dir) ? -1 : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

/* --- what is there --- */

static const char *text_of(int n, const char *what)
{
	return arena_printf(b.arena, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:u%d\r\n"
			    "DTSTAMP:20240101T000000Z\r\nDTSTART:20240102T090000Z\r\nSUMMARY:%s\r\nEND:VEVENT\r\n"
			    "END:VCALENDAR\r\n", n, what);
}

/* How often an item with these bytes lies in any collection, the hidden ones too; *name_r the last one's. */
static size_t count_text(const char *text, const char **name_r)
{
	DIR *root = opendir(box_path(&b, "../Calendars"));
	struct dirent *d, *e;
	size_t found = 0;

	while (root != NULL && (d = readdir(root)) != NULL) {
		DIR *dir = d->d_name[0] == '.' && strncmp(d->d_name, ".mailshadow", 11) != 0 ? NULL :
			   opendir(box_path(&b, "../Calendars/%s", d->d_name));

		while (dir != NULL && (e = readdir(dir)) != NULL) {
			const char *file = arena_printf(b.arena, "../Calendars/%s/%s", d->d_name, e->d_name);

			if (!vdir_is_item(EP_EVENTS, span_of(e->d_name)))
				continue;
			if (strcmp(box_read(&b, file, NULL), text) != 0)
				continue;
			*name_r = arena_str(b.arena, span_of(e->d_name));
			found++;
		}
		if (dir != NULL)
			closedir(dir);
	}
	if (root != NULL)
		closedir(root);
	return found;
}

static size_t count(int n, const char *what)
{
	const char *name;

	return count_text(text_of(n, what), &name);
}

static const struct ep_folder *folder(const char *path)
{
	struct ep_list list = box_list(&b);

	for (size_t i = 0; i < list.n; i++) {
		if (list.folders[i].kind == EP_EVENTS && span_eq_str(list.folders[i].path, path))
			return &list.folders[i];
	}
	return NULL;
}

static size_t items(void)
{
	struct ep_list list = box_list(&b);
	size_t n = 0;

	for (size_t i = 0; i < list.n; i++)
		n += list.folders[i].kind == EP_EVENTS ? list.folders[i].count : 0;
	return n;
}

static void fill(void)
{
	assert_int_equal(mkdir(box_path(&b, "../Calendars"), 0700), 0);
	assert_int_equal(mkdir(box_path(&b, "../Calendars/home"), 0700), 0);
	for (int n = 1; n <= 4; n++)
		box_write(&b, arena_printf(b.arena, "../Calendars/home/%d.ics", n), text_of(n, "old"), n);
}

/* --- the scenario: does what is missing, so it is also the way on after an interruption --- */

static bool tree(struct ep_folder_op op)
{
	enum code rc = ep_local.folders(&b.ep, b.arena, &op, 1, &b.err);

	assert_true(rc == E_OK || op.code != E_OK);
	return rc == E_OK && op.code == E_OK;
}

static bool make_folders(void)
{
	struct ep_folder_op a = { .kind = EP_FOLDER_CREATE, .path = SPAN_LIT("A"), .item_kind = EP_EVENTS };
	struct ep_folder_op e = { .kind = EP_FOLDER_CREATE, .path = SPAN_LIT("Empty"), .item_kind = EP_EVENTS };

	if (folder("Renamed") != NULL)
		return true;
	return (folder("A") != NULL || tree(a)) && (folder("Empty") != NULL || tree(e));
}

static struct ep_op op_of(enum ep_op_kind kind, const struct ep_folder *f, int n, const char *what)
{
	const char *text = text_of(n, what);
	struct ep_op op = { .kind = kind, .folder = f, .received = INT64_MIN,
			    .id = span_of(arena_printf(b.arena, "%d.ics", n)),
			    .uid = span_of(arena_printf(b.arena, "u%d", n)) };

	if (kind == EP_CREATE || kind == EP_UPDATE)
		op.body = box_body(text, strlen(text));
	return op;
}

static bool change_items(void)
{
	const struct ep_folder *home = folder("home"), *a = folder("A") != NULL ? folder("A") : folder("Renamed");
	struct ep_op ops[8] = { 0 };
	size_t n = 0;

	for (int k = 10; k < 13; k++)
		if (count(k, "new") == 0)
			ops[n++] = op_of(EP_CREATE, k == 12 ? a : home, k, "new");
	if (count(1, "old") > 0)
		ops[n++] = op_of(EP_UPDATE, home, 1, "changed");
	if (count(2, "old") > 0)
		ops[n++] = op_of(EP_REMOVE, home, 2, "");
	struct ep_changes c = { .folder = home };
	assert_int_equal(ep_local.changes(&b.ep, b.arena, &c, 1, &b.err), E_OK);
	if (box_item(&c, "3.ics") != NULL) {
		ops[n++] = op_of(EP_MOVE, home, 3, "");
		ops[n - 1].to = a;
	}
	enum code rc = ep_local.apply(&b.ep, b.arena, ops, n, &b.err);
	bool ok = rc == E_OK;
	for (size_t i = 0; i < n; i++) {
		ok = ok && ops[i].code == E_OK;
		body_free(&ops[i].body);
	}
	return ok;
}

static bool change_folders(void)
{
	struct ep_folder_op rename = { .kind = EP_FOLDER_RENAME, .path = SPAN_LIT("Renamed"), .folder = folder("A") };
	struct ep_folder_op removal = { .kind = EP_FOLDER_REMOVE, .folder = folder("Empty") };

	return (rename.folder == NULL || tree(rename)) && (removal.folder == NULL || tree(removal));
}

static bool run(void)
{
	return box_open(&b) == E_OK && make_folders() && change_items() && change_folders();
}

/* --- what must hold --- */

static void check_any_time(void)
{
	assert_int_equal(count(1, "old") + count(1, "changed"), 1);
	assert_in_range(count(2, "old"), 0, 1);
	assert_int_equal(count(3, "old"), 1);
	assert_int_equal(count(4, "old"), 1);
	for (int n = 10; n < 13; n++)
		assert_in_range(count(n, "new"), 0, 1);
}

static void check_end(void)
{
	check_any_time();
	assert_int_equal(count(1, "changed"), 1);
	assert_int_equal(count(2, "old"), 0);
	for (int n = 10; n < 13; n++)
		assert_int_equal(count(n, "new"), 1);
	assert_int_equal(items(), 6);
	assert_int_equal(folder("home")->count, 4);
	assert_int_equal(folder("Renamed")->count, 2);
	assert_null(folder("Empty"));
	assert_null(folder("A"));
}

static void begin(void)
{
	char outer[128];

	box_new(&b);
	snprintf(outer, sizeof(outer), "%s/%s", b.dir, b.mailbox.smtp_name);
	assert_int_equal(mkdir(outer, 0700), 0);
	assert_int_equal(mkdir(box_path(&b, "%s", ""), 0700), 0);
	fill();
}

static bool stop_at(long step)
{
	begin();
	fail_stop_at(step);
	bool done = run();
	long steps = fail_count();

	assert_int_equal(done, step == 0 || !fail_dead());
	box_close(&b);
	fail_stop_at(0);
	check_any_time();
	if (!run())
		fail_msg("stopped at step %ld, and then: %s", step, err_text(&b.err));
	check_end();
	box_free(&b);
	return step == 0 ? steps > 15 : !done;
}

static void t_every_step(void **state)
{
	long step = 1;

	(void)state;
	assert_true(stop_at(0));
	while (stop_at(step))
		step++;
	print_message("%ld steps\n", step - 1);
	assert_true(step > 15);
}

static void every_call(enum call call, int error, const char *name)
{
	bool failed = true;
	long at = 1;

	for (; failed; at++) {
		begin();
		fault.call = call;
		fault.at = at;
		fault.seen = 0;
		fault.error = error;
		(void)!run();
		failed = fault.seen >= at;
		fault.call = NO_CALL;
		box_close(&b);
		check_any_time();
		/* what had failed before the last step may have been left over: once more is enough */
		assert_true(run());
		check_end();
		box_free(&b);
	}
	print_message("%s: %ld calls failed one by one\n", name, at - 2);
	assert_true(at > 2);
}

static void t_disk_full(void **state)
{
	(void)state;
	every_call(CALL_WRITE, ENOSPC, "write");
}

static void t_disk_broken(void **state)
{
	(void)state;
	every_call(CALL_WRITE, EIO, "write");
	every_call(CALL_FSYNC, EIO, "fsync");
}

static void t_renames(void **state)
{
	(void)state;
	every_call(CALL_RENAME, EACCES, "rename");
	every_call(CALL_RENAME, ENOSPC, "rename");
	every_call(CALL_RENAME, EINVAL, "rename, a file system that cannot exchange");
	every_call(CALL_CHMOD, EPERM, "chmod");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_every_step), cmocka_unit_test(t_disk_full), cmocka_unit_test(t_disk_broken),
		cmocka_unit_test(t_renames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	print_message("steps exist in test builds only\n");
	return 0;
}

#endif
