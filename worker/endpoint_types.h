/* endpoint_types.h - one line per protocol: its table, defined in its folder. */
#ifndef MS_ENDPOINT_TYPES_H
#define MS_ENDPOINT_TYPES_H

#include "endpoint.h"

extern const struct ep_ops ep_local;
extern const struct ep_ops ep_imap;
extern const struct ep_ops ep_dav;
extern const struct ep_ops ep_ews;

#ifdef MS_TESTING
void ep_register_test(const struct ep_ops *ops);   /* one more type, for tests */
#endif

#endif
