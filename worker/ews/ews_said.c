/* ews_said.c - what the fields of a record that is to be written would say of it: printed, read back by the same
 * code that reads the server's answers, and compared. The difference is what has no field.
 */
#include "ews_step.h"

static enum code on_object(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct ews_rec *r = ctx;

	(void)message;
	return ews_rec_add(r, o, r->comps.n > 0, err);
}

#define ENVELOPE \
	"<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:t=\"t\" xmlns:m=\"m\"><s:Body><m:R>" \
	"<m:ResponseMessages><m:M><m:Items>"

/* The element of one component, with what the server would add by itself. */
static enum code print_said(struct ews_step *s, const char *comp, const struct ews_occur *occur, struct buf *b,
			    struct err *err)
{
	enum ep_kind kind = s->op->folder->kind;
	const struct ews_mapper *map = ews_mapper_for((int)kind, s->wanted);
	char text[EWS_TIME_TEXT];
	struct ews_values vs;
	struct ews_photo photo;
	enum code rc = ews_values_of(s->e, s->arena, kind, s->wanted, comp, &s->members, &vs, err);

	if (rc != E_OK)
		return rc;
	buf_printf(b, "<t:%s>", map->element);
	ews_values_print(&vs, b);
	ews_prop_value(b, &ews_uid, s->wanted->uid);
	if (kind == EP_CONTACTS && ews_photo_of(s->arena, s->wanted, &photo)) {
		buf_add_str(b, "<t:Attachments>");
		ews_photo_print(b, &photo);
		buf_add_str(b, "</t:Attachments>");
	}
	if (kind == EP_EVENTS) {
		buf_add_str(b, "<t:Organizer><t:Mailbox>");
		ews_el(b, "EmailAddress", span_of(s->e->mailbox));
		buf_add_str(b, "</t:Mailbox></t:Organizer>");
	}
	if (occur != NULL)
		ews_el(b, "OriginalStart", span_of(ews_time(occur->utc, text)));
	for (size_t i = 0; occur == NULL && i < s->n_occurs; i++)
		if (s->occurs[i].comp == NULL)
			buf_printf(b, "<t:DeletedOccurrences><t:DeletedOccurrence><t:Start>%s</t:Start>"
				   "</t:DeletedOccurrence></t:DeletedOccurrences>", ews_time(s->occurs[i].utc, text));
	buf_printf(b, "</t:%s>", map->element);
	return E_OK;
}

enum code ews_step_rest(struct ews_step *s, struct err *err)
{
	static const struct ews_handler handler = { on_object, NULL, NULL };
	struct ews_rec said;
	struct ews_parser *p;
	struct buf b;

	ews_rec_init(&said, s->e, s->arena, s->op->folder->kind, SPAN_NONE);
	buf_init(&b, EWS_REQUEST_MAX);
	buf_add_str(&b, ENVELOPE);
	enum code rc = print_said(s, ews_comp_of(s->op->folder->kind), NULL, &b, err);
	for (size_t i = 0; rc == E_OK && i < s->n_occurs; i++)
		if (s->occurs[i].comp != NULL)
			rc = print_said(s, s->occurs[i].comp, &s->occurs[i], &b, err);
	buf_add_str(&b, "</m:Items></m:M></m:ResponseMessages></m:R></s:Body></s:Envelope>");
	p = ews_parser_new(&handler, &said, EWS_TEXT_MAX, EWS_REQUEST_MAX);
	if (rc == E_OK)
		rc = ews_parser_feed(p, buf_span(&b), err);
	if (rc == E_OK)
		rc = ews_parser_end(p, err);
	if (rc == E_OK) {
		ews_group_said(s, &said);
		rc = ews_rec_finish(&said, err);
	}
	if (rc == E_OK)
		rc = ews_rest_make(s->arena, said.plain, s->wanted, &s->rest, err);
	ews_parser_free(&p);
	ews_rec_free(&said);
	buf_free(&b);
	return rc;
}

enum code ews_step_parse(struct ews_step *s, struct err *err)
{
	struct ews_photo photo;
	struct span text;
	enum code rc = body_text(s->op->body, s->arena, &text, err);

	if (rc == E_OK)
		rc = record_parse(s->arena, text, &s->wanted, err);
	if (rc != E_OK)
		return rc;
	if (s->op->folder->kind == EP_EVENTS)
		s->n_occurs = ews_occurs_of(s->arena, s->wanted, s->e->zone, &s->occurs);
	if (s->op->folder->kind == EP_CONTACTS)
		s->photo_new = ews_photo_of(s->arena, s->wanted, &photo);
	if (s->n_occurs > 0)
		rc = ews_pending_text(s->arena, s->wanted, &s->pending, err);
	return rc;
}
