"""Extended properties that are the same thing as an element: kept once, read and written by either name."""

import base64
import html
import re

import goid
from fields import SETS, when, zulu
from soap import boolean, child_text, el, truth

IMPORTANCE = ("Low", "Normal", "High")
SENSITIVITY = ("Normal", "Personal", "Private", "Confidential")
BUSY = ("Free", "Tentative", "Busy", "OOF", "WorkingElsewhere")
STATUS = ("NotStarted", "InProgress", "Completed", "WaitingOnOthers", "Deferred")
RESPONSE = ("Unknown", "Organizer", "Tentative", "Accept", "Decline", "NoResponseReceived")

# key -> (element, how its text is written)
TEXTS = {
    "tag/001a/String": "ItemClass", "tag/0037/String": "Subject",
    "tag/1035/String": "InternetMessageId", "tag/1042/String": "InReplyTo", "tag/1039/String": "References",
    "tag/3a06/String": "GivenName", "tag/3a11/String": "Surname", "tag/3a44/String": "MiddleName",
    "tag/3a05/String": "Generation", "tag/3a4f/String": "Nickname", "tag/3a16/String": "CompanyName",
    "tag/3a18/String": "Department", "tag/3a17/String": "JobTitle", "tag/3a46/String": "Profession",
    "tag/3a19/String": "OfficeLocation", "tag/3a48/String": "SpouseName", "tag/3a4e/String": "Manager",
    "tag/3a30/String": "AssistantName", "tag/3a51/String": "BusinessHomePage", "tag/3a0a/String": "Initials",
    SETS["Address"] + "/#32773/String": "FileAs", SETS["Appointment"] + "/#33288/String": "Location",
}
ENUMS = {
    "tag/0017/Integer": ("Importance", IMPORTANCE), "tag/0036/Integer": ("Sensitivity", SENSITIVITY),
    SETS["Appointment"] + "/#33285/Integer": ("LegacyFreeBusyStatus", BUSY),
    SETS["Task"] + "/#33025/Integer": ("Status", STATUS),
    SETS["Appointment"] + "/#33304/Integer": ("MyResponseType", RESPONSE),
}
BOOLS = {
    "tag/0e69/Boolean": "IsRead", "tag/0029/Boolean": "IsReadReceiptRequested",
    SETS["Common"] + "/#34051/Boolean": "ReminderIsSet", SETS["Appointment"] + "/#33301/Boolean": "IsAllDayEvent",
}
NUMBERS = {
    SETS["Common"] + "/#34049/Integer": "ReminderMinutesBeforeStart",
    SETS["Appointment"] + "/#33303/Integer": "AppointmentState",
}
TIMES = {
    "tag/3a42/SystemTime": "Birthday", "tag/3a41/SystemTime": "WeddingAnniversary",
    SETS["Task"] + "/#33028/SystemTime": "StartDate", SETS["Task"] + "/#33029/SystemTime": "DueDate",
    SETS["Task"] + "/#33039/SystemTime": "CompleteDate",
    SETS["Common"] + "/#34070/SystemTime": "StartDate", SETS["Common"] + "/#34071/SystemTime": "DueDate",
}
ENTRIES = {
    "tag/%s/String" % tag: ("PhoneNumbers", name) for tag, name in (
        ("3a08", "BusinessPhone"), ("3a1b", "BusinessPhone2"), ("3a24", "BusinessFax"), ("3a09", "HomePhone"),
        ("3a2f", "HomePhone2"), ("3a25", "HomeFax"), ("3a1c", "MobilePhone"), ("3a21", "Pager"),
        ("3a1e", "CarPhone"), ("3a1f", "OtherTelephone"), ("3a2e", "AssistantPhone"), ("3a02", "Callback"),
        ("3a57", "CompanyMainPhone"), ("3a2d", "Isdn"), ("3a23", "OtherFax"), ("3a1a", "PrimaryPhone"),
        ("3a1d", "RadioPhone"), ("3a2c", "Telex"), ("3a4b", "TtyTddPhone"))}
ENTRIES.update({SETS["Address"] + "/#%d/String" % n: ("EmailAddresses", "EmailAddress%d" % i)
                for i, n in ((1, 0x8083), (2, 0x8093), (3, 0x80a3))})
ENTRIES[SETS["Address"] + "/#32866/String"] = ("ImAddresses", "ImAddress1")
PLACES = {}
for _where, _tags in (("Home", ("3a5d", "3a59", "3a5c", "3a5a", "3a5b")),
                      ("Other", ("3a63", "3a5f", "3a62", "3a60", "3a61"))):
    for _tag, _part in zip(_tags, ("Street", "City", "State", "CountryOrRegion", "PostalCode")):
        PLACES["tag/%s/String" % _tag] = (_where, _part)
for _id, _part in zip((0x8045, 0x8046, 0x8047, 0x8049, 0x8048),
                      ("Street", "City", "State", "CountryOrRegion", "PostalCode")):
    PLACES[SETS["Address"] + "/#%d/String" % _id] = ("Business", _part)
# Read from the item's state; setting one has no effect (0x0E07, 0x0E06, 0x0039: at creation, see mail.py).
STATE = {
    "tag/0e07/Integer": "flags", "tag/0e06/SystemTime": "DateTimeReceived", "tag/0039/SystemTime": "DateTimeSent",
    "tag/3007/SystemTime": "created", "tag/3008/SystemTime": "modified", "tag/300b/Binary": "search_key",
    "tag/0e08/Integer": "size", "tag/0e23/Integer": "number", "tag/0fff/Binary": "entry",
    "tag/65e0/Binary": "entry", "tag/0e1b/Boolean": "attached", "tag/007d/String": "headers",
    SETS["Appointment"] + "/#33293/SystemTime": "Start", SETS["Appointment"] + "/#33294/SystemTime": "End",
    SETS["Appointment"] + "/#33315/Boolean": "recurring", SETS["Task"] + "/#33062/Boolean": "recurring",
    SETS["PublicStrings"] + "/urn:schemas:calendar:instancetype/Integer": "instance",
    SETS["Meeting"] + "/#3/Binary": "goid", SETS["Meeting"] + "/#35/Binary": "clean",
}
BODY = "tag/1000/String"
FLAG, FLAG_DONE = "tag/1090/Integer", "tag/1091/SystemTime"
KEYWORDS = SETS["PublicStrings"] + "/Keywords/StringArray"
FLAGS = ("NotFlagged", "Complete", "Flagged")


def get(item, k):
    """The values of property k, or None if the item has none."""
    name = TEXTS.get(k) or BOOLS.get(k) or NUMBERS.get(k) or TIMES.get(k)
    if name:
        return [item.text(name)] if name in item.props else item.ext.get(k)
    if k in ENUMS:
        name, names = ENUMS[k]
        return [str(names.index(item.text(name)))] if item.text(name) in names else item.ext.get(k)
    if k in ENTRIES:
        found = entry(item, *ENTRIES[k])
        return [found.text or ""] if found is not None else None
    if k in PLACES:
        found = entry(item, "PhysicalAddresses", PLACES[k][0])
        text = child_text(found, PLACES[k][1])
        return [text] if text is not None else None
    if k == FLAG:
        n = FLAGS.index(child_text(item.props.get("Flag"), "FlagStatus", "NotFlagged"))
        return [str(n)] if n else None
    if k == FLAG_DONE:
        done = child_text(item.props.get("Flag"), "CompleteDate")
        return [done] if done else None
    if k == BODY:
        e = item.props.get("Body")
        return [plain(e.text or "") if e.get("BodyType") == "HTML" else e.text or ""] if e is not None else None
    if k == KEYWORDS:
        return [x.text or "" for x in item.props["Categories"]] if "Categories" in item.props else None
    if k in STATE:
        return _state(item, STATE[k])
    return item.ext.get(k)


def plain(text):
    """An HTML body as text."""
    text = re.sub(r"(?is)<(style|script|head)\b.*?</\1>", "", text)
    text = re.sub(r"(?i)<br[^>]*>|</p>|</div>", "\r\n", text)
    return html.unescape(re.sub(r"<[^>]*>", "", text)).strip("\r\n")


def entry(item, name, index):
    for e in item.props.get(name, ()):
        if e.get("Key") == index:
            return e
    return None


def flags(item):
    n = truth(item.text("IsRead")) | 8 * item.draft | 0x10 * bool(item.attachments) | 0x40 * item.associated
    return n | 2 * (item.created == item.modified) | 0x20 * item.sent


def _state(item, what):
    if what == "flags":
        return [str(flags(item))]
    if what in ("created", "modified"):
        return [zulu(getattr(item, what))]
    if what == "search_key":
        return [base64.b64encode(item.search_key).decode()]
    if what == "size":
        return [str(size(item))]
    if what == "number":
        return [str(item.number)]
    if what == "entry":
        return [base64.b64encode(item.number.to_bytes(20, "big")).decode()]
    if what == "attached":
        return [boolean(item.attachments)]
    if what in ("recurring", "instance"):
        if item.kind not in ("CalendarItem", "Task"):
            return None
        series = "Recurrence" in item.props
        return [boolean(series) if what == "recurring" else str(int(series))]
    if what in ("goid", "clean"):
        if "UID" not in item.props:
            return None
        return [goid.text(item.text("UID"), getattr(item, "day", None) if what == "goid" else None)]
    if what == "headers":
        return ["".join("%s: %s\r\n" % h for h in item.headers)] if item.headers else None
    return [item.text(what)] if what in item.props else None


def size(item):
    return (len(item.mime) if item.mime else 700 + sum(len(x.text or "") for x in item.props.values())) + \
        sum(a.size for a in item.attachments if not item.mime)


def put(item, k, stored):
    """Sets property k; what is an element as well is set as such."""
    name = TEXTS.get(k) or BOOLS.get(k) or NUMBERS.get(k)
    if name:
        item.props[name] = el(name, stored[0])
    elif k in TIMES:
        item.props[TIMES[k]] = el(TIMES[k], zulu(when(stored[0])))
    elif k in ENUMS:
        name, names = ENUMS[k]
        if 0 <= int(stored[0]) < len(names):
            item.props[name] = el(name, names[int(stored[0])])
    elif k in ENTRIES:
        set_entry(item, *ENTRIES[k], stored[0])
    elif k in PLACES:
        set_place(item, *PLACES[k], stored[0])
    elif k == FLAG:
        n = int(stored[0])
        if n in (0, 1, 2):
            item.props["Flag"] = el("Flag", None, el("FlagStatus", FLAGS[n]))
    elif k == FLAG_DONE:
        item.props["Flag"] = el("Flag", None, el("FlagStatus", "Complete"), el("CompleteDate", stored[0]))
    elif k == BODY:
        item.props["Body"] = el("Body", stored[0], BodyType="Text")
    elif k == KEYWORDS:
        item.props["Categories"] = el("Categories", None, *[el("String", v) for v in stored])
    elif STATE.get(k) in ("goid", "clean"):
        if item.number is None and goid.uid(stored[0]):
            item.props["UID"] = el("UID", goid.uid(stored[0]))
    elif k not in STATE:
        item.ext[k] = list(stored)


def drop(item, k):
    name = TEXTS.get(k) or BOOLS.get(k) or NUMBERS.get(k) or TIMES.get(k) or ENUMS.get(k, (None,))[0]
    if name:
        item.props.pop(name, None)
    elif k in ENTRIES:
        set_entry(item, *ENTRIES[k], None)
    elif k in PLACES:
        set_place(item, *PLACES[k], None)
    elif k in (FLAG, FLAG_DONE):
        item.props.pop("Flag", None)
    elif k in (KEYWORDS, BODY):
        item.props.pop("Categories" if k == KEYWORDS else "Body", None)
    item.ext.pop(k, None)


def set_entry(item, name, index, text):
    """One entry of an indexed element; None removes it."""
    e = item.props.get(name)
    if e is None:
        e = item.props[name] = el(name)
    for old in [x for x in e if x.get("Key") == index]:
        e.remove(old)
    if text:
        e.append(el("Entry", text, Key=index))
    e[:] = sorted(e, key=lambda x: x.get("Key"))
    if not len(e):
        del item.props[name]


PARTS = ("Street", "City", "State", "CountryOrRegion", "PostalCode")


def set_place(item, where, part, text):
    e = item.props.get("PhysicalAddresses")
    if e is None:
        e = item.props["PhysicalAddresses"] = el("PhysicalAddresses")
    place = entry(item, "PhysicalAddresses", where)
    have = {p: child_text(place, p) for p in PARTS}
    have[part] = text
    if place is not None:
        e.remove(place)
    kept = [el(p, have[p]) for p in PARTS if have[p]]
    if kept:
        e.append(el("Entry", None, *kept, Key=where))
    e[:] = sorted(e, key=lambda x: ("Business", "Home", "Other").index(x.get("Key")))
    if not len(e):
        del item.props["PhysicalAddresses"]
