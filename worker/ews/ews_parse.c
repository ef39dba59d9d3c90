/* ews_parse.c - the SAX states of an answer: envelope, response, message, object.
 * Its tests: tests/unit/t_ews_parse.c, tests/fuzz/fuzz_ews_parse.c.
 */
#include "ews_parse.h"

#include "../../common/mem.h"
#include "../../common/xml_stream.h"

#define SOAP "http://schemas.xmlsoap.org/soap/envelope/"
#define DEPTH_MAX 48
#define TAG_MAX ((size_t)256 << 10)
#define OBJECT_MEMORY ((size_t)256 << 20)
#define PATH_MAX_BYTES 1024

enum place {
	P_ENVELOPE, P_HEADER, P_BODY, P_RESPONSE, P_MESSAGES,
	P_MESSAGE,                       /* the message itself, or the fault, and what is in it */
	P_CONTAINER,                     /* its children are objects */
	P_OBJECT, P_SKIP
};

struct frame {
	enum place place;
	size_t path;                     /* length of the path at its parent */
	size_t entry;                    /* in its list; SIZE_MAX: none */
	bool leaf, mime;
};

struct list {
	struct arena *arena;
	struct ews_entry *e;
	size_t n, cap;
};

struct ews_parser {
	struct xml_stream *xml;
	const struct ews_handler *handler;
	void *ctx;
	struct frame stack[DEPTH_MAX];
	unsigned int depth, object_depth;   /* object_depth: of the object's own frame, 0 = in none */
	char path[PATH_MAX_BYTES];
	size_t path_n;
	struct buf text;
	struct list object, message;
	struct span name, change;        /* of the object; in object.arena */
	size_t messages;
	bool in_fault, ended;
	struct buf fault, fault_text;
	uint32_t fault_wait;
	unsigned int major, minor;
};

/* --- looking into objects --- */

struct span ews_text(const struct ews_object *o, const char *path)
{
	size_t at = 0;
	const struct ews_entry *e = ews_next(o, path, &at);

	return e != NULL ? e->text : SPAN_NONE;
}

const struct ews_entry *ews_next(const struct ews_object *o, const char *path, size_t *at)
{
	while (*at < o->n) {
		const struct ews_entry *e = &o->e[(*at)++];

		if (span_eq_str(e->path, path))
			return e;
	}
	return NULL;
}

bool ews_within(const struct ews_object *o, size_t from, size_t at)
{
	struct span outer = o->e[from].path, inner = o->e[at].path;

	return inner.n > outer.n && memcmp(inner.p, outer.p, outer.n) == 0 &&
	       (inner.p[outer.n] == '/' || inner.p[outer.n] == '@');
}

struct span ews_below(const struct ews_object *o, size_t from, const char *path)
{
	for (size_t i = from + 1; i < o->n && ews_within(o, from, i); i++)
		if (span_eq_str(span_cut(o->e[i].path, o->e[from].path.n + 1, o->e[i].path.n), path))
			return o->e[i].text;
	return SPAN_NONE;
}

bool ews_true(struct span text)
{
	return span_eq_str(text, "true") || span_eq_str(text, "1");
}

/* "0x0E07", "0xe07", "3591" */
static bool number_is(struct span text, unsigned int wanted)
{
	unsigned int n = 0;
	bool hex = text.n > 2 && text.p[0] == '0' && (text.p[1] == 'x' || text.p[1] == 'X');

	for (size_t i = hex ? 2 : 0; i < text.n; i++) {
		char c = text.p[i];
		unsigned int digit = c >= '0' && c <= '9' ? (unsigned int)(c - '0')
				   : hex && c >= 'a' && c <= 'f' ? (unsigned int)(c - 'a') + 10
				   : hex && c >= 'A' && c <= 'F' ? (unsigned int)(c - 'A') + 10 : 99;

		if (digit == 99 || n > 0xffffff)
			return false;
		n = n * (hex ? 16 : 10) + digit;
	}
	return text.n > 0 && n == wanted;
}

#define URI "ExtendedProperty/ExtendedFieldURI@"

static bool is_prop(const struct ews_object *o, size_t from, size_t to, const struct ews_prop *p)
{
	const struct ews_object one = { .e = o->e + from, .n = to - from };
	struct span set = ews_text(&one, URI "PropertySetId");

	if (p->tag != 0)
		return number_is(ews_text(&one, URI "PropertyTag"), p->tag);
	if (set.n == 0)
		set = ews_text(&one, URI "DistinguishedPropertySetId");
	if (!span_eq_nocase_str(set, p->set))
		return false;
	return p->id != 0 ? number_is(ews_text(&one, URI "PropertyId"), p->id)
			  : span_eq_nocase_str(ews_text(&one, URI "PropertyName"), p->name);
}

struct span ews_ext(const struct ews_object *o, const struct ews_prop *p)
{
	size_t at = 0;

	while (ews_next(o, "ExtendedProperty", &at) != NULL) {
		size_t from = at - 1, to = at;

		while (to < o->n && ews_within(o, from, to))
			to++;
		if (!is_prop(o, from, to, p))
			continue;
		const struct ews_object one = { .e = o->e + from, .n = to - from };
		return ews_text(&one, "ExtendedProperty/Value");
	}
	return SPAN_NONE;
}

static bool ends_with(struct span path, const char *end)
{
	size_t n = strlen(end);

	return path.n >= n && memcmp(path.p + path.n - n, end, n) == 0;
}

uint32_t ews_back_off(const struct ews_object *m)
{
	uint64_t ms;

	for (size_t i = 1; i < m->n; i++)
		if (ends_with(m->e[i].path, "MessageXml/Value@Name") &&
		    span_eq_str(m->e[i].text, "BackOffMilliseconds") &&
		    span_u64(span_trim(m->e[i - 1].text), UINT32_MAX, &ms))
			return (uint32_t)ms;
	return 0;
}

/* --- entries --- */

static struct list *list_of(struct ews_parser *p)
{
	return p->object_depth > 0 ? &p->object : &p->message;
}

static enum code add_entry(struct ews_parser *p, struct span text, struct err *err)
{
	struct list *l = list_of(p);

	if (l->n >= EWS_ENTRIES_MAX || arena_left(l->arena) < p->path_n + text.n + 4 * l->cap * sizeof(*l->e) + 65536)
		return err_set(err, E_PROTOCOL, "the server sent an object that is too large");
	l->e = arena_grow(l->arena, l->e, l->n, sizeof(*l->e), &l->cap);
	l->e[l->n].path = arena_span(l->arena, span_bytes(p->path, p->path_n));
	l->e[l->n++].text = arena_span(l->arena, text);
	return E_OK;
}

static enum code keep_text(struct ews_parser *p, size_t entry, struct err *err)
{
	struct list *l = list_of(p);

	if (arena_left(l->arena) < p->text.n + 65536)
		return err_set(err, E_PROTOCOL, "the server sent an object that is too large");
	l->e[entry].text = arena_span(l->arena, buf_span(&p->text));
	return E_OK;
}

static bool push_path(struct ews_parser *p, char separator, struct span name)
{
	size_t n = p->path_n;

	if (n + name.n + 2 > sizeof(p->path))
		return false;
	if (n > 0 || separator == '@')
		p->path[n++] = separator;
	memcpy(p->path + n, name.p, name.n);
	p->path_n = n + name.n;
	return true;
}

static enum code add_attrs(struct ews_parser *p, const struct xml_attr *attrs, size_t n, struct err *err)
{
	size_t path = p->path_n;
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < n; i++) {
		if (!push_path(p, '@', span_of(attrs[i].name)))
			return err_set(err, E_PROTOCOL, "the server sent names that are too long");
		rc = add_entry(p, span_of(attrs[i].value), err);
		p->path_n = path;
	}
	return rc;
}

static void forget(struct list *l)
{
	arena_reset(l->arena);
	l->e = NULL;
	l->n = l->cap = 0;
}

/* --- elements --- */

static bool is_container(struct span name)
{
	static const char *const names[] = { "Items", "Folders", "Create", "Update", "Attachments",
					     "ResolutionSet" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_eq_str(name, names[i]))
			return true;
	return false;
}

static void read_version(struct ews_parser *p, const struct xml_attr *attrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = 0;

		if (!span_u64(span_of(attrs[i].value), 100000, &v))
			continue;
		if (strcmp(attrs[i].name, "MajorVersion") == 0)
			p->major = (unsigned int)v;
		else if (strcmp(attrs[i].name, "MinorVersion") == 0)
			p->minor = (unsigned int)v;
	}
}

/* What an element in a message is. */
static enum place place_in_message(struct ews_parser *p, enum place parent, struct span name)
{
	if (p->in_fault || (parent != P_MESSAGE && parent != P_CONTAINER))
		return parent;
	if (is_container(name))
		return P_CONTAINER;
	if (parent == P_CONTAINER || span_eq_str(name, "Delete") || span_eq_str(name, "ReadFlagChange"))
		return P_OBJECT;
	return P_MESSAGE;
}

static enum code place_of(struct ews_parser *p, struct span ns, struct span name, enum place *place_r, struct err *err)
{
	enum place parent = p->depth > 0 ? p->stack[p->depth - 1].place : P_SKIP;

	if (p->depth == 0) {
		*place_r = P_ENVELOPE;
		return span_eq_str(ns, SOAP) && span_eq_str(name, "Envelope") ? E_OK
			: err_set(err, E_PROTOCOL, "the answer is no SOAP envelope");
	}
	switch (parent) {
	case P_ENVELOPE:
		*place_r = span_eq_str(name, "Header") ? P_HEADER : span_eq_str(name, "Body") ? P_BODY : P_SKIP;
		break;
	case P_BODY:
		p->in_fault = span_eq_str(ns, SOAP) && span_eq_str(name, "Fault");
		*place_r = p->in_fault ? P_MESSAGE : P_RESPONSE;
		break;
	case P_RESPONSE:
		*place_r = span_eq_str(name, "ResponseMessages") ? P_MESSAGES : P_SKIP;
		break;
	case P_MESSAGES:
		*place_r = P_MESSAGE;
		break;
	case P_HEADER:
	case P_SKIP:
		*place_r = P_SKIP;
		break;
	case P_MESSAGE:
	case P_CONTAINER:
	case P_OBJECT:
		*place_r = place_in_message(p, parent, name);
		break;
	}
	return E_OK;
}

static void begin_object(struct ews_parser *p, struct span name)
{
	struct span parent = span_bytes(p->path, p->path_n);
	size_t slash = parent.n;

	while (slash > 0 && parent.p[slash - 1] != '/')
		slash--;
	parent = span_cut(parent, slash, parent.n);
	forget(&p->object);
	p->object_depth = p->depth;
	p->name = arena_span(p->object.arena, name);
	p->change = span_eq_str(parent, "Create") || span_eq_str(parent, "Update")
		  ? arena_span(p->object.arena, parent) : SPAN_NONE;
}

static enum code on_open(void *ctx, struct span ns, struct span name, const struct xml_attr *attrs, size_t n,
			 struct err *err)
{
	struct ews_parser *p = ctx;
	enum place place = P_SKIP;
	enum code rc = place_of(p, ns, name, &place, err);

	if (rc != E_OK)
		return rc;
	if (p->depth >= DEPTH_MAX)
		return err_set(err, E_PROTOCOL, "the answer is nested too deeply");
	if (p->depth > 0)
		p->stack[p->depth - 1].leaf = false;
	struct frame *f = &p->stack[p->depth++];
	*f = (struct frame){ .place = place, .path = p->path_n, .entry = SIZE_MAX, .leaf = true };
	buf_clear(&p->text);
	if (place == P_SKIP && p->depth == 3 && span_eq_str(name, "ServerVersionInfo"))
		read_version(p, attrs, n);
	if (place == P_MESSAGE && p->stack[p->depth - 2].place != P_MESSAGE &&
	    p->stack[p->depth - 2].place != P_CONTAINER) {
		forget(&p->message);         /* a message begins */
		p->path_n = 0;
		return add_attrs(p, attrs, n, err);
	}
	if (place == P_OBJECT && p->object_depth == 0) {
		begin_object(p, name);
		p->path_n = 0;
		return add_attrs(p, attrs, n, err);
	}
	if (place != P_MESSAGE && place != P_CONTAINER && place != P_OBJECT)
		return E_OK;
	if (!push_path(p, '/', name))
		return err_set(err, E_PROTOCOL, "the server sent names that are too long");
	f->mime = place == P_OBJECT && p->handler->mime != NULL && span_eq_str(name, "MimeContent") &&
		  p->depth == p->object_depth + 1;
	f->entry = list_of(p)->n;
	rc = add_entry(p, SPAN_NONE, err);
	return rc == E_OK ? add_attrs(p, attrs, n, err) : rc;
}

static enum code on_text(void *ctx, struct span piece, struct err *err)
{
	struct ews_parser *p = ctx;
	struct frame *f = p->depth > 0 ? &p->stack[p->depth - 1] : NULL;

	if (f == NULL || f->entry == SIZE_MAX || !f->leaf)
		return E_OK;
	if (f->mime)
		return p->handler->mime(p->ctx, p->messages, piece, err);
	buf_add_span(&p->text, piece);
	return p->text.overflow ? err_set(err, E_PROTOCOL, "the server sent a text that is too long") : E_OK;
}

static void keep_fault(struct ews_parser *p)
{
	const struct ews_object m = { .e = p->message.e, .n = p->message.n };
	struct span code = SPAN_NONE;

	for (size_t i = 0; i < m.n && code.n == 0; i++)
		if (ends_with(m.e[i].path, "/ResponseCode"))
			code = m.e[i].text;
	if (code.n == 0) {                   /* "a:ErrorServerBusy" */
		code = ews_text(&m, "faultcode");
		size_t colon = span_find(code, 0, ':');
		code = span_cut(code, colon == SIZE_MAX ? 0 : colon + 1, code.n);
	}
	buf_clear(&p->fault);
	buf_add_span(&p->fault, code.n > 0 ? span_cut(code, 0, 100) : SPAN_LIT("Fault"));
	buf_clear(&p->fault_text);
	buf_add_span(&p->fault_text, span_cut(ews_text(&m, "faultstring"), 0, 200));
	p->fault_wait = ews_back_off(&m);
}

static enum code end_message(struct ews_parser *p, struct err *err)
{
	const struct ews_object m = { .e = p->message.e, .n = p->message.n };
	enum code rc = E_OK;

	if (p->in_fault) {
		keep_fault(p);
		return E_OK;
	}
	if (p->handler->message != NULL)
		rc = p->handler->message(p->ctx, p->messages, &m, err);
	p->messages++;
	return rc;
}

static enum code on_close(void *ctx, struct err *err)
{
	struct ews_parser *p = ctx;
	struct frame *f = &p->stack[--p->depth];
	enum place parent = p->depth > 0 ? p->stack[p->depth - 1].place : P_SKIP;
	enum code rc = f->entry != SIZE_MAX && f->leaf && !f->mime ? keep_text(p, f->entry, err) : E_OK;

	if (rc != E_OK)
		return rc;
	if (p->text.cap > 65536)
		buf_free(&p->text);
	buf_clear(&p->text);
	p->path_n = f->path;
	if (f->place == P_OBJECT && p->object_depth == p->depth + 1) {
		const struct ews_object o = { p->name, p->change, p->object.e, p->object.n };

		p->object_depth = 0;
		if (p->handler->object != NULL)
			rc = p->handler->object(p->ctx, p->messages, &o, err);
	} else if (f->place == P_MESSAGE && (parent == P_MESSAGES || parent == P_BODY)) {
		rc = end_message(p, err);
	}
	return rc;
}

/* --- life --- */

struct ews_parser *ews_parser_new(const struct ews_handler *handler, void *ctx, size_t text_bytes, size_t total_bytes)
{
	static const struct xml_stream_ops ops = { on_open, on_text, on_close };
	const struct xml_limits limits = { E_PROTOCOL, total_bytes, TAG_MAX, DEPTH_MAX };
	struct ews_parser *p = mem_alloc(sizeof(*p));

	p->handler = handler;
	p->ctx = ctx;
	p->object.arena = arena_new(OBJECT_MEMORY);
	p->message.arena = arena_new(OBJECT_MEMORY);
	buf_init(&p->text, text_bytes);
	buf_init(&p->fault, 256);
	buf_init(&p->fault_text, 512);
	p->xml = xml_stream_new(&ops, p, &limits);
	return p;
}

void ews_parser_free(struct ews_parser **parser)
{
	struct ews_parser *p = *parser;

	*parser = NULL;
	if (p == NULL)
		return;
	xml_stream_free(&p->xml);
	arena_free(&p->object.arena);
	arena_free(&p->message.arena);
	buf_free(&p->text);
	buf_free(&p->fault);
	buf_free(&p->fault_text);
	mem_free(p);
}

enum code ews_parser_feed(void *parser, struct span piece, struct err *err)
{
	struct ews_parser *p = parser;

	return xml_stream_feed(p->xml, piece, err);
}

enum code ews_parser_end(struct ews_parser *p, struct err *err)
{
	return xml_stream_end(p->xml, err);
}

struct span ews_parser_fault(const struct ews_parser *p)
{
	return buf_span(&p->fault);
}

struct span ews_parser_fault_text(const struct ews_parser *p)
{
	return buf_span(&p->fault_text);
}

uint32_t ews_parser_fault_wait(const struct ews_parser *p)
{
	return p->fault_wait;
}

unsigned int ews_parser_major(const struct ews_parser *p)
{
	return p->major;
}

unsigned int ews_parser_minor(const struct ews_parser *p)
{
	return p->minor;
}
