/* imap_endpoint.c - the table of the protocol, and the life of a session's memory. */
#include "imap_cmd.h"

#include "../../common/mem.h"
#include "../endpoint_types.h"

#define LIFE_MAX ((size_t)64 * 1024 * 1024)
#define CMD_MAX ((size_t)256 * 1024)

static enum code make(struct endpoint *ep, struct err *err)
{
	struct imap *im = mem_alloc(sizeof(*im));

	(void)err;
	im->ep = ep;
	im->life = arena_new(LIFE_MAX);
	im->last_call = &im->calls;
	buf_init(&im->cmd, CMD_MAX);
	imap_scan_init(&im->scan);
	ep->impl = im;
	return E_OK;
}

static enum code open_verb(struct endpoint *ep, struct err *err)
{
	return imap_connect(ep->impl, err);
}

/* LOGOUT is a courtesy: it is sent if that needs no waiting, and nobody waits for the answer. */
static void say_bye(struct imap *im)
{
	struct imap_call call = { 0 };

	if (im->conn == NULL || !im->settled || im->n_calls > 0)
		return;
	im->arena = im->life;
	im->slow_ms = 0;
	im->saying_bye = true;
	imap_cmd_begin(im, &call, "LOGOUT");
	if (imap_cmd_end(im, &call, NULL) == E_OK && conn_flush(im->conn, NULL) == E_OK)
		im->saying_bye = false;
}

static void close_verb(struct endpoint *ep)
{
	struct imap *im = ep->impl;

	if (im == NULL)
		return;
	say_bye(im);
	imap_drop(im);
	imap_list_forget(im);
	imap_scan_free(&im->scan);
	buf_free(&im->cmd);
	arena_free(&im->life);
	mem_free(im);
	ep->impl = NULL;
}

const struct ep_ops ep_imap = {
	.type = "imap",
	.make = make,
	.open = open_verb,
	.close = close_verb,
	.list = imap_list_verb,
	.changes = imap_changes_verb,
	.describe = imap_describe_verb,
	.fetch = imap_fetch_verb,
	.apply = imap_apply_verb,
	.folders = imap_folders_verb,
};
