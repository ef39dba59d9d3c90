/* stats.h - what the supervisor counts since it started, for the `metrics` request. Pure data.
 *
 * Everything here only rises, but what the worker slots hold. Names and meanings are those of
 * mailshadow-metrics(8), which reads them.
 */
#ifndef MS_STATS_H
#define MS_STATS_H

#include "../common/wire.h"

/* Upper bounds of the buckets, in milliseconds; one more bucket takes what is above. */
#define STATS_DURATION_LIST(X) \
	X(50) X(100) X(250) X(500) X(1000) X(2500) X(5000) X(10000) X(30000) X(60000) X(300000) X(900000) X(3600000)
#define STATS_LATENESS_LIST(X) \
	X(100) X(1000) X(5000) X(10000) X(30000) X(60000) X(120000) X(300000) X(600000) X(1800000) X(3600000)
#define STATS_BUCKETS 16

struct stats_histogram {
	const int64_t *bounds_ms;
	size_t n_bounds;
	uint64_t buckets[STATS_BUCKETS];  /* each its own, not yet added up; the last used: above all bounds */
	uint64_t count;
	int64_t sum_ms;
};

struct stats {
	uint64_t passes[RCLASS_COUNT];    /* ended scheduled tasks, by result */
	struct stats_histogram duration;  /* of those that a worker reported */
	struct stats_histogram lateness;  /* from due to granted */
	uint64_t created, changed, moved, removed, adopted;
	uint64_t written_items[SIDES], written_bytes[SIDES];   /* by the side that was written to */
	uint64_t logons_ok, logons_refused, logons_failed;
	uint64_t throttled;
	int64_t throttled_ms;             /* waits that servers asked for */
	uint64_t workers_started, workers_killed, workers_died;
	uint64_t reloads_ok, reloads_failed;
};

void stats_init(struct stats *stats);
void stats_observe(struct stats_histogram *histogram, int64_t ms);   /* below 0 counts as 0 */
/* A scheduled task ended; `result` is NULL where no worker reported, ran_ms then has no meaning. */
void stats_ended(struct stats *stats, enum rclass rclass, const struct wire_RESULT *result, int64_t ran_ms);
void stats_logon(struct stats *stats, enum code code);

#endif
