/* ews_srv.h - the DNS record by which a domain names its Autodiscover: _autodiscover._tcp.DOMAIN (RFC 2782). */
#ifndef MS_EWS_SRV_H
#define MS_EWS_SRV_H

#include "../../common/arena.h"
#include "../../common/err.h"

/* Of a DNS answer the best record as "host:port" in the arena; NULL: it has none that is a name. Pure. */
const char *ews_srv_read(struct arena *arena, struct span answer);
/* Asks; NULL: the domain names nobody, or no answer came. It waits as resolv.conf says. */
const char *ews_srv_find(struct arena *arena, const char *domain);

#endif
