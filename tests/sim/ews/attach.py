"""Attachments: files and whole items, added, given and removed; each changes the item's ChangeKey."""

import base64
import binascii

import batch
import ids
import mail
import shape
from soap import EwsError, child_text, el, local, mel, response, truth
from store import Attachment

DEEPEST = 10


def add(call, item, e):
    """Takes a t:FileAttachment or t:ItemAttachment."""
    a = Attachment(next(item.box.numbers), child_text(e, "Name") or "")
    a.content_type, a.content_id = child_text(e, "ContentType"), child_text(e, "ContentId")
    a.location, a.inline = child_text(e, "ContentLocation"), truth(child_text(e, "IsInline"))
    if local(e) == "FileAttachment":
        try:
            a.content = base64.b64decode("".join((child_text(e, "Content") or "").split()), validate=True)
        except (binascii.Error, ValueError):
            raise EwsError("ErrorInvalidAttachmentId", "The content is no base64.")
        a.photo = truth(child_text(e, "IsContactPhoto"))
    elif local(e) == "ItemAttachment":
        import items
        inner = [x for x in e if local(x) in items.CLASSES]
        if not inner:
            raise EwsError("ErrorMissingItemForCreateItemAttachment", "The attachment has no item.")
        if _depth(e) > DEEPEST:
            raise EwsError("ErrorAttachmentNestLevelLimitExceeded", "Attachments are nested too deep.")
        a.item = items.make(call, item.box, inner[0])
    else:
        raise EwsError("ErrorInvalidOperation", "Such an attachment is not known here.")
    item.attachments.append(a)
    return a


def _depth(e):
    return 1 + max([_depth(x) for x in e.findall("./*/{*}Attachments/{*}ItemAttachment")] or [0])


def create_attachment(call):
    import items
    parent = call.request.find("{*}ParentItemId")

    def one(e):
        item = items.target(call, parent, write=True)
        if parent.get("ChangeKey") and ids.check_key(parent.get("ChangeKey")) < state["key"]:
            raise EwsError("ErrorStaleObject")
        if hasattr(item, "own_attachments"):
            item.own_attachments()
        a = add(call, item, e)
        item.touch()
        # Its MIME text is made of the properties from now on.
        item.mime = None
        tag = local(e)
        return [mel("Attachments", None, el(tag, None, el(
            "AttachmentId", None, Id=item.box.attachment_id(a), RootItemId=item.id, RootItemChangeKey=item.key)))]
    state = {"key": 0}
    try:
        first = items.target(call, parent)
        state["key"] = max(first.cn, first.read_cn)
    except EwsError:
        pass
    return response("CreateAttachment", batch.run(call, "CreateAttachment", call.request.find("{*}Attachments"),
                                                  one, "Attachments"))


def get_attachment(call):
    wanted = call.request.find("{*}AttachmentShape")
    body = child_text(wanted, "BodyType", "Best")
    mime = truth(child_text(wanted, "IncludeMimeContent", "false"))

    def one(e):
        item, _, a = call.box_of(e.get("Id")).find_attachment(e.get("Id"))
        x = shape.attachment(call, item, a, True, body)
        if mime and a.item is not None:
            inner = x[-1]
            inner.insert(0, el("MimeContent", base64.b64encode(mail.generate(call, a.item)).decode(),
                               CharacterSet="UTF-8"))
        return [mel("Attachments", None, x)]
    return response("GetAttachment", batch.run(call, "GetAttachment", call.request.find("{*}AttachmentIds"), one,
                                               "Attachments"))


def delete_attachment(call):
    def one(e):
        item, holder, a = call.box_of(e.get("Id")).find_attachment(e.get("Id"))
        holder.remove(a)
        item.mime = None
        item.touch()
        return [mel("RootItemId", None, RootItemId=item.id, RootItemChangeKey=item.key)]
    return response("DeleteAttachment", batch.run(call, "DeleteAttachment",
                                                  call.request.find("{*}AttachmentIds"), one))
