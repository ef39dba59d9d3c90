/* body.c - message bytes: memory first, then an unnamed file.
 *
 * 1. `mem` holds the last `n` bytes: all of them while fd is -1, else those not yet in the file.
 * 2. `size` counts every normalised byte; the file holds size - n of them.
 * 3. Before the first byte leaves memory, the header block is copied: BODY_MEMORY_MAX is larger
 *    than BODY_HEADER_MAX, so it is then complete or as long as it is kept.
 */
#include "body.h"

#include "../../common/io.h"
#include "../../common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PIECE ((size_t)256 * 1024)      /* what is read from the spool at once */

static_assert(BODY_HEADER_MAX < BODY_MEMORY_MAX, "see 3. above");

struct body {
	int spool_dir, fd;
	char *mem;
	size_t n, cap, room;            /* room: bytes that body_room() gave out */
	uint64_t size;
	bool last_cr, has_nul, failed, ended;
	char *header;                   /* the copy of 3. */
	size_t header_n;
	char *piece;                    /* read buffer: bytes from piece_at on */
	size_t piece_n;
	uint64_t piece_at;
};

struct body *body_new(int spool_dir, size_t hint)
{
	struct body *b = mem_alloc(sizeof(*b));

	b->spool_dir = spool_dir;
	b->fd = -1;
	/* line ends may grow by one byte each */
	b->cap = hint < BODY_MEMORY_MAX ? hint + hint / 32 + 256 : BODY_MEMORY_MAX;
	b->mem = mem_realloc(NULL, b->cap, 1);
	return b;
}

void body_free(struct body **body)
{
	struct body *b = *body;

	if (b == NULL)
		return;
	if (b->fd >= 0)
		close(b->fd);
	mem_free(b->mem);
	mem_free(b->header);
	mem_free(b->piece);
	mem_free(b);
	*body = NULL;
}

/* Length of the header block at the front of s: past the first empty line, or all of it. */
static size_t header_length(struct span s)
{
	if (s.n > BODY_HEADER_MAX)
		s.n = BODY_HEADER_MAX;
	if (s.n >= 2 && memcmp(s.p, "\r\n", 2) == 0)
		return 2;
	const char *hit = s.n > 0 ? memmem(s.p, s.n, "\n\r\n", 3) : NULL;

	return hit == NULL ? s.n : (size_t)(hit - s.p) + 3;
}

static enum code make_spool(struct body *b, struct err *err)
{
	b->header_n = header_length(span_bytes(b->mem, b->n));
	b->header = mem_strndup(b->mem, b->header_n);
	b->fd = openat(b->spool_dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (b->fd >= 0)
		return E_OK;
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return err_errno(err, E_DISK, "cannot make a spool file");
	/* a file system without unnamed files: name it, and take the name away at once */
	uint8_t rnd[8];
	char name[40], hex[2 * sizeof(rnd) + 1];

	random_bytes(rnd, sizeof(rnd));
	hex_encode(rnd, sizeof(rnd), hex);
	snprintf(name, sizeof(name), ".spool-%s", hex);
	b->fd = openat(b->spool_dir, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b->fd < 0 || unlinkat(b->spool_dir, name, 0) != 0)
		return err_errno(err, E_DISK, "cannot make a spool file");
	return E_OK;
}

static enum code flush(struct body *b, struct err *err)
{
	struct err why = ERR_INIT;

	if (b->n == 0)
		return E_OK;
	b->failed = true;
	if (b->fd < 0 && make_spool(b, err) != E_OK)
		return E_DISK;
	if (io_write_all(b->fd, b->mem, b->n, "spool file", &why) != E_OK)
		return err_set(err, E_DISK, "%s", why.text);
	b->failed = false;
	b->n = 0;
	return E_OK;
}

/* Room for `want` more bytes, want <= BODY_MEMORY_MAX. */
static enum code reserve(struct body *b, size_t want, struct err *err)
{
	if (want <= b->cap - b->n)
		return E_OK;
	if (b->n + want > BODY_MEMORY_MAX) {
		enum code rc = flush(b, err);

		if (rc != E_OK)
			return rc;
	}
	if (want <= b->cap - b->n)
		return E_OK;
	size_t cap = b->cap * 2 > b->n + want ? b->cap * 2 : b->n + want;

	b->cap = cap < BODY_MEMORY_MAX ? cap : BODY_MEMORY_MAX;
	b->mem = mem_realloc(b->mem, b->cap, 1);
	return E_OK;
}

static enum code append(struct body *b, const char *p, size_t n, struct err *err)
{
	while (n > 0) {
		size_t part = n < PIECE ? n : PIECE;
		enum code rc = reserve(b, part, err);

		if (rc != E_OK)
			return rc;
		memcpy(b->mem + b->n, p, part);
		b->n += part;
		b->size += part;
		p += part;
		n -= part;
	}
	return E_OK;
}

/* First LF in p[from..n) that no CR precedes; n if there is none. */
static size_t bare_lf(const char *p, size_t from, size_t n, bool last_cr)
{
	while (from < n) {
		const char *hit = memchr(p + from, '\n', n - from);

		if (hit == NULL)
			return n;
		size_t at = (size_t)(hit - p);

		if (at > 0 ? p[at - 1] != '\r' : !last_cr)
			return at;
		from = at + 1;
	}
	return n;
}

enum code body_add(struct body *b, const void *bytes, size_t n, struct err *err)
{
	const char *p = bytes;
	size_t done = 0;
	enum code rc = E_OK;

	assert(!b->ended);
	b->room = 0;
	if (n == 0)
		return E_OK;
	b->has_nul = b->has_nul || memchr(p, '\0', n) != NULL;
	while (rc == E_OK && done < n) {
		size_t at = bare_lf(p, done, n, b->last_cr);

		if (at > done)
			rc = append(b, p + done, at - done, err);
		done = at;
		if (rc == E_OK && at < n) {
			rc = append(b, "\r\n", 2, err);
			done++;
		}
	}
	b->last_cr = p[n - 1] == '\r';
	return rc;
}

enum code body_room(struct body *b, size_t want, char **room_r, size_t *n_r, struct err *err)
{
	assert(!b->ended);
	if (want == 0)
		want = 1;
	if (want > PIECE)
		want = PIECE;
	enum code rc = reserve(b, want, err);

	if (rc != E_OK)
		return rc;
	b->room = want;
	*room_r = b->mem + b->n;
	*n_r = want;
	return E_OK;
}

enum code body_filled(struct body *b, size_t n, struct err *err)
{
	char *p = b->mem + b->n;

	assert(n <= b->room);
	b->room = 0;
	if (n == 0)
		return E_OK;
	size_t at = bare_lf(p, 0, n, b->last_cr);

	/* the usual case: all line ends are right, the bytes stay where they are */
	size_t kept = at;
	b->n += kept;
	b->size += kept;
	b->has_nul = b->has_nul || memchr(p, '\0', kept) != NULL;
	if (kept > 0)
		b->last_cr = p[kept - 1] == '\r';
	if (kept == n)
		return E_OK;
	char *rest = mem_realloc(NULL, n - kept, 1);

	memcpy(rest, p + kept, n - kept);
	enum code rc = body_add(b, rest, n - kept, err);
	mem_free(rest);
	return rc;
}

enum code body_end(struct body *b, struct err *err)
{
	if (b->failed)
		return err_set(err, E_DISK, "the spool file could not be written");
	b->ended = true;
	if (b->fd < 0)
		return E_OK;
	enum code rc = flush(b, err);

	mem_free(b->mem);
	b->mem = NULL;
	b->cap = 0;
	return rc;
}

uint64_t body_size(const struct body *b)
{
	return b->size;
}

bool body_has_nul(const struct body *b)
{
	return b->has_nul;
}

struct span body_header(const struct body *b)
{
	if (b->header != NULL)
		return span_bytes(b->header, b->header_n);
	return span_bytes(b->mem, header_length(span_bytes(b->mem, b->n)));
}

size_t body_memory(const struct body *b)
{
	return sizeof(*b) + b->cap + b->header_n + (b->piece != NULL ? PIECE : 0);
}

static enum code load_piece(struct body *b, uint64_t offset, struct err *err)
{
	ssize_t got;

	if (b->piece == NULL)
		b->piece = mem_realloc(NULL, PIECE, 1);
	b->piece_n = 0;
	do {
		got = pread(b->fd, b->piece, PIECE, (off_t)offset);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_errno(err, E_DISK, "spool file");
	if (got == 0)
		return err_set(err, E_DISK, "the spool file is shorter than what was written");
	b->piece_at = offset;
	b->piece_n = (size_t)got;
	return E_OK;
}

enum code body_read(struct body *b, uint64_t offset, struct span *piece_r, struct err *err)
{
	assert(b->ended);
	*piece_r = SPAN_NONE;
	if (offset >= b->size)
		return E_OK;
	if (b->fd < 0) {
		*piece_r = span_bytes(b->mem + offset, b->n - (size_t)offset);
		return E_OK;
	}
	if (offset < b->piece_at || offset - b->piece_at >= b->piece_n) {
		enum code rc = load_piece(b, offset, err);

		if (rc != E_OK)
			return rc;
	}
	size_t skip = (size_t)(offset - b->piece_at);

	*piece_r = span_bytes(b->piece + skip, b->piece_n - skip);
	return E_OK;
}

enum code body_digest(struct body *b, uint8_t whole[DIGEST_SIZE], uint8_t rest[DIGEST_SIZE],
		      struct err *err)
{
	uint64_t head = body_header(b).n, at = 0;
	struct digest *all = digest_new(), *tail = digest_new();
	uint8_t unused[DIGEST_SIZE];
	struct span piece;
	enum code rc;

	while ((rc = body_read(b, at, &piece, err)) == E_OK && piece.n > 0) {
		if (whole != NULL)
			digest_add(all, piece.p, piece.n);
		struct span after = span_cut(piece, at < head ? (size_t)(head - at) : 0, piece.n);

		if (rest != NULL && after.n > 0)
			digest_add(tail, after.p, after.n);
		at += piece.n;
	}
	digest_end(&all, whole != NULL ? whole : unused);
	digest_end(&tail, rest != NULL ? rest : unused);
	return rc;
}

enum code body_text(struct body *body, struct arena *arena, struct span *text_r, struct err *err)
{
	uint64_t size = body_size(body), at = 0;
	enum code rc = E_OK;
	struct span piece;

	if (size > BODY_TEXT_MAX)
		return err_set(err, E_ITEM_TOO_BIG, "the item has %llu bytes", (unsigned long long)size);
	char *text = arena_raw(arena, (size_t)size + 1);
	while (at < size && (rc = body_read(body, at, &piece, err)) == E_OK && piece.n > 0) {
		memcpy(text + at, piece.p, piece.n);
		at += piece.n;
	}
	text[at] = '\0';
	*text_r = span_bytes(text, (size_t)at);
	return rc;
}

enum code body_of(int spool_dir, struct span text, struct body **body_r, struct err *err)
{
	struct body *body = body_new(spool_dir, text.n);
	enum code rc = body_add(body, text.p, text.n, err);

	if (rc == E_OK)
		rc = body_end(body, err);
	if (rc != E_OK)
		body_free(&body);
	*body_r = body;
	return rc;
}
