/* t_control.c - the control socket: its lines, its clients, its modes. */
#include "../../supervisor/control.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	unsigned requests, gone;
	uint32_t client;
	char line[128];
};

static void on_request(void *ctx, uint32_t client, struct span line)
{
	struct seen *seen = ctx;

	seen->requests++;
	seen->client = client;
	snprintf(seen->line, sizeof(seen->line), SPAN_FMT, SPAN_ARG(line));
}

static void on_gone(void *ctx, uint32_t client)
{
	struct seen *seen = ctx;

	(void)client;
	seen->gone++;
}

static char dir[64];
static struct seen seen;
static struct control *control;

static int setup(void **ctx)
{
	struct control_handler handler = { &seen, on_request, on_gone };
	char path[80];
	struct err err = ERR_INIT;

	(void)ctx;
	memset(&seen, 0, sizeof(seen));
	snprintf(dir, sizeof(dir), "/tmp/t_control.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/control", dir);
	assert_int_equal(control_listen(path, &handler, &control, &err), E_OK);
	return 0;
}

static int teardown(void **ctx)
{
	char path[80];

	(void)ctx;
	control_close(&control);
	snprintf(path, sizeof(path), "%s/control/socket", dir);
	assert_int_not_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/control", dir);
	rmdir(path);
	rmdir(dir);
	return 0;
}

static int dial(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control/socket", dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void serve(unsigned times)
{
	struct pollfd pfds[CONTROL_CLIENTS_MAX + 1];

	while (times-- > 0) {
		size_t n = control_poll_fill(control, pfds);

		poll(pfds, n, 20);
		control_serve(control, pfds, n);
	}
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void test_a_request_and_its_answer(void **ctx)
{
	char answer[256] = "";
	int fd = dial();

	(void)ctx;
	say(fd, "{\"cmd\":");
	serve(3);
	assert_int_equal(seen.requests, 0);
	say(fd, "1}\n{\"second\":1}\n");
	serve(2);
	assert_int_equal(seen.requests, 1);              /* one after the other */
	assert_string_equal(seen.line, "{\"cmd\":1}");
	control_part(control, seen.client, SPAN_LIT("a\"b\n\xff"));
	control_done(control, seen.client, 3, "no \\ such");
	assert_true(read(fd, answer, sizeof(answer) - 1) > 0);
	assert_string_equal(answer, "{\"part\":\"a\\\"b\\u000a\xef\xbf\xbd\"}\n"
			    "{\"done\":true,\"exit\":3,\"error\":\"no \\\\ such\"}\n");
	serve(2);
	assert_int_equal(seen.requests, 2);
	close(fd);
	serve(2);
	assert_int_equal(seen.gone, 1);
}

static void test_modes(void **ctx)
{
	char path[80];
	struct stat st;

	(void)ctx;
	snprintf(path, sizeof(path), "%s/control/socket", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	snprintf(path, sizeof(path), "%s/control", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
}

static void test_an_endless_line(void **ctx)
{
	static char big[CONTROL_LINE_MAX];
	int fd = dial();
	size_t sent = 0;

	(void)ctx;
	memset(big, 'x', sizeof(big));
	while (sent < sizeof(big)) {
		ssize_t n = send(fd, big + sent, sizeof(big) - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		serve(1);
	}
	serve(40);
	assert_int_equal(seen.requests, 0);
	assert_int_equal(seen.gone, 1);
	close(fd);
}

static void test_many_clients(void **ctx)
{
	int fds[CONTROL_CLIENTS_MAX + 3];
	char byte;

	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial();
		serve(1);
	}
	/* those above the limit were turned away; the others still get their answers */
	assert_int_equal(recv(fds[ARRAY_LEN(fds) - 1], &byte, 1, MSG_DONTWAIT), 0);
	say(fds[5], "hello\n");
	serve(2);
	assert_int_equal(seen.requests, 1);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	serve(2);
	assert_int_equal(seen.gone, CONTROL_CLIENTS_MAX);
}

/* A long text travels in pieces that never cut a character, and is whole when put together. */
static void test_long_texts(void **ctx)
{
	struct buf text, lines, whole;
	size_t pieces = 0;

	(void)ctx;
	buf_init(&text, 1 << 20);
	buf_init(&lines, 1 << 22);
	buf_init(&whole, 1 << 20);
	for (int i = 0; i < 30000; i++)
		buf_add_str(&text, i % 3 == 0 ? "\xe2\x82\xac" : i % 3 == 1 ? "\xf0\x9f\x93\xab" : "x");
	control_format_part(&lines, buf_span(&text));
	struct span rest = buf_span(&lines), line;
	while (span_next(&rest, '\n', &line)) {
		if (line.n == 0)
			continue;
		assert_true(line.n < 256 * 1024);
		buf_add_span(&whole, span_cut(line, 9, line.n - 11));
		pieces++;
	}
	assert_true(pieces > 2);
	assert_true(span_eq(buf_span(&whole), buf_span(&text)));
	for (size_t max = 4; max < 40; max++) {
		size_t n = control_cut(buf_span(&text), max);

		assert_true(n > 0 && n <= max && ((unsigned char)text.p[n] & 0xc0) != 0x80);
	}
	buf_free(&text);
	buf_free(&lines);
	buf_free(&whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_request_and_its_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_endless_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_clients, setup, teardown),
		cmocka_unit_test(test_long_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
