/* slot.h - a worker's life as a table of (state, event). Pure.
 *
 *   FREE -spawn-> SPAWNING -ready-> IDLE -task-> ASSIGNED -accept-> ACCEPTED -begun-> BUSY -result-> IDLE
 *   IDLE -drain-> DRAINING; a task in hand -cancel-> CANCELLING -result-> IDLE
 *   anything alive -kill-> KILLED; anything alive -reaped-> FREE
 * Only `reaped` frees a slot and its lease: nothing that a worker says or fails to say does.
 */
#ifndef MS_SLOT_H
#define MS_SLOT_H

#include "../common/ms.h"

#define SLOT_STATE_LIST(X) \
	X(FREE, "free") X(SPAWNING, "spawning") X(IDLE, "idle") X(ASSIGNED, "assigned") \
	X(ACCEPTED, "accepted") X(BUSY, "busy") X(CANCELLING, "cancelling") \
	X(DRAINING, "draining") X(KILLED, "killed")
enum slot_state {
#define X(id, text) SLOT_##id,
	SLOT_STATE_LIST(X)
#undef X
	SLOT_STATES
};

#define SLOT_EVENT_LIST(X) \
	X(SPAWN, "spawn") X(READY, "ready") X(TASK, "task") X(ACCEPT, "accept") X(BEGUN, "begun") \
	X(RESULT, "result") X(CANCEL, "cancel") X(DRAIN, "drain") X(KILL, "kill") X(REAPED, "reaped")
enum slot_event {
#define X(id, text) SLOT_EV_##id,
	SLOT_EVENT_LIST(X)
#undef X
	SLOT_EVENTS
};

const char *slot_state_name(enum slot_state state);
const char *slot_event_name(enum slot_event event);
/* Where the event leads; false (and *state as it was) if it has no meaning there: then it is
 * stale or a breach of protocol, and is dropped. */
bool slot_step(enum slot_state *state, enum slot_event event);
/* Does the worker hold a lease in this state? (KILLED may or may not: the pool knows.) */
bool slot_has_task(enum slot_state state);

#endif
