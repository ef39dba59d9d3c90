/* imap_values.c - sequence sets and dates, to and from text. Pure; declared in imap_parse.h.
 * Its tests: tests/unit/t_imap_parse.c, tests/fuzz/fuzz_imap_parse.c.
 */
#include "imap_parse.h"

#include <stdio.h>

static bool parse_uid(struct span s, uint32_t *v_r)
{
	uint64_t v;

	if (span_eq_str(s, "*")) {
		*v_r = UINT32_MAX;
		return true;
	}
	if (!span_u64(s, UINT32_MAX, &v))
		return false;
	*v_r = (uint32_t)v;
	return true;
}

bool imap_set_next(struct span *rest, uint32_t *lo_r, uint32_t *hi_r)
{
	struct span saved = *rest, part, lo;

	if (!span_next(rest, ',', &part))
		return false;
	size_t colon = span_find(part, 0, ':');
	lo = span_cut(part, 0, colon == SIZE_MAX ? part.n : colon);
	bool ok = parse_uid(lo, lo_r);
	*hi_r = *lo_r;
	if (ok && colon != SIZE_MAX)
		ok = parse_uid(span_cut(part, colon + 1, part.n), hi_r);
	if (!ok) {
		*rest = saved;
		return false;
	}
	if (*hi_r < *lo_r) {
		uint32_t swap = *lo_r;

		*lo_r = *hi_r;
		*hi_r = swap;
	}
	return true;
}

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400);
	unsigned doy = (153 * (m + (m > 2 ? -3U : 9U)) + 2) / 5 + d - 1;
	unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + (int64_t)doe - 719468;
}

/* Exactly n digits at `at`. */
static bool digits(struct span s, size_t at, size_t n, unsigned *v_r)
{
	uint64_t v;

	if (at + n > s.n || !span_u64(span_cut(s, at, n), 99999, &v))
		return false;
	*v_r = (unsigned)v;
	return true;
}

static bool find_month(struct span s, unsigned *m_r)
{
	for (unsigned m = 0; m < 12; m++)
		if (span_eq_nocase(s, span_bytes(months + 3 * m, 3))) {
			*m_r = m + 1;
			return true;
		}
	return false;
}

bool imap_date_parse(struct span s, int64_t *seconds_r)
{
	unsigned d, m, y, hh, mm, ss, zh, zm;

	s = span_trim(s);
	size_t dash = span_find(s, 0, '-');
	if (dash == SIZE_MAX || dash < 1 || dash > 2 || s.n != dash + 24)
		return false;
	if (!digits(s, 0, dash, &d) || !find_month(span_cut(s, dash + 1, 3), &m) ||
	    !digits(s, dash + 5, 4, &y) || !digits(s, dash + 10, 2, &hh) ||
	    !digits(s, dash + 13, 2, &mm) || !digits(s, dash + 16, 2, &ss) ||
	    !digits(s, dash + 20, 2, &zh) || !digits(s, dash + 22, 2, &zm))
		return false;
	if (d < 1 || d > 31 || hh > 24 || mm > 59 || ss > 60 || zm > 59)
		return false;
	int64_t zone = (int64_t)zh * 3600 + zm * 60;
	if (s.p[dash + 19] == '-')
		zone = -zone;
	*seconds_r = days_from_civil(y, m, d) * 86400 + (int64_t)hh * 3600 + mm * 60 + ss - zone;
	return true;
}

const char *imap_date_format(int64_t seconds, char out[IMAP_DATE_MAX])
{
	const int64_t last = INT64_C(253402300799);  /* 31-Dec-9999 23:59:59 */

	if (seconds < 0)
		seconds = 0;
	if (seconds > last)
		seconds = last;
	int64_t z = seconds / 86400 + 719468, era = z / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	unsigned m = mp < 10 ? mp + 3 : mp - 9, left = (unsigned)(seconds % 86400);

	snprintf(out, IMAP_DATE_MAX, "%02u-%.3s-%04u %02u:%02u:%02u +0000",
		 (doy - (153 * mp + 2) / 5 + 1) % 100, months + 3 * (m - 1),
		 (yoe + (unsigned)era * 400 + (m <= 2)) % 10000, left / 3600, left / 60 % 60, left % 60);
	return out;
}
