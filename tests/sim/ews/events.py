"""Calendar items: times and zones, all-day events, series, attendees, and their computed properties."""

import base64
import datetime
import itertools

import goid
import ical
import occurrences
import shape
import zones
from fields import UTC, when, zulu
from occurrences import Occurrence, Series
from soap import EwsError, child_text, copy, el, truth
from store import now

PEOPLE = ("RequiredAttendees", "OptionalAttendees", "Resources")
LONGEST = datetime.timedelta(days=1825)
EPOCH = datetime.datetime(1601, 1, 1, tzinfo=UTC)


def meeting(item):
    return any(len(item.props.get(n, ())) for n in PEOPLE)


def settle(call, item, name, e):
    """Takes an element that needs more than being kept; e None: the property is removed."""
    if name in ("Start", "End"):
        if e is None:
            raise EwsError("ErrorInvalidPropertyDelete")
        moment = when(e.text)
        item.props[name] = el(name, zulu(moment) if moment.tzinfo else moment.isoformat())
        return True
    if name in ("StartTimeZone", "EndTimeZone"):
        if e is not None:
            zones.of(e)
            item.props[name] = copy(e)
            item.__dict__.setdefault("fresh_zones", set()).add(name)
            return True
    elif name == "UID":
        # Dropped without a word once the item exists.
        if item.number is None and e is not None:
            item.props[name] = copy(e)
        return True
    elif name == "Recurrence":
        if isinstance(item, Occurrence):
            raise EwsError("ErrorInvalidPropertySet", "An occurrence has no recurrence.")
        if e is None or not len(e):
            item.props.pop(name, None)
        else:
            item.props[name] = copy(e)
        return True
    elif name in ("StartTimeZoneId", "EndTimeZoneId"):
        raise EwsError("ErrorInvalidPropertySet")
    elif name == "MeetingTimeZone":
        if e is not None and zones.named(e.get("TimeZoneName", "")):
            item.props["StartTimeZone"] = el("StartTimeZone", None, Id=e.get("TimeZoneName"))
        return True
    elif name in PEOPLE and e is not None:
        item.props[name] = el(name, None, *[_attendee(a) for a in e])
        if not len(e):
            del item.props[name]
        return True
    elif name in ("ReminderDueBy", "ReminderNextTime"):
        return True
    return False


def _attendee(e):
    box = e.find("{*}Mailbox")
    address, name = child_text(box, "EmailAddress"), child_text(box, "Name")
    out = el("Attendee", None, el("Mailbox", None, el("Name", name or address), el("EmailAddress", address)
                                  if address else None, el("RoutingType", child_text(box, "RoutingType") or "SMTP")),
             el("ResponseType", child_text(e, "ResponseType", "Unknown")))
    if child_text(e, "LastResponseTime"):
        out.append(el("LastResponseTime", zulu(when(child_text(e, "LastResponseTime")).astimezone(UTC))))
    return out


def _zone(call, item, name):
    """In which zone a time without one was meant: one of this request first, then the session's."""
    new = item.__dict__.get("fresh_zones", ())
    for n in ((name, "StartTimeZone") if name == "EndTimeZone" else (name,)):
        if n in new:
            return zones.of(item.props[n])
    return call.zone or zones.UTC_ZONE


def start_zone(item):
    return zones.of(item.props["StartTimeZone"]) if "StartTimeZone" in item.props else zones.UTC_ZONE


def _times(call, item):
    """Makes instants of Start and End, whole days of all-day events."""
    p = item.props
    for name, zone in (("Start", "StartTimeZone"), ("End", "EndTimeZone")):
        if name in p and not p[name].text.endswith("Z"):
            p[name] = el(name, zulu(_zone(call, item, zone).utc(when(p[name].text))))
    if "Start" not in p:
        p["Start"] = el("Start", zulu(now().replace(minute=0, second=0) + zones.HOUR))
    if "End" not in p:
        p["End"] = el("End", zulu(when(p["Start"].text) + zones.HOUR / 2))
    if "StartTimeZone" not in p and call.zone is not None:
        p["StartTimeZone"] = el("StartTimeZone", None, Id=call.zone.name)
        if call.zone.definition is not None:
            p["StartTimeZone"].extend(copy(x) for x in call.zone.definition)
    start, end = when(p["Start"].text), when(p["End"].text)
    if truth(item.text("IsAllDayEvent")):
        zone = start_zone(item)
        a = zone.wall(start).replace(hour=0, minute=0, second=0)
        b = zone.wall(end)
        if b.time() != datetime.time(0):
            b = b.replace(hour=0, minute=0, second=0) + datetime.timedelta(days=1)
        if b == a:
            b = a + datetime.timedelta(days=1)
        start, end = zone.utc(a), zone.utc(b)
        p["Start"], p["End"] = el("Start", zulu(start)), el("End", zulu(end))
    if end < start:
        raise EwsError("ErrorCalendarEndDateIsEarlierThanStartDate", "EndDate is earlier than StartDate.")
    if end - start > LONGEST:
        raise EwsError("ErrorCalendarDurationIsTooLong", "The event is longer than five years.")
    item.__dict__.pop("fresh_zones", None)


def _series(item):
    """A new series; the master takes the place of its first occurrence."""
    series = Series(item)
    first = next(series.rule.days())
    start, end = series.start(first)
    item.props["Start"], item.props["End"] = el("Start", zulu(start)), el("End", zulu(end))
    series.check()
    item.series = series


def create(call, item, source):
    p = item.props
    _times(call, item)
    if "UID" not in p:
        stamp = int((item.created - EPOCH).total_seconds() * 10000000)
        p["UID"] = el("UID", goid.fresh(item.box.tick(), stamp))
    p.setdefault("LegacyFreeBusyStatus", el("LegacyFreeBusyStatus", "Busy"))
    if "ReminderIsSet" not in p:
        # The mailbox's default reminder.
        p["ReminderIsSet"] = el("ReminderIsSet", True)
        p.setdefault("ReminderMinutesBeforeStart", el("ReminderMinutesBeforeStart", 1080 if truth(
            item.text("IsAllDayEvent")) else 15))
    if int(item.text("ReminderMinutesBeforeStart") or 0) < 0:
        raise EwsError("ErrorInvalidValueForProperty", "A reminder comes before the start.")
    if "Recurrence" in p:
        _series(item)
        _exdates(item)


def _exdates(item):
    """What an iCalendar text excluded."""
    gone = item.__dict__.pop("exdates", ())
    if item.series is not None and gone:
        item.series.deleted |= set(gone)


def updated(call, item, names):
    """After an update: the series follows, an occurrence becomes an exception."""
    if "MimeContent" in names:
        _times(call, item)
        item.series = None
        if "Recurrence" in item.props:
            _series(item)
        _exdates(item)
        return
    if {"Start", "End", "StartTimeZone", "EndTimeZone", "IsAllDayEvent"} & set(names):
        zone_only = {"StartTimeZone"} & set(names) and "Start" not in names
        if zone_only and item.series is not None:
            item.__dict__.pop("fresh_zones", None)
        _times(call, item)
    if isinstance(item, Occurrence):
        item.keep(names)
        return
    if "Recurrence" in names:
        # A new rule wipes all exceptions and deletions.
        item.series = None
        if "Recurrence" in item.props:
            _series(item)
    elif item.series is not None and {"Start", "End", "StartTimeZone", "IsAllDayEvent"} & set(names):
        old = item.series
        _series(item)
        if (item.series.time, item.series.length, item.series.zone.name) == (old.time, old.length, old.zone.name):
            item.series.exceptions, item.series.deleted = old.exceptions, old.deleted


def deleted(call, item, request):
    """An occurrence leaves a hole in its series."""
    if not isinstance(item, Occurrence):
        return False
    series = item.master.series
    if len(list(itertools.islice(series.live(), 2))) < 2:
        raise EwsError("ErrorRecurrenceHasNoOccurrence", "The last occurrence of a series cannot be deleted.")
    series.deleted.add(item.day)
    series.exceptions.pop(item.day, None)
    item.master.touch()
    return True


def mime_in(call, item, data):
    ical.take(call, item, data)


def mime_out(call, item):
    return ical.give(call, item)


# --- what answers show ---

def kind(item):
    if isinstance(item, Occurrence):
        return "Exception" if item.exception else "Occurrence"
    return "RecurringMaster" if item.series is not None else "Single"


def state(item):
    return int(item.text("AppointmentState") or meeting(item))


def _organizer(call, item):
    name = item.ext.get("tag/0042/String", [item.box.name])[0]
    address = item.ext.get("tag/5d02/String") or item.ext.get("tag/0065/String") or [item.box.address]
    return el("Organizer", None, el("Mailbox", None, el("Name", name), el("EmailAddress", address[0]),
                                    el("RoutingType", "SMTP")))


def _mine(item):
    return not state(item) & 2


def _response(call, item):
    default = "Unknown" if not state(item) & 1 else "Organizer" if _mine(item) else "NoResponseReceived"
    return el("MyResponseType", item.text("MyResponseType") or default)


def _moment(name):
    return lambda call, item: el(name, call.time(when(item.text(name))))


def _zone_view(tag):
    def get(call, item):
        e = item.props.get(tag)
        if e is None:
            e = item.props.get("StartTimeZone")
        zone = zones.of(e) if e is not None else zones.UTC_ZONE
        return zones.definition(tag, zone) if call.since(2010) else None
    return get


def _wall(tag, source):
    def get(call, item):
        return el(tag, start_zone(item).wall(when(item.text(source))).isoformat())
    return get


def _edge(tag, last):
    def get(call, item):
        series = item.series
        if series is None or last and series.rule.end is None and series.rule.count is None:
            return None
        days = list(series.live()) if last else [next(series.live(), None)]
        return occurrences.info(tag, Occurrence(item, days[-1]))(call) if days and days[-1] else None
    return get


def _modified(call, item):
    if item.series is None or not item.series.exceptions:
        return None
    return el("ModifiedOccurrences", None, *[occurrences.info("Occurrence", Occurrence(item, d))(call)
                                             for d in sorted(item.series.exceptions)])


def _deleted(call, item):
    if item.series is None or not item.series.deleted:
        return None
    return el("DeletedOccurrences", None, *[
        el("DeletedOccurrence", None, el("Start", call.time(item.series.start(d)[0])))
        for d in sorted(item.series.deleted)])


def _original(name):
    def get(call, item):
        if not isinstance(item, Occurrence):
            return None
        return el(name, call.time(item.master.series.start(item.day)[0]))
    return get


def _recurrence(call, item):
    if item.series is None:
        return None
    return item.series.rule.printed(call, next(item.series.rule.days()))


def _people(name):
    def get(call, item):
        return copy(item.props[name]) if len(item.props.get(name, ())) else None
    return get


def _mime(call, item):
    return el("MimeContent", base64.b64encode(mime_out(call, item)).decode(), CharacterSet="UTF-8")


VIEW = {
    "MimeContent": _mime,
    "Start": _moment("Start"), "End": _moment("End"),
    "IsAllDayEvent": shape.or_else("IsAllDayEvent", False),
    "LegacyFreeBusyStatus": shape.or_else("LegacyFreeBusyStatus", "Busy"),
    "IsMeeting": lambda c, i: el("IsMeeting", bool(state(i) & 1)),
    "IsCancelled": lambda c, i: el("IsCancelled", bool(state(i) & 4)),
    "IsRecurring": lambda c, i: el("IsRecurring", isinstance(i, Occurrence)),
    "MeetingRequestWasSent": shape.fixed("MeetingRequestWasSent", False),
    "IsResponseRequested": shape.or_else("IsResponseRequested", True),
    "CalendarItemType": lambda c, i: el("CalendarItemType", kind(i)),
    "MyResponseType": _response, "Organizer": _organizer,
    "IsOrganizer": lambda c, i: el("IsOrganizer", _mine(i)),
    "Duration": lambda c, i: el("Duration", zones.print_duration(when(i.text("End")) - when(i.text("Start")))),
    "TimeZone": lambda c, i: el("TimeZone", zones.definition("X", start_zone(i), False).get("Name")),
    "AppointmentSequenceNumber": shape.fixed("AppointmentSequenceNumber", 0),
    "AppointmentState": lambda c, i: el("AppointmentState", state(i)),
    "DateTimeStamp": lambda c, i: el("DateTimeStamp", c.time(i.modified)),
    "Recurrence": _recurrence, "FirstOccurrence": _edge("FirstOccurrence", False),
    "LastOccurrence": _edge("LastOccurrence", True), "ModifiedOccurrences": _modified,
    "DeletedOccurrences": _deleted, "RecurrenceId": _original("RecurrenceId"),
    "OriginalStart": _original("OriginalStart"),
    "StartTimeZone": _zone_view("StartTimeZone"), "EndTimeZone": _zone_view("EndTimeZone"),
    "StartWallClock": _wall("StartWallClock", "Start"), "EndWallClock": _wall("EndWallClock", "End"),
    "StartTimeZoneId": lambda c, i: el("StartTimeZoneId", start_zone(i).name),
    "EndTimeZoneId": lambda c, i: el("EndTimeZoneId", start_zone(i).name),
    "ReminderDueBy": lambda c, i: el("ReminderDueBy", c.time(when(i.text("Start")))),
    "AllowNewTimeProposal": shape.or_else("AllowNewTimeProposal", True),
    "IsOnlineMeeting": shape.fixed("IsOnlineMeeting", False),
    "DisplayTo": shape.fixed("DisplayTo", ""), "DisplayCc": shape.fixed("DisplayCc", ""),
}
VIEW.update({n: _people(n) for n in PEOPLE})
shape.VIEWS["CalendarItem"] = VIEW
