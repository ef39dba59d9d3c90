/* dav_discover.c - from a configured URL to the homes of one mailbox (RFC 6764, 4791 6.2.1, 6352 7.1.1).
 *
 * The URL may name a server, a principal, a home or one collection. A URL that names the mailbox ({mailbox} or
 * {user}) must lead to it by itself: the way over current-user-principal leads to whoever logs on, which with
 * a service account is somebody else. Without a name in the URL the mailbox is that of the one who logs on.
 */
#include "dav.h"

#include "../../common/conf.h"
#include "../http/http_url.h"

#define PROPS \
	"<D:resourcetype/><D:displayname/><D:current-user-principal/><C:calendar-home-set/>" \
	"<A:addressbook-home-set/>"

/* What one PROPFIND with depth 0 (or 1) told. */
struct seen {
	struct dav *d;
	struct arena *arena;
	enum dav_side side;
	struct span base;                /* URL that was asked */
	struct span self;                /* its path */
	uint32_t marks;
	bool has_types;
	struct span homes[DAV_HREF_MAX];
	size_t n_homes;
	struct span principal;
	bool child;                      /* a collection of items lies in it */
	const char *abroad;              /* a home that is on another host */
};

static const char *what(enum dav_side side)
{
	return side == DAV_CONTACTS ? "CardDAV" : "CalDAV";
}

static uint32_t wanted_mark(enum dav_side side)
{
	return 1U << (side == DAV_CONTACTS ? DAV_MARK_ADDRESSBOOK : DAV_MARK_CALENDAR);
}

/* Only the path of an href counts, if it is on the same host: proxies make servers err about scheme and port. */
static struct span place(struct seen *s, struct span href)
{
	struct span origin, path = dav_path(s->arena, s->base, href, &origin);
	struct http_url here, there;

	if (path.n == 0 || !http_url_split(s->base, &here) || !http_url_split(origin, &there))
		return SPAN_NONE;
	if (!span_eq_nocase(here.host, there.host)) {
		s->abroad = arena_printf(s->arena, SPAN_FMT SPAN_FMT, SPAN_ARG(origin), SPAN_ARG(path));
		return SPAN_NONE;
	}
	return path;
}

static void take_self(struct seen *s, const struct dav_props *p)
{
	enum dav_href home = s->side == DAV_CONTACTS ? DAV_HREF_CARD_HOME : DAV_HREF_CAL_HOME;

	s->marks = p->marks;
	s->has_types = p->has_types;
	for (size_t i = 0; i < p->n_href[home] && s->n_homes < DAV_HREF_MAX; i++) {
		struct span path = place(s, p->href[home][i]);

		if (path.n > 0)
			s->homes[s->n_homes++] = dav_as_collection(s->arena, path);
	}
	if (p->n_href[DAV_HREF_PRINCIPAL] > 0)
		s->principal = place(s, p->href[DAV_HREF_PRINCIPAL][0]);
}

static enum code on_response(void *ctx, const struct dav_response *r, struct err *err)
{
	struct seen *s = ctx;
	struct span path = dav_path(s->arena, s->base, r->href, NULL);

	(void)err;
	if (r->status >= 300 || path.n == 0)
		return E_OK;
	path = dav_as_collection(s->arena, path);
	if (span_eq(path, s->self) || s->self.n == 0)
		take_self(s, &r->props);
	else
		s->child |= (r->props.marks & wanted_mark(s->side)) != 0;
	return E_OK;
}

/* E_OK: asked, see *status_r. The URL is that after redirects. */
static enum code ask(struct seen *s, struct span url, unsigned int depth, unsigned int *status_r, struct err *err)
{
	struct dav_call c;

	s->base = url;
	s->self = depth == 0 ? SPAN_NONE : dav_as_collection(s->arena, dav_path(s->arena, url, url, NULL));
	s->has_types = s->child = false;
	s->marks = 0;
	s->n_homes = 0;
	s->principal = SPAN_NONE;
	dav_call_propfind(&c, arena_str(s->arena, url), depth, PROPS, on_response, s);
	enum code rc = dav_run_one(s->d, s->arena, &c, err);
	*status_r = c.status;
	if (rc == E_OK && c.code != E_OK)
		rc = err_set(err, c.code, "%s at " SPAN_FMT ": %s", what(s->side), SPAN_ARG(url), c.text);
	if (rc == E_OK && c.status == 207 && !c.multistatus)
		*status_r = 200;
	s->base = span_of(c.http.final_url);
	dav_call_free(&c);
	return rc;
}

static enum code settle(struct seen *s, const struct span *homes, size_t n, bool single)
{
	struct dav_service *v = &s->d->service[s->side];
	struct http_url u;

	if (http_url_split(s->base, &u))
		v->origin = arena_span(s->d->life, u.origin);
	v->n_homes = n;
	v->single = single;
	for (size_t i = 0; i < n; i++)
		v->homes[i] = arena_span(s->d->life, homes[i]);
	return E_OK;
}

static enum code nothing_there(const struct seen *s, struct span url, unsigned int status, struct err *err)
{
	if (s->abroad != NULL)
		return err_set(err, E_CONF, "%s at " SPAN_FMT ": the home is on another host; set <%s> to %.200s",
			       what(s->side), SPAN_ARG(url), what(s->side), s->abroad);
	if (status == 403)
		return err_set(err, E_STORE_FAILED, "%s at " SPAN_FMT ": the server forbids it (403)", what(s->side),
			       SPAN_ARG(url));
	return err_set(err, E_STORE_FAILED, "%s at " SPAN_FMT ": no %s and no home was found there (status %u)",
		       what(s->side), SPAN_ARG(url), s->side == DAV_CONTACTS ? "address book" : "calendar", status);
}

static bool is_root(struct arena *arena, struct span url)
{
	struct span path = dav_path(arena, url, url, NULL);

	return path.n <= 1;
}

/* Collection, principal, or (asked with depth 1) a home. *found_r tells. */
static enum code look_here(struct seen *s, struct span url, unsigned int *status_r, bool *found_r, struct err *err)
{
	struct span self;
	enum code rc = ask(s, url, 0, status_r, err);

	*found_r = false;
	if (rc != E_OK || *status_r != 207)
		return rc;
	self = dav_as_collection(s->arena, dav_path(s->arena, s->base, s->base, NULL));
	*found_r = true;
	if (s->marks & wanted_mark(s->side))
		return settle(s, &self, 1, true);
	if (s->n_homes > 0)
		return settle(s, s->homes, s->n_homes, false);
	*found_r = false;
	return E_OK;
}

static enum code look_inside(struct seen *s, struct span url, bool named, bool *found_r, struct err *err)
{
	struct span principal = s->principal, self;
	unsigned int status;
	enum code rc = ask(s, url, 1, &status, err);

	*found_r = false;
	s->principal = principal;
	if (rc != E_OK || status != 207)
		return rc;
	self = dav_as_collection(s->arena, dav_path(s->arena, s->base, s->base, NULL));
	/* an empty home is one too, if the URL names the mailbox */
	if (s->child || (named && s->has_types && (s->marks & 1U << DAV_MARK_COLLECTION))) {
		*found_r = true;
		return settle(s, &self, 1, false);
	}
	return E_OK;
}

static enum code by_principal(struct seen *s, bool *found_r, struct err *err)
{
	struct http_url u;
	unsigned int status;

	*found_r = false;
	if (s->principal.n == 0 || !http_url_split(s->base, &u))
		return E_OK;
	struct span url = span_of(arena_printf(s->arena, SPAN_FMT SPAN_FMT, SPAN_ARG(u.origin),
					       SPAN_ARG(s->principal)));
	enum code rc = ask(s, url, 0, &status, err);
	if (rc != E_OK || s->n_homes == 0)
		return rc;
	*found_r = true;
	return settle(s, s->homes, s->n_homes, false);
}

static enum code by_well_known(struct seen *s, struct span url, bool *found_r, struct err *err)
{
	struct http_url u;
	unsigned int status;

	*found_r = false;
	if (!http_url_split(url, &u))
		return E_OK;
	struct span known = span_of(arena_printf(s->arena, SPAN_FMT "/.well-known/%s", SPAN_ARG(u.origin),
						 s->side == DAV_CONTACTS ? "carddav" : "caldav"));
	enum code rc = look_here(s, known, &status, found_r, err);
	if (rc == E_OK && !*found_r && status == 207)
		rc = by_principal(s, found_r, err);
	return rc;
}

/* The service account's own home is not the mailbox. */
static enum code check_named(struct dav *d, enum dav_side side, bool named, struct err *err)
{
	if (named || conf_mailbox_logon(d->ep->env.mailbox) != LOGON_SERVICE)
		return E_OK;
	return err_set(err, E_CONF,
		       "endpoint %s: with a service account <%s> must say where a mailbox is, with {mailbox}",
		       d->ep->env.conf->name, what(side));
}

static enum code discover(struct seen *s, struct span url, bool named, struct err *err)
{
	unsigned int status = 0;
	bool found = false, root = is_root(s->arena, url);
	enum code rc = look_here(s, url, &status, &found, err);

	if (rc == E_OK && !found && status == 207 && !(root && !named))
		rc = look_inside(s, url, named, &found, err);
	if (rc == E_OK && !found && !named)
		rc = by_principal(s, &found, err);
	if (rc == E_OK && !found && !named && root)
		rc = by_well_known(s, url, &found, err);
	if (rc != E_OK || found)
		return rc;
	return nothing_there(s, url, status, err);
}

enum code dav_discover(struct dav *d, enum dav_side side, struct err *err)
{
	const struct conf_endpoint *conf = d->ep->env.conf;
	const char *template = side == DAV_CONTACTS ? conf->carddav : conf->caldav;
	bool named = strstr(template, "{mailbox}") != NULL || strstr(template, "{user}") != NULL;
	struct seen s = { .d = d, .arena = arena_new((size_t)16 << 20), .side = side };
	enum code rc = check_named(d, side, named, err);

	if (rc == E_OK)
		rc = discover(&s, d->service[side].url, named, err);
	arena_free(&s.arena);
	return rc;
}
