/* xml_stream.h - XML with namespaces, read piece by piece as it arrives from a server.
 *
 * The document is not kept. It is refused if it has a DOCTYPE (so there are no entities but the five
 * predefined ones), if it is nested too deeply, if it or one of its tags is too large, or if it is not
 * well-formed. Comments and processing instructions are skipped. Every text is UTF-8 without NUL.
 */
#ifndef MS_XML_STREAM_H
#define MS_XML_STREAM_H

#include "xml.h"

#define XML_STREAM_ATTRS 16            /* of one element; more are not shown */

/* A callback that fails ends the document with its code. Nothing points to anything after it returns. */
struct xml_stream_ops {
	/* ns is empty where the element is in no namespace; attributes in a namespace are left out */
	enum code (*open)(void *ctx, struct span ns, struct span name, const struct xml_attr *attrs, size_t n,
			  struct err *err);
	enum code (*text)(void *ctx, struct span piece, struct err *err);   /* in pieces of any size */
	enum code (*close)(void *ctx, struct err *err);
};

struct xml_stream;

/* limits->text_bytes is of one tag. */
struct xml_stream *xml_stream_new(const struct xml_stream_ops *ops, void *ctx, const struct xml_limits *limits);
void xml_stream_free(struct xml_stream **stream);        /* NULL inside is fine */
/* After a failure every further call fails the same way. */
enum code xml_stream_feed(struct xml_stream *stream, struct span piece, struct err *err) MS_MUST_USE;
/* No more comes: fails if the document is not complete. */
enum code xml_stream_end(struct xml_stream *stream, struct err *err) MS_MUST_USE;

#endif
