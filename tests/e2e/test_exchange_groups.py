"""Groups of contacts: distribution lists there, KIND:group cards here; members are addresses, contacts and lists."""

import re

import pytest

from records import card
from test_exchange import build, exchange  # noqa: F401 (fixtures)
from test_exchange_faults import retried
from test_exchange_records import pair, props, settle  # noqa: F401 (a fixture)

pytestmark = pytest.mark.product


def group(*members, uid="g1", name="Friends", more=""):
    return ("BEGIN:VCARD\nVERSION:3.0\nUID:%s\nN:;;;;\nFN:%s\nX-ADDRESSBOOKSERVER-KIND:group\n%s%sEND:VCARD\n" % (
        uid, name, "".join("X-ADDRESSBOOKSERVER-MEMBER:%s\n" % m for m in members), more)).replace("\n", "\r\n")


def mailbox(name=None, address=None, kind="OneOff", item=None, routing=None):
    return "<t:Member><t:Mailbox>%s%s%s<t:MailboxType>%s</t:MailboxType>%s</t:Mailbox></t:Member>" % (
        "<t:Name>%s</t:Name>" % name if name else "", "<t:EmailAddress>%s</t:EmailAddress>" % address if address else "",
        "<t:RoutingType>%s</t:RoutingType>" % routing if routing else "", kind,
        "<t:ItemId Id=\"%s\"/>" % item if item else "")


def members_xml(*members):
    return "<t:Members>%s</t:Members>" % "".join(members)


def put_list(p, *members, name="There"):
    return p.box.ask("put", folder="contacts", xml=(
        "<t:DistributionList><t:Subject>%s</t:Subject><t:DisplayName>%s</t:DisplayName>%s</t:DistributionList>" % (
            name, name, members_xml(*members) if members else "")))["id"]


def lists(p):
    """Name -> members: (name, address, type, id)."""
    out = {}
    for i in p.items("contacts"):
        if i["kind"] == "DistributionList":
            out[i["props"]["DisplayName"]] = sorted(
                tuple(next((c[2] if c[0] != "ItemId" else c[1]["Id"] for c in m[2][0][2] if c[0] == n), None)
                      for n in ("Name", "EmailAddress", "MailboxType", "ItemId")) for m in i["props"].get("Members", ()))
    return out


def contact_id(p, name="Ada Lovelace"):
    return next(i["id"] for i in p.items("contacts") if i["kind"] == "Contact" and i["props"]["DisplayName"] == name)


def here(p, uid="g1"):
    text = p.vdir.get("contacts", "Contacts", uid)
    return sorted(re.findall(r"^X-ADDRESSBOOKSERVER-MEMBER:(.*)$", text.replace("\r", ""), re.M))


def refused(p):
    return p.pair.config.ctl("quarantine", "p").out


def test_a_group_is_a_list_there(pair):  # noqa: F811
    text = group("mailto:bob@x.example", "urn:uuid:c1", more="NOTE:Who\nCATEGORIES:A\nX-KEPT:1\n")
    pair.vdir.add("contacts", "Contacts", text)
    pair.vdir.add("contacts", "Contacts", card("c1"))
    pair.once()
    ref = contact_id(pair)
    assert lists(pair) == {"Friends": [("Ada Lovelace", "ada@example.org", "Contact", ref),
                                       ("bob@x.example", "bob@x.example", "OneOff", None)]}
    settle(pair, "contacts", "Contacts", "g1", text)


def test_an_empty_group(pair):  # noqa: F811
    pair.vdir.add("contacts", "Contacts", group())
    pair.once()
    assert lists(pair) == {"Friends": []}
    settle(pair, "contacts", "Contacts", "g1", group())


@pytest.mark.parametrize("uid", ("urn:uuid:2b6bd3f0-1111-4444-8888-000000000001", "a b/c\\,d"))
def test_uids_of_any_kind(pair, uid):  # noqa: F811
    pair.vdir.add("contacts", "Contacts", card(uid))
    member = uid if uid.startswith("urn:") else "urn:uuid:" + uid.replace("\\", "")
    pair.vdir.add("contacts", "Contacts", group(member))
    pair.once()
    assert [m[2] for m in lists(pair)["Friends"]] == ["Contact"]
    settle(pair, "contacts", "Contacts", "g1", group(member))


def test_a_list_made_there(pair):  # noqa: F811
    pair.box.ask("put", folder="contacts", xml=(
        "<t:Contact><t:DisplayName>Carl</t:DisplayName><t:EmailAddresses><t:Entry Key=\"EmailAddress1\">carl@x.example"
        "</t:Entry></t:EmailAddresses></t:Contact>"))
    put_list(pair, mailbox("Bob", "bob@x.example"), mailbox(kind="Contact", item=contact_id(pair, "Carl")))
    pair.once()
    texts = pair.texts("contacts", "Contacts")
    carl, = (re.search("^UID:(.*)$", t.replace("\r", ""), re.M).group(1) for t in texts if "FN:Carl" in t)
    there, = (t for t in texts if "FN:There" in t)
    uid = re.search("^UID:(.*)$", there.replace("\r", ""), re.M).group(1)
    assert here(pair, uid) == ["mailto:bob@x.example", "urn:uuid:" + carl]
    pair.once()
    pair.idle()
    # one more here: the others there stay who they are
    pair.vdir.edit("contacts", "Contacts", uid, "^END:", "X-ADDRESSBOOKSERVER-MEMBER:mailto:dora@x.example\nEND:")
    pair.once()
    assert lists(pair)["There"] == [
        ("Bob", "bob@x.example", "OneOff", None), ("Carl", "carl@x.example", "Contact", contact_id(pair, "Carl")),
        ("dora@x.example", "dora@x.example", "OneOff", None)]
    pair.once()
    pair.idle()


def test_members_come_and_go_on_both_sides(pair):  # noqa: F811
    pair.vdir.add("contacts", "Contacts", card("c1"))
    pair.vdir.add("contacts", "Contacts", group("mailto:bob@x.example", "urn:uuid:c1", more="X-KEPT:1\n"))
    pair.once()
    ref = next(i["id"] for i in pair.items("contacts") if i["kind"] == "DistributionList")
    pair.box.ask("change", id=ref, xml=members_xml(
        mailbox("Eve", "eve@x.example"), mailbox(kind="Contact", item=contact_id(pair))))
    pair.once()
    assert here(pair) == ["mailto:eve@x.example", "urn:uuid:c1"]
    assert "X-KEPT:1" in pair.vdir.get("contacts", "Contacts", "g1")
    pair.vdir.edit("contacts", "Contacts", "g1", "^X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:c1\r?\n", "")
    pair.once()
    assert lists(pair)["Friends"] == [("Eve", "eve@x.example", "OneOff", None)]
    pair.vdir.edit("contacts", "Contacts", "g1", "^X-ADDRESSBOOKSERVER-MEMBER.*\n", "")
    pair.once()
    assert lists(pair)["Friends"] == []
    pair.once()
    pair.idle()
    pair.vdir.delete("contacts", "Contacts", "g1")
    pair.once()
    assert lists(pair) == {} and contact_id(pair)


def test_a_list_in_a_list(pair):  # noqa: F811
    pair.vdir.add("contacts", "Contacts", group("mailto:bob@x.example", uid="inner", name="Inner"))
    pair.once()
    text = group("urn:uuid:inner", "mailto:a@x.example")
    pair.vdir.add("contacts", "Contacts", text)
    pair.once()
    assert sorted(m[2] for m in lists(pair)["Friends"]) == ["OneOff", "PrivateDL"]
    settle(pair, "contacts", "Contacts", "g1", text)


@pytest.mark.parametrize("member", ("urn:uuid:nobody", "tel:+4930", "urn:uuid:mute"))
def test_whom_exchange_cannot_name(pair, member):  # noqa: F811
    """The group is set aside whole: nobody is left out of a list. Once there is such a contact, it goes over."""
    if member.endswith("mute"):
        text = card("mute", "Mute").replace("EMAIL;TYPE=INTERNET,WORK:ada@example.org\r\n", "")
        pair.vdir.add("contacts", "Contacts", text)
    pair.vdir.add("contacts", "Contacts", group("mailto:bob@x.example", member))
    pair.once()
    assert lists(pair) == {} and "neither an address nor" in refused(pair) and member in refused(pair)
    if member.endswith("nobody"):
        pair.vdir.add("contacts", "Contacts", card("nobody"))
    elif member.endswith("mute"):
        pair.vdir.edit("contacts", "Contacts", "mute", "^END:", "EMAIL:mute@x.example\nEND:")
    else:
        return
    pair.once()                 # the contact goes over first
    retried(pair.pair)
    pair.once()
    assert len(lists(pair)["Friends"]) == 2
    pair.idle()


def test_a_list_there_that_no_card_can_say(pair):  # noqa: F811
    put_list(pair, mailbox("Boss", "/o=Corp/cn=boss", "Mailbox", routing="EX"), mailbox("Bob", "bob@x.example"))
    pair.once()
    assert pair.texts("contacts", "Contacts") == [] and "a member without an e-mail address: Boss" in refused(pair)
    assert len(lists(pair)["There"]) == 2


def test_a_member_who_is_gone(pair):  # noqa: F811
    pair.vdir.add("contacts", "Contacts", card("c1"))
    pair.vdir.add("contacts", "Contacts", group("urn:uuid:c1"))
    pair.once()
    pair.box.ask("delete", id=contact_id(pair))
    ref = next(i["id"] for i in pair.items("contacts") if i["kind"] == "DistributionList")
    pair.box.ask("change", id=ref, xml="<t:DisplayName>Few</t:DisplayName>")
    pair.once()
    assert here(pair) == ["mailto:ada@example.org"]
    pair.once()
    pair.idle()


def test_a_contact_is_no_group(pair):  # noqa: F811
    pair.vdir.add("contacts", "Contacts", card("c1"))
    pair.once()
    pair.vdir.edit("contacts", "Contacts", "c1", "^END:", "X-ADDRESSBOOKSERVER-KIND:group\nEND:")
    pair.once()
    assert "cannot become a group" in refused(pair) and lists(pair) == {}


@pytest.mark.parametrize("kind", ("drop", "drop-before", "drop-after"))
def test_a_group_whose_answer_is_lost(pair, exchange, kind):  # noqa: F811
    pair.vdir.add("contacts", "Contacts", card("c1"))
    pair.once()
    pair.vdir.add("contacts", "Contacts", group("urn:uuid:c1", "mailto:b@x.example"))
    exchange.ask("fault", kind=kind, op="CreateItem")
    pair.pair.config.once()
    exchange.ask("clear")
    pair.once()
    pair.once()
    assert [len(m) for m in lists(pair).values()] == [2] and here(pair) == ["mailto:b@x.example", "urn:uuid:c1"]
    pair.idle()
