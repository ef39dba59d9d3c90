/* imap_names.c - canonical paths to and from a server's mailbox names.
 *
 * A character that the server cannot hold is written as the private character U+F000 + its code (the
 * mapping that Samba and Cygwin use for file names), so that every other name, also one with '%',
 * arrives as it is. Level 0 writes the separator and control characters so; levels 1 and 2, for names
 * that the server refused, also what some servers do not take.
 *
 * 1. imap_path_of(imap_name_of(path, level)) == path for every level.
 * 2. A literal U+F000..U+F080 gets U+F080 in front.
 * Names on the server are kept as they are and never derived again from the path.
 * Its tests: tests/unit/t_imap_names.c, tests/fuzz/fuzz_mutf7.c.
 */
#include "imap.h"

#include "../data/path.h"
#include "imap_utf7.h"

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

/* What servers refuse, the usual first. */
static bool is_delicate(unsigned char c, unsigned level)
{
	static const char *const refused[] = { "", "./\\*%~^\"", "./\\*%~^\"|<>:?[]{}`$'!;#&" };

	return c != '\0' && strchr(refused[level], c) != NULL;
}

/* U+F000 .. U+F07F in UTF-8. */
static bool private_at(struct span s, size_t at, unsigned char *c_r)
{
	if (at >= s.n || s.n - at < 3 || s.p[at] != '\xef')
		return false;
	if ((s.p[at + 1] & 0xfe) != 0x80 || (s.p[at + 2] & 0xc0) != 0x80)
		return false;
	*c_r = (unsigned char)((s.p[at + 1] & 1) << 6 | (s.p[at + 2] & 0x3f));
	return true;
}

/* U+F080: what follows is meant literally. */
static bool guard_at(struct span s, size_t at)
{
	return at < s.n && s.n - at >= 3 && memcmp(s.p + at, "\xef\x82\x80", 3) == 0;
}

static char *put_private(char *p, unsigned char c)
{
	*p++ = '\xef';
	*p++ = (char)(0x80 | c >> 6);
	*p++ = (char)(0x80 | (c & 0x3f));
	return p;
}

static struct span unescape(struct arena *arena, struct span s)
{
	char *out = arena_raw(arena, s.n + 1), *p = out;
	unsigned char c;

	for (size_t at = 0; at < s.n;) {
		bool literal = guard_at(s, at) && (guard_at(s, at + 3) || private_at(s, at + 3, &c));

		if (literal) {
			p = mempcpy(p, s.p + at + 3, 3);
			at += 6;
		} else if (private_at(s, at, &c) && c != 0) {
			*p++ = (char)c;
			at += 3;
		} else {
			*p++ = s.p[at++];
		}
	}
	*p = '\0';
	return span_bytes(out, (size_t)(p - out));
}

static struct span escape(struct arena *arena, struct span s, char separator, unsigned level)
{
	char *out = arena_raw(arena, s.n * 3 + 1), *p = out;
	unsigned char c;

	for (size_t at = 0; at < s.n; at++) {
		unsigned char ch = (unsigned char)s.p[at];

		if (guard_at(s, at) || private_at(s, at, &c)) {
			p = mempcpy(p, "\xef\x82\x80", 3);
			p = mempcpy(p, s.p + at, 3);
			at += 2;
		} else if (is_control(ch) || (separator != '\0' && ch == (unsigned char)separator) ||
			   is_delicate(ch, level)) {
			p = put_private(p, ch);
		} else {
			*p++ = (char)ch;
		}
	}
	*p = '\0';
	return span_bytes(out, (size_t)(p - out));
}

/* --- names to paths --- */

/* Bytes that are neither mUTF-7 nor UTF-8: shown as '?', so that the path is UTF-8. */
static struct span make_printable(struct arena *arena, struct span raw)
{
	char *out = arena_str(arena, raw);

	for (size_t i = 0; i < raw.n; i++)
		if ((out[i] & 0x80) != 0 || out[i] == '\0')
			out[i] = '?';
	return span_bytes(out, raw.n);
}

static struct span decode_component(struct imap *im, struct arena *arena, struct span raw)
{
	struct span text = raw;

	if (!im->utf8 && !imap_utf7_decode(arena, raw, &text))
		text = raw;
	if (!span_is_utf8(text) || span_find(text, 0, '\0') != SIZE_MAX)
		text = make_printable(arena, raw);
	return path_encode_component(arena, unescape(arena, text));
}

static bool starts(struct span name, struct span prefix)
{
	return name.n >= prefix.n && span_eq(span_cut(name, 0, prefix.n), prefix);
}

static bool is_foreign(const struct imap *im, struct span name)
{
	for (size_t i = 0; i < im->n_foreign; i++)
		if (starts(name, im->foreign[i]))
			return true;
	return false;
}

bool imap_path_of(struct imap *im, struct arena *arena, struct span name, char separator, struct span *path_r)
{
	struct span rest = name, part, path = SPAN_NONE;

	if (span_eq_nocase_str(name, "INBOX")) {
		*path_r = SPAN_LIT("INBOX");
		return true;
	}
	if (is_foreign(im, name) || !starts(name, im->prefix) || name.n == im->prefix.n)
		return false;
	rest = span_cut(name, im->prefix.n, name.n);
	if (separator != '\0' && rest.p[rest.n - 1] == separator)
		rest.n--;                    /* "Parent/", as some show what only holds children */
	if (separator == '\0') {
		*path_r = decode_component(im, arena, rest);
		return true;
	}
	for (bool first = true; span_next(&rest, separator, &part); first = false) {
		if (part.n == 0)
			return false;        /* no path can say that */
		if (first && span_eq_nocase_str(part, "INBOX"))
			path = SPAN_LIT("INBOX");
		else
			path = path_join(arena, path, decode_component(im, arena, part));
	}
	*path_r = path;
	return true;
}

/* --- paths to names --- */

static bool encode_component(struct imap *im, struct arena *arena, struct span part, unsigned level,
			     struct span *raw_r)
{
	struct span text = escape(arena, path_decode_component(arena, part), im->separator, level);

	if (part.n == 0 || !span_is_utf8(text))
		return false;
	if (!im->utf8)
		return imap_utf7_encode(arena, text, raw_r);
	*raw_r = text;
	return true;
}

bool imap_name_of(struct imap *im, struct arena *arena, struct span path, unsigned level, struct span *name_r)
{
	struct span rest = path, part, raw;
	struct buf name;
	bool ok = path.n > 0 && path.p[path.n - 1] != '/';

	if (path_eq(path, SPAN_LIT("INBOX"))) {
		*name_r = SPAN_LIT("INBOX");
		return true;
	}
	buf_init(&name, 64 * 1024);
	buf_add_span(&name, im->prefix);
	for (bool first = true; ok && rest.n > 0 && span_next(&rest, '/', &part); first = false) {
		ok = encode_component(im, arena, part, level, &raw) && (first || im->separator != '\0');
		if (!first)
			buf_add_char(&name, im->separator);
		if (ok)
			buf_add_span(&name, raw);
	}
	ok = ok && !name.overflow && name.n > im->prefix.n;
	if (ok)
		*name_r = arena_span(arena, buf_span(&name));
	buf_free(&name);
	return ok;
}
