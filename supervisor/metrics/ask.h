/* ask.h - one question to the supervisor over its control socket, with a deadline. */
#ifndef MS_METRICS_ASK_H
#define MS_METRICS_ASK_H

#include "../../common/buf.h"

#define ASK_ANSWER_MAX ((size_t)64 * 1024 * 1024)

/* Send {"cmd": cmd} and put the answer's text, a JSON document, into `answer` (which is cleared, and
 * has its ceiling). E_NET: nobody answers there; E_TIMEOUT; E_PROTOCOL; E_SERVER: it said no. */
enum code ask_supervisor(const char *socket_path, const char *cmd, int64_t wait_ms, struct buf *answer,
			 struct err *err) MS_MUST_USE;

#endif
