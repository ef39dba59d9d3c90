/* ews_group.c - groups of contacts: distribution lists there. A member is an address, or a contact or list of the
 * mailbox by its UID, which is an id there (ews_members.c). Whom the server does not know as one of these makes the
 * group refused: nobody is left out of a list.
 */
#include "ews_map.h"

#include "../data/text.h"

#define URN "urn:uuid:"
#define MEMBERS_MAX ((size_t)32 << 20)

/* --- UIDs and members --- */

struct span ews_member_bare(struct span uid)
{
	return span_starts_nocase(uid, URN) ? span_cut(uid, strlen(URN), uid.n) : uid;
}

struct span ews_member_address(struct span uri)
{
	return span_starts_nocase(uri, "mailto:") && span_find(uri, 0, '@') != SIZE_MAX ? span_cut(uri, 7, uri.n)
											  : SPAN_NONE;
}

const struct ews_member *ews_member_of(const struct ews_members *all, struct span uid)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->m[i].uid.n > 0 && span_eq(ews_member_bare(all->m[i].uid), ews_member_bare(uid)))
			return &all->m[i];
	return NULL;
}

void ews_member_add(struct arena *arena, struct ews_members *all, struct ews_member m)
{
	all->m = arena_grow(arena, all->m, all->n, sizeof(m), &all->cap);
	all->m[all->n++] = m;
}

void ews_members_add(struct arena *arena, struct ews_members *all, const struct ews_members *more)
{
	for (size_t i = 0; i < more->n; i++)
		ews_member_add(arena, all, more->m[i]);
}

/* --- from fields --- */

void ews_group_note(struct arena *arena, const struct ews_object *o, struct ews_members *all)
{
	size_t at = 0;

	while (ews_next(o, "Members/Member", &at) != NULL)
		ews_member_add(arena, all, (struct ews_member){
			.item = arena_span(arena, ews_below(o, at - 1, "Mailbox/ItemId@Id")),
			.address = arena_span(arena, ews_below(o, at - 1, "Mailbox/EmailAddress")),
			.name = arena_span(arena, ews_below(o, at - 1, "Mailbox/Name")),
			.list = span_eq_str(ews_below(o, at - 1, "Mailbox/MailboxType"), "PrivateDL"),
		});
}

enum code ews_group_lines(struct arena *arena, const struct ews_members *all, struct buf *text, struct err *err)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct ews_member *m = &all->m[i];

		if (m->uid.n > 0)
			buf_printf(text, "MEMBER:" URN SPAN_FMT "\r\n",
				   SPAN_ARG(text_uri(arena, text_clean(arena, ews_member_bare(m->uid)))));
		else if (span_find(m->address, 0, '@') != SIZE_MAX)
			buf_printf(text, "MEMBER:mailto:" SPAN_FMT "\r\n",
				   SPAN_ARG(text_uri(arena, text_clean(arena, m->address))));
		else
			return err_set(err, E_ITEM_REFUSED, "the list has a member without an e-mail address: "
				       SPAN_FMT, SPAN_ARG(span_cut(m->name, 0, 100)));
	}
	return E_OK;
}

static enum code group_text(struct arena *arena, const struct ews_object *o, const struct ews_start *master,
			    struct ews_start *start_r, struct buf *text, struct err *err)
{
	(void)master;
	(void)start_r;
	(void)err;
	ews_line(text, arena, "FN", "", ews_full_name(o));
	buf_add_str(text, "KIND:group\r\n");
	ews_common_text(arena, o, "NOTE", text);
	return E_OK;
}

/* --- to fields --- */

static struct span name_of(const struct ews_members *all, struct span address)
{
	for (size_t i = 0; all != NULL && i < all->n; i++)
		if (all->m[i].item.n == 0 && all->m[i].name.n > 0 && span_eq_nocase(all->m[i].address, address))
			return all->m[i].name;
	return address;
}

static void print_address(struct buf *b, struct span name, struct span address)
{
	buf_add_str(b, "<t:Member><t:Mailbox>");
	ews_el(b, "Name", name);
	ews_el(b, "EmailAddress", address);
	buf_add_str(b, "<t:RoutingType>SMTP</t:RoutingType><t:MailboxType>OneOff</t:MailboxType></t:Mailbox>"
		    "</t:Member>");
}

static enum code print_member(const struct ews_values *vs, struct span uri, struct buf *b, struct err *err)
{
	struct span address = ews_member_address(uri);
	const struct ews_member *m = vs->members != NULL ? ews_member_of(vs->members, uri) : NULL;

	if (address.n > 0) {
		print_address(b, name_of(vs->members, address), address);
		return E_OK;
	}
	if (m == NULL || m->item.n == 0 || (!m->list && m->address.n == 0))
		return err_set(err, E_ITEM_REFUSED, "Exchange has no groups with a member that is neither an address "
			       "nor, here, a contact with one: " SPAN_FMT, SPAN_ARG(span_cut(uri, 0, 100)));
	buf_add_str(b, "<t:Member><t:Mailbox>");
	if (!m->list)
		ews_el(b, "EmailAddress", m->address);
	buf_printf(b, "<t:MailboxType>%s</t:MailboxType>", m->list ? "PrivateDL" : "Contact");
	ews_id(b, "ItemId", m->item, SPAN_NONE);
	buf_add_str(b, "</t:Mailbox></t:Member>");
	return E_OK;
}

static enum code group_values(const struct record *r, const char *comp, struct ews_values *vs, struct err *err)
{
	struct content_line line;
	enum code rc = E_OK;
	struct buf b;
	size_t at = 0;

	ews_set(vs, "contacts:DisplayName", "DisplayName", ews_record_text(vs->arena, r, comp, "FN"));
	ews_set(vs, "contacts:FileAs", "FileAs", ews_record_text(vs->arena, r, comp, "FN"));
	ews_common_values(r, comp, "NOTE", vs);
	buf_init(&b, MEMBERS_MAX);
	while (rc == E_OK && ews_next_line(vs->arena, r, comp, "MEMBER", &at, &line))
		rc = print_member(vs, line.value, &b, err);
	if (rc == E_OK && b.overflow)
		rc = err_set(err, E_ITEM_TOO_BIG, "the group has too many members");
	if (rc == E_OK && b.n > 0)
		ews_set_xml(vs, "distributionlist:Members", "Members", NULL, arena_span(vs->arena, buf_span(&b)));
	buf_free(&b);
	return rc;
}

static const struct ews_prop *const props[] = { NULL };

const struct ews_mapper ews_group_mapper = {
	.element = "DistributionList",
	.order = EWS_ITEM_ORDER "DisplayName FileAs Members",
	.fields = "item:Subject item:Sensitivity item:Body item:Categories item:LastModifiedTime contacts:FileAs "
		"contacts:DisplayName distributionlist:Members",
	.props = props,
	.to_text = group_text,
	.to_values = group_values,
};
