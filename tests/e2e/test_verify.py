"""verify is what people trust, so it is tried against differences made by hand, without a state."""

import os

import pytest

import corpus
import model
from corpus import Message

pytestmark = pytest.mark.product


def plain(n, folder="INBOX", **how):
    return corpus.one(n, folder=folder, size=400, **how)


def found(answer):
    return sorted(d["what"] for f in answer["folders"] for d in f["differences"])


def same(pair, *items):
    for box in pair.boxes:
        box.put(*items)


def test_equal_without_any_pass(pair):
    same(pair, *corpus.small(18))
    # The role folders that a server makes by itself are on both sides, or verify would differ.
    for box in pair.boxes:
        have = set(box.folders())
        for f in ("Sent", "Drafts", "Junk", "Archive", "Trash"):
            if f not in have:
                box.create(f)
    before = [b.stamp() for b in pair.boxes]
    pair.verify()
    assert before == [b.stamp() for b in pair.boxes]
    assert pair.left.read().count()


@pytest.mark.parametrize("what", ("missing-left", "missing-right", "content", "flags", "keywords", "received"))
def test_each_kind_of_difference(pair, what):
    m = plain(1, flags=("\\Seen",), keywords=("eins",))
    same(pair, plain(2), plain(3, "Work"))
    pair.once()
    pair.verify()
    if what == "missing-left":
        pair.right.put(m)
    elif what == "missing-right":
        pair.left.put(m)
    else:
        other = {"content": Message(m.folder, m.body[:-3] + b"?\r\n", m.flags, m.keywords, m.received),
                 "flags": Message(m.folder, m.body, frozenset(["\\Seen", "\\Flagged"]), m.keywords, m.received),
                 "keywords": Message(m.folder, m.body, m.flags, frozenset(["zwei"]), m.received),
                 "received": Message(m.folder, m.body, m.flags, m.keywords, m.received + 5)}[what]
        pair.left.put(m)
        pair.right.put(other)
    answer = pair.verify(rc=1)
    assert found(answer) == [what], answer
    item = [d["item"] for f in answer["folders"] for d in f["differences"]][0]
    assert model.message_id(m.body).strip("<>") in str(item), item


def test_a_second_copy_is_a_difference(pair):
    m = plain(1)
    same(pair, m)
    pair.once()
    pair.left.put(m)
    assert found(pair.verify(rc=1)) == ["missing-right"]


def test_missing_folder(pair):
    same(pair, plain(1))
    pair.once()
    pair.right.create("Nur rechts")
    answer = pair.verify(rc=1)
    assert answer["verdict"] == "differs"
    assert "Nur rechts" in str(answer)


def test_a_message_in_another_folder(pair):
    pair.left.put(plain(1), plain(2, "Work"))
    pair.once()
    pair.left.move("INBOX", model.message_id(plain(1).body), "Work")
    assert found(pair.verify(rc=1)) == ["missing-left", "missing-right"]


def test_one_flipped_byte_in_a_file(make):
    """The same size, name and time: only a reading of the whole body finds it."""
    pair = make.pair("local-imap")
    items = corpus.small(10, each_oddity=False)
    pair.left.put(*items)
    pair.once()
    pair.verify()
    path, _ = model.maildir_files(pair.left.path(items[0].folder))[0]
    st = os.stat(path)
    with open(path, "r+b") as f:
        f.seek(-10, 2)
        c = f.read(1)
        f.seek(-10, 2)
        f.write(b"Z" if c != b"Z" else b"Y")
    os.utime(path, (st.st_atime, st.st_mtime))
    assert "content" in found(pair.verify(rc=1))
    pair.close()


def test_subjects_are_not_shown(pair):
    m = plain(1, what="raw-utf8")
    pair.left.put(m)
    pair.close()
    r = pair.config.verify("p")
    assert r.rc == 1 and "Grüße" not in r.out and "Gr\\u00fc" not in r.out.lower()


def test_unreachable_side_is_incomplete(make, servers):
    p = make.proxy(servers.dovecot("b"))
    pair = make.pair("local-imap", right={"tls": "none", "port": p.port})
    pair.left.put(plain(1))
    pair.once()
    p.refuse()
    assert pair.config.verify("p").rc == 2
    p.calm()
    pair.verify()
    pair.close()


def test_unknown_pairing(pair):
    assert pair.config.verify("nobody").rc == 3
    assert pair.config.plan("nobody").rc == 3


def test_plan_names_what_a_pass_would_do_and_does_nothing(pair):
    m = plain(1)
    pair.left.put(m)
    before = [b.stamp() for b in pair.boxes]
    actions = pair.plan()
    assert before == [b.stamp() for b in pair.boxes]
    mine = [a for a in actions if model.message_id(m.body).strip("<>") in str(a["item"])]
    assert len(mine) == 1 and mine[0]["side"] == "right" and mine[0]["kind"] == "mail", actions
    assert mine[0]["folder"] == "INBOX" and mine[0]["why"]
    pair.once()
    assert pair.plan() == []
