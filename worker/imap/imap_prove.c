/* imap_prove.c - one round trip before many APPENDs, so that they need not wait for "+" each.
 *
 * SELECT the folders whose name or flags are not known yet, and try the keywords in a STORE to a UID
 * that no message has. What was understood there is understood in an APPEND (imap_append.c, the
 * literal trap). Its tests: tests/unit/t_imap_session.c.
 */
#include "imap_cmd.h"

#include "../data/flags.h"

#define WINDOW 40                  /* commands under way at the most */

/* Each was accepted in an APPEND or a trial, or is one that the server itself names for this mailbox. */
bool imap_keywords_proven(const struct imap *im, const struct imap_box *box, const char *keywords)
{
	struct span rest = span_of(keywords), word;

	while (rest.n > 0 && span_next(&rest, ' ', &word))
		if (!kw_has(im->keywords_proven, word) && !kw_has(box->keywords, word))
			return false;
	return true;
}

/* A folder that cannot be selected will refuse the APPEND and say why. */
static enum code send_selects(struct imap *im, struct ep_op **ops, size_t n, struct imap_call **last_r, struct err *err)
{
	const struct imap_box *last = NULL;
	enum code rc = E_OK;

	for (size_t i = 0; i < n && rc == E_OK; i++) {
		const struct imap_box *box = imap_box(im, ops[i]->folder->name);

		if (box == last || (box->proven && box->perm_known))
			continue;
		last = box;
		*last_r = arena_calloc(im->arena, 1, sizeof(**last_r));
		rc = imap_send_select(im, *last_r, ops[i]->folder->name,
				      imap_can(im, IMAP_CAP_CONDSTORE) ? " (CONDSTORE)" : "", err);
		if (rc == E_OK)
			rc = imap_await_window(im, WINDOW, err);
	}
	return rc;
}

/* In the mailbox that the SELECT in front of it leads to; without one BAD is the answer to expect. It has no literal,
 * so BAD is a refusal like another one. */
static enum code send_trial(struct imap *im, struct imap_call *call, const char *words, struct err *err)
{
	call->bad_is_no = true;
	imap_cmd_begin(im, call, "UID STORE");
	imap_cmd_add(im, " 4294967295 +FLAGS.SILENT");
	imap_cmd_flags(im, 0, words);
	return imap_cmd_end(im, call, err);
}

/* All keywords that an APPEND would have to wait for; one alone is not worth a trial. */
static const char *unproven(struct imap *im, struct ep_op **ops, size_t n)
{
	const char *words = NULL;

	for (size_t i = 0; i < n; i++)
		if (ops[i]->keywords != NULL &&
		    !imap_keywords_proven(im, imap_box(im, ops[i]->folder->name), ops[i]->keywords))
			words = kw_union(im->arena, words, kw_minus(im->arena, ops[i]->keywords, im->keywords_proven));
	return words != NULL && strchr(words, ' ') != NULL ? words : NULL;
}

struct trial {
	struct imap *im;
	struct imap_call call;
	const char *words;
};

static void on_trial(void *ctx, struct imap_call *call)
{
	struct trial *t = ctx;

	if (call->status == IMAP_OK)
		t->im->keywords_proven = kw_union(t->im->life, t->im->keywords_proven, t->words);
	t->im->no_trial |= call->status == IMAP_BAD;     /* ask for each "+" as ever */
}

/* Lives as long as the endpoint: whoever sends it need not wait. */
static enum code try_words(struct imap *im, const char *words, struct err *err)
{
	struct trial *t = arena_calloc(im->life, 1, sizeof(*t));

	*t = (struct trial){ .im = im, .words = kw_union(im->life, NULL, words),
			     .call = { .aside = true, .done = on_trial, .ctx = t } };
	return send_trial(im, &t->call, words, err);
}

enum code imap_prove(struct imap *im, struct ep_op **ops, size_t n, struct err *err)
{
	const char *words = im->no_trial ? NULL : unproven(im, ops, n);
	struct imap_call *last = NULL;
	bool tried;
	enum code rc = send_selects(im, ops, n, &last, err);

	tried = words != NULL && (last != NULL || im->sel.box != NULL);
	if (rc == E_OK && tried)
		rc = try_words(im, words, err);
	return rc == E_OK && (last != NULL || tried) ? imap_await_window(im, 0, err) : rc;
}

/* --- ahead of the bodies --- */

/* Folders that are not known well enough: to write to, or to remove from (imap_apply.c). */
static enum code look_at(struct imap *im, const struct ep_target *t, struct err *err)
{
	const struct imap_box *box = imap_box(im, t->folder->name);

	if (box->proven && box->perm_known && !t->removes)
		return E_OK;
	struct imap_call *call = arena_calloc(im->life, 1, sizeof(*call));
	enum code rc = imap_send_select(im, call, t->folder->name,
					imap_can(im, IMAP_CAP_CONDSTORE) ? " (CONDSTORE)" : "", err);
	return rc == E_OK ? imap_await_window(im, WINDOW, err) : rc;
}

enum code imap_prepare_verb(struct endpoint *ep, struct arena *arena, struct ep_target *targets, size_t n,
			    struct err *err)
{
	struct imap *im = ep->impl;
	const char *words = NULL;
	enum code rc = imap_enter(im, arena, err);

	for (size_t i = 0; i < n && rc == E_OK; i++) {
		if (!imap_keywords_proven(im, imap_box(im, targets[i].folder->name), targets[i].keywords))
			words = kw_union(arena, words, kw_minus(arena, targets[i].keywords, im->keywords_proven));
		rc = look_at(im, &targets[i], err);
	}
	if (rc == E_OK && words != NULL && !im->no_trial && (im->n_calls > 0 || im->sel.box != NULL))
		rc = try_words(im, words, err);
	return rc == E_OK ? conn_flush(im->conn, err) : rc;
}
