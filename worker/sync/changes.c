/* changes.c - reads what changed since the cursors and turns it into the planner's places and news.
 *
 * A folder whose marks are the ones of the last committed cursors is not read at all, so a pass that
 * finds nothing changed costs no scan of anything. Absence counts only in complete listings.
 */
#include "pass_private.h"

#include "../../common/clock.h"
#include "../../common/log.h"
#include "idmap.h"
#include "records.h"

#define INDEX_FROM 200       /* this many lookups in a folder: load its places at once */

struct reader {
	struct pass *p;
	struct idmap rows;           /* base row -> plan_place */
	struct idmap solos;          /* (folder row, side, id) -> solo */
	bool *solo_done;             /* by index into p->solos: seen in a listing, gone, or void */
	struct idmap index[SIDES];   /* of the folder at hand: id -> base_place */
	struct base_place *places;
	size_t n_places;
	int64_t indexed;             /* folder row that the index is of; 0 = none */
};

static uint64_t solo_number(int64_t folder, enum side side)
{
	return (uint64_t)folder * 2 + (uint64_t)side;
}

static struct plan_place *touch(struct reader *r, const struct base_place *b, int folder)
{
	struct plan_place *pp = idmap_get(&r->rows, (uint64_t)b->row, SPAN_NONE);

	if (pp == NULL) {
		pp = plan_add_place(&r->p->plan, b, folder);
		idmap_put(&r->rows, (uint64_t)b->row, SPAN_NONE, pp);
	}
	return pp;
}

static enum code load_index(struct reader *r, int64_t row, struct err *err)
{
	struct pass *p = r->p;

	if (r->indexed == row)
		return E_OK;
	enum code rc = base_places(p->base, row, SIDE_LEFT, p->arena, &r->places, &r->n_places, err);
	if (rc != E_OK)
		return rc;
	for (int s = 0; s < SIDES; s++) {
		idmap_init(&r->index[s], p->arena, r->n_places);
		for (size_t i = 0; i < r->n_places; i++)
			idmap_put(&r->index[s], 0, r->places[i].id[s], &r->places[i]);
	}
	r->indexed = row;
	return E_OK;
}

static enum code lookup(struct reader *r, int64_t row, enum side s, struct span id, struct base_place **b_r,
			struct err *err)
{
	if (r->indexed == row) {
		*b_r = idmap_get(&r->index[s], 0, id);
		return E_OK;
	}
	return base_place_find(r->p->base, row, s, id, r->p->arena, b_r, err);
}

/* Parked by policy for good; an event outside the window of dates has a time to be looked at again. */
static bool stays_parked(const struct base_solo *o)
{
	return o->state == SOLO_PARKED && o->next_s == 0;
}

static struct plan_new *news_of_solo(struct reader *r, int folder, struct base_solo *o)
{
	struct plan_new *n = plan_add_new(&r->p->plan, folder, o->side, o->id);

	n->now = o->flags;
	if (o->has_key)
		plan_identify(&r->p->plan, n, o->key, o->size, SPAN_NONE);
	n->solo = o;
	n->passive = o->state == SOLO_HELD_DELETE || o->state == SOLO_HELD_CREATE || stays_parked(o) ||
		     o->state == SOLO_LET_DELETE ||
		     ((o->state == SOLO_QUARANTINED || o->state == SOLO_INTENT) && o->next_s > clock_wall_s());
	return n;
}

/* A person let its deletion go: as if the place were there still, and gone on the other side. */
static void released(struct reader *r, int folder, struct base_solo *o, struct flagset now)
{
	struct base_place b = { .folder = o->folder, .key = o->key, .size = o->size, .flags = o->flags };

	b.id[o->side] = o->id;
	struct plan_place *pp = plan_add_place(&r->p->plan, &b, folder);
	pp->solo = o;
	pp->gone[side_other(o->side)] = true;
	pp->seen[o->side] = true;
	pp->now[o->side] = now;
}

/* An item of a listing that has no place. */
static void unplaced(struct reader *r, int folder, enum side s, const struct ep_item *item)
{
	struct pass *p = r->p;
	struct base_solo *o = idmap_get(&r->solos, solo_number(p->plan.folders[folder].base->row, s), item->id);
	struct plan_new *n;

	if (o == NULL || o->id.n == 0) {
		n = plan_add_new(&p->plan, folder, s, item->id);
	} else {
		if (r->solo_done[o - p->solos])
			return;
		r->solo_done[o - p->solos] = true;
		if (stays_parked(o))
			return;
		if (o->state == SOLO_LET_DELETE) {
			released(r, folder, o, (struct flagset){ item->flags, item->keywords });
			return;
		}
		n = news_of_solo(r, folder, o);
	}
	n->now.flags = item->flags;
	n->now.keywords = item->keywords;
	n->version = item->version;
}

static void placed(struct reader *r, int folder, enum side s, const struct base_place *b, const struct ep_item *item)
{
	struct flagset now = { item->flags, item->keywords };
	struct plan_place *pp = idmap_get(&r->rows, (uint64_t)b->row, SPAN_NONE);
	bool edited = !span_eq(item->version, b->version[s]) && plan_records(&r->p->plan, folder);

	if (pp == NULL && !edited && flagset_eq(now, b->flags))
		return;
	pp = touch(r, b, folder);
	pp->seen[s] = true;
	pp->now[s] = now;
	pp->now_version[s] = item->version;
	pp->edited[s] = edited;
}

static enum code vanished(struct reader *r, int folder, enum side s, struct span id, struct err *err)
{
	struct pass *p = r->p;
	int64_t row = p->plan.folders[folder].base->row;
	struct base_place *b;
	enum code rc = lookup(r, row, s, id, &b, err);

	if (rc != E_OK)
		return rc;
	if (b != NULL) {
		touch(r, b, folder)->gone[s] = true;
		return E_OK;
	}
	struct base_solo *o = idmap_get(&r->solos, solo_number(row, s), id);
	if (o == NULL || r->solo_done[o - p->solos])
		return E_OK;
	r->solo_done[o - p->solos] = true;
	return p->env->mode == PASS_SYNC ? base_solo_delete(p->base, o->row, err) : E_OK;
}

/* Everything that the base has and a complete listing has not. */
static enum code absent(struct reader *r, int folder, enum side s, const struct ep_changes *c, struct err *err)
{
	struct pass *p = r->p;
	int64_t row = p->plan.folders[folder].base->row;
	struct idmap listed;
	enum code rc = E_OK;

	if (r->n_places == 0 && p->n_solos == 0)
		return E_OK;
	idmap_init(&listed, p->arena, c->n);
	for (size_t i = 0; i < c->n; i++)
		idmap_put(&listed, 0, c->items[i].id, &c->items[i]);
	for (size_t i = 0; i < r->n_places; i++) {
		if (idmap_get(&listed, 0, r->places[i].id[s]) == NULL)
			touch(r, &r->places[i], folder)->gone[s] = true;
	}
	for (size_t i = 0; rc == E_OK && i < p->n_solos; i++) {
		struct base_solo *o = &p->solos[i];

		if (o->folder == row && o->side == s && o->id.n > 0 && !r->solo_done[i] &&
		    idmap_get(&listed, 0, o->id) == NULL)
			rc = vanished(r, folder, s, o->id, err);
	}
	return rc;
}

/* Are these not there any more? Asked one by one: to be untold is no proof. */
static enum code ask_gone(struct reader *r, int folder, enum side s, struct base_place **asked, size_t n,
			  struct err *err)
{
	struct pass *p = r->p;
	const struct ep_folder *ep = p->plan.folders[folder].ep[s];
	struct ep_meta *m = arena_calloc(p->arena, n, sizeof(*m));
	struct rec_read *rec = arena_calloc(p->arena, n, sizeof(*rec));
	bool records = plan_records(&p->plan, folder);
	struct rec_read *both[SIDES] = { rec, rec };
	const size_t count[SIDES] = { s == SIDE_LEFT ? n : 0, s == SIDE_RIGHT ? n : 0 };

	for (size_t i = 0; i < n; i++) {
		m[i].folder = rec[i].folder = ep;
		m[i].id = rec[i].id = asked[i]->id[s];
	}
	enum code rc = records ? records_read(p, p->arena, both, count, err) :
		       ep_call(p->ep[s], EP_V_DESCRIBE, p->arena, m, n, err);
	for (size_t i = 0; rc == E_OK && i < n; i++) {
		if ((records ? rec[i].code : m[i].code) == E_ITEM_GONE)
			touch(r, asked[i], folder)->gone[s] = true;
	}
	return rc;
}

/* What we put there after the cursor was taken is new to a change since then. If it is not told, it may
 * have gone again meanwhile: some servers say nothing at all of such an item. */
static enum code made_and_gone(struct reader *r, int folder, enum side s, const struct ep_changes *c,
			       struct err *err)
{
	struct base_place *made, **untold;
	struct idmap told;
	size_t n, k = 0;
	enum code rc = base_made(r->p->base, r->p->plan.folders[folder].base->row, s, r->p->arena, &made, &n, err);

	if (rc != E_OK || n == 0)
		return rc;
	idmap_init(&told, r->p->arena, c->n);
	for (size_t i = 0; i < c->n; i++)
		idmap_put(&told, 0, c->items[i].id, &c->items[i]);
	for (size_t i = 0; i < c->n_gone; i++)
		idmap_put(&told, 0, c->gone[i], &c->gone[i]);
	untold = arena_calloc(r->p->arena, n, sizeof(*untold));
	for (size_t i = 0; i < n; i++) {
		if (idmap_get(&told, 0, made[i].id[s]) == NULL)
			untold[k++] = &made[i];
	}
	return k > 0 ? ask_gone(r, folder, s, untold, k, err) : E_OK;
}

/* All ids of one side are void: places wait to be found again, solos lose their id or their sense. */
static enum code void_ids(struct reader *r, int folder, enum side s, struct err *err)
{
	struct pass *p = r->p;
	int64_t row = p->plan.folders[folder].base->row;
	enum code rc = E_OK;

	for (size_t i = 0; i < r->n_places; i++) {
		struct plan_place *pp = touch(r, &r->places[i], folder);

		pp->gone[s] = pp->lost[s] = pp->voided[s] = true;
	}
	for (size_t i = 0; rc == E_OK && i < p->n_solos; i++) {
		struct base_solo *o = &p->solos[i];

		if (o->folder != row || o->side != s || r->solo_done[i])
			continue;
		o->id = SPAN_NONE;
		if ((o->state == SOLO_INTENT || o->state == SOLO_QUARANTINED) && p->env->mode == PASS_SYNC) {
			r->solo_done[i] = true;
			rc = base_solo_delete(p->base, o->row, err);
		}
	}
	log_warning("folder %.*s: the %s server gave all items new ids; %zu are looked for again",
		    SPAN_ARG(p->plan.folders[folder].ep[s]->path), side_name(s), r->n_places);
	return rc;
}

static enum code take(struct reader *r, int folder, enum side s, const struct ep_changes *c, struct err *err)
{
	struct plan_folder *f = &r->p->plan.folders[folder];
	int64_t row = f->base->row;
	bool reset = c->reset || f->other_ids[s];
	enum code rc = E_OK;

	f->can_flags[s] = c->flags_r != 0 ? c->flags_r : EP_FLAGS_ALL;
	f->can_keywords[s] = c->keywords_r;
	f->read[s] = true;
	f->mark[s] = f->ep[s]->mark;
	f->cursor[s] = c->cursor;
	f->dirty[s] |= !c->complete;
	if (row == 0)
		r->n_places = 0;
	else if (c->full || c->reset || c->n + c->n_gone > INDEX_FROM)
		rc = load_index(r, row, err);
	if (rc == E_OK && reset && row != 0)
		rc = void_ids(r, folder, s, err);
	for (size_t i = 0; rc == E_OK && i < c->n; i++) {
		struct base_place *b = NULL;

		if (row != 0 && !reset)
			rc = lookup(r, row, s, c->items[i].id, &b, err);
		if (rc == E_OK && b != NULL)
			placed(r, folder, s, b, &c->items[i]);
		else if (rc == E_OK)
			unplaced(r, folder, s, &c->items[i]);
	}
	for (size_t i = 0; rc == E_OK && row != 0 && !reset && i < c->n_gone; i++)
		rc = vanished(r, folder, s, c->gone[i], err);
	if (rc == E_OK && row != 0 && c->full && c->complete && !reset)
		rc = absent(r, folder, s, c, err);
	if (rc == E_OK && row != 0 && !c->full && c->complete && !reset)
		rc = made_and_gone(r, folder, s, c, err);
	return rc;
}

static bool must_read(const struct pass *p, const struct plan_folder *f, enum side s)
{
	const struct base_folder_side *b = &f->base->side[s];

	if (f->ep[s] == NULL)
		return false;
	/* with made: what came and went leaves the mark as it was */
	return f->other_ids[s] || f->made[s] || b->cursor.p == NULL || b->mark.n == 0 || f->ep[s]->mark.n == 0 ||
	       !span_eq(b->mark, f->ep[s]->mark) || (f->base->kind == EP_MAIL && !p->ep[s]->caps.marks_flags);
}

/* The requests of one side; *folder_r[i] tells which plan folder request i is of. */
static struct ep_changes *requests(struct pass *p, enum side s, int **folder_r, size_t *n_r)
{
	struct ep_changes *c = arena_calloc(p->arena, p->plan.n_folders + 1, sizeof(*c));

	*folder_r = arena_calloc(p->arena, p->plan.n_folders + 1, sizeof(**folder_r));
	*n_r = 0;
	for (size_t i = 0; i < p->plan.n_folders; i++) {
		struct plan_folder *f = &p->plan.folders[i];

		if (f->make[s] == NULL && !must_read(p, f, s))
			continue;
		c[*n_r].make = f->make[s];
		c[*n_r].folder = f->make[s] != NULL ? &f->make[s]->folder_r : f->ep[s];
		c[*n_r].since = f->other_ids[s] ? SPAN_NONE : f->base->side[s].cursor;
		(*folder_r)[(*n_r)++] = (int)i;
	}
	return c;
}

static enum code unreadable(struct pass *p, int folder, enum side s, const struct ep_changes *c, struct err *err)
{
	struct plan_folder *f = &p->plan.folders[folder];

	if (code_scope(c->code) != SCOPE_FOLDER && code_scope(c->code) != SCOPE_ITEM)
		return err_set(err, c->code, "%s", c->text != NULL ? c->text : code_text(c->code));
	pass_refused(p, s, f->ep[s]->path, c->code, c->text);
	f->dirty[SIDE_LEFT] = f->dirty[SIDE_RIGHT] = true;
	f->blocked = true;
	return E_OK;
}

/* What was told of a folder, unless it could not even be made (pass_created() has said so). */
static enum code take_answer(struct reader *r, int folder, enum side s, const struct ep_changes *c, struct err *err)
{
	if (r->p->plan.folders[folder].ep[s] == NULL)
		return E_OK;
	return c->code != E_OK ? unreadable(r->p, folder, s, c, err) : take(r, folder, s, c, err);
}

/* A folder that vanished on one side: all its places are gone there. */
static enum code folder_gone(struct reader *r, int folder, enum side s, struct err *err)
{
	struct plan_folder *f = &r->p->plan.folders[folder];
	enum code rc = load_index(r, f->base->row, err);

	for (size_t i = 0; rc == E_OK && i < r->n_places; i++) {
		struct plan_place *pp = touch(r, &r->places[i], folder);

		pp->gone[s] = pp->voided[s] = true;
	}
	for (size_t i = 0; rc == E_OK && i < r->p->n_solos; i++) {
		struct base_solo *o = &r->p->solos[i];

		if (o->folder != f->base->row || o->side != s || r->solo_done[i])
			continue;
		r->solo_done[i] = true;
		if (r->p->env->mode == PASS_SYNC)
			rc = base_solo_delete(r->p->base, o->row, err);
	}
	return rc;
}

static int folder_of_row(const struct pass *p, int64_t row)
{
	for (size_t i = 0; i < p->plan.n_folders; i++) {
		if (p->plan.folders[i].base->row == row)
			return (int)i;
	}
	return -1;
}

/* Solos that no listing mentioned: they are still there. */
static void remaining_solos(struct reader *r)
{
	struct pass *p = r->p;

	for (size_t i = 0; i < p->n_solos; i++) {
		struct base_solo *o = &p->solos[i];
		int folder = folder_of_row(p, o->folder);

		if (r->solo_done[i] || folder < 0 || p->plan.folders[folder].ep[o->side] == NULL)
			continue;
		if (o->state == SOLO_PARKED && o->id.n > 0 && (stays_parked(o) || o->next_s > clock_wall_s()))
			continue;
		if (o->state == SOLO_LET_DELETE && o->id.n > 0)
			released(r, folder, o, o->flags);
		else
			news_of_solo(r, folder, o);
	}
}

/* Records whose write was refused, when their time has come: as if they had changed now. */
static enum code refused_writes(struct reader *r, struct err *err)
{
	struct base_place *places;
	size_t n;
	enum code rc = base_records_refused(r->p->base, clock_wall_s(), r->p->arena, &places, &n, err);

	for (size_t i = 0; rc == E_OK && i < n; i++) {
		int folder = folder_of_row(r->p, places[i].folder);

		if (folder >= 0)
			touch(r, &places[i], folder)->edited[SIDE_LEFT] = true;
	}
	return rc;
}

static enum code find_made(struct pass *p, struct err *err)
{
	enum code rc = E_OK;

	for (int s = 0; rc == E_OK && s < SIDES; s++) {
		int64_t *rows;
		size_t n;

		rc = base_made_folders(p->base, (enum side)s, p->arena, &rows, &n, err);
		for (size_t i = 0; rc == E_OK && i < n; i++) {
			int folder = folder_of_row(p, rows[i]);

			if (folder >= 0)
				p->plan.folders[folder].made[s] = true;
		}
	}
	return rc;
}

static void init_reader(struct reader *r, struct pass *p)
{
	*r = (struct reader){ .p = p };
	idmap_init(&r->rows, p->arena, 64);
	idmap_init(&r->solos, p->arena, p->n_solos);
	r->solo_done = arena_calloc(p->arena, p->n_solos + 1, sizeof(bool));
	for (size_t i = 0; i < p->n_solos; i++) {
		struct base_solo *o = &p->solos[i];

		if (o->id.n > 0)
			idmap_put(&r->solos, solo_number(o->folder, o->side), o->id, o);
	}
}

enum code pass_changes(struct pass *p, struct err *err)
{
	struct reader r;
	int *folders[SIDES];
	struct ep_changes *c[SIDES];
	size_t n[SIDES], at[SIDES] = { 0, 0 };
	enum code rc = base_solos(p->base, p->arena, &p->solos, &p->n_solos, err);

	if (rc == E_OK)
		rc = find_made(p, err);
	if (rc != E_OK)
		return rc;
	init_reader(&r, p);
	for (int s = 0; s < SIDES; s++)
		c[s] = requests(p, (enum side)s, &folders[s], &n[s]);
	void *items[SIDES] = { c[SIDE_LEFT], c[SIDE_RIGHT] };
	rc = pass_both(p, EP_V_CHANGES, p->arena, items, n, err);
	if (rc == E_OK)
		rc = pass_created(p, err);
	/* folder by folder, so that one folder's index serves both sides */
	for (size_t i = 0; rc == E_OK && i < p->plan.n_folders; i++) {
		struct plan_folder *f = &p->plan.folders[i];

		for (int s = 0; rc == E_OK && s < SIDES; s++) {
			enum side o = side_other((enum side)s);

			if (at[s] < n[s] && folders[s][at[s]] == (int)i)
				rc = take_answer(&r, (int)i, (enum side)s, &c[s][at[s]++], err);
			if (rc == E_OK && f->ep[o] == NULL && f->base->row != 0 && f->base->side[o].id.n > 0)
				rc = folder_gone(&r, (int)i, o, err);
		}
	}
	if (rc == E_OK)
		remaining_solos(&r);
	return rc == E_OK ? refused_writes(&r, err) : rc;
}
