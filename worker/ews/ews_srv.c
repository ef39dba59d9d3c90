/* ews_srv.c - looks up and reads SRV records; nobody is asked anything because of one: see ews_discover.c.
 * Its tests: tests/unit/t_ews_discover.c, tests/fuzz/fuzz_ews_srv.c.
 */
#include "ews_srv.h"

#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>

#define FIXED 6                      /* priority, weight, port: two bytes each */

static bool is_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < 254 && name[0] != '-' && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == n;
}

const char *ews_srv_read(struct arena *arena, struct span answer)
{
	const char *best = NULL;
	unsigned int best_priority = 0, best_weight = 0;
	ns_msg msg;
	ns_rr rr;

	if (answer.n > NS_MAXMSG || ns_initparse((const unsigned char *)answer.p, (int)answer.n, &msg) != 0)
		return NULL;
	for (int i = 0; i < ns_msg_count(msg, ns_s_an); i++) {
		char name[NS_MAXDNAME];

		if (ns_parserr(&msg, ns_s_an, i, &rr) != 0)
			return best;
		if (ns_rr_type(rr) != ns_t_srv || ns_rr_rdlen(rr) <= FIXED)
			continue;
		const unsigned char *p = ns_rr_rdata(rr);
		unsigned int priority = ns_get16(p), weight = ns_get16(p + 2), port = ns_get16(p + 4);

		if (dn_expand(ns_msg_base(msg), ns_msg_end(msg), p + FIXED, name, sizeof(name)) < 0 || !is_name(name) ||
		    port == 0 || (best != NULL && (priority > best_priority ||
						   (priority == best_priority && weight <= best_weight))))
			continue;
		best = arena_printf(arena, "%s:%u", name, port);
		best_priority = priority;
		best_weight = weight;
	}
	return best;
}

const char *ews_srv_find(struct arena *arena, const char *domain)
{
	unsigned char *answer = arena_raw(arena, NS_MAXMSG);
	char name[NS_MAXDNAME];

	if (snprintf(name, sizeof(name), "_autodiscover._tcp.%s", domain) >= (int)sizeof(name))
		return NULL;
	int n = res_query(name, ns_c_in, ns_t_srv, answer, NS_MAXMSG);
	return n > 0 ? ews_srv_read(arena, span_bytes(answer, n < NS_MAXMSG ? (size_t)n : NS_MAXMSG)) : NULL;
}
