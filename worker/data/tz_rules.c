/* tz_rules.c - zones as libical knows them: the machine's by name, and private ones out of a VTIMEZONE
 * that was checked before libical sees it, because it expands whatever it is given.
 */
#include "tz_p.h"

#include <stdio.h>

#define OBSERVANCES_MAX 400             /* STANDARD and DAYLIGHT parts of a VTIMEZONE */
#define DATES_MAX 400                   /* RDATEs of one */
#define RULE_MAX 160                    /* bytes of an RRULE */

icaltimezone *tz_builtin(struct span iana)
{
	char name[64];

	if (iana.n == 0 || iana.n >= sizeof(name))
		return NULL;
	memcpy(name, iana.p, iana.n);
	name[iana.n] = '\0';
	icaltimezone *zone = ical()->icaltimezone_get_builtin_timezone(name);

	return zone != NULL && ical()->icaltimezone_get_component(zone) != NULL ? zone : NULL;
}

/* --- a VTIMEZONE that libical may have --- */

static bool has_only(struct span s, const char *chars)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0' || strchr(chars, s.p[i]) == NULL)
			return false;
	}
	return s.n > 0;
}

/* One rule per year at the most, from few parts. */
static bool rule_is_tame(struct span rule)
{
	static const char *const parts[] = {
		"FREQ=YEARLY", "BYMONTH=", "BYDAY=", "BYMONTHDAY=", "UNTIL=", "INTERVAL=1", "COUNT=", "WKST=",
	};
	struct span part;
	size_t yearly = 0;

	if (rule.n > RULE_MAX || !has_only(rule, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=,;+-"))
		return false;
	while (span_next(&rule, ';', &part)) {
		size_t i = 0;

		while (i < ARRAY_LEN(parts) && !span_starts_nocase(part, parts[i]))
			i++;
		if (i == ARRAY_LEN(parts) && part.n > 0)
			return false;
		yearly += i == 0;
	}
	return yearly == 1;
}

static bool line_is_tame(const struct content_line *line, bool *known_r)
{
	struct span v = line->value;
	bool is_time = span_eq_nocase_str(line->name, "DTSTART") || span_eq_nocase_str(line->name, "RDATE");

	*known_r = true;
	if (is_time)
		return v.n >= 8 && v.n < DATES_MAX * 17 && has_only(v, "0123456789TZ,");
	if (span_eq_nocase_str(line->name, "RRULE"))
		return rule_is_tame(v);
	if (span_starts_nocase(line->name, "TZOFFSET"))
		return (v.n == 5 || v.n == 7) && has_only(v, "+-0123456789");
	*known_r = false;
	return true;
}

static bool add_observance(struct buf *out, const struct content_comp *comp)
{
	bool known, standard = span_eq_nocase_str(comp->name, "STANDARD");
	size_t rules = 0, dates = 0;

	if (content_find(comp, "DTSTART") == NULL || content_find(comp, "TZOFFSETTO") == NULL ||
	    content_find(comp, "TZOFFSETFROM") == NULL)
		return false;
	buf_add_str(out, standard ? "BEGIN:STANDARD\r\n" : "BEGIN:DAYLIGHT\r\n");
	for (size_t i = 0; i < comp->n_lines; i++) {
		struct content_line line = { .name = comp->lines[i].name, .value = comp->lines[i].value };

		if (!line_is_tame(&line, &known))
			return false;
		rules += span_eq_nocase_str(line.name, "RRULE");
		dates += span_eq_nocase_str(line.name, "RDATE");
		if (known)
			content_print_line(out, &line);
	}
	buf_add_str(out, standard ? "END:STANDARD\r\n" : "END:DAYLIGHT\r\n");
	return rules <= 1 && dates <= DATES_MAX;
}

icaltimezone *tz_private_zone(const struct content_comp *vtimezone)
{
	struct buf text;
	icaltimezone *zone = NULL;
	size_t n = 0;
	bool tame = vtimezone->n_comps <= OBSERVANCES_MAX;

	buf_init(&text, (size_t)1 << 20);
	buf_add_str(&text, "BEGIN:VTIMEZONE\r\nTZID:private\r\n");
	for (size_t i = 0; i < vtimezone->n_comps && tame; i++) {
		const struct content_comp *comp = vtimezone->comps[i];

		if (!span_eq_nocase_str(comp->name, "STANDARD") && !span_eq_nocase_str(comp->name, "DAYLIGHT"))
			continue;
		tame = add_observance(&text, comp);
		n++;
	}
	buf_add_str(&text, "END:VTIMEZONE\r\n");
	icalcomponent *comp = tame && n > 0 && !text.overflow ?
			      ical()->icalcomponent_new_from_string(buf_str(&text)) : NULL;
	buf_free(&text);
	if (comp == NULL)
		return NULL;
	zone = ical()->icaltimezone_new();
	if (!ical()->icaltimezone_set_component(zone, comp)) {
		ical()->icalcomponent_free(comp);
		ical()->icaltimezone_free(zone, 1);
		return NULL;
	}
	return zone;
}

/* --- offsets --- */

int32_t tz_zone_offset(icaltimezone *zone, int64_t utc_s)
{
	/* libical knows no year beyond these bounds; before them nothing changes any more */
	const int64_t first = -3000000000, last = 6000000000;
	int64_t s = utc_s < first ? first : utc_s > last ? last : utc_s;
	struct icaltimetype t = ical()->icaltime_from_timet_with_zone((time_t)s, 0, NULL);
	int is_daylight = 0;

	return ical()->icaltimezone_get_utc_offset_of_utc_time(zone, &t, &is_daylight);
}

/* --- printing a known zone --- */

struct content_comp *tz_vtimezone(struct arena *arena, struct span iana, int64_t from_s)
{
	icaltimezone *zone = tz_builtin(iana);
	struct content_comp *root, *found = NULL;

	if (zone == NULL || span_eq_str(iana, "UTC"))
		return NULL;
	icalcomponent *comp = ical()->icalcomponent_new_clone(ical()->icaltimezone_get_component(zone));
	struct icaltimetype from = ical()->icaltime_from_timet_with_zone((time_t)from_s, 0,
									 ical()->icaltimezone_get_utc_timezone());
	ical()->icaltimezone_truncate_vtimezone(comp, from, ical()->icaltime_null_time(), 0);
	char *text = ical()->icalcomponent_as_ical_string_r(comp);
	ical()->icalcomponent_free(comp);
	if (content_parse(arena, span_of(text), &root, NULL) == E_OK && root->n_comps == 1)
		found = root->comps[0];
	ical()->icalmemory_free_buffer(text);
	for (size_t i = 0; found != NULL && i < found->n_lines; i++) {
		if (span_eq_str(found->lines[i].name, "TZID"))
			found->lines[i].value = iana;
	}
	return found;
}
