"""What the server holds: users, mailboxes, folders, items, attachments, and the numbers of changes."""

import datetime
import hashlib
import itertools
import threading

import ids
from soap import EwsError

UTC = datetime.timezone.utc
# name -> (display name, parent, class); roles that every mailbox has.
DISTINGUISHED = {
    "root": ("", None, None),
    "msgfolderroot": ("Top of Information Store", "root", None),
    "inbox": ("Inbox", "msgfolderroot", "IPF.Note"),
    "sentitems": ("Sent Items", "msgfolderroot", "IPF.Note"),
    "drafts": ("Drafts", "msgfolderroot", "IPF.Note"),
    "deleteditems": ("Deleted Items", "msgfolderroot", "IPF.Note"),
    "junkemail": ("Junk Email", "msgfolderroot", "IPF.Note"),
    "outbox": ("Outbox", "msgfolderroot", "IPF.Note"),
    "calendar": ("Calendar", "msgfolderroot", "IPF.Appointment"),
    "contacts": ("Contacts", "msgfolderroot", "IPF.Contact"),
    "tasks": ("Tasks", "msgfolderroot", "IPF.Task"),
    "notes": ("Notes", "msgfolderroot", "IPF.StickyNote"),
    "journal": ("Journal", "msgfolderroot", "IPF.Journal"),
    "searchfolders": ("Finder", "root", None),
    "recoverableitemsroot": ("Recoverable Items", "root", None),
    "recoverableitemsdeletions": ("Deletions", "recoverableitemsroot", None),
}
# As in a real mailbox, folders that are shown but hidden, or of no known kind: clients must skip them.
EXTRA = (("Conversation Action Settings", "IPF.Configuration", True),
         ("Quick Step Settings", "IPF.Configuration", True), ("ExternalContacts", "IPF.Contact", True))


def now():
    return datetime.datetime.now(UTC).replace(microsecond=0)


class Folder:
    def __init__(self, box, number, name, parent, cls, role=None):
        self.box, self.number, self.name, self.parent, self.cls, self.role = box, number, name, parent, cls, role
        self.ext = {}              # key of fields.key() -> list of values
        self.items = {}            # number -> Item
        self.cn = box.tick()
        self.hidden = False
        self.gone = False
        self.committed, self.deleted = now(), 0        # of items in it: the last change, how many were removed

    @property
    def id(self):
        return ids.make(self.box.address, "folder", self.number)

    @property
    def key(self):
        return ids.change_key("folder", self.cn)

    def children(self):
        return [f for f in self.box.folders.values() if f.parent is self]

    def path(self):
        return self.parent.path() + [self] if self.parent else [self]

    def below(self):
        """All folders under this one, parents first."""
        for c in self.children():
            yield c
            yield from c.below()

    @property
    def kind(self):
        c = self.cls or ""
        return {"IPF.Appointment": "CalendarFolder", "IPF.Contact": "ContactsFolder",
                "IPF.Task": "TasksFolder"}.get(".".join(c.split(".")[:2]), "Folder")

    def touch(self):
        self.cn = self.box.tick()


class Attachment:
    """A file (content) or an item (item)."""

    def __init__(self, number, name, content=None, item=None):
        self.number, self.name, self.content, self.item = number, name, content, item
        self.content_type = self.content_id = self.location = None
        self.inline = self.photo = False
        self.modified = now()

    @property
    def size(self):
        return len(self.content) if self.content is not None else 1024


class Item:
    def __init__(self, box, kind):
        self.box, self.kind = box, kind
        self.number = self.folder = None
        self.props = {}            # element name -> element
        self.ext = {}              # key of fields.key() -> list of values
        self.mime = None           # bytes as they came in
        self.headers = []          # of a mail: (name, value)
        self.attachments = []
        self.created = self.modified = now()
        self.cn = self.read_cn = 0
        self.draft = False
        self.sent = False
        self.associated = False
        self.search_key = b""
        self.broken = None         # error code that GetItem gives, set by tests
        self.marks = {}            # name of a property -> number of the change that set it last
        self.series = None         # of a recurring event: events.Series

    @property
    def id(self):
        return ids.make(self.box.address, "item", self.number)

    @property
    def key(self):
        return ids.change_key(self.kind, max(self.cn, self.read_cn))

    def text(self, name, default=None):
        e = self.props.get(name)
        return default if e is None else (e.text or "")

    def touch(self, content=True):
        """A change: of the content, or of the read flag only."""
        n = self.box.tick()
        if content:
            self.cn = n
        else:
            self.read_cn = n
        self.modified = now()
        if getattr(self, "folder", None) is not None:
            self.folder.committed = self.modified


class Mailbox:
    def __init__(self, address, name=None, aliases=(), zone=None):
        self.address, self.name, self.zone = address, name or address.split("@")[0], zone
        self.aliases = [a.lower() for a in aliases]
        self.changes = itertools.count(1)
        self.numbers = itertools.count(16)
        self.epoch = 0             # of sync states; changed by tests to lose them
        self.folders, self.items, self.roles = {}, {}, {}
        self.state = None          # an error code: the store is not available
        self.sealed = False        # no right to anything but what `delegates` says
        for role, (title, parent, cls) in DISTINGUISHED.items():
            self.roles[role] = self.add_folder(title, self.roles.get(parent), cls, role)
        for title, cls, hidden in EXTRA:
            self.add_folder(title, self.roles["msgfolderroot"], cls).hidden = hidden

    def tick(self):
        return next(self.changes)

    def add_folder(self, name, parent, cls, role=None):
        f = Folder(self, next(self.numbers), name, parent, cls, role)
        self.folders[f.number] = f
        return f

    def remove_folder(self, folder):
        for c in folder.children():
            self.remove_folder(c)
        for i in list(folder.items.values()):
            self.remove(i)
        folder.gone = True
        del self.folders[folder.number]

    def put(self, item, folder):
        """The item appears in a folder, with a number of its own."""
        item.number, item.folder = next(self.numbers), folder
        if not item.search_key:
            item.search_key = hashlib.md5(("%s/%d" % (self.address, item.number)).encode()).digest()
        folder.items[item.number] = self.items[item.number] = item
        item.touch()

    def remove(self, item):
        if item.folder.items.pop(item.number, None) is not None:
            item.folder.deleted += 1
        self.items.pop(item.number, None)

    def move(self, item, folder):
        """As in Exchange, the item gets another id."""
        self.remove(item)
        self.put(item, folder)

    def folder(self, text):
        number, _ = ids.parse(self.address, text, ("folder",))
        f = self.folders.get(number)
        if f is None:
            raise EwsError("ErrorFolderNotFound")
        return f

    def item(self, text):
        number, _ = ids.parse(self.address, text, ("item",))
        i = self.items.get(number)
        if i is None:
            raise EwsError("ErrorItemNotFound")
        return i

    def find_attachment(self, text):
        """(item, list that holds it, attachment); attachments of attached items count."""
        number, _ = ids.parse(self.address, text, ("attachment",))
        for item in self.items.values():
            for a in item.attachments:
                if a.number == number:
                    return item, item.attachments, a
            for occurrence in item.series.exceptions.values() if item.series else ():
                for a in occurrence.attachments or ():
                    if a.number == number:
                        return item, occurrence.attachments, a
        raise EwsError("ErrorItemNotFound")

    def attachment_id(self, a):
        return ids.make(self.address, "attachment", a.number)


class User:
    def __init__(self, login, password, impersonate=False, delegate=(), address=None):
        self.login, self.password, self.address = login, password, address
        self.impersonate = impersonate     # True: everybody; else a list of addresses
        self.delegate = [a.lower() for a in delegate] if delegate is not True else True
        self.disabled = None

    def may(self, right, address):
        value = getattr(self, right)
        return value is True or bool(value) and address.lower() in [a.lower() for a in value]


class Org:
    """Everything, with the lock that each request holds."""

    def __init__(self):
        self.lock = threading.RLock()
        self.mailboxes, self.users = {}, {}
        self.settings = {"mime": "regenerate", "version": "15.2.2562.17", "limit": 64 << 20, "check": False,
                         "domain": "example.org", "auth": "basic", "epa": False, "token_seconds": 3600,
                         "absent": [], "leads_to": None}
        self.tokens, self.refused = {}, []      # token -> (User, until); why logons were refused
        self.failures = []         # what must never happen: a notification that would have been sent
        self.counts, self.requests = {}, []

    def add_mailbox(self, address, **how):
        box = Mailbox(address, **how)
        self.mailboxes[address.lower()] = box
        return box

    def add_user(self, login, password, **how):
        user = User(login, password, **how)
        self.users[login.lower()] = user
        return user

    def mailbox(self, address):
        """By primary address only: an alias is told as such."""
        box = self.mailboxes.get((address or "").lower())
        if box is not None:
            return box
        if any(address.lower() in b.aliases for b in self.mailboxes.values()):
            raise EwsError("ErrorNonPrimarySmtpAddress")
        raise EwsError("ErrorNonExistentMailbox")

    def fail(self, what, **more):
        self.failures.append(dict(what=what, **more))
