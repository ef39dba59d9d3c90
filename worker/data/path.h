/* path.h - canonical folder paths: UTF-8 components joined by '/', escaped reversibly.
 *
 * Inside a component '/' is written "%2F", and a '%' that is followed by "2F" or "25" is written
 * "%25"; nothing else is changed, so ordinary names look ordinary. decode(encode(x)) == x.
 */
#ifndef MS_PATH_H
#define MS_PATH_H

#include "../../common/arena.h"

/* One component (any bytes) as it stands in a canonical path, and back. In the arena. */
struct span path_encode_component(struct arena *arena, struct span component);
struct span path_decode_component(struct arena *arena, struct span encoded);
struct span path_join(struct arena *arena, struct span parent, struct span encoded_component);
struct span path_parent(struct span path);           /* empty for a top-level path */
struct span path_last(struct span path);             /* last component, still encoded */
size_t path_depth(struct span path);                 /* number of components */
bool path_is_below(struct span path, struct span ancestor);  /* strictly below */
/* INBOX compares without case as a whole path; everything else bytewise. */
bool path_eq(struct span a, struct span b);
/* Matches an exclude: equal, or the pattern ends in a slash and a star and covers it; without case
 * for ASCII. */
bool path_matches(struct span path, struct span pattern);

#endif
