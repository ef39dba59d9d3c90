/* t_wire.c - messages between supervisor and worker: round trips, and every broken byte refused. */
#include "../../common/bus.h"
#include "../../common/clock.h"
#include "../../common/pipe.h"
#include "../../common/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct wire_msg sample(void)
{
	struct wire_msg msg = { .type = WIRE_RESULT, .slot = 14, .incarnation = 7, .generation = 0x123456789abcdef0 };

	msg.u.RESULT.pairing = SPAN_LIT("alice");
	msg.u.RESULT.code = 0x80040111;
	msg.u.RESULT.class_mail = 3;
	msg.u.RESULT.logged_on = 2;
	msg.u.RESULT.wait_ms = 4000000000u;
	msg.u.RESULT.held = UINT64_MAX;
	msg.u.RESULT.text = SPAN_LIT("the logon was refused");
	return msg;
}

static void test_round_trip(void **ctx)
{
	struct wire_msg in = sample(), out;
	struct err err = ERR_INIT;
	struct buf buf;

	(void)ctx;
	buf_init(&buf, WIRE_MAX);
	assert_int_equal(wire_encode(&in, &buf, &err), E_OK);
	assert_int_equal(wire_decode(buf_span(&buf), &out, &err), E_OK);
	assert_int_equal(out.type, WIRE_RESULT);
	assert_int_equal(out.slot, 14);
	assert_int_equal(out.incarnation, 7);
	assert_true(out.generation == in.generation);
	assert_true(span_eq_str(out.u.RESULT.pairing, "alice"));
	assert_true(out.u.RESULT.code == 0x80040111 && out.u.RESULT.wait_ms == 4000000000u);
	assert_true(out.u.RESULT.held == UINT64_MAX && out.u.RESULT.logged_on == 2);
	assert_true(span_eq_str(out.u.RESULT.text, "the logon was refused"));
	buf_free(&buf);
}

static void test_negative_numbers(void **ctx)
{
	struct wire_msg in = { .type = WIRE_TASK }, out;
	struct err err = ERR_INIT;
	struct buf buf;

	(void)ctx;
	in.u.TASK.slice_ms = -5;
	buf_init(&buf, WIRE_MAX);
	assert_int_equal(wire_encode(&in, &buf, &err), E_OK);
	assert_int_equal(wire_decode(buf_span(&buf), &out, &err), E_OK);
	assert_true(out.u.TASK.slice_ms == -5 && out.u.TASK.pairing.n == 0);
	buf_free(&buf);
}

/* Every shorter and every longer message is refused, and nothing is read beyond its end. */
static void test_every_cut(void **ctx)
{
	struct wire_msg in = sample(), out;
	struct err err = ERR_INIT;
	struct buf buf;

	(void)ctx;
	buf_init(&buf, WIRE_MAX);
	assert_int_equal(wire_encode(&in, &buf, &err), E_OK);
	for (size_t n = 0; n < buf.n; n++) {
		char *exact = malloc(n + 1);

		memcpy(exact, buf.p, n);
		assert_int_equal(wire_decode(span_bytes(exact, n), &out, &err), E_PROTOCOL);
		free(exact);
	}
	buf_add_char(&buf, 'x');
	assert_int_equal(wire_decode(buf_span(&buf), &out, &err), E_PROTOCOL);
	buf_free(&buf);
}

/* A length that is adjusted to a cut message must not save it. */
static void test_cut_with_fitting_length(void **ctx)
{
	struct wire_msg in = sample(), out;
	struct err err = ERR_INIT;
	struct buf buf;

	(void)ctx;
	buf_init(&buf, WIRE_MAX);
	assert_int_equal(wire_encode(&in, &buf, &err), E_OK);
	for (size_t n = WIRE_HEADER; n < buf.n; n++) {
		size_t rest = n - WIRE_HEADER;

		for (unsigned i = 0; i < 8; i++)
			buf.p[4 + i] = (char)(rest >> 8 * (7 - i) & 0xff);
		assert_int_equal(wire_decode(span_cut(buf_span(&buf), 0, n), &out, &err), E_PROTOCOL);
	}
	buf_free(&buf);
}

static void test_limits(void **ctx)
{
	static char big[WIRE_PART_MAX + 1];
	struct wire_msg in = { .type = WIRE_PART }, out;
	struct err err = ERR_INIT;
	struct buf buf;

	(void)ctx;
	memset(big, 'x', sizeof(big));
	buf_init(&buf, WIRE_MAX);
	in.u.PART.text = span_bytes(big, WIRE_PART_MAX);
	assert_int_equal(wire_encode(&in, &buf, &err), E_OK);
	assert_true(buf.n <= WIRE_MAX);
	assert_int_equal(wire_decode(buf_span(&buf), &out, &err), E_OK);
	assert_int_equal(out.u.PART.text.n, WIRE_PART_MAX);
	buf_clear(&buf);
	in.u.PART.text.n++;
	assert_int_equal(wire_encode(&in, &buf, &err), E_INTERNAL);
	assert_int_equal(buf.n, 0);
	buf_free(&buf);
}

static void test_foreign_headers(void **ctx)
{
	struct wire_msg in = { .type = WIRE_DRAIN }, out;
	struct err err = ERR_INIT;
	struct buf buf;

	(void)ctx;
	buf_init(&buf, WIRE_MAX);
	for (unsigned at = 0; at < 4; at++) {
		buf_clear(&buf);
		assert_int_equal(wire_encode(&in, &buf, &err), E_OK);
		buf.p[at] = (char)(buf.p[at] ^ 0x80);
		assert_int_equal(wire_decode(buf_span(&buf), &out, &err), E_PROTOCOL);
	}
	buf_free(&buf);
	assert_true(wire_from_worker(WIRE_RESULT) && !wire_from_worker(WIRE_TASK));
	assert_false(wire_from_worker((enum wire_type)200));
	assert_string_equal(wire_type_name((enum wire_type)0), "?");
}

/* --- the bus --- */

static enum code receive(struct bus *bus, struct buf *peer, struct buf *data)
{
	struct err err = ERR_INIT;
	enum code rc = E_NOT_FOUND;

	for (int i = 0; i < 500 && rc == E_NOT_FOUND; i++) {
		rc = bus_receive(bus, peer, data, &err);
		if (rc == E_NOT_FOUND)
			clock_sleep_ms(5);
	}
	return rc;
}

static void test_bus(void **ctx)
{
	char dir[] = "/tmp/t_wire.XXXXXX", path[64];
	struct bus *router = NULL, *dealer = NULL;
	struct err err = ERR_INIT;
	struct buf peer, data;

	(void)ctx;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/bus", dir);
	buf_init(&peer, 256);
	buf_init(&data, WIRE_MAX);
	assert_int_equal(bus_listen(path, &router, &err), E_OK);
	assert_int_equal(bus_connect(path, SPAN_LIT("3.1.nonce"), &dealer, &err), E_OK);
	assert_int_equal(bus_send(router, SPAN_LIT("nobody"), SPAN_LIT("x"), &err), E_BUSY);
	assert_int_equal(bus_send(dealer, SPAN_NONE, SPAN_LIT("hello"), &err), E_OK);
	assert_int_equal(receive(router, &peer, &data), E_OK);
	assert_true(span_eq_str(buf_span(&peer), "3.1.nonce") && span_eq_str(buf_span(&data), "hello"));
	assert_int_equal(bus_send(router, SPAN_LIT("3.1.nonce"), SPAN_LIT("task"), &err), E_OK);
	assert_int_equal(receive(dealer, NULL, &data), E_OK);
	assert_true(span_eq_str(buf_span(&data), "task"));
	assert_false(bus_lost(dealer));
	bus_close(&router);
	for (int i = 0; i < 500 && !bus_lost(dealer); i++)
		clock_sleep_ms(5);
	assert_true(bus_lost(dealer));
	bus_close(&dealer);
	assert_int_not_equal(access(path, F_OK), 0);
	rmdir(dir);
	buf_free(&peer);
	buf_free(&data);
}

static void test_bus_path_too_long(void **ctx)
{
	struct bus *bus = NULL;
	struct err err = ERR_INIT;

	(void)ctx;
	assert_int_equal(bus_listen("/tmp/0123456789012345678901234567890123456789012345678901234567890123456789"
				    "012345678901234567890123456789012345678901234567890", &bus, &err), E_CONF);
	assert_null(bus);
}

/* --- the pipe --- */

static void test_pipe(void **ctx)
{
	struct pipe_need need = { 77, SIDE_RIGHT, SPAN_LIT("password") }, got;
	enum pipe_type type = PIPE_GO;
	struct err err = ERR_INIT;
	struct buf buf, in;
	int fds[2];

	(void)ctx;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	buf_init(&buf, 1000);
	buf_init(&in, 1000);
	pipe_need_encode(&need, &buf);
	assert_int_equal(pipe_write(fds[0], PIPE_NEED, buf_span(&buf), &err), E_OK);
	assert_int_equal(pipe_read(fds[1], &in, clock_mono_ms() + 1000, &type, &err), E_OK);
	assert_int_equal(type, PIPE_NEED);
	assert_true(pipe_need_decode(buf_span(&in), &got));
	assert_true(got.generation == 77 && got.side == SIDE_RIGHT && span_eq_str(got.purpose, "password"));
	assert_int_equal(pipe_read(fds[1], &in, clock_mono_ms() + 20, &type, &err), E_TIMEOUT);
	close(fds[0]);
	assert_int_equal(pipe_read(fds[1], &in, clock_mono_ms() + 1000, &type, &err), E_CANCELLED);
	close(fds[1]);
	assert_false(pipe_need_decode(SPAN_LIT("short"), &got));
	assert_false(pipe_need_decode(SPAN_LIT("12345678\x02password"), &got));
	buf_free(&buf);
	buf_free(&in);
}

static void test_pipe_take_in_pieces(void **ctx)
{
	enum pipe_type type = PIPE_GO;
	struct span payload = SPAN_NONE;
	struct err err = ERR_INIT;
	struct buf whole, in;
	size_t used = 0;
	bool there = false;

	(void)ctx;
	buf_init(&whole, 1000);
	buf_init(&in, 1000);
	pipe_frame(&whole, PIPE_SECRET, SPAN_LIT("one"));
	for (size_t i = 0; i < whole.n; i++) {
		assert_false(there);
		buf_add(&in, whole.p + i, 1);
		assert_int_equal(pipe_take(&in, &there, &type, &payload, &used, &err), E_OK);
	}
	assert_true(there && type == PIPE_SECRET && span_eq_str(payload, "one") && used == whole.n);
	buf_clear(&in);
	buf_add(&in, "\xff\xff\xff\xff\x01", 5);
	assert_int_equal(pipe_take(&in, &there, &type, &payload, &used, &err), E_PROTOCOL);
	buf_free(&whole);
	buf_free(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_negative_numbers),
		cmocka_unit_test(test_every_cut), cmocka_unit_test(test_cut_with_fitting_length),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_foreign_headers),
		cmocka_unit_test(test_bus), cmocka_unit_test(test_bus_path_too_long),
		cmocka_unit_test(test_pipe), cmocka_unit_test(test_pipe_take_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
