/* ews_base64.c - base64 in pieces, both ways. */
#include "ews_print.h"

static int value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool ews_base64_decode(struct ews_base64 *s, struct span piece, struct buf *out)
{
	for (size_t i = 0; i < piece.n; i++) {
		char c = piece.p[i];
		int v = value(c);

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		if (c == '=') {
			if (s->n < 2 || ++s->pad > 2)
				return false;
			continue;
		}
		if (v < 0 || s->pad > 0)
			return false;
		s->bits = s->bits << 6 | (uint32_t)v;
		s->n = (s->n + 1) % 4;
		switch (s->n) {              /* a byte is complete after the 2nd, 3rd and 4th character */
		case 2: buf_add_char(out, (char)(s->bits >> 4 & 0xff)); break;
		case 3: buf_add_char(out, (char)(s->bits >> 2 & 0xff)); break;
		case 0: buf_add_char(out, (char)(s->bits & 0xff)); break;
		default: break;
		}
	}
	return true;
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void triple(struct buf *b, const unsigned char *p, size_t n)
{
	char *to = buf_room(b, 4);

	if (to == NULL)
		return;
	to[0] = digits[p[0] >> 2];
	to[1] = digits[(p[0] & 3) << 4 | (n > 1 ? p[1] >> 4 : 0)];
	to[2] = n > 1 ? digits[(p[1] & 15) << 2 | (n > 2 ? p[2] >> 6 : 0)] : '=';
	to[3] = n > 2 ? digits[p[2] & 63] : '=';
	buf_grew(b, 4);
}

void ews_base64_add(struct ews_encoder *e, struct buf *b, struct span piece)
{
	size_t i = 0;

	while (e->n > 0 && e->n < 3 && i < piece.n)
		e->kept[e->n++] = (unsigned char)piece.p[i++];
	if (e->n == 3) {
		triple(b, e->kept, 3);
		e->n = 0;
	}
	for (; i + 3 <= piece.n; i += 3)
		triple(b, (const unsigned char *)piece.p + i, 3);
	while (i < piece.n)
		e->kept[e->n++] = (unsigned char)piece.p[i++];
}

void ews_base64_end(struct ews_encoder *e, struct buf *b)
{
	if (e->n > 0)
		triple(b, e->kept, e->n);
	e->n = 0;
}

void ews_base64(struct buf *b, struct span bytes)
{
	struct ews_encoder e = { .n = 0 };

	ews_base64_add(&e, b, bytes);
	ews_base64_end(&e, b);
}
