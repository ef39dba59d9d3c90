/* imap_utf7.c - modified UTF-7.
 *
 * The decoder is strict: what it accepts is exactly what the encoder writes, so a name never has two
 * spellings. Its tests: tests/unit/t_imap_utf7.c, tests/fuzz/fuzz_mutf7.c.
 */
#include "imap_utf7.h"

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool is_direct(uint32_t cp)
{
	return cp >= 0x20 && cp <= 0x7e;
}

/* Bits waiting for their base64 digit. */
struct bits {
	uint32_t value;
	unsigned n;
	bool open;               /* between '&' and '-' */
};

static char *put_unit(char *p, struct bits *b, uint32_t unit)
{
	b->value = b->value << 16 | unit;
	b->n += 16;
	while (b->n >= 6) {
		b->n -= 6;
		*p++ = digits64[b->value >> b->n & 0x3f];
	}
	b->value &= (1U << b->n) - 1;
	return p;
}

static char *close_run(char *p, struct bits *b)
{
	if (!b->open)
		return p;
	if (b->n > 0)
		*p++ = digits64[b->value << (6 - b->n) & 0x3f];
	*p++ = '-';
	*b = (struct bits){ 0 };
	return p;
}

static char *put_encoded(char *p, struct bits *b, uint32_t cp)
{
	if (!b->open)
		*p++ = '&';
	b->open = true;
	if (cp < 0x10000)
		return put_unit(p, b, cp);
	p = put_unit(p, b, 0xd800 + ((cp - 0x10000) >> 10));
	return put_unit(p, b, 0xdc00 + ((cp - 0x10000) & 0x3ff));
}

bool imap_utf7_encode(struct arena *arena, struct span utf8, struct span *mutf7_r)
{
	/* at most 6 digits for a pair of units, '&' and '-' around each character */
	char *out = arena_raw(arena, utf8.n * 6 + 8), *p = out;
	struct bits b = { 0 };
	uint32_t cp;
	size_t n;

	for (size_t at = 0; at < utf8.n; at += n) {
		n = span_utf8(utf8, at, &cp);
		if (n == 0 || cp < 0x20 || cp == 0x7f)
			return false;
		if (!is_direct(cp)) {
			p = put_encoded(p, &b, cp);
			continue;
		}
		p = close_run(p, &b);
		*p++ = (char)cp;
		if (cp == '&')
			*p++ = '-';
	}
	p = close_run(p, &b);
	*p = '\0';
	*mutf7_r = span_bytes(out, (size_t)(p - out));
	return true;
}

static bool digit_value(char c, uint32_t *v_r)
{
	const char *hit = c != '\0' ? strchr(digits64, c) : NULL;

	if (hit == NULL)
		return false;
	*v_r = (uint32_t)(hit - digits64);
	return true;
}

/* One UTF-16 unit; a high surrogate waits in *high for its other half. */
static bool take_unit(char **p, uint32_t unit, uint32_t *high)
{
	if (*high != 0) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return false;
		*p = utf8_put(*p, 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00));
		*high = 0;
		return true;
	}
	if (unit >= 0xd800 && unit < 0xdc00) {
		*high = unit;
		return true;
	}
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return false;
	if (is_direct(unit) || unit < 0x20 || unit == 0x7f)
		return false;        /* must not be encoded, or not be there at all */
	*p = utf8_put(*p, unit);
	return true;
}

/* A base64 run without its '&' and '-'. */
static bool decode_run(char **p, struct span run)
{
	uint32_t value = 0, high = 0, v;
	unsigned n = 0;

	for (size_t i = 0; i < run.n; i++) {
		if (!digit_value(run.p[i], &v))
			return false;
		value = value << 6 | v;
		n += 6;
		if (n >= 16) {
			n -= 16;
			if (!take_unit(p, value >> n & 0xffff, &high))
				return false;
			value &= (1U << n) - 1;
		}
	}
	return high == 0 && n < 6 && value == 0;
}

bool imap_utf7_decode(struct arena *arena, struct span in, struct span *utf8_r)
{
	char *out = arena_raw(arena, in.n * 2 + 4), *p = out;
	bool after_run = false;

	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] != '&') {
			if (!is_direct((unsigned char)in.p[i]))
				return false;
			*p++ = in.p[i];
			after_run = false;
			continue;
		}
		size_t end = span_find(in, i, '-');
		if (end == SIZE_MAX)
			return false;
		if (end == i + 1)
			*p++ = '&';
		else if (after_run || !decode_run(&p, span_cut(in, i + 1, end - i - 1)))
			return false;
		after_run = end != i + 1;
		i = end;
	}
	*p = '\0';
	*utf8_r = span_bytes(out, (size_t)(p - out));
	return true;
}
