/* conn.h - one TCP connection, plain or TLS, with three deadlines, for blocking-style code.
 *
 * It waits only in fiber_wait(). Deadlines: connecting including the TLS handshake 30 s; no byte in
 * either direction for 60 s; and, so that a server that drips cannot hold us, less than 1 kB/s over
 * 120 s of one operation. conn_begin() starts the clocks of the next operation.
 *
 * Full duplex: whatever arrives while bytes are being written is read and kept (up to a cap), so two
 * full socket buffers can never make both ends wait for each other. After an error the connection is
 * dead; what had arrived before can still be looked at with conn_input().
 */
#ifndef MS_CONN_H
#define MS_CONN_H

#include "../../common/err.h"
#include "../../common/span.h"

#define CONN_CONNECT_MS 30000
#define CONN_IDLE_MS 60000
#define CONN_RATE_MS 120000
#define CONN_RATE_BYTES ((uint64_t)120 * 1000)

struct conn;

enum code conn_open(const char *host, uint16_t port, struct conn **conn_r, struct err *err) MS_MUST_USE;
/* Closes at once; a healthy TLS session is closed with close_notify. NULL inside is fine. */
void conn_close(struct conn **conn);
/* From here on everything is TLS with the host that was given to conn_open. Fails with E_PROTOCOL
 * if bytes had arrived already: they would have been injected before the switch. */
enum code conn_start_tls(struct conn *conn, const char *ca_pem, struct err *err) MS_MUST_USE;
bool conn_is_loopback(const struct conn *conn);      /* the peer's address is 127/8 or ::1 */

void conn_begin(struct conn *conn);
/* Tests: other deadlines for all connections of this process, 0 = the defaults. */
void conn_set_deadlines(int64_t connect_ms, int64_t idle_ms, int64_t rate_ms);

/* Add bytes to what is to be sent. Large pieces go out directly from the caller's memory; small ones
 * are gathered and go out with conn_flush() or when there are enough of them. */
enum code conn_put(struct conn *conn, const void *p, size_t n, struct err *err) MS_MUST_USE;
enum code conn_flush(struct conn *conn, struct err *err) MS_MUST_USE;
/* Flush, then zero the memory that gathered the bytes: they held a secret. */
enum code conn_scrub(struct conn *conn, struct err *err) MS_MUST_USE;

/* What has arrived and was not consumed yet. Valid until the next call. */
struct span conn_input(const struct conn *conn);
void conn_consume(struct conn *conn, size_t n);
/* Wait for more input (flushing first). An end of data is E_NET. */
enum code conn_fill(struct conn *conn, struct err *err) MS_MUST_USE;
/* Read at least one and up to n bytes into p: kept input first, then straight from the connection. */
enum code conn_read(struct conn *conn, char *p, size_t n, size_t *got_r, struct err *err) MS_MUST_USE;
/* Take what is there without waiting. E_OK also if nothing was there. */
enum code conn_poll(struct conn *conn, struct err *err) MS_MUST_USE;

/* Both ways, of all connections that this process ever had. */
uint64_t conn_bytes_total(void);
uint64_t conn_bytes_in(const struct conn *conn);
uint64_t conn_bytes_out(const struct conn *conn);

#endif
