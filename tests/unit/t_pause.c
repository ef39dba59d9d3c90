/* t_pause.c - an endpoint that asked others to slow down: short pauses are sat out, long ones reported. */
#include "../../common/clock.h"
#include "../../worker/endpoint.h"
#include "../../worker/endpoint_types.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int opened;

static enum code make_it(struct endpoint *ep, struct err *err)
{
	(void)ep;
	(void)err;
	return E_OK;
}

static enum code open_it(struct endpoint *ep, struct err *err)
{
	(void)ep;
	(void)err;
	opened++;
	return E_OK;
}

static void close_it(struct endpoint *ep)
{
	(void)ep;
}

static const struct ep_ops ops = { .type = "paused", .make = make_it, .open = open_it, .close = close_it };
static const struct conf_endpoint conf = { .name = "mail", .type = "paused" };

static enum code open_side(enum side side, struct err *err)
{
	const struct ep_env env = { .conf = &conf };
	struct endpoint *ep = NULL;
	enum code rc;

	opened = 0;
	assert_int_equal(ep_new(&env, side, &ep, err), E_OK);
	rc = ep_call(ep, EP_V_OPEN, NULL, NULL, 0, err);
	ep_free(&ep);
	return rc;
}

static void test_a_long_pause_is_reported_with_the_time_left(void **ctx)
{
	struct err err = ERR_INIT;

	(void)ctx;
	ep_pause(SIDE_RIGHT, clock_mono_ms() + 90000);
	assert_int_equal(open_side(SIDE_RIGHT, &err), E_THROTTLED);
	assert_int_equal(opened, 0);                     /* the server was not asked */
	assert_true(err.wait_ms > 80000 && err.wait_ms <= 90000);
	assert_int_equal(err.side, SIDE_RIGHT);
	assert_int_equal(open_side(SIDE_LEFT, &err), E_OK);
	ep_pause(SIDE_RIGHT, 0);
	assert_int_equal(open_side(SIDE_RIGHT, &err), E_OK);
	assert_int_equal(opened, 1);
}

static void test_a_short_pause_is_sat_out(void **ctx)
{
	int64_t from = clock_mono_ms();
	struct err err = ERR_INIT;

	(void)ctx;
	ep_pause(SIDE_LEFT, from + 300);
	assert_int_equal(open_side(SIDE_LEFT, &err), E_OK);
	assert_true(clock_mono_ms() >= from + 300);
	assert_int_equal(opened, 1);
	ep_pause(SIDE_LEFT, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_long_pause_is_reported_with_the_time_left),
		cmocka_unit_test(test_a_short_pause_is_sat_out),
	};

	ep_register_test(&ops);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
