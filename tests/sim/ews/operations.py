"""The table of operations, and one request from its bytes to the bytes of its answer."""

import time
import xml.etree.ElementTree as ET

import access
import attach
import contacts
import control
import events
import folders
import items
import misc
import order
import search
import soap
import sync
import tasks
import zones
from soap import EwsError, Fault, S, local

items.KINDS.update({"CalendarItem": events, "Contact": contacts, "DistributionList": contacts, "Task": tasks})

OPERATIONS = {
    "GetFolder": folders.get_folder, "FindFolder": folders.find_folder, "CreateFolder": folders.create_folder,
    "UpdateFolder": folders.update_folder, "DeleteFolder": folders.delete_folder,
    "MoveFolder": folders.move_folder, "EmptyFolder": folders.empty_folder,
    "SyncFolderHierarchy": sync.sync_folder_hierarchy, "SyncFolderItems": sync.sync_folder_items,
    "GetItem": items.get_item, "CreateItem": items.create_item, "UpdateItem": items.update_item,
    "DeleteItem": items.delete_item, "MoveItem": items.move_item, "CopyItem": items.copy_item,
    "SendItem": items.send_item, "FindItem": search.find_item,
    "CreateAttachment": attach.create_attachment, "GetAttachment": attach.get_attachment,
    "DeleteAttachment": attach.delete_attachment,
    "GetServerTimeZones": zones.get_server_time_zones, "ResolveNames": misc.resolve_names,
    "ConvertId": misc.convert_id, "GetUserConfiguration": misc.get_user_configuration,
}


def version(org):
    a, b, c, d = org.settings["version"].split(".")
    public = {"8": "Exchange2007_SP1", "14": "Exchange2010_SP2"}.get(a)
    if a == "15":
        public = "Exchange2013_SP1" if b == "0" else "V2017_07_11"
    return {"MajorVersion": a, "MinorVersion": b, "MajorBuildNumber": c, "MinorBuildNumber": d, "Version": public}


def _open(org, schema, data):
    """(header, request element) of an envelope; a fault if it is not what the schema wants."""
    try:
        root = soap.parse(data)
    except ET.ParseError as e:
        raise Fault("ErrorSchemaValidation", "The request failed schema validation: %s" % e,
                    xml=[("LineNumber", e.position[0]), ("LinePosition", e.position[1]), ("Violation", str(e))])
    if root.tag != "{%s}Envelope" % S or root.find("{%s}Body" % S) is None or not len(root.find("{%s}Body" % S)):
        raise Fault("ErrorInvalidRequest", "The request is no SOAP envelope.")
    # Exchange looks at the version first, so that newer clients learn that they must step down.
    access.year(org, root.find("{%s}Header" % S))
    wrong = schema.check(data) if schema else None
    older = _older(org, root)
    wrong = wrong or older and (1, older)
    if wrong:
        raise Fault("ErrorSchemaValidation", "The request failed schema validation: " + wrong[1],
                    xml=[("LineNumber", wrong[0]), ("LinePosition", 1), ("Violation", wrong[1])])
    return root.find("{%s}Header" % S), root.find("{%s}Body" % S)[0]


def _older(org, root):
    """What the schema of Exchange 2010 does not have, though ours does: a text, or None."""
    if not org.settings["version"].startswith("14."):
        return None
    for e in root.iter():
        name = e.get("FieldURI", "").rpartition(":")[2] if local(e) == "FieldURI" else local(e)
        if name in order.SINCE_2013 and local(e) != "DistinguishedFolderId" and e.tag.startswith("{%s}" % soap.T):
            return "'%s' is not known." % name
        if e.get("SuppressReadReceipts"):
            return "The 'SuppressReadReceipts' attribute is not declared."
    return None


def serve(server, user, data, anchor=None):
    """(HTTP status, bytes) of one request by an authenticated user. May raise faults.Drop and faults.Status."""
    org = server.org
    op = "?"
    try:
        header, request = _open(org, server.schema, data)
        op = local(request)
        org.counts[op] = org.counts.get(op, 0) + 1
        call = access.Call(org, user, header, request, anchor)
        org.requests.append({"op": op, "at": time.time(), "user": user.login, "bytes": len(data), "anchor": anchor,
                             "mailbox": call.own.address if call.own else None,
                             "impersonated": bool(call.impersonated), "zone": call.zone.name if call.zone else None})
        del org.requests[:-5000]
        meanwhile = server.faults.request(op, call.own)
        if meanwhile:
            control.run(server, meanwhile)
        if user.disabled:
            raise Fault(user.disabled)
        if op not in OPERATIONS:
            raise Fault("ErrorInvalidRequest", "The operation %s is not known here." % op)
        try:
            body = OPERATIONS[op](call)
        except EwsError as e:
            # What concerns the whole request is told in its only response message.
            body = soap.response(op, [soap.failure(op, e, *EMPTY.get(op, ()))])
        return 200, soap.envelope(version(org), body)
    except Fault as f:
        org.counts["fault:" + f.code] = org.counts.get("fault:" + f.code, 0) + 1
        return f.http, soap.fault(f)


EMPTY = {"GetItem": ("Items",), "CreateItem": ("Items",), "UpdateItem": ("Items",), "MoveItem": ("Items",),
         "CopyItem": ("Items",), "CreateAttachment": ("Attachments",), "GetAttachment": ("Attachments",)}
