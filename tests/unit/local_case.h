/* local_case.h - a local mailbox in a directory of its own for the t_local* tests: opened through the
 * table of the endpoint, and looked at and changed behind its back as another program would.
 */
#ifndef LOCAL_CASE_H
#define LOCAL_CASE_H

#include "../../worker/endpoint_types.h"
#include "../../worker/local/local.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct box {
	char dir[64];                /* Path */
	struct conf_endpoint conf;
	struct conf_mailbox mailbox;
	struct endpoint ep;
	char known[64];              /* what the state keeps under local.identity */
	struct arena *arena;
	struct err err;
	int spool;
};

void box_new(struct box *b);                              /* makes the directory, opens nothing */
void box_free(struct box *b);                             /* closes and removes it */
enum code box_open(struct box *b);
void box_close(struct box *b);

/* Path of something below Mail/ (a static buffer each of four). */
const char *box_path(struct box *b, const char *fmt, ...) MS_PRINTF(2, 3);
void box_mkdir(struct box *b, const char *folder);        /* a Maildir folder as others make it */
void box_write(struct box *b, const char *name, const char *text, int64_t mtime);
bool box_exists(struct box *b, const char *name);
char *box_read(struct box *b, const char *name, size_t *n_r);   /* in the arena */
/* The only file of DIR ("cur"): its name, in the arena. NULL unless there is exactly one. */
const char *box_only(struct box *b, const char *dir);
size_t box_count(struct box *b, const char *dir);

struct ep_list box_list(struct box *b);
const struct ep_folder *box_folder(struct box *b, const char *path);   /* NULL = not listed */
struct ep_changes box_changes(struct box *b, const char *path, struct span since);
const struct ep_item *box_item(const struct ep_changes *c, const char *id);
struct body *box_body(const char *text, size_t n);
struct ep_op box_create(struct box *b, const char *path, const char *text, uint32_t flags, const char *keywords,
			int64_t received);
enum code box_apply(struct box *b, struct ep_op *op);     /* the op's code */
char *box_fetch(struct box *b, const char *path, struct span id, struct ep_fetch *f_r, size_t *n_r);
enum code box_tree(struct box *b, struct ep_folder_op *op);

#endif
