/* http_resolve.c - which origins a client may ask, with their addresses: libcurl gets them ready.
 *
 * getaddrinfo() waits by itself, as long as resolv.conf says; an address needs no resolver.
 */
#include "http_p.h"

#include "../../common/mem.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

#define ADDRESSES_MAX 8

static bool is_loopback(const struct sockaddr *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		return (ntohl(in.sin_addr.s_addr) >> 24) == 127;
	}
	if (sa->sa_family != AF_INET6)
		return false;
	memcpy(&in6, sa, sizeof(in6));
	return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

static enum code look_up(const char *host, struct addrinfo **list_r, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	int rc = getaddrinfo(host, NULL, &hints, list_r);

	if (rc == EAI_NONAME) {
		hints.ai_flags = AI_ADDRCONFIG;
		rc = getaddrinfo(host, NULL, &hints, list_r);
	}
	if (rc == EAI_SYSTEM)
		return err_errno(err, E_NET, "the name %s could not be resolved", host);
	if (rc != 0)
		return err_set(err, E_NET, "the name %s could not be resolved: %s", host, gai_strerror(rc));
	return E_OK;
}

/* "host:port:address,address"; false: a plain http origin whose addresses are not all of the loopback */
static bool write_addresses(const struct http_url *u, const struct addrinfo *list, bool proxy, struct buf *out)
{
	size_t n = 0;

	buf_printf(out, SPAN_FMT ":%u:", SPAN_ARG(u->host), (unsigned int)u->port);
	for (const struct addrinfo *ai = list; ai != NULL && n < ADDRESSES_MAX; ai = ai->ai_next) {
		char text[NI_MAXHOST];

		if (!u->tls && !proxy && !is_loopback(ai->ai_addr))
			return false;
		if (getnameinfo(ai->ai_addr, ai->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		buf_printf(out, ai->ai_family == AF_INET6 ? "%s[%s]" : "%s%s", n > 0 ? "," : "", text);
		n++;
	}
	return n > 0;
}

enum code http_resolve(struct http *h, const struct http_url *u, struct span real, struct err *err)
{
	struct addrinfo *list = NULL;
	struct curl_slist *more;
	/* what goes to a proxy is a CONNECT and TLS */
	bool proxy = h->proxy != NULL && u->origin.p == h->proxy;
	struct buf text;
	char host[256];

	snprintf(host, sizeof(host), SPAN_FMT, SPAN_ARG(real));
	enum code rc = look_up(host, &list, err);
	if (rc != E_OK)
		return rc;
	buf_init(&text, 4096);
	if (!write_addresses(u, list, proxy, &text))
		rc = err_set(err, E_CONF, "endpoint %s: http:// is for loopback addresses only; use https://%s",
			     h->endpoint, host);
	else if (text.overflow)
		rc = err_set(err, E_NET, "%s has too many addresses", host);
	freeaddrinfo(list);
	/* an address is its own entry; libcurl wants none for it */
	if (rc == E_OK && span_find(u->host, 0, ':') == SIZE_MAX) {
		more = http_curl.slist_append(h->addresses, buf_str(&text));
		if (more != NULL)
			h->addresses = more;
		else
			rc = err_set(err, E_INTERNAL, "libcurl has no memory");
	}
	buf_free(&text);
	return rc;
}

enum code http_allow_at(struct http *h, struct span url, struct span real, struct err *err)
{
	enum code rc = E_OK;
	struct http_url u;

	if (!http_url_split(url, &u))
		return err_set(err, E_CONF, "endpoint %s: \"" SPAN_FMT "\" is not an http or https URL", h->endpoint,
			       SPAN_ARG(url));
	if (http_origin_of(h, url) != NULL)
		return E_OK;
	if (h->n_origins == HTTP_ORIGINS_MAX)
		return err_set(err, E_PROTOCOL, "endpoint %s: the server sends us to too many places", h->endpoint);
	if (h->proxy == NULL)                /* else it resolves the name */
		rc = http_resolve(h, &u, real.n > 0 ? real : u.host, err);
	if (rc != E_OK)
		return rc;
	struct http_origin *o = &h->origins[h->n_origins++];
	o->origin = mem_strndup(u.origin.p, u.origin.n);
	if (!http_url_split(span_of(o->origin), &o->url))
		return err_set(err, E_INTERNAL, "an origin that is no URL");
	return E_OK;
}

enum code http_allow(struct http *h, struct span url, struct err *err)
{
	return http_allow_at(h, url, SPAN_NONE, err);
}
