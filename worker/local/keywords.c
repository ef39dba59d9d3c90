/* keywords.c - dovecot-keywords: read when it changed, added to under Dovecot's lock. */
#include "keywords.h"

#include "../../common/clock.h"
#include "../../common/fail.h"
#include "../../common/io.h"
#include "../../common/mem.h"
#include "../data/flags.h"
#include "../fiber.h"
#include "maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#define FILE_MAX ((size_t)64 * 1024)
#define LOCK_WAIT_MS 5000
#define LOCK_POLL_MS 50
#define LOCK_HOPELESS_MS 30000
#define LOCK_STALE_S 120        /* as Dovecot */
#define LOCK_MARK ":mailshadow"

static void forget(struct keywords *k)
{
	for (size_t i = 0; i < KEYWORDS_MAX; i++) {
		mem_free(k->name[i]);
		k->name[i] = NULL;
	}
	k->seen = (struct stat){ .st_ino = 0 };
}

void keywords_free(struct keywords *k)
{
	forget(k);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Lines that make no sense are skipped, the first name of a letter counts. */
static void parse(struct keywords *k, struct span text)
{
	struct span line, number, word;
	uint64_t i;

	while (span_next(&text, '\n', &line)) {
		word = span_trim(line);
		if (!span_next(&word, ' ', &number) || !span_u64(number, KEYWORDS_MAX - 1, &i))
			continue;
		word = span_trim(word);
		if (kw_valid(word) && k->name[i] == NULL)
			k->name[i] = mem_strndup(word.p, word.n);
	}
}

static enum code read_file(struct keywords *k, int fd, struct err *err)
{
	char *text = mem_alloc(FILE_MAX);
	size_t n = 0;
	enum code rc = io_read_full(fd, text, FILE_MAX, &n, KEYWORDS_FILE, err);

	if (rc == E_OK)
		parse(k, span_bytes(text, n));
	mem_free(text);
	return rc;
}

enum code keywords_refresh(struct keywords *k, int folder_fd, struct err *err)
{
	struct stat st;

	if (fstatat(folder_fd, KEYWORDS_FILE, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno != ENOENT)
			return err_errno(err, E_FOLDER_REFUSED, KEYWORDS_FILE);
		forget(k);
		return E_OK;
	}
	if (same_file(&st, &k->seen))
		return E_OK;
	forget(k);
	int fd = openat(folder_fd, KEYWORDS_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return E_OK;
	if (fd < 0)
		return err_errno(err, E_FOLDER_REFUSED, KEYWORDS_FILE);
	enum code rc = E_OK;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		rc = err_set(err, E_FOLDER_REFUSED, "%s is not a regular file", KEYWORDS_FILE);
	else
		rc = read_file(k, fd, err);
	close(fd);
	if (rc == E_OK)
		k->seen = st;
	return rc;
}

bool keywords_full(const struct keywords *k)
{
	for (size_t i = 0; i < KEYWORDS_MAX; i++) {
		if (k->name[i] == NULL)
			return false;
	}
	return true;
}

const char *keywords_of(const struct keywords *k, struct arena *arena, uint32_t letters, bool passed)
{
	struct buf b;
	const char *set = NULL;

	if (letters == 0)
		return passed ? KEYWORD_PASSED : NULL;
	buf_init(&b, FILE_MAX);
	for (size_t i = 0; i < KEYWORDS_MAX; i++) {
		if ((letters & 1u << i) == 0 || k->name[i] == NULL)
			continue;
		buf_add_str(&b, k->name[i]);
		buf_add_char(&b, ' ');
	}
	if (passed)
		buf_add_str(&b, KEYWORD_PASSED);
	set = kw_from(arena, buf_span(&b));
	buf_free(&b);
	return set;
}

static size_t find(const struct keywords *k, struct span word)
{
	for (size_t i = 0; i < KEYWORDS_MAX; i++) {
		if (k->name[i] != NULL && span_eq_nocase_str(word, k->name[i]))
			return i;
	}
	return KEYWORDS_MAX;
}

uint32_t keywords_letters(const struct keywords *k, const char *set, bool *passed_r)
{
	struct span rest = span_of(set), word;
	uint32_t letters = 0;

	*passed_r = false;
	while (span_next(&rest, ' ', &word)) {
		size_t i = find(k, word);

		if (i < KEYWORDS_MAX)
			letters |= 1u << i;
		else if (span_eq_nocase_str(word, KEYWORD_PASSED))
			*passed_r = true;
	}
	return letters;
}

/* Does the lock file belong to one of us that is dead? Whoever made it holds a flock() on it from
 * before the mark is in it until after the file is gone. */
static bool is_orphan(int folder_fd)
{
	char text[96];
	size_t n = 0;
	struct stat st, now;
	int fd = openat(folder_fd, KEYWORDS_LOCK, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	bool orphan = io_read_full(fd, text, sizeof(text), &n, KEYWORDS_LOCK, NULL) == E_OK &&
		      n > sizeof(LOCK_MARK) && memmem(text, n, LOCK_MARK, sizeof(LOCK_MARK) - 1) != NULL &&
		      flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 &&
		      fstatat(folder_fd, KEYWORDS_LOCK, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
		      st.st_ino == now.st_ino && st.st_dev == now.st_dev;

	if (orphan)
		unlinkat(folder_fd, KEYWORDS_LOCK, 0);
	close(fd);
	return orphan;
}

/* A lock that nobody touched for two minutes. */
static bool is_stale(int folder_fd)
{
	struct stat st;

	if (fstatat(folder_fd, KEYWORDS_LOCK, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    clock_wall_s() - st.st_mtim.tv_sec <= LOCK_STALE_S)
		return false;
	unlinkat(folder_fd, KEYWORDS_LOCK, 0);
	return true;
}

static enum code wait_a_moment(struct err *err)
{
	struct err why = ERR_INIT;
	enum code rc = fiber_wait(-1, 0, clock_mono_ms() + LOCK_POLL_MS, &why);

	if (rc == E_OK || rc == E_TIMEOUT)
		return E_OK;
	*err = why;
	return rc;
}

/* Take the lock; *fd_r keeps it. One that could not be had is not waited for again at once. */
static enum code lock(struct keywords *k, int folder_fd, int *fd_r, struct err *err)
{
	int64_t deadline = clock_mono_ms() + LOCK_WAIT_MS;
	char text[96];
	enum code rc = E_OK;

	if (clock_mono_ms() < k->hopeless_until_ms)
		deadline = 0;
	while (rc == E_OK) {
		*fd_r = openat(folder_fd, KEYWORDS_LOCK,
			       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (*fd_r >= 0)
			break;
		if (errno != EEXIST)
			return maildir_errno(err, E_ITEM_REFUSED, KEYWORDS_LOCK);
		if (is_orphan(folder_fd) || is_stale(folder_fd))
			continue;
		if (clock_mono_ms() >= deadline) {
			k->hopeless_until_ms = clock_mono_ms() + LOCK_HOPELESS_MS;
			return err_set(err, E_ITEM_REFUSED, "another program holds %s for more than 5 s",
				       KEYWORDS_LOCK);
		}
		rc = wait_a_moment(err);
	}
	if (rc != E_OK)
		return rc;
	(void)flock(*fd_r, LOCK_EX | LOCK_NB);
	int n = snprintf(text, sizeof(text), "%ld%s", (long)getpid(), LOCK_MARK);
	(void)!write(*fd_r, text, (size_t)n);
	return E_OK;
}

/* Names of the set that have no letter yet get the free ones in order. */
static bool assign(struct keywords *k, const char *set)
{
	struct span rest = span_of(set), word;
	size_t free_at = 0;
	bool any = false;

	while (span_next(&rest, ' ', &word)) {
		if (!kw_valid(word) || find(k, word) < KEYWORDS_MAX)
			continue;
		while (free_at < KEYWORDS_MAX && k->name[free_at] != NULL)
			free_at++;
		if (free_at == KEYWORDS_MAX)
			break;
		k->name[free_at] = mem_strndup(word.p, word.n);
		any = true;
	}
	return any;
}

static enum code write_file(struct keywords *k, int folder_fd, mode_t mode, struct err *err)
{
	struct buf b;
	struct err why = ERR_INIT;

	if (fail_step("keywords file"))
		return err_set(err, E_CANCELLED, "stopped");
	buf_init(&b, FILE_MAX);
	for (size_t i = 0; i < KEYWORDS_MAX; i++) {
		if (k->name[i] != NULL)
			buf_printf(&b, "%zu %s\n", i, k->name[i]);
	}
	enum code rc = io_replace_file(folder_fd, KEYWORDS_FILE, b.p, b.n, mode, &why);
	buf_free(&b);
	if (rc != E_OK)
		return err_set(err, rc == E_DISK ? E_DISK : E_ITEM_REFUSED, "%s", why.text);
	if (fstatat(folder_fd, KEYWORDS_FILE, &k->seen, AT_SYMLINK_NOFOLLOW) != 0)
		k->seen = (struct stat){ .st_ino = 0 };
	return E_OK;
}

static bool lacks(const struct keywords *k, const char *set)
{
	struct span rest = span_of(set), word;

	while (span_next(&rest, ' ', &word)) {
		if (kw_valid(word) && find(k, word) == KEYWORDS_MAX)
			return true;
	}
	return false;
}

enum code keywords_add(struct keywords *k, int folder_fd, const char *set, mode_t mode, struct err *err)
{
	if (!lacks(k, set) || keywords_full(k))
		return E_OK;
	if (fail_step("keywords lock"))
		return err_set(err, E_CANCELLED, "stopped");
	int fd = -1;
	enum code rc = lock(k, folder_fd, &fd, err);
	if (rc != E_OK)
		return rc;
	/* what another program added meanwhile is not lost: it wrote under the same lock */
	rc = keywords_refresh(k, folder_fd, err);
	if (rc == E_OK && assign(k, set))
		rc = write_file(k, folder_fd, mode, err);
	if (rc != E_OK)
		forget(k);
	if (!fail_dead())
		unlinkat(folder_fd, KEYWORDS_LOCK, 0);
	close(fd);
	return rc;
}
