/* create.c - new items, by the book of the Maildir: tmp, fsync, rename into cur, fsync of the directory.
 *
 * A run is written as a whole before the first fsync waits, so that the file system can take it to
 * the disk in one go. Lines end with LF on disk, as every delivery agent writes them, unless the
 * message has a CR that belongs to no line end: then its bytes are kept as they are. Either way
 * reading gives the same bytes again.
 */
#include "local.h"

#include "../../common/fail.h"
#include "../../common/io.h"
#include "../../common/mem.h"
#include "../fiber.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* One item on its way. */
struct pending {
	struct folder *folder;
	int fd;                      /* -1: refused, or renamed already */
	uint64_t file_size;
	char tmp[MAILDIR_NAME_MAX];
};

/* Where the converted bytes go. */
struct out {
	int fd;
	char *buffer;
	size_t n;
	uint64_t total;
	bool last_cr, bare_cr;
};

static enum code flush(struct out *o, struct err *err)
{
	struct err why = ERR_INIT;

	errno = 0;
	if (io_write_all(o->fd, o->buffer, o->n, "message file", &why) != E_OK)
		return maildir_errno(err, E_IO, "a message file");
	o->total += o->n;
	o->n = 0;
	return E_OK;
}

static enum code put(struct out *o, const char *p, size_t n, struct err *err)
{
	while (n > 0) {
		size_t room = LOCAL_BUFFER - o->n, part = n < room ? n : room;

		memcpy(o->buffer + o->n, p, part);
		o->n += part;
		p += part;
		n -= part;
		if (o->n < LOCAL_BUFFER)
			continue;
		enum code rc = flush(o, err);

		if (rc != E_OK)
			return rc;
	}
	return E_OK;
}

/* Write the piece without the CR of each CRLF; stops at a CR that is none. */
static enum code put_lf(struct out *o, struct span piece, struct err *err)
{
	const char *at = piece.p, *end = piece.p + piece.n;
	enum code rc = E_OK;

	if (o->last_cr && *at != '\n')
		o->bare_cr = true;
	o->last_cr = false;
	while (rc == E_OK && at < end && !o->bare_cr) {
		const char *cr = memchr(at, '\r', (size_t)(end - at)), *to = cr != NULL ? cr : end;

		rc = put(o, at, (size_t)(to - at), err);
		at = cr != NULL ? cr + 1 : end;
		if (cr != NULL && at == end)
			o->last_cr = true;
		else if (cr != NULL && *at != '\n')
			o->bare_cr = true;
	}
	return rc;
}

static enum code write_body(struct out *o, struct body *body, bool as_lf, struct err *err)
{
	struct span piece;
	uint64_t at = 0;
	enum code rc;

	while ((rc = body_read(body, at, &piece, err)) == E_OK && piece.n > 0) {
		rc = as_lf ? put_lf(o, piece, err) : put(o, piece.p, piece.n, err);
		if (rc == E_OK)
			rc = fiber_tick(err);
		if (rc != E_OK || o->bare_cr)
			return rc;
		at += piece.n;
	}
	o->bare_cr = o->bare_cr || o->last_cr;
	return rc == E_OK ? flush(o, err) : rc;
}

static enum code write_file(struct local *l, struct pending *p, struct body *body, struct err *err)
{
	struct out o = { .fd = p->fd, .buffer = l->buffer };
	enum code rc = write_body(&o, body, true, err);

	if (rc == E_OK && o.bare_cr) {
		if (lseek(p->fd, 0, SEEK_SET) != 0 || ftruncate(p->fd, 0) != 0)
			return maildir_errno(err, E_IO, "a message file");
		o = (struct out){ .fd = p->fd, .buffer = l->buffer };
		rc = write_body(&o, body, false, err);
	}
	p->file_size = o.total;
	return rc;
}

static enum code set_received(int fd, int64_t received, struct err *err)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = received } };

	if (received != INT64_MIN && futimens(fd, times) != 0)
		return maildir_errno(err, E_IO, "the time of a message file");
	return E_OK;
}

static enum code write_tmp(struct local *l, struct ep_op *op, struct pending *p, struct err *err)
{
	enum code rc = local_folder(l, op->folder->name, &p->folder, err);

	if (rc == E_OK && body_size(op->body) == 0)
		rc = err_set(err, E_ITEM_BAD, "the message is empty");
	if (rc == E_OK)
		rc = keywords_add(&p->folder->keywords, p->folder->fd, op->keywords, p->folder->file_mode, err);
	if (rc == E_OK)
		rc = folder_tmp(p->folder, err);
	if (rc != E_OK)
		return rc;
	if (fail_step("message tmp"))
		return err_set(err, E_CANCELLED, "stopped");
	maildir_tmp_name(p->tmp);
	p->fd = openat(p->folder->tmp_fd, p->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		       p->folder->file_mode);
	if (p->fd < 0)
		return maildir_errno(err, E_FOLDER_REFUSED, "a new message file");
	rc = write_file(l, p, op->body, err);
	if (rc == E_OK)
		rc = set_received(p->fd, op->received, err);
	/* let the disk begin; the fsync that counts comes later */
	(void)sync_file_range(p->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return rc;
}

static enum code sync_tmp(struct pending *p, struct err *err)
{
	int fd = p->fd;

	if (fail_step("message fsync"))
		return err_set(err, E_CANCELLED, "stopped");
	if (fsync(fd) != 0)
		return maildir_errno(err, E_IO, "fsync of a message file");
	return E_OK;
}

/* tmp/mailshadow-NAME -> cur/NAME,S=...,W=...:2,FLAGS */
static enum code rename_tmp(struct arena *arena, struct ep_op *op, struct pending *p, struct sync_set *sync,
			    struct err *err)
{
	char base[2 * MAILDIR_NAME_MAX], file[MAILDIR_NAME_MAX];
	struct maildir_name name = { .flags = op->flags };
	int n = snprintf(base, sizeof(base), "%s,S=%" PRIu64 ",W=%" PRIu64,
			 p->tmp + strlen(MAILDIR_TMP_PREFIX), p->file_size,
			 body_size(op->body));

	name.base = span_bytes(base, (size_t)n);
	name.letters = keywords_letters(&p->folder->keywords, op->keywords, &name.passed);
	enum code rc = maildir_compose(&name, file, err);
	if (rc != E_OK)
		return rc;
	if (fail_step("message rename"))
		return err_set(err, E_CANCELLED, "stopped");
	if (maildir_rename(p->folder->tmp_fd, p->tmp, p->folder->cur_fd, file) != 0)
		return maildir_errno(err, E_ITEM_REFUSED, "a new message file");
	close(p->fd);
	p->fd = -1;
	op->new_id = arena_span(arena, name.base);
	if (p->folder->scanned)
		folder_added(p->folder, file);
	return sync_add(sync, p->folder->cur_fd, err);
}

/* Take back what was not renamed; a stopped process takes nothing back. */
static void discard(struct pending *p)
{
	if (p->fd < 0)
		return;
	close(p->fd);
	p->fd = -1;
	if (!fail_dead())
		unlinkat(p->folder->tmp_fd, p->tmp, 0);
}

static enum code finish_one(struct arena *arena, struct ep_op *op, struct pending *p, struct sync_set *sync,
			    struct err *err)
{
	if (p->fd < 0)
		return E_OK;
	enum code rc = rename_tmp(arena, op, p, sync, err);

	return local_element(arena, rc, err, &op->code, &op->text);
}

enum code local_create_run(struct local *l, struct arena *arena, struct ep_op *ops, size_t n,
			   struct sync_set *sync, struct err *err)
{
	struct pending *pending = mem_calloc(n, sizeof(*pending));
	enum code rc = E_OK;

	assert(n <= CREATE_RUN);
	for (size_t i = 0; i < n; i++)
		pending[i].fd = -1;
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		rc = write_tmp(l, &ops[i], &pending[i], err);
		if (rc == E_OK)
			continue;
		rc = local_element(arena, rc, err, &ops[i].code, &ops[i].text);
		if (rc == E_OK)
			discard(&pending[i]);
	}
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = pending[i].fd >= 0 ? sync_tmp(&pending[i], err) : E_OK;
	for (size_t i = 0; rc == E_OK && i < n; i++)
		rc = finish_one(arena, &ops[i], &pending[i], sync, err);
	for (size_t i = 0; i < n; i++)
		discard(&pending[i]);
	mem_free(pending);
	return rc;
}
