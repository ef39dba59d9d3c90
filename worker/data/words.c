/* words.c - see words.h. Test: t_words.c, fuzz_words.c. */
#include "words.h"

/* One encoded word: "=?charset*language?encoding?text?=" */
struct word {
	struct span charset, text;
	bool base64;
	size_t length;               /* of all of it */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The end of the part that begins at `from`: the index of its '?'; SIZE_MAX if it has none. */
static size_t part_end(struct span s, size_t from)
{
	for (size_t i = from; i < s.n; i++) {
		if (s.p[i] == '?')
			return i;
		if (is_blank(s.p[i]))
			break;
	}
	return SIZE_MAX;
}

static bool word_at(struct span s, struct word *w)
{
	if (s.n < 8 || s.p[0] != '=' || s.p[1] != '?')
		return false;
	size_t set = part_end(s, 2);
	if (set == SIZE_MAX || set == 2 || set + 3 >= s.n || s.p[set + 2] != '?')
		return false;
	size_t text = part_end(s, set + 3);
	char encoding = s.p[set + 1];

	/* some mailers leave blanks in the text of Q */
	if (text == SIZE_MAX) {
		text = span_find(s, set + 3, '?');
		if (text == SIZE_MAX)
			return false;
	}
	if (text + 1 >= s.n || s.p[text + 1] != '=')
		return false;
	w->base64 = encoding == 'B' || encoding == 'b';
	if (!w->base64 && encoding != 'Q' && encoding != 'q')
		return false;
	w->charset = span_cut(s, 2, set - 2);
	size_t star = span_find(w->charset, 0, '*');
	if (star != SIZE_MAX)
		w->charset = span_cut(w->charset, 0, star);
	w->text = span_cut(s, set + 3, text - set - 3);
	w->length = text + 2;
	return true;
}

static int digit64(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* What is not of the alphabet is skipped. */
static void add_base64(struct buf *out, struct span text)
{
	uint32_t bits = 0;
	unsigned n = 0;

	for (size_t i = 0; i < text.n && text.p[i] != '='; i++) {
		int d = digit64(text.p[i]);

		if (d < 0)
			continue;
		bits = (bits << 6 | (uint32_t)d) & 0xffffff;
		n += 6;
		if (n < 8)
			continue;
		n -= 8;
		buf_add_char(out, (char)(bits >> n & 0xff));
	}
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void add_quoted(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		int high = text.p[i] == '=' && i + 2 < text.n ? hex(text.p[i + 1]) : -1;
		int low = high >= 0 ? hex(text.p[i + 2]) : -1;

		if (low >= 0) {
			buf_add_char(out, (char)(high << 4 | low));
			i += 2;
		} else {
			buf_add_char(out, text.p[i] == '_' ? ' ' : text.p[i]);
		}
	}
}

/* The word at the start of s and those that follow it in the same set: how much of s they are. */
static size_t decode_run(struct span s, const struct word *first, struct buf *out)
{
	struct word w = *first;
	struct buf bytes;
	size_t at = 0;

	buf_init(&bytes, s.n + 1);
	for (;;) {
		if (w.base64)
			add_base64(&bytes, w.text);
		else
			add_quoted(&bytes, w.text);
		at += w.length;
		size_t next = at;
		while (next < s.n && is_blank(s.p[next]))
			next++;
		if (!word_at(span_cut(s, next, s.n), &w) || !span_eq_nocase(w.charset, first->charset))
			break;
		at = next;
	}
	if (!charset_to_utf8(first->charset, buf_span(&bytes), out))
		buf_add_span(out, span_cut(s, 0, at));
	buf_free(&bytes);
	return at;
}

void words_decode(struct span text, struct buf *out)
{
	struct word w;

	for (size_t at = 0; at < text.n;) {
		struct span rest = span_cut(text, at, text.n);

		if (word_at(rest, &w)) {
			size_t blank;

			at += decode_run(rest, &w, out);
			for (blank = at; blank < text.n && is_blank(text.p[blank]); blank++)
				;
			if (blank > at && word_at(span_cut(text, blank, text.n), &w))
				at = blank;      /* blanks between two words are not text */
		} else {
			if (text.p[at] != '\r' && text.p[at] != '\n')
				buf_add_char(out, text.p[at] == '\t' ? ' ' : text.p[at]);
			at++;
		}
	}
}
