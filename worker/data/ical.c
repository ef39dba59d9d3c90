/* ical.c - iCalendar (RFC 5545, 7986, 9073, 9074) into a record. The table says what each property is;
 * what it does not name is one value of its own, all lines of the name together.
 */
#include "ical_p.h"

#include <stdlib.h>

static const struct record_prop props[] = {
	{ "ACKNOWLEDGED", ONCE, CANON_TIME, NULL },
	{ "ACTION", ONCE, CANON_WORD, NULL },
	{ "ATTACH", EACH, CANON_URI, NULL },
	{ "ATTENDEE", ATTENDEES, CANON_ADDRESS, NULL },
	{ "CALSCALE", ONCE, CANON_WORD, "GREGORIAN" },
	{ "CATEGORIES", SET, CANON_TEXT, NULL },
	{ "CLASS", ONCE, CANON_WORD, "PUBLIC" },
	{ "COLOR", ONCE, CANON_TEXT, NULL },
	{ "COMMENT", EACH, CANON_TEXT, NULL },
	{ "COMPLETED", ONCE, CANON_TIME, NULL },
	{ "CONFERENCE", EACH, CANON_URI, NULL },
	{ "CONTACT", EACH, CANON_TEXT, NULL },
	{ "CREATED", KEPT, CANON_TIME, NULL },
	{ "DESCRIPTION", ONCE, CANON_TEXT, NULL },
	{ "DTSTAMP", KEPT, CANON_TIME, NULL },
	{ "FREEBUSY", EACH, CANON_PERIOD, NULL },
	{ "GEO", ONCE, CANON_RAW, NULL },
	{ "IMAGE", EACH, CANON_URI, NULL },
	{ "LAST-MODIFIED", KEPT, CANON_TIME, NULL },
	{ "LOCATION", ONCE, CANON_TEXT, NULL },
	{ "NAME", ONCE, CANON_TEXT, NULL },
	{ "ORGANIZER", ONCE, CANON_ADDRESS, NULL },
	{ "PERCENT-COMPLETE", ONCE, CANON_INTEGER, NULL },
	{ "PRIORITY", ONCE, CANON_INTEGER, "0" },
	{ "RECURRENCE-ID", KEPT, CANON_TIME, NULL },
	{ "RELATED-TO", EACH, CANON_TEXT, NULL },
	{ "REPEAT", ONCE, CANON_INTEGER, "0" },
	{ "REQUEST-STATUS", KEPT, CANON_RAW, NULL }, /* one server's delivery report */
	{ "RESOURCES", SET, CANON_TEXT, NULL },
	{ "SEQUENCE", KEPT, CANON_INTEGER, NULL }, /* moves with every write of some servers */
	{ "STATUS", ONCE, CANON_WORD, NULL },
	{ "STRUCTURED-DATA", EACH, CANON_RAW, NULL },
	{ "STYLED-DESCRIPTION", EACH, CANON_RAW, NULL },
	{ "SUMMARY", ONCE, CANON_TEXT, NULL },
	{ "TRANSP", ONCE, CANON_WORD, "OPAQUE" },
	{ "TRIGGER", ONCE, CANON_DURATION, NULL },
	{ "UID", LEFT_OUT, CANON_TEXT, NULL },
	{ "URL", ONCE, CANON_URI, NULL },
	{ "X-MOZ-LASTACK", ONCE, CANON_TIME, NULL },
	{ "X-WR-ALARMUID", KEPT, CANON_RAW, NULL },
};

static const struct record_prop unknown = { "", ONCE, CANON_RAW, NULL };

static const struct record_prop *find_prop(struct span name)
{
	const struct record_prop *prop = record_prop_find(props, ARRAY_LEN(props), name);

	return prop != NULL ? prop : &unknown;
}

static void add(struct ical_reader *r, struct span path, const struct content_line *line, struct span inst,
		enum record_weight weight)
{
	record_add(&r->build, (struct record_entry){ .comp = path,
						     .prop = line->name,
						     .inst = inst.n > 0 ? record_instance(r->build.arena, inst)
									: SPAN_LIT(""),
						     .value = record_line(r->build.arena, line),
						     .counts = weight == WEIGHT_COUNTS });
}

static struct span address_of(struct arena *arena, struct span value)
{
	return text_lower(arena, span_starts_nocase(value, "mailto:") ? span_cut(value, 7, value.n) : value);
}

static bool is_binary(const struct content_line *line)
{
	return span_eq_nocase_str(content_param_value(line, "ENCODING"), "BASE64");
}

static struct content_line canonical(struct ical_reader *r, const struct content_line *line,
				     const struct record_prop *prop)
{
	struct content_line out;

	struct span type = content_param_value(line, "VALUE");

	if (prop->type == CANON_TIME)
		return ical_time_line(r, line);
	if (span_eq_nocase_str(type, "DATE-TIME") && prop != &unknown) {
		out = ical_time_line(r, line);
		canon_set_param(r->build.arena, &out, "VALUE", SPAN_LIT("DATE-TIME"));
		return out;
	}
	out = canon_line(r->build.arena, line, is_binary(line) ? CANON_BINARY : prop->type);
	if (content_param(&out, "TZID") != NULL)
		out = ical_time_line(r, &out);
	return out;
}

static void read_line(struct ical_reader *r, struct span path, const struct content_line *line)
{
	struct arena *arena = r->build.arena;
	const struct record_prop *prop = find_prop(text_upper(arena, line->name));

	if (prop->class == LEFT_OUT || (prop == &unknown && canon_is_noise(line->name))) {
		/* the UID of an alarm (RFC 9074 4) or place (RFC 9073) is not the item's */
		if (prop->class != LEFT_OUT || span_find(path, 0, '/') == SIZE_MAX)
			return;
		struct content_line uid = canon_line(arena, line, CANON_TEXT);

		add(r, path, &uid, SPAN_NONE, WEIGHT_KEPT);
		return;
	}
	if (prop->class == SET) {
		struct content_line set = canon_line(arena, line, CANON_LIST);

		record_add_set(&r->build, path, &set);
		return;
	}
	struct content_line out = canonical(r, line, prop);
	if (out.value.n == 0 || (prop->otherwise != NULL && span_eq_str(out.value, prop->otherwise)))
		return;
	struct span inst = prop->class == ATTENDEES ? address_of(arena, out.value) :
			   prop->class == EACH ? out.value : SPAN_NONE;
	/* what stands on the calendar itself is the server's, but for its scale */
	bool counts = prop->class != KEPT && (path.n > 0 || span_eq_str(out.name, "CALSCALE"));
	add(r, path, &out, inst, counts ? WEIGHT_COUNTS : WEIGHT_KEPT);
}

/* --- components --- */

static struct span key_text(struct arena *arena, struct span s)
{
	char *out = arena_str(arena, text_clean(arena, s));

	for (char *p = out; *p != '\0'; p++) {
		if (*p == '/' || *p == '\t')
			*p = '|';
	}
	return record_instance(arena, span_of(out));
}

static struct span exception_path(struct ical_reader *r, struct span name, const struct content_line *id)
{
	struct arena *arena = r->build.arena;
	struct content_line line = ical_time_line(r, id);
	struct when w;

	if (!when_parse(line.value, content_param_value(&line, "TZID"), r->zones, &w))
		return span_of(arena_printf(arena, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(name),
					    SPAN_ARG(key_text(arena, line.value))));
	if (w.kind == WHEN_ZONE && w.tz != NULL)
		w = (struct when){ .kind = WHEN_UTC, .local_s = when_utc(&w) };
	return span_of(arena_printf(arena, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(name), SPAN_ARG(when_print(arena, &w))));
}

/* Of what it says, in whatever order and spelling: read on its own, for this only. */
static struct span digest_of_comp(const struct ical_reader *r, const struct content_comp *comp)
{
	struct ical_reader probe = *r;

	probe.build.record = record_new(r->build.arena, RECORD_EVENT);
	probe.build.cap = 0;
	for (size_t i = 0; i < comp->n_lines; i++)
		read_line(&probe, SPAN_LIT("/"), &comp->lines[i]);
	record_seal(r->build.arena, probe.build.record);
	uint64_t digest = span_hash(record_canonical(r->build.arena, probe.build.record));
	return span_of(arena_printf(r->build.arena, "%016llx", (unsigned long long)digest));
}

/* What a component inside another is known by. */
static struct span inner_key(struct ical_reader *r, const struct content_comp *comp)
{
	struct arena *arena = r->build.arena;
	const struct content_line *trigger = content_find(comp, "TRIGGER"), *action = content_find(comp, "ACTION");
	const struct content_line *uid = content_find(comp, "UID");

	if (span_eq_nocase_str(comp->name, "VALARM") && trigger != NULL) {
		struct content_line t = canonical(r, trigger, find_prop(SPAN_LIT("TRIGGER")));
		struct span related = content_param_value(&t, "RELATED");

		return span_of(
			arena_printf(arena, SPAN_FMT "%s;" SPAN_FMT, SPAN_ARG(key_text(arena, t.value)),
				     span_eq_str(related, "END") ? ";END" : "",
				     SPAN_ARG(action != NULL ? key_text(arena, text_upper(arena, action->value))
							     : SPAN_NONE)));
	}
	return uid != NULL && uid->value.n > 0 ? key_text(arena, uid->value) : digest_of_comp(r, comp);
}

/* The place of a path in the hash set: its own, or a free one. */
static struct span *path_slot(struct span *paths, size_t cap, struct span path)
{
	size_t i = (size_t)span_hash(path) & (cap - 1);

	while (paths[i].p != NULL && !span_eq(paths[i], path))
		i = (i + 1) & (cap - 1);
	return &paths[i];
}

static void more_paths(struct ical_reader *r)
{
	size_t cap = r->cap_paths == 0 ? 64 : r->cap_paths * 2;
	struct span *paths = arena_calloc(r->build.arena, cap, sizeof(*paths));

	for (size_t i = 0; i < r->cap_paths; i++) {
		if (r->paths[i].p != NULL)
			*path_slot(paths, cap, r->paths[i]) = r->paths[i];
	}
	r->paths = paths;
	r->cap_paths = cap;
}

/* A path that no component of the record has yet; it is taken now. */
static struct span free_path(struct ical_reader *r, struct span path)
{
	struct span want = path, *slot;

	if (r->n_paths * 2 >= r->cap_paths)
		more_paths(r);
	for (size_t n = 2;; n++) {
		slot = path_slot(r->paths, r->cap_paths, want);
		if (slot->p == NULL || n > 1000)
			break;
		want = span_of(arena_printf(r->build.arena, SPAN_FMT "#%zu", SPAN_ARG(path), n));
	}
	r->n_paths += slot->p == NULL;
	*slot = want;
	return want;
}

/* A component in another one, with what it is known by and what tells it from its like. */
struct inner {
	const struct content_comp *comp;
	struct span key, text;
	size_t index;
};

static int inner_order(const void *va, const void *vb)
{
	const struct inner *a = va, *b = vb;
	int c = span_cmp(a->key, b->key);

	if (c == 0)
		c = span_cmp(a->text, b->text);
	return c != 0 ? c : (a->index > b->index) - (a->index < b->index);
}

static void read_comp(struct ical_reader *r, const struct content_comp *comp, struct span path);

/* The text that tells two alarms of one trigger apart: the first of its descriptions by order. */
static struct span telling_text(struct arena *arena, const struct content_comp *comp)
{
	struct span least = SPAN_NONE;

	for (size_t i = 0; i < comp->n_lines; i++) {
		if (!span_eq_nocase_str(comp->lines[i].name, "DESCRIPTION"))
			continue;
		struct span text = text_canonical(arena, text_clean(arena, comp->lines[i].value));

		if (least.p == NULL || span_cmp(text, least) < 0)
			least = text;
	}
	return least;
}

/* In an order that does not depend on theirs, so that two alarms of one trigger keep their numbers. */
static void read_inner(struct ical_reader *r, const struct content_comp *comp, struct span path)
{
	struct arena *arena = r->build.arena;
	struct inner *inner = arena_calloc(arena, comp->n_comps + 1, sizeof(*inner));

	for (size_t i = 0; i < comp->n_comps; i++) {
		inner[i] = (struct inner){ .comp = comp->comps[i],
					   .text = telling_text(arena, comp->comps[i]),
					   .index = i };
		inner[i].key = span_of(arena_printf(arena, SPAN_FMT ":" SPAN_FMT,
						    SPAN_ARG(text_upper(arena, inner[i].comp->name)),
						    SPAN_ARG(inner_key(r, inner[i].comp))));
	}
	qsort(inner, comp->n_comps, sizeof(*inner), inner_order);
	for (size_t i = 0; i < comp->n_comps && !r->build.full; i++) {
		char *inner_path = arena_printf(arena, SPAN_FMT "/" SPAN_FMT, SPAN_ARG(path), SPAN_ARG(inner[i].key));

		read_comp(r, inner[i].comp, free_path(r, span_of(inner_path)));
	}
}

static void read_comp(struct ical_reader *r, const struct content_comp *comp, struct span path)
{
	bool in_alarm = span_find_nocase(path, "/VALARM:") != SIZE_MAX;

	record_add(&r->build,
		   (struct record_entry){
			   .comp = path,
			   .prop = SPAN_LIT("BEGIN"),
			   .inst = SPAN_LIT(""),
			   .counts = true,
			   .value = span_of(arena_printf(r->build.arena, "BEGIN:" SPAN_FMT,
							 SPAN_ARG(text_upper(r->build.arena, comp->name)))) });
	for (size_t i = 0; i < comp->n_lines; i++) {
		if (in_alarm || !ical_is_time(comp->lines[i].name))
			read_line(r, path, &comp->lines[i]);
	}
	if (!in_alarm)
		ical_read_times(r, comp, path);
	if (comp->n_comps > 0)
		read_inner(r, comp, path);
}

/* --- the whole --- */

static const struct { const char *name; enum record_kind kind;
} kinds[] = {
	{ "VEVENT", RECORD_EVENT },
	{ "VTODO", RECORD_TASK },
	{ "VJOURNAL", RECORD_JOURNAL },
	{ "VFREEBUSY", RECORD_FREEBUSY },
};

static bool kind_of(struct span name, enum record_kind *kind_r)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (span_eq_nocase_str(name, kinds[i].name)) {
			*kind_r = kinds[i].kind;
			return true;
		}
	}
	return false;
}

/* What must not stand twice in a component (RFC 5545 3.6) and decides what it is known by: the first
 * counts. */
static void drop_repeats(struct content_comp *comp)
{
	static const char *const names[] = { "UID", "RECURRENCE-ID", "DTSTART", "DTEND",
					     "DUE", "DURATION",      "TRIGGER", "ACTION" };
	bool seen[ARRAY_LEN(names)] = { false };
	size_t kept = 0;

	for (size_t i = 0; i < comp->n_lines; i++) {
		size_t k = 0;

		while (k < ARRAY_LEN(names) && !span_eq_nocase_str(comp->lines[i].name, names[k]))
			k++;
		if (k < ARRAY_LEN(names) && seen[k])
			continue;
		if (k < ARRAY_LEN(names))
			seen[k] = true;
		comp->lines[kept++] = comp->lines[i];
	}
	comp->n_lines = kept;
	for (size_t i = 0; i < comp->n_comps; i++)
		drop_repeats(comp->comps[i]);
}

/* The years that zones are compared in: from the first start to two years past the last. */
static void find_zones(struct arena *arena, struct tz_set *zones, const struct content_comp *calendar)
{
	int64_t from = INT64_MAX, to = INT64_MIN;
	struct when w;

	for (size_t i = 0; i < calendar->n_comps; i++) {
		const struct content_comp *comp = calendar->comps[i];
		const struct content_line *start = content_find(comp, "DTSTART");

		if (span_eq_nocase_str(comp->name, "VTIMEZONE")) {
			tz_set_add(zones, comp);
		} else if (start != NULL && when_parse(text_clean(arena, start->value), SPAN_NONE, NULL, &w)) {
			from = w.local_s < from ? w.local_s : from;
			to = w.local_s > to ? w.local_s : to;
		}
	}
	if (to >= from)
		tz_set_range(zones, from, to + 730 * (int64_t)86400);
}

static enum code read_parts(struct ical_reader *r, const struct content_comp *calendar, struct err *err)
{
	struct record *rec = r->build.record;
	size_t found = 0, exceptions = 0;

	for (size_t i = 0; i < calendar->n_comps; i++) {
		const struct content_comp *comp = calendar->comps[i];
		const struct content_line *uid = content_find(comp, "UID"), *id = content_find(comp, "RECURRENCE-ID");
		struct span name = text_upper(r->build.arena, comp->name);

		if (span_eq_str(name, "VTIMEZONE"))
			continue;
		struct span uid_text = uid == NULL ? SPAN_NONE :
			text_unescape(r->build.arena, text_clean(r->build.arena, span_trim(uid->value)));
		if (kind_of(name, &rec->kind)) {
			if (found++ > 0 && !span_eq(rec->uid, uid_text))
				return err_set(err, E_ITEM_BAD, "the calendar object holds more than one UID");
			rec->uid = uid_text;
		}
		exceptions += id != NULL;
		if (exceptions > 20000)
			return err_set(err, E_ITEM_TOO_BIG, "more than 20000 exceptions");
		struct span path = id != NULL ? exception_path(r, name, id) : name;
		read_comp(r, comp, free_path(r, path));
	}
	return found > 0 ? E_OK : err_set(err, E_ITEM_BAD, "the calendar object holds no event, task or journal entry");
}

enum code ical_read(struct arena *arena, struct content_comp *calendar, struct record **record_r, struct err *err)
{
	struct ical_reader r = { .build = { .arena = arena, .record = record_new(arena, RECORD_EVENT) } };

	drop_repeats(calendar);
	r.zones = tz_set_new(arena);
	find_zones(arena, r.zones, calendar);
	for (size_t i = 0; i < calendar->n_lines; i++)
		read_line(&r, SPAN_LIT(""), &calendar->lines[i]);
	enum code code = read_parts(&r, calendar, err);
	tz_set_free(&r.zones);
	if (code == E_OK && r.build.full)
		code = err_set(err, E_ITEM_TOO_BIG, "no room for an item of %zu properties", r.build.record->n);
	if (code != E_OK)
		return code;
	record_seal(arena, r.build.record);
	*record_r = r.build.record;
	return E_OK;
}
