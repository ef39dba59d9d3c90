/* http_kerberos.c - the ticket that Negotiate needs.
 * Its test: tests/e2e/test_exchange_logons.py, with a KDC of its own.
 */
#include "http_kerberos.h"

#include "../../common/mem.h"

#include <ctype.h>
#include <dlfcn.h>
#include <krb5.h>
#include <stdlib.h>
#include <time.h>

#define PLACE "MEMORY:mailshadow"
#define RENEW_S 300                  /* before its end */

#define FUNCTION_LIST(X) \
	X(krb5_init_context) X(krb5_free_context) X(krb5_parse_name) X(krb5_free_principal) \
	X(krb5_get_init_creds_password) X(krb5_free_cred_contents) X(krb5_cc_resolve) X(krb5_cc_initialize) \
	X(krb5_cc_store_cred) X(krb5_cc_close) X(krb5_get_error_message) X(krb5_free_error_message)
static struct {
#define X(name) __typeof__(name) *name;
	FUNCTION_LIST(X)
#undef X
} lib;

static bool loaded;
static char *holder;                 /* whose ticket it is; NULL: nobody's */
static unsigned int clients;
static time_t until;

void http_kerberos_load(void)
{
	static const char *const names[] = {
#define X(name) #name,
		FUNCTION_LIST(X)
#undef X
	};
	void *library = dlopen("libkrb5.so.3", RTLD_NOW | RTLD_LOCAL), *found[ARRAY_LEN(names)];

	for (size_t i = 0; library != NULL && i < ARRAY_LEN(names); i++) {
		found[i] = dlsym(library, names[i]);
		if (found[i] == NULL)
			return;
	}
	if (library == NULL || setenv("KRB5CCNAME", PLACE, 1) != 0)
		return;
	_Static_assert(sizeof(found) == sizeof(lib), "one pointer per function");
	memcpy(&lib, found, sizeof(found));
	loaded = true;
}

static enum code code_of(krb5_error_code rc)
{
	switch (rc) {
	case KRB5KDC_ERR_PREAUTH_FAILED:
	case KRB5KRB_AP_ERR_BAD_INTEGRITY:
	case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
	case KRB5KDC_ERR_CLIENT_REVOKED:
	case KRB5KDC_ERR_KEY_EXP:
	case KRB5KDC_ERR_NAME_EXP:
	case KRB5KDC_ERR_POLICY:
	case KRB5_PARSE_MALFORMED:
		return E_LOGON_FAILED;
	case KRB5_KDC_UNREACH:
	case KRB5_REALM_CANT_RESOLVE:
		return E_NET;
	case KRB5_REALM_UNKNOWN:
	case KRB5_CONFIG_CANTOPEN:
	case KRB5_CONFIG_BADFORMAT:
	case KRB5_CONFIG_NODEFREALM:
		return E_CONF;
	default:
		return E_SERVER;
	}
}

static krb5_error_code store(krb5_context ctx, krb5_principal who, krb5_creds *creds)
{
	krb5_ccache place = NULL;
	krb5_error_code rc = lib.krb5_cc_resolve(ctx, PLACE, &place);

	if (rc == 0)
		rc = lib.krb5_cc_initialize(ctx, place, who);
	if (rc == 0)
		rc = lib.krb5_cc_store_cred(ctx, place, creds);
	if (place != NULL)
		lib.krb5_cc_close(ctx, place);
	return rc;
}

/* name@realm with the realm in capitals; mem_free() */
static char *principal_of(const char *user)
{
	char *text = mem_strdup(user), *at = strrchr(text, '@');

	for (; at != NULL && *at != '\0'; at++)
		*at = (char)toupper((unsigned char)*at);
	return text;
}

static enum code log_on(const char *user, const struct secret *password, struct err *err)
{
	char *name = principal_of(user);
	krb5_context ctx = NULL;
	krb5_principal who = NULL;
	krb5_creds creds = { 0 };
	enum code code = E_OK;
	krb5_error_code rc = lib.krb5_init_context(&ctx);

	if (rc == 0)
		rc = lib.krb5_parse_name(ctx, name, &who);
	if (rc == 0)
		rc = lib.krb5_get_init_creds_password(ctx, &creds, who, secret_reveal(password), NULL, NULL, 0,
						      NULL, NULL);
	if (rc == 0)
		rc = store(ctx, who, &creds);
	until = rc == 0 ? (time_t)(uint32_t)creds.times.endtime : 0;
	if (rc != 0) {
		const char *why = lib.krb5_get_error_message(ctx, rc);

		code = err_set(err, code_of(rc), "Kerberos, for %.100s: %.200s", name, why != NULL ? why : "it failed");
		lib.krb5_free_error_message(ctx, why);
	}
	if (ctx != NULL) {
		lib.krb5_free_cred_contents(ctx, &creds);
		lib.krb5_free_principal(ctx, who);
		lib.krb5_free_context(ctx);
	}
	mem_free(name);
	return code;
}

enum code http_kerberos_refresh(const char *user, const struct secret *password, struct err *err)
{
	return time(NULL) + RENEW_S < until ? E_OK : log_on(user, password, err);
}

enum code http_kerberos_take(const char *user, const struct secret *password, struct err *err)
{
	bool same = holder != NULL && strcmp(holder, user) == 0;

	if (!loaded)
		return err_set(err, E_UNSUPPORTED, "Auth negotiate needs libkrb5, which cannot be loaded; "
			       "install libkrb5-3");
	if (strchr(user, '\\') != NULL)
		return err_set(err, E_CONF, "Auth negotiate needs a LoginName like name@REALM, not %.100s", user);
	if (clients > 0 && !same)
		return err_set(err, E_UNSUPPORTED, "both sides of this pairing log on by Kerberos, as %.100s and as "
			       "%.100s; one name for both, or another Auth for one of them, is possible", holder, user);
	if (!same)
		until = 0;
	/* a password that was changed is tried, not the ticket of before */
	enum code rc = clients > 0 ? http_kerberos_refresh(user, password, err) : log_on(user, password, err);
	if (rc != E_OK)
		return rc;
	if (!same) {
		mem_free(holder);
		holder = mem_strdup(user);
	}
	clients++;
	return E_OK;
}

void http_kerberos_give(void)
{
	assert(clients > 0);
	clients--;
}
