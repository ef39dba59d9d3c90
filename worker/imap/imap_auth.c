/* imap_auth.c - logging on: SASL PLAIN for somebody else's mailbox or our own, LOGIN where there is
 * no PLAIN, XOAUTH2 and OAUTHBEARER with a token.
 *
 * 1. Called only on a verified TLS session or a loopback connection.
 * 2. Secrets exist here only as struct secret and in buffers that are wiped after sending.
 * 3. What a refusal means is judged by the final answer, never by a challenge.
 * Its tests: tests/unit/t_imap_session.c, tests/e2e/test_imap_*.py.
 */
#include "imap_cmd.h"

#include "../../common/conf.h"

#define PLAIN_MAX ((size_t)128 * 1024)

struct who {
	const char *authzid;     /* "" = the login's own mailbox */
	const char *login;
};

static enum code find_who(struct imap *im, struct who *who_r, struct err *err)
{
	const struct conf_mailbox *box = im->ep->env.mailbox;
	enum conf_logon how = conf_mailbox_logon(box);

	*who_r = (struct who){ "", conf_mailbox_user(box) };
	if (how == LOGON_NONE_NEEDED || how == LOGON_MISSING)
		return err_set(err, E_CREDENTIALS_MISSING, "no credentials for %s", box->smtp_name);
	if (how == LOGON_SERVICE && strcmp(who_r->login, box->smtp_name) != 0)
		who_r->authzid = box->smtp_name;
	return E_OK;
}

static void build_plain(struct buf *b, const struct who *who, const struct secret *password)
{
	buf_add(b, who->authzid, strlen(who->authzid) + 1);
	buf_add(b, who->login, strlen(who->login) + 1);
	buf_add(b, secret_reveal(password), secret_len(password));
}

static void build_xoauth2(struct buf *b, const struct who *who, const struct secret *token)
{
	buf_printf(b, "user=%s\001auth=Bearer ", who->login);
	buf_add(b, secret_reveal(token), secret_len(token));
	buf_add_str(b, "\001\001");
}

static void build_bearer(struct buf *b, struct imap *im, const struct who *who, const struct secret *token)
{
	const struct conf_endpoint *conf = im->ep->env.conf;

	/* in a saslname "," and "=" are written =2C and =3D (RFC 5801) */
	buf_add_str(b, "n,a=");
	for (const char *p = who->login; *p != '\0'; p++)
		if (*p == ',' || *p == '=')
			buf_add_str(b, *p == ',' ? "=2C" : "=3D");
		else
			buf_add_char(b, *p);
	buf_printf(b, ",\001host=%s\001port=%u\001auth=Bearer ", conf->server, (unsigned)conf->port);
	buf_add(b, secret_reveal(token), secret_len(token));
	buf_add_str(b, "\001\001");
}

static enum code send_initial(struct imap *im, struct imap_call *call, const char *what, struct buf *plain,
			      bool *sent_r, struct err *err)
{
	imap_cmd_begin(im, call, what);
	*sent_r = imap_can(im, IMAP_CAP_SASL_IR);
	if (*sent_r)
		imap_cmd_secret_initial(im, plain);
	/* from here on only what the server says after the logon counts */
	im->caps_known = false;
	enum code rc = imap_cmd_end(im, call, err);
	if (im->cmd.p != NULL)
		secret_wipe(im->cmd.p, im->cmd.cap);
	return rc == E_OK ? conn_scrub(im->conn, err) : rc;
}

/* AUTHENTICATE with one response. A second "+" is an error report: `farewell` answers it. */
static enum code authenticate(struct imap *im, struct imap_call *call, const char *what, struct buf *plain,
			      const char *farewell, struct err *err)
{
	bool sent;
	enum code rc = send_initial(im, call, what, plain, &sent, err);

	while (rc == E_OK && call->status == IMAP_PENDING) {
		rc = imap_await_go(im, call, err);
		if (rc != E_OK || call->status != IMAP_PENDING)
			break;
		if (sent) {
			buf_add_str(&im->cmd, farewell);
			rc = imap_cmd_tail(im, err);
		} else {
			rc = imap_cmd_secret_line(im, plain, err);
		}
		sent = true;
	}
	return rc;
}

static enum code login(struct imap *im, struct imap_call *call, const struct who *who,
		       const struct secret *password, struct err *err)
{
	if (imap_can(im, IMAP_CAP_LOGINDISABLED))
		return err_set(err, E_UNSUPPORTED, "the server allows no logon by password");
	if (who->authzid[0] != '\0')
		return err_set(err, E_UNSUPPORTED,
			       "the server offers no AUTH=PLAIN, which logging on for %s by a service account needs",
			       who->authzid);
	im->caps_known = false;
	imap_cmd_begin(im, call, "LOGIN");
	if (!imap_cmd_login_word(im, who->login, strlen(who->login)) ||
	    !imap_cmd_login_word(im, secret_reveal(password), secret_len(password)))
		return err_set(err, E_UNSUPPORTED,
			       "the server offers LOGIN only, which cannot carry this login or password");
	enum code rc = imap_cmd_end(im, call, err);
	secret_wipe(im->cmd.p, im->cmd.cap);
	if (rc == E_OK)
		rc = conn_scrub(im->conn, err);
	return rc == E_OK ? imap_await(im, call, err) : rc;
}

static enum code by_password(struct imap *im, struct imap_call *call, const struct who *who,
			     struct buf *plain, struct err *err)
{
	bool wants_login = strcmp(im->ep->env.conf->auth, "login") == 0;
	struct secret *password = NULL;
	enum code rc = im->ep->env.secret(im->ep->env.ctx, "password", &password, err);

	if (rc == E_OK && imap_can(im, IMAP_CAP_AUTH_PLAIN) && !wants_login) {
		build_plain(plain, who, password);
		rc = authenticate(im, call, "AUTHENTICATE PLAIN", plain, "*", err);
	} else if (rc == E_OK) {
		rc = login(im, call, who, password, err);
	}
	secret_free(&password);
	return rc;
}

static enum code by_token(struct imap *im, struct imap_call *call, const struct who *who,
			  struct buf *plain, struct err *err)
{
	bool bearer = strcmp(im->ep->env.conf->auth, "oauthbearer") == 0;
	struct secret *token = NULL;
	enum code rc;

	if (!imap_can(im, bearer ? IMAP_CAP_AUTH_OAUTHBEARER : IMAP_CAP_AUTH_XOAUTH2))
		return err_set(err, E_UNSUPPORTED, "the server does not offer %s", bearer ? "OAUTHBEARER" : "XOAUTH2");
	rc = im->ep->env.secret(im->ep->env.ctx, "token", &token, err);
	if (rc == E_OK && bearer) {
		build_bearer(plain, im, who, token);
		rc = authenticate(im, call, "AUTHENTICATE OAUTHBEARER", plain, "AQ==", err);
	} else if (rc == E_OK) {
		build_xoauth2(plain, who, token);
		rc = authenticate(im, call, "AUTHENTICATE XOAUTH2", plain, "", err);
	}
	secret_free(&token);
	return rc;
}

enum code imap_log_on(struct imap *im, struct err *err)
{
	const char *auth = im->ep->env.conf->auth;
	struct imap_call call = { 0 };
	struct buf plain;
	struct who who;
	enum code rc;

	if (auth == NULL)
		auth = "";
	imap_trace_logon(im, true);
	im->by_token = strcmp(auth, "xoauth2") == 0 || strcmp(auth, "oauthbearer") == 0;
	buf_init(&plain, PLAIN_MAX);
	if (im->by_token) {
		who = (struct who){ "", im->ep->env.mailbox->smtp_name };
		rc = by_token(im, &call, &who, &plain, err);
	} else {
		rc = find_who(im, &who, err);
		if (rc == E_OK)
			rc = by_password(im, &call, &who, &plain, err);
	}
	if (plain.p != NULL)
		secret_wipe(plain.p, plain.cap);
	buf_free(&plain);
	imap_trace_logon(im, false);
	if (rc == E_OK && call.status != IMAP_OK) {
		call.what = "the logon";
		rc = imap_refusal(IMAP_AT_LOGON, &call, err);
	}
	return rc;
}
