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

/* In the mailbox that the SELECT in front of it leads to; without one BAD is the answer to expect. */
static enum code send_trial(struct imap *im, struct imap_call *call, const char *words, struct err *err)
{
	imap_cmd_begin(im, call, "UID STORE");
	imap_cmd_add(im, " 4294967295 +FLAGS.SILENT");
	imap_cmd_flags(im, 0, words);
	return imap_cmd_end(im, call, err);
}

enum code imap_prove(struct imap *im, struct ep_op **ops, size_t n, struct err *err)
{
	struct imap_call *trial = arena_calloc(im->arena, 1, sizeof(*trial)), *last = NULL;
	const char *words = im->no_trial ? NULL : unproven(im, ops, n);
	enum code rc = send_selects(im, ops, n, &last, err);

	trial->after = last;
	if (rc == E_OK && words != NULL && (last != NULL || im->sel.box != NULL))
		rc = send_trial(im, trial, words, err);
	if (rc == E_OK && (last != NULL || trial->tag != 0))
		rc = imap_await_window(im, 0, err);
	if (trial->status == IMAP_OK)
		im->keywords_proven = kw_union(im->life, im->keywords_proven, words);
	if (trial->status != IMAP_BAD || im->conn != NULL)
		return rc;
	im->no_trial = true;                 /* it ended the connection: ask for each "+" as ever */
	err_clear(err);
	return imap_connect(im, err);
}
