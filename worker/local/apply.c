/* apply.c - what changes items: flags, move, copy, remove; and the directories to be synced.
 *
 * Another program may rename the file at any moment. So each change names the file exactly as it was
 * seen; when that name is gone the folder is scanned again and the change is made on what is there
 * now. Nothing is ever replaced: a name that is taken is an error.
 */
#include "local.h"
#include "vdir.h"

#include "../../common/fail.h"
#include "../../common/io.h"
#include "../data/flags.h"
#include "../fiber.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 6
#define PINNED 16               /* changes during which folders stay open */

/* --- directories that have to reach the disk --- */

enum code sync_all(struct sync_set *s, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; i < s->n; i++) {
		if (!fail_dead() && fsync(s->dirs[i].fd) != 0 && rc == E_OK)
			rc = maildir_errno(err, E_IO, "fsync of a mail directory");
		close(s->dirs[i].fd);
	}
	s->n = 0;
	return rc;
}

enum code sync_add(struct sync_set *s, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_errno(err, E_IO, "a mail directory");
	for (size_t i = 0; i < s->n; i++) {
		if (s->dirs[i].ino == st.st_ino && s->dirs[i].dev == st.st_dev)
			return E_OK;
	}
	if (s->n == SYNC_MAX) {
		enum code rc = sync_all(s, err);

		if (rc != E_OK)
			return rc;
	}
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return err_errno(err, E_IO, "a mail directory");
	s->dirs[s->n].dev = st.st_dev;
	s->dirs[s->n].ino = st.st_ino;
	s->dirs[s->n++].fd = own;
	return E_OK;
}

/* --- one change --- */

struct change {
	struct local *l;
	struct arena *arena;
	struct ep_op *op;
	struct folder *from, *to;
	struct sync_set *sync;
	bool vanished;               /* out: the file has another name by now, look again */
};

static enum code failed(struct change *c, const char *what, struct err *err)
{
	c->vanished = errno == ENOENT;
	if (errno == EEXIST)
		return err_set(err, E_ITEM_REFUSED, "%s: the file name is taken", what);
	return maildir_errno(err, E_ITEM_REFUSED, what);
}

static enum code change_flags(struct change *c, struct folder_item *item, struct err *err)
{
	struct folder *f = c->from;
	const struct maildir_name old = folder_item_name(item);
	struct maildir_name name = old;
	char file[MAILDIR_NAME_MAX];
	bool passed;

	name.flags = (old.flags | c->op->flags) & ~c->op->flags_remove;
	name.letters &= ~keywords_letters(&f->keywords, c->op->keywords_remove, &passed);
	if (kw_has(c->op->keywords_remove, SPAN_LIT(KEYWORD_PASSED)))
		name.passed = false;
	name.letters |= keywords_letters(&f->keywords, c->op->keywords, &passed);
	name.passed = name.passed || passed;
	if (name.flags == old.flags && name.letters == old.letters && name.passed == old.passed)
		return E_OK;
	enum code rc = maildir_compose(&name, file, err);
	if (rc != E_OK)
		return rc;
	if (fail_step("flags rename"))
		return err_set(err, E_CANCELLED, "stopped");
	int dir = folder_item_dir(f, item);
	if (maildir_rename(dir, item->file, f->cur_fd, file) != 0)
		return failed(c, "changing flags", err);
	folder_renamed(f, item, file);
	rc = sync_add(c->sync, f->cur_fd, err);
	return rc == E_OK ? sync_add(c->sync, dir, err) : rc;
}

static enum code remove_item(struct change *c, struct folder_item *item, struct err *err)
{
	int dir = folder_item_dir(c->from, item);

	if (fail_step("item unlink"))
		return err_set(err, E_CANCELLED, "stopped");
	if (unlinkat(dir, item->file, 0) != 0)
		return failed(c, "removing", err);
	folder_removed(item);
	return sync_add(c->sync, dir, err);
}

/* A base name that is free in c->to: the same one if possible. Sizes in it are kept. */
static enum code free_base(struct change *c, struct span base, char out[2 * MAILDIR_NAME_MAX], struct err *err)
{
	struct folder_item *taken = NULL;
	enum code rc = folder_find(c->to, base, &taken, err);
	uint64_t in_file, with_crlf;

	if (rc != E_OK)
		return rc;
	if (taken == NULL) {
		memcpy(out, base.p, base.n);
		out[base.n] = '\0';
		return E_OK;
	}
	maildir_unique(out);
	if (maildir_size(base, 'S', &in_file) && maildir_size(base, 'W', &with_crlf))
		snprintf(out + strlen(out), MAILDIR_NAME_MAX, ",S=%llu,W=%llu", (unsigned long long)in_file,
			 (unsigned long long)with_crlf);
	return E_OK;
}

/* The item's file name in c->to, with the letters that its keywords have there. */
static enum code name_there(struct change *c, const struct folder_item *item, char file[MAILDIR_NAME_MAX],
			    struct err *err)
{
	struct maildir_name name = folder_item_name(item);
	char base[2 * MAILDIR_NAME_MAX];
	/* a letter that another program has just named must not be lost */
	enum code rc = name.letters != 0 ? keywords_refresh(&c->from->keywords, c->from->fd, err) : E_OK;
	if (rc != E_OK)
		return rc;
	const char *set = keywords_of(&c->from->keywords, c->arena, name.letters, name.passed);
	rc = keywords_add(&c->to->keywords, c->to->fd, set, c->to->file_mode, err);

	if (rc == E_OK)
		rc = free_base(c, name.base, base, err);
	if (rc != E_OK)
		return rc;
	name.base = span_of(base);
	name.letters = keywords_letters(&c->to->keywords, set, &name.passed);
	rc = maildir_compose(&name, file, err);
	if (rc == E_OK)
		c->op->new_id = arena_span(c->arena, name.base);
	return rc;
}

static enum code copy_bytes(struct local *l, int from, int to, struct err *err)
{
	size_t got;
	enum code rc;

	do {
		rc = io_read_full(from, l->buffer, LOCAL_BUFFER, &got, "message file", err);
		if (rc == E_OK)
			rc = io_write_all(to, l->buffer, got, "message file", err);
		if (rc == E_OK)
			rc = fiber_tick(err);
	} while (rc == E_OK && got == LOCAL_BUFFER);
	return rc;
}

/* Copy the bytes where a hard link is impossible (another file system). */
static enum code copy_file(struct change *c, const struct folder_item *item, const char *file, struct err *err)
{
	char tmp[MAILDIR_NAME_MAX];
	struct stat st;
	enum code rc = folder_tmp(c->to, err);

	if (rc != E_OK)
		return rc;
	int from = openat(folder_item_dir(c->from, item), item->file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0)
		return failed(c, "copying", err);
	maildir_tmp_name(tmp);
	int to = openat(c->to->tmp_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			c->to->file_mode);
	if (to < 0) {
		rc = failed(c, "copying", err);
		close(from);
		return rc;
	}
	rc = copy_bytes(c->l, from, to, err);
	if (rc == E_OK && fstat(from, &st) == 0) {
		struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, st.st_mtim };

		if (futimens(to, times) != 0 || fsync(to) != 0)
			rc = maildir_errno(err, E_IO, "a copied message file");
	}
	close(from);
	close(to);
	if (rc == E_OK && maildir_rename(c->to->tmp_fd, tmp, c->to->cur_fd, file) != 0)
		rc = failed(c, "copying", err);
	if (rc != E_OK && !fail_dead())
		unlinkat(c->to->tmp_fd, tmp, 0);
	return rc;
}

static enum code copy_item(struct change *c, struct folder_item *item, struct err *err)
{
	char file[MAILDIR_NAME_MAX];
	enum code rc = name_there(c, item, file, err);

	if (rc != E_OK)
		return rc;
	if (fail_step("item link"))
		return err_set(err, E_CANCELLED, "stopped");
	if (linkat(folder_item_dir(c->from, item), item->file, c->to->cur_fd, file, 0) != 0) {
		if (errno != EXDEV && errno != EPERM && errno != EMLINK && errno != EOPNOTSUPP)
			return failed(c, "copying", err);
		rc = copy_file(c, item, file, err);
	}
	if (rc != E_OK)
		return rc;
	if (c->to->scanned)
		folder_added(c->to, file);
	return sync_add(c->sync, c->to->cur_fd, err);
}

/* Over the border of a file system: the copy is durable before the original goes. */
static enum code move_by_copy(struct change *c, struct folder_item *item, const char *file, struct err *err)
{
	enum code rc = copy_file(c, item, file, err);

	if (rc == E_OK)
		rc = sync_add(c->sync, c->to->cur_fd, err);
	if (rc == E_OK)
		rc = sync_all(c->sync, err);
	if (rc == E_OK && unlinkat(folder_item_dir(c->from, item), item->file, 0) != 0)
		rc = err_errno(err, E_ITEM_UNCERTAIN, "the original of a moved message");
	return rc;
}

static enum code move_item(struct change *c, struct folder_item *item, struct err *err)
{
	char file[MAILDIR_NAME_MAX];
	int dir = folder_item_dir(c->from, item);

	if (c->from == c->to) {
		c->op->new_id = arena_span(c->arena, folder_item_id(item));
		return E_OK;
	}
	enum code rc = name_there(c, item, file, err);
	if (rc != E_OK)
		return rc;
	if (fail_step("item move"))
		return err_set(err, E_CANCELLED, "stopped");
	if (maildir_rename(dir, item->file, c->to->cur_fd, file) != 0) {
		if (errno != EXDEV)
			return failed(c, "moving", err);
		rc = move_by_copy(c, item, file, err);
	}
	if (rc != E_OK)
		return rc;
	folder_removed(item);
	if (c->to->scanned)
		folder_added(c->to, file);
	rc = sync_add(c->sync, c->to->cur_fd, err);
	return rc == E_OK ? sync_add(c->sync, dir, err) : rc;
}

static enum code run_change(struct change *c, struct folder_item *item, struct err *err)
{
	switch (c->op->kind) {
	case EP_FLAGS:
		return change_flags(c, item, err);
	case EP_MOVE:
		return move_item(c, item, err);
	case EP_COPY:
		return copy_item(c, item, err);
	case EP_REMOVE:
		return remove_item(c, item, err);
	case EP_CREATE:
	case EP_UPDATE:
		break;
	}
	return err_set(err, E_INTERNAL, "a create in the wrong place");
}

static enum code open_folders(struct change *c, struct err *err)
{
	enum code rc = local_folder(c->l, c->op->folder->name, &c->from, err);

	if (rc == E_OK && (c->op->kind == EP_MOVE || c->op->kind == EP_COPY))
		rc = local_folder(c->l, c->op->to->name, &c->to, err);
	if (rc == E_OK && c->op->kind == EP_FLAGS)
		rc = keywords_add(&c->from->keywords, c->from->fd, c->op->keywords, c->from->file_mode, err);
	return rc;
}

static enum code apply_one(struct change *c, struct err *err)
{
	struct folder_item *item = NULL;
	enum code rc = open_folders(c, err);

	if (rc == E_OK)
		rc = folder_find(c->from, c->op->id, &item, err);
	/* not known: it may have come after the scan */
	if (rc == E_OK && item == NULL)
		rc = folder_find_again(c->from, c->op->id, &item, err);
	for (int i = 0; rc == E_OK && i < TRIES; i++) {
		if (item == NULL)
			return err_set(err, E_ITEM_GONE, "the message's file is gone");
		if (item->twice)
			return err_set(err, E_ITEM_REFUSED, "two files carry the name of this message");
		c->vanished = false;
		rc = run_change(c, item, err);
		if (!c->vanished)
			return rc;
		rc = folder_find_again(c->from, c->op->id, &item, err);
	}
	return rc != E_OK ? rc : err_set(err, E_ITEM_CHANGED, "the message's file changes its name all the time");
}

/* How many creates of mail, or changes of records, begin at ops[0]. */
static size_t run_length(const struct ep_op *ops, size_t n)
{
	bool mail = ops[0].folder->kind == EP_MAIL;
	size_t k = 0;

	while (k < n && k < CREATE_RUN && (ops[k].folder->kind == EP_MAIL) == mail &&
	       (!mail || ops[k].kind == EP_CREATE))
		k++;
	return k;
}

static enum code apply_run(struct local *l, struct arena *arena, struct ep_op *ops, size_t n, struct sync_set *sync,
			   struct err *err)
{
	return ops[0].folder->kind == EP_MAIL ? local_create_run(l, arena, ops, n, sync, err) :
	       vdir_apply_run(l, arena, ops, n, sync, err);
}

/* The directories did not reach the disk: what was done may be undone by a crash. */
static void doubt_all(struct arena *arena, struct ep_op *ops, size_t n, const struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (ops[i].code != E_OK)
			continue;
		ops[i].code = E_ITEM_UNCERTAIN;
		ops[i].text = arena_str(arena, span_of(err_text(err)));
	}
}

enum code local_apply(struct endpoint *ep, struct arena *arena, struct ep_op *ops, size_t n, struct err *err)
{
	struct sync_set sync = { .n = 0 };
	struct err late = ERR_INIT;
	enum code rc = E_OK;

	for (size_t i = 0; i < n; i++) {
		ops[i].code = E_CANCELLED;
		ops[i].text = NULL;
		ops[i].new_id = SPAN_NONE;
	}
	for (size_t i = 0, step; rc == E_OK && i < n; i += step) {
		struct err why = ERR_INIT;

		step = run_length(ops + i, n - i);
		if (step > 0 || i % PINNED == 0)
			local_unpin(ep->impl);
		rc = fiber_tick(&why);
		if (rc == E_OK && step > 0) {
			rc = apply_run(ep->impl, arena, ops + i, step, &sync, &why);
		} else if (rc == E_OK) {
			struct change c = { ep->impl, arena, &ops[i], NULL, NULL, &sync, false };

			step = 1;
			rc = apply_one(&c, &why);
			if (rc != E_OK)
				ops[i].new_id = SPAN_NONE;
			rc = local_element(arena, rc, &why, &ops[i].code, &ops[i].text);
		}
		if (rc != E_OK) {
			*err = why;
			local_where(ep, ops[i].folder, rc, err);
		}
	}
	enum code synced = sync_all(&sync, &late);
	if (synced != E_OK) {
		local_where(ep, NULL, synced, &late);
		doubt_all(arena, ops, n, &late);
		if (rc == E_OK)
			*err = late;
	}
	return rc != E_OK ? rc : synced;
}
