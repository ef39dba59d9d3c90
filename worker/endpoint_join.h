/* endpoint_join.h - one endpoint out of two parts: one that holds mail, and one that holds records. */
#ifndef MS_ENDPOINT_JOIN_H
#define MS_ENDPOINT_JOIN_H

#include "endpoint.h"

/* The table for an endpoint as it is configured and used: that of `mail`, that of `records`, or that of
 * both joined. has_*: the configuration has that part; env->kinds leaves out what the pairing does not carry. */
const struct ep_ops *ep_join_choose(const struct ep_env *env, bool has_mail, bool has_records);

#ifdef MS_TESTING
void ep_join_set_parts(const struct ep_ops *mail, const struct ep_ops *records);   /* NULL: the real ones */
#endif

#endif
