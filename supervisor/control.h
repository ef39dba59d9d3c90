/* control.h - the control socket: RuntimeDirectory/control/socket, 0660 in its own 0750 directory.
 *
 * The protocol is one JSON object a line. The asker sends
 *     {"cmd": NAME, "args": {...}}
 * and gets any number of
 *     {"part": "a piece of the answer's text"}
 * whose strings, put together in their order, are the answer (a line for people from sync, stop, start,
 * resume and reload, else a JSON document), then exactly one
 *     {"done": true, "exit": N}        or        {"done": true, "exit": N, "error": "a sentence"}
 * A line from the asker is at most 64 KiB, one to the asker at most 256 KiB. Several requests may
 * follow each other on one connection; answers come in the order of the requests.
 *
 *   cmd     args                                  exit
 *   status  {}                                    0
 *   metrics {}                                    0; counters and gauges, for mailshadow-metrics(8)
 *   sync    {"pairing": NAME} or {} for all       0; 3 no such pairing; 1 a person must act first
 *   stop, start, resume {"pairing": NAME}         0; 1 makes no sense now; 3
 *   plan    {"pairing": NAME, "subjects": bool}   0; 1 failed; 3
 *   verify  {"pairing": NAME, "subjects": bool}   0 equal, 1 differs, 2 could not; 3
 *   quarantine {"pairing": NAME, "retry": bool}   0; 1 failed; 3
 *   release {"pairing": NAME, "discard": bool}    0; 1 nothing is held, or failed; 3
 *   journal {"pairing": NAME, "limit": N}         0; 1 failed; 3
 *   explain {"pairing": NAME, "item": ITEM}       0 known, 1 not known, or failed; 3
 *   reload  {}                                    0; 2 not valid, the old one stays
 * The same requests are what `mailshadowd --request JSON` takes; it prints the same lines.
 */
#ifndef MS_CONTROL_H
#define MS_CONTROL_H

#include "../common/buf.h"
#include "../common/err.h"

#define CONTROL_LINE_MAX ((size_t)64 * 1024)
#define CONTROL_ANSWER_MAX ((size_t)256 * 1024 * 1024)   /* what one asker may have pending */
#define CONTROL_CLIENTS_MAX 32

struct control;

/* Called with each request line. The handler answers by control_part() and control_done(), now or
 * later; `client` stays the asker's number until `gone` was called with it. */
struct control_handler {
	void *ctx;
	void (*request)(void *ctx, uint32_t client, struct span line);
	void (*gone)(void *ctx, uint32_t client);
};

/* Bind; the caller holds the lock. A socket that is left over is replaced. */
enum code control_listen(const char *directory, const struct control_handler *handler,
			 struct control **control_r, struct err *err) MS_MUST_USE;
/* One asker without a socket (--request): the answer lines go to this descriptor. */
struct control *control_local(int fd, const struct control_handler *handler);
#define CONTROL_LOCAL 1u
void control_close(struct control **control);         /* also unlinks the socket */

void control_part(struct control *control, uint32_t client, struct span text);
void control_done(struct control *control, uint32_t client, int exit_code, const char *error);
/* control_local: the exit code of the answer, -1 while it is not complete. */
int control_exit(const struct control *control);

/* For the poll loop: fill entries (at most CONTROL_CLIENTS_MAX + 1), return how many; then serve
 * them with what poll() said. */
struct pollfd;
size_t control_poll_fill(struct control *control, struct pollfd *pfds);
void control_serve(struct control *control, const struct pollfd *pfds, size_t n);
/* A request lies here already: control_serve() without waiting. */
bool control_pending(const struct control *control);

/* Append one answer line for a piece of text to out; invalid UTF-8 becomes U+FFFD. */
void control_format_part(struct buf *out, struct span text);
void control_format_done(struct buf *out, int exit_code, const char *error);
/* How much of `text` may travel as one piece of at most `max` bytes without cutting a character. */
size_t control_cut(struct span text, size_t max);

#endif
