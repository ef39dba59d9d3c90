/* creds.c - NEED and its answer over the inherited socketpair. The bytes are wiped as soon as they
 * are in a struct secret.
 */
#include "creds.h"
#include "batch.h"

#include "../common/clock.h"
#include "../common/pipe.h"
#include "../common/trace.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MS 10000
#define SECRET_ROOM ((size_t)80 * 1024)

static enum code refused(struct span payload, struct err *err)
{
	uint32_t number = 0;
	enum code code;

	if (payload.n < 4)
		return err_set(err, E_PROTOCOL, "a malformed answer of the supervisor");
	for (unsigned i = 0; i < 4; i++)
		number = number << 8 | (uint8_t)payload.p[i];
	if (!code_from_number(number, &code) || code == E_OK)
		code = E_INTERNAL;
	struct span text = span_cut(payload, 4, payload.n - 4);
	return err_set(err, code, SPAN_FMT, SPAN_ARG(text));
}

enum code creds_get(uint64_t generation, enum side side, const char *purpose, struct secret **secret_r,
		    struct err *err)
{
	struct pipe_need need = { generation, (uint8_t)side, span_of(purpose) };
	enum pipe_type type = PIPE_NEED;
	struct buf out, in;

	*secret_r = NULL;
	buf_init(&out, 256);
	pipe_need_encode(&need, &out);
	enum code rc = pipe_write(PIPE_FD, PIPE_NEED, buf_span(&out), err);
	buf_free(&out);
	if (rc != E_OK)
		return rc;
	buf_init(&in, SECRET_ROOM);
	(void)buf_room(&in, SECRET_ROOM);        /* at once, so that growing leaves no copy behind */
	do {
		rc = pipe_read(PIPE_FD, &in, clock_mono_ms() + ANSWER_MS, &type, err);
		if (rc == E_OK && type == PIPE_LOG)
			batch_take_log(buf_span(&in));
	} while (rc == E_OK && type == PIPE_LOG);
	if (rc == E_OK && type == PIPE_REFUSED)
		rc = refused(buf_span(&in), err);
	else if (rc == E_OK && type != PIPE_SECRET)
		rc = err_set(err, E_PROTOCOL, "an unexpected answer of the supervisor");
	else if (rc == E_OK && in.n > 0)
		*secret_r = secret_new(in.p, in.n);
	secret_wipe(in.p, in.cap);
	buf_free(&in);
	return rc;
}

bool creds_abandoned(void)
{
	char byte;
	ssize_t n = recv(PIPE_FD, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	while (n > 0) {          /* nothing was asked: only a PIPE_LOG can be there */
		enum pipe_type type = PIPE_LOG;
		struct buf in;

		buf_init(&in, TRACE_LIST_MAX + 64);
		bool good = pipe_read(PIPE_FD, &in, clock_mono_ms() + ANSWER_MS, &type, NULL) == E_OK &&
			    type == PIPE_LOG;
		if (good)
			batch_take_log(buf_span(&in));
		buf_free(&in);
		if (!good)
			return true;
		n = recv(PIPE_FD, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	}
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}
