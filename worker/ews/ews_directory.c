/* ews_directory.c - whom the organisation has mailboxes for: from its Active Directory where the endpoint has a
 * <Directory>, else by ResolveNames (ews_resolve.c).
 *
 * A global catalog knows the whole forest. Every mailbox counts, also one that address lists do not show and one whose
 * account is disabled: what becomes of them is for a person to say. An entry without an address is left out.
 */
#include "ews.h"

#include "ews_directory.h"
#include "ews_ldap.h"

#define GLOBAL_CATALOG(port) ((port) == 3268 || (port) == 3269)
#define ACCOUNT_DISABLED 2

#define FILTER "(&(objectCategory=person)(objectClass=user)(mailNickname=*)" \
	       "(|(msExchMailboxGuid=*)(homeMDB=*)(msExchHomeServerName=*)))"

enum attr { A_MAIL, A_PROXIES, A_NAME, A_LOGIN, A_TYPE, A_HIDDEN, A_CONTROL, ATTRS };
static const char *const attrs[] = {
	[A_MAIL] = "mail", [A_PROXIES] = "proxyAddresses", [A_NAME] = "displayName", [A_LOGIN] = "userPrincipalName",
	[A_TYPE] = "msExchRecipientTypeDetails", [A_HIDDEN] = "msExchHideFromAddressLists",
	[A_CONTROL] = "userAccountControl", [ATTRS] = NULL,
};

/* msExchRecipientTypeDetails. Not there: a user's, of an older Exchange. */
const char *ews_directory_type(struct span number)
{
	static const struct { uint64_t number; const char *name; } types[] = {
		{ 1, "user" }, { 2, "linked" }, { 4, "shared" }, { 8, "user" }, { 16, "room" }, { 32, "equipment" },
		{ UINT64_C(1) << 23, "system" }, { UINT64_C(1) << 29, "system" }, { UINT64_C(1) << 31, "remote" },
		{ UINT64_C(1) << 33, "remote" }, { UINT64_C(1) << 34, "remote" }, { UINT64_C(1) << 35, "remote" },
		{ UINT64_C(1) << 36, "system" }, { UINT64_C(1) << 37, "team" }, { UINT64_C(1) << 39, "system" },
		{ UINT64_C(1) << 41, "room" }, { UINT64_C(1) << 42, "system" },
	};
	uint64_t n = 1;

	if (number.n > 0 && !span_u64(number, INT64_MAX, &n))
		return "other";
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].number == n)
			return types[i].name;
	return "other";
}

struct span ews_directory_smtp(struct span proxy)
{
	return span_starts_nocase(proxy, "smtp:") ? span_cut(proxy, 5, proxy.n) : SPAN_NONE;
}

static struct span first(const struct ews_ldap_values *v)
{
	return v->n > 0 ? v->v[0] : SPAN_NONE;
}

/* The one written in capitals is the primary address. The others to `rest`. */
static struct span primary(const struct ews_ldap_values *proxies, struct span mail, struct span *rest, size_t *n_r)
{
	struct span found = mail;

	for (size_t i = 0; i < proxies->n; i++)
		if (span_eq_str(span_cut(proxies->v[i], 0, 5), "SMTP:"))
			found = ews_directory_smtp(proxies->v[i]);
	*n_r = 0;
	for (size_t i = 0; i < proxies->n; i++) {
		struct span address = ews_directory_smtp(proxies->v[i]);

		if (address.n > 0 && !span_eq_nocase(address, found))
			rest[(*n_r)++] = address;
	}
	return found;
}

struct listing {
	struct ep_directory *d;
	struct arena *arena;             /* of one entry */
};

static enum code on_entry(void *ctx, const struct ews_ldap_values *v, struct err *err)
{
	struct listing *l = ctx;
	struct ep_address a = { .name = first(&v[A_NAME]), .login = first(&v[A_LOGIN]),
				.type = ews_directory_type(first(&v[A_TYPE])) };
	uint64_t control = 0;

	arena_reset(l->arena);
	a.aliases = arena_calloc(l->arena, v[A_PROXIES].n + 1, sizeof(*a.aliases));
	a.address = primary(&v[A_PROXIES], first(&v[A_MAIL]), a.aliases, &a.n_aliases);
	a.hidden = span_eq_nocase_str(first(&v[A_HIDDEN]), "TRUE");
	(void)span_u64(first(&v[A_CONTROL]), UINT32_MAX, &control);
	a.disabled = (control & ACCOUNT_DISABLED) != 0;
	return a.address.n > 0 ? l->d->one(l->d->ctx, &a, err) : E_OK;
}

/* --- where to search --- */

struct root {
	struct arena *arena;
	const char *base;
};

static enum code on_root(void *ctx, const struct ews_ldap_values *v, struct err *err)
{
	struct root *r = ctx;

	(void)err;
	for (size_t i = 0; i < 2 && r->base == NULL; i++)
		if (v[i].n > 0)
			r->base = arena_str(r->arena, v[i].v[0]);
	return E_OK;
}

static enum code find_base(const struct conf_endpoint *conf, const struct conf_directory *at, struct ews_ldap *ldap,
			   struct arena *arena, const char **base_r, struct err *err)
{
	static const char *const wanted[] = { "defaultNamingContext", "namingContexts", NULL };
	struct root r = { arena, conf->directory_base };
	struct ews_ldap_search s = { .base = "", .filter = "(objectClass=*)", .attrs = wanted, .ctx = &r,
				     .entry = on_root };
	enum code rc = E_OK;

	if (r.base == NULL && GLOBAL_CATALOG(at->port))
		r.base = "";
	if (r.base == NULL)
		rc = ews_ldap_find(ldap, &s, err);
	if (rc == E_OK && r.base == NULL)
		rc = err_set(err, E_CONF, "directory %s does not say what it holds; add a <DirectoryBase>", at->host);
	*base_r = r.base;
	return rc;
}

static enum code from_ldap(struct endpoint *ep, struct arena *arena, struct ep_directory *d, struct err *err)
{
	const struct conf_endpoint *conf = ep->env.conf;
	struct listing l = { d, NULL };
	struct ews_ldap_conf lc = { .endpoint = conf->name, .ca_pem = ep->env.ca_pem,
				    .user = conf->directory_login != NULL ? conf->directory_login : conf->login };
	struct ews_ldap_search s = { .deep = true, .filter = FILTER, .attrs = attrs, .ctx = &l, .entry = on_entry };
	struct secret *secret = NULL;
	struct ews_ldap *ldap = NULL;
	enum code rc = ep->env.secret(ep->env.ctx, "directory", &secret, err);

	if (rc != E_OK)
		return rc;
	if (secret == NULL)
		return err_set(err, E_CREDENTIALS_MISSING, "endpoint %s has no password for its directory", conf->name);
	conf_directory_parts(conf->directory, arena, &lc.at);
	lc.secret = secret;
	d->source = conf->directory;
	l.arena = arena_new((size_t)16 << 20);
	rc = ews_ldap_open(&lc, &ldap, err);
	if (rc == E_OK)
		rc = find_base(conf, &lc.at, ldap, arena, &s.base, err);
	if (rc == E_OK)
		rc = ews_ldap_find(ldap, &s, err);
	ews_ldap_close(&ldap);
	secret_free(&secret);
	arena_free(&l.arena);
	return rc;
}

enum code ews_directory_verb(struct endpoint *ep, struct arena *arena, struct ep_directory *d, struct err *err)
{
	return ep->env.conf->directory != NULL ? from_ldap(ep, arena, d, err) : ews_resolve_all(ep, arena, d, err);
}
