"""The recurrences of EWS: all patterns and ranges, as days; also those that only tasks have."""

import calendar
import datetime
import itertools

from soap import EwsError, child_text, copy, el, local
from zones import DAYS

INDEX = {"First": 0, "Second": 1, "Third": 2, "Fourth": 3, "Last": -1}
MONTHS = ("January February March April May June July August September October November December").split()
DAY = datetime.timedelta(days=1)
MOST = {"DailyRecurrence": 999, "WeeklyRecurrence": 99, "AbsoluteMonthlyRecurrence": 99,
        "RelativeMonthlyRecurrence": 99, "DailyRegeneration": 999, "WeeklyRegeneration": 99,
        "MonthlyRegeneration": 99, "YearlyRegeneration": 10}
LAST_YEAR = 4500


def day(text):
    """A date of an xs:date, whose zone says nothing."""
    try:
        return datetime.date.fromisoformat(text.strip()[:10])
    except ValueError:
        raise EwsError("ErrorCalendarInvalidRecurrence", "A date of the recurrence is invalid.")


def _bad(text):
    return EwsError("ErrorCalendarInvalidRecurrence", text)


class Rule:
    """A t:Recurrence. days() gives all days in order, without what was deleted or moved."""

    def __init__(self, e):
        self.element = e
        self.pattern, self.range = e[0], e[1]
        self.kind = local(self.pattern)
        self.start = day(child_text(self.range, "StartDate"))
        end = child_text(self.range, "EndDate")
        self.end = day(end) if end else None
        count = child_text(self.range, "NumberOfOccurrences")
        self.count = int(count) if count else None
        self.interval = int(child_text(self.pattern, "Interval", "1"))
        if not 1 <= self.interval <= MOST.get(self.kind, 1):
            raise _bad("The interval is out of range.")
        if self.count is not None and not 1 <= self.count <= 999:
            raise _bad("The number of occurrences is out of range.")
        if self.end and self.end < self.start:
            raise EwsError("ErrorRecurrenceHasNoOccurrence", "The range of the recurrence ends before it starts.")
        self._check()
        if next(self.days(), None) is None:
            raise EwsError("ErrorRecurrenceHasNoOccurrence", "The recurrence has no occurrence.")

    @property
    def regenerates(self):
        return self.kind.endswith("Regeneration")

    def _check(self):
        text = child_text(self.pattern, "DaysOfWeek")
        self.names = text.split() if text else []
        if self.kind == "WeeklyRecurrence":
            if not self.names or any(n not in DAYS for n in self.names):
                raise EwsError("ErrorCalendarInvalidDayForWeeklyRecurrence", "Only days of the week fit here.")
        elif self.kind.startswith("Relative") and len(self.names) != 1:
            raise _bad("One day of the week is needed.")
        of_month = child_text(self.pattern, "DayOfMonth")
        self.of_month = int(of_month) if of_month else None
        if self.of_month is not None and not 1 <= self.of_month <= 31:
            raise _bad("The day of the month is out of range.")
        month = child_text(self.pattern, "Month")
        self.month = MONTHS.index(month) + 1 if month else None
        if self.kind == "AbsoluteYearlyRecurrence" and self.of_month > calendar.monthrange(2024, self.month)[1]:
            raise _bad("This month has no such day.")

    def days(self):
        """All days of the series, up to the year 4500 if it has no end."""
        found = (d for d in self._endless() if d >= self.start)
        if self.end:
            found = itertools.takewhile(lambda d: d <= self.end, found)
        return itertools.islice(found, self.count) if self.count else found

    def _endless(self):
        kind = self.kind
        if kind in ("DailyRecurrence", "DailyRegeneration"):
            return self._step(DAY * self.interval)
        if kind == "WeeklyRegeneration":
            return self._step(7 * DAY * self.interval)
        if kind == "WeeklyRecurrence":
            return self._weekly()
        if kind in ("AbsoluteMonthlyRecurrence", "MonthlyRegeneration"):
            return self._months(self.interval, lambda y, m: self._clamp(y, m, self.of_month or self.start.day))
        if kind == "RelativeMonthlyRecurrence":
            return self._months(self.interval, self._relative)
        if kind == "YearlyRegeneration":
            return self._months(12 * self.interval, lambda y, m: self._clamp(y, m, self.start.day))
        find = self._relative if kind == "RelativeYearlyRecurrence" else \
            lambda y, m: self._clamp(y, m, self.of_month)
        return (find(y, self.month) for y in range(self.start.year, LAST_YEAR))

    def _step(self, delta):
        d = self.start
        while d.year < LAST_YEAR:
            yield d
            d += delta

    def _weekly(self):
        first = DAYS.index(child_text(self.pattern, "FirstDayOfWeek", "Sunday"))
        week = self.start - DAY * ((self.start.weekday() - first) % 7)
        offsets = sorted((DAYS.index(n) - first) % 7 for n in set(self.names))
        while week.year < LAST_YEAR:
            for o in offsets:
                yield week + DAY * o
            week += 7 * DAY * self.interval

    def _months(self, interval, find):
        n = self.start.year * 12 + self.start.month - 1
        while n // 12 < LAST_YEAR:
            yield find(n // 12, n % 12 + 1)
            n += interval

    @staticmethod
    def _clamp(year, month, of_month):
        """Exchange takes the last day where a month has no such day."""
        return datetime.date(year, month, min(of_month, calendar.monthrange(year, month)[1]))

    def _relative(self, year, month):
        name = self.names[0]
        fits = {"Day": range(7), "Weekday": range(5), "WeekendDay": (5, 6)}.get(name) or (DAYS.index(name),)
        found = [datetime.date(year, month, d) for d in range(1, calendar.monthrange(year, month)[1] + 1)
                 if datetime.date(year, month, d).weekday() in fits]
        return found[INDEX[child_text(self.pattern, "DayOfWeekIndex")]]

    def printed(self, call, first):
        """The t:Recurrence for answers: dates carry the offset of the session's zone."""
        e = copy(self.element)
        for x in e[1]:
            if local(x) in ("StartDate", "EndDate"):
                d = first if local(x) == "StartDate" else day(x.text)
                zone = call.zone
                noon = datetime.datetime(d.year, d.month, d.day, 12)
                offset = "Z" if zone is None or zone.name == "UTC" else \
                    noon.replace(tzinfo=zone.tz).isoformat()[-6:]
                x.text = d.isoformat() + offset
        if local(e[0]) == "WeeklyRecurrence" and call.since(2010) and e[0].find("{*}FirstDayOfWeek") is None:
            e[0].append(el("FirstDayOfWeek", "Sunday"))
        return e
