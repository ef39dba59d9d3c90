"""Operations on items of all kinds: get, create, update, delete, move, copy, send."""

import copy as pycopy

import attach
import batch
import fields
import ids
import mail
import mapi
import occurrences
import order
from fields import UTC, when, zulu
from shape import Shape, render
from soap import EwsError, copy, el, local, mel, response, truth
from store import Item, now

# kind -> module with any of: create(call, item, source), updated(call, item, names), settle(call, item, name, e),
# deleted(call, item, how): the kind's own rules. Filled by server.py.
KINDS = {}
CLASSES = {"Message": "IPM.Note", "CalendarItem": "IPM.Appointment", "Contact": "IPM.Contact", "Task": "IPM.Task",
           "DistributionList": "IPM.DistList", "Item": "IPM", "PostItem": "IPM.Post"}
HOMES = {"CalendarItem": "calendar", "Contact": "contacts", "DistributionList": "contacts", "Task": "tasks"}
FOLDER_KINDS = {"CalendarItem": ("IPF.Appointment", "ErrorCannotCreateCalendarItemInNonCalendarFolder"),
                "Contact": ("IPF.Contact", "ErrorCannotCreateContactInNonContactFolder"),
                "DistributionList": ("IPF.Contact", "ErrorCannotCreateContactInNonContactFolder"),
                "Task": ("IPF.Task", "ErrorCannotCreateTaskInNonTaskFolder")}


def hook(item, name):
    return getattr(KINDS.get(item.kind), name, None)


def target(call, e, write=False):
    """What an id element names: an Item, or an occurrence (which looks like one)."""
    what = local(e)
    if what == "OccurrenceItemId":
        box = call.box_of(e.get("RecurringMasterId"))
        return occurrences.by_index(box.item(e.get("RecurringMasterId")), int(e.get("InstanceIndex")), write)
    if what == "RecurringMasterItemId":
        box = call.box_of(e.get("OccurrenceId"))
        return occurrences.by_id(box, e.get("OccurrenceId")).master
    if what not in ("ItemId", "ParentItemId"):
        raise EwsError("ErrorInvalidId", "Such an id is not known here.")
    box = call.box_of(e.get("Id"))
    try:
        return box.item(e.get("Id"))
    except EwsError as x:
        if x.code != "ErrorInvalidIdMalformed":
            raise
    return occurrences.by_id(box, e.get("Id"))


def id_only(item):
    return el(item.kind, None, el("ItemId", None, Id=item.id, ChangeKey=item.key))


def get_item(call):
    shape = Shape(call, call.request.find("{*}ItemShape"))

    def one(e):
        item = target(call, e)
        if item.broken and not (shape.base == "IdOnly" and not shape.mime and not any(
                p.name in ("Body", "MimeContent") for p in shape.paths)) and item.broken == "ErrorItemCorrupt":
            raise EwsError(item.broken)
        if item.broken == "ErrorItemNotFound":
            raise EwsError(item.broken)
        return [mel("Items", None, render(call, item, shape))]
    return response("GetItem", batch.run(call, "GetItem", call.request.find("{*}ItemIds"), one, "Items"))


def set_element(call, item, e, creating=False):
    """Takes one element of an item into it."""
    name = local(e)
    if name == "ExtendedProperty":
        k = fields.key(e.find("{*}ExtendedFieldURI"))
        mapi.put(item, k, fields.values(e, k))
        return
    if name in order.READ_ONLY or name == "Attachments" and not creating:
        if not (name == "DateTimeStamp" and creating):
            raise EwsError("ErrorInvalidPropertySet", path=el("FieldURI", None, FieldURI=_uri(item.kind, name)))
        return
    if name in order.SINCE_2013 and not call.since(2013):
        raise EwsError("ErrorInvalidPropertyRequest")
    if name == "MimeContent":
        settle = hook(item, "mime_in")
        if settle:
            settle(call, item, mail.mime_bytes(e))
        elif item.kind in order.MAILS:
            mail.take_mime(call, item, mail.mime_bytes(e))
        else:
            raise EwsError("ErrorUnsupportedMimeConversion", "Such an item cannot be made of MIME.")
        return
    if name == "Attachments":
        for a in e:
            attach.add(call, item, a)
        return
    settle = hook(item, "settle")
    if settle and settle(call, item, name, e):
        return
    if name in order.TIMES:
        moment = when(e.text)
        if not moment.tzinfo:
            moment = call.zone.utc(moment) if call.zone else moment.replace(tzinfo=UTC)
        e = el(name, zulu(moment))
    if name in order.BOOLEANS:
        e = el(name, truth(e.text))
    if name == "Body" and e.get("BodyType") == "Best":
        raise EwsError("ErrorInvalidPropertySet")
    if name == "Flag":
        e = _flag(call, e)
    if name == "Categories" and not len(e):
        item.props.pop(name, None)
        return
    item.props[name] = copy(e)


def _flag(call, e):
    e = copy(e)
    status = e.find("{*}FlagStatus").text
    for x in e:
        if local(x) != "FlagStatus":
            moment = when(x.text)
            x.text = zulu(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    if status == "Complete" and e.find("{*}CompleteDate") is None:
        e.append(el("CompleteDate", zulu(now())))
    if status != "Flagged" and e.find("{*}DueDate") is not None:
        raise EwsError("ErrorInvalidPropertySet", "A flag that is not set has no dates.")
    return e


def _uri(kind, name):
    for prefix in sorted(order.PREFIXES[kind] - {"item"}):
        if name not in order.ITEM:
            return "%s:%s" % (prefix, name)
    return "item:" + name


def make(call, box, source):
    """An Item of a t:Message, t:CalendarItem ...; it is in no folder yet."""
    kind = local(source)
    if kind not in CLASSES:
        raise EwsError("ErrorInvalidOperation", "A %s cannot be created here." % kind)
    item = Item(box, kind)
    if kind != "Message":
        item.props["ItemClass"] = el("ItemClass", CLASSES[kind])
    for e in sorted(source, key=lambda x: local(x) != "MimeContent"):
        set_element(call, item, e, creating=True)
    if kind == "Message":
        mail.create(call, item, source)
    elif hook(item, "create"):
        hook(item, "create")(call, item, source)
    return item


def create_item(call):
    r = call.request
    disposition = r.get("MessageDisposition")
    saved = r.find("{*}SavedItemFolderId")

    def one(source):
        kind = local(source)
        if kind == "Message" and disposition is None:
            raise EwsError("ErrorMessageDispositionRequired")
        if kind == "CalendarItem" and r.get("SendMeetingInvitations") is None:
            raise EwsError("ErrorSendMeetingInvitationsRequired")
        try:
            folder = call.folder(saved[0]) if saved is not None else None
        except EwsError as e:
            raise EwsError("ErrorSavedItemFolderNotFound" if e.code == "ErrorFolderNotFound" else e.code, e.text)
        if folder is None and call.own is None:
            raise EwsError("ErrorMissingEmailAddress")
        if folder is None and call.own.state:
            raise EwsError(call.own.state)
        box = folder.box if folder else call.own
        if kind in ("AcceptItem", "DeclineItem", "TentativelyAcceptItem", "CancelCalendarItem", "ReplyToItem"):
            call.org.fail("response-sent", mailbox=box.address, kind=kind)
            raise EwsError("ErrorInvalidOperation", "Responses are not carried out here.")
        item = make(call, box, source)
        sending = kind == "Message" and disposition != "SaveOnly"
        if folder is None:
            folder = box.roles[HOMES.get(kind, "sentitems" if sending else "drafts")]
        wanted, error = FOLDER_KINDS.get(kind, ("", None))
        if error and not (folder.cls or "").startswith(wanted) and folder.role != "deleteditems":
            raise EwsError(error, "This folder is not for such items.")
        if sending:
            call.org.fail("message-sent", mailbox=box.address, subject=item.text("Subject"))
            item.draft = False
        if kind == "CalendarItem" and r.get("SendMeetingInvitations") != "SendToNone" and hook(item, "meeting")(item):
            call.org.fail("invitation-sent", mailbox=box.address, subject=item.text("Subject"))
        box.put(item, folder)
        return [mel("Items", None, id_only(item))]
    return response("CreateItem", batch.run(call, "CreateItem", r.find("{*}Items"), one, "Items"))


def _conflict(item, key, how, names):
    """Refuses a write that was not based on what is there."""
    if how == "AlwaysOverwrite":
        return
    if not key:
        raise EwsError("ErrorChangeKeyRequiredForWriteOperations",
                       "The ChangeKey is required for this operation.")
    based = ids.check_key(key)
    have = max(item.cn, item.read_cn)
    if based >= have:
        return
    # AutoResolve merges changes of different properties.
    if how == "NeverOverwrite" or any(item.marks.get(n, 0) > based for n in names):
        raise EwsError("ErrorIrresolvableConflict")


def _apply(call, item, change):
    """One SetItemField, DeleteItemField or AppendToItemField; gives the name that changed."""
    path = fields.parse(change[0])
    fields.check_version(path, call)
    if not fields.fits(path, item.kind):
        raise EwsError("ErrorInvalidPropertySet", path=path.element)
    what = local(change)
    label = path.key if path.kind == "extended" else path.name
    if item.kind in order.MAILS and path.kind == "field":
        mail.before_update(call, item, path.name)
    if what == "DeleteItemField":
        _delete_field(call, item, path)
        return label
    inner = change[1]
    if local(inner) not in (item.kind, "Item") and not (local(inner) == "Message" and item.kind in order.MAILS):
        raise EwsError("ErrorObjectTypeChanged", "The object is no %s." % local(inner))
    if len(inner) != 1:
        raise EwsError("ErrorIncorrectUpdatePropertyCount")
    e = inner[0]
    if what == "AppendToItemField":
        return _append(item, path, e)
    if path.kind == "extended":
        if local(e) != "ExtendedProperty" or fields.key(e[0]) != path.key:
            raise EwsError("ErrorUpdatePropertyMismatch", path=path.element)
        mapi.put(item, path.key, fields.values(e, path.key))
    elif local(e) != path.name:
        raise EwsError("ErrorUpdatePropertyMismatch", path=path.element)
    elif path.kind == "indexed":
        _set_indexed(item, path, e)
    else:
        set_element(call, item, e)
    return label


def _delete_field(call, item, path):
    if path.kind == "extended":
        mapi.drop(item, path.key)
    elif path.name in order.READ_ONLY or path.name in ("MimeContent", "ItemClass", "Start", "End"):
        raise EwsError("ErrorInvalidPropertyDelete", path=path.element)
    elif path.kind == "indexed":
        index, part = path.index
        if part:
            mapi.set_place(item, index, part, None)
        elif path.name == "InternetMessageHeaders":
            raise EwsError("ErrorInvalidPropertyDelete", path=path.element)
        else:
            mapi.set_entry(item, path.name, index, None)
    else:
        settle = hook(item, "settle")
        if not (settle and settle(call, item, path.name, None)):
            item.props.pop(path.name, None)


def _append(item, path, e):
    if path.name == "Body" and "Body" in item.props:
        item.props["Body"].text = (item.props["Body"].text or "") + (e.text or "")
    elif path.name in ("ToRecipients", "CcRecipients", "BccRecipients", "ReplyTo", "RequiredAttendees",
                       "OptionalAttendees", "Resources", "Categories"):
        have = item.props.setdefault(path.name, el(path.name))
        have.extend(copy(x) for x in e)
    else:
        raise EwsError("ErrorInvalidPropertyAppend", path=path.element)
    return path.name


def _set_indexed(item, path, e):
    """SetItemField with an IndexedFieldURI: exactly the one entry that it names."""
    index, part = path.index
    if len(e) != 1 or e[0].get("Key") != index:
        raise EwsError("ErrorUpdatePropertyMismatch", path=path.element)
    if part:
        if len(e[0]) != 1 or local(e[0][0]) != part:
            raise EwsError("ErrorUpdatePropertyMismatch", path=path.element)
        mapi.set_place(item, index, part, e[0][0].text)
    else:
        mapi.set_entry(item, path.name, index, e[0].text)


def save(item):
    """A copy of what an update may change, to go back to."""
    return (item.kind, dict(item.props), {k: list(v) for k, v in item.ext.items()}, item.mime, list(item.headers),
            list(item.attachments), pycopy.deepcopy(item.series), item.draft)


def restore(item, saved):
    item.kind, item.props, item.ext, item.mime, item.headers, item.attachments, item.series, item.draft = saved


def update_item(call):
    r = call.request

    def one(change):
        item = target(call, change[0], write=True)
        if item.kind in order.MAILS and r.get("MessageDisposition") is None:
            raise EwsError("ErrorMessageDispositionRequired")
        if item.kind == "CalendarItem" and r.get("SendMeetingInvitationsOrCancellations") is None:
            raise EwsError("ErrorSendMeetingInvitationsOrCancellationsRequired")
        was_meeting = item.kind == "CalendarItem" and hook(item, "meeting")(item)
        saved, was_read = save(item), item.text("IsRead")
        # In the store a property is not changed in place.
        item.props = {k: copy(v) for k, v in item.props.items()}
        try:
            names = [_apply(call, item, c) for c in change.find("{*}Updates")]
            _conflict(item, change[0].get("ChangeKey"), r.get("ConflictResolution"), names)
            if item.kind in order.MAILS and mail.IN_MIME & set(names) and "MimeContent" not in names:
                item.mime = None
            if hook(item, "updated"):
                hook(item, "updated")(call, item, names)
        except EwsError:
            restore(item, saved)
            raise
        if truth(item.text("IsRead")) and not truth(was_read) and not truth(r.get("SuppressReadReceipts")) \
                and item.kind in order.MAILS:
            mail.receipt(call, item, "marked as read")
        if item.kind in order.MAILS and r.get("MessageDisposition") != "SaveOnly":
            call.org.fail("message-sent", mailbox=item.box.address, subject=item.text("Subject"))
        if item.kind == "CalendarItem" and r.get("SendMeetingInvitationsOrCancellations") != "SendToNone" and (
                was_meeting or hook(item, "meeting")(item)):
            call.org.fail("update-sent", mailbox=item.box.address, subject=item.text("Subject"))
        item.touch(content=set(names) != {"IsRead"})
        item.marks.update({n: max(item.cn, item.read_cn) for n in names})
        return [mel("Items", None, id_only(item)), mel("ConflictResults", None, el("Count", 0))]
    return response("UpdateItem", batch.run(call, "UpdateItem", r.find("{*}ItemChanges"), one, "Items"))


def delete_item(call):
    r = call.request

    def one(e):
        item = target(call, e, write=True)
        if item.kind == "CalendarItem" and r.get("SendMeetingCancellations") is None:
            raise EwsError("ErrorSendMeetingCancellationsRequired")
        if item.kind == "Task" and r.get("AffectedTaskOccurrences") is None:
            raise EwsError("ErrorAffectedTaskOccurrencesRequired")
        if item.kind == "CalendarItem" and r.get("SendMeetingCancellations") != "SendToNone" and \
                hook(item, "meeting")(item):
            call.org.fail("cancellation-sent", mailbox=item.box.address, subject=item.text("Subject"))
        if item.kind in order.MAILS and not truth(item.text("IsRead")) and not item.draft and \
                not truth(r.get("SuppressReadReceipts")) and truth(item.text("IsReadReceiptRequested")):
            call.org.fail("not-read-receipt", mailbox=item.box.address, subject=item.text("Subject"))
        if hook(item, "deleted") and hook(item, "deleted")(call, item, r):
            return []
        dispose(item, r.get("DeleteType"))
        return []
    return response("DeleteItem", batch.run(call, "DeleteItem", r.find("{*}ItemIds"), one))


def dispose(item, how):
    if how == "MoveToDeletedItems" and item.folder.role != "deleteditems":
        item.box.move(item, item.box.roles["deleteditems"])
    elif how == "HardDelete":
        item.box.remove(item)
    else:
        item.box.move(item, item.box.roles["recoverableitemsdeletions"])


def _destination(call):
    try:
        return call.folder(call.request.find("{*}ToFolderId")[0])
    except EwsError as e:
        raise EwsError("ErrorToFolderNotFound" if e.code == "ErrorFolderNotFound" else e.code, e.text)


def _transfer(call, move):
    wanted = truth((call.request.findtext("{*}ReturnNewItemIds") or "true"))

    def one(e):
        to = _destination(call)
        item = target(call, e)
        if getattr(item, "master", None) is not None:
            raise EwsError("ErrorCalendarCannotMoveOrCopyOccurrence", "An occurrence cannot be moved or copied.")
        across = item.box is not to.box
        if move and not across:
            item.box.move(item, to)
        else:
            other = clone(item, to.box)
            to.box.put(other, to)
            if move:
                item.box.remove(item)
            item = other
        return [mel("Items", None, id_only(item) if wanted and not across else None)]
    return response(call.op, batch.run(call, call.op, call.request.find("{*}ItemIds"), one, "Items"))


def clone(item, box):
    other = pycopy.copy(item)
    other.box, other.marks = box, {}
    restore(other, save(item))
    other.props = {k: copy(v) for k, v in item.props.items()}
    other.attachments = [pycopy.copy(a) for a in item.attachments]
    for a in other.attachments:
        a.number = next(box.numbers)
    return other


def move_item(call):
    return _transfer(call, True)


def copy_item(call):
    return _transfer(call, False)


def send_item(call):
    def one(e):
        item = target(call, e)
        call.org.fail("message-sent", mailbox=item.box.address, subject=item.text("Subject"))
        return []
    return response("SendItem", batch.run(call, "SendItem", call.request.find("{*}ItemIds"), one))
