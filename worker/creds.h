/* creds.h - secrets, one at a time, from the supervisor, only while this worker holds the lease. */
#ifndef MS_CREDS_H
#define MS_CREDS_H

#include "../common/secret.h"

/* Ask for the secret of one side of the leased pairing and wait for it (at most 10 s). *secret_r is
 * the caller's, NULL if none is needed. E_CREDENTIALS_MISSING, E_CONF ... as the supervisor says. */
enum code creds_get(uint64_t generation, enum side side, const char *purpose, struct secret **secret_r,
		    struct err *err) MS_MUST_USE;
/* The supervisor closed its end: it is dead, and so must we be. */
bool creds_abandoned(void);

#endif
