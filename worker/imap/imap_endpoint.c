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

static void close_verb(struct endpoint *ep)
{
	struct imap *im = ep->impl;

	if (im == NULL)
		return;
	/* no LOGOUT: it would be one more command for each of thousands of mailboxes, and close_notify
	 * or the end of the connection says the same */
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
	.changes_make = true,
	.prepare = imap_prepare_verb,
	.describe = imap_describe_verb,
	.fetch = imap_fetch_verb,
	.apply = imap_apply_verb,
	.folders = imap_folders_verb,
};
