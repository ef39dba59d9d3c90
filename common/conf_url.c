/* conf_url.c - which URLs a setting takes, and which hosts are this machine.
 *
 * 1. https:// everywhere, http:// only toward this machine: a password travels in each request.
 * 2. No user information and no fragment: a secret has its own place, and servers see no fragments.
 * 3. A proxy is http://host:port: it sees no password, because what goes through it is TLS.
 * 4. {mailbox} and {user} stand for the mailbox that is opened; in the path only, so that no mailbox's name
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
