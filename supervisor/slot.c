/* slot.c - the table of slot.h. Test: t_slot.c. */
#include "slot.h"

const char *slot_state_name(enum slot_state state)
{
	static const char *const names[SLOT_STATES] = {
#define X(id, text) [SLOT_##id] = text,
		SLOT_STATE_LIST(X)
#undef X
	};

	return names[state];
}

const char *slot_event_name(enum slot_event event)
{
	static const char *const names[SLOT_EVENTS] = {
#define X(id, text) [SLOT_EV_##id] = text,
		SLOT_EVENT_LIST(X)
#undef X
	};

	return names[event];
}

#define TO(state) ((signed char)(SLOT_##state + 1))      /* 0 = no meaning there */
static const signed char table[SLOT_STATES][SLOT_EVENTS] = {
	[SLOT_FREE] = { [SLOT_EV_SPAWN] = TO(SPAWNING) },
	[SLOT_SPAWNING] = { [SLOT_EV_READY] = TO(IDLE), [SLOT_EV_KILL] = TO(KILLED),
			    [SLOT_EV_REAPED] = TO(FREE) },
	[SLOT_IDLE] = { [SLOT_EV_TASK] = TO(ASSIGNED), [SLOT_EV_DRAIN] = TO(DRAINING),
			[SLOT_EV_KILL] = TO(KILLED), [SLOT_EV_REAPED] = TO(FREE) },
	[SLOT_ASSIGNED] = { [SLOT_EV_ACCEPT] = TO(ACCEPTED), [SLOT_EV_CANCEL] = TO(CANCELLING),
			    [SLOT_EV_KILL] = TO(KILLED), [SLOT_EV_REAPED] = TO(FREE) },
	[SLOT_ACCEPTED] = { [SLOT_EV_BEGUN] = TO(BUSY), [SLOT_EV_RESULT] = TO(IDLE),
			    [SLOT_EV_CANCEL] = TO(CANCELLING), [SLOT_EV_KILL] = TO(KILLED),
			    [SLOT_EV_REAPED] = TO(FREE) },
	[SLOT_BUSY] = { [SLOT_EV_RESULT] = TO(IDLE), [SLOT_EV_CANCEL] = TO(CANCELLING),
			[SLOT_EV_KILL] = TO(KILLED), [SLOT_EV_REAPED] = TO(FREE) },
	[SLOT_CANCELLING] = { [SLOT_EV_ACCEPT] = TO(CANCELLING), [SLOT_EV_BEGUN] = TO(CANCELLING),
			      [SLOT_EV_RESULT] = TO(IDLE), [SLOT_EV_KILL] = TO(KILLED),
			      [SLOT_EV_REAPED] = TO(FREE) },
	[SLOT_DRAINING] = { [SLOT_EV_KILL] = TO(KILLED), [SLOT_EV_REAPED] = TO(FREE) },
	[SLOT_KILLED] = { [SLOT_EV_REAPED] = TO(FREE) },
};

bool slot_step(enum slot_state *state, enum slot_event event)
{
	signed char next = table[*state][event];

	if (next == 0)
		return false;
	*state = (enum slot_state)(next - 1);
	return true;
}

bool slot_has_task(enum slot_state state)
{
	return state == SLOT_ASSIGNED || state == SLOT_ACCEPTED || state == SLOT_BUSY ||
	       state == SLOT_CANCELLING;
}
