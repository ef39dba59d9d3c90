"""Exchange by its web service: mail both ways with a Maildir and with Dovecot, refusals, throttling."""

import pytest

import corpus
import model
from servers.exchange import Exchange, PASSWORD, SERVICE

pytestmark = pytest.mark.product


def mid(m):
    return model.message_id(m.body)


def plain(n, folder="INBOX", **how):
    return corpus.one(n, folder=folder, size=how.pop("size", 500), flags=how.pop("flags", ()),
                      keywords=how.pop("keywords", ()), **how)


@pytest.fixture(scope="module")
def exchange():
    s = Exchange()
    yield s
    s.stop()


SERIAL = iter(range(1, 100000))


@pytest.fixture
def build(make, exchange):
    """Makes a pairing of an Exchange mailbox (left, unless swapped) with another one; silence is checked at the end."""
    pairs = []

    def one(other="local", kinds="mail", inner="", own=False, pairing=None, gateway=None, swap=False, **how):
        address = "u%d@corp.example" % next(SERIAL)
        box = exchange.box(address)
        config = make.config(**(gateway or {}))
        logon = "" if own else "<LoginName>%s</LoginName><Password file=\"%s\"/>" % (
            SERVICE, config.secret("exchange", PASSWORD))
        how = {"CommitGrace": "0s", **how}       # what is interrupted is to go on at once
        more = "".join("<%s>%s</%s>" % (k, v, k) for k, v in how.items())
        config.endpoints["corp"] = "<endpoint name=\"corp\" type=\"exchange\">%s<FrontEnd>%s</FrontEnd>%s</endpoint>" % (
            logon, exchange.url, more)
        right, right_xml = make.box(config, "right", other)
        sides = [(box, config.mailbox("corp", address)), (right, right_xml)]
        (a, a_xml), (b, b_xml) = reversed(sides) if swap else sides
        config.pairing("p", a_xml, b_xml, inner=inner, kinds=kinds, **(pairing or {}))
        config.write()
        from conftest import Pair
        pair = Pair(config, a, b)
        pairs.append(pair)
        return pair

    exchange.ask("clear")
    exchange.ask("settings", mime="exact")
    exchange.failures()
    yield one
    exchange.ask("clear")
    for p in pairs:
        p.close()
    assert exchange.failures() == []


# Folders that every Exchange mailbox has, and those of the other side
OWN = ("Deleted Items", "Trash", "Sent Items", "Sent", "Sent (corp)", "Drafts", "Junk Email", "Junk", "Outbox", "Archive",
       "Conversation History", "Sync Issues", "RSS Feeds")


def same(pair):
    pair.equal(ignore=OWN)


@pytest.mark.parametrize("other", ("local", "imap"))
def test_first_copy_both_ways(build, other):
    pair = build(other)
    left, right = corpus.small(20, seed=3), corpus.small(12, seed=4, each_oddity=False)
    pair.left.put(*left)
    pair.right.put(*right)
    pair.once()
    pair.once()                 # a Maildir has no empty parents; the other side gets them next time
    same(pair)
    pair.verify()
    pair.idle()


@pytest.fixture(params=("local", "imap"))
def settled(build, request):
    """Three messages in the inbox and one in Work, equal on both sides."""
    pair = build(request.param)
    pair.items = [plain(1), plain(2, flags=("\\Seen",), keywords=("$Label1", "Privat")), plain(3),
                  plain(4, "Work")]
    pair.left.put(pair.items[0], pair.items[3])
    pair.right.put(*pair.items[1:3])
    pair.once()
    same(pair)
    return pair


def settle(pair):
    pair.once()
    same(pair)
    pair.verify()
    pair.idle()


@pytest.mark.parametrize("side", ("left", "right"))
@pytest.mark.parametrize("add, remove", [
    (("\\Seen",), ()), (("\\Flagged", "\\Answered"), ()), ((), ("\\Seen",)), (("Neu_Wort", "Zwei"), ()), ((), ("Privat",))])
def test_flags(settled, side, add, remove):
    target = settled.items[1]
    settled.side(side).flag("INBOX", mid(target), add, remove)
    settle(settled)
    i = settled.other(side).read().of("INBOX", mid(target))[0]
    want = {x if x[0] == "\\" else x.lower() for x in add} | {"\\Seen", "$label1", "privat"}
    assert i.flags | i.keywords == want - {x if x[0] == "\\" else x.lower() for x in remove}


def test_flags_from_the_other_side_only_imap_knows(settled):
    """$-keywords are kept without becoming categories; \\Deleted and both verbs are held."""
    target = settled.items[0]
    settled.right.flag("INBOX", mid(target), ("\\Answered", "$Forwarded", "$MDNSent"))
    settle(settled)
    i = settled.left.read().of("INBOX", mid(target))[0]
    assert i.flags == {"\\Answered"} and i.keywords == {"$forwarded", "$mdnsent"}
    assert all(not c[2].startswith("$") for x in settled.left.items() for c in x["props"].get("Categories", ()))


@pytest.mark.parametrize("side", ("left", "right"))
def test_move_and_remove(settled, side):
    settled.side(side).move("INBOX", mid(settled.items[0]), "Work")
    settled.side(side).move("INBOX", mid(settled.items[1]), "Neu/Tief & Ä")
    settled.side(side).remove("Work", mid(settled.items[3]))
    settled.once()
    settled.once()
    same(settled)
    got = settled.other(side).read()
    assert got.where(mid(settled.items[0])) == ["Work"]
    assert got.where(mid(settled.items[1])) == ["Neu/Tief & Ä"]
    assert not [f for f in got.where(mid(settled.items[3])) if f not in OWN]
    settled.idle()


def test_new_mail_is_no_draft_and_keeps_its_dates(settled):
    m = plain(30, flags=("\\Seen",), received=1_300_000_000)
    d = plain(31, flags=("\\Draft",))
    settled.right.put(m, d)
    settle(settled)
    box = settled.left.read()
    assert box.of("INBOX", mid(m))[0].received == 1_300_000_000
    assert "\\Draft" not in box.of("INBOX", mid(m))[0].flags and "\\Draft" in box.of("INBOX", mid(d))[0].flags


@pytest.mark.parametrize("mime", ("regenerate", "rough"))
def test_state_lost_where_mime_is_made_anew(build, exchange, mime):
    """Nothing is copied again after the loss of the state, though no byte is what it was."""
    pair = build("imap")
    exchange.ask("settings", mime=mime)
    pair.left.put(*corpus.small(12, seed=5, each_oddity=False))
    pair.right.put(*corpus.small(12, seed=6, each_oddity=False))
    pair.once()
    pair.once()
    counts = [b.read().count() for b in pair.boxes]
    assert counts[0] == counts[1] >= 24
    pair.config.forget("p")
    pair.once()
    assert [b.read().count() for b in pair.boxes] == counts
    pair.idle()


def test_a_draft_that_is_edited_in_exchange(settled, exchange):
    """Mail is taken as something that does not change: the other side keeps the text that it has; nothing is lost, made
    twice, or taken for removed, and flags stay in step."""
    settled.left.put(plain(60, flags=("\\Draft",)))
    settled.once()
    item, = (i for i in settled.left.items() if i["draft"])
    settled.left.ask("change", id=item["id"], xml="<t:Subject>Later</t:Subject><t:Body BodyType=\"Text\">new</t:Body>"
                     "<t:Flag><t:FlagStatus>Flagged</t:FlagStatus></t:Flag>")
    settled.once()
    got, = settled.right.read().of("INBOX", mid(plain(60)))
    assert got.flags == {"\\Draft", "\\Flagged"}
    assert len(settled.left.read()["INBOX"]) == len(settled.right.read()["INBOX"]) == 4
    settled.idle()


def test_sync_state_lost(settled, exchange):
    settled.left.ask("lose_states")
    settled.right.put(plain(40))
    settled.left.remove("INBOX", mid(settled.items[0]))
    settle(settled)
    assert settled.right.read().where(mid(settled.items[0])) in ([], ["Trash"])


def test_nothing_changed_is_cheap(settled, exchange):
    settled.once()
    exchange.ask("counts", reset=True)
    settled.once()
    counts = exchange.ask("counts")["counts"]
    print(counts)
    assert counts.get("GetItem", 0) == 0 and counts["FindFolder"] == 1 and counts["GetFolder"] == 1


def test_a_quiet_folder_is_not_asked(settled, exchange):
    """The list of folders says when something changed in each: who was quiet for a while is not asked, the others are,
    all together."""
    settled.once()
    settled.left.ask("age", seconds=3600)
    settled.once()
    exchange.ask("counts", reset=True)
    settled.once()
    assert exchange.ask("counts")["counts"] == {"GetFolder": 1, "FindFolder": 1}
    settled.left.flag("Work", mid(settled.items[3]), ("\\Flagged",))
    settled.once()
    assert exchange.ask("counts")["counts"]["SyncFolderItems"] == 1
    same(settled)
    # the next change in the same second leaves the folder's time, and its counts, as they were
    for n in range(6):
        settled.left.flag("Work", mid(settled.items[3]), *((("\\Flagged",), ()) if n % 2 else ((), ("\\Flagged",))))
        settled.once()
        same(settled)
    settled.left.ask("age", seconds=3600)
    settled.once()
    settled.left.remove("Work", mid(settled.items[3]))
    settled.left.ask("age", seconds=3600)
    settled.once()
    assert "Work" not in settled.right.read().where(mid(settled.items[3]))
    settled.idle()


def test_round_trips_of_a_thousand_messages(build, exchange):
    """From IMAP to Exchange in batches; then nothing changed: two requests and one for each folder that tells nothing."""
    pair = build(other="imap")
    pair.right.put(*(plain(n, folder="INBOX" if n % 3 else "Archive", size=300) for n in range(1000)))
    exchange.ask("counts", reset=True)
    pair.once()
    counts = exchange.ask("counts")["counts"]
    assert sum(counts.values()) <= 110, counts
    assert counts["CreateItem"] <= 30, counts
    pair.once()
    same(pair)
    exchange.ask("counts", reset=True)
    pair.once()
    counts = exchange.ask("counts")["counts"]
    assert set(counts) <= {"GetFolder", "FindFolder", "SyncFolderItems"}, counts
    assert counts["GetFolder"] == counts["FindFolder"] == 1, counts
    assert counts.get("SyncFolderItems", 0) <= len(pair.left.folders()), counts


def test_folders(settled):
    settled.left.create("Projekte/Alt")
    settled.right.create("Rechts")
    settled.right.put(plain(50, "Rechts/Ä & Ö"))
    settled.once()
    settled.once()
    same(settled)
    settled.right.rename("Rechts", "Umbenannt")
    settled.once()
    settled.once()
    same(settled)
    assert "Umbenannt/Ä & Ö" in settled.left.folders() and "Rechts" not in settled.left.folders()
    settled.idle()
