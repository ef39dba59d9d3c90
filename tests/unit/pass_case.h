/* pass_case.h - runs whole passes between two mailboxes in a temporary state directory. */
#ifndef T_PASS_CASE_H
#define T_PASS_CASE_H

#include "memory_endpoint.h"
#include "../../worker/sync/pass.h"

struct pass_case {
	char dir[64];                        /* state; also holds local mailboxes */
	struct conf conf;
	struct conf_endpoint endpoint[SIDES];
	struct conf_pairing pairing;
	struct mem_store *store[SIDES];      /* where the side is "memory" */
	uint64_t generation;
	struct buf parts;                    /* JSON of the last plan or verify */
	struct pass_env *env;                /* of the pass that runs */
};

/* A fresh case; type: "memory" or "local". */
void pc_new(struct pass_case *c, const char *left_type, const char *right_type);
void pc_free(struct pass_case *c);
void pc_forget_state(struct pass_case *c);
struct pass_result pc_run(struct pass_case *c, enum pass_mode mode);
/* Message text with that id and body, CRLF. In a static ring of buffers. */
const char *pc_mail(const char *id, const char *body);

#endif
