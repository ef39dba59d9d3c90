/* flags.c - keyword sets. Every set that enters or leaves is sorted by the one order of word_cmp(),
 * so that all set operations are merges of two lists, linear in their length.
 */
#include "flags.h"

#include <stdlib.h>
#include <strings.h>

#define KEYWORD_MAX 100

/* ASCII case folded; strncasecmp is not used because it depends on the locale. */
static int fold(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? u + 32 : u;
}

static int word_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;

	for (size_t i = 0; i < n; i++) {
		int d = fold(a.p[i]) - fold(b.p[i]);

		if (d != 0)
			return d;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

/* Take the next word off *rest. */
static bool next_word(struct span *rest, struct span *word_r)
{
	size_t from = 0;

	*word_r = SPAN_NONE;
	if (rest->n == 0)
		return false;
	while (from < rest->n && is_blank(rest->p[from]))
		from++;
	size_t to = from;
	while (to < rest->n && !is_blank(rest->p[to]))
		to++;
	*word_r = span_cut(*rest, from, to - from);
	*rest = span_cut(*rest, to, rest->n - to);
	return word_r->n > 0;
}

static int for_sort(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	int d = word_cmp(*x, *y);

	return d != 0 ? d : span_cmp(*x, *y);
}

/* A set under construction: `p` has room for all that can come. */
struct set {
	char *p;
	size_t n;
};

static void put(struct set *set, struct span word)
{
	if (set->n > 0)
		set->p[set->n++] = ' ';
	memcpy(set->p + set->n, word.p, word.n);
	set->n += word.n;
}

static const char *finish(struct set *set)
{
	if (set->n == 0)
		return NULL;
	set->p[set->n] = '\0';
	return set->p;
}

const char *kw_from(struct arena *arena, struct span words)
{
	struct span *list = NULL, word, rest = words;
	size_t n = 0, cap = 0;

	while (next_word(&rest, &word)) {
		list = arena_grow(arena, list, n, sizeof(*list), &cap);
		list[n++] = word;
	}
	if (n == 0)
		return NULL;
	qsort(list, n, sizeof(*list), for_sort);
	struct set set = { arena_raw(arena, words.n + 1), 0 };
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || word_cmp(list[i - 1], list[i]) != 0)
			put(&set, list[i]);
	}
	return finish(&set);
}

/* Walk two sets side by side: *a_r, *b_r are the next members, n = 0 where one side lacks it. */
static bool next_pair(struct span *a, struct span *b, struct span *a_r, struct span *b_r)
{
	struct span rest_a = *a, rest_b = *b;
	bool has_a = next_word(&rest_a, a_r), has_b = next_word(&rest_b, b_r);
	int d = !has_a ? 1 : !has_b ? -1 : word_cmp(*a_r, *b_r);

	if (d > 0)
		*a_r = SPAN_NONE;
	else
		*a = rest_a;
	if (d < 0)
		*b_r = SPAN_NONE;
	else
		*b = rest_b;
	return has_a || has_b;
}

bool kw_eq(const char *a, const char *b)
{
	struct span rest_a = span_of(a), rest_b = span_of(b), x, y;

	while (next_pair(&rest_a, &rest_b, &x, &y)) {
		if (x.n == 0 || y.n == 0)
			return false;
	}
	return true;
}

bool kw_has(const char *set, struct span word)
{
	struct span rest = span_of(set), member;

	while (next_word(&rest, &member)) {
		if (word_cmp(member, word) == 0)
			return true;
	}
	return false;
}

static struct set set_for(struct arena *arena, struct span a, struct span b)
{
	return (struct set){ arena_raw(arena, a.n + b.n + 2), 0 };
}

const char *kw_union(struct arena *arena, const char *a, const char *b)
{
	struct span rest_a = span_of(a), rest_b = span_of(b), x, y;
	struct set set = set_for(arena, rest_a, rest_b);

	while (next_pair(&rest_a, &rest_b, &x, &y))
		put(&set, x.n > 0 ? x : y);
	return finish(&set);
}

const char *kw_minus(struct arena *arena, const char *a, const char *b)
{
	struct span rest_a = span_of(a), rest_b = span_of(b), x, y;
	struct set set = set_for(arena, rest_a, SPAN_NONE);

	while (next_pair(&rest_a, &rest_b, &x, &y)) {
		if (y.n == 0)
			put(&set, x);
	}
	return finish(&set);
}

bool kw_valid(struct span word)
{
	if (word.n == 0 || word.n > KEYWORD_MAX)
		return false;
	for (size_t i = 0; i < word.n; i++) {
		char c = word.p[i];

		if (c <= ' ' || c > '~' || strchr("(){%*\"\\]", c) != NULL)
			return false;
	}
	return true;
}

bool flagset_eq(struct flagset a, struct flagset b)
{
	return a.flags == b.flags && kw_eq(a.keywords, b.keywords);
}

struct flagset flagset_merge(struct arena *arena, struct flagset base, struct flagset left,
			     struct flagset right)
{
	uint32_t by_left = left.flags ^ base.flags;
	struct flagset out = { (left.flags & by_left) | (right.flags & ~by_left), NULL };
	const char *added = kw_minus(arena, left.keywords, base.keywords);
	const char *removed = kw_minus(arena, base.keywords, left.keywords);

	out.keywords = kw_minus(arena, kw_union(arena, right.keywords, added), removed);
	return out;
}
