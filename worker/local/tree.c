/* tree.c - folders made, renamed and removed.
 *
 * 1. A folder appears and disappears by one rename: it is built under a name that no listing shows,
 *    and taken apart under another one. An interruption leaves such a name, never half a folder.
 * 2. Removing takes away only what is known: the three directories when they are empty, our own
 *    files, Dovecot's. A message that arrives in between brings the folder back.
 */
#include "local.h"
#include "vdir.h"

#include "../../common/clock.h"
#include "../../common/fail.h"
#include "../../common/io.h"
#include "../data/path.h"
#include "../fiber.h"
#include "names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNFINISHED_AGE_S 3600   /* another worker may still be building it */

static const char *const parts[] = { "cur", "new", "tmp" };

static enum code stopped(struct err *err)
{
	return err_set(err, E_CANCELLED, "stopped");
}

static void hidden_name(const char *prefix, char out[64])
{
	uint8_t rnd[8];
	char hex[2 * sizeof(rnd) + 1];

	random_bytes(rnd, sizeof(rnd));
	hex_encode(rnd, sizeof(rnd), hex);
	snprintf(out, 64, "%s%s", prefix, hex);
}

static bool there(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* --- taking apart --- */

static bool starts(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Files in a folder's directory that belong to the folder and may go with it. */
static bool is_known_file(const char *name)
{
	return starts(name, "mailshadow-") || starts(name, "dovecot") || starts(name, ".mailshadow-") ||
	       starts(name, ".dovecot-keywords.") || strcmp(name, "maildirfolder") == 0 ||
	       strcmp(name, "maildirsize") == 0;
}

static bool is_part(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (strcmp(name, parts[i]) == 0)
			return true;
	}
	return false;
}

static bool only_known(int fd, const char *name)
{
	(void)fd;
	return is_part(name) || is_known_file(name);
}

static bool only_ours(int fd, const char *name)
{
	(void)fd;
	return starts(name, MAILDIR_TMP_PREFIX);
}

static bool unlink_ours(int fd, const char *name)
{
	return !starts(name, MAILDIR_TMP_PREFIX) || unlinkat(fd, name, 0) == 0 || errno == ENOENT;
}

static bool unlink_known(int fd, const char *name)
{
	return is_part(name) || !is_known_file(name) || unlinkat(fd, name, 0) == 0 || errno == ENOENT;
}

static bool remove_dir(int dirfd, const char *name)
{
	return unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

/* Remove root_fd/name, a folder under a hidden name. False: something is in it; its three
 * directories are there then. */
static bool take_apart(int root_fd, const char *name)
{
	int fd = maildir_open_dir(root_fd, name);

	if (fd < 0)
		return errno == ENOENT;
	bool ok = remove_dir(fd, "new") && remove_dir(fd, "cur") &&
		  maildir_entries(fd, "tmp", unlink_ours) && remove_dir(fd, "tmp");

	for (size_t i = 0; !ok && i < ARRAY_LEN(parts); i++)
		(void)!mkdirat(fd, parts[i], 0700);
	ok = ok && maildir_entries(fd, ".", unlink_known);
	close(fd);
	return ok && remove_dir(root_fd, name);
}

/* --- create --- */

static enum code touch(int fd, const char *name, struct err *err)
{
	int file = openat(fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (file < 0)
		return maildir_errno(err, E_FOLDER_REFUSED, name);
	close(file);
	return E_OK;
}

static enum code build(int root_fd, const char *hidden, enum ep_role role, struct err *err)
{
	enum code rc = E_OK;

	if (mkdirat(root_fd, hidden, 0700) != 0)
		return maildir_errno(err, E_FOLDER_REFUSED, "a new folder");
	int fd = maildir_open_dir(root_fd, hidden);
	if (fd < 0)
		return maildir_errno(err, E_FOLDER_REFUSED, "a new folder");
	for (size_t i = 0; rc == E_OK && i < ARRAY_LEN(parts); i++) {
		if (mkdirat(fd, parts[i], 0700) != 0)
			rc = maildir_errno(err, E_FOLDER_REFUSED, "a new folder");
	}
	if (rc == E_OK)
		rc = touch(fd, "maildirfolder", err);
	if (rc == E_OK)
		rc = local_new_folder_id(fd, role, err);
	close(fd);
	return rc;
}

static enum code exists_already(struct local *l, struct arena *arena, struct ep_folder_op *op, struct span dir,
				struct err *err)
{
	enum code rc = local_describe_folder(l, arena, dir, &op->folder_r, err);

	if (rc != E_OK)
		return rc;
	if (!op->folder_r.selectable)
		return err_set(err, E_FOLDER_REFUSED,
			       "there is a directory of that name that is no Maildir folder");
	return err_set(err, E_FOLDER_EXISTS, "%s", code_text(E_FOLDER_EXISTS));
}

static enum code create_folder(struct local *l, struct arena *arena, struct ep_folder_op *op, struct err *err)
{
	char hidden[64];
	struct span dir;

	enum code rc = names_to_dir(arena, op->path, &dir, err);
	if (rc != E_OK)
		return rc;
	if (there(l->root_fd, dir.p))
		return exists_already(l, arena, op, dir, err);
	if (fail_step("folder build"))
		return stopped(err);
	hidden_name(LOCAL_NEW, hidden);
	rc = build(l->root_fd, hidden, op->role == local_plain_role(op->path) ? EP_ROLE_NONE : op->role, err);
	if (rc == E_OK && fail_step("folder create"))
		return stopped(err);
	if (rc == E_OK && maildir_rename(l->root_fd, hidden, l->root_fd, dir.p) != 0) {
		if (errno == EEXIST)
			rc = exists_already(l, arena, op, dir, err);
		else
			rc = maildir_errno(err, E_FOLDER_REFUSED, "a new folder");
	}
	if (rc != E_OK) {
		(void)take_apart(l->root_fd, hidden);
		return rc;
	}
	rc = io_sync_dir(l->root_fd, "the mailbox", err);
	return rc == E_OK ? local_describe_folder(l, arena, dir, &op->folder_r, err) : rc;
}

/* --- rename --- */

/* Names of directories that begin with `dir` and a dot: its children, at any depth. */
struct names {
	struct span *p;
	size_t n, cap;
};

static enum code children_of(struct local *l, struct arena *arena, struct span dir, struct names *out,
			     struct err *err)
{
	int fd = openat(l->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (d == NULL) {
		enum code rc = err_errno(err, E_FOLDER_REFUSED, "the mailbox directory");

		if (fd >= 0)
			close(fd);
		return rc;
	}
	while ((errno = 0, e = readdir(d)) != NULL) {
		struct span name = span_of(e->d_name);

		if (name.n <= dir.n + 1 || memcmp(name.p, dir.p, dir.n) != 0 || name.p[dir.n] != '.')
			continue;
		out->p = arena_grow(arena, out->p, out->n, sizeof(*out->p), &out->cap);
		out->p[out->n++] = arena_span(arena, name);
	}
	enum code rc = errno == 0 ? E_OK : err_errno(err, E_FOLDER_REFUSED, "the mailbox directory");
	closedir(d);
	return rc;
}

/* Where the child goes; refused before anything was renamed. */
static enum code child_target(struct local *l, struct arena *arena, struct span child, struct span from,
			      struct span to, const char **target_r, struct err *err)
{
	struct span rest = span_cut(child, from.n, child.n);

	if (to.n + rest.n > NAME_MAX)
		return err_set(err, E_FOLDER_NAME, "a folder's name would become too long");
	*target_r = arena_printf(arena, SPAN_FMT SPAN_FMT, SPAN_ARG(to), SPAN_ARG(rest));
	if (there(l->root_fd, *target_r))
		return err_set(err, E_FOLDER_EXISTS, "a folder below the new name exists already");
	return E_OK;
}

static enum code rename_dir(struct local *l, const char *from, const char *to, struct err *err)
{
	if (fail_step("folder rename"))
		return stopped(err);
	if (maildir_rename(l->root_fd, from, l->root_fd, to) == 0)
		return E_OK;
	if (errno == EEXIST)
		return err_set(err, E_FOLDER_EXISTS, "%s", code_text(E_FOLDER_EXISTS));
	return maildir_errno(err, errno == ENOENT ? E_FOLDER_GONE : E_FOLDER_REFUSED, "renaming a folder");
}

static enum code rename_all(struct local *l, struct arena *arena, struct span from, struct span to,
			    struct err *err)
{
	struct names children = { .n = 0 };
	enum code rc = children_of(l, arena, from, &children, err);
	const char **targets = arena_calloc(arena, children.n + 1, sizeof(*targets));

	for (size_t i = 0; rc == E_OK && i < children.n; i++)
		rc = child_target(l, arena, children.p[i], from, to, &targets[i], err);
	if (rc == E_OK)
		rc = rename_dir(l, from.p, to.p, err);
	for (size_t i = 0; rc == E_OK && i < children.n; i++)
		rc = rename_dir(l, children.p[i].p, targets[i], err);
	return rc;
}

static enum code rename_folder(struct local *l, struct arena *arena, struct ep_folder_op *op, struct err *err)
{
	struct span from = op->folder->name, to;

	if (!maildir_component(from) || from.p[0] != '.')
		return err_set(err, E_FOLDER_REFUSED, "this folder cannot be renamed");
	enum code rc = names_to_dir(arena, op->path, &to, err);
	if (rc != E_OK)
		return rc;
	from = arena_span(arena, from);
	if (!there(l->root_fd, from.p))
		return err_set(err, E_FOLDER_GONE, "%s", code_text(E_FOLDER_GONE));
	if (!span_eq(from, to)) {
		if (there(l->root_fd, to.p))
			return err_set(err, E_FOLDER_EXISTS, "%s", code_text(E_FOLDER_EXISTS));
		rc = rename_all(l, arena, from, to, err);
		struct err late = ERR_INIT;
		enum code synced = fail_dead() ? E_OK : io_sync_dir(l->root_fd, "the mailbox", &late);

		if (rc == E_OK && synced != E_OK)
			return err_set(err, synced, "%s", late.text);
	}
	return rc == E_OK ? local_describe_folder(l, arena, to, &op->folder_r, err) : rc;
}

/* --- remove --- */

static enum code refuse_children(struct local *l, struct arena *arena, struct span dir, struct err *err)
{
	struct names children = { .n = 0 };
	enum code rc = children_of(l, arena, dir, &children, err);

	if (rc == E_OK && children.n > 0)
		return err_set(err, E_FOLDER_REFUSED, "the folder has %zu folders below it", children.n);
	return rc;
}

static enum code refuse_contents(struct local *l, struct span dir, struct err *err)
{
	struct folder *f;
	enum code rc = local_folder(l, dir, &f, err);

	if (rc == E_OK)
		rc = folder_scan(f, err);
	if (rc != E_OK)
		return rc;
	if (!f->complete)
		return err_set(err, E_FOLDER_REFUSED, "another program is changing the folder");
	for (size_t i = 0; i < f->n; i++) {
		if (!f->items[i].gone)
			return err_set(err, E_FOLDER_REFUSED, "the folder holds items");
	}
	rc = folder_tmp(f, err);
	if (rc == E_OK && !maildir_entries(f->fd, "tmp", only_ours))
		rc = err_set(err, E_FOLDER_REFUSED, "a message is being delivered to the folder");
	if (rc == E_OK && !maildir_entries(f->fd, ".", only_known))
		rc = err_set(err, E_FOLDER_REFUSED, "the folder holds files of another program");
	return rc;
}

static enum code remove_folder(struct local *l, struct arena *arena, struct ep_folder_op *op, struct err *err)
{
	struct span dir = arena_span(arena, op->folder->name);
	char hidden[64];

	if (!maildir_component(dir) || dir.p[0] != '.')
		return err_set(err, E_FOLDER_REFUSED, "this folder cannot be removed");
	enum code rc = refuse_children(l, arena, dir, err);
	if (rc == E_OK)
		rc = refuse_contents(l, dir, err);
	if (rc != E_OK)
		return rc;
	hidden_name(LOCAL_REMOVED, hidden);
	if (fail_step("folder remove"))
		return stopped(err);
	if (maildir_rename(l->root_fd, dir.p, l->root_fd, hidden) != 0)
		return maildir_errno(err, errno == ENOENT ? E_FOLDER_GONE : E_FOLDER_REFUSED, "removing a folder");
	if (fail_step("folder taken apart"))
		return stopped(err);
	bool gone = take_apart(l->root_fd, hidden);
	if (!gone && maildir_rename(l->root_fd, hidden, l->root_fd, dir.p) == 0)
		rc = err_set(err, E_FOLDER_REFUSED, "a message came into the folder meanwhile");
	else if (!gone)
		rc = maildir_errno(err, E_FOLDER_REFUSED, "removing a folder");
	struct err late = ERR_INIT;
	enum code synced = io_sync_dir(l->root_fd, "the mailbox", &late);

	return rc == E_OK && synced != E_OK ? err_set(err, synced, "%s", late.text) : rc;
}

/* --- what an interruption left --- */

static bool is_old(int root_fd, const char *name)
{
	struct stat st;

	return fstatat(root_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       clock_wall_s() - st.st_ctim.tv_sec > UNFINISHED_AGE_S;
}

static bool tidy_one(int root_fd, const char *name)
{
	char visible[MAILDIR_NAME_MAX];

	if (starts(name, LOCAL_NEW) && is_old(root_fd, name))
		(void)take_apart(root_fd, name);
	/* a message came into it before it was taken apart: show it as a folder */
	if (starts(name, LOCAL_REMOVED) && !take_apart(root_fd, name)) {
		snprintf(visible, sizeof(visible), ".%.*s", NAME_MAX - 1, name);
		(void)!maildir_rename(root_fd, name, root_fd, visible);
	}
	return true;
}

void local_tidy(struct local *l)
{
	(void)maildir_entries(l->root_fd, ".", tidy_one);
}

/* --- the verb --- */

static enum code run_one(struct local *l, struct arena *arena, struct ep_folder_op *op, struct err *err)
{
	switch (op->kind) {
	case EP_FOLDER_CREATE:
		return create_folder(l, arena, op, err);
	case EP_FOLDER_RENAME:
		return rename_folder(l, arena, op, err);
	case EP_FOLDER_REMOVE:
		return remove_folder(l, arena, op, err);
	}
	return err_set(err, E_INTERNAL, "no such operation");
}

static bool is_record(const struct ep_folder_op *op)
{
	return (op->kind == EP_FOLDER_CREATE ? op->item_kind : op->folder->kind) != EP_MAIL;
}

enum code local_folders(struct endpoint *ep, struct arena *arena, struct ep_folder_op *ops, size_t n, struct err *err)
{
	struct local *l = ep->impl;
	enum code rc = E_OK;

	for (size_t i = 0; i < n; i++) {
		ops[i].code = E_CANCELLED;
		ops[i].text = NULL;
	}
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct err why = ERR_INIT;

		local_unpin(l);
		rc = fiber_tick(&why);
		if (rc == E_OK) {
			rc = is_record(&ops[i]) ? vdir_folder_op(l, arena, &ops[i], &why) :
			     run_one(l, arena, &ops[i], &why);
			rc = local_element(arena, rc, &why, &ops[i].code, &ops[i].text);
		}
		/* directories were renamed: what is open may be another folder now */
		local_forget_folders(l);
		if (rc != E_OK) {
			*err = why;
			local_where(ep, NULL, rc, err);
		}
	}
	return rc;
}
