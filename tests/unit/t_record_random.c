/* t_record_random.c - the laws of record_merge.c on random items, random edits on both sides, and a side
 * that drops what it does not know. MS_CASES: how many (default 20,000; MS_ROUNDS: 17 for each round, 102,000 in check-full);
 * MS_SEED: one seed, as a failure prints it.
 */
#include "record_case.h"

/* An item is a row of small numbers, one for each thing that it may have; 0 = not there. */
#define SLOTS 40

struct spec {
	uint8_t v[SLOTS];
	bool card;
	int stamp;                      /* hour of LAST-MODIFIED */
};

static uint64_t seed, dice;

static uint32_t rnd(uint32_t n)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(dice >> 33) % n;
}

static const char *const times[] = {
	"DTSTART:20240101T100000Z\nDTEND:20240101T110000Z\n",
	"DTSTART;TZID=Europe/Berlin:20240101T100000\nDURATION:PT45M\nRRULE:FREQ=DAILY;COUNT=9\n",
	"DTSTART;TZID=AUS Eastern Standard Time:20240101T100000\nDTEND;TZID=AUS Eastern Standard Time:20240101T110000\nRRULE:FREQ=WEEKLY\n"
		"EXDATE:20240107T230000Z\n",
	"DTSTART;VALUE=DATE:20240101\nRRULE:FREQ=WEEKLY\nEXDATE;VALUE=DATE:20240129\n",
	"DTSTART:20240101T100000\nDTEND:20240101T110000\nRDATE:20240103T100000,20240104T100000\n",
	"DTSTART;TZID=Nowhere/Zone:20240101T100000\nDTEND;TZID=Nowhere/Zone:20240101T110000\n",
};

/* What one slot adds, for values 1 to 3. */
static void put_event_slot(struct buf *out, size_t slot, int v)
{
	static const char *const names[] = { "SUMMARY", "LOCATION", "DESCRIPTION", "X-FOO", "URL", "X-BAR" };
	static const char *const texts[] = { "", "plain", "with\\, comma\\; and \\\\ \\n \xc3\xa9", "\xf0\x9f\x98\x80 long long long long long long long "
		"long long long long long long long long long long long long long long long" };

	if (slot < 6)
		buf_printf(out, "%s:%s\n", names[slot], texts[v]);
	else if (slot < 10)
		buf_printf(out, "CATEGORIES:c%zu\\,%d\n", slot, v);
	else if (slot < 14)
		buf_printf(out, "ATTENDEE;CN=\"P, %zu\";PARTSTAT=%s:mailto:Person%zu@example.com\n", slot,
			   v == 1 ? "NEEDS-ACTION" : v == 2 ? "ACCEPTED" : "DECLINED", slot);
	else if (slot < 16)
		buf_printf(out, "COMMENT:comment %zu %d\n", slot, v);
	else if (slot == 16)
		buf_printf(out, "STATUS:%s\n", v == 1 ? "CONFIRMED" : v == 2 ? "TENTATIVE" : "CANCELLED");
	else if (slot == 17)
		buf_printf(out, "PRIORITY:%d\n", v - 1);
	else if (slot < 21)
		buf_printf(out, "BEGIN:VALARM\nACTION:%s\nTRIGGER:-PT%zuM\nDESCRIPTION:alarm %d\nX-ALARM:%d\nEND:VALARM\n",
			   slot == 18 ? "DISPLAY" : "AUDIO", slot, v, v / 2);
}

#define EVENT_SLOTS 21                  /* then three exceptions of four slots */

static void put_exception(struct buf *out, const uint8_t *v, size_t n, int stamp)
{
	if (v[0] == 0)
		return;
	buf_printf(out, "BEGIN:VEVENT\nUID:u\nRECURRENCE-ID:202401%02zuT090000Z\nDTSTART:202401%02zuT1%d0000Z\nLAST-MODIFIED:20240101T%02d0000Z\n",
		   8 + n, 8 + n, v[0], stamp);
	if (v[1] > 0)
		buf_printf(out, "SUMMARY:exception %d\n", v[1]);
	if (v[2] > 0)
		buf_printf(out, "ATTENDEE;PARTSTAT=%s:mailto:x@example.com\n", v[2] == 1 ? "ACCEPTED" : "DECLINED");
	if (v[3] > 0)
		buf_printf(out, "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT%dM\nDESCRIPTION:%d\nEND:VALARM\n", v[3] > 1 ? 5 : 10, v[3]);
	buf_add_str(out, "END:VEVENT\n");
}

static void put_card_slot(struct buf *out, size_t slot, int v)
{
	static const char *const kinds[] = { "", "HOME", "WORK", "CELL" };

	if (slot < 4)
		buf_printf(out, "TEL;TYPE=%s:+%zu\n", kinds[v], slot);
	else if (slot < 8)
		buf_printf(out, "EMAIL%s:a%zu@example.com\n", v == 1 ? "" : v == 2 ? ";TYPE=INTERNET,pref" : ";TYPE=WORK", slot);
	else if (slot < 12)
		buf_printf(out, "item%zu.URL:http://%zu.example\nitem%zu.X-ABLabel:label %d\n", slot, slot, slot, v);
	else if (slot < 16)
		buf_printf(out, "%s:n%zu %d\n", slot % 2 ? "NICKNAME" : "CATEGORIES", slot, v);
	else if (slot == 16)
		buf_printf(out, "NOTE:note %d\\nand \xc3\xa4\n", v);
	else if (slot == 17)
		buf_printf(out, "BDAY:%s\n", v == 1 ? "1990-01-02" : v == 2 ? "--0102" : "1991-01-02");
	else if (slot == 18)
		buf_printf(out, "PHOTO;ENCODING=b;TYPE=%s:AAAA%d\n", v == 1 ? "JPEG" : "PNG", v);
	else if (slot == 19)
		buf_printf(out, "ORG:Org %d;Unit\n", v);
	else if (slot == 20)
		buf_printf(out, "X-SOCIALPROFILE;TYPE=a:x%d\nX-SOCIALPROFILE;TYPE=b:y\n", v);
	else if (slot < 24)
		buf_printf(out, "ADR;TYPE=%s:;;Street %zu;Town;;;\n", kinds[v], slot);
	else if (slot < 26)
		buf_printf(out, "IMPP:xmpp:%zu-%d@example\n", slot, v);
}

static struct record *record_of(const struct spec *s)
{
	struct buf out;

	buf_init(&out, (size_t)1 << 20);
	if (s->card) {
		buf_printf(&out, "BEGIN:VCARD\nVERSION:3.0\nUID:u\nFN:Some One\nREV:20240101T%02d0000Z\n", s->stamp);
		for (size_t i = 1; i < SLOTS; i++) {
			if (s->v[i] > 0)
				put_card_slot(&out, i - 1, s->v[i]);
		}
		buf_add_str(&out, "END:VCARD\n");
	} else {
		buf_printf(&out, "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:u\nLAST-MODIFIED:20240101T%02d0000Z\n%s", s->stamp, times[s->v[0]]);
		for (size_t i = 1; i <= EVENT_SLOTS; i++) {
			if (s->v[i] > 0)
				put_event_slot(&out, i - 1, s->v[i]);
		}
		buf_add_str(&out, "END:VEVENT\n");
		for (size_t n = 0; n < 3; n++)
			put_exception(&out, s->v + EVENT_SLOTS + 1 + n * 4, n, s->stamp);
		buf_add_str(&out, "END:VCALENDAR\n");
	}
	struct record *r = rc_parse(buf_span(&out));
	buf_free(&out);
	return r;
}

/* Without an exception there is nothing of it. */
static struct spec tidy(struct spec s)
{
	for (size_t n = EVENT_SLOTS + 1; !s.card && n + 3 < SLOTS; n += 4) {
		if (s.v[n] == 0)
			memset(&s.v[n], 0, 4);
	}
	return s;
}

static struct spec random_spec(void)
{
	struct spec s = { .card = rnd(3) == 0, .stamp = 1 };

	s.v[0] = (uint8_t)rnd(ARRAY_LEN(times));
	for (size_t i = 1; i < SLOTS; i++)
		s.v[i] = (uint8_t)(rnd(2) ? rnd(4) : 0);
	return tidy(s);
}

static struct spec edited(struct spec s, int stamp)
{
	s.stamp = stamp;
	for (uint32_t n = rnd(6); n > 0; n--) {
		size_t slot = rnd(SLOTS);

		s.v[slot] = (uint8_t)(slot == 0 ? rnd(ARRAY_LEN(times)) : rnd(3) ? rnd(4) : 0);
	}
	return tidy(s);
}

/* --- the laws --- */

static void check(bool ok, const char *law)
{
	if (!ok)
		fail_msg("%s does not hold with MS_SEED=%llu", law, (unsigned long long)seed);
}

static void check_same(const struct record *a, const struct record *b, const char *law)
{
	if (!rc_is_same(a, b))
		rc_same(arena_printf(rc_arena, "%s with MS_SEED=%llu", law, (unsigned long long)seed), a, b);
}

static struct record *again(const struct record *r, unsigned int flags)
{
	return rc_parse(rc_print(r, flags));
}

static void laws_of_one(const struct record *base, const struct record *now)
{
	struct record_patch p = record_diff(rc_arena, base, now), none = record_diff(rc_arena, now, now);
	struct record *loaded, *applied = record_apply(rc_arena, base, &p);

	check_same(applied, now, "apply(base, diff(base, now)) == now");
	check_same(again(applied, 0), now, "parse(print(apply)) == now");
	check(none.n == 0, "diff(now, now) is empty");
	check_same(again(now, now->kind == RECORD_EVENT ? RECORD_SILENT : RECORD_VCARD_40), now, "parse(print(now)) == now");
	check(record_load(rc_arena, record_canonical(rc_arena, base), &loaded, NULL) == E_OK, "load(canonical)");
	check(record_diff(rc_arena, loaded, now).n == p.n, "diff(load(canonical(base)), now) == diff(base, now)");
	check(record_equal(rc_arena, base, now) == (p.n == 0), "equal if and only if nothing differs");
}

static bool is_within(struct span comp, struct span ancestor)
{
	return span_eq(comp, ancestor) || (comp.n > ancestor.n && comp.p[ancestor.n] == '/' && memcmp(comp.p, ancestor.p, ancestor.n) == 0);
}

static bool equal_or_none(struct span a, struct span b)
{
	return a.p == NULL ? b.p == NULL : b.p != NULL && span_eq(a, b);
}

/* Is the change in the result, or among the conflicts? */
static bool is_kept(const struct record_change *c, enum side side, const struct record *result, const struct record_merge *m)
{
	const struct record_entry *e = record_find(result, c->comp, c->prop, c->inst);

	if (equal_or_none(e != NULL ? e->value : SPAN_NONE, c->after))
		return true;
	for (size_t i = 0; i < m->n_conflicts; i++) {
		const struct record_conflict *k = &m->conflicts[i];

		if (span_eq(k->comp, c->comp) && span_eq(k->prop, c->prop) && span_eq(k->inst, c->inst) &&
		    equal_or_none(k->value[side], c->after))
			return true;
		/* a removed component, back because the other side edited it */
		if (c->after.p == NULL && k->value[side].p == NULL && k->winner != side &&
		    (is_within(k->comp, c->comp) || is_within(c->comp, k->comp)))
			return true;
		/* an exception's removal takes its alarms along: the conflict may be about one of them */
		struct span top = span_cut(c->comp, 0, span_find(c->comp, 0, '/'));
		if (c->after.p == NULL && k->winner != side && is_within(k->comp, top))
			return true;
	}
	return false;
}

static void no_loss(const struct record *base, const struct record *const now[SIDES], const struct record *result,
		    const struct record_merge *m)
{
	for (int s = 0; s < SIDES; s++) {
		struct record_patch p = record_diff(rc_arena, base, now[s]);

		for (size_t i = 0; i < p.n; i++) {
			if (!is_kept(&p.changes[i], (enum side)s, result, m))
				fail_msg("a change of " SPAN_FMT " " SPAN_FMT " on the %s is lost with MS_SEED=%llu", SPAN_ARG(p.changes[i].comp),
					 SPAN_ARG(p.changes[i].prop), side_name((enum side)s), (unsigned long long)seed);
		}
	}
}

static const enum record_policy mirrored[] = {
	[RECORD_NEWEST] = RECORD_NEWEST, [RECORD_LEFT] = RECORD_RIGHT, [RECORD_RIGHT] = RECORD_LEFT, [RECORD_BOTH] = RECORD_BOTH,
};

static size_t conflicts;

static void laws_of_two(const struct record *base, const struct record *l, const struct record *r, enum record_policy policy)
{
	const struct record *bases[SIDES] = { base, base }, *now[SIDES] = { l, r }, *swapped[SIDES] = { r, l };
	struct record_merge m, mirror, second;
	struct record *out[SIDES], *back[SIDES];

	record_merge(rc_arena, bases, now, policy, &m);
	record_merge(rc_arena, bases, swapped, mirrored[policy], &mirror);
	for (int s = 0; s < SIDES; s++) {
		out[s] = record_apply(rc_arena, now[s], &m.to[s]);
		back[s] = record_apply(rc_arena, swapped[s], &mirror.to[s]);
	}
	conflicts += m.n_conflicts;
	check_same(out[0], out[1], "both sides are equal after a merge");
	check_same(out[0], back[0], "the merge of swapped sides is the same");
	check(m.n_conflicts == mirror.n_conflicts, "swapped sides have the same conflicts");
	check_same(again(out[0], 0), out[0], "what a merge made survives printing");
	no_loss(base, now, out[0], &m);
	for (size_t i = 0; i < m.n_conflicts; i++) {
		const struct record_conflict *k = &m.conflicts[i];
		const struct record_entry *e = record_find(out[0], k->comp, k->prop, k->inst);

		check(equal_or_none(e != NULL ? e->value : SPAN_NONE, k->value[k->winner]), "the winner's value is the result");
	}
	for (int round = 0; round < 2; round++) {
		const struct record *merged[SIDES] = { out[0], out[1] };

		record_merge(rc_arena, round == 0 ? bases : merged, merged, policy, &second);
		check(second.to[0].n == 0 && second.to[1].n == 0 && second.n_conflicts == 0, "a second merge does nothing");
	}
}

/* A store that knows only some slots. */
static struct spec lossy(struct spec s, const bool *known)
{
	for (size_t i = 1; i < SLOTS; i++) {
		if (!known[i])
			s.v[i] = 0;
	}
	return tidy(s);
}

static void law_of_lossy(const struct spec *a)
{
	bool known[SLOTS];

	for (size_t i = 0; i < SLOTS; i++) {
		size_t whole = i > EVENT_SLOTS ? i - (i - EVENT_SLOTS - 1) % 4 : i;

		known[i] = i == 0 || (rnd(3) > 0 && (a->card || whole == i || known[whole]));
	}
	struct spec b = lossy(*a, known), b2 = lossy(edited(b, 9), known), want = *a;

	for (size_t i = 0; i < SLOTS; i++) {
		if (known[i])
			want.v[i] = b2.v[i];
	}
	/* an exception that the lossy side removed is removed with all that it could not show */
	want = tidy(want);
	const struct record *base[SIDES] = { record_of(a), record_of(&b) }, *now[SIDES] = { base[0], base[1] };
	struct record_merge m;

	record_merge(rc_arena, base, now, RECORD_NEWEST, &m);
	check(m.to[0].n == 0 && m.to[1].n == 0, "what a side cannot hold is no deletion");
	now[1] = record_of(&b2);
	record_merge(rc_arena, base, now, RECORD_NEWEST, &m);
	struct record *a2 = record_apply(rc_arena, base[0], &m.to[0]);
	check_same(a2, record_of(&want), "A to B to A keeps what B drops");
	check(m.to[1].n == 0 && m.n_conflicts == 0, "nothing goes back to where it came from");
	/* written, read back, and nothing moves any more */
	const struct record *after[SIDES] = { again(a2, 0), now[1] };
	record_merge(rc_arena, after, after, RECORD_NEWEST, &m);
	check(m.to[0].n == 0 && m.to[1].n == 0, "the next pass does nothing");
}

static void one_case(uint64_t s)
{
	seed = s;
	dice = s * 2654435761u + 12345;
	struct spec base = random_spec();
	int left = 1 + (int)rnd(9), right = left > 5 ? left - 3 : left + 3;
	struct spec l = edited(base, left), r = edited(base, right);

	/* now and then the same thing on both sides */
	for (size_t i = 0; i < SLOTS; i++) {
		if (l.v[i] != base.v[i] && rnd(3) == 0)
			r.v[i] = i == 0 ? (uint8_t)rnd(ARRAY_LEN(times)) : (uint8_t)rnd(4);
	}
	r = tidy(r);
	struct record *rb = record_of(&base), *rl = record_of(&l), *rr = record_of(&r);

	laws_of_one(rb, rl);
	laws_of_two(rb, rl, rr, (enum record_policy)rnd(4));
	law_of_lossy(&base);
	arena_reset(rc_arena);
}

static void t_laws(void **state)
{
	const char *one = getenv("MS_SEED"), *cases = getenv("MS_CASES"), *rounds = getenv("MS_ROUNDS");
	uint64_t n = cases != NULL ? strtoull(cases, NULL, 10) : rounds != NULL ? strtoull(rounds, NULL, 10) * 17 : 20000;

	(void)state;
	if (one != NULL) {
		one_case(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t i = 1; i <= n; i++)
		one_case(i);
	assert_true(n < 100 || conflicts > n / 10);
	print_message("%llu cases, %zu conflicts\n", (unsigned long long)n, conflicts);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(t_laws, rc_setup, rc_teardown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
