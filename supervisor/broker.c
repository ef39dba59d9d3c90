/* broker.c - the supervisor's end of the bus: messages become events of the pool.
 *
 * Who sent a message is proved by slot, incarnation and generation in it and by the routing id that
 * the slot's worker was given; anything else is stale: dropped and counted.
 */
#include "super.h"

#include "../common/clock.h"
#include "../common/log.h"

#include <stdio.h>

static void drop_stale(struct super *super, const char *what)
{
	int64_t now = clock_mono_ms();

	super->stale++;
	if (super->stale_said_ms != 0 && now - super->stale_said_ms < 60000)
		return;
	super->stale_said_ms = now;
	log_warning("dropped a stale message (%s); %llu so far", what, (unsigned long long)super->stale);
}

static struct ask *ask_of_slot(struct super *super, uint32_t slot)
{
	uint32_t job = super->pool.slots[slot].job;

	return job != POOL_NONE ? request_ask(super, super->pool.jobs[job].id) : NULL;
}

/* Does the message belong to the task that this slot has in hand? */
static bool is_current(const struct super *super, const struct wire_msg *msg)
{
	const struct pool_slot *s = &super->pool.slots[msg->slot];

	return slot_has_task(s->state) && s->task != POOL_NONE && s->incarnation == msg->incarnation &&
	       super->pool.pairings[s->task].generation == msg->generation;
}

static bool known_classes(const struct wire_RESULT *r)
{
	return r->class_mail < RCLASS_COUNT && r->class_events < RCLASS_COUNT &&
	       r->class_contacts < RCLASS_COUNT && r->class_tasks < RCLASS_COUNT;
}

/* R19: whatever an Exchange side says, its task stays in the pool; only Google's three stop it. */
static enum rclass never_dropped(const struct super *super, uint32_t unit, const struct wire_RESULT *r,
				 enum rclass rclass)
{
	const struct conf_pairing *p = unit_conf(super, unit);

	if (rclass != RC_STOPPED || p == NULL || r->side >= SIDES || !conf_never_stops(p->mailbox[r->side].endpoint))
		return rclass;
	return r->code == code_number(E_INVALID_CREDENTIALS) ? RC_LOGON_FAILED : RC_FAILED;
}

static void on_result(struct super *super, const struct wire_msg *msg, struct pool_event *ev)
{
	const struct wire_RESULT *r = &msg->u.RESULT;
	struct worker *w = &super->workers[msg->slot];

	ev->kind = POOL_RESULT;
	ev->pairing = POOL_NONE;
	if (!is_current(super, msg) ||
	    !span_eq_str(r->pairing, super->units[super->pool.slots[msg->slot].task].record.name))
		return;                  /* the core drops it as stale */
	ev->pairing = super->pool.slots[msg->slot].task;
	ev->rclass = RC_FAILED;
	if (known_classes(r)) {
		const enum rclass by_kind[DUE_KINDS] = {
			(enum rclass)r->class_mail, (enum rclass)r->class_events,
			(enum rclass)r->class_contacts, (enum rclass)r->class_tasks,
		};
		ev->rclass = never_dropped(super, ev->pairing, r, due_fold(by_kind));
	}
	ev->logged_on = r->logged_on;
	ev->refused = r->refused;
	ev->side = r->side;
	ev->wait_ms = r->wait_ms;
	ev->rss_kib = r->peak_kib;
	w->peak_kib = r->peak_kib;
	w->has_result = true;
	w->result = *r;
	w->result.text = w->result.pairing = SPAN_NONE;
	snprintf(w->result_text, sizeof(w->result_text), SPAN_FMT, SPAN_ARG(r->text));
}

static void on_heartbeat(struct super *super, const struct wire_msg *msg, struct pool_event *ev)
{
	ev->kind = POOL_HB;
	ev->progress = msg->u.HB.progress;
	ev->rss_kib = msg->u.HB.rss_kib;
	if (is_current(super, msg))
		super->workers[msg->slot].peak_kib = msg->u.HB.rss_kib;
	if (is_current(super, msg) && super->pool.slots[msg->slot].job == POOL_NONE) {
		struct unit *unit = &super->units[super->pool.slots[msg->slot].task];

		unit->live_done = msg->u.HB.done;
		unit->live_todo = msg->u.HB.todo;
	}
}

static void on_part(struct super *super, const struct wire_msg *msg)
{
	struct ask *ask = is_current(super, msg) ? ask_of_slot(super, msg->slot) : NULL;

	if (ask != NULL)
		buf_add_span(&ask->parts, msg->u.PART.text);
}

/* A good logon is news for those who wait for it; a refusal counts with the RESULT. */
static void on_logon(struct super *super, const struct wire_msg *msg, struct pool_event *ev)
{
	enum code code;

	ev->kind = POOL_LOGGED_ON;
	if (!is_current(super, msg) || !code_from_number(msg->u.LOGON.code, &code) || msg->u.LOGON.side >= SIDES)
		return;
	if (code == E_OK)
		ev->logged_on = (uint8_t)(1u << msg->u.LOGON.side);
	stats_logon(&super->stats, code);
	log_debug("pairing %s: %s side: logon: %s",
		  super->units[super->pool.slots[msg->slot].task].record.name,
		  side_name((enum side)msg->u.LOGON.side), code_name(code));
}

static void handle(struct super *super, const struct wire_msg *msg)
{
	struct pool_event ev = { .slot = msg->slot, .incarnation = msg->incarnation,
				 .generation = msg->generation };

	switch (msg->type) {
	case WIRE_READY:
		ev.kind = POOL_READY;
		break;
	case WIRE_ACCEPT:
		ev.kind = POOL_ACCEPT;
		break;
	case WIRE_BEGUN:
		ev.kind = POOL_BEGUN;
		break;
	case WIRE_HB:
		on_heartbeat(super, msg, &ev);
		break;
	case WIRE_RESULT:
		on_result(super, msg, &ev);
		break;
	case WIRE_PART:
		on_part(super, msg);
		return;
	case WIRE_LOGON:
		on_logon(super, msg, &ev);
		break;
	case WIRE_BYE:
	case WIRE_TASK:
	case WIRE_CANCEL:
	case WIRE_DRAIN:
	case WIRE_PAUSE:
	case WIRE_YIELD:
		return;                  /* BYE is a courtesy; the others do not come from workers */
	}
	dispatch_step(super, &ev);
}

void broker_receive(struct super *super)
{
	struct err err = ERR_INIT;
	struct wire_msg msg;

	while (super->bus != NULL && bus_receive(super->bus, &super->rx_peer, &super->rx, &err) == E_OK) {
		if (wire_decode(buf_span(&super->rx), &msg, &err) != E_OK) {
			drop_stale(super, err_text(&err));
			continue;
		}
		if (msg.slot >= POOL_SLOTS_MAX || !wire_from_worker(msg.type) ||
		    !span_eq(buf_span(&super->rx_peer), buf_span(&super->workers[msg.slot].id))) {
			drop_stale(super, wire_type_name(msg.type));
			continue;
		}
		handle(super, &msg);
	}
}

enum code broker_send(struct super *super, uint32_t slot, struct wire_msg *msg, struct err *err)
{
	buf_clear(&super->tx);
	msg->slot = slot;
	msg->incarnation = super->pool.slots[slot].incarnation;
	enum code rc = wire_encode(msg, &super->tx, err);
	if (rc == E_OK)
		rc = bus_send(super->bus, buf_span(&super->workers[slot].id), buf_span(&super->tx), err);
	return rc;
}
