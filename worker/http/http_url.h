/* http_url.h - URLs as far as a client needs them: http and https, split, compared, resolved.
 *
 * What holds a control character, a blank, a user name or a password is no URL here. Nothing is
 * percent-decoded. Pure.
 */
#ifndef MS_HTTP_URL_H
#define MS_HTTP_URL_H

#include "../../common/arena.h"

struct http_url {
	bool tls;                    /* https */
	struct span host;            /* without the brackets of an IPv6 address */
	uint16_t port;               /* 443 and 80 where the URL has none */
	struct span origin;          /* "https://host:1234", as it stands in the URL */
	struct span path;            /* with the query; empty or begins with '/' or '?' */
};

/* Points into `url`, which may not have a fragment. False: it is no such URL. */
bool http_url_split(struct span url, struct http_url *url_r);
/* Same scheme, host (without case) and port. */
bool http_url_same_origin(const struct http_url *a, const struct http_url *b);
/* A reference as it stands in an href or Location, resolved against the URL it came from (RFC 3986 5.2), with
 * dot segments and fragment removed. NULL: not http or https, or malformed. */
char *http_url_resolve(struct arena *arena, struct span base, struct span reference);

#endif
