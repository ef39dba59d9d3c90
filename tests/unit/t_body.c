/* t_body.c - line ends, header, spooling and digests of bodies against a byte-by-byte model. */
#include "../../common/clock.h"
#include "../../worker/data/body.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/t_body.XXXXXX";
static int dirfd_spool;
static struct err err;

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	dirfd_spool = open(dir, O_RDONLY | O_DIRECTORY);
	return dirfd_spool < 0;
}

/* The spool leaves nothing behind. */
static int teardown(void **state)
{
	(void)state;
	close(dirfd_spool);
	return rmdir(dir);
}

static struct buf read_all(struct body *b, size_t step)
{
	struct buf out;
	struct span piece;
	uint64_t at = 0;

	buf_init(&out, (size_t)1 << 30);
	for (;;) {
		assert_int_equal(body_read(b, at, &piece, &err), E_OK);
		if (piece.n == 0)
			return out;
		piece = span_cut(piece, 0, step);
		buf_add_span(&out, piece);
		at += piece.n;
	}
}

static struct buf model(struct span in)
{
	struct buf out;

	buf_init(&out, (size_t)1 << 30);
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r'))
			buf_add_char(&out, '\r');
		buf_add_char(&out, in.p[i]);
	}
	return out;
}

/* Give `in` to a new body in pieces of up to `step` bytes, by add and by room in turn. */
static struct body *give(struct span in, size_t step)
{
	struct body *b = body_new(dirfd_spool, 0);
	size_t part;

	for (size_t at = 0, turn = 0; at < in.n; at += part, turn++) {
		part = 1 + (size_t)random() % step;
		if (part > in.n - at)
			part = in.n - at;
		if (turn % 2 == 0) {
			assert_int_equal(body_add(b, in.p + at, part, &err), E_OK);
			continue;
		}
		char *room;
		size_t n;

		assert_int_equal(body_room(b, part, &room, &n, &err), E_OK);
		part = part < n ? part : n;
		memcpy(room, in.p + at, part);
		assert_int_equal(body_filled(b, part, &err), E_OK);
	}
	assert_int_equal(body_end(b, &err), E_OK);
	return b;
}

static void check_one(struct span in, size_t step)
{
	struct body *b = give(in, step);
	struct buf want = model(in), got = read_all(b, 1 + (size_t)random() % 300000);
	uint8_t whole[DIGEST_SIZE], rest[DIGEST_SIZE], sum[DIGEST_SIZE];
	struct span head = body_header(b);

	assert_int_equal(body_size(b), want.n);
	assert_true(span_eq(buf_span(&want), buf_span(&got)));
	assert_int_equal(body_has_nul(b), memchr(in.p, 0, in.n) != NULL);
	assert_true(span_eq(head, span_cut(buf_span(&want), 0, head.n)));
	assert_int_equal(body_digest(b, whole, rest, &err), E_OK);
	digest_of(want.p, want.n, sum);
	assert_memory_equal(whole, sum, sizeof(sum));
	digest_of(want.p + head.n, want.n - head.n, sum);
	assert_memory_equal(rest, sum, sizeof(sum));
	buf_free(&want);
	buf_free(&got);
	body_free(&b);
	assert_null(b);
}

static void t_line_ends(void **state)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "a\nb\n", "a\r\nb\r\n" }, { "a\r\nb", "a\r\nb" }, { "\n", "\r\n" }, { "\r", "\r" },
		{ "a\rb\r", "a\rb\r" }, { "\r\r\n\n", "\r\r\n\r\n" }, { "\n\n\n", "\r\n\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t step = 1; step < 4; step++) {
			struct body *b = give(span_of(rows[i].in), step);
			struct buf got = read_all(b, 100);

			assert_string_equal(buf_str(&got), rows[i].out);
			buf_free(&got);
			body_free(&b);
		}
	}
}

static void t_random(void **state)
{
	static const char letters[] = "\r\n\r\n\nab\0";
	static char text[3 << 20];

	(void)state;
	srandom(11);
	for (int round = 0; round < 2000; round++) {
		size_t n = 1 + (size_t)random() % (round % 200 == 0 ? sizeof(text) : 4000);

		for (size_t i = 0; i < n; i++)
			text[i] = letters[(size_t)random() % (round % 3 == 0 ? 8 : 7)];
		check_one(span_bytes(text, n), round % 200 == 0 ? 400000 : 1 + (size_t)random() % 300);
	}
}

static void t_header(void **state)
{
	static const struct { const char *in; size_t n; } rows[] = {
		{ "A: b\r\n\r\nbody", 8 }, { "A: b\n\nbody", 8 }, { "\r\nbody", 2 }, { "\nbody", 2 },
		{ "A: b\r\n", 6 }, { "", 0 }, { "A: b\r\n \r\n\r\n", 11 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct body *b = give(span_of(rows[i].in), 3);

		assert_int_equal(body_header(b).n, rows[i].n);
		body_free(&b);
	}
}

/* Large ones leave memory, keep the header, and the header itself is bounded. */
static void t_spool(void **state)
{
	size_t n = 20 << 20;
	char *text = malloc(n);
	struct body *b;

	(void)state;
	for (size_t i = 0; i < n; i++)
		text[i] = i % 71 == 70 ? '\n' : 'x';
	memcpy(text, "Subject: x\n\n", 12);
	b = give(span_bytes(text, n), 1 << 20);
	assert_true(body_memory(b) < (size_t)2 << 20);
	assert_int_equal(body_header(b).n, 14);
	body_free(&b);
	check_one(span_bytes(text, n), 1 << 20);
	memset(text, 'y', 1 << 20);
	b = give(span_bytes(text, n), 1 << 20);
	assert_int_equal(body_header(b).n, BODY_HEADER_MAX);
	body_free(&b);
	free(text);
}

static void t_spool_fails(void **state)
{
	char *text = calloc(1, 1 << 20);
	struct body *b = body_new(-1, 0);
	enum code rc = E_OK;

	(void)state;
	for (int i = 0; i < 2 && rc == E_OK; i++)
		rc = body_add(b, text, 1 << 20, &err);
	assert_int_equal(rc, E_DISK);
	assert_int_equal(body_end(b, &err), E_DISK);
	body_free(&b);
	free(text);
}

/* 200 MB with right line ends, and with bare LFs: at the speed of memory, not of a byte loop. */
static void t_speed(void **state)
{
	size_t n = 4 << 20;
	char *text = malloc(n);

	(void)state;
	for (int lf = 0; lf < 2; lf++) {
		for (size_t i = 0; i < n; i++)
			text[i] = i % 72 == 71 ? '\n' : i % 72 == 70 && lf == 0 ? '\r' : 'x';
		int64_t from = clock_mono_ms();

		for (int i = 0; i < 50; i++) {
			struct body *b = body_new(dirfd_spool, n);

			assert_int_equal(body_add(b, text, n, &err), E_OK);
			body_free(&b);
		}
		int64_t took = clock_mono_ms() - from;

		printf("%s: %d MB/s\n", lf ? "LF" : "CRLF", (int)(200000 / (took + 1)));
		assert_in_range(took, 0, 5000);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_line_ends),
		cmocka_unit_test(t_random),
		cmocka_unit_test(t_header),
		cmocka_unit_test(t_spool),
		cmocka_unit_test(t_spool_fails),
		cmocka_unit_test(t_speed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
