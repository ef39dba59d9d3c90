/* expo.c - see expo.h. Three tables say everything: single figures, objects whose keys become
 * labels, histograms. Test: t_metrics_expo.c, and tests/e2e/test_metrics.py against a real pool.
 */
#include "expo.h"

#include <jansson.h>

enum unit { PLAIN, SECONDS };    /* SECONDS: the document has milliseconds */

static const struct {
	const char *group, *key, *name, *type;
	enum unit unit;
	const char *help;
} singles[] = {
	{ "service", "startedMs", "start_time_seconds", "gauge", SECONDS, "When the supervisor started, Unix time" },
	{ "service", "configGeneration", "config_generation", "gauge", PLAIN,
	  "Rises with each configuration that was taken over" },
	{ "service", "staleMessages", "stale_messages_total", "counter", PLAIN,
	  "Messages of workers that came too late or from nobody known" },
	{ "pairings", "count", "pairings", "gauge", PLAIN, "Configured pairings" },
	{ "pairings", "withoutSuccess", "pairings_without_success", "gauge", PLAIN,
	  "Pairings, not stopped by an operator, that never had a successful pass" },
	{ "pairings", "inQuarantine", "pairings_in_quarantine", "gauge", PLAIN,
	  "Pairings that are left alone because their workers crashed" },
	{ "pairings", "withHeldItems", "pairings_with_held_items", "gauge", PLAIN,
	  "Pairings with a batch that waits for a person" },
	{ "pairings", "heldItems", "held_items", "gauge", PLAIN, "Changes that wait for a person, over all pairings" },
	{ "pairings", "quarantinedItems", "quarantined_items", "gauge", PLAIN,
	  "Items that a server refused and that are tried again later" },
	{ "pairings", "oldestSuccessAgeMs", "oldest_success_age_seconds", "gauge", SECONDS,
	  "Time since the last success of the pairing whose last success is longest ago" },
	{ "pool", "slots", "worker_slots", "gauge", PLAIN, "Pairings that may be worked on at a time" },
	{ "pool", "busy", "workers_busy", "gauge", PLAIN, "Slots with a worker" },
	{ "pool", "syncable", "pairings_syncable", "gauge", PLAIN, "Pairings that take part" },
	{ "pool", "queue", "queue_length", "gauge", PLAIN, "Due pairings that wait for a worker" },
	{ "pool", "latenessMs", "queue_lateness_seconds", "gauge", SECONDS,
	  "How long the pairing that waits longest has been due" },
	{ "pool", "logonFailures", "logon_failures_in_a_row", "gauge", PLAIN,
	  "Refused logons since the last good one" },
	{ "pool", "threshold", "logon_failures_threshold", "gauge", PLAIN,
	  "As many refused logons in a row restart the pool" },
	{ "pool", "restarts", "pool_restarts_total", "counter", PLAIN, "Restarts of the pool" },
	{ "pool", "dispatchHeldMs", "dispatch_hold_seconds", "gauge", SECONDS,
	  "For how long no task is handed out, after restarts of the pool in a row" },
	{ "throttled", "count", "throttled_total", "counter", PLAIN, "Passes that a server asked to slow down" },
	{ "throttled", "waitMs", "throttle_wait_seconds_total", "counter", SECONDS, "Waits that servers asked for" },
	{ "workers", "started", "workers_started_total", "counter", PLAIN, "Worker processes started" },
	{ "workers", "killed", "workers_killed_total", "counter", PLAIN, "Worker processes killed: they stood still" },
	{ "workers", "died", "workers_died_total", "counter", PLAIN,
	  "Worker processes that ended by themselves with an error" },
};

static const struct {
	const char *group, *inner, *name, *type, *label, *help;
} maps[] = {
	{ "pairings", "status", "pairings_by_status", "gauge", "status", "Pairings by the word in the column Status" },
	{ "pairings", "state", "pairings_by_state", "gauge", "state", "Pairings by the word in the column State" },
	{ NULL, "passes", "passes_total", "counter", "result", "Ended tasks of the schedule by result" },
	{ NULL, "logons", "logons_total", "counter", "outcome", "Logons of workers on mail systems" },
	{ NULL, "reloads", "reloads_total", "counter", "outcome", "Reloads of the configuration" },
};

static const struct {
	const char *key, *name, *help;
} histograms[] = {
	{ "duration", "pass_duration_seconds", "From handing out a task of the schedule to its result" },
	{ "lateness", "start_lateness_seconds", "From a pairing being due to its task being handed out" },
};

static const char *const changes[] = { "created", "changed", "moved", "removed", "adopted" };

/* --- lines --- */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP mailshadow_%s %s\n# TYPE mailshadow_%s %s\n", name, help, name, type);
}

static void add_number(struct buf *out, json_int_t value, enum unit unit)
{
	if (unit == SECONDS)
		buf_printf(out, " %lld.%03lld\n", (long long)(value / 1000), (long long)(value % 1000));
	else
		buf_printf(out, " %lld\n", (long long)value);
}

/* The format has three characters to escape in a label's value. */
static void add_label(struct buf *out, const char *label, const char *value)
{
	buf_printf(out, "{%s=\"", label);
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			buf_add_str(out, "\\n");
		else if (*value == '"' || *value == '\\')
			buf_printf(out, "\\%c", *value);
		else
			buf_add_char(out, *value);
	}
	buf_add_str(out, "\"}");
}

static void sample(struct buf *out, const char *name, const char *label, const char *value, json_int_t number)
{
	buf_printf(out, "mailshadow_%s", name);
	if (label != NULL)
		add_label(out, label, value);
	add_number(out, number, PLAIN);
}

/* --- families --- */

static void add_singles(struct buf *out, const json_t *root)
{
	for (size_t i = 0; i < ARRAY_LEN(singles); i++) {
		const json_t *value = json_object_get(json_object_get(root, singles[i].group), singles[i].key);

		if (!json_is_integer(value))
			continue;        /* null: there is no such figure now */
		head(out, singles[i].name, singles[i].type, singles[i].help);
		buf_printf(out, "mailshadow_%s", singles[i].name);
		add_number(out, json_integer_value(value), singles[i].unit);
	}
}

static void add_maps(struct buf *out, const json_t *root)
{
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		json_t *from = maps[i].group != NULL ? json_object_get(root, maps[i].group) : NULL;
		json_t *map = json_object_get(maps[i].group != NULL ? from : root, maps[i].inner), *value;
		const char *key;

		head(out, maps[i].name, maps[i].type, maps[i].help);
		json_object_foreach(map, key, value)
			sample(out, maps[i].name, maps[i].label, key, json_integer_value(value));
	}
}

/* Prometheus wants each bucket to hold those below it as well. */
static void add_histogram(struct buf *out, const char *name, const char *help, const json_t *h)
{
	const json_t *bounds = json_object_get(h, "boundsMs"), *counts = json_object_get(h, "counts");
	json_int_t sum = 0;

	head(out, name, "histogram", help);
	for (size_t i = 0; i < json_array_size(bounds); i++) {
		json_int_t bound = json_integer_value(json_array_get(bounds, i));

		sum += json_integer_value(json_array_get(counts, i));
		buf_printf(out, "mailshadow_%s_bucket{le=\"%g\"} %lld\n", name, (double)bound / 1000, (long long)sum);
	}
	sum = json_integer_value(json_object_get(h, "count"));
	buf_printf(out, "mailshadow_%s_bucket{le=\"+Inf\"} %lld\nmailshadow_%s_sum", name, (long long)sum, name);
	add_number(out, json_integer_value(json_object_get(h, "sumMs")), SECONDS);
	buf_printf(out, "mailshadow_%s_count %lld\n", name, (long long)sum);
}

static void add_work(struct buf *out, const json_t *work)
{
	static const char *const sides[] = { "left", "right" };

	head(out, "changes_total", "counter", "Changes that passes made or only recorded (adopted), by kind");
	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		sample(out, "changes_total", "change", changes[i],
		       json_integer_value(json_object_get(work, changes[i])));
	head(out, "written_items_total", "counter", "Items written, by the side that was written to");
	for (size_t i = 0; i < ARRAY_LEN(sides); i++)
		sample(out, "written_items_total", "side", sides[i],
		       json_integer_value(json_object_get(json_object_get(work, sides[i]), "items")));
	head(out, "written_bytes_total", "counter", "Bytes of messages created, by the side that was written to");
	for (size_t i = 0; i < ARRAY_LEN(sides); i++)
		sample(out, "written_bytes_total", "side", sides[i],
		       json_integer_value(json_object_get(json_object_get(work, sides[i]), "bytes")));
}

static void add_memory(struct buf *out, const json_t *memory)
{
	static const char name[] = "worker_peak_memory_bytes";

	if (json_array_size(memory) == 0)
		return;
	head(out, name, "gauge", "Largest memory of the slot's last worker that told it");
	for (size_t i = 0; i < json_array_size(memory); i++) {
		const json_t *one = json_array_get(memory, i);

		buf_printf(out, "mailshadow_%s{slot=\"%lld\"} %lld\n", name,
			   (long long)json_integer_value(json_object_get(one, "slot")),
			   (long long)json_integer_value(json_object_get(one, "peakBytes")));
	}
}

static json_t *load(struct span json, const char *what, struct err *err)
{
	json_t *root = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, NULL);

	if (json_integer_value(json_object_get(root, "version")) == 1)
		return root;
	json_decref(root);
	err_set(err, E_PROTOCOL, "the supervisor's %s is no document of version 1", what);
	return NULL;
}

void expo_up(struct buf *out, bool up)
{
	head(out, "up", "gauge", "Whether the supervisor answered");
	sample(out, "up", NULL, NULL, up);
}

enum code expo_figures(struct buf *out, struct span json, struct err *err)
{
	json_t *root = load(json, "answer to 'metrics'", err);
	const char *version = json_string_value(json_object_get(json_object_get(root, "service"), "version"));

	if (root == NULL)
		return E_PROTOCOL;
	head(out, "build_info", "gauge", "Always 1; the version of the supervisor is the label");
	sample(out, "build_info", "version", version != NULL ? version : "", 1);
	add_singles(out, root);
	add_maps(out, root);
	for (size_t i = 0; i < ARRAY_LEN(histograms); i++)
		add_histogram(out, histograms[i].name, histograms[i].help, json_object_get(root, histograms[i].key));
	add_work(out, json_object_get(root, "work"));
	add_memory(out, json_object_get(json_object_get(root, "workers"), "memory"));
	json_decref(root);
	return E_OK;
}

/* --- one series per pairing --- */

static json_int_t failed(const json_t *row)
{
	const char *status = json_string_value(json_object_get(row, "status"));

	return status != NULL && strcmp(status, "Failure") == 0;
}

static json_int_t at(const json_t *row, const char *group, const char *key)
{
	return json_integer_value(json_object_get(group != NULL ? json_object_get(row, group) : row, key));
}

static const struct {
	const char *name, *group, *key, *help;
} per_pairing[] = {
	{ "pairing_failing", NULL, NULL, "1 if the last pass of the pairing failed" },
	{ "pairing_items_todo", "items", "todo", "Items that the pairing has still to carry over" },
	{ "pairing_held_items", NULL, "held", "Changes of the pairing that wait for a person" },
	{ "pairing_quarantined_items", NULL, "quarantined", "Items of the pairing that a server refused" },
	{ "pairing_failures_in_a_row", NULL, "failures", "Failed passes of the pairing since its last success" },
};

enum code expo_pairings(struct buf *out, struct span json, struct err *err)
{
	json_t *root = load(json, "status", err);
	const json_t *rows = json_object_get(root, "pairings");

	if (root == NULL)
		return E_PROTOCOL;
	for (size_t i = 0; i < ARRAY_LEN(per_pairing) && json_array_size(rows) > 0; i++) {
		head(out, per_pairing[i].name, "gauge", per_pairing[i].help);
		for (size_t r = 0; r < json_array_size(rows); r++) {
			const json_t *row = json_array_get(rows, r);
			const char *name = json_string_value(json_object_get(row, "name"));

			sample(out, per_pairing[i].name, "pairing", name != NULL ? name : "",
			       per_pairing[i].key == NULL ? failed(row) :
			       at(row, per_pairing[i].group, per_pairing[i].key));
		}
	}
	json_decref(root);
	return E_OK;
}
