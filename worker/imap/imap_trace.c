/* imap_trace.c - lines of the connection for the trace, without what is personal: a literal is its size
 * alone, and so is a quoted string of a FETCH. The logon is not traced at all (im->hidden).
 */
#include "imap.h"

#include "../../common/trace.h"

#define SHOWN 800        /* of a line */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "{n}" or "{n+}" at `at`: its length and n; false: none is there. */
static bool literal_at(struct span line, size_t at, size_t *len_r, uint64_t *n_r)
{
	size_t end = at + 1;

	while (end < line.n && is_digit(line.p[end]))
		end++;
	if (end == at + 1 || !span_u64(span_cut(line, at + 1, end - at - 1), UINT64_MAX, n_r))
		return false;
	if (end < line.n && line.p[end] == '+')
		end++;
	*len_r = end + 1 - at;
	return end < line.n && line.p[end] == '}';
}

static size_t quoted_end(struct span line, size_t at)
{
	for (at++; at < line.n && line.p[at] != '"'; at++)
		at += line.p[at] == '\\';
	return at < line.n ? at + 1 : line.n;
}

/* Line ends are left out; the bytes of a literal that was kept follow its '\n'. */
void imap_trace_text(struct buf *out, struct span line, bool hide_quoted)
{
	for (size_t at = 0; at < line.n && out->n < SHOWN;) {
		size_t len;
		uint64_t n;

		if (line.p[at] == '{' && literal_at(line, at, &len, &n)) {
			buf_add(out, line.p + at, len);
			at += len;
			if (at < line.n && line.p[at] == '\n')
				at = n < line.n - at - 1 ? at + 1 + (size_t)n : line.n;
		} else if (line.p[at] == '"' && hide_quoted) {
			size_t end = quoted_end(line, at);
			bool closed = end > at + 1 && line.p[end - 1] == '"';

			buf_printf(out, "\"(%zu)\"", end - at - 1 - closed);
			at = end;
		} else {
			if (line.p[at] != '\r' && line.p[at] != '\n')
				buf_add_char(out, line.p[at]);
			at++;
		}
	}
	if (out->n >= SHOWN)
		buf_add_str(out, "...");
}

void imap_trace(const struct imap *im, char direction, struct span line)
{
	const struct conf_endpoint *conf = im->ep != NULL ? im->ep->env.conf : NULL;
	struct buf text;

	if (conf == NULL || im->hidden || !trace_wanted(conf->name, conf->type))
		return;
	buf_init(&text, 4096);
	imap_trace_text(&text, line, direction == '<' && span_find_nocase(line, " FETCH ") != SIZE_MAX);
	trace_line(conf->name, direction, buf_span(&text));
	buf_free(&text);
}

void imap_trace_logon(struct imap *im, bool begins)
{
	const struct conf_endpoint *conf = im->ep->env.conf;

	if (trace_wanted(conf->name, conf->type))
		trace_line(conf->name, begins ? '>' : '<', begins ? SPAN_LIT("(the logon is not traced)") :
			   SPAN_LIT("(end of the logon)"));
	im->hidden = begins;
}
