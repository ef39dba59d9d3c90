/* listen.c - see listen.h; test: t_metrics_listen.c. */
#include "listen.h"

#include "../../common/span.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

static const char forms[] = "give 127.0.0.1:PORT, [::1]:PORT or unix:/PATH";

static enum code parse_unix(const char *path, struct sockaddr_storage *address_r, socklen_t *length_r,
			    struct err *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)address_r;

	un->sun_family = AF_UNIX;
	*length_r = sizeof(*un);
	if (path[0] != '/' || strlen(path) >= sizeof(un->sun_path))
		return err_set(err, E_USAGE, "'%.120s' is no absolute path of at most 107 bytes", path);
	memcpy(un->sun_path, path, strlen(path) + 1);
	return E_OK;
}

/* Mapped IPv4 addresses (::ffff:127.0.0.1) are not taken for loopback: write them as IPv4. */
static bool is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static bool parse_host(const char *host, uint16_t port, struct sockaddr_storage *address_r, socklen_t *length_r)
{
	struct sockaddr_in *in = (struct sockaddr_in *)address_r;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address_r;
	size_t n = strlen(host);
	char inner[64];

	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		*length_r = sizeof(*in);
		return true;
	}
	if (n < 4 || n >= sizeof(inner) || host[0] != '[' || host[n - 1] != ']')
		return false;
	snprintf(inner, sizeof(inner), "%.*s", (int)(n - 2), host + 1);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	*length_r = sizeof(*in6);
	return inet_pton(AF_INET6, inner, &in6->sin6_addr) == 1;
}

enum code listen_parse(const char *text, enum listen_scope scope, struct sockaddr_storage *address_r,
		       socklen_t *length_r, struct err *err)
{
	const char *colon = strrchr(text, ':');
	uint64_t port = 0;
	char host[64];

	memset(address_r, 0, sizeof(*address_r));
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, address_r, length_r, err);
	if (colon == NULL || (size_t)(colon - text) >= sizeof(host) ||
	    !span_u64(span_of(colon + 1), 65535, &port) || port == 0)
		return err_set(err, E_USAGE, "'%.120s': %s", text, forms);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (!parse_host(host, (uint16_t)port, address_r, length_r))
		return err_set(err, E_USAGE, "'%.120s': %s", text, forms);
	if (scope == LISTEN_LOOPBACK && !is_loopback(address_r))
		return err_set(err, E_USAGE, "%.120s can be reached from other machines, and there is neither TLS nor "
			       "a password here: listen on loopback behind a proxy that has both, or say "
			       "--allow-remote", text);
	return E_OK;
}

enum code listen_open(const struct sockaddr_storage *address, socklen_t length, int *fd_r, struct err *err)
{
	const char *path = address->ss_family == AF_UNIX ? ((const struct sockaddr_un *)address)->sun_path : NULL;
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	struct stat st;

	if (fd < 0)
		return err_errno(err, E_IO, "socket");
	if (path != NULL && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	if (path == NULL)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)address, length) != 0 || (path != NULL && chmod(path, 0660) != 0) ||
	    listen(fd, BACKLOG) != 0) {
		enum code rc = err_errno(err, E_IO, "%s", path != NULL ? path : "listening");

		close(fd);
		return rc;
	}
	*fd_r = fd;
	return E_OK;
}
