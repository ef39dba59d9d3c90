/* maildir.c - file names of a Maildir and the system calls that touch them. */
#include "maildir.h"

#include "../../common/clock.h"
#include "../../common/io.h"
#include "../../common/secret.h"
#include "../endpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	char letter;
	uint32_t flag;
} flag_letters[] = {          /* in the order in which they are written */
	{ 'D', EP_DRAFT }, { 'F', EP_FLAGGED }, { 'R', EP_ANSWERED }, { 'S', EP_SEEN }, { 'T', EP_DELETED },
};

static uint32_t flag_of(char letter)
{
	for (size_t i = 0; i < ARRAY_LEN(flag_letters); i++) {
		if (flag_letters[i].letter == letter)
			return flag_letters[i].flag;
	}
	return 0;
}

struct maildir_name maildir_parse(struct span file)
{
	struct maildir_name name = { .base = file };
	const char *hit = file.n > 0 ? memmem(file.p, file.n, ":2,", 3) : NULL;

	if (hit == NULL)
		return name;
	name.base = span_cut(file, 0, (size_t)(hit - file.p));
	name.info = span_cut(file, name.base.n + 3, file.n);
	for (size_t i = 0; i < name.info.n && name.info.p[i] != ','; i++) {
		char c = name.info.p[i];

		name.flags |= flag_of(c);
		name.passed = name.passed || c == 'P';
		if (c >= 'a' && c <= 'z')
			name.letters |= 1u << (c - 'a');
	}
	return name;
}

/* Is this letter of an info part one that we do not know? */
static bool is_foreign(char c)
{
	return flag_of(c) == 0 && c != 'P' && !(c >= 'a' && c <= 'z');
}

enum code maildir_compose(const struct maildir_name *name, char out[MAILDIR_NAME_MAX], struct err *err)
{
	struct buf b;
	size_t at = 0;

	buf_init(&b, NAME_MAX);
	buf_add_span(&b, name->base);
	buf_add_str(&b, ":2,");
	/* capitals in the order of the alphabet, unknown ones and P among them */
	for (char c = 'A'; c <= 'Z'; c++) {
		bool foreign = is_foreign(c) && name->info.n > 0 &&
			       memchr(name->info.p, c, span_find(name->info, 0, ',') == SIZE_MAX ?
				      name->info.n : span_find(name->info, 0, ',')) != NULL;

		if (foreign || (name->flags & flag_of(c)) != 0 || (c == 'P' && name->passed))
			buf_add_char(&b, c);
	}
	for (unsigned i = 0; i < 26; i++) {
		if ((name->letters & 1u << i) != 0)
			buf_add_char(&b, (char)('a' + (int)i));
	}
	for (at = 0; at < name->info.n && name->info.p[at] != ','; at++) {
		char c = name->info.p[at];

		if (is_foreign(c) && !(c >= 'A' && c <= 'Z'))
			buf_add_char(&b, c);
	}
	buf_add_span(&b, span_cut(name->info, at, name->info.n));
	enum code rc = buf_check(&b, E_ITEM_REFUSED, "the file's name", err);
	if (rc == E_OK)
		memcpy(out, buf_str(&b), b.n + 1);
	buf_free(&b);
	return rc;
}

bool maildir_size(struct span base, char which, uint64_t *size_r)
{
	const char tag[4] = { ',', which, '=', '\0' };
	const char *hit = base.n > 0 ? memmem(base.p, base.n, tag, 3) : NULL;

	if (hit == NULL)
		return false;
	struct span rest = span_cut(base, (size_t)(hit - base.p) + 3, base.n), value;

	return span_next(&rest, ',', &value) && span_u64(value, INT64_MAX, size_r);
}

/* This host's name with the bytes replaced that may not be in a file's name (as the Maildir page says). */
static void host_name(char out[64])
{
	char name[65] = "localhost";
	size_t n = 0;

	gethostname(name, sizeof(name) - 1);
	for (const char *p = name; *p != '\0' && n < 58; p++) {
		if (*p == '/' || *p == ':' || *p == ',')
			n += (size_t)snprintf(out + n, 5, "\\%03o", (unsigned)*p);
		else if (*p > ' ' && *p <= '~')
			out[n++] = *p;
	}
	out[n] = '\0';
}

void maildir_unique(char out[MAILDIR_NAME_MAX])
{
	static unsigned counter;
	int64_t now = clock_wall_ms();
	uint32_t rnd;
	char host[64];

	host_name(host);
	random_bytes(&rnd, sizeof(rnd));
	snprintf(out, MAILDIR_NAME_MAX, "%lld.M%06dP%ldQ%uR%08x.%s", (long long)(now / 1000),
		 (int)(now % 1000) * 1000, (long)getpid(), ++counter, rnd, host);
}

void maildir_tmp_name(char out[MAILDIR_NAME_MAX])
{
	char name[MAILDIR_NAME_MAX];

	maildir_unique(name);
	snprintf(out, MAILDIR_NAME_MAX, MAILDIR_TMP_PREFIX "%.*s", NAME_MAX - (int)sizeof(MAILDIR_TMP_PREFIX), name);
}

bool maildir_component(struct span name)
{
	if (name.n == 0 || name.n > NAME_MAX || span_eq_str(name, ".") || span_eq_str(name, ".."))
		return false;
	return memchr(name.p, '/', name.n) == NULL && memchr(name.p, '\0', name.n) == NULL;
}

int maildir_open_dir(int parent, const char *name)
{
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int maildir_rename(int from_dir, const char *from, int to_dir, const char *to)
{
	struct stat st;

	if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* a file system that cannot say it in one step */
	if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(from_dir, from, to_dir, to);
}

int maildir_put_new(int dirfd, const char *name, struct span bytes, mode_t mode)
{
	char tmp[MAILDIR_NAME_MAX], hex[17];
	uint8_t rnd[8];
	struct err err = ERR_INIT;

	random_bytes(rnd, sizeof(rnd));
	hex_encode(rnd, sizeof(rnd), hex);
	snprintf(tmp, sizeof(tmp), "mailshadow-tmp-%s", hex);
	int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -1;
	bool ok = io_write_all(fd, bytes.p, bytes.n, name, &err) == E_OK && fsync(fd) == 0;

	ok = close(fd) == 0 && ok && maildir_rename(dirfd, tmp, dirfd, name) == 0;
	if (ok)
		return fsync(dirfd);
	int why = errno;

	unlinkat(dirfd, tmp, 0);
	errno = why;
	return -1;
}

enum code maildir_errno(struct err *err, enum code otherwise, const char *what)
{
	if (errno == ENOSPC)
		return err_errno(err, E_DISK, "%s", what);
	if (errno == EDQUOT)
		return err_errno(err, E_QUOTA, "%s", what);
	/* the disk, not this item or folder: what was written before it may be lost as well */
	if (errno == EIO)
		return err_errno(err, E_IO, "%s", what);
	return err_errno(err, otherwise, "%s", what);
}

bool maildir_entries(int parent, const char *name, bool (*each)(int fd, const char *name))
{
	int fd = maildir_open_dir(parent, name);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	bool ok = true;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return errno == ENOENT;
	}
	while (ok && (errno = 0, e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			ok = each(dirfd(dir), e->d_name);
	}
	ok = ok && errno == 0;
	closedir(dir);
	return ok;
}
