/* dav_url.h - hrefs, names of items, names of collections. Pure.
 *
 * The same resource may be written in many ways ("/a%40b/", "https://host/a@b/"). Here a path has one form:
 * each segment decoded and encoded again, everything but letters, digits, "-._~@" as %XX.
 */
#ifndef MS_DAV_URL_H
#define MS_DAV_URL_H

#include "../../common/arena.h"

/* The template with {mailbox} and {user} filled in, percent-encoded. */
char *dav_expand(struct arena *arena, const char *template, const char *mailbox, const char *user);
/* Where an href that stood in an answer to `base` (a URL) points to: the canonical path, without a query.
 * SPAN_NONE: to nowhere. *origin_r: its origin ("https://host"), may be NULL. */
struct span dav_path(struct arena *arena, struct span base, struct span href, struct span *origin_r);
/* The path of a collection ends with '/'. */
struct span dav_as_collection(struct arena *arena, struct span path);
/* The last segment, decoded; `path` is canonical, and one '/' at its end does not count. */
struct span dav_last_segment(struct arena *arena, struct span path);
/* The path lies directly in the collection (both canonical) and is no collection itself: its name,
 * decoded. SPAN_NONE: it does not, or the name is empty. */
struct span dav_item_name(struct arena *arena, struct span collection, struct span path);
struct span dav_item_path(struct arena *arena, struct span collection, struct span name);
/* A name for a new item: the UID if all its characters are harmless and it is short, else a digest of it.
 * attempt > 0: another one. suffix: ".ics". */
struct span dav_new_name(struct arena *arena, struct span uid, unsigned int attempt, const char *suffix);

/* The display name of a collection as a canonical path, and back. A '/' in a display name separates levels
 * where both its neighbours are visible characters. SPAN_NONE: there is no name that would come back as that
 * path. */
struct span dav_folder_path(struct arena *arena, struct span display_name);
struct span dav_display_name(struct arena *arena, struct span path);

#endif
