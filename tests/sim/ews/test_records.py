"""Contacts, distribution lists, tasks."""

import base64
import datetime

import pytest

from rig import BOX

ZONE = '<t:TimeZoneContext><t:TimeZoneDefinition Id="%s"/></t:TimeZoneContext>'


def contact(**how):
    return ("<t:Contact><t:FileAs>Doe, J</t:FileAs><t:DisplayName>J Doe</t:DisplayName><t:GivenName>J</t:GivenName>"
            '<t:EmailAddresses><t:Entry Key="EmailAddress1">j@d.example</t:Entry></t:EmailAddresses>'
            '<t:PhysicalAddresses><t:Entry Key="Business"><t:Street>s</t:Street><t:City>c</t:City></t:Entry>'
            '</t:PhysicalAddresses><t:PhoneNumbers><t:Entry Key="MobilePhone">1</t:Entry></t:PhoneNumbers>'
            "<t:Birthday>1950-01-02T00:00:00Z</t:Birthday><t:Surname>Doe</t:Surname></t:Contact>")


def indexed(uri, index, kind="Contact", xml=None):
    field = '<t:IndexedFieldURI FieldURI="%s" FieldIndex="%s"/>' % (uri, index)
    if xml is None:
        return "<t:DeleteItemField>%s</t:DeleteItemField>" % field
    return "<t:SetItemField>%s<t:%s>%s</t:%s></t:SetItemField>" % (field, kind, xml, kind)


def entries(reply, name):
    e = reply.root.find(".//{*}" + name)
    return {x.get("Key"): x.text for x in e} if e is not None else {}


def test_contact(rig):
    item, key = rig.create(contact(), "contacts").id()
    r = rig.get(item, '<t:ExtendedFieldURI PropertyTag="0x3A1C" PropertyType="String"/>')
    assert entries(r, "EmailAddresses") == {"EmailAddress1": "j@d.example"}
    assert r.text("Birthday") == "1950-01-02T00:00:00Z" and r.text("Value") == "1"
    assert r.root.find(".//{*}CompleteName/{*}LastName").text == "Doe"
    email = "<t:EmailAddresses><t:Entry Key=\"EmailAddress2\">k@d.example</t:Entry></t:EmailAddresses>"
    street = '<t:PhysicalAddresses><t:Entry Key="Business"><t:Street>new</t:Street></t:Entry></t:PhysicalAddresses>'
    r = rig.update(item, key, indexed("contacts:EmailAddress", "EmailAddress2", xml=email) +
                   indexed("contacts:PhysicalAddress:Street", "Business", xml=street) +
                   indexed("contacts:PhoneNumber", "MobilePhone"))
    assert r.code == "NoError"
    key = r.id()[1]
    r = rig.get(item)
    assert entries(r, "EmailAddresses") == {"EmailAddress1": "j@d.example", "EmailAddress2": "k@d.example"}
    assert not r.all("PhoneNumbers") and r.text("Street") == "new" and r.text("City") == "c"
    wrong = rig.update(item, key, indexed("contacts:EmailAddress", "EmailAddress1", xml=email))
    assert wrong.code == "ErrorUpdatePropertyMismatch"
    r = rig.get(item, '<t:IndexedFieldURI FieldURI="contacts:EmailAddress" FieldIndex="EmailAddress2"/>', "IdOnly")
    assert entries(r, "EmailAddresses") == {"EmailAddress2": "k@d.example"}


def test_contact_has_no_mime(rig):
    r = rig.create("<t:Contact><t:MimeContent>QkVHSU46VkNBUkQ=</t:MimeContent></t:Contact>", "contacts")
    assert r.code == "ErrorUnsupportedMimeConversion"


def test_photo(rig):
    item, key = rig.create(contact(), "contacts").id()
    photo = ('<m:CreateAttachment><m:ParentItemId Id="%s" ChangeKey="%s"/><m:Attachments><t:FileAttachment><t:Name>'
             "ContactPicture.jpg</t:Name><t:IsContactPhoto>true</t:IsContactPhoto><t:Content>/9j/</t:Content>"
             "</t:FileAttachment></m:Attachments></m:CreateAttachment>")
    assert rig.get(item).text("HasPicture") == "false"
    r = rig.ask(photo % (item, key))
    root = r.root.find(".//{*}AttachmentId")
    assert root.get("RootItemId") == item and root.get("RootItemChangeKey") != key
    r = rig.get(item)
    assert r.text("HasPicture") == "true" and r.id()[1] == root.get("RootItemChangeKey")
    assert rig.ask(photo % (item, key)).code == "ErrorStaleObject"


def test_distribution_list(rig):
    xml = ("<t:DistributionList><t:Subject>L</t:Subject><t:DisplayName>L</t:DisplayName><t:Members><t:Member>"
           "<t:Mailbox><t:Name>A</t:Name><t:EmailAddress>a@b.example</t:EmailAddress></t:Mailbox></t:Member></t:Members>"
           "</t:DistributionList>")
    item, _ = rig.create(xml, "contacts").id()
    r = rig.get(item)
    assert r.text("ItemClass") == "IPM.DistList"
    assert r.root.find(".//{*}Member//{*}EmailAddress").text == "a@b.example"
    assert rig.sync("contacts").all("DistributionList")


def test_items_as_members(rig):
    """A contact by one of its addresses, a list as a list; nobody else's, and not as something else."""
    mail = '<t:EmailAddresses><t:Entry Key="EmailAddress1">a@b.example</t:Entry></t:EmailAddresses>'
    with_mail, _ = rig.create("<t:Contact><t:DisplayName>A</t:DisplayName>%s</t:Contact>" % mail, "contacts").id()
    mute, _ = rig.create("<t:Contact><t:DisplayName>M</t:DisplayName></t:Contact>", "contacts").id()
    xml = ("<t:DistributionList><t:DisplayName>L</t:DisplayName><t:Members><t:Member><t:Mailbox>%s<t:MailboxType>%s"
           '</t:MailboxType><t:ItemId Id="%s"/></t:Mailbox></t:Member></t:Members></t:DistributionList>')
    r = rig.create(xml % ("", "Contact", with_mail), "contacts")
    box = rig.get(r.id()[0]).root.find(".//{*}Member/{*}Mailbox")
    assert [x.tag.split("}")[1] for x in box] == ["Name", "EmailAddress", "RoutingType", "MailboxType", "ItemId"]
    assert box[1].text == "a@b.example" and box[4].get("Id") == with_mail
    assert rig.create(xml % ("", "PrivateDL", r.id()[0]), "contacts").code == "NoError"
    for bad in (("", "Contact", mute), ("", "PrivateDL", with_mail), ("", "Contact", r.id()[0]),
                ("<t:EmailAddress>z@b.example</t:EmailAddress>", "Contact", with_mail)):
        assert rig.create(xml % bad, "contacts").code == "ErrorInvalidPropertySet", bad
    empty = ('<t:DeleteItemField><t:FieldURI FieldURI="distributionlist:Members"/></t:DeleteItemField>')
    assert rig.update(r.id()[0], r.id()[1], empty).code == "NoError"
    assert rig.get(r.id()[0]).root.find(".//{*}Members") is None


def task(more="", subject="T"):
    return "<t:Task><t:Subject>%s</t:Subject>%s</t:Task>" % (subject, more)


def set_task(name, value):
    return "<t:SetItemField><t:FieldURI FieldURI=\"task:%s\"/><t:Task><t:%s>%s</t:%s></t:Task></t:SetItemField>" % (
        name, name, value, name)


def test_task_status(rig):
    item, key = rig.create(task("<t:PercentComplete>50</t:PercentComplete>"), "tasks").id()
    r = rig.get(item)
    assert (r.text("Status"), r.text("PercentComplete"), r.text("IsComplete")) == ("InProgress", "50", "false")
    key = rig.update(item, key, set_task("Status", "Completed")).id()[1]
    r = rig.get(item)
    assert (r.text("PercentComplete"), r.text("IsComplete")) == ("100", "true")
    assert r.text("CompleteDate")[:10] == datetime.datetime.utcnow().date().isoformat()
    key = rig.update(item, key, set_task("PercentComplete", "0")).id()[1]
    r = rig.get(item)
    assert r.text("Status") == "NotStarted" and r.text("CompleteDate") is None
    assert rig.get(item, '<t:FieldURI FieldURI="item:UniqueBody"/>').code == "ErrorInternalServerError"


def test_task_dates_are_days(rig):
    due = "<t:DueDate>2026-03-02T00:00:00Z</t:DueDate>"
    item, _ = rig.create(task(due), "tasks").id()
    assert rig.get(item).text("DueDate") == "2026-03-02T00:00:00Z"
    assert rig.get(item, head=ZONE % "W. Europe Standard Time").text("DueDate") == "2026-03-02T00:00:00+01:00"
    number = '<t:ExtendedFieldURI DistinguishedPropertySetId="Task" PropertyId="33029" PropertyType="SystemTime"/>'
    assert rig.get(item, number).text("Value") == "2026-03-02T00:00:00Z"
    # Midnight UTC is the day before in New York.
    r = rig.ask('<m:CreateItem><m:Items>%s</m:Items></m:CreateItem>' % task(due), ZONE % "Eastern Standard Time")
    assert rig.get(r.id()[0]).text("DueDate") == "2026-03-01T00:00:00Z"


@pytest.mark.parametrize("pattern, follows", [
    ("<t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>Monday</t:DaysOfWeek></t:WeeklyRecurrence>",
     "2026-03-09"),
    ("<t:DailyRegeneration><t:Interval>3</t:Interval></t:DailyRegeneration>",
     (datetime.datetime.utcnow() + datetime.timedelta(days=3)).date().isoformat())])
def test_a_series_of_tasks_moves_on(rig, pattern, follows):
    more = ("<t:DueDate>2026-03-02T00:00:00Z</t:DueDate><t:Recurrence>%s<t:NoEndRecurrence><t:StartDate>2026-03-02"
            "</t:StartDate></t:NoEndRecurrence></t:Recurrence>" % pattern)
    item, key = rig.create(task(more), "tasks").id()
    state = rig.sync("tasks").text("SyncState")
    assert rig.get(item).text("IsRecurring") == "true"
    assert rig.update(item, key, set_task("Status", "Completed")).code == "NoError"
    r = rig.sync("tasks", state)
    assert sorted(c.tag.split("}")[1] for c in r.root.find(".//{*}Changes")) == ["Create", "Update"]
    r = rig.get(item)
    assert r.text("Status") == "NotStarted" and r.text("DueDate")[:10] == follows
    done = [i for i in rig.control("read", mailbox=BOX, folder="tasks")["items"] if i["id"] != item]
    assert [i["props"]["Status"] for i in done] == ["Completed"] and "Recurrence" not in done[0]["props"]


def test_task_delete(rig):
    item, _ = rig.create(task(), "tasks").id()
    delete = '<m:DeleteItem DeleteType="SoftDelete"%s><m:ItemIds><t:ItemId Id="%s"/></m:ItemIds></m:DeleteItem>'
    assert rig.ask(delete % ("", item)).code == "ErrorAffectedTaskOccurrencesRequired"
    assert rig.ask(delete % (' AffectedTaskOccurrences="AllOccurrences"', item)).code == "NoError"


def test_attached_items(rig):
    nested = "<t:Message><t:Subject>in</t:Subject>%s</t:Message>"
    xml = ""
    for n in range(12):
        xml = nested % ("<t:Attachments><t:ItemAttachment><t:Name>n</t:Name>%s</t:ItemAttachment></t:Attachments>" % (
            xml or nested % ""))
    assert rig.create(xml, "inbox").code == "ErrorAttachmentNestLevelLimitExceeded"
    ok = nested % ("<t:Attachments><t:ItemAttachment><t:Name>n</t:Name>%s</t:ItemAttachment></t:Attachments>" % (
        nested % ""))
    r = rig.get(rig.create(ok, "inbox").id()[0])
    att = r.root.find(".//{*}AttachmentId").get("Id")
    r = rig.ask("<m:GetAttachment><m:AttachmentShape><t:IncludeMimeContent>true</t:IncludeMimeContent>"
                '</m:AttachmentShape><m:AttachmentIds><t:AttachmentId Id="%s"/></m:AttachmentIds></m:GetAttachment>'
                % att)
    assert r.root.find(".//{*}Message/{*}Subject").text == "in"
    assert b"Subject: in" in base64.b64decode(r.text("MimeContent"))
