/* dav_case.c - see dav_case.h. */
#include "dav_case.h"

#include "../../common/io.h"
#include "../../common/trace.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the server --- */

static unsigned int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void write_file(struct dav_box *b, const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static bool answers(unsigned int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	close(fd);
	return ok;
}

static pid_t spawn(struct dav_box *b, char *const argv[])
{
	char log[128];
	pid_t pid;

	snprintf(log, sizeof(log), "%s/log", b->dir);
	pid = fork();
	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv("PYTHONUTF8", "1", 1);
		dup2(fd, 1);
		dup2(fd, 2);
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

static void start_radicale(struct dav_box *b)
{
	char text[1024], conf[128];

	snprintf(text, sizeof(text),
		 "[server]\nhosts = 127.0.0.1:%u\n[auth]\ntype = htpasswd\nhtpasswd_filename = %s/users\n"
		 "htpasswd_encryption = plain\ndelay = 0\n[storage]\nfilesystem_folder = %s/store\n"
		 "[logging]\nlevel = warning\n", b->port, b->dir, b->dir);
	write_file(b, "conf", text);
	write_file(b, "users", DAV_USER ":" DAV_PASSWORD "\n");
	snprintf(conf, sizeof(conf), "%s/conf", b->dir);
	b->pid = spawn(b, (char *[]){ (char[]){ "/usr/bin/radicale" }, (char[]){ "--config" }, conf, NULL });
	snprintf(b->caldav, sizeof(b->caldav), "http://127.0.0.1:%u/", b->port);
	snprintf(b->carddav, sizeof(b->carddav), "http://127.0.0.1:%u/{user}/", b->port);
}

static void start_xandikos(struct dav_box *b)
{
	char port[16], store[128];

	snprintf(port, sizeof(port), "%u", b->port);
	snprintf(store, sizeof(store), "%s/store", b->dir);
	b->pid = spawn(b, (char *[]){ (char[]){ "/usr/bin/xandikos" }, (char[]){ "-d" }, store, (char[]){ "-l" },
				      (char[]){ "127.0.0.1" }, (char[]){ "-p" }, port, (char[]){ "--defaults" },
				      (char[]){ "--current-user-principal" }, (char[]){ "/" DAV_USER "/" }, NULL });
	snprintf(b->caldav, sizeof(b->caldav), "http://127.0.0.1:%u/", b->port);
	snprintf(b->carddav, sizeof(b->carddav), "http://127.0.0.1:%u/", b->port);
}

static void prepare(struct dav_box *b)
{
	b->arena = arena_new((size_t)1 << 30);
	b->spool = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->conf = (struct conf_endpoint){ .name = "groupware", .type = "imap", .caldav = b->caldav, .carddav = b->carddav,
					  .auth = "auto" };
	b->mailbox = (struct conf_mailbox){ .endpoint = &b->conf, .smtp_name = b->user, .login = b->user,
					    .password = { .credential = CONF_HELD } };
}

/* MS_DAV="http://127.0.0.1:PORT/PATH USER PASSWORD": a server that somebody else has started. */
static bool use_external(struct dav_box *b)
{
	static char user[128], password[128];
	const char *env = getenv("MS_DAV");

	if (env == NULL)
		return false;
	assert_int_equal(sscanf(env, "%200s %127s %127s", b->caldav, user, password), 3);
	assert_int_equal(sscanf(b->caldav, "http://127.0.0.1:%u", &b->port), 1);
	strcpy(b->carddav, b->caldav);
	b->user = user;
	b->password = password;
	strcpy(b->dir, "/tmp/t_dav.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	if (getenv("MS_TRACE") != NULL)
		trace_set("all");
	prepare(b);
	return true;
}

bool dav_box_start(struct dav_box *b, const char *server)
{
	char program[64];

	memset(b, 0, sizeof(*b));
	b->server = server;
	b->user = DAV_USER;
	b->password = DAV_PASSWORD;
	if (strcmp(server, "external") == 0)
		return use_external(b);
	snprintf(program, sizeof(program), "/usr/bin/%s", server);
	if (access(program, X_OK) != 0) {
		printf("skipped: %s is not installed\n", program);
		return false;
	}
	strcpy(b->dir, "/tmp/t_dav.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->port = free_port();
	if (strcmp(server, "radicale") == 0)
		start_radicale(b);
	else
		start_xandikos(b);
	for (int i = 0; i < 200 && !answers(b->port); i++)
		usleep(50000);
	assert_true(answers(b->port));
	if (getenv("MS_TRACE") != NULL)              /* for whoever looks for a mistake */
		trace_set("all");
	prepare(b);
	return true;
}


static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

void dav_box_stop(struct dav_box *b)
{
	dav_box_close(b);
	if (b->pid > 0) {
		kill(b->pid, SIGKILL);
		waitpid(b->pid, NULL, 0);
	}
	close(b->spool);
	arena_free(&b->arena);
	nftw(b->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	b->pid = 0;
}

/* --- the endpoint --- */

static enum code secret(void *ctx, const char *purpose, struct secret **secret_r, struct err *err)
{
	struct dav_box *b = ctx;

	(void)err;
	assert_string_equal(purpose, "password");
	*secret_r = secret_new(b->password, strlen(b->password));
	return E_OK;
}

enum code dav_box_open(struct dav_box *b)
{
	assert_null(b->ep.impl);
	b->err = (struct err)ERR_INIT;
	b->ep = (struct endpoint){
		.ops = &ep_dav,
		.env = { .conf = &b->conf, .mailbox = &b->mailbox, .spool_dir = b->spool, .ctx = b, .secret = secret },
	};
	assert_int_equal(ep_dav.make(&b->ep, &b->err), E_OK);
	return ep_dav.open(&b->ep, &b->err);
}

void dav_box_close(struct dav_box *b)
{
	if (b->ep.impl != NULL)
		ep_dav.close(&b->ep);
}

/* --- another program --- */

int dav_box_foreign(struct dav_box *b, const char *method, const char *path, const char *header, const char *body)
{
	static char header_option[] = "-H", data_option[] = "--data-binary";
	char url[512], out[128], status[16] = "", user[128];
	char *argv[24] = { (char[]){ "/usr/bin/curl" }, (char[]){ "-s" }, (char[]){ "-o" }, (char[]){ "/dev/null" },
			   (char[]){ "-w" }, (char[]){ "%{http_code}" }, (char[]){ "--noproxy" }, (char[]){ "*" },
			   (char[]){ "-u" }, user, (char[]){ "-X" } };
	size_t n = 11;
	int fds[2], got = 0;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", b->port, path);
	snprintf(user, sizeof(user), "%s:%s", b->user, b->password);
	argv[n++] = strdup(method);
	argv[n++] = header_option;
	argv[n++] = strdup(header != NULL ? header : "X-None: 1");
	if (body != NULL) {
		write_file(b, "body", body);
		snprintf(out, sizeof(out), "@%s/body", b->dir);
		argv[n++] = data_option;
		argv[n++] = out;
	}
	argv[n++] = url;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		execv(argv[0], argv);
		_exit(127);
	}
	close(fds[1]);
	for (ssize_t r; got < 15 && (r = read(fds[0], status + got, sizeof(status) - 1 - (size_t)got)) > 0;)
		got += (int)r;
	close(fds[0]);
	waitpid(pid, NULL, 0);
	free(argv[11]);
	free(argv[13]);
	return (int)strtol(status, NULL, 10);
}

/* --- verbs --- */

struct ep_list dav_box_list(struct dav_box *b)
{
	struct ep_list list = { .n = 0 };
	enum code rc = ep_dav.list(&b->ep, b->arena, &list, &b->err);

	if (rc != E_OK)
		print_error("list: %s\n", err_text(&b->err));
	assert_int_equal(rc, E_OK);
	return list;
}

const struct ep_folder *dav_box_folder(struct dav_box *b, const char *path, enum ep_kind kind)
{
	struct ep_list list = dav_box_list(b);

	for (size_t i = 0; i < list.n; i++)
		if (span_eq_str(list.folders[i].path, path) && list.folders[i].kind == kind)
			return &list.folders[i];
	for (size_t i = 0; i < list.n; i++)
		print_error("there is %s \"" SPAN_FMT "\" at " SPAN_FMT "\n", ep_kind_name(list.folders[i].kind),
			    SPAN_ARG(list.folders[i].path), SPAN_ARG(list.folders[i].name));
	fail_msg("no %s folder %s", ep_kind_name(kind), path);
	return NULL;
}

struct ep_changes dav_box_changes(struct dav_box *b, const struct ep_folder *folder, struct span since)
{
	struct ep_changes c = { .folder = folder, .since = since };
	enum code rc = ep_dav.changes(&b->ep, b->arena, &c, 1, &b->err);

	if (rc != E_OK || c.code != E_OK)
		print_error("changes: %s %s %s\n", rc != E_OK ? err_text(&b->err) : "", code_name(c.code), c.text);
	assert_int_equal(rc, E_OK);
	return c;
}

const struct ep_item *dav_box_item(const struct ep_changes *c, struct span id)
{
	for (size_t i = 0; i < c->n; i++)
		if (span_eq(c->items[i].id, id))
			return &c->items[i];
	return NULL;
}

struct body *dav_box_body(const char *text)
{
	struct body *body = body_new(-1, strlen(text));

	assert_int_equal(body_add(body, text, strlen(text), NULL), E_OK);
	assert_int_equal(body_end(body, NULL), E_OK);
	return body;
}

enum code dav_box_apply(struct dav_box *b, struct ep_op *op)
{
	enum code rc = ep_dav.apply(&b->ep, b->arena, op, 1, &b->err);

	if (rc != E_OK)
		print_error("apply: %s\n", err_text(&b->err));
	assert_int_equal(rc, E_OK);
	return op->code;
}

struct ep_op dav_box_create(struct dav_box *b, const struct ep_folder *folder, const char *uid, const char *text)
{
	struct ep_op op = { .kind = EP_CREATE, .folder = folder, .uid = span_of(uid), .received = INT64_MIN };

	op.body = dav_box_body(text);
	if (dav_box_apply(b, &op) != E_OK)
		print_error("create: %s %s\n", code_name(op.code), op.text);
	body_free(&op.body);
	return op;
}

const char *dav_box_fetch(struct dav_box *b, const struct ep_folder *folder, struct span id, struct ep_fetch *f_r)
{
	struct buf text;
	struct span piece;

	*f_r = (struct ep_fetch){ .folder = folder, .id = id };
	enum code rc = ep_dav.fetch(&b->ep, b->arena, f_r, 1, &b->err);
	if (rc != E_OK)
		print_error("fetch: %s\n", err_text(&b->err));
	assert_int_equal(rc, E_OK);
	if (f_r->code != E_OK)
		return NULL;
	buf_init(&text, (size_t)64 << 20);
	while (body_read(f_r->body, text.n, &piece, NULL) == E_OK && piece.n > 0)
		buf_add_span(&text, piece);
	const char *out = arena_str(b->arena, buf_span(&text));

	buf_free(&text);
	body_free(&f_r->body);
	return out;
}

const char *dav_event(struct dav_box *b, const char *uid, const char *summary)
{
	return arena_printf(b->arena, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//t//EN\r\nBEGIN:VEVENT\r\nUID:%s\r\n"
			    "DTSTAMP:20260101T000000Z\r\nDTSTART:20260301T090000Z\r\nDTEND:20260301T100000Z\r\n"
			    "SUMMARY:%s\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", uid, summary);
}

const char *dav_card(struct dav_box *b, const char *uid, const char *name)
{
	return arena_printf(b->arena, "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:%s\r\nFN:%s\r\nN:%s;;;;\r\nEND:VCARD\r\n", uid,
			    name, name);
}
