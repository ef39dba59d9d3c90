"""What Exchange does when it is busy, away, strict, full or cut off, and what becomes of mail and records meanwhile.

After every fault: one more pass makes both sides equal, `verify` says so, a further one does nothing, and nothing is
there twice.
"""

import dataclasses
import collections
import time

import pytest

from records import calendar, card, event, exception, series, todo
from servers.exchange import PASSWORD, SERVICE
from test_exchange import build, exchange, mid, plain, same, settle  # noqa: F401 (fixtures)
from test_exchange_records import Pair as Records
from test_exchange_records import same as same_text

pytestmark = pytest.mark.product

CUTS = ("drop", "drop-before", "drop-after")


def first(n, *values):
    """The first n every day, the others with --full."""
    return list(values[:n]) + [pytest.param(v, marks=pytest.mark.full) for v in values[n:]]


def ended(pair):
    return pair.status()["result"]


def struck(exchange):  # noqa: F811
    """The ordered failures have all come."""
    got = exchange.ask("faults")
    assert got["waiting"] == [] and got["struck"], got
    return got["struck"]


def twice(box):
    """Messages that are there more than once, wherever."""
    n = collections.Counter(i.mid for items in box.read().values() for i in items)
    return [m for m, k in n.items() if k > 1]


def settle_once(pair):
    settle(pair)
    assert not twice(pair.left) and not twice(pair.right)


def pass_(pair):
    """However it ends."""
    pair.close()
    return pair.config.once()


def retried(pair):
    """What was left out is tried again, and goes."""
    with pair.config.daemon() as d:
        d.wait_ready()
        assert pair.config.ctl("quarantine", "p", "--retry").rc == 0
        d.wait(lambda s: s["pairings"][0]["quarantined"] == 0, what="the end of the quarantine")


@pytest.fixture
def pair(build):  # noqa: F811
    """Equal, with mail in two folders; deletions are for good, so that DeleteItem is used."""
    p = build("local", pairing={"deletions": "expunge"})
    p.right.put(*[plain(n) for n in range(1, 9)], *[plain(n, "Work") for n in range(20, 25)], plain(30, "Alt/Tief"))
    p.right.create("Empty")
    p.once()
    p.once()
    same(p)
    return p


# --- connections that break, for every verb that writes ---------------------------------------------------------------

def create(p):
    p.right.put(*[plain(n) for n in range(40, 48)])


def flag(p):
    for n in range(1, 6):
        p.right.flag("INBOX", mid(plain(n)), ("\\Flagged", "red"))


def move(p):
    for n in range(1, 5):
        p.right.move("INBOX", mid(plain(n)), "Work")


def remove(p):
    for n in range(20, 23):
        p.right.remove("Work", mid(plain(n)))


def folder_create(p):
    p.right.put(plain(50, "Neu/Ganz Neu"), plain(51, "Neu"))


def folder_rename(p):
    p.right.rename("Alt/Tief", "Alt/Hoch")


def folder_move(p):
    p.right.rename("Alt/Tief", "Work/Tief")


def folder_delete(p):
    p.right.delete_folder("Empty")


WRITES = {"CreateItem": create, "UpdateItem": flag, "MoveItem": move, "DeleteItem": remove, "CreateFolder": folder_create,
          "UpdateFolder": folder_rename, "MoveFolder": folder_move, "DeleteFolder": folder_delete}


@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("op", WRITES)
def test_cut_while_writing(pair, exchange, op, kind):  # noqa: F811
    """The connection was of use before: nothing is sent again by itself, what was made is found."""
    WRITES[op](pair)
    exchange.ask("counts", reset=True)
    exchange.ask("fault", op=op, kind=kind, after=1 if kind != "drop" and op.endswith("Item") else 0)
    pair.once(rc=1)
    struck(exchange)
    assert ended(pair) == "failed" and "0x81010011" in str(pair.status())
    assert exchange.ask("counts")["counts"][op] == 1          # it is not in flight with another one here
    settle_once(pair)


@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("op", ("GetFolder", "FindFolder", "SyncFolderItems", "GetItem"))
def test_cut_while_reading(pair, exchange, op, kind):  # noqa: F811
    """A read may be sent again: the pass goes on, or the next one does."""
    pair.left.put(*[plain(n) for n in range(40, 48)])
    pair.right.put(*[plain(n) for n in range(60, 64)])
    exchange.ask("fault", op=op, kind=kind)
    pass_(pair)
    struck(exchange)
    settle_once(pair)


def record_create(p):
    p.vdir.add("events", "Calendar", calendar(event("e9")))
    p.vdir.add("contacts", "Contacts", card("c9"))
    p.vdir.add("tasks", "Tasks", todo("t9"))


def record_update(p):
    p.vdir.edit("events", "Calendar", "e1", "^SUMMARY:.*$", "SUMMARY:Later")
    p.vdir.edit("contacts", "Contacts", "c1", "^FN:.*$", "FN:New Name")
    p.vdir.edit("tasks", "Tasks", "t1", "^SUMMARY:.*$", "SUMMARY:Bread")


def record_delete(p):
    p.vdir.delete("events", "Calendar", "e2")
    p.vdir.delete("contacts", "Contacts", "c2")
    p.vdir.delete("tasks", "Tasks", "t2")


@pytest.fixture
def records(build):  # noqa: F811
    p = Records(build("local", kinds="events contacts tasks"))
    p.once()
    for n in "12":
        p.vdir.add("events", "Calendar", calendar(event("e" + n)))
        p.vdir.add("contacts", "Contacts", card("c" + n))
        p.vdir.add("tasks", "Tasks", todo("t" + n))
    p.once()
    p.once()
    return p


def settle_records(p, events="e1 e2", contacts="c1 c2", tasks="t1 t2"):
    p.once()
    p.pair.verify()
    p.idle()
    for (kind, name), want in ((("events", "Calendar"), events), (("contacts", "Contacts"), contacts),
                               (("tasks", "Tasks"), tasks)):
        assert sorted(p.vdir.read()[kind, name]) == sorted(want.split())
        assert len(p.items(name.lower())) == len(want.split())


@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("op, act, more", [("CreateItem", record_create, "9"), ("UpdateItem", record_update, ""),
                                           ("DeleteItem", record_delete, "-")], ids=("create", "update", "delete"))
@pytest.mark.parametrize("after", first(1, 0, 1, 2))
def test_cut_while_writing_records(records, exchange, op, act, more, kind, after):  # noqa: F811
    act(records)
    exchange.ask("fault", op=op, kind=kind, after=after)
    records.once(rc=1)
    struck(exchange)
    names = "1" if more == "-" else "12" + more
    settle_records(records, *[" ".join(c + n for n in names) for c in "ect"])
    text = records.vdir.get("events", "Calendar", "e1")
    assert ("SUMMARY:Later" in text) == (op == "UpdateItem")
    assert ("Later" in str(records.items("calendar"))) == (op == "UpdateItem")


# --- series: several requests ------------------------------------------------------------------------------------------

TEXT = series("s1", "EXDATE;TZID=Europe/Berlin:20270118T090000\n", [
    exception("s1", "20270111", 14, "Moved"), exception("s1", "20270208", 9, "Renamed")])


@pytest.fixture
def calendars(build):  # noqa: F811
    p = Records(build("local", kinds="events"))
    p.once()
    return p


def check_series(p, want):
    p.once()
    p.once()
    same_text(p.vdir.get("events", "Calendar", "s1"), want)
    got = p.one("calendar")
    assert len(got["series"]["deleted"]) == 1 and len(got["series"]["exceptions"]) == 2, got["series"]
    assert "Pending" not in str(got["ext"])
    p.pair.verify()
    p.idle()


# every request between the CreateItem and the end: CreateItem, GetItem of occurrences, GetItem, UpdateItem of
# exceptions, DeleteItem, UpdateItem of the mark, GetItem to read it back
HALVES = [("CreateItem", 0), ("GetItem", 0), ("GetItem", 1), ("UpdateItem", 0), ("UpdateItem", 1), ("UpdateItem", 2),
          ("DeleteItem", 0), ("GetItem", 3)]


@pytest.mark.parametrize("op, after, kind", [
    (op, after, kind) for op, after in HALVES for kind in CUTS if (op, after, kind) != ("UpdateItem", 2, "drop")])
def test_new_series_cut_off(calendars, exchange, op, after, kind):  # noqa: F811
    """A series whose exceptions are not all made does not look as if somebody had removed them."""
    calendars.vdir.add("events", "Calendar", TEXT)
    exchange.ask("fault", op=op, kind=kind, after=after)
    pass_(calendars.pair)
    struck(exchange)
    check_series(calendars, TEXT)


@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("op, after", HALVES[1:])
def test_rule_written_anew_cut_off(calendars, exchange, op, after, kind):  # noqa: F811
    """A new rule drops all exceptions; an interruption before they are made again must not drop them elsewhere."""
    calendars.vdir.add("events", "Calendar", TEXT)
    calendars.once()
    calendars.once()
    calendars.vdir.edit("events", "Calendar", "s1", "COUNT=10", "COUNT=12")
    exchange.ask("fault", op=op, kind=kind, after=after)
    pass_(calendars.pair)
    struck(exchange)
    check_series(calendars, TEXT.replace("COUNT=10", "COUNT=12"))


def test_half_made_series_and_the_state_lost(calendars, exchange):  # noqa: F811
    """The item itself tells what is to be made of it."""
    calendars.vdir.add("events", "Calendar", TEXT)
    exchange.ask("fault", op="UpdateItem", kind="drop-before")
    calendars.once(rc=1)
    got = calendars.one("calendar")
    assert "Pending" in str(got["ext"]) and not got["series"]["exceptions"]
    calendars.pair.config.forget("p")
    check_series(calendars, TEXT)


def test_half_made_series_is_not_completed_by_a_look(calendars, exchange):  # noqa: F811
    calendars.vdir.add("events", "Calendar", TEXT)
    exchange.ask("fault", op="UpdateItem", kind="drop-before")
    calendars.once(rc=1)
    before = calendars.box.stamp()
    calendars.pair.plan()
    calendars.pair.config.verify("p")
    assert calendars.box.stamp() == before
    check_series(calendars, TEXT)


def half_changed(calendars, exchange):  # noqa: F811
    """A series whose rule was changed, and whose exceptions could not be made again yet: the item."""
    calendars.vdir.add("events", "Calendar", TEXT)
    calendars.once()
    calendars.once()
    calendars.vdir.edit("events", "Calendar", "s1", "COUNT=10", "COUNT=12")
    exchange.ask("fault", op="UpdateItem", kind="drop-before", after=1)
    calendars.once(rc=1)
    return calendars.one("calendar")


def test_half_made_series_edited_meanwhile(calendars, exchange):  # noqa: F811
    """What people do to it before it is completed is theirs, and stays."""
    item = half_changed(calendars, exchange)
    assert "Pending" in str(item["ext"]) and not item["series"]["exceptions"]
    calendars.box.ask("change", id=item["id"], xml="<t:Location>Room 9</t:Location>")
    calendars.once()
    calendars.once()
    text = calendars.vdir.get("events", "Calendar", "s1")
    assert "LOCATION:Room 9" in text and "Moved" in text and "Renamed" in text and "EXDATE" in text
    assert "COUNT=12" in text
    assert len(calendars.one("calendar")["series"]["exceptions"]) == 2
    calendars.idle()


@pytest.mark.parametrize("after", (0, 1, 4, 9))
def test_an_occurrence_that_cannot_be_asked_for(calendars, exchange, after):  # noqa: F811
    """It is not one that is not there: a half made series is not taken for a whole one."""
    assert "Pending" in str(half_changed(calendars, exchange)["ext"])
    # the next GetItem is of the series, then come its occurrences
    exchange.ask("fault", op="GetItem", kind="error", code="ErrorItemSave", after=1 + after)
    calendars.once()
    struck(exchange)
    assert "ErrorItemSave" in calendars.pair.config.ctl("quarantine", "p").out
    retried(calendars.pair)
    check_series(calendars, TEXT.replace("COUNT=10", "COUNT=12"))


@pytest.mark.parametrize("op", ("UpdateItem", "DeleteItem"))
def test_refused_exceptions(calendars, exchange, op):  # noqa: F811
    """One item that is left out with its reason, whole; not a series that says something else."""
    calendars.vdir.add("events", "Calendar", TEXT)
    calendars.vdir.add("events", "Calendar", calendar(event("e1")))
    exchange.ask("fault", op=op, kind="error", code="ErrorOccurrenceCrossingBoundary")
    calendars.once()
    struck(exchange)
    assert [i["props"]["UID"] for i in calendars.items("calendar")] == ["e1"]
    assert "ErrorOccurrenceCrossingBoundary" in calendars.pair.config.ctl("quarantine", "p").out
    same_text(calendars.vdir.get("events", "Calendar", "s1"), TEXT)
    retried(calendars.pair)
    calendars.once()
    assert len(calendars.vdir.texts(("events", "Calendar"))) == 2
    calendars.pair.verify()
    calendars.idle()


# --- busy ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("op", first(2, "CreateItem", "SyncFolderItems", "GetItem", "UpdateItem"))
@pytest.mark.parametrize("rule", [dict(kind="busy", backoff=700), dict(kind="busy-message", backoff=700),
                                  dict(kind="http", status=503),
                                  dict(kind="http", status=503, headers={"Retry-After": "1"})])
def test_busy(pair, exchange, op, rule):  # noqa: F811
    """Neither a failed logon nor a failed item; nothing more is asked in that pass."""
    create(pair)
    flag(pair)
    pair.left.put(*[plain(n) for n in range(60, 64)])
    exchange.ask("fault", op=op, **rule)
    pair.once(rc=1)
    at = struck(exchange)[0]["at"]
    assert ended(pair) == "throttled"
    # what was under way with it, but nothing else
    assert len([r for r in exchange.ask("requests")["requests"] if r["at"] > at + 0.1]) <= 3
    settle_once(pair)


@pytest.mark.parametrize("kind", ("busy", "busy-message"))
def test_pause_is_obeyed_by_all(build, make, exchange, kind):  # noqa: F811
    """The server says for how long; until then no pairing of that endpoint asks it anything."""
    p = build("local")
    box = exchange.box("second@corp.example")
    right, right_xml = make.box(p.config, "right2", "local")
    p.config.pairing("q", p.config.mailbox("corp", box.address), right_xml, kinds="mail")
    p.config.write()
    p.left.put(*[plain(n) for n in range(1, 4)])
    box.put(plain(90))
    with p.config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: all(x["result"] == "ok" for x in s["pairings"]), what="the first passes")
        exchange.ask("fault", op="GetFolder", kind=kind, backoff=4000)
        p.left.put(plain(5))
        end = time.monotonic() + 20
        while not exchange.ask("faults")["struck"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        at = exchange.ask("faults")["struck"][0]["at"]
        end, later = time.monotonic() + 25, []
        while p.right.read().count() < 4 or not later:
            assert time.monotonic() < end, p.config.log()[-4000:]
            time.sleep(0.1)
            # what the other pairing had begun when the server said so is behind by then
            later = [r["at"] - at for r in exchange.ask("requests")["requests"] if r["at"] > at + 1]
        assert min(later) >= 4.0, later[:5]
    settle_once(p)


# --- away, refused, full ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("code", ["ErrorMailboxStoreUnavailable", "ErrorMailboxMoveInProgress", "ErrorMailboxFailover"])
def test_store_away(pair, exchange, code):  # noqa: F811
    create(pair)
    pair.left.ask("unavailable", code=code)
    pair.once(rc=1)
    assert ended(pair) == "store-failed" and "0x8004011d" in str(pair.status())
    exchange.ask("clear")
    settle_once(pair)


@pytest.mark.parametrize("op", ("CreateItem", "UpdateItem", "MoveItem", "DeleteItem"))
@pytest.mark.parametrize("code", ("ErrorMailboxMoveInProgress", "ErrorMailboxStoreUnavailable"))
def test_store_goes_in_the_midst(pair, exchange, op, code):  # noqa: F811
    """Some elements of a batch were carried out, the rest was not tried."""
    WRITES[op](pair)
    exchange.ask("fault", op=op, kind="error", code=code, after=1)
    pair.once(rc=1)
    struck(exchange)
    assert ended(pair) == "store-failed"
    settle_once(pair)


def test_logon_refused(pair, exchange):  # noqa: F811
    exchange.ask("logons", refuse=True)
    pair.once(rc=1)
    assert ended(pair) == "logon-failed" and "0x80040111" in str(pair.status())
    exchange.ask("clear")
    settle_once(pair)


@pytest.mark.parametrize("status, code", [(401, "0x81010014"), (403, "0x81010014")])
def test_refusal_in_the_midst_is_no_failed_logon(pair, exchange, status, code):  # noqa: F811
    """Exchange answers so under load: the credentials were good a moment ago."""
    create(pair)
    exchange.ask("fault", op="CreateItem", kind="http", status=status)
    pair.once(rc=1)
    struck(exchange)
    assert ended(pair) == "failed" and code in str(pair.status())
    settle_once(pair)


@pytest.mark.parametrize("status", (401, 403))
def test_refusal_at_once_is_one(pair, exchange, status):  # noqa: F811
    exchange.ask("fault", kind="http", status=status)
    pair.once(rc=1)
    assert ended(pair) == "logon-failed"
    settle_once(pair)


@pytest.mark.parametrize("code", ["ErrorAccountDisabled", "ErrorPasswordExpired", "ErrorImpersonationFailed"])
def test_account_refused(pair, exchange, code):  # noqa: F811
    exchange.ask("logons", user=SERVICE, code=code)
    pair.once(rc=1)
    assert ended(pair) == "logon-failed" and code in pair.config.log()
    exchange.ask("clear")
    settle_once(pair)


def test_may_not_impersonate(pair, exchange):  # noqa: F811
    exchange.ask("user", login=SERVICE, password=PASSWORD, impersonate=False)
    try:
        pair.once(rc=1)
        assert ended(pair) == "logon-failed" and "0x80040111" in str(pair.status())
        assert "ErrorImpersonateUserDenied" in pair.config.log()
    finally:
        exchange.ask("user", login=SERVICE, password=PASSWORD, impersonate=True)
    settle_once(pair)


def test_delegate_access(build, exchange):  # noqa: F811
    p = build("local", Access="delegate")
    exchange.ask("user", login=SERVICE, password=PASSWORD, impersonate=False, delegate=True)
    try:
        p.left.put(plain(1))
        p.right.put(plain(2))
        settle_once(p)
        assert not any(r["impersonated"] for r in exchange.ask("requests")["requests"][-5:])
    finally:
        exchange.ask("user", login=SERVICE, password=PASSWORD, impersonate=True)


def test_quota(pair, exchange):  # noqa: F811
    """Writing stops, reading goes on; what was written before stays."""
    create(pair)
    pair.left.put(plain(70))
    exchange.ask("fault", op="CreateItem", kind="error", code="ErrorQuotaExceeded", after=3, times=0)
    pair.once(rc=1)
    assert ended(pair) == "failed" and "0x81010016" in str(pair.status())
    assert pair.right.read().where(mid(plain(70))) == ["INBOX"]
    exchange.ask("clear")
    settle_once(pair)


@pytest.mark.parametrize("rule", [dict(kind="http", status=500), dict(kind="http", status=502),
                                  dict(kind="http", status=200, body="<html>Sign in</html>"),
                                  dict(kind="http", status=302, headers={"Location": "/ews/genericerrorpage.htm"}),
                                  dict(kind="fault", code="ErrorInternalServerError"),
                                  dict(kind="fault", code="ErrorTimeoutExpired")])
def test_server_fails(pair, exchange, rule):  # noqa: F811
    create(pair)
    exchange.ask("fault", op="CreateItem", **rule)
    pair.once(rc=1)
    struck(exchange)
    assert ended(pair) == "failed"
    settle_once(pair)


def test_slow(pair, exchange):  # noqa: F811
    create(pair)
    exchange.ask("fault", op="CreateItem", kind="delay", seconds=2)
    pair.once()
    settle_once(pair)


# --- single items -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("code", first(2, "ErrorItemSave", "ErrorMimeContentInvalid", "ErrorItemSavePropertyError",
                                       "ErrorMimeContentInvalidBase64String", "ErrorVirusDetected",
                                       "ErrorMessageSizeExceeded"))
@pytest.mark.parametrize("kind", ("error", "batch-stop"))
def test_one_item_refused(pair, exchange, code, kind):  # noqa: F811
    """It is left out with the reason; the others arrive, also those that the server did not try after it."""
    create(pair)
    exchange.ask("fault", op="CreateItem", kind=kind, code=code, after=2)
    pair.once()
    struck(exchange)
    assert pair.status()["quarantined"] == 1 and code in pair.config.ctl("quarantine", "p").out
    assert pair.left.read().count() == pair.right.read().count() - 1
    retried(pair)
    settle_once(pair)


@pytest.mark.parametrize("after", first(1, 0, 1, 2))
@pytest.mark.parametrize("op", ("CreateItem", "UpdateItem", "MoveItem", "DeleteItem"))
def test_answer_that_says_nothing_of_an_element(pair, exchange, op, after):  # noqa: F811
    """It may have been carried out: it is not asked again, the next pass looks. Nor is an id taken for another one's."""
    WRITES[op](pair)
    exchange.ask("counts", reset=True)
    exchange.ask("fault", op=op, kind="mute", after=after)
    pass_(pair)
    struck(exchange)
    assert exchange.ask("counts")["counts"][op] == 1
    settle_once(pair)


@pytest.mark.parametrize("op", ("UpdateItem", "MoveItem", "DeleteItem"))
@pytest.mark.parametrize("kind", ("error", "batch-stop"))
def test_one_change_refused(pair, exchange, op, kind):  # noqa: F811
    WRITES[op](pair)
    exchange.ask("fault", op=op, kind=kind, code="ErrorItemSave", after=1)
    pair.once()
    struck(exchange)
    settle_once(pair)


@pytest.mark.parametrize("code", ["ErrorMimeContentConversionFailed", "ErrorContentConversionFailed",
                                  "ErrorMimeContentInvalid", "ErrorItemCorrupt"])
def test_mail_without_mime(pair, exchange, code):  # noqa: F811
    """Exchange cannot make a text of one of its messages: one item with its reason, whatever else is new."""
    pair.left.put(*[plain(n) for n in range(60, 64)])
    pair.right.put(*[plain(n) for n in range(70, 73)])
    items = {i["id"]: i for i in pair.left.items("INBOX")}
    bad = next(i for i, v in items.items() if mid(plain(61)) in str(v))
    pair.left.ask("change", id=bad, broken=code)
    for _ in range(2):
        pair.once()
        assert pair.status()["quarantined"] == 1 and code in pair.config.ctl("quarantine", "p").out
        assert pair.left.read().count() == pair.right.read().count() + 1
    # new mail on both sides, and it is listed still
    pair.left.put(plain(64))
    pair.right.put(plain(74))
    pair.once()
    assert pair.status()["quarantined"] == 1 and pair.left.read().count() == pair.right.read().count() + 1
    pair.left.ask("change", id=bad, broken="")
    retried(pair)
    settle_once(pair)


def test_mail_without_mime_and_the_state_lost(pair, exchange):  # noqa: F811
    """It is known by its properties: its copy is not sent back beside it."""
    pair.left.put(plain(60), plain(61))
    pair.once()
    bad = next(i["id"] for i in pair.left.items("INBOX") if mid(plain(60)) in str(i))
    pair.left.ask("change", id=bad, broken="ErrorMimeContentConversionFailed")
    pair.config.forget("p")
    pair.once()
    pair.once()
    assert not twice(pair.left) and not twice(pair.right)
    assert pair.left.read().count() == pair.right.read().count() == 16
    pair.idle()


def test_ghost(pair, exchange):  # noqa: F811
    """Listed, and not there when it is asked for."""
    pair.left.put(*[plain(n) for n in range(60, 64)])
    exchange.ask("fault", op="GetItem", kind="error", code="ErrorItemNotFound")
    pair.once()
    struck(exchange)
    settle_once(pair)


# --- another client is faster -------------------------------------------------------------------------------------------

def test_a_changed_record_survives_its_removal(records, exchange):  # noqa: F811
    """DeleteItem looks at no ChangeKey, so we do, just before: the change wins, and comes back."""
    box = records.box
    ids = {kind: next(i["id"] for i in records.items(kind) if "2" in str(i["props"].get("UID", "2"))
                      or "c2" in str(i["ext"]) or "t2" in str(i["ext"])) for kind in ("calendar",)}
    records.vdir.delete("events", "Calendar", "e2")
    exchange.ask("fault", op="GetItem", kind="meanwhile",
                 ask=dict(do="change", mailbox=box.address, id=ids["calendar"], xml="<t:Location>Here</t:Location>"))
    pass_(records.pair)
    struck(exchange)
    settle_records(records)
    assert "LOCATION:Here" in records.vdir.get("events", "Calendar", "e2")


def test_a_record_changed_between_reading_and_writing(records, exchange):  # noqa: F811
    """NeverOverwrite: the next pass merges both changes."""
    item = next(i for i in records.items("calendar") if i["props"]["UID"] == "e1")
    records.vdir.edit("events", "Calendar", "e1", "^SUMMARY:.*$", "SUMMARY:Later")
    exchange.ask("fault", op="UpdateItem", kind="meanwhile",
                 ask=dict(do="change", mailbox=records.box.address, id=item["id"], xml="<t:Location>Here</t:Location>"))
    pass_(records.pair)
    struck(exchange)
    settle_records(records)
    text = records.vdir.get("events", "Calendar", "e1")
    assert "LOCATION:Here" in text and "SUMMARY:Later" in text
    item = next(i for i in records.items("calendar") if i["props"]["UID"] == "e1")
    assert item["props"]["Location"] == "Here" and item["props"]["Subject"] == "Later"


def test_what_is_removed_can_be_found_again(pair):
    """In the mailbox's dumpster, as long as the server keeps it."""
    remove(pair)
    pair.once()
    gone = [i for i in pair.left.ask("read")["items"] if i["folder"].startswith("Recoverable Items")]
    assert len(gone) == 3
    settle_once(pair)


# --- lost sync states ---------------------------------------------------------------------------------------------------

def test_states_lost_with_changes_on_both_sides(pair, exchange):  # noqa: F811
    """Nothing is deleted because it is not told, nothing is copied again; what people did is done."""
    pair.left.ask("lose_states")
    create(pair)
    pair.left.remove("INBOX", mid(plain(8)))
    pair.right.remove("Work", mid(plain(24)))
    pair.left.flag("INBOX", mid(plain(7)), ("\\Flagged",))
    pair.right.flag("INBOX", mid(plain(7)), ("\\Seen",))
    pair.left.move("INBOX", mid(plain(6)), "Work")
    pair.once()
    settle_once(pair)
    got = pair.right.read()
    assert got.where(mid(plain(8))) == [] and got.where(mid(plain(24))) == [] and got.where(mid(plain(6))) == ["Work"]
    assert got.of("INBOX", mid(plain(7)))[0].flags >= {"\\Flagged", "\\Seen"}
    assert got.count() == 14 + 8 - 2


@pytest.mark.parametrize("after", (0, 1, 2))
def test_state_lost_in_the_midst(pair, exchange, after):  # noqa: F811
    pair.left.put(*[plain(n) for n in range(60, 64)])
    pair.left.put(plain(65, "Work"))
    exchange.ask("fault", op="SyncFolderItems", kind="error", code="ErrorInvalidSyncStateData", after=after)
    pair.once()
    settle_once(pair)
    assert pair.right.read().count() == 14 + 5


def test_states_of_records_lost(records, exchange):  # noqa: F811
    records.box.ask("lose_states")
    record_update(records)
    record_create(records)
    records.once()
    settle_records(records, "e1 e2 e9", "c1 c2 c9", "t1 t2 t9")


# --- other versions -----------------------------------------------------------------------------------------------------

def test_2010(build, exchange):  # noqa: F811
    """An older server: another request version, flags by their property."""
    exchange.ask("settings", version="14.3.123.4")
    try:
        p = build("local")
        p.left.put(plain(1, flags=("\\Flagged",)))
        p.right.put(plain(2, flags=("\\Flagged", "\\Seen")))
        settle_once(p)
        p.right.flag("INBOX", mid(plain(1)), ("\\Answered",), ("\\Flagged",))
        settle_once(p)
    finally:
        exchange.ask("settings", version="15.2.2562.17")


@pytest.mark.parametrize("version", ("14.3.123.4", "15.2.2562.17"))
@pytest.mark.parametrize("deletions", ("expunge", "trash"))
def test_no_receipt_is_ever_sent(build, exchange, version, deletions):  # noqa: F811
    """Neither that a mail was read, nor that it was removed unread; also by 2010, which cannot be told to send none.
    The server notes each as a failure."""
    exchange.ask("settings", version=version)
    try:
        p = build("local", pairing={"deletions": deletions})
        wanted = [dataclasses.replace(m, body=b"Disposition-Notification-To: carl@example.net\r\n" + m.body) for m in (
            *map(plain, range(1, 5)), plain(5, flags=("\\Seen",)))]
        p.left.put(*wanted[:4])
        p.right.put(wanted[4])
        settle_once(p)
        asks = [i for i in p.left.items() if i["props"].get("IsReadReceiptRequested") == "true"]
        assert len(asks) == 4            # what was read elsewhere asks for nothing any more
        p.right.flag("INBOX", mid(wanted[0]), ("\\Seen",))
        p.right.flag("INBOX", mid(wanted[1]), ("\\Flagged",))
        p.right.move("INBOX", mid(wanted[2]), "Elsewhere")
        p.right.remove("INBOX", mid(wanted[3]))
        settle_once(p)
        assert exchange.failures() == []
        got = p.left.read()
        assert got.of("INBOX", mid(wanted[0]))[0].flags == {"\\Seen"} and got.where(mid(wanted[2])) == ["Elsewhere"]
    finally:
        exchange.ask("settings", version="15.2.2562.17")


def test_2007_is_refused(pair, exchange):  # noqa: F811
    exchange.ask("settings", version="8.3.83.4")
    try:
        r = pair.once(rc=1)
        assert "2010 SP1 or later" in r.err + pair.config.log()
    finally:
        exchange.ask("settings", version="15.2.2562.17")
