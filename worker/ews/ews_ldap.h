/* ews_ldap.h - an LDAP directory, logged on to and searched page by page; the only door to libldap.
 *
 * libldap speaks LDAP; connection, deadlines and TLS are those of net/conn.h, so the certificate is always verified,
 * and no byte of a password travels before that. Referrals are not followed: they would take the password to where
 * nobody sent it. Neither ldap.conf nor the environment says anything here.
 */
#ifndef MS_EWS_LDAP_H
#define MS_EWS_LDAP_H

#include "../../common/conf.h"
#include "../../common/secret.h"
#include "../../common/span.h"

#define EWS_LDAP_ATTRS_MAX 16

/* Load libldap; further calls do nothing. In a worker before the jail closes, and before there are threads. */
enum code ews_ldap_load(struct err *err) MS_MUST_USE;

struct ews_ldap_conf {
	const char *endpoint;            /* for errors */
	struct conf_directory at;
	const char *ca_pem;              /* NULL: the system's store */
	const char *user;                /* a DN, user@domain or DOMAIN\user */
	const struct secret *secret;     /* never empty: an empty one would be no logon at all */
};

struct ews_ldap;

/* Connected by verified TLS and logged on. E_LOGON_FAILED: refused. The strings stay the caller's, and live as long. */
enum code ews_ldap_open(const struct ews_ldap_conf *conf, struct ews_ldap **ldap_r, struct err *err) MS_MUST_USE;
void ews_ldap_close(struct ews_ldap **ldap);         /* NULL inside is fine */

struct ews_ldap_values {
	struct span *v;
	size_t n;
};

struct ews_ldap_search {
	const char *base;                /* a DN; "": the directory itself, or a global catalog's whole forest */
	bool deep;                       /* all below it in pages; else this one entry */
	const char *filter;
	const char *const *attrs;        /* NULL at the end, at most EWS_LDAP_ATTRS_MAX */
	void *ctx;
	/* Values by the index of their attribute; they live as long as the call. */
	enum code (*entry)(void *ctx, const struct ews_ldap_values *values, struct err *err);
};
/* E_OK only if the directory said that this was all. After a failure the session is of no use. */
enum code ews_ldap_find(struct ews_ldap *ldap, const struct ews_ldap_search *search, struct err *err) MS_MUST_USE;

#endif
