/* table.c - tables and JSON values for a terminal. */
#include "table.h"

#include "../../common/mem.h"

#include <stdlib.h>

struct table {
	size_t columns, n, cap;
	char **cells;            /* the heads first */
};

void terminal_add(struct buf *out, const char *p, size_t n)
{
	const unsigned char *b = (const unsigned char *)p;

	for (size_t i = 0; i < n; i++) {
		if (b[i] < 0x20 || b[i] == 0x7f)
			buf_printf(out, "\\x%02x", b[i]);
		else if (b[i] == 0xc2 && i + 1 < n && b[i + 1] < 0xa0)
			buf_printf(out, "\\x%02x", b[++i]);
		else
			buf_add_char(out, p[i]);
	}
}

static char *terminal_text(const char *text)
{
	struct buf b;

	buf_init(&b, 4 * strlen(text) + 1);
	terminal_add(&b, text, strlen(text));
	char *shown = mem_strdup(buf_str(&b));
	buf_free(&b);
	return shown;
}

void table_cell(struct table *t, const char *text)
{
	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 64 : t->cap * 2;
		t->cells = mem_realloc(t->cells, t->cap, sizeof(*t->cells));
	}
	t->cells[t->n++] = terminal_text(text == NULL || text[0] == '\0' ? "-" : text);
}

struct table *table_new(size_t columns, const char *const *heads)
{
	struct table *t = mem_alloc(sizeof(*t));

	assert(columns <= TABLE_COLUMNS);
	t->columns = columns;
	for (size_t i = 0; i < columns; i++)
		table_cell(t, heads[i]);
	return t;
}

void table_free(struct table **t)
{
	for (size_t i = 0; i < (*t)->n; i++)
		mem_free((*t)->cells[i]);
	mem_free((*t)->cells);
	mem_free(*t);
	*t = NULL;
}

static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

void table_show(struct table *t, FILE *out)
{
	size_t widths[TABLE_COLUMNS] = { 0 };

	for (size_t i = 0; i < t->n; i++) {
		size_t w = width(t->cells[i]);

		if (w > widths[i % t->columns])
			widths[i % t->columns] = w;
	}
	for (size_t i = 0; i < t->n; i++) {
		size_t column = i % t->columns;
		bool last = column + 1 == t->columns;

		fputs(t->cells[i], out);
		if (last)
			fputc('\n', out);
		for (size_t pad = width(t->cells[i]); !last && pad < widths[column] + 2; pad++)
			fputc(' ', out);
	}
}

void text_of_json(struct buf *out, json_t *value)
{
	if (value == NULL || json_is_null(value)) {
		buf_add_char(out, '-');
	} else if (json_is_string(value)) {
		terminal_add(out, json_string_value(value), json_string_length(value));
	} else {
		char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

		buf_add_str(out, text != NULL ? text : "?");
		free(text);      /* jansson's own memory */
	}
}

const char *json_text(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

json_int_t json_number(json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}
