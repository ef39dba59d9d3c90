"""Tasks: status, percent and completion, dates that are days, recurrences that move on when one is done."""

import datetime

import items
import recur
import shape
import zones
from fields import UTC, when, zulu
from soap import EwsError, copy, el
from store import now

DATES = ("StartDate", "DueDate")


def settle(call, item, name, e):
    if name in ("CompleteDate", "TotalWorkDays"):
        # The server's own: what a client says is not kept.
        return True
    if e is None:
        if name in ("Status", "PercentComplete"):
            raise EwsError("ErrorInvalidPropertyDelete")
        return False
    if name in DATES:
        moment = when(e.text)
        zone = call.zone or zones.UTC_ZONE
        day = zone.wall(moment) if moment.tzinfo else moment
        # A day, kept as midnight UTC of it.
        item.props[name] = el(name, zulu(day.replace(hour=0, minute=0, second=0, tzinfo=UTC)))
        return True
    if name == "PercentComplete":
        value = float(e.text)
        if not 0 <= value <= 100:
            raise EwsError("ErrorInvalidPropertySet", "A percentage is from 0 to 100.")
        item.props[name] = el(name, "%g" % value)
        return True
    return False


def create(call, item, source):
    updated(call, item, [n for n in ("Status", "PercentComplete", "Recurrence") if n in item.props])


def updated(call, item, names):
    p = item.props
    if "PercentComplete" in names and "Status" not in names:
        value = float(item.text("PercentComplete"))
        p["Status"] = el("Status", "Completed" if value == 100 else "InProgress" if value else "NotStarted")
    elif any(n == "Status" or n.endswith("#33025/Integer") for n in names):
        if item.text("Status") == "Completed":
            p["PercentComplete"] = el("PercentComplete", "100")
        elif item.text("PercentComplete") == "100":
            p["PercentComplete"] = el("PercentComplete", "0")
    p.setdefault("Status", el("Status", "NotStarted"))
    p.setdefault("PercentComplete", el("PercentComplete", "0"))
    if "Recurrence" in p:
        recur.Rule(p["Recurrence"])
    if item.text("Status") != "Completed":
        p.pop("CompleteDate", None)
        return
    p.setdefault("CompleteDate", el("CompleteDate", zulu(now().replace(hour=0, minute=0, second=0))))
    if "Recurrence" in p and item.number is not None:
        _done(item)


def _done(item):
    """A task of a series is done: it becomes an item of its own, and the series moves on."""
    done = items.clone(item, item.box)
    done.props.pop("Recurrence")
    done.search_key = b""
    done.created = done.modified = now()
    item.box.put(done, item.folder)
    _advance(item)


def _advance(item):
    p = item.props
    rule = recur.Rule(p["Recurrence"])
    here = when(item.text("DueDate") or item.text("StartDate") or zulu(now())).date()
    if rule.regenerates:
        days = rule._endless()
        next(days)
        gap = next(days) - rule.start
        following = now().date() + gap
    else:
        following = next((d for d in rule.days() if d > here), None)
    p.pop("CompleteDate", None)
    left = rule.count - 1 if rule.count is not None and rule.regenerates else None
    if following is None or left == 0:
        # Nothing follows: what is done stays as the last of the series.
        p.pop("Recurrence")
        p["Status"], p["PercentComplete"] = el("Status", "Completed"), el("PercentComplete", "100")
        return
    if left:
        p["Recurrence"] = copy(p["Recurrence"])
        p["Recurrence"][1].find("{*}NumberOfOccurrences").text = str(left)
    shift = datetime.timedelta(days=(following - here).days)
    for name in DATES:
        if name in p:
            p[name] = el(name, zulu(when(p[name].text) + shift))
    if "DueDate" not in p and "StartDate" not in p:
        p["DueDate"] = el("DueDate", zulu(datetime.datetime.combine(following, datetime.time(), UTC)))
    p["Status"], p["PercentComplete"] = el("Status", "NotStarted"), el("PercentComplete", "0")


def deleted(call, item, request):
    """Only this occurrence of a series: the series moves on."""
    if request.get("AffectedTaskOccurrences") != "SpecifiedOccurrenceOnly" or "Recurrence" not in item.props:
        return False
    _advance(item)
    item.touch()
    if item.text("Status") == "Completed":
        item.box.remove(item)
    return True


def _day(name):
    """Midnight of the day in the session's zone."""
    def get(call, item):
        if name not in item.props:
            return None
        wall = when(item.text(name)).replace(tzinfo=None)
        zone = call.zone or zones.UTC_ZONE
        return el(name, zone.text(zone.utc(wall)))
    return get


def _recurrence(call, item):
    if "Recurrence" not in item.props:
        return None
    rule = recur.Rule(item.props["Recurrence"])
    return rule.printed(call, rule.start)


def _unique(call, item):
    raise EwsError("ErrorInternalServerError", "An internal server error occurred. The operation failed.")


shape.VIEWS["Task"] = {
    "StartDate": _day("StartDate"), "DueDate": _day("DueDate"), "CompleteDate": _day("CompleteDate"),
    "IsComplete": lambda c, i: el("IsComplete", i.text("Status") == "Completed"),
    "IsRecurring": lambda c, i: el("IsRecurring", "Recurrence" in i.props),
    "IsTeamTask": shape.fixed("IsTeamTask", False), "IsAssignmentEditable": shape.fixed("IsAssignmentEditable", 1),
    "DelegationState": shape.fixed("DelegationState", "NoMatch"),
    "Owner": lambda c, i: el("Owner", i.box.name), "ChangeCount": shape.fixed("ChangeCount", 1),
    "StatusDescription": lambda c, i: el("StatusDescription", {
        "NotStarted": "Not Started", "InProgress": "In Progress", "Completed": "Completed",
        "WaitingOnOthers": "Waiting on someone else", "Deferred": "Deferred"}[i.text("Status")]),
    "Recurrence": _recurrence, "UniqueBody": _unique,
}
