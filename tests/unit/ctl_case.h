/* ctl_case.h - runs the `mailshadow` command in process, beside a scripted service. */
#ifndef T_CTL_CASE_H
#define T_CTL_CASE_H

#include "conf_case.h"

#include "../../supervisor/ctl/ctl.h"
#include "../../supervisor/ctl/link.h"

#include <sys/types.h>

struct ctl_case {
	struct conf_case conf;
	char *out, *err;
	pid_t service;
};

int cc_set_up(void **state);
int cc_tear_down(void **state);
/* Run "mailshadow -c FILE words..."; what it printed is in c->out and c->err. */
int run_words(struct ctl_case *c, const char *words);
void must_say(const char *where, const char *text);
/* The same while a service gives that answer to each request; what was asked is checked by asked(). */
int ask_service(struct ctl_case *c, const char *words, const char *answer);
void asked(struct ctl_case *c, const char *expected);
/* The document as string parts of `piece` bytes, the way the service cuts long answers, then `done`. */
char *in_parts(const char *document, size_t piece, const char *done);

#endif
