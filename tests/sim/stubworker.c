/* stubworker.c - a worker that touches no mailbox and misbehaves: for the tests of the pool.
 *
 * It takes tasks as the real one does, works for some milliseconds under an exclusive lock on the pairing's
 * state directory (a second writer is written down in STATE/violations), and then reports a random end, dies,
 * stands still, or lies: results of other leases, of other pairings, twice, bytes that are no message.
 * Installed as mailshadow-worker beside a copy of mailshadowd.
 */
#include "../../common/bus.h"
#include "../../common/clock.h"
#include "../../common/pipe.h"
#include "../../common/secret.h"
#include "../../common/wire.h"
#include "../../worker/batch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct batch batch;
static struct bus *bus;
static struct buf rx, tx;
static bool cancelled, draining;
static bool calm;                        /* STATE/calm exists: all goes well, at once */

static uint32_t rnd(uint32_t n)
{
	uint32_t x;

	random_bytes(&x, sizeof(x));
	return x % n;
}

static void die(const char *why)
{
	fprintf(stderr, "stub: %s\n", why);
	_exit(3);
}

static void send_bytes(struct span bytes)
{
	struct err err = ERR_INIT;

	if (bus_send(bus, SPAN_NONE, bytes, &err) != E_OK)
		die("the bus is gone");
}

static void send_msg(struct wire_msg *msg, uint64_t generation)
{
	struct err err = ERR_INIT;

	msg->slot = batch.slot;
	msg->incarnation = batch.incarnation;
	msg->generation = generation;
	buf_clear(&tx);
	if (wire_encode(msg, &tx, &err) != E_OK)
		die(err_text(&err));
	send_bytes(buf_span(&tx));
}

static void send_type(enum wire_type type, uint64_t generation)
{
	struct wire_msg msg = { .type = type };

	send_msg(&msg, generation);
}

static void hear(uint64_t generation)
{
	struct err err = ERR_INIT;
	struct wire_msg msg;

	while (bus_receive(bus, NULL, &rx, &err) == E_OK) {
		if (wire_decode(buf_span(&rx), &msg, &err) != E_OK)
			die(err_text(&err));
		cancelled = cancelled || (msg.type == WIRE_CANCEL && msg.generation == generation);
		draining = draining || msg.type == WIRE_DRAIN;
	}
}

/* Alone here? The lock goes with the process, however it ends. */
static int begin_writing(const struct batch_pairing *p)
{
	char path[4200];
	int fd, note;

	snprintf(path, sizeof(path), "%s/writer", p->state_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		die("the lock file");
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	snprintf(path, sizeof(path), "%s/../../violations", p->state_dir);
	note = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (note < 0 || dprintf(note, "%s: two writers\n", p->name) < 0)
		die("the note");
	return fd;
}

static void fill(struct wire_RESULT *r)
{
	static const struct {
		enum code code;
		uint8_t logged_on, refused;
	} ends[] = {
		{ E_OK, 3, 0 }, { E_OK, 3, 0 }, { E_OK, 3, 0 }, { E_OK, 3, 0 }, { E_OK, 3, 0 }, { E_OK, 3, 0 },
		{ E_LOGON_FAILED, 1, 2 }, { E_LOGON_FAILED, 1, 2 }, { E_STORE_FAILED, 3, 0 }, { E_NET, 1, 0 },
		{ E_SERVER, 3, 0 }, { E_THROTTLED, 3, 0 }, { E_YIELDED, 3, 0 }, { E_HELD, 3, 0 },
	};
	uint32_t i = rnd(ARRAY_LEN(ends));

	/* now and then all stores are down for a second, so that the pool restarts */
	if (clock_wall_s() % 5 == 0)
		i = 8;
	if (calm)
		i = 0;
	r->code = code_number(ends[i].code);
	r->class_mail = (uint8_t)code_class(ends[i].code);
	r->logged_on = ends[i].logged_on;
	r->refused = ends[i].refused;
	r->side = ends[i].code == E_THROTTLED ? SIDE_RIGHT : 255;
	r->wait_ms = ends[i].code == E_THROTTLED ? 300 : 0;
}

static void lie(uint64_t generation, struct span pairing)
{
	struct wire_msg msg = { .type = WIRE_RESULT };

	fill(&msg.u.RESULT);
	msg.u.RESULT.pairing = pairing;
	switch (rnd(6)) {
	case 0:
		send_msg(&msg, generation - 1);
		break;
	case 1:
		send_msg(&msg, generation + 1);
		break;
	case 2:
		msg.u.RESULT.pairing = span_of("somebody-else");
		send_msg(&msg, generation);
		break;
	case 3:
		send_bytes(span_of("this is not a message of this protocol, nor of any other"));
		break;
	case 4:
		send_type(WIRE_READY, generation);
		break;
	case 5:
		send_type(WIRE_TASK, generation);
		break;
	}
}

static void work(uint64_t generation)
{
	int64_t end = clock_mono_ms() + (calm ? 0 : 5 + rnd(60));

	while (!cancelled && clock_mono_ms() < end) {
		struct wire_msg hb = { .type = WIRE_HB };

		clock_sleep_ms(5 + rnd(10));
		hb.u.HB.progress = (uint64_t)clock_mono_ms();
		send_msg(&hb, generation);
		hear(generation);
	}
}

static void run_task(const struct wire_msg *task)
{
	const struct batch_pairing *p = batch_find(&batch, task->u.TASK.pairing);
	struct wire_msg msg = { .type = WIRE_RESULT };
	uint64_t generation = task->generation;
	uint32_t fate = calm ? 99 : rnd(100);

	if (p == NULL)
		die("a task that is not of this batch");
	cancelled = false;
	if (fate == 0)
		_exit(5);
	send_type(WIRE_ACCEPT, generation);
	if (fate == 1)
		_exit(6);
	send_type(WIRE_BEGUN, generation);
	int fd = begin_writing(p);
	work(generation);
	if (fate < 5)
		_exit(7);
	if (fate == 5)
		raise(SIGSTOP);
	if (fate < 15)
		lie(generation, span_of(p->name));
	close(fd);
	fill(&msg.u.RESULT);
	msg.u.RESULT.pairing = span_of(p->name);
	if (cancelled) {
		msg.u.RESULT.code = code_number(E_CANCELLED);
		msg.u.RESULT.class_mail = (uint8_t)code_class(E_CANCELLED);
		msg.u.RESULT.refused = 0;
	}
	send_msg(&msg, generation);
	if (fate == 15)
		send_msg(&msg, generation);      /* once more */
	if (fate == 16)
		_exit(8);
}

static bool is_calm(const char *state_dir)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/../../calm", state_dir);
	return access(path, F_OK) == 0;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct wire_msg msg, ready = { .type = WIRE_READY };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc != 2 || getppid() != (pid_t)atoi(argv[1]))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	if (batch_read(&batch, &err) != E_OK)
		return 1;
	calm = batch.n > 0 && is_calm(batch.pairings[0].state_dir);
	if (!calm && rnd(50) == 0)
		return 4;                        /* stillborn */
	buf_init(&rx, WIRE_MAX);
	buf_init(&tx, WIRE_MAX);
	if (bus_connect(batch.bus, span_of(batch.id), &bus, &err) != E_OK)
		return 1;
	send_msg(&ready, 0);
	while (!draining) {
		struct pollfd pfds[2] = { { .fd = bus_fd(bus), .events = POLLIN }, { .fd = PIPE_FD, .events = POLLIN } };

		if (bus_receive(bus, NULL, &rx, &err) != E_OK) {
			if (bus_lost(bus) || (pfds[1].revents & POLLHUP))
				return 2;
			poll(pfds, 2, 100);
			continue;
		}
		if (wire_decode(buf_span(&rx), &msg, &err) != E_OK)
			die(err_text(&err));
		draining = msg.type == WIRE_DRAIN;
		if (msg.type == WIRE_TASK)
			run_task(&msg);
	}
	_exit(0);
}
