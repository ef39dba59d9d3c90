/* t_ews_discover.c - Autodiscover's answers, as servers give them and as they must not. */
#include "../../common/arena.h"
#include "../../worker/ews/ews.h"
#include "../../worker/ews/ews_srv.h"

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

#define SOAP_HEAD "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><GetUserSettingsResponseMessage " \
		  "xmlns=\"http://schemas.microsoft.com/exchange/2010/Autodiscover\"><Response><ErrorCode>NoError</ErrorCode>" \
		  "<ErrorMessage>No error.</ErrorMessage><UserResponses><UserResponse>"
#define SOAP_TAIL "</UserResponse></UserResponses></Response></GetUserSettingsResponseMessage></s:Body></s:Envelope>"

static void t_soap(void **state)
{
	struct ews_discovered f;

	(void)state;
	assert_int_equal(parsed(SOAP_HEAD "<ErrorCode>NoError</ErrorCode><ErrorMessage>No error.</ErrorMessage><RedirectTarget/>"
		"<UserSettings><UserSetting><Name>ExternalEwsUrl</Name><Value>https://out.example/EWS</Value></UserSetting>"
		"<UserSetting><Name>Other</Name><Value>x</Value></UserSetting><UserSetting><Name>InternalEwsUrl</Name><Value>"
		"https://in.example/EWS</Value></UserSetting></UserSettings>" SOAP_TAIL, &f), E_OK);
	assert_true(span_eq_str(f.inside, "https://in.example/EWS") && span_eq_str(f.outside, "https://out.example/EWS"));
	assert_int_equal(f.redirect.n + f.error.n, 0);
	assert_int_equal(parsed(SOAP_HEAD "<ErrorCode>RedirectUrl</ErrorCode><ErrorMessage>Redirect.</ErrorMessage><RedirectTarget>"
				"https://x.example/</RedirectTarget>" SOAP_TAIL, &f), E_OK);
	assert_true(span_eq_str(f.redirect, "https://x.example/"));
	assert_int_equal(parsed(SOAP_HEAD "<ErrorCode>InvalidUser</ErrorCode><ErrorMessage>Nobody.</ErrorMessage>" SOAP_TAIL, &f),
			 E_OK);
	assert_true(span_eq_str(f.error, "Nobody.") && f.redirect.n == 0);
}

/* A DNS answer with a question for a.example and these records, each 22 bytes: priority, weight, port, a name of a letter. */
static struct span dns(unsigned char *out, size_t n, const unsigned char (*records)[4])
{
	static const unsigned char head[] = { 0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e',
					      0, 0, 33, 0, 1 };
	size_t at = sizeof(head);

	memcpy(out, head, sizeof(head));
	out[7] = (unsigned char)n;
	for (size_t i = 0; i < n; i++) {
		const unsigned char rr[] = { 0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 10, 0, records[i][0], 0, records[i][1], 1,
					     records[i][2], 1, records[i][3], 0xc0, 14 };

		memcpy(out + at, rr, sizeof(rr));
		at += sizeof(rr);
	}
	return span_bytes(out, at);
}

static void t_srv(void **state)
{
	static const unsigned char some[3][4] = { { 9, 9, 1, 'x' }, { 5, 1, 187, 'm' }, { 5, 0, 188, 'z' } };
	static const unsigned char bad[1][4] = { { 5, 1, 187, '/' } };
	unsigned char raw[512];
	struct span whole = dns(raw, 3, some);

	(void)state;
	assert_string_equal(ews_srv_read(arena, whole), "m.example:443");
	for (size_t n = 0; n < whole.n - 44; n++)
		assert_null(ews_srv_read(arena, span_cut(whole, 0, n)));
	assert_null(ews_srv_read(arena, dns(raw, 1, bad)));
	assert_null(ews_srv_read(arena, dns(raw, 0, some)));
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
		T(t_settings), T(t_elsewhere), T(t_soap), T(t_srv), T(t_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
