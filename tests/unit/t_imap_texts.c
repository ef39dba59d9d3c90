/* t_imap_texts.c - refusals as real servers word them, and what becomes of them. */
#include "../../worker/imap/imap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define L IMAP_AT_LOGON
#define S IMAP_AT_STORE
#define F IMAP_AT_FOLDER
#define I IMAP_AT_ITEM

static const struct {
	enum imap_when when;
	const char *code, *text;
	enum code want;
	uint32_t wait_s;
} cases[] = {
	/* Gmail */
	{ L, "ALERT", "Your account is not enabled for IMAP use. Please visit ... (Failure)", E_IMAP_DISABLED, 0 },
	{ L, "ALERT", "IMAP access is disabled for your domain. Please contact ... (Failure)", E_IMAP_DISABLED, 0 },
	{ L, "ALERT", "Too many simultaneous connections. (Failure)", E_THROTTLED, 60 },
	{ L, "ALERT", "Please log in via your web browser: https://... (Failure)", E_WEB_LOGIN, 0 },
	{ L, "WEBALERT", "Web login required.", E_WEB_LOGIN, 0 },
	{ L, "ALERT", "Application-specific password required: ... (Failure)", E_LOGON_FAILED, 0 },
	{ L, "AUTHENTICATIONFAILED", "Invalid credentials (Failure)", E_LOGON_FAILED, 0 },
	{ L, "ALERT", "Invalid credentials (Failure)", E_LOGON_FAILED, 0 },
	{ L, "UNAVAILABLE", "Temporary System Problem (Failure)", E_SERVER, 0 },
	{ I, "UNAVAILABLE", "Temporary System Problem (Failure)", E_SERVER, 0 },
	{ I, "OVERQUOTA", "Account exceeded command or bandwidth limits.", E_THROTTLED, 3600 },
	{ F, "ALERT", "Account exceeded command or bandwidth limits. (Failure)", E_THROTTLED, 3600 },
	{ F, "CANNOT", "Folder contains excess whitespace (Failure)", E_FOLDER_NAME, 0 },
	/* Dovecot */
	{ L, "AUTHENTICATIONFAILED", "Authentication failed.", E_LOGON_FAILED, 0 },
	{ L, "AUTHORIZATIONFAILED", "Master user login not allowed", E_LOGON_FAILED, 0 },
	{ L, "UNAVAILABLE", "Temporary authentication failure.", E_SERVER, 0 },
	{ L, "UNAVAILABLE", "Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", E_THROTTLED, 60 },
	{ L, "PRIVACYREQUIRED", "Plaintext authentication disallowed on non-secure (SSL/TLS) connections.", E_TLS, 0 },
	{ S, "SERVERBUG", "Internal error occurred. Refer to server log for more information.", E_STORE_FAILED, 0 },
	{ I, "OVERQUOTA", "Quota exceeded (mailbox for user is full)", E_QUOTA, 0 },
	{ I, "OVERQUOTA", "Mail size is larger than the maximum size allowed by server configuration", E_ITEM_TOO_BIG, 0 },
	{ I, "LIMIT", "Mail size is larger than the maximum size allowed by server configuration", E_ITEM_TOO_BIG, 0 },
	{ I, "", "Can't save a zero byte message.", E_ITEM_REFUSED, 0 },
	{ I, "TRYCREATE", "Mailbox doesn't exist: x", E_FOLDER_GONE, 0 },
	{ F, "NONEXISTENT", "Mailbox doesn't exist: x", E_FOLDER_GONE, 0 },
	{ F, "ALREADYEXISTS", "Mailbox already exists", E_FOLDER_EXISTS, 0 },
	{ F, "CANNOT", "Character not allowed in mailbox name: '.'", E_FOLDER_NAME, 0 },
	{ F, "NOPERM", "Permission denied", E_FOLDER_REFUSED, 0 },
	{ I, "NOPERM", "Permission denied", E_ITEM_REFUSED, 0 },
	{ I, "EXPUNGEISSUED", "Some messages were already expunged.", E_ITEM_GONE, 0 },
	/* Cyrus, Exchange */
	{ F, "", "Invalid mailbox name", E_FOLDER_NAME, 0 },
	{ F, "", "Mailbox does not exist", E_FOLDER_GONE, 0 },
	{ I, "", "Message size exceeds fixed limit", E_ITEM_TOO_BIG, 0 },
	{ L, "", "LOGIN failed.", E_LOGON_FAILED, 0 },
	{ I, "", "Server busy, try later", E_THROTTLED, 60 },
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t wait_ms;
		enum code got = imap_judge(cases[i].when, span_of(cases[i].code), span_of(cases[i].text), &wait_ms);

		if (got != cases[i].want || wait_ms != cases[i].wait_s * 1000)
			fail_msg("[%s] %s: %s, %u ms", cases[i].code, cases[i].text, code_name(got), wait_ms);
	}
}

static void test_slower(void **state)
{
	(void)state;
	assert_true(imap_says_slower(SPAN_NONE, SPAN_LIT("Success [THROTTLED]")));
	assert_true(imap_says_slower(SPAN_LIT("THROTTLED"), SPAN_LIT("x")));
	assert_false(imap_says_slower(SPAN_NONE, SPAN_LIT("Success")));
}

static void test_sentence(void **state)
{
	(void)state;
	struct imap_call call = { .what = "UID COPY", .status = IMAP_NO, .code = SPAN_LIT("OVERQUOTA"), .text = SPAN_LIT("full") };
	struct err err = ERR_INIT;

	assert_int_equal(imap_refusal(IMAP_AT_ITEM, &call, &err), E_QUOTA);
	assert_string_equal(err.text, "the server refused UID COPY: full");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table), cmocka_unit_test(test_slower), cmocka_unit_test(test_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
