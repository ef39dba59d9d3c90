"""kill -9 of workers and supervisors at random moments during real work: no loss, no duplicate.

60 kills every day, 1,000 with --full. The seed is printed with a failure; MS_KILL_SEED sets it.
"""

import os
import random
import signal
import subprocess
import time

import pytest

import product
from conftest import figure
from scenario import mid, plain

pytestmark = pytest.mark.product


class Pace:
    """How long a run takes that is left alone: kills are spread over just that time."""

    seconds = 0.2

    def learn(self, seconds):
        self.seconds += (min(seconds, 2) - self.seconds) * 0.3


def killed_run(pair, rng, log, pace):
    """Starts --once and kills a worker or the supervisor in it; returns whether something was killed."""
    pair.close()
    p = subprocess.Popen([product.DAEMON, "-c", pair.config.file, "--once"], stdin=subprocess.DEVNULL,
                         stdout=log, stderr=log, env=product.environment(), start_new_session=True)
    what = rng.choice(("worker", "worker", "supervisor"))
    begin = time.monotonic()
    end = begin + rng.random() * pace.seconds
    killed, workers = False, []
    while time.monotonic() < end and p.poll() is None:
        workers = product.children(p.pid) or workers
        time.sleep(0.002)
    if p.poll() is None:
        workers = product.children(p.pid)
        if what == "worker" and workers:
            try:
                os.kill(workers[0], signal.SIGKILL)
                killed = True
            except ProcessLookupError:
                pass
        elif what == "supervisor":
            os.kill(p.pid, signal.SIGKILL)
            killed = True
    try:
        p.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()
        raise AssertionError("--once hangs after the kill of a " + what) from None
    if not killed:
        pace.learn(time.monotonic() - begin)
    end = time.monotonic() + 10
    while any(alive(w) for w in workers):
        assert time.monotonic() < end, "a worker outlived its supervisor"
        time.sleep(0.01)
    return killed


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def settled(pair):
    """Passes until one has nothing to complain of: four at most."""
    pair.close()
    for _ in range(4):
        r = pair.config.once()
        if r.rc == 0:
            break
    assert r.rc == 0, "%s\n%s" % (r, pair.config.log()[-4000:])


def survive(world, kills, settle_every):
    """world.disturb() and a pass that is killed, again and again; world.settle() now and then. How many rounds."""
    pair, done, rounds, pace = world.pair, 0, 0, Pace()
    with open(os.path.join(pair.config.dir, "once.out"), "ab") as log:
        while done < kills:
            rounds += 1
            assert rounds < 6 * kills + 50, "only %d kills hit in %d rounds" % (done, rounds)
            world.disturb()
            done += killed_run(pair, world.rng, log, pace)
            if rounds % settle_every == 0:
                world.settle()
    world.settle()
    pair.verify()
    pair.idle()
    return rounds


class World:
    """What was done to the two boxes, and what must come of it."""

    def __init__(self, pair, rng):
        self.pair, self.rng, self.n = pair, rng, 0
        self.alive = {}                 # message -> folder, settled and untouched
        self.young = {}                 # put or changed since the last settling
        self.gone = set()

    def disturb(self):
        rng, pair = self.rng, self.pair
        for _ in range(rng.randint(1, 6)):
            self.n += 1
            m = plain(self.n, rng.choice(("INBOX", "Work", "Größe & Maß/Tief")), flags=(), keywords=(),
                      size=rng.choice((300, 2000, 40_000)))
            rng.choice(pair.boxes).put(m)
            self.young[m] = m.folder
        for _ in range(rng.randint(0, 3)):
            if not self.alive:
                return
            m = rng.choice(sorted(self.alive, key=lambda x: x.body))
            folder = self.alive.pop(m)
            box = rng.choice(pair.boxes)
            act = rng.choice(("flag", "move", "remove"))
            if act == "flag":
                box.flag(folder, mid(m), ("\\Flagged", "k%d" % rng.randrange(5)))
                self.young[m] = folder
            elif act == "move":
                to = rng.choice([f for f in ("INBOX", "Work", "Neu") if f != folder])
                box.move(folder, mid(m), to)
                self.young[m] = to
            elif len(self.gone) < len(self.alive) // 4:
                box.remove(folder, mid(m))
                self.gone.add(m)
            else:
                self.alive[m] = folder

    def settle(self):
        pair = self.pair
        settled(pair)
        pair.equal()
        self.alive.update(self.young)
        self.young.clear()
        for box in pair.boxes:
            got = box.read()
            want = {}
            for m, folder in self.alive.items():
                want.setdefault(folder, []).append(mid(m))
            have = {f: [i.mid for i in items] for f, items in got.items() if f != "Trash" and items}
            assert {f: sorted(x) for f, x in have.items()} == {f: sorted(x) for f, x in want.items()}
            bin_ = [i.mid for i in got.get("Trash", ())]
            assert len(bin_) == len(set(bin_)), "a deleted message lies in the bin twice"
            assert set(bin_) <= {mid(m) for m in self.gone}


def torture(make, kind, kills, seed):
    pair = make.pair(kind, gateway={"CrashQuarantine": "1s", "LogLevel": "info"})
    world = World(pair, random.Random(seed))
    rounds = survive(world, kills, 10)
    pair.close()
    figure("%s, seed %d: %d kills in %d rounds, %d messages put, %d alive; 0 lost, 0 twice" % (
        kind, seed, kills, rounds, world.n, len(world.alive)))


def seeds():
    return int(os.environ.get("MS_KILL_SEED") or random.SystemRandom().randrange(1 << 32))


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap"))
def test_sixty_kills(make, kind):
    seed = seeds()
    print("MS_KILL_SEED=%d" % seed)
    torture(make, kind, 30, seed)


@pytest.mark.full
@pytest.mark.parametrize("kind", ("local-imap", "imap-imap"))
@pytest.mark.parametrize("part", range(5))
def test_a_thousand_kills(make, kind, part):
    seed = seeds() + part
    print("MS_KILL_SEED=%d" % seed)
    torture(make, kind, 100, seed)
