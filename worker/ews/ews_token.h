/* ews_token.h - tokens of OAuth (client credentials, RFC 6749 4.4) for the web service. */
#ifndef MS_EWS_TOKEN_H
#define MS_EWS_TOKEN_H

#include "../../common/err.h"
#include "../../common/secret.h"
#include "../../common/span.h"

#define EWS_TOKEN_MAX ((size_t)16 << 10)

/* A new token from the endpoint's TokenURL; has the type of http_conf.token, ctx is the struct ews.
 * E_LOGON_FAILED: it refuses the client. *renew_ms_r: clock_mono_ms() from when on another one is to be asked for. */
enum code ews_token_get(void *ctx, struct secret **token_r, int64_t *renew_ms_r, struct err *err) MS_MUST_USE;

/* What a token endpoint answered (good: with 200). E_PROTOCOL: it is no such answer; E_LOGON_FAILED: a refusal, with
 * its reason. Pure. */
enum code ews_token_read(struct span answer, bool good, struct secret **token_r, uint32_t *seconds_r,
			 struct err *err) MS_MUST_USE;

#endif
