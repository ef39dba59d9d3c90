"""kill -9 during real work with Exchange on one side, at random moments and at every step; and failures by chance.

48 kills and every step of a series that is written anew every day, 448 and every step of all with --full. The seed is
printed with a failure; MS_KILL_SEED sets it.
"""

import os
import random
import re
import signal
import subprocess
import time

import pytest

import product
from conftest import figure
from records import calendar, card, event, exception, series, todo
from test_exchange import OWN, build, exchange, mid, plain  # noqa: F401 (fixtures)
from test_exchange_records import Pair as Records
from test_kill import World, seeds, settled, survive
from test_kill_steps import STEP_EXIT, Programs

pytestmark = pytest.mark.product

GATEWAY = {"CrashQuarantine": "1s", "LogLevel": "info"}


def settle(pair):
    settled(pair)
    r = pair.config.once()
    assert r.rc == 0, "%s\n%s" % (r, pair.config.log()[-4000:])


class MailWorld(World):
    """As with any two sides, but for the folders that every Exchange mailbox has: the bin is among them."""

    def settle(self):
        settle(self.pair)
        self.pair.equal(ignore=OWN)
        self.alive.update(self.young)
        self.young.clear()
        want = sorted((folder, mid(m)) for m, folder in self.alive.items())
        for box in self.pair.boxes:
            got = box.read()
            assert sorted((f, i.mid) for f, items in got.items() if f not in OWN for i in items) == want, box.kind
            bin_ = [i.mid for f in OWN for i in got.get(f, ())]
            assert len(bin_) == len(set(bin_)), "a deleted message lies in the bin of the %s side twice" % box.kind
            assert set(bin_) <= {mid(m) for m in self.gone}


class RecordWorld:
    """Items that are known by a number in their name. People change the name on disk and the place in Exchange, so
    that every outcome is certain; what one side has removed the other leaves alone until both are equal."""

    KINDS = {"events": ("Calendar", "calendar"), "contacts": ("Contacts", "contacts"), "tasks": ("Tasks", "tasks")}

    def __init__(self, pair, rng):
        self.p, self.pair, self.rng, self.n = Records(pair), pair, rng, 0
        self.items = {}                 # number -> [kind, uid on disk or None, name, place]
        self.gone, self.young = set(), set()

    def text(self, kind, uid, name):
        rng = self.rng
        if kind == "contacts":
            return card(uid, name, "X-KEPT:%d\nTITLE:none\n" % self.n)
        if kind == "tasks":
            return todo(uid, name)
        if rng.random() < 0.4:
            return calendar(event(uid, name, more="LOCATION:none\nX-KEPT:1\n"))
        days = rng.sample(("20270111", "20270125", "20270208"), rng.randint(1, 3))
        return series(uid, "EXDATE;TZID=Europe/Berlin:20270118T090000\n", [
            exception(uid, d, 14, "Day of %s" % name) for d in days]).replace(
                "SUMMARY:Weekly", "SUMMARY:" + name).replace("LOCATION:Room 1", "LOCATION:none")

    def create(self):
        self.n += 1
        kind, uid, name = self.rng.choice(list(self.KINDS)), "i%d" % self.n, "Item %d a" % self.n
        self.items[self.n] = [kind, uid, name, "none"]
        self.young.add(self.n)
        self.p.vdir.add(kind, self.KINDS[kind][0], self.text(kind, uid, name))

    def create_there(self):
        self.n += 1
        name = "Item %d b" % self.n
        self.items[self.n] = ["events", "made-%d" % self.n, name, "none"]
        self.young.add(self.n)
        self.p.box.ask("put", folder="calendar", xml=(
            "<t:CalendarItem><t:Subject>%s</t:Subject><t:UID>made-%d</t:UID><t:Start>2027-02-01T08:00:00Z</t:Start>"
            "<t:End>2027-02-01T09:00:00Z</t:End><t:Location>none</t:Location></t:CalendarItem>") % (name, self.n))

    def settled(self):
        return [n for n in self.items if n not in self.young]

    def rename(self, n):
        kind, uid, _, _ = self.items[n]
        name = "Item %d v%d" % (n, self.rng.randrange(1000))
        self.items[n][2] = name
        prop = "FN" if kind == "contacts" else "SUMMARY"
        self.p.vdir.edit(kind, self.KINDS[kind][0], uid, "^%s:Item.*$" % prop, "%s:%s" % (prop, name))

    def rule(self, n):
        """A new rule: Exchange drops all exceptions, and they are made again."""
        kind, uid, _, _ = self.items[n]
        text = self.p.vdir.get(kind, self.KINDS[kind][0], uid)
        found = re.search(r"COUNT=(\d+)", text)
        if found:
            self.p.vdir.edit(kind, self.KINDS[kind][0], uid, found.group(), "COUNT=%d" % self.rng.randint(10, 20))
        else:
            self.rename(n)

    def there(self, n):
        kind = self.items[n][0]
        return [i for i in self.p.items(self.KINDS[kind][1]) if number(i) == n]

    def place(self, n):
        kind = self.items[n][0]
        if kind == "tasks":
            return
        self.items[n][3] = value = "Place %d" % self.rng.randrange(1000)
        item, = self.there(n)
        self.p.box.ask("change", id=item["id"], xml=(
            "<t:JobTitle>%s</t:JobTitle>" if kind == "contacts" else "<t:Location>%s</t:Location>") % value)

    def remove(self, n):
        kind, uid, _, _ = self.items.pop(n)
        self.gone.add(n)
        if self.rng.random() < 0.5:
            self.p.vdir.delete(kind, self.KINDS[kind][0], uid)
        else:
            self.items[n] = [kind, uid, "", ""]
            item, = self.there(n)
            del self.items[n]
            self.p.box.ask("delete", id=item["id"])

    def disturb(self):
        for _ in range(self.rng.randint(1, 4)):
            (self.create if self.rng.random() < 0.8 else self.create_there)()
        for _ in range(self.rng.randint(0, 4)):
            done = self.settled()
            if len(done) < 5:
                return
            n = self.rng.choice(done)
            act = self.rng.choice((self.rename, self.rule, self.place, self.remove))
            act(n)
            if act == self.remove:
                continue
            if self.rng.random() < 0.3:
                self.place(n)
            self.young.add(n)           # nobody removes what was changed before both are equal again

    def settle(self):
        settle(self.pair)
        self.young.clear()
        seen = {n: (kind, facts) for (kind, _), items in self.p.vdir.read().items() for facts in items.values()
                for n in [int(re.search(r"Item (\d+) ", str(facts)).group(1))]}
        count = sum(len(items) for items in self.p.vdir.read().values())
        assert len(seen) == count and sorted(seen) == sorted(self.items), "on disk"
        for kind, (_, role) in self.KINDS.items():
            there = [i for i in self.p.items(role)]
            assert sorted(number(i) for i in there) == sorted(n for n, i in self.items.items() if i[0] == kind), role
            for i in there:
                self.same(number(i), i, seen[number(i)][1])

    def same(self, n, item, facts):
        kind, _, name, place = self.items[n]
        p, disk = item["props"], next(v for k, v in facts.items() if k == "")
        assert (p.get("DisplayName") or p.get("Subject")) == name, (n, p)
        assert name in str(disk["fn" if kind == "contacts" else "summary"]), (n, disk)
        if kind != "tasks":
            assert p["JobTitle" if kind == "contacts" else "Location"] == place, (n, p)
            assert place in str(disk["title" if kind == "contacts" else "location"]), (n, disk)
        if "series" in item:
            assert len(item["series"]["exceptions"]) == len(facts) - 1, (n, item["series"], facts)
            assert len(item["series"]["deleted"]) == len(disk.get("exdate", ())), (n, item["series"], disk)
        assert "Pending" not in str(item["ext"]), (n, item["ext"])


def number(item):
    p = item["props"]
    return int(re.match(r"Item (\d+) ", p.get("DisplayName") or p["Subject"]).group(1))


def torture(world, kills, what, seed):
    rounds = survive(world, kills, 5)
    figure("exchange, %s, seed %d: %d kills in %d rounds, %d made; 0 lost, 0 twice" % (what, seed, kills, rounds, world.n))


def mail(build, other, swap, kills, seed):  # noqa: F811
    pair = build(other, swap=swap, gateway=GATEWAY)
    torture(MailWorld(pair, random.Random(seed)), kills, "mail with " + other, seed)


def records(build, swap, kills, seed):  # noqa: F811
    pair = build("local", swap=swap, kinds="events contacts tasks", gateway=GATEWAY)
    pair.once()
    torture(RecordWorld(pair, random.Random(seed)), kills, "records", seed)


@pytest.mark.parametrize("other, swap", (("local", False), ("imap", True)))
def test_twelve_kills_with_mail(build, other, swap):  # noqa: F811
    seed = seeds()
    print("MS_KILL_SEED=%d" % seed)
    mail(build, other, swap, 12, seed)


@pytest.mark.parametrize("swap", (False, True))
def test_twelve_kills_with_records(build, swap):  # noqa: F811
    seed = seeds()
    print("MS_KILL_SEED=%d" % seed)
    records(build, swap, 12, seed)


@pytest.mark.full
@pytest.mark.parametrize("swap", (False, True))
@pytest.mark.parametrize("what", ("mail", "records"))
def test_a_hundred_kills(build, what, swap):  # noqa: F811
    seed = seeds()
    print("MS_KILL_SEED=%d" % seed)
    if what == "mail":
        mail(build, "imap" if swap else "local", swap, 100, seed)
    else:
        records(build, swap, 100, seed)


# --- failures instead of kills ------------------------------------------------------------------------------------------

OPS = ("GetFolder", "FindFolder", "SyncFolderItems", "GetItem", "FindItem", "CreateItem", "CreateItem", "UpdateItem",
       "UpdateItem", "DeleteItem", "MoveItem", "CreateFolder")
FAILURES = [dict(kind="drop"), dict(kind="drop-before"), dict(kind="drop-after"), dict(kind="drop-after"),
            dict(kind="busy", backoff=10), dict(kind="busy-message", backoff=10), dict(kind="http", status=503),
            dict(kind="http", status=502), dict(kind="http", status=401), dict(kind="fault", code="ErrorTimeoutExpired"),
            dict(kind="error", code="ErrorMailboxMoveInProgress"), dict(kind="error", code="ErrorQuotaExceeded")]


def unlucky(world, exchange, rounds, what, seed):  # noqa: F811
    """Passes that all meet a failure; every fifth time one that meets none."""
    pair, rng, met = world.pair, world.rng, 0
    for n in range(1, rounds + 1):
        world.disturb()
        for _ in range(3):
            exchange.ask("fault", op=rng.choice(OPS), after=rng.choice((0, 0, 1, 2, 5)), **rng.choice(FAILURES))
        pair.close()
        pair.config.once()
        met += len(exchange.ask("faults")["struck"])
        exchange.ask("clear")
        if n % 5 == 0:
            world.settle()
    world.settle()
    pair.verify()
    pair.idle()
    assert met > rounds // 5
    figure("exchange, %s, seed %d: %d failures in %d passes, %d made; 0 lost, 0 twice" % (
        what, seed, met, rounds, world.n))


@pytest.mark.parametrize("rounds", (15, pytest.param(150, marks=pytest.mark.full)))
@pytest.mark.parametrize("what", ("mail", "records"))
def test_one_failure_after_the_other(build, exchange, what, rounds):  # noqa: F811
    seed = seeds()
    print("MS_KILL_SEED=%d" % seed)
    if what == "mail":
        world = MailWorld(build("local", gateway=GATEWAY), random.Random(seed))
    else:
        world = RecordWorld(build("local", kinds="events contacts tasks", gateway=GATEWAY), random.Random(seed))
        world.pair.once()
    unlucky(world, exchange, rounds, what, seed)


# --- a server that goes on when nobody listens any more ---------------------------------------------------------------

@pytest.mark.parametrize("how", ("cut", "killed"))
@pytest.mark.parametrize("what", ("mail", "records"))
def test_a_create_that_is_stored_late(build, exchange, what, how):  # noqa: F811
    """The worker is gone, and the server still stores what it was sent: the next pass does not send it again."""
    pair = build("local", kinds="mail" if what == "mail" else "contacts", gateway=GATEWAY, CommitGrace="6s")
    settle(pair)
    if what == "mail":
        pair.right.put(plain(1))
    else:
        Records(pair).vdir.add("contacts", "Contacts", card("late"))
    exchange.ask("counts", reset=True)
    exchange.ask("fault", kind="late", op="CreateItem", seconds=3, cut=how == "cut")
    sent = time.monotonic()
    if how == "cut":
        pair.config.once()
    else:
        p = subprocess.Popen([product.DAEMON, "-c", pair.config.file, "--once"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=product.environment(),
                             start_new_session=True)
        while not exchange.ask("faults")["struck"]:
            assert p.poll() is None
            time.sleep(0.02)
        for worker in product.children(p.pid):
            os.kill(worker, signal.SIGKILL)
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()
    pair.close()
    there = (lambda: [i for i in pair.left.items() if i["kind"] in ("Message", "Contact")])
    while time.monotonic() - sent < 5:
        assert pair.config.once().rc == 0
        assert len(there()) <= 1
        time.sleep(0.5)
    settle(pair)
    assert len(there()) == 1
    pair.verify()
    pair.idle()


@pytest.mark.parametrize("kind", ("cut", "drop"))
def test_a_create_that_was_never_stored(build, exchange, kind):  # noqa: F811
    """It is sent again when the time is over, and what never went out at once."""
    pair = build("local", gateway=GATEWAY, CommitGrace="2s")
    settle(pair)
    pair.right.put(plain(1))
    exchange.ask("fault", kind="drop", op="CreateItem" if kind == "cut" else "GetFolder")
    pair.config.once()
    assert exchange.ask("faults")["struck"]
    pair.config.once()
    assert len(pair.left.items()) == (0 if kind == "cut" else 1)
    time.sleep(2.2)
    settle(pair)
    assert len(pair.left.items()) == 1
    pair.idle()


# --- every step ---------------------------------------------------------------------------------------------------------

def steps(build, directory, change, check, **how):  # noqa: F811
    """change(pair, n) before each interrupted pass, check(pair, n) after the next ones; how many steps there were."""
    pair = build("local", gateway=GATEWAY, **how)
    programs, n = Programs(directory), 0
    pair.once()
    while True:
        n += 1
        settled = change(pair, n)
        next(settled)
        assert programs.run(pair, 0).rc == 0
        next(settled, None)
        log = len(pair.config.log())
        r = programs.run(pair, n)
        reached = r.rc != 0
        assert not reached or "status %d" % STEP_EXIT in pair.config.log()[log:] + r.err, r
        settle(pair)
        check(pair, n)
        if not reached:
            break
    pair.verify()
    pair.idle()
    figure("exchange, %s: %d interruptions, every one resumed to the same end" % (change.__name__, n - 1))
    assert n > 10, "the worker counts no steps"


def add_series(pair, n):
    text = series("s%d" % n, "EXDATE;TZID=Europe/Berlin:20270118T090000\n", [exception("s%d" % n, "20270111", 14, "Moved")])
    Records(pair).vdir.add("events", "Calendar", text)


def series_made(pair, n):
    yield
    add_series(pair, n)


def series_changed(pair, n):
    add_series(pair, n)
    yield
    Records(pair).vdir.edit("events", "Calendar", "s%d" % n, "COUNT=10", "COUNT=12")


def series_same(pair, n):
    p = Records(pair)
    seen = p.vdir.read()["events", "Calendar"]
    there = {i["props"]["UID"]: i for i in p.items("calendar")}
    assert sorted(seen) == sorted(there) == sorted("s%d" % i for i in range(1, n + 1))
    assert len(p.items("calendar")) == n
    for uid, facts in seen.items():
        assert len(facts) == 2 and len(facts[""]["exdate"]) == 1, (uid, facts)
        assert len(there[uid]["series"]["deleted"]) == len(there[uid]["series"]["exceptions"]) == 1, there[uid]["series"]
        assert "Pending" not in str(there[uid]["ext"])


@pytest.mark.parametrize("change", (pytest.param(series_made, marks=pytest.mark.full), series_changed),
                         ids=("made", "changed"))
def test_every_step_of_a_series(build, directory, change):  # noqa: F811
    steps(build, directory, change, series_same, kinds="events")


def mail_changed(pair, n):
    base = 10 * n
    pair.right.put(*[plain(base + i) for i in range(4)])
    yield
    pair.right.put(plain(base + 5), plain(base + 6, "Neu %d" % n))
    pair.left.put(plain(base + 7))
    pair.right.flag("INBOX", mid(plain(base)), ("\\Flagged",))
    pair.right.move("INBOX", mid(plain(base + 1)), "Work")
    pair.right.remove("INBOX", mid(plain(base + 2)))


def mail_same(pair, n):
    pair.equal(ignore=OWN)
    want = []
    for i in range(10, 10 * n + 1, 10):
        want += [("INBOX", i), ("Work", i + 1), ("INBOX", i + 3), ("INBOX", i + 5), ("Neu %d" % (i // 10), i + 6),
                 ("INBOX", i + 7)]
    for box in pair.boxes:
        have = sorted((f, i.mid) for f, items in box.read().items() if f not in OWN for i in items)
        assert have == sorted((f, mid(plain(i))) for f, i in want), box.kind


@pytest.mark.full
def test_every_step_of_mail(build, directory):  # noqa: F811
    steps(build, directory, mail_changed, mail_same)
