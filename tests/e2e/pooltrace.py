"""Checks the rules of the pool on what a supervisor logged at LogLevel debug ("pool: ..." records).

    python3 pooltrace.py supervisor.log [--interval MS] [--bump MS]

It knows the rules only, nothing of the program: one lease per pairing and per worker, generations that rise,
a slot that is used again only after its worker was reaped, due times by the class of the end, the logon count
and its restarts, no grant in a restart or while dispatch is held. Usable on any installation's log of one run
in which nobody asked for a sync by hand and nothing was reloaded.
"""

import datetime
import re
import sys

LINE = re.compile(r'^(\S+Z) .*msg="pool: (\w+)(.*?)"')
BY_RESULT = 0
LATE = 0.1


def records(text):
    for line in text.splitlines():
        m = LINE.match(line)
        if m:
            at = datetime.datetime.strptime(m[1], "%Y-%m-%dT%H:%M:%S.%fZ").timestamp()
            yield at, m[2], dict(x.split("=", 1) for x in m[3].split())


def earliest(kind, interval, bump):
    """Seconds after the end; None: only a person brings it back."""
    if kind in ("ok", "held"):
        return interval
    if kind in ("yielded", "returned"):
        return 0
    return None if kind == "stopped" else interval + bump


class Checker:
    def __init__(self, interval, bump):
        self.interval, self.bump = interval, bump
        self.lease = {}          # pairing -> (slot, generation)
        self.generation, self.due, self.alive, self.task = {}, {}, {}, {}
        self.count, self.restarting, self.held_until = 0, False, 0
        self.faults, self.seen = [], {}

    def say(self, at, text):
        self.faults.append("%s: %s" % (datetime.datetime.fromtimestamp(at).isoformat(), text))

    def on(self, at, what, f):
        self.seen[what] = self.seen.get(what, 0) + 1
        getattr(self, "on_" + what)(at, f)

    def on_spawn(self, at, f):
        if f["slot"] in self.alive:
            self.say(at, "slot %s has a worker that was not reaped" % f["slot"])
        if f["slot"] in self.task:
            self.say(at, "slot %s still holds the lease of %s" % (f["slot"], self.task[f["slot"]]))
        if self.restarting:
            self.say(at, "a worker was started in a restart")
        self.alive[f["slot"]] = f["incarnation"]

    def on_reaped(self, at, f):
        if self.alive.pop(f["slot"], None) != f["incarnation"]:
            self.say(at, "slot %s: reaped what was not born" % f["slot"])

    def on_grant(self, at, f):
        p, slot, generation = f["pairing"], f["slot"], int(f["generation"])
        if p in self.lease:
            self.say(at, "%s is leased to slot %s already" % (p, self.lease[p][0]))
        if slot in self.task:
            self.say(at, "slot %s has %s in hand already" % (slot, self.task[slot]))
        if self.alive.get(slot) != f["incarnation"]:
            self.say(at, "slot %s has no worker" % slot)
        if generation <= self.generation.get(p, 0):
            self.say(at, "%s: the generation does not rise" % p)
        if self.restarting:
            self.say(at, "%s granted in a restart" % p)
        # the record of an end is written somewhat after it
        if f["kind"] == "0" and at < self.due.get(p, 0) - LATE:
            self.say(at, "%s granted %.0f ms before it was due" % (p, (self.due[p] - at) * 1000))
        if at < self.held_until - LATE:
            self.say(at, "%s granted while dispatch was held" % p)
        self.lease[p], self.generation[p], self.task[slot] = (slot, generation), generation, p

    def on_ended(self, at, f):
        p, slot = f["pairing"], f["slot"]
        if self.lease.pop(p, None) != (slot, int(f["generation"])) or self.task.pop(slot, None) != p:
            self.say(at, "%s: the end of a lease that slot %s does not hold" % (p, slot))
        wait = earliest(f["class"], self.interval, self.bump)
        self.due[p] = float("inf") if wait is None else at + wait
        if wait is not None and int(f["due_ms"]) < wait * 1000:
            self.say(at, "%s after %s: due in %s ms" % (p, f["class"], f["due_ms"]))
        if f["class"] in ("ok", "held", "failed", "logon-failed", "store-failed") and \
                int(f["due_ms"]) != round(wait * 1000):
            self.say(at, "%s after %s: due in %s ms, not %.0f" % (p, f["class"], f["due_ms"], wait * 1000))
        if int(f["cause"]) != BY_RESULT:
            return
        if f["class"] in ("logon-failed", "store-failed"):
            self.count += 1
        elif f["logged_on"] == "3":
            self.count = 0

    def on_restart(self, at, f):
        if self.restarting:
            self.say(at, "a restart in a restart")
        if self.count < int(f["threshold"]):
            self.say(at, "a restart although %d of %s failed in a row" % (self.count, f["threshold"]))
        self.restarting = True

    def on_up(self, at, f):
        if not self.restarting:
            self.say(at, "up without a restart")
        if self.alive:
            self.say(at, "up although slots %s live" % sorted(self.alive))
        if self.lease:
            self.say(at, "up with leases of %s" % sorted(self.lease))
        self.restarting, self.count = False, 0
        self.held_until = at + int(f["held_ms"]) / 1000


def check(text, interval, bump, threshold=None):
    """(faults, how many records of each kind). threshold: what the count must never reach unnoticed."""
    c = Checker(interval, bump)
    for at, what, fields in records(text):
        c.on(at, what, fields)
        if threshold and c.count >= threshold + 1 and not c.restarting:
            c.say(at, "%d failed in a row and no restart" % c.count)
    return c.faults, c.seen


if __name__ == "__main__":
    with open(sys.argv[1], errors="replace") as log:
        options = dict(zip(sys.argv[2::2], sys.argv[3::2]))
        bad, kinds = check(log.read(), int(options.get("--interval", 300000)) / 1000,
                           int(options.get("--bump", 900000)) / 1000)
    print("\n".join(bad) or "the rules hold", kinds)
    sys.exit(1 if bad else 0)
