/* proc.c - posix_spawn, pidfd, waitid(P_PIDFD). Always called by the main thread: a worker's
 * PDEATHSIG fires when the thread that made it dies.
 */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#define WORKER "mailshadow-worker"
#define ABOVE 10                 /* descriptors that are handed down live above this */

enum code proc_find_worker(char *path, size_t size, struct err *err)
{
	/* as built; as installed, wherever PREFIX has been moved to */
	static const char *const places[] = { WORKER, "../lib/mailshadow/" WORKER };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		char *slash = strrchr(self, '/');
		if (slash != NULL)
			*slash = '\0';
		for (size_t i = 0; i < ARRAY_LEN(places); i++) {
			if (snprintf(path, size, "%s/%s", self, places[i]) < (int)size &&
			    access(path, X_OK) == 0)
				return E_OK;
		}
	}
	if (snprintf(path, size, "%s/" WORKER, MS_LIBEXECDIR) < (int)size && access(path, X_OK) == 0)
		return E_OK;
	return err_set(err, E_IO, "no %s next to this program or in %s", WORKER, MS_LIBEXECDIR);
}

/* What a worker may know of the environment: where Kerberos has its configuration; test builds pass their knobs on. */
static void environment(char *envp[9])
{
	static char kerberos[512];
	const char *krb5 = getenv("KRB5_CONFIG");
	/* looking up a name blocks: it must end before a worker's silence is taken for a hang (30 s) */
	static char locale[] = "LC_ALL=C.UTF-8", resolver[] = "RES_OPTIONS=timeout:2 attempts:2";
	size_t n = 0;

	envp[n++] = locale;
	envp[n++] = resolver;
	if (krb5 != NULL && snprintf(kerberos, sizeof(kerberos), "KRB5_CONFIG=%s", krb5) < (int)sizeof(kerberos))
		envp[n++] = kerberos;
#ifdef MS_TESTING
	static char knobs[4][128];
	static const char *const names[] = { "MS_STOP_AT", "MS_FAIL", "MS_SEED", "MS_CLOCK" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i]);

		if (value != NULL && snprintf(knobs[i], sizeof(knobs[i]), "%s=%s", names[i], value) <
				     (int)sizeof(knobs[i]))
			envp[n++] = knobs[i];
	}
#endif
	envp[n] = NULL;
}

int proc_start(const char *program, const posix_spawn_file_actions_t *files, char *const argv[],
	       char *const envp[], pid_t *pid_r)
{
	posix_spawnattr_t attr;
	sigset_t none, all;

	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setpgroup(&attr, 0);    /* a terminal's Ctrl-C is the supervisor's alone */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
				 POSIX_SPAWN_SETPGROUP);
	int rc = posix_spawn(pid_r, program, files, &attr, argv, envp);
	posix_spawnattr_destroy(&attr);
	return rc;
}

static int spawn(const char *program, int pipe_fd, pid_t *pid_r)
{
	posix_spawn_file_actions_t files;
	char name[] = WORKER, parent[16], *argv[] = { name, parent, NULL }, *envp[9];

	snprintf(parent, sizeof(parent), "%d", (int)getpid());
	environment(envp);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	posix_spawn_file_actions_adddup2(&files, pipe_fd, 3);
	posix_spawn_file_actions_addclosefrom_np(&files, 4);
	int rc = proc_start(program, &files, argv, envp, pid_r);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

enum code proc_spawn(const char *program, struct proc *proc_r, struct err *err)
{
	int pair[2], theirs, rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return err_errno(err, E_IO, "socketpair");
	theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, ABOVE);
	close(pair[1]);
	proc_r->pid = 0;
	proc_r->pidfd = -1;
	rc = theirs < 0 ? errno : spawn(program, theirs, &proc_r->pid);
	if (theirs >= 0)
		close(theirs);
	if (rc == 0) {
		proc_r->pidfd = (int)syscall(SYS_pidfd_open, proc_r->pid, 0);   /* close-on-exec by itself */
		rc = proc_r->pidfd < 0 ? errno : 0;
	}
	if (rc != 0) {
		if (proc_r->pid > 0) {
			kill(proc_r->pid, SIGKILL);
			waitpid(proc_r->pid, NULL, 0);
			proc_r->pid = 0;
		}
		close(pair[0]);
		errno = rc;
		return err_errno(err, E_IO, "%s: cannot be started", program);
	}
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	proc_r->fd = pair[0];
	return E_OK;
}

void proc_kill(const struct proc *proc)
{
	if (proc->pid > 0)
		syscall(SYS_pidfd_send_signal, proc->pidfd, SIGKILL, NULL, 0);
}

bool proc_reap(struct proc *proc, int *status_r)
{
	siginfo_t info = { .si_pid = 0 };

	if (proc->pid <= 0 || waitid((idtype_t)P_PIDFD, (id_t)proc->pidfd, &info, WEXITED | WNOHANG) != 0 ||
	    info.si_pid == 0)
		return false;
	*status_r = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	close(proc->pidfd);
	close(proc->fd);
	*proc = (struct proc){ .pid = 0, .pidfd = -1, .fd = -1 };
	return true;
}
