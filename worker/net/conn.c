/* conn.c - a socket with deadlines, TLS or not, read while written.
 *
 * 1. Every wait goes through await(), which knows all three deadlines.
 * 2. TLS may hold decrypted bytes: the session is always read until it wants more before the socket
 *    is waited for.
 * 3. After a failure `dead` is set and nothing more is sent.
 * Its test: tests/unit/t_net.c.
 */
#include "conn.h"

#include "../../common/clock.h"
#include "../../common/mem.h"
#include "../../common/secret.h"
#include "../fiber.h"
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_BASE ((size_t)128 * 1024)
#define IN_MAX ((size_t)2 * 1024 * 1024)   /* kept while writing; then reading stops */
#define OUT_MAX ((size_t)64 * 1024)
#define DIRECT ((size_t)32 * 1024)         /* pieces from here on are sent without a copy */

struct conn {
	int fd;
	struct tls *tls;
	char *host;
	uint16_t port;
	bool loopback, dead, eof;
	char *in;
	size_t in_at, in_n, in_cap;
	char *out;
	size_t out_at, out_n;
	uint64_t bytes_in, bytes_out;
	int64_t connect_end_ms;          /* set while connecting, else 0 */
	int64_t last_io_ms, rate_from_ms;
	uint64_t rate_bytes;
};

enum io { IO_OK, IO_WANT_READ, IO_WANT_WRITE, IO_END, IO_FAILED };

static struct {
	int64_t connect_ms, idle_ms, rate_ms;
} limits = { CONN_CONNECT_MS, CONN_IDLE_MS, CONN_RATE_MS };

void conn_set_deadlines(int64_t connect_ms, int64_t idle_ms, int64_t rate_ms)
{
	limits.connect_ms = connect_ms > 0 ? connect_ms : CONN_CONNECT_MS;
	limits.idle_ms = idle_ms > 0 ? idle_ms : CONN_IDLE_MS;
	limits.rate_ms = rate_ms > 0 ? rate_ms : CONN_RATE_MS;
}

void conn_begin(struct conn *c)
{
	c->last_io_ms = c->rate_from_ms = clock_mono_ms();
	c->rate_bytes = c->bytes_in + c->bytes_out;
}

/* --- waiting --- */

static enum code die(struct conn *c, enum code code)
{
	c->dead = true;
	return code;
}

static uint64_t rate_floor(void)
{
	return CONN_RATE_BYTES * (uint64_t)limits.rate_ms / CONN_RATE_MS;
}

static enum code too_slow(struct conn *c, int64_t now, struct err *err)
{
	if (c->connect_end_ms != 0 && now >= c->connect_end_ms)
		return err_set(err, E_TIMEOUT, "%s did not finish connecting within %lld s", c->host,
			       (long long)(limits.connect_ms / 1000));
	if (now - c->last_io_ms >= limits.idle_ms)
		return err_set(err, E_TIMEOUT, "%s was silent for %lld s", c->host,
			       (long long)(limits.idle_ms / 1000));
	if (now - c->rate_from_ms < limits.rate_ms)
		return E_OK;
	if (c->bytes_in + c->bytes_out - c->rate_bytes < rate_floor())
		return err_set(err, E_TIMEOUT, "%s delivered less than 1 kB/s over %lld s", c->host,
			       (long long)(limits.rate_ms / 1000));
	c->rate_from_ms = now;
	c->rate_bytes = c->bytes_in + c->bytes_out;
	return E_OK;
}

static int64_t next_deadline(const struct conn *c)
{
	int64_t end = c->last_io_ms + limits.idle_ms;

	if (c->rate_from_ms + limits.rate_ms < end)
		end = c->rate_from_ms + limits.rate_ms;
	if (c->connect_end_ms != 0 && c->connect_end_ms < end)
		end = c->connect_end_ms;
	return end;
}

/* Wait for `events`; E_OK also when a deadline that did not fail has passed: try again then. */
static enum code await(struct conn *c, short events, struct err *err)
{
	enum code rc = fiber_wait(c->fd, events, next_deadline(c), err);

	if (rc == E_OK)
		return E_OK;
	if (rc != E_TIMEOUT)
		return die(c, rc);
	err_clear(err);
	rc = too_slow(c, clock_mono_ms(), err);
	return rc == E_OK ? E_OK : die(c, rc);
}

/* --- raw input and output --- */

static enum io from_tls(enum tls_io io)
{
	switch (io) {
	case TLS_IO_OK:
		return IO_OK;
	case TLS_IO_WANT_READ:
		return IO_WANT_READ;
	case TLS_IO_WANT_WRITE:
		return IO_WANT_WRITE;
	case TLS_IO_CLOSED:
		return IO_END;
	case TLS_IO_FAILED:
		break;
	}
	return IO_FAILED;
}

static enum io raw_read(struct conn *c, char *p, size_t n, size_t *got_r, struct err *err)
{
	enum io io;

	if (c->tls != NULL) {
		io = from_tls(tls_read(c->tls, p, n, got_r, err));
	} else {
		ssize_t got = recv(c->fd, p, n, 0);

		*got_r = got > 0 ? (size_t)got : 0;
		io = got > 0 ? IO_OK : got == 0 ? IO_END : IO_WANT_READ;
		if (got < 0 && errno != EAGAIN && errno != EINTR) {
			err_errno(err, E_NET, "reading from %s", c->host);
			io = IO_FAILED;
		}
	}
	if (io == IO_OK) {
		c->bytes_in += *got_r;
		c->last_io_ms = clock_mono_ms();
	} else if (io == IO_END) {
		c->eof = true;
		err_set(err, E_NET, "%s closed the connection", c->host);
	}
	return io;
}

static enum io raw_write(struct conn *c, const char *p, size_t n, size_t *put_r, struct err *err)
{
	enum io io;

	if (c->tls != NULL) {
		io = from_tls(tls_write(c->tls, p, n, put_r, err));
	} else {
		ssize_t put = send(c->fd, p, n, MSG_NOSIGNAL);

		*put_r = put > 0 ? (size_t)put : 0;
		io = put > 0 ? IO_OK : IO_WANT_WRITE;
		if (put < 0 && errno != EAGAIN && errno != EINTR) {
			err_errno(err, E_NET, "writing to %s", c->host);
			io = IO_FAILED;
		}
	}
	if (io == IO_OK) {
		c->bytes_out += *put_r;
		c->last_io_ms = clock_mono_ms();
	} else if (io == IO_END) {
		err_set(err, E_NET, "%s closed the connection", c->host);
	}
	return io;
}

/* --- the input buffer --- */

static size_t make_room(struct conn *c, size_t most)
{
	if (c->in_at == c->in_n)
		c->in_at = c->in_n = 0;
	if (c->in_n < c->in_cap)
		return c->in_cap - c->in_n;
	if (c->in_at > 0) {
		memmove(c->in, c->in + c->in_at, c->in_n - c->in_at);
		c->in_n -= c->in_at;
		c->in_at = 0;
	} else if (c->in_cap * 2 <= most) {
		c->in_cap *= 2;
		c->in = mem_realloc(c->in, c->in_cap, 1);
	}
	return c->in_cap - c->in_n;
}

/* One read into the buffer; IO_WANT_WRITE with *full_r when there is no room. */
static enum io read_some(struct conn *c, bool *full_r, struct err *err)
{
	size_t room = make_room(c, IN_MAX), got = 0;

	*full_r = room == 0;
	if (room == 0)
		return IO_WANT_WRITE;
	enum io io = raw_read(c, c->in + c->in_n, room, &got, err);
	if (io == IO_OK)
		c->in_n += got;
	return io;
}

struct span conn_input(const struct conn *c)
{
	return (struct span){ c->in + c->in_at, c->in_n - c->in_at };
}

void conn_consume(struct conn *c, size_t n)
{
	assert(n <= c->in_n - c->in_at);
	c->in_at += n;
}

/* --- writing --- */

/* The socket is full (or TLS wants to read first): keep what arrives, then wait. */
static enum code write_blocked(struct conn *c, enum io want, struct err *err)
{
	bool full = false;
	enum io io = c->eof ? IO_WANT_WRITE : read_some(c, &full, err);

	if (io == IO_OK)
		return E_OK;
	if (io == IO_FAILED || io == IO_END)
		return die(c, err != NULL ? err->code : E_NET);
	short events = want == IO_WANT_READ ? POLLIN : POLLOUT;
	if (!full)
		events |= POLLIN;
	return await(c, events, err);
}

static enum code write_all(struct conn *c, const char *p, size_t n, struct err *err)
{
	struct err own = ERR_INIT;

	if (err == NULL)
		err = &own;
	if (c->dead)
		return err_set(err, E_NET, "the connection to %s is gone", c->host);
	while (n > 0) {
		size_t put = 0;
		enum io io = raw_write(c, p, n, &put, err);
		enum code rc = E_OK;

		if (io == IO_FAILED || io == IO_END)
			return die(c, err->code);
		if (io == IO_OK) {
			p += put;
			n -= put;
		} else {
			rc = write_blocked(c, io, err);
		}
		if (rc != E_OK)
			return rc;
	}
	return E_OK;
}

enum code conn_flush(struct conn *c, struct err *err)
{
	size_t n = c->out_n;

	c->out_n = 0;
	return n == 0 ? E_OK : write_all(c, c->out, n, err);
}

enum code conn_put(struct conn *c, const void *p, size_t n, struct err *err)
{
	enum code rc = E_OK;

	if (n > OUT_MAX - c->out_n)
		rc = conn_flush(c, err);
	if (rc == E_OK && n >= DIRECT) {
		rc = conn_flush(c, err);
		return rc == E_OK ? write_all(c, p, n, err) : rc;
	}
	if (rc == E_OK && n > 0) {
		memcpy(c->out + c->out_n, p, n);
		c->out_n += n;
	}
	return rc;
}

enum code conn_scrub(struct conn *c, struct err *err)
{
	enum code rc = conn_flush(c, err);

	secret_wipe(c->out, OUT_MAX);
	return rc;
}

/* --- reading --- */

static enum code read_blocked(struct conn *c, enum io io, struct err *err)
{
	if (io == IO_FAILED || io == IO_END)
		return die(c, err->code);
	return await(c, io == IO_WANT_READ ? POLLIN : POLLOUT, err);
}

static enum code before_read(struct conn *c, struct err *err)
{
	enum code rc = conn_flush(c, err);

	if (rc == E_OK && (c->dead || c->eof))
		rc = err_set(err, E_NET, "%s closed the connection", c->host);
	return rc;
}

enum code conn_fill(struct conn *c, struct err *err)
{
	struct err own = ERR_INIT;

	if (err == NULL)
		err = &own;
	enum code rc = before_read(c, err);
	while (rc == E_OK) {
		bool full;
		enum io io = read_some(c, &full, err);

		if (io == IO_OK)
			return E_OK;
		if (full)
			return die(c, err_set(err, E_PROTOCOL, "%s sent too much at once", c->host));
		rc = read_blocked(c, io, err);
	}
	return rc;
}

enum code conn_read(struct conn *c, char *p, size_t n, size_t *got_r, struct err *err)
{
	struct err own = ERR_INIT;
	size_t have = c->in_n - c->in_at;

	if (err == NULL)
		err = &own;
	if (have > 0) {
		*got_r = have < n ? have : n;
		memcpy(p, c->in + c->in_at, *got_r);
		c->in_at += *got_r;
		return E_OK;
	}
	enum code rc = before_read(c, err);
	while (rc == E_OK) {
		enum io io = raw_read(c, p, n, got_r, err);

		if (io == IO_OK)
			return E_OK;
		rc = read_blocked(c, io, err);
	}
	return rc;
}

enum code conn_poll(struct conn *c, struct err *err)
{
	struct err own = ERR_INIT;
	bool full;

	if (err == NULL)
		err = &own;
	if (c->dead || c->eof)
		return err_set(err, E_NET, "%s closed the connection", c->host);
	enum io io = read_some(c, &full, err);
	if (io == IO_FAILED || io == IO_END)
		return die(c, err->code);
	return E_OK;
}

/* --- connecting --- */

static bool loopback_addr(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		return (ntohl(in.sin_addr.s_addr) >> 24) == 127;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
	}
	return false;
}

static enum code resolve(struct conn *c, struct addrinfo **list_r, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	char port[8];
	int rc;

	snprintf(port, sizeof(port), "%u", (unsigned)c->port);
	rc = getaddrinfo(c->host, port, &hints, list_r);
	if (rc == EAI_NONAME) {
		hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
		rc = getaddrinfo(c->host, port, &hints, list_r);
	}
	if (rc == EAI_SYSTEM)
		return err_errno(err, E_NET, "the name %s could not be resolved", c->host);
	if (rc != 0)
		return err_set(err, E_NET, "the name %s could not be resolved: %s", c->host, gai_strerror(rc));
	return E_OK;
}

static enum code finish_connect(struct conn *c, struct err *err)
{
	int so_error = 0, one = 1;
	socklen_t len = sizeof(so_error);
	enum code rc = await(c, POLLOUT, err);

	c->dead = false;             /* the next address may still do */
	if (rc != E_OK)
		return rc;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &so_error, &len) != 0)
		so_error = errno;
	errno = so_error;
	if (so_error != 0)
		return err_errno(err, E_NET, "connecting to %s port %u", c->host, (unsigned)c->port);
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	if (getpeername(c->fd, (struct sockaddr *)&peer, &peer_len) != 0)
		return clock_mono_ms() >= c->connect_end_ms
			? err_set(err, E_TIMEOUT, "connecting to %s timed out", c->host)
			: err_errno(err, E_NET, "connecting to %s", c->host);
	c->loopback = loopback_addr((struct sockaddr *)&peer);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	return E_OK;
}

static enum code try_address(struct conn *c, const struct addrinfo *ai, struct err *err)
{
	enum code rc;

	c->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return err_errno(err, E_NET, "no socket for %s", c->host);
	if (connect(c->fd, ai->ai_addr, ai->ai_addrlen) != 0 && errno != EINPROGRESS)
		rc = err_errno(err, E_NET, "connecting to %s port %u", c->host, (unsigned)c->port);
	else
		rc = finish_connect(c, err);
	if (rc != E_OK) {
		close(c->fd);
		c->fd = -1;
	}
	return rc;
}

/* All addresses share the 30 s: each gets an equal part of what is left. */
static enum code connect_any(struct conn *c, const struct addrinfo *list, struct err *err)
{
	int64_t end = c->connect_end_ms;
	enum code rc = err_set(err, E_NET, "%s has no address", c->host);
	int left = 0;

	for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next)
		left++;
	for (const struct addrinfo *ai = list; ai != NULL && rc != E_CANCELLED; ai = ai->ai_next, left--) {
		int64_t now = clock_mono_ms();

		c->connect_end_ms = now + (end - now) / left;
		rc = try_address(c, ai, err);
		if (rc == E_OK)
			break;
	}
	c->connect_end_ms = end;
	return rc;
}

enum code conn_open(const char *host, uint16_t port, struct conn **conn_r, struct err *err)
{
	struct conn *c = mem_alloc(sizeof(*c));
	struct addrinfo *list = NULL;
	struct err own = ERR_INIT;
	enum code rc;

	if (err == NULL)
		err = &own;
	*c = (struct conn){ .fd = -1, .host = mem_strdup(host), .port = port, .in_cap = IN_BASE };
	c->connect_end_ms = clock_mono_ms() + limits.connect_ms;
	conn_begin(c);
	rc = resolve(c, &list, err);
	if (rc == E_OK)
		rc = connect_any(c, list, err);
	if (list != NULL)
		freeaddrinfo(list);
	if (rc != E_OK) {
		conn_close(&c);
		return rc;
	}
	err_clear(err);
	c->connect_end_ms = 0;
	c->in = mem_realloc(NULL, c->in_cap, 1);
	c->out = mem_realloc(NULL, OUT_MAX, 1);
	*conn_r = c;
	return E_OK;
}

void conn_close(struct conn **conn)
{
	struct conn *c = *conn;

	if (c == NULL)
		return;
	tls_free(&c->tls);
	if (c->fd >= 0)
		close(c->fd);
	mem_free(c->host);
	mem_free(c->in);
	mem_free(c->out);
	mem_free(c);
	*conn = NULL;
}

static enum code handshake(struct conn *c, struct err *err)
{
	for (;;) {
		enum tls_io io = tls_handshake(c->tls, err);
		enum code rc;

		if (io == TLS_IO_OK)
			return E_OK;
		if (io == TLS_IO_CLOSED)
			return die(c, err_set(err, E_TLS, "%s broke off the TLS handshake", c->host));
		if (io == TLS_IO_FAILED)
			return die(c, err->code);
		rc = await(c, io == TLS_IO_WANT_READ ? POLLIN : POLLOUT, err);
		if (rc != E_OK)
			return rc;
	}
}

enum code conn_start_tls(struct conn *c, const char *ca_pem, struct err *err)
{
	struct err own = ERR_INIT;
	enum code rc;

	if (err == NULL)
		err = &own;
	assert(c->tls == NULL && c->out_n == 0);
	if (c->in_n > c->in_at)
		return die(c, err_set(err, E_PROTOCOL, "%s sent data before TLS was up", c->host));
	rc = tls_new(c->fd, c->host, ca_pem, &c->tls, err);
	if (rc != E_OK)
		return die(c, rc);
	c->connect_end_ms = clock_mono_ms() + limits.connect_ms;
	rc = handshake(c, err);
	c->connect_end_ms = 0;
	return rc;
}

bool conn_has_tls(const struct conn *c)
{
	return c->tls != NULL;
}

bool conn_is_loopback(const struct conn *c)
{
	return c->loopback;
}

uint64_t conn_bytes_in(const struct conn *c)
{
	return c->bytes_in;
}

uint64_t conn_bytes_out(const struct conn *c)
{
	return c->bytes_out;
}
