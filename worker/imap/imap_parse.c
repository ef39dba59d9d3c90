/* imap_parse.c - the scanner, the tokenizer and the heads of responses.
 *
 * 1. Each byte is looked at a constant number of times.
 * 2. An announced size is compared with its limit before anything is done with it.
 * 3. Spans point into the line that was given; nothing is allocated but unescaped strings.
 * Its tests: tests/unit/t_imap_parse.c, tests/fuzz/fuzz_imap_parse.c.
 */
#include "imap_parse.h"

/* --- lines --- */

void imap_scan_init(struct imap_scan *scan)
{
	*scan = (struct imap_scan){ 0 };
	buf_init(&scan->line, IMAP_LINE_MAX);
}

void imap_scan_free(struct imap_scan *scan)
{
	buf_free(&scan->line);
}

void imap_scan_reset(struct imap_scan *scan)
{
	if (scan->line.cap > 1024 * 1024)
		buf_free(&scan->line);
	buf_clear(&scan->line);
	scan->from = 0;
	scan->literal = 0;
	scan->keeping = scan->is_text = false;
}

static bool is_status_word(struct span word, enum imap_status *status_r)
{
	static const struct {
		const char *word;
		enum imap_status status;
	} words[] = {
		{ "OK", IMAP_OK }, { "NO", IMAP_NO }, { "BAD", IMAP_BAD }, { "BYE", IMAP_BYE },
		{ "PREAUTH", IMAP_PREAUTH },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (span_eq_nocase_str(word, words[i].word)) {
			*status_r = words[i].status;
			return true;
		}
	return false;
}

static struct span word_at(struct span line, size_t at)
{
	size_t end = span_find(line, at, ' ');

	return span_cut(line, at, (end == SIZE_MAX ? line.n : end) - at);
}

/* Everything but "* data" is text to its end. */
static bool line_is_text(struct span line)
{
	enum imap_status status;

	if (line.n < 2 || line.p[0] != '*' || line.p[1] != ' ')
		return true;
	return is_status_word(word_at(line, 2), &status);
}

/* "...{123}" or "{123+}" at the end: its number. */
static enum code find_literal(struct span line, bool *found_r, uint64_t *size_r, struct err *err)
{
	size_t at = line.n;

	*found_r = false;
	if (at < 3 || line.p[--at] != '}')
		return E_OK;
	if (line.p[at - 1] == '+')
		at--;
	size_t end = at;
	while (at > 0 && line.p[at - 1] >= '0' && line.p[at - 1] <= '9')
		at--;
	if (at == end || at == 0 || line.p[at - 1] != '{')
		return E_OK;
	if (at >= 2 && strchr(" (~", line.p[at - 2]) == NULL)
		return E_OK;
	if (!span_u64(span_cut(line, at, end - at), IMAP_LITERAL_MAX, size_r))
		return err_set(err, E_PROTOCOL, "the server announced a literal of " SPAN_FMT " bytes",
			       SPAN_ARG(span_cut(line, at, end - at < 24 ? end - at : 24)));
	*found_r = true;
	return E_OK;
}

/* The physical line from `from` on is there: drop its CR, blank out stray ones. */
static void tidy(struct imap_scan *scan)
{
	char *p = scan->line.p;
	size_t n = scan->line.n;

	if (n > scan->from && p[n - 1] == '\r')
		n--;
	for (char *cr = p + scan->from; (cr = memchr(cr, '\r', n - (size_t)(cr - p))) != NULL; cr++)
		*cr = ' ';
	scan->line.n = n;
	if (p != NULL)
		p[n] = '\0';
}

static enum code line_end(struct imap_scan *scan, enum imap_scan_event *event_r, struct err *err)
{
	bool literal = false;
	enum code rc = E_OK;

	tidy(scan);
	if (scan->from == 0)
		scan->is_text = line_is_text(buf_span(&scan->line));
	if (!scan->is_text) {
		struct span text = { scan->line.p + scan->from, scan->line.n - scan->from };

		rc = find_literal(text, &literal, &scan->literal, err);
	}
	*event_r = literal ? IMAP_SCAN_LITERAL : IMAP_SCAN_LINE;
	return rc;
}

static enum code feed_text(struct imap_scan *scan, struct span in, size_t *used_r,
			   enum imap_scan_event *event_r, struct err *err)
{
	const char *nl = memchr(in.p, '\n', in.n);
	size_t n = nl != NULL ? (size_t)(nl - in.p) : in.n;

	buf_add(&scan->line, in.p, n);
	enum code rc = buf_check(&scan->line, E_PROTOCOL, "a line from the server", err);
	if (rc != E_OK)
		return rc;
	*used_r += nl != NULL ? n + 1 : n;
	*event_r = IMAP_SCAN_MORE;
	return nl != NULL ? line_end(scan, event_r, err) : E_OK;
}

enum code imap_scan_feed(struct imap_scan *scan, struct span in, size_t *used_r,
			 enum imap_scan_event *event_r, struct err *err)
{
	*used_r = 0;
	*event_r = IMAP_SCAN_MORE;
	if (scan->keeping) {
		size_t n = in.n < scan->literal ? in.n : (size_t)scan->literal;

		buf_add(&scan->line, in.p, n);
		scan->literal -= n;
		*used_r = n;
		scan->keeping = scan->literal > 0;
		scan->from = scan->line.n;
		in = span_cut(in, n, in.n - n);
	}
	if (in.n == 0)
		return buf_check(&scan->line, E_PROTOCOL, "a line from the server", err);
	return feed_text(scan, in, used_r, event_r, err);
}

enum code imap_scan_keep(struct imap_scan *scan, struct err *err)
{
	if (scan->literal >= IMAP_LINE_MAX - scan->line.n)
		return err_set(err, E_PROTOCOL,
				"the server announced a literal of %llu bytes where none that long belongs",
			       (unsigned long long)scan->literal);
	buf_add_char(&scan->line, '\n');
	scan->from = scan->line.n;
	scan->keeping = scan->literal > 0;
	return buf_check(&scan->line, E_PROTOCOL, "a line from the server", err);
}

void imap_scan_skip(struct imap_scan *scan)
{
	buf_add_char(&scan->line, '\r');
	scan->from = scan->line.n;
	scan->literal = 0;
}

/* --- tokens --- */

void imap_cur_init(struct imap_cur *cur, struct span line)
{
	*cur = (struct imap_cur){ .p = line.p, .end = line.p + line.n };
}

static enum imap_tok_kind bad(struct imap_cur *cur, struct imap_tok *tok)
{
	cur->p = cur->end;
	*tok = (struct imap_tok){ .kind = IMAP_T_BAD };
	return IMAP_T_BAD;
}

static enum imap_tok_kind next_quoted(struct imap_cur *cur, struct imap_tok *tok)
{
	const char *from = ++cur->p;

	for (const char *p = from; p < cur->end; p++) {
		if (*p == '\\' && p + 1 < cur->end) {
			tok->escaped = true;
			p++;
		} else if (*p == '"') {
			tok->text = span_bytes(from, (size_t)(p - from));
			cur->p = p + 1;
			return tok->kind = IMAP_T_STRING;
		}
	}
	return bad(cur, tok);
}

/* cur->p is behind '{'. */
static enum imap_tok_kind next_literal(struct imap_cur *cur, struct imap_tok *tok)
{
	const char *from = cur->p, *p = from;
	uint64_t n;

	while (p < cur->end && *p >= '0' && *p <= '9')
		p++;
	if (!span_u64(span_bytes(from, (size_t)(p - from)), IMAP_LITERAL_MAX, &n))
		return bad(cur, tok);
	if (p < cur->end && *p == '+')
		p++;
	if (cur->end - p < 2 || *p != '}')
		return bad(cur, tok);
	tok->size = n;
	cur->p = p + 2;
	if (p[1] == '\r')
		return tok->kind = IMAP_T_ELSEWHERE;
	if (p[1] != '\n' || (uint64_t)(cur->end - cur->p) < n)
		return bad(cur, tok);
	tok->text = span_bytes(cur->p, (size_t)n);
	cur->p += n;
	return tok->kind = IMAP_T_STRING;
}

/* At a '[' inside an atom: past its ']', or one further if there is none. */
static const char *past_section(struct imap_cur *cur, const char *p)
{
	const char *close = cur->no_bracket ? NULL : memchr(p, ']', (size_t)(cur->end - p));

	if (close == NULL) {
		cur->no_bracket = true;
		return p + 1;
	}
	return close + 1;
}

static enum imap_tok_kind next_atom(struct imap_cur *cur, struct imap_tok *tok)
{
	const char *from = cur->p, *p = from;

	while (p < cur->end && *p != ' ' && *p != '(' && *p != ')' && *p != '\n' && *p != '\r')
		p = *p == '[' && p > from ? past_section(cur, p) : p + 1;
	if (p == from)               /* a literal's mark where no literal is */
		return bad(cur, tok);
	cur->p = p;
	tok->text = span_bytes(from, (size_t)(p - from));
	return tok->kind = IMAP_T_ATOM;
}

enum imap_tok_kind imap_next(struct imap_cur *cur, struct imap_tok *tok)
{
	*tok = (struct imap_tok){ .kind = IMAP_T_END };
	while (cur->p < cur->end && *cur->p == ' ')
		cur->p++;
	if (cur->p == cur->end)
		return IMAP_T_END;
	switch (*cur->p) {
	case '(':
		if (++cur->depth > IMAP_DEPTH_MAX)
			return bad(cur, tok);
		cur->p++;
		return tok->kind = IMAP_T_OPEN;
	case ')':
		cur->depth -= cur->depth > 0;
		cur->p++;
		return tok->kind = IMAP_T_CLOSE;
	case '"':
		return next_quoted(cur, tok);
	case '{':
		cur->p++;
		return next_literal(cur, tok);
	case '~':
		if (cur->end - cur->p >= 2 && cur->p[1] == '{') {
			cur->p += 2;
			return next_literal(cur, tok);
		}
		break;
	}
	return next_atom(cur, tok);
}

bool imap_skip(struct imap_cur *cur)
{
	unsigned depth = 0;
	struct imap_tok tok;

	do {
		switch (imap_next(cur, &tok)) {
		case IMAP_T_OPEN:
			depth++;
			break;
		case IMAP_T_CLOSE:
			if (depth == 0)
				return false;
			depth--;
			break;
		case IMAP_T_END:
		case IMAP_T_BAD:
			return false;
		case IMAP_T_ATOM:
		case IMAP_T_STRING:
		case IMAP_T_ELSEWHERE:
			break;
		}
	} while (depth > 0);
	return true;
}

bool imap_next_list(struct imap_cur *cur, struct span *inner_r)
{
	struct imap_tok tok;
	const char *from;

	if (imap_next(cur, &tok) != IMAP_T_OPEN)
		return false;
	from = cur->p;
	for (unsigned depth = 1; depth > 0;) {
		enum imap_tok_kind kind = imap_next(cur, &tok);

		if (kind == IMAP_T_END || kind == IMAP_T_BAD)
			return false;
		depth += kind == IMAP_T_OPEN;
		depth -= kind == IMAP_T_CLOSE;
	}
	*inner_r = span_bytes(from, (size_t)(cur->p - 1 - from));
	return true;
}

struct span imap_tok_text(struct arena *arena, const struct imap_tok *tok)
{
	size_t n = 0;

	if (!tok->escaped)
		return tok->text;
	char *out = arena_raw(arena, tok->text.n + 1);
	for (size_t i = 0; i < tok->text.n; i++) {
		if (tok->text.p[i] == '\\' && i + 1 < tok->text.n)
			i++;
		out[n++] = tok->text.p[i];
	}
	out[n] = '\0';
	return span_bytes(out, n);
}

bool imap_tok_is_nil(const struct imap_tok *tok)
{
	return tok->kind == IMAP_T_ATOM && span_eq_nocase_str(tok->text, "NIL");
}

bool imap_tok_u64(const struct imap_tok *tok, uint64_t *value_r)
{
	return tok->kind == IMAP_T_ATOM && span_u64(tok->text, UINT64_MAX, value_r);
}

bool imap_tok_u32(const struct imap_tok *tok, uint32_t *value_r)
{
	uint64_t v;

	if (tok->kind != IMAP_T_ATOM || !span_u64(tok->text, UINT32_MAX, &v))
		return false;
	*value_r = (uint32_t)v;
	return true;
}

/* --- responses --- */

/* Where the ']' of a response code is: not inside quotes or parentheses, if there is a choice. */
static size_t code_end(struct span s)
{
	bool quoted = false;
	unsigned depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && c == '(')
			depth++;
		else if (!quoted && c == ')' && depth > 0)
			depth--;
		else if (!quoted && depth == 0 && c == ']')
			return i;
	}
	return span_find(s, 0, ']');
}

static void parse_text(struct span s, struct imap_resp *r)
{
	if (s.n > 0 && s.p[0] == '[') {
		struct span inner = span_cut(s, 1, s.n);
		size_t end = code_end(inner);

		if (end != SIZE_MAX) {
			struct span all = span_cut(inner, 0, end);

			r->code = word_at(all, 0);
			r->args = span_trim(span_cut(all, r->code.n, all.n));
			s = span_cut(inner, end + 1, inner.n);
		}
	}
	r->text = span_trim(s);
}

static enum code parse_status(struct span line, size_t at, struct imap_resp *r, struct err *err)
{
	struct span word = word_at(line, at);

	if (!is_status_word(word, &r->status))
		return err_set(err, E_PROTOCOL, "the server's answer is not IMAP");
	parse_text(span_trim(span_cut(line, at + word.n, line.n)), r);
	return E_OK;
}

static enum code parse_data(struct span line, struct imap_resp *r, struct err *err)
{
	struct span word = word_at(line, 2);
	size_t at = 2 + word.n;
	uint64_t number;

	if (span_u64(word, UINT32_MAX, &number)) {
		r->has_number = true;
		r->number = (uint32_t)number;
		word = word_at(line, at + 1);
		at += 1 + word.n;
	}
	if (word.n == 0)
		return err_set(err, E_PROTOCOL, "the server's answer is not IMAP");
	r->kind = IMAP_R_DATA;
	r->name = word;
	imap_cur_init(&r->rest, span_cut(line, at, line.n));
	return E_OK;
}

enum code imap_resp_parse(struct span line, struct imap_resp *r, struct err *err)
{
	*r = (struct imap_resp){ 0 };
	if (line.n >= 1 && line.p[0] == '+') {
		r->kind = IMAP_R_CONTINUE;
		r->text = span_trim(span_cut(line, 1, line.n));
		return E_OK;
	}
	if (line.n < 4 || line.p[0] == ' ')
		return err_set(err, E_PROTOCOL, "the server's answer is not IMAP");
	if (line.p[0] != '*' || line.p[1] != ' ') {
		r->kind = IMAP_R_TAGGED;
		r->tag = word_at(line, 0);
		return parse_status(line, r->tag.n + 1, r, err);
	}
	if (!is_status_word(word_at(line, 2), &r->status))
		return parse_data(line, r, err);
	r->kind = IMAP_R_STATUS;
	return parse_status(line, 2, r, err);
}
