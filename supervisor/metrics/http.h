/* http.h - the only door to libmicrohttpd: GET and HEAD of /metrics, nothing else. One thread. */
#ifndef MS_METRICS_HTTP_H
#define MS_METRICS_HTTP_H

#include "../../common/buf.h"

struct http;

/* Fill `out` with the text to serve; its type is EXPO_TYPE. May block for as long as a client may wait. */
typedef void http_text(void *ctx, struct buf *out);

/* Serve on this listening socket, which is http's from now on. */
enum code http_open(int listen_fd, http_text *text, void *ctx, struct http **http_r, struct err *err) MS_MUST_USE;
/* Until `stop_fd` can be read. */
void http_serve(struct http *http, int stop_fd);
void http_close(struct http **http);

#endif
