/* t_local_items.c - items of a local mailbox: listing, reading, creating, flags, keywords, move, copy,
 * remove; what is on the disk afterwards; hostile files.
 */
#include "local_case.h"

#include "../../common/clock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct box b;

static int setup(void **state)
{
	(void)state;
	box_new(&b);
	assert_int_equal(box_open(&b), E_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	box_free(&b);
	return 0;
}

#define MSG "Message-ID: <1@a>\nSubject: x\n\nbody\n"
#define MSG_CRLF "Message-ID: <1@a>\r\nSubject: x\r\n\r\nbody\r\n"

static void t_listing(void **state)
{
	static const struct { const char *file, *id; uint32_t flags; const char *keywords; } rows[] = {
		{ "new/1.a", "1.a", 0, NULL },
		{ "new/2.a:2,S", "2.a", 0, NULL },
		{ "cur/3.a", "3.a", 0, NULL },
		{ "cur/4.a:2,", "4.a", 0, NULL },
		{ "cur/5.a:2,DFRST", "5.a", EP_FLAGS_ALL, NULL },
		{ "cur/6.a,S=3,W=4:2,Sab", "6.a,S=3,W=4", EP_SEEN, "Alpha beta" },
		{ "cur/7.a:2,PS", "7.a", EP_SEEN, "$Forwarded" },
		{ "cur/8.a:2,SbX,tail", "8.a", EP_SEEN, "beta" },
		{ "cur/9.a:2,z", "9.a", 0, NULL },
		{ "cur/9.b:1,x", "9.b:1,x", 0, NULL },
	};

	(void)state;
	box_write(&b, "dovecot-keywords", "0 beta\n1 beta2\nnonsense\n99 x\n1 Alpha\n0 gamma\n", 1);
	box_write(&b, "dovecot-keywords", "1 beta\nnonsense\n99 x\n0 Alpha\n0 gamma\n", 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		box_write(&b, rows[i].file, "x", 1);
	box_write(&b, "cur/.hidden:2,S", "x", 1);
	assert_int_equal(mkdir(box_path(&b, "cur/dir:2,S"), 0700), 0);
	assert_int_equal(symlink("/etc/passwd", box_path(&b, "cur/link:2,S")), 0);
	struct ep_changes c = box_changes(&b, "INBOX", SPAN_NONE);
	assert_int_equal(c.code, E_OK);
	assert_true(c.full && c.complete && !c.reset);
	assert_int_equal(c.flags_r, EP_FLAGS_ALL);
	assert_true(c.keywords_r);
	assert_int_equal(c.n, ARRAY_LEN(rows));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct ep_item *item = box_item(&c, rows[i].id);

		assert_non_null(item);
		assert_int_equal(item->flags, rows[i].flags);
		if (rows[i].keywords == NULL)
			assert_null(item->keywords);
		else
			assert_string_equal(item->keywords, rows[i].keywords);
	}
	for (size_t i = 1; i < c.n; i++)
		assert_true(span_cmp(c.items[i - 1].id, c.items[i].id) < 0);
}

static void t_describe(void **state)
{
	static const struct { const char *file; const char *text; uint64_t size; } rows[] = {
		{ "cur/1.a:2,", MSG, sizeof(MSG_CRLF) - 1 },
		{ "cur/2.a:2,", MSG_CRLF, sizeof(MSG_CRLF) - 1 },
		{ "cur/3.a,S=35,W=39:2,", MSG, 39 },
		/* promises that the file does not keep are counted instead */
		{ "cur/4.a,S=34,W=38:2,", MSG, 39 },
		{ "cur/5.a,S=35,W=99:2,", MSG, 39 },
		{ "cur/6.a,S=35,W=1:2,", MSG, 39 },
		{ "cur/7.a,S=35:2,", MSG, 39 },
		{ "cur/8.a:2,", "no header at all", 16 },
	};
	struct ep_meta m[ARRAY_LEN(rows) + 2];
	const struct ep_folder *inbox = box_folder(&b, "INBOX");

	(void)state;
	assert_int_equal(strlen(MSG), 35);
	memset(m, 0, sizeof(m));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		box_write(&b, rows[i].file, rows[i].text, 1000000000 + (int64_t)i);
		m[i].folder = inbox;
		m[i].id = span_cut(span_of(rows[i].file), 4, strlen(rows[i].file) - 7);
	}
	box_write(&b, "cur/empty:2,", "", 1);
	m[ARRAY_LEN(rows)].folder = m[ARRAY_LEN(rows) + 1].folder = inbox;
	m[ARRAY_LEN(rows)].id = SPAN_LIT("nobody");
	m[ARRAY_LEN(rows) + 1].id = SPAN_LIT("empty");
	assert_int_equal(ep_local.describe(&b.ep, b.arena, m, ARRAY_LEN(m), &b.err), E_OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(m[i].code, E_OK);
		assert_int_equal(m[i].size, rows[i].size);
		assert_int_equal(m[i].received, 1000000000 + i);
		assert_int_equal(m[i].header.n > 0, i != 7);
	}
	assert_int_equal(m[ARRAY_LEN(rows)].code, E_ITEM_GONE);
	assert_int_equal(m[ARRAY_LEN(rows) + 1].code, E_ITEM_BAD);
}

static void t_long_header(void **state)
{
	struct buf text;
	struct ep_meta m = { .folder = box_folder(&b, "INBOX"), .id = SPAN_LIT("1.a") };

	(void)state;
	buf_init(&text, 1 << 20);
	while (text.n < 100000)
		buf_add_str(&text, "Received: by somebody\n");
	buf_add_str(&text, "Subject: at the end\n\nbody\nSubject: not this\n");
	box_write(&b, "cur/1.a:2,", buf_str(&text), 1);
	assert_int_equal(ep_local.describe(&b.ep, b.arena, &m, 1, &b.err), E_OK);
	assert_true(span_eq_str(m.header, "Subject: at the end\n"));
	buf_free(&text);
}

static void t_fetch(void **state)
{
	struct ep_fetch f;
	size_t n;

	(void)state;
	box_write(&b, "dovecot-keywords", "0 Work\n", 1);
	box_write(&b, "cur/1.a:2,FSa", MSG, 1234567890);
	char *text = box_fetch(&b, "INBOX", SPAN_LIT("1.a"), &f, &n);
	assert_string_equal(text, MSG_CRLF);
	assert_int_equal(f.flags, EP_FLAGGED | EP_SEEN);
	assert_string_equal(f.keywords, "Work");
	assert_int_equal(f.received, 1234567890);
	assert_null(box_fetch(&b, "INBOX", SPAN_LIT("2.a"), &f, &n));
	assert_int_equal(f.code, E_ITEM_GONE);
	assert_non_null(f.text);
	box_write(&b, "cur/3.a:2,", "", 1);
	assert_null(box_fetch(&b, "INBOX", SPAN_LIT("3.a"), &f, &n));
	assert_int_equal(f.code, E_ITEM_BAD);
}

static void t_hostile_ids(void **state)
{
	static const char *const ids[] = { "../dovecot-keywords", "..", ".", "", "/etc/passwd", "cur/../x" };
	struct ep_fetch f;

	(void)state;
	box_write(&b, "dovecot-keywords", "0 Work\n", 1);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		assert_null(box_fetch(&b, "INBOX", span_of(ids[i]), &f, NULL));
		assert_int_equal(f.code, E_ITEM_GONE);
		struct ep_op op = { .kind = EP_REMOVE, .folder = box_folder(&b, "INBOX"), .id = span_of(ids[i]) };
		assert_int_equal(box_apply(&b, &op), E_ITEM_GONE);
	}
	static const char *const dirs[] = { "..", ".x/../y", "", "Mail", "./cur", "../a@example.org", ".Nope" };
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		struct ep_folder fake = { .name = span_of(dirs[i]) };
		struct ep_changes c = { .folder = &fake };

		assert_int_equal(ep_local.changes(&b.ep, b.arena, &c, 1, &b.err), E_OK);
		assert_true(c.code == E_FOLDER_NAME || c.code == E_FOLDER_GONE);
		assert_false(c.complete);
	}
}

static void t_create(void **state)
{
	struct stat st;

	(void)state;
	struct ep_op op = box_create(&b, "INBOX", MSG_CRLF, EP_SEEN | EP_FLAGGED, "$Forwarded Work", 1111111111);
	assert_int_equal(op.code, E_OK);
	const char *file = box_only(&b, "cur");
	assert_non_null(file);
	assert_non_null(strstr(file, ",S=35,W=39:2,FSab"));
	assert_int_equal(strncmp(file, op.new_id.p, op.new_id.n), 0);
	assert_int_equal(strncmp(file, "mailshadow", 10) == 0, false);
	assert_int_equal(stat(box_path(&b, "cur/%s", file), &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1111111111);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_string_equal(box_read(&b, arena_printf(b.arena, "cur/%s", file), NULL), MSG);
	assert_string_equal(box_read(&b, "dovecot-keywords", NULL), "0 $Forwarded\n1 Work\n");
	assert_int_equal(box_count(&b, "tmp") + box_count(&b, "new"), 0);
	assert_false(box_exists(&b, "dovecot-uidlist.lock"));
	struct ep_changes c = box_changes(&b, "INBOX", SPAN_NONE);
	assert_int_equal(c.n, 1);
	assert_true(span_eq(c.items[0].id, op.new_id));
	assert_string_equal(c.items[0].keywords, "$Forwarded Work");
}

/* Whatever the bytes are: what was created is what is fetched. LF on disk where that is possible. */
static void t_create_bytes(void **state)
{
	static const struct { const char *text; size_t n; bool lf; } rows[] = {
		{ "a\r\nb\r\n", 6, true }, { "a\r\nb", 4, true }, { "a\rb\r\n", 5, false }, { "a\r\n\r", 4, false },
		{ "\r\r\n", 3, false }, { "\r\n", 2, true }, { "x", 1, true }, { "a\0b\r\n", 5, true },
		{ "From x\r\n", 8, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ep_op op = { .kind = EP_CREATE, .folder = box_folder(&b, "INBOX"), .received = 5 };
		struct ep_fetch f;
		size_t n = 0, n_file = 0;

		op.body = box_body(rows[i].text, rows[i].n);
		assert_int_equal(box_apply(&b, &op), E_OK);
		body_free(&op.body);
		const char *file = box_only(&b, "cur");
		char *on_disk = box_read(&b, arena_printf(b.arena, "cur/%s", file), &n_file);
		assert_int_equal(memchr(on_disk, '\r', n_file) == NULL, rows[i].lf);
		char *text = box_fetch(&b, "INBOX", op.new_id, &f, &n);
		assert_int_equal(n, rows[i].n);
		assert_memory_equal(text, rows[i].text, n);
		struct ep_meta m = { .folder = op.folder, .id = op.new_id };
		assert_int_equal(ep_local.describe(&b.ep, b.arena, &m, 1, &b.err), E_OK);
		assert_int_equal(m.size, n);
		op.kind = EP_REMOVE;
		op.id = op.new_id;
		assert_int_equal(box_apply(&b, &op), E_OK);
	}
}

/* Pieces of a spooled body, so that a CR and its LF are read apart. */
static void t_create_large(void **state)
{
	size_t n = 3 << 20;
	char *text = malloc(n);
	struct ep_fetch f;

	(void)state;
	for (int odd = 0; odd < 2; odd++) {
		for (size_t i = 0; i < n; i++)
			text[i] = i % 2 == 0 ? '\r' : '\n';
		if (odd)
			text[n - 2] = 'x';
		struct ep_op op = { .kind = EP_CREATE, .folder = box_folder(&b, "INBOX"), .received = INT64_MIN };
		size_t got = 0;

		op.body = body_new(b.spool, 0);
		assert_int_equal(body_add(op.body, "y\r", 2, &b.err), E_OK);
		assert_int_equal(body_add(op.body, "\n", 1, &b.err), E_OK);
		assert_int_equal(body_add(op.body, text, n, &b.err), E_OK);
		assert_int_equal(body_end(op.body, &b.err), E_OK);
		uint64_t size = body_size(op.body);
		uint8_t before[DIGEST_SIZE], after[DIGEST_SIZE];
		assert_int_equal(body_digest(op.body, before, NULL, &b.err), E_OK);
		assert_int_equal(box_apply(&b, &op), E_OK);
		body_free(&op.body);
		char *back = box_fetch(&b, "INBOX", op.new_id, &f, &got);
		assert_int_equal(got, size);
		digest_of(back, got, after);
		assert_memory_equal(before, after, sizeof(after));
	}
	free(text);
}

static void t_create_refused(void **state)
{
	struct ep_op ops[3] = { { .kind = EP_CREATE }, { .kind = EP_CREATE }, { .kind = EP_CREATE } };
	struct ep_folder gone = { .name = SPAN_LIT(".Gone") };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		ops[i].folder = i == 1 ? &gone : box_folder(&b, "INBOX");
		ops[i].body = box_body("x\r\n", i == 2 ? 0 : 3);
		ops[i].received = 1;
	}
	assert_int_equal(ep_local.apply(&b.ep, b.arena, ops, 3, &b.err), E_OK);
	assert_int_equal(ops[0].code, E_OK);
	assert_int_equal(ops[1].code, E_FOLDER_GONE);
	assert_int_equal(ops[2].code, E_ITEM_BAD);
	assert_int_equal(box_count(&b, "cur"), 1);
	assert_int_equal(box_count(&b, "tmp"), 0);
	for (size_t i = 0; i < 3; i++)
		body_free(&ops[i].body);
}

static enum code set_flags(struct span id, uint32_t add, uint32_t remove, const char *kw, const char *kw_remove)
{
	struct ep_op op = { .kind = EP_FLAGS, .folder = box_folder(&b, "INBOX"), .id = id, .flags = add,
			    .flags_remove = remove, .keywords = kw, .keywords_remove = kw_remove };

	return box_apply(&b, &op);
}

static void t_flags(void **state)
{
	(void)state;
	box_write(&b, "new/1.a", MSG, 77);
	/* nothing to do: it stays in new */
	assert_int_equal(set_flags(SPAN_LIT("1.a"), 0, EP_SEEN, NULL, "x"), E_OK);
	assert_string_equal(box_only(&b, "new"), "1.a");
	assert_int_equal(set_flags(SPAN_LIT("1.a"), EP_SEEN, 0, NULL, NULL), E_OK);
	assert_string_equal(box_only(&b, "cur"), "1.a:2,S");
	assert_int_equal(set_flags(SPAN_LIT("1.a"), EP_FLAGGED | EP_DRAFT, EP_SEEN, "b A", NULL), E_OK);
	assert_string_equal(box_only(&b, "cur"), "1.a:2,DFab");
	assert_int_equal(set_flags(SPAN_LIT("1.a"), 0, EP_DRAFT, NULL, "B"), E_OK);
	/* sets are sorted without case: "A b", so A is letter a */
	assert_string_equal(box_read(&b, "dovecot-keywords", NULL), "0 b\n1 A\n");
	assert_string_equal(box_only(&b, "cur"), "1.a:2,Fb");
	struct stat st;
	assert_int_equal(stat(box_path(&b, "cur/1.a:2,Fb"), &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, 77);
	assert_int_equal(set_flags(SPAN_LIT("2.a"), EP_SEEN, 0, NULL, NULL), E_ITEM_GONE);
}

/* What we do not know in a name is kept; names that are not sorted are not touched without need. */
static void t_foreign_info(void **state)
{
	(void)state;
	box_write(&b, "cur/1.a:2,SXqF,tail", MSG, 1);
	assert_int_equal(set_flags(SPAN_LIT("1.a"), EP_SEEN, 0, NULL, NULL), E_OK);
	assert_string_equal(box_only(&b, "cur"), "1.a:2,SXqF,tail");
	assert_int_equal(set_flags(SPAN_LIT("1.a"), EP_ANSWERED, EP_SEEN, NULL, NULL), E_OK);
	assert_string_equal(box_only(&b, "cur"), "1.a:2,FRXq,tail");
}

static void t_forwarded(void **state)
{
	(void)state;
	box_write(&b, "cur/1.a:2,P", MSG, 1);
	assert_int_equal(set_flags(SPAN_LIT("1.a"), 0, 0, NULL, "$forwarded"), E_OK);
	assert_string_equal(box_only(&b, "cur"), "1.a:2,");
	assert_int_equal(set_flags(SPAN_LIT("1.a"), 0, 0, "$Forwarded", NULL), E_OK);
	assert_string_equal(box_only(&b, "cur"), "1.a:2,a");
	assert_int_equal(set_flags(SPAN_LIT("1.a"), 0, 0, NULL, "$FORWARDED"), E_OK);
	assert_string_equal(box_only(&b, "cur"), "1.a:2,");
}

/* 26 keywords fit, the 27th is dropped, and $Forwarded then takes the letter P. */
static void t_keywords_full(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 4096);
	for (int i = 0; i < 26; i++)
		buf_printf(&text, "%d k%c\n", i, 'a' + i);
	box_write(&b, "cur/1.a:2,", MSG, 1);
	box_write(&b, "dovecot-keywords", buf_str(&text), 1);
	assert_false(box_changes(&b, "INBOX", SPAN_NONE).keywords_r);
	assert_int_equal(set_flags(SPAN_LIT("1.a"), 0, 0, "$Forwarded another kz", NULL), E_OK);
	assert_string_equal(box_only(&b, "cur"), "1.a:2,Pz");
	assert_string_equal(box_read(&b, "dovecot-keywords", NULL), buf_str(&text));
	struct ep_changes c = box_changes(&b, "INBOX", SPAN_NONE);
	assert_string_equal(c.items[0].keywords, "$Forwarded kz");
	buf_free(&text);
}

static void t_unencodable_keyword(void **state)
{
	(void)state;
	struct ep_op op = box_create(&b, "INBOX", MSG_CRLF, 0, "caf\xc3\xa9 good new\nline", 1);
	assert_int_equal(op.code, E_OK);
	assert_string_equal(box_read(&b, "dovecot-keywords", NULL), "0 good\n");
}

static void t_keyword_lock(void **state)
{
	(void)state;
	box_write(&b, "cur/1.a:2,", MSG, 1);
	/* left behind by a dead program long ago: taken over */
	box_write(&b, "dovecot-uidlist.lock", "1:host", 1000);
	assert_int_equal(set_flags(SPAN_LIT("1.a"), 0, 0, "x", NULL), E_OK);
	assert_false(box_exists(&b, "dovecot-uidlist.lock"));
	/* alive: refused after five seconds, nothing changed, the lock is still the other's */
	int fd = open(box_path(&b, "dovecot-uidlist.lock"), O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(set_flags(SPAN_LIT("1.a"), EP_SEEN, 0, "y", NULL), E_ITEM_REFUSED);
	assert_true(box_exists(&b, "dovecot-uidlist.lock"));
	assert_string_equal(box_only(&b, "cur"), "1.a:2,a");
	/* and at once when tried again: a batch does not wait for each item */
	int64_t from = clock_mono_ms();
	assert_int_equal(set_flags(SPAN_LIT("1.a"), EP_SEEN, 0, "y", NULL), E_ITEM_REFUSED);
	assert_in_range(clock_mono_ms() - from, 0, 1000);
	/* no new keyword: no lock is needed */
	assert_int_equal(set_flags(SPAN_LIT("1.a"), EP_SEEN, 0, "X", NULL), E_OK);
}

static struct ep_op transfer(enum ep_op_kind kind, const char *from, const char *to, struct span id)
{
	struct ep_op op = { .kind = kind, .folder = box_folder(&b, from), .to = box_folder(&b, to), .id = id };

	(void)box_apply(&b, &op);
	return op;
}

static void t_move(void **state)
{
	(void)state;
	box_mkdir(&b, ".A");
	box_write(&b, "dovecot-keywords", "0 one\n1 two\n", 1);
	box_write(&b, ".A/dovecot-keywords", "0 two\n", 1);
	box_write(&b, "cur/1.a,S=36,W=40:2,RSab", MSG, 99);
	struct ep_op op = transfer(EP_MOVE, "INBOX", "A", SPAN_LIT("1.a,S=36,W=40"));
	assert_int_equal(op.code, E_OK);
	assert_true(span_eq_str(op.new_id, "1.a,S=36,W=40"));
	assert_int_equal(box_count(&b, "cur"), 0);
	/* letters are those of the folder it is in now */
	assert_string_equal(box_only(&b, ".A/cur"), "1.a,S=36,W=40:2,RSab");
	assert_string_equal(box_read(&b, ".A/dovecot-keywords", NULL), "0 two\n1 one\n");
	struct ep_changes c = box_changes(&b, "A", SPAN_NONE);
	assert_string_equal(c.items[0].keywords, "one two");
	assert_int_equal(transfer(EP_MOVE, "INBOX", "A", SPAN_LIT("1.a,S=36,W=40")).code, E_ITEM_GONE);
}

static void t_move_name_taken(void **state)
{
	(void)state;
	box_mkdir(&b, ".A");
	box_write(&b, "new/1.a,S=36,W=40", MSG, 99);
	box_write(&b, ".A/cur/1.a,S=36,W=40:2,S", "another", 99);
	struct ep_op op = transfer(EP_MOVE, "INBOX", "A", SPAN_LIT("1.a,S=36,W=40"));
	assert_int_equal(op.code, E_OK);
	assert_false(span_eq_str(op.new_id, "1.a,S=36,W=40"));
	assert_true(span_find_nocase(op.new_id, ",S=36,W=40") != SIZE_MAX);
	assert_int_equal(box_count(&b, ".A/cur"), 2);
	assert_string_equal(box_read(&b, ".A/cur/1.a,S=36,W=40:2,S", NULL), "another");
	assert_int_equal(box_count(&b, "new"), 0);
}

static void t_copy(void **state)
{
	(void)state;
	box_mkdir(&b, ".A");
	box_write(&b, "cur/1.a:2,S", MSG, 99);
	struct ep_op op = transfer(EP_COPY, "INBOX", "A", SPAN_LIT("1.a"));
	assert_int_equal(op.code, E_OK);
	assert_string_equal(box_only(&b, ".A/cur"), "1.a:2,S");
	assert_string_equal(box_only(&b, "cur"), "1.a:2,S");
	/* within one folder: another name */
	op = transfer(EP_COPY, "INBOX", "INBOX", SPAN_LIT("1.a"));
	assert_int_equal(op.code, E_OK);
	assert_false(span_eq_str(op.new_id, "1.a"));
	assert_int_equal(box_count(&b, "cur"), 2);
	assert_int_equal(box_changes(&b, "INBOX", SPAN_NONE).n, 2);
	/* a move to where it is already changes nothing */
	op = transfer(EP_MOVE, "INBOX", "INBOX", SPAN_LIT("1.a"));
	assert_true(op.code == E_OK && span_eq_str(op.new_id, "1.a"));
}

static void t_remove(void **state)
{
	(void)state;
	box_write(&b, "cur/1.a:2,S", MSG, 99);
	box_write(&b, "cur/1.ab:2,S", MSG, 99);
	struct ep_op op = { .kind = EP_REMOVE, .folder = box_folder(&b, "INBOX"), .id = SPAN_LIT("1.a") };
	assert_int_equal(box_apply(&b, &op), E_OK);
	assert_string_equal(box_only(&b, "cur"), "1.ab:2,S");
	assert_int_equal(box_apply(&b, &op), E_ITEM_GONE);
}

/* Two files with one id: shown once, never changed or removed. */
static void t_twice(void **state)
{
	(void)state;
	box_write(&b, "cur/1.a:2,S", MSG, 99);
	box_write(&b, "cur/1.a:2,FS", "other", 99);
	struct ep_changes c = box_changes(&b, "INBOX", SPAN_NONE);
	assert_int_equal(c.n, 1);
	assert_true(c.complete);
	struct ep_op op = { .kind = EP_REMOVE, .folder = box_folder(&b, "INBOX"), .id = SPAN_LIT("1.a") };
	assert_int_equal(box_apply(&b, &op), E_ITEM_REFUSED);
	assert_int_equal(set_flags(SPAN_LIT("1.a"), EP_DRAFT, 0, NULL, NULL), E_ITEM_REFUSED);
	assert_int_equal(box_count(&b, "cur"), 2);
}

/* A batch of everything at once, over several folders, more than one run of creates. */
static void t_batch(void **state)
{
	enum { N = 3 * CREATE_RUN + 5 };
	static struct ep_op ops[N + 2];
	const struct ep_folder *folders[2] = { box_folder(&b, "INBOX"), NULL };

	(void)state;
	box_mkdir(&b, ".A");
	folders[1] = box_folder(&b, "A");
	box_write(&b, "cur/1.a:2,S", MSG, 99);
	box_write(&b, "cur/2.a:2,S", MSG, 99);
	memset(ops, 0, sizeof(ops));
	for (size_t i = 0; i < N; i++) {
		ops[i] = (struct ep_op){ .kind = EP_CREATE, .folder = folders[i % 2], .received = (int64_t)i };
		ops[i].body = box_body(MSG_CRLF, strlen(MSG_CRLF));
	}
	ops[N] = (struct ep_op){ .kind = EP_REMOVE, .folder = folders[0], .id = SPAN_LIT("1.a") };
	ops[N + 1] = (struct ep_op){ .kind = EP_MOVE, .folder = folders[0], .to = folders[1], .id = SPAN_LIT("2.a") };
	assert_int_equal(ep_local.apply(&b.ep, b.arena, ops, N + 2, &b.err), E_OK);
	for (size_t i = 0; i < N + 2; i++) {
		assert_int_equal(ops[i].code, E_OK);
		assert_int_equal(ops[i].new_id.n > 0, ops[i].kind != EP_REMOVE);
		body_free(&ops[i].body);
	}
	assert_int_equal(box_changes(&b, "INBOX", SPAN_NONE).n, (N + 1) / 2);
	assert_int_equal(box_changes(&b, "A", SPAN_NONE).n, N / 2 + 1);
}

/* Files that a crash left in tmp: old ones go at the first create, young ones may be in use. */
static void t_tmp_young(void **state)
{
	(void)state;
	box_write(&b, "tmp/somebody", "half", 1);
	assert_int_equal(box_create(&b, "INBOX", MSG_CRLF, 0, NULL, 1).code, E_OK);
	assert_true(box_exists(&b, "tmp/somebody"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(t_listing), T(t_describe), T(t_long_header), T(t_fetch), T(t_hostile_ids), T(t_create),
		T(t_create_bytes), T(t_create_large), T(t_create_refused), T(t_flags), T(t_foreign_info),
		T(t_forwarded), T(t_keywords_full), T(t_unencodable_keyword), T(t_keyword_lock), T(t_move),
		T(t_move_name_taken), T(t_copy), T(t_remove), T(t_twice), T(t_batch), T(t_tmp_young),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
