/* words.h - RFC 2047: encoded words of a header's text as UTF-8, for people. Pure.
 *
 * Words that stand side by side are joined before their bytes are taken for characters, since many
 * mailers cut within one. UTF-8, US-ASCII and the one-byte sets of charset.c are known; a word of
 * another set, or one that is malformed, stays as it stands. Nothing fails.
 */
#ifndef MS_WORDS_H
#define MS_WORDS_H

#include "../../common/buf.h"
#include "../../common/span.h"

/* Unfolded and decoded, appended to out; what is not valid in its set becomes U+FFFD. Raw 8-bit text is
 * copied as it is. Control characters are not removed: who shows it escapes it. */
void words_decode(struct span text, struct buf *out);

/* charset.c: append n bytes of that set as UTF-8; false (and nothing appended) if it is not known. */
bool charset_to_utf8(struct span name, struct span bytes, struct buf *out);

#endif
