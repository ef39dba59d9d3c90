/* tz.c - the zones of one text: what a TZID stands for, and the arithmetic between zones. */
#include "tz_p.h"

#define DAY_S ((int64_t)86400)
#define RANGE_DAYS_MAX 4000             /* days at which two zones are compared: eleven years */
#define DIGEST_DAYS 800                 /* days that go into a private zone's name */

struct tz {
	struct tz *next;
	struct span tzid;               /* as the text names it */
	struct span name;
	icaltimezone *zone;             /* NULL: UTC */
	const struct content_comp *rules;   /* private: where it came from */
	bool unknown;
};

struct tz_set {
	struct arena *arena;
	const struct content_comp **rules;
	size_t n_rules, cap_rules;
	struct tz *zones;
	int64_t from_s, to_s;
};

struct tz_set *tz_set_new(struct arena *arena)
{
	struct tz_set *set = arena_alloc(arena, sizeof(*set));

	set->arena = arena;
	set->to_s = RANGE_DAYS_MAX * DAY_S;
	return set;
}

void tz_set_free(struct tz_set **set)
{
	if (*set == NULL)
		return;
	for (struct tz *tz = (*set)->zones; tz != NULL; tz = tz->next) {
		if (tz->rules != NULL && tz->zone != NULL)
			ical()->icaltimezone_free(tz->zone, 1);
	}
	*set = NULL;
}

void tz_set_add(struct tz_set *set, const struct content_comp *vtimezone)
{
	set->rules = arena_grow(set->arena, set->rules, set->n_rules, sizeof(*set->rules), &set->cap_rules);
	set->rules[set->n_rules++] = vtimezone;
}

void tz_set_range(struct tz_set *set, int64_t from_s, int64_t to_s)
{
	set->from_s = from_s;
	set->to_s = to_s > from_s ? to_s : from_s + DAY_S;
}

/* --- offsets --- */

int32_t tz_offset(const struct tz *tz, int64_t utc_s)
{
	return tz->zone == NULL ? 0 : tz_zone_offset(tz->zone, utc_s);
}

int64_t tz_to_utc(const struct tz *tz, int64_t local_s)
{
	int32_t before = tz_offset(tz, local_s - DAY_S), after = tz_offset(tz, local_s + DAY_S);

	if (before == after || tz_offset(tz, local_s - before) == before)
		return local_s - before;
	return tz_offset(tz, local_s - after) == after ? local_s - after : local_s - before;
}

int64_t tz_to_local(const struct tz *tz, int64_t utc_s)
{
	return utc_s + tz_offset(tz, utc_s);
}

bool tz_same(const struct tz *a, const struct tz *b, int64_t from_s, int64_t to_s)
{
	if (a == b || a->zone == b->zone)
		return true;
	for (int64_t s = from_s, n = 0; s <= to_s && n < RANGE_DAYS_MAX; s += DAY_S, n++) {
		if (tz_offset(a, s) != tz_offset(b, s))
			return false;
	}
	return true;
}

/* --- what a TZID stands for --- */

static const struct content_comp *find_rules(const struct tz_set *set, struct span tzid)
{
	for (size_t i = 0; i < set->n_rules; i++) {
		const struct content_line *line = content_find(set->rules[i], "TZID");

		if (line != NULL && span_eq(span_trim(line->value), tzid))
			return set->rules[i];
	}
	return NULL;
}

static bool use_builtin(struct tz_set *set, struct tz *tz, struct span name)
{
	struct span iana = name.n > 0 ? tz_iana(set->arena, name) : SPAN_NONE;

	if (iana.n == 0)
		return false;
	tz->name = iana;
	tz->zone = span_eq_str(iana, "UTC") ? NULL : tz_builtin(iana);
	return true;
}

/* The representative zones of Windows' list, in its order, that show the same offsets. */
static bool use_offsets(struct tz_set *set, struct tz *tz, icaltimezone *zone)
{
	static const char *const candidates[] = {
#define TZ_WINDOWS(name, display, zones) zones,
#define TZ_LINK(old, now)
#include "tz_table.def"
#undef TZ_WINDOWS
#undef TZ_LINK
	};
	struct tz private = { .zone = zone };

	for (size_t i = 0; i < ARRAY_LEN(candidates); i++) {
		struct span iana = span_bytes(candidates[i], strcspn(candidates[i], " "));
		struct tz other = { .zone = tz_builtin(iana) };

		if (other.zone != NULL && tz_same(&private, &other, set->from_s, set->to_s))
			return use_builtin(set, tz, iana);
	}
	return false;
}

static bool is_hex(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0' || strchr("0123456789abcdef", s.p[i]) == NULL)
			return false;
	}
	return true;
}

/* The name with a digest of its offsets in the years that count; one that it has already is replaced. */
static struct span private_name(const struct tz_set *set, const struct tz *tz)
{
	struct span base = tz->tzid;
	uint64_t hash = 14695981039346656037u;

	if (base.n > 9 && base.p[base.n - 9] == '/' && is_hex(span_cut(base, base.n - 8, 8)))
		base.n -= 9;
	for (int64_t day = 0; day < DIGEST_DAYS; day++)
		hash = (hash ^ (uint64_t)(uint32_t)tz_offset(tz, set->from_s + day * DAY_S)) * 1099511628211u;
	return span_of(arena_printf(set->arena, SPAN_FMT "/%08x", SPAN_ARG(base), (uint32_t)(hash ^ hash >> 32)));
}

static void resolve(struct tz_set *set, struct tz *tz)
{
	const struct content_comp *rules = find_rules(set, tz->tzid);
	const struct content_line *location = rules != NULL ? content_find(rules, "X-LIC-LOCATION") : NULL;

	if (use_builtin(set, tz, tz->tzid) || (location != NULL && use_builtin(set, tz, location->value)))
		return;
	icaltimezone *zone = rules != NULL ? tz_private_zone(rules) : NULL;

	if (zone == NULL) {
		tz->unknown = true;
		return;
	}
	if (use_offsets(set, tz, zone)) {
		ical()->icaltimezone_free(zone, 1);
		return;
	}
	tz->zone = zone;
	tz->rules = rules;
	tz->name = private_name(set, tz);
}

const struct tz *tz_resolve(struct tz_set *set, struct span tzid)
{
	struct tz *tz = set->zones;

	tzid = span_trim(tzid);
	while (tz != NULL && !span_eq(tz->tzid, tzid))
		tz = tz->next;
	if (tz == NULL) {
		tz = arena_alloc(set->arena, sizeof(*tz));
		tz->tzid = arena_span(set->arena, tzid);
		tz->next = set->zones;
		set->zones = tz;
		resolve(set, tz);
	}
	return tz->unknown ? NULL : tz;
}

struct span tz_name(const struct tz *tz)
{
	return tz->name;
}

bool tz_is_private(const struct tz *tz)
{
	return tz->rules != NULL;
}

struct content_comp *tz_private_rules(struct arena *arena, const struct tz *tz)
{
	struct content_comp *out = content_comp_new(arena, tz->rules->name);

	for (size_t i = 0; i < tz->rules->n_lines; i++) {
		struct content_line line = tz->rules->lines[i];

		if (span_eq_nocase_str(line.name, "TZID"))
			line.value = tz->name;
		content_add_line(arena, out, line);
	}
	for (size_t i = 0; i < tz->rules->n_comps; i++)
		content_add_comp(arena, out, tz->rules->comps[i]);
	return out;
}
