/* t_metrics_stats.c - what is counted: bounds of buckets, results, logons. */
#include "../../supervisor/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t sum(const struct stats_histogram *h)
{
	uint64_t n = 0;

	for (size_t i = 0; i < STATS_BUCKETS; i++)
		n += h->buckets[i];
	return n;
}

/* A bound belongs to its own bucket, as Prometheus' le says; what is above all bounds has the last. */
static void test_bounds(void **ctx)
{
	struct stats stats;

	(void)ctx;
	stats_init(&stats);
	for (size_t i = 0; i < stats.duration.n_bounds; i++) {
		int64_t bound = stats.duration.bounds_ms[i];

		assert_true(i == 0 || bound > stats.duration.bounds_ms[i - 1]);
		stats_observe(&stats.duration, bound);
		assert_int_equal(stats.duration.buckets[i], i == 0 ? 1 : 2);
		stats_observe(&stats.duration, bound + 1);
		assert_int_equal(stats.duration.buckets[i + 1], 1);
	}
	assert_int_equal(stats.duration.count, 2 * stats.duration.n_bounds);
	assert_int_equal(sum(&stats.duration), stats.duration.count);
	stats_observe(&stats.duration, INT64_MAX / 4);
	assert_int_equal(stats.duration.buckets[stats.duration.n_bounds], 2);
}

static void test_time_that_goes_back(void **ctx)
{
	struct stats stats;

	(void)ctx;
	stats_init(&stats);
	stats_observe(&stats.lateness, -5);
	assert_int_equal(stats.lateness.buckets[0], 1);
	assert_int_equal(stats.lateness.sum_ms, 0);
}

static void test_ends(void **ctx)
{
	struct wire_RESULT r = { .created = 3, .removed = 1, .written_left = 1, .written_right = 3,
				 .bytes_right = 900, .wait_ms = 7000 };
	struct stats stats;

	(void)ctx;
	stats_init(&stats);
	stats_ended(&stats, RC_OK, &r, 120);
	stats_ended(&stats, RC_THROTTLED, &r, 80);
	stats_ended(&stats, RC_CRASHED, NULL, 99999);    /* nobody reported: no duration, no counts */
	assert_int_equal(stats.passes[RC_OK], 1);
	assert_int_equal(stats.passes[RC_THROTTLED], 1);
	assert_int_equal(stats.passes[RC_CRASHED], 1);
	assert_int_equal(stats.duration.count, 2);
	assert_int_equal(stats.duration.sum_ms, 200);
	assert_int_equal(stats.created, 6);
	assert_int_equal(stats.removed, 2);
	assert_int_equal(stats.written_items[SIDE_LEFT], 2);
	assert_int_equal(stats.written_items[SIDE_RIGHT], 6);
	assert_int_equal(stats.written_bytes[SIDE_RIGHT], 1800);
	assert_int_equal(stats.throttled, 1);
	assert_int_equal(stats.throttled_ms, 7000);
}

static void test_logons(void **ctx)
{
	struct stats stats;

	(void)ctx;
	stats_init(&stats);
	stats_logon(&stats, E_OK);
	stats_logon(&stats, E_LOGON_FAILED);
	stats_logon(&stats, E_STORE_FAILED);
	stats_logon(&stats, E_INVALID_CREDENTIALS);
	stats_logon(&stats, E_NET);
	stats_logon(&stats, E_THROTTLED);
	assert_int_equal(stats.logons_ok, 1);
	assert_int_equal(stats.logons_refused, 3);
	assert_int_equal(stats.logons_failed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_time_that_goes_back),
		cmocka_unit_test(test_ends), cmocka_unit_test(test_logons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
