/* t_ctl.c - the `mailshadow` command in process: command lines, exit codes, answers of a scripted
 * service over the real socket, and of a scripted mailshadowd where no service runs.
 */
#include "../../supervisor/ctl/cmd_config.c"
#include "../../supervisor/ctl/cmd_look.c"
#include "../../supervisor/ctl/cmd_status.c"
#include "../../supervisor/ctl/cmd_work.c"
#include "../../supervisor/ctl/ctl.c"
#include "../../supervisor/ctl/link.c"
#include "../../supervisor/ctl/table.c"

#include "conf_case.h"

#include "../../common/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

struct ctl_case {
	struct conf_case conf;
	char *out, *err;
	pid_t service;
};

static int set_up(void **state)
{
	struct ctl_case *c = mem_alloc(sizeof(*c));

	case_begin(&c->conf);
	case_write(&c->conf, "<", "<");
	*state = c;
	return 0;
}

static int tear_down(void **state)
{
	struct ctl_case *c = *state;

	free(c->out);      /* open_memstream's own memory */
	free(c->err);
	case_end(&c->conf);
	mem_free(c);
	return 0;
}

/* Run "mailshadow -c FILE words..."; what it printed is in c->out and c->err. */
static int run_words(struct ctl_case *c, const char *words)
{
	char *argv[16] = { mem_strdup("mailshadow"), mem_strdup("-c"), mem_strdup(c->conf.file) };
	int argc = 3;
	size_t n_out, n_err;
	struct span rest = span_of(words), part;

	while (span_next(&rest, ' ', &part))
		argv[argc++] = mem_strndup(part.p, part.n);
	free(c->out);
	free(c->err);
	FILE *out = open_memstream(&c->out, &n_out), *err = open_memstream(&c->err, &n_err);
	int rc = ctl_main(argc, argv, out, err);
	fclose(out);
	fclose(err);
	while (argc > 0)
		mem_free(argv[--argc]);
	return rc;
}

static void must_say(const char *where, const char *text)
{
	if (strstr(where, text) == NULL)
		fail_msg("no '%s' in: %s", text, where);
}

static void command_lines(void **state)
{
	static const struct { const char *words; int rc; const char *says; } rows[] = {
		{ "check-config", 0, "" },
		{ "chekc-config", 2, "did you mean 'check-config'?" },
		{ "frobnicate", 2, "there is no command 'frobnicate'" },
		{ "verify", 2, "needs the name of a pairing" },
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
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		must_say(c->out, commands[i]->name);
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

/* --- a service that answers each request with the same lines --- */

static void write_slowly(int fd, const char *answer)
{
	size_t n = strlen(answer);

	for (size_t i = 0; i < n; i += 7)
		send(fd, answer + i, n - i < 7 ? n - i : 7, MSG_NOSIGNAL);
}

static void serve(struct ctl_case *c, int listener, const char *answer)
{
	char path[128], request[4096];

	snprintf(path, sizeof(path), "%s/request", c->conf.dir);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		ssize_t n = 0, got;

		while ((n == 0 || request[n - 1] != '\n') &&
		       (got = read(fd, request + n, sizeof(request) - (size_t)n)) > 0)
			n += got;
		int log = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (log < 0 || write(log, request, (size_t)n) != n)
			_exit(1);
		close(log);
		write_slowly(fd, answer);
		close(fd);
	}
}

static void start_service(struct ctl_case *c, const char *answer)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct err err = ERR_INIT;
	char dir[160];

	snprintf(dir, sizeof(dir), "%s/run/control", c->conf.dir);
	assert_int_equal(io_make_dirs(dir, 0700, &err), E_OK);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/run/" CONF_CONTROL_SOCKET, c->conf.dir);
	unlink(at.sun_path);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 4), 0);
	c->service = fork();
	assert_true(c->service >= 0);
	if (c->service == 0)
		serve(c, listener, answer);
	close(listener);
}

static void stop_service(struct ctl_case *c)
{
	kill(c->service, SIGKILL);
	assert_int_equal(waitpid(c->service, NULL, 0), c->service);
}

static int ask_service(struct ctl_case *c, const char *words, const char *answer)
{
	start_service(c, answer);
	int rc = run_words(c, words);
	stop_service(c);
	return rc;
}

static void asked(struct ctl_case *c, const char *expected)
{
	struct err err = ERR_INIT;
	char path[128];
	struct buf b;

	snprintf(path, sizeof(path), "%s/request", c->conf.dir);
	buf_init(&b, 65536);
	assert_int_equal(io_read_file(path, &b, &err), E_OK);
	assert_string_equal(buf_str(&b), expected);
	buf_free(&b);
}

#define STATUS                                                                                     \
	"{\"version\": 1, \"service\": {\"pid\": 7, \"startedAt\": \"2026-11-23T20:00:00Z\", "     \
	"\"oldestSuccess\": null},"                                                                \
	" \"pool\": {\"slots\": 2, \"busy\": 1, \"queue\": 3, \"logonFailures\": 1, "              \
	"\"threshold\": 2, \"restarts\": 0,"                                                       \
	" \"dispatchHeldUntil\": null}, \"pairings\": [{\"name\": \"alice\", \"left\": "           \
	"{\"endpoint\": \"old\","                                                                  \
	" \"mailbox\": \"a\"}, \"right\": {}, \"status\": \"Failure\", \"state\": \"Active\", "    \
	"\"lastUpdated\": null,"                                                                   \
	" \"nextRun\": \"2026-11-23T20:20:00Z\", \"result\": \"logon-failed\", \"code\": "         \
	"\"0x80040111\", \"reason\":"                                                              \
	" \"the logon was refused\", \"remedy\": \"check LoginName\", \"items\": {\"done\": 12, "  \
	"\"todo\": 30},"                                                                           \
	" \"quarantined\": 2, \"held\": 0, \"failures\": 4}, {\"name\": \"bob\", \"status\": "     \
	"\"Success\", \"state\":"                                                                  \
	" \"Synchronizing\", \"lastUpdated\": \"2026-11-23T20:05:00Z\", \"code\": "                \
	"\"0x00000000\", \"items\":"                                                               \
	" {\"done\": 0, \"todo\": 0}}]}"

/* The document as `pieces` string parts, the way the service cuts long answers. */
static char *in_parts(const char *document, size_t piece, const char *done)
{
	size_t n = strlen(document);
	struct buf b;

	buf_init(&b, 1024 * 1024);
	for (size_t at = 0; at < n; at += piece) {
		json_t *line =
			json_pack("{s:s%}", "part", document + at, n - at < piece ? n - at : piece);
		char *text = json_dumps(line, JSON_COMPACT);

		buf_printf(&b, "%s\n", text);
		free(text);
		json_decref(line);
	}
	buf_printf(&b, "%s\n", done);
	char *answer = mem_strdup(buf_str(&b));
	buf_free(&b);
	return answer;
}

static void status_of_the_service(void **state)
{
	struct ctl_case *c = *state;
	char *answer = in_parts(STATUS, 100, "{\"done\": true, \"exit\": 0}");

	assert_int_equal(ask_service(c, "status", answer), 0);
	asked(c, "{\"cmd\":\"status\",\"args\":{}}\n");
	must_say(c->out, "Service: pid 7, since 2026-11-23T20:00:00Z\n");
	must_say(c->out, "Pool: 1 of 2 slots busy, 3 queued, logon failures 1 of 2, restarts 0\n");
	must_say(c->out, "Pairing  Status   State          Last Updated          Items             "
			 " Next Run              Reason\n");
	must_say(c->out, "alice    Failure  Active         -                     12 done, 30 to do "
			 " 2026-11-23T20:20:00Z  "
			 "0x80040111 the logon was refused; check LoginName; 2 quarantined; 4 "
			 "failures in a row\n");
	must_say(c->out, "bob      Success  Synchronizing  2026-11-23T20:05:00Z  -                 "
			 " -                     -\n");

	assert_int_equal(ask_service(c, "status bob", answer), 0);
	assert_null(strstr(c->out, "alice"));
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

/* --- no service: a copy of this program as `mailshadow`, beside a script as `mailshadowd` --- */

static void copy_self(struct ctl_case *c, const char *name)
{
	struct err err = ERR_INIT;
	struct buf b;

	buf_init(&b, 256 * 1024 * 1024);
	assert_int_equal(io_read_file("/proc/self/exe", &b, &err), E_OK);
	case_put(&c->conf, name, b.p, b.n, 0700);
	buf_free(&b);
}

static int run_copy(struct ctl_case *c, const char *name, const char *cmd)
{
	char *argv[] = { mem_printf("%s/%s", c->conf.dir, name),
			 mem_strdup("--ctl"),
			 mem_strdup("-c"),
			 mem_strdup(c->conf.file),
			 mem_strdup(cmd),
			 mem_strdup("alice"),
			 NULL };
	char *out = mem_printf("%s/out", c->conf.dir), *err_out = mem_printf("%s/err", c->conf.dir);
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_addopen(&actions, 2, err_out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(posix_spawn(&pid, argv[0], &actions, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	posix_spawn_file_actions_destroy(&actions);
	for (size_t i = 0; argv[i] != NULL; i++)
		mem_free(argv[i]);
	free(c->out);
	free(c->err);
	struct buf b;
	buf_init(&b, 1024 * 1024);
	assert_int_equal(io_read_file(out, &b, NULL), E_OK);
	c->out = strdup(buf_str(&b));
	buf_clear(&b);
	assert_int_equal(io_read_file(err_out, &b, NULL), E_OK);
	c->err = strdup(buf_str(&b));
	buf_free(&b);
	mem_free(out);
	mem_free(err_out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int with_daemon(struct ctl_case *c, const char *script, const char *cmd)
{
	char *text = mem_printf("#!/bin/sh\necho \"$@\" > %s/request\n%s", c->conf.dir, script);

	case_put(&c->conf, "mailshadowd", text, strlen(text), 0700);
	mem_free(text);
	return run_copy(c, "mailshadow", cmd);
}

static void without_service(void **state)
{
	struct ctl_case *c = *state;
	char *expected = mem_printf("-c %s --request "
				    "{\"cmd\":\"plan\",\"args\":{\"pairing\":\"alice\"}}\n",
				    c->conf.file);

	copy_self(c, "mailshadow");
	assert_int_equal(with_daemon(c,
				     "echo '{\"part\":\"{\\\"actions\\\":[]}\"}'; echo "
				     "'{\"done\":true,\"exit\":0}'\n",
				     "plan"),
			 0);
	assert_string_equal(c->out, "plan: alice: nothing to do\n");
	asked(c, expected);
	mem_free(expected);
	assert_int_equal(with_daemon(c,
				     "echo '{\"part\":\"{\\\"verdict\\\":\\\"differs\\\"}\"}'; "
				     "echo '{\"done\":true,\"exit\":1}'; exit 1\n",
				     "verify"),
			 1);
	assert_int_equal(with_daemon(c, "exit 75\n", "status"), 75);
	must_say(c->err, "another mailshadowd");
	assert_int_equal(with_daemon(c, "echo oops >&2; exit 2\n", "status"), 2);
	must_say(c->err, "oops");
	assert_int_equal(with_daemon(c, "exit 0\n", "status"), 1);
	must_say(c->err, "no answer");
	assert_int_equal(with_daemon(c, "exit 0\n", "verify"), 2);
	assert_int_equal(with_daemon(c, "kill -9 $$\n", "verify"), 2);
	must_say(c->err, "ended by signal 9");
	/* sync and reload never start one */
	assert_int_equal(with_daemon(c, "echo '{\"done\":true,\"exit\":0}'\n", "sync"), 69);
}

/* Installed: PREFIX/bin/mailshadow finds PREFIX/sbin/mailshadowd. */
static void finds_sbin(void **state)
{
	static const char script[] = "#!/bin/sh\necho '{\"part\":{\"actions\":[]}}'; echo "
				     "'{\"done\":true,\"exit\":0}'\n";
	struct ctl_case *c = *state;
	char path[160];

	snprintf(path, sizeof(path), "%s/bin", c->conf.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/sbin", c->conf.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	copy_self(c, "bin/mailshadow");
	case_put(&c->conf, "sbin/mailshadowd", script, sizeof(script) - 1, 0700);
	assert_int_equal(run_copy(c, "bin/mailshadow", "plan"), 0);
	assert_string_equal(c->out, "plan: alice: nothing to do\n");
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

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(command_lines), T(configuration), T(status_of_the_service),
		T(status_while_somebody_edits), T(verify_verdicts), T(plans), T(work),
		T(broken_answers), T(without_service), T(finds_sbin), T(near_names),
	};

	if (argc > 1 && strcmp(argv[1], "--ctl") == 0)
		return ctl_main(argc - 1, argv + 1, stdout, stderr);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
