/* conf_whole.c - a whole configuration as JSON and back, for the supervisor that lets another process
 * read the file. Endpoints travel once; mailboxes name theirs by its number.
 */
#include "conf_wire.h"

#include "mem.h"

#include <stdlib.h>

#define VERSION 1

static json_t *endpoint_to_json(const struct conf_endpoint *e, struct arena *arena)
{
	json_t *object = conf_table_to_json(&conf_endpoint_table, e, true, arena);

	conf_put_text(object, "name", e->name);
	conf_put_text(object, "type", e->type);
	conf_put_text(object, "ca", e->ca_pem);
	json_object_set_new(object, "line", json_integer(e->line));
	return object;
}

static json_t *mailbox_to_json(const struct conf *conf, const struct conf_pairing *p, enum side side,
			       struct arena *arena)
{
	const struct conf_mailbox *m = &p->mailbox[side];
	json_t *object = conf_table_to_json(&conf_mailbox_table, m, true, arena);

	json_object_set_new(object, "endpoint", json_integer(m->endpoint - conf->endpoints));
	json_object_set_new(object, "line", json_integer(m->line));
	conf_put_text(object, "SMTPName", m->smtp_name);
	conf_put_text(object, "deletions", conf_deletions_names[p->deletions[side]]);
	return object;
}

void conf_encode(const struct conf *conf, struct buf *out)
{
	struct arena *arena = arena_new(CONF_ARENA_MAX);
	json_t *root = json_object(), *endpoints = json_array(), *pairings = json_array();

	json_object_set_new(root, "version", json_integer(VERSION));
	conf_put_text(root, "file", conf->file);
	json_object_set_new(root, "gateway", conf_table_to_json(&conf_gateway_table, conf, true, arena));
	json_object_set_new(root, "guard", conf_table_to_json(&conf_guard_table, &conf->guard, true, arena));
	for (size_t i = 0; i < conf->n_endpoints; i++)
		json_array_append_new(endpoints, endpoint_to_json(&conf->endpoints[i], arena));
	for (size_t i = 0; i < conf->n_pairings; i++) {
		json_t *object = json_object();

		conf_pairing_put(object, &conf->pairings[i], arena);
		for (enum side side = SIDE_LEFT; side < SIDES; side++)
			json_object_set_new(object, side_name(side),
					    mailbox_to_json(conf, &conf->pairings[i], side, arena));
		json_array_append_new(pairings, object);
	}
	json_object_set_new(root, "endpoints", endpoints);
	json_object_set_new(root, "pairings", pairings);
	char *text = json_dumps(root, JSON_COMPACT);
	if (text == NULL)
		_Exit(MEM_EXIT);
	buf_add_str(out, text);
	free(text);        /* jansson's own memory */
	json_decref(root);
	arena_free(&arena);
}

static enum code get_line(struct conf_decoder *d, json_t *object, int *line_r)
{
	json_int_t line;
	enum code rc = conf_get_number(d, object, "line", INT32_MAX, &line);

	*line_r = (int)line;
	return rc;
}

static enum code get_endpoints(struct conf_decoder *d, json_t *array, struct conf *conf)
{
	size_t n = json_array_size(array);
	struct conf_endpoint *endpoints = arena_calloc(d->src.arena, n + 1, sizeof(*endpoints));
	enum code rc = json_is_array(array) ? E_OK : conf_bad(d, "endpoints");

	for (size_t i = 0; rc == E_OK && i < n; i++) {
		json_t *object = json_array_get(array, i);

		rc = conf_get_endpoint(d, object, &endpoints[i]);
		if (rc == E_OK)
			rc = get_line(d, object, &endpoints[i].line);
	}
	conf->endpoints = endpoints;
	conf->n_endpoints = n;
	return rc;
}

static enum code get_side(struct conf_decoder *d, const struct conf *conf, json_t *object, struct conf_pairing *p,
			  enum side side)
{
	json_int_t endpoint;
	enum code rc = conf->n_endpoints == 0 ? conf_bad(d, "endpoints") :
		       conf_get_number(d, object, "endpoint", (json_int_t)conf->n_endpoints - 1, &endpoint);

	if (rc != E_OK)
		return rc;
	p->mailbox[side].endpoint = &conf->endpoints[endpoint];
	rc = conf_get_mailbox(d, object, p, side);
	return rc == E_OK ? get_line(d, object, &p->mailbox[side].line) : rc;
}

static enum code get_pairings(struct conf_decoder *d, json_t *array, struct conf *conf)
{
	size_t n = json_array_size(array);
	struct conf_pairing *pairings = arena_calloc(d->src.arena, n + 1, sizeof(*pairings));
	enum code rc = json_is_array(array) ? E_OK : conf_bad(d, "pairings");

	for (size_t i = 0; rc == E_OK && i < n; i++) {
		json_t *object = json_array_get(array, i);

		rc = conf_pairing_get(d, object, &pairings[i]);
		for (enum side side = SIDE_LEFT; rc == E_OK && side < SIDES; side++)
			rc = get_side(d, conf, json_object_get(object, side_name(side)), &pairings[i], side);
	}
	conf->pairings = pairings;
	conf->n_pairings = n;
	return rc;
}

static enum code get_conf(struct conf_decoder *d, json_t *root, struct conf *conf)
{
	json_int_t version = 0;
	enum code rc = conf_get_number(d, root, "version", INT32_MAX, &version);

	if (rc == E_OK && version != VERSION)
		rc = conf_bad(d, "version");
	if (rc == E_OK)
		rc = conf_get_text(d, root, "file", &conf->file);
	if (rc == E_OK)
		rc = conf_get_table(d, json_object_get(root, "gateway"), &conf_gateway_table, conf);
	if (rc == E_OK)
		rc = conf_get_table(d, json_object_get(root, "guard"), &conf_guard_table, &conf->guard);
	if (rc == E_OK)
		rc = get_endpoints(d, json_object_get(root, "endpoints"), conf);
	return rc == E_OK ? get_pairings(d, json_object_get(root, "pairings"), conf) : rc;
}

enum code conf_decode(const char *json, size_t n, struct conf **conf_r, struct err *err)
{
	struct conf_box *box = conf_box_new();
	struct conf_decoder d = { .src = { .arena = box->arena, .dir = "" }, .whole = true, .err = err };
	struct conf *conf = &box->conf;
	json_t *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
	enum code rc = json_is_object(root) ? get_conf(&d, root, conf) : conf_bad(&d, "JSON");

	json_decref(root);
	*conf_r = NULL;
	if (rc == E_OK)
		*conf_r = conf;
	else
		conf_free(&conf);
	return rc;
}
