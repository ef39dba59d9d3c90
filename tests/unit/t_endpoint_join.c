/* t_endpoint_join.c - two stubs as one endpoint: each gets what is its own, in order, with its outcomes; a failure
 * of one is the failure of the call; what only one of them is needed for is not joined.
 */
#include "../../worker/endpoint_join.h"
#include "../../worker/endpoint_types.h"

#include "../../common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#ifdef MS_TESTING

/* --- a part that notes what it was asked --- */

struct stub {
	bool records;
	enum code fails;             /* of the next call */
	const char *fails_at;        /* in that verb */
	bool incomplete;
	char log[2000];
	int living, opened;
};
static struct stub stubs[2] = { { .records = false }, { .records = true } };

static struct stub *stub_of(const struct endpoint *ep)
{
	return ep->impl;
}

static enum code say(struct endpoint *ep, const char *verb, struct err *err)
{
	struct stub *s = stub_of(ep);
	size_t n = strlen(s->log);

	snprintf(s->log + n, sizeof(s->log) - n, "%s%s", n > 0 ? " " : "", verb);
	if (s->fails != E_OK && strcmp(s->fails_at, verb) == 0)
		return err_set(err, s->fails, "%s failed", verb);
	return E_OK;
}

static void say_item(struct endpoint *ep, enum ep_kind kind, struct span id)
{
	struct stub *s = stub_of(ep);
	size_t n = strlen(s->log);

	assert_int_equal(kind != EP_MAIL, s->records);
	snprintf(s->log + n, sizeof(s->log) - n, ":" SPAN_FMT, SPAN_ARG(id));
}

static enum code make(struct endpoint *ep, struct stub *s, struct err *err)
{
	ep->impl = s;
	s->living++;
	enum code rc = say(ep, "make", err);

	if (rc != E_OK) {
		ep->impl = NULL;
		s->living--;
	}
	return rc;
}

static enum code make_mail(struct endpoint *ep, struct err *err)
{
	return make(ep, &stubs[0], err);
}

static enum code make_records(struct endpoint *ep, struct err *err)
{
	return make(ep, &stubs[1], err);
}

static enum code open_stub(struct endpoint *ep, struct err *err)
{
	struct secret *secret = NULL;
	enum code rc = ep->env.secret(ep->env.ctx, "password", &secret, err);

	secret_free(&secret);
	if (rc == E_OK)
		rc = say(ep, "open", err);
	if (rc != E_OK)
		return rc;
	ep->caps = stub_of(ep)->records ?
		(struct ep_caps){ .kinds = 14, .max_item_bytes = 7, .record_print = 4, .window_items = 9 } :
		(struct ep_caps){ .kinds = 1, .max_item_bytes = 5, .exact_size = true, .keeps_bytes = true,
				  .stable_key = true, .marks_flags = true, .moves = true, .window_items = 3 };
	ep->identity = stub_of(ep)->records ? SPAN_LIT("dav-store") : SPAN_LIT("mail-store");
	return E_OK;
}

static void close_stub(struct endpoint *ep)
{
	(void)say(ep, "close", NULL);
	stub_of(ep)->living--;
	ep->impl = NULL;
}

static enum code list_stub(struct endpoint *ep, struct arena *arena, struct ep_list *list_r, struct err *err)
{
	bool records = stub_of(ep)->records;

	*list_r = (struct ep_list){ .n = 2, .complete = !stub_of(ep)->incomplete };
	list_r->folders = arena_calloc(arena, 2, sizeof(struct ep_folder));
	list_r->folders[0] = (struct ep_folder){ .kind = records ? EP_EVENTS : EP_MAIL,
						 .path = records ? SPAN_LIT("Work") : SPAN_LIT("INBOX") };
	list_r->folders[1] = (struct ep_folder){ .kind = records ? EP_TASKS : EP_MAIL, .path = SPAN_LIT("Same") };
	return say(ep, "list", err);
}

/* "bad" fails as an element. */
static enum code outcome(struct span id)
{
	return span_starts_nocase(id, "bad") ? E_ITEM_REFUSED : E_OK;
}

#define VERB(name, type, kind, key, fill) \
	static enum code name##_stub(struct endpoint *ep, struct arena *arena, type *x, size_t n, struct err *err) \
	{ \
		enum code rc = say(ep, #name, err); \
		(void)arena; \
		for (size_t i = 0; rc == E_OK && i < n; i++) { \
			say_item(ep, kind, key); \
			x[i].code = outcome(key); \
			fill; \
		} \
		return rc; \
	}

VERB(changes, struct ep_changes, x[i].folder->kind, x[i].since, x[i].cursor = x[i].since)
VERB(describe, struct ep_meta, x[i].folder->kind, x[i].id, x[i].size = x[i].id.n)
VERB(fetch, struct ep_fetch, x[i].folder->kind, x[i].id, x[i].version = x[i].id)
VERB(apply, struct ep_op, x[i].folder->kind, x[i].id, x[i].new_id = x[i].id)
VERB(folders, struct ep_folder_op, x[i].kind == EP_FOLDER_CREATE ? x[i].item_kind : x[i].folder->kind, x[i].path,
     x[i].folder_r.path = x[i].path)

#define TABLE(name, making) \
	static const struct ep_ops name = { .type = #name, .make = making, .open = open_stub, .close = close_stub, \
		.list = list_stub, .changes = changes_stub, .describe = describe_stub, .fetch = fetch_stub, \
		.apply = apply_stub, .folders = folders_stub };
TABLE(mail, make_mail)
TABLE(records, make_records)

/* --- the joined one --- */

static struct arena *arena;
static struct endpoint ep;
static struct err err;
static int asked;

static enum code give_secret(void *ctx, const char *purpose, struct secret **secret_r, struct err *e)
{
	(void)ctx, (void)e;
	assert_string_equal(purpose, "password");
	*secret_r = secret_new("x", 1);
	asked++;
	return E_OK;
}

static int set_up(void **state)
{
	struct ep_env env = { .secret = give_secret };

	(void)state;
	for (int i = 0; i < 2; i++)
		stubs[i] = (struct stub){ .records = i == 1 };
	asked = 0;
	arena = arena_new((size_t)16 << 20);
	ep_join_set_parts(&mail, &records);
	ep = (struct endpoint){ .ops = ep_join_choose(&env, true, true), .env = env };
	assert_string_equal(ep.ops->type, "imap+dav");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (ep.impl != NULL)
		ep.ops->close(&ep);
	assert_int_equal(stubs[0].living + stubs[1].living, 0);
	ep_join_set_parts(NULL, NULL);
	arena_free(&arena);
	return 0;
}

static void open_it(void)
{
	assert_int_equal(ep.ops->make(&ep, &err), E_OK);
	assert_int_equal(ep.ops->open(&ep, &err), E_OK);
	stubs[0].log[0] = stubs[1].log[0] = '\0';
}

static void t_open(void **state)
{
	(void)state;
	assert_int_equal(ep.ops->make(&ep, &err), E_OK);
	assert_int_equal(ep.ops->open(&ep, &err), E_OK);
	assert_int_equal(asked, 2);
	assert_int_equal(ep.caps.kinds, 15);
	assert_int_equal(ep.caps.max_item_bytes, 5);
	assert_int_equal(ep.caps.window_items, 3);
	assert_int_equal(ep.caps.record_print, 4);
	assert_true(ep.caps.exact_size && ep.caps.keeps_bytes && ep.caps.stable_key && ep.caps.marks_flags &&
		    ep.caps.moves);
	assert_true(span_eq_str(ep.identity, "mail-store"));
	ep.ops->close(&ep);
	assert_string_equal(stubs[0].log, "make open close");
	assert_string_equal(stubs[1].log, "make open close");
}

/* A part that cannot be made or opened: the error is its own, and nothing stays behind. */
static void t_open_fails(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		stubs[i].fails = E_CONF;
		stubs[i].fails_at = "make";
		assert_int_equal(ep.ops->make(&ep, &err), E_CONF);
		assert_null(ep.impl);
		assert_int_equal(stubs[0].living + stubs[1].living, 0);
		stubs[i].fails = E_LOGON_FAILED;
		stubs[i].fails_at = "open";
		assert_int_equal(ep.ops->make(&ep, &err), E_OK);
		assert_int_equal(ep.ops->open(&ep, &err), E_LOGON_FAILED);
		ep.ops->close(&ep);
		stubs[i].fails = E_OK;
	}
	/* the mail's logon was refused: the second was not tried */
	assert_string_equal(stubs[1].log, "make close make make open close");
}

/* Mail goes on alone where the other part cannot be reached. */
static void t_mail_alone(void **state)
{
	struct ep_list list = { .n = 0 };

	(void)state;
	stubs[1].fails = E_NET;
	stubs[1].fails_at = "open";
	open_it();
	assert_int_equal(ep.missing.code, E_NET);
	assert_non_null(strstr(err_text(&ep.missing), "open failed"));
	assert_int_equal(ep.caps.kinds, 1u << EP_MAIL);
	assert_int_equal(ep.ops->list(&ep, arena, &list, &err), E_OK);
	assert_true(list.complete);
	for (size_t i = 0; i < list.n; i++)
		assert_int_equal(list.folders[i].kind, EP_MAIL);
	assert_string_equal(stubs[1].log, "");
	/* but not without mail */
	ep.ops->close(&ep);
	ep.missing = (struct err)ERR_INIT;
	stubs[1].fails = E_OK;
	stubs[0].fails = E_NET;
	stubs[0].fails_at = "open";
	assert_int_equal(ep.ops->make(&ep, &err), E_OK);
	assert_int_equal(ep.ops->open(&ep, &err), E_NET);
}

static void t_list(void **state)
{
	struct ep_list list = { .n = 0 };

	(void)state;
	open_it();
	assert_int_equal(ep.ops->list(&ep, arena, &list, &err), E_OK);
	assert_true(list.complete);
	assert_int_equal(list.n, 4);
	assert_true(span_eq_str(list.folders[0].path, "INBOX") && span_eq_str(list.folders[2].path, "Work"));
	for (int i = 0; i < 2; i++) {
		stubs[i].incomplete = true;
		assert_int_equal(ep.ops->list(&ep, arena, &list, &err), E_OK);
		assert_false(list.complete);
		stubs[i].incomplete = false;
		stubs[i].fails = E_NET;
		stubs[i].fails_at = "list";
		assert_int_equal(ep.ops->list(&ep, arena, &list, &err), E_NET);
		stubs[i].fails = E_OK;
	}
}

static const struct ep_folder inbox = { .kind = EP_MAIL }, work = { .kind = EP_EVENTS }, people = { .kind = EP_CONTACTS };

static void t_split(void **state)
{
	struct ep_fetch f[] = { { .folder = &work, .id = SPAN_LIT("1") }, { .folder = &inbox, .id = SPAN_LIT("2") },
				{ .folder = &inbox, .id = SPAN_LIT("bad3") }, { .folder = &people, .id = SPAN_LIT("bad4") },
				{ .folder = &inbox, .id = SPAN_LIT("5") }, { .folder = &work, .id = SPAN_LIT("6") } };
	struct ep_changes c[] = { { .folder = &inbox, .since = SPAN_LIT("a") }, { .folder = &work, .since = SPAN_LIT("b") } };
	struct ep_meta m[] = { { .folder = &inbox, .id = SPAN_LIT("7") }, { .folder = &inbox, .id = SPAN_LIT("88") } };
	struct ep_folder_op o[] = { { .kind = EP_FOLDER_CREATE, .item_kind = EP_TASKS, .path = SPAN_LIT("T") },
				    { .kind = EP_FOLDER_RENAME, .folder = &inbox, .path = SPAN_LIT("M") },
				    { .kind = EP_FOLDER_CREATE, .item_kind = EP_MAIL, .path = SPAN_LIT("N") } };

	(void)state;
	open_it();
	assert_int_equal(ep.ops->fetch(&ep, arena, f, ARRAY_LEN(f), &err), E_OK);
	for (size_t i = 0; i < ARRAY_LEN(f); i++) {
		assert_true(span_eq(f[i].version, f[i].id));
		assert_int_equal(f[i].code, i == 2 || i == 3 ? E_ITEM_REFUSED : E_OK);
	}
	assert_int_equal(ep.ops->changes(&ep, arena, c, 2, &err), E_OK);
	assert_true(span_eq_str(c[0].cursor, "a") && span_eq_str(c[1].cursor, "b"));
	assert_int_equal(ep.ops->describe(&ep, arena, m, 2, &err), E_OK);
	assert_int_equal(m[1].size, 2);
	assert_int_equal(ep.ops->folders(&ep, arena, o, 3, &err), E_OK);
	assert_true(span_eq_str(o[0].folder_r.path, "T") && span_eq_str(o[2].folder_r.path, "N"));
	assert_int_equal(ep.ops->fetch(&ep, arena, f, 0, &err), E_OK);
	assert_string_equal(stubs[0].log, "fetch:2:bad3:5 changes:a describe:7:88 folders:M:N");
	assert_string_equal(stubs[1].log, "fetch:1:bad4:6 changes:b folders:T");
}

static void t_apply(void **state)
{
	struct ep_op ops[] = {
		{ .kind = EP_CREATE, .folder = &work, .id = SPAN_LIT("1") },
		{ .kind = EP_MOVE, .folder = &inbox, .to = &work, .id = SPAN_LIT("2") },
		{ .kind = EP_MOVE, .folder = &work, .to = &people, .id = SPAN_LIT("3") },
		{ .kind = EP_REMOVE, .folder = &inbox, .id = SPAN_LIT("4") },
	};

	(void)state;
	open_it();
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		ops[i].code = E_CANCELLED;
	assert_int_equal(ep.ops->apply(&ep, arena, ops, ARRAY_LEN(ops), &err), E_OK);
	assert_int_equal(ops[0].code, E_OK);
	assert_int_equal(ops[1].code, E_ITEM_REFUSED);
	assert_int_equal(ops[2].code, E_OK);
	assert_int_equal(ops[3].code, E_OK);
	assert_string_equal(stubs[0].log, "apply:4");
	assert_string_equal(stubs[1].log, "apply:1:3");

	/* the connection for mail breaks: the records are not attempted, whatever their order */
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		ops[i].code = E_CANCELLED;
	stubs[0].fails = E_NET;
	stubs[0].fails_at = "apply";
	assert_int_equal(ep.ops->apply(&ep, arena, ops, ARRAY_LEN(ops), &err), E_NET);
	assert_int_equal(ops[0].code, E_CANCELLED);
	assert_int_equal(ops[2].code, E_CANCELLED);
	assert_int_equal(ops[3].code, E_CANCELLED);
	assert_string_equal(stubs[1].log, "apply:1:3");
	stubs[0].fails = E_OK;
	stubs[1].fails = E_NET;
	stubs[1].fails_at = "apply";
	assert_int_equal(ep.ops->apply(&ep, arena, ops, ARRAY_LEN(ops), &err), E_NET);
	assert_int_equal(ops[3].code, E_OK);
	assert_int_equal(ops[0].code, E_CANCELLED);
}

static void t_choice(void **state)
{
	static const struct { bool mail, records; uint32_t kinds; const char *type; } rows[] = {
		{ true, true, 0, "imap+dav" }, { true, true, 3, "imap+dav" }, { true, true, 1, "mail" },
		{ true, true, 14, "records" }, { true, false, 0, "mail" }, { true, false, 15, "mail" },
		{ false, true, 0, "records" }, { false, true, 15, "records" }, { false, true, 1, "records" },
		{ true, false, 14, "mail" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ep_env env = { .kinds = rows[i].kinds };

		assert_string_equal(ep_join_choose(&env, rows[i].mail, rows[i].records)->type, rows[i].type);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(t_open), T(t_open_fails), T(t_mail_alone), T(t_list), T(t_split), T(t_apply), T(t_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	print_message("the parts can be replaced in test builds only\n");
	return 0;
}

#endif
