/* plan_folders.c - pairs folders by id, map, role and path; plans creations and renames. Pure.
 *
 * A folder of the base is found again by its stable id; else by path and id; else by an id that is
 * unique on both sides (a rename); else by path, intended ones first (known ids are then void). What nobody claimed is
 * paired by map, then by role, then by path, and what is left is created on the other side. A path
 * that is held there by a folder paired otherwise gets a suffix: nothing is merged, nothing stops.
 */
#include "plan.h"

#include "../data/path.h"

struct work {
	struct plan *plan;
	const struct folder_rules *rules;
	const struct ep_list *list;          /* of each side */
	bool *claimed[SIDES];
	struct folder_plan *out;
	size_t cap;
};

static bool below_role(const struct ep_list *list, struct span path, enum ep_role role)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->folders[i].role == role && path_is_below(path, list->folders[i].path))
			return true;
	}
	return false;
}

static bool bins_unpaired(const struct conf_pairing *p)
{
	return p->deletions[SIDE_LEFT] == DELETIONS_TRASH || p->deletions[SIDE_RIGHT] == DELETIONS_TRASH;
}

static bool takes_part(const struct work *w, const struct ep_list *list, const struct ep_folder *f)
{
	const struct conf_pairing *p = w->rules->pairing;

	if (!f->selectable || (w->rules->kinds & (1u << f->kind)) == 0 || f->role == EP_ROLE_ALL)
		return false;
	bool binned = f->role == EP_ROLE_TRASH || below_role(list, f->path, EP_ROLE_TRASH);
	if (binned && f->kind == EP_MAIL && bins_unpaired(p))
		return false;
	for (size_t i = 0; i < p->n_excludes; i++) {
		if (path_matches(f->path, span_of(p->excludes[i])))
			return false;
	}
	return true;
}

static struct plan_folder *add_folder(struct work *w, struct base_folder *base)
{
	struct plan *plan = w->plan;

	plan->folders = arena_grow(plan->arena, plan->folders, plan->n_folders, sizeof(*plan->folders), &w->cap);
	struct plan_folder *f = &plan->folders[plan->n_folders++];
	*f = (struct plan_folder){ .base = base, .places = UINT64_MAX };
	for (int s = 0; s < SIDES; s++) {
		f->can_flags[s] = EP_FLAGS_ALL;
		f->can_keywords[s] = true;
	}
	return f;
}

/* --- finding the base's folders again --- */

static size_t count_id(const struct ep_list *list, struct span id)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		n += list->folders[i].selectable && span_eq(list->folders[i].id, id);
	return n;
}

typedef bool (*match_fn)(const struct work *w, enum side side, const struct base_folder_side *b,
			 const struct ep_folder *f);

static bool by_stable_id(const struct work *w, enum side side, const struct base_folder_side *b,
			 const struct ep_folder *f)
{
	(void)w;
	(void)side;
	return b->id.n > 0 && b->stable && f->id_stable && span_eq(b->id, f->id);
}

static bool by_path_and_id(const struct work *w, enum side side, const struct base_folder_side *b,
			   const struct ep_folder *f)
{
	(void)w;
	(void)side;
	return b->id.n > 0 && span_eq(b->id, f->id) && path_eq(b->path, f->path);
}

static bool by_unique_id(const struct work *w, enum side side, const struct base_folder_side *b,
			 const struct ep_folder *f)
{
	size_t in_base = 0;

	if (b->id.n == 0 || f->id_stable || !span_eq(b->id, f->id) || count_id(&w->list[side], f->id) != 1)
		return false;
	for (size_t i = 0; i < w->plan->n_folders; i++)
		in_base += span_eq(w->plan->folders[i].base->side[side].id, b->id);
	return in_base == 1;
}

static bool by_path(const struct work *w, enum side side, const struct base_folder_side *b,
		    const struct ep_folder *f)
{
	(void)w;
	(void)side;
	return path_eq(b->path, f->path);
}

/* One that we wanted to make and were interrupted: it is not the old one of that name, back again. */
static bool by_intent(const struct work *w, enum side side, const struct base_folder_side *b,
		      const struct ep_folder *f)
{
	return b->id.n == 0 && by_path(w, side, b, f);
}

static void find_again(struct work *w, enum side side, match_fn match)
{
	const struct ep_list *list = &w->list[side];

	for (size_t i = 0; i < w->plan->n_folders; i++) {
		struct plan_folder *pf = &w->plan->folders[i];

		for (size_t j = 0; pf->ep[side] == NULL && j < list->n; j++) {
			const struct ep_folder *f = &list->folders[j];

			if (w->claimed[side][j] || !f->selectable || f->kind != pf->base->kind ||
			    !match(w, side, &pf->base->side[side], f))
				continue;
			const struct base_folder_side *b = &pf->base->side[side];

			pf->ep[side] = f;
			/* another folder under the same name: its ids are not those that the base knows */
			pf->other_ids[side] = b->id.n > 0 && b->stable == f->id_stable && !span_eq(b->id, f->id);
			w->claimed[side][j] = true;
		}
	}
}

static void forget(struct work *w, int64_t row)
{
	struct folder_plan *o = w->out;

	o->forget = arena_grow(w->plan->arena, o->forget, o->n_forget, sizeof(*o->forget), &o->cap_forget);
	o->forget[o->n_forget++] = row;
}

/* Drop rows that are gone on both sides, and those that no longer take part. */
static void drop_dead(struct work *w)
{
	struct plan *plan = w->plan;
	size_t kept = 0;

	for (size_t i = 0; i < plan->n_folders; i++) {
		struct plan_folder *f = &plan->folders[i];
		bool out = f->ep[SIDE_LEFT] == NULL && f->ep[SIDE_RIGHT] == NULL;

		for (int s = 0; s < SIDES; s++) {
			if (f->ep[s] != NULL && !takes_part(w, &w->list[s], f->ep[s]))
				out = true;
		}
		if (out)
			forget(w, f->base->row);
		else
			plan->folders[kept++] = *f;
	}
	plan->n_folders = kept;
}

/* --- pairing what is new --- */

static void pair_new(struct work *w, size_t l, size_t r, enum pair_by by)
{
	const struct ep_folder *fl = &w->list[SIDE_LEFT].folders[l], *fr = &w->list[SIDE_RIGHT].folders[r];
	struct base_folder *base = arena_alloc(w->plan->arena, sizeof(*base));
	struct plan_folder *f;

	base->kind = fl->kind;
	base->role = fl->role != EP_ROLE_NONE ? fl->role : fr->role;
	base->by = by;
	f = add_folder(w, base);
	f->ep[SIDE_LEFT] = fl;
	f->ep[SIDE_RIGHT] = fr;
	w->claimed[SIDE_LEFT][l] = w->claimed[SIDE_RIGHT][r] = true;
}

static bool is_free(const struct work *w, enum side s, size_t i)
{
	return !w->claimed[s][i] && takes_part(w, &w->list[s], &w->list[s].folders[i]);
}

/* The free folder of that kind and path; SIZE_MAX if there is none. */
static size_t free_at(const struct work *w, enum ep_kind kind, enum side s, struct span path)
{
	for (size_t i = 0; i < w->list[s].n; i++) {
		const struct ep_folder *f = &w->list[s].folders[i];

		if (is_free(w, s, i) && f->kind == kind && path_eq(f->path, path))
			return i;
	}
	return SIZE_MAX;
}

static void pair_by_map(struct work *w)
{
	const struct conf_pairing *p = w->rules->pairing;

	for (size_t i = 0; i < p->n_maps * EP_KINDS; i++) {
		const struct conf_folder_map *map = &p->maps[i / EP_KINDS];
		enum ep_kind kind = (enum ep_kind)(i % EP_KINDS);
		size_t l = free_at(w, kind, SIDE_LEFT, span_of(map->left));
		size_t r = free_at(w, kind, SIDE_RIGHT, span_of(map->right));

		if (l != SIZE_MAX && r != SIZE_MAX)
			pair_new(w, l, r, PAIR_MAP);
	}
}

static bool role_taken(const struct work *w, enum ep_role role)
{
	for (size_t i = 0; i < w->plan->n_folders; i++) {
		const struct plan_folder *f = &w->plan->folders[i];

		for (int s = 0; s < SIDES; s++) {
			if (f->ep[s] != NULL && f->ep[s]->role == role)
				return true;
		}
	}
	return false;
}

static size_t free_role(const struct work *w, enum side s, enum ep_role role)
{
	for (size_t i = 0; i < w->list[s].n; i++) {
		if (is_free(w, s, i) && w->list[s].folders[i].role == role)
			return i;
	}
	return SIZE_MAX;
}

static void pair_by_role(struct work *w)
{
	for (int role = EP_ROLE_INBOX; role < EP_ROLES; role++) {
		if (role_taken(w, (enum ep_role)role))
			continue;
		size_t l = free_role(w, SIDE_LEFT, (enum ep_role)role);
		size_t r = free_role(w, SIDE_RIGHT, (enum ep_role)role);

		if (l != SIZE_MAX && r != SIZE_MAX)
			pair_new(w, l, r, PAIR_ROLE);
	}
}

static const char *mapped(const struct conf_pairing *p, enum side from, struct span path)
{
	for (size_t i = 0; i < p->n_maps; i++) {
		if (path_eq(path, span_of(from == SIDE_LEFT ? p->maps[i].left : p->maps[i].right)))
			return from == SIDE_LEFT ? p->maps[i].right : p->maps[i].left;
	}
	return NULL;
}

static bool roles_agree(const struct ep_folder *a, const struct ep_folder *b)
{
	return a->role == b->role || a->role == EP_ROLE_NONE || b->role == EP_ROLE_NONE;
}

static void pair_by_path(struct work *w)
{
	for (size_t l = 0; l < w->list[SIDE_LEFT].n; l++) {
		const struct ep_folder *f = &w->list[SIDE_LEFT].folders[l];

		if (!is_free(w, SIDE_LEFT, l) || mapped(w->rules->pairing, SIDE_LEFT, f->path) != NULL)
			continue;
		size_t r = free_at(w, f->kind, SIDE_RIGHT, plan_translate(w->plan, f->kind, SIDE_LEFT, f->path));
		if (r != SIZE_MAX && roles_agree(f, &w->list[SIDE_RIGHT].folders[r]))
			pair_new(w, l, r, PAIR_PATH);
	}
}

/* A selectable folder of that kind at that path on that side, or NULL. */
static const struct ep_folder *at_path(const struct work *w, enum ep_kind kind, enum side s, struct span path)
{
	for (size_t i = 0; i < w->list[s].n; i++) {
		const struct ep_folder *f = &w->list[s].folders[i];

		if (f->selectable && f->kind == kind && path_eq(f->path, path))
			return f;
	}
	return NULL;
}

/* Folders that got another name once: found again by it, a lost state makes no second copy of them. */
static void pair_by_suffix(struct work *w)
{
	for (int from = 0; from < SIDES; from++) {
		enum side to = side_other((enum side)from);

		for (size_t i = 0; i < w->list[from].n; i++) {
			const struct ep_folder *f = &w->list[from].folders[i];

			if (!is_free(w, (enum side)from, i) ||
			    mapped(w->rules->pairing, (enum side)from, f->path) != NULL)
				continue;
			struct span want = plan_translate(w->plan, f->kind, (enum side)from, f->path);
			struct span path = plan_suffixed(w->plan, want, w->rules->endpoint_name[from], 1);
			size_t other = free_at(w, f->kind, to, path);

			if (other == SIZE_MAX || at_path(w, f->kind, to, want) == NULL ||
			    !roles_agree(f, &w->list[to].folders[other]))
				continue;
			pair_new(w, from == SIDE_LEFT ? i : other, from == SIDE_LEFT ? other : i, PAIR_PATH);
		}
	}
}

/* --- steps --- */

static struct folder_step *add_step(struct work *w, enum folder_step_kind kind, enum side side, size_t folder,
				    struct span path, const char *why)
{
	struct folder_plan *o = w->out;

	o->steps = arena_grow(w->plan->arena, o->steps, o->n_steps, sizeof(*o->steps), &o->cap_steps);
	struct folder_step *st = &o->steps[o->n_steps++];
	*st = (struct folder_step){ .kind = kind, .side = side, .folder = (int)folder, .path = path, .why = why };
	return st;
}

/* A folder that is going to be there. */
static bool planned_at(const struct work *w, enum ep_kind kind, enum side s, struct span path)
{
	for (size_t i = 0; i < w->plan->n_folders; i++) {
		const struct plan_folder *f = &w->plan->folders[i];

		if (f->ep[s] == NULL && f->base->kind == kind && path_eq(plan_revival_path(w->plan, f, s), path))
			return true;
	}
	return false;
}

/* A path for a newcomer: itself, or with the origin's name behind it where it is held (R12). */
static struct span free_path(const struct work *w, enum ep_kind kind, enum side target, struct span want)
{
	struct span path = want;

	for (unsigned i = 1; (at_path(w, kind, target, path) != NULL || planned_at(w, kind, target, path)) &&
	     i < 1000; i++)
		path = plan_suffixed(w->plan, want, w->rules->endpoint_name[side_other(target)], i);
	return path;
}

static void create_new(struct work *w, enum side from, size_t i)
{
	const struct ep_folder *f = &w->list[from].folders[i];
	enum side to = side_other(from);
	struct base_folder *base = arena_alloc(w->plan->arena, sizeof(*base));
	const char *map = mapped(w->rules->pairing, from, f->path);
	struct span want = map != NULL ? span_of(map) : plan_translate(w->plan, f->kind, from, f->path);

	base->kind = f->kind;
	base->role = f->role;
	base->by = map != NULL ? PAIR_MAP : PAIR_PATH;
	struct span path = free_path(w, f->kind, to, want);
	base->side[to].path = path;
	struct plan_folder *pf = add_folder(w, base);
	pf->ep[from] = f;
	w->claimed[from][i] = true;
	add_step(w, FOLDER_CREATE, to, w->plan->n_folders - 1, path,
		 span_eq(path, want) ? "new on the other side" : "new on the other side; its name is held here");
}

/* Mapped folders first: the names they go to are theirs. Then shallow ones first, so that children
 * find where their parents go. */
static void create_all(struct work *w)
{
	for (int s = 0; s < SIDES; s++) {
		for (size_t i = 0; i < w->list[s].n; i++) {
			if (is_free(w, (enum side)s, i) &&
			    mapped(w->rules->pairing, (enum side)s, w->list[s].folders[i].path) != NULL)
				create_new(w, (enum side)s, i);
		}
	}
	for (int s = 0; s < SIDES; s++) {
		for (size_t depth = 1, left = w->list[s].n; left > 0 && depth < 200; depth++) {
			for (size_t i = 0; i < w->list[s].n; i++) {
				if (path_depth(w->list[s].folders[i].path) != depth)
					continue;
				left--;
				if (is_free(w, (enum side)s, i))
					create_new(w, (enum side)s, i);
			}
		}
	}
}

/* Rows whose creation was intended but not done (or whose folder is to come back). */
static void create_missing(struct work *w)
{
	for (size_t i = 0; i < w->plan->n_folders; i++) {
		struct plan_folder *f = &w->plan->folders[i];

		for (int s = 0; s < SIDES; s++) {
			if (f->base->row != 0 && f->ep[s] == NULL && f->base->side[s].id.n == 0)
				add_step(w, FOLDER_CREATE, (enum side)s, i, f->base->side[s].path, "to be created");
		}
	}
}

static bool renamed(const struct plan_folder *f, enum side s)
{
	return f->ep[s] != NULL && f->base->side[s].path.n > 0 && !path_eq(f->base->side[s].path, f->ep[s]->path);
}

static bool will_be_renamed(const struct work *w, const struct ep_folder *holder, enum side s)
{
	for (size_t i = 0; i < w->plan->n_folders; i++) {
		const struct plan_folder *f = &w->plan->folders[i];

		if (f->ep[s] == holder)
			return f->base->by == PAIR_PATH && renamed(f, side_other(s));
	}
	return false;
}

static void rename_one(struct work *w, size_t i, enum side from)
{
	struct plan_folder *f = &w->plan->folders[i];
	enum side to = side_other(from);
	struct span want = plan_translate(w->plan, f->base->kind, from, f->ep[from]->path);

	if (path_eq(want, f->ep[to]->path))
		return;
	const struct ep_folder *holder = at_path(w, f->base->kind, to, want);
	if (holder != NULL && !will_be_renamed(w, holder, to))
		return;    /* the name is taken: the pair keeps two names, by its ids */
	if (holder != NULL)
		want = span_of(arena_printf(w->plan->arena, SPAN_FMT "~%lld", SPAN_ARG(want), (long long)f->base->row));
	if (path_eq(want, f->ep[to]->path))
		return;    /* out of the way already: the holder moves in this round */
	add_step(w, FOLDER_RENAME, to, i, want, "renamed on the other side");
}

/* The side whose user renamed this pair's folder, if that is to be followed. */
static bool follows(const struct plan_folder *f, enum side *from_r)
{
	if (f->base->row == 0 || f->base->by != PAIR_PATH || f->ep[SIDE_LEFT] == NULL || f->ep[SIDE_RIGHT] == NULL ||
	    f->ep[SIDE_LEFT]->role == EP_ROLE_INBOX || f->ep[SIDE_RIGHT]->role == EP_ROLE_INBOX)
		return false;
	*from_r = renamed(f, SIDE_LEFT) ? SIDE_LEFT : SIDE_RIGHT;
	return renamed(f, *from_r);
}

/* Only the shallowest renames that can be made: children follow by themselves on most servers, and
 * those that wait for a name are made in a later round. */
static void rename_all(struct work *w)
{
	for (size_t depth = 1; depth < 200 && w->out->n_steps == 0; depth++) {
		for (size_t i = 0; i < w->plan->n_folders; i++) {
			enum side from;

			if (follows(&w->plan->folders[i], &from) &&
			    path_depth(w->plan->folders[i].ep[from]->path) == depth)
				rename_one(w, i, from);
		}
	}
}

static const struct ep_folder *role_of(const struct ep_list *list, enum ep_role role)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->folders[i].role == role && list->folders[i].selectable)
			return &list->folders[i];
	}
	return NULL;
}

void plan_folders(struct plan *plan, const struct folder_rules *rules, struct base_folder *base, size_t n_base,
		  const struct ep_list list[SIDES], struct folder_plan *out)
{
	static const match_fn ladder[] = { by_stable_id, by_path_and_id, by_unique_id, by_intent, by_path };
	struct work w = { .plan = plan, .rules = rules, .list = list, .out = out };

	*out = (struct folder_plan){ 0 };
	plan->folders = NULL;
	plan->n_folders = 0;
	for (int s = 0; s < SIDES; s++) {
		w.claimed[s] = arena_calloc(plan->arena, list[s].n + 1, sizeof(bool));
		out->trash[s] = role_of(&list[s], EP_ROLE_TRASH);
		out->archive[s] = role_of(&list[s], EP_ROLE_ARCHIVE);
	}
	for (size_t i = 0; i < n_base; i++) {
		uint32_t kind = 1u << base[i].kind;

		/* wanted, but one side cannot be asked for it now: left as it is */
		if ((rules->kinds & kind) != 0 || (rules->pairing->kinds & kind) == 0)
			add_folder(&w, &base[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(ladder); i++) {
		find_again(&w, SIDE_LEFT, ladder[i]);
		find_again(&w, SIDE_RIGHT, ladder[i]);
	}
	drop_dead(&w);
	pair_by_map(&w);
	pair_by_role(&w);
	pair_by_path(&w);
	pair_by_suffix(&w);
	rename_all(&w);
	if (out->n_steps > 0)
		return;         /* renames first: the trees are listed again after them */
	create_missing(&w);
	create_all(&w);
}
