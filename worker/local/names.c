/* names.c - modified UTF-7 with one escape, and the way between ".A.B" and "A/B".
 *
 * Decoding accepts only what encoding produces: it encodes again and compares. That makes the map
 * one to one without a list of special cases.
 */
#include "names.h"

#include "../data/path.h"

#include <limits.h>

#define PART_MAX ((size_t)64 * 1024)     /* longer components are not even looked at */

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
static const char digits16[] = "0123456789ABCDEF";

/* Value of an upper-case hexadecimal digit, or -1. */
static int hex_value(char c)
{
	const char *hit = c == '\0' ? NULL : strchr(digits16, c);

	return hit == NULL ? -1 : (int)(hit - digits16);
}

/* The byte that an escape at s[at] stands for, or -1 if there is none. */
static int escape_at(struct span s, size_t at)
{
	if (s.n - at < 3 || s.p[at] != '%')
		return -1;
	int high = hex_value(s.p[at + 1]), low = hex_value(s.p[at + 2]);

	if (high < 0 || low < 0)
		return -1;
	int byte = high * 16 + low;

	return byte >= 0x80 || byte == '.' || byte == '/' || byte == '%' ? byte : -1;
}

/* The encoder: where it writes, and the bits of an open base64 run. */
struct enc {
	char *to;
	bool open;
	uint32_t bits;
	unsigned n_bits;
};

static void put_unit(struct enc *e, uint32_t unit)
{
	if (!e->open)
		*e->to++ = '&';
	e->open = true;
	e->bits = e->bits << 16 | unit;
	e->n_bits += 16;
	while (e->n_bits >= 6) {
		e->n_bits -= 6;
		*e->to++ = digits64[e->bits >> e->n_bits & 63];
	}
	e->bits &= (1u << e->n_bits) - 1;
}

static void close_run(struct enc *e)
{
	if (!e->open)
		return;
	if (e->n_bits > 0)
		*e->to++ = digits64[e->bits << (6 - e->n_bits) & 63];
	*e->to++ = '-';
	*e = (struct enc){ .to = e->to };
}

static void put_escape(struct enc *e, unsigned char byte)
{
	close_run(e);
	*e->to++ = '%';
	*e->to++ = digits16[byte >> 4];
	*e->to++ = digits16[byte & 15];
}

static void put_ascii(struct enc *e, struct span s, size_t at)
{
	char c = s.p[at];

	close_run(e);
	if (c == '.' || c == '/' || escape_at(s, at) >= 0) {
		put_escape(e, (unsigned char)c);
		return;
	}
	*e->to++ = c;
	if (c == '&')
		*e->to++ = '-';
}

struct span names_encode_part(struct arena *arena, struct span component)
{
	/* the worst case is one control byte between two others: '&', three digits, '-' */
	char *out = arena_raw(arena, component.n * 5 + 3);
	struct enc e = { .to = out };
	size_t n;

	for (size_t at = 0; at < component.n; at += n) {
		uint32_t cp = 0;

		n = span_utf8(component, at, &cp);
		if (n == 0) {
			put_escape(&e, (unsigned char)component.p[at]);
			n = 1;
		} else if (cp >= ' ' && cp <= '~') {
			put_ascii(&e, component, at);
		} else if (cp >= 0x10000) {
			put_unit(&e, 0xd800 + ((cp - 0x10000) >> 10));
			put_unit(&e, 0xdc00 + ((cp - 0x10000) & 0x3ff));
		} else {
			put_unit(&e, cp);
		}
	}
	close_run(&e);
	*e.to = '\0';
	return span_bytes(out, (size_t)(e.to - out));
}

/* Decode one base64 run without its '&' and '-'; NULL if it is not a whole one. Sloppy padding is
 * left to the comparison. */
static char *decode_run(struct span run, char *to)
{
	uint32_t bits = 0, high = 0;
	unsigned n_bits = 0;

	for (size_t i = 0; i < run.n; i++) {
		const char *hit = run.p[i] == '\0' ? NULL : strchr(digits64, run.p[i]);

		if (hit == NULL)
			return NULL;
		bits = bits << 6 | (uint32_t)(hit - digits64);
		n_bits += 6;
		if (n_bits < 16)
			continue;
		n_bits -= 16;
		uint32_t unit = bits >> n_bits & 0xffff;

		bits &= (1u << n_bits) - 1;
		if (unit >= 0xd800 && unit < 0xdc00) {
			high = unit;
			continue;
		}
		if (unit >= 0xdc00 && unit < 0xe000 && high != 0)
			unit = 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00);
		to = utf8_put(to, unit);
		high = 0;
	}
	return to;
}

bool names_decode_part(struct arena *arena, struct span part, struct span *component_r)
{
	if (part.n > PART_MAX)
		return false;
	/* three base64 digits make at most three bytes of UTF-8, so nothing grows */
	char *out = arena_raw(arena, part.n + 4), *to = out;

	for (size_t at = 0; at < part.n; at++) {
		int byte = escape_at(part, at);

		if (byte >= 0) {
			*to++ = (char)byte;
			at += 2;
			continue;
		}
		if (part.p[at] != '&') {
			*to++ = part.p[at];
			continue;
		}
		size_t end = span_find(part, at + 1, '-');
		if (end == SIZE_MAX)
			return false;
		if (end == at + 1)
			*to++ = '&';
		else if ((to = decode_run(span_cut(part, at + 1, end - at - 1), to)) == NULL)
			return false;
		at = end;
	}
	*to = '\0';
	*component_r = span_bytes(out, (size_t)(to - out));
	return span_eq(names_encode_part(arena, *component_r), part);
}

/* A foreign part as it stands, with bytes that are no UTF-8 shown as %XX. */
static struct span as_it_stands(struct arena *arena, struct span part)
{
	char *out = arena_raw(arena, part.n * 3 + 1);
	struct enc e = { .to = out };
	size_t n;
	uint32_t cp;

	for (size_t at = 0; at < part.n; at += n) {
		n = span_utf8(part, at, &cp);
		if (n > 0) {
			e.to = mempcpy(e.to, part.p + at, n);
			continue;
		}
		put_escape(&e, (unsigned char)part.p[at]);
		n = 1;
	}
	*e.to = '\0';
	return span_bytes(out, (size_t)(e.to - out));
}

bool names_from_dir(struct arena *arena, struct span dir, struct span *path_r, bool *exact_r)
{
	struct span rest = dir, part, component, path = SPAN_NONE;

	*exact_r = true;
	if (span_eq_str(dir, ".")) {
		*path_r = SPAN_LIT("INBOX");
		return true;
	}
	if (dir.n < 2 || dir.p[0] != '.')
		return false;
	rest = span_cut(dir, 1, dir.n - 1);
	while (span_next(&rest, '.', &part)) {
		if (part.n == 0)
			return false;
		if (!names_decode_part(arena, part, &component)) {
			component = as_it_stands(arena, part);
			*exact_r = false;
		}
		path = path_join(arena, path, path_encode_component(arena, component));
	}
	/* the root is INBOX; a directory that would be called so as well is another one */
	if (span_eq_nocase_str(path, "INBOX"))
		*exact_r = false;
	*path_r = path;
	return true;
}

enum code names_to_dir(struct arena *arena, struct span path, struct span *dir_r, struct err *err)
{
	struct span rest = path, part;
	char dir[NAME_MAX + 1];
	size_t n = 0;

	if (span_eq_nocase_str(path, "INBOX")) {
		*dir_r = SPAN_LIT(".");
		return E_OK;
	}
	if (path.n == 0 || path.n > PART_MAX)
		return err_set(err, E_FOLDER_NAME, "a folder's name is empty or very long");
	while (span_next(&rest, '/', &part)) {
		struct span e = names_encode_part(arena, path_decode_component(arena, part));

		if (e.n == 0)
			return err_set(err, E_FOLDER_NAME, "a folder's name has an empty part");
		if (e.n + 1 > NAME_MAX - n)
			return err_set(err, E_FOLDER_NAME,
				       "a folder's name is longer than a directory's name may be");
		dir[n++] = '.';
		memcpy(dir + n, e.p, e.n);
		n += e.n;
	}
	*dir_r = arena_span(arena, span_bytes(dir, n));
	return E_OK;
}
