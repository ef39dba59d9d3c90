/* conf_pairing.c - one <pairing> of the XML into its struct. */
#include "conf_p.h"

#include "near.h"

#define FOLDERS_MAX ((size_t)8 * 1024)

static enum code read_smtp_name(struct conf_loader *l, const struct xml_node *node,
				struct conf_mailbox *m)
{
	const char *name = xml_attr(node, "SMTPName"), *old = xml_attr(node, "MailboxName");

	if (name != NULL && old != NULL)
		return conf_fail(l, node->line,
				 "<mailbox> has SMTPName and the old MailboxName; remove "
				 "MailboxName");
	if (old != NULL)
		conf_warn(l, node->line,
			  "MailboxName is the old name of SMTPName; rename the attribute");
	if (name == NULL)
		name = old;
	if (name == NULL)
		return conf_fail(l, node->line, "<mailbox> needs SMTPName=\"...\"");
	if (name[0] == '\0' || strlen(name) > 320)
		return conf_fail(l, node->line, "SMTPName is %s",
				 name[0] == '\0' ? "empty" : "longer than 320 bytes");
	m->smtp_name = arena_str(l->src.arena, span_of(name));
	return E_OK;
}

static enum code read_endpoint(struct conf_loader *l, const struct xml_node *node,
			       struct conf_mailbox *m)
{
	const char *name = xml_attr(node, "endpoint");
	struct near near = { .word = name };

	if (name == NULL)
		return conf_fail(l, node->line, "<mailbox> needs endpoint=\"...\"");
	m->endpoint = conf_endpoint_named(l, name);
	if (m->endpoint != NULL)
		return E_OK;
	for (size_t i = 0; i < l->conf->n_endpoints; i++)
		near_offer(&near, l->conf->endpoints[i].name);
	return conf_fail(l, node->line, "there is no endpoint '%.70s'%s%s%s", name,
			 near.best != NULL ? "; did you mean '" : "",
			 near.best != NULL ? near.best : "", near.best != NULL ? "'?" : "");
}

static enum code parse_mailbox(struct conf_loader *l, const struct xml_node *node,
			       struct conf_mailbox *m)
{
	enum code rc = conf_only_attrs(l, node, "endpoint SMTPName MailboxName create");
	const char *create = xml_attr(node, "create");

	if (rc == E_OK)
		rc = conf_no_text(l, node);
	if (rc == E_OK)
		rc = read_endpoint(l, node, m);
	if (rc == E_OK)
		rc = read_smtp_name(l, node, m);
	if (rc == E_OK && create != NULL && strcmp(create, "false") != 0)
		rc = conf_fail(l, node->line,
			       "create=\"%.20s\": this build has no creation of accounts yet",
			       create);
	m->line = node->line;
	for (const struct xml_node *child = node->child; rc == E_OK && child != NULL;
	     child = child->next) {
		const struct conf_setting *s = conf_setting_find(&conf_mailbox_table, child->name);

		rc = s == NULL ? conf_unknown(l, child, &conf_mailbox_table, "")
			       : conf_read_setting(l, s, child, m);
	}
	return rc == E_OK ? conf_check_mailbox(l, node, m) : rc;
}

static enum code read_folder_path(struct conf_loader *l, const struct xml_node *node,
				  const char *path, const char **path_r)
{
	char *copy = arena_str(l->src.arena, span_of(path));
	size_t n = strlen(copy);
	bool children =
		strcmp(node->name, "exclude") == 0 && n >= 2 && strcmp(copy + n - 2, "/*") == 0;

	if (children)
		copy[n - 2] = '\0';
	if (!conf_path_valid(copy))
		return conf_fail(
			l, node->line,
			"'%.80s' is not a folder path; write A/B without slashes at the ends%s",
			path, strcmp(node->name, "exclude") == 0 ? ", or A/* for all below A" : "");
	if (children)
		copy[n - 2] = '/';
	*path_r = copy;
	return E_OK;
}

static enum code parse_exclude(struct conf_loader *l, const struct xml_node *node,
			       const char **path_r)
{
	enum code rc = conf_only_attrs(l, node, "");

	if (rc == E_OK)
		rc = conf_no_children(l, node);
	return rc == E_OK ? read_folder_path(l, node, node->text, path_r) : rc;
}

static enum code parse_map(struct conf_loader *l, const struct xml_node *node,
			   struct conf_folder_map *map)
{
	enum code rc = conf_only_attrs(l, node, "left right");
	const char *left = xml_attr(node, "left"), *right = xml_attr(node, "right");

	if (rc == E_OK)
		rc = conf_no_text(l, node);
	if (rc == E_OK)
		rc = conf_no_children(l, node);
	if (rc != E_OK)
		return rc;
	if (left == NULL || right == NULL)
		return conf_fail(l, node->line, "<map> needs left=\"...\" and right=\"...\"");
	rc = read_folder_path(l, node, left, &map->left);
	return rc == E_OK ? read_folder_path(l, node, right, &map->right) : rc;
}

/* A pairing travels to its worker in one message of 64 KiB, beside two CAFiles. */
static enum code check_size(struct conf_loader *l, const struct xml_node *node,
			    const struct conf_pairing *p)
{
	size_t bytes = 0;

	for (size_t i = 0; i < p->n_excludes; i++)
		bytes += strlen(p->excludes[i]) + 3;
	for (size_t i = 0; i < p->n_maps; i++)
		bytes += strlen(p->maps[i].left) + strlen(p->maps[i].right) + 8;
	if (bytes <= FOLDERS_MAX)
		return E_OK;
	return conf_fail(l, node->line,
			 "the folders of pairing '%s' take %zu bytes; at most %zu are possible: "
			 "exclude parents with /* instead of each child",
			 p->name, bytes, FOLDERS_MAX);
}

static enum code parse_folders(struct conf_loader *l, const struct xml_node *node,
			       struct conf_pairing *p)
{
	size_t n = 0;
	enum code rc = conf_once(l, node);

	if (rc == E_OK)
		rc = conf_only_attrs(l, node, "");
	if (rc == E_OK)
		rc = conf_no_text(l, node);
	for (const struct xml_node *child = node->child; child != NULL; child = child->next)
		n++;
	const char **excludes = arena_calloc(l->src.arena, n, sizeof(const char *));
	struct conf_folder_map *maps = arena_calloc(l->src.arena, n, sizeof(*maps));
	for (const struct xml_node *child = node->child; rc == E_OK && child != NULL;
	     child = child->next) {
		if (strcmp(child->name, "exclude") == 0)
			rc = parse_exclude(l, child, &excludes[p->n_excludes++]);
		else if (strcmp(child->name, "map") == 0)
			rc = parse_map(l, child, &maps[p->n_maps++]);
		else
			rc = conf_unknown(l, child, NULL, "exclude map");
	}
	p->excludes = excludes;
	p->maps = maps;
	return rc == E_OK ? check_size(l, node, p) : rc;
}

static enum code read_kinds(struct conf_loader *l, const struct xml_node *node, uint32_t *kinds_r)
{
	const char *text = xml_attr(node, "kinds");
	struct span rest = span_of(text), part;
	unsigned i;

	if (text == NULL)
		return E_OK;
	*kinds_r = 0;
	while (span_next(&rest, ' ', &part)) {
		if (part.n == 0)
			continue;
		if (!conf_word(conf_kind_names, CONF_KINDS, arena_str(l->src.arena, part), &i))
			return conf_fail(l, node->line,
					 "kinds: '%.*s' is not one of mail, events, contacts, "
					 "tasks",
					 part.n > 60 ? 60 : (int)part.n, part.p);
		*kinds_r |= 1u << i;
	}
	if (*kinds_r == 0)
		return conf_fail(l, node->line,
				 "kinds is empty; write kinds=\"mail\" or remove it");
	return E_OK;
}

static enum code read_policy(struct conf_loader *l, const struct xml_node *node, const char *attr,
			     const char *const *names, size_t n, unsigned *value_r)
{
	const char *text = xml_attr(node, attr);

	if (text == NULL || conf_word(names, n, text, value_r))
		return E_OK;
	return conf_fail(l, node->line, "%s: '%.60s' is not one of %s, %s, %s%s%s", attr, text,
			 names[0], names[1], names[2], n > 3 ? ", " : "", n > 3 ? names[3] : "");
}

static enum code parse_window(struct conf_loader *l, const struct xml_node *node, struct conf_pairing *p)
{
	enum code rc = conf_once(l, node);
	struct err why = ERR_INIT;

	if (rc == E_OK)
		rc = conf_only_attrs(l, node, "past future");
	if (rc == E_OK)
		rc = conf_no_text(l, node);
	if (rc == E_OK)
		rc = conf_no_children(l, node);
	for (size_t i = 0; rc == E_OK && i < conf_window_table.n; i++) {
		const struct conf_setting *s = &conf_window_table.rows[i];
		const char *text = xml_attr(node, s->name);

		if (text != NULL && conf_value_read(s, text, &l->src, p, &why) != E_OK)
			rc = conf_fail(l, node->line, "<window> %s", err_text(&why));
	}
	return rc;
}

static enum code read_attrs(struct conf_loader *l, const struct xml_node *node,
			    struct conf_pairing *p)
{
	unsigned conflict = CONFLICT_NEWEST, deletions = DELETIONS_TRASH, busy = 0;
	enum code rc = conf_only_attrs(l, node, "name conflict deletions kinds busyOnly");

	if (rc == E_OK)
		rc = conf_no_text(l, node);
	if (rc == E_OK)
		rc = conf_read_name(l, node, &p->name);
	if (rc == E_OK)
		rc = read_policy(l, node, "conflict", conf_conflict_names, 4, &conflict);
	if (rc == E_OK)
		rc = read_policy(l, node, "deletions", conf_deletions_names, 3, &deletions);
	if (rc == E_OK)
		rc = read_kinds(l, node, &p->kinds);
	if (rc == E_OK)
		rc = read_policy(l, node, "busyOnly", conf_busy_names, ARRAY_LEN(conf_busy_names), &busy);
	p->conflict = (enum conf_conflict)conflict;
	p->deletions[SIDE_LEFT] = p->deletions[SIDE_RIGHT] = (enum conf_deletions)deletions;
	for (enum side side = SIDE_LEFT; side < SIDES; side++)
		p->busy_only[side] = (busy >> side & 1) != 0;
	return rc;
}

enum code conf_parse_pairing(struct conf_loader *l, const struct xml_node *node,
			     struct conf_pairing *p)
{
	unsigned sides = 0;

	p->line = node->line;
	p->kinds = CONF_KINDS_ALL;
	p->guard = l->conf->guard;
	enum code rc = read_attrs(l, node, p);
	for (const struct xml_node *child = node->child; rc == E_OK && child != NULL;
	     child = child->next) {
		if (strcmp(child->name, "mailbox") == 0 && sides < SIDES)
			rc = parse_mailbox(l, child, &p->mailbox[sides++]);
		else if (strcmp(child->name, "mailbox") == 0)
			rc = conf_fail(l, child->line,
				       "pairing '%s' has a third <mailbox>; it pairs two", p->name);
		else if (strcmp(child->name, "folders") == 0)
			rc = parse_folders(l, child, p);
		else if (strcmp(child->name, "guard") == 0)
			rc = conf_read_guard(l, child, &p->guard);
		else if (strcmp(child->name, "window") == 0)
			rc = parse_window(l, child, p);
		else
			rc = conf_unknown(l, child, NULL, "mailbox folders guard window");
	}
	if (rc == E_OK && sides < SIDES)
		rc = conf_fail(l, node->line,
			       "pairing '%s' needs two <mailbox> elements, left and right",
			       p->name);
	return rc;
}
