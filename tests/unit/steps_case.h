/* steps_case.h - the scenarios of t_steps.c: what was there, and what people did before the pass that
 * is interrupted. Each is played on stores in memory and on Maildirs.
 */
#ifndef T_STEPS_CASE_H
#define T_STEPS_CASE_H

#include "mail_user.h"

struct scene {
	struct pass_case c;
	struct user user[SIDES];
};

/* What the test's own eyes may not expect of the end; and how often it is interrupted. */
enum {
	UNEVEN_SIDES = 1,            /* policy keeps something on one side only, or one side has other names */
	UNEVEN_VERIFY = 2,           /* verify differs: an item that the other side refuses */
	MANY_STEPS = 4,              /* hundreds of the same: with a Maildir, four of every 32 are tried */
};

/* base: before the first pass. edit: between the second pass and the one that is interrupted; NULL:
 * the first pass is interrupted. */
struct scenario {
	const char *name;
	void (*base)(struct scene *s);
	void (*edit)(struct scene *s);
	enum conf_deletions deletions;
	unsigned what;               /* of the enum above */
};

extern const struct scenario scenarios[];
extern const size_t n_scenarios;

#endif
