/* due.c - due times, the order of the pool, and waiting that doubles. Pure; test: t_due.c. */
#include "due.h"

#define SPAWN_DELAY_MS 1000
#define SPAWN_DELAY_MAX_MS 60000

/* Invariant of the retry rules: nothing here looks at anything but its arguments. */
int64_t due_after(const struct due_rules *rules, enum rclass rclass, int64_t end, int64_t wait_ms)
{
	int64_t failed = end + rules->interval_ms + rules->bump_ms;

	switch (rclass) {
	case RC_OK:
	case RC_HELD:
		return end + rules->interval_ms;
	case RC_YIELDED:
	case RC_RETURNED:
		return end;
	case RC_THROTTLED:
		return end + wait_ms > failed ? end + wait_ms : failed;
	case RC_STOPPED:
		return DUE_NEVER;
	case RC_LOGON_FAILED:
	case RC_STORE_FAILED:
	case RC_FAILED:
	case RC_CRASHED:
	case RCLASS_COUNT:
		break;
	}
	return failed;
}

bool due_is_failure(enum rclass rclass)
{
	return rclass != RC_OK && rclass != RC_HELD && rclass != RC_YIELDED && rclass != RC_RETURNED;
}

enum rclass due_fold(const enum rclass by_kind[DUE_KINDS])
{
	static const unsigned char gravity[RCLASS_COUNT] = {
		[RC_OK] = 0, [RC_HELD] = 1, [RC_YIELDED] = 2, [RC_RETURNED] = 3, [RC_THROTTLED] = 4,
		[RC_FAILED] = 5, [RC_CRASHED] = 6, [RC_STORE_FAILED] = 7, [RC_LOGON_FAILED] = 8,
		[RC_STOPPED] = 9,
	};
	enum rclass worst = by_kind[0];

	for (unsigned i = 1; i < DUE_KINDS; i++) {
		if (gravity[by_kind[i]] > gravity[worst])
			worst = by_kind[i];
	}
	return worst;
}

int due_compare(const struct due_place *a, const struct due_place *b)
{
	if (a->due != b->due)
		return a->due < b->due ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static int64_t doubled(int64_t first_ms, unsigned times, int64_t max_ms)
{
	int64_t ms = first_ms;

	while (times-- > 0 && ms < max_ms)
		ms *= 2;
	return ms < max_ms ? ms : max_ms;
}

int64_t due_note_crash(struct due_crashes *crashes, int64_t now, int64_t first_ms)
{
	memmove(crashes->at + 1, crashes->at, sizeof(crashes->at[0]) * (DUE_CRASHES - 1));
	crashes->at[0] = now;
	if (crashes->n < DUE_CRASHES)
		crashes->n++;
	if (crashes->n < DUE_CRASHES || now - crashes->at[DUE_CRASHES - 1] > DUE_CRASH_WINDOW_MS)
		return 0;
	crashes->n = DUE_CRASHES - 1;   /* one trial run after it: its crash quarantines again */
	return now + doubled(first_ms, crashes->level++, DUE_QUARANTINE_MAX_MS);
}

int64_t due_hold_ms(unsigned restarts_in_row, int64_t first_ms, int64_t max_ms)
{
	return restarts_in_row < 2 ? 0 : doubled(first_ms, restarts_in_row - 2, max_ms);
}

int64_t due_spawn_delay_ms(unsigned deaths_in_row)
{
	return deaths_in_row == 0 ? 0 : doubled(SPAWN_DELAY_MS, deaths_in_row - 1, SPAWN_DELAY_MAX_MS);
}
