/* t_pass_records.c - whole passes over calendars and contacts between two stores in memory: every behaviour
 * of the engine that records have and mail has not; each case ends with verify's "equal" and a pass of
 * no writes. Then random edits on both sides. Interruptions: t_records_steps.c.
 */
#include "pass_case.h"
#include "record_case.h"

#include "../../common/fail.h"
#include "../../common/mem.h"
#include "../../worker/data/busy.h"

#include <time.h>
#include <unistd.h>

static struct pass_case c;
static struct mem_store *L, *R;

static void begin(void)
{
	pc_new(&c, "memory", "memory");
	L = c.store[SIDE_LEFT];
	R = c.store[SIDE_RIGHT];
	c.pairing.guard = (struct conf_guard){ 100000, 100000, 100, 100, 100000, 100 };
	mem_folder_make_kind(L, "Work", EP_EVENTS);
	mem_folder_make_kind(L, "People", EP_CONTACTS);
}

static int setup(void **state)
{
	rc_setup(state);
	begin();
	return 0;
}

static int teardown(void **state)
{
	pc_free(&c);
	return rc_teardown(state);
}

/* --- what a user's client writes --- */

static void add(struct mem_store *s, const char *path, const char *text)
{
	mem_add(s, path, text, 0, NULL, INT64_MIN);
}

/* The place of a record in its folder; SIZE_MAX: not there. */
static size_t at(struct mem_store *s, const char *path, const char *uid)
{
	struct mem_folder *f = mem_folder_get(s, path);
	const char *line = arena_printf(rc_arena, "\r\nUID:%s\r\n", uid);

	for (size_t i = 0; f != NULL && i < f->n; i++) {
		if (strstr(f->items[i].bytes, line) != NULL)
			return i;
	}
	return SIZE_MAX;
}

static const char *text_of(struct mem_store *s, const char *path, const char *uid)
{
	size_t i = at(s, path, uid);

	return i == SIZE_MAX ? "" : mem_folder_get(s, path)->items[i].bytes;
}

static void edit(struct mem_store *s, const char *path, const char *uid, const char *text)
{
	size_t i = at(s, path, uid);

	assert_true(i != SIZE_MAX);
	mem_edit(s, mem_folder_get(s, path), i, text);
}

static void drop(struct mem_store *s, const char *path, const char *uid)
{
	size_t i = at(s, path, uid);

	assert_true(i != SIZE_MAX);
	mem_remove(s, mem_folder_get(s, path), i);
}

static void move(struct mem_store *s, const char *path, const char *uid, const char *to)
{
	size_t i = at(s, path, uid);

	assert_true(i != SIZE_MAX);
	mem_move(s, mem_folder_get(s, path), i, to);
}

static bool has(struct mem_store *s, const char *path, const char *uid, const char *line)
{
	return strstr(text_of(s, path, uid), line) != NULL;
}

static size_t count(struct mem_store *s, const char *path)
{
	struct mem_folder *f = mem_folder_get(s, path);

	return f != NULL ? f->n : 0;
}

static struct pass_result sync_ok(void)
{
	struct pass_result r = pc_run(&c, PASS_SYNC);

	if (r.code != E_OK)
		fail_msg("pass: %s: %s", code_name(r.code), err_text(&r.err));
	return r;
}

static void quiet(void)
{
	unsigned long writes = L->writes + R->writes;

	sync_ok();
	assert_int_equal(writes, L->writes + R->writes);
}

static void settled(void)
{
	quiet();
	struct pass_result v = pc_run(&c, PASS_VERIFY);
	if (v.code != E_OK || v.verdict != 0)
		fail_msg("verify: %s %s", err_text(&v.err), buf_str(&c.parts));
	struct pass_result plan = pc_run(&c, PASS_PLAN);
	assert_int_equal(plan.code, E_OK);
	if (strstr(buf_str(&c.parts), "\"actions\":[]") == NULL)
		fail_msg("plan is not empty: %s", buf_str(&c.parts));
}

/* --- cases --- */

static void t_first_copy(void **state)
{
	(void)state;
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One\r\n"));
	add(L, "Work", rc_event_text("b", 2, "SUMMARY:Two\r\nATTENDEE;CN=Bob:mailto:bob@x.example\r\n"));
	add(L, "People", rc_card_text("p", "Ann", "EMAIL:ann@x.example\r\n"));
	mem_folder_make_kind(R, "Home", EP_EVENTS);
	add(R, "Home", rc_event_text("c", 3, "SUMMARY:Three\r\n"));
	sync_ok();
	assert_true(has(R, "Work", "a", "SUMMARY:One"));
	assert_true(has(R, "Work", "b", "bob@x.example"));
	assert_true(has(R, "People", "p", "ann@x.example"));
	assert_true(has(L, "Home", "c", "SUMMARY:Three"));
	assert_int_equal(mem_folder_get(R, "People")->kind, EP_CONTACTS);
	settled();
}

static void t_edits_of_both_sides(void **state)
{
	(void)state;
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One\r\n"));
	sync_ok();
	edit(L, "Work", "a", rc_event_text("a", 1, "SUMMARY:One\r\nLOCATION:Here\r\n"));
	edit(R, "Work", "a", rc_event_text("a", 2, "SUMMARY:One\r\n"));
	sync_ok();
	assert_true(has(R, "Work", "a", "LOCATION:Here") && has(R, "Work", "a", "20260602T100000Z"));
	assert_true(has(L, "Work", "a", "LOCATION:Here") && has(L, "Work", "a", "20260602T100000Z"));
	settled();
}

static void t_conflict(void **state)
{
	(void)state;
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One\r\n"));
	sync_ok();
	edit(L, "Work", "a", rc_event_text("a", 1, "SUMMARY:Mine\r\nLAST-MODIFIED:20260101T000000Z\r\n"));
	edit(R, "Work", "a", rc_event_text("a", 1, "SUMMARY:Yours\r\nLAST-MODIFIED:20260201T000000Z\r\n"));
	sync_ok();
	assert_true(has(L, "Work", "a", "SUMMARY:Yours") && has(R, "Work", "a", "SUMMARY:Yours"));
	settled();
	assert_int_equal(pc_run(&c, PASS_JOURNAL).code, E_OK);
	if (strstr(buf_str(&c.parts), "SUMMARY:Mine") == NULL)
		fail_msg("%s", buf_str(&c.parts));
	assert_non_null(strstr(buf_str(&c.parts), "right won"));
}

static void t_conflict_keeps_both(void **state)
{
	(void)state;
	c.pairing.conflict = CONFLICT_BOTH;
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One\r\n"));
	sync_ok();
	edit(L, "Work", "a", rc_event_text("a", 1, "SUMMARY:Mine\r\n"));
	edit(R, "Work", "a", rc_event_text("a", 1, "SUMMARY:Yours\r\n"));
	sync_ok();
	sync_ok();
	assert_true(has(L, "Work", "a", "SUMMARY:Mine") && has(R, "Work", "a", "SUMMARY:Mine"));
	assert_int_equal(count(L, "Work"), 2);
	assert_int_equal(count(R, "Work"), 2);
	settled();
}

static void t_deletions(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		add(L, "Work", rc_event_text(arena_printf(rc_arena, "u%d", i), 1 + i, "SUMMARY:x\r\n"));
	sync_ok();
	drop(L, "Work", "u0");                             /* nothing else: it goes */
	drop(R, "Work", "u1");
	edit(L, "Work", "u1", rc_event_text("u1", 2, "SUMMARY:changed\r\n"));   /* the change wins */
	drop(R, "Work", "u2");                             /* stored anew, but nothing changed: it goes */
	edit(L, "Work", "u2", rc_event_text("u2", 3, "SUMMARY:x\r\n"));
	drop(L, "Work", "u3");
	drop(R, "Work", "u3");
	sync_ok();
	assert_int_equal(count(L, "Work"), 1);
	assert_true(has(R, "Work", "u1", "SUMMARY:changed"));
	settled();
	assert_int_equal(pc_run(&c, PASS_JOURNAL).code, E_OK);
	assert_non_null(strstr(buf_str(&c.parts), "\"action\":\"remove\""));
	assert_non_null(strstr(buf_str(&c.parts), "2:u0"));    /* what was removed can be read there */
}

/* What one side cannot hold, or writes otherwise, is no change: A -> B -> A is the identity. */
static void t_poor_server(void **state)
{
	(void)state;
	R->rewrites = true;
	R->drops = "CATEGORIES";
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One   \r\nCATEGORIES:Red\r\nX-MINE:1\r\n"));
	sync_ok();
	assert_false(has(R, "Work", "a", "CATEGORIES"));
	settled();
	assert_int_equal(pc_run(&c, PASS_VERIFY).verdict, 0);
	assert_non_null(strstr(buf_str(&c.parts), "\"property\":\"CATEGORIES\""));
	edit(R, "Work", "a", rc_event_text("a", 1, "SUMMARY:One\r\nLOCATION:Here\r\nX-MINE:1\r\n"));
	assert_int_equal(pc_run(&c, PASS_VERIFY).verdict, 1);
	assert_non_null(strstr(buf_str(&c.parts), "\"property\":\"LOCATION\""));
	edit(R, "Work", "a", rc_event_text("a", 1, "SUMMARY:Two\r\nX-MINE:1\r\n"));
	sync_ok();
	assert_true(has(L, "Work", "a", "SUMMARY:Two") && has(L, "Work", "a", "CATEGORIES:Red"));
	quiet();
	edit(L, "Work", "a", rc_event_text("a", 1, "SUMMARY:Two\r\nCATEGORIES:Blue\r\nX-MINE:2\r\n"));
	sync_ok();
	assert_true(has(R, "Work", "a", "X-MINE:2"));
	quiet();
	assert_true(has(L, "Work", "a", "CATEGORIES:Blue"));
}

static void t_adoption(void **state)
{
	(void)state;
	mem_folder_make_kind(R, "Work", EP_EVENTS);
	mem_folder_make_kind(R, "People", EP_CONTACTS);
	add(L, "Work", rc_event_text("same", 1, "SUMMARY:x\r\n"));
	add(R, "Work", rc_event_text("same", 1, "SUMMARY:x\r\n"));
	add(L, "Work", rc_event_text("near", 2, "SUMMARY:x\r\nLOCATION:Here\r\n"));
	add(R, "Work", rc_event_text("near", 2, "SUMMARY:x\r\nDESCRIPTION:There\r\n"));
	add(L, "People", rc_card_text("1", "Ann", "EMAIL:ann@x.example\r\n"));
	add(R, "People", rc_card_text("2", "Ann", "EMAIL:ANN@x.example\r\nTEL:1\r\n"));
	sync_ok();
	assert_int_equal(count(L, "Work"), 2);
	assert_int_equal(count(R, "Work"), 2);
	assert_true(has(R, "Work", "near", "LOCATION:Here") && has(L, "Work", "near", "DESCRIPTION:There"));
	assert_int_equal(count(L, "People"), 1);
	assert_int_equal(count(R, "People"), 1);
	quiet();
	/* and all over again without the state */
	pc_forget_state(&c);
	sync_ok();
	quiet();
	assert_int_equal(count(L, "Work") + count(R, "Work"), 4);
	assert_int_equal(count(L, "People") + count(R, "People"), 2);
}

static void t_moves(void **state)
{
	(void)state;
	mem_folder_make_kind(L, "Home", EP_EVENTS);
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One\r\n"));
	add(L, "Work", rc_event_text("b", 1, "SUMMARY:Two\r\n"));
	sync_ok();
	move(L, "Work", "a", "Home");
	move(L, "Work", "b", "Home");
	edit(L, "Home", "b", rc_event_text("b", 1, "SUMMARY:Moved\r\n"));
	edit(R, "Work", "b", rc_event_text("b", 1, "SUMMARY:Two\r\nLOCATION:Here\r\n"));
	sync_ok();
	sync_ok();
	assert_int_equal(count(R, "Work"), 0);
	assert_true(has(R, "Home", "a", "SUMMARY:One"));
	assert_true(has(R, "Home", "b", "SUMMARY:Moved") && has(R, "Home", "b", "LOCATION:Here"));
	assert_true(has(L, "Home", "b", "LOCATION:Here"));
	settled();
}

/* Moved on a server whose ids do not survive that, and not to be read just now: not taken for deleted. */
static void t_moved_out_of_sight(void **state)
{
	(void)state;
	mem_folder_make_kind(L, "Home", EP_EVENTS);
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One\r\n"));
	add(L, "Work", rc_event_text("b", 1, "SUMMARY:Two\r\n"));
	sync_ok();
	move(L, "Work", "a", "Home");
	drop(L, "Work", "b");
	L->unreadable = "UID:a";
	L->unreadable_code = E_SERVER;
	sync_ok();
	sync_ok();
	assert_true(has(R, "Work", "a", "SUMMARY:One"));
	L->unreadable = NULL;
	sync_ok();
	assert_true(has(R, "Home", "a", "SUMMARY:One"));
	assert_int_equal(count(R, "Work"), 0);
	settled();
}

/* The same for good: it is told, and after some tries deletions go on. */
static void t_unreadable(void **state)
{
	struct pass_result r;

	(void)state;
	c.conf.item_retry_ms = 0;
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One\r\n"));
	sync_ok();
	L->unreadable = "UID:x";
	L->unreadable_code = E_ITEM_REFUSED;
	add(L, "Work", rc_event_text("x", 1, "SUMMARY:No\r\n"));
	drop(L, "Work", "a");
	add(R, "Work", rc_event_text("y", 1, "SUMMARY:Yes\r\n"));
	r = sync_ok();
	assert_int_equal(r.quarantined, 1);
	assert_true(has(L, "Work", "y", "SUMMARY:Yes") && has(R, "Work", "a", "SUMMARY:One"));
	assert_int_equal(pc_run(&c, PASS_QUARANTINE).code, E_OK);
	assert_non_null(strstr(buf_str(&c.parts), "E_ITEM_REFUSED"));
	for (int i = 0; i < 5; i++)
		r = sync_ok();
	assert_int_equal(r.quarantined, 1);
	assert_int_equal(count(R, "Work"), 1);
	L->unreadable = NULL;
	sync_ok();
	assert_true(has(R, "Work", "x", "SUMMARY:No"));
	settled();
}

/* The copy of what loses is refused: then it is not overwritten either. */
static void t_copy_refused(void **state)
{
	(void)state;
	c.pairing.conflict = CONFLICT_BOTH;
	c.conf.item_retry_ms = 0;
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One\r\n"));
	sync_ok();
	edit(L, "Work", "a", rc_event_text("a", 1, "SUMMARY:Mine\r\n"));
	edit(R, "Work", "a", rc_event_text("a", 1, "SUMMARY:Yours\r\n"));
	L->poison = R->poison = "UID:a-";
	struct pass_result r = sync_ok();
	assert_int_equal(r.quarantined, 1);
	assert_true(has(L, "Work", "a", "SUMMARY:Mine") && has(R, "Work", "a", "SUMMARY:Yours"));
	L->poison = R->poison = NULL;
	sync_ok();
	sync_ok();
	assert_true(has(L, "Work", "a", "SUMMARY:Mine") && has(R, "Work", "a", "SUMMARY:Mine"));
	assert_int_equal(count(L, "Work") + count(R, "Work"), 4);
	settled();
}

static void t_refusals(void **state)
{
	(void)state;
	R->poison = "POISON";
	add(L, "Work", rc_event_text("bad", 1, "SUMMARY:POISON\r\n"));
	add(L, "Work", rc_event_text("good", 1, "SUMMARY:fine\r\n"));
	add(L, "Work", "BEGIN:VCALENDAR\r\nthis is no calendar\r\n");
	struct pass_result r = sync_ok();
	assert_int_equal(r.quarantined, 2);
	assert_int_equal(count(R, "Work"), 1);
	edit(L, "Work", "good", rc_event_text("good", 1, "SUMMARY:POISON too\r\n"));
	r = sync_ok();
	assert_int_equal(r.quarantined, 3);
	assert_true(has(R, "Work", "good", "SUMMARY:fine"));
	assert_int_equal(pc_run(&c, PASS_QUARANTINE).code, E_OK);
	assert_non_null(strstr(buf_str(&c.parts), "\"state\":\"change\""));
	quiet();
	/* the other direction goes on; the refused change waits for its time */
	edit(R, "Work", "good", rc_event_text("good", 1, "SUMMARY:fine\r\nLOCATION:Here\r\n"));
	sync_ok();
	assert_true(has(L, "Work", "good", "LOCATION:Here"));
	add(L, "Work", rc_event_text("third", 1, "SUMMARY:fine\r\n"));
	sync_ok();
	edit(L, "Work", "third", rc_event_text("third", 1, "SUMMARY:POISON\r\nLOCATION:kept\r\n"));
	sync_ok();
	drop(R, "Work", "third");       /* the change that was refused wins all the same */
	sync_ok();
	assert_true(has(L, "Work", "third", "LOCATION:kept"));
	drop(L, "Work", "third");
	sync_ok();
	R->poison = NULL;
	edit(L, "Work", "good", rc_event_text("good", 1, "SUMMARY:POISON three\r\nLOCATION:Here\r\n"));
	r = sync_ok();
	assert_true(has(R, "Work", "good", "SUMMARY:POISON three"));
	assert_int_equal(r.quarantined, 2);
}

/* Two files of one UID in one folder: one goes over, the other is told and waits. */
static void t_twins(void **state)
{
	(void)state;
	add(L, "Work", rc_event_text("twin", 1, "SUMMARY:first\r\n"));
	add(L, "Work", rc_event_text("twin", 1, "SUMMARY:second\r\n"));
	struct pass_result r = sync_ok();
	assert_int_equal(count(R, "Work"), 1);
	assert_int_equal(r.quarantined, 1);
	settled();
	add(L, "Work", rc_event_text("twin", 1, "SUMMARY:third\r\n"));
	r = sync_ok();
	assert_int_equal(r.quarantined, 2);
	assert_int_equal(count(R, "Work"), 1);
	assert_int_equal(count(L, "Work"), 3);
}

static void t_new_ids(void **state)
{
	(void)state;
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One\r\n"));
	add(L, "Work", rc_event_text("b", 1, "SUMMARY:Two\r\n"));
	sync_ok();
	/* a client that writes a new file for every change */
	drop(R, "Work", "a");
	add(R, "Work", rc_event_text("a", 1, "SUMMARY:Renamed\r\n"));
	edit(L, "Work", "a", rc_event_text("a", 1, "SUMMARY:One\r\nLOCATION:Here\r\n"));
	sync_ok();
	assert_int_equal(count(L, "Work"), 2);
	assert_true(has(L, "Work", "a", "SUMMARY:Renamed") && has(R, "Work", "a", "LOCATION:Here"));
	settled();
	mem_new_validity(L, "Work");
	sync_ok();
	assert_int_equal(count(L, "Work"), 2);
	assert_int_equal(count(R, "Work"), 2);
	settled();
}

static void t_busy_only(void **state)
{
	(void)state;
	c.pairing.busy_only[SIDE_RIGHT] = true;
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:Secret\r\nLOCATION:Bunker\r\nATTENDEE:mailto:b@x.example\r\n"));
	sync_ok();
	assert_true(has(R, "Work", "a", "SUMMARY:Busy") && has(R, "Work", "a", "20260601T100000Z"));
	assert_false(has(R, "Work", "a", "Bunker"));
	settled();
	edit(L, "Work", "a", rc_event_text("a", 9, "SUMMARY:Secret plan\r\nLOCATION:Bunker\r\n"));
	edit(R, "Work", "a", rc_event_text("a", 1, "SUMMARY:I write here\r\n"));     /* the copy is no source */
	sync_ok();
	assert_true(has(R, "Work", "a", "20260609T100000Z") && has(R, "Work", "a", "SUMMARY:Busy"));
	assert_true(has(L, "Work", "a", "SUMMARY:Secret plan"));
	settled();
	drop(R, "Work", "a");                              /* nor is its deletion one */
	sync_ok();
	assert_true(has(L, "Work", "a", "SUMMARY:Secret plan") && has(R, "Work", "a", "SUMMARY:Busy"));
	settled();
	add(L, "Work", rc_event_text("b", 2, "SUMMARY:Gone soon\r\n"));
	sync_ok();
	drop(L, "Work", "b");
	edit(R, "Work", "b", rc_event_text("b", 2, "SUMMARY:I write here\r\n"));
	sync_ok();
	assert_int_equal(count(L, "Work") + count(R, "Work"), 2);
	settled();
	pc_forget_state(&c);
	sync_ok();
	assert_true(has(L, "Work", "a", "SUMMARY:Secret plan") && !has(R, "Work", "a", "Secret"));
	assert_int_equal(count(R, "Work"), 1);
	settled();
	add(R, "Work", rc_event_text("own", 3, "SUMMARY:Ours\r\n"));                 /* that direction is open */
	sync_ok();
	assert_true(has(L, "Work", "own", "SUMMARY:Ours"));
	edit(L, "Work", "own", rc_event_text("own", 3, "SUMMARY:Ours too\r\n"));
	sync_ok();
	assert_true(has(R, "Work", "own", "SUMMARY:Ours too"));
	settled();
}

static const char *event_in_days(const char *uid, int days)
{
	char text[20];
	time_t when = time(NULL) + days * 86400;
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &tm);
	return arena_printf(rc_arena, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//User//EN\r\nBEGIN:VEVENT\r\nUID:%s\r\n"
			    "DTSTAMP:20260101T000000Z\r\nDTSTART:%s\r\nDURATION:PT1H\r\nSUMMARY:x\r\nEND:VEVENT\r\n"
			    "END:VCALENDAR\r\n", uid, text);
}

static void t_window(void **state)
{
	(void)state;
	c.pairing.window_past_s = 30 * 86400;
	c.pairing.window_future_s = 100 * 86400;
	add(L, "Work", event_in_days("near", 5));
	add(L, "Work", event_in_days("far", 500));
	add(L, "Work", event_in_days("old", -100));
	struct pass_result r = sync_ok();
	assert_int_equal(count(R, "Work"), 1);
	assert_int_equal(r.quarantined, 0);
	settled();
	assert_int_equal(pc_run(&c, PASS_VERIFY).verdict, 0);
	assert_non_null(strstr(buf_str(&c.parts), "window of dates"));
	edit(L, "Work", "far", event_in_days("far", 50));      /* comes into the window */
	edit(L, "Work", "near", event_in_days("near", 1000));  /* leaves it: no deletion */
	sync_ok();
	assert_int_equal(count(R, "Work"), 2);
	settled();
	drop(R, "Work", "near");
	sync_ok();
	assert_int_equal(count(L, "Work"), 2);                 /* "far" and the parked "old" */
	settled();
}

static void t_folders(void **state)
{
	(void)state;
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One\r\n"));
	mem_folder_make(L, "Work2", EP_ROLE_NONE);             /* mail of one name, a calendar of the same on the right */
	mem_folder_make_kind(R, "Work2", EP_EVENTS);
	sync_ok();
	assert_int_equal(mem_folder_get(R, "Work")->kind, EP_EVENTS);
	mem_rename(L, "Work", "Office");
	sync_ok();
	assert_non_null(mem_folder_get(R, "Office"));
	assert_null(mem_folder_get(R, "Work"));
	assert_true(has(R, "Office", "a", "SUMMARY:One"));
}

/* Mail goes on where calendars cannot be reached; what is known of them stays. */
static void t_records_down(void **state)
{
	(void)state;
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One\r\n"));
	add(L, "Work", rc_event_text("b", 1, "SUMMARY:Two\r\n"));
	sync_ok();
	R->records_down = true;
	drop(L, "Work", "a");
	edit(L, "Work", "b", rc_event_text("b", 1, "SUMMARY:Three\r\n"));
	mem_add(L, "INBOX", pc_mail("m@x", "text"), 0, NULL, 1000);
	struct pass_result r = pc_run(&c, PASS_SYNC);
	assert_int_equal(r.code, E_NET);
	assert_non_null(strstr(err_text(&r.err), "calendars"));
	assert_int_equal(count(R, "INBOX"), 1);
	assert_int_equal(count(R, "Work"), 2);
	assert_int_equal(pc_run(&c, PASS_VERIFY).verdict, 2);
	R->records_down = false;
	r = sync_ok();
	assert_int_equal(r.adopted, 0);
	assert_int_equal(r.removed, 1);
	assert_int_equal(count(R, "Work"), 1);
	assert_true(has(R, "Work", "b", "SUMMARY:Three"));
	settled();
}

/* Somebody edits between our reading and our writing: no edit is taken for ours, and none is undone. */
static void someone_faster(struct mem_store *s)
{
	edit(s, "Work", "a", rc_event_text("a", 1, "SUMMARY:One\r\nLOCATION:Here\r\nLAST-MODIFIED:20300101T000000Z\r\n"));
}

static const enum conf_conflict policies[] = { CONFLICT_NEWEST, CONFLICT_LEFT, CONFLICT_RIGHT, CONFLICT_BOTH };

/* Two stores of that policy, and one event on the left. */
static void afresh(enum conf_conflict policy)
{
	pc_free(&c);
	begin();
	c.pairing.conflict = policy;
	add(L, "Work", rc_event_text("a", 1, "SUMMARY:One\r\n"));
}

/* The edit of the faster one is on both sides, beside the summary. */
static void kept_both(const char *summary)
{
	sync_ok();
	assert_true(has(L, "Work", "a", summary) && has(R, "Work", "a", summary));
	assert_true(has(L, "Work", "a", "LOCATION:Here") && has(R, "Work", "a", "LOCATION:Here"));
	assert_int_equal(count(L, "Work") + count(R, "Work"), 2);
	settled();
}

static void t_edit_before_write(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		afresh(policies[i]);
		sync_ok();
		edit(L, "Work", "a", rc_event_text("a", 1, "SUMMARY:Two\r\n"));
		R->before_update = someone_faster;
		sync_ok();
		assert_null(R->before_update);
		kept_both("SUMMARY:Two");
	}
}

static void t_edit_after_write(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		for (int created = 0; created < 2; created++) {
			afresh(policies[i]);
			if (!created) {
				sync_ok();
				edit(L, "Work", "a", rc_event_text("a", 1, "SUMMARY:One\r\nCOMMENT:Two\r\n"));
			}
			R->after_write = someone_faster;
			sync_ok();
			assert_null(R->after_write);
			kept_both("SUMMARY:One");
		}
	}
}

/* Interrupted before a cursor was stored, and gone again on the side that it came from: no server tells of it. */
static void t_learned_and_gone(void **state)
{
	bool reached = true;
	long steps = 0;

	(void)state;
	L->silent = R->silent = L->plain_marks = R->plain_marks = true;
	mem_folder_make_kind(L, "Home", EP_EVENTS);
	add(L, "Work", rc_event_text("stays", 1, "SUMMARY:Stays\r\n"));
	sync_ok();
	for (long n = 1; reached; n++) {
		const char *fresh = arena_printf(rc_arena, "n%ld", n), *moved = arena_printf(rc_arena, "m%ld", n);

		add(L, "Work", rc_event_text(moved, 1, "SUMMARY:Moved\r\n"));
		sync_ok();
		add(L, "Work", rc_event_text(fresh, 1, "SUMMARY:New\r\n"));
		move(L, "Work", moved, "Home");
		fail_stop_at(n);
		(void)pc_run(&c, PASS_SYNC);
		reached = fail_dead();
		fail_stop_at(0);
		drop(L, "Work", fresh);
		drop(L, "Home", moved);
		sync_ok();
		sync_ok();
		/* a write that was not recorded may bring the item back, but on both sides */
		if (has(L, "Work", fresh, "New") != has(R, "Work", fresh, "New") ||
		    count(L, "Home") != count(R, "Home") || count(L, "Work") != count(R, "Work"))
			fail_msg("stopped at step %ld: %zu and %zu in Work, %zu and %zu in Home", n, count(L, "Work"),
				 count(R, "Work"), count(L, "Home"), count(R, "Home"));
		if (has(L, "Work", fresh, "New"))
			drop(L, "Work", fresh);
		if (count(L, "Home") > 0)
			drop(L, "Home", moved);
		sync_ok();
		steps = n;
	}
	assert_true(steps > 8);
	settled();
}

/* --- random edits of both sides --- */

#define UIDS 6
static const char *const names[] = { "SUMMARY", "LOCATION", "DESCRIPTION", "CATEGORIES" };
static const char *const calendars[] = { "Work", "Home" };

/* What each of them was given last, and by which side since the last pass. */
struct model {
	bool there, touched[SIDES], dropped;
	int day;
	char value[ARRAY_LEN(names)][16];
	bool set[SIDES][ARRAY_LEN(names)];
};

static unsigned seed;

static unsigned rnd(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return seed >> 16 & 0x7fff ? (seed >> 16 & 0x7fff) % n : 0;
}

/* The record as it stands on that side, with one property set. */
static const char *with(const char *text, const char *name, const char *value)
{
	const char *line = strstr(text, arena_printf(rc_arena, "\r\n%s:", name));
	const char *end = strstr(text, "END:VEVENT"), *from = line != NULL ? line + 2 : end;
	const char *after = line != NULL ? strstr(from, "\r\n") + 2 : end;

	return arena_printf(rc_arena, "%.*s%s:%s\r\n%s", (int)(from - text), text, name, value, after);
}

static const char *calendar_of(struct mem_store *s, const char *uid)
{
	for (size_t i = 0; i < ARRAY_LEN(calendars); i++) {
		if (at(s, calendars[i], uid) != SIZE_MAX)
			return calendars[i];
	}
	return NULL;
}

static void one_edit(struct model *m, int i, enum side side)
{
	struct mem_store *s = side == SIDE_LEFT ? L : R;
	const char *uid = arena_printf(rc_arena, "r%d", i), *path = calendar_of(s, uid);
	unsigned what = rnd(10), p = rnd(ARRAY_LEN(names));

	if (path == NULL) {
		if (m->there || m->touched[SIDE_LEFT] || m->touched[SIDE_RIGHT])
			return;
		*m = (struct model){ .there = true, .touched = { side == SIDE_LEFT, side == SIDE_RIGHT } };
		add(s, calendars[rnd(2)], rc_event_text(uid, 1 + (int)rnd(28), "SUMMARY:new\r\n"));
		snprintf(m->value[0], sizeof(m->value[0]), "new");
	} else if (what == 0 && !m->touched[SIDE_LEFT] && !m->touched[SIDE_RIGHT]) {
		drop(s, path, uid);
		m->dropped = m->touched[side] = true;
		m->there = false;
	} else if (what == 1 && !m->touched[SIDE_LEFT] && !m->touched[SIDE_RIGHT]) {
		move(s, path, uid, strcmp(path, "Work") == 0 ? "Home" : "Work");
		m->touched[side] = true;
	} else if (!m->dropped && !m->set[side_other(side)][p] &&
		   !(side == SIDE_RIGHT && s->drops != NULL && strcmp(s->drops, names[p]) == 0)) {
		snprintf(m->value[p], sizeof(m->value[p]), "v%u", rnd(30000));
		edit(s, path, uid, with(text_of(s, path, uid), names[p], m->value[p]));
		m->touched[side] = m->set[side][p] = true;
	}
}

static void check_model(const struct model *m, unsigned start)
{
	for (int i = 0; i < UIDS; i++) {
		const char *uid = arena_printf(rc_arena, "r%d", i);
		const char *l = calendar_of(L, uid), *r = calendar_of(R, uid);

		if ((l != NULL) != m[i].there || (r != NULL) != m[i].there)
			fail_msg("seed %u: %s is on the left: %d, on the right: %d, expected: %d", start, uid, l != NULL,
				 r != NULL, m[i].there);
		if (l == NULL)
			continue;
		assert_string_equal(l, r);
		for (size_t p = 0; p < ARRAY_LEN(names); p++) {
			const char *line = arena_printf(rc_arena, "\r\n%s:%s\r\n", names[p], m[i].value[p]);
			bool lost = R->drops != NULL && strcmp(R->drops, names[p]) == 0;

			if (m[i].value[p][0] == '\0')
				continue;
			if (strstr(text_of(L, l, uid), line) == NULL || (!lost && strstr(text_of(R, r, uid), line) == NULL))
				fail_msg("seed %u: %s should have %s\nleft:\n%s\nright:\n%s", start, uid, line,
					 text_of(L, l, uid), text_of(R, r, uid));
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(calendars); i++)
		assert_int_equal(count(L, calendars[i]), count(R, calendars[i]));
}

static void t_random(void **state)
{
	const char *rounds = getenv("MS_ROUNDS"), *first = getenv("MS_SEED");
	unsigned n = rounds != NULL ? (unsigned)atoi(rounds) / 6 + 1 : 100;
	unsigned from = first != NULL ? (unsigned)atoi(first) : 1;

	(void)state;
	for (unsigned start = from; start < from + n; start++) {
		struct model m[UIDS] = { { 0 } };

		pc_free(&c);
		arena_reset(rc_arena);
		begin();
		seed = start * 7919;
		mem_folder_make_kind(L, "Home", EP_EVENTS);
		R->rewrites = rnd(2);
		R->deltas = rnd(2);
		R->silent = L->silent = rnd(2);
		R->drops = rnd(3) == 0 ? "LOCATION" : NULL;
		add(L, "Work", rc_event_text("keep", 1, "SUMMARY:an emptied side would be held\r\n"));
		sync_ok();
		for (int step = 0; step < 12; step++) {
			for (unsigned k = 1 + rnd(8); k > 0; k--) {
				int i = (int)rnd(UIDS);

				one_edit(&m[i], i, rnd(2) ? SIDE_RIGHT : SIDE_LEFT);
			}
			for (int pass = 0; pass < 3; pass++) {
				struct pass_result r = pc_run(&c, PASS_SYNC);

				if (r.code != E_OK)
					fail_msg("seed %u: %s", start, err_text(&r.err));
			}
			check_model(m, start);
			for (int i = 0; i < UIDS; i++) {
				bool there = m[i].there;

				memset(m[i].touched, 0, sizeof(m[i].touched));
				memset(m[i].set, 0, sizeof(m[i].set));
				if (!there)
					m[i] = (struct model){ 0 };
			}
		}
		quiet();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(t_first_copy), T(t_edits_of_both_sides), T(t_conflict), T(t_conflict_keeps_both), T(t_deletions),
		T(t_poor_server), T(t_adoption), T(t_moves), T(t_moved_out_of_sight),
		T(t_unreadable), T(t_copy_refused), T(t_refusals), T(t_twins), T(t_new_ids), T(t_busy_only), T(t_window),
		T(t_folders), T(t_records_down), T(t_edit_before_write), T(t_edit_after_write), T(t_learned_and_gone),
		T(t_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
