/* sandbox.h - the jail of a worker, in three steps whose order matters (worker/main.c).
 *
 * After sandbox_landlock() no thread that is born later can open a file outside the lists; after
 * sandbox_seccomp() no thread can make a process, a listener, another kind of socket than IPv4 and
 * IPv6, or touch another process. With MS_NO_JAIL (sanitizer builds) the last two do nothing.
 */
#ifndef MS_SANDBOX_H
#define MS_SANDBOX_H

#include "../common/err.h"

#include <sys/types.h>

/* Limits of the process, no core file, not dumpable, no new privileges, dies with the parent.
 * E_CANCELLED if the parent is already gone. */
enum code sandbox_limits(pid_t parent, struct err *err) MS_MUST_USE;

struct sandbox_dirs {
	const char *const *writable;  /* the batch's state directories and local mailboxes */
	size_t n_writable;
};
/* E_UNSUPPORTED if this kernel has no Landlock: then the caller says so and goes on. */
enum code sandbox_landlock(const struct sandbox_dirs *dirs, struct err *err) MS_MUST_USE;
/* Build the filter of sandbox_seccomp() already: pure computing, in this process's own time. */
enum code sandbox_prepare(struct err *err) MS_MUST_USE;
enum code sandbox_seccomp(struct err *err) MS_MUST_USE;

#endif
