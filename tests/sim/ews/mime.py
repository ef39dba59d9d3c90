"""Reading and regenerating MIME as Exchange does: it keeps properties, not bytes, and prints them anew."""

import base64
import datetime
import email
import email.header
import email.policy
import email.utils
import quopri
import re

from soap import EwsError

POLICY = email.policy.compat32.clone(max_line_length=None)
# The order in which the conversion prints what it knows; the rest follows in the order of the original.
FIRST = ("received return-path from sender reply-to to cc bcc subject thread-topic thread-index date message-id "
         "references in-reply-to disposition-notification-to importance x-priority sensitivity").split()
PRINTED = {"content-type", "mime-version", "content-transfer-encoding", "x-ms-has-attach",
           "x-ms-tnef-correlator", "content-language", "accept-language"}


def decode(text):
    """An unstructured header's text."""
    try:
        return str(email.header.make_header(email.header.decode_header(re.sub(r"\r?\n", "", text))))
    except (LookupError, ValueError, UnicodeError):
        return text


def raw_headers(data):
    """[(name, value unfolded)] of the head."""
    head = re.split(rb"\r?\n\r?\n", data, 1)[0].decode("utf-8", "surrogateescape")
    out = []
    for line in re.split(r"\r?\n", head):
        if line[:1] in " \t" and out:
            out[-1][1] += " " + line.strip()
        elif ":" in line:
            name, value = line.split(":", 1)
            out.append([name, value.strip()])
    return [(n, v.encode("utf-8", "surrogateescape").decode("utf-8", "replace")) for n, v in out]


def read(data):
    """The parsed message; refuses what Exchange refuses."""
    if not data.strip():
        raise EwsError("ErrorMimeContentInvalid")
    message = email.message_from_bytes(data, policy=POLICY)
    seen = set()
    for part in message.walk():
        boundary = part.get_boundary()
        if part.get_content_maintype() == "multipart" and boundary:
            if boundary in seen:
                raise EwsError("ErrorMimeContentInvalid", "The same boundary is used twice.")
            seen.add(boundary)
    return message


class Head:
    """Header fields by name, as text whatever bytes they had."""

    def __init__(self, pairs):
        self.pairs = pairs

    def get_all(self, name, default=()):
        return [v for n, v in self.pairs if n.lower() == name.lower()] or list(default)

    def __getitem__(self, name):
        return (self.get_all(name) or [None])[0]


def addresses(head, name):
    """[(display name, address)] of all headers of that name."""
    found = email.utils.getaddresses(head.get_all(name, []))
    return [(decode(n), a) for n, a in found if a or n]


def date(head):
    try:
        d = email.utils.parsedate_to_datetime(head["Date"])
    except (TypeError, ValueError, IndexError):
        return None
    return d if d.tzinfo else d.replace(tzinfo=datetime.timezone.utc)


def text_of(part):
    data = part.get_payload(decode=True) or b""
    try:
        return data.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return data.decode("latin-1")


def opaque(message):
    """Signed and encrypted mail is kept as it is."""
    return message.get_content_type() in ("multipart/signed", "multipart/encrypted", "application/pkcs7-mime",
                                          "application/x-pkcs7-mime")


def body(message):
    """("HTML" or "Text", text) of what a reader would show."""
    found = None
    for part in message.walk():
        kind = part.get_content_type()
        if kind.startswith("text/") and part.get_content_disposition() != "attachment":
            if kind == "text/html":
                return "HTML", text_of(part)
            if kind == "text/plain" and found is None:
                found = ("Text", text_of(part))
    return found or ("Text", "")


def attached(message):
    """[(name, type, content id, inline, bytes or None, message or None)] of all parts that are no body."""
    out = []
    if opaque(message):
        return out
    html = body(message)[0] == "HTML"

    def walk(part, top):
        kind = part.get_content_type()
        if kind.startswith("multipart/"):
            for sub in part.get_payload() if isinstance(part.get_payload(), list) else []:
                walk(sub, False)
            return
        disposition = part.get_content_disposition()
        if kind in ("text/plain", "text/html", "text/calendar") and disposition != "attachment" and (
                top or kind != "text/plain" or not seen or html and kind == "text/plain" and not part.get_filename()):
            seen.append(part)
            return
        name = part.get_filename()
        if kind == "message/rfc822":
            inner = part.get_payload(0) if isinstance(part.get_payload(), list) and part.get_payload() else None
            if inner is not None:
                out.append((decode(str(name or inner["Subject"] or "")), kind, None, False, None, inner))
                return
        cid = str(part["Content-ID"] or "").strip().strip("<>") or None
        out.append((decode(str(name)) if name else "attachment", kind, cid, disposition == "inline" or bool(cid and not
                    disposition), part.get_payload(decode=True) or b"", None))

    seen = []
    walk(message, True)
    return out


def item_class(message):
    """The class that the conversion gives a mail that names none."""
    kind = message.get_content_type()
    if kind == "multipart/signed":
        return "IPM.Note.SMIME.MultipartSigned"
    if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return "IPM.Note.SMIME"
    for part in message.walk():
        if part.get_content_type() == "text/calendar" and part.get_content_disposition() != "attachment":
            method = (part.get_param("method") or "").upper()
            if method in ("REQUEST", "CANCEL", "REPLY"):
                return {"REQUEST": "IPM.Schedule.Meeting.Request", "CANCEL": "IPM.Schedule.Meeting.Canceled",
                        "REPLY": "IPM.Schedule.Meeting.Resp.Pos"}[method]
    return "IPM.Note"


def regenerate(data, mark, attached_count, rough=False):
    """Other bytes of the same meaning. mark: some hex digits of the item, for boundaries."""
    message = email.message_from_bytes(data, policy=POLICY)
    if opaque(message):
        head, sep, rest = _split(data)
        return _head(data, message, attached_count, rough, keep=True) + sep + rest
    boundaries = {}
    for n, part in enumerate(message.walk()):
        old = part.get_boundary()
        if part.get_content_maintype() == "multipart" and old:
            boundaries[old] = "_%03d_%s_" % (n, mark)
            part.set_boundary(boundaries[old])
        elif part.get_content_maintype() == "text":
            _reencode(part)
    text = message.as_bytes(policy=POLICY)
    text = re.sub(rb"\r?\n", b"\r\n", text)
    _, sep, rest = _split(text)
    return _head(data, message, attached_count, rough) + sep + rest


def _split(data):
    at = re.search(rb"\r?\n\r?\n", data)
    if not at:
        return data, b"\r\n\r\n", b""
    return data[:at.start()], b"\r\n\r\n", data[at.end():]


def _reencode(part):
    """Texts are printed in an encoding of the conversion's choice."""
    content = part.get_payload(decode=True) or b""
    # As the store has it: lines end in CRLF.
    content = re.sub(rb"\r?\n", b"\r\n", content)
    del part["Content-Transfer-Encoding"]
    if all(b < 128 for b in content) and max(map(len, content.split(b"\r\n"))) < 77:
        part["Content-Transfer-Encoding"] = "7bit"
        part.set_payload(content.decode("ascii"))
    elif sum(b > 127 for b in content) * 4 > len(content):
        part["Content-Transfer-Encoding"] = "base64"
        part.set_payload(base64.encodebytes(content).decode().replace("\n", "\r\n"))
    else:
        part["Content-Transfer-Encoding"] = "quoted-printable"
        lines = [quopri.encodestring(x, quotetabs=False).decode().replace("\n", "\r\n")
                 for x in content.split(b"\r\n")]
        part.set_payload("\r\n".join(lines))


def _head(data, message, attached_count, rough, keep=False):
    own = [(n, v) for n, v in raw_headers(data) if n.lower() not in PRINTED]
    if rough:
        own = [(n, v) for n, v in own if not n.lower().startswith("x-") or n.lower() == "x-priority"]
    own.sort(key=lambda h: FIRST.index(h[0].lower()) if h[0].lower() in FIRST else 99)
    lines = ["%s: %s" % (n, v) for n, v in own]
    lines += ["Accept-Language: en-US", "Content-Language: en-US",
              "X-MS-Has-Attach:" + (" yes" if attached_count else ""), "X-MS-TNEF-Correlator:"]
    for name in ("Content-Type", "Content-Transfer-Encoding"):
        if message[name]:
            lines.append("%s: %s" % (name, re.sub(r"\r?\n", "\r\n", str(message[name]))))
    lines.append("MIME-Version: 1.0")
    return "\r\n".join(_fold(x) for x in lines).encode("utf-8", "surrogateescape")


def _fold(line):
    """Lines of at most 998 octets, folded at blanks near column 76."""
    if len(line) <= 76 or "\r\n" in line:
        return line
    out, rest = [], line
    while len(rest) > 76:
        at = rest.rfind(" ", 2, 76)
        if at < 2 or not rest[:at].strip():
            at = rest.find(" ", 76)
            if at < 0:
                break
        out.append(rest[:at])
        rest = rest[at:]
    return "\r\n".join(out + [rest])
