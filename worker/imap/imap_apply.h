/* imap_apply.h - private to imap_apply*.c: the ops of one folder, cut into what one command does. */
#ifndef MS_IMAP_APPLY_H
#define MS_IMAP_APPLY_H

#include "imap_fetch.h"

/* Ops of one folder that one command does. */
struct imap_batch {
	struct imap_call call;
	struct imap_call mark;           /* of a removal: the STORE before its expunge */
	struct ep_op **ops;              /* ascending by UID */
	uint32_t *uids;
	size_t n;
	enum ep_op_kind kind;
	const struct imap_call *select;  /* in front of its commands; refused, they are answered BAD */
	bool copied;                     /* COPYUID was seen */
	bool sent;                       /* `call` was */
};

/* All that is to be done in one folder. */
struct imap_work {
	struct imap_group *group;
	struct imap_batch *batches;
	size_t n;
	bool begun;                      /* its SELECT for the changes was sent */
};

struct imap_applying {
	struct imap *im;
	struct ep_op *ops;
	struct imap_groups groups;
	struct imap_work *work;
	size_t n;
	struct err side_err;             /* the first failure of the whole side; the rest goes on */
};

static inline void imap_op_set(struct ep_op *op, enum code code, const char *text)
{
	op->code = code;
	op->text = text;
}

/* The same outcome for all of a batch, with the text of `why` unless NULL. */
void imap_batch_set(struct imap *im, struct imap_batch *b, enum code code, const struct err *why);
enum code imap_send_store(struct imap *im, struct imap_call *call, const struct imap_batch *b, const char *how,
			  uint32_t flags, const char *keywords, struct err *err) MS_MUST_USE;
enum code imap_send_copy(struct imap *im, struct imap_batch *b, const char *verb, struct err *err) MS_MUST_USE;
enum code imap_send_remove(struct imap *im, struct imap_batch *b, struct err *err) MS_MUST_USE;

/* imap_apply_slow.c: what needs answers in between, and doing it; nothing else may be under way. */
bool imap_needs_turn(const struct imap *im, const struct imap_batch *b);
enum code imap_change_slowly(struct imap_applying *a, struct err *err) MS_MUST_USE;

#endif
