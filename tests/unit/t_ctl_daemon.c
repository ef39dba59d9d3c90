/* t_ctl_daemon.c - the `mailshadow` command where no service runs: it starts mailshadowd for one request. */
#include "ctl_case.h"

#include "../../common/io.h"
#include "../../common/mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A copy of this program as `mailshadow`, beside a script as `mailshadowd`. */

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

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_service, cc_set_up, cc_tear_down),
		cmocka_unit_test_setup_teardown(finds_sbin, cc_set_up, cc_tear_down),
	};

	if (argc > 1 && strcmp(argv[1], "--ctl") == 0)
		return ctl_main(argc - 1, argv + 1, stdout, stderr);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
