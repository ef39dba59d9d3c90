/* mailkey.c - the fingerprint of a message. One walk over the header finds the first of each field
 * (an empty field counts as none), a second over those fields feeds the digest: linear.
 */
#include "mailkey.h"

#include "../../common/secret.h"
#include "words.h"

#define VALUE_MAX ((size_t)256 * 1024)   /* of a field with encoded words, decoded */

enum field { F_MSGID, F_DATE, F_FROM, F_TO, F_CC, F_SUBJECT, FIELDS };

static const struct span field_names[FIELDS] = {
	[F_MSGID] = SPAN_LIT("message-id"), [F_DATE] = SPAN_LIT("date"),
	[F_FROM] = SPAN_LIT("from"), [F_TO] = SPAN_LIT("to"),
	[F_CC] = SPAN_LIT("cc"), [F_SUBJECT] = SPAN_LIT("subject"),
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* End of the line that begins at `from`, past its newline. */
static size_t line_end(struct span s, size_t from)
{
	size_t at = span_find(s, from, '\n');

	return at == SIZE_MAX ? s.n : at + 1;
}

/* Take one field with its continuation lines off *rest: false at the empty line or the end. */
static bool next_field(struct span *rest, struct span *field_r)
{
	if (rest->n == 0 || rest->p[0] == '\n' || (rest->n >= 2 && memcmp(rest->p, "\r\n", 2) == 0))
		return false;
	size_t end = line_end(*rest, 0);

	while (end < rest->n && (rest->p[end] == ' ' || rest->p[end] == '\t'))
		end = line_end(*rest, end);
	*field_r = span_cut(*rest, 0, end);
	*rest = span_cut(*rest, end, rest->n - end);
	return true;
}

/* Which of our fields it is, FIELDS for any other; its trimmed value. */
static enum field classify(struct span field, struct span *value_r)
{
	static const char first[] = "mdftcsMDFTCS";

	if (strchr(first, field.p[0]) == NULL || field.p[0] == '\0')
		return FIELDS;
	/* no name of ours is longer; a colon further on is not the one */
	size_t colon = span_find(span_cut(field, 0, 64), 0, ':');
	if (colon == SIZE_MAX)
		return FIELDS;
	struct span name = span_trim(span_cut(field, 0, colon));

	*value_r = span_trim(span_cut(field, colon + 1, field.n - colon - 1));
	for (enum field f = 0; f < FIELDS; f++) {
		if (span_eq_nocase(name, field_names[f]))
			return f;
	}
	return FIELDS;
}

/* The first non-empty value of each field, SPAN_NONE where there is none; whole fields too. */
static void find_fields(struct span header, struct span values_r[FIELDS], struct span whole_r[FIELDS])
{
	struct span field, value = SPAN_NONE;
	size_t missing = FIELDS;

	for (enum field f = 0; f < FIELDS; f++)
		values_r[f] = whole_r[f] = SPAN_NONE;
	while (missing > 0 && next_field(&header, &field)) {
		enum field f = classify(field, &value);

		if (f == FIELDS || value.n == 0 || values_r[f].n > 0)
			continue;
		values_r[f] = value;
		whole_r[f] = field;
		missing--;
	}
}

struct sink {
	struct digest *digest;
	size_t n;
	char bytes[1024];
};

static void put(struct sink *sink, char c)
{
	if (sink->n == sizeof(sink->bytes)) {
		digest_add(sink->digest, sink->bytes, sink->n);
		sink->n = 0;
	}
	sink->bytes[sink->n++] = c;
}

/* Blanks vanish; a run of control and 8-bit bytes, or of the '?' that some servers put in their
 * place, is one '?'. */
static void put_normalised(struct sink *sink, struct span value)
{
	bool in_run = false;

	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (is_blank((char)c))
			continue;
		bool odd = c < ' ' || c > '~' || c == '?';

		if (!odd)
			put(sink, (char)c);
		else if (!in_run)
			put(sink, '?');
		in_run = odd;
	}
}

/* Encoded words count as what they say: some servers tell them decoded, or encode them anew. */
static void put_field(struct sink *sink, struct span value)
{
	struct buf text;

	if (span_find_nocase(value, "=?") == SIZE_MAX) {
		put_normalised(sink, value);
		return;
	}
	buf_init(&text, VALUE_MAX);
	words_decode(span_cut(value, 0, VALUE_MAX / 4), &text);
	put_normalised(sink, buf_span(&text));
	buf_free(&text);
}

struct mailkey mailkey_of(struct span header)
{
	struct span values[FIELDS], whole[FIELDS];
	struct sink sink = { .digest = digest_new() };
	uint8_t full[DIGEST_SIZE];
	struct mailkey key;

	find_fields(header, values, whole);
	for (enum field f = 0; f < FIELDS; f++) {
		put_field(&sink, values[f]);
		put(&sink, '\n');
	}
	digest_add(sink.digest, sink.bytes, sink.n);
	digest_end(&sink.digest, full);
	memcpy(key.fp, full, sizeof(key.fp));
	key.has_msgid = values[F_MSGID].n > 0;
	key.msgid = mailkey_msgid_number(values[F_MSGID]);
	return key;
}

int64_t mailkey_msgid_number(struct span msgid)
{
	if (msgid.n >= 2 && msgid.p[0] == '<' && msgid.p[msgid.n - 1] == '>')
		msgid = span_cut(msgid, 1, msgid.n - 2);
	return msgid.n > 0 ? (int64_t)(span_hash(msgid) >> 1 | 2) : 0;
}

struct span mailkey_msgid(struct span header)
{
	struct span values[FIELDS], whole[FIELDS];

	find_fields(header, values, whole);
	return values[F_MSGID];
}

struct span mailkey_subject(struct span header)
{
	struct span values[FIELDS], whole[FIELDS];

	find_fields(header, values, whole);
	return values[F_SUBJECT];
}

struct span mailkey_fields(struct arena *arena, struct span header)
{
	struct span values[FIELDS], whole[FIELDS];
	size_t n = 0;

	find_fields(header, values, whole);
	for (enum field f = 0; f < FIELDS; f++)
		n += whole[f].n + 2;
	char *out = arena_raw(arena, n + 1), *to = out;
	for (enum field f = 0; f < FIELDS; f++) {
		if (whole[f].n == 0)
			continue;
		to = mempcpy(to, whole[f].p, whole[f].n);
		/* the last line of a header that was cut off has no end of its own */
		if (to[-1] != '\n')
			to = mempcpy(to, "\r\n", 2);
	}
	*to = '\0';
	return span_bytes(out, (size_t)(to - out));
}
