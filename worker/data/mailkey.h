/* mailkey.h - the identity of a message across servers.
 *
 * The fingerprint is a digest of Message-ID, Date, From, To, Cc and Subject, normalised so that
 * servers that refold, trim or replace 8-bit bytes do not change it: each run of control and 8-bit
 * bytes (and of the '?' that some put in their place) counts as one '?', white space is dropped, encoded words
 * (RFC 2047) count as what they say, field
 * order does not matter, an empty field is none, of several the first counts. Never one header alone.
 * Received time, size and body hash are the tie-breakers of whoever compares.
 */
#ifndef MS_MAILKEY_H
#define MS_MAILKEY_H

#include "../../common/arena.h"

#define MAILKEY_SIZE 16
/* The header fields that a describe has to deliver, for a protocol that can ask for single ones. */
#define MAILKEY_FIELDS "MESSAGE-ID DATE FROM TO CC SUBJECT"

struct mailkey {
	uint8_t fp[MAILKEY_SIZE];
	bool has_msgid;
	int64_t msgid;               /* mailkey_msgid_number() of the Message-ID; 0 = none */
};

/* header: raw header lines (more fields than needed are fine), ends at an empty line or its end. */
struct mailkey mailkey_of(struct span header);
/* The Message-ID's value without blanks around it; SPAN_NONE if there is none. Points into header. */
struct span mailkey_msgid(struct span header);
/* A number for a Message-ID (with or without its brackets), never 0 or 1; by it a state that keeps no
 * header finds an item again. 0 for an empty one. */
int64_t mailkey_msgid_number(struct span msgid);
/* The Subject's value as it stands, folds included; SPAN_NONE if there is none. Points into header. */
struct span mailkey_subject(struct span header);
/* Only the fields that count, raw, each with its line end: what a describe delivers. In the arena;
 * mailkey_of() of it equals that of the whole header. */
struct span mailkey_fields(struct arena *arena, struct span header);

#endif
