/* xml_stream.c - Expat, pushed. A tag that does not end is refused early: Expat reads it again from its
 * beginning with every piece.
 */
#include "xml_stream.h"

#include "mem.h"

#include <expat.h>

#define NS_MARK ' '                    /* Expat: "URI local"; cannot be part of a name */

struct xml_stream {
	XML_Parser expat;
	const struct xml_stream_ops *ops;
	void *ctx;
	struct xml_limits limits;
	uint64_t fed;
	unsigned int depth;
	enum code rc;                  /* sticky */
	struct err err;
};

static void stop(struct xml_stream *x, enum code rc)
{
	if (rc == E_OK || x->rc != E_OK)
		return;
	x->rc = rc;
	XML_StopParser(x->expat, XML_FALSE);
}

static void fail(struct xml_stream *x, const char *what)
{
	if (x->rc == E_OK)
		stop(x, err_set(&x->err, x->limits.code, "XML line %lu: %s",
				(unsigned long)XML_GetCurrentLineNumber(x->expat), what));
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system, const XML_Char *public, int internal)
{
	(void)name, (void)system, (void)public, (void)internal;
	fail(ctx, "a DOCTYPE is not accepted");
}

static size_t plain_attrs(const XML_Char **raw, struct xml_attr out[XML_STREAM_ATTRS])
{
	size_t n = 0;

	for (; raw[0] != NULL && n < XML_STREAM_ATTRS; raw += 2)
		if (strchr(raw[0], NS_MARK) == NULL)
			out[n++] = (struct xml_attr){ raw[0], raw[1] };
	return n;
}

static void on_open(void *ctx, const XML_Char *name, const XML_Char **raw)
{
	struct xml_stream *x = ctx;
	struct xml_attr attrs[XML_STREAM_ATTRS];
	struct span whole = span_of(name);
	size_t mark = span_find(whole, 0, NS_MARK);
	struct span ns = mark == SIZE_MAX ? SPAN_NONE : span_cut(whole, 0, mark);

	if (x->rc != E_OK)
		return;
	if (++x->depth > x->limits.depth)
		return fail(x, "elements are nested too deeply");
	stop(x, x->ops->open(x->ctx, ns, mark == SIZE_MAX ? whole : span_cut(whole, mark + 1, whole.n), attrs,
			     plain_attrs(raw, attrs), &x->err));
}

static void on_close(void *ctx, const XML_Char *name)
{
	struct xml_stream *x = ctx;

	(void)name;
	if (x->rc != E_OK)
		return;
	x->depth--;
	stop(x, x->ops->close(x->ctx, &x->err));
}

static void on_text(void *ctx, const XML_Char *p, int n)
{
	struct xml_stream *x = ctx;

	if (x->rc == E_OK && n > 0)
		stop(x, x->ops->text(x->ctx, span_bytes(p, (size_t)n), &x->err));
}

struct xml_stream *xml_stream_new(const struct xml_stream_ops *ops, void *ctx, const struct xml_limits *limits)
{
	struct xml_stream *x = mem_alloc(sizeof(*x));

	x->ops = ops;
	x->ctx = ctx;
	x->limits = *limits;
	x->err = (struct err)ERR_INIT;
	x->expat = XML_ParserCreateNS(NULL, NS_MARK);
	if (x->expat == NULL) {
		x->rc = err_set(&x->err, E_INTERNAL, "no memory for an XML parser");
		return x;
	}
	XML_SetUserData(x->expat, x);
	XML_SetStartDoctypeDeclHandler(x->expat, on_doctype);
	XML_SetElementHandler(x->expat, on_open, on_close);
	XML_SetCharacterDataHandler(x->expat, on_text);
	return x;
}

void xml_stream_free(struct xml_stream **stream)
{
	struct xml_stream *x = *stream;

	*stream = NULL;
	if (x == NULL)
		return;
	if (x->expat != NULL)
		XML_ParserFree(x->expat);
	mem_free(x);
}

static enum code outcome(struct xml_stream *x, struct err *err)
{
	if (x->rc != E_OK && err != NULL)
		*err = x->err;
	return x->rc;
}

static enum code parse(struct xml_stream *x, struct span piece, bool last, struct err *err)
{
	if (x->rc != E_OK)
		return outcome(x, err);
	if (piece.n > x->limits.bytes || x->fed > x->limits.bytes - piece.n) {
		x->rc = err_set(&x->err, x->limits.code, "the XML is larger than %zu bytes", x->limits.bytes);
		return outcome(x, err);
	}
	x->fed += piece.n;
	if (XML_Parse(x->expat, piece.p, (int)piece.n, last) != XML_STATUS_OK)
		fail(x, XML_ErrorString(XML_GetErrorCode(x->expat)));
	XML_Index at = XML_GetCurrentByteIndex(x->expat);

	if (x->rc == E_OK && at >= 0 && x->fed - (uint64_t)at > piece.n + x->limits.text_bytes)
		fail(x, "a tag is too long");
	return outcome(x, err);
}

enum code xml_stream_feed(struct xml_stream *x, struct span piece, struct err *err)
{
	enum code rc = x->rc;

	for (size_t at = 0; rc == E_OK && at < piece.n; at += 65536)
		rc = parse(x, span_cut(piece, at, 65536), false, err);
	return piece.n == 0 || rc == E_OK ? outcome(x, err) : rc;
}

enum code xml_stream_end(struct xml_stream *x, struct err *err)
{
	return parse(x, SPAN_LIT(""), true, err);
}
