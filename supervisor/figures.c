/* figures.c - the answer to the `metrics` request: what stats.h counted and what the pool is now.
 *
 * Its size does not depend on the number of pairings: whoever scrapes every few seconds costs a
 * walk over them and nothing else. Times are milliseconds here. Fields are only ever added.
 */
#include "super.h"

#include "../common/clock.h"
#include "../common/mem.h"

#include <jansson.h>

static void put(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *histogram_json(const struct stats_histogram *h)
{
	json_t *bounds = json_array(), *counts = json_array();

	for (size_t i = 0; i <= h->n_bounds; i++) {
		if (i < h->n_bounds)
			json_array_append_new(bounds, json_integer(h->bounds_ms[i]));
		json_array_append_new(counts, json_integer((json_int_t)h->buckets[i]));
	}
	return json_pack("{s:o, s:o, s:I, s:I}", "boundsMs", bounds, "counts", counts,
			 "count", (json_int_t)h->count, "sumMs", (json_int_t)h->sum_ms);
}

/* --- the pairings, added up --- */

struct sums {
	uint64_t held, quarantined, with_held, in_quarantine, never, late_ms;
	int64_t oldest_ms;            /* last success that is longest ago; 0 = none */
};

static bool is_pairing(const struct super *super, uint32_t i)
{
	return super->units[i].used && super->pool.pairings[i].used && !super->pool.pairings[i].removed;
}

static void count_one(json_t *words, const char *word)
{
	put(words, word, (uint64_t)json_integer_value(json_object_get(words, word)) + 1);
}

/* Pairings that an operator stopped are of no age: nobody expects a success of them. */
static void add_up(const struct super *super, uint32_t i, struct sums *sums, int64_t now)
{
	const struct pool_pairing *p = &super->pool.pairings[i];
	const struct record *r = &super->units[i].record;
	int64_t due = p->place.due > p->quarantined_until ? p->place.due : p->quarantined_until;

	sums->held += r->held;
	sums->with_held += r->held > 0;
	sums->quarantined += r->quarantined;
	sums->in_quarantine += p->quarantined_until > now;
	if (p->out == 0 && p->slot == POOL_NONE && due != DUE_NEVER && now > due &&
	    (uint64_t)(now - due) > sums->late_ms)
		sums->late_ms = (uint64_t)(now - due);
	if (r->stopped)
		return;
	sums->never += r->success_ms == 0;
	if (r->success_ms > 0 && (sums->oldest_ms == 0 || r->success_ms < sums->oldest_ms))
		sums->oldest_ms = r->success_ms;
}

static json_t *pairings_json(const struct super *super, struct sums *sums)
{
	json_t *status = json_pack("{s:i, s:i, s:i, s:i}", "Unknown", 0, "Initial Sync", 0, "Success", 0,
				   "Failure", 0);
	json_t *state = json_pack("{s:i, s:i, s:i, s:i}", "Synchronizing", 0, "Active", 0,
				  "Pending Credentials", 0, "Stopped", 0);
	int64_t now = clock_mono_ms(), wall = clock_wall_ms();
	uint64_t n = 0;

	for (uint32_t i = 0; i < super->n_units; i++) {
		if (!is_pairing(super, i))
			continue;
		n++;
		count_one(status, status_word(super, i));
		count_one(state, status_state(super, i));
		add_up(super, i, sums, now);
	}
	json_t *out = json_pack("{s:o, s:o}", "status", status, "state", state);
	put(out, "count", n);
	put(out, "heldItems", sums->held);
	put(out, "withHeldItems", sums->with_held);
	put(out, "quarantinedItems", sums->quarantined);
	put(out, "inQuarantine", sums->in_quarantine);
	put(out, "withoutSuccess", sums->never);
	json_object_set_new(out, "oldestSuccessAgeMs", sums->oldest_ms == 0 ? json_null() :
			    json_integer(wall > sums->oldest_ms ? wall - sums->oldest_ms : 0));
	return out;
}

/* --- the rest --- */

static json_t *pool_json(const struct super *super, const struct sums *sums)
{
	const struct pool *pool = &super->pool;
	int64_t now = clock_mono_ms();
	json_t *out = json_object();

	put(out, "slots", pool->rules.workers);
	put(out, "busy", pool_busy(pool));
	put(out, "queue", pool_queue(pool, now));
	put(out, "latenessMs", sums->late_ms);
	put(out, "syncable", pool_syncable(pool));
	put(out, "logonFailures", pool->logon_count);
	put(out, "threshold", pool_threshold(pool));
	put(out, "restarts", pool->restarts);
	put(out, "dispatchHeldMs", pool->hold_until > now ? (uint64_t)(pool->hold_until - now) : 0);
	return out;
}

static json_t *workers_json(const struct super *super)
{
	const struct stats *s = &super->stats;
	json_t *memory = json_array(), *out = json_object();

	put(out, "started", s->workers_started);
	put(out, "killed", s->workers_killed);
	put(out, "died", s->workers_died);
	for (uint32_t i = 0; i < POOL_SLOTS_MAX; i++) {
		const struct worker *w = &super->workers[i];

		if (w->peak_kib > 0)
			json_array_append_new(memory, json_pack("{s:i, s:I}", "slot", (int)i + 1, "peakBytes",
							       (json_int_t)(w->peak_kib * 1024)));
	}
	json_object_set_new(out, "memory", memory);
	return out;
}

static json_t *work_json(const struct stats *s)
{
	json_t *out = json_object();

	put(out, "created", s->created);
	put(out, "changed", s->changed);
	put(out, "moved", s->moved);
	put(out, "removed", s->removed);
	put(out, "adopted", s->adopted);
	for (enum side side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
		json_t *one = json_object();

		put(one, "items", s->written_items[side]);
		put(one, "bytes", s->written_bytes[side]);
		json_object_set_new(out, side_name(side), one);
	}
	return out;
}

static json_t *passes_json(const struct stats *s)
{
	json_t *out = json_object();

	for (int i = 0; i < RCLASS_COUNT; i++)
		put(out, rclass_name((enum rclass)i), s->passes[i]);
	return out;
}

static json_t *service_json(const struct super *super)
{
	json_t *out = json_pack("{s:s}", "version", MS_VERSION);

	put(out, "startedMs", (uint64_t)super->started_ms);
	put(out, "configGeneration", super->version->conf->generation);
	put(out, "staleMessages", super->stale);
	return out;
}

char *figures_text(const struct super *super)
{
	const struct stats *s = &super->stats;
	struct sums sums = { 0 };
	json_t *pairings = pairings_json(super, &sums), *logons = json_object();
	json_t *throttled = json_object(), *reloads = json_object(), *top;
	char *text;

	put(logons, "ok", s->logons_ok);
	put(logons, "refused", s->logons_refused);
	put(logons, "failed", s->logons_failed);
	put(throttled, "count", s->throttled);
	put(throttled, "waitMs", (uint64_t)s->throttled_ms);
	put(reloads, "ok", s->reloads_ok);
	put(reloads, "failed", s->reloads_failed);
	top = json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version", 1,
			"service", service_json(super), "pairings", pairings, "pool", pool_json(super, &sums),
			"passes", passes_json(s), "duration", histogram_json(&s->duration),
			"lateness", histogram_json(&s->lateness), "work", work_json(s), "logons", logons,
			"throttled", throttled, "workers", workers_json(super), "reloads", reloads);
	text = top != NULL ? json_dumps(top, JSON_COMPACT) : NULL;
	json_decref(top);
	return text;
}
