/* folder.h - one open folder of a Maildir++: its directories, its keywords and an index of its items.
 *
 * Other programs change the folder at any moment: a file is renamed when a flag changes, moved from
 * new/ to cur/, removed. So every use of a file name may fail with ENOENT, and then the folder is
 * scanned once more before anything is believed (folder_find_again).
 */
#ifndef MS_LOCAL_FOLDER_H
#define MS_LOCAL_FOLDER_H

#include "../../common/arena.h"
#include "keywords.h"
#include "maildir.h"

struct folder_item {
	const char *file;            /* name in cur/ or new/ */
	uint32_t base_n;             /* its first base_n bytes are the id */
	uint32_t pass;               /* the scan that saw it last */
	bool in_new;
	bool twice;                  /* two files carry this id: shown once, never changed */
	bool gone;
};

/* Times and places of the two directories: equal looks = nothing was moved in between. */
struct folder_look {
	struct stat cur, new;
};

struct folder {
	char dir[MAILDIR_NAME_MAX];  /* "." or ".A.B" */
	int fd, cur_fd, new_fd;      /* new_fd -1: there is no such directory */
	int tmp_fd;                  /* -1 until folder_tmp() */
	dev_t dev;
	ino_t ino;
	mode_t file_mode;            /* for new files: what the directory's mode allows */
	struct keywords keywords;
	struct arena *arena;         /* names and index */
	struct folder_item *items;
	size_t n, cap;
	uint32_t *table;             /* open addressing, index + 1 */
	size_t table_size;
	bool scanned, complete;      /* complete: the last scan saw all there is */
	uint32_t pass;
	struct folder_look look;     /* as of that scan */
	uint64_t used;               /* for the cache of open folders */
};

/* Open root_fd/dir (checked). E_FOLDER_GONE: it is not there or is no Maildir folder. */
enum code folder_open(int root_fd, struct span dir, struct folder **folder_r, struct err *err) MS_MUST_USE;
void folder_close(struct folder **folder);
/* Is the open folder still what root_fd/dir is? */
bool folder_is_current(const struct folder *f, int root_fd);

/* Open tmp/, made if it is missing; files that lie there for more than 36 hours are removed, as the
 * Maildir page says. */
enum code folder_tmp(struct folder *f, struct err *err) MS_MUST_USE;

/* Read new/ and cur/ until two looks at their times prove that nothing moved meanwhile. f->complete
 * tells whether that worked out. */
enum code folder_scan(struct folder *f, struct err *err) MS_MUST_USE;
/* The item with this id; scans if that was not done yet. NULL = not there. */
enum code folder_find(struct folder *f, struct span id, struct folder_item **item_r, struct err *err) MS_MUST_USE;
/* The same after its name turned out to be wrong: scans again if anything moved since. */
enum code folder_find_again(struct folder *f, struct span id, struct folder_item **item_r, struct err *err) MS_MUST_USE;
struct span folder_item_id(const struct folder_item *item);
struct maildir_name folder_item_name(const struct folder_item *item);
int folder_item_dir(const struct folder *f, const struct folder_item *item);
/* Open the item's file for reading; *fd_r -1 = the item is gone. E_ITEM_CHANGED: its name changed
 * faster than it could be opened. */
enum code folder_open_item(struct folder *f, struct span id, int *fd_r, struct folder_item **item_r,
			   struct err *err) MS_MUST_USE;

/* What we did ourselves, so that the index stays true. */
struct folder_item *folder_added(struct folder *f, const char *file);
void folder_renamed(struct folder *f, struct folder_item *item, const char *file);
void folder_removed(struct folder_item *item);

/* Is the entry of the directory a message file? E_FOLDER_REFUSED if that cannot be found out. */
struct dirent;
enum code folder_is_message(int dir_fd, const struct dirent *e, bool *yes_r, struct err *err) MS_MUST_USE;

/* Wait until a change would get another time stamp than `newest_ms`. coarse: the file system keeps
 * whole seconds. What is read after that belongs to its stamps. */
enum code folder_let_settle(int64_t newest_ms, bool coarse, struct err *err) MS_MUST_USE;
/* The later of both times, in milliseconds. */
int64_t folder_stamp_ms(const struct stat *st);
#define FOLDER_MARK_MAX 256
/* The change mark of the folder `fd`: equal marks = no item came, went or changed. "" while the
 * newest change is less than a second old, because time stamps are too coarse to tell a later one. */
enum code folder_mark(int fd, char mark[FOLDER_MARK_MAX], struct err *err) MS_MUST_USE;
/* Does the folder `fd` hold no message at all? Looks at no more than it has to; false in any doubt. */
bool folder_is_empty(int fd);

#endif
