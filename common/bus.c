/* bus.c - ROUTER and DEALER sockets of ZeroMQ, with the options that make them honest.
 *
 * MANDATORY turns a send to a dead peer into an error instead of silence; HANDOVER stays off, so
 * that nobody can take over a routing id that is in use.
 */
#include "bus.h"

#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#define HIGH_WATER 4
#define SEND_WAIT_MS 10000
#define MESSAGE_MAX ((int64_t)64 * 1024)
#define MONITOR "inproc://monitor"

struct bus {
	void *zctx, *socket, *monitor;
	bool router, lost;
	int fd;
	char *path;                  /* bound: unlinked at the end */
};

static bool set_int(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

static enum code setup(struct bus *bus, struct err *err)
{
	int64_t max = MESSAGE_MAX;
	size_t size = sizeof(bus->fd);
	bool ok;

	bus->zctx = zmq_ctx_new();
	if (bus->zctx == NULL)
		return err_errno(err, E_INTERNAL, "zmq_ctx_new");
	bus->socket = zmq_socket(bus->zctx, bus->router ? ZMQ_ROUTER : ZMQ_DEALER);
	if (bus->socket == NULL)
		return err_errno(err, E_INTERNAL, "zmq_socket");
	ok = set_int(bus->socket, ZMQ_LINGER, 0) && set_int(bus->socket, ZMQ_SNDHWM, HIGH_WATER) &&
	     set_int(bus->socket, ZMQ_RCVHWM, HIGH_WATER) &&
	     zmq_setsockopt(bus->socket, ZMQ_MAXMSGSIZE, &max, sizeof(max)) == 0;
	if (ok && bus->router)
		ok = set_int(bus->socket, ZMQ_ROUTER_MANDATORY, 1);
	else if (ok)
		ok = set_int(bus->socket, ZMQ_RECONNECT_IVL, -1) &&
		     set_int(bus->socket, ZMQ_SNDTIMEO, SEND_WAIT_MS);
	if (!ok || zmq_getsockopt(bus->socket, ZMQ_FD, &bus->fd, &size) != 0)
		return err_errno(err, E_INTERNAL, "zmq_setsockopt");
	return E_OK;
}

static enum code open_bus(bool router, const char *path, struct bus **bus_r, char url[128], struct err *err)
{
	struct bus *bus;

	if (snprintf(url, 128, "ipc://%s", path) >= 107)
		return err_set(err, E_CONF, "%s: the path is too long for a socket; "
			       "choose a shorter RuntimeDirectory", path);
	bus = mem_alloc(sizeof(*bus));
	bus->router = router;
	*bus_r = bus;
	enum code rc = setup(bus, err);
	if (rc != E_OK)
		bus_close(bus_r);
	return rc;
}

enum code bus_listen(const char *path, struct bus **bus_r, struct err *err)
{
	char url[128];
	enum code rc = open_bus(true, path, bus_r, url, err);

	if (rc != E_OK)
		return rc;
	unlink(path);
	if (zmq_bind((*bus_r)->socket, url) != 0) {
		rc = err_errno(err, E_IO, "%s: cannot bind", path);
		bus_close(bus_r);
		return rc;
	}
	(*bus_r)->path = mem_strdup(path);
	return rc;
}

enum code bus_connect(const char *path, struct span id, struct bus **bus_r, struct err *err)
{
	char url[128];
	enum code rc = open_bus(false, path, bus_r, url, err);
	struct bus *bus = *bus_r;

	if (rc != E_OK)
		return rc;
	if (zmq_setsockopt(bus->socket, ZMQ_ROUTING_ID, id.p, id.n) != 0 ||
	    zmq_socket_monitor(bus->socket, MONITOR, ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED) != 0 ||
	    (bus->monitor = zmq_socket(bus->zctx, ZMQ_PAIR)) == NULL ||
	    !set_int(bus->monitor, ZMQ_LINGER, 0) ||
	    zmq_connect(bus->monitor, MONITOR) != 0 || zmq_connect(bus->socket, url) != 0) {
		rc = err_errno(err, E_IO, "%s: cannot connect", path);
		bus_close(bus_r);
	}
	return rc;
}

void bus_close(struct bus **bus)
{
	struct bus *b = *bus;

	if (b == NULL)
		return;
	if (b->monitor != NULL)
		zmq_close(b->monitor);
	if (b->socket != NULL)
		zmq_close(b->socket);
	if (b->zctx != NULL)
		zmq_ctx_term(b->zctx);
	if (b->path != NULL)
		unlink(b->path);
	mem_free(b->path);
	mem_free(b);
	*bus = NULL;
}

void bus_abandon(const struct bus *bus)
{
	if (bus != NULL && bus->path != NULL)
		unlink(bus->path);
}

int bus_fd(const struct bus *bus)
{
	return bus->fd;
}

/* One frame into `out` (which is emptied first); *more_r: the message goes on. */
static enum code receive_frame(struct bus *bus, struct buf *out, bool *more_r, struct err *err)
{
	zmq_msg_t frame;
	int n;

	zmq_msg_init(&frame);
	do
		n = zmq_msg_recv(&frame, bus->socket, ZMQ_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		zmq_msg_close(&frame);
		if (errno == EAGAIN)
			return E_NOT_FOUND;
		return err_errno(err, E_INTERNAL, "receiving from the bus");
	}
	if (out != NULL) {
		buf_clear(out);
		buf_add(out, zmq_msg_data(&frame), (size_t)n);
	}
	*more_r = zmq_msg_more(&frame) != 0;
	zmq_msg_close(&frame);
	return E_OK;
}

enum code bus_receive(struct bus *bus, struct buf *peer_r, struct buf *data, struct err *err)
{
	bool more = false;
	unsigned frames = 0;
	enum code rc = E_OK;

	buf_clear(data);
	if (bus->router) {
		rc = receive_frame(bus, peer_r, &more, err);
		if (rc != E_OK)
			return rc;
	} else {
		more = true;
	}
	while (rc == E_OK && more) {
		rc = receive_frame(bus, data, &more, err);
		frames++;
	}
	if (rc == E_OK && frames != 1)
		buf_clear(data);     /* not one of ours: the decoder refuses an empty message */
	return rc;
}

enum code bus_send(struct bus *bus, struct span peer, struct span data, struct err *err)
{
	int flags = bus->router ? ZMQ_DONTWAIT : 0;
	int rc;

	if (bus->router) {
		do
			rc = zmq_send(bus->socket, peer.p, peer.n, flags | ZMQ_SNDMORE);
		while (rc < 0 && errno == EINTR);
		if (rc < 0)
			return err_errno(err, E_BUSY, "sending to a worker");
	}
	do
		rc = zmq_send(bus->socket, data.p, data.n, flags);
	while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return err_errno(err, E_BUSY, "sending on the bus");
	return E_OK;
}

bool bus_lost(struct bus *bus)
{
	zmq_msg_t frame;

	if (bus->monitor == NULL || bus->lost)
		return bus->lost;
	zmq_msg_init(&frame);
	bus->lost = zmq_msg_recv(&frame, bus->monitor, ZMQ_DONTWAIT) >= 0;
	zmq_msg_close(&frame);
	return bus->lost;
}
