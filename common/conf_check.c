/* conf_check.c - the rules of a configuration that look at more than one value.
 *
 * 1. Service accounts have different LoginNames on every endpoint (R5), compared without case.
 * 2. TLS none only toward this host itself.
 * 3. A pairing pairs two different mailboxes. Two pairings that share one are warned about: a chain
 *    is legal, a ring copies for ever.
 * 4. What becomes a file name or a socket path can be one.
 */
#include "conf_p.h"

#include "io.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

static int line_of(const struct xml_node *node, const char *name)
{
	const struct xml_node *child = node == NULL ? NULL : xml_child(node, name);

	return child != NULL ? child->line : node != NULL ? node->line : 1;
}

static enum code read_ca(struct conf_loader *l, int line, struct conf_endpoint *e)
{
	struct err why = ERR_INIT;
	struct stat st;
	struct buf b;

	if (stat(e->ca_file, &st) == 0 && !S_ISREG(st.st_mode))
		return conf_fail(l, line, "CAFile: %.200s is not a regular file", e->ca_file);
	buf_init(&b, CONF_CA_MAX + 1);
	enum code rc = io_read_file(e->ca_file, &b, &why);
	if (b.n > CONF_CA_MAX) {
		rc = conf_fail(l, line,
			       "CAFile: %.200s is larger than %zu KiB; put only your own CA into "
			       "it, or leave CAFile out to trust the system's store",
			       e->ca_file, CONF_CA_MAX / 1024);
	} else if (rc != E_OK) {
		rc = conf_fail(l, line, "CAFile: %s", err_text(&why));
	} else if (span_find_nocase(buf_span(&b), "-----BEGIN ") == SIZE_MAX ||
		   memchr(b.p, '\0', b.n) != NULL) {
		rc = conf_fail(l, line, "CAFile: %.200s holds no PEM certificate", e->ca_file);
	} else {
		e->ca_pem = arena_str(l->src.arena, buf_span(&b));
	}
	buf_free(&b);
	return rc;
}

static bool has_secret(const struct conf_secret *s)
{
	return s->file != NULL || s->credential != NULL;
}

/* An endpoint without a Server has no mail: what is about mail stands there for nothing. */
static void warn_mail_only(struct conf_loader *l, const struct xml_node *node, const struct conf_endpoint *e)
{
	static const char *const mail_only[] = { "Port", "TLS", "Auth" };

	for (size_t i = 0; i < ARRAY_LEN(mail_only); i++) {
		const struct xml_node *child = xml_child(node, mail_only[i]);

		if (child != NULL)
			conf_warn(l, child->line, "<%s> has no effect: endpoint '%s' has no <Server>", mail_only[i],
				  e->name);
	}
}

static enum code check_logon(struct conf_loader *l, const struct xml_node *node, const struct conf_endpoint *e)
{
	if (has_secret(&e->password) && e->login == NULL)
		return conf_fail(l, line_of(node, "Password"),
				 "endpoint '%s' has a <Password> but no <LoginName>; for one "
				 "password that all mailboxes share write <DefaultPassword>",
				 e->name);
	if (e->login != NULL && !has_secret(&e->password))
		conf_warn(l, line_of(node, "LoginName"),
			  "endpoint '%s' has a <LoginName> but no <Password>; it is not used",
			  e->name);
	return E_OK;
}

static enum code check_files(struct conf_loader *l, const struct xml_node *node, struct conf_endpoint *e)
{
	enum code rc = E_OK;

	if (e->ca_file != NULL)
		rc = read_ca(l, line_of(node, "CAFile"), e);
	if (rc == E_OK)
		rc = conf_check_secret(l, xml_child(node, "Password"), &e->password);
	if (rc == E_OK)
		rc = conf_check_secret(l, xml_child(node, "DefaultPassword"), &e->default_password);
	if (rc == E_OK)
		rc = conf_check_secret(l, xml_child(node, "DirectoryPassword"), &e->directory_password);
	return rc;
}

static enum code check_imap(struct conf_loader *l, const struct xml_node *node,
			    struct conf_endpoint *e)
{
	enum code rc = E_OK;

	if (e->server == NULL && e->caldav == NULL && e->carddav == NULL)
		return conf_fail(l, node->line,
				 "endpoint '%s' needs a <Server> (mail), a <CalDAV> or a <CardDAV>", e->name);
	if (e->server == NULL)
		warn_mail_only(l, node, e);
	else if (e->tls == TLS_NONE && !conf_is_loopback(e->server))
		return conf_fail(l, line_of(node, "TLS"),
				 "TLS none is possible only with a server on this machine "
				 "(localhost, 127.0.0.1, ::1), not with '%.100s'",
				 e->server);
	rc = check_logon(l, node, e);
	if (rc != E_OK)
		return rc;
	if (e->ca_file != NULL && !conf_uses_tls(e))
		conf_warn(l, line_of(node, "CAFile"), "<CAFile> has no effect with TLS none");
	return check_files(l, node, e);
}

/* "msstd:*.corp.example", "owa.corp.example" */
static bool principal_valid(const char *name)
{
	if (span_starts_nocase(span_of(name), "msstd:"))
		name += 6;
	if (name[0] == '*' && name[1] == '.')
		name += 2;
	return conf_host_valid(name) && strpbrk(name, ":%_") == NULL;
}

static enum code check_directory(struct conf_loader *l, const struct xml_node *node,
				 const struct conf_endpoint *e)
{
	static const char *const others[] = { "DirectoryBase", "DirectoryLogin", "DirectoryPassword" };

	for (size_t i = 0; i < ARRAY_LEN(others) && e->directory == NULL; i++) {
		if (xml_child(node, others[i]) != NULL)
			return conf_fail(l, line_of(node, others[i]), "<%s> has no use without <Directory>", others[i]);
	}
	if (e->directory == NULL)
		return E_OK;
	if ((e->directory_login != NULL) != has_secret(&e->directory_password))
		return conf_fail(l, line_of(node, "Directory"), "endpoint '%s' needs both <DirectoryLogin> and "
				 "<DirectoryPassword>, or neither for <LoginName> and <Password>", e->name);
	if (e->directory_login == NULL && (e->login == NULL || !has_secret(&e->password)))
		return conf_fail(l, line_of(node, "Directory"), "endpoint '%s' has a <Directory> and nobody to log on "
				 "to it; add <DirectoryLogin> and <DirectoryPassword>", e->name);
	return E_OK;
}

static enum code check_token(struct conf_loader *l, const struct xml_node *node, const struct conf_endpoint *e)
{
	bool oauth = e->auth != NULL && strcmp(e->auth, "oauth") == 0;

	if (!oauth && (e->token_url != NULL || e->scope != NULL))
		return conf_fail(l, line_of(node, e->token_url != NULL ? "TokenURL" : "Scope"),
				 "<TokenURL> and <Scope> are for <Auth>oauth</Auth>");
	if (oauth && (e->token_url == NULL || e->scope == NULL))
		return conf_fail(l, line_of(node, "Auth"), "Auth oauth needs a <TokenURL> and a <Scope>");
	if (oauth && strchr(e->token_url, '{') != NULL)
		return conf_fail(l, line_of(node, "TokenURL"),
				 "TokenURL is one URL for all mailboxes, without {words}");
	return E_OK;
}

static enum code check_exchange(struct conf_loader *l, const struct xml_node *node, struct conf_endpoint *e)
{
	bool plain = e->front_end != NULL ? span_starts_nocase(span_of(e->front_end), "http:") : e->tls == TLS_NONE;
	enum code rc = E_OK;

	if (e->server == NULL && e->front_end == NULL)
		return conf_fail(l, node->line, "endpoint '%s' needs a <Server> or a <FrontEnd>", e->name);
	if (e->tls == TLS_STARTTLS)
		return conf_fail(l, line_of(node, "TLS"), "TLS starttls is not possible with Exchange's web service");
	if (e->tls == TLS_NONE && e->server != NULL && !conf_is_loopback(e->server))
		return conf_fail(l, line_of(node, "TLS"),
				 "TLS none is possible only with a server on this machine (localhost, 127.0.0.1, "
				 "::1), not with '%.100s'", e->server);
	if (e->front_end != NULL && strchr(e->front_end, '{') != NULL)
		return conf_fail(l, line_of(node, "FrontEnd"),
				 "FrontEnd is one URL for all mailboxes, without {words}");
	if (e->principal_name != NULL && !principal_valid(e->principal_name))
		return conf_fail(l, line_of(node, "PrincipalName"), "PrincipalName '%.100s' is not a host name; write "
				 "msstd:owa.corp.example or msstd:*.corp.example", e->principal_name);
	if (e->principal_name != NULL && (e->front_end == NULL || plain))
		return conf_fail(l, line_of(node, "PrincipalName"),
				 "PrincipalName is the name in the certificate of a <FrontEnd> with https://");
	if (e->http_proxy != NULL && plain)
		return conf_fail(l, line_of(node, "HTTPProxy"), "HTTPProxy is used with https:// only");
	if (e->ca_file != NULL && plain)
		conf_warn(l, line_of(node, "CAFile"), "<CAFile> has no effect without TLS");
	rc = check_logon(l, node, e);
	if (rc == E_OK)
		rc = check_directory(l, node, e);
	if (rc == E_OK)
		rc = check_token(l, node, e);
	return rc == E_OK ? check_files(l, node, e) : rc;
}

/* Auth is one row for all types: which of its words belong to which. */
static enum code check_auth(struct conf_loader *l, const struct xml_node *node, const struct conf_endpoint *e)
{
	static const char exchange[] = "basic ntlm negotiate oauth", imap[] = "plain login xoauth2 oauthbearer";
	const char *own = conf_type_bit(e->type) == T_EXCHANGE ? exchange : imap;

	if (e->auth == NULL || e->auth[0] == '\0' || conf_in_list(own, e->auth))
		return E_OK;
	return conf_fail(l, line_of(node, "Auth"), "Auth '%s' does not belong to an endpoint of type '%s'; take one "
			 "of auto %s", e->auth, e->type, own);
}

enum code conf_check_endpoint(struct conf_loader *l, const struct xml_node *node,
			      struct conf_endpoint *e)
{
	enum code rc = check_auth(l, node, e);

	if (rc == E_OK && conf_type_bit(e->type) == T_EXCHANGE)
		return check_exchange(l, node, e);
	if (rc == E_OK && conf_type_bit(e->type) == T_IMAP)
		return check_imap(l, node, e);
	if (rc != E_OK)
		return rc;
	if (e->path == NULL)
		return conf_fail(l, node->line, "endpoint '%s' of type local needs a <Path>",
				 e->name);
	return E_OK;
}

static bool safe_as_file(const char *name)
{
	return strchr(name, '/') == NULL && name[0] != '.' && strlen(name) <= 255;
}

enum code conf_check_mailbox(struct conf_loader *l, const struct xml_node *node,
			     struct conf_mailbox *m)
{
	size_t n = strlen(m->smtp_name);
	bool local = !conf_is_remote(m->endpoint);

	if (m->smtp_name[0] == ' ' || m->smtp_name[n - 1] == ' ')
		return conf_fail(l, node->line, "SMTPName '%.80s' begins or ends with a blank",
				 m->smtp_name);
	if (local && !safe_as_file(m->smtp_name))
		return conf_fail(l, node->line,
				 "SMTPName '%.80s' names a folder on disk: no '/', no '.' in "
				 "front, at most 255 bytes",
				 m->smtp_name);
	if (local && (m->login != NULL || has_secret(&m->password)))
		return conf_fail(l, node->child->line,
				 "<%s> does not belong to a mailbox of type local; remove it",
				 node->child->name);
	if (m->login == NULL && has_secret(&m->password))
		m->login = m->smtp_name;
	return conf_check_secret(l, xml_child(node, "Password"), &m->password);
}

static int by_login(const void *a, const void *b)
{
	const struct conf_endpoint *x = *(const struct conf_endpoint *const *)a;
	const struct conf_endpoint *y = *(const struct conf_endpoint *const *)b;
	int c = strcasecmp(x->login, y->login);

	return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

static enum code check_logins(struct conf_loader *l)
{
	const struct conf_endpoint **all =
		arena_calloc(l->src.arena, l->conf->n_endpoints + 1, sizeof(*all));
	size_t n = 0;

	for (size_t i = 0; i < l->conf->n_endpoints; i++) {
		if (l->conf->endpoints[i].login != NULL)
			all[n++] = &l->conf->endpoints[i];
	}
	qsort(all, n, sizeof(*all), by_login);
	for (size_t i = 1; i < n; i++) {
		if (strcasecmp(all[i - 1]->login, all[i]->login) == 0)
			return conf_fail(
				l, all[i]->line,
				"endpoints '%s' and '%s' (line %d) have the same LoginName "
				"'%.100s'; every endpoint needs a service account of its own name",
				all[i]->name, all[i - 1]->name, all[i - 1]->line, all[i]->login);
	}
	return E_OK;
}

/* A store seen from outside: equal keys are one mailbox, whatever the endpoints are called. */
struct box_key {
	const char *key;
	const struct conf_pairing *pairing;
	const struct conf_mailbox *mailbox;
};

static void lower(char *text)
{
	for (; *text != '\0'; text++)
		*text = (char)tolower((unsigned char)*text);
}

static const char *mailbox_key(struct arena *arena, const struct conf_mailbox *m)
{
	const struct conf_endpoint *e = m->endpoint;

	if (!conf_is_remote(e))
		return arena_printf(arena, "local %s/%s", e->path, m->smtp_name);
	if (conf_type_bit(e->type) == T_EXCHANGE) {
		char *box = arena_printf(arena, "exchange %s %s", e->front_end != NULL ? e->front_end : e->server,
					 m->smtp_name);
		lower(box);
		return box;
	}
	const char *user = m->login != NULL ? m->login : m->smtp_name;
	if (e->server == NULL)          /* paths of URLs: case matters */
		return arena_printf(arena, "dav %s %s %s", e->caldav != NULL ? e->caldav : "-",
				    e->carddav != NULL ? e->carddav : "-", user);
	unsigned port = e->port != 0 ? e->port : e->tls == TLS_IMPLICIT ? 993 : 143;
	char *key = arena_printf(arena, "imap %s %u %s", e->server, port, user);
	lower(key);
	return key;
}

static int by_key(const void *a, const void *b)
{
	const struct box_key *x = a, *y = b;
	int c = strcmp(x->key, y->key);

	return c != 0 ? c
		      : (x->mailbox->line > y->mailbox->line) -
				(x->mailbox->line < y->mailbox->line);
}

static void warn_shared(struct conf_loader *l, struct box_key *keys, size_t n)
{
	if (n > 0)
		qsort(keys, n, sizeof(*keys), by_key);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(keys[i - 1].key, keys[i].key) == 0)
			conf_warn(l, keys[i].mailbox->line,
				  "mailbox '%s' on endpoint '%s' is in pairing '%s' and in "
				  "pairing '%s' (line %d); see that the pairings form no ring",
				  keys[i].mailbox->smtp_name, keys[i].mailbox->endpoint->name,
				  keys[i].pairing->name, keys[i - 1].pairing->name,
				  keys[i - 1].mailbox->line);
	}
}

static enum code check_mailboxes(struct conf_loader *l)
{
	size_t n = l->conf->n_pairings;
	struct box_key *keys = arena_calloc(l->src.arena, 2 * n, sizeof(*keys));

	for (size_t i = 0; i < 2 * n; i++) {
		const struct conf_pairing *p = &l->conf->pairings[i / 2];
		const struct conf_mailbox *m = &p->mailbox[i % 2];

		keys[i] = (struct box_key){ mailbox_key(l->src.arena, m), p, m };
	}
	for (size_t i = 0; i < n; i++) {
		const struct conf_mailbox *left = keys[2 * i].mailbox,
					  *right = keys[2 * i + 1].mailbox;

		if (strcmp(keys[2 * i].key, keys[2 * i + 1].key) == 0 ||
		    (left->endpoint == right->endpoint &&
		     strcmp(left->smtp_name, right->smtp_name) == 0))
			return conf_fail(l, right->line,
					 "both mailboxes of pairing '%s' are the same one, "
					 "'%.100s'",
					 keys[2 * i].pairing->name, right->smtp_name);
	}
	warn_shared(l, keys, 2 * n);
	return E_OK;
}

static int by_pairing(const void *a, const void *b)
{
	const struct conf_pairing *x = *(const struct conf_pairing *const *)a;
	const struct conf_pairing *y = *(const struct conf_pairing *const *)b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

static enum code check_pairing_names(struct conf_loader *l)
{
	size_t n = l->conf->n_pairings;
	const struct conf_pairing **all = arena_calloc(l->src.arena, n + 1, sizeof(*all));

	for (size_t i = 0; i < n; i++)
		all[i] = &l->conf->pairings[i];
	qsort(all, n, sizeof(*all), by_pairing);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(all[i - 1]->name, all[i]->name) == 0)
			return conf_fail(l, all[i]->line,
					 "there is a pairing '%s' already (line %d); names must "
					 "differ",
					 all[i]->name, all[i - 1]->line);
	}
	return E_OK;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum code check_maps(struct conf_loader *l, const struct conf_pairing *p)
{
	const char **names = arena_calloc(l->src.arena, p->n_maps + 1, sizeof(*names));

	for (enum side side = SIDE_LEFT; side < SIDES; side++) {
		for (size_t i = 0; i < p->n_maps; i++)
			names[i] = side == SIDE_LEFT ? p->maps[i].left : p->maps[i].right;
		qsort(names, p->n_maps, sizeof(*names), by_text);
		for (size_t i = 1; i < p->n_maps; i++) {
			if (strcmp(names[i - 1], names[i]) == 0)
				return conf_fail(l, p->line,
						 "pairing '%s' maps the %s folder '%.100s' twice",
						 p->name, side_name(side), names[i]);
		}
	}
	return E_OK;
}

static enum code check_gateway(struct conf_loader *l)
{
	static const char *const sockets[] = { CONF_CONTROL_SOCKET, CONF_BUS_SOCKET };
	const struct xml_node *gateway = xml_child(l->root, "gateway");
	const struct conf *c = l->conf;

	for (size_t i = 0; i < ARRAY_LEN(sockets); i++) {
		size_t n = strlen(c->runtime_dir) + 1 + strlen(sockets[i]);

		if (n > CONF_SOCKET_PATH_MAX)
			return conf_fail(l, line_of(gateway, "RuntimeDirectory"),
					 "RuntimeDirectory makes the socket path %.200s/%s %zu "
					 "bytes long; at most %d are possible: take a shorter "
					 "directory",
					 c->runtime_dir, sockets[i], n, CONF_SOCKET_PATH_MAX);
	}
	if (c->dispatch_hold_max_ms < c->dispatch_hold_ms)
		return conf_fail(l, line_of(gateway, "DispatchHold"),
				 "DispatchHold is longer than DispatchHoldMax");
	return E_OK;
}

enum code conf_check(struct conf_loader *l)
{
	enum code rc = check_gateway(l);

	if (rc == E_OK)
		rc = check_logins(l);
	if (rc == E_OK)
		rc = check_pairing_names(l);
	if (rc == E_OK)
		rc = check_mailboxes(l);
	for (size_t i = 0; i < l->conf->n_pairings && rc == E_OK; i++)
		rc = check_maps(l, &l->conf->pairings[i]);
	return rc;
}
