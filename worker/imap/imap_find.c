/* imap_find.c - the UIDs of what was just appended, where the server has no UIDPLUS: everything at or
 * above the UIDNEXT of before is looked at, and a create whose size and identity fit exactly one
 * message, which fits no other create, is told its UID. In any doubt nothing is told.
 * Its test: tests/unit/t_imap_session.c.
 */
#include "imap_fetch.h"

#include "../data/mailkey.h"

struct finding {
	struct ep_op **ops;
	struct mailkey *keys;
	size_t n;
	uint32_t from;
	struct found {
		uint32_t uid;
		uint64_t size;
		struct mailkey key;
	} *found;
	size_t n_found, cap;
};

static enum code on_found(void *ctx, struct imap *im, struct imap_resp *r, struct err *err)
{
	struct finding *fi = ctx;
	struct imap_fetched f;

	if (!r->has_number || !span_eq_nocase_str(r->name, "FETCH"))
		return E_OK;
	enum code rc = imap_fetched_parse(im->arena, r->rest, &f, err);
	/* "n:*" gives the last message even if its UID is lower */
	if (rc != E_OK || f.uid < fi->from || f.header.p == NULL)
		return rc;
	fi->found = arena_grow(im->arena, fi->found, fi->n_found, sizeof(*fi->found), &fi->cap);
	fi->found[fi->n_found++] = (struct found){ f.uid, f.size, mailkey_of(f.header) };
	return E_OK;
}

static bool same(const struct finding *fi, size_t op, const struct found *f)
{
	return body_size(fi->ops[op]->body) == f->size &&
	       memcmp(fi->keys[op].fp, f->key.fp, sizeof(f->key.fp)) == 0;
}

/* Exactly one candidate for exactly one create, else nothing is told: the next pass sees. */
static void match_found(struct imap *im, struct finding *fi)
{
	for (size_t i = 0; i < fi->n; i++) {
		const struct found *hit = NULL;
		size_t n_hits = 0, n_ops = 0;

		for (size_t k = 0; k < fi->n_found; k++)
			if (same(fi, i, &fi->found[k])) {
				hit = &fi->found[k];
				n_hits++;
			}
		for (size_t k = 0; k < fi->n && hit != NULL; k++)
			n_ops += same(fi, k, hit);
		if (n_hits == 1 && n_ops == 1)
			fi->ops[i]->new_id = imap_uid_span(im->arena, hit->uid);
	}
}

enum code imap_find_uids(struct imap *im, struct ep_op **ops, size_t n, uint32_t from, struct err *err)
{
	struct finding fi = { .ops = ops, .n = 0, .from = from };
	struct imap_call noop, fetch = { 0 };
	enum code rc;

	fi.keys = arena_calloc(im->arena, n, sizeof(*fi.keys));
	fi.ops = arena_calloc(im->arena, n, sizeof(*fi.ops));
	for (size_t i = 0; i < n; i++)
		if (ops[i]->code == E_OK) {
			fi.keys[fi.n] = mailkey_of(body_header(ops[i]->body));
			fi.ops[fi.n++] = ops[i];
		}
	if (from == 0 || fi.n == 0)
		return E_OK;
	im->sink = (struct imap_sink){ .data = on_found, .ctx = &fi };
	rc = imap_cmd_run(im, &noop, "NOOP", err);
	imap_cmd_begin(im, &fetch, "UID FETCH");
	imap_cmd_fmt(im, " %u:* (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (" MAILKEY_FIELDS ")])", from);
	if (rc == E_OK)
		rc = imap_cmd_end(im, &fetch, err);
	if (rc == E_OK)
		rc = imap_await(im, &fetch, err);
	im->sink = (struct imap_sink){ 0 };
	if (rc == E_OK && fetch.status == IMAP_OK)
		match_found(im, &fi);
	return rc;
}
