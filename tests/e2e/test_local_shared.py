"""A Maildir that a Dovecot serves at the same time: passes run while it delivers, flags, moves, expunges.

Afterwards each message that nobody deleted is there once on both sides, and no other is. The programs
run as the user that Dovecot runs as: a Maildir has one owner.
"""

import os
import random
import shutil
import threading
import time

import pytest

import product
from box import ImapBox
from conftest import Pair, figure
from scenario import mid, plain
from servers import dovecot as dovecot_module

pytestmark = pytest.mark.product


class Shared:
    """Left: `local` over a Dovecot's own mail directory; right: another Dovecot over IMAP."""

    def __init__(self, make, servers, directory):
        self.server = servers.dovecot("m", extra="mail_location = maildir:%h/Mail\n")
        self.config = make.config(LogLevel="info")
        self.user = "shared%d@left.example" % os.getpid()
        self.config.local("left", self.server.mail)
        self.right, right_xml = make.box(self.config, "right", "imap")
        self.config.pairing(Pair.name, self.config.mailbox("left", self.user), right_xml)
        self.config.write()
        self.left = ImapBox(self.server, self.user, dovecot_module.PASSWORD)
        self.left.create("Work")
        self.maildir = os.path.join(self.server.mail, self.user, "Mail")
        assert os.path.isdir(os.path.join(self.maildir, ".Work", "cur")), os.listdir(self.maildir)
        self.programs = os.path.join(directory, "programs")
        os.mkdir(self.programs, 0o755)
        for p in (product.DAEMON, product.WORKER, product.CTL):
            shutil.copy(p, self.programs)
        self.server.adopt(self.config.dir)

    def run(self, program, *args):
        argv = [os.path.join(self.programs, program), "-c", self.config.file, *args]
        if os.geteuid() == 0:
            argv = ["setpriv", "--reuid=%d" % self.server.uid, "--regid=%d" % self.server.gid,
                    "--clear-groups"] + argv
        return product.run(argv, 60)


class Person(threading.Thread):
    """Uses the Maildir through Dovecot, and has mail delivered to it, until told to stop."""

    def __init__(self, shared, rng):
        super().__init__()
        self.shared, self.rng, self.ended = shared, rng, threading.Event()
        self.want, self.acts, self.trouble = {}, 0, None
        self.box = ImapBox(shared.server, shared.user, dovecot_module.PASSWORD)

    def deliver(self, n):
        m = plain(n, "INBOX", flags=(), keywords=())
        name = "%d.M%dP%d.mda" % (time.time(), n, os.getpid())
        tmp = os.path.join(self.shared.maildir, "tmp", name)
        with open(tmp, "wb") as f:
            f.write(m.body.replace(b"\r\n", b"\n"))
        if os.geteuid() == 0:
            os.chown(tmp, self.shared.server.uid, self.shared.server.gid)
        os.rename(tmp, os.path.join(self.shared.maildir, "new", name))
        self.want[mid(m)] = "INBOX"

    def act(self):
        rng = self.rng
        self.acts += 1
        what = rng.choice(("deliver", "deliver", "append", "flag", "flag", "move", "expunge"))
        old = sorted(self.want)[:-4] if len(self.want) > 30 else []
        if what == "deliver":
            self.deliver(10_000 + self.acts)
        elif what == "append":
            m = plain(20_000 + self.acts, "Work", flags=(), keywords=())
            self.box.put(m)
            self.want[mid(m)] = "Work"
        elif old:
            m = rng.choice(old)
            if what == "flag":
                self.box.flag(self.want[m], m, ("\\Flagged", "k%d" % rng.randrange(6)))
            elif what == "move":
                to = "Work" if self.want[m] == "INBOX" else "INBOX"
                self.box.move(self.want[m], m, to)
                self.want[m] = to
            else:
                self.box.remove(self.want.pop(m), m)

    def run(self):
        try:
            while not self.ended.is_set():
                self.act()
                time.sleep(self.rng.random() * 0.04)
        except Exception as e:      # pylint: disable=broad-except
            self.trouble = e
        self.box.close()


def test_dovecot_works_in_it_meanwhile(make, servers, directory):
    seed = int(os.environ.get("MS_RANDOM_SEED") or random.SystemRandom().randrange(1 << 32))
    print("MS_RANDOM_SEED=%d" % seed)
    shared = Shared(make, servers, directory)
    person = Person(shared, random.Random(seed))
    for n in range(40):
        person.deliver(n)
    r = shared.run("mailshadowd", "--once")
    assert r.rc == 0, r
    person.start()
    passes, end = 0, time.monotonic() + (120 if os.environ.get("MS_FULL") else 12)
    while time.monotonic() < end and person.is_alive():
        r = shared.run("mailshadowd", "--once")
        passes += 1
        # A folder that never stands still is told and left for the next pass; nothing else may be wrong.
        assert r.rc == 0 or "E_INCOMPLETE" in r.err, "%s\n%s" % (r, shared.config.log()[-4000:])
    person.ended.set()
    person.join(30)
    assert person.trouble is None, person.trouble
    for _ in range(3):
        r = shared.run("mailshadowd", "--once")
        assert r.rc == 0, "%s\n%s" % (r, shared.config.log()[-4000:])
    for box in (shared.left, shared.right):
        got = box.read()
        have = sorted((i.mid, f) for f, items in got.items() if f != "Trash" for i in items)
        assert have == sorted(person.want.items()), box.server.dir
        box.close()
    r = shared.run("mailshadow", "verify", "p")
    assert r.rc == 0, r
    figure("%d acts of Dovecot and deliveries during %d passes, %d messages; 0 lost, 0 twice" % (
        person.acts, passes, len(person.want)))
    assert passes > 3 and person.acts > 50
