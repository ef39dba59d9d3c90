/* ctl_case.c - see ctl_case.h. */
#include "ctl_case.h"

#include "../../common/io.h"
#include "../../common/mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

int cc_set_up(void **state)
{
	struct ctl_case *c = mem_alloc(sizeof(*c));

	case_begin(&c->conf);
	case_write(&c->conf, "<", "<");
	*state = c;
	return 0;
}

int cc_tear_down(void **state)
{
	struct ctl_case *c = *state;

	free(c->out);      /* open_memstream's own memory */
	free(c->err);
	case_end(&c->conf);
	mem_free(c);
	return 0;
}

int run_words(struct ctl_case *c, const char *words)
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

void must_say(const char *where, const char *text)
{
	if (strstr(where, text) == NULL)
		fail_msg("no '%s' in: %s", text, where);
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

int ask_service(struct ctl_case *c, const char *words, const char *answer)
{
	start_service(c, answer);
	int rc = run_words(c, words);
	stop_service(c);
	return rc;
}

void asked(struct ctl_case *c, const char *expected)
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

char *in_parts(const char *document, size_t piece, const char *done)
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
