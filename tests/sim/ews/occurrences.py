"""Series: their occurrences by index and by id, exceptions, deletions, expansion into a range of time."""

import datetime
import itertools
import struct

import ids
import recur
import zones
from fields import UTC, when, zulu
from soap import EwsError, copy, el
from store import Item

# What belongs to the master alone.
OF_MASTER = ("Recurrence", "FirstOccurrence", "LastOccurrence", "ModifiedOccurrences", "DeletedOccurrences")


class Change:
    """What one occurrence has of its own."""

    def __init__(self):
        self.props, self.removed, self.ext = {}, set(), {}
        self.attachments = None


class Series:
    """The recurrence of a master: its rule, what was deleted, what was changed. Days are those of the rule."""

    def __init__(self, item):
        self.rule = recur.Rule(item.props["Recurrence"])
        self.deleted, self.exceptions = set(), {}
        self.shape(item)

    def shape(self, item):
        """Takes time of day, length and zone from the master."""
        self.zone = zones.of(item.props["StartTimeZone"]) if "StartTimeZone" in item.props else zones.UTC_ZONE
        start, end = when(item.text("Start")), when(item.text("End"))
        wall = self.zone.wall(start)
        self.time, self.length = wall.time(), self.zone.wall(end) - wall

    def start(self, day):
        """(start, end) of the occurrence of a day, as instants."""
        wall = datetime.datetime.combine(day, self.time)
        return self.zone.utc(wall), self.zone.utc(wall + self.length)

    def span(self, day):
        """The same, moved if it was."""
        start, end = self.start(day)
        c = self.exceptions.get(day)
        if c is not None:
            start = when(c.props["Start"].text) if "Start" in c.props else start
            end = when(c.props["End"].text) if "End" in c.props else end
        return start, end

    def live(self):
        return (d for d in self.rule.days() if d not in self.deleted)

    def check(self):
        """What Exchange does not hold."""
        first = list(itertools.islice(self.rule.days(), 2))
        if len(first) == 2 and self.start(first[0])[1] > self.start(first[1])[0]:
            raise EwsError("ErrorOccurrenceTimeSpanTooBig", "An occurrence is longer than the time to the next one.")

    def neighbours(self, day):
        before = None
        found = self.live()
        for d in found:
            if d == day:
                return before, next(found, None)
            before = d
        return before, None

    def describe(self):
        return {"kind": self.rule.kind, "deleted": sorted(d.isoformat() for d in self.deleted),
                "exceptions": {d.isoformat(): sorted(c.props) for d, c in self.exceptions.items()},
                "zone": self.zone.name}


class Occurrence(Item):
    """An occurrence as an item: the master's properties with its own over them. It has no place of its own."""

    def __init__(self, master, day):
        self.master, self.day = master, day
        series, change = master.series, master.series.exceptions.get(day)
        self.box, self.kind, self.number, self.folder = master.box, master.kind, master.number, master.folder
        self.props = {k: v for k, v in master.props.items() if k not in OF_MASTER}
        self.ext = dict(master.ext)
        start, end = series.start(day)
        self.props["Start"], self.props["End"] = el("Start", zulu(start)), el("End", zulu(end))
        if change is not None:
            for name in change.removed:
                self.props.pop(name, None)
            self.props.update(change.props)
            self.ext.update(change.ext)
        self.base = dict(self.props), dict(self.ext)
        self.exception = change is not None
        self.attachments = change.attachments if change is not None and change.attachments is not None else \
            master.attachments
        self.mime, self.headers, self.series, self.broken = None, [], None, None
        self.created, self.modified, self.draft, self.sent = master.created, master.modified, False, False
        self.associated, self.search_key = False, master.search_key

    cn = property(lambda self: self.master.cn)
    read_cn = property(lambda self: self.master.read_cn)

    @property
    def marks(self):
        return self.master.marks

    @property
    def id(self):
        d = self.day
        return ids.make(self.box.address, "occurrence", self.number, struct.pack(">HBB", d.year, d.month, d.day))

    def touch(self, content=True):
        self.master.touch(content)

    def own_attachments(self):
        """From now on the occurrence has attachments of its own."""
        c = self.master.series.exceptions.setdefault(self.day, Change())
        if c.attachments is None:
            c.attachments = list(self.master.attachments)
        self.attachments, self.exception = c.attachments, True

    def keep(self, names):
        """Stores what was changed of these properties."""
        c = Change()
        old = self.master.series.exceptions.get(self.day)
        if old is not None:
            c.props, c.removed, c.ext, c.attachments = dict(old.props), set(old.removed), dict(old.ext), \
                old.attachments
        before, before_ext = self.base
        for name in set(before) | set(self.props):
            if name not in self.props:
                c.props.pop(name, None)
                c.removed.add(name)
            elif before.get(name) is not self.props[name] and (
                    name not in before or not _same(before[name], self.props[name])):
                c.props[name] = copy(self.props[name])
                c.removed.discard(name)
        for k, v in self.ext.items():
            if before_ext.get(k) != v:
                c.ext[k] = v
        self._boundary()
        self.master.series.exceptions[self.day] = c
        self.exception = True

    def _boundary(self):
        """A moved occurrence must stay between its neighbours."""
        series = self.master.series
        start, end = when(self.text("Start")), when(self.text("End"))
        before, after = series.neighbours(self.day)
        if before and (start < series.span(before)[1] or
                       series.zone.wall(start).date() <= series.zone.wall(series.span(before)[0]).date()) or \
                after and (end > series.span(after)[0] or
                           series.zone.wall(start).date() >= series.zone.wall(series.span(after)[0]).date()):
            raise EwsError("ErrorOccurrenceCrossingBoundary", "The occurrence would cross another one.")


def _same(a, b):
    return a.tag == b.tag and (a.text or "") == (b.text or "") and a.attrib == b.attrib and \
        len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b))


def by_index(master, index, write=False):
    """The occurrence with this 1-based index; deleted ones count."""
    if master.series is None:
        raise EwsError("ErrorCalendarCannotUseIdForRecurringMasterId", "The item is no recurring master.")
    day = next(itertools.islice(master.series.rule.days(), index - 1, None), None) if index > 0 else None
    if day is None:
        raise EwsError("ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange", "The index is out of range.")
    if day in master.series.deleted:
        raise EwsError("ErrorCalendarOccurrenceIsDeletedFromRecurrence", "The occurrence was deleted.")
    return Occurrence(master, day)


def by_id(box, text):
    """The occurrence with this id."""
    number, extra = ids.parse(box.address, text, ("occurrence", "item"))
    master = box.items.get(number)
    if not extra:
        raise EwsError("ErrorCalendarCannotUseIdForOccurrenceId", "The id is not that of an occurrence.")
    day = datetime.date(*struct.unpack(">HBB", extra))
    if master is None or master.series is None or day in master.series.deleted:
        raise EwsError("ErrorItemNotFound")
    for d in master.series.rule.days():
        if d >= day:
            if d == day:
                return Occurrence(master, day)
            break
    raise EwsError("ErrorItemNotFound")


def between(item, start, end):
    """What of a single event or a series lies in a range of time, as a calendar view shows it."""
    if item.series is None:
        a, b = when(item.text("Start")), when(item.text("End"))
        return [item] if a < end and (b > start or a == b >= start) else []
    found = []
    edge = end.astimezone(UTC).date() + datetime.timedelta(days=40)
    for day in item.series.rule.days():
        if day > edge:
            break
        if day in item.series.deleted:
            continue
        a, b = item.series.span(day)
        if a < end and (b > start or a == b >= start):
            found.append(Occurrence(item, day))
    return found


def info(tag, occurrence):
    """A t:Occurrence, t:FirstOccurrence ..."""
    start, _ = occurrence.master.series.start(occurrence.day)
    return lambda call: el(tag, None, el("ItemId", None, Id=occurrence.id, ChangeKey=occurrence.key),
                           el("Start", call.time(when(occurrence.text("Start")))),
                           el("End", call.time(when(occurrence.text("End")))), el("OriginalStart", call.time(start)))
