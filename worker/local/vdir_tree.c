/* vdir_tree.c - collections made, renamed and removed.
 *
 * As in tree.c, a collection appears and disappears by one rename, and removing takes away only what is known.
 * A rename is another text in `displayname`: the directory's name stays, so that what other programs
 * have configured stays true.
 */
#include "vdir.h"

#include "../../common/clock.h"
#include "../../common/fail.h"
#include "../../common/io.h"
#include "../data/path.h"
#include "../fiber.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define UNFINISHED_AGE_S 3600   /* another worker may still be building it */
#define NAMES_MAX 100

static enum code stopped(struct err *err)
{
	return err_set(err, E_CANCELLED, "stopped");
}

static bool starts(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* --- taking apart --- */

/* Files that belong to the collection and may go with it. */
static bool is_known_file(const char *name)
{
	return strcmp(name, VDIR_LABEL) == 0 || strcmp(name, VDIR_COLOR) == 0 || strcmp(name, "description") == 0 ||
	       strcmp(name, "order") == 0 || starts(name, "mailshadow-") || starts(name, ".mailshadow-") ||
	       starts(name, ".displayname.");
}

static bool only_known(int fd, const char *name)
{
	(void)fd;
	return is_known_file(name);
}

static bool unlink_known(int fd, const char *name)
{
	return is_known_file(name) && (unlinkat(fd, name, 0) == 0 || errno == ENOENT);
}

/* Remove root/name, a collection under a hidden name. False: something is in it, nothing was removed. */
static bool take_apart(int root, const char *name)
{
	return maildir_entries(root, name, only_known) && maildir_entries(root, name, unlink_known) &&
	       (unlinkat(root, name, AT_REMOVEDIR) == 0 || errno == ENOENT);
}

/* --- create --- */

static enum code label_of(struct arena *arena, struct span path, struct span *label_r, struct err *err)
{
	*label_r = path_decode_component(arena, path);
	if (path.n == 0 || memchr(path.p, '/', path.n) != NULL)
		return err_set(err, E_FOLDER_NAME, "collections are not nested in each other");
	if (label_r->n > VDIR_LABEL_MAX || !span_is_utf8(*label_r) ||
	    !span_eq(span_trim(*label_r), *label_r))
		return err_set(err, E_FOLDER_NAME, "the name cannot be that of a collection");
	for (size_t i = 0; i < label_r->n; i++) {
		if ((unsigned char)label_r->p[i] < ' ' || label_r->p[i] == 0x7f)
			return err_set(err, E_FOLDER_NAME, "the name has a control character");
	}
	return E_OK;
}

static enum code build(int root, const char *hidden, struct span label, const struct ep_folder_op *op,
		       struct err *err)
{
	if (mkdirat(root, hidden, 0700) != 0)
		return maildir_errno(err, E_FOLDER_REFUSED, "a new collection");
	int fd = maildir_open_dir(root, hidden);
	if (fd < 0)
		return maildir_errno(err, E_FOLDER_REFUSED, "a new collection");
	enum code rc = E_OK;
	if (maildir_put_new(fd, VDIR_LABEL, label, 0600) != 0 ||
	    (op->color.n > 0 && maildir_put_new(fd, VDIR_COLOR, op->color, 0600) != 0))
		rc = maildir_errno(err, E_FOLDER_REFUSED, "a new collection");
	if (rc == E_OK)
		rc = local_new_folder_id(fd, op->role, err);
	close(fd);
	return rc;
}

/* The collection of that kind and path, as the listing shows it; false: there is none. */
static enum code find(struct local *l, struct arena *arena, enum ep_kind kind, struct span path,
		      struct ep_folder *found_r, bool *is_r, struct err *err)
{
	struct listing list = { .arena = arena, .complete = true };
	bool still;
	enum code rc = vdir_list(l, &list, &still, err);

	*is_r = false;
	for (size_t i = 0; rc == E_OK && i < list.n && !*is_r; i++) {
		*is_r = list.entries[i].folder.kind == kind && path_eq(list.entries[i].folder.path, path);
		if (*is_r)
			*found_r = list.entries[i].folder;
	}
	return rc;
}

static enum code place(int root, const char *hidden, struct span label, char dir[NAME_MAX + 1], struct err *err)
{
	if (fail_step("collection create"))
		return stopped(err);
	for (unsigned attempt = 0; attempt < NAMES_MAX; attempt++) {
		vdir_dir_name(label, attempt, dir);
		if (maildir_rename(root, hidden, root, dir) == 0)
			return E_OK;
		if (errno != EEXIST)
			return maildir_errno(err, E_FOLDER_REFUSED, "a new collection");
	}
	return err_set(err, E_FOLDER_REFUSED, "there is no free name for the collection's directory");
}

static enum code make(struct local *l, int root, struct arena *arena, struct ep_folder_op *op, struct span label,
		      struct err *err)
{
	char hidden[64], dir[NAME_MAX + 1];

	if (fail_step("collection build"))
		return stopped(err);
	vdir_hidden_name(VDIR_NEW, hidden);
	enum code rc = build(root, hidden, label, op, err);
	if (rc == E_OK)
		rc = place(root, hidden, label, dir, err);
	if (rc != E_OK) {
		if (!fail_dead())
			(void)take_apart(root, hidden);
		return rc;
	}
	rc = io_sync_dir(root, vdir_root_name(op->item_kind), err);
	return rc == E_OK ? vdir_describe(l, arena, op->item_kind, span_of(dir), &op->folder_r, err) : rc;
}

static enum code create(struct local *l, struct arena *arena, struct ep_folder_op *op, struct err *err)
{
	struct span label;
	bool is;
	enum code rc = label_of(arena, op->path, &label, err);

	if (rc == E_OK)
		rc = find(l, arena, op->item_kind, op->path, &op->folder_r, &is, err);
	if (rc != E_OK)
		return rc;
	if (is)
		return err_set(err, E_FOLDER_EXISTS, "%s", code_text(E_FOLDER_EXISTS));
	int root = local_open_or_make(l->box_fd, vdir_root_name(op->item_kind), true);
	if (root < 0)
		return errno == ECANCELED ? stopped(err) :
		       maildir_errno(err, E_FOLDER_REFUSED, vdir_root_name(op->item_kind));
	rc = make(l, root, arena, op, label, err);
	close(root);
	return rc;
}

/* --- rename --- */

static struct span dir_of(const struct ep_folder *folder)
{
	return span_cut(folder->name, span_find(folder->name, 0, '/') + 1, folder->name.n);
}

static enum code rename_it(struct local *l, struct arena *arena, struct ep_folder_op *op, struct err *err)
{
	struct span dir = dir_of(op->folder), label;
	enum ep_kind kind = op->folder->kind;
	struct ep_folder other;
	bool is;
	int fd = -1;
	enum code rc = label_of(arena, op->path, &label, err);

	if (rc == E_OK)
		rc = find(l, arena, kind, op->path, &other, &is, err);
	if (rc == E_OK && is && !span_eq(other.name, op->folder->name))
		rc = err_set(err, E_FOLDER_EXISTS, "%s", code_text(E_FOLDER_EXISTS));
	if (rc == E_OK)
		rc = vdir_open(l, op->folder, &fd, err);
	if (rc == E_OK && faccessat(fd, ".", W_OK, 0) != 0)
		rc = maildir_errno(err, E_FOLDER_REFUSED, "renaming a collection");
	if (rc == E_OK && fail_step("collection label"))
		rc = stopped(err);
	if (rc == E_OK)
		rc = io_replace_file(fd, VDIR_LABEL, label.p, label.n, 0600, err);
	if (fd >= 0)
		close(fd);
	return rc == E_OK ? vdir_describe(l, arena, kind, dir, &op->folder_r, err) : rc;
}

/* --- remove --- */

static enum code refuse_contents(struct local *l, int root, const struct ep_folder *folder, const char *dir,
				 struct err *err)
{
	struct arena *scratch = arena_new((size_t)1 << 30);
	struct vdir_scan scan = { .n = 0 };
	int fd;
	enum code rc = vdir_open(l, folder, &fd, err);

	if (rc == E_OK) {
		rc = vdir_scan(fd, folder->kind, scratch, &scan, err);
		close(fd);
	}
	arena_free(&scratch);
	if (rc == E_OK && !scan.complete)
		rc = err_set(err, E_FOLDER_REFUSED, "another program is changing the collection");
	if (rc == E_OK && scan.n > 0)
		rc = err_set(err, E_FOLDER_REFUSED, "the folder holds items");
	if (rc == E_OK && !maildir_entries(root, dir, only_known))
		rc = err_set(err, E_FOLDER_REFUSED, "the folder holds files of another program");
	return rc;
}

static enum code take_away(int root, const char *dir, enum ep_kind kind, struct err *err)
{
	struct err late = ERR_INIT;
	char hidden[64];
	enum code rc = E_OK;

	vdir_hidden_name(VDIR_REMOVED, hidden);
	if (fail_step("collection remove"))
		return stopped(err);
	if (maildir_rename(root, dir, root, hidden) != 0)
		return maildir_errno(err, errno == ENOENT ? E_FOLDER_GONE : E_FOLDER_REFUSED, "removing a collection");
	if (fail_step("collection taken apart"))
		return stopped(err);
	bool gone = take_apart(root, hidden);
	if (!gone && maildir_rename(root, hidden, root, dir) == 0)
		rc = err_set(err, E_FOLDER_REFUSED, "an item came into the collection meanwhile");
	else if (!gone)
		rc = maildir_errno(err, E_FOLDER_REFUSED, "removing a collection");
	enum code synced = io_sync_dir(root, vdir_root_name(kind), &late);

	return rc == E_OK && synced != E_OK ? err_set(err, synced, "%s", late.text) : rc;
}

static enum code remove_it(struct local *l, struct arena *arena, const struct ep_folder_op *op, struct err *err)
{
	const char *dir = arena_str(arena, dir_of(op->folder));
	int root = maildir_open_dir(l->box_fd, vdir_root_name(op->folder->kind));

	if (root < 0)
		return maildir_errno(err, errno == ENOENT ? E_FOLDER_GONE : E_FOLDER_REFUSED, "removing a collection");
	enum code rc = refuse_contents(l, root, op->folder, dir, err);
	if (rc == E_OK)
		rc = take_away(root, dir, op->folder->kind, err);
	close(root);
	return rc;
}

enum code vdir_folder_op(struct local *l, struct arena *arena, struct ep_folder_op *op, struct err *err)
{
	switch (op->kind) {
	case EP_FOLDER_CREATE:
		return create(l, arena, op, err);
	case EP_FOLDER_RENAME:
		return rename_it(l, arena, op, err);
	case EP_FOLDER_REMOVE:
		return remove_it(l, arena, op, err);
	}
	return err_set(err, E_INTERNAL, "no such operation");
}

/* --- what an interruption left --- */

static bool is_old(int root, const char *name)
{
	struct stat st;

	return fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       clock_wall_s() - st.st_ctim.tv_sec > UNFINISHED_AGE_S;
}

static bool tidy_one(int root, const char *name)
{
	char visible[NAME_MAX + 1];

	if (starts(name, VDIR_NEW) && is_old(root, name))
		(void)take_apart(root, name);
	/* an item came into it before it was taken apart: show it as a collection */
	if (starts(name, VDIR_REMOVED) && !take_apart(root, name)) {
		snprintf(visible, sizeof(visible), "%.*s", NAME_MAX, name + 1);
		(void)!maildir_rename(root, name, root, visible);
	}
	return true;
}

void vdir_tidy(struct local *l)
{
	for (enum ep_kind kind = EP_EVENTS; kind < EP_KINDS; kind++) {
		if ((l->kinds >> kind & 1) != 0)
			(void)maildir_entries(l->box_fd, vdir_root_name(kind), tidy_one);
	}
}
