"""The recurrence engine against dateutil-free expectations, and against dates worked out by hand."""

import datetime
import itertools
import xml.etree.ElementTree as ET

import pytest

import recur
from soap import T, EwsError


def days(pattern, count=6, start="2026-01-31", range_=None):
    range_ = range_ or "<t:NoEndRecurrence><t:StartDate>%s</t:StartDate></t:NoEndRecurrence>" % start
    e = ET.fromstring('<t:Recurrence xmlns:t="%s">%s%s</t:Recurrence>' % (T, pattern, range_))
    return [d.isoformat() for d in itertools.islice(recur.Rule(e).days(), count)]


def p(kind, **children):
    return "<t:%s>%s</t:%s>" % (kind, "".join("<t:%s>%s</t:%s>" % (k, v, k) for k, v in children.items()), kind)


def test_daily():
    assert days(p("DailyRecurrence", Interval=3), 3) == ["2026-01-31", "2026-02-03", "2026-02-06"]


def test_weekly_and_first_day():
    # 2026-01-31 is a Saturday.
    one = p("WeeklyRecurrence", Interval=2, DaysOfWeek="Sunday Saturday", FirstDayOfWeek="Sunday")
    other = p("WeeklyRecurrence", Interval=2, DaysOfWeek="Sunday Saturday", FirstDayOfWeek="Monday")
    assert days(one, 4) == ["2026-01-31", "2026-02-08", "2026-02-14", "2026-02-22"]
    assert days(other, 4) == ["2026-01-31", "2026-02-01", "2026-02-14", "2026-02-15"]


def test_monthly_takes_the_last_day():
    assert days(p("AbsoluteMonthlyRecurrence", Interval=1, DayOfMonth=31), 4) == [
        "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]


@pytest.mark.parametrize("day, index, want", [
    ("Tuesday", "Second", ["2026-01-13", "2026-02-10"]), ("Weekday", "Last", ["2026-01-30", "2026-02-27"]),
    ("WeekendDay", "First", ["2026-01-03", "2026-02-01"]), ("Day", "Last", ["2026-01-31", "2026-02-28"]),
    ("Day", "Third", ["2026-01-03", "2026-02-03"]), ("Friday", "Fourth", ["2026-01-23", "2026-02-27"])])
def test_relative_monthly(day, index, want):
    rule = p("RelativeMonthlyRecurrence", Interval=1, DaysOfWeek=day, DayOfWeekIndex=index)
    assert days(rule, 2, "2026-01-01") == want


def test_yearly():
    assert days(p("AbsoluteYearlyRecurrence", DayOfMonth=29, Month="February"), 3, "2026-01-01") == [
        "2026-02-28", "2027-02-28", "2028-02-29"]
    assert days(p("RelativeYearlyRecurrence", DaysOfWeek="Thursday", DayOfWeekIndex="Fourth", Month="November"), 2,
                "2026-01-01") == ["2026-11-26", "2027-11-25"]


def test_ranges():
    daily = p("DailyRecurrence", Interval=1)
    assert days(daily, 9, range_=p("NumberedRecurrence", StartDate="2026-01-31", NumberOfOccurrences=2)) == [
        "2026-01-31", "2026-02-01"]
    assert days(daily, 9, range_=p("EndDateRecurrence", StartDate="2026-01-31+01:00", EndDate="2026-02-02Z")) == [
        "2026-01-31", "2026-02-01", "2026-02-02"]


def test_regenerations():
    assert days(p("MonthlyRegeneration", Interval=1), 2) == ["2026-01-31", "2026-02-28"]
    assert days(p("YearlyRegeneration", Interval=1), 2) == ["2026-01-31", "2027-01-31"]
    assert days(p("WeeklyRegeneration", Interval=2), 2) == ["2026-01-31", "2026-02-14"]


def test_weekly_against_counting_days():
    """Each day of a year that has the right weekday in the right week is there, and no other."""
    start = datetime.date(2026, 1, 7)
    rule = p("WeeklyRecurrence", Interval=3, DaysOfWeek="Monday Wednesday Sunday", FirstDayOfWeek="Monday")
    monday = start - datetime.timedelta(days=start.weekday())
    want = [d.isoformat() for d in (start + datetime.timedelta(days=n) for n in range(365))
            if d.weekday() in (0, 2, 6) and (d - monday).days // 7 % 3 == 0]
    assert days(rule, len(want), start.isoformat()) == want


@pytest.mark.parametrize("pattern", [
    p("DailyRecurrence", Interval=0), p("WeeklyRecurrence", Interval=100, DaysOfWeek="Monday"),
    p("AbsoluteMonthlyRecurrence", Interval=1, DayOfMonth=32),
    p("AbsoluteYearlyRecurrence", DayOfMonth=31, Month="April"),
    p("RelativeMonthlyRecurrence", Interval=1, DaysOfWeek="Monday Tuesday", DayOfWeekIndex="First")])
def test_refusals(pattern):
    with pytest.raises(EwsError):
        days(pattern)
