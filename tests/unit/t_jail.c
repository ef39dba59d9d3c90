/* t_jail.c - an evil worker: the jail as worker/main.c builds it, then every escape we know of, as
 * the user who runs the tests and, when that is root, as nobody too. And the work that must go on:
 * names are resolved, SQLite works, mail moves between directories.
 */
#include "../../common/db.h"
#include "../../worker/sandbox.h"
#include "evil.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

/* --- what must go on working: true = it works --- */

static bool w_resolve(void)
{
	struct addrinfo *list = NULL;
	int rc = getaddrinfo("localhost", "143", NULL, &list);

	if (rc == 0)
		freeaddrinfo(list);
	return rc == 0;
}
static bool w_tcp(void) { return evil_gets_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }
static bool w_udp6(void) { return evil_gets_socket(AF_INET6, SOCK_DGRAM, 0) || errno == EAFNOSUPPORT; }
static bool w_sqlite(void)
{
	static const char *const migrations[] = { "CREATE TABLE t (x INTEGER)" };
	struct db *db = NULL;
	struct err err = ERR_INIT;
	bool ok = db_open(evil_at("mine/state.db"), 1, migrations, 1, &db, &err) == E_OK;

	for (int i = 0; ok && i < 200; i++)
		ok = db_begin(db, &err) == E_OK && db_exec(db, "INSERT INTO t VALUES (1)", &err) == E_OK &&
		     db_commit(db, &err) == E_OK;
	ok = ok && db_check(db, &err) == E_OK;
	if (!ok)
		fprintf(stderr, "sqlite: %s\n", err_text(&err));
	db_close(&db);
	return ok;
}
static bool w_maildir(void)
{
	struct timespec times[2] = { { 0, UTIME_OMIT }, { 1000000000, 0 } };
	int fd = open(evil_at("mine/tmp/m"), O_WRONLY | O_CREAT | O_EXCL, 0600);
	bool ok = fd >= 0 && write(fd, "x", 1) == 1 && futimens(fd, times) == 0 && fsync(fd) == 0;

	close(fd);
	return ok && mkdir(evil_at("mine/cur2"), 0700) == 0 && rename(evil_at("mine/tmp/m"), evil_at("mine/cur2/m")) == 0 &&
	       link(evil_at("mine/cur2/m"), evil_at("mine/m2")) == 0 && unlink(evil_at("mine/cur2/m")) == 0 &&
	       rmdir(evil_at("mine/cur2")) == 0 && evil_opens(evil_at("mine"), O_RDONLY | O_DIRECTORY);
}
static bool w_spool(void)
{
	int fd = open(evil_at("mine"), O_RDWR | O_TMPFILE, 0600);

	return fd >= 0 && write(fd, "x", 1) == 1 && ftruncate(fd, 0) == 0 && close(fd) == 0;
}
static bool w_zoneinfo(void) { return access("/usr/share/zoneinfo", F_OK) != 0 || evil_opens("/usr/share/zoneinfo", O_RDONLY); }
static bool w_certificates(void) { return access("/etc/ssl/certs", F_OK) != 0 || evil_opens("/etc/ssl/certs", O_RDONLY); }
static void *nothing(void *arg) { return arg; }
static bool w_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

/* libzmq's threads do this when they start, which may be after seccomp. */
static bool w_scheduling(void)
{
	struct sched_param param;
	int policy;

	return pthread_getschedparam(pthread_self(), &policy, &param) == 0 &&
	       pthread_setschedparam(pthread_self(), policy, &param) == 0;
}

#define WORK(name) { #name, w_##name }
static const struct {
	const char *name;
	bool (*attempt)(void);
} works[] = {
	WORK(resolve), WORK(tcp), WORK(udp6), WORK(sqlite), WORK(maildir), WORK(spool), WORK(zoneinfo),
	WORK(certificates), WORK(thread), WORK(scheduling),
};

/* --- the jailed process --- */

/* A thread from before seccomp, as libzmq's are: the filter must reach it. */
static int thread_go[2], thread_answer[2];
static void *old_thread(void *arg)
{
	char answer = 0;

	(void)arg;
	if (read(thread_go[0], &answer, 1) == 1) {
		answer = evil_gets_socket(AF_UNIX, SOCK_STREAM, 0) || evil_opens(evil_at("theirs/state.db"), O_RDONLY) ? 'E' : 'j';
		if (write(thread_answer[1], &answer, 1) != 1)
			return NULL;
	}
	return NULL;
}

static bool old_thread_is_jailed(void)
{
	char c = 'g';

	return write(thread_go[1], &c, 1) == 1 && read(thread_answer[0], &c, 1) == 1 && c == 'j';
}

static int evil(pid_t parent)
{
	const char *dirs[1] = { NULL };
	char mine[160];
	struct sandbox_dirs list = { dirs, 1 };
	struct err err = ERR_INIT;
	pthread_t thread;
	int bad = 0;

	snprintf(mine, sizeof(mine), "%s/mine", evil_base);
	dirs[0] = mine;
	if (sandbox_limits(parent, &err) != E_OK || sandbox_landlock(&list, &err) != E_OK) {
		fprintf(stderr, "jail: %s\n", err_text(&err));
		return 200;
	}
	if (pipe(thread_go) != 0 || pipe(thread_answer) != 0 || pthread_create(&thread, NULL, old_thread, NULL) != 0)
		return 201;
	if (sandbox_seccomp(&err) != E_OK) {
		fprintf(stderr, "jail: %s\n", err_text(&err));
		return 202;
	}
	for (size_t i = 0; i < evil_n_escapes; i++) {
		if (evil_escapes[i].attempt()) {
			fprintf(stderr, "uid %d escaped: %s\n", (int)getuid(), evil_escapes[i].name);
			bad++;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(works); i++) {
		if (!works[i].attempt()) {
			fprintf(stderr, "uid %d cannot work: %s: %s\n", (int)getuid(), works[i].name, strerror(errno));
			bad++;
		}
	}
	if (!old_thread_is_jailed()) {
		fprintf(stderr, "uid %d: a thread escaped\n", (int)getuid());
		bad++;
	}
	return bad;
}

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0 && write(fd, "data", 4) == 4);
	close(fd);
}

static void make_world(void)
{
	snprintf(evil_base, sizeof(evil_base), "/tmp/t_jail.XXXXXX");
	assert_non_null(mkdtemp(evil_base));
	assert_int_equal(mkdir(evil_at("mine"), 0700), 0);
	assert_int_equal(mkdir(evil_at("mine/tmp"), 0700), 0);
	assert_int_equal(mkdir(evil_at("theirs"), 0700), 0);
	assert_int_equal(mkdir(evil_at("theirs/empty"), 0700), 0);
	touch(evil_at("theirs/state.db"));
	touch(evil_at("mine/a"));
}

static void remove_tree(void)
{
	static const char *const files[] = { "mine/a", "mine/state.db", "mine/state.db-wal", "mine/state.db-shm",
					     "mine/m2", "mine/tmp/m", "mine/sl", "theirs/state.db" };
	static const char *const dirs[] = { "mine/tmp", "mine/cur2", "mine", "theirs/empty", "theirs", "." };
	char path[160];

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlink(evil_at(files[i]));
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(path, sizeof(path), strcmp(dirs[i], ".") == 0 ? "%s" : "%s/%s", evil_base, dirs[i]);
		rmdir(path);
	}
}

/* Run `what` as `uid` in a child; its exit status. */
static int as_user(uid_t uid, int (*what)(pid_t parent))
{
	pid_t parent = getpid(), pid = fork();
	int status = 0;

	if (pid == 0) {
		if (uid != getuid() && (setgid(uid) != 0 || setuid(uid) != 0))
			_exit(203);
		_exit(what(parent));
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static int whole_world(pid_t parent)
{
	pid_t me = getpid(), pid;
	int status = 0;

	(void)parent;
	make_world();
	evil_victim = fork();
	if (evil_victim == 0) {
		for (;;)
			pause();
	}
	pid = fork();
	if (pid == 0)
		_exit(evil(me));
	waitpid(pid, &status, 0);
	kill(evil_victim, SIGKILL);
	waitpid(evil_victim, NULL, 0);
	remove_tree();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 204;
}

static bool no_jail(void)
{
#ifdef MS_NO_JAIL
	return true;
#else
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 2;
#endif
}

static void test_evil_worker(void **ctx)
{
	(void)ctx;
	if (no_jail())
		skip();
	assert_true(evil_n_escapes >= 30);
	assert_int_equal(as_user(getuid(), whole_world), 0);
}

static void test_evil_worker_as_nobody(void **ctx)
{
	(void)ctx;
	if (no_jail() || getuid() != 0)
		skip();
	assert_int_equal(as_user(NOBODY, whole_world), 0);
}

/* Without the jail most of the attempts succeed: the table tests something. */
static int unjailed(pid_t parent)
{
	unsigned out = 0, tried = 0;
	pid_t me = getpid();

	(void)parent;
	make_world();
	evil_victim = fork();
	if (evil_victim == 0) {
		for (;;)
			pause();
	}
	(void)me;
	for (size_t i = 0; i < evil_n_escapes; i++) {
		if (!evil_escapes[i].clear)
			continue;
		tried++;
		out += evil_escapes[i].attempt();
	}
	kill(evil_victim, SIGKILL);
	waitpid(evil_victim, NULL, 0);
	unlink(evil_at("theirs/new"));
	unlink(evil_at("theirs/a"));
	unlink(evil_at("mine/fifo"));
	rmdir(evil_at("theirs/d"));
	remove_tree();
	return tried >= 25 && out + 3 >= tried ? 0 : (int)out + 1;
}

static void test_without_the_jail(void **ctx)
{
	(void)ctx;
	assert_int_equal(as_user(getuid(), unjailed), 0);
}

static int wrong_parent(pid_t parent)
{
	struct err err = ERR_INIT;

	return sandbox_limits(parent + 1, &err) == E_CANCELLED ? 0 : 1;
}

static void test_parent_already_gone(void **ctx)
{
	(void)ctx;
	assert_int_equal(as_user(getuid(), wrong_parent), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_the_jail), cmocka_unit_test(test_evil_worker),
		cmocka_unit_test(test_evil_worker_as_nobody), cmocka_unit_test(test_parent_already_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
