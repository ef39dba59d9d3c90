/* imap_fetch.h - FETCH answers, and the grouping of items by folder that all item verbs need. */
#ifndef MS_IMAP_FETCH_H
#define MS_IMAP_FETCH_H

#include "imap_cmd.h"

/* What one FETCH answer may hold; absent members are zero, `received` INT64_MIN. */
struct imap_fetched {
	uint32_t uid;
	bool has_flags, has_modseq, has_size;
	uint32_t flags;
	const char *keywords;
	uint64_t size;
	int64_t received;
	struct span key;                 /* X-GM-MSGID, EMAILID or X-GUID */
	struct span header;              /* BODY[HEADER.FIELDS ...] or BODY[HEADER] */
	bool body_elsewhere;             /* BODY[] went to the body of the sink's `literal` */
	bool has_text;                   /* BODY[] is in `text` */
	struct span text;
};

/* Copies what has to stay to the arena. E_PROTOCOL if it cannot be understood. */
enum code imap_fetched_parse(struct arena *arena, struct imap_cur cur, struct imap_fetched *f_r,
			     struct err *err) MS_MUST_USE;
/* "line" ends in "BODY[] {n}": the literal that follows is a whole message. */
bool imap_is_body_literal(struct span line);
/* " X-GUID" and the like, "" if the server has none. */
const char *imap_key_item(const struct imap *im);

/* What describe asks: " (RFC822.SIZE ...)". Lives in im->arena. */
const char *imap_meta_items(struct imap *im);
/* Keep what a FETCH of imap_meta_items() told, for the next describe; answers come ascending. */
void imap_known_add(struct imap *im, struct imap_box *box, const struct imap_fetched *f);
/* Fill from what was told already; false: it has to be asked for. */
bool imap_known_use(struct imap *im, struct ep_meta *m);

/* One element of the caller's array, by its UID. */
struct imap_want {
	uint32_t uid;
	uint32_t index;
	bool seen;
};

/* All elements of one folder. */
struct imap_group {
	const struct ep_folder *folder;
	struct imap_want *wants;         /* ascending */
	size_t n, cap;
	struct imap_call select;
	bool selected;                   /* SELECT was sent for it (or it was selected already) */
	bool refused;                    /* the folder could not be used: `err` */
	struct err err;
	bool partial;                    /* a FETCH was answered NO: what is missing may still be there */
	void *verb;
};

struct imap_groups {
	struct imap_group *g;
	size_t n, cap;
};

/* Put element `index` with this id into its folder's group; false if the id is not a UID. */
bool imap_groups_add(struct arena *arena, struct imap_groups *groups, const struct ep_folder *folder,
		     struct span id, size_t index);
/* Sort every group by UID. */
void imap_groups_sort(struct imap_groups *groups);
/* NULL if the group has no such UID. */
struct imap_want *imap_group_find(struct imap_group *group, uint32_t uid);
/* Send the SELECT for a group unless its mailbox is the one that all earlier commands lead to. */
enum code imap_group_select(struct imap *im, struct imap_group *group, struct err *err) MS_MUST_USE;
/* The folder that the answers of now belong to: that of the oldest command under way. */
struct imap_group *imap_group_now(const struct imap *im);

#endif
