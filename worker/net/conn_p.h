/* conn_p.h - private to conn*.c: what a connection consists of. */
#ifndef MS_CONN_P_H
#define MS_CONN_P_H

#include "conn.h"
#include "tls.h"

#define CONN_IN_BASE ((size_t)128 * 1024)
#define CONN_OUT_MAX ((size_t)64 * 1024)

struct conn {
	int fd;
	struct tls *tls;
	char *host;
	uint16_t port;
	bool loopback, dead, eof;
	char *in;
	size_t in_at, in_n, in_cap;
	char *out;
	size_t out_n;
	bool unflushed;                  /* TLS has gathered something */
	uint64_t bytes_in, bytes_out;
	int64_t connect_end_ms;          /* set while connecting, else 0 */
	int64_t last_io_ms, rate_from_ms;
	uint64_t rate_bytes;
};

extern struct conn_limits {
	int64_t connect_ms, idle_ms, rate_ms;
} conn_limits;

/* Wait for `events`; E_OK also when a deadline that did not fail has passed: try again then. Any
 * other code leaves the connection dead. */
enum code conn_await(struct conn *conn, short events, struct err *err) MS_MUST_USE;

#endif
