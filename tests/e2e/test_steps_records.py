"""Calendars, contacts and tasks of real servers and of disk: passes that end at every numbered step as kill -9 would,
and passes that lose the answer to every single write, each resumed by one undisturbed pass.

After each: `mailshadow verify`, our own look at both sides against what people did, and a pass that writes nothing.
The worker that stops is the test build's (make test-build). One short scenario every day, all of them with --full.
tests/unit/t_records_steps.c does the same between stores in memory and a vdir.
"""

import pytest

from conftest import figure
from record_model import Model
from record_pair import kinds_of, make_pair
from records import (calendar, card, event, exception, series, todo, with_exception, with_line, with_property)
from servers.httpproxy import WRITES, Answer, HttpProxy
from test_kill_steps import STEP_EXIT, Programs

pytestmark = pytest.mark.product

PHOTO = "PHOTO;ENCODING=b;TYPE=PNG:iVBORw0KGgo" + "A" * 4000 + "=\n"
GROUP = "X-ADDRESSBOOKSERVER-KIND:group\nX-ADDRESSBOOKSERVER-MEMBER:urn:uuid:ada\n"
STEPS_MIN = 8


class Life:
    """A pairing, and what must be in it. Sides are 0 and 1."""

    def __init__(self, pair):
        self.pair, self.model, self.kinds = pair, Model(pair), kinds_of(pair)
        self.n = 0
        for kind in self.kinds:
            for name in ("Team", "Other"):
                pair.left.make(kind, name)
        self.pass_()
        self.check("first contact")
        for kind in self.kinds:             # so that no deletion empties a collection
            for _ in range(4):
                self.put(0, kind)
        self.pass_()
        self.check("the beginning")

    def put(self, side, kind, text=None, name="Team"):
        self.n += 1
        uid = "%s%d@example.org" % (kind[0], self.n)
        text = text or {"events": lambda uid: calendar(event(uid, more="LOCATION:Room 1\n")), "tasks": todo,
                        "contacts": card}[kind]
        return self.model.put(side, kind, name, uid, text(uid))

    def edit(self, side, item, *changes):
        for change in changes:
            assert self.model.edit(side, item, change)

    def set(self, side, item, name, value, instance=""):
        assert self.model.set(side, item, name, value, instance)

    def run(self):
        return self.pair.config.once()

    def pass_(self):
        r = self.run()
        assert r.rc == 0, "%s\n%s" % (r, self.pair.config.log()[-4000:])

    def check(self, where):
        wrong = self.model.wrong()
        assert not wrong, "%s:\n%s\n%s" % (where, "\n".join(wrong), self.pair.config.log()[-8000:])
        answer = self.pair.config.verify("p")
        assert answer.rc == 0, "%s\n%s" % (where, answer)

    def quiet(self, where):
        before = [b.stamp() for b in self.pair.boxes]
        self.pass_()
        assert before == [b.stamp() for b in self.pair.boxes], "%s: a quiet pass writes" % where


# --- what people do: first what must be there, settled, then what the interrupted pass finds. What they must find
# --- afterwards, beyond what the model demands, they give back.

def first_copy(life):
    yield
    for kind in life.kinds:
        life.put(0, kind)
        life.put(1, kind)
    life.put(0, "contacts", lambda uid: card(uid, more=PHOTO))
    life.put(1, "contacts", lambda uid: card(uid, "A Group", GROUP))


def both_edit(life):
    items = {kind: life.put(0, kind) for kind in life.kinds}
    yield
    for kind, item in items.items():
        if kind == "contacts":
            life.edit(0, item, lambda text: with_line(text, "TEL;TYPE=HOME:+49 40 1"))
            life.edit(1, item, lambda text: with_line(text, "TEL;TYPE=HOME:+49 40 2"))
            life.set(1, item, "NOTE", "met in London")
        else:
            life.set(0, item, "SUMMARY", "The left's")
            life.set(1, item, "DESCRIPTION", "The right's")


def both_edit_one_property(life):
    items = [life.put(0, kind) for kind in life.kinds]
    yield
    for item in items:
        name = "FN" if item.kind == "contacts" else "SUMMARY"
        life.set(0, item, name, "The left's")
        life.set(1, item, name, "The right's")


def delete(life):
    items = [(life.put(0, kind), life.put(1, kind)) for kind in life.kinds]
    yield
    for a, b in items:
        assert life.model.delete(0, a) and life.model.delete(1, b)


def delete_against_edit(life):
    items = [(life.put(0, kind), life.put(0, kind)) for kind in life.kinds]
    yield
    for a, b in items:
        name = "FN" if a.kind == "contacts" else "SUMMARY"
        life.set(0, a, name, "Still wanted")
        assert life.model.delete(1, a)
        life.set(1, b, name, "Still wanted")
        assert life.model.delete(0, b)
    return [i.uid for pair in items for i in pair]


def exceptions(life):
    a = life.put(0, "events", lambda uid: series(uid, exceptions=[exception(uid, "20270111", 11, "Moved once")]))
    b = life.put(1, "events", series)
    yield
    life.set(0, a, "SUMMARY", "Moved twice", "20270111")
    life.edit(1, a, lambda text: with_exception(text, exception(a.uid, "20270118", 15, "Late")))
    life.edit(0, b, lambda text: with_exception(text, exception(b.uid, "20270125", 15, "Late")))
    life.set(1, b, "LOCATION", "Room 9")
    life.edit(1, b, lambda text: with_line(text, "EXDATE;TZID=Europe/Berlin:20270201T090000"))


def photo_and_group(life):
    a, b = (life.put(0, "contacts", lambda uid: card(uid, more=more)) for more in (PHOTO, GROUP))
    yield
    life.edit(0, a, lambda text: with_property(text, "PHOTO", PHOTO.replace("iVBOR", "iVBOS").rstrip()))
    life.set(1, a, "NOTE", "with another picture")
    life.edit(1, b, lambda text: with_line(text, "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:grace"))
    life.edit(0, b, lambda text: with_property(text, "TITLE", "TITLE:of us all"))


def move(life):
    items = [(life.put(0, kind), life.put(0, kind, name="Other")) for kind in life.kinds]
    yield
    for a, b in items:
        assert life.model.move(0, a, "Other") and life.model.move(1, b, "Team")


def move_and_edit(life):
    items = [life.put(0, kind) for kind in life.kinds]
    yield
    for item in items:
        life.set(1, item, "FN" if item.kind == "contacts" else "SUMMARY", "Edited where it was")
        assert life.model.move(0, item, "Other")


def collection_comes(life):
    name = "New %d" % life.n
    yield
    for side, kind in ((0, "events"), (1, "contacts")):
        life.model.make(side, kind, name)
        for _ in range(2):
            life.put(side, kind, name=name)


def two_collections(life, name):
    for kind in ("events", "contacts"):
        life.model.make(0, kind, name)
        life.put(0, kind, name=name)


def collection_renamed(life):
    name = "Old %d" % life.n
    two_collections(life, name)
    yield
    life.model.rename(0, "events", name, name.replace("Old", "Name"))
    life.model.rename(1, "contacts", name, name.replace("Old", "Name"))
    life.put(0, "events")


def collection_goes(life):
    name = "Gone %d" % life.n
    two_collections(life, name)
    yield
    life.model.remove(0, "events", name)
    life.model.remove(1, "contacts", name)


SCENARIOS = (first_copy, both_edit, both_edit_one_property, delete, delete_against_edit, exceptions, photo_and_group,
             move, move_and_edit, collection_comes, collection_renamed, collection_goes)


def round_(life, scenario, interrupt, where):
    """Whether the pass was interrupted."""
    act = scenario(life)
    next(act)
    life.pass_()
    assert not life.model.wrong(), where
    try:
        next(act)
        survivors = ()
    except StopIteration as end:
        survivors = end.value or ()
    interrupted = interrupt()
    if interrupted:
        life.pass_()
    life.check(where)
    for uid in survivors:
        assert uid in life.model.items, "%s: %s was edited on one side, and is gone" % (where, uid)
    life.quiet(where)
    return interrupted


def every_step(life, scenario, directory, stride=1):
    programs = Programs(directory)

    def stop(step):
        log = len(life.pair.config.log())
        r = programs.run(life.pair, step)
        if r.rc == 0:
            return False
        text = life.pair.config.log()[log:] + r.err
        assert "status %d" % STEP_EXIT in text, "%s\n%s" % (r, text[-4000:])
        return True

    life.run = lambda: programs.run(life.pair, 0)
    step = 1
    while round_(life, scenario, lambda: stop(step), "%s, %s, stopped at %d" % (
            life.pair.kind, scenario.__name__, step)):
        step += stride
    assert step > STEPS_MIN, "the worker counts no steps"
    return (step - 1) // stride


@pytest.fixture
def build(servers, directory):
    made = []

    def build(kind, **how):
        made.append(make_pair(servers, directory, kind, gateway={"CrashQuarantine": "1s", "LogLevel": "info"}, **how))
        return Life(made[-1])
    yield build
    for pair in made:
        pair.stop()


def test_every_seventh_step(build, directory):
    steps = every_step(build("radicale-local"), both_edit, directory, 7)
    figure("radicale-local, both_edit: %d interruptions, every one resumed to the same end" % steps)


@pytest.mark.full
@pytest.mark.parametrize("kind", ("radicale-local", "cyrus-local", "radicale-xandikos"))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=[s.__name__ for s in SCENARIOS])
def test_every_step(build, directory, kind, scenario):
    steps = every_step(build(kind), scenario, directory)
    figure("%s, %s: %d interruptions, every one resumed to the same end" % (kind, scenario.__name__, steps))


# --- a write is made, and nobody hears of it

class Deaf:
    """Lets the n-th write through, loses its answer, and then all that follows."""

    def __init__(self, proxies):
        self.proxies, self.left, self.lost = proxies, 0, False
        for p in proxies:
            p.hook, p.after = self.hook, self.after

    def after_write(self, n):
        self.left, self.lost = n, False

    def hook(self, _request):
        return Answer(0) if self.lost else None

    def after(self, request, answer):
        if self.lost or self.left == 0 or request.method not in WRITES:
            return answer
        self.left -= 1
        self.lost = self.left == 0
        return Answer(0) if self.lost else answer


@pytest.mark.parametrize("kind,scenario", [("radicale-local", first_copy)] + [
    pytest.param(kind, scenario, marks=pytest.mark.full, id="%s-%s" % (kind, scenario.__name__))
    for kind in ("radicale-local", "cyrus-local", "radicale-xandikos", "cyrus-radicale") for scenario in SCENARIOS
    if (kind, scenario) != ("radicale-local", first_copy)])
def test_every_lost_answer(build, kind, scenario):
    proxies = []

    def through(port):
        proxies.append(HttpProxy(port).start())
        return proxies[-1].port

    try:
        life = build(kind, through=dict.fromkeys(("left", "right"), through))
        deaf, n = Deaf(proxies), 1

        def interrupt():
            deaf.after_write(n)
            r = life.run()
            lost, deaf.lost, deaf.left = deaf.lost, False, 0
            assert r.rc == (1 if lost else 0), r
            return lost

        while round_(life, scenario, interrupt, "%s, %s, without the answer to write %d" % (
                kind, scenario.__name__, n)):
            n += 1
        assert n > 1
    finally:
        for p in proxies:
            p.stop()
    figure("%s, %s: %d answers lost, every one made good by the next pass" % (kind, scenario.__name__, n - 1))
