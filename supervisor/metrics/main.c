/* main.c - mailshadow-metrics: options, the cache, the order of birth: listen, jail, serve. */
#include "../../common/clock.h"
#include "../../common/io.h"
#include "../../common/log.h"
#include "ask.h"
#include "expo.h"
#include "http.h"
#include "jail.h"
#include "listen.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/mailshadow/control/socket"
#define DEFAULT_LISTEN "127.0.0.1:9774"
#define WAIT_MS 5000             /* below Prometheus' default timeout of 10 s */
#define ASK_EVERY_MS 1000        /* whoever scrapes more often gets the same figures again */

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char usage[] =
	"usage: mailshadow-metrics [--socket PATH] [--listen ADDRESS] [--allow-remote] [--per-pairing] [--print]\n"
	"  --socket PATH     the supervisor's control socket (default " DEFAULT_SOCKET ")\n"
	"  --listen ADDRESS  127.0.0.1:PORT, [::1]:PORT or unix:/PATH (default " DEFAULT_LISTEN ")\n"
	"  --allow-remote    also an address that other machines can reach: no TLS, no password\n"
	"  --per-pairing     also series with the name of each pairing\n"
	"  --print           write the figures to standard output once, and stop\n"
	"  --version, --help\n";

struct exporter {
	const char *socket;
	bool per_pairing;
	struct buf answer;       /* of the supervisor */
	struct buf text;         /* what is served */
	int64_t asked_ms;        /* 0 = never */
	bool up, said_down;
};

static enum code gather(struct exporter *e, struct err *err)
{
	enum code rc = ask_supervisor(e->socket, "metrics", WAIT_MS, &e->answer, err);

	if (rc == E_OK) {
		expo_up(&e->text, true);
		rc = expo_figures(&e->text, buf_span(&e->answer), err);
	}
	if (rc == E_OK && e->per_pairing)
		rc = ask_supervisor(e->socket, "status", WAIT_MS, &e->answer, err);
	if (rc == E_OK && e->per_pairing)
		rc = expo_pairings(&e->text, buf_span(&e->answer), err);
	return rc;
}

/* A supervisor that does not answer is a figure, too; the log says it once. */
static void refresh(struct exporter *e)
{
	struct err err = ERR_INIT;

	buf_clear(&e->text);
	e->up = gather(e, &err) == E_OK;
	e->asked_ms = clock_mono_ms();
	if (!e->up) {
		buf_clear(&e->text);
		expo_up(&e->text, false);
		if (!e->said_down)
			log_warning("%s", err_text(&err));
	} else if (e->said_down) {
		log_info("the supervisor answers again");
	}
	e->said_down = !e->up;
}

static void give_text(void *ctx, struct buf *out)
{
	struct exporter *e = ctx;

	if (e->asked_ms == 0 || clock_mono_ms() - e->asked_ms >= ASK_EVERY_MS)
		refresh(e);
	buf_add_span(out, buf_span(&e->text));
}

static int print(struct exporter *e)
{
	struct err err = ERR_INIT;

	refresh(e);
	if (io_write_all(STDOUT_FILENO, e->text.p, e->text.n, "standard output", &err) != E_OK)
		log_error("%s", err_text(&err));
	return e->up && err.code == E_OK ? EXIT_OK : EXIT_FAILED;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int serve(struct exporter *e, const char *where, enum listen_scope scope)
{
	struct sockaddr_storage address;
	struct err err = ERR_INIT;
	struct http *http = NULL;
	socklen_t length = 0;
	int fd = -1, stop_fd = open_signals();
	enum code rc = listen_parse(where, scope, &address, &length, &err);

	if (rc == E_OK)
		rc = listen_open(&address, length, &fd, &err);
	if (rc == E_OK)
		rc = http_open(fd, give_text, e, &http, &err);
	if (rc == E_OK)
		rc = jail_enter(&err);
	if (rc == E_OK) {
		log_info("mailshadow-metrics %s listens on %s", MS_VERSION, where);
		http_serve(http, stop_fd);
	} else {
		fprintf(stderr, "mailshadow-metrics: %s\n", err_text(&err));
	}
	http_close(&http);
	return rc == E_OK ? EXIT_OK : rc == E_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' }, { "listen", required_argument, NULL, 'l' },
		{ "allow-remote", no_argument, NULL, 'r' }, { "per-pairing", no_argument, NULL, 'e' },
		{ "print", no_argument, NULL, 'p' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 },
	};
	struct exporter exporter = { .socket = DEFAULT_SOCKET };
	enum listen_scope scope = LISTEN_LOOPBACK;
	const char *where = DEFAULT_LISTEN;
	bool once = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			exporter.socket = optarg;
			break;
		case 'l':
			where = optarg;
			break;
		case 'r':
			scope = LISTEN_ANYWHERE;
			break;
		case 'e':
			exporter.per_pairing = true;
			break;
		case 'p':
			once = true;
			break;
		case 'v':
			printf("mailshadow-metrics %s\n", MS_VERSION);
			return EXIT_OK;
		case 'h':
			fputs(usage, stdout);
			return EXIT_OK;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	buf_init(&exporter.answer, ASK_ANSWER_MAX);
	buf_init(&exporter.text, ASK_ANSWER_MAX);
	return once ? print(&exporter) : serve(&exporter, where, scope);
}
