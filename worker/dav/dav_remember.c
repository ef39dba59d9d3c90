/* dav_remember.c - where the homes were found, kept in the pairing's state: a pass that finds nothing changed
 * then asks each home once and nothing else.
 *
 * The value is lines: "2", the URL as configured and expanded, who logs on, the origin, "single" or "homes", one
 * home each. Another URL or another login finds nothing: its home may be another one.
 */
#include "dav.h"

static const char *key_of(enum dav_side side)
{
	return side == DAV_CONTACTS ? "home.carddav" : "home.caldav";
}

static struct span next_line(struct span *rest)
{
	size_t end = span_find(*rest, 0, '\n');
	struct span line = span_cut(*rest, 0, end);

	*rest = end == SIZE_MAX ? SPAN_NONE : span_cut(*rest, end + 1, rest->n);
	return line;
}

bool dav_recall(struct dav *d, enum dav_side side)
{
	struct dav_service *v = &d->service[side];
	struct ep_env *env = &d->ep->env;
	struct err ignored = ERR_INIT;
	struct span rest = SPAN_NONE;

	if (env->kv_get == NULL || env->kv_get(env->ctx, key_of(side), d->life, &rest, &ignored) != E_OK)
		return false;
	if (!span_eq_str(next_line(&rest), "2") || !span_eq(next_line(&rest), v->url) ||
	    !span_eq_str(next_line(&rest), d->user))
		return false;
	v->origin = next_line(&rest);
	v->single = span_eq_str(next_line(&rest), "single");
	v->n_homes = 0;
	while (rest.n > 0 && v->n_homes < DAV_HREF_MAX)
		v->homes[v->n_homes++] = next_line(&rest);
	/* a redirect had led to another port of the same host */
	return v->origin.n > 0 && v->n_homes > 0 && http_allow(d->http, v->origin, &ignored) == E_OK;
}

enum code dav_remember(struct dav *d, enum dav_side side, struct err *err)
{
	const struct dav_service *v = &d->service[side];
	struct ep_env *env = &d->ep->env;
	struct buf b;

	if (env->kv_put == NULL)
		return E_OK;
	buf_init(&b, (size_t)64 << 10);
	buf_printf(&b, "2\n" SPAN_FMT "\n%s\n" SPAN_FMT "\n%s", SPAN_ARG(v->url), d->user, SPAN_ARG(v->origin),
		   v->single ? "single" : "homes");
	for (size_t i = 0; i < v->n_homes; i++)
		buf_printf(&b, "\n" SPAN_FMT, SPAN_ARG(v->homes[i]));
	enum code rc = env->kv_put(env->ctx, key_of(side), buf_span(&b), err);
	buf_free(&b);
	return rc;
}
