/* trace.c - see trace.h. */
#include "trace.h"

#include "log.h"

#include <stdio.h>

static char wanted[TRACE_LIST_MAX];

void trace_set(const char *list)
{
	if (list == NULL || snprintf(wanted, sizeof(wanted), "%s", list) >= (int)sizeof(wanted))
		wanted[0] = '\0';
}

bool trace_wanted(const char *endpoint, const char *type)
{
	struct span rest = span_of(wanted), word;

	if (wanted[0] == '\0')
		return false;
	while (span_next(&rest, ',', &word)) {
		if (span_eq_str(word, "all") || span_eq_str(word, endpoint) || span_eq_str(word, type))
			return true;
	}
	return false;
}

void trace_line(const char *endpoint, char direction, struct span line)
{
	log_trace("%s %c " SPAN_FMT, endpoint, direction, SPAN_ARG(line));
}
