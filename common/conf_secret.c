/* conf_secret.c - a mailbox's secret: which one, whether its file is private, reading it. */
#include "conf_p.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREDENTIAL_MAX ((size_t)64 * 1024)

/* lstat only: `check-config` must be able to judge a file that only the service may read. */
static enum code check_file(struct conf_loader *l, const struct xml_node *node, const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0 && errno == EACCES) {
		conf_warn(l, node->line,
			  "<%s>: %.200s cannot be looked at by this user, so it was not checked",
			  node->name, path);
		return E_OK;
	}
	if (lstat(path, &st) != 0)
		return conf_fail(l, node->line,
				 "<%s>: %.200s: %s; put the secret into it, mode 0600", node->name,
				 path, strerror(errno));
	if (S_ISLNK(st.st_mode))
		return conf_fail(l, node->line,
				 "<%s>: %.200s is a symbolic link; name the file itself",
				 node->name, path);
	if (!S_ISREG(st.st_mode))
		return conf_fail(l, node->line, "<%s>: %.200s is not a regular file", node->name,
				 path);
	if ((st.st_mode & 077) != 0)
		return conf_fail(l, node->line,
				 "<%s>: mode %03o of %.150s lets others read the secret; run: "
				 "chmod 600 %.150s",
				 node->name, (unsigned)(st.st_mode & 0777), path, path);
	if (st.st_size == 0)
		return conf_fail(l, node->line, "<%s>: %.200s is empty; put the secret into it",
				 node->name, path);
	return E_OK;
}

enum code conf_check_secret(struct conf_loader *l, const struct xml_node *node,
			    const struct conf_secret *secret)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	if (secret->file != NULL)
		return check_file(l, node, secret->file);
	if (secret->credential == NULL || dir == NULL)
		return E_OK;       /* not started by systemd: nothing to look at */
	if (access(arena_printf(l->src.arena, "%s/%s", dir, secret->credential), F_OK) != 0)
		return conf_fail(l, node->line,
				 "<%s>: there is no credential '%s'; add LoadCredential=%s:/path "
				 "to the unit and restart",
				 node->name, secret->credential, secret->credential);
	return E_OK;
}

/* systemd's files are 0400, or 0440 with an ACL that names only the service: their directory is
 * what protects them, so the mode is not judged as that of a secret file is. */
static enum code read_credential(const char *name, struct secret **secret_r, struct err *err)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	ssize_t n = -1;

	if (dir == NULL)
		return err_set(err, E_CONF,
			       "credential '%s': the service was not started by systemd with "
			       "LoadCredential=",
			       name);
	char *path = mem_printf("%s/%s", dir, name);
	char *data = mem_alloc(CREDENTIAL_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		n = read(fd, data, CREDENTIAL_MAX);
		close(fd);
	}
	enum code rc = E_OK;
	if (n < 0)
		rc = err_errno(err, E_CONF, "credential '%s'", name);
	if (n > 0 && data[n - 1] == '\n')
		n--;
	if (rc == E_OK && n == 0)
		rc = err_set(err, E_CONF, "credential '%s' is empty", name);
	if (rc == E_OK)
		*secret_r = secret_new(data, (size_t)n);
	secret_wipe(data, CREDENTIAL_MAX);
	mem_free(data);
	mem_free(path);
	return rc;
}

static enum code read_secret(const struct conf_secret *from, struct secret **secret_r, struct err *err)
{
	return from->file != NULL ? secret_read_file(from->file, secret_r, err) :
	       read_credential(from->credential, secret_r, err);
}

enum code conf_directory_secret(const struct conf_endpoint *e, struct secret **secret_r, struct err *err)
{
	*secret_r = NULL;
	if (e->directory == NULL)
		return err_set(err, E_CREDENTIALS_MISSING, "endpoint '%s' has no directory", e->name);
	return read_secret(e->directory_login != NULL ? &e->directory_password : &e->password, secret_r, err);
}

enum code conf_mailbox_secret(const struct conf_mailbox *m, struct secret **secret_r,
			      struct err *err)
{
	const struct conf_secret *from = NULL;

	*secret_r = NULL;
	switch (conf_mailbox_logon(m)) {
	case LOGON_NONE_NEEDED:
		return E_OK;
	case LOGON_OWN:
		from = &m->password;
		break;
	case LOGON_SERVICE:
		from = &m->endpoint->password;
		break;
	case LOGON_DEFAULT:
		from = &m->endpoint->default_password;
		break;
	case LOGON_MISSING:
		return err_set(err, E_CREDENTIALS_MISSING,
			       "no password is configured for mailbox '%s' on endpoint '%s'",
			       m->smtp_name, m->endpoint->name);
	}
	return read_secret(from, secret_r, err);
}
