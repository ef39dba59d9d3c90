"""Single messages, both directions: new, flag, keyword, move, copy, delete, conflict."""

import pytest

import corpus
import model

pytestmark = pytest.mark.product


def mid(m):
    return model.message_id(m.body)


def plain(n, folder="INBOX", **how):
    return corpus.one(n, folder=folder, size=how.pop("size", 500), **how)


@pytest.fixture
def settled(pair):
    """Three messages in the inbox and one in Work, equal on both sides."""
    pair.items = [plain(1, flags=(), keywords=()), plain(2, flags=("\\Seen",), keywords=("$Label1",)),
                  plain(3, flags=(), keywords=()), plain(4, "Work", flags=(), keywords=())]
    pair.left.put(*pair.items[:2])
    pair.right.put(*pair.items[2:])
    pair.once()
    pair.equal()
    return pair


def test_first_copy_both_ways(pair):
    """Everything of a varied corpus arrives on the other side, byte for byte."""
    left, right = corpus.small(30, seed=1), corpus.small(12, seed=2, each_oddity=False)
    pair.left.put(*left)
    pair.right.put(*right)
    pair.settle()
    want = model.expected(left + right)
    for box in pair.boxes:
        got = box.read()
        assert got.bodies(without=("Trash",)) == want.bodies()
        assert model.compare(got, want, ignore=("Trash",) + tuple(set(got) - set(want))) == []


def test_new(settled, side):
    m = plain(10, flags=("\\Flagged",), keywords=("Wichtig",))
    settled.side(side).put(m, plain(11, "Work"), plain(12, "Never seen/Ä & 🎉"))
    settled.settle()
    got = settled.other(side).read()
    assert got.of("INBOX", mid(m))[0].key() == model.item(m.body, m.flags, m.keywords, m.received, "").key()
    assert got.where(mid(plain(12))) == ["Never seen/Ä & 🎉"]


@pytest.mark.parametrize("add, remove", [
    (("\\Seen",), ()), (("\\Answered", "\\Flagged", "\\Draft"), ()), (("\\Deleted",), ()),
    ((), ("\\Seen",)), (("$Forwarded", "Neu"), ()), ((), ("$Label1",)),
    (("\\Flagged", "$MDNSent"), ("\\Seen", "$Label1"))])
def test_flags(settled, side, add, remove):
    target = settled.items[1]
    settled.side(side).flag("INBOX", mid(target), add, remove)
    settled.settle()
    i = settled.other(side).read().of("INBOX", mid(target))[0]
    have = i.flags | i.keywords
    want = {x if x.startswith("\\") else x.lower() for x in add}
    gone = {x if x.startswith("\\") else x.lower() for x in remove}
    assert want <= have and not gone & have
    # Nothing else moved.
    assert have == (({"\\Seen", "$label1"} | want) - gone)


def test_flags_merge_one_by_one(settled):
    """Both sides changed the same message: every flag that either side changed is changed."""
    target = mid(settled.items[1])
    settled.left.flag("INBOX", target, ("\\Flagged", "Links"), ("\\Seen",))
    settled.right.flag("INBOX", target, ("\\Answered", "Rechts"), ("$Label1",))
    settled.settle()
    for box in settled.boxes:
        i = box.read().of("INBOX", target)[0]
        assert i.flags == {"\\Flagged", "\\Answered"}
        assert i.keywords == {"links", "rechts"}


def test_same_flag_on_both_sides(settled):
    target = mid(settled.items[0])
    for box in settled.boxes:
        box.flag("INBOX", target, ("\\Seen", "gleich"))
    settled.settle()
    assert settled.left.read().of("INBOX", target)[0].flags == {"\\Seen"}


def test_move(settled, side):
    target = mid(settled.items[0])
    settled.side(side).move("INBOX", target, "Work")
    settled.settle()
    other = settled.other(side).read()
    assert other.where(target) == ["Work"]
    # A move is no deletion and no second copy.
    assert not other.get("Trash")
    assert other.count() == 4


def test_move_into_a_new_folder_with_a_flag(settled, side):
    target = mid(settled.items[1])
    settled.side(side).flag("INBOX", target, ("\\Flagged",))
    settled.side(side).move("INBOX", target, "New/Deeper")
    settled.settle()
    i = settled.other(side).read().of("New/Deeper", target)
    assert len(i) == 1 and i[0].flags == {"\\Flagged", "\\Seen"} and i[0].keywords == {"$label1"}


def test_copy(settled, side):
    target = mid(settled.items[0])
    settled.side(side).copy("INBOX", target, "Work")
    settled.settle()
    assert settled.other(side).read().where(target) == ["INBOX", "Work"]


def test_delete_to_trash(settled, side):
    """The default: the other side's copy goes to its own bin; the bins are not paired."""
    target = mid(settled.items[0])
    settled.side(side).remove("INBOX", target)
    settled.settle()
    assert settled.other(side).read().where(target) == ["Trash"]
    assert settled.side(side).read().where(target) == []


def test_move_into_the_bin_is_a_deletion(settled, side):
    target = mid(settled.items[0])
    settled.side(side).move("INBOX", target, "Trash")
    settled.settle()
    for box in settled.boxes:
        assert box.read().where(target) == ["Trash"]


def test_move_out_of_the_bin_is_a_restore(settled, side):
    target = mid(settled.items[0])
    settled.side(side).move("INBOX", target, "Trash")
    settled.settle()
    settled.side(side).move("Trash", target, "INBOX")
    settled.settle()
    assert settled.other(side).read()["INBOX"] and settled.other(side).read().of("INBOX", target)
    assert len(settled.other(side).read().of("INBOX", target)) == 1


def test_the_bins_are_not_paired(settled):
    settled.left.put(plain(20, "Trash"))
    settled.settle()
    assert settled.right.read().where(mid(plain(20))) == []


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap"))
@pytest.mark.parametrize("side", ("left", "right"))
def test_delete_expunge(make, kind, side):
    pair = make.pair(kind, deletions="expunge")
    a, b = plain(1), plain(2)
    pair.left.put(a, b)
    pair.settle(ignore=())
    pair.side(side).remove("INBOX", mid(a))
    pair.settle(ignore=())
    assert pair.other(side).read().bodies() == model.expected([b]).bodies()
    pair.close()


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap"))
@pytest.mark.parametrize("side", ("left", "right"))
def test_delete_archive(make, kind, side):
    """The other side's copy leaves its folder, stays in Archive, and is not copied back."""
    pair = make.pair(kind, deletions="archive")
    a, b = plain(1), plain(2)
    pair.left.put(a, b)
    pair.once()
    pair.equal(ignore=())
    pair.side(side).remove("INBOX", mid(a))
    pair.once()
    pair.idle()
    assert pair.other(side).read().where(mid(a)) == ["Archive"]
    assert pair.side(side).read().where(mid(a)) == []
    answer = pair.verify()
    excepted = sum(len(f.get("excepted", ())) for f in answer["folders"]) + len(answer.get("excepted", ()))
    assert excepted == 1
    pair.close()


def test_a_change_wins_over_a_deletion(settled, side):
    """Deleted here, flagged there: the message stays on both sides, with the flag."""
    target = mid(settled.items[0])
    settled.side(side).remove("INBOX", target)
    settled.other(side).flag("INBOX", target, ("\\Flagged",))
    settled.settle()
    for box in settled.boxes:
        i = box.read().of("INBOX", target)
        assert len(i) == 1 and "\\Flagged" in i[0].flags


def test_deleted_on_both_sides(settled):
    target = mid(settled.items[0])
    for box in settled.boxes:
        box.remove("INBOX", target)
    settled.settle()
    for box in settled.boxes:
        assert box.read().where(target) == []


def test_moved_to_different_places(settled):
    """Both sides moved it elsewhere: it ends in one and the same state, and is not lost."""
    target = mid(settled.items[0])
    settled.left.move("INBOX", target, "Work")
    settled.right.move("INBOX", target, "Other")
    settled.settle()
    where = settled.left.read().where(target)
    assert where and set(where) <= {"Work", "Other"} and "INBOX" not in where


def test_same_message_put_on_both_sides(settled):
    m = plain(30)
    for box in settled.boxes:
        box.put(m)
    settled.settle()
    assert len(settled.left.read().of("INBOX", mid(m))) == 1


def test_one_of_two_equal_copies_is_deleted(pair, side):
    m = plain(1, flags=())
    pair.left.put(m, m, plain(2))
    pair.settle()
    assert len(pair.right.read().of("INBOX", mid(m))) == 2
    pair.side(side).remove("INBOX", mid(m), count=1)
    pair.settle()
    for box in pair.boxes:
        assert len(box.read().of("INBOX", mid(m))) == 1


def test_many_things_at_once(settled):
    """New, flagged, moved and deleted on both sides between two passes."""
    more = [plain(n, "Work") for n in range(40, 52)]
    settled.left.put(*more)
    settled.settle()
    settled.left.put(plain(60), plain(61, "Fresh"))
    settled.right.put(plain(62), plain(63, "Fresh"), plain(64, "Other/Deep"))
    settled.left.flag("Work", mid(more[0]), ("\\Seen", "links"))
    settled.right.flag("Work", mid(more[1]), ("\\Flagged",))
    settled.left.move("Work", mid(more[2]), "INBOX")
    settled.right.move("Work", mid(more[3]), "Elsewhere")
    settled.left.remove("Work", mid(more[4]))
    settled.right.remove("Work", mid(more[5]))
    settled.settle()
    got = settled.left.read()
    assert got.where(mid(more[2])) == ["INBOX"] and got.where(mid(more[3])) == ["Elsewhere"]
    assert "Work" not in got.where(mid(more[4])) + got.where(mid(more[5]))
    assert sorted(f for n in range(60, 65) for f in got.where(mid(plain(n)))) == [
        "Fresh", "Fresh", "INBOX", "INBOX", "Other/Deep"]


def test_nothing_to_do_from_the_start(pair):
    pair.settle()
    assert {"INBOX"} <= set(pair.left.folders())
