/* mail_picture.c - a mailbox as text, read without any of the product's code. */
#include "mail_user_private.h"

#include "../../common/mem.h"
#include "../../common/secret.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct lines {
	char **p;
	size_t n;
	const struct user *u;
	const char *path;
	bool ids;
	char keywords[26][64];
};

static void add_line(struct lines *l, char *text)
{
	l->p = mem_realloc(l->p, l->n + 1, sizeof(char *));
	l->p[l->n++] = text;
}

static void add_message(struct lines *l, const char *text, size_t n, uint32_t flags, const char *keywords,
			int64_t received, const char *id)
{
	uint8_t sum[DIGEST_SIZE];
	char hex[17];

	digest_of(text, n, sum);
	hex_encode(sum, 8, hex);
	add_line(l, mem_printf("%s %.*s %s flags %u [%s] at %lld %s\n", l->path, (int)strcspn(text, "\r\n"), text, hex,
			       (unsigned)flags, keywords, (long long)received, l->ids ? id : ""));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool show_file(void *ctx, const char *part, const char *file, const char *full)
{
	struct lines *l = ctx;
	char text[USER_TEXT_MAX], crlf[2 * USER_TEXT_MAX], words[26 * 64] = "";
	const char *info = strcmp(part, "new") == 0 ? "" : file + strcspn(file, ":");
	uint32_t flags = 0;
	size_t n = user_read_file(full, text, sizeof(text)), k = 0;
	struct stat st;

	user_must(stat(full, &st) == 0 && (size_t)st.st_size == n, full);
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))
			crlf[k++] = '\r';
		crlf[k++] = text[i];
	}
	crlf[k] = '\0';
	for (size_t i = 0; i < USER_LETTERS; i++) {
		if (strchr(info, user_letters[i].letter) != NULL)
			flags |= user_letters[i].flag;
	}
	/* in the order of names, not of letters */
	char *sorted[26];
	size_t n_words = 0;
	for (int i = 0; i < 26; i++) {
		if (strchr(info, 'a' + i) != NULL)
			sorted[n_words++] = l->keywords[i];
	}
	qsort(sorted, n_words, sizeof(*sorted), by_text);
	for (size_t i = 0; i < n_words; i++)
		snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s", i > 0 ? " " : "", sorted[i]);
	add_message(l, crlf, k, flags, words, st.st_mtim.tv_sec, file);
	return true;
}

static void show_disk(struct lines *l)
{
	DIR *d = opendir(l->u->root);
	struct dirent *e;

	user_must(d != NULL, l->u->root);
	while ((e = readdir(d)) != NULL) {
		char path[256] = "INBOX";

		/* taken apart at the next open at the latest */
		user_must(l->ids || strncmp(e->d_name, "mailshadow-removed-", 19) != 0, "half a folder is left");
		if (e->d_name[0] != '.' || strcmp(e->d_name, "..") == 0)
			continue;
		if (e->d_name[1] != '\0')
			snprintf(path, sizeof(path), "%s", e->d_name + 1);
		for (char *p = path; (p = strchr(p, '.')) != NULL;)
			*p = '/';
		l->path = path;
		user_read_keywords(l->u, path, l->keywords);
		add_line(l, mem_printf("%s\n", path));
		user_for_messages(l->u, path, show_file, l);
	}
	closedir(d);
}

static void show_memory(struct lines *l)
{
	for (size_t i = 0; i < l->u->mem->n; i++) {
		const struct mem_folder *f = &l->u->mem->folders[i];

		l->path = f->path;
		add_line(l, mem_printf("%s\n", f->path));
		for (size_t j = 0; j < f->n; j++) {
			const struct mem_item *it = &f->items[j];
			char id[16];

			snprintf(id, sizeof(id), "%u", it->uid);
			add_message(l, it->bytes, it->n, it->flags, it->keywords != NULL ? it->keywords : "",
				    it->received, id);
		}
	}
}

char *user_picture(const struct user *u, bool ids)
{
	struct lines l = { .u = u, .ids = ids };
	struct buf b;

	if (u->mem != NULL)
		show_memory(&l);
	else
		show_disk(&l);
	qsort(l.p, l.n, sizeof(*l.p), by_text);
	buf_init(&b, (size_t)8 << 20);
	for (size_t i = 0; i < l.n; i++) {
		buf_add_str(&b, l.p[i]);
		mem_free(l.p[i]);
	}
	mem_free(l.p);
	char *text = mem_strdup(buf_str(&b));

	buf_free(&b);
	return text;
}
