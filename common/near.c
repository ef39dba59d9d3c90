/* near.c - edit distance over short names. */
#include "near.h"

#include <ctype.h>

#define NAME_MAX_BYTES 64

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

unsigned near_distance(const char *a, const char *b)
{
	unsigned rows[3][NAME_MAX_BYTES + 1];
	unsigned *before = rows[0], *prev = rows[1], *now = rows[2];
	size_t na = strlen(a), nb = strlen(b);

	if (na > NAME_MAX_BYTES || nb > NAME_MAX_BYTES)
		return NEAR_FAR;
	for (size_t j = 0; j <= nb; j++)
		prev[j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned cost = same(a[i - 1], b[j - 1]) ? 0 : 1;

			now[j] = min3(prev[j] + 1, now[j - 1] + 1, prev[j - 1] + cost);
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
			    same(a[i - 2], b[j - 1]) && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		unsigned *spare = before;
		before = prev;
		prev = now;
		now = spare;
	}
	return prev[nb];
}

void near_offer(struct near *near, const char *name)
{
	unsigned d = near_distance(near->word, name);
	unsigned limit = (unsigned)(strlen(name) + 2) / 3;

	if (d <= limit && (near->best == NULL || d < near->distance)) {
		near->best = name;
		near->distance = d;
	}
}
