/* listen.h - where the exporter may be asked: a loopback address, a socket in the file system, or,
 * only if it was said twice, any address. Names are not looked up. */
#ifndef MS_METRICS_LISTEN_H
#define MS_METRICS_LISTEN_H

#include "../../common/err.h"

#include <sys/socket.h>

enum listen_scope { LISTEN_LOOPBACK, LISTEN_ANYWHERE };

/* "127.0.0.1:9774", "[::1]:9774" or "unix:/run/mailshadow-metrics/socket" as an address.
 * E_USAGE: not of these forms, or not of this machine alone where `scope` wants that. */
enum code listen_parse(const char *text, enum listen_scope scope, struct sockaddr_storage *address_r,
		       socklen_t *length_r, struct err *err) MS_MUST_USE;
/* A listening socket, non-blocking; a socket file that is left over is replaced, mode 0660. */
enum code listen_open(const struct sockaddr_storage *address, socklen_t length, int *fd_r,
		      struct err *err) MS_MUST_USE;

#endif
