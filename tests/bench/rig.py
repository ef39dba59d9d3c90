"""The rig: two Dovecots, the launcher, sets of mailboxes and what is measured on them."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "e2e"))

import contestants
import bulkmail
import mailtree
import mutf7
import wire
from servers import certs, dovecot, proxy

SIDES = ("left", "right")
LIMITS = """\
default_vsz_limit = 2G
"""


class Failed(Exception):
    """A contestant failed or its result is wrong: said in the report, the others go on."""


def say(text):
    print("%s %s" % (time.strftime("%H:%M:%S"), text), flush=True)


def remove(path):
    """shutil.rmtree takes minutes over a million files."""
    subprocess.run(["rm", "-rf", "--", path], check=True)


class Launcher:
    def __init__(self, directory):
        self.out = os.path.join(directory, "output")
        self.proc = subprocess.Popen([sys.executable, "-I", "-S", os.path.join(HERE, "launch.py")],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, job, cwd, timeout):
        job = dict(job, cwd=cwd, out=self.out, timeout=timeout)
        self.proc.stdin.write(json.dumps(job) + "\n")
        self.proc.stdin.flush()
        answer = json.loads(self.proc.stdout.readline())
        if "error" in answer:
            raise Failed(answer["error"])
        with open(self.out, errors="replace") as f:
            return answer, f.read()

    def stop(self):
        self.proc.stdin.close()
        try:
            self.proc.wait(1)
        except subprocess.TimeoutExpired:       # we were interrupted, it has a job under way
            self.proc.terminate()
            self.proc.wait()


class Rig:
    """`directory` is on a real disk: configurations and states, which the contestants make durable.
    `mail` has the servers and the snapshots: in memory where possible, so that what one run wrote
    does not go to the disk during the next one."""

    def __init__(self, directory, mail, all_contestants):
        self.dir, self.mail = directory, mail
        self.contestants = all_contestants
        made = certs.make(os.path.join(mail, "certs"))
        self.ca = made.ca
        self.server = {s: dovecot.Dovecot(os.path.join(mail, s), made.good, auto="no",
                                          extra=LIMITS) for s in SIDES}
        self.launcher = Launcher(directory)
        self.proxies = []

    def __enter__(self):
        for s in SIDES:
            self.server[s].start()
        return self

    def __exit__(self, *_):
        self.launcher.stop()
        for p in self.proxies:
            p.stop()
        for s in SIDES:
            self.server[s].stop()

    def endpoint(self, side, port=None, tls=True):
        server = self.server[side]
        default = server.tls_port if tls else server.plain_port
        return {"host": "127.0.0.1", "port": port or default, "ca": self.ca if tls else None,
                "password": dovecot.PASSWORD}

    def through(self, delay_ms, tls):
        """{side: (endpoint, proxy)} of a pair of new proxies; `delay_ms` is that of one direction,
        and a connection costs one round trip before its first byte, as it does on a real line."""
        pair = {}
        for s in SIDES:
            server = self.server[s]
            p = proxy.Proxy(server.tls_port if tls else server.plain_port, delay_ms,
                            record=not tls, connect_ms=2 * delay_ms)
            p.start()
            self.proxies.append(p)
            pair[s] = (self.endpoint(s, p.port, tls), p)
        return pair

    def home(self, side, user):
        return os.path.join(self.server[side].mail, user)

    def maildir(self, side, user):
        return os.path.join(self.home(side, user), "Maildir")


class Set:
    """Mailboxes of one kind: the same left mail for each contestant, each with its own users."""

    def __init__(self, rig, label, messages, seed, small=0, users=1, ends=None, timeout=600,
                 snapshots=True):
        self.rig, self.label, self.timeout, self.messages = rig, label, timeout, messages
        self.snapshots = snapshots      # not where nothing ever changes: there are too many files
        self.ends = ends or {s: rig.endpoint(s) for s in SIDES}
        self.snap = os.path.join(rig.mail, "snap", label)
        self.seats = {}
        self.settled = set()
        self.users = users
        self.template = os.path.join(self.snap, "template")
        self._lay_out(messages, seed, small)

    # --- mail -------------------------------------------------------------------------------------

    def _lay_out(self, messages, seed, small):
        user, left = self.label + "-template@bench.example", self.rig.server["left"]
        home = self.rig.home("left", user)
        os.makedirs(home)
        begin = time.monotonic()
        bulkmail.write(os.path.join(home, "Maildir"), messages, seed, small)
        left.adopt(home)
        conn = wire.Conn(self.rig.endpoint("left", tls=False), user)
        for name, _ in bulkmail.FOLDERS:
            conn.send(b"SELECT " + wire.quoted(mutf7.encode(name).encode()),
                      b"UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)" if messages else b"NOOP")
            conn.finish()
        conn.logout()
        time.sleep(0.2)
        mailtree.clone(home, self.template)
        self.model = mailtree.items(os.path.join(home, "Maildir"))
        size = mailtree.size(os.path.join(home, "Maildir"))
        shutil.rmtree(home)
        say("set %s: %d messages, %.1f MiB%s, laid out in %.1f s" %
            (self.label, messages, size / (1 << 20),
             ", %d mailboxes" % self.users if self.users > 1 else "", time.monotonic() - begin))

    def seat(self, who):
        if who.name not in self.seats:
            users = ["%s-%s-%03d@bench.example" % (self.label, who.name, n)
                     for n in range(self.users)]
            self.seats[who.name] = contestants.Seat(
                who, os.path.join(self.rig.dir, "seat", self.label, who.name), users,
                self.ends["left"], self.ends["right"])
        return self.seats[who.name]

    def fresh(self, who):
        seat = self.seat(who)
        for user in seat.users:
            mailtree.clone(self.template, self.rig.home("left", user))
            shutil.rmtree(self.rig.home("right", user), ignore_errors=True)
        seat.forget()

    def save(self, who, key):
        if not self.snapshots:
            return
        seat, base = self.seat(who), os.path.join(self.snap, key, who.name)
        for n, user in enumerate(seat.users):
            for s in SIDES:
                mailtree.clone(self.rig.home(s, user), os.path.join(base, s, str(n)))
        mailtree.clone(seat.state, os.path.join(base, "state"))

    def restore(self, who, key):
        if not self.snapshots:
            return
        seat, base = self.seat(who), os.path.join(self.snap, key, who.name)
        for n, user in enumerate(seat.users):
            for s in SIDES:
                mailtree.clone(os.path.join(base, s, str(n)), self.rig.home(s, user))
        mailtree.clone(os.path.join(base, "state"), seat.state)

    def discard(self):
        """Gives the disk back."""
        for seat in self.seats.values():
            for user in seat.users:
                for s in SIDES:
                    remove(self.rig.home(s, user))
        remove(self.snap)

    def items(self, who, side, n=0):
        return mailtree.items(self.rig.maildir(side, self.seat(who).users[n]), who.strip_tuid)

    # --- checks -----------------------------------------------------------------------------------

    def check_equal(self, who, expected=None):
        """Both sides equal, and what is expected (else: what was laid out); raises Failed."""
        seat = self.seat(who)
        for n, user in enumerate(seat.users):
            left, right = self.items(who, "left", n), self.items(who, "right", n)
            if not left:
                raise Failed("the left side is empty")
            lines = mailtree.compare(left, right, who.keywords)
            if not lines:
                lines = compare_bag(bag(left, who), expected or bag(self.model, who))
            a, b = (set(mailtree.folders(self.rig.maildir(s, user))) for s in SIDES)
            if a != b:
                lines.append("folders differ: %s" % sorted(a ^ b))
            if lines:
                raise Failed("%s: not equal afterwards: %s" % (user, "; ".join(lines[:7])))

    def file_names(self, who):
        return {(s, user, x) for s in SIDES for user in self.seat(who).users
                for x in mailtree.names(self.rig.maildir(s, user))}

    # --- runs -------------------------------------------------------------------------------------

    def run(self, who, what, plan=None):
        seat = self.seat(who)
        os.sync()
        answer, text = self.rig.launcher.run(who.job(seat, what, plan), seat.dir, self.timeout)
        answer = who.weigh(answer, text)
        answer["cpu"] = answer.pop("user") + answer.pop("sys")
        if answer.pop("timedout"):
            raise Failed("not ready after %d s: %s" % (self.timeout, text[-600:]))
        if any(answer["codes"]):
            raise Failed("exit codes %s: %s" % (sorted(set(answer["codes"])), text[-600:]))
        time.sleep(0.05)            # the servers' own ends of the sessions
        return answer

    def first_copy(self, who):
        self.fresh(who)
        answer = self.run(who, "copy")
        self.check_equal(who)
        return answer

    def settle(self, who):
        """The state after a first copy and one run with nothing to do, kept as a snapshot."""
        if who.name in self.settled:
            return
        self.first_copy(who)
        self.finish_settling(who)

    def finish_settling(self, who):
        self.run(who, "look")
        self.check_equal(who)
        self.save(who, "settled")
        self.settled.add(who.name)

    def nothing(self, who):
        """One run with nothing changed; no file of either side may be touched."""
        before = self.file_names(who)
        answer = self.run(who, "look")
        if self.file_names(who) != before:
            raise Failed("changed something where nothing had changed")
        return answer

    def nothing_served(self, who):
        """The same, asked of a running service that has just made a pass by itself."""
        seat, before = self.seat(who), self.file_names(who)
        with who.service(seat) as service:
            spent = service.cpu()
            os.sync()
            answer, text = self.rig.launcher.run(who.request(seat), seat.dir, self.timeout)
            if any(answer["codes"]):
                raise Failed("exit codes %s: %s" % (sorted(set(answer["codes"])), text[-600:]))
            time.sleep(0.1)         # the worker is reaped, and counted
            answer["cpu"] = answer.pop("user") + answer.pop("sys") + service.cpu() - spent
            answer["rss"] = max(answer["rss"], service.peak())
        if self.file_names(who) != before:
            raise Failed("changed something where nothing had changed")
        return answer

    def make_changes(self, who, new, flags, gone):
        """Changes both sides of the settled mailbox by IMAP, and keeps that as `changed`.
        Returns (expected result, what the wire limit is told)."""
        self.restore(who, "settled")
        before = {s: self.items(who, s) for s in SIDES}
        plan = change_plan(before, new, flags, gone)
        for s in SIDES:
            apply_changes(self.rig.endpoint(s, tls=False), self.seat(who).users[0], plan[s])
        time.sleep(0.2)
        after = {s: self.items(who, s) for s in SIDES}
        expected = bag(before["left"], who)
        for s in SIDES:
            a, b = bag(before[s], who), bag(after[s], who)
            if sum((b - a).values()) != new + flags or sum((a - b).values()) != gone + flags:
                raise RuntimeError("the changes were not made as planned")
            expected = expected + (b - a) - (a - b)
        self.save(who, "changed")
        return expected, wire_plan(plan, before, after)


def bag(side, who):
    return Counter((i.folder, i.digest, i.flags, i.keywords if who.keywords else None, i.received)
                   for i in side)


def compare_bag(got, expected):
    if got == expected:
        return []
    return ["%d missing, %d too many against what is expected" %
            (sum((expected - got).values()), sum((got - expected).values()))]


# --- workload c: what changes -----------------------------------------------------------------------

def wire_name(folder):
    return folder.replace(".", "/") if folder else "INBOX"


def change_plan(before, new, flags, gone):
    """{side: what changes there}; the UIDs of both sides are noted with each changed message.
    Only messages that are unique on both sides are chosen, the same ones for everybody."""
    where = {}
    for s in SIDES:
        seen = defaultdict(list)
        for i in before[s]:
            seen[(i.folder, i.digest)].append(i)
        where[s] = {k: v[0] for k, v in seen.items() if len(v) == 1}
    keys = sorted(set(where["left"]) & set(where["right"]))
    rng = random.Random(4711)
    chosen = rng.sample(keys, 2 * (flags + gone))
    plan = {}
    for index, s in enumerate(SIDES):
        mine = chosen[index::2]
        ops = []
        for key in mine[:flags]:
            have = where[s][key].flags
            op = "+FLAGS.SILENT (\\Flagged)" if "\\Flagged" not in have else \
                 "-FLAGS.SILENT (\\Seen)" if "\\Seen" in have else "+FLAGS.SILENT (\\Seen)"
            ops.append((key, op, {x: where[x][key].uid for x in SIDES}))
        plan[s] = {"side": s, "flags": ops, "new": bulkmail.news(new, 100 + index),
                   "gone": [(k, {x: where[x][k].uid for x in SIDES}) for k in mine[flags:]]}
    return plan


def grouped(plan, side):
    """({folder: [[uid set, op]]}, {folder: uid set}) of one side's changes, by UIDs of `side`."""
    store, gone = defaultdict(lambda: defaultdict(list)), defaultdict(list)
    for (folder, _), op, uid in plan["flags"]:
        store[wire_name(folder)][op].append(uid[side])
    for (folder, _), uid in plan["gone"]:
        gone[wire_name(folder)].append(uid[side])
    join = lambda uids: ",".join(map(str, sorted(uids)))
    return ({f: [[join(u), op] for op, u in ops.items()] for f, ops in store.items()},
            {f: join(u) for f, u in gone.items()})


def apply_changes(server, user, plan):
    conn = wire.Conn(server, user)
    store, gone = grouped(plan, plan["side"])
    for folder in sorted(set(store) | set(gone)):
        conn.send(b"SELECT " + wire.quoted(folder.encode()))
        conn.send(*[("UID STORE %s %s" % tuple(x)).encode() for x in store.get(folder, ())])
        if folder in gone:
            conn.send(("UID STORE %s +FLAGS.SILENT (\\Deleted)" % gone[folder]).encode(),
                      ("UID EXPUNGE " + gone[folder]).encode())
        conn.finish()
    for folder, when, data in plan["new"]:
        date = time.strftime('"%d-%b-%Y %H:%M:%S +0000"', time.gmtime(when)).encode()
        conn.send([b"APPEND " + wire.quoted(wire_name(folder).encode()), b" (\\Seen) ", date,
                   b" {%d+}\r\n" % len(data), data])
        conn.finish()
    conn.logout()


def wire_plan(plan, before, after):
    out = {}
    for s, other in (SIDES, SIDES[::-1]):
        known = {(i.folder, i.digest) for i in before[s]}
        new = defaultdict(list)
        for i in after[s]:
            if (i.folder, i.digest) not in known:
                new[wire_name(i.folder)].append(i.uid)
        store, gone = grouped(plan[other], s)
        out[s] = {"new": {f: ",".join(map(str, sorted(u))) for f, u in new.items()},
                  "store": store, "gone": gone}
    return out
