"""Folders: create, rename, delete, pairing by map, role and path, collisions."""

import pytest

import corpus
import model

pytestmark = pytest.mark.product


def mid(m):
    return model.message_id(m.body)


def plain(n, folder="INBOX", **how):
    return corpus.one(n, folder=folder, size=400, **how)


def contents(box, folder):
    return sorted(i.mid for i in box.read()[folder])


@pytest.fixture
def settled(pair):
    pair.items = [plain(1), plain(2, "Alpha"), plain(3, "Alpha/Beta"), plain(4, "Gamma")]
    pair.left.put(*pair.items[:3])
    pair.right.put(*pair.items[3:])
    pair.once()
    pair.equal()
    return pair


NAMES = ("Empty", "Deep/er/still", "R&D", "Größe", "日本語", "Party 🎉", "with  blanks", "a\\b", 'q"uote',
         "per%cent", "st*r", "~tilde", "(paren)", "%2F", "&", "INBOXES")


def accepted(box, name):
    """Does this store take the name at all? ('*' and a leading '~' are refused by some servers.)"""
    try:
        box.create(name)
    except AssertionError:
        assert box.kind == "imap"
        return False
    box.delete_folder(name)
    return True


def test_create_empty_folders_with_hard_names(settled, side):
    """Every name that both stores can hold arrives as it is."""
    made = [n for n in NAMES if all(accepted(b, n) for b in settled.boxes)]
    assert len(made) >= 12
    for name in made:
        settled.side(side).create(name)
    settled.settle()
    assert set(made) <= set(settled.other(side).folders())


def test_delete_empty_folder(settled, side):
    settled.side(side).create("Short life")
    settled.settle()
    settled.side(side).delete_folder("Short life")
    settled.settle()
    assert "Short life" not in settled.other(side).folders()


def test_delete_folder_with_messages(settled, side):
    """The folder goes, its messages go the way of deleted messages."""
    settled.side(side).delete_folder("Gamma")
    settled.settle()
    other = settled.other(side).read()
    assert "Gamma" not in other
    assert other.where(mid(settled.items[3])) == ["Trash"]


def test_delete_folder_against_new_message(settled, side):
    """Deleted here, a new message there: the message survives on both sides."""
    settled.side(side).delete_folder("Gamma")
    settled.other(side).put(plain(9, "Gamma"))
    settled.settle()
    assert settled.side(side).read().where(mid(plain(9))) == ["Gamma"]
    assert settled.other(side).read().where(mid(plain(9))) == ["Gamma"]


def test_rename(settled, side):
    settled.side(side).rename("Gamma", "Delta/Epsilon")
    settled.settle()
    other = settled.other(side).read()
    assert "Gamma" not in other and other.where(mid(settled.items[3])) == ["Delta/Epsilon"]
    # Renamed, not deleted and made anew.
    assert not other.get("Trash")


def test_rename_with_children(settled, side):
    settled.side(side).rename("Alpha", "Omega")
    settled.settle()
    other = settled.other(side).read()
    assert not {"Alpha", "Alpha/Beta"} & set(other)
    assert other.where(mid(settled.items[1])) == ["Omega"]
    assert other.where(mid(settled.items[2])) == ["Omega/Beta"]
    assert not other.get("Trash")


def test_rename_swap(settled, side):
    """A <-> B by way of a third name: contents change places, nothing is lost or doubled."""
    box = settled.side(side)
    box.rename("Gamma", "tmp")
    box.rename("Alpha/Beta", "Gamma")
    box.rename("tmp", "Alpha/Beta")
    settled.settle()
    other = settled.other(side).read()
    assert other.where(mid(settled.items[3])) == ["Alpha/Beta"]
    assert other.where(mid(settled.items[2])) == ["Gamma"]
    assert not other.get("Trash")


def test_rename_and_change_inside(settled, side):
    settled.side(side).rename("Gamma", "Neu & Gut")
    settled.side(side).put(plain(20, "Neu & Gut"))
    settled.other(side).flag("Gamma", mid(settled.items[3]), ("\\Flagged",))
    settled.settle()
    for box in settled.boxes:
        got = box.read()
        assert "\\Flagged" in [f for i in got.of("Neu & Gut", mid(settled.items[3])) for f in i.flags]
        assert got.where(mid(plain(20))) == ["Neu & Gut"]
        assert "Gamma" not in got


def test_renamed_differently_on_both_sides(settled):
    """One name wins on both sides; the message is there once."""
    settled.left.rename("Gamma", "Left name")
    settled.right.rename("Gamma", "Right name")
    settled.settle()
    where = settled.left.read().where(mid(settled.items[3]))
    assert where in (["Left name"], ["Right name"])


def test_delete_and_create_again(settled, side):
    """A new folder under an old name: what is new arrives, nothing old is copied back into it. The
    deletion of what was in the old one may be held, since a server that lost its ids looks alike."""
    box, other = settled.side(side), settled.other(side)
    box.delete_folder("Gamma")
    box.put(plain(30, "Gamma"))
    settled.close()
    r = settled.config.once()
    assert contents(box, "Gamma") == [mid(plain(30))]
    if r.rc == 0:
        assert contents(other, "Gamma") == [mid(plain(30))]
        settled.verify()
        settled.idle()
    else:
        assert settled.status()["result"] == "held"
        assert contents(other, "Gamma") == sorted([mid(plain(30)), mid(settled.items[3])])


def test_same_folder_made_on_both_sides(settled):
    settled.left.put(plain(40, "Both"))
    settled.right.put(plain(41, "Both"))
    settled.settle()
    assert contents(settled.left, "Both") == sorted([mid(plain(40)), mid(plain(41))])


def test_noselect_parent_needs_no_messages(pair):
    """A folder below one that does not exist itself."""
    pair.left.put(plain(1, "Only a name/Real"))
    pair.settle()
    assert pair.right.read().where(mid(plain(1))) == ["Only a name/Real"]


def german(servers):
    """A server whose folders with a role have German names."""
    special = "".join("  mailbox %s {\n    special_use = \\%s\n    auto = create\n  }\n" % x for x in (
        ("Gesendet", "Sent"), ("Papierkorb", "Trash"), ("Entwuerfe", "Drafts")))
    return servers.dovecot("german", special_use=False, extra="namespace inbox {\n%s}\n" % special)


def test_roles_pair_whatever_the_names(make, servers):
    """Right: the folder with the role Sent is called 'Gesendet'; left: 'Sent'."""
    pair = make.pair("local-imap", right={"server": german(servers)})
    assert {"Gesendet", "Papierkorb", "Entwuerfe"} <= set(pair.right.folders())
    pair.left.put(plain(1, "Sent"), plain(2, "Drafts"))
    pair.right.put(plain(3, "Gesendet"))
    pair.once()
    right, left = pair.right.read(), pair.left.read()
    assert right.where(mid(plain(1))) == ["Gesendet"] and right.where(mid(plain(2))) == ["Entwuerfe"]
    assert left.where(mid(plain(3))) == ["Sent"]
    assert "Sent" not in right and "Gesendet" not in left
    pair.verify()
    pair.idle()
    # A deletion goes to the bin that has the role.
    pair.left.remove("Sent", mid(plain(1)))
    pair.once()
    assert pair.right.read().where(mid(plain(1))) == ["Papierkorb"]
    pair.verify()
    pair.close()


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap"))
def test_folder_map(make, kind):
    pair = make.pair(kind, folders='<map left="Kunden/Alt" right="Archiv 2020"/>')
    pair.left.put(plain(1, "Kunden/Alt"))
    pair.right.put(plain(2, "Archiv 2020"))
    pair.once()
    rename = {"Kunden/Alt": "Archiv 2020"}
    # The map's parent may or may not exist as a folder of its own.
    assert contents(pair.right, "Archiv 2020") == sorted([mid(plain(1)), mid(plain(2))])
    assert contents(pair.left, "Kunden/Alt") == sorted([mid(plain(1)), mid(plain(2))])
    assert "Archiv 2020" not in pair.left.read() and "Kunden/Alt" not in pair.right.read()
    assert pair.differences(rename=rename) == []
    pair.verify()
    pair.idle()
    pair.close()


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap"))
def test_exclude(make, kind):
    pair = make.pair(kind, folders="<exclude>Privat/*</exclude><exclude>Junk</exclude>")
    pair.left.put(plain(1, "Privat/Geheim"), plain(2, "Junk"), plain(3, "Offen"))
    pair.once()
    got = pair.right.read()
    assert got.where(mid(plain(1))) == [] and got.where(mid(plain(2))) == []
    assert got.where(mid(plain(3))) == ["Offen"]
    pair.verify()
    pair.idle()
    pair.close()


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap"))
def test_collision_with_a_mapped_folder(make, kind):
    """A name that is held on the other side by a folder paired otherwise: the newcomer gets a suffix
    there, nothing is merged, nothing stops, and it stays that way."""
    pair = make.pair(kind, folders='<map left="Alt" right="Ziel"/>')
    pair.left.put(plain(1, "Alt"), plain(2, "Ziel"))
    pair.once()
    right = pair.right.read()
    assert right.where(mid(plain(1))) == ["Ziel"]
    where = right.where(mid(plain(2)))
    assert len(where) == 1 and where[0] != "Ziel" and where[0].startswith("Ziel")
    assert pair.left.read().where(mid(plain(2))) == ["Ziel"]
    pair.verify()
    pair.idle()
    # It goes on to work in both directions.
    pair.right.put(plain(3, where[0]))
    pair.left.put(plain(4, "Ziel"))
    pair.once()
    assert pair.left.read().where(mid(plain(3))) == ["Ziel"]
    assert pair.right.read().where(mid(plain(4))) == where
    pair.verify()
    pair.idle()
    pair.close()


def test_collision_with_a_role(make, servers):
    """Left 'Gesendet' is an ordinary folder; on the right that name belongs to the role Sent."""
    pair = make.pair("local-imap", right={"server": german(servers)})
    pair.left.put(plain(1, "Sent"), plain(2, "Gesendet"))
    pair.right.put(plain(3, "Gesendet"))
    pair.once()
    right = pair.right.read()
    assert sorted(contents(pair.right, "Gesendet")) == sorted([mid(plain(1)), mid(plain(3))])
    where = right.where(mid(plain(2)))
    assert len(where) == 1 and where[0] != "Gesendet"
    assert pair.left.read().where(mid(plain(2))) == ["Gesendet"]
    pair.verify()
    pair.idle()
    pair.close()


def test_other_separator_and_prefix(make, servers):
    """A server of the 'INBOX.' kind: names carry no prefix on the other side."""
    courier = servers.dovecot("courier", prefix="INBOX.", separator=".")
    pair = make.pair("local-imap", right={"server": courier})
    pair.left.put(plain(1), plain(2, "Alpha/Beta"))
    pair.right.put(plain(3, "Gamma/Ä"))
    pair.settle()
    assert pair.left.read().where(mid(plain(3))) == ["Gamma/Ä"]
    pair.left.rename("Alpha/Beta", "Alpha/New")
    pair.settle()
    assert pair.right.read().where(mid(plain(2))) == ["Alpha/New"]
    pair.close()
