/* imap_cmd.c - builds commands and hands them to the connection.
 *
 * 1. No control character from outside ever reaches the wire outside of a literal.
 * 2. Only whitelisted system flags and valid keywords are written.
 * 3. A buffer that held a secret is wiped as soon as it was sent.
 * Its test: tests/unit/t_imap_cmd.c.
 */
#include "imap_cmd.h"

#include "../../common/clock.h"
#include "../data/flags.h"
#include "../fiber.h"

#include <stdarg.h>
#include <stdio.h>

const struct imap_flag imap_flag_names[5] = {
	{ EP_SEEN, "\\Seen" }, { EP_ANSWERED, "\\Answered" }, { EP_FLAGGED, "\\Flagged" },
	{ EP_DELETED, "\\Deleted" }, { EP_DRAFT, "\\Draft" },
};

void imap_cmd_begin(struct imap *im, struct imap_call *call, const char *what)
{
	buf_clear(&im->cmd);
	call->what = what;
	call->tag = ++im->next_tag;
	buf_printf(&im->cmd, "A%u %s", call->tag, what);
}

void imap_cmd_add(struct imap *im, const char *text)
{
	buf_add_str(&im->cmd, text);
}

void imap_cmd_fmt(struct imap *im, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < sizeof(text));
	buf_add(&im->cmd, text, (size_t)n);
}

bool imap_quote(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
			return false;
	buf_add_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add_char(b, '\\');
		buf_add_char(b, s.p[i]);
	}
	buf_add_char(b, '"');
	return true;
}

void imap_cmd_name(struct imap *im, struct span name)
{
	buf_add_char(&im->cmd, ' ');
	if (!imap_quote(&im->cmd, name))
		im->cmd.overflow = true;
}

void imap_cmd_flags(struct imap *im, uint32_t flags, const char *keywords)
{
	struct span rest = span_of(keywords), word;
	const char *gap = "";

	buf_add_str(&im->cmd, " (");
	for (size_t i = 0; i < ARRAY_LEN(imap_flag_names); i++)
		if (flags & imap_flag_names[i].flag) {
			buf_add_str(&im->cmd, gap);
			buf_add_str(&im->cmd, imap_flag_names[i].name);
			gap = " ";
		}
	while (rest.n > 0 && span_next(&rest, ' ', &word)) {
		if (!kw_valid(word))
			continue;
		buf_add_str(&im->cmd, gap);
		buf_add_span(&im->cmd, word);
		gap = " ";
	}
	buf_add_char(&im->cmd, ')');
}

/* [THROTTLED] was seen: the pause is what the server asks for. */
static enum code pace(struct imap *im, struct err *err)
{
	if (im->slow_ms == 0)
		return E_OK;
	enum code rc = fiber_wait(-1, 0, clock_mono_ms() + im->slow_ms, err);

	if (rc != E_TIMEOUT)
		return rc;
	err_clear(err);
	return E_OK;
}

static enum code put_cmd(struct imap *im, struct err *err)
{
	if (im->conn == NULL)
		return err_set(err, E_NET, "the connection is gone");
	if (im->cmd.overflow)
		return err_set(err, E_FOLDER_NAME, "a name cannot be sent to the server");
	imap_trace(im, '>', buf_span(&im->cmd));
	enum code rc = conn_put(im->conn, im->cmd.p, im->cmd.n, err);

	buf_clear(&im->cmd);
	return rc == E_OK ? E_OK : imap_lost(im, rc, err);
}

static void under_way(struct imap *im, struct imap_call *call)
{
	call->status = IMAP_PENDING;
	call->next = NULL;
	*im->last_call = call;
	im->last_call = &call->next;
	if (im->n_calls++ == 0) {
		conn_begin(im->conn);
		if (call->select != NULL)
			im->sel = (struct imap_selected){ 0 };
	}
}

enum code imap_cmd_end(struct imap *im, struct imap_call *call, struct err *err)
{
	enum code rc = pace(im, err);

	buf_add_str(&im->cmd, "\r\n");
	if (rc == E_OK)
		rc = put_cmd(im, err);
	if (rc == E_OK)
		under_way(im, call);
	return rc;
}

enum code imap_cmd_literal(struct imap *im, struct imap_call *call, uint64_t size, bool plus,
			   struct err *err)
{
	bool first = call->status == IMAP_PENDING && call->next == NULL && im->last_call != &call->next;
	enum code rc = first ? pace(im, err) : E_OK;

	im->go_ahead = false;
	buf_printf(&im->cmd, "{%llu%s}\r\n", (unsigned long long)size, plus ? "+" : "");
	if (rc == E_OK)
		rc = put_cmd(im, err);
	if (rc == E_OK && first)
		under_way(im, call);
	return rc;
}

enum code imap_cmd_tail(struct imap *im, struct err *err)
{
	buf_add_str(&im->cmd, "\r\n");
	return put_cmd(im, err);
}

enum code imap_cmd_run(struct imap *im, struct imap_call *call, const char *what, struct err *err)
{
	*call = (struct imap_call){ 0 };
	imap_cmd_begin(im, call, what);
	enum code rc = imap_cmd_end(im, call, err);

	return rc == E_OK ? imap_await(im, call, err) : rc;
}

/* --- secrets --- */

static void add_base64(struct imap *im, struct buf *plain)
{
	im->hidden = true;       /* until the logon is over */
	char *room = buf_room(&im->cmd, (plain->n + 2) / 3 * 4 + 1);

	if (room != NULL)
		buf_grew(&im->cmd, base64_encode(plain->p, plain->n, room));
	if (plain->p != NULL)
		secret_wipe(plain->p, plain->cap);
	buf_clear(plain);
}

enum code imap_cmd_secret_line(struct imap *im, struct buf *plain, struct err *err)
{
	add_base64(im, plain);
	buf_add_str(&im->cmd, "\r\n");
	enum code rc = put_cmd(im, err);

	secret_wipe(im->cmd.p, im->cmd.cap);
	return rc == E_OK ? conn_scrub(im->conn, err) : rc;
}

void imap_cmd_secret_initial(struct imap *im, struct buf *plain)
{
	buf_add_char(&im->cmd, ' ');
	add_base64(im, plain);
}

bool imap_cmd_login_word(struct imap *im, const char *p, size_t n)
{
	im->hidden = true;
	for (size_t i = 0; i < n; i++)
		if (p[i] < ' ' || p[i] > '~')
			return false;
	buf_add_char(&im->cmd, ' ');
	return imap_quote(&im->cmd, span_bytes(p, n));
}
