/* ask.c - what operators ask the state, and what they decide over it: quarantine, release, journal.
 * Nothing here talks to a server. explain.c is the fourth of them.
 */
#include "ask.h"

#include "../../common/clock.h"
#include "../../common/log.h"

json_t *ask_time(int64_t wall_s)
{
	char text[CLOCK_TEXT_MAX];

	return wall_s > 0 ? json_string(clock_format_s(wall_s, text)) : json_null();
}

const struct base_folder *ask_folder(const struct ask *ask, int64_t row)
{
	for (size_t i = 0; i < ask->n_folders; i++) {
		if (ask->folders[i].row == row)
			return &ask->folders[i];
	}
	return NULL;
}

static json_t *id_string(const struct ask *ask, struct span id)
{
	return id.n > 0 ? json_string(report_id(ask->p->arena, id)) : json_null();
}

json_t *ask_solo(const struct ask *ask, const struct base_solo *o)
{
	const struct base_folder *f = ask_folder(ask, o->folder);
	json_t *j = json_pack("{s:s, s:s, s:o, s:o, s:o, s:I, s:s?, s:o, s:I}",
			      "state", solo_state_name(o->state), "side", side_name(o->side),
			      "folder", report_string(f != NULL ? f->side[o->side].path : SPAN_NONE),
			      "id", id_string(ask, o->id), "messageId", report_string(o->name),
			      "size", (json_int_t)o->size, "reason", o->text, "since", ask_time(o->since_s),
			      "attempts", (json_int_t)o->attempts);

	if (o->code == E_OK)
		return j;
	json_object_set_new(j, "code", json_string(code_name(o->code)));
	json_object_set_new(j, "remedy", json_string(code_remedy(o->code)));
	if (o->state == SOLO_QUARANTINED)
		json_object_set_new(j, "nextTry", ask_time(o->next_s));
	return j;
}

static json_t *place_json(const struct ask *ask, struct span folder, struct span id)
{
	if (folder.n == 0 && id.n == 0)
		return json_null();
	return json_pack("{s:o, s:o}", "folder", report_string(folder), "id", id_string(ask, id));
}

json_t *ask_journal(const struct ask *ask, const struct base_journal *row)
{
	return json_pack("{s:I, s:o, s:s, s:s?, s:s?, s:I, s:o, s:o, s:o, s:o}", "pass", (json_int_t)row->pass,
			 "at", ask_time(row->at_s), "side", side_name(row->side), "action", row->op,
			 "why", row->why, "item", (json_int_t)row->item,
			 "from", place_json(ask, row->old_folder, row->old_id),
			 "to", place_json(ask, row->new_folder, row->new_id),
			 "messageId", report_string(row->detail), "before", report_string(row->before));
}

void ask_send(struct ask *ask, json_t *j)
{
	report_send(ask->p, j != NULL ? j : json_null(), ask->any ? "," : "", "");
	ask->any = true;
}

/* --- quarantine --- */

static bool is_set_aside(enum solo_state state)
{
	return state != SOLO_INTENT && state != SOLO_PARKED;
}

/* Changes of a record that the other side refused. */
static enum code refused_changes(struct ask *ask, struct err *err)
{
	struct pass *p = ask->p;
	struct base_place *places = NULL;
	size_t n = 0;
	enum code rc = p->base != NULL ? base_records_refused(p->base, INT64_MAX, p->arena, &places, &n, err) : E_OK;

	for (size_t i = 0; rc == E_OK && i < n; i++) {
		const struct base_folder *f = ask_folder(ask, places[i].folder);
		struct base_record r;

		rc = base_record_get(p->base, places[i].row, p->arena, &r, err);
		if (rc != E_OK)
			break;
		struct span folder = f != NULL ? f->side[SIDE_LEFT].path : SPAN_NONE;
		ask_send(ask, json_pack("{s:s, s:s, s:o, s:o, s:n, s:I, s:s?, s:n, s:I, s:s, s:s, s:o}",
					"state", "change", "side", side_name(SIDE_LEFT),
					"folder", report_string(folder),
					"id", id_string(ask, places[i].id[SIDE_LEFT]), "messageId",
					"size", (json_int_t)places[i].size, "reason", r.text, "since",
					"attempts", (json_int_t)r.attempts, "code", code_name(r.code),
					"remedy", code_remedy(r.code), "nextTry", ask_time(r.next_s)));
	}
	return rc;
}

static enum code quarantine(struct ask *ask, struct err *err)
{
	struct pass *p = ask->p;
	uint64_t retried = 0;
	enum code rc = E_OK;

	if (p->base != NULL && p->env->act)
		rc = base_solo_turn(p->base, SOLO_QUARANTINED, SOLO_QUARANTINED, NULL, &retried, err);
	if (p->base != NULL && p->env->act && rc == E_OK)
		rc = base_records_retry(p->base, &retried, err);
	if (p->base != NULL && rc == E_OK)
		rc = base_commit(p->base, err);
	if (p->base != NULL && rc == E_OK)
		rc = base_solos(p->base, p->arena, &p->solos, &p->n_solos, err);
	if (rc != E_OK)
		return rc;
	if (p->env->act)
		log_info("an operator lets %llu items be tried again", (unsigned long long)retried);
	report_send(p, json_string(p->env->pairing->name), "{\"version\":1,\"pairing\":", ",\"items\":[");
	for (size_t i = 0; i < p->n_solos; i++) {
		if (is_set_aside(p->solos[i].state))
			ask_send(ask, ask_solo(ask, &p->solos[i]));
	}
	rc = refused_changes(ask, err);
	if (rc == E_OK)
		rc = ask_refused(ask, err);
	report_send(p, json_integer((json_int_t)retried), "],\"retried\":", "}");
	return rc;
}

/* --- release --- */

static enum code release(struct ask *ask, struct err *err)
{
	struct pass *p = ask->p;
	bool drop = p->env->act;
	uint64_t deletions = 0, creations = 0;
	enum code rc = E_OK;

	/* dropped deletions are created again where they vanished; dropped creations stay on one side */
	if (p->base != NULL)
		rc = base_solo_turn(p->base, SOLO_HELD_DELETE, drop ? SOLO_LET_CREATE : SOLO_LET_DELETE, NULL,
				    &deletions, err);
	if (p->base != NULL && rc == E_OK)
		rc = base_solo_turn(p->base, SOLO_HELD_CREATE, drop ? SOLO_PARKED : SOLO_LET_CREATE,
				    drop ? "an operator decided that it stays on this side only" : NULL, &creations,
				    err);
	if (rc == E_OK && deletions + creations == 0)
		return err_set(err, E_NOT_FOUND, "nothing is held back");
	if (rc == E_OK)
		rc = base_commit(p->base, err);
	if (rc != E_OK)
		return rc;
	log_info("an operator %s %llu deletions and %llu creations that were held back", drop ? "dropped" : "released",
		 (unsigned long long)deletions, (unsigned long long)creations);
	report_send(p, json_pack("{s:i, s:s, s:b, s:I, s:I}", "version", 1, "pairing", p->env->pairing->name,
				 "discarded", drop, "deletions", (json_int_t)deletions,
				 "creations", (json_int_t)creations), "", "");
	return E_OK;
}

/* --- journal --- */

static enum code journal(struct ask *ask, struct err *err)
{
	struct pass *p = ask->p;
	struct base_journal *rows = NULL;
	size_t n = 0;
	enum code rc = E_OK;

	if (p->base != NULL)
		rc = base_journal_list(p->base, 0, p->env->limit, p->arena, &rows, &n, err);
	if (rc != E_OK)
		return rc;
	report_send(p, json_string(p->env->pairing->name), "{\"version\":1,\"pairing\":", ",\"rows\":[");
	for (size_t i = 0; i < n; i++)
		ask_send(ask, ask_journal(ask, &rows[i]));
	p->env->part(p->env->ctx, SPAN_LIT("]}"));
	return E_OK;
}

enum code pass_ask(struct pass *p, struct err *err)
{
	struct ask ask = { .p = p };
	enum code rc = E_OK;

	if (p->base != NULL)
		rc = base_folders(p->base, p->arena, &ask.folders, &ask.n_folders, err);
	if (rc != E_OK)
		return rc;
	switch (p->env->mode) {
	case PASS_QUARANTINE:
		return quarantine(&ask, err);
	case PASS_RELEASE:
		return release(&ask, err);
	case PASS_JOURNAL:
		return journal(&ask, err);
	case PASS_EXPLAIN:
		return ask_explain(&ask, err);
	case PASS_SYNC:
	case PASS_PLAN:
	case PASS_VERIFY:
	case PASS_TEST:
	case PASS_ADDRESSES:
		break;
	}
	return err_set(err, E_INTERNAL, "no such question");
}
