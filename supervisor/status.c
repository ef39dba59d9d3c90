/* status.c - the status document: the contract for scripts is in doc/, fields are only ever added. */
#include "super.h"

#include "../common/clock.h"
#include "../common/mem.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

/* R25: the four words, as the guide has them. */
const char *status_word(const struct super *super, uint32_t unit)
{
	const struct record *r = &super->units[unit].record;
	bool running = super->pool.pairings[unit].slot != POOL_NONE;

	if (r->ran && due_is_failure(r->rclass))
		return "Failure";
	if (r->first_done || r->success_ms > 0)
		return "Success";
	return r->started_ms > 0 || running ? "Initial Sync" : "Unknown";
}

/* R26 */
const char *status_state(const struct super *super, uint32_t unit)
{
	const struct unit *u = &super->units[unit];
	const struct pool_pairing *p = &super->pool.pairings[unit];

	if (p->slot != POOL_NONE)
		return "Synchronizing";
	if (u->record.stopped)
		return "Stopped";
	if (u->wants_credentials)
		return "Pending Credentials";
	return u->stop_error ? "Stopped" : "Active";
}

static json_t *time_json(int64_t wall_ms)
{
	char text[CLOCK_TEXT_MAX];

	return wall_ms > 0 ? json_string(clock_format_ms(wall_ms, text)) : json_null();
}

static json_t *mailbox_json(const struct conf_mailbox *m)
{
	return json_pack("{s:s, s:s}", "endpoint", m->endpoint->name, "mailbox", m->smtp_name);
}

static int64_t wall_of(int64_t mono_ms)
{
	return clock_wall_ms() + (mono_ms - clock_mono_ms());
}

static json_t *next_run(const struct super *super, uint32_t unit)
{
	int64_t at = pool_next_run(&super->pool, unit, clock_mono_ms());

	return at == DUE_NEVER || super->mode != POOL_SERVICE ? json_null() : time_json(wall_of(at));
}

/* result, code, reason and remedy; nulls before the first end of a task. */
static void set_outcome(json_t *object, const struct unit *u)
{
	const struct record *r = &u->record;
	char number[16];

	if (!r->ran) {
		bool pending = u->wants_credentials;

		json_object_set_new(object, "result", json_null());
		json_object_set_new(object, "code", json_null());
		json_object_set_new(object, "reason", pending ? json_string(code_text(E_CREDENTIALS_MISSING)) :
				    json_null());
		json_object_set_new(object, "remedy", pending ? json_string(code_remedy(E_CREDENTIALS_MISSING)) :
				    json_null());
		return;
	}
	snprintf(number, sizeof(number), "0x%08x", code_number(r->code));
	json_object_set_new(object, "result", json_string(rclass_name(r->rclass)));
	json_object_set_new(object, "code", json_string(number));
	json_object_set_new(object, "codeName", json_string(code_name(r->code)));
	/* a sentence may quote a server's bytes */
	json_t *reason = r->reason[0] != '\0' ? json_string(r->reason) : json_null();
	json_object_set_new(object, "reason", reason != NULL ? reason : json_string(code_text(r->code)));
	json_object_set_new(object, "remedy", code_remedy(r->code)[0] != '\0' ? json_string(code_remedy(r->code)) :
			    json_null());
}

#define RATE_FROM_MS 2000

/* Items done and to do. During a pass: its rate so far, and from it the time that is left; a first
 * pass counts on from the slices before it. */
static json_t *items_json(const struct super *super, uint32_t unit)
{
	const struct unit *u = &super->units[unit];
	const struct record *r = &u->record;
	bool live = super->pool.pairings[unit].slot != POOL_NONE && (u->live_done > 0 || u->live_todo > 0);
	int64_t ms = clock_mono_ms() - u->granted_ms;
	uint64_t per_minute = live && ms >= RATE_FROM_MS ? u->live_done * 60000 / (uint64_t)ms : 0;
	json_t *rate = json_null(), *left = json_null();

	if (per_minute > 0) {
		rate = json_integer((json_int_t)per_minute);
		left = json_integer((json_int_t)((u->live_todo * 60 + per_minute - 1) / per_minute));
	}
	return json_pack("{s:I, s:I, s:o, s:o}",
			 "done", (json_int_t)(r->done + (live && !r->first_done ? u->live_done : 0)),
			 "todo", (json_int_t)(live ? u->live_todo : r->todo),
			 "perMinute", rate, "secondsLeft", left);
}

static json_t *pairing_json(const struct super *super, uint32_t unit, const struct conf_pairing *p)
{
	const struct unit *u = &super->units[unit];
	const struct record *r = &u->record;
	json_t *o = json_pack("{s:s, s:o, s:o, s:s, s:s}", "name", p->name,
			      "left", mailbox_json(&p->mailbox[SIDE_LEFT]),
			      "right", mailbox_json(&p->mailbox[SIDE_RIGHT]),
			      "status", status_word(super, unit), "state", status_state(super, unit));

	json_object_set_new(o, "lastUpdated", time_json(r->updated_ms));
	json_object_set_new(o, "lastSuccess", time_json(r->success_ms));
	json_object_set_new(o, "nextRun", next_run(super, unit));
	set_outcome(o, u);
	json_object_set_new(o, "items", items_json(super, unit));
	json_object_set_new(o, "quarantined", json_integer((json_int_t)r->quarantined));
	json_object_set_new(o, "held", json_integer((json_int_t)r->held));
	json_object_set_new(o, "failures", json_integer((json_int_t)r->failures));
	return o;
}

static int64_t oldest_success(const struct super *super)
{
	int64_t oldest = 0;

	for (uint32_t i = 0; i < super->n_units; i++) {
		if (!super->units[i].used || !super->pool.pairings[i].used || super->pool.pairings[i].removed)
			continue;
		int64_t at = super->units[i].record.success_ms;
		if (at == 0)
			return 0;
		oldest = oldest == 0 || at < oldest ? at : oldest;
	}
	return oldest;
}

static json_t *pool_json(const struct super *super)
{
	const struct pool *pool = &super->pool;
	int64_t now = clock_mono_ms();

	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:o}", "slots", (int)pool->rules.workers,
			 "busy", (int)pool_busy(pool), "queue", (int)pool_queue(pool, now),
			 "logonFailures", (int)pool->logon_count, "threshold", (int)pool_threshold(pool),
			 "restarts", (int)pool->restarts,
			 "dispatchHeldUntil", pool->hold_until > now ? time_json(wall_of(pool->hold_until)) :
			 json_null());
}

static bool add_json(struct buf *out, json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (text != NULL)
		buf_add(out, text, strlen(text));
	mem_free(text);
	return text != NULL;
}

/* Pairing by pairing: ten thousand of them as one tree would be the largest thing in this process. */
static bool add_pairings(const struct super *super, struct buf *out)
{
	const struct conf *conf = super->version->conf;
	bool first = true, good = true;

	buf_add(out, "[", 1);
	for (size_t i = 0; good && i < conf->n_pairings; i++) {
		uint32_t unit = unit_find(super, conf->pairings[i].name);

		if (unit == POOL_NONE)
			continue;
		if (!first)
			buf_add(out, ",", 1);
		first = false;
		good = add_json(out, pairing_json(super, unit, &conf->pairings[i]));
	}
	buf_add(out, "]", 1);
	return good;
}

char *status_text(const struct super *super)
{
	json_t *pid = super->mode == POOL_REQUEST ? json_null() : json_integer(getpid());
	json_t *started = super->mode == POOL_REQUEST ? json_null() : time_json(super->started_ms);
	struct buf out;
	bool good;

	buf_init(&out, (size_t)1 << 30);
	good = add_json(&out, json_pack("{s:i, s:{s:o, s:o, s:I, s:o}, s:o}", "version", 1, "service", "pid", pid,
			"startedAt", started, "configGeneration", (json_int_t)super->version->conf->generation,
			"oldestSuccess", time_json(oldest_success(super)), "pool", pool_json(super)));
	if (good) {
		out.n--;                 /* the brace: one member more */
		buf_add(&out, ",\"pairings\":", strlen(",\"pairings\":"));
		good = add_pairings(super, &out);
		buf_add(&out, "}", 1);
	}
	(void)buf_str(&out);             /* ends it */
	if (good && buf_check(&out, E_INTERNAL, "the status", NULL) == E_OK)
		return out.p;
	buf_free(&out);
	return NULL;
}
