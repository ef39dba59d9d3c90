/* t_ctl_look.c - plan, verify, quarantine, release, journal, explain: documents of a worker as people
 * read them.
 */
#include "ctl_case.h"

#include "../../common/mem.h"
#include "../../supervisor/ctl/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define T(name) cmocka_unit_test_setup_teardown(name, cc_set_up, cc_tear_down)

#define VERIFY(verdict, differences)                                                               \
	"{\"version\": 1, \"pairing\": \"alice\", \"verdict\": \"" verdict                         \
	"\", \"folders\": [{\"left\": \"INBOX\", \"right\":"                                       \
	" \"INBOX\", \"kind\": \"mail\", \"items\": 40, \"differences\": [" differences            \
	"]}, {\"left\": \"X\", \"right\": \"Y/Z\","                                                \
	" \"kind\": \"mail\", \"items\": 2, \"differences\": [], \"excepted\": [{\"item\": "       \
	"\"<q@x>\", \"what\": \"missing-right\","                                                  \
	" \"reason\": \"quarantined\"}]}]}"

static void verify_verdicts(void **state)
{
	struct ctl_case *c = *state;
	char *equal = in_parts(VERIFY("equal", ""), 33, "{\"done\": true, \"exit\": 0}");
	char *differs = in_parts(VERIFY("differs", "{\"item\": \"<a\\u001b[2J@b> 2026-01-01 120\", "
						   "\"what\": \"flags\","
						   " \"left\": \"\\\\Seen\", \"right\": \"\"}"),
				 64, "{\"done\": true, \"exit\": 1}");

	assert_int_equal(ask_service(c, "verify alice", equal), 0);
	asked(c, "{\"cmd\":\"verify\",\"args\":{\"pairing\":\"alice\"}}\n");
	assert_string_equal(c->out, "excepted: X = Y/Z: <q@x>: missing-right: quarantined\n"
			    "verify: alice: equal, 42 messages in 2 folders, 1 excepted\n");
	assert_int_equal(ask_service(c, "verify alice --subjects", differs), 1);
	asked(c, "{\"cmd\":\"verify\",\"args\":{\"pairing\":\"alice\",\"subjects\":true}}\n");
	must_say(c->out, "INBOX: <a\\x1b[2J@b> 2026-01-01 120: flags (left \\Seen, right )\n");
	must_say(c->out, "verify: alice: differs, 1 difference, 42 messages in 2 folders, 1 "
			 "excepted\n");
	assert_int_equal(ask_service(c, "verify alice --json", differs), 1);
	json_t *root = json_loads(c->out, 0, NULL);
	assert_string_equal(json_text(root, "verdict"), "differs");
	json_decref(root);
	mem_free(equal);
	mem_free(differs);
}

static void plans(void **state)
{
	struct ctl_case *c = *state;

	assert_int_equal(ask_service(c, "plan alice",
				     "{\"part\": "
				     "\"{\\\"version\\\":1,\\\"pairing\\\":\\\"alice\\\",\\\"act\"}"
				     "\n"
				     "{\"part\": \"ions\\\":[]}\"}\n{\"done\":true,\"exit\":0}\n"),
			 0);
	assert_string_equal(c->out, "plan: alice: nothing to do\n");
	assert_int_equal(ask_service(c, "plan alice",
				     "{\"part\": {\"actions\": [{\"side\": \"right\", \"action\": "
				     "\"create\","
				     " \"kind\": \"mail\", \"folder\": \"INBOX\", \"item\": "
				     "\"<a@b>\", \"why\": \"new on the left\"}]}}\n"
				     "{\"done\":true,\"exit\":0}\n"),
			 0);
	assert_string_equal(c->out, "right create mail INBOX <a@b>: new on the left\nplan: alice: "
				    "1 action\n");
}

#define DONE "\n{\"done\": true, \"exit\": 0}\n"

/* What is set aside and what is held back, a line each; --retry asks the service only. */
static void set_aside(void **state)
{
	static const char answer[] =
		"{\"part\": {\"version\": 1, \"pairing\": \"alice\", \"items\": [{\"state\": \"quarantined\", \"side\": \"left\","
		" \"folder\": \"IN\\u001bBOX\", \"id\": \"UID 5\", \"messageId\": \"<a@b>\", \"size\": 70, \"reason\": \"it is too big\","
		" \"since\": \"2026-11-23T20:00:00Z\", \"attempts\": 2, \"code\": \"E_ITEM_TOO_BIG\", \"remedy\": \"raise it\","
		" \"nextTry\": \"2026-11-23T22:00:00Z\"}, {\"state\": \"held-deletion\", \"side\": \"right\", \"folder\": \"X\","
		" \"id\": null, \"messageId\": null, \"size\": 0, \"reason\": \"gone there\", \"since\": null, \"attempts\": 0}],"
		" \"retried\": 1}}" DONE;
	struct ctl_case *c = *state;

	assert_int_equal(ask_service(c, "quarantine alice", answer), 0);
	asked(c, "{\"cmd\":\"quarantine\",\"args\":{\"pairing\":\"alice\"}}\n");
	assert_string_equal(c->out, "quarantined on the left side: IN\\x1bBOX:UID 5 <a@b>, bytes 70: E_ITEM_TOO_BIG it is too "
			    "big; raise it; since 2026-11-23T20:00:00Z; attempts 2; next try 2026-11-23T22:00:00Z\n"
			    "held-deletion on the right side: X: gone there\n"
			    "quarantine: alice: 2 items\n");
	assert_int_equal(ask_service(c, "quarantine alice --retry", answer), 0);
	asked(c, "{\"cmd\":\"quarantine\",\"args\":{\"pairing\":\"alice\",\"retry\":true}}\n");
	must_say(c->out, "quarantine: alice: 1 of 2 are tried again now\n");
	assert_int_equal(run_words(c, "quarantine alice --retry"), 69);
}

static void released(void **state)
{
	struct ctl_case *c = *state;

	assert_int_equal(ask_service(c, "release alice", "{\"part\": {\"discarded\": false, \"deletions\": 30, \"creations\": 0}}"
				     DONE), 0);
	asked(c, "{\"cmd\":\"release\",\"args\":{\"pairing\":\"alice\"}}\n");
	assert_string_equal(c->out, "alice: 30 deletions released: the next pass makes them\n");
	assert_int_equal(ask_service(c, "release --discard alice", "{\"part\": {\"discarded\": true, \"deletions\": 30, "
				     "\"creations\": 2}}" DONE), 0);
	asked(c, "{\"cmd\":\"release\",\"args\":{\"pairing\":\"alice\",\"discard\":true}}\n");
	must_say(c->out, "alice: 30 deletions dropped: the next pass brings the items back where they vanished\n");
	must_say(c->out, "alice: 2 creations dropped: the items stay on one side only\n");
}

#define ROW "{\"pass\": 7, \"at\": \"2026-11-23T20:00:00Z\", \"side\": \"right\", \"action\": \"move\", \"why\": \"moved\"," \
	" \"item\": 3, \"from\": {\"folder\": \"A\", \"id\": \"UID 1\"}, \"to\": {\"folder\": \"B\", \"id\": \"UID 2\"}," \
	" \"messageId\": null}"
#define ROW_TEXT "2026-11-23T20:00:00Z pass 7 right move A:UID 1 -> B:UID 2: moved\n"

static void journals(void **state)
{
	struct ctl_case *c = *state;

	assert_int_equal(ask_service(c, "journal alice", "{\"part\": {\"rows\": [" ROW "]}}" DONE), 0);
	asked(c, "{\"cmd\":\"journal\",\"args\":{\"pairing\":\"alice\",\"limit\":200}}\n");
	assert_string_equal(c->out, ROW_TEXT);
	assert_int_equal(ask_service(c, "journal alice --all", "{\"part\": {\"rows\": []}}" DONE), 0);
	asked(c, "{\"cmd\":\"journal\",\"args\":{\"pairing\":\"alice\"}}\n");
	assert_string_equal(c->out, "journal: alice: no pass has written anything\n");
}

static void explanations(void **state)
{
	struct ctl_case *c = *state;

	assert_int_equal(ask_service(c, "explain alice INBOX:5", "{\"part\": {\"matches\": [{\"state\": \"both-sides\", \"key\": "
				     "\"key:00\", \"size\": 9, \"left\": {\"folder\": \"INBOX\", \"id\": \"UID 5\"}, \"right\": "
				     "{\"folder\": \"INBOX\", \"id\": \"UID 6\"}, \"flags\": \"seen\", \"keywords\": null}], "
				     "\"journal\": [" ROW "], \"conclusion\": \"it is on both sides\"}}" DONE), 0);
	asked(c, "{\"cmd\":\"explain\",\"args\":{\"pairing\":\"alice\",\"item\":\"INBOX:5\"}}\n");
	assert_string_equal(c->out, "left INBOX:UID 5 = right INBOX:UID 6, seen, bytes 9, key:00\n" ROW_TEXT
			    "INBOX:5: it is on both sides\n");
	assert_int_equal(ask_service(c, "explain alice x:1", "{\"part\": {\"matches\": [], \"journal\": [], \"conclusion\": "
				     "\"unknown\"}}\n{\"done\": true, \"exit\": 1}\n"), 1);
	assert_string_equal(c->out, "x:1: unknown\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(verify_verdicts), T(plans), T(set_aside), T(released), T(journals), T(explanations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
