"""SyncFolderHierarchy and SyncFolderItems: changes since a state, paged, newest first."""

import batch
import folders
import ids
from ids import Ranges
from order import MAILS
from shape import Shape, render
from soap import EwsError, boolean, el, mel, response, truth


def _given(folder, what, text):
    box = folder.box
    if not text:
        return {"ids": Ranges(), "cns": Ranges(), "read": Ranges()}
    return ids.read_state(box.address, what, folder.number, box.epoch, text)


def sync_folder_hierarchy(call):
    shape = folders.Shape(call, call.request.find("{*}FolderShape"))
    root = call.request.find("{*}SyncFolderId")

    def one(_):
        try:
            top = call.folder(root[0] if root is not None else el("DistinguishedFolderId", None, Id="msgfolderroot"))
        except EwsError as e:
            raise EwsError("ErrorSyncFolderNotFound") if e.code == "ErrorFolderNotFound" else e
        have = _given(top, "hierarchy", call.request.findtext("{*}SyncState"))
        changes = mel("Changes")
        present = list(top.below())
        for f in present:
            if f.number not in have["ids"]:
                changes.append(el("Create", None, folders.render(f, shape)))
            elif f.cn not in have["cns"]:
                changes.append(el("Update", None, folders.render(f, shape)))
        numbers = {f.number for f in present}
        for n in have["ids"].members():
            if n not in numbers:
                gone = ids.make(top.box.address, "folder", n)
                changes.append(el("Delete", None, el("FolderId", None, Id=gone, ChangeKey=ids.change_key("folder", 1))))
        state = ids.write_state(top.box.address, "hierarchy", top.number, top.box.epoch, {
            "ids": Ranges.of(numbers), "cns": Ranges.of(f.cn for f in present), "read": Ranges()})
        return [mel("SyncState", state), mel("IncludesLastFolderInRange", True), changes]
    return response("SyncFolderHierarchy", batch.run(call, "SyncFolderHierarchy", [None], one))


def sync_folder_items(call):
    r = call.request
    shape = Shape(call, r.find("{*}ItemShape"))
    most = int(r.findtext("{*}MaxChangesReturned"))
    ignore = {x.get("Id") for x in r.find("{*}Ignore")} if r.find("{*}Ignore") is not None else set()
    associated = r.findtext("{*}SyncScope") == "NormalAndAssociatedItems"
    if shape.mime:
        raise EwsError("ErrorInvalidPropertyForOperation")

    def one(_):
        try:
            folder = call.folder(r.find("{*}SyncFolderId")[0])
        except EwsError as e:
            raise EwsError("ErrorSyncFolderNotFound") if e.code == "ErrorFolderNotFound" else e
        have = _given(folder, "items", r.findtext("{*}SyncState"))
        return _items(call, folder, have, most, associated, ignore, shape)
    return response("SyncFolderItems", batch.run(call, "SyncFolderItems", [None], one))


def _pending(folder, have, associated, ignore):
    """What is to be told, in order: (kind, item or number)."""
    present = {n: i for n, i in folder.items.items() if associated or not i.associated}
    out = []
    for n, i in present.items():
        if i.id in ignore:
            continue
        if n not in have["ids"]:
            out.append(("Create", i))
        elif i.cn not in have["cns"]:
            out.append(("Update", i))
    out.sort(key=lambda c: (c[1].text("DateTimeReceived") or "", c[1].cn), reverse=True)
    out += [("Delete", n) for n in have["ids"].members() if n not in present]
    out += [("ReadFlagChange", i) for n, i in present.items()
            if n in have["ids"] and i.cn in have["cns"] and i.read_cn and i.read_cn not in have["read"]]
    return out


def _items(call, folder, have, most, associated, ignore, shape):
    pending = _pending(folder, have, associated, ignore)
    told, rest = pending[:most], pending[most:]
    known = {k: set(v.members()) for k, v in have.items()}
    changes = mel("Changes")
    for what, i in told:
        if what == "Delete":
            known["ids"].discard(i)
            gone = el("ItemId", None, Id=ids.make(folder.box.address, "item", i),
                      ChangeKey=ids.change_key("Message", 1))
            changes.append(el(what, None, gone))
            continue
        known["cns"].add(i.cn)
        known["read"].add(i.read_cn)
        known["ids"].add(i.number)
        if what == "ReadFlagChange":
            changes.append(el(what, None, el("ItemId", None, Id=i.id, ChangeKey=i.key),
                              el("IsRead", truth(i.text("IsRead"))) if i.kind in MAILS else el("IsRead", False)))
        else:
            changes.append(el(what, None, render(call, i, shape)))
    # What is not there any more need not be remembered, so that a state does not grow for ever.
    alive = {i.cn for i in folder.items.values()} if not rest else known["cns"]
    state = ids.write_state(folder.box.address, "items", folder.number, folder.box.epoch, {
        "ids": Ranges.of(known["ids"]), "cns": Ranges.of(known["cns"] & alive),
        "read": Ranges.of(known["read"])})
    return [mel("SyncState", state), mel("IncludesLastItemInRange", boolean(not rest)), changes]
