"""Calendar: times, zones, all-day events, series, exceptions, meetings, UIDs."""

import base64

import pytest

import goid
from rig import BOX, ref

ZONE = '<t:TimeZoneContext><t:TimeZoneDefinition Id="%s"/></t:TimeZoneContext>'
BERLIN = "W. Europe Standard Time"
FIELD = '<t:FieldURI FieldURI="calendar:%s"/>'


def event(start="2026-03-02T09:00:00", end="2026-03-02T10:00:00", zone=BERLIN, subject="S", front="", tail="",
          allday=False, uid="abc@example.org", people="", repeat=""):
    return ("<t:CalendarItem><t:Subject>%s</t:Subject>%s<t:ReminderIsSet>false</t:ReminderIsSet>%s<t:Start>%s</t:Start>"
            "<t:End>%s</t:End><t:IsAllDayEvent>%s</t:IsAllDayEvent>%s%s%s%s</t:CalendarItem>" % (
                subject, front, "<t:UID>%s</t:UID>" % uid if uid else "", start, end, str(allday).lower(), people,
                "<t:Recurrence>%s</t:Recurrence>" % repeat if repeat else "", tail,
                '<t:StartTimeZone Id="%s"/><t:EndTimeZone Id="%s"/>' % (zone, zone) if zone else ""))


def weekly(count=5, start="2026-03-02", days="Monday"):
    return ("<t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>%s</t:DaysOfWeek></t:WeeklyRecurrence>"
            "<t:NumberedRecurrence><t:StartDate>%s</t:StartDate><t:NumberOfOccurrences>%d</t:NumberOfOccurrences>"
            "</t:NumberedRecurrence>" % (days, start, count))


def occurrence(master, index, key=None):
    return '<t:OccurrenceItemId RecurringMasterId="%s"%s InstanceIndex="%d"/>' % (
        master, ' ChangeKey="%s"' % key if key else "", index)


def set_(name, value):
    return "<t:SetItemField>%s<t:CalendarItem><t:%s>%s</t:%s></t:CalendarItem></t:SetItemField>" % (
        FIELD % name, name, value, name)


def delete(rig, element):
    return rig.ask('<m:DeleteItem DeleteType="HardDelete" SendMeetingCancellations="SendToNone"><m:ItemIds>%s'
                   "</m:ItemIds></m:DeleteItem>" % element)


def test_times_and_zones(rig):
    item, _ = rig.create(event(), "calendar").id()
    r = rig.get(item)
    assert (r.text("Start"), r.text("End"), r.text("Duration")) == (
        "2026-03-02T08:00:00Z", "2026-03-02T09:00:00Z", "PT1H")
    assert r.root.find(".//{*}StartTimeZone").get("Id") == BERLIN
    assert r.text("StartWallClock") == "2026-03-02T09:00:00" and r.text("StartTimeZoneId") == BERLIN
    assert rig.get(item, head=ZONE % BERLIN).text("Start") == "2026-03-02T09:00:00+01:00"
    # Without a zone of its own, a time is in the session's, else in UTC.
    plain = rig.create(event(zone=None, uid=""), "calendar").id()[0]
    assert rig.get(plain).text("Start") == "2026-03-02T09:00:00Z"
    absolute = rig.create(event("2026-03-02T09:00:00+05:00", "2026-03-02T09:30:00Z"), "calendar").id()[0]
    assert rig.get(absolute).text("Start") == "2026-03-02T04:00:00Z"
    assert rig.create(event(zone="Nowhere"), "calendar").code == "ErrorTimeZone"
    assert rig.create(event(end="2026-03-01T10:00:00"), "calendar").code == \
        "ErrorCalendarEndDateIsEarlierThanStartDate"


def test_all_day(rig):
    item, _ = rig.create(event("2026-03-02T00:00:00", "2026-03-03T00:00:00", allday=True), "calendar").id()
    r = rig.get(item)
    assert (r.text("Start"), r.text("End")) == ("2026-03-01T23:00:00Z", "2026-03-02T23:00:00Z")
    assert rig.get(item, head=ZONE % BERLIN).text("Start") == "2026-03-02T00:00:00+01:00"
    # Not at midnight of its zone: it spans more days.
    item, _ = rig.create(event("2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z", allday=True), "calendar").id()
    r = rig.get(item, head=ZONE % BERLIN)
    assert (r.text("Start"), r.text("End")) == ("2026-03-02T00:00:00+01:00", "2026-03-04T00:00:00+01:00")


def test_defaults_and_reminder(rig):
    xml = event(uid="").replace("<t:ReminderIsSet>false</t:ReminderIsSet>", "")
    r = rig.get(rig.create(xml, "calendar").id()[0])
    assert r.text("ReminderIsSet") == "true" and r.text("ReminderMinutesBeforeStart") == "15"
    assert r.text("LegacyFreeBusyStatus") == "Busy" and r.text("CalendarItemType") == "Single"
    assert r.text("UID").startswith("040000008200E00074C5B7101A82E008")


def test_attributes_are_demanded(rig):
    assert rig.create(event(), "calendar", SendMeetingInvitations=None).code == "ErrorSendMeetingInvitationsRequired"
    item, key = rig.create(event(), "calendar").id()
    assert rig.update(item, key, set_("Location", "x"), SendMeetingInvitationsOrCancellations=None).code == \
        "ErrorSendMeetingInvitationsOrCancellationsRequired"
    r = rig.ask('<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="%s"/></m:ItemIds></m:DeleteItem>'
                % item)
    assert r.code == "ErrorSendMeetingCancellationsRequired"
    assert rig.create(event(), "inbox").code == "ErrorCannotCreateCalendarItemInNonCalendarFolder"


def test_uid(rig):
    item, key = rig.create(event(uid="My-Uid@x"), "calendar").id()
    clean = ('<t:ExtendedFieldURI DistinguishedPropertySetId="Meeting" PropertyId="35" PropertyType="Binary"/>')
    r = rig.get(item, clean)
    assert base64.b64decode(r.text("Value")) == goid.blob("My-Uid@x") and r.text("UID") == "My-Uid@x"
    assert rig.update(item, key, set_("UID", "other")).code == "NoError"
    assert rig.get(item).text("UID") == "My-Uid@x"
    find = ('<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
            "<m:Restriction><t:IsEqualTo>%s<t:FieldURIOrConstant><t:Constant Value=\"%s\"/></t:FieldURIOrConstant></t:IsEqualTo>"
            "</m:Restriction><m:ParentFolderIds>%s</m:ParentFolderIds></m:FindItem>")
    assert rig.ask(find % (clean, goid.text("My-Uid@x"), ref("calendar"))).id()[0] == item
    assert not rig.ask(find % (clean, goid.text("No-Uid"), ref("calendar"))).all("ItemId")
    assert rig.ask(find % (FIELD % "UID", "My-Uid@x", ref("calendar"))).code == "ErrorUnsupportedPathForQuery"
    own = goid.fresh(1, 2)
    assert goid.uid(goid.text(own)) == own and goid.uid(goid.text("x@y")) == "x@y"


def test_series(rig):
    master, key = rig.create(event(repeat=weekly()), "calendar").id()
    r = rig.get(master)
    assert r.text("CalendarItemType") == "RecurringMaster"
    assert r.root.find(".//{*}FirstOccurrence/{*}Start").text == "2026-03-02T08:00:00Z"
    # Summer time begins on 29 March: the wall clock stays.
    assert r.root.find(".//{*}LastOccurrence/{*}Start").text == "2026-03-30T07:00:00Z"
    assert r.text("StartDate") == "2026-03-02Z"
    r = rig.get(occurrence(master, 5))
    assert (r.text("CalendarItemType"), r.text("OriginalStart"), r.text("Start")) == (
        "Occurrence", "2026-03-30T07:00:00Z", "2026-03-30T07:00:00Z")
    fifth = r.id()[0]
    assert rig.get(fifth).text("Start") == "2026-03-30T07:00:00Z"
    assert rig.get('<t:RecurringMasterItemId OccurrenceId="%s"/>' % fifth).id()[0] == master
    for bad in (0, 6, 1000):
        assert rig.get(occurrence(master, bad)).code == "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange"
    single = rig.create(event(), "calendar").id()[0]
    assert rig.get(occurrence(single, 1)).code == "ErrorCalendarCannotUseIdForRecurringMasterId"
    assert rig.get('<t:RecurringMasterItemId OccurrenceId="%s"/>' % single).code == \
        "ErrorCalendarCannotUseIdForOccurrenceId"


def test_exceptions(rig):
    master, key = rig.create(event(repeat=weekly()), "calendar").id()
    state = rig.sync("calendar").text("SyncState")
    r = rig.update(None, None, set_("Start", "2026-03-10T09:00:00Z") + set_("End", "2026-03-10T10:00:00Z"),
                   element=occurrence(master, 2, key))
    assert r.code == "NoError"
    assert [c.tag.split("}")[1] for c in rig.sync("calendar", state).root.find(".//{*}Changes")] == ["Update"]
    r = rig.get(master)
    assert r.id()[1] != key
    moved = r.root.find(".//{*}ModifiedOccurrences/{*}Occurrence")
    assert moved.find("{*}OriginalStart").text == "2026-03-09T08:00:00Z"
    assert moved.find("{*}Start").text == "2026-03-10T09:00:00Z"
    again = rig.get(moved.find("{*}ItemId").get("Id"))
    assert again.text("CalendarItemType") == "Exception" and again.text("Subject") == "S"
    # The master's key has changed: what was based on the old one is refused.
    stale = rig.update(None, None, set_("Start", "2026-03-17T09:00:00Z"), element=occurrence(master, 3, key))
    assert stale.code == "ErrorIrresolvableConflict"
    key = r.id()[1]
    crossing = rig.update(None, None, set_("Start", "2026-03-24T09:00:00Z") + set_("End", "2026-03-24T10:00:00Z"),
                          element=occurrence(master, 3, key))
    assert crossing.code == "ErrorOccurrenceCrossingBoundary"
    assert delete(rig, occurrence(master, 4)).code == "NoError"
    assert rig.get(occurrence(master, 4)).code == "ErrorCalendarOccurrenceIsDeletedFromRecurrence"
    # Deleted occurrences count.
    assert rig.get(occurrence(master, 5)).text("OriginalStart") == "2026-03-30T07:00:00Z"
    r = rig.get(master)
    assert r.root.find(".//{*}DeletedOccurrence/{*}Start").text == "2026-03-23T08:00:00Z"
    # The exception takes part in what the master changes, but for what it has of its own.
    key = r.id()[1]
    subject = ('<t:SetItemField><t:FieldURI FieldURI="item:Subject"/><t:CalendarItem><t:Subject>new</t:Subject>'
               "</t:CalendarItem></t:SetItemField>")
    assert rig.update(master, key, subject).code == "NoError"
    assert rig.get(occurrence(master, 2)).text("Subject") == "new"
    # A new rule wipes exceptions and deletions.
    key = rig.get(master).id()[1]
    rule = "<t:SetItemField>%s<t:CalendarItem><t:Recurrence>%s</t:Recurrence></t:CalendarItem></t:SetItemField>" % (
        FIELD % "Recurrence", weekly(4))
    assert rig.update(master, key, rule).code == "NoError"
    r = rig.get(master)
    assert not r.all("ModifiedOccurrences") and not r.all("DeletedOccurrences")
    key = r.id()[1]
    gone = "<t:DeleteItemField>%s</t:DeleteItemField>" % (FIELD % "Recurrence")
    assert rig.update(master, key, gone).code == "NoError"
    assert rig.get(master).text("CalendarItemType") == "Single"


def test_view(rig):
    master, _ = rig.create(event(repeat=weekly()), "calendar").id()
    rig.create(event("2026-03-11T09:00:00Z", "2026-03-11T10:00:00Z", subject="one"), "calendar")
    delete(rig, occurrence(master, 1))
    view = ('<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>'
            '<m:CalendarView StartDate="2026-03-01T00:00:00Z" EndDate="2026-03-%dT00:00:00Z"/><m:ParentFolderIds>%s</m:ParentFolderIds>'
            "</m:FindItem>")
    r = rig.ask(view % (17, ref("calendar")))
    assert [e.text for e in r.all("Start")] == ["2026-03-09T08:00:00Z", "2026-03-11T09:00:00Z", "2026-03-16T08:00:00Z"]
    assert rig.ask(view % (17, ref("inbox"))).code == "ErrorCalendarFolderIsInvalidForCalendarView"
    # SyncFolderItems knows masters only.
    assert len(rig.sync("calendar").all("ItemId")) == 2


def test_refused_rules(rig):
    def code(repeat, **how):
        return rig.create(event(repeat=repeat, **how), "calendar").code
    end = ("<t:DailyRecurrence><t:Interval>%d</t:Interval></t:DailyRecurrence><t:EndDateRecurrence><t:StartDate>%s"
           "</t:StartDate><t:EndDate>%s</t:EndDate></t:EndDateRecurrence>")
    assert code(end % (1, "2026-03-02", "2026-03-01")) == "ErrorRecurrenceHasNoOccurrence"
    assert code(end % (1000, "2026-03-02", "2026-03-05")) == "ErrorCalendarInvalidRecurrence"
    assert code(weekly(5, days="Weekday")) == "ErrorCalendarInvalidDayForWeeklyRecurrence"
    assert code(weekly(1000)) in ("ErrorCalendarInvalidRecurrence", "ErrorSchemaValidation")
    assert code(weekly(5), end="2026-03-12T10:00:00") == "ErrorOccurrenceTimeSpanTooBig"
    gone = ("<t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>Friday</t:DaysOfWeek></t:WeeklyRecurrence>"
            "<t:EndDateRecurrence><t:StartDate>2026-03-02</t:StartDate><t:EndDate>2026-03-04</t:EndDate>"
            "</t:EndDateRecurrence>")
    assert code(gone) == "ErrorRecurrenceHasNoOccurrence"


def test_the_first_occurrence_is_one_of_the_rule(rig):
    master, _ = rig.create(event(repeat=weekly(3, "2026-03-02", "Thursday")), "calendar").id()
    r = rig.get(master)
    assert r.text("Start") == "2026-03-05T08:00:00Z" and r.text("StartDate") == "2026-03-05Z"


PEOPLE = ("<t:RequiredAttendees><t:Attendee><t:Mailbox><t:EmailAddress>x@y.example</t:EmailAddress></t:Mailbox>"
          "<t:ResponseType>Accept</t:ResponseType></t:Attendee></t:RequiredAttendees>")


def test_meetings_are_silent_only_if_asked(rig):
    item, key = rig.create(event(people=PEOPLE), "calendar").id()
    r = rig.get(item)
    assert r.text("IsMeeting") == "true" and r.text("MyResponseType") == "Organizer"
    assert r.root.find(".//{*}Organizer//{*}EmailAddress").text == BOX
    assert r.root.find(".//{*}Attendee/{*}ResponseType").text == "Accept"
    key = rig.update(item, key, set_("Location", "x")).id()[1]
    assert rig.failures() == []
    rig.update(item, key, set_("Location", "y"), SendMeetingInvitationsOrCancellations="SendToAllAndSaveCopy")
    rig.create(event(people=PEOPLE), "calendar", SendMeetingInvitations="SendOnlyToAll")
    rig.ask('<m:DeleteItem DeleteType="HardDelete" SendMeetingCancellations="SendToAllAndSaveCopy"><m:ItemIds>'
            '<t:ItemId Id="%s"/></m:ItemIds></m:DeleteItem>' % item)
    assert [f["what"] for f in rig.failures()] == ["update-sent", "invitation-sent", "cancellation-sent"]


def test_a_foreign_meeting(rig):
    def named(number, kind, value):
        return ('<t:ExtendedProperty><t:ExtendedFieldURI DistinguishedPropertySetId="Appointment" PropertyId="%d" '
                'PropertyType="%s"/><t:Value>%s</t:Value></t:ExtendedProperty>' % (number, kind, value))
    front = named(0x8217, "Integer", 3) + named(0x8218, "Integer", 3)
    item, _ = rig.create(event(people=PEOPLE).replace(
        "</t:ReminderIsSet>", "</t:ReminderIsSet>" + front), "calendar").id()
    r = rig.get(item)
    assert r.text("AppointmentState") == "3" and r.text("IsOrganizer") == "false"
    assert r.text("MyResponseType") == "Accept"


def test_attachments_of_an_exception(rig):
    master, _ = rig.create(event(repeat=weekly()), "calendar").id()
    second = rig.get(occurrence(master, 2)).id()[0]
    add = ('<m:CreateAttachment><m:ParentItemId Id="%s"/><m:Attachments><t:FileAttachment><t:Name>a</t:Name><t:Content>'
           "AQI=</t:Content></t:FileAttachment></m:Attachments></m:CreateAttachment>")
    r = rig.ask(add % second)
    assert r.code == "NoError"
    att = r.root.find(".//{*}AttachmentId")
    assert rig.get(occurrence(master, 2)).text("HasAttachments") == "true"
    assert rig.get(master).text("HasAttachments") == "false"
    r = rig.ask('<m:DeleteAttachment><m:AttachmentIds><t:AttachmentId Id="%s"/></m:AttachmentIds></m:DeleteAttachment>'
                % att.get("Id"))
    assert r.code == "NoError" and rig.get(occurrence(master, 2)).text("HasAttachments") == "false"


def test_own_zone(rig):
    own = ('<t:StartTimeZone Id="Mine"><t:Periods><t:Period Bias="-PT3H30M" Name="s" Id="s"/></t:Periods>'
           '<t:TransitionsGroups><t:TransitionsGroup Id="0"><t:Transition><t:To Kind="Period">s</t:To></t:Transition>'
           '</t:TransitionsGroup></t:TransitionsGroups><t:Transitions><t:Transition><t:To Kind="Group">0</t:To>'
           "</t:Transition></t:Transitions></t:StartTimeZone>")
    item, _ = rig.create(event(zone=None, tail=own), "calendar").id()
    r = rig.get(item)
    assert r.text("Start") == "2026-03-02T05:30:00Z" and r.text("StartTimeZoneId") == "Mine"


@pytest.mark.parametrize("body", ["Text", "HTML"])
def test_body(rig, body):
    front = '<t:Body BodyType="%s">a &lt;b&gt; c</t:Body>' % body
    r = rig.get(rig.create(event(front=front), "calendar").id()[0])
    assert r.root.find(".//{*}Body").get("BodyType") == body or r.all("Body")
