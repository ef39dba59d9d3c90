/* ews_error.h - what the server's ResponseCodes mean to the engine. Pure. */
#ifndef MS_EWS_ERROR_H
#define MS_EWS_ERROR_H

#include "../../common/err.h"
#include "../../common/span.h"

/* "NoError": E_OK; unknown ones: E_ITEM_REFUSED. */
enum code ews_error_code(struct span response_code);
/* What a person can do about it: static text, or NULL where the code's own remedy says it. */
const char *ews_error_advice(struct span response_code);
/* The rest of a batch was given up after a hard failure: ask it again. */
bool ews_error_stopped(struct span response_code);
/* It concerns the whole side: the call ends with it. */
bool ews_error_is_side(enum code rc);
/* Another RequestServerVersion may do. */
bool ews_error_version(struct span response_code);

#endif
