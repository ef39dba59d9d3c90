/* content_print.c - writing content lines, and looking at them. */
#include "content.h"

#define FOLD_AT 75                      /* octets of a line without its end: RFC 5545 3.1 */

/* RFC 6868, and quotes where RFC 5545 3.2 wants them. */
static void print_param_value(struct buf *out, struct span v)
{
	bool quote = false;

	for (size_t i = 0; i < v.n && !quote; i++)
		quote = v.p[i] == ',' || v.p[i] == ';' || v.p[i] == ':';
	if (quote)
		buf_add_char(out, '"');
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '\n')
			buf_add_str(out, "^n");
		else if (v.p[i] == '^')
			buf_add_str(out, "^^");
		else if (v.p[i] == '"')
			buf_add_str(out, "^'");
		else
			buf_add_char(out, v.p[i]);
	}
	if (quote)
		buf_add_char(out, '"');
}

void content_print_raw(struct buf *out, const struct content_line *line)
{
	if (line->group.n > 0) {
		buf_add_span(out, line->group);
		buf_add_char(out, '.');
	}
	buf_add_span(out, line->name);
	for (size_t i = 0; i < line->n_params; i++) {
		const struct content_param *p = &line->params[i];

		buf_add_char(out, ';');
		buf_add_span(out, p->name);
		for (size_t k = 0; k < p->n; k++) {
			buf_add_char(out, k == 0 ? '=' : ',');
			print_param_value(out, p->values[k]);
		}
	}
	buf_add_char(out, ':');
	buf_add_span(out, line->value);
}

static void fold(struct buf *out, struct span line)
{
	size_t max = FOLD_AT;

	while (line.n > max) {
		size_t n = text_cut(line, max);

		buf_add_span(out, span_cut(line, 0, n));
		buf_add_str(out, "\r\n ");
		line = span_cut(line, n, line.n);
		max = FOLD_AT - 1;
	}
	buf_add_span(out, line);
	buf_add_str(out, "\r\n");
}

/* Soft line breaks of quoted-printable, never inside "=XX", nor before a blank: that would look like a
 * fold; and not in the first `head` bytes, where no reader looks for them. */
static void fold_qp(struct buf *out, struct span line, size_t head)
{
	size_t least = head;

	while (line.n > FOLD_AT && line.n > least) {
		size_t n = FOLD_AT - 1;

		if (line.p[n] == ' ' || line.p[n] == '\t')
			n -= 1;
		if (line.p[n - 1] == '=')
			n -= 1;
		else if (line.p[n - 2] == '=')
			n -= 2;
		n = n < least ? least : n;
		least = 0;
		buf_add_span(out, span_cut(line, 0, n));
		buf_add_str(out, "=\r\n");
		line = span_cut(line, n, line.n);
	}
	buf_add_span(out, line);
	buf_add_str(out, "\r\n");
}

void content_print_line(struct buf *out, const struct content_line *line)
{
	struct buf raw;

	buf_init(&raw, out->ceiling);
	content_print_raw(&raw, line);
	if (span_eq_str(content_param_value(line, "ENCODING"), "QUOTED-PRINTABLE"))
		fold_qp(out, buf_span(&raw), raw.n - line->value.n);
	else
		fold(out, buf_span(&raw));
	out->overflow |= raw.overflow;
	buf_free(&raw);
}

void content_print(struct buf *out, const struct content_comp *comp)
{
	struct content_line edge = { .name = SPAN_LIT("BEGIN"), .value = comp->name };

	if (comp->name.n > 0)
		content_print_line(out, &edge);
	for (size_t i = 0; i < comp->n_lines; i++)
		content_print_line(out, &comp->lines[i]);
	for (size_t i = 0; i < comp->n_comps; i++)
		content_print(out, comp->comps[i]);
	edge.name = SPAN_LIT("END");
	if (comp->name.n > 0)
		content_print_line(out, &edge);
}

const struct content_param *content_param(const struct content_line *line, const char *name)
{
	for (size_t i = 0; i < line->n_params; i++) {
		if (span_eq_nocase_str(line->params[i].name, name))
			return &line->params[i];
	}
	return NULL;
}

struct span content_param_value(const struct content_line *line, const char *name)
{
	const struct content_param *p = content_param(line, name);

	return p != NULL && p->n > 0 ? p->values[0] : SPAN_NONE;
}

const struct content_line *content_find(const struct content_comp *comp, const char *name)
{
	for (size_t i = 0; i < comp->n_lines; i++) {
		if (span_eq_nocase_str(comp->lines[i].name, name))
			return &comp->lines[i];
	}
	return NULL;
}

static bool param_equal(const struct content_param *a, const struct content_param *b)
{
	if (!span_eq(a->name, b->name) || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (!span_eq(a->values[i], b->values[i]))
			return false;
	}
	return true;
}

static bool line_equal(const struct content_line *a, const struct content_line *b)
{
	if (!span_eq(a->group, b->group) || !span_eq(a->name, b->name) || !span_eq(a->value, b->value) ||
	    a->n_params != b->n_params)
		return false;
	for (size_t i = 0; i < a->n_params; i++) {
		if (!param_equal(&a->params[i], &b->params[i]))
			return false;
	}
	return true;
}

bool content_equal(const struct content_comp *a, const struct content_comp *b)
{
	if (!span_eq(a->name, b->name) || a->n_lines != b->n_lines || a->n_comps != b->n_comps)
		return false;
	for (size_t i = 0; i < a->n_lines; i++) {
		if (!line_equal(&a->lines[i], &b->lines[i]))
			return false;
	}
	for (size_t i = 0; i < a->n_comps; i++) {
		if (!content_equal(a->comps[i], b->comps[i]))
			return false;
	}
	return true;
}
