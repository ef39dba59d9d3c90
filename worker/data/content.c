/* content.c - reading content lines. The text is copied once and unfolded in place; each logical line
 * is cut into spans of that copy. Two phases per line: unfold, then cut.
 */
#include "content.h"

#define SLACK ((size_t)1 << 20)         /* room that stays free in the arena for whoever comes next */

struct parser {
	struct arena *arena;
	struct span rest;               /* of the source */
	char *to;                       /* where the next logical line is unfolded to */
	size_t line_no, lines, comps;
	struct content_param *params;   /* scratch of one line */
	struct span *values;
	struct content_comp *open[CONTENT_DEPTH_MAX + 1];
	size_t depth;
	struct err *err;
};

/* --- one logical line into its parts --- */

struct cutter {
	struct arena *arena;
	struct content_param *params;
	struct span *values;
	size_t n_params, n_values;
	bool full;                      /* one of the limits was met */
};

/* RFC 6868; only called where there is a '^'. */
static struct span decode_carets(struct arena *arena, struct span s)
{
	char *out = arena_raw(arena, s.n + 1), *to = out;

	for (size_t i = 0; i < s.n; i++) {
		char next = s.p[i] == '^' && i + 1 < s.n ? s.p[i + 1] : '\0';

		i += next == 'n' || next == '^' || next == '\'';
		*to++ = next == 'n' ? '\n' : next == '\'' ? '"' : s.p[i];
	}
	return span_bytes(out, (size_t)(to - out));
}

static bool ends_value(char c)
{
	return c == ',' || c == ';' || c == ':';
}

/* The parameter value at *at: quoted where a closing quote follows, and whatever stands between that
 * and the next separator. */
static struct span cut_value(struct arena *arena, struct span s, size_t *at)
{
	size_t from = *at, close = SIZE_MAX, end;

	if (from < s.n && s.p[from] == '"')
		close = span_find(s, from + 1, '"');
	end = close == SIZE_MAX ? from : close + 1;
	while (end < s.n && !ends_value(s.p[end]))
		end++;
	*at = end;
	struct span value = span_cut(s, from, end - from);

	if (close != SIZE_MAX && close + 1 == end) {
		value = span_cut(s, from + 1, close - from - 1);
	} else if (close != SIZE_MAX) {
		char *joined = arena_raw(arena, value.n);
		size_t inner = close - from - 1;

		memcpy(joined, s.p + from + 1, inner);
		memcpy(joined + inner, s.p + close + 1, end - close - 1);
		value = span_bytes(joined, value.n - 2);
	}
	return span_find(value, 0, '^') == SIZE_MAX ? value : decode_carets(arena, value);
}

/* The parameter behind the ';' at *at. */
static bool cut_param(struct cutter *c, struct span s, size_t *at)
{
	size_t from = ++*at;

	if (c->n_params == CONTENT_PARAMS_MAX) {
		c->full = true;
		return false;
	}
	while (*at < s.n && !ends_value(s.p[*at]) && s.p[*at] != '=')
		++*at;
	struct content_param *p = &c->params[c->n_params++];

	*p = (struct content_param){ .name = span_cut(s, from, *at - from), .values = c->values + c->n_values };
	if (*at == s.n || s.p[*at] != '=')
		return *at < s.n && s.p[*at] != ',';
	do {
		++*at;
		if (c->n_values == CONTENT_VALUES_MAX) {
			c->full = true;
			return false;
		}
		c->values[c->n_values++] = cut_value(c->arena, s, at);
		p->n++;
	} while (*at < s.n && s.p[*at] == ',');
	return *at < s.n;
}

/* Group, name and parameters; *at is left at the ':'. The parameters are the cutter's. */
static bool cut_head(struct cutter *c, struct span s, struct content_line *line_r, size_t *at)
{
	size_t dot = SIZE_MAX, i = 0;

	while (i < s.n && s.p[i] != ';' && s.p[i] != ':') {
		if (s.p[i] == '.' && dot == SIZE_MAX)
			dot = i;
		i++;
	}
	*line_r = (struct content_line){ .name = span_cut(s, 0, i) };
	if (dot != SIZE_MAX && dot > 0) {
		line_r->group = span_cut(s, 0, dot);
		line_r->name = span_cut(s, dot + 1, i - dot - 1);
	}
	*at = i;
	while (*at < s.n && s.p[*at] == ';') {
		if (!cut_param(c, s, at))
			return false;
	}
	return *at < s.n && s.p[*at] == ':' && line_r->name.n > 0;
}

/* --- what vCard 2.1 did to values --- */

static bool is_qp(const struct content_param *p)
{
	if (p->n == 0)
		return span_eq_nocase_str(p->name, "QUOTED-PRINTABLE");
	return p->n == 1 && span_eq_nocase_str(p->name, "ENCODING") &&
	       (span_eq_nocase_str(p->values[0], "QUOTED-PRINTABLE") || span_eq_nocase_str(p->values[0], "Q"));
}

static bool is_charset(const struct content_param *p)
{
	return p->n == 1 && span_eq_nocase_str(p->name, "CHARSET");
}

/* Decoded bytes as a raw value again: newlines escaped, and a backslash that 2.1 meant literally. */
static struct span as_raw_value(struct arena *arena, struct span s)
{
	char *out = arena_raw(arena, s.n * 2 + 1), *to = out;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : '\0';

		if (c == '\r' && next == '\n')
			continue;
		if (c == '\n') {
			*to++ = '\\';
			c = 'n';
		} else if (c == '\\') {
			*to++ = '\\';
			if (next == ';' || next == ',' || next == '\\')
				c = s.p[++i];
		}
		*to++ = c;
	}
	return span_bytes(out, (size_t)(to - out));
}

static void decode_value(struct cutter *c, struct content_line *line)
{
	struct span charset = SPAN_NONE;
	bool qp = false;
	size_t kept = 0;

	for (size_t i = 0; i < c->n_params; i++) {
		if (is_qp(&c->params[i]))
			qp = true;
		else if (is_charset(&c->params[i]))
			charset = c->params[i].values[0];
		else
			c->params[kept++] = c->params[i];
	}
	if (kept == c->n_params)
		return;
	c->n_params = kept;
	if (qp)
		line->value = text_from_qp(c->arena, line->value);
	line->value = text_to_utf8(c->arena, line->value, charset);
	if (qp)
		line->value = as_raw_value(c->arena, line->value);
}

/* Copies the cutter's parameters into the line. */
static void keep_params(struct cutter *c, struct content_line *line)
{
	if (c->n_params == 0)
		return;
	line->n_params = c->n_params;
	line->params = arena_calloc(c->arena, c->n_params, sizeof(*line->params));
	for (size_t i = 0; i < c->n_params; i++) {
		struct content_param *p = &line->params[i];

		*p = c->params[i];
		p->values = p->n > 0 ? arena_calloc(c->arena, p->n, sizeof(*p->values)) : NULL;
		if (p->n > 0)
			memcpy(p->values, c->params[i].values, p->n * sizeof(*p->values));
	}
}

static bool cut_line(struct cutter *c, struct span s, struct content_line *line_r)
{
	size_t at;

	if (!cut_head(c, s, line_r, &at))
		return false;
	line_r->value = span_cut(s, at + 1, s.n - at - 1);
	decode_value(c, line_r);
	keep_params(c, line_r);
	return true;
}

/* As many as no line of the text can have more of. */
static void make_scratch(struct arena *arena, struct span text, struct content_param **params_r, struct span **values_r)
{
	size_t n = 1;

	for (size_t i = 0; i < text.n && n < CONTENT_VALUES_MAX; i++)
		n += text.p[i] == ';' || text.p[i] == ',';
	*values_r = arena_calloc(arena, n, sizeof(**values_r));
	*params_r = arena_calloc(arena, n < CONTENT_PARAMS_MAX ? n : CONTENT_PARAMS_MAX, sizeof(**params_r));
}

bool content_parse_line(struct arena *arena, struct span text, struct content_line *line_r)
{
	struct cutter c = { .arena = arena };

	make_scratch(arena, text, &c.params, &c.values);
	return cut_line(&c, text, line_r);
}

/* --- unfolding --- */

static struct span take_physical(struct parser *p)
{
	size_t end = span_find(p->rest, 0, '\n'), next = end == SIZE_MAX ? p->rest.n : end + 1;
	struct span line = span_cut(p->rest, 0, end == SIZE_MAX ? p->rest.n : end);

	p->line_no++;
	p->rest = span_cut(p->rest, next, p->rest.n - next);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* Is the line so far quoted-printable, so that a '=' at its end continues it? */
static bool has_soft_breaks(struct parser *p, struct span so_far)
{
	struct cutter c = { .arena = p->arena, .params = p->params, .values = p->values };
	struct content_line line;
	size_t at;

	if (span_find_nocase(so_far, "QUOTED-PRINTABLE") == SIZE_MAX || !cut_head(&c, so_far, &line, &at))
		return false;
	for (size_t i = 0; i < c.n_params; i++) {
		if (is_qp(&c.params[i]))
			return true;
	}
	return false;
}

/* The next logical line; false at the end of the text. */
static bool take_logical(struct parser *p, struct span *line_r)
{
	enum { NOT_ASKED, NO, YES } soft = NOT_ASKED;
	struct span part;
	char *start = p->to;

	do {
		if (p->rest.n == 0)
			return false;
		part = take_physical(p);
		while (part.n > 0 && (part.p[0] == ' ' || part.p[0] == '\t'))
			part = span_cut(part, 1, part.n);       /* a fold of nothing */
	} while (part.n == 0);
	for (;;) {
		p->to = mempcpy(p->to, part.p, part.n);
		char next = p->rest.n > 0 ? p->rest.p[0] : '\0';

		if (next == ' ' || next == '\t') {
			part = take_physical(p);
			part = span_cut(part, 1, part.n);
			continue;
		}
		if (p->rest.n == 0 || p->to == start || p->to[-1] != '=' || soft == NO)
			break;
		if (soft == NOT_ASKED)
			soft = has_soft_breaks(p, span_bytes(start, (size_t)(p->to - start))) ? YES : NO;
		if (soft == NO)
			break;
		p->to--;
		part = take_physical(p);
	}
	*line_r = span_bytes(start, (size_t)(p->to - start));
	return true;
}

/* --- the tree --- */

struct content_comp *content_comp_new(struct arena *arena, struct span name)
{
	struct content_comp *comp = arena_alloc(arena, sizeof(*comp));

	comp->name = name;
	return comp;
}

void content_add_line(struct arena *arena, struct content_comp *comp, struct content_line line)
{
	comp->lines = arena_grow(arena, comp->lines, comp->n_lines, sizeof(line), &comp->cap_lines);
	comp->lines[comp->n_lines++] = line;
}

void content_add_comp(struct arena *arena, struct content_comp *comp, struct content_comp *child)
{
	comp->comps = arena_grow(arena, comp->comps, comp->n_comps, sizeof(child), &comp->cap_comps);
	comp->comps[comp->n_comps++] = child;
}

static enum code bad(struct parser *p, const char *what)
{
	return err_set(p->err, E_ITEM_BAD, "%s at line %zu", what, p->line_no);
}

static enum code begin(struct parser *p, struct span name)
{
	if (p->depth == CONTENT_DEPTH_MAX || ++p->comps > CONTENT_COMPS_MAX)
		return err_set(p->err, E_ITEM_TOO_BIG, "too many or too deep components at line %zu", p->line_no);
	if (name.n == 0)
		return bad(p, "BEGIN without a name");
	struct content_comp *comp = content_comp_new(p->arena, name);

	content_add_comp(p->arena, p->open[p->depth], comp);
	p->open[++p->depth] = comp;
	return E_OK;
}

static enum code take_line(struct parser *p, struct span text)
{
	struct cutter c = { .arena = p->arena, .params = p->params, .values = p->values };
	struct content_comp *comp = p->open[p->depth];
	struct content_line line;
	size_t need = text.n * 4 + comp->n_lines * 2 * sizeof(line) + SLACK;

	if (++p->lines > CONTENT_LINES_MAX || arena_left(p->arena) < need)
		return err_set(p->err, E_ITEM_TOO_BIG, "too many lines (%zu)", p->lines);
	if (!cut_line(&c, text, &line))
		return c.full ? err_set(p->err, E_ITEM_TOO_BIG, "too many parameters at line %zu", p->line_no)
			      : bad(p, "not a content line");
	if (line.group.n == 0 && line.n_params == 0 && span_eq_nocase_str(line.name, "BEGIN"))
		return begin(p, span_trim(line.value));
	if (line.group.n == 0 && line.n_params == 0 && span_eq_nocase_str(line.name, "END")) {
		if (p->depth == 0 || !span_eq_nocase(span_trim(line.value), comp->name))
			return bad(p, "END without its BEGIN");
		p->depth--;
		return E_OK;
	}
	if (p->depth == 0)
		return bad(p, "a line outside of any component");
	content_add_line(p->arena, comp, line);
	return E_OK;
}

enum code content_parse(struct arena *arena, struct span text, struct content_comp **root_r, struct err *err)
{
	struct parser p = { .arena = arena, .err = err };
	enum code code = E_OK;
	struct span line;

	if (text.n > CONTENT_BYTES_MAX || arena_left(arena) < text.n * 2 + 2 * SLACK)
		return err_set(err, E_ITEM_TOO_BIG, "the item has %zu bytes", text.n);
	if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		text = span_cut(text, 3, text.n);
	p.rest = text;
	p.to = arena_raw(arena, text.n + 1);
	make_scratch(arena, text, &p.params, &p.values);
	*root_r = p.open[0] = content_comp_new(arena, SPAN_NONE);
	while (code == E_OK && take_logical(&p, &line))
		code = take_line(&p, line);
	if (code == E_OK && p.depth > 0)
		code = bad(&p, "the text ends inside a component");
	return code;
}
