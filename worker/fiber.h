/* fiber.h - one thread, several straight lines of blocking code, and the one place that waits.
 *
 * Each side of a pairing runs its endpoint's verbs on a fiber of its own, so that one side reads
 * while the other writes, although every adapter is plain blocking code. A fiber gives way only in
 * fiber_wait(); everything else runs undisturbed. The hook that serves heartbeat, cancel and
 * deadline is called from here and from fiber_tick(); nothing else knows of them.
 */
#ifndef MS_FIBER_H
#define MS_FIBER_H

#include "../common/err.h"

struct fiber;

struct fiber *fiber_new(const char *name);
void fiber_free(struct fiber **fiber);              /* must be idle */
/* Run fn(arg) on the fiber: returns when fn has finished or waits for the first time. The fiber
 * must be idle. May be called from the main line only. */
void fiber_start(struct fiber *fiber, void (*fn)(void *arg), void *arg);
bool fiber_idle(const struct fiber *fiber);
/* Run all fibers until this one is idle. From the main line only. */
void fiber_join(struct fiber *fiber);
/* Run all fibers until *flag is true (set by one of them). From the main line only. */
void fiber_run_until(const bool *flag);

/* Wait until fd is ready for `events` (POLLIN, POLLOUT) or deadline_ms (clock_mono_ms, INT64_MAX =
 * none). On a fiber: others run meanwhile. On the main line: the fibers run meanwhile.
 * E_OK, E_TIMEOUT, or what the hook answered (E_CANCELLED ...). fd -1 waits for time only. */
enum code fiber_wait(int fd, short events, int64_t deadline_ms, struct err *err) MS_MUST_USE;

/* The hook: called at least every 200 ms while anybody waits, and from fiber_tick(). Anything but
 * E_OK ends the wait that is under way with that code. NULL removes it. */
void fiber_set_hook(enum code (*hook)(void *ctx, struct err *err), void *ctx);
/* For code that computes or writes to disk for long: call the hook if 200 ms have passed. */
enum code fiber_tick(struct err *err) MS_MUST_USE;

#endif
