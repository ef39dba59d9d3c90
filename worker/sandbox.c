/* sandbox.c - rlimits, Landlock (the rights of ABI 2) and seccomp (libseccomp, on all threads).
 *
 * Everything is refused with an error, never with a kill: the resolver tries AF_UNIX and AF_NETLINK
 * and lives without. What Landlock of that age does not see by path (truncate, chmod, chown,
 * utimes, extended attributes, inotify) is refused by seccomp; the same by descriptor stays.
 * Test: tests/unit/t_jail.c tries to escape.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <malloc.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LARGE (1024 * 1024)
#define FILES_MAX 1024
#define FILE_MAX ((rlim_t)16 << 30)
#define MEMORY_MAX ((rlim_t)2 << 30)

static bool limit(int what, rlim_t value)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)what, &now) != 0)
		return false;
	if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value)
		value = now.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &(struct rlimit){ value, value }) == 0;
}

enum code sandbox_limits(pid_t parent, struct err *err)
{
	bool ok = limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, FILES_MAX) && limit(RLIMIT_FSIZE, FILE_MAX);

#ifndef MS_NO_JAIL
	mallopt(M_ARENA_MAX, 2);         /* address space is limited, and libzmq has threads */
	mallopt(M_MMAP_THRESHOLD, LARGE);  /* for good: large arrays grow in place and leave no holes */
	ok = ok && limit(RLIMIT_AS, MEMORY_MAX);
#endif
	if (!ok || prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return err_errno(err, E_INTERNAL, "limits of the process");
	/* the signal does not come if the parent died before it was asked for */
	return getppid() == parent ? E_OK : err_set(err, E_CANCELLED, "the supervisor is gone");
}

#ifdef MS_NO_JAIL

enum code sandbox_landlock(const struct sandbox_dirs *dirs, struct err *err)
{
	(void)dirs;
	(void)err;
	return E_OK;
}

enum code sandbox_prepare(struct err *err)
{
	(void)err;
	return E_OK;
}

enum code sandbox_seccomp(struct err *err)
{
	(void)err;
	return E_OK;
}

#else

/* --- Landlock --- */

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ_TREE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_TREE (READ_TREE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
		    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
		    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER)
/* All rights of ABI 2: 13 of ABI 1, and REFER. */
#define HANDLED (((uint64_t)1 << 14) - 1)

/* What name resolution, TLS and time need. A path that does not exist needs no rule; a link is
 * followed, so the rule is for what it points to. */
static const struct {
	const char *path;
	uint64_t access;
} readable[] = {
	{ "/etc/resolv.conf", READ_FILE }, { "/etc/hosts", READ_FILE }, { "/etc/nsswitch.conf", READ_FILE },
	{ "/etc/host.conf", READ_FILE }, { "/etc/gai.conf", READ_FILE }, { "/etc/services", READ_FILE },
	{ "/etc/localtime", READ_FILE }, { "/usr/share/zoneinfo", READ_TREE },
	{ "/etc/ssl/openssl.cnf", READ_FILE }, { "/etc/ssl/certs", READ_TREE },
	{ "/usr/share/ca-certificates", READ_TREE }, { "/usr/local/share/ca-certificates", READ_TREE },
	{ "/etc/krb5.conf", READ_FILE }, { "/etc/krb5.conf.d", READ_TREE }, { "/etc/gss", READ_TREE },
	{ "/dev/null", READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE }, { "/dev/urandom", READ_FILE },
};

static enum code allow(int ruleset, const char *path, uint64_t access, struct err *err)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };
	struct stat st;
	enum code rc = E_OK;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? E_OK :
		       err_errno(err, E_INTERNAL, "%s", path);
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
		rc = err_errno(err, E_INTERNAL, "Landlock: %s", path);
	close(rule.parent_fd);
	return rc;
}

enum code sandbox_landlock(const struct sandbox_dirs *dirs, struct err *err)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = HANDLED };
	const char *kerberos = getenv("KRB5_CONFIG");
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	enum code rc = E_OK;
	int ruleset;

	if (abi < 2)
		return err_set(err, E_UNSUPPORTED,
				"this kernel has no Landlock (or an old one): files are not fenced off");
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return err_errno(err, E_INTERNAL, "Landlock");
	for (size_t i = 0; rc == E_OK && i < ARRAY_LEN(readable); i++)
		rc = allow(ruleset, readable[i].path, readable[i].access, err);
	if (rc == E_OK && kerberos != NULL)
		rc = allow(ruleset, kerberos, READ_FILE, err);
	for (size_t i = 0; rc == E_OK && i < dirs->n_writable; i++)
		rc = allow(ruleset, dirs->writable[i], WRITE_TREE, err);
	if (rc == E_OK && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		rc = err_errno(err, E_INTERNAL, "Landlock");
	close(ruleset);
	return rc;
}

/* --- seccomp --- */

/* Refused whatever the arguments. Names that this libseccomp or machine lacks are skipped. Setting
 * one's own scheduling is not among them: a thread of libzmq may do it as late as here, and aborts
 * the process if it is refused. */
static const char *const refused[] = {
	/* other programs, processes, namespaces */
	"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev",
	"process_madvise", "process_mrelease", "kcmp", "pidfd_open", "pidfd_send_signal", "pidfd_getfd",
	"kill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "unshare", "setns", "setpgid", "setsid",
	/* listeners and other sockets */
	"bind", "listen", "accept", "accept4", "socketpair",
	/* by path, where Landlock of ABI 2 does not look */
	"truncate", "truncate64", "chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat", "chroot",
	"utime", "utimes", "futimesat", "setxattr", "lsetxattr", "removexattr", "lremovexattr",
	"setxattrat", "removexattrat", "inotify_init", "inotify_init1", "inotify_add_watch",
	"fanotify_init", "fanotify_mark", "name_to_handle_at", "open_by_handle_at", "mknod", "mknodat",
	"symlink", "symlinkat",
	/* mounts */
	"mount", "umount", "umount2", "pivot_root", "move_mount", "open_tree", "fsopen", "fsconfig",
	"fsmount", "fspick", "mount_setattr", "quotactl", "quotactl_fd", "swapon", "swapoff", "acct",
	/* the kernel's wider doors */
	"bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
	"add_key", "request_key", "keyctl", "init_module", "finit_module", "delete_module", "kexec_load",
	"kexec_file_load", "reboot", "syslog", "iopl", "ioperm", "modify_ldt", "personality",
	"memfd_secret", "memfd_create", "io_setup", "io_submit", "lookup_dcookie", "vhangup",
	"landlock_create_ruleset",
	/* identity and clocks */
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid",
	"setgroups", "capset", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname",
	"setdomainname",
	/* System V, which lives outside all files */
	"shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "semget", "semop", "mq_open",
};

#define REFUSE SCMP_ACT_ERRNO(EPERM)

static int refuse_names(scmp_filter_ctx ctx)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		int number = seccomp_syscall_resolve_name(refused[i]);
		int rc = number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(ctx, REFUSE, number, 0);

		if (rc != 0 && rc != -EDOM && rc != -EINVAL)
			return rc;
	}
	return 0;
}

/* Only IPv4 and IPv6, only streams and datagrams. */
static int refuse_sockets(scmp_filter_ctx ctx)
{
	static const unsigned types[] = { SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET };
	int rc = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_LT, AF_INET));

	if (rc == 0)
		rc = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_INET6));
	for (unsigned family = AF_INET + 1; rc == 0 && family < AF_INET6; family++)
		rc = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, family));
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(types); i++)
		rc = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(socket), 1,
				      SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, types[i]));
	return rc;
}

/* Threads may be made, processes not; signals only to ourselves (abort() needs that); memory is
 * never executable that was writable; times only by descriptor. */
static int refuse_by_argument(scmp_filter_ctx ctx)
{
	static const int protections[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(pkey_mprotect) };
	static const unsigned options[] = { PR_SET_DUMPABLE, PR_SET_PTRACER, PR_SET_PDEATHSIG, PR_SET_MM };
	int rc = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(clone), 1,
				  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));

	if (rc == 0)     /* its flags lie in memory; glibc takes clone() instead */
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (rc == 0)
		rc = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(tgkill), 1,
				      SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid()));
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(protections); i++)
		rc = seccomp_rule_add(ctx, REFUSE, protections[i], 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(options); i++)
		rc = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, options[i]));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(utimensat), 1, SCMP_A1(SCMP_CMP_NE, 0));
	if (rc == 0)     /* raising a limit, or anybody else's */
		rc = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_NE, 0));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(setrlimit), 0);
	if (rc == 0)     /* typing into the terminal of whoever started us */
		rc = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, 0x5412 /* TIOCSTI */));
	return rc;
}

static scmp_filter_ctx filter;       /* prepared, not loaded */

static int build_filter(void)
{
	int rc;

	filter = seccomp_init(SCMP_ACT_ALLOW);
	rc = filter == NULL ? -ENOMEM : seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (rc == 0)     /* a foreign ABI (x32, i386) is no way round */
		rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (rc == 0)
		rc = refuse_names(filter);
	if (rc == 0)
		rc = refuse_sockets(filter);
	if (rc == 0)
		rc = refuse_by_argument(filter);
	return rc;
}

static enum code seccomp_failed(int rc, struct err *err)
{
	errno = -rc;
	return err_errno(err, E_INTERNAL, "seccomp");
}

enum code sandbox_prepare(struct err *err)
{
	int rc = filter != NULL ? 0 : build_filter();

	return rc == 0 ? E_OK : seccomp_failed(rc, err);
}

enum code sandbox_seccomp(struct err *err)
{
	enum code rc = sandbox_prepare(err);
	int loaded = rc == E_OK ? seccomp_load(filter) : 0;

	if (filter != NULL)
		seccomp_release(filter);
	filter = NULL;
	return loaded == 0 ? rc : seccomp_failed(loaded, err);
}

#endif
