/* list.c - the folders of a Maildir++, their paths, ids and roles; with the collections (vdir_list.c) one listing. */
#include "list.h"
#include "vdir.h"

#include "../../common/io.h"
#include "../../common/mem.h"
#include "../data/path.h"
#include "../fiber.h"
#include "names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LISTS_MAX 5

static const struct {
	const char *path;
	enum ep_role role;
} plain_roles[] = {
	{ "Sent", EP_ROLE_SENT }, { "Drafts", EP_ROLE_DRAFTS }, { "Trash", EP_ROLE_TRASH },
	{ "Junk", EP_ROLE_JUNK }, { "Archive", EP_ROLE_ARCHIVE },
};

enum ep_role local_plain_role(struct span path)
{
	for (size_t i = 0; i < ARRAY_LEN(plain_roles); i++) {
		if (span_eq_nocase_str(path, plain_roles[i].path))
			return plain_roles[i].role;
	}
	return EP_ROLE_NONE;
}

void list_add(struct listing *list, const struct entry *e)
{
	list->entries = arena_grow(list->arena, list->entries, list->n, sizeof(*e), &list->cap);
	list->entries[list->n++] = *e;
}

void list_identify(struct arena *arena, int fd, struct entry *e)
{
	e->ino = identity_inode(fd);
	e->folder.id_stable = identity_get(fd, &e->id);
	e->folder.id = e->folder.id_stable ? arena_span(arena, span_of(e->id.id)) : e->folder.name;
	e->marked_role = e->id.role != EP_ROLE_NONE;
	e->folder.role = e->id.role;
}

static enum code fill_entry(struct arena *arena, int fd, struct entry *e, struct err *err)
{
	char mark[FOLDER_MARK_MAX];
	enum code rc = folder_mark(fd, mark, err);

	if (rc != E_OK)
		return rc;
	e->folder.mark = arena_span(arena, span_of(mark));
	e->folder.kind = EP_MAIL;
	e->folder.selectable = true;
	e->folder.keywords = true;
	e->folder.flags = EP_FLAGS_ALL;
	/* counting would read the directory: whether there is anything is all that a pass has to know */
	e->folder.count = folder_is_empty(fd) ? 0 : UINT64_MAX;
	if (span_eq_str(e->folder.name, ".")) {
		e->ino = identity_inode(fd);
		e->folder.role = EP_ROLE_INBOX;
		e->folder.id = SPAN_LIT(LOCAL_INBOX_ID);
		e->folder.id_stable = true;
		return E_OK;
	}
	list_identify(arena, fd, e);
	if (!e->marked_role)
		e->folder.role = local_plain_role(e->folder.path);
	return E_OK;
}

/* Look at root_fd/dir. *is_folder_r false: not a Maildir folder, or it vanished. */
static enum code read_entry(struct local *l, struct arena *arena, struct span dir, struct entry *e,
			    bool *is_folder_r, struct err *err)
{
	*is_folder_r = false;
	*e = (struct entry){ .folder = { .name = arena_span(arena, dir) } };
	if (!span_eq_str(dir, ".") && !maildir_component(dir))
		return E_OK;
	if (!names_from_dir(arena, dir, &e->folder.path, &e->exact))
		return E_OK;
	int fd = maildir_open_dir(l->root_fd, e->folder.name.p);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return E_OK;
	if (fd < 0)
		return err_errno(err, E_FOLDER_REFUSED, "a folder of the mailbox");
	enum code rc = fill_entry(arena, fd, e, err);
	close(fd);
	*is_folder_r = rc == E_OK;
	return rc == E_FOLDER_GONE ? E_OK : rc;
}

static enum code add_entry(struct local *l, struct listing *list, struct span dir)
{
	struct entry e;
	struct err why = ERR_INIT;
	bool is_folder;
	enum code rc = read_entry(l, list->arena, dir, &e, &is_folder, &why);

	/* one that cannot be read spoils the proof of absence, not the others */
	if (rc != E_OK)
		list->complete = false;
	if (rc != E_OK || !is_folder)
		return E_OK;
	list_add(list, &e);
	return E_OK;
}

static enum code read_root(struct local *l, struct listing *list, struct err *err)
{
	int fd = openat(l->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	enum code rc = E_OK;

	if (dir == NULL) {
		rc = err_errno(err, E_STORE_FAILED, "the mailbox directory");
		if (fd >= 0)
			close(fd);
		return rc;
	}
	list->n = 0;
	rc = add_entry(l, list, SPAN_LIT("."));
	while (rc == E_OK && (errno = 0, e = readdir(dir)) != NULL) {
		if (e->d_name[0] != '.' || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN)
			continue;
		rc = add_entry(l, list, span_of(e->d_name));
		if (rc == E_OK)
			rc = fiber_tick(err);
	}
	if (rc == E_OK && errno != 0)
		list->complete = false;
	closedir(dir);
	return rc;
}

static bool same_times(const struct stat *a, const struct stat *b)
{
	return memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) == 0 &&
	       memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim)) == 0;
}

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return span_cmp(x->folder.name, y->folder.name);
}

/* The copy of a folder gets an id of its own; a restored original learns its new inode. */
static void settle_ids(struct local *l, struct listing *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct entry *e = &list->entries[i];
		bool is_copy = false;

		if (e->id.id[0] == '\0' || e->ino == e->id.ino)
			continue;
		for (size_t j = 0; j < list->n && !is_copy; j++) {
			const struct entry *other = &list->entries[j];

			is_copy = j != i && strcmp(other->id.id, e->id.id) == 0 &&
				  (other->ino == other->id.ino || j < i);
		}
		struct err why = ERR_INIT;
		int fd = e->folder.kind != EP_MAIL ? vdir_open_name(l, e->folder.name) :
			 maildir_open_dir(l->root_fd, e->folder.name.p);

		if (is_copy) {
			identity_random(&e->id);
			e->id.role = EP_ROLE_NONE;
		}
		e->id.ino = e->ino;
		if (fd < 0 || identity_write(fd, &e->id, true, &why) != E_OK)
			e->folder.id_stable = !is_copy;
		if (is_copy) {
			e->folder.id = e->folder.id_stable ? arena_span(list->arena, span_of(e->id.id)) :
				       e->folder.name;
			e->marked_role = false;
			e->folder.role = e->folder.kind == EP_MAIL ? local_plain_role(e->folder.path) : EP_ROLE_NONE;
		}
		if (fd >= 0)
			close(fd);
	}
}

/* Each role goes to one folder: the marked one, else the exact name, else the first. */
static void settle_roles(struct listing *list)
{
	for (enum ep_role role = EP_ROLE_NONE + 1; role < EP_ROLES; role++) {
		struct entry *best = NULL;
		int best_rank = 0;

		for (size_t i = 0; i < list->n; i++) {
			struct entry *e = &list->entries[i];

			if (e->folder.role != role)
				continue;
			int rank = e->marked_role ? 3 : 1;
			for (size_t k = 0; k < ARRAY_LEN(plain_roles); k++)
				rank += !e->marked_role && span_eq_str(e->folder.path, plain_roles[k].path);
			if (best != NULL && rank > best_rank)
				best->folder.role = EP_ROLE_NONE;
			if (best == NULL || rank > best_rank) {
				best = e;
				best_rank = rank;
			} else {
				e->folder.role = EP_ROLE_NONE;
			}
		}
	}
}

static bool path_taken(const struct listing *list, size_t i, bool only_before)
{
	const struct entry *e = &list->entries[i];

	for (size_t j = 0; j < list->n; j++) {
		const struct entry *other = &list->entries[j];

		if (j != i && other->folder.kind == e->folder.kind && path_eq(other->folder.path, e->folder.path) &&
		    (!only_before || other->exact || j < i))
			return true;
	}
	return false;
}

/* Two directories with the same path: the one whose name we would write keeps it. A collection goes by
 * its directory's name then. */
static void settle_paths(struct listing *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct entry *e = &list->entries[i];
		bool mail = e->folder.kind == EP_MAIL;
		bool taken = mail && span_eq_nocase_str(e->folder.path, "INBOX") && !span_eq_str(e->folder.name, ".");

		if (!taken && (e->exact || !path_taken(list, i, true)))
			continue;
		if (!mail) {
			e->folder.path = vdir_plain_path(list->arena, e->folder.name);
			if (!path_taken(list, i, false))
				continue;
		}
		uint8_t sum[DIGEST_SIZE];
		char hex[9];

		digest_of(e->folder.name.p, e->folder.name.n, sum);
		hex_encode(sum, 4, hex);
		e->folder.path = span_of(arena_printf(list->arena, SPAN_FMT "~%s",
						      SPAN_ARG(e->folder.path), hex));
		e->folder.role = EP_ROLE_NONE;
	}
}

/* Everything once. *still_r: nothing moved in the mailbox's directories meanwhile. */
static enum code list_once(struct local *l, struct listing *list, bool *still_r, struct err *err)
{
	struct stat before, after;
	bool still = false;

	list->complete = true;
	if (fstat(l->root_fd, &before) != 0)
		return err_errno(err, E_STORE_FAILED, "the mailbox directory");
	enum code rc = read_root(l, list, err);
	if (fstat(l->root_fd, &after) != 0)
		return err_errno(err, E_STORE_FAILED, "the mailbox directory");
	if (rc == E_OK && after.st_nlink == 0)
		rc = err_set(err, E_STORE_CHANGED, "the mailbox directory was removed");
	if (rc == E_OK)
		rc = vdir_list(l, list, &still, err);
	*still_r = still && same_times(&before, &after);
	return rc;
}

enum code local_list(struct endpoint *ep, struct arena *arena, struct ep_list *list_r, struct err *err)
{
	struct local *l = ep->impl;
	struct listing list = { .arena = arena };
	enum code rc = E_OK;
	bool still = false;

	for (int i = 0; rc == E_OK && !still && i < LISTS_MAX; i++)
		rc = list_once(l, &list, &still, err);
	if (rc != E_OK)
		return rc;
	if (list.n > 1)
		qsort(list.entries, list.n, sizeof(*list.entries), by_name);
	settle_paths(&list);
	settle_ids(l, &list);
	settle_roles(&list);
	list_r->complete = list.complete && still;
	list_r->n = list.n;
	list_r->folders = arena_calloc(arena, list.n + 1, sizeof(*list_r->folders));
	for (size_t i = 0; i < list.n; i++)
		list_r->folders[i] = list.entries[i].folder;
	return E_OK;
}

enum code local_describe_folder(struct local *l, struct arena *arena, struct span dir,
				struct ep_folder *folder_r, struct err *err)
{
	struct entry e;
	bool is_folder;
	enum code rc = read_entry(l, arena, dir, &e, &is_folder, err);

	if (rc == E_OK)
		*folder_r = e.folder;
	return rc;
}
