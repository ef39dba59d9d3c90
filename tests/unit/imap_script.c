/* imap_script.c - the scripted server. */
#include "imap_script.h"

#include "../../common/mem.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct script {
	const char *const *lines;
	pthread_t thread;
	int listener, fd;
	uint16_t port;
	size_t cut_after, sent;
	bool drip, cut, joined;
	char failure[400];
	char in[65536];
	size_t n;
};

static struct conf_endpoint conf;
static struct conf_mailbox mailbox;

static bool fail(struct script *s, const char *what, const char *got)
{
	if (s->failure[0] == '\0')
		snprintf(s->failure, sizeof(s->failure), "script: %.150s; got: %.200s", what, got);
	return false;
}

static bool send_bytes(struct script *s, const char *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		size_t piece = s->drip ? 1 : n - at;

		if (piece > s->cut_after - s->sent)
			piece = s->cut_after - s->sent;
		if (piece == 0) {
			s->cut = true;
			return false;
		}
		ssize_t put = send(s->fd, p + at, piece, MSG_NOSIGNAL);
		if (put <= 0)
			return fail(s, "the client closed early", p);
		at += (size_t)put;
		s->sent += (size_t)put;
	}
	return true;
}

static bool fill(struct script *s)
{
	ssize_t got = recv(s->fd, s->in + s->n, sizeof(s->in) - s->n, 0);

	if (got > 0)
		s->n += (size_t)got;
	return got > 0;
}

static void eat(struct script *s, size_t n)
{
	memmove(s->in, s->in + n, s->n - n);
	s->n -= n;
}

static bool expect_line(struct script *s, const char *want, bool prefix)
{
	char *nl;

	while ((nl = memchr(s->in, '\n', s->n)) == NULL)
		if (s->n == sizeof(s->in) || !fill(s))
			return fail(s, want, "end of data");
	size_t n = (size_t)(nl - s->in), len = strlen(want);
	s->in[n] = '\0';
	if (n == 0 || s->in[n - 1] != '\r')
		return fail(s, want, "a line without CR");
	s->in[--n] = '\0';
	if (prefix ? strncmp(s->in, want, len) != 0 : strcmp(s->in, want) != 0)
		return fail(s, want, s->in);
	eat(s, n + 2);
	return true;
}

static bool read_literal(struct script *s, size_t n)
{
	while (n > 0) {
		size_t have = s->n < n ? s->n : n;

		eat(s, have);
		n -= have;
		if (n > 0 && !fill(s))
			return fail(s, "a literal", "end of data");
	}
	return true;
}

static bool send_filler(struct script *s, size_t n)
{
	char block[4096];

	memset(block, 'x', sizeof(block));
	for (size_t k; n > 0; n -= k) {
		k = n < sizeof(block) ? n : sizeof(block);
		if (!send_bytes(s, block, k))
			return false;
	}
	return true;
}

/* The client closes; `allowed` bytes may come before, and a LOGOUT. */
static bool expect_close(struct script *s, size_t allowed)
{
	size_t total;

	while (s->n < 24 && fill(s))
		;
	char *logout = memmem(s->in, s->n, " LOGOUT\r\n", 9);
	if (logout != NULL && s->n < 24)
		s->n = 0;
	total = s->n;
	for (s->n = 0; fill(s); s->n = 0)
		total += s->n;
	return total <= allowed ? true : fail(s, "the client should have closed", "more bytes");
}

static bool quiet(struct script *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	return s->n == 0 && poll(&p, 1, 150) == 0 ? true : fail(s, "nothing should arrive", s->n > 0 ? s->in : "bytes");
}

static bool next_connection(struct script *s)
{
	struct pollfd p = { .fd = s->listener, .events = POLLIN };

	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->n = 0;
	if (poll(&p, 1, 10000) != 1)
		return fail(s, "a connection", "none");
	s->fd = accept(s->listener, NULL, NULL);
	int one = 1;
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return s->fd >= 0;
}

static bool one_line(struct script *s, const char *line)
{
	const char *arg = line + 3;

	if (strncmp(line, "S: ", 3) == 0) {
		char text[8192];
		int n = snprintf(text, sizeof(text), "%s\r\n", arg);

		return send_bytes(s, text, (size_t)n);
	}
	if (strncmp(line, "S> ", 3) == 0)
		return send_bytes(s, arg, strlen(arg));
	if (strncmp(line, "C: ", 3) == 0)
		return expect_line(s, arg, false);
	if (strncmp(line, "C* ", 3) == 0)
		return expect_line(s, arg, true);
	if (strncmp(line, "L: ", 3) == 0)
		return read_literal(s, strtoul(arg, NULL, 10));
	if (strncmp(line, "R: ", 3) == 0)
		return send_filler(s, strtoul(arg, NULL, 10));
	if (strcmp(line, "!next") == 0)
		return next_connection(s);
	if (strcmp(line, "!end") == 0)
		return expect_close(s, 0);
	if (strncmp(line, "!gone ", 6) == 0)
		return expect_close(s, strtoul(line + 6, NULL, 10));
	if (strcmp(line, "!quiet") == 0)
		return quiet(s);
	if (strcmp(line, "!cut") == 0) {
		s->cut = true;
		return false;
	}
	return fail(s, "no such script line", line);
}

static void *serve(void *arg)
{
	struct script *s = arg;
	bool ok = next_connection(s);

	for (size_t i = 0; ok && s->lines[i] != NULL; i++)
		ok = one_line(s, s->lines[i]);
	if (ok)
		ok = expect_close(s, 0);
	if (s->fd >= 0)
		close(s->fd);
	close(s->listener);
	return NULL;
}

struct script *script_start(const char *const *lines)
{
	struct script *s = mem_alloc(sizeof(*s));
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	s->lines = lines;
	s->fd = -1;
	s->cut_after = SIZE_MAX;
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s->listener, (struct sockaddr *)&a, len) != 0 || listen(s->listener, 4) != 0 ||
	    getsockname(s->listener, (struct sockaddr *)&a, &len) != 0)
		abort();
	s->port = ntohs(a.sin_port);
	return s;
}

uint16_t script_port(const struct script *s)
{
	return s->port;
}

void script_shape(struct script *s, size_t cut_after, bool drip)
{
	s->cut_after = cut_after;
	s->drip = drip;
}

const char *script_end(struct script *s)
{
	if (!s->joined)
		pthread_join(s->thread, NULL);
	s->joined = true;
	return s->failure[0] != '\0' ? s->failure : NULL;
}

size_t script_sent(const struct script *s)
{
	return s->sent;
}

void script_free(struct script **s)
{
	(void)script_end(*s);
	mem_free(*s);
	*s = NULL;
}

/* --- the endpoint --- */

static enum code give_secret(void *ctx, const char *purpose, struct secret **secret_r, struct err *err)
{
	(void)ctx;
	(void)purpose;
	(void)err;
	*secret_r = secret_new("secret", 6);
	return E_OK;
}

struct conf_endpoint *script_conf(void)
{
	return &conf;
}

struct endpoint *script_endpoint(struct script *s)
{
	struct ep_env env = { .conf = &conf, .mailbox = &mailbox, .spool_dir = open("/tmp", O_DIRECTORY | O_CLOEXEC),
			      .secret = give_secret };
	struct endpoint *ep;

	if (pthread_create(&s->thread, NULL, serve, s) != 0)
		abort();
	conf.name = "script";
	conf.type = "imap";
	conf.server = "127.0.0.1";
	conf.port = s->port;
	if (conf.auth == NULL) {
		conf.auth = "";
		conf.tls = TLS_NONE;
	}
	mailbox.endpoint = &conf;
	mailbox.smtp_name = mailbox.login = "me@x";
	mailbox.password.file = "/nowhere";
	if (ep_new(&env, SIDE_LEFT, &ep, NULL) != E_OK)
		abort();
	return ep;
}

void script_endpoint_free(struct endpoint **ep)
{
	int dir = (*ep)->env.spool_dir;

	ep_free(ep);
	close(dir);
	conf = (struct conf_endpoint){ 0 };
}
