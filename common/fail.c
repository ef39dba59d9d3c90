/* fail.c - the step counter of test builds. */
#include "fail.h"

#ifdef MS_TESTING
#include <stdlib.h>
#include <unistd.h>

static struct {
	bool started, in_process, dead;
	long count, stop_at;
} state;

static void start(void)
{
	const char *at = getenv("MS_STOP_AT");

	state.started = true;
	if (at != NULL)
		state.stop_at = strtol(at, NULL, 10);
}

bool fail_step(const char *where)
{
	(void)where;
	if (!state.started)
		start();
	if (state.dead)
		return true;
	state.count++;
	if (state.stop_at == 0 || state.count != state.stop_at)
		return false;
	if (!state.in_process)
		_exit(FAIL_EXIT);
	state.dead = true;
	return true;
}

bool fail_dead(void)
{
	return state.dead;
}

void fail_stop_at(long step)
{
	state.started = true;
	state.in_process = true;
	state.dead = false;
	state.count = 0;
	state.stop_at = step;
}

long fail_count(void)
{
	return state.count;
}
#endif
