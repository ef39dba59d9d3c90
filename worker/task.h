/* task.h - takes tasks from the supervisor, one at a time, runs them, reports. */
#ifndef MS_TASK_H
#define MS_TASK_H

#include "batch.h"

struct worker;

/* Connect to the supervisor and say READY. */
enum code task_begin(const struct batch *batch, struct worker **worker_r, struct err *err) MS_MUST_USE;
/* Wait for its first message: from then on the bus makes no more threads, and seccomp may come. */
enum code task_await(struct worker *worker, struct err *err) MS_MUST_USE;
/* Tasks until DRAIN (E_OK) or until the supervisor is lost. */
enum code task_loop(struct worker *worker, struct err *err) MS_MUST_USE;
void task_end(struct worker **worker);

#endif
