"""Messages: drafts, dates, flags, MIME, receipts, conflicts."""

import base64
import email

import pytest

from rig import BOX, ext, mail_xml, message

FIELD = '<t:FieldURI FieldURI="%s"/>'
TAG = '<t:ExtendedFieldURI PropertyTag="%s" PropertyType="%s"/>'


def mime_of(reply):
    return base64.b64decode(reply.text("MimeContent"))


def test_not_a_draft_with_message_flags(rig):
    a = rig.create(mail_xml(message()), "inbox")
    assert a.code == "NoError"
    item, key = a.id()
    r = rig.get(item, TAG % ("0x0E07", "Integer") + TAG % ("0x0e06", "SystemTime") + TAG % ("3591", "Integer"))
    assert r.text("IsDraft") == "false" and r.text("IsRead") == "true"
    assert r.text("DateTimeReceived") == "2026-03-02T09:00:05Z"
    assert r.text("DateTimeSent") == "2026-03-02T09:00:00Z"
    assert [x.get("PropertyTag") for x in r.all("ExtendedFieldURI")] == ["0xe07", "0xe06", "0xe07"]
    assert r.id() == (item, key)


def test_without_message_flags_it_is_a_draft(rig):
    item, _ = rig.create(mail_xml(message(), flags=None, received=None), "inbox").id()
    r = rig.get(item)
    assert r.text("IsDraft") == "true"
    assert not r.text("DateTimeReceived").startswith("2026-03-02T09")


def test_flags_cannot_make_a_draft_of_it_later(rig):
    item, key = rig.create(mail_xml(message()), "inbox").id()
    field = TAG % ("0x0E07", "Integer")
    r = rig.update(item, key, "<t:SetItemField>%s<t:Message>%s</t:Message></t:SetItemField>" % (
        field, ext("0x0E07", "Integer", 9)))
    assert r.code == "NoError"
    assert rig.get(item).text("IsDraft") == "false"


def test_mime_comes_back_regenerated_not_as_bytes(rig):
    data = message("Grüße".encode("utf-8").decode("latin-1"), "Ein kurzer Text mit Umlauten: äöü",
                   "X-Mailer: x\r\nX-Own: kept\r\n")
    item, _ = rig.create(mail_xml(data), "inbox").id()
    got = mime_of(rig.get(item, base="IdOnly", mime=True))
    assert got != data
    a, b = email.message_from_bytes(data), email.message_from_bytes(got)
    assert a.get_payload(decode=True) == b.get_payload(decode=True)
    assert b["X-Own"] == "kept" and b["Message-ID"] == a["Message-ID"] and "X-MS-Has-Attach" in b
    rig.control("settings", mime="rough")
    assert email.message_from_bytes(mime_of(rig.get(item, mime=True)))["X-Own"] is None
    rig.control("settings", mime="exact")
    assert mime_of(rig.get(item, mime=True)) == data
    headers = rig.get(item, FIELD % "item:InternetMessageHeaders", base="IdOnly").all("InternetMessageHeader")
    assert ("X-Own", "kept") in [(h.get("HeaderName"), h.text) for h in headers]


def test_multipart_boundaries_change_and_attachments_are_there(rig):
    parts = (b"From: a@b.example\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
             b'boundary="old"\r\n\r\n--old\r\nContent-Type: text/plain\r\n\r\nhi\r\n--old\r\n'
             b'Content-Type: application/pdf; name="x.pdf"\r\nContent-Disposition: attachment; filename="x.pdf"\r\n'
             b"Content-Transfer-Encoding: base64\r\n\r\nAQIDBA==\r\n--old--\r\n")
    item, _ = rig.create(mail_xml(parts), "inbox").id()
    r = rig.get(item, mime=True)
    assert r.text("HasAttachments") == "true"
    got = email.message_from_bytes(mime_of(r))
    assert got.get_boundary() != "old"
    assert got.get_payload()[1].get_payload(decode=True) == b"\1\2\3\4"
    att = r.root.find(".//{*}AttachmentId").get("Id")
    r = rig.ask('<m:GetAttachment><m:AttachmentIds><t:AttachmentId Id="%s"/></m:AttachmentIds></m:GetAttachment>' % att)
    assert base64.b64decode(r.text("Content")) == b"\1\2\3\4" and r.text("Name") == "x.pdf"


def test_signed_mail_is_kept(rig):
    data = (b"From: a@b.example\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; "
            b'protocol="application/pkcs7-signature"; micalg=sha-256; boundary="sig"\r\n\r\n--sig\r\nContent-Type: '
            b"text/plain\r\n\r\nhi =20\r\n--sig\r\nContent-Type: application/pkcs7-signature\r\n\r\nxx\r\n--sig--\r\n")
    item, _ = rig.create(mail_xml(data), "inbox").id()
    r = rig.get(item, mime=True)
    assert r.text("ItemClass") == "IPM.Note.SMIME.MultipartSigned"
    assert mime_of(r).split(b"\r\n\r\n", 1)[1] == data.split(b"\r\n\r\n", 1)[1]


@pytest.mark.parametrize("data, code", [
    (b" ", "ErrorMimeContentInvalid"),
    (b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: "
     b"multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n--b--\r\n", "ErrorMimeContentInvalid")])
def test_bad_mime_is_refused(rig, data, code):
    assert rig.create(mail_xml(data), "inbox").code == code
    assert rig.control("read", mailbox=BOX)["items"] == []


def test_bad_base64_is_refused(rig):
    r = rig.create("<t:Message><t:MimeContent>***</t:MimeContent></t:Message>", "inbox")
    assert r.code == "ErrorMimeContentInvalidBase64String"


def test_flags_categories_importance_verbs(rig):
    tail = "<t:Flag><t:FlagStatus>Flagged</t:FlagStatus></t:Flag>"
    xml = ("<t:Message><t:MimeContent>%s</t:MimeContent><t:Categories><t:String>Blue</t:String></t:Categories>"
           "<t:Importance>High</t:Importance>%s%s%s</t:Message>" % (
               base64.b64encode(message()).decode(), ext("0x0E07", "Integer", 0), ext("0x1081", "Integer", 102), tail))
    item, key = rig.create(xml, "inbox").id()
    more = FIELD % "item:Flag" + TAG % ("0x1081", "Integer") + TAG % ("0x1090", "Integer")
    r = rig.get(item, more)
    assert r.text("FlagStatus") == "Flagged" and r.text("Importance") == "High" and r.text("IsRead") == "false"
    assert [x.text for x in r.all("Value")] == ["102", "2"]
    r = rig.update(item, key, "<t:DeleteItemField>%s</t:DeleteItemField><t:SetItemField>%s<t:Message><t:Flag>"
                   "<t:FlagStatus>NotFlagged</t:FlagStatus></t:Flag></t:Message></t:SetItemField>" % (
                       FIELD % "item:Categories", FIELD % "item:Flag"))
    assert r.code == "NoError" and r.id()[1] != key and r.id()[0] == item
    r = rig.get(item, more)
    assert r.text("FlagStatus") == "NotFlagged" and not r.all("Categories") and r.id()[1] != key


def test_read_receipts_are_recorded_unless_suppressed(rig):
    data = message(more="Disposition-Notification-To: carl@example.net\r\n")
    read = "<t:SetItemField>%s<t:Message><t:IsRead>true</t:IsRead></t:Message></t:SetItemField>" % (
        FIELD % "message:IsRead")
    item, key = rig.create(mail_xml(data, flags=0), "inbox").id()
    assert rig.update(item, key, read).code == "NoError" and rig.failures() == []
    item, key = rig.create(mail_xml(data, flags=0), "inbox").id()
    rig.update(item, key, read, SuppressReadReceipts="false")
    assert [f["what"] for f in rig.failures()] == ["read-receipt"]
    rig.create(mail_xml(data, flags=1), "inbox")
    assert [f["what"] for f in rig.failures()] == ["read-receipt"] * 2
    rig.create(mail_xml(data, flags=1, more_ext=ext("0x0029", "Boolean", "false")), "inbox")
    assert len(rig.failures()) == 2


def test_sending_is_recorded(rig):
    rig.create(mail_xml(message()), "inbox", MessageDisposition="SendAndSaveCopy")
    assert [f["what"] for f in rig.failures()] == ["message-sent"]
    assert rig.create(mail_xml(message()), "inbox", MessageDisposition=None).code == "ErrorMessageDispositionRequired"


def test_conflicts(rig):
    item, key = rig.create(mail_xml(message()), "inbox").id()
    importance = "<t:SetItemField>%s<t:Message><t:Importance>%%s</t:Importance></t:Message></t:SetItemField>" % (
        FIELD % "item:Importance")
    subject = "<t:SetItemField>%s<t:Message><t:Subject>x</t:Subject></t:Message></t:SetItemField>" % (
        FIELD % "item:Subject")
    assert rig.update(item, key, importance % "High").code == "NoError"
    assert rig.update(item, key, subject, how="NeverOverwrite").code == "ErrorIrresolvableConflict"
    assert rig.update(item, key, importance % "Low").code == "ErrorIrresolvableConflict"
    assert rig.get(item).text("Importance") == "High"
    assert rig.update(item, key, subject).code == "NoError"
    assert rig.update(item, None, importance % "Low").code == "ErrorChangeKeyRequiredForWriteOperations"
    assert rig.update(item, "AAAA", importance % "Low").code == "ErrorInvalidChangeKey"
    assert rig.update(item, None, importance % "Low", how="AlwaysOverwrite").code == "NoError"


def test_update_refuses_what_exchange_refuses(rig):
    item, key = rig.create(mail_xml(message()), "inbox").id()

    def one(field, xml, kind="Message"):
        return rig.update(item, key, "<t:SetItemField>%s<t:%s>%s</t:%s></t:SetItemField>" % (
            FIELD % field, kind, xml, kind)).code
    assert one("item:DateTimeReceived", "<t:DateTimeReceived>2020-01-01T00:00:00Z</t:DateTimeReceived>") == \
        "ErrorInvalidPropertySet"
    assert one("item:Subject", "<t:Importance>Low</t:Importance>") == "ErrorUpdatePropertyMismatch"
    assert one("item:Subject", "<t:Subject>a</t:Subject><t:Importance>Low</t:Importance>") == \
        "ErrorIncorrectUpdatePropertyCount"
    assert one("item:Subject", "<t:Subject>a</t:Subject>", "CalendarItem") == "ErrorObjectTypeChanged"
    assert one("calendar:Location", "<t:Location>a</t:Location>", "CalendarItem") == "ErrorInvalidPropertySet"
    assert one("message:From", "<t:From><t:Mailbox><t:EmailAddress>a@b.example</t:EmailAddress></t:Mailbox></t:From>"
               ) == "ErrorInvalidPropertyUpdateSentMessage"


def test_named_properties_are_kept(rig):
    uri = '<t:ExtendedFieldURI PropertySetId="%s" PropertyName="uid" PropertyType="String"/>'
    guid = "4c6d9f2e-0000-4000-8000-0123456789ab"
    item, key = rig.create(mail_xml(message(), more_ext="<t:ExtendedProperty>%s<t:Value>a &amp; b</t:Value>"
                                    "</t:ExtendedProperty>" % (uri % guid)), "inbox").id()
    assert rig.get(item, uri % guid.upper(), base="IdOnly").text("Value") == "a & b"
    rig.update(item, key, "<t:DeleteItemField>%s</t:DeleteItemField>" % (uri % guid))
    assert rig.get(item, uri % guid, base="IdOnly").text("Value") is None


@pytest.mark.parametrize("xml, code", [
    ('<t:ExtendedFieldURI PropertyTag="0x8070" PropertyType="Integer"/>', "ErrorInvalidExtendedProperty"),
    ('<t:ExtendedFieldURI PropertyName="a" PropertyType="Integer"/>', "ErrorInvalidExtendedProperty"),
    ('<t:ExtendedFieldURI PropertyTag="0x1081" PropertyType="Integer"/>', "ErrorInvalidExtendedPropertyValue")])
def test_bad_extended_properties(rig, xml, code):
    r = rig.create("<t:Message><t:ExtendedProperty>%s<t:Value>x</t:Value></t:ExtendedProperty></t:Message>" % xml)
    assert r.code == code


def test_meeting_mail_is_another_element(rig):
    ics = ("BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:x\r\nDTSTART:20260302T090000Z\r\nEND:VEVENT\r\n"
           "END:VCALENDAR\r\n")
    data = message().replace(b"text/plain; charset=utf-8", b"text/calendar; charset=utf-8; method=REQUEST").replace(
        b"Some text.", ics.encode())
    item, _ = rig.create(mail_xml(data), "inbox").id()
    assert rig.get(item).all("MeetingRequest")
    assert rig.sync("inbox").root.find(".//{*}Create/{*}MeetingRequest") is not None


def test_broken_items(rig):
    item = rig.control("put", mailbox=BOX, folder="inbox", mime=message().decode(),
                       broken="ErrorMimeContentConversionFailed")["id"]
    assert rig.get(item, mime=True).code == "ErrorMimeContentConversionFailed"
    assert rig.get(item).code == "NoError"
    assert rig.failures() == []


def test_changes_show_in_the_mime_text(rig):
    item, key = rig.create(mail_xml(message("old", more="X-Own: kept\r\n")), "inbox").id()
    r = rig.update(item, key, "<t:SetItemField>%s<t:Message><t:Subject>new</t:Subject></t:Message></t:SetItemField>" % (
        FIELD % "item:Subject"))
    rig.ask('<m:CreateAttachment><m:ParentItemId Id="%s" ChangeKey="%s"/><m:Attachments><t:FileAttachment><t:Name>a.bin'
            "</t:Name><t:Content>AQI=</t:Content></t:FileAttachment></m:Attachments></m:CreateAttachment>" % r.id())
    got = email.message_from_bytes(mime_of(rig.get(item, mime=True)))
    assert (got["Subject"], got["X-Own"], got["Message-ID"]) == ("new", "kept", "<old@example.net>")
    assert [p.get_filename() for p in got.walk()] == [None, None, "a.bin"]
    assert got.get_payload()[0].get_payload().strip() == "Some text."
