/* ask.c - see ask.h. The protocol is that of supervisor/control.h; test: t_metrics_ask.c. */
#include "ask.h"

#include "../../common/clock.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_BYTES ((size_t)1024 * 1024)

struct question {
	int fd;
	int64_t deadline;
	struct buf in;
	struct buf *answer;
	bool done;
};

/* The socket is non-blocking: a supervisor that is stuck costs the deadline and no more. */
static enum code wait_for(const struct question *q, short events, struct err *err)
{
	struct pollfd p = { .fd = q->fd, .events = events };
	int64_t left = q->deadline - clock_mono_ms();

	if (left > 0 && poll(&p, 1, (int)left) > 0)
		return E_OK;
	return clock_mono_ms() >= q->deadline ? err_set(err, E_TIMEOUT, "the supervisor does not answer") : E_OK;
}

static enum code open_socket(struct question *q, const char *path, struct err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (snprintf(to.sun_path, sizeof(to.sun_path), "%s", path) >= (int)sizeof(to.sun_path))
		return err_set(err, E_CONF, "%s: longer than a socket's path may be", path);
	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (q->fd < 0 || connect(q->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		return err_errno(err, E_NET, "%s", path);
	return E_OK;
}

static enum code send_all(const struct question *q, const char *text, size_t n, struct err *err)
{
	while (n > 0) {
		ssize_t put = send(q->fd, text, n, MSG_NOSIGNAL);
		enum code rc = E_OK;

		if (put > 0) {
			text += put;
			n -= (size_t)put;
		} else if (put < 0 && errno != EINTR && errno != EAGAIN) {
			return err_errno(err, E_NET, "asking the supervisor");
		} else {
			rc = wait_for(q, POLLOUT, err);
		}
		if (rc != E_OK)
			return rc;
	}
	return E_OK;
}

static enum code take_line(struct question *q, struct span line, struct err *err)
{
	json_t *root = json_loadb(line.p, line.n, 0, NULL);
	const json_t *part = json_object_get(root, "part"), *code = json_object_get(root, "exit");
	enum code rc = E_OK;

	if (json_is_string(part)) {
		buf_add(q->answer, json_string_value(part), json_string_length(part));
	} else if (json_is_true(json_object_get(root, "done")) && json_is_integer(code)) {
		const char *why = json_string_value(json_object_get(root, "error"));

		q->done = true;
		if (json_integer_value(code) != 0)
			rc = err_set(err, E_SERVER, "the supervisor refuses: %.200s", why != NULL ? why : "no reason");
	} else {
		rc = err_set(err, E_PROTOCOL, "the answer is not of the control protocol");
	}
	json_decref(root);
	return rc;
}

static enum code take_lines(struct question *q, struct err *err)
{
	enum code rc = E_OK;
	size_t at = 0, end = 0;

	while (rc == E_OK && !q->done) {
		end = span_find(buf_span(&q->in), at, '\n');
		if (end == SIZE_MAX)
			break;
		rc = take_line(q, span_cut(buf_span(&q->in), at, end - at), err);
		at = end + 1;
	}
	buf_consume(&q->in, at);
	return rc;
}

static enum code receive(struct question *q, struct err *err)
{
	while (!q->done) {
		char *room = buf_room(&q->in, 65536);
		enum code rc = E_OK;

		if (room == NULL)
			return err_set(err, E_PROTOCOL, "a line of the answer is too long");
		ssize_t got = recv(q->fd, room, 65536, 0);
		if (got > 0) {
			buf_grew(&q->in, (size_t)got);
			rc = take_lines(q, err);
		} else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
			return err_set(err, E_NET, "the supervisor closed the connection before it had answered");
		} else {
			rc = wait_for(q, POLLIN, err);
		}
		if (rc != E_OK)
			return rc;
	}
	return buf_check(q->answer, E_PROTOCOL, "the supervisor's answer", err);
}

enum code ask_supervisor(const char *socket_path, const char *cmd, int64_t wait_ms, struct buf *answer,
			 struct err *err)
{
	struct question q = { .fd = -1, .deadline = clock_mono_ms() + wait_ms, .answer = answer };
	char line[64];
	int n = snprintf(line, sizeof(line), "{\"cmd\":\"%s\"}\n", cmd);

	buf_clear(answer);
	buf_init(&q.in, LINE_MAX_BYTES);
	enum code rc = open_socket(&q, socket_path, err);
	if (rc == E_OK)
		rc = send_all(&q, line, (size_t)n, err);
	if (rc == E_OK)
		rc = receive(&q, err);
	if (q.fd >= 0)
		close(q.fd);
	buf_free(&q.in);
	return rc;
}
