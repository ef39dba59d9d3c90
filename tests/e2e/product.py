"""The product as a user meets it: configuration files, three programs, exit codes, JSON.

MS_BUILD says where the programs are (default: build/ of this checkout).
"""

import fcntl
import json
import os
import re
import signal
import subprocess
import time
from xml.sax.saxutils import escape, quoteattr

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.environ.get("MS_BUILD") or os.path.join(TOP, "build"))
DAEMON = os.path.join(BUILD, "mailshadowd")
WORKER = os.path.join(BUILD, "mailshadow-worker")
CTL = os.path.join(BUILD, "mailshadow")

# Exit codes, from the documentation.
OK, FAILED, BAD_CONFIG, UNKNOWN, NO_SUPERVISOR, BUSY = 0, 1, 2, 3, 69, 75


def present():
    return all(os.access(p, os.X_OK) for p in (DAEMON, WORKER, CTL))


def environment():
    """Nothing of the caller's but the path: the programs take everything from their file."""
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]
    return env


class Result:
    def __init__(self, argv, rc, out, err, seconds):
        self.argv, self.rc, self.out, self.err, self.seconds = argv, rc, out, err, seconds

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as e:
            raise AssertionError("not JSON (%s) from %s:\n%s" % (e, self.argv, self.out[:2000])) from e

    def __str__(self):
        return "%s\n  exit %s after %.2f s\n  out: %s\n  err: %s" % (
            " ".join(self.argv), self.rc, self.seconds, self.out[-1500:], self.err[-3000:])


def run(argv, timeout=60, stdin="", env=None):
    t = time.monotonic()
    p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env={**environment(), **(env or {})}, start_new_session=True)
    try:
        out, err = p.communicate(stdin.encode(), timeout)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out, err = p.communicate()
        raise AssertionError("no end after %d s: %s\n%s\n%s" % (
            timeout, " ".join(argv), out.decode("utf-8", "replace")[-2000:],
            err.decode("utf-8", "replace")[-2000:])) from None
    return Result(argv, p.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"),
                  time.monotonic() - t)


class Config:
    """Writes mailshadow.xml and its secrets into a directory of its own.

    Endpoints and pairings are kept as text, so that a test can also write nonsense.
    """

    def __init__(self, directory, **gateway):
        self.dir = os.path.abspath(directory)
        os.makedirs(os.path.join(self.dir, "secrets"), exist_ok=True)
        os.chmod(os.path.join(self.dir, "secrets"), 0o700)
        os.chmod(self.dir, 0o755)
        self.file = os.path.join(self.dir, "mailshadow.xml")
        self.state = os.path.join(self.dir, "state")
        self.logs = os.path.join(self.dir, "log")
        self.runtime = os.path.join(self.dir, "run")
        # Sixty parallel tests of one machine would not want 15 workers each.
        self.gateway = {"Workers": 2, "LastSyncTimeInterval": "1s", "ErrorRetryBump": "1s",
                        "LogLevel": "debug", "StateDirectory": self.state,
                        "LogDirectory": self.logs, "RuntimeDirectory": self.runtime, **gateway}
        self.endpoints, self.pairings = {}, {}

    def secret(self, name, text, mode=0o600):
        path = os.path.join(self.dir, "secrets", name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return "secrets/" + name

    def imap(self, name, port, ca=None, tls="implicit", server="127.0.0.1", login=None, password=None,
             **more):
        """An IMAP endpoint; login and password are the service account's."""
        inner = []
        if login:
            inner.append("<LoginName>%s</LoginName>" % escape(login))
        if password is not None:
            inner.append("<Password file=%s/>" % quoteattr(self.secret(name, password)))
        inner.append("<Server>%s</Server><Port>%d</Port><TLS>%s</TLS>" % (server, port, tls))
        if ca:
            inner.append("<CAFile>%s</CAFile>" % escape(ca))
        for k, v in more.items():
            inner.append("<%s>%s</%s>" % (k, escape(str(v)), k))
        self.endpoints[name] = "<endpoint name=%s type=\"imap\">%s</endpoint>" % (
            quoteattr(name), "".join(inner))

    def local(self, name, path):
        self.endpoints[name] = "<endpoint name=%s type=\"local\"><Path>%s</Path></endpoint>" % (
            quoteattr(name), escape(path))

    def mailbox(self, endpoint, smtp, login=None, password=None):
        own = ""
        if login:
            own = "<LoginName>%s</LoginName><Password file=%s/>" % (
                escape(login), quoteattr(self.secret("own-%s-%s" % (endpoint, smtp), password)))
        return "<mailbox endpoint=%s SMTPName=%s%s" % (
            quoteattr(endpoint), quoteattr(smtp), ">" + own + "</mailbox>" if own else "/>")

    def pairing(self, name, left, right, folders="", inner="", **attributes):
        self.pairings[name] = "<pairing name=%s%s>%s%s%s%s</pairing>" % (
            quoteattr(name), "".join(" %s=%s" % (k, quoteattr(str(v))) for k, v in attributes.items()),
            left, right, "<folders>%s</folders>" % folders if folders else "", inner)

    def text(self):
        return "\n".join(
            ['<?xml version="1.0" encoding="UTF-8"?>', '<mailshadow version="1">', "  <gateway>"]
            + ["    <%s>%s</%s>" % (k, escape(str(v)), k) for k, v in self.gateway.items() if v is not None]
            + ["  </gateway>", "  <endpoints>"]
            + ["    " + e for e in self.endpoints.values()] + ["  </endpoints>", "  <pairings>"]
            + ["    " + p for p in self.pairings.values()] + ["  </pairings>", "</mailshadow>", ""])

    def write(self):
        tmp = self.file + ".new"
        with open(tmp, "w", encoding="utf-8") as f:
            f.write(self.text())
        os.chmod(tmp, 0o640)
        os.rename(tmp, self.file)
        return self

    # --- the programs -----------------------------------------------------------------------------------

    def once(self, timeout=60, env=None):
        return run([DAEMON, "-c", self.file, "--once"], timeout, env=env)

    def ctl(self, *args, timeout=60):
        return run([CTL, "-c", self.file, *args], timeout)

    def verify(self, pairing, timeout=60):
        return self.ctl("verify", pairing, "--json", timeout=timeout)

    def plan(self, pairing):
        return self.ctl("plan", pairing, "--json")

    def status(self):
        r = self.ctl("status", "--json")
        assert r.rc == OK, r
        return r.json()

    def pairing_status(self, name):
        rows = [p for p in self.status()["pairings"] if p["name"] == name]
        assert len(rows) == 1, rows
        return rows[0]

    def daemon(self, *args, env=None):
        return Daemon(self, args, env)

    def log(self):
        """All logs as one text."""
        out = []
        if os.path.isdir(self.logs):
            for name in sorted(os.listdir(self.logs)):
                with open(os.path.join(self.logs, name), errors="replace") as f:
                    out.append("---- %s\n%s" % (name, f.read()))
        return "\n".join(out)

    def state_db(self, pairing):
        return os.path.join(self.state, "pairings", pairing, "state.db")

    def forget(self, pairing):
        """Deletes a pairing's state, as after the loss of the gateway's disk."""
        path = self.state_db(pairing)
        assert os.path.exists(path), "no state file at " + path
        for suffix in ("", "-wal", "-open"):
            if os.path.exists(path + suffix):
                os.unlink(path + suffix)


class Daemon:
    """A supervisor in the foreground."""

    def __init__(self, config, args=(), env=None):
        self.config = config
        self.out = open(os.path.join(config.dir, "daemon.out"), "ab")
        self.p = subprocess.Popen([DAEMON, "-c", config.file, "--foreground", *args],
                                  stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
                                  env={**environment(), **(env or {})}, start_new_session=True)

    def socket(self):
        return os.path.join(self.config.runtime, "control", "socket")

    def wait_ready(self, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.p.poll() is not None:
                with open(self.out.name, errors="replace") as f:
                    raise AssertionError("mailshadowd ended with %s: %s" % (self.p.returncode, f.read()[-2000:]))
            if os.path.exists(self.socket()):
                r = self.config.ctl("status", "--json")
                if r.rc == 0 and r.json()["service"]["pid"] == self.p.pid:
                    return self
            time.sleep(0.03)
        raise AssertionError("mailshadowd is not ready after %d s\n%s" % (seconds, self.config.log()[-3000:]))

    def wait(self, predicate, seconds=20, what="the condition"):
        """Polls status until predicate(status) holds."""
        end = time.monotonic() + seconds
        last = None
        while time.monotonic() < end:
            last = self.config.status()
            if predicate(last):
                return last
            time.sleep(0.1)
        raise AssertionError("%s did not come in %d s; status: %s\n%s" % (
            what, seconds, json.dumps(last, indent=1), self.config.log()[-3000:]))

    def workers(self):
        """Workers that have a batch; not the one that waits for its first."""
        return [pid for pid in children(self.p.pid) if not is_spare(pid)]

    def signal(self, sig):
        os.kill(self.p.pid, sig)

    def stop(self, seconds=65):
        if self.p.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            rc = self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("SIGTERM did not end mailshadowd in %d s" % seconds) from None
        self.out.close()
        return rc

    def kill(self):
        """SIGKILL to the supervisor and whatever is left of its process group."""
        lived = self.p.poll() is None
        pids = children(self.p.pid)
        for pid in [self.p.pid] + pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.p.wait()
        self.out.close()
        if lived:
            self.wait_unlocked()

    def wait_unlocked(self, seconds=5):
        """A child that was being born when its parent was killed has the lock until it is born."""
        path, end = os.path.join(self.config.state, "lock"), time.monotonic() + seconds
        while os.path.exists(path) and time.monotonic() < end:
            with open(path, "rb") as f:
                try:
                    fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    return
                except BlockingIOError:
                    time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.p.poll() is None:
            self.kill()


def is_spare(pid):
    """A worker gets its log with its batch."""
    try:
        return os.readlink("/proc/%d/fd/2" % pid) == "/dev/null"
    except OSError:
        return False


def children(pid):
    """Direct children of a process."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(x) for x in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def rss_peak(pid):
    """VmHWM in bytes, or None when the process is gone."""
    try:
        with open("/proc/%d/status" % pid) as f:
            m = re.search(r"^VmHWM:\s+(\d+) kB", f.read(), re.M)
            return int(m.group(1)) * 1024 if m else None
    except (FileNotFoundError, ProcessLookupError):
        return None
