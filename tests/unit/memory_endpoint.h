/* memory_endpoint.h - a mail store in memory with the contract's behaviour, and knobs for its quirks.
 *
 * Endpoint type "memory"; a mailbox is named by SMTPName. Stores live until mem_store_reset().
 */
#ifndef T_MEMORY_ENDPOINT_H
#define T_MEMORY_ENDPOINT_H

#include "../../worker/endpoint_types.h"

struct mem_item {
	uint32_t uid;
	char *bytes;                 /* CRLF */
	size_t n;
	uint32_t flags;
	char *keywords;
	int64_t received;
	uint64_t modseq, made;
};

struct mem_folder {
	char *path;
	enum ep_kind kind;
	enum ep_role role;
	uint64_t id;                 /* unique over the store's life */
	uint32_t validity, next_uid;
	uint64_t modseq;
	struct mem_item *items;
	size_t n;
	struct mem_gone { uint32_t uid; uint64_t modseq, made; } *gone;
	size_t n_gone;
};

struct mem_store {
	char *name;
	struct mem_folder *folders;
	size_t n;
	uint64_t next_id, next_modseq;
	/* quirks */
	bool deltas;                 /* tells changes and vanished ids since a cursor */
	bool stable_ids;             /* folder ids survive renames for sure */
	bool silent;                 /* says nothing of an item that came and went since the cursor */
	bool plain_marks;            /* marks tell only which items are there: what came and went leaves no trace */
	bool tells_ids;              /* CREATE and MOVE tell the new id */
	bool keywords;               /* can hold keywords */
	uint32_t flags;              /* system flags it can hold */
	bool children_follow;        /* a rename takes children along */
	bool incomplete;             /* item listings end early */
	bool no_folders;             /* the folder list is empty */
	bool refuse_logon;
	void (*before_update)(struct mem_store *s);  /* somebody is faster than the next EP_UPDATE; called once */
	void (*after_write)(struct mem_store *s);    /* ... than our reading back of the next record; called once */
	void (*on_fetch)(struct mem_store *s);       /* called at each fetch */
	bool records_down;           /* mail alone can be reached */
	const char *poison;          /* creates whose bytes contain this are refused */
	const char *unreadable;      /* fetches of records whose bytes contain this give `unreadable_code` */
	enum code unreadable_code;
	uint64_t max_bytes;
	bool rewrites;               /* records: stored with lines sorted otherwise, a PRODID of its own, no blanks
	                              * at a line's end */
	const char *drops;           /* records: lines that begin so are not kept */
	unsigned long writes;        /* effects so far */
};

extern const struct ep_ops ep_memory;

struct mem_store *mem_store_get(const char *name);        /* made on first use, with an INBOX */
void mem_store_reset(void);
struct mem_folder *mem_folder_get(struct mem_store *s, const char *path);      /* NULL: none */
struct mem_folder *mem_folder_make(struct mem_store *s, const char *path, enum ep_role role);
/* One for records; its items are whole texts, changed with mem_edit(). */
struct mem_folder *mem_folder_make_kind(struct mem_store *s, const char *path, enum ep_kind kind);
/* What a user's client does to a record: a new content, a new version. */
void mem_edit(struct mem_store *s, struct mem_folder *f, size_t i, const char *bytes);
void mem_folder_drop(struct mem_store *s, const char *path);
struct mem_item *mem_add(struct mem_store *s, const char *path, const char *bytes, uint32_t flags, const char *kw,
			 int64_t received);
void mem_remove(struct mem_store *s, struct mem_folder *f, size_t i);
void mem_move(struct mem_store *s, struct mem_folder *f, size_t i, const char *to);
void mem_set_flags(struct mem_store *s, struct mem_folder *f, size_t i, uint32_t flags, const char *kw);
void mem_rename(struct mem_store *s, const char *from, const char *to);
void mem_new_validity(struct mem_store *s, const char *path);   /* renumbers all items */
/* One line per difference to out (may be NULL); false if the stores differ in any paired folder.
 * Trash folders are each side's own bin and do not count. */
bool mem_equal(struct mem_store *a, struct mem_store *b, char *out, size_t size);
size_t mem_total(const struct mem_store *s, bool with_trash);

#endif
