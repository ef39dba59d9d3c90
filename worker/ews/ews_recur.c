/* ews_recur.c - recurrence rules between RFC 5545 3.3.10 and the patterns of the server.
 *
 * The server's month patterns take the last day where a month is shorter, a rule leaves the month out: only what is
 * the same every month is written, and a pattern beyond the 28th is read as the last existing one of several days.
 * A rule that is none of the patterns is refused, never approximated, and so is one whose start is no occurrence
 * of it: the server would move the start.
 */
#include "ews_map.h"

#include "../data/text.h"
#include "../data/when.h"

#include <stdio.h>

static const char *const day_names[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
static const char *const day_codes[] = { "SU", "MO", "TU", "WE", "TH", "FR", "SA" };
static const char *const month_names[] = { "January", "February", "March", "April", "May", "June", "July", "August",
					   "September", "October", "November", "December" };
static const char *const indexes[] = { "First", "Second", "Third", "Fourth", "Last" };
static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
#define ALL_DAYS 0x7fu
#define WEEKDAYS 0x3eu
#define WEEKEND 0x41u

struct rule {
	char freq;                       /* D W M Y */
	int interval, count;
	struct span until;
	unsigned int days;               /* bit set by weekday, 0 = Sunday */
	int nth;                         /* in front of the only day; 0: none */
	int month_day, month, set_pos;   /* 0: not told */
	int span_from;                   /* BYMONTHDAY=28,29: its first, else 0 */
	int first_day;                   /* WKST */
	bool odd;                        /* has what no pattern says */
};

static int index_of(const char *const *names, size_t n, struct span text)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq_nocase_str(text, names[i]))
			return (int)i;
	return -1;
}

static bool small_number(struct span text, int *n_r)
{
	bool minus = text.n > 0 && text.p[0] == '-', plus = text.n > 0 && text.p[0] == '+';
	uint64_t n;

	if (!span_u64(span_cut(text, minus || plus, text.n), 100000, &n))
		return false;
	*n_r = minus ? -(int)n : (int)n;
	return true;
}

static void read_days(struct rule *r, struct span value)
{
	struct span word;
	size_t n = 0;

	while (span_next(&value, ',', &word)) {
		int day = word.n >= 2 ? index_of(day_codes, 7, span_cut(word, word.n - 2, 2)) : -1, nth = 0;

		if (day < 0 || (word.n > 2 && !small_number(span_cut(word, 0, word.n - 2), &nth))) {
			r->odd = true;
			return;
		}
		r->days |= 1U << day;
		r->odd |= n++ > 0 && (nth != 0 || r->nth != 0);
		r->nth = nth;
	}
}

/* One day, or 28 to n: "the last of these that there is". */
static void read_month_days(struct rule *r, struct span value)
{
	struct span word;
	int day, before = 0;

	while (span_next(&value, ',', &word)) {
		if (!small_number(word, &day) || day == 0 || (before != 0 && day != before + 1)) {
			r->odd = true;
			return;
		}
		if (before != 0 && r->span_from == 0)
			r->span_from = before;
		r->month_day = before = day;
	}
}

static void read_part(struct rule *r, struct span name, struct span value)
{
	int first;

	if (span_eq_str(name, "FREQ"))
		r->freq = span_eq_str(value, "DAILY") ? 'D' : span_eq_str(value, "WEEKLY") ? 'W' :
			  span_eq_str(value, "MONTHLY") ? 'M' : span_eq_str(value, "YEARLY") ? 'Y' : '\0';
	else if (span_eq_str(name, "INTERVAL"))
		r->odd |= !small_number(value, &r->interval) || r->interval < 1;
	else if (span_eq_str(name, "COUNT"))
		r->odd |= !small_number(value, &r->count) || r->count < 1;
	else if (span_eq_str(name, "UNTIL"))
		r->until = value;
	else if (span_eq_str(name, "BYDAY"))
		read_days(r, value);
	else if (span_eq_str(name, "BYMONTHDAY"))
		read_month_days(r, value);
	else if (span_eq_str(name, "BYMONTH"))
		r->odd |= !small_number(value, &r->month) || r->month < 1 || r->month > 12;
	else if (span_eq_str(name, "BYSETPOS"))
		r->odd |= !small_number(value, &r->set_pos) || r->set_pos == 0;
	else if (span_eq_str(name, "WKST") && (first = index_of(day_codes, 7, value)) >= 0)
		r->first_day = first;
	else
		r->odd = true;
}

static void read_rule(struct rule *r, struct span text)
{
	struct span part;

	*r = (struct rule){ .interval = 1, .first_day = 1 };
	while (span_next(&text, ';', &part)) {
		size_t eq = span_find(part, 0, '=');

		if (eq != SIZE_MAX)
			read_part(r, span_cut(part, 0, eq), span_cut(part, eq + 1, part.n));
	}
}

/* --- to a pattern --- */

struct date {
	int year, month, day, weekday;
};

static struct date date_of(int64_t local_s)
{
	int64_t days = local_s / 86400 - (local_s % 86400 < 0), year;
	struct date d;

	when_civil(days, &year, &d.month, &d.day);
	d.year = (int)year;
	d.weekday = (int)(((days + 4) % 7 + 7) % 7);
	return d;
}

static const char *day_word(unsigned int days)
{
	if (days == ALL_DAYS)
		return "Day";
	if (days == WEEKDAYS)
		return "Weekday";
	if (days == WEEKEND)
		return "WeekendDay";
	for (int i = 0; i < 7; i++)
		if (days == 1U << i)
			return day_names[i];
	return NULL;
}

/* First ... Fourth, Last; NULL: another. */
static const char *index_word(const struct rule *r)
{
	int n = r->nth != 0 ? r->nth : r->set_pos;

	return n >= 1 && n <= 4 ? indexes[n - 1] : n == -1 ? indexes[4] : NULL;
}

static void print_days(struct buf *xml, unsigned int days)
{
	bool first = true;

	buf_add_str(xml, "<t:DaysOfWeek>");
	for (int i = 0; i < 7; i++) {
		if ((days & 1U << i) == 0)
			continue;
		buf_printf(xml, "%s%s", first ? "" : " ", day_names[i]);
		first = false;
	}
	buf_add_str(xml, "</t:DaysOfWeek>");
}

static bool weekly(const struct rule *r, const struct date *start, struct buf *xml)
{
	unsigned int days = r->days != 0 ? r->days : 1U << start->weekday;

	if (r->nth != 0 || r->month_day != 0 || r->month != 0 || r->set_pos != 0 || r->interval > 99 ||
	    (days & 1U << start->weekday) == 0)
		return false;
	buf_printf(xml, "<t:WeeklyRecurrence><t:Interval>%d</t:Interval>", r->interval);
	print_days(xml, days);
	if (r->first_day != 1 || r->interval > 1)
		buf_printf(xml, "<t:FirstDayOfWeek>%s</t:FirstDayOfWeek>", day_names[r->first_day]);
	buf_add_str(xml, "</t:WeeklyRecurrence>");
	return true;
}

static int month_length(const struct date *d)
{
	int month = d->month % 12 + 1;

	return (int)(when_days(d->year + (month == 1), month, 1) - when_days(d->year, d->month, 1));
}

/* The start is the nth of these days in its month. */
static bool is_nth(const struct rule *r, const struct date *d)
{
	int nth = r->nth != 0 ? r->nth : r->set_pos, last = month_length(d), n = 0;

	for (int day = 1; day <= last; day++)
		if (r->days >> (((d->weekday + day - d->day) % 7 + 7) % 7) & 1 &&
		    (nth > 0 ? day <= d->day : day >= d->day))
			n++;
	return (r->days >> d->weekday & 1) != 0 && n == (nth > 0 ? nth : -nth);
}

/* The nth such day of a month; `months`: between two. */
static bool relative(const struct rule *r, const struct date *start, int months, bool yearly, struct buf *xml)
{
	const char *word = day_word(r->days), *nth = index_word(r);

	if (word == NULL || nth == NULL || (r->nth != 0 && r->set_pos != 0) || r->month_day != 0 || !is_nth(r, start))
		return false;
	if (yearly && months == 12) {
		buf_printf(xml, "<t:RelativeYearlyRecurrence><t:DaysOfWeek>%s</t:DaysOfWeek><t:DayOfWeekIndex>%s"
			   "</t:DayOfWeekIndex><t:Month>%s</t:Month></t:RelativeYearlyRecurrence>", word, nth,
			   month_names[start->month - 1]);
		return true;
	}
	if (months > 99)
		return false;
	buf_printf(xml, "<t:RelativeMonthlyRecurrence><t:Interval>%d</t:Interval><t:DaysOfWeek>%s</t:DaysOfWeek>"
		   "<t:DayOfWeekIndex>%s</t:DayOfWeekIndex></t:RelativeMonthlyRecurrence>", months, word, nth);
	return true;
}

/* The day of the month that the pattern has; 0: there is none that is the same. */
static int pattern_day(const struct rule *r, const struct date *start, bool yearly)
{
	int day = r->month_day != 0 ? r->month_day : start->day, last = yearly ? month_days[start->month - 1] : 28;

	if (r->span_from != 0)
		return r->span_from == 28 && r->set_pos == -1 && !yearly ? r->month_day : 0;
	if (r->set_pos != 0)
		return 0;
	if (day == -1)
		return yearly ? month_days[start->month - 1] + (start->month == 2) : 31;
	return day >= 1 && day <= last ? day : 0;
}

static bool absolute(const struct rule *r, const struct date *start, int months, bool yearly, struct buf *xml)
{
	int day = pattern_day(r, start, yearly);

	if (day == 0 || r->days != 0 || months > 99)
		return false;
	int first = day < month_length(start) ? day : month_length(start);
	if (start->day != first)
		return false;                /* the start is no occurrence */
	if (yearly && months == 12)
		buf_printf(xml, "<t:AbsoluteYearlyRecurrence><t:DayOfMonth>%d</t:DayOfMonth><t:Month>%s</t:Month>"
			   "</t:AbsoluteYearlyRecurrence>", day, month_names[start->month - 1]);
	else
		buf_printf(xml, "<t:AbsoluteMonthlyRecurrence><t:Interval>%d</t:Interval><t:DayOfMonth>%d"
			   "</t:DayOfMonth></t:AbsoluteMonthlyRecurrence>", months, day);
	return true;
}

static bool pattern(const struct rule *r, const struct date *start, struct buf *xml)
{
	bool yearly = r->freq == 'Y';
	int months = yearly ? 12 * r->interval : r->interval;

	if (r->odd || r->interval > 999)
		return false;
	switch (r->freq) {
	case 'D':
		if (r->days != 0)
			return r->interval == 1 && weekly(r, start, xml);
		if (r->month_day != 0 || r->month != 0 || r->set_pos != 0)
			return false;
		buf_printf(xml, "<t:DailyRecurrence><t:Interval>%d</t:Interval></t:DailyRecurrence>", r->interval);
		return true;
	case 'W':
		return weekly(r, start, xml);
	case 'M':
	case 'Y':
		if (r->month != 0 && (!yearly || r->month != start->month))
			return false;
		if (yearly && (r->days != 0 || r->month_day != 0) && r->month == 0)
			return false;        /* of the year, or of every month */
		return r->days != 0 ? relative(r, start, months, yearly, xml)
				    : absolute(r, start, months, yearly, xml);
	default:
		return false;
	}
}

static void xml_date(int64_t local_s, char out[16])
{
	struct date d = date_of(local_s);

	snprintf(out, 16, "%04u-%02u-%02u", (unsigned int)d.year % 10000, (unsigned int)d.month % 100,
		 (unsigned int)d.day % 100);
}

/* The day of the last occurrence that UNTIL allows. */
static bool last_day(const struct rule *r, const struct ews_start *start, int64_t *local_r)
{
	struct when w;

	if (!when_parse(r->until, SPAN_NONE, NULL, &w))
		return false;
	*local_r = w.local_s;
	if (w.kind == WHEN_UTC && start->tz != NULL)
		*local_r = tz_to_local(start->tz, w.local_s);
	if (w.kind != WHEN_DATE && !start->date) {
		int64_t clock = ((start->local_s % 86400) + 86400) % 86400,
				until = ((*local_r % 86400) + 86400) % 86400;

		if (until < clock)
			*local_r -= 86400;
	}
	return *local_r / 86400 >= start->local_s / 86400;
}

enum code ews_recur_xml(struct span text, const struct ews_start *start, struct buf *xml, struct err *err)
{
	struct date d = date_of(start->local_s);
	char from[16], to[16];
	int64_t last = 0;
	struct rule r;

	read_rule(&r, text);
	if (!pattern(&r, &d, xml))
		return err_set(err, E_ITEM_REFUSED, "Exchange has no recurrence like " SPAN_FMT,
			       SPAN_ARG(span_cut(text, 0, 200)));
	xml_date(start->local_s, from);
	if (r.count > 999 || (r.until.n > 0 && !last_day(&r, start, &last)))
		return err_set(err, E_ITEM_REFUSED, "Exchange has no recurrence that ends like " SPAN_FMT,
			       SPAN_ARG(span_cut(text, 0, 200)));
	if (r.until.n > 0) {
		xml_date(last, to);
		buf_printf(xml, "<t:EndDateRecurrence><t:StartDate>%s</t:StartDate><t:EndDate>%s</t:EndDate>"
			   "</t:EndDateRecurrence>", from, to);
	} else if (r.count > 0) {
		buf_printf(xml, "<t:NumberedRecurrence><t:StartDate>%s</t:StartDate><t:NumberOfOccurrences>%d"
			   "</t:NumberOfOccurrences></t:NumberedRecurrence>", from, r.count);
	} else {
		buf_printf(xml, "<t:NoEndRecurrence><t:StartDate>%s</t:StartDate></t:NoEndRecurrence>", from);
	}
	return E_OK;
}

/* --- from a pattern --- */

static struct span in(const struct ews_object *o, const char *pattern_name, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "Recurrence/%s/%s", pattern_name, name);
	return span_trim(ews_text(o, path));
}

/* Of weeks, months ...: 1 where nothing is said. False: no number. */
static bool interval_of(const struct ews_object *o, const char *name, int *n_r)
{
	struct span text = in(o, name, "Interval");

	*n_r = 1;
	return text.n == 0 || (small_number(text, n_r) && *n_r > 0);
}

/* BYDAY, and BYSETPOS where several days are one word. */
static bool add_days(struct span words, struct span index, struct buf *rule)
{
	int at = index.n > 0 ? index_of(indexes, ARRAY_LEN(indexes), index) : -2, nth = at == 4 ? -1 : at + 1;
	bool any = false, several = false;
	struct span word;

	if (at == -1)
		return false;
	buf_add_str(rule, ";BYDAY=");
	while (span_next(&words, ' ', &word)) {
		int day = index_of(day_names, 7, word);
		const char *list = span_eq_str(word, "Day") ? "MO,TU,WE,TH,FR,SA,SU" :
				   span_eq_str(word, "Weekday") ? "MO,TU,WE,TH,FR" :
				   span_eq_str(word, "WeekendDay") ? "SA,SU" : NULL;

		if (word.n == 0)
			continue;
		if (day < 0 && list == NULL)
			return false;
		several |= list != NULL;
		if (index.n > 0 && list == NULL)
			buf_printf(rule, "%s%d%s", any ? "," : "", nth, day_codes[day]);
		else
			buf_printf(rule, "%s%s", any ? "," : "", list != NULL ? list : day_codes[day]);
		any = true;
	}
	if (index.n > 0 && several)
		buf_printf(rule, ";BYSETPOS=%d", nth);
	return any;
}

static bool add_month_day(struct span text, int month, struct buf *rule)
{
	int day;

	if (!small_number(text, &day) || day < 1 || day > 31)
		return false;
	if (month > 0 && day > month_days[month - 1])
		buf_add_str(rule, ";BYMONTHDAY=-1");
	else if (month > 0 || day <= 28)
		buf_printf(rule, ";BYMONTHDAY=%d", day);
	else if (day == 31)
		buf_add_str(rule, ";BYMONTHDAY=-1");
	else
		buf_printf(rule, ";BYMONTHDAY=28,29%s;BYSETPOS=-1", day == 30 ? ",30" : "");
	return true;
}

static const struct { const char *name, *freq; } patterns[] = {
	{ "DailyRecurrence", "DAILY" }, { "WeeklyRecurrence", "WEEKLY" },
	{ "AbsoluteMonthlyRecurrence", "MONTHLY" }, { "RelativeMonthlyRecurrence", "MONTHLY" },
	{ "AbsoluteYearlyRecurrence", "YEARLY" }, { "RelativeYearlyRecurrence", "YEARLY" },
};

static bool add_parts(const struct ews_object *o, size_t which, struct buf *rule)
{
	const char *name = patterns[which].name;
	int month = index_of(month_names, 12, in(o, name, "Month")) + 1;
	int wkst = index_of(day_names, 7, in(o, name, "FirstDayOfWeek")), interval;
	struct span days = in(o, name, "DaysOfWeek"), day = in(o, name, "DayOfMonth");

	if (!interval_of(o, name, &interval))
		return false;
	buf_printf(rule, "FREQ=%s", patterns[which].freq);
	if (interval > 1)
		buf_printf(rule, ";INTERVAL=%d", interval);
	if (month > 0)
		buf_printf(rule, ";BYMONTH=%d", month);
	if (days.n > 0 && !add_days(days, in(o, name, "DayOfWeekIndex"), rule))
		return false;
	if (day.n > 0 && !add_month_day(day, month, rule))
		return false;
	if (wkst >= 0 && wkst != 1 && interval > 1)      /* with every week it says nothing */
		buf_printf(rule, ";WKST=%s", day_codes[wkst]);
	return true;
}

static bool add_pattern(const struct ews_object *o, struct buf *rule)
{
	char path[64];

	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		snprintf(path, sizeof(path), "Recurrence/%s", patterns[i].name);
		if (ews_text(o, path).p != NULL)
			return add_parts(o, i, rule);
	}
	return false;
}

bool ews_recur_rule(const struct ews_object *o, const struct ews_start *start, struct buf *rule)
{
	struct span count = span_trim(ews_text(o, "Recurrence/NumberedRecurrence/NumberOfOccurrences"));
	struct span end = span_trim(ews_text(o, "Recurrence/EndDateRecurrence/EndDate"));
	int64_t day;
	char text[16];
	int n;

	if (!add_pattern(o, rule) || (count.n > 0 && (!small_number(count, &n) || n < 1)))
		return false;
	if (count.n > 0)
		buf_printf(rule, ";COUNT=%d", n);
	if (end.n == 0)
		return true;
	if (!ews_read_time(span_cut(end, 0, 10), &day, NULL))
		return false;
	if (start->date) {
		buf_printf(rule, ";UNTIL=%s", ews_day(day, text));
		return true;
	}
	int64_t local = day + ((start->local_s % 86400) + 86400) % 86400;
	int64_t utc = start->tz != NULL ? tz_to_utc(start->tz, local) : local;
	buf_printf(rule, ";UNTIL=%sT%02d%02d%02dZ", ews_day(utc, text), (int)(((utc % 86400) + 86400) % 86400 / 3600),
		   (int)(((utc % 3600) + 3600) % 3600 / 60), (int)(((utc % 60) + 60) % 60));
	return true;
}
