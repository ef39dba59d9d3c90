/* vdir.h - collections of records beside Mail: Calendars/<name>/X.ics, Tasks/<name>/X.ics and
 * Contacts/<name>/X.vcf, as vdirsyncer, khal, todoman and khard keep them.
 *
 * 1. An item is a regular file that ends in .ics or .vcf and begins with no dot; its name is its id.
 *    Everything else (other files, links, directories, names that are no UTF-8) is left alone.
 * 2. A version is inode, size, mtime and ctime. It says "these bytes" because nothing is read before
 *    a later change would get another ctime (folder_let_settle): also one within the same tick, of the
 *    same length, into the same file. Clocks: the file system's must be this machine's.
 * 3. A file appears, changes and goes by one rename; what is written first lies under a name with a dot.
 *    A file that is not what the caller had seen is put back as it was.
 * 4. A collection's path is the text of its file `displayname`, else its directory's name. A rename writes
 *    that text; the directory stays. Collections are not nested.
 *
 * vdir.c        directories and files: opened, listed, marked       vdir_write.c  items created ... removed
 * vdir_list.c   collections, and what is in them                    vdir_tree.c   collections made ... removed
 */
#ifndef MS_LOCAL_VDIR_H
#define MS_LOCAL_VDIR_H

#include "list.h"

#include <sys/stat.h>

#define VDIR_ITEM_MAX ((size_t)16 * 1024 * 1024)
#define VDIR_TMP ".mailshadow-tmp-"
#define VDIR_NEW ".mailshadow-new-"
#define VDIR_REMOVED ".mailshadow-removed-"
#define VDIR_LABEL "displayname"
#define VDIR_LABEL_MAX 255
#define VDIR_COLOR "color"
#define VDIR_VERSION_MAX 128

/* "Calendars", and ".ics". */
const char *vdir_root_name(enum ep_kind kind);
const char *vdir_extension(enum ep_kind kind);
/* Is it the file name of an item? */
bool vdir_is_item(enum ep_kind kind, struct span name);
/* Open the collection "Calendars/x"; -1 with errno. */
int vdir_open_name(const struct local *l, struct span name);
/* The same for a folder of a listing. E_FOLDER_GONE. */
enum code vdir_open(const struct local *l, const struct ep_folder *folder, int *fd_r, struct err *err) MS_MUST_USE;
/* ".mailshadow-tmp-" and random digits. */
void vdir_hidden_name(const char *prefix, char out[64]);

void vdir_version(const struct stat *st, char out[VDIR_VERSION_MAX]);
/* The same bytes in the same file, perhaps under another name (a rename changes the ctime). */
bool vdir_same_bytes(const struct stat *a, const struct stat *b);

/* What is in an open collection. */
struct vdir_scan {
	struct ep_item *items;       /* ascending by id, with versions */
	size_t n;
	bool complete;
	char mark[2 * DIGEST_SIZE + 1];  /* "": a change could still hide behind these stamps */
};
enum code vdir_scan(int fd, enum ep_kind kind, struct arena *arena, struct vdir_scan *scan_r,
		    struct err *err) MS_MUST_USE;

/* vdir_list.c. *still_r: no collection came or went meanwhile. */
enum code vdir_list(struct local *l, struct listing *list, bool *still_r, struct err *err) MS_MUST_USE;
/* The path that the directory's name alone gives. */
struct span vdir_plain_path(struct arena *arena, struct span name);
/* What a listing says of the collection `dir` of `kind`, alone; selectable = false if there is none. */
enum code vdir_describe(struct local *l, struct arena *arena, enum ep_kind kind, struct span dir,
			struct ep_folder *folder_r, struct err *err) MS_MUST_USE;
/* The directory name that a new collection of that label is given: attempt 0, 1, ... */
void vdir_dir_name(struct span label, unsigned attempt, char out[NAME_MAX + 1]);
enum code vdir_changes(struct local *l, struct arena *arena, struct ep_changes *c, struct err *err) MS_MUST_USE;
enum code vdir_fetch(struct endpoint *ep, struct arena *arena, struct ep_fetch *f, struct err *err) MS_MUST_USE;

/* At most CREATE_RUN operations on records, in their order; outcomes are in them. */
enum code vdir_apply_run(struct local *l, struct arena *arena, struct ep_op *ops, size_t n, struct sync_set *sync,
			 struct err *err) MS_MUST_USE;

enum code vdir_folder_op(struct local *l, struct arena *arena, struct ep_folder_op *op, struct err *err) MS_MUST_USE;
/* Finish what an interrupted operation on a collection left. */
void vdir_tidy(struct local *l);

#endif
