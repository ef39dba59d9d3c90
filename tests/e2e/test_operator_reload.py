"""Reload: read in a process of its own, all or nothing, and only what changed notices."""

import json
import os
import random
import signal
import socket
import subprocess
import time

import pytest

import corpus
import product

from test_operator import long_pause, ok, one_line, slow_pair, success

pytestmark = pytest.mark.product


class Control:
    """The control socket without a process per request."""

    def __init__(self, config):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(60)
        self.s.connect(os.path.join(config.runtime, "control", "socket"))
        self.f = self.s.makefile("rwb")

    def send(self, cmd, **args):
        self.f.write(json.dumps({"cmd": cmd, "args": args}).encode() + b"\n")
        self.f.flush()

    def answer(self):
        text = ""
        while True:
            line = json.loads(self.f.readline())
            text += line.get("part", "")
            if line.get("done"):
                return line["exit"], text, line.get("error")

    def ask(self, cmd, **args):
        self.send(cmd, **args)
        return self.answer()


def add_local(make, config, name):
    a, left = make.box(config, "left", "local", endpoint="left-" + name)
    b, right = make.box(config, "right", "local", endpoint="right-" + name)
    config.pairing(name, left, right)
    return a, b


def test_reload_says_what_it_did(make):
    pair = long_pause(make)
    config = pair.config
    add_local(make, config, "q")
    config.write()
    with config.daemon() as d:
        d.wait_ready()
        assert "0 added, 0 removed, 0 changed, 2 as they were" in ok(config.ctl("reload")).out
        add_local(make, config, "r")
        config.pairings["p"] = config.pairings["p"].replace("<pairing ", "<pairing deletions=\"expunge\" ")
        config.write()
        assert "1 added, 0 removed, 1 changed, 1 as they were" in ok(config.ctl("reload")).out
        del config.pairings["q"]
        config.write()
        assert "0 added, 1 removed, 0 changed, 2 as they were" in ok(config.ctl("reload")).out
        d.wait(lambda s: [p["name"] for p in s["pairings"]] == ["p", "r"]
               and all(p["result"] == "ok" for p in s["pairings"]))
        assert config.status()["service"]["configGeneration"] == 4


def test_a_broken_file_changes_nothing(make):
    pair = long_pause(make)
    config = pair.config
    with config.daemon() as d:
        d.wait_ready()
        good, n = config.text(), 0
        for old, new, line in (("<Workers>2", "<Workers>two", 4), ("</endpoints>", "</endpoint>", None),
                               ('endpoint="right"', 'endpoint="rihgt"', None)):
            with open(config.file, "w") as f:
                f.write(good.replace(old, new))
            r = config.ctl("reload")
            assert r.rc == 2 and "mailshadow.xml:" in r.err and r.out == "", r
            assert line is None or "mailshadow.xml:%d: " % line in r.err
            d.signal(signal.SIGHUP)      # says it in the log, with the same line
            end = time.monotonic() + 5
            while config.log().count("the configuration stays as it was") == n:
                assert time.monotonic() < end
            n = config.log().count("the configuration stays as it was")
        moved = good.replace(config.state + "<", config.state + "2<")
        with open(config.file, "w") as f:
            f.write(moved)
        code, _, error = Control(config).ask("reload")
        assert code == 2 and "StateDirectory needs a restart" in error
        config.write()
        assert config.status()["service"]["configGeneration"] == 1
        d.signal(signal.SIGHUP)
        d.wait(lambda s: s["service"]["configGeneration"] == 2)


def readers(d):
    out = []
    for pid in product.children(d.p.pid):
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                if b"--read-config" in f.read():
                    out.append(pid)
        except OSError:
            pass
    return out


def test_a_reader_that_hangs_and_dies_hurts_nobody(make):
    """The file is a pipe that nobody writes to: the pool goes on, and the killed reader is an answer."""
    pair = long_pause(make)
    config = pair.config
    with config.daemon() as d:
        d.wait_ready()
        d.wait(success)
        c, other = Control(config), Control(config)
        os.rename(config.file, config.file + ".kept")
        os.mkfifo(config.file)
        c.send("reload")
        end = time.monotonic() + 5
        while not readers(d):
            assert time.monotonic() < end
            time.sleep(0.02)
        pair.left.put(corpus.one(5, size=300))
        assert other.ask("sync", pairing="p")[0] == 0
        end = time.monotonic() + 10
        while pair.right.read().count() < 1:
            assert time.monotonic() < end
        assert other.ask("status")[0] == 0
        os.kill(readers(d)[0], signal.SIGSEGV)
        code, _, error = c.answer()
        assert code == 2 and "ended by signal 11" in error, error
        assert not readers(d)
        os.unlink(config.file)
        os.rename(config.file + ".kept", config.file)
        assert c.ask("reload")[0] == 0


def test_a_huge_file(make):
    """16 MB of elements: an error with the supervisor as small as before."""
    pair = long_pause(make)
    config = pair.config
    with config.daemon() as d:
        d.wait_ready()
        d.wait(success)
        before = product.rss_peak(d.p.pid)
        good = config.text()
        for filler in ("<endpoint name='x' type='imap'/>" * 400000, "<!-- %s -->" % ("x" * 15000000),
                       "<a>" * 100000, "<Workers>" + "9" * 14000000 + "</Workers>"):
            with open(config.file, "w") as f:
                f.write(good.replace("</endpoints>", filler + "</endpoints>"))
            code, _, error = Control(config).ask("reload")
            assert code in (0, 2) and (code == 0 or error), error
        assert product.rss_peak(d.p.pid) - before < 16 << 20
        config.write()
        assert config.status()["pairings"][0]["result"] == "ok"


def mutate(rng, text):
    """One of many ways to break a file, or not."""
    b = bytearray(text.encode())
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        at = rng.randrange(len(b))
        what = rng.randrange(6)
        if what == 0:
            b[at] = rng.randrange(256)
        elif what == 1:
            del b[at:at + rng.randrange(1, 40)]
        elif what == 2:
            piece = b[at:at + rng.randrange(1, 200)]
            b[rng.randrange(len(b)):0] = piece
        elif what == 3:
            b[at:at] = rng.choice((b"<", b"&", b"]]>", b"<pairing>", b"\0", b"\xff\xfe", b"<!DOCTYPE x>", b'"', b"9" * 30))
        elif what == 4:
            del b[at:]
        else:
            lines = bytes(b).split(b"\n")
            rng.shuffle(lines)
            b = bytearray(b"\n".join(lines))
        if not b:
            b = bytearray(b" ")
    return bytes(b)


def mutated(make, count):
    pair = long_pause(make)
    config = pair.config
    for name in "qrs":
        add_local(make, config, name)
    config.write()
    rng = random.Random(11)
    good, taken, generation = config.text(), 0, 1
    with config.daemon() as d:
        d.wait_ready()
        d.wait(success)
        c = Control(config)
        for n in range(count):
            with open(config.file, "wb") as f:
                f.write(mutate(rng, good))
            code, text, error = c.ask("reload")
            assert code in (0, 2), (n, code, error)
            status = json.loads(c.ask("status")[1])
            if code == 0:
                taken += 1
                generation += 1
            else:
                assert error, n
            # All of it or nothing: a refused one leaves no trace.
            assert status["service"]["configGeneration"] == generation, n
            assert code == 2 or text.startswith("configuration %d: " % generation)
            names = [p["name"] for p in status["pairings"]]
            assert len(names) == len(set(names))
            if code == 0:
                with open(config.file, "wb") as f:
                    f.write(good.encode())
                assert c.ask("reload")[0] == 0
                generation += 1
            if n % 50 == 0 or code == 0:
                status = json.loads(c.ask("status")[1])
                assert [p["name"] for p in status["pairings"]] == ["p", "q", "r", "s"], n
        assert 0 < taken < count
        config.write()
        d.wait(lambda s: all(p["result"] == "ok" for p in s["pairings"]), 30)
        assert d.p.poll() is None and d.stop() == 0


def test_mutated_configurations(make):
    mutated(make, 60)


@pytest.mark.full
def test_a_thousand_mutated_configurations(make):
    mutated(make, 1000)


def under_load(make, servers, count):
    """Reloads that change something else do not touch a pass in hand."""
    pair = slow_pair(make, servers, 12000)
    config = pair.config
    for name in "qrs":
        add_local(make, config, name)
    config.gateway["Workers"] = 3
    config.write()
    with config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: s["pairings"][0]["items"]["done"] > 0, what="progress")
        c = Control(config)
        for n in range(count):
            config.gateway["Workers"] = 2 + n % 4
            config.gateway["ItemRetry"] = "%ds" % (n + 60)
            config.gateway["LogLevel"] = ("debug", "info")[n % 2]
            config.pairings["q"] = config.pairings["q"].replace("<pairing ", "<pairing conflict=\"left\" ") \
                if n % 2 == 0 else config.pairings["q"].replace(" conflict=\"left\"", "")
            if n % 3 == 0:
                config.pairings.pop("s", None)
            else:
                config.pairings.setdefault("s", config.pairings["r"].replace('"r"', '"s"'))
            config.write()
            code, text, error = c.ask("reload")
            assert code == 0, error
            time.sleep(0.02)
        d.wait(lambda s: s["pairings"][0]["status"] == "Success", 120)
        assert pair.right.read().count() == 12000
        d.wait(lambda s: all(p["result"] == "ok" for p in s["pairings"]), 30)
        assert d.stop() == 0
    mine = [l for l in config.log().splitlines() if "pairing=p " in l and "sync " in l]
    assert len(mine) == 1 and "sync OK" in mine[0], mine
    pair.close()


def test_reloads_under_load(make, servers):
    under_load(make, servers, 20)


@pytest.mark.full
def test_a_hundred_reloads_under_load(make, servers):
    under_load(make, servers, 100)


def test_a_changed_password_ends_the_wait(make):
    """Secrets are read again: what was refused is tried with the new one at once."""
    pair = make.pair("local-imap", gateway={"LastSyncTimeInterval": "1h", "ErrorRetryBump": "1h"})
    config = pair.config
    secret = os.path.join(config.dir, "secrets", "right")
    right = open(secret).read()
    config.secret("right", "wrong")
    with config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: s["pairings"][0]["result"] == "logon-failed")
        config.secret("right", right)
        ok(config.ctl("reload"))
        ok(config.ctl("sync", "p"))
        d.wait(success)
    pair.close()
