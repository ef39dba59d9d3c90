/* plan_paths.c - what a folder of one side is called on the other. Pure. */
#include "plan.h"

#include "../data/path.h"

/* Where a pair's folder is, or is going to be, on that side; SPAN_NONE if nowhere. */
static struct span path_on(const struct plan_folder *f, enum side s)
{
	return f->ep[s] != NULL ? f->ep[s]->path : f->base->side[s].path;
}

struct span plan_translate(struct plan *plan, enum ep_kind kind, enum side from, struct span path)
{
	const struct plan_folder *best = NULL;
	enum side to = side_other(from);

	for (size_t i = 0; i < plan->n_folders; i++) {
		const struct plan_folder *f = &plan->folders[i];

		if (f->base->kind != kind || f->base->role == EP_ROLE_INBOX || f->ep[from] == NULL ||
		    path_on(f, to).n == 0 || !path_is_below(path, f->ep[from]->path))
			continue;
		if (best == NULL || f->ep[from]->path.n > best->ep[from]->path.n)
			best = f;
	}
	if (best == NULL)
		return path;
	struct span rest = span_cut(path, best->ep[from]->path.n + 1, SIZE_MAX);
	return path_join(plan->arena, path_on(best, to), rest);
}

struct span plan_revival_path(struct plan *plan, const struct plan_folder *f, enum side s)
{
	enum side o = side_other(s);

	if (f->base->by != PAIR_PATH || f->base->side[s].id.n == 0 || f->ep[o] == NULL)
		return f->base->side[s].path;
	struct span want = plan_translate(plan, f->base->kind, o, f->ep[o]->path);

	for (size_t i = 0; i < plan->n_folders; i++) {
		const struct plan_folder *g = &plan->folders[i];

		if (g != f && g->base->kind == f->base->kind && path_eq(path_on(g, s), want))
			return f->base->side[s].path;
	}
	return want;
}

struct span plan_suffixed(struct plan *plan, struct span want, const char *origin, unsigned attempt)
{
	return span_of(attempt == 1 ? arena_printf(plan->arena, SPAN_FMT " (%s)", SPAN_ARG(want), origin) :
		       arena_printf(plan->arena, SPAN_FMT " (%s %u)", SPAN_ARG(want), origin, attempt));
}
