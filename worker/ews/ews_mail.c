/* ews_mail.c - flags and keywords of mails.
 *
 * \Seen is IsRead, \Flagged is Flag (before 2013 PidTagFlagStatus), \Answered and $Forwarded are the last verb
 * executed: of both, \Answered has it and $Forwarded is hidden. Keywords are categories, but those that begin
 * with '$' must not be seen by people: they are in a property of our own. A category becomes a keyword by '_' for
 * a blank and "=XX" for what a keyword cannot hold; a keyword becomes a category by the reverse, and is the same again.
 * \Draft can be told at creation only.
 */
#include "ews.h"

#include "../data/flags.h"

#define FORWARDED "$Forwarded"
#define CATEGORIES_MAX 200

enum { VERB_REPLY = 102, VERB_REPLY_ALL = 103, VERB_FORWARD = 104, ICON_REPLIED = 261, ICON_FORWARDED = 262 };

/* --- keywords and categories --- */

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

static int hex_value(char c)
{
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

/* Stands in a keyword as it is, but for '=' and a '$' in front. */
static bool plain_char(unsigned char c)
{
	return c > ' ' && c < 0x7f && strchr("(){%*\"\\]_", c) == NULL;
}

/* Behind a '=': the two digits of a byte that cannot stand in a keyword, or "3D" and so on. What else looks like that
 * is what the user calls it. */
static bool is_code(struct span s, size_t at, bool in_front)
{
	for (; at + 1 < s.n && is_hex(s.p[at]) && is_hex(s.p[at + 1]); at += 2) {
		unsigned char c = (unsigned char)(hex_value(s.p[at]) << 4 | hex_value(s.p[at + 1]));

		if (c != '=')
			return c == '$' ? in_front : c == '\t' || c == '\n' || c == '\r' || (c > ' ' && !plain_char(c));
	}
	return false;
}

static bool is_encoded(struct span s, size_t at)
{
	return s.p[at] == '=' && is_code(s, at + 1, at == 0);
}

struct span ews_keyword(struct arena *arena, struct span category)
{
	static const char hex[] = "0123456789ABCDEF";
	char *out = arena_raw(arena, 3 * category.n + 1), *to = out;

	for (size_t i = 0; i < category.n; i++) {
		unsigned char c = (unsigned char)category.p[i];

		if (c == ' ') {
			*to++ = '_';
		} else if (plain_char(c) && !is_encoded(category, i) && !(i == 0 && c == '$')) {
			*to++ = (char)c;
		} else {
			*to++ = '=';
			*to++ = hex[c >> 4];
			*to++ = hex[c & 15];
		}
	}
	return span_bytes(out, (size_t)(to - out));
}

static struct span decode(struct arena *arena, struct span keyword, bool codes)
{
	char *out = arena_raw(arena, keyword.n + 1), *to = out;

	for (size_t i = 0; i < keyword.n; i++) {
		if (keyword.p[i] == '_') {
			*to++ = ' ';
		} else if (codes && is_encoded(keyword, i)) {
			*to++ = (char)(hex_value(keyword.p[i + 1]) << 4 | hex_value(keyword.p[i + 2]));
			i += 2;
		} else {
			*to++ = keyword.p[i];
		}
	}
	return span_bytes(out, (size_t)(to - out));
}

struct span ews_category(struct arena *arena, struct span keyword)
{
	struct span category = decode(arena, keyword, true);

	return span_is_utf8(category) ? category : decode(arena, keyword, false);
}

static bool hidden_word(struct span word)
{
	return word.n > 0 && word.p[0] == '$';
}

/* The hidden ones of a set, and the others; NULL: none. */
static const char *part_of(struct arena *arena, const char *keywords, bool hidden)
{
	struct span rest = span_of(keywords), word;
	const char *out = NULL;

	while (keywords != NULL && span_next(&rest, ' ', &word))
		if (word.n > 0 && hidden_word(word) == hidden)
			out = kw_union(arena, out, arena_str(arena, word));
	return out;
}

/* --- reading --- */

void ews_flag_fields(const struct ews *e, struct buf *b)
{
	ews_field(b, "item:Categories");
	ews_field(b, "item:IsDraft");
	ews_field(b, "message:IsRead");
	if (e->v2013)
		ews_field(b, "item:Flag");
	else
		ews_prop_uri(b, &ews_flag_status);
	ews_prop_uri(b, &ews_verb);
	ews_prop_uri(b, &ews_imap_deleted);
	ews_prop_uri(b, &ews_keywords);
}

static void read_categories(struct arena *arena, const struct ews_object *o, struct ews_flags *f)
{
	const struct ews_entry *e;
	size_t at = 0;

	f->categories = arena_calloc(arena, CATEGORIES_MAX, sizeof(*f->categories));
	while (f->n_categories < CATEGORIES_MAX && (e = ews_next(o, "Categories/String", &at)) != NULL) {
		struct span word = ews_keyword(arena, e->text);

		f->categories[f->n_categories++] = arena_span(arena, e->text);
		if (kw_valid(word))
			f->keywords = kw_union(arena, f->keywords, arena_str(arena, word));
	}
}

void ews_read_flags(struct arena *arena, const struct ews_object *o, struct ews_flags *f)
{
	struct span hidden = ews_ext(o, &ews_keywords);
	uint64_t verb = 0;

	*f = (struct ews_flags){ 0 };
	if (span_u64(span_trim(ews_ext(o, &ews_verb)), 10000, &verb))
		f->verb = (int)verb;
	read_categories(arena, o, f);
	f->hidden = hidden.n > 0 ? kw_from(arena, hidden) : NULL;
	f->keywords = kw_union(arena, f->keywords, f->hidden);
	if (f->verb == VERB_FORWARD)
		f->keywords = kw_union(arena, f->keywords, FORWARDED);
	f->flags = (ews_true(ews_text(o, "IsRead")) ? EP_SEEN : 0) | (ews_true(ews_text(o, "IsDraft")) ? EP_DRAFT : 0) |
		   (f->verb == VERB_REPLY || f->verb == VERB_REPLY_ALL ? EP_ANSWERED : 0) |
		   (span_eq_str(ews_ext(o, &ews_imap_deleted), "1") ? EP_DELETED : 0);
	if (span_eq_str(ews_text(o, "Flag/FlagStatus"), "Flagged") || span_eq_str(ews_ext(o, &ews_flag_status), "2"))
		f->flags |= EP_FLAGGED;
}

bool ews_is_mail(struct span element)
{
	static const char *const names[] = { "Message", "MeetingMessage", "MeetingRequest", "MeetingResponse",
					     "MeetingCancellation", "PostItem", "Item" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_eq_str(element, names[i]))
			return true;
	return false;
}

const char *ews_element(enum ep_kind kind)
{
	static const char *const names[EP_KINDS] = {
		[EP_MAIL] = "Message", [EP_EVENTS] = "CalendarItem", [EP_CONTACTS] = "Contact", [EP_TASKS] = "Task",
	};

	return names[kind];
}

/* --- writing --- */

static void print_strings(struct buf *b, const struct span *s, size_t n)
{
	buf_add_str(b, "<t:Categories>");
	for (size_t i = 0; i < n; i++)
		ews_el(b, "String", s[i]);
	buf_add_str(b, "</t:Categories>");
}

void ews_print_categories(struct buf *b, struct arena *arena, const char *keywords)
{
	const char *seen = part_of(arena, keywords, false);
	struct span rest = span_of(seen), word;

	if (seen == NULL)
		return;
	buf_add_str(b, "<t:Categories>");
	while (span_next(&rest, ' ', &word))
		ews_el(b, "String", ews_category(arena, word));
	buf_add_str(b, "</t:Categories>");
}

/* The verb that says it; 0: none. *hidden_r: without what the verb says. */
static int verb_for(struct arena *arena, uint32_t flags, const char **hidden_r, int now)
{
	bool forwarded = *hidden_r != NULL && kw_has(*hidden_r, span_of(FORWARDED));

	if (flags & EP_ANSWERED)
		return now == VERB_REPLY_ALL ? VERB_REPLY_ALL : VERB_REPLY;
	if (!forwarded)
		return 0;
	*hidden_r = kw_minus(arena, *hidden_r, FORWARDED);
	return VERB_FORWARD;
}

void ews_print_flag_props(const struct ews *e, struct buf *b, struct arena *arena, uint32_t flags, const char *keywords)
{
	const char *hidden = part_of(arena, keywords, true);
	int verb = verb_for(arena, flags, &hidden, 0);

	if (verb != 0) {
		ews_prop_int(b, &ews_verb, verb);
		ews_prop_int(b, &ews_icon, verb == VERB_FORWARD ? ICON_FORWARDED : ICON_REPLIED);
	}
	if (flags & EP_DELETED)
		ews_prop_int(b, &ews_imap_deleted, 1);
	if (hidden != NULL)
		ews_prop_value(b, &ews_keywords, span_of(hidden));
	if (!e->v2013 && flags & EP_FLAGGED)
		ews_prop_int(b, &ews_flag_status, 2);
}

void ews_print_flag_tail(const struct ews *e, struct buf *b, uint32_t flags)
{
	if (e->v2013 && flags & EP_FLAGGED)
		buf_add_str(b, "<t:Flag><t:FlagStatus>Flagged</t:FlagStatus></t:Flag>");
	ews_el_bool(b, "IsRead", (flags & EP_SEEN) != 0);
}

static void set_prop(struct buf *b, const struct ews_prop *p, struct span value)
{
	buf_add_str(b, value.n > 0 ? "<t:SetItemField>" : "<t:DeleteItemField>");
	ews_prop_uri(b, p);
	if (value.n > 0) {
		buf_add_str(b, "<t:Message>");
		ews_prop_value(b, p, value);
		buf_add_str(b, "</t:Message>");
	}
	buf_add_str(b, value.n > 0 ? "</t:SetItemField>" : "</t:DeleteItemField>");
}

void ews_print_no_receipt(struct buf *b)
{
	set_prop(b, &ews_receipt_wanted, SPAN_LIT("false"));
}

static void set_verb(struct buf *b, int verb)
{
	set_prop(b, &ews_verb, verb == 0 ? SPAN_NONE : verb == VERB_FORWARD ? SPAN_LIT("104") : verb == VERB_REPLY_ALL
			? SPAN_LIT("103") : SPAN_LIT("102"));
	set_prop(b, &ews_icon, verb == 0 ? SPAN_NONE : verb == VERB_FORWARD ? SPAN_LIT("262") : SPAN_LIT("261"));
}

static void set_flagged(const struct ews *e, struct buf *b, bool flagged)
{
	if (!e->v2013) {
		set_prop(b, &ews_flag_status, flagged ? SPAN_LIT("2") : SPAN_NONE);
		return;
	}
	buf_add_str(b, "<t:SetItemField>");
	ews_field(b, "item:Flag");
	buf_printf(b, "<t:Message><t:Flag><t:FlagStatus>%s</t:FlagStatus></t:Flag></t:Message></t:SetItemField>",
		   flagged ? "Flagged" : "NotFlagged");
}

/* The categories that are there, with these keywords added and removed; a category that is no keyword stays. */
static bool set_categories(struct buf *b, struct arena *arena, const struct ews_flags *now, const char *wanted)
{
	struct span *out = arena_calloc(arena, CATEGORIES_MAX * 2, sizeof(*out)), rest = span_of(wanted), word;
	bool changed = false;
	const char *have = NULL;
	size_t n = 0;

	for (size_t i = 0; i < now->n_categories; i++) {
		struct span kw = ews_keyword(arena, now->categories[i]);

		if (kw_valid(kw) && (wanted == NULL || !kw_has(wanted, kw))) {
			changed = true;
			continue;
		}
		out[n++] = now->categories[i];
		if (kw_valid(kw))
			have = kw_union(arena, have, arena_str(arena, kw));
	}
	while (wanted != NULL && span_next(&rest, ' ', &word) && n < CATEGORIES_MAX * 2) {
		if (have != NULL && kw_has(have, word))
			continue;
		out[n++] = ews_category(arena, word);
		changed = true;
	}
	if (!changed)
		return false;
	buf_add_str(b, n > 0 ? "<t:SetItemField>" : "<t:DeleteItemField>");
	ews_field(b, "item:Categories");
	if (n > 0) {
		buf_add_str(b, "<t:Message>");
		print_strings(b, out, n);
		buf_add_str(b, "</t:Message>");
	}
	buf_add_str(b, n > 0 ? "</t:SetItemField>" : "</t:DeleteItemField>");
	return true;
}

bool ews_print_flag_changes(const struct ews *e, struct buf *b, struct arena *arena, const struct ews_flags *now,
			    const struct ep_op *op)
{
	uint32_t flags = (now->flags | op->flags) & ~op->flags_remove, differ = flags ^ now->flags;
	const char *words = kw_minus(arena, kw_union(arena, now->keywords, op->keywords), op->keywords_remove);
	const char *hidden = part_of(arena, words, true);
	int verb = verb_for(arena, flags, &hidden, now->verb);
	size_t before = b->n;

	if (differ & EP_FLAGGED)
		set_flagged(e, b, (flags & EP_FLAGGED) != 0);
	if (!e->v2013 && differ & flags & EP_SEEN)
		ews_print_no_receipt(b);     /* later versions are told not to send any */
	if (differ & EP_SEEN) {
		buf_add_str(b, "<t:SetItemField>");
		ews_field(b, "message:IsRead");
		buf_add_str(b, "<t:Message>");
		ews_el_bool(b, "IsRead", (flags & EP_SEEN) != 0);
		buf_add_str(b, "</t:Message></t:SetItemField>");
	}
	if (verb != now->verb && (verb != 0 || now->verb == VERB_REPLY || now->verb == VERB_REPLY_ALL ||
				  now->verb == VERB_FORWARD))
		set_verb(b, verb);
	if (differ & EP_DELETED)
		set_prop(b, &ews_imap_deleted, flags & EP_DELETED ? SPAN_LIT("1") : SPAN_NONE);
	if (!kw_eq(hidden, now->hidden))
		set_prop(b, &ews_keywords, span_of(hidden));
	set_categories(b, arena, now, part_of(arena, words, false));
	return b->n > before;
}
