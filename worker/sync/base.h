/* base.h - what both sides agreed on: the pairing's database (state.db), one owner at a time.
 *
 * Tables: meta (key -> bytes), folder (a pair of folders with each side's path, id, mark, cursor),
 * item (identity: fingerprint, size, stable keys), place (an item in a folder pair: both ids and the
 * flags agreed on), record (what each side held last of a place that changes in place), solo (an item
 * that is on one side only and why), journal (every remote change).
 *
 * Invariants:
 *  1. A place row exists only after both sides were seen to hold the item.
 *  2. A cursor or mark is stored only in or after the transaction that made all it covers durable:
 *     every item up to it has a place or a solo row.
 *  3. A create is preceded by a committed solo row (SOLO_INTENT) that names its source.
 *  4. One owner: opening claims the file for a lease (a later claim refuses an earlier one) and
 *     locks it exclusively until it is closed.
 * Losing the file loses no mail: everything is found again by identity (match.h).
 */
#ifndef MS_BASE_H
#define MS_BASE_H

#include "../data/flags.h"
#include "../data/mailkey.h"
#include "../endpoint.h"

struct base;

enum solo_state {
	SOLO_INTENT,        /* a create of it on the other side may be under way (till next_s) or have happened */
	SOLO_QUARANTINED,   /* the other side refused it; retried at next_s */
	SOLO_PARKED,        /* stays on this side only, by policy */
	SOLO_HELD_DELETE,   /* vanished on the other side, but the deletion here is held back */
	SOLO_HELD_CREATE,   /* its creation on the other side is held back */
	SOLO_LET_DELETE,    /* was held, a person let it go: the next pass deletes it here */
	SOLO_LET_CREATE,    /* was held, a person decided: the next pass creates it on the other side */
	SOLO_STATES
};
const char *solo_state_name(enum solo_state state);

enum pair_by { PAIR_MAP, PAIR_ROLE, PAIR_PATH };

struct base_folder_side {
	struct span path, name, id;  /* id: SPAN_NONE until the folder was seen there */
	bool stable;
	struct span mark, cursor;    /* SPAN_NONE = start afresh */
};

struct base_folder {
	int64_t row;
	enum ep_kind kind;
	enum ep_role role;
	enum pair_by by;
	struct base_folder_side side[SIDES];
};

struct base_place {
	int64_t row, item, folder;
	enum ep_kind kind;           /* for base_place_insert() */
	struct span id[SIDES];
	struct flagset flags;
	struct mailkey key;
	uint64_t size;
	struct span stable_key[SIDES];
	struct span version[SIDES];  /* read only, see base_record; SPAN_NONE: never read back */
	bool made[SIDES];            /* write only: this pass put it there, after that side's cursor was taken */
	bool learned[SIDES];         /* write only: this pass was told of that id, and has not stored the cursor yet */
};

/* Which side holds but a free/busy copy of what the other one has. */
enum base_busy { BUSY_NONE, BUSY_LEFT, BUSY_RIGHT };

/* A place whose content changes in place. */
struct base_record {
	enum base_busy busy;
	struct span version[SIDES];  /* of the content that base[] is the canonical form of */
	struct span base[SIDES];     /* record_canonical() as last read from there; SPAN_NONE: not yet */
	struct span sent[SIDES];     /* what was about to be written there, until it is read back */
	struct span seen[SIDES];     /* with sent: the version that was there before the write */
	int64_t attempts, next_s;    /* a write that was refused: when it is tried again; 0 = none */
	enum code code;
	const char *text;
};

struct base_solo {
	int64_t row, folder;
	enum side side;
	struct span id;              /* empty: not known yet, to be recognised by key */
	enum solo_state state;
	struct mailkey key;          /* valid if has_key */
	bool has_key;
	uint64_t size;
	struct flagset flags;        /* last agreed flags, for those that had a place */
	int64_t attempts, next_s;
	enum code code;
	const char *text;
	int64_t since_s;             /* when the row was made; 0 = not known */
	struct span name;            /* Message-ID where it was at hand, for people */
};

/* pass, at_s: read back only. detail: the Message-ID or UID where it was at hand. before: what a record
 * was that is overwritten or removed, canonical (left out if it is large). */
struct base_journal {
	int64_t pass, at_s;
	const char *op, *why;
	enum side side;
	int64_t item;
	struct span old_folder, old_id, new_folder, new_id, detail, before;
};

/* Open (creating, migrating) state_dir/state.db for the lease `generation`. `pairing` describes the
 * two mailboxes: if the file was made for other ones it is set aside and a new one begun. A damaged
 * file is set aside too (*rebuilt_r = true): the pass then adopts what is there. */
enum code base_open(const char *state_dir, const char *pairing, uint64_t generation, struct base **base_r,
		    bool *rebuilt_r, struct err *err) MS_MUST_USE;
void base_close(struct base **base);

/* Transactions: begin is implicit with the first write after a commit. */
enum code base_commit(struct base *base, struct err *err) MS_MUST_USE;

enum code base_meta_get(struct base *base, const char *key, struct arena *arena, struct span *value_r,
			struct err *err) MS_MUST_USE;
enum code base_meta_put(struct base *base, const char *key, struct span value, struct err *err) MS_MUST_USE;

enum code base_folders(struct base *base, struct arena *arena, struct base_folder **folders_r, size_t *n_r,
		       struct err *err) MS_MUST_USE;
/* Insert (row == 0, sets it) or update all columns. */
enum code base_folder_save(struct base *base, struct base_folder *folder, struct err *err) MS_MUST_USE;
/* Deletes the folder with its places and solos. */
enum code base_folder_delete(struct base *base, int64_t row, struct err *err) MS_MUST_USE;

enum code base_place_find(struct base *base, int64_t folder, enum side side, struct span id,
			  struct arena *arena, struct base_place **place_r, struct err *err) MS_MUST_USE;
/* All places of a folder, ordered by that side's id. */
enum code base_places(struct base *base, int64_t folder, enum side side, struct arena *arena,
		      struct base_place **places_r, size_t *n_r, struct err *err) MS_MUST_USE;
enum code base_place_insert(struct base *base, struct base_place *place, struct err *err) MS_MUST_USE;
/* Folder, ids and flags of an existing row. */
enum code base_place_update(struct base *base, const struct base_place *place, struct err *err) MS_MUST_USE;
enum code base_place_delete(struct base *base, const struct base_place *place, struct err *err) MS_MUST_USE;
/* base_records.c. All SPAN_NONE and 0 if the place has none yet. */
enum code base_record_get(struct base *base, int64_t place, struct arena *arena, struct base_record *record_r,
			  struct err *err) MS_MUST_USE;
/* Insert or replace. */
enum code base_record_put(struct base *base, int64_t place, const struct base_record *record,
			  struct err *err) MS_MUST_USE;
/* Places whose refused write is to be tried again by now_s (INT64_MAX: all that have one). */
enum code base_records_refused(struct base *base, int64_t now_s, struct arena *arena,
			       struct base_place **places_r, size_t *n_r, struct err *err) MS_MUST_USE;
/* Let them all be tried at once; adds how many to *n. */
enum code base_records_retry(struct base *base, uint64_t *n, struct err *err) MS_MUST_USE;
/* How many there are. */
enum code base_records_refused_count(struct base *base, uint64_t *n_r, struct err *err) MS_MUST_USE;

/* Places that earlier passes put there, or learned of, after the cursor of that side which is stored now: a change
 * since the cursor tells them, unless they are gone again. */
enum code base_made(struct base *base, int64_t folder, enum side side, struct arena *arena,
		    struct base_place **places_r, size_t *n_r, struct err *err) MS_MUST_USE;
/* The folders that have such places. */
enum code base_made_folders(struct base *base, enum side side, struct arena *arena, int64_t **folders_r, size_t *n_r,
			    struct err *err) MS_MUST_USE;
/* A newer cursor of that side covers them, and what this pass has learned. */
enum code base_made_seen(struct base *base, int64_t folder, enum side side, struct err *err) MS_MUST_USE;
/* folder 0 = all. */
enum code base_place_count(struct base *base, int64_t folder, uint64_t *n_r, struct err *err) MS_MUST_USE;

enum code base_solos(struct base *base, struct arena *arena, struct base_solo **solos_r, size_t *n_r,
		     struct err *err) MS_MUST_USE;
/* Insert (row == 0, sets it) or update. */
enum code base_solo_save(struct base *base, struct base_solo *solo, struct err *err) MS_MUST_USE;
enum code base_solo_delete(struct base *base, int64_t row, struct err *err) MS_MUST_USE;
/* Rows of one folder. */
enum code base_solo_count(struct base *base, int64_t folder, uint64_t *n_r, struct err *err) MS_MUST_USE;
enum code base_solo_counts(struct base *base, uint64_t n_r[SOLO_STATES], struct err *err) MS_MUST_USE;

enum code base_journal_add(struct base *base, const struct base_journal *row, struct err *err) MS_MUST_USE;
/* Start a new pass in the journal; it keeps the newest JOURNAL_ROWS rows, of at most 90 days. */
#define JOURNAL_ROWS 10000
enum code base_journal_begin(struct base *base, struct err *err) MS_MUST_USE;

/* --- base_ask.c: what operators ask and decide --- */
/* Rows of the journal in their order: the newest `limit` (0 = all) of one item (0 = of all). */
enum code base_journal_list(struct base *base, int64_t item, uint32_t limit, struct arena *arena,
			    struct base_journal **rows_r, size_t *n_r, struct err *err) MS_MUST_USE;
/* All items of one state get another one, and may be tried at once; returns how many. */
enum code base_solo_turn(struct base *base, enum solo_state from, enum solo_state to, const char *text,
			 uint64_t *n_r, struct err *err) MS_MUST_USE;
/* Places by mailkey.msgid, or by fingerprint (key->fp) if msgid is 0. */
enum code base_places_of(struct base *base, int64_t msgid, const struct mailkey *key, struct arena *arena,
			 struct base_place **places_r, size_t *n_r, struct err *err) MS_MUST_USE;
/* Is there a state at all? Asking must not make one. */
bool base_exists(const char *state_dir);

#endif
