/* ews_record.h - private to ews_record*.c and ews_occur.c: records (events, contacts, tasks) in and out. */
#ifndef MS_EWS_RECORD_H
#define MS_EWS_RECORD_H

#include "ews.h"
#include "ews_map.h"

/* A contact's picture. */
struct ews_photo {
	struct span type, base64;        /* "image/png"; empty: there is none */
};

/* One record as it is on the server. */
struct ews_rec {
	struct ews *e;
	struct arena *arena;
	const struct ews_mapper *map;
	enum ep_kind kind;
	struct span id;                  /* in */
	bool no_photo;                   /* in: its picture does not matter */
	/* out: */
	enum code code;
	const char *text;                /* why */
	struct span change_key, uid, rest, pending;
	struct record *plain;            /* what the fields say */
	struct span *photos;             /* AttachmentIds of its pictures; the last one counts */
	size_t n_photos;
	/* while it is read: */
	struct buf comps;                /* its components as text */
	struct ews_start start;
	struct span *occurrences;        /* ItemIds of exceptions */
	size_t n_occurrences, cap_occurrences, cap_photos;
	struct ews_members members;
	struct ews_photo photo;
	uint64_t photo_bytes;
};

void ews_rec_init(struct ews_rec *r, struct ews *e, struct arena *arena, enum ep_kind kind, struct span id);
void ews_rec_free(struct ews_rec *r);
/* All that are E_CANCELLED. */
enum code ews_recs_read(struct ews *e, struct arena *arena, struct ews_rec *r, size_t n, struct err *err) MS_MUST_USE;
/* The <m:GetItem> up to the ids, for all that to_text() reads. */
void ews_rec_begin_get(struct buf *b, const struct ews_mapper *map);
/* An object as a component: the record itself, or an exception of it. */
enum code ews_rec_add(struct ews_rec *r, const struct ews_object *o, bool exception, struct err *err) MS_MUST_USE;
/* The components as a record. */
enum code ews_rec_finish(struct ews_rec *r, struct err *err) MS_MUST_USE;

/* "VEVENT", "VTODO", "VCARD" */
const char *ews_comp_of(enum ep_kind kind);
/* members: who is known of the members of groups; may be NULL. */
enum code ews_values_of(struct ews *e, struct arena *arena, enum ep_kind kind, const struct record *record,
			const char *comp, const struct ews_members *members, struct ews_values *vs,
			struct err *err) MS_MUST_USE;
/* The UID of an item: its own, ours, or what is made of its search key; and that key (base64) out of such a UID. */
struct span ews_uid_of(struct arena *arena, struct span id, const struct ews_object *o);
struct span ews_uid_key(struct arena *arena, struct span uid);

/* --- ews_members.c --- */

/* The UIDs of those members of groups that are items. */
enum code ews_groups_read(struct ews *e, struct arena *arena, struct ews_rec *r, size_t n, struct err *err) MS_MUST_USE;

/* --- ews_photo.c: pictures of contacts --- */

/* The card's picture; false: it has none, or none that the server can hold. */
bool ews_photo_of(struct arena *arena, const struct record *record, struct ews_photo *photo_r);
/* <t:FileAttachment> */
void ews_photo_print(struct buf *b, const struct ews_photo *photo);
/* What an object says of pictures. */
void ews_photo_note(struct ews_rec *r, const struct ews_object *o);
/* PHOTO, if there is one. */
void ews_photo_line(const struct ews_photo *photo, struct buf *text);
/* Those of all that have one. */
enum code ews_photos_read(struct ews *e, struct arena *arena, struct ews_rec *r, size_t n, struct err *err) MS_MUST_USE;

/* Removes all of them but those that count. What the server does not remove stays. */
enum code ews_photos_settle(struct ews *e, struct arena *arena, struct ews_rec *r, size_t n,
			    struct err *err) MS_MUST_USE;

/* --- ews_occur.c: exceptions and left out days of series --- */

struct ews_occur {
	int64_t utc;                     /* original start; of a day its midnight at home */
	bool date;
	const char *comp;                /* of the record: its exception; NULL: it is left out */
	struct span item_id;             /* on the server */
};
/* All of the record's, in the arena; home: as in ews_read_start(). */
size_t ews_occurs_of(struct arena *arena, const struct record *record, const char *home, struct ews_occur **list_r);
/* What has to be done so that the series `id` has those of `wanted`; now: as it is, NULL: it has none. Sets
 * *rewrite_r where it has one that is to be as the rule says again: the rule has to be written first. */
size_t ews_occurs_diff(struct ews *e, struct arena *arena, const struct record *now, const struct record *wanted,
		       struct ews_occur **list_r, bool *rewrite_r);
/* Those of `wanted` of whose day `now` says nothing. */
size_t ews_occurs_missing(const struct ews *e, struct arena *arena, const struct record *now,
			  const struct record *wanted, struct ews_occur **list_r);
/* E_ITEM_REFUSED: the rule has not all of these days; `those_there`: then the others are made. */
enum code ews_occurs_apply(struct ews *e, struct arena *arena, struct span id, const struct record *wanted,
			   struct ews_occur *list, size_t n, bool those_there, struct err *err) MS_MUST_USE;

/* --- ews_pending.c --- */

/* The record as a text for ews_pending. E_ITEM_TOO_BIG: no room for it. */
enum code ews_pending_text(struct arena *arena, const struct record *record, struct span *text_r,
			   struct err *err) MS_MUST_USE;
/* That it is pending, as one more change of an UpdateItem. */
void ews_pending_set(struct buf *updates, struct span text);
/* All exceptions of the item are made: it is pending no more, and has that ChangeKey (may be NULL). */
enum code ews_pending_end(struct ews *e, struct arena *arena, struct span id, struct span *key_r,
			  struct err *err) MS_MUST_USE;
/* What is new and of which a part is refused does not stay. */
enum code ews_pending_undo(struct ews *e, struct arena *arena, struct span id, struct err *err) MS_MUST_USE;
/* What an interrupted write has left is completed, and the record read again. What is refused is in its code. */
enum code ews_pending_complete(struct ews_rec *r, struct err *err) MS_MUST_USE;

/* --- element by element, as ep_fetch and ep_op say --- */

enum code ews_records_fetch(struct ews *e, struct arena *arena, struct ep_fetch **f, size_t n,
			    struct err *err) MS_MUST_USE;
enum code ews_records_apply(struct ews *e, struct arena *arena, struct ep_op **ops, size_t n,
			    struct err *err) MS_MUST_USE;

#endif
