/* dav_apply.h - private to dav_apply*.c: one change under way. */
#ifndef MS_DAV_APPLY_H
#define MS_DAV_APPLY_H

#include "dav.h"

/* What the request under way is for. */
enum dav_stage {
	DAV_MAIN,                        /* PUT, DELETE or MOVE */
	DAV_LOOK,                        /* what is there? after a 412 */
	DAV_HOME,                        /* is the collection there? after a refused create */
	DAV_COPY_GET, DAV_COPY_PUT, DAV_COPY_DELETE,   /* a move where there is no MOVE */
	DAV_DONE
};

struct dav_step {
	struct dav *d;
	struct arena *arena;
	struct ep_op *op;
	enum dav_stage stage;
	unsigned int attempt;            /* of finding a free name */
	struct span name;                /* CREATE, MOVE: the new item's */
	struct span text;                /* what is written: of op->body, or as read (COPY) */
	struct buf own;                  /* the memory of `text` where it is not op->body's */
	struct span etag;                /* of the source, as it was looked at */
	struct dav_call call;
	bool called;
	bool homeless;                   /* the collection is not there */
	char match[1024];                /* If-Match of the request */
};

/* dav_apply.c */
void dav_step_done(struct dav_step *s, enum code rc, const char *text);
void dav_step_fail(struct dav_step *s, const char *what);       /* as the call's outcome says */
bool dav_step_good(const struct dav_step *s);                   /* 2xx */
bool dav_same_uid(struct dav_step *s, struct span there);
void dav_put(struct dav_step *s, const struct ep_folder *folder, struct span name, struct span text);
/* Begin a request for an item with the headers that keep every server from telling anybody. */
void dav_write(struct dav_step *s, const char *method, const struct ep_folder *folder, struct span name,
	       struct span version);

/* dav_move.c */
void dav_move_ask(struct dav_step *s);
void dav_move_answer(struct dav_step *s);

#endif
