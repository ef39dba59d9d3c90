"""Time zones as EWS has them: Windows names, definitions of a client's own, what GetServerTimeZones answers."""

import datetime
import functools
import os
import re
import zoneinfo

from soap import EwsError, child_text, el, local, mel, response, success

UTC = datetime.timezone.utc
HOUR = datetime.timedelta(hours=1)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@functools.lru_cache(None)
def table():
    """Windows name -> (display name, IANA zone), from the project's own table."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "worker", "data", "tz_table.def")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    found = {}
    for name, display, zones in re.findall(r'TZ_WINDOWS\("([^"]*)", "([^"]*)",\s*"([^" ]*)', text):
        found[name] = (display, zones)
    found["UTC"] = ("Coordinated Universal Time", "Etc/UTC")
    return found


class Zone:
    """A zone with a Windows name (or a client's own id)."""

    def __init__(self, name, tz, definition=None):
        self.name, self.tz, self.definition = name, tz, definition

    def utc(self, naive):
        """Wall clock to instant; a time that does not exist is taken as before the change."""
        return naive.replace(tzinfo=self.tz).astimezone(UTC)

    def wall(self, moment):
        return moment.astimezone(self.tz).replace(tzinfo=None)

    def text(self, moment):
        """How answers print an instant while this zone is the session's."""
        if self.name == "UTC":
            return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return moment.astimezone(self.tz).isoformat(timespec="seconds")


@functools.lru_cache(None)
def named(name):
    """The Zone of a Windows name; None if there is none."""
    if name not in table():
        return None
    try:
        return Zone(name, zoneinfo.ZoneInfo(table()[name][1]))
    except zoneinfo.ZoneInfoNotFoundError:
        return None


UTC_ZONE = Zone("UTC", UTC)


def of(e):
    """The Zone of a t:TimeZoneDefinition, StartTimeZone ...: by its Windows name, or by its own rules."""
    if e.find("{*}Transitions") is not None and e.find("{*}Periods") is not None:
        name = e.get("Id") or "Customized Time Zone"
        known = named(name)
        return known or Zone(name, Own(e), e)
    zone = named(e.get("Id", ""))
    if zone is None:
        raise EwsError("ErrorTimeZone", "The time zone %r is not known." % e.get("Id"))
    return zone


def duration(text):
    """A timedelta of an xs:duration of days and time."""
    r = re.fullmatch(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?", text.strip())
    if not r:
        raise EwsError("ErrorTimeZone", "A duration is not understood: %s" % text)
    d = datetime.timedelta(days=int(r[2] or 0), hours=int(r[3] or 0), minutes=int(r[4] or 0), seconds=int(r[5] or 0))
    return -d if r[1] else d


def print_duration(delta):
    sign = "-" if delta < datetime.timedelta(0) else ""
    seconds = int(abs(delta).total_seconds())
    out = "".join("%d%s" % (n, u) for n, u in ((seconds // 3600, "H"), (seconds // 60 % 60, "M"),
                                               (seconds % 60, "S")) if n)
    return sign + "PT" + (out or "0S")


class Own(datetime.tzinfo):
    """The rules of a TimeZoneDefinition; the group in force is the last one that was entered."""

    def __init__(self, e):
        self.biases = {p.get("Id"): -duration(p.get("Bias")) for p in e.find("{*}Periods")}
        self.groups = {g.get("Id"): list(g) for g in e.find("{*}TransitionsGroups")} \
            if e.find("{*}TransitionsGroups") is not None else {}
        self.steps = []
        for step in e.find("{*}Transitions"):
            to = step.find("{*}To")
            at = child_text(step, "DateTime")
            self.steps.append((datetime.datetime.fromisoformat(at[:19]) if at else datetime.datetime.min,
                               to.get("Kind"), to.text))
        self.steps.sort(key=lambda s: s[0])

    def _offset(self, wall):
        kind, target = [s for s in self.steps if s[0] <= wall][-1][1:]
        if kind == "Period":
            return self.biases[target]
        changes = []
        for tr in self.groups[target]:
            to = tr.find("{*}To").text
            if local(tr) == "Transition":
                return self.biases[to]
            changes.append((self._moment(tr, wall.year), self.biases[to]))
        changes.sort(key=lambda c: c[0])
        past = [c for c in changes if c[0] <= wall]
        return (past or changes)[-1][1]

    @staticmethod
    def _moment(tr, year):
        offset, month = duration(child_text(tr, "TimeOffset")), int(child_text(tr, "Month"))
        if local(tr) == "RecurringDateTransition":
            return datetime.datetime(year, month, int(child_text(tr, "Day"))) + offset
        day, nth = DAYS.index(child_text(tr, "DayOfWeek")), int(child_text(tr, "Occurrence"))
        found = [datetime.datetime(year, month, d) for d in range(1, 32) if _valid(year, month, d)
                 and datetime.date(year, month, d).weekday() == day]
        return found[-1 if nth == -1 else min(nth, len(found)) - 1] + offset

    def utcoffset(self, dt):
        if dt is None:
            return None
        wall = dt.replace(tzinfo=None)
        offset = self._offset(wall)
        # The second time of an hour that comes twice.
        return min(offset, self._offset(wall + HOUR)) if dt.fold else offset

    def dst(self, dt):
        return datetime.timedelta(0)

    def tzname(self, dt):
        return None

    def fromutc(self, dt):
        wall = dt.replace(tzinfo=None)
        offsets = sorted(set(self.biases.values()))
        for offset in offsets:
            if self._offset(wall + offset) == offset:
                return (wall + offset).replace(tzinfo=self)
        for offset in offsets:
            if self._offset(wall + offset + HOUR) == offset:
                return (wall + offset).replace(tzinfo=self, fold=1)
        return (wall + self._offset(wall)).replace(tzinfo=self)


def _valid(year, month, day):
    try:
        datetime.date(year, month, day)
    except ValueError:
        return False
    return True


def changes(tz, year):
    """The moments of a year at which the offset changes: (UTC moment, offset before, offset after)."""
    out = []
    at = datetime.datetime(year, 1, 1, tzinfo=UTC)
    before = at.astimezone(tz).utcoffset()
    while at.year == year:
        then = at + datetime.timedelta(days=1)
        after = then.astimezone(tz).utcoffset()
        if after != before:
            low, high = at, then
            while high - low > datetime.timedelta(minutes=1):
                mid = low + (high - low) / 2
                mid = mid.replace(second=0, microsecond=0)
                if mid <= low:
                    break
                low, high = (low, mid) if mid.astimezone(tz).utcoffset() == after else (mid, high)
            out.append((high, before, after))
            before = after
        at = then
    return out


def definition(tag, zone, full=True):
    """<t:StartTimeZone> and the like with this year's rules."""
    if zone.definition is not None:
        e = el(tag, None, Id=zone.name, Name=zone.definition.get("Name"))
        if full:
            e.extend(zone.definition)
        return e
    e = el(tag, None, Id=zone.name, Name="(UTC) " + table()[zone.name][0])
    if not full:
        return e
    year = datetime.datetime.now().year
    moves = changes(zone.tz, year)
    now = datetime.datetime(year, 1, 1, tzinfo=UTC).astimezone(zone.tz).utcoffset()
    standard = min([now] + [c[2] for c in moves])
    periods = el("Periods", None, el("Period", None, Bias=print_duration(-standard), Name="Standard", Id="std"))
    group = el("TransitionsGroup", None, Id="0")
    if len(moves) != 2:
        group.append(el("Transition", None, el("To", "std", Kind="Period")))
    else:
        periods.append(el("Period", None, Bias=print_duration(-max(c[2] for c in moves)), Name="Daylight", Id="dst"))
        for moment, before, after in moves:
            wall = (moment + before).replace(tzinfo=None)
            nth = -1 if (wall + datetime.timedelta(days=7)).month != wall.month else (wall.day - 1) // 7 + 1
            midnight = wall.replace(hour=0, minute=0)
            group.append(el("RecurringDayTransition", None, el("To", "std" if after == standard else "dst",
                                                               Kind="Period"),
                            el("TimeOffset", print_duration(wall - midnight)), el("Month", wall.month),
                            el("DayOfWeek", DAYS[wall.weekday()]), el("Occurrence", nth)))
    e.extend([periods, el("TransitionsGroups", None, group),
              el("Transitions", None, el("Transition", None, el("To", "0", Kind="Group")))])
    return e


def get_server_time_zones(call):
    wanted = [x.text for x in call.request.find("{*}Ids")] if call.request.find("{*}Ids") is not None else \
        sorted(table())
    full = call.request.get("ReturnFullTimeZoneData", "true") in ("true", "1")
    found = [named(n) for n in wanted]
    out = mel("TimeZoneDefinitions", None, *[definition("TimeZoneDefinition", z, full) for z in found if z])
    return response("GetServerTimeZones", [success("GetServerTimeZones", out)])
