/* report.c - the plan as one JSON document, and how items are named to people. */
#include "report.h"

#include "../../common/clock.h"
#include "../../common/log.h"
#include "../data/words.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define SUBJECT_MAX 2000

/* The Subject decoded and made printable; "" if there is none. */
static const char *subject_of(struct arena *a, struct span header)
{
	char text[320] = "";
	struct buf out;

	buf_init(&out, 3 * SUBJECT_MAX);
	words_decode(span_cut(mailkey_subject(header), 0, SUBJECT_MAX), &out);
	log_escape(out.p, out.n, text, sizeof(text));
	buf_free(&out);
	return arena_str(a, span_of(text));
}

const char *report_id(struct arena *a, struct span id)
{
	bool printable = id.n > 8, digits = id.n > 0;
	uint64_t n = 0;

	for (size_t i = 0; i < id.n; i++) {
		printable = printable && id.p[i] > 32 && id.p[i] < 127;
		digits = digits && id.p[i] >= '0' && id.p[i] <= '9';
	}
	if (printable && !digits)
		return arena_str(a, id);
	if (digits)              /* a number already; no server counts to 0x30303030 */
		return arena_printf(a, "UID " SPAN_FMT, SPAN_ARG(id));
	for (size_t i = 0; i < id.n && i < 8; i++)
		n = n << 8 | (uint8_t)id.p[i];
	return arena_printf(a, "UID %llu", (unsigned long long)n);
}

const char *report_flags(struct arena *a, uint32_t flags)
{
	static const char *const names[] = { "seen", "answered", "flagged", "deleted", "draft" };
	const char *text = "";

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		if ((flags & (1u << i)) != 0)
			text = arena_printf(a, "%s%s%s", text, text[0] != '\0' ? " " : "", names[i]);
	}
	return text;
}

const char *report_item(struct arena *a, struct span id, const struct ep_meta *m, bool subject)
{
	char when[CLOCK_TEXT_MAX] = "no date";
	struct span msgid = m != NULL && m->code == E_OK ? mailkey_msgid(m->header) : SPAN_NONE;
	const char *name = msgid.n > 0 ? arena_str(a, msgid) : report_id(a, id);

	if (m == NULL || m->code != E_OK)
		return name;
	if (m->received != INT64_MIN)
		clock_format_s(m->received, when);
	name = arena_printf(a, "%s (%s, %llu bytes)", name, when, (unsigned long long)m->size);
	return subject ? arena_printf(a, "%s \"%s\"", name, subject_of(a, m->header)) : name;
}

json_t *report_string(struct span s)
{
	json_t *j = s.p == NULL ? json_null() : json_stringn(s.p, s.n);

	return j != NULL ? j : json_string("(not UTF-8)");
}

void report_send(struct pass *p, json_t *j, const char *before, const char *after)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
	struct buf b;

	buf_init(&b, (size_t)64 * 1024 * 1024);
	buf_add_str(&b, before);
	buf_add_str(&b, text != NULL ? text : "null");
	buf_add_str(&b, after);
	p->env->part(p->env->ctx, buf_span(&b));
	buf_free(&b);
	free(text);
	json_decref(j);
}

struct writer {
	struct pass *p;
	bool any;
};

static void action(struct writer *w, enum side side, const char *what, enum ep_kind kind, struct span folder,
		   const char *item, const char *why)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:o, s:s?, s:s?}", "side", side_name(side), "action", what,
			      "kind", ep_kind_name(kind), "folder", report_string(folder), "item", item, "why", why);

	report_send(w->p, j, w->any ? "," : "", "");
	w->any = true;
}

static struct span path_of(const struct pass *p, int folder, enum side side)
{
	const struct plan_folder *f = &p->plan.folders[folder];

	return f->ep[side] != NULL ? f->ep[side]->path : f->base->side[side].path;
}

static void item_action(struct writer *w, const struct plan_op *op)
{
	struct pass *p = w->p;
	struct arena *a = p->arena;
	const struct plan_new *n = op->news[side_other(op->side)];
	struct span id = op->kind == PO_CREATE ? n->id : op->place->base.id[op->side];
	struct ep_meta m = { .folder = p->plan.folders[op->folder].ep[op->kind == PO_CREATE ? n->side : op->side],
			     .id = id };
	struct err ignored = ERR_INIT;
	enum side where = op->kind == PO_CREATE ? n->side : op->side;
	const char *name = plan_op_name(op->kind);

	enum ep_kind kind = p->plan.folders[op->folder].base->kind;

	if (kind != EP_MAIL)
		m.code = E_ITEM_GONE;            /* its id is name enough */
	else if (m.folder != NULL && ep_call(p->ep[where], EP_V_DESCRIBE, a, &m, 1, &ignored) != E_OK)
		m.code = E_ITEM_GONE;
	if (op->kind == PO_DELETE && kind != EP_MAIL)
		name = "remove";
	else if (op->kind == PO_DELETE)
		name = p->env->pairing->deletions[op->side] == DELETIONS_EXPUNGE ? "remove" :
		       p->env->pairing->deletions[op->side] == DELETIONS_ARCHIVE ? "archive" : "trash";
	action(w, op->side, name, kind, path_of(p, op->folder, op->side), report_item(a, id, &m, p->env->subjects),
	       op->held ? arena_printf(a, "held: %s", op->why) : op->why);
}

static bool folder_revived(const struct pass *p, size_t folder)
{
	for (size_t i = 0; i < p->plan.n_ops; i++) {
		if (p->plan.ops[i].folder == (int)folder && (p->plan.ops[i].kind == PO_CREATE || p->plan.ops[i].held))
			return true;
	}
	return false;
}

enum code pass_report_plan(struct pass *p, struct err *err)
{
	struct writer w = { .p = p };

	(void)err;
	report_send(p, json_string(p->env->pairing->name), "{\"version\":1,\"pairing\":", ",\"actions\":[");
	for (size_t i = 0; i < p->folders.n_steps; i++) {
		const struct folder_step *st = &p->folders.steps[i];

		action(&w, st->side, st->kind == FOLDER_CREATE ? "create-folder" : "rename-folder",
		       p->plan.folders[st->folder].base->kind, st->path, NULL, st->why);
	}
	for (size_t i = 0; i < p->plan.n_ops; i++) {
		const struct plan_op *op = &p->plan.ops[i];

		if (op->kind == PO_FLAGS || op->kind == PO_MOVE || op->kind == PO_DELETE ||
		    op->kind == PO_CREATE || (op->kind == PO_MERGE && !op->place->adopted))
			item_action(&w, op);
	}
	for (size_t i = 0; i < p->plan.n_folders; i++) {
		const struct plan_folder *f = &p->plan.folders[i];

		for (int s = 0; s < SIDES; s++) {
			if (f->ep[s] != NULL && f->ep[side_other((enum side)s)] == NULL && f->base->row != 0 &&
			    f->base->side[side_other((enum side)s)].id.n > 0 && !f->blocked)
				action(&w, folder_revived(p, i) ? side_other((enum side)s) : (enum side)s,
				       folder_revived(p, i) ? "create-folder" : "remove-folder", f->base->kind,
				       f->ep[s]->path, NULL, "it is gone on the other side");
		}
	}
	p->env->part(p->env->ctx, SPAN_LIT("]}"));
	return E_OK;
}
