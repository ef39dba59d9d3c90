/* trace.h - protocol traces: what goes to and comes from an endpoint, a line each, into this process's
 * log, whatever LogLevel is. `Trace` names endpoints, types of endpoints, or "all".
 *
 * Nothing is recognised by its looks: who writes a secret does not call this, from before the first
 * byte of the exchange to after its last. Contents of mail travel in literals and quoted strings, of
 * which only the size is shown.
 */
#ifndef MS_TRACE_H
#define MS_TRACE_H

#include "span.h"

#define TRACE_LIST_MAX 512

/* Comma list; NULL or "" = nothing. */
void trace_set(const char *list);
bool trace_wanted(const char *endpoint, const char *type);
/* direction: '>' to the server, '<' from it. */
void trace_line(const char *endpoint, char direction, struct span line);

#endif
