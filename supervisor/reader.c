/* reader.c - see reader.h. The answer is lines of JSON: {"warning": TEXT} any number of times, then
 * {"conf": {...}} or {"error": TEXT}.
 */
#include "reader.h"
#include "proc.h"

#include "../common/clock.h"
#include "../common/io.h"
#include "../common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)128 * 1024 * 1024)
#define MEMORY_MAX ((rlim_t)1024 * 1024 * 1024)
#define CPU_MAX_S 20
#define PATIENCE_MS 30000
#define CHUNK ((size_t)64 * 1024)

/* --- the process that reads --- */

static void put(json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);

	if (text != NULL)
		printf("%s\n", text);
	free(text);        /* jansson's own memory */
	json_decref(line);
}

/* What stands in a file need not be UTF-8. */
static json_t *text_json(const char *key, const char *text)
{
	json_t *value = json_string(text);
	char plain[600];

	if (value == NULL)
		value = json_string(log_escape(text, strlen(text), plain, sizeof(plain)));
	return json_pack("{s:o}", key, value);
}

static void put_warning(void *ctx, const char *text)
{
	(void)ctx;
	put(text_json("warning", text));
}

static void limit(int what, rlim_t max)
{
	struct rlimit l = { max, max };

	setrlimit(what, &l);
}

int reader_main(const char *file)
{
	struct conf *conf = NULL;
	struct err err = ERR_INIT;
	struct buf text;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_CPU, CPU_MAX_S);
#ifndef MS_NO_JAIL
	limit(RLIMIT_AS, MEMORY_MAX);
#endif
	if (conf_load(file, put_warning, NULL, &conf, &err) != E_OK) {
		put(text_json("error", err_text(&err)));
		return 0;
	}
	buf_init(&text, ANSWER_MAX);
	buf_add_str(&text, "{\"conf\":");
	conf_encode(conf, &text);
	buf_add_str(&text, "}\n");
	if (text.overflow)
		put(text_json("error", "the configuration is too large"));
	else
		fwrite(text.p, 1, text.n, stdout);
	buf_free(&text);
	conf_free(&conf);
	return 0;
}

/* --- the one that waits for it --- */

static int spawn(struct reader *reader, const char *file, int out)
{
	char *argv[] = { mem_strdup("mailshadowd"), mem_strdup("--read-config"), mem_strdup(file), NULL };
	posix_spawn_file_actions_t files;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	/* this very program, also while a new version is being installed */
	int rc = proc_start("/proc/self/exe", &files, argv, environ, &reader->pid);
	posix_spawn_file_actions_destroy(&files);
	for (size_t i = 0; argv[i] != NULL; i++)
		mem_free(argv[i]);
	return rc;
}

enum code reader_start(struct reader *reader, const char *file, struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_errno(err, E_IO, "pipe");
	int rc = spawn(reader, file, fds[1]);
	close(fds[1]);
	if (rc != 0) {
		close(fds[0]);
		reader->pid = 0;
		errno = rc;
		return err_errno(err, E_IO, "the process that reads the configuration cannot be started");
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	reader->fd = fds[0];
	reader->deadline_ms = clock_mono_ms() + PATIENCE_MS;
	buf_init(&reader->in, ANSWER_MAX);
	return E_OK;
}

bool reader_serve(struct reader *reader)
{
	for (;;) {
		char *room = buf_room(&reader->in, CHUNK);
		ssize_t n = room != NULL ? read(reader->fd, room, CHUNK) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return clock_mono_ms() >= reader->deadline_ms;
		if (n <= 0)
			return true;
		buf_grew(&reader->in, (size_t)n);
	}
}

/* Why it gave no answer. It has closed its end, so it is dying, or it is made to. */
static enum code bury(struct reader *reader, bool whole, struct err *err)
{
	bool late = clock_mono_ms() >= reader->deadline_ms, large = reader->in.overflow;
	siginfo_t info = { .si_pid = 0 };

	close(reader->fd);
	/* one that closed its end by itself is let die of what it dies of, for a moment */
	for (int i = 0; !whole && !late && i < 100; i++) {
		if (waitid(P_PID, (id_t)reader->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0)
			break;
		clock_sleep_ms(1);
	}
	kill(reader->pid, SIGKILL);
	memset(&info, 0, sizeof(info));
	while (waitid(P_PID, (id_t)reader->pid, &info, WEXITED) != 0 && errno == EINTR)
		;
	reader->pid = 0;
	if (whole)
		return E_OK;
	if (late || large)
		return err_set(err, E_CONF, "reading the configuration took too %s and was given up",
			       late ? "long" : "much memory");
	if (info.si_code == CLD_EXITED)
		return err_set(err, E_CONF, "the process that reads the configuration ended with status %d%s",
			       info.si_status, info.si_status == MEM_EXIT ? " (out of memory)" : "");
	return err_set(err, E_CONF, "the process that reads the configuration ended by signal %d", info.si_status);
}

static enum code take_line(struct span line, void (*warn)(void *ctx, const char *text), void *ctx,
			   struct conf **conf_r, bool *whole_r, struct err *err)
{
	json_t *root = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
	const char *warning = json_string_value(json_object_get(root, "warning"));
	const char *error = json_string_value(json_object_get(root, "error"));
	enum code rc = E_OK;

	if (warning != NULL)
		warn(ctx, warning);
	*whole_r = error != NULL || json_object_get(root, "conf") != NULL;
	if (error != NULL)
		rc = err_set(err, E_CONF, "%s", error);
	json_decref(root);
	if (rc != E_OK || !*whole_r)
		return rc;
	/* {"conf":X} */
	return conf_decode(line.p + 8, line.n - 9, conf_r, err);
}

enum code reader_take(struct reader *reader, void (*warn)(void *ctx, const char *text), void *ctx,
		      struct conf **conf_r, struct err *err)
{
	struct span rest = buf_span(&reader->in), line;
	bool whole = false;
	enum code rc = E_OK;

	*conf_r = NULL;
	while (rc == E_OK && !whole && !reader->in.overflow && span_next(&rest, '\n', &line)) {
		if (rest.p != NULL && line.n > 9)      /* a last line without an end is half of one */
			rc = take_line(line, warn, ctx, conf_r, &whole, err);
	}
	enum code ended = bury(reader, whole, rc == E_OK ? err : NULL);
	buf_free(&reader->in);
	if (rc == E_OK && ended != E_OK)
		conf_free(conf_r);
	return rc != E_OK ? rc : ended;
}
