/* http.c - see http.h. libmicrohttpd is driven from outside (epoll descriptor and MHD_run), so that
 * there is no thread that a signal or the jail could miss. What a client may cost is bounded:
 * connections, seconds, and bytes of a request.
 */
#include "http.h"

#include "../../common/mem.h"
#include "expo.h"

#include <microhttpd.h>
#include <poll.h>
#include <unistd.h>

#define CLIENTS_MAX 16
#define CLIENT_SECONDS 15
#define CLIENT_MEMORY ((size_t)32 * 1024)
#define TEXT_MAX ((size_t)64 * 1024 * 1024)

struct http {
	struct MHD_Daemon *daemon;
	http_text *text;
	void *ctx;
	struct buf out;
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type,
			     struct span body)
{
	struct MHD_Response *r = MHD_create_response_from_buffer_with_free_callback(body.n,
			mem_strndup(body.p, body.n), mem_free);
	enum MHD_Result ok = MHD_NO;

	if (r == NULL)
		return MHD_NO;
	if (MHD_add_response_header(r, "Content-Type", type) == MHD_YES &&
	    MHD_add_response_header(r, "Cache-Control", "no-store") == MHD_YES &&
	    (status != MHD_HTTP_METHOD_NOT_ALLOWED || MHD_add_response_header(r, "Allow", "GET, HEAD") == MHD_YES))
		ok = MHD_queue_response(connection, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *upload, size_t *upload_size, void **seen)
{
	static const char plain[] = "text/plain; charset=utf-8";
	static char mark;
	struct http *http = ctx;

	(void)version;
	(void)upload;
	if (*seen == NULL) {             /* the headers only; the answer is asked for in the next call */
		*seen = &mark;
		return MHD_YES;
	}
	if (*upload_size > 0) {          /* a body is read and dropped */
		*upload_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, plain, SPAN_LIT("only GET and HEAD\n"));
	if (strcmp(url, "/metrics") != 0)
		return reply(connection, MHD_HTTP_NOT_FOUND, plain, SPAN_LIT("the figures are at /metrics\n"));
	buf_clear(&http->out);
	http->text(http->ctx, &http->out);
	if (http->out.overflow)
		return reply(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, plain, SPAN_LIT("too many figures\n"));
	return reply(connection, MHD_HTTP_OK, EXPO_TYPE, buf_span(&http->out));
}

enum code http_open(int listen_fd, http_text *text, void *ctx, struct http **http_r, struct err *err)
{
	struct http *http = mem_alloc(sizeof(*http));

	http->text = text;
	http->ctx = ctx;
	buf_init(&http->out, TEXT_MAX);
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, handle, http,
					MHD_OPTION_LISTEN_SOCKET, listen_fd,
					MHD_OPTION_CONNECTION_LIMIT, (unsigned)CLIENTS_MAX,
					MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CLIENT_SECONDS,
					MHD_OPTION_CONNECTION_MEMORY_LIMIT, CLIENT_MEMORY, MHD_OPTION_END);
	*http_r = http;
	if (http->daemon != NULL)
		return E_OK;
	close(listen_fd);
	http_close(http_r);
	return err_set(err, E_IO, "the HTTP server cannot be started");
}

void http_serve(struct http *http, int stop_fd)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[2] = { { .fd = stop_fd, .events = POLLIN }, { .fd = info->epoll_fd, .events = POLLIN } };

	while (fds[0].revents == 0) {
		MHD_UNSIGNED_LONG_LONG wait = 0;
		int timeout = MHD_get_timeout(http->daemon, &wait) == MHD_YES ? (int)(wait < 60000 ? wait : 60000) : -1;

		(void)poll(fds, 2, timeout);
		MHD_run(http->daemon);
	}
}

void http_close(struct http **http_p)
{
	struct http *http = *http_p;

	if (http == NULL)
		return;
	if (http->daemon != NULL)
		MHD_stop_daemon(http->daemon);
	buf_free(&http->out);
	mem_free(http);
	*http_p = NULL;
}
