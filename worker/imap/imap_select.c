/* imap_select.c - selecting mailboxes, and what PERMANENTFLAGS say.
 *
 * SELECT, not EXAMINE: only SELECT tells which flags can be stored, and the mailbox is usually
 * written to next.
 */
#include "imap_cmd.h"

#include "../../common/clock.h"
#include "../data/flags.h"

#define SEEN_MS 2000               /* so long after a SELECT its mailbox counts as seen */

bool imap_seen_lately(const struct imap *im, const struct imap_box *box)
{
	return im->conn != NULL && box->uidvalidity != 0 && box->seen_uidvalidity == box->uidvalidity &&
	       box->perm_known && clock_mono_ms() - box->seen_ms < SEEN_MS;
}

enum code imap_send_select(struct imap *im, struct imap_call *call, struct span name, const char *params,
			   struct err *err)
{
	imap_cmd_begin(im, call, "SELECT");
	imap_cmd_name(im, name);
	imap_cmd_add(im, params);
	call->select = imap_box(im, name);
	call->again = imap_seen_lately(im, call->select);
	return imap_cmd_end(im, call, err);
}

enum code imap_select(struct imap *im, struct span name, struct imap_call *call_r, struct err *err)
{
	*call_r = (struct imap_call){ .what = "SELECT" };
	if (im->sel.box != NULL && span_eq(im->sel.box->name, name)) {
		call_r->status = IMAP_OK;
		return E_OK;
	}
	enum code rc = imap_send_select(im, call_r, name, imap_can(im, IMAP_CAP_CONDSTORE) ? " (CONDSTORE)" : "", err);
	return rc == E_OK ? imap_await(im, call_r, err) : rc;
}

enum code imap_select_verdict(struct imap *im, const struct imap_call *call, struct err *err)
{
	const struct imap_box *box = im->sel.box;

	if (call->status != IMAP_OK)
		return imap_refusal(IMAP_AT_FOLDER, call, err);
	if (box != NULL && box->uidvalidity != 0 && im->sel.uidvalidity != box->uidvalidity)
		return err_set(err, E_FOLDER_GONE, "the folder was replaced meanwhile (its UIDVALIDITY changed)");
	return E_OK;
}

static uint32_t system_flag(struct span word)
{
	for (size_t i = 0; i < ARRAY_LEN(imap_flag_names); i++)
		if (span_eq_nocase_str(word, imap_flag_names[i].name))
			return imap_flag_names[i].flag;
	return 0;
}

uint32_t imap_flags_parse(struct arena *arena, struct span inner, const char **keywords_r, bool *star_r)
{
	struct span rest = inner, word;
	uint32_t flags = 0;
	bool keywords = false, star = false;

	/* most messages have system flags only: look before anything is copied */
	while (rest.n > 0 && span_next(&rest, ' ', &word)) {
		if (word.n == 0)
			continue;
		if (word.p[0] != '\\')
			keywords = true;
		else if (span_eq_str(word, "\\*"))
			star = true;
		else
			flags |= system_flag(word);
	}
	if (star_r != NULL)
		*star_r = star;
	*keywords_r = NULL;
	if (!keywords)
		return flags;
	char *text = arena_raw(arena, inner.n + 1);
	size_t n = 0;
	for (rest = inner; rest.n > 0 && span_next(&rest, ' ', &word);)
		if (word.n > 0 && word.p[0] != '\\') {
			memcpy(text + n, word.p, word.n);
			n += word.n;
			text[n++] = ' ';
		}
	*keywords_r = kw_from(arena, span_bytes(text, n));
	return flags;
}
