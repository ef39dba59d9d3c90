"""Real passes against real servers, ended at every numbered step as kill -9 would, and resumed.

The worker is the test build's (make test-build): it counts its effects and calls _exit() at the one that
it is told, with neither the write that would follow nor a good-bye. The supervisor, the operator's command
and the servers are what they always are. After each interruption: one undisturbed pass, then
`mailshadow verify`, our own look at both sides against what people did, and a pass that writes nothing.

tests/unit/t_steps.c does the same between stores in memory and Maildirs, for many more scenarios.
"""

import os
import shutil

import pytest

import product
from conftest import figure
from scenario import mid, plain

pytestmark = [pytest.mark.product, pytest.mark.full]

STEP_EXIT = 100
WORKER = os.path.join(product.BUILD, "test", "mailshadow-worker")


class Programs:
    """The supervisor beside a worker that stops at a step; 0 = never."""

    def __init__(self, directory):
        if not os.access(WORKER, os.X_OK):
            raise AssertionError("no %s: run make test-build" % WORKER)
        self.dir = os.path.join(directory, "programs")
        os.mkdir(self.dir, 0o755)
        self.daemon = shutil.copy(product.DAEMON, self.dir)
        shutil.copy(product.CTL, self.dir)
        self.stop_file = os.path.join(self.dir, "stop")
        script = os.path.join(self.dir, "mailshadow-worker")
        with open(script, "w") as f:
            f.write('#!/bin/sh\nread -r MS_STOP_AT <"%s"\nexport MS_STOP_AT\nexec "%s" "$@"\n' % (
                self.stop_file, WORKER))
        os.chmod(script, 0o755)

    def stop_at(self, step):
        with open(self.stop_file, "w") as f:
            f.write("%d\n" % step)

    def run(self, pair, step):
        self.stop_at(step)
        pair.close()
        return product.run([self.daemon, "-c", pair.config.file, "--once"], 60)


class Life:
    """A pairing, and what must be in it: message id -> folder."""

    def __init__(self, make, kind, directory):
        self.pair = make.pair(kind, gateway={"CrashQuarantine": "1s", "LogLevel": "info"})
        self.programs = Programs(directory)
        self.want, self.gone, self.n = {}, [], 0
        self.left, self.right = self.pair.boxes

    def put(self, box, folder, size=400):
        self.n += 1
        m = plain(self.n, folder, flags=(), keywords=(), size=size)
        box.put(m)
        self.want[mid(m)] = folder
        return mid(m)

    def pass_(self):
        r = self.programs.run(self.pair, 0)
        assert r.rc == 0, "%s\n%s" % (r, self.pair.config.log()[-4000:])

    def interrupted(self, step):
        """Whether that step was reached."""
        log = len(self.pair.config.log())
        r = self.programs.run(self.pair, step)
        if r.rc == 0:
            return False
        text = self.pair.config.log()[log:] + r.err
        assert "status %d" % STEP_EXIT in text, "%s\n%s" % (r, text[-4000:])
        return True

    def check(self, where):
        self.pair.equal()
        for box in self.pair.boxes:
            got = box.read()
            have = sorted((i.mid, f) for f, items in got.items() if f != "Trash" for i in items)
            assert have == sorted(self.want.items()), "%s: the %s side holds other mail" % (where, box.kind)
            bin_ = [i.mid for i in got.get("Trash", ())]
            assert len(bin_) == len(set(bin_)), "%s: a deleted message lies in the bin twice" % where
        answer = self.pair.config.verify("p")
        assert answer.rc == 0, "%s\n%s" % (where, answer)
        before = [b.stamp() for b in self.pair.boxes]
        self.pass_()
        assert before == [b.stamp() for b in self.pair.boxes], "%s: a quiet pass writes" % where


# --- what people do: first what must be there, settled, then what the interrupted pass finds ---

def new(life, n):
    yield
    life.put(life.left, "INBOX", size=40_000)
    life.put(life.left, "INBOX")
    life.put(life.right, "Work")


def flags(life, n):
    a, b = life.put(life.left, "INBOX"), life.put(life.left, "INBOX")
    yield
    life.left.flag("INBOX", a, ("\\Flagged", "k%d" % (n % 9)))
    life.right.flag("INBOX", a, ("\\Answered",))
    life.right.flag("INBOX", b, ("\\Seen", "blue"))


def move(life, n):
    a, b = life.put(life.left, "INBOX"), life.put(life.left, "Work")
    yield
    life.left.move("INBOX", a, "Work")
    life.right.move("Work", b, "INBOX")
    life.want.update({a: "Work", b: "INBOX"})


def delete(life, n):
    a, b = life.put(life.left, "INBOX"), life.put(life.left, "Work")
    yield
    life.left.remove("INBOX", a)
    life.right.remove("Work", b)
    del life.want[a], life.want[b]


def folder_rename(life, n):
    a = life.put(life.left, "R%d/Tief" % n)
    yield
    life.right.rename("R%d" % n, "S%d" % n)
    life.want[a] = "S%d/Tief" % n
    life.put(life.left, "INBOX")


def folder_delete(life, n):
    a, b = life.put(life.left, "D%d" % n), life.put(life.left, "D%d" % n)
    yield
    life.left.delete_folder("D%d" % n)
    del life.want[a], life.want[b]


def everything(life, n):
    acts = [act(life, n) for act in (flags, move, delete, folder_rename, folder_delete, new)]
    for act in acts:
        next(act)
    yield
    for act in acts:
        next(act, None)


SCENARIOS = (new, flags, move, delete, folder_rename, folder_delete, everything)


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap"))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=[s.__name__ for s in SCENARIOS])
def test_every_step(make, directory, kind, scenario):
    life = Life(make, kind, directory)
    for folder in ("INBOX", "Work") * 15:
        life.put(life.left, folder)       # so that no deletion empties a folder
    life.pass_()
    step = 1
    while True:
        act = scenario(life, step)
        next(act)
        life.pass_()
        next(act, None)
        reached = life.interrupted(step)
        if reached:
            life.pass_()
        life.check("%s, %s, stopped at %d" % (kind, scenario.__name__, step))
        if not reached:
            break
        step += 1
    life.pair.close()
    figure("%s, %s: %d interruptions, every one resumed to the same end" % (kind, scenario.__name__, step - 1))
    assert step > 10, "the worker counts no steps"
