/* canon.c - one spelling for equal content lines. What is left out here never counts as a difference
 * and never reaches another server; each table says why.
 */
#include "canon.h"

#include <stdio.h>
#include <stdlib.h>

/* Properties that servers and clients add for themselves. A '*' at the end matches any rest. */
static const struct { const char *name, *reason; } noise_properties[] = {
	{ "PRODID", "names the program that wrote the copy" },
	{ "VERSION", "of the format, set when printing" },
	{ "METHOD", "of a message in transit; stored objects must not have it (RFC 4791 4.1)" },
	{ "X-RADICALE-NAME", "Radicale's file name" },
	{ "X-SABRE-*", "sabre/dav reports what it repaired" },
	{ "X-LIC-*", "libical reports what it could not read" },
	{ "X-WR-*", "name, zone and description of the calendar, repeated in each object" },
	{ "X-PUBLISHED-TTL", "of a subscription" },
	{ "X-MOZ-GENERATION", "Thunderbird's edit counter" },
	{ "X-EVOLUTION-*", "Evolution's own bookkeeping" },
	{ "X-CALENDARSERVER-*", "Apple's server: access and attendee bookkeeping" },
	{ "X-ENTOURAGE_UUID", "an id of one server's store" },
	{ "X-MICROSOFT-CDO-APPT-SEQUENCE", "Exchange's meeting counter, as SEQUENCE" },
	{ "X-MICROSOFT-CDO-OWNERAPPTID", "an id of one mailbox" },
	{ "X-MICROSOFT-CDO-ATTENDEE-CRITICAL-CHANGE", "Exchange's time stamps" },
	{ "X-MICROSOFT-CDO-OWNER-CRITICAL-CHANGE", "Exchange's time stamps" },
	{ "X-MICROSOFT-ATTENDEE-CRITICAL-CHANGE", "Exchange's time stamps" },
	{ "X-MICROSOFT-OWNER-CRITICAL-CHANGE", "Exchange's time stamps" },
	{ "X-APPLE-EWS-*", "macOS: what it saw on Exchange" },
	{ "X-APPLE-CREATOR-*", "macOS: the program that made it" },
	{ "X-ZIMBRA-*", "Zimbra's own bookkeeping" },
};

/* Parameters that never count. */
static const struct { const char *name, *reason; } noise_params[] = {
	{ "SCHEDULE-AGENT", "set on every silent write; must not reach other servers (RFC 6638 7.1)" },
	{ "SCHEDULE-STATUS", "one server's delivery report (RFC 6638 7.3)" },
	{ "SCHEDULE-FORCE-SEND", "an order to send (RFC 6638 7.2): never repeated" },
	{ "X-VOBJ-ORIGINAL-TZID", "vobject's bookkeeping" },
	{ "X-VOBJ-FLOATINGTIME-ALLOWED", "vobject's bookkeeping" },
	{ "X-LIC-ERROR", "libical reports what it could not read" },
	{ "X-CALENDARSERVER-DTSTAMP", "Apple's server: when an attendee answered it" },
	{ "X-CALENDARSERVER-AUTO", "Apple's server" },
	{ "X-CALENDARSERVER-RESET-PARTSTAT", "Apple's server" },
	{ "X-ABUID", "macOS: the contact's id on one machine" },
	{ "CHARSET", "all is UTF-8" },
	{ "PID", "ids of the program that wrote it (RFC 6350 5.5)" },
};

/* Parameters whose values are words without case, and the value that goes without saying. */
static const struct { const char *name, *otherwise;
} words[] = {
	{ "PARTSTAT", "NEEDS-ACTION" },
	{ "ROLE", "REQ-PARTICIPANT" },
	{ "RSVP", "FALSE" },
	{ "CUTYPE", "INDIVIDUAL" },
	{ "FBTYPE", "BUSY" },
	{ "RELATED", "START" },
	{ "RELTYPE", "PARENT" },
	{ "ENCODING", "8BIT" },
	{ "RANGE", NULL },
	{ "TYPE", NULL },
	{ "VALUE", NULL },
	{ "DISPLAY", "BADGE" },
	{ "FEATURE", NULL },
	{ "X-NUM-GUESTS", "0" },
};

static const char *const value_types[] = {
	[CANON_RAW] = NULL, [CANON_TEXT] = "TEXT", [CANON_LIST] = "TEXT", [CANON_FIELDS] = "TEXT", [CANON_URI] = "URI",
	[CANON_ADDRESS] = "CAL-ADDRESS", [CANON_WORD] = "TEXT", [CANON_INTEGER] = "INTEGER",
	[CANON_DURATION] = "DURATION", [CANON_TIME] = "DATE-TIME", [CANON_PERIOD] = "PERIOD", [CANON_RULE] = "RECUR",
	[CANON_BINARY] = NULL,
};

static bool matches(struct span name, const char *pattern)
{
	size_t n = strlen(pattern);

	if (n > 0 && pattern[n - 1] == '*')
		return name.n >= n - 1 && span_eq_nocase(span_cut(name, 0, n - 1), span_bytes(pattern, n - 1));
	return span_eq_nocase_str(name, pattern);
}

bool canon_is_noise(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(noise_properties); i++) {
		if (matches(name, noise_properties[i].name))
			return true;
	}
	return false;
}

static bool is_noise_param(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(noise_params); i++) {
		if (span_eq_nocase_str(name, noise_params[i].name))
			return true;
	}
	return false;
}

/* --- names --- */

static bool in_name(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static struct span clean_name(struct arena *arena, struct span s)
{
	size_t i = 0;

	while (i < s.n && in_name(s.p[i]))
		i++;
	if (i == s.n)
		return s;
	char *out = arena_raw(arena, s.n + 1), *to = out;
	for (i = 0; i < s.n; i++) {
		if (in_name(s.p[i]))
			*to++ = s.p[i];
	}
	return span_bytes(out, (size_t)(to - out));
}

static bool clean_line(struct arena *arena, struct content_line *line)
{
	size_t kept = 0;

	line->name = clean_name(arena, line->name);
	line->group = clean_name(arena, line->group);
	for (size_t i = 0; i < line->n_params; i++) {
		line->params[i].name = clean_name(arena, line->params[i].name);
		if (line->params[i].name.n > 0)
			line->params[kept++] = line->params[i];
	}
	line->n_params = kept;
	return line->name.n > 0 && !span_eq_nocase_str(line->name, "BEGIN") && !span_eq_nocase_str(line->name, "END");
}

void canon_names(struct arena *arena, struct content_comp *comp)
{
	size_t lines = 0, comps = 0;

	for (size_t i = 0; i < comp->n_lines; i++) {
		if (clean_line(arena, &comp->lines[i]))
			comp->lines[lines++] = comp->lines[i];
	}
	comp->n_lines = lines;
	for (size_t i = 0; i < comp->n_comps; i++) {
		struct content_comp *inner = comp->comps[i];

		inner->name = clean_name(arena, inner->name);
		canon_names(arena, inner);
		if (inner->name.n > 0)
			comp->comps[comps++] = inner;
	}
	comp->n_comps = comps;
}

/* --- parameters --- */

static int span_order(const void *a, const void *b)
{
	return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

static int param_order(const void *va, const void *vb)
{
	const struct content_param *a = va, *b = vb;

	return span_cmp(a->name, b->name);
}

/* TYPE="voice,home" is TYPE=voice,home: RFC 6350 5.6. */
static void split_words(struct arena *arena, struct content_param *p)
{
	size_t n = 0, more = p->n;

	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->values[i].n; k++)
			more += p->values[i].p[k] == ',';
	}
	if (more == p->n)
		return;
	struct span *words_of = arena_calloc(arena, more, sizeof(*words_of));

	for (size_t i = 0; i < p->n; i++) {
		struct span rest = p->values[i], word;

		while (span_next(&rest, ',', &word))
			words_of[n++] = word;
	}
	p->values = words_of;
	p->n = n;
}

/* Words in upper case, sorted, without repetition; false: it says nothing. */
static bool canon_words(struct arena *arena, struct content_param *p, const char *otherwise)
{
	size_t kept = 0;

	split_words(arena, p);
	for (size_t i = 0; i < p->n; i++)
		p->values[i] = text_upper(arena, span_trim(p->values[i]));
	qsort(p->values, p->n, sizeof(*p->values), span_order);
	for (size_t i = 0; i < p->n; i++) {
		if (p->values[i].n > 0 && (kept == 0 || !span_eq(p->values[i], p->values[kept - 1])))
			p->values[kept++] = p->values[i];
	}
	p->n = kept;
	return kept > 1 || (kept == 1 && (otherwise == NULL || !span_eq_str(p->values[0], otherwise)));
}

/* The parameter in its one spelling; false: leave it out. */
static bool canon_param(struct arena *arena, struct content_param *p, enum canon_type type)
{
	struct span *values = arena_calloc(arena, p->n + 1, sizeof(*values));

	if (p->n == 0 || is_noise_param(p->name))
		return false;
	p->name = text_upper(arena, p->name);
	for (size_t i = 0; i < p->n; i++)
		values[i] = text_clean_lines(arena, p->values[i]);
	p->values = values;
	if (span_eq_str(p->name, "VALUE"))
		return canon_words(arena, p, value_types[type]);
	if (span_eq_str(p->name, "ENCODING") && !span_eq_nocase_str(values[0], "BASE64") &&
	    !span_eq_nocase_str(values[0], "B"))
		return false;           /* values are decoded, but for base64 */
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (span_eq_str(p->name, words[i].name))
			return canon_words(arena, p, words[i].otherwise);
	}
	return p->n > 1 || values[0].n > 0;
}

static void canon_params(struct arena *arena, struct content_line *line, enum canon_type type)
{
	struct content_param *params = arena_calloc(arena, line->n_params + 1, sizeof(*params));
	size_t n = 0;

	for (size_t i = 0; i < line->n_params; i++) {
		params[n] = line->params[i];
		n += canon_param(arena, &params[n], type);
	}
	if (n > 1)
		qsort(params, n, sizeof(*params), param_order);
	line->params = params;
	line->n_params = n;
	/* TYPE=A;TYPE=B is TYPE=A,B; of any other parameter the first counts */
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		struct content_param *last = kept > 0 ? &params[kept - 1] : NULL;

		if (last == NULL || !span_eq(last->name, params[i].name)) {
			params[kept++] = params[i];
			continue;
		}
		if (!span_eq_str(last->name, "TYPE"))
			continue;
		struct span *both = arena_calloc(arena, last->n + params[i].n, sizeof(*both));

		memcpy(both, last->values, last->n * sizeof(*both));
		memcpy(both + last->n, params[i].values, params[i].n * sizeof(*both));
		last->values = both;
		last->n += params[i].n;
		canon_words(arena, last, NULL);
	}
	line->n_params = kept;
}

bool canon_drop_param(struct content_line *line, const char *name)
{
	size_t kept = 0, n = line->n_params;

	for (size_t i = 0; i < n; i++) {
		if (!span_eq_nocase_str(line->params[i].name, name))
			line->params[kept++] = line->params[i];
	}
	line->n_params = kept;
	return kept < n;
}

void canon_set_param(struct arena *arena, struct content_line *line, const char *name, struct span value)
{
	struct content_param *params = arena_calloc(arena, line->n_params + 1, sizeof(*params));

	if (line->n_params > 0)
		memcpy(params, line->params, line->n_params * sizeof(*params));
	line->params = params;
	canon_drop_param(line, name);
	struct content_param *p = &params[line->n_params++];
	*p = (struct content_param){ .name = span_of(name), .values = arena_alloc(arena, sizeof(value)), .n = 1 };
	p->values[0] = value;
	qsort(params, line->n_params, sizeof(*params), param_order);
}

/* --- durations --- */

bool canon_duration_parse(struct span v, struct canon_duration *d_r)
{
	static const char units[] = "WDHMS";
	static const int64_t size[] = { 7, 1, 3600, 60, 1 };
	bool in_time = false;
	size_t i = 0, parts = 0;

	*d_r = (struct canon_duration){ .negative = v.n > 0 && v.p[0] == '-' };
	if (v.n > 0 && (v.p[0] == '-' || v.p[0] == '+'))
		i++;
	if (i == v.n || v.p[i++] != 'P')
		return false;
	while (i < v.n) {
		int64_t n = 0;
		size_t from = i;

		if (v.p[i] == 'T' && !in_time) {
			in_time = true;
			i++;
			continue;
		}
		for (; i < v.n && v.p[i] >= '0' && v.p[i] <= '9' && i - from < 9; i++)
			n = n * 10 + (v.p[i] - '0');
		const char *unit = i > from && i < v.n && v.p[i] != '\0' ? strchr(units, v.p[i]) : NULL;
		if (unit == NULL || (unit - units >= 2) != in_time)
			return false;
		if (in_time)
			d_r->seconds += n * size[unit - units];
		else
			d_r->days += n * size[unit - units];
		parts++;
		i++;
	}
	return parts > 0;
}

struct span canon_duration_print(struct arena *arena, const struct canon_duration *d)
{
	const char *sign = d->negative && (d->days != 0 || d->seconds != 0) ? "-" : "";
	int64_t h = d->seconds / 3600, m = d->seconds / 60 % 60, s = d->seconds % 60;
	char time[80] = "", *to = time, *end = time + sizeof(time);

	if (d->seconds == 0 && d->days == 0)
		return SPAN_LIT("PT0S");
	if (d->seconds != 0)
		to += snprintf(to, (size_t)(end - to), "T");
	if (h != 0)
		to += snprintf(to, (size_t)(end - to), "%lldH", (long long)h);
	if (m != 0)
		to += snprintf(to, (size_t)(end - to), "%lldM", (long long)m);
	if (s != 0)
		snprintf(to, (size_t)(end - to), "%lldS", (long long)s);
	if (d->days == 0)
		return span_of(arena_printf(arena, "%sP%s", sign, time));
	return span_of(arena_printf(arena, "%sP%lldD%s", sign, (long long)d->days, time));
}

/* --- values --- */

/* Lists are put into one buffer: the number of parts is the sender's choice. */
static void put_list(struct arena *arena, struct buf *out, struct span value)
{
	struct span part;

	for (bool first = true; text_next(&value, ',', &part); first = false) {
		if (!first)
			buf_add_char(out, ',');
		buf_add_span(out, text_canonical(arena, part));
	}
}

static struct span canon_fields(struct arena *arena, struct span value, char sep)
{
	struct span part;
	struct buf out;
	size_t end = 0;

	buf_init(&out, CONTENT_BYTES_MAX * 2);
	for (bool first = true; text_next(&value, sep, &part); first = false) {
		if (!first)
			buf_add_char(&out, sep);
		put_list(arena, &out, sep == ';' ? span_trim(part) : part);
		if (sep != ';' || (out.n > 0 && out.p[out.n - 1] != ';'))
			end = out.n;
	}
	struct span s = arena_span(arena, span_cut(buf_span(&out), 0, end));
	buf_free(&out);
	return s;
}

static struct span canon_value(struct arena *arena, struct span v, enum canon_type type)
{
	struct canon_duration d;

	v = text_clean(arena, v);
	switch (type) {
	case CANON_TEXT:
		return text_canonical(arena, v);
	case CANON_LIST:
		return canon_fields(arena, v, ',');
	case CANON_FIELDS:
		return canon_fields(arena, v, ';');
	case CANON_WORD:
		return text_upper(arena, span_trim(v));
	case CANON_DURATION:
		v = text_upper(arena, span_trim(v));
		return canon_duration_parse(v, &d) ? canon_duration_print(arena, &d) : v;
	case CANON_ADDRESS:
		v = span_trim(v);
		if (span_starts_nocase(v, "mailto:"))
			v = span_of(arena_printf(arena, "mailto:" SPAN_FMT, SPAN_ARG(span_cut(v, 7, v.n))));
		return v;
	case CANON_BINARY:
		return text_base64(arena, v);
	case CANON_INTEGER:
		v = span_trim(v);
		while (v.n > 1 && (v.p[0] == '0' || v.p[0] == '+'))
			v = span_cut(v, 1, v.n);
		return v;
	case CANON_RAW:
	case CANON_URI:
	case CANON_TIME:
	case CANON_PERIOD:
	case CANON_RULE:
		return span_trim(v);
	}
	return v;
}

struct content_line canon_line(struct arena *arena, const struct content_line *line, enum canon_type type)
{
	struct content_line out = *line;

	out.group = SPAN_NONE;
	out.name = text_upper(arena, line->name);
	canon_params(arena, &out, type);
	out.value = canon_value(arena, line->value, type);
	return out;
}
