/* ews_record.c - records as they are on the server: fields, exceptions, and what goes beside them.
 *
 * A contact or task that another client made has no UID: it gets one from the key that stays with it when it is
 * moved. An exception that is gone when it is asked for has become as the rule says.
 */
#include "ews_record.h"

#include "../../common/mem.h"
#include "../data/text.h"

#include <stdio.h>

#define COMPS_MAX ((size_t)16 << 20)

void ews_rec_init(struct ews_rec *r, struct ews *e, struct arena *arena, enum ep_kind kind, struct span id)
{
	*r = (struct ews_rec){ .e = e, .arena = arena, .map = ews_mapper_of((int)kind), .kind = kind, .id = id,
			       .code = E_CANCELLED };
	buf_init(&r->comps, COMPS_MAX);
}

void ews_rec_free(struct ews_rec *r)
{
	buf_free(&r->comps);
}

const char *ews_comp_of(enum ep_kind kind)
{
	return kind == EP_CONTACTS ? "VCARD" : kind == EP_TASKS ? "VTODO" : "VEVENT";
}

enum code ews_values_of(struct ews *e, struct arena *arena, enum ep_kind kind, const struct record *record,
			const char *comp, const struct ews_members *members, struct ews_values *vs, struct err *err)
{
	const struct ews_mapper *map = ews_mapper_for((int)kind, record);

	*vs = (struct ews_values){ .arena = arena, .order = map->order, .mailbox = e->mailbox, .home = e->zone,
				   .members = members };
	return map->to_values(record, comp, vs, err);
}

/* --- components --- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#define KEYED "ews-"

struct span ews_uid_of(struct arena *arena, struct span id, const struct ews_object *o)
{
	struct span uid = ews_text(o, "UID"), own = ews_ext(o, &ews_uid), key = ews_ext(o, &ews_search_key);
	struct ews_base64 state = { 0 };
	struct buf bytes, out;

	if (uid.n > 0 || own.n > 0)
		return arena_span(arena, uid.n > 0 ? uid : own);
	buf_init(&bytes, 1024);
	buf_init(&out, 4096);
	buf_add_str(&out, KEYED);
	if (key.n > 0 && ews_base64_decode(&state, key, &bytes))
		for (size_t i = 0; i < bytes.n; i++)
			buf_printf(&out, "%02x", (unsigned int)(unsigned char)bytes.p[i]);
	else
		buf_printf(&out, "%016llx", (unsigned long long)span_hash(id));
	uid = arena_span(arena, buf_span(&out));
	buf_free(&bytes);
	buf_free(&out);
	return uid;
}

struct span ews_uid_key(struct arena *arena, struct span uid)
{
	struct span hex = span_cut(uid, strlen(KEYED), uid.n), key = SPAN_NONE;
	bool good = span_starts_nocase(uid, KEYED) && hex.n > 0 && hex.n % 2 == 0;
	struct buf bytes, out;

	buf_init(&bytes, 1024);
	buf_init(&out, 4096);
	for (size_t i = 0; good && i < hex.n; i += 2) {
		int high = hex_digit(hex.p[i]), low = hex_digit(hex.p[i + 1]);

		good = high >= 0 && low >= 0;
		buf_add_char(&bytes, (char)(high << 4 | low));
	}
	ews_base64(&out, buf_span(&bytes));
	if (good && !bytes.overflow)
		key = arena_span(arena, buf_span(&out));
	buf_free(&bytes);
	buf_free(&out);
	return key;
}

static void stamp(struct buf *b, const struct ews_object *o, const char *name)
{
	struct ews_start s = { 0 };

	if (ews_read_time(ews_text(o, "LastModifiedTime"), &s.local_s, NULL))
		ews_start_line(b, name, &s);
}

enum code ews_rec_add(struct ews_rec *r, const struct ews_object *o, bool exception, struct err *err)
{
	const char *comp = ews_comp_of(r->kind);
	struct buf *b = &r->comps;

	if (!exception) {
		r->uid = ews_uid_of(r->arena, r->id, o);
		r->rest = arena_span(r->arena, ews_ext(o, &ews_rest));
		r->pending = arena_span(r->arena, ews_ext(o, &ews_pending));
	}
	buf_printf(b, "BEGIN:%s\r\n", comp);
	if (r->kind == EP_CONTACTS)
		buf_add_str(b, "VERSION:3.0\r\n");
	ews_line(b, r->arena, "UID", "", r->uid);
	stamp(b, o, r->kind == EP_CONTACTS ? "REV" : "LAST-MODIFIED");
	if (ews_mapper_named((int)r->kind, o->name) != NULL)
		r->map = ews_mapper_named((int)r->kind, o->name);
	enum code rc = r->map->to_text(r->arena, o, exception ? &r->start : NULL, exception ? NULL : &r->start, b, err);
	if (r->kind != EP_CONTACTS)
		buf_printf(b, "END:%s\r\n", comp);
	else if (r->map == &ews_group_mapper)
		ews_group_note(r->arena, o, &r->members);   /* it ends behind its members */
	else
		ews_photo_note(r, o);        /* and this behind its picture */
	return rc;
}

enum code ews_rec_finish(struct ews_rec *r, struct err *err)
{
	struct buf whole;
	enum code rc = E_OK;

	buf_init(&whole, COMPS_MAX + 256);
	if (r->kind != EP_CONTACTS)
		buf_add_str(&whole, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n");
	buf_add_span(&whole, buf_span(&r->comps));
	if (r->kind == EP_CONTACTS) {
		rc = ews_group_lines(r->arena, &r->members, &whole, err);
		ews_photo_line(&r->photo, &whole);
	}
	buf_add_str(&whole, r->kind == EP_CONTACTS ? "END:VCARD\r\n" : "END:VCALENDAR\r\n");
	if (r->comps.overflow || whole.overflow)
		rc = err_set(err, E_ITEM_TOO_BIG, "the item is larger than %zu bytes", COMPS_MAX);
	if (rc == E_OK)
		rc = record_parse(r->arena, buf_span(&whole), &r->plain, err);
	buf_free(&whole);
	return rc;
}

/* --- reading --- */

void ews_rec_begin_get(struct buf *b, const struct ews_mapper *map)
{
	struct span rest = span_of(map->fields), name;

	buf_add_str(b, "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:BodyType>Text</t:BodyType>"
		    "<t:AdditionalProperties>");
	while (span_next(&rest, ' ', &name)) {
		char uri[80];

		snprintf(uri, sizeof(uri), SPAN_FMT, SPAN_ARG(name));
		ews_field(b, uri);
	}
	for (size_t i = 0; map->props[i] != NULL; i++)
		ews_prop_uri(b, map->props[i]);
	ews_prop_uri(b, &ews_uid);
	ews_prop_uri(b, &ews_rest);
	ews_prop_uri(b, &ews_pending);
	ews_prop_uri(b, &ews_search_key);
	buf_add_str(b, "</t:AdditionalProperties></m:ItemShape><m:ItemIds>");
}

/* One item that is asked for: a record, or an exception of one. */
struct get {
	struct ews_rec *r;
	struct span id;
	bool exception, seen;
};

static void begin_get(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	ews_rec_begin_get(b, ((struct get *)first->what)->r->map);
}

static enum code one_get(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	(void)ctx;
	(void)err;
	ews_id(b, "ItemId", ((struct get *)el->what)->id, SPAN_NONE);
	return E_OK;
}

static void end_get(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemIds></m:GetItem>");
}

static void note_exceptions(struct ews_rec *r, const struct ews_object *o)
{
	const struct ews_entry *e;
	size_t at = 0;

	while ((e = ews_next(o, "ModifiedOccurrences/Occurrence/ItemId@Id", &at)) != NULL) {
		r->occurrences = arena_grow(r->arena, r->occurrences, r->n_occurrences, sizeof(struct span),
					    &r->cap_occurrences);
		r->occurrences[r->n_occurrences++] = arena_span(r->arena, e->text);
	}
}

static enum code on_object(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct get *g = el->what;
	struct err why = ERR_INIT;
	enum code rc;

	(void)ctx;
	if (!g->exception && !span_eq(ews_text(o, "ItemId@Id"), g->id))
		return err_set(err, E_PROTOCOL, "the server answered about another item than it was asked for");
	if (ews_mapper_named((int)g->r->kind, o->name) == NULL) {
		el->code = E_ITEM_REFUSED;
		el->text = "this is an item of another kind";
		return E_OK;
	}
	g->seen = true;
	if (!g->exception) {
		g->r->change_key = arena_span(g->r->arena, ews_text(o, "ItemId@ChangeKey"));
		note_exceptions(g->r, o);
	}
	rc = ews_rec_add(g->r, o, g->exception, &why);
	if (rc != E_OK) {                    /* the message behind it says NoError and changes nothing of it */
		el->code = rc;
		el->text = arena_str(g->r->arena, span_of(err_text(&why)));
	}
	return E_OK;
}

static enum code run(struct ews *e, struct arena *arena, struct ews_el *els, size_t n, struct err *err)
{
	struct ews_batch b = {
		.e = e, .arena = arena, .what = "reading an item", .items = 50, .bytes = SIZE_MAX,
		.begin = begin_get, .one = one_get, .end = end_get, .object = on_object,
	};

	return ews_batch_run(&b, els, n, err);
}

static void fail(struct ews_rec *r, enum code rc, const char *text)
{
	r->code = rc;
	r->text = text;
}

static enum code read_exceptions(struct ews *e, struct arena *arena, struct ews_rec *r, size_t n, struct err *err)
{
	size_t total = 0, k = 0;

	for (size_t i = 0; i < n; i++)
		total += r[i].code == E_OK ? r[i].n_occurrences : 0;
	if (total == 0)
		return E_OK;
	struct get *g = mem_calloc(total, sizeof(*g));
	struct ews_el *els = mem_calloc(total, sizeof(*els));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; r[i].code == E_OK && j < r[i].n_occurrences; j++, k++) {
			g[k] = (struct get){ .r = &r[i], .id = r[i].occurrences[j], .exception = true };
			els[k] = (struct ews_el){ .what = &g[k], .code = E_CANCELLED };
		}
	enum code rc = run(e, arena, els, total, err);
	for (size_t i = 0; rc == E_OK && i < total; i++)
		if (els[i].code != E_OK && els[i].code != E_ITEM_GONE)
			fail(g[i].r, els[i].code, els[i].text);
	mem_free(g);
	mem_free(els);
	return rc;
}

enum code ews_recs_read(struct ews *e, struct arena *arena, struct ews_rec *r, size_t n, struct err *err)
{
	struct get *g = mem_calloc(n, sizeof(*g));
	struct ews_el *els = mem_calloc(n, sizeof(*els));

	for (size_t i = 0; i < n; i++) {
		g[i] = (struct get){ .r = &r[i], .id = r[i].id };
		els[i] = (struct ews_el){ .what = &g[i], .code = r[i].code, .group = (size_t)r[i].kind };
	}
	enum code rc = run(e, arena, els, n, err);
	for (size_t i = 0; rc == E_OK && i < n; i++)
		if (r[i].code == E_CANCELLED)
			fail(&r[i], els[i].code == E_OK && !g[i].seen ? E_ITEM_GONE : els[i].code, els[i].text);
	mem_free(g);
	mem_free(els);
	if (rc == E_OK)
		rc = read_exceptions(e, arena, r, n, err);
	if (rc == E_OK)
		rc = ews_photos_read(e, arena, r, n, err);
	if (rc == E_OK)
		rc = ews_groups_read(e, arena, r, n, err);
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct err why = ERR_INIT;
		enum code own = r[i].code == E_OK && r[i].plain == NULL ? ews_rec_finish(&r[i], &why) : E_OK;

		if (own != E_OK)
			fail(&r[i], own, arena_str(arena, span_of(err_text(&why))));
	}
	return rc;
}

/* --- fetch --- */

/* A task that was done and is not any more has no moment of completion. */
static struct record *mended(struct arena *arena, struct record *r)
{
	struct record_change c = { .comp = SPAN_LIT("VTODO"), .prop = SPAN_LIT("COMPLETED"), .inst = SPAN_LIT("") };
	struct record_patch patch = { .changes = &c, .n = 1 };
	const struct record_entry *e = record_find(r, c.comp, c.prop, c.inst);

	if (r->kind != RECORD_TASK || e == NULL ||
	    span_eq_str(record_text(arena, r, "VTODO", "STATUS"), "COMPLETED"))
		return r;
	c.before = e->value;
	c.after = SPAN_NONE;
	return record_apply(arena, r, &patch);
}

static enum code deliver(struct ews_rec *r, struct ep_fetch *f, struct err *err)
{
	struct record *full = mended(r->arena, ews_rest_apply(r->arena, r->plain, r->rest));
	struct buf text;
	enum code rc;

	buf_init(&text, 2 * COMPS_MAX);
	rc = record_print(r->arena, full, 0, &text, err);
	if (rc == E_OK)
		rc = body_of(r->e->ep->env.spool_dir, buf_span(&text), &f->body, err);
	f->version = r->change_key;
	buf_free(&text);
	return rc;
}

/* A series that an interrupted write has left is completed before anybody is told of it. */
static enum code complete(struct ews_rec *r, size_t n, struct err *err)
{
	enum code rc = E_OK;

	for (size_t i = 0; rc == E_OK && i < n; i++) {
		if (r[i].code != E_OK || r[i].pending.n == 0)
			continue;
		if (r[i].e->ep->env.looks_only)
			fail(&r[i], E_ITEM_UNCERTAIN,
			     "a change of this series was interrupted; the next pass completes it");
		else
			rc = ews_pending_complete(&r[i], err);
	}
	return rc;
}

enum code ews_records_fetch(struct ews *e, struct arena *arena, struct ep_fetch **f, size_t n, struct err *err)
{
	struct ews_rec *r = mem_calloc(n, sizeof(*r));

	for (size_t i = 0; i < n; i++)
		ews_rec_init(&r[i], e, arena, f[i]->folder->kind, f[i]->id);
	enum code rc = ews_recs_read(e, arena, r, n, err);
	if (rc == E_OK)
		rc = complete(r, n, err);
	if (rc == E_OK && !e->ep->env.looks_only)
		rc = ews_photos_settle(e, arena, r, n, err);
	for (size_t i = 0; i < n; i++) {
		struct err why = ERR_INIT;

		f[i]->code = r[i].code;
		f[i]->text = r[i].text;
		if (rc == E_OK && r[i].code == E_OK) {
			enum code own = deliver(&r[i], f[i], &why);

			f[i]->code = own;
			f[i]->text = own == E_OK ? NULL : arena_str(arena, span_of(err_text(&why)));
		}
		ews_rec_free(&r[i]);
	}
	mem_free(r);
	return rc;
}
