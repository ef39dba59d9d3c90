/* ews_read.c - describe and fetch of mails.
 *
 * What a message is told by is the header of what a fetch gives: Exchange makes the MIME anew each time, and what
 * it makes is what the other side gets. Of a message that we created, its own identity fields were kept with it. Of one
 * whose MIME the server cannot make, properties tell: it is found again like any other, and a fetch says what is wrong.
 */
#include "ews.h"
#include "ews_record.h"

#include "../../common/mem.h"
#include "../data/mailkey.h"

#define PIECE 65536

/* What a describe asks for, until it knows enough. */
enum stage { OURS, MIME, PROPERTIES };

/* A message on its way in. */
struct reading {
	struct ews *e;
	struct arena *arena;
	const struct ep_folder *folder;
	struct span id;
	struct ep_meta *meta;            /* one of the two */
	struct ep_fetch *fetch;
	struct ews_base64 base64;
	struct buf header;               /* describe: as much of the MIME as its header takes */
	enum stage stage;
	bool header_done, refused, seen;
	struct body *body;
	uint64_t size;
};

static void property_fields(struct buf *b)
{
	ews_field(b, "item:InternetMessageHeaders");
	ews_field(b, "item:Subject");
	ews_field(b, "item:DateTimeSent");
	ews_field(b, "message:InternetMessageId");
}

static void begin_get(void *ctx, struct buf *b, struct ews_el *first)
{
	const struct reading *r = first->what;
	bool mime = r->fetch != NULL || r->stage == MIME;

	(void)ctx;
	buf_add_str(b, "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>");
	if (mime)
		buf_add_str(b, "<t:IncludeMimeContent>true</t:IncludeMimeContent>");
	buf_add_str(b, "<t:AdditionalProperties>");
	ews_field(b, "item:Size");
	ews_field(b, "item:DateTimeReceived");
	if (r->fetch != NULL)
		ews_flag_fields(r->e, b);
	else if (r->stage == PROPERTIES)
		property_fields(b);
	else
		ews_prop_uri(b, &ews_identity);
	ews_prop_uri(b, &ews_delivery_time);
	ews_prop_uri(b, &ews_search_key);
	buf_add_str(b, "</t:AdditionalProperties></m:ItemShape><m:ItemIds>");
}

static enum code one_get(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	(void)ctx;
	(void)err;
	ews_id(b, "ItemId", ((struct reading *)el->what)->id, SPAN_NONE);
	return E_OK;
}

static void end_get(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemIds></m:GetItem>");
}

/* --- MIME --- */

static bool header_complete(const struct buf *b, size_t from)
{
	struct span s = buf_span(b);

	for (size_t i = from > 3 ? from - 3 : 0; i + 1 < s.n; i++)
		if (s.p[i] == '\n' && (s.p[i + 1] == '\n' || (i + 2 < s.n && s.p[i + 1] == '\r' && s.p[i + 2] == '\n')))
			return true;
	return false;
}

static enum code on_header(struct reading *r, struct span decoded)
{
	size_t before = r->header.n;

	r->size += decoded.n;
	if (r->header_done)
		return E_OK;
	buf_add_span(&r->header, span_cut(decoded, 0, BODY_HEADER_MAX - r->header.n));
	r->header_done = r->header.n >= BODY_HEADER_MAX || header_complete(&r->header, before);
	return E_OK;
}

static enum code on_mime(void *ctx, struct ews_el *el, struct span piece, struct err *err)
{
	struct reading *r = el->what;
	struct buf out;
	enum code rc = E_OK;

	(void)ctx;
	if (r->refused)
		return E_OK;
	buf_init(&out, PIECE * 2);
	while (piece.n > 0 && rc == E_OK) {
		struct span part = span_cut(piece, 0, PIECE);

		buf_clear(&out);
		piece = span_cut(piece, part.n, piece.n);
		if (!ews_base64_decode(&r->base64, part, &out)) {
			r->refused = true;
			break;
		}
		if (r->fetch == NULL) {
			rc = on_header(r, buf_span(&out));
			continue;
		}
		if (r->body == NULL)
			r->body = body_new(r->e->ep->env.spool_dir, 0);
		rc = body_add(r->body, out.p, out.n, err);
	}
	buf_free(&out);
	return rc;
}

/* --- properties --- */

static int64_t received_of(const struct ews_object *o)
{
	int64_t s;

	return ews_read_time(ews_ext(o, &ews_delivery_time), &s, NULL) ||
	       ews_read_time(ews_text(o, "DateTimeReceived"), &s, NULL) ? s : INT64_MIN;
}

static struct span key_of(struct arena *arena, const struct ews_object *o)
{
	struct span text = ews_ext(o, &ews_search_key), key = SPAN_NONE;
	struct ews_base64 state = { 0 };
	struct buf out;

	buf_init(&out, 1024);
	if (text.n > 0 && ews_base64_decode(&state, text, &out) && !out.overflow)
		key = arena_span(arena, buf_span(&out));
	buf_free(&out);
	return key;
}

static void add_field(struct buf *b, struct span name, struct span value)
{
	if (value.n == 0)
		return;
	buf_printf(b, SPAN_FMT ": ", SPAN_ARG(name));
	for (size_t i = 0; i < value.n; i++)
		buf_add_char(b, value.p[i] == '\r' || value.p[i] == '\n' ? ' ' : value.p[i]);
	buf_add_str(b, "\r\n");
}

/* The header as it came in; what never came in has none, and its properties stand for one. */
static void header_of_properties(struct buf *header, const struct ews_object *o)
{
	const struct ews_entry *e;
	size_t at = 0;

	while ((e = ews_next(o, "InternetMessageHeaders/InternetMessageHeader", &at)) != NULL)
		if (at < o->n && span_eq_str(o->e[at].path, "InternetMessageHeaders/InternetMessageHeader@HeaderName"))
			add_field(header, o->e[at].text, e->text);
	if (header->n > 0)
		return;
	add_field(header, SPAN_LIT("Message-ID"), ews_text(o, "InternetMessageId"));
	add_field(header, SPAN_LIT("Subject"), ews_text(o, "Subject"));
	add_field(header, SPAN_LIT("Date"), ews_text(o, "DateTimeSent"));
}

static enum code on_described(struct reading *r, const struct ews_object *o)
{
	struct ep_meta *m = r->meta;
	struct span ours = ews_ext(o, &ews_identity);
	struct ews_base64 state = { 0 };
	struct buf out;

	m->received = received_of(o);
	m->key = key_of(r->arena, o);
	if (r->size == 0)
		(void)span_u64(ews_text(o, "Size"), UINT64_MAX, &m->size);
	else
		m->size = r->size;
	if (r->stage == PROPERTIES)
		header_of_properties(&r->header, o);
	if (r->stage != OURS) {
		m->header = mailkey_fields(r->arena, buf_span(&r->header));
		return E_OK;
	}
	if (ours.n == 0)
		return E_OK;
	buf_init(&out, BODY_HEADER_MAX);
	if (ews_base64_decode(&state, ours, &out) && !out.overflow)
		m->header = arena_span(r->arena, buf_span(&out));
	buf_free(&out);
	return E_OK;
}

static enum code on_fetched(struct reading *r, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct ep_fetch *f = r->fetch;
	struct ews_flags flags;

	if (r->refused || r->body == NULL) {
		el->code = E_ITEM_REFUSED;
		el->text = r->refused ? "the server's base64 of the message is broken" :
			   "the server gives the message without its content";
		return E_OK;
	}
	ews_read_flags(r->arena, o, &flags);
	f->flags = flags.flags;
	f->keywords = flags.keywords;
	f->received = received_of(o);
	f->key = key_of(r->arena, o);
	f->body = r->body;
	r->body = NULL;
	return body_end(f->body, err);
}

static enum code on_object(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct reading *r = el->what;

	(void)ctx;
	if (!span_eq(ews_text(o, "ItemId@Id"), r->id))
		return err_set(err, E_PROTOCOL, "the server answered about another item than it was asked for");
	r->seen = true;
	return r->fetch != NULL ? on_fetched(r, el, o, err) : on_described(r, o);
}

/* --- the verbs --- */

static enum code run(struct ews *e, struct arena *arena, struct ews_el *els, size_t n, size_t items, struct err *err)
{
	struct ews_batch b = {
		.e = e, .arena = arena, .what = "reading a message", .items = items, .bytes = SIZE_MAX,
		.begin = begin_get, .one = one_get, .end = end_get, .object = on_object, .mime = on_mime,
	};

	return ews_batch_run(&b, els, n, err);
}

static void release(struct reading *r)
{
	buf_free(&r->header);
	if (r->body != NULL)
		body_free(&r->body);
}

/* An object that never came is an item that is not there. */
static void outcome(const struct ews_el *el, const struct reading *r, enum code *code_r, const char **text_r)
{
	*code_r = el->code == E_OK && !r->seen ? E_ITEM_GONE : el->code;
	if (text_r != NULL)
		*text_r = el->text;
}

static void ask_again(struct ews_el *el, struct reading *r, enum stage stage)
{
	el->code = E_CANCELLED;
	el->attempts = 0;
	el->alone = false;
	el->group = (size_t)stage;
	r->stage = stage;
	r->seen = r->header_done = r->refused = false;
	buf_clear(&r->header);
}

enum code ews_describe_verb(struct endpoint *ep, struct arena *arena, struct ep_meta *m, size_t n, struct err *err)
{
	struct reading *r = mem_calloc(n, sizeof(*r));
	struct ews_el *els = mem_calloc(n, sizeof(*els));

	for (size_t i = 0; i < n; i++) {
		m[i].code = E_CANCELLED;
		m[i].header = m[i].key = SPAN_NONE;
		m[i].size = 0;
		m[i].received = INT64_MIN;
		r[i] = (struct reading){ .e = ep->impl, .arena = arena, .folder = m[i].folder, .id = m[i].id,
					 .meta = &m[i] };
		buf_init(&r[i].header, BODY_HEADER_MAX);
		els[i] = (struct ews_el){ .what = &r[i], .code = E_CANCELLED };
	}
	enum code rc = run(ep->impl, arena, els, n, EWS_BATCH, err);
	for (size_t i = 0; i < n; i++) {
		outcome(&els[i], &r[i], &m[i].code, NULL);
		if (m[i].code == E_OK && m[i].header.n == 0)
			ask_again(&els[i], &r[i], MIME);
	}
	if (rc == E_OK)
		rc = run(ep->impl, arena, els, n, EWS_SMALL_BATCH, err);
	for (size_t i = 0; i < n; i++)
		if (r[i].stage == MIME && (els[i].code == E_ITEM_REFUSED || els[i].code == E_ITEM_TOO_BIG))
			ask_again(&els[i], &r[i], PROPERTIES);
	if (rc == E_OK)
		rc = run(ep->impl, arena, els, n, EWS_BATCH, err);
	for (size_t i = 0; i < n; i++) {
		outcome(&els[i], &r[i], &m[i].code, NULL);
		release(&r[i]);
	}
	mem_free(r);
	mem_free(els);
	return rc;
}

static enum code fetch_mail(struct ews *e, struct arena *arena, struct ep_fetch **f, size_t n, struct err *err)
{
	struct reading *r = mem_calloc(n, sizeof(*r));
	struct ews_el *els = mem_calloc(n, sizeof(*els));

	for (size_t i = 0; i < n; i++) {
		r[i] = (struct reading){ .e = e, .arena = arena, .folder = f[i]->folder, .id = f[i]->id,
					.fetch = f[i] };
		els[i] = (struct ews_el){ .what = &r[i], .code = E_CANCELLED };
	}
	enum code rc = run(e, arena, els, n, EWS_SMALL_BATCH, err);
	for (size_t i = 0; i < n; i++) {
		outcome(&els[i], &r[i], &f[i]->code, &f[i]->text);
		if (f[i]->code != E_OK && f[i]->body != NULL) {
			body_free(&f[i]->body);
			f[i]->body = NULL;
		}
		release(&r[i]);
	}
	mem_free(r);
	mem_free(els);
	return rc;
}

enum code ews_fetch_verb(struct endpoint *ep, struct arena *arena, struct ep_fetch *f, size_t n, struct err *err)
{
	struct ep_fetch **mails = mem_calloc(n, sizeof(*mails)), **records = mem_calloc(n, sizeof(*records));
	size_t n_mails = 0, n_records = 0;
	enum code rc = E_OK;

	for (size_t i = 0; i < n; i++) {
		f[i].code = E_CANCELLED;
		f[i].text = NULL;
		f[i].body = NULL;
		f[i].flags = 0;
		f[i].keywords = NULL;
		f[i].received = INT64_MIN;
		f[i].key = f[i].version = SPAN_NONE;
		if (f[i].folder->kind == EP_MAIL)
			mails[n_mails++] = &f[i];
		else
			records[n_records++] = &f[i];
	}
	if (n_mails > 0)
		rc = fetch_mail(ep->impl, arena, mails, n_mails, err);
	if (rc == E_OK && n_records > 0)
		rc = ews_records_fetch(ep->impl, arena, records, n_records, err);
	mem_free(mails);
	mem_free(records);
	return rc;
}
