/* fail.h - numbered steps and injected stops, in test builds (MS_TESTING) only.
 *
 * Every place where an interruption may hurt calls fail_step(). In a product build it is a constant
 * false. In a test build the steps are counted; at step MS_STOP_AT (or fail_stop_at()) the process
 * either exits with status 100 (programs) or is "dead" from then on (in-process tests): fail_step()
 * and fail_dead() stay true, and everything that has effects refuses to have them.
 */
#ifndef MS_FAIL_H
#define MS_FAIL_H

#include "ms.h"

#define FAIL_EXIT 100

#ifdef MS_TESTING
bool fail_step(const char *where);     /* true = stop here, without the effect that would follow */
bool fail_dead(void);
void fail_stop_at(long step);          /* in-process: die at that step (1..), 0 = never; resets the count */
long fail_count(void);                 /* steps since fail_stop_at() */
#else
static inline bool fail_step(const char *where) { (void)where; return false; }
static inline bool fail_dead(void) { return false; }
#endif

#endif
