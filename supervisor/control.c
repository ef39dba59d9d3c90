/* control.c - the control socket: clients, their lines, their pending answers. What a request
 * means is request.c's business.
 */
#include "control.h"

#include "../common/io.h"
#include "../common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PIECE ((size_t)32 * 1024)        /* of a long text per line */

struct client {
	int fd;                          /* -1 = free place */
	uint32_t number;
	struct buf in, out;
	bool busy;                       /* a request is being answered: later lines wait */
	bool ended;                      /* no more input */
};

struct control {
	struct control_handler handler;
	int fd;                          /* listening, -1 = local */
	char path[108];
	struct client clients[CONTROL_CLIENTS_MAX];
	uint32_t last_number;
	int local_exit;
};

/* --- answer lines --- */

static void add_json_string(struct buf *out, struct span text)
{
	const unsigned char *p = (const unsigned char *)text.p;

	buf_add_char(out, '"');
	for (size_t i = 0; i < text.n;) {
		size_t len = span_utf8(text, i, NULL);

		if (len == 0) {
			buf_add_str(out, "\xef\xbf\xbd");
			i++;
			continue;
		}
		if (p[i] == '"' || p[i] == '\\')
			buf_printf(out, "\\%c", p[i]);
		else if (p[i] < 0x20)
			buf_printf(out, "\\u%04x", p[i]);
		else
			buf_add(out, p + i, len);
		i += len;
	}
	buf_add_char(out, '"');
}

size_t control_cut(struct span text, size_t max)
{
	size_t n = max;

	if (text.n <= max)
		return text.n;
	while (n > 0 && max - n < 4 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n--;
	return n > 0 && ((unsigned char)text.p[n] & 0xc0) != 0x80 ? n : max;
}

void control_format_part(struct buf *out, struct span text)
{
	while (text.n > 0) {
		size_t n = control_cut(text, PIECE);

		buf_add_str(out, "{\"part\":");
		add_json_string(out, span_cut(text, 0, n));
		buf_add_str(out, "}\n");
		text = span_cut(text, n, text.n);
	}
}

void control_format_done(struct buf *out, int exit_code, const char *error)
{
	buf_printf(out, "{\"done\":true,\"exit\":%d", exit_code);
	if (error != NULL) {
		buf_add_str(out, ",\"error\":");
		add_json_string(out, span_of(error));
	}
	buf_add_str(out, "}\n");
}

/* --- clients --- */

static struct client *find_client(struct control *control, uint32_t number)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (control->clients[i].fd >= 0 && control->clients[i].number == number)
			return &control->clients[i];
	}
	return NULL;
}

static struct client *new_client(struct control *control, int fd)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct client *c = &control->clients[i];

		if (c->fd >= 0)
			continue;
		memset(c, 0, sizeof(*c));
		c->fd = fd;
		c->number = ++control->last_number;
		buf_init(&c->in, CONTROL_LINE_MAX);
		buf_init(&c->out, CONTROL_ANSWER_MAX);
		return c;
	}
	return NULL;
}

static void drop_client(struct control *control, struct client *c)
{
	uint32_t number = c->number;

	if (control->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_free(&c->in);
	buf_free(&c->out);
	control->handler.gone(control->handler.ctx, number);
}

/* A whole line has waited for the answer to the one before it. */
static bool has_request(const struct client *c)
{
	return c->fd >= 0 && !c->busy && span_find(buf_span(&c->in), 0, '\n') != SIZE_MAX;
}

/* Hand over the next request if none is under way. */
static void next_request(struct control *control, struct client *c)
{
	uint32_t number = c->number;

	while (c->fd >= 0 && c->number == number && !c->busy) {
		struct span in = buf_span(&c->in);
		size_t end = span_find(in, 0, '\n');

		if (end == SIZE_MAX)
			return;
		char *line = mem_strndup(in.p, end);
		buf_consume(&c->in, end + 1);
		c->busy = true;
		control->handler.request(control->handler.ctx, number, span_bytes(line, end));
		mem_free(line);
	}
}

static void write_out(struct control *control, struct client *c)
{
	while (c->out.n > 0) {
		ssize_t n = control->fd >= 0 ? send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL | MSG_DONTWAIT) :
			    write(c->fd, c->out.p, c->out.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			c->ended = true;
			buf_clear(&c->out);
			c->busy = false;
			return;
		}
		buf_consume(&c->out, (size_t)n);
	}
}

void control_part(struct control *control, uint32_t number, struct span text)
{
	struct client *c = find_client(control, number);

	if (c != NULL)
		control_format_part(&c->out, text);
}

void control_done(struct control *control, uint32_t number, int exit_code, const char *error)
{
	struct client *c = find_client(control, number);

	if (c == NULL)
		return;
	if (c->out.overflow) {           /* too much to be held: say so instead of half an answer */
		buf_clear(&c->out);
		exit_code = 1;
		error = "the answer is too long";
	}
	control_format_done(&c->out, exit_code, error);
	c->busy = false;
	control->local_exit = exit_code;
	write_out(control, c);
}

int control_exit(const struct control *control)
{
	return control->local_exit;
}

/* --- life --- */

static struct control *control_new(const struct control_handler *handler)
{
	struct control *control = mem_alloc(sizeof(*control));

	control->handler = *handler;
	control->fd = -1;
	control->local_exit = -1;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
	return control;
}

struct control *control_local(int fd, const struct control_handler *handler)
{
	struct control *control = control_new(handler);
	struct client *c = new_client(control, fd);

	c->busy = true;
	return control;
}

enum code control_listen(const char *directory, const struct control_handler *handler,
			 struct control **control_r, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct control *control;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", directory) >= (int)sizeof(addr.sun_path))
		return err_set(err, E_CONF, "%s/socket: longer than 107 bytes; choose a shorter RuntimeDirectory",
			       directory);
	enum code rc = io_make_dirs(directory, 0750, err);
	if (rc != E_OK)
		return rc;
	control = control_new(handler);
	memcpy(control->path, addr.sun_path, sizeof(control->path));
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(addr.sun_path);
	/* nobody may connect before the mode is right: the directory lets only the group in anyway */
	if (control->fd < 0 || bind(control->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    chmod(addr.sun_path, 0660) != 0 || listen(control->fd, 16) != 0) {
		rc = err_errno(err, E_IO, "%s", addr.sun_path);
		control_close(&control);
		return rc;
	}
	*control_r = control;
	return E_OK;
}

void control_close(struct control **control)
{
	struct control *c = *control;

	if (c == NULL)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (c->clients[i].fd >= 0)
			drop_client(c, &c->clients[i]);
	}
	if (c->fd >= 0) {
		unlink(c->path);
		close(c->fd);
	}
	mem_free(c);
	*control = NULL;
}

/* --- the poll loop --- */

size_t control_poll_fill(struct control *control, struct pollfd *pfds)
{
	size_t n = 0;

	if (control->fd < 0)
		return 0;
	pfds[n++] = (struct pollfd){ .fd = control->fd, .events = POLLIN };
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct client *c = &control->clients[i];
		short events = 0;

		if (c->fd < 0)
			continue;
		if (!c->ended && c->in.n < CONTROL_LINE_MAX)
			events |= POLLIN;
		if (c->out.n > 0)
			events |= POLLOUT;
		pfds[n++] = (struct pollfd){ .fd = c->fd, .events = events };
	}
	return n;
}

static void accept_client(struct control *control)
{
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0 && new_client(control, fd) == NULL)
		close(fd);               /* too many at once: the asker sees the end of file */
}

static void read_in(struct client *c)
{
	char chunk[4096];
	size_t room = CONTROL_LINE_MAX - c->in.n;
	ssize_t n = recv(c->fd, chunk, room < sizeof(chunk) ? room : sizeof(chunk), MSG_DONTWAIT);

	if (n > 0)
		buf_add(&c->in, chunk, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		c->ended = true;
}

static void serve_client(struct control *control, struct client *c, short revents)
{
	if (revents & POLLIN)
		read_in(c);
	if (revents & (POLLERR | POLLNVAL))
		c->ended = true;
	if (revents & POLLHUP && !(revents & POLLIN))
		c->ended = true;
	next_request(control, c);
	if (c->in.n == CONTROL_LINE_MAX && !c->busy)
		c->ended = true;         /* a line without end */
	if (revents & POLLOUT)
		write_out(control, c);
	/* who hung up wholly wants no answer; who only shut down its sending side gets it */
	if ((revents & (POLLERR | POLLHUP)) || (c->ended && !c->busy && c->out.n == 0))
		drop_client(control, c);
}

void control_serve(struct control *control, const struct pollfd *pfds, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		for (size_t j = 0; j < CONTROL_CLIENTS_MAX; j++) {
			if (control->clients[j].fd == pfds[i].fd && pfds[i].revents != 0) {
				serve_client(control, &control->clients[j], pfds[i].revents);
				break;
			}
		}
	}
	for (size_t j = 0; j < CONTROL_CLIENTS_MAX; j++) {
		if (has_request(&control->clients[j]))
			next_request(control, &control->clients[j]);
	}
	if (n > 0 && (pfds[0].revents & POLLIN))
		accept_client(control);
}

bool control_pending(const struct control *control)
{
	for (size_t j = 0; j < CONTROL_CLIENTS_MAX; j++) {
		if (has_request(&control->clients[j]))
			return true;
	}
	return false;
}
