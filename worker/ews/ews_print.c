/* ews_print.c - pieces of requests. */
#include "ews_print.h"

#include "../data/when.h"

#include <stdio.h>

void ews_xml(struct buf *b, struct span text)
{
	for (size_t i = 0; i < text.n;) {
		uint32_t cp = 0;
		size_t n = span_utf8(text, i, &cp);

		if (n == 0) {
			buf_add_char(b, '?');
			i++;
			continue;
		}
		if (cp == '&')
			buf_add_str(b, "&amp;");
		else if (cp == '<')
			buf_add_str(b, "&lt;");
		else if (cp == '>')
			buf_add_str(b, "&gt;");
		else if (cp == '"')
			buf_add_str(b, "&quot;");
		else if (cp == '\r')
			buf_add_str(b, "&#13;");
		else if (cp == '\n' || cp == '\t')
			buf_printf(b, "&#%u;", (unsigned int)cp);
		else if (cp < 0x20 || cp == 0xfffe || cp == 0xffff)
			buf_add_char(b, '?');
		else
			buf_add(b, text.p + i, n);
		i += n;
	}
}

void ews_el(struct buf *b, const char *name, struct span text)
{
	buf_printf(b, "<t:%s>", name);
	ews_xml(b, text);
	buf_printf(b, "</t:%s>", name);
}

void ews_el_bool(struct buf *b, const char *name, bool value)
{
	buf_printf(b, "<t:%s>%s</t:%s>", name, value ? "true" : "false", name);
}

void ews_id(struct buf *b, const char *name, struct span id, struct span change_key)
{
	buf_printf(b, "<t:%s Id=\"", name);
	ews_xml(b, id);
	if (change_key.n > 0) {
		buf_add_str(b, "\" ChangeKey=\"");
		ews_xml(b, change_key);
	}
	buf_add_str(b, "\"/>");
}

void ews_field(struct buf *b, const char *uri)
{
	buf_printf(b, "<t:FieldURI FieldURI=\"%s\"/>", uri);
}

void ews_prop_uri(struct buf *b, const struct ews_prop *p)
{
	bool guid = p->set != NULL && strchr(p->set, '-') != NULL;

	buf_add_str(b, "<t:ExtendedFieldURI ");
	if (p->tag != 0)
		buf_printf(b, "PropertyTag=\"0x%04X\"", p->tag);
	else
		buf_printf(b, "%s=\"%s\"", guid ? "PropertySetId" : "DistinguishedPropertySetId", p->set);
	if (p->tag == 0 && p->id != 0)
		buf_printf(b, " PropertyId=\"%u\"", p->id);
	else if (p->tag == 0)
		buf_printf(b, " PropertyName=\"%s\"", p->name);
	buf_printf(b, " PropertyType=\"%s\"/>", p->type);
}

void ews_prop_value(struct buf *b, const struct ews_prop *p, struct span value)
{
	buf_add_str(b, "<t:ExtendedProperty>");
	ews_prop_uri(b, p);
	ews_el(b, "Value", value);
	buf_add_str(b, "</t:ExtendedProperty>");
}

void ews_prop_int(struct buf *b, const struct ews_prop *p, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	ews_prop_value(b, p, span_of(text));
}

void ews_prop_time(struct buf *b, const struct ews_prop *p, int64_t seconds)
{
	char text[EWS_TIME_TEXT];

	ews_prop_value(b, p, span_of(ews_time(seconds, text)));
}

void ews_prop_binary(struct buf *b, const struct ews_prop *p, struct span bytes)
{
	buf_add_str(b, "<t:ExtendedProperty>");
	ews_prop_uri(b, p);
	buf_add_str(b, "<t:Value>");
	ews_base64(b, bytes);
	buf_add_str(b, "</t:Value></t:ExtendedProperty>");
}

/* --- times --- */

const char *ews_time(int64_t seconds, char out[EWS_TIME_TEXT])
{
	int64_t days = seconds / 86400, rest = seconds % 86400, year;
	int month, day;

	if (rest < 0) {
		rest += 86400;
		days--;
	}
	when_civil(days, &year, &month, &day);
	snprintf(out, EWS_TIME_TEXT, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)year, month, day, (int)(rest / 3600),
		 (int)(rest / 60 % 60), (int)(rest % 60));
	return out;
}

static bool digits_at(struct span s, size_t at, size_t n, int *value_r)
{
	uint64_t v;

	if (at + n > s.n || !span_u64(span_cut(s, at, n), 9999, &v))
		return false;
	*value_r = (int)v;
	return true;
}

/* "Z", "+02:00" behind the time; minutes east */
static bool read_offset(struct span s, int *minutes_r, bool *local_r)
{
	int h, m;

	*minutes_r = 0;
	*local_r = s.n == 0;
	if (s.n == 0 || span_eq_str(s, "Z"))
		return true;
	if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':' || !digits_at(s, 1, 2, &h) ||
	    !digits_at(s, 4, 2, &m))
		return false;
	*minutes_r = (h * 60 + m) * (s.p[0] == '-' ? -1 : 1);
	return true;
}

bool ews_read_time(struct span text, int64_t *seconds_r, bool *local_r)
{
	struct span s = span_trim(text);
	int year, month, day, h = 0, m = 0, sec = 0, east = 0;
	bool local = true;
	size_t at = 10;

	if (!digits_at(s, 0, 4, &year) || !digits_at(s, 5, 2, &month) || !digits_at(s, 8, 2, &day) || s.p[4] != '-' ||
	    s.p[7] != '-' || month < 1 || month > 12 || day < 1 || day > 31)
		return false;
	if (s.n > 10 && s.p[10] == 'T') {
		if (!digits_at(s, 11, 2, &h) || !digits_at(s, 14, 2, &m) || !digits_at(s, 17, 2, &sec) || h > 24 ||
		    m > 59 || sec > 60)
			return false;
		at = 19;
		if (at < s.n && s.p[at] == '.')
			for (at++; at < s.n && s.p[at] >= '0' && s.p[at] <= '9'; at++)
				;
	}
	if (!read_offset(span_cut(s, at, s.n), &east, &local))
		return false;
	*seconds_r = when_days(year, month, day) * 86400 + h * 3600 + m * 60 + sec - east * 60;
	if (local_r != NULL)
		*local_r = local;
	return true;
}
