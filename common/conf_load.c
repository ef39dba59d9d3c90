/* conf_load.c - loading a configuration from its file: read, parse, check. */
#include "conf_p.h"

#include "io.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>

/* The absolute directory of `file`, in the arena. */
static enum code directory_of(struct arena *arena, const char *file, const char **dir_r,
			      struct err *err)
{
	const char *slash = strrchr(file, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - file);
	const char *dir = slash == NULL ? "."
			  : n == 0	? "/"
					: arena_str(arena, (struct span){ file, n });
	char *real = realpath(dir, NULL);

	if (real == NULL)
		return err_errno(err, E_CONF, "%.200s", file);
	*dir_r = strcmp(real, "/") == 0 ? "" : arena_str(arena, span_of(real));
	free(real);      /* realpath's own memory */
	return E_OK;
}

static enum code read_tree(const char *file, struct arena *tree, struct xml_node **root_r,
			   struct err *err)
{
	static const struct xml_limits limits = {
		.code = E_CONF, .bytes = CONF_FILE_MAX, .text_bytes = 64 * 1024, .depth = 16,
	};
	struct buf b;

	buf_init(&b, CONF_FILE_MAX + 1);
	enum code rc = io_read_file(file, &b, err);
	if (rc != E_OK)
		rc = err_set(err, E_CONF, "%s: the configuration cannot be read: %s", file,
			     strerror(errno));
	if (rc == E_OK)
		rc = xml_parse_tree(tree, file, buf_span(&b), &limits, root_r, err);
	buf_free(&b);
	return rc;
}

static enum code load(struct conf_loader *l, struct arena *tree)
{
	struct xml_node *root = NULL;
	enum code rc = read_tree(l->file, tree, &root, l->err);

	l->root = root;
	if (rc == E_OK)
		rc = conf_parse(l, root);
	return rc == E_OK ? conf_check(l) : rc;
}

enum code conf_load(const char *file, void (*warn)(void *ctx, const char *text), void *ctx,
		    struct conf **conf_r, struct err *err)
{
	struct conf_box *box = conf_box_new();
	struct arena *tree = arena_new(CONF_ARENA_MAX);
	struct conf *conf = &box->conf;
	struct conf_loader l = {
		.src = { .arena = box->arena, .dir = "" },
		.conf = conf,
		.warn = warn,
		.warn_ctx = ctx,
		.err = err,
	};

	*conf_r = NULL;
	l.file = conf->file = arena_str(box->arena, span_of(file));
	enum code rc = directory_of(box->arena, file, &l.src.dir, err);
	conf_defaults(&conf_gateway_table, &l.src, conf);
	conf_defaults(&conf_guard_table, &l.src, &conf->guard);
	if (rc == E_OK)
		rc = load(&l, tree);
	arena_free(&tree);
	if (rc == E_OK)
		*conf_r = conf;
	else
		conf_free(&conf);
	return rc;
}

char *conf_peek_runtime_dir(const char *file)
{
	const struct conf_setting *s = conf_setting_find(&conf_gateway_table, "RuntimeDirectory");
	struct conf_box *box = conf_box_new();
	struct conf_source src = { .arena = box->arena };
	struct xml_node *root = NULL;
	char *dir = NULL;

	if (directory_of(box->arena, file, &src.dir, NULL) == E_OK &&
	    read_tree(file, box->arena, &root, NULL) == E_OK) {
		const struct xml_node *gateway = xml_child(root, "gateway");
		const struct xml_node *node = gateway == NULL ? NULL : xml_child(gateway, s->name);

		if (conf_value_read(s, node == NULL ? s->fallback : node->text, &src, &box->conf,
				    NULL) == E_OK)
			dir = mem_strdup(box->conf.runtime_dir);
	}
	struct conf *conf = &box->conf;
	conf_free(&conf);
	return dir;
}
