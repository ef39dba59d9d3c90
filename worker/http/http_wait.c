/* http_wait.c - how libcurl's transfers wait: it names sockets and a time, they go into one epoll
 * descriptor and one deadline, and fiber_wait() waits on these.
 *
 * An engine that is given back keeps its idle connections; the next client of this process takes it. libcurl
 * compares host, TLS settings and credentials before it uses a connection again.
 */
#include "http_p.h"

#include "../../common/clock.h"
#include "../../common/mem.h"
#include "../fiber.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#define IDLE_MAX 4
#define CONNECTIONS_KEPT 16L

static struct http_engine *idle[IDLE_MAX];
static size_t n_idle;

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
	struct http_engine *e = ctx;
	struct epoll_event event = { .data.fd = fd };

	(void)easy;
	(void)socket_ctx;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(e->epfd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		event.events |= EPOLLIN;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		event.events |= EPOLLOUT;
	if (epoll_ctl(e->epfd, EPOLL_CTL_MOD, fd, &event) == 0)
		return 0;
	return errno == ENOENT && epoll_ctl(e->epfd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -1;
}

static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct http_engine *e = ctx;

	(void)multi;
	e->timer_ms = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;
	return 0;
}

static enum code engine_new(struct http_engine **engine_r, struct err *err)
{
	struct http_engine *e = mem_alloc(sizeof(*e));
	const struct http_curl *c = &http_curl;

	e->timer_ms = INT64_MAX;
	e->epfd = epoll_create1(EPOLL_CLOEXEC);
	e->multi = c->multi_init();
	if (e->epfd < 0 || e->multi == NULL || c->multi_setopt(e->multi, CURLMOPT_SOCKETFUNCTION, on_socket) ||
	    c->multi_setopt(e->multi, CURLMOPT_SOCKETDATA, e) ||
	    c->multi_setopt(e->multi, CURLMOPT_TIMERFUNCTION, on_timer) ||
	    c->multi_setopt(e->multi, CURLMOPT_TIMERDATA, e) ||
	    c->multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT)) {
		http_engine_give(&e);
		return err_set(err, E_INTERNAL, "libcurl could not be set up");
	}
	*engine_r = e;
	return E_OK;
}

enum code http_engine_take(struct http_engine **engine_r, struct err *err)
{
	if (n_idle == 0)
		return engine_new(engine_r, err);
	*engine_r = idle[--n_idle];
	return E_OK;
}

void http_engine_give(struct http_engine **engine)
{
	struct http_engine *e = *engine;

	*engine = NULL;
	if (e == NULL)
		return;
	if (n_idle < IDLE_MAX && e->multi != NULL && e->epfd >= 0) {
		idle[n_idle++] = e;
		return;
	}
	if (e->multi != NULL)
		http_curl.multi_cleanup(e->multi);
	if (e->epfd >= 0)
		close(e->epfd);
	mem_free(e);
}

/* Everything that is ready now, without waiting. */
static enum code serve_sockets(struct http_engine *e, struct err *err)
{
	struct epoll_event events[HTTP_IN_FLIGHT_MAX];
	int n = epoll_wait(e->epfd, events, ARRAY_LEN(events), 0), running;

	for (int i = 0; i < n; i++) {
		int mask = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
			   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
		CURLMcode mc = http_curl.multi_socket_action(e->multi, events[i].data.fd, mask, &running);

		if (mc != CURLM_OK)
			return err_set(err, E_INTERNAL, "libcurl: %s", http_curl.multi_strerror(mc));
	}
	return E_OK;
}

static enum code serve_timer(struct http_engine *e, struct err *err)
{
	int running;

	if (clock_mono_ms() < e->timer_ms)
		return E_OK;
	e->timer_ms = INT64_MAX;
	CURLMcode mc = http_curl.multi_socket_action(e->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	return mc == CURLM_OK ? E_OK : err_set(err, E_INTERNAL, "libcurl: %s", http_curl.multi_strerror(mc));
}

enum code http_engine_turn(struct http_engine *e, struct err *err)
{
	enum code rc = E_TIMEOUT;

	if (clock_mono_ms() < e->timer_ms)
		rc = fiber_wait(e->epfd, POLLIN, e->timer_ms, err);
	else if (fiber_tick(err) != E_OK)
		return err->code;
	if (rc == E_TIMEOUT)
		return serve_timer(e, err);
	if (rc == E_OK)
		rc = serve_sockets(e, err);
	return rc == E_OK ? serve_timer(e, err) : rc;
}
