/* t_ctl.c - the `mailshadow` command in process: command lines, exit codes, the status, and answers of
 * a scripted service over the real socket. Its other halves: t_ctl_look.c, t_ctl_daemon.c.
 */
#include "ctl_case.h"

#include "../../common/mem.h"
#include "../../common/near.h"
#include "../../supervisor/ctl/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define T(name) cmocka_unit_test_setup_teardown(name, cc_set_up, cc_tear_down)

static void command_lines(void **state)
{
	static const struct { const char *words; int rc; const char *says; } rows[] = {
		{ "check-config", 0, "" },
		{ "chekc-config", 2, "did you mean 'check-config'?" },
		{ "frobnicate", 2, "there is no command 'frobnicate'" },
		{ "verify", 2, "needs the name of a pairing" },
		{ "addresses", 2, "needs the name of an endpoint" },
		{ "addresses nowhere", 3, "there is no endpoint" },
		{ "plan", 2, "needs the name of a pairing" },
		{ "verify alice bob", 2, "one argument too many" },
		{ "reload alice", 2, "takes no argument" },
		{ "check-config alice", 2, "takes no argument" },
		{ "status --jsn", 2, "did you mean '--json'?" },
		{ "status --subjects", 2, "takes no --subjects" },
		{ "verify alice --watch", 2, "takes no --watch" },
		{ "status -c", 2, "needs the name of a file" },
		{ "status --frobnicate", 2, "there is no option" },
		{ "sync alcie", 3, "did you mean 'alice'?" },
		{ "verify zzzzzzzz", 3, "there is no pairing 'zzzzzzzz'" },
		{ "status alcie", 3, "did you mean 'alice'?" },
		{ "plan -- -x", 3, "there is no pairing '-x'" },
		{ "sync alice", 69, "no service runs" },
		{ "sync", 69, "no service runs" },
		{ "stop alice", 69, "no service runs" },
		{ "start", 2, "needs the name of a pairing" },
		{ "explain alice", 2, "needs an item" },
		{ "journal alice INBOX:1", 2, "one argument too many" },
		{ "explain alice a b", 2, "one argument too many" },
		{ "release alice --retry", 2, "takes no --retry" },
		{ "reload", 69, "systemctl start mailshadow" },
	};
	struct ctl_case *c = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int rc = run_words(c, rows[i].words);

		if (rc != rows[i].rc)
			fail_msg("'%s': exit %d, expected %d: %s", rows[i].words, rc, rows[i].rc,
				 c->err);
		must_say(c->err, rows[i].says);
		if (rc != 0) {     /* one line, and nothing on standard output */
			assert_string_equal(c->out, "");
			assert_ptr_equal(strchr(c->err, '\n'), c->err + strlen(c->err) - 1);
		}
	}
	assert_int_equal(run_words(c, "--version"), 0);
	assert_string_equal(c->out, "mailshadow " MS_VERSION "\n");
	assert_int_equal(run_words(c, "--help"), 0);
	static const char *const names[] = {
		"status", "log", "sync", "stop", "start", "resume", "plan", "verify", "explain", "journal",
		"quarantine", "release", "check-config", "print-config", "reload",
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *row = mem_printf("\n  %s ", names[i]);

		must_say(c->out, row);
		mem_free(row);
	}
}

static void configuration(void **state)
{
	struct ctl_case *c = *state;
	char place[128];

	assert_int_equal(run_words(c, "check-config"), 0);
	must_say(c->out, "valid, 3 endpoints, 2 pairings");
	assert_string_equal(c->err, "");
	assert_int_equal(run_words(c, "print-config"), 0);
	must_say(c->out, "endpoint old Password = *** (file ");
	assert_null(strstr(c->out, "s3cret"));

	case_write(&c->conf, "SMTPName=\"bob@new.example\"", "MailboxName=\"bob@new.example\"");
	assert_int_equal(run_words(c, "check-config"), 0);
	snprintf(place, sizeof(place), "warning: %s:37: MailboxName", c->conf.file);
	must_say(c->err, place);

	case_write(&c->conf, "<Workers>", "<Wrokers>");
	assert_int_equal(run_words(c, "check-config"), 2);
	snprintf(place, sizeof(place), "%s:3: ", c->conf.file);
	assert_string_equal(c->out, "");
	assert_memory_equal(c->err, place, strlen(place));
	assert_int_equal(run_words(c, "sync alice"), 2);
	assert_int_equal(run_words(c, "status"), 2);
}

#define STATUS                                                                                     \
	"{\"version\": 1, \"service\": {\"pid\": 7, \"startedAt\": \"2026-11-23T20:00:00Z\", "     \
	"\"oldestSuccess\": null},"                                                                \
	" \"pool\": {\"slots\": 2, \"busy\": 1, \"queue\": 3, \"logonFailures\": 1, "              \
	"\"threshold\": 2, \"restarts\": 0,"                                                       \
	" \"dispatchHeldUntil\": null}, \"pairings\": [{\"name\": \"alice\", \"left\": "           \
	"{\"endpoint\": \"old\","                                                                  \
	" \"mailbox\": \"a\"}, \"right\": {\"endpoint\": \"disk\", \"mailbox\": \"b\"}, \"status\": \"Failure\", \"state\": \"Active\", "    \
	"\"lastUpdated\": null, \"lastSuccess\": \"2026-11-23T19:00:00Z\","                                                                   \
	" \"nextRun\": \"2026-11-23T20:20:00Z\", \"result\": \"logon-failed\", \"code\": "         \
	"\"0x80040111\", \"reason\":"                                                              \
	" \"the logon was refused\", \"remedy\": \"check LoginName\", \"items\": {\"done\": 12, "  \
	"\"todo\": 30, \"perMinute\": 7, \"secondsLeft\": 258},"                                                                           \
	" \"quarantined\": 2, \"held\": 0, \"failures\": 4}, {\"name\": \"bob\", \"status\": "     \
	"\"Success\", \"state\":"                                                                  \
	" \"Synchronizing\", \"lastUpdated\": \"2026-11-23T20:05:00Z\", \"code\": "                \
	"\"0x00000000\", \"items\":"                                                               \
	" {\"done\": 1, \"todo\": 900000, \"perMinute\": 100, \"secondsLeft\": 540000}}]}"

static void status_of_the_service(void **state)
{
	struct ctl_case *c = *state;
	char *answer = in_parts(STATUS, 100, "{\"done\": true, \"exit\": 0}");

	assert_int_equal(ask_service(c, "status", answer), 0);
	asked(c, "{\"cmd\":\"status\",\"args\":{}}\n");
	must_say(c->out, "Service: pid 7, since 2026-11-23T20:00:00Z\n");
	must_say(c->out, "Pool: 1 of 2 slots busy, 3 queued, logon failures 1 of 2, restarts 0\n");
	must_say(c->out, "Oldest success: none yet for some pairing\n");
	must_say(c->out, "Pairing  Status   State          Last Updated          Last Success          "
			 "Items                                           Next Run              Reason\n");
	must_say(c->out, "alice    Failure  Active         -                     2026-11-23T19:00:00Z  "
			 "12 done, 30 to do, 7 a minute, 5 min left       2026-11-23T20:20:00Z  "
			 "0x80040111 the logon was refused; check LoginName; 2 quarantined; 4 "
			 "failures in a row\n");
	must_say(c->out, "bob      Success  Synchronizing  2026-11-23T20:05:00Z  -                     "
			 "1 done, 900000 to do, 100 a minute, 150 h left  -                     -\n");

	assert_int_equal(ask_service(c, "status bob", answer), 0);
	assert_null(strstr(c->out, "alice"));
	assert_int_equal(ask_service(c, "status alice", answer), 0);
	assert_string_equal(c->out, "Pairing:       alice\nStatus:        Failure\nState:         Active\n"
			    "Last Updated:  -\nLast Success:  2026-11-23T19:00:00Z\nNext Run:      2026-11-23T20:20:00Z\n"
			    "Left:          a on old\nRight:         b on disk\n"
			    "Items:         12 done, 30 to do, 7 a minute, 5 min left\n"
			    "Set aside:     2 (mailshadow quarantine alice)\n"
			    "Reason:        0x80040111 the logon was refused; check LoginName; 2 quarantined; 4 failures "
			    "in a row\n");
	assert_int_equal(ask_service(c, "status --json bob", answer), 0);
	json_t *root = json_loads(c->out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(root, "pairings")), 1);
	json_decref(root);
	mem_free(answer);

	/* the whole document as one object is understood as well */
	assert_int_equal(
		ask_service(c, "status", "{\"part\": " STATUS "}\n{\"done\": true, \"exit\": 0}\n"),
		0);
	must_say(c->out, "Service: pid 7");
	/* a pairing that is in the file but not loaded yet */
	assert_int_equal(ask_service(c, "status bob",
				     "{\"part\": {\"pairings\": []}}\n{\"done\": true, \"exit\": "
				     "0}\n"),
			 3);
	must_say(c->err, "see mailshadow reload");
}

static void status_while_somebody_edits(void **state)
{
	struct ctl_case *c = *state;

	case_write(&c->conf, "<Workers>", "<Wrokers>");
	assert_int_equal(
		ask_service(c, "status", "{\"part\": " STATUS "}\n{\"done\": true, \"exit\": 0}\n"),
		2);
	case_write(&c->conf, "<Workers>2", "<Workers>two");
	assert_int_equal(
		ask_service(c, "status", "{\"part\": " STATUS "}\n{\"done\": true, \"exit\": 0}\n"),
		0);
	must_say(c->out, "Service: pid 7");
	must_say(c->err, "m.xml:3: Workers");
	assert_int_equal(ask_service(c, "reload",
				     "{\"done\": true, \"exit\": 2, \"error\": \"m.xml:3: "
				     "Workers\"}\n"),
			 2);
}

static void work(void **state)
{
	struct ctl_case *c = *state;

	assert_int_equal(ask_service(c, "sync alice", "{\"done\": true, \"exit\": 0}\n"), 0);
	asked(c, "{\"cmd\":\"sync\",\"args\":{\"pairing\":\"alice\"}}\n");
	assert_string_equal(c->out, "due now\n");
	assert_int_equal(ask_service(c, "sync alice",
				     "{\"done\": true, \"exit\": 1, \"error\": \"Pending "
				     "Credentials\"}\n"),
			 1);
	assert_string_equal(c->err, "mailshadow: Pending Credentials\n");
	assert_string_equal(c->out, "");
	assert_int_equal(ask_service(c, "sync alice",
				     "{\"error\": \"no\\u001bsuch\"}\n{\"done\": true, \"exit\": "
				     "3}\n"),
			 3);
	assert_string_equal(c->err, "mailshadow: no\\x1bsuch\n");
	assert_int_equal(ask_service(c, "reload",
				     "{\"part\": \"alice is new\\nbob is gone\\n\"}\n{\"done\": "
				     "true, \"exit\": 0}\n"),
			 0);
	assert_string_equal(c->out, "alice is new\nbob is gone\n");
	assert_int_equal(ask_service(c, "stop alice", "{\"part\": \"stopped\"}\n{\"done\": true, \"exit\": 0}\n"), 0);
	asked(c, "{\"cmd\":\"stop\",\"args\":{\"pairing\":\"alice\"}}\n");
	assert_string_equal(c->out, "alice: stopped\n");
}

/* What is not an answer is a failure, never a success. */
static void broken_answers(void **state)
{
	static const char *const answers[] = {
		"",
		"\n",
		"{\"part\": \"half\"}\n",
		"{\"part\": \"cut",
		"not JSON\n",
		"[]\n",
		"{\"done\": true}\n",
		"{\"done\": true, \"exit\": \"0\"}\n",
		"{\"done\": 1, \"exit\": 0}\n",
		"\x00\xff\n",
	};
	struct ctl_case *c = *state;

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		assert_int_equal(ask_service(c, "status", answers[i]), 1);
		assert_int_equal(ask_service(c, "sync alice", answers[i]), 1);
		/* 1 would mean that the sides differ */
		assert_int_equal(ask_service(c, "verify alice", answers[i]), 2);
	}
	assert_int_equal(ask_service(c, "verify alice", "{\"done\": true, \"exit\": 0}\n"), 2);
	assert_int_equal(
		ask_service(c, "status", "{\"part\": \"[1]\"}\n{\"done\": true, \"exit\": 0}\n"),
		1);
}

static void near_names(void **state)
{
	(void)state;
	assert_int_equal(near_distance("", ""), 0);
	assert_int_equal(near_distance("abc", "ABC"), 0);
	assert_int_equal(near_distance("abc", "acb"), 1);
	assert_int_equal(near_distance("abc", "ab"), 1);
	assert_int_equal(near_distance("kitten", "sitting"), 3);
	char longer[100];
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(near_distance(longer, "a"), NEAR_FAR);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(command_lines), T(configuration), T(status_of_the_service), T(status_while_somebody_edits),
		T(work), T(broken_answers), T(near_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
