/* imap_conn.c - from nothing to a session that is ready for verbs.
 *
 * 1. No credentials before TLS is verified; without TLS only to a loopback address.
 * 2. What the server said before STARTTLS is forgotten after it.
 * 3. Capabilities are those after logon; they are asked for again although the server volunteers
 *    them, because a proxy may have put its own in front (iCloud). That costs no round trip.
 * Round trips of an open: connect, greeting, logon, and one batch that ends with the listing.
 * Its test: tests/unit/t_imap_session.c.
 */
#include "imap_cmd.h"

#include "../../common/clock.h"
#include "../../common/mem.h"

#include <stdio.h>

#define RENEW_MS ((int64_t)50 * 60 * 1000)   /* a session that a token opened ends with the token */

void imap_drop(struct imap *im)
{
	conn_close(&im->conn);
	im->calls = NULL;
	im->last_call = &im->calls;
	im->n_calls = 0;
	im->sel = (struct imap_selected){ 0 };
	im->logged_on = im->settled = im->go_ahead = im->caps_known = false;
	im->qresync = im->utf8 = im->append_proven = false;
	im->keywords_proven = NULL;
	im->caps = 0;
	for (size_t i = 0; i < IMAP_BUCKETS; i++)
		for (struct imap_box *b = im->boxes[i]; b != NULL; b = b->next) {
			b->proven = false;
			b->seen_uidvalidity = 0;
		}
}

void imap_take_caps(struct imap *im, struct imap_cur *words)
{
	static const char *const names[IMAP_CAPS] = {
#define X(id, text) [IMAP_CAP_##id] = text,
		IMAP_CAP_LIST(X)
#undef X
	};
	struct imap_tok tok;

	im->caps = 0;
	im->append_limit = 0;
	im->caps_known = true;
	while (imap_next(words, &tok) == IMAP_T_ATOM) {
		for (unsigned i = 0; i < IMAP_CAPS; i++)
			if (span_eq_nocase_str(tok.text, names[i]))
				im->caps |= UINT64_C(1) << i;
		if (span_starts_nocase(tok.text, "APPENDLIMIT="))
			(void)span_u64(span_cut(tok.text, 12, tok.text.n), UINT64_MAX, &im->append_limit);
		if (span_starts_nocase(tok.text, "XAPPLE"))
			im->apple = true;
	}
}

/* --- the greeting --- */

static enum code on_greeting(void *ctx, struct imap *im, struct imap_resp *r, struct err *err)
{
	bool *greeted = ctx;

	if (r->status != IMAP_OK)
		return err_set(err, E_SERVER, "the server did not greet with OK");
	im->dovecot = span_find_nocase(r->text, "dovecot") != SIZE_MAX;
	im->cyrus = span_find_nocase(r->text, "Cyrus IMAP") != SIZE_MAX;
	im->exchange = span_find_nocase(r->text, "Microsoft Exchange") != SIZE_MAX;
	*greeted = true;
	return E_OK;
}

static enum code await_greeting(struct imap *im, struct err *err)
{
	bool greeted = false;
	enum code rc = E_OK;

	im->sink = (struct imap_sink){ .status = on_greeting, .ctx = &greeted };
	while (rc == E_OK && !greeted)
		rc = imap_step(im, err);
	im->sink = (struct imap_sink){ 0 };
	return rc;
}

static enum code need_caps(struct imap *im, struct err *err)
{
	struct imap_call call;

	if (im->caps_known)
		return E_OK;
	enum code rc = imap_cmd_run(im, &call, "CAPABILITY", err);
	if (rc == E_OK && !im->caps_known)
		rc = err_set(err, E_PROTOCOL, "the server does not tell its capabilities");
	return rc;
}

/* --- TLS --- */

static enum code start_tls(struct imap *im, struct err *err)
{
	struct imap_call call;
	enum code rc = need_caps(im, err);

	if (rc == E_OK && !imap_can(im, IMAP_CAP_STARTTLS))
		rc = err_set(err, E_TLS, "the server does not offer STARTTLS");
	if (rc == E_OK)
		rc = imap_cmd_run(im, &call, "STARTTLS", err);
	if (rc == E_OK && call.status != IMAP_OK)
		rc = err_set(err, E_TLS, "the server refused STARTTLS");
	if (rc == E_OK)
		rc = conn_start_tls(im->conn, im->ep->env.ca_pem, err);
	im->caps_known = false;
	im->caps = 0;
	return rc;
}

static enum code reach(struct imap *im, struct err *err)
{
	const struct conf_endpoint *conf = im->ep->env.conf;
	uint16_t port = conf->port != 0 ? conf->port : conf->tls == TLS_IMPLICIT ? 993 : 143;
	enum code rc;

	if (conf->server == NULL || conf->server[0] == '\0')
		return err_set(err, E_CONF, "endpoint %s has no Server", conf->name);
	rc = conn_open(conf->server, port, &im->conn, err);
	if (rc == E_OK && conf->tls == TLS_NONE && !conn_is_loopback(im->conn))
		rc = err_set(err, E_CONF, "endpoint %s: TLS none is for loopback addresses only", conf->name);
	if (rc == E_OK && conf->tls == TLS_IMPLICIT)
		rc = conn_start_tls(im->conn, im->ep->env.ca_pem, err);
	if (rc == E_OK)
		rc = await_greeting(im, err);
	if (rc == E_OK && conf->tls == TLS_STARTTLS)
		rc = start_tls(im, err);
	return rc == E_OK ? need_caps(im, err) : rc;
}

/* --- after the logon --- */

static enum code send_enable(struct imap *im, struct imap_call *call, struct err *err)
{
	bool qresync = imap_can(im, IMAP_CAP_QRESYNC) && !im->apple;
	bool utf8 = imap_can(im, IMAP_CAP_UTF8_ACCEPT) || imap_can(im, IMAP_CAP_UTF8_ONLY);

	if (!imap_can(im, IMAP_CAP_ENABLE) || (!qresync && !utf8))
		return E_OK;
	imap_cmd_begin(im, call, "ENABLE");
	imap_cmd_add(im, qresync ? " QRESYNC" : "");
	imap_cmd_add(im, utf8 ? " UTF8=ACCEPT" : "");
	return imap_cmd_end(im, call, err);
}

/* ENABLE may be pipelined (RFC 5161 3.1); nothing else here changes the session's state. */
static enum code settle(struct imap *im, struct err *err)
{
	struct imap_call caps = { 0 }, enable = { 0 }, ns = { 0 };
	enum code rc = need_caps(im, err);

	imap_cmd_begin(im, &caps, "CAPABILITY");
	if (rc == E_OK)
		rc = imap_cmd_end(im, &caps, err);
	if (rc == E_OK)
		rc = send_enable(im, &enable, err);
	if (rc == E_OK && imap_can(im, IMAP_CAP_NAMESPACE)) {
		imap_cmd_begin(im, &ns, "NAMESPACE");
		rc = imap_cmd_end(im, &ns, err);
	}
	if (rc == E_OK)
		rc = imap_list_ahead(im, err);
	return rc;
}

static void fill_caps(struct imap *im)
{
	struct ep_caps *c = &im->ep->caps;

	*c = (struct ep_caps){
		.kinds = 1U << EP_MAIL,
		.max_item_bytes = im->append_limit,
		.exact_size = !im->exchange,
		.keeps_bytes = !im->exchange,
		.stable_key = im->key != IMAP_KEY_NONE,
		.marks_flags = imap_can(im, IMAP_CAP_CONDSTORE),
		.moves = imap_can(im, IMAP_CAP_MOVE),
		.window_items = 1000,
	};
}

static enum code connect_now(struct imap *im, struct err *err)
{
	enum code rc = reach(im, err);

	if (rc == E_OK)
		rc = imap_log_on(im, err);
	if (rc == E_OK) {
		im->logged_on = true;
		rc = settle(im, err);
	}
	if (rc != E_OK) {
		imap_drop(im);
		return rc;
	}
	im->settled = true;
	im->key = imap_can(im, IMAP_CAP_GMAIL) ? IMAP_KEY_GMAIL
		: imap_can(im, IMAP_CAP_OBJECTID) ? IMAP_KEY_EMAILID
		: im->dovecot && !im->no_guid ? IMAP_KEY_GUID : IMAP_KEY_NONE;
	im->renew_ms = im->by_token ? clock_mono_ms() + RENEW_MS : 0;
	fill_caps(im);
	return E_OK;
}

enum code imap_connect(struct imap *im, struct err *err)
{
	struct arena *verb = im->arena, *own = arena_new((size_t)64 * 1024 * 1024);

	imap_drop(im);
	imap_scan_reset(&im->scan);
	im->next_tag = 0;
	im->arena = own;
	im->apple = false;
	enum code rc = connect_now(im, err);
	if (rc == E_PROTOCOL && im->dovecot && !im->no_guid) {
		/* it calls itself Dovecot and does not know Dovecot's X-GUID */
		im->no_guid = true;
		im->next_tag = 0;
		imap_scan_reset(&im->scan);
		rc = connect_now(im, err);
	}
	im->challenge = SPAN_NONE;
	im->arena = verb;
	arena_free(&own);
	return rc;
}

enum code imap_enter(struct imap *im, struct arena *arena, struct err *err)
{
	struct err lost = ERR_INIT;

	im->arena = arena;
	im->sink = (struct imap_sink){ 0 };
	if (im->conn != NULL && im->renew_ms != 0 && clock_mono_ms() >= im->renew_ms)
		imap_drop(im);
	/* the server may have said good-bye while we were idle; nothing is under way, so try again */
	if (im->conn != NULL && (conn_poll(im->conn, &lost) != E_OK || imap_poll(im, &lost) != E_OK))
		imap_drop(im);
	return im->conn != NULL ? E_OK : imap_connect(im, err);
}
