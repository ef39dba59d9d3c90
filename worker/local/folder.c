/* folder.c - one open folder: its directories and the index of its items.
 *
 * 1. new/ is read before cur/: a file that is moved meanwhile is seen once or twice, never not at all.
 * 2. A scan is complete only if the times of both directories stood still during it and were old
 *    enough at its begin for any later change to show. An absence is believed only then.
 */
#include "folder.h"

#include "../../common/clock.h"
#include "../../common/mem.h"
#include "../fiber.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX_MAX ((size_t)2 << 30)
#define SCANS_MAX 6
#define TICK_MS 20              /* more than one tick of the kernel's coarse clock */
#define TICK_COARSE_MS 1010     /* on a file system that keeps whole seconds */
#define TMP_AGE_S (36 * 3600)

static bool same_dir(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
	       memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) == 0 &&
	       memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim)) == 0;
}

static int64_t newest_ms(const struct folder_look *look)
{
	int64_t cur = folder_stamp_ms(&look->cur), new = folder_stamp_ms(&look->new);

	return cur > new ? cur : new;
}

static bool same_look(const struct folder_look *a, const struct folder_look *b)
{
	return same_dir(&a->cur, &b->cur) && same_dir(&a->new, &b->new);
}

static enum code look_at(const struct folder *f, struct folder_look *look, struct err *err)
{
	*look = (struct folder_look){ .cur = { .st_ino = 0 } };
	if (fstat(f->cur_fd, &look->cur) != 0 || (f->new_fd >= 0 && fstat(f->new_fd, &look->new) != 0))
		return err_errno(err, E_FOLDER_REFUSED, "a mail folder");
	if (look->cur.st_nlink == 0)
		return err_set(err, E_FOLDER_GONE, "the folder was removed meanwhile");
	return E_OK;
}

void folder_close(struct folder **folder)
{
	struct folder *f = *folder;

	if (f == NULL)
		return;
	if (f->fd >= 0)
		close(f->fd);
	if (f->cur_fd >= 0)
		close(f->cur_fd);
	if (f->new_fd >= 0)
		close(f->new_fd);
	if (f->tmp_fd >= 0)
		close(f->tmp_fd);
	keywords_free(&f->keywords);
	arena_free(&f->arena);
	mem_free(f);
	*folder = NULL;
}

static enum code open_dirs(struct folder *f, int root_fd, struct err *err)
{
	struct stat st;

	f->fd = maildir_open_dir(root_fd, f->dir);
	if (f->fd >= 0)
		f->cur_fd = maildir_open_dir(f->fd, "cur");
	if (f->cur_fd < 0) {
		bool gone = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;

		return err_errno(err, gone ? E_FOLDER_GONE : E_FOLDER_REFUSED, "folder %s", f->dir);
	}
	f->new_fd = maildir_open_dir(f->fd, "new");
	if (f->new_fd < 0 && errno != ENOENT)
		return err_errno(err, E_FOLDER_REFUSED, "folder %s, new", f->dir);
	if (fstat(f->fd, &st) != 0)
		return err_errno(err, E_FOLDER_REFUSED, "folder %s", f->dir);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->file_mode = (st.st_mode & 0660) | 0600;
	return E_OK;
}

enum code folder_open(int root_fd, struct span dir, struct folder **folder_r, struct err *err)
{
	bool is_root = span_eq_str(dir, ".");

	if (!is_root && (!maildir_component(dir) || dir.p[0] != '.'))
		return err_set(err, E_FOLDER_NAME, "that cannot be the name of a Maildir folder");
	struct folder *f = mem_alloc(sizeof(*f));

	memcpy(f->dir, dir.p, dir.n);
	f->fd = f->cur_fd = f->new_fd = f->tmp_fd = -1;
	f->arena = arena_new(INDEX_MAX);
	enum code rc = open_dirs(f, root_fd, err);
	if (rc == E_OK)
		*folder_r = f;
	else
		folder_close(&f);
	return rc;
}

bool folder_is_current(const struct folder *f, int root_fd)
{
	struct stat st;

	return fstatat(root_fd, f->dir, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == f->ino &&
	       st.st_dev == f->dev;
}

static void clean_tmp(int tmp_fd)
{
	int fd = openat(tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	struct stat st;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		if (fstatat(tmp_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
			continue;
		/* not the mtime: that is the received time as soon as the file is complete */
		if (clock_wall_s() - st.st_ctim.tv_sec > TMP_AGE_S)
			unlinkat(tmp_fd, e->d_name, 0);
	}
	closedir(dir);
}

enum code folder_tmp(struct folder *f, struct err *err)
{
	if (f->tmp_fd >= 0)
		return E_OK;
	f->tmp_fd = maildir_open_dir(f->fd, "tmp");
	if (f->tmp_fd < 0 && errno == ENOENT && mkdirat(f->fd, "tmp", 0700) == 0)
		f->tmp_fd = maildir_open_dir(f->fd, "tmp");
	if (f->tmp_fd < 0)
		return maildir_errno(err, E_FOLDER_REFUSED, "tmp of a mail folder");
	clean_tmp(f->tmp_fd);
	return E_OK;
}

/* --- the index --- */

struct span folder_item_id(const struct folder_item *item)
{
	return span_bytes(item->file, item->base_n);
}

struct maildir_name folder_item_name(const struct folder_item *item)
{
	struct maildir_name name = maildir_parse(span_of(item->file));

	/* letters of a file in new/ do not count: no program has looked at it yet */
	if (item->in_new) {
		name.flags = 0;
		name.letters = 0;
		name.passed = false;
		name.info = SPAN_NONE;
	}
	return name;
}

int folder_item_dir(const struct folder *f, const struct folder_item *item)
{
	return item->in_new ? f->new_fd : f->cur_fd;
}

/* Where `id` is in the table, or the empty place where it belongs. */
static size_t slot_of(const struct folder *f, struct span id)
{
	size_t at = (size_t)span_hash(id) & (f->table_size - 1);

	while (f->table[at] != 0 && !span_eq(folder_item_id(&f->items[f->table[at] - 1]), id))
		at = (at + 1) & (f->table_size - 1);
	return at;
}

static void grow_table(struct folder *f)
{
	if (f->n * 2 < f->table_size)
		return;
	f->table_size = f->table_size == 0 ? 1024 : f->table_size * 4;
	f->table = arena_calloc(f->arena, f->table_size, sizeof(*f->table));
	for (size_t i = 0; i < f->n; i++)
		f->table[slot_of(f, folder_item_id(&f->items[i]))] = (uint32_t)i + 1;
}

static struct folder_item *lookup(const struct folder *f, struct span id)
{
	if (f->table_size == 0)
		return NULL;
	uint32_t hit = f->table[slot_of(f, id)];

	return hit == 0 ? NULL : &f->items[hit - 1];
}

static struct folder_item *insert(struct folder *f, struct span file)
{
	grow_table(f);
	f->items = arena_grow(f->arena, f->items, f->n, sizeof(*f->items), &f->cap);
	struct folder_item *item = &f->items[f->n++];

	*item = (struct folder_item){ .file = arena_str(f->arena, file) };
	item->base_n = (uint32_t)maildir_parse(file).base.n;
	f->table[slot_of(f, folder_item_id(item))] = (uint32_t)f->n;
	return item;
}

static void forget_index(struct folder *f)
{
	arena_reset(f->arena);
	f->items = NULL;
	f->table = NULL;
	f->n = f->cap = f->table_size = 0;
	f->pass = 0;
}

struct folder_item *folder_added(struct folder *f, const char *file)
{
	struct folder_item *item = lookup(f, maildir_parse(span_of(file)).base);

	if (item == NULL)
		item = insert(f, span_of(file));
	else
		item->file = arena_str(f->arena, span_of(file));
	item->gone = item->in_new = item->twice = false;
	return item;
}

void folder_renamed(struct folder *f, struct folder_item *item, const char *file)
{
	item->file = arena_str(f->arena, span_of(file));
	item->in_new = false;
}

void folder_removed(struct folder_item *item)
{
	item->gone = true;
}

/* --- the scan --- */

static bool exists(const struct folder *f, const char *file, bool in_new)
{
	struct stat st;

	return fstatat(in_new ? f->new_fd : f->cur_fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The id was seen under another name in the same pass: a rename that we raced with, or two files. */
static void seen_again(struct folder *f, struct folder_item *item, struct span file, bool in_new)
{
	char *name = arena_str(f->arena, file);

	if (!exists(f, name, in_new))
		return;
	if (exists(f, item->file, item->in_new)) {
		item->twice = true;
		return;
	}
	item->file = name;
	item->in_new = in_new;
}

static void seen(struct folder *f, struct span file, bool in_new)
{
	struct folder_item *item = lookup(f, maildir_parse(file).base);

	if (item == NULL) {
		item = insert(f, file);
	} else if (item->pass == f->pass) {
		seen_again(f, item, file, in_new);
		return;
	} else if (!span_eq_str(file, item->file)) {
		item->file = arena_str(f->arena, file);
	}
	item->pass = f->pass;
	item->in_new = in_new;
	item->gone = item->twice = false;
}

enum code folder_is_message(int dir_fd, const struct dirent *e, bool *yes_r, struct err *err)
{
	struct stat st;

	*yes_r = e->d_type == DT_REG && e->d_name[0] != '.';
	if (e->d_type != DT_UNKNOWN || e->d_name[0] == '.')
		return E_OK;
	if (fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		*yes_r = S_ISREG(st.st_mode);
	else if (errno != ENOENT)
		return err_errno(err, E_FOLDER_REFUSED, "a file in a mail folder");
	return E_OK;
}

static enum code scan_dir(struct folder *f, int dir_fd, bool in_new, struct err *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	enum code rc = E_OK;
	bool yes;

	if (dir == NULL) {
		rc = err_errno(err, E_FOLDER_REFUSED, "folder %s", f->dir);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == E_OK && (errno = 0, e = readdir(dir)) != NULL) {
		rc = folder_is_message(dir_fd, e, &yes, err);
		if (rc == E_OK && yes)
			seen(f, span_of(e->d_name), in_new);
		if (rc == E_OK && f->n % 4096 == 0)
			rc = fiber_tick(err);
		if (rc == E_OK && arena_left(f->arena) < INDEX_MAX / 4)
			rc = err_set(err, E_INCOMPLETE, "folder %s holds too many items", f->dir);
	}
	if (rc == E_OK && errno != 0)
		rc = err_errno(err, E_FOLDER_REFUSED, "reading folder %s", f->dir);
	closedir(dir);
	return rc;
}

static enum code scan_once(struct folder *f, struct err *err)
{
	enum code rc = E_OK;

	f->pass++;
	if (f->new_fd < 0)
		f->new_fd = maildir_open_dir(f->fd, "new");
	if (f->new_fd >= 0)
		rc = scan_dir(f, f->new_fd, true, err);
	if (rc == E_OK)
		rc = scan_dir(f, f->cur_fd, false, err);
	return rc;
}

/* What an earlier pass saw and the last did not. */
static void drop_unseen(struct folder *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct folder_item *item = &f->items[i];

		if (item->pass != f->pass)
			item->gone = f->complete || !exists(f, item->file, item->in_new);
	}
}

enum code folder_let_settle(int64_t newest, bool coarse, struct err *err)
{
	int64_t age = clock_wall_ms() - newest;
	int64_t tick = coarse ? TICK_COARSE_MS : TICK_MS;

	if (age < 0 || age >= tick)
		return E_OK;
	enum code rc = fiber_wait(-1, 0, clock_mono_ms() + tick - age + 1, err);

	return rc == E_TIMEOUT ? E_OK : rc;
}

/* Until a change would get another time than the newest one that is there. */
static enum code let_settle(const struct folder_look *look, struct err *err)
{
	bool coarse = look->cur.st_ctim.tv_nsec == 0 && look->new.st_ctim.tv_nsec == 0;

	return folder_let_settle(newest_ms(look), coarse, err);
}

enum code folder_scan(struct folder *f, struct err *err)
{
	struct folder_look before, after = { .cur = { .st_ino = 0 } };
	enum code rc = look_at(f, &before, err);

	forget_index(f);
	f->scanned = f->complete = false;
	for (int i = 0; rc == E_OK && !f->complete && i < SCANS_MAX; i++) {
		rc = let_settle(&before, err);
		if (rc == E_OK)
			rc = scan_once(f, err);
		if (rc == E_OK)
			rc = look_at(f, &after, err);
		if (rc != E_OK)
			break;
		f->complete = same_look(&before, &after);
		before = after;
	}
	if (rc != E_OK)
		return rc;
	drop_unseen(f);
	f->look = after;
	f->scanned = true;
	return E_OK;
}

enum code folder_find(struct folder *f, struct span id, struct folder_item **item_r, struct err *err)
{
	*item_r = NULL;
	if (!f->scanned) {
		enum code rc = folder_scan(f, err);

		if (rc != E_OK)
			return rc;
	}
	struct folder_item *item = lookup(f, id);

	*item_r = item != NULL && !item->gone ? item : NULL;
	return E_OK;
}

enum code folder_find_again(struct folder *f, struct span id, struct folder_item **item_r, struct err *err)
{
	struct folder_look now;
	enum code rc = look_at(f, &now, err);

	if (rc != E_OK)
		return rc;
	if (!f->complete || !same_look(&now, &f->look))
		f->scanned = false;
	return folder_find(f, id, item_r, err);
}

enum code folder_open_item(struct folder *f, struct span id, int *fd_r, struct folder_item **item_r,
			   struct err *err)
{
	enum code rc = folder_find(f, id, item_r, err);

	*fd_r = -1;
	for (int tries = 0; rc == E_OK && tries < SCANS_MAX; tries++) {
		if (*item_r == NULL && tries > 0)
			return E_OK;
		if (*item_r != NULL) {
			*fd_r = openat(folder_item_dir(f, *item_r), (*item_r)->file,
				       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
			if (*fd_r >= 0)
				return E_OK;
			if (errno != ENOENT)
				return err_errno(err, E_ITEM_REFUSED, "a message file");
		}
		rc = folder_find_again(f, id, item_r, err);
	}
	return rc != E_OK ? rc : err_set(err, E_ITEM_CHANGED, "the message's file changes its name all the time");
}
