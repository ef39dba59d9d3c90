/* t_local_store.c - opening, identity, the list of folders, ids, roles and marks. */
#include "local_case.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct box b;

static int setup(void **state)
{
	(void)state;
	box_new(&b);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	box_free(&b);
	return 0;
}

static void t_first_open_makes(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	assert_int_equal(stat(box_path(&b, "cur"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(strlen(b.known), 32);
	assert_true(span_eq_str(b.ep.identity, b.known));
	assert_int_equal(strncmp(box_read(&b, "mailshadow-identity", NULL), b.known, 32), 0);
	struct ep_list list = box_list(&b);
	assert_true(list.complete);
	assert_int_equal(list.n, 1);
	assert_int_equal(list.folders[0].role, EP_ROLE_INBOX);
	assert_int_equal(list.folders[0].count, 0);
	assert_true(span_eq_str(list.folders[0].path, "INBOX"));
}

static void t_reopen(void **state)
{
	char first[64];

	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	strcpy(first, b.known);
	box_close(&b);
	assert_int_equal(box_open(&b), E_OK);
	assert_string_equal(first, b.known);
	box_close(&b);
	/* the state was lost: the mailbox is adopted as it is */
	b.known[0] = '\0';
	assert_int_equal(box_open(&b), E_OK);
	assert_string_equal(first, b.known);
}

static void t_store_changed(void **state)
{
	char moved[96];

	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	box_close(&b);
	/* another mailbox in its place */
	box_write(&b, "mailshadow-identity", "0123456789abcdef0123456789abcdef\n", 1);
	assert_int_equal(box_open(&b), E_STORE_CHANGED);
	assert_non_null(strstr(b.err.text, b.dir));
	box_close(&b);
	/* the file is missing */
	unlink(box_path(&b, "mailshadow-identity"));
	assert_int_equal(box_open(&b), E_STORE_CHANGED);
	assert_false(box_exists(&b, "mailshadow-identity"));
	box_close(&b);
	/* the directory is missing: an unmounted disk is not made anew */
	snprintf(moved, sizeof(moved), "%s/elsewhere", b.dir);
	assert_int_equal(rename(box_path(&b, "%s", ""), moved), 0);
	assert_int_equal(box_open(&b), E_STORE_CHANGED);
	assert_false(box_exists(&b, ""));
	box_close(&b);
	assert_int_equal(mkdir(box_path(&b, "%s", ""), 0700), 0);
	assert_int_equal(box_open(&b), E_STORE_CHANGED);
	box_close(&b);
	assert_int_equal(rename(moved, box_path(&b, "%s", "")), 0);
}

static void t_inbox_missing(void **state)
{
	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	box_close(&b);
	assert_int_equal(rmdir(box_path(&b, "cur")), 0);
	assert_int_equal(box_open(&b), E_STORE_CHANGED);
}

static void t_hostile_names(void **state)
{
	static const char *const bad[] = { "..", ".", "", "a/b", "../x", ".hidden" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		b.mailbox.smtp_name = bad[i];
		assert_int_equal(box_open(&b), E_CONF);
		box_close(&b);
	}
	b.mailbox.smtp_name = "a@example.org";
}

static void t_symlink_is_refused(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/%s", b.dir, b.mailbox.smtp_name);
	assert_int_equal(symlink("/tmp", path), 0);
	assert_int_not_equal(box_open(&b), E_OK);
	assert_int_equal(unlink(path), 0);
}

static void t_folders(void **state)
{
	static const char *const dirs[] = { ".Sent", ".drafts", ".TRASH", ".Trash", ".Archive.2024", ".Entw&APw-rfe",
					    ".a%2Eb" };

	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		box_mkdir(&b, dirs[i]);
	/* none of these is a folder */
	assert_int_equal(mkdir(box_path(&b, ".no-maildir"), 0700), 0);
	assert_int_equal(symlink("/tmp", box_path(&b, ".link")), 0);
	box_write(&b, ".file", "x", 1);
	box_mkdir(&b, ".A..B");
	struct ep_list list = box_list(&b);
	assert_true(list.complete);
	assert_int_equal(list.n, 8);
	assert_int_equal(box_folder(&b, "Sent")->role, EP_ROLE_SENT);
	assert_int_equal(box_folder(&b, "drafts")->role, EP_ROLE_DRAFTS);
	assert_int_equal(box_folder(&b, "Trash")->role, EP_ROLE_TRASH);
	assert_int_equal(box_folder(&b, "TRASH")->role, EP_ROLE_NONE);
	assert_int_equal(box_folder(&b, "Archive/2024")->role, EP_ROLE_NONE);
	assert_non_null(box_folder(&b, "Entw\xc3\xbcrfe"));
	assert_non_null(box_folder(&b, "a.b"));
	for (size_t i = 0; i < list.n; i++)
		assert_true(list.folders[i].id.n > 0 && list.folders[i].id_stable && list.folders[i].selectable);
}

static void t_count(void **state)
{
	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	box_write(&b, "new/1.a", "x", 1);
	assert_int_equal(box_folder(&b, "INBOX")->count, UINT64_MAX);
	unlink(box_path(&b, "new/1.a"));
	box_write(&b, "cur/.hidden", "x", 1);
	assert_int_equal(box_folder(&b, "INBOX")->count, 0);
	box_write(&b, "cur/1.a:2,", "x", 1);
	assert_int_equal(box_folder(&b, "INBOX")->count, UINT64_MAX);
}

static void t_alike_names(void **state)
{
	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	box_mkdir(&b, ".Caf&AOk-");
	box_mkdir(&b, ".Caf\xc3\xa9");
	box_mkdir(&b, ".inbox");
	struct ep_list list = box_list(&b);
	size_t alike = 0;

	assert_int_equal(list.n, 4);
	for (size_t i = 0; i < list.n; i++) {
		alike += span_eq_str(list.folders[i].path, "Caf\xc3\xa9");
		if (span_eq_str(list.folders[i].name, ".Caf&AOk-"))
			assert_true(span_eq_str(list.folders[i].path, "Caf\xc3\xa9"));
		if (span_eq_str(list.folders[i].name, ".inbox"))
			assert_true(span_starts_nocase(list.folders[i].path, "inbox~"));
	}
	assert_int_equal(alike, 1);
}

static void t_id_survives_rename(void **state)
{
	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	box_mkdir(&b, ".A");
	struct span id = box_folder(&b, "A")->id;

	assert_int_equal(rename(box_path(&b, ".A"), box_path(&b, ".B.C")), 0);
	assert_true(span_eq(box_folder(&b, "B/C")->id, id));
}

static void copy_dir(const char *from, const char *to)
{
	char line[512];

	snprintf(line, sizeof(line), "cp -a '%s' '%s'", box_path(&b, "%s", from), box_path(&b, "%s", to));
	assert_int_equal(system(line), 0);
}

static void t_copy_gets_own_id(void **state)
{
	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	box_mkdir(&b, ".M");
	struct span id = box_folder(&b, "M")->id;

	/* one copy sorts before, one behind the original */
	copy_dir(".M", ".A");
	copy_dir(".M", ".Z");
	assert_true(span_eq(box_folder(&b, "M")->id, id));
	struct span a = box_folder(&b, "A")->id, z = box_folder(&b, "Z")->id;
	assert_false(span_eq(a, id));
	assert_false(span_eq(z, id));
	assert_false(span_eq(a, z));
	assert_true(span_eq(box_folder(&b, "A")->id, a));
	assert_true(span_eq(box_folder(&b, "Z")->id, z));
}

static void t_restored_keeps_id(void **state)
{
	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	box_mkdir(&b, ".M");
	struct span id = box_folder(&b, "M")->id;

	copy_dir(".M", "backup");
	assert_int_equal(rename(box_path(&b, ".M"), box_path(&b, "old")), 0);
	assert_int_equal(rename(box_path(&b, "backup"), box_path(&b, ".M")), 0);
	assert_true(span_eq(box_folder(&b, "M")->id, id));
	/* and it knows its new inode: a copy of it is the copy */
	copy_dir(".M", ".A");
	assert_true(span_eq(box_folder(&b, "M")->id, id));
	assert_false(span_eq(box_folder(&b, "A")->id, id));
}

static void t_broken_id(void **state)
{
	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	box_mkdir(&b, ".M");
	box_write(&b, ".M/mailshadow-folder", "", 1);
	const struct ep_folder *f = box_folder(&b, "M");

	assert_int_equal(f->id.n, 32);
	assert_true(span_eq(box_folder(&b, "M")->id, f->id));
	/* a role that a folder must not claim */
	box_write(&b, ".M/mailshadow-folder", "0123456789abcdef0123456789abcdef 1 inbox\n", 1);
	assert_int_equal(box_folder(&b, "M")->role, EP_ROLE_NONE);
	assert_int_equal(box_folder(&b, "INBOX")->role, EP_ROLE_INBOX);
}

/* Until marks are trusted: a ctime cannot be set. */
static void age(void)
{
	usleep(1100 * 1000);
}

static void t_mark(void **state)
{
	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	box_write(&b, "cur/1.a:2,S", "x", 1);
	/* too young to be believed */
	assert_int_equal(box_folder(&b, "INBOX")->mark.n, 0);
	age();
	struct span mark = box_folder(&b, "INBOX")->mark;
	struct ep_changes c = box_changes(&b, "INBOX", SPAN_NONE);

	assert_true(mark.n > 0);
	assert_true(span_eq(c.cursor, mark));
	assert_int_equal(c.n, 1);
	assert_true(span_eq(box_folder(&b, "INBOX")->mark, mark));
	/* nothing new since: told without a listing */
	c = box_changes(&b, "INBOX", mark);
	assert_true(c.complete && !c.full);
	assert_int_equal(c.n + c.n_gone, 0);
	assert_int_equal(c.code, E_OK);
	/* flags, keywords file, arrival, removal: each changes the mark */
	assert_int_equal(rename(box_path(&b, "cur/1.a:2,S"), box_path(&b, "cur/1.a:2,FS")), 0);
	assert_false(span_eq(box_folder(&b, "INBOX")->mark, mark));
	c = box_changes(&b, "INBOX", mark);
	assert_true(c.complete && c.full && c.n == 1 && c.cursor.n == 0);
	age();
	mark = box_folder(&b, "INBOX")->mark;
	box_write(&b, "dovecot-keywords", "0 x\n", 1);
	assert_false(span_eq(box_folder(&b, "INBOX")->mark, mark));
}

/* Setting a directory's mtime back does not hide a change. */
static void t_mark_restored_times(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	age();
	assert_int_equal(stat(box_path(&b, "cur"), &st), 0);
	struct span mark = box_folder(&b, "INBOX")->mark;
	box_write(&b, "cur/1.a:2,S", "x", 1);
	struct timespec times[2] = { st.st_atim, st.st_mtim };
	assert_int_equal(utimensat(AT_FDCWD, box_path(&b, "cur"), times, 0), 0);
	age();
	assert_false(span_eq(box_folder(&b, "INBOX")->mark, mark));
}

static void t_root_removed(void **state)
{
	struct ep_list list;
	char line[256];

	(void)state;
	assert_int_equal(box_open(&b), E_OK);
	snprintf(line, sizeof(line), "rm -r '%s'", box_path(&b, "%s", ""));
	assert_int_equal(system(line), 0);
	assert_int_equal(ep_local.list(&b.ep, b.arena, &list, &b.err), E_STORE_CHANGED);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(t_first_open_makes), T(t_reopen), T(t_store_changed), T(t_inbox_missing), T(t_hostile_names),
		T(t_symlink_is_refused), T(t_folders), T(t_count), T(t_alike_names), T(t_id_survives_rename),
		T(t_copy_gets_own_id), T(t_restored_keeps_id), T(t_broken_id), T(t_mark), T(t_mark_restored_times),
		T(t_root_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
