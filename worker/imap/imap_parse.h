/* imap_parse.h - bytes from an IMAP server to lines, and lines to tokens. Pure: no I/O, and no
 * knowledge of any command. Everything here may be fed by an enemy: cost is linear in the input,
 * sizes are judged before anything is allocated, nesting is bounded.
 *
 * A logical line is all text of one response with its literals in place. The scanner gathers it and
 * stops at each literal, so that its owner can say where the bytes go: into the line, or elsewhere
 * (a message body goes straight to its spool). Tokens are cut from the finished line one by one;
 * nothing is materialised.
 */
#ifndef MS_IMAP_PARSE_H
#define MS_IMAP_PARSE_H

#include "../../common/arena.h"
#include "../../common/buf.h"

#define IMAP_LINE_MAX ((size_t)16 * 1024 * 1024)       /* one logical line with its kept literals */
#define IMAP_LITERAL_MAX ((uint64_t)1024 * 1024 * 1024) /* announced size of any literal */
#define IMAP_DEPTH_MAX 64

/* --- lines --- */

enum imap_scan_event {
	IMAP_SCAN_MORE,          /* all of the input was used; give more */
	IMAP_SCAN_LINE,          /* `line` holds a logical line; call imap_scan_reset() when done */
	IMAP_SCAN_LITERAL        /* `literal` bytes follow: call imap_scan_keep() or imap_scan_skip() */
};

struct imap_scan {
	/* In the line a literal is "{n}" + '\n' + its bytes, or "{n}" + '\r' if they went elsewhere;
	 * neither character occurs outside of literals. */
	struct buf line;
	uint64_t literal;        /* announced size, then what is still missing of a kept one */
	size_t from;             /* where the text after the last literal begins */
	bool keeping, is_text;   /* is_text: a status line; its text may end like a literal */
};

void imap_scan_init(struct imap_scan *scan);
void imap_scan_free(struct imap_scan *scan);
void imap_scan_reset(struct imap_scan *scan);
enum code imap_scan_feed(struct imap_scan *scan, struct span in, size_t *used_r,
			 enum imap_scan_event *event_r, struct err *err) MS_MUST_USE;
/* The literal's bytes become part of the line; fails if the line would be too long. */
enum code imap_scan_keep(struct imap_scan *scan, struct err *err) MS_MUST_USE;
/* The caller takes exactly scan->literal bytes itself and feeds what follows them. */
void imap_scan_skip(struct imap_scan *scan);

/* --- tokens --- */

enum imap_tok_kind {
	IMAP_T_END,              /* end of line */
	IMAP_T_ATOM,             /* BODY[HEADER.FIELDS (DATE)] and \Seen are atoms as well */
	IMAP_T_STRING,           /* quoted, or a kept literal */
	IMAP_T_ELSEWHERE,        /* a literal whose bytes went elsewhere */
	IMAP_T_OPEN, IMAP_T_CLOSE,
	IMAP_T_BAD               /* not IMAP; the cursor stays at the end */
};

struct imap_tok {
	enum imap_tok_kind kind;
	struct span text;        /* without quotes; still escaped if `escaped` */
	bool escaped;
	uint64_t size;           /* IMAP_T_ELSEWHERE */
};

struct imap_cur {
	const char *p, *end;
	unsigned depth;
	bool no_bracket;         /* no ']' is left in the line: keeps the cost linear */
};

void imap_cur_init(struct imap_cur *cur, struct span line);
enum imap_tok_kind imap_next(struct imap_cur *cur, struct imap_tok *tok_r);
/* Skip one value, a list with all that is in it; false at the end, at a ')' or at something bad. */
bool imap_skip(struct imap_cur *cur);
/* The token's bytes without escapes; in the arena only if it had any. */
struct span imap_tok_text(struct arena *arena, const struct imap_tok *tok);
bool imap_tok_is_nil(const struct imap_tok *tok);
bool imap_tok_u32(const struct imap_tok *tok, uint32_t *value_r);
bool imap_tok_u64(const struct imap_tok *tok, uint64_t *value_r);
/* A list of atoms "(a b c)" as its inner text; false if the next value is not a list. */
bool imap_next_list(struct imap_cur *cur, struct span *inner_r);

/* --- responses --- */

enum imap_status { IMAP_PENDING, IMAP_OK, IMAP_NO, IMAP_BAD, IMAP_BYE, IMAP_PREAUTH };

enum imap_resp_kind { IMAP_R_CONTINUE, IMAP_R_TAGGED, IMAP_R_STATUS, IMAP_R_DATA };

struct imap_resp {
	enum imap_resp_kind kind;
	struct span tag;         /* TAGGED */
	enum imap_status status; /* TAGGED, STATUS */
	struct span code, args;  /* "[CODE args]" without brackets, empty if there is none */
	struct span text;        /* what a person may read; CONTINUE too */
	bool has_number;         /* DATA: "* 12 FETCH ..." */
	uint32_t number;
	struct span name;        /* DATA: "FETCH", "LIST" ... */
	struct imap_cur rest;    /* DATA: behind the name */
};

/* Points into the line. E_PROTOCOL if it is not a response. */
enum code imap_resp_parse(struct span line, struct imap_resp *resp_r, struct err *err) MS_MUST_USE;

/* --- small things --- */

/* Take the next range off a sequence set "3,5:9"; false at its end or at something bad (then
 * rest->p is not NULL). A star is UINT32_MAX. lo <= hi always. */
bool imap_set_next(struct span *rest, uint32_t *lo_r, uint32_t *hi_r);
/* "17-Jul-1996 02:44:25 -0700" to seconds; false if it is not one. */
bool imap_date_parse(struct span text, int64_t *seconds_r);
#define IMAP_DATE_MAX 32
/* The same in UTC; the only formatter of dates that are sent. Years 1970 to 9999, others clamped. */
const char *imap_date_format(int64_t seconds, char out[IMAP_DATE_MAX]);

#endif
