"""Contacts and distribution lists: indexed entries, names, photos, members."""

import base64

import shape
from soap import EwsError, child_text, copy, el

INDEXED = ("EmailAddresses", "PhoneNumbers", "ImAddresses", "PhysicalAddresses")
MAPPINGS = {
    "LastCommaFirst": "{Surname}, {GivenName}", "FirstSpaceLast": "{GivenName} {Surname}",
    "Company": "{CompanyName}", "LastCommaFirstCompany": "{Surname}, {GivenName} ({CompanyName})",
    "DisplayName": "{DisplayName}", "FirstName": "{GivenName}",
}


def settle(call, item, name, e):
    if e is None:
        return False
    if name == "Members":
        if not call.since(2010):
            raise EwsError("ErrorInvalidPropertySet")
        members = [_member(call, m) for m in e]
        item.props.pop(name, None)
        if members:
            item.props[name] = el(name, None, *members)
        return True
    if name in INDEXED:
        found = {}
        for x in e:
            if x.get("Key") in found:
                raise EwsError("ErrorInvalidContactEmailIndex", "The same key is used twice.")
            if len(x) or (x.text or "").strip():
                found[x.get("Key")] = _entry(name, x)
            else:
                found[x.get("Key")] = None
        # As in a store of properties, what is not named stays.
        for x in item.props.get(name, ()):
            found.setdefault(x.get("Key"), copy(x))
        kept = [found[k] for k in sorted(found) if found[k] is not None]
        item.props.pop(name, None)
        if kept:
            item.props[name] = el(name, None, *kept)
        return True
    return False


def _entry(name, x):
    if name == "EmailAddresses":
        return el("Entry", x.text.strip(), Key=x.get("Key"), Name=x.get("Name"),
                  RoutingType=x.get("RoutingType") or "SMTP")
    if name == "PhysicalAddresses":
        parts = [copy(p) for p in x if (p.text or "").strip()]
        return el("Entry", None, *parts, Key=x.get("Key")) if parts else None
    return el("Entry", x.text, Key=x.get("Key"))


def _member(call, m):
    box = m.find("{*}Mailbox")
    address = child_text(box, "EmailAddress")
    if box.find("{*}ItemId") is not None:
        return _item_member(call, m, box)
    if not address or child_text(box, "MailboxType") in ("Contact", "PrivateDL"):
        raise EwsError("ErrorInvalidPropertySet", "A member needs an address, or is an item.")
    kept = copy(box)
    if kept.find("{*}RoutingType") is None and address:
        kept[:] = [el("Name", child_text(box, "Name") or address), el("EmailAddress", address),
                   el("RoutingType", "SMTP"), el("MailboxType", child_text(box, "MailboxType") or "OneOff")]
    key = base64.b64encode(("SMTP:" + (address or "")).encode()).decode()
    return el("Member", None, kept, el("Status", "Normal"), Key=m.get("Key") or key)


def _item_member(call, m, box):
    """A contact or a list of this mailbox; a contact by one of its addresses, the first one if none is told."""
    ref = box.find("{*}ItemId").get("Id")
    item, kind = call.box_of(ref).item(ref), child_text(box, "MailboxType")
    if {"Contact": "Contact", "DistributionList": "PrivateDL"}.get(item.kind) != kind:
        raise EwsError("ErrorInvalidPropertySet", "A member is not of that type.")
    address, known = child_text(box, "EmailAddress"), [x.text for x in item.props.get("EmailAddresses", ())]
    if kind == "Contact":
        address = address or (known[0] if known else None)
        if address not in known:
            raise EwsError("ErrorInvalidPropertySet", "The contact has no such address.")
    kept = el("Mailbox", None, el("Name", item.text("DisplayName") or address),
              el("EmailAddress", address) if address else None, el("RoutingType", "SMTP" if address else "MAPIPDL"),
              el("MailboxType", kind), el("ItemId", None, Id=item.id, ChangeKey=item.key))
    return el("Member", None, kept, el("Status", "Normal"), Key=base64.b64encode(b"ITEM:" + item.id.encode()).decode())


def create(call, item, source):
    updated(call, item, ("FileAsMapping",))


def updated(call, item, names):
    photos = [a for a in item.attachments if a.photo]
    for old in photos[:-1]:
        item.attachments.remove(old)
    mapping = item.text("FileAsMapping")
    if mapping in MAPPINGS and {"FileAsMapping", "GivenName", "Surname", "CompanyName", "DisplayName"} & set(names):
        texts = {n: item.text(n) or "" for n in ("GivenName", "Surname", "CompanyName", "DisplayName")}
        item.props["FileAs"] = el("FileAs", MAPPINGS[mapping].format(**texts).strip(" ,"))
    for name in [n for n, e in item.props.items() if n in EMPTY and not (e.text or "") and not len(e)]:
        del item.props[name]


EMPTY = ("FileAs DisplayName GivenName Initials MiddleName Nickname CompanyName AssistantName BusinessHomePage "
         "Department Generation JobTitle Manager Mileage OfficeLocation Profession SpouseName Surname").split()


def _complete(call, item):
    parts = [("Title", item.ext.get("tag/3a45/String", [None])[0]), ("FirstName", item.text("GivenName")),
             ("MiddleName", item.text("MiddleName")), ("LastName", item.text("Surname")),
             ("Suffix", item.text("Generation")), ("Initials", item.text("Initials")),
             ("FullName", item.text("DisplayName")), ("Nickname", item.text("Nickname"))]
    kept = [el(n, v) for n, v in parts if v]
    return el("CompleteName", None, *kept) if kept else None


shape.VIEWS["Contact"] = {
    "CompleteName": _complete,
    "HasPicture": lambda c, i: el("HasPicture", any(a.photo for a in i.attachments)) if c.since(2010) else None,
    "ContactSource": shape.fixed("ContactSource", "Store"),
}
shape.VIEWS["DistributionList"] = {"ContactSource": shape.fixed("ContactSource", "Store")}
