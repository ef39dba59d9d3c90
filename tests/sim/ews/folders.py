"""Operations on folders: get, find, create, update, delete, move."""

import batch
import fields
from fields import zulu
from order import FOLDERS
from shape import rights
from soap import EwsError, child_text, el, local, mel, response, truth

CLASSES = {"Folder": "IPF.Note", "CalendarFolder": "IPF.Appointment", "ContactsFolder": "IPF.Contact",
           "TasksFolder": "IPF.Task"}
DEFAULT = {"DisplayName", "TotalCount", "ChildFolderCount", "UnreadCount", "FolderId"}
HIDDEN = "tag/10f4/Boolean"
COMMITTED, DELETED = "tag/670a/SystemTime", "tag/670b/Integer"


class Shape:
    def __init__(self, call, e):
        self.base = child_text(e, "BaseShape", "IdOnly")
        more = e.find("{*}AdditionalProperties") if e is not None else None
        self.paths = [fields.parse(x) for x in more] if more is not None else []
        self.call = call
        for p in self.paths:
            if p.kind == "field" and p.name == "DistinguishedFolderId" and not call.since(2013):
                raise EwsError("ErrorInvalidPropertyRequest", path=p.element)

    def names(self):
        names = {"FolderId"} | {p.name for p in self.paths if p.kind == "field"}
        if self.base == "Default":
            names |= DEFAULT
        elif self.base == "AllProperties":
            names |= DEFAULT | {"ParentFolderId", "FolderClass", "EffectiveRights"}
            if self.call.since(2013):
                names.add("DistinguishedFolderId")
        return names


def prop(folder, name):
    """The element of one property, or None."""
    normal = [i for i in folder.items.values() if not i.associated]
    if name == "FolderId":
        return el(name, None, Id=folder.id, ChangeKey=folder.key)
    if name == "ParentFolderId":
        up = folder.parent or folder
        return el(name, None, Id=up.id, ChangeKey=up.key)
    if name == "FolderClass":
        return el(name, folder.cls) if folder.cls else None
    if name == "DisplayName":
        return el(name, folder.name)
    if name == "TotalCount":
        return el(name, len(normal))
    if name == "ChildFolderCount":
        return el(name, len(folder.children()))
    if name == "UnreadCount":
        return el(name, sum(not truth(i.text("IsRead")) for i in normal))
    if name == "EffectiveRights":
        return rights()
    if name == "DistinguishedFolderId":
        return el(name, folder.role) if folder.role else None
    return None


def extended(folder, k):
    if k == HIDDEN:
        return ["true" if folder.hidden else "false"]
    if k == "tag/3613/String":
        return [folder.cls] if folder.cls else None
    if k == "tag/3001/String":
        return [folder.name]
    if k == "tag/3601/Integer":
        return ["1" if folder.parent else "0"]
    if k == "tag/3602/Integer":
        return [str(len(folder.items))]
    if k == COMMITTED:
        return [zulu(folder.committed)]
    if k == DELETED:
        return [str(folder.deleted)]
    return folder.ext.get(k)


def render(folder, shape):
    names = shape.names()
    e = el(folder.kind)
    for name in FOLDERS[folder.kind]:
        if name == "ExtendedProperty":
            for p in shape.paths:
                have = extended(folder, p.key) if p.kind == "extended" else None
                if have:
                    e.append(fields.extended(p.element, have))
        elif name in names:
            x = prop(folder, name)
            if x is not None:
                e.append(x)
    return e


def id_only(folder):
    return el(folder.kind, None, prop(folder, "FolderId"))


def get_folder(call):
    shape = Shape(call, call.request.find("{*}FolderShape"))

    def one(e):
        return [mel("Folders", None, render(call.folder(e), shape))]
    return response("GetFolder", batch.run(call, "GetFolder", call.request.find("{*}FolderIds"), one, "Folders"))


def find_folder(call):
    import search
    shape = Shape(call, call.request.find("{*}FolderShape"))
    deep = call.request.get("Traversal") == "Deep"
    view = call.request.find("{*}IndexedPageFolderView")
    test = search.restriction(call, call.request.find("{*}Restriction"), folders=True)

    def one(e):
        top = call.folder(e)
        found = [f for f in (top.below() if deep else top.children()) if test(f)]
        attributes, page = search.page(found, view)
        return [mel("RootFolder", None, el("Folders", None, *[render(f, shape) for f in page]), **attributes)]
    return response("FindFolder", batch.run(call, "FindFolder", call.request.find("{*}ParentFolderIds"), one))


def _name(folder, parent, name, self_too=None):
    if not name:
        raise EwsError("ErrorFolderSavePropertyError", "A folder needs a name.")
    if any(c.name.lower() == name.lower() and c is not self_too for c in parent.children()):
        raise EwsError("ErrorFolderExists")


def create_folder(call):
    try:
        parent = call.folder(call.request.find("{*}ParentFolderId")[0])
        missing = None
    except EwsError as e:
        parent, missing = None, e

    def one(e):
        if missing:
            raise EwsError("ErrorParentFolderNotFound" if missing.code == "ErrorFolderNotFound" else missing.code)
        kind = local(e)
        if kind not in CLASSES:
            raise EwsError("ErrorInvalidFolderTypeForOperation", "A %s cannot be created here." % kind)
        cls = child_text(e, "FolderClass")
        if cls and kind != "Folder" and not cls.startswith(CLASSES[kind]):
            raise EwsError("ErrorNoFolderClassOverride", "A typed folder has its own class.")
        name = child_text(e, "DisplayName")
        _name(None, parent, name)
        f = parent.box.add_folder(name, parent, cls or CLASSES[kind])
        for x in e.findall("{*}ExtendedProperty"):
            k = fields.key(x[0])
            _set_extended(f, k, fields.values(x, k))
        return [mel("Folders", None, id_only(f))]
    return response("CreateFolder", batch.run(call, "CreateFolder", call.request.find("{*}Folders"), one, "Folders"))


def _set_extended(f, k, have):
    if k == HIDDEN:
        f.hidden = truth(have[0])
    elif k == "tag/3613/String":
        f.cls = have[0]
    else:
        f.ext[k] = have


def update_folder(call):
    def one(change):
        f = call.folder(change[0])
        for c in change.find("{*}Updates"):
            path = fields.parse(c[0])
            if local(c) == "DeleteFolderField":
                if path.kind != "extended" and path.name not in ("PermissionSet", "FolderClass"):
                    raise EwsError("ErrorInvalidPropertyDelete", path=path.element)
                if path.key:
                    f.ext.pop(path.key, None)
            elif path.kind == "extended":
                x = c[1][0]
                _set_extended(f, path.key, fields.values(x, path.key))
            elif path.name == "DisplayName":
                if f.role:
                    raise EwsError("ErrorAccessDenied", "A distinguished folder keeps its name.")
                name = child_text(c[1], "DisplayName")
                _name(f, f.parent, name, f)
                f.name = name
            elif path.name == "FolderClass":
                f.cls = child_text(c[1], "FolderClass")
            else:
                raise EwsError("ErrorInvalidPropertySet", path=path.element)
        f.touch()
        return [mel("Folders", None, id_only(f))]
    return response("UpdateFolder", batch.run(call, "UpdateFolder", call.request.find("{*}FolderChanges"), one,
                                              "Folders"))


def delete_folder(call):
    how = call.request.get("DeleteType")

    def one(e):
        f = call.folder(e)
        if f.role:
            raise EwsError("ErrorDeleteDistinguishedFolder")
        bin_ = f.box.roles["deleteditems"]
        if how == "MoveToDeletedItems" and bin_ not in f.path():
            names = {c.name.lower() for c in bin_.children()}
            n, name = 0, f.name
            while name.lower() in names:
                n += 1
                name = f.name + str(n)
            f.name, f.parent = name, bin_
            f.touch()
        else:
            f.box.remove_folder(f)
        return []
    return response("DeleteFolder", batch.run(call, "DeleteFolder", call.request.find("{*}FolderIds"), one))


def empty_folder(call):
    def one(e):
        import items
        f = call.folder(e)
        for i in list(f.items.values()):
            items.dispose(i, call.request.get("DeleteType"))
        if truth(call.request.get("DeleteSubFolders")):
            for c in f.children():
                f.box.remove_folder(c)
        return []
    return response("EmptyFolder", batch.run(call, "EmptyFolder", call.request.find("{*}FolderIds"), one))


def move_folder(call):
    def one(e):
        try:
            to = call.folder(call.request.find("{*}ToFolderId")[0])
        except EwsError as x:
            raise EwsError("ErrorToFolderNotFound" if x.code == "ErrorFolderNotFound" else x.code)
        f = call.folder(e)
        if f.role:
            raise EwsError("ErrorMoveDistinguishedFolder")
        if f in to.path() or to.box is not f.box:
            raise EwsError("ErrorMoveCopyFailed", "The folder cannot be moved there.")
        _name(f, to, f.name, f)
        f.parent = to
        f.touch()
        return [mel("Folders", None, id_only(f))]
    return response("MoveFolder", batch.run(call, "MoveFolder", call.request.find("{*}FolderIds"), one, "Folders"))
