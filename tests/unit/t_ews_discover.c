/* t_ews_discover.c - Autodiscover's answers, as servers give them and as they must not. */
#include "../../common/arena.h"
#include "../../worker/ews/ews.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define HEAD "<?xml version=\"1.0\" encoding=\"utf-8\"?><Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/" \
	     "autodiscover/responseschema/2006\"><Response xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/" \
	     "outlook/responseschema/2006a\">"
#define TAIL "</Response></Autodiscover>"

static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	arena = arena_new(1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static enum code parsed(const char *text, struct ews_discovered *found_r)
{
	struct err err = ERR_INIT;

	return ews_discover_read(arena, span_of(text), found_r, &err);
}

static void t_settings(void **state)
{
	struct ews_discovered f;

	(void)state;
	assert_int_equal(parsed(HEAD "<User><DisplayName>A</DisplayName></User><Account><AccountType>email</AccountType>"
		"<Action>settings</Action><Protocol><Type>EXCH</Type><Server>x</Server><EwsUrl> https://in.example/EWS/"
		"Exchange.asmx\n</EwsUrl></Protocol><Protocol><Type>EXPR</Type><EwsUrl>https://out.example/EWS/"
		"Exchange.asmx</EwsUrl></Protocol><Protocol><Type>EXHTTP</Type><EwsUrl>https://third.example/</EwsUrl>"
		"</Protocol></Account>" TAIL, &f), E_OK);
	assert_true(span_eq_str(f.inside, "https://in.example/EWS/Exchange.asmx"));
	assert_true(span_eq_str(f.outside, "https://out.example/EWS/Exchange.asmx"));
	assert_int_equal(f.redirect.n + f.error.n, 0);
}

static void t_elsewhere(void **state)
{
	struct ews_discovered f;

	(void)state;
	assert_int_equal(parsed(HEAD "<Account><Action>redirectAddr</Action><RedirectAddr>a@b.example</RedirectAddr>"
				"</Account>" TAIL, &f), E_OK);
	assert_true(span_eq_str(f.redirect, "a@b.example"));
	assert_int_equal(parsed(HEAD "<Error Time=\"1\" Id=\"2\"><ErrorCode>500</ErrorCode><Message>The email address "
				"can't be found.</Message></Error>" TAIL, &f), E_OK);
	assert_true(span_eq_str(f.error, "The email address can't be found."));
}

static void t_bad(void **state)
{
	static const char *const bad[] = {
		"", "<html>", "no XML", HEAD "<Account>", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
	};
	struct ews_discovered f;
	struct buf deep;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(parsed(bad[i], &f), E_PROTOCOL);
	buf_init(&deep, 1 << 20);
	for (int i = 0; i < 100; i++)
		buf_add_str(&deep, "<a>");
	assert_int_equal(parsed(buf_str(&deep), &f), E_PROTOCOL);
	buf_free(&deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(t_settings), T(t_elsewhere), T(t_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
