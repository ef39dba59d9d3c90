/* fuzz_wire.c - hostile bytes as a message of the bus and as frames of the socketpair: refused, or
 * decoded to something that encodes to the same bytes again.
 */
#include "../../common/pipe.h"
#include "../../common/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void try_message(struct span in)
{
	struct err err = ERR_INIT;
	struct wire_msg msg;
	struct buf again;

	if (wire_decode(in, &msg, &err) != E_OK) {
		must(err.code == E_PROTOCOL && err.text[0] != '\0');
		return;
	}
	buf_init(&again, WIRE_MAX);
	must(wire_encode(&msg, &again, &err) == E_OK);
	must(span_eq(in, buf_span(&again)));
	must(wire_type_name(msg.type)[0] != '?');
	buf_free(&again);
}

static void try_frames(struct span in)
{
	struct err err = ERR_INIT;
	enum pipe_type type = PIPE_GO;
	struct pipe_need need;
	struct span payload;
	size_t used = 0;
	bool there = true;
	struct buf buf, again;

	buf_init(&buf, 65536);
	buf_add_span(&buf, in);
	while (there && pipe_take(&buf, &there, &type, &payload, &used, &err) == E_OK && there) {
		must(used <= buf.n && payload.n < used);
		buf_init(&again, 65536);
		pipe_frame(&again, type, payload);
		must(span_eq(buf_span(&again), span_cut(buf_span(&buf), 0, used)));
		buf_free(&again);
		if (pipe_need_decode(payload, &need))
			must(need.side < SIDES && need.purpose.n <= 64);
		buf_consume(&buf, used);
	}
	buf_free(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_bytes(data, n);

	if (n > WIRE_MAX)
		return 0;
	try_message(in);
	try_frames(in);
	return 0;
}
