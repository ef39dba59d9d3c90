/* ews_error.c - the table of ResponseCodes. What is not in it concerns one item. */
#include "ews_error.h"

#define IMPERSONATE "give LoginName the role ApplicationImpersonation for this mailbox " \
		    "(scripts/rights/exchange-impersonation.ps1), or set Access to delegate"
#define ADDRESS "SMTPName must be the mailbox's primary address"

static const struct row {
	const char *name;
	enum code code;
	const char *advice;          /* what a person can do; NULL: the code's own remedy says it */
} rows[] = {
	{ "NoError", E_OK, NULL },
	/* the logon, or the right to open this mailbox */
	{ "ErrorAccountDisabled", E_LOGON_FAILED, NULL }, { "ErrorPasswordExpired", E_LOGON_FAILED, NULL },
	{ "ErrorPasswordChangeRequired", E_LOGON_FAILED, NULL },
	{ "ErrorImpersonateUserDenied", E_LOGON_FAILED, IMPERSONATE },
	{ "ErrorImpersonationDenied", E_LOGON_FAILED, IMPERSONATE },
	{ "ErrorImpersonationFailed", E_LOGON_FAILED, IMPERSONATE },
	{ "ErrorInvalidUserPrincipalName", E_LOGON_FAILED, NULL },
	{ "ErrorInvalidExchangeImpersonationHeaderData", E_LOGON_FAILED, NULL },
	{ "ErrorNonExistentMailbox", E_LOGON_FAILED, ADDRESS },
	{ "ErrorMissingEmailAddress", E_LOGON_FAILED, ADDRESS },
	{ "ErrorNonPrimarySmtpAddress", E_LOGON_FAILED, ADDRESS },
	{ "ErrorMailboxConfiguration", E_LOGON_FAILED, NULL }, { "ErrorAccountSuspend", E_LOGON_FAILED, NULL },
	/* the store cannot be opened now */
	{ "ErrorMailboxStoreUnavailable", E_STORE_FAILED, NULL },
	{ "ErrorMailboxLogonFailed", E_STORE_FAILED, NULL }, { "ErrorConnectionFailed", E_STORE_FAILED, NULL },
	{ "ErrorMailboxFailover", E_STORE_FAILED, NULL },
	{ "ErrorMailboxMoveInProgress", E_STORE_FAILED, NULL }, { "ErrorADUnavailable", E_STORE_FAILED, NULL },
	{ "ErrorADOperation", E_STORE_FAILED, NULL },
	{ "ErrorNoRespondingCASInDestinationSite", E_STORE_FAILED, NULL },
	{ "ErrorProxyCallFailed", E_STORE_FAILED, NULL }, { "ErrorCrossSiteRequest", E_STORE_FAILED, NULL },
	/* later */
	{ "ErrorServerBusy", E_THROTTLED, NULL }, { "ErrorExceededConnectionCount", E_THROTTLED, NULL },
	{ "ErrorExceededSubscriptionCount", E_THROTTLED, NULL },
	{ "ErrorExceededFindCountLimit", E_THROTTLED, NULL },
	{ "ErrorTooManyObjectsOpened", E_THROTTLED, NULL }, { "ErrorInsufficientResources", E_THROTTLED, NULL },
	{ "ErrorInternalServerTransientError", E_SERVER, NULL }, { "ErrorTimeoutExpired", E_SERVER, NULL },
	{ "ErrorInternalServerError", E_SERVER, NULL }, { "ErrorQuotaExceeded", E_QUOTA, NULL },
	{ "ErrorMessagePerFolderCountReceiveQuotaExceeded", E_QUOTA, NULL },
	/* one item */
	{ "ErrorItemNotFound", E_ITEM_GONE, NULL }, { "ErrorObjectTypeChanged", E_ITEM_GONE, NULL },
	{ "ErrorIrresolvableConflict", E_ITEM_CHANGED, NULL }, { "ErrorStaleObject", E_ITEM_CHANGED, NULL },
	{ "ErrorInvalidChangeKey", E_ITEM_CHANGED, NULL }, { "ErrorMessageSizeExceeded", E_ITEM_TOO_BIG, NULL },
	{ "ErrorDataSizeLimitExceeded", E_ITEM_TOO_BIG, NULL },
	/* one occurrence: taken out, behind the last, or of what is no series any more */
	{ "ErrorCalendarOccurrenceIsDeletedFromRecurrence", E_ITEM_GONE, NULL },
	{ "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange", E_ITEM_GONE, NULL },
	{ "ErrorCalendarCannotUseIdForRecurringMasterId", E_ITEM_GONE, NULL },
	/* one folder */
	{ "ErrorFolderNotFound", E_FOLDER_GONE, NULL }, { "ErrorSyncFolderNotFound", E_FOLDER_GONE, NULL },
	{ "ErrorParentFolderNotFound", E_FOLDER_GONE, NULL }, { "ErrorToFolderNotFound", E_FOLDER_GONE, NULL },
	{ "ErrorFolderExists", E_FOLDER_EXISTS, NULL }, { "ErrorAccessDenied", E_FOLDER_REFUSED, NULL },
	{ "ErrorCreateItemAccessDenied", E_FOLDER_REFUSED, NULL },
	/* we are wrong */
	{ "ErrorSchemaValidation", E_INTERNAL, NULL }, { "ErrorInvalidRequest", E_INTERNAL, NULL },
};

static const struct row *row_of(struct span response_code)
{
	static const struct row unknown = { "", E_ITEM_REFUSED, NULL };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (span_eq_str(response_code, rows[i].name))
			return &rows[i];
	return &unknown;
}

enum code ews_error_code(struct span response_code)
{
	return row_of(response_code)->code;
}

const char *ews_error_advice(struct span response_code)
{
	return row_of(response_code)->advice;
}

bool ews_error_stopped(struct span response_code)
{
	return span_eq_str(response_code, "ErrorBatchProcessingStopped");
}

bool ews_error_is_side(enum code rc)
{
	return rc != E_OK && rc != E_QUOTA && code_scope(rc) != SCOPE_ITEM && code_scope(rc) != SCOPE_FOLDER;
}

bool ews_error_version(struct span response_code)
{
	static const char *const names[] = { "ErrorInvalidServerVersion", "ErrorIncorrectSchemaVersion",
					     "ErrorInvalidSchemaVersionForMailboxVersion" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_eq_str(response_code, names[i]))
			return true;
	return false;
}
