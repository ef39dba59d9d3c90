"""The small operations: names, ids, configurations, Autodiscover."""

import base64
import xml.etree.ElementTree as ET

import batch
import ids
from soap import EwsError, el, local, mel, response


NAMES_MAX = 100


def _contact(box):
    """What the directory knows of a mailbox: its addresses by kind, the primary one in capitals."""
    proxies = ["SMTP:" + box.address] + ["smtp:" + a for a in box.aliases]
    entries = [el("Entry", p, Key="EmailAddress%d" % n) for n, p in enumerate(proxies[:3], 1)]
    return el("Contact", None, el("DisplayName", box.name), el("EmailAddresses", None, *entries))


def resolve_names(call):
    """What begins so (smtp:, an address; else a name as well): a hundred, and whether that is all."""
    text = (call.request.findtext("{*}UnresolvedEntry") or "").lower()
    typed = text.startswith(("smtp:", "sip:"))
    text = text.partition(":")[2] if typed else text
    full = call.request.get("ReturnFullContactData") == "true"

    def matches(b):
        return any(a.lower().startswith(text) for a in [b.address, *b.aliases]) or not typed and text in b.name.lower()

    def row(b):
        m = el("Mailbox", None, el("Name", b.name), el("EmailAddress", b.address), el("RoutingType", "SMTP"),
               el("MailboxType", "Mailbox"))
        return el("Resolution", None, m, *([_contact(b)] if full else []))

    def one(_):
        found = [b for b in call.org.mailboxes.values() if matches(b)]
        if not found:
            raise EwsError("ErrorNameResolutionNoResults", "No results were found.")
        rows = [row(b) for b in found[:NAMES_MAX]]
        return [mel("ResolutionSet", None, *rows, TotalItemsInView=len(rows),
                    IncludesLastItemInRange="true" if len(found) <= NAMES_MAX else "false")]
    out = batch.run(call, "ResolveNames", [None], one)
    for m in out:
        if len(m.findall(".//{*}Resolution")) > 1:
            m.set("ResponseClass", "Warning")
            m.find("{*}ResponseCode").text = "ErrorNameResolutionMultipleResults"
    return response("ResolveNames", out)


def convert_id(call):
    """Only checks and echoes ids; other formats are the same bytes in hex."""
    to = call.request.get("DestinationFormat")

    def one(e):
        if local(e) != "AlternateId":
            raise EwsError("ErrorInvalidOperation", "Public folders are not known here.")
        text = e.get("Id")
        if e.get("Format") in ("EntryId", "StoreId"):
            text = text.replace("_", "+").replace("-", "/")
        elif e.get("Format") == "HexEntryId":
            text = base64.b64encode(bytes.fromhex(text)).decode()
        # Whatever mailbox was named: the id knows whose it is.
        address = ids.owner(text, [b.address for b in call.org.mailboxes.values()])
        ids.parse(address or "", text, ("item", "folder", "occurrence"))
        if address is None:
            raise EwsError("ErrorNonExistentMailbox")
        if to == "HexEntryId":
            text = base64.b64decode(text).hex().upper()
        x = mel("AlternateId", None, Format=to, Id=text, Mailbox=address)
        x.set("{http://www.w3.org/2001/XMLSchema-instance}type", "t:AlternateIdType")
        return [x]
    return response("ConvertId", batch.run(call, "ConvertId", call.request.find("{*}SourceIds"), one))


def get_user_configuration(call):
    """What the web client keeps for a user: the time zone, once one was chosen there."""
    name = call.request.find("{*}UserConfigurationName")

    def one(_):
        folder = call.folder(name[0])
        if name.get("Name") != "OWA.UserOptions" or folder.role != "root" or folder.box.zone is None:
            raise EwsError("ErrorItemNotFound", "There is no such configuration.")
        entries = [el("DictionaryEntry", None, *[el(tag, None, el("Type", "String"), el("Value", text))
                                                 for tag, text in (("DictionaryKey", k), ("DictionaryValue", v))])
                   for k, v in (("dateformat", "dd.MM.yyyy"), ("timezone", folder.box.zone))]
        shown = el("UserConfigurationName", None, el("DistinguishedFolderId", None, Id="root"), Name=name.get("Name"))
        return [mel("UserConfiguration", None, shown, el("Dictionary", None, *entries))]
    return response("GetUserConfiguration", batch.run(call, "GetUserConfiguration", [None], one))


def unsupported(call):
    raise EwsError("ErrorInvalidRequest", "%s is not known here." % call.op)


A_REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
A_ANSWER = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
A_SCHEMA = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"


def autodiscover(org, data, url):
    """The bytes of a POX answer: the EWS address of a mailbox, or error 500 of the protocol."""
    try:
        root = ET.fromstring(data)
        address = (root.findtext(".//{*}EMailAddress") or "").strip()
        wanted = root.findtext(".//{*}AcceptableResponseSchema")
    except ET.ParseError:
        address = wanted = None
    top = ET.Element("{%s}Autodiscover" % A_SCHEMA)
    if wanted != A_ANSWER or (address or "").lower() not in org.mailboxes:
        r = ET.SubElement(top, "{%s}Response" % A_SCHEMA)
        e = ET.SubElement(r, "{%s}Error" % A_SCHEMA, {"Time": "00:00:00.0000000", "Id": "1"})
        bad = wanted != A_ANSWER
        ET.SubElement(e, "{%s}ErrorCode" % A_SCHEMA).text = "600" if bad else "500"
        ET.SubElement(e, "{%s}Message" % A_SCHEMA).text = "Invalid Request" if bad else "The email address " \
            "can't be found."
        return ET.tostring(top, encoding="utf-8", xml_declaration=True)
    box = org.mailboxes[address.lower()]
    q = "{%s}" % A_ANSWER
    r = ET.SubElement(top, q + "Response")
    user = ET.SubElement(r, q + "User")
    ET.SubElement(user, q + "DisplayName").text = box.name
    ET.SubElement(user, q + "AutoDiscoverSMTPAddress").text = box.address
    account = ET.SubElement(r, q + "Account")
    ET.SubElement(account, q + "AccountType").text = "email"
    ET.SubElement(account, q + "Action").text = "settings"
    for kind in ("EXCH", "EXPR"):
        p = ET.SubElement(account, q + "Protocol")
        ET.SubElement(p, q + "Type").text = kind
        ET.SubElement(p, q + "EwsUrl").text = url
        ET.SubElement(p, q + "ASUrl").text = url
    return ET.tostring(top, encoding="utf-8", xml_declaration=True)


A_SOAP = "http://schemas.microsoft.com/exchange/2010/Autodiscover"


def autodiscover_soap(org, data, url):
    """The bytes of a GetUserSettings answer; `settings leads_to` makes it a redirection."""
    q, soap = "{%s}" % A_SOAP, "{http://schemas.xmlsoap.org/soap/envelope/}"
    root = ET.fromstring(data)
    address = (root.findtext(".//%sMailbox" % q) or "").strip()
    wanted = [e.text for e in root.iter(q + "Setting")]
    top = ET.Element(soap + "Envelope")
    message = ET.SubElement(ET.SubElement(top, soap + "Body"), q + "GetUserSettingsResponseMessage")
    response_ = ET.SubElement(message, q + "Response")
    ET.SubElement(response_, q + "ErrorCode").text = "NoError"
    ET.SubElement(response_, q + "ErrorMessage")
    user = ET.SubElement(ET.SubElement(response_, q + "UserResponses"), q + "UserResponse")
    known, away = address.lower() in org.mailboxes, org.settings["leads_to"]
    code = "RedirectAddress" if away else "NoError" if known else "InvalidUser"
    ET.SubElement(user, q + "ErrorCode").text = code
    ET.SubElement(user, q + "ErrorMessage").text = "No error." if known else "Invalid user: '%s'" % address
    ET.SubElement(user, q + "RedirectTarget").text = away
    ET.SubElement(user, q + "UserSettingErrors")
    settings = ET.SubElement(user, q + "UserSettings")
    for name in wanted if known and not away else ():
        one = ET.SubElement(settings, q + "UserSetting")
        ET.SubElement(one, q + "Name").text, ET.SubElement(one, q + "Value").text = name, url
    return ET.tostring(top, encoding="utf-8", xml_declaration=True)
