/* secret.c - secrets in locked, undumpable, zeroed memory; random bytes; hex. */
#include "secret.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_MAX ((size_t)64 * 1024)

struct secret {
	size_t n;
	size_t mapped;
	char data[];
};

struct secret *secret_new(const void *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (sizeof(struct secret) + n + 1 + page - 1) / page * page;
	struct secret *s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		_exit(MEM_EXIT);
	madvise(s, size, MADV_DONTDUMP);
	(void)mlock(s, size);   /* best effort: RLIMIT_MEMLOCK may forbid it */
	s->n = n;
	s->mapped = size;
	if (n > 0)
		memcpy(s->data, p, n);
	return s;
}

void secret_free(struct secret **secret)
{
	struct secret *s = *secret;

	if (s == NULL)
		return;
	size_t size = s->mapped;
	explicit_bzero(s, size);
	munmap(s, size);
	*secret = NULL;
}

const char *secret_reveal(const struct secret *s)
{
	return s->data;
}

size_t secret_len(const struct secret *s)
{
	return s->n;
}

void secret_wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}

static enum code check_directory(const char *path, struct err *err)
{
	char copy[PATH_MAX];
	struct stat st;

	if (strlen(path) >= sizeof(copy))
		return err_set(err, E_CONF, "%.200s...: the path is too long", path);
	memcpy(copy, path, strlen(path) + 1);
	const char *dir = dirname(copy);
	if (stat(dir, &st) != 0)
		return err_errno(err, E_CONF, "%s", dir);
	if ((st.st_mode & 022) != 0 && (st.st_mode & S_ISVTX) == 0)
		return err_set(err, E_CONF, "%s: others may write in this directory of secrets; "
			       "run: chmod go-w %s", dir, dir);
	return E_OK;
}

static enum code check_file(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_errno(err, E_CONF, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, E_CONF, "%s: not a regular file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, E_CONF, "%s: belongs to uid %u, not to the service's user or root",
			       path, (unsigned)st.st_uid);
	if ((st.st_mode & 077) != 0)
		return err_set(err, E_CONF, "%s: mode %03o lets others read the secret; run: chmod 600 %s",
			       path, (unsigned)(st.st_mode & 0777), path);
	if (st.st_size > (off_t)SECRET_MAX)
		return err_set(err, E_CONF, "%s: larger than 64 KiB", path);
	return E_OK;
}

static enum code read_all(int fd, const char *path, struct secret **secret_r, struct err *err)
{
	char *data = mem_alloc(SECRET_MAX);
	size_t n = 0;
	ssize_t got = 0;

	while (n < SECRET_MAX && (got = read(fd, data + n, SECRET_MAX - n)) > 0)
		n += (size_t)got;
	enum code rc = got < 0 ? err_errno(err, E_CONF, "%s", path) : E_OK;
	if (rc == E_OK) {
		if (n > 0 && data[n - 1] == '\n')
			n--;
		if (n > 0 && data[n - 1] == '\r')
			n--;
		if (n == 0)
			rc = err_set(err, E_CONF, "%s: the file is empty; put the secret into it", path);
		else
			*secret_r = secret_new(data, n);
	}
	explicit_bzero(data, SECRET_MAX);
	mem_free(data);
	return rc;
}

enum code secret_read_file(const char *path, struct secret **secret_r, struct err *err)
{
	enum code rc = check_directory(path, err);

	if (rc != E_OK)
		return rc;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ELOOP)
		return err_set(err, E_CONF, "%s: is a symbolic link; name the file itself", path);
	if (fd < 0)
		return err_errno(err, E_CONF, "%s", path);
	rc = check_file(fd, path, err);
	if (rc == E_OK)
		rc = read_all(fd, path, secret_r, err);
	close(fd);
	return rc;
}

void random_bytes(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno != EINTR)
			_exit(MEM_EXIT);
		if (got > 0) {
			at += got;
			n -= (size_t)got;
		}
	}
}

void hex_encode(const void *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[b[i] >> 4];
		out[2 * i + 1] = digits[b[i] & 15];
	}
	out[2 * n] = '\0';
}
