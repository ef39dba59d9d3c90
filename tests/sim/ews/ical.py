"""iCalendar in and out of calendar items (MimeContent), with the holes that Exchange's conversion has: coming in, only
the master is taken; what Exchange has no property for is lost."""

import datetime
import email
import functools
import re

import goid
import occurrences
import zones
from fields import when, zulu
from soap import EwsError, child_text, el, truth

FREQ = {"MO": "Monday", "TU": "Tuesday", "WE": "Wednesday", "TH": "Thursday", "FR": "Friday", "SA": "Saturday",
        "SU": "Sunday"}
NTH = {"1": "First", "2": "Second", "3": "Third", "4": "Fourth", "-1": "Last"}
GROUPS = {"MO,TU,WE,TH,FR": "Weekday", "SA,SU": "WeekendDay", "MO,TU,WE,TH,FR,SA,SU": "Day"}
MONTHS = ("January February March April May June July August September October November December").split()
BUSY = {"FREE": "Free", "TENTATIVE": "Tentative", "BUSY": "Busy", "OOF": "OOF"}
SECRET = {"PUBLIC": "Normal", "PRIVATE": "Private", "CONFIDENTIAL": "Confidential", "PERSONAL": "Personal"}
REPLY = {"ACCEPTED": "Accept", "DECLINED": "Decline", "TENTATIVE": "Tentative"}


def _lines(data):
    """(name, parameters, value) of each content line."""
    text = re.sub(r"\r?\n[ \t]", "", data.decode("utf-8", "replace"))
    for line in re.split(r"\r?\n", text):
        r = re.fullmatch(r'([\w-]+)((?:;[\w-]+=(?:"[^"]*"|[^";:])*)*):(.*)', line)
        if r:
            yield r[1].upper(), dict((k.upper(), v.strip('"')) for k, v in
                                     re.findall(r';([\w-]+)=("[^"]*"|[^";:]*)', r[2])), r[3]


def _unescape(text):
    return re.sub(r"\\(.)", lambda r: "\r\n" if r[1] in "nN" else r[1], text)


def _escape(text):
    return re.sub(r"([\\;,])", r"\\\1", text).replace("\r\n", "\\n").replace("\n", "\\n")


@functools.lru_cache(None)
def windows(tzid):
    """The Windows name of a TZID, None if there is none."""
    if zones.named(tzid):
        return tzid
    for name, (_, iana) in zones.table().items():
        if iana == tzid:
            return name
    return None


def _events(data):
    """The lines of each VEVENT, those of its first alarm apart."""
    found, inside, alarm = [], None, False
    for name, params, value in _lines(data):
        if name == "BEGIN" and value == "VEVENT":
            inside = ([], [])
        elif name == "END" and value == "VEVENT" and inside:
            found.append(inside)
            inside = None
        elif name in ("BEGIN", "END") and value == "VALARM":
            alarm = name == "BEGIN"
        elif inside:
            inside[1 if alarm else 0].append((name, params, value))
    return found


def take(call, item, data):
    """Sets the item's properties from an iCalendar text, or from a mail that has one."""
    if b"BEGIN:VCALENDAR" not in data[:200]:
        for part in email.message_from_bytes(data).walk():
            if part.get_content_type() == "text/calendar":
                data = part.get_payload(decode=True)
    masters = [e for e in _events(data) if not any(n == "RECURRENCE-ID" for n, _, _ in e[0])]
    if not masters or not any(n == "DTSTART" for n, _, _ in masters[0][0]):
        raise EwsError("ErrorMimeContentConversionFailed")
    lines, alarm = masters[0]
    p, people, exdates = item.props, {"RequiredAttendees": [], "OptionalAttendees": [], "Resources": []}, []
    start = next((params, value) for n, params, value in lines if n == "DTSTART")
    for name, params, value in lines:
        if name in ("SUMMARY", "LOCATION", "UID"):
            tag = {"SUMMARY": "Subject"}.get(name, name.capitalize() if name != "UID" else name)
            if tag != "UID" or item.number is None:
                p[tag] = el(tag, _unescape(value))
        elif name == "DESCRIPTION":
            p["Body"] = el("Body", _unescape(value), BodyType="Text")
        elif name in ("DTSTART", "DTEND"):
            _time(item, "Start" if name == "DTSTART" else "End", params, value)
        elif name == "CLASS":
            p["Sensitivity"] = el("Sensitivity", SECRET.get(value, "Normal"))
        elif name == "TRANSP":
            p["LegacyFreeBusyStatus"] = el("LegacyFreeBusyStatus", "Free" if value == "TRANSPARENT" else "Busy")
        elif name == "X-MICROSOFT-CDO-BUSYSTATUS" and value in BUSY:
            p["LegacyFreeBusyStatus"] = el("LegacyFreeBusyStatus", BUSY[value])
        elif name == "CATEGORIES":
            p["Categories"] = el("Categories", None, *[el("String", _unescape(c))
                                                       for c in re.split(r"(?<!\\),", value)])
        elif name == "ATTENDEE":
            _attendee(people, params, value)
        elif name == "RRULE":
            p["Recurrence"] = _rule(value, start[1][:8])
        elif name == "EXDATE":
            exdates += [d[:8] for d in value.split(",")]
    if not any(n == "DTEND" for n, _, _ in lines):
        _duration(item, lines)
    for tag, found in people.items():
        if found:
            p[tag] = el(tag, None, *found)
    for name, params, value in alarm:
        r = re.fullmatch(r"-PT?(?:(\d+)W)?(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:\d+S)?", value)
        if name == "TRIGGER" and r:
            minutes = sum(int(n or 0) * f for n, f in zip(r.groups(), (10080, 1440, 60, 1)))
            p["ReminderIsSet"] = el("ReminderIsSet", True)
            p["ReminderMinutesBeforeStart"] = el("ReminderMinutesBeforeStart", minutes)
    item.exdates = [datetime.date(int(d[:4]), int(d[4:6]), int(d[6:])) for d in exdates]


def _time(item, tag, params, value):
    r = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?", value)
    if not r:
        raise EwsError("ErrorMimeContentConversionFailed")
    text = "%s-%s-%sT%s:%s:%s" % (r[1], r[2], r[3], r[4] or "00", r[5] or "00", r[6] or "00") + (r[7] or "")
    item.props[tag] = el(tag, text)
    if not r[4] and tag == "Start":
        item.props["IsAllDayEvent"] = el("IsAllDayEvent", True)
    zone = windows(params.get("TZID", ""))
    if zone:
        item.props[tag + "TimeZone"] = el(tag + "TimeZone", None, Id=zone)
        item.__dict__.setdefault("fresh_zones", set()).add(tag + "TimeZone")


def _duration(item, lines):
    length = next((v for n, _, v in lines if n == "DURATION"), None)
    start = item.props["Start"].text
    if length is None:
        delta = datetime.timedelta(days=1) if "IsAllDayEvent" in item.props else datetime.timedelta(0)
    elif length.endswith("W"):
        delta = datetime.timedelta(weeks=int(length[1:-1]))
    else:
        delta = zones.duration(length)
    end = datetime.datetime.fromisoformat(start.rstrip("Z")) + delta
    item.props["End"] = el("End", end.isoformat() + ("Z" if start.endswith("Z") else ""))


def _attendee(people, params, value):
    role = {"OPT-PARTICIPANT": "OptionalAttendees", "NON-PARTICIPANT": "Resources"}.get(
        params.get("ROLE"), "RequiredAttendees")
    if params.get("CUTYPE") in ("RESOURCE", "ROOM"):
        role = "Resources"
    address = re.sub("(?i)^mailto:", "", value)
    people[role].append(el("Attendee", None, el("Mailbox", None, el("Name", params.get("CN") or address), el(
        "EmailAddress", address), el("RoutingType", "SMTP")), el("ResponseType", REPLY.get(
            params.get("PARTSTAT"), "Unknown"))))


def _rule(text, start):
    """<t:Recurrence> of an RRULE; what EWS cannot hold is refused."""
    r = dict(x.split("=", 1) for x in text.upper().rstrip(";").split(";"))
    interval, by, pos = int(r.get("INTERVAL", 1)), r.get("BYDAY"), r.get("BYSETPOS")
    date = datetime.date(int(start[:4]), int(start[4:6]), int(start[6:8]))
    day = el("DayOfMonth", 31 if r.get("BYMONTHDAY") == "-1" else r.get("BYMONTHDAY", date.day))
    month = el("Month", MONTHS[int(r.get("BYMONTH", date.month)) - 1])
    step = el("Interval", interval)
    relative = None
    if by and r["FREQ"] in ("MONTHLY", "YEARLY"):
        one = re.fullmatch(r"(-?\d)?(\w\w)", by)
        nth, name = (one[1] or pos, FREQ[one[2]]) if one else (pos, GROUPS.get(by))
        if nth not in NTH or not name:
            raise EwsError("ErrorMimeContentConversionFailed")
        relative = [el("DaysOfWeek", name), el("DayOfWeekIndex", NTH[nth])]
    if r["FREQ"] == "DAILY" and not by:
        e = el("DailyRecurrence", None, step)
    elif r["FREQ"] == "WEEKLY" or r["FREQ"] == "DAILY":
        names = [FREQ[d] for d in by.split(",")] if by else [zones.DAYS[date.weekday()]]
        e = el("WeeklyRecurrence", None, step, el("DaysOfWeek", " ".join(names)),
               el("FirstDayOfWeek", FREQ[r.get("WKST", "MO")]))
    elif r["FREQ"] == "MONTHLY":
        e = el("RelativeMonthlyRecurrence", None, step, *relative) if relative else \
            el("AbsoluteMonthlyRecurrence", None, step, day)
    elif r["FREQ"] == "YEARLY" and interval == 1:
        e = el("RelativeYearlyRecurrence", None, *relative, month) if relative else \
            el("AbsoluteYearlyRecurrence", None, day, month)
    else:
        raise EwsError("ErrorMimeContentConversionFailed")
    first = el("StartDate", date.isoformat())
    if "COUNT" in r:
        limit = el("NumberedRecurrence", None, first, el("NumberOfOccurrences", r["COUNT"]))
    elif "UNTIL" in r:
        u = r["UNTIL"]
        limit = el("EndDateRecurrence", None, first, el("EndDate", "%s-%s-%s" % (u[:4], u[4:6], u[6:8])))
    else:
        limit = el("NoEndRecurrence", None, first)
    return el("Recurrence", None, e, limit)


def _print_rule(rule):
    p, kind = rule.pattern, rule.kind
    short = {v: k for k, v in FREQ.items()}
    many = {v: k for k, v in GROUPS.items()}
    out = ["FREQ=" + {"D": "DAILY", "W": "WEEKLY"}.get(kind[0], "MONTHLY" if "Monthly" in kind else "YEARLY")]
    if rule.interval > 1:
        out.append("INTERVAL=%d" % rule.interval)
    if kind == "WeeklyRecurrence":
        out += ["BYDAY=" + ",".join(short[n] for n in rule.names),
                "WKST=" + short[child_text(p, "FirstDayOfWeek", "Sunday")]]
    elif kind.startswith("Relative"):
        nth = {v: k for k, v in NTH.items()}[child_text(p, "DayOfWeekIndex")]
        name = rule.names[0]
        out += ["BYDAY=" + nth + short[name]] if name in short else ["BYDAY=" + many[name], "BYSETPOS=" + nth]
    elif kind.startswith("Absolute"):
        out.append("BYMONTHDAY=%d" % rule.of_month if rule.of_month < 29 or rule.month else "BYMONTHDAY=-1")
    if rule.month:
        out.append("BYMONTH=%d" % rule.month)
    if rule.count:
        out.append("COUNT=%d" % rule.count)
    elif rule.end:
        out.append("UNTIL=" + rule.end.strftime("%Y%m%dT235959Z"))
    return ";".join(out)


def _zone(zone):
    """The lines of a VTIMEZONE with this year's rules."""
    d = zones.definition("Z", zone)
    bias = {p.get("Id"): -zones.duration(p.get("Bias")) for p in d.find("{*}Periods")}
    out = ["BEGIN:VTIMEZONE", "TZID:" + zone.name]

    def offset(delta):
        minutes = int(delta.total_seconds()) // 60
        return "%s%02d%02d" % ("-" if minutes < 0 else "+", abs(minutes) // 60, abs(minutes) % 60)
    changes = d.findall(".//{*}RecurringDayTransition")
    for to, sub in (("std", "STANDARD"), ("dst", "DAYLIGHT")):
        change = next((c for c in changes if child_text(c, "To") == to), None)
        if change is None and (to == "dst" or changes):
            continue
        other = bias.get("dst" if to == "std" else "std", bias.get(to))
        at = zones.duration(child_text(change, "TimeOffset")) if change is not None else datetime.timedelta(0)
        out += ["BEGIN:" + sub, "DTSTART:16010101T%02d%02d00" % divmod(int(at.total_seconds()) // 60, 60),
                "TZOFFSETFROM:" + offset(other), "TZOFFSETTO:" + offset(bias.get(to, list(bias.values())[0]))]
        if change is not None:
            out.append("RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=%s%s;BYMONTH=%s" % (
                child_text(change, "Occurrence"), child_text(change, "DayOfWeek")[:2].upper(),
                child_text(change, "Month")))
        out.append("END:" + sub)
    return out + ["END:VTIMEZONE"]


def give(call, item):
    """The iCalendar text of an event, without what the conversion forgets. Changed occurrences have a UID and a
    RECURRENCE-ID that are of no use: clients take both from ModifiedOccurrences, in its order."""
    zone = zones.of(item.props["StartTimeZone"]) if "StartTimeZone" in item.props else zones.UTC_ZONE
    out = ["BEGIN:VCALENDAR", "METHOD:PUBLISH", "PRODID:Microsoft Exchange Server 2010", "VERSION:2.0"]
    out += (_zone(zone) if zone.definition is None else []) + _event(item, zone)
    if item.series is not None:
        for day in sorted(item.series.exceptions):
            lines = _event(occurrences.Occurrence(item, day), zone)
            lines = ["UID:" + goid.blob(item.text("UID"), day).hex().upper() if x.startswith("UID:") else x
                     for x in lines]
            out += lines[:1] + ["RECURRENCE-ID:%sT000000" % day.strftime("%Y%m%d")] + lines[1:]
    return "".join(_fold(x) for x in out + ["END:VCALENDAR"]).encode()


def _people(item):
    out = []
    for tag, role in (("RequiredAttendees", "REQ-PARTICIPANT"), ("OptionalAttendees", "OPT-PARTICIPANT"),
                      ("Resources", "NON-PARTICIPANT")):
        for a in item.props.get(tag, ()):
            box = a.find("{*}Mailbox")
            status = {v: k for k, v in REPLY.items()}.get(child_text(a, "ResponseType"), "NEEDS-ACTION")
            out.append("ATTENDEE;ROLE=%s;PARTSTAT=%s;RSVP=TRUE;CN=%s:MAILTO:%s" % (
                role, status, _quote(child_text(box, "Name") or ""), child_text(box, "EmailAddress") or ""))
    # On every event, meeting or not.
    return out + ["ORGANIZER;CN=%s:MAILTO:%s" % (_quote(item.box.name), item.box.address)]


def _event(item, zone):
    """The lines of a VEVENT."""
    allday = truth(item.text("IsAllDayEvent"))

    def time(name, text):
        wall = zone.wall(when(text))
        if allday:
            return "%s;VALUE=DATE:%s" % (name, wall.strftime("%Y%m%d"))
        return "%s;TZID=%s:%s" % (name, zone.name, wall.strftime("%Y%m%dT%H%M%S"))
    out = ["BEGIN:VEVENT"]
    if item.series is not None:
        out.append("RRULE:" + _print_rule(item.series.rule))
        for d in sorted(item.series.deleted):
            out.append(time("EXDATE", zulu(item.series.start(d)[0])).replace(";VALUE=DATE", ""))
    body, busy = item.props.get("Body"), item.text("LegacyFreeBusyStatus")
    out += _people(item)
    out.append("DESCRIPTION;LANGUAGE=en-US:" + _escape((body.text if body is not None else "") or "\\n"))
    out += ["UID:" + item.text("UID"), "SUMMARY;LANGUAGE=en-US:" + _escape(item.text("Subject") or ""),
            time("DTSTART", item.text("Start")), time("DTEND", item.text("End")),
            "CLASS:" + {v: k for k, v in SECRET.items()}[item.text("Sensitivity") or "Normal"],
            "PRIORITY:5", "DTSTAMP:" + item.modified.strftime("%Y%m%dT%H%M%SZ"),
            "TRANSP:" + ("TRANSPARENT" if busy == "Free" else "OPAQUE"),
            "STATUS:CONFIRMED", "SEQUENCE:0", "LOCATION;LANGUAGE=en-US:" + _escape(item.text("Location") or ""),
            "X-MICROSOFT-CDO-APPT-SEQUENCE:0",
            "X-MICROSOFT-CDO-BUSYSTATUS:" + {v: k for k, v in BUSY.items()}.get(busy, "BUSY"),
            "X-MICROSOFT-CDO-ALLDAYEVENT:" + ("TRUE" if allday else "FALSE")]
    if "Categories" in item.props:
        out.append("CATEGORIES:" + ",".join(_escape(c.text or "") for c in item.props["Categories"]))
    if truth(item.text("ReminderIsSet")):
        out += ["BEGIN:VALARM", "DESCRIPTION:REMINDER",
                "TRIGGER;RELATED=START:-PT%sM" % (item.text("ReminderMinutesBeforeStart") or "15"),
                "ACTION:DISPLAY", "END:VALARM"]
    return out + ["END:VEVENT"]


def _quote(text):
    return '"%s"' % text.replace('"', "'") if re.search("[;:,]", text) else text


def _fold(line):
    data, out = line.encode(), []
    while len(data) > 75:
        cut = 75
        while data[cut] & 0xC0 == 0x80:
            cut -= 1
        out.append(data[:cut].decode())
        data = b" " + data[cut:]
    return "\r\n".join(out + [data.decode()]) + "\r\n"
