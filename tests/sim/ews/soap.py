"""The XML of EWS: namespaces, elements, errors, envelopes of answers, faults."""

import io
import xml.etree.ElementTree as ET

S = "http://schemas.xmlsoap.org/soap/envelope/"
M = "http://schemas.microsoft.com/exchange/services/2006/messages"
T = "http://schemas.microsoft.com/exchange/services/2006/types"
E = "http://schemas.microsoft.com/exchange/services/2006/errors"
for _prefix, _ns in (("s", S), ("m", M), ("t", T), ("e", E)):
    ET.register_namespace(_prefix, _ns)


class EwsError(Exception):
    """What becomes of one element of a request: a response message of class Error (or Warning)."""

    def __init__(self, code, text=None, values=None, path=None, cls="Error"):
        super().__init__("%s: %s" % (code, text or ""))
        self.code, self.text, self.cls = code, text or TEXTS.get(code, code), cls
        self.values, self.path = values or {}, path


class Fault(Exception):
    """The request is refused whole: HTTP 500 and a SOAP fault."""

    def __init__(self, code, text=None, values=None, xml=None, http=500):
        super().__init__("%s: %s" % (code, text or ""))
        self.code, self.text, self.values, self.http = code, text or TEXTS.get(code, code), values or {}, http
        self.xml = xml or []


TEXTS = {
    "ErrorAccessDenied": "Access is denied. Check credentials and try again.",
    "ErrorItemNotFound": "The specified object was not found in the store.",
    "ErrorFolderNotFound": "The specified folder could not be found in the store.",
    "ErrorInvalidIdMalformed": "Id is malformed.",
    "ErrorInvalidIdEmpty": "Id must be non-empty.",
    "ErrorChangeKeyRequired": "An object within a change key could not be found.",
    "ErrorChangeKeyRequiredForWriteOperations":
        "The change key passed in the request does not match the current change key for the item.",
    "ErrorIrresolvableConflict":
        "The send or update operation could not be performed because the change key passed in the request "
        "does not match the current change key for the item.",
    "ErrorStaleObject": "The change key passed in the request does not match the current change key for the item.",
    "ErrorBatchProcessingStopped": "Batch processing stopped.",
    "ErrorServerBusy": "The server cannot service this request right now. Try again later.",
    "ErrorMailboxStoreUnavailable": "The mailbox store is unavailable.",
    "ErrorMailboxMoveInProgress": "Mailbox move in progress. Try again later.",
    "ErrorInvalidSyncStateData": "The synchronization state data is invalid.",
    "ErrorSyncFolderNotFound": "The specified folder could not be found in the store.",
    "ErrorFolderExists": "A folder with the specified name already exists.",
    "ErrorDeleteDistinguishedFolder": "Distinguished folders cannot be deleted.",
    "ErrorMoveDistinguishedFolder": "Distinguished folders cannot be moved.",
    "ErrorInvalidPropertyRequest": "Property is not valid for this object type.",
    "ErrorInvalidPropertyForOperation": "Property is not valid for this operation.",
    "ErrorInvalidPropertySet": "Set action is invalid for property.",
    "ErrorInvalidPropertyDelete": "Delete action is not supported for this property.",
    "ErrorInvalidPropertyAppend": "Append action is not supported for this property.",
    "ErrorInvalidExtendedProperty":
        "The extended property attribute combination is invalid.",
    "ErrorInvalidExtendedPropertyValue": "The specified value is invalid for the property.",
    "ErrorMimeContentInvalid": "The MIME content is invalid.",
    "ErrorMimeContentInvalidBase64String": "The MIME content was not a valid base64 string.",
    "ErrorMimeContentConversionFailed": "The conversion of the MIME content failed.",
    "ErrorNonExistentMailbox": "The SMTP address has no mailbox associated with it.",
    "ErrorNonPrimarySmtpAddress": "The primary SMTP address must be specified when referencing a mailbox.",
    "ErrorImpersonateUserDenied":
        "The account does not have permission to impersonate the requested user.",
    "ErrorInvalidServerVersion": "The specified server version is invalid.",
    "ErrorSendMeetingInvitationsRequired":
        "SendMeetingInvitations attribute is required for calendar items.",
    "ErrorSendMeetingCancellationsRequired":
        "SendMeetingCancellations attribute is required for calendar items.",
    "ErrorSendMeetingInvitationsOrCancellationsRequired":
        "SendMeetingInvitationsOrCancellations attribute is required for calendar items.",
    "ErrorMessageDispositionRequired": "Message disposition is required for messages.",
    "ErrorAffectedTaskOccurrencesRequired": "AffectedTaskOccurrences attribute is required for tasks.",
    "ErrorUpdatePropertyMismatch":
        "The property in the update does not match the property that was set.",
    "ErrorIncorrectUpdatePropertyCount": "An object in an update must have exactly one property.",
}


def t(name):
    return "{%s}%s" % (T, name)


def m(name):
    return "{%s}%s" % (M, name)


def local(element):
    return element.tag.rpartition("}")[2]


def el(name, text=None, *children, **attributes):
    """An element of the types namespace; children and attributes that are None are left out."""
    return _make(t(name), text, children, attributes)


def mel(name, text=None, *children, **attributes):
    """The same in the messages namespace."""
    return _make(m(name), text, children, attributes)


def _make(tag, text, children, attributes):
    e = ET.Element(tag, {k: str(v) for k, v in attributes.items() if v is not None})
    if text is not None:
        e.text = boolean(text) if isinstance(text, bool) else printable(str(text))
    for c in children:
        if c is not None:
            e.append(c)
    return e


def printable(text):
    """Without the characters that XML 1.0 cannot hold (Exchange gives such as '?')."""
    if text.isprintable():
        return text
    return "".join(c if c >= " " and c not in "\ufffe\uffff" and not "\ud800" <= c <= "\udfff" or c in "\t\r\n"
                   else "?" for c in text)


def boolean(value):
    return "true" if value else "false"


def truth(text):
    return (text or "").strip().lower() in ("true", "1")


def child_text(element, name, default=None):
    found = element.find(t(name)) if element is not None else None
    return default if found is None else (found.text or "")


def parse(data):
    """The root element; a ParseError is the caller's."""
    return ET.fromstring(data)


def copy(element):
    """A deep copy that keeps nothing of where it came from."""
    e = ET.Element(element.tag, element.attrib)
    e.text = element.text if element.text and (element.text.strip() or not len(element)) else None
    for c in element:
        e.append(copy(c))
    return e


def response(op, messages):
    """<m:XResponse> of response messages."""
    r = mel(op + "Response")
    r.append(mel("ResponseMessages", None, *messages))
    return r


def success(op, *children):
    return mel(op + "ResponseMessage", None, mel("ResponseCode", "NoError"), *children, ResponseClass="Success")


def failure(op, error, *empty):
    """`empty`: the children that the schema wants there even then."""
    e = mel(op + "ResponseMessage", None, mel("MessageText", error.text), mel("ResponseCode", error.code),
            mel("DescriptiveLinkKey", 0), ResponseClass=error.cls)
    if error.values or error.path is not None:
        x = mel("MessageXml")
        if error.path is not None:
            x.append(copy(error.path))
        for name, value in error.values.items():
            x.append(el("Value", value, Name=name))
        e.append(x)
    for name in empty:
        e.append(mel(name))
    return e


def envelope(version, body):
    """The bytes of an answer. version: the five attributes of ServerVersionInfo."""
    root = ET.Element("{%s}Envelope" % S)
    head = ET.SubElement(root, "{%s}Header" % S)
    head.append(el("ServerVersionInfo", None, **version))
    ET.SubElement(root, "{%s}Body" % S).append(body)
    return serialize(root)


def serialize(root):
    out = io.BytesIO()
    ET.ElementTree(root).write(out, encoding="utf-8", xml_declaration=True)
    # A bare CR would be read as LF, so ElementTree's escape of line ends in text is done here.
    return out.getvalue().replace(b"\r", b"&#xD;")


def fault(f):
    """The bytes of a SOAP fault, as Exchange gives it: no header, a code of the types namespace."""
    root = ET.Element("{%s}Envelope" % S)
    body = ET.SubElement(root, "{%s}Body" % S)
    x = ET.SubElement(body, "{%s}Fault" % S)
    code = ET.SubElement(x, "faultcode")
    code.text = "a:" + f.code
    ET.SubElement(x, "faultstring", {"{http://www.w3.org/XML/1998/namespace}lang": "en-US"}).text = printable(f.text)
    detail = ET.SubElement(x, "detail")
    ET.SubElement(detail, "{%s}ResponseCode" % E).text = f.code
    ET.SubElement(detail, "{%s}Message" % E).text = printable(f.text)
    if f.values or f.xml:
        more = ET.SubElement(detail, t("MessageXml"))
        for name, text in f.xml:
            more.append(el(name, text))
        for name, value in f.values.items():
            more.append(el("Value", value, Name=name))
    data = serialize(root)
    return data.replace(b"<faultcode>", b'<faultcode xmlns:a="' + T.encode() + b'">', 1)
