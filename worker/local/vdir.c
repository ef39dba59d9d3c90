/* vdir.c - a collection's directory: opened, read until it stands still, its items' versions and its mark. */
#include "vdir.h"

#include "../../common/clock.h"
#include "../fiber.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCANS_MAX 6
#define LEFT_OVER_S 3600         /* another worker may still be writing it */
#define PER_ITEM ((size_t)1024)  /* arena that one listed item may need */
#define COARSE_MS 2000           /* file systems that keep whole seconds, or every other one */
#define FINE_MS 20

static const struct { const char *root, *extension; } kinds[EP_KINDS] = {
	[EP_EVENTS] = { "Calendars", ".ics" }, [EP_CONTACTS] = { "Contacts", ".vcf" }, [EP_TASKS] = { "Tasks", ".ics" },
};

const char *vdir_root_name(enum ep_kind kind)
{
	assert(kind != EP_MAIL && kind < EP_KINDS);
	return kinds[kind].root;
}

const char *vdir_extension(enum ep_kind kind)
{
	assert(kind != EP_MAIL && kind < EP_KINDS);
	return kinds[kind].extension;
}

static bool has_control(struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
			return true;
	}
	return false;
}

bool vdir_is_item(enum ep_kind kind, struct span name)
{
	struct span extension = span_of(vdir_extension(kind));

	return name.n > extension.n && name.n <= NAME_MAX && name.p[0] != '.' &&
	       span_eq(span_cut(name, name.n - extension.n, extension.n), extension) &&
	       memchr(name.p, '/', name.n) == NULL && span_is_utf8(name) && !has_control(name);
}

int vdir_open_name(const struct local *l, struct span name)
{
	size_t slash = span_find(name, 0, '/');
	struct span dir = span_cut(name, slash == SIZE_MAX ? name.n : slash + 1, name.n);
	char part[NAME_MAX + 1];
	int root = -1, fd = -1;

	for (enum ep_kind kind = EP_EVENTS; root < 0 && kind < EP_KINDS; kind++) {
		if (span_eq_str(span_cut(name, 0, slash), kinds[kind].root))
			root = maildir_open_dir(l->box_fd, kinds[kind].root);
		else
			errno = ENOENT;
		if (root < 0 && errno != ENOENT)
			return -1;
	}
	if (root >= 0 && maildir_component(dir) && dir.p[0] != '.') {
		memcpy(part, dir.p, dir.n);
		part[dir.n] = '\0';
		fd = maildir_open_dir(root, part);
	} else {
		errno = ENOENT;
	}
	int why = errno;

	if (root >= 0)
		close(root);
	errno = why;
	return fd;
}

enum code vdir_open(const struct local *l, const struct ep_folder *folder, int *fd_r, struct err *err)
{
	*fd_r = vdir_open_name(l, folder->name);
	if (*fd_r >= 0)
		return E_OK;
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
		return err_set(err, E_FOLDER_GONE, "%s", code_text(E_FOLDER_GONE));
	return maildir_errno(err, E_FOLDER_REFUSED, "a collection");
}

void vdir_hidden_name(const char *prefix, char out[64])
{
	uint8_t rnd[8];
	char hex[2 * sizeof(rnd) + 1];

	random_bytes(rnd, sizeof(rnd));
	hex_encode(rnd, sizeof(rnd), hex);
	snprintf(out, 64, "%s%s", prefix, hex);
}

void vdir_version(const struct stat *st, char out[VDIR_VERSION_MAX])
{
	snprintf(out, VDIR_VERSION_MAX, "%" PRIx64 ".%" PRIx64 ".%" PRIx64 ".%" PRIx64 ".%" PRIx64 ".%" PRIx64,
		 (uint64_t)st->st_ino, (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec,
		 (uint64_t)st->st_mtim.tv_nsec, (uint64_t)st->st_ctim.tv_sec, (uint64_t)st->st_ctim.tv_nsec);
}

bool vdir_same_bytes(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) == 0;
}

/* --- listing --- */

struct reading {
	struct arena *arena;
	enum ep_kind kind;
	struct vdir_scan *out;
	size_t cap;
	int64_t newest_ms;
	bool coarse;
};

static int64_t ctime_ms(const struct stat *st)
{
	return st->st_ctim.tv_sec * 1000 + st->st_ctim.tv_nsec / 1000000;
}

static enum code see(struct reading *r, int fd, const char *name, struct err *err)
{
	char version[VDIR_VERSION_MAX];
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? E_OK : maildir_errno(err, E_FOLDER_REFUSED, "a file of a collection");
	if (strncmp(name, VDIR_TMP, strlen(VDIR_TMP)) == 0 && S_ISREG(st.st_mode) &&
	    clock_wall_s() - st.st_ctim.tv_sec > LEFT_OVER_S)
		(void)!unlinkat(fd, name, 0);
	if (!vdir_is_item(r->kind, span_of(name)) || !S_ISREG(st.st_mode))
		return E_OK;
	if (arena_left(r->arena) < PER_ITEM + (r->out->n + 1) * 3 * sizeof(*r->out->items))
		return err_set(err, E_INCOMPLETE, "a collection with more than %zu items does not fit into memory",
			       r->out->n);
	vdir_version(&st, version);
	r->out->items = arena_grow(r->arena, r->out->items, r->out->n, sizeof(*r->out->items), &r->cap);
	r->out->items[r->out->n++] = (struct ep_item){
		.id = arena_span(r->arena, span_of(name)), .version = arena_span(r->arena, span_of(version)),
	};
	if (ctime_ms(&st) > r->newest_ms)
		r->newest_ms = ctime_ms(&st);
	r->coarse = r->coarse || st.st_ctim.tv_nsec == 0;
	return E_OK;
}

static enum code read_once(struct reading *r, int fd, struct err *err)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own >= 0 ? fdopendir(own) : NULL;
	struct dirent *e;
	enum code rc = E_OK;

	if (dir == NULL) {
		rc = maildir_errno(err, E_FOLDER_REFUSED, "a collection");
		if (own >= 0)
			close(own);
		return rc;
	}
	r->out->n = 0;
	r->newest_ms = INT64_MIN;
	while (rc == E_OK && (errno = 0, e = readdir(dir)) != NULL) {
		rc = see(r, fd, e->d_name, err);
		if (rc == E_OK && r->out->n % 256 == 0)
			rc = fiber_tick(err);
	}
	if (rc == E_OK && errno != 0)
		rc = maildir_errno(err, E_FOLDER_REFUSED, "reading a collection");
	closedir(dir);
	return rc;
}

static int by_id(const void *a, const void *b)
{
	const struct ep_item *x = a, *y = b;

	return span_cmp(x->id, y->id);
}

static void make_mark(const struct reading *r, const struct stat *dir)
{
	int64_t newest = ctime_ms(dir) > r->newest_ms ? ctime_ms(dir) : r->newest_ms;
	struct digest *d = digest_new();
	uint8_t sum[DIGEST_SIZE];

	for (size_t i = 0; i < r->out->n; i++) {
		const struct ep_item *item = &r->out->items[i];

		digest_add(d, item->id.p, item->id.n + 1);
		digest_add(d, item->version.p, item->version.n + 1);
	}
	digest_end(&d, sum);
	if (clock_wall_ms() - newest < (r->coarse ? COARSE_MS : FINE_MS))
		r->out->mark[0] = '\0';
	else
		hex_encode(sum, sizeof(sum), r->out->mark);
}

static bool same_look(const struct stat *a, const struct stat *b)
{
	return memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) == 0 &&
	       memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim)) == 0;
}

enum code vdir_scan(int fd, enum ep_kind kind, struct arena *arena, struct vdir_scan *scan_r, struct err *err)
{
	struct reading r = { .arena = arena, .kind = kind, .out = scan_r };
	struct stat before, after = { .st_ino = 0 };
	enum code rc = E_OK;

	*scan_r = (struct vdir_scan){ .n = 0 };
	if (fstat(fd, &before) != 0)
		return maildir_errno(err, E_FOLDER_REFUSED, "a collection");
	for (int i = 0; rc == E_OK && !scan_r->complete && i < SCANS_MAX; i++) {
		rc = folder_let_settle(ctime_ms(&before), before.st_ctim.tv_nsec == 0, err);
		if (rc == E_OK)
			rc = read_once(&r, fd, err);
		if (rc == E_OK && fstat(fd, &after) != 0)
			rc = maildir_errno(err, E_FOLDER_REFUSED, "a collection");
		if (rc == E_OK && after.st_nlink == 0)
			rc = err_set(err, E_FOLDER_GONE, "%s", code_text(E_FOLDER_GONE));
		scan_r->complete = rc == E_OK && same_look(&before, &after);
		before = after;
	}
	if (rc != E_OK)
		return rc;
	if (scan_r->n > 1)
		qsort(scan_r->items, scan_r->n, sizeof(*scan_r->items), by_id);
	/* what moved while it was read cannot be told by the next listing's stamps */
	if (scan_r->complete)
		make_mark(&r, &after);
	return E_OK;
}
