/* t_local_tree.c - folders made, renamed and removed on disk. */
#include "local_case.h"

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

static struct ep_folder_op create(const char *path, enum ep_role role)
{
	struct ep_folder_op op = { .kind = EP_FOLDER_CREATE, .path = span_of(path), .role = role,
				   .item_kind = EP_MAIL };

	(void)box_tree(&b, &op);
	return op;
}

static struct ep_folder_op rename_to(const char *from, const char *to)
{
	struct ep_folder_op op = { .kind = EP_FOLDER_RENAME, .path = span_of(to), .folder = box_folder(&b, from) };

	assert_non_null(op.folder);
	(void)box_tree(&b, &op);
	return op;
}

static enum code remove_it(const char *path)
{
	struct ep_folder_op op = { .kind = EP_FOLDER_REMOVE, .folder = box_folder(&b, path) };

	assert_non_null(op.folder);
	return box_tree(&b, &op);
}

static void t_create(void **state)
{
	struct stat st;

	(void)state;
	struct ep_folder_op op = create("A/v1.2", EP_ROLE_NONE);
	assert_int_equal(op.code, E_OK);
	assert_true(span_eq_str(op.folder_r.name, ".A.v1%2E2"));
	assert_true(span_eq_str(op.folder_r.path, "A/v1.2"));
	assert_true(op.folder_r.selectable && op.folder_r.id_stable);
	assert_true(box_exists(&b, ".A.v1%2E2/maildirfolder") && box_exists(&b, ".A.v1%2E2/tmp"));
	assert_int_equal(stat(box_path(&b, ".A.v1%%2E2"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_true(span_eq(box_folder(&b, "A/v1.2")->id, op.folder_r.id));
	/* the parent exists by its child; no empty folder is invented */
	assert_null(box_folder(&b, "A"));
	struct ep_folder_op again = create("A/v1.2", EP_ROLE_NONE);
	assert_int_equal(again.code, E_FOLDER_EXISTS);
	assert_true(span_eq(again.folder_r.id, op.folder_r.id));
	assert_int_equal(create("inbox", EP_ROLE_NONE).code, E_FOLDER_EXISTS);
}

static void t_create_role(void **state)
{
	(void)state;
	assert_int_equal(create("Gesendet", EP_ROLE_SENT).folder_r.role, EP_ROLE_SENT);
	assert_int_equal(box_folder(&b, "Gesendet")->role, EP_ROLE_SENT);
	assert_int_equal(create("Trash", EP_ROLE_TRASH).folder_r.role, EP_ROLE_TRASH);
	/* the plain name does not take the role from the one that was marked */
	assert_int_equal(create("Sent", EP_ROLE_NONE).code, E_OK);
	assert_int_equal(box_folder(&b, "Sent")->role, EP_ROLE_NONE);
	assert_int_equal(box_folder(&b, "Gesendet")->role, EP_ROLE_SENT);
	/* the mark goes along with a rename */
	assert_int_equal(rename_to("Gesendet", "Enviado").code, E_OK);
	assert_int_equal(box_folder(&b, "Enviado")->role, EP_ROLE_SENT);
}

static void t_create_refused(void **state)
{
	static char huge[300];

	(void)state;
	memset(huge, 'h', sizeof(huge) - 1);
	assert_int_equal(create("", EP_ROLE_NONE).code, E_FOLDER_NAME);
	assert_int_equal(create("a//b", EP_ROLE_NONE).code, E_FOLDER_NAME);
	assert_int_equal(create(huge, EP_ROLE_NONE).code, E_FOLDER_NAME);
	/* dots and slashes are names like any other here */
	assert_int_equal(create("..", EP_ROLE_NONE).code, E_OK);
	assert_true(box_exists(&b, ".%2E%2E/cur"));
	assert_int_equal(create("../../x", EP_ROLE_NONE).code, E_OK);
	assert_true(box_exists(&b, ".%2E%2E.%2E%2E.x/cur"));
	assert_int_equal(mkdir(box_path(&b, ".plain"), 0700), 0);
	assert_int_equal(create("plain", EP_ROLE_NONE).code, E_FOLDER_REFUSED);
	assert_true(box_exists(&b, ".plain"));
}

static void t_rename(void **state)
{
	(void)state;
	create("A", EP_ROLE_NONE);
	create("A/x", EP_ROLE_NONE);
	create("A/x/y", EP_ROLE_NONE);
	create("AB", EP_ROLE_NONE);
	box_write(&b, ".A.x/cur/1.a:2,S", "text", 1);
	struct span id = box_folder(&b, "A/x")->id;
	struct ep_folder_op op = rename_to("A", "C/D");
	assert_int_equal(op.code, E_OK);
	assert_true(span_eq_str(op.folder_r.path, "C/D"));
	assert_null(box_folder(&b, "A"));
	assert_true(span_eq(box_folder(&b, "C/D/x")->id, id));
	assert_non_null(box_folder(&b, "C/D/x/y"));
	assert_non_null(box_folder(&b, "AB"));
	assert_int_equal(box_changes(&b, "C/D/x", SPAN_NONE).n, 1);
	/* below itself, and to its own name */
	assert_int_equal(rename_to("C/D/x", "C/D/x/z").code, E_OK);
	assert_non_null(box_folder(&b, "C/D/x/z/y"));
	assert_int_equal(rename_to("AB", "AB").code, E_OK);
}

static void t_rename_refused(void **state)
{
	char deep[240];

	(void)state;
	memset(deep, 'd', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	create("A", EP_ROLE_NONE);
	create("A/a-rather-long-child", EP_ROLE_NONE);
	create("B", EP_ROLE_NONE);
	create("C/a-rather-long-child", EP_ROLE_NONE);
	assert_int_equal(rename_to("A", "B").code, E_FOLDER_EXISTS);
	/* a child of the new name is in the way, or would not fit: nothing was renamed */
	assert_int_equal(rename_to("A", "C").code, E_FOLDER_EXISTS);
	assert_int_equal(rename_to("A", deep).code, E_FOLDER_NAME);
	assert_int_equal(rename_to("INBOX", "X").code, E_FOLDER_REFUSED);
	assert_int_equal(rename_to("A", "inbox").code, E_FOLDER_EXISTS);
	assert_non_null(box_folder(&b, "A"));
	assert_non_null(box_folder(&b, "A/a-rather-long-child"));
	struct ep_folder gone = { .name = SPAN_LIT(".gone") };
	struct ep_folder_op op = { .kind = EP_FOLDER_RENAME, .path = SPAN_LIT("X"), .folder = &gone };
	assert_int_equal(box_tree(&b, &op), E_FOLDER_GONE);
	gone.name = SPAN_LIT("../other");
	assert_int_equal(box_tree(&b, &op), E_FOLDER_REFUSED);
}

static void t_remove(void **state)
{
	(void)state;
	create("A", EP_ROLE_NONE);
	create("A/B", EP_ROLE_NONE);
	assert_int_equal(remove_it("A"), E_FOLDER_REFUSED);
	assert_int_equal(remove_it("A/B"), E_OK);
	box_write(&b, ".A/cur/1.a:2,S", "text", 1);
	assert_int_equal(remove_it("A"), E_FOLDER_REFUSED);
	unlink(box_path(&b, ".A/cur/1.a:2,S"));
	box_write(&b, ".A/new/1.a", "text", 1);
	assert_int_equal(remove_it("A"), E_FOLDER_REFUSED);
	unlink(box_path(&b, ".A/new/1.a"));
	box_write(&b, ".A/tmp/delivery", "text", 1);
	assert_int_equal(remove_it("A"), E_FOLDER_REFUSED);
	unlink(box_path(&b, ".A/tmp/delivery"));
	box_write(&b, ".A/unknown", "text", 1);
	assert_int_equal(remove_it("A"), E_FOLDER_REFUSED);
	unlink(box_path(&b, ".A/unknown"));
	assert_true(box_exists(&b, ".A/cur") && box_exists(&b, ".A/maildirfolder"));
	box_write(&b, ".A/dovecot-uidlist", "3 V1\n", 1);
	box_write(&b, ".A/dovecot-keywords", "0 x\n", 1);
	box_write(&b, ".A/dovecot.index.log", "x", 1);
	box_write(&b, ".A/tmp/mailshadow-1.M2", "left by a crash", 1);
	assert_int_equal(remove_it("A"), E_OK);
	assert_false(box_exists(&b, ".A"));
	assert_int_equal(remove_it("INBOX"), E_FOLDER_REFUSED);
	assert_true(box_exists(&b, "cur"));
	assert_int_equal(box_list(&b).n, 1);
}

/* What an interruption left is finished at the next open; a message in it brings the folder back. */
static void t_tidy(void **state)
{
	(void)state;
	box_mkdir(&b, "mailshadow-removed-1");
	box_mkdir(&b, "mailshadow-removed-2");
	box_mkdir(&b, "mailshadow-new-3");
	box_write(&b, "mailshadow-removed-1/mailshadow-folder", "x", 1);
	box_write(&b, "mailshadow-removed-2/new/1.a", "late", 1);
	box_close(&b);
	assert_int_equal(box_open(&b), E_OK);
	assert_false(box_exists(&b, "mailshadow-removed-1"));
	assert_true(box_exists(&b, "mailshadow-new-3"));
	const struct ep_folder *f = box_folder(&b, "mailshadow-removed-2");
	assert_non_null(f);
	assert_int_equal(box_changes(&b, "mailshadow-removed-2", SPAN_NONE).n, 1);
	assert_true(box_exists(&b, ".mailshadow-removed-2/cur"));
}

/* A folder replaced by another program is not mistaken for the one that is open. */
static void t_replaced(void **state)
{
	(void)state;
	create("A", EP_ROLE_NONE);
	box_write(&b, ".A/cur/1.a:2,", "old", 1);
	assert_int_equal(box_changes(&b, "A", SPAN_NONE).n, 1);
	assert_int_equal(rename(box_path(&b, ".A"), box_path(&b, ".B")), 0);
	box_mkdir(&b, ".A");
	assert_int_equal(box_changes(&b, "A", SPAN_NONE).n, 0);
	struct ep_op op = box_create(&b, "A", "x\r\n", 0, NULL, 1);
	assert_int_equal(op.code, E_OK);
	assert_int_equal(box_count(&b, ".A/cur"), 1);
	assert_int_equal(box_count(&b, ".B/cur"), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(t_create), T(t_create_role), T(t_create_refused), T(t_rename), T(t_rename_refused), T(t_remove),
		T(t_tidy), T(t_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
