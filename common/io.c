/* io.c - whole reads and writes, durable replacement of files. */
#include "io.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum code io_write_all(int fd, const void *p, size_t n, const char *what, struct err *err)
{
	const char *at = p;

	while (n > 0) {
		ssize_t put = write(fd, at, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_errno(err, E_IO, "%s", what);
		at += put;
		n -= (size_t)put;
	}
	return E_OK;
}

enum code io_read_full(int fd, void *p, size_t n, size_t *got_r, const char *what, struct err *err)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = read(fd, (char *)p + got, n - got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(err, E_IO, "%s", what);
		if (r == 0)
			break;
		got += (size_t)r;
	}
	*got_r = got;
	return E_OK;
}

enum code io_read_file(const char *path, struct buf *b, struct err *err)
{
	enum code rc = E_OK;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, errno == ENOENT ? E_NOT_FOUND : E_IO, "%s", path);
	for (;;) {
		size_t want = b->ceiling - b->n < 65536 ? b->ceiling - b->n : 65536, got = 0;
		char *room = buf_room(b, want);

		assert(room != NULL);
		rc = io_read_full(fd, room, want, &got, path, err);
		if (rc != E_OK)
			break;
		buf_grew(b, got);
		if (got < want)
			break;
		if (b->n == b->ceiling) {
			b->overflow = true;
			rc = buf_check(b, E_IO, path, err);
			break;
		}
	}
	close(fd);
	return rc;
}

enum code io_sync_dir(int dirfd, const char *what, struct err *err)
{
	if (fsync(dirfd) != 0)
		return err_errno(err, E_IO, "fsync of the directory %s", what);
	return E_OK;
}

enum code io_replace_file(int dirfd, const char *name, const void *p, size_t n, mode_t mode,
			  struct err *err)
{
	char tmp[NAME_MAX + 1];

	if (snprintf(tmp, sizeof(tmp), ".%s.new", name) >= (int)sizeof(tmp))
		return err_set(err, E_IO, "%s: the name is too long", name);
	if (unlinkat(dirfd, tmp, 0) != 0 && errno != ENOENT)
		return err_errno(err, E_IO, "%s", tmp);
	int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return err_errno(err, E_IO, "%s", tmp);
	enum code rc = io_write_all(fd, p, n, tmp, err);
	if (rc == E_OK && fsync(fd) != 0)
		rc = err_errno(err, E_IO, "fsync of %s", tmp);
	if (close(fd) != 0 && rc == E_OK)
		rc = err_errno(err, E_IO, "close of %s", tmp);
	if (rc == E_OK && renameat(dirfd, tmp, dirfd, name) != 0)
		rc = err_errno(err, E_IO, "rename to %s", name);
	if (rc == E_OK)
		rc = io_sync_dir(dirfd, name, err);
	else
		unlinkat(dirfd, tmp, 0);
	return rc;
}

static enum code make_one(const char *path, mode_t mode, struct err *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return E_OK;
	if (errno != EEXIST)
		return err_errno(err, E_IO, "cannot make the directory %s", path);
	if (stat(path, &st) != 0)
		return err_errno(err, E_IO, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, E_IO, "%s exists and is not a directory", path);
	return E_OK;
}

enum code io_make_dirs(const char *path, mode_t mode, struct err *err)
{
	char *copy = mem_strdup(path);
	struct stat st;
	enum code rc = E_OK;

	for (char *p = copy + 1; rc == E_OK && *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		rc = make_one(copy, mode, err);
		*p = '/';
	}
	if (rc == E_OK)
		rc = make_one(copy, mode, err);
	if (rc == E_OK && stat(copy, &st) == 0 && (st.st_mode & 022) != 0 && (st.st_mode & S_ISVTX) == 0)
		rc = err_set(err, E_IO, "%s: group or others may write there; run: chmod go-w %s",
			     path, path);
	mem_free(copy);
	return rc;
}
