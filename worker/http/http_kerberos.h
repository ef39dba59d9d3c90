/* http_kerberos.h - Kerberos for Negotiate: a ticket out of a name and a password; the only door to libkrb5.
 *
 * The ticket lies in this process's memory, where libgssapi, which libcurl uses, finds it as the default. There is one
 * place for it: two clients that live at the same time must log on with the same name.
 */
#ifndef MS_HTTP_KERBEROS_H
#define MS_HTTP_KERBEROS_H

#include "../../common/err.h"
#include "../../common/secret.h"

/* Finds libkrb5, which comes with libcurl; that it is not there is told by whoever needs it. Before the jail closes. */
void http_kerberos_load(void);
/* A ticket for `user` (name@REALM; a realm is written in capitals, whatever the case here) unless a good one is there.
 * It asks the realm's servers (krb5.conf, or DNS), as long as libkrb5 waits for them. E_LOGON_FAILED: refused; E_NET:
 * no server answers; E_UNSUPPORTED: somebody else's ticket is in use. */
enum code http_kerberos_take(const char *user, const struct secret *password, struct err *err) MS_MUST_USE;
/* The same for one that is taken already: it may have come near its end. */
enum code http_kerberos_refresh(const char *user, const struct secret *password, struct err *err) MS_MUST_USE;
void http_kerberos_give(void);       /* one client less */

#endif
