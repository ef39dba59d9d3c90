"""Calendars, tasks and address books between real servers and disk: what a user does on either side arrives on the
other, nothing of it is lost where both did something, and a further pass has nothing to do.
"""

import os

import pytest

import corpus
import davservers
import model
import product
import records
from record_pair import TEXTS, Pair, fill, kinds_of, make_pair
from records import calendar, event, exception, series

pytestmark = pytest.mark.product

PAIRS = ["radicale-local", "radicale-xandikos", "local-local", "cyrus-local"] + [
    pytest.param(kind, marks=pytest.mark.full) for kind in (
        "local-radicale", "radicale-radicale", "xandikos-local", "radicale-cyrus", "cyrus-cyrus", "cyrus-xandikos")]


@pytest.fixture(params=PAIRS)
def pair(request, servers, directory):
    p = make_pair(servers, directory, request.param)
    yield p
    p.stop()


@pytest.fixture(params=("left", "right"))
def sides(request, pair):
    """(the side where somebody does something, the other)"""
    return (pair.left, pair.right) if request.param == "left" else (pair.right, pair.left)


def test_create_edit_delete(pair, sides):
    here, there = sides
    fill(here, pair)
    pair.settle()
    assert len(there.read()["contacts", "Team"]) == 3
    for kind in kinds_of(pair):
        here.edit(kind, "Team", kind[0] + "two", "^(SUMMARY|FN):.*?\r?$", {
            "contacts": "FN:Grace Hopper"}.get(kind, "SUMMARY:Changed \u00fc\\, here"))
        there.add(kind, "Team", TEXTS[kind](kind[0] + "four"))
    pair.settle()
    assert "Grace Hopper" in there.get("contacts", "Team", "ctwo")
    for kind in kinds_of(pair):
        there.edit(kind, "Team", kind[0] + "two", "^(SUMMARY|FN):.*?\r?$", {
            "contacts": "FN:Grace B. Hopper"}.get(kind, "SUMMARY:And back"))
        here.delete(kind, "Team", kind[0] + "three-3")
        there.delete(kind, "Team", kind[0] + "four")
    pair.settle()
    for kind in kinds_of(pair):
        assert set(here.read()[kind, "Team"]) == {kind[0] + "one@example.org", kind[0] + "two"}


def test_both_sides_edit_different_properties(pair):
    fill(pair.left, pair)
    pair.settle()
    for kind in ("events", "tasks"):
        if kind not in kinds_of(pair):
            continue
        pair.left.edit(kind, "Team", kind[0] + "two", "^SUMMARY:", "LOCATION:Room 7\nSUMMARY:")
        pair.right.edit(kind, "Team", kind[0] + "two", "^SUMMARY:.*?\r?$", "SUMMARY:The right's\nCATEGORIES:A,B")
    pair.left.edit("contacts", "Team", "ctwo", "^TEL", "TEL;TYPE=HOME:+1 555 1\nTEL")
    pair.right.edit("contacts", "Team", "ctwo", "^FN:", "NOTE:met in 1843\\, in London\nFN:")
    pair.settle()
    for box in (pair.left, pair.right):
        text = box.get("events", "Team", "etwo")
        assert "Room 7" in text and "The right's" in text
        assert records.facts(text)[1][""]["categories"] == ["A", "B"]
        text = box.get("contacts", "Team", "ctwo")
        assert "+1 555 1" in text and "1843" in text and "+49 30 1" in text


def test_same_property_on_both_sides(pair):
    """Equal ages: the left wins, and the loser is in the journal."""
    fill(pair.left, pair)
    pair.settle()
    pair.left.edit("events", "Team", "etwo", "^SUMMARY:.*?\r?$", "SUMMARY:Left says")
    pair.right.edit("events", "Team", "etwo", "^SUMMARY:.*?\r?$", "SUMMARY:Right says")
    pair.settle()
    assert "Left says" in pair.right.get("events", "Team", "etwo")


def test_edit_against_delete(pair):
    """What somebody worked on survives."""
    fill(pair.left, pair)
    pair.settle()
    pair.left.delete("events", "Team", "etwo")
    pair.right.edit("events", "Team", "etwo", "^SUMMARY:.*?\r?$", "SUMMARY:Still wanted")
    pair.settle()
    assert "Still wanted" in pair.left.get("events", "Team", "etwo")


def test_series_and_exceptions(pair, sides):
    here, there = sides
    here.make("events", "Series")
    here.add("events", "Series", series("s1", exceptions=[exception("s1", "20270111", 11, "Moved once")]))
    here.add("events", "Series", series("s2"))
    pair.settle()
    # an exception on one side, the whole series edited on the other
    there.edit("events", "Series", "s2", "^END:VCALENDAR", exception("s2", "20270118", 15, "Late") + "END:VCALENDAR")
    here.edit("events", "Series", "s2", "^LOCATION:Room 1", "LOCATION:Room 9")
    # an occurrence deleted, and the exception edited
    here.edit("events", "Series", "s1", "^RRULE:FREQ=WEEKLY",
              "EXDATE;TZID=Europe/Berlin:20270125T090000\nRRULE:FREQ=WEEKLY")
    there.edit("events", "Series", "s1", "^SUMMARY:Moved once", "SUMMARY:Moved twice")
    pair.settle()
    for box in (here, there):
        one, two = (records.facts(box.get("events", "Series", uid))[1] for uid in ("s1", "s2"))
        assert two[""]["location"] == ["Room 9"]
        assert two["2027-01-18T08:00:00+00:00"]["summary"] == ["Late"]
        assert one["2027-01-11T08:00:00+00:00"]["summary"] == ["Moved twice"]
        assert "2027-01-25T08:00:00+00:00" in str(one[""]["exdate"])
    here.edit("events", "Series", "s1", "COUNT=10", "COUNT=12")
    pair.settle()
    assert "COUNT=12" in there.get("events", "Series", "s1")


def test_collections_come_and_are_renamed(pair, sides):
    here, there = sides
    fill(here, pair, "First \u00dc")
    pair.settle()
    there.make("events", "Second")
    there.add("events", "Second", calendar(event("x")))
    pair.settle()
    assert ("events", "Second") in here.collections()
    if isinstance(here, records.VdirBox):
        path = here.collections()["events", "Second"]
        with open(os.path.join(path, "displayname"), "w") as f:
            f.write("Renamed")
        pair.settle()
        assert ("events", "Renamed") in there.collections() and ("events", "Second") not in there.collections()
        os.rename(path, os.path.join(os.path.dirname(path), "other-directory"))
        pair.settle()
        assert "x" in there.read()["events", "Renamed"]


def test_adoption(pair):
    """Both sides hold the same items already, in part with other contents: nothing is doubled."""
    for box in (pair.left, pair.right):
        fill(box, pair)
    pair.right.edit("events", "Team", "etwo", "^SUMMARY", "LOCATION:Only here\nSUMMARY")
    pair.settle()
    assert len(pair.left.read()["events", "Team"]) == 3
    assert "Only here" in pair.left.get("events", "Team", "etwo")
    pair.config.forget("p")
    pair.settle()
    assert len(pair.right.read()["contacts", "Team"]) == 3


def test_attendees_are_not_invited(pair, sides):
    """What is written for somebody else is marked so that no server sends invitations."""
    here, there = sides
    here.make("events", "Meetings")
    here.add("events", "Meetings", calendar(event(
        "m", more="ORGANIZER:mailto:boss@example.org\nATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:a@example.org\n"
                  "ATTENDEE;PARTSTAT=ACCEPTED:mailto:b@example.org\n")))
    pair.settle()
    text = there.get("events", "Meetings", "m").replace("\r\n ", "")
    if isinstance(there, records.DavBox):
        assert text.count("SCHEDULE-AGENT=CLIENT") == 3, text
    there.edit("events", "Meetings", "m", "RSVP=TRUE", "RSVP=TRUE;PARTSTAT=DECLINED")
    pair.settle()
    assert "PARTSTAT=DECLINED" in here.get("events", "Meetings", "m").replace("\r\n ", "")


def test_what_cannot_be_read_is_left_out(pair, sides):
    here, there = sides
    if not isinstance(here, records.VdirBox):
        pytest.skip("a server takes no such text")
    here.make("events", "Team")
    here.add("events", "Team", calendar(event("good")))
    path = here.collections()["events", "Team"]
    with open(os.path.join(path, "bad.ics"), "w") as f:
        f.write("BEGIN:VCALENDAR\nnot a calendar")
    pair.once()
    assert set(there.read()["events", "Team"]) == {"good"}
    r = pair.config.verify("p")
    assert r.json()["verdict"] == "equal" and "not a content line at line 2" in r.out, r
    os.unlink(os.path.join(path, "bad.ics"))
    pair.settle()


@pytest.fixture
def radicale_local(servers, directory):
    return lambda **how: make_pair(servers, directory, "radicale-local", **how)


def test_busy_only(radicale_local):
    """The right side learns when, not what; and it is never a source for the full event."""
    pair = radicale_local(busyOnly="right")
    pair.left.make("events", "Team")
    pair.left.add("events", "Team", calendar(event("secret", "Merger talks", more="LOCATION:Room 13\n")))
    pair.once()
    text = pair.right.get("events", "Team", "secret")
    assert "Merger" not in text and "Room 13" not in text and "SUMMARY:Busy" in text
    pair.left.edit("events", "Team", "secret", "T090000Z", "T080000Z")
    pair.once()
    assert "T080000Z" in pair.right.get("events", "Team", "secret")
    pair.once()
    text = pair.left.get("events", "Team", "secret")
    assert "Merger talks" in text and "Room 13" in text
    assert pair.config.verify("p").rc == 0


def test_date_window(radicale_local):
    pair = radicale_local(inner="<window past=\"90d\" future=\"36500d\"/>")
    pair.left.make("events", "Team")
    pair.left.add("events", "Team", calendar(event("old", "Old", "DTSTART:20200101T090000Z", "DTEND:20200101T100000Z")))
    pair.left.add("events", "Team", calendar(event("new", "New", "DTSTART:20990101T090000Z", "DTEND:20990101T100000Z")))
    pair.once()
    assert set(pair.right.read()["events", "Team"]) == {"new"}
    assert pair.config.verify("p").rc == 0
    assert set(pair.left.read()["events", "Team"]) == {"new", "old"}


def test_kinds(radicale_local):
    pair = radicale_local(kinds="contacts")
    fill(pair.left, pair)
    pair.once()
    assert set(pair.right.read()) == {("contacts", "Team")}


def test_a_server_that_shows_nothing_is_not_believed(radicale_local):
    """A new account may be empty; one that had collections and shows none is an error, not a deletion."""
    pair = radicale_local()
    fill(pair.right, pair)
    pair.settle()
    for path in pair.left.collections().values():
        pair.left.client.delete(path)
    pair.once(rc=1)
    assert "E_NO_FOLDERS" in pair.config.status()["pairings"][0]["reason"] + pair.config.log()
    assert len(pair.right.read()["events", "Team"]) == 3


def test_wrong_password(radicale_local):
    pair = radicale_local()
    with open(os.path.join(pair.config.dir, "secrets", [n for n in os.listdir(
            os.path.join(pair.config.dir, "secrets")) if n.startswith("own-left")][0]), "w") as f:
        f.write("wrong")
    pair.once(rc=1)
    row = pair.config.pairing_status("p")
    assert row["code"] == "0x80040111", row
    assert "wrong" not in pair.config.log()


def test_mail_and_records_in_one_endpoint(make, servers):
    """imap + dav: one pairing carries all of it, with one logon."""
    config, server = make.config(), servers.radicale("left")
    urls = server.urls(None)
    mail, _ = make.box(config, "left", "imap", login="own", **urls)
    disk, right_xml = make.box(config, "right", "local")
    left = records.DavBox(server.user(mail.user, mail.password))
    right = records.VdirBox(os.path.dirname(disk.root))
    config.pairing("p", config.mailbox("left", mail.user, login=mail.user, password=mail.password), right_xml)
    config.write()
    pair = Pair(config, (left, right), "radicale-local")
    fill(left, pair)
    message = next(corpus.messages(1, 7))
    mail.put(message)
    mail.close()
    pair.settle()
    assert not model.compare(mail.read(), disk.read())
    assert sum(len(f) for f in disk.read().values()) == 1
    fill(right, pair, "Second")
    disk.put(*corpus.messages(3, 8))
    pair.settle()
    assert not model.compare(mail.read(), disk.read())
    mail.close()
    # only mail: the DAV server is not asked
    server_log = os.path.getsize(os.path.join(server.dir, "users"))
    with open(os.path.join(server.dir, "users"), "w"):
        pass
    assert server_log > 0
    config.pairing("p", config.mailbox("left", mail.user, login=mail.user, password=mail.password), right_xml,
                   kinds="mail")
    config.write()
    pair.once()


def test_mail_and_records_of_one_server(make, servers):
    """Cyrus keeps both in one tree of mailboxes; calendars are not taken for mail folders."""
    config, server = make.config(), davservers.Cyrus(servers.cyrus("c"))
    mail, left_xml = make.box(config, "left", "cyrus", login="own", **server.urls(None))
    disk, right_xml = make.box(config, "right", "local")
    left, right = records.DavBox(server.user(mail.user)), records.VdirBox(os.path.dirname(disk.root))
    config.pairing("p", left_xml, right_xml)
    config.write()
    pair = Pair(config, (left, right), "cyrus-local")
    fill(left, pair)
    for message in corpus.messages(3, 7):
        mail.put(message)
    mail.close()
    pair.settle()
    assert not model.compare(mail.read(), disk.read())
    assert ("events", "Team") in right.collections() and "Team" not in disk.read()
    mail.close()


def test_the_endpoint_alone_with_cyrus(servers):
    """tests/unit/t_dav_server.c, verb by verb, as it runs with Radicale and Xandikos."""
    server, user = davservers.Cyrus(servers.cyrus("c")), "verbs-%d@cyrus.example" % os.getpid()
    server.user(user)
    program = os.path.join(product.BUILD, "test", "unit", "t_dav_server")
    url = "http://127.0.0.1:%d/dav/principals/user/%s/" % (server.port, user)
    r = product.run([program], 120, env={"MS_DAV": "%s %s %s" % (url, user, server.password)})
    assert r.rc == 0 and "[  PASSED  ] 7 test(s)" in r.out + r.err, r
