/* conf_print.c - the configuration as the parser read it, one setting a line, secrets as ***. */
#include "conf_p.h"

struct printer {
	void (*line)(void *ctx, const char *text);
	void *ctx;
	struct arena *arena;
};

static void say(struct printer *p, const char *what, const char *name, const char *setting,
		const char *value)
{
	p->line(p->ctx, arena_printf(p->arena, "%s%s%s %s = %s", what, name[0] != '\0' ? " " : "",
				     name, setting, value));
}

static void say_table(struct printer *p, const char *what, const char *name,
		      const struct conf_table *t, unsigned types, const void *base)
{
	for (size_t i = 0; i < t->n; i++) {
		const char *value;

		if (types != 0 && (t->rows[i].types & types) == 0)
			continue;
		value = conf_value_text(&t->rows[i], base, p->arena);
		if (value != NULL && value[0] != '\0')
			say(p, what, name, t->rows[i].name, value);
	}
}

static void say_endpoint(struct printer *p, const struct conf_endpoint *e)
{
	say(p, "endpoint", e->name, "type", e->type);
	say_table(p, "endpoint", e->name, &conf_endpoint_table, conf_type_bit(e->type), e);
}

static void say_mailbox(struct printer *p, const struct conf_pairing *pairing, enum side side)
{
	static const char *const logons[] = {
		[LOGON_NONE_NEEDED] = "none needed", [LOGON_OWN] = "the mailbox's own",
		[LOGON_SERVICE] = "service account", [LOGON_DEFAULT] = "default password",
		[LOGON_MISSING] = "missing (Pending Credentials)",
	};
	const struct conf_mailbox *m = &pairing->mailbox[side];
	const char *name = arena_printf(p->arena, "%s %s", pairing->name, side_name(side));

	say(p, "pairing", name, "endpoint", m->endpoint->name);
	say(p, "pairing", name, "SMTPName", m->smtp_name);
	say_table(p, "pairing", name, &conf_mailbox_table, 0, m);
	say(p, "pairing", name, "logon", logons[conf_mailbox_logon(m)]);
	say(p, "pairing", name, "deletions", conf_deletions_names[pairing->deletions[side]]);
}

static void say_pairing(struct printer *p, const struct conf_pairing *pairing)
{
	struct buf kinds;

	for (enum side side = SIDE_LEFT; side < SIDES; side++)
		say_mailbox(p, pairing, side);
	say(p, "pairing", pairing->name, "conflict", conf_conflict_names[pairing->conflict]);
	buf_init(&kinds, 256);
	for (unsigned i = 0; i < CONF_KINDS; i++) {
		if ((pairing->kinds & 1u << i) != 0)
			buf_printf(&kinds, "%s%s", kinds.n > 0 ? " " : "", conf_kind_names[i]);
	}
	say(p, "pairing", pairing->name, "kinds", buf_str(&kinds));
	buf_free(&kinds);
	say(p, "pairing", pairing->name, "busyOnly", conf_busy_word(pairing));
	say_table(p, "pairing", arena_printf(p->arena, "%s window", pairing->name), &conf_window_table, 0, pairing);
	for (size_t i = 0; i < pairing->n_excludes; i++)
		say(p, "pairing", pairing->name, "exclude", pairing->excludes[i]);
	for (size_t i = 0; i < pairing->n_maps; i++)
		say(p, "pairing", pairing->name, "map",
		    arena_printf(p->arena, "%s -> %s", pairing->maps[i].left,
				 pairing->maps[i].right));
	say_table(p, "pairing", arena_printf(p->arena, "%s guard", pairing->name),
		  &conf_guard_table, 0, &pairing->guard);
}

void conf_print(const struct conf *conf, void (*line)(void *ctx, const char *text), void *ctx)
{
	struct printer p = { .line = line, .ctx = ctx, .arena = arena_new(CONF_ARENA_MAX) };

	line(ctx, arena_printf(p.arena, "file = %s", conf->file));
	say_table(&p, "gateway", "", &conf_gateway_table, 0, conf);
	say_table(&p, "gateway guard", "", &conf_guard_table, 0, &conf->guard);
	for (size_t i = 0; i < conf->n_endpoints; i++) {
		arena_reset(p.arena);
		say_endpoint(&p, &conf->endpoints[i]);
	}
	for (size_t i = 0; i < conf->n_pairings; i++) {
		arena_reset(p.arena);
		say_pairing(&p, &conf->pairings[i]);
	}
	arena_free(&p.arena);
}
