/* batch.c - reads the supervisor's description of a batch from the socketpair, before the jail. */
#include "batch.h"

#include "../common/clock.h"
#include "../common/io.h"
#include "../common/log.h"
#include "../common/pipe.h"
#include "../common/trace.h"

#include <errno.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIRTH_MS 10000
#define ARENA_MAX ((size_t)512 << 20)

static const char *text_of(struct batch *batch, const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value != NULL ? arena_str(batch->arena, span_of(value)) : NULL;
}

static enum code malformed(struct err *err)
{
	return err_set(err, E_PROTOCOL, "the supervisor's description of the batch is malformed");
}

static enum code read_header(struct batch *batch, const json_t *json, struct err *err)
{
	batch->bus = text_of(batch, json, "bus");
	batch->id = text_of(batch, json, "id");
	batch->slot = (uint32_t)json_integer_value(json_object_get(json, "slot"));
	batch->incarnation = (uint32_t)json_integer_value(json_object_get(json, "incarnation"));
	return batch->bus != NULL && batch->id != NULL ? E_OK : malformed(err);
}

/* A mailbox that some state knows must be there by itself: its absence is a finding, not a task. */
static enum code prepare_mailbox(struct batch *batch, const char *path, const char *state_dir, struct err *err)
{
	struct stat st;

	if (stat(path, &st) == 0 || errno != ENOENT)
		return E_OK;
	if (access(arena_printf(batch->arena, "%s/state.db", state_dir), F_OK) == 0)
		return E_OK;
	const char *parent = dirname(arena_str(batch->arena, span_of(path)));
	if (stat(parent, &st) != 0 && io_make_dirs(parent, 0700, err) != E_OK)
		return err->code;
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return err_errno(err, E_STORE_FAILED, "%s", path);
	return E_OK;
}

static enum code read_pairing(struct batch *batch, const json_t *json, struct err *err)
{
	const json_t *dirs = json_object_get(json, "dirs");
	struct batch_pairing *p = &batch->pairings[batch->n];

	if (batch->n == BATCH_PAIRINGS_MAX || json_array_size(dirs) > SIDES)
		return malformed(err);
	p->name = text_of(batch, json, "name");
	p->state_dir = text_of(batch, json, "dir");
	p->conf = text_of(batch, json, "conf");
	if (p->name == NULL || p->state_dir == NULL || p->conf == NULL)
		return malformed(err);
	batch->writable[batch->n_writable++] = p->state_dir;
	batch->records |= json_is_true(json_object_get(json, "records"));
	batch->http |= json_is_true(json_object_get(json, "http"));
	batch->directory |= json_is_true(json_object_get(json, "directory"));
	for (size_t i = 0; i < json_array_size(dirs); i++) {
		const char *path = json_string_value(json_array_get(dirs, i));
		struct err why = ERR_INIT;

		if (path == NULL)
			return malformed(err);
		path = arena_str(batch->arena, span_of(path));
		/* if it cannot be made, the endpoint finds that out and says it in its own words */
		if (prepare_mailbox(batch, path, p->state_dir, &why) == E_OK)
			batch->writable[batch->n_writable++] = path;
	}
	batch->n++;
	return E_OK;
}

/* Another file under the same name, another level, another trace: from now on. */
void batch_take_log(struct span payload)
{
	int fd = pipe_passed_fd();
	char list[TRACE_LIST_MAX];

	if (payload.n < 1 || payload.n > sizeof(list) || (uint8_t)payload.p[0] > LOG_L_DEBUG)
		return;
	log_set_level((enum log_level)payload.p[0]);
	snprintf(list, sizeof(list), SPAN_FMT, SPAN_ARG(span_cut(payload, 1, payload.n)));
	trace_set(list);
	if (fd < 0)
		return;
	/* what was written before is in the old file */
	(void)!dup2(fd, STDOUT_FILENO);
	(void)!dup2(fd, STDERR_FILENO);
	close(fd);
}

enum code batch_read(struct batch *batch, struct err *err)
{
	int64_t deadline = INT64_MAX;    /* this process was perhaps started before there was a batch */
	enum pipe_type type = PIPE_BATCH;
	struct buf in;
	enum code rc = E_OK;

	memset(batch, 0, sizeof(*batch));
	batch->arena = arena_new(ARENA_MAX);
	buf_init(&in, PIPE_MAX);
	while (rc == E_OK) {
		rc = pipe_read(PIPE_FD, &in, deadline, &type, err);
		if (rc != E_OK || type == PIPE_GO)
			break;
		deadline = clock_mono_ms() + BIRTH_MS;
		if (type == PIPE_LOG) {
			batch_take_log(buf_span(&in));
			continue;
		}
		json_t *json = json_loadb(in.p, in.n, 0, NULL);
		if (json == NULL)
			rc = malformed(err);
		else if (type == PIPE_BATCH)
			rc = read_header(batch, json, err);
		else
			rc = type == PIPE_PAIRING ? read_pairing(batch, json, err) : malformed(err);
		json_decref(json);
	}
	buf_free(&in);
	return rc == E_OK && batch->bus == NULL ? malformed(err) : rc;
}

const struct batch_pairing *batch_find(const struct batch *batch, struct span name)
{
	for (size_t i = 0; i < batch->n; i++) {
		if (span_eq_str(name, batch->pairings[i].name))
			return &batch->pairings[i];
	}
	return NULL;
}
