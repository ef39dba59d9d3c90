/* ews_props.c - MAPI properties by tag, named ones, and our own. */
#include "ews.h"

#define TAG(var, number, kind) const struct ews_prop var = { .tag = number, .type = kind }
#define SET(var, where, number, kind) const struct ews_prop var = { .set = where, .id = number, .type = kind }
#define OWN(var, word, kind) const struct ews_prop var = { .set = EWS_GUID, .name = word, .type = kind }

TAG(ews_message_flags, 0x0E07, "Integer");
TAG(ews_delivery_time, 0x0E06, "SystemTime");
TAG(ews_verb, 0x1081, "Integer");        /* 102 reply, 103 reply to all, 104 forward */
TAG(ews_icon, 0x1080, "Integer");        /* 261 replied, 262 forwarded */
TAG(ews_flag_status, 0x1090, "Integer"); /* 1 complete, 2 flagged */
TAG(ews_receipt_wanted, 0x0029, "Boolean");
TAG(ews_search_key, 0x300B, "Binary");   /* stays with an item that is moved */
TAG(ews_hidden, 0x10F4, "Boolean");
TAG(ews_commit_time, 0x670A, "SystemTime");  /* the last change of anything in a folder */
TAG(ews_deleted_count, 0x670B, "Integer");
SET(ews_imap_deleted, "Common", 0x8570, "Integer");
OWN(ews_identity, "MailShadowIdentity", "Binary");   /* a mail's identity fields as they were created */
OWN(ews_keywords, "MailShadowKeywords", "String");   /* those that must not become categories */
OWN(ews_uid, "MailShadowUid", "String");             /* a record's UID where there is no field for it */
OWN(ews_pending, "MailShadowPending", "String");     /* a series whose exceptions are not all made yet: all of it */
OWN(ews_rest, "MailShadowRest", "String");           /* what of a record has no field */
