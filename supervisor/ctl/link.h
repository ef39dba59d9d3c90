/* link.h - one request to the supervisor, and its answer as one text.
 *
 * The request goes to the control socket; where no service runs, to `mailshadowd --request`, which
 * takes the service's lock for it. Either way the answer is lines of JSON: {"part": ...} any number
 * of times, then {"done": true, "exit": N}. An "error" in any line is shown on err_out.
 */
#ifndef MS_LINK_H
#define MS_LINK_H

#include "../../common/buf.h"
#include "ctl.h"

#include <jansson.h>

/* Who may answer: only a service that runs (else EXIT_NO_SERVICE), or a process of our own. */
enum link_who { LINK_SERVICE, LINK_ANYBODY };

struct link_request {
	const char *cmd;
	enum link_who who;
	int failed; /* exit code when no answer could be had: EXIT_FAILED; 2 for verify */
	unsigned wait_s;         /* longest silence; 0 = as long as it takes */
	unsigned newest;         /* ask for the newest so many lines, unless --all is given */
};

/* Ask with ctl->pairing and ctl->options as the arguments; the answer is appended to `answer`.
 * Returns the exit code that was answered, or why there is none (said on err_out). */
int link_ask(struct ctl *ctl, const struct link_request *request, struct buf *answer) MS_MUST_USE;
/* Ask, and show the answer: as it came with --json, else by `show`. */
int link_show(struct ctl *ctl, const struct link_request *request,
	      void (*show)(struct ctl *ctl, json_t *document)) MS_MUST_USE;
/* The answer as a JSON object (json_decref); NULL and a message on err_out if it is not one. */
json_t *link_document(struct ctl *ctl, struct buf *answer);

#define LINK_ANSWER_MAX ((size_t)512 * 1024 * 1024)

#endif
