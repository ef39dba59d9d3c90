/* list.c - the folders of a Maildir++, their paths, ids and roles.
 *
 * A folder's id lies in it, so a rename keeps it. A copy of the directory carries the id as well: the
 * inode beside the id tells which of the two is the original. The inode alone would be no id, because
 * a restored backup has others.
 */
#include "local.h"

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
#define ID_FILE_MAX 256

static const struct {
	const char *path;
	enum ep_role role;
} plain_roles[] = {
	{ "Sent", EP_ROLE_SENT }, { "Drafts", EP_ROLE_DRAFTS }, { "Trash", EP_ROLE_TRASH },
	{ "Junk", EP_ROLE_JUNK }, { "Archive", EP_ROLE_ARCHIVE },
};

/* The contents of an id file. */
struct folder_id {
	char id[33];
	uint64_t ino;
	enum ep_role role;
};

static enum ep_role role_from_name(struct span name)
{
	for (enum ep_role r = EP_ROLE_SENT; r <= EP_ROLE_ARCHIVE; r++) {
		if (span_eq_str(name, ep_role_name(r)))
			return r;
	}
	return EP_ROLE_NONE;
}

static bool parse_id(struct span text, struct folder_id *id_r)
{
	struct span word, rest = text;

	*id_r = (struct folder_id){ .role = EP_ROLE_NONE };
	if (!span_next(&rest, ' ', &word) || word.n != 32)
		return false;
	for (size_t i = 0; i < word.n; i++) {
		if (strchr("0123456789abcdef", word.p[i]) == NULL || word.p[i] == '\0')
			return false;
	}
	memcpy(id_r->id, word.p, 32);
	if (!span_next(&rest, ' ', &word) || !span_u64(word, UINT64_MAX, &id_r->ino))
		return false;
	if (span_next(&rest, ' ', &word))
		id_r->role = role_from_name(word);
	return true;
}

/* Read the id file of the folder `fd`: false if there is none or it makes no sense. */
static bool read_id(int fd, struct folder_id *id_r)
{
	char text[ID_FILE_MAX];
	int file = openat(fd, LOCAL_FOLDER, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	size_t n = 0;

	if (file < 0)
		return false;
	bool ok = io_read_full(file, text, sizeof(text), &n, LOCAL_FOLDER, NULL) == E_OK;

	close(file);
	return ok && parse_id(span_trim(span_bytes(text, n)), id_r);
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

static enum code write_id(int fd, const struct folder_id *id, bool replace, struct err *err)
{
	char text[ID_FILE_MAX];
	int n = snprintf(text, sizeof(text), "%s %" PRIu64 "%s%s\n", id->id, id->ino,
			 id->role != EP_ROLE_NONE ? " " : "", ep_role_name(id->role));

	if (replace)
		return io_replace_file(fd, LOCAL_FOLDER, text, (size_t)n, 0600, err);
	if (maildir_put_new(fd, LOCAL_FOLDER, span_bytes(text, (size_t)n), 0600) != 0 && errno != EEXIST)
		return maildir_errno(err, E_FOLDER_REFUSED, LOCAL_FOLDER);
	return E_OK;
}

static void random_id(struct folder_id *id)
{
	uint8_t rnd[16];

	random_bytes(rnd, sizeof(rnd));
	hex_encode(rnd, sizeof(rnd), id->id);
}

enum code local_new_folder_id(int fd, enum ep_role role, struct err *err)
{
	struct folder_id id = { .ino = inode_of(fd), .role = role };

	random_id(&id);
	return write_id(fd, &id, false, err);
}

/* The folder's id, made at first sight. False: it has none and cannot get one (read-only). */
static bool get_id(int fd, struct folder_id *id_r)
{
	struct err err = ERR_INIT;

	if (read_id(fd, id_r))
		return true;
	/* a file that makes no sense (cut off by a crash) is replaced */
	if (faccessat(fd, LOCAL_FOLDER, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		*id_r = (struct folder_id){ .ino = inode_of(fd) };
		random_id(id_r);
		return write_id(fd, id_r, true, &err) == E_OK;
	}
	/* another worker may be at it: whoever was first wins, so read what is there now */
	return local_new_folder_id(fd, EP_ROLE_NONE, &err) == E_OK && read_id(fd, id_r);
}

enum ep_role local_plain_role(struct span path)
{
	for (size_t i = 0; i < ARRAY_LEN(plain_roles); i++) {
		if (span_eq_nocase_str(path, plain_roles[i].path))
			return plain_roles[i].role;
	}
	return EP_ROLE_NONE;
}

/* A folder on its way into the listing. */
struct entry {
	struct ep_folder folder;
	struct folder_id id;
	uint64_t ino;
	bool exact, marked_role;
};

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
	e->ino = inode_of(fd);
	if (span_eq_str(e->folder.name, ".")) {
		e->folder.role = EP_ROLE_INBOX;
		e->folder.id = SPAN_LIT(LOCAL_INBOX_ID);
		e->folder.id_stable = true;
		return E_OK;
	}
	e->folder.id_stable = get_id(fd, &e->id);
	e->folder.id = e->folder.id_stable ? arena_span(arena, span_of(e->id.id)) : e->folder.name;
	e->marked_role = e->id.role != EP_ROLE_NONE;
	e->folder.role = e->marked_role ? e->id.role : local_plain_role(e->folder.path);
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

/* The listing under construction. */
struct listing {
	struct arena *arena;
	struct entry *entries;
	size_t n, cap;
	bool complete;
};

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
	list->entries = arena_grow(list->arena, list->entries, list->n, sizeof(e), &list->cap);
	list->entries[list->n++] = e;
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
		int fd = maildir_open_dir(l->root_fd, e->folder.name.p);

		if (is_copy) {
			random_id(&e->id);
			e->id.role = EP_ROLE_NONE;
		}
		e->id.ino = e->ino;
		if (fd < 0 || write_id(fd, &e->id, true, &why) != E_OK)
			e->folder.id_stable = !is_copy;
		if (is_copy) {
			e->folder.id = e->folder.id_stable ? arena_span(list->arena, span_of(e->id.id)) :
				       e->folder.name;
			e->marked_role = false;
			e->folder.role = local_plain_role(e->folder.path);
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

/* Two directories with the same path: the one whose name we would write keeps it. */
static void settle_paths(struct listing *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct entry *e = &list->entries[i];
		bool taken = span_eq_nocase_str(e->folder.path, "INBOX") && !span_eq_str(e->folder.name, ".");

		for (size_t j = 0; !e->exact && j < list->n && !taken; j++) {
			const struct entry *other = &list->entries[j];

			taken = j != i && path_eq(other->folder.path, e->folder.path) &&
				(other->exact || j < i);
		}
		if (!taken)
			continue;
		uint8_t sum[DIGEST_SIZE];
		char hex[9];

		digest_of(e->folder.name.p, e->folder.name.n, sum);
		hex_encode(sum, 4, hex);
		e->folder.path = span_of(arena_printf(list->arena, SPAN_FMT "~%s",
						      SPAN_ARG(e->folder.path), hex));
		e->folder.role = EP_ROLE_NONE;
	}
}

enum code local_list(struct endpoint *ep, struct arena *arena, struct ep_list *list_r, struct err *err)
{
	struct local *l = ep->impl;
	struct listing list = { .arena = arena };
	struct stat before, after;
	enum code rc = E_OK;
	bool still = false;

	for (int i = 0; rc == E_OK && !still && i < LISTS_MAX; i++) {
		list.complete = true;
		if (fstat(l->root_fd, &before) != 0)
			return err_errno(err, E_STORE_FAILED, "the mailbox directory");
		rc = read_root(l, &list, err);
		if (fstat(l->root_fd, &after) != 0)
			return err_errno(err, E_STORE_FAILED, "the mailbox directory");
		still = same_times(&before, &after);
	}
	if (rc != E_OK)
		return rc;
	if (after.st_nlink == 0)
		return err_set(err, E_STORE_CHANGED, "the mailbox directory was removed");
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
