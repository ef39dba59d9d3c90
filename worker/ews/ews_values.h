/* ews_values.h - the fields of one item as the server stores them: printed whole for a new item, as the differences
 * between two of them for a change. Pure.
 */
#ifndef MS_EWS_VALUES_H
#define MS_EWS_VALUES_H

#include "ews_print.h"

struct ews_value {
	const char *uri;                 /* "contacts:Surname" */
	const char *index;               /* FieldIndex of an entry; NULL: none */
	const struct ews_prop *prop;     /* or an extended property */
	const char *element;             /* "Surname", "PhoneNumbers" */
	const char *key, *part;          /* of an entry: <t:Entry Key="..."><t:Part> */
	const char *attrs;               /* of the element: " BodyType=\"Text\"" */
	struct span xml;                 /* what is in it, escaped */
	int order;                       /* of the element in the schema */
};

/* A member of a group. */
struct ews_member {
	struct span uid, item;           /* of an item of the mailbox; empty: it is an address */
	struct span address, name;
	bool list;                       /* the item is a group itself */
};
struct ews_members {
	struct ews_member *m;
	size_t n, cap;
};

struct ews_values {
	struct arena *arena;
	const char *order;               /* the schema's sequence: names, separated by blanks */
	const char *mailbox;             /* its address */
	const char *home;                /* its zone; NULL: UTC */
	const struct ews_members *members;   /* of a group: who is known; or NULL */
	struct ews_value *v;
	size_t n, cap;
};

void ews_set(struct ews_values *vs, const char *uri, const char *element, struct span text);   /* nothing if empty */
void ews_set_bool(struct ews_values *vs, const char *uri, const char *element, bool value);
void ews_set_xml(struct ews_values *vs, const char *uri, const char *element, const char *attrs, struct span xml);
void ews_set_entry(struct ews_values *vs, const char *uri, const char *element, const char *key, const char *part,
		   struct span text);
void ews_set_prop(struct ews_values *vs, const struct ews_prop *prop, struct span text);
/* Into an item's element, in the schema's order. */
void ews_values_print(struct ews_values *vs, struct buf *b);
/* The <t:SetItemField>s and <t:DeleteItemField>s that make `now` to `wanted`; false: there are none. */
bool ews_values_diff(struct ews_values *now, struct ews_values *wanted, const char *item, struct buf *b);

/* The sequence of what an item of any kind has. */
#define EWS_ITEM_ORDER \
	"ItemClass Subject Sensitivity Body Categories Importance ReminderDueBy ReminderIsSet " \
	"ReminderMinutesBeforeStart ExtendedProperty "

#endif
