/* tz_names.c - names of time zones: IANA's, their old ones, Windows' and what programs make of them. */
#include "tz_p.h"

struct windows_row {
	const char *name, *display, *zones;
};

static const struct windows_row windows_rows[] = {
#define TZ_WINDOWS(name, display, zones) { name, display, zones },
#define TZ_LINK(old, now)
#include "tz_table.def"
#undef TZ_WINDOWS
#undef TZ_LINK
};

static const struct { const char *old, *now; } link_rows[] = {
#define TZ_WINDOWS(name, display, zones)
#define TZ_LINK(old, now) { old, now },
#include "tz_table.def"
#undef TZ_WINDOWS
#undef TZ_LINK
};

/* Names for UTC that are no links. */
static const char *const utc_names[] = {
	"UTC", "Z", "GMT", "Etc/UTC", "Etc/GMT", "Etc/GMT0", "Etc/GMT+0", "Etc/GMT-0",
};

static bool is_utc_name(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(utc_names); i++) {
		if (span_eq_nocase_str(name, utc_names[i]))
			return true;
	}
	return false;
}

static struct span first_word(const char *words)
{
	return span_bytes(words, strcspn(words, " "));
}

/* Is it, but for its case, one of the words? The word, SPAN_NONE if not. */
static struct span find_word(const char *words, struct span name)
{
	struct span rest = span_of(words), word;

	while (span_next(&rest, ' ', &word)) {
		if (span_eq_nocase(word, name))
			return word;
	}
	return SPAN_NONE;
}

/* "(UTC+01:00) Amsterdam, Berlin" -> "Amsterdam, Berlin". */
static struct span without_offset(struct span name)
{
	size_t close = name.n > 0 && name.p[0] == '(' ? span_find(name, 0, ')') : SIZE_MAX;

	return close == SIZE_MAX ? name : span_trim(span_cut(name, close + 1, name.n));
}

static struct span from_windows(struct span name)
{
	struct span shown = without_offset(name);

	for (size_t i = 0; i < ARRAY_LEN(windows_rows); i++) {
		if (span_eq_nocase_str(name, windows_rows[i].name) ||
		    span_eq_nocase_str(shown, windows_rows[i].display))
			return first_word(windows_rows[i].zones);
	}
	return SPAN_NONE;
}

static struct span from_links(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(link_rows); i++) {
		if (span_eq_nocase_str(name, link_rows[i].old))
			return span_of(link_rows[i].now);
	}
	return SPAN_NONE;
}

static struct span canonical_case(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(windows_rows); i++) {
		struct span word = find_word(windows_rows[i].zones, name);

		if (word.n > 0)
			return word;
	}
	return name;
}

/* Letters, digits and "/_+-" with at least one slash inside: what may be looked up in zoneinfo. */
static bool looks_like_iana(struct span name)
{
	if (name.n < 3 || name.n > 60 || name.p[0] == '/' || span_find(name, 0, '/') == SIZE_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i] | 0x20;

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("/_+-", name.p[i]) != NULL) ||
		    name.p[i] == '\0')
			return false;
	}
	return true;
}

static struct span by_name(struct span name)
{
	if (is_utc_name(name))
		return SPAN_LIT("UTC");
	struct span found = from_links(name);

	if (found.n == 0)
		found = from_windows(name);
	if (found.n == 0 && looks_like_iana(name))
		found = canonical_case(name);
	/* CLDR keeps old names: "Asia/Calcutta" */
	struct span now = from_links(found);
	found = now.n > 0 ? now : found;
	return is_utc_name(found) ? SPAN_LIT("UTC") : found;
}

struct span tz_iana(struct arena *arena, struct span name)
{
	name = span_trim(name);
	while (name.n > 0 && (name.p[0] == '/' || name.p[0] == '"'))
		name = span_cut(name, 1, name.n);
	while (name.n > 0 && name.p[name.n - 1] == '"')
		name.n--;
	for (;;) {
		struct span found = by_name(name);
		size_t slash = span_find(name, 0, '/');

		if (found.n > 0 && (span_eq_str(found, "UTC") || tz_builtin(found) != NULL))
			return arena_span(arena, found);
		/* "mozilla.org/20050126_1/Europe/Berlin", "Citadel/Europe/Berlin": drop the vendor's part */
		if (slash == SIZE_MAX)
			return SPAN_NONE;
		name = span_cut(name, slash + 1, name.n);
	}
}

struct span tz_windows(struct span iana)
{
	struct span now = from_links(iana);

	if (is_utc_name(iana) || is_utc_name(now))
		return SPAN_LIT("UTC");
	for (size_t i = 0; i < ARRAY_LEN(windows_rows); i++) {
		struct span rest = span_of(windows_rows[i].zones), word;

		while (span_next(&rest, ' ', &word)) {
			if (span_eq_nocase(word, iana) || (now.n > 0 && span_eq_nocase(word, now)))
				return span_of(windows_rows[i].name);
			struct span word_now = from_links(word);
			if (word_now.n > 0 && span_eq_nocase(word_now, iana))
				return span_of(windows_rows[i].name);
		}
	}
	return SPAN_NONE;
}
