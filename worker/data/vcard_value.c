/* vcard_value.c - values of contacts between vCard 2.1, 3.0 and 4.0. */
#include "vcard_p.h"

/* --- 2.1 --- */

static const char *const encodings[] = { "BASE64", "B", "8BIT", "7BIT" };
static const char *const locations[] = { "INLINE", "URL", "CID", "CONTENT-ID" };

static bool is_one_of(struct span word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (span_eq_nocase_str(word, words[i]))
			return true;
	}
	return false;
}

static struct span named_value(struct arena *arena, struct span name, struct span value)
{
	static const char *const lists[] = { "CATEGORIES", "NICKNAME" };
	bool keep_commas = is_one_of(name, lists, ARRAY_LEN(lists));
	char *out = arena_raw(arena, value.n * 2 + 1), *to = out;

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i], next = i + 1 < value.n ? value.p[i + 1] : '\0';

		if (c == '\\' && next != '\0' && strchr(";,:\\nN", next) != NULL) {
			*to++ = c;
			c = value.p[++i];
		} else if (c == '\\' || (c == ',' && !keep_commas)) {
			*to++ = '\\';
		}
		*to++ = c;
	}
	return span_bytes(out, (size_t)(to - out));
}

struct content_line vcard_from_21(struct arena *arena, const struct content_line *line)
{
	struct content_line out = *line;

	out.params = arena_calloc(arena, line->n_params + 1, sizeof(*out.params));
	for (size_t i = 0; i < line->n_params; i++) {
		struct content_param p = line->params[i];

		if (p.n == 0) {
			p.values = arena_alloc(arena, sizeof(*p.values));
			p.values[0] = p.name;
			p.n = 1;
			p.name = is_one_of(p.name, encodings, ARRAY_LEN(encodings))   ? SPAN_LIT("ENCODING")
				 : is_one_of(p.name, locations, ARRAY_LEN(locations)) ? SPAN_LIT("VALUE")
										      : SPAN_LIT("TYPE");
		}
		out.params[i] = p;
	}
	if (!vcard_is_media(line->name))
		out.value = named_value(arena, line->name, line->value);
	return out;
}

/* --- pictures, sounds, keys --- */

static const struct { const char *type, *mime; } media[] = {
	{ "JPEG", "image/jpeg" }, { "JPG", "image/jpeg" }, { "PNG", "image/png" }, { "GIF", "image/gif" },
	{ "BMP", "image/bmp" }, { "TIFF", "image/tiff" }, { "WAVE", "audio/wav" }, { "PCM", "audio/basic" },
	{ "OGG", "audio/ogg" }, { "MP3", "audio/mpeg" }, { "PGP", "application/pgp-keys" },
	{ "X509", "application/pkix-cert" },
};

bool vcard_is_media(struct span name)
{
	static const char *const names[] = { "PHOTO", "LOGO", "SOUND", "KEY" };

	return is_one_of(name, names, ARRAY_LEN(names));
}

static struct span mime_of(struct arena *arena, struct span type)
{
	for (size_t i = 0; i < ARRAY_LEN(media); i++) {
		if (span_eq_nocase_str(type, media[i].type))
			return span_of(media[i].mime);
	}
	return span_find(type, 0, '/') != SIZE_MAX ? text_lower(arena, type) : SPAN_NONE;
}

/* The first TYPE that names a format is taken out; the others (HOME, WORK) stay. */
static struct span take_format(struct arena *arena, struct content_line *line)
{
	struct span mime = SPAN_NONE;

	for (size_t i = 0; i < line->n_params; i++) {
		struct content_param *p = &line->params[i];
		size_t kept = 0;

		if (!span_eq_nocase_str(p->name, "TYPE"))
			continue;
		for (size_t k = 0; k < p->n; k++) {
			struct span found = mime_of(arena, p->values[k]);

			if (found.n > 0)
				mime = mime.n > 0 ? mime : found;
			else
				p->values[kept++] = p->values[k];
		}
		p->n = kept;
		if (kept == 0)
			canon_drop_param(line, "TYPE");
		break;
	}
	return mime;
}

void vcard_read_media(struct arena *arena, struct content_line *line)
{
	struct span encoding = content_param_value(line, "ENCODING"), mime = content_param_value(line, "MEDIATYPE");
	bool base64 = span_eq_nocase_str(encoding, "B") || span_eq_nocase_str(encoding, "BASE64");

	if (mime.n == 0)
		mime = take_format(arena, line);
	canon_drop_param(line, "ENCODING");
	if (!base64) {
		/* also a data: URI whose ';' or ',' some server escaped */
		if (span_starts_nocase(line->value, "data:"))
			line->value = text_uri(arena, line->value);
		if (!span_eq_nocase_str(content_param_value(line, "VALUE"), "TEXT"))
			canon_drop_param(line, "VALUE");
		if (span_starts_nocase(line->value, "data:"))
			canon_drop_param(line, "MEDIATYPE");
		return;
	}
	canon_drop_param(line, "VALUE");
	canon_drop_param(line, "MEDIATYPE");
	if (mime.n == 0)
		mime = span_eq_nocase_str(line->name, "PHOTO") || span_eq_nocase_str(line->name, "LOGO") ?
			SPAN_LIT("image/jpeg") : SPAN_LIT("application/octet-stream");
	struct span data = text_base64(arena, line->value);
	char *out = arena_raw(arena, data.n + mime.n + 16), *to = mempcpy(out, "data:", 5);

	to = mempcpy(to, mime.p, mime.n);
	to = mempcpy(to, ";base64,", 8);
	to = mempcpy(to, data.p, data.n);
	line->value = span_bytes(out, (size_t)(to - out));
}

static struct span type_of(struct arena *arena, struct span mime)
{
	for (size_t i = 0; i < ARRAY_LEN(media); i++) {
		if (span_eq_nocase_str(mime, media[i].mime))
			return span_of(media[i].type);
	}
	return text_upper(arena, mime);
}

void vcard_write_media(struct arena *arena, struct content_line *line, const char *encoding)
{
	size_t comma = span_find_nocase(line->value, ";base64,");

	if (!span_starts_nocase(line->value, "data:") || comma == SIZE_MAX) {
		if (content_param(line, "VALUE") == NULL)
			canon_set_param(arena, line, "VALUE", SPAN_LIT("uri"));
		return;
	}
	canon_set_param(arena, line, "ENCODING", span_of(encoding));
	if (content_param(line, "TYPE") == NULL)
		canon_set_param(arena, line, "TYPE", type_of(arena, span_cut(line->value, 5, comma - 5)));
	else
		canon_set_param(arena, line, "MEDIATYPE", span_cut(line->value, 5, comma - 5));
	line->value = span_cut(line->value, comma + 8, line->value.n);
}

/* --- dates --- */

bool vcard_is_date(struct span name)
{
	static const char *const names[] = { "BDAY", "ANNIVERSARY", "DEATHDATE" };

	return is_one_of(name, names, ARRAY_LEN(names));
}

static bool two_digits(struct span s, size_t at)
{
	return at + 1 < s.n && s.p[at] >= '0' && s.p[at] <= '9' && s.p[at + 1] >= '0' && s.p[at + 1] <= '9';
}

void vcard_read_date(struct arena *arena, struct content_line *line)
{
	struct span omit = content_param_value(line, "X-APPLE-OMIT-YEAR"), v = line->value;
	struct when w;

	if (span_eq_nocase_str(content_param_value(line, "VALUE"), "TEXT"))
		return;
	canon_drop_param(line, "VALUE");
	if (v.n >= 6 && v.p[0] == '-' && v.p[1] == '-' && two_digits(v, 2) && two_digits(v, v.n - 2) &&
	    (v.n == 6 || (v.n == 7 && v.p[4] == '-'))) {
		line->value = span_of(arena_printf(arena, "--%.2s%.2s", v.p + 2, v.p + v.n - 2));
		return;
	}
	if (!when_parse(v, SPAN_NONE, NULL, &w))
		return;
	/* midnight is how some write a date */
	if (w.local_s % 86400 == 0)
		w.kind = WHEN_DATE;
	line->value = when_print(arena, &w);
	if (omit.n > 0 && w.kind == WHEN_DATE && span_eq(omit, span_cut(line->value, 0, 4)))
		line->value = span_of(arena_printf(arena, "--%.4s", line->value.p + 4));
	canon_drop_param(line, "X-APPLE-OMIT-YEAR");
}

void vcard_write_date_30(struct arena *arena, struct content_line *line)
{
	struct span v = line->value;
	struct when w;

	if (content_param(line, "VALUE") != NULL)
		return;
	if (v.n == 6 && v.p[0] == '-' && v.p[1] == '-') {
		/* 3.0 has no date without a year: Apple's way, which most programs know; 1604 is a leap year */
		canon_set_param(arena, line, "X-APPLE-OMIT-YEAR", SPAN_LIT("1604"));
		line->value = span_of(arena_printf(arena, "1604-%.2s-%.2s", v.p + 2, v.p + 4));
	} else if (when_parse(v, SPAN_NONE, NULL, &w) && w.kind == WHEN_DATE) {
		line->value = span_of(arena_printf(arena, "%.4s-%.2s-%.2s", v.p, v.p + 4, v.p + 6));
	}
}
