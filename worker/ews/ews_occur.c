/* ews_occur.c - exceptions of series: found by walking the server's own occurrences, changed or left out one by one.
 *
 * The server numbers the occurrences of a series from 1, those left out included. Which number a day has is not
 * computed: the original starts of a hundred at a time are asked for. A day that was left out, or changed, becomes
 * what the rule says only by writing the rule anew, which drops all exceptions; then all of them are made again.
 */
#include "ews_record.h"

#include "../../common/mem.h"
#include "../data/when.h"

#include <stdio.h>
#include <stdlib.h>

#define WALK_MAX 2000
#define DAY 86400
#define EXCEPTION "VEVENT@"

/* --- what a record has --- */

static void add(struct arena *arena, struct ews_occur **list, size_t *n, size_t *cap, struct ews_occur o)
{
	*list = arena_grow(arena, *list, *n, sizeof(**list), cap);
	(*list)[(*n)++] = o;
}

static int by_start(const void *a, const void *b)
{
	const struct ews_occur *x = a, *y = b;

	return x->utc < y->utc ? -1 : x->utc > y->utc;
}

/* The instants of one EXDATE line. */
static void add_left_out(struct arena *arena, const struct content_line *line, struct tz_set *zones,
			 const char *home, struct ews_occur **list, size_t *n, size_t *cap)
{
	struct span rest = line->value, value;

	while (span_next(&rest, ',', &value)) {
		struct content_line one = *line;
		struct ews_start start;

		one.value = value;
		if (ews_read_start(zones, home, &one, &start))
			add(arena, list, n, cap, (struct ews_occur){ .utc = ews_start_utc(&start),
					.date = start.date });
	}
}

size_t ews_occurs_of(struct arena *arena, const struct record *record, const char *home, struct ews_occur **list_r)
{
	const struct record_entry *times = record_find(record, SPAN_LIT("VEVENT"), SPAN_LIT("DTSTART"), SPAN_LIT(""));
	struct span rest = times != NULL ? times->value : SPAN_NONE, text;
	struct tz_set *zones = tz_set_new(arena);
	size_t n = 0, cap = 0, prefix = strlen(EXCEPTION);
	struct content_line line;

	*list_r = NULL;
	while (span_next(&rest, '\n', &text))
		if (content_parse_line(arena, text, &line) && span_eq_nocase_str(line.name, "EXDATE"))
			add_left_out(arena, &line, zones, home, list_r, &n, &cap);
	for (size_t i = 0; i < record->n; i++) {
		struct span comp = record->e[i].comp;
		struct content_line original = { .value = span_cut(comp, prefix, comp.n) };
		struct ews_start start;

		if (!span_eq_str(record->e[i].prop, "BEGIN") || comp.n <= prefix ||
		    memcmp(comp.p, EXCEPTION, prefix) != 0 || span_find(comp, 0, '/') != SIZE_MAX ||
		    !ews_read_start(zones, home, &original, &start))
			continue;
		add(arena, list_r, &n, &cap, (struct ews_occur){ .utc = ews_start_utc(&start), .date = start.date,
								  .comp = arena_str(arena, comp) });
	}
	tz_set_free(&zones);
	if (n > 1)
		qsort(*list_r, n, sizeof(**list_r), by_start);
	return n;
}

/* --- what has to be done --- */

static const struct ews_occur *find(const struct ews_occur *list, size_t n, int64_t utc)
{
	struct ews_occur key = { .utc = utc };

	return n > 0 ? bsearch(&key, list, n, sizeof(key), by_start) : NULL;
}

static bool same_values(struct ews *e, struct arena *arena, const struct record *a, const char *comp_a,
			const struct record *b, const char *comp_b)
{
	struct ews_values x, y;
	struct buf out;

	if (ews_values_of(e, arena, EP_EVENTS, a, comp_a, NULL, &x, NULL) != E_OK ||
	    ews_values_of(e, arena, EP_EVENTS, b, comp_b, NULL, &y, NULL) != E_OK)
		return false;
	buf_init(&out, EWS_REQUEST_MAX);
	bool differ = ews_values_diff(&x, &y, "CalendarItem", &out);
	buf_free(&out);
	return !differ;
}

size_t ews_occurs_diff(struct ews *e, struct arena *arena, const struct record *now, const struct record *wanted,
		       struct ews_occur **list_r, bool *rewrite_r)
{
	struct ews_occur *have = NULL, *want;
	size_t n_have = now != NULL ? ews_occurs_of(arena, now, e->zone, &have) : 0;
	size_t n = ews_occurs_of(arena, wanted, e->zone, &want);
	size_t kept = 0;

	*list_r = want;
	for (size_t i = 0; i < n_have && !*rewrite_r; i++) {
		const struct ews_occur *w = find(want, n, have[i].utc);

		*rewrite_r = w == NULL || (have[i].comp == NULL && w->comp != NULL);
	}
	if (*rewrite_r)
		return n;
	for (size_t i = 0; i < n; i++) {
		const struct ews_occur *h = find(have, n_have, want[i].utc);
		bool same = h != NULL && (want[i].comp == NULL ? h->comp == NULL : h->comp != NULL &&
					  same_values(e, arena, now, h->comp, wanted, want[i].comp));

		if (!same)
			want[kept++] = want[i];
	}
	return kept;
}

size_t ews_occurs_missing(const struct ews *e, struct arena *arena, const struct record *now,
			  const struct record *wanted, struct ews_occur **list_r)
{
	struct ews_occur *have, *want;
	size_t n_have = ews_occurs_of(arena, now, e->zone, &have), n = ews_occurs_of(arena, wanted, e->zone, &want);
	size_t kept = 0;

	*list_r = want;
	for (size_t i = 0; i < n; i++)
		if (find(have, n_have, want[i].utc) == NULL)
			want[kept++] = want[i];
	return kept;
}

/* --- finding them on the server --- */

struct walk {
	struct ews *e;
	struct arena *arena;
	struct span id;
	struct ews_occur *list;
	size_t n, found, alive;          /* alive: of this round, occurrences that there are */
};

static void begin_walk(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>");
	ews_field(b, "calendar:OriginalStart");
	ews_field(b, "calendar:Start");
	buf_add_str(b, "</t:AdditionalProperties></m:ItemShape><m:ItemIds>");
}

static enum code one_walk(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	struct walk *w = ctx;

	(void)err;
	buf_add_str(b, "<t:OccurrenceItemId RecurringMasterId=\"");
	ews_xml(b, w->id);
	buf_printf(b, "\" InstanceIndex=\"%zu\"/>", *(const size_t *)el->what);
	return E_OK;
}

static void end_walk(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemIds></m:GetItem>");
}

static enum code on_walk(void *ctx, struct ews_el *el, const struct ews_object *o, struct err *err)
{
	struct walk *w = ctx;
	int64_t utc;

	(void)el;
	(void)err;
	w->alive++;
	if (!ews_read_time(ews_text(o, "OriginalStart"), &utc, NULL) && !ews_read_time(ews_text(o, "Start"),
			&utc, NULL))
		return E_OK;
	for (size_t i = 0; i < w->n; i++) {
		int64_t off = w->list[i].utc - utc;

		/* a day begins at the midnight of somewhere, which need not be ours */
		if (w->list[i].item_id.n > 0 || (w->list[i].date ? off < -DAY / 2 || off >= DAY / 2 : off != 0))
			continue;
		w->list[i].item_id = arena_span(w->arena, ews_text(o, "ItemId@Id"));
		w->found++;
	}
	return E_OK;
}

static enum code locate(struct walk *w, struct err *err)
{
	struct ews_batch b = { .e = w->e, .arena = w->arena, .what = "looking for an occurrence", .items = EWS_BATCH,
			       .bytes = SIZE_MAX, .ctx = w, .begin = begin_walk, .one = one_walk, .end = end_walk,
			       .object = on_walk };
	size_t index[EWS_BATCH];
	struct ews_el els[EWS_BATCH];

	for (size_t from = 1; w->found < w->n && from < WALK_MAX; from += EWS_BATCH) {
		w->alive = 0;
		for (size_t i = 0; i < EWS_BATCH; i++) {
			index[i] = from + i;
			els[i] = (struct ews_el){ .what = &index[i], .code = E_CANCELLED };
		}
		enum code rc = ews_batch_run(&b, els, EWS_BATCH, err);
		if (rc != E_OK)
			return rc;
		/* one that could not be asked for is not one that is not there */
		for (size_t i = 0; i < EWS_BATCH; i++)
			if (els[i].code != E_OK && els[i].code != E_ITEM_GONE)
				return err_set(err, els[i].code, "%s", els[i].text);
		if (w->alive == 0)
			break;
	}
	return E_OK;
}

/* Keeps those that were found. */
static enum code keep_found(struct walk *w, bool those_there, struct err *err)
{
	size_t kept = 0;

	if (w->found < w->n && !those_there)
		return err_set(err, E_ITEM_REFUSED, "the series has an exception for a day on which it does not occur");
	for (size_t i = 0; i < w->n; i++)
		if (w->list[i].item_id.n > 0)
			w->list[kept++] = w->list[i];
	w->n = kept;
	return E_OK;
}

/* --- changing them --- */

struct occ {
	struct ews *e;
	struct arena *arena;
	const struct record *wanted;
	struct ews_occur *o;
	struct ews_rec now;
};

static void begin_update(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "<m:UpdateItem MessageDisposition=\"SaveOnly\" ConflictResolution=\"AlwaysOverwrite\" "
		    "SendMeetingInvitationsOrCancellations=\"SendToNone\"><m:ItemChanges>");
}

static enum code one_update(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	struct occ *c = el->what;
	struct ews_values now, wanted;
	enum code rc = ews_values_of(c->e, c->arena, EP_EVENTS, c->now.plain, "VEVENT", NULL, &now, err);
	size_t before;

	(void)ctx;
	if (rc == E_OK)
		rc = ews_values_of(c->e, c->arena, EP_EVENTS, c->wanted, c->o->comp, NULL, &wanted, err);
	if (rc != E_OK)
		return rc;
	buf_add_str(b, "<t:ItemChange>");
	ews_id(b, "ItemId", c->o->item_id, SPAN_NONE);
	buf_add_str(b, "<t:Updates>");
	before = b->n;
	ews_values_diff(&now, &wanted, "CalendarItem", b);
	if (b->n == before)                  /* it is what the rule says */
		return err_set(err, E_ITEM_GONE, "nothing is to be changed");
	buf_add_str(b, "</t:Updates></t:ItemChange>");
	return E_OK;
}

static void end_update(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemChanges></m:UpdateItem>");
}

static void begin_delete(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "<m:DeleteItem DeleteType=\"HardDelete\" SendMeetingCancellations=\"SendToNone\"><m:ItemIds>");
}

static enum code one_delete(void *ctx, struct buf *b, struct ews_el *el, struct err *err)
{
	(void)ctx;
	(void)err;
	ews_id(b, "ItemId", ((struct occ *)el->what)->o->item_id, SPAN_NONE);
	return E_OK;
}

static void end_delete(void *ctx, struct buf *b, struct ews_el *first)
{
	(void)ctx;
	(void)first;
	buf_add_str(b, "</m:ItemIds></m:DeleteItem>");
}

static enum code run_all(struct ews *e, struct arena *arena, struct occ *c, size_t n, bool left_out, struct err *err)
{
	struct ews_batch update = { .what = "changing an occurrence", .writes = true, .begin = begin_update,
				    .one = one_update, .end = end_update };
	struct ews_batch remove = { .what = "leaving out an occurrence", .writes = true, .begin = begin_delete,
				    .one = one_delete, .end = end_delete };
	struct ews_batch b = left_out ? remove : update;
	struct ews_el *els = mem_calloc(n, sizeof(*els));
	size_t k = 0;

	b.e = e;
	b.arena = arena;
	b.items = 20;
	b.bytes = SIZE_MAX;
	for (size_t i = 0; i < n; i++)
		if ((c[i].o->comp == NULL) == left_out)
			els[k++] = (struct ews_el){ .what = &c[i], .code = E_CANCELLED };
	/* all change one series: one request after the other */
	uint32_t in_flight = e->in_flight;
	e->in_flight = 1;
	enum code rc = k > 0 ? ews_batch_run(&b, els, k, err) : E_OK;
	e->in_flight = in_flight;
	for (size_t i = 0; rc == E_OK && i < k; i++)
		if (els[i].code != E_OK && els[i].code != E_ITEM_GONE)
			rc = err_set(err, els[i].code, "%s",
					els[i].text != NULL ? els[i].text : code_text(els[i].code));
	mem_free(els);
	return rc;
}

enum code ews_occurs_apply(struct ews *e, struct arena *arena, struct span id, const struct record *wanted,
			   struct ews_occur *list, size_t n, bool those_there, struct err *err)
{
	struct walk w = { .e = e, .arena = arena, .id = id, .list = list, .n = n };
	enum code rc = n > 0 ? locate(&w, err) : E_OK;

	if (rc == E_OK)
		rc = keep_found(&w, those_there, err);
	n = w.n;
	if (rc != E_OK || n == 0)
		return rc;
	struct occ *c = mem_calloc(n, sizeof(*c));
	struct ews_rec *now = mem_calloc(n, sizeof(*now));
	for (size_t i = 0; i < n; i++) {
		ews_rec_init(&now[i], e, arena, EP_EVENTS, list[i].item_id);
		if (list[i].comp == NULL)
			now[i].code = E_ITEM_GONE;       /* nothing of it matters */
	}
	rc = ews_recs_read(e, arena, now, n, err);
	for (size_t i = 0; i < n; i++) {
		c[i] = (struct occ){ e, arena, wanted, &list[i], now[i] };
		if (rc == E_OK && list[i].comp != NULL && now[i].code != E_OK)
			rc = err_set(err, now[i].code, "%s",
					now[i].text != NULL ? now[i].text : code_text(now[i].code));
	}
	if (rc == E_OK)
		rc = run_all(e, arena, c, n, false, err);
	if (rc == E_OK)
		rc = run_all(e, arena, c, n, true, err);
	for (size_t i = 0; i < n; i++)
		ews_rec_free(&now[i]);
	mem_free(c);
	mem_free(now);
	return rc;
}
