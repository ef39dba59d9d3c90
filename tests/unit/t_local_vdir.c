/* t_local_vdir.c - calendars, tasks and contacts on disk: what is listed, how versions tell contents apart
 * however fast somebody writes, and that no write of another program is ever lost.
 */
#include "local_case.h"

#include "../../common/io.h"
#include "../../worker/local/vdir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct box b;

#define EVENT(uid, summary) "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:" uid "\r\n" \
	"DTSTAMP:20240101T000000Z\r\nDTSTART:20240102T090000Z\r\nSUMMARY:" summary "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
#define CARD(uid, name) "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:" uid "\r\nFN:" name "\r\nN:" name ";;;;\r\nEND:VCARD\r\n"
#define TODO(uid, summary) "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VTODO\r\nUID:" uid "\r\n" \
	"DTSTAMP:20240101T000000Z\r\nSUMMARY:" summary "\r\nEND:VTODO\r\nEND:VCALENDAR\r\n"

/* box_path() is below Mail */
#define UP(name) "../" name

static void dirs(const char *a, const char *c)
{
	(void)!mkdir(box_path(&b, "../%s", a), 0700);
	assert_int_equal(mkdir(box_path(&b, "../%s/%s", a, c), 0700), 0);
}

static int set_up(void **state)
{
	(void)state;
	box_new(&b);
	assert_int_equal(box_open(&b), E_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	box_free(&b);
	return 0;
}

static void settle(void)
{
	struct timespec t = { .tv_nsec = 30000000 };

	nanosleep(&t, NULL);
}

static const struct ep_folder *folder(enum ep_kind kind, const char *path)
{
	struct ep_list list = box_list(&b);

	assert_true(list.complete);
	for (size_t i = 0; i < list.n; i++) {
		if (list.folders[i].kind == kind && span_eq_str(list.folders[i].path, path))
			return &list.folders[i];
	}
	return NULL;
}

static struct ep_changes changes(const struct ep_folder *f, struct span since)
{
	struct ep_changes c = { .folder = f, .since = since };

	assert_non_null(f);
	assert_int_equal(ep_local.changes(&b.ep, b.arena, &c, 1, &b.err), E_OK);
	return c;
}

static char *fetch(const struct ep_folder *f, const char *id, struct ep_fetch *f_r)
{
	struct buf text;
	struct span piece;

	*f_r = (struct ep_fetch){ .folder = f, .id = span_of(id) };
	assert_int_equal(ep_local.fetch(&b.ep, b.arena, f_r, 1, &b.err), E_OK);
	if (f_r->code != E_OK)
		return NULL;
	buf_init(&text, (size_t)64 << 20);
	while (body_read(f_r->body, text.n, &piece, &b.err) == E_OK && piece.n > 0)
		buf_add_span(&text, piece);
	char *out = arena_str(b.arena, buf_span(&text));

	buf_free(&text);
	body_free(&f_r->body);
	return out;
}

/* A write tells the version that a reading finds. */
static void tells_version(const struct ep_folder *f, const struct ep_op *op, struct span id)
{
	struct ep_fetch now;

	if (op->code == E_OK && fetch(f, arena_str(b.arena, id), &now) != NULL)
		assert_true(span_eq(op->new_version, now.version));
}

static struct ep_op create(const struct ep_folder *f, const char *uid, const char *text)
{
	struct ep_op op = { .kind = EP_CREATE, .folder = f, .uid = span_of(uid), .received = INT64_MIN };

	op.body = box_body(text, strlen(text));
	(void)box_apply(&b, &op);
	body_free(&op.body);
	return op;
}

static struct ep_op update(const struct ep_folder *f, struct span id, struct span version, const char *text)
{
	struct ep_op op = { .kind = EP_UPDATE, .folder = f, .id = id, .version = version, .received = INT64_MIN };

	op.body = box_body(text, strlen(text));
	(void)box_apply(&b, &op);
	body_free(&op.body);
	return op;
}

static struct ep_folder_op make(enum ep_kind kind, const char *path)
{
	struct ep_folder_op op = { .kind = EP_FOLDER_CREATE, .item_kind = kind, .path = span_of(path) };

	(void)box_tree(&b, &op);
	return op;
}

static size_t hidden(const char *dir)
{
	char command[700];

	snprintf(command, sizeof(command), "test -z \"$(find '%s' -name '.mailshadow-*')\"", box_path(&b, "../%s", dir));
	return (size_t)WEXITSTATUS(system(command));
}

/* --- listing --- */

static void t_nothing_there(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(box_list(&b).n, 1);
	assert_int_equal(b.ep.caps.kinds, 15);
	assert_int_equal(stat(box_path(&b, UP("Calendars")), &st), -1);   /* made when there is something to keep */
}

static void t_listing(void **state)
{
	(void)state;
	dirs("Calendars", "work");
	dirs("Contacts", "people");
	dirs("Tasks", "work");
	dirs("Calendars", ".hidden");
	dirs("Calendars", "bad\xff");
	box_write(&b, UP("Calendars/work/displayname"), "B\xc3\xbcro / 1%2F\n", 5);
	box_write(&b, UP("Calendars/work/color"), "#ff0000\n", 5);
	box_write(&b, UP("Calendars/work/a.ics"), EVENT("a", "A"), 5);
	box_write(&b, UP("Calendars/work/b.ics"), EVENT("b", "B"), 5);
	box_write(&b, UP("Calendars/work/c.ICS"), "x", 5);
	box_write(&b, UP("Calendars/work/d.ics~"), "x", 5);
	box_write(&b, UP("Calendars/work/.e.ics"), "x", 5);
	box_write(&b, UP("Calendars/work/f.vcf"), "x", 5);
	box_write(&b, UP("Calendars/work/bad\xff.ics"), "x", 5);
	box_write(&b, UP("Calendars/work/bad\n.ics"), "x", 5);
	assert_int_equal(mkdir(box_path(&b, UP("Calendars/work/g.ics")), 0700), 0);
	assert_int_equal(symlink("a.ics", box_path(&b, UP("Calendars/work/h.ics"))), 0);
	assert_int_equal(mkfifo(box_path(&b, UP("Calendars/work/i.ics")), 0600), 0);
	assert_int_equal(symlink("work", box_path(&b, UP("Calendars/link"))), 0);
	box_write(&b, UP("Calendars/file"), "x", 5);
	struct ep_list list = box_list(&b);
	assert_true(list.complete);
	assert_int_equal(list.n, 4);
	const struct ep_folder *f = folder(EP_EVENTS, "B\xc3\xbcro %2F 1%252F");
	assert_non_null(f);
	assert_true(f->selectable && f->id_stable);
	assert_int_equal(f->count, 2);
	assert_int_equal(f->role, EP_ROLE_NONE);
	assert_int_equal(f->id.n, 32);
	assert_non_null(folder(EP_CONTACTS, "people"));
	assert_non_null(folder(EP_TASKS, "work"));
	settle();
	f = folder(EP_EVENTS, "B\xc3\xbcro %2F 1%252F");
	assert_true(f->mark.n > 0);
	struct ep_changes c = changes(f, SPAN_NONE);
	assert_int_equal(c.code, E_OK);
	assert_true(c.full && c.complete && !c.reset);
	assert_int_equal(c.n, 2);
	assert_true(span_eq_str(c.items[0].id, "a.ics") && span_eq_str(c.items[1].id, "b.ics"));
	assert_true(c.items[0].version.n > 0 && !span_eq(c.items[0].version, c.items[1].version));
	assert_true(span_eq(c.cursor, f->mark));
	c = changes(f, c.cursor);
	assert_true(!c.full && c.complete && c.n == 0);
}

static void t_only_wanted_kinds(void **state)
{
	(void)state;
	dirs("Calendars", "c");
	dirs("Tasks", "t");
	assert_int_equal(symlink("/", box_path(&b, UP("Contacts"))), 0);
	box_close(&b);
	b.ep.env.kinds = 0;
	struct ep_env env;
	assert_int_equal(box_open(&b), E_OK);
	struct ep_list list;
	/* a link is not followed: that is said, not taken for an absence */
	assert_int_equal(ep_local.list(&b.ep, b.arena, &list, &b.err), E_STORE_FAILED);
	assert_non_null(strstr(b.err.text, "Contacts"));
	env = b.ep.env;
	box_close(&b);
	env.kinds = 1u << EP_MAIL | 1u << EP_TASKS;
	b.ep = (struct endpoint){ .ops = &ep_local, .env = env };
	assert_int_equal(ep_local.make(&b.ep, &b.err), E_OK);
	assert_int_equal(ep_local.open(&b.ep, &b.err), E_OK);
	assert_int_equal(box_list(&b).n, 2);
	assert_non_null(folder(EP_TASKS, "t"));
}

static void t_labels_that_are_none(void **state)
{
	static const char *const bad[] = { "", " \n", "a\nb", "bad\xff", "a\tb" };
	char long_one[400];

	(void)state;
	dirs("Contacts", "x");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		box_write(&b, UP("Contacts/x/displayname"), bad[i], 5);
		assert_non_null(folder(EP_CONTACTS, "x"));
	}
	memset(long_one, 'y', sizeof(long_one));
	long_one[255] = '\0';
	box_write(&b, UP("Contacts/x/displayname"), long_one, 5);
	assert_non_null(folder(EP_CONTACTS, long_one));
	long_one[255] = 'y';
	long_one[256] = '\0';
	box_write(&b, UP("Contacts/x/displayname"), long_one, 5);
	assert_non_null(folder(EP_CONTACTS, "x"));
}

/* One keeps the name, the others go by their directories. */
static void t_same_label(void **state)
{
	(void)state;
	dirs("Contacts", "Team");
	dirs("Contacts", "a");
	dirs("Contacts", "b");
	dirs("Tasks", "Team");
	box_write(&b, UP("Contacts/Team/displayname"), "Team", 5);
	box_write(&b, UP("Contacts/a/displayname"), "Team", 5);
	box_write(&b, UP("Contacts/b/displayname"), "a", 5);
	assert_true(span_eq_str(folder(EP_CONTACTS, "Team")->name, "Contacts/Team"));
	assert_true(span_eq_str(folder(EP_CONTACTS, "a")->name, "Contacts/b"));
	assert_non_null(folder(EP_TASKS, "Team"));
	assert_int_equal(box_list(&b).n, 5);
}

static void t_identity(void **state)
{
	char command[600];

	(void)state;
	dirs("Calendars", "a");
	box_write(&b, UP("Calendars/a/x.ics"), EVENT("x", "X"), 5);
	struct span id = folder(EP_EVENTS, "a")->id;
	assert_int_equal(rename(box_path(&b, UP("Calendars/a")), box_path(&b, UP("Calendars/z"))), 0);
	assert_true(span_eq(folder(EP_EVENTS, "z")->id, id));
	snprintf(command, sizeof(command), "cp -r '%s' '%s'", box_path(&b, UP("Calendars/z")),
		 box_path(&b, UP("Calendars/copy")));
	assert_int_equal(system(command), 0);
	assert_true(span_eq(folder(EP_EVENTS, "z")->id, id));
	assert_false(span_eq(folder(EP_EVENTS, "copy")->id, id));
	assert_true(folder(EP_EVENTS, "copy")->id_stable);
}

/* --- versions --- */

static void rewrite_in_place(const char *name, const char *text, const struct stat *times_of)
{
	int fd = open(box_path(&b, "../%s", name), O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	if (times_of != NULL) {
		struct timespec times[2] = { times_of->st_atim, times_of->st_mtim };

		assert_int_equal(futimens(fd, times), 0);
	}
	close(fd);
}

/* The same length, the same inode, within the same tick, even the same mtime: seen all the same. */
static void t_racy_writes(void **state)
{
	char first[sizeof(EVENT("x", "0000"))], second[sizeof(first)];

	(void)state;
	dirs("Calendars", "c");
	box_write(&b, UP("Calendars/c/x.ics"), EVENT("x", "0000"), 5);
	const struct ep_folder *f = folder(EP_EVENTS, "c");
	for (int i = 0; i < 40; i++) {
		struct ep_fetch a;
		struct stat st;

		snprintf(first, sizeof(first), EVENT("x", "%04d"), 2 * i);
		snprintf(second, sizeof(second), EVENT("x", "%04d"), 2 * i + 1);
		rewrite_in_place("Calendars/c/x.ics", first, NULL);
		assert_string_equal(fetch(f, "x.ics", &a), first);
		struct ep_changes listed = changes(f, SPAN_NONE);
		assert_int_equal(stat(box_path(&b, UP("Calendars/c/x.ics")), &st), 0);
		rewrite_in_place("Calendars/c/x.ics", second, &st);
		struct ep_changes c = changes(f, listed.cursor);
		assert_int_equal(c.n, 1);
		assert_false(span_eq(c.items[0].version, a.version));
		struct ep_op op = update(f, SPAN_LIT("x.ics"), a.version, EVENT("x", "mine"));
		assert_int_equal(op.code, E_ITEM_CHANGED);
		assert_string_equal(fetch(f, "x.ics", &a), second);
	}
}

/* A mark is not given while a change could still hide behind it. */
static void t_racy_mark(void **state)
{
	(void)state;
	dirs("Calendars", "c");
	box_write(&b, UP("Calendars/c/x.ics"), EVENT("x", "0000"), 5);
	folder(EP_EVENTS, "c");
	for (int i = 0; i < 200; i++) {
		char text[200];

		snprintf(text, sizeof(text), EVENT("x", "%04d"), i);
		rewrite_in_place("Calendars/c/x.ics", text, NULL);
		const struct ep_folder *f = folder(EP_EVENTS, "c");
		struct span mark = f->mark;
		snprintf(text, sizeof(text), EVENT("x", "%04d"), 1000 + i);
		rewrite_in_place("Calendars/c/x.ics", text, NULL);
		assert_true(mark.n == 0 || !span_eq(folder(EP_EVENTS, "c")->mark, mark));
	}
	settle();
	struct span mark = folder(EP_EVENTS, "c")->mark;
	assert_true(mark.n > 0);
	assert_true(span_eq(folder(EP_EVENTS, "c")->mark, mark));
	/* other programs' files are no change */
	box_write(&b, UP("Calendars/c/notes.txt"), "x", 5);
	settle();
	assert_true(span_eq(folder(EP_EVENTS, "c")->mark, mark));
}

static void t_fetch(void **state)
{
	struct ep_fetch r;

	(void)state;
	dirs("Contacts", "p");
	box_write(&b, UP("Contacts/p/lf.vcf"), "BEGIN:VCARD\nFN:x\n", 5);
	box_write(&b, UP("Contacts/p/empty.vcf"), "", 5);
	assert_int_equal(symlink("lf.vcf", box_path(&b, UP("Contacts/p/link.vcf"))), 0);
	assert_int_equal(mkfifo(box_path(&b, UP("Contacts/p/pipe.vcf")), 0600), 0);
	int fd = open(box_path(&b, UP("Contacts/p/big.vcf")), O_WRONLY | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, (off_t)VDIR_ITEM_MAX + 1), 0);
	close(fd);
	const struct ep_folder *f = folder(EP_CONTACTS, "p");
	struct ep_changes c = changes(f, SPAN_NONE);
	assert_string_equal(fetch(f, "lf.vcf", &r), "BEGIN:VCARD\r\nFN:x\r\n");
	assert_int_equal(r.code, E_OK);
	assert_int_equal(r.received, INT64_MIN);
	assert_true(span_eq(r.version, box_item(&c, "lf.vcf")->version));
	static const struct { const char *id; enum code code; } bad[] = {
		{ "empty.vcf", E_ITEM_BAD }, { "link.vcf", E_ITEM_BAD }, { "pipe.vcf", E_ITEM_BAD },
		{ "big.vcf", E_ITEM_TOO_BIG }, { "none.vcf", E_ITEM_GONE }, { "../p/lf.vcf", E_ITEM_GONE },
		{ "displayname", E_ITEM_GONE }, { ".x.vcf", E_ITEM_GONE }, { "", E_ITEM_GONE },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_null(fetch(f, bad[i].id, &r));
		assert_int_equal(r.code, bad[i].code);
	}
	struct ep_meta m = { .folder = f, .id = SPAN_LIT("lf.vcf") };
	assert_int_equal(ep_local.describe(&b.ep, b.arena, &m, 1, &b.err), E_OK);
	assert_int_equal(m.code, E_ITEM_REFUSED);
	struct ep_folder gone = *f;
	gone.name = SPAN_LIT("Contacts/none");
	fetch(&gone, "lf.vcf", &r);
	assert_int_equal(r.code, E_FOLDER_GONE);
	gone.name = SPAN_LIT("Contacts/../Mail");
	fetch(&gone, "lf.vcf", &r);
	assert_int_equal(r.code, E_FOLDER_GONE);
}

/* --- creating --- */

static void t_create(void **state)
{
	static const struct { const char *uid, *file; } names[] = {
		{ "plain-UID_1.x@example.org", "plain-UID_1.x@example.org.ics" },
		{ ".hidden", NULL }, { "a/b", NULL }, { "with blank", NULL }, { "../../evil", NULL }, { "\xc3\xa4", NULL },
	};

	(void)state;
	assert_int_equal(make(EP_EVENTS, "Work").code, E_OK);
	const struct ep_folder *f = folder(EP_EVENTS, "Work");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *text = arena_printf(b.arena, EVENT("%s", "S"), names[i].uid);
		struct ep_op op = create(f, names[i].uid, text);
		struct ep_fetch r;

		assert_int_equal(op.code, E_OK);
		if (names[i].file != NULL)
			assert_true(span_eq_str(op.new_id, names[i].file));
		else
			assert_int_equal(op.new_id.n, 40 + 4);
		assert_string_equal(fetch(f, arena_str(b.arena, op.new_id), &r), text);
		/* once more: the next pass is to find it, nothing is written */
		struct ep_op again = create(f, names[i].uid, text);
		assert_int_equal(again.code, E_ITEM_UNCERTAIN);
		assert_int_equal(again.new_id.n, 0);
	}
	assert_int_equal(folder(EP_EVENTS, "Work")->count, ARRAY_LEN(names));
	assert_int_equal(hidden("Calendars"), 0);
}

static void t_create_names(void **state)
{
	(void)state;
	dirs("Calendars", "c");
	box_write(&b, UP("Calendars/c/x.ics"), EVENT("another", "A"), 5);
	box_write(&b, UP("Calendars/c/x-2.ics"), "no calendar at all", 5);
	const struct ep_folder *f = folder(EP_EVENTS, "c");
	struct ep_op op = create(f, "x", EVENT("x", "X"));
	tells_version(f, &op, op.new_id);
	assert_true(span_eq_str(op.new_id, "x-3.ics"));
	assert_int_equal(create(f, "x", EVENT("x", "X")).code, E_ITEM_UNCERTAIN);
	/* folded, with a parameter, LF: still the same UID */
	box_write(&b, UP("Calendars/c/long-uid.ics"),
		  "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID;X-A=b:long\n -uid\nDTSTAMP:20240101T000000Z\n"
		  "DTSTART:20240101T000000Z\nEND:VEVENT\nEND:VCALENDAR\n", 5);
	assert_int_equal(create(f, "long-uid", EVENT("long-uid", "X")).code, E_ITEM_UNCERTAIN);

	/* two items of one UID in one run: the second is refused, not taken for the first */
	struct ep_op two[2];
	for (int i = 0; i < 2; i++)
		two[i] = (struct ep_op){ .kind = EP_CREATE, .folder = f, .uid = SPAN_LIT("twin"),
					 .body = box_body(EVENT("twin", "T"), strlen(EVENT("twin", "T"))) };
	assert_int_equal(ep_local.apply(&b.ep, b.arena, two, 2, &b.err), E_OK);
	assert_int_equal(two[0].code, E_OK);
	assert_int_equal(two[1].code, E_ITEM_REFUSED);
	body_free(&two[0].body);
	body_free(&two[1].body);

	/* without a UID: by its bytes */
	op = create(f, "", EVENT("", "none"));
	assert_int_equal(op.code, E_OK);
	assert_int_equal(create(f, "", EVENT("", "none")).code, E_ITEM_UNCERTAIN);
	assert_false(span_eq(create(f, "", EVENT("", "other")).new_id, op.new_id));
	assert_int_equal(hidden("Calendars"), 0);
}

static void t_many_in_one_call(void **state)
{
	enum { N = 150 };
	struct ep_op *ops = calloc(N, sizeof(*ops));

	(void)state;
	dirs("Tasks", "t");
	dirs("Contacts", "p");
	const struct ep_folder *t = folder(EP_TASKS, "t"), *p = folder(EP_CONTACTS, "p"), *mail = box_folder(&b, "INBOX");
	for (int i = 0; i < N; i++) {
		const char *text = i % 3 == 0 ? arena_printf(b.arena, TODO("%d", "T"), i) :
				   i % 3 == 1 ? arena_printf(b.arena, CARD("%d", "C"), i) :
				   arena_printf(b.arena, "Message-ID: <%d@x>\n\nx\n", i);
		ops[i] = (struct ep_op){ .kind = EP_CREATE, .folder = i % 3 == 0 ? t : i % 3 == 1 ? p : mail,
					 .uid = span_of(arena_printf(b.arena, "%d", i)), .received = INT64_MIN,
					 .body = box_body(text, strlen(text)) };
	}
	assert_int_equal(ep_local.apply(&b.ep, b.arena, ops, N, &b.err), E_OK);
	for (int i = 0; i < N; i++) {
		assert_int_equal(ops[i].code, E_OK);
		body_free(&ops[i].body);
	}
	assert_int_equal(folder(EP_TASKS, "t")->count, N / 3);
	assert_int_equal(folder(EP_CONTACTS, "p")->count, N / 3);
	assert_int_equal(box_count(&b, "cur"), N / 3);
	free(ops);
}

/* --- changing --- */

static void t_update(void **state)
{
	struct ep_fetch r;
	struct stat st;

	(void)state;
	dirs("Calendars", "c");
	box_write(&b, UP("Calendars/c/x.ics"), EVENT("x", "old"), 5);
	assert_int_equal(chmod(box_path(&b, UP("Calendars/c/x.ics")), 0640), 0);
	const struct ep_folder *f = folder(EP_EVENTS, "c");
	fetch(f, "x.ics", &r);
	assert_int_equal(update(f, SPAN_LIT("x.ics"), r.version, EVENT("x", "new")).code, E_OK);
	assert_int_equal(stat(box_path(&b, UP("Calendars/c/x.ics")), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(update(f, SPAN_LIT("x.ics"), r.version, EVENT("x", "stale")).code, E_ITEM_CHANGED);
	assert_string_equal(fetch(f, "x.ics", &r), EVENT("x", "new"));
	/* another program replaces it by a rename, as vdirsyncer does */
	box_write(&b, UP("Calendars/c/tmp"), EVENT("x", "his"), 5);
	assert_int_equal(rename(box_path(&b, UP("Calendars/c/tmp")), box_path(&b, UP("Calendars/c/x.ics"))), 0);
	assert_int_equal(update(f, SPAN_LIT("x.ics"), r.version, EVENT("x", "mine")).code, E_ITEM_CHANGED);
	assert_string_equal(fetch(f, "x.ics", &r), EVENT("x", "his"));
	struct ep_op any = update(f, SPAN_LIT("x.ics"), SPAN_NONE, EVENT("x", "any"));
	assert_int_equal(any.code, E_OK);
	tells_version(f, &any, any.id);
	assert_int_equal(update(f, SPAN_LIT("y.ics"), SPAN_NONE, EVENT("y", "any")).code, E_ITEM_GONE);
	assert_int_equal(update(f, SPAN_LIT("displayname"), SPAN_NONE, EVENT("y", "any")).code, E_ITEM_GONE);
	assert_int_equal(hidden("Calendars"), 0);
}

static void t_remove(void **state)
{
	struct ep_fetch r;

	(void)state;
	dirs("Contacts", "p");
	box_write(&b, UP("Contacts/p/x.vcf"), CARD("x", "old"), 5);
	const struct ep_folder *f = folder(EP_CONTACTS, "p");
	fetch(f, "x.vcf", &r);
	box_write(&b, UP("Contacts/p/x.vcf"), CARD("x", "his"), 5);
	struct ep_op op = { .kind = EP_REMOVE, .folder = f, .id = SPAN_LIT("x.vcf"), .version = r.version };
	assert_int_equal(box_apply(&b, &op), E_ITEM_CHANGED);
	assert_string_equal(fetch(f, "x.vcf", &r), CARD("x", "his"));
	op.version = r.version;
	assert_int_equal(box_apply(&b, &op), E_OK);
	assert_int_equal(box_apply(&b, &op), E_ITEM_GONE);
	op.kind = EP_FLAGS;
	assert_int_equal(box_apply(&b, &op), E_ITEM_REFUSED);
	assert_int_equal(folder(EP_CONTACTS, "p")->count, 0);
	assert_int_equal(hidden("Contacts"), 0);
}

static void t_move(void **state)
{
	struct ep_fetch r;

	(void)state;
	dirs("Calendars", "a");
	dirs("Calendars", "b");
	dirs("Contacts", "p");
	box_write(&b, UP("Calendars/a/x.ics"), EVENT("x", "X"), 5);
	box_write(&b, UP("Calendars/b/x.ics"), EVENT("y", "other"), 5);
	const struct ep_folder *from = folder(EP_EVENTS, "a"), *to = folder(EP_EVENTS, "b");
	struct ep_op op = { .kind = EP_MOVE, .folder = from, .to = folder(EP_CONTACTS, "p"), .id = SPAN_LIT("x.ics") };
	assert_int_equal(box_apply(&b, &op), E_ITEM_REFUSED);
	op.to = to;
	op.version = SPAN_LIT("stale");
	assert_int_equal(box_apply(&b, &op), E_ITEM_CHANGED);
	fetch(from, "x.ics", &r);
	op.version = r.version;
	assert_int_equal(box_apply(&b, &op), E_OK);
	assert_true(span_eq_str(op.new_id, "x-2.ics"));
	assert_string_equal(fetch(to, "x-2.ics", &r), EVENT("x", "X"));
	assert_string_equal(fetch(to, "x.ics", &r), EVENT("y", "other"));
	assert_int_equal(box_apply(&b, &op), E_ITEM_GONE);
	assert_int_equal(folder(EP_EVENTS, "a")->count, 0);
}

static void replace(const char *text)
{
	const char *tmp = box_path(&b, UP("Calendars/c/.tmp")), *file = box_path(&b, UP("Calendars/c/x.ics"));
	int fd = open(tmp, O_WRONLY | O_CREAT, 0600);

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || rename(tmp, file) != 0)
		_exit(1);
	close(fd);
}

/* Writes twice; the second time about when we update. */
static pid_t start_writer(int round)
{
	struct timespec wait = { .tv_nsec = 19500000 + (round * 7919 % 30) * 100000 };
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	replace(EVENT("x", "first"));
	nanosleep(&wait, NULL);
	replace(arena_printf(b.arena, EVENT("x", "last %d"), round));
	_exit(0);
}

/* Another program writes at the moment of our update. Its last version is there in the end, or was overwritten
 * by us after we had read it; never unread. */
static void t_writer_at_the_same_time(void **state)
{
	long ok = 0, refused = 0;

	(void)state;
	dirs("Calendars", "c");
	box_write(&b, UP("Calendars/c/x.ics"), EVENT("x", "begin"), 5);
	const struct ep_folder *f = folder(EP_EVENTS, "c");
	for (int round = 0; round < 80; round++) {
		const char *last = arena_printf(b.arena, EVENT("x", "last %d"), round);
		bool read_last = false;
		pid_t pid = start_writer(round);
		int status = -1;

		while (status == -1) {
			struct ep_fetch r;
			bool ended = waitpid(pid, &status, WNOHANG) == pid;
			char *text = fetch(f, "x.ics", &r);

			status = ended ? status : -1;
			assert_true(text != NULL || r.code == E_ITEM_CHANGED);
			if (text == NULL || strstr(text, "mine") != NULL)
				continue;
			assert_non_null(strstr(text, "END:VCALENDAR\r\n"));
			struct ep_op op = update(f, SPAN_LIT("x.ics"), r.version, EVENT("x", "mine"));
			assert_true(op.code == E_OK || op.code == E_ITEM_CHANGED);
			ok += op.code == E_OK;
			refused += op.code != E_OK;
			read_last |= op.code == E_OK && strcmp(text, last) == 0;
		}
		struct ep_fetch r;
		char *text = fetch(f, "x.ics", &r);

		assert_int_equal(status, 0);
		if (strcmp(text, last) != 0 && !(strstr(text, "mine") != NULL && read_last))
			fail_msg("round %d: the other program's last version is lost; there is %s", round, text);
	}
	print_message("%ld updates done, %ld refused\n", ok, refused);
	assert_true(ok > 0 && refused > 0);
	assert_int_equal(changes(f, SPAN_NONE).n, 1);
	assert_int_equal(hidden("Calendars"), 0);
}

/* --- the tree --- */

static void t_folders(void **state)
{
	struct ep_folder_op op = make(EP_CONTACTS, "Freunde %2F \xc3\x84mter");

	(void)state;
	assert_int_equal(op.code, E_OK);
	assert_true(span_eq_str(op.folder_r.path, "Freunde %2F \xc3\x84mter"));
	assert_int_equal(op.folder_r.kind, EP_CONTACTS);
	assert_true(op.folder_r.selectable);
	struct span id = op.folder_r.id;
	assert_string_equal(box_read(&b, UP("Contacts/Freunde _ \xc3\x84mter/displayname"), NULL), "Freunde / \xc3\x84mter");
	assert_int_equal(make(EP_CONTACTS, "Freunde %2F \xc3\x84mter").code, E_FOLDER_EXISTS);
	assert_int_equal(make(EP_CONTACTS, "Freunde _ \xc3\x84mter").code, E_OK);   /* another one, in Freunde ...-2 */
	assert_int_equal(make(EP_CONTACTS, "A/B").code, E_FOLDER_NAME);
	assert_int_equal(make(EP_CONTACTS, "").code, E_FOLDER_NAME);
	assert_int_equal(make(EP_CONTACTS, " x").code, E_FOLDER_NAME);
	assert_int_equal(make(EP_CONTACTS, "..").code, E_OK);
	assert_true(span_eq_str(folder(EP_CONTACTS, "..")->name, "Contacts/_."));
	assert_int_equal(make(EP_TASKS, "Freunde _ \xc3\x84mter").code, E_OK);

	op = (struct ep_folder_op){ .kind = EP_FOLDER_RENAME, .path = SPAN_LIT("Neu"),
				    .folder = folder(EP_CONTACTS, "Freunde %2F \xc3\x84mter") };
	assert_int_equal(box_tree(&b, &op), E_OK);
	assert_true(span_eq(op.folder_r.id, id));
	assert_true(span_eq_str(folder(EP_CONTACTS, "Neu")->name, "Contacts/Freunde _ \xc3\x84mter"));
	op.path = SPAN_LIT("..");
	op.folder = folder(EP_CONTACTS, "Neu");
	assert_int_equal(box_tree(&b, &op), E_FOLDER_EXISTS);

	struct ep_op item = create(folder(EP_CONTACTS, "Neu"), "x", CARD("x", "X"));
	assert_int_equal(item.code, E_OK);
	op = (struct ep_folder_op){ .kind = EP_FOLDER_REMOVE, .folder = folder(EP_CONTACTS, "Neu") };
	assert_int_equal(box_tree(&b, &op), E_FOLDER_REFUSED);
	struct ep_op gone = { .kind = EP_REMOVE, .folder = op.folder, .id = item.new_id };
	assert_int_equal(box_apply(&b, &gone), E_OK);
	box_write(&b, UP("Contacts/Freunde _ \xc3\x84mter/color"), "#fff", 5);
	box_write(&b, UP("Contacts/Freunde _ \xc3\x84mter/notes.txt"), "x", 5);
	assert_int_equal(box_tree(&b, &op), E_FOLDER_REFUSED);
	assert_int_equal(unlink(box_path(&b, UP("Contacts/Freunde _ \xc3\x84mter/notes.txt"))), 0);
	assert_int_equal(box_tree(&b, &op), E_OK);
	assert_null(folder(EP_CONTACTS, "Neu"));
	assert_int_equal(box_tree(&b, &op), E_FOLDER_GONE);
	assert_int_equal(hidden("Contacts"), 0);
}

static void t_roles(void **state)
{
	struct ep_folder_op op = { .kind = EP_FOLDER_CREATE, .item_kind = EP_EVENTS, .path = SPAN_LIT("Kalender"),
				   .color = SPAN_LIT("#00ff7f"),
				   .role = EP_ROLE_CALENDAR };

	(void)state;
	assert_int_equal(box_tree(&b, &op), E_OK);
	assert_int_equal(op.folder_r.role, EP_ROLE_CALENDAR);
	assert_int_equal(folder(EP_EVENTS, "Kalender")->role, EP_ROLE_CALENDAR);
	assert_true(span_eq_str(folder(EP_EVENTS, "Kalender")->color, "#00ff7f"));
}

/* What an interruption left goes, what somebody put into it is shown. */
static void t_tidy(void **state)
{
	(void)state;
	dirs("Calendars", VDIR_REMOVED "1");
	dirs("Calendars", VDIR_REMOVED "2");
	dirs("Calendars", VDIR_NEW "3");
	box_write(&b, UP("Calendars/" VDIR_REMOVED "1/displayname"), "x", 5);
	box_write(&b, UP("Calendars/" VDIR_REMOVED "2/x.ics"), EVENT("x", "X"), 5);
	assert_int_equal(box_list(&b).n, 1);
	box_close(&b);
	assert_int_equal(box_open(&b), E_OK);
	assert_int_equal(box_list(&b).n, 2);
	assert_int_equal(folder(EP_EVENTS, "mailshadow-removed-2")->count, 1);
	/* it is young: another worker may be at it */
	assert_true(box_exists(&b, UP("Calendars/" VDIR_NEW "3")));
	assert_false(box_exists(&b, UP("Calendars/" VDIR_REMOVED "1")));
}

/* What stands in them is what khal, todoman, vdirsyncer and vobject see; the script names what is missing here. */
static void t_other_programs(void **state)
{
	char command[300];

	(void)state;
	assert_int_equal(make(EP_EVENTS, "Team").code, E_OK);
	assert_int_equal(make(EP_TASKS, "Team").code, E_OK);
	assert_int_equal(make(EP_CONTACTS, "Team").code, E_OK);
	assert_int_equal(create(folder(EP_EVENTS, "Team"), "e", EVENT("e", "Standup")).code, E_OK);
	assert_int_equal(create(folder(EP_TASKS, "Team"), "t", TODO("t", "Milk")).code, E_OK);
	assert_int_equal(create(folder(EP_CONTACTS, "Team"), "c", CARD("c", "Ada Lovelace")).code, E_OK);
	snprintf(command, sizeof(command), "tests/unit/vdir_read.py '%s/%s'", b.dir, b.mailbox.smtp_name);
	fflush(stdout);
	assert_int_equal(system(command), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(t_nothing_there), T(t_listing), T(t_only_wanted_kinds), T(t_labels_that_are_none), T(t_same_label),
		T(t_identity), T(t_racy_writes), T(t_racy_mark), T(t_fetch), T(t_create), T(t_create_names),
		T(t_many_in_one_call), T(t_update), T(t_remove), T(t_move), T(t_writer_at_the_same_time), T(t_folders),
		T(t_roles), T(t_tidy), T(t_other_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
