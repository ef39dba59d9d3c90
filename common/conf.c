/* conf.c - a configuration as a whole: made, freed, and finding things in it. Knows no XML, so that
 * a worker does not load the XML library.
 */
#include "conf_p.h"

#include "near.h"

bool conf_name_valid(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567"
				      "89_-.";
	size_t n = strlen(name);

	return n >= 1 && n <= CONF_NAME_MAX && name[0] != '.' && strspn(name, letters) == n;
}

struct conf_box *conf_box_new(void)
{
	struct arena *arena = arena_new(CONF_ARENA_MAX);
	struct conf_box *box = arena_alloc(arena, sizeof(*box));

	box->arena = arena;
	return box;
}

void conf_free(struct conf **conf)
{
	if (*conf == NULL)
		return;
	struct arena *arena = ((struct conf_box *)*conf)->arena;

	arena_free(&arena);
	*conf = NULL;
}

static bool is_set(const struct conf_secret *s)
{
	return s->file != NULL || s->credential != NULL;
}

bool conf_is_remote(const struct conf_endpoint *e)
{
	return conf_type_bit(e->type) != T_LOCAL;
}

static bool is_https(const char *url)
{
	return url != NULL && span_starts_nocase(span_of(url), "https:");
}

bool conf_uses_tls(const struct conf_endpoint *e)
{
	return (e->server != NULL && e->tls != TLS_NONE) || is_https(e->front_end) || is_https(e->caldav) ||
	       is_https(e->carddav);
}

enum conf_logon conf_mailbox_logon(const struct conf_mailbox *m)
{
	const struct conf_endpoint *e = m->endpoint;

	if (!conf_is_remote(e))
		return LOGON_NONE_NEEDED;
	if (is_set(&m->password))
		return LOGON_OWN;
	if (m->login != NULL)
		return LOGON_MISSING; /* it has a name of its own, and waits for its password */
	if (e->login != NULL && is_set(&e->password))
		return LOGON_SERVICE;
	return is_set(&e->default_password) ? LOGON_DEFAULT : LOGON_MISSING;
}

const char *conf_mailbox_user(const struct conf_mailbox *m)
{
	switch (conf_mailbox_logon(m)) {
	case LOGON_OWN:
		return m->login != NULL ? m->login : m->smtp_name;
	case LOGON_SERVICE:
		return m->endpoint->login;
	case LOGON_DEFAULT:
	case LOGON_NONE_NEEDED:
	case LOGON_MISSING:
		break;
	}
	return m->smtp_name;
}

uint32_t conf_max_connections(const struct conf_endpoint *e)
{
	unsigned type = conf_type_bit(e->type);

	if (e->max_connections > 0)
		return e->max_connections;
	/* Exchange's EWSMaxConcurrency is 27: that leaves room for other programs; Google and Microsoft 365
	 * slow down those who come with more */
	return type == T_EXCHANGE ? 20 : type == T_EXCHANGE_ONLINE || type == T_GOOGLE ? 10 : 0;
}

/* What a mailbox on the endpoint can hold at all. */
static uint32_t endpoint_kinds(const struct conf_endpoint *e)
{
	uint32_t kinds = CONF_KINDS_ALL;

	if (conf_type_bit(e->type) == T_IMAP)
		kinds = (e->server != NULL ? CONF_KIND_MAIL : 0) | (e->carddav != NULL ? CONF_KIND_CONTACTS : 0) |
			(e->caldav != NULL ? CONF_KIND_EVENTS | CONF_KIND_TASKS : 0);
	return kinds;
}

uint32_t conf_pairing_kinds(const struct conf_pairing *p)
{
	return p->kinds & endpoint_kinds(p->mailbox[SIDE_LEFT].endpoint) &
	       endpoint_kinds(p->mailbox[SIDE_RIGHT].endpoint);
}

bool conf_pairing_uses_http(const struct conf_pairing *p)
{
	bool records = (conf_pairing_kinds(p) & ~(uint32_t)CONF_KIND_MAIL) != 0, dav = false;

	for (enum side side = SIDE_LEFT; side < SIDES; side++)
		if (conf_type_bit(p->mailbox[side].endpoint->type) == T_EXCHANGE)
			return true;
	for (enum side side = SIDE_LEFT; side < SIDES; side++)
		dav |= p->mailbox[side].endpoint->caldav != NULL || p->mailbox[side].endpoint->carddav != NULL;
	return records && dav;
}

bool conf_pairing_has_directory(const struct conf_pairing *p)
{
	return p->mailbox[SIDE_LEFT].endpoint->directory != NULL || p->mailbox[SIDE_RIGHT].endpoint->directory != NULL;
}

bool conf_never_stops(const struct conf_endpoint *e)
{
	return (conf_type_bit(e->type) & (T_EXCHANGE | T_EXCHANGE_ONLINE)) != 0;
}

const struct conf_pairing *conf_find_pairing(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_pairings; i++) {
		if (strcmp(conf->pairings[i].name, name) == 0)
			return &conf->pairings[i];
	}
	return NULL;
}

const struct conf_endpoint *conf_find_endpoint(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_endpoints; i++) {
		if (strcmp(conf->endpoints[i].name, name) == 0)
			return &conf->endpoints[i];
	}
	return NULL;
}

const char *conf_near_pairing(const struct conf *conf, const char *name)
{
	struct near near = { .word = name };

	for (size_t i = 0; i < conf->n_pairings; i++)
		near_offer(&near, conf->pairings[i].name);
	return near.best;
}
