/* text.h - values of content lines: escaping, splitting, character sets, base64.
 *
 * RFC 5545 3.3.11 and RFC 6350 3.4 escape alike: "\\" "\;" "\," and "\n" (or "\N"). Results live in
 * the arena given, or are the input itself where nothing changes. Nothing here can fail: bytes that
 * mean nothing stay as they are.
 */
#ifndef MS_TEXT_H
#define MS_TEXT_H

#include "../../common/arena.h"
#include "../../common/buf.h"

/* "a\, b\nc" to its text; an unknown escape loses only its backslash. */
struct span text_unescape(struct arena *arena, struct span value);
/* The reverse: backslash, semicolon, comma and newline are escaped, a CR before a newline is dropped. */
struct span text_escape(struct arena *arena, struct span text);
/* unescape, then escape: one spelling for equal texts. */
struct span text_canonical(struct arena *arena, struct span value);
/* As span_next(), but a separator behind a backslash is none. */
bool text_next(struct span *rest, char sep, struct span *part_r);

struct span text_upper(struct arena *arena, struct span s);   /* ASCII only */
struct span text_lower(struct arena *arena, struct span s);
/* How many bytes of s may stand on a line of at most `max` without cutting a character; at least 1. */
size_t text_cut(struct span s, size_t max);
/* From a character set by its MIME name (charset.c's) to UTF-8; an unknown one, or UTF-8 that is none,
 * is taken for UTF-8 where it is well-formed, for WINDOWS-1252 where not. */
struct span text_to_utf8(struct arena *arena, struct span bytes, struct span charset);
/* Well-formed UTF-8 without control characters (TAB excepted): what every server accepts. */
struct span text_clean(struct arena *arena, struct span s);
struct span text_clean_lines(struct arena *arena, struct span s);     /* newlines stay too */
/* Quoted-printable without its soft line breaks (those are unfolding); a lone "=" stays. */
struct span text_from_qp(struct arena *arena, struct span s);
/* Base64 without what is none, for comparing. */
struct span text_base64(struct arena *arena, struct span s);
/* Without blanks, line ends and backslashes: a URI that some server folded or escaped. */
struct span text_uri(struct arena *arena, struct span s);

#endif
