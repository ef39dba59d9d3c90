/* record_case.h - what the tests of worker/data/record.h share: an arena, records out of texts and of
 * fixtures, assertions that show what differs. */
#ifndef RECORD_CASE_H
#define RECORD_CASE_H

#include "../../worker/data/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

extern struct arena *rc_arena;

int rc_setup(void **state);             /* a fresh arena for each test */
int rc_teardown(void **state);

struct record *rc_parse(struct span text);
/* Whole texts as a user's client writes them: an event of that day of June 2026, a card ("" = without a UID). */
const char *rc_event_text(const char *uid, int day, const char *lines);
const char *rc_card_text(const char *uid, const char *name, const char *lines);
struct record *rc_event(const char *lines);     /* lines of a VEVENT with UID u */
struct record *rc_card(const char *version, const char *lines);
struct span rc_print(const struct record *record, unsigned int flags);
struct span rc_file(const char *path);
/* Calls back for each fixture of that kind ("ics", "vcf"), in name order; fails if there are few. */
void rc_each_fixture(const char *kind, void (*call)(const char *name, struct span text));

/* Equal in what counts, byte for byte. */
void rc_same(const char *what, const struct record *a, const struct record *b);
bool rc_is_same(const struct record *a, const struct record *b);
const char *rc_value(const struct record *record, const char *comp, const char *prop, const char *inst);

#endif
