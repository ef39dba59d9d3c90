/* birth.c - a new worker: its process, its routing id, and what it is told before it jails itself.
 *
 * No secret is in here: the worker asks for one when it has a lease (needs.c).
 */
#include "super.h"

#include "../common/io.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/pipe.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

static enum code add_json(struct buf *out, enum pipe_type type, json_t *json, struct err *err)
{
	char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (text == NULL)
		return err_set(err, E_CONF, "a path or name is not valid UTF-8");
	pipe_frame(out, type, span_of(text));
	mem_free(text);
	return E_OK;
}

static void make_id(struct super *super, uint32_t slot)
{
	struct buf *id = &super->workers[slot].id;
	uint8_t nonce[16];
	char hex[sizeof(nonce) * 2 + 1];

	random_bytes(nonce, sizeof(nonce));
	hex_encode(nonce, sizeof(nonce), hex);
	buf_clear(id);
	buf_printf(id, "%u.%u.%s", slot, super->pool.slots[slot].incarnation, hex);
}

static enum code add_batch(struct super *super, uint32_t slot, struct buf *out, struct err *err)
{
	const struct conf *conf = super->version->conf;
	char dir[PATH_MAX], path[PATH_MAX];

	super_path(dir, sizeof(dir), conf->runtime_dir, "bus");
	super_path(path, sizeof(path), dir, "socket");
	return add_json(out, PIPE_BATCH, json_pack("{s:s, s:s, s:i, s:i}", "bus", path,
			"id", buf_str(&super->workers[slot].id), "slot", (int)slot,
			"incarnation", (int)super->pool.slots[slot].incarnation), err);
}

/* The one mailbox's directory below Path, never Path itself: the others lie there. */
static void add_mailbox_dir(json_t *dirs, const struct conf_mailbox *m)
{
	char *path;

	if (strcmp(m->endpoint->type, "local") != 0 || m->endpoint->path == NULL)
		return;
	if (strchr(m->smtp_name, '/') != NULL || m->smtp_name[0] == '.' || m->smtp_name[0] == '\0')
		return;
	path = mem_printf("%s/%s", m->endpoint->path, m->smtp_name);
	json_array_append_new(dirs, json_string(path));
	mem_free(path);
}

static enum code add_pairing(struct super *super, uint32_t unit, struct buf *out, struct err *err)
{
	const struct conf_pairing *pairing = unit_conf(super, unit);
	json_t *dirs = json_array(), *json;
	char dir[PATH_MAX], name[80];
	struct buf conf;

	if (pairing == NULL) {
		json_decref(dirs);
		return E_OK;             /* it was removed meanwhile and will not be granted */
	}
	snprintf(name, sizeof(name), "pairings/%s", pairing->name);
	super_path(dir, sizeof(dir), super->version->conf->state_dir, name);
	enum code rc = io_make_dirs(dir, 0700, err);
	if (rc != E_OK) {
		json_decref(dirs);
		return rc;
	}
	for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
		add_mailbox_dir(dirs, &pairing->mailbox[s]);
	buf_init(&conf, PIPE_MAX / 2);
	conf_pairing_encode(super->version->conf, pairing, &conf);
	json = json_pack("{s:s, s:s, s:o, s:s, s:b, s:b, s:b}", "name", pairing->name, "dir", dir, "dirs", dirs,
			 "conf", buf_str(&conf),
			 "records", (conf_pairing_kinds(pairing) & ~(uint32_t)1) != 0, "http",
			 conf_pairing_uses_http(pairing), "directory", conf_pairing_has_directory(pairing));
	buf_free(&conf);
	return json != NULL ? add_json(out, PIPE_PAIRING, json, err) :
	       err_set(err, E_CONF, "pairing %s: a path is not valid UTF-8", pairing->name);
}

void birth_early(struct super *super)
{
	struct err err = ERR_INIT;

	if (super->early.pid != 0)
		return;
	/* what is wrong here will be wrong again, and told, when a worker is needed */
	if (super->program[0] != '\0' || proc_find_worker(super->program, sizeof(super->program), &err) == E_OK)
		(void)!proc_spawn(super->program, &super->early, &err);
}

/* The early one, else a new one; with its log. */
static enum code take_process(struct super *super, uint32_t slot, struct err *err)
{
	struct proc *proc = &super->workers[slot].proc;
	int log_fd = logs_worker_fd(super, slot), status;
	enum code rc = E_OK;

	if (log_fd < 0)
		return err_errno(err, E_IO, "the log of worker %u", slot + 1);
	if (!proc_reap(&super->early, &status))      /* one that somebody killed is of no use */
		*proc = super->early;
	super->early = (struct proc){ .pid = 0 };
	if (proc->pid == 0)
		rc = proc_spawn(super->program, proc, err);
	/* one that died meanwhile does not take its log; its reaping tells */
	if (rc == E_OK && logs_hand(super, slot, log_fd, err) != E_OK)
		err_clear(err);
	close(log_fd);
	return rc;
}

enum code birth_spawn(struct super *super, uint32_t slot, struct err *err)
{
	const struct pool_slot *s = &super->pool.slots[slot];
	struct worker *w = &super->workers[slot];
	enum code rc;

	make_id(super, slot);
	buf_clear(&w->in);
	buf_clear(&w->out);
	rc = add_batch(super, slot, &w->out, err);
	for (uint32_t i = 0; rc == E_OK && i < s->n_batch; i++)
		rc = add_pairing(super, s->batch[i], &w->out, err);
	if (rc != E_OK)
		return rc;
	pipe_frame(&w->out, PIPE_GO, SPAN_NONE);
	rc = take_process(super, slot, err);
	if (rc != E_OK)
		return rc;
	w->tell_log = false;
	w->version = super->version;
	version_ref(w->version);
	needs_flush(super, slot);
	return E_OK;
}

void birth_bury(struct super *super, uint32_t slot)
{
	struct worker *w = &super->workers[slot];

	if (w->in.p != NULL)
		secret_wipe(w->in.p, w->in.cap);
	if (w->out.p != NULL)
		secret_wipe(w->out.p, w->out.cap);
	buf_free(&w->in);
	buf_free(&w->out);
	version_unref(&w->version);
}
