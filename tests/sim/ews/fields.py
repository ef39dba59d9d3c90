"""Paths to properties: FieldURI, IndexedFieldURI, ExtendedFieldURI; checked values of extended properties."""

import base64
import binascii
import datetime
import uuid

import order
from soap import EwsError, el, local

SETS = {
    "Meeting": "6ed8da90-450b-101b-98da-00aa003f1305",
    "Appointment": "00062002-0000-0000-c000-000000000046",
    "Common": "00062008-0000-0000-c000-000000000046",
    "PublicStrings": "00020329-0000-0000-c000-000000000046",
    "Address": "00062004-0000-0000-c000-000000000046",
    "InternetHeaders": "00020386-0000-0000-c000-000000000046",
    "CalendarAssistant": "11000e07-b51b-40d6-af21-caa85edab1d0",
    "UnifiedMessaging": "4442858e-a9e3-4e80-b900-317a210cc15b",
    "Task": "00062003-0000-0000-c000-000000000046",
    "Sharing": "00062040-0000-0000-c000-000000000046",
}
UTC = datetime.timezone.utc


class Path:
    """One property. `kind`: "field", "indexed" or "extended"; name: element name; index; key: see key()."""

    def __init__(self, kind, element, prefix=None, name=None, index=None, key=None):
        self.kind, self.element, self.prefix, self.name = kind, element, prefix, name
        self.index, self.key = index, key


def tag_number(text):
    return int(text, 16) if text.lower().startswith("0x") else int(text)


def key(e):
    """How an ExtendedFieldURI's property is called here: "tag/0e07/Integer", "GUID/name/Type", "GUID/#id/Type"."""
    a = e.attrib
    kind = a["PropertyType"]
    if "PropertyTag" in a:
        if set(a) != {"PropertyTag", "PropertyType"}:
            raise EwsError("ErrorInvalidExtendedProperty", path=e)
        n = tag_number(a["PropertyTag"])
        if not 0 < n < 0x8000:
            raise EwsError("ErrorInvalidExtendedProperty", "PropertyTag is in the range of named properties.", path=e)
        return "tag/%04x/%s" % (n, kind)
    if ("PropertySetId" in a) == ("DistinguishedPropertySetId" in a) or \
            ("PropertyName" in a) == ("PropertyId" in a):
        raise EwsError("ErrorInvalidExtendedProperty", path=e)
    guid = SETS[a["DistinguishedPropertySetId"]] if "DistinguishedPropertySetId" in a else \
        str(uuid.UUID(a["PropertySetId"]))
    if "PropertyName" in a:
        if guid == SETS["InternetHeaders"]:
            return "%s/%s/%s" % (guid, a["PropertyName"].lower(), kind)
        return "%s/%s/%s" % (guid, a["PropertyName"], kind)
    return "%s/#%d/%s" % (guid, int(a["PropertyId"]), kind)


def parse(e):
    """The Path that a t:FieldURI, t:IndexedFieldURI or t:ExtendedFieldURI stands for."""
    what = local(e)
    if what == "ExtendedFieldURI":
        return Path("extended", e, key=key(e))
    uri = e.get("FieldURI")
    if what == "IndexedFieldURI":
        if uri == "item:InternetMessageHeader":
            return Path("indexed", e, "item", "InternetMessageHeaders", (e.get("FieldIndex"), None))
        parts = uri.split(":")
        plural = {"ImAddress": "ImAddresses", "PhysicalAddress": "PhysicalAddresses",
                  "PhoneNumber": "PhoneNumbers", "EmailAddress": "EmailAddresses", "Members": "Members"}
        return Path("indexed", e, parts[0], plural[parts[1]],
                    (e.get("FieldIndex"), parts[2] if len(parts) > 2 else None))
    if what != "FieldURI":
        raise EwsError("ErrorInvalidPropertyRequest", path=e)
    prefix, name = uri.split(":")
    if (prefix, name) == ("item", "MimeContentUTF8"):
        name = "MimeContent"
    return Path("field", e, prefix, name)


def fits(path, kind):
    """Does an item of this kind have such a property at all?"""
    if path.kind == "extended":
        return True
    if path.prefix not in order.PREFIXES[kind]:
        # The fields that mails of meetings share with events, and lists with contacts.
        return False
    return path.name in order.KINDS[kind]


def check_version(path, call):
    """Fields of 2013 asked for with an older version."""
    if path.kind == "field" and path.name in order.SINCE_2013 and not call.since(2013) and path.prefix != "folder":
        raise EwsError("ErrorInvalidPropertyRequest", path=path.element)


def when(text):
    """An aware datetime of an xs:dateTime; one without zone gives a naive one."""
    text = text.strip()
    try:
        if text.endswith("Z"):
            return _plain(text[:-1]).replace(tzinfo=UTC)
        if len(text) > 6 and text[-6] in "+-" and text[-3] == ":":
            sign = -1 if text[-6] == "-" else 1
            delta = datetime.timedelta(hours=int(text[-5:-3]), minutes=int(text[-2:])) * sign
            return (_plain(text[:-6]) - delta).replace(tzinfo=UTC)
        return _plain(text)
    except (ValueError, OverflowError):
        raise EwsError("ErrorInvalidValueForProperty", "The specified value is invalid for property.",
                       values={"Value": text})


def _plain(text):
    text = text.split(".")[0]
    if "T" not in text:
        text += "T00:00:00"
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S")


def zulu(moment):
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment.year >= 1000 else \
        "%04d" % moment.year + moment.astimezone(UTC).strftime("-%m-%dT%H:%M:%SZ")


def values(e, k):
    """The checked values of a t:ExtendedProperty with key k."""
    uri = e.find("{*}ExtendedFieldURI")
    kind = k.rsplit("/", 1)[1]
    many = e.find("{*}Values")
    if kind.endswith("Array") != (many is not None) or kind in ("Object", "ObjectArray", "Null", "Error"):
        raise EwsError("ErrorInvalidExtendedPropertyValue", path=uri)
    texts = [x.text or "" for x in many] if many is not None else [e.find("{*}Value").text or ""]
    return [_value(x, kind.replace("Array", ""), uri) for x in texts]


_LIMITS = {"Short": 1 << 15, "Integer": 1 << 31, "Long": 1 << 63, "Currency": 1 << 63}


def _value(text, kind, uri):
    try:
        if kind in _LIMITS:
            n = int(text)
            # Exchange takes unsigned values for Integer as well.
            if not -_LIMITS[kind] <= n < _LIMITS[kind]:
                raise ValueError
            return str(n)
        if kind == "Boolean":
            return {"true": "true", "1": "true", "false": "false", "0": "false"}[text.strip().lower()]
        if kind == "SystemTime" or kind == "ApplicationTime" and "T" in text:
            moment = when(text)
            return zulu(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        if kind == "Binary":
            base64.b64decode("".join(text.split()), validate=True)
            return "".join(text.split())
        if kind in ("Double", "Float"):
            float(text)
        if kind == "CLSID":
            return str(uuid.UUID(text))
        return text
    except (ValueError, KeyError, binascii.Error, EwsError):
        raise EwsError("ErrorInvalidExtendedPropertyValue", path=uri)


def extended(uri, stored):
    """<t:ExtendedProperty> as Exchange prints it: a tag in hex without leading zeros."""
    a = dict(uri.attrib)
    if "PropertyTag" in a:
        a["PropertyTag"] = "0x%x" % tag_number(a["PropertyTag"])
    e = el("ExtendedProperty", None, el("ExtendedFieldURI", None, **a))
    if a["PropertyType"].endswith("Array"):
        e.append(el("Values", None, *[el("Value", v) for v in stored]))
    else:
        e.append(el("Value", stored[0]))
    return e
