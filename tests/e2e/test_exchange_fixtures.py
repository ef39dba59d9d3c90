"""Every fixture of calendars and cards through Exchange and back: the same by our own comparison, or an exception that
is listed, with its reason, here and in doc/exchange.md."""

import os
import re

import pytest

import records
from test_exchange import build, exchange  # noqa: F401 (fixtures)
from test_exchange_records import Pair

pytestmark = pytest.mark.product

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FIXTURES = os.path.join(TOP, "tests", "fixtures")
PLACES = {"VEVENT": ("events", "Calendar"), "VTODO": ("tasks", "Tasks"), "VCARD": ("contacts", "Contacts")}
NOT_CARRIED = {"freebusy.ics", "journal.ics"}            # no items of any kind that is carried
# What Exchange does not hold all of: places and participants as components of their own lose their UIDs, a card of
# version 4 its LANG. No deletion comes of it (the second pass does nothing).
NOT_HELD = {"rfc9073@fixtures.example", "alarms@fixtures.example", "urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1"}
# What is refused: its reason, which is a row of the table in the document, and the fixtures that meet it.
EXCEPTIONS = {
    "Exchange has no recurrence like": {"all_day.ics"} | {"rule_%02d.ics" % n for n in (4, 6, *range(8, 31))},
    "Exchange has no series with dates of their own (RDATE, EXRULE)": {"exdates.ics", "period.ics"},
    "Exchange has no events at a time of no known zone": {"orphan_exception.ics", "private_zone.ics"},
    "Exchange has no groups with a member": {"group_apple.vcf"},
}


def fixtures():
    for kind in ("ics", "vcf"):
        for name in sorted(os.listdir(os.path.join(FIXTURES, kind))):
            with open(os.path.join(FIXTURES, kind, name), "rb") as f:
                yield name, f.read()


def test_there_and_back(build):  # noqa: F811
    p = Pair(build("local", kinds="events contacts tasks"))
    p.once()
    carried = set()
    for name, data in fixtures():
        if name in NOT_CARRIED:
            continue
        kind, folder = PLACES[re.search(rb"BEGIN:(VEVENT|VTODO|VCARD)", data, re.I).group(1).decode().upper()]
        with open(os.path.join(p.vdir.path, records.ROOTS[kind][0], folder, name), "wb") as f:
            f.write(data)
        carried.add(name)
    p.once()
    refused = {r["id"]: r["reason"] for r in p.pair.config.ctl("quarantine", "p", "--json").json()["items"]}
    assert set(refused) == set().union(*EXCEPTIONS.values()), refused
    for reason, names in EXCEPTIONS.items():
        for name in names:
            assert refused[name].startswith(reason), (name, refused[name])
    r = p.pair.config.ctl("verify", "p", "--json")
    told = {what: [d for f in r.json()["folders"] for d in f[what]] for what in ("differences", "notHeld", "excepted")}
    assert r.rc == 0 and not told["differences"], told
    assert {d["item"] for d in told["notHeld"]} == NOT_HELD, told["notHeld"]
    assert len(told["excepted"]) == len(refused) < len(carried)
    p.idle()


def test_the_document_lists_what_is_refused():
    with open(os.path.join(TOP, "doc", "exchange.md"), encoding="utf-8") as f:
        text = f.read()
    for reason in EXCEPTIONS:
        assert "| " + reason in text, reason
