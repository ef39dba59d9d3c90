/* reload.c - configuration into pool: at start, and again on SIGHUP.
 *
 * A reload reads and checks everything first, in a process of its own (reload_ask.c, reader.c); if
 * anything is wrong the running configuration stays.
 * Then only what differs is touched: a removed or changed pairing is cancelled to a safe point if it
 * runs, everything else does not notice. Workers keep the version they were born under.
 */
#include "super.h"

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define RUN_MAX_MS ((int64_t)2 * 3600 * 1000)   /* then even a first pass starts anew from its state */
#define RECYCLE_KIB ((uint64_t)256 * 1024)      /* a worker that holds more is replaced between tasks */

void version_ref(struct version *version)
{
	version->refs++;
}

void version_unref(struct version **version)
{
	struct version *v = *version;

	*version = NULL;
	if (v == NULL || --v->refs > 0)
		return;
	conf_free(&v->conf);
	mem_free(v);
}

static void warn(void *ctx, const char *text)
{
	(void)ctx;
	log_warning("%s", text);
}

static void print_line(void *ctx, const char *text)
{
	(void)ctx;
	log_info("configuration: %s", text);
}

static struct version *make_version(struct conf *conf, uint64_t generation)
{
	struct version *v = mem_alloc(sizeof(*v));

	v->conf = conf;
	v->refs = 1;
	conf->generation = generation;
	return v;
}

enum code reload_first(struct super *super, struct err *err)
{
	struct conf *conf = NULL;
	enum code rc = conf_load(super->file, warn, NULL, &conf, err);

	if (rc == E_OK)
		super->version = make_version(conf, 1);
	return rc;
}

/* --- what a pairing is --- */

static void hash_mailboxes(const struct conf_pairing *p, char out[33])
{
	struct digest *d = digest_new();
	uint8_t raw[DIGEST_SIZE];

	for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
		const struct conf_mailbox *m = &p->mailbox[s];

		digest_add(d, m->endpoint->name, strlen(m->endpoint->name) + 1);
		digest_add(d, m->smtp_name, strlen(m->smtp_name) + 1);
	}
	digest_end(&d, raw);
	hex_encode(raw, 16, out);
}

static uint32_t out_bits(const struct conf_pairing *p, const struct record *record)
{
	uint32_t out = record->stopped ? POOL_STOPPED : 0;

	for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
		if (conf_mailbox_logon(&p->mailbox[s]) == LOGON_MISSING)
			out |= POOL_PENDING;
	}
	return out;
}

static void make_rules(const struct conf *conf, struct pool_rules *rules)
{
	*rules = (struct pool_rules){
		.due = { conf->interval_ms, conf->retry_bump_ms },
		.heartbeat_ms = conf->heartbeat_timeout_ms,
		.progress_ms = conf->progress_timeout_ms,
		.hold_first_ms = conf->dispatch_hold_ms,
		.hold_max_ms = conf->dispatch_hold_max_ms,
		.quarantine_ms = conf->crash_quarantine_ms,
		.trial_ms = conf->credential_trial_ms,
		.run_max_ms = RUN_MAX_MS,
		.memory_kib = RECYCLE_KIB,
		.offline_kinds = ~(1u << WIRE_SYNC | 1u << WIRE_PLAN | 1u << WIRE_VERIFY | 1u << WIRE_TEST |
				   1u << WIRE_ADDRESSES),
		.workers = conf->workers,
	};
}

/* --- filling the pool --- */

struct rows {
	struct record *at;
	size_t n, cap;
};

static void keep_row(void *ctx, const struct record *record)
{
	struct rows *rows = ctx;

	if (rows->n == rows->cap) {
		rows->cap = rows->cap == 0 ? 64 : rows->cap * 2;
		rows->at = mem_realloc(rows->at, rows->cap, sizeof(*rows->at));
	}
	rows->at[rows->n++] = *record;
}

static int compare_rows(const void *a, const void *b)
{
	return strcmp(((const struct record *)a)->name, ((const struct record *)b)->name);
}

/* The row of before, or a new one. A name that was given to other mailboxes starts afresh, but its
 * generation goes on rising; that of a new row lies above any that a lost scheduler.db gave out. */
static void find_record(const struct rows *rows, const struct conf_pairing *p, struct record *record_r)
{
	struct record key, *old = NULL;

	snprintf(key.name, sizeof(key.name), "%s", p->name);
	if (rows->n > 0)
		old = bsearch(&key, rows->at, rows->n, sizeof(key), compare_rows);
	memset(record_r, 0, sizeof(*record_r));
	snprintf(record_r->name, sizeof(record_r->name), "%s", p->name);
	hash_mailboxes(p, record_r->mailboxes);
	record_r->generation = old != NULL ? old->generation : (uint64_t)clock_wall_ms();
	if (old != NULL && strcmp(old->mailboxes, record_r->mailboxes) == 0)
		*record_r = *old;
	record_r->slot = -1;         /* who held it is dead: only one supervisor runs, and it just began */
}

static int64_t first_due(const struct super *super, const struct record *r, size_t index)
{
	const struct conf *conf = super->version->conf;
	int64_t now = clock_mono_ms(), in = r->due_ms - clock_wall_ms();
	int64_t longest = conf->interval_ms + conf->retry_bump_ms;

	if (!r->ran || super->mode != POOL_SERVICE)
		return now;
	in = in > longest ? longest : in;
	if (in <= 0 && getenv("INVOCATION_ID") != NULL)      /* started by systemd: spread the load */
		in = conf->interval_ms * (int64_t)index / (int64_t)conf->n_pairings;
	return in > 0 ? now + in : now;
}

/* Quarantine goes on; crashes of before count as recent. */
static void add_crashes(struct super *super, uint32_t id, const struct record *r)
{
	int64_t now = clock_mono_ms(), left = r->quarantine_ms - clock_wall_ms();
	struct due_crashes crashes = { .n = r->crashes, .level = r->crash_level };

	crashes.n = crashes.n < DUE_CRASHES ? crashes.n : DUE_CRASHES;
	for (unsigned i = 0; i < crashes.n; i++)
		crashes.at[i] = now;
	left = left < DUE_QUARANTINE_MAX_MS ? left : DUE_QUARANTINE_MAX_MS;
	if (crashes.n > 0)
		pool_set_crashes(&super->pool, id, &crashes, left > 0 ? now + left : 0);
}

static void add_unit(struct super *super, size_t conf_at, const struct record *record, int64_t due)
{
	const struct conf_pairing *p = &super->version->conf->pairings[conf_at];
	struct pool_tie tie;

	units_tie(p, &tie);
	uint32_t id = pool_add(&super->pool, &tie, record->generation, due);
	if (id >= super->cap_units) {
		super->cap_units = super->cap_units == 0 ? (uint32_t)super->version->conf->n_pairings :
				   super->cap_units * 2;
		super->cap_units = super->cap_units > id ? super->cap_units : id + 16;
		super->units = mem_realloc(super->units, super->cap_units, sizeof(*super->units));
	}
	super->n_units = id >= super->n_units ? id + 1 : super->n_units;
	super->units[id] = (struct unit){ .used = true, .record = *record, .conf_at = (uint32_t)conf_at };
	unit_name(super, id);
	uint32_t out = out_bits(p, record);
	/* what was said of it stays said until it has run again; a restart lets it run (R20) */
	super->units[id].stop_error = record->ran && record->rclass == RC_STOPPED;
	super->units[id].wants_credentials = (out & POOL_PENDING) != 0 ||
		(record->ran && due_is_failure(record->rclass) &&
		 (record->code == E_INVALID_CREDENTIALS || record->code == E_CREDENTIALS_MISSING));
	add_crashes(super, id, record);
	pool_set_out(&super->pool, id, out, clock_mono_ms());
}

enum code reload_fill(struct super *super, struct err *err)
{
	const struct conf *conf = super->version->conf;
	struct rows rows = { NULL, 0, 0 };
	struct pool_rules rules;
	struct record record;
	enum code rc = lease_load(super->leases, keep_row, &rows, err);

	make_rules(conf, &rules);
	pool_init(&super->pool, super->mode, &rules);
	units_limits(super);
	if (rc == E_OK && rows.n > 1)
		qsort(rows.at, rows.n, sizeof(*rows.at), compare_rows);
	for (size_t i = 0; rc == E_OK && i < conf->n_pairings; i++) {
		find_record(&rows, &conf->pairings[i], &record);
		add_unit(super, i, &record, first_due(super, &record, i));
	}
	mem_free(rows.at);
	if (rc == E_OK && conf->print_configuration > 0)
		conf_print(conf, print_line, NULL);
	return rc;
}

/* --- again --- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_secret(const struct conf_secret *a, const struct conf_secret *b)
{
	return same_text(a->file, b->file) && same_text(a->credential, b->credential);
}

static bool same_mailbox(const struct conf_mailbox *a, const struct conf_mailbox *b)
{
	return same_secret(&a->password, &b->password) &&
	       same_secret(&a->endpoint->password, &b->endpoint->password) &&
	       same_secret(&a->endpoint->default_password, &b->endpoint->default_password);
}

/* What a worker is told of the pairing itself: not where in the file it stands, nor what is the
 * gateway's and reaches the workers that are born from now on. */
static json_t *essence(const struct conf *conf, const struct conf_pairing *p)
{
	static const char *const other[] = { "generation", "line", "gateway" };
	struct buf text;
	json_t *json;

	buf_init(&text, (size_t)16 << 20);
	conf_pairing_encode(conf, p, &text);
	json = json_loadb(buf_str(&text), text.n, 0, NULL);
	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		json_object_del(json, other[i]);
	buf_free(&text);
	return json;
}

static bool same_pairing(const struct conf *ca, const struct conf_pairing *a, const struct conf *cb,
			 const struct conf_pairing *b)
{
	json_t *ja, *jb;
	bool same;

	if (!same_mailbox(&a->mailbox[SIDE_LEFT], &b->mailbox[SIDE_LEFT]) ||
	    !same_mailbox(&a->mailbox[SIDE_RIGHT], &b->mailbox[SIDE_RIGHT]))
		return false;
	ja = essence(ca, a);
	jb = essence(cb, b);
	same = ja != NULL && json_equal(ja, jb) == 1;
	json_decref(ja);
	json_decref(jb);
	return same;
}

/* A pairing that waits for a person: does the file now hold another secret than was used last? */
static bool new_secret(const struct unit *unit, const struct conf_pairing *p)
{
	static const uint8_t never[DIGEST_SIZE];
	bool differs = false;

	for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
		struct secret *secret = NULL;
		struct err err = ERR_INIT;
		uint8_t digest[DIGEST_SIZE];

		if (conf_mailbox_secret(&p->mailbox[s], &secret, &err) != E_OK || secret == NULL)
			continue;
		digest_of(secret_reveal(secret), secret_len(secret), digest);
		secret_free(&secret);
		differs = differs || memcmp(unit->secret_digest[s], never, DIGEST_SIZE) == 0 ||
			  memcmp(unit->secret_digest[s], digest, DIGEST_SIZE) != 0;
	}
	return differs;
}

/* What cannot change while we run. */
static enum code check_fixed(const struct conf *old, const struct conf *new, struct err *err)
{
	if (strcmp(old->state_dir, new->state_dir) != 0)
		return err_set(err, E_CONF, "%s: a changed StateDirectory needs a restart of the service", new->file);
	if (strcmp(old->runtime_dir, new->runtime_dir) != 0)
		return err_set(err, E_CONF, "%s: a changed RuntimeDirectory needs a restart of the service", new->file);
	return E_OK;
}

/* False: nothing about it differs. */
static bool update_unit(struct super *super, uint32_t id, const struct conf *old, const struct conf_pairing *p)
{
	struct unit *unit = &super->units[id];
	const struct conf_pairing *before = unit_conf_in(old, unit);
	bool came_back = super->pool.pairings[id].removed;
	bool waits = unit->stop_error || unit->wants_credentials;
	char mailboxes[33];
	struct pool_tie tie;

	if (!came_back && before != NULL && same_pairing(old, before, super->version->conf, p) &&
	    !(waits && new_secret(unit, p)))
		return false;
	log_info("pairing %s: changed", p->name);
	hash_mailboxes(p, mailboxes);
	if (strcmp(mailboxes, unit->record.mailboxes) != 0) {
		struct record fresh = { .generation = unit->record.generation, .slot = unit->record.slot };

		memcpy(fresh.name, unit->record.name, sizeof(fresh.name));
		memcpy(fresh.mailboxes, mailboxes, sizeof(mailboxes));
		unit->record = fresh;
	}
	units_tie(p, &tie);
	pool_changed(&super->pool, id, &tie, clock_mono_ms());
	unit->stop_error = false;
	uint32_t out = out_bits(p, &unit->record);
	unit->wants_credentials = (out & POOL_PENDING) != 0;
	pool_set_out(&super->pool, id, out, clock_mono_ms());
	unit_touch(super, id);
	return true;
}

/* Logons that were refused too often, whose secret is another one now, are used at once. */
static void look_at_refused(struct super *super)
{
	bool *seen = mem_calloc((size_t)super->pool.n_logons + 1, sizeof(*seen));

	for (uint32_t i = 0; i < super->n_units; i++) {
		const struct conf_pairing *p = unit_live(super, i) ? unit_conf(super, i) : NULL;

		for (enum side s = SIDE_LEFT; p != NULL && s <= SIDE_RIGHT; s++) {
			uint32_t logon = super->pool.pairings[i].logon[s];
			struct secret *secret = NULL;
			struct err err = ERR_INIT;

			if (logon == POOL_NONE || seen[logon] || super->pool.logons[logon].refusals < POOL_REFUSALS)
				continue;
			seen[logon] = true;
			if (conf_mailbox_secret(&p->mailbox[s], &secret, &err) == E_OK && secret != NULL)
				needs_note_secret(super, i, s, secret);
			secret_free(&secret);
		}
	}
	mem_free(seen);
}

static void apply(struct super *super, const struct conf *old, const struct rows *rows,
		  struct reload_counts *counts)
{
	const struct conf *conf = super->version->conf;
	struct record record;

	for (uint32_t i = 0; i < super->n_units; i++) {
		if (super->units[i].used && super->pool.pairings[i].used && !super->pool.pairings[i].removed &&
		    unit_conf(super, i) == NULL) {
			log_info("pairing %s: removed", super->units[i].record.name);
			pool_remove(&super->pool, i, clock_mono_ms());
			counts->removed++;
		}
	}
	for (size_t i = 0; i < conf->n_pairings; i++) {
		uint32_t id = unit_find(super, conf->pairings[i].name);

		if (id != POOL_NONE) {
			super->units[id].conf_at = (uint32_t)i;
			if (update_unit(super, id, old, &conf->pairings[i]))
				counts->changed++;
			else
				counts->same++;
			continue;
		}
		find_record(rows, &conf->pairings[i], &record);
		log_info("pairing %s: added", record.name);
		add_unit(super, i, &record, clock_mono_ms());
		counts->added++;
	}
}

void reload_failed(struct super *super, const struct err *err)
{
	log_error("reload: %s; the configuration stays as it was", err_text(err));
	super->stats.reloads_failed++;
}

enum code reload_with(struct super *super, struct conf *conf, struct reload_counts *counts, struct err *err)
{
	struct version *old = super->version, *new = make_version(conf, old->conf->generation + 1);
	struct rows rows = { NULL, 0, 0 };
	struct err log_err = ERR_INIT;
	struct pool_rules rules;
	enum code rc = check_fixed(old->conf, conf, err);

	if (rc == E_OK)
		rc = lease_load(super->leases, keep_row, &rows, err);
	if (rc != E_OK) {
		version_unref(&new);
		mem_free(rows.at);
		return rc;
	}
	if (rows.n > 1)
		qsort(rows.at, rows.n, sizeof(*rows.at), compare_rows);
	super->version = new;
	super->stats.reloads_ok++;
	make_rules(new->conf, &rules);
	pool_set_rules(&super->pool, &rules);
	units_limits(super);
	if (logs_open(super, &log_err) != E_OK)
		log_error("%s; the log stays where it was", err_text(&log_err));
	logs_tell_workers(super);
	apply(super, old->conf, &rows, counts);
	look_at_refused(super);
	log_info("reload: done, configuration %llu", (unsigned long long)new->conf->generation);
	if (new->conf->print_configuration > 0)
		conf_print(new->conf, print_line, NULL);
	version_unref(&old);
	mem_free(rows.at);
	return E_OK;
}
