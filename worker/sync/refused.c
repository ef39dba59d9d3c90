/* refused.c - folders that a server would not make or read: they are left out like items are, and kept in
 * the state (meta "refused", a JSON array) for `mailshadow quarantine`, until a pass gets on with them.
 */
#include "ask.h"

#include "../../common/clock.h"
#include "../../common/log.h"

#include <stdlib.h>

#define KEY "refused"

void pass_refused(struct pass *p, enum side side, struct span path, enum code code, const char *text)
{
	text = text != NULL ? text : code_text(code);
	log_warning("folder " SPAN_FMT " on the %s side is left out: %s", SPAN_ARG(path), side_name(side), text);
	p->result->quarantined++;
	if (p->refused == NULL)
		p->refused = json_array();
	json_array_append_new(p->refused, json_pack("{s:s, s:s, s:o, s:s?, s:s, s:s}", "state", "folder",
			      "side", side_name(side), "folder", report_string(path), "reason", text,
			      "code", code_name(code), "remedy", code_remedy(code)));
}

static json_t *known(struct pass *p, enum code *rc_r, struct err *err)
{
	struct span text;

	*rc_r = p->base != NULL ? base_meta_get(p->base, KEY, p->arena, &text, err) : E_OK;
	return p->base != NULL && *rc_r == E_OK && text.n > 0 ? json_loadb(text.p, text.n, 0, NULL) : NULL;
}

static bool same(json_t *a, json_t *b, const char *key)
{
	return json_equal(json_object_get(a, key), json_object_get(b, key)) == 1;
}

/* What was refused before is refused since then. */
static void add_since(json_t *now, json_t *before)
{
	for (size_t i = 0; i < json_array_size(now); i++) {
		json_t *one = json_array_get(now, i), *since = NULL;

		for (size_t j = 0; j < json_array_size(before) && since == NULL; j++) {
			json_t *old = json_array_get(before, j);

			if (same(one, old, "folder") && same(one, old, "side"))
				since = json_object_get(old, "since");
		}
		if (since != NULL)
			json_object_set(one, "since", since);
		else
			json_object_set_new(one, "since", ask_time(clock_wall_s()));
	}
}

enum code pass_refused_save(struct pass *p, struct err *err)
{
	enum code rc;
	json_t *before = known(p, &rc, err);

	add_since(p->refused, before);
	bool equal = json_array_size(p->refused) == 0 ? json_array_size(before) == 0 :
		     json_equal(p->refused, before) == 1;
	if (rc == E_OK && !equal) {
		char *text = json_array_size(p->refused) > 0 ? json_dumps(p->refused, JSON_COMPACT) : NULL;

		rc = base_meta_put(p->base, KEY, text != NULL ? span_of(text) : SPAN_LIT("[]"), err);
		if (rc == E_OK)
			rc = base_commit(p->base, err);
		free(text);        /* jansson's own memory */
	}
	json_decref(before);
	return rc;
}

enum code ask_refused(struct ask *ask, struct err *err)
{
	enum code rc;
	json_t *all = known(ask->p, &rc, err);

	for (size_t i = 0; i < json_array_size(all); i++)
		ask_send(ask, json_incref(json_array_get(all, i)));
	json_decref(all);
	return rc;
}
