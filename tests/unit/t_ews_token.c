/* t_ews_token.c - what token endpoints answer. */
#include "../../worker/ews/ews_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static enum code read_it(const char *text, bool good, const char *token, uint32_t seconds, const char *says)
{
	struct secret *got = NULL;
	struct err err = ERR_INIT;
	uint32_t s = 0;
	enum code rc = ews_token_read(span_of(text), good, &got, &s, &err);

	if (token != NULL) {
		assert_non_null(got);
		assert_string_equal(secret_reveal(got), token);
		assert_int_equal(s, seconds);
	} else {
		assert_null(got);
		assert_non_null(strstr(err_text(&err), says));
	}
	secret_free(&got);
	return rc;
}

static void t_tokens(void **state)
{
	(void)state;
	assert_int_equal(read_it("{\"access_token\":\"abc.d-_\",\"expires_in\":3599}", true, "abc.d-_", 3599, ""), E_OK);
	assert_int_equal(read_it("{\"access_token\":\"abc\",\"expires_in\":\"60\"}", true, "abc", 60, ""), E_OK);
	assert_int_equal(read_it("{\"access_token\":\"abc\"}", true, "abc", 3600, ""), E_OK);
	assert_int_equal(read_it("{\"access_token\":\"abc\",\"expires_in\":-5}", true, "abc", 3600, ""), E_OK);
	assert_int_equal(read_it("{\"access_token\":\"abc\",\"expires_in\":9999999999}", true, "abc", 86400, ""), E_OK);
}

static void t_none(void **state)
{
	static const char *const bad[] = {
		"", "<html>", "[]", "{}", "{\"access_token\":\"\"}", "{\"access_token\":7}", "{\"access_token\":\"a b\"}",
		"{\"access_token\":\"a\\r\\nX-Evil: 1\"}", "{\"access_token\":\"a\",\"access_token\":\"b\"}",
		"{\"access_token\":\"\\u00e4\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(read_it(bad[i], true, NULL, 0, "holds no token"), E_PROTOCOL);
	assert_int_equal(read_it("{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000222: expired\"}", false, NULL, 0,
				 "AADSTS7000222"), E_LOGON_FAILED);
	assert_int_equal(read_it("{\"access_token\":\"abc\"}", false, NULL, 0, "does not say why"), E_PROTOCOL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(t_tokens), cmocka_unit_test(t_none) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
