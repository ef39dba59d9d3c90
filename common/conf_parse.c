/* conf_parse.c - the XML of a configuration into structs: gateway and endpoints.
 *
 * Here every element and value is judged on its own; rules between values are in conf_check.c.
 */
#include "conf_p.h"

#include <stdlib.h>

static enum code parse_gateway(struct conf_loader *l, const struct xml_node *node)
{
	enum code rc = conf_only_attrs(l, node, "");

	if (rc == E_OK)
		rc = conf_no_text(l, node);
	for (const struct xml_node *child = node->child; rc == E_OK && child != NULL;
	     child = child->next) {
		const struct conf_setting *s = conf_setting_find(&conf_gateway_table, child->name);

		if (s != NULL)
			rc = conf_read_setting(l, s, child, l->conf);
		else if (strcmp(child->name, "guard") == 0)
			rc = conf_read_guard(l, child, &l->conf->guard);
		else
			rc = conf_unknown(l, child, &conf_gateway_table, "guard");
	}
	return rc;
}

static enum code read_type(struct conf_loader *l, const struct xml_node *node,
			   struct conf_endpoint *e)
{
	const char *type = xml_attr(node, "type");
	const char *near;

	if (type == NULL)
		return conf_fail(l, node->line,
				 "endpoint '%s' needs a type=\"...\": " CONF_TYPE_NAMES, e->name);
	unsigned bit = conf_type_bit(type);
	if (bit == 0) {
		near = conf_near_word(l, type, "imap local exchange google exchange-online");
		if (near != NULL)
			return conf_fail(l, node->line,
					 "endpoint '%s': type '%.60s' is not known; did you mean "
					 "'%s'?",
					 e->name, type, near);
		return conf_fail(l, node->line,
				 "endpoint '%s': type '%.60s' is not known; take " CONF_TYPE_NAMES,
				 e->name, type);
	}
	if ((bit & (T_IMAP | T_LOCAL | T_EXCHANGE)) == 0)
		return conf_fail(l, node->line,
				 "endpoint '%s': this build has no '%s' yet; only imap, local and exchange",
				 e->name, type);
	e->type = arena_str(l->src.arena, span_of(type));
	return E_OK;
}

static enum code parse_endpoint(struct conf_loader *l, const struct xml_node *node,
				struct conf_endpoint *e)
{
	enum code rc = conf_only_attrs(l, node, "name type");

	if (rc == E_OK)
		rc = conf_no_text(l, node);
	if (rc == E_OK)
		rc = conf_read_name(l, node, &e->name);
	if (rc == E_OK)
		rc = read_type(l, node, e);
	if (rc != E_OK)
		return rc;
	e->line = node->line;
	conf_defaults(&conf_endpoint_table, &l->src, e);
	for (const struct xml_node *child = node->child; rc == E_OK && child != NULL;
	     child = child->next) {
		const struct conf_setting *s = conf_setting_find(&conf_endpoint_table, child->name);

		if (s == NULL)
			rc = conf_unknown(l, child, &conf_endpoint_table, "");
		else if ((s->types & conf_type_bit(e->type)) == 0)
			rc = conf_fail(l, child->line,
				       "<%s> does not belong to an endpoint of type '%s'; remove "
				       "it",
				       s->name, e->type);
		else
			rc = conf_read_setting(l, s, child, e);
	}
	return rc == E_OK ? conf_check_endpoint(l, node, e) : rc;
}

/* Number of children, all of which must be called `name`. The ceilings keep a broken file from
 * taking all memory. */
static enum code count_children(struct conf_loader *l, const struct xml_node *node,
				const char *name, size_t max, size_t *n_r)
{
	enum code rc = conf_only_attrs(l, node, "");

	if (rc == E_OK)
		rc = conf_no_text(l, node);
	for (const struct xml_node *child = node->child; rc == E_OK && child != NULL;
	     child = child->next) {
		if (strcmp(child->name, name) != 0)
			rc = conf_unknown(l, child, NULL, name);
		else if (++*n_r > max)
			rc = conf_fail(l, child->line, "more than %zu <%s> elements", max, name);
	}
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const struct conf_endpoint *x = *(const struct conf_endpoint *const *)a;
	const struct conf_endpoint *y = *(const struct conf_endpoint *const *)b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

static enum code parse_endpoints(struct conf_loader *l, const struct xml_node *node)
{
	size_t n = 0, i = 0;
	enum code rc = count_children(l, node, "endpoint", 1000, &n);

	if (rc != E_OK)
		return rc;
	struct conf_endpoint *all = arena_calloc(l->src.arena, n, sizeof(*all));

	l->by_name = arena_calloc(l->src.arena, n, sizeof(const struct conf_endpoint *));
	for (const struct xml_node *child = node->child; rc == E_OK && child != NULL;
	     child = child->next, i++) {
		rc = parse_endpoint(l, child, &all[i]);
		l->by_name[i] = &all[i];
	}
	if (rc != E_OK)
		return rc;
	l->conf->endpoints = all;
	l->conf->n_endpoints = n;
	if (n > 0)
		qsort(l->by_name, n, sizeof(const struct conf_endpoint *), by_name);
	for (i = 1; i < n; i++) {
		if (strcmp(l->by_name[i - 1]->name, l->by_name[i]->name) == 0)
			return conf_fail(l, l->by_name[i]->line,
					 "there is an endpoint '%s' already (line %d); names must "
					 "differ",
					 l->by_name[i]->name, l->by_name[i - 1]->line);
	}
	return E_OK;
}

const struct conf_endpoint *conf_endpoint_named(const struct conf_loader *l, const char *name)
{
	const struct conf_endpoint key = { .name = name };
	size_t lo = 0, hi = l->conf->n_endpoints;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(key.name, l->by_name[mid]->name);

		if (c == 0)
			return l->by_name[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

static enum code parse_pairings(struct conf_loader *l, const struct xml_node *node)
{
	size_t n = 0, i = 0;
	enum code rc = count_children(l, node, "pairing", 100000, &n);

	if (rc != E_OK)
		return rc;
	struct conf_pairing *all = arena_calloc(l->src.arena, n, sizeof(*all));

	for (const struct xml_node *child = node->child; rc == E_OK && child != NULL;
	     child = child->next)
		rc = conf_parse_pairing(l, child, &all[i++]);
	l->conf->pairings = all;
	l->conf->n_pairings = n;
	return rc;
}

/* XML itself lets tabs, newlines and C1 controls through; no value of ours may have them. */
static bool has_control(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	for (; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0))
			return true;
	}
	return false;
}

static enum code check_values(struct conf_loader *l, const struct xml_node *node)
{
	if (has_control(node->text) && node->child == NULL)
		return conf_fail(l, node->line,
				 "<%.60s> contains a control character or line break", node->name);
	for (size_t i = 0; i < node->n_attrs; i++) {
		if (has_control(node->attrs[i].value))
			return conf_fail(l, node->line,
					 "attribute '%.60s' contains a control character",
					 node->attrs[i].name);
	}
	for (const struct xml_node *child = node->child; child != NULL; child = child->next) {
		enum code rc = check_values(l, child);   /* depth is limited by the parser */

		if (rc != E_OK)
			return rc;
	}
	return E_OK;
}

static enum code check_root(struct conf_loader *l, const struct xml_node *root)
{
	const char *version = xml_attr(root, "version");

	if (strcmp(root->name, "mailshadow") != 0)
		return conf_fail(l, root->line,
				 "the outermost element is <%.60s>, not <mailshadow>", root->name);
	if (version != NULL && strcmp(version, "1") != 0)
		return conf_fail(l, root->line,
				 "version '%.20s' is not known; this build reads version 1",
				 version);
	enum code rc = conf_only_attrs(l, root, "version");
	if (rc == E_OK)
		rc = conf_no_text(l, root);
	if (rc == E_OK)
		rc = check_values(l, root);
	for (const struct xml_node *child = root->child; rc == E_OK && child != NULL;
	     child = child->next) {
		if (!conf_in_list("gateway endpoints pairings", child->name))
			rc = conf_unknown(l, child, NULL, "gateway endpoints pairings");
		else
			rc = conf_once(l, child);
	}
	return rc;
}

enum code conf_parse(struct conf_loader *l, const struct xml_node *root)
{
	static const struct {
		const char *name;
		enum code (*parse)(struct conf_loader *l, const struct xml_node *node);
	} parts[] = {
		/* in this order, wherever they stand in the file */
		{ "gateway", parse_gateway },
		{ "endpoints", parse_endpoints },
		{ "pairings", parse_pairings },
	};
	enum code rc = check_root(l, root);

	for (size_t i = 0; i < ARRAY_LEN(parts) && rc == E_OK; i++) {
		const struct xml_node *node = xml_child(root, parts[i].name);

		if (node != NULL)
			rc = parts[i].parse(l, node);
	}
	return rc;
}
