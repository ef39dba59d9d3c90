/* dav_case.h - a real CalDAV and CardDAV server on the loopback with a directory of its own, and the dav
 * endpoint opened on it. "Another program" is curl's command line tool.
 */
#ifndef DAV_CASE_H
#define DAV_CASE_H

#include "../../worker/dav/dav.h"
#include "../../worker/endpoint_types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include <cmocka.h>

#define DAV_USER "alice"
#define DAV_PASSWORD "secret pass"

struct dav_box {
	const char *server;          /* "radicale", "xandikos"; "external": that of $MS_DAV */
	char dir[64];
	pid_t pid;
	unsigned int port;
	char caldav[256], carddav[256];
	struct conf_endpoint conf;
	struct conf_mailbox mailbox;
	const char *user, *password; /* what the endpoint is given */
	struct endpoint ep;
	struct arena *arena;
	struct err err;
	int spool;
};

/* False: not installed (then nothing was started), with a line about it. */
bool dav_box_start(struct dav_box *b, const char *server);
void dav_box_stop(struct dav_box *b);
enum code dav_box_open(struct dav_box *b);
void dav_box_close(struct dav_box *b);
/* Any request: the HTTP status. body NULL: none. path: from the server's root. */
int dav_box_foreign(struct dav_box *b, const char *method, const char *path, const char *header, const char *body);

struct ep_list dav_box_list(struct dav_box *b);
const struct ep_folder *dav_box_folder(struct dav_box *b, const char *path, enum ep_kind kind);   /* must exist */
struct ep_changes dav_box_changes(struct dav_box *b, const struct ep_folder *folder, struct span since);
const struct ep_item *dav_box_item(const struct ep_changes *c, struct span id);                    /* NULL: none */
/* One op; returns its code. */
enum code dav_box_apply(struct dav_box *b, struct ep_op *op);
struct ep_op dav_box_create(struct dav_box *b, const struct ep_folder *folder, const char *uid, const char *text);
/* Text of an item in the arena; NULL: f_r->code says why. */
const char *dav_box_fetch(struct dav_box *b, const struct ep_folder *folder, struct span id, struct ep_fetch *f_r);
struct body *dav_box_body(const char *text);
const char *dav_event(struct dav_box *b, const char *uid, const char *summary);
const char *dav_card(struct dav_box *b, const char *uid, const char *name);

#endif
