/* operate.c - what an operator does to a pairing: due now, off, on, and again after a stop error.
 *
 * Off and on are part of the pairing's record and durable before the answer, so they survive a
 * restart. What makes no sense is refused with a sentence that says what does.
 */
#include "super.h"

#include "../common/clock.h"
#include "../common/log.h"

#include <stdio.h>

static const char *name_of(const struct super *super, uint32_t unit)
{
	return super->units[unit].record.name;
}

static uint32_t out_of(const struct super *super, uint32_t unit)
{
	return super->pool.pairings[unit].out;
}

/* Why it does not run by itself, and what to do; `text` stays as it is if nothing is in the way. */
static bool in_the_way(const struct super *super, uint32_t unit, char *text, size_t size)
{
	const struct unit *u = &super->units[unit];
	const char *name = name_of(super, unit);

	if (u->record.stopped)
		snprintf(text, size, "%s is stopped: mailshadow start %s", name, name);
	else if (out_of(super, unit) & POOL_PENDING)
		snprintf(text, size, "%s has no credentials: %s, then mailshadow reload", name,
			 code_remedy(E_CREDENTIALS_MISSING));
	else if (out_of(super, unit) & POOL_STOP_ERROR)
		snprintf(text, size, "%s waits after %s: %s (mailshadow resume %s)", name, code_name(u->record.code),
			 code_remedy(u->record.code), name);
	else
		return false;
	return true;
}

/* The record as it is now, on disk; else everything as it was. */
static bool keep(struct super *super, uint32_t unit, bool stopped, char *text, size_t size)
{
	struct unit *u = &super->units[unit];
	struct err err = ERR_INIT;
	bool before = u->record.stopped;

	u->record.stopped = stopped;
	unit_touch(super, unit);
	if (dispatch_commit(super, &err) == E_OK)
		return true;
	u->record.stopped = before;
	snprintf(text, size, "scheduler.db: %s", err_text(&err));
	return false;
}

bool operate_sync(struct super *super, uint32_t unit, char *text, size_t size)
{
	if (in_the_way(super, unit, text, size))
		return false;
	snprintf(text, size, "%s", super->pool.pairings[unit].slot != POOL_NONE ?
		 "a pass runs; another one follows" : "due now");
	return pool_wake(&super->pool, unit, clock_mono_ms());
}

bool operate_stop(struct super *super, uint32_t unit, char *text, size_t size)
{
	bool runs = super->pool.pairings[unit].slot != POOL_NONE;

	if (super->units[unit].record.stopped) {
		snprintf(text, size, "%s is stopped already", name_of(super, unit));
		return false;
	}
	if (!keep(super, unit, true, text, size))
		return false;
	pool_stop(&super->pool, unit, clock_mono_ms());
	log_info("pairing %s: stopped by an operator", name_of(super, unit));
	snprintf(text, size, "%s", runs ? "stopped; the pass in hand ends at its next safe point" : "stopped");
	return true;
}

bool operate_start(struct super *super, uint32_t unit, char *text, size_t size)
{
	if (!super->units[unit].record.stopped) {
		if (!in_the_way(super, unit, text, size))
			snprintf(text, size, "%s is not stopped", name_of(super, unit));
		return false;
	}
	if (!keep(super, unit, false, text, size))
		return false;
	log_info("pairing %s: started by an operator", name_of(super, unit));
	if (pool_start(&super->pool, unit, clock_mono_ms()) || !in_the_way(super, unit, text, size))
		snprintf(text, size, "started, due now");
	return true;
}

bool operate_resume(struct super *super, uint32_t unit, char *text, size_t size)
{
	struct unit *u = &super->units[unit];
	uint32_t out = out_of(super, unit);

	if (u->record.stopped || (out & POOL_PENDING)) {
		in_the_way(super, unit, text, size);
		return false;
	}
	if (!(out & POOL_STOP_ERROR)) {
		snprintf(text, size, "%s is under no stop error; to run it now: mailshadow sync %s",
			 name_of(super, unit), name_of(super, unit));
		return false;
	}
	u->stop_error = u->wants_credentials = false;
	log_info("pairing %s: resumed by an operator", name_of(super, unit));
	snprintf(text, size, "resumed, due now");
	return pool_resume(&super->pool, unit, clock_mono_ms());
}
