/* local_endpoint.c - the table of the type "local", opening and closing a mailbox on disk.
 *
 * A mailbox that the pairing's state does not know yet is made, or adopted with the identity that it
 * has. One that it knows must be there with that identity: an empty directory where a disk should be
 * mounted is E_STORE_CHANGED, never an empty mailbox.
 */
#include "local.h"
#include "vdir.h"

#include "../../common/fail.h"
#include "../../common/io.h"
#include "../../common/mem.h"
#include "../endpoint_types.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_IDENTITY "local.identity"
#define FOLDERS_OPEN 16

enum code local_element(struct arena *arena, enum code rc, const struct err *err, enum code *code_r,
			const char **text_r)
{
	/* logged where the element is, so a text that names no item is enough */
	bool own = rc == E_OK || code_scope(rc) == SCOPE_ITEM || code_scope(rc) == SCOPE_FOLDER;

	if (!own)
		return rc;
	*code_r = rc;
	if (text_r != NULL)
		*text_r = rc == E_OK ? NULL : arena_str(arena, span_of(err_text(err)));
	return E_OK;
}

enum code local_where(const struct endpoint *ep, const struct ep_folder *folder, enum code rc, struct err *err)
{
	const char *path = ep->env.conf->path, *name = ep->env.mailbox->smtp_name;

	if (rc != E_DISK && rc != E_IO && rc != E_QUOTA)
		return rc;
	if (folder != NULL && folder->kind != EP_MAIL)
		err_prefix(err, "%s/%s/" SPAN_FMT, path, name, SPAN_ARG(folder->name));
	else if (folder == NULL || span_eq_str(folder->name, "."))
		err_prefix(err, "%s/%s/Mail", path, name);
	else
		err_prefix(err, "%s/%s/Mail/" SPAN_FMT, path, name, SPAN_ARG(folder->name));
	return rc;
}

/* --- the cache of open folders --- */

void local_unpin(struct local *l)
{
	l->pinned = l->clock;
}

void local_forget_folders(struct local *l)
{
	for (size_t i = 0; i < l->n; i++)
		folder_close(&l->folders[i]);
	l->n = 0;
}

static void drop(struct local *l, size_t i)
{
	folder_close(&l->folders[i]);
	l->folders[i] = l->folders[--l->n];
}

/* Close the least recently used folder that is not pinned. */
static void make_room(struct local *l)
{
	size_t oldest = SIZE_MAX;

	if (l->n < FOLDERS_OPEN)
		return;
	for (size_t i = 0; i < l->n; i++) {
		if (l->folders[i]->used <= l->pinned &&
		    (oldest == SIZE_MAX || l->folders[i]->used < l->folders[oldest]->used))
			oldest = i;
	}
	if (oldest != SIZE_MAX)
		drop(l, oldest);
}

static struct folder *cached(struct local *l, struct span name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!span_eq_str(name, l->folders[i]->dir))
			continue;
		/* within one run the folder is not looked at again */
		if (l->folders[i]->used > l->pinned || folder_is_current(l->folders[i], l->root_fd))
			return l->folders[i];
		drop(l, i);
		return NULL;
	}
	return NULL;
}

enum code local_folder(struct local *l, struct span name, struct folder **folder_r, struct err *err)
{
	struct folder *f = cached(l, name);
	enum code rc = E_OK;

	if (f == NULL) {
		make_room(l);
		rc = folder_open(l->root_fd, name, &f, err);
		if (rc != E_OK)
			return rc;
		if (l->n == l->cap) {
			l->cap = l->cap == 0 ? FOLDERS_OPEN : l->cap * 2;
			l->folders = mem_realloc(l->folders, l->cap, sizeof(struct folder *));
		}
		l->folders[l->n++] = f;
	}
	bool fresh = f->used > l->pinned;

	f->used = ++l->clock;
	*folder_r = f;
	if (fresh)
		return E_OK;
	return keywords_refresh(&f->keywords, f->fd, err);
}

/* --- open --- */

static enum code make(struct endpoint *ep, struct err *err)
{
	if (ep->env.conf->path == NULL || ep->env.conf->path[0] == '\0')
		return err_set(err, E_CONF, "endpoint %s has no Path", ep->env.conf->name);
	struct local *l = mem_alloc(sizeof(*l));

	l->root_fd = l->box_fd = -1;
	l->kinds = ep->env.kinds != 0 ? ep->env.kinds : UINT32_MAX;
	ep->impl = l;
	return E_OK;
}

/* What the state knows of this mailbox; empty = nothing yet. */
static enum code known_identity(struct endpoint *ep, struct arena *arena, struct span *known_r, struct err *err)
{
	struct err why = ERR_INIT;

	*known_r = SPAN_NONE;
	if (ep->env.kv_get == NULL)
		return E_OK;
	enum code rc = ep->env.kv_get(ep->env.ctx, KEY_IDENTITY, arena, known_r, &why);

	if (rc == E_OK)
		return E_OK;
	*known_r = SPAN_NONE;
	if (rc == E_NOT_FOUND)
		return E_OK;
	*err = why;
	return rc;
}

int local_open_or_make(int parent, const char *name, bool may_make)
{
	int fd = maildir_open_dir(parent, name);

	if (fd >= 0 || errno != ENOENT || !may_make)
		return fd;
	if (fail_step("mailbox directory")) {
		errno = ECANCELED;
		return -1;
	}
	if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST)
		return -1;
	return fsync(parent) == 0 ? maildir_open_dir(parent, name) : -1;
}

static enum code open_failed(struct endpoint *ep, bool known, struct err *err)
{
	const char *path = ep->env.conf->path, *name = ep->env.mailbox->smtp_name;

	if (known && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, E_STORE_CHANGED, "%s/%s/Mail is missing, but it was synchronised before",
			       path, name);
	if (errno == ECANCELED)
		return err_set(err, E_CANCELLED, "stopped");
	return maildir_errno(err, E_STORE_FAILED, name);
}

static enum code open_root(struct endpoint *ep, bool known, struct err *err)
{
	const char *path = ep->env.conf->path, *name = ep->env.mailbox->smtp_name;
	struct local *l = ep->impl;

	if (!maildir_component(span_of(name)) || name[0] == '.')
		return err_set(err, E_CONF, "SMTPName cannot be the name of a directory");
	int base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base < 0 && errno == EACCES)     /* the jail lets us into our mailbox only, not list the others */
		base = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (base < 0 && errno == ENOENT && !known) {
		enum code rc = io_make_dirs(path, 0700, err);

		if (rc != E_OK)
			return rc;
		base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (base < 0)
		return open_failed(ep, known, err);
	l->box_fd = local_open_or_make(base, name, !known);
	close(base);
	if (l->box_fd < 0)
		return open_failed(ep, known, err);
	l->root_fd = local_open_or_make(l->box_fd, "Mail", !known);
	if (l->root_fd < 0)
		return open_failed(ep, known, err);
	return E_OK;
}

/* Read Mail/mailshadow-identity into l->identity: "" if there is none. */
static enum code read_identity(struct local *l, struct err *err)
{
	char text[sizeof(l->identity)] = "";
	size_t n = 0;
	int fd = openat(l->root_fd, LOCAL_IDENTITY, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? E_OK : err_errno(err, E_STORE_FAILED, LOCAL_IDENTITY);
	enum code rc = io_read_full(fd, text, sizeof(text) - 1, &n, LOCAL_IDENTITY, err);

	close(fd);
	struct span id = span_trim(span_bytes(text, n));

	if (rc == E_OK && id.n > 0 && memchr(id.p, '\0', id.n) == NULL)
		memcpy(l->identity, id.p, id.n);
	return rc;
}

static enum code make_identity(struct local *l, struct err *err)
{
	uint8_t rnd[16];
	char hex[2 * sizeof(rnd) + 2];

	if (fail_step("identity file"))
		return err_set(err, E_CANCELLED, "stopped");
	random_bytes(rnd, sizeof(rnd));
	hex_encode(rnd, sizeof(rnd), hex);
	hex[2 * sizeof(rnd)] = '\n';
	/* an empty file is what a crash leaves on some file systems; nothing was built on it */
	struct stat st;
	if (fstatat(l->root_fd, LOCAL_IDENTITY, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size == 0)
		unlinkat(l->root_fd, LOCAL_IDENTITY, 0);
	if (maildir_put_new(l->root_fd, LOCAL_IDENTITY, span_bytes(hex, sizeof(hex) - 1), 0600) != 0 &&
	    errno != EEXIST)
		return maildir_errno(err, E_STORE_FAILED, LOCAL_IDENTITY);
	enum code rc = read_identity(l, err);

	if (rc == E_OK && l->identity[0] == '\0')
		rc = err_set(err, E_STORE_FAILED, "%s has no contents", LOCAL_IDENTITY);
	return rc;
}

/* INBOX's three directories: made for a new mailbox, demanded of a known one. */
static enum code check_inbox(struct endpoint *ep, bool known, struct err *err)
{
	static const char *const dirs[] = { "cur", "new", "tmp" };
	struct local *l = ep->impl;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		int fd = local_open_or_make(l->root_fd, dirs[i], !known || i == 2);

		if (fd < 0)
			return open_failed(ep, known, err);
		close(fd);
	}
	return E_OK;
}

static enum code check_identity(struct endpoint *ep, struct span known, struct err *err)
{
	struct local *l = ep->impl;
	enum code rc = read_identity(l, err);

	if (rc != E_OK)
		return rc;
	if (known.n > 0 && !span_eq_str(known, l->identity))
		return err_set(err, E_STORE_CHANGED, "%s/%s/Mail is not the mailbox that was synchronised: %s %s",
			       ep->env.conf->path, ep->env.mailbox->smtp_name, LOCAL_IDENTITY,
			       l->identity[0] == '\0' ? "is missing" : "is another one");
	if (l->identity[0] == '\0')
		rc = make_identity(l, err);
	if (rc == E_OK && known.n == 0 && ep->env.kv_put != NULL)
		rc = ep->env.kv_put(ep->env.ctx, KEY_IDENTITY, span_of(l->identity), err);
	return rc;
}

static enum code open_mailbox(struct endpoint *ep, struct err *err)
{
	struct local *l = ep->impl;
	struct arena *arena = arena_new((size_t)1 << 20);
	struct span known;
	enum code rc = known_identity(ep, arena, &known, err);

	if (rc == E_OK)
		rc = open_root(ep, known.n > 0, err);
	/* a new mailbox is known only when nothing of it is missing any more */
	if (rc == E_OK && known.n == 0)
		rc = check_inbox(ep, false, err);
	if (rc == E_OK)
		rc = check_identity(ep, known, err);
	if (rc == E_OK && known.n > 0)
		rc = check_inbox(ep, true, err);
	arena_free(&arena);
	if (rc != E_OK)
		return rc;
	l->buffer = mem_realloc(NULL, LOCAL_BUFFER, 1);
	local_tidy(l);
	vdir_tidy(l);
	ep->identity = span_of(l->identity);
	ep->caps = (struct ep_caps){
		.kinds = (1u << EP_KINDS) - 1, .exact_size = true, .keeps_bytes = true,
		.marks_flags = true, .moves = true,
	};
	return E_OK;
}

static void close_mailbox(struct endpoint *ep)
{
	struct local *l = ep->impl;

	if (l == NULL)
		return;
	local_forget_folders(l);
	mem_free(l->folders);
	if (l->root_fd >= 0)
		close(l->root_fd);
	if (l->box_fd >= 0)
		close(l->box_fd);
	mem_free(l->buffer);
	mem_free(l);
	ep->impl = NULL;
	ep->identity = SPAN_NONE;
}

const struct ep_ops ep_local = {
	.type = "local",
	.make = make,
	.open = open_mailbox,
	.close = close_mailbox,
	.list = local_list,
	.changes = local_changes,
	.describe = local_describe,
	.fetch = local_fetch,
	.apply = local_apply,
	.folders = local_folders,
};
