/* conn_open.c - from a name to a connected socket: all addresses share the 30 s of conn.h.
 *
 * getaddrinfo() waits by itself, as long as resolv.conf says; an address needs no resolver.
 * Its test: tests/unit/t_net.c.
 */
#include "conn_p.h"

#include "../../common/clock.h"
#include "../../common/mem.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

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
	enum code rc = conn_await(c, POLLOUT, err);

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
	*c = (struct conn){ .fd = -1, .host = mem_strdup(host), .port = port, .in_cap = CONN_IN_BASE };
	c->connect_end_ms = clock_mono_ms() + conn_limits.connect_ms;
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
	c->out = mem_realloc(NULL, CONN_OUT_MAX, 1);
	*conn_r = c;
	return E_OK;
}
