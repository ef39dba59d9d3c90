/* due.h - when a pairing runs again, and how long trouble is waited out. Pure functions.
 *
 * Times are milliseconds of CLOCK_BOOTTIME. The rules, by result class (R18, R21-R23):
 *   ok, held                 end + interval
 *   yielded, returned        end (at once)
 *   throttled                end + the larger of (interval + bump) and the server's wait
 *   every other failure      end + interval + bump
 *   stopped                  never by itself
 * In each case the pairing goes to the bottom of the pool: among the due ones, the one that has
 * been due longest is at the top, and of equal ones the one that was put there first.
 */
#ifndef MS_DUE_H
#define MS_DUE_H

#include "../common/err.h"

#define DUE_NEVER INT64_MAX
#define DUE_KINDS 4                      /* mail, events, contacts, tasks */

struct due_rules {
	int64_t interval_ms, bump_ms;
};

int64_t due_after(const struct due_rules *rules, enum rclass rclass, int64_t end, int64_t wait_ms);
/* Does the guide's word Failure fit? (Not for ok, held, yielded and returned.) */
bool due_is_failure(enum rclass rclass);
/* One class out of a class per kind of item: the gravest; the table is in due.c. */
enum rclass due_fold(const enum rclass by_kind[DUE_KINDS]);

/* A place in the pool. */
struct due_place {
	int64_t due;
	uint64_t seq;                    /* rises with every placing */
};
/* Who comes first: negative, 0, positive as for qsort. */
int due_compare(const struct due_place *a, const struct due_place *b);

/* Crashes of one pairing: three within the window quarantine it, each time twice as long. */
#define DUE_CRASHES 3
#define DUE_CRASH_WINDOW_MS ((int64_t)2 * 3600 * 1000)
#define DUE_QUARANTINE_MAX_MS ((int64_t)24 * 3600 * 1000)
struct due_crashes {
	int64_t at[DUE_CRASHES];         /* the last ones, newest first */
	unsigned n, level;
};
/* Note one more; returns until when the pairing is quarantined, 0 = it is not. */
int64_t due_note_crash(struct due_crashes *crashes, int64_t now, int64_t first_ms);

/* What follows the n-th pool restart in a row: 0, first, 2 * first ... max. */
int64_t due_hold_ms(unsigned restarts_in_row, int64_t first_ms, int64_t max_ms);
/* How long a slot waits after its n-th stillborn worker in a row: 1, 2, 4 ... 60 s. */
int64_t due_spawn_delay_ms(unsigned deaths_in_row);

#endif
