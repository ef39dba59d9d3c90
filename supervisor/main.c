/* main.c - mailshadowd: options, signals and the poll loop; a thin shell around pool.h. */
#include "super.h"
#include "notify.h"

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_FILE "/etc/mailshadow/mailshadow.xml"
#define STOP_AGAIN_MS 5000
#define WATCHDOG_MS 20000
#define POLL_MAX (3 + 2 * POOL_SLOTS_MAX + CONTROL_CLIENTS_MAX + 1)

enum { EXIT_OK = 0, EXIT_SOME_FAILED = 1, EXIT_CONFIGURATION = 2 };

static struct super the_super;   /* argv-made; large, so not on the stack */

static const char usage[] =
	"usage: mailshadowd [-c FILE] [--once] [--foreground] [--request JSON]\n"
	"  -c FILE         configuration (default " DEFAULT_FILE ")\n"
	"  --once          one full pass of every syncable pairing, then stop\n"
	"  --foreground    log to standard error as well (it never goes to the background)\n"
	"  --request JSON  carry out one request (status, plan, verify) and print its answer\n"
	"  --version, --help\n";

/* --- signals --- */

static void stop(struct super *super)
{
	int64_t wait_ms = super->terms++ == 0 ? super->version->conf->stop_timeout_ms : STOP_AGAIN_MS;
	struct pool_event ev = { .kind = POOL_STOP, .wait_ms = wait_ms };

	log_info("stopping, within %lld s", (long long)ev.wait_ms / 1000);
	notify("STOPPING=1");
	dispatch_step(super, &ev);
}

static void on_signals(struct super *super)
{
	struct signalfd_siginfo info;
	struct err err = ERR_INIT;

	while (read(super->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
			stop(super);
		} else if (info.ssi_signo == SIGUSR1) {
			if (logs_open(super, &err) != E_OK)
				log_error("%s", err_text(&err));
			logs_tell_workers(super);
		} else if (info.ssi_signo == SIGHUP && super->mode == POOL_SERVICE) {
			reload_signal(super);
		}
	}
}

/* --- the loop --- */

static void reap(struct super *super, uint32_t slot)
{
	struct worker *w = &super->workers[slot];
	struct pool_event ev = { .kind = POOL_REAPED, .slot = slot,
				 .incarnation = super->pool.slots[slot].incarnation };

	if (!proc_reap(&w->proc, &w->exit_status))
		return;
	broker_receive(super);           /* what it said before it died comes first */
	if (w->exit_status != 0 && super->pool.slots[slot].state != SLOT_KILLED) {
		log_warning("worker %u ended with status %d", slot + 1, w->exit_status);
		super->stats.workers_died++;
	}
	birth_bury(super, slot);
	dispatch_step(super, &ev);
}

/* Entries: signals, bus, the reader of a configuration, then two per worker (pidfd, socketpair), then control. */
static size_t fill(struct super *super, struct pollfd *pfds, uint32_t *slots, size_t *workers_r)
{
	size_t n = 0;

	pfds[n++] = (struct pollfd){ .fd = super->signal_fd, .events = POLLIN };
	pfds[n++] = (struct pollfd){ .fd = bus_fd(super->bus), .events = POLLIN };
	pfds[n++] = (struct pollfd){ .fd = reload_fd(super), .events = POLLIN };
	*workers_r = 0;
	for (uint32_t i = 0; i < POOL_SLOTS_MAX; i++) {
		const struct worker *w = &super->workers[i];

		if (w->proc.pid <= 0)
			continue;
		slots[(*workers_r)++] = i;
		pfds[n++] = (struct pollfd){ .fd = w->proc.pidfd, .events = POLLIN };
		pfds[n++] = (struct pollfd){ .fd = w->deaf ? -1 : w->proc.fd,
					     .events = w->out.n > 0 ? POLLIN | POLLOUT : POLLIN };
	}
	return n + control_poll_fill(super->control, pfds + n);
}

static int patience(const struct super *super)
{
	int64_t now = clock_mono_ms(), next = pool_next_ms(&super->pool, now);

	if (control_pending(super->control))
		return 0;
	next = next < now + WATCHDOG_MS ? next : now + WATCHDOG_MS;
	next = next < reload_deadline_ms(super) ? next : reload_deadline_ms(super);
	return next <= now ? 0 : (int)(next - now);
}

static void serve(struct super *super, const struct pollfd *pfds, size_t n, const uint32_t *slots, size_t workers)
{
	size_t at = 3;

	if (pfds[0].revents != 0)
		on_signals(super);
	if (pfds[2].revents != 0 || clock_mono_ms() >= reload_deadline_ms(super))
		reload_serve(super);
	for (size_t i = 0; i < workers; i++, at += 2) {
		if (pfds[at + 1].revents != 0)
			needs_serve(super, slots[i], pfds[at + 1].revents);
		if (pfds[at].revents != 0)
			reap(super, slots[i]);
	}
	control_serve(super->control, pfds + at, n - at);
}

static bool finished(const struct super *super)
{
	return pool_finished(&super->pool) && super->pool.n_actions == 0;
}

static void loop(struct super *super)
{
	struct pollfd pfds[POLL_MAX];
	uint32_t slots[POOL_SLOTS_MAX];
	size_t workers;

	for (;;) {
		struct pool_event tick = { .kind = POOL_TICK };

		broker_receive(super);
		dispatch_step(super, &tick);
		dispatch_flush(super);
		if (finished(super))
			return;
		notify("WATCHDOG=1");
		if (super->mode == POOL_SERVICE && super->terms == 0)
			birth_early(super);
		size_t n = fill(super, pfds, slots, &workers);
		if (poll(pfds, n, patience(super)) < 0 && errno != EINTR)
			return;
		serve(super, pfds, n, slots, workers);
	}
}

/* --- once --- */

/* One line on standard error per pairing that did not succeed; the exit code of the run. */
static int report_once(struct super *super)
{
	bool any_ok = false, any_bad = false;

	for (uint32_t i = 0; i < super->n_units; i++) {
		const struct unit *u = &super->units[i];
		const struct record *r = &u->record;
		bool ran = super->pool.pairings[i].once_done;

		if (!u->used || !super->pool.pairings[i].used)
			continue;
		if (ran && r->rclass == RC_OK) {
			any_ok = true;
		} else if (ran) {
			any_bad = true;
			fprintf(stderr, "%s: %s: %s: %s\n", r->name, rclass_name(r->rclass), code_name(r->code),
				r->reason);
		} else if (super->pool.pairings[i].out != 0) {
			fprintf(stderr, "%s: skipped: %s\n", r->name, status_state(super, i));
		} else {
			any_bad = true;
			fprintf(stderr, "%s: not finished: the run was stopped\n", r->name);
		}
	}
	return any_ok && !any_bad ? EXIT_OK : EXIT_SOME_FAILED;
}

static int complain(const struct err *err)
{
	fprintf(stderr, "mailshadowd: %s\n", err_text(err));
	if (err->code == E_BUSY)
		return EXIT_TEMPORARY;
	return err->code == E_CONF || err->code == E_USAGE ? EXIT_CONFIGURATION : EXIT_SOME_FAILED;
}

static int run(struct super *super, const char *request)
{
	struct err err = ERR_INIT;
	int exit_code = EXIT_OK;

	if (super->mode != POOL_REQUEST)
		birth_early(super);
	if (reload_first(super, &err) != E_OK) {
		fprintf(stderr, "mailshadowd: %s\n", err_text(&err));
		return EXIT_CONFIGURATION;
	}
	if (startup_lock(super, &err) != E_OK || startup_open(super, &err) != E_OK) {
		exit_code = complain(&err);
	} else {
		log_info("mailshadowd %s: %zu pairings, %u slots", MS_VERSION, super->version->conf->n_pairings,
			 super->pool.rules.workers);
		notify("READY=1");
		if (request != NULL)
			request_line(super, CONTROL_LOCAL, span_of(request));
		loop(super);
		if (request != NULL)
			exit_code = control_exit(super->control) >= 0 ? control_exit(super->control) :
				    EXIT_SOME_FAILED;
		else if (super->mode == POOL_ONCE)
			exit_code = report_once(super);
		log_info("mailshadowd: down");
	}
	startup_close(super);
	if (MS_FAST_END) {
		fflush(NULL);
		_exit(exit_code);
	}
	version_unref(&super->version);
	units_free(super);
	return exit_code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "once", no_argument, NULL, 'o' }, { "foreground", no_argument, NULL, 'f' },
		{ "request", required_argument, NULL, 'r' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 },
	};
	struct super *super = &the_super;
	const char *request = NULL;
	int option;

	if (argc == 3 && strcmp(argv[1], "--read-config") == 0)
		return reader_main(argv[2]);
	super->file = DEFAULT_FILE;
	super->mode = POOL_SERVICE;
	super->lock_fd = super->signal_fd = super->log_fd = -1;
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			super->file = optarg;
			break;
		case 'o':
			super->mode = POOL_ONCE;
			break;
		case 'f':
			super->foreground = true;
			break;
		case 'r':
			super->mode = POOL_REQUEST;
			request = optarg;
			break;
		case 'v':
			printf("mailshadowd %s\n", MS_VERSION);
			return EXIT_OK;
		case 'h':
			fputs(usage, stdout);
			return EXIT_OK;
		default:
			fputs(usage, stderr);
			return EXIT_CONFIGURATION;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return EXIT_CONFIGURATION;
	}
	umask(027);
	return run(super, request);
}
