/* vdir_list.c - which collections there are and how they are called; what is in one; one item's bytes. */
#include "vdir.h"

#include "../../common/io.h"
#include "../data/path.h"
#include "../fiber.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define TRIES 6

/* --- names --- */

/* A small file of a collection, without white space around it; SPAN_NONE if there is none, or it is large. */
static struct span read_word(struct arena *arena, int fd, const char *name)
{
	char text[VDIR_LABEL_MAX + 64];
	int file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	size_t n = 0;

	if (file < 0)
		return SPAN_NONE;
	bool ok = io_read_full(file, text, sizeof(text), &n, name, NULL) == E_OK;
	close(file);
	return ok && n < sizeof(text) ? arena_span(arena, span_trim(span_bytes(text, n))) : SPAN_NONE;
}

/* What somebody wrote into `displayname`, if it can be a name. */
static bool read_label(struct arena *arena, int fd, struct span *label_r)
{
	struct span label = read_word(arena, fd, VDIR_LABEL);

	if (label.n == 0 || label.n > VDIR_LABEL_MAX || !span_is_utf8(label))
		return false;
	for (size_t i = 0; i < label.n; i++) {
		if ((unsigned char)label.p[i] < ' ' || label.p[i] == 0x7f)
			return false;
	}
	*label_r = label;
	return true;
}

void vdir_dir_name(struct span label, unsigned attempt, char out[NAME_MAX + 1])
{
	size_t n = 0, size;

	for (size_t at = 0; at < label.n; at += size) {
		unsigned char c = (unsigned char)label.p[at];

		size = span_utf8(label, at, NULL);
		size = size == 0 ? 1 : size;
		if (n + size > 200)
			break;
		if (size == 1 && (c < ' ' || c >= 0x7f || c == '/' || (c == '.' && n == 0)))
			out[n] = '_';
		else
			memcpy(out + n, label.p + at, size);
		n += size;
	}
	if (n == 0)
		out[n++] = '_';
	out[n] = '\0';
	if (attempt > 0)
		snprintf(out + n, 16, "-%u", attempt + 1);
}

struct span vdir_plain_path(struct arena *arena, struct span name)
{
	size_t slash = span_find(name, 0, '/');

	return path_encode_component(arena, span_cut(name, slash == SIZE_MAX ? 0 : slash + 1, name.n));
}

/* --- collections --- */

static enum code fill(struct arena *arena, int fd, enum ep_kind kind, struct entry *e, struct err *err)
{
	struct arena *scratch = arena_new((size_t)1 << 30);
	struct span plain = vdir_plain_path(arena, e->folder.name), label;
	char wanted[NAME_MAX + 1];
	struct vdir_scan scan;

	list_identify(arena, fd, e);
	e->folder.kind = kind;
	e->folder.selectable = true;
	e->folder.path = plain;
	e->folder.color = ep_color(read_word(arena, fd, VDIR_COLOR));
	if (read_label(arena, fd, &label)) {
		e->folder.path = path_encode_component(arena, label);
		vdir_dir_name(label, 0, wanted);
		e->exact = span_eq_str(path_decode_component(arena, plain), wanted);
	}
	enum code rc = vdir_scan(fd, kind, scratch, &scan, err);
	if (rc == E_OK) {
		e->folder.mark = arena_span(arena, span_of(scan.mark));
		e->folder.count = scan.complete ? scan.n : UINT64_MAX;
	}
	arena_free(&scratch);
	return rc;
}

/* *is_r false: no collection, or it vanished. */
static enum code read_entry(struct local *l, struct arena *arena, enum ep_kind kind, struct span dir, struct entry *e,
			    bool *is_r, struct err *err)
{
	*is_r = false;
	*e = (struct entry){ .folder = { .kind = kind } };
	if (!maildir_component(dir) || dir.p[0] == '.' || !span_is_utf8(dir))
		return E_OK;
	e->folder.name = span_of(arena_printf(arena, "%s/" SPAN_FMT, vdir_root_name(kind), SPAN_ARG(dir)));
	int fd = vdir_open_name(l, e->folder.name);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return E_OK;
	if (fd < 0)
		return maildir_errno(err, E_FOLDER_REFUSED, "a collection");
	enum code rc = fill(arena, fd, kind, e, err);
	close(fd);
	*is_r = rc == E_OK;
	return rc == E_FOLDER_GONE ? E_OK : rc;
}

static enum code add_entry(struct local *l, struct listing *list, enum ep_kind kind, struct span dir, struct err *err)
{
	struct err why = ERR_INIT;
	struct entry e;
	bool is;
	enum code rc = read_entry(l, list->arena, kind, dir, &e, &is, &why);

	if (rc != E_OK && code_scope(rc) != SCOPE_FOLDER) {
		*err = why;
		return rc;
	}
	/* one that cannot be read spoils the proof of absence, not the others */
	if (rc != E_OK)
		list->complete = false;
	else if (is)
		list_add(list, &e);
	return E_OK;
}

static enum code list_kind(struct local *l, struct listing *list, enum ep_kind kind, bool *still_r, struct err *err)
{
	int fd = maildir_open_dir(l->box_fd, vdir_root_name(kind));
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct stat before = { .st_ino = 0 }, after = { .st_ino = 0 };
	struct dirent *e;
	enum code rc = E_OK;

	if (fd < 0 && errno == ENOENT)
		return E_OK;
	if (dir == NULL) {
		rc = maildir_errno(err, E_STORE_FAILED, vdir_root_name(kind));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	if (fstat(fd, &before) != 0)
		rc = maildir_errno(err, E_STORE_FAILED, vdir_root_name(kind));
	while (rc == E_OK && (errno = 0, e = readdir(dir)) != NULL) {
		if (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN)
			continue;
		rc = add_entry(l, list, kind, span_of(e->d_name), err);
		if (rc == E_OK)
			rc = fiber_tick(err);
	}
	if (rc == E_OK && (errno != 0 || fstat(fd, &after) != 0))
		rc = maildir_errno(err, E_STORE_FAILED, vdir_root_name(kind));
	*still_r = *still_r && before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
		   before.st_mtim.tv_nsec == after.st_mtim.tv_nsec;
	closedir(dir);
	return rc;
}

enum code vdir_list(struct local *l, struct listing *list, bool *still_r, struct err *err)
{
	enum code rc = E_OK;

	*still_r = true;
	for (enum ep_kind kind = EP_EVENTS; rc == E_OK && kind < EP_KINDS; kind++) {
		if ((l->kinds >> kind & 1) != 0)
			rc = list_kind(l, list, kind, still_r, err);
	}
	return rc;
}

enum code vdir_describe(struct local *l, struct arena *arena, enum ep_kind kind, struct span dir,
			struct ep_folder *folder_r, struct err *err)
{
	struct entry e;
	bool is;
	enum code rc = read_entry(l, arena, kind, dir, &e, &is, err);

	if (rc == E_OK)
		*folder_r = is ? e.folder : (struct ep_folder){ .kind = kind };
	return rc;
}

/* --- items --- */

enum code vdir_changes(struct local *l, struct arena *arena, struct ep_changes *c, struct err *err)
{
	struct vdir_scan scan = { .n = 0 };
	int fd;
	enum code rc = vdir_open(l, c->folder, &fd, err);

	if (rc != E_OK)
		return rc;
	rc = vdir_scan(fd, c->folder->kind, arena, &scan, err);
	close(fd);
	if (rc != E_OK)
		return rc;
	c->complete = scan.complete;
	c->cursor = arena_span(arena, span_of(scan.mark));
	if (c->since.n > 0 && span_eq(c->since, c->cursor))
		return E_OK;
	c->full = true;
	c->items = scan.items;
	c->n = scan.n;
	return E_OK;
}

static enum code read_bytes(struct local *l, int fd, struct body *body, struct err *err)
{
	uint64_t total = 0;
	enum code rc = E_OK;
	size_t got = 0;

	if (lseek(fd, 0, SEEK_SET) != 0)
		return maildir_errno(err, E_ITEM_REFUSED, "an item's file");
	do {
		struct err why = ERR_INIT;

		errno = 0;
		if (io_read_full(fd, l->buffer, LOCAL_BUFFER, &got, "an item's file", &why) != E_OK)
			return maildir_errno(err, E_ITEM_REFUSED, "an item's file cannot be read");
		total += got;
		if (total > VDIR_ITEM_MAX)
			return err_set(err, E_ITEM_TOO_BIG, "the item is larger than %zu MiB", VDIR_ITEM_MAX >> 20);
		rc = body_add(body, l->buffer, got, err);
		if (rc == E_OK)
			rc = fiber_tick(err);
	} while (rc == E_OK && got == LOCAL_BUFFER);
	return rc == E_OK ? body_end(body, err) : rc;
}

static enum code look(int fd, struct stat *st, struct err *err)
{
	if (fstat(fd, st) != 0)
		return maildir_errno(err, E_ITEM_REFUSED, "an item's file");
	if (!S_ISREG(st->st_mode))
		return err_set(err, E_ITEM_BAD, "the item is not a regular file");
	if (st->st_size == 0)
		return err_set(err, E_ITEM_BAD, "the item's file is empty");
	if ((uint64_t)st->st_size > VDIR_ITEM_MAX)
		return err_set(err, E_ITEM_TOO_BIG, "the item is larger than %zu MiB", VDIR_ITEM_MAX >> 20);
	return E_OK;
}

/* The bytes and their version: read when the stamps are old enough, and they are the same afterwards. */
static enum code read_settled(struct endpoint *ep, int fd, struct ep_fetch *f, struct stat *st, bool *same_r,
			      struct err *err)
{
	struct stat after;
	enum code rc = look(fd, st, err);

	if (rc == E_OK)
		rc = folder_let_settle(st->st_ctim.tv_sec * 1000 + st->st_ctim.tv_nsec / 1000000,
				       st->st_ctim.tv_nsec == 0, err);
	if (rc == E_OK)
		rc = look(fd, st, err);
	if (rc != E_OK)
		return rc;
	f->body = body_new(ep->env.spool_dir, (size_t)st->st_size + (size_t)st->st_size / 16);
	rc = read_bytes(ep->impl, fd, f->body, err);
	if (rc == E_OK && fstat(fd, &after) != 0)
		rc = maildir_errno(err, E_ITEM_REFUSED, "an item's file");
	*same_r = rc == E_OK && vdir_same_bytes(st, &after) &&
		  memcmp(&st->st_ctim, &after.st_ctim, sizeof(after.st_ctim)) == 0;
	if (!*same_r)
		body_free(&f->body);
	return rc;
}

enum code vdir_fetch(struct endpoint *ep, struct arena *arena, struct ep_fetch *f, struct err *err)
{
	char name[NAME_MAX + 1], version[VDIR_VERSION_MAX];
	bool same = false;
	struct stat st;
	int dir;
	enum code rc = vdir_open(ep->impl, f->folder, &dir, err);

	if (rc != E_OK)
		return rc;
	if (!vdir_is_item(f->folder->kind, f->id))
		rc = err_set(err, E_ITEM_GONE, "there is no such item");
	for (int i = 0; rc == E_OK && !same && i < TRIES; i++) {
		memcpy(name, f->id.p, f->id.n);
		name[f->id.n] = '\0';
		int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

		if (fd < 0 && errno == ENOENT)
			rc = err_set(err, E_ITEM_GONE, "the item's file is gone");
		else if (fd < 0)
			rc = maildir_errno(err, errno == ELOOP ? E_ITEM_BAD : E_ITEM_REFUSED, "an item's file");
		else
			rc = read_settled(ep, fd, f, &st, &same, err);
		if (fd >= 0)
			close(fd);
	}
	close(dir);
	if (rc == E_OK && !same)
		rc = err_set(err, E_ITEM_CHANGED, "the item's file is being written all the time");
	if (rc != E_OK)
		return rc;
	vdir_version(&st, version);
	f->version = arena_span(arena, span_of(version));
	return E_OK;
}
