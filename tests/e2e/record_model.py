"""What people did to the items of two sides, and what must come of it when passes between are cut off.

The model keeps a text of its own of every item and does to it what people do to the real ones. Nobody knows
how far an interrupted pass came, so where both sides did something the model holds every outcome that is
right: both values where both sides set one property, there or gone where one side deleted what the other
edited. Everything else has one outcome. Both sides are read item by item, by vobject.
"""

from records import NotThere, facts, with_property


class Item:
    def __init__(self, kind, uid, name, text):
        self.kind, self.uid, self.name, self.text = kind, uid, name, text
        self.other = {}                 # (instance, property) -> other values that are right too
        self.whole = []                 # other contents that are right too
        self.set_by = {}                # (instance, property) -> the side that did it last, since the last settling
        self.moved_by = self.deleted_by = None
        self.edited_by = set()
        self.where = {}                 # side -> path there, as far as known
        self.home, self.past, self.fresh = name, [facts(text)[1]], True     # as of the last settling, and since

    def right(self, got):
        """Whether these are contents that may have come of it."""
        for text in [self.text] + self.whole:
            want = facts(text)[1]
            if set(got) == set(want) and all(self._alike(i, got[i], want[i]) for i in want):
                return True
        return False

    def left_over(self, got):
        """Whether these may be the contents where one side deleted it and the other kept it alive: nothing that
        nobody wrote. What the one did to it before may be gone with its deletion."""
        said = {}
        for what in self.past:
            for instance, values in what.items():
                for name, value in values.items():
                    said.setdefault((instance, name), set()).update(value)
        return all(set(value) <= said.get((instance, name), set())
                   for instance, values in got.items() for name, value in values.items())

    def _alike(self, instance, got, want):
        return all(got.get(p) == want.get(p) or got.get(p) in self.other.get((instance, p), ())
                   for p in set(got) | set(want))

    def settled(self, content, name, where):
        """It was found like this on both sides: whatever was open is decided."""
        if self.other or self.whole or self.deleted_by is not None:
            self.text = content
        self.name, self.where = name, where
        self.home, self.past, self.fresh = name, [facts(self.text)[1]], False
        self.other, self.whole, self.set_by, self.edited_by = {}, [], {}, set()
        self.moved_by = self.deleted_by = None


def instance_of(text, day):
    """The key of an exception in facts(); "" is the series, or the only one."""
    if day == "":
        return ""
    found = [key for key in facts(text)[1] if key.startswith("%s-%s-%s" % (day[:4], day[4:6], day[6:]))]
    assert len(found) == 1, "no exception of %s" % day
    return found[0]


def told(one, got, other, want):
    """What differs between two contents."""
    out = []
    for instance in sorted(set(got) | set(want)):
        a, b = got.get(instance, {}), want.get(instance, {})
        out += ["\n  %s %s: %s %.200s, %s %.200s" % (instance, p, one, a.get(p), other, b.get(p))
                for p in sorted(set(a) | set(b)) if a.get(p) != b.get(p)]
    return "".join(out)


class Model:
    """Two boxes, 0 and 1, and the items that people have in them."""

    def __init__(self, pair):
        self.boxes = pair.boxes
        self.items = {}                 # UID -> Item
        self.gone = set()               # UIDs that must not come back
        self.paths = ({}, {})           # (kind, name) -> where, as of the last look

    # --- what people do; all but the first say whether it could be done

    def put(self, side, kind, name, uid, text):
        item = self.items.get(uid)
        if item is None:
            item = self.items[uid] = Item(kind, uid, name, text)
        else:
            item.whole.append(text)     # on the other side too
            item.past.append(facts(text)[1])
        item.edited_by.add(side)
        item.where[side] = self.boxes[side].place(self.paths[side][kind, name], kind, uid)
        self.boxes[side].put((kind, name), item.where[side], text)
        return item

    def edit(self, side, item, change):
        """change(text) -> text"""
        if item.where.get(side) is None or item.whole:
            return False                # two contents have no common ground before the first pass
        try:
            if not self.boxes[side].change(item.where[side], item.kind, change):
                return False
        except NotThere:
            return False                # what the other side has added has not come here yet
        item.text = change(item.text)
        item.past.append(facts(item.text)[1])
        item.edited_by.add(side)
        return True

    def set(self, side, item, name, value, instance=""):
        """One value of a property, None: takes it away; the other side may do so as well."""
        key = (instance_of(item.text, instance), name.lower())
        before = facts(item.text)[1][key[0]].get(key[1])
        line = None if value is None else "%s:%s" % (name, value)
        if not self.edit(side, item, lambda text: with_property(text, name, line, instance)):
            return False
        if item.set_by.get(key, side) != side:
            item.other.setdefault(key, []).append(before)
        item.set_by[key] = side
        return True

    def move(self, side, item, to):
        if item.moved_by not in (None, side) or item.where.get(side) is None or item.whole or item.deleted_by is not None:
            return False
        where = self.boxes[side].place(self.paths[side][item.kind, to], item.kind, item.uid)
        if not self.boxes[side].move(item.where[side], where, item.kind):
            return False
        item.moved_by, item.where, item.name = side, {side: where}, to   # where the other side has it is not known
        return True

    def delete(self, side, item):
        if item.where.get(side) is None or item.deleted_by is not None:
            return False
        self.boxes[side].gone(item.where[side])
        item.deleted_by, item.where[side] = side, None
        return True

    def make(self, side, kind, name):
        self.boxes[side].make(kind, name)
        self.paths[side].update(self.boxes[side].collections())

    def rename(self, side, kind, name, to):
        self.boxes[side].rename(self.paths[side].pop((kind, name)), to)
        self.paths[side].update(self.boxes[side].collections())
        for item in self.items.values():
            if (item.kind, item.name) == (kind, name):
                item.name = to

    def remove(self, side, kind, name):
        """A collection with all that is in it."""
        self.boxes[side].remove(self.paths[side].pop((kind, name)))
        for item in self.items.values():
            if (item.kind, item.name) == (kind, name):
                item.deleted_by, item.where[side] = side, None

    # --- what must be there

    def look(self, side):
        """UID -> [(collection, facts, text, path)], and where the collections are."""
        box, out = self.boxes[side], {}
        self.paths[side].clear()
        self.paths[side].update(box.collections())
        for key in self.paths[side]:
            for where, text in box.texts(key):
                uid, what = facts(text)
                out.setdefault(uid, []).append((key, what, text, where))
        return out

    def wrong(self):
        """What is not as it must be, one line each; if nothing is, the model goes on from here."""
        seen = [self.look(0), self.look(1)]
        out = ["%s is only on one side" % (key,) for key in sorted(set(self.paths[0]) ^ set(self.paths[1]))]
        for uid in sorted(set(seen[0]) | set(seen[1]) | set(self.items)):
            here = [s.get(uid, []) for s in seen]
            item = self.items.get(uid)
            for side in (0, 1):
                if len(here[side]) > 1:
                    out.append("%s is there %d times on side %d" % (uid, len(here[side]), side))
            if item is None:
                out.append("%s %s" % (uid, "is back" if uid in self.gone else "is nobody's"))
            elif bool(here[0]) != bool(here[1]):
                out.append("%s is only on side %d" % (uid, 0 if here[0] else 1))
            elif not here[0]:
                if item.deleted_by is None:
                    out.append("%s is lost" % uid)
            elif item.deleted_by is not None and not item.edited_by - {item.deleted_by}:
                out.append("%s was deleted on side %d and is there" % (uid, item.deleted_by))
            else:
                out += self._compare(item, here)
        if not out:
            self._learn(seen)
        return out

    def _compare(self, item, here):
        out = []
        for side in (0, 1):
            key, what = here[side][0][:2]
            if key != (item.kind, item.name) and (item.deleted_by is None or key != (item.kind, item.home)):
                out.append("%s is in %s on side %d, not in %s" % (item.uid, key, side, item.name))
            if not item.right(what) and (item.deleted_by is None or not item.left_over(what)):
                out.append("%s on side %d:%s\n  or %s %s" % (
                    item.uid, side, told("has", what, "want", facts(item.text)[1]), item.other, [
                        told("", facts(x)[1], "instead of", facts(item.text)[1]) for x in item.whole]))
        if here[0][0][:2] != here[1][0][:2]:
            out.append("%s differs: %s, %s%s" % (item.uid, here[0][0][0], here[1][0][0], told(
                "left", here[0][0][1], "right", here[1][0][1])))
        return out

    def _learn(self, seen):
        for uid, item in list(self.items.items()):
            if uid not in seen[0]:
                del self.items[uid]
                self.gone.add(uid)
                continue
            key, _, text, _ = seen[0][uid][0]
            item.settled(text, key[1], {s: seen[s][uid][0][3] for s in (0, 1)})
