"""What tests ask and tell: one JSON object {"do": VERB, ...} per request, a JSON answer. See README.md."""

import base64
import copy
import datetime
import xml.etree.ElementTree as ET

import access
import items
import mapi
import soap
import store
from soap import el, local, truth

VERBS = {}


def verb(f):
    VERBS[f.__name__] = f
    return f


def run(server, ask):
    ask = dict(ask)
    do = ask.pop("do", "state")
    if do not in VERBS:
        raise ValueError("no such verb: %s (there are %s)" % (do, ", ".join(sorted(VERBS))))
    return VERBS[do](server, **ask)


def _folder(box, where):
    """A Folder by its role, or by its path of names below the top ("Inbox/Work")."""
    if where in box.roles:
        return box.roles[where]
    f = box.roles["msgfolderroot"]
    for name in where.split("/"):
        f = next((c for c in f.children() if c.name == name), None)
        if f is None:
            raise ValueError("no folder %s in %s" % (where, box.address))
    return f


def _path(folder):
    names = [f.name for f in folder.path() if f.parent and f.role != "msgfolderroot"]
    return "/".join(names)


@verb
def mailbox(server, address, name=None, aliases=(), zone="UTC"):
    """Adds a mailbox."""
    server.org.add_mailbox(address, name=name, aliases=aliases, zone=zone)
    return {}


@verb
def user(server, login, password, address=None, impersonate=False, delegate=()):
    """Adds a user or replaces one. impersonate, delegate: true, or a list of addresses."""
    server.org.add_user(login, password, address=address, impersonate=impersonate, delegate=delegate)
    return {}


@verb
def load(server, mailboxes=(), users=(), settings=None, **_):
    """Several of both; "folders": paths with classes; "items": as `put` takes them."""
    for m in mailboxes:
        m = dict(m)
        folders, mails = m.pop("folders", []), m.pop("items", [])
        mailbox(server, **m)
        for f in folders:
            folder(server, m["address"], **f)
        for i in mails:
            put(server, m["address"], **i)
    for u in users:
        user(server, **u)
    server.org.settings.update(settings or {})
    return {}


@verb
def folder(server, mailbox, path, cls="IPF.Note", hidden=False):
    """Makes a folder and those above it."""
    box = server.org.mailbox(mailbox)
    f = box.roles["msgfolderroot"]
    for name in path.split("/"):
        found = next((c for c in f.children() if c.name == name), None)
        f = found or box.add_folder(name, f, cls)
    f.hidden = hidden
    return {"id": f.id}


class _Creator(access.Call):
    """The call of nobody, for items that tests put."""

    def __init__(self, server, box):
        self.org, self.own, self.year, self.zone, self.impersonated = server.org, box, 2013, None, None
        self.request = el("Control")
        self.op = "Control"
        self.user = None

    def box_of(self, text):
        return self.own


@verb
def put(server, mailbox, folder, xml=None, mime=None, read=None, received=None, draft=False, broken=None,
        associated=False):
    """An item as another client would have stored it: `xml`, a t:Message, t:CalendarItem ... (prefix t is declared
    here), or `mime`, text or base64 of a message. No check against the schema."""
    box = server.org.mailbox(mailbox)
    where = _folder(box, folder)
    if xml is not None:
        source = ET.fromstring('<x xmlns:t="%s">%s</x>' % (soap.T, xml))[0]
    else:
        data = mime.encode() if not _is_base64(mime) else base64.b64decode(mime)
        source = el("Message", None, el("MimeContent", base64.b64encode(data).decode()))
        flags = (0 if read is False else 1) | 8 * draft
        source.append(_ext("0x0E07", "Integer", str(flags)))
        if received:
            source.append(_ext("0x0E06", "SystemTime", received))
        # What comes from outside is not read by us: no receipt is due.
        before = list(server.org.failures)
    item = items.make(_Creator(server, box), box, source)
    if xml is None:
        server.org.failures[:] = before
    item.broken, item.associated = broken, associated
    box.put(item, where)
    return {"id": item.id, "key": item.key}


def _is_base64(text):
    try:
        return not (set(text.strip()) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n")) \
            and bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False


def _ext(tag, kind, value):
    return el("ExtendedProperty", None, el("ExtendedFieldURI", None, PropertyTag=tag, PropertyType=kind),
              el("Value", value))


def _tree(e):
    """An element as JSON: text, or a list of [name, attributes, content]."""
    if not len(e):
        return e.text or ""
    return [[local(c), dict(c.attrib), _tree(c)] for c in e]


def describe(item, mime=False):
    """An item as JSON."""
    out = {"id": item.id, "key": item.key, "kind": item.kind, "folder": _path(item.folder),
           "props": {k: _tree(v) for k, v in item.props.items() if k != "Body"},
           "ext": {k: v for k, v in item.ext.items()}, "draft": item.draft, "read": truth(item.text("IsRead")),
           "flags": mapi.flags(item), "associated": item.associated,
           "body": item.text("Body"), "attachments": [
               {"name": a.name, "type": a.content_type, "inline": a.inline, "photo": a.photo,
                "content": base64.b64encode(a.content).decode() if a.content is not None else None,
                "item": a.item.kind if a.item is not None else None} for a in item.attachments]}
    if mime and item.mime is not None:
        out["mime"] = base64.b64encode(item.mime).decode()
    if item.series is not None:
        out["series"] = item.series.describe()
    return out


@verb
def read(server, mailbox, folder=None, mime=False):
    """All items of a folder, or of the mailbox, as JSON."""
    box = server.org.mailbox(mailbox)
    where = _folder(box, folder) if folder else None
    return {"items": [describe(i, mime) for i in box.items.values() if where is None or i.folder is where]}


@verb
def tree(server, mailbox):
    """The folders: path, class, role, id, number of items."""
    box = server.org.mailbox(mailbox)
    return {"folders": [{"path": _path(f), "class": f.cls, "role": f.role, "id": f.id, "hidden": f.hidden,
                         "count": len(f.items)} for f in box.roles["msgfolderroot"].below()]}


@verb
def change(server, mailbox, id, xml=None, read=None, remove=(), drop_ext=(), broken=None):
    """Another client's change: the elements inside `xml`, the read flag, elements to remove, an error to give."""
    box = server.org.mailbox(mailbox)
    item = box.item(id)
    call = _Creator(server, box)
    item.props = {k: soap.copy(v) for k, v in item.props.items()}
    names = []
    for e in ET.fromstring('<x xmlns:t="%s">%s</x>' % (soap.T, xml or "")):
        items.set_element(call, item, e)
        names.append(local(e))
    for name in remove:
        item.props.pop(name, None)
    for k in drop_ext:
        item.ext.pop(k, None)
    if names and items.hook(item, "updated"):
        items.hook(item, "updated")(call, item, names)
    if broken is not None:
        item.broken = broken or None
    if read is not None:
        item.props["IsRead"] = el("IsRead", read)
    item.touch(content=bool(xml or remove or drop_ext))
    return {"id": item.id, "key": item.key}


@verb
def photo(server, mailbox, id, content=None, kind=None, name="ContactPicture.jpg"):
    """Another client gives a contact a picture (base64), as Outlook does: one, without a type; or takes it away."""
    box = server.org.mailbox(mailbox)
    item = box.item(id)
    item.attachments = [a for a in item.attachments if not a.photo]
    if content:
        a = store.Attachment(next(box.numbers), name)
        a.content, a.photo, a.content_type = base64.b64decode(content), True, kind
        item.attachments.append(a)
    item.touch()
    return {"id": item.id, "key": item.key}


@verb
def age(server, mailbox, seconds):
    """What changed last in each folder did so that much earlier."""
    for f in server.org.mailbox(mailbox).folders.values():
        f.committed -= datetime.timedelta(seconds=seconds)
    return {}


@verb
def move(server, mailbox, id, to):
    box = server.org.mailbox(mailbox)
    item = box.item(id)
    box.move(item, _folder(box, to))
    return {"id": item.id}


@verb
def delete(server, mailbox, id=None, folder=None):
    """Removes an item, or a folder with all that is in it."""
    box = server.org.mailbox(mailbox)
    if id:
        box.remove(box.item(id))
    else:
        box.remove_folder(_folder(box, folder))
    return {}


@verb
def counts(server, reset=False):
    """How often each operation was asked for, and faults as "fault:CODE"."""
    out = dict(server.org.counts)
    if reset:
        server.org.counts.clear()
        server.org.requests.clear()
    return {"counts": out, "connections": server.connections}


@verb
def requests(server):
    """The last requests: operation, time, user, mailbox, impersonated, X-AnchorMailbox, zone, bytes."""
    return {"requests": list(server.org.requests)}


@verb
def failures(server, reset=False):
    """What must not happen: notifications that would have been sent, errors of this server, invalid answers."""
    out = list(server.org.failures)
    if reset:
        server.org.failures.clear()
    return {"failures": out}


@verb
def fault(server, **rule):
    """Orders a failure, see faults.py."""
    server.faults.add(rule)
    return {}


@verb
def faults(server):
    """The failures that wait, and those that have struck: kind, operation, time."""
    return {"waiting": copy.deepcopy(server.faults.rules), "struck": list(server.faults.struck)}


@verb
def clear(server):
    """No failure is ordered any more; all stores are there, all logons are accepted."""
    server.faults.rules.clear()
    server.faults.struck.clear()
    server.refuse_logons = False
    for box in server.org.mailboxes.values():
        box.state = None
    for u in server.org.users.values():
        u.disabled = None
    return {}


@verb
def logons(server, refuse=True, user=None, code=None):
    """All logons are answered 401; or one user's requests by fault `code` (ErrorAccountDisabled ...)."""
    if user:
        server.org.users[user.lower()].disabled = code
    else:
        server.refuse_logons = refuse
    return {}


@verb
def refused(server, reset=False):
    """Why logons by NTLM and Negotiate were refused."""
    out = list(server.org.refused)
    if reset:
        server.org.refused.clear()
    return {"refused": out}


@verb
def tokens(server, forget=True):
    """All tokens end at once."""
    if forget:
        server.org.tokens.clear()
    return {"tokens": len(server.org.tokens)}


@verb
def password(server, login, password):
    server.org.users[login.lower()].password = password
    return {}


@verb
def unavailable(server, mailbox, code="ErrorMailboxStoreUnavailable"):
    """The mailbox's store cannot be opened until `clear` (or code "")."""
    server.org.mailbox(mailbox).state = code or None
    return {}


@verb
def lose_states(server, mailbox):
    """All sync states given so far are ErrorInvalidSyncStateData from now on."""
    server.org.mailbox(mailbox).epoch += 1
    return {}


@verb
def settings(server, **changes):
    """Sets: mime (exact, regenerate, rough), version, limit (bytes of a request), check. Gives all."""
    unknown = set(changes) - set(server.org.settings)
    if unknown:
        raise ValueError("no such setting: %s" % ", ".join(unknown))
    server.org.settings.update(changes)
    return copy.deepcopy(server.org.settings)


@verb
def state(server):
    return {"mailboxes": [b.address for b in server.org.mailboxes.values()], "schema": bool(server.schema),
            "users": [u.login for u in server.org.users.values()]}
