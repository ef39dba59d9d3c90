/* recordkey.c - identities of records as fingerprints. */
#include "recordkey.h"

#include "../../common/secret.h"

struct mailkey recordkey_of(struct arena *arena, const struct record *record)
{
	struct span id = record_key(arena, record);
	struct digest *d = digest_new();
	const uint8_t tag[2] = { id.n > 0 ? 'u' : 'c', (uint8_t)record->kind };
	uint8_t full[DIGEST_SIZE];
	struct mailkey key = { .has_msgid = id.n > 0, .msgid = mailkey_msgid_number(record->uid) };

	if (id.n == 0)
		id = record_canonical(arena, record);
	digest_add(d, tag, sizeof(tag));
	digest_add(d, id.p, id.n);
	digest_end(&d, full);
	memcpy(key.fp, full, sizeof(key.fp));
	return key;
}

uint64_t recordkey_fallback(struct arena *arena, const struct record *record)
{
	struct span text = record_key_fallback(arena, record);

	return text.n > 0 ? span_hash(text) | 1 : 0;
}
