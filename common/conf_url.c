/* conf_url.c - which URLs a setting takes, and which hosts are this machine.
 *
 * 1. https:// everywhere, http:// only toward this machine: a password travels in each request.
 * 2. No user information and no fragment: a secret has its own place, and servers see no fragments.
 * 3. A proxy is http://host:port: it sees no password, because what goes through it is TLS.
 * 4. A directory is ldaps://, or ldap:// with StartTLS; nothing else stands in its URL.
 * 5. {mailbox} and {user} stand for the mailbox that is opened; in the path only, so that no mailbox's name
 *    decides which host gets a password.
 */
#include "conf_p.h"

#include <arpa/inet.h>
#include <strings.h>

bool conf_is_loopback(const char *server)
{
	struct in_addr address;

	if (strcasecmp(server, "localhost") == 0 || strcmp(server, "::1") == 0)
		return true;
	/* a dotted quad as a whole: "127.evil.example" is a name like any other */
	return inet_pton(AF_INET, server, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

bool conf_host_valid(const char *text)
{
	size_t n = strlen(text);

	return n > 0 && n <= 255 && text[0] != '-' && text[0] != '.' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz" "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789.-:_%") == n;
}

/* host, host:port, [address] or [address]:port; the host alone to host_r. */
static bool authority_valid(struct arena *arena, struct span text, const char **host_r)
{
	bool bracket = text.n > 0 && text.p[0] == '[';
	size_t end = bracket ? span_find(text, 1, ']') : span_find(text, 0, ':');
	struct span host = bracket ? span_cut(text, 1, end - 1) : span_cut(text, 0, end);
	struct span rest = span_cut(text, bracket ? end + 1 : end, text.n);
	uint64_t port;

	if (bracket && end == SIZE_MAX)
		return false;
	if (rest.n > 0 && (rest.p[0] != ':' || !span_u64(span_cut(rest, 1, rest.n), 65535, &port) || port == 0))
		return false;
	*host_r = arena_str(arena, host);
	return conf_host_valid(*host_r) && (bracket || strpbrk(*host_r, ":%") == NULL);
}

static bool path_valid(struct span path)
{
	static const char *const places[] = { "{mailbox}", "{user}" };

	for (size_t i = 0; i < path.n; i++) {
		bool known = false;

		if (path.p[i] <= ' ' || path.p[i] > '~' || strchr("\"<>\\^`|}", path.p[i]) != NULL)
			return false;
		if (path.p[i] != '{')
			continue;
		for (size_t k = 0; k < ARRAY_LEN(places) && !known; k++) {
			known = span_eq_str(span_cut(path, i, strlen(places[k])), places[k]);
			if (known)
				i += strlen(places[k]) - 1;
		}
		if (!known)
			return false;
	}
	return true;
}

enum code conf_url_check(const char *name, const char *text, struct arena *arena, struct err *err)
{
	struct span url = span_of(text);
	bool plain = span_starts_nocase(url, "http://");
	size_t from = plain ? 7 : 8, end;
	const char *host = NULL;

	if (!plain && !span_starts_nocase(url, "https://"))
		return err_set(err, E_CONF, "%s: '%.100s' is not a URL that begins with https://", name, text);
	if (span_find(url, 0, '#') != SIZE_MAX)
		return err_set(err, E_CONF, "%s: a URL with '#' is not possible here; leave out that part", name);
	end = span_find(url, from, '/');
	if (end == SIZE_MAX)
		end = url.n;
	/* not quoted: what stands before the @ may be a password */
	if (span_find(span_cut(url, 0, end), from, '@') != SIZE_MAX)
		return err_set(err, E_CONF,
			       "%s: no user or password may stand in the URL; use <LoginName> and <Password>", name);
	if (!authority_valid(arena, span_cut(url, from, end - from), &host))
		return err_set(err, E_CONF, "%s: '%.100s' has no valid host and port", name, text);
	if (!path_valid(span_cut(url, end, url.n)))
		return err_set(err, E_CONF,
			       "%s: '%.100s' has a character that must be written %%XX, or a {word} that is not "
			       "{mailbox} or {user}", name, text);
	if (plain && !conf_is_loopback(host))
		return err_set(err, E_CONF,
			       "%s: http:// is possible only with a server on this machine (localhost, 127.0.0.1, "
			       "::1), not with '%.100s'; write https://", name, host);
	return E_OK;
}

enum code conf_proxy_check(const char *name, const char *text, struct arena *arena, struct err *err)
{
	struct span url = span_of(text), rest;
	const char *host = NULL;

	if (!span_starts_nocase(url, "http://"))
		return err_set(err, E_CONF, "%s: '%.100s' is not a URL that begins with http://", name, text);
	rest = span_cut(url, 7, url.n);
	if (rest.n > 0 && rest.p[rest.n - 1] == '/')
		rest.n--;
	if (span_find(rest, 0, '@') != SIZE_MAX)
		return err_set(err, E_CONF, "%s: no user or password may stand in the URL", name);
	if (span_find(rest, 0, '/') != SIZE_MAX || !authority_valid(arena, rest, &host))
		return err_set(err, E_CONF, "%s: '%.100s' is not http://host:port", name, text);
	return E_OK;
}

/* ldaps:// and ldap://: the scheme's length, or 0. */
static size_t ldap_scheme(struct span url)
{
	return span_starts_nocase(url, "ldaps://") ? 8 : span_starts_nocase(url, "ldap://") ? 7 : 0;
}

enum code conf_ldap_check(const char *name, const char *text, struct arena *arena, struct err *err)
{
	struct span url = span_of(text), rest;
	const char *host = NULL;

	if (ldap_scheme(url) == 0)
		return err_set(err, E_CONF, "%s: '%.100s' is not ldaps://host:port, or ldap://host:port for StartTLS",
			       name, text);
	rest = span_cut(url, ldap_scheme(url), url.n);
	if (rest.n > 0 && rest.p[rest.n - 1] == '/')
		rest.n--;
	if (span_find(rest, 0, '@') != SIZE_MAX)
		return err_set(err, E_CONF, "%s: no user or password may stand in the URL; use <DirectoryLogin> and "
			       "<DirectoryPassword>", name);
	if (!authority_valid(arena, rest, &host))
		return err_set(err, E_CONF, "%s: '%.100s' is not ldaps://host:port; the place to search in is "
			       "<DirectoryBase>", name, text);
	return E_OK;
}

void conf_directory_parts(const char *url, struct arena *arena, struct conf_directory *parts_r)
{
	struct span text = span_of(url), rest = span_cut(text, ldap_scheme(text), text.n);
	size_t colon = span_find(rest, rest.n > 0 && rest.p[0] == '[' ? span_find(rest, 0, ']') : 0, ':');
	bool starttls = ldap_scheme(text) == 7;
	uint64_t port = starttls ? 3268 : 3269;

	if (rest.n > 0 && rest.p[rest.n - 1] == '/')
		rest.n--;
	if (colon != SIZE_MAX)
		(void)span_u64(span_cut(rest, colon + 1, rest.n), 65535, &port);
	rest = span_cut(rest, 0, colon);
	if (rest.n > 1 && rest.p[0] == '[')
		rest = span_cut(rest, 1, rest.n - 2);
	*parts_r = (struct conf_directory){ arena_str(arena, rest), (uint16_t)port, starttls };
}
