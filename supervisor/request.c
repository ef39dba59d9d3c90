/* request.c - what operators ask for: a table of commands. plan and verify are tasks of the pool;
 * their answer is kept until the worker's RESULT says that it is whole.
 */
#include "super.h"

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"

#include <jansson.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

enum {
	EXIT_FINE = 0, EXIT_FAIL = 1, EXIT_CONF = 2, EXIT_UNKNOWN = 3, EXIT_NEEDS_SERVICE = 69,
};
#define PARTS_MAX ((size_t)128 * 1024 * 1024)
#define VERIFY_IMPOSSIBLE 2

struct ask *request_ask(struct super *super, uint64_t id)
{
	for (size_t i = 0; i < POOL_JOBS_MAX; i++) {
		if (super->asks[i].id == id && id != 0)
			return &super->asks[i];
	}
	return NULL;
}

static void done(struct super *super, uint32_t client, int exit_code, const char *error)
{
	control_done(super->control, client, exit_code, error);
}

/* The pairing that args name; answers by itself if there is none. */
static uint32_t wanted(struct super *super, uint32_t client, const json_t *args)
{
	const char *name = json_string_value(json_object_get(args, "pairing"));
	uint32_t unit = name != NULL ? unit_find(super, name) : POOL_NONE;
	char text[160];

	if (unit != POOL_NONE && !super->pool.pairings[unit].removed)
		return unit;
	snprintf(text, sizeof(text), "there is no pairing '%.64s'", name != NULL ? name : "");
	done(super, client, EXIT_UNKNOWN, text);
	return POOL_NONE;
}

static void cmd_status(struct super *super, uint32_t client, const json_t *args)
{
	char *text = status_text(super);

	(void)args;
	if (text == NULL) {
		done(super, client, EXIT_FAIL, "the status cannot be written as JSON");
		return;
	}
	control_part(super->control, client, span_of(text));
	mem_free(text);
	done(super, client, EXIT_FINE, NULL);
}

static void cmd_sync(struct super *super, uint32_t client, const json_t *args)
{
	uint32_t unit;

	if (super->mode == POOL_REQUEST) {
		done(super, client, EXIT_NEEDS_SERVICE, "no supervisor runs; start it, or use mailshadowd --once");
		return;
	}
	if (json_object_get(args, "pairing") == NULL) {
		for (uint32_t i = 0; i < super->n_units; i++) {
			if (super->units[i].used && super->pool.pairings[i].used)
				pool_wake(&super->pool, i, clock_mono_ms());
		}
		done(super, client, EXIT_FINE, NULL);
		return;
	}
	unit = wanted(super, client, args);
	if (unit == POOL_NONE)
		return;
	if (pool_wake(&super->pool, unit, clock_mono_ms()))
		done(super, client, EXIT_FINE, NULL);
	else
		done(super, client, EXIT_FAIL, "a person must act first: see 'mailshadow status'");
}

static void ask_job(struct super *super, uint32_t client, const json_t *args, enum wire_kind kind)
{
	uint32_t unit = wanted(super, client, args);

	if (unit == POOL_NONE)
		return;
	for (size_t i = 0; i < POOL_JOBS_MAX; i++) {
		struct ask *ask = &super->asks[i];

		if (ask->id != 0)
			continue;
		if (!pool_ask(&super->pool, unit, kind, super->last_ask + 1))
			break;
		ask->id = ++super->last_ask;
		ask->client = client;
		ask->pairing = unit;
		ask->kind = kind;
		ask->subjects = json_is_true(json_object_get(args, "subjects"));
		buf_init(&ask->parts, PARTS_MAX);
		return;
	}
	done(super, client, EXIT_TEMPORARY, "too many requests at once; try again later");
}

static void cmd_plan(struct super *super, uint32_t client, const json_t *args)
{
	ask_job(super, client, args, WIRE_PLAN);
}

static void cmd_verify(struct super *super, uint32_t client, const json_t *args)
{
	ask_job(super, client, args, WIRE_VERIFY);
}

static void cmd_reload(struct super *super, uint32_t client, const json_t *args)
{
	struct err err = ERR_INIT;

	(void)args;
	if (super->mode != POOL_SERVICE) {
		done(super, client, EXIT_NEEDS_SERVICE, "no supervisor runs as a service");
		return;
	}
	sd_notify(0, "RELOADING=1");
	enum code rc = reload_again(super, &err);
	sd_notify(0, "READY=1");
	done(super, client, rc == E_OK ? EXIT_FINE : EXIT_CONF, rc == E_OK ? NULL : err_text(&err));
}

static const struct {
	const char *name;
	void (*run)(struct super *super, uint32_t client, const json_t *args);
} commands[] = {
	{ "status", cmd_status }, { "sync", cmd_sync }, { "plan", cmd_plan }, { "verify", cmd_verify },
	{ "reload", cmd_reload },
};

void request_line(void *ctx, uint32_t client, struct span line)
{
	struct super *super = ctx;
	json_t *json = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
	const char *cmd = json_string_value(json_object_get(json, "cmd"));

	for (size_t i = 0; cmd != NULL && i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, cmd) != 0)
			continue;
		commands[i].run(super, client, json_object_get(json, "args"));
		json_decref(json);
		return;
	}
	json_decref(json);
	done(super, client, EXIT_CONF, cmd != NULL ? "there is no such request" :
	     "a request is one line of JSON: {\"cmd\": ..., \"args\": {...}}");
}

static void forget(struct ask *ask)
{
	buf_free(&ask->parts);
	ask->id = 0;
}

void request_gone(void *ctx, uint32_t client)
{
	struct super *super = ctx;

	for (size_t i = 0; i < POOL_JOBS_MAX; i++) {
		struct ask *ask = &super->asks[i];

		if (ask->id == 0 || ask->client != client)
			continue;
		pool_unask(&super->pool, ask->id, clock_mono_ms());
		forget(ask);
	}
}

/* A verification that could not be made still has its document. */
static void send_incomplete(struct super *super, const struct ask *ask, const char *reason)
{
	json_t *json = json_pack("{s:i, s:s, s:s, s:s, s:[]}", "version", 1, "pairing",
				 super->units[ask->pairing].record.name, "verdict", "incomplete", "reason", reason,
				 "folders");
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

	if (text != NULL)
		control_part(super->control, ask->client, span_of(text));
	mem_free(text);
	json_decref(json);
}

void request_ended(struct super *super, const struct pool_action *a)
{
	struct ask *ask = request_ask(super, a->job_id);
	const struct worker *w = a->slot != POOL_NONE ? &super->workers[a->slot] : NULL;
	bool whole = a->cause == POOL_BY_RESULT && w != NULL && w->has_result &&
		     (a->rclass == RC_OK || a->rclass == RC_HELD);
	char reason[600];

	if (ask == NULL)
		return;
	snprintf(reason, sizeof(reason), "pairing %s: %s", super->units[a->pairing].record.name,
		 w != NULL && w->has_result && w->result_text[0] != '\0' ? w->result_text :
		 a->cause == POOL_BY_DEATH ? "the worker ended unexpectedly; look at its log" :
		 a->cause == POOL_BY_STILLBIRTH ? "no worker came to life; look at the worker's log" :
		 a->cause == POOL_BY_REMOVAL ? "it was removed" : rclass_name(a->rclass));
	whole = whole && buf_check(&ask->parts, E_INTERNAL, "the answer", NULL) == E_OK;
	if (whole)
		control_part(super->control, ask->client, buf_span(&ask->parts));
	if (ask->kind == WIRE_VERIFY) {
		if (!whole)
			send_incomplete(super, ask, reason);
		done(super, ask->client, whole ? w->result.verdict : VERIFY_IMPOSSIBLE, whole ? NULL : reason);
	} else {
		done(super, ask->client, whole ? EXIT_FINE : EXIT_FAIL, whole ? NULL : reason);
	}
	forget(ask);
}
