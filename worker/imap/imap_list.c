/* imap_list.c - all folders with their marks: one LIST with RETURN (STATUS ...) where the server can,
 * else LIST and pipelined STATUS.
 *
 * 1. A folder's mark is complete or empty; with CONDSTORE it holds a HIGHESTMODSEQ that is not 0.
 * 2. Roles come from attributes, announced or not; names are only a fallback, for roles that no
 *    folder has by attribute. No role is given twice.
 * 3. Only the personal namespace is listed. Of two names with one path the later is not selectable.
 * Its tests: tests/unit/t_imap_session.c, tests/e2e/test_imap_*.py.
 */
#include "imap_cmd.h"

#include "../data/path.h"

#include <stdio.h>

#define WINDOW 100                 /* commands under way at the most */
#define FOLDERS_MAX ((size_t)1000000)

struct entry {
	struct span name;
	char separator;
	enum ep_role role;
	bool selectable, has_status, has_modseq;
	uint32_t messages, uidnext, uidvalidity;
	uint64_t modseq;
	struct span id;
};

struct asking {
	struct imap_call list, ids;
};

struct imap_listing {
	struct entry *entries;
	size_t n, cap, last;             /* last: where the latest STATUS was found */
	bool merging;                    /* names may come twice: only the first makes an entry */
	struct imap_sink sink;           /* of the commands that ask for it */
	struct asking *asks;
	size_t n_asks;
};

/* --- LIST --- */

static enum ep_role role_of_attribute(struct span a)
{
	static const struct {
		const char *name;
		enum ep_role role;
	} table[] = {
		{ "\\Sent", EP_ROLE_SENT }, { "\\Drafts", EP_ROLE_DRAFTS }, { "\\Trash", EP_ROLE_TRASH },
		{ "\\Junk", EP_ROLE_JUNK }, { "\\Spam", EP_ROLE_JUNK }, { "\\Archive", EP_ROLE_ARCHIVE },
		{ "\\All", EP_ROLE_ALL }, { "\\AllMail", EP_ROLE_ALL },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (span_eq_nocase_str(a, table[i].name))
			return table[i].role;
	return EP_ROLE_NONE;
}

static void take_attributes(struct span list, struct entry *e)
{
	struct span word;

	e->selectable = true;
	while (list.n > 0 && span_next(&list, ' ', &word)) {
		if (span_eq_nocase_str(word, "\\Noselect") || span_eq_nocase_str(word, "\\NonExistent"))
			e->selectable = false;
		else if (e->role == EP_ROLE_NONE)
			e->role = role_of_attribute(word);
	}
}

static struct entry *find_entry(struct imap_listing *l, struct span name)
{
	/* answers come in the order of the list, or right behind each LIST line */
	for (size_t i = 0; i < l->n; i++) {
		size_t at = (l->last + i) % l->n;

		if (span_eq(l->entries[at].name, name)) {
			l->last = at;
			return &l->entries[at];
		}
	}
	return NULL;
}

/* (attributes) separator name [extended] */
static enum code take_list(struct imap *im, struct imap_listing *l, struct imap_resp *r, struct err *err)
{
	struct entry e = { 0 };
	struct imap_tok tok;
	struct span attributes;

	if (!imap_next_list(&r->rest, &attributes))
		return err_set(err, E_PROTOCOL, "the server's LIST answer is malformed");
	take_attributes(attributes, &e);
	if (imap_next(&r->rest, &tok) == IMAP_T_STRING && imap_tok_text(im->arena, &tok).n == 1)
		e.separator = imap_tok_text(im->arena, &tok).p[0];
	enum imap_tok_kind kind = imap_next(&r->rest, &tok);
	if (kind != IMAP_T_ATOM && kind != IMAP_T_STRING)
		return err_set(err, E_PROTOCOL, "the server's LIST answer is malformed");
	e.name = arena_span(im->listed, imap_tok_text(im->arena, &tok));
	for (size_t i = 0; i < e.name.n; i++)
		if (e.name.p[i] == '\r' || e.name.p[i] == '\n' || e.name.p[i] == '\0')
			return E_OK;         /* cannot be named in a command: as if it were not there */
	if (l->merging && find_entry(l, e.name) != NULL)
		return E_OK;
	if (l->n >= FOLDERS_MAX)
		return err_set(err, E_PROTOCOL, "the server lists too many folders");
	l->entries = arena_grow(im->listed, l->entries, l->n, sizeof(*l->entries), &l->cap);
	l->entries[l->n++] = e;
	return E_OK;
}

/* --- STATUS --- */

/* RFC 8474 4: letters, digits, '-' and '_'. */
static bool is_object_id(struct span s)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || strchr(allowed, s.p[i]) == NULL)
			return false;
	return s.n > 0 && s.n <= 255;
}

static void take_status_item(struct imap *im, struct entry *e, struct span name, struct imap_cur *cur)
{
	struct imap_tok tok;
	struct span inner;

	if (span_eq_nocase_str(name, "MAILBOXID")) {
		if (imap_next_list(cur, &inner) && is_object_id(inner))
			e->id = arena_span(im->listed, inner);
		return;
	}
	if (imap_next(cur, &tok) == IMAP_T_OPEN || tok.kind == IMAP_T_CLOSE)
		return;
	if (span_eq_nocase_str(name, "MESSAGES"))
		(void)imap_tok_u32(&tok, &e->messages);
	else if (span_eq_nocase_str(name, "UIDNEXT"))
		(void)imap_tok_u32(&tok, &e->uidnext);
	else if (span_eq_nocase_str(name, "UIDVALIDITY"))
		(void)imap_tok_u32(&tok, &e->uidvalidity);
	else if (span_eq_nocase_str(name, "HIGHESTMODSEQ"))
		e->has_modseq = imap_tok_u64(&tok, &e->modseq) && e->modseq > 0;
	else if (span_eq_nocase_str(name, "APPENDLIMIT"))
		(void)imap_tok_u64(&tok, &imap_box(im, e->name)->append_limit);    /* NIL: none */
	else if (span_eq_nocase_str(name, "X-GUID"))
		e->id = arena_span(im->listed, imap_tok_text(im->arena, &tok));
}

static enum code take_status(struct imap *im, struct imap_listing *l, struct imap_resp *r)
{
	struct imap_tok tok;
	enum imap_tok_kind kind = imap_next(&r->rest, &tok);

	if (l->n == 0 || (kind != IMAP_T_ATOM && kind != IMAP_T_STRING))
		return E_OK;
	struct span name = imap_tok_text(im->arena, &tok);
	struct entry *e = span_eq(l->entries[l->n - 1].name, name) ? &l->entries[l->n - 1] : find_entry(l, name);
	if (e == NULL || imap_next(&r->rest, &tok) != IMAP_T_OPEN)
		return E_OK;
	e->has_status = true;
	while (imap_next(&r->rest, &tok) == IMAP_T_ATOM)
		take_status_item(im, e, tok.text, &r->rest);
	return E_OK;
}

/* --- NAMESPACE --- */

static void take_foreign(struct imap *im, struct imap_cur *cur)
{
	struct imap_tok tok;

	if (imap_next(cur, &tok) != IMAP_T_OPEN)     /* NIL */
		return;
	while (imap_next(cur, &tok) == IMAP_T_OPEN) {
		if (imap_next(cur, &tok) != IMAP_T_STRING)
			return;
		struct span prefix = imap_tok_text(im->arena, &tok);
		if (prefix.n > 0 && im->n_foreign < IMAP_FOREIGN)
			im->foreign[im->n_foreign++] = arena_span(im->life, prefix);
		while (imap_next(cur, &tok) != IMAP_T_CLOSE)
			if (tok.kind == IMAP_T_END || tok.kind == IMAP_T_BAD)
				return;
	}
}

/* ((prefix separator ...) ...) others shared */
static enum code take_namespace(struct imap *im, struct imap_resp *r)
{
	struct imap_cur cur = r->rest;
	struct imap_tok tok;

	im->n_foreign = 0;
	if (imap_next(&cur, &tok) == IMAP_T_OPEN && imap_next(&cur, &tok) == IMAP_T_OPEN &&
	    imap_next(&cur, &tok) == IMAP_T_STRING) {
		im->prefix = arena_span(im->life, imap_tok_text(im->arena, &tok));
		im->separator = '\0';
		if (imap_next(&cur, &tok) == IMAP_T_STRING && imap_tok_text(im->arena, &tok).n == 1)
			im->separator = imap_tok_text(im->arena, &tok).p[0];
		im->has_namespace = true;
	}
	if (!imap_skip(&r->rest))
		return E_OK;
	take_foreign(im, &r->rest);
	take_foreign(im, &r->rest);
	return E_OK;
}

/* --- asking --- */

static enum code on_list_data(void *ctx, struct imap *im, struct imap_resp *r, struct err *err)
{
	struct imap_listing *l = ctx;

	if (r->has_number)
		return E_OK;
	if (span_eq_nocase_str(r->name, "LIST"))
		return take_list(im, l, r, err);
	if (span_eq_nocase_str(r->name, "STATUS"))
		return take_status(im, l, r);
	if (span_eq_nocase_str(r->name, "NAMESPACE"))
		return take_namespace(im, r);
	return E_OK;
}

static void add_status_items(struct imap *im)
{
	imap_cmd_add(im, "(MESSAGES UIDNEXT UIDVALIDITY");
	imap_cmd_add(im, imap_can(im, IMAP_CAP_CONDSTORE) ? " HIGHESTMODSEQ" : "");
	imap_cmd_add(im, imap_can(im, IMAP_CAP_APPENDLIMIT) ? " APPENDLIMIT" : "");
	if (imap_can(im, IMAP_CAP_OBJECTID) && !im->cyrus)
		imap_cmd_add(im, " MAILBOXID");
	else if (im->dovecot && !im->no_guid && !imap_can(im, IMAP_CAP_OBJECTID))
		imap_cmd_add(im, " X-GUID");
	imap_cmd_add(im, ")");
}

static enum code send_list(struct imap *im, struct imap_call *call, struct span pattern, struct err *err)
{
	bool status = imap_can(im, IMAP_CAP_LIST_STATUS);
	bool special = imap_can(im, IMAP_CAP_SPECIAL_USE) && (status || imap_can(im, IMAP_CAP_LIST_EXTENDED));

	imap_cmd_begin(im, call, "LIST");
	imap_cmd_add(im, " \"\"");
	imap_cmd_name(im, pattern);
	if (special || status)
		imap_cmd_add(im, " RETURN (");
	if (special)
		imap_cmd_add(im, status ? "SPECIAL-USE " : "SPECIAL-USE");
	if (status) {
		imap_cmd_add(im, "STATUS ");
		add_status_items(im);
	}
	if (special || status)
		imap_cmd_add(im, ")");
	return imap_cmd_end(im, call, err);
}

/* STATUS of the selected mailbox is allowed, if unloved: the answer is still right. */
static enum code ask_each_status(struct imap *im, struct imap_listing *l, struct err *err)
{
	struct imap_call *calls = arena_calloc(im->listed, l->n + 1, sizeof(*calls));
	enum code rc = E_OK;

	for (size_t i = 0; i < l->n && rc == E_OK; i++) {
		if (!l->entries[i].selectable)
			continue;
		calls[i].sink = &l->sink;
		imap_cmd_begin(im, &calls[i], "STATUS");
		imap_cmd_name(im, l->entries[i].name);
		imap_cmd_add(im, " ");
		add_status_items(im);
		rc = imap_cmd_end(im, &calls[i], err);
		if (rc == E_OK)
			rc = imap_await_window(im, WINDOW, err);
	}
	return rc == E_OK ? imap_await_window(im, 0, err) : rc;
}

/* Cyrus 3.6 gives freed memory as MAILBOXID when other items are asked for with it: ask alone, in
 * the same round trip. */
static enum code send_ids(struct imap *im, struct imap_call *call, struct span pattern, struct err *err)
{
	if (!im->cyrus || !imap_can(im, IMAP_CAP_OBJECTID) || !imap_can(im, IMAP_CAP_LIST_STATUS))
		return E_OK;
	imap_cmd_begin(im, call, "LIST");
	imap_cmd_add(im, " \"\"");
	imap_cmd_name(im, pattern);
	imap_cmd_add(im, " RETURN (STATUS (MAILBOXID))");
	return imap_cmd_end(im, call, err);
}

/* From here on LIST lines only repeat what is there. */
static void on_listed(void *ctx, struct imap_call *call)
{
	struct imap_listing *l = ctx;

	(void)call;
	l->merging = true;
}

static enum code send_asks(struct imap *im, struct imap_listing *l, const struct span *patterns, struct err *err)
{
	enum code rc = E_OK;

	/* the names of the second question are those of the first */
	for (size_t i = 0; i < l->n_asks && rc == E_OK; i++) {
		l->asks[i].list.sink = l->asks[i].ids.sink = &l->sink;
		rc = send_list(im, &l->asks[i].list, patterns[i], err);
		if (rc == E_OK)
			rc = imap_await_window(im, WINDOW, err);
	}
	l->asks[l->n_asks - 1].list.done = on_listed;
	l->asks[l->n_asks - 1].list.ctx = l;
	for (size_t i = 0; i < l->n_asks && rc == E_OK; i++)
		rc = send_ids(im, &l->asks[i].ids, patterns[i], err);
	return rc;
}

void imap_list_forget(struct imap *im)
{
	im->ahead = NULL;
	arena_free(&im->listed);
}

static enum code begin(struct imap *im, const struct span *patterns, size_t n, struct err *err)
{
	imap_list_forget(im);
	im->listed = arena_new((size_t)256 * 1024 * 1024);
	struct imap_listing *l = im->ahead = arena_alloc(im->listed, sizeof(*l));
	l->merging = n > 1;
	l->sink = (struct imap_sink){ .data = on_list_data, .ctx = l };
	l->asks = arena_calloc(im->listed, n, sizeof(*l->asks));
	l->n_asks = n;
	enum code rc = send_asks(im, l, patterns, err);
	if (rc != E_OK) {
		imap_drop(im);               /* calls of the listing may be under way */
		imap_list_forget(im);
	}
	return rc;
}

static enum code end(struct imap *im, struct err *err)
{
	struct imap_listing *l = im->ahead;
	enum code rc = imap_await_window(im, 0, err);

	for (size_t i = 0; i < l->n_asks && rc == E_OK; i++)
		if (l->asks[i].list.status != IMAP_OK)
			rc = imap_refusal(IMAP_AT_STORE, &l->asks[i].list, err);
	if (rc == E_OK && !imap_can(im, IMAP_CAP_LIST_STATUS))
		rc = ask_each_status(im, l, err);
	if (rc != E_OK)
		imap_list_forget(im);
	return rc;
}

enum code imap_list_ahead(struct imap *im, struct err *err)
{
	static const struct span all = SPAN_LIT("*");
	struct imap_sink before = im->sink;
	enum code rc = begin(im, &all, 1, err);

	if (rc != E_OK)
		return rc;
	im->sink = im->ahead->sink;          /* of the NAMESPACE in front of it, too */
	rc = end(im, err);
	im->sink = before;
	return rc;
}

/* --- telling --- */

static struct span make_mark(struct imap *im, struct arena *arena, const struct entry *e)
{
	if (!e->has_status || e->uidvalidity == 0 || e->uidnext == 0)
		return SPAN_NONE;
	if (!imap_can(im, IMAP_CAP_CONDSTORE))
		return span_of(arena_printf(arena, "%u %u %u", e->uidvalidity, e->uidnext, e->messages));
	if (!e->has_modseq)
		return SPAN_NONE;
	return span_of(arena_printf(arena, "%u %u %u %llu", e->uidvalidity, e->uidnext, e->messages,
				    (unsigned long long)e->modseq));
}

static bool tell(struct imap *im, struct arena *arena, const struct entry *e, struct ep_folder *f)
{
	struct imap_box *box = imap_box(im, e->name);

	*f = (struct ep_folder){ .kind = EP_MAIL, .role = e->role, .keywords = true };
	if (!imap_path_of(im, arena, e->name, e->separator, &f->path))
		return false;
	if (path_eq(f->path, SPAN_LIT("INBOX")))
		f->role = EP_ROLE_INBOX;
	f->name = arena_span(arena, e->name);
	f->id = e->id.n > 0 ? arena_span(arena, e->id) : f->name;
	f->id_stable = e->id.n > 0;
	f->selectable = e->selectable;
	f->count = e->has_status ? e->messages : UINT64_MAX;
	f->mark = e->selectable ? make_mark(im, arena, e) : SPAN_NONE;
	if (box->perm_known) {
		f->flags = box->flags;
		f->keywords = box->star;
	}
	/* from here on the engine's ids belong to this UIDVALIDITY */
	box->uidvalidity = e->uidvalidity;
	box->listed_uidnext = e->uidnext;
	return true;
}

static void drop_twins(struct arena *arena, struct ep_folder *f, size_t n)
{
	size_t size = 16;

	while (size < n * 2)
		size *= 2;
	struct ep_folder **table = arena_calloc(arena, size, sizeof(*table));
	for (size_t i = 0; i < n; i++) {
		size_t at = span_hash(f[i].path) & (size - 1);

		while (table[at] != NULL && !path_eq(table[at]->path, f[i].path))
			at = (at + 1) & (size - 1);
		if (table[at] != NULL) {
			f[i].selectable = false;
			f[i].role = EP_ROLE_NONE;
		}
		table[at] = table[at] == NULL ? &f[i] : table[at];
	}
}

/* Where there is no NAMESPACE: the separator of the list, and Courier's habit told by its shape. */
static void guess_namespace(struct imap *im, const struct imap_listing *l)
{
	if (im->has_namespace)
		return;
	for (size_t i = 0; i < l->n; i++)
		if (l->entries[i].separator != '\0')
			im->separator = l->entries[i].separator;
}

enum code imap_list_verb(struct endpoint *ep, struct arena *arena, struct ep_list *list_r, struct err *err)
{
	struct imap *im = ep->impl;
	enum code rc = imap_enter(im, arena, err);

	*list_r = (struct ep_list){ 0 };
	if (rc == E_OK && im->ahead == NULL)
		rc = imap_list_ahead(im, err);
	if (rc != E_OK)
		return rc;
	struct imap_listing *l = im->ahead;

	guess_namespace(im, l);
	list_r->folders = arena_calloc(arena, l->n + 1, sizeof(*list_r->folders));
	for (size_t i = 0; i < l->n; i++)
		list_r->n += tell(im, arena, &l->entries[i], &list_r->folders[list_r->n]);
	drop_twins(im->listed, list_r->folders, list_r->n);
	imap_settle_roles(list_r->folders, list_r->n);
	list_r->complete = true;
	imap_list_forget(im);
	return E_OK;
}

enum code imap_list_names_begin(struct imap *im, const struct span *names, size_t n, struct err *err)
{
	return begin(im, names, n, err);
}

enum code imap_list_names_end(struct imap *im, struct arena *arena, const struct span *names, size_t n,
			      struct ep_folder **folders, bool *found, struct err *err)
{
	enum code rc = end(im, err);

	for (size_t i = 0; i < n && rc == E_OK; i++) {
		/* the name may hold a wildcard: take the exact one only */
		const struct entry *e = find_entry(im->ahead, names[i]);

		found[i] = e != NULL && tell(im, arena, e, folders[i]);
	}
	imap_list_forget(im);
	return rc;
}
