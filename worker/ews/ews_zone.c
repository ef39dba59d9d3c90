/* ews_zone.c - the mailbox's own time zone, as its user chose it for the web client: days begin at its midnight, and
 * times of no zone are shown by its clocks. Asked for once, before the first event is written.
 */
#include "ews.h"

#include "../data/tz.h"

struct asking {
	struct ews *e;
	struct arena *arena;
	enum code code;
	struct err err;
};

static void keep_zone(struct asking *a, struct span name)
{
	struct tz_set *zones = tz_set_new(a->arena);
	const struct tz *tz = tz_resolve(zones, name);
	struct span windows = tz != NULL ? tz_windows(tz_name(tz)) : SPAN_NONE;

	if (windows.n > 0)
		a->e->zone = arena_str(a->e->life, windows);
	tz_set_free(&zones);
}

static enum code on_message(void *ctx, size_t message, const struct ews_object *m, struct err *err)
{
	struct asking *a = ctx;
	const struct ews_entry *key, *value;
	size_t at = 0, of = 0;

	(void)message;
	(void)err;
	a->code = ews_outcome(m, "asking for the time zone", &a->err);
	while ((key = ews_next(m, "UserConfiguration/Dictionary/DictionaryEntry/DictionaryKey/Value", &at)) != NULL) {
		of = at;
		value = ews_next(m, "UserConfiguration/Dictionary/DictionaryEntry/DictionaryValue/Value", &of);
		if (span_eq_nocase_str(key->text, "timezone") && value != NULL)
			keep_zone(a, value->text);
	}
	return E_OK;
}

enum code ews_ask_zone(struct ews *e, struct arena *arena, struct err *err)
{
	static const struct ews_handler handler = { NULL, on_message, NULL };
	struct asking a = { .e = e, .arena = arena, .code = E_OK, .err = ERR_INIT };
	struct ews_call c;
	enum code rc;

	if (e->zone_asked)
		return E_OK;
	ews_call_init(e, &c, &handler, &a);
	buf_add_str(&c.body, "<m:GetUserConfiguration><m:UserConfigurationName Name=\"OWA.UserOptions\">");
	ews_distinguished_id(e, &c.body, "root");
	buf_add_str(&c.body, "</m:UserConfigurationName><m:UserConfigurationProperties>Dictionary"
		    "</m:UserConfigurationProperties></m:GetUserConfiguration>");
	rc = ews_run_one(e, arena, &c, err);
	ews_call_free(&c);
	if (rc == E_OK && ews_error_is_side(a.code)) {
		*err = a.err;
		rc = a.code;
	}
	e->zone_asked = rc == E_OK;
	return rc;
}
