"""Other people's programs read what a pass wrote: khal, todoman, vdirsyncer and vobject on disk; and vdirsyncer between
the same two places finds nothing to do.
"""

import os
import subprocess
import sys
from urllib.parse import quote, unquote

import pytest

import product
from record_pair import kinds_of, make_pair
from records import calendar, card, event, exception, series, todo, with_property

pytestmark = pytest.mark.product

READER = os.path.join(product.TOP, "tests", "unit", "vdir_read.py")
VDIRSYNCER = "/usr/bin/vdirsyncer"
DONE = ("Copying", "Deleting", "error")
ROOTS = {"events": ("Calendars", ".ics", "caldav"), "tasks": ("Tasks", ".ics", "caldav"),
         "contacts": ("Contacts", ".vcf", "carddav")}


@pytest.fixture(params=("radicale", "xandikos", "cyrus"))
def pair(request, servers, directory):
    p = make_pair(servers, directory, request.param + "-local")
    yield p
    p.stop()


def test_programs_that_know_vdirs(servers, directory):
    """What came from a server is an event to khal, a task to todoman, a contact to vdirsyncer."""
    pair = make_pair(servers, directory, "radicale-local")
    for kind, text in (("events", calendar(event("e", start="DTSTART:20240104T090000Z", end="DTEND:20240104T093000Z"))),
                       ("tasks", todo("t")), ("contacts", card("c"))):
        pair.left.make(kind, "Team")
        pair.left.add(kind, "Team", text)
    pair.settle()
    r = subprocess.run([sys.executable, READER, pair.right.path], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stdout + r.stderr
    for name in ("khal", "todoman", "vdirsyncer"):
        assert name + ": ok" in r.stdout or "skipped: %s" % name in r.stdout, r.stdout + r.stderr
    assert all("vobject: %s" % x in r.stdout for x in ("Standup", "Milk", "Ada Lovelace")), r.stdout


class Vdirsyncer:
    """Between the same two places, with a state of its own."""

    def __init__(self, pair, directory):
        self.dir = os.path.join(directory, "vdirsyncer")
        os.mkdir(self.dir)
        self.config = os.path.join(self.dir, "config")
        client, parts = pair.left.client, ['[general]\nstatus_path = "%s/status"\n' % self.dir]
        for kind in kinds_of(pair):
            root, extension, service = ROOTS[kind]
            names = ", ".join('["%s%d", "%s", "%s"]' % (
                kind, i, os.path.basename(pair.right.collections()[kind, name]),
                unquote(path.rstrip("/").split("/")[-1]))
                for i, ((k, name), path) in enumerate(sorted(pair.left.collections().items())) if k == kind)
            parts.append(
                '[pair %s]\na = "%s_disk"\nb = "%s_server"\ncollections = [%s]\nconflict_resolution = null\n'
                '[storage %s_disk]\ntype = "filesystem"\npath = "%s"\nfileext = "%s"\n'
                '[storage %s_server]\ntype = "%s"\nurl = "http://127.0.0.1:%d%s"\nusername = "%s"\npassword = "%s"\n' % (
                    kind, kind, kind, names, kind, os.path.join(pair.right.path, root), extension, kind, service,
                    client.port, quote(unquote(client.homes[kind])), client.user, pair.left.server.password))
        with open(self.config, "w", encoding="utf-8") as f:
            f.write("\n".join(parts))
        self.run("discover")

    def run(self, command):
        for _ in range(3):
            r = subprocess.run([VDIRSYNCER, "-c", self.config, command], input="y\n" * 9, capture_output=True, text=True,
                               timeout=120, env={"PATH": "/usr/bin:/bin", "HOME": self.dir, "LC_ALL": "C.UTF-8"})
            if "Server disconnected" not in r.stderr:   # of a connection that had been idle: it does not ask again
                break
        assert r.returncode == 0, r.stdout + r.stderr
        return r.stdout + r.stderr


def test_vdirsyncer_finds_nothing_to_do(pair, directory):
    if not os.access(VDIRSYNCER, os.X_OK):
        pytest.skip("vdirsyncer is not installed")
    # It compares line by line: nothing that a server or we may write in two ways of the same meaning.
    texts = {"events": lambda uid: calendar(event(uid, "Größe\\, and more", more="LOCATION:Room 1\nCATEGORIES:A\n")),
             "tasks": lambda uid: todo(uid, more="PRIORITY:5\n"),
             "contacts": lambda uid: card(uid, more="NOTE:two\\nlines\nORG:Engines;Programs\n").replace("INTERNET,", "")}
    for kind in kinds_of(pair):
        pair.left.make(kind, "Team")
        pair.left.add(kind, "Team", texts[kind](kind[0] + "1"))
    pair.left.add("events", "Team", series("s1", exceptions=[exception("s1", "20270111", 11, "Moved once")]))
    pair.settle()
    for kind in kinds_of(pair):
        pair.right.add(kind, "Team", texts[kind](kind[0] + "2"))
    pair.settle()
    other = Vdirsyncer(pair, directory)
    before = pair.left.stamp(), pair.right.stamp()
    said = other.run("sync")
    items = 1 + 2 * len(kinds_of(pair))
    assert said.count("...same content on both sides") == items and not any(x in said for x in DONE), said
    assert (pair.left.stamp(), pair.right.stamp()) == before

    # It would have seen something: it carries a change, and then there is nothing to do for us.
    where, _ = pair.right.find("events", "Team", "e2")
    assert pair.right.change(where, "events", lambda text: with_property(text, "SUMMARY", "SUMMARY:By the other"))
    said = other.run("sync")
    assert "Copying" in said, said
    assert "By the other" in pair.left.get("events", "Team", "e2")
    after = pair.left.stamp(), pair.right.stamp()
    pair.once()
    assert (pair.left.stamp(), pair.right.stamp()) == after
    pair.settle()
