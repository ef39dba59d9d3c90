/* report.h - shared by report.c and verify.c: pieces of JSON documents and names of items. */
#ifndef MS_REPORT_H
#define MS_REPORT_H

#include "pass_private.h"

#include <jansson.h>

/* How an item is named to people: Message-ID, else the server's id; date and size if m tells them.
 * The subject only if asked for. In the arena. */
const char *report_item(struct arena *arena, struct span id, const struct ep_meta *m, bool subject);
/* A server's id: as it is where it is text, else "UID n". In the arena. */
const char *report_id(struct arena *arena, struct span id);
/* "seen flagged"; "" for none. In the arena. */
const char *report_flags(struct arena *arena, uint32_t flags);
/* A JSON string; null for SPAN_NONE. */
json_t *report_string(struct span s);
/* Send before + JSON + after as one part; takes over j's reference. */
void report_send(struct pass *p, json_t *j, const char *before, const char *after);

#endif
