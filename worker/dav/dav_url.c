/* dav_url.c - one form for everything that has many. Its test: tests/unit/t_dav_url.c. */
#include "dav_url.h"

#include "../../common/secret.h"
#include "../data/path.h"
#include "../http/http_url.h"

#define UID_NAME_MAX 120
#define DISPLAY_MAX 200

static bool plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || c == '~' || c == '@';
}

static char *encode(char *to, struct span s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (plain(s.p[i])) {
			*to++ = s.p[i];
			continue;
		}
		*to++ = '%';
		*to++ = hex[c >> 4];
		*to++ = hex[c & 15];
	}
	return to;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A '%' that begins no escape stands for itself. */
static struct span decode(struct arena *arena, struct span s)
{
	char *out = arena_raw(arena, s.n + 1), *to = out;

	for (size_t i = 0; i < s.n; i++) {
		int high = s.p[i] == '%' && i + 2 < s.n ? digit(s.p[i + 1]) : -1;
		int low = high >= 0 ? digit(s.p[i + 2]) : -1;

		if (low < 0) {
			*to++ = s.p[i];
			continue;
		}
		*to++ = (char)(high * 16 + low);
		i += 2;
	}
	*to = '\0';
	return span_bytes(out, (size_t)(to - out));
}

char *dav_expand(struct arena *arena, const char *template, const char *mailbox, const char *user)
{
	struct span t = span_of(template);
	char *out = arena_raw(arena, t.n * (3 * (strlen(mailbox) + strlen(user)) + 1) + 1), *to = out;

	for (size_t i = 0; i < t.n; i++) {
		struct span rest = span_cut(t, i, t.n);

		if (span_starts_nocase(rest, "{mailbox}")) {
			to = encode(to, span_of(mailbox));
			i += 8;
		} else if (span_starts_nocase(rest, "{user}")) {
			to = encode(to, span_of(user));
			i += 5;
		} else {
			*to++ = t.p[i];
		}
	}
	*to = '\0';
	return out;
}

/* Servers write blanks and UTF-8 into hrefs as they are. */
static struct span escape_bad(struct arena *arena, struct span href)
{
	char *out = arena_raw(arena, href.n * 3 + 1), *to = out;

	for (size_t i = 0; i < href.n; i++) {
		unsigned char c = (unsigned char)href.p[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\')
			to = encode(to, span_cut(href, i, 1));
		else
			*to++ = href.p[i];
	}
	return span_bytes(out, (size_t)(to - out));
}

static bool is_dots(struct span segment)
{
	return span_eq_str(segment, ".") || span_eq_str(segment, "..");
}

/* SPAN_NONE where a segment would lead elsewhere once it is decoded. */
static struct span canonical(struct arena *arena, struct span path)
{
	struct span rest = path, part;
	char *out = arena_raw(arena, path.n * 3 + 2), *to = out;
	bool first = true;

	while (span_next(&rest, '/', &part)) {
		if (!first)
			*to++ = '/';
		first = false;
		part = decode(arena, part);
		if (is_dots(part))
			return SPAN_NONE;
		to = encode(to, part);
	}
	if (to == out)
		*to++ = '/';
	*to = '\0';
	return span_bytes(out, (size_t)(to - out));
}

struct span dav_path(struct arena *arena, struct span base, struct span href, struct span *origin_r)
{
	char *whole = http_url_resolve(arena, base, escape_bad(arena, href));
	struct http_url u;

	if (whole == NULL || !http_url_split(span_of(whole), &u))
		return SPAN_NONE;
	if (origin_r != NULL)
		*origin_r = u.origin;
	return canonical(arena, span_cut(u.path, 0, span_find(u.path, 0, '?')));
}

struct span dav_as_collection(struct arena *arena, struct span path)
{
	if (path.n > 0 && path.p[path.n - 1] == '/')
		return path;
	return span_of(arena_printf(arena, SPAN_FMT "/", SPAN_ARG(path)));
}

struct span dav_last_segment(struct arena *arena, struct span path)
{
	size_t end = path.n, at;

	if (end > 0 && path.p[end - 1] == '/')
		end--;
	for (at = end; at > 0 && path.p[at - 1] != '/'; at--)
		;
	return decode(arena, span_cut(path, at, end - at));
}

struct span dav_item_name(struct arena *arena, struct span collection, struct span path)
{
	struct span rest = span_cut(path, collection.n, path.n);

	if (path.n <= collection.n || memcmp(path.p, collection.p, collection.n) != 0 ||
	    span_find(rest, 0, '/') != SIZE_MAX)
		return SPAN_NONE;
	return decode(arena, rest);
}

struct span dav_item_path(struct arena *arena, struct span collection, struct span name)
{
	char *out = arena_raw(arena, collection.n + 3 * name.n + 1);
	char *to = encode(mempcpy(out, collection.p, collection.n), name);

	*to = '\0';
	return span_bytes(out, (size_t)(to - out));
}

struct span dav_new_name(struct arena *arena, struct span uid, unsigned int attempt, const char *suffix)
{
	bool harmless = attempt == 0 && uid.n > 0 && uid.n <= UID_NAME_MAX && uid.p[0] != '.' && uid.p[0] != '~';
	uint8_t digest[DIGEST_SIZE];
	char hex[2 * DIGEST_SIZE + 1];

	for (size_t i = 0; harmless && i < uid.n; i++)
		harmless = plain(uid.p[i]);
	if (harmless)
		return span_of(arena_printf(arena, SPAN_FMT "%s", SPAN_ARG(uid), suffix));
	digest_of(uid.p != NULL ? uid.p : "", uid.n, digest);
	hex_encode(digest, 16, hex);
	if (attempt <= 1)
		return span_of(arena_printf(arena, "%s%s", hex, suffix));
	return span_of(arena_printf(arena, "%s-%u%s", hex, attempt, suffix));
}

/* --- display names --- */

static bool visible(struct span s, size_t at)
{
	return at < s.n && (unsigned char)s.p[at] > ' ' && s.p[at] != '/';
}

/* Without control characters, blanks at both ends, or an end that is cut through a character. */
static struct span tidy(struct arena *arena, struct span name)
{
	char *out = arena_raw(arena, name.n + 1), *to = out;

	for (size_t i = 0, len; i < name.n && (size_t)(to - out) < DISPLAY_MAX; i += len > 0 ? len : 1) {
		len = span_utf8(name, i, NULL);
		if (len == 0 || (unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f)
			continue;
		to = mempcpy(to, name.p + i, len);
	}
	return span_trim(span_bytes(out, (size_t)(to - out)));
}

static struct span encode_level(struct arena *arena, struct span level)
{
	struct span decoded = path_decode_component(arena, level);
	struct span again = path_encode_component(arena, decoded);

	/* "A%2FB" was written by dav_display_name(), or means the same */
	return span_eq(again, level) ? level : path_encode_component(arena, level);
}

struct span dav_folder_path(struct arena *arena, struct span display_name)
{
	struct span name = tidy(arena, display_name), path = SPAN_NONE;
	size_t from = 0;

	for (size_t i = 0; i <= name.n; i++) {
		if (i < name.n && (name.p[i] != '/' || i == 0 || !visible(name, i - 1) || !visible(name, i + 1)))
			continue;
		struct span level = span_cut(name, from, i - from);

		path = path.n == 0 ? encode_level(arena, level) : path_join(arena, path, encode_level(arena, level));
		from = i + 1;
	}
	return path;
}

struct span dav_display_name(struct arena *arena, struct span path)
{
	struct span rest = path, part, name = SPAN_NONE;

	while (span_next(&rest, '/', &part)) {
		struct span level = path_decode_component(arena, part);

		name = name.p == NULL ? level : span_of(arena_printf(arena, SPAN_FMT "/" SPAN_FMT, SPAN_ARG(name),
								     SPAN_ARG(level)));
	}
	if (span_eq(dav_folder_path(arena, name), path))
		return name;
	return span_eq(dav_folder_path(arena, path), path) ? path : SPAN_NONE;
}
