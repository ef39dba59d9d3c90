/* dav_endpoint.c - the table of the type "dav": opening, capabilities, closing. */
#include "dav.h"

#include "../../common/conf.h"
#include "../../common/mem.h"
#include "../data/record.h"
#include "../endpoint_types.h"

#define LIFE_MAX ((size_t)8 << 20)
#define SCRATCH_MAX ((size_t)64 << 20)
#define WINDOW 200

static const char *url_of(const struct conf_endpoint *conf, enum dav_side side)
{
	const char *url = side == DAV_CONTACTS ? conf->carddav : conf->caldav;

	return url != NULL && url[0] != '\0' ? url : NULL;
}

static enum code make(struct endpoint *ep, struct err *err)
{
	const struct conf_endpoint *conf = ep->env.conf;

	if (url_of(conf, DAV_CALENDARS) == NULL && url_of(conf, DAV_CONTACTS) == NULL)
		return err_set(err, E_CONF, "endpoint %s has no CalDAV and no CardDAV", conf->name);
	struct dav *d = mem_alloc(sizeof(*d));

	d->ep = ep;
	d->user = conf_mailbox_user(ep->env.mailbox);
	d->life = arena_new(LIFE_MAX);
	d->scratch = arena_new(SCRATCH_MAX);
	ep->impl = d;
	return E_OK;
}

/* --- logging on --- */

static enum code make_client(struct dav *d, struct err *err)
{
	struct endpoint *ep = d->ep;
	const char *auth = ep->env.conf->auth != NULL ? ep->env.conf->auth : "";
	struct http_conf conf = {
		.endpoint = ep->env.conf->name, .type = "dav", .ca_pem = ep->env.ca_pem, .user = d->user,
		.bearer = strcmp(auth, "xoauth2") == 0 || strcmp(auth, "oauthbearer") == 0,
		.in_flight = conf_max_connections(ep->env.conf),
	};
	enum code rc = ep->env.secret(ep->env.ctx, conf.bearer ? "token" : "password", &conf.secret, err);

	if (rc != E_OK)
		return rc;
	rc = http_new(&conf, &d->http, err);
	if (rc != E_OK)
		secret_free(&conf.secret);
	return rc;
}

static enum code prepare(struct dav *d, enum dav_side side, struct err *err)
{
	const char *template = url_of(d->ep->env.conf, side);
	struct dav_service *v = &d->service[side];

	if (template == NULL)
		return E_OK;
	v->wanted = true;
	v->url = span_of(dav_expand(d->life, template, d->ep->env.mailbox->smtp_name, d->user));
	return http_allow(d->http, v->url, err);
}

static enum code find_homes(struct dav *d, struct err *err)
{
	enum code rc = E_OK;

	for (unsigned int side = 0; rc == E_OK && side < DAV_SIDES; side++) {
		if (!d->service[side].wanted)
			continue;
		rc = dav_discover(d, side, err);
		if (rc == E_OK)
			rc = dav_remember(d, side, err);
	}
	return rc;
}

/* Where they were the last time; else, and if they are not there any more, they are looked for. */
static enum code list_homes(struct dav *d, struct arena *arena, struct err *err)
{
	struct err why = ERR_INIT;
	bool known = true;
	enum code rc = E_STORE_FAILED;

	for (unsigned int side = 0; side < DAV_SIDES; side++)
		known = known && (!d->service[side].wanted || dav_recall(d, side));
	if (known)
		rc = dav_collect(d, arena, &d->ahead, &why);
	if (rc != E_STORE_FAILED && rc != E_SERVER && rc != E_PROTOCOL) {
		if (rc != E_OK)
			*err = why;
		return rc;
	}
	rc = find_homes(d, err);
	arena_reset(arena);
	return rc == E_OK ? dav_collect(d, arena, &d->ahead, err) : rc;
}

/* vCard 4.0 only where no address book takes 3.0: servers break photos in 4.0. */
static bool only_4(const struct dav_collections *all)
{
	bool found = false;

	for (size_t i = 0; i < all->n; i++) {
		if (all->c[i].kind != EP_CONTACTS)
			continue;
		if (all->c[i].cards != DAV_VCARD_4)
			return false;
		found = true;
	}
	return found;
}

static void fill_caps(struct dav *d)
{
	const struct dav_service *cal = &d->service[DAV_CALENDARS];
	struct ep_caps *c = &d->ep->caps;

	*c = (struct ep_caps){
		.marks_flags = true,         /* there are no flags */
		.moves = true, .window_items = WINDOW,
		.record_print = RECORD_SILENT | (only_4(&d->ahead) ? RECORD_VCARD_40 : 0),
	};
	if (cal->wanted) {
		c->kinds |= 1U << EP_EVENTS;
		/* a server that shows calendars, and tasks in none of them, has no tasks */
		if (cal->tasks_seen || !cal->events_seen)
			c->kinds |= 1U << EP_TASKS;
	}
	if (d->service[DAV_CONTACTS].wanted)
		c->kinds |= 1U << EP_CONTACTS;
	for (size_t i = 0; i < d->ahead.n; i++) {
		uint64_t max = d->ahead.c[i].max_bytes;

		if (max > 0 && (c->max_item_bytes == 0 || max < c->max_item_bytes))
			c->max_item_bytes = max;
	}
}

static enum code open_verb(struct endpoint *ep, struct err *err)
{
	struct dav *d = ep->impl;
	enum code rc = make_client(d, err);

	for (unsigned int side = 0; rc == E_OK && side < DAV_SIDES; side++)
		rc = prepare(d, side, err);
	if (rc != E_OK)
		return rc;
	struct arena *arena = arena_new(SCRATCH_MAX);
	rc = list_homes(d, arena, err);
	if (rc != E_OK) {
		d->ahead.arena = NULL;
		arena_free(&arena);
		return rc;
	}
	fill_caps(d);
	return E_OK;
}

static void close_verb(struct endpoint *ep)
{
	struct dav *d = ep->impl;

	if (d == NULL)
		return;
	http_free(&d->http);
	arena_free(&d->ahead.arena);
	arena_free(&d->life);
	arena_free(&d->scratch);
	mem_free(d);
	ep->impl = NULL;
}

/* Records are told apart by what is in them, not by their headers. */
static enum code describe(struct endpoint *ep, struct arena *arena, struct ep_meta *m, size_t n, struct err *err)
{
	(void)ep;
	(void)arena;
	(void)m;
	(void)n;
	return err_set(err, E_UNSUPPORTED, "records are not described");
}

const struct ep_ops ep_dav = {
	.type = "dav",
	.make = make,
	.open = open_verb,
	.close = close_verb,
	.list = dav_list_verb,
	.changes = dav_changes_verb,
	.describe = describe,
	.fetch = dav_fetch_verb,
	.apply = dav_apply_verb,
	.folders = dav_folders_verb,
};
