/* io.h - whole reads and writes, durable replacement of files, directories made safely. */
#ifndef MS_IO_H
#define MS_IO_H

#include "buf.h"

#include <sys/types.h>

/* Write all n bytes, retrying on EINTR and short writes. */
enum code io_write_all(int fd, const void *p, size_t n, const char *what, struct err *err) MS_MUST_USE;
/* Read up to n bytes, short only at end of file; *got_r tells how many. */
enum code io_read_full(int fd, void *p, size_t n, size_t *got_r, const char *what, struct err *err) MS_MUST_USE;
/* The whole file, at most `max` bytes, into b (which must have that ceiling). E_NOT_FOUND if absent. */
enum code io_read_file(const char *path, struct buf *b, struct err *err) MS_MUST_USE;
/* Replace dir/name durably: temporary file, fsync, rename, fsync of the directory. */
enum code io_replace_file(int dirfd, const char *name, const void *p, size_t n, mode_t mode,
			  struct err *err) MS_MUST_USE;
/* Make `path` and its missing parents, each new one with `mode`; refuse one that group or world
 * may write (unless sticky). */
enum code io_make_dirs(const char *path, mode_t mode, struct err *err) MS_MUST_USE;
enum code io_sync_dir(int dirfd, const char *what, struct err *err) MS_MUST_USE;

#endif
