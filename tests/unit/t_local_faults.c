/* t_local_faults.c - the disk fails in the middle of a pass: full, broken, or another file system than
 * thought. The error names the path, and when the disk is well again both sides come out equal with
 * nothing lost and nothing twice.
 *
 * write(), fsync(), renameat2() and linkat() are our own here: the N-th call on something in the
 * mailbox fails, for every N until none does. One test needs a mount and says so if it cannot have it.
 */
#include "mail_user.h"

#include "../../common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the faults --- */

enum call { NO_CALL, CALL_WRITE, CALL_FSYNC, CALL_RENAME, CALL_LINK };

static struct {
	enum call call;
	long at;                     /* the N-th fails; 0: each */
	long seen;
	int error;
	bool hit;
} fault;

static bool in_mailbox(int fd)
{
	char link[40], path[512];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return strstr(path, "/Mail") != NULL;
}

static bool fails(enum call call, int fd)
{
	if (fault.call != call || !in_mailbox(fd))
		return false;
	fault.seen++;
	if (fault.at != 0 && fault.seen != fault.at)
		return false;
	fault.hit = true;
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

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	/* within one directory there is no other file system */
	bool border = from_dir != to_dir && strncmp(from, "mailshadow-", 11) != 0;

	if (border && fails(CALL_RENAME, to_dir))
		return -1;
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	return fails(CALL_LINK, to_dir) ? -1 : (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

/* --- a pairing of memory (left) and disk (right) --- */

static struct pass_case c;
static struct user left, right;

static void begin(enum conf_deletions deletions)
{
	fault.call = NO_CALL;
	pc_new(&c, "memory", "local");
	c.pairing.deletions[0] = c.pairing.deletions[1] = deletions;
	left = user_of(&c, SIDE_LEFT);
	right = user_of(&c, SIDE_RIGHT);
	user_make(&left, "A", EP_ROLE_NONE);
	for (int i = 0; i < 6; i++) {
		char id[16];

		snprintf(id, sizeof(id), "m%d", i);
		user_add(&left, i < 4 ? "INBOX" : "A", id);
	}
	assert_int_equal(pc_run(&c, PASS_SYNC).code, E_OK);
}

/* What the disk has to write: new mail, a new keyword, a move, a deletion, a new folder. */
static void change(void)
{
	user_add(&left, "INBOX", "n0");
	user_add(&left, "A", "n1");
	user_flags(&left, "INBOX", "m0", EP_SEEN, "blue");
	user_move(&left, "INBOX", "m1", "A");
	user_remove(&left, "INBOX", "m2");
	user_make(&left, "N", EP_ROLE_NONE);
	user_add(&left, "N", "n2");
}

static void without_bin(char *text)
{
	char *to = text;

	for (char *line = text, *end; *line != '\0'; line = end) {
		end = strchr(line, '\n') + 1;
		if (strncmp(line, "Trash", 5) == 0)
			continue;
		memmove(to, line, (size_t)(end - line));
		to += end - line;
	}
	*to = '\0';
}

/* The disk is well again. */
static void must_end_equal(long at)
{
	fault.call = NO_CALL;
	for (int i = 0; i < 3; i++) {
		struct pass_result r = pc_run(&c, PASS_SYNC);

		if (r.code != E_OK)
			fail_msg("call %ld failed; afterwards: %s", at, err_text(&r.err));
	}
	char *l = user_picture(&left, false), *r = user_picture(&right, false);

	without_bin(l);
	without_bin(r);
	if (strcmp(l, r) != 0)
		fail_msg("call %ld failed; the sides differ:\n%s\n%s", at, l, r);
	/* six, three more, one deleted */
	size_t n = 0;
	for (const char *p = l; (p = strstr(p, "Message-ID")) != NULL; p++)
		n++;
	assert_int_equal(n, 8);
	mem_free(l);
	mem_free(r);
	if (pc_run(&c, PASS_VERIFY).verdict != 0)
		fail_msg("call %ld failed; verify: %s", at, buf_str(&c.parts));
	pc_free(&c);
}

static void must_name_the_path(const struct pass_result *r, long at, int error)
{
	if (strstr(err_text(&r->err), right.root) == NULL || strstr(err_text(&r->err), strerror(error)) == NULL)
		fail_msg("call %ld failed: \"%s\" does not tell that %s has \"%s\"", at, err_text(&r->err), right.root,
			 strerror(error));
}

static void every_call(enum call call, int error, const char *name)
{
	long at = 1, told = 0;

	for (;; at++) {
		begin(DELETIONS_TRASH);
		change();
		fault.call = call;
		fault.error = error;
		fault.at = at;
		fault.seen = 0;
		fault.hit = false;
		struct pass_result r = pc_run(&c, PASS_SYNC);
		bool hit = fault.hit;

		/* one failure of something that is done again or can wait may pass */
		if (r.code != E_OK) {
			must_name_the_path(&r, at, error);
			told++;
		}
		must_end_equal(at);
		if (!hit)
			break;
	}
	print_message("%s: %ld calls failed one by one, %ld ended the pass\n", name, at - 1, told);
	assert_true(at > 7);
	assert_true(told > 4);
}

static void t_enospc_on_write(void **state)
{
	(void)state;
	every_call(CALL_WRITE, ENOSPC, "ENOSPC on write");
}

static void t_enospc_on_fsync(void **state)
{
	(void)state;
	every_call(CALL_FSYNC, ENOSPC, "ENOSPC on fsync");
}

static void t_eio_on_fsync(void **state)
{
	(void)state;
	every_call(CALL_FSYNC, EIO, "EIO on fsync");
}

static void t_quota_on_write(void **state)
{
	(void)state;
	every_call(CALL_WRITE, EDQUOT, "EDQUOT on write");
}

/* Folders on different file systems: messages are copied, and the pass is none the worse. */
static void t_exdev(void **state)
{
	(void)state;
	begin(DELETIONS_TRASH);
	change();
	fault.call = CALL_RENAME;
	fault.error = EXDEV;
	fault.at = fault.seen = 0;
	fault.hit = false;
	struct pass_result r = pc_run(&c, PASS_SYNC);

	assert_true(fault.hit);
	if (r.code != E_OK)
		fail_msg("%s", err_text(&r.err));
	must_end_equal(0);
}

/* --- a disk that is really full --- */

#define ROOMY "size=4m"
#define SMALL "size=256k"

static void t_full_disk(void **state)
{
	char path[256];

	(void)state;
	fault.call = NO_CALL;
	pc_new(&c, "memory", "local");
	snprintf(path, sizeof(path), "%s", c.endpoint[SIDE_RIGHT].path);
	if (mount("tmpfs", path, "tmpfs", 0, SMALL) != 0) {
		print_message("no mount here (%s): a full disk is not tested\n", strerror(errno));
		pc_free(&c);
		skip();
	}
	left = user_of(&c, SIDE_LEFT);
	right = user_of(&c, SIDE_RIGHT);
	for (int i = 0; i < 120; i++) {
		char id[16];

		snprintf(id, sizeof(id), "f%d", i);
		user_add(&left, "INBOX", id);
	}
	struct pass_result r = pc_run(&c, PASS_SYNC);
	assert_int_equal(r.code, E_DISK);
	must_name_the_path(&r, 0, ENOSPC);
	/* still full: what is missing there is not taken for deleted */
	assert_int_equal(pc_run(&c, PASS_SYNC).code, E_DISK);
	assert_int_equal(mem_total(left.mem, true), 120);
	assert_int_equal(mount("tmpfs", path, "tmpfs", MS_REMOUNT, ROOMY), 0);
	for (int i = 0; i < 2; i++) {
		r = pc_run(&c, PASS_SYNC);
		if (r.code != E_OK)
			fail_msg("with room again: %s", err_text(&r.err));
	}
	char *a = user_picture(&left, false), *b = user_picture(&right, false);
	assert_string_equal(a, b);
	mem_free(a);
	mem_free(b);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	pc_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_enospc_on_write), cmocka_unit_test(t_enospc_on_fsync),
		cmocka_unit_test(t_eio_on_fsync), cmocka_unit_test(t_quota_on_write),
		cmocka_unit_test(t_exdev), cmocka_unit_test(t_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
