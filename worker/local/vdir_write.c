/* vdir_write.c - records created, updated, moved and removed: a whole new file first, then one rename.
 *
 * 1. A run is written as a whole before the first fsync waits.
 * 2. An update swaps the new file with the old one, a removal takes the file aside; only then is looked at
 *    what went. If another program wrote in between, its file goes back. What is never seen again is
 *    removed only when it is what the caller knew.
 * 3. A new file is called by its UID. If a file of that name holds the same UID, somebody was faster, or it
 *    is our own create that was interrupted: the next pass finds it in the listing and merges.
 */
#include "vdir.h"

#include "../../common/fail.h"
#include "../../common/io.h"
#include "../../common/mem.h"
#include "../data/record.h"
#include "../fiber.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define NAMES_MAX 100
#define UID_PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+@"

/* One operation on its way. */
struct change {
	struct local *l;
	struct arena *arena;
	struct ep_op *ops;           /* the whole run */
	size_t i;
	int dir, to_dir;             /* -1: not open */
	int fd;                      /* of `tmp`; -1 = nothing of ours lies there */
	char tmp[64];
	bool done;                   /* its outcome is known */
	struct sync_set *sync;
};

static struct ep_op *op_of(const struct change *c)
{
	return &c->ops[c->i];
}

static enum code stopped(struct err *err)
{
	return err_set(err, E_CANCELLED, "stopped");
}

static const char *c_name(struct arena *arena, struct span name)
{
	return arena_str(arena, name);
}

/* --- the new bytes --- */

static enum code write_bytes(int fd, struct body *body, struct err *err)
{
	struct err why = ERR_INIT;
	struct span piece;
	uint64_t at = 0;
	enum code rc;

	while ((rc = body_read(body, at, &piece, err)) == E_OK && piece.n > 0) {
		errno = 0;
		if (io_write_all(fd, piece.p, piece.n, "an item's file", &why) != E_OK)
			return maildir_errno(err, E_IO, "an item's file");
		at += piece.n;
		rc = fiber_tick(err);
		if (rc != E_OK)
			return rc;
	}
	return rc;
}

static enum code write_tmp(struct change *c, struct err *err)
{
	struct ep_op *op = op_of(c);
	struct stat st;

	if (body_size(op->body) == 0)
		return err_set(err, E_ITEM_BAD, "the item is empty");
	if (body_size(op->body) > VDIR_ITEM_MAX)
		return err_set(err, E_ITEM_TOO_BIG, "the item is larger than %zu MiB", VDIR_ITEM_MAX >> 20);
	if (fstat(c->dir, &st) != 0)
		return maildir_errno(err, E_FOLDER_REFUSED, "a collection");
	if (fail_step("record tmp"))
		return stopped(err);
	vdir_hidden_name(VDIR_TMP, c->tmp);
	c->fd = openat(c->dir, c->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		       (st.st_mode & 0660) | 0600);
	if (c->fd < 0)
		return maildir_errno(err, E_FOLDER_REFUSED, "a new item's file");
	enum code rc = write_bytes(c->fd, op->body, err);
	/* let the disk begin; the fsync that counts comes later */
	if (rc == E_OK)
		(void)sync_file_range(c->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return rc;
}

static enum code sync_tmp(const struct change *c, struct err *err)
{
	if (fail_step("record fsync"))
		return stopped(err);
	return fsync(c->fd) == 0 ? E_OK : maildir_errno(err, E_IO, "fsync of an item's file");
}

/* Take back what did not get its place; a stopped process takes nothing back. */
static void discard(struct change *c)
{
	if (c->fd < 0)
		return;
	close(c->fd);
	c->fd = -1;
	if (!fail_dead())
		unlinkat(c->dir, c->tmp, 0);
}

/* --- names --- */

/* A candidate for the file's name: the stem, or stem-2, stem-3 ... */
static void candidate(const char *stem, const char *extension, unsigned attempt, char out[NAME_MAX + 1])
{
	if (attempt == 0)
		snprintf(out, NAME_MAX + 1, "%.200s%s", stem, extension);
	else
		snprintf(out, NAME_MAX + 1, "%.200s-%u%s", stem, attempt + 1, extension);
}

static enum code stem_of(const struct ep_op *op, char out[NAME_MAX + 1], struct err *err)
{
	struct span uid = op->uid;
	uint8_t sum[DIGEST_SIZE];
	enum code rc = E_OK;

	if (uid.n > 0 && uid.n <= 200 && uid.p[0] != '.') {
		memcpy(out, uid.p, uid.n);
		out[uid.n] = '\0';
		if (strspn(out, UID_PLAIN) == uid.n)
			return E_OK;
	}
	if (uid.n > 0)
		digest_of(uid.p, uid.n, sum);
	else
		rc = body_digest(op->body, sum, NULL, err);
	if (rc == E_OK)
		hex_encode(sum, 20, out);
	return rc;
}

static bool read_small(struct change *c, int fd, struct buf *text)
{
	size_t got = 0;

	do {
		if (io_read_full(fd, c->l->buffer, LOCAL_BUFFER, &got, "an item's file", NULL) != E_OK)
			return false;
		buf_add(text, c->l->buffer, got);
	} while (got == LOCAL_BUFFER && !text->overflow);
	return !text->overflow;
}

static bool same_digest(const struct buf *text, struct body *body)
{
	uint8_t a[DIGEST_SIZE], b[DIGEST_SIZE];
	struct err why = ERR_INIT;

	digest_of(text->p, text->n, a);
	return body_digest(body, b, NULL, &why) == E_OK && memcmp(a, b, sizeof(a)) == 0;
}

/* Does the file of that name hold the item that is to be created? By its UID; without one by its bytes. */
static bool holds_it(struct change *c, const char *name)
{
	int fd = openat(c->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const struct ep_op *op = op_of(c);
	struct record *record;
	struct err why = ERR_INIT;
	struct buf text;
	bool same = false;

	if (fd < 0)
		return false;
	buf_init(&text, VDIR_ITEM_MAX);
	if (read_small(c, fd, &text) && op->uid.n == 0) {
		same = same_digest(&text, op->body);
	} else if (!text.overflow && text.n > 0) {
		struct arena *scratch = arena_new((size_t)1 << 30);

		same = record_parse(scratch, buf_span(&text), &record, &why) == E_OK && span_eq(record->uid, op->uid);
		arena_free(&scratch);
	}
	buf_free(&text);
	close(fd);
	return same;
}

/* A create of this very run took that name: then it is another item of the same UID. */
static bool taken_in_run(const struct change *c, const char *name)
{
	const struct ep_op *op = op_of(c);

	for (size_t k = 0; k < c->i; k++) {
		if (c->ops[k].kind == EP_CREATE && c->ops[k].code == E_OK && span_eq_str(c->ops[k].new_id, name) &&
		    span_eq(c->ops[k].folder->name, op->folder->name))
			return true;
	}
	return false;
}

/* --- the changes themselves --- */

/* It has its name: the file's version from now on, and it is closed. */
static void written(struct change *c)
{
	char version[VDIR_VERSION_MAX];
	struct stat st;

	if (fstat(c->fd, &st) == 0) {
		vdir_version(&st, version);
		op_of(c)->new_version = arena_span(c->arena, span_of(version));
	}
	close(c->fd);
	c->fd = -1;
}

static enum code place_new(struct change *c, struct err *err)
{
	char stem[NAME_MAX + 1], name[NAME_MAX + 1];
	struct ep_op *op = op_of(c);
	enum code rc = stem_of(op, stem, err);

	if (rc == E_OK && fail_step("record place"))
		return stopped(err);
	for (unsigned attempt = 0; rc == E_OK && attempt < NAMES_MAX; attempt++) {
		candidate(stem, vdir_extension(op->folder->kind), attempt, name);
		if (maildir_rename(c->dir, c->tmp, c->dir, name) == 0) {
			written(c);
			op->new_id = arena_span(c->arena, span_of(name));
			return sync_add(c->sync, c->dir, err);
		}
		if (errno != EEXIST)
			return maildir_errno(err, E_ITEM_REFUSED, "a new item's file");
		if (!holds_it(c, name))
			continue;
		if (taken_in_run(c, name))
			return err_set(err, E_ITEM_REFUSED, "another item of the same UID is in this collection");
		return err_set(err, E_ITEM_UNCERTAIN, "an item of that UID is there already");
	}
	return rc != E_OK ? rc : err_set(err, E_ITEM_REFUSED, "there is no free name for the item's file");
}

/* The item's file is there and is what the caller knew. */
static enum code must_match(struct change *c, const char *name, struct stat *st, struct err *err)
{
	char version[VDIR_VERSION_MAX];
	const struct ep_op *op = op_of(c);

	if (fstatat(c->dir, name, st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? err_set(err, E_ITEM_GONE, "the item's file is gone") :
		       maildir_errno(err, E_ITEM_REFUSED, "an item's file");
	if (!S_ISREG(st->st_mode))
		return err_set(err, E_ITEM_BAD, "the item is not a regular file");
	vdir_version(st, version);
	if (op->version.n > 0 && !span_eq_str(op->version, version))
		return err_set(err, E_ITEM_CHANGED, "%s", code_text(E_ITEM_CHANGED));
	return E_OK;
}

/* What lies under `from` belongs to somebody else: show it again, under its name or beside it. */
static void give_back(int dir, const char *from, const char *name, const char *extension)
{
	char other[NAME_MAX + 1], random[64];

	if (maildir_rename(dir, from, dir, name) == 0)
		return;
	vdir_hidden_name("", random);
	snprintf(other, sizeof(other), "%.180s-%.60s%s", name, random, extension);
	(void)!maildir_rename(dir, from, dir, other);
}

/* tmp <-> name, where the file system is able to; else tmp over name. */
static int exchange(struct change *c, const char *name, bool *swapped_r)
{
	*swapped_r = renameat2(c->dir, c->tmp, c->dir, name, RENAME_EXCHANGE) == 0;
	if (*swapped_r || (errno != EINVAL && errno != ENOSYS))
		return *swapped_r ? 0 : -1;
	return renameat(c->dir, c->tmp, c->dir, name);
}

static enum code update(struct change *c, struct err *err)
{
	const char *name = c_name(c->arena, op_of(c)->id);
	struct stat known, ours, got;
	bool swapped;
	enum code rc = must_match(c, name, &known, err);

	if (rc != E_OK)
		return rc;
	if (fstat(c->fd, &ours) != 0 || fchmod(c->fd, known.st_mode & 0777) != 0)
		return maildir_errno(err, E_ITEM_REFUSED, "a new item's file");
	if (fail_step("record exchange"))
		return stopped(err);
	if (exchange(c, name, &swapped) != 0)
		return errno == ENOENT ? err_set(err, E_ITEM_GONE, "the item's file is gone") :
		       maildir_errno(err, E_ITEM_REFUSED, "changing an item's file");
	if (swapped && fstatat(c->dir, c->tmp, &got, AT_SYMLINK_NOFOLLOW) == 0 && !vdir_same_bytes(&known, &got)) {
		(void)!renameat2(c->dir, c->tmp, c->dir, name, RENAME_EXCHANGE);
		if (fstatat(c->dir, c->tmp, &got, AT_SYMLINK_NOFOLLOW) == 0 && got.st_ino != ours.st_ino) {
			give_back(c->dir, c->tmp, name, vdir_extension(op_of(c)->folder->kind));
			close(c->fd);
			c->fd = -1;
		}
		return err_set(err, E_ITEM_CHANGED, "%s", code_text(E_ITEM_CHANGED));
	}
	written(c);
	if (swapped && fail_step("record unlink"))
		return stopped(err);
	if (swapped)
		unlinkat(c->dir, c->tmp, 0);
	return sync_add(c->sync, c->dir, err);
}

static enum code remove_item(struct change *c, struct err *err)
{
	const char *name = c_name(c->arena, op_of(c)->id);
	struct stat known, got;
	enum code rc = must_match(c, name, &known, err);

	if (rc != E_OK)
		return rc;
	if (fail_step("record aside"))
		return stopped(err);
	vdir_hidden_name(VDIR_TMP, c->tmp);
	if (maildir_rename(c->dir, name, c->dir, c->tmp) != 0)
		return errno == ENOENT ? err_set(err, E_ITEM_GONE, "the item's file is gone") :
		       maildir_errno(err, E_ITEM_REFUSED, "removing an item's file");
	if (fstatat(c->dir, c->tmp, &got, AT_SYMLINK_NOFOLLOW) == 0 && !vdir_same_bytes(&known, &got)) {
		give_back(c->dir, c->tmp, name, vdir_extension(op_of(c)->folder->kind));
		return err_set(err, E_ITEM_CHANGED, "%s", code_text(E_ITEM_CHANGED));
	}
	if (fail_step("record unlink"))
		return stopped(err);
	if (unlinkat(c->dir, c->tmp, 0) != 0)
		return maildir_errno(err, E_ITEM_REFUSED, "removing an item's file");
	return sync_add(c->sync, c->dir, err);
}

static enum code move_to(struct change *c, const char *name, const struct stat *known, const char *there,
			 struct err *err)
{
	struct ep_op *op = op_of(c);
	struct stat got;

	if (fstatat(c->to_dir, there, &got, AT_SYMLINK_NOFOLLOW) == 0 && !vdir_same_bytes(known, &got) &&
	    maildir_rename(c->to_dir, there, c->dir, name) == 0)
		return err_set(err, E_ITEM_CHANGED, "%s", code_text(E_ITEM_CHANGED));
	op->new_id = arena_span(c->arena, span_of(there));
	enum code rc = sync_add(c->sync, c->to_dir, err);
	return rc == E_OK ? sync_add(c->sync, c->dir, err) : rc;
}

static enum code move_item(struct change *c, struct err *err)
{
	struct ep_op *op = op_of(c);
	const char *extension = vdir_extension(op->folder->kind), *name = c_name(c->arena, op->id);
	const char *stem = arena_str(c->arena, span_cut(op->id, 0, op->id.n - strlen(extension)));
	char there[NAME_MAX + 1];
	struct stat known;

	if (op->to->kind == EP_MAIL || strcmp(vdir_extension(op->to->kind), extension) != 0)
		return err_set(err, E_ITEM_REFUSED, "an item of this kind cannot be in that folder");
	enum code rc = vdir_open(c->l, op->to, &c->to_dir, err);
	if (rc == E_OK)
		rc = must_match(c, name, &known, err);
	if (rc == E_OK && span_eq(op->folder->name, op->to->name)) {
		op->new_id = arena_span(c->arena, op->id);
		return E_OK;
	}
	if (rc == E_OK && fail_step("record move"))
		return stopped(err);
	for (unsigned attempt = 0; rc == E_OK && attempt < NAMES_MAX; attempt++) {
		candidate(stem, extension, attempt, there);
		if (maildir_rename(c->dir, name, c->to_dir, there) == 0)
			return move_to(c, name, &known, there, err);
		if (errno != EEXIST)
			return errno == ENOENT ? err_set(err, E_ITEM_GONE, "the item's file is gone") :
			       maildir_errno(err, E_ITEM_REFUSED, "moving an item's file");
	}
	return rc != E_OK ? rc : err_set(err, E_ITEM_REFUSED, "there is no free name for the item's file");
}

/* --- the run --- */

static bool writes_bytes(const struct ep_op *op)
{
	return op->kind == EP_CREATE || op->kind == EP_UPDATE;
}

static enum code begin(struct change *c, struct err *err)
{
	const struct ep_op *op = op_of(c);

	if (op->kind == EP_FLAGS || op->kind == EP_COPY)
		return err_set(err, E_ITEM_REFUSED, "a record has no flags and only one place");
	if (op->kind != EP_CREATE && !vdir_is_item(op->folder->kind, op->id))
		return err_set(err, E_ITEM_GONE, "there is no such item");
	enum code rc = vdir_open(c->l, op->folder, &c->dir, err);
	return rc == E_OK && writes_bytes(op) ? write_tmp(c, err) : rc;
}

static enum code finish(struct change *c, struct err *err)
{
	switch (op_of(c)->kind) {
	case EP_CREATE:
		return place_new(c, err);
	case EP_UPDATE:
		return update(c, err);
	case EP_MOVE:
		return move_item(c, err);
	case EP_REMOVE:
		return remove_item(c, err);
	case EP_FLAGS:
	case EP_COPY:
		break;
	}
	return err_set(err, E_INTERNAL, "an operation in the wrong place");
}

/* Note the element's outcome; what it is not responsible for ends the run. */
static enum code settle(struct change *c, enum code rc, const struct err *err)
{
	struct ep_op *op = op_of(c);

	c->done = true;
	discard(c);
	if (rc != E_OK)
		op->new_id = SPAN_NONE;
	return local_element(c->arena, rc, err, &op->code, &op->text);
}

static void end(struct change *c)
{
	discard(c);
	if (c->dir >= 0)
		close(c->dir);
	if (c->to_dir >= 0)
		close(c->to_dir);
}

enum code vdir_apply_run(struct local *l, struct arena *arena, struct ep_op *ops, size_t n, struct sync_set *sync,
			 struct err *err)
{
	struct change *run = mem_calloc(n, sizeof(*run));
	enum code rc = E_OK;

	assert(n <= CREATE_RUN);
	for (size_t i = 0; i < n; i++)
		run[i] = (struct change){ .l = l, .arena = arena, .ops = ops, .i = i, .dir = -1, .to_dir = -1,
					  .fd = -1, .sync = sync };
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		rc = begin(&run[i], err);
		if (rc != E_OK)
			rc = settle(&run[i], rc, err);
	}
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = run[i].fd >= 0 ? sync_tmp(&run[i], err) : E_OK;
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		if (!run[i].done) {
			rc = finish(&run[i], err);
			rc = settle(&run[i], rc, err);
		}
	}
	for (size_t i = 0; i < n; i++)
		end(&run[i]);
	mem_free(run);
	return rc;
}
