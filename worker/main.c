/* main.c - mailshadow-worker: born for one batch, jailed to it, gone after it.
 *
 * The order of the jail is the point of this file: (1) limits, no core, not dumpable; (2) the batch
 * is read; (3) Landlock, before any thread exists; (4) the bus, whose threads inherit it; (5) the
 * first message has arrived, so no more threads come; (6) seccomp for all threads; (7) work.
 * Started by the supervisor only: descriptor 3 is its socketpair, 2 the slot's log, argument 1 its pid.
 */
#include "../common/log.h"
#include "batch.h"
#include "sandbox.h"
#include "task.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAILED 1

static int fail(const struct err *err)
{
	log_error("this worker cannot work: %s", err_text(err));
	return FAILED;
}

static void start_log(const struct batch *batch)
{
	enum log_level level = LOG_L_INFO;
	char slot[16];

	if (log_level_from_name(batch->level, &level))
		log_set_level(level);
	snprintf(slot, sizeof(slot), "%u", batch->slot + 1);
	log_set_base("worker", slot);
}

static enum code jail(const struct batch *batch, struct err *err)
{
	struct sandbox_dirs dirs = { batch->writable, batch->n_writable };
	enum code rc = sandbox_landlock(&dirs, err);

	if (rc == E_UNSUPPORTED) {
		log_warning("%s", err_text(err));
		rc = E_OK;
	}
	return rc;
}

int main(int argc, char **argv)
{
	static struct batch batch;
	struct worker *worker = NULL;
	struct err err = ERR_INIT;

	if (argc != 2 || fcntl(3, F_GETFD) < 0) {
		fputs("mailshadow-worker is started by mailshadowd only\n", stderr);
		return FAILED;
	}
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	fcntl(3, F_SETFD, FD_CLOEXEC);
	if (sandbox_limits((pid_t)strtol(argv[1], NULL, 10), &err) != E_OK || batch_read(&batch, &err) != E_OK)
		return fail(&err);
	start_log(&batch);
	if (jail(&batch, &err) != E_OK || task_begin(&batch, &worker, &err) != E_OK ||
	    sandbox_seccomp(&err) != E_OK || task_loop(worker, &err) != E_OK)
		return fail(&err);
	task_end(&worker);
	arena_free(&batch.arena);
	return 0;
}
