/* imap_folders.c - create, rename and remove mailboxes.
 *
 * 1. Creates of one call and the question what they became leave in one flight. They are subscribed to in
 *    the same flight; of one that is refused that is taken back.
 * 2. A name that is refused is tried again with more of it escaped (imap_names.c).
 * 3. A mailbox is deleted only if it has no messages and no selectable children, and never while it
 *    is selected; its UIDVALIDITY must be the one that the engine knows.
 * Its tests: tests/unit/t_imap_session.c, tests/e2e/test_imap_*.py.
 */
#include "imap_cmd.h"

#include "../data/path.h"

#define WINDOW 100                 /* commands under way at the most */

static void refuse(struct imap *im, struct ep_folder_op *op, enum code code, const struct err *why)
{
	op->code = code;
	op->text = arena_printf(im->arena, "%s", err_text(why));
}

static const char *use_of(const struct imap *im, enum ep_role role)
{
	if (!imap_can(im, IMAP_CAP_CREATE_SPECIAL_USE))
		return NULL;
	switch (role) {
	case EP_ROLE_SENT: return "\\Sent";
	case EP_ROLE_DRAFTS: return "\\Drafts";
	case EP_ROLE_TRASH: return "\\Trash";
	case EP_ROLE_JUNK: return "\\Junk";
	case EP_ROLE_ARCHIVE: return "\\Archive";
	case EP_ROLE_NONE: case EP_ROLE_INBOX: case EP_ROLE_ALL: case EP_ROLE_CALENDAR:
	case EP_ROLE_CONTACTS: case EP_ROLE_TASKS: case EP_ROLES:
		break;
	}
	return NULL;
}

/* --- create --- */

static enum code send_create(struct imap *im, struct imap_making *m, const char *use, struct err *err)
{
	m->call = (struct imap_call){ 0 };
	imap_cmd_begin(im, &m->call, "CREATE");
	imap_cmd_name(im, m->name);
	if (use != NULL)
		imap_cmd_fmt(im, " (USE (%s))", use);
	m->to_list = true;
	return imap_cmd_end(im, &m->call, err);
}

static enum code create_again(struct imap *im, struct imap_making *m, struct err *err)
{
	enum code rc = send_create(im, m, NULL, err);

	return rc == E_OK ? imap_await(im, &m->call, err) : rc;
}

static bool exists_already(const struct imap_call *call)
{
	uint32_t wait_ms;

	return call->status != IMAP_OK && imap_judge(IMAP_AT_FOLDER, call->code, call->text,
			&wait_ms) == E_FOLDER_EXISTS;
}

/* Some servers make no parents by themselves. */
static enum code create_parents(struct imap *im, struct span path, struct err *err)
{
	enum code rc = E_OK;

	for (size_t at = span_find(path, 0, '/'); at != SIZE_MAX && rc == E_OK; at = span_find(path, at + 1, '/')) {
		struct imap_making m = { 0 };

		if (imap_name_of(im, im->arena, span_cut(path, 0, at), 0, &m.name) &&
		    !path_eq(span_cut(path, 0, at), SPAN_LIT("INBOX")))
			rc = create_again(im, &m, err);
	}
	return rc;
}

static enum code send_subscribe(struct imap *im, const char *verb, struct span name, struct err *err)
{
	struct imap_call *call = arena_alloc(im->arena, sizeof(*call));

	imap_cmd_begin(im, call, verb);
	imap_cmd_name(im, name);
	return imap_cmd_end(im, call, err);
}

/* The first try was refused: without its use, with its parents, with more escapes. */
static enum code insist(struct imap *im, struct imap_making *m, struct err *err)
{
	struct imap_call first = m->call;
	enum code rc = send_subscribe(im, "UNSUBSCRIBE", m->name, err);

	if (rc == E_OK && use_of(im, m->op->role) != NULL)
		rc = create_again(im, m, err);
	if (rc == E_OK && m->call.status != IMAP_OK && !exists_already(&m->call) && path_depth(m->op->path) > 1) {
		rc = create_parents(im, m->op->path, err);
		if (rc == E_OK)
			rc = create_again(im, m, err);
	}
	for (unsigned level = 1; level < IMAP_LEVELS && rc == E_OK; level++) {
		struct span other;

		if (m->call.status == IMAP_OK || exists_already(&m->call))
			break;
		if (!imap_name_of(im, im->arena, m->op->path, level, &other) || span_eq(other, m->name))
			continue;
		m->name = other;
		rc = create_again(im, m, err);
	}
	if (rc == E_OK && m->call.status == IMAP_OK)
		return send_subscribe(im, "SUBSCRIBE", m->name, err);
	if (rc == E_OK && !exists_already(&m->call))
		m->call = first;             /* its reason is the one to tell */
	return rc;
}

static void tell_made(struct imap *im, struct imap_making *m, bool found)
{
	struct err why = ERR_INIT;

	if (exists_already(&m->call) && found) {
		m->op->code = E_FOLDER_EXISTS;
	} else if (m->call.status == IMAP_OK && found) {
		m->op->code = E_OK;
		if (m->op->folder_r.role == EP_ROLE_NONE)
			m->op->folder_r.role = m->op->role;
	} else if (m->call.status == IMAP_OK) {
		m->op->code = E_FOLDER_GONE;
	} else {
		refuse(im, m->op, imap_refusal(IMAP_AT_FOLDER, &m->call, &why), &why);
	}
}

/* Those that were sent since the last time. */
static size_t names_to_list(struct imap *im, struct imap_making *m, size_t n, struct span **names_r)
{
	size_t k = 0;

	*names_r = arena_calloc(im->arena, n + 1, sizeof(**names_r));
	for (size_t i = 0; i < n; i++)
		if (m[i].to_list)
			(*names_r)[k++] = m[i].name;
	return k;
}

static enum code list_begin(struct imap *im, struct imap_making *m, size_t n, struct err *err)
{
	struct span *names;
	size_t k = names_to_list(im, m, n, &names);

	return k > 0 ? imap_list_names_begin(im, names, k, err) : E_OK;
}

/* What has become of them. */
static enum code list_end(struct imap *im, struct imap_making *m, size_t n, struct err *err)
{
	struct ep_folder **folders = arena_calloc(im->arena, n + 1, sizeof(*folders));
	bool *found = arena_calloc(im->arena, n + 1, sizeof(*found));
	struct span *names;
	size_t k = names_to_list(im, m, n, &names), at = 0;

	for (size_t i = 0; i < n; i++)
		if (m[i].to_list)
			folders[at++] = &m[i].op->folder_r;
	enum code rc = k > 0 ? imap_list_names_end(im, im->arena, names, k, folders, found, err) : E_OK;
	at = 0;
	for (size_t i = 0; i < n && rc == E_OK; i++)
		if (m[i].to_list) {
			tell_made(im, &m[i], found[at++]);
			m[i].to_list = false;
		}
	return rc;
}

enum code imap_make_begin(struct imap *im, struct imap_making *m, size_t n, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; i < n && rc == E_OK; i++) {
		struct ep_folder_op *op = m[i].op;

		op->code = E_CANCELLED;
		op->text = NULL;
		if (!imap_name_of(im, im->arena, op->path, 0, &m[i].name)) {
			op->code = E_FOLDER_NAME;
			op->text = "the path cannot be written as a name of this server";
			continue;
		}
		op->folder_r.name = m[i].name;
		rc = send_create(im, &m[i], use_of(im, op->role), err);
		if (rc == E_OK)
			rc = send_subscribe(im, "SUBSCRIBE", m[i].name, err);
		if (rc == E_OK)
			rc = imap_await_window(im, WINDOW, err);
	}
	return rc == E_OK ? list_begin(im, m, n, err) : rc;
}

enum code imap_make_end(struct imap *im, struct imap_making *m, size_t n, struct err *err)
{
	enum code rc = list_end(im, m, n, err);

	for (size_t i = 0; i < n && rc == E_OK; i++)
		if (m[i].call.what != NULL && m[i].call.status != IMAP_OK && !exists_already(&m[i].call))
			rc = insist(im, &m[i], err);
	if (rc == E_OK)
		rc = list_begin(im, m, n, err);
	if (rc == E_OK)
		rc = list_end(im, m, n, err);
	return rc == E_OK ? imap_await_window(im, 0, err) : rc;
}

static enum code create_all(struct imap *im, struct imap_making *m, size_t n, struct err *err)
{
	enum code rc = imap_make_begin(im, m, n, err);

	return rc == E_OK ? imap_make_end(im, m, n, err) : rc;
}

/* --- rename --- */

static enum code rename_one(struct imap *im, struct ep_folder_op *op, struct err *err)
{
	struct imap_making m = { .op = op, .to_list = true };
	struct err why = ERR_INIT;
	enum code rc = E_OK;

	if (path_eq(op->folder->path, SPAN_LIT("INBOX")) || path_eq(op->path, SPAN_LIT("INBOX"))) {
		op->code = E_FOLDER_REFUSED;
		op->text = "the inbox cannot be renamed";
		return E_OK;
	}
	for (unsigned level = 0; level < IMAP_LEVELS && rc == E_OK; level++) {
		struct span name;

		if (!imap_name_of(im, im->arena, op->path, level, &name) || span_eq(name, m.name))
			continue;
		m.name = name;
		m.call = (struct imap_call){ 0 };
		imap_cmd_begin(im, &m.call, "RENAME");
		imap_cmd_name(im, op->folder->name);
		imap_cmd_name(im, name);
		rc = imap_cmd_end(im, &m.call, err);
		if (rc == E_OK)
			rc = imap_await(im, &m.call, err);
		if (m.call.status == IMAP_OK || exists_already(&m.call))
			break;
	}
	if (rc != E_OK)
		return rc;
	if (m.call.status != IMAP_OK) {
		if (m.call.what == NULL) {
			op->code = E_FOLDER_NAME;
			op->text = "the path cannot be written as a name of this server";
			return E_OK;
		}
		refuse(im, op, imap_refusal(IMAP_AT_FOLDER, &m.call, &why), &why);
		return E_OK;
	}
	rc = send_subscribe(im, "UNSUBSCRIBE", op->folder->name, err);
	if (rc == E_OK)
		rc = send_subscribe(im, "SUBSCRIBE", m.name, err);
	if (rc == E_OK)
		rc = list_begin(im, &m, 1, err);
	return rc == E_OK ? list_end(im, &m, 1, err) : rc;
}

/* --- remove --- */

struct looking {
	uint32_t messages, uidvalidity;
	bool told, children;
	struct span name;
};

static enum code on_look(void *ctx, struct imap *im, struct imap_resp *r, struct err *err)
{
	struct looking *look = ctx;
	struct imap_tok tok, value;
	struct span attributes;

	(void)err;
	if (!r->has_number && span_eq_nocase_str(r->name, "LIST")) {
		if (imap_next_list(&r->rest, &attributes) && imap_skip(&r->rest) &&
				imap_next(&r->rest, &tok) != IMAP_T_END)
			look->children |= span_find_nocase(attributes, "\\Noselect") == SIZE_MAX &&
					  span_find_nocase(attributes, "\\NonExistent") == SIZE_MAX;
		return E_OK;
	}
	if (r->has_number || !span_eq_nocase_str(r->name, "STATUS") || !imap_skip(&r->rest) ||
	    imap_next(&r->rest, &tok) != IMAP_T_OPEN)
		return E_OK;
	while (imap_next(&r->rest, &tok) == IMAP_T_ATOM && imap_next(&r->rest, &value) == IMAP_T_ATOM) {
		if (span_eq_nocase_str(tok.text, "MESSAGES"))
			look->told = imap_tok_u32(&value, &look->messages);
		else if (span_eq_nocase_str(tok.text, "UIDVALIDITY"))
			(void)imap_tok_u32(&value, &look->uidvalidity);
	}
	(void)im;
	return E_OK;
}

/* STATUS and the list of its children, in one round trip. */
static enum code look_at(struct imap *im, struct span name, struct looking *look, struct imap_call *status,
			 struct err *err)
{
	struct imap_call list = { 0 };
	struct buf pattern;
	enum code rc;

	*status = (struct imap_call){ 0 };
	im->sink = (struct imap_sink){ .data = on_look, .ctx = look };
	imap_cmd_begin(im, status, "STATUS");
	imap_cmd_name(im, name);
	imap_cmd_add(im, " (MESSAGES UIDVALIDITY)");
	rc = imap_cmd_end(im, status, err);
	if (rc == E_OK && im->separator != '\0') {
		buf_init(&pattern, 64 * 1024);
		buf_add_span(&pattern, name);
		buf_add_char(&pattern, im->separator);
		buf_add_str(&pattern, "%");
		imap_cmd_begin(im, &list, "LIST");
		imap_cmd_add(im, " \"\"");
		imap_cmd_name(im, buf_span(&pattern));
		rc = imap_cmd_end(im, &list, err);
		buf_free(&pattern);
	}
	if (rc == E_OK)
		rc = imap_await_window(im, 0, err);
	im->sink = (struct imap_sink){ 0 };
	return rc;
}

/* DELETE of the selected mailbox is an error; leave it without CLOSE, which would expunge. */
static enum code leave(struct imap *im, struct span name, struct err *err)
{
	struct imap_call call;

	if (im->sel.box == NULL || !span_eq(im->sel.box->name, name))
		return E_OK;
	if (imap_can(im, IMAP_CAP_UNSELECT)) {
		enum code rc = imap_cmd_run(im, &call, "UNSELECT", err);

		im->sel = (struct imap_selected){ 0 };
		return rc;
	}
	return imap_select(im, SPAN_LIT("INBOX"), &call, err);
}

static enum code delete_now(struct imap *im, struct ep_folder_op *op, struct err *err)
{
	struct imap_call call = { 0 };
	struct err why = ERR_INIT;
	enum code rc = leave(im, op->folder->name, err);

	imap_cmd_begin(im, &call, "DELETE");
	imap_cmd_name(im, op->folder->name);
	if (rc == E_OK)
		rc = imap_cmd_end(im, &call, err);
	if (rc == E_OK)
		rc = imap_await(im, &call, err);
	if (rc == E_OK && call.status == IMAP_OK) {
		op->code = E_OK;
		rc = send_subscribe(im, "UNSUBSCRIBE", op->folder->name, err);
		return rc == E_OK ? imap_await_window(im, 0, err) : rc;
	}
	if (rc == E_OK)
		refuse(im, op, imap_refusal(IMAP_AT_FOLDER, &call, &why), &why);
	return rc;
}

static enum code remove_one(struct imap *im, struct ep_folder_op *op, struct err *err)
{
	struct looking look = { .name = op->folder->name };
	const struct imap_box *box = imap_box(im, op->folder->name);
	struct imap_call status;
	struct err why = ERR_INIT;
	enum code rc = look_at(im, op->folder->name, &look, &status, err);

	if (rc != E_OK)
		return rc;
	op->code = E_FOLDER_REFUSED;
	if (path_eq(op->folder->path, SPAN_LIT("INBOX")))
		op->text = "the inbox cannot be removed";
	else if (look.children)
		op->text = "the folder has folders below it";
	else if (op->folder->selectable && status.status != IMAP_OK)
		refuse(im, op, imap_refusal(IMAP_AT_FOLDER, &status, &why), &why);
	else if (op->folder->selectable && (!look.told || look.messages > 0))
		op->text = "the folder is not empty";
	else if (box->uidvalidity != 0 && look.uidvalidity != 0 && look.uidvalidity != box->uidvalidity)
		op->text = "the folder was replaced meanwhile (its UIDVALIDITY changed)";
	else
		rc = delete_now(im, op, err);
	return rc;
}

enum code imap_folders_verb(struct endpoint *ep, struct arena *arena, struct ep_folder_op *ops, size_t n,
			    struct err *err)
{
	struct imap *im = ep->impl;
	struct imap_making *m = arena_calloc(arena, n + 1, sizeof(*m));
	enum code rc = imap_enter(im, arena, err);

	for (size_t i = 0; i < n; i++) {
		ops[i].code = E_CANCELLED;
		ops[i].text = NULL;
	}
	for (size_t i = 0; i < n && rc == E_OK;) {
		size_t run = 0;

		while (i + run < n && ops[i + run].kind == EP_FOLDER_CREATE) {
			m[run] = (struct imap_making){ .op = &ops[i + run] };
			run++;
		}
		if (run > 0)
			rc = create_all(im, m, run, err);
		else if (ops[i].kind == EP_FOLDER_RENAME)
			rc = rename_one(im, &ops[i], err);
		else
			rc = remove_one(im, &ops[i], err);
		i += run > 0 ? run : 1;
	}
	return rc;
}
