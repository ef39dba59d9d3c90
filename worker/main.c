/* main.c - mailshadow-worker: born for one batch, jailed to it, gone after it.
 *
 * The order of the jail is the point of this file: (1) limits, no core, not dumpable; (2) the log
 * and the batch are read, and the libraries that it alone needs; (3) Landlock, before any thread exists; (4) the
 * bus, whose threads inherit it; (5) the first message has arrived, so no more threads come; (6) seccomp
 * for all threads; (7) work.
 * Started by the supervisor only: descriptor 3 is its socketpair, argument 1 its pid.
 */
#include "../common/log.h"
#include "../common/pipe.h"
#include "batch.h"
#include "data/ical_door.h"
#include "ews/ews_ldap.h"
#include "http/http.h"
#include "net/tls.h"
#include "sandbox.h"
#include "task.h"

#include <fcntl.h>
#include <poll.h>
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

/* What every batch needs and none decides. Done while nothing is there to do yet: before the batch
 * comes, else while the supervisor commits the first lease. */
static enum code prepare(struct err *err)
{
	tls_prepare();
	return sandbox_prepare(err);
}

static bool batch_is_there(void)
{
	struct pollfd p = { .fd = PIPE_FD, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

static void start_log(const struct batch *batch)
{
	char slot[16];

	snprintf(slot, sizeof(slot), "%u", batch->slot + 1);
	log_set_base("worker", slot);
}

/* What only some batches need, and nothing can be loaded in the jail. */
static enum code load(const struct batch *batch, struct err *err)
{
	enum code rc = batch->records ? ical_load(err) : E_OK;

	if (rc == E_OK && batch->http)
		rc = http_load(err);
	return rc == E_OK && batch->directory ? ews_ldap_load(err) : rc;
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
	if (sandbox_limits((pid_t)strtol(argv[1], NULL, 10), &err) != E_OK ||
	    (!batch_is_there() && prepare(&err) != E_OK) || batch_read(&batch, &err) != E_OK)
		return fail(&err);
	start_log(&batch);
	if (load(&batch, &err) != E_OK || jail(&batch, &err) != E_OK ||
	    task_begin(&batch, &worker, &err) != E_OK || prepare(&err) != E_OK || task_await(worker, &err) != E_OK ||
	    sandbox_seccomp(&err) != E_OK || task_loop(worker, &err) != E_OK)
		return fail(&err);
	/* the supervisor has taken the last result */
	if (MS_FAST_END)
		_exit(0);
	task_end(&worker);
	arena_free(&batch.arena);
	return 0;
}
