/* ews_token.c - asks the TokenURL for a token: LoginName and Password are the client's id and secret. The secret goes
 * to the configured URL only, by verified TLS, and no redirect takes it elsewhere.
 * Its tests: tests/e2e/test_exchange_logons.py, tests/unit/t_ews_discover.c, tests/fuzz/fuzz_ews_token.c.
 */
#include "ews_token.h"

#include "ews.h"

#include "../../common/clock.h"

#include <jansson.h>

#define SECONDS_DEFAULT 3600U
#define SECONDS_MAX 86400U

static bool token_valid(const char *text, size_t n)
{
	if (text == NULL || n == 0 || n > EWS_TOKEN_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return true;
}

static uint32_t seconds_of(const json_t *value)
{
	const char *text = json_string_value(value);
	json_int_t n = json_integer_value(value);
	uint64_t parsed = 0;

	if (text != NULL && span_u64(span_of(text), SECONDS_MAX, &parsed))
		n = (json_int_t)parsed;
	return n <= 0 ? SECONDS_DEFAULT : n > SECONDS_MAX ? SECONDS_MAX : (uint32_t)n;
}

static enum code refusal(const json_t *root, struct err *err)
{
	const char *error = json_string_value(json_object_get(root, "error"));
	const char *text = json_string_value(json_object_get(root, "error_description"));

	if (error == NULL)
		return err_set(err, E_PROTOCOL, "the token endpoint refuses, and does not say why");
	return err_set(err, E_LOGON_FAILED, "the token endpoint refuses this client: %.60s: %.200s", error,
		       text != NULL ? text : "no reason told");
}

enum code ews_token_read(struct span answer, bool good, struct secret **token_r, uint32_t *seconds_r, struct err *err)
{
	json_t *root = answer.n > 0 ? json_loadb(answer.p, answer.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
	json_t *token = json_object_get(root, "access_token");
	const char *text = json_string_value(token);
	size_t n = json_string_length(token);
	enum code rc = E_OK;

	if (!good)
		rc = refusal(root, err);
	else if (!token_valid(text, n))
		rc = err_set(err, E_PROTOCOL, "the token endpoint's answer holds no token");
	*seconds_r = seconds_of(json_object_get(root, "expires_in"));
	if (rc == E_OK)
		*token_r = secret_new(text, n);
	if (text != NULL)
		secret_wipe((char *)(uintptr_t)text, n);
	json_decref(root);
	return rc;
}

static void add_field(struct buf *b, const char *name, struct span value)
{
	buf_printf(b, "%s%s=", b->n > 0 ? "&" : "", name);
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.')
			buf_add_char(b, (char)c);
		else
			buf_printf(b, "%%%02X", c);
	}
}

static enum code ask(struct ews *e, struct http *http, const struct secret *secret, struct secret **token_r,
		     uint32_t *seconds_r, struct err *err)
{
	const struct conf_endpoint *conf = e->ep->env.conf;
	struct arena *arena = arena_new((size_t)1 << 20);
	struct http_req r = { .method = "POST", .url = conf->token_url, .type = "application/x-www-form-urlencoded",
			      .max_bytes = 2 * EWS_TOKEN_MAX };
	struct buf body;
	enum code rc = http_allow(http, span_of(conf->token_url), err);

	buf_init(&body, (size_t)256 << 10);
	(void)buf_room(&body, (size_t)200 << 10);    /* at once: growing would leave copies of the secret */
	add_field(&body, "grant_type", SPAN_LIT("client_credentials"));
	add_field(&body, "client_id", span_of(conf_mailbox_user(e->ep->env.mailbox)));
	add_field(&body, "client_secret", span_bytes(secret_reveal(secret), secret_len(secret)));
	add_field(&body, "scope", span_of(conf->scope));
	r.body = buf_span(&body);
	if (rc == E_OK)
		rc = http_run(http, arena, &r, 1, err);
	if (r.status == 200 || r.status == 400 || r.status == 401)
		rc = ews_token_read(r.answer, r.status == 200, token_r, seconds_r, err);
	else if (rc == E_OK)
		rc = r.code != E_OK ? err_set(err, r.code, "%s", r.text) :
		     err_set(err, E_SERVER, "the token endpoint answers with status %u", r.status);
	if (r.answer.n > 0)
		secret_wipe((char *)(uintptr_t)r.answer.p, r.answer.n);
	secret_wipe(body.p, body.cap);
	buf_free(&body);
	arena_free(&arena);
	return rc;
}

enum code ews_token_get(void *ctx, struct secret **token_r, int64_t *renew_ms_r, struct err *err)
{
	struct ews *e = ctx;
	const struct conf_endpoint *conf = e->ep->env.conf;
	struct http_conf hc = { .endpoint = conf->name, .type = "token", .ca_pem = e->ep->env.ca_pem,
				.proxy = conf->http_proxy, .in_flight = 1 };
	struct secret *secret = NULL;
	struct http *http = NULL;
	uint32_t seconds = 0;
	enum code rc = e->ep->env.secret(e->ep->env.ctx, "password", &secret, err);

	if (rc == E_OK && secret == NULL)
		rc = err_set(err, E_CREDENTIALS_MISSING, "endpoint %s has no secret for its token", conf->name);
	if (rc == E_OK)
		rc = http_new(&hc, &http, err);
	if (rc == E_OK)
		rc = ask(e, http, secret, token_r, &seconds, err);
	http_free(&http);
	secret_free(&secret);
	/* before it ends: a request under way takes its time */
	*renew_ms_r = clock_mono_ms() + (int64_t)seconds * 800;
	return rc;
}
