/* jail.h - what the exporter gives up once it listens: files, programs, processes, new addresses. */
#ifndef MS_METRICS_JAIL_H
#define MS_METRICS_JAIL_H

#include "../../common/err.h"

/* rlimits and an allow list of system calls. What is not on it is refused with EPERM. No way back. */
enum code jail_enter(struct err *err) MS_MUST_USE;

#endif
