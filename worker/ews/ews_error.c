/* ews_error.c - the table of ResponseCodes. What is not in it concerns one item. */
#include "ews_error.h"

static const struct row {
	const char *name;
	enum code code;
} rows[] = {
	{ "NoError", E_OK },
	/* the logon, or the right to open this mailbox */
	{ "ErrorAccountDisabled", E_LOGON_FAILED }, { "ErrorPasswordExpired", E_LOGON_FAILED },
	{ "ErrorPasswordChangeRequired", E_LOGON_FAILED }, { "ErrorImpersonateUserDenied", E_LOGON_FAILED },
	{ "ErrorImpersonationDenied", E_LOGON_FAILED }, { "ErrorImpersonationFailed", E_LOGON_FAILED },
	{ "ErrorInvalidUserPrincipalName", E_LOGON_FAILED },
	{ "ErrorInvalidExchangeImpersonationHeaderData", E_LOGON_FAILED },
	{ "ErrorNonExistentMailbox", E_LOGON_FAILED }, { "ErrorMissingEmailAddress", E_LOGON_FAILED },
	{ "ErrorNonPrimarySmtpAddress", E_LOGON_FAILED }, { "ErrorMailboxConfiguration", E_LOGON_FAILED },
	{ "ErrorAccountSuspend", E_LOGON_FAILED },
	/* the store cannot be opened now */
	{ "ErrorMailboxStoreUnavailable", E_STORE_FAILED }, { "ErrorMailboxLogonFailed", E_STORE_FAILED },
	{ "ErrorConnectionFailed", E_STORE_FAILED }, { "ErrorMailboxFailover", E_STORE_FAILED },
	{ "ErrorMailboxMoveInProgress", E_STORE_FAILED }, { "ErrorADUnavailable", E_STORE_FAILED },
	{ "ErrorADOperation", E_STORE_FAILED }, { "ErrorNoRespondingCASInDestinationSite", E_STORE_FAILED },
	{ "ErrorProxyCallFailed", E_STORE_FAILED }, { "ErrorCrossSiteRequest", E_STORE_FAILED },
	/* later */
	{ "ErrorServerBusy", E_THROTTLED }, { "ErrorExceededConnectionCount", E_THROTTLED },
	{ "ErrorExceededSubscriptionCount", E_THROTTLED }, { "ErrorExceededFindCountLimit", E_THROTTLED },
	{ "ErrorTooManyObjectsOpened", E_THROTTLED }, { "ErrorInsufficientResources", E_THROTTLED },
	{ "ErrorInternalServerTransientError", E_SERVER }, { "ErrorTimeoutExpired", E_SERVER },
	{ "ErrorInternalServerError", E_SERVER },
	{ "ErrorQuotaExceeded", E_QUOTA }, { "ErrorMessagePerFolderCountReceiveQuotaExceeded", E_QUOTA },
	/* one item */
	{ "ErrorItemNotFound", E_ITEM_GONE }, { "ErrorObjectTypeChanged", E_ITEM_GONE },
	{ "ErrorIrresolvableConflict", E_ITEM_CHANGED }, { "ErrorStaleObject", E_ITEM_CHANGED },
	{ "ErrorInvalidChangeKey", E_ITEM_CHANGED },
	{ "ErrorMessageSizeExceeded", E_ITEM_TOO_BIG }, { "ErrorDataSizeLimitExceeded", E_ITEM_TOO_BIG },
	/* one folder */
	{ "ErrorFolderNotFound", E_FOLDER_GONE }, { "ErrorSyncFolderNotFound", E_FOLDER_GONE },
	{ "ErrorParentFolderNotFound", E_FOLDER_GONE }, { "ErrorToFolderNotFound", E_FOLDER_GONE },
	{ "ErrorFolderExists", E_FOLDER_EXISTS }, { "ErrorAccessDenied", E_FOLDER_REFUSED },
	{ "ErrorCreateItemAccessDenied", E_FOLDER_REFUSED },
	/* we are wrong */
	{ "ErrorSchemaValidation", E_INTERNAL }, { "ErrorInvalidRequest", E_INTERNAL },
};

enum code ews_error_code(struct span response_code)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (span_eq_str(response_code, rows[i].name))
			return rows[i].code;
	return E_ITEM_REFUSED;
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
