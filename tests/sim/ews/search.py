"""FindItem: restrictions, sorting, pages, calendar views."""

import batch
import fields
import folders
import mapi
import occurrences
import order
from fields import UTC, when
from shape import Shape, prop, render
from soap import EwsError, boolean, el, local, mel, response

MOST = 1000            # EWSFindCountLimit


def value(call, thing, path, as_folder):
    """What a restriction or a sort order compares: a string, or None."""
    if as_folder:
        if path.kind == "extended":
            have = folders.extended(thing, path.key)
            return have[0] if have else None
        e = folders.prop(thing, path.name)
    elif path.kind == "extended":
        have = mapi.get(thing, path.key)
        return have[0] if have else None
    else:
        e = prop(call, thing, path.name) if fields.fits(path, thing.kind) else None
    if e is None:
        return None
    if path.kind == "indexed":
        for x in e:
            if (x.get("Key") or x.get("HeaderName") or "").lower() == path.index[0].lower():
                if path.index[1]:
                    return x.findtext("{*}" + path.index[1])
                return x.text or ""
        return None
    if len(e):
        return " ".join(x for x in e.itertext() if x.strip())
    return e.get("Id") if e.text is None and e.get("Id") else (e.text or "")


def _order(text, path):
    """A key that sorts values of one property as their type does."""
    if text is None:
        return (0, "")
    kind = path.key.rsplit("/", 1)[1] if path.kind == "extended" else None
    if path.name in order.TIMES or kind == "SystemTime":
        m = when(text)
        return (1, (m if m.tzinfo else m.replace(tzinfo=UTC)).timestamp())
    if text.lower() in ("true", "false"):
        return (1, float(text.lower() == "true"))
    try:
        return (1, float(text))
    except ValueError:
        return (2, text.lower())


def _contains(text, want, mode, loose):
    if text is None:
        return False
    if loose:
        text, want = text.lower(), want.lower()
    return {"FullString": text == want, "Prefixed": text.startswith(want),
            "Substring": want in text, "PrefixOnWords": any(w.startswith(want) for w in text.split()),
            "ExactPhrase": want in text}[mode]


def restriction(call, e, folders=False):
    """A function that says whether an item (or a folder) passes."""
    if e is None:
        return lambda thing: True
    return _expression(call, e[0], folders)


def _expression(call, e, as_folder):
    what = local(e)
    if what in ("And", "Or"):
        parts = [_expression(call, x, as_folder) for x in e]
        return (lambda i: all(p(i) for p in parts)) if what == "And" else (lambda i: any(p(i) for p in parts))
    if what == "Not":
        inner = _expression(call, e[0], as_folder)
        return lambda i: not inner(i)
    path = fields.parse(e[0])
    if not as_folder and path.kind == "field" and path.name in order.NOT_FOUND - {
            "Body", "ToRecipients", "CcRecipients", "BccRecipients", "RequiredAttendees", "OptionalAttendees"}:
        raise EwsError("ErrorUnsupportedPathForQuery", path=path.element)
    if not as_folder and path.name in ("UID", "ReminderDueBy", "Culture"):
        raise EwsError("ErrorUnsupportedPathForQuery", path=path.element)
    if what == "Exists":
        return lambda i: value(call, i, path, as_folder) is not None
    if what == "Excludes":
        mask = int(e[1].get("Value"), 0)
        return lambda i: not int(value(call, i, path, as_folder) or 0) & mask
    if what == "Contains":
        want = e[1].get("Value")
        mode, loose = e.get("ContainmentMode", "FullString"), "IgnoreCase" in e.get("ContainmentComparison", "")
        if path.name == "Categories":
            return lambda i: any(_contains(x.text, want, mode, True) for x in i.props.get("Categories", ()))
        return lambda i: _contains(value(call, i, path, as_folder), want, mode, loose)
    return _comparison(call, what, e, path, as_folder)


def _comparison(call, what, e, path, as_folder):
    right = e[1][0]
    other = fields.parse(right) if local(right) != "Constant" else None

    def test(i):
        have = value(call, i, path, as_folder)
        want = value(call, i, other, as_folder) if other else right.get("Value")
        if have is None and what != "IsNotEqualTo":
            return False
        if path.kind == "extended" and path.key.endswith("/Binary"):
            a, b = have, want
        else:
            a, b = _order(have, path), _order(want, path)
        return {"IsEqualTo": a == b, "IsNotEqualTo": a != b, "IsLessThan": a < b, "IsLessThanOrEqualTo": a <= b,
                "IsGreaterThan": a > b, "IsGreaterThanOrEqualTo": a >= b}[what]
    return test


def page(found, view):
    """(attributes of the answer, the part of `found` that the view wants)."""
    total = len(found)
    if view is None:
        return {"TotalItemsInView": total, "IncludesLastItemInRange": boolean(total <= MOST)}, found[:MOST]
    most = min(int(view.get("MaxEntriesReturned") or MOST), MOST)
    if local(view).startswith("Fractional"):
        start = total * int(view.get("Numerator")) // int(view.get("Denominator"))
        part = found[start:start + most]
        return {"NumeratorOffset": start + len(part), "AbsoluteDenominator": total, "TotalItemsInView": total,
                "IncludesLastItemInRange": boolean(start + most >= total)}, part
    offset = int(view.get("Offset"))
    if view.get("BasePoint") == "End":
        stop = total - offset
        part = found[max(stop - most, 0):max(stop, 0)]
        last = stop - most <= 0
    else:
        part, last = found[offset:offset + most], offset + most >= total
    return {"IndexedPagingOffset": offset + len(part), "TotalItemsInView": total,
            "IncludesLastItemInRange": boolean(last)}, part


def find_item(call):
    r = call.request
    if r.find("{*}GroupBy") is not None or r.find("{*}DistinguishedGroupBy") is not None:
        raise EwsError("ErrorInvalidRequest", "Grouping is not done here.")

    def one(e):
        shape = Shape(call, r.find("{*}ItemShape"), find=True)
        folder = call.folder(e)
        view = r.find("{*}CalendarView")
        if view is not None:
            return [_calendar(call, folder, view, shape)]
        hidden = r.get("Traversal") == "Associated"
        if r.get("Traversal") == "SoftDeleted":
            pool = []
        else:
            pool = [i for i in folder.items.values() if i.associated == hidden]
        test = restriction(call, r.find("{*}Restriction"))
        found = [i for i in pool if test(i)]
        _sort(call, found, r.find("{*}SortOrder"))
        if r.find("{*}QueryString") is not None:
            words = (r.findtext("{*}QueryString") or "").lower()
            found = [i for i in found if words in (i.text("Subject") or "").lower()]
        view = r.find("{*}IndexedPageItemView")
        attributes, part = page(found, view if view is not None else r.find("{*}FractionalPageItemView"))
        return [mel("RootFolder", None, el("Items", None, *[render(call, i, shape) for i in part]), **attributes)]
    return response("FindItem", batch.run(call, "FindItem", r.find("{*}ParentFolderIds"), one))


def _sort(call, found, e):
    if e is None:
        found.sort(key=lambda i: (i.text("DateTimeReceived") or "", i.number), reverse=True)
        return
    for field in reversed(list(e)):
        path = fields.parse(field[0])
        found.sort(key=lambda i: _order(value(call, i, path, False), path),
                   reverse=field.get("Order") == "Descending")


def _calendar(call, folder, view, shape):
    if folder.kind != "CalendarFolder":
        raise EwsError("ErrorCalendarFolderIsInvalidForCalendarView", "The folder is no calendar.")
    start, end = (_moment(call, view.get(n)) for n in ("StartDate", "EndDate"))
    if end <= start:
        raise EwsError("ErrorCalendarEndDateIsEarlierThanStartDate", "EndDate is earlier than StartDate.")
    if (end - start).days > 730:
        raise EwsError("ErrorCalendarViewRangeTooBig", "The range of a view is two years at most.")
    found = []
    for item in folder.items.values():
        if item.kind == "CalendarItem":
            found += occurrences.between(item, start, end)
    found.sort(key=lambda i: (i.text("Start"), i.number))
    most = int(view.get("MaxEntriesReturned") or len(found) or 1)
    return mel("RootFolder", None, el("Items", None, *[render(call, i, shape) for i in found[:most]]),
               TotalItemsInView=len(found[:most]), IncludesLastItemInRange=boolean(len(found) <= most))


def _moment(call, text):
    m = when(text)
    return m if m.tzinfo else call.zone.utc(m) if call.zone else m.replace(tzinfo=UTC)
