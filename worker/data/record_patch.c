/* record_patch.c - what changed between two records, and putting it into a third. Laws 1 and 5 of
 * record_merge.c are kept here.
 */
#include "record_p.h"

static const struct record empty_record;

bool record_is_begin(struct span prop)
{
	return span_eq_str(prop, "BEGIN");
}

static struct record_entry key_of(const struct record_change *c)
{
	return (struct record_entry){
		.comp = c->comp, .prop = c->prop, .inst = c->inst, .value = c->after, .counts = true
	};
}

int record_change_cmp(const struct record_change *a, const struct record_change *b)
{
	struct record_entry ka = key_of(a), kb = key_of(b);

	return record_key_cmp(&ka, &kb);
}

/* --- diff --- */

void record_change_add(struct arena *arena, struct record_patch *p, size_t *cap, struct record_change change)
{
	p->changes = arena_grow(arena, p->changes, p->n, sizeof(change), cap);
	p->changes[p->n++] = change;
}

static const struct record_entry *next_counting(const struct record *r, size_t *at)
{
	while (*at < r->n && !r->e[*at].counts)
		++*at;
	return *at < r->n ? &r->e[*at] : NULL;
}

struct record_patch record_diff(struct arena *arena, const struct record *base, const struct record *now)
{
	struct record_patch p = { .source = now };
	size_t i = 0, k = 0, cap = 0;

	if (base == NULL)
		base = &empty_record;
	for (;;) {
		const struct record_entry *a = next_counting(base, &i), *b = next_counting(now, &k);
		int c = a == NULL ? 1 : b == NULL ? -1 : record_key_cmp(a, b);

		if (a == NULL && b == NULL)
			return p;
		i += c <= 0;
		k += c >= 0;
		if (c == 0 && span_eq(a->value, b->value))
			continue;
		const struct record_entry *key = c <= 0 ? a : b;
		record_change_add(arena, &p, &cap, (struct record_change){
			.comp = key->comp, .prop = key->prop, .inst = key->inst,
			.before = c <= 0 ? a->value : SPAN_NONE, .after = c >= 0 ? b->value : SPAN_NONE });
	}
}

/* --- apply --- */

static const struct record_entry *begin_of(const struct record *r, struct span comp)
{
	return record_find(r, comp, SPAN_LIT("BEGIN"), SPAN_LIT(""));
}

struct applier {
	struct record_build out;
	const struct record *now;
	const struct record_patch *patch;
};

/* Index of the first change that does not sort before the key. */
static size_t lower_bound(const struct record_patch *p, const struct record_entry *key)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct record_entry k = key_of(&p->changes[mid]);

		if (record_key_cmp(&k, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

size_t record_change_from(const struct record_patch *p, struct span comp)
{
	return lower_bound(p, &(struct record_entry){ .comp = comp });
}

const struct record_change *record_change_find(const struct record_patch *p, const struct record_entry *e)
{
	size_t i = lower_bound(p, e);
	struct record_entry k;

	if (i == p->n)
		return NULL;
	k = key_of(&p->changes[i]);
	return record_key_cmp(&k, e) == 0 ? &p->changes[i] : NULL;
}

/* The component of the patch's source that an absent one of the target needs: all of it, but what the
 * patch itself sets. */
static void fill_comp(struct applier *a, struct span comp)
{
	const struct record *from = a->patch->source;

	for (size_t i = record_from(from, comp); i < from->n && span_eq(from->e[i].comp, comp); i++) {
		const struct record_entry *e = &from->e[i];

		if (record_change_find(a->patch, e) == NULL)
			record_add(&a->out, *e);
	}
}

/* LAST-MODIFIED, DTSTAMP, REV: the later; SEQUENCE: the larger. Never back. */
static const char *const stamps[] = { "LAST-MODIFIED", "DTSTAMP", "REV", "SEQUENCE" };

static bool is_stamp(struct span prop)
{
	for (size_t i = 0; i < ARRAY_LEN(stamps); i++) {
		if (span_eq_str(prop, stamps[i]))
			return true;
	}
	return false;
}

/* Texts of equal form: the longer number, the later time. */
static bool is_later(struct span a, struct span b)
{
	return a.n != b.n ? a.n > b.n : span_cmp(a, b) > 0;
}

static bool touches(const struct record_patch *p, struct span comp)
{
	size_t i = record_change_from(p, comp);

	return i < p->n && (span_eq(p->changes[i].comp, comp) || record_is_below(p->changes[i].comp, comp));
}

static struct record_entry with_stamp(const struct applier *a, struct record_entry e, bool touched)
{
	const struct record_entry *other = NULL;

	if (!e.counts && touched && is_stamp(e.prop) && a->patch->source != NULL)
		other = record_find(a->patch->source, e.comp, e.prop, e.inst);
	if (other != NULL && is_later(other->value, e.value))
		e.value = other->value;
	return e;
}

/* Does the patch remove the component, or one that it is in? */
static bool is_removed(const struct applier *a, struct span comp)
{
	for (size_t n = comp.n;; n--) {
		struct record_entry begin = { .comp = span_cut(comp, 0, n),
					      .prop = SPAN_LIT("BEGIN"),
					      .inst = SPAN_LIT("") };
		const struct record_change *c =
			n == comp.n || comp.p[n] == '/' ? record_change_find(a->patch, &begin) : NULL;

		if (c != NULL && c->after.p == NULL)
			return true;
		if (n == 0)
			return false;
	}
}

/* What the target has, less what the patch takes away or sets anew. */
static void keep_old(struct applier *a)
{
	struct span comp = SPAN_NONE;
	bool removed = false, touched = false;

	for (size_t i = 0; i < a->now->n; i++) {
		const struct record_entry *e = &a->now->e[i];

		if (i == 0 || !span_eq(comp, e->comp)) {
			comp = e->comp;
			removed = is_removed(a, comp);
			touched = touches(a->patch, comp);
		}
		if (!removed && record_change_find(a->patch, e) == NULL)
			record_add(&a->out, with_stamp(a, *e, touched));
	}
}

static void add_zones(struct applier *a)
{
	const struct record *from = a->patch->source;

	for (size_t i = 0; from != NULL && i < from->n; i++) {
		if (span_starts_nocase(from->e[i].comp, "VTIMEZONE:") &&
		    record_find(a->now, from->e[i].comp, from->e[i].prop, from->e[i].inst) == NULL)
			record_add(&a->out, from->e[i]);
	}
}

static struct span parent_of(struct span comp)
{
	size_t n = comp.n;

	while (n > 0 && comp.p[n - 1] != '/')
		n--;
	return n > 0 ? span_cut(comp, 0, n - 1) : SPAN_NONE;
}

static bool is_there(const struct applier *a, struct span comp)
{
	return comp.n == 0 || (begin_of(a->now, comp) != NULL && !is_removed(a, comp));
}

/* Stamps that the target does not have at all. */
static void add_stamps(struct applier *a, struct span comp)
{
	for (size_t i = 0; i < ARRAY_LEN(stamps); i++) {
		struct span prop = span_of(stamps[i]);
		const struct record_entry *e = record_find(a->patch->source, comp, prop, SPAN_LIT(""));

		if (e != NULL && record_find(a->now, comp, prop, SPAN_LIT("")) == NULL)
			record_add(&a->out, *e);
	}
}

static bool sets_in(const struct record_patch *p, struct span comp)
{
	for (size_t i = record_change_from(p, comp); i < p->n && span_eq(p->changes[i].comp, comp); i++) {
		if (p->changes[i].after.p != NULL)
			return true;
	}
	return false;
}

/* An alarm of an exception that the target lacks: the exception comes along, unless its own changes
 * bring it. */
static void fill_around(struct applier *a, struct span comp)
{
	while (comp.n > 0 && !is_there(a, comp)) {
		if (!sets_in(a->patch, comp))
			fill_comp(a, comp);
		comp = parent_of(comp);
	}
}

/* Sets the changes of comp c[0..n); false: the component is not there and cannot be made. */
static void set_comp(struct applier *a, const struct record_change *c, size_t n)
{
	const struct record *source = a->patch->source;
	struct span comp = c[0].comp;
	bool there = is_there(a, comp), sets = false, has_begin = false;

	for (size_t i = 0; i < n; i++) {
		sets |= c[i].after.p != NULL;
		has_begin |= record_is_begin(c[i].prop) && c[i].after.p != NULL;
	}
	if (!sets || is_removed(a, comp))
		return;
	if (!there && !has_begin && (source == NULL || begin_of(source, comp) == NULL))
		return;
	if (!there && source != NULL)
		fill_around(a, parent_of(comp));
	if (!there && source != NULL)
		fill_comp(a, comp);
	else if (source != NULL)
		add_stamps(a, comp);
	for (size_t i = 0; i < n; i++) {
		if (c[i].after.p != NULL)
			record_add(&a->out, key_of(&c[i]));
	}
}

/* Components whose surroundings are gone do not stay. */
static void drop_orphans(struct record *r)
{
	struct record_entry *kept = r->e;
	size_t n = 0;
	struct span comp = SPAN_NONE;
	bool ok = true;
	struct record so_far = *r;

	for (size_t i = 0; i < r->n; i++) {
		struct record_entry e = r->e[i];

		if (i == 0 || !span_eq(e.comp, comp)) {
			comp = e.comp;
			so_far.n = n;
			struct span parent = parent_of(comp);
			ok = comp.n == 0 || span_starts_nocase(comp, "VTIMEZONE:") ||
			     (begin_of(r, comp) != NULL && (parent.n == 0 || begin_of(&so_far, parent) != NULL));
		}
		if (ok)
			kept[n++] = e;
	}
	r->n = n;
}

struct record *record_apply(struct arena *arena, const struct record *now, const struct record_patch *patch)
{
	struct applier a = { .out = { .arena = arena }, .now = now != NULL ? now : &empty_record, .patch = patch };
	const struct record *like = now != NULL ? now : patch->source;

	a.out.record = record_new(arena, like != NULL ? like->kind : RECORD_EVENT);
	if (like != NULL)
		a.out.record->uid = like->uid;
	keep_old(&a);
	for (size_t i = 0, next; i < patch->n; i = next) {
		for (next = i + 1; next < patch->n && span_eq(patch->changes[i].comp, patch->changes[next].comp);)
			next++;
		set_comp(&a, &patch->changes[i], next - i);
	}
	add_zones(&a);
	record_seal(arena, a.out.record);
	drop_orphans(a.out.record);
	if (a.out.record->kind == RECORD_CONTACT || a.out.record->kind == RECORD_GROUP)
		vcard_set_kind(a.out.record);
	return a.out.record;
}
