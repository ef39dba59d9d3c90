/* record.c - records as sorted sets: building, looking up, canonical bytes. Its test: t_record.c. */
#include "record_p.h"

#include <stdio.h>
#include <stdlib.h>

#define INSTANCE_MAX 120                /* longer values are known by a digest */
#define NUMBER '\x01'                   /* between an instance and its number among equal ones; values hold none */
#define SLACK ((size_t)1 << 20)

struct record *record_new(struct arena *arena, enum record_kind kind)
{
	struct record *record = arena_alloc(arena, sizeof(*record));

	record->kind = kind;
	return record;
}

/* Bytewise, but '/' comes before all others: a component is followed by what is in it. */
static int comp_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n, i = 0;

	if (a.p == b.p && a.n == b.n)
		return 0;
	while (i < n && a.p[i] == b.p[i])
		i++;
	if (i == n)
		return (a.n > b.n) - (a.n < b.n);
	if (a.p[i] == '/' || b.p[i] == '/')
		return a.p[i] == '/' ? -1 : 1;
	return (unsigned char)a.p[i] < (unsigned char)b.p[i] ? -1 : 1;
}

int record_key_cmp(const struct record_entry *a, const struct record_entry *b)
{
	int c = comp_cmp(a->comp, b->comp);

	if (c == 0)
		c = span_cmp(a->prop, b->prop);
	return c != 0 ? c : span_cmp(a->inst, b->inst);
}

static int entry_cmp(const void *va, const void *vb)
{
	const struct record_entry *a = va, *b = vb;
	int c = record_key_cmp(a, b);

	return c != 0 ? c : span_cmp(a->value, b->value);
}

bool record_is_below(struct span comp, struct span ancestor)
{
	return comp.n > ancestor.n && comp.p[ancestor.n] == '/' && memcmp(comp.p, ancestor.p, ancestor.n) == 0;
}

struct span record_instance(struct arena *arena, struct span value)
{
	if (value.n <= INSTANCE_MAX)
		return value;
	uint64_t tail = span_hash(span_cut(value, value.n / 2, value.n));

	return span_of(arena_printf(arena, "%016llx%016llx", (unsigned long long)span_hash(value),
				    (unsigned long long)tail));
}

struct span record_line(struct arena *arena, const struct content_line *line)
{
	struct buf raw;

	buf_init(&raw, CONTENT_BYTES_MAX * 2);
	content_print_raw(&raw, line);
	struct span s = arena_span(arena, buf_span(&raw));
	buf_free(&raw);
	return s;
}

struct span record_value(struct arena *arena, const struct record_entry *entry)
{
	struct content_line line;
	struct span rest = entry->value, first;

	if (!span_next(&rest, '\n', &first) || !content_parse_line(arena, first, &line))
		return SPAN_NONE;
	return line.value;
}

const struct record_prop *record_prop_find(const struct record_prop *table, size_t n, struct span name)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = span_cmp(name, span_of(table[mid].name));

		if (c == 0)
			return &table[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* --- building --- */

void record_add(struct record_build *b, struct record_entry entry)
{
	struct record *r = b->record;

	b->full |= arena_left(b->arena) < SLACK + r->n * 4 * sizeof(entry);
	if (b->full)
		return;
	r->e = arena_grow(b->arena, r->e, r->n, sizeof(entry), &b->cap);
	r->e[r->n++] = entry;
}

void record_add_set(struct record_build *b, struct span comp, const struct content_line *line)
{
	struct span rest = line->value, one;

	while (text_next(&rest, ',', &one)) {
		struct content_line single = *line;

		single.value = text_canonical(b->arena, text_clean(b->arena, span_trim(one)));
		if (single.value.n > 0)
			record_add(b, (struct record_entry){ .comp = comp, .prop = line->name, .counts = true,
							     .inst = record_instance(b->arena, single.value),
							     .value = record_line(b->arena, &single) });
	}
}

static struct span without_number(struct span inst)
{
	size_t at = span_find(inst, 0, NUMBER);

	return at == SIZE_MAX ? inst : span_cut(inst, 0, at);
}

/* Entries e[0..n) of one key, sorted by value: numbered from the second on. */
static size_t number(struct arena *arena, struct record_entry *e, size_t n, struct record_entry *out)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && span_eq(e[i].value, e[i - 1].value))
			continue;
		out[kept] = e[i];
		if (kept > 0)
			out[kept].inst = span_of(
				arena_printf(arena, SPAN_FMT "%c%06zu", SPAN_ARG(e[i].inst), NUMBER, kept + 1));
		kept++;
	}
	return kept;
}

static int line_cmp(const void *a, const void *b)
{
	return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

/* All lines of e[0..n) as one sorted value without repetition. */
static struct span join(struct arena *arena, const struct record_entry *e, size_t n)
{
	size_t lines = 0, cap = 0, bytes = 0;
	struct span *line = NULL, one;

	for (size_t i = 0; i < n; i++) {
		struct span rest = e[i].value;

		while (span_next(&rest, '\n', &one)) {
			line = arena_grow(arena, line, lines, sizeof(*line), &cap);
			line[lines++] = one;
			bytes += one.n + 1;
		}
	}
	qsort(line, lines, sizeof(*line), line_cmp);
	char *out = arena_raw(arena, bytes + 1), *to = out;
	for (size_t i = 0; i < lines; i++) {
		if (i > 0 && span_eq(line[i], line[i - 1]))
			continue;
		if (to != out)
			*to++ = '\n';
		to = mempcpy(to, line[i].p, line[i].n);
	}
	return span_bytes(out, (size_t)(to - out));
}

static bool is_zone(struct span comp)
{
	return span_starts_nocase(comp, "VTIMEZONE:");
}

void record_seal(struct arena *arena, struct record *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		r->e[i].inst = without_number(r->e[i].inst);
	if (r->n > 1)
		qsort(r->e, r->n, sizeof(*r->e), entry_cmp);
	for (size_t i = 0, next; i < r->n; i = next) {
		for (next = i + 1; next < r->n && record_key_cmp(&r->e[i], &r->e[next]) == 0;)
			next++;
		if (r->e[i].inst.n > 0) {
			n += number(arena, &r->e[i], next - i, &r->e[n]);
			continue;
		}
		struct record_entry one = r->e[i];

		if (next - i > 1 && !is_zone(one.comp))
			one.value = join(arena, &r->e[i], next - i);
		r->e[n++] = one;
	}
	r->n = n;
}

/* --- looking up --- */

static size_t lower_bound(const struct record *r, const struct record_entry *key)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (record_key_cmp(&r->e[mid], key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

size_t record_from(const struct record *r, struct span comp)
{
	return lower_bound(r, &(struct record_entry){ .comp = comp });
}

const struct record_entry *record_find(const struct record *r, struct span comp, struct span prop, struct span inst)
{
	struct record_entry key = { .comp = comp, .prop = prop, .inst = inst };
	size_t i = lower_bound(r, &key);

	return i < r->n && record_key_cmp(&r->e[i], &key) == 0 ? &r->e[i] : NULL;
}

struct span record_text(struct arena *arena, const struct record *r, const char *comp, const char *prop)
{
	const struct record_entry *e = record_find(r, span_of(comp), span_of(prop), SPAN_LIT(""));

	return e == NULL ? SPAN_NONE : text_unescape(arena, record_value(arena, e));
}

struct record *record_with_uid(struct arena *arena, const struct record *record, struct span uid)
{
	struct record *copy = record_new(arena, record->kind);

	*copy = *record;
	copy->uid = uid;
	return copy;
}

static bool same_value(const struct record_entry *a, const struct record_entry *b)
{
	return a == NULL || b == NULL ? a == b : span_eq(a->value, b->value);
}

struct record *record_ground(struct arena *arena, const struct record *base, const struct record *sent,
			     const struct record *now, bool *some_r, bool *all_r)
{
	struct record *ground = record_with_uid(arena, sent, sent->uid);
	size_t i = 0, j = 0;

	ground->e = arena_calloc(arena, base->n + sent->n + 1, sizeof(*ground->e));
	ground->n = 0;
	*some_r = false;
	*all_r = true;
	while (i < base->n || j < sent->n) {
		int c = i == base->n ? 1 : j == sent->n ? -1 : record_key_cmp(&base->e[i], &sent->e[j]);
		const struct record_entry *b = c <= 0 ? &base->e[i++] : NULL, *t = c >= 0 ? &sent->e[j++] : NULL;
		const struct record_entry *any = b != NULL ? b : t;
		const struct record_entry *n = record_find(now, any->comp, any->prop, any->inst);
		bool ours = !same_value(b, t) && !same_value(b, n);

		*some_r |= ours && same_value(t, n);
		*all_r &= same_value(b, t) || ours;
		if (!ours && b != NULL && n != NULL)
			ground->e[ground->n++] = *b;
		else if (ours && t != NULL && n != NULL)
			ground->e[ground->n++] = *t;
	}
	return ground;
}

struct record *record_held(struct arena *arena, const struct record *sent, const struct record *now)
{
	struct record *held = record_with_uid(arena, sent, sent->uid);

	held->e = arena_calloc(arena, sent->n + 1, sizeof(*held->e));
	held->n = 0;
	for (size_t i = 0; i < sent->n; i++) {
		if (record_find(now, sent->e[i].comp, sent->e[i].prop, sent->e[i].inst) != NULL)
			held->e[held->n++] = sent->e[i];
	}
	return held;
}

struct span record_key(struct arena *arena, const struct record *r)
{
	/* vCard 4.0 says "urn:uuid:" where 3.0 does not */
	if (span_starts_nocase(r->uid, "urn:uuid:"))
		return span_cut(r->uid, 9, r->uid.n);
	return r->uid.n > 0 ? r->uid : record_key_fallback(arena, r);
}

/* The first instance of a property of a contact. */
static struct span first_value(struct arena *arena, const struct record *r, const char *prop)
{
	for (size_t i = 0; i < r->n; i++) {
		if (span_eq_str(r->e[i].comp, "VCARD") && span_eq_str(r->e[i].prop, prop))
			return text_unescape(arena, record_value(arena, &r->e[i]));
	}
	return SPAN_NONE;
}

struct span record_key_fallback(struct arena *arena, const struct record *r)
{
	if (r->kind != RECORD_CONTACT && r->kind != RECORD_GROUP)
		return SPAN_NONE;
	struct span name = span_trim(first_value(arena, r, "FN")), address = first_value(arena, r, "EMAIL");

	if (address.n == 0)
		address = first_value(arena, r, "TEL");
	if (name.n == 0 && address.n == 0)
		return SPAN_NONE;
	char *both = arena_printf(arena, SPAN_FMT "\n" SPAN_FMT, SPAN_ARG(name), SPAN_ARG(address));

	return text_lower(arena, span_of(both));
}

/* --- canonical bytes --- */

static void put_span(struct buf *out, struct span s)
{
	buf_printf(out, "%zu:", s.n);
	buf_add_span(out, s);
}

struct span record_canonical(struct arena *arena, const struct record *r)
{
	struct buf out;

	buf_init(&out, CONTENT_BYTES_MAX * 4);
	buf_printf(&out, "record 1 %d\n", (int)r->kind);
	put_span(&out, r->uid);
	for (size_t i = 0; i < r->n; i++) {
		const struct record_entry *e = &r->e[i];

		if (!e->counts)
			continue;
		buf_add_char(&out, '\n');
		put_span(&out, e->comp);
		put_span(&out, e->prop);
		put_span(&out, e->inst);
		put_span(&out, e->value);
	}
	struct span s = arena_span(arena, buf_span(&out));
	buf_free(&out);
	return s;
}

static bool take_span(struct span *rest, struct span *s_r)
{
	size_t colon = span_find(*rest, 0, ':');
	uint64_t n;

	if (colon == SIZE_MAX || !span_u64(span_cut(*rest, 0, colon), CONTENT_BYTES_MAX * 2, &n) ||
	    n > rest->n - colon - 1)
		return false;
	*s_r = span_cut(*rest, colon + 1, (size_t)n);
	*rest = span_cut(*rest, colon + 1 + (size_t)n, rest->n);
	return true;
}

static bool take_header(struct span *rest, struct record *r)
{
	struct span line;
	uint64_t kind;

	if (!span_starts_nocase(*rest, "record 1 ") || !span_next(rest, '\n', &line) ||
	    !span_u64(span_cut(line, 9, line.n), RECORD_KINDS - 1, &kind))
		return false;
	r->kind = (enum record_kind)kind;
	return rest->p != NULL && take_span(rest, &r->uid);
}

enum code record_load(struct arena *arena, struct span bytes, struct record **record_r, struct err *err)
{
	struct record_build b = { .arena = arena, .record = record_new(arena, RECORD_EVENT) };
	struct span rest = arena_span(arena, bytes);
	bool ok = take_header(&rest, b.record);

	while (ok && rest.n > 0) {
		struct record_entry e = { .counts = true };

		ok = rest.p[0] == '\n';
		rest = span_cut(rest, 1, rest.n);
		ok = ok && take_span(&rest, &e.comp) && take_span(&rest, &e.prop) && take_span(&rest, &e.inst) &&
		     take_span(&rest, &e.value);
		if (ok)
			record_add(&b, e);
		ok = ok && !b.full &&
		     (b.record->n < 2 ||
		      record_key_cmp(&b.record->e[b.record->n - 2], &b.record->e[b.record->n - 1]) < 0);
	}
	if (!ok)
		return err_set(err, E_STATE, "a stored record is damaged");
	*record_r = b.record;
	return E_OK;
}
