/* records_create.c - a record that one side lacks: read there, shaped by the pairing's rules, printed for
 * the side that gets it.
 */
#include "records.h"

#include "../../common/clock.h"
#include "../data/busy.h"
#include "../data/recordkey.h"

#define DAY_S ((int64_t)86400)
#define TEXT_MAX ((size_t)64 * 1024 * 1024)
#define NAME_BYTES 250

enum code records_print(struct pass *p, struct arena *arena, enum side side, const struct record *record,
			struct body **body_r, struct err *err)
{
	struct buf text;

	buf_init(&text, TEXT_MAX);
	enum code rc = record_print(arena, record, p->ep[side]->caps.record_print, &text, err);
	if (rc == E_OK)
		rc = body_of(p->spool_dir, buf_span(&text), body_r, err);
	buf_free(&text);
	return rc;
}

/* Events and tasks that have no occurrence within the pairing's window of dates are not created; those
 * that were stay in step wherever they move. */
static bool outside(const struct pass *p, struct arena *a, const struct record *r, int64_t now_s)
{
	int64_t past = p->env->pairing->window_past_s, future = p->env->pairing->window_future_s;

	if ((r->kind != RECORD_EVENT && r->kind != RECORD_TASK) || (past == 0 && future == 0))
		return false;
	return busy_in_window(a, r, past > 0 ? now_s - past : INT64_MIN / 4,
			      future > 0 ? now_s + future : INT64_MAX / 4, DAY_S) == BUSY_OUTSIDE;
}

enum code records_make(struct apply *a, struct window *w, size_t i, struct rec_made **made_r, int64_t *next_s_r,
		       struct err *err)
{
	const struct plan_op *op = w->ops[i];
	struct ep_fetch *f = &w->fetch[i];
	struct rec_made *m = arena_alloc(w->arena, sizeof(*m));
	struct arena *work = arena_new(PASS_ARENA);
	struct record *r;
	struct body *printed = NULL;
	enum code rc = records_parse(work, f->body, &r, err);

	*made_r = m;
	if (rc == E_OK) {
		m->key = recordkey_of(work, r);
		m->uid = arena_span(w->arena, r->uid);
		m->name = span_cut(m->uid, 0, NAME_BYTES);
		m->from = arena_span(w->arena, record_canonical(work, r));
		m->from_version = f->version;
		if (outside(a->p, work, r, clock_wall_s())) {
			*next_s_r = clock_wall_s() + DAY_S;
			rc = E_HELD;
		}
	}
	if (rc == E_OK && a->p->env->pairing->busy_only[op->side] && r->kind == RECORD_EVENT) {
		r = busy_copy(work, r);
		m->busy = true;
	}
	if (rc == E_OK) {
		m->sent = arena_span(w->arena, record_canonical(work, r));
		rc = records_print(a->p, work, op->side, r, &printed, err);
	}
	if (rc == E_OK) {
		body_free(&f->body);
		f->body = printed;
	}
	arena_free(&work);
	return rc;
}

enum code records_created(struct apply *a, const struct plan_op *op, const struct base_place *place,
			  const struct rec_made *made, const struct ep_op *done, struct err *err)
{
	enum side to = op->side, from = side_other(to);
	struct base_record r = { .code = E_OK };

	if (made->busy)
		r.busy = to == SIDE_LEFT ? BUSY_LEFT : BUSY_RIGHT;
	r.version[from] = made->from_version;
	r.base[from] = made->from;
	r.base[to] = made->sent;
	enum code rc = base_record_put(a->p->base, place->row, &r, err);
	if (rc == E_OK)
		records_later(a, op, place, (int)to, done->new_version);
	return rc;
}
