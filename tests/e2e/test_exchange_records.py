"""Events, contacts and tasks between Exchange and vdirs: what has a field is one there, what has none is kept."""

import os
import time

import pytest

import records
from records import calendar, card, event, exception, series, todo
from test_exchange import build, exchange  # noqa: F401 (fixtures)

pytestmark = pytest.mark.product


class Pair:
    def __init__(self, pair):
        self.pair = pair
        self.box, other = sorted(pair.boxes, key=lambda b: b.kind != "exchange")
        self.vdir = records.VdirBox(os.path.dirname(other.root))

    def once(self, **how):
        return self.pair.once(**how)

    def items(self, role):
        return self.box.ask("read", folder=role)["items"]

    def one(self, role):
        found = self.items(role)
        assert len(found) == 1, found
        return found[0]

    def idle(self):
        assert self.pair.plan() == []
        before = self.box.stamp(), self.vdir.stamp()
        self.once()
        assert (self.box.stamp(), self.vdir.stamp()) == before

    def texts(self, kind, name):
        return sorted(t for _, t in self.vdir.texts((kind, name)))


@pytest.fixture
def pair(build):  # noqa: F811
    p = Pair(build("local", kinds="events contacts tasks"))
    p.once()
    assert {k for k in p.vdir.collections()} >= {("events", "Calendar"), ("contacts", "Contacts"), ("tasks", "Tasks")}
    return p


def props(item):
    return {k: v for k, v in item["props"].items()}


def facts(text):
    """The parts of a rule have no order."""
    uid, out = records.facts(text)
    for values in out.values():
        if "rrule" in values:
            values["rrule"] = [sorted(r.split(";")) for r in values["rrule"]]
    return uid, out


def same(got, want):
    a, b = facts(got), facts(want)
    assert a[0] == b[0] and sorted(a[1]) == sorted(b[1])
    for comp in b[1]:
        for name in sorted(set(a[1][comp]) | set(b[1][comp])):
            assert a[1][comp].get(name) == b[1][comp].get(name), (comp, name)


def settle(pair, kind, name, uid, want):
    """Two passes change nothing of what was put there, and then nothing at all."""
    pair.once()
    pair.once()
    same(pair.vdir.get(kind, name, uid), want)
    pair.idle()
    # nothing is lost on the way back either: the other side is made anew from what Exchange has
    pair.pair.config.forget("p")
    for where, _ in pair.vdir.texts((kind, name)):
        pair.vdir.drop((kind, name), where)
    pair.once()
    same(pair.vdir.get(kind, name, uid), want)


CARD = card("c1", "Ada Lovelace", (
    "NICKNAME:Countess\nORG:Analytical Engines;Programs\nTITLE:Programmer\nROLE:Author\n"
    "EMAIL;TYPE=HOME:ada@home.example\nEMAIL:third@example.org\nEMAIL:fourth@example.org\n"
    "TEL;TYPE=WORK:+49 30 2\nTEL;TYPE=WORK:+49 30 3\nTEL;TYPE=WORK:+49 30 4\nTEL;TYPE=FAX,WORK:+49 30 5\n"
    "ADR;TYPE=HOME:;;Straße 1;Berlin;BE;10115;Germany\nADR;TYPE=WORK:PO 5;;W 2;London;;N1;UK\n"
    "BDAY:1815-12-10\nANNIVERSARY:1835-07-08\nURL;TYPE=WORK:https://work.example/\nURL:https://home.example/a,b\n"
    "IMPP:xmpp:ada@example.org\nNOTE:Two\\nlines\\, and <xml> & \\; more\nCATEGORIES:Friends,VIP\nCLASS:PRIVATE\n"
    "X-CUSTOM:kept\nGEO:52.5;13.4\n"))


def test_contact(pair):
    pair.vdir.add("contacts", "Contacts", CARD)
    pair.once()
    p = props(pair.one("contacts"))
    assert p["Surname"] == "Lovelace" and p["CompanyName"] == "Analytical Engines" and p["Department"] == "Programs"
    emails = {e[1]["Key"]: e[2] for e in p["EmailAddresses"]}
    assert len(emails) == 3
    phones = {e[1]["Key"]: e[2] for e in p["PhoneNumbers"]}
    assert phones["MobilePhone"] == "+49 30 1" and phones["BusinessFax"] == "+49 30 5"
    assert {phones["BusinessPhone"], phones["BusinessPhone2"]} < {"+49 30 2", "+49 30 3", "+49 30 4"}
    assert p["Birthday"].startswith("1815-12-10") and p["Sensitivity"] == "Private"
    settle(pair, "contacts", "Contacts", "c1", CARD)


def test_contact_edited_in_exchange(pair):
    """What was edited there is what counts; what has no field and was not touched stays."""
    pair.vdir.add("contacts", "Contacts", CARD)
    pair.once()
    item = pair.one("contacts")
    pair.box.ask("change", id=item["id"], xml="<t:JobTitle>Countess</t:JobTitle><t:PhoneNumbers>"
                 "<t:Entry Key=\"MobilePhone\">+44 1</t:Entry></t:PhoneNumbers>")
    pair.once()
    text = pair.vdir.get("contacts", "Contacts", "c1")
    assert "TITLE:Countess" in text and "+44 1" in text and "+49 30 1" not in text
    assert "X-CUSTOM:kept" in text and "fourth@example.org" in text
    pair.vdir.edit("contacts", "Contacts", "c1", "^ROLE:.*$", "ROLE:Poet")
    pair.once()
    assert props(pair.one("contacts"))["Profession"] == "Poet"
    assert props(pair.one("contacts"))["JobTitle"] == "Countess"
    pair.once()
    pair.idle()


def test_contact_made_in_exchange(pair):
    pair.box.ask("put", folder="contacts", xml="<t:Contact><t:DisplayName>Bob B</t:DisplayName><t:GivenName>Bob"
                 "</t:GivenName><t:EmailAddresses><t:Entry Key=\"EmailAddress1\">bob@x.example</t:Entry>"
                 "</t:EmailAddresses><t:Surname>B</t:Surname></t:Contact>")
    pair.once()
    text, = pair.texts("contacts", "Contacts")
    assert "EMAIL:bob@x.example" in text and "FN:Bob B" in text
    pair.once()
    pair.idle()
    pair.vdir.add("contacts", "Contacts", card("other"))
    pair.once()
    pair.vdir.delete("contacts", "Contacts", records.facts(text)[0])
    pair.once()
    assert props(pair.one("contacts"))["Surname"] == "Lovelace"


TODO = todo("t1", "Milk & <bread>", (
    "DTSTART:20270115T080000Z\nDESCRIPTION:long\\nnote\nPRIORITY:3\nSTATUS:IN-PROCESS\nPERCENT-COMPLETE:40\n"
    "CATEGORIES:Shop\nCLASS:PRIVATE\nX-MINE:1\nRRULE:FREQ=WEEKLY;BYDAY=FR\n"
    "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT10M\nDESCRIPTION:x\nEND:VALARM\n"))


def test_task(pair):
    pair.vdir.add("tasks", "Tasks", TODO)
    pair.once()
    p = props(pair.one("tasks"))
    assert p["Subject"] == "Milk & <bread>" and p["Status"] == "InProgress" and p["Importance"] == "High"
    assert p["DueDate"].startswith("2027-02-01") and p["StartDate"].startswith("2027-01-15")
    assert p["Recurrence"][0][0] == "WeeklyRecurrence"
    settle(pair, "tasks", "Tasks", "t1", TODO)


def test_task_done_in_exchange(pair):
    pair.vdir.add("tasks", "Tasks", todo("t2", more="STATUS:NEEDS-ACTION\n"))
    pair.once()
    pair.box.ask("change", id=pair.one("tasks")["id"], xml="<t:Status>Completed</t:Status>")
    pair.once()
    text = pair.vdir.get("tasks", "Tasks", "t2")
    assert "STATUS:COMPLETED" in text and "DUE:20270201T120000Z" in text
    pair.vdir.edit("tasks", "Tasks", "t2", "^STATUS:.*$", "STATUS:IN-PROCESS")
    pair.once()
    assert props(pair.one("tasks"))["Status"] == "InProgress"
    pair.once()
    pair.idle()


EVENT = calendar(event("e1", "Lunch\\, with \\; Bob", more=(
    "DESCRIPTION:a\\nb\nLOCATION:Mensa\nCATEGORIES:Food,Work\nCLASS:CONFIDENTIAL\nPRIORITY:9\nTRANSP:TRANSPARENT\n"
    "STATUS:TENTATIVE\nGEO:1;2\nX-EXTRA;X-P=1:kept\nURL:https://x.example/\n"
    "ORGANIZER;CN=Boss:mailto:boss@else.example\nATTENDEE;CN=Ann;PARTSTAT=ACCEPTED:mailto:ann@else.example\n"
    "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT15M\nDESCRIPTION:Go\nEND:VALARM\n"
    "BEGIN:VALARM\nACTION:EMAIL\nTRIGGER:-P1D\nDESCRIPTION:m\nSUMMARY:s\nATTENDEE:mailto:me@x.example\nEND:VALARM\n")))


def test_event(pair):
    pair.vdir.add("events", "Calendar", EVENT)
    pair.once()
    item = pair.one("calendar")
    p = props(item)
    assert p["Subject"] == "Lunch, with ; Bob" and p["LegacyFreeBusyStatus"] == "Free" and p["Location"] == "Mensa"
    assert p["ReminderMinutesBeforeStart"] == "15" and p["ReminderIsSet"] == "true" and p["UID"] == "e1"
    assert "RequiredAttendees" not in p                   # somebody else's meeting
    settle(pair, "events", "Calendar", "e1", EVENT)


@pytest.mark.parametrize("start, end", [
    ("DTSTART;VALUE=DATE:20270310", "DTEND;VALUE=DATE:20270312"),
    ("DTSTART;VALUE=DATE:20270310", "X-NOTHING:1"),
    ("DTSTART;TZID=Europe/Berlin:20270610T100000", "DTEND;TZID=Europe/Berlin:20270610T113000"),
    ("DTSTART:20270610T100000Z", "DURATION:PT45M")])
def test_event_times(pair, start, end):
    text = calendar(event("e2", start=start, end=end), zone=True)
    pair.vdir.add("events", "Calendar", text)
    pair.once()
    pair.once()
    got = records.facts(pair.vdir.get("events", "Calendar", "e2"))[1][""]
    want = records.facts(text)[1][""]
    assert got["dtstart"] == want["dtstart"]
    assert props(pair.one("calendar"))["IsAllDayEvent"] == ("true" if "DATE" in start else "false")
    pair.idle()


@pytest.mark.parametrize("rule", [
    "FREQ=DAILY", "FREQ=DAILY;INTERVAL=3;COUNT=7", "FREQ=WEEKLY;BYDAY=MO,WE;INTERVAL=2;WKST=SU",
    "FREQ=WEEKLY;UNTIL=20270301T080000Z", "FREQ=MONTHLY;BYMONTHDAY=4", "FREQ=MONTHLY;BYDAY=1MO",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=2;INTERVAL=3", "FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=1;BYDAY=1MO",
    "FREQ=YEARLY;INTERVAL=2"])
def test_rules(pair, rule):
    text = calendar(event("r1", start="DTSTART;TZID=Europe/Berlin:20270104T090000",
                          end="DTEND;TZID=Europe/Berlin:20270104T100000", more="RRULE:%s\n" % rule), zone=True)
    pair.vdir.add("events", "Calendar", text)
    pair.once()
    assert "Recurrence" in props(pair.one("calendar"))
    settle(pair, "events", "Calendar", "r1", text)


@pytest.mark.parametrize("rule", [
    "FREQ=MONTHLY;BYMONTHDAY=31", "FREQ=YEARLY;BYWEEKNO=1", "FREQ=MONTHLY;BYMONTHDAY=4,20", "FREQ=HOURLY",
    "FREQ=WEEKLY;COUNT=2000", "FREQ=WEEKLY;BYDAY=TU"])
def test_rules_that_exchange_does_not_have(pair, rule):
    """Refused as one item, with the reason; never something else instead."""
    text = calendar(event("r2", start="DTSTART;TZID=Europe/Berlin:20270104T090000",
                          end="DTEND;TZID=Europe/Berlin:20270104T100000", more="RRULE:%s\n" % rule), zone=True)
    pair.vdir.add("events", "Calendar", text)
    pair.once()
    assert pair.items("calendar") == []
    assert "Exchange has no recurrence" in pair.pair.config.ctl("quarantine", "p").out
    assert pair.vdir.get("events", "Calendar", "r2")


def test_series_with_exceptions(pair):
    text = series("s1", "EXDATE;TZID=Europe/Berlin:20270118T090000\n", [
        exception("s1", "20270111", 14, "Moved"), exception("s1", "20270208", 9, "Renamed")])
    pair.vdir.add("events", "Calendar", text)
    pair.once()
    item = pair.one("calendar")
    assert len(item["series"]["deleted"]) == 1 and len(item["series"]["exceptions"]) == 2, item["series"]
    settle(pair, "events", "Calendar", "s1", text)


def test_exceptions_come_and_go(pair):
    pair.vdir.add("events", "Calendar", series("s2", "", [exception("s2", "20270111", 14, "Moved")]))
    pair.once()
    pair.vdir.edit("events", "Calendar", "s2", "SUMMARY:Moved", "SUMMARY:Moved twice")
    pair.vdir.edit("events", "Calendar", "s2", "LOCATION:Room 1",
                   "LOCATION:Room 1\nEXDATE;TZID=Europe/Berlin:20270125T090000")
    pair.once()
    pair.once()
    got = records.facts(pair.vdir.get("events", "Calendar", "s2"))[1]
    assert len(got) == 2 and any("Moved twice" in str(v) for v in got.values())
    pair.idle()
    # back to the rule: the series is written anew
    pair.vdir.edit("events", "Calendar", "s2", "EXDATE[^\n]*\n", "")
    pair.once()
    pair.once()
    item = pair.one("calendar")
    assert not item["series"]["deleted"] and len(item["series"]["exceptions"]) == 1
    pair.idle()


def test_event_edited_in_exchange(pair):
    pair.vdir.add("events", "Calendar", EVENT)
    pair.vdir.add("events", "Calendar", series("s3"))
    pair.once()
    ids = {props(i)["UID"]: i["id"] for i in pair.items("calendar")}
    pair.box.ask("change", id=ids["e1"], xml="<t:Subject>Dinner</t:Subject><t:Start>2027-01-04T18:00:00Z</t:Start>"
                 "<t:End>2027-01-04T19:00:00Z</t:End>")
    pair.once()
    text = pair.vdir.get("events", "Calendar", "e1")
    assert "SUMMARY:Dinner" in text and "DTSTART:20270104T180000Z" in text and "X-EXTRA;X-P=1:kept" in text
    assert "ann@else.example" in text and "TRIGGER:-P1D" in text
    pair.once()
    pair.idle()


def test_own_meeting(pair):
    """One's own meeting has its people in Exchange; nobody is told anything."""
    me = pair.box.address
    text = calendar(event("m1", more="ORGANIZER:mailto:%s\nATTENDEE;CN=Ann;PARTSTAT=ACCEPTED:mailto:ann@else.example\n"
                          "ATTENDEE;ROLE=OPT-PARTICIPANT:mailto:opt@else.example\n" % me))
    pair.vdir.add("events", "Calendar", text)
    pair.once()
    p = props(pair.one("calendar"))
    assert "ann@else.example" in str(p["RequiredAttendees"]) and "opt@else.example" in str(p["OptionalAttendees"])
    pair.vdir.edit("events", "Calendar", "m1", "^SUMMARY:.*$", "SUMMARY:Later")
    pair.once()
    pair.once()
    pair.idle()
    pair.vdir.add("events", "Calendar", calendar(event("m2")))
    pair.once()
    pair.vdir.delete("events", "Calendar", "m1")
    pair.once()
    assert props(pair.one("calendar"))["UID"] == "m2"


def test_a_meeting_of_ten_thousand(pair):
    """It takes not more time for each of more people, whether they have fields there or not."""
    people = "".join("ATTENDEE;CN=P %d%s:mailto:p%d@else.example\n" % (
        n, ";CUTYPE=GROUP" if n % 10 == 0 else ";PARTSTAT=ACCEPTED", n) for n in range(10000))
    text = calendar(event("many", more="ORGANIZER:mailto:%s\n%s" % (pair.box.address, people)))
    pair.vdir.add("events", "Calendar", text)
    begin = time.monotonic()
    pair.once()
    assert len(props(pair.one("calendar"))["RequiredAttendees"]) == 10000
    pair.vdir.edit("events", "Calendar", "many", "^SUMMARY:.*$", "SUMMARY:Later")
    pair.once()
    pair.once()
    assert time.monotonic() - begin < 60
    got = records.facts(pair.vdir.get("events", "Calendar", "many"))[1][""]
    assert len(got["attendee"]) == 10000 and props(pair.one("calendar"))["Subject"] == "Later"
