/* evil.c - every way out of a worker's jail that we know of. */
#include "evil.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
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
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

char evil_base[64];
pid_t evil_victim;

static char path_room[4][160];
const char *evil_at(const char *rest)
{
	static unsigned turn;
	char *out = path_room[turn++ % 4];

	snprintf(out, sizeof(path_room[0]), "%s/%s", evil_base, rest);
	return out;
}

bool evil_opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

bool evil_gets_socket(int family, int type, int protocol)
{
	int fd = socket(family, type, protocol);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* --- escapes: true = it got out --- */

static bool e_read_passwd(void) { return evil_opens("/etc/passwd", O_RDONLY); }
static bool e_read_shadow(void) { return evil_opens("/etc/shadow", O_RDONLY); }
static bool e_read_theirs(void) { return evil_opens(evil_at("theirs/state.db"), O_RDONLY); }
static bool e_write_theirs(void) { return evil_opens(evil_at("theirs/state.db"), O_WRONLY); }
static bool e_create_theirs(void) { return evil_opens(evil_at("theirs/new"), O_WRONLY | O_CREAT); }
static bool e_tmpfile_theirs(void) { return evil_opens(evil_at("theirs"), O_WRONLY | O_TMPFILE); }
static bool e_create_beside(void) { return evil_opens(evil_at("beside"), O_WRONLY | O_CREAT); }
static bool e_list_base(void) { return evil_opens(evil_base, O_RDONLY | O_DIRECTORY); }
static bool e_list_root(void) { return evil_opens("/", O_RDONLY | O_DIRECTORY); }
static bool e_dotdot(void) { return evil_opens(evil_at("mine/../theirs/state.db"), O_RDONLY); }
static bool e_proc_environ(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)evil_victim);
	return evil_opens(path, O_RDONLY);
}
static bool e_proc_self_mem(void) { return evil_opens("/proc/self/mem", O_RDWR); }
static bool e_sys(void) { return evil_opens("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY); }
static bool e_memory_device(void) { return evil_opens("/dev/mem", O_RDONLY) || evil_opens("/dev/kmsg", O_RDONLY); }
static bool e_terminal(void) { return evil_opens("/dev/tty", O_RDWR) || evil_opens("/dev/ptmx", O_RDWR); }
static bool e_truncate(void) { return truncate(evil_at("theirs/state.db"), 0) == 0; }
static bool e_unlink(void) { return unlink(evil_at("theirs/state.db")) == 0; }
static bool e_rmdir(void) { return rmdir(evil_at("theirs/empty")) == 0; }
static bool e_mkdir(void) { return mkdir(evil_at("theirs/d"), 0700) == 0; }
static bool e_rename_out(void) { return rename(evil_at("mine/a"), evil_at("theirs/a")) == 0; }
static bool e_rename_in(void) { return rename(evil_at("theirs/state.db"), evil_at("mine/s")) == 0; }
static bool e_link_in(void) { return link(evil_at("theirs/state.db"), evil_at("mine/s2")) == 0; }
static bool e_link_out(void) { return link(evil_at("mine/a"), evil_at("theirs/a2")) == 0; }
static bool e_symlink(void)
{
	return symlink(evil_at("theirs/state.db"), evil_at("mine/sl")) == 0 && evil_opens(evil_at("mine/sl"), O_RDONLY);
}
static bool e_chmod(void) { return chmod(evil_at("theirs/state.db"), 0644) == 0; }
static bool e_fchmodat(void) { return fchmodat(AT_FDCWD, evil_at("theirs/state.db"), 0644, 0) == 0; }
static bool e_chown(void) { return chown(evil_at("theirs/state.db"), getuid(), getgid()) == 0; }
static bool e_utimes(void) { return utimensat(AT_FDCWD, evil_at("theirs/state.db"), NULL, 0) == 0; }
static bool e_utime(void) { return utime(evil_at("theirs/state.db"), NULL) == 0; }
static bool e_setxattr(void) { return setxattr(evil_at("theirs/state.db"), "user.x", "y", 1, 0) == 0; }
static bool e_mknod(void) { return mknod(evil_at("mine/fifo"), S_IFIFO | 0600, 0) == 0; }
static bool e_inotify(void) { return inotify_init() >= 0; }
static bool e_chroot(void) { return chroot(evil_at("mine")) == 0; }
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
static bool e_kill(void) { return kill(evil_victim, 0) == 0; }
static bool e_kill_group(void) { return kill(0, 0) == 0; }
static bool e_tgkill(void) { return syscall(SYS_tgkill, evil_victim, evil_victim, 0) == 0; }
static bool e_tkill(void) { return syscall(SYS_tkill, evil_victim, 0) == 0; }
static bool e_sigqueue(void) { return sigqueue(evil_victim, 0, (union sigval){ 0 }) == 0; }
static bool e_pidfd(void) { return syscall(SYS_pidfd_open, evil_victim, 0) >= 0; }
static bool e_ptrace(void) { return ptrace(PTRACE_ATTACH, evil_victim, NULL, NULL) == 0; }
static bool e_seize(void) { return ptrace(PTRACE_SEIZE, evil_victim, NULL, NULL) == 0; }
static bool e_vm_read(void)
{
	char room[8];
	struct { void *p; size_t n; } mine = { room, 8 }, theirs = { room, 8 };

	return syscall(SYS_process_vm_readv, evil_victim, &mine, 1, &theirs, 1, 0) >= 0 || errno != EPERM;
}
static bool e_unix(void) { return evil_gets_socket(AF_UNIX, SOCK_STREAM, 0); }
static bool e_socketpair(void)
{
	int fds[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
}
static bool e_netlink(void) { return evil_gets_socket(AF_NETLINK, SOCK_RAW, 0); }
static bool e_packet(void) { return evil_gets_socket(AF_PACKET, SOCK_DGRAM, 0); }
static bool e_vsock(void) { return evil_gets_socket(AF_VSOCK, SOCK_STREAM, 0); }
static bool e_raw(void) { return evil_gets_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
static bool e_raw6(void) { return evil_gets_socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6); }
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

	return prlimit(evil_victim, RLIMIT_NOFILE, &r, NULL) == 0;
}
static bool e_unshare(void) { return unshare(CLONE_NEWUSER) == 0; }
static bool e_mount(void) { return mount("none", evil_at("mine"), "tmpfs", 0, NULL) == 0; }
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

#define ESCAPE(name) { #name, e_##name, false }
#define CLEAR(name) { #name, e_##name, true }
const struct evil_attempt evil_escapes[] = {
	CLEAR(read_passwd), ESCAPE(read_shadow), CLEAR(read_theirs), CLEAR(write_theirs), CLEAR(create_theirs),
	ESCAPE(tmpfile_theirs), ESCAPE(create_beside), CLEAR(list_base), CLEAR(list_root), CLEAR(dotdot),
	ESCAPE(proc_environ), ESCAPE(proc_self_mem), ESCAPE(sys), ESCAPE(memory_device), ESCAPE(terminal),
	CLEAR(truncate), ESCAPE(unlink), ESCAPE(rmdir), CLEAR(mkdir), CLEAR(rename_out), ESCAPE(rename_in),
	ESCAPE(link_in), ESCAPE(link_out), ESCAPE(symlink), CLEAR(chmod), ESCAPE(fchmodat), ESCAPE(chown),
	CLEAR(utimes), ESCAPE(utime), ESCAPE(setxattr), CLEAR(mknod), CLEAR(inotify), ESCAPE(chroot),
	ESCAPE(exec), ESCAPE(exec_by_fd), CLEAR(fork), CLEAR(vfork), CLEAR(clone3), ESCAPE(spawn),
	CLEAR(kill), ESCAPE(kill_group), CLEAR(tgkill), ESCAPE(tkill), ESCAPE(sigqueue), CLEAR(pidfd),
	ESCAPE(ptrace), ESCAPE(seize), ESCAPE(vm_read), CLEAR(unix), CLEAR(socketpair), CLEAR(netlink),
	ESCAPE(packet), ESCAPE(vsock), ESCAPE(raw), ESCAPE(raw6), CLEAR(listen), ESCAPE(execmem),
	CLEAR(mprotect), CLEAR(memfd), CLEAR(dumpable), CLEAR(orphan), ESCAPE(core), ESCAPE(their_limit),
	ESCAPE(unshare), ESCAPE(mount), ESCAPE(userfault), ESCAPE(io_uring), ESCAPE(bpf), ESCAPE(perf),
	ESCAPE(key), CLEAR(shm), CLEAR(setuid), ESCAPE(handle), ESCAPE(undo),
};
const size_t evil_n_escapes = ARRAY_LEN(evil_escapes);
