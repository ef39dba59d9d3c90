/* t_dav_server.c - the dav endpoint on real servers, Radicale and Xandikos: the whole contract, with another
 * program changing things meanwhile.
 */
#include "dav_case.h"

#include "../../common/mem.h"
#include "../../worker/data/record.h"

static struct dav_box box;

static int setup(void **state)
{
	*state = &box;
	return dav_box_open(&box) == E_OK ? 0 : (print_error("open: %s\n", err_text(&box.err)), -1);
}

static int teardown(void **state)
{
	(void)state;
	dav_box_close(&box);
	return 0;
}

static enum code make_folder(struct dav_box *b, const char *path, enum ep_kind kind, struct ep_folder_op *op)
{
	*op = (struct ep_folder_op){ .kind = EP_FOLDER_CREATE, .path = span_of(path), .item_kind = kind };
	assert_int_equal(ep_dav.folders(&b->ep, b->arena, op, 1, &b->err), E_OK);
	if (op->code != E_OK)
		print_error("folder %s: %s %s\n", path, code_name(op->code), op->text);
	return op->code;
}

static struct span uid_of(struct dav_box *b, const char *text)
{
	struct record *r = NULL;

	assert_int_equal(record_parse(b->arena, span_of(text), &r, &b->err), E_OK);
	return r->uid;
}

static void test_folders(void **state)
{
	struct dav_box *b = *state;
	struct ep_folder_op op;
	/* Xandikos fails at a "%" in a name, and leaves a collection behind */
	const char *deep = strcmp(b->server, "xandikos") == 0 ? "\xc3\x9c" "bung/Tiefer" : "\xc3\x9c" "bung/Tief%2Fer";
	uint32_t all = 1U << EP_EVENTS | 1U << EP_TASKS | 1U << EP_CONTACTS;

	size_t before = dav_box_list(b).n;

	assert_int_equal(b->ep.caps.kinds, all);
	assert_true(b->ep.caps.record_print & RECORD_SILENT);
	assert_int_equal(make_folder(b, "Work", EP_EVENTS, &op), E_OK);
	assert_int_equal(make_folder(b, "Work", EP_EVENTS, &op), E_FOLDER_EXISTS);
	assert_true(span_eq_str(op.folder_r.path, "Work"));
	assert_int_equal(make_folder(b, "Work", EP_CONTACTS, &op), E_OK);
	bool tasks = strcmp(b->server, "xandikos") != 0;
	assert_int_equal(make_folder(b, "Zu tun & <mehr>", EP_TASKS, &op), tasks ? E_OK : E_FOLDER_REFUSED);
	assert_int_equal(make_folder(b, deep, EP_EVENTS, &op), E_OK);

	op = (struct ep_folder_op){ .kind = EP_FOLDER_CREATE, .path = SPAN_LIT("Red"), .item_kind = EP_EVENTS,
				    .color = SPAN_LIT("#ff0000") };
	assert_int_equal(ep_dav.folders(&b->ep, b->arena, &op, 1, &b->err), E_OK);
	assert_int_equal(op.code, E_OK);
	if (strcmp(b->server, "xandikos") != 0)      /* it takes the colour and forgets it */
		assert_true(span_eq_str(dav_box_folder(b, "Red", EP_EVENTS)->color, "#ff0000"));

	const struct ep_folder *f = dav_box_folder(b, "Work", EP_EVENTS), *cards = dav_box_folder(b, "Work", EP_CONTACTS);
	assert_true(f->id_stable && f->selectable && f->mark.n > 0 && f->name.p[f->name.n - 1] == '/');
	assert_false(span_eq(f->id, cards->id));
	if (tasks)
		(void)dav_box_folder(b, "Zu tun & <mehr>", EP_TASKS);
	assert_int_equal(dav_box_list(b).n, before + 4 + tasks);
	f = dav_box_folder(b, deep, EP_EVENTS);
	assert_true(dav_box_list(b).complete);

	op = (struct ep_folder_op){ .kind = EP_FOLDER_RENAME, .folder = f, .path = SPAN_LIT("Moved") };
	assert_int_equal(ep_dav.folders(&b->ep, b->arena, &op, 1, &b->err), E_OK);
	assert_int_equal(op.code, E_OK);
	const struct ep_folder *moved = dav_box_folder(b, "Moved", EP_EVENTS);
	assert_true(span_eq(moved->id, f->id));
	struct ep_folder_op taken = { .kind = EP_FOLDER_RENAME, .folder = moved, .path = SPAN_LIT("Work") };
	assert_int_equal(ep_dav.folders(&b->ep, b->arena, &taken, 1, &b->err), E_OK);
	assert_int_equal(taken.code, E_FOLDER_EXISTS);

	(void)dav_box_create(b, moved, "full", dav_event(b, "full", "x"));
	op = (struct ep_folder_op){ .kind = EP_FOLDER_REMOVE, .folder = moved };
	assert_int_equal(ep_dav.folders(&b->ep, b->arena, &op, 1, &b->err), E_OK);
	assert_int_equal(op.code, E_FOLDER_REFUSED);
	struct ep_op gone = { .kind = EP_REMOVE, .folder = moved, .id = SPAN_LIT("full.ics") };
	assert_int_equal(dav_box_apply(b, &gone), E_OK);
	assert_int_equal(ep_dav.folders(&b->ep, b->arena, &op, 1, &b->err), E_OK);
	assert_int_equal(op.code, E_OK);
	assert_int_equal(ep_dav.folders(&b->ep, b->arena, &op, 1, &b->err), E_OK);
	assert_int_equal(op.code, E_FOLDER_GONE);
}

static void test_items(void **state)
{
	static const char *const uids[] = { "plain-1@example.org", "with blank", "slash/and%25", "../../etc/passwd",
					    "\xc3\xa4\xe2\x82\xac", "{curly};semi,comma", "?query#fragment", "." };
	struct dav_box *b = *state;
	struct ep_folder_op made;
	struct ep_fetch f;

	assert_int_equal(make_folder(b, "Items", EP_EVENTS, &made), E_OK);
	const struct ep_folder *folder = dav_box_folder(b, "Items", EP_EVENTS);
	for (size_t i = 0; i < ARRAY_LEN(uids); i++) {
		char *escaped = arena_str(b->arena, text_escape(b->arena, span_of(uids[i])));
		struct ep_op op = dav_box_create(b, folder, uids[i], dav_event(b, escaped, "awkward"));

		assert_int_equal(op.code, E_OK);
		assert_true(op.new_id.n > 4);
		const char *text = dav_box_fetch(b, folder, op.new_id, &f);
		assert_non_null(text);
		assert_true(f.version.n > 0);
		assert_true(span_eq(uid_of(b, text), span_of(uids[i])));
		/* the same create again: it is there, the next pass is to merge the two */
		struct ep_op again = dav_box_create(b, folder, uids[i], dav_event(b, escaped, "awkward"));
		assert_int_equal(again.code, E_ITEM_UNCERTAIN);
		assert_int_equal(again.new_id.n, 0);
	}
	struct ep_changes c = dav_box_changes(b, folder, SPAN_NONE);
	assert_true(c.full && c.complete && !c.reset && c.cursor.n > 0);
	assert_int_equal(c.n, ARRAY_LEN(uids));
	for (size_t i = 1; i < c.n; i++)
		assert_true(span_cmp(c.items[i - 1].id, c.items[i].id) < 0);
	f.body = NULL;
	assert_null(dav_box_fetch(b, folder, SPAN_LIT("nobody.ics"), &f));
	assert_int_equal(f.code, E_ITEM_GONE);
}

static void test_versions(void **state)
{
	struct dav_box *b = *state;
	struct ep_folder_op made;
	struct ep_fetch f;

	assert_int_equal(make_folder(b, "Versions", EP_EVENTS, &made), E_OK);
	const struct ep_folder *folder = dav_box_folder(b, "Versions", EP_EVENTS);
	struct ep_op op = dav_box_create(b, folder, "v1", dav_event(b, "v1", "one"));
	assert_int_equal(op.code, E_OK);
	assert_non_null(dav_box_fetch(b, folder, op.new_id, &f));
	struct span first = f.version;
	assert_true(span_eq(op.new_version, first));
	struct ep_changes c = dav_box_changes(b, folder, SPAN_NONE);
	assert_int_equal(c.n, 1);
	assert_true(span_eq(c.items[0].version, first));

	struct ep_op update = { .kind = EP_UPDATE, .folder = folder, .id = op.new_id, .version = first,
				.body = dav_box_body(dav_event(b, "v1", "two")) };
	assert_int_equal(dav_box_apply(b, &update), E_OK);
	const char *text = dav_box_fetch(b, folder, op.new_id, &f);
	assert_non_null(strstr(text, "SUMMARY:two"));
	assert_false(span_eq(f.version, first));
	assert_true(span_eq(update.new_version, f.version));
	assert_int_equal(dav_box_apply(b, &update), E_ITEM_CHANGED);
	struct ep_op remove = { .kind = EP_REMOVE, .folder = folder, .id = op.new_id, .version = first };
	assert_int_equal(dav_box_apply(b, &remove), E_ITEM_CHANGED);
	remove.version = f.version;
	assert_int_equal(dav_box_apply(b, &remove), E_OK);
	assert_int_equal(dav_box_apply(b, &remove), E_ITEM_GONE);
	update.version = f.version;
	assert_int_equal(dav_box_apply(b, &update), E_ITEM_GONE);
	update.version = SPAN_NONE;
	assert_int_equal(dav_box_apply(b, &update), E_ITEM_GONE);
	body_free(&update.body);
}

static const char *item_path(struct dav_box *b, const struct ep_folder *folder, const char *name)
{
	return arena_printf(b->arena, SPAN_FMT "%s", SPAN_ARG(folder->name), name);
}

static void test_changes(void **state)
{
	struct dav_box *b = *state;
	struct ep_folder_op made;

	assert_int_equal(make_folder(b, "Changes", EP_EVENTS, &made), E_OK);
	const struct ep_folder *folder = dav_box_folder(b, "Changes", EP_EVENTS);
	struct ep_changes c = dav_box_changes(b, folder, SPAN_NONE);
	assert_true(c.full && c.complete && c.n == 0);
	for (int i = 0; i < 12; i++) {
		const char *uid = arena_printf(b->arena, "c%02d", i);

		assert_int_equal(dav_box_create(b, folder, uid, dav_event(b, uid, "x")).code, E_OK);
	}
	const struct ep_folder *later = dav_box_folder(b, "Changes", EP_EVENTS);
	assert_false(span_eq(later->mark, folder->mark));
	c = dav_box_changes(b, folder, c.cursor);
	assert_true(c.complete);
	assert_int_equal(c.n, 12);
	assert_int_equal(c.n_gone, 0);

	/* somebody else edits one, removes one, adds one */
	assert_in_range(dav_box_foreign(b, "PUT", item_path(b, folder, "c03.ics"), "Content-Type: text/calendar",
					dav_event(b, "c03", "edited")), 200, 299);
	assert_in_range(dav_box_foreign(b, "DELETE", item_path(b, folder, "c04.ics"), NULL, NULL), 200, 299);
	assert_in_range(dav_box_foreign(b, "PUT", item_path(b, folder, "theirs.ics"), "Content-Type: text/calendar",
					dav_event(b, "theirs", "new")), 200, 299);
	struct ep_changes d = dav_box_changes(b, folder, c.cursor);
	assert_true(d.complete);
	/* Cyrus with expunge_mode immediate forgets what a token needs at every deletion */
	bool forgetful = strcmp(b->server, "external") == 0 && d.full;
	assert_true(forgetful || !d.full);
	assert_int_equal(d.n, forgetful ? 12 : 2);
	assert_non_null(dav_box_item(&d, SPAN_LIT("theirs.ics")));
	const struct ep_item *edited = dav_box_item(&d, SPAN_LIT("c03.ics"));
	assert_non_null(edited);
	assert_false(span_eq(edited->version, dav_box_item(&c, SPAN_LIT("c03.ics"))->version));
	assert_int_equal(d.n_gone, !forgetful);
	assert_true(forgetful || span_eq_str(d.gone[0], "c04.ics"));
	later = dav_box_folder(b, "Changes", EP_EVENTS);
	struct ep_changes none = dav_box_changes(b, folder, d.cursor);
	assert_true(none.complete && none.n == 0 && none.n_gone == 0);
	assert_true(span_eq(later->mark, dav_box_folder(b, "Changes", EP_EVENTS)->mark));

	/* a token that the server does not know */
	struct ep_changes lost = dav_box_changes(b, folder, SPAN_LIT("Thttp://radicale.org/ns/sync/"
			"0000000000000000000000000000000000000000000000000000000000000000"));
	assert_true(lost.full && lost.complete && !lost.reset);
	assert_int_equal(lost.n, 12);
	assert_true(lost.cursor.n > 1 && lost.cursor.p[0] == 'T');
	/* and the way without tokens */
	struct ep_folder blind = *folder;
	blind.mark = SPAN_LIT("Cold");
	lost = dav_box_changes(b, &blind, SPAN_LIT("C"));
	assert_true(lost.full && lost.complete && lost.n == 12);
	assert_true(span_eq_str(lost.cursor, "C"));
	blind.name = span_of(arena_printf(b->arena, SPAN_FMT "no-such/", SPAN_ARG(span_cut(folder->name, 0,
						folder->name.n - strlen("changes/")))));
	struct ep_changes gone = { .folder = &blind };
	assert_int_equal(ep_dav.changes(&b->ep, b->arena, &gone, 1, &b->err), E_OK);
	assert_int_equal(gone.code, E_FOLDER_GONE);
}

static void test_many(void **state)
{
	struct dav_box *b = *state;
	struct ep_folder_op made;
	enum { N = 130 };
	struct ep_op *ops = arena_calloc(b->arena, N, sizeof(*ops));
	struct ep_fetch *f = arena_calloc(b->arena, N + 1, sizeof(*f));

	assert_int_equal(make_folder(b, "Many", EP_CONTACTS, &made), E_OK);
	const struct ep_folder *folder = dav_box_folder(b, "Many", EP_CONTACTS);
	for (size_t i = 0; i < N; i++) {
		const char *uid = arena_printf(b->arena, "card %zu", i);

		ops[i] = (struct ep_op){ .kind = EP_CREATE, .folder = folder, .uid = span_of(uid),
					 .body = dav_box_body(dav_card(b, uid, uid)) };
	}
	assert_int_equal(ep_dav.apply(&b->ep, b->arena, ops, N, &b->err), E_OK);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(ops[i].code, E_OK);
		body_free(&ops[i].body);
		f[i] = (struct ep_fetch){ .folder = folder, .id = ops[i].new_id };
	}
	f[N] = (struct ep_fetch){ .folder = folder, .id = SPAN_LIT("not there.vcf") };
	assert_int_equal(ep_dav.fetch(&b->ep, b->arena, f, N + 1, &b->err), E_OK);
	for (size_t i = 0; i < N; i++) {
		struct span text;

		assert_int_equal(f[i].code, E_OK);
		assert_int_equal(body_read(f[i].body, 0, &text, NULL), E_OK);
		assert_true(span_find_nocase(text, arena_printf(b->arena, "FN:card %zu\r", i)) != SIZE_MAX);
		body_free(&f[i].body);
	}
	assert_int_equal(f[N].code, E_ITEM_GONE);
	dav_set_page(40);
	struct ep_changes c = dav_box_changes(b, folder, SPAN_NONE);
	dav_set_page(0);
	assert_true(c.full && c.complete);
	assert_int_equal(c.n, N);
}

static void test_move(void **state)
{
	struct dav_box *b = *state;
	struct ep_folder_op made;
	struct ep_fetch f;

	assert_int_equal(make_folder(b, "From", EP_EVENTS, &made), E_OK);
	assert_int_equal(make_folder(b, "To", EP_EVENTS, &made), E_OK);
	const struct ep_folder *from = dav_box_folder(b, "From", EP_EVENTS), *to = dav_box_folder(b, "To", EP_EVENTS);
	struct span since = dav_box_changes(b, from, SPAN_NONE).cursor;
	struct ep_op op = dav_box_create(b, from, "mover", dav_event(b, "mover", "goes"));
	assert_non_null(dav_box_fetch(b, from, op.new_id, &f));
	struct ep_op move = { .kind = EP_MOVE, .folder = from, .to = to, .id = op.new_id, .version = f.version };
	enum code rc = dav_box_apply(b, &move);
	if (rc != E_OK)
		print_error("move: %s %s\n", code_name(rc), move.text);
	assert_int_equal(rc, E_OK);
	assert_non_null(dav_box_fetch(b, to, move.new_id, &f));
	assert_null(dav_box_fetch(b, from, op.new_id, &f));
	assert_int_equal(f.code, E_ITEM_GONE);
	assert_int_equal(dav_box_changes(b, from, since).n, 0);
	assert_int_equal(dav_box_apply(b, &move), E_ITEM_GONE);

	/* the name is taken there, by another item */
	op = dav_box_create(b, from, "other", dav_event(b, "other", "second"));
	assert_in_range(dav_box_foreign(b, "PUT", item_path(b, to, "other.ics"), "Content-Type: text/calendar",
					dav_event(b, "foreign uid", "in the way")), 200, 299);
	move = (struct ep_op){ .kind = EP_MOVE, .folder = from, .to = to, .id = op.new_id };
	rc = dav_box_apply(b, &move);
	assert_int_equal(rc, E_OK);
	assert_false(span_eq(move.new_id, op.new_id));
	assert_non_null(strstr(dav_box_fetch(b, to, move.new_id, &f), "second"));
	assert_non_null(strstr(dav_box_fetch(b, to, SPAN_LIT("other.ics"), &f), "in the way"));
}

static void test_refusals(void **state)
{
	struct dav_box *b = *state;
	struct ep_folder_op made;

	assert_int_equal(make_folder(b, "Refusals", EP_EVENTS, &made), E_OK);
	const struct ep_folder *folder = dav_box_folder(b, "Refusals", EP_EVENTS);
	struct ep_op op = dav_box_create(b, folder, "junk", "this is no calendar\r\n");
	assert_int_equal(op.code, E_ITEM_REFUSED);
	assert_non_null(op.text);
	op = (struct ep_op){ .kind = EP_FLAGS, .folder = folder, .id = SPAN_LIT("x.ics") };
	(void)ep_dav.apply(&b->ep, b->arena, &op, 1, &b->err);
	assert_int_not_equal(op.code, E_OK);
	/* another item has the name that the UID gives */
	assert_in_range(dav_box_foreign(b, "PUT", item_path(b, folder, "mine.ics"), "Content-Type: text/calendar",
					dav_event(b, "not mine", "in the way")), 200, 299);
	op = dav_box_create(b, folder, "mine", dav_event(b, "mine", "ours"));
	assert_int_equal(op.code, E_OK);
	assert_false(span_eq_str(op.new_id, "mine.ics"));
	assert_int_equal(dav_box_changes(b, folder, SPAN_NONE).n, 2);
}

static void run(const char *server, int *failed)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_items, setup, teardown),
		cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_move, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
	};

	if (!dav_box_start(&box, server))
		return;
	*failed += cmocka_run_group_tests_name(server, tests, NULL, NULL);
	dav_box_stop(&box);
}

int main(void)
{
	int failed = 0;

	if (getenv("MS_DAV") == NULL) {
		run("radicale", &failed);
		run("xandikos", &failed);
	}
	run("external", &failed);
	return failed;
}
