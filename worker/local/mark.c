/* mark.c - what can be said of a folder without listing it: did anything change, is it empty.
 *
 * The mark is made of the times of cur, new and the keywords file. The ctime is in it because nobody
 * can set it back: a restored or copied directory shows, even with its old mtime.
 */
#include "folder.h"

#include "../../common/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK_AGE_MS 1000

int64_t folder_stamp_ms(const struct stat *st)
{
	int64_t m = st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
	int64_t c = st->st_ctim.tv_sec * 1000 + st->st_ctim.tv_nsec / 1000000;

	return m > c ? m : c;
}

static void put_stat(struct buf *b, const struct stat *st)
{
	buf_printf(b, "%" PRIx64 ".%" PRIx64 ".%" PRIx64 ".%" PRIx64 ".%" PRIx64 " ", (uint64_t)st->st_ino,
		   (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
		   (uint64_t)st->st_ctim.tv_sec, (uint64_t)st->st_ctim.tv_nsec);
}

enum code folder_mark(int fd, char mark[FOLDER_MARK_MAX], struct err *err)
{
	static const char *const names[] = { "cur", "new", KEYWORDS_FILE };
	int64_t newest = INT64_MIN;
	struct stat st;
	struct buf b;

	buf_init(&b, FOLDER_MARK_MAX - 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (fstatat(fd, names[i], &st, AT_SYMLINK_NOFOLLOW) != 0) {
			if (errno == ENOENT && i > 0) {
				buf_add_str(&b, "- ");
				continue;
			}
			buf_free(&b);
			return err_errno(err, errno == ENOENT ? E_FOLDER_GONE : E_FOLDER_REFUSED,
					 "a mail folder, %s", names[i]);
		}
		put_stat(&b, &st);
		newest = folder_stamp_ms(&st) > newest ? folder_stamp_ms(&st) : newest;
	}
	if (b.overflow || clock_wall_ms() - newest < MARK_AGE_MS)
		mark[0] = '\0';
	else
		memcpy(mark, buf_str(&b), b.n + 1);
	buf_free(&b);
	return E_OK;
}

/* Neither a message nor anything that could not be looked at. */
static bool dir_is_empty(int parent, const char *name)
{
	int fd = maildir_open_dir(parent, name);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	bool found = false;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return errno == ENOENT;
	}
	while (!found && (errno = 0, e = readdir(dir)) != NULL) {
		if (folder_is_message(dirfd(dir), e, &found, NULL) != E_OK)
			found = true;
	}
	found = found || errno != 0;
	closedir(dir);
	return !found;
}

bool folder_is_empty(int fd)
{
	return dir_is_empty(fd, "new") && dir_is_empty(fd, "cur");
}
