/* plan.h - what a pass will do, computed without any I/O from what both sides and the base say.
 *
 * Input: the folder pairs, the places that something happened to, and the items that have no place
 * yet ("news"). Output: ops, in the order in which they are to be applied.
 *
 * Promises (checked by tests/unit/t_plan.c on random trees):
 *  1. A deletion is planned only for a place whose other id is known to be gone (a tombstone or a
 *     complete listing) and whose own side did not change; of a record, only where nothing on that other
 *     side is out of sight that it could have become.
 *  2. Equal inputs on swapped sides give the mirrored plan.
 *  3. Applying the plan and planning again gives an empty plan and equal sides.
 *  4. No new item is forgotten: each is adopted, anchored, created, moved into, parked or passive.
 */
#ifndef MS_PLAN_H
#define MS_PLAN_H

#include "base.h"

/* A folder pair as this pass sees it. */
struct plan_folder {
	struct base_folder *base;
	const struct ep_folder *ep[SIDES];   /* NULL: not there */
	struct ep_folder_op *make[SIDES];    /* it is made there before it is read, or NULL */
	uint32_t can_flags[SIDES];           /* what each side can hold (see ep_changes) */
	bool can_keywords[SIDES];
	bool force_hold[SIDES];              /* ids of that side were void and too few were found again */
	uint64_t places;                     /* rows in the base; for the guard, UINT64_MAX = not counted */
	bool dirty[SIDES];                   /* that side's cursor must not advance: work is left */
	struct span mark[SIDES], cursor[SIDES]; /* to be committed at the end; SPAN_NONE = keep */
	bool read[SIDES];                    /* changes of that side were read in this pass */
	bool made[SIDES];                    /* has places that we put there after its cursor (base_made) */
	bool other_ids[SIDES];               /* found by its path only: the ids in the base are void */
	bool blocked;                        /* could not be read or made: nothing is done in it */
};

struct plan_new;

struct plan_place {
	struct base_place base;
	int folder;
	bool gone[SIDES];                    /* known not to be there any more */
	bool lost[SIDES];                    /* gone because all ids of the folder became void */
	bool voided[SIDES];                  /* that id means nothing any more and may be given out again */
	bool seen[SIDES];                    /* now[] was read from that side; else base.flags holds */
	struct flagset now[SIDES];
	struct span now_version[SIDES];      /* records: what a listing said; else base.version holds */
	bool edited[SIDES];                  /* records: the content is not the one last read from there */
	bool adopted;                        /* made by this plan: the base has no row yet, or that of a
	                                      * place that went */
	bool copied, from_right;             /* adopted: the other side's is our copy, not recorded, of the left's
	                                      * (from_right: of the right's) */
	struct base_solo *solo;              /* its row where the base has none: a deletion that a person let go */
	struct plan_new *copy;               /* the other side's copy, whose digest decides a return */
	unsigned writes;                     /* flag writes that are under way */
	bool failed;                         /* one of them failed: the agreed flags stay as they were */
	bool done;                           /* an op decides over it already */
};

/* By what an item is recognised. */
struct plan_identity {
	struct mailkey key;
	uint64_t size;
	struct span stable_key;
	uint64_t fallback;                   /* contacts: recordkey_fallback(), 0 = none */
};

/* An item of one side without a place. There may be as many as a mailbox has: small. */
struct plan_new {
	int folder;
	enum side side;
	struct span id;                      /* empty only for a parked solo without id */
	struct flagset now;
	struct span version;                 /* records */
	struct plan_identity *identity;      /* NULL: not known, see plan_identify() */
	const uint8_t *digest;               /* DIGEST_SIZE bytes: of those after the header; NULL: not known */
	struct base_solo *solo;              /* the row it has, or NULL */
	bool passive;                        /* may be adopted, is not created (quarantined, held) */
	bool known_again;                    /* same identity as a place that is still there */
	bool skip;                           /* could not be looked at: leave it, the folder stays dirty */
	bool unread;                         /* a record that could not be read: it may be any that is missed */
	bool taken;                          /* an op decides over it */
};

enum plan_op_kind {
	PO_FORGET,       /* place: gone on both sides */
	PO_ANCHOR,       /* place: its id on `side` is news[side]'s now */
	PO_ADOPT,        /* news of both sides are one item: place (adopted) */
	PO_SETTLE,       /* place: agreed flags become `after`, nothing to write */
	PO_FLAGS,        /* write flags of place on `side` */
	PO_MOVE,         /* place moves on `side` to folder `to`, as news[other] did */
	PO_DELETE,       /* place: remove the copy on `side` by policy */
	PO_CREATE,       /* news[other of side] is created on `side`; place (if set) is forgotten with it */
	PO_PARK,         /* news[side] is the parked solo `solo` */
	PO_MERGE,        /* the place's record changed: what each side lacks is written to it */
	PO_KINDS
};
const char *plan_op_name(enum plan_op_kind kind);
struct plan_op;
/* A person decided over it: the guard lets it pass. */
bool plan_op_released(const struct plan_op *op);

/* A change of flags: what is written, and what is agreed on afterwards. */
struct plan_flags {
	uint32_t add, remove;
	const char *kw_add, *kw_remove;
	struct flagset after;
};

struct plan_op {
	enum plan_op_kind kind;
	enum side side;                      /* where the write happens */
	struct plan_place *place;
	struct plan_new *news[SIDES];
	struct base_solo *solo;
	int folder, to;                      /* indices into plan.folders; PO_FLAGS with to >= 0: the item
	                                        is in `to` already on that side, as news[side] */
	const struct plan_flags *write;      /* PO_SETTLE, PO_FLAGS */
	bool held;                           /* by the guard */
	const char *why;
};

struct plan {
	struct arena *arena;
	bool exact_size;                     /* sizes of both sides are exact */
	bool keeps_bytes;                    /* body digests of both sides are comparable */
	bool doubtful[SIDES][EP_KINDS];      /* not all that is there could be read: what vanished may have moved */
	struct plan_folder *folders;
	size_t n_folders;
	struct plan_place **places;
	size_t n_places, cap_places;
	struct plan_new **news;
	size_t n_news, cap_news;
	struct plan_op *ops;
	size_t n_ops, cap_ops;
	struct plan_new **undecided;         /* matching needs their digest */
	size_t n_undecided, cap_undecided;
};

/* Its items are records: they have no flags, change in place, and their UID alone is their identity. */
bool plan_records(const struct plan *plan, int folder);
struct plan_place *plan_add_place(struct plan *plan, const struct base_place *base, int folder);
struct plan_new *plan_add_new(struct plan *plan, int folder, enum side side, struct span id);
/* Sets its identity. */
void plan_identify(struct plan *plan, struct plan_new *n, struct mailkey key, uint64_t size, struct span stable_key);

/* plan_match.c: find which news are known items. Call plan_match; while it reports undecided items,
 * give them digests (or skip = true) and call it again. Idempotent. */
void plan_match(struct plan *plan);
/* plan_items.c: the ops, after matching. */
void plan_items(struct plan *plan);

/* plan_folders.c: pair the folders of both listings with each other and with the base. */
struct folder_rules {
	const struct conf_pairing *pairing;
	uint32_t kinds;                      /* that both sides can hold and the pairing wants */
	const char *endpoint_name[SIDES];    /* for suffixes */
};
enum folder_step_kind { FOLDER_CREATE, FOLDER_RENAME };
struct folder_step {
	enum folder_step_kind kind;
	enum side side;
	int folder;                          /* index into plan.folders */
	struct span path;
	const char *why;
};
struct folder_plan {
	struct folder_step *steps;           /* one round: list again and plan again after them */
	size_t n_steps, cap_steps;
	int64_t *forget;                     /* base rows: gone on both sides, or no longer taking part */
	size_t n_forget, cap_forget;
	const struct ep_folder *trash[SIDES], *archive[SIDES];  /* by role, or NULL */
};
/* Fills plan->folders (in `plan->arena`) and `out`. Both listings must be complete. */
void plan_folders(struct plan *plan, const struct folder_rules *rules, struct base_folder *base, size_t n_base,
		  const struct ep_list list[SIDES], struct folder_plan *out);
/* The path that `path` of side `from` has or would have on the other side, by its closest paired
 * ancestor. Each kind has names of its own: a calendar may be called as a mail folder is. */
struct span plan_translate(struct plan *plan, enum ep_kind kind, enum side from, struct span path);
/* The name that a newcomer gets where its own is held (R12): with the origin's name behind it, then numbered. */
struct span plan_suffixed(struct plan *plan, struct span want, const char *origin, unsigned attempt);
/* Where a folder that is gone on side `s` comes back, if it does: by the name that the other side has
 * for it now, unless that is held. */
struct span plan_revival_path(struct plan *plan, const struct plan_folder *f, enum side s);

/* guard.c */
struct guard_input {
	const struct conf_guard *limits;
	uint64_t total_places;               /* in the base before the pass */
	bool first_done;                     /* a complete pass is behind this pairing */
	bool empty[SIDES];                   /* the side shows no item at all in any folder */
};
struct guard_result {
	uint64_t held_deletions[SIDES], held_creations[SIDES];   /* by the side of the write */
	char why[160];                       /* "" = nothing was held */
};
/* True if the numbers can reach a limit, so that plan_folder.places and total_places are needed. */
bool guard_needs_counts(const struct plan *plan, const struct conf_guard *limits);
/* Marks ops as held. */
void guard_apply(struct plan *plan, const struct guard_input *in, struct guard_result *result);

#endif
