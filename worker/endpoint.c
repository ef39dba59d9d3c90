/* endpoint.c - the registry of endpoint types, and the names of the contract's enums. */
#include "endpoint.h"

#include "endpoint_join.h"
#include "endpoint_types.h"

static const struct ep_ops *const types[] = { &ep_local, &ep_imap, &ep_ews };

#ifdef MS_TESTING
static const struct ep_ops *test_type;

void ep_register_test(const struct ep_ops *ops)
{
	test_type = ops;
}
#endif

const struct ep_ops *ep_find_type(const char *type)
{
#ifdef MS_TESTING
	if (test_type != NULL && strcmp(test_type->type, type) == 0)
		return test_type;
#endif
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcmp(types[i]->type, type) == 0)
			return types[i];
	}
	return NULL;
}

const struct ep_ops *ep_choose(const struct ep_env *env)
{
	const struct ep_ops *ops = ep_find_type(env->conf->type);

	return ops != &ep_imap ? ops :
	       ep_join_choose(env, env->conf->server != NULL, env->conf->caldav != NULL || env->conf->carddav != NULL);
}

const char *ep_kind_name(enum ep_kind kind)
{
	static const char *const names[EP_KINDS] = {
		[EP_MAIL] = "mail", [EP_EVENTS] = "events", [EP_CONTACTS] = "contacts", [EP_TASKS] = "tasks",
	};

	assert((unsigned)kind < EP_KINDS);
	return names[kind];
}

const char *ep_role_name(enum ep_role role)
{
	static const char *const names[EP_ROLES] = {
#define X(id, text) [EP_ROLE_##id] = text,
		EP_ROLE_LIST(X)
#undef X
	};

	assert((unsigned)role < EP_ROLES);
	return names[role];
}

struct span ep_color(struct span text)
{
	text = span_trim(text);
	if ((text.n != 7 && text.n != 9) || text.p[0] != '#')
		return SPAN_NONE;
	for (size_t i = 1; i < text.n; i++) {
		if (strchr("0123456789abcdefABCDEF", text.p[i]) == NULL)
			return SPAN_NONE;
	}
	return span_cut(text, 0, 7);
}

const char *ep_op_name(enum ep_op_kind kind)
{
	static const char *const names[] = {
		[EP_CREATE] = "create", [EP_FLAGS] = "flags", [EP_MOVE] = "move", [EP_COPY] = "copy",
		[EP_REMOVE] = "remove", [EP_UPDATE] = "update",
	};

	assert((unsigned)kind < ARRAY_LEN(names));
	return names[kind];
}
