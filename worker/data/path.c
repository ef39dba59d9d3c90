/* path.c - canonical folder paths. The escape is reversible because a '%' stands for itself exactly
 * when it cannot be mistaken for one: before anything but "2F" and "25".
 */
#include "path.h"

/* Is s[at..] an escape ("%2F", "%25")? */
static bool is_escape(struct span s, size_t at)
{
	return s.n - at >= 3 && s.p[at] == '%' && s.p[at + 1] == '2' &&
	       (s.p[at + 2] == 'F' || s.p[at + 2] == '5');
}

struct span path_encode_component(struct arena *arena, struct span component)
{
	size_t extra = 0;

	for (size_t i = 0; i < component.n; i++)
		extra += component.p[i] == '/' || is_escape(component, i) ? 2 : 0;
	char *out = arena_raw(arena, component.n + extra + 1), *to = out;
	for (size_t i = 0; i < component.n; i++) {
		if (component.p[i] == '/')
			to = mempcpy(to, "%2F", 3);
		else if (is_escape(component, i))
			to = mempcpy(to, "%25", 3);
		else
			*to++ = component.p[i];
	}
	*to = '\0';
	return span_bytes(out, (size_t)(to - out));
}

struct span path_decode_component(struct arena *arena, struct span encoded)
{
	char *out = arena_raw(arena, encoded.n + 1), *to = out;

	for (size_t i = 0; i < encoded.n; i++) {
		if (!is_escape(encoded, i)) {
			*to++ = encoded.p[i];
			continue;
		}
		*to++ = encoded.p[i + 2] == 'F' ? '/' : '%';
		i += 2;
	}
	*to = '\0';
	return span_bytes(out, (size_t)(to - out));
}

struct span path_join(struct arena *arena, struct span parent, struct span encoded_component)
{
	if (parent.n == 0)
		return arena_span(arena, encoded_component);
	char *out = arena_raw(arena, parent.n + encoded_component.n + 2), *to = out;

	to = mempcpy(to, parent.p, parent.n);
	*to++ = '/';
	if (encoded_component.n > 0)
		to = mempcpy(to, encoded_component.p, encoded_component.n);
	*to = '\0';
	return span_bytes(out, (size_t)(to - out));
}

static size_t last_slash(struct span path)
{
	const char *hit = path.n > 0 ? memrchr(path.p, '/', path.n) : NULL;

	return hit == NULL ? SIZE_MAX : (size_t)(hit - path.p);
}

struct span path_parent(struct span path)
{
	size_t at = last_slash(path);

	return at == SIZE_MAX ? SPAN_NONE : span_cut(path, 0, at);
}

struct span path_last(struct span path)
{
	size_t at = last_slash(path);

	return at == SIZE_MAX ? path : span_cut(path, at + 1, path.n - at - 1);
}

size_t path_depth(struct span path)
{
	size_t n = path.n > 0 ? 1 : 0;

	for (size_t at = span_find(path, 0, '/'); at != SIZE_MAX; at = span_find(path, at + 1, '/'))
		n++;
	return n;
}

static bool is_prefix(struct span path, struct span ancestor)
{
	return ancestor.n > 0 && path.n > ancestor.n + 1 && path.p[ancestor.n] == '/';
}

bool path_is_below(struct span path, struct span ancestor)
{
	return is_prefix(path, ancestor) && span_eq(span_cut(path, 0, ancestor.n), ancestor);
}

bool path_eq(struct span a, struct span b)
{
	if (span_eq_nocase_str(a, "INBOX"))
		return span_eq_nocase_str(b, "INBOX");
	return span_eq(a, b);
}

bool path_matches(struct span path, struct span pattern)
{
	if (span_eq_nocase(path, pattern))
		return true;
	if (pattern.n < 3 || memcmp(pattern.p + pattern.n - 2, "/*", 2) != 0)
		return false;
	struct span ancestor = span_cut(pattern, 0, pattern.n - 2);

	return is_prefix(path, ancestor) && span_eq_nocase(span_cut(path, 0, ancestor.n), ancestor);
}
