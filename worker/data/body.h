/* body.h - the bytes of one message on their way: in memory while small, else in an unnamed file.
 *
 * Built by one side's fetch, read by the other side's create. While bytes are added, line ends are
 * normalised to CRLF (a bare LF becomes CRLF; a bare CR stays) so that size is exact for every
 * target, and the header block is kept for identity. NUL bytes are counted, not changed.
 */
#ifndef MS_BODY_H
#define MS_BODY_H

#include "../../common/arena.h"
#include "../../common/buf.h"
#include "../../common/secret.h"

#define BODY_MEMORY_MAX ((size_t)512 * 1024)   /* larger ones are spooled */
#define BODY_HEADER_MAX ((size_t)256 * 1024)   /* as much of the header is kept for identity */

struct body;

/* spool_dir: where O_TMPFILE files may be made (the pairing's directory). `hint` = expected bytes,
 * 0 = unknown. */
struct body *body_new(int spool_dir, size_t hint);
void body_free(struct body **body);
enum code body_add(struct body *body, const void *p, size_t n, struct err *err) MS_MUST_USE;
/* A place to read up to *n_r bytes into directly; then body_filled(). Valid until the next call. */
enum code body_room(struct body *body, size_t want, char **room_r, size_t *n_r, struct err *err) MS_MUST_USE;
enum code body_filled(struct body *body, size_t n, struct err *err) MS_MUST_USE;
/* No more bytes come. Fails if the spool could not be written. */
enum code body_end(struct body *body, struct err *err) MS_MUST_USE;

uint64_t body_size(const struct body *body);         /* exact, with CRLF line ends */
bool body_has_nul(const struct body *body);
struct span body_header(const struct body *body);    /* up to and including the empty line */
size_t body_memory(const struct body *body);         /* bytes of memory it holds */
/* Read the next piece from `offset`: a span into the body's memory or its read buffer, valid until
 * the next call; n = 0 at the end. */
enum code body_read(struct body *body, uint64_t offset, struct span *piece_r, struct err *err) MS_MUST_USE;
/* All bytes in one piece, in the arena: for what has to be parsed as a whole. E_ITEM_TOO_BIG beyond
 * BODY_TEXT_MAX. */
#define BODY_TEXT_MAX ((size_t)64 * 1024 * 1024)
enum code body_text(struct body *body, struct arena *arena, struct span *text_r, struct err *err) MS_MUST_USE;
/* A finished body of these bytes. */
enum code body_of(int spool_dir, struct span text, struct body **body_r, struct err *err) MS_MUST_USE;
/* SHA-256 of all bytes, and of those after the header block. Either may be NULL. */
enum code body_digest(struct body *body, uint8_t whole[DIGEST_SIZE], uint8_t rest[DIGEST_SIZE],
		      struct err *err) MS_MUST_USE;

#endif
