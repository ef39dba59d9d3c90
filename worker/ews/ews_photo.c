/* ews_photo.c - a contact's picture: a line of its card, an attachment of its own on the server.
 *
 * An attachment is made and removed by requests of its own, after the contact is written. The new one is made
 * before the old ones are removed, and of several the last counts: whatever an interruption leaves is one of both
 * pictures. Who finds several removes the others. A new contact whose picture is refused does not stay.
 */
#include "ews_step.h"

#include "../../common/mem.h"
#include "../data/text.h"

#define NAME "ContactPicture.jpg"        /* whatever it is; MS-OXOCNTC 2.2.1.8 */
#define READ_BYTES ((size_t)4 << 20)     /* of pictures in one answer */
#define PIECE ((size_t)64 << 10)

/* --- of a card --- */

/* The server refuses a request with something else in it. */
static bool is_base64(struct span text)
{
	struct ews_base64 state = { 0 };
	struct buf out;
	bool good = text.n > 0;

	buf_init(&out, 2 * PIECE);
	while (good && text.n > 0) {
		struct span piece = span_cut(text, 0, PIECE);

		buf_clear(&out);
		good = ews_base64_decode(&state, piece, &out);
		text = span_cut(text, piece.n, text.n);
	}
	buf_free(&out);
	return good && (state.n + state.pad) % 4 == 0;
}

bool ews_photo_of(struct arena *arena, const struct record *r, struct ews_photo *photo_r)
{
	struct content_line line;
	size_t at;

	*photo_r = (struct ews_photo){ .type = SPAN_NONE };
	if (r->kind == RECORD_GROUP || !ews_get_line(arena, r, "VCARD", "PHOTO", &line) ||
	    !span_starts_nocase(line.value, "data:"))
		return false;
	at = span_find_nocase(line.value, ";base64,");
	if (at == SIZE_MAX || !is_base64(span_cut(line.value, at + 8, line.value.n)))
		return false;
	photo_r->type = span_cut(line.value, 5, at - 5);
	photo_r->base64 = span_cut(line.value, at + 8, line.value.n);
	return true;
}

void ews_photo_print(struct buf *b, const struct ews_photo *photo)
{
	buf_add_str(b, "<t:FileAttachment>");
	ews_el(b, "Name", SPAN_LIT(NAME));
	if (photo->type.n > 0)
		ews_el(b, "ContentType", photo->type);
	ews_el_bool(b, "IsContactPhoto", true);
	ews_el(b, "Content", photo->base64);
	buf_add_str(b, "</t:FileAttachment>");
}

/* --- of an item --- */

static bool is_type(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < 'a' || s.p[i] > 'z') && (s.p[i] < '0' || s.p[i] > '9') && s.p[i] != '/' &&
		    s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '+')
			return false;
	return span_starts_nocase(s, "image/");
}

/* What the server says that it is, or else what its first bytes say. */
static struct span type_of(struct arena *arena, struct span told, struct span base64)
{
	static const struct { const char *begin, *type; } known[] = {
		{ "iVBORw0KGgo", "image/png" }, { "R0lGOD", "image/gif" }, { "Qk", "image/bmp" },
	};

	told = text_lower(arena, span_trim(span_cut(told, 0, span_find(told, 0, ';'))));
	if (is_type(told))
		return told;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (span_eq_str(span_cut(span_trim(base64), 0, strlen(known[i].begin)), known[i].begin))
			return span_of(known[i].type);
	return SPAN_LIT("image/jpeg");
}

static void take_content(struct ews_rec *r, struct span told, struct span content)
{
	r->photo.base64 = text_base64(r->arena, content);
	r->photo.type = arena_span(r->arena, type_of(r->arena, told, content));
}

void ews_photo_note(struct ews_rec *r, const struct ews_object *o)
{
	static const char path[] = "Attachments/FileAttachment";
	size_t at = 0;

	while (ews_next(o, path, &at) != NULL) {
		struct span id = ews_below(o, at - 1, "AttachmentId@Id");
		struct span content = ews_below(o, at - 1, "Content");

		if (!ews_true(ews_below(o, at - 1, "IsContactPhoto")))
			continue;
		if (content.n > 0)
			take_content(r, ews_below(o, at - 1, "ContentType"), content);
		if (id.n == 0)
			continue;
		r->photos = arena_grow(r->arena, r->photos, r->n_photos, sizeof(*r->photos), &r->cap_photos);
		r->photos[r->n_photos++] = arena_span(r->arena, id);
		(void)span_u64(ews_below(o, at - 1, "Size"), SIZE_MAX, &r->photo_bytes);
	}
}

void ews_photo_line(const struct ews_photo *photo, struct buf *text)
{
	if (photo->base64.n > 0)
		buf_printf(text, "PHOTO;ENCODING=b;MEDIATYPE=" SPAN_FMT ":" SPAN_FMT "\r\n", SPAN_ARG(photo->type),
			   SPAN_ARG(photo->base64));
}

/* --- reading --- */

static void begin_get(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "<m:GetAttachment><m:AttachmentIds>");
}

static enum code one_get(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	const struct ews_rec *r = el->what;

	(void)ctx;
	(void)err;
	ews_id(b, "AttachmentId", r->photos[r->n_photos - 1], SPAN_NONE);
	return E_OK;
}

static void end_get(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:AttachmentIds></m:GetAttachment>");
}

static enum code on_photo(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct ews_rec *r = el->what;

	(void)ctx;
	if (!span_eq(ews_text(o, "AttachmentId@Id"), r->photos[r->n_photos - 1]))
		return err_set(err, E_PROTOCOL, "the server answered about another picture than it was asked for");
	if (arena_left(r->arena) < 4 * ews_text(o, "Content").n)
		return err_set(err, E_ITEM_TOO_BIG, "there is no room for so many pictures at once");
	take_content(r, ews_text(o, "ContentType"), ews_text(o, "Content"));
	return E_OK;
}

enum code ews_photos_read(struct ews *e, struct arena *arena, struct ews_rec *r, size_t n, struct err *err)
{
	struct ews_batch b = {
		.e = e, .arena = arena, .what = "reading a picture", .items = EWS_SMALL_BATCH, .bytes = READ_BYTES,
		.begin = begin_get, .one = one_get, .end = end_get, .object = on_photo,
	};
	struct ews_el *els = mem_calloc(n, sizeof(*els));
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (r[i].code == E_OK && r[i].n_photos > 0 && !r[i].no_photo)
			els[k++] = (struct ews_el){ .what = &r[i], .code = E_CANCELLED,
						    .bytes = (size_t)r[i].photo_bytes * 4 / 3 };
	enum code rc = k > 0 ? ews_batch_run(&b, els, k, err) : E_OK;
	for (size_t i = 0; rc == E_OK && i < k; i++) {
		struct ews_rec *of = els[i].what;

		if (els[i].code == E_OK)
			continue;
		of->code = els[i].code == E_ITEM_GONE ? E_ITEM_CHANGED : els[i].code;
		of->text = els[i].code == E_ITEM_GONE ? "its picture was changed meanwhile" : els[i].text;
	}
	mem_free(els);
	return rc;
}

/* --- removing --- */

/* One that is to go. */
struct old {
	struct ews_step *s;              /* NULL: nobody's */
	struct span id;
};

static void begin_delete(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "<m:DeleteAttachment><m:AttachmentIds>");
}

static enum code one_delete(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	(void)ctx;
	(void)err;
	ews_id(b, "AttachmentId", ((struct old *)el->what)->id, SPAN_NONE);
	return E_OK;
}

static void end_delete(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:AttachmentIds></m:DeleteAttachment>");
}

static enum code remove_all(struct ews *e, struct arena *arena, struct old *olds, struct ews_el *els, size_t n,
			    struct err *err)
{
	struct ews_batch b = {
		.e = e, .arena = arena, .what = "removing a picture", .items = EWS_SMALL_BATCH, .bytes = SIZE_MAX,
		.writes = true, .begin = begin_delete, .one = one_delete, .end = end_delete,
	};

	for (size_t i = 0; i < n; i++)
		els[i] = (struct ews_el){ .what = &olds[i], .code = E_CANCELLED };
	return n > 0 ? ews_batch_run(&b, els, n, err) : E_OK;
}

enum code ews_photos_settle(struct ews *e, struct arena *arena, struct ews_rec *r, size_t n, struct err *err)
{
	size_t total = 0, k = 0;

	for (size_t i = 0; i < n; i++)
		total += r[i].code == E_OK && r[i].n_photos > 1 ? r[i].n_photos - 1 : 0;
	struct old *olds = mem_calloc(total + 1, sizeof(*olds));
	struct ews_el *els = mem_calloc(total + 1, sizeof(*els));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; r[i].code == E_OK && j + 1 < r[i].n_photos; j++)
			olds[k++] = (struct old){ .id = r[i].photos[j] };
	enum code rc = remove_all(e, arena, olds, els, k, err);
	mem_free(olds);
	mem_free(els);
	return rc;
}

/* --- writing --- */

void ews_photo_compare(struct ews_step *s, const struct ews_rec *now)
{
	struct ews_photo there, wanted;
	bool has = ews_photo_of(s->arena, now->plain, &there), wants = ews_photo_of(s->arena, s->wanted, &wanted);

	s->photo_new = wants && !(has && span_eq(there.base64, wanted.base64) && span_eq(there.type, wanted.type));
	if (s->photo_new || !wants) {
		s->photos = now->photos;
		s->n_photos = now->n_photos;
	}
}

static void begin_create(void *ctx, struct buf *b, struct ews_el *first)
{
	const struct ews_step *s = first->what;

	(void)ctx;
	buf_add_str(b, "<m:CreateAttachment>");
	buf_add_str(b, "<m:ParentItemId Id=\"");
	ews_xml(b, s->op->kind == EP_CREATE ? s->op->new_id : s->op->id);
	buf_add_str(b, "\" ChangeKey=\"");
	ews_xml(b, s->op->new_version);
	buf_add_str(b, "\"/><m:Attachments>");
}

static enum code one_create(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	const struct ews_step *s = el->what;
	struct ews_photo photo;

	(void)ctx;
	if (!ews_photo_of(s->arena, s->wanted, &photo))
		return err_set(err, E_INTERNAL, "a picture that is none was to be written");
	ews_photo_print(b, &photo);
	return E_OK;
}

static void end_create(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:Attachments></m:CreateAttachment>");
}

static enum code on_created(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct ews_step *s = el->what;

	(void)ctx;
	(void)err;
	s->op->new_version = arena_span(s->arena, ews_text(o, "AttachmentId@RootItemChangeKey"));
	return E_OK;
}

static bool stands(const struct ews_step *s, enum ep_op_kind kind)
{
	return s->op->kind == kind && s->op->code == E_OK && s->part_code == E_OK;
}

static void part_failed(struct ews_step *s, const struct ews_el *el, enum code side)
{
	if (el->code == E_CANCELLED && side == E_OK)
		return;
	s->part_code = el->code == E_CANCELLED ? E_ITEM_UNCERTAIN : el->code;
	s->part_text = el->text != NULL ? el->text : "its picture is not written yet";
}

static enum code make_new(struct ews *e, struct arena *arena, enum ep_op_kind kind, struct ews_step *steps, size_t n,
			  struct err *err)
{
	struct ews_batch b = {
		.e = e, .arena = arena, .what = "storing a picture", .items = 1, .bytes = SIZE_MAX, .writes = true,
		.begin = begin_create, .one = one_create, .end = end_create, .object = on_created,
	};
	struct ews_el *els = mem_calloc(n, sizeof(*els));
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (stands(&steps[i], kind) && steps[i].photo_new)
			els[k++] = (struct ews_el){ .what = &steps[i], .code = E_CANCELLED };
	enum code rc = k > 0 ? ews_batch_run(&b, els, k, err) : E_OK;
	for (size_t i = 0; i < k; i++)
		if (els[i].code != E_OK)
			part_failed(els[i].what, &els[i], rc);
	mem_free(els);
	return rc;
}

static enum code remove_old(struct ews *e, struct arena *arena, enum ep_op_kind kind, struct ews_step *steps, size_t n,
			    struct err *err)
{
	size_t total = 1, k = 0;

	for (size_t i = 0; i < n; i++)
		total += steps[i].n_photos;
	struct old *olds = mem_calloc(total, sizeof(*olds));
	struct ews_el *els = mem_calloc(total, sizeof(*els));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; stands(&steps[i], kind) && j < steps[i].n_photos; j++) {
			olds[k++] = (struct old){ &steps[i], steps[i].photos[j] };
			steps[i].op->new_version = SPAN_NONE;   /* another one, which is not told */
		}
	enum code rc = remove_all(e, arena, olds, els, k, err);
	for (size_t i = 0; i < k; i++)
		if (els[i].code != E_OK && els[i].code != E_ITEM_GONE)
			part_failed(olds[i].s, &els[i], rc);
	mem_free(olds);
	mem_free(els);
	return rc;
}

enum code ews_photos_write(struct ews *e, struct arena *arena, enum ep_op_kind kind, struct ews_step *steps, size_t n,
			   struct err *err)
{
	enum code rc = make_new(e, arena, kind, steps, n, err);

	return rc == E_OK ? remove_old(e, arena, kind, steps, n, err) : rc;
}
