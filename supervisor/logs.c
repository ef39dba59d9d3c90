/* logs.c - supervisor.log and one worker-NN.log per slot, 0640 in a 0750 directory.
 *
 * NN is the slot, so `tail -F` follows it over the lives of its workers. A worker keeps the file
 * that it was born with: after SIGUSR1 the supervisor's own lines, and those of workers born from
 * then on, go to the new files.
 */
#include "super.h"

#include "../common/io.h"

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
