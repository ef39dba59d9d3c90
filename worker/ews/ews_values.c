/* ews_values.c - fields of one item: collected, ordered, printed, compared. */
#include "ews_values.h"

#include <stdlib.h>

static int order_of(const struct ews_values *vs, const char *element)
{
	struct span rest = span_of(vs->order), name;
	int i = 0;

	for (; span_next(&rest, ' ', &name); i++)
		if (span_eq_str(name, element))
			return i;
	assert(!"an element that is not in the order table");
	return i;
}

static void add(struct ews_values *vs, struct ews_value v)
{
	v.order = order_of(vs, v.element);
	vs->v = arena_grow(vs->arena, vs->v, vs->n, sizeof(v), &vs->cap);
	vs->v[vs->n++] = v;
}

static struct span escaped(struct arena *arena, struct span text)
{
	struct buf b;

	buf_init(&b, text.n * 6 + 16);
	ews_xml(&b, text);
	struct span out = arena_span(arena, buf_span(&b));
	buf_free(&b);
	return out;
}

void ews_set_xml(struct ews_values *vs, const char *uri, const char *element, const char *attrs, struct span xml)
{
	add(vs, (struct ews_value){ .uri = uri, .element = element, .attrs = attrs, .xml = xml });
}

void ews_set(struct ews_values *vs, const char *uri, const char *element, struct span text)
{
	if (text.n > 0)
		ews_set_xml(vs, uri, element, NULL, escaped(vs->arena, text));
}

void ews_set_bool(struct ews_values *vs, const char *uri, const char *element, bool value)
{
	ews_set_xml(vs, uri, element, NULL, value ? SPAN_LIT("true") : SPAN_LIT("false"));
}

void ews_set_entry(struct ews_values *vs, const char *uri, const char *element, const char *key, const char *part,
		   struct span text)
{
	if (text.n > 0)
		add(vs, (struct ews_value){ .uri = uri, .index = key, .element = element, .key = key, .part = part,
					    .xml = escaped(vs->arena, text) });
}

void ews_set_prop(struct ews_values *vs, const struct ews_prop *prop, struct span text)
{
	if (text.n > 0)
		add(vs, (struct ews_value){ .prop = prop, .element = "ExtendedProperty",
					    .xml = escaped(vs->arena, text) });
}

/* --- order and identity --- */

static int cmp_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? (a != NULL) - (b != NULL) : strcmp(a, b);
}

static const char *const parts[] = { "Street", "City", "State", "CountryOrRegion", "PostalCode" };

static int part_order(const char *part)
{
	for (size_t i = 0; part != NULL && i < ARRAY_LEN(parts); i++)
		if (strcmp(part, parts[i]) == 0)
			return (int)i;
	return -1;
}

static int by_place(const void *va, const void *vb)
{
	const struct ews_value *a = va, *b = vb;
	int c = a->order - b->order;

	if (c == 0 && a->prop != NULL && b->prop != NULL && a->prop != b->prop)
		return a->prop < b->prop ? -1 : 1;
	if (c == 0)
		c = cmp_text(a->key, b->key);
	return c != 0 ? c : part_order(a->part) - part_order(b->part);
}

static void sort(struct ews_values *vs)
{
	if (vs->n > 1)
		qsort(vs->v, vs->n, sizeof(*vs->v), by_place);
}

/* --- printing --- */

static void print_part(struct buf *b, const struct ews_value *v)
{
	if (v->part != NULL)
		buf_printf(b, "<t:%s>", v->part);
	buf_add_span(b, v->xml);
	if (v->part != NULL)
		buf_printf(b, "</t:%s>", v->part);
}

/* v[0..n) are of one element: one value, or entries. */
static void print_element(struct buf *b, const struct ews_value *v, size_t n)
{
	if (v->prop != NULL) {
		buf_add_str(b, "<t:ExtendedProperty>");
		ews_prop_uri(b, v->prop);
		buf_add_str(b, "<t:Value>");
		buf_add_span(b, v->xml);
		buf_add_str(b, "</t:Value></t:ExtendedProperty>");
		return;
	}
	buf_printf(b, "<t:%s%s>", v->element, v->attrs != NULL ? v->attrs : "");
	for (size_t i = 0; i < n; i++) {
		if (v[i].key != NULL && (i == 0 || strcmp(v[i].key, v[i - 1].key) != 0))
			buf_printf(b, "<t:Entry Key=\"%s\">", v[i].key);
		print_part(b, &v[i]);
		if (v[i].key != NULL && (i + 1 == n || strcmp(v[i].key, v[i + 1].key) != 0))
			buf_add_str(b, "</t:Entry>");
	}
	buf_printf(b, "</t:%s>", v->element);
}

void ews_values_print(struct ews_values *vs, struct buf *b)
{
	sort(vs);
	for (size_t i = 0, n; i < vs->n; i += n) {
		for (n = 1; vs->v[i].prop == NULL && i + n < vs->n && vs->v[i + n].order == vs->v[i].order; n++)
			;
		print_element(b, &vs->v[i], n);
	}
}

static void print_uri(struct buf *b, const struct ews_value *v)
{
	if (v->prop != NULL)
		ews_prop_uri(b, v->prop);
	else if (v->index != NULL)
		buf_printf(b, "<t:IndexedFieldURI FieldURI=\"%s\" FieldIndex=\"%s\"/>", v->uri, v->index);
	else
		ews_field(b, v->uri);
}

static void print_set(struct buf *b, const struct ews_value *v, const char *item)
{
	buf_add_str(b, "<t:SetItemField>");
	print_uri(b, v);
	buf_printf(b, "<t:%s>", item);
	print_element(b, v, 1);
	buf_printf(b, "</t:%s></t:SetItemField>", item);
}

/* What every item of its kind has: another field says that it does not count, or it says so by its value. */
static bool is_always_there(const struct ews_value *v)
{
	static const char *const uris[] = { "item:ReminderDueBy", "item:ReminderMinutesBeforeStart",
					    "task:PercentComplete", "task:Status" };

	for (size_t i = 0; v->uri != NULL && i < ARRAY_LEN(uris); i++)
		if (strcmp(v->uri, uris[i]) == 0)
			return true;
	return false;
}

static void print_delete(struct buf *b, const struct ews_value *v)
{
	if (is_always_there(v))
		return;
	buf_add_str(b, "<t:DeleteItemField>");
	print_uri(b, v);
	buf_add_str(b, "</t:DeleteItemField>");
}

bool ews_values_diff(struct ews_values *now, struct ews_values *wanted, const char *item, struct buf *b)
{
	size_t i = 0, j = 0, before = b->n;

	sort(now);
	sort(wanted);
	while (i < now->n || j < wanted->n) {
		int c = i == now->n ? 1 : j == wanted->n ? -1 : by_place(&now->v[i], &wanted->v[j]);

		if (c < 0)
			print_delete(b, &now->v[i++]);
		else if (c > 0)
			print_set(b, &wanted->v[j++], item);
		else {
			if (!span_eq(now->v[i].xml, wanted->v[j].xml) ||
			    cmp_text(now->v[i].attrs, wanted->v[j].attrs) != 0)
				print_set(b, &wanted->v[j], item);
			i++;
			j++;
		}
	}
	return b->n > before;
}
