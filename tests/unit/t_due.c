/* t_due.c - due times, order, quarantine, holds: the guide's minutes and the rules around them. */
#include "../../supervisor/due.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MIN ((int64_t)60000)
#define HOUR (60 * MIN)

static const struct due_rules guide = { 5 * MIN, 15 * MIN };

static void test_minutes_of_the_guide(void **ctx)
{
	const int64_t end = 1000000;

	(void)ctx;
	assert_int_equal(due_after(&guide, RC_OK, end, 0), end + 5 * MIN);
	assert_int_equal(due_after(&guide, RC_HELD, end, 0), end + 5 * MIN);
	assert_int_equal(due_after(&guide, RC_FAILED, end, 0), end + 20 * MIN);
	assert_int_equal(due_after(&guide, RC_CRASHED, end, 0), end + 20 * MIN);
	assert_int_equal(due_after(&guide, RC_LOGON_FAILED, end, 0), end + 20 * MIN);
	assert_int_equal(due_after(&guide, RC_STORE_FAILED, end, 0), end + 20 * MIN);
	assert_int_equal(due_after(&guide, RC_YIELDED, end, 0), end);
	assert_int_equal(due_after(&guide, RC_RETURNED, end, 0), end);
	assert_true(due_after(&guide, RC_STOPPED, end, 0) == DUE_NEVER);
}

static void test_throttled_waits_the_longer(void **ctx)
{
	(void)ctx;
	assert_int_equal(due_after(&guide, RC_THROTTLED, 0, 1 * MIN), 20 * MIN);
	assert_int_equal(due_after(&guide, RC_THROTTLED, 0, 90 * MIN), 90 * MIN);
	assert_int_equal(due_after(&guide, RC_OK, 0, 90 * MIN), 5 * MIN);
}

static void test_bump_may_be_nought(void **ctx)
{
	const struct due_rules rules = { 5 * MIN, 0 };

	(void)ctx;
	assert_int_equal(due_after(&rules, RC_FAILED, 7, 0), 7 + 5 * MIN);
}

static void test_order(void **ctx)
{
	const struct due_place a = { 10, 5 }, b = { 11, 1 }, c = { 10, 6 };

	(void)ctx;
	assert_true(due_compare(&a, &b) < 0 && due_compare(&b, &a) > 0);
	assert_true(due_compare(&a, &c) < 0 && due_compare(&c, &a) > 0);
	assert_int_equal(due_compare(&a, &a), 0);
}

static void test_fold_takes_the_gravest(void **ctx)
{
	const enum rclass fine[DUE_KINDS] = { RC_OK, RC_OK, RC_OK, RC_OK };
	const enum rclass held[DUE_KINDS] = { RC_OK, RC_HELD, RC_OK, RC_OK };
	const enum rclass logon[DUE_KINDS] = { RC_FAILED, RC_HELD, RC_LOGON_FAILED, RC_THROTTLED };
	const enum rclass stopped[DUE_KINDS] = { RC_LOGON_FAILED, RC_STOPPED, RC_OK, RC_CRASHED };
	const enum rclass yields[DUE_KINDS] = { RC_YIELDED, RC_OK, RC_OK, RC_OK };

	(void)ctx;
	assert_int_equal(due_fold(fine), RC_OK);
	assert_int_equal(due_fold(held), RC_HELD);
	assert_int_equal(due_fold(logon), RC_LOGON_FAILED);
	assert_int_equal(due_fold(stopped), RC_STOPPED);
	assert_int_equal(due_fold(yields), RC_YIELDED);
}

static void test_what_is_a_failure(void **ctx)
{
	(void)ctx;
	for (int c = 0; c < RCLASS_COUNT; c++)
		assert_int_equal(due_is_failure((enum rclass)c),
				 c != RC_OK && c != RC_HELD && c != RC_YIELDED && c != RC_RETURNED);
}

static void test_three_crashes_quarantine(void **ctx)
{
	struct due_crashes c = { .n = 0 };

	(void)ctx;
	assert_int_equal(due_note_crash(&c, 0, HOUR), 0);
	assert_int_equal(due_note_crash(&c, 20 * MIN, HOUR), 0);
	assert_int_equal(due_note_crash(&c, 40 * MIN, HOUR), 40 * MIN + HOUR);
	/* the trial run after it crashes again: twice as long, up to a day */
	assert_int_equal(due_note_crash(&c, 105 * MIN, HOUR), 105 * MIN + 2 * HOUR);
}

static void test_crashes_far_apart_do_not(void **ctx)
{
	struct due_crashes c = { .n = 0 };

	(void)ctx;
	for (int i = 0; i < 20; i++)
		assert_int_equal(due_note_crash(&c, i * 61 * MIN, HOUR), 0);
}

static void test_quarantine_has_an_end(void **ctx)
{
	struct due_crashes c = { .n = 0 };
	int64_t until = 0;

	(void)ctx;
	for (int i = 0; i < 40; i++)
		until = due_note_crash(&c, i, HOUR);
	assert_int_equal(until, 39 + 24 * HOUR);
}

static void test_holds_double(void **ctx)
{
	(void)ctx;
	assert_int_equal(due_hold_ms(0, 5000, 300000), 0);
	assert_int_equal(due_hold_ms(1, 5000, 300000), 0);
	assert_int_equal(due_hold_ms(2, 5000, 300000), 5000);
	assert_int_equal(due_hold_ms(3, 5000, 300000), 10000);
	assert_int_equal(due_hold_ms(4, 5000, 300000), 20000);
	assert_int_equal(due_hold_ms(60, 5000, 300000), 300000);
	assert_int_equal(due_spawn_delay_ms(0), 0);
	assert_int_equal(due_spawn_delay_ms(1), 1000);
	assert_int_equal(due_spawn_delay_ms(3), 4000);
	assert_int_equal(due_spawn_delay_ms(1000), 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minutes_of_the_guide), cmocka_unit_test(test_throttled_waits_the_longer),
		cmocka_unit_test(test_bump_may_be_nought), cmocka_unit_test(test_order),
		cmocka_unit_test(test_fold_takes_the_gravest), cmocka_unit_test(test_what_is_a_failure),
		cmocka_unit_test(test_three_crashes_quarantine), cmocka_unit_test(test_crashes_far_apart_do_not),
		cmocka_unit_test(test_quarantine_has_an_end), cmocka_unit_test(test_holds_double),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
