"""`make install` and the service files: units, user, directories, rotation of the logs.

Whoever runs these tests is not systemd, so the unit's promises are proved piece by piece: systemd's
own checker and its exposure score, and the real programs under the unit's system call rules.
"""

import glob
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

import corpus
import product
import unit_filter

pytestmark = pytest.mark.product

UNITS = ("mailshadow.service", "mailshadow-metrics.service")
NOBODY = 65534


def tool(name):
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    return pytest.mark.skipif(path is None, reason="%s is not installed (scripts/bootstrap tests)" % name)


def sh(*argv, env=None, cwd=product.TOP):
    return subprocess.run(argv, capture_output=True, text=True, cwd=cwd,
                          env={**product.environment(), **(env or {})}, timeout=120)


def make_install(destdir="", prefix="/usr", sysconfdir="/etc"):
    r = sh("make", "-s", "B=" + product.BUILD, "DESTDIR=" + destdir, "PREFIX=" + prefix,
           "SYSCONFDIR=" + sysconfdir, "install")
    assert r.returncode == 0, r.stderr + r.stdout


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    """As a package is built: below DESTDIR, for /usr and /etc."""
    root = str(tmp_path_factory.mktemp("dest"))
    make_install(root)
    return root


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """For real, below a prefix of its own: every path in the units exists."""
    root = str(tmp_path_factory.mktemp("prefix"))
    os.chmod(root, 0o755)
    for d in (os.path.dirname(root), os.path.dirname(os.path.dirname(root))):
        os.chmod(d, os.stat(d).st_mode | 0o111)
    make_install("", root, root + "/etc")
    return root


EXPECTED = {
    "usr/sbin/mailshadowd": 0o755,
    "usr/bin/mailshadow": 0o755,
    "usr/lib/mailshadow/mailshadow-worker": 0o755,
    "usr/sbin/mailshadow-metrics": 0o755,
    "usr/lib/systemd/system/mailshadow.service": 0o644,
    "usr/lib/systemd/system/mailshadow-metrics.service": 0o644,
    "usr/lib/sysusers.d/mailshadow.conf": 0o644,
    "usr/lib/tmpfiles.d/mailshadow.conf": 0o644,
    "etc/logrotate.d/mailshadow": 0o644,
    "usr/share/mailshadow/mailshadow.xml": 0o644,
    "usr/share/mailshadow/prometheus/mailshadow.rules.yml": 0o644,
    "usr/share/mailshadow/grafana/mailshadow.json": 0o644,
    "usr/share/mailshadow/mailshadow.xsd": 0o644,
    "usr/share/man/man8/mailshadowd.8": 0o644,
    "usr/share/man/man8/mailshadow-metrics.8": 0o644,
}


def test_what_is_installed(packaged):
    found = {}
    for directory, _, files in os.walk(packaged):
        for name in files:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, packaged)] = stat.S_IMODE(os.stat(path).st_mode)
    assert {k: oct(found.get(k, 0)) for k in EXPECTED} == {k: oct(v) for k, v in EXPECTED.items()}
    assert not [k for k, v in found.items() if v & 0o022], "something is writable for others"
    for name in ("usr/lib/systemd/system/mailshadow.service", "usr/lib/tmpfiles.d/mailshadow.conf"):
        with open(os.path.join(packaged, name)) as f:
            text = f.read()
        assert "@" not in re.sub(r"@[a-z-]+", "", text), name
        assert packaged not in text


@tool("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_is_clean(installed, unit):
    """Every directive is known to this systemd, every program and man page is there: no word of complaint."""
    path = os.path.join(installed, "lib/systemd/system", unit)
    r = sh("systemd-analyze", "--no-pager", "--man=yes", "verify", path,
           env={"MANPATH": installed + "/share/man:"})
    complaints = [line for line in (r.stdout + r.stderr).splitlines()
                  if unit.split(".")[0] in line or installed in line]
    assert complaints == [], complaints
    assert r.returncode == 0, r.stderr
    # the checker does complain: an unknown directive is noticed
    bad = os.path.join(installed, "lib/systemd/system", "bad-" + unit)
    with open(path) as f, open(bad, "w") as g:
        g.write(f.read().replace("[Service]", "[Service]\nProtectEverything=yes"))
    r = sh("systemd-analyze", "--no-pager", "verify", bad)
    os.unlink(bad)
    assert "ProtectEverything" in r.stdout + r.stderr


@tool("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS)
def test_exposure(packaged, unit):
    r = sh("systemd-analyze", "--no-pager", "--root=" + packaged, "security", "--offline=true",
           "--threshold=12", unit)
    m = re.search(r"Overall exposure level for %s: (\d+\.\d+)" % re.escape(unit), r.stdout)
    assert m, r.stdout + r.stderr
    assert r.returncode == 0 and float(m.group(1)) <= 1.2, r.stdout


@tool("systemd-sysusers")
@tool("systemd-tmpfiles")
def test_user_and_directories(packaged, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("makes a user in a directory tree of its own, as root only")
    root = str(tmp_path)
    for name in ("usr/lib/sysusers.d", "usr/lib/tmpfiles.d"):
        shutil.copytree(os.path.join(packaged, name), os.path.join(root, name))
    os.makedirs(os.path.join(root, "etc"))
    r = sh("systemd-sysusers", "--root=" + root)
    assert r.returncode == 0, r.stderr
    with open(os.path.join(root, "etc/passwd")) as f:
        row = f.read().strip().split(":")
    assert row[0] == "mailshadow" and row[5:] == ["/var/lib/mailshadow", "/usr/sbin/nologin"]
    r = sh("systemd-tmpfiles", "--root=" + root, "--create", "mailshadow.conf")
    assert r.returncode == 0, r.stderr
    uid, gid = int(row[2]), int(row[3])
    for path, mode, owner in (("etc/mailshadow", 0o750, 0), ("etc/mailshadow/secrets", 0o700, uid),
                              ("run/mailshadow", 0o750, uid), ("var/lib/mailshadow", 0o700, uid),
                              ("var/log/mailshadow", 0o750, uid)):
        st = os.stat(os.path.join(root, path))
        assert (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (mode, owner, gid), path


@tool("logrotate")
def test_rotation(packaged, make, tmp_path):
    """The installed rule, with this test's paths, rotates under a running supervisor: nothing is lost."""
    pair = make.pair("local-local", gateway={"LastSyncTimeInterval": "300ms"})
    with pair.config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: s["pairings"][0]["status"] == "Success")
        with open(os.path.join(packaged, "etc/logrotate.d/mailshadow")) as f:
            rule = f.read()
        command = "systemctl kill --kill-whom=main --signal=SIGUSR1 mailshadow.service 2>/dev/null || true"
        assert command in rule and "su mailshadow mailshadow" in rule
        rule = rule.replace("/var/log/mailshadow", pair.config.logs)
        rule = rule.replace(command, "kill -USR1 %d" % d.p.pid)
        rule = re.sub(r"\tsu .*\n", "", rule).replace("create 0640 mailshadow mailshadow", "create 0640")
        path = tmp_path / "rule"
        path.write_text(rule)
        os.chmod(path, 0o644)
        r = sh("logrotate", "-f", "-s", str(tmp_path / "state"), str(path))
        assert r.returncode == 0, r.stderr
        log = os.path.join(pair.config.logs, "supervisor.log")
        pair.left.put(corpus.one(1, size=400))
        d.signal(signal.SIGHUP)            # says so in the log
        end = time.monotonic() + 10
        while os.stat(log).st_size == 0 and time.monotonic() < end:
            time.sleep(0.05)
        assert os.stat(log).st_size > 0, "the supervisor still writes to the old file"
        assert stat.S_IMODE(os.stat(log).st_mode) == 0o640
        old = os.stat(log + ".1").st_size
        time.sleep(0.5)
        assert os.stat(log + ".1").st_size == old
        assert d.stop() == 0
    with open(log) as f:
        assert "down" in f.read()


def test_root_leaves_nothing_behind(make):
    """Root asks while the service is down: told whom to be, and no file of root's stands in the service's way."""
    if os.geteuid() != 0:
        pytest.skip("only root can be in that situation")
    pair = make.pair("local-local")
    os.makedirs(pair.config.state, 0o700)
    os.chown(pair.config.state, NOBODY, NOBODY)
    for r in (pair.config.ctl("status"), pair.config.once()):
        assert r.rc == 2 and "runuser -u nobody" in r.err, r
    assert os.listdir(pair.config.state) == []


# --- the programs under the unit's system call rules ----------------------------------------------------------

def local_service(root, uid):
    """A configuration with one pairing of two Maildirs, all of it the service user's."""
    config = product.Config(root, LogLevel="info")
    for side in ("left", "right"):
        path = os.path.join(root, "mail-" + side)
        for sub in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(path, "u@%s.example" % side, "Mail", sub))
        config.local(side, path)
    with open(os.path.join(root, "mail-left/u@left.example/Mail/new/1.a.b"), "w") as f:
        f.write("From: a@left.example\nSubject: x\nMessage-ID: <1@left.example>\n\nbody\n")
    config.pairing("p", config.mailbox("left", "u@left.example"), config.mailbox("right", "u@right.example"))
    config.write()
    for directory, _, files in os.walk(root):
        os.chown(directory, uid, uid)
        for name in files:
            os.chown(os.path.join(directory, name), uid, uid)
    return config


def run_filtered(installed, config, uid, without=""):
    argv = [sys.executable, os.path.join(product.TOP, "tests/e2e/unit_filter.py"),
            os.path.join(installed, "lib/systemd/system/mailshadow.service"), "--",
            os.path.join(installed, "sbin/mailshadowd"), "-c", config.file, "--once"]
    who = {} if os.geteuid() != 0 else {"user": uid, "group": uid, "extra_groups": []}
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, umask=0o077,
                          env={**product.environment(), "UNIT_FILTER_WITHOUT": without}, **who)


@tool("systemd-analyze")
def test_the_programs_live_under_the_units_filter(installed, directory):
    """posix_spawn, Landlock, seccomp, rlimits and libzmq's threads get through; a pass succeeds.

    The second half takes away what the unit's comments say is needed, and expects the failure that
    they name: so this test can fail, and the comments cannot go stale.
    """
    uid = NOBODY if os.geteuid() == 0 else os.geteuid()
    os.chmod(directory, 0o755)
    config = local_service(os.path.join(directory, "good"), uid)
    r = run_filtered(installed, config, uid)
    assert r.returncode == 0, r.stderr + config.log()
    assert len(glob.glob(os.path.join(config.dir, "mail-right/*/Mail/[cn]*/*"))) == 1
    log = config.log()
    assert "not fenced off" not in log and "Landlock" not in log and "seccomp" not in log, log

    bad = local_service(os.path.join(directory, "bad"), uid)
    r = run_filtered(installed, bad, uid, "sched_setscheduler")
    assert r.returncode != 0, "sched_setscheduler is not needed any more: take it out of the unit"
    bad = local_service(os.path.join(directory, "jail"), uid)
    r = run_filtered(installed, bad, uid, "landlock_restrict_self seccomp")
    assert r.returncode != 0 or "Landlock" in bad.log() or "seccomp" in bad.log(), bad.log()


@tool("systemd-analyze")
def test_the_exporter_lives_under_its_units_filter(installed, directory):
    """And enters its own jail there, without seccomp(2): one thread needs prctl(2) only."""
    path = os.path.join(directory, "m")
    argv = [sys.executable, os.path.join(product.TOP, "tests/e2e/unit_filter.py"),
            os.path.join(installed, "lib/systemd/system/mailshadow-metrics.service"), "--",
            os.path.join(installed, "sbin/mailshadow-metrics"), "--socket", "/nonexistent/socket",
            "--listen", "unix:" + path]
    p = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=product.environment())
    try:
        line = p.stderr.readline()
        assert "listens on" in line, line + p.stderr.read()
        with open("/proc/%d/status" % p.pid) as f:
            assert int(re.search(r"Seccomp_filters:\t(\d+)", f.read()).group(1)) == 2
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(path)
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b""
            while piece := s.recv(4096):
                text += piece
        assert b"mailshadow_up 0" in text
    finally:
        p.kill()
        p.communicate()
