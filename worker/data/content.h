/* content.h - content lines: the syntax that iCalendar and vCard share, read and written without loss.
 *
 * RFC 5545 3.1 and 3.2, RFC 6350 3.2 and 3.3, RFC 6868 (^n ^^ ^' in parameter values), and what vCard
 * 2.1 adds: parameters without a name, quoted-printable with soft line breaks, CHARSET. Read: CRLF or
 * LF, a byte order mark, folds anywhere, also inside a UTF-8 character; empty lines are skipped.
 * Names keep the case they came with; look-ups ignore it. Parameter values are decoded, property
 * values are raw (still escaped: see text.h), but a quoted-printable one is decoded to UTF-8, its
 * newlines as "\n", and its ENCODING and CHARSET parameters are gone.
 *
 * parse(print(tree)) equals tree for every tree that parse gave.
 */
#ifndef MS_CONTENT_H
#define MS_CONTENT_H

#include "text.h"

/* Limits against hostile input; beyond them the outcome is E_ITEM_TOO_BIG. */
#define CONTENT_BYTES_MAX ((size_t)64 << 20)
#define CONTENT_LINES_MAX ((size_t)1000000)
#define CONTENT_COMPS_MAX ((size_t)200000)
#define CONTENT_DEPTH_MAX 16
#define CONTENT_PARAMS_MAX 256          /* parameters of a line */
#define CONTENT_VALUES_MAX 4096         /* parameter values of a line */

struct content_param {
	struct span name;
	struct span *values;
	size_t n;                       /* 0: a bare word of vCard 2.1 ("TEL;HOME:") in `name` */
};

struct content_line {
	struct span group;              /* "item1" of "item1.TEL"; empty = none */
	struct span name;
	struct content_param *params;
	size_t n_params;
	struct span value;
};

struct content_comp {
	struct span name;               /* empty for the root, which stands for the whole text */
	struct content_line *lines;
	size_t n_lines;
	struct content_comp **comps;    /* in their order; they are printed after all lines */
	size_t n_comps;
	size_t cap_lines, cap_comps;    /* content_add_*'s own */
};

/* The whole text as the children of *root_r, which lives in the arena, with its own copy of the text.
 * E_ITEM_BAD: a line without ':' or name, a line outside of BEGIN/END, BEGIN and END that do not
 * match, a text that ends inside a component; the error names the line. E_ITEM_TOO_BIG: a limit, or
 * the arena's room. */
enum code content_parse(struct arena *arena, struct span text, struct content_comp **root_r,
			struct err *err) MS_MUST_USE;
/* A component with BEGIN and END (of the root: its children), CRLF, folded at 75 octets, never inside
 * a UTF-8 character; a value that is quoted-printable by its ENCODING with soft line breaks.
 * `out` may overflow: check it. */
void content_print(struct buf *out, const struct content_comp *comp);
void content_print_line(struct buf *out, const struct content_line *line);   /* folded, with CRLF */
void content_print_raw(struct buf *out, const struct content_line *line);    /* unfolded, no line end */
/* One unfolded line, as content_print_raw() gives it, back again. False: malformed. */
bool content_parse_line(struct arena *arena, struct span text, struct content_line *line_r);

/* First parameter of that name, ASCII case ignored; NULL if there is none. */
const struct content_param *content_param(const struct content_line *line, const char *name);
struct span content_param_value(const struct content_line *line, const char *name);  /* its first value */
const struct content_line *content_find(const struct content_comp *comp, const char *name);
bool content_equal(const struct content_comp *a, const struct content_comp *b);

/* Building trees; the line is copied, its spans are not. */
struct content_comp *content_comp_new(struct arena *arena, struct span name);
void content_add_line(struct arena *arena, struct content_comp *comp, struct content_line line);
void content_add_comp(struct arena *arena, struct content_comp *comp, struct content_comp *child);

#endif
