/* reload.c - configuration into pool: at start, and again on SIGHUP.
 *
 * A reload loads and checks everything first; if anything is wrong the running configuration stays.
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

static enum code load(struct super *super, uint64_t generation, struct version **version_r, struct err *err)
{
	struct version *v = mem_alloc(sizeof(*v));
	enum code rc = conf_load(super->file, warn, NULL, &v->conf, err);

	if (rc != E_OK) {
		mem_free(v);
		return rc;
	}
	v->refs = 1;
	v->conf->generation = generation;
	*version_r = v;
	return E_OK;
}

enum code reload_first(struct super *super, struct err *err)
{
	return load(super, 1, &super->version, err);
}

/* --- what a pairing is --- */

const struct conf_pairing *unit_conf(const struct super *super, uint32_t unit)
{
	return conf_find_pairing(super->version->conf, super->units[unit].record.name);
}

uint32_t unit_find(const struct super *super, const char *name)
{
	for (uint32_t i = 0; i < super->n_units; i++) {
		if (super->units[i].used && super->pool.pairings[i].used &&
		    strcmp(super->units[i].record.name, name) == 0)
			return i;
	}
	return POOL_NONE;
}

static uint32_t pair_number(const struct conf_pairing *p)
{
	uint64_t left = span_hash(span_of(p->mailbox[SIDE_LEFT].endpoint->name));
	uint64_t right = span_hash(span_of(p->mailbox[SIDE_RIGHT].endpoint->name));

	left = left * 31 + right;    /* a collision would only share a worker */
	return (uint32_t)(left ^ left >> 32);
}

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

static void add_unit(struct super *super, const struct conf_pairing *p, const struct record *record, int64_t due)
{
	uint32_t id = pool_add(&super->pool, pair_number(p), record->generation, due);

	if (id >= super->n_units) {
		super->units = mem_realloc(super->units, id + 1, sizeof(*super->units));
		memset(super->units + super->n_units, 0, sizeof(*super->units) * (id + 1 - super->n_units));
		super->n_units = id + 1;
	}
	super->units[id] = (struct unit){ .used = true, .record = *record };
	uint32_t out = out_bits(p, record);
	/* what was said of it stays said until it has run again; a restart lets it run (R20) */
	super->units[id].stop_error = record->ran && record->rclass == RC_STOPPED;
	super->units[id].wants_credentials = (out & POOL_PENDING) != 0 ||
		(record->ran && due_is_failure(record->rclass) &&
		 (record->code == E_INVALID_CREDENTIALS || record->code == E_CREDENTIALS_MISSING));
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
	if (rc == E_OK && rows.n > 1)
		qsort(rows.at, rows.n, sizeof(*rows.at), compare_rows);
	for (size_t i = 0; rc == E_OK && i < conf->n_pairings; i++) {
		find_record(&rows, &conf->pairings[i], &record);
		add_unit(super, &conf->pairings[i], &record, first_due(super, &record, i));
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

static void update_unit(struct super *super, uint32_t id, const struct conf *old, const struct conf_pairing *p)
{
	struct unit *unit = &super->units[id];
	const struct conf_pairing *before = conf_find_pairing(old, p->name);
	bool came_back = super->pool.pairings[id].removed;
	bool waits = unit->stop_error || unit->wants_credentials;
	char mailboxes[33];

	if (!came_back && before != NULL && same_pairing(old, before, super->version->conf, p) &&
	    !(waits && new_secret(unit, p)))
		return;
	log_info("pairing %s: changed", p->name);
	hash_mailboxes(p, mailboxes);
	if (strcmp(mailboxes, unit->record.mailboxes) != 0) {
		struct record fresh = { .generation = unit->record.generation, .slot = unit->record.slot };

		memcpy(fresh.name, unit->record.name, sizeof(fresh.name));
		memcpy(fresh.mailboxes, mailboxes, sizeof(mailboxes));
		unit->record = fresh;
	}
	super->pool.pairings[id].removed = false;
	pool_changed(&super->pool, id, pair_number(p), clock_mono_ms());
	unit->stop_error = false;
	uint32_t out = out_bits(p, &unit->record);
	unit->wants_credentials = (out & POOL_PENDING) != 0;
	pool_set_out(&super->pool, id, out, clock_mono_ms());
	unit->dirty = true;
}

static void apply(struct super *super, const struct conf *old, const struct rows *rows)
{
	const struct conf *conf = super->version->conf;
	struct record record;

	for (uint32_t i = 0; i < super->n_units; i++) {
		if (super->units[i].used && super->pool.pairings[i].used && !super->pool.pairings[i].removed &&
		    unit_conf(super, i) == NULL) {
			log_info("pairing %s: removed", super->units[i].record.name);
			pool_remove(&super->pool, i, clock_mono_ms());
		}
	}
	for (size_t i = 0; i < conf->n_pairings; i++) {
		uint32_t id = unit_find(super, conf->pairings[i].name);

		if (id != POOL_NONE) {
			update_unit(super, id, old, &conf->pairings[i]);
			continue;
		}
		find_record(rows, &conf->pairings[i], &record);
		log_info("pairing %s: added", record.name);
		add_unit(super, &conf->pairings[i], &record, clock_mono_ms());
	}
}

enum code reload_again(struct super *super, struct err *err)
{
	struct version *old = super->version, *new = NULL;
	struct rows rows = { NULL, 0, 0 };
	struct err log_err = ERR_INIT;
	struct pool_rules rules;
	enum code rc = load(super, old->conf->generation + 1, &new, err);

	if (rc == E_OK)
		rc = check_fixed(old->conf, new->conf, err);
	if (rc == E_OK)
		rc = lease_load(super->leases, keep_row, &rows, err);
	if (rc != E_OK) {
		log_error("reload: %s; the configuration stays as it was", err_text(err));
		version_unref(&new);
		mem_free(rows.at);
		return rc;
	}
	if (rows.n > 1)
		qsort(rows.at, rows.n, sizeof(*rows.at), compare_rows);
	super->version = new;
	make_rules(new->conf, &rules);
	pool_set_rules(&super->pool, &rules);
	if (logs_open(super, &log_err) != E_OK)
		log_error("%s; the log stays where it was", err_text(&log_err));
	apply(super, old->conf, &rows);
	log_info("reload: done, configuration %llu", (unsigned long long)new->conf->generation);
	if (new->conf->print_configuration > 0)
		conf_print(new->conf, print_line, NULL);
	version_unref(&old);
	mem_free(rows.at);
	return E_OK;
}
