/* record_merge.c - what changed, putting it into another record, and deciding between two changes.
 *
 * Laws, checked on random records by t_record_random.c:
 * 1. apply(base, diff(base, now)) has what now has;
 * 2. merging again after the patches were applied gives empty patches;
 * 3. swapping the sides (and left and right in the policy) gives the mirror;
 * 4. what either side changed is in the result or among the conflicts;
 * 5. what one side cannot hold is never taken for a deletion.
 */
#include "record_p.h"

#include "when.h"

#include <stdlib.h>

#define SAME_TIME_S 120                 /* clocks of two hosts are not compared more finely */

/* --- stamps --- */

static int64_t stamp_of(const struct record_entry *e)
{
	size_t colon = span_find(e->value, 0, ':');
	struct when w;

	if (e->counts || colon == SIZE_MAX || !(span_eq_str(e->prop, "LAST-MODIFIED") || span_eq_str(e->prop, "REV")) ||
	    !when_parse(span_cut(e->value, colon + 1, e->value.n), SPAN_NONE, NULL, &w))
		return 0;
	return w.local_s;
}

int64_t record_modified(const struct record *r)
{
	int64_t newest = 0;

	for (size_t i = 0; i < r->n; i++) {
		int64_t s = stamp_of(&r->e[i]);

		newest = s > newest ? s : newest;
	}
	return newest;
}

/* Of the outermost component around `comp`, else of the whole record. */
static int64_t modified_at(const struct record *r, struct span comp)
{
	struct span top = span_cut(comp, 0, span_find(comp, 0, '/'));
	const struct record_entry *e = record_find(r, top, SPAN_LIT("LAST-MODIFIED"), SPAN_LIT(""));
	int64_t s = e != NULL ? stamp_of(e) : 0;

	return s != 0 ? s : record_modified(r);
}

/* --- merge --- */

struct merger {
	struct arena *arena;
	const struct record *now[SIDES];
	enum record_policy policy;
	struct record_patch diff[SIDES];
	bool *done[SIDES];              /* changes that are settled already */
	struct record_merge *out;
	size_t cap[SIDES], cap_conflicts;
};

static enum side newest(const struct merger *m, struct span comp)
{
	int64_t left = modified_at(m->now[SIDE_LEFT], comp), right = modified_at(m->now[SIDE_RIGHT], comp);

	return left != 0 && right != 0 && right - left >= SAME_TIME_S ? SIDE_RIGHT : SIDE_LEFT;
}

static enum side winner_of(const struct merger *m, struct span comp)
{
	switch (m->policy) {
	case RECORD_LEFT:
		return SIDE_LEFT;
	case RECORD_RIGHT:
		return SIDE_RIGHT;
	case RECORD_BOTH:
		return newest(m, SPAN_LIT(""));
	case RECORD_NEWEST:
		break;
	}
	return newest(m, comp);
}

static void add_conflict(struct merger *m, const struct record_change *l, const struct record_change *r,
			 enum side winner)
{
	const struct record_change *key = l != NULL ? l : r;
	struct record_merge *out = m->out;

	out->conflicts = arena_grow(m->arena, out->conflicts, out->n_conflicts, sizeof(*out->conflicts),
				    &m->cap_conflicts);
	out->conflicts[out->n_conflicts++] = (struct record_conflict){
		.comp = key->comp, .prop = key->prop, .inst = key->inst, .winner = winner,
		.value = { l != NULL ? l->after : SPAN_NONE, r != NULL ? r->after : SPAN_NONE } };
}

/* To that side, unless it has it already. */
static void send(struct merger *m, enum side to, struct record_change change)
{
	const struct record_entry *has = record_find(m->now[to], change.comp, change.prop, change.inst);

	if (has == NULL ? change.after.p == NULL : change.after.p != NULL && span_eq(has->value, change.after))
		return;
	change.before = has != NULL ? has->value : SPAN_NONE;
	record_change_add(m->arena, &m->out->to[to], &m->cap[to], change);
}

static bool is_removal(const struct record_change *c)
{
	return record_is_begin(c->prop) && c->after.p == NULL;
}

static bool is_within(struct span comp, struct span ancestor)
{
	return span_eq(comp, ancestor) || record_is_below(comp, ancestor);
}

/* Does that side's diff change something in the component beyond removing it (and what is in it)? */
static bool edits(const struct record_patch *p, struct span comp)
{
	for (size_t i = record_change_from(p, comp); i < p->n && is_within(p->changes[i].comp, comp); i++) {
		if (p->changes[i].after.p != NULL)
			return true;
	}
	return false;
}

static const struct record_change *master_times(const struct record_patch *p, struct span comp)
{
	struct record_entry key = { .comp = span_cut(comp, 0, span_find(comp, 0, '@')), .prop = SPAN_LIT("DTSTART"),
				    .inst = SPAN_LIT("") };

	return record_change_find(p, &key);
}

/* An exception whose series that side moved: its original start is no more. */
static bool lost_its_series(struct merger *m, enum side remover, struct span comp)
{
	const struct record_change *mine = master_times(&m->diff[remover], comp);

	if (span_find(comp, 0, '@') == SIZE_MAX || mine == NULL || mine->after.p == NULL)
		return false;
	return master_times(&m->diff[side_other(remover)], comp) == NULL || winner_of(m, mine->comp) == remover;
}

static void settle(struct merger *m, enum side side, struct span comp)
{
	const struct record_patch *p = &m->diff[side];

	for (size_t i = record_change_from(p, comp); i < p->n && is_within(p->changes[i].comp, comp); i++)
		m->done[side][i] = true;
}

/* Everything of the component as `from` has it, to the other side. */
static void restore(struct merger *m, enum side from, struct span comp)
{
	const struct record *r = m->now[from];

	for (size_t i = record_from(r, comp); i < r->n && is_within(r->e[i].comp, comp); i++) {
		const struct record_entry *e = &r->e[i];

		if (e->counts)
			send(m, side_other(from),
			     (struct record_change){
				     .comp = e->comp, .prop = e->prop, .inst = e->inst, .after = e->value });
	}
}

static void remove_from(struct merger *m, enum side from, struct span comp)
{
	const struct record *r = m->now[from];

	for (size_t i = record_from(r, comp); i < r->n && is_within(r->e[i].comp, comp); i++) {
		const struct record_entry *e = &r->e[i];

		if (e->counts)
			send(m, from, (struct record_change){ .comp = e->comp, .prop = e->prop, .inst = e->inst });
	}
}

/* One side removed a component that the other one edited. */
static void settle_removal(struct merger *m, enum side remover, const struct record_change *removal)
{
	enum side editor = side_other(remover);
	bool removed = lost_its_series(m, remover, removal->comp);
	const struct record_patch *edit = &m->diff[editor];

	for (size_t i = record_change_from(edit, removal->comp);
	     i < edit->n && is_within(edit->changes[i].comp, removal->comp); i++) {
		const struct record_change *c = &edit->changes[i];

		if (m->done[editor][i])
			continue;
		add_conflict(m, editor == SIDE_LEFT ? c : NULL, editor == SIDE_RIGHT ? c : NULL,
			     removed ? remover : editor);
	}
	if (removed)
		remove_from(m, editor, removal->comp);
	else
		restore(m, editor, removal->comp);
	settle(m, SIDE_LEFT, removal->comp);
	settle(m, SIDE_RIGHT, removal->comp);
}

static void merge_removals(struct merger *m, enum side remover)
{
	const struct record_patch *p = &m->diff[remover];

	for (size_t i = 0; i < p->n; i++) {
		if (!m->done[remover][i] && is_removal(&p->changes[i]) &&
		    edits(&m->diff[side_other(remover)], p->changes[i].comp))
			settle_removal(m, remover, &p->changes[i]);
	}
}

static void merge_one(struct merger *m, const struct record_change *l, const struct record_change *r)
{
	if (l != NULL && r != NULL &&
	    !(l->after.p == NULL ? r->after.p == NULL : r->after.p != NULL && span_eq(l->after, r->after))) {
		enum side winner = winner_of(m, l->comp);

		add_conflict(m, l, r, winner);
		send(m, side_other(winner), winner == SIDE_LEFT ? *l : *r);
		return;
	}
	if (l != NULL)
		send(m, SIDE_RIGHT, *l);
	if (r != NULL)
		send(m, SIDE_LEFT, *r);
}

static const struct record_change *next_open(const struct merger *m, enum side side, size_t *at)
{
	while (*at < m->diff[side].n && m->done[side][*at])
		++*at;
	return *at < m->diff[side].n ? &m->diff[side].changes[*at] : NULL;
}

static void merge_rest(struct merger *m)
{
	size_t i = 0, k = 0;

	for (;;) {
		const struct record_change *l = next_open(m, SIDE_LEFT, &i), *r = next_open(m, SIDE_RIGHT, &k);
		int c = l == NULL ? 1 : r == NULL ? -1 : record_change_cmp(l, r);

		if (l == NULL && r == NULL)
			return;
		i += c <= 0;
		k += c >= 0;
		merge_one(m, c <= 0 ? l : NULL, c >= 0 ? r : NULL);
	}
}

static int change_order(const void *a, const void *b)
{
	return record_change_cmp(a, b);
}

void record_merge(struct arena *arena, const struct record *const base[SIDES], const struct record *const now[SIDES],
		  enum record_policy policy, struct record_merge *merge_r)
{
	struct merger m = { .arena = arena, .now = { now[0], now[1] }, .policy = policy, .out = merge_r };

	*merge_r = (struct record_merge){ .copy = false };
	for (int s = 0; s < SIDES; s++) {
		m.diff[s] = record_diff(arena, base[s], now[s]);
		m.done[s] = arena_calloc(arena, m.diff[s].n + 1, sizeof(bool));
		merge_r->to[s].source = now[1 - s];
	}
	merge_removals(&m, SIDE_LEFT);
	merge_removals(&m, SIDE_RIGHT);
	merge_rest(&m);
	for (int s = 0; s < SIDES; s++) {
		if (merge_r->to[s].n > 1)
			qsort(merge_r->to[s].changes, merge_r->to[s].n, sizeof(*merge_r->to[s].changes), change_order);
	}
	merge_r->copy = policy == RECORD_BOTH && merge_r->n_conflicts > 0;
	merge_r->loser = side_other(newest(&m, SPAN_LIT("")));
}
