/* xml.h - the only door to Expat.
 *
 * A document is refused as a whole if it has a DOCTYPE (so there are no entities but the five
 * predefined ones, and nothing external to load), if it is nested too deeply, if an element's text
 * or the whole is larger than allowed, or if it is not well-formed. Nothing is ever fetched.
 * Comments and processing instructions are skipped. Every text is UTF-8 without NUL.
 */
#ifndef MS_XML_H
#define MS_XML_H

#include "arena.h"
#include "err.h"

struct xml_attr {
	const char *name, *value;
};

struct xml_node {
	const char *name;             /* local name; elements in a namespace are refused */
	int line;                     /* where its start tag begins */
	const char *text;             /* its own text, blanks at both ends dropped; never NULL */
	const struct xml_attr *attrs; /* without xmlns and those of XMLSchema-instance */
	size_t n_attrs;
	struct xml_node *child;       /* first child, in document order */
	struct xml_node *next;        /* next sibling */
	struct xml_node *parent;
};

struct xml_limits {
	enum code code;               /* what a refused document is: E_CONF, E_PROTOCOL */
	size_t bytes;                 /* of the document */
	size_t text_bytes;            /* of one element's own text, and of one attribute */
	unsigned depth;
};

/* A small document as a tree in the arena. The error reads "NAME:LINE: what". */
enum code xml_parse_tree(struct arena *arena, const char *name, struct span data,
			 const struct xml_limits *limits, struct xml_node **root_r,
			 struct err *err) MS_MUST_USE;

/* The attribute's value, NULL if there is none; the first child of that name, NULL if none. */
const char *xml_attr(const struct xml_node *node, const char *name);
const struct xml_node *xml_child(const struct xml_node *node, const char *name);

#endif
