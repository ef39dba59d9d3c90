"""How items look in answers: which properties a shape asks for, and their values, in the schema's order."""

import base64

import mail
import mapi
import order
import fields
from fields import when, zulu
from soap import EwsError, child_text, copy, el, local, truth

# kind -> {element name -> function(call, item) that gives the element or None}; filled by the kinds' files.
VIEWS = {}


class Shape:
    """What an ItemShape asks for."""

    def __init__(self, call, e, find=False):
        self.call, self.find = call, find
        self.base = child_text(e, "BaseShape", "IdOnly")
        self.mime = truth(child_text(e, "IncludeMimeContent", "false"))
        self.body = child_text(e, "BodyType", "Best")
        more = e.find("{*}AdditionalProperties") if e is not None else None
        self.paths = [fields.parse(x) for x in more] if more is not None else []
        if find and self.mime:
            raise EwsError("ErrorInvalidPropertyForOperation", "Property is not valid for this operation.")
        for p in self.paths:
            fields.check_version(p, call)
            if p.prefix == "folder" and p.name != "ParentFolderId":
                raise EwsError("ErrorInvalidPropertyRequest", path=p.element)
            if find and p.kind == "field" and p.name in order.NOT_FOUND:
                raise EwsError("ErrorInvalidPropertyForOperation", path=p.element)

    def names(self, kind):
        names = {"ItemId"}
        if self.base == "AllProperties":
            names |= set(order.KINDS[kind]) - {"MimeContent", "UniqueBody", "NormalizedBody", "TextBody",
                                               "InternetMessageHeaders" if self.find else ""}
            if not self.call.since(2013):
                names -= order.SINCE_2013
        elif self.base == "Default":
            names |= set(order.DEFAULTS.get(kind) or order.DEFAULTS["Message" if kind in order.MAILS else "Item"])
        names |= {p.name for p in self.paths if p.kind == "field" and fields.fits(p, kind)}
        if self.find:
            names -= order.NOT_FOUND
        if self.mime:
            names.add("MimeContent")
        return names


def render(call, item, shape):
    """The item's element."""
    e = el(item.kind)
    wanted = shape.names(item.kind)
    view = VIEWS.get(item.kind, {})
    indexed = {}
    for p in shape.paths:
        if p.kind == "indexed" and fields.fits(p, item.kind) and p.name not in wanted:
            indexed.setdefault(p.name, []).append(p.index)
    for name in order.KINDS[item.kind]:
        if name == "ExtendedProperty":
            for p in shape.paths:
                stored = mapi.get(item, p.key) if p.kind == "extended" else None
                if stored:
                    e.append(fields.extended(p.element, stored))
        elif name in wanted:
            x = prop(call, item, name, shape, view)
            if x is not None:
                e.append(x)
        elif name in indexed:
            x = _entries(prop(call, item, name, shape, view), indexed[name])
            if x is not None:
                e.append(x)
    return e


def _entries(e, wanted):
    """Only the entries that were asked for."""
    if e is None:
        return None
    out = el(local(e))
    for x in e:
        label = (x.get("Key") or x.get("HeaderName") or "").lower()
        parts = [part for index, part in wanted if index.lower() == label]
        if parts:
            x = copy(x)
            if None not in parts:
                x[:] = [c for c in x if local(c) in parts]
            out.append(x)
    return out if len(out) else None


def prop(call, item, name, shape=None, view=None):
    """The element of one property, or None."""
    if view is None:
        view = VIEWS.get(item.kind, {})
    if name in ("Body", "TextBody"):
        return mail.body(item, "Text" if name == "TextBody" else shape.body if shape else "Best", name)
    if name in view:
        return view[name](call, item)
    if item.kind in order.MAILS and name in MAIL:
        return MAIL[name](call, item)
    if name in BASE:
        return BASE[name](call, item)
    return stored(call, item, name)


def stored(call, item, name):
    e = item.props.get(name)
    if e is None:
        return None
    if name in order.TIMES:
        return el(name, call.time(when(e.text)))
    return copy(e)


def or_else(name, default):
    def get(call, item):
        return copy(item.props[name]) if name in item.props else el(name, default)
    return get


def fixed(name, value):
    return lambda call, item: el(name, value)


def _flag(call, item):
    e = item.props.get("Flag")
    if e is None:
        return el("Flag", None, el("FlagStatus", "NotFlagged"))
    out = copy(e)
    for x in out:
        if local(x) != "FlagStatus":
            x.text = call.time(when(x.text))
    return out


def _display(tag, source):
    def get(call, item):
        e = item.props.get(source)
        if e is None:
            return el(tag, "")
        return el(tag, "; ".join(child_text(b, "Name") or child_text(b, "EmailAddress") or "" for b in e))
    return get


def _mime(call, item):
    if item.kind not in order.MAILS:
        # Left out, as exchangelib counts on.
        return None
    return el("MimeContent", base64.b64encode(mail.generate(call, item)).decode(), CharacterSet="UTF-8")


def rights():
    return el("EffectiveRights", None, *[el(n, n != "CreateAssociated" and n != "CreateHierarchy" and
                                            n != "CreateContents")
                                         for n in ("CreateAssociated", "CreateContents", "CreateHierarchy", "Delete",
                                                   "Modify", "Read", "ViewPrivateItems")])


def attachment(call, item, a, content=False, body="Best"):
    """A t:FileAttachment or t:ItemAttachment."""
    e = el("FileAttachment" if a.item is None else "ItemAttachment", None,
           el("AttachmentId", None, Id=item.box.attachment_id(a)), el("Name", a.name),
           el("ContentType", a.content_type) if a.content_type else None,
           el("ContentId", a.content_id) if a.content_id else None,
           el("ContentLocation", a.location) if a.location else None,
           el("Size", a.size), el("LastModifiedTime", zulu(a.modified)), el("IsInline", a.inline))
    if a.item is None:
        e.append(el("IsContactPhoto", a.photo))
        if content:
            e.append(el("Content", base64.b64encode(a.content).decode()))
    elif content:
        all_of = Shape(call, el("ItemShape", None, el("BaseShape", "AllProperties"), el("BodyType", body)))
        a.item.box, a.item.number, a.item.folder = item.box, item.number, item.folder
        inner = render(call, a.item, all_of)
        for x in [x for x in inner if local(x) in ("ItemId", "ParentFolderId")]:
            inner.remove(x)
        e.append(inner)
    return e


def _attachments(call, item):
    if not item.attachments:
        return None
    return el("Attachments", None, *[attachment(call, item, a) for a in item.attachments])


BASE = {
    "MimeContent": _mime,
    "ItemId": lambda c, i: el("ItemId", None, Id=i.id, ChangeKey=i.key),
    "ParentFolderId": lambda c, i: el("ParentFolderId", None, Id=i.folder.id, ChangeKey=i.folder.key),
    "Sensitivity": or_else("Sensitivity", "Normal"), "Importance": or_else("Importance", "Normal"),
    "Attachments": _attachments,
    "DateTimeReceived": lambda c, i: stored(c, i, "DateTimeReceived") if "DateTimeReceived" in i.props
    else el("DateTimeReceived", c.time(i.created)),
    "DateTimeSent": lambda c, i: stored(c, i, "DateTimeSent") if "DateTimeSent" in i.props
    else el("DateTimeSent", c.time(i.created)),
    "DateTimeCreated": lambda c, i: el("DateTimeCreated", c.time(i.created)),
    "LastModifiedTime": lambda c, i: el("LastModifiedTime", c.time(i.modified)),
    "LastModifiedName": lambda c, i: el("LastModifiedName", i.box.name),
    "Size": lambda c, i: el("Size", mapi.size(i)),
    "IsSubmitted": fixed("IsSubmitted", False), "IsResend": fixed("IsResend", False),
    "IsDraft": lambda c, i: el("IsDraft", i.draft),
    "IsFromMe": lambda c, i: el("IsFromMe", i.sent),
    "IsUnmodified": lambda c, i: el("IsUnmodified", i.created == i.modified),
    "InternetMessageHeaders": lambda c, i: mail.headers(i),
    "ReminderIsSet": or_else("ReminderIsSet", False),
    "ReminderMinutesBeforeStart": or_else("ReminderMinutesBeforeStart", 0),
    "DisplayTo": _display("DisplayTo", "ToRecipients"), "DisplayCc": _display("DisplayCc", "CcRecipients"),
    "HasAttachments": lambda c, i: el("HasAttachments", any(not a.inline for a in i.attachments)),
    "Culture": or_else("Culture", "en-US"), "EffectiveRights": lambda c, i: rights(),
    "IsAssociated": lambda c, i: el("IsAssociated", i.associated),
    "Flag": _flag,
    "ItemClass": or_else("ItemClass", "IPM.Note"),
}
MAIL = {
    "IsRead": or_else("IsRead", False),
    "IsReadReceiptRequested": or_else("IsReadReceiptRequested", False),
    "IsDeliveryReceiptRequested": or_else("IsDeliveryReceiptRequested", False),
    "IsResponseRequested": or_else("IsResponseRequested", False),
    "ConversationTopic": lambda c, i: el("ConversationTopic", i.text("Subject")) if i.text("Subject") else None,
}
