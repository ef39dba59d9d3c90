/* t_slot.c - the table of a worker's life: every path that must be, none that must not. */
#include "../../supervisor/slot.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum slot_state after(const enum slot_event *events, size_t n)
{
	enum slot_state state = SLOT_FREE;

	for (size_t i = 0; i < n; i++)
		assert_true(slot_step(&state, events[i]));
	return state;
}
#define AFTER(...) after((const enum slot_event[]){ __VA_ARGS__ }, \
			 sizeof((const enum slot_event[]){ __VA_ARGS__ }) / sizeof(enum slot_event))

static void test_a_whole_life(void **ctx)
{
	(void)ctx;
	assert_int_equal(AFTER(SLOT_EV_SPAWN, SLOT_EV_READY, SLOT_EV_TASK, SLOT_EV_ACCEPT, SLOT_EV_BEGUN), SLOT_BUSY);
	assert_int_equal(AFTER(SLOT_EV_SPAWN, SLOT_EV_READY, SLOT_EV_TASK, SLOT_EV_ACCEPT, SLOT_EV_BEGUN,
			       SLOT_EV_RESULT, SLOT_EV_TASK, SLOT_EV_ACCEPT, SLOT_EV_BEGUN, SLOT_EV_RESULT,
			       SLOT_EV_DRAIN, SLOT_EV_REAPED), SLOT_FREE);
	assert_int_equal(AFTER(SLOT_EV_SPAWN, SLOT_EV_READY, SLOT_EV_TASK, SLOT_EV_CANCEL, SLOT_EV_ACCEPT,
			       SLOT_EV_BEGUN, SLOT_EV_RESULT), SLOT_IDLE);
}

static void test_only_death_frees(void **ctx)
{
	(void)ctx;
	for (int s = 0; s < SLOT_STATES; s++) {
		for (int e = 0; e < SLOT_EVENTS; e++) {
			enum slot_state state = (enum slot_state)s;
			bool moved = slot_step(&state, (enum slot_event)e);

			if (moved && state == SLOT_FREE)
				assert_int_equal(e, SLOT_EV_REAPED);
			if (!moved)
				assert_int_equal(state, s);
			if (e == SLOT_EV_REAPED)
				assert_int_equal(moved, s != SLOT_FREE);
			if (e == SLOT_EV_KILL)
				assert_int_equal(moved, s != SLOT_FREE && s != SLOT_KILLED);
		}
	}
}

static void test_credit_one(void **ctx)
{
	(void)ctx;
	for (int s = 0; s < SLOT_STATES; s++) {
		enum slot_state state = (enum slot_state)s;

		assert_int_equal(slot_step(&state, SLOT_EV_TASK), s == SLOT_IDLE);
		state = (enum slot_state)s;
		if (slot_step(&state, SLOT_EV_RESULT))
			assert_true(slot_has_task((enum slot_state)s));
		state = (enum slot_state)s;
		if (slot_step(&state, SLOT_EV_CANCEL))
			assert_true(slot_has_task((enum slot_state)s) && s != SLOT_CANCELLING);
	}
}

static void test_names(void **ctx)
{
	(void)ctx;
	assert_string_equal(slot_state_name(SLOT_CANCELLING), "cancelling");
	assert_string_equal(slot_event_name(SLOT_EV_REAPED), "reaped");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_life), cmocka_unit_test(test_only_death_frees),
		cmocka_unit_test(test_credit_one), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
