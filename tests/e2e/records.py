"""Events, tasks and contacts as another program sees them: in vdirs and on DAV servers, read by vobject."""

import collections
import datetime
import os
import re
import shutil

import pytest

vobject = pytest.importorskip("vobject", reason="python3-vobject is not installed")

ROOTS = {"events": ("Calendars", ".ics"), "tasks": ("Tasks", ".ics"), "contacts": ("Contacts", ".vcf")}
# What counts: a server may add time stamps, PRODID, file names and the like.
LEFT_OUT = {"dtstamp", "last-modified", "created", "prodid", "version", "rev", "x-radicale-name", "sequence"}


def utc(value):
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.timezone.utc).isoformat()
    return value.isoformat() if hasattr(value, "isoformat") else value


def plain(value):
    if isinstance(value, (list, tuple)):
        return tuple(sorted(str(plain(v)) for v in value)) if isinstance(value, list) else tuple(map(plain, value))
    return str(utc(value))


def component(comp):
    """name -> sorted values of one VEVENT, VTODO or VCARD, alarms as a set of their own."""
    out = collections.defaultdict(list)
    for child in comp.getChildren():
        name = child.name.lower()
        if name in LEFT_OUT:
            continue
        if name == "valarm":
            out[name].append(str(sorted((k, v) for k, v in component(child).items())))
        elif name == "attendee":
            # written so that no server sends mail; the person is the same
            out[name].append((child.value.lower(), child.params.get("PARTSTAT", ["NEEDS-ACTION"])[0]))
        elif name == "categories":
            out[name] += [str(v) for v in child.value]      # on one line or on several
        else:
            out[name].append(plain(child.value))
    return {k: sorted(map(str, v)) for k, v in out.items()}


def facts(text):
    """(uid, instance -> properties); the instance is "" or the exception's original start in UTC."""
    thing = vobject.readOne(text)
    out, uid = {}, None
    parts = [thing] if thing.name.upper() == "VCARD" else \
        [c for c in thing.getChildren() if c.name.upper() in ("VEVENT", "VTODO")]
    for comp in parts:
        values = component(comp)
        uid = values.pop("uid", [None])[0]
        out["".join(values.pop("recurrence-id", [""]))] = values
    return uid, out


# --- what a client's user changes in a text -----------------------------------------------------------

class NotThere(Exception):
    """The component that is to be changed is not in this text."""


def unfolded(text):
    return re.sub(r"\r?\n[ \t]", "", text).replace("\r\n", "\n").rstrip("\n").split("\n")


def joined(lines):
    return "\r\n".join(lines) + "\r\n"


def name_of(line):
    return re.split("[;:]", line, maxsplit=1)[0].upper()


def part(lines, instance=""):
    """(first, last) of the component that is meant: a card, a task, an event, or its exception of that day."""
    begin, found, mine = None, None, ""
    for i, line in enumerate(lines):
        if line in ("BEGIN:VEVENT", "BEGIN:VTODO", "BEGIN:VCARD"):
            begin, mine = i, ""
        elif name_of(line) == "RECURRENCE-ID":
            mine = re.search(r":(\d{8})", line).group(1)
        elif line in ("END:VEVENT", "END:VTODO", "END:VCARD") and mine == instance:
            assert found is None, "two parts for %r" % instance
            found = (begin, i)
    if found is None:
        raise NotThere("nothing for %r in %s" % (instance, lines))
    return found


def with_property(text, name, line, instance=""):
    """`line` instead of the property (None: of it only the removal)."""
    lines = unfolded(text)
    begin, end = part(lines, instance)
    kept, depth = [], 0
    for x in lines[begin:end]:
        depth += x.startswith("BEGIN:") - x.startswith("END:")
        if depth != 1 or name_of(x) != name:
            kept.append(x)
    return joined(lines[:begin] + kept + ([] if line is None else [line]) + lines[end:])


def with_line(text, line, instance=""):
    """One more property."""
    lines = unfolded(text)
    _, end = part(lines, instance)
    return joined(lines[:end] + [line] + lines[end:])


def with_exception(text, component):
    lines = unfolded(text)
    assert lines[-1] == "END:VCALENDAR"
    return joined(lines[:-1] + unfolded(component) + lines[-1:])


class Box:
    """One side. Kinds are events, tasks and contacts; collections go by name, items by UID."""

    def read(self):
        """(kind, collection) -> uid -> facts; collections without an item too."""
        out = {}
        for key in self.collections():
            out[key] = items = {}
            for _, text in self.texts(key):
                uid, what = facts(text)
                assert uid not in items, "two items of the UID %s in %s" % (uid, key)
                items[uid] = what
        return out

    def find(self, kind, name, uid):
        found = [(where, text) for where, text in self.texts((kind, name)) if facts(text)[0] == uid]
        assert len(found) == 1, "%d items of the UID %s in %s" % (len(found), uid, name)
        return found[0]

    def get(self, kind, name, uid):
        return self.find(kind, name, uid)[1]

    def edit(self, kind, name, uid, old, new):
        """Replaces a piece of the text, as a client's user would a property."""
        where, text = self.find(kind, name, uid)
        text = re.sub(r"\r?\n[ \t]", "", text)
        assert len(re.findall(old, text, re.M)) > 0, "no %r in %s" % (old, text)
        text = re.sub(old, new.replace("\n", "\r\n").replace("\\", "\\\\"), text, count=1, flags=re.M)
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        facts(text)
        self.put((kind, name), where, text)

    def delete(self, kind, name, uid):
        self.drop((kind, name), self.find(kind, name, uid)[0])

    def close(self):
        pass


class VdirBox(Box):
    def __init__(self, path):
        self.path = path
        os.makedirs(path, exist_ok=True)

    def collections(self):
        out = {}
        for kind, (root, _) in ROOTS.items():
            top = os.path.join(self.path, root)
            for name in sorted(os.listdir(top)) if os.path.isdir(top) else []:
                path = os.path.join(top, name)
                if name.startswith(".") or not os.path.isdir(path):
                    continue
                label = os.path.join(path, "displayname")
                shown = open(label).read().strip() if os.path.exists(label) else name
                assert (kind, shown) not in out
                out[kind, shown] = path
        return out

    def texts(self, key):
        path = self.collections()[key]
        return [(os.path.join(path, n), open(os.path.join(path, n), newline="").read())
                for n in sorted(os.listdir(path)) if n.endswith(ROOTS[key[0]][1]) and not n.startswith(".")]

    def put(self, key, where, text):
        tmp = os.path.join(os.path.dirname(where), ".tmp-of-another-program")
        with open(tmp, "w", newline="") as f:
            f.write(text)
        os.rename(tmp, where)

    def drop(self, key, where):
        os.unlink(where)

    def make(self, kind, name):
        path = os.path.join(self.path, ROOTS[kind][0], re.sub("[^a-z0-9]", "-", name.lower()))
        os.makedirs(path)
        with open(os.path.join(path, "displayname"), "w") as f:
            f.write(name)

    def add(self, kind, name, text):
        self.put((kind, name), self.place(self.collections()[kind, name], kind, facts(text)[0]), text)

    def place(self, collection, kind, uid):
        return os.path.join(collection, "made-elsewhere-%s%s" % (re.sub("[^a-z0-9]", "-", uid.lower()), ROOTS[kind][1]))

    def change(self, where, kind, edit):
        """edit(text) -> text; False: it is gone."""
        if not os.path.exists(where):
            return False
        with open(where, newline="") as f:
            text = f.read()
        self.put((kind, None), where, edit(text))
        return True

    def move(self, where, to, kind):
        if not os.path.exists(where):
            return False
        os.rename(where, to)
        return True

    def gone(self, where):
        """Deletes what may be gone already."""
        if os.path.exists(where):
            os.unlink(where)

    def rename(self, where, name):
        with open(os.path.join(where, "displayname"), "w") as f:
            f.write(name)

    def remove(self, where):
        """A collection with all that is in it."""
        shutil.rmtree(where)

    def stamp(self):
        out = []
        for root, dirs, files in os.walk(self.path):
            for name in dirs + files:
                st = os.lstat(os.path.join(root, name))
                out.append((root, name, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns))
        return sorted(out)


class DavBox(Box):
    def __init__(self, client):
        self.client = client

    def collections(self):
        return self.client.collections()

    def texts(self, key):
        return self.client.items(self.collections()[key])

    def put(self, key, where, text):
        self.client.put(where, key[0], text)

    def drop(self, key, where):
        self.client.delete(where)

    def make(self, kind, name):
        self.client.make(kind, name)

    def add(self, kind, name, text):
        self.put((kind, name), self.place(self.collections()[kind, name], kind, facts(text)[0]), text)

    def place(self, collection, kind, uid):
        return "%smade-elsewhere-%s%s" % (collection, re.sub("[^a-z0-9]", "-", uid.lower()), ROOTS[kind][1])

    def change(self, where, kind, edit):
        return self.client.change(where, kind, edit)

    def move(self, where, to, kind):
        return self.client.move(where, to, kind)

    def gone(self, where):
        status, _, said = self.client.exchange("DELETE", where)
        assert status in (200, 204, 404, 410), "DELETE %s: %d %s" % (where, status, said[:500])

    def rename(self, where, name):
        self.client.rename(where, name)

    def remove(self, where):
        self.client.delete(where)

    def stamp(self):
        return sorted((key, where, text) for key in self.collections() for where, text in self.texts(key))


def differences(left, right):
    """What differs between two read()s, one line each; collections that only one side can have are there."""
    out = []
    for key in sorted(set(left) | set(right)):
        a, b = left.get(key), right.get(key)
        if a is None or b is None:
            out.append("%s only on the %s" % (key, "left" if b is None else "right"))
            continue
        for uid in sorted(set(a) | set(b)):
            if a.get(uid) != b.get(uid):
                out.append("%s %s:\n  left  %s\n  right %s" % (key, uid, a.get(uid), b.get(uid)))
    return out


# --- texts -----------------------------------------------------------------------------------------------

BERLIN = """\
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:DAYLIGHT
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
BEGIN:STANDARD
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
END:VTIMEZONE
"""


def calendar(*components, zone=False):
    text = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//another program//EN\n%s%sEND:VCALENDAR\n" % (
        BERLIN if zone else "", "".join(components))
    return text.replace("\n", "\r\n")


def event(uid, summary="Standup", start="DTSTART:20270104T090000Z", end="DTEND:20270104T093000Z", more=""):
    return "BEGIN:VEVENT\nUID:%s\nDTSTAMP:20260101T000000Z\n%s\n%s\nSUMMARY:%s\n%sEND:VEVENT\n" % (
        uid, start, end, summary, more)


def series(uid, more="", exceptions=()):
    zone = ";TZID=Europe/Berlin"
    return calendar(event(uid, "Weekly", "DTSTART%s:20270104T090000" % zone, "DTEND%s:20270104T100000" % zone,
                          "RRULE:FREQ=WEEKLY;COUNT=10\nLOCATION:Room 1\n" + more), *exceptions, zone=True)


def exception(uid, day, hour, summary):
    zone = ";TZID=Europe/Berlin"
    return event(uid, summary, "DTSTART%s:%sT%02d0000" % (zone, day, hour), "DTEND%s:%sT%02d0000" % (
        zone, day, hour + 1), "RECURRENCE-ID%s:%sT090000\n" % (zone, day))


def todo(uid, summary="Milk", more=""):
    return calendar("BEGIN:VTODO\nUID:%s\nDTSTAMP:20260101T000000Z\nSUMMARY:%s\nDUE:20270201T120000Z\n%sEND:VTODO\n" % (
        uid, summary, more))


def card(uid, name="Ada Lovelace", more=""):
    first, _, last = name.partition(" ")
    return ("BEGIN:VCARD\nVERSION:3.0\nUID:%s\nFN:%s\nN:%s;%s;;;\nEMAIL;TYPE=INTERNET,WORK:ada@example.org\n"
            "TEL;TYPE=CELL:+49 30 1\n%sEND:VCARD\n" % (uid, name, last, first, more)).replace("\n", "\r\n")
