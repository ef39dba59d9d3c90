/* text.c - values of content lines: escaping, splitting, character sets, base64. */
#include "text.h"

#include "words.h"

struct span text_unescape(struct arena *arena, struct span v)
{
	if (span_find(v, 0, '\\') == SIZE_MAX)
		return v;
	char *out = arena_raw(arena, v.n + 1), *to = out;

	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i];

		if (c == '\\' && i + 1 < v.n) {
			c = v.p[++i];
			if (c == 'n' || c == 'N')
				c = '\n';
		}
		*to++ = c;
	}
	return span_bytes(out, (size_t)(to - out));
}

static bool must_escape(char c)
{
	return c == '\\' || c == ';' || c == ',' || c == '\n';
}

struct span text_escape(struct arena *arena, struct span s)
{
	size_t more = 0;

	for (size_t i = 0; i < s.n; i++)
		more += must_escape(s.p[i]) || s.p[i] == '\r';
	if (more == 0)
		return s;
	char *out = arena_raw(arena, s.n + more + 1), *to = out;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
			continue;
		if (must_escape(c))
			*to++ = '\\';
		*to++ = c == '\n' ? 'n' : c;
	}
	return span_bytes(out, (size_t)(to - out));
}

struct span text_canonical(struct arena *arena, struct span value)
{
	return text_escape(arena, text_unescape(arena, value));
}

bool text_next(struct span *rest, char sep, struct span *part_r)
{
	if (rest->p == NULL)
		return false;
	size_t i = 0;

	while (i < rest->n && rest->p[i] != sep)
		i += rest->p[i] == '\\' ? 2 : 1;
	if (i >= rest->n) {
		*part_r = *rest;
		*rest = SPAN_NONE;
		return true;
	}
	*part_r = span_cut(*rest, 0, i);
	*rest = span_bytes(rest->p + i + 1, rest->n - i - 1);
	return true;
}

static struct span fold_case(struct arena *arena, struct span s, char first, char last, int by)
{
	size_t i = 0;

	while (i < s.n && !(s.p[i] >= first && s.p[i] <= last))
		i++;
	if (i == s.n)
		return s;
	char *out = arena_str(arena, s);

	for (; i < s.n; i++) {
		if (out[i] >= first && out[i] <= last)
			out[i] = (char)(out[i] + by);
	}
	return span_bytes(out, s.n);
}

struct span text_upper(struct arena *arena, struct span s)
{
	return fold_case(arena, s, 'a', 'z', 'A' - 'a');
}

struct span text_lower(struct arena *arena, struct span s)
{
	return fold_case(arena, s, 'A', 'Z', 'a' - 'A');
}

size_t text_cut(struct span s, size_t max)
{
	if (s.n <= max)
		return s.n;
	size_t n = max;

	for (size_t back = 0; back < 4 && n > 1; back++, n--) {
		if (((unsigned char)s.p[n] & 0xc0) != 0x80)
			return n;
	}
	return max;                     /* not UTF-8: anywhere will do */
}

struct span text_to_utf8(struct arena *arena, struct span s, struct span charset)
{
	struct buf out;

	if (span_is_utf8(s) && (charset.n == 0 || span_starts_nocase(charset, "UTF-8")))
		return s;
	buf_init(&out, s.n * 4 + 16);
	bool known = !span_starts_nocase(charset, "UTF") && charset_to_utf8(charset, s, &out);
	if (!known && !span_is_utf8(s))
		known = charset_to_utf8(SPAN_LIT("WINDOWS-1252"), s, &out);
	if (known)
		s = arena_span(arena, buf_span(&out));
	buf_free(&out);
	return s;
}

static bool is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

static struct span clean(struct arena *arena, struct span s, char keep)
{
	size_t bad = 0;

	s = text_to_utf8(arena, s, SPAN_NONE);
	for (size_t i = 0; i < s.n; i++)
		bad += is_control(s.p[i]) && s.p[i] != keep;
	if (bad == 0)
		return s;
	char *out = arena_raw(arena, s.n + 1), *to = out;

	for (size_t i = 0; i < s.n; i++) {
		if (!is_control(s.p[i]) || s.p[i] == keep)
			*to++ = s.p[i];
	}
	return span_bytes(out, (size_t)(to - out));
}

struct span text_clean(struct arena *arena, struct span s)
{
	return clean(arena, s, '\t');
}

struct span text_clean_lines(struct arena *arena, struct span s)
{
	return clean(arena, s, '\n');
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct span text_from_qp(struct arena *arena, struct span s)
{
	char *out = arena_raw(arena, s.n + 1), *to = out;

	for (size_t i = 0; i < s.n; i++) {
		int high = s.p[i] == '=' && i + 2 < s.n ? hex(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex(s.p[i + 2]) : -1;

		if (low >= 0) {
			*to++ = (char)(high << 4 | low);
			i += 2;
		} else {
			*to++ = s.p[i];
		}
	}
	return span_bytes(out, (size_t)(to - out));
}

static bool is_base64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
	       c == '/' || c == '=';
}

static bool is_uri(char c)
{
	return c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '\\';
}

static struct span filter(struct arena *arena, struct span s, bool (*keep)(char c))
{
	char *out = arena_raw(arena, s.n + 1), *to = out;

	for (size_t i = 0; i < s.n; i++) {
		if (keep(s.p[i]))
			*to++ = s.p[i];
	}
	return span_bytes(out, (size_t)(to - out));
}

struct span text_base64(struct arena *arena, struct span s)
{
	return filter(arena, s, is_base64);
}

struct span text_uri(struct arena *arena, struct span s)
{
	return filter(arena, s, is_uri);
}
