/* recordkey.h - the identity of an event, task or contact across servers, in the form that mail has.
 *
 * By it items are paired at first contact and after a loss of the state (record_key() in record.h
 * says what decides); where there is no UID, by the whole content that counts.
 */
#ifndef MS_RECORDKEY_H
#define MS_RECORDKEY_H

#include "mailkey.h"
#include "record.h"

/* fp: of kind and UID, or of the content. msgid: mailkey_msgid_number(UID), so that people find the item
 * by its UID as they find mail by its Message-ID; 0 without a UID. */
struct mailkey recordkey_of(struct arena *arena, const struct record *record);
/* A number for record_key_fallback(); 0 = there is none. */
uint64_t recordkey_fallback(struct arena *arena, const struct record *record);

#endif
