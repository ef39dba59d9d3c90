/* addresses.c - the mailboxes of the organisation behind one endpoint, as one JSON document. It goes out in pieces as
 * the directory tells them; an organisation may have a hundred thousand.
 */
#include "report.h"

#include <jansson.h>

struct listing {
	struct pass *p;
	size_t n;
};

static json_t *aliases_of(const struct ep_address *a)
{
	json_t *list = json_array();

	for (size_t i = 0; i < a->n_aliases; i++)
		json_array_append_new(list, report_string(a->aliases[i]));
	return list;
}

static enum code on_address(void *ctx, const struct ep_address *a, struct err *err)
{
	struct listing *l = ctx;
	json_t *j = json_pack("{s:o, s:o, s:o, s:s, s:b, s:b, s:o}", "address", report_string(a->address), "name",
			      report_string(a->name), "login", report_string(a->login), "type", a->type, "hidden",
			      a->hidden, "disabled", a->disabled, "aliases", aliases_of(a));

	(void)err;
	report_send(l->p, j, l->n > 0 ? "," : "", "");
	if (++l->n % 500 == 0 && l->p->env->progress != NULL)
		l->p->env->progress(l->p->env->ctx, l->n, 0);
	return E_OK;
}

static enum code wanted_side(const struct pass *p, int *side_r, struct err *err)
{
	for (*side_r = 0; *side_r < SIDES; ++*side_r) {
		if (strcmp(p->env->pairing->mailbox[*side_r].endpoint->name, p->env->item) == 0)
			return E_OK;
	}
	return err_set(err, E_NOT_FOUND, "no side of this pairing is at '%s'", p->env->item);
}

enum code pass_addresses(struct pass *p, struct err *err)
{
	struct listing l = { p, 0 };
	struct ep_directory d = { .ctx = &l, .one = on_address };
	int side;
	enum code rc = wanted_side(p, &side, err);

	if (rc != E_OK)
		return rc;
	const struct conf_endpoint *e = p->env->pairing->mailbox[side].endpoint;
	if (p->ep[side]->ops->directory == NULL)
		return err_set(err, E_UNSUPPORTED, "endpoint %s: nobody lists the mailboxes of type %s", e->name,
			       e->type);
	report_send(p, json_string(e->name), "{\"version\":1,\"endpoint\":", ",\"addresses\":[");
	rc = ep_call(p->ep[side], EP_V_DIRECTORY, p->arena, &d, 1, err);
	if (rc != E_OK)
		return rc;
	report_send(p, json_string(d.source), "],\"source\":", ",\"complete\":");
	report_send(p, json_boolean(d.lacking == NULL), "", ",\"lacking\":");
	report_send(p, d.lacking != NULL ? json_string(d.lacking) : json_null(), "", "}");
	p->result->verdict = d.lacking == NULL ? 0 : 1;
	return E_OK;
}
