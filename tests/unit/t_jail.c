/* t_jail.c - an evil worker: the jail as worker/main.c builds it, then every escape we know of, as
 * the user who runs the tests and, when that is root, as nobody too. And the work that must go on:
 * names are resolved, SQLite works, mail moves between directories.
 */
#include "../../common/db.h"
#include "../../worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>
#include <netinet/in.h>

#include <cmocka.h>

#define NOBODY 65534

static char base[64];               /* .../mine may be written, .../theirs not */
static pid_t victim;                /* another process of the same user */

static char path_room[4][160];
static const char *at(const char *rest)
{
	static unsigned turn;
	char *out = path_room[turn++ % 4];

	snprintf(out, sizeof(path_room[0]), "%s/%s", base, rest);
	return out;
}

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool gets_socket(int family, int type, int protocol)
{
	int fd = socket(family, type, protocol);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* --- escapes: true = it got out --- */

static bool e_read_passwd(void) { return opens("/etc/passwd", O_RDONLY); }
static bool e_read_shadow(void) { return opens("/etc/shadow", O_RDONLY); }
static bool e_read_theirs(void) { return opens(at("theirs/state.db"), O_RDONLY); }
static bool e_write_theirs(void) { return opens(at("theirs/state.db"), O_WRONLY); }
static bool e_create_theirs(void) { return opens(at("theirs/new"), O_WRONLY | O_CREAT); }
static bool e_tmpfile_theirs(void) { return opens(at("theirs"), O_WRONLY | O_TMPFILE); }
static bool e_create_beside(void) { return opens(at("beside"), O_WRONLY | O_CREAT); }
static bool e_list_base(void) { return opens(base, O_RDONLY | O_DIRECTORY); }
static bool e_list_root(void) { return opens("/", O_RDONLY | O_DIRECTORY); }
static bool e_dotdot(void) { return opens(at("mine/../theirs/state.db"), O_RDONLY); }
static bool e_proc_environ(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)victim);
	return opens(path, O_RDONLY);
}
static bool e_proc_self_mem(void) { return opens("/proc/self/mem", O_RDWR); }
static bool e_sys(void) { return opens("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY); }
static bool e_memory_device(void) { return opens("/dev/mem", O_RDONLY) || opens("/dev/kmsg", O_RDONLY); }
static bool e_terminal(void) { return opens("/dev/tty", O_RDWR) || opens("/dev/ptmx", O_RDWR); }
static bool e_truncate(void) { return truncate(at("theirs/state.db"), 0) == 0; }
static bool e_unlink(void) { return unlink(at("theirs/state.db")) == 0; }
static bool e_rmdir(void) { return rmdir(at("theirs/empty")) == 0; }
static bool e_mkdir(void) { return mkdir(at("theirs/d"), 0700) == 0; }
static bool e_rename_out(void) { return rename(at("mine/a"), at("theirs/a")) == 0; }
static bool e_rename_in(void) { return rename(at("theirs/state.db"), at("mine/s")) == 0; }
static bool e_link_in(void) { return link(at("theirs/state.db"), at("mine/s2")) == 0; }
static bool e_link_out(void) { return link(at("mine/a"), at("theirs/a2")) == 0; }
static bool e_symlink(void)
{
	return symlink(at("theirs/state.db"), at("mine/sl")) == 0 && opens(at("mine/sl"), O_RDONLY);
}
static bool e_chmod(void) { return chmod(at("theirs/state.db"), 0644) == 0; }
static bool e_fchmodat(void) { return fchmodat(AT_FDCWD, at("theirs/state.db"), 0644, 0) == 0; }
static bool e_chown(void) { return chown(at("theirs/state.db"), getuid(), getgid()) == 0; }
static bool e_utimes(void) { return utimensat(AT_FDCWD, at("theirs/state.db"), NULL, 0) == 0; }
static bool e_utime(void) { return utime(at("theirs/state.db"), NULL) == 0; }
static bool e_setxattr(void) { return setxattr(at("theirs/state.db"), "user.x", "y", 1, 0) == 0; }
static bool e_mknod(void) { return mknod(at("mine/fifo"), S_IFIFO | 0600, 0) == 0; }
static bool e_inotify(void) { return inotify_init() >= 0; }
static bool e_chroot(void) { return chroot(at("mine")) == 0; }
static bool e_exec(void)
{
	char name[] = "true", *argv[] = { name, NULL };

	execv("/bin/true", argv);   /* comes back only if it failed */
	return false;
}
static bool e_exec_by_fd(void)
{
	char name[] = "true", *argv[] = { name, NULL }, *envp[] = { NULL };

	syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, envp, 0);
	return false;
}
static bool e_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0;
}
static bool e_vfork(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid > 0;
}
static bool e_clone3(void)
{
	struct { uint64_t f[11]; } args = { { 0 } };

	args.f[4] = SIGCHLD;
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(0);
	return pid > 0;
}
static bool e_spawn(void)
{
	char name[] = "true", *argv[] = { name, NULL }, *envp[] = { NULL };
	pid_t pid;

	return posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp) == 0;
}
static bool e_kill(void) { return kill(victim, 0) == 0; }
static bool e_kill_group(void) { return kill(0, 0) == 0; }
static bool e_tgkill(void) { return syscall(SYS_tgkill, victim, victim, 0) == 0; }
static bool e_tkill(void) { return syscall(SYS_tkill, victim, 0) == 0; }
static bool e_sigqueue(void) { return sigqueue(victim, 0, (union sigval){ 0 }) == 0; }
static bool e_pidfd(void) { return syscall(SYS_pidfd_open, victim, 0) >= 0; }
static bool e_ptrace(void) { return ptrace(PTRACE_ATTACH, victim, NULL, NULL) == 0; }
static bool e_seize(void) { return ptrace(PTRACE_SEIZE, victim, NULL, NULL) == 0; }
static bool e_vm_read(void)
{
	char room[8];
	struct { void *p; size_t n; } mine = { room, 8 }, theirs = { room, 8 };

	return syscall(SYS_process_vm_readv, victim, &mine, 1, &theirs, 1, 0) >= 0 || errno != EPERM;
}
static bool e_unix(void) { return gets_socket(AF_UNIX, SOCK_STREAM, 0); }
static bool e_socketpair(void)
{
	int fds[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
}
static bool e_netlink(void) { return gets_socket(AF_NETLINK, SOCK_RAW, 0); }
static bool e_packet(void) { return gets_socket(AF_PACKET, SOCK_DGRAM, 0); }
static bool e_vsock(void) { return gets_socket(AF_VSOCK, SOCK_STREAM, 0); }
static bool e_raw(void) { return gets_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
static bool e_raw6(void) { return gets_socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6); }
static bool e_listen(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 || listen(fd, 1) == 0;
}
static bool e_execmem(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}
static bool e_mprotect(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}
static bool e_memfd(void) { return memfd_create("x", 0) >= 0; }
static bool e_dumpable(void) { return prctl(PR_SET_DUMPABLE, 1) == 0; }
static bool e_orphan(void) { return prctl(PR_SET_PDEATHSIG, 0) == 0; }
static bool e_core(void)
{
	struct rlimit r = { RLIM_INFINITY, RLIM_INFINITY };

	return setrlimit(RLIMIT_CORE, &r) == 0;
}
static bool e_their_limit(void)
{
	struct rlimit r = { 10, 10 };

	return prlimit(victim, RLIMIT_NOFILE, &r, NULL) == 0;
}
static bool e_unshare(void) { return unshare(CLONE_NEWUSER) == 0; }
static bool e_mount(void) { return mount("none", at("mine"), "tmpfs", 0, NULL) == 0; }
static bool e_userfault(void) { return syscall(SYS_userfaultfd, 0) >= 0; }
static bool e_io_uring(void)
{
	char params[256] = { 0 };

	return syscall(SYS_io_uring_setup, 4, params) >= 0;
}
static bool e_bpf(void) { return syscall(SYS_bpf, 0, NULL, 0) >= 0 || errno != EPERM; }
static bool e_perf(void) { return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) >= 0 || errno != EPERM; }
static bool e_key(void) { return syscall(SYS_add_key, "user", "x", "y", 1, -2) >= 0; }
static bool e_shm(void) { return shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) >= 0; }
static bool e_setuid(void) { return setuid(getuid()) == 0; }
static bool e_handle(void)
{
	char handle[200] = { 64 };
	int id;

	return syscall(SYS_name_to_handle_at, AT_FDCWD, "/etc/passwd", handle, &id, 0) == 0;
}
static bool e_undo(void) { return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 0; }

#define ESCAPE(name) { #name, e_##name }
static const struct {
	const char *name;
	bool (*attempt)(void);
} escapes[] = {
	ESCAPE(read_passwd), ESCAPE(read_shadow), ESCAPE(read_theirs), ESCAPE(write_theirs), ESCAPE(create_theirs),
	ESCAPE(tmpfile_theirs), ESCAPE(create_beside), ESCAPE(list_base), ESCAPE(list_root), ESCAPE(dotdot),
	ESCAPE(proc_environ), ESCAPE(proc_self_mem), ESCAPE(sys), ESCAPE(memory_device), ESCAPE(terminal),
	ESCAPE(truncate), ESCAPE(unlink), ESCAPE(rmdir), ESCAPE(mkdir), ESCAPE(rename_out), ESCAPE(rename_in),
	ESCAPE(link_in), ESCAPE(link_out), ESCAPE(symlink), ESCAPE(chmod), ESCAPE(fchmodat), ESCAPE(chown),
	ESCAPE(utimes), ESCAPE(utime), ESCAPE(setxattr), ESCAPE(mknod), ESCAPE(inotify), ESCAPE(chroot),
	ESCAPE(exec), ESCAPE(exec_by_fd), ESCAPE(fork), ESCAPE(vfork), ESCAPE(clone3), ESCAPE(spawn),
	ESCAPE(kill), ESCAPE(kill_group), ESCAPE(tgkill), ESCAPE(tkill), ESCAPE(sigqueue), ESCAPE(pidfd),
	ESCAPE(ptrace), ESCAPE(seize), ESCAPE(vm_read), ESCAPE(unix), ESCAPE(socketpair), ESCAPE(netlink),
	ESCAPE(packet), ESCAPE(vsock), ESCAPE(raw), ESCAPE(raw6), ESCAPE(listen), ESCAPE(execmem),
	ESCAPE(mprotect), ESCAPE(memfd), ESCAPE(dumpable), ESCAPE(orphan), ESCAPE(core), ESCAPE(their_limit),
	ESCAPE(unshare), ESCAPE(mount), ESCAPE(userfault), ESCAPE(io_uring), ESCAPE(bpf), ESCAPE(perf),
	ESCAPE(key), ESCAPE(shm), ESCAPE(setuid), ESCAPE(handle), ESCAPE(undo),
};

/* --- what must go on working: true = it works --- */

static bool w_resolve(void)
{
	struct addrinfo *list = NULL;
	int rc = getaddrinfo("localhost", "143", NULL, &list);

	if (rc == 0)
		freeaddrinfo(list);
	return rc == 0;
}
static bool w_tcp(void) { return gets_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }
static bool w_udp6(void) { return gets_socket(AF_INET6, SOCK_DGRAM, 0) || errno == EAFNOSUPPORT; }
static bool w_sqlite(void)
{
	static const char *const migrations[] = { "CREATE TABLE t (x INTEGER)" };
	struct db *db = NULL;
	struct err err = ERR_INIT;
	bool ok = db_open(at("mine/state.db"), 1, migrations, 1, &db, &err) == E_OK;

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
	int fd = open(at("mine/tmp/m"), O_WRONLY | O_CREAT | O_EXCL, 0600);
	bool ok = fd >= 0 && write(fd, "x", 1) == 1 && futimens(fd, times) == 0 && fsync(fd) == 0;

	close(fd);
	return ok && mkdir(at("mine/cur2"), 0700) == 0 && rename(at("mine/tmp/m"), at("mine/cur2/m")) == 0 &&
	       link(at("mine/cur2/m"), at("mine/m2")) == 0 && unlink(at("mine/cur2/m")) == 0 &&
	       rmdir(at("mine/cur2")) == 0 && opens(at("mine"), O_RDONLY | O_DIRECTORY);
}
static bool w_spool(void)
{
	int fd = open(at("mine"), O_RDWR | O_TMPFILE, 0600);

	return fd >= 0 && write(fd, "x", 1) == 1 && ftruncate(fd, 0) == 0 && close(fd) == 0;
}
static bool w_zoneinfo(void) { return access("/usr/share/zoneinfo", F_OK) != 0 || opens("/usr/share/zoneinfo", O_RDONLY); }
static bool w_certificates(void) { return access("/etc/ssl/certs", F_OK) != 0 || opens("/etc/ssl/certs", O_RDONLY); }
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
		answer = gets_socket(AF_UNIX, SOCK_STREAM, 0) || e_read_theirs() ? 'E' : 'j';
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

	snprintf(mine, sizeof(mine), "%s/mine", base);
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
	for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
		if (escapes[i].attempt()) {
			fprintf(stderr, "uid %d escaped: %s\n", (int)getuid(), escapes[i].name);
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
	snprintf(base, sizeof(base), "/tmp/t_jail.XXXXXX");
	assert_non_null(mkdtemp(base));
	assert_int_equal(mkdir(at("mine"), 0700), 0);
	assert_int_equal(mkdir(at("mine/tmp"), 0700), 0);
	assert_int_equal(mkdir(at("theirs"), 0700), 0);
	assert_int_equal(mkdir(at("theirs/empty"), 0700), 0);
	touch(at("theirs/state.db"));
	touch(at("mine/a"));
}

static void remove_tree(void)
{
	static const char *const files[] = { "mine/a", "mine/state.db", "mine/state.db-wal", "mine/state.db-shm",
					     "mine/m2", "mine/tmp/m", "mine/sl", "theirs/state.db" };
	static const char *const dirs[] = { "mine/tmp", "mine/cur2", "mine", "theirs/empty", "theirs", "." };
	char path[160];

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlink(at(files[i]));
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(path, sizeof(path), strcmp(dirs[i], ".") == 0 ? "%s" : "%s/%s", base, dirs[i]);
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
	victim = fork();
	if (victim == 0) {
		for (;;)
			pause();
	}
	pid = fork();
	if (pid == 0)
		_exit(evil(me));
	waitpid(pid, &status, 0);
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
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
	assert_true(ARRAY_LEN(escapes) >= 30);
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
	unsigned out = 0;
	pid_t me = getpid();

	(void)parent;
	make_world();
	victim = fork();
	if (victim == 0) {
		for (;;)
			pause();
	}
	(void)me;
	static bool (*const harmless[])(void) = {
		e_read_passwd, e_read_theirs, e_write_theirs, e_create_theirs, e_list_base, e_list_root, e_dotdot,
		e_truncate, e_mkdir, e_rename_out, e_chmod, e_utimes, e_mknod, e_inotify, e_fork, e_vfork, e_clone3,
		e_kill, e_tgkill, e_pidfd, e_unix, e_socketpair, e_netlink, e_listen, e_mprotect, e_memfd,
		e_dumpable, e_orphan, e_shm, e_setuid,
	};
	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		out += harmless[i]();
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	unlink(at("theirs/new"));
	unlink(at("theirs/a"));
	unlink(at("mine/fifo"));
	rmdir(at("theirs/d"));
	remove_tree();
	return out >= ARRAY_LEN(harmless) - 3 ? 0 : (int)out + 1;
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
