"""The server as exchangelib, an unmodified foreign client, sees it."""

import datetime
from decimal import Decimal

import pytest

from rig import BOX, message

exchangelib = pytest.importorskip("exchangelib", reason="python3-exchangelib is not installed")
from exchangelib import FileAttachment, Mailbox, Message, recurrence  # noqa: E402
from exchangelib.folders import Messages  # noqa: E402


@pytest.fixture
def account(rig):
    a = rig.account()
    yield a
    a.protocol.close()
    type(a.protocol).clear_cache() if hasattr(type(a.protocol), "clear_cache") else None


def test_folders(account, rig):
    assert account.version.build.major_version == 15
    assert account.inbox.name == "Inbox" and account.inbox.total_count == 0
    f = Messages(parent=account.inbox, name="Projects")
    f.save()
    sub = Messages(parent=f, name="One")
    sub.save()
    assert {x.name for x in account.inbox.walk()} == {"Projects", "One"}
    f.name = "Other"
    f.save()
    paths = [x["path"] for x in rig.control("tree", mailbox=BOX)["folders"]]
    assert "Inbox/Other/One" in paths
    sub.delete()
    f.move(account.sent)
    paths = [x["path"] for x in rig.control("tree", mailbox=BOX)["folders"]]
    assert "Sent Items/Other" in paths and "Inbox/Other/One" not in paths


def test_messages(account, rig):
    m = Message(folder=account.inbox, subject="Hello", body="text", to_recipients=[Mailbox(email_address=BOX)],
                categories=["Blue", "Red"], importance="High", is_read=True)
    m.save()
    got = account.inbox.get(subject="Hello")
    assert (got.body, got.categories, got.importance, got.is_draft) == ("text", ["Blue", "Red"], "High", True)
    assert got.to_recipients[0].email_address == BOX
    got.subject, got.is_read = "Changed", False
    got.save(update_fields=["subject", "is_read"])
    assert [x.subject for x in account.inbox.filter(is_read=False)] == ["Changed"]
    with pytest.raises(exchangelib.errors.ErrorIrresolvableConflict):
        m.subject = "stale"
        m.save(update_fields=["subject"], conflict_resolution="NeverOverwrite")
    got.move(account.drafts)
    assert account.inbox.all().count() == 0 and account.drafts.all().count() == 1
    copy_id = got.copy(account.inbox)
    assert copy_id[0] != got.id
    got.move_to_trash()
    assert account.trash.all().count() == 1
    account.inbox.all().delete()
    assert account.inbox.all().count() == 0


def test_mime_and_attachments(account, rig):
    m = Message(folder=account.inbox, mime_content=message("Mime"))
    m.save()
    got = account.inbox.get(subject="Mime")
    assert b"Some text." in got.mime_content and got.sender.email_address == "carl@example.net"
    assert got.datetime_sent == exchangelib.EWSDateTime(2026, 3, 2, 9, tzinfo=exchangelib.UTC)
    key = got.changekey
    got.attach(FileAttachment(name="a.bin", content=b"\0\1\2"))
    got.refresh()
    assert got.changekey != key and got.attachments[0].content == b"\0\1\2"
    got.attach(exchangelib.ItemAttachment(name="inner", item=Message(subject="Inner", body="x", is_read=True)))
    got.refresh()
    inner = [a for a in got.attachments if a.name == "inner"][0]
    assert inner.item.subject == "Inner"
    got.detach(got.attachments)
    got.refresh()
    assert not got.attachments


def test_sync(account, rig):
    ids = [rig.control("put", mailbox=BOX, folder="inbox", mime=message("m%d" % n).decode())["id"] for n in range(5)]
    assert sorted(i.id for _, i in account.inbox.sync_items(only_fields=["subject"])) == sorted(ids)
    assert list(account.inbox.sync_items()) == []
    rig.control("change", mailbox=BOX, id=ids[0], read=False)
    rig.control("change", mailbox=BOX, id=ids[1], xml="<t:Subject>new</t:Subject>")
    rig.control("delete", mailbox=BOX, id=ids[2])
    found = sorted((what, i[0].id if isinstance(i, tuple) else i.id) for what, i in account.inbox.sync_items())
    assert found == sorted([("read_flag_change", ids[0]), ("update", ids[1]), ("delete", ids[2])])
    assert [w for w, f in account.inbox.sync_hierarchy()] == []
    Messages(parent=account.inbox, name="New").save()
    assert [(w, f.name) for w, f in account.inbox.sync_hierarchy()] == [("create", "New")]


def test_extended_properties(account, rig):
    class Mark(exchangelib.ExtendedProperty):
        property_set_id = "4c6d9f2e-0000-4000-8000-0123456789ab"
        property_name = "Mark"
        property_type = "String"

    Message.register("mark", Mark)
    try:
        Message(folder=account.inbox, subject="x", mark="left").save()
        assert [m.mark for m in account.inbox.filter(mark="left")] == ["left"]
        assert not account.inbox.filter(mark="right").exists()
    finally:
        Message.deregister("mark")


def test_back_off(account, rig):
    rig.control("fault", kind="busy", op="FindItem", backoff=300)
    account.protocol.config.retry_policy = exchangelib.FaultTolerance(max_wait=30)
    started = datetime.datetime.now()
    assert account.inbox.all().count() == 0
    assert (datetime.datetime.now() - started).total_seconds() >= 0.3


BERLIN = exchangelib.EWSTimeZone("Europe/Berlin")


def at(day, hour, month=3):
    return exchangelib.EWSDateTime(2026, month, day, hour, tzinfo=BERLIN)


def test_events(account, rig):
    from exchangelib import CalendarItem
    e = CalendarItem(folder=account.calendar, subject="One", start=at(2, 9), end=at(2, 10), location="Here",
                     body="text", legacy_free_busy_status="Tentative", uid="my-uid@example.org",
                     reminder_is_set=True, reminder_minutes_before_start=30, categories=["Blue"],
                     required_attendees=[exchangelib.Attendee(mailbox=Mailbox(email_address="x@y.example"),
                                                              response_type="Accept")])
    e.save(send_meeting_invitations="SendToNone")
    got = account.calendar.get(subject="One")
    assert (got.start, got.end, got.location, got.uid) == (at(2, 9), at(2, 10), "Here", "my-uid@example.org")
    assert got.legacy_free_busy_status == "Tentative" and got.reminder_minutes_before_start == 30
    assert got.required_attendees[0].mailbox.email_address == "x@y.example" and got.is_meeting
    assert got.organizer.email_address == BOX
    got.start, got.end = at(3, 9), at(3, 11)
    got.save(update_fields=["start", "end"], send_meeting_invitations="SendToNone")
    assert [x.subject for x in account.calendar.view(start=at(3, 0), end=at(4, 0))] == ["One"]
    assert list(account.calendar.view(start=at(2, 0), end=at(3, 0))) == []
    got.delete(send_meeting_cancellations="SendToNone")
    assert rig.failures() == []


def test_all_day_events(account, rig):
    from exchangelib import CalendarItem, EWSDate
    CalendarItem(folder=account.calendar, subject="Day", start=EWSDate(2026, 3, 2), end=EWSDate(2026, 3, 3),
                 is_all_day=True).save()
    got = account.calendar.get(subject="Day")
    assert got.is_all_day and (got.start, got.end) == (EWSDate(2026, 3, 2), EWSDate(2026, 3, 3))


PATTERNS = [
    (recurrence.DailyPattern(interval=2), [1, 3, 5]),
    (recurrence.WeeklyPattern(interval=1, weekdays=["Monday", "Wednesday"]), [2, 4, 9]),
    (recurrence.AbsoluteMonthlyPattern(interval=1, day_of_month=5), [5]),
    (recurrence.RelativeMonthlyPattern(interval=1, weekday="Weekday", week_number="Last"), [31]),
    (recurrence.AbsoluteYearlyPattern(day_of_month=7, month="March"), [7]),
    (recurrence.RelativeYearlyPattern(weekday="Tuesday", week_number="Second", month="March"), [10])]


@pytest.mark.parametrize("pattern, days", PATTERNS)
def test_patterns(account, rig, pattern, days):
    from exchangelib import CalendarItem
    CalendarItem(folder=account.calendar, subject="S", start=at(1, 9), end=at(1, 10), recurrence=recurrence.Recurrence(
        pattern=pattern, start=exchangelib.EWSDate(2026, 3, 1), number=3)).save()
    found = [x.start.astimezone(BERLIN).day for x in account.calendar.view(start=at(1, 0), end=at(1, 0, 4))]
    assert found[:len(days)] == days
    master = [x for x in account.calendar.all() if x.type == "RecurringMaster"][0]
    assert type(master.recurrence.pattern) is type(pattern) and master.recurrence.boundary.number == 3
    assert master.first_occurrence.start.astimezone(BERLIN).day == days[0]


def test_occurrences(account, rig):
    from exchangelib import CalendarItem
    CalendarItem(folder=account.calendar, subject="S", start=at(2, 9), end=at(2, 10), recurrence=recurrence.Recurrence(
        pattern=recurrence.WeeklyPattern(interval=1, weekdays=["Monday"]),
        start=exchangelib.EWSDate(2026, 3, 2), number=5)).save()
    master = account.calendar.get(subject="S")
    third = list(account.calendar.view(start=at(16, 0), end=at(17, 0)))[0]
    assert third.type == "Occurrence" and third.start == at(16, 9)
    third.subject, third.start, third.end = "Moved", at(17, 12), at(17, 13)
    third.save(update_fields=["subject", "start", "end"])
    list(account.calendar.view(start=at(9, 0), end=at(10, 0)))[0].delete()
    master.refresh()
    assert [o.original_start for o in master.modified_occurrences] == [at(16, 9)]
    assert [o.start for o in master.deleted_occurrences] == [at(9, 9)]
    fifth = master.occurrence(index=5)
    fifth.refresh()
    assert fifth.start == at(30, 9)
    fifth.location = "There"
    fifth.save(update_fields=["location"])
    seen = [(x.subject, x.start.astimezone(BERLIN).day) for x in account.calendar.view(start=at(1, 0), end=at(1, 0, 4))]
    assert seen == [("S", 2), ("Moved", 17), ("S", 23), ("S", 30)]
    again = third.recurring_master()
    again.refresh()
    assert again.subject == "S" and again.id == master.id


def test_contacts(account, rig):
    from exchangelib import Contact, DistributionList
    from exchangelib.indexed_properties import EmailAddress, PhoneNumber, PhysicalAddress
    Contact(folder=account.contacts, file_as="Doe, J", given_name="J", surname="Doe", display_name="J Doe",
            company_name="C", birthday=exchangelib.EWSDate(1950, 1, 2),
            email_addresses=[EmailAddress(label="EmailAddress1", email="j@d.example")],
            phone_numbers=[PhoneNumber(label="MobilePhone", phone_number="1")],
            physical_addresses=[PhysicalAddress(label="Home", street="s", city="c", country="x")],
            body="note").save()
    got = account.contacts.get(surname="Doe")
    assert got.email_addresses[0].email == "j@d.example" and got.complete_name.last_name == "Doe"
    got.email_addresses = [EmailAddress(label="EmailAddress2", email="k@d.example")]
    got.physical_addresses = [PhysicalAddress(label="Home", street="t", city="c", country="x")]
    got.phone_numbers = None
    got.save(update_fields=["email_addresses", "physical_addresses", "phone_numbers"])
    got = account.contacts.get(surname="Doe")
    assert "k@d.example" in [e.email for e in got.email_addresses] and got.physical_addresses[0].street == "t"
    assert not got.phone_numbers
    got.attach(FileAttachment(name="ContactPicture.jpg", content=b"\xff\xd8", is_contact_photo=True))
    got.refresh()
    assert got.has_picture
    picture, = got.attachments
    assert picture.is_contact_photo and picture.content == b"\xff\xd8"
    picture.detach()
    got.refresh()
    assert not got.has_picture and not got.attachments
    rig.control("photo", mailbox=BOX, id=got.id, content="/9j/")
    got.refresh()
    assert got.has_picture and got.attachments[0].content == b"\xff\xd8\xff"
    from exchangelib.properties import Member
    DistributionList(folder=account.contacts, display_name="L", members=[
        Member(mailbox=Mailbox(email_address="a@b.example", mailbox_type="OneOff"))]).save()
    assert [m.mailbox.email_address for m in account.contacts.get(display_name="L").members] == ["a@b.example"]
    # it cannot name a contact as a member, but reads one
    rig.create("<t:DistributionList><t:DisplayName>M</t:DisplayName><t:Members><t:Member><t:Mailbox><t:MailboxType>Contact"
               '</t:MailboxType><t:ItemId Id="%s"/></t:Mailbox></t:Member></t:Members></t:DistributionList>' % got.id,
               "contacts")
    member, = account.contacts.get(display_name="M").members
    assert (member.mailbox.item_id.id, member.mailbox.mailbox_type) == (got.id, "Contact")


def test_tasks(account, rig):
    from exchangelib import EWSDate, Task
    Task(folder=account.tasks, subject="T", start_date=EWSDate(2026, 3, 1), due_date=EWSDate(2026, 3, 2),
         percent_complete=Decimal(50), status="InProgress").save()
    # Exchange fails when UniqueBody of a task is asked for, as this library does unless told what to ask for.
    fields = ("subject", "start_date", "due_date", "percent_complete", "status", "is_complete", "complete_date",
              "recurrence")
    got = account.tasks.all().only(*fields).get(subject="T")
    assert (got.start_date, got.due_date, got.percent_complete) == (EWSDate(2026, 3, 1), EWSDate(2026, 3, 2), 50)
    got.complete()
    got = account.tasks.all().only(*fields).get(subject="T")
    assert got.status == "Completed" and got.is_complete and got.complete_date
    Task(folder=account.tasks, subject="R", due_date=EWSDate(2026, 3, 2), recurrence=recurrence.TaskRecurrence(
        pattern=recurrence.DailyRegeneration(interval=2), start=EWSDate(2026, 3, 2))).save()
    assert account.tasks.all().only(*fields).get(subject="R").recurrence.pattern.interval == 2
