/* fiber.c - switching between the main line and the fibers, and the only poll() of a worker.
 *
 * Invariants: (1) only the main line resumes fibers; a fiber that waits always goes back to it.
 * (2) a fiber's stack has a guard page below it. (3) the hook runs at least every HOOK_MS while
 * anybody waits.
 */
#include "fiber.h"

#include "../common/clock.h"
#include "../common/mem.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK ((size_t)1024 * 1024)
#define FIBERS_MAX 8
#define HOOK_MS 200

enum state { IDLE, RUNNING, WAITING };

struct fiber {
	const char *name;
	enum state state;
	ucontext_t context;
	char *stack;
	void (*fn)(void *arg);
	void *arg;
	int fd;                 /* what it waits for */
	short events;
	int64_t deadline;
	enum code woken;        /* why it was resumed */
	struct err err;
	void *fake_stack;
};

static struct {
	ucontext_t main_line;
	const void *main_bottom;
	size_t main_size;
	void *main_fake;
	struct fiber *current;
	struct fiber *all[FIBERS_MAX];
	size_t n;
	enum code (*hook)(void *ctx, struct err *err);
	void *hook_ctx;
	int64_t hook_at;
} loop;

static void switch_to_fiber(struct fiber *f)
{
	loop.current = f;
	f->state = RUNNING;
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&loop.main_fake, f->stack, STACK);
#endif
	swapcontext(&loop.main_line, &f->context);
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(loop.main_fake, NULL, NULL);
#endif
	loop.current = NULL;
}

static void switch_to_main(struct fiber *f, bool last)
{
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(last ? NULL : &f->fake_stack, loop.main_bottom, loop.main_size);
#endif
	(void)last;
	swapcontext(&f->context, &loop.main_line);
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(f->fake_stack, &loop.main_bottom, &loop.main_size);
#endif
}

static void entry(void)
{
	struct fiber *f = loop.current;

#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(NULL, &loop.main_bottom, &loop.main_size);
#endif
	f->fn(f->arg);
	f->state = IDLE;
	switch_to_main(f, true);
}

struct fiber *fiber_new(const char *name)
{
	struct fiber *f = mem_alloc(sizeof(*f));
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, STACK + page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED || mprotect(map, page, PROT_NONE) != 0)
		_exit(MEM_EXIT);
	f->name = name;
	f->stack = map + page;
	assert(loop.n < FIBERS_MAX);
	loop.all[loop.n++] = f;
	return f;
}

void fiber_free(struct fiber **fp)
{
	struct fiber *f = *fp;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (f == NULL)
		return;
	assert(f->state == IDLE);
	for (size_t i = 0; i < loop.n; i++) {
		if (loop.all[i] == f) {
			loop.all[i] = loop.all[--loop.n];
			break;
		}
	}
	munmap(f->stack - page, STACK + page);
	mem_free(f);
	*fp = NULL;
}

void fiber_start(struct fiber *f, void (*fn)(void *arg), void *arg)
{
	assert(f->state == IDLE && loop.current == NULL);
	f->fn = fn;
	f->arg = arg;
	if (getcontext(&f->context) != 0)
		_exit(MEM_EXIT);
	f->context.uc_stack.ss_sp = f->stack;
	f->context.uc_stack.ss_size = STACK;
	f->context.uc_link = NULL;
	makecontext(&f->context, entry, 0);
	switch_to_fiber(f);
}

bool fiber_idle(const struct fiber *f)
{
	return f->state == IDLE;
}

static enum code run_hook(struct err *err)
{
	int64_t now = clock_mono_ms();

	if (loop.hook == NULL || now - loop.hook_at < HOOK_MS)
		return E_OK;
	loop.hook_at = now;
	return loop.hook(loop.hook_ctx, err);
}

static void resume(struct fiber *f, enum code why, const struct err *err)
{
	f->woken = why;
	if (err != NULL)
		f->err = *err;
	switch_to_fiber(f);
}

static int timeout_until(int64_t earliest, int64_t now)
{
	int64_t ms = earliest - now;

	if (loop.hook != NULL && ms > HOOK_MS)
		ms = HOOK_MS;
	if (ms > 60000)
		ms = 60000;
	return ms < 0 ? 0 : (int)ms;
}

/* One round: wait for any fiber's descriptor or `own` (may be NULL), then resume who is ready. The
 * hook's refusal is given to every waiter. */
static enum code pump(struct pollfd *own, int64_t deadline, struct err *err)
{
	struct pollfd fds[FIBERS_MAX + 1];
	struct fiber *waiting[FIBERS_MAX];
	size_t n = 0;
	struct err hook_err = ERR_INIT;

	for (size_t i = 0; i < loop.n; i++) {
		struct fiber *f = loop.all[i];

		if (f->state != WAITING)
			continue;
		fds[n] = (struct pollfd){ .fd = f->fd, .events = f->events };
		if (f->deadline < deadline)
			deadline = f->deadline;
		waiting[n++] = f;
	}
	fds[n] = own != NULL ? *own : (struct pollfd){ .fd = -1 };
	if (poll(fds, n + 1, timeout_until(deadline, clock_mono_ms())) < 0 && errno != EINTR)
		return err_errno(err, E_INTERNAL, "poll");
	if (own != NULL)
		own->revents = fds[n].revents;
	enum code cancelled = run_hook(&hook_err);
	int64_t now = clock_mono_ms();
	for (size_t i = 0; i < n; i++) {
		if (cancelled != E_OK) {
			resume(waiting[i], cancelled, &hook_err);
		} else if (fds[i].revents != 0) {
			resume(waiting[i], E_OK, NULL);
		} else if (now >= waiting[i]->deadline) {
			err_set(&hook_err, E_TIMEOUT, "no answer in time");
			resume(waiting[i], E_TIMEOUT, &hook_err);
		}
	}
	if (cancelled != E_OK && err != NULL)
		*err = hook_err;
	return cancelled;
}

static enum code wait_on_main(int fd, short events, int64_t deadline, struct err *err)
{
	struct pollfd own = { .fd = fd, .events = events };

	for (;;) {
		enum code rc = pump(&own, deadline, err);

		if (rc != E_OK)
			return rc;
		if (own.revents != 0)
			return E_OK;
		if (clock_mono_ms() >= deadline)
			return err_set(err, E_TIMEOUT, "no answer in time");
	}
}

enum code fiber_wait(int fd, short events, int64_t deadline_ms, struct err *err)
{
	struct fiber *f = loop.current;

	if (f == NULL)
		return wait_on_main(fd, events, deadline_ms, err);
	f->fd = fd;
	f->events = events;
	f->deadline = deadline_ms;
	f->state = WAITING;
	switch_to_main(f, false);
	if (f->woken != E_OK && err != NULL)
		*err = f->err;
	return f->woken;
}

void fiber_run_until(const bool *flag)
{
	assert(loop.current == NULL);
	while (!*flag)
		(void)pump(NULL, INT64_MAX, NULL);
}

void fiber_join(struct fiber *f)
{
	assert(loop.current == NULL);
	while (f->state != IDLE)
		(void)pump(NULL, INT64_MAX, NULL);
}

void fiber_set_hook(enum code (*hook)(void *ctx, struct err *err), void *ctx)
{
	loop.hook = hook;
	loop.hook_ctx = ctx;
	loop.hook_at = clock_mono_ms();
}

enum code fiber_tick(struct err *err)
{
	return run_hook(err);
}
