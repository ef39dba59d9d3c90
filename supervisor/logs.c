/* logs.c - supervisor.log and one worker-NN.log per slot, 0640 in a 0750 directory.
 *
 * NN is the slot, so `tail -F` follows it over the lives of its workers. On SIGUSR1 and on a reload a
 * worker that runs is handed its file anew over its socketpair, with LogLevel and Trace: it may open
 * nothing itself. A line costs nothing more by that.
 */
#include "super.h"

#include "../common/io.h"
#include "../common/log.h"
#include "../common/pipe.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int open_log(const struct super *super, const char *name)
{
	char path[PATH_MAX];

	return open(super_path(path, sizeof(path), super->version->conf->log_dir, name),
		    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
}

enum code logs_open(struct super *super, struct err *err)
{
	const char *dir = super->version->conf->log_dir;
	enum code rc = io_make_dirs(dir, 0750, err);

	if (rc != E_OK)
		return rc;
	log_set_level(super->version->conf->log_level);
	log_set_rate(0);
	int fd = open_log(super, "supervisor.log");
	if (fd < 0)
		return err_errno(err, E_IO, "%s/supervisor.log", dir);
	log_to_fd(fd);
	log_copy_to_fd(super->foreground ? STDERR_FILENO : -1);
	if (super->log_fd >= 0)
		close(super->log_fd);
	super->log_fd = fd;
	return E_OK;
}

int logs_worker_fd(const struct super *super, uint32_t slot)
{
	char name[32];

	snprintf(name, sizeof(name), "worker-%02u.log", slot + 1);
	return open_log(super, name);
}

enum code logs_hand(const struct super *super, uint32_t slot, int fd, struct err *err)
{
	const struct conf *conf = super->version->conf;

	return pipe_send_log(super->workers[slot].proc.fd, fd, (uint8_t)conf->log_level, conf->trace, err);
}

void logs_tell(struct super *super, uint32_t slot)
{
	struct worker *w = &super->workers[slot];
	struct err err = ERR_INIT;
	int fd;

	/* the frame goes out whole and after what waits: its descriptor belongs to its first byte */
	if (!w->tell_log || w->out.n > 0 || w->proc.pid <= 0)
		return;
	fd = logs_worker_fd(super, slot);
	if (fd < 0)
		err_errno(&err, E_IO, "the log of worker %u", slot + 1);
	else if (logs_hand(super, slot, fd, &err) == E_OK)
		w->tell_log = false;
	if (w->tell_log)
		log_debug("worker %u keeps its log: %s", slot + 1, err_text(&err));
	if (fd >= 0)
		close(fd);
}

void logs_tell_workers(struct super *super)
{
	for (uint32_t i = 0; i < POOL_SLOTS_MAX; i++) {
		if (super->workers[i].proc.pid <= 0)
			continue;
		super->workers[i].tell_log = true;
		logs_tell(super, i);
	}
}
