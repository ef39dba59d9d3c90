/* task.c - one task after the other: TASK -> ACCEPT -> BEGUN -> pass_run() -> RESULT.
 *
 * The hook of the wait loop is where a pass that is under way hears CANCEL and DRAIN, sends its
 * heartbeat, and notices that the supervisor is gone (then the process ends: its lease is nobody's).
 */
#include "task.h"

#include "../common/bus.h"
#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/pipe.h"
#include "../common/wire.h"
#include "creds.h"
#include "fiber.h"
#include "http/http.h"
#include "net/conn.h"
#include "sync/pass.h"

#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define HEARTBEAT_MS 1000
#define PROGRESS_BYTES 65536       /* on the wire, for a step of progress */
#define FIRST_MS 10000
#define LOST_EXIT 3
#define SOFT_CANCEL_MS 5000  /* for a window of writes to end: what was sent and not answered is uncertain */

struct worker {
	const struct batch *batch;
	struct bus *bus;
	struct buf rx, tx;
	bool have_first;             /* rx holds the first message, not handled yet */
	bool draining;
	uint64_t generation;         /* 0 = none */
	int64_t cancel_ms;           /* monotonic: the pass ends itself before that, or is broken off; 0 = no */
	struct pass_env *env;        /* of the pass that runs, or NULL */
	int64_t beat_ms;
	uint64_t progress, done, todo;
};

static void lost(const char *why)
{
	log_warning("%s: this worker ends", why);
	_exit(LOST_EXIT);
}

static void send_msg(struct worker *w, struct wire_msg *msg)
{
	struct err err = ERR_INIT;

	msg->slot = w->batch->slot;
	msg->incarnation = w->batch->incarnation;
	msg->generation = w->generation;
	buf_clear(&w->tx);
	if (wire_encode(msg, &w->tx, &err) != E_OK ||
	    bus_send(w->bus, SPAN_NONE, buf_span(&w->tx), &err) != E_OK)
		lost(err_text(&err));
}

static void send_type(struct worker *w, enum wire_type type)
{
	struct wire_msg msg = { .type = type };

	send_msg(w, &msg);
}

/* --- while a pass runs --- */

static uint64_t peak_kib(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss : 0;
}

static void beat(struct worker *w)
{
	struct wire_msg msg = { .type = WIRE_HB };

	w->beat_ms = clock_mono_ms();
	/* a large message on a slow line is work; a dripping server is not */
	msg.u.HB.progress = w->progress + (conn_bytes_total() + http_bytes_total()) / PROGRESS_BYTES;
	msg.u.HB.done = w->done;
	msg.u.HB.todo = w->todo;
	msg.u.HB.rss_kib = peak_kib();
	send_msg(w, &msg);
}

/* A sync ends with the window in hand, as at the end of its slice; what only reads ends at once. */
static void cancel(struct worker *w)
{
	bool writes = w->env != NULL && w->env->mode == PASS_SYNC;

	if (w->cancel_ms == 0)
		w->cancel_ms = clock_mono_ms() + (writes ? SOFT_CANCEL_MS : 0);
	if (writes)
		w->env->slice_end_ms = 0;
}

/* An endpoint asked another worker to slow down: what runs here does not go on asking it. */
static void heed_pause(const struct worker *w, struct span endpoint, int64_t pause_ms)
{
	for (enum side s = SIDE_LEFT; w->env != NULL && pause_ms > 0 && s <= SIDE_RIGHT; s++) {
		if (!span_eq_str(endpoint, w->env->pairing->mailbox[s].endpoint->name))
			continue;
		log_info("endpoint " SPAN_FMT " slows us down: waiting %lld ms", SPAN_ARG(endpoint),
			 (long long)pause_ms);
		ep_pause(s, clock_mono_ms() + pause_ms);
	}
}

static void hear(struct worker *w)
{
	struct err err = ERR_INIT;
	struct wire_msg msg;

	while (bus_receive(w->bus, NULL, &w->rx, &err) == E_OK) {
		if (wire_decode(buf_span(&w->rx), &msg, &err) != E_OK)
			lost(err_text(&err));
		if (msg.type == WIRE_CANCEL && msg.generation == w->generation)
			cancel(w);
		else if (msg.type == WIRE_DRAIN)
			w->draining = true;
		else if (msg.type == WIRE_YIELD && msg.generation == w->generation && w->env != NULL)
			w->env->slice_end_ms = 0;
		else if (msg.type == WIRE_PAUSE)
			heed_pause(w, msg.u.PAUSE.endpoint, msg.u.PAUSE.pause_ms);
	}
}

static enum code hook(void *ctx, struct err *err)
{
	struct worker *w = ctx;

	hear(w);
	if (creds_abandoned() || bus_lost(w->bus))
		lost("the supervisor is gone");
	if (clock_mono_ms() - w->beat_ms >= HEARTBEAT_MS)
		beat(w);
	return w->cancel_ms != 0 && clock_mono_ms() >= w->cancel_ms ?
	       err_set(err, E_CANCELLED, "the supervisor asked to stop") : E_OK;
}

static enum code on_secret(void *ctx, enum side side, const char *purpose, struct secret **secret_r,
			   struct err *err)
{
	struct worker *w = ctx;

	w->progress++;
	return creds_get(w->generation, side, purpose, secret_r, err);
}

static void on_logon(void *ctx, enum side side, enum code code)
{
	struct wire_msg msg = { .type = WIRE_LOGON };
	struct worker *w = ctx;

	w->progress++;
	msg.u.LOGON.side = (uint8_t)side;
	msg.u.LOGON.code = code_number(code);
	send_msg(w, &msg);
}

static void on_progress(void *ctx, uint64_t done, uint64_t todo)
{
	struct worker *w = ctx;

	w->progress++;
	w->done = done;
	w->todo = todo;
}

static void on_part(void *ctx, struct span json)
{
	struct wire_msg msg = { .type = WIRE_PART };
	struct worker *w = ctx;

	w->progress++;
	while (json.n > 0) {
		msg.u.PART.text = span_cut(json, 0, WIRE_PART_MAX);
		json = span_cut(json, msg.u.PART.text.n, json.n);
		send_msg(w, &msg);
	}
}

/* --- the result --- */

static void report(struct worker *w, struct span pairing, const struct pass_result *r)
{
	struct wire_msg msg = { .type = WIRE_RESULT };
	struct wire_RESULT *m = &msg.u.RESULT;
	const char *text = r->code == E_OK ? "" : err_text(&r->err);

	m->pairing = pairing;
	m->code = code_number(r->code);
	m->class_mail = (uint8_t)code_class(r->code);
	m->class_events = m->class_contacts = m->class_tasks = RC_OK;
	for (unsigned s = 0; s < SIDES; s++) {
		m->logged_on |= (uint8_t)(r->logged_on[s] << s);
		m->refused |= (uint8_t)(r->logon_refused[s] << s);
	}
	m->side = r->err.side >= 0 ? (uint8_t)r->err.side : 255;
	m->first_done = r->first_done;
	m->verdict = (uint8_t)r->verdict;
	m->wait_ms = r->wait_ms;
	m->created = r->created;
	m->changed = r->changed;
	m->moved = r->moved;
	m->removed = r->removed;
	m->adopted = r->adopted;
	m->folders_changed = r->folders_changed;
	m->done = r->done;
	m->todo = r->todo;
	m->quarantined = r->quarantined;
	m->held = r->held;
	m->written_left = r->written[SIDE_LEFT];
	m->written_right = r->written[SIDE_RIGHT];
	m->bytes_left = r->written_bytes[SIDE_LEFT];
	m->bytes_right = r->written_bytes[SIDE_RIGHT];
	m->peak_kib = peak_kib();
	m->text = span_cut(span_of(text), 0, 480);
	send_msg(w, &msg);
}

static void say(const struct wire_TASK *task, const struct pass_result *r, int64_t ms)
{
	const char *kind = wire_kind_name((enum wire_kind)task->kind);

	if (r->code != E_OK && code_retry(r->code) == RETRY_PERSON)
		log_error("%s %s: %s; %s", kind, code_name(r->code), err_text(&r->err), code_remedy(r->code));
	log_info("%s %s in %lld ms: created=%llu changed=%llu moved=%llu removed=%llu adopted=%llu folders=%llu "
		 "done=%llu todo=%llu quarantined=%llu held=%llu", kind, code_name(r->code), (long long)ms,
		 (unsigned long long)r->created, (unsigned long long)r->changed, (unsigned long long)r->moved,
		 (unsigned long long)r->removed, (unsigned long long)r->adopted,
		 (unsigned long long)r->folders_changed, (unsigned long long)r->done, (unsigned long long)r->todo,
		 (unsigned long long)r->quarantined, (unsigned long long)r->held);
}

/* --- one task --- */

static void run_pass(struct worker *w, const struct wire_TASK *task, const char *item,
		     const struct batch_pairing *p, const struct conf *conf, struct pass_result *result)
{
	static const enum pass_mode modes[WIRE_KINDS] = {
		PASS_SYNC, PASS_PLAN, PASS_VERIFY, PASS_TEST, PASS_ADDRESSES, PASS_QUARANTINE, PASS_RELEASE,
		PASS_JOURNAL, PASS_EXPLAIN,
	};
	const struct conf_pairing *pairing = &conf->pairings[0];
	struct pass_env env = {
		.conf = conf, .pairing = pairing, .state_dir = p->state_dir,
		.mode = modes[task->kind], .generation = w->generation,
		.slice_end_ms = task->slice_ms > 0 ? clock_mono_ms() + task->slice_ms : INT64_MAX,
		.subjects = task->subjects != 0, .act = task->options != 0, .limit = task->limit, .item = item,
		.ctx = w,
		.secret = on_secret, .logon = on_logon, .progress = on_progress, .part = on_part,
	};

	for (unsigned s = 0; s < SIDES; s++)
		env.ca_pem[s] = pairing->mailbox[s].endpoint->ca_pem;
	w->env = &env;
	ep_pause(SIDE_LEFT, task->pause_left_ms > 0 ? clock_mono_ms() + task->pause_left_ms : 0);
	ep_pause(SIDE_RIGHT, task->pause_right_ms > 0 ? clock_mono_ms() + task->pause_right_ms : 0);
	fiber_set_hook(hook, w);
	pass_run(&env, result);
	fiber_set_hook(NULL, NULL);
	w->env = NULL;
	if (w->cancel_ms != 0 && result->code == E_YIELDED)
		result->code = err_set(&result->err, E_CANCELLED, "the supervisor asked to stop");
}

static void run_task(struct worker *w, const struct wire_msg *msg)
{
	const struct wire_TASK *task = &msg->u.TASK;
	const struct batch_pairing *p = batch_find(w->batch, task->pairing);
	struct pass_result result = { .code = E_INTERNAL, .err = ERR_INIT };
	struct conf *conf = NULL;
	int64_t from = clock_mono_ms();

	w->generation = msg->generation;
	w->cancel_ms = 0;
	w->progress = w->done = w->todo = 0;
	w->beat_ms = from;
	send_type(w, WIRE_ACCEPT);
	if (p == NULL || task->kind >= WIRE_KINDS) {
		result.code = err_set(&result.err, E_INTERNAL, "a task that is not of this batch");
	} else if (conf_pairing_decode(p->conf, strlen(p->conf), &conf, &result.err) != E_OK) {
		result.code = result.err.code;
	} else {
		struct wire_TASK copy = *task;
		char *item = mem_strndup(task->item.p != NULL ? task->item.p : "", task->item.n);

		copy.item = SPAN_NONE;
		copy.pairing = span_of(p->name);     /* rx is used again while the pass runs */
		log_set_base("pairing", p->name);
		send_type(w, WIRE_BEGUN);
		run_pass(w, &copy, item, p, conf, &result);
		mem_free(item);
		say(&copy, &result, clock_mono_ms() - from);
		log_set_base("pairing", NULL);
	}
	conf_free(&conf);
	report(w, p != NULL ? span_of(p->name) : SPAN_NONE, &result);
	w->generation = 0;
}

/* --- life --- */

/* The next message into rx; E_TIMEOUT. */
static enum code next_message(struct worker *w, int64_t deadline_ms, struct err *err)
{
	for (;;) {
		struct pollfd pfds[2] = { { .fd = bus_fd(w->bus), .events = POLLIN },
					  { .fd = PIPE_FD, .events = POLLIN } };
		enum code rc = bus_receive(w->bus, NULL, &w->rx, err);

		if (rc != E_NOT_FOUND)
			return rc;
		if (creds_abandoned() || bus_lost(w->bus))
			lost("the supervisor is gone");
		if (clock_mono_ms() >= deadline_ms)
			return err_set(err, E_TIMEOUT, "the supervisor does not answer");
		/* bus_fd() is edge-triggered: looking again after a while costs nothing */
		poll(pfds, ARRAY_LEN(pfds), HEARTBEAT_MS);
	}
}

enum code task_begin(const struct batch *batch, struct worker **worker_r, struct err *err)
{
	struct wire_msg ready = { .type = WIRE_READY };
	struct worker *w = mem_alloc(sizeof(*w));

	w->batch = batch;
	buf_init(&w->rx, WIRE_MAX);
	buf_init(&w->tx, WIRE_MAX);
	*worker_r = w;
	enum code rc = bus_connect(batch->bus, span_of(batch->id), &w->bus, err);
	if (rc != E_OK)
		return rc;
	ready.u.READY.pid = (uint32_t)getpid();
	send_msg(w, &ready);
	return E_OK;
}

enum code task_await(struct worker *w, struct err *err)
{
	enum code rc = next_message(w, clock_mono_ms() + FIRST_MS, err);

	w->have_first = rc == E_OK;
	return rc;
}

enum code task_loop(struct worker *w, struct err *err)
{
	struct wire_msg msg;
	enum code rc = E_OK;

	while (!w->draining) {
		if (!w->have_first)
			rc = next_message(w, INT64_MAX, err);
		w->have_first = false;
		if (rc == E_OK)
			rc = wire_decode(buf_span(&w->rx), &msg, err);
		if (rc != E_OK)
			return rc;
		if (msg.type == WIRE_TASK)
			run_task(w, &msg);
		else if (msg.type == WIRE_DRAIN)
			w->draining = true;
	}
	send_type(w, WIRE_BYE);
	return E_OK;
}

void task_end(struct worker **worker)
{
	struct worker *w = *worker;

	if (w == NULL)
		return;
	bus_close(&w->bus);
	buf_free(&w->rx);
	buf_free(&w->tx);
	mem_free(w);
	*worker = NULL;
}
