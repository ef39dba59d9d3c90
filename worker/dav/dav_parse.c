/* dav_parse.c - a stack of known elements over Expat's stream.
 *
 * 1. Nothing is kept over a response but the sync-token and a precondition: memory is bounded by the
 *    largest response, whatever the length of the multistatus.
 * 2. A propstat's properties count only when its status has come and is 2xx; the status stands behind them.
 * Its tests: tests/unit/t_dav_parse.c, tests/fuzz/fuzz_multistatus.c.
 */
#include "dav_parse.h"

#include "../../common/buf.h"
#include "../../common/mem.h"
#include "../../common/xml_stream.h"

#define DEPTH_MAX 32
#define TAG_MAX ((size_t)64 * 1024)
#define SHORT_MAX ((size_t)8 * 1024)   /* of every text that is no item */

/* What an element is, where it stands. */
enum el {
	EL_NONE, EL_MULTISTATUS, EL_RESPONSE, EL_HREF, EL_STATUS, EL_PROPSTAT, EL_PROP_STATUS, EL_PROP, EL_TOKEN,
	EL_ERROR, EL_PRECONDITION, EL_TEXT, EL_HREFS, EL_PROP_HREF, EL_TYPES, EL_REPORTS, EL_REPORT_IN,
	EL_COMPS, EL_CARDS, EL_SKIP
};

struct level {
	enum el el;
	unsigned int which;            /* enum dav_text, enum dav_href */
};

struct dav_parser {
	struct xml_stream *xml;
	dav_response_fn *fn;
	void *ctx;
	struct level stack[DEPTH_MAX + 1];
	unsigned int depth;
	struct arena *arena;           /* of one response */
	struct dav_response r;
	struct dav_props pending;      /* of the propstat that is open */
	unsigned int pending_status;
	struct span *more;             /* further hrefs of the response, with its status */
	size_t n_more, cap_more;
	bool multistatus;
	size_t item_bytes;
	struct buf text;
	bool wanted;                   /* the innermost element's text is kept */
	struct buf token, precondition;
};

/* --- names --- */

struct name {
	const char *ns, *name;
};
static const struct name texts[DAV_TEXTS] = {
#define X(id, uri, local) [DAV_TEXT_##id] = { uri, local },
	DAV_TEXT_LIST(X)
#undef X
};
static const struct name hrefs[DAV_HREFS] = {
#define X(id, uri, local) [DAV_HREF_##id] = { uri, local },
	DAV_HREF_LIST(X)
#undef X
};
static const struct {
	const char *prop;
	struct name is;
} marks[DAV_MARKS] = {
#define X(id, property, uri, local) [DAV_MARK_##id] = { property, { uri, local } },
	DAV_MARK_LIST(X)
#undef X
};

static bool is(struct span ns, struct span name, const char *want_ns, const char *want)
{
	return span_eq_str(name, want) && span_eq_str(ns, want_ns);
}

static bool find(const struct name *table, size_t n, struct span ns, struct span name, unsigned int *which_r)
{
	for (size_t i = 0; i < n; i++) {
		if (!is(ns, name, table[i].ns, table[i].name))
			continue;
		*which_r = (unsigned int)i;
		return true;
	}
	return false;
}

static void mark(struct dav_parser *p, const char *prop, struct span ns, struct span name)
{
	for (size_t i = 0; i < DAV_MARKS; i++)
		if (strcmp(marks[i].prop, prop) == 0 && is(ns, name, marks[i].is.ns, marks[i].is.name))
			p->pending.marks |= 1U << i;
}

/* --- opening --- */

static enum el in_prop(struct dav_parser *p, struct span ns, struct span name, unsigned int *which)
{
	if (find(texts, DAV_TEXTS, ns, name, which))
		return EL_TEXT;
	if (find(hrefs, DAV_HREFS, ns, name, which))
		return EL_HREFS;
	if (is(ns, name, DAV_D, "resourcetype")) {
		p->pending.has_types = true;
		return EL_TYPES;
	}
	if (is(ns, name, DAV_D, "supported-report-set"))
		return EL_REPORTS;
	if (is(ns, name, DAV_CAL, "supported-calendar-component-set")) {
		p->pending.has_comps = true;
		return EL_COMPS;
	}
	if (is(ns, name, DAV_CARD, "supported-address-data")) {
		p->pending.has_cards = true;
		return EL_CARDS;
	}
	return EL_SKIP;
}

static const char *attr(const struct xml_attr *attrs, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(attrs[i].name, name) == 0)
			return attrs[i].value;
	return "";
}

static void take_comp(struct dav_parser *p, struct span name, const struct xml_attr *attrs, size_t n)
{
	struct span comp = span_of(attr(attrs, n, "name"));

	if (!span_eq_str(name, "comp"))
		return;
	p->pending.comps |= span_eq_nocase_str(comp, "VEVENT") ? DAV_VEVENT
			  : span_eq_nocase_str(comp, "VTODO") ? DAV_VTODO : DAV_OTHER_COMP;
}

static void take_card(struct dav_parser *p, struct span name, const struct xml_attr *attrs, size_t n)
{
	if (!span_eq_str(name, "address-data-type"))
		return;
	if (strcmp(attr(attrs, n, "version"), "4.0") == 0)
		p->pending.cards |= DAV_VCARD_4;
	else if (strcmp(attr(attrs, n, "version"), "3.0") == 0)
		p->pending.cards |= DAV_VCARD_3;
}

static void begin_response(struct dav_parser *p)
{
	arena_reset(p->arena);
	p->r = (struct dav_response){ .href = SPAN_NONE };
	p->more = NULL;
	p->n_more = p->cap_more = 0;
}

static enum el in_response(struct dav_parser *p, struct span ns, struct span name)
{
	if (!span_eq_str(ns, DAV_D))
		return EL_SKIP;
	if (span_eq_str(name, "href"))
		return EL_HREF;
	if (span_eq_str(name, "status"))
		return EL_STATUS;
	if (span_eq_str(name, "error"))
		return EL_ERROR;
	if (!span_eq_str(name, "propstat"))
		return EL_SKIP;
	p->pending = (struct dav_props){ .marks = 0 };
	p->pending_status = 0;
	return EL_PROPSTAT;
}

static enum el in_propstat(struct span ns, struct span name)
{
	if (is(ns, name, DAV_D, "prop"))
		return EL_PROP;
	if (is(ns, name, DAV_D, "status"))
		return EL_PROP_STATUS;
	return is(ns, name, DAV_D, "error") ? EL_ERROR : EL_SKIP;
}

static enum el at_root(struct dav_parser *p, struct span ns, struct span name)
{
	if (is(ns, name, DAV_D, "multistatus")) {
		p->multistatus = true;
		return EL_MULTISTATUS;
	}
	return is(ns, name, DAV_D, "error") ? EL_ERROR : EL_SKIP;
}

static enum el in_multistatus(struct dav_parser *p, struct span ns, struct span name)
{
	if (is(ns, name, DAV_D, "response")) {
		begin_response(p);
		return EL_RESPONSE;
	}
	return is(ns, name, DAV_D, "sync-token") ? EL_TOKEN : EL_SKIP;
}

/* In <error>: the first element is what it is about. */
static enum el in_error(struct dav_parser *p, struct span name)
{
	if (p->precondition.n == 0)
		buf_add_span(&p->precondition, name);
	if (p->r.precondition.n == 0 && arena_left(p->arena) > name.n + SHORT_MAX)
		p->r.precondition = arena_span(p->arena, name);
	return EL_PRECONDITION;
}

static enum code on_open(void *ctx, struct span ns, struct span name, const struct xml_attr *attrs, size_t n,
			 struct err *err)
{
	struct dav_parser *p = ctx;
	struct level l = { EL_SKIP, 0 };

	(void)err;
	switch (p->stack[p->depth].el) {
	case EL_NONE: l.el = at_root(p, ns, name); break;
	case EL_MULTISTATUS: l.el = in_multistatus(p, ns, name); break;
	case EL_RESPONSE: l.el = in_response(p, ns, name); break;
	case EL_PROPSTAT: l.el = in_propstat(ns, name); break;
	case EL_PROP: l.el = in_prop(p, ns, name, &l.which); break;
	case EL_ERROR: l.el = in_error(p, name); break;
	case EL_HREFS:
		l = (struct level){ is(ns, name, DAV_D, "href") ? EL_PROP_HREF : EL_SKIP, p->stack[p->depth].which };
		break;
	case EL_TYPES: mark(p, "resourcetype", ns, name); break;
	case EL_REPORTS:                        /* <supported-report><report><x/> */
	case EL_REPORT_IN:
		mark(p, "report", ns, name);
		l.el = EL_REPORT_IN;
		break;
	case EL_COMPS: take_comp(p, name, attrs, n); break;
	case EL_CARDS: take_card(p, name, attrs, n); break;
	case EL_HREF:
	case EL_STATUS:
	case EL_PROP_STATUS:
	case EL_TOKEN:
	case EL_PRECONDITION:
	case EL_TEXT:
	case EL_PROP_HREF:
	case EL_SKIP: break;
	}
	p->stack[++p->depth] = l;
	p->wanted = l.el == EL_HREF || l.el == EL_STATUS || l.el == EL_PROP_STATUS || l.el == EL_TOKEN ||
		    l.el == EL_TEXT || l.el == EL_PROP_HREF;
	if (p->wanted)
		buf_clear(&p->text);
	return E_OK;
}

static enum code on_text(void *ctx, struct span piece, struct err *err)
{
	struct dav_parser *p = ctx;

	(void)err;
	if (p->wanted)
		buf_add_span(&p->text, piece);
	return E_OK;
}

/* --- closing --- */

/* "HTTP/1.1 404 Not Found" */
static unsigned int status_of(struct span text)
{
	size_t blank = span_find(text, 0, ' ');
	uint64_t status = 0;

	if (blank != SIZE_MAX)
		(void)span_u64(span_cut(text, blank + 1, 3), 999, &status);
	return (unsigned int)status;
}

static enum code too_long(struct err *err)
{
	return err_set(err, E_PROTOCOL, "the server's answer holds a text that is too long");
}

static enum code keep(struct dav_parser *p, struct span text, struct span *to, struct err *err)
{
	if (arena_left(p->arena) < text.n + SHORT_MAX)
		return too_long(err);
	*to = arena_span(p->arena, text);
	return E_OK;
}

static enum code tell(struct dav_parser *p, struct err *err)
{
	return p->fn != NULL ? p->fn(p->ctx, &p->r, err) : E_OK;
}

/* (href+, status): the others wait until the status is known. */
static enum code close_href(struct dav_parser *p, struct err *err)
{
	struct span text = span_trim(buf_span(&p->text));

	if (text.n > SHORT_MAX || arena_left(p->arena) < (p->cap_more * 2 + 16) * sizeof(*p->more) + SHORT_MAX)
		return too_long(err);
	if (p->r.href.n == 0)
		return keep(p, text, &p->r.href, err);
	p->more = arena_grow(p->arena, p->more, p->n_more, sizeof(*p->more), &p->cap_more);
	return keep(p, text, &p->more[p->n_more++], err);
}

static enum code close_response(struct dav_parser *p, struct err *err)
{
	enum code rc = p->r.href.n > 0 ? tell(p, err) : E_OK;

	for (size_t i = 0; rc == E_OK && p->r.status != 0 && i < p->n_more; i++) {
		p->r.href = p->more[i];
		rc = tell(p, err);
	}
	return rc;
}

static enum code close_text(struct dav_parser *p, unsigned int which, struct err *err)
{
	bool item = which == DAV_TEXT_EVENT || which == DAV_TEXT_CARD;
	struct span text = item ? buf_span(&p->text) : span_trim(buf_span(&p->text));

	if (item && p->text.overflow) {
		p->r.too_big = true;
		return E_OK;
	}
	if (!item && text.n > SHORT_MAX)
		return too_long(err);
	p->pending.has[which] = true;
	return keep(p, text, &p->pending.text[which], err);
}

static enum code close_prop_href(struct dav_parser *p, unsigned int which, struct err *err)
{
	struct span text = span_trim(buf_span(&p->text));
	size_t *n = &p->pending.n_href[which];

	if (text.n > SHORT_MAX)
		return too_long(err);
	if (text.n == 0 || *n == DAV_HREF_MAX)
		return E_OK;
	return keep(p, text, &p->pending.href[which][(*n)++], err);
}

static void close_propstat(struct dav_parser *p)
{
	struct dav_props *to = &p->r.props, *from = &p->pending;

	if (p->pending_status < 200 || p->pending_status > 299) {
		p->r.prop_status = p->pending_status;
		return;
	}
	to->has_types |= from->has_types;
	to->has_comps |= from->has_comps;
	to->has_cards |= from->has_cards;
	to->marks |= from->marks;
	to->comps |= from->comps;
	to->cards |= from->cards;
	for (size_t i = 0; i < DAV_TEXTS; i++) {
		if (!from->has[i])
			continue;
		to->has[i] = true;
		to->text[i] = from->text[i];
	}
	for (size_t i = 0; i < DAV_HREFS; i++) {
		if (from->n_href[i] == 0)
			continue;
		memcpy(to->href[i], from->href[i], sizeof(to->href[i]));
		to->n_href[i] = from->n_href[i];
	}
}

static enum code on_close(void *ctx, struct err *err)
{
	struct dav_parser *p = ctx;
	struct level l = p->stack[p->depth--];
	enum code rc = E_OK;

	p->wanted = false;
	switch (l.el) {
	case EL_RESPONSE: rc = close_response(p, err); break;
	case EL_HREF: rc = close_href(p, err); break;
	case EL_STATUS: p->r.status = status_of(span_trim(buf_span(&p->text))); break;
	case EL_PROP_STATUS: p->pending_status = status_of(span_trim(buf_span(&p->text))); break;
	case EL_PROPSTAT: close_propstat(p); break;
	case EL_TEXT: rc = close_text(p, l.which, err); break;
	case EL_PROP_HREF: rc = close_prop_href(p, l.which, err); break;
	case EL_TOKEN:
		buf_clear(&p->token);
		buf_add_span(&p->token, span_trim(buf_span(&p->text)));
		if (p->token.overflow)
			rc = too_long(err);
		break;
	case EL_NONE:
	case EL_MULTISTATUS:
	case EL_PROP:
	case EL_ERROR:
	case EL_PRECONDITION:
	case EL_HREFS:
	case EL_TYPES:
	case EL_REPORTS:
	case EL_REPORT_IN:
	case EL_COMPS:
	case EL_CARDS:
	case EL_SKIP: break;
	}
	return rc;
}

/* --- life --- */

static const struct xml_stream_ops ops = { on_open, on_text, on_close };

struct dav_parser *dav_parser_new(dav_response_fn *fn, void *ctx, size_t item_bytes, size_t total_bytes)
{
	struct dav_parser *p = mem_alloc(sizeof(*p));
	struct xml_limits limits = { E_PROTOCOL, total_bytes, TAG_MAX, DEPTH_MAX };

	p->xml = xml_stream_new(&ops, p, &limits);
	p->fn = fn;
	p->ctx = ctx;
	p->item_bytes = item_bytes;
	p->arena = arena_new(2 * item_bytes + 64 * SHORT_MAX);
	buf_init(&p->text, item_bytes);
	buf_init(&p->token, SHORT_MAX);
	buf_init(&p->precondition, SHORT_MAX);
	return p;
}

void dav_parser_free(struct dav_parser **parser)
{
	struct dav_parser *p = *parser;

	*parser = NULL;
	if (p == NULL)
		return;
	xml_stream_free(&p->xml);
	arena_free(&p->arena);
	buf_free(&p->text);
	buf_free(&p->token);
	buf_free(&p->precondition);
	mem_free(p);
}

enum code dav_parser_feed(void *parser, struct span piece, struct err *err)
{
	struct dav_parser *p = parser;

	return xml_stream_feed(p->xml, piece, err);
}

enum code dav_parser_end(struct dav_parser *p, struct err *err)
{
	return xml_stream_end(p->xml, err);
}

bool dav_parser_is_multistatus(const struct dav_parser *p)
{
	return p->multistatus;
}

struct span dav_parser_token(const struct dav_parser *p)
{
	return buf_span(&p->token);
}

struct span dav_parser_precondition(const struct dav_parser *p)
{
	return buf_span(&p->precondition);
}
