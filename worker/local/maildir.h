/* maildir.h - file names of a Maildir: taken apart, put together, made unique; and the few system
 * calls with which one may touch them.
 *
 * "BASE:2,LETTERS": BASE is the item's id; ",S=" (bytes in the file) and ",W=" (bytes with CRLF line
 * ends) may be in it, as Dovecot writes them. Capital letters are flags, small ones are keywords by
 * their place in the folder's dovecot-keywords. Letters that we do not know, and what follows a
 * comma behind the letters, are kept.
 */
#ifndef MS_LOCAL_MAILDIR_H
#define MS_LOCAL_MAILDIR_H

#include "../../common/arena.h"
#include "../../common/buf.h"

#include <limits.h>
#include <sys/types.h>

#define MAILDIR_NAME_MAX (NAME_MAX + 1)

struct maildir_name {
	struct span base;
	uint32_t flags;              /* enum of endpoint.h */
	uint32_t letters;            /* bit i = keyword letter 'a' + i */
	bool passed;                 /* P, the keyword $Forwarded */
	struct span info;            /* everything behind ":2," */
};

/* Points into `file`. */
struct maildir_name maildir_parse(struct span file);
/* The file name for these flags; keeps what `name->info` has besides. E_ITEM_REFUSED: too long. */
enum code maildir_compose(const struct maildir_name *name, char out[MAILDIR_NAME_MAX], struct err *err) MS_MUST_USE;
/* ",S=" or ",W=" of a base name; false if it is not there. */
bool maildir_size(struct span base, char which, uint64_t *size_r);
/* A new base name: time, process, counter, random bits and host. */
void maildir_unique(char out[MAILDIR_NAME_MAX]);
/* A new name for a file in tmp/: such a one is known to be ours. */
#define MAILDIR_TMP_PREFIX "mailshadow-"
void maildir_tmp_name(char out[MAILDIR_NAME_MAX]);
/* May this be one component of a path: not empty, ".", "..", no slash, no NUL, not too long? */
bool maildir_component(struct span name);

/* Open the directory `name` below `parent`, following no symbolic link. errno as openat's. */
int maildir_open_dir(int parent, const char *name);
/* Rename that never replaces anything: EEXIST instead. 0 or -1. */
int maildir_rename(int from_dir, const char *from, int to_dir, const char *to);
/* Make dirfd/name with these bytes unless it is there: EEXIST then. Durable. 0 or -1. */
int maildir_put_new(int dirfd, const char *name, struct span bytes, mode_t mode);
/* Call `each` for the entries of parent/name; false as soon as it says so, or if unreadable. */
bool maildir_entries(int parent, const char *name, bool (*each)(int fd, const char *name));
/* The error of a failed system call on the store: full disk and quota are told apart from the rest. */
enum code maildir_errno(struct err *err, enum code otherwise, const char *what);

#endif
