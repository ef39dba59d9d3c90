/* names.h - folder names on disk (Maildir++) and canonical paths, both ways.
 *
 * "A/B" lives in the directory ".A.B", INBOX in ".". Each component is modified UTF-7 (RFC 3501,
 * 5.1.3), as Dovecot writes it, with one escape for what modified UTF-7 cannot say or Maildir++
 * cannot hold: '.' is %2E, '/' is %2F, a byte that is no UTF-8 is %XX (upper case, 80 to FF), and a
 * '%' that would begin one of these is %25. names_from_dir(names_to_dir(path)) == path for every path.
 *
 * A name that another program made and that this encoding never produces (raw UTF-8, sloppy UTF-7)
 * is taken as it stands, bytes that are no UTF-8 shown as %XX; the listing tells two apart that
 * would look alike.
 */
#ifndef MS_LOCAL_NAMES_H
#define MS_LOCAL_NAMES_H

#include "../../common/arena.h"
#include "../../common/err.h"

/* The directory's name below Mail/, at most NAME_MAX bytes, never with a slash or a NUL, never "..".
 * E_FOLDER_NAME: empty, an empty component, too long. */
enum code names_to_dir(struct arena *arena, struct span path, struct span *dir_r, struct err *err) MS_MUST_USE;
/* The canonical path of a directory's name. *exact_r: it is the name that names_to_dir() gives for
 * that path. False: no folder's name (no leading dot, an empty component). */
bool names_from_dir(struct arena *arena, struct span dir, struct span *path_r, bool *exact_r);

/* One component. */
struct span names_encode_part(struct arena *arena, struct span component);
bool names_decode_part(struct arena *arena, struct span part, struct span *component_r);

#endif
