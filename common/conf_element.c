/* conf_element.c - one element of the configuration: what may stand in it, and its value.
 *
 * Nothing unknown is skipped: a mistyped setting that is ignored would be a setting lost.
 */
#include "conf_p.h"

#include "near.h"

#include <stdarg.h>
#include <stdio.h>

enum code conf_fail(struct conf_loader *l, int line, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(l->err, E_CONF, "%.150s:%d: %s", l->file, line, text);
	return E_CONF;
}

void conf_warn(struct conf_loader *l, int line, const char *fmt, ...)
{
	char text[400], whole[600];
	va_list ap;

	if (l->warn == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(whole, sizeof(whole), "%.150s:%d: %s", l->file, line, text);
	l->warn(l->warn_ctx, whole);
}

static void offer_list(struct near *near, struct arena *arena, const char *names)
{
	struct span rest = span_of(names), part;

	while (span_next(&rest, ' ', &part))
		near_offer(near, arena_str(arena, part));
}

const char *conf_near_word(struct conf_loader *l, const char *word, const char *names)
{
	struct near near = { .word = word };

	offer_list(&near, l->src.arena, names);
	return near.best;
}

bool conf_in_list(const char *names, const char *name)
{
	struct span rest = span_of(names), part;

	while (span_next(&rest, ' ', &part)) {
		if (span_eq_str(part, name))
			return true;
	}
	return false;
}

enum code conf_only_attrs(struct conf_loader *l, const struct xml_node *node, const char *names)
{
	for (size_t i = 0; i < node->n_attrs; i++) {
		struct near near = { .word = node->attrs[i].name };

		if (conf_in_list(names, near.word))
			continue;
		offer_list(&near, l->src.arena, names);
		if (near.best != NULL)
			return conf_fail(l, node->line,
					 "<%s> has no attribute '%.60s'; did you mean '%s'?",
					 node->name, near.word, near.best);
		return conf_fail(l, node->line, "<%.60s> has no attribute '%.60s'%s%s", node->name,
				 near.word, names[0] != '\0' ? "; known: " : "; it has none",
				 names);
	}
	return E_OK;
}

enum code conf_no_text(struct conf_loader *l, const struct xml_node *node)
{
	if (node->text[0] == '\0')
		return E_OK;
	return conf_fail(l, node->line, "<%s> holds no text of its own, but '%.40s' stands there",
			 node->name, node->text);
}

enum code conf_no_children(struct conf_loader *l, const struct xml_node *node)
{
	if (node->child == NULL)
		return E_OK;
	return conf_fail(l, node->child->line, "<%.60s> does not belong into <%s>",
			 node->child->name, node->name);
}

enum code conf_unknown(struct conf_loader *l, const struct xml_node *node,
		       const struct conf_table *t, const char *names)
{
	struct near near = { .word = node->name };

	for (size_t i = 0; t != NULL && i < t->n; i++)
		near_offer(&near, t->rows[i].name);
	offer_list(&near, l->src.arena, names);
	if (near.best != NULL)
		return conf_fail(l, node->line, "<%s> is not known in <%s>; did you mean <%s>?",
				 node->name, node->parent->name, near.best);
	return conf_fail(l, node->line, "<%.60s> is not known in <%s>; remove it", node->name,
			 node->parent->name);
}

enum code conf_once(struct conf_loader *l, const struct xml_node *node)
{
	const struct xml_node *first = xml_child(node->parent, node->name);

	if (first == node)
		return E_OK;
	return conf_fail(l, node->line,
			 "<%s> stands here a second time (first on line %d); remove one",
			 node->name, first->line);
}

static enum code read_secret(struct conf_loader *l, const struct xml_node *node,
			     struct conf_secret *secret)
{
	static const struct conf_setting file_row = { .name = "file", .value = V_PATH };
	const char *file = xml_attr(node, "file"), *credential = xml_attr(node, "credential");
	enum code rc = conf_only_attrs(l, node, "file credential");
	struct err why = ERR_INIT;

	if (rc != E_OK)
		return rc;
	if (node->text[0] != '\0')
		return conf_fail(l, node->line,
				 "the secret of <%s> must not stand in this file; put it into a "
				 "file of mode 0600 and write <%s file=\"...\"/>",
				 node->name, node->name);
	if ((file == NULL) == (credential == NULL))
		return conf_fail(l, node->line,
				 "<%s> needs either file=\"...\" or credential=\"...\"",
				 node->name);
	if (credential != NULL) {
		if (!conf_name_valid(credential))
			return conf_fail(l, node->line, "credential '%.60s' is not a plain name",
					 credential);
		secret->credential = arena_str(l->src.arena, span_of(credential));
		return E_OK;
	}
	if (conf_value_read(&file_row, file, &l->src, &secret->file, &why) != E_OK)
		return conf_fail(l, node->line, "<%s>: %s", node->name, err_text(&why));
	return E_OK;
}

enum code conf_read_setting(struct conf_loader *l, const struct conf_setting *s,
			    const struct xml_node *node, void *base)
{
	enum code rc = conf_once(l, node);
	struct err why = ERR_INIT;

	if (rc == E_OK)
		rc = conf_no_children(l, node);
	if (rc != E_OK)
		return rc;
	if (s->value == V_SECRET)
		return read_secret(l, node, (struct conf_secret *)((char *)base + s->offset));
	rc = conf_only_attrs(l, node, "");
	if (rc != E_OK)
		return rc;
	if (s->value == V_LATER) {
		conf_warn(l, node->line,
			  "<%s> has no effect yet: this build synchronises mail; %s come later",
			  s->name, s->words != NULL ? s->words : "others");
		return E_OK;
	}
	if (conf_value_read(s, node->text, &l->src, base, &why) != E_OK)
		return conf_fail(l, node->line, "%s", err_text(&why));
	return E_OK;
}

enum code conf_read_guard(struct conf_loader *l, const struct xml_node *node,
			  struct conf_guard *guard)
{
	enum code rc = conf_once(l, node);

	if (rc == E_OK)
		rc = conf_only_attrs(l, node, "");
	if (rc == E_OK)
		rc = conf_no_text(l, node);
	for (const struct xml_node *child = node->child; rc == E_OK && child != NULL;
	     child = child->next) {
		const struct conf_setting *s = conf_setting_find(&conf_guard_table, child->name);

		rc = s == NULL ? conf_unknown(l, child, &conf_guard_table, "")
			       : conf_read_setting(l, s, child, guard);
	}
	return rc;
}

enum code conf_read_name(struct conf_loader *l, const struct xml_node *node, const char **name_r)
{
	const char *name = xml_attr(node, "name");

	if (name == NULL)
		return conf_fail(l, node->line, "<%s> needs a name=\"...\"", node->name);
	if (!conf_name_valid(name))
		return conf_fail(l, node->line,
				 "name '%.80s' is not usable; take 1 to %d letters, digits, '.', "
				 "'_' or '-', not beginning with '.'",
				 name, CONF_NAME_MAX);
	*name_r = arena_str(l->src.arena, span_of(name));
	return E_OK;
}
