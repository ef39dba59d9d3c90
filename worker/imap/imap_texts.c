/* imap_texts.c - what a server's refusals mean, as one table: the response code where it is one that
 * can be trusted, else a piece of the text. The first row that fits wins.
 *
 * Gmail's codes are irregular and its XOAUTH2 challenge may say 400 for "too many connections", so
 * the final text decides, never a challenge. Its test: tests/unit/t_imap_texts.c.
 */
#include "imap.h"

#define ANY (IMAP_AT_LOGON | IMAP_AT_STORE | IMAP_AT_FOLDER | IMAP_AT_ITEM)
#define BOXES (IMAP_AT_FOLDER | IMAP_AT_ITEM)
#define MINUTE 60000U
#define HOUR (60U * MINUTE)

static const struct row {
	unsigned when;
	const char *code;        /* "" = any */
	const char *text;        /* "" = any; a piece, case ignored */
	enum code result;
	uint32_t wait_ms;
} rows[] = {
	/* switched off, and people wanted: before anything that only looks at codes */
	{ ANY, "", "not enabled for IMAP", E_IMAP_DISABLED, 0 },
	{ ANY, "", "IMAP access is disabled", E_IMAP_DISABLED, 0 },
	{ ANY, "", "IMAP is disabled", E_IMAP_DISABLED, 0 },
	{ ANY, "", "IMAP access not enabled", E_IMAP_DISABLED, 0 },
	{ ANY, "WEBALERT", "", E_WEB_LOGIN, 0 },
	{ ANY, "", "web login required", E_WEB_LOGIN, 0 },
	{ ANY, "", "log in via your web browser", E_WEB_LOGIN, 0 },
	/* slower, please */
	{ ANY, "", "command or bandwidth limits", E_THROTTLED, HOUR },
	{ ANY, "", "too many simultaneous connections", E_THROTTLED, MINUTE },
	{ ANY, "", "maximum number of connections", E_THROTTLED, MINUTE },
	{ ANY, "", "too many connections", E_THROTTLED, MINUTE },
	{ ANY, "THROTTLED", "", E_THROTTLED, MINUTE },
	{ ANY, "", "[THROTTLED]", E_THROTTLED, MINUTE },
	{ ANY, "", "server busy", E_THROTTLED, MINUTE },
	{ IMAP_AT_LOGON | IMAP_AT_STORE, "LIMIT", "", E_THROTTLED, MINUTE },
	/* logging on */
	{ IMAP_AT_LOGON, "", "application-specific password", E_LOGON_FAILED, 0 },
	{ IMAP_AT_LOGON, "AUTHENTICATIONFAILED", "", E_LOGON_FAILED, 0 },
	{ IMAP_AT_LOGON, "AUTHORIZATIONFAILED", "", E_LOGON_FAILED, 0 },
	{ IMAP_AT_LOGON, "EXPIRED", "", E_LOGON_FAILED, 0 },
	{ IMAP_AT_LOGON, "PRIVACYREQUIRED", "", E_TLS, 0 },
	{ IMAP_AT_LOGON, "UNAVAILABLE", "", E_SERVER, 0 },
	{ IMAP_AT_LOGON, "INUSE", "", E_SERVER, 0 },
	{ IMAP_AT_LOGON, "SERVERBUG", "", E_SERVER, 0 },
	{ IMAP_AT_LOGON, "CONTACTADMIN", "", E_SERVER, 0 },
	{ IMAP_AT_LOGON, "", "temporary authentication failure", E_SERVER, 0 },
	{ IMAP_AT_LOGON, "", "temporary system problem", E_SERVER, 0 },
	{ IMAP_AT_LOGON, "", "", E_LOGON_FAILED, 0 },
	{ IMAP_AT_STORE, "", "", E_STORE_FAILED, 0 },
	/* mailboxes and messages */
	{ BOXES, "UNAVAILABLE", "temporary system problem", E_SERVER, 0 },
	{ IMAP_AT_ITEM, "OVERQUOTA", "larger than the maximum", E_ITEM_TOO_BIG, 0 },
	{ IMAP_AT_ITEM, "", "larger than the maximum size", E_ITEM_TOO_BIG, 0 },
	{ IMAP_AT_ITEM, "TOOBIG", "", E_ITEM_TOO_BIG, 0 },
	{ IMAP_AT_ITEM, "", "message too large", E_ITEM_TOO_BIG, 0 },
	{ IMAP_AT_ITEM, "", "exceeds maximum message size", E_ITEM_TOO_BIG, 0 },
	{ IMAP_AT_ITEM, "", "message size exceeds", E_ITEM_TOO_BIG, 0 },
	{ BOXES, "OVERQUOTA", "", E_QUOTA, 0 },
	{ BOXES, "", "over quota", E_QUOTA, 0 },
	{ BOXES, "", "quota exceeded", E_QUOTA, 0 },
	{ BOXES, "TRYCREATE", "", E_FOLDER_GONE, 0 },
	{ BOXES, "NONEXISTENT", "", E_FOLDER_GONE, 0 },
	{ BOXES, "", "mailbox doesn't exist", E_FOLDER_GONE, 0 },
	{ BOXES, "", "mailbox does not exist", E_FOLDER_GONE, 0 },
	{ IMAP_AT_FOLDER, "ALREADYEXISTS", "", E_FOLDER_EXISTS, 0 },
	{ IMAP_AT_FOLDER, "", "already exists", E_FOLDER_EXISTS, 0 },
	{ IMAP_AT_FOLDER, "CANNOT", "", E_FOLDER_NAME, 0 },
	{ IMAP_AT_FOLDER, "", "invalid mailbox name", E_FOLDER_NAME, 0 },
	{ IMAP_AT_FOLDER, "", "excess whitespace", E_FOLDER_NAME, 0 },
	{ IMAP_AT_ITEM, "EXPUNGEISSUED", "", E_ITEM_GONE, 0 },
	{ IMAP_AT_FOLDER, "", "", E_FOLDER_REFUSED, 0 },
	{ IMAP_AT_ITEM, "", "", E_ITEM_REFUSED, 0 },
};

enum code imap_judge(enum imap_when when, struct span code, struct span text, uint32_t *wait_ms_r)
{
	*wait_ms_r = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];

		if (!(r->when & when))
			continue;
		if (r->code[0] != '\0' && !span_eq_nocase_str(code, r->code))
			continue;
		if (r->text[0] != '\0' && span_find_nocase(text, r->text) == SIZE_MAX)
			continue;
		*wait_ms_r = r->wait_ms;
		return r->result;
	}
	return E_SERVER;
}

enum code imap_refusal(enum imap_when when, const struct imap_call *call, struct err *err)
{
	uint32_t wait_ms;
	enum code code = imap_judge(when, call->code, call->text, &wait_ms);
	struct span text = span_cut(call->text, 0, 300);
	/* a person must see the page where to log in, also if the text does not name it */
	bool page = code == E_WEB_LOGIN && call->args.n > 0 && span_find_nocase(text, "://") == SIZE_MAX;

	err_set(err, code, "the server refused %s: %s" SPAN_FMT "%s" SPAN_FMT, call->what,
		text.n == 0 ? "it gave no reason" : "", SPAN_ARG(text), page ? " Page: " : "",
		SPAN_ARG(page ? span_cut(call->args, 0, 150) : SPAN_NONE));
	if (err != NULL)
		err->wait_ms = wait_ms;
	return code;
}

bool imap_says_slower(struct span code, struct span text)
{
	return span_eq_nocase_str(code, "THROTTLED") || span_find_nocase(text, "[THROTTLED]") != SIZE_MAX;
}
