"""Accidents: too many deletions, an emptied side, a store that is not there."""

import os
import shutil

import pytest

import corpus
import model

pytestmark = pytest.mark.product


def mid(m):
    return model.message_id(m.body)


def some(count, folder="INBOX", first=0):
    return [corpus.one(n, folder=folder, size=300, flags=(), keywords=()) for n in range(first, first + count)]


def remove_all(box, items):
    for m in items:
        box.remove(m.folder, mid(m))


def held(pair, survivors, gone_side):
    """The pass ends with 1 and 'held'; the other side keeps everything; what is new goes on."""
    new = corpus.one(9000, size=300)
    pair.side(gone_side).put(new)
    pair.once(rc=1)
    row = pair.status()
    assert row["result"] == "held" and row["held"] > 0, row
    other = pair.other(gone_side).read()
    assert other.bodies(without=("Trash",)) == model.expected(survivors + [new]).bodies()
    assert not other.get("Trash")
    # Once more: it stays held, and nothing creeps through, and nothing is copied back.
    before = pair.side(gone_side).read().count()
    pair.once(rc=1)
    assert pair.status()["result"] == "held"
    assert pair.other(gone_side).read().bodies(without=("Trash",)) == other.bodies(without=("Trash",))
    assert pair.side(gone_side).read().count() == before


@pytest.mark.parametrize("kind, side", [("local-imap", "left"), ("local-imap", "right"), ("imap-imap", "left")])
def test_twenty_pass(make, kind, side):
    """20 of 60 is not more than 20."""
    pair = make.pair(kind)
    items = some(60)
    pair.left.put(*items)
    pair.once()
    remove_all(pair.side(side), items[:20])
    pair.settle()
    assert pair.other(side).read().bodies(without=("Trash",)) == model.expected(items[20:]).bodies()
    pair.close()


@pytest.mark.parametrize("kind, side", [("local-imap", "left"), ("local-imap", "right"), ("imap-imap", "left")])
def test_twenty_one_are_held(make, kind, side):
    """21 of 60: more than 20, and more than 5 % of the pairing."""
    pair = make.pair(kind)
    items = some(60)
    pair.left.put(*items)
    pair.once()
    remove_all(pair.side(side), items[:21])
    held(pair, items, side)
    pair.close()


def test_twenty_one_of_many_pass(make):
    """21 spread over a pairing of 500 in folders of 100: 4.2 %, 21 % of the folder."""
    pair = make.pair("local-imap")
    items = [m for i in range(5) for m in some(100, "Box%d" % i, 1000 * i)]
    corpus.write_maildir(pair.left.root, items, folders=None)
    pair.once()
    remove_all(pair.left, items[:21])
    pair.settle()
    assert len(pair.right.read()["Box0"]) == 79
    pair.close()


def test_a_quarter_of_a_folder_is_held(make):
    """21 of a folder of 40 in a pairing of 500: 4.2 % of the pairing, 52 % of the folder."""
    pair = make.pair("local-imap")
    items = some(40, "Small", 5000) + [m for i in range(4) for m in some(115, "Box%d" % i, 1000 * i)]
    corpus.write_maildir(pair.left.root, items, folders=None)
    pair.once()
    remove_all(pair.left, items[:21])
    held(pair, items, "left")
    pair.close()


def test_both_directions_are_counted_apart(make):
    """15 deletions on each side are two times 15, not 30."""
    pair = make.pair("local-imap")
    items = some(60)
    pair.left.put(*items)
    pair.once()
    remove_all(pair.left, items[:15])
    remove_all(pair.right, items[15:30])
    pair.settle()
    assert pair.left.read().bodies(without=("Trash",)) == model.expected(items[30:]).bodies()
    pair.close()


@pytest.mark.parametrize("kind, side", [("local-imap", "left"), ("local-imap", "right"), ("imap-imap", "right")])
def test_emptied_side(make, kind, side):
    """Three of three: few, but the side is empty that was not."""
    pair = make.pair(kind)
    items = some(3)
    pair.left.put(*items)
    pair.once()
    remove_all(pair.side(side), items)
    pair.once(rc=1)
    assert pair.status()["result"] == "held"
    assert pair.other(side).read().bodies(without=("Trash",)) == model.expected(items).bodies()
    assert pair.side(side).read().count() == len(pair.side(side).read().get("Trash", ()))
    pair.close()


def test_deleted_folders_count_too(make):
    """30 messages vanish with their folder."""
    pair = make.pair("local-imap")
    items, rest = some(30, "Doomed"), some(20, first=100)
    pair.left.put(*items, *rest)
    pair.once()
    pair.left.delete_folder("Doomed")
    pair.once(rc=1)
    assert pair.status()["result"] == "held"
    assert len(pair.right.read()["Doomed"]) == 30
    pair.close()


def test_moves_are_no_deletions(make, side):
    """Thirty messages moved by hand: nothing is held."""
    pair = make.pair("local-imap")
    items = some(50)
    pair.left.put(*items)
    pair.once()
    for m in items[:30]:
        pair.side(side).move("INBOX", mid(m), "Sorted")
    pair.settle()
    assert len(pair.other(side).read()["Sorted"]) == 30
    assert not pair.other(side).read().get("Trash")
    pair.close()


def test_flood_is_held_after_the_first_pass(make):
    """1,001 new messages in a pairing of 100 look like an accident; the first pass may bring any number."""
    pair = make.pair("local-imap")
    items = some(100)
    corpus.write_maildir(pair.left.root, items, folders=None)
    pair.once()
    corpus.write_maildir(pair.left.root, some(1001, first=10_000), folders=None, start=10_000)
    pair.once(rc=1)
    row = pair.status()
    assert row["result"] == "held" and row["held"] >= 1001, row
    assert len(pair.right.read()["INBOX"]) == 100
    pair.close()


# --- a store that is not there ------------------------------------------------------------------------

def test_local_directory_gone(make):
    pair = make.pair("local-imap")
    items = some(5)
    pair.left.put(*items)
    pair.once()
    os.rename(pair.left.root, pair.left.root + ".away")
    pair.once(rc=1)
    row = pair.status()
    assert (row["result"], row["code"]) == ("failed", "0x81010040"), row
    assert pair.right.read().bodies(without=("Trash",)) == model.expected(items).bodies()
    # Nothing was laid out in its place; back again, it goes on.
    assert not os.path.exists(os.path.join(pair.left.root, "cur"))
    os.rename(pair.left.root + ".away", pair.left.root)
    pair.settle()
    pair.close()


def test_local_directory_replaced(make):
    """An empty directory where the mailbox was (a volume not mounted): an error, not a deletion."""
    pair = make.pair("local-imap")
    items = some(5)
    pair.left.put(*items)
    pair.once()
    shutil.rmtree(pair.left.root)
    pair.left.ensure()
    pair.once(rc=1)
    assert pair.status()["code"] == "0x81010040"
    assert pair.right.read().bodies(without=("Trash",)) == model.expected(items).bodies()
    pair.close()


@pytest.mark.parametrize("pattern, what", [(b"* LIST ", "no folders"), (b"INBOX", "no inbox")])
@pytest.mark.parametrize("first", (True, False))
def test_server_shows_no_folders(make, servers, pattern, what, first):
    """A listing without folders or without the inbox is an error at the first and at any later pass."""
    p = make.proxy(servers.dovecot("b"))
    pair = make.pair("local-imap", right={"tls": "none", "port": p.port})
    items = some(4)
    pair.left.put(*items)
    if not first:
        pair.once()

    def hide(line):
        return None if line.startswith((b"* LIST ", b"* STATUS ")) and pattern in line else line
    p.down_filter = hide
    pair.once(rc=1)
    row = pair.status()
    assert (row["result"], row["code"]) == ("failed", "0x81010041"), row
    assert pair.left.read().bodies() == model.expected(items).bodies()
    if not first:
        assert pair.right.read().bodies() == model.expected(items).bodies()
    p.calm()
    pair.settle()
    pair.close()


def test_server_hides_messages(make, servers):
    """EXISTS says four, the listing shows one: an incomplete listing proves no deletion."""
    p = make.proxy(servers.dovecot("b"))
    pair = make.pair("local-imap", right={"tls": "none", "port": p.port})
    items = some(4)
    pair.left.put(*items)
    pair.once()
    # Something must have changed, or nobody would list.
    pair.right.put(*some(1, first=50))
    p.down_filter = lambda line: None if line.startswith((b"* 2 FETCH", b"* 3 FETCH", b"* 4 FETCH")) else line
    pair.close()
    pair.config.once()
    assert len(pair.left.read()["INBOX"]) >= 4
    assert not pair.left.read().get("Trash")
    p.calm()
    pair.settle()
    assert pair.left.read().count() == 5
    pair.close()
