/* conf_wire.h - shared by conf_wire.c (one pairing, for a worker) and conf_whole.c (all of it, from the
 * process that reads the file to the supervisor): settings as JSON by the rows of conf_table.c.
 */
#ifndef MS_CONF_WIRE_H
#define MS_CONF_WIRE_H

#include "conf_p.h"

#include <jansson.h>

/* whole: secrets travel as where they are, else only as `true`. */
json_t *conf_table_to_json(const struct conf_table *t, const void *base, bool whole, struct arena *arena);
void conf_put_text(json_t *object, const char *key, const char *value);     /* NULL: not put */
/* Name, line, policies, guard, folders; not the mailboxes. */
void conf_pairing_put(json_t *object, const struct conf_pairing *p, struct arena *arena);

struct conf_decoder {
	struct conf_source src;
	bool whole;
	struct err *err;
};
/* Each sets d->err and returns its code where the JSON is not what the encoder writes. */
enum code conf_bad(struct conf_decoder *d, const char *what);
enum code conf_get_text(struct conf_decoder *d, json_t *object, const char *key, const char **value_r) MS_MUST_USE;
enum code conf_get_word(struct conf_decoder *d, json_t *object, const char *key, const char *const *names,
			size_t n, unsigned *value_r) MS_MUST_USE;
enum code conf_get_number(struct conf_decoder *d, json_t *object, const char *key, json_int_t max,
			  json_int_t *value_r) MS_MUST_USE;
enum code conf_get_table(struct conf_decoder *d, json_t *object, const struct conf_table *t, void *base) MS_MUST_USE;
enum code conf_get_endpoint(struct conf_decoder *d, json_t *object, struct conf_endpoint *e) MS_MUST_USE;
/* Table, SMTPName and deletions of one side; m->endpoint is set already. */
enum code conf_get_mailbox(struct conf_decoder *d, json_t *object, struct conf_pairing *p, enum side side) MS_MUST_USE;
enum code conf_pairing_get(struct conf_decoder *d, json_t *object, struct conf_pairing *p) MS_MUST_USE;

#endif
