/* endpoint_join.c - one endpoint out of parts: imap = imap + dav.
 *
 * 1. What is in a folder of mail goes to the mail part, everything else to the record part, each in the order
 *    it came in. The mail part is asked first; if its call fails, the other is not asked.
 * 2. A listing is complete if both are. Capabilities are the mail part's, but for what only records have.
 * 3. Nothing moves from one part to the other.
 * 4. Mail goes on where only the record part cannot be reached. A logon that is refused ends both.
 * An endpoint that is only one of them in a pairing is not joined at all (ep_join_choose).
 */
#include "endpoint_join.h"

#include "../common/mem.h"
#include "endpoint_types.h"

enum part { MAIL, RECORDS, PARTS };

struct join {
	struct endpoint part[PARTS];
	bool alone;                      /* the record part is not there */
};

#ifdef MS_TESTING
static const struct ep_ops *test_parts[PARTS];

void ep_join_set_parts(const struct ep_ops *mail, const struct ep_ops *records)
{
	test_parts[MAIL] = mail;
	test_parts[RECORDS] = records;
}
#endif

static const struct ep_ops *table_of(enum part part)
{
#ifdef MS_TESTING
	if (test_parts[part] != NULL)
		return test_parts[part];
#endif
	return part == MAIL ? &ep_imap : &ep_dav;
}

static enum part part_of(enum ep_kind kind)
{
	return kind == EP_MAIL ? MAIL : RECORDS;
}

/* --- birth and death --- */

static void close_verb(struct endpoint *ep)
{
	struct join *j = ep->impl;

	if (j == NULL)
		return;
	for (enum part part = MAIL; part < PARTS; part++) {
		if (j->part[part].impl != NULL)
			j->part[part].ops->close(&j->part[part]);
	}
	mem_free(j);
	ep->impl = NULL;
	ep->identity = SPAN_NONE;
}

static enum code make(struct endpoint *ep, struct err *err)
{
	struct join *j = mem_alloc(sizeof(*j));
	enum code rc = E_OK;

	ep->impl = j;
	for (enum part part = MAIL; rc == E_OK && part < PARTS; part++) {
		j->part[part] = (struct endpoint){ .ops = table_of(part), .env = ep->env, .side = ep->side };
		rc = j->part[part].ops->make(&j->part[part], err);
	}
	if (rc != E_OK)
		close_verb(ep);
	return rc;
}

static enum code open_verb(struct endpoint *ep, struct err *err)
{
	struct join *j = ep->impl;
	struct err why = ERR_INIT;
	enum code rc = j->part[MAIL].ops->open(&j->part[MAIL], err);

	if (rc == E_OK)
		rc = j->part[RECORDS].ops->open(&j->part[RECORDS], &why);
	j->alone = rc != E_OK && rc != E_LOGON_FAILED && rc != E_CANCELLED && why.code == rc;
	if (j->alone) {
		err_prefix(&why, "calendars and contacts");
		ep->missing = why;
		ep->caps = j->part[MAIL].caps;
		ep->identity = j->part[MAIL].identity;
		return E_OK;
	}
	if (rc != E_OK) {
		if (why.code == rc)
			*err = why;
		return rc;
	}
	ep->caps = j->part[MAIL].caps;
	ep->caps.kinds |= j->part[RECORDS].caps.kinds;
	ep->caps.record_print = j->part[RECORDS].caps.record_print;
	ep->identity = j->part[MAIL].identity.n > 0 ? j->part[MAIL].identity : j->part[RECORDS].identity;
	return E_OK;
}

/* --- lists --- */

static enum code list_verb(struct endpoint *ep, struct arena *arena, struct ep_list *list_r, struct err *err)
{
	struct join *j = ep->impl;
	struct ep_list list[PARTS] = { { .n = 0 } };
	enum code rc = E_OK;

	for (enum part part = MAIL; rc == E_OK && part < (j->alone ? RECORDS : PARTS); part++)
		rc = j->part[part].ops->list(&j->part[part], arena, &list[part], err);
	if (rc != E_OK)
		return rc;
	size_t n = list[MAIL].n + list[RECORDS].n;
	struct ep_folder *all = arena_calloc(arena, n + 1, sizeof(*all));

	if (list[MAIL].n > 0)
		memcpy(all, list[MAIL].folders, list[MAIL].n * sizeof(*all));
	if (list[RECORDS].n > 0)
		memcpy(all + list[MAIL].n, list[RECORDS].folders, list[RECORDS].n * sizeof(*all));
	*list_r = (struct ep_list){ all, n, list[MAIL].complete && (j->alone || list[RECORDS].complete) };
	return E_OK;
}

/* --- arrays: split, asked part by part, put together again --- */

/* How a verb's elements are handled: which part each is for, and the verb itself. */
struct verb {
	size_t size;
	/* PARTS: for neither; the element has its code and text then */
	enum part (*where)(void *item);
	enum code (*run)(struct endpoint *part, struct arena *arena, void *items, size_t n, struct err *err);
};

/* Only the elements for `part`; the others keep what they have. */
static enum code run_part(struct endpoint *ep, struct arena *arena, const struct verb *v, char *items, size_t n,
			  const enum part *where, enum part part, struct err *err)
{
	char *own = arena_calloc(arena, n, v->size);
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (where[i] == part)
			memcpy(own + k++ * v->size, items + i * v->size, v->size);
	}
	if (k == 0)
		return E_OK;
	enum code rc = v->run(ep, arena, own, k, err);

	k = 0;
	for (size_t i = 0; i < n; i++) {
		if (where[i] == part)
			memcpy(items + i * v->size, own + k++ * v->size, v->size);
	}
	return rc;
}

static enum code split(struct endpoint *ep, struct arena *arena, const struct verb *v, void *items, size_t n,
		       struct err *err)
{
	struct join *j = ep->impl;
	enum part *where = arena_calloc(arena, n + 1, sizeof(*where));
	bool mixed = false;
	enum code rc = E_OK;

	for (size_t i = 0; i < n; i++) {
		where[i] = v->where((char *)items + i * v->size);
		mixed |= where[i] != where[0] || where[i] == PARTS;
	}
	if (n == 0)
		return E_OK;
	if (!mixed)
		return v->run(&j->part[where[0]], arena, items, n, err);
	for (enum part part = MAIL; rc == E_OK && part < PARTS; part++)
		rc = run_part(&j->part[part], arena, v, items, n, where, part, err);
	return rc;
}

#define EACH(name, type, ...) \
	static enum part where_##name(void *item) { type *x = item; __VA_ARGS__ } \
	static enum code run_##name(struct endpoint *part, struct arena *arena, void *items, size_t n, \
				    struct err *err) \
	{ \
		return part->ops->name(part, arena, items, n, err); \
	} \
	static enum code name##_verb(struct endpoint *ep, struct arena *arena, type *items, size_t n, \
				     struct err *err) \
	{ \
		static const struct verb v = { sizeof(type), where_##name, run_##name }; \
		return split(ep, arena, &v, items, n, err); \
	}

static enum part where_op(struct ep_op *op)
{
	enum part from = part_of(op->folder->kind);

	if ((op->kind != EP_MOVE && op->kind != EP_COPY) || part_of(op->to->kind) == from)
		return from;
	op->code = E_ITEM_REFUSED;
	op->text = "an item of this kind cannot be in that folder";
	op->new_id = SPAN_NONE;
	return PARTS;
}

EACH(changes, struct ep_changes, return part_of(x->folder->kind);)
EACH(describe, struct ep_meta, return part_of(x->folder->kind);)
EACH(fetch, struct ep_fetch, return part_of(x->folder->kind);)
EACH(apply, struct ep_op, return where_op(x);)
EACH(folders, struct ep_folder_op, return part_of(x->kind == EP_FOLDER_CREATE ? x->item_kind : x->folder->kind);)

/* Records have nothing to ask ahead. */
static enum code prepare_verb(struct endpoint *ep, struct arena *arena, struct ep_target *targets, size_t n,
			      struct err *err)
{
	struct join *j = ep->impl;
	struct endpoint *mail = &j->part[MAIL];
	struct ep_target *own = arena_calloc(arena, n + 1, sizeof(*own));
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (part_of(targets[i].folder->kind) == MAIL)
			own[k++] = targets[i];
	}
	return k > 0 && mail->ops->prepare != NULL ? mail->ops->prepare(mail, arena, own, k, err) : E_OK;
}

static const struct ep_ops join = {
	.type = "imap+dav",
	.make = make,
	.open = open_verb,
	.close = close_verb,
	.list = list_verb,
	.changes = changes_verb,
	.describe = describe_verb,
	.fetch = fetch_verb,
	.prepare = prepare_verb,
	.apply = apply_verb,
	.folders = folders_verb,
};

const struct ep_ops *ep_join_choose(const struct ep_env *env, bool has_mail, bool has_records)
{
	uint32_t wanted = env->kinds != 0 ? env->kinds : UINT32_MAX;
	bool mail = has_mail && (wanted & 1u << EP_MAIL) != 0;
	bool records = has_records && (wanted & ~(1u << EP_MAIL)) != 0;

	if (mail && records)
		return &join;
	return has_records && (records || !has_mail) ? table_of(RECORDS) : table_of(MAIL);
}
