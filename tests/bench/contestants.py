"""Those who run: the product, mbsync, interimap, and the wire limit.

Each keeps its configuration and its state in a directory of its own per set of mailboxes. The
settings of the peers are their best honest ones: pipelining as deep as they can, received times
kept, deletions carried out, certificates verified, passwords in a file of mode 0600.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from xml.sax.saxutils import escape

HERE = os.path.dirname(os.path.abspath(__file__))


def private(path, text):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as f:
        f.write(text)


class Seat:
    """One contestant at one set of mailboxes. `left`, `right`: {"host", "port", "ca", "password"}."""

    def __init__(self, contestant, directory, users, left, right):
        self.contestant, self.dir, self.users = contestant, directory, users
        self.left, self.right = left, right
        self.state = os.path.join(directory, "state")
        os.makedirs(directory, 0o700, exist_ok=True)
        self.forget()
        contestant.configure(self)

    def forget(self):
        shutil.rmtree(self.state, ignore_errors=True)
        os.makedirs(self.state, 0o700)

    def point(self, left, right):
        """The same mailboxes and state by other ports."""
        self.left, self.right = left, right
        self.contestant.configure(self)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)


class Contestant:
    tolerate = ""           # a known defect that the check overlooks, as the report says it
    strip_tuid = False
    keywords = True
    processes = 15          # at a time, where there are many mailboxes

    def missing(self):
        return None

    def configure(self, seat):
        raise NotImplementedError

    def job(self, seat, _what, _plan=None):
        """What the launcher is asked to run."""
        raise NotImplementedError

    def weigh(self, answer, _text):
        return answer


class Product(Contestant):
    name = "product"

    def __init__(self, build):
        self.program = os.path.join(os.path.abspath(build), "mailshadowd")

    def missing(self):
        if not os.access(self.program, os.X_OK):
            return "%s is not there: run make, or name the directory with --build" % self.program
        return None

    def configure(self, seat):
        secret = seat.path("password")
        private(secret, seat.left["password"] + "\n")
        lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<mailshadow version="1">', "  <gateway>",
                 "    <Workers>%d</Workers>" % self.processes,
                 "    <LastSyncTimeInterval>1440</LastSyncTimeInterval>"]
        for name, sub in (("StateDirectory", "state"), ("LogDirectory", "log"),
                          ("RuntimeDirectory", "run")):
            lines.append("    <%s>%s</%s>" % (name, escape(seat.path(sub)), name))
        lines += ["  </gateway>", "  <endpoints>"]
        for name, server in (("left", seat.left), ("right", seat.right)):
            lines.append('    <endpoint name="%s" type="imap">' % name)
            lines.append("      <Server>%s</Server><Port>%d</Port>" % (server["host"], server["port"]))
            lines.append("      <TLS>%s</TLS>" % ("implicit" if server["ca"] else "none"))
            if server["ca"]:
                lines.append("      <CAFile>%s</CAFile>" % escape(server["ca"]))
            lines.append("    </endpoint>")
        lines += ["  </endpoints>", "  <pairings>"]
        for n, user in enumerate(seat.users):
            lines.append('    <pairing name="p%d" deletions="expunge">' % n)
            for side in ("left", "right"):
                lines.append('      <mailbox endpoint="%s" SMTPName="%s"><LoginName>%s</LoginName>'
                             '<Password file="%s"/></mailbox>' % (side, user, user, escape(secret)))
            lines.append("    </pairing>")
        lines += ["  </pairings>", "</mailshadow>", ""]
        private(seat.path("mailshadow.xml"), "\n".join(lines))

    def job(self, seat, _what, _plan=None):
        return {"argvs": [[self.program, "-c", seat.path("mailshadow.xml"), "--once"]]}

    def service(self, seat):
        return Service(self.program, seat.path("mailshadow.xml"))

    def request(self, seat):
        return {"argvs": [[os.path.join(os.path.dirname(self.program), "mailshadow"), "-c",
                           seat.path("mailshadow.xml"), "sync", "p0", "--wait"]]}


class Service:
    """mailshadowd in the foreground, after its first pass, with nothing due for a day."""

    def __init__(self, program, config):
        self.program, self.config = program, config

    def __enter__(self):
        self.proc = subprocess.Popen([self.program, "-c", self.config, "--foreground"], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        command = os.path.join(os.path.dirname(self.program), "mailshadow")
        for _ in range(600):
            time.sleep(0.1)
            done = subprocess.run([command, "-c", self.config, "sync", "p0", "--wait"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, check=False)
            if done.returncode == 0:
                break
        time.sleep(0.4)             # its next worker is ready
        return self

    def __exit__(self, *_):
        self.proc.terminate()
        self.proc.wait(70)

    def stat(self):
        with open("/proc/%d/stat" % self.proc.pid) as f:
            return f.read().rsplit(")", 1)[1].split()

    def cpu(self):
        """Seconds, with those of workers that have ended."""
        return sum(int(x) for x in self.stat()[11:15]) / os.sysconf("SC_CLK_TCK")

    def peak(self):
        """KiB of the supervisor itself."""
        with open("/proc/%d/status" % self.proc.pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


class Mbsync(Contestant):
    name = "mbsync"
    tolerate = "adds X-TUID to every message it copies, drops keywords"
    strip_tuid = True
    keywords = False
    program = "/usr/bin/mbsync"

    def missing(self):
        return None if os.access(self.program, os.X_OK) else "not installed (package isync)"

    def configure(self, seat):
        for n, user in enumerate(seat.users):
            lines = []
            for store, server in (("far", seat.left), ("near", seat.right)):
                lines += ["IMAPStore " + store, "Host " + server["host"], "Port %d" % server["port"],
                          "User " + user, 'Pass "%s"' % server["password"], "AuthMechs LOGIN",
                          "Timeout 120",
                          "SSLType " + ("IMAPS" if server["ca"] else "None")]
                if server["ca"]:
                    lines += ["SystemCertificates no", "CertificateFile " + server["ca"]]
                lines.append("")
            lines += ["Channel c", "Far :far:", "Near :near:", "Patterns INBOX *", "Sync All",
                      "Create Both", "Remove Both", "Expunge Both", "CopyArrivalDate yes",
                      "SyncState %s-" % os.path.join(seat.state, str(n)), ""]
            private(seat.path("%d.rc" % n), "\n".join(lines))

    def job(self, seat, _what, _plan=None):
        return {"argvs": [[self.program, "-q", "-c", seat.path("%d.rc" % n), "c"]
                          for n in range(len(seat.users))], "parallel": self.processes}


class Interimap(Contestant):
    name = "interimap"
    program = "/usr/bin/interimap"

    def missing(self):
        return None if os.access(self.program, os.X_OK) else "not installed (package interimap)"

    def configure(self, seat):
        for n, user in enumerate(seat.users):
            lines = ["database = " + os.path.join(seat.state, "%d.db" % n), ""]
            for section, server in (("local", seat.left), ("remote", seat.right)):
                lines += ["[%s]" % section, "host = " + server["host"], "port = %d" % server["port"],
                          "username = " + user, "password = " + server["password"],
                          "auth = PLAIN", "compress = NO"]
                if server["ca"]:
                    lines += ["type = imaps", "SSL_verify = YES", "SSL_CAfile = " + server["ca"]]
                else:
                    lines += ["type = imap", "STARTTLS = NO"]
                lines.append("")
            private(seat.path("%d.conf" % n), "\n".join(lines))

    def job(self, seat, _what, _plan=None):
        return {"argvs": [[self.program, "--quiet", "--config=" + seat.path("%d.conf" % n)]
                          for n in range(len(seat.users))], "parallel": self.processes}


class Wire(Contestant):
    name = "wire"

    def configure(self, seat):
        pass

    def job(self, seat, what, plan=None):
        path = seat.path("job.json")
        private(path, json.dumps({"do": what, "left": seat.left, "right": seat.right,
                                  "users": seat.users, "parallel": self.processes, "plan": plan}))
        return {"argvs": [[sys.executable, "-I", os.path.join(HERE, "wire.py"), path]]}

    def weigh(self, answer, text):
        """Its own figures: without the start of the interpreter."""
        try:
            answer.update(json.loads(text.strip().splitlines()[-1]))
        except (ValueError, IndexError):
            answer["codes"] = [1]
        return answer
