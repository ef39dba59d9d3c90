"""Random life on both sides, conflicts included: whatever happens, the sides end equal and keep all.

What may be said without knowing how conflicts are decided: the sides are equal after a pass, a
further pass does nothing, a message that nobody removed is on both sides, and no message has more
copies than people made.
"""

import os
import random

import pytest

from conftest import figure
from scenario import mid, plain
from servers import cyrus

pytestmark = pytest.mark.product

FOLDERS = ("INBOX", "Work", "Work/Tief", "Größe & Maß", "日本")
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "k1", "$Forwarded")


class Side:
    """Random acts on one box, from its own point of view."""

    def __init__(self, box, rng, world):
        self.box, self.rng, self.world = box, rng, world

    def messages(self):
        got = self.box.read()
        return [(f, i.mid) for f in sorted(got) if f != "Trash" for i in got[f]]

    def act(self):
        rng, world = self.rng, self.world
        choice = rng.choice(("put", "put", "flag", "flag", "unflag", "move", "move", "copy", "remove", "bin",
                             "create", "rename", "delete"))
        if choice == "put":
            world.n += 1
            m = plain(world.n, rng.choice(FOLDERS), size=rng.choice((300, 900, 9000)))
            self.box.put(m)
            world.copies[mid(m)] = 1
            return
        if choice in ("create", "rename", "delete"):
            return self.folder_act(choice)
        here = self.messages()
        if not here:
            return
        folder, m = rng.choice(here)
        if sum(x == (folder, m) for x in here) > 1:
            return
        if choice in ("flag", "unflag"):
            words = tuple(rng.sample(FLAGS, 2))
            self.box.flag(folder, m, words if choice == "flag" else (), words if choice == "unflag" else ())
        elif choice in ("move", "copy"):
            to = rng.choice([f for f in FOLDERS if f != folder])
            if to not in self.box.folders():
                self.box.create(to)
            getattr(self.box, choice)(folder, m, to)
            if choice == "copy":
                world.copies[m] += 1
        else:
            if choice == "bin" and "Trash" in self.box.folders():
                self.box.move(folder, m, "Trash")
            else:
                self.box.remove(folder, m)
            world.removed.add(m)

    def folder_act(self, choice):
        rng, box, world = self.rng, self.box, self.world
        have = [f for f in box.folders() if f.startswith(("Work", "Gr", "日本", "Extra"))]
        name = "Extra %d" % world.next()
        if choice == "create":
            box.create(name)
        elif have and choice == "rename":
            box.rename(rng.choice(have), name)
        elif have and rng.random() < 0.4:
            # Leaves only: what servers do to the children of a deleted folder differs.
            leaves = [f for f in have if not any(g.startswith(f + "/") for g in have)]
            doomed = rng.choice(leaves)
            world.removed.update(i.mid for i in box.read()[doomed])
            box.delete_folder(doomed)


class World:
    def __init__(self, pair, rng):
        self.pair, self.rng, self.n, self.names = pair, rng, 0, 0
        self.copies, self.removed, self.held = {}, set(), 0

    def next(self):
        self.names += 1
        return self.names

    def pass_(self):
        """One pass. A folder that was deleted and made anew under its name may be a restored backup:
        what was in it is held back until a person has looked. Here the person removes it by hand."""
        self.pair.close()
        r = self.pair.config.once()
        if r.rc == 0:
            return
        status = self.pair.status()
        assert r.rc == 1 and status["result"] == "held", \
            "%s\n%s\n%s" % (r, status, self.pair.config.log()[-4000:])
        assert "the folder's ids changed" in self.pair.config.log(), self.pair.config.log()[-4000:]
        got = [box.read() for box in self.pair.boxes]
        removed = 0
        for side in (0, 1):
            for folder in sorted(got[side]):
                there = [i.mid for i in got[1 - side].get(folder, ())]
                for m in sorted(i.mid for i in got[side][folder] if folder != "Trash"):
                    if m in there:
                        there.remove(m)
                        continue
                    # Deleted with the folder, or moved out of it just before.
                    moved = [f for f in got[1 - side].where(m) if f != "Trash"]
                    assert m in self.removed or moved, "%s in %s is held, but nobody deleted it" % (m, folder)
                    self.pair.boxes[side].remove(folder, m, count=1)
                    removed += 1
        assert removed == status["held"], (removed, status)
        self.held += removed
        self.pair.once()

    def check(self):
        for box in self.pair.boxes:
            got = box.read()
            for m, copies in self.copies.items():
                where = [f for f in got.where(m) if f != "Trash"]
                if m not in self.removed:
                    assert where, "%s is lost on the %s" % (m, box.kind)
                # A message that both sides moved or copied elsewhere may keep both places.
                assert len(where) <= copies + 1, "%s is in %s, %d copies were made" % (m, where, copies)


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap", "imap-local", "cyrus-imap"))
def test_random_life(make, kind):
    if "cyrus" in kind and not cyrus.wanted():
        pytest.skip("MS_NO_CYRUS is set")
    live(make, kind, rounds=4)


@pytest.mark.full
@pytest.mark.parametrize("kind", ("local-imap", "imap-imap", "local-local", "cyrus-imap", "imap-cyrus"))
@pytest.mark.parametrize("part", range(6))
def test_random_long_life(make, kind, part):
    live(make, kind, rounds=25)


def live(make, kind, rounds):
    seed = int(os.environ.get("MS_RANDOM_SEED") or random.SystemRandom().randrange(1 << 32))
    print("MS_RANDOM_SEED=%d" % seed)
    rng = random.Random(seed)
    pair = make.pair(kind)
    world = World(pair, rng)
    sides = [Side(b, rng, world) for b in pair.boxes]
    for n in range(14):
        m = plain(1000 + n, rng.choice(FOLDERS))
        world.copies[mid(m)] = 1
        pair.left.put(m)
    pair.settle()
    acts = 0
    for _ in range(rounds):
        for side in sides:
            for _ in range(rng.randint(1, 5)):
                side.act()
                acts += 1
        # Conflicts of names may take a second look; a third would be an oscillation.
        world.pass_()
        world.pass_()
        pair.equal()
        pair.verify()
        world.check()
        pair.idle()
    pair.close()
    figure("%s: %d rounds, %d acts, %d messages made, %d removed, %d held back and looked at; 0 lost" % (
        kind, rounds, acts, len(world.copies), len(world.removed), world.held))
