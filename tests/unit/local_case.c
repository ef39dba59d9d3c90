/* local_case.c - a local mailbox for the t_local* tests. */
#include "local_case.h"

#include "../../common/io.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static enum code kv_get(void *ctx, const char *key, struct arena *arena, struct span *value_r, struct err *err)
{
	struct box *b = ctx;

	(void)err;
	assert_string_equal(key, "local.identity");
	*value_r = b->known[0] == '\0' ? SPAN_NONE : arena_span(arena, span_of(b->known));
	return E_OK;
}

static enum code kv_put(void *ctx, const char *key, struct span value, struct err *err)
{
	struct box *b = ctx;

	(void)err;
	assert_string_equal(key, "local.identity");
	assert_true(value.n < sizeof(b->known));
	memcpy(b->known, value.p, value.n);
	b->known[value.n] = '\0';
	return E_OK;
}

void box_new(struct box *b)
{
	memset(b, 0, sizeof(*b));
	strcpy(b->dir, "/tmp/t_local.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->conf = (struct conf_endpoint){ .name = "disk", .type = "local", .path = b->dir };
	b->mailbox = (struct conf_mailbox){ .endpoint = &b->conf, .smtp_name = "a@example.org" };
	b->arena = arena_new((size_t)1 << 30);
	b->spool = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

void box_free(struct box *b)
{
	box_close(b);
	close(b->spool);
	arena_free(&b->arena);
	nftw(b->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

enum code box_open(struct box *b)
{
	assert_null(b->ep.impl);
	b->err = (struct err)ERR_INIT;
	b->ep = (struct endpoint){
		.ops = &ep_local,
		.env = { .conf = &b->conf, .mailbox = &b->mailbox, .spool_dir = b->spool, .ctx = b,
			 .kv_get = kv_get, .kv_put = kv_put },
	};
	assert_int_equal(ep_local.make(&b->ep, &b->err), E_OK);
	return ep_local.open(&b->ep, &b->err);
}

void box_close(struct box *b)
{
	if (b->ep.impl != NULL)
		ep_local.close(&b->ep);
}

const char *box_path(struct box *b, const char *fmt, ...)
{
	static char paths[4][1024];
	static unsigned turn;
	char *out = paths[turn++ % 4];
	int n = snprintf(out, 1024, "%s/%s/Mail/", b->dir, b->mailbox.smtp_name);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + n, 1024 - (size_t)n, fmt, ap);
	va_end(ap);
	return out;
}

void box_mkdir(struct box *b, const char *folder)
{
	static const char *const parts[] = { "", "/cur", "/new", "/tmp" };

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		assert_int_equal(mkdir(box_path(b, "%s%s", folder, parts[i]), 0700), 0);
}

void box_write(struct box *b, const char *name, const char *text, int64_t mtime)
{
	const char *path = box_path(b, "%s", name);
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = mtime } };
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

bool box_exists(struct box *b, const char *name)
{
	struct stat st;

	return lstat(box_path(b, "%s", name), &st) == 0;
}

char *box_read(struct box *b, const char *name, size_t *n_r)
{
	struct buf text;

	buf_init(&text, (size_t)64 << 20);
	assert_int_equal(io_read_file(box_path(b, "%s", name), &text, &b->err), E_OK);
	char *out = arena_str(b->arena, buf_span(&text));

	if (n_r != NULL)
		*n_r = text.n;
	buf_free(&text);
	return out;
}

static size_t each(struct box *b, const char *dir, const char **last_r)
{
	DIR *d = opendir(box_path(b, "%s", dir));
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		*last_r = arena_str(b->arena, span_of(e->d_name));
		n++;
	}
	closedir(d);
	return n;
}

const char *box_only(struct box *b, const char *dir)
{
	const char *last = NULL;

	return each(b, dir, &last) == 1 ? last : NULL;
}

size_t box_count(struct box *b, const char *dir)
{
	const char *last;

	return each(b, dir, &last);
}

struct ep_list box_list(struct box *b)
{
	struct ep_list list = { .n = 0 };

	assert_int_equal(ep_local.list(&b->ep, b->arena, &list, &b->err), E_OK);
	return list;
}

const struct ep_folder *box_folder(struct box *b, const char *path)
{
	struct ep_list list = box_list(b);

	for (size_t i = 0; i < list.n; i++) {
		if (span_eq_str(list.folders[i].path, path))
			return &list.folders[i];
	}
	return NULL;
}

struct ep_changes box_changes(struct box *b, const char *path, struct span since)
{
	struct ep_changes c = { .folder = box_folder(b, path), .since = since };

	assert_non_null(c.folder);
	assert_int_equal(ep_local.changes(&b->ep, b->arena, &c, 1, &b->err), E_OK);
	return c;
}

const struct ep_item *box_item(const struct ep_changes *c, const char *id)
{
	for (size_t i = 0; i < c->n; i++) {
		if (span_eq_str(c->items[i].id, id))
			return &c->items[i];
	}
	return NULL;
}

struct body *box_body(const char *text, size_t n)
{
	struct body *body = body_new(-1, n);
	struct err err;

	assert_int_equal(body_add(body, text, n, &err), E_OK);
	assert_int_equal(body_end(body, &err), E_OK);
	return body;
}

enum code box_apply(struct box *b, struct ep_op *op)
{
	enum code rc = ep_local.apply(&b->ep, b->arena, op, 1, &b->err);

	assert_true(rc == E_OK || op->code != E_OK);
	return op->code;
}

struct ep_op box_create(struct box *b, const char *path, const char *text, uint32_t flags, const char *keywords,
			int64_t received)
{
	struct ep_op op = { .kind = EP_CREATE, .folder = box_folder(b, path), .flags = flags,
			    .keywords = keywords, .received = received };

	assert_non_null(op.folder);
	op.body = box_body(text, strlen(text));
	(void)box_apply(b, &op);
	body_free(&op.body);
	return op;
}

char *box_fetch(struct box *b, const char *path, struct span id, struct ep_fetch *f_r, size_t *n_r)
{
	struct buf text;
	struct span piece;

	*f_r = (struct ep_fetch){ .folder = box_folder(b, path), .id = id };
	assert_int_equal(ep_local.fetch(&b->ep, b->arena, f_r, 1, &b->err), E_OK);
	if (f_r->code != E_OK)
		return NULL;
	buf_init(&text, (size_t)64 << 20);
	while (body_read(f_r->body, text.n, &piece, &b->err) == E_OK && piece.n > 0)
		buf_add_span(&text, piece);
	assert_int_equal(text.n, body_size(f_r->body));
	char *out = arena_str(b->arena, buf_span(&text));

	if (n_r != NULL)
		*n_r = text.n;
	buf_free(&text);
	body_free(&f_r->body);
	return out;
}

enum code box_tree(struct box *b, struct ep_folder_op *op)
{
	enum code rc = ep_local.folders(&b->ep, b->arena, op, 1, &b->err);

	assert_true(rc == E_OK || op->code != E_OK);
	return op->code;
}
