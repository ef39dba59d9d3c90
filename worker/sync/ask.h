/* ask.h - shared by ask.c and explain.c: rows of the state as JSON. */
#ifndef MS_ASK_H
#define MS_ASK_H

#include "report.h"

struct ask {
	struct pass *p;
	struct base_folder *folders;
	size_t n_folders;
	bool any;                /* an element of the current array was sent */
};

json_t *ask_time(int64_t wall_s);                     /* null for 0 */
json_t *ask_solo(const struct ask *ask, const struct base_solo *solo);
json_t *ask_journal(const struct ask *ask, const struct base_journal *row);
const struct base_folder *ask_folder(const struct ask *ask, int64_t row);
/* refused.c: folders that were left out. */
enum code ask_refused(struct ask *ask, struct err *err) MS_MUST_USE;
/* explain.c */
enum code ask_explain(struct ask *ask, struct err *err) MS_MUST_USE;
/* One more element of the array that is being sent; takes over j. */
void ask_send(struct ask *ask, json_t *j);

#endif
