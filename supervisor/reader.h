/* reader.h - reads a configuration in a process of its own: `mailshadowd --read-config FILE`.
 *
 * Whatever the file holds, the running pool is not hurt: the reader has limits of memory and time,
 * its death is an answer like any other, and what it hands back (JSON, conf_decode()) is checked again.
 */
#ifndef MS_READER_H
#define MS_READER_H

#include "../common/buf.h"
#include "../common/conf.h"

#include <sys/types.h>

struct reader {
	pid_t pid;                   /* 0: none runs */
	int fd;                      /* its answer; for the poll loop */
	int64_t deadline_ms;         /* monotonic */
	struct buf in;
};

enum code reader_start(struct reader *reader, const char *file, struct err *err) MS_MUST_USE;
/* Something lies at fd, or the deadline is over: true when the answer is complete. */
bool reader_serve(struct reader *reader);
/* The answer of a complete one, which is then free again: the configuration, or the error that the
 * file has ("FILE:LINE: ..."). Warnings go to `warn` one by one. */
enum code reader_take(struct reader *reader, void (*warn)(void *ctx, const char *text), void *ctx,
		      struct conf **conf_r, struct err *err) MS_MUST_USE;

/* The process itself: everything after `--read-config FILE`. Its exit code. */
int reader_main(const char *file);

#endif
