/* read.c - what is in the folders: listings, attributes, bodies.
 *
 * Size is that with CRLF line ends: from ",W=" in the name where ",S=" beside it fits the file, else
 * counted. Received time is the file's mtime.
 */
#include "local.h"
#include "vdir.h"

#include "../../common/io.h"
#include "../../common/mem.h"
#include "../data/mailkey.h"
#include "../fiber.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_READ ((size_t)8 * 1024)    /* as long as nearly every header */
#define PER_ITEM ((size_t)1024)          /* arena that one listed item may need */
#define MEMO 32

/* Keyword sets that were made already: most items of a folder share a few. */
struct memo {
	uint32_t letters[MEMO];
	bool passed[MEMO];
	const char *set[MEMO];
	size_t n;
};

static const char *keywords_memo(struct memo *m, const struct keywords *k, struct arena *arena,
				 const struct maildir_name *name)
{
	if (name->letters == 0 && !name->passed)
		return NULL;
	for (size_t i = 0; i < m->n; i++) {
		if (m->letters[i] == name->letters && m->passed[i] == name->passed)
			return m->set[i];
	}
	const char *set = keywords_of(k, arena, name->letters, name->passed);

	if (m->n < MEMO) {
		m->letters[m->n] = name->letters;
		m->passed[m->n] = name->passed;
		m->set[m->n++] = set;
	}
	return set;
}

static int by_id(const void *a, const void *b)
{
	const struct ep_item *x = a, *y = b;

	return span_cmp(x->id, y->id);
}

static enum code list_items(struct folder *f, struct arena *arena, struct ep_changes *c, struct err *err)
{
	struct memo memo = { .n = 0 };

	if (arena_left(arena) / PER_ITEM < f->n)
		return err_set(err, E_INCOMPLETE, "a folder with %zu items does not fit into memory", f->n);
	c->items = arena_calloc(arena, f->n + 1, sizeof(*c->items));
	for (size_t i = 0; i < f->n; i++) {
		if (f->items[i].gone)
			continue;
		struct maildir_name name = folder_item_name(&f->items[i]);
		struct ep_item *item = &c->items[c->n++];

		item->id = arena_span(arena, name.base);
		item->flags = name.flags;
		item->keywords = keywords_memo(&memo, &f->keywords, arena, &name);
	}
	qsort(c->items, c->n, sizeof(*c->items), by_id);
	c->full = true;
	c->complete = f->complete;
	return E_OK;
}

/* An equal mark proves that nothing changed: a delta without anything in it. */
static bool is_unchanged(const struct ep_changes *c, const char *mark)
{
	return c->since.n > 0 && span_eq_str(c->since, mark);
}

static enum code changes_of(struct local *l, struct arena *arena, struct ep_changes *c, struct err *err)
{
	char mark[FOLDER_MARK_MAX];
	struct folder *f;
	enum code rc = local_folder(l, c->folder->name, &f, err);

	if (rc != E_OK)
		return rc;
	c->flags_r = EP_FLAGS_ALL;
	c->keywords_r = !keywords_full(&f->keywords);
	/* taken before the scan: a change during it shows next time */
	rc = folder_mark(f->fd, mark, err);
	if (rc != E_OK)
		return rc;
	c->cursor = arena_span(arena, span_of(mark));
	if (is_unchanged(c, mark)) {
		c->complete = true;
		return E_OK;
	}
	rc = folder_scan(f, err);
	/* a letter without a name: the file that names it may have come meanwhile */
	if (rc == E_OK)
		rc = keywords_refresh(&f->keywords, f->fd, err);
	return rc == E_OK ? list_items(f, arena, c, err) : rc;
}

enum code local_changes(struct endpoint *ep, struct arena *arena, struct ep_changes *c, size_t n, struct err *err)
{
	struct local *l = ep->impl;
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct err why = ERR_INIT;

		c[i].items = NULL;
		c[i].gone = NULL;
		c[i].n = c[i].n_gone = 0;
		c[i].full = c[i].complete = c[i].reset = false;
		c[i].text = NULL;
		c[i].code = E_CANCELLED;
		local_unpin(l);
		rc = fiber_tick(&why);
		if (rc == E_OK) {
			rc = c[i].folder->kind == EP_MAIL ? changes_of(l, arena, &c[i], &why) :
			     vdir_changes(l, arena, &c[i], &why);
			rc = local_element(arena, rc, &why, &c[i].code, &c[i].text);
		}
		if (rc != E_OK)
			*err = why;
	}
	return rc;
}

/* --- one file --- */

static enum code read_at(int fd, char *to, size_t n, uint64_t at, size_t *got_r, struct err *err)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(fd, to + got, n - got, (off_t)(at + got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(err, E_ITEM_REFUSED, "a message file cannot be read");
		if (r == 0)
			break;
		got += (size_t)r;
	}
	*got_r = got;
	return E_OK;
}

/* The size with CRLF that the name promises, if the file is as long as the name says. */
static bool promised_size(struct span base, const struct stat *st, uint64_t *size_r)
{
	uint64_t in_file;

	return maildir_size(base, 'S', &in_file) && maildir_size(base, 'W', size_r) &&
	       in_file == (uint64_t)st->st_size && *size_r >= in_file && *size_r <= 2 * in_file;
}

/* Count line feeds without a carriage return before them. */
static uint64_t count_bare(const char *p, size_t n, bool *last_cr)
{
	uint64_t bare = 0;
	const char *hit, *at = p, *end = p + n;

	while (at < end && (hit = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		bare += hit > p ? hit[-1] != '\r' : !*last_cr;
		at = hit + 1;
	}
	if (n > 0)
		*last_cr = end[-1] == '\r';
	return bare;
}

static enum code count_size(struct local *l, int fd, const struct stat *st, uint64_t *size_r, struct err *err)
{
	uint64_t at = 0, bare = 0;
	bool last_cr = false;
	size_t got = 0;

	do {
		enum code rc = read_at(fd, l->buffer, LOCAL_BUFFER, at, &got, err);

		if (rc == E_OK)
			rc = fiber_tick(err);
		if (rc != E_OK)
			return rc;
		bare += count_bare(l->buffer, got, &last_cr);
		at += got;
	} while (got == LOCAL_BUFFER);
	if (at != (uint64_t)st->st_size)
		return err_set(err, E_ITEM_CHANGED, "a message file is being written");
	*size_r = at + bare;
	return E_OK;
}

static bool has_end_of_header(const char *p, size_t n)
{
	if (n >= 1 && (p[0] == '\n' || (n >= 2 && memcmp(p, "\r\n", 2) == 0)))
		return true;
	return memmem(p, n, "\n\n", 2) != NULL || memmem(p, n, "\n\r\n", 3) != NULL;
}

/* The header block into l->buffer, perhaps with the begin of the body. */
static enum code read_header(struct local *l, int fd, struct span *header_r, struct err *err)
{
	size_t n = 0, want = FIRST_READ, got = 0;

	do {
		enum code rc = read_at(fd, l->buffer + n, want - n, n, &got, err);

		if (rc != E_OK)
			return rc;
		n += got;
		if (n < want || has_end_of_header(l->buffer, n))
			break;
		want *= 4;
	} while (want <= LOCAL_BUFFER);
	*header_r = span_bytes(l->buffer, n);
	return E_OK;
}

/* Find and open an item. E_ITEM_GONE, or E_ITEM_BAD for a file without a byte in it. */
static enum code open_item(struct local *l, const struct ep_folder *folder, struct span id, int *fd_r,
			   struct folder **folder_r, struct folder_item **item_r, struct stat *st_r,
			   struct err *err)
{
	enum code rc = local_folder(l, folder->name, folder_r, err);

	*fd_r = -1;
	if (rc == E_OK)
		rc = folder_open_item(*folder_r, id, fd_r, item_r, err);
	if (rc != E_OK)
		return rc;
	if (*fd_r < 0)
		return err_set(err, E_ITEM_GONE, "the message's file is gone");
	if (fstat(*fd_r, st_r) != 0)
		rc = err_errno(err, E_ITEM_REFUSED, "a message file");
	else if (!S_ISREG(st_r->st_mode))
		rc = err_set(err, E_ITEM_BAD, "the message is not a regular file");
	else if (st_r->st_size == 0)
		rc = err_set(err, E_ITEM_BAD, "the message's file is empty");
	if (rc != E_OK) {
		close(*fd_r);
		*fd_r = -1;
	}
	return rc;
}

static enum code describe_one(struct local *l, struct arena *arena, struct ep_meta *m, struct err *err)
{
	struct folder *f;
	struct folder_item *item;
	struct span header;
	struct stat st;
	int fd;
	enum code rc = open_item(l, m->folder, m->id, &fd, &f, &item, &st, err);

	if (rc != E_OK)
		return rc;
	m->received = st.st_mtim.tv_sec;
	if (!promised_size(m->id, &st, &m->size))
		rc = count_size(l, fd, &st, &m->size, err);
	if (rc == E_OK)
		rc = read_header(l, fd, &header, err);
	close(fd);
	if (rc == E_OK)
		m->header = mailkey_fields(arena, header);
	return rc;
}

enum code local_describe(struct endpoint *ep, struct arena *arena, struct ep_meta *m, size_t n, struct err *err)
{
	struct local *l = ep->impl;
	enum code rc = E_OK;

	for (size_t i = 0; i < n; i++)
		m[i].code = E_CANCELLED;
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct err why = ERR_INIT;

		m[i].header = m[i].key = SPAN_NONE;
		m[i].size = 0;
		m[i].received = INT64_MIN;
		if (i % 64 == 0)
			local_unpin(l);
		rc = fiber_tick(&why);
		if (rc == E_OK) {
			rc = m[i].folder->kind == EP_MAIL ? describe_one(l, arena, &m[i], &why) :
			     err_set(&why, E_ITEM_REFUSED, "records are not described");
			rc = local_element(arena, rc, &why, &m[i].code, NULL);
		}
		if (rc != E_OK)
			*err = why;
	}
	return rc;
}

static enum code read_body(struct local *l, int fd, const struct stat *st, struct body *body, struct err *err)
{
	uint64_t at = 0;
	size_t got = 0;
	enum code rc = E_OK;

	do {
		rc = read_at(fd, l->buffer, LOCAL_BUFFER, at, &got, err);
		if (rc == E_OK)
			rc = body_add(body, l->buffer, got, err);
		if (rc == E_OK)
			rc = fiber_tick(err);
		at += got;
	} while (rc == E_OK && got == LOCAL_BUFFER);
	if (rc == E_OK && at != (uint64_t)st->st_size)
		rc = err_set(err, E_ITEM_CHANGED, "a message file is being written");
	return rc == E_OK ? body_end(body, err) : rc;
}

static enum code fetch_one(struct endpoint *ep, struct arena *arena, struct ep_fetch *f, struct err *err)
{
	struct local *l = ep->impl;
	struct folder *folder;
	struct folder_item *item;
	struct stat st;
	uint64_t size;
	int fd;
	enum code rc = open_item(l, f->folder, f->id, &fd, &folder, &item, &st, err);

	if (rc != E_OK)
		return rc;
	struct maildir_name name = folder_item_name(item);

	f->flags = name.flags;
	f->keywords = keywords_of(&folder->keywords, arena, name.letters, name.passed);
	f->received = st.st_mtim.tv_sec;
	/* without a promise: most files have bare line feeds */
	if (!promised_size(f->id, &st, &size))
		size = (uint64_t)st.st_size + (uint64_t)st.st_size / 32;
	f->body = body_new(ep->env.spool_dir, (size_t)size);
	rc = read_body(l, fd, &st, f->body, err);
	close(fd);
	if (rc != E_OK)
		body_free(&f->body);
	return rc;
}

enum code local_fetch(struct endpoint *ep, struct arena *arena, struct ep_fetch *f, size_t n, struct err *err)
{
	struct local *l = ep->impl;
	enum code rc = E_OK;

	for (size_t i = 0; i < n; i++) {
		f[i].code = E_CANCELLED;
		f[i].text = NULL;
		f[i].body = NULL;
		f[i].keywords = NULL;
		f[i].key = SPAN_NONE;
		f[i].flags = 0;
		f[i].received = INT64_MIN;
		f[i].version = SPAN_NONE;
	}
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct err why = ERR_INIT;

		if (i % 64 == 0)
			local_unpin(l);
		rc = fiber_tick(&why);
		if (rc == E_OK) {
			rc = f[i].folder->kind == EP_MAIL ? fetch_one(ep, arena, &f[i], &why) :
			     vdir_fetch(ep, arena, &f[i], &why);
			rc = local_element(arena, rc, &why, &f[i].code, &f[i].text);
		}
		if (rc != E_OK)
			*err = why;
	}
	return rc;
}
