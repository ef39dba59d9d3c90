/* link.c - the control socket, or mailshadowd started for one request. */
#include "link.h"

#include "table.h"

#include "../../common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_MAX_BYTES ((size_t)64 * 1024 * 1024)

extern char **environ;

struct link {
	struct ctl *ctl;
	const struct link_request *request;
	struct buf *answer;
	int fd;
	pid_t child;             /* 0: a service answers */
	bool done;
	int exit_code;
};

static char *runtime_directory(struct ctl *ctl, int *rc_r)
{
	struct conf *conf = NULL;
	char *dir = NULL;

	*rc_r = ctl_load(ctl, false, &conf);
	if (*rc_r == EXIT_OK)
		*rc_r = ctl_want_pairing(ctl, conf);
	else
		dir = conf_peek_runtime_dir(ctl->config);   /* somebody edits while it runs */
	if (*rc_r == EXIT_OK)
		dir = mem_strdup(conf->runtime_dir);
	conf_free(&conf);
	return dir;
}

/* Connected: the descriptor. Nobody there: -1. Anything else: -2, said. */
static int connect_service(struct ctl *ctl, const char *dir)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (snprintf(to.sun_path, sizeof(to.sun_path), "%s/" CONF_CONTROL_SOCKET, dir) >=
	    (int)sizeof(to.sun_path)) {
		ctl_error(ctl, "RuntimeDirectory %s is too long for a socket", dir);
	} else if (fd < 0) {
		ctl_error(ctl, "socket: %s", strerror(errno));
	} else if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
		return fd;
	} else if (errno == ENOENT || errno == ECONNREFUSED) {
		close(fd);
		return -1;
	} else if (errno == EACCES || errno == EPERM) {
		ctl_error(ctl,
			  "%s: you may not talk to the service; become a member of its group "
			  "'mailshadow'",
			  to.sun_path);
	} else {
		ctl_error(ctl, "%s: %s", to.sun_path, strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	return -2;
}

static char *request_text(struct ctl *ctl, const struct link_request *request)
{
	static const struct { unsigned bit; const char *arg; } bits[] = {
		{ OPT_SUBJECTS, "subjects" }, { OPT_RETRY, "retry" }, { OPT_DISCARD, "discard" },
		{ OPT_WAIT, "wait" },
	};
	json_t *args = json_object();

	if (ctl->pairing != NULL)
		json_object_set_new(args, "pairing", json_string(ctl->pairing));
	if (ctl->item != NULL)
		json_object_set_new(args, "item", json_string(ctl->item));
	for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
		if ((ctl->options & bits[i].bit) != 0)
			json_object_set_new(args, bits[i].arg, json_true());
	}
	if (request->newest > 0 && (ctl->options & OPT_ALL) == 0)
		json_object_set_new(args, "limit", json_integer((json_int_t)request->newest));
	json_t *root = json_pack("{s:s, s:o}", "cmd", request->cmd, "args", args);
	char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}

/* mailshadowd beside this program: ../sbin as installed, the same directory as built. */
static char *find_daemon(void)
{
	static const char *const places[] = { "../sbin/mailshadowd", "mailshadowd" };
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash != NULL && i < ARRAY_LEN(places); i++) {
		char *path = mem_printf("%.*s%s", (int)(slash + 1 - self), self, places[i]);

		if (access(path, X_OK) == 0)
			return path;
		mem_free(path);
	}
	return mem_strdup(MS_LIBEXECDIR "/../../sbin/mailshadowd");
}

static int spawn_daemon(struct link *k, const char *request)
{
	char *path = find_daemon();
	char *argv[] = {
		path, mem_strdup("-c"), mem_strdup(k->ctl->config),
		mem_strdup("--request"), mem_strdup(request), NULL,
	};
	posix_spawn_file_actions_t actions;
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC) != 0) {
		ctl_error(k->ctl, "pipe: %s", strerror(errno));
		return k->request->failed;
	}
	fflush(k->ctl->out);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	rc = posix_spawn(&k->child, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	k->fd = fds[0];
	if (rc != 0) {
		ctl_error(k->ctl, "no service runs, and %s cannot be started: %s", path,
			  strerror(rc));
		k->child = 0;
	}
	for (size_t i = 0; argv[i] != NULL; i++)
		mem_free(argv[i]);
	return rc == 0 ? EXIT_OK : k->request->failed;
}

static bool send_all(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t put = send(fd, text, n, MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		text += put;
		n -= (size_t)put;
	}
	return true;
}

static int send_request(struct link *k, const char *request)
{
	struct timeval wait = { .tv_sec = k->request->wait_s };

	if (k->request->wait_s > 0)
		setsockopt(k->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (send_all(k->fd, request, strlen(request)) && send_all(k->fd, "\n", 1))
		return EXIT_OK;
	ctl_error(k->ctl, "the service closed the connection: %s", strerror(errno));
	return k->request->failed;
}

static void show_error(struct ctl *ctl, const char *text)
{
	struct buf b;

	buf_init(&b, 64 * 1024);
	terminal_add(&b, text, strlen(text));
	ctl_error(ctl, "%s", buf_str(&b));
	buf_free(&b);
}

static void take_part(struct link *k, json_t *part)
{
	if (json_is_string(part)) {
		buf_add(k->answer, json_string_value(part), json_string_length(part));
	} else if (part != NULL) {
		char *text = json_dumps(part, JSON_COMPACT | JSON_ENCODE_ANY);

		buf_add_str(k->answer, text != NULL ? text : "");
		free(text);
	}
}

/* False: the line is not of the protocol. */
static bool take_line(struct link *k, struct span line)
{
	json_t *root = json_loadb(line.p, line.n, JSON_DECODE_ANY, NULL);
	bool good = json_is_object(root);

	if (good) {
		const char *error = json_string_value(json_object_get(root, "error"));

		if (error != NULL)
			show_error(k->ctl, error);
		take_part(k, json_object_get(root, "part"));
		if (json_is_true(json_object_get(root, "done"))) {
			json_t *code = json_object_get(root, "exit");

			k->done = true;
			k->exit_code = json_is_integer(code) ? (int)json_integer_value(code)
							     : k->request->failed;
		}
	}
	json_decref(root);
	return good;
}

static bool take_lines(struct link *k, struct buf *in)
{
	size_t at = 0;

	while (!k->done) {
		size_t end = span_find(buf_span(in), at, '\n');

		if (end == SIZE_MAX)
			break;
		if (end > at && !take_line(k, span_cut(buf_span(in), at, end - at)))
			return false;
		at = end + 1;
	}
	buf_consume(in, at);
	return true;
}

/* Until "done", the end, or something wrong; NULL or what was wrong. */
static const char *receive(struct link *k)
{
	const char *wrong = NULL;
	struct buf in;

	buf_init(&in, LINE_MAX_BYTES);
	while (!k->done && wrong == NULL) {
		char *room = buf_room(&in, 65536);
		ssize_t got = room == NULL ? 0 : read(k->fd, room, 65536);

		if (room == NULL)
			wrong = "a line of the answer is too long";
		else if (got < 0 && errno == EINTR)
			continue;
		else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			wrong = "the service does not answer";
		else if (got <= 0)
			break;
		buf_grew(&in, got > 0 ? (size_t)got : 0);
		if (got > 0 && !take_lines(k, &in))
			wrong = "the answer is not of the control protocol";
	}
	buf_free(&in);
	return wrong;
}

static int finish_child(struct link *k, const char *wrong)
{
	int status = 0;

	close(k->fd);
	k->fd = -1;
	while (waitpid(k->child, &status, 0) < 0 && errno == EINTR)
		;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : k->request->failed;
	if (k->done)
		return k->exit_code;
	if (code == EXIT_BUSY)
		ctl_error(k->ctl,
			  "another mailshadowd is using the state directory; try again later");
	else if (!WIFEXITED(status))
		ctl_error(k->ctl, "mailshadowd ended by signal %d", WTERMSIG(status));
	else if (wrong != NULL || code == EXIT_OK)
		ctl_error(k->ctl, "mailshadowd: %s", wrong != NULL ? wrong : "it gave no answer");
	return code == EXIT_OK ? k->request->failed : code;
}

static int finish_service(struct link *k, const char *wrong)
{
	if (k->done)
		return k->exit_code;
	ctl_error(k->ctl, "%s",
		  wrong != NULL ? wrong
				: "the service closed the connection before it had answered");
	return k->request->failed;
}

static int open_link(struct link *k, const char *dir, const char *request, int conf_rc)
{
	k->fd = connect_service(k->ctl, dir);
	if (k->fd >= 0)
		return send_request(k, request);
	if (k->fd == -2)
		return k->request->failed;
	if (conf_rc != EXIT_OK)
		return conf_rc;
	if (k->request->who == LINK_SERVICE) {
		ctl_error(k->ctl,
			  "no service runs on %s/" CONF_CONTROL_SOCKET "; start it: "
			  "systemctl start mailshadow",
			  dir);
		return EXIT_NO_SERVICE;
	}
	return spawn_daemon(k, request);
}

int link_ask(struct ctl *ctl, const struct link_request *request, struct buf *answer)
{
	struct link k = { .ctl = ctl, .request = request, .answer = answer, .fd = -1 };
	int rc = EXIT_OK, conf_rc;
	char *dir = runtime_directory(ctl, &conf_rc);
	char *text = request_text(ctl, request);

	if (dir == NULL) {
		rc = conf_rc;
	} else if (text == NULL) {
		ctl_error(ctl, "the name is not valid UTF-8");
		rc = EXIT_NO_SUCH;
	} else {
		rc = open_link(&k, dir, text, conf_rc);
	}
	if (rc == EXIT_OK) {
		const char *wrong = receive(&k);

		rc = k.child != 0 ? finish_child(&k, wrong) : finish_service(&k, wrong);
	}
	if (k.fd >= 0)
		close(k.fd);
	if (answer->overflow) {
		ctl_error(ctl, "the answer is larger than %zu MiB", LINK_ANSWER_MAX >> 20);
		rc = request->failed;
	}
	free(text);        /* jansson's own memory */
	mem_free(dir);
	return rc;
}

json_t *link_document(struct ctl *ctl, struct buf *answer)
{
	json_t *root = answer->n == 0 ? NULL : json_loadb(answer->p, answer->n, 0, NULL);

	if (json_is_object(root))
		return root;
	json_decref(root);
	ctl_error(ctl, "the answer is not a JSON document");
	return NULL;
}

int link_show(struct ctl *ctl, const struct link_request *request,
	      void (*show)(struct ctl *ctl, json_t *document))
{
	struct buf answer;

	buf_init(&answer, LINK_ANSWER_MAX);
	int rc = link_ask(ctl, request, &answer);
	if (answer.n > 0 && !answer.overflow && (ctl->options & OPT_JSON) != 0) {
		fwrite(answer.p, 1, answer.n, ctl->out);
		if (answer.p[answer.n - 1] != '\n')
			fputc('\n', ctl->out);
	} else if (answer.n > 0 && !answer.overflow) {
		json_t *document = link_document(ctl, &answer);

		if (document != NULL)
			show(ctl, document);
		else
			rc = request->failed;
		json_decref(document);
	}
	if (answer.n == 0 && rc == EXIT_OK) {
		ctl_error(ctl, "the answer is empty");
		rc = request->failed;
	}
	buf_free(&answer);
	return rc;
}
