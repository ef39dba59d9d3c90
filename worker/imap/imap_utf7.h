/* imap_utf7.h - modified UTF-7 of mailbox names (RFC 3501 5.1.3) to and from UTF-8. Pure. */
#ifndef MS_IMAP_UTF7_H
#define MS_IMAP_UTF7_H

#include "../../common/arena.h"

/* Any valid UTF-8 without control characters; false otherwise. utf7_decode gives it back. */
bool imap_utf7_encode(struct arena *arena, struct span utf8, struct span *mutf7_r);
/* False if it is not canonical mUTF-7: encode(decode(x)) == x holds for everything accepted. */
bool imap_utf7_decode(struct arena *arena, struct span mutf7, struct span *utf8_r);

#endif
