/* t_metrics_ask.c - answers of a supervisor that is whole, cut, silent, or no supervisor at all. */
#include "../../common/clock.h"
#include "../../supervisor/metrics/ask.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct fake {
	int fd;
	const char *answer;
	size_t step;             /* bytes at a time */
	bool hang;               /* stay connected until the asker goes */
	char path[108], request[128];
};

static void *serve(void *arg)
{
	struct fake *f = arg;
	int fd = accept(f->fd, NULL, NULL);
	size_t n = strlen(f->answer);
	ssize_t got = recv(fd, f->request, sizeof(f->request) - 1, 0);

	f->request[got > 0 ? got : 0] = '\0';
	for (size_t at = 0; at < n; at += f->step) {
		if (send(fd, f->answer + at, n - at < f->step ? n - at : f->step, MSG_NOSIGNAL) <= 0)
			break;
		usleep(200);
	}
	while (f->hang && recv(fd, &(char){ 0 }, 1, 0) > 0)
		;
	close(fd);
	return NULL;
}

static enum code ask(struct fake *f, struct buf *answer, struct err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	pthread_t thread;

	snprintf(f->path, sizeof(f->path), "/tmp/t_metrics_ask.%d", (int)getpid());
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", f->path);
	unlink(f->path);
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(f->fd, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, f), 0);
	enum code rc = ask_supervisor(f->path, "metrics", 400, answer, err);
	pthread_join(thread, NULL);
	close(f->fd);
	unlink(f->path);
	return rc;
}

static void test_whole(void **ctx)
{
	static const char answer[] = "{\"part\":\"{\\\"a\\\"\"}\n{\"part\":\":1}\"}\n{\"done\":true,\"exit\":0}\n";
	struct err err = ERR_INIT;
	struct buf b;

	(void)ctx;
	buf_init(&b, 1024);
	for (size_t step = 1; step < sizeof(answer) + 1; step += 7) {
		struct fake f = { .answer = answer, .step = step, .hang = true };

		assert_int_equal(ask(&f, &b, &err), E_OK);
		assert_string_equal(buf_str(&b), "{\"a\":1}");
		assert_string_equal(f.request, "{\"cmd\":\"metrics\"}\n");
	}
	buf_free(&b);
}

static void test_not_whole(void **ctx)
{
	static const struct {
		const char *answer;
		bool hang;
		enum code code;
	} cases[] = {
		{ "", false, E_NET },
		{ "{\"part\":\"x\"}\n", false, E_NET },
		{ "{\"part\":\"x\"}\n{\"done\":true,\"ex", false, E_NET },
		{ "{\"part\":\"x\"}\n", true, E_TIMEOUT },
		{ "", true, E_TIMEOUT },
		{ "HTTP/1.1 400 Bad Request\n", true, E_PROTOCOL },
		{ "{\"done\":true}\n", true, E_PROTOCOL },
		{ "{\"part\":7}\n", true, E_PROTOCOL },
		{ "{\"done\":true,\"exit\":2,\"error\":\"there is no such request\"}\n", true, E_SERVER },
		{ "{\"part\":\"0123456789012345678901234567890123456789\"}\n{\"done\":true,\"exit\":0}\n", true, E_PROTOCOL },
	};
	struct buf b;

	(void)ctx;
	buf_init(&b, 32);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fake f = { .answer = cases[i].answer, .step = 64, .hang = cases[i].hang };
		struct err err = ERR_INIT;
		int64_t start = clock_mono_ms();

		assert_int_equal(ask(&f, &b, &err), cases[i].code);
		assert_true(err.text[0] != '\0' && clock_mono_ms() - start < 2000);
	}
	buf_free(&b);
}

static void test_nobody(void **ctx)
{
	struct err err = ERR_INIT;
	char path[300];
	struct buf b;

	(void)ctx;
	buf_init(&b, 1024);
	assert_int_equal(ask_supervisor("/nonexistent/socket", "metrics", 400, &b, &err), E_NET);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(ask_supervisor(path, "metrics", 400, &b, &err), E_CONF);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole), cmocka_unit_test(test_not_whole), cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
