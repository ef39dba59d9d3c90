"""Folders, their synchronisation and that of items, moves, deletions, ids."""

from rig import BOX, mail_xml, message, ref


def create(rig, name, parent="msgfolderroot", kind="Folder", cls=""):
    return rig.ask("<m:CreateFolder><m:ParentFolderId>%s</m:ParentFolderId><m:Folders><t:%s>%s<t:DisplayName>%s"
                   "</t:DisplayName></t:%s></m:Folders></m:CreateFolder>" % (
                       ref(parent), kind, "<t:FolderClass>%s</t:FolderClass>" % cls if cls else "", name, kind))


def hierarchy(rig, state=""):
    return rig.ask(
        '<m:SyncFolderHierarchy><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI '
        'FieldURI="folder:DisplayName"/><t:FieldURI FieldURI="folder:ParentFolderId"/><t:FieldURI '
        'FieldURI="folder:FolderClass"/><t:FieldURI FieldURI="folder:DistinguishedFolderId"/><t:ExtendedFieldURI '
        'PropertyTag="0x10F4" PropertyType="Boolean"/></t:AdditionalProperties></m:FolderShape>%s'
        "</m:SyncFolderHierarchy>" % ("<m:SyncState>%s</m:SyncState>" % state if state else ""))


def changes(reply):
    out = []
    for c in reply.root.find(".//{*}Changes"):
        name = c.find(".//{*}DisplayName")
        out.append((c.tag.split("}")[1], name.text if name is not None else None))
    return out


def kinds(reply):
    return [c.tag.split("}")[1] for c in reply.root.find(".//{*}Changes")]


def test_hierarchy(rig):
    r = hierarchy(rig)
    found = changes(r)
    assert ("Create", "Inbox") in found and ("Create", "Calendar") in found and r.text("IncludesLastFolderInRange")
    hidden = [c.findtext(".//{*}DisplayName") for c in r.root.find(".//{*}Changes")
              if c.findtext(".//{*}Value") == "true"]
    assert "Quick Step Settings" in hidden and "Inbox" not in hidden
    assert "inbox" in [e.text for e in r.all("DistinguishedFolderId")]
    state = r.text("SyncState")
    assert changes(hierarchy(rig, state)) == []
    folder, _ = create(rig, "a/b", "inbox").id("FolderId")
    r = hierarchy(rig, state)
    assert changes(r) == [("Create", "a/b")]
    state = r.text("SyncState")
    rig.ask('<m:UpdateFolder><m:FolderChanges><t:FolderChange>%s<t:Updates><t:SetFolderField><t:FieldURI '
            'FieldURI="folder:DisplayName"/><t:Folder><t:DisplayName>c</t:DisplayName></t:Folder></t:SetFolderField>'
            "</t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>" % ref(folder))
    r = hierarchy(rig, state)
    assert changes(r) == [("Update", "c")]
    rig.ask('<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>%s</m:FolderIds></m:DeleteFolder>' % ref(folder))
    assert changes(hierarchy(rig, r.text("SyncState"))) == [("Delete", None)]


COMMITTED = ('<t:ExtendedFieldURI PropertyTag="0x670A" PropertyType="SystemTime"/>'
             '<t:ExtendedFieldURI PropertyTag="0x670B" PropertyType="Integer"/>')


def test_what_is_in_a_folder_is_not_in_the_hierarchy(rig):
    """A folder itself says when something in it last changed, and how much was removed."""
    def told():
        r = rig.ask("<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>%s"
                    "</t:AdditionalProperties></m:FolderShape><m:FolderIds>%s</m:FolderIds></m:GetFolder>" % (
                        COMMITTED, ref("contacts")))
        return [e.text for e in r.all("Value")]
    state = hierarchy(rig).text("SyncState")
    rig.control("age", mailbox=BOX, seconds=100)
    before = told()
    item, _ = rig.create("<t:Contact><t:DisplayName>A</t:DisplayName></t:Contact>", "contacts").id()
    made = told()
    assert made[0] > before[0] and made[1] == before[1] == "0"
    rig.control("delete", mailbox=BOX, id=item)
    assert told() == [made[0], "1"] and changes(hierarchy(rig, state)) == []


def test_folder_refusals(rig):
    assert create(rig, "INBOX").code == "ErrorFolderExists"
    assert create(rig, "x", kind="CalendarFolder", cls="IPF.Contact").code == "ErrorNoFolderClassOverride"
    gone, _ = create(rig, "gone").id("FolderId")
    delete = '<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>%s</m:FolderIds></m:DeleteFolder>'
    assert rig.ask(delete % ref("inbox")).code == "ErrorDeleteDistinguishedFolder"
    assert rig.ask(delete % ref(gone)).code == "NoError"
    assert rig.ask(delete % ref(gone)).code == "ErrorFolderNotFound"
    assert create(rig, "y", gone).code == "ErrorParentFolderNotFound"
    assert rig.sync(gone).code == "ErrorSyncFolderNotFound"
    assert rig.create(mail_xml(message()), gone).code == "ErrorSavedItemFolderNotFound"


def test_move_folder(rig):
    a, _ = create(rig, "a").id("FolderId")
    b, _ = create(rig, "b", a).id("FolderId")
    move = "<m:MoveFolder><m:ToFolderId>%s</m:ToFolderId><m:FolderIds>%s</m:FolderIds></m:MoveFolder>"
    assert rig.ask(move % (ref(b), ref(a))).code == "ErrorMoveCopyFailed"
    assert rig.ask(move % (ref("inbox"), ref(b))).id("FolderId")[0] == b
    assert "Inbox/b" in [f["path"] for f in rig.control("tree", mailbox=BOX)["folders"]]
    assert rig.ask(move % (ref(a), ref("inbox"))).code == "ErrorMoveDistinguishedFolder"


def test_kinds_of_folders(rig):
    r = create(rig, "Work", "calendar", "CalendarFolder")
    assert r.all("CalendarFolder")
    contact = "<t:Contact><t:FileAs>x</t:FileAs></t:Contact>"
    assert rig.create(contact, r.id("FolderId")[0]).code == "ErrorCannotCreateContactInNonContactFolder"
    assert rig.create("<t:Task><t:Subject>x</t:Subject></t:Task>", "inbox").code == \
        "ErrorCannotCreateTaskInNonTaskFolder"


def test_items_in_pages_newest_first(rig):
    for n in range(7):
        rig.create(mail_xml(message("m%d" % n), received="2026-03-0%dT00:00:00Z" % (n + 1)), "inbox")
    seen, state, pages = [], "", 0
    while True:
        r = rig.sync("inbox", state, 3, "Default")
        seen += [e.text for e in r.all("Subject")]
        state, pages = r.text("SyncState"), pages + 1
        if r.text("IncludesLastItemInRange") == "true":
            break
    assert seen == ["m%d" % n for n in range(6, -1, -1)] and pages == 3
    assert kinds(rig.sync("inbox", state)) == []


def test_changes_of_items(rig):
    a, ka = rig.create(mail_xml(message("a")), "inbox").id()
    b, kb = rig.create(mail_xml(message("b")), "inbox").id()
    state = rig.sync("inbox").text("SyncState")
    rig.update(a, ka, '<t:SetItemField><t:FieldURI FieldURI="message:IsRead"/><t:Message><t:IsRead>false</t:IsRead>'
               "</t:Message></t:SetItemField>")
    r = rig.sync("inbox", state)
    assert kinds(r) == ["ReadFlagChange"] and r.id()[0] == a and r.text("IsRead") == "false"
    state = r.text("SyncState")
    rig.control("change", mailbox=BOX, id=b, xml="<t:Subject>bb</t:Subject>")
    r = rig.sync("inbox", state)
    assert kinds(r) == ["Update"] and r.id()[0] == b and r.id()[1] != kb
    # A page that is asked for again is the same.
    assert kinds(rig.sync("inbox", state)) == ["Update"]
    state = r.text("SyncState")
    rig.control("delete", mailbox=BOX, id=a)
    r = rig.sync("inbox", state)
    assert kinds(r) == ["Delete"] and r.id()[0] == a
    assert kinds(rig.sync("inbox", r.text("SyncState"))) == []


def test_states(rig):
    rig.create(mail_xml(message("a")), "inbox")
    state = rig.sync("inbox").text("SyncState")
    assert rig.sync("drafts", state).code == "ErrorInvalidSyncStateData"
    assert rig.sync("inbox", state[:-8]).code == "ErrorInvalidSyncStateData"
    rig.control("lose_states", mailbox=BOX)
    assert rig.sync("inbox", state).code == "ErrorInvalidSyncStateData"
    assert kinds(rig.sync("inbox")) == ["Create"]


def test_at_most_512_changes(rig):
    assert rig.sync("inbox", most=513).fault == "ErrorSchemaValidation"


def test_a_move_gives_another_id(rig):
    item, _ = rig.create(mail_xml(message("a")), "inbox").id()
    inbox, drafts = rig.sync("inbox").text("SyncState"), rig.sync("drafts").text("SyncState")
    key = '<t:ExtendedFieldURI PropertyTag="0x300B" PropertyType="Binary"/>'
    before = rig.get(item, key).text("Value")
    r = rig.ask('<m:MoveItem><m:ToFolderId>%s</m:ToFolderId><m:ItemIds><t:ItemId Id="%s"/></m:ItemIds>'
                "<m:ReturnNewItemIds>true</m:ReturnNewItemIds></m:MoveItem>" % (ref("drafts"), item))
    new = r.id()[0]
    assert new != item and rig.get(item).code == "ErrorItemNotFound"
    assert rig.get(new, key).text("Value") == before
    assert kinds(rig.sync("inbox", inbox)) == ["Delete"] and kinds(rig.sync("drafts", drafts)) == ["Create"]
    r = rig.ask('<m:CopyItem><m:ToFolderId>%s</m:ToFolderId><m:ItemIds><t:ItemId Id="%s"/></m:ItemIds></m:CopyItem>'
                % (ref("inbox"), new))
    assert r.id()[0] != new and rig.get(new).code == "NoError"


def test_deletions(rig):
    delete = '<m:DeleteItem DeleteType="%s"><m:ItemIds><t:ItemId Id="%s"/></m:ItemIds></m:DeleteItem>'
    for how, role in (("MoveToDeletedItems", "Deleted Items"), ("SoftDelete", "Deletions"), ("HardDelete", None)):
        item, _ = rig.create(mail_xml(message(how)), "inbox").id()
        assert rig.ask(delete % (how, item)).code == "NoError"
        assert rig.ask(delete % (how, item)).code == "ErrorItemNotFound"
        left = [i["folder"].split("/")[-1] for i in rig.control("read", mailbox=BOX)["items"]
                if i["props"]["Subject"] == how]
        assert left == ([role] if role else [])


def test_ids_differ_by_case_only(rig):
    found = [rig.create(mail_xml(message("m%d" % n)), "inbox").id()[0] for n in range(4)]
    assert len(set(found)) == 4
    assert any(a != b and a.lower() == b.lower() for a in found for b in found)
    for bad in ("AAAA", "!", found[0][:-4], found[0][:-1]):
        assert rig.get(bad).code == "ErrorInvalidIdMalformed", bad
    assert rig.get(rig.control("tree", mailbox=BOX)["folders"][0]["id"]).code == "ErrorCannotUseFolderIdForItemId"


def test_find_item(rig):
    for n in range(5):
        rig.create(mail_xml(message("m%d" % n), flags=n % 2, received="2026-03-0%dT00:00:00Z" % (n + 1)), "inbox")
    find = ('<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>%s<t:AdditionalProperties>'
            '<t:FieldURI FieldURI="%s"/></t:AdditionalProperties></m:ItemShape><m:IndexedPageItemView '
            'MaxEntriesReturned="2" Offset="%d" BasePoint="Beginning"/>%s<m:SortOrder><t:FieldOrder Order="Ascending">'
            '<t:FieldURI FieldURI="item:DateTimeReceived"/></t:FieldOrder></m:SortOrder><m:ParentFolderIds>%s'
            "</m:ParentFolderIds></m:FindItem>")
    r = rig.ask(find % ("", "item:Subject", 2, "", ref("inbox")))
    root = r.root.find(".//{*}RootFolder")
    assert [e.text for e in r.all("Subject")] == ["m2", "m3"]
    assert (root.get("TotalItemsInView"), root.get("IncludesLastItemInRange"), root.get("IndexedPagingOffset")) == \
        ("5", "false", "4")
    only = ('<m:Restriction><t:IsEqualTo><t:FieldURI FieldURI="message:IsRead"/><t:FieldURIOrConstant><t:Constant '
            'Value="true"/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>')
    assert [e.text for e in rig.ask(find % ("", "item:Subject", 0, only, ref("inbox"))).all("Subject")] == ["m1", "m3"]
    mime = "<t:IncludeMimeContent>true</t:IncludeMimeContent>"
    assert rig.ask(find % (mime, "item:Subject", 0, "", ref("inbox"))).code == "ErrorInvalidPropertyForOperation"
    assert rig.ask(find % ("", "item:Body", 0, "", ref("inbox"))).code == "ErrorInvalidPropertyForOperation"
