/* xml.c - documents into small trees, by libxml2's SAX interface.
 *
 * Why our own `rc` and not libxml2's wellFormed: after xmlStopParser() wellFormed is still 1 in
 * 2.9.14. Why no tree of libxml2's: it would build (and expand) before anybody can refuse.
 */
#include "xml.h"

#include "buf.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlerror.h>

#define XSI "http://www.w3.org/2001/XMLSchema-instance"
#define NODE_COST 512             /* arena bytes that a new element must find left */

struct xml_parser {
	xmlParserCtxt *ctxt;
	struct arena *arena;
	const char *name;
	const struct xml_limits *limits;
	struct xml_node *root, *open; /* open: the innermost element not yet ended */
	struct xml_node **last[64];   /* per depth: where the next child is hung */
	struct buf text[64];          /* per depth: the element's own text */
	unsigned depth;
	enum code rc;                 /* sticky; the only sign that counts */
	struct err *err;
};

static xmlParserInput *no_entity(const char *url, const char *id, xmlParserCtxt *ctxt)
{
	(void)url;
	(void)id;
	(void)ctxt;
	return NULL;
}

static void fail(struct xml_parser *x, const char *what)
{
	if (x->rc != E_OK)
		return;
	x->rc = err_set(x->err, x->limits->code, "%s:%d: %s", x->name,
			xmlSAX2GetLineNumber(x->ctxt), what);
	xmlStopParser(x->ctxt);
}

static void on_doctype(void *ctx, const xmlChar *name, const xmlChar *id, const xmlChar *url)
{
	(void)name;
	(void)id;
	(void)url;
	fail(ctx, "a DOCTYPE is not accepted; remove it");
}

static struct span span_xml(const xmlChar *from, const xmlChar *to)
{
	return (struct span){ (const char *)from, (size_t)(to - from) };
}

/* libxml2 leaves every '&' of an attribute as "&#38;" when it does not replace entities. */
static const char *attr_value(struct arena *arena, struct span raw)
{
	char *out = arena_str(arena, raw);
	size_t n = 0;

	for (size_t i = 0; i < raw.n; i++) {
		out[n++] = raw.p[i];
		if (raw.n - i >= 5 && memcmp(raw.p + i, "&#38;", 5) == 0)
			i += 4;
	}
	out[n] = '\0';
	return out;
}

/* `raw` holds five pointers per attribute: name, prefix, URI, value, end of the value. */
static void take_attrs(struct xml_parser *x, struct xml_node *node, int n, const xmlChar **raw)
{
	struct xml_attr *attrs = arena_calloc(x->arena, (size_t)n, sizeof(*attrs));

	for (int i = 0; i < n && x->rc == E_OK; i++, raw += 5) {
		struct span value = span_xml(raw[3], raw[4]);

		if (raw[2] != NULL && strcmp((const char *)raw[2], XSI) == 0)
			continue;
		if (raw[2] != NULL)
			return fail(x, "attributes in a namespace are not accepted");
		if (value.n > x->limits->text_bytes)
			return fail(x, "an attribute is too long");
		if (arena_left(x->arena) < value.n + NODE_COST)
			return fail(x, "the document is too large");
		attrs[node->n_attrs].name = arena_str(x->arena, span_of((const char *)raw[0]));
		attrs[node->n_attrs].value = attr_value(x->arena, value);
		node->n_attrs++;
	}
	node->attrs = attrs;
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
		     int n_ns, const xmlChar **ns, int n_attrs, int n_defaulted,
		     const xmlChar **attrs)
{
	struct xml_parser *x = ctx;

	(void)prefix;
	(void)n_ns;
	(void)ns;
	(void)n_defaulted;
	if (x->rc != E_OK)
		return;
	if (uri != NULL || xmlStrchr(name, ':') != NULL)
		return fail(x, "elements in a namespace are not accepted");
	if (x->depth >= x->limits->depth)
		return fail(x, "elements are nested too deeply");
	if (arena_left(x->arena) < NODE_COST + (size_t)n_attrs * sizeof(struct xml_attr))
		return fail(x, "the document has too many elements");
	if (xmlStrlen(name) > 256)
		return fail(x, "an element's name is too long");

	struct xml_node *node = arena_alloc(x->arena, sizeof(*node));
	node->name = arena_str(x->arena, span_of((const char *)name));
	node->line = xmlSAX2GetLineNumber(x->ctxt);
	node->text = "";
	node->parent = x->open;
	take_attrs(x, node, n_attrs, attrs);
	*x->last[x->depth] = node;
	x->last[x->depth] = &node->next;
	x->open = node;
	x->last[++x->depth] = &node->child;
	buf_clear(&x->text[x->depth]);
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct xml_parser *x = ctx;

	(void)name;
	(void)prefix;
	(void)uri;
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

static void on_text(void *ctx, const xmlChar *p, int n)
{
	struct xml_parser *x = ctx;

	if (x->rc == E_OK && x->depth > 0 && n > 0)
		buf_add(&x->text[x->depth], p, (size_t)n);
}

static void on_error(void *ctx, xmlError *error)
{
	struct xml_parser *x = ctx;

	if (x->rc != E_OK || error->level < XML_ERR_ERROR)
		return;
	struct span text = span_trim(span_of(error->message));
	x->rc = err_set(x->err, x->limits->code, "%s:%d: not well-formed XML: %.*s", x->name,
			error->line, text.n > 200 ? 200 : (int)text.n,
			text.n > 0 ? text.p : "unknown error");
	xmlStopParser(x->ctxt);
}

static void run(struct xml_parser *x, struct span data)
{
	xmlSAXHandler sax = {
		.initialized = XML_SAX2_MAGIC,
		.internalSubset = on_doctype,
		.externalSubset = on_doctype,
		.startElementNs = on_start,
		.endElementNs = on_end,
		.characters = on_text,
		.ignorableWhitespace = on_text,
		.cdataBlock = on_text,
		.serror = on_error,
	};

	xmlSetExternalEntityLoader(no_entity);
	x->ctxt = xmlCreatePushParserCtxt(&sax, x, NULL, 0, NULL);
	if (x->ctxt == NULL) {
		x->rc = err_set(x->err, E_INTERNAL, "libxml2 gave no parser");
		return;
	}
	xmlCtxtUseOptions(x->ctxt, XML_PARSE_NONET);
	xmlParseChunk(x->ctxt, data.p, (int)data.n, 1);
	if (x->rc == E_OK && (!x->ctxt->wellFormed || x->root == NULL || x->open != NULL))
		fail(x, "not well-formed XML");
	if (x->ctxt->myDoc != NULL)
		xmlFreeDoc(x->ctxt->myDoc);
	x->ctxt->myDoc = NULL;
	xmlFreeParserCtxt(x->ctxt);
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
