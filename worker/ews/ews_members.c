/* ews_members.c - members of groups that are items of the mailbox: their UIDs by their ids, and their ids by UIDs.
 *
 * A group is written behind the contacts that come with it, so that they are found. Looked for is in its own folder and
 * among the mailbox's contacts.
 */
#include "ews_step.h"

#include "../../common/mem.h"

#define UIDS 20                          /* of one request */
#define URN "urn:uuid:"

/* --- reading: who the members are --- */

static void begin_get(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>");
	ews_prop_uri(b, &ews_uid);
	ews_prop_uri(b, &ews_search_key);
	buf_add_str(b, "</t:AdditionalProperties></m:ItemShape><m:ItemIds>");
}

static enum code one_get(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	(void)ctx;
	(void)err;
	ews_id(b, "ItemId", ((struct ews_member *)el->what)->item, SPAN_NONE);
	return E_OK;
}

static void end_get(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemIds></m:GetItem>");
}

static enum code on_got(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct ews_member *m = el->what;

	(void)err;
	m->uid = ews_uid_of(ctx, m->item, o);
	return E_OK;
}

enum code ews_groups_read(struct ews *e, struct arena *arena, struct ews_rec *r, size_t n, struct err *err)
{
	struct ews_batch b = {
		.e = e, .arena = arena, .what = "reading a member of a list", .items = EWS_BATCH, .bytes = SIZE_MAX,
		.ctx = arena, .begin = begin_get, .one = one_get, .end = end_get, .object = on_got,
	};
	size_t total = 1, k = 0;

	for (size_t i = 0; i < n; i++)
		total += r[i].members.n;
	struct ews_el *els = mem_calloc(total, sizeof(*els));
	struct ews_rec **of = mem_calloc(total, sizeof(struct ews_rec *));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; r[i].code == E_OK && j < r[i].members.n; j++)
			if (r[i].members.m[j].item.n > 0) {
				of[k] = &r[i];
				els[k++] = (struct ews_el){ .what = &r[i].members.m[j], .code = E_CANCELLED };
			}
	enum code rc = k > 0 ? ews_batch_run(&b, els, k, err) : E_OK;
	for (size_t i = 0; rc == E_OK && i < k; i++)     /* who is gone is an address */
		if (els[i].code != E_OK && els[i].code != E_ITEM_GONE) {
			of[i]->code = els[i].code;
			of[i]->text = els[i].text;
		}
	mem_free(els);
	mem_free(of);
	return rc;
}

/* --- writing: where the members are --- */

struct search {
	struct arena *arena;
	struct ews_members *found;
	enum code code;
	struct err err;
};

static enum code on_found(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct search *s = ctx;
	struct ews_member m = { .list = span_eq_str(o->name, "DistributionList") };

	(void)message;
	(void)err;
	if (!m.list && !span_eq_str(o->name, "Contact"))
		return E_OK;
	m.item = arena_span(s->arena, ews_text(o, "ItemId@Id"));
	m.uid = ews_uid_of(s->arena, m.item, o);
	m.address = arena_span(s->arena, ews_text(o, "EmailAddresses/Entry"));
	ews_member_add(s->arena, s->found, m);
	return E_OK;
}

static enum code on_found_end(void *ctx, size_t message, const struct ews_object *m, struct err *err)
{
	struct search *s = ctx;
	struct err why = ERR_INIT;
	enum code rc = ews_outcome(m, "looking for members of a group", &why);

	(void)message;
	(void)err;
	if (s->code == E_OK || s->code == E_PROTOCOL) {
		s->code = rc;
		s->err = why;
	}
	return E_OK;
}

static void print_equal(struct buf *b, const struct ews_prop *prop, struct span value)
{
	buf_add_str(b, "<t:IsEqualTo>");
	ews_prop_uri(b, prop);
	buf_add_str(b, "<t:FieldURIOrConstant><t:Constant Value=\"");
	ews_xml(b, value);
	buf_add_str(b, "\"/></t:FieldURIOrConstant></t:IsEqualTo>");
}

/* One of another client has the UID that we gave it: its search key. */
static void print_wanted(struct arena *arena, struct buf *b, struct span uid)
{
	struct span key = ews_uid_key(arena, ews_member_bare(uid));

	print_equal(b, &ews_uid, ews_member_bare(uid));
	print_equal(b, &ews_uid, span_of(arena_printf(arena, URN SPAN_FMT, SPAN_ARG(ews_member_bare(uid)))));
	if (key.n > 0)
		print_equal(b, &ews_search_key, key);
}

static enum code search(struct ews *e, struct arena *arena, const struct ep_folder *folder, const struct span *uids,
			size_t n, struct ews_members *found, struct err *err)
{
	static const struct ews_handler handler = { on_found, on_found_end, NULL };
	struct search s = { .arena = arena, .found = found, .code = E_PROTOCOL, .err = ERR_INIT };
	struct ews_call c;
	struct buf *b = &c.body;

	ews_call_init(e, &c, &handler, &s);
	buf_add_str(b, "<m:FindItem Traversal=\"Shallow\"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>"
		    "<t:AdditionalProperties>");
	ews_prop_uri(b, &ews_uid);
	ews_prop_uri(b, &ews_search_key);
	buf_add_str(b, "<t:IndexedFieldURI FieldURI=\"contacts:EmailAddress\" FieldIndex=\"EmailAddress1\"/>"
		    "</t:AdditionalProperties></m:ItemShape><m:Restriction><t:Or>");
	for (size_t i = 0; i < n; i++)
		print_wanted(arena, b, uids[i]);
	buf_add_str(b, "</t:Or></m:Restriction><m:ParentFolderIds>");
	ews_folder_id(b, folder);
	if (!span_eq(folder->id, e->place[EWS_CONTACTS]))
		ews_place_id(e, b, EWS_CONTACTS);
	buf_add_str(b, "</m:ParentFolderIds></m:FindItem>");
	enum code rc = ews_run_one(e, arena, &c, err);
	ews_call_free(&c);
	if (rc == E_OK && s.code != E_OK) {
		rc = s.code;
		if (err != NULL)
			*err = s.err;
	}
	return rc;
}

/* The members of one group that are no addresses. */
static enum code resolve(struct ews_step *s, struct err *err)
{
	struct content_line line;
	struct span uids[UIDS];
	size_t at = 0, n = 0;
	bool more = true;
	enum code rc = E_OK;

	while (rc == E_OK && more) {
		more = ews_next_line(s->arena, s->wanted, "VCARD", "MEMBER", &at, &line);
		if (more && ews_member_address(line.value).n == 0 && ews_member_of(&s->members, line.value) == NULL)
			uids[n++] = line.value;
		if (n == UIDS || (!more && n > 0)) {
			rc = search(s->e, s->arena, s->op->folder, uids, n, &s->members, err);
			n = 0;
		}
	}
	return rc;
}

enum code ews_groups_resolve(struct ews_step *steps, size_t n, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct err why = ERR_INIT;

		if (steps[i].op->code != E_CANCELLED)
			continue;
		enum code own = resolve(&steps[i], &why);
		if (own == E_OK)
			own = ews_step_rest(&steps[i], &why);
		if (ews_error_is_side(own)) {
			*err = why;
			rc = own;
		} else if (own != E_OK) {
			ews_step_done(&steps[i], own, &why);
		}
	}
	return rc;
}

void ews_group_said(const struct ews_step *s, struct ews_rec *said)
{
	for (size_t i = 0; i < said->members.n; i++)
		for (size_t j = 0; said->members.m[i].item.n > 0 && j < s->members.n; j++)
			if (span_eq(said->members.m[i].item, s->members.m[j].item))
				said->members.m[i].uid = s->members.m[j].uid;
}
