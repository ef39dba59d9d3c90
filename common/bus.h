/* bus.h - the only door to ZeroMQ.
 *
 * The supervisor listens with a ROUTER, each worker connects with a DEALER whose routing id the
 * supervisor gave it at birth. Nothing ever waits inside ZeroMQ for long: LINGER 0, high-water
 * marks of 4, messages up to 64 KiB, and a send to a peer that is gone is an error. The routing id
 * is set by the peer: what a message is about is proved by the fields in it, not by where it
 * came from. Never call from more than one thread.
 */
#ifndef MS_BUS_H
#define MS_BUS_H

#include "buf.h"
#include "err.h"

struct bus;

#define BUS_ID_MAX 64

/* Bind ipc://path; a file that is there is replaced (who may bind is decided by the caller's
 * lock). The path must be shorter than 100 bytes. */
enum code bus_listen(const char *path, struct bus **bus_r, struct err *err) MS_MUST_USE;
enum code bus_connect(const char *path, struct span id, struct bus **bus_r, struct err *err) MS_MUST_USE;
void bus_close(struct bus **bus);
/* For a process that ends now: take the socket's name away, leave the rest to the kernel. */
void bus_abandon(const struct bus *bus);
/* Poll this for POLLIN; it is edge-triggered: after each wake-up, and before each wait, receive
 * until there is nothing. */
int bus_fd(const struct bus *bus);
/* E_NOT_FOUND: nothing there (it never waits). Otherwise one message; peer_r may be NULL. */
enum code bus_receive(struct bus *bus, struct buf *peer_r, struct buf *data, struct err *err) MS_MUST_USE;
/* Supervisor: to `peer`; never waits: E_BUSY if it is gone or its queue is full. Worker: peer is
 * ignored; waits up to 10 s for room, then E_BUSY. */
enum code bus_send(struct bus *bus, struct span peer, struct span data, struct err *err) MS_MUST_USE;
/* Worker: the connection is broken for good (it is never re-established). */
bool bus_lost(struct bus *bus);

#endif
