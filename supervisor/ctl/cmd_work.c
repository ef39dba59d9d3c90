/* cmd_work.c - sync and reload: they need a running supervisor. */
#include "link.h"

#include "table.h"

static int ask(struct ctl *ctl, const char *cmd, const char *good)
{
	struct link_request request = { .cmd = cmd,
					.who = LINK_SERVICE,
					.failed = EXIT_FAILED,
					.wait_s = 120 };
	struct buf answer;

	buf_init(&answer, LINK_ANSWER_MAX);
	int rc = link_ask(ctl, &request, &answer);
	struct span text = span_trim(buf_span(&answer)), line;
	while (text.n > 0 && span_next(&text, '\n', &line)) {
		struct buf shown;

		buf_init(&shown, 64 * 1024);
		terminal_add(&shown, line.p, line.n);
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
	return ask(ctl, "sync", ctl->pairing != NULL ? "due now" : "all pairings are due now");
}

static int reload(struct ctl *ctl)
{
	return ask(ctl, "reload", "reloaded");
}

const struct ctl_command ctl_sync = {
	"sync", ARGS_MAYBE_PAIRING, 0, "make a pairing (or all) due now", sync_now,
};
const struct ctl_command ctl_reload = {
	"reload", ARGS_NONE, 0, "let the service read its configuration again", reload,
};
