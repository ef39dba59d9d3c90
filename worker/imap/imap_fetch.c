/* imap_fetch.c - reads FETCH answers and groups items by folder.
 *
 * Read verbs send SELECT and FETCH of several folders without waiting. Answers come in the order of
 * the commands, so whatever arrives belongs to the oldest command under way, whose `ctx` is its
 * group. If a SELECT was refused, no mailbox is selected and what was sent behind it is refused too.
 */
#include "imap_fetch.h"

#include <stdlib.h>

/* --- one answer --- */

const char *imap_key_item(const struct imap *im)
{
	switch (im->key) {
	case IMAP_KEY_GMAIL:
		return " X-GM-MSGID";
	case IMAP_KEY_EMAILID:
		return " EMAILID";
	case IMAP_KEY_GUID:
		return " X-GUID";
	case IMAP_KEY_NONE:
		break;
	}
	return "";
}

bool imap_is_body_literal(struct span line)
{
	size_t at = line.n;

	while (at > 0 && line.p[at - 1] != '{')
		at--;
	at -= at > 0;
	while (at > 0 && (line.p[at - 1] == ' ' || line.p[at - 1] == '~'))
		at--;
	return at >= 6 && span_eq_nocase_str(span_cut(line, at - 6, 6), "BODY[]");
}

static bool take_key(struct arena *arena, struct imap_cur *cur, struct imap_fetched *f)
{
	struct imap_tok tok;

	switch (imap_next(cur, &tok)) {
	case IMAP_T_OPEN:            /* EMAILID (M...) */
		if (imap_next(cur, &tok) != IMAP_T_ATOM && tok.kind != IMAP_T_STRING)
			return false;
		f->key = arena_span(arena, imap_tok_text(arena, &tok));
		return imap_next(cur, &tok) == IMAP_T_CLOSE;
	case IMAP_T_ATOM:
	case IMAP_T_STRING:
		if (!imap_tok_is_nil(&tok))
			f->key = arena_span(arena, imap_tok_text(arena, &tok));
		return true;
	case IMAP_T_END:
	case IMAP_T_ELSEWHERE:
	case IMAP_T_CLOSE:
	case IMAP_T_BAD:
		break;
	}
	return false;
}

static bool take_bytes(struct arena *arena, struct imap_cur *cur, bool whole, struct imap_fetched *f)
{
	struct imap_tok tok;
	enum imap_tok_kind kind = imap_next(cur, &tok);

	if (kind == IMAP_T_ELSEWHERE) {
		f->body_elsewhere = whole;
		return true;
	}
	if (kind == IMAP_T_ATOM)
		return imap_tok_is_nil(&tok);
	if (kind != IMAP_T_STRING)
		return false;
	f->has_text |= whole;
	if (whole)
		f->text = imap_tok_text(arena, &tok);
	else
		f->header = arena_span(arena, imap_tok_text(arena, &tok));
	return true;
}

static bool take_item(struct arena *arena, struct span name, struct imap_cur *cur, struct imap_fetched *f)
{
	struct imap_tok tok;
	struct span inner;

	if (span_eq_nocase_str(name, "UID"))
		return imap_next(cur, &tok) == IMAP_T_ATOM && imap_tok_u32(&tok, &f->uid);
	if (span_eq_nocase_str(name, "FLAGS")) {
		f->has_flags = imap_next_list(cur, &inner);
		if (f->has_flags)
			f->flags = imap_flags_parse(arena, inner, &f->keywords, NULL);
		return f->has_flags;
	}
	if (span_eq_nocase_str(name, "MODSEQ")) {
		f->has_modseq = imap_next_list(cur, &inner);
		return f->has_modseq;
	}
	if (span_eq_nocase_str(name, "RFC822.SIZE")) {
		f->has_size = imap_next(cur, &tok) == IMAP_T_ATOM && imap_tok_u64(&tok, &f->size);
		return f->has_size;
	}
	if (span_eq_nocase_str(name, "INTERNALDATE")) {
		if (imap_next(cur, &tok) != IMAP_T_STRING || !imap_date_parse(tok.text, &f->received))
			f->received = INT64_MIN;
		return tok.kind == IMAP_T_STRING || imap_tok_is_nil(&tok);
	}
	if (span_eq_nocase_str(name, "X-GM-MSGID") || span_eq_nocase_str(name, "EMAILID") ||
	    span_eq_nocase_str(name, "X-GUID"))
		return take_key(arena, cur, f);
	if (span_eq_nocase_str(name, "BODY[]"))
		return take_bytes(arena, cur, true, f);
	if (span_starts_nocase(name, "BODY[HEADER"))
		return take_bytes(arena, cur, false, f);
	return imap_skip(cur);
}

enum code imap_fetched_parse(struct arena *arena, struct imap_cur cur, struct imap_fetched *f,
			     struct err *err)
{
	struct imap_tok tok;
	bool ok;

	*f = (struct imap_fetched){ .received = INT64_MIN };
	ok = imap_next(&cur, &tok) == IMAP_T_OPEN;
	while (ok && imap_next(&cur, &tok) == IMAP_T_ATOM)
		ok = take_item(arena, tok.text, &cur, f);
	if (ok && tok.kind == IMAP_T_CLOSE)
		return E_OK;
	return err_set(err, E_PROTOCOL, "the server's FETCH answer is malformed");
}

/* --- groups --- */

bool imap_groups_add(struct arena *arena, struct imap_groups *groups, const struct ep_folder *folder,
		     struct span id, size_t index)
{
	struct imap_group *g = NULL;
	uint32_t uid;

	if (!imap_uid(id, &uid))
		return false;
	for (size_t i = groups->n; i > 0 && g == NULL; i--)
		if (groups->g[i - 1].folder == folder || span_eq(groups->g[i - 1].folder->name, folder->name))
			g = &groups->g[i - 1];
	if (g == NULL) {
		groups->g = arena_grow(arena, groups->g, groups->n, sizeof(*groups->g), &groups->cap);
		g = &groups->g[groups->n++];
		*g = (struct imap_group){ .folder = folder, .err = ERR_INIT };
	}
	g->wants = arena_grow(arena, g->wants, g->n, sizeof(*g->wants), &g->cap);
	g->wants[g->n++] = (struct imap_want){ .uid = uid, .index = (uint32_t)index };
	return true;
}

static int want_cmp(const void *a, const void *b)
{
	const struct imap_want *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

void imap_groups_sort(struct imap_groups *groups)
{
	for (size_t i = 0; i < groups->n; i++)
		qsort(groups->g[i].wants, groups->g[i].n, sizeof(struct imap_want), want_cmp);
}

struct imap_want *imap_group_find(struct imap_group *group, uint32_t uid)
{
	struct imap_want key = { .uid = uid };

	return group->n == 0 ? NULL : bsearch(&key, group->wants, group->n, sizeof(key), want_cmp);
}

/* --- told ahead --- */

void imap_known_add(struct imap *im, struct imap_box *box, const struct imap_fetched *f)
{
	if (box->n_known > 0 && box->known[box->n_known - 1].uid >= f->uid)
		return;
	box->known = arena_grow(im->life, box->known, box->n_known, sizeof(*box->known), &box->known_cap);
	box->known[box->n_known++] = (struct imap_known){
		.uid = f->uid, .size = f->size, .received = f->received,
		.header = arena_span(im->life, f->header), .key = arena_span(im->life, f->key),
	};
}

static int known_cmp(const void *a, const void *b)
{
	const struct imap_known *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

bool imap_known_use(struct imap *im, struct ep_meta *m)
{
	const struct imap_box *box = imap_box(im, m->folder->name);
	struct imap_known key = { 0 };
	const struct imap_known *k;
	uint64_t uid;

	if (box->n_known == 0 || !span_u64(m->id, UINT32_MAX, &uid))
		return false;
	key.uid = (uint32_t)uid;
	k = bsearch(&key, box->known, box->n_known, sizeof(key), known_cmp);
	if (k == NULL)
		return false;
	m->header = k->header;
	m->size = k->size;
	m->received = k->received;
	m->key = k->key;
	m->code = E_OK;
	return true;
}

/* The mailbox that will be selected once all commands under way are answered. */
static const struct imap_box *box_ahead(const struct imap *im)
{
	const struct imap_box *box = im->sel.box;

	for (const struct imap_call *c = im->calls; c != NULL; c = c->next)
		if (c->select != NULL)
			box = c->select;
	return box;
}

static void on_select(void *ctx, struct imap_call *call)
{
	struct imap_group *g = ctx;
	struct imap *im = g->verb;

	g->refused = imap_select_verdict(im, call, &g->err) != E_OK;
}

enum code imap_group_select(struct imap *im, struct imap_group *g, struct err *err)
{
	const struct imap_box *ahead = box_ahead(im);

	g->selected = true;
	if (ahead != NULL && span_eq(ahead->name, g->folder->name)) {
		g->select = (struct imap_call){ .what = "SELECT", .status = IMAP_OK };
		if (im->n_calls == 0)
			g->refused = imap_select_verdict(im, &g->select, &g->err) != E_OK;
		return E_OK;
	}
	g->select = (struct imap_call){ .done = on_select, .ctx = g };
	g->verb = im;
	return imap_send_select(im, &g->select, g->folder->name,
				imap_can(im, IMAP_CAP_CONDSTORE) ? " (CONDSTORE)" : "", err);
}

struct imap_group *imap_group_now(const struct imap *im)
{
	const struct imap_call *call = imap_call_now(im);

	return call != NULL ? call->ctx : NULL;
}
