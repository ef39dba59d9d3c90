/* units.c - the supervisor's own table of pairings: by number, by name, and as the core knows them. */
#include "super.h"

#include "../common/mem.h"

#include <stdio.h>

const struct conf_pairing *unit_conf_in(const struct conf *conf, const struct unit *unit)
{
	if (unit->conf_at < conf->n_pairings && strcmp(conf->pairings[unit->conf_at].name, unit->record.name) == 0)
		return &conf->pairings[unit->conf_at];
	return conf_find_pairing(conf, unit->record.name);
}

const struct conf_pairing *unit_conf(const struct super *super, uint32_t unit)
{
	return unit_conf_in(super->version->conf, &super->units[unit]);
}

/* --- names --- */

bool unit_live(const struct super *super, uint32_t unit)
{
	return super->units[unit].used && super->pool.pairings[unit].used;
}

uint32_t unit_find(const struct super *super, const char *name)
{
	uint32_t mask = super->cap_names - 1;

	if (super->cap_names == 0)
		return POOL_NONE;
	for (uint32_t at = (uint32_t)span_hash(span_of(name)) & mask; super->names[at] != 0; at = (at + 1) & mask) {
		uint32_t unit = super->names[at] - 1;

		if (unit_live(super, unit) && strcmp(super->units[unit].record.name, name) == 0)
			return unit;
	}
	return POOL_NONE;
}

static void put_name(struct super *super, uint32_t unit)
{
	uint32_t mask = super->cap_names - 1;
	uint32_t at = (uint32_t)span_hash(span_of(super->units[unit].record.name)) & mask;

	while (super->names[at] != 0)
		at = (at + 1) & mask;
	super->names[at] = unit + 1;
	super->n_names++;
}

/* Names that were given up stay in the table until it grows. */
void unit_name(struct super *super, uint32_t unit)
{
	if (super->n_names * 2 < super->cap_names) {
		put_name(super, unit);
		return;
	}
	mem_free(super->names);
	super->cap_names = 64;
	while (super->cap_names < super->n_units * 4)
		super->cap_names *= 2;
	super->names = mem_calloc(super->cap_names, sizeof(*super->names));
	super->n_names = 0;
	for (uint32_t i = 0; i < super->n_units; i++) {
		if (unit_live(super, i))
			put_name(super, i);
	}
}

void units_free(struct super *super)
{
	mem_free(super->units);
	mem_free(super->dirty);
	mem_free(super->names);
	mem_free(super->digests);
}

/* --- what the core is told of a pairing --- */

static uint64_t endpoint_key(const struct conf_endpoint *e)
{
	return span_hash(span_of(e->name));
}

/* The endpoint and the name that the mailbox is opened with; 0 = without a logon. */
static uint64_t logon_key(const struct conf_mailbox *m)
{
	enum conf_logon how = conf_mailbox_logon(m);
	const char *login = how == LOGON_OWN ? m->login : how == LOGON_SERVICE ? m->endpoint->login :
			    m->smtp_name;
	char text[600];

	if (how == LOGON_NONE_NEEDED || how == LOGON_MISSING)
		return 0;
	int n = snprintf(text, sizeof(text), "%s %s", m->endpoint->name, login != NULL ? login : "");
	return span_hash(span_bytes(text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1)) | 1;
}

void units_tie(const struct conf_pairing *p, struct pool_tie *tie)
{
	for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
		tie->endpoint[s] = endpoint_key(p->mailbox[s].endpoint);
		tie->logon[s] = logon_key(&p->mailbox[s]);
	}
}

void units_limits(struct super *super)
{
	const struct conf *conf = super->version->conf;

	for (size_t i = 0; i < conf->n_endpoints; i++)
		pool_set_limit(&super->pool, endpoint_key(&conf->endpoints[i]),
			       conf_max_connections(&conf->endpoints[i]));
}
