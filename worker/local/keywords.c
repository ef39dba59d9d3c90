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
#include <unistd.h>

#define FILE_MAX ((size_t)64 * 1024)
#define LOCK_WAIT_MS 5000
#define LOCK_STALE_S 120        /* as Dovecot */

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

/* Take the lock; a stale one (nobody touched it for two minutes) is removed. */
static enum code lock(int folder_fd, struct err *err)
{
	int64_t deadline = clock_mono_ms() + LOCK_WAIT_MS;
	char text[96];
	struct stat st;
	int fd;

	while ((fd = openat(folder_fd, KEYWORDS_LOCK, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0600)) < 0) {
		if (errno != EEXIST)
			return maildir_errno(err, E_ITEM_REFUSED, KEYWORDS_LOCK);
		if (fstatat(folder_fd, KEYWORDS_LOCK, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    clock_wall_s() - st.st_mtim.tv_sec > LOCK_STALE_S) {
			unlinkat(folder_fd, KEYWORDS_LOCK, 0);
			continue;
		}
		if (clock_mono_ms() >= deadline)
			return err_set(err, E_ITEM_REFUSED, "another program holds %s for more than 5 s",
				       KEYWORDS_LOCK);
		struct err why = ERR_INIT;
		enum code rc = fiber_wait(-1, 0, clock_mono_ms() + 50, &why);

		if (rc != E_OK && rc != E_TIMEOUT) {
			*err = why;
			return rc;
		}
	}
	int n = snprintf(text, sizeof(text), "%ld:mailshadow", (long)getpid());
	(void)!write(fd, text, (size_t)n);
	close(fd);
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
		return err_set(err, E_ITEM_REFUSED, "%s", why.text);
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
	enum code rc = lock(folder_fd, err);
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
	return rc;
}
