/* stats.c - counting; see stats.h. Pure; test: t_metrics_stats.c. */
#include "stats.h"

#define X(ms) ms,
static const int64_t duration_bounds[] = { STATS_DURATION_LIST(X) };
static const int64_t lateness_bounds[] = { STATS_LATENESS_LIST(X) };
#undef X
static_assert(ARRAY_LEN(duration_bounds) < STATS_BUCKETS && ARRAY_LEN(lateness_bounds) < STATS_BUCKETS,
	      "one bucket must be left for what is above all bounds");

void stats_init(struct stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->duration.bounds_ms = duration_bounds;
	stats->duration.n_bounds = ARRAY_LEN(duration_bounds);
	stats->lateness.bounds_ms = lateness_bounds;
	stats->lateness.n_bounds = ARRAY_LEN(lateness_bounds);
}

void stats_observe(struct stats_histogram *histogram, int64_t ms)
{
	size_t i = 0;

	ms = ms > 0 ? ms : 0;
	while (i < histogram->n_bounds && ms > histogram->bounds_ms[i])
		i++;
	histogram->buckets[i]++;
	histogram->count++;
	histogram->sum_ms += ms;
}

void stats_ended(struct stats *stats, enum rclass rclass, const struct wire_RESULT *r, int64_t ran_ms)
{
	stats->passes[rclass]++;
	if (rclass == RC_THROTTLED) {
		stats->throttled++;
		stats->throttled_ms += r != NULL ? r->wait_ms : 0;
	}
	if (r == NULL)
		return;
	stats_observe(&stats->duration, ran_ms);
	stats->created += r->created;
	stats->changed += r->changed;
	stats->moved += r->moved;
	stats->removed += r->removed;
	stats->adopted += r->adopted;
	stats->written_items[SIDE_LEFT] += r->written_left;
	stats->written_items[SIDE_RIGHT] += r->written_right;
	stats->written_bytes[SIDE_LEFT] += r->bytes_left;
	stats->written_bytes[SIDE_RIGHT] += r->bytes_right;
}

void stats_logon(struct stats *stats, enum code code)
{
	enum rclass rclass = code_class(code);

	if (rclass == RC_OK)
		stats->logons_ok++;
	else if (rclass == RC_LOGON_FAILED || rclass == RC_STORE_FAILED || rclass == RC_STOPPED)
		stats->logons_refused++;
	else
		stats->logons_failed++;
}
