"""A private Cyrus 3.6, unpacked by scripts/fetch-cyrus, on high ports of 127.0.0.1.

Every user exists with PASSWORD; a mailbox is made at its first logon. Passwords are judged by a
few lines of Python that speak saslauthd's protocol, so nothing outside the directory is needed.
"""

import glob
import grp
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import threading

from . import ports
from .dovecot import MASTER_PASSWORD, PASSWORD, _open_path

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))

IMAPD = """\
configdirectory: {lib}
defaultpartition: default
partition-default: {spool}
proc_path: {dir}/proc
mboxname_lockpath: {dir}/lock
lock_debugtime: 10
cyrus_user: {user}
cyrus_group: {group}
admins: cyrus
proxyservers: {master}
altnamespace: {alt}
unixhierarchysep: {unix}
virtdomains: userid
defaultdomain: nowhere.example
allowplaintext: yes
sasl_mech_list: PLAIN LOGIN
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: {mux}
tls_server_cert: {cert}
tls_server_key: {key}
tls_session_timeout: 0
idlesocket: {dir}/idle
notifysocket: {dir}/notify
lmtpsocket: {dir}/lmtp
sievedir: {dir}/sieve
autocreate_quota: 0
autocreate_users: anyone
autocreate_inbox_folders: {folders}
autocreate_subscribe_folders: {folders}
xlist-drafts: Drafts
xlist-sent: Sent
xlist-trash: Trash
xlist-junk: Junk
xlist-archive: Archive
specialusealways: yes
expunge_mode: immediate
delete_mode: immediate
duplicatesuppression: no
skiplist_unsafe: yes
reject8bit: no
munge8bit: no
failedloginpause: 0
timeout: 30
popminpoll: 0
maxlogins_per_user: 0
maxlogins_per_host: 0
maxmessagesize: {max_mail}
httpmodules: caldav carddav
caldav_allowscheduling: on
smtp_backend: host
smtp_host: 127.0.0.1:{smtp}/noauth
{extra}
"""

CONF = """\
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {conf} -r"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {conf}" listen="127.0.0.1:{plain}" prefork=0 maxchild=100
  imaps cmd="{bin}/imapd -C {conf} -s" listen="127.0.0.1:{tls}" prefork=1 maxchild=100
  http cmd="{bin}/httpd -C {conf}" listen="127.0.0.1:{http}" prefork=0 maxchild=20
}}
EVENTS {{
}}
"""


def hang_up(listener):
    """Closing alone does not wake a thread in accept()."""
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    listener.close()


class SaslAuthd(threading.Thread):
    """saslauthd's side of the `mux` socket: four counted strings in, one counted string out."""

    def __init__(self, path, judge):
        super().__init__(daemon=True)
        self.judge = judge
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(64)
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                try:
                    user, password = self._string(peer), self._string(peer)
                    self._string(peer), self._string(peer)
                    answer = b"OK" if self.judge(user.decode(), password.decode()) else b"NO"
                    peer.sendall(struct.pack("!H", len(answer)) + answer)
                except (OSError, EOFError):
                    pass

    @staticmethod
    def _string(peer):
        def exactly(n):
            data = b""
            while len(data) < n:
                more = peer.recv(n - len(data))
                if not more:
                    raise EOFError
                data += more
            return data
        return exactly(struct.unpack("!H", exactly(2))[0])

    def close(self):
        hang_up(self.listener)


class Outbox(threading.Thread):
    """Takes what the server sends by SMTP, and keeps it."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.mails = []
        self.listener = socket.create_server(("127.0.0.1", port))
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            try:
                self._serve(peer)
            except OSError:
                pass

    def _serve(self, peer):
        with peer, peer.makefile("rb") as lines:
            peer.sendall(b"220 outbox\r\n")
            said = b""
            for line in lines:
                verb = line.split()[:1][0].upper() if line.split() else b""
                if verb == b"DATA":
                    peer.sendall(b"354 go on\r\n")
                    text = b""
                    for part in lines:
                        if part == b".\r\n":
                            break
                        text += part
                    self.mails.append((said + text).decode("utf-8", "replace"))
                    said = b""
                elif verb in (b"MAIL", b"RCPT"):
                    said += line
                peer.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")
                if verb == b"QUIT":
                    return

    def close(self):
        hang_up(self.listener)


def tree():
    """Where Cyrus was unpacked to, or None."""
    path = os.environ.get("MS_CYRUS") or os.path.join(TOP, "build", "cyrus")
    return path if os.path.exists(os.path.join(path, ".complete")) else None


def wanted():
    """Tests with Cyrus are left out only where somebody says so: a missing Cyrus is a failure."""
    return not os.environ.get("MS_NO_CYRUS")


class Cyrus:
    implementation = "cyrus"

    def __init__(self, directory, cert, max_mail=0, altnamespace=True, unixsep=True, extra="", master="svc-cyrus",
                 folders=("Drafts", "Sent", "Trash", "Junk", "Archive")):
        base = tree()
        if base is None:
            raise RuntimeError("Cyrus is not there: run scripts/fetch-cyrus")
        self.dir = os.path.abspath(directory)
        self.host = "127.0.0.1"
        self.separator = "/" if unixsep else "."
        self.prefix = "" if altnamespace else "INBOX" + self.separator
        self.max_mail = max_mail or None
        self.master = master
        self.plain_port, self.tls_port, self.http_port, smtp = ports.free(4)
        self.outbox = Outbox(smtp)
        self._proc = None
        self._sasl = None
        root = os.geteuid() == 0
        entry = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.geteuid())
        self.uid, self.gid = entry.pw_uid, entry.pw_gid
        for sub in ("lib", "spool", "proc", "lock", "sieve", "conf", "sasl"):
            os.makedirs(os.path.join(self.dir, sub), exist_ok=True)
        bindir = os.path.join(base, "usr", "lib", "cyrus", "bin")
        self.program = os.path.join(bindir, "master")
        libs = [os.path.dirname(p) for p in
                glob.glob(os.path.join(base, "usr", "lib", "*", "libcyrus_imap.so.0"))]
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LD_LIBRARY_PATH": ":".join(libs),
                    "CYRUS_USER": entry.pw_name, "CYRUS_VERBOSE": "0"}
        plugins = glob.glob(os.path.join(base, "usr", "lib", "*", "sasl2"))
        if plugins:
            self.env["SASL_PATH"] = plugins[0]
        self.imapd_conf = os.path.join(self.dir, "conf", "imapd.conf")
        self.cyrus_conf = os.path.join(self.dir, "conf", "cyrus.conf")
        self.mux = os.path.join(self.dir, "sasl", "mux")
        with open(self.imapd_conf, "w") as f:
            f.write(IMAPD.format(
                dir=self.dir, lib=os.path.join(self.dir, "lib"),
                spool=os.path.join(self.dir, "spool"), user=entry.pw_name,
                group=grp.getgrgid(self.gid).gr_name, master=master, mux=self.mux,
                alt="yes" if altnamespace else "no", unix="yes" if unixsep else "no",
                cert=cert.cert, key=cert.key, max_mail=max_mail, smtp=smtp, extra=extra,
                folders="|".join(folders)))
        with open(self.cyrus_conf, "w") as f:
            f.write(CONF.format(bin=bindir, conf=self.imapd_conf, plain=self.plain_port, tls=self.tls_port,
                                http=self.http_port))
        if root:
            _open_path(self.dir)
            _open_path(base)
            for at, dirs, files in os.walk(self.dir):
                for name in [at] + [os.path.join(at, x) for x in dirs + files]:
                    os.chown(name, self.uid, self.gid)

    def sent(self):
        """The texts of the mails that left this server so far (invitations)."""
        return list(self.outbox.mails)

    def start(self):
        if os.path.exists(self.mux):
            os.unlink(self.mux)
        self._sasl = SaslAuthd(self.mux, lambda user, password: password == (
            MASTER_PASSWORD if user == self.master else PASSWORD))
        extra = {}
        if os.geteuid() == 0:
            extra = {"user": self.uid, "group": self.gid, "extra_groups": []}
        self._out = open(os.path.join(self.dir, "stdout"), "ab")
        os.chmod(self._out.fileno(), 0o666)
        self._proc = subprocess.Popen(
            [self.program, "-C", self.imapd_conf, "-M", self.cyrus_conf,
             "-p", os.path.join(self.dir, "master.pid"), "-D"],
            stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._out,
            start_new_session=True, env=self.env, cwd=self.dir, **extra)
        ports.wait(self.tls_port, self._why_dead)
        return self

    def _why_dead(self):
        if self._proc.poll() is None:
            return None
        with open(os.path.join(self.dir, "stdout"), errors="replace") as f:
            return "cyrus ended with %s: %s" % (self._proc.returncode, f.read()[-2000:])

    def stop(self):
        if self._proc is None:
            return
        self._proc.send_signal(signal.SIGTERM)
        try:
            self._proc.wait(5)
        except subprocess.TimeoutExpired:
            pass
        # imapd processes are the master's children in the master's own session.
        try:
            os.killpg(self._proc.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._proc.wait()
        self._proc = None
        self._sasl.close()
        self.outbox.close()
        self._out.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def wipe(self):
        shutil.rmtree(self.dir, ignore_errors=True)
