"""The server as exchangelib, an unmodified foreign client, sees it."""

import base64
import datetime

import pytest

from rig import BOX, message

exchangelib = pytest.importorskip("exchangelib", reason="python3-exchangelib is not installed")
from exchangelib import FileAttachment, Mailbox, Message  # noqa: E402
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
