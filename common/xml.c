/* xml.c - documents into small trees, by Expat's callbacks.
 *
 * Expat and not libxml2: it brings no other library into a process that starts for every pass
 * (libxml2 brings ICU), and does all that is needed here. No entity can be declared, since a DOCTYPE
 * stops the parser before its first declaration; Expat fetches nothing by itself.
 */
#include "xml.h"

#include "buf.h"

#include <expat.h>

#define NS_MARK ' '               /* Expat: "URI local"; cannot be part of a name */
#define XSI "http://www.w3.org/2001/XMLSchema-instance "
#define NODE_COST 512             /* arena bytes that a new element must find left */
#define NAME_MAX_BYTES 256

struct xml_parser {
	XML_Parser expat;
	struct arena *arena;
	const char *name;
	const struct xml_limits *limits;
	struct xml_node *root, *open; /* open: the innermost element not yet ended */
	struct xml_node **last[64];   /* per depth: where the next child is hung */
	struct buf text[64];          /* per depth: the element's own text */
	unsigned depth;
	enum code rc;                 /* sticky: after it callbacks do nothing */
	struct err *err;
};

static int line_now(const struct xml_parser *x)
{
	return (int)XML_GetCurrentLineNumber(x->expat);
}

static void fail(struct xml_parser *x, const char *what)
{
	if (x->rc != E_OK)
		return;
	x->rc = err_set(x->err, x->limits->code, "%s:%d: %s", x->name, line_now(x), what);
	XML_StopParser(x->expat, XML_FALSE);
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system, const XML_Char *public, int internal)
{
	(void)name;
	(void)system;
	(void)public;
	(void)internal;
	fail(ctx, "a DOCTYPE is not accepted; remove it");
}

/* `raw`: name, value, name, value, NULL. */
static void take_attrs(struct xml_parser *x, struct xml_node *node, size_t n, const XML_Char **raw)
{
	struct xml_attr *attrs = arena_calloc(x->arena, n, sizeof(*attrs));

	for (size_t i = 0; i < n && x->rc == E_OK; i++, raw += 2) {
		struct span value = span_of(raw[1]);

		if (strncmp(raw[0], XSI, strlen(XSI)) == 0)
			continue;
		if (strchr(raw[0], NS_MARK) != NULL)
			return fail(x, "attributes in a namespace are not accepted");
		if (value.n > x->limits->text_bytes)
			return fail(x, "an attribute is too long");
		if (arena_left(x->arena) < value.n + NODE_COST)
			return fail(x, "the document is too large");
		attrs[node->n_attrs].name = arena_str(x->arena, span_of(raw[0]));
		attrs[node->n_attrs++].value = arena_str(x->arena, value);
	}
	node->attrs = attrs;
}

static size_t count_attrs(const XML_Char **raw)
{
	size_t n = 0;

	while (raw[n * 2] != NULL)
		n++;
	return n;
}

static void on_start(void *ctx, const XML_Char *name, const XML_Char **attrs)
{
	struct xml_parser *x = ctx;
	size_t n_attrs = count_attrs(attrs);

	if (x->rc != E_OK)
		return;
	if (strchr(name, NS_MARK) != NULL)
		return fail(x, "elements in a namespace are not accepted");
	if (x->depth >= x->limits->depth)
		return fail(x, "elements are nested too deeply");
	if (arena_left(x->arena) < NODE_COST + n_attrs * sizeof(struct xml_attr))
		return fail(x, "the document has too many elements");
	if (strlen(name) > NAME_MAX_BYTES)
		return fail(x, "an element's name is too long");

	struct xml_node *node = arena_alloc(x->arena, sizeof(*node));
	node->name = arena_str(x->arena, span_of(name));
	node->line = line_now(x);
	node->text = "";
	node->parent = x->open;
	take_attrs(x, node, n_attrs, attrs);
	*x->last[x->depth] = node;
	x->last[x->depth] = &node->next;
	x->open = node;
	x->last[++x->depth] = &node->child;
	buf_clear(&x->text[x->depth]);
}

static void on_end(void *ctx, const XML_Char *name)
{
	struct xml_parser *x = ctx;

	(void)name;
	if (x->rc != E_OK)
		return;
	assert(x->open != NULL && x->depth > 0);
	struct buf *text = &x->text[x->depth];
	if (text->overflow)
		return fail(x, "an element's text is too long");
	if (arena_left(x->arena) < text->n + NODE_COST)
		return fail(x, "the document is too large");
	x->open->text = arena_str(x->arena, span_trim(buf_span(text)));
	x->open = x->open->parent;
	x->depth--;
}

static void on_text(void *ctx, const XML_Char *p, int n)
{
	struct xml_parser *x = ctx;

	if (x->rc == E_OK && x->depth > 0 && n > 0)
		buf_add(&x->text[x->depth], p, (size_t)n);
}

static void run(struct xml_parser *x, struct span data)
{
	x->expat = XML_ParserCreateNS(NULL, NS_MARK);
	if (x->expat == NULL) {
		x->rc = err_set(x->err, E_INTERNAL, "no memory for an XML parser");
		return;
	}
	XML_SetUserData(x->expat, x);
	XML_SetStartDoctypeDeclHandler(x->expat, on_doctype);
	XML_SetElementHandler(x->expat, on_start, on_end);
	XML_SetCharacterDataHandler(x->expat, on_text);
	if (XML_Parse(x->expat, data.p, (int)data.n, 1) != XML_STATUS_OK && x->rc == E_OK)
		x->rc = err_set(x->err, x->limits->code, "%s:%d: not well-formed XML: %s", x->name, line_now(x),
				XML_ErrorString(XML_GetErrorCode(x->expat)));
	XML_ParserFree(x->expat);
}

enum code xml_parse_tree(struct arena *arena, const char *name, struct span data,
			 const struct xml_limits *limits, struct xml_node **root_r, struct err *err)
{
	struct xml_parser x = { .arena = arena, .name = name, .limits = limits, .err = err };

	assert(limits->depth < ARRAY_LEN(x.last) && limits->bytes <= INT32_MAX);
	if (data.n > limits->bytes)
		return err_set(err, limits->code, "%s:1: the document is larger than %zu bytes",
			       name, limits->bytes);
	if (data.n == 0)
		return err_set(err, limits->code, "%s:1: the document is empty", name);
	for (unsigned i = 0; i <= limits->depth; i++)
		buf_init(&x.text[i], limits->text_bytes);
	x.last[0] = &x.root;
	run(&x, data);
	for (unsigned i = 0; i <= limits->depth; i++)
		buf_free(&x.text[i]);
	*root_r = x.root;
	return x.rc;
}

const char *xml_attr(const struct xml_node *node, const char *name)
{
	for (size_t i = 0; i < node->n_attrs; i++) {
		if (strcmp(node->attrs[i].name, name) == 0)
			return node->attrs[i].value;
	}
	return NULL;
}

const struct xml_node *xml_child(const struct xml_node *node, const char *name)
{
	const struct xml_node *child = node->child;

	while (child != NULL && strcmp(child->name, name) != 0)
		child = child->next;
	return child;
}
