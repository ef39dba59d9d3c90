/* startup.c - from a configuration to a supervisor that may work, and back.
 *
 * The lock comes first and is never unlinked: who does not get it has touched nothing.
 */
#include "super.h"

#include "../common/clock.h"
#include "../common/io.h"
#include "../common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_PATH_MAX 107

const char *super_path(char *out, size_t size, const char *dir, const char *rest)
{
	if (snprintf(out, size, "%s/%s", dir, rest) >= (int)size)
		out[0] = '\0';       /* nothing can be opened by an empty name */
	return out;
}

/* `mailshadow status` typed by root while the service is down must not leave files behind that the
 * service's user cannot open. */
static enum code check_owner(const char *dir, struct err *err)
{
	const struct passwd *owner;
	struct stat st;

	if (geteuid() != 0 || stat(dir, &st) != 0 || st.st_uid == 0)
		return E_OK;
	owner = getpwuid(st.st_uid);
	return err_set(err, E_USAGE, "%s belongs to another user, who could not open what root writes there; run "
		       "this as that user: runuser -u %s -- COMMAND", dir, owner != NULL ? owner->pw_name : "THE-USER");
}

enum code startup_lock(struct super *super, struct err *err)
{
	const char *dir = super->version->conf->state_dir;
	char path[PATH_MAX];
	enum code rc = check_owner(dir, err);

	if (rc == E_OK)
		rc = io_make_dirs(dir, 0700, err);
	if (rc != E_OK)
		return rc;
	super->lock_fd = open(super_path(path, sizeof(path), dir, "lock"),
			      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (super->lock_fd < 0)
		return err_errno(err, E_IO, "%s", path);
	if (flock(super->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ?
		       err_set(err, E_BUSY, "another mailshadowd runs with %s; stop it first, or ask it", dir) :
		       err_errno(err, E_IO, "%s", path);
	return E_OK;
}

static enum code open_signals(struct super *super, struct err *err)
{
	static const int wanted[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		sigaddset(&set, wanted[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	super->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return super->signal_fd < 0 ? err_errno(err, E_IO, "signalfd") : E_OK;
}

static enum code open_bus(struct super *super, struct err *err)
{
	char dir[PATH_MAX], path[PATH_MAX];
	enum code rc = io_make_dirs(super->version->conf->runtime_dir, 0755, err);

	if (rc == E_OK)
		rc = io_make_dirs(super_path(dir, sizeof(dir), super->version->conf->runtime_dir, "bus"), 0700, err);
	if (rc == E_OK)
		rc = bus_listen(super_path(path, sizeof(path), dir, "socket"), &super->bus, err);
	return rc;
}

static enum code open_state(struct super *super, struct err *err)
{
	const char *dir = super->version->conf->state_dir;
	char path[PATH_MAX];
	enum code rc = io_make_dirs(super_path(path, sizeof(path), dir, "pairings"), 0700, err);

	if (rc == E_OK)
		rc = lease_open(super_path(path, sizeof(path), dir, "scheduler.db"), &super->leases, err);
	if (rc == E_OK)
		rc = reload_fill(super, err);
	return rc;
}

static enum code open_control(struct super *super, struct err *err)
{
	struct control_handler handler = { super, request_line, request_gone };
	char dir[PATH_MAX];

	if (super->mode == POOL_REQUEST) {
		super->control = control_local(STDOUT_FILENO, &handler);
		return E_OK;
	}
	super_path(dir, sizeof(dir), super->version->conf->runtime_dir, "control");
	if (strlen(dir) + strlen("/socket") > SOCKET_PATH_MAX)
		return err_set(err, E_CONF, "%s/socket: longer than 107 bytes; choose a shorter RuntimeDirectory", dir);
	return control_listen(dir, &handler, &super->control, err);
}

enum code startup_open(struct super *super, struct err *err)
{
	super->started_ms = clock_wall_ms();
	stats_init(&super->stats);
	buf_init(&super->rx, WIRE_MAX);
	buf_init(&super->rx_peer, BUS_ID_MAX + 192);
	buf_init(&super->tx, WIRE_MAX);
	for (uint32_t i = 0; i < POOL_SLOTS_MAX; i++) {
		buf_init(&super->workers[i].id, BUS_ID_MAX);
		buf_init(&super->workers[i].in, (size_t)16 * 1024);
		buf_init(&super->workers[i].out, (size_t)512 * 1024 * 1024);
	}
	enum code rc = super->program[0] != '\0' ? E_OK :
		       proc_find_worker(super->program, sizeof(super->program), err);
	if (rc == E_OK)
		rc = logs_open(super, err);
	if (rc == E_OK)
		rc = open_signals(super, err);
	if (rc == E_OK)
		rc = open_bus(super, err);
	if (rc == E_OK)
		rc = open_state(super, err);
	if (rc == E_OK)
		rc = open_control(super, err);
	return rc;
}

void startup_close(struct super *super)
{
	control_close(&super->control);
	lease_close(&super->leases);
	if (MS_FAST_END) {
		bus_abandon(super->bus);     /* the lock goes with the process */
		return;
	}
	bus_close(&super->bus);
	for (uint32_t i = 0; i < POOL_SLOTS_MAX; i++) {
		buf_free(&super->workers[i].id);
		buf_free(&super->workers[i].in);
		buf_free(&super->workers[i].out);
	}
	for (uint32_t i = 0; i < POOL_JOBS_MAX; i++)
		buf_free(&super->asks[i].parts);
	buf_free(&super->rx);
	buf_free(&super->rx_peer);
	buf_free(&super->tx);
	pool_free(&super->pool);
	if (super->signal_fd >= 0)
		close(super->signal_fd);
	if (super->lock_fd >= 0)
		close(super->lock_fd);       /* the lock goes with it; the file stays */
}
