/* proc.h - birth and death of worker processes. Death is what waitid() says, nothing else. */
#ifndef MS_PROC_H
#define MS_PROC_H

#include "../common/err.h"

#include <spawn.h>
#include <sys/types.h>

struct proc {
	pid_t pid;               /* 0 = none */
	int pidfd;               /* readable when it is dead */
	int fd;                  /* our end of its socketpair, non-blocking */
};

/* Start a program with clean signals, in a process group of its own. 0 or an errno. */
int proc_start(const char *program, const posix_spawn_file_actions_t *files, char *const argv[],
	       char *const envp[], pid_t *pid_r);
/* The worker's program: next to this program, else in the directory it was installed to. */
enum code proc_find_worker(char *path, size_t size, struct err *err) MS_MUST_USE;
/* A clean environment, everything closed but 0, 1, 2 (null) and 3 (socketpair). It does nothing until
 * it is given its log. */
enum code proc_spawn(const char *program, struct proc *proc_r, struct err *err) MS_MUST_USE;
void proc_kill(const struct proc *proc);
/* True when it was dead and is reaped now; *status_r as a shell shows it (128 + signal). Closes
 * the descriptors. */
bool proc_reap(struct proc *proc, int *status_r);

#endif
