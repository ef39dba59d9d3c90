"""Contents that are there already, lost state, changed identity: nothing lost, doubled or deleted."""

import os
import shutil

import pytest

import corpus
import model

pytestmark = pytest.mark.product


def mid(m):
    return model.message_id(m.body)


def plain(n, folder="INBOX", **how):
    return corpus.one(n, folder=folder, size=400, **how)


def test_equal_contents_are_adopted(pair):
    """Both sides hold the same corpus, equal duplicates and missing Message-IDs included."""
    items = corpus.small(30, seed=7)
    for box in pair.boxes:
        box.put(*items)
    want = model.expected(items).bodies()
    pair.settle()
    for box in pair.boxes:
        assert box.read().bodies(without=("Trash",)) == want


def test_overlapping_contents(pair):
    """A common part, and something of its own on each side."""
    common, left, right = (corpus.small(12, seed=s, each_oddity=s == 1) for s in (1, 2, 3))
    pair.left.put(*common, *left)
    pair.right.put(*common, *right)
    pair.settle()
    want = model.expected(common + left + right).bodies()
    assert pair.left.read().bodies(without=("Trash",)) == want


def test_equal_duplicates_pair_one_to_one(pair):
    """Three copies left, two right: three on both sides afterwards, not five and not two."""
    m = plain(1, flags=())
    pair.left.put(m, m, m)
    pair.right.put(m, m)
    pair.settle()
    assert len(pair.right.read().of("INBOX", mid(m))) == 3
    assert len(pair.left.read().of("INBOX", mid(m))) == 3


@pytest.mark.parametrize("what", ("no-id", "empty-id", "repeated-id", "header-only", "raw-latin1"))
def test_hard_identities(pair, what):
    """Five different messages without a usable Message-ID, on both sides in another order."""
    items = [corpus.one(n, what=what, size=300 + 10 * n, flags=()) for n in range(5)]
    pair.left.put(*items)
    pair.right.put(*reversed(items))
    pair.settle()
    assert pair.left.read().bodies() == model.expected(items).bodies()
    assert pair.right.read().bodies() == model.expected(items).bodies()


def test_adoption_merges_flags(pair):
    """Without a common past a flag that either side has is kept."""
    m = plain(1, flags=(), keywords=())
    pair.left.put(corpus.Message("INBOX", m.body, frozenset(["\\Seen"]), frozenset(["a"]), m.received))
    pair.right.put(corpus.Message("INBOX", m.body, frozenset(["\\Flagged"]), frozenset(["b"]), m.received))
    pair.settle()
    i = pair.left.read().of("INBOX", mid(m))
    assert len(i) == 1 and i[0].flags == {"\\Seen", "\\Flagged"} and i[0].keywords == {"a", "b"}


def test_state_lost(pair):
    """State deleted, and meanwhile both sides changed: nothing lost, doubled or deleted."""
    items = corpus.small(20, seed=3)
    pair.left.put(*items)
    pair.settle()
    pair.config.forget("p")
    new_left, new_right = plain(100), plain(101, "Elsewhere")
    pair.left.put(new_left)
    pair.right.put(new_right)
    pair.settle()
    want = model.expected(items + [new_left, new_right]).bodies()
    for box in pair.boxes:
        assert box.read().bodies(without=("Trash",)) == want
        assert not box.read().get("Trash")


def test_state_lost_with_a_deletion_pending(pair, side):
    """Without a state a missing message is no deletion: it comes back."""
    items = [plain(1), plain(2), plain(3)]
    pair.left.put(*items)
    pair.settle()
    pair.side(side).remove("INBOX", mid(items[0]))
    pair.config.forget("p")
    pair.settle()
    for box in pair.boxes:
        assert box.read().bodies() == model.expected(items).bodies()


def test_whole_state_directory_lost(pair):
    items = corpus.small(8, seed=4, each_oddity=False)
    pair.left.put(*items)
    pair.settle()
    shutil.rmtree(pair.config.state)
    pair.settle()
    assert pair.right.read().bodies() == model.expected(items).bodies()


def test_damaged_state_is_an_error_not_a_disaster(pair):
    items = [plain(1), plain(2)]
    pair.left.put(*items)
    pair.settle()
    with open(pair.config.state_db("p"), "r+b") as f:
        f.write(b"this is no database, " * 400)
    pair.close()
    r = pair.config.once()
    assert r.rc in (0, 1), r
    for box in pair.boxes:
        assert box.read().bodies() == model.expected(items).bodies()


@pytest.mark.parametrize("kind, side", [("local-imap", "right"), ("imap-imap", "left")])
def test_uidvalidity_changed(make, servers, kind, side):
    """New UIDs for old messages: re-identified, nothing doubled, and changes still travel."""
    pair = make.pair(kind)
    items = corpus.small(18, seed=5, folders=[("INBOX", 3), ("Work", 1)])
    pair.left.put(*items)
    pair.settle()
    box = pair.side(side)
    pair.close()
    for folder in ("INBOX", "Work"):
        box.server.change_uidvalidity(box.user, folder)
    new = plain(200)
    pair.other(side).put(new)
    pair.settle()
    want = model.expected(items + [new]).bodies()
    for b in pair.boxes:
        assert b.read().bodies(without=("Trash",)) == want
        assert not b.read().get("Trash")
    box.flag("INBOX", mid(new), ("\\Flagged",))
    pair.settle()
    assert "\\Flagged" in pair.other(side).read().of("INBOX", mid(new))[0].flags
    pair.close()


def test_uidvalidity_changed_and_messages_gone(make):
    """Under a new UIDVALIDITY an absence is no deletion while less than 80 % is found again."""
    pair = make.pair("local-imap")
    items = [plain(n) for n in range(1, 7)]
    pair.left.put(*items)
    pair.settle()
    for m in items[:2]:
        pair.right.remove("INBOX", mid(m))
    pair.close()
    pair.right.server.change_uidvalidity(pair.right.user, "INBOX")
    assert pair.config.once().rc in (0, 1)
    left = pair.left.read()
    assert left.bodies(without=("Trash",)) == model.expected(items).bodies() and not left.get("Trash")
    pair.close()


def test_folder_made_anew_behind_our_back(make, side):
    """Deleted and made again with the same messages: new UIDVALIDITY, equal contents."""
    pair = make.pair("imap-imap")
    items = [plain(n, "Work") for n in range(1, 5)]
    pair.left.put(*items)
    pair.settle()
    box = pair.side(side)
    box.delete_folder("Work")
    box.put(*items)
    pair.settle()
    for b in pair.boxes:
        assert b.read().bodies(without=("Trash",)) == model.expected(items).bodies()
    pair.close()


def test_name_reused_for_another_mailbox(make):
    """The pairing's name stays, the right mailbox is another one: a new pairing, no deletions."""
    pair = make.pair("local-imap")
    items = [plain(n) for n in range(1, 4)]
    pair.left.put(*items)
    pair.settle()
    config = pair.config
    box, xml = make.box(config, "right", "imap")
    other = plain(50)
    box.put(other)
    path = os.path.dirname(os.path.dirname(pair.left.root))
    config.local("left", path)
    config.pairing("p", config.mailbox("left", os.path.basename(os.path.dirname(pair.left.root))), xml)
    config.write()
    old, pair.right = pair.right, box
    pair.settle()
    want = model.expected(items + [other]).bodies()
    for b in pair.boxes:
        assert b.read().bodies() == want
    assert old.read().bodies() == model.expected(items).bodies()
    pair.close()
