/* cmd_work.c - sync, stop, start, resume, reload: they need a running supervisor, whose answer is a
 * line for people.
 */
#include "link.h"

#include "table.h"

static int ask(struct ctl *ctl, const char *cmd, const char *good)
{
	struct link_request request = {
		.cmd = cmd, .who = LINK_SERVICE, .failed = EXIT_FAILED,
		.wait_s = (ctl->options & OPT_WAIT) != 0 ? 0 : 120,
	};
	struct buf answer;

	buf_init(&answer, LINK_ANSWER_MAX);
	int rc = link_ask(ctl, &request, &answer);
	struct span text = span_trim(buf_span(&answer)), line;
	while (text.n > 0 && span_next(&text, '\n', &line)) {
		struct buf shown;

		buf_init(&shown, 64 * 1024);
		terminal_add(&shown, line.p, line.n);
		if (ctl->pairing != NULL)
			fprintf(ctl->out, "%s: ", ctl->pairing);
		fprintf(ctl->out, "%s\n", buf_str(&shown));
		buf_free(&shown);
	}
	if (rc == EXIT_OK && answer.n == 0)
		fprintf(ctl->out, "%s\n", good);
	buf_free(&answer);
	return rc;
}

static int sync_now(struct ctl *ctl)
{
	if ((ctl->options & OPT_WAIT) != 0 && ctl->pairing == NULL) {
		ctl_error(ctl, "sync --wait needs a pairing: name the one to wait for");
		return EXIT_CONFIG;
	}
	return ask(ctl, "sync", ctl->pairing != NULL ? "due now" : "all pairings are due now");
}

static int stop(struct ctl *ctl)
{
	return ask(ctl, "stop", "stopped");
}

static int start(struct ctl *ctl)
{
	return ask(ctl, "start", "started");
}

static int resume(struct ctl *ctl)
{
	return ask(ctl, "resume", "resumed");
}

static int reload(struct ctl *ctl)
{
	return ask(ctl, "reload", "reloaded");
}

const struct ctl_command ctl_sync = {
	"sync", ARGS_MAYBE_PAIRING, OPT_WAIT, "make a pairing (or all) due now", sync_now,
};
const struct ctl_command ctl_stop = {
	"stop", ARGS_PAIRING, 0, "no more passes, also after a restart", stop,
};
const struct ctl_command ctl_start = {
	"start", ARGS_PAIRING, 0, "passes again after a stop", start,
};
const struct ctl_command ctl_resume = {
	"resume", ARGS_PAIRING, 0, "retry after a stop error was dealt with", resume,
};
const struct ctl_command ctl_reload = {
	"reload", ARGS_NONE, 0, "read the configuration again and wait for the result", reload,
};
