"""Messages: what a MIME text becomes, drafts, dates, receipts, and the MIME that is given back."""

import base64
import binascii
import email.policy
import email.utils
import html
from email.message import EmailMessage

import mapi
import mime
from fields import key, values, when, zulu
from order import MAILS
from soap import EwsError, child_text, el, truth
from store import Attachment, Item, now

RECEIPT = "tag/0029/Boolean"
SENT_FIXED = ("MimeContent", "Sender", "From", "ToRecipients", "CcRecipients", "BccRecipients", "ReplyTo",
              "InternetMessageId", "IsReadReceiptRequested", "IsDeliveryReceiptRequested")
# Changes of these show in the MIME text, which is made anew then.
IN_MIME = set(SENT_FIXED) | {"Subject", "Body", "InReplyTo", "References", "tag/0037/String", "tag/1000/String"}
BUILT = {"from", "sender", "to", "cc", "bcc", "reply-to", "subject", "message-id", "in-reply-to", "references", "date",
         "mime-version", "content-type", "content-transfer-encoding", "content-disposition"}
# What GetItem says where it cannot make the MIME text.
UNMAKEABLE = ("ErrorMimeContentConversionFailed", "ErrorContentConversionFailed", "ErrorMimeContentInvalid",
              "ErrorUnsupportedMimeConversion")


def mime_bytes(e):
    """The bytes of a t:MimeContent."""
    try:
        return base64.b64decode("".join((e.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise EwsError("ErrorMimeContentInvalidBase64String")


def mailbox(name, address):
    return el("Mailbox", None, el("Name", name or address), el("EmailAddress", address) if address else None,
              el("RoutingType", "SMTP"))


def _people(tag, found):
    return el(tag, None, *[mailbox(n, a) for n, a in found]) if found else None


def take_mime(call, item, data):
    """Everything that the conversion reads out of a mail."""
    message = mime.read(data)
    item.mime, item.headers = data, mime.raw_headers(data)
    head = mime.Head(item.headers)
    p = item.props
    p["ItemClass"] = el("ItemClass", mime.item_class(message))
    if head["Subject"] is not None:
        p["Subject"] = el("Subject", mime.decode(head["Subject"]).strip())
    sender = mime.addresses(head, "From")
    if sender:
        p["From"] = el("From", None, mailbox(*sender[0]))
        p["Sender"] = el("Sender", None, mailbox(*(mime.addresses(head, "Sender") or sender)[0]))
    for tag, header in (("ToRecipients", "To"), ("CcRecipients", "Cc"), ("BccRecipients", "Bcc"),
                        ("ReplyTo", "Reply-To")):
        e = _people(tag, mime.addresses(head, header))
        if e is not None:
            p[tag] = e
    for tag, header in (("InternetMessageId", "Message-ID"), ("InReplyTo", "In-Reply-To"),
                        ("References", "References")):
        if head[header]:
            p[tag] = el(tag, " ".join(head[header].split()))
    sent = mime.date(head)
    if sent:
        p["DateTimeSent"] = el("DateTimeSent", zulu(sent))
    if head["Disposition-Notification-To"]:
        p["IsReadReceiptRequested"] = el("IsReadReceiptRequested", True)
    low = {"low": "Low", "high": "High", "5": "Low", "4": "Low", "2": "High", "1": "High"}
    level = low.get((head["Importance"] or (head["X-Priority"] or "")[:1]).lower().strip())
    if level:
        p["Importance"] = el("Importance", level)
    secret = {"personal": "Personal", "private": "Private", "company-confidential": "Confidential"}.get(
        (head["Sensitivity"] or "").lower())
    if secret:
        p["Sensitivity"] = el("Sensitivity", secret)
    kind, text = mime.body(message)
    p["Body"] = el("Body", text, BodyType=kind)
    item.attachments = [_attachment(item, a) for a in mime.attached(message)]


def _attachment(item, found):
    name, kind, cid, inline, content, inner = found
    a = Attachment(next(item.box.numbers), name, content)
    a.content_type, a.content_id, a.inline = kind, cid, inline
    if inner is not None:
        a.item = Item(item.box, "Message")
        take_mime(None, a.item, inner.as_bytes(policy=mime.POLICY))
    return a


def kind_of(item_class):
    """The element that shows an item of this class."""
    c = item_class.lower()
    for start, kind in (("ipm.schedule.meeting.request", "MeetingRequest"),
                        ("ipm.schedule.meeting.canceled", "MeetingCancellation"),
                        ("ipm.schedule.meeting.resp", "MeetingResponse")):
        if c.startswith(start):
            return kind
    return "Message"


def create(call, item, source):
    """After the elements of `source` were taken over: state and dates of a new message."""
    props = {}
    for e in source.findall("{*}ExtendedProperty"):
        k = key(e.find("{*}ExtendedFieldURI"))
        props[k] = values(e, k)
    bits = int(props["tag/0e07/Integer"][0]) if "tag/0e07/Integer" in props else None
    item.draft = bits is None or bool(bits & 8)
    item.sent = bool((bits or 0) & 0x20)
    if source.find("{*}IsRead") is None and "tag/0e69/Boolean" not in props:
        item.props["IsRead"] = el("IsRead", bool(bits & 1) if bits is not None else True)
    stamp = now()
    received = props.get("tag/0e06/SystemTime")
    item.props["DateTimeReceived"] = el("DateTimeReceived", received[0] if received else zulu(stamp))
    sent = props.get("tag/0039/SystemTime")
    if sent:
        item.props["DateTimeSent"] = el("DateTimeSent", sent[0])
    elif "DateTimeSent" not in item.props:
        item.props["DateTimeSent"] = el("DateTimeSent", zulu(stamp))
    if "ItemClass" not in item.props:
        item.props["ItemClass"] = el("ItemClass", "IPM.Note")
    item.kind = kind_of(item.text("ItemClass")) if item.kind in MAILS else item.kind
    if item.mime is None:
        item.props.setdefault("InternetMessageId", el("InternetMessageId", "<%s@%s>" % (
            item.box.tick(), call.org.settings["domain"])))
        me = el("Mailbox", None, el("Name", item.box.name), el("EmailAddress", item.box.address),
                el("RoutingType", "SMTP"))
        for tag in ("From", "Sender"):
            if tag not in item.props:
                item.props[tag] = el(tag, None, me)
    if truth(item.text("IsRead")):
        receipt(call, item, "created as read")


def receipt(call, item, why):
    """Exchange tells the sender now, if the mail asks for it: no test wants that."""
    if item.draft or not truth(item.text("IsReadReceiptRequested")):
        return
    call.org.fail("read-receipt", mailbox=item.box.address, subject=item.text("Subject"), why=why)
    item.props["IsReadReceiptRequested"] = el("IsReadReceiptRequested", False)


def before_update(call, item, name):
    if not item.draft and name in SENT_FIXED:
        raise EwsError("ErrorInvalidPropertyUpdateSentMessage", "A sent message cannot be changed in this property.")


def current(item):
    """The MIME text as the client gave it, or one made from the properties."""
    return item.mime if item.mime is not None else _build(item)


def generate(call, item):
    """What MimeContent gives."""
    how = call.org.settings["mime"]
    if item.broken in UNMAKEABLE:
        raise EwsError(item.broken)
    data = current(item)
    if how == "exact":
        return data
    return mime.regenerate(data, item.search_key.hex().upper()[:20], len(item.attachments), how == "rough")


def _line(e, out, header):
    found = [(child_text(b, "Name"), child_text(b, "EmailAddress")) for b in (e if e is not None else ())]
    if found:
        out.append("%s: %s" % (header, ", ".join(email.utils.formataddr((n or "", a or "")) for n, a in found)))


def _build(item):
    head = []
    for tag, header in (("From", "From"), ("ToRecipients", "To"), ("CcRecipients", "Cc"), ("BccRecipients", "Bcc"),
                        ("ReplyTo", "Reply-To")):
        _line(item.props.get(tag), head, header)
    message = EmailMessage(policy=email.policy.SMTP)
    for h in head:
        name, value = h.split(": ", 1)
        message[name] = value
    message["Subject"] = " ".join((item.text("Subject") or "").split())
    for tag, header in (("InternetMessageId", "Message-ID"), ("InReplyTo", "In-Reply-To"),
                        ("References", "References")):
        if item.text(tag):
            message[header] = item.text(tag)
    if item.text("DateTimeSent"):
        message["Date"] = email.utils.format_datetime(when(item.text("DateTimeSent")))
    for name, value in item.headers:
        if name.lower() not in BUILT:
            message[name] = value
    e = item.props.get("Body")
    kind = "html" if e is not None and e.get("BodyType") == "HTML" else "plain"
    message.set_content((e.text if e is not None else "") or "", subtype=kind)
    for a in item.attachments:
        if a.content is not None:
            main, _, sub = (a.content_type or "application/octet-stream").partition("/")
            message.add_attachment(a.content, maintype=main, subtype=sub or "octet-stream", filename=a.name)
        elif a.item is not None:
            message.add_attachment(email.message_from_bytes(current(a.item), policy=email.policy.SMTP))
    return message.as_bytes()


def body(item, want, tag="Body"):
    """<t:Body> in the wanted kind: Best, HTML or Text."""
    e = item.props.get("Body")
    if e is None:
        return None
    have, text = e.get("BodyType"), e.text or ""
    if want == "Text" and have == "HTML":
        return el(tag, mapi.plain(text), BodyType="Text")
    if want == "HTML" and have == "Text":
        lines = html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>\r\n")
        return el(tag, "<html><head></head><body><div>%s</div></body></html>" % lines, BodyType="HTML")
    return el(tag, text, BodyType=have)


def headers(item):
    """<t:InternetMessageHeaders>: all of them, those too that MimeContent leaves out."""
    if not item.headers:
        return None
    return el("InternetMessageHeaders", None, *[el("InternetMessageHeader", v, HeaderName=n)
                                                for n, v in item.headers])
