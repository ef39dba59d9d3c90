/* ctl.h - the `mailshadow` command: a table of subcommands, one file per group of them.
 *
 * A subcommand is a const row: its name, what it takes, one line of help, and a function that gets
 * the parsed command line and returns the exit code. Output goes to ctl->out, errors, one line
 * each, to ctl->err_out: so tests run commands in process.
 */
#ifndef MS_CTL_H
#define MS_CTL_H

#include "../../common/conf.h"

#include <stdio.h>

#define CTL_CONFIG "/etc/mailshadow/mailshadow.xml"

/* What scripts rely on. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,         /* failed, or differs */
	EXIT_CONFIG = 2,         /* configuration or usage */
	EXIT_NO_SUCH = 3,        /* no such pairing or endpoint */
	EXIT_NO_SERVICE = 69,    /* a supervisor is needed and none runs */
	EXIT_BUSY = 75,
};

/* Options as bits: what a command allows and what was given. */
enum {
	OPT_JSON = 1, OPT_WATCH = 2, OPT_SUBJECTS = 4, OPT_RETRY = 8, OPT_DISCARD = 16, OPT_ALL = 32, OPT_FOLLOW = 64,
	OPT_WAIT = 128,
};
enum ctl_args { ARGS_NONE, ARGS_MAYBE_PAIRING, ARGS_ENDPOINT, ARGS_PAIRING, ARGS_PAIRING_ITEM };

struct ctl {
	const char *config;      /* -c FILE */
	const char *pairing;     /* or the endpoint; NULL where none is given */
	const char *item;        /* the same */
	unsigned options;
	FILE *out, *err_out;
};

struct ctl_command {
	const char *name;
	enum ctl_args args;
	unsigned options;        /* allowed ones */
	const char *summary;
	int (*run)(struct ctl *ctl);
};
extern const struct ctl_command ctl_check_config, ctl_print_config, ctl_status, ctl_sync, ctl_stop, ctl_start,
	ctl_resume, ctl_release, ctl_quarantine, ctl_journal, ctl_explain, ctl_plan, ctl_verify, ctl_test, ctl_log,
	ctl_reload, ctl_addresses;

/* The whole command; main() is only this. */
int ctl_main(int argc, char **argv, FILE *out, FILE *err_out);

/* Load the configuration, warnings to err_out if `warn`; EXIT_OK or EXIT_CONFIG (was said). */
int ctl_load(struct ctl *ctl, bool warn, struct conf **conf_r) MS_MUST_USE;
/* EXIT_OK, or EXIT_NO_SUCH with the closest name on err_out. */
int ctl_want_pairing(struct ctl *ctl, const struct conf *conf) MS_MUST_USE;
void ctl_error(struct ctl *ctl, const char *fmt, ...) MS_PRINTF(2, 3);

#endif
