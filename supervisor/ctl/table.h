/* table.h - columns for people: widths by what is in them, control characters escaped. */
#ifndef MS_TABLE_H
#define MS_TABLE_H

#include "../../common/buf.h"

#include <jansson.h>
#include <stdio.h>

#define TABLE_COLUMNS 8

struct table;

struct table *table_new(size_t columns, const char *const *heads);
/* One cell after the other, row by row; NULL and "" show as "-". Copies. */
void table_cell(struct table *t, const char *text);
void table_show(struct table *t, FILE *out);
void table_free(struct table **t);

/* Append n bytes so that no terminal obeys them: control characters (C0, DEL, C1) as \xNN. */
void terminal_add(struct buf *out, const char *p, size_t n);
/* A JSON value as text for people: strings escaped, null and absent "-", others as JSON. */
void text_of_json(struct buf *out, json_t *value);
/* Members of objects: never fail; absent is NULL, "" or 0. */
const char *json_text(json_t *object, const char *key);
json_int_t json_number(json_t *object, const char *key);

#endif
