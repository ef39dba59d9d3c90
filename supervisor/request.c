/* request.c - what operators ask for: a table of commands. plan and verify are tasks of the pool;
 * their answer is kept until the worker's RESULT says that it is whole.
 */
#include "super.h"

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"

#include <jansson.h>
#include <stdio.h>


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
	const char *near;
	char text[256];

	if (unit != POOL_NONE && !super->pool.pairings[unit].removed)
		return unit;
	near = name != NULL ? conf_near_pairing(super->version->conf, name) : NULL;
	snprintf(text, sizeof(text), "there is no pairing '%.64s'%s%s%s", name != NULL ? name : "",
		 near != NULL ? "; did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "");
	done(super, client, EXIT_UNKNOWN, text);
	return POOL_NONE;
}

/* --- documents --- */

static void send_document(struct super *super, uint32_t client, char *text)
{
	if (text != NULL)
		control_part(super->control, client, span_of(text));
	done(super, client, text != NULL ? EXIT_FINE : EXIT_FAIL,
	     text != NULL ? NULL : "the answer cannot be written as JSON");
	mem_free(text);
}

static void cmd_status(struct super *super, uint32_t client, const json_t *args)
{
	(void)args;
	send_document(super, client, status_text(super));
}

static void cmd_metrics(struct super *super, uint32_t client, const json_t *args)
{
	(void)args;
	send_document(super, client, figures_text(super));
}

/* --- what is done to a pairing --- */

static struct ask *free_ask(struct super *super)
{
	for (size_t i = 0; i < POOL_JOBS_MAX; i++)
		if (super->asks[i].id == 0)
			return &super->asks[i];
	return NULL;
}

typedef bool operation(struct super *super, uint32_t unit, char *text, size_t size);

static void operate(struct super *super, uint32_t client, const json_t *args, operation *op)
{
	uint32_t unit = wanted(super, client, args);
	char text[400] = "";

	if (unit == POOL_NONE)
		return;
	bool good = op(super, unit, text, sizeof(text));
	if (good)
		control_part(super->control, client, span_of(text));
	done(super, client, good ? EXIT_FINE : EXIT_FAIL, good ? NULL : text);
}

/* Answered by request_pass_ended(). */
static void sync_and_wait(struct super *super, uint32_t client, const json_t *args)
{
	uint32_t unit = wanted(super, client, args);
	struct ask *ask = unit != POOL_NONE ? free_ask(super) : NULL;
	char text[400] = "too many requests at once; try again later";

	if (unit == POOL_NONE)
		return;
	bool runs = super->pool.pairings[unit].slot != POOL_NONE;
	if (ask == NULL || !operate_sync(super, unit, text, sizeof(text))) {
		done(super, client, ask == NULL ? EXIT_TEMPORARY : EXIT_FAIL, text);
		return;
	}
	*ask = (struct ask){ .id = ++super->last_ask, .client = client, .pairing = unit, .kind = WIRE_SYNC,
			     .passes = runs ? 2 : 1 };
}

static void cmd_sync(struct super *super, uint32_t client, const json_t *args)
{
	if (json_is_true(json_object_get(args, "wait"))) {
		sync_and_wait(super, client, args);
		return;
	}
	if (json_object_get(args, "pairing") != NULL) {
		operate(super, client, args, operate_sync);
		return;
	}
	for (uint32_t i = 0; i < super->n_units; i++) {
		if (super->units[i].used && super->pool.pairings[i].used)
			pool_wake(&super->pool, i, clock_mono_ms());
	}
	done(super, client, EXIT_FINE, NULL);
}

static void cmd_stop(struct super *super, uint32_t client, const json_t *args)
{
	operate(super, client, args, operate_stop);
}

static void cmd_start(struct super *super, uint32_t client, const json_t *args)
{
	operate(super, client, args, operate_start);
}

static void cmd_resume(struct super *super, uint32_t client, const json_t *args)
{
	operate(super, client, args, operate_resume);
}

/* --- jobs --- */

/* False: the item's name is not one. */
static bool fill_ask(struct ask *ask, const json_t *args, enum wire_kind kind)
{
	const char *item = json_string_value(json_object_get(args, "item"));
	json_int_t limit = json_integer_value(json_object_get(args, "limit"));

	ask->kind = kind;
	ask->subjects = json_is_true(json_object_get(args, "subjects"));
	ask->options = json_is_true(json_object_get(args, "retry")) ? WIRE_OPT_RETRY : 0;
	ask->options |= json_is_true(json_object_get(args, "discard")) ? WIRE_OPT_DISCARD : 0;
	ask->limit = limit > 0 && limit < UINT32_MAX ? (uint32_t)limit : 0;
	return snprintf(ask->item, sizeof(ask->item), "%s", item != NULL ? item : "") < (int)sizeof(ask->item);
}

static void ask_job(struct super *super, uint32_t client, const json_t *args, enum wire_kind kind)
{
	uint32_t unit = wanted(super, client, args);

	if (unit == POOL_NONE)
		return;
	struct ask *ask = free_ask(super);
	if (ask != NULL && !fill_ask(ask, args, kind)) {
		done(super, client, EXIT_CONF, "the item's name is longer than 1024 bytes");
		return;
	}
	if (ask == NULL || !pool_ask(&super->pool, unit, kind, super->last_ask + 1)) {
		done(super, client, EXIT_TEMPORARY, "too many requests at once; try again later");
		return;
	}
	ask->id = ++super->last_ask;
	ask->client = client;
	ask->pairing = unit;
	buf_init(&ask->parts, PARTS_MAX);
}

static void cmd_reload(struct super *super, uint32_t client, const json_t *args)
{
	(void)args;
	reload_ask(super, client);
}

/* A request is carried out here (run), or by a worker as a task of that kind. */
static const struct command {
	const char *name;
	bool service;                /* only a running service can do it */
	void (*run)(struct super *super, uint32_t client, const json_t *args);
	enum wire_kind kind;
} commands[] = {
	{ "status", false, cmd_status, WIRE_KINDS },
	{ "metrics", false, cmd_metrics, WIRE_KINDS },
	{ "sync", true, cmd_sync, WIRE_KINDS },
	{ "stop", true, cmd_stop, WIRE_KINDS },
	{ "start", true, cmd_start, WIRE_KINDS },
	{ "resume", true, cmd_resume, WIRE_KINDS },
	{ "reload", true, cmd_reload, WIRE_KINDS },
	{ "plan", false, NULL, WIRE_PLAN },
	{ "verify", false, NULL, WIRE_VERIFY },
	{ "test", false, NULL, WIRE_TEST },
	{ "addresses", false, NULL, WIRE_ADDRESSES },
	{ "quarantine", false, NULL, WIRE_QUARANTINE },
	{ "release", true, NULL, WIRE_RELEASE },
	{ "journal", false, NULL, WIRE_JOURNAL },
	{ "explain", false, NULL, WIRE_EXPLAIN },
};

static void run_command(struct super *super, uint32_t client, const struct command *c, const json_t *args)
{
	if (c->service && super->mode != POOL_SERVICE)
		done(super, client, EXIT_NEEDS_SERVICE,
		     "no supervisor runs as a service; start it, or use mailshadowd --once");
	else if (c->run != NULL)
		c->run(super, client, args);
	else
		ask_job(super, client, args, c->kind);
}

void request_line(void *ctx, uint32_t client, struct span line)
{
	struct super *super = ctx;
	json_t *json = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
	const char *cmd = json_string_value(json_object_get(json, "cmd"));

	for (size_t i = 0; cmd != NULL && i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, cmd) != 0)
			continue;
		run_command(super, client, &commands[i], json_object_get(json, "args"));
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

	reload_gone(super, client);
	for (size_t i = 0; i < POOL_JOBS_MAX; i++) {
		struct ask *ask = &super->asks[i];

		if (ask->id == 0 || ask->client != client)
			continue;
		if (ask->kind != WIRE_SYNC)
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

/* What was decided is carried out by the next pass: now. */
static void follow_up(struct super *super, const struct ask *ask)
{
	if (ask->kind == WIRE_RELEASE || (ask->kind == WIRE_QUARANTINE && ask->options != 0))
		pool_wake(&super->pool, ask->pairing, clock_mono_ms());
}

static int exit_of(const struct ask *ask, const struct worker *w, bool whole)
{
	bool verdict = ask->kind == WIRE_VERIFY || ask->kind == WIRE_EXPLAIN || ask->kind == WIRE_TEST ||
		       ask->kind == WIRE_ADDRESSES;

	if (whole)
		return verdict ? w->result.verdict : EXIT_FINE;
	return ask->kind == WIRE_VERIFY ? VERIFY_IMPOSSIBLE : EXIT_FAIL;
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
	else if (ask->kind == WIRE_VERIFY)
		send_incomplete(super, ask, reason);
	if (whole)
		follow_up(super, ask);
	done(super, ask->client, exit_of(ask, w, whole), whole ? NULL : reason);
	forget(ask);
}

void request_pass_ended(struct super *super, const struct pool_action *a)
{
	const struct record *r = &super->units[a->pairing].record;
	char text[600];

	snprintf(text, sizeof(text), "%s%s%s", rclass_name(a->rclass), r->reason[0] != '\0' ? ": " : "", r->reason);
	for (size_t i = 0; i < POOL_JOBS_MAX; i++) {
		struct ask *ask = &super->asks[i];

		if (ask->id == 0 || ask->kind != WIRE_SYNC || ask->pairing != a->pairing || --ask->passes > 0)
			continue;
		if (a->rclass == RC_OK)
			control_part(super->control, ask->client, span_of(text));
		done(super, ask->client, a->rclass == RC_OK ? EXIT_FINE : EXIT_FAIL, a->rclass == RC_OK ? NULL : text);
		forget(ask);
	}
}
