/* http_url.c - splitting, comparing and resolving URLs. Its test: tests/unit/t_http_url.c. */
#include "http_url.h"

#define URL_MAX ((size_t)16 * 1024)

static bool host_char(char c, bool bracketed)
{
	if ((c >= '0' && c <= '9') || c == '.')
		return true;
	if (bracketed)
		return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':';
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

static bool clean(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == 0x7f || c == '#' || c == '"' || c == '<' || c == '>' || c == '\\')
			return false;
	}
	return true;
}

/* "host", "host:1", "[::1]:1" */
static bool split_authority(struct span a, struct http_url *u)
{
	bool bracketed = a.n > 0 && a.p[0] == '[';
	size_t end = bracketed ? span_find(a, 1, ']') : span_find(a, 0, ':');
	struct span rest;
	uint64_t port;

	if (bracketed && end == SIZE_MAX)
		return false;
	if (end == SIZE_MAX)
		end = a.n;
	u->host = bracketed ? span_cut(a, 1, end - 1) : span_cut(a, 0, end);
	rest = span_cut(a, bracketed ? end + 1 : end, a.n);
	for (size_t i = 0; i < u->host.n; i++)
		if (!host_char(u->host.p[i], bracketed))
			return false;
	u->port = u->tls ? 443 : 80;
	if (u->host.n == 0 || u->host.n > 255)
		return false;
	if (rest.n == 0)
		return true;
	if (rest.p[0] != ':' || !span_u64(span_cut(rest, 1, rest.n), 65535, &port) || port == 0)
		return false;
	u->port = (uint16_t)port;
	return true;
}

bool http_url_split(struct span url, struct http_url *u)
{
	size_t at;

	*u = (struct http_url){ 0 };
	if (url.n > URL_MAX || !clean(url))
		return false;
	if (span_starts_nocase(url, "https://"))
		u->tls = true;
	else if (!span_starts_nocase(url, "http://"))
		return false;
	size_t start = u->tls ? 8 : 7;
	for (at = start; at < url.n && url.p[at] != '/' && url.p[at] != '?'; at++)
		;
	u->origin = span_cut(url, 0, at);
	u->path = span_cut(url, at, url.n);
	return split_authority(span_cut(url, start, at - start), u);
}

bool http_url_same_origin(const struct http_url *a, const struct http_url *b)
{
	return a->tls == b->tls && a->port == b->port && span_eq_nocase(a->host, b->host);
}

/* Drop the last segment that was written to out[0..n), with its '/'. */
static size_t drop_segment(const char *out, size_t n)
{
	while (n > 0 && out[n - 1] != '/')
		n--;
	return n > 0 ? n - 1 : 0;
}

/* RFC 3986 5.2.4 for a path that begins with '/'; in place, returns the new length. */
static size_t remove_dots(char *path, size_t n)
{
	struct span rest = span_bytes(path + 1, n - 1), part;
	size_t to = 0;
	bool last_is_dir = false;

	while (span_next(&rest, '/', &part)) {
		last_is_dir = true;
		if (span_eq_str(part, "."))
			continue;
		if (span_eq_str(part, "..")) {
			to = drop_segment(path, to);
			continue;
		}
		path[to++] = '/';
		memmove(path + to, part.p, part.n);
		to += part.n;
		last_is_dir = false;
	}
	if (last_is_dir)
		path[to++] = '/';
	return to;
}

static bool has_scheme(struct span s)
{
	size_t i = 0;

	while (i < s.n && ((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
			   (i > 0 && ((s.p[i] >= '0' && s.p[i] <= '9') || strchr("+-.", s.p[i]) != NULL))))
		i++;
	return i > 0 && i < s.n && s.p[i] == ':';
}

static char *build(struct arena *arena, struct span origin, struct span dir, struct span path)
{
	size_t query = span_find(path, 0, '?'), bare = query == SIZE_MAX ? path.n : query;
	char *out = arena_raw(arena, origin.n + dir.n + path.n + 2), *at = out;

	at = mempcpy(at, origin.p, origin.n);
	char *begin = at;
	if (dir.n > 0)
		at = mempcpy(at, dir.p, dir.n);
	if (bare > 0)
		at = mempcpy(at, path.p, bare);
	if (at == begin)
		*at++ = '/';
	at = begin + remove_dots(begin, (size_t)(at - begin));
	if (at == begin)
		*at++ = '/';
	if (bare < path.n)
		at = mempcpy(at, path.p + bare, path.n - bare);
	*at = '\0';
	return out;
}

char *http_url_resolve(struct arena *arena, struct span base, struct span ref)
{
	size_t fragment = span_find(ref, 0, '#');
	struct http_url b, u;

	if (fragment != SIZE_MAX)
		ref = span_cut(ref, 0, fragment);
	if (ref.n > URL_MAX || !clean(ref) || !http_url_split(base, &b))
		return NULL;
	if (has_scheme(ref))
		return http_url_split(ref, &u) ? build(arena, u.origin, SPAN_NONE, u.path) : NULL;
	if (ref.n >= 2 && ref.p[0] == '/' && ref.p[1] == '/') {
		const char *whole = arena_printf(arena, "%s:" SPAN_FMT, b.tls ? "https" : "http", SPAN_ARG(ref));

		return http_url_split(span_of(whole), &u) ? build(arena, u.origin, SPAN_NONE, u.path) : NULL;
	}
	if (ref.n > 0 && ref.p[0] == '/')
		return build(arena, b.origin, SPAN_NONE, ref);
	size_t query = span_find(b.path, 0, '?');
	struct span dir = span_cut(b.path, 0, query);

	if (ref.n == 0)
		return build(arena, b.origin, SPAN_NONE, b.path);
	if (ref.p[0] == '?')
		return build(arena, b.origin, dir, ref);
	while (dir.n > 0 && dir.p[dir.n - 1] != '/')
		dir.n--;
	return build(arena, b.origin, dir.n > 0 ? dir : SPAN_LIT("/"), ref);
}
