/* mail_user.c - see mail_user.h. */
#include "mail_user_private.h"

#include "../../common/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECEIVED 1700000000

void user_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "mail_user: %s: %s\n", what, strerror(errno));
	abort();
}

struct user user_of(struct pass_case *c, enum side side)
{
	static const char *const parts[] = { "", "/Mail", "/Mail/cur", "/Mail/new", "/Mail/tmp" };
	struct user u = { .mem = c->store[side] };
	char path[256];

	if (u.mem != NULL)
		return u;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		snprintf(path, sizeof(path), "%s/%s%s", c->endpoint[side].path, c->pairing.mailbox[side].smtp_name,
			 parts[i]);
		user_must(mkdir(path, 0700) == 0, path);
	}
	snprintf(u.root, sizeof(u.root), "%s/%s/Mail", c->endpoint[side].path, c->pairing.mailbox[side].smtp_name);
	return u;
}

/* --- a Maildir --- */

/* The directory of a folder, below u->root: "." or ".A.B". */
static void dir_name(const char *path, char out[128])
{
	if (strcmp(path, "INBOX") == 0) {
		strcpy(out, ".");
		return;
	}
	snprintf(out, 128, ".%s", path);
	for (char *p = out; (p = strchr(p, '/')) != NULL;)
		*p = '.';
}

static void dir_path(const struct user *u, const char *path, const char *below, char out[512])
{
	char name[128];

	dir_name(path, name);
	snprintf(out, 512, "%s/%s%s%s", u->root, name, below[0] != '\0' ? "/" : "", below);
}

size_t user_read_file(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	ssize_t n = read(fd, out, size - 1);

	close(fd);
	user_must(n >= 0, path);
	out[n] = '\0';
	return (size_t)n;
}

static void write_file(const char *path, const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = RECEIVED } };

	user_must(fd >= 0 && write(fd, text, n) == (ssize_t)n && futimens(fd, times) == 0, path);
	close(fd);
}

/* A name that no file had before. */
static void fresh_name(char out[64])
{
	static unsigned n;

	snprintf(out, 64, "%d.U%uP%ld.user", RECEIVED, ++n, (long)getpid());
}

void user_for_messages(const struct user *u, const char *path, each_fn each, void *ctx)
{
	static const char *const parts[] = { "new", "cur" };
	bool more = true;

	for (size_t i = 0; more && i < ARRAY_LEN(parts); i++) {
		char dir[512], full[1024];
		struct dirent *e;

		dir_path(u, path, parts[i], dir);
		DIR *d = opendir(dir);
		user_must(d != NULL, dir);
		while (more && (e = readdir(d)) != NULL) {
			snprintf(full, sizeof(full), "%s/%s", dir, e->d_name);
			if (e->d_name[0] != '.')
				more = each(ctx, parts[i], e->d_name, full);
		}
		closedir(d);
	}
}

struct search {
	char head[80];
	char part[8], file[256], full[1024];
	bool found;
};

static bool has_id(void *ctx, const char *part, const char *file, const char *full)
{
	struct search *s = ctx;
	char text[USER_TEXT_MAX];

	user_read_file(full, text, sizeof(text));
	if (strncmp(text, s->head, strlen(s->head)) != 0)
		return true;
	snprintf(s->part, sizeof(s->part), "%s", part);
	snprintf(s->file, sizeof(s->file), "%s", file);
	snprintf(s->full, sizeof(s->full), "%s", full);
	s->found = true;
	return false;
}

static struct search find_file(const struct user *u, const char *path, const char *id)
{
	struct search s = { .found = false };

	snprintf(s.head, sizeof(s.head), "Message-ID: <%s@example>", id);
	user_for_messages(u, path, has_id, &s);
	user_must(s.found, id);
	return s;
}

void user_read_keywords(const struct user *u, const char *path, char names[26][64])
{
	char file[512], text[USER_TEXT_MAX], *line, *save;

	memset(names, 0, 26 * 64);
	dir_path(u, path, "dovecot-keywords", file);
	if (user_read_file(file, text, sizeof(text)) == 0)
		return;
	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		char *end;
		unsigned long n = strtoul(line, &end, 10);

		if (n < 26 && *end == ' ')
			snprintf(names[n], 64, "%s", end + 1);
	}
}

static char letter_of(const struct user *u, const char *path, const char *keyword)
{
	char names[26][64], file[512], next[520], text[USER_TEXT_MAX];
	size_t i = 0, n = 0;

	user_read_keywords(u, path, names);
	while (i < 26 && names[i][0] != '\0' && strcmp(names[i], keyword) != 0)
		i++;
	user_must(i < 26, "no letter is free");
	snprintf(names[i], 64, "%s", keyword);
	for (size_t k = 0; k < 26; k++) {
		if (names[k][0] != '\0')
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%zu %s\n", k, names[k]);
	}
	dir_path(u, path, "dovecot-keywords", file);
	snprintf(next, sizeof(next), "%s.next", file);
	write_file(next, text, n);
	user_must(rename(next, file) == 0, file);
	return (char)('a' + i);
}

const struct user_letter user_letters[USER_LETTERS] = {
	{ 'D', EP_DRAFT }, { 'F', EP_FLAGGED }, { 'R', EP_ANSWERED }, { 'S', EP_SEEN }, { 'T', EP_DELETED },
};

static void disk_make(struct user *u, const char *path, enum ep_role role)
{
	static const char *const parts[] = { "", "cur", "new", "tmp" };
	char dir[512], text[128];
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		dir_path(u, path, parts[i], dir);
		user_must(mkdir(dir, 0700) == 0, dir);
	}
	if (role == EP_ROLE_NONE || strcasecmp(path, ep_role_name(role)) == 0)
		return;
	/* only the product can say that; a mailbox that it made before */
	dir_path(u, path, "", dir);
	user_must(stat(dir, &st) == 0, dir);
	int n = snprintf(text, sizeof(text), "0123456789abcdef%016lx %lu %s\n", (unsigned long)st.st_ino,
			 (unsigned long)st.st_ino, ep_role_name(role));
	dir_path(u, path, "mailshadow-folder", dir);
	write_file(dir, text, (size_t)n);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void disk_rename(struct user *u, const char *from, const char *to)
{
	char a[128], b[128], old[1024], new[1024];
	DIR *d = opendir(u->root);
	struct dirent *e;

	user_must(d != NULL, u->root);
	dir_name(from, a);
	dir_name(to, b);
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, a, strlen(a)) != 0 || strchr(".", e->d_name[strlen(a)]) == NULL)
			continue;
		snprintf(old, sizeof(old), "%s/%s", u->root, e->d_name);
		snprintf(new, sizeof(new), "%s/%s%s", u->root, b, e->d_name + strlen(a));
		user_must(rename(old, new) == 0, old);
	}
	closedir(d);
}

/* As a delivery agent does: every other one is in new/, the others were seen by a program already. */
static void disk_add(struct user *u, const char *path, const char *crlf)
{
	static unsigned turn;
	char text[USER_TEXT_MAX], name[64], file[128], tmp[512], to[512];
	bool in_new = turn++ % 2 == 0;
	size_t n = 0;

	for (const char *p = crlf; *p != '\0'; p++) {
		if (*p != '\r')
			text[n++] = *p;
	}
	fresh_name(name);
	snprintf(file, sizeof(file), "tmp/%s", name);
	dir_path(u, path, file, tmp);
	write_file(tmp, text, n);
	snprintf(file, sizeof(file), in_new ? "new/%s" : "cur/%s:2,", name);
	dir_path(u, path, file, to);
	user_must(rename(tmp, to) == 0, to);
}

static void disk_flags(struct user *u, const char *path, const char *id, uint32_t flags, const char *keyword)
{
	struct search s = find_file(u, path, id);
	char info[40] = ":2,", file[400], to[512];
	size_t n = 3;

	for (size_t i = 0; i < USER_LETTERS; i++) {
		if ((flags & user_letters[i].flag) != 0)
			info[n++] = user_letters[i].letter;
	}
	if (keyword != NULL)
		info[n++] = letter_of(u, path, keyword);
	snprintf(file, sizeof(file), "cur/%.*s%s", (int)strcspn(s.file, ":"), s.file, info);
	dir_path(u, path, file, to);
	user_must(rename(s.full, to) == 0, to);
}

/* Moving keeps no keyword: a letter means something else in the other folder. */
static void disk_move(struct user *u, const char *path, const char *id, const char *to, bool keep)
{
	struct search s = find_file(u, path, id);
	char name[64], info[40], file[256], target[512];
	size_t n = 0;

	fresh_name(name);
	for (const char *p = strchr(s.file, ':'); p != NULL && *p != '\0'; p++) {
		if (*p < 'a' || *p > 'z')
			info[n++] = *p;
	}
	info[n] = '\0';
	snprintf(file, sizeof(file), "%s/%s%s", s.part, name, info);
	dir_path(u, to, file, target);
	user_must((keep ? link(s.full, target) : rename(s.full, target)) == 0, target);
}

static bool renumber_one(void *ctx, const char *part, const char *file, const char *full)
{
	char name[64], to[1024];
	const char *info = strchr(file, ':');

	(void)ctx;
	(void)part;
	/* not one that was renamed just now and is met again */
	if (strstr(file, ".renumbered") != NULL)
		return true;
	fresh_name(name);
	snprintf(to, sizeof(to), "%.*s%s.renumbered%s", (int)(strlen(full) - strlen(file)), full, name,
		 info != NULL ? info : "");
	user_must(rename(full, to) == 0, to);
	return true;
}

/* --- the acts --- */

static size_t index_of(struct mem_folder *f, const char *id)
{
	char head[80];

	snprintf(head, sizeof(head), "Message-ID: <%s@example>", id);
	for (size_t i = 0; i < f->n; i++) {
		if (strncmp(f->items[i].bytes, head, strlen(head)) == 0)
			return i;
	}
	user_must(false, id);
	return 0;
}

static struct mem_folder *folder_of(struct user *u, const char *path)
{
	struct mem_folder *f = mem_folder_get(u->mem, path);

	user_must(f != NULL, path);
	return f;
}

void user_make(struct user *u, const char *path, enum ep_role role)
{
	if (u->mem != NULL)
		mem_folder_make(u->mem, path, role);
	else
		disk_make(u, path, role);
}

void user_drop(struct user *u, const char *path)
{
	char dir[512];

	if (u->mem != NULL) {
		mem_folder_drop(u->mem, path);
		return;
	}
	dir_path(u, path, "", dir);
	user_must(nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0, dir);
}

void user_rename(struct user *u, const char *from, const char *to)
{
	if (u->mem != NULL)
		mem_rename(u->mem, from, to);
	else
		disk_rename(u, from, to);
}

void user_add_body(struct user *u, const char *path, const char *id, const char *body)
{
	if (u->mem != NULL)
		mem_add(u->mem, path, pc_mail(id, body), 0, NULL, RECEIVED);
	else
		disk_add(u, path, pc_mail(id, body));
}

void user_add(struct user *u, const char *path, const char *id)
{
	user_add_body(u, path, id, "body");
}

void user_flags(struct user *u, const char *path, const char *id, uint32_t flags, const char *keyword)
{
	if (u->mem != NULL)
		mem_set_flags(u->mem, folder_of(u, path), index_of(folder_of(u, path), id), flags, keyword);
	else
		disk_flags(u, path, id, flags, keyword);
}

void user_remove(struct user *u, const char *path, const char *id)
{
	if (u->mem != NULL)
		mem_remove(u->mem, folder_of(u, path), index_of(folder_of(u, path), id));
	else
		user_must(unlink(find_file(u, path, id).full) == 0, id);
}

void user_move(struct user *u, const char *path, const char *id, const char *to)
{
	if (u->mem != NULL)
		mem_move(u->mem, folder_of(u, path), index_of(folder_of(u, path), id), to);
	else
		disk_move(u, path, id, to, false);
}

void user_copy(struct user *u, const char *path, const char *id, const char *to)
{
	if (u->mem == NULL) {
		disk_move(u, path, id, to, true);
		return;
	}
	const struct mem_item *it = &folder_of(u, path)->items[index_of(folder_of(u, path), id)];
	char *bytes = mem_strdup(it->bytes);

	mem_add(u->mem, to, bytes, it->flags, NULL, it->received);
	mem_free(bytes);
}

void user_renumber(struct user *u, const char *path)
{
	if (u->mem != NULL)
		mem_new_validity(u->mem, path);
	else
		user_for_messages(u, path, renumber_one, NULL);
}
