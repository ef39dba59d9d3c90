/* t_net.c - the connection: read while written, direct reads, kept input, a server that closes.
 * TLS with good and bad certificates is proven end to end (tests/e2e/test_logon.py).
 */
#include "../../worker/net/conn.h"

#include "../../common/mem.h"
#include "../../worker/net/tls.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PUSH ((size_t)1500 * 1000)     /* more than both socket buffers of one direction */
#define PULL ((size_t)16 << 20)

struct peer {
	pthread_t thread;
	int listener;
	uint16_t port;
	void (*serve)(int fd);
};

static void *run(void *arg)
{
	struct peer *p = arg;
	int fd = accept(p->listener, NULL, NULL);

	if (fd >= 0) {
		p->serve(fd);
		close(fd);
	}
	return NULL;
}

static struct conn *meet(struct peer *p, void (*serve)(int fd))
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	struct conn *c = NULL;

	p->serve = serve;
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(p->listener, 1), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&a, &len), 0);
	p->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&p->thread, NULL, run, p), 0);
	assert_int_equal(conn_open("127.0.0.1", p->port, &c, NULL), E_OK);
	assert_true(conn_is_loopback(c));
	return c;
}

static void part(struct peer *p, struct conn **c)
{
	conn_close(c);
	pthread_join(p->thread, NULL);
	close(p->listener);
}

static void send_n(int fd, size_t n)
{
	char block[8192];

	memset(block, 's', sizeof(block));
	while (n > 0) {
		ssize_t put = send(fd, block, n < sizeof(block) ? n : sizeof(block), MSG_NOSIGNAL);

		if (put <= 0)
			return;
		n -= (size_t)put;
	}
}

static size_t recv_n(int fd, size_t n)
{
	char block[8192];
	size_t all = 0;
	ssize_t got;

	while (all < n && (got = recv(fd, block, sizeof(block), 0)) > 0)
		all += (size_t)got;
	return all;
}

/* Writes first and reads only then: with a client that does not read while it writes, both wait. */
static void stubborn(int fd)
{
	send_n(fd, PUSH);
	if (recv_n(fd, PULL) == PULL)
		send_n(fd, 1);
}

static void test_full_duplex(void **state)
{
	(void)state;
	struct peer p;
	struct conn *c = meet(&p, stubborn);
	char *big = mem_alloc(PULL);
	size_t seen = 0;

	conn_set_deadlines(3000, 3000, 3000);
	assert_int_equal(conn_put(c, big, PULL / 2, NULL), E_OK);
	for (size_t i = 0; i < PULL / 2; i += 1024)
		assert_int_equal(conn_put(c, big + i, 1024, NULL), E_OK);
	assert_int_equal(conn_flush(c, NULL), E_OK);
	while (seen < PUSH + 1) {
		struct span in = conn_input(c);

		if (in.n == 0)
			assert_int_equal(conn_fill(c, NULL), E_OK);
		seen += in.n;
		conn_consume(c, in.n);
	}
	assert_int_equal(seen, PUSH + 1);
	assert_int_equal(conn_bytes_out(c), PULL);
	assert_true(conn_bytes_total() >= PULL);
	mem_free(big);
	part(&p, &c);
	conn_set_deadlines(0, 0, 0);
}

static void talkative(int fd)
{
	send_n(fd, 100000);
	recv_n(fd, 1);
}

static void test_direct_reads(void **state)
{
	(void)state;
	struct peer p;
	struct conn *c = meet(&p, talkative);
	char room[7000];
	size_t seen = 0, got;

	assert_int_equal(conn_fill(c, NULL), E_OK);
	conn_consume(c, 10);
	seen = 10;
	while (seen < 100000) {
		assert_int_equal(conn_read(c, room, sizeof(room), &got, NULL), E_OK);
		assert_true(got > 0 && room[0] == 's' && room[got - 1] == 's');
		seen += got;
	}
	assert_int_equal(seen, 100000);
	part(&p, &c);
}

static void curt(int fd)
{
	send_n(fd, 3);
}

static void test_closed(void **state)
{
	(void)state;
	struct peer p;
	struct conn *c = meet(&p, curt);
	struct err err = ERR_INIT;

	assert_int_equal(conn_fill(c, NULL), E_OK);
	usleep(50000);
	while (conn_input(c).n < 3)
		assert_int_equal(conn_fill(c, NULL), E_OK);
	assert_int_equal(conn_fill(c, &err), E_NET);
	assert_int_equal(conn_input(c).n, 3);        /* what had arrived is still there */
	assert_int_equal(conn_fill(c, &err), E_NET);
	part(&p, &c);
}

static void test_unreachable(void **state)
{
	(void)state;
	struct peer p;
	struct conn *c = meet(&p, curt);
	struct err err = ERR_INIT;
	uint16_t port = p.port;

	part(&p, &c);
	assert_int_equal(conn_open("127.0.0.1", port, &c, &err), E_NET);
	assert_int_equal(conn_open("no-such-host.invalid", 1, &c, &err), E_NET);
	assert_non_null(strstr(err_text(&err), "no-such-host.invalid"));
}

static void garbage(int fd)
{
	recv_n(fd, 1);
	send_n(fd, 200);
}

static void test_tls_refusals(void **state)
{
	(void)state;
	struct peer p;
	struct conn *c = meet(&p, garbage);
	struct err err = ERR_INIT;
	struct tls *tls;

	assert_int_equal(conn_start_tls(c, NULL, &err), E_TLS);
	part(&p, &c);
	assert_int_equal(tls_new(0, "", NULL, &tls, &err), E_TLS);           /* no name, no check: refused */
	assert_int_equal(tls_new(0, "x", "no pem", &tls, &err), E_TLS);
	c = meet(&p, talkative);
	assert_int_equal(conn_fill(c, NULL), E_OK);
	assert_int_equal(conn_start_tls(c, NULL, &err), E_PROTOCOL);         /* injected in front of TLS */
	part(&p, &c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_duplex), cmocka_unit_test(test_direct_reads), cmocka_unit_test(test_closed),
		cmocka_unit_test(test_unreachable), cmocka_unit_test(test_tls_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
