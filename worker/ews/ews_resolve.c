/* ews_resolve.c - the addresses of an organisation by ResolveNames, where there is no directory to ask.
 *
 * It answers what begins with a text, a hundred at the most, and says when there is more: then each longer beginning is
 * asked for. Asked one after the other, since each costs the server a search in its directory. As the service account
 * itself: no right on any mailbox is needed. Contacts and lists that it tells of as well are no mailboxes.
 * Its test: tests/e2e/test_directory.py, against tests/sim/ews.
 */
#include "ews_directory.h"

#include "../fiber.h"
#include "../../common/clock.h"

#include <stdlib.h>

#define CALLS_MAX 10000
#define PREFIX_MAX 64
#define WAITS_MAX 5
#define WAIT_MAX_MS 120000U
#define CALL_MEMORY ((size_t)64 << 20)
/* What an address may consist of (RFC 5321), the frequent ones last: they are asked for first. */
static const char letters[] = "~}|{`^?=/*%$#!&'+@_-.9876543210zyxwvutsrqponmlkjihgfedcba";

struct found {
	struct span address, name;
	struct span aliases[3];
	size_t n_aliases;
};

struct resolve {
	struct ews *e;
	struct arena *life, *arena;      /* of all of it; of one call */
	char **prefixes;                 /* still to be asked for */
	size_t n_prefixes, prefixes_cap;
	struct found *found;
	size_t n, cap;
	unsigned int calls, waits;
	bool lacking;
	/* of one call */
	bool more;
	enum code code;
	struct err err;
};

static void push(struct resolve *r, const char *prefix)
{
	if (strlen(prefix) > PREFIX_MAX) {
		r->lacking = true;
		return;
	}
	r->prefixes = arena_grow(r->life, r->prefixes, r->n_prefixes, sizeof(*r->prefixes), &r->prefixes_cap);
	r->prefixes[r->n_prefixes++] = arena_str(r->life, span_of(prefix));
}

static void push_longer(struct resolve *r, const char *prefix)
{
	for (size_t i = 0; i < sizeof(letters) - 1; i++)
		push(r, arena_printf(r->arena, "%s%c", prefix, letters[i]));
}

/* --- one answer --- */

static void add_aliases(struct resolve *r, const struct ews_object *o, struct found *f)
{
	const struct ews_entry *entry;
	size_t at = 0;

	while (f->n_aliases < ARRAY_LEN(f->aliases) &&
	       (entry = ews_next(o, "Contact/EmailAddresses/Entry", &at)) != NULL) {
		struct span smtp = ews_directory_smtp(entry->text);
		struct span address = smtp.n > 0 ? smtp : entry->text;

		if (span_find(address, 0, '@') != SIZE_MAX && !span_eq_nocase(address, f->address))
			f->aliases[f->n_aliases++] = arena_span(r->life, address);
	}
}

static enum code on_object(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct resolve *r = ctx;
	struct span address = ews_text(o, "Mailbox/EmailAddress"), routing = ews_text(o, "Mailbox/RoutingType");

	(void)message;
	(void)err;
	if (!span_eq_str(ews_text(o, "Mailbox/MailboxType"), "Mailbox") || span_find(address, 0, '@') == SIZE_MAX ||
	    (routing.n > 0 && !span_eq_nocase_str(routing, "SMTP")))
		return E_OK;
	r->found = arena_grow(r->life, r->found, r->n, sizeof(*r->found), &r->cap);
	struct found *f = &r->found[r->n++];
	*f = (struct found){ .address = arena_span(r->life, address),
			     .name = arena_span(r->life, ews_text(o, "Mailbox/Name")) };
	add_aliases(r, o, f);
	return E_OK;
}

static enum code on_message(void *ctx, size_t message, const struct ews_object *m, struct err *err)
{
	struct resolve *r = ctx;

	(void)message;
	(void)err;
	r->more = span_eq_str(ews_text(m, "ResolutionSet@IncludesLastItemInRange"), "false");
	r->code = span_eq_str(ews_text(m, "ResponseCode"), "ErrorNameResolutionNoResults") ? E_OK :
		  ews_outcome(m, "asking for names", &r->err);
	return E_OK;
}

static enum code ask(struct resolve *r, const char *prefix, struct err *err)
{
	static const struct ews_handler handler = { on_object, on_message, NULL };
	struct ews_call c;
	enum code rc;

	for (;;) {
		r->more = false;
		r->code = E_PROTOCOL;
		err_set(&r->err, E_PROTOCOL, "asking for names: the server gave no answer");
		ews_call_init(r->e, &c, &handler, r);
		buf_add_str(&c.body, "<m:ResolveNames ReturnFullContactData=\"true\" SearchScope=\"ActiveDirectory\">"
			    "<m:UnresolvedEntry>smtp:");
		ews_xml(&c.body, span_of(prefix));
		buf_add_str(&c.body, "</m:UnresolvedEntry></m:ResolveNames>");
		rc = ews_run_one(r->e, r->arena, &c, err);
		bool older = rc != E_OK && ews_error_version(c.fault) && r->e->version < 2;
		ews_call_free(&c);
		if (!older)
			break;
		r->e->version++;
	}
	r->calls++;
	if (rc != E_OK || r->code == E_OK)
		return rc;
	*err = r->err;
	return r->code;
}

/* The server asked to slow down: for long, or too often, is for the caller to know. */
static enum code sit_out(struct resolve *r, struct err *err)
{
	uint32_t wait_ms = err->wait_ms;

	if (++r->waits > WAITS_MAX || wait_ms > WAIT_MAX_MS)
		return E_THROTTLED;
	enum code rc = fiber_wait(-1, 0, clock_mono_ms() + wait_ms, err);
	return rc == E_TIMEOUT ? E_OK : rc;
}

static enum code ask_all(struct resolve *r, struct err *err)
{
	enum code rc = E_OK;

	push_longer(r, "");
	while (rc == E_OK && r->n_prefixes > 0 && r->calls < CALLS_MAX) {
		char *prefix = r->prefixes[--r->n_prefixes];

		arena_reset(r->arena);
		rc = ask(r, prefix, err);
		if (rc == E_OK && r->more)
			push_longer(r, prefix);
		if (rc == E_OK)
			r->waits = 0;
		if (rc != E_THROTTLED)
			continue;
		rc = sit_out(r, err);
		push(r, prefix);
	}
	r->lacking |= r->n_prefixes > 0;
	return rc;
}

/* --- all of them, once --- */

static int by_address(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	size_t n = x->address.n < y->address.n ? x->address.n : y->address.n;
	int c = strncasecmp(x->address.p, y->address.p, n);

	return c != 0 ? c : (x->address.n > y->address.n) - (x->address.n < y->address.n);
}

static enum code tell(struct resolve *r, struct ep_directory *d, struct err *err)
{
	enum code rc = E_OK;

	if (r->n > 0)
		qsort(r->found, r->n, sizeof(*r->found), by_address);
	for (size_t i = 0; rc == E_OK && i < r->n; i++) {
		struct found *f = &r->found[i];
		struct ep_address a = { .address = f->address, .name = f->name, .type = "mailbox",
					.aliases = f->aliases, .n_aliases = f->n_aliases };

		if (i == 0 || by_address(&r->found[i - 1], f) != 0)
			rc = d->one(d->ctx, &a, err);
	}
	return rc;
}

enum code ews_resolve_all(struct endpoint *ep, struct arena *arena, struct ep_directory *d, struct err *err)
{
	struct ews *e = ep->impl;
	struct resolve r = { .e = e, .life = arena, .arena = arena_new(CALL_MEMORY), .err = ERR_INIT };
	enum code rc = ews_begin(e, err);

	e->impersonate = e->delegate = false;
	d->source = "ResolveNames";
	if (rc == E_OK)
		rc = ask_all(&r, err);
	if (rc == E_OK)
		rc = tell(&r, d, err);
	if (r.lacking)
		d->lacking = "there are more addresses than a search by their beginnings finds; add a <Directory>";
	arena_free(&r.arena);
	return rc;
}
