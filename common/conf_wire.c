/* conf_wire.c - one pairing as JSON for the worker that runs it, and back.
 *
 * Every value travels as the text that conf_value_read() takes, so the worker reads it by the same
 * rows that read the XML. Secrets travel as `true`: the worker asks when it needs one.
 * The decoder believes nothing: a worker is fed by the supervisor, but tests feed it anything.
 */
#include "conf_wire.h"

#include "mem.h"

#include <stdlib.h>

#define VERSION 1

void conf_put_text(json_t *object, const char *key, const char *value)
{
	if (value == NULL)
		return;
	if (json_object_set_new(object, key, json_string(value)) != 0)
		_Exit(MEM_EXIT);   /* not UTF-8 is impossible (the XML was), so it is memory */
}

static bool is_set(const struct conf_secret *s)
{
	return s->file != NULL || s->credential != NULL;
}

static json_t *secret_to_json(const struct conf_secret *s, bool whole)
{
	if (!whole)
		return json_true();
	return json_pack("{s:s?, s:s?}", "file", s->file, "credential", s->credential);
}

json_t *conf_table_to_json(const struct conf_table *t, const void *base, bool whole, struct arena *arena)
{
	json_t *object = json_object();

	for (size_t i = 0; i < t->n; i++) {
		const struct conf_setting *s = &t->rows[i];

		if (s->value != V_SECRET)
			conf_put_text(object, s->name, conf_value_text(s, base, arena));
		else if (is_set((const struct conf_secret *)((const char *)base + s->offset)))
			json_object_set_new(object, s->name, secret_to_json((const struct conf_secret *)
					    ((const char *)base + s->offset), whole));
	}
	return object;
}

static json_t *mailbox_to_json(const struct conf_mailbox *m, enum conf_deletions deletions,
			       struct arena *arena)
{
	json_t *object = conf_table_to_json(&conf_mailbox_table, m, false, arena);
	json_t *endpoint = conf_table_to_json(&conf_endpoint_table, m->endpoint, false, arena);

	conf_put_text(endpoint, "name", m->endpoint->name);
	conf_put_text(endpoint, "type", m->endpoint->type);
	conf_put_text(endpoint, "ca", m->endpoint->ca_pem);
	json_object_set_new(object, "endpoint", endpoint);
	conf_put_text(object, "SMTPName", m->smtp_name);
	conf_put_text(object, "deletions", conf_deletions_names[deletions]);
	return object;
}

static json_t *folders_to_json(const struct conf_pairing *p, json_t *maps)
{
	json_t *excludes = json_array();

	for (size_t i = 0; i < p->n_excludes; i++)
		json_array_append_new(excludes, json_string(p->excludes[i]));
	for (size_t i = 0; i < p->n_maps; i++)
		json_array_append_new(maps, json_pack("[ss]", p->maps[i].left, p->maps[i].right));
	return excludes;
}

void conf_pairing_put(json_t *root, const struct conf_pairing *p, struct arena *arena)
{
	json_t *maps = json_array();

	conf_put_text(root, "name", p->name);
	json_object_set_new(root, "line", json_integer(p->line));
	conf_put_text(root, "conflict", conf_conflict_names[p->conflict]);
	json_object_set_new(root, "kinds", json_integer(p->kinds));
	conf_put_text(root, "busyOnly", conf_busy_word(p));
	json_object_set_new(root, "window", conf_table_to_json(&conf_window_table, p, false, arena));
	json_object_set_new(root, "guard", conf_table_to_json(&conf_guard_table, &p->guard, false, arena));
	json_object_set_new(root, "excludes", folders_to_json(p, maps));
	json_object_set_new(root, "maps", maps);
}

void conf_pairing_encode(const struct conf *conf, const struct conf_pairing *p, struct buf *out)
{
	struct arena *arena = arena_new(CONF_ARENA_MAX);
	json_t *root = json_object();

	json_object_set_new(root, "version", json_integer(VERSION));
	json_object_set_new(root, "generation", json_integer((json_int_t)conf->generation));
	conf_put_text(root, "file", conf->file);
	json_object_set_new(root, "gateway", conf_table_to_json(&conf_gateway_table, conf, false, arena));
	conf_pairing_put(root, p, arena);
	for (enum side side = SIDE_LEFT; side < SIDES; side++)
		json_object_set_new(root, side_name(side),
				    mailbox_to_json(&p->mailbox[side], p->deletions[side], arena));
	char *text = json_dumps(root, JSON_COMPACT);
	if (text == NULL)
		_Exit(MEM_EXIT);
	buf_add_str(out, text);
	free(text);        /* jansson's own memory */
	json_decref(root);
	arena_free(&arena);
}

enum code conf_bad(struct conf_decoder *d, const char *what)
{
	return err_set(d->err, E_INTERNAL, "the configuration that was handed over is damaged at '%s'", what);
}

/* A required text without control characters (jansson has checked the UTF-8). */
enum code conf_get_text(struct conf_decoder *d, json_t *object, const char *key, const char **value_r)
{
	json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);

	if (text == NULL || json_string_length(value) != strlen(text) || text[0] == '\0')
		return conf_bad(d, key);
	*value_r = arena_str(d->src.arena, span_of(text));
	return E_OK;
}

enum code conf_get_word(struct conf_decoder *d, json_t *object, const char *key,
			  const char *const *names, size_t n, unsigned *value_r)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL && conf_word(names, n, text, value_r) ? E_OK : conf_bad(d, key);
}

enum code conf_get_number(struct conf_decoder *d, json_t *object, const char *key, json_int_t max,
			    json_int_t *value_r)
{
	json_t *value = json_object_get(object, key);

	*value_r = json_integer_value(value);
	return json_is_integer(value) && *value_r >= 0 && *value_r <= max ? E_OK : conf_bad(d, key);
}

static enum code get_secret(struct conf_decoder *d, json_t *value, struct conf_secret *secret)
{
	const char *file = json_string_value(json_object_get(value, "file"));
	const char *credential = json_string_value(json_object_get(value, "credential"));

	if ((file == NULL) == (credential == NULL) || (file != NULL && file[0] != '/'))
		return conf_bad(d, "a secret");
	secret->file = file != NULL ? arena_str(d->src.arena, span_of(file)) : NULL;
	secret->credential = credential != NULL ? arena_str(d->src.arena, span_of(credential)) : NULL;
	return E_OK;
}

enum code conf_get_table(struct conf_decoder *d, json_t *object, const struct conf_table *t,
			   void *base)
{
	enum code rc = json_is_object(object) ? E_OK : conf_bad(d, t->where);

	conf_defaults(t, &d->src, base);
	for (size_t i = 0; i < t->n && rc == E_OK; i++) {
		const struct conf_setting *s = &t->rows[i];
		json_t *value = json_object_get(object, s->name);

		if (value == NULL)
			continue;
		if (s->value == V_SECRET && d->whole)
			rc = get_secret(d, value, (struct conf_secret *)((char *)base + s->offset));
		else if (s->value == V_SECRET && json_is_true(value))
			((struct conf_secret *)((char *)base + s->offset))->credential = CONF_HELD;
		else if (s->value == V_SECRET || s->value == V_LATER ||
			 json_string_value(value) == NULL)
			rc = conf_bad(d, s->name);
		else
			rc = conf_value_read(s, json_string_value(value), &d->src, base, d->err);
	}
	return rc;
}

enum code conf_get_endpoint(struct conf_decoder *d, json_t *object, struct conf_endpoint *e)
{
	enum code rc = conf_get_table(d, object, &conf_endpoint_table, e);

	if (rc == E_OK)
		rc = conf_get_text(d, object, "name", &e->name);
	if (rc == E_OK)
		rc = conf_get_text(d, object, "type", &e->type);
	if (rc == E_OK && (!conf_name_valid(e->name) || conf_type_bit(e->type) == 0))
		rc = conf_bad(d, "endpoint");
	if (rc == E_OK && json_object_get(object, "ca") != NULL)
		rc = conf_get_text(d, object, "ca", &e->ca_pem);
	if (rc == E_OK && conf_type_bit(e->type) == T_LOCAL && e->path == NULL)
		rc = conf_bad(d, "Path");
	if (rc == E_OK && conf_type_bit(e->type) != T_LOCAL && e->server == NULL && e->caldav == NULL &&
	    e->carddav == NULL && e->front_end == NULL)
		rc = conf_bad(d, "Server");
	return rc;
}

enum code conf_get_mailbox(struct conf_decoder *d, json_t *object, struct conf_pairing *p, enum side side)
{
	struct conf_mailbox *m = &p->mailbox[side];
	unsigned deletions = DELETIONS_TRASH;
	enum code rc = conf_get_table(d, object, &conf_mailbox_table, m);

	if (rc == E_OK)
		rc = conf_get_text(d, object, "SMTPName", &m->smtp_name);
	if (rc == E_OK && conf_type_bit(m->endpoint->type) == T_LOCAL &&
	    (strchr(m->smtp_name, '/') != NULL || m->smtp_name[0] == '.'))
		rc = conf_bad(d, "SMTPName");
	if (rc == E_OK)
		rc = conf_get_word(d, object, "deletions", conf_deletions_names, 3, &deletions);
	p->deletions[side] = (enum conf_deletions)deletions;
	return rc;
}

static enum code get_folders(struct conf_decoder *d, json_t *root, struct conf_pairing *p)
{
	json_t *excludes = json_object_get(root, "excludes"), *maps = json_object_get(root, "maps");
	size_t n = json_array_size(excludes), n_maps = json_array_size(maps);
	const char **paths = arena_calloc(d->src.arena, n, sizeof(*paths));
	struct conf_folder_map *pairs = arena_calloc(d->src.arena, n_maps, sizeof(*pairs));

	if (!json_is_array(excludes) || !json_is_array(maps))
		return conf_bad(d, "folders");
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(excludes, i));

		if (text == NULL)
			return conf_bad(d, "excludes");
		paths[i] = arena_str(d->src.arena, span_of(text));
	}
	for (size_t i = 0; i < n_maps; i++) {
		json_t *pair = json_array_get(maps, i);
		const char *left = json_string_value(json_array_get(pair, 0));
		const char *right = json_string_value(json_array_get(pair, 1));

		if (left == NULL || right == NULL)
			return conf_bad(d, "maps");
		pairs[i].left = arena_str(d->src.arena, span_of(left));
		pairs[i].right = arena_str(d->src.arena, span_of(right));
	}
	p->excludes = paths;
	p->n_excludes = n;
	p->maps = pairs;
	p->n_maps = n_maps;
	return E_OK;
}

enum code conf_pairing_get(struct conf_decoder *d, json_t *root, struct conf_pairing *p)
{
	unsigned conflict = CONFLICT_NEWEST, busy = 0;
	json_int_t line = 0, kinds = 0;
	enum code rc = conf_get_text(d, root, "name", &p->name);

	if (rc == E_OK && !conf_name_valid(p->name))
		rc = conf_bad(d, "name");
	if (rc == E_OK)
		rc = conf_get_word(d, root, "conflict", conf_conflict_names, 4, &conflict);
	if (rc == E_OK)
		rc = conf_get_number(d, root, "line", INT32_MAX, &line);
	if (rc == E_OK)
		rc = conf_get_number(d, root, "kinds", CONF_KINDS_ALL, &kinds);
	if (rc == E_OK)
		rc = conf_get_word(d, root, "busyOnly", conf_busy_names, ARRAY_LEN(conf_busy_names), &busy);
	if (rc == E_OK)
		rc = conf_get_table(d, json_object_get(root, "window"), &conf_window_table, p);
	if (rc == E_OK)
		rc = conf_get_table(d, json_object_get(root, "guard"), &conf_guard_table, &p->guard);
	if (rc == E_OK)
		rc = get_folders(d, root, p);
	p->conflict = (enum conf_conflict)conflict;
	p->line = (int)line;
	p->kinds = (uint32_t)kinds;
	for (enum side side = SIDE_LEFT; side < SIDES; side++)
		p->busy_only[side] = (busy >> side & 1) != 0;
	return rc;
}

static enum code get_pairing(struct conf_decoder *d, json_t *root, struct conf_endpoint *ends,
			     struct conf_pairing *p)
{
	enum code rc = conf_pairing_get(d, root, p);

	for (enum side side = SIDE_LEFT; side < SIDES && rc == E_OK; side++) {
		json_t *mailbox = json_object_get(root, side_name(side));

		p->mailbox[side].endpoint = &ends[side];
		rc = conf_get_endpoint(d, json_object_get(mailbox, "endpoint"), &ends[side]);
		if (rc == E_OK)
			rc = conf_get_mailbox(d, mailbox, p, side);
	}
	return rc;
}

static enum code get_conf(struct conf_decoder *d, json_t *root, struct conf *conf)
{
	struct conf_pairing *pairing = arena_alloc(d->src.arena, sizeof(*pairing));
	struct conf_endpoint *ends = arena_calloc(d->src.arena, SIDES, sizeof(*ends));
	json_int_t version = 0, generation = 0;
	enum code rc = conf_get_number(d, root, "version", INT32_MAX, &version);

	if (rc == E_OK && version != VERSION)
		rc = conf_bad(d, "version");
	if (rc == E_OK)
		rc = conf_get_number(d, root, "generation", INT64_MAX, &generation);
	if (rc == E_OK)
		rc = conf_get_text(d, root, "file", &conf->file);
	if (rc == E_OK)
		rc = conf_get_table(d, json_object_get(root, "gateway"), &conf_gateway_table, conf);
	if (rc == E_OK)
		rc = get_pairing(d, root, ends, pairing);
	conf->generation = (uint64_t)generation;
	conf->guard = pairing->guard;
	conf->endpoints = ends;
	conf->n_endpoints = SIDES;
	conf->pairings = pairing;
	conf->n_pairings = 1;
	return rc;
}

enum code conf_pairing_decode(const char *json, size_t n, struct conf **conf_r, struct err *err)
{
	struct conf_box *box = conf_box_new();
	struct conf_decoder d = { .src = { .arena = box->arena, .dir = "" }, .err = err };
	struct conf *conf = &box->conf;
	json_t *root =
		n > 4 * 1024 * 1024 ? NULL : json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
	enum code rc = json_is_object(root) ? get_conf(&d, root, conf) : conf_bad(&d, "JSON");

	json_decref(root);
	*conf_r = NULL;
	if (rc == E_OK)
		*conf_r = conf;
	else
		conf_free(&conf);
	return rc;
}
