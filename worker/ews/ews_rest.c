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

/* How much an added value is like one that is taken away: 3 the same value, 2 the same types, 1 the same property. */
static int likeness(struct arena *arena, const struct record_change *added, const struct record_change *removed)
{
	struct content_line a, b;

	if (added->before.p != NULL || removed->after.p != NULL || added->inst.n == 0 ||
	    !span_eq(added->comp, removed->comp) || !span_eq(added->prop, removed->prop) ||
	    !content_parse_line(arena, span_cut(added->after, 0, span_find(added->after, 0, '\n')), &a) ||
	    !content_parse_line(arena, span_cut(removed->before, 0, span_find(removed->before, 0, '\n')), &b))
		return 0;
	if (span_eq(a.value, b.value))
		return 3;
	return span_eq(content_param_value(&a, "TYPE"), content_param_value(&b, "TYPE")) ? 2 : 1;
}

/* For each change what it stands for, or SPAN_NONE. */
static struct span *find_pairs(struct arena *arena, const struct record_patch *p, const struct record *wanted)
{
	struct span *instead = arena_calloc(arena, p->n, sizeof(*instead));

	for (int like = 3; like > 0; like--)
		for (size_t i = 0; i < p->n; i++) {
			const struct record_change *gone = &p->changes[i];

			if (gone->after.p != NULL || gone->inst.n == 0 || instead[i].p != NULL)
				continue;
			for (size_t j = 0; j < p->n; j++)
				if (instead[j].p == NULL && likeness(arena, &p->changes[j], gone) == like) {
					instead[j] = gone->inst;
					instead[i] = SPAN_LIT("");   /* has found its own */
					break;
				}
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

/* The change that takes away what `c` stands for. */
static const struct rest_change *taken_away(const struct rest_change *list, size_t n, const struct rest_change *c)
{
	for (size_t i = 0; i < n; i++) {
		const struct record_change *gone = &list[i].c;

		if (gone->after.n == 0 && span_eq(gone->prop, c->c.prop) &&
		    (is_begin(c) ? span_eq(gone->comp, c->instead)
				 : span_eq(gone->comp, c->c.comp) && span_eq(gone->inst, c->instead)))
			return &list[i];
	}
	return NULL;
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
