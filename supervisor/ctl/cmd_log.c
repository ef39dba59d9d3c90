/* cmd_log.c - log: supervisor.log and the workers' logs as one, by time; all of it or one pairing's.
 *
 * The files are read as they lie there, so it works when nothing else does. With --follow, what is
 * written is picked up four times a second; a file that was rotated away is read to its end first.
 */
#include "ctl.h"

#include "../../common/buf.h"
#include "../../common/clock.h"
#include "../../common/mem.h"
#include "../../common/span.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEWEST 1000              /* lines without --all */
#define FOLLOW_MS 250
#define CHUNK ((size_t)64 * 1024)
#define LINE_LIMIT ((size_t)1024 * 1024)

struct file {
	char *name;
	int fd;
	ino_t inode;
	bool renamed;                /* another file has the name; this one is read once more */
	struct buf in;               /* read, not yet shown */
	size_t next;                 /* where the line after the current one begins; 0 = none is there */
	struct span line;            /* the current one, matching, without its end */
};

struct log {
	struct ctl *ctl;
	const char *dir;
	char *field, *word;          /* " pairing=NAME " and "pairing NAME:" */
	struct file *files;
	size_t n, cap;
	char **ring;                 /* the newest lines, while they are not shown yet */
	size_t ring_at;
};

static bool is_log(const char *name)
{
	size_t n = strlen(name);

	return strcmp(name, "supervisor.log") == 0 ||
	       (strncmp(name, "worker-", 7) == 0 && n > 11 && strcmp(name + n - 4, ".log") == 0);
}

static void open_file(struct log *log, struct file *f)
{
	char *path = mem_printf("%s/%s", log->dir, f->name);
	struct stat st;

	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (f->fd >= 0 && fstat(f->fd, &st) == 0)
		f->inode = st.st_ino;
	mem_free(path);
}

static struct file *find_file(struct log *log, const char *name)
{
	for (size_t i = 0; i < log->n; i++) {
		if (strcmp(log->files[i].name, name) == 0)
			return &log->files[i];
	}
	return NULL;
}

/* New files, and new ones under old names. */
static int scan(struct log *log)
{
	DIR *dir = opendir(log->dir);
	struct dirent *entry;

	if (dir == NULL) {
		ctl_error(log->ctl, "%s: %s; members of the group 'mailshadow' may read it", log->dir, strerror(errno));
		return EXIT_FAILED;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (!is_log(entry->d_name) || find_file(log, entry->d_name) != NULL)
			continue;
		if (log->n == log->cap) {
			log->cap = log->cap == 0 ? 16 : log->cap * 2;
			log->files = mem_realloc(log->files, log->cap, sizeof(*log->files));
		}
		struct file *f = &log->files[log->n++];
		*f = (struct file){ .name = mem_strdup(entry->d_name), .fd = -1 };
		buf_init(&f->in, LINE_LIMIT + CHUNK);
		open_file(log, f);
	}
	closedir(dir);
	return EXIT_OK;
}

static bool wanted(const struct log *log, struct span line)
{
	if (log->field == NULL)
		return true;
	return span_find_nocase(line, log->field) != SIZE_MAX || span_find_nocase(line, log->word) != SIZE_MAX;
}

static bool read_more(struct file *f)
{
	char *room = f->fd >= 0 ? buf_room(&f->in, CHUNK) : NULL;
	ssize_t n = room != NULL ? read(f->fd, room, CHUNK) : 0;

	if (n > 0)
		buf_grew(&f->in, (size_t)n);
	return n > 0;
}

/* Make the next matching line current; false: there is none (yet). */
static bool advance(const struct log *log, struct file *f)
{
	size_t from = f->next;

	for (;;) {
		size_t end = span_find(buf_span(&f->in), from, '\n');

		if (end == SIZE_MAX) {
			buf_consume(&f->in, from);
			from = f->next = 0;
			if (f->in.n > LINE_LIMIT)
				buf_clear(&f->in);
			if (!read_more(f))
				return false;
			continue;
		}
		f->line = span_cut(buf_span(&f->in), from, end - from);
		from = f->next = end + 1;
		if (wanted(log, f->line))
			return true;
	}
}

static void show(struct log *log, struct span line, bool newest_only)
{
	if (!newest_only) {
		fprintf(log->ctl->out, SPAN_FMT "\n", SPAN_ARG(line));
		return;
	}
	char **place = &log->ring[log->ring_at++ % NEWEST];
	mem_free(*place);
	*place = mem_strndup(line.p, line.n);
}

/* Everything that is there, by time; a line without one keeps its place in its file. */
static void merge(struct log *log, bool newest_only)
{
	bool *have = mem_calloc(log->n + 1, sizeof(*have));

	for (size_t i = 0; i < log->n; i++)
		have[i] = advance(log, &log->files[i]);
	for (;;) {
		struct file *first = NULL;

		for (size_t i = 0; i < log->n; i++) {
			struct file *f = &log->files[i];

			if (have[i] && (first == NULL || span_cmp(span_cut(f->line, 0, 24),
								  span_cut(first->line, 0, 24)) < 0))
				first = f;
		}
		if (first == NULL)
			break;
		show(log, first->line, newest_only);
		have[first - log->files] = advance(log, first);
	}
	mem_free(have);
}

static void show_ring(struct log *log)
{
	for (size_t i = 0; i < NEWEST; i++) {
		char **place = &log->ring[(log->ring_at + i) % NEWEST];

		if (*place != NULL)
			fprintf(log->ctl->out, "%s\n", *place);
		mem_free(*place);
		*place = NULL;
	}
}

/* Rotated: another file has the name now. Who writes may go on in the old one for a moment. */
static void follow_renames(struct log *log)
{
	for (size_t i = 0; i < log->n; i++) {
		struct file *f = &log->files[i];
		char *path = mem_printf("%s/%s", log->dir, f->name);
		struct stat st;

		bool other = stat(path, &st) == 0 && (f->fd < 0 || st.st_ino != f->inode);
		if (other && !f->renamed && f->fd >= 0) {
			f->renamed = true;
		} else if (other) {
			if (f->fd >= 0)
				close(f->fd);
			f->renamed = false;
			buf_clear(&f->in);
			f->next = 0;
			open_file(log, f);
		}
		mem_free(path);
	}
}

static int follow(struct log *log)
{
	while (fflush(log->ctl->out) == 0) {
		clock_sleep_ms(FOLLOW_MS);
		if (scan(log) != EXIT_OK)
			return EXIT_FAILED;
		merge(log, false);
		follow_renames(log);
	}
	return EXIT_FAILED;
}

static void free_log(struct log *log)
{
	for (size_t i = 0; i < log->n; i++) {
		mem_free(log->files[i].name);
		buf_free(&log->files[i].in);
		if (log->files[i].fd >= 0)
			close(log->files[i].fd);
	}
	mem_free(log->files);
	mem_free(log->ring);
	mem_free(log->field);
	mem_free(log->word);
}

static int run_log(struct ctl *ctl)
{
	struct log log = { .ctl = ctl };
	struct conf *conf;
	bool all = (ctl->options & OPT_ALL) != 0;
	int rc = ctl_load(ctl, false, &conf);

	if (rc != EXIT_OK)
		return rc;
	log.dir = conf->log_dir;
	log.ring = mem_calloc(NEWEST, sizeof(*log.ring));
	if (ctl->pairing != NULL) {
		log.field = mem_printf(" pairing=%s ", ctl->pairing);
		log.word = mem_printf("pairing %s:", ctl->pairing);
		rc = ctl_want_pairing(ctl, conf);
	}
	if (rc == EXIT_OK)
		rc = scan(&log);
	if (rc == EXIT_OK) {
		merge(&log, !all);
		show_ring(&log);
		if ((ctl->options & OPT_FOLLOW) != 0)
			rc = follow(&log);
	}
	free_log(&log);
	conf_free(&conf);
	return rc;
}

const struct ctl_command ctl_log = {
	"log", ARGS_MAYBE_PAIRING, OPT_FOLLOW | OPT_ALL, "all logs as one, by time", run_log,
};
