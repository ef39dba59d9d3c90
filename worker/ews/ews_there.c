/* ews_there.c - is there an item of that UID in the folder already? Asked for before a create: an interrupted one
 * has left it, or somebody made it since the folder was read.
 */
#include "ews_step.h"

#include "../../common/mem.h"

#define UIDS 40                          /* of one request */

void ews_step_done(struct ews_step *s, enum code rc, const struct err *err)
{
	s->op->code = rc;
	s->op->text = rc == E_OK ? NULL : arena_str(s->arena, span_of(err_text(err)));
}

struct look {
	struct ews_step **steps;
	size_t n;
	enum code code;
	struct err err;
};

static enum code on_there(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct look *k = ctx;
	struct span uid = ews_ext(o, &ews_uid);

	(void)message;
	(void)err;
	for (size_t i = 0; i < k->n; i++)
		if (uid.n > 0 && span_eq(k->steps[i]->wanted->uid, uid)) {
			k->steps[i]->op->code = E_ITEM_UNCERTAIN;
			k->steps[i]->op->text = "an item of that UID is there already";
		}
	return E_OK;
}

static enum code on_there_end(void *ctx, size_t message, const struct ews_object *m, struct err *err)
{
	struct look *k = ctx;

	(void)message;
	(void)err;
	k->code = ews_outcome(m, "looking for an item", &k->err);
	return E_OK;
}

static void print_equal(struct buf *b, struct span uid)
{
	buf_add_str(b, "<t:IsEqualTo>");
	ews_prop_uri(b, &ews_uid);
	buf_add_str(b, "<t:FieldURIOrConstant><t:Constant Value=\"");
	ews_xml(b, uid);
	buf_add_str(b, "\"/></t:FieldURIOrConstant></t:IsEqualTo>");
}

static enum code find_there(struct ews *e, struct arena *arena, struct ews_step **steps, size_t n, struct err *err)
{
	static const struct ews_handler handler = { on_there, on_there_end, NULL };
	struct look k = { steps, n, E_PROTOCOL, ERR_INIT };
	struct ews_call c;
	struct buf *b = &c.body;

	ews_call_init(e, &c, &handler, &k);
	buf_add_str(b, "<m:FindItem Traversal=\"Shallow\"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>"
		    "<t:AdditionalProperties>");
	ews_prop_uri(b, &ews_uid);
	buf_add_str(b, "</t:AdditionalProperties></m:ItemShape><m:Restriction>");
	buf_add_str(b, n > 1 ? "<t:Or>" : "");
	for (size_t i = 0; i < n; i++)
		print_equal(b, steps[i]->wanted->uid);
	buf_add_str(b, n > 1 ? "</t:Or>" : "");
	buf_add_str(b, "</m:Restriction><m:ParentFolderIds>");
	ews_folder_id(b, steps[0]->op->folder);
	buf_add_str(b, "</m:ParentFolderIds></m:FindItem>");
	enum code rc = ews_run_one(e, arena, &c, err);
	ews_call_free(&c);
	if (rc == E_OK && k.code != E_OK) {
		rc = k.code;
		if (err != NULL)
			*err = k.err;
	}
	return rc;
}

/* Marks those that are there already. */
enum code ews_steps_look_up(struct ews *e, struct arena *arena, struct ews_step *steps, size_t n, struct err *err)
{
	struct ews_step *some[UIDS];
	enum code rc = E_OK;
	bool *looked = mem_calloc(n, sizeof(*looked));

	for (size_t i = 0; rc == E_OK && i < n; i++) {
		struct err why = ERR_INIT;
		size_t k = 0;

		for (size_t j = i; k < UIDS && j < n; j++) {
			if (looked[j] || steps[j].op->kind != EP_CREATE || steps[j].op->code != E_CANCELLED ||
			    steps[j].wanted->uid.n == 0 ||
			    (k > 0 && !span_eq(steps[j].op->folder->id, some[0]->op->folder->id)))
				continue;
			looked[j] = true;
			some[k++] = &steps[j];
		}
		rc = k > 0 ? find_there(e, arena, some, k, &why) : E_OK;
		for (size_t j = 0; rc != E_OK && !ews_error_is_side(rc) && j < k; j++)
			ews_step_done(some[j], rc, &why);
		if (rc != E_OK && !ews_error_is_side(rc))
			rc = E_OK;
		else if (rc != E_OK)
			*err = why;
	}
	mem_free(looked);
	return rc;
}
