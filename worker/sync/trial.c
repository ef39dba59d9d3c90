/* trial.c - what an operator's test tells: how far each side lets us in, step by step, and what to do where
 * it does not. Nothing is written, and a refused logon is not counted against the pairing.
 */
#include "report.h"

#include "../../common/clock.h"

#include <jansson.h>

/* In the order in which a side lets us in. */
enum step { STEP_CONNECT, STEP_TLS, STEP_LOGON, STEP_MAILBOX, STEP_FOLDERS, STEP_READ, STEPS };
static const char *const step_names[STEPS] = { "connect", "tls", "logon", "mailbox", "folders", "read" };

struct trial {
	struct pass *p;
	enum side side;
	json_t *steps;
	bool failed;
	int64_t began_ms;
};

/* At which step a side failed to open. */
static enum step failed_at(enum code code)
{
	switch (code) {
	case E_NET:
	case E_TIMEOUT:
	case E_CONF:
		return STEP_CONNECT;
	case E_TLS:
		return STEP_TLS;
	case E_LOGON_FAILED:
	case E_INVALID_CREDENTIALS:
	case E_CREDENTIALS_MISSING:
	case E_IMAP_DISABLED:
	case E_WEB_LOGIN:
		return STEP_LOGON;
	default:
		return STEP_MAILBOX;
	}
}

/* A directory is not connected to; TLS may be off. */
static bool has_step(const struct trial *t, enum step step)
{
	const struct conf_endpoint *e = t->p->env->pairing->mailbox[t->side].endpoint;

	return step >= STEP_MAILBOX || (conf_is_remote(e) && (step != STEP_TLS || conf_uses_tls(e)));
}

static void add_good(struct trial *t, const char *name, const char *what)
{
	json_t *j = json_pack("{s:s, s:b, s:I}", "step", name, "ok", 1, "ms",
			      (json_int_t)(clock_mono_ms() - t->began_ms));

	if (what != NULL)
		json_object_set_new(j, "what", json_string(what));
	json_array_append_new(t->steps, j);
}

static void passed(struct trial *t, enum step step, const char *what)
{
	if (has_step(t, step))
		add_good(t, step_names[step], what);
}

static void failed(struct trial *t, enum step step, const struct err *why)
{
	t->failed = true;
	json_array_append_new(t->steps, json_pack("{s:s, s:b, s:I, s:s, s:s, s:s}", "step", step_names[step], "ok", 0,
						  "ms", (json_int_t)(clock_mono_ms() - t->began_ms), "code",
						  code_name(why->code), "reason", err_text(why), "remedy",
						  code_remedy(why->code)));
}

/* --- the steps --- */

/* What the organisation itself names; that it names nothing is no failure. A password that was refused is not
 * sent again. */
static void ask_advice(struct trial *t, enum code opened)
{
	struct endpoint *ep = t->p->ep[t->side];
	const char *text = NULL;
	struct err why = ERR_INIT;

	if (ep->ops->advise == NULL || failed_at(opened) == STEP_LOGON)
		return;
	enum code rc = ep_call(ep, EP_V_ADVISE, t->p->arena, &text, 1, &why);
	add_good(t, ep->ops->adviser, rc == E_OK ? text : err_text(&why));
}

static bool open_side(struct trial *t)
{
	struct endpoint *ep = t->p->ep[t->side];
	struct err why = ERR_INIT;
	enum code rc = ep_call(ep, EP_V_OPEN, t->p->arena, NULL, 0, &why);
	enum step last = rc == E_OK ? STEP_FOLDERS : failed_at(rc);

	for (int s = 0; s < (int)last; s++)
		passed(t, (enum step)s, NULL);
	if (rc != E_OK)
		failed(t, has_step(t, last) ? last : STEP_MAILBOX, &why);
	else if (ep->missing.code != E_OK)
		failed(t, STEP_MAILBOX, &ep->missing);
	ask_advice(t, rc);
	return rc == E_OK;
}

/* "14 folders: 12 mail, 2 events" */
static const char *counted(struct arena *a, const struct ep_list *list)
{
	size_t n[EP_KINDS] = { 0 }, all = 0;
	const char *text = "", *comma = ": ";

	for (size_t i = 0; i < list->n; i++) {
		if (list->folders[i].selectable) {
			n[list->folders[i].kind]++;
			all++;
		}
	}
	for (int k = 0; k < EP_KINDS; k++) {
		if (n[k] == 0)
			continue;
		text = arena_printf(a, "%s%s%zu %s", text, comma, n[k], ep_kind_name((enum ep_kind)k));
		comma = ", ";
	}
	return arena_printf(a, "%zu folder%s%s", all, all == 1 ? "" : "s", text);
}

static bool list_side(struct trial *t)
{
	struct ep_list *list = &t->p->list[t->side];
	struct err why = ERR_INIT;
	enum code rc = ep_call(t->p->ep[t->side], EP_V_LIST, t->p->arena, list, 1, &why);

	if (rc == E_OK && !list->complete)
		rc = err_set(&why, E_INCOMPLETE, "%s", code_text(E_INCOMPLETE));
	else if (rc == E_OK && list->n == 0)
		rc = err_set(&why, E_NO_FOLDERS, "%s", code_text(E_NO_FOLDERS));
	if (rc == E_OK)
		passed(t, STEP_FOLDERS, counted(t->p->arena, list));
	else
		failed(t, STEP_FOLDERS, &why);
	return rc == E_OK;
}

/* Of each kind the folder that is listed soonest. */
static size_t samples(struct trial *t, struct ep_changes c[EP_KINDS])
{
	const struct ep_list *list = &t->p->list[t->side];
	const struct ep_folder *best[EP_KINDS] = { NULL };
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct ep_folder *f = &list->folders[i], **b = &best[f->kind];

		if (f->selectable && (*b == NULL || (f->count > 0 && f->count < (*b)->count) || (*b)->count == 0))
			*b = f;
	}
	for (int k = 0; k < EP_KINDS; k++)
		if (best[k] != NULL)
			c[n++] = (struct ep_changes){ .folder = best[k] };
	return n;
}

static void read_side(struct trial *t)
{
	struct ep_changes c[EP_KINDS];
	struct arena *a = t->p->arena;
	size_t n = samples(t, c);
	struct err why = ERR_INIT;
	const char *what = "";
	enum code rc = n > 0 ? ep_call(t->p->ep[t->side], EP_V_CHANGES, a, c, n, &why) : E_OK;

	for (size_t i = 0; i < n && rc == E_OK; i++) {
		const char *path = arena_str(a, c[i].folder->path);

		if (c[i].code != E_OK)
			rc = err_set(&why, c[i].code, "%s: %s", path, c[i].text != NULL ? c[i].text :
				     code_text(c[i].code));
		what = arena_printf(a, "%s%s%s (%zu)", what, i > 0 ? ", " : "", path, c[i].n);
	}
	if (rc == E_OK)
		passed(t, STEP_READ, what);
	else
		failed(t, STEP_READ, &why);
}

static bool try_side(struct pass *p, enum side side, json_t *sides)
{
	const struct conf_mailbox *m = &p->env->pairing->mailbox[side];
	struct trial t = { .p = p, .side = side, .steps = json_array(), .began_ms = clock_mono_ms() };

	if (open_side(&t) && list_side(&t))
		read_side(&t);
	json_array_append_new(sides, json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "side", side_name(side), "endpoint",
					       m->endpoint->name, "type", m->endpoint->type, "mailbox", m->smtp_name,
					       "ok", !t.failed, "steps", t.steps));
	return !t.failed;
}

enum code pass_try(struct pass *p, struct err *err)
{
	const char *only = p->env->item;
	json_t *sides = json_array();
	bool good = true;

	for (int s = 0; s < SIDES; s++) {
		if (only != NULL && only[0] != '\0' &&
		    strcmp(only, p->env->pairing->mailbox[s].endpoint->name) != 0)
			continue;
		good &= try_side(p, (enum side)s, sides);
	}
	if (json_array_size(sides) == 0) {
		json_decref(sides);
		return err_set(err, E_NOT_FOUND, "no side of this pairing is at '%s'", only);
	}
	p->result->verdict = good ? 0 : 1;
	report_send(p, json_pack("{s:i, s:s, s:b, s:o}", "version", 1, "pairing", p->env->pairing->name, "ok", good,
				 "sides", sides), "", "");
	return E_OK;
}
