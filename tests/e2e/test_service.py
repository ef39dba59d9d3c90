"""The service: commands, configuration, exit codes, signals, several pairings."""

import os
import shutil
import signal
import time

import pytest

import corpus
import model
import product
from servers import dovecot

pytestmark = pytest.mark.product


def plain(n, folder="INBOX", **how):
    return corpus.one(n, folder=folder, size=400, **how)


def add_local_pair(make, config, name):
    """One more pairing local<->local; gives its two boxes."""
    a, left = make.box(config, "left", "local", endpoint="left-" + name)
    b, right = make.box(config, "right", "local", endpoint="right-" + name)
    config.pairing(name, left, right)
    return a, b


def wait_for(predicate, seconds=15, what="it"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if predicate():
            return
        time.sleep(0.05)
    raise AssertionError("%s did not happen in %d s" % (what, seconds))


# --- configuration ------------------------------------------------------------------------------------------

def test_check_config(make):
    pair = make.pair("local-imap")
    r = pair.config.ctl("check-config")
    assert r.rc == 0, r


BROKEN = {
    "unknown element": ("<gateway>", "<gateway>\n<Wrokers>3</Wrokers>"),
    "not XML": ("</endpoints>", "</endpoint>"),
    "number": ("<Workers>2</Workers>", "<Workers>many</Workers>"),
    "unknown endpoint": ('endpoint="right"', 'endpoint="nowhere"'),
    "policy": ('<pairing name="p"', '<pairing name="p" deletions="shred"'),
    "doctype": ('<mailshadow version', '<!DOCTYPE x [<!ENTITY a "b">]>\n<mailshadow version'),
    "type": ('type="imap"', 'type="carrier-pigeon"'),
    "name": ('pairing name="p"', 'pairing name="../p"'),
    "no path": ("<Path>", "<LoginName>"),
    "version": ('version="1">', 'version="99">'),
}


@pytest.mark.parametrize("what", sorted(BROKEN))
def test_broken_configuration(make, what):
    """One line: file, line number, what is wrong; exit 2; nothing touched."""
    pair = make.pair("local-imap")
    old, new = BROKEN[what]
    text = pair.config.text()
    assert old in text
    text = text.replace(old, new, 1)
    if what == "no path":
        text = text.replace("</Path>", "</LoginName>", 1)
    with open(pair.config.file, "w") as f:
        f.write(text)
    r = pair.config.ctl("check-config")
    assert r.rc == 2 and "mailshadow.xml:" in r.err, r
    assert int(r.err.split("mailshadow.xml:")[1].split(":")[0]) >= 1
    r = pair.config.once()
    assert r.rc == 2 and "mailshadow.xml:" in r.err, r
    assert not os.path.exists(os.path.join(pair.config.state, "scheduler.db"))


def test_missing_configuration(directory):
    r = product.run([product.DAEMON, "-c", os.path.join(directory, "nothing.xml"), "--once"])
    assert r.rc == 2 and "nothing.xml" in r.err, r


def test_equal_service_accounts_are_refused(make):
    """Names of service accounts must differ, compared without case; both endpoints are named."""
    pair = make.pair("imap-imap")
    s = pair.right.server
    pair.config.imap("right", s.tls_port, ca=make.servers.certs.ca, login=pair.left.server.master.upper(),
                     password="x")
    pair.config.write()
    r = pair.config.ctl("check-config")
    assert r.rc == 2 and "left" in r.err and "right" in r.err, r


def test_print_config_masks(make):
    pair = make.pair("local-imap")
    r = pair.config.ctl("print-config")
    assert r.rc == 0 and "***" in r.out, r
    assert pair.right.server.master in r.out and dovecot.MASTER_PASSWORD not in r.out


def test_writable_state_directory_is_refused(make):
    pair = make.pair("local-imap")
    os.makedirs(pair.config.state)
    os.chmod(pair.config.state, 0o777)
    r = pair.config.once()
    assert r.rc not in (0, 75), r
    assert pair.config.state in r.err + pair.config.log()


# --- once ---------------------------------------------------------------------------------------------------

def test_once_with_many_pairings(make):
    config = make.config()
    boxes = {}
    for n in range(12):
        name = "p%02d" % n
        boxes[name] = add_local_pair(make, config, name)
        boxes[name][0].put(plain(n), plain(100 + n, "Work"))
        boxes[name][1].put(plain(200 + n))
    config.write()
    assert config.once().rc == 0, config.log()[-2000:]
    for name, (a, b) in boxes.items():
        assert model.compare(a.read(), b.read()) == [] and a.read().count() == 3
    rows = config.status()["pairings"]
    assert sorted(p["name"] for p in rows) == sorted(boxes)
    assert {p["status"] for p in rows} == {"Success"} and {p["result"] for p in rows} == {"ok"}


def test_one_bad_pairing_does_not_stop_the_others(make):
    config = make.config()
    good = add_local_pair(make, config, "good")
    bad = add_local_pair(make, config, "bad")
    good[0].put(plain(1))
    bad[0].put(plain(2))
    config.write()
    assert config.once().rc == 0
    shutil.rmtree(bad[1].root)
    good[0].put(plain(3))
    assert config.once().rc == 1
    assert good[1].read().count() == 2
    assert config.pairing_status("bad")["status"] == "Failure"
    assert config.pairing_status("good")["status"] == "Success"
    assert bad[0].read().count() == 1


def test_status_shape(make):
    pair = make.pair("local-imap")
    pair.left.put(plain(1))
    assert pair.status()["status"] == "Unknown"
    pair.once()
    s = pair.config.status()
    assert s["version"] == 1
    assert {"pid", "startedAt", "configGeneration", "oldestSuccess"} <= set(s["service"])
    assert {"slots", "busy", "queue", "logonFailures", "threshold", "restarts",
            "dispatchHeldUntil"} <= set(s["pool"])
    row = s["pairings"][0]
    assert {"name", "left", "right", "status", "state", "lastUpdated", "lastSuccess", "nextRun", "result",
            "code", "reason", "remedy", "items", "quarantined", "held", "failures"} <= set(row)
    assert row["left"]["endpoint"] == "left" and row["right"]["mailbox"] == pair.right.user
    assert (row["status"], row["state"], row["result"]) == ("Success", "Active", "ok")
    assert row["lastSuccess"].endswith("Z") and row["items"]["todo"] == 0
    table = pair.config.ctl("status")
    assert table.rc == 0 and "p" in table.out and "Success" in table.out
    assert pair.config.ctl("status", "p").rc == 0
    assert pair.config.ctl("status", "nobody").rc == 3
    pair.close()


def test_usage_errors(make):
    config = make.pair("local-local").config
    assert config.ctl("frobnicate").rc == 2
    assert product.run([product.CTL]).rc == 2
    assert product.run([product.DAEMON, "--nonsense"]).rc == 2


def test_commands_that_need_a_supervisor(make):
    config = make.pair("local-local").config
    assert config.ctl("sync", "p").rc == 69
    assert config.ctl("reload").rc == 69


# --- the daemon ---------------------------------------------------------------------------------------------

def test_it_runs_by_itself(make):
    """New mail arrives on the other side within a few intervals, again and again."""
    pair = make.pair("local-imap", gateway={"LastSyncTimeInterval": "200ms"})
    with pair.config.daemon() as d:
        d.wait_ready()
        for n in range(3):
            pair.left.put(plain(n))
            wait_for(lambda: pair.right.read().count() == n + 1, what="the copy")
        assert d.stop() == 0
    pair.settle()
    pair.close()


def test_second_supervisor(make):
    """Exit 75, and it has touched nothing: the first goes on."""
    pair = make.pair("local-local", gateway={"LastSyncTimeInterval": "60m"})
    with pair.config.daemon() as d:
        d.wait_ready()
        before = sorted(os.listdir(pair.config.state))
        assert pair.config.once().rc == 75
        r = product.run([product.DAEMON, "-c", pair.config.file, "--foreground"])
        assert r.rc == 75 and str(r.err).strip(), r
        assert sorted(os.listdir(pair.config.state)) == before
        assert pair.config.status()["service"]["pid"] == d.p.pid
        pair.left.put(plain(1))
        assert pair.config.ctl("sync", "p").rc == 0
        wait_for(lambda: pair.right.read().count() == 1)
        assert d.stop() == 0


def test_commands_while_it_runs(make):
    pair = make.pair("local-imap", gateway={"LastSyncTimeInterval": "60m"})
    pair.left.put(plain(1))
    with pair.config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: s["pairings"][0]["status"] == "Success", what="the first pass")
        assert pair.config.ctl("verify", "p", "--json").json()["verdict"] == "equal"
        pair.left.put(plain(2))
        actions = pair.config.plan("p").json()["actions"]
        assert len(actions) == 1 and actions[0]["side"] == "right"
        assert pair.config.ctl("verify", "p", "--json").rc == 1
        assert pair.config.ctl("sync", "p").rc == 0
        wait_for(lambda: pair.right.read().count() == 2)
        assert pair.config.ctl("sync", "nobody").rc == 3
        pair.left.put(plain(3))
        assert pair.config.ctl("sync", "p", "--wait").rc == 0
        assert pair.right.read().count() == 3
        assert pair.config.ctl("sync", "--wait").rc != 0, "without a pairing there is nothing to wait for"
        wait_for(lambda: pair.config.ctl("verify", "p", "--json").rc == 0)
        assert d.stop() == 0
    pair.close()


def test_socket_modes(make):
    pair = make.pair("local-local")
    with pair.config.daemon() as d:
        d.wait_ready()
        mode = lambda *p: os.stat(os.path.join(pair.config.runtime, *p)).st_mode & 0o7777
        assert mode("control", "socket") == 0o660 and mode("control") == 0o750 and mode("bus") == 0o700
        for f in os.listdir(pair.config.logs):
            assert os.stat(os.path.join(pair.config.logs, f)).st_mode & 0o777 == 0o640
        d.stop()


def test_sigterm_drains(make, servers):
    """In the midst of a slow first pass: the end comes at a safe point, exit 0, work goes on later."""
    p = make.proxy(servers.dovecot("b"), delay_ms=5)
    pair = make.pair("local-imap", right={"tls": "none", "port": p.port})
    items = [plain(n, "F%d" % (n % 3)) for n in range(120)]
    pair.left.put(*items)
    p.drip(400, 0.002)
    with pair.config.daemon() as d:
        d.wait_ready()
        wait_for(lambda: d.workers() and p.bytes["up"] > 4000, what="the first writes")
        workers = d.workers()
        t = time.monotonic()
        assert d.stop(60) == 0
        assert time.monotonic() - t < 20
        assert not any(os.path.exists("/proc/%d" % w) for w in workers)
    p.calm()
    p.delay = 0
    pair.settle()
    assert pair.right.read().bodies() == model.expected(items).bodies()
    pair.close()


def test_sighup(make):
    """A new pairing starts; a broken file is refused with file:line and changes nothing."""
    pair = make.pair("local-local", gateway={"LastSyncTimeInterval": "300ms"})
    pair.left.put(plain(1))
    with pair.config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: s["pairings"][0]["status"] == "Success")
        generation = pair.config.status()["service"]["configGeneration"]
        a, b = add_local_pair(make, pair.config, "second")
        a.put(plain(2))
        pair.config.write()
        d.signal(signal.SIGHUP)
        d.wait(lambda s: len(s["pairings"]) == 2, what="the new pairing")
        wait_for(lambda: b.read().count() == 1)
        assert pair.config.status()["service"]["configGeneration"] > generation

        good = pair.config.text()
        with open(pair.config.file, "w") as f:
            f.write(good.replace("<endpoints>", "<endpoints><nonsense/>"))
        r = pair.config.ctl("reload")
        assert r.rc == 2 and "mailshadow.xml:" in r.err, r
        d.signal(signal.SIGHUP)
        wait_for(lambda: "mailshadow.xml:" in pair.config.log(), what="a line in the log")
        assert len(pair.config.status()["pairings"]) == 2
        pair.left.put(plain(3))
        wait_for(lambda: pair.right.read().count() == 2)

        del pair.config.pairings["second"]
        pair.config.write()
        r = pair.config.ctl("reload")
        assert r.rc == 0, r
        d.wait(lambda s: len(s["pairings"]) == 1, what="the removal")
        assert d.stop() == 0


def test_reload_reads_secrets_again(make):
    pair = make.pair("local-imap", gateway={"LastSyncTimeInterval": "60m"})
    pair.config.secret("right", "wrong")
    pair.left.put(plain(1))
    with pair.config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: s["pairings"][0]["result"] == "logon-failed", what="the refusal")
        pair.config.secret("right", dovecot.MASTER_PASSWORD)
        assert pair.config.ctl("reload").rc == 0
        assert pair.config.ctl("sync", "p").rc == 0
        d.wait(lambda s: s["pairings"][0]["status"] == "Success", what="the success")
        d.stop()
    pair.close()


def test_a_killed_worker_is_charged_to_its_pairing(make, servers):
    """The supervisor sees it, says so, and another worker finishes the work."""
    p = make.proxy(servers.dovecot("b"))
    pair = make.pair("local-imap", right={"tls": "none", "port": p.port},
                     gateway={"LastSyncTimeInterval": "300ms", "ErrorRetryBump": "0s"})
    pair.left.put(*[plain(n) for n in range(40)])
    p.drip(300, 0.003)
    with pair.config.daemon() as d:
        d.wait_ready()
        wait_for(lambda: d.workers() and p.bytes["up"] > 3000)
        for w in d.workers():
            os.kill(w, signal.SIGKILL)
        d.wait(lambda s: s["pairings"][0]["failures"] >= 1 or s["pairings"][0]["result"] == "crashed",
               what="the crash")
        p.calm()
        d.wait(lambda s: s["pairings"][0]["status"] == "Success", what="the recovery")
        d.stop()
    pair.settle()
    assert pair.right.read().count() == 40
    pair.close()


def test_workers_die_with_their_supervisor(make, servers):
    p = make.proxy(servers.dovecot("b"))
    pair = make.pair("local-imap", right={"tls": "none", "port": p.port})
    pair.left.put(*[plain(n) for n in range(30)])
    p.drip(200, 0.005)
    d = pair.config.daemon()
    d.wait_ready()
    wait_for(lambda: d.workers() and p.bytes["up"] > 2000)
    workers = d.workers()
    os.kill(d.p.pid, signal.SIGKILL)
    d.p.wait()
    wait_for(lambda: not any(os.path.exists("/proc/%d" % w) for w in workers), 5, "the workers' end")
    p.calm()
    pair.settle()
    assert pair.right.read().count() == 30
    pair.close()


def test_workers_are_locked_in(make, servers):
    """No new privileges, a seccomp filter, no core, and the peer's secrets out of reach."""
    p = make.proxy(servers.dovecot("b"))
    pair = make.pair("local-imap", right={"tls": "none", "port": p.port})
    pair.left.put(*[plain(n) for n in range(20)])
    p.drip(200, 0.005)
    with pair.config.daemon() as d:
        d.wait_ready()
        wait_for(lambda: d.workers() and p.bytes["up"] > 2000)
        pid = d.workers()[0]
        with open("/proc/%d/status" % pid) as f:
            status = dict(line.split(":", 1) for line in f.read().splitlines())
        assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
        for tid in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/status" % (pid, tid)) as f:
                assert "\nSeccomp:\t2\n" in f.read()
        with open("/proc/%d/limits" % pid) as f:
            assert "Max core file size        0 " in f.read()
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            assert dovecot.MASTER_PASSWORD.encode() not in f.read()
        with open("/proc/%d/environ" % pid, "rb") as f:
            assert dovecot.MASTER_PASSWORD.encode() not in f.read()
        p.calm()
    pair.close()


def test_log_lines(make):
    import re
    pair = make.pair("local-imap")
    pair.left.put(plain(1))
    pair.once()
    files = sorted(os.listdir(pair.config.logs))
    assert "supervisor.log" in files and any(re.fullmatch(r"worker-\d\d\.log", f) for f in files)
    for f in files:
        with open(os.path.join(pair.config.logs, f)) as h:
            for line in h.read().splitlines():
                assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=\w+ .*msg=", line), line
    pair.close()


def test_time_slice(make):
    """A pass longer than its slice is cut and goes on; --once returns when all is done."""
    pair = make.pair("local-imap", gateway={"TimeSlice": "50ms"})
    items = [corpus.one(n, folder="F%d" % (n % 4), size=2000) for n in range(600)]
    corpus.write_maildir(pair.left.root, items, folders=None)
    pair.once()
    pair.equal()
    pair.verify()
    assert pair.right.read().bodies() == model.expected(items).bodies()
    pair.close()


def test_as_an_ordinary_user(make, directory):
    """Root hides faults: the same with all rights dropped (where the tests run as root)."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user already")
    pair = make.pair("local-imap")
    pair.left.put(plain(1), plain(2, "Work"))
    pair.right.put(plain(3))
    pair.close()
    uid = 65534
    for base, dirs, files in os.walk(directory):
        for name in [base] + [os.path.join(base, x) for x in dirs + files]:
            os.chown(name, uid, uid)
    import subprocess
    out = os.path.join(directory, "bin")
    os.makedirs(out)
    for program in (product.DAEMON, product.WORKER, product.CTL):
        shutil.copy(program, out)
        os.chmod(os.path.join(out, os.path.basename(program)), 0o755)
    def as_nobody(*argv):
        p = subprocess.run(argv, user=uid, group=uid, extra_groups=[], env=product.environment(),
                           capture_output=True, text=True, timeout=60, cwd="/")
        return p
    r = as_nobody(os.path.join(out, "mailshadowd"), "-c", pair.config.file, "--once")
    assert r.returncode == 0, r.stderr + pair.config.log()[-2000:]
    r = as_nobody(os.path.join(out, "mailshadow"), "-c", pair.config.file, "verify", "p", "--json")
    assert r.returncode == 0, r.stderr
    assert pair.left.read().count() == 3
    pair.equal()
