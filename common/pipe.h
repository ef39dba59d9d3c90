/* pipe.h - frames over the socketpair that a worker inherits from the supervisor.
 *
 * Before the jail: a LOG, one BATCH (JSON: who the worker is), a PAIRING (JSON: its name, configuration
 * and directories) for each pairing that it may be given, then GO. Afterwards: the worker asks NEED for
 * one secret of the pairing that it holds the lease of, the supervisor answers SECRET or REFUSED. The
 * other end's death is the end of file, and ends the worker. Secrets travel here and nowhere else.
 */
#ifndef MS_PIPE_H
#define MS_PIPE_H

#include "buf.h"
#include "err.h"
#include "span.h"

#define PIPE_FD 3                            /* in the worker */
#define PIPE_MAX ((size_t)8 * 1024 * 1024)   /* one frame */

enum pipe_type {
	PIPE_BATCH = 1, PIPE_PAIRING, PIPE_GO,
	PIPE_NEED,      /* u64 generation, u8 side, purpose */
	PIPE_SECRET,    /* the secret's bytes */
	PIPE_REFUSED,   /* u32 code_number(), sentence */
	PIPE_LOG,       /* first, and at any time after GO: from now on this log (its descriptor comes along), at that
	                   level (u8), with that trace list */
};

/* Append a frame to `out` (whose ceiling decides). */
void pipe_frame(struct buf *out, enum pipe_type type, struct span payload);
/* The first whole frame in `in`: true, with its payload (which lies in `in`) and its length for
 * buf_consume(). E_PROTOCOL if what is there cannot be a frame. */
enum code pipe_take(const struct buf *in, bool *there_r, enum pipe_type *type_r, struct span *payload_r,
		    size_t *used_r, struct err *err) MS_MUST_USE;

/* Blocking, for the worker. Read: E_CANCELLED at end of file; deadline_ms as clock_mono_ms(). */
enum code pipe_write(int fd, enum pipe_type type, struct span payload, struct err *err) MS_MUST_USE;
enum code pipe_read(int fd, struct buf *in, int64_t deadline_ms, enum pipe_type *type_r,
		    struct err *err) MS_MUST_USE;   /* in: the payload alone */

/* A PIPE_LOG at once, or E_IO: does not wait, and leaves nothing half sent. */
enum code pipe_send_log(int fd, int log_fd, uint8_t level, const char *trace, struct err *err) MS_MUST_USE;
/* The descriptor that came with the PIPE_LOG that was read last; -1. The caller closes it. */
int pipe_passed_fd(void);

struct pipe_need {
	uint64_t generation;
	uint8_t side;
	struct span purpose;
};
void pipe_need_encode(const struct pipe_need *need, struct buf *out);
bool pipe_need_decode(struct span payload, struct pipe_need *need_r);

#endif
