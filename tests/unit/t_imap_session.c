/* t_imap_session.c - the imap endpoint against a scripted server: what a real one does rarely. */
#include "imap_script.h"

#include "../../common/mem.h"
#include "../../worker/net/conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define CORE "LITERAL+ UIDPLUS MOVE"
#define STATUS0 "* STATUS INBOX (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 7)"
#define LIST0 "C: A3 LIST \"\" \"*\"", "S: A2 OK done", "S: * LIST () \"/\" INBOX", "S: A3 OK done", \
	"C: A4 STATUS \"INBOX\" (MESSAGES UIDNEXT UIDVALIDITY)", "S: " STATUS0, "S: A4 OK done"
#define QCAPS "ENABLE CONDSTORE QRESYNC LIST-STATUS UIDPLUS MULTIAPPEND LITERAL+"
#define QLIST "C: A3 ENABLE QRESYNC", \
	"C: A4 LIST \"\" \"*\" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))", \
	"S: A2 OK done", "S: * ENABLED QRESYNC", "S: A3 OK done", "S: * LIST () \"/\" INBOX", \
	"S: * STATUS INBOX (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 7 HIGHESTMODSEQ 50)", "S: A4 OK done"
#define SELECTED(n, tag) "S: * " n " EXISTS", "S: * OK [UIDVALIDITY 7] ok", "S: * OK [UIDNEXT 10] ok", \
	"S: * OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] ok", "S: " tag " OK [READ-WRITE] in"

struct world {
	struct script *script;
	struct endpoint *ep;
	struct arena *arena;
	struct ep_list list;
	struct err err;
	enum code open;
};

/* Open and list; the inbox is list.folders[0]. */
static struct world begin_shaped(const char *const *lines, size_t cut, bool drip)
{
	struct world w = { .arena = arena_new((size_t)64 << 20), .err = ERR_INIT };

	w.script = script_start(lines);
	script_shape(w.script, cut, drip);
	w.ep = script_endpoint(w.script);
	w.open = ep_call(w.ep, EP_V_OPEN, w.arena, NULL, 0, &w.err);
	if (w.open == E_OK)
		w.open = ep_call(w.ep, EP_V_LIST, w.arena, &w.list, 1, &w.err);
	return w;
}

static struct world begin(const char *const *lines)
{
	return begin_shaped(lines, SIZE_MAX, false);
}

static void end_quietly(struct world *w)
{
	script_endpoint_free(&w->ep);
	script_free(&w->script);
	arena_free(&w->arena);
}

static void end(struct world *w)
{
	script_endpoint_free(&w->ep);
	const char *failure = script_end(w->script);

	if (failure != NULL)
		fail_msg("%s", failure);
	script_free(&w->script);
	arena_free(&w->arena);
}

static void opened(const struct world *w)
{
	if (w->open != E_OK)
		fail_msg("open: %s %s", code_name(w->open), err_text(&w->err));
}

static struct body *body(const char *text, size_t filler)
{
	static int spool = -1;
	char line[78];

	if (spool < 0)
		spool = open("/tmp", O_DIRECTORY | O_CLOEXEC);
	struct body *b = body_new(spool, 0);

	memset(line, 'y', 76);
	line[76] = '\r';
	line[77] = '\n';
	assert_int_equal(body_add(b, text, strlen(text), NULL), E_OK);
	for (size_t i = 0; i < filler / 78; i++)
		assert_int_equal(body_add(b, line, 78, NULL), E_OK);
	assert_int_equal(body_end(b, NULL), E_OK);
	return b;
}

static struct ep_op create(const struct world *w, struct body *b, const char *keywords)
{
	return (struct ep_op){ .kind = EP_CREATE, .folder = &w->list.folders[0], .body = b,
			       .keywords = keywords, .received = INT64_MIN };
}

static enum code apply(struct world *w, struct ep_op *ops, size_t n)
{
	return ep_call(w->ep, EP_V_APPLY, w->arena, ops, n, &w->err);
}

static struct ep_changes changes(struct world *w, const char *since)
{
	struct ep_changes c = { .folder = &w->list.folders[0], .since = span_of(since) };

	if (ep_call(w->ep, EP_V_CHANGES, w->arena, &c, 1, &w->err) != E_OK)
		fail_msg("changes: %s", err_text(&w->err));
	return c;
}

/* --- logon --- */

static enum code only_open(const char *const *lines, struct err *err)
{
	struct world w = begin(lines);
	enum code rc = w.open;

	*err = w.err;
	end(&w);
	return rc;
}

static void test_refused(void **state)
{
	(void)state;
	struct err err;
	static const char *const preauth[] = { "S: * PREAUTH welcome", "!end", NULL };
	static const char *const bye[] = { "S: * BYE [ALERT] Too many simultaneous connections. (Failure)", "!end", NULL };
	static const char *const bad_pass[] = { "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] x",
		"C: A1 AUTHENTICATE PLAIN " SCRIPT_AUTH, "S: A1 NO [AUTHENTICATIONFAILED] wrong", "!end", NULL };
	static const char *const busy[] = { "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] x",
		"C: A1 AUTHENTICATE PLAIN " SCRIPT_AUTH, "S: A1 NO [UNAVAILABLE] later", "!end", NULL };
	static const char *const store[] = { "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] x",
		"C: A1 AUTHENTICATE PLAIN " SCRIPT_AUTH, "S: A1 OK in", "C: A2 CAPABILITY", "S: * BYE Internal error", "!end", NULL };
	static const char *const html[] = { "S: HTTP/1.0 200 OK", "!end", NULL };

	assert_int_equal(only_open(preauth, &err), E_PROTOCOL);
	assert_int_equal(only_open(bye, &err), E_THROTTLED);
	assert_int_equal(err.wait_ms, 60000);
	assert_int_equal(only_open(bad_pass, &err), E_LOGON_FAILED);
	assert_int_equal(only_open(busy, &err), E_SERVER);
	assert_int_equal(only_open(store, &err), E_STORE_FAILED);
	assert_int_equal(only_open(html, &err), E_PROTOCOL);
}

/* Without SASL-IR and without capabilities in the greeting; LOGIN where there is no PLAIN. */
static void test_other_logons(void **state)
{
	(void)state;
	struct err err;
	static const char *const no_ir[] = { "S: * OK hello", "C: A1 CAPABILITY", "S: * CAPABILITY IMAP4rev1 AUTH=PLAIN", "S: A1 OK",
		"C: A2 AUTHENTICATE PLAIN", "S: + ", "C: " SCRIPT_AUTH, "S: A2 OK in", "C: A3 CAPABILITY",
		"S: * CAPABILITY IMAP4rev1", "S: A3 OK done", "C: A4 CAPABILITY", "C: A5 LIST \"\" \"*\"", "S: A4 OK d", "S: A5 OK d", NULL };
	static const char *const login[] = { "S: * OK [CAPABILITY IMAP4rev1] hello", "C: A1 LOGIN \"me@x\" \"secret\"",
		"S: A1 OK [CAPABILITY IMAP4rev1] in", "C: A2 CAPABILITY", "C: A3 LIST \"\" \"*\"", "S: A2 OK d", "S: A3 OK d", NULL };
	static const char *const disabled[] = { "S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello", "!end", NULL };

	assert_int_equal(only_open(no_ir, &err), E_OK);
	assert_int_equal(only_open(login, &err), E_OK);
	assert_int_equal(only_open(disabled, &err), E_UNSUPPORTED);
}

static void test_tokens(void **state)
{
	(void)state;
	struct err err;
	static const char *const ok[] = { "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] x",
		"C: A1 AUTHENTICATE XOAUTH2 dXNlcj1tZUB4AWF1dGg9QmVhcmVyIHNlY3JldAEB", "S: A1 OK [CAPABILITY IMAP4rev1] in",
		"C: A2 CAPABILITY", "C: A3 LIST \"\" \"*\"", "S: A2 OK d", "S: A3 OK d", NULL };
	static const char *const refused[] = { "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] x", "C* A1 AUTHENTICATE XOAUTH2 ",
		"S: + eyJzdGF0dXMiOiI0MDAifQ==", "C: ", "S: A1 NO [ALERT] Too many simultaneous connections. (Failure)", "!end", NULL };
	static const char *const bearer[] = { "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER] x", "C* A1 AUTHENTICATE OAUTHBEARER bixhPW1lQHgsAW",
		"S: + eyJzdGF0dXMiOiI0MDEifQ==", "C: AQ==", "S: A1 NO [AUTHENTICATIONFAILED] no", "!end", NULL };

	script_conf()->auth = "xoauth2";
	script_conf()->tls = TLS_NONE;
	assert_int_equal(only_open(ok, &err), E_OK);
	script_conf()->auth = "xoauth2";
	script_conf()->tls = TLS_NONE;
	assert_int_equal(only_open(refused, &err), E_THROTTLED);
	script_conf()->auth = "oauthbearer";
	script_conf()->tls = TLS_NONE;
	assert_int_equal(only_open(bearer, &err), E_LOGON_FAILED);
}

static void test_starttls(void **state)
{
	(void)state;
	struct err err;
	static const char *const stripped[] = { "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] x", "!end", NULL };
	static const char *const injected[] = { "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] x", "C: A1 STARTTLS",
		"S> A1 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", "!end", NULL };
	static const char *const refused[] = { "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] x", "C: A1 STARTTLS", "S: A1 NO not now", "!end", NULL };

	const char *const *const scripts[] = { stripped, injected, refused };
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		script_conf()->auth = "";
		script_conf()->tls = TLS_STARTTLS;
		enum code rc = only_open(scripts[i], &err);

		assert_true(rc == E_TLS || (i == 1 && rc == E_PROTOCOL));
	}
}

/* --- the literal trap --- */

static void test_trap_first_literal_waits(void **state)
{
	(void)state;
	/* the name is proven by the SELECT; the first APPEND still asks, and BAD ends it all */
	static const char *const lines[] = { SCRIPT_LOGON(CORE), LIST0,
		"C: A5 SELECT \"INBOX\"", SELECTED("3", "A5"),
		"C: A6 APPEND \"INBOX\" {20}", "!quiet", "S: A6 BAD no such date", "!end",
		"!next", SCRIPT_LOGON(CORE), LIST0, NULL };
	struct world w = begin(lines);
	struct ep_op op = create(&w, body("zz CREATE hacked\r\n\r\n", 0), NULL);

	opened(&w);
	assert_int_equal(apply(&w, &op, 1), E_OK);
	assert_int_equal(op.code, E_ITEM_REFUSED);
	body_free(&op.body);
	end(&w);
}

static void test_trap_rush_only_when_proven(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(CORE), LIST0,
		"C: A5 SELECT \"INBOX\"", SELECTED("3", "A5"),
		"C: A6 APPEND \"INBOX\" {4}", "S: + go", "L: 4", "C: ",
		/* proven: no waiting */
		"C: A7 APPEND \"INBOX\" {4+}", "L: 4", "C: ",
		/* a keyword that was never accepted: waits */
		"C: A8 APPEND \"INBOX\" (neu) {4}", "!quiet", "S: A6 OK [APPENDUID 7 10] ok", "S: A7 OK [APPENDUID 7 11] ok",
		"S: + go", "L: 4", "C: ",
		"C: A9 APPEND \"INBOX\" (neu) {4+}", "L: 4", "C: ", "S: A8 OK [APPENDUID 7 12] ok", "S: A9 OK [APPENDUID 8 13] ok", NULL };
	struct world w = begin(lines);
	struct ep_op ops[4];

	opened(&w);
	for (int i = 0; i < 4; i++)
		ops[i] = create(&w, body("a\r\n\n", 0), i < 2 ? NULL : "neu");
	for (int i = 0; i < 4; i++) {
		body_free(&ops[i].body);
		ops[i].body = body("ab\r\n", 0);
	}
	assert_int_equal(apply(&w, ops, 4), E_OK);
	for (int i = 0; i < 4; i++)
		assert_int_equal(ops[i].code, E_OK);
	assert_true(span_eq_str(ops[0].new_id, "10") && span_eq_str(ops[2].new_id, "12"));
	assert_int_equal(ops[3].new_id.n, 0);        /* of another UIDVALIDITY: not to be believed */
	for (int i = 0; i < 4; i++)
		body_free(&ops[i].body);
	end(&w);
}

/* BAD while a big literal is being sent: the client stops; the rest of the mail is not sent. */
static void test_trap_bad_in_the_middle(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(CORE), LIST0,
		"C: A5 SELECT \"INBOX\"", SELECTED("3", "A5"),
		"C: A6 APPEND \"INBOX\" {4}", "S: + go", "L: 4", "C: ", "S: A6 OK [APPENDUID 7 10] ok",
		"C* A7 APPEND \"INBOX\" {", "S: A7 BAD what", "!gone 20000000", "!next", SCRIPT_LOGON(CORE), LIST0, NULL };
	struct world w = begin(lines);
	struct ep_op ops[2];

	opened(&w);
	ops[0] = create(&w, body("ab\r\n", 0), NULL);
	ops[1] = create(&w, body("cd\r\n", (size_t)40 << 20), NULL);
	assert_int_equal(apply(&w, ops, 2), E_OK);
	assert_int_equal(ops[0].code, E_OK);
	assert_int_equal(ops[1].code, E_ITEM_REFUSED);
	for (int i = 0; i < 2; i++)
		body_free(&ops[i].body);
	end(&w);
}

/* --- appends --- */

/* A folder that goes away between the look and the change: its commands are answered BAD, and that is
 * the end of that folder alone. */
static void test_folder_gone_between_looks(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(CORE),
		"C: A3 LIST \"\" \"*\"", "S: A2 OK done", "S: * LIST () \"/\" INBOX", "S: * LIST () \"/\" B", "S: A3 OK done",
		"C: A4 STATUS \"INBOX\" (MESSAGES UIDNEXT UIDVALIDITY)", "C: A5 STATUS \"B\" (MESSAGES UIDNEXT UIDVALIDITY)",
		"S: " STATUS0, "S: A4 OK done", "S: * STATUS B (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 7)", "S: A5 OK done",
		"C: A6 SELECT \"INBOX\"", "C: A7 SELECT \"B\"", SELECTED("3", "A6"), SELECTED("3", "A7"),
		"C: A8 UID STORE 5 +FLAGS.SILENT (\\Seen)", "C: A9 SELECT \"INBOX\"", "C: A10 UID STORE 4 +FLAGS.SILENT (\\Seen)",
		"S: A8 OK stored", "S: A9 NO [NONEXISTENT] no such mailbox", "S: A10 BAD no mailbox is selected", NULL };
	struct world w = begin(lines);
	struct ep_op ops[2];

	opened(&w);
	for (size_t i = 0; i < 2; i++)
		ops[i] = (struct ep_op){ .kind = EP_FLAGS, .folder = &w.list.folders[i], .flags = EP_SEEN,
					 .id = i == 0 ? SPAN_LIT("4") : SPAN_LIT("5"), .received = INT64_MIN };
	if (apply(&w, ops, 2) != E_OK)
		fail_msg("%s", err_text(&w.err));
	assert_int_equal(ops[0].code, E_FOLDER_GONE);
	assert_int_equal(ops[1].code, E_OK);
	end(&w);
}

#define QTWO "C: A3 ENABLE QRESYNC", \
	"C: A4 LIST \"\" \"*\" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))", \
	"S: A2 OK done", "S: * ENABLED QRESYNC", "S: A3 OK done", "S: * LIST () \"/\" INBOX", \
	"S: * STATUS INBOX (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 7 HIGHESTMODSEQ 50)", "S: * LIST () \"/\" B", \
	"S: * STATUS B (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 7 HIGHESTMODSEQ 50)", "S: A4 OK done", \
	"C: A5 SELECT \"INBOX\" (QRESYNC (7 50))", "C: A6 SELECT \"B\" (QRESYNC (7 50))", \
	"S: * OK [HIGHESTMODSEQ 50] ok", SELECTED("3", "A5"), "S: * OK [HIGHESTMODSEQ 50] ok", SELECTED("3", "A6"), \
	"C: A7 SELECT \"INBOX\" (CONDSTORE)", "C: A8 SELECT \"B\" (CONDSTORE)", \
	"C: A9 UID STORE 4294967295 +FLAGS.SILENT (neu)", "C: A10 UID FETCH 4 (FLAGS INTERNALDATE BODY.PEEK[])"

/* As a pass does it: what changed in both folders, what will be written there, a body, then the writes. */
static void read_and_write(const char *const *lines, enum code removed)
{
	struct world w = begin(lines);
	struct ep_changes c[2] = { { .since = SPAN_LIT("i1 7 10 3 50") }, { .since = SPAN_LIT("i1 7 10 3 50") } };
	struct ep_target t[2] = { { .removes = true, .keywords = "neu" }, { .removes = true } };
	struct ep_fetch f = { .id = SPAN_LIT("4") };
	struct ep_op ops[3];

	opened(&w);
	for (size_t i = 0; i < 2; i++) {
		c[i].folder = t[i].folder = &w.list.folders[i];
		ops[i] = (struct ep_op){ .kind = EP_REMOVE, .folder = &w.list.folders[i],
					 .id = i == 0 ? SPAN_LIT("5") : SPAN_LIT("4"), .received = INT64_MIN };
	}
	f.folder = &w.list.folders[1];
	ops[2] = create(&w, body("ab\r\n", 0), "neu");
	assert_int_equal(ep_call(w.ep, EP_V_CHANGES, w.arena, c, 2, &w.err), E_OK);
	assert_true(c[0].complete && c[1].complete);
	assert_int_equal(ep_call(w.ep, EP_V_PREPARE, w.arena, t, 2, &w.err), E_OK);
	assert_int_equal(ep_call(w.ep, EP_V_FETCH, w.arena, &f, 1, &w.err), E_OK);
	assert_int_equal(f.code, removed == E_OK ? E_OK : E_ITEM_GONE);
	body_free(&f.body);
	if (apply(&w, ops, 3) != E_OK)
		fail_msg("%s", err_text(&w.err));
	assert_int_equal(ops[0].code, E_OK);
	assert_int_equal(ops[1].code, removed);
	assert_int_equal(ops[2].code, E_OK);
	body_free(&ops[2].body);
	end(&w);
}

/* Looked at twice, by the changes and in the flight of the fetch, whose answer comes before that of the trial: marks, expunges and the first APPEND, with a keyword
 * that was tried ahead, are one flight. */
static void test_two_looks_then_one_flight(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(QCAPS), QTWO,
		SELECTED("3", "A7"), SELECTED("3", "A8"),
		"S: * 2 FETCH (UID 4 FLAGS (\\Seen) INTERNALDATE \"01-Jan-2026 00:00:00 +0000\" BODY[] {4}", "S> ab\r\n", "S: )",
		"S: A9 OK nothing stored", "S: A10 OK",
		"C: A11 UID STORE 4 +FLAGS.SILENT (\\Deleted)", "C: A12 UID EXPUNGE 4", "C: A13 SELECT \"INBOX\" (CONDSTORE)",
		"C: A14 UID STORE 5 +FLAGS.SILENT (\\Deleted)", "C: A15 UID EXPUNGE 5", "C: A16 APPEND \"INBOX\" (neu) {4}",
		"S: A11 OK", "S: A12 OK", SELECTED("2", "A13"), "S: A14 OK", "S: A15 OK", "S: + go", "L: 4", "C: ",
		"S: A16 OK [APPENDUID 7 10] ok", NULL };

	read_and_write(lines, E_OK);
}

/* The second look finds another mailbox: nothing is marked there, and nothing expunged. */
static void test_replaced_between_two_looks(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(QCAPS), QTWO, SELECTED("3", "A7"),
		"S: * 3 EXISTS", "S: * OK [UIDVALIDITY 8] ok", "S: A8 OK in", "S: A9 OK nothing stored", "S: A10 OK nothing there",
		"C: A11 SELECT \"INBOX\" (CONDSTORE)", "C: A12 UID STORE 5 +FLAGS.SILENT (\\Deleted)", "C: A13 UID EXPUNGE 5",
		SELECTED("3", "A11"), "S: A12 OK", "S: A13 OK",
		"C: A14 APPEND \"INBOX\" (neu) {4}", "S: + go", "L: 4", "C: ", "S: A14 OK [APPENDUID 7 10] ok", NULL };

	read_and_write(lines, E_FOLDER_GONE);
}

/* A folder is made, told and read in the flight that reads the others. */
static void test_made_and_read_in_one_flight(void **state)
{
	(void)state;
	static const char *const made[] = { SCRIPT_LOGON(QCAPS), QLIST, "C: A5 CREATE \"Neu\"", "C: A6 SUBSCRIBE \"Neu\"",
		"C: A7 LIST \"\" \"Neu\" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))",
		"C: A8 SELECT \"INBOX\" (QRESYNC (7 50))", "C: A9 SELECT \"Neu\" (CONDSTORE)",
		"S: A5 OK made", "S: A6 OK", "S: * LIST () \"/\" Neu",
		"S: * STATUS Neu (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7 HIGHESTMODSEQ 1)", "S: A7 OK",
		"S: * OK [HIGHESTMODSEQ 50] ok", SELECTED("3", "A8"), SELECTED("0", "A9"), NULL };
	static const char *const refused[] = { SCRIPT_LOGON(QCAPS), QLIST, "C: A5 CREATE \"Neu\"", "C: A6 SUBSCRIBE \"Neu\"",
		"C: A7 LIST \"\" \"Neu\" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))",
		"C: A8 SELECT \"INBOX\" (QRESYNC (7 50))", "C: A9 SELECT \"Neu\" (CONDSTORE)",
		"S: A5 NO [NOPERM] not here", "S: A6 NO", "S: A7 OK", "S: * OK [HIGHESTMODSEQ 50] ok", SELECTED("3", "A8"),
		"S: A9 NO none", "C: A10 UNSUBSCRIBE \"Neu\"", "S: A10 NO", NULL };
	const char *const *const scripts[] = { made, refused };

	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		struct world w = begin(scripts[i]);
		struct ep_folder_op op = { .kind = EP_FOLDER_CREATE, .path = SPAN_LIT("Neu"), .item_kind = EP_MAIL };
		struct ep_changes c[2] = { { .since = SPAN_LIT("i1 7 10 3 50") },
					   { .make = &op, .folder = &op.folder_r } };

		opened(&w);
		c[0].folder = &w.list.folders[0];
		if (ep_call(w.ep, EP_V_CHANGES, w.arena, c, 2, &w.err) != E_OK)
			fail_msg("script %zu: %s", i, err_text(&w.err));
		assert_true(c[0].complete);
		assert_int_equal(c[1].complete, i == 0);
		assert_int_equal(op.code == E_OK, i == 0);
		assert_int_equal(c[1].code, op.code);
		assert_int_equal(ep_folder_made(&op), i == 0);
		end(&w);
	}
}

/* Two new keywords in one append: tried once, on no message, in the flight of the SELECT. */
static void test_keywords_are_tried(void **state)
{
	(void)state;
	static const char *const good[] = { SCRIPT_LOGON(QCAPS), QLIST,
		"C: A5 SELECT \"INBOX\" (CONDSTORE)", "C: A6 UID STORE 4294967295 +FLAGS.SILENT (neu zwei)",
		SELECTED("3", "A5"), "S: A6 OK nothing stored",
		"C: A7 APPEND \"INBOX\" (neu) {4}", "S: + go", "L: 4", "C:  (zwei) {4+}", "L: 4", "C: ",
		"S: A7 OK [APPENDUID 7 10:11] ok", NULL };
	static const char *const bad[] = { SCRIPT_LOGON(QCAPS), QLIST,
		"C: A5 SELECT \"INBOX\" (CONDSTORE)", "C: A6 UID STORE 4294967295 +FLAGS.SILENT (neu zwei)",
		SELECTED("3", "A5"), "S: A6 BAD what is that UID",
		"C: A7 APPEND \"INBOX\" (neu) {4}", "S: + go", "L: 4", "C:  (zwei) {4}", "S: + go", "L: 4", "C: ",
		"S: A7 OK [APPENDUID 7 10:11] ok", NULL };
	const char *const *const scripts[] = { good, bad };

	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		struct world w = begin(scripts[i]);
		struct ep_op ops[2];

		opened(&w);
		ops[0] = create(&w, body("ab\r\n", 0), "neu");
		ops[1] = create(&w, body("cd\r\n", 0), "zwei");
		if (apply(&w, ops, 2) != E_OK)
			fail_msg("script %zu: %s", i, err_text(&w.err));
		for (int k = 0; k < 2; k++) {
			assert_int_equal(ops[k].code, E_OK);
			body_free(&ops[k].body);
		}
		end(&w);
	}
}

/* RFC 7889: a limit of one mailbox, told by STATUS. */
static void test_append_limit_of_a_folder(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON("LITERAL+ UIDPLUS APPENDLIMIT"),
		"C: A3 LIST \"\" \"*\"", "S: A2 OK done", "S: * LIST () \"/\" INBOX", "S: A3 OK done",
		"C: A4 STATUS \"INBOX\" (MESSAGES UIDNEXT UIDVALIDITY APPENDLIMIT)",
		"S: * STATUS INBOX (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 7 APPENDLIMIT 5)", "S: A4 OK done",
		"C: A5 SELECT \"INBOX\"", SELECTED("3", "A5"),
		"C: A6 APPEND \"INBOX\" {4}", "S: + go", "L: 4", "C: ", "S: A6 OK [APPENDUID 7 10] ok", NULL };
	struct world w = begin(lines);
	struct ep_op ops[2];

	opened(&w);
	ops[0] = create(&w, body("abcd\r\n", 0), NULL);
	ops[1] = create(&w, body("cd\r\n", 0), NULL);
	assert_int_equal(apply(&w, ops, 2), E_OK);
	assert_int_equal(ops[0].code, E_ITEM_TOO_BIG);
	assert_int_equal(ops[1].code, E_OK);
	for (int k = 0; k < 2; k++)
		body_free(&ops[k].body);
	end(&w);
}

/* RFC 6855: a message with a UTF-8 header goes as UTF8 (literal8). */
static void test_utf8_append(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON("LITERAL+ UIDPLUS ENABLE UTF8=ACCEPT"),
		"C: A3 ENABLE UTF8=ACCEPT", "C: A4 LIST \"\" \"*\"", "S: A2 OK done", "S: * ENABLED UTF8=ACCEPT",
		"S: A3 OK done", "S: * LIST () \"/\" INBOX", "S: A4 OK done",
		"C: A5 STATUS \"INBOX\" (MESSAGES UIDNEXT UIDVALIDITY)", "S: " STATUS0, "S: A5 OK done",
		"C: A6 SELECT \"INBOX\"", SELECTED("3", "A6"),
		"C: A7 APPEND \"INBOX\" UTF8 (~{18}", "S: + go", "L: 18", "C: )", "S: A7 OK [APPENDUID 7 10] ok",
		"C: A8 APPEND \"INBOX\" {4+}", "L: 4", "C: ", "S: A8 OK [APPENDUID 7 11] ok", NULL };
	struct world w = begin(lines);
	struct ep_op ops[2];

	opened(&w);
	ops[0] = create(&w, body("Subject: \xc3\xbc\xc3\xa4\x21\r\n\r\n", 0), NULL);
	ops[1] = create(&w, body("cd\r\n", 0), NULL);
	if (apply(&w, ops, 2) != E_OK)
		fail_msg("%s", err_text(&w.err));
	for (int k = 0; k < 2; k++) {
		assert_int_equal(ops[k].code, E_OK);
		body_free(&ops[k].body);
	}
	end(&w);
}

static void test_multiappend_halves(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(QCAPS), QLIST,
		"C: A5 SELECT \"INBOX\" (CONDSTORE)", SELECTED("3", "A5"),
		"C: A6 APPEND \"INBOX\" {4}", "S: + go", "L: 4", "C:  {4+}", "L: 4", "C:  {4+}", "L: 4", "C: ", "S: A6 NO one of them is bad",
		"C: A7 APPEND \"INBOX\" {4+}", "L: 4", "C: ", "S: A7 OK [APPENDUID 7 10] ok",
		"C: A8 APPEND \"INBOX\" {4+}", "L: 4", "C:  {4+}", "L: 4", "C: ", "S: A8 NO one of them is bad",
		"C: A9 APPEND \"INBOX\" {4+}", "L: 4", "C: ", "S: A9 NO that is the one",
		"C: A10 APPEND \"INBOX\" {4+}", "L: 4", "C: ", "S: A10 OK [APPENDUID 7 11] ok", NULL };
	struct world w = begin(lines);
	struct ep_op ops[3];

	opened(&w);
	for (int i = 0; i < 3; i++)
		ops[i] = create(&w, body("ab\r\n", 0), NULL);
	assert_int_equal(apply(&w, ops, 3), E_OK);
	assert_int_equal(ops[0].code, E_OK);
	assert_int_equal(ops[1].code, E_ITEM_REFUSED);
	assert_int_equal(ops[2].code, E_OK);
	assert_true(span_eq_str(ops[2].new_id, "11"));
	for (int i = 0; i < 3; i++)
		body_free(&ops[i].body);
	end(&w);
}

static void test_append_quota_and_lost(void **state)
{
	(void)state;
	static const char *const quota[] = { SCRIPT_LOGON(CORE), LIST0, "C: A5 SELECT \"INBOX\"", SELECTED("3", "A5"),
		"C: A6 APPEND \"INBOX\" {4}", "S: A6 NO [OVERQUOTA] full", NULL };
	static const char *const lost[] = { SCRIPT_LOGON(CORE), LIST0, "C: A5 SELECT \"INBOX\"", SELECTED("3", "A5"),
		"C: A6 APPEND \"INBOX\" {4}", "S: + go", "L: 4", "C: ", "!cut", NULL };
	static const char *const early[] = { SCRIPT_LOGON(CORE), LIST0, "C: A5 SELECT \"INBOX\"", SELECTED("3", "A5"),
		"C: A6 APPEND \"INBOX\" {4}", "!cut", NULL };
	const char *const *const scripts[] = { quota, lost, early };
	static const enum code whole[] = { E_QUOTA, E_NET, E_NET }, item[] = { E_CANCELLED, E_ITEM_UNCERTAIN, E_CANCELLED };

	for (size_t i = 0; i < 3; i++) {
		struct world w = begin(scripts[i]);
		struct ep_op op = create(&w, body("ab\r\n", 0), NULL);

		opened(&w);
		assert_int_equal(apply(&w, &op, 1), whole[i]);
		assert_int_equal(op.code, item[i]);
		body_free(&op.body);
		end(&w);
	}
}

static void test_find_uid_without_uidplus(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON("LITERAL+"), LIST0,
		"C: A5 SELECT \"INBOX\"", SELECTED("3", "A5"), "C: A6 NOOP", "S: A6 OK done",
		"C: A7 APPEND \"INBOX\" {21}", "S: + go", "L: 21", "C: ",
		"C: A8 APPEND \"INBOX\" {21+}", "L: 21", "C: ", "C: A9 APPEND \"INBOX\" {21+}", "L: 21", "C: ",
		"S: A7 OK", "S: A8 OK", "S: A9 OK", "C: A10 NOOP", "S: * 7 EXISTS", "S: A10 OK done",
		"C* A11 UID FETCH 10:* (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (",
		/* 9 is what "10:*" means if nothing is there; 11 is somebody else's; the two equal ones are ambiguous */
		"S: * 3 FETCH (UID 9 RFC822.SIZE 21 BODY[HEADER.FIELDS (X)] \"Message-ID: <1>\")",
		"S: * 4 FETCH (UID 10 RFC822.SIZE 21 BODY[HEADER.FIELDS (X)] {19}", "S: Message-ID: <1>", "S: ", "S: )",
		"S: * 5 FETCH (UID 11 RFC822.SIZE 22 BODY[HEADER.FIELDS (X)] \"Message-ID: <1>\")",
		"S: * 6 FETCH (UID 12 RFC822.SIZE 21 BODY[HEADER.FIELDS (X)] \"Message-ID: <2>\")",
		"S: * 7 FETCH (UID 13 RFC822.SIZE 21 BODY[HEADER.FIELDS (X)] \"Message-ID: <2>\")", "S: A11 OK done", NULL };
	struct world w = begin(lines);
	struct ep_op ops[3];

	opened(&w);
	ops[0] = create(&w, body("Message-ID: <1>\r\n\r\nab", 0), NULL);
	ops[1] = create(&w, body("Message-ID: <2>\r\n\r\nab", 0), NULL);
	ops[2] = create(&w, body("Message-ID: <2>\r\n\r\nab", 0), NULL);
	assert_int_equal(apply(&w, ops, 3), E_OK);
	assert_true(span_eq_str(ops[0].new_id, "10"));
	assert_int_equal(ops[1].new_id.n + ops[2].new_id.n, 0);
	for (int i = 0; i < 3; i++)
		body_free(&ops[i].body);
	end(&w);
}

/* --- destructive commands --- */

static void test_uidvalidity_stops_writes(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(CORE), LIST0, "C: A5 SELECT \"INBOX\"",
		"S: * 3 EXISTS", "S: * OK [UIDVALIDITY 8] new", "S: A5 OK in", NULL };
	struct world w = begin(lines);
	struct ep_op op = { .kind = EP_REMOVE, .folder = &w.list.folders[0], .id = SPAN_LIT("5") };

	opened(&w);
	assert_int_equal(apply(&w, &op, 1), E_OK);
	assert_int_equal(op.code, E_FOLDER_GONE);
	end(&w);
}

static void test_remove_without_uidplus(void **state)
{
	(void)state;
	static const char *const others[] = { SCRIPT_LOGON(""), LIST0, "C: A5 SELECT \"INBOX\"", SELECTED("3", "A5"),
		"C: A6 UID STORE 5 +FLAGS.SILENT (\\Deleted)", "S: A6 OK", "C: A7 UID FETCH 1:* (FLAGS)",
		"S: * 1 FETCH (UID 5 FLAGS (\\Deleted))", "S: * 2 FETCH (UID 6 FLAGS (\\Deleted))", "S: A7 OK", NULL };
	static const char *const alone[] = { SCRIPT_LOGON(""), LIST0, "C: A5 SELECT \"INBOX\"", SELECTED("3", "A5"),
		"C: A6 UID STORE 5 +FLAGS.SILENT (\\Deleted)", "S: A6 OK", "C: A7 UID FETCH 1:* (FLAGS)",
		"S: * 1 FETCH (UID 5 FLAGS (\\Deleted))", "S: * 2 FETCH (UID 6 FLAGS (\\Seen))", "S: A7 OK",
		"C: A8 EXPUNGE", "S: * 1 EXPUNGE", "S: A8 OK", NULL };
	const char *const *const scripts[] = { others, alone };

	for (size_t i = 0; i < 2; i++) {
		struct world w = begin(scripts[i]);
		struct ep_op op = { .kind = EP_REMOVE, .folder = &w.list.folders[0], .id = SPAN_LIT("5") };

		opened(&w);
		assert_int_equal(apply(&w, &op, 1), E_OK);
		assert_int_equal(op.code, i == 0 ? E_ITEM_REFUSED : E_OK);
		end(&w);
	}
}

static void test_copy_refused_leaves_original(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON("UIDPLUS"), LIST0, "C: A5 SELECT \"INBOX\"", SELECTED("3", "A5"),
		"C: A6 UID COPY 5 \"INBOX\"", "S: A6 NO [TRYCREATE] none", NULL };
	struct world w = begin(lines);
	struct ep_op op = { .kind = EP_MOVE, .folder = &w.list.folders[0], .to = &w.list.folders[0], .id = SPAN_LIT("5") };

	opened(&w);
	assert_int_equal(apply(&w, &op, 1), E_OK);
	assert_int_equal(op.code, E_FOLDER_GONE);
	end(&w);
}

static void test_keywords_that_do_not_fit(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(CORE), LIST0, "C: A5 SELECT \"INBOX\"",
		"S: * 3 EXISTS", "S: * OK [UIDVALIDITY 7] ok", "S: * OK [PERMANENTFLAGS (\\Seen \\Deleted $MDNSent)] limited", "S: A5 OK in",
		"C: A6 UID STORE 5 +FLAGS.SILENT (\\Seen $MDNSent)", "S: A6 OK", NULL };
	struct world w = begin(lines);
	struct ep_op ops[2] = {
		{ .kind = EP_FLAGS, .folder = &w.list.folders[0], .id = SPAN_LIT("5"), .flags = EP_SEEN | EP_FLAGGED, .keywords = "$MDNSent neu" },
		{ .kind = EP_FLAGS, .folder = &w.list.folders[0], .id = SPAN_LIT("6"), .flags = EP_FLAGGED, .keywords = "neu" },
	};

	opened(&w);
	assert_int_equal(apply(&w, ops, 2), E_OK);
	assert_int_equal(ops[0].code, E_OK);
	assert_int_equal(ops[1].code, E_OK);
	end(&w);
}

/* --- changes --- */

static void test_qresync_delta(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(QCAPS), QLIST, "C: A5 SELECT \"INBOX\" (QRESYNC (7 40))",
		"S: * 4 EXISTS", "S: * OK [UIDVALIDITY 7] ok", "S: * OK [UIDNEXT 12] ok", "S: * OK [HIGHESTMODSEQ 60] ok",
		"S: * VANISHED (EARLIER) 3,10:900", "S: * 1 FETCH (UID 2 FLAGS (\\Seen $Label1) MODSEQ (55))",
		"S: * 4 FETCH (UID 11 FLAGS () MODSEQ (60))", "S: * 3 FETCH (UID 10 FLAGS (\\Recent) MODSEQ (59))", "S: A5 OK in", NULL };
	struct world w = begin(lines);

	opened(&w);
	struct ep_changes c = changes(&w, "i1 7 10 3 40");
	assert_int_equal(c.code, E_OK);
	assert_true(c.complete && !c.full && !c.reset);
	assert_int_equal(c.n, 3);
	assert_true(span_eq_str(c.items[0].id, "2") && span_eq_str(c.items[1].id, "10") && span_eq_str(c.items[2].id, "11"));
	assert_int_equal(c.items[0].flags, EP_SEEN);
	assert_string_equal(c.items[0].keywords, "$Label1");
	assert_int_equal(c.n_gone, 1);
	assert_true(span_eq_str(c.cursor, "i1 7 12 4 60"));
	end(&w);
}

/* The counts contradict what vanished (iCloud): a full listing decides. */
static void test_qresync_contradiction(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(QCAPS), QLIST, "C: A5 SELECT \"INBOX\" (QRESYNC (7 40))",
		"S: * 3 EXISTS", "S: * OK [UIDVALIDITY 7] ok", "S: * OK [UIDNEXT 10] ok", "S: * OK [HIGHESTMODSEQ 60] ok",
		"S: * VANISHED (EARLIER) 1:9", "S: A5 OK in",
		"C: A6 SELECT \"INBOX\" (CONDSTORE)", "C: A7 UID FETCH 1:* (FLAGS)", "C: A8 UID FETCH * (MODSEQ)",
		"S: * OK [HIGHESTMODSEQ 60] ok", SELECTED("3", "A6"),
		"S: * 1 FETCH (UID 1 FLAGS ())", "S: * 2 FETCH (UID 2 FLAGS ())", "S: * 3 FETCH (UID 9 FLAGS ())", "S: A7 OK",
		"S: * 3 FETCH (UID 9 MODSEQ (60))", "S: A8 OK", NULL };
	struct world w = begin(lines);

	opened(&w);
	struct ep_changes c = changes(&w, "i1 7 10 3 40");
	assert_true(c.complete && c.full);
	assert_int_equal(c.n, 3);
	assert_int_equal(c.n_gone, 0);
	assert_true(span_eq_str(c.cursor, "i1 7 10 3 60"));
	end(&w);
}

#define FULL_ROUND(sel, fetch, exists) "C: " sel " SELECT \"INBOX\"", "C: " fetch " UID FETCH 1:* (FLAGS)", SELECTED(exists, sel)

/* The partial view of a big folder, and messages that vanish while they are listed. */
static void test_listing_that_cannot_be_believed(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(CORE), LIST0,
		FULL_ROUND("A5", "A6", "3"), "S: * 1 FETCH (UID 1 FLAGS ())", "S: * 1 EXPUNGE", "S: * 1 FETCH (UID 2 FLAGS ())", "S: A6 OK",
		FULL_ROUND("A7", "A8", "3"), "S: * 1 FETCH (UID 2 FLAGS ())", "S: A8 OK", NULL };
	struct world w = begin(lines);

	opened(&w);
	struct ep_changes c = changes(&w, "");
	assert_int_equal(c.code, E_OK);
	assert_true(c.full && !c.complete);
	assert_int_equal(c.cursor.n, 0);
	end(&w);
}

static void test_reset_and_modseq_lie(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON("ENABLE CONDSTORE LIST-STATUS"),
		"C: A3 LIST \"\" \"*\" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))", "S: A2 OK", "S: * LIST () NIL INBOX",
		"S: * STATUS INBOX (MESSAGES 1 UIDNEXT 10 UIDVALIDITY 7 HIGHESTMODSEQ 0)", "S: A3 OK",
		/* another UIDVALIDITY than the cursor's; and MODSEQ never arrives */
		"C: A4 SELECT \"INBOX\" (CONDSTORE)", "C: A5 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 40)",
		"S: * OK [HIGHESTMODSEQ 60] x", SELECTED("1", "A4"), "S: A5 OK",
		"C: A6 SELECT \"INBOX\" (CONDSTORE)", "C: A7 UID FETCH 1:* (FLAGS)", "C: A8 UID FETCH * (MODSEQ)",
		"S: * OK [HIGHESTMODSEQ 60] x", SELECTED("1", "A6"), "S: * 1 FETCH (FLAGS (\\Seen) UID 4)", "S: A7 OK", "S: * 1 FETCH (UID 4)", "S: A8 OK", NULL };
	struct world w = begin(lines);

	opened(&w);
	assert_int_equal(w.list.folders[0].mark.n, 0);       /* no HIGHESTMODSEQ: cannot tell */
	struct ep_changes c = changes(&w, "i1 6 10 3 40");
	assert_true(c.reset && c.full && c.complete);
	assert_true(span_eq_str(c.cursor, "i1 7 10 1 0"));
	end(&w);
}

static void test_folder_gone(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(CORE), LIST0, "C: A5 SELECT \"INBOX\"", "C: A6 UID FETCH 1:* (FLAGS)",
		"S: A5 NO [NONEXISTENT] gone", "S: A6 BAD no mailbox selected",
		/* that BAD was expected: the session goes on */
		"C: A7 SELECT \"INBOX\"", "C: A8 UID FETCH 1:* (FLAGS)", SELECTED("0", "A7"), "S: A8 OK", NULL };
	struct world w = begin(lines);

	opened(&w);
	struct ep_changes c = changes(&w, "");
	assert_int_equal(c.code, E_FOLDER_GONE);
	c = changes(&w, "");
	assert_int_equal(c.code, E_OK);
	end(&w);
}

/* --- fetching --- */

#define FETCH_SCRIPT SCRIPT_LOGON(CORE), LIST0, "C: A5 SELECT \"INBOX\"", "C: A6 UID FETCH 5:7,9 (FLAGS INTERNALDATE BODY.PEEK[])", \
	SELECTED("4", "A5"), \
	"S> * 1 FETCH (FLAGS (\\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" BODY[] {20}\r\nSubject: x\r\n\r\nbody\r\n UID 5)\r\n", \
	"S: * 9 EXISTS", "S: * 2 FETCH (UID 6 FLAGS ())", "S: * 2 FETCH (UID 6 FLAGS (a b) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" BODY[] NIL)", \
	"S: * 4 FETCH (UID 9 INTERNALDATE \" 7-Jul-1996 02:44:25 +0000\" FLAGS (b A) BODY[] \"a: b\")", "S: A6 OK done"

static void fetch4(struct world *w, struct ep_fetch f[4], enum code *rc_r)
{
	static const char *const ids[] = { "7", "5", "9", "6" };

	for (int i = 0; i < 4; i++)
		f[i] = (struct ep_fetch){ .folder = &w->list.folders[0], .id = span_of(ids[i]) };
	*rc_r = ep_call(w->ep, EP_V_FETCH, w->arena, f, 4, &w->err);
}

static void check_whole(const struct ep_fetch f[4])
{
	assert_int_equal(f[0].code, E_ITEM_GONE);
	assert_int_equal(f[1].code, E_OK);
	assert_int_equal(body_size(f[1].body), 20);
	assert_int_equal(f[1].received, 837596665);
	assert_int_equal(f[1].flags, EP_SEEN);
	assert_int_equal(f[2].code, E_OK);
	assert_string_equal(f[2].keywords, "A b");
	assert_int_equal(f[3].code, E_ITEM_REFUSED);
}

static void free4(struct ep_fetch f[4])
{
	for (int i = 0; i < 4; i++)
		body_free(&f[i].body);
}

static void test_fetch(void **state)
{
	(void)state;
	static const char *const lines[] = { FETCH_SCRIPT, NULL };
	struct ep_fetch f[4];
	enum code rc;

	for (int drip = 0; drip < 2; drip++) {
		struct world w = begin_shaped(lines, SIZE_MAX, drip == 1);

		opened(&w);
		fetch4(&w, f, &rc);
		assert_int_equal(rc, E_OK);
		check_whole(f);
		free4(f);
		end(&w);
	}
}

/* The same conversation, cut after each byte: an error, and nothing half. */
static void test_fetch_cut_anywhere(void **state)
{
	(void)state;
	static const char *const lines[] = { FETCH_SCRIPT, NULL };
	struct ep_fetch f[4];
	enum code rc;
	struct world w = begin(lines);

	opened(&w);
	fetch4(&w, f, &rc);
	free4(f);
	size_t total = script_sent(w.script);
	end_quietly(&w);
	total = total == 0 ? 1200 : total;
	for (size_t cut = 1; cut < total; cut++) {
		w = begin_shaped(lines, cut, false);
		if (w.open == E_OK) {
			fetch4(&w, f, &rc);
			assert_int_not_equal(rc, E_OK);
			for (int i = 0; i < 4; i++) {
				assert_true(f[i].code == E_OK || f[i].code == E_CANCELLED || f[i].code == E_ITEM_REFUSED);
				assert_true((f[i].body != NULL) == (f[i].code == E_OK));
			}
			if (f[1].code == E_OK)
				assert_int_equal(body_size(f[1].body), 20);
			free4(f);
		}
		end_quietly(&w);
	}
}

static void test_hostile_sizes(void **state)
{
	(void)state;
	static const char *const huge[] = { SCRIPT_LOGON(CORE), LIST0, "C: A5 SELECT \"INBOX\"", "C: A6 UID FETCH 5:7,9 (FLAGS INTERNALDATE BODY.PEEK[])",
		SELECTED("4", "A5"), "S: * 1 FETCH (UID 5 BODY[] {99999999999}", "!end", NULL };
	static const char *const inline_huge[] = { SCRIPT_LOGON(CORE), LIST0, "C: A5 SELECT \"INBOX\"", "C: A6 UID FETCH 5:7,9 (FLAGS INTERNALDATE BODY.PEEK[])",
		SELECTED("4", "A5"), "S: * 1 FETCH (UID 5 FLAGS {999999999}", "!end", NULL };
	static const char *const foreign_tag[] = { SCRIPT_LOGON(CORE), LIST0, "C: A5 SELECT \"INBOX\"", "C: A6 UID FETCH 5:7,9 (FLAGS INTERNALDATE BODY.PEEK[])",
		"S: A99 OK what", "!end", NULL };
	const char *const *const scripts[] = { huge, inline_huge, foreign_tag };
	struct ep_fetch f[4];
	enum code rc;

	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		struct world w = begin(scripts[i]);

		opened(&w);
		fetch4(&w, f, &rc);
		assert_int_equal(rc, E_PROTOCOL);
		free4(f);
		end(&w);
	}
}

/* The server closed while we were idle: the next verb logs on again. */
static void test_idle_bye(void **state)
{
	(void)state;
	static const char *const lines[] = { SCRIPT_LOGON(CORE), LIST0, "S: * BYE Autologout", "!next",
		SCRIPT_LOGON(CORE), LIST0, "C: A5 SELECT \"INBOX\"", "C: A6 UID FETCH 1:* (FLAGS)", SELECTED("0", "A5"), "S: A6 OK", NULL };
	struct world w = begin(lines);

	opened(&w);
	usleep(50000);
	struct ep_changes c = changes(&w, "");
	assert_int_equal(c.code, E_OK);
	end(&w);
}

static void test_silent_server(void **state)
{
	(void)state;
	static const char *const silent[] = { "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] x", "C* A1 ", "!end", NULL };
	static const char *const drip[] = { "S> * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] x and so on and so on and so on", "!end", NULL };
	struct err err;

	conn_set_deadlines(300, 300, 300);
	assert_int_equal(only_open(silent, &err), E_TIMEOUT);
	assert_int_equal(only_open(drip, &err), E_TIMEOUT);
	conn_set_deadlines(0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused), cmocka_unit_test(test_other_logons), cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_starttls), cmocka_unit_test(test_trap_first_literal_waits),
		cmocka_unit_test(test_trap_rush_only_when_proven), cmocka_unit_test(test_trap_bad_in_the_middle),
		cmocka_unit_test(test_folder_gone_between_looks),
		cmocka_unit_test(test_two_looks_then_one_flight), cmocka_unit_test(test_replaced_between_two_looks),
		cmocka_unit_test(test_made_and_read_in_one_flight), cmocka_unit_test(test_keywords_are_tried), cmocka_unit_test(test_append_limit_of_a_folder),
		cmocka_unit_test(test_utf8_append), cmocka_unit_test(test_multiappend_halves), cmocka_unit_test(test_append_quota_and_lost),
		cmocka_unit_test(test_find_uid_without_uidplus), cmocka_unit_test(test_uidvalidity_stops_writes),
		cmocka_unit_test(test_remove_without_uidplus), cmocka_unit_test(test_copy_refused_leaves_original),
		cmocka_unit_test(test_keywords_that_do_not_fit), cmocka_unit_test(test_qresync_delta),
		cmocka_unit_test(test_qresync_contradiction), cmocka_unit_test(test_listing_that_cannot_be_believed),
		cmocka_unit_test(test_reset_and_modseq_lie), cmocka_unit_test(test_folder_gone),
		cmocka_unit_test(test_fetch), cmocka_unit_test(test_fetch_cut_anywhere), cmocka_unit_test(test_hostile_sizes),
		cmocka_unit_test(test_idle_bye), cmocka_unit_test(test_silent_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
