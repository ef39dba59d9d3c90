"""Pictures of contacts: an attachment in Exchange, PHOTO of a card; made, changed, taken away, refused, interrupted."""

import base64
import random
import re

import pytest

from records import card
from test_exchange import build, exchange  # noqa: F401 (fixtures)
from test_exchange_kill import GATEWAY, settle as settled, steps
from test_exchange_records import Pair, pair, settle  # noqa: F401 (a fixture)

pytestmark = pytest.mark.product

PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "PNG")


def jpeg(n, size=900):
    return base64.b64encode(b"\xff\xd8\xff\xe0" + random.Random(n).randbytes(size)).decode(), "JPEG"


def with_photo(picture, uid="c1", more=""):
    return card(uid, "Ada Lovelace", "PHOTO;ENCODING=b;TYPE=%s:%s\n%s" % (picture[1], picture[0], more))


def photo(text):
    found = re.search(r"^PHOTO[^:]*TYPE=(\w+)[^:]*:(.*)$", re.sub(r"\r?\n[ \t]", "", text).replace("\r", ""), re.M)
    return found and (found.group(2), found.group(1))


def there(p, of=None):
    """The pictures of the only contact, or of the one with that id."""
    item = p.one("contacts") if of is None else next(i for i in p.items("contacts") if i["id"] == of)
    assert all(a["photo"] and a["name"] == "ContactPicture.jpg" for a in item["attachments"])
    return [(a["content"], a["type"] and a["type"].split("/")[1].upper()) for a in item["attachments"]]


def on_disk(p, uid="c1"):
    return photo(p.vdir.get("contacts", "Contacts", uid))


@pytest.mark.parametrize("picture", (PNG, jpeg(1, 700_000)), ids=("png", "large"))
def test_a_picture_is_an_attachment_there(pair, picture):  # noqa: F811
    text = with_photo(picture, more="X-KEPT:1\n")
    pair.vdir.add("contacts", "Contacts", text)
    pair.once()
    assert there(pair) == [picture]
    assert picture[0][:40] not in str(pair.one("contacts")["ext"])
    settle(pair, "contacts", "Contacts", "c1", text)


def test_a_picture_goes_both_ways(pair):  # noqa: F811
    pair.vdir.add("contacts", "Contacts", with_photo(PNG))
    pair.once()
    ref = pair.one("contacts")["id"]
    for n, act in enumerate(("there", "here", "away there", "there", "away here", "here")):
        picture, old = jpeg(n), on_disk(pair)
        if act == "there":              # as Outlook does: one, that says not of what type it is
            pair.box.ask("photo", id=ref, content=picture[0])
        elif act == "away there":
            pair.box.ask("photo", id=ref)
        elif act == "away here":
            pair.vdir.edit("contacts", "Contacts", "c1", "^PHOTO.*\n", "")
        elif old is None:
            pair.vdir.edit("contacts", "Contacts", "c1", "^END:", "PHOTO;ENCODING=b;TYPE=JPEG:%s\nEND:" % picture[0])
        else:
            pair.vdir.edit("contacts", "Contacts", "c1", "^PHOTO.*$", "PHOTO;ENCODING=b;TYPE=JPEG:%s" % picture[0])
        pair.once()
        want = None if act.startswith("away") else picture
        assert on_disk(pair) == want, act
        assert [p[0] for p in there(pair, ref)] == ([want[0]] if want else []), act
        pair.once()
        pair.idle()


def test_other_fields_do_not_touch_the_picture(pair, exchange):  # noqa: F811
    pair.vdir.add("contacts", "Contacts", with_photo(PNG))
    pair.once()
    exchange.ask("counts", reset=True)
    pair.vdir.edit("contacts", "Contacts", "c1", "^FN:.*$", "FN:Countess")
    pair.once()
    counts = exchange.ask("counts")["counts"]
    assert not {"CreateAttachment", "DeleteAttachment"} & set(counts), counts
    assert there(pair) == [PNG] and pair.one("contacts")["props"]["DisplayName"] == "Countess"


def test_what_is_no_picture_goes_with_the_rest(pair):  # noqa: F811
    text = card("c1", more="PHOTO;VALUE=uri:https://x.example/me.jpg\n")
    pair.vdir.add("contacts", "Contacts", text)
    pair.once()
    assert there(pair) == []
    settle(pair, "contacts", "Contacts", "c1", text)


def test_a_picture_that_is_refused(pair, exchange):  # noqa: F811
    """One item is set aside, with the reason; a new contact does not stay without its picture, others are not held up."""
    exchange.ask("fault", kind="error", op="CreateAttachment", code="ErrorAttachmentSizeLimitExceeded")
    pair.vdir.add("contacts", "Contacts", with_photo(PNG))
    pair.once()
    assert pair.items("contacts") == []
    assert "ErrorAttachmentSizeLimitExceeded" in pair.pair.config.ctl("quarantine", "p").out
    pair.vdir.add("contacts", "Contacts", with_photo(PNG, "c2"))
    pair.once()
    assert there(pair) == [PNG]
    assert on_disk(pair) == PNG


@pytest.mark.parametrize("op", ("CreateAttachment", "DeleteAttachment", "GetAttachment"))
@pytest.mark.parametrize("kind", ("drop", "drop-before", "drop-after", "mute", "busy"))
def test_an_interrupted_picture(pair, exchange, op, kind):  # noqa: F811
    """Whatever is lost on the way: in the end both have the one picture that was meant, and no contact twice."""
    if op == "GetAttachment" and kind == "mute":
        pytest.skip("a read that is not answered is asked again")
    pair.vdir.add("contacts", "Contacts", with_photo(PNG))
    if op != "CreateAttachment":
        pair.once()
        pair.vdir.edit("contacts", "Contacts", "c1", "^PHOTO.*$", "PHOTO;ENCODING=b;TYPE=JPEG:%s" % jpeg(2)[0])
    exchange.ask("fault", kind=kind, op=op, backoff=10)
    pair.pair.config.once()
    assert exchange.ask("faults")["struck"]
    exchange.ask("clear")
    settled(pair.pair)
    want = PNG if op == "CreateAttachment" else jpeg(2)
    assert there(pair) == [want] and on_disk(pair) == want
    assert len(pair.vdir.texts(("contacts", "Contacts"))) == 1
    pair.idle()


# --- every step ---------------------------------------------------------------------------------------------------------


def pictures_changed(p, n):
    vdir = Pair(p).vdir
    vdir.add("contacts", "Contacts", with_photo(jpeg(n), "c%d" % n))
    yield
    vdir.edit("contacts", "Contacts", "c%d" % n, "^PHOTO.*$", "PHOTO;ENCODING=b;TYPE=JPEG:%s" % jpeg(-n)[0])
    vdir.add("contacts", "Contacts", with_photo(jpeg(1000 + n), "d%d" % n))


def pictures_same(p, n):
    p = Pair(p)
    want = {"c%d" % i: jpeg(-i) for i in range(1, n + 1)} | {"d%d" % i: jpeg(1000 + i) for i in range(1, n + 1)}
    assert {uid: on_disk(p, uid) for uid in want} == want
    assert sorted(a for i in p.items("contacts") for a in there(p, i["id"])) == sorted(want.values())
    assert len(p.items("contacts")) == len(p.vdir.texts(("contacts", "Contacts"))) == 2 * n


@pytest.mark.full
def test_every_step_of_pictures(build, directory):  # noqa: F811
    steps(build, directory, pictures_changed, pictures_same, kinds="contacts")


def test_many_pictures(build):  # noqa: F811
    """More than one answer may hold."""
    p = Pair(build("local", kinds="contacts", gateway=GATEWAY))
    p.once()
    for n in range(60):
        p.box.ask("put", folder="contacts", xml=(
            "<t:Contact><t:Attachments><t:FileAttachment><t:Name>ContactPicture.jpg</t:Name><t:IsContactPhoto>true"
            "</t:IsContactPhoto><t:Content>%s</t:Content></t:FileAttachment></t:Attachments><t:DisplayName>P %02d"
            "</t:DisplayName></t:Contact>") % (jpeg(n, 200_000)[0], n))
    p.once()
    got = {re.search("FN:P (..)", t).group(1): photo(t) for _, t in p.vdir.texts(("contacts", "Contacts"))}
    assert got == {"%02d" % n: jpeg(n, 200_000) for n in range(60)}
    p.idle()
