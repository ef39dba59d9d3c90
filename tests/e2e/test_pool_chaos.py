"""A real supervisor with stub workers that die, stand still and lie, while a test kills and stops them too.

MS_SOAK says how many seconds (default 20; `make soak` ten minutes).
"""

import os
import random
import shutil
import signal
import time

import pytest

import pooltrace
import product

pytestmark = pytest.mark.product
STUB = os.path.join(product.BUILD, "test", "sim", "stubworker")
SECONDS = float(os.environ.get("MS_SOAK") or 20)
PAIRINGS, WORKERS = 20, 6
INTERVAL, BUMP = 0.2, 0.3


def build(make):
    assert os.access(STUB, os.X_OK), "no %s: run make test-build" % STUB
    config = make.config(Workers=WORKERS, LastSyncTimeInterval="200ms", ErrorRetryBump="300ms",
                         DispatchHold="50ms", DispatchHoldMax="400ms", CredentialTrial="500ms",
                         HeartbeatTimeout="1s", CrashQuarantine="200ms", LogLevel="debug")
    for side in ("a", "b"):
        path = os.path.join(make.directory, side)
        os.makedirs(path)
        config.local(side, path)
    config.imap("c", 9, tls="none", login="svc", password="x")
    for i in range(PAIRINGS):
        config.pairing("p%02d" % i, config.mailbox("a", "u%d@a.example" % i),
                       config.mailbox("b" if i % 2 else "c", "u%d@b.example" % i))
    programs = os.path.join(make.directory, "programs")
    os.makedirs(programs)
    shutil.copy2(product.DAEMON, os.path.join(programs, "mailshadowd"))
    shutil.copy2(STUB, os.path.join(programs, "mailshadow-worker"))
    return config.write(), os.path.join(programs, "mailshadowd")


def test_chaos(make, monkeypatch):
    seed = int(os.environ.get("MS_SEED") or time.time())
    rng = random.Random(seed)
    print("MS_SEED=%d" % seed)
    config, daemon = build(make)
    monkeypatch.setattr(product, "DAEMON", daemon)
    d = config.daemon()
    try:
        d.wait_ready(30)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(rng.uniform(0.02, 0.3))
            victims = d.workers()
            assert d.p.poll() is None, "the supervisor ended"
            if victims:
                try:
                    os.kill(rng.choice(victims), rng.choice((signal.SIGKILL,) * 5 + (signal.SIGSTOP,)))
                except ProcessLookupError:
                    pass
        status = config.status()
        rc = d.stop(70)
    finally:
        d.kill()
    with open(os.path.join(config.logs, "supervisor.log"), errors="replace") as f:
        text = f.read()
    faults, seen = pooltrace.check(text, INTERVAL, BUMP, threshold=WORKERS)
    print(seen, status["pool"])
    assert not faults, "\n".join(faults[:20])
    path = os.path.join(config.state, "violations")
    assert not os.path.exists(path), open(path).read()
    assert rc == 0
    assert seen["grant"] >= SECONDS * 2 and seen["reaped"] >= SECONDS and seen.get("restart", 0) >= 1, seen
    granted = {f["pairing"] for _, what, f in pooltrace.records(text) if what == "grant"}
    assert len(granted) == PAIRINGS, sorted(granted)


GOOD = ["spawn slot=0 incarnation=1", "grant slot=0 incarnation=1 pairing=p generation=1 kind=0",
        "ended slot=0 pairing=p generation=1 kind=0 class=ok cause=0 logged_on=3 due_ms=200"]


@pytest.mark.parametrize("what, lines", [
    ("leased", GOOD[:2] + ["spawn slot=1 incarnation=1",
                           "grant slot=1 incarnation=1 pairing=p generation=2 kind=0"]),
    ("in hand", GOOD[:2] + ["grant slot=0 incarnation=1 pairing=q generation=1 kind=0"]),
    ("not reaped", GOOD + ["spawn slot=0 incarnation=2"]),
    ("before it was due", GOOD + ["grant slot=0 incarnation=1 pairing=p generation=2 kind=0"]),
    ("does not rise", GOOD + ["grant slot=0 incarnation=1 pairing=p generation=1 kind=1"]),
    ("does not hold", GOOD + [GOOD[2]]),
    ("due in", GOOD[:2] + [GOOD[2].replace("class=ok", "class=failed")]),
    ("although 0 of 2", GOOD + ["restart threshold=2"]),
    ("although slots", GOOD + ["restart threshold=2", "up held_ms=0"]),
    ("in a restart", GOOD + ["restart threshold=2",
                             "grant slot=0 incarnation=1 pairing=q generation=1 kind=0"]),
])
def test_the_checker_sees(what, lines):
    """A checker that finds nothing in a bad run would prove nothing in a good one."""
    def text(part):
        return "\n".join('2026-01-01T00:00:0%d.%03dZ level=debug msg="pool: %s"' % (0, i, x)
                         for i, x in enumerate(part))
    assert pooltrace.check(text(GOOD), INTERVAL, BUMP)[0] == []
    assert any(what in x for x in pooltrace.check(text(lines), INTERVAL, BUMP)[0])


@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=pytest.mark.full)])
def test_twenty_at_once(make, monkeypatch, rounds):
    """Twenty supervisors of one configuration: one lives, nineteen exit 75 and have touched nothing."""
    config, daemon = build(make)
    monkeypatch.setattr(product, "DAEMON", daemon)
    for _ in range(rounds):
        crowd = [config.daemon() for _ in range(20)]
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end and sum(d.p.poll() is None for d in crowd) > 1:
                time.sleep(0.02)
            alive = [d for d in crowd if d.p.poll() is None]
            assert len(alive) == 1, [d.p.poll() for d in crowd]
            assert all(d.p.returncode == product.BUSY for d in crowd if d is not alive[0])
            alive[0].wait_ready(30)
            assert config.status()["service"]["pid"] == alive[0].p.pid
            assert alive[0].stop() == 0
        finally:
            for d in crowd:
                d.kill()
