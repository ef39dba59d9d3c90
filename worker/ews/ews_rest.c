/* ews_rest.c - what of a record has no field on the server: a patch beside the fields.
 *
 * The text is "2" and netstrings, six for a change: component, property, instance, a digest of the value that the
 * fields say (empty: they say nothing), the value wanted (empty: none), and what it stands for (empty: nothing): the
 * instance of a value that it replaces, or the component of an alarm that is the server's reminder.
 * 1. A change holds only if the fields still say what they said.
 * 2. What stands for something holds only as long as the change that takes that away holds: who edits the number
 *    in the server's field means the one that we show with more types.
 */
#include "ews_map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define REST_MAX ((size_t)256 << 10)
#define DIGEST_TEXT 17
#define VERSION '2'

/* --- making --- */

/* What XML cannot hold would become something else on the way, of another length. */
static struct span printable(struct arena *arena, struct span s)
{
	char *out = arena_raw(arena, s.n + 1), *to = out;

	for (size_t i = 0, n; i < s.n; i += n) {
		uint32_t cp = 0;

		n = span_utf8(s, i, &cp);
		if (n == 0 || (cp < ' ' && cp != '\n' && cp != '\t') || cp == 0xfffe || cp == 0xffff) {
			*to++ = '?';
			n = n == 0 ? 1 : n;
		} else {
			to = mempcpy(to, s.p + i, n);
		}
	}
	return span_bytes(out, (size_t)(to - out));
}

static void put(struct arena *arena, struct buf *b, struct span s)
{
	s = printable(arena, s);
	buf_printf(b, "%zu:", s.n);
	buf_add_span(b, s);
}

static struct span digest(struct span value, char out[DIGEST_TEXT])
{
	if (value.p == NULL)
		return SPAN_NONE;
	snprintf(out, DIGEST_TEXT, "%016" PRIx64, span_hash(value));
	return span_of(out);
}

/* What takes the place of what: an added value that of one that is taken away from the same property, first one of the
 * same value, then one of the same types, then any. The candidates of one property are found by their value or types,
 * in the order of the patch. */
enum likeness { SAME_VALUE, SAME_TYPES, SAME_PROPERTY, LIKENESSES };

struct candidate {
	size_t at;                       /* in the patch */
	struct span key;
	bool added, paired;
};

static bool is_gone(const struct record_change *c)
{
	return c->after.p == NULL && c->inst.n > 0;
}

static bool is_added(const struct record_change *c)
{
	return c->before.p == NULL && c->inst.n > 0;
}

static struct span likeness_key(const struct content_line *line, enum likeness like)
{
	return like == SAME_VALUE ? line->value : like == SAME_TYPES ? content_param_value(line, "TYPE") : SPAN_LIT("");
}

static int by_key(const void *va, const void *vb)
{
	const struct candidate *a = va, *b = vb;
	int c = span_cmp(a->key, b->key);

	return c != 0 ? c : a->added != b->added ? a->added - b->added : a->at < b->at ? -1 : a->at > b->at;
}

/* Those of one key: the ones that are taken away first, then the added ones. */
static size_t pair_key(struct candidate *c, size_t n, const struct record_patch *p, struct span *instead)
{
	size_t end = 0, gone = 0;

	while (end < n && span_eq(c[end].key, c[0].key)) {
		gone += !c[end].added;
		end++;
	}
	for (size_t i = 0; i < gone && gone + i < end; i++) {
		instead[c[gone + i].at] = p->changes[c[i].at].inst;
		c[i].paired = c[gone + i].paired = true;
	}
	return end;
}

/* The changes [from, to) are of one property. */
static void pair_property(struct arena *arena, const struct record_patch *p, size_t from, size_t to,
			  struct span *instead)
{
	struct content_line *lines = arena_calloc(arena, to - from, sizeof(*lines));
	struct candidate *c = arena_calloc(arena, to - from, sizeof(*c));
	size_t n = 0;

	for (size_t i = from; i < to; i++) {
		const struct record_change *change = &p->changes[i];
		struct span text = is_gone(change) ? change->before : change->after;

		if ((is_gone(change) || is_added(change)) &&
		    content_parse_line(arena, span_cut(text, 0, span_find(text, 0, '\n')), &lines[i - from]))
			c[n++] = (struct candidate){ .at = i, .added = is_added(change) };
	}
	for (int like = SAME_VALUE; n > 1 && like < LIKENESSES; like++) {
		size_t left = 0;

		for (size_t i = 0; i < n; i++)
			c[i].key = likeness_key(&lines[c[i].at - from], (enum likeness)like);
		qsort(c, n, sizeof(*c), by_key);
		for (size_t i = 0; i < n;)
			i += pair_key(&c[i], n - i, p, instead);
		for (size_t i = 0; i < n; i++)
			if (!c[i].paired)
				c[left++] = c[i];
		n = left;
	}
}

/* For each change what it stands for, or SPAN_NONE. */
static struct span *find_pairs(struct arena *arena, const struct record_patch *p, const struct record *wanted)
{
	struct span *instead = arena_calloc(arena, p->n, sizeof(*instead));

	for (size_t from = 0, to; from < p->n; from = to) {
		for (to = from + 1; to < p->n && span_eq(p->changes[to].comp, p->changes[from].comp) &&
				    span_eq(p->changes[to].prop, p->changes[from].prop);)
			to++;
		pair_property(arena, p, from, to, instead);
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct record_change *gone = &p->changes[i];
		struct span parent = ews_alarm_parent(gone->comp), alarm;

		if (gone->after.p != NULL || parent.n == 0 || !span_eq_str(gone->prop, "BEGIN"))
			continue;
		alarm = ews_alarm_of(arena, wanted, arena_str(arena, parent), NULL, NULL);
		for (size_t j = 0; j < p->n; j++)
			if (alarm.n > 0 && span_eq(p->changes[j].comp, alarm) &&
			    span_eq_str(p->changes[j].prop, "BEGIN"))
				instead[j] = gone->comp;
	}
	return instead;
}

enum code ews_rest_make(struct arena *arena, const struct record *plain, const struct record *wanted,
			struct span *rest_r, struct err *err)
{
	struct record_patch p = record_diff(arena, plain, wanted);
	const struct span *instead = find_pairs(arena, &p, wanted);
	char text[DIGEST_TEXT];
	struct buf b;

	*rest_r = SPAN_NONE;
	if (p.n == 0)
		return E_OK;
	buf_init(&b, REST_MAX);
	buf_add_char(&b, VERSION);
	for (size_t i = 0; i < p.n; i++) {
		put(arena, &b, p.changes[i].comp);
		put(arena, &b, p.changes[i].prop);
		put(arena, &b, p.changes[i].inst);
		put(arena, &b, digest(p.changes[i].before, text));
		put(arena, &b, p.changes[i].after);
		put(arena, &b, instead[i]);
	}
	enum code rc = b.overflow ? err_set(err, E_ITEM_TOO_BIG,
			"what Exchange has no field for takes more than %zu KiB", REST_MAX >> 10) : E_OK;
	if (rc == E_OK)
		*rest_r = arena_span(arena, buf_span(&b));
	buf_free(&b);
	return rc;
}

/* --- applying --- */

static bool take(struct span *s, struct span *part_r)
{
	size_t colon = span_find(*s, 0, ':');
	uint64_t n;

	if (colon == SIZE_MAX || !span_u64(span_cut(*s, 0, colon), REST_MAX, &n) || n > s->n - colon - 1)
		return false;
	*part_r = span_cut(*s, colon + 1, (size_t)n);
	*s = span_cut(*s, colon + 1 + (size_t)n, s->n);
	return true;
}

struct rest_change {
	struct record_change c;
	struct span digest, instead;
	bool holds;
};

static size_t parse(struct arena *arena, struct span rest, struct rest_change **list_r)
{
	struct rest_change *list = NULL;
	size_t n = 0, cap = 0;

	*list_r = NULL;
	if (rest.n == 0 || rest.p[0] != VERSION)
		return 0;
	rest = span_cut(rest, 1, rest.n);
	while (rest.n > 0) {
		struct rest_change c = { .holds = false };

		if (!take(&rest, &c.c.comp) || !take(&rest, &c.c.prop) || !take(&rest, &c.c.inst) ||
		    !take(&rest, &c.digest) || !take(&rest, &c.c.after) || !take(&rest, &c.instead))
			return 0;
		list = arena_grow(arena, list, n, sizeof(*list), &cap);
		list[n++] = c;
		/* a patch is sorted; what is not was not written by us */
		if (n > 1 && record_change_cmp(&list[n - 2].c, &list[n - 1].c) >= 0)
			return 0;
	}
	*list_r = list;
	return n;
}

static bool is_begin(const struct rest_change *c)
{
	return span_eq_str(c->c.prop, "BEGIN");
}

static int by_change(const void *va, const void *vb)
{
	const struct rest_change *a = va, *b = vb;

	return record_change_cmp(&a->c, &b->c);
}

/* The change that takes away what `c` stands for. */
static const struct rest_change *taken_away(const struct rest_change *list, size_t n, const struct rest_change *c)
{
	struct rest_change key = { .c = c->c };

	if (is_begin(c))
		key.c.comp = c->instead;
	key.c.inst = is_begin(c) ? SPAN_LIT("") : c->instead;
	const struct rest_change *gone = bsearch(&key, list, n, sizeof(*list), by_change);
	return gone != NULL && gone->c.after.n == 0 ? gone : NULL;
}

/* The text went through a server: line ends may be others. */
static struct span mended(struct arena *arena, struct span rest)
{
	char *out = arena_raw(arena, rest.n + 1), *to = out;

	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i] != '\r')
			*to++ = rest.p[i];
	return span_bytes(out, (size_t)(to - out));
}

struct record *ews_rest_apply(struct arena *arena, struct record *plain, struct span text)
{
	struct span rest = arena_span(arena, mended(arena, text));
	struct rest_change *list;
	size_t n = parse(arena, rest, &list), kept = 0;
	struct record_change *changes = arena_calloc(arena, n, sizeof(*changes));
	char digest_text[DIGEST_TEXT];

	for (size_t i = 0; i < n; i++) {
		const struct record_entry *now = record_find(plain, list[i].c.comp, list[i].c.prop, list[i].c.inst);

		list[i].c.before = now != NULL ? now->value : SPAN_NONE;
		list[i].holds = span_eq(digest(list[i].c.before, digest_text), list[i].digest);
	}
	for (size_t i = 0; i < n; i++) {
		const struct rest_change *of = list[i].instead.n > 0 ? taken_away(list, n, &list[i]) : NULL;

		if (!list[i].holds || (list[i].instead.n > 0 && (of == NULL || !of->holds)))
			continue;
		changes[kept] = list[i].c;
		if (changes[kept].after.n == 0)
			changes[kept].after = SPAN_NONE;
		kept++;
	}
	struct record_patch patch = { .changes = changes, .n = kept };
	return kept > 0 ? record_apply(arena, plain, &patch) : plain;
}
