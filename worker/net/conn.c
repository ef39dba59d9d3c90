/* conn.c - a socket with deadlines, TLS or not, read while written.
 *
 * 1. Every wait goes through conn_await(), which knows all three deadlines.
 * 2. TLS may hold decrypted bytes: the session is always read until it wants more before the socket
 *    is waited for.
 * 3. After a failure `dead` is set and nothing more is sent.
 * Its test: tests/unit/t_net.c.
 */
#include "conn_p.h"

#include "../../common/clock.h"
#include "../../common/mem.h"
#include "../../common/secret.h"
#include "../fiber.h"
#include "tls.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_MAX ((size_t)2 * 1024 * 1024)   /* kept while writing; then reading stops */
#define DIRECT ((size_t)32 * 1024)         /* pieces from here on are sent without a copy */

enum io { IO_OK, IO_WANT_READ, IO_WANT_WRITE, IO_END, IO_FAILED };

struct conn_limits conn_limits = { CONN_CONNECT_MS, CONN_IDLE_MS, CONN_RATE_MS };

static uint64_t bytes_total;

void conn_set_deadlines(int64_t connect_ms, int64_t idle_ms, int64_t rate_ms)
{
	conn_limits.connect_ms = connect_ms > 0 ? connect_ms : CONN_CONNECT_MS;
	conn_limits.idle_ms = idle_ms > 0 ? idle_ms : CONN_IDLE_MS;
	conn_limits.rate_ms = rate_ms > 0 ? rate_ms : CONN_RATE_MS;
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
	return CONN_RATE_BYTES * (uint64_t)conn_limits.rate_ms / CONN_RATE_MS;
}

static enum code too_slow(struct conn *c, int64_t now, struct err *err)
{
	if (c->connect_end_ms != 0 && now >= c->connect_end_ms)
		return err_set(err, E_TIMEOUT, "%s did not finish connecting within %lld s", c->host,
			       (long long)(conn_limits.connect_ms / 1000));
	if (now - c->last_io_ms >= conn_limits.idle_ms)
		return err_set(err, E_TIMEOUT, "%s was silent for %lld s", c->host,
			       (long long)(conn_limits.idle_ms / 1000));
	if (now - c->rate_from_ms < conn_limits.rate_ms)
		return E_OK;
	if (c->bytes_in + c->bytes_out - c->rate_bytes < rate_floor())
		return err_set(err, E_TIMEOUT, "%s delivered less than 1 kB/s over %lld s", c->host,
			       (long long)(conn_limits.rate_ms / 1000));
	c->rate_from_ms = now;
	c->rate_bytes = c->bytes_in + c->bytes_out;
	return E_OK;
}

static int64_t next_deadline(const struct conn *c)
{
	int64_t end = c->last_io_ms + conn_limits.idle_ms;

	if (c->rate_from_ms + conn_limits.rate_ms < end)
		end = c->rate_from_ms + conn_limits.rate_ms;
	if (c->connect_end_ms != 0 && c->connect_end_ms < end)
		end = c->connect_end_ms;
	return end;
}

enum code conn_await(struct conn *c, short events, struct err *err)
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
		bytes_total += *got_r;
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
		c->unflushed |= io == IO_OK;
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
		bytes_total += *put_r;
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
	return conn_await(c, events, err);
}

/* The peer is gone; what it said before may still lie here, and is a better reason than ours. */
static void keep_last_words(struct conn *c)
{
	bool full = false;
	struct err ignored = ERR_INIT;

	while (!c->eof && read_some(c, &full, &ignored) == IO_OK)
		;
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

		if (io == IO_FAILED || io == IO_END) {
			keep_last_words(c);
			return die(c, err->code);
		}
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

static enum code write_gathered(struct conn *c, struct err *err)
{
	size_t n = c->out_n;

	c->out_n = 0;
	return n == 0 ? E_OK : write_all(c, c->out, n, err);
}

/* What TLS gathered. */
static enum code flush_tls(struct conn *c, struct err *err)
{
	struct err own = ERR_INIT;
	enum code rc = E_OK;

	if (err == NULL)
		err = &own;
	while (rc == E_OK && c->unflushed && !c->dead) {
		enum io io = from_tls(tls_flush(c->tls, err));

		if (io == IO_FAILED) {
			keep_last_words(c);
			return die(c, err->code);
		}
		if (io == IO_OK)
			c->unflushed = false;
		else
			rc = write_blocked(c, io, err);
	}
	return rc;
}

enum code conn_flush(struct conn *c, struct err *err)
{
	enum code rc = write_gathered(c, err);

	return rc == E_OK ? flush_tls(c, err) : rc;
}

enum code conn_put(struct conn *c, const void *p, size_t n, struct err *err)
{
	enum code rc = E_OK;

	if (n > CONN_OUT_MAX - c->out_n)
		rc = write_gathered(c, err);
	if (rc == E_OK && n >= DIRECT) {
		rc = write_gathered(c, err);
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

	secret_wipe(c->out, CONN_OUT_MAX);
	return rc;
}

/* --- reading --- */

static enum code read_blocked(struct conn *c, enum io io, struct err *err)
{
	if (io == IO_FAILED || io == IO_END)
		return die(c, err->code);
	return conn_await(c, io == IO_WANT_READ ? POLLIN : POLLOUT, err);
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

/* --- the end, and TLS --- */

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
		rc = conn_await(c, io == TLS_IO_WANT_READ ? POLLIN : POLLOUT, err);
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
	c->connect_end_ms = clock_mono_ms() + conn_limits.connect_ms;
	rc = handshake(c, err);
	c->connect_end_ms = 0;
	return rc;
}

bool conn_is_loopback(const struct conn *c)
{
	return c->loopback;
}

uint64_t conn_bytes_total(void)
{
	return bytes_total;
}

uint64_t conn_bytes_in(const struct conn *c)
{
	return c->bytes_in;
}

uint64_t conn_bytes_out(const struct conn *c)
{
	return c->bytes_out;
}
