/* pipe.c - framing for the socketpair: four bytes of length, one of type, the payload. */
#include "pipe.h"

#include "clock.h"
#include "io.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD 5

void pipe_frame(struct buf *out, enum pipe_type type, struct span payload)
{
	uint8_t head[HEAD];

	for (unsigned i = 0; i < 4; i++)
		head[i] = (uint8_t)(payload.n >> 8 * (3 - i));
	head[4] = (uint8_t)type;
	buf_add(out, head, sizeof(head));
	buf_add_span(out, payload);
}

static enum code parse_head(const char *p, size_t *n_r, enum pipe_type *type_r, struct err *err)
{
	size_t n = 0;

	for (unsigned i = 0; i < 4; i++)
		n = n << 8 | (uint8_t)p[i];
	if (n > PIPE_MAX || p[4] < PIPE_BATCH || p[4] > PIPE_LOG)
		return err_set(err, E_PROTOCOL, "a foreign frame between supervisor and worker");
	*n_r = n;
	*type_r = (enum pipe_type)p[4];
	return E_OK;
}

enum code pipe_take(const struct buf *in, bool *there_r, enum pipe_type *type_r, struct span *payload_r,
		    size_t *used_r, struct err *err)
{
	size_t n;

	*there_r = false;
	if (in->n < HEAD)
		return E_OK;
	enum code rc = parse_head(in->p, &n, type_r, err);
	if (rc != E_OK || in->n < HEAD + n)
		return rc;
	*there_r = true;
	*payload_r = span_bytes(in->p + HEAD, n);
	*used_r = HEAD + n;
	return E_OK;
}

enum code pipe_write(int fd, enum pipe_type type, struct span payload, struct err *err)
{
	struct buf out;

	buf_init(&out, HEAD + PIPE_MAX);
	pipe_frame(&out, type, payload);
	enum code rc = buf_check(&out, E_INTERNAL, "a frame for the supervisor", err);
	if (rc == E_OK)
		rc = io_write_all(fd, out.p, out.n, "the supervisor", err);
	buf_free(&out);
	return rc;
}

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

static int passed = -1;

int pipe_passed_fd(void)
{
	int fd = passed;

	passed = -1;
	return fd;
}

/* As read(2); a descriptor that comes along is kept, the last one of several. */
static ssize_t receive(int fd, char *p, size_t n)
{
	union control control = { .room = { 0 } };
	struct iovec io = { p, n };
	struct msghdr msg = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	ssize_t got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head = got > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (got < 0 && errno == ENOTSOCK)        /* a file, in tests */
		return read(fd, p, n);
	if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
		if (passed >= 0)
			close(passed);
		memcpy(&passed, CMSG_DATA(head), sizeof(int));
	}
	return got;
}

static enum code read_some(int fd, char *p, size_t n, int64_t deadline_ms, struct err *err)
{
	while (n > 0) {
		int64_t left = deadline_ms - clock_mono_ms();
		struct pollfd pfd = { .fd = fd, .events = POLLIN };

		if (left <= 0)
			return err_set(err, E_TIMEOUT, "the supervisor does not answer");
		if (poll(&pfd, 1, left > 60000 ? 60000 : (int)left) <= 0)
			continue;
		ssize_t got = receive(fd, p, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_set(err, E_CANCELLED, "the supervisor is gone");
		p += got;
		n -= (size_t)got;
	}
	return E_OK;
}

enum code pipe_read(int fd, struct buf *in, int64_t deadline_ms, enum pipe_type *type_r, struct err *err)
{
	char head[HEAD];
	size_t n;

	buf_clear(in);
	enum code rc = read_some(fd, head, sizeof(head), deadline_ms, err);
	if (rc == E_OK)
		rc = parse_head(head, &n, type_r, err);
	if (rc != E_OK)
		return rc;
	char *room = buf_room(in, n);
	if (room == NULL)
		return err_set(err, E_PROTOCOL, "a frame of the supervisor is too large");
	rc = read_some(fd, room, n, deadline_ms, err);
	if (rc == E_OK)
		buf_grew(in, n);
	return rc;
}

/* --- the log's descriptor --- */

static bool send_with(int fd, int passed_fd, char *p, size_t n)
{
	union control control = { .room = { 0 } };
	struct iovec io = { p, n };
	struct msghdr msg = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &passed_fd, sizeof(int));
	return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n;
}

enum code pipe_send_log(int fd, int log_fd, uint8_t level, const char *trace, struct err *err)
{
	struct buf frame, payload;

	buf_init(&frame, 2048);
	buf_init(&payload, 1024);
	buf_add_char(&payload, (char)level);
	buf_add_str(&payload, trace);
	pipe_frame(&frame, PIPE_LOG, buf_span(&payload));
	bool sent = send_with(fd, log_fd, frame.p, frame.n);
	int why = errno;
	buf_free(&frame);
	buf_free(&payload);
	errno = why;
	return sent ? E_OK : err_errno(err, E_IO, "handing a worker its log");
}

/* --- needs --- */

void pipe_need_encode(const struct pipe_need *need, struct buf *out)
{
	for (unsigned i = 0; i < 8; i++)
		buf_add_char(out, (char)(need->generation >> 8 * (7 - i) & 0xff));
	buf_add_char(out, (char)need->side);
	buf_add_span(out, need->purpose);
}

bool pipe_need_decode(struct span payload, struct pipe_need *need_r)
{
	memset(need_r, 0, sizeof(*need_r));
	if (payload.n < 9 || payload.n > 9 + 64)
		return false;
	for (unsigned i = 0; i < 8; i++)
		need_r->generation = need_r->generation << 8 | (uint8_t)payload.p[i];
	need_r->side = (uint8_t)payload.p[8];
	need_r->purpose = span_cut(payload, 9, payload.n - 9);
	return need_r->side < SIDES;
}
